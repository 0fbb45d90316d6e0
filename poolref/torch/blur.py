"""Blur pooling: smooth the map, then keep every other cell, so that a shifted input gives a shifted output again."""

from __future__ import annotations

from collections.abc import Sequence
from math import comb
from typing import ClassVar, Final

import torch
from torch import Tensor

from poolref.checks import check_int, check_ndim, check_reflection
from poolref.regions import Window
from poolref.torch._engine.checks import check_floats, widen
from poolref.torch._engine.cpu_windows import empty_like
from poolref.torch._engine.custom_op import CustomOp
from poolref.torch._engine.dispatch import from_triton, runs_kernels
from poolref.torch._engine.forms import function
from poolref.torch._engine.overridable import PoolModule, overridable
from poolref.torch._engine.reduce import region_max
from poolref.torch.max import max_pool

__all__ = ["BlurPool1d", "BlurPool2d", "MaxBlurPool2d", "blur_pool", "blur_pool1d", "blur_pool2d", "max_blur_pool"]


@overridable("ndim")
def blur_pool(input: Tensor, filter_size: int = 3, stride: int = 2, ndim: int = 2) -> Tensor:
    """Return the map smoothed with a binomial filter, at every `stride`-th cell: (..., *spatial) -> (..., *output).

    An axis of n cells becomes `floor((n - 1) / stride) + 1`.  Beyond its edges the map is continued by reflection,
    the edge cell itself not repeated: so the mean of a constant map is that constant everywhere.

    Args:
        input: floats of any dtype; the last `ndim` axes are spatial.
        filter_size: cells of the filter along each axis, 1 to 7.  Default 3: weights 1/4, 1/2, 1/4.
        stride: cells from one output cell to the next, on each axis.  Default 2.
        ndim: the number of spatial axes.  Default 2.

    Returns:
        The smoothed cells, in the dtype of `input`.

    Raises:
        TypeError: `input` does not hold floats, or another argument is not an int.
        ValueError: an int is out of its range, or an axis has no more cells than are reflected into its padding, which
            is `filter_size // 2`.

    Formula: along each axis `y[i] = sum over t of w[t] x[i stride + t - floor((f - 1) / 2)]`, with
    `w[t] = binomial(f - 1, t) / 2^(f - 1)` and f the filter size.

    Source: zhang2019.
    """
    _check(filter_size, stride)
    check_reflection(check_floats(input, Window(1, ndim=check_ndim(ndim))), filter_size)
    if ndim <= 2 and runs_kernels(input, Window(filter_size, stride, ndim=ndim)):
        return blur_maps(input, filter_size, stride, ndim)
    return _by_torch(input, filter_size, stride, ndim)


def _by_torch(x: Tensor, filter_size: int, stride: int, ndim: int) -> Tensor:
    y = widen(x)
    for dim in range(-ndim, 0):
        y = _smooth(y, dim, filter_size, stride)
    return y.to(x.dtype)


@overridable("ndim")
def max_blur_pool(
    input: Tensor, kernel_size: int = 2, filter_size: int = 3, stride: int = 2, padding: int = 0, ndim: int = 2
) -> Tensor:
    """Return max pooling without its aliasing: a maximum at every cell, then blur pooling.

    Args:
        input: floats of any dtype; the last `ndim` axes are spatial.
        kernel_size: cells of the max window along each axis; it moves by 1.  Default 2.
        filter_size, stride, ndim: as for `blur_pool`.
        padding: cells added to both sides of each axis for the maximum, at most half of `kernel_size`.  Default 0.

    Returns:
        The smoothed maxima, in the dtype of `input`.

    Raises:
        TypeError: `input` does not hold floats, or another argument is not an int.
        ValueError: as `blur_pool` of the maxima, or as `Window(kernel_size, 1, padding)`.

    Formula: `blur_pool(max_pool(x, Window(kernel_size, 1, padding)), filter_size, stride)`.

    Source: zhang2019.
    """
    window = Window(kernel_size, 1, padding, ndim=check_ndim(ndim))
    sizes = window.output_shape(check_floats(input, window))
    _check(filter_size, stride)
    check_reflection(sizes, filter_size)
    if ndim <= 2 and runs_kernels(input, Window(kernel_size + filter_size - 1, stride, ndim=ndim)):
        return max_blur_maps(input, kernel_size, filter_size, stride, padding, ndim)
    return blur_pool(max_pool(input, window), filter_size, stride, ndim)


def _check(filter_size: int, stride: int) -> None:
    if check_int("filter_size", filter_size, 1) > 7:
        raise ValueError(f"filter_size must be from 1 to 7, got {filter_size!r}")
    check_int("stride", stride, 1)


def _smooth(x: Tensor, dim: int, filter_size: int, stride: int) -> Tensor:
    n, before, behind = x.shape[dim], (filter_size - 1) // 2, filter_size // 2
    edges = x.narrow(dim, 1, before).flip(dim), x.narrow(dim, n - 1 - behind, behind).flip(dim)
    padded = torch.cat([edges[0], x, edges[1]], dim)
    span = (n - 1) // stride * stride + 1
    return sum(
        comb(filter_size - 1, t) / 2 ** (filter_size - 1) * padded[(..., slice(t, t + span, stride), *_all(-dim - 1))]
        for t in range(filter_size)
    )


