"""RoIAlign.

Forward: a program owns some bins of one box in some channels.  Where the samples of a bin lie is the same in all
channels, so it is worked out once for many of them.  A sample reads four cells; samples of one box lie close together,
so that most of them are in the cache.

Backward: a program owns a tile of one map in some channels.  It looks through the boxes for those of its map that come
near the tile, in their order, and of each box takes the bins that do.  What a sample gives to a cell is a product of a
number for the row and one for the column, so a bin is a product of two short vectors, and a box adds, for every row of
bins, a sum over the bins in it.  Every cell is written once, by its owner, its sum always taken in the same order: no
atomics, no sorting, nothing to clear beforehand, the same bits on every run.

Positions are computed in float64, so that samples lie where the NumPy column has them, values in float32.  A first,
small kernel does the divisions that this takes, once for every box.  Sizes of maps are not constants of the kernels, as
they differ from image to image.
"""

from __future__ import annotations

from collections.abc import Sequence

import triton
import triton.language as tl
from torch import Tensor

from poolref.regions import cdiv
from poolref.triton.launch import channels_innermost, launch, power_of_2


@triton.jit
def measure(corners, sides, count, PH: tl.constexpr, PW: tl.constexpr, RATIO: tl.constexpr, ALIGNED: tl.constexpr,
            BK: tl.constexpr):  # fmt: skip
    """For every box, along both axes: four numbers that `side` reads; here alone something is divided in float64."""
    k = tl.program_id(0) * BK + tl.arange(0, BK)
    ok = k < count
    for axis in tl.static_range(2):
        first = tl.load(corners + k * 4 + axis, ok, 0.0)
        size = tl.load(corners + k * 4 + 2 + axis, ok, 0.0) - first
        if not ALIGNED:
            size = tl.maximum(size, 1.0)
        size = size / (PH if axis else PW)
        samples = size * 0.0 + RATIO
        if RATIO == 0:
            samples = tl.minimum(tl.maximum(tl.ceil(size), 0.0), 2.0**30)
        target = sides + (k * 2 + axis) * 4
        tl.store(target, first - (0.5 if ALIGNED else 0.0), ok)
        tl.store(target + 1, size / tl.maximum(samples, 1.0), ok)
        tl.store(target + 2, samples, ok)
        tl.store(target + 3, tl.where(size == 0, 0.0, 1 / tl.where(size == 0, 1.0, size)), ok)


@triton.jit
def side(sides, k, there, AXIS: tl.constexpr):
    """Along one axis of box `k`: where it starts, how far apart its samples are, how many a bin has, bins a cell."""
    source = sides + (k * 2 + AXIS) * 4
    start = tl.load(source, there, 0.0)
    gap = tl.load(source + 1, there, 0.0)
    return start, gap, tl.load(source + 2, there, 0.0).to(tl.int32), tl.load(source + 3, there, 0.0)


@triton.jit
def skipped(start, per_cell, count, i, cell, RATIO: tl.constexpr):
    """How many samples at the beginning of bin `i` surely lie more than a cell before `cell`; 0 if `RATIO` is given."""
    if RATIO:
        return i * 0
    else:
        samples = tl.floor((cell - 1.0 - start) * (per_cell * count)) - 1 - i * count.to(tl.float64)
        return tl.minimum(tl.maximum(samples, 0.0), count).to(tl.int32)


@triton.jit
def sample(start, gap, count, i, t, N):
    """Between which cells sample `t` of bin `i` lies, how far from the first, and whether it counts."""
    position = start + (i * count.to(tl.float64) + t + 0.5) * gap
    inside = (position >= -1) & (position <= N) & (t < count)
    position = tl.minimum(tl.maximum(position, 0.0), N - 1.0)
    low = position.to(tl.int32)
    return low, tl.minimum(low + 1, N - 1), (position - low).to(tl.float32), inside


