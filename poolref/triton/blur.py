"""Blur pooling and max-blur pooling.

Both smooth a map and keep every `stride`-th cell.  With a max window of one cell the map is the input itself; else it
is the map of the maxima, which is never written: a program takes the maxima that its outputs need where it needs them.

The filter has `2 H + 1` taps around its centre, from `-H` to `H`; one of even size has a 0 in front.  Beyond the edge
the map is reflected.  A reflected tap falls on a cell that the filter has read anyway, so no cell is read for it: the
cell only weighs more, in the few outputs that are so near to an edge.

Forward: one program for each tile of outputs; e(1+r) bytes for each input cell of e bytes, with r outputs for each
input, whether there are maxima or not.

Backward: one program for each tile of inputs.  A cell of the smoothed map has from every output near it that output's
gradient, times the weight that the cell had there.  Without maxima this is the gradient of the input: e(1+r) bytes.
With them, the program finds again which cell of each window was the largest, e(2+r) bytes, and a cell of the input
takes the gradients of the windows that chose it.  Nothing is saved but the map.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb

import triton
import triton.language as tl
from torch import Tensor

from poolref.triton.launch import Taps, as_maps, launch, layouts, like, over_inputs, over_outputs
from poolref.triton.windows import along, cell, larger, place, plane, read, tap, write


@triton.jit
def weight(o, D: tl.constexpr, W: tl.constexpr, H: tl.constexpr, N: tl.constexpr, S: tl.constexpr):
    """Along one axis of N cells: what the cell at distance `D` from the centre of output `o` weighs in it."""
    if H == 0:
        return o * 0.0 + 1.0
    part = o * 0.0 + W[D + H]
    for edge in tl.static_range((H + S - 1) // S):  # outputs that reach over the first edge, and over the last one
        part = reflect(part, o, edge, -2 * edge * S - D, edge * S + D - 1, W, H)
        part = reflect(part, o, (N - 1) // S - edge, 2 * (N - 1) - 2 * ((N - 1) // S - edge) * S - D,
                       N - 2 - ((N - 1) // S - edge) * S - D, W, H)  # fmt: skip
    return part


@triton.jit
def reflect(part, o, edge: tl.constexpr, D: tl.constexpr, INSIDE: tl.constexpr, W: tl.constexpr, H: tl.constexpr):
    """Add the weight of the tap at distance `D`, if the filter has one, to a cell of output `edge` that mirrors it.

    The cells on an edge mirror nothing, nor do those beyond it: for them `INSIDE` is below 0.
    """
    if edge >= 0 and INSIDE >= 0 and D >= -H and D <= H:
        return tl.where(o == edge, part + W[D + H], part)
    else:
        return part


@triton.jit
def weighed(value, o, D: tl.constexpr, W: tl.constexpr, H: tl.constexpr, N: tl.constexpr, S: tl.constexpr,
            K: tl.constexpr):  # fmt: skip
    """The value of a cell times its weight.

    Where there is no cell, or no weight, no value counts, not even NaN.  Without maxima, `K` = 1, there is a 0 already.
    """
    part = weight(o, D, W, H, N, S)
    EDGE: tl.constexpr = K > 1 and (D < 0 or (N - 1) // S * S + D >= N)
    NOTHING: tl.constexpr = H > 0 and W[D + H] == 0
    if EDGE or NOTHING:
        return tl.where((part > 0) & (o * S + D >= 0) & (o * S + D < N), part * value, 0.0)
    else:
        return part * value


@triton.jit
def blur_forward(x, y, planes, x_image, x_plane, y_image, y_plane,
                 X: tl.constexpr, Y: tl.constexpr, M: tl.constexpr, K: tl.constexpr, W: tl.constexpr,
                 H: tl.constexpr, S: tl.constexpr, REACH: tl.constexpr, BEFORE: tl.constexpr,
                 ROWS: tl.constexpr, BP: tl.constexpr, BW: tl.constexpr):  # fmt: skip
    """`M`: sizes of the map that is smoothed; `K`: of the max window; `REACH`, `BEFORE`: both windows in one."""
    KH: tl.constexpr = K[1]
    KW: tl.constexpr = K[2]
    FILL: tl.constexpr = 0.0 if K[1] * K[2] == 1 else float("-inf")
    ONES: tl.constexpr = (1, 1, 1)
    image, first, depth, o_row, o_column = place(planes, 1, ROWS, BP, BW)
    x_planes = plane(x, image, first, x_image, x_plane, BP)
    ok = first + tl.arange(0, BP)[:, None] < planes
    columns = o_column + tl.arange(0, BW)[None, :]
    TAPS: tl.constexpr = 2 * H[1] + 1
    NEW: tl.constexpr = TAPS if S[1] > TAPS else S[1]  # rows that the output before has not needed
    lines = ()  # rows of the map, smoothed along the row
    results = ()
    for r in tl.static_range(ROWS):
        total = tl.zeros((BP, BW), tl.float32)
        for th in tl.static_range(TAPS):
            if r == 0 or th >= TAPS - NEW:
                line = tl.zeros((BP, BW), tl.float32)
                for tw in tl.static_range(2 * H[2] + 1):
                    value = tl.full((BP, BW), FILL, tl.float32)
                    for kh in tl.static_range(KH):
                        row, row_ok = cell(o_row, r, th + kh, X[1], Y[1], S[1], BEFORE[1], 1, False)
                        of_row = tl.full((BP, BW), FILL, tl.float32)
                        for kw in tl.static_range(KW):
                            v = tap(x_planes, ok, depth, depth == 0, row, row_ok, o_column, tw + kw,
                                    X, Y, REACH, S, BEFORE, ONES, False, BP, BW, FILL)  # fmt: skip
                            of_row = larger(of_row, v) if kw else v
                        value = larger(value, of_row) if kh else of_row
                    line += weighed(value, columns, tw - H[2], W, H[2], M[2], S[2], K[2])
                lines = lines + (line,)
            total += weighed(lines[r * NEW + th], o_row + r, th - H[1], W, H[1], M[1], S[1], K[1])
        results = results + (total,)
    y_planes = plane(y, image, first, y_image, y_plane, BP)
    for r in tl.static_range(ROWS):
        offset = (o_row + r).to(tl.int64) * Y[4] + along(columns, Y)
        tl.store(y_planes + offset, results[r].to(y.dtype.element_ty), ok & (o_row + r < Y[1]) & (columns < Y[2]))


@triton.jit
def blur_backward(grad, x, x_grad, planes, g_image, g_plane, x_image, x_plane, t_image, t_plane,
                  G: tl.constexpr, X: tl.constexpr, T: tl.constexpr, M: tl.constexpr, K: tl.constexpr,
                  P: tl.constexpr, W: tl.constexpr, H: tl.constexpr, S: tl.constexpr, REACH: tl.constexpr,
                  BEFORE: tl.constexpr, ROWS: tl.constexpr, BP: tl.constexpr, BW: tl.constexpr):  # fmt: skip
    """`T`: layout of the gradient that is written; `REACH`, `BEFORE`: the cells that share a window with the tile's."""
    SH: tl.constexpr = S[1]
    SW: tl.constexpr = S[2]
    KH: tl.constexpr = K[1]
    KW: tl.constexpr = K[2]
    image, first, depth, i_row, i_column = place(planes, 1, ROWS, BP, BW)
    grads = plane(grad, image, first, g_image, g_plane, BP)
    x_planes = plane(x, image, first, x_image, x_plane, BP)
    ok = first + tl.arange(0, BP)[:, None] < planes
    # The smoothed map's cells in which the tile takes part, the gradients that reach them, and which cells they chose.
    arrived = ()
    choices = ()
    for a in tl.static_range(ROWS * SH + KH - 1):
        for b in tl.static_range(SW + KW - 1):
            arrived = arrived + (arriving(grads, ok, depth, i_row, i_column, a + P[1] - KH + 1, b + P[2] - KW + 1,
                                          G, M, W, H, S, BP, BW),)  # fmt: skip
            choices = choices + (chosen(x_planes, ok, depth, i_row, i_column, a, b,
                                        X, M, K, P, S, REACH, BEFORE, BP, BW),)  # fmt: skip
    results = ()
    for a in tl.static_range(ROWS * SH):
        for b in tl.static_range(SW):
            total = tl.zeros((BP, BW), tl.float32)
            for kh in tl.static_range(KH):
                for kw in tl.static_range(KW):
                    mine = choices[(a + KH - 1 - kh) * (SW + KW - 1) + b + KW - 1 - kw] == kh * KW + kw
                    total += tl.where(mine, arrived[(a + KH - 1 - kh) * (SW + KW - 1) + b + KW - 1 - kw], 0.0)
            results = results + (total,)
    targets = plane(x_grad, image, first, t_image, t_plane, BP)
    for a in tl.static_range(ROWS * SH):
        write(targets, results, ok, depth, i_row * SH + a, i_column, a * SW, T, S, BP, BW)


