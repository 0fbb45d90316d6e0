"""Average and sum pooling: every cell of a region counts the same, and receives the same share of the gradient."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

import torch
from torch import Tensor

from poolref.checks import check_flag, check_int
from poolref.regions import Adaptive, Pyramid, Regions, Window
from poolref.torch._engine.checks import check_floats, check_numbers, widen
from poolref.torch._engine.cpu_windows import empty_like, laid_out_like
from poolref.torch._engine.custom_op import CustomOp
from poolref.torch._engine.dispatch import kernel_files, runs_kernels, triton_function
from poolref.torch._engine.forms import (
    AdaptivePool,
    Bins,
    GlobalPool,
    Ints,
    WindowPool,
    adaptive_function,
    function,
    global_function,
    squeezed,
    window,
    window_function,
)
from poolref.torch._engine.overridable import overridable
from poolref.torch._engine.reduce import (
    ADAPTIVE_AVG_POOL,
    AVG_POOL,
    by_level,
    region_counts,
    region_mean,
    region_sum,
    torch_averages,
    window_mean,
)

__all__ = [
    "AdaptiveAvgPool1d",
    "AdaptiveAvgPool2d",
    "AdaptiveAvgPool3d",
    "AdaptiveSumPool1d",
    "AdaptiveSumPool2d",
    "AdaptiveSumPool3d",
    "AvgPool1d",
    "AvgPool2d",
    "AvgPool3d",
    "GlobalAvgPool1d",
    "GlobalAvgPool2d",
    "GlobalAvgPool3d",
    "GlobalSumPool1d",
    "GlobalSumPool2d",
    "GlobalSumPool3d",
    "SumPool1d",
    "SumPool2d",
    "SumPool3d",
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "adaptive_avg_pool3d",
    "adaptive_sum_pool1d",
    "adaptive_sum_pool2d",
    "adaptive_sum_pool3d",
    "avg_pool",
    "avg_pool1d",
    "avg_pool2d",
    "avg_pool3d",
    "global_avg_pool1d",
    "global_avg_pool2d",
    "global_avg_pool3d",
    "global_sum_pool1d",
    "global_sum_pool2d",
    "global_sum_pool3d",
    "sum_pool",
    "sum_pool1d",
    "sum_pool2d",
    "sum_pool3d",
]

KERNELS = kernel_files("average", pyramid=True)


@overridable()
def avg_pool(
    input: Tensor, regions: Regions, count_include_pad: bool = True, divisor_override: int | None = None
) -> Tensor:
    """Return the mean of every region: (..., *spatial) -> (..., *output spatial).

    Args:
        input: floats; the last `regions.ndim` axes are spatial.  int64 is taken too where the regions are a Window; the
            mean is then rounded towards zero, as torch.nn.AvgPool2d does.
        regions: which cells belong together, from `poolref.regions`.
        count_include_pad: divide by the number of cells including explicit padding, which adds zeros.  What hangs over
            the padded edge in ceil mode never counts.  Default True, as in torch.nn.
        divisor_override: divide by this int, at least 1, whatever the region's size.  Default None.

    Returns:
        The means, in the dtype of `input`.

    Raises:
        TypeError: `input` has another dtype, `regions` is not a kind of regions, `count_include_pad` is not a bool, or
            `divisor_override` is not an int.
        ValueError: `input` has too few axes or an empty spatial axis, a region does not fit, or `divisor_override` is 0
            or negative.

    Formula: `y[o] = (sum over c in region o of x[c]) / divisor[o]`.

    Source: lecun1998, there with a learned factor and offset for each channel.
    """
    check_flag("count_include_pad", count_include_pad)
    if divisor_override is not None:
        check_int("divisor_override", divisor_override, 1)
    takes_ints = isinstance(regions, Window) and isinstance(input, Tensor) and input.dtype == torch.int64
    (check_numbers if takes_ints else check_floats)(input, regions)
    if runs_kernels(input, regions, KERNELS):
        return average_windows(input, regions, count_include_pad, divisor_override)
    if isinstance(regions, Pyramid):
        return by_level(_means, input, regions, count_include_pad, divisor_override)
    return _means(input, regions, count_include_pad, divisor_override)


def _means(x: Tensor, regions: Regions, padded: bool, divisor: int | None) -> Tensor:
    """By torch's operators."""
    is_window, spatial = isinstance(regions, Window), tuple(x.shape[x.ndim - regions.ndim :])
    if is_window and torch_averages(regions, spatial):
        return window_mean(x, regions, padded, divisor)
    if not is_window and divisor is None:
        return region_mean(x, regions)
    sums = region_sum(widen(x), regions)
    counts = divisor or region_counts(regions, spatial, sums, padded)
    return torch.div(sums, counts, rounding_mode=None if x.is_floating_point() else "trunc").to(x.dtype)


