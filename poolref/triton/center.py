"""Center pooling: the largest value of its row in one map, plus the largest of its column in another, for every cell.

A program owns whole planes, and walks down their rows: first through the map whose columns are looked along, then
through the other, whose rows it knows as soon as it has read them.  Every cell of both maps is read once, and every
output written once: 3e bytes for each cell of e bytes.  For training the program also writes which cell of each row
and of each column was the largest.

Backward: the sums of a row and of a column go to these cells.  The gradient is read once, and the two of the maps are
written once, 3e bytes.

Where channels lie innermost in memory, or rows are too long for a program, the kernels of whole rows and columns take
over, three launches for one.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from poolref.regions import Columns, Rows, cdiv
from poolref.triton import whole
from poolref.triton.corner import exceeds
from poolref.triton.launch import THREADS, Maps, as_maps, launch, layouts, like, power_of_2
from poolref.triton.strip import tile_at
from poolref.triton.windows import larger, place

LONGEST = 1024  # cells of a row that a program can hold


@triton.jit
def first_of(v, i, w, j):
    """Of two values, each with its place, the larger one, and of equals the first."""
    other = exceeds(w, v) | ((exceeds(v, w) == 0) & (j < i))
    return tl.where(other, w, v), tl.where(other, j, i)


@triton.jit
def center_forward(a, b, y, of_rows, of_columns, planes, a_image, a_plane, b_image, b_plane, y_image, y_plane,
                   A: tl.constexpr, B: tl.constexpr, Y: tl.constexpr, CHOICES: tl.constexpr, U: tl.constexpr,
                   BP: tl.constexpr, BH: tl.constexpr, BW: tl.constexpr):  # fmt: skip
    HEIGHT: tl.constexpr = Y[1]
    image, first, _, _, _ = place(planes, 1, 1, BP, 1)
    number = image.to(tl.int64) * planes + first + tl.arange(0, BP)[:, None, None]  # of the plane, in all images
    there = first + tl.arange(0, BP)[:, None, None] < planes
    lane = tl.zeros((BP, BH, BW), tl.int32) + tl.arange(0, BH)[None, :, None]
    column = tl.zeros((BP, BH, BW), tl.int32) + tl.arange(0, BW)[None, None, :]
    best = tl.full((BP, BH, BW), float("-inf"), tl.float32)
    which = lane
    for top in range(0, HEIGHT, U * BH):
        values = ()  # all are loaded before the first is used
        for u in tl.static_range(U):
            pointers, ok = tile_at(b, image, first, top + u * BH, 0, planes, b_image, b_plane, B, BP, BH, BW)
            values = values + (tl.load(pointers, ok, float("-inf")).to(tl.float32),)
        for u in tl.static_range(U):
            if CHOICES:
                new = exceeds(values[u], best)
                which = tl.where(new, top + u * BH + lane, which)
                best = tl.where(new, values[u], best)
            else:
                best = larger(best, values[u])
    if CHOICES:
        of_column, chosen_row = tl.reduce((best, which), 1, first_of, keep_dims=True)
        columns = tl.arange(0, BW)[None, None, :]
        chosen_row = chosen_row.to(of_columns.dtype.element_ty)
        tl.store(of_columns + number * Y[2] + columns, chosen_row, there & (columns < Y[2]))
    else:
        of_column = tl.reduce(best, 1, larger, keep_dims=True)
    for top in range(0, HEIGHT, U * BH):
        values = ()
        for u in tl.static_range(U):
            pointers, ok = tile_at(a, image, first, top + u * BH, 0, planes, a_image, a_plane, A, BP, BH, BW)
            values = values + (tl.load(pointers, ok, float("-inf")).to(tl.float32),)
        for u in tl.static_range(U):
            if CHOICES:
                of_row, chosen_column = tl.reduce((values[u], column), 2, first_of, keep_dims=True)
                rows = top + u * BH + tl.arange(0, BH)[None, :, None]
                chosen_column = chosen_column.to(of_rows.dtype.element_ty)
                tl.store(of_rows + number * HEIGHT + rows, chosen_column, there & (rows < HEIGHT))
            else:
                of_row = tl.reduce(values[u], 2, larger, keep_dims=True)
            pointers, ok = tile_at(y, image, first, top + u * BH, 0, planes, y_image, y_plane, Y, BP, BH, BW)
            tl.store(pointers, (of_row + of_column).to(y.dtype.element_ty), ok)


@triton.jit
def center_backward(grad, of_rows, of_columns, a_grad, b_grad, planes, g_image, g_plane, x_image, x_plane,
                    G: tl.constexpr, X: tl.constexpr, U: tl.constexpr, BP: tl.constexpr, BH: tl.constexpr,
                    BW: tl.constexpr):  # fmt: skip
    HEIGHT: tl.constexpr = X[1]
    image, first, _, _, _ = place(planes, 1, 1, BP, 1)
    number = image.to(tl.int64) * planes + first + tl.arange(0, BP)[:, None, None]
    there = first + tl.arange(0, BP)[:, None, None] < planes
    lane = tl.arange(0, BH)[None, :, None]
    columns = tl.arange(0, BW)[None, None, :]
    total = tl.zeros((BP, BH, BW), tl.float32)
    for top in range(0, HEIGHT, U * BH):
        values = ()
        chosen = ()
        for u in tl.static_range(U):
            pointers, ok = tile_at(grad, image, first, top + u * BH, 0, planes, g_image, g_plane, G, BP, BH, BW)
            values = values + (tl.load(pointers, ok, 0.0).to(tl.float32),)
            rows = top + u * BH + lane
            chosen = chosen + (tl.load(of_rows + number * HEIGHT + rows, there & (rows < HEIGHT), 0).to(tl.int32),)
        for u in tl.static_range(U):
            total += values[u]
            v = tl.where(columns == chosen[u], tl.sum(values[u], 2, keep_dims=True), 0.0)
            pointers, ok = tile_at(a_grad, image, first, top + u * BH, 0, planes, x_image, x_plane, X, BP, BH, BW)
            tl.store(pointers, v.to(a_grad.dtype.element_ty), ok)
    of_column = tl.sum(total, 1, keep_dims=True)
    chosen = tl.load(of_columns + number * X[2] + columns, there & (columns < X[2]), 0).to(tl.int32)
    for top in range(0, HEIGHT, BH):
        v = tl.where(top + lane == chosen, of_column, 0.0)
        pointers, ok = tile_at(b_grad, image, first, top, 0, planes, x_image, x_plane, X, BP, BH, BW)
        tl.store(pointers, v.to(b_grad.dtype.element_ty), ok)


def center_pool(a: Tensor, b: Tensor, choices: bool = False) -> tuple[Tensor, ...]:
    """The row maxima of `a` plus the column maxima of `b`, (..., H, W); with `choices` also the cells they came from.

    These are the column of every row, (..., H, 1), and the row of every column, (..., 1, W).
    """
    y = like(a, a.shape[-2:])
    if not _has_whole_planes(y):
        rows, columns = whole.max_pool(a, Rows(), choices), whole.max_pool(b, Columns(), choices)
        return (rows[0] + columns[0], *rows[1:], *columns[1:])
    height, width = a.shape[-2:]
    of_rows, of_columns = y, y
    if choices:
        of_rows = y.new_empty((*a.shape[:-2], height, 1), dtype=_index_type(width))
        of_columns = y.new_empty((*a.shape[:-2], 1, width), dtype=_index_type(height))
    first, second, target = as_maps(2, a, b, y)
    tile, blocks, warps = _tile(target)
    launch(
        center_forward, (blocks,), a.device, warps,
        a=first.tensor, b=second.tensor, y=y, of_rows=of_rows, of_columns=of_columns, planes=target.planes,
        **layouts(a=first, b=second, y=target), CHOICES=choices, **tile,
    )  # fmt: skip
    return (y, of_rows, of_columns) if choices else (y,)


def center_pool_backward(grad: Tensor, of_rows: Tensor, of_columns: Tensor) -> tuple[Tensor, Tensor]:
    """The gradients of `a` and `b` from that of the output and the cells that `center_pool` gave."""
    spatial = grad.shape[-2:]
    a_grad, b_grad = (like(of_rows, spatial, grad.dtype) for _ in range(2))
    if not _has_whole_planes(a_grad):
        return (
            whole.max_pool_backward(whole.avg_pool(grad, Rows(), divisor=1), of_rows, Rows(), spatial),
            whole.max_pool_backward(whole.avg_pool(grad, Columns(), divisor=1), of_columns, Columns(), spatial),
        )
    given, target = as_maps(2, grad, a_grad)
    tile, blocks, warps = _tile(target)
    launch(
        center_backward, (blocks,), grad.device, warps,
        grad=given.tensor, of_rows=of_rows.contiguous(), of_columns=of_columns.contiguous(),
        a_grad=a_grad, b_grad=b_grad, planes=target.planes, **layouts(g=given, x=target), **tile,
    )  # fmt: skip
    return a_grad, b_grad


def _has_whole_planes(y: Tensor) -> bool:
    """Whether the planes of a result lie one after the other in memory, and a program can hold its rows."""
    return y.is_contiguous() and y.shape[-1] <= LONGEST


def _index_type(cells: int) -> torch.dtype:
    return torch.uint8 if cells <= 256 else torch.int32


def _tile(maps: Maps) -> tuple[dict, int, int]:
    """Tile, programs and warps: 16 bytes for each thread, four times."""
    _, height, width = (power_of_2(n) for n in maps.sizes)
    cells = max(4 * THREADS * 16 // maps.tensor.element_size(), width)
    rows = min(height, cells // width)
    planes = cells // (width * rows)
    while planes > max(1, min(maps.planes, maps.together // 4)):
        planes //= 2
    warps = max(1, planes * rows * width * maps.tensor.element_size() // (16 * THREADS))
    blocks = maps.images * cdiv(maps.planes, planes)
    return {"U": min(4, height // rows), "BP": planes, "BH": rows, "BW": width}, blocks, warps