@triton.jit
def arriving(grads, ok, depth, i_row, i_column, A: tl.constexpr, B: tl.constexpr, G: tl.constexpr, M: tl.constexpr,
             W: tl.constexpr, H: tl.constexpr, S: tl.constexpr, BP: tl.constexpr, BW: tl.constexpr):  # fmt: skip
    """The gradient of cell `(i_row * S + A, i_column * S + B)` of the smoothed map, from the outputs around it."""
    total = tl.zeros((BP, BW), tl.float32)
    for th in tl.static_range(2 * H[1] + 1):
        if (A - th + H[1]) % S[1] == 0:
            row = i_row + (A - th + H[1]) // S[1]
            of_row = tl.zeros((BP, BW), tl.float32)
            for tw in tl.static_range(2 * H[2] + 1):
                if (B - tw + H[2]) % S[2] == 0:
                    column = i_column + (B - tw + H[2]) // S[2] + tl.arange(0, BW)[None, :]
                    g = read(grads, ok, depth, depth == 0, row, (row >= 0) & (row < G[1]), column,
                             (column >= 0) & (column < G[2]), G, 0.0).to(tl.float32)  # fmt: skip
                    of_row += weighed(g, column, tw - H[2], W, H[2], M[2], S[2], 1)
            total += weighed(of_row, row, th - H[1], W, H[1], M[1], S[1], 1)
    return total


