"""Average and sum pooling: every cell of a region counts the same, and receives the same share of the gradient."""

from __future__ import annotations

import torch
from torch import Tensor

from poolref.checks import check_flag, check_int
from poolref.regions import Regions, Window
from poolref.torch.core import (
    ADAPTIVE_AVG_POOL,
    AVG_POOL,
    check_floats,
    check_numbers,
    level_by_level,
    region_counts,
    region_mean,
    region_sum,
    torch_averages,
    widen,
    window_mean,
)
from poolref.torch.cuda import AVERAGE, average_windows, runs_kernels
from poolref.torch.forms import (
    AdaptivePool,
    GlobalPool,
    Ints,
    WindowPool,
    adaptive_functions,
    functions,
    global_functions,
    modules,
    window,
    window_functions,
)


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
    if runs_kernels(input, regions, AVERAGE):
        return average_windows(input, regions, count_include_pad, divisor_override)
    return _means(input, regions, count_include_pad, divisor_override)


@level_by_level
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
    if runs_kernels(input, regions, AVERAGE):
        return average_windows(input, regions, True, 1)
    return level_by_level(region_sum)(widen(input), regions).to(input.dtype)


def _avg_pool(
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


avg_pool1d, avg_pool2d, avg_pool3d = functions("avg_pool", _avg_pool, avg_pool)
adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d = adaptive_functions(avg_pool)
global_avg_pool1d, global_avg_pool2d, global_avg_pool3d = global_functions(avg_pool)

sum_pool1d, sum_pool2d, sum_pool3d = window_functions(sum_pool)
adaptive_sum_pool1d, adaptive_sum_pool2d, adaptive_sum_pool3d = adaptive_functions(sum_pool)
global_sum_pool1d, global_sum_pool2d, global_sum_pool3d = global_functions(sum_pool)


class _AvgPool(WindowPool):
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

    options = ("count_include_pad", "divisor_override")

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
        self.count_include_pad = check_flag("count_include_pad", count_include_pad)
        self.divisor_override = divisor_override
        if divisor_override is not None:
            check_int("divisor_override", divisor_override, 1)

    def native(self, input: Tensor) -> Tensor:
        arguments = self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad
        if self.divisor_override is None:
            return AVG_POOL[self.ndim - 1](input, *arguments)
        return AVG_POOL[self.ndim - 1](input, *arguments, self.divisor_override)


class _AdaptiveAvgPool(AdaptivePool):
    __doc__ = AdaptivePool.__doc__

    def native(self, input: Tensor) -> Tensor:
        return ADAPTIVE_AVG_POOL[self.ndim - 1](input, self.output_size)


class _GlobalAvgPool(GlobalPool):
    __doc__ = GlobalPool.__doc__

    def native(self, input: Tensor) -> Tensor:
        return ADAPTIVE_AVG_POOL[self.ndim - 1](input, 1)


AvgPool1d, AvgPool2d, AvgPool3d = modules("AvgPool", _AvgPool, avg_pool)
AdaptiveAvgPool1d, AdaptiveAvgPool2d, AdaptiveAvgPool3d = modules("AdaptiveAvgPool", _AdaptiveAvgPool, avg_pool)
GlobalAvgPool1d, GlobalAvgPool2d, GlobalAvgPool3d = modules("GlobalAvgPool", _GlobalAvgPool, avg_pool)

SumPool1d, SumPool2d, SumPool3d = modules("SumPool", WindowPool, sum_pool)
AdaptiveSumPool1d, AdaptiveSumPool2d, AdaptiveSumPool3d = modules("AdaptiveSumPool", AdaptivePool, sum_pool)
GlobalSumPool1d, GlobalSumPool2d, GlobalSumPool3d = modules("GlobalSumPool", GlobalPool, sum_pool)