@overridable()
def sum_pool(input: Tensor, regions: Regions) -> Tensor:
    """Return the sum of every region: (..., *spatial) -> (..., *output spatial).

    Args:
        input: ints or floats; the last `regions.ndim` axes are spatial.
        regions: which cells belong together, from `poolref.regions`.

    Returns:
        The sums, in the dtype of `input`: ints wrap around.

    Raises:
        TypeError: `input` is not a tensor of numbers, or `regions` is not a kind of regions.
        ValueError: `input` has too few axes or an empty spatial axis, or a region does not fit.

    Formula: `y[o] = sum over c in region o of x[c]`; the average with a divisor of 1.
    """
    check_numbers(input, regions)
    if runs_kernels(input, regions, KERNELS):
        return average_windows(input, regions, True, 1)
    wide = widen(input)
    sums = by_level(region_sum, wide, regions) if isinstance(regions, Pyramid) else region_sum(wide, regions)
    return laid_out_like(sums.to(input.dtype), input, regions.ndim)


# --- on a GPU --------------------------------------------------------------------------------------------------------


def _run(x: Tensor, regions: Regions, padded: bool, divisor: int | None) -> Tensor:
    return triton_function(KERNELS, regions, x.shape, "avg_pool")(x, regions, padded, divisor)


def _run_backward(
    grad: Tensor, regions: Regions, spatial: Sequence[int], channels_last: bool, padded: bool, divisor: int | None
) -> Tensor:
    backward = triton_function(KERNELS, regions, spatial, "avg_pool_backward")
    return backward(grad, regions, tuple(spatial), padded, divisor, channels_last)


def _new(x: Tensor, regions: Regions, *_: object) -> Tensor:
    size = regions.output_shape(x.shape[x.ndim - regions.ndim :])
    return x.new_empty((*x.shape[:-2], *size)) if isinstance(regions, Pyramid) else empty_like(x, size)


def _new_grad(grad: Tensor, regions: Regions, spatial: Sequence[int], channels_last: bool, *_: object) -> Tensor:
    pooled = grad.unsqueeze(-1) if isinstance(regions, Pyramid) else grad  # one axis stands for two
    return empty_like(pooled, spatial, channels_last)


def _exact(x: Tensor, regions: Regions, padded: bool, divisor: int | None) -> Tensor:
    if isinstance(regions, Pyramid):
        return by_level(_means, x, regions, padded, divisor)
    return _means(x, regions, padded, divisor)


average_windows: Final = CustomOp(
    "average_windows(Tensor x, SymInt[] regions, bool padded, int? divisor) -> Tensor y",
    "average_windows_backward(Tensor grad, SymInt[] regions, SymInt[] spatial, bool channels_last, bool padded,"
    " int? divisor) -> Tensor x",
    _run,
    _run_backward,
    exact=_exact,
    fake=_new,
    fake_backward=_new_grad,
    linear=lambda x, regions, spatial, channels_last, padded, divisor: average_windows(x, regions, padded, divisor),
)


# --- functions and modules -------------------------------------------------------------------------------------------


