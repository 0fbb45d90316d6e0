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

from poolref.regions import Adaptive, Pyramid
from poolref.triton.fold import LAST, both, join, meet, nothing
from poolref.triton.launch import THREADS, Maps, as_maps, launch, layouts, like


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
                    MIN: tl.constexpr, MEAN: tl.constexpr, BP: tl.constexpr, BR: tl.constexpr,
                    BW: tl.constexpr):  # fmt: skip
    SEGMENTS: tl.constexpr = len(EDGES) - 1
    DEPTH: tl.constexpr = len(LEVELS)
    WIDTH: tl.constexpr = X[2]
    FILL: tl.constexpr = 0.0 if KIND == "sum" else (float("inf") if MIN else float("-inf"))
    start, ok, plane = place(planes, x_image, x_plane, BP)
    rows = tl.arange(0, BR)[None, :, None]
    columns = tl.arange(0, BW)[None, None, :]
    segments = ()
    for s in tl.static_range(SEGMENTS):
        numbers = rows * WIDTH + columns + tl.zeros((BP, BR, BW), tl.int32)
        state = nothing(tl.zeros((BP, BR, BW), tl.float32), EDGES[s] * WIDTH + numbers, KIND, False)
        for row in range(EDGES[s], EDGES[s + 1], BR):
            there = ok & (row + rows < EDGES[s + 1]) & (columns < WIDTH)
            v = tl.load(x + (start + (row + rows) * X[4] + columns * X[5]), there, FILL).to(tl.float32)
            state = meet(state, (-v if MIN else v,), True, row * WIDTH + numbers, 0, 0, 0, KIND, 0, False)
        segments = segments + (join(state, 0, KIND, 0, False),)
    for level in tl.static_range(DEPTH):
        write_level(y, choice, segments, plane, ok, factor, LEVELS[level], STARTS[level], STARTS[DEPTH],
                    WIDTHS[level], X, EDGES, KIND, MIN, MEAN, BP, BW)  # fmt: skip


@triton.jit
def from_level(grad, choice, plane, ok, columns, factor, EDGE: tl.constexpr, BINS: tl.constexpr, FIRST: tl.constexpr,
               TOTAL: tl.constexpr, OWNERS: tl.constexpr, X: tl.constexpr, KIND: tl.constexpr,
               MEAN: tl.constexpr):  # fmt: skip
    """What the bins of a level pass on to each column of a segment, and the numbers of the cells that they chose."""
    gradients = ()
    chosen = ()
    for i in tl.static_range(BINS):
        if EDGE >= i * X[1] // BINS and EDGE < ((i + 1) * X[1] + BINS - 1) // BINS:
            for k in tl.static_range(OWNERS):
                bins = columns * BINS // X[2] + k  # the bins that hold a cell are themselves the bins of N over O
                left, right = span(bins, X[2], BINS)
                there = ok & (bins < BINS) & (columns >= left) & (columns < right)
                offset = plane * TOTAL + (FIRST + i * BINS + bins)
                g = tl.load(grad + offset, there, 0.0).to(tl.float32)
                if KIND == "first":
                    chosen = chosen + (tl.load(choice + offset, there, -1),)
                else:
                    top, bottom = span(i, X[1], BINS)
                    g *= 1 / ((right - left) * (bottom - top)).to(tl.float32) if MEAN else factor
                gradients = gradients + (g,)
    return gradients, chosen


@triton.jit
def pyramid_backward(grad, choice, x_grad, planes, x_image, x_plane, factor, X: tl.constexpr, LEVELS: tl.constexpr,
                     STARTS: tl.constexpr, OWNERS: tl.constexpr, EDGES: tl.constexpr, KIND: tl.constexpr,
                     MEAN: tl.constexpr, BP: tl.constexpr, BR: tl.constexpr, BW: tl.constexpr):  # fmt: skip
    SEGMENTS: tl.constexpr = len(EDGES) - 1
    DEPTH: tl.constexpr = len(LEVELS)
    start, ok, plane = place(planes, x_image, x_plane, BP)
    rows = tl.arange(0, BR)[None, :, None]
    columns = tl.arange(0, BW)[None, None, :]
    for s in tl.static_range(SEGMENTS):
        gradients = ()
        chosen = ()
        for level in tl.static_range(DEPTH):
            more, cells = from_level(grad, choice, plane, ok & (columns < X[2]), columns, factor, EDGES[s],
                                     LEVELS[level], STARTS[level], STARTS[DEPTH], OWNERS[level],
                                     X, KIND, MEAN)  # fmt: skip
            gradients = gradients + more
            chosen = chosen + cells
        write_segment(x_grad + start, gradients, chosen, rows, columns, ok, EDGES[s], EDGES[s + 1], X, KIND, BP, BR, BW)