@triton.jit
def roi_forward(x, maps, sides, y, images, channels, height, width, x_image, x_channel, x_row, x_column,
                y_box, y_channel, y_row, y_column, PH: tl.constexpr, PW: tl.constexpr, RATIO: tl.constexpr,
                BP: tl.constexpr, BB: tl.constexpr):  # fmt: skip
    k = tl.program_id(0).to(tl.int64)
    channel = (tl.program_id(1) * BP + tl.arange(0, BP)[:, None]).to(tl.int64)
    bin = tl.program_id(2) * BB + tl.arange(0, BB)[None, :]
    i = bin // PW
    j = bin % PW
    image = tl.load(maps + k)
    known = (image >= 0) & (image < images)
    ok = (channel < channels) & (bin < PH * PW)
    top, gap_y, count_y, per_row = side(sides, k, True, 1)
    left, gap_x, count_x, per_column = side(sides, k, True, 0)
    first_y = skipped(top, per_row, count_y, i, 0, RATIO)
    first_x = skipped(left, per_column, count_x, j, 0, RATIO)
    cells = x + image * x_image + channel * x_channel
    total = tl.zeros((BP, BB), tl.float32)
    # Where there are several samples they lie more than half a cell apart, so only so many can lie in the map.
    for t in range(RATIO if RATIO else tl.minimum(count_y, 2 * height + 7)):
        up, down, part_y, inside_y = sample(top, gap_y, count_y, i, first_y + t, height)
        upper = cells + up.to(tl.int64) * x_row
        lower = cells + down.to(tl.int64) * x_row
        for u in range(RATIO if RATIO else tl.minimum(count_x, 2 * width + 7)):
            low, high, part_x, inside_x = sample(left, gap_x, count_x, j, first_x + u, width)
            # A sample that lies on a cell does not read the next one: 0 times infinity would be NaN.
            there = ok & known & inside_y & inside_x
            a = tl.load(upper + low.to(tl.int64) * x_column, there, 0.0).to(tl.float32)
            b = tl.load(upper + high.to(tl.int64) * x_column, there & (part_x > 0), 0.0).to(tl.float32)
            there = there & (part_y > 0)
            c = tl.load(lower + low.to(tl.int64) * x_column, there, 0.0).to(tl.float32)
            d = tl.load(lower + high.to(tl.int64) * x_column, there & (part_x > 0), 0.0).to(tl.float32)
            before = a * (1 - part_y) + c * part_y
            total += before * (1 - part_x) + (b * (1 - part_y) + d * part_y) * part_x
    total /= tl.maximum(count_y.to(tl.float32) * count_x.to(tl.float32), 1.0)
    total = tl.where(known, total, float("nan"))
    tl.store(y + k * y_box + channel * y_channel + i * y_row + j * y_column, total.to(y.dtype.element_ty), ok)


@triton.jit
def reaches(start, gap, count, BINS: tl.constexpr, first, T: tl.constexpr):
    """Along one axis: whether samples of a box may touch one of `T` cells from `first` on."""
    end = start + gap * count * BINS
    return (tl.minimum(start, end) <= first + T) & (tl.maximum(start, end) >= first - 1)


@triton.jit
def bins(start, per_cell, BINS: tl.constexpr, first, T: tl.constexpr):
    """Along one axis: the first bin of a box that may touch one of `T` cells, and the one after the last."""
    a = (first - 1 - start) * per_cell
    b = (first + T - start) * per_cell
    low = tl.minimum(tl.maximum(tl.floor(tl.minimum(a, b)), 0.0), BINS)
    high = tl.maximum(tl.minimum(tl.floor(tl.maximum(a, b)) + 1, BINS), 0.0)
    return low.to(tl.int32), tl.where(per_cell == 0, BINS, high).to(tl.int32)  # bins without size lie all at one place


@triton.jit
def touch(start, gap, count, per_cell, i, cells, first, T: tl.constexpr, N, RATIO: tl.constexpr):
    """Along one axis: what bin `i` gives to each of `T` cells, and whether it gives something, be it 0."""
    given = cells * 0.0
    touched = cells < 0
    begin = skipped(start, per_cell, count, i, first, RATIO)
    for t in range(RATIO if RATIO else tl.minimum(count, 2 * T + 7)):
        low, high, part, inside = sample(start, gap, count, i, begin + t, N)
        low = tl.where(inside, low, -1)
        high = tl.where(inside, high, -1)
        given += tl.where(cells == low, 1 - part, 0.0) + tl.where(cells == high, part, 0.0)
        touched = touched | (cells == low) | (cells == high)
    return given, touched


@triton.jit
def roi_backward(grad, maps, sides, x_grad, count, channels, height, width, g_box, g_channel, g_row, g_column,
                 x_image, x_channel, x_row, x_column, PH: tl.constexpr, PW: tl.constexpr, RATIO: tl.constexpr,
                 CHUNK: tl.constexpr, BP: tl.constexpr, TH: tl.constexpr,
                 TW: tl.constexpr):  # fmt: skip
    down = tl.cdiv(height, TH)
    across = tl.cdiv(width, TW)
    image = tl.program_id(0) // (down * across)
    first_row = tl.program_id(0) // across % down * TH
    first_column = tl.program_id(0) % across * TW
    channel = (tl.program_id(1) * BP + tl.arange(0, BP)[:, None, None]).to(tl.int64)
    row = first_row + tl.arange(0, TH)[None, :, None]
    column = first_column + tl.arange(0, TW)[None, None, :]
    ok = channel < channels
    total = tl.zeros((BP, TH, TW), tl.float32)
    for chunk in range(0, count, CHUNK):
        box = chunk + tl.arange(0, CHUNK)
        there = box < count
        top, gap_y, count_y, _ = side(sides, box, there, 1)
        left, gap_x, count_x, _ = side(sides, box, there, 0)
        near = there & (tl.load(maps + box, there, -1) == image)
        near = near & reaches(top, gap_y, count_y, PH, first_row, TH)
        near = near & reaches(left, gap_x, count_x, PW, first_column, TW)
        found = tl.min(tl.where(near, box, count))
        while found < count:
            k = found.to(tl.int64)
            top_k, gap_y_k, count_y_k, per_row = side(sides, k, True, 1)
            left_k, gap_x_k, count_x_k, per_column = side(sides, k, True, 0)
            share = 1 / tl.maximum(count_y_k.to(tl.float32) * count_x_k.to(tl.float32), 1.0)
            first_i, last_i = bins(top_k, per_row, PH, first_row, TH)
            first_j, last_j = bins(left_k, per_column, PW, first_column, TW)
            for i in range(first_i, last_i):
                of_rows, touched_rows = touch(top_k, gap_y_k, count_y_k, per_row, i, row, first_row, TH, height,
                                             RATIO)  # fmt: skip
                of_bins = tl.zeros((BP, 1, TW), tl.float32)
                for j in range(first_j, last_j):
                    of_columns, touched = touch(left_k, gap_x_k, count_x_k, per_column, j, column, first_column, TW,
                                                width, RATIO)  # fmt: skip
                    g = tl.load(grad + k * g_box + channel * g_channel + i * g_row + j * g_column, ok, 0.0)
                    of_bins += tl.where(touched, g.to(tl.float32) * of_columns, 0.0)
                total += tl.where(touched_rows, of_bins * (share * of_rows), 0.0)
            found = tl.min(tl.where(near & (box > found), box, count))
    target = x_grad + image.to(tl.int64) * x_image + channel * x_channel
    target += row.to(tl.int64) * x_row + column.to(tl.int64) * x_column
    tl.store(target, total.to(x_grad.dtype.element_ty), ok & (row < height) & (column < width))


