"""Windows and bins of too many cells to unroll: a program walks through them, row after row.

Forward: one program for each tile of outputs, `BP` planes times `BB` columns, with `BR` lanes for each.  Where regions
hardly overlap, the lanes of a region read cells side by side.  Where they overlap much, or channels lie innermost, the
regions of a tile do so themselves, and one lane is enough for each.  A lane keeps a few numbers of the cells that it
has met, see fold.py; at the end the lanes of a region are joined.  From memory every cell comes once, e(1+r) bytes for
each input cell of e bytes, with r outputs for each input; what several regions need comes again from the cache.

Backward: one program for each tile of inputs.  A cell walks through the regions that it lies in, and adds up what it
has from each: for maxima the gradient of those that chose it, and for means the gradient over the number of cells.  The
others take the sums of every region anew: the forward kernel writes what the cells of a region share, 12 bytes for each
output, freed at once.  So every gradient is written once, by its owner, always in the same order.
"""

from __future__ import annotations

from math import prod

import torch
import triton
import triton.language as tl
from torch import Tensor

from poolref.regions import Adaptive, Window, cdiv
from poolref.triton.average import multiplier, part_of
from poolref.triton.fold import join, meet, nothing, result
from poolref.triton.launch import THREADS, Maps, Taps, as_maps, launch, layouts, like, power_of_2, tiles
from poolref.triton.max import first_cell
from poolref.triton.means import number, of_planes, plain_power, slope_of_cell, slope_of_region, slope_of_t
from poolref.triton.soft import pulled
from poolref.triton.soft import slope_of_region as soft_slope
from poolref.triton.whole import FULL
from poolref.triton.windows import bin_of, cell, place, plane, read, store

U = tl.constexpr(4)  # loads that are under way at once


@triton.jit
def walked(x, ok, o_depth, o_row, columns, t, eps, X: tl.constexpr, Y: tl.constexpr, K: tl.constexpr, S: tl.constexpr,
           P: tl.constexpr, D: tl.constexpr, BINS: tl.constexpr, KIND: tl.constexpr, MIN: tl.constexpr,
           POWER: tl.constexpr, LEARNED: tl.constexpr, BP: tl.constexpr, BR: tl.constexpr,
           BB: tl.constexpr):  # fmt: skip
    """The state of all regions of a tile, (BP, 1, BB)."""
    KH: tl.constexpr = K[1]
    KW: tl.constexpr = K[2]
    IN_ROW: tl.constexpr = (KW + BR - 1) // BR  # steps through a row of a region
    STEPS: tl.constexpr = K[0] * KH * IN_ROW
    ADDS: tl.constexpr = KIND == "sum" or KIND == "gem" or KIND == "lp"
    FILL: tl.constexpr = 0.0 if ADDS else (float("inf") if MIN else float("-inf"))
    lane = tl.arange(0, BR)[None, :, None]
    first = (first_cell(o_depth, 0, P[0], S[0], D[0], BINS) * KH + first_cell(o_row, 0, P[1], S[1], D[1], BINS)) * KW
    first += first_cell(columns, 0, P[2], S[2], D[2], BINS)
    state = nothing(tl.zeros((BP, BR, BB), tl.float32), tl.zeros((BP, BR, BB), tl.int32) + first, KIND, LEARNED)
    for step in range(0, STEPS, U):
        values = ()
        present = ()
        numbers = ()
        for u in tl.static_range(U):
            in_depth = (step + u) // IN_ROW // KH
            in_row = (step + u) // IN_ROW % KH
            in_column = (step + u) % IN_ROW * BR + lane
            depth, depth_ok = cell(o_depth, 0, in_depth, X[0], Y[0], S[0], P[0], D[0], BINS)
            row, row_ok = cell(o_row, 0, in_row, X[1], Y[1], S[1], P[1], D[1], BINS)
            column, column_ok = cell(columns, 0, in_column, X[2], Y[2], S[2], P[2], D[2], BINS)
            there = (depth_ok & row_ok & (step + u < STEPS)) & (column_ok & (in_column < KW) & ok)
            v = read(x, there, depth, True, row, True, column, True, X, FILL).to(tl.float32)
            values = values + (-v if MIN else v,)
            present = present + (there,)
            numbers = numbers + ((in_depth * KH + in_row) * KW + in_column,)
        state = meet(state, values, numbers, present, t, eps, KIND, POWER, LEARNED)
    return join(state, t, KIND, POWER, LEARNED)


