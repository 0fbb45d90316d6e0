"""Average and sum pooling.

Forward: one program for each tile of outputs; e(1+r) bytes for each input cell of e bytes, with r outputs for each
input.  Sums are taken in float32 whatever is stored.  How many cells a region has is a product of three numbers, one
for each axis, so it is known for a whole row at once, and a value is multiplied, never divided.

Backward: one program for each tile of inputs, e(1+r) bytes.  A cell adds up the shares of the regions it lies in.
Nothing is saved: the gradient of a mean does not depend on the map.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import triton
import triton.language as tl
from torch import Tensor

from poolref.regions import Adaptive, Window
from poolref.triton.launch import Taps, as_maps, launch, layouts, like, over_inputs, over_outputs
from poolref.triton.windows import behind, cell, owner, place, plane, read, start, store, tap, write


@triton.jit
def share(o, N: tl.constexpr, O: tl.constexpr, K: tl.constexpr, S: tl.constexpr, P: tl.constexpr, D: tl.constexpr,
          BINS: tl.constexpr, PADDED: tl.constexpr):  # fmt: skip
    """Along one axis: 1 over the number of cells of region `o`, padding included if `PADDED`."""
    if BINS:
        cells = behind(o, N, O) - start(o, N, O)
    else:
        first = o * S - P
        end = tl.minimum(first + D * (K - 1) + 1, N + P if PADDED else N)
        skipped = 0 if PADDED else (tl.maximum(-first, 0) + D - 1) // D  # taps before the map
        cells = tl.maximum((end - first + D - 1) // D - skipped, 0)
    return 1.0 / cells.to(tl.float32)


@triton.jit
def part_of(o_depth, row, columns, factor, X: tl.constexpr, Y: tl.constexpr, K: tl.constexpr, S: tl.constexpr,
            P: tl.constexpr, D: tl.constexpr, BINS: tl.constexpr, PADDED: tl.constexpr,
            COUNT: tl.constexpr):  # fmt: skip
    """What the sum of a region is multiplied by: 1 over the number of its cells if they are to `COUNT`, or `factor`."""
    if COUNT:
        part = share(o_depth, X[0], Y[0], K[0], S[0], P[0], D[0], BINS, PADDED)
        part *= share(row, X[1], Y[1], K[1], S[1], P[1], D[1], BINS, PADDED)
        return part * share(columns, X[2], Y[2], K[2], S[2], P[2], D[2], BINS, PADDED)
    else:
        return factor


@triton.jit
def average_forward(x, y, planes, x_image, x_plane, y_image, y_plane, factor,
                    X: tl.constexpr, Y: tl.constexpr, K: tl.constexpr, S: tl.constexpr, P: tl.constexpr,
                    D: tl.constexpr, BINS: tl.constexpr, PADDED: tl.constexpr, COUNT: tl.constexpr,
                    ROWS: tl.constexpr, BP: tl.constexpr, BW: tl.constexpr):  # fmt: skip
    KD: tl.constexpr = K[0]
    KH: tl.constexpr = K[1]
    KW: tl.constexpr = K[2]
    image, first, o_depth, o_row, o_column = place(planes, Y[0], ROWS, BP, BW)
    x_planes = plane(x, image, first, x_image, x_plane, BP)
    ok = first + tl.arange(0, BP)[:, None] < planes
    columns = o_column + tl.arange(0, BW)[None, :]
    results = ()
    for r in tl.static_range(ROWS):
        total = tl.zeros((BP, BW), tl.float32)
        for kd in tl.static_range(KD):
            depth, depth_ok = cell(o_depth, 0, kd, X[0], Y[0], S[0], P[0], D[0], BINS)
            for kh in tl.static_range(KH):
                row, row_ok = cell(o_row, r, kh, X[1], Y[1], S[1], P[1], D[1], BINS)
                of_row = tl.zeros((BP, BW), tl.float32)  # the next window may need the same row again
                for kw in tl.static_range(KW):
                    of_row += tap(x_planes, ok, depth, depth_ok, row, row_ok, o_column, kw,
                                  X, Y, K, S, P, D, BINS, BP, BW, 0.0)  # fmt: skip
                total += of_row
        part = part_of(o_depth, o_row + r, columns, factor, X, Y, K, S, P, D, BINS, PADDED, COUNT)
        results = results + (total * part,)
    y_planes = plane(y, image, first, y_image, y_plane, BP)
    for r in tl.static_range(ROWS):
        store(y_planes, results[r], ok, o_depth, o_row + r, columns, Y)


@triton.jit
def average_backward(grad, x_grad, planes, x_image, x_plane, y_image, y_plane, factor,
                     X: tl.constexpr, Y: tl.constexpr, K: tl.constexpr, S: tl.constexpr, P: tl.constexpr,
                     D: tl.constexpr, BINS: tl.constexpr, PADDED: tl.constexpr, COUNT: tl.constexpr,
                     OWNERS: tl.constexpr, ROWS: tl.constexpr, BP: tl.constexpr, BW: tl.constexpr):  # fmt: skip
    TD: tl.constexpr = OWNERS[0]
    TH: tl.constexpr = OWNERS[1]
    TW: tl.constexpr = OWNERS[2]
    SD: tl.constexpr = S[0]
    SH: tl.constexpr = S[1]
    SW: tl.constexpr = S[2]
    DEPTHS: tl.constexpr = (X[0] + S[0] - 1) // S[0]
    image, first, i_depth, i_row, i_column = place(planes, DEPTHS, ROWS, BP, BW)
    grads = plane(grad, image, first, y_image, y_plane, BP)
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
                            of_row = tl.zeros((BP, BW), tl.float32)
                            for tw in tl.static_range(TW):
                                if BINS or ((a + P[0] - td * D[0]) % SD == 0 and (b + P[1] - th * D[1]) % SH == 0
                                            and (c + P[2] - tw * D[2]) % SW == 0):  # fmt: skip
                                    d, d_ok, _ = owner(i_depth, 0, a, td, X[0], Y[0], S[0], P[0], D[0], BINS)
                                    h, h_ok, _ = owner(i_row, r, b, th, X[1], Y[1], S[1], P[1], D[1], BINS)
                                    w, w_ok, _ = owner(columns, 0, c, tw, X[2], Y[2], S[2], P[2], D[2], BINS)
                                    g = read(grads, ok, d, d_ok, h, h_ok, w, w_ok, Y, 0.0).to(tl.float32)
                                    if COUNT:
                                        part = part_of(d, h, w, factor, X, Y, K, S, P, D, BINS, PADDED, COUNT)
                                        # Beyond the edge there is no region, and no number of cells.
                                        of_row += tl.where(d_ok & h_ok & w_ok, g * part, 0.0)
                                    else:
                                        of_row += g
                            total += of_row
                    results = results + (total * factor,)
    x_planes = plane(x_grad, image, first, x_image, x_plane, BP)
    for a in tl.static_range(SD):
        for r in tl.static_range(ROWS):
            for b in tl.static_range(SH):
                write(x_planes, results, ok, i_depth * SD + a, (i_row + r) * SH + b, i_column,
                      ((a * ROWS + r) * SH + b) * SW, X, S, BP, BW)  # fmt: skip


def avg_pool(
    x: Tensor, regions: Window | Adaptive, count_include_pad: bool = True, divisor: float | None = None
) -> Tensor:
    """The mean of every region, (..., *output); with `divisor` the sum over it, and with a divisor of 1 the sum."""
    n = regions.ndim
    spatial = x.shape[x.ndim - n :]
    taps = Taps.of(regions, spatial)
    y = like(x, regions.output_shape(spatial))
    source, target = as_maps(n, x, y)
    grid, tile, warps = over_outputs(source, target, taps, values=4 if taps.bins else 8)
    launch(
        average_forward, grid, x.device, warps,
        x=source.tensor, y=y, planes=source.planes,
        **layouts(x=source, y=target), **taps.constants,
        **multiplier(regions, spatial, taps, count_include_pad, divisor), PADDED=count_include_pad, **tile,
    )  # fmt: skip
    return y


def avg_pool_backward(
    grad: Tensor,
    regions: Window | Adaptive,
    spatial: tuple[int, ...],
    count_include_pad: bool = True,
    divisor: float | None = None,
    channels_last: bool | None = None,
) -> Tensor:
    """The gradient of the map, (..., *spatial), from that of the output."""
    n = regions.ndim
    taps = Taps.of(regions, spatial)
    x_grad = like(grad, spatial, channels_last=channels_last)
    target, source = as_maps(n, x_grad, grad)
    grid, tile, warps = over_inputs(target, taps)
    launch(
        average_backward, grid, grad.device, warps,
        grad=source.tensor, x_grad=x_grad, planes=target.planes,
        **layouts(x=target, y=source), **taps.constants,
        **multiplier(regions, spatial, taps, count_include_pad, divisor), PADDED=count_include_pad,
        OWNERS=taps.owners, **tile,
    )  # fmt: skip
    return x_grad


def multiplier(
    regions: Window | Adaptive, spatial: Sequence[int], taps: Taps, padded: bool, divisor: float | None
) -> dict:
    """What a sum is multiplied by: one factor where all regions have equally many cells, else 1 over their counts."""
    if divisor is None and not taps.bins:
        # The first window lacks most at the start of the map, the last one at its end.
        of_axes = (of_axis[3 - regions.ndim :] for of_axis in (taps.kernel, taps.stride, taps.padding, taps.dilation))
        lacking = 0
        for n, o, k, s, p, d in zip(spatial, regions.output_shape(spatial), *of_axes):
            lacking = max(lacking, 0 if padded else p, (o - 1) * s + d * (k - 1) + 1 - n - p * (1 + padded))
        if not lacking:
            divisor = prod(taps.kernel)
    counted = divisor is None
    return {"factor": 1.0 if counted else 1.0 / divisor, "COUNT": counted}
