"""What all kernels over windows and bins share: which tile a program owns, which cell a tap reads, who owns a cell.

A program owns a tile: `BP` planes times `ROWS` rows times `BW` columns.  Planes are the channels of all images, or,
where the channels lie innermost in memory, the channels of one image.  Rows are unrolled, so a row of the map that
several windows need is written down several times in the kernel, and read once: the compiler merges equal loads, and
all that is computed from them, as long as no store comes between.  Hence every kernel stores at its very end.

Sizes, strides and windows are compile-time constants, three numbers each (depth, height, width; a 2-d map has depth 1):
`X`, `Y` and their like hold three sizes and three strides in elements.  `BINS` says that regions are adaptive bins, of
which `K` is then the largest size.  Offsets in memory take 64 bits where they are one number for each program, and 32
bits from there to the tile's planes, of which launch.py takes fewer where they lie far apart, and to its columns,
unless a row is very long.
"""

import triton
import triton.language as tl


@triton.jit
def larger(v, w):
    """The larger of two values; NaN wins."""
    return tl.maximum(v, w, propagate_nan=tl.PropagateNan.ALL)


@triton.jit
def place(planes, DEPTH: tl.constexpr, ROWS: tl.constexpr, BP: tl.constexpr, BW: tl.constexpr):
    """Image, first plane, depth, first row and first column of the tile that this program owns."""
    blocks = tl.cdiv(planes, BP)
    depth = tl.program_id(0) % DEPTH
    block = tl.program_id(0) // DEPTH
    return block // blocks, (block % blocks) * BP, depth, tl.program_id(1) * ROWS, tl.program_id(2) * BW


@triton.jit
def plane(pointer, image, first, image_stride, plane_stride, BP: tl.constexpr):
    """Pointers to the first cell of every plane of the tile, (BP, 1)."""
    base = image.to(tl.int64) * image_stride + first.to(tl.int64) * plane_stride
    return pointer + base + tl.arange(0, BP)[:, None] * plane_stride


