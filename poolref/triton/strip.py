"""Strip pooling: the mean of its row plus the mean of its column, for every cell.

Two kernels.  The first reads the map: a program owns a tile of some planes, rows and columns, and writes what the tile
adds to the sums of its rows and to those of its columns.  The second writes the result: a program owns such a tile
again, and adds up what all tiles beside it say of its rows, and all tiles above and below of its columns.  So each cell
is read once and written once, 2e bytes for a cell of e bytes; the sums, 8 bytes for each row and each column of a tile,
are a few hundredths of that.  A map that is a tile by itself needs one kernel, which keeps its sums to itself.

Backward: the operator is its own transpose, so the gradient is pooled as the map was.
"""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor, float32

from poolref.regions import cdiv
from poolref.triton.launch import THREADS, Maps, as_maps, launch, layouts, like, power_of_2
from poolref.triton.whole import apart
from poolref.triton.windows import place


@triton.jit
def tile_at(x, image, first, row, column, planes, x_image, x_plane, X: tl.constexpr, BP: tl.constexpr,
            BH: tl.constexpr, BW: tl.constexpr):  # fmt: skip
    """Pointers to a tile of a map, (BP, BH, BW), and which of them lead to cells."""
    rows = row + tl.arange(0, BH)[None, :, None]
    columns = column + tl.arange(0, BW)[None, None, :]
    ok = (rows < X[1]) & (columns < X[2])
    if BP > 1:
        ok &= first + tl.arange(0, BP)[:, None, None] < planes
    x += image.to(tl.int64) * x_image + first.to(tl.int64) * x_plane
    x += tl.full((), row, tl.int64) * X[4] + tl.full((), column, tl.int64) * X[5]
    of_cells = apart(BH, X[4])[None, :, None] + apart(BW, X[5])[None, None, :]
    return x + (tl.arange(0, BP)[:, None, None] * x_plane + of_cells), ok


@triton.jit
def strip_small(x, y, planes, x_image, x_plane, y_image, y_plane, X: tl.constexpr, Y: tl.constexpr, BP: tl.constexpr,
                BH: tl.constexpr, BW: tl.constexpr):  # fmt: skip
    """Planes that are smaller than a tile."""
    image, first, _, row, column = place(planes, 1, BH, BP, BW)
    pointers, ok = tile_at(x, image, first, row, column, planes, x_image, x_plane, X, BP, BH, BW)
    v = tl.load(pointers, ok, 0.0).to(tl.float32)
    pooled = tl.sum(v, 2, keep_dims=True) * (1 / X[2]) + tl.sum(v, 1, keep_dims=True) * (1 / X[1])
    pointers, ok = tile_at(y, image, first, row, column, planes, y_image, y_plane, Y, BP, BH, BW)
    tl.store(pointers, pooled.to(y.dtype.element_ty), ok)


@triton.jit
def strip_sums(x, of_rows, of_columns, planes, x_image, x_plane, all_planes, X: tl.constexpr, ROWS: tl.constexpr,
               BP: tl.constexpr, BH: tl.constexpr, BW: tl.constexpr):  # fmt: skip
    """What `ROWS` rows of `BW` columns add to the sums."""
    image, first, _, row, column = place(planes, 1, ROWS, BP, BW)
    number = image.to(tl.int64) * planes + first + tl.arange(0, BP)[:, None, None]  # of the plane, in all images
    there = first + tl.arange(0, BP)[:, None, None] < planes
    row_part = of_rows + (tl.program_id(2) * all_planes + number) * X[1]
    columns = column + tl.arange(0, BW)[None, None, :]
    total = tl.zeros((BP, BH, BW), tl.float32)
    for r in tl.static_range(0, ROWS, BH):
        pointers, ok = tile_at(x, image, first, row + r, column, planes, x_image, x_plane, X, BP, BH, BW)
        v = tl.load(pointers, ok, 0.0).to(tl.float32)
        total += v
        rows = row + r + tl.arange(0, BH)[None, :, None]
        tl.store(row_part + rows, tl.sum(v, 2, keep_dims=True), there & (rows < X[1]))
    column_part = of_columns + (tl.program_id(1) * all_planes + number) * X[2]
    tl.store(column_part + columns, tl.sum(total, 1, keep_dims=True), there & (columns < X[2]))


