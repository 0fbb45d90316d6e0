"""SoftPool.

Forward: one program for each tile of outputs, e(1+r) bytes for each input cell of e bytes, with r outputs for each
input.  A region is read twice, first for its largest value, then for the sums; the second time it is in registers.

Backward: where windows do not overlap, `dx = grad w (1 + x - y)` needs nothing but the map and the gradient, and the
region's sums are taken anew: e(2+r) bytes.  Where they overlap a cell needs the sums of all regions it lies in; so a
first kernel writes for every region its largest value, its gradient over the sum of exponentials, and how far its mean
lies below the largest value, (e+8)r bytes that are freed at once, and a second one gathers.  Nothing is saved but the
map.

Everything is measured from the largest value of a region.  So nothing overflows, and numbers far from zero lose no
digits; a gap of 0 also stands for inf - inf, and one of -200, whose exponential is 0, for all that is further below.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from poolref.regions import Adaptive, Window
from poolref.triton.launch import Taps, as_maps, launch, layouts, like, over_inputs, over_outputs
from poolref.triton.means import exp2
from poolref.triton.windows import cell, larger, owner, place, plane, read, store, tap, write


@triton.jit
def exp(gap):
    """e^gap by two instructions."""
    return exp2(gap * 1.4426950408889634)


@triton.jit
def below(v, largest):
    """How far `v` is below the largest value of its region."""
    return tl.maximum(tl.where(v == largest, 0.0, v - largest), -200.0)


@triton.jit
def region(x, ok, o_depth, o_row, o_column, R: tl.constexpr, X: tl.constexpr, Y: tl.constexpr, K: tl.constexpr,
           S: tl.constexpr, P: tl.constexpr, D: tl.constexpr, BINS: tl.constexpr, INFINITE: tl.constexpr,
           BP: tl.constexpr, BW: tl.constexpr):  # fmt: skip
    """The cells of a region, -inf where there are none, the largest of them, and two sums over them.

    The sums are those of the exponentials, measured from the largest value, and of these times the gaps below it.  To
    be right where the largest value is infinite takes two instructions more for each cell, and is done if `INFINITE`.
    """
    KD: tl.constexpr = K[0]
    KH: tl.constexpr = K[1]
    KW: tl.constexpr = K[2]
    cells = ()
    largest = tl.full((BP, BW), float("-inf"), tl.float32)
    for kd in tl.static_range(KD):
        depth, depth_ok = cell(o_depth, 0, kd, X[0], Y[0], S[0], P[0], D[0], BINS)
        for kh in tl.static_range(KH):
            row, row_ok = cell(o_row, R, kh, X[1], Y[1], S[1], P[1], D[1], BINS)
            of_row = tl.full((BP, BW), float("-inf"), tl.float32)  # the next window may need the same row again
            for kw in tl.static_range(KW):
                v = tap(x, ok, depth, depth_ok, row, row_ok, o_column, kw,
                        X, Y, K, S, P, D, BINS, BP, BW, float("-inf"))  # fmt: skip
                cells = cells + (v,)
                of_row = larger(of_row, v)
            largest = larger(largest, of_row)
    total = tl.zeros((BP, BW), tl.float32)
    gaps = tl.zeros((BP, BW), tl.float32)
    for i in tl.static_range(KD * KH * KW):
        gap = below(cells[i], largest) if INFINITE else tl.maximum(cells[i] - largest, -200.0)
        e = exp(gap)
        total += e
        gaps += e * gap
    return cells, largest, total, gaps


@triton.jit
def slope_of_region(g, total, largest):
    """The gradient `g` of a region over its sum of exponentials; 0 if it holds nothing but -inf."""
    return tl.where(largest == float("-inf"), 0.0, g / total)


@triton.jit
def pulled(v, slope, largest, lag):
    """The gradient `grad w (1 + x - y)` that a cell has from a region: `slope` is its gradient over its sum."""
    gap = below(v, largest)
    return slope * exp(gap) * (1 + (gap - lag))


@triton.jit
def soft_forward(x, y, planes, x_image, x_plane, y_image, y_plane,
                 X: tl.constexpr, Y: tl.constexpr, K: tl.constexpr, S: tl.constexpr, P: tl.constexpr, D: tl.constexpr,
                 BINS: tl.constexpr, ROWS: tl.constexpr, BP: tl.constexpr, BW: tl.constexpr):  # fmt: skip
    image, first, o_depth, o_row, o_column = place(planes, Y[0], ROWS, BP, BW)
    x_planes = plane(x, image, first, x_image, x_plane, BP)
    ok = first + tl.arange(0, BP)[:, None] < planes
    columns = o_column + tl.arange(0, BW)[None, :]
    results = ()
    for r in tl.static_range(ROWS):
        _, largest, total, gaps = region(x_planes, ok, o_depth, o_row, o_column, r,
                                         X, Y, K, S, P, D, BINS, False, BP, BW)  # fmt: skip
        mean = largest + gaps / total
        results = results + (tl.where(tl.abs(largest) == float("inf"), largest, mean),)
    y_planes = plane(y, image, first, y_image, y_plane, BP)
    for r in tl.static_range(ROWS):
        store(y_planes, results[r], ok, o_depth, o_row + r, columns, Y)


@triton.jit
def soft_slopes(grad, x, top, slope, lag, planes, x_image, x_plane, g_image, g_plane, y_image, y_plane,
                X: tl.constexpr, G: tl.constexpr, Y: tl.constexpr, K: tl.constexpr, S: tl.constexpr, P: tl.constexpr,
                D: tl.constexpr, BINS: tl.constexpr, ROWS: tl.constexpr, BP: tl.constexpr,
                BW: tl.constexpr):  # fmt: skip
    """Of every region the largest value, the gradient over the sum of exponentials, and how far the mean is below."""
    image, first, o_depth, o_row, o_column = place(planes, Y[0], ROWS, BP, BW)
    x_planes = plane(x, image, first, x_image, x_plane, BP)
    grads = plane(grad, image, first, g_image, g_plane, BP)
    ok = first + tl.arange(0, BP)[:, None] < planes
    columns = o_column + tl.arange(0, BW)[None, :]
    tops = ()
    slopes = ()
    lags = ()
    for r in tl.static_range(ROWS):
        _, largest, total, gaps = region(x_planes, ok, o_depth, o_row, o_column, r,
                                         X, Y, K, S, P, D, BINS, True, BP, BW)  # fmt: skip
        g = read(grads, ok, o_depth, True, o_row + r, o_row + r < Y[1], columns, columns < Y[2], G, 0.0)
        tops = tops + (largest,)
        slopes = slopes + (slope_of_region(g.to(tl.float32), total, largest),)
        lags = lags + (gaps / total,)
    top_planes = plane(top, image, first, y_image, y_plane, BP)
    slope_planes = plane(slope, image, first, y_image, y_plane, BP)
    lag_planes = plane(lag, image, first, y_image, y_plane, BP)
    for r in tl.static_range(ROWS):
        store(top_planes, tops[r], ok, o_depth, o_row + r, columns, Y)
        store(slope_planes, slopes[r], ok, o_depth, o_row + r, columns, Y)
        store(lag_planes, lags[r], ok, o_depth, o_row + r, columns, Y)


@triton.jit
def soft_backward_apart(grad, x, x_grad, planes, x_image, x_plane, y_image, y_plane, t_image, t_plane,
                        X: tl.constexpr, Y: tl.constexpr, T: tl.constexpr, S: tl.constexpr, P: tl.constexpr,
                        D: tl.constexpr, ROWS: tl.constexpr, BP: tl.constexpr, BW: tl.constexpr):  # fmt: skip
    """Windows side by side: a program owns windows and all of their cells."""
    SD: tl.constexpr = S[0]
    SH: tl.constexpr = S[1]
    SW: tl.constexpr = S[2]
    DEPTHS: tl.constexpr = (X[0] + S[0] - 1) // S[0]
    image, first, o_depth, o_row, o_column = place(planes, DEPTHS, ROWS, BP, BW)
    x_planes = plane(x, image, first, x_image, x_plane, BP)
    grads = plane(grad, image, first, y_image, y_plane, BP)
    ok = first + tl.arange(0, BP)[:, None] < planes
    columns = o_column + tl.arange(0, BW)[None, :]
    results = ()
    for r in tl.static_range(ROWS):
        cells, largest, total, gaps = region(x_planes, ok, o_depth, o_row, o_column, r,
                                             X, Y, S, S, P, D, False, True, BP, BW)  # fmt: skip
        there = (o_depth < Y[0]) & (o_row + r < Y[1]) & (columns < Y[2])  # not so for cells that are left over
        g = read(grads, ok, o_depth, o_depth < Y[0], o_row + r, o_row + r < Y[1], columns, columns < Y[2], Y, 0.0)
        slope = slope_of_region(g.to(tl.float32), total, largest)
        for i in tl.static_range(SD * SH * SW):
            pull = pulled(cells[i], slope, largest, gaps / total)
            results = results + (tl.where(there, pull, 0.0),)
    targets = plane(x_grad, image, first, t_image, t_plane, BP)
    for r in tl.static_range(ROWS):
        for a in tl.static_range(SD):
            for b in tl.static_range(SH):
                write(targets, results, ok, o_depth * SD + a, (o_row + r) * SH + b, o_column,
                      ((r * SD + a) * SH + b) * SW, T, S, BP, BW)  # fmt: skip


@triton.jit
def soft_backward(x, x_grad, top, slope, lag, planes, x_image, x_plane, y_image, y_plane, t_image, t_plane,
                  X: tl.constexpr, Y: tl.constexpr, T: tl.constexpr,
                  K: tl.constexpr, S: tl.constexpr, P: tl.constexpr, D: tl.constexpr, BINS: tl.constexpr,
                  OWNERS: tl.constexpr, ROWS: tl.constexpr, BP: tl.constexpr, BW: tl.constexpr):  # fmt: skip
    TD: tl.constexpr = OWNERS[0]
    TH: tl.constexpr = OWNERS[1]
    TW: tl.constexpr = OWNERS[2]
    SD: tl.constexpr = S[0]
    SH: tl.constexpr = S[1]
    SW: tl.constexpr = S[2]
    DEPTHS: tl.constexpr = (X[0] + S[0] - 1) // S[0]
    image, first, i_depth, i_row, i_column = place(planes, DEPTHS, ROWS, BP, BW)
    x_planes = plane(x, image, first, x_image, x_plane, BP)
    tops = plane(top, image, first, y_image, y_plane, BP)
    slopes = plane(slope, image, first, y_image, y_plane, BP)
    lags = plane(lag, image, first, y_image, y_plane, BP)
    ok = first + tl.arange(0, BP)[:, None] < planes
    columns = i_column + tl.arange(0, BW)[None, :]
    results = ()
    for a in tl.static_range(SD):
        for r in tl.static_range(ROWS):
            for b in tl.static_range(SH):
                for c in tl.static_range(SW):
                    own_depth, own_row, own_column = i_depth * SD + a, (i_row + r) * SH + b, columns * SW + c
                    v = read(x_planes, ok, own_depth, own_depth < X[0], own_row, own_row < X[1],
                             own_column, own_column < X[2], X, 0.0).to(tl.float32)  # fmt: skip
                    total = tl.zeros((BP, BW), tl.float32)
                    for td in tl.static_range(TD):
                        for th in tl.static_range(TH):
                            for tw in tl.static_range(TW):
                                if BINS or ((a + P[0] - td * D[0]) % SD == 0 and (b + P[1] - th * D[1]) % SH == 0
                                            and (c + P[2] - tw * D[2]) % SW == 0):  # fmt: skip
                                    d, d_ok, _ = owner(i_depth, 0, a, td, X[0], Y[0], S[0], P[0], D[0], BINS)
                                    h, h_ok, _ = owner(i_row, r, b, th, X[1], Y[1], S[1], P[1], D[1], BINS)
                                    w, w_ok, _ = owner(columns, 0, c, tw, X[2], Y[2], S[2], P[2], D[2], BINS)
                                    m = read(tops, ok, d, d_ok, h, h_ok, w, w_ok, Y, float("inf")).to(tl.float32)
                                    s = read(slopes, ok, d, d_ok, h, h_ok, w, w_ok, Y, 0.0)
                                    total += pulled(v, s, m, read(lags, ok, d, d_ok, h, h_ok, w, w_ok, Y, 0.0))
                    results = results + (total,)
    targets = plane(x_grad, image, first, t_image, t_plane, BP)
    for a in tl.static_range(SD):
        for r in tl.static_range(ROWS):
            for b in tl.static_range(SH):
                write(targets, results, ok, i_depth * SD + a, (i_row + r) * SH + b, i_column,
                      ((a * ROWS + r) * SH + b) * SW, T, S, BP, BW)  # fmt: skip


def soft_pool(x: Tensor, regions: Window | Adaptive) -> Tensor:
    """The softmax-weighted mean of every region, (..., *output)."""
    n = regions.ndim
    taps = Taps.of(regions, x.shape[x.ndim - n :])
    y = like(x, regions.output_shape(x.shape[x.ndim - n :]))
    source, target = as_maps(n, x, y)
    grid, tile, warps = over_outputs(source, target, taps, values=4)
    launch(
        soft_forward, grid, x.device, warps,
        x=source.tensor, y=y, planes=source.planes, **layouts(x=source, y=target), **taps.constants, **tile,
    )  # fmt: skip
    return y


def soft_pool_backward(grad: Tensor, x: Tensor, regions: Window | Adaptive) -> Tensor:
    """The gradient of the map, (..., *spatial), from that of the output."""
    n = regions.ndim
    spatial = x.shape[x.ndim - n :]
    taps = Taps.of(regions, spatial)
    x_grad = like(x, spatial)
    if taps.apart:
        source, target, given = as_maps(n, x, x_grad, grad)
        grid, tile, warps = over_inputs(target, taps, values=4)
        launch(
            soft_backward_apart, grid, x.device, warps,
            grad=given.tensor, x=source.tensor, x_grad=x_grad, planes=source.planes,
            S=taps.stride, P=taps.padding, D=taps.dilation, **layouts(x=source, y=given, t=target), **tile,
        )  # fmt: skip
        return x_grad
    top = like(x, regions.output_shape(spatial))
    slope, lag = (torch.empty_like(top, dtype=torch.float32) for _ in range(2))
    source, target, given, tops, slopes, lags = as_maps(n, x, x_grad, grad, top, slope, lag)
    common = {
        "x": source.tensor, "top": tops.tensor, "slope": slopes.tensor, "lag": lags.tensor, "planes": source.planes,
        **layouts(x=source, y=tops), **taps.constants,
    }  # fmt: skip
    grid, tile, warps = over_outputs(source, tops, taps, values=4)
    launch(soft_slopes, grid, x.device, warps, grad=given.tensor, **layouts(g=given), **common, **tile)
    grid, tile, warps = over_inputs(target, taps, values=4)
    launch(
        soft_backward, grid, x.device, warps, x_grad=x_grad, **layouts(t=target), OWNERS=taps.owners, **common, **tile
    )
    return x_grad