def _all(count: int) -> list[slice]:
    return [slice(None)] * count


# --- on CUDA tensors, each in one step -------------------------------------------------------------------------------

_blur_backward = from_triton("blur", "blur_pool_backward")

blur_maps: Final = CustomOp(
    "blur_maps(Tensor x, int filter_size, int stride, int ndim) -> Tensor y",
    "blur_maps_backward(Tensor grad, int filter_size, int stride, int ndim, SymInt[] spatial) -> Tensor x",
    from_triton("blur", "blur_pool"),
    lambda grad, filter_size, stride, ndim, spatial: _blur_backward(grad, filter_size, stride, spatial),
    exact=lambda x, filter_size, stride, ndim: _by_torch(x, filter_size, stride, ndim),
    fake=lambda x, filter_size, stride, ndim: _thinned(x, x.shape[-ndim:], stride),
    linear=lambda x, filter_size, stride, ndim, spatial: blur_maps(x, filter_size, stride, ndim),
)

max_blur_maps: Final = CustomOp(
    "max_blur_maps(Tensor x, int kernel_size, int filter_size, int stride, int padding, int ndim) -> Tensor y",
    "max_blur_maps_backward(Tensor grad, Tensor x, int kernel_size, int filter_size, int stride, int padding,"
    " int ndim) -> Tensor x",
    from_triton("blur", "max_blur_pool"),
    from_triton("blur", "max_blur_pool_backward"),
    exact=lambda x, kernel_size, filter_size, stride, padding, ndim: _by_torch(
        region_max(x, Window(kernel_size, 1, padding, ndim=ndim))[0], filter_size, stride, ndim
    ),
    fake=lambda x, kernel_size, filter_size, stride, padding, ndim: _thinned(
        x, [n + 2 * padding - kernel_size + 1 for n in x.shape[-ndim:]], stride
    ),
)


def _thinned(x: Tensor, sizes: Sequence[int], stride: int) -> Tensor:
    return empty_like(x, [(n - 1) // stride + 1 for n in sizes])


def _blur_pool(ndim: int, input: Tensor, filter_size: int = 3, stride: int = 2) -> Tensor:
    """Blur pooling: (N, C, {maps}) or (C, {maps}) -> the same with the output's sizes.

    Args:
        input: the maps.
        filter_size: cells of the filter along each axis, 1 to 7.  Default 3.
        stride: cells from one output cell to the next.  Default 2.

    Raises:
        TypeError, ValueError: as `blur_pool`.

    Formula and source: see `blur_pool`.
    """
    return blur_pool(input, filter_size, stride, ndim)


blur_pool1d: Final = function("blur_pool", _blur_pool, 1)
blur_pool2d: Final = function("blur_pool", _blur_pool, 2)


class _BlurPool(PoolModule):
    """Blur pooling, as a module: (N, C, spatial axes) or (C, spatial axes) -> the same with the output's sizes.

    Args:
        filter_size: cells of the filter along each axis, 1 to 7.  Default 3.
        stride: cells from one output cell to the next.  Default 2.

    Raises:
        TypeError, ValueError: an argument is not an int, or out of its range; when called, as `blur_pool`.

    Formula and source: see `blur_pool`.
    """

    ndim: ClassVar[int]

    def __init__(self, filter_size: int = 3, stride: int = 2):
        super().__init__()
        _check(filter_size, stride)
        self.filter_size: int = filter_size
        self.stride: int = stride

    def forward(self, input: Tensor) -> Tensor:
        """Smooth and thin out `input`."""
        return blur_pool(input, self.filter_size, self.stride, self.ndim)

    def extra_repr(self) -> str:
        return f"filter_size={self.filter_size}, stride={self.stride}"


class BlurPool1d(_BlurPool):
    __doc__ = _BlurPool.__doc__
    ndim: ClassVar[int] = 1


class BlurPool2d(_BlurPool):
    __doc__ = _BlurPool.__doc__
    ndim: ClassVar[int] = 2


class MaxBlurPool2d(BlurPool2d):
    """Max-blur pooling, as a module: (N, C, H, W) or (C, H, W) -> the same with the output's sizes.

    Args:
        kernel_size: cells of the max window along each axis; it moves by 1.  Default 2.
        filter_size: cells of the filter along each axis, 1 to 7.  Default 3.
        stride: cells from one output cell to the next.  Default 2.
        padding: cells added to both sides of each axis for the maximum, at most half of `kernel_size`.  Default 0.

    Raises:
        TypeError, ValueError: an argument is not an int, or out of its range; when called, as `max_blur_pool`.

    Formula and source: see `max_blur_pool`.
    """

    def __init__(self, kernel_size: int = 2, filter_size: int = 3, stride: int = 2, padding: int = 0):
        super().__init__(filter_size, stride)
        Window(kernel_size, 1, padding)  # raises for wrong arguments
        self.kernel_size: int = kernel_size
        self.padding: int = padding

    def forward(self, input: Tensor) -> Tensor:
        """Take maxima, smooth and thin out `input`."""
        return max_blur_pool(input, self.kernel_size, self.filter_size, self.stride, self.padding)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, {super().extra_repr()}, padding={self.padding}"