@triton.jit
def chosen(x, ok, depth, i_row, i_column, A: tl.constexpr, B: tl.constexpr, X: tl.constexpr, M: tl.constexpr,
           K: tl.constexpr, P: tl.constexpr, S: tl.constexpr, REACH: tl.constexpr, BEFORE: tl.constexpr,
           BP: tl.constexpr, BW: tl.constexpr):  # fmt: skip
    """Which tap of its max window a cell of the smoothed map came from; -1 for a cell beyond the map.

    The window begins `A` rows and `B` columns after the first cell that shares a window with the tile's.
    """
    KH: tl.constexpr = K[1]
    KW: tl.constexpr = K[2]
    ONES: tl.constexpr = (1, 1, 1)
    m_row = i_row * S[1] + A - BEFORE[1] + P[1]
    m_column = (i_column + tl.arange(0, BW)[None, :]) * S[2] + B - BEFORE[2] + P[2]
    first_row = tl.maximum(P[1] - m_row, 0)  # the first that lies in the map, where all cells are -inf
    first_column = tl.maximum(P[2] - m_column, 0)
    for kh in tl.static_range(KH):
        row, row_ok = cell(i_row, 0, A + kh, X[1], 1, S[1], BEFORE[1], 1, False)
        for kw in tl.static_range(KW):  # the best of a row; the next window may need it again
            v = tap(x, ok, depth, depth == 0, row, row_ok, i_column, B + kw,
                    X, X, REACH, S, BEFORE, ONES, False, BP, BW, float("-inf"))  # fmt: skip
            if kw == 0:
                value = v
                which = tl.zeros((BP, BW), tl.int32) + first_column
            else:
                which = tl.where((v > value) | (v != v), kw, which)  # of equal cells the first; NaN wins
                value = larger(value, v)
        if kh == 0:
            best = value
            tap_of_best = first_row * KW + which
        else:
            tap_of_best = tl.where((value > best) | (value != value), kh * KW + which, tap_of_best)
            best = larger(best, value)
    inside = (m_row >= 0) & (m_row < M[1]) & (m_column >= 0) & (m_column < M[2])
    return tl.where(inside, tap_of_best, -1)