@triton.jit
def large_forward(x, y, choice, grad, slope, lag, t, planes, x_image, x_plane, y_image, y_plane, g_image, g_plane,
                  t_image, t_plane, factor, eps, X: tl.constexpr, Y: tl.constexpr, G: tl.constexpr, K: tl.constexpr,
                  S: tl.constexpr, P: tl.constexpr, D: tl.constexpr, BINS: tl.constexpr, KIND: tl.constexpr,
                  MIN: tl.constexpr, POWER: tl.constexpr, LEARNED: tl.constexpr, COUNT: tl.constexpr,
                  PADDED: tl.constexpr, SLOPES: tl.constexpr, BP: tl.constexpr, BR: tl.constexpr,
                  BB: tl.constexpr):  # fmt: skip
    """The pooled values or, with `SLOPES`, what the cells of a region share: the largest in `y`, `slope` and `lag`."""
    image, first, o_depth, o_row, o_column = place(planes, Y[0], 1, BP, BB)
    columns = o_column + tl.arange(0, BB)[None, None, :]
    ok = (first + tl.arange(0, BP)[:, None, None] < planes) & (columns < Y[2])
    of_plane = POWER
    if POWER == 0:
        of_plane = number(t, image, first, planes, t_image, t_plane, BP)[:, :, None]
    state = walked(plane(x, image, first, x_image, x_plane, BP)[:, :, None], ok, o_depth, o_row, columns, of_plane, eps,
                   X, Y, K, S, P, D, BINS, KIND, MIN, POWER, LEARNED, BP, BR, BB)  # fmt: skip
    part = part_of(o_depth, o_row, columns, factor, X, Y, K, S, P, D, BINS, PADDED, COUNT)
    y_planes = plane(y, image, first, y_image, y_plane, BP)[:, :, None]
    if SLOPES:
        grads = plane(grad, image, first, g_image, g_plane, BP)[:, :, None]
        slopes = plane(slope, image, first, y_image, y_plane, BP)[:, :, None]
        lags = plane(lag, image, first, y_image, y_plane, BP)[:, :, None]
        g = read(grads, ok, o_depth, True, o_row, True, columns, True, G, 0.0).to(tl.float32)
        store(y_planes, state[0], ok, o_depth, o_row, columns, Y)
        if KIND == "soft":
            store(slopes, soft_slope(g, state[1], state[0]), ok, o_depth, o_row, columns, Y)
            store(lags, state[2] / state[1], ok, o_depth, o_row, columns, Y)
        else:
            mean = state[1] * part
            of_cells = slope_of_region(g, state[1], mean, state[0], of_plane, part, POWER, KIND)
            store(slopes, of_cells, ok, o_depth, o_row, columns, Y)
            if LEARNED:
                excess = (state[2] if KIND == "lse" else state[1]) * part
                weighted = state[len(state) - 1]
                of_t = slope_of_t(g, state[1], weighted, mean, excess, state[0], of_plane, KIND)
                store(lags, of_t, ok, o_depth, o_row, columns, Y)
    else:
        store(y_planes, result(state, part, of_plane, KIND, MIN, POWER), ok, o_depth, o_row, columns, Y)
        if KIND == "first":
            choices = plane(choice, image, first, y_image, y_plane, BP)[:, :, None]
            store(choices, state[1], ok, o_depth, o_row, columns, Y)