@triton.jit
def strip_spread(y, of_rows, of_columns, planes, y_image, y_plane, all_planes, Y: tl.constexpr, ROWS: tl.constexpr,
                 BP: tl.constexpr, BH: tl.constexpr, BW: tl.constexpr):  # fmt: skip
    """The result for `ROWS` rows of `BW` columns."""
    HIGH: tl.constexpr = (Y[1] + ROWS - 1) // ROWS
    WIDE: tl.constexpr = (Y[2] + BW - 1) // BW
    image, first, _, row, column = place(planes, 1, ROWS, BP, BW)
    number = image.to(tl.int64) * planes + first + tl.arange(0, BP)[:, None, None]
    there = first + tl.arange(0, BP)[:, None, None] < planes
    columns = column + tl.arange(0, BW)[None, None, :]
    of_column = tl.zeros((BP, 1, BW), tl.float32)
    for part in range(HIGH):
        sums = of_columns + (part * all_planes + number) * Y[2]
        of_column += tl.load(sums + columns, there & (columns < Y[2]), 0.0)
    for r in tl.static_range(0, ROWS, BH):
        rows = row + r + tl.arange(0, BH)[None, :, None]
        of_row = tl.zeros((BP, BH, 1), tl.float32)
        for part in range(WIDE):
            sums = of_rows + (part * all_planes + number) * Y[1]
            of_row += tl.load(sums + rows, there & (rows < Y[1]), 0.0)
        pooled = of_row * (1 / Y[2]) + of_column * (1 / Y[1])
        pointers, ok = tile_at(y, image, first, row + r, column, planes, y_image, y_plane, Y, BP, BH, BW)
        tl.store(pointers, pooled.to(y.dtype.element_ty), ok)


def strip_pool(x: Tensor) -> Tensor:
    """The row means plus the column means, (..., H, W) -> (..., H, W); of a gradient, the gradient of the map."""
    y = like(x, x.shape[-2:])
    if not x.numel():
        return y
    source, target = as_maps(2, x, y)
    tile, warps = _tile(source)
    _, height, width = source.sizes
    blocks = source.images * cdiv(source.planes, tile["BP"])
    of_x, of_y = {"x": source.tensor, **layouts(x=source)}, {"y": y, **layouts(y=target)}
    if height <= tile["BH"] and width <= tile["BW"]:
        launch(strip_small, (blocks, 1, 1), x.device, warps, planes=source.planes, **of_x, **of_y, **tile)
        return y
    # So many rows for a program that the sums are small beside the map.
    rows = cdiv(cdiv(height, cdiv(height, 64)), tile["BH"]) * tile["BH"]
    grid = blocks, cdiv(height, rows), cdiv(width, tile["BW"])
    planes = source.images * source.planes
    sums = {
        "of_rows": x.new_empty((grid[2], planes, height), dtype=float32),
        "of_columns": x.new_empty((grid[1], planes, width), dtype=float32),
        "planes": source.planes, "all_planes": planes, "ROWS": rows,
    }  # fmt: skip
    launch(strip_sums, grid, x.device, warps, **of_x, **sums, **tile)
    launch(strip_spread, grid, x.device, warps, **of_y, **sums, **tile)
    return y


def _tile(maps: Maps) -> tuple[dict, int]:
    """Tile and warps: a map of up to 4096 cells is one tile, and otherwise tiles have 2048; 16 for each thread."""
    _, height, width = (power_of_2(n) for n in maps.sizes)
    planes = maps.padded_planes
    if maps.channels_last:
        planes = min(planes, 64 // maps.tensor.element_size())
        width = min(width, 32)
    else:
        width = min(width, 256)
        planes = min(planes, max(1, 2048 // (width * height)))
    while planes > max(1, maps.together // 4):
        planes //= 2
    if planes * width * height > 4096:
        height = max(1, min(height, 2048 // (planes * width)))
    return {"BP": planes, "BH": height, "BW": width}, max(1, min(8, planes * height * width // (THREADS * 16)))