def roi_align(
    x: Tensor, image: Tensor, corners: Tensor, output_size: Sequence[int], sampling_ratio: int, aligned: bool
) -> Tensor:
    """The means of the samples in the bins of every box, (K, C, *output_size).

    `image`: which map a box lies in, (K) of int64; `corners`: its x1, y1, x2, y2 in cells, (K, 4) of float64.  A box in
    no map gives NaN, and its gradient goes nowhere.
    """
    y = _new_maps(len(image), x, output_size)
    channels, (rows, columns) = x.shape[1], output_size
    planes, bins = (64, 8) if channels_innermost(y, 2) else (8, 64)
    planes = min(planes, power_of_2(max(channels, 1)))
    bins = min(bins, power_of_2(rows * columns))
    grid = (len(image), cdiv(channels, planes), cdiv(rows * columns, bins))
    launch(
        roi_forward, grid, x.device, 4,
        x=x, maps=image.contiguous(), sides=_sides(corners, output_size, sampling_ratio, aligned), y=y,
        images=x.shape[0], channels=channels, height=x.shape[2], width=x.shape[3],
        **_strides("x", x, "image"), **_strides("y", y, "box"),
        PH=rows, PW=columns, RATIO=sampling_ratio, BP=planes, BB=bins,
    )  # fmt: skip
    return y


def roi_align_backward(
    grad: Tensor,
    image: Tensor,
    corners: Tensor,
    sampling_ratio: int,
    aligned: bool,
    images: int,
    spatial: Sequence[int],
) -> Tensor:
    """The gradient of the maps, (images, C, *spatial), from that of the output."""
    x_grad = _new_maps(images, grad, spatial)
    channels = grad.shape[1]
    planes, rows, columns = (32, 4, 8) if channels_innermost(x_grad, 2) else (8, 8, 16)  # larger ones spilled registers
    tiles = cdiv(spatial[0], rows) * cdiv(spatial[1], columns)
    launch(
        roi_backward, (images * tiles, cdiv(channels, planes)), grad.device, 4,
        grad=grad, maps=image.contiguous(), sides=_sides(corners, grad.shape[2:], sampling_ratio, aligned),
        x_grad=x_grad, count=len(image), channels=channels, height=spatial[0], width=spatial[1],
        **_strides("g", grad, "box"), **_strides("x", x_grad, "image"),
        PH=grad.shape[2], PW=grad.shape[3], RATIO=sampling_ratio, CHUNK=512, BP=planes, TH=rows, TW=columns,
    )  # fmt: skip
    return x_grad


def _sides(corners: Tensor, output_size: Sequence[int], sampling_ratio: int, aligned: bool) -> Tensor:
    """What `measure` finds out about the boxes, (K, 2, 4): for each axis, x first, four numbers."""
    sides = corners.new_empty(len(corners), 2, 4)
    rows, columns = output_size
    launch(
        measure, (cdiv(len(corners), 128),), corners.device, 4,
        corners=corners.contiguous(), sides=sides, count=len(corners),
        PH=rows, PW=columns, RATIO=sampling_ratio, ALIGNED=aligned, BK=128,
    )  # fmt: skip
    return sides


def _new_maps(count: int, x: Tensor, spatial: Sequence[int]) -> Tensor:
    """Maps with the channels of `x`, innermost where they are in `x`."""
    if channels_innermost(x, 2):
        return x.new_empty((count, *spatial, x.shape[1])).movedim(-1, 1)
    return x.new_empty((count, x.shape[1], *spatial))


def _strides(name: str, x: Tensor, first: str) -> dict[str, int]:
    return {f"{name}_{axis}": stride for axis, stride in zip((first, "channel", "row", "column"), x.stride())}