@triton.jit
def write_segment(x_grad, gradients, chosen, rows, columns, ok, TOP: tl.constexpr, BOTTOM: tl.constexpr,
                  X: tl.constexpr, KIND: tl.constexpr, BP: tl.constexpr, BR: tl.constexpr,
                  BW: tl.constexpr):  # fmt: skip
    """Every cell of a segment gets the sum of these gradients, or of those whose bins chose it."""
    COUNT: tl.constexpr = len(gradients)
    total = tl.zeros((BP, 1, BW), tl.float32)
    for k in tl.static_range(COUNT):
        total += gradients[k]
    for row in range(TOP, BOTTOM, BR):
        v = tl.broadcast_to(total, (BP, BR, BW))
        if KIND == "first":
            v = tl.zeros((BP, BR, BW), tl.float32)
            for k in tl.static_range(COUNT):
                v += tl.where((row + rows) * X[2] + columns == chosen[k], gradients[k], 0.0)
        inside = ok & (row + rows < BOTTOM) & (columns < X[2])
        tl.store(x_grad + ((row + rows) * X[4] + columns * X[5]), v.to(x_grad.dtype.element_ty), inside)


def max_pool(x: Tensor, pyramid: Pyramid, smallest: bool = False) -> Tensor:
    """The largest (or smallest) value of every bin, (..., H, W) -> (..., bins): level after level, row by row."""
    return _forward(x, pyramid, "max", smallest=smallest)[0]


def max_pool_backward(grad: Tensor, x: Tensor, pyramid: Pyramid, smallest: bool = False) -> Tensor:
    """The gradient of the map, (..., H, W), from that of the output."""
    choice = _forward(x, pyramid, "first", smallest=smallest)[1]
    return _backward(grad, like(x, x.shape[-2:], grad.dtype), pyramid, "first", choice=choice)


def avg_pool(x: Tensor, pyramid: Pyramid, divisor: float | None = None) -> Tensor:
    """The mean of every bin, or its sum over `divisor`, (..., H, W) -> (..., bins): level after level, row by row."""
    return _forward(x, pyramid, "sum", divisor)[0]


def avg_pool_backward(grad: Tensor, pyramid: Pyramid, spatial: tuple[int, ...], divisor: float | None = None) -> Tensor:
    """The gradient of the map, (..., *spatial), from that of the output."""
    return _backward(grad, grad.new_empty((*grad.shape[:-1], *spatial)), pyramid, "sum", divisor)


def _forward(
    x: Tensor, pyramid: Pyramid, kind: str, divisor: float | None = None, smallest: bool = False
) -> tuple[Tensor, Tensor]:
    (source,) = as_maps(2, x)
    starts, edges = _bins(pyramid, x.shape[-2])
    y = x.new_empty((*x.shape[:-2], starts[-1]))
    choice = torch.empty_like(y, dtype=torch.int32) if kind == "first" else y
    if not x.numel():
        return y, choice
    tile, warps = _tile(source, edges)
    launch(
        pyramid_forward, (source.images * triton.cdiv(source.planes, tile["BP"]),), x.device, warps,
        x=source.tensor, y=y, choice=choice, planes=source.planes,
        **layouts(x=source), factor=1 / (divisor or 1),
        LEVELS=pyramid.levels, STARTS=starts, EDGES=edges, KIND=kind, MIN=smallest,
        WIDTHS=tuple(triton.next_power_of_2(n) for n in pyramid.levels), MEAN=kind == "sum" and divisor is None, **tile,
    )  # fmt: skip
    return y, choice


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
    starts, edges = _bins(pyramid, x_grad.shape[-2])
    width = x_grad.shape[-1]
    tile, warps = _tile(target, edges)
    grad = grad.contiguous()
    launch(
        pyramid_backward, (target.images * triton.cdiv(target.planes, tile["BP"]),), grad.device, warps,
        grad=grad, choice=grad if choice is None else choice, x_grad=x_grad, planes=target.planes,
        **layouts(x=target), factor=1 / (divisor or 1),
        LEVELS=pyramid.levels, STARTS=starts, EDGES=edges, KIND=kind, MEAN=kind == "sum" and divisor is None,
        OWNERS=tuple(max(map(len, Adaptive(width, ndim=1).spans((n,))[0])) for n in pyramid.levels), **tile,
    )  # fmt: skip
    return x_grad


def _bins(pyramid: Pyramid, height: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Where the bins of each level begin in the output, with the end behind, and the edges of all rows of bins."""
    starts = tuple(sum(n * n for n in pyramid.levels[:i]) for i in range(len(pyramid.levels) + 1))
    spans = [span for grid in pyramid.grids() for span in grid.spans((height, height))[0]]
    return starts, tuple(sorted({edge for span in spans for edge in (span.start, span.stop)}))


def _tile(maps: Maps, edges: tuple[int, ...]) -> tuple[dict, int]:
    """Tile and warps: some whole rows, one where channels lie innermost or the map is small."""
    columns = triton.next_power_of_2(maps.sizes[2])
    planes = triton.next_power_of_2(maps.planes)
    if maps.channels_last:
        planes = min(planes, 32 // maps.tensor.element_size())
        return {"BP": planes, "BR": 1, "BW": columns}, max(1, min(8, planes * columns // (THREADS * 4)))
    if columns <= 32:
        planes = min(planes, 256 // columns)
        return {"BP": planes, "BR": 1, "BW": columns}, max(1, planes * columns // (THREADS * 4))
    longest = triton.next_power_of_2(max(b - a for a, b in pairwise(edges)))
    rows = max(1, min(longest, 1024 // columns))
    return {"BP": 1, "BR": rows, "BW": columns}, max(1, min(8, rows * columns // (THREADS * 16)))
