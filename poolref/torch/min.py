"""Min pooling: the smallest value of every region, which is max pooling of the map turned upside down."""

from __future__ import annotations

from torch import Tensor

from poolref.regions import Regions
from poolref.torch.core import check_numbers
from poolref.torch.cuda import MAX, largest_of, runs_kernels
from poolref.torch.forms import (
    AdaptivePool,
    GlobalPool,
    WindowPool,
    adaptive_functions,
    global_functions,
    modules,
    window_functions,
)
from poolref.torch.max import max_pool


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
    if runs_kernels(input, regions, MAX):
        return largest_of(input, regions, smallest=True)
    return _upside_down(max_pool(_upside_down(input), regions))


def _upside_down(x: Tensor) -> Tensor:
    # For ints -x would overflow at the lowest value (and mean nothing for unsigned ones); ~x reverses the order too.
    return -x if x.is_floating_point() else ~x


min_pool1d, min_pool2d, min_pool3d = window_functions(min_pool)
adaptive_min_pool1d, adaptive_min_pool2d, adaptive_min_pool3d = adaptive_functions(min_pool)
global_min_pool1d, global_min_pool2d, global_min_pool3d = global_functions(min_pool)

MinPool1d, MinPool2d, MinPool3d = modules("MinPool", WindowPool, min_pool)
AdaptiveMinPool1d, AdaptiveMinPool2d, AdaptiveMinPool3d = modules("AdaptiveMinPool", AdaptivePool, min_pool)
GlobalMinPool1d, GlobalMinPool2d, GlobalMinPool3d = modules("GlobalMinPool", GlobalPool, min_pool)
