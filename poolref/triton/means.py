"""Means and norms of a function of the cells: what GeM, Lp and log-mean-exp pooling have in common.

All three are `y = f^-1(mean of f(x))`: GeM takes `f(x) = max(x, eps)^p`, log-mean-exp `f(x) = exp(r x)`, and Lp
`f(x) = |x|^p` with a sum in place of the mean.  The number, p or r, is called t here.  It is read for every plane, and
may be learned; a plain p of 1, 2, 3 or 4 is `POWER`, and multiplies, where any other p takes a logarithm and an
exponential of every cell.

Forward: one program for each tile of outputs, e(1+r) bytes for each input cell of e bytes, with r outputs for each
input.  A region is read twice, first for its largest value, then for the sum; the second time it is in registers.

Backward: a cell has from a region the gradient times `f'(x) / f'(y)`.  Where windows do not overlap, that needs nothing
but the map and the gradient, and the region's sum is taken anew: e(2+r) bytes.  Where they overlap, a first kernel
writes the largest value of every region and all of the product that does not depend on the cell, 8r bytes that are
freed at once, and a second one gathers.  Nothing is saved but the map.  A learned t has from every program one sum for
each plane, and these are then added, always in the same order.

Everything is measured from the largest value of a region, so nothing overflows before its result does.  Log-mean-exp
subtracts it.  Powers are scaled by the power of two that brings it to between 2 and 4, which rounds nothing.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from poolref.regions import Adaptive, Window
from poolref.triton.average import multiplier, part_of
from poolref.triton.launch import Taps, as_maps, launch, layouts, like, over_inputs, over_outputs
from poolref.triton.windows import cell, owner, place, plane, read, store, tap, write

# --- the functions: f, its inverse and its slope, for cells and regions of any shape ---------------------------------

INTERPRETED = tl.constexpr(triton.knobs.runtime.interpret)  # by Triton's interpreter, which knows no machine code


@triton.jit
def log2(x):
    """The binary logarithm by one instruction, of numbers that lie between 0 and 2^13."""
    if INTERPRETED:
        return tl.log2(x)
    else:
        return tl.inline_asm_elementwise("lg2.approx.ftz.f32 $0, $1;", "=f,f", [x], tl.float32, True, 1)


@triton.jit
def exp2(x):
    """2^x by one instruction."""
    if INTERPRETED:
        return tl.exp2(x)
    else:
        return tl.inline_asm_elementwise("ex2.approx.ftz.f32 $0, $1;", "=f,f", [x], tl.float32, True, 1)


@triton.jit
def kept(x, eps, F: tl.constexpr):
    """What a cell counts as."""
    if F == "gem":
        return tl.maximum(x, eps, propagate_nan=tl.PropagateNan.ALL)
    elif F == "lp":
        return tl.abs(x)
    else:
        return x


@triton.jit
def exponent(largest):
    """The bits of the largest power of two that `largest` holds; inf holds inf."""
    return tl.maximum(largest.to(tl.int32, bitcast=True) & 0x7F800000, 0x00800000)


@triton.jit
def scaled(k, largest):
    """`k` times the power of two that brings `largest` to between 2 and 4; if that is inf, 1 for inf and else 0."""
    scale = (0x7F800000 - exponent(largest)).to(tl.float32, bitcast=True)
    return tl.where(k == float("inf"), 1.0, k * scale)


@triton.jit
def power(a, POWER: tl.constexpr):
    if POWER == 0:
        return a * 0 + 1  # NaN of NaN
    elif POWER == 1:
        return a
    elif POWER == 2:
        return a * a
    elif POWER == 3:
        return a * a * a
    else:
        return (a * a) * (a * a)


@triton.jit
def root(a, POWER: tl.constexpr):
    if POWER == 1:
        return a
    elif POWER == 2:
        return tl.sqrt(a)
    elif POWER == 3:
        return exp2(log2(a) * (1 / 3))
    else:
        return tl.sqrt(tl.sqrt(a))


@triton.jit
def level(k, largest, F: tl.constexpr):
    """How far a cell is below the largest of its region: log2 of their ratio, or for log-mean-exp their difference."""
    if F == "lse":
        return tl.where(k == largest, 0.0, k - largest) * 1.4426950408889634  # inf - inf is no gap
    else:
        return log2(scaled(k, largest)) - log2(tl.maximum(scaled(largest, largest), 1e-30))  # 0 is far below 0


@triton.jit
def raised(k, largest, t, POWER: tl.constexpr, F: tl.constexpr):
    """f of a cell, up to a factor that all cells of the region share."""
    if POWER > 0:
        return power(scaled(k, largest), POWER)
    else:
        return exp2(t * level(k, largest, F))


@triton.jit
def raised_minus_1(k, largest, t):
    """`exp(r (x - largest)) - 1`, to all of its digits where it is nearly 0."""
    u = t * level(k, largest, "lse")
    near = ((((0.00115544 * u + 0.00954228) * u + 0.05549072) * u + 0.24022567) * u + 0.69314717) * u
    return tl.where(u > -0.5, near, exp2(u) - 1)  # from -0.5 to 0 the polynomial is within 2e-8 of 2^u - 1


@triton.jit
def log2_of(mean, excess, F: tl.constexpr):
    """The binary logarithm of a mean; for log-mean-exp from what it has above 1, to all digits where it is near."""
    if F == "lse":
        a = excess / (2 + excess)
        near = a * (((0.41219858 * a * a + 0.57707802) * a * a + 0.96179669) * a * a + 2.88539008)  # of (1+a) / (1-a)
        return tl.where(excess > -0.25, near, log2(1 + excess))
    else:
        return log2(mean)


@triton.jit
def lowered(mean, excess, largest, t, POWER: tl.constexpr, F: tl.constexpr):
    """The inverse of f, for a mean (in Lp: a sum) of what `raised` gives; `excess` is that of `raised_minus_1`."""
    if POWER > 0:
        return root(mean, POWER) * 0.5 * exponent(largest).to(tl.float32, bitcast=True)
    above = log2_of(mean, excess, F) / t
    if F == "lse":
        return tl.where(largest == float("-inf"), largest, largest + above * 0.6931471805599453)
    else:
        return largest * exp2(above)


@triton.jit
def slope_of_region(g, total, mean, largest, t, part, POWER: tl.constexpr, F: tl.constexpr):
    """The gradient `g` of a region times that part of `f'(x) / f'(y)` that all cells share; `part` is 1 over them."""
    if F == "lse":
        slope = tl.where(largest == float("-inf"), 0.0, g / total)
    elif POWER > 0:
        slope = g * part / power(root(mean, POWER), POWER - 1)
    else:
        slope = g * exp2(log2(mean) / t) / total
    if F == "lp":  # a norm of 0 has no slope, and one of inf that of its infinite cells
        slope = tl.where(total == 0, 0.0, tl.where(largest == float("inf"), g, slope))
    return slope


@triton.jit
def slope_of_cell(x, slope, largest, t, eps, POWER: tl.constexpr, F: tl.constexpr):
    """The gradient that a cell has from a region: `slope_of_region` times the part of the cell."""
    k = kept(x, eps, F)
    if POWER > 0:
        pull = slope * power(scaled(k, largest), POWER - 1)
    elif F == "lse":
        pull = slope * raised(k, largest, t, POWER, F)
    else:
        pull = slope * exp2((t - 1) * tl.maximum(level(k, largest, F), -1e30))  # -inf * 0 would be NaN
    if F == "gem":
        pull = tl.where(x < eps, 0.0, pull)
    if F == "lp":
        pull = tl.where(x == 0, 0.0, tl.where(x < 0, -pull, pull))
    return pull


@triton.jit
def slope_of_t(g, total, weighted, mean, excess, largest, t, F: tl.constexpr):
    """The share of a region in the gradient of t; `weighted` is the sum of f times the level, over its cells."""
    slope = g * (weighted / total - log2_of(mean, excess, F) / t) / t * 0.6931471805599453
    if F == "lse":
        return tl.where(tl.abs(largest) == float("inf"), 0.0, slope)
    else:
        y = lowered(mean, excess, largest, t, 0, F)
        return tl.where(largest == 0, 0.0, slope * y)  # a region without cells has no slope


# --- the regions ----------------------------------------------------------------------------------------------------


@triton.jit
def region(planes, ok, o_depth, o_row, o_column, R: tl.constexpr, eps,
           X: tl.constexpr, Y: tl.constexpr, K: tl.constexpr, S: tl.constexpr, P: tl.constexpr, D: tl.constexpr,
           BINS: tl.constexpr, COUNT: tl.constexpr, F: tl.constexpr, BP: tl.constexpr, BW: tl.constexpr):  # fmt: skip
    """Tap by tap the cells of the regions in row `R` of a tile, what they count as, and whether they are there."""
    KD: tl.constexpr = K[0]
    KH: tl.constexpr = K[1]
    KW: tl.constexpr = K[2]
    columns = o_column + tl.arange(0, BW)[None, :]
    cells = ()
    counted = ()
    there = ()
    for kd in tl.static_range(KD):
        depth, depth_ok = cell(o_depth, 0, kd, X[0], Y[0], S[0], P[0], D[0], BINS)
        for kh in tl.static_range(KH):
            row, row_ok = cell(o_row, R, kh, X[1], Y[1], S[1], P[1], D[1], BINS)
            for kw in tl.static_range(KW):
                _, column_ok = cell(columns, 0, kw, X[2], Y[2], S[2], P[2], D[2], BINS)
                v = tap(planes, ok, depth, depth_ok, row, row_ok, o_column, kw,
                        X, Y, K, S, P, D, BINS, BP, BW, float("-inf") if F == "lse" else 0.0)  # fmt: skip
                k = kept(v, eps, F)
                cells = cells + (v,)
                counted = counted + (tl.where(depth_ok & row_ok & column_ok, k, 0.0) if F == "gem" and COUNT else k,)
                there = there + (depth_ok & row_ok & column_ok,)
    return cells, counted, there


@triton.jit
def sums(counted, there, t, K: tl.constexpr, COUNT: tl.constexpr, POWER: tl.constexpr, F: tl.constexpr,
         LEARNED: tl.constexpr):  # fmt: skip
    """Of the cells of a region the largest, the sum of f, that of f - 1, and that of f times the level."""
    ROWS: tl.constexpr = K[0] * K[1]
    KW: tl.constexpr = K[2]
    largest = counted[0]
    for i in tl.static_range(ROWS):
        of_row = counted[i * KW]  # the next window may need the same row again
        for j in tl.static_range(1, KW):
            of_row = tl.maximum(of_row, counted[i * KW + j], propagate_nan=tl.PropagateNan.ALL)
        largest = tl.maximum(largest, of_row, propagate_nan=tl.PropagateNan.ALL)
    total = tl.zeros_like(largest)
    excess = tl.zeros_like(largest)
    weighted = tl.zeros_like(largest)
    for i in tl.static_range(ROWS * KW):
        f = raised(counted[i], largest, t, POWER, F)
        total += f
        if F == "lse":
            e = raised_minus_1(counted[i], largest, t)
            excess += tl.where(there[i], e, 0.0) if COUNT else e
        if LEARNED:
            weighted += f * tl.maximum(level(counted[i], largest, F), -1e30)
    return largest, total, excess, weighted


# --- the kernels ----------------------------------------------------------------------------------------------------


@triton.jit
def number(t, image, first, planes, t_image, t_plane, BP: tl.constexpr):
    """t of every plane of the tile, (BP, 1)."""
    block = first + tl.arange(0, BP)[:, None]
    return tl.load(t + image * t_image + block * t_plane, block < planes, 1.0)


@triton.jit
def mean_forward(x, y, t, planes, x_image, x_plane, y_image, y_plane, t_image, t_plane, eps, factor,
                 X: tl.constexpr, Y: tl.constexpr, K: tl.constexpr, S: tl.constexpr, P: tl.constexpr, D: tl.constexpr,
                 BINS: tl.constexpr, COUNT: tl.constexpr, POWER: tl.constexpr, F: tl.constexpr,
                 ROWS: tl.constexpr, BP: tl.constexpr, BW: tl.constexpr):  # fmt: skip
    image, first, o_depth, o_row, o_column = place(planes, Y[0], ROWS, BP, BW)
    x_planes = plane(x, image, first, x_image, x_plane, BP)
    ok = first + tl.arange(0, BP)[:, None] < planes
    columns = o_column + tl.arange(0, BW)[None, :]
    of_plane = POWER if POWER > 0 else number(t, image, first, planes, t_image, t_plane, BP)
    results = ()
    for r in tl.static_range(ROWS):
        _, counted, there = region(x_planes, ok, o_depth, o_row, o_column, r, eps,
                                   X, Y, K, S, P, D, BINS, COUNT, F, BP, BW)  # fmt: skip
        largest, total, excess, _ = sums(counted, there, of_plane, K, COUNT, POWER, F, False)
        part = part_of(o_depth, o_row + r, columns, factor, X, Y, K, S, P, D, BINS, False, COUNT)
        results = results + (lowered(total * part, excess * part, largest, of_plane, POWER, F),)
    y_planes = plane(y, image, first, y_image, y_plane, BP)
    for r in tl.static_range(ROWS):
        store(y_planes, results[r], ok, o_depth, o_row + r, columns, Y)


@triton.jit
def mean_slopes(grad, x, top, slope, t, t_grad, planes, x_image, x_plane, y_image, y_plane, g_image, g_plane,
                t_image, t_plane, eps, factor,
                X: tl.constexpr, Y: tl.constexpr, G: tl.constexpr, K: tl.constexpr, S: tl.constexpr, P: tl.constexpr,
                D: tl.constexpr, BINS: tl.constexpr, COUNT: tl.constexpr, POWER: tl.constexpr, F: tl.constexpr,
                LEARNED: tl.constexpr, ROWS: tl.constexpr, BP: tl.constexpr, BW: tl.constexpr):  # fmt: skip
    """Of every region the largest value, and the gradient that its cells share."""
    image, first, o_depth, o_row, o_column = place(planes, Y[0], ROWS, BP, BW)
    x_planes = plane(x, image, first, x_image, x_plane, BP)
    grads = plane(grad, image, first, g_image, g_plane, BP)
    ok = first + tl.arange(0, BP)[:, None] < planes
    columns = o_column + tl.arange(0, BW)[None, :]
    of_plane = POWER if POWER > 0 else number(t, image, first, planes, t_image, t_plane, BP)
    tops = ()
    slopes = ()
    of_t = tl.zeros((BP, BW), tl.float32)
    for r in tl.static_range(ROWS):
        _, counted, there = region(x_planes, ok, o_depth, o_row, o_column, r, eps,
                                   X, Y, K, S, P, D, BINS, COUNT, F, BP, BW)  # fmt: skip
        largest, total, excess, weighted = sums(counted, there, of_plane, K, COUNT, POWER, F, LEARNED)
        part = part_of(o_depth, o_row + r, columns, factor, X, Y, K, S, P, D, BINS, False, COUNT)
        row_ok, column_ok = o_row + r < Y[1], columns < Y[2]
        g = read(grads, ok, o_depth, True, o_row + r, row_ok, columns, column_ok, G, 0.0).to(tl.float32)
        tops = tops + (largest,)
        slopes = slopes + (slope_of_region(g, total, total * part, largest, of_plane, part, POWER, F),)
        if LEARNED:
            more = slope_of_t(g, total, weighted, total * part, excess * part, largest, of_plane, F)
            of_t += tl.where(row_ok & column_ok, more, 0.0)
    top_planes = plane(top, image, first, y_image, y_plane, BP)
    slope_planes = plane(slope, image, first, y_image, y_plane, BP)
    for r in tl.static_range(ROWS):
        store(top_planes, tops[r], ok, o_depth, o_row + r, columns, Y)
        store(slope_planes, slopes[r], ok, o_depth, o_row + r, columns, Y)
    if LEARNED:
        store_of_t(t_grad, of_t, image, first, planes, o_depth, Y[0], BP)


@triton.jit
def store_of_t(t_grad, of_t, image, first, planes, depth, DEPTHS: tl.constexpr, BP: tl.constexpr):
    """The sums of this tile, one for each plane: the tiles are the rows of `t_grad`, and all planes its columns."""
    images = tl.num_programs(0) // (DEPTHS * tl.cdiv(planes, BP))
    tile = (depth * tl.num_programs(1) + tl.program_id(1)) * tl.num_programs(2) + tl.program_id(2)
    block = first + tl.arange(0, BP)
    offset = (tile.to(tl.int64) * images + image) * planes + block
    tl.store(t_grad + offset, tl.sum(of_t, 1), block < planes)


@triton.jit
def mean_backward_apart(grad, x, x_grad, t, t_grad, planes, x_image, x_plane, y_image, y_plane, g_image, g_plane,
                        t_image, t_plane, eps, factor,
                        X: tl.constexpr, Y: tl.constexpr, G: tl.constexpr, S: tl.constexpr, P: tl.constexpr,
                        D: tl.constexpr, COUNT: tl.constexpr, POWER: tl.constexpr, F: tl.constexpr,
                        LEARNED: tl.constexpr, ROWS: tl.constexpr, BP: tl.constexpr, BW: tl.constexpr):  # fmt: skip
    """Windows side by side: a program owns windows and all of their cells."""
    SD: tl.constexpr = S[0]
    SH: tl.constexpr = S[1]
    SW: tl.constexpr = S[2]
    DEPTHS: tl.constexpr = (X[0] + S[0] - 1) // S[0]
    image, first, o_depth, o_row, o_column = place(planes, DEPTHS, ROWS, BP, BW)
    x_planes = plane(x, image, first, x_image, x_plane, BP)
    grads = plane(grad, image, first, g_image, g_plane, BP)
    ok = first + tl.arange(0, BP)[:, None] < planes
    columns = o_column + tl.arange(0, BW)[None, :]
    of_plane = POWER if POWER > 0 else number(t, image, first, planes, t_image, t_plane, BP)
    results = ()
    of_t = tl.zeros((BP, BW), tl.float32)
    for r in tl.static_range(ROWS):
        cells, counted, there = region(x_planes, ok, o_depth, o_row, o_column, r, eps,
                                       X, G, S, S, P, D, False, COUNT, F, BP, BW)  # fmt: skip
        largest, total, excess, weighted = sums(counted, there, of_plane, S, COUNT, POWER, F, LEARNED)
        part = part_of(o_depth, o_row + r, columns, factor, X, G, S, S, P, D, False, False, COUNT)
        depth_ok, row_ok, column_ok = o_depth < G[0], o_row + r < G[1], columns < G[2]
        inside = depth_ok & row_ok & column_ok  # not so for cells that are left over
        g = read(grads, ok, o_depth, depth_ok, o_row + r, row_ok, columns, column_ok, G, 0.0).to(tl.float32)
        slope = slope_of_region(g, total, total * part, largest, of_plane, part, POWER, F)
        for i in tl.static_range(SD * SH * SW):
            pull = slope_of_cell(cells[i], slope, largest, of_plane, eps, POWER, F)
            results = results + (tl.where(inside, pull, 0.0),)
        if LEARNED:
            more = slope_of_t(g, total, weighted, total * part, excess * part, largest, of_plane, F)
            of_t += tl.where(inside, more, 0.0)
    targets = plane(x_grad, image, first, y_image, y_plane, BP)
    for r in tl.static_range(ROWS):
        for a in tl.static_range(SD):
            for b in tl.static_range(SH):
                write(targets, results, ok, o_depth * SD + a, (o_row + r) * SH + b, o_column,
                      ((r * SD + a) * SH + b) * SW, Y, S, BP, BW)  # fmt: skip
    if LEARNED:
        store_of_t(t_grad, of_t, image, first, planes, o_depth, DEPTHS, BP)


@triton.jit
def mean_backward(x, x_grad, top, slope, t, planes, x_image, x_plane, y_image, y_plane, g_image, g_plane,
                  t_image, t_plane, eps, X: tl.constexpr, Y: tl.constexpr, G: tl.constexpr,
                  K: tl.constexpr, S: tl.constexpr, P: tl.constexpr, D: tl.constexpr, BINS: tl.constexpr,
                  OWNERS: tl.constexpr, POWER: tl.constexpr, F: tl.constexpr,
                  ROWS: tl.constexpr, BP: tl.constexpr, BW: tl.constexpr):  # fmt: skip
    TD: tl.constexpr = OWNERS[0]
    TH: tl.constexpr = OWNERS[1]
    TW: tl.constexpr = OWNERS[2]
    SD: tl.constexpr = S[0]
    SH: tl.constexpr = S[1]
    SW: tl.constexpr = S[2]
    DEPTHS: tl.constexpr = (X[0] + S[0] - 1) // S[0]
    image, first, i_depth, i_row, i_column = place(planes, DEPTHS, ROWS, BP, BW)
    x_planes = plane(x, image, first, x_image, x_plane, BP)
    tops = plane(top, image, first, g_image, g_plane, BP)
    slopes = plane(slope, image, first, g_image, g_plane, BP)
    ok = first + tl.arange(0, BP)[:, None] < planes
    columns = i_column + tl.arange(0, BW)[None, :]
    of_plane = POWER if POWER > 0 else number(t, image, first, planes, t_image, t_plane, BP)
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
                                    d, d_ok, _ = owner(i_depth, 0, a, td, X[0], G[0], S[0], P[0], D[0], BINS)
                                    h, h_ok, _ = owner(i_row, r, b, th, X[1], G[1], S[1], P[1], D[1], BINS)
                                    w, w_ok, _ = owner(columns, 0, c, tw, X[2], G[2], S[2], P[2], D[2], BINS)
                                    m = read(tops, ok, d, d_ok, h, h_ok, w, w_ok, G, 1.0)
                                    s = read(slopes, ok, d, d_ok, h, h_ok, w, w_ok, G, 0.0)
                                    pull = slope_of_cell(v, s, m, of_plane, eps, POWER, F)
                                    # Beyond the edge there is no region, and the power may overflow.
                                    total += tl.where(d_ok & h_ok & w_ok, pull, 0.0)
                    results = results + (total,)
    targets = plane(x_grad, image, first, y_image, y_plane, BP)
    for a in tl.static_range(SD):
        for r in tl.static_range(ROWS):
            for b in tl.static_range(SH):
                write(targets, results, ok, i_depth * SD + a, (i_row + r) * SH + b, i_column,
                      ((a * ROWS + r) * SH + b) * SW, Y, S, BP, BW)  # fmt: skip


# --- from tensors to kernels: gem.py, lp.py and lse.py call these ----------------------------------------------------


def mean_pool(f: str, x: Tensor, regions: Window | Adaptive, t: float | Tensor, eps: float = 0.0) -> Tensor:
    """`f^-1(mean of f(x))` over every region, (..., *output); t is a plain number, or broadcasts against x."""
    n = regions.ndim
    spatial = x.shape[x.ndim - n :]
    taps = Taps.of(regions, spatial)
    y = like(x, regions.output_shape(spatial))
    source, target, numbers = as_maps(n, x, y, of_planes(f, x, n, t))
    grid, tile, warps = over_outputs(source, target, taps, values=4)
    launch(
        mean_forward, grid, x.device, warps,
        x=source.tensor, y=y, t=numbers.tensor, planes=source.planes,
        t_image=numbers.image_stride, t_plane=numbers.plane_stride, **layouts(x=source, y=target),
        **taps.constants, **multiplier(regions, spatial, taps, padded=False, divisor=1 if f == "lp" else None),
        eps=eps, POWER=plain_power(f, t), F=f, **tile,
    )  # fmt: skip
    return y


def mean_pool_backward(
    f: str,
    grad: Tensor,
    x: Tensor,
    regions: Window | Adaptive,
    t: float | Tensor,
    learned: bool = False,
    eps: float = 0.0,
) -> tuple[Tensor, Tensor | None]:
    """The gradients of the map, (..., *spatial), and, if it is learned, of t for every plane, (..., *ones)."""
    n = regions.ndim
    spatial = x.shape[x.ndim - n :]
    taps = Taps.of(regions, spatial)
    x_grad = like(x, spatial)
    top = like(x, regions.output_shape(spatial), torch.float32)
    slope = torch.empty_like(top)
    source, target, given, tops, slopes, numbers = as_maps(n, x, x_grad, grad, top, slope, of_planes(f, x, n, t))
    common = {
        "x": source.tensor, "t": numbers.tensor, "planes": source.planes, **layouts(x=source),
        "t_image": numbers.image_stride, "t_plane": numbers.plane_stride, "eps": eps,
        "POWER": plain_power(f, t), "F": f, "S": taps.stride, "P": taps.padding, "D": taps.dilation,
    }  # fmt: skip
    of_map = {"x_grad": x_grad, **layouts(y=target)}
    of_grad = {
        "grad": given.tensor, **layouts(g=given),
        **multiplier(regions, spatial, taps, padded=False, divisor=1 if f == "lp" else None), "LEARNED": learned,
    }  # fmt: skip

    def of_t(grid: tuple[int, ...], depths: int) -> Tensor:
        shape = (depths * grid[1] * grid[2], source.images * source.planes)
        return x.new_empty(shape if learned else 0, dtype=torch.float32)

    if taps.apart:
        grid, tile, warps = over_inputs(target, taps, values=4)
        t_grad = of_t(grid, -(-target.sizes[0] // taps.stride[0]))
        launch(mean_backward_apart, grid, x.device, warps, t_grad=t_grad, **common, **of_map, **of_grad, **tile)
    else:
        grid, tile, warps = over_outputs(source, tops, taps, values=4)
        t_grad = of_t(grid, tops.sizes[0])
        launch(
            mean_slopes, grid, x.device, warps, top=tops.tensor, slope=slopes.tensor, t_grad=t_grad,
            K=taps.kernel, BINS=taps.bins, **layouts(y=tops), **common, **of_grad, **tile,
        )  # fmt: skip
        grid, tile, warps = over_inputs(target, taps, values=4)
        launch(
            mean_backward, grid, x.device, warps, top=tops.tensor, slope=slopes.tensor,
            K=taps.kernel, BINS=taps.bins, OWNERS=taps.owners, **layouts(g=tops), **common, **of_map, **tile,
        )  # fmt: skip
    return x_grad, t_grad.sum(0).view(*x.shape[: x.ndim - n], *[1] * n) if learned else None


def plain_power(f: str, t: float | Tensor) -> int:
    """The power that multiplications give, or 0."""
    return int(t) if f != "lse" and not isinstance(t, Tensor) and t in (1, 2, 3, 4) else 0


def of_planes(f: str, x: Tensor, n: int, t: float | Tensor) -> Tensor:
    """t for every plane of x, with spatial axes of 1."""
    if plain_power(f, t):
        t = x.new_empty(())  # which no kernel reads
    elif not isinstance(t, Tensor):
        t = x.new_full((), t, dtype=torch.float32)
    return t.expand(*x.shape[: x.ndim - n], *[1] * n)