@dataclass(frozen=True)
class Filters:
    """A filter and the max window before it, three numbers each, on one map."""

    sizes: tuple[int, ...]  # of the map that is smoothed
    kernel: tuple[int, ...]  # of the max window
    padding: tuple[int, ...]
    stride: tuple[int, ...]
    half: tuple[int, ...]  # taps of the filter on either side of its centre
    weights: tuple[float, ...]

    @classmethod
    def of(cls, spatial: Sequence[int], kernel_size: int, filter_size: int, stride: int, padding: int) -> Filters:
        """The filter that `blur_pool` and `max_blur_pool` describe."""
        n = len(spatial)
        weights = tuple(comb(filter_size - 1, t) / 2 ** (filter_size - 1) for t in range(filter_size))
        return cls(
            sizes=_three(tuple(size + 2 * padding - kernel_size + 1 for size in spatial)),
            kernel=_three((kernel_size,) * n),
            padding=_three((padding,) * n, 0),
            stride=_three((stride,) * n),
            half=_three((filter_size // 2,) * n, 0),
            weights=(0.0,) * (1 - filter_size % 2) + weights,
        )

    def output(self, ndim: int) -> tuple[int, ...]:
        """Sizes of the output."""
        return tuple((m - 1) // s + 1 for m, s in zip(self.sizes, self.stride))[3 - ndim :]

    @property
    def reach(self) -> Taps:
        """The windows of the input that outputs depend on."""
        kernel = tuple(2 * h + k for h, k in zip(self.half, self.kernel))
        before = tuple(h + p for h, p in zip(self.half, self.padding))
        return Taps(kernel, self.stride, before, (1, 1, 1), False, kernel)

    @property
    def neighbours(self) -> Taps:
        """The windows of the input that hold all cells of the max windows of a step of the stride."""
        before = tuple(k - 1 for k in self.kernel)
        kernel = tuple(s + 2 * b for s, b in zip(self.stride, before))
        return Taps(kernel, self.stride, before, (1, 1, 1), False, kernel)

    @property
    def constants(self) -> dict:
        """As the kernels take them."""
        return {"M": self.sizes, "K": self.kernel, "S": self.stride, "H": self.half,
                "W": self.weights}  # fmt: skip


def _three(of_axes: tuple, fill=1) -> tuple:
    return (fill,) * (3 - len(of_axes)) + of_axes


def blur_pool(x: Tensor, filter_size: int, stride: int, ndim: int) -> Tensor:
    """The smoothed cells, (..., *output), of a map with `ndim` spatial axes."""
    return max_blur_pool(x, 1, filter_size, stride, 0, ndim)


def blur_pool_backward(grad: Tensor, filter_size: int, stride: int, spatial: Sequence[int]) -> Tensor:
    """The gradient of the map, (..., *spatial), from that of the output."""
    return _backward(grad, grad, like(grad, spatial), Filters.of(spatial, 1, filter_size, stride, 0), len(spatial))


def max_blur_pool(x: Tensor, kernel_size: int, filter_size: int, stride: int, padding: int, ndim: int) -> Tensor:
    """The smoothed maxima, (..., *output), of windows that move by 1."""
    filters = Filters.of(x.shape[x.ndim - ndim :], kernel_size, filter_size, stride, padding)
    y = like(x, filters.output(ndim))
    source, target = as_maps(ndim, x, y)
    grid, tile, warps = over_outputs(source, target, filters.reach, values=8 if kernel_size == 1 else 4)
    launch(
        blur_forward, grid, x.device, warps,
        x=source.tensor, y=target.tensor, planes=source.planes,
        **layouts(x=source, y=target), REACH=filters.reach.kernel, BEFORE=filters.reach.padding,
        **filters.constants, **tile,
    )  # fmt: skip
    return y


def max_blur_pool_backward(
    grad: Tensor, x: Tensor, kernel_size: int, filter_size: int, stride: int, padding: int, ndim: int
) -> Tensor:
    """The gradient of the map, (..., *spatial), from that of the output."""
    spatial = x.shape[x.ndim - ndim :]
    filters = Filters.of(spatial, kernel_size, filter_size, stride, padding)
    return _backward(grad, x, like(x, spatial), filters, ndim)


def _backward(grad: Tensor, x: Tensor, x_grad: Tensor, filters: Filters, ndim: int) -> Tensor:
    given, source, target = as_maps(ndim, grad, x, x_grad)
    near = filters.neighbours
    grid, tile, warps = over_inputs(target, near, values=8 if max(filters.kernel) == 1 else 2)
    launch(
        blur_backward, grid, x.device, warps,
        grad=given.tensor, x=source.tensor, x_grad=target.tensor, planes=target.planes,
        **layouts(g=given, x=source, t=target), P=filters.padding, REACH=near.kernel, BEFORE=near.padding,
        **filters.constants, **tile,
    )  # fmt: skip
    return x_grad
