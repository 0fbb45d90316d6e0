"""Spatial pyramid pooling: all levels in one pass, for maxima, minima, means and sums.

The edges of all bins of all levels cut the rows of a map into segments, so that every row of bins is a run of whole
segments.  A program owns some planes.

Forward: it reduces every segment to one row, reading each cell once, e bytes; puts the rows of segments together to
rows of bins; and divides these into bins.

Backward: all cells of a segment lie in the same rows of bins.  So a program looks up for each column of a segment what
its bins pass on, once for all rows, and writes every cell once: e bytes.  The maximum needs the numbers of the cells
that were chosen, which the forward kernel finds again, e bytes more: nothing is saved but the map.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import triton
import triton.language as tl
from torch import Tensor

from poolref.regions import Adaptive, Pyramid, cdiv
from poolref.triton.fold import LAST, both, join, meet, nothing
from poolref.triton.launch import THREADS, Maps, as_maps, launch, layouts, like, power_of_2
from poolref.triton.windows import along


@triton.jit
def place(planes, x_image, x_plane, BP: tl.constexpr):
    """Where the planes of this program begin, which there are, and their numbers among those of all images."""
    blocks = tl.cdiv(planes, BP)
    image = (tl.program_id(0) // blocks).to(tl.int64)
    first = (tl.program_id(0) % blocks).to(tl.int64) * BP
    within = tl.arange(0, BP)[:, None, None]
    return (
        image * x_image + first * x_plane + within * x_plane,
        first + within < planes,
        image * planes + first + within,
    )


@triton.jit
def cell(row, columns, X: tl.constexpr):
    """Where the cells of a row lie, seen from the first cell of their plane."""
    return tl.full((1, 1, 1), row, tl.int64) * X[4] + along(columns, X)


@triton.jit
def span(i, N: tl.constexpr, BINS: tl.constexpr):
    """The first cell of bin `i` along an axis, and the first one behind it."""
    return i * N // BINS, ((i + 1) * N + BINS - 1) // BINS


@triton.jit
def row_of_bins(segments, I: tl.constexpr, N: tl.constexpr, BINS: tl.constexpr, EDGES: tl.constexpr,
                KIND: tl.constexpr):  # fmt: skip
    """The segments that row `I` of bins is made of, together."""
    TOP: tl.constexpr = I * N // BINS
    BOTTOM: tl.constexpr = ((I + 1) * N + BINS - 1) // BINS
    COUNT: tl.constexpr = len(segments)
    state = segments[0]
    for s in tl.static_range(COUNT):
        if EDGES[s] == TOP:
            state = segments[s]
        elif EDGES[s] > TOP and EDGES[s] < BOTTOM:
            state = both(state, segments[s], KIND)
    return state


@triton.jit
def write_level(y, choice, segments, plane, ok, factor, BINS: tl.constexpr, FIRST: tl.constexpr, TOTAL: tl.constexpr,
                BB: tl.constexpr, X: tl.constexpr, EDGES: tl.constexpr, KIND: tl.constexpr, MIN: tl.constexpr,
                MEAN: tl.constexpr, BP: tl.constexpr, BW: tl.constexpr):  # fmt: skip
    """Divide the segments into the bins of one level, and store what these give."""
    columns = tl.arange(0, BW)[None, :, None]
    bins = tl.arange(0, BB)[None, None, :]
    left, right = span(bins, X[2], BINS)
    inside = (columns >= left) & (columns < right)
    for i in tl.static_range(BINS):
        of_row = row_of_bins(segments, i, X[1], BINS, EDGES, KIND)
        state = (tl.where(inside, tl.reshape(of_row[0], (BP, BW, 1)), 0.0 if KIND == "sum" else float("-inf")),)
        if KIND == "first":
            state = state + (tl.where(inside, tl.reshape(of_row[1], (BP, BW, 1)), LAST),)
        state = join(state, 0, KIND, 0, False)
        pooled = -state[0] if MIN else state[0]
        if KIND == "sum":
            top, bottom = span(i, X[1], BINS)
            pooled *= 1 / ((right - left) * (bottom - top)).to(tl.float32) if MEAN else factor
        offset = plane * TOTAL + (FIRST + i * BINS + bins)
        tl.store(y + offset, pooled.to(y.dtype.element_ty), ok & (bins < BINS))
        if KIND == "first":
            tl.store(choice + offset, state[1], ok & (bins < BINS))


@triton.jit
def pyramid_forward(x, y, choice, planes, x_image, x_plane, factor, X: tl.constexpr, LEVELS: tl.constexpr,
                    STARTS: tl.constexpr, WIDTHS: tl.constexpr, EDGES: tl.constexpr, KIND: tl.constexpr,
                    MIN: tl.constexpr, MEAN: tl.constexpr, U: tl.constexpr, BP: tl.constexpr,
                    BW: tl.constexpr):  # fmt: skip
    SEGMENTS: tl.constexpr = len(EDGES) - 1
    DEPTH: tl.constexpr = len(LEVELS)
    WIDTH: tl.constexpr = X[2]
    FILL: tl.constexpr = 0.0 if KIND == "sum" else (float("inf") if MIN else float("-inf"))
    start, ok, plane = place(planes, x_image, x_plane, BP)
    columns = tl.arange(0, BW)[None, None, :]
    segments = ()
    for s in tl.static_range(SEGMENTS):
        numbers = columns + tl.zeros((BP, 1, BW), tl.int32)
        state = nothing(tl.zeros((BP, 1, BW), tl.float32), EDGES[s] * WIDTH + numbers, KIND, False)
        for row in range(EDGES[s], EDGES[s + 1], U):
            values = ()  # all are loaded before the first is used, so that many loads are under way at once
            cells = ()
            present = ()
            for u in tl.static_range(U):
                there = ok & (row + u < EDGES[s + 1]) & (columns < WIDTH)
                v = tl.load(x + (start + cell(row + u, columns, X)), there, FILL).to(tl.float32)
                values = values + (-v if MIN else v,)
                cells = cells + ((row + u) * WIDTH + numbers,)
                present = present + (there,)
            state = meet(state, values, cells, present, 0, 0, KIND, 0, False)
        segments = segments + (state,)
    for level in tl.static_range(DEPTH):
        write_level(y, choice, segments, plane, ok, factor, LEVELS[level], STARTS[level], STARTS[DEPTH],
                    WIDTHS[level], X, EDGES, KIND, MIN, MEAN, BP, BW)  # fmt: skip


@triton.jit
def next_edge(row, N: tl.constexpr, BINS: tl.constexpr):
    """The first row behind `row` that begins a bin, or lies behind one."""
    begins = ((row + 1) * BINS + N - 1) // N * N // BINS
    behind = ((row * BINS // N + 1) * N + BINS - 1) // BINS
    return tl.minimum(begins, behind)


@triton.jit
def from_level(grad, choice, plane, ok, row, columns, factor, BINS: tl.constexpr, FIRST: tl.constexpr,
               TOTAL: tl.constexpr, HIGH: tl.constexpr, WIDE: tl.constexpr, X: tl.constexpr, KIND: tl.constexpr,
               MEAN: tl.constexpr):  # fmt: skip
    """What the bins of a level pass on to each column of a row, and the numbers of the cells that they chose."""
    gradients = ()
    chosen = ()
    for h in tl.static_range(HIGH):
        i = row * BINS // X[1] + h  # the bins that hold a cell are themselves the bins of N over O
        top, bottom = span(i, X[1], BINS)
        for w in tl.static_range(WIDE):
            j = columns * BINS // X[2] + w
            left, right = span(j, X[2], BINS)
            there = (
                ok & ((i < BINS) & (row >= top) & (row < bottom)) & ((j < BINS) & (columns >= left) & (columns < right))
            )
            offset = plane * TOTAL + (FIRST + i * BINS + j)
            g = tl.load(grad + offset, there, 0.0).to(tl.float32)
            if KIND == "first":
                chosen = chosen + (tl.load(choice + offset, there, -1),)
            else:
                g *= 1 / ((right - left) * (bottom - top)).to(tl.float32) if MEAN else factor
            gradients = gradients + (g,)
    return gradients, chosen


@triton.jit
def pyramid_backward(grad, choice, x_grad, planes, x_image, x_plane, factor, X: tl.constexpr, LEVELS: tl.constexpr,
                     STARTS: tl.constexpr, HIGH: tl.constexpr, WIDE: tl.constexpr, SEGMENTS: tl.constexpr,
                     KIND: tl.constexpr, MEAN: tl.constexpr, BP: tl.constexpr, BW: tl.constexpr):  # fmt: skip
    DEPTH: tl.constexpr = len(LEVELS)
    start, ok, plane = place(planes, x_image, x_plane, BP)
    columns = tl.arange(0, BW)[None, None, :]
    ok &= columns < X[2]
    top = tl.program_id(0) * 0
    for _ in range(SEGMENTS):
        bottom = top + X[1]
        gradients = ()
        chosen = ()
        for level in tl.static_range(DEPTH):
            more, cells = from_level(grad, choice, plane, ok, top, columns, factor, LEVELS[level], STARTS[level],
                                     STARTS[DEPTH], HIGH[level], WIDE[level], X, KIND, MEAN)  # fmt: skip
            gradients = gradients + more
            chosen = chosen + cells
            bottom = tl.minimum(bottom, next_edge(top, X[1], LEVELS[level]))
        write_segment(x_grad + start, gradients, chosen, top, bottom, columns, ok, X, KIND, BP, BW)
        top = bottom


@triton.jit
def write_segment(x_grad, gradients, chosen, top, bottom, columns, ok, X: tl.constexpr, KIND: tl.constexpr,
                  BP: tl.constexpr, BW: tl.constexpr):  # fmt: skip
    """Every cell of a segment gets the sum of these gradients, or of those whose bins chose it."""
    COUNT: tl.constexpr = len(gradients)
    total = tl.zeros((BP, 1, BW), tl.float32)
    for k in tl.static_range(COUNT):
        total += gradients[k]
    for row in range(top, bottom):
        v = total
        if KIND == "first":
            v = tl.zeros((BP, 1, BW), tl.float32)
            for k in tl.static_range(COUNT):
                v += tl.where(row * X[2] + columns == chosen[k], gradients[k], 0.0)
        tl.store(x_grad + cell(row, columns, X), v.to(x_grad.dtype.element_ty), ok)


def max_pool(x: Tensor, pyramid: Pyramid, choices: bool = False, smallest: bool = False) -> tuple[Tensor, ...]:
    """The largest (or smallest) value of every bin, (..., H, W) -> (..., bins): level after level, row by row.

    With `choices` also the number of the cell it came from.
    """
    return _forward(x, pyramid, "first" if choices else "max", smallest=smallest)


def max_pool_backward_again(grad: Tensor, x: Tensor, pyramid: Pyramid, smallest: bool = False) -> Tensor:
    """The gradient of the map, (..., H, W), from that of the output."""
    choice = max_pool(x, pyramid, True, smallest)[1]
    return _backward(grad, like(x, x.shape[-2:], grad.dtype), pyramid, "first", choice=choice)


def avg_pool(x: Tensor, pyramid: Pyramid, count_include_pad: bool = True, divisor: float | None = None) -> Tensor:
    """The mean of every bin, or its sum over `divisor`; there is no padding to count."""
    return _forward(x, pyramid, "sum", divisor)[0]


def avg_pool_backward(
    grad: Tensor,
    pyramid: Pyramid,
    spatial: tuple[int, ...],
    count_include_pad: bool = True,
    divisor: float | None = None,
    channels_last: bool | None = None,
) -> Tensor:
    """The gradient of the map, (..., *spatial), from that of the output."""
    return _backward(grad, like(grad.unsqueeze(-1), spatial, channels_last=channels_last), pyramid, "sum", divisor)


def _forward(
    x: Tensor, pyramid: Pyramid, kind: str, divisor: float | None = None, smallest: bool = False
) -> tuple[Tensor, ...]:
    (source,) = as_maps(2, x)
    starts, edges = _bins(pyramid, x.shape[-2])
    y = x.new_empty((*x.shape[:-2], starts[-1]))
    results = (y, torch.empty_like(y, dtype=torch.int32)) if kind == "first" else (y,)
    if not x.numel():
        return results
    tile, warps = _tile(source, len(edges) * (2 if kind == "first" else 1))
    longest = max(b - a for a, b in pairwise(edges))
    launch(
        pyramid_forward, (source.images * cdiv(source.planes, tile["BP"]),), x.device, warps,
        x=source.tensor, y=y, choice=results[-1], planes=source.planes,
        **layouts(x=source), factor=1 / (divisor or 1),
        LEVELS=pyramid.levels, STARTS=starts, EDGES=edges, KIND=kind, MIN=smallest,
        WIDTHS=tuple(power_of_2(n) for n in pyramid.levels), MEAN=kind == "sum" and divisor is None,
        U=min(4, power_of_2(longest)), **tile,
    )  # fmt: skip
    return results


def _backward(
    grad: Tensor,
    x_grad: Tensor,
    pyramid: Pyramid,
    kind: str,
    divisor: float | None = None,
    choice: Tensor | None = None,
) -> Tensor:
    if not grad.numel():
        return x_grad
    (target,) = as_maps(2, x_grad)
    height, width = x_grad.shape[-2:]
    starts, edges = _bins(pyramid, height)
    high, wide = _owners(pyramid, height), _owners(pyramid, width)
    tile, warps = _tile(target, sum(h * w for h, w in zip(high, wide)) * (2 if kind == "first" else 1))
    grad = grad.contiguous()
    launch(
        pyramid_backward, (target.images * cdiv(target.planes, tile["BP"]),), grad.device, warps,
        grad=grad, choice=grad if choice is None else choice, x_grad=x_grad, planes=target.planes,
        **layouts(x=target), factor=1 / (divisor or 1),
        LEVELS=pyramid.levels, STARTS=starts, SEGMENTS=len(edges) - 1, KIND=kind,
        MEAN=kind == "sum" and divisor is None,
        HIGH=high, WIDE=wide, **tile,
    )  # fmt: skip
    return x_grad


def _bins(pyramid: Pyramid, height: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Where the bins of each level begin in the output, with the end behind, and the edges of all rows of bins."""
    starts = tuple(sum(n * n for n in pyramid.levels[:i]) for i in range(len(pyramid.levels) + 1))
    spans = [span for grid in pyramid.grids() for span in grid.spans((height, height))[0]]
    return starts, tuple(sorted({edge for span in spans for edge in (span.start, span.stop)}))


def _owners(pyramid: Pyramid, size: int) -> tuple[int, ...]:
    """For each level the most bins along an axis that a cell lies in."""
    return tuple(max(map(len, Adaptive(size, ndim=1).spans((n,))[0])) for n in pyramid.levels)


def _tile(maps: Maps, kept: int) -> tuple[dict, int]:
    """Tile and warps: a row of some planes, with so few cells for a thread that it can keep `kept` numbers of each."""
    each = 16 // maps.tensor.element_size()
    while each > 1 and each * kept > 40:
        each //= 2
    columns = power_of_2(maps.sizes[2])
    planes = 32 // maps.tensor.element_size() if maps.channels_last else max(1, THREADS * each // columns)
    planes = min(planes, maps.padded_planes)
    while planes > max(1, maps.together):
        planes //= 2
    return {"BP": planes, "BW": columns}, max(1, min(16, planes * columns // (THREADS * each)))
