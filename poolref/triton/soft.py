"""SoftPool.

Forward: one program for each tile of outputs, e(1+r) bytes for each input cell of e bytes, with r outputs for each
input.  A region is read twice, first for its largest value, then for the sums; the second time it is in registers.

Backward: where windows do not overlap, `dx = grad w (1 + x - y)` needs nothing but the map and the gradient, and the
region's sums are taken anew: e(2+r) bytes.  Where they overlap a cell needs the sums of all regions it lies in; so a
first kernel, the forward again, writes for every region its largest value, 1 over its sum of exponentials and how far
its mean lies below the largest value, (e+8)r bytes that are freed at once, and a second one gathers.  Nothing is saved
but the map.

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
from poolref.triton.windows import cell, owner, place, plane, read, store, tap, write


@triton.jit
def soft_forward(x, y, scale, lag, planes, x_image, x_plane, y_image, y_plane,
                 X: tl.constexpr, Y: tl.constexpr, K: tl.constexpr, S: tl.constexpr, P: tl.constexpr, D: tl.constexpr,
                 BINS: tl.constexpr, SUMS: tl.constexpr,
                 ROWS: tl.constexpr, BP: tl.constexpr, BW: tl.constexpr):  # fmt: skip
    KD: tl.constexpr = K[0]
    KH: tl.constexpr = K[1]
    KW: tl.constexpr = K[2]
    image, first, o_depth, o_row, o_column = place(planes, Y[0], ROWS, BP, BW)
    x_planes = plane(x, image, first, x_image, x_plane, BP)
    ok = first + tl.arange(0, BP)[:, None] < planes
    columns = o_column + tl.arange(0, BW)[None, :]
    means = ()
    scales = ()
    lags = ()
    for r in tl.static_range(ROWS):
        largest = tl.full((BP, BW), float("-inf"), tl.float32)
        for kd in tl.static_range(KD):
            depth, depth_ok = cell(o_depth, 0, kd, X[0], Y[0], S[0], P[0], D[0], BINS)
            for kh in tl.static_range(KH):
                row, row_ok = cell(o_row, r, kh, X[1], Y[1], S[1], P[1], D[1], BINS)
                of_row = tl.full((BP, BW), float("-inf"), tl.float32)
                for kw in tl.static_range(KW):
                    v = tap(x_planes, ok, depth, depth_ok, row, row_ok, o_column, kw,
                            X, Y, K, S, P, D, BINS, BP, BW, float("-inf"))  # fmt: skip
                    of_row = tl.maximum(of_row, v, propagate_nan=tl.PropagateNan.ALL)
                largest = tl.maximum(largest, of_row, propagate_nan=tl.PropagateNan.ALL)
        total = tl.zeros((BP, BW), tl.float32)
        gaps = tl.zeros((BP, BW), tl.float32)
        for kd in tl.static_range(KD):
            depth, depth_ok = cell(o_depth, 0, kd, X[0], Y[0], S[0], P[0], D[0], BINS)
            for kh in tl.static_range(KH):
                row, row_ok = cell(o_row, r, kh, X[1], Y[1], S[1], P[1], D[1], BINS)
                for kw in tl.static_range(KW):
                    v = tap(x_planes, ok, depth, depth_ok, row, row_ok, o_column, kw,
                            X, Y, K, S, P, D, BINS, BP, BW, float("-inf"))  # fmt: skip
                    gap = below(v, largest)
                    e = exp(gap)
                    total += e
                    gaps += e * gap
        means = means + (largest,) if SUMS else means + (largest + gaps / total,)
        scales = scales + (1 / total,)
        lags = lags + (gaps / total,)
    y_planes = plane(y, image, first, y_image, y_plane, BP)
    scale_planes = plane(scale, image, first, y_image, y_plane, BP)
    lag_planes = plane(lag, image, first, y_image, y_plane, BP)
    for r in tl.static_range(ROWS):
        store(y_planes, means[r], ok, o_depth, o_row + r, columns, Y)
        if SUMS:
            store(scale_planes, scales[r], ok, o_depth, o_row + r, columns, Y)
            store(lag_planes, lags[r], ok, o_depth, o_row + r, columns, Y)


@triton.jit
def exp(gap):
    """e^gap by two instructions."""
    return exp2(gap * 1.4426950408889634)


@triton.jit
def below(v, largest):
    """How far `v` is below the largest value of its region."""
    return tl.maximum(tl.where(v == largest, 0.0, v - largest), -200.0)


@triton.jit
def pulled(v, g, largest, scale, lag):
    """The gradient `g w (1 + x - y)` that a cell has from a region."""
    gap = below(v, largest)
    return g * (exp(gap) * scale) * (1 + (gap - lag))


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
        cells = ()
        largest = tl.full((BP, BW), float("-inf"), tl.float32)
        for a in tl.static_range(SD):
            depth, depth_ok = cell(o_depth, 0, a, X[0], Y[0], S[0], P[0], D[0], False)
            for b in tl.static_range(SH):
                row, row_ok = cell(o_row, r, b, X[1], Y[1], S[1], P[1], D[1], False)
                for c in tl.static_range(SW):
                    v = tap(x_planes, ok, depth, depth_ok, row, row_ok, o_column, c,
                            X, Y, S, S, P, D, False, BP, BW, float("-inf"))  # fmt: skip
                    cells = cells + (v,)
                    largest = tl.maximum(largest, v, propagate_nan=tl.PropagateNan.ALL)
        total = tl.zeros((BP, BW), tl.float32)
        gaps = tl.zeros((BP, BW), tl.float32)
        for i in tl.static_range(SD * SH * SW):
            gap = below(cells[i], largest)
            e = exp(gap)
            total += e
            gaps += e * gap
        there = (o_depth < Y[0]) & (o_row + r < Y[1]) & (columns < Y[2])  # not so for cells that are left over
        g = read(grads, ok, o_depth, o_depth < Y[0], o_row + r, o_row + r < Y[1], columns, columns < Y[2], Y, 0.0)
        for i in tl.static_range(SD * SH * SW):
            pull = pulled(cells[i], g.to(tl.float32), largest, 1 / total, gaps / total)
            results = results + (tl.where(there, pull, 0.0),)
    targets = plane(x_grad, image, first, t_image, t_plane, BP)
    for r in tl.static_range(ROWS):
        for a in tl.static_range(SD):
            for b in tl.static_range(SH):
                write(targets, results, ok, o_depth * SD + a, (o_row + r) * SH + b, o_column,
                      ((r * SD + a) * SH + b) * SW, T, S, BP, BW)  # fmt: skip


@triton.jit
def soft_backward(grad, x, x_grad, top, scale, lag, planes, x_image, x_plane, g_image, g_plane, y_image, y_plane,
                  t_image, t_plane, X: tl.constexpr, G: tl.constexpr, Y: tl.constexpr, T: tl.constexpr,
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
    grads = plane(grad, image, first, g_image, g_plane, BP)
    tops = plane(top, image, first, y_image, y_plane, BP)
    scales = plane(scale, image, first, y_image, y_plane, BP)
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
                                    g = read(grads, ok, d, d_ok, h, h_ok, w, w_ok, G, 0.0).to(tl.float32)
                                    m = read(tops, ok, d, d_ok, h, h_ok, w, w_ok, Y, float("inf")).to(tl.float32)
                                    s = read(scales, ok, d, d_ok, h, h_ok, w, w_ok, Y, 0.0)
                                    total += pulled(v, g, m, s, read(lags, ok, d, d_ok, h, h_ok, w, w_ok, Y, 0.0))
                    results = results + (total,)
    targets = plane(x_grad, image, first, t_image, t_plane, BP)
    for a in tl.static_range(SD):
        for r in tl.static_range(ROWS):
            for b in tl.static_range(SH):
                write(targets, results, ok, i_depth * SD + a, (i_row + r) * SH + b, i_column,
                      ((a * ROWS + r) * SH + b) * SW, T, S, BP, BW)  # fmt: skip


def soft_pool(x: Tensor, regions: Window | Adaptive) -> Tensor:
    """The softmax-weighted mean of every region, (..., *output)."""
    return _forward(x, regions, sums=False)[0]


def soft_pool_backward(grad: Tensor, x: Tensor, regions: Window | Adaptive) -> Tensor:
    """The gradient of the map, (..., *spatial), from that of the output."""
    n = regions.ndim
    taps = Taps.of(regions, x.shape[x.ndim - n :])
    x_grad = like(x, x.shape[x.ndim - n :])
    sums = () if taps.apart else _forward(x, regions, sums=True)
    source, target, given, *of_regions = as_maps(n, x, x_grad, grad, *sums)
    grid, tile, warps = over_inputs(target, taps, values=4, rows=2 if taps.apart else 1)
    common = {
        "grad": given.tensor, "x": source.tensor, "x_grad": x_grad, "planes": source.planes,
        "S": taps.stride, "P": taps.padding, "D": taps.dilation, **layouts(x=source, t=target), **tile,
    }  # fmt: skip
    if taps.apart:
        launch(soft_backward_apart, grid, x.device, warps, **layouts(y=given), **common)
    else:
        top, scale, lag = of_regions
        launch(
            soft_backward, grid, x.device, warps,
            top=top.tensor, scale=scale.tensor, lag=lag.tensor,
            K=taps.kernel, BINS=taps.bins, OWNERS=taps.owners, **layouts(g=given, y=top), **common,
        )  # fmt: skip
    return x_grad


def _forward(x: Tensor, regions: Window | Adaptive, sums: bool) -> tuple[Tensor, ...]:
    """The means; with `sums` instead the largest values, 1 over the sums, and how far the means lie below."""
    n = regions.ndim
    taps = Taps.of(regions, x.shape[x.ndim - n :])
    y = like(x, regions.output_shape(x.shape[x.ndim - n :]))
    scale, lag = (torch.empty_like(y, dtype=torch.float32) if sums else y for _ in range(2))
    source, target = as_maps(n, x, y)
    grid, tile, warps = over_outputs(source, target, taps, values=4)
    launch(
        soft_forward, grid, x.device, warps,
        x=source.tensor, y=y, scale=scale, lag=lag, planes=source.planes,
        **layouts(x=source, y=target), **taps.constants, SUMS=sums, **tile,
    )  # fmt: skip
    return (y, scale, lag) if sums else (y,)
