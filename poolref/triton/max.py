"""Max and min pooling.

Forward: one program for each tile of outputs.  It reads every cell of the map once and writes every output once,
e(1+r) bytes for each input cell of e bytes, with r outputs for each input.  For training it also writes, in one byte,
which tap of its region an output came from: r bytes more.  The map itself need not be kept.

Backward: one program for each tile of *inputs*.  A cell looks up the regions it lies in, and takes the gradient of
those that chose it.  So every gradient is written once, by its owner, always in the same order: no atomics, nothing to
clear beforehand, the same bits on every run.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from poolref.regions import Adaptive, Window
from poolref.triton.launch import Taps, as_maps, launch, layouts, like, over_inputs, over_outputs
from poolref.triton.windows import cell, larger, owner, place, plane, read, store, tap, write


@triton.jit
def max_forward(x, y, choice, planes, x_image, x_plane, y_image, y_plane,
                X: tl.constexpr, Y: tl.constexpr, K: tl.constexpr, S: tl.constexpr, P: tl.constexpr, D: tl.constexpr,
                BINS: tl.constexpr, MIN: tl.constexpr, CHOICE: tl.constexpr,
                ROWS: tl.constexpr, BP: tl.constexpr, BW: tl.constexpr):  # fmt: skip
    KD: tl.constexpr = K[0]
    KH: tl.constexpr = K[1]
    KW: tl.constexpr = K[2]
    image, first, o_depth, o_row, o_column = place(planes, Y[0], ROWS, BP, BW)
    x_planes = plane(x, image, first, x_image, x_plane, BP)
    ok = first + tl.arange(0, BP)[:, None] < planes
    columns = o_column + tl.arange(0, BW)[None, :]
    results = ()
    choices = ()
    for r in tl.static_range(ROWS):
        # The first tap of a region that lies in the map is chosen where all of its cells are -inf.
        first_column = tl.zeros((BP, BW), tl.int32) + first_cell(columns, 0, P[2], S[2], D[2], BINS)
        first_row = first_cell(o_depth, 0, P[0], S[0], D[0], BINS) * KH + first_cell(o_row, r, P[1], S[1], D[1], BINS)
        for kd in tl.static_range(KD):
            depth, depth_ok = cell(o_depth, 0, kd, X[0], Y[0], S[0], P[0], D[0], BINS)
            for kh in tl.static_range(KH):
                row, row_ok = cell(o_row, r, kh, X[1], Y[1], S[1], P[1], D[1], BINS)
                # The best of one row of the window; the next window may need the same row again.
                for kw in tl.static_range(KW):
                    v = tap(x_planes, ok, depth, depth_ok, row, row_ok, o_column, kw,
                            X, Y, K, S, P, D, BINS, BP, BW, float("inf") if MIN else float("-inf"))  # fmt: skip
                    v = -v if MIN else v
                    if kw == 0:
                        value = v
                        which = first_column
                    else:
                        which = tl.where((v > value) | (v != v), kw, which)  # of equal cells the first; NaN wins
                        value = larger(value, v)
                if kd + kh == 0:
                    best = value
                    chosen = first_row * KW + which
                else:
                    chosen = tl.where((value > best) | (value != value), (kd * KH + kh) * KW + which, chosen)
                    best = larger(best, value)
        results = results + (-best if MIN else best,)
        choices = choices + (chosen,)
    y_planes = plane(y, image, first, y_image, y_plane, BP)
    choice_planes = plane(choice, image, first, y_image, y_plane, BP)
    for r in tl.static_range(ROWS):
        store(y_planes, results[r], ok, o_depth, o_row + r, columns, Y)
        if CHOICE:
            store(choice_planes, choices[r], ok, o_depth, o_row + r, columns, Y)


@triton.jit
def first_cell(o0, R: tl.constexpr, P: tl.constexpr, S: tl.constexpr, D: tl.constexpr, BINS: tl.constexpr):
    """The first tap of a region that lies in the map."""
    if BINS or P == 0:
        return o0 * 0
    else:
        return tl.maximum((P - R * S + D - 1 - o0 * S) // D, 0)


@triton.jit
def max_backward(grad, choice, x_grad, planes, x_image, x_plane, y_image, y_plane, c_image, c_plane,
                 X: tl.constexpr, Y: tl.constexpr, C: tl.constexpr, K: tl.constexpr, S: tl.constexpr, P: tl.constexpr,
                 D: tl.constexpr, BINS: tl.constexpr, OWNERS: tl.constexpr,
                 ROWS: tl.constexpr, BP: tl.constexpr, BW: tl.constexpr):  # fmt: skip
    TD: tl.constexpr = OWNERS[0]
    TH: tl.constexpr = OWNERS[1]
    TW: tl.constexpr = OWNERS[2]
    SD: tl.constexpr = S[0]
    SH: tl.constexpr = S[1]
    SW: tl.constexpr = S[2]
    DEPTHS: tl.constexpr = (X[0] + S[0] - 1) // S[0]
    image, first, i_depth, i_row, i_column = place(planes, DEPTHS, ROWS, BP, BW)
    grads = plane(grad, image, first, y_image, y_plane, BP)
    choices = plane(choice, image, first, c_image, c_plane, BP)
    ok = first + tl.arange(0, BP)[:, None] < planes
    columns = i_column + tl.arange(0, BW)[None, :]
    results = ()
    for a in tl.static_range(SD):
        for r in tl.static_range(ROWS):
            for b in tl.static_range(SH):
                for c in tl.static_range(SW):
                    total = tl.zeros((BP, BW), tl.float32)
                    for td in tl.static_range(TD):
                        for th in tl.static_range(TH):
                            for tw in tl.static_range(TW):
                                if BINS or ((a + P[0] - td * D[0]) % SD == 0 and (b + P[1] - th * D[1]) % SH == 0
                                            and (c + P[2] - tw * D[2]) % SW == 0):  # fmt: skip
                                    d, d_ok, kd = owner(i_depth, 0, a, td, X[0], Y[0], S[0], P[0], D[0], BINS)
                                    h, h_ok, kh = owner(i_row, r, b, th, X[1], Y[1], S[1], P[1], D[1], BINS)
                                    w, w_ok, kw = owner(columns, 0, c, tw, X[2], Y[2], S[2], P[2], D[2], BINS)
                                    g = read(grads, ok, d, d_ok, h, h_ok, w, w_ok, Y, 0.0).to(tl.float32)
                                    chosen = read(choices, ok, d, d_ok, h, h_ok, w, w_ok, C, 255).to(tl.int32)
                                    mine = (kd * K[1] + kh) * K[2] + kw
                                    total += tl.where(chosen == mine, g, 0.0)
                    results = results + (total,)
    x_planes = plane(x_grad, image, first, x_image, x_plane, BP)
    for a in tl.static_range(SD):
        for r in tl.static_range(ROWS):
            for b in tl.static_range(SH):
                write(x_planes, results, ok, i_depth * SD + a, (i_row + r) * SH + b, i_column,
                      ((a * ROWS + r) * SH + b) * SW, X, S, BP, BW)  # fmt: skip


def max_pool(
    x: Tensor, regions: Window | Adaptive, choices: bool = False, smallest: bool = False
) -> tuple[Tensor, ...]:
    """The largest (or smallest) value of every region, (..., *output); with `choices` also the tap it came from."""
    n = regions.ndim
    taps = Taps.of(regions, x.shape[x.ndim - n :])
    y = like(x, regions.output_shape(x.shape[x.ndim - n :]))
    choice = torch.empty_like(y, dtype=torch.uint8) if choices else y
    source, target = as_maps(n, x, y)
    grid, tile, warps = over_outputs(source, target, taps, values=4 if taps.bins else 8)
    launch(
        max_forward, grid, x.device, warps,
        x=source.tensor, y=y, choice=choice, planes=source.planes,
        **layouts(x=source, y=target), **taps.constants, MIN=smallest, CHOICE=choices, **tile,
    )  # fmt: skip
    return (y, choice) if choices else (y,)


def max_pool_backward(
    grad: Tensor,
    choice: Tensor,
    regions: Window | Adaptive,
    spatial: tuple[int, ...],
    channels_last: bool | None = None,
) -> Tensor:
    """The gradient of the map, (..., *spatial), from that of the output and the taps that `max_pool` gave."""
    n = regions.ndim
    taps = Taps.of(regions, spatial)
    x_grad = like(choice, spatial, grad.dtype, channels_last)
    target, source, chosen = as_maps(n, x_grad, grad, choice)
    grid, tile, warps = over_inputs(target, taps)
    launch(
        max_backward, grid, grad.device, warps,
        grad=source.tensor, choice=chosen.tensor, x_grad=x_grad, planes=target.planes,
        **layouts(x=target, y=source, c=chosen), **taps.constants, OWNERS=taps.owners, **tile,
    )  # fmt: skip
    return x_grad