@triton.jit
def holder(i, t, N: tl.constexpr, O: tl.constexpr, K: tl.constexpr, S: tl.constexpr, P: tl.constexpr, D: tl.constexpr,
           BINS: tl.constexpr):  # fmt: skip
    """Along one axis: the `t`-th region that holds cell `i`, whether there is one, and by which tap."""
    if BINS:
        return bin_of(i, t, N, O)
    else:
        o = (i + P) // S - t
        reach = i + P - o * S
        return o, (o >= 0) & (o < O) & (reach % D == 0) & (reach // D < K), reach // D


@triton.jit
def large_backward(grad, x, x_grad, choice, top, slope, lag, t, planes, x_image, x_plane, y_image, y_plane,
                   g_image, g_plane, c_image, c_plane, t_image, t_plane, factor, eps,
                   X: tl.constexpr, Y: tl.constexpr, G: tl.constexpr, C: tl.constexpr, K: tl.constexpr,
                   S: tl.constexpr, P: tl.constexpr, D: tl.constexpr, BINS: tl.constexpr, HOLDERS: tl.constexpr,
                   KIND: tl.constexpr, POWER: tl.constexpr, COUNT: tl.constexpr, PADDED: tl.constexpr,
                   BP: tl.constexpr, BW: tl.constexpr):  # fmt: skip
    """`X` is the map that is read, `Y` its gradient, `G` the gradient of the output, `C` what is known of a region."""
    TD: tl.constexpr = HOLDERS[0]
    TH: tl.constexpr = HOLDERS[1]
    TW: tl.constexpr = HOLDERS[2]
    image, first, i_depth, i_row, i_column = place(planes, Y[0], 1, BP, BW)
    columns = i_column + tl.arange(0, BW)[None, :]
    ok = (first + tl.arange(0, BP)[:, None] < planes) & (columns < Y[2])
    grads = plane(grad, image, first, g_image, g_plane, BP)
    choices = plane(choice, image, first, c_image, c_plane, BP)
    tops = plane(top, image, first, c_image, c_plane, BP)
    slopes = plane(slope, image, first, c_image, c_plane, BP)
    lags = plane(lag, image, first, c_image, c_plane, BP)
    v = tl.zeros((BP, BW), tl.float32)
    if KIND != "first" and KIND != "sum":
        x_planes = plane(x, image, first, x_image, x_plane, BP)
        v = read(x_planes, ok, i_depth, True, i_row, True, columns, True, X, 0.0).to(tl.float32)
    of_plane = POWER
    if POWER == 0:
        of_plane = number(t, image, first, planes, t_image, t_plane, BP)
    total = tl.zeros((BP, BW), tl.float32)
    for td in range(0, TD):
        d, d_ok, kd = holder(i_depth, td, Y[0], G[0], K[0], S[0], P[0], D[0], BINS)
        for th in range(0, TH):
            h, h_ok, kh = holder(i_row, th, Y[1], G[1], K[1], S[1], P[1], D[1], BINS)
            for tw in range(0, TW):
                w, w_ok, kw = holder(columns, tw, Y[2], G[2], K[2], S[2], P[2], D[2], BINS)
                there = ok & (d_ok & h_ok) & w_ok
                if KIND == "first":
                    chosen = read(choices, there, d, True, h, True, w, True, C, 0).to(tl.int32)
                    g = read(grads, there, d, True, h, True, w, True, G, 0.0).to(tl.float32)
                    pull = tl.where(chosen == (kd * K[1] + kh) * K[2] + kw, g, 0.0)
                elif KIND == "sum":
                    g = read(grads, there, d, True, h, True, w, True, G, 0.0).to(tl.float32)
                    pull = g * part_of(d, h, w, factor, Y, G, K, S, P, D, BINS, PADDED, COUNT)
                else:
                    largest = read(tops, there, d, True, h, True, w, True, C, 1.0)
                    s = read(slopes, there, d, True, h, True, w, True, C, 0.0)
                    if KIND == "soft":
                        pull = pulled(v, s, largest, read(lags, there, d, True, h, True, w, True, C, 0.0))
                    else:
                        pull = slope_of_cell(v, s, largest, of_plane, eps, POWER, KIND)
                total += tl.where(there, pull, 0.0)
    store(plane(x_grad, image, first, y_image, y_plane, BP), total, ok, i_depth, i_row, columns, Y)


# --- from tensors to launches ----------------------------------------------------------------------------------------


def max_pool(
    x: Tensor, regions: Window | Adaptive, choices: bool = False, smallest: bool = False
) -> tuple[Tensor, ...]:
    """The largest (or smallest) value of every region, (..., *output); with `choices` also the tap it came from."""
    if not choices:
        return (_pooled(x, regions, "max", smallest=smallest),)
    spatial = x.shape[x.ndim - regions.ndim :]
    dtype = torch.uint8 if prod(Taps.of(regions, spatial).kernel) <= 256 else torch.int32
    choice = like(x, regions.output_shape(spatial), dtype)
    return _pooled(x, regions, "first", smallest=smallest, choice=choice), choice


def max_pool_backward(
    grad: Tensor,
    choice: Tensor,
    regions: Window | Adaptive,
    spatial: tuple[int, ...],
    channels_last: bool | None = None,
) -> Tensor:
    """The gradient of the map, (..., *spatial), from that of the output and the taps that `max_pool` gave."""
    return _spread(like(choice, spatial, grad.dtype, channels_last), regions, "first", grad=grad, choice=choice)


def max_pool_backward_again(grad: Tensor, x: Tensor, regions: Window | Adaptive, smallest: bool = False) -> Tensor:
    """The gradient of the map, where it was kept in place of the taps that were chosen."""
    choice = max_pool(x, regions, True, smallest)[1]
    x_grad = like(x, x.shape[x.ndim - regions.ndim :], grad.dtype)
    return _spread(x_grad, regions, "first", grad=grad, choice=choice)


def avg_pool(
    x: Tensor, regions: Window | Adaptive, count_include_pad: bool = True, divisor: float | None = None
) -> Tensor:
    """The mean of every region, (..., *output); with `divisor` the sum over it, and with a divisor of 1 the sum."""
    return _pooled(x, regions, "sum", count_include_pad, divisor)


def avg_pool_backward(
    grad: Tensor,
    regions: Window | Adaptive,
    spatial: tuple[int, ...],
    count_include_pad: bool = True,
    divisor: float | None = None,
    channels_last: bool | None = None,
) -> Tensor:
    """The gradient of the map, (..., *spatial), from that of the output."""
    return _spread(
        like(grad, spatial, channels_last=channels_last), regions, "sum", count_include_pad, divisor, grad=grad
    )


def soft_pool(x: Tensor, regions: Window | Adaptive) -> Tensor:
    """The softmax-weighted mean of every region, (..., *output)."""
    return _pooled(x, regions, "soft")


def soft_pool_backward(grad: Tensor, x: Tensor, regions: Window | Adaptive) -> Tensor:
    """The gradient of the map, (..., *spatial), from that of the output."""
    return _gradient(grad, x, regions, "soft")[0]


def gem_pool(x: Tensor, regions: Window | Adaptive, p: float | Tensor, eps: float) -> Tensor:
    """The generalized mean of every region, (..., *output); p is a plain number, or broadcasts against x."""
    return _pooled(x, regions, "gem", t=p, eps=eps)


def gem_pool_backward(
    grad: Tensor, x: Tensor, regions: Window | Adaptive, p: float | Tensor, learned: bool, eps: float
) -> tuple[Tensor, Tensor | None]:
    """The gradients of the map and, if it is learned, of p for every plane, (..., *ones)."""
    return _gradient(grad, x, regions, "gem", p, learned, eps)


def lp_pool(x: Tensor, regions: Window | Adaptive, p: float) -> Tensor:
    """The p-norm of every region, (..., *output), for a finite p."""
    return _pooled(x, regions, "lp", divisor=1, t=p)


def lp_pool_backward(grad: Tensor, x: Tensor, regions: Window | Adaptive, p: float) -> Tensor:
    """The gradient of the map, (..., *spatial), from that of the output."""
    return _gradient(grad, x, regions, "lp", p, divisor=1)[0]


def lse_pool(x: Tensor, regions: Window | Adaptive, r: float | Tensor) -> Tensor:
    """The log-mean-exp of every region, (..., *output); r is a plain number, or broadcasts against x."""
    return _pooled(x, regions, "lse", t=r)


def lse_pool_backward(
    grad: Tensor, x: Tensor, regions: Window | Adaptive, r: float | Tensor, learned: bool
) -> tuple[Tensor, Tensor | None]:
    """The gradients of the map and, if it is learned, of r for every plane, (..., *ones)."""
    return _gradient(grad, x, regions, "lse", r, learned)


def _pooled(
    x: Tensor,
    regions: Window | Adaptive,
    kind: str,
    padded: bool = False,
    divisor: float | None = None,
    smallest: bool = False,
    choice: Tensor | None = None,
    t: float | Tensor = 1,
    eps: float = 0.0,
    slopes: tuple[Tensor, ...] = (),
    grad: Tensor | None = None,
    learned: bool = False,
) -> Tensor:
    """Every region to one value; with `slopes`, for the backward, to its largest cell and two numbers more."""
    n = regions.ndim
    spatial = x.shape[x.ndim - n :]
    taps = Taps.of(regions, spatial)
    y = like(x, regions.output_shape(spatial), torch.float32 if slopes else None)
    source, target, given, numbers = as_maps(n, x, y, y if grad is None else grad, of_planes(kind, x, n, t))
    grid, tile, warps = _tile(target, taps, x.element_size())
    slope, lag = slopes or (y, y)
    launch(
        large_forward, grid, x.device, warps,
        x=source.tensor, y=y, choice=y if choice is None else choice, grad=given.tensor, slope=slope, lag=lag,
        t=numbers.tensor, planes=source.planes, t_image=numbers.image_stride, t_plane=numbers.plane_stride, eps=eps,
        **layouts(x=source, y=target, g=given), **taps.constants,
        **multiplier(regions, spatial, taps, padded, divisor), PADDED=padded,
        KIND=kind, MIN=smallest, POWER=plain_power(kind, t), LEARNED=learned, SLOPES=bool(slopes), **tile,
    )  # fmt: skip
    return y


def _gradient(
    grad: Tensor,
    x: Tensor,
    regions: Window | Adaptive,
    kind: str,
    t: float | Tensor = 1,
    learned: bool = False,
    eps: float = 0.0,
    divisor: float | None = None,
) -> tuple[Tensor, Tensor | None]:
    """The gradients of the map and, if it is learned, of t for every plane, (..., *ones), of what is no maximum."""
    n = regions.ndim
    spatial = tuple(x.shape[x.ndim - n :])
    slope, lag = (like(x, regions.output_shape(spatial), torch.float32) for _ in range(2))
    top = _pooled(x, regions, kind, divisor=divisor, t=t, eps=eps, slopes=(slope, lag), grad=grad, learned=learned)
    x_grad = _spread(like(x, spatial), regions, kind, x=x, known=(top, slope, lag), t=t, eps=eps)
    return x_grad, lag.sum(tuple(range(-n, 0)), keepdim=True) if learned else None


def _spread(
    x_grad: Tensor,
    regions: Window | Adaptive,
    kind: str,
    padded: bool = False,
    divisor: float | None = None,
    grad: Tensor | None = None,
    choice: Tensor | None = None,
    x: Tensor | None = None,
    known: tuple[Tensor, ...] = (),
    t: float | Tensor = 1,
    eps: float = 0.0,
) -> Tensor:
    """Write every cell of `x_grad` once."""
    n = regions.ndim
    spatial = tuple(x_grad.shape[x_grad.ndim - n :])
    taps = Taps.of(regions, spatial)
    # What a kind does without, the kernel does not read.
    top, slope, lag = known or (grad if choice is None else choice,) * 3
    x, grad = (x_grad if x is None else x), (top if grad is None else grad)
    source, target, given, tops, numbers = as_maps(n, x, x_grad, grad, top, of_planes(kind, x, n, t))
    holders = tuple((k - 1) * d // s + 1 for k, d, s in zip(taps.kernel, taps.dilation, taps.stride))
    grid, tile, warps = tiles(target, target.sizes, 1, x_grad.element_size(), 4 if taps.bins else 8)
    del tile["ROWS"]
    launch(
        large_backward, grid, x_grad.device, warps,
        grad=given.tensor, x=source.tensor, x_grad=x_grad, choice=tops.tensor, top=tops.tensor, slope=slope, lag=lag,
        t=numbers.tensor, planes=target.planes, t_image=numbers.image_stride, t_plane=numbers.plane_stride, eps=eps,
        **layouts(x=source, y=target, g=given, c=tops), **taps.constants,
        **(multiplier(regions, spatial, taps, padded, divisor) if kind == "sum" else {"factor": 1.0, "COUNT": False}),
        HOLDERS=taps.owners if taps.bins else holders, KIND=kind, POWER=plain_power(kind, t), PADDED=padded, **tile,
    )  # fmt: skip
    return x_grad


def _tile(y: Maps, taps: Taps, size: int) -> tuple[tuple[int, ...], dict, int]:
    """Grid, tile and warps of the forward: fewer regions for each program where there are few in all."""
    width = taps.kernel[2]
    room = 4 * THREADS * (16 // size)
    side_by_side = not y.channels_last and (taps.bins or 2 * taps.stride[2] > width)
    lanes = min(2 ** (width.bit_length() - 1), 128) if side_by_side else 1
    if y.channels_last:
        planes = min(y.padded_planes, room)
        columns = min(power_of_2(y.sizes[2]), room // planes)
    else:
        columns = min(power_of_2(y.sizes[2]), room // lanes)
        planes = min(y.padded_planes, room // (lanes * columns))

    def grid() -> tuple[int, ...]:
        blocks = y.images * cdiv(y.planes, planes)
        return blocks * y.sizes[0], y.sizes[1], cdiv(y.sizes[2], columns)

    while planes > max(1, y.together) or (planes > 1 and not y.channels_last and prod(grid()) < FULL):
        planes //= 2
    while columns > 1 and (y.channels_last or planes == 1) and prod(grid()) < FULL:
        columns //= 2
    warps = max(1, min(4, planes * lanes * columns // (THREADS * (16 // size))))
    return grid(), {"BP": planes, "BR": lanes, "BB": columns}, warps
