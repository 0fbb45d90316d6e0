"""From tensors to launches: how a tensor lies in memory, how large the tiles are, and the launch itself."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import lru_cache
from math import prod

import torch
from torch import Tensor

from poolref.regions import Adaptive, Window, cdiv

THREADS = 32  # of a warp

_recorded: list[tuple] | None = None


@contextmanager
def recording():
    """Collect launches, `(kernel, grid, arguments, options)`, in the list that this gives, and run none of them."""
    global _recorded
    _recorded = []
    try:
        yield _recorded
    finally:
        _recorded = None


def launch(kernel, grid: Sequence[int], device: torch.device, num_warps: int, **arguments) -> None:
    """Run a kernel on the GPU that its tensors are on."""
    if _recorded is not None:
        _recorded.append((kernel, tuple(grid), arguments, {"num_warps": num_warps}))
    elif prod(grid):
        with torch.cuda.device(device) if device.type == "cuda" else nullcontext():
            kernel[tuple(grid)](**arguments, num_warps=num_warps)


def power_of_2(n: int) -> int:
    """The smallest power of two that is not less than `n`."""
    return 1 << max(n - 1, 0).bit_length()


@dataclass(frozen=True)
class Maps:
    """A tensor as images of planes of three spatial axes, without a copy."""

    tensor: Tensor
    images: int
    planes: int
    image_stride: int
    plane_stride: int
    sizes: tuple[int, int, int]
    strides: tuple[int, int, int]
    together: int  # neighbouring planes that a tile may hold: 32 bits must do for what lies between them

    @property
    def padded_planes(self) -> int:
        """The planes of an image, rounded up to a power of two."""
        return power_of_2(self.planes)

    @property
    def layout(self) -> tuple[int, ...]:
        """Sizes and strides, as the kernels take them."""
        return self.sizes + self.strides

    @property
    def channels_last(self) -> bool:
        """Whether neighbours in memory are planes, not columns."""
        return self.plane_stride == 1 and self.planes > 1 and self.strides[2] != 1


def as_maps(ndim: int, *tensors: Tensor) -> list[Maps]:
    """See tensors (..., *spatial) with equal leading axes as maps, their planes numbered alike.

    Leading axes that are one run in all tensors are merged.  A copy is made only where more than two remain.
    """
    lead = tensors[0].ndim - ndim
    axes: list[tuple[int, tuple[int, ...]]] = []  # (size, stride in every tensor) of the leading axes
    for axis in range(lead):
        size, strides = tensors[0].shape[axis], tuple(x.stride(axis) for x in tensors)
        if axes and axes[-1][1] == tuple(size * s for s in strides):
            axes[-1] = (axes[-1][0] * size, strides)
        elif size != 1:
            axes.append((size, strides))
    if len(axes) > 2:
        return as_maps(ndim, *(x.contiguous() for x in tensors))
    (images, image_strides), (planes, plane_strides) = [(1, (0,) * len(tensors))] * (2 - len(axes)) + axes
    return [
        Maps(
            x,
            images,
            planes,
            image_strides[i],
            plane_strides[i],
            (1,) * (3 - ndim) + tuple(x.shape[lead:]),
            (0,) * (3 - ndim) + x.stride()[lead:],
            2**31 // max(*plane_strides, 1),
        )
        for i, x in enumerate(tensors)
    ]


def layouts(**maps: Maps) -> dict:
    """What a kernel has to know of its maps: for `x` the strides `x_image` and `x_plane`, and the rest, `X`."""
    found = {}
    for name, a in maps.items():
        found |= {f"{name}_image": a.image_stride, f"{name}_plane": a.plane_stride, name.upper(): a.layout}
    return found


def channels_innermost(x: Tensor, ndim: int) -> bool:
    """Whether `x`, (N, C, *spatial), lies in memory as (N, *spatial, C)."""
    return x.ndim == ndim + 2 and x.stride(1) == 1 and x.shape[1] > 1 and not x.is_contiguous()


def like(
    x: Tensor, spatial: Sequence[int], dtype: torch.dtype | None = None, channels_last: bool | None = None
) -> Tensor:
    """A new tensor with other spatial axes.

    Channels lie innermost where they do in `x`, or where `channels_last` says so: 1 cell of `x` would not tell.
    """
    n = len(spatial)
    shape = (*x.shape[: x.ndim - n], *spatial)
    if channels_innermost(x, n) if channels_last is None else channels_last and x.ndim == n + 2:
        return x.new_empty((shape[0], *shape[2:], shape[1]), dtype=dtype).movedim(-1, 1)
    return x.new_empty(shape, dtype=dtype)


@dataclass(frozen=True)
class Taps:
    """Windows or bins over one map, three numbers each."""

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    bins: bool
    owners: tuple[int, ...]  # steps in which a cell's regions are found

    @classmethod
    @lru_cache(maxsize=1024)
    def of(cls, regions: Window | Adaptive, spatial: tuple[int, ...]) -> Taps:
        """The taps of `regions`; bins that divide the map are windows."""
        fill = (1,) * (3 - regions.ndim)
        if isinstance(regions, Adaptive):
            size = regions.output_shape(spatial)
            if any(n % o for n, o in zip(spatial, size)):
                ones, holders = (1, 1, 1), Adaptive(tuple(spatial)).longest(size)
                return cls(fill + regions.longest(spatial), ones, (0, 0, 0), ones, True, fill + holders)
            regions = Window(tuple(n // o for n, o in zip(spatial, size)))
        kernel = fill + regions.kernel_size
        padding = (0,) * len(fill) + regions.padding
        return cls(kernel, fill + regions.stride, padding, fill + regions.dilation, False, kernel)

    @property
    def apart(self) -> bool:
        """Whether they are windows side by side, without padding: no cell lies in two, or between two."""
        whole = self.kernel == self.stride and set(self.dilation) == {1}
        return whole and not (self.bins or any(self.padding))

    @property
    def constants(self) -> dict:
        """As the kernels take them."""
        return {"K": self.kernel, "S": self.stride, "P": self.padding, "D": self.dilation, "BINS": self.bins}


def over_outputs(x: Maps, y: Maps, taps: Taps, values: int = 8) -> tuple[tuple[int, ...], dict, int]:
    """Grid, tile and warps of a kernel whose programs own outputs.

    `values`: how many a thread holds at most, where windows overlap.  A kernel that keeps much of each holds few, but
    not so few that it would read less than 16 bytes at a time.
    """
    size, overlap = x.tensor.element_size(), taps.kernel[1] > taps.stride[1]
    side_by_side = taps.stride[2] == x.strides[2] == 1 and x.strides[1] * size % 16 == 0 and not taps.bins
    rows = 4 if overlap else 2  # rows that windows share are read once
    rows = 1 if taps.bins or taps.kernel[0] > 1 or (values < 8 and _crowded(taps)) else min(rows, y.sizes[1])
    values = 8 if x.channels_last or side_by_side or not overlap else values
    return tiles(y, y.sizes, rows, size, values)


def over_inputs(x: Maps, taps: Taps, values: int = 8) -> tuple[tuple[int, ...], dict, int]:
    """Grid, tile and warps of a kernel whose programs own inputs, in steps of the stride."""
    steps = tuple(cdiv(n, s) for n, s in zip(x.sizes, taps.stride))
    rows = 1 if taps.bins or taps.kernel[0] > 1 or prod(taps.stride) > 4 or _crowded(taps) else min(2, steps[1])
    return tiles(x, steps, rows, x.tensor.element_size(), values)


def _crowded(taps: Taps) -> bool:
    """Whether each cell is a part of so much that a thread can hardly keep it for several rows."""
    return prod(taps.stride) == 1 and prod(taps.kernel) > 9


def tiles(maps: Maps, sizes: Sequence[int], rows: int, size: int, values: int = 8) -> tuple[tuple[int, ...], dict, int]:
    """Grid, tile and warps for `sizes` cells of every plane, of `size` bytes each."""
    each = min(16 // size, values)  # values of a thread: 16 bytes are the widest load there is
    tile = 4 * THREADS * each
    if maps.channels_last:
        planes = min(maps.padded_planes, tile)
        columns = min(power_of_2(sizes[2]), tile // planes)
    else:
        columns = min(power_of_2(sizes[2]), 256)
        planes = min(maps.padded_planes, tile // columns)
    while planes > max(1, maps.together):
        planes //= 2
    warps = max(1, min(4, planes * columns // (THREADS * each)))
    blocks = maps.images * cdiv(maps.planes, planes)
    grid = (blocks * sizes[0], cdiv(sizes[1], rows), cdiv(sizes[2], columns))
    return grid, {"ROWS": rows, "BP": planes, "BW": columns}, warps