@triton.jit
def start(o, N: tl.constexpr, O: tl.constexpr):
    """Along one axis: the first of `N` cells that lies in bin `o` of `O`."""
    if (O + 1024) * N >= 2**31:  # tiles may reach beyond the last bin
        return (o.to(tl.int64) * N // O).to(tl.int32)
    else:
        return o * N // O


@triton.jit
def behind(o, N: tl.constexpr, O: tl.constexpr):
    """Along one axis: the first of `N` cells that lies behind bin `o` of `O`."""
    if (O + 1025) * N >= 2**31 - O:
        return (((o.to(tl.int64) + 1) * N + (O - 1)) // O).to(tl.int32)
    else:
        return ((o + 1) * N + (O - 1)) // O


@triton.jit
def cell(o0, R: tl.constexpr, k, N: tl.constexpr, O: tl.constexpr, S: tl.constexpr, P: tl.constexpr, D: tl.constexpr,
         BINS: tl.constexpr):  # fmt: skip
    """Along one axis: the input index of tap `k` of output `o0 + R`, and whether it is a cell of that region."""
    if BINS:
        o = o0 + R
        i = start(o, N, O) + k
        return i, (i < behind(o, N, O)) & (i < N)
    else:
        i = o0 * S + (R * S + k * D - P)
        return i, (i >= 0) & (i < N)


@triton.jit
def along(column, A: tl.constexpr):
    """The offset of a column in its row, in 64 bits if so long a row needs them."""
    if A[2] * A[5] >= 2**31:
        return column.to(tl.int64) * A[5]
    else:
        return column * A[5]


@triton.jit
def read(pointer, ok, depth, depth_ok, row, row_ok, column, column_ok, A: tl.constexpr, fill: tl.constexpr):
    """One value for every plane and column of the tile; `fill` where there is none."""
    offset = depth.to(tl.int64) * A[3] + row.to(tl.int64) * A[4]
    mask = ok & (depth_ok & row_ok) & column_ok
    return tl.load(pointer + offset + along(column, A), mask, fill)


@triton.jit
def tap(x, ok, depth, depth_ok, row, row_ok, first, KW: tl.constexpr, X: tl.constexpr, Y: tl.constexpr,
        K: tl.constexpr, S: tl.constexpr, P: tl.constexpr, D: tl.constexpr, BINS: tl.constexpr, BP: tl.constexpr,
        BW: tl.constexpr, fill: tl.constexpr):  # fmt: skip
    """What tap `KW` of a row of windows reads, (BP, BW), as float32 whatever is stored.

    With stride 2 a thread that reads every other cell wastes half of each load.  Two taps side by side are therefore
    read as one run of cells, and then split: the other tap splits the same load.
    """
    FIRST: tl.constexpr = KW - P[2]  # where this tap lies, seen from the window's start
    EVEN: tl.constexpr = FIRST - FIRST % 2
    PAIR: tl.constexpr = S[2] == 2 and D[2] == 1 and X[5] == 1 and EVEN >= -P[2] and EVEN + 1 < K[2] - P[2]
    if PAIR and not BINS:
        column = first * 2 + EVEN + tl.arange(0, 2 * BW)[None, :]
        column_ok = (column >= 0) & (column < X[2])
        both = read(x, ok, depth, depth_ok, row, row_ok, column, column_ok, X, fill).to(tl.float32)
        even, odd = tl.split(tl.reshape(both, (BP, BW, 2)))
        if FIRST % 2 == 0:
            return even
        else:
            return odd
    else:
        columns = first + tl.arange(0, BW)[None, :]
        column, column_ok = cell(columns, 0, KW, X[2], Y[2], S[2], P[2], D[2], BINS)
        return read(x, ok, depth, depth_ok, row, row_ok, column, column_ok, X, fill).to(tl.float32)


@triton.jit
def bin_of(i, t, N: tl.constexpr, O: tl.constexpr):
    """Along one axis: the `t`-th bin that holds cell `i`, whether there is one, and by which tap.

    The bins that hold a cell are themselves the bins of `N` over `O`.
    """
    o = start(i, O, N) + t
    return o, (o < behind(i, O, N)) & (o < O), i - start(o, N, O)


@triton.jit
def owner(i0, R: tl.constexpr, PHASE: tl.constexpr, t: tl.constexpr, N: tl.constexpr, O: tl.constexpr,
          S: tl.constexpr, P: tl.constexpr, D: tl.constexpr, BINS: tl.constexpr):  # fmt: skip
    """Along one axis: the `t`-th output whose region holds an input cell, whether there is one, and by which tap.

    The cell is number `(i0 + R) * S + PHASE`.  All cells of one phase are reached by the same taps, at the same
    distance, so nothing is divided.
    """
    if BINS:
        return bin_of(i0 + R, t, N, O)
    else:
        o = i0 + (R + (PHASE + P - t * D) // S)
        return o, (o >= 0) & (o < O), t


@triton.jit
def store(y, value, ok, depth, row, columns, Y: tl.constexpr):
    """Store a row of outputs."""
    offset = depth.to(tl.int64) * Y[3] + row.to(tl.int64) * Y[4] + along(columns, Y)
    tl.store(y + offset, value.to(y.dtype.element_ty), ok & (row < Y[1]) & (columns < Y[2]))


@triton.jit
def write(x, values, ok, depth, row, first, C: tl.constexpr, X: tl.constexpr, S: tl.constexpr, BP: tl.constexpr,
          BW: tl.constexpr):  # fmt: skip
    """Store a row of cells, the phases of which are `values[C]` and the next ones; side by side where there are two."""
    SW: tl.constexpr = S[2]
    inside = ok & (depth < X[0]) & (row < X[1])
    target = x + (depth.to(tl.int64) * X[3] + row.to(tl.int64) * X[4])
    if S[2] == 2 and X[5] == 1:
        column = first * 2 + tl.arange(0, 2 * BW)[None, :]
        both = tl.reshape(tl.join(values[C], values[C + 1]), (BP, 2 * BW))
        tl.store(target + column, both.to(x.dtype.element_ty), inside & (column < X[2]))
    else:
        for b in tl.static_range(SW):
            column = (first + tl.arange(0, BW)[None, :]) * SW + b
            tl.store(target + along(column, X), values[C + b].to(x.dtype.element_ty), inside & (column < X[2]))
