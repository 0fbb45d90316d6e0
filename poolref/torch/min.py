"""Min pooling: the smallest value of every region, which is max pooling of the map turned upside down."""

from __future__ import annotations

from typing import Final

from torch import Tensor

from poolref.regions import Regions
from poolref.torch._engine.checks import check_numbers
from poolref.torch._engine.dispatch import runs_kernels
from poolref.torch._engine.forms import (
    AdaptivePool,
    GlobalPool,
    WindowPool,
    adaptive_function,
    global_function,
    window_function,
)
from poolref.torch._engine.overridable import overridable
from poolref.torch.max import KERNELS, max_by_kernel, max_pool

__all__ = [
    "AdaptiveMinPool1d",
    "AdaptiveMinPool2d",
    "AdaptiveMinPool3d",
    "GlobalMinPool1d",
    "GlobalMinPool2d",
    "GlobalMinPool3d",
    "MinPool1d",
    "MinPool2d",
    "MinPool3d",
    "adaptive_min_pool1d",
    "adaptive_min_pool2d",
    "adaptive_min_pool3d",
    "global_min_pool1d",
    "global_min_pool2d",
    "global_min_pool3d",
    "min_pool",
    "min_pool1d",
    "min_pool2d",
    "min_pool3d",
]


@overridable()
def min_pool(input: Tensor, regions: Regions) -> Tensor:
    """Return the smallest value of every region: (..., *spatial) -> (..., *output spatial).

    Padding takes no part.  NaN propagates.  A region without cells gives +inf.

    Args:
        input: ints or floats; the last `regions.ndim` axes are spatial.
        regions: which cells belong together, from `poolref.regions`.

    Returns:
        The minima, in the dtype of `input`.  Of several equal cells the first met receives the gradient.

    Raises:
        TypeError: `input` is not a tensor of numbers, or `regions` is not a kind of regions.
        ValueError: `input` has too few axes or an empty spatial axis, or a region does not fit.

    Formula: `y[o] = min over c in region o of x[c]`, computed as `-max_pool(-x)`.
    """
    check_numbers(input, regions)
    if runs_kernels(input, regions, KERNELS):
        return max_by_kernel(input, regions, smallest=True)
    return _upside_down(max_pool(_upside_down(input), regions))


def _upside_down(x: Tensor) -> Tensor:
    # For ints -x would overflow at the lowest value (and mean nothing for unsigned ones); ~x reverses the order too.
    return -x if x.is_floating_point() else ~x


min_pool1d: Final = window_function(min_pool, 1)
min_pool2d: Final = window_function(min_pool, 2)
min_pool3d: Final = window_function(min_pool, 3)
adaptive_min_pool1d: Final = adaptive_function(min_pool, 1)
adaptive_min_pool2d: Final = adaptive_function(min_pool, 2)
adaptive_min_pool3d: Final = adaptive_function(min_pool, 3)
global_min_pool1d: Final = global_function(min_pool, 1)
global_min_pool2d: Final = global_function(min_pool, 2)
global_min_pool3d: Final = global_function(min_pool, 3)


class MinPool1d(WindowPool, ndim=1, reducer=min_pool):
    """Min pooling over a sliding window: (N, C, L) or (C, L) -> the output's size."""


class MinPool2d(WindowPool, ndim=2, reducer=min_pool):
    """Min pooling over a sliding window: (N, C, H, W) or (C, H, W) -> the output's sizes."""


class MinPool3d(WindowPool, ndim=3, reducer=min_pool):
    """Min pooling over a sliding window: (N, C, D, H, W) or (C, D, H, W) -> the output's sizes."""


class AdaptiveMinPool1d(AdaptivePool, ndim=1, reducer=min_pool):
    """Min pooling over a fixed number of bins: (N, C, L) or (C, L) -> the output's size."""


class AdaptiveMinPool2d(AdaptivePool, ndim=2, reducer=min_pool):
    """Min pooling over a fixed number of bins: (N, C, H, W) or (C, H, W) -> the output's sizes."""


class AdaptiveMinPool3d(AdaptivePool, ndim=3, reducer=min_pool):
    """Min pooling over a fixed number of bins: (N, C, D, H, W) or (C, D, H, W) -> the output's sizes."""


class GlobalMinPool1d(GlobalPool, ndim=1, reducer=min_pool):
    """Min pooling over whole maps: (N, C, L) or (C, L) -> size 1."""


class GlobalMinPool2d(GlobalPool, ndim=2, reducer=min_pool):
    """Min pooling over whole maps: (N, C, H, W) or (C, H, W) -> sizes of 1."""


class GlobalMinPool3d(GlobalPool, ndim=3, reducer=min_pool):
    """Min pooling over whole maps: (N, C, D, H, W) or (C, D, H, W) -> sizes of 1."""