def _window_avg_pool(
    ndim: int,
    input: Tensor,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """Average pooling over a sliding window: (N, C, {maps}) or (C, {maps}) -> the same with the output's sizes.

    Args:
        input: the maps.
        kernel_size: cells a window takes along each axis; an int, or a sequence with one int for each axis.
        stride: cells from one window to the next.  Default: `kernel_size`.
        padding: cells added on both sides of each axis, at most half of `kernel_size`.  Default 0.
        ceil_mode: keep a last window that hangs over the edge.  Default False.
        count_include_pad: count padding, which adds zeros, in the divisor.  Default True.
        divisor_override: divide by this int instead.  Default None.

    Raises:
        TypeError, ValueError: as `avg_pool` and `poolref.regions.Window`.

    Formula and source: see `avg_pool`.
    """
    regions = window(ndim, kernel_size, stride, padding, ceil_mode=ceil_mode)
    return avg_pool(input, regions, count_include_pad, divisor_override)


def _adaptive_avg_pool(ndim: int, input: Tensor, output_size: Bins) -> Tensor:
    """Average pooling over a fixed number of bins: (N, C, {maps}) or (C, {maps}) -> the same with the output's sizes.

    Args:
        input: the maps.
        output_size: bins along each axis; an int, or a sequence with one entry for each axis.  None keeps a size.

    Raises:
        TypeError, ValueError: as `avg_pool` and `poolref.regions.Adaptive`.

    Formula and source: see `avg_pool`.
    """
    return avg_pool(input, Adaptive(output_size, ndim=ndim))


avg_pool1d: Final = function("avg_pool", _window_avg_pool, 1)
avg_pool2d: Final = function("avg_pool", _window_avg_pool, 2)
avg_pool3d: Final = function("avg_pool", _window_avg_pool, 3)
adaptive_avg_pool1d: Final = function("adaptive_avg_pool", _adaptive_avg_pool, 1)
adaptive_avg_pool2d: Final = function("adaptive_avg_pool", _adaptive_avg_pool, 2)
adaptive_avg_pool3d: Final = function("adaptive_avg_pool", _adaptive_avg_pool, 3)
global_avg_pool1d: Final = global_function(avg_pool, 1)
global_avg_pool2d: Final = global_function(avg_pool, 2)
global_avg_pool3d: Final = global_function(avg_pool, 3)

sum_pool1d: Final = window_function(sum_pool, 1)
sum_pool2d: Final = window_function(sum_pool, 2)
sum_pool3d: Final = window_function(sum_pool, 3)
adaptive_sum_pool1d: Final = adaptive_function(sum_pool, 1)
adaptive_sum_pool2d: Final = adaptive_function(sum_pool, 2)
adaptive_sum_pool3d: Final = adaptive_function(sum_pool, 3)
global_sum_pool1d: Final = global_function(sum_pool, 1)
global_sum_pool2d: Final = global_function(sum_pool, 2)
global_sum_pool3d: Final = global_function(sum_pool, 3)


class _AvgPool(WindowPool, reducer=avg_pool):
    """Average pooling over a sliding window, as a module: (N, C, {maps}) or (C, {maps}) -> the output's sizes.

    Args:
        kernel_size: cells a window takes along each axis; an int, or a sequence with one int for each axis.
        stride: cells from one window to the next.  Default: `kernel_size`.
        padding: cells added on both sides of each axis, at most half of `kernel_size`.  Default 0.
        ceil_mode: keep a last window that hangs over the edge.  Default False.
        count_include_pad: count padding, which adds zeros, in the divisor.  Default True.
        divisor_override: divide by this int, at least 1, instead.  Default None.

    Raises:
        TypeError, ValueError: as `poolref.regions.Window` and `avg_pool`.

    Formula and source: see `avg_pool`.
    """

    options: ClassVar[tuple[str, ...]] = ("count_include_pad", "divisor_override")

    def __init__(
        self,
        kernel_size: Ints,
        stride: Ints | None = None,
        padding: Ints = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ):
        super().__init__(kernel_size, stride, padding, ceil_mode=ceil_mode)
        self.count_include_pad: bool = check_flag("count_include_pad", count_include_pad)
        self.divisor_override = divisor_override
        if divisor_override is not None:
            check_int("divisor_override", divisor_override, 1)

    def forward(self, input: Tensor) -> Tensor:
        divisor = () if self.divisor_override is None else (self.divisor_override,)
        if (
            not self.is_plain(input)
            or (self.ndim == 3 and not torch_averages(self.regions, input.shape[-3:]))
            or (divisor and self.ndim == 1)
        ):
            return super().forward(input)
        arguments = self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad
        return AVG_POOL[self.ndim - 1](input, *arguments, *divisor)


class _AdaptiveAvgPool(AdaptivePool, reducer=avg_pool):
    __doc__ = AdaptivePool.__doc__

    def forward(self, input: Tensor) -> Tensor:
        if not self.is_plain(input):
            return super().forward(input)
        return ADAPTIVE_AVG_POOL[self.ndim - 1](input, self.output_size)


class _GlobalAvgPool(GlobalPool, reducer=avg_pool):
    __doc__ = GlobalPool.__doc__

    def forward(self, input: Tensor) -> Tensor:
        if not self.is_plain(input):
            return super().forward(input)
        return squeezed(ADAPTIVE_AVG_POOL[self.ndim - 1](input, 1), self.ndim, self.keepdim)


class AvgPool1d(_AvgPool, ndim=1):
    """Average pooling over a sliding window: (N, C, L) or (C, L) -> the output's size."""


class AvgPool2d(_AvgPool, ndim=2):
    """Average pooling over a sliding window: (N, C, H, W) or (C, H, W) -> the output's sizes."""


class AvgPool3d(_AvgPool, ndim=3):
    """Average pooling over a sliding window: (N, C, D, H, W) or (C, D, H, W) -> the output's sizes."""


class AdaptiveAvgPool1d(_AdaptiveAvgPool, ndim=1):
    """Average pooling over a fixed number of bins: (N, C, L) or (C, L) -> the output's size."""


class AdaptiveAvgPool2d(_AdaptiveAvgPool, ndim=2):
    """Average pooling over a fixed number of bins: (N, C, H, W) or (C, H, W) -> the output's sizes."""


class AdaptiveAvgPool3d(_AdaptiveAvgPool, ndim=3):
    """Average pooling over a fixed number of bins: (N, C, D, H, W) or (C, D, H, W) -> the output's sizes."""


class GlobalAvgPool1d(_GlobalAvgPool, ndim=1):
    """Average pooling over whole maps: (N, C, L) or (C, L) -> size 1."""


class GlobalAvgPool2d(_GlobalAvgPool, ndim=2):
    """Average pooling over whole maps: (N, C, H, W) or (C, H, W) -> sizes of 1."""


class GlobalAvgPool3d(_GlobalAvgPool, ndim=3):
    """Average pooling over whole maps: (N, C, D, H, W) or (C, D, H, W) -> sizes of 1."""


class SumPool1d(WindowPool, ndim=1, reducer=sum_pool):
    """Sum pooling over a sliding window: (N, C, L) or (C, L) -> the output's size."""


class SumPool2d(WindowPool, ndim=2, reducer=sum_pool):
    """Sum pooling over a sliding window: (N, C, H, W) or (C, H, W) -> the output's sizes."""


class SumPool3d(WindowPool, ndim=3, reducer=sum_pool):
    """Sum pooling over a sliding window: (N, C, D, H, W) or (C, D, H, W) -> the output's sizes."""


class AdaptiveSumPool1d(AdaptivePool, ndim=1, reducer=sum_pool):
    """Sum pooling over a fixed number of bins: (N, C, L) or (C, L) -> the output's size."""


class AdaptiveSumPool2d(AdaptivePool, ndim=2, reducer=sum_pool):
    """Sum pooling over a fixed number of bins: (N, C, H, W) or (C, H, W) -> the output's sizes."""


class AdaptiveSumPool3d(AdaptivePool, ndim=3, reducer=sum_pool):
    """Sum pooling over a fixed number of bins: (N, C, D, H, W) or (C, D, H, W) -> the output's sizes."""


class GlobalSumPool1d(GlobalPool, ndim=1, reducer=sum_pool):
    """Sum pooling over whole maps: (N, C, L) or (C, L) -> size 1."""


class GlobalSumPool2d(GlobalPool, ndim=2, reducer=sum_pool):
    """Sum pooling over whole maps: (N, C, H, W) or (C, H, W) -> sizes of 1."""


class GlobalSumPool3d(GlobalPool, ndim=3, reducer=sum_pool):
    """Sum pooling over whole maps: (N, C, D, H, W) or (C, D, H, W) -> sizes of 1."""
