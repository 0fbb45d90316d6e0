"""Median pooling: the middle value of every region.  Some wild cells do not move it."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

from poolref.regions import Regions
from poolref.torch._engine.checks import check_floats, in_onnx_export
from poolref.torch._engine.forms import (
    AdaptivePool,
    GlobalPool,
    WindowPool,
    adaptive_function,
    global_function,
    window_function,
)
from poolref.torch._engine.overridable import overridable
from poolref.torch._engine.pool_op import pool_op

__all__ = [
    "AdaptiveMedianPool1d", "AdaptiveMedianPool2d", "AdaptiveMedianPool3d", "GlobalMedianPool1d",
    "GlobalMedianPool2d", "GlobalMedianPool3d", "MedianPool1d", "MedianPool2d",
    "MedianPool3d", "adaptive_median_pool1d", "adaptive_median_pool2d", "adaptive_median_pool3d",
    "global_median_pool1d", "global_median_pool2d", "global_median_pool3d", "median_pool",
    "median_pool1d", "median_pool2d", "median_pool3d"
]  # fmt: skip


@overridable()
def median_pool(input: Tensor, regions: Regions) -> Tensor:
    """Return the median of every region: (..., *spatial) -> (..., *output spatial).

    Padding takes no part.  NaN propagates; a region without cells gives NaN.

    Args:
        input: floats of any dtype; the last `regions.ndim` axes are spatial.
        regions: which cells belong together, from `poolref.regions`.

    Raises:
        TypeError: `input` does not hold floats, or `regions` is not a kind of regions.
        ValueError: `input` has too few axes or an empty spatial axis, or a region does not fit.

    Formula: of the N cells of region o in order, `y[o] = (x[(N - 1) // 2] + x[N // 2]) / 2`, counted from 0.  Half of
    the gradient goes to each of the two; cells of one value stand in the order in which they are met.

    Source: huang1979, for filters.
    """
    check_floats(input, regions)
    return _median_pool(input, regions)


def _of_cells(cells: Tensor, there: Tensor) -> Tensor:
    stable = {} if in_onnx_export() else {"stable": True}  # ONNX has no such sort, nor a gradient
    missing_last = (~there).to(torch.int32).sort(dim=-1, **stable).indices.expand_as(cells)
    ordered = torch.where(there, cells, torch.inf).gather(-1, missing_last).sort(dim=-1, **stable).values
    n = there.sum(-1, keepdim=True)
    low, high = (ordered.gather(-1, i.clamp(min=0).expand(*cells.shape[:-1], 1)) for i in ((n - 1) // 2, n // 2))
    middle = torch.where(n % 2 == 1, low, low / 2 + high / 2)
    return torch.where(cells.isnan().any(-1, keepdim=True) | (n == 0), torch.nan, middle).squeeze(-1)


_median_pool = pool_op("median_pool", _of_cells)

median_pool1d: Final = window_function(median_pool, 1)
median_pool2d: Final = window_function(median_pool, 2)
median_pool3d: Final = window_function(median_pool, 3)
adaptive_median_pool1d: Final = adaptive_function(median_pool, 1)
adaptive_median_pool2d: Final = adaptive_function(median_pool, 2)
adaptive_median_pool3d: Final = adaptive_function(median_pool, 3)
global_median_pool1d: Final = global_function(median_pool, 1)
global_median_pool2d: Final = global_function(median_pool, 2)
global_median_pool3d: Final = global_function(median_pool, 3)


class MedianPool1d(WindowPool, ndim=1, reducer=median_pool):
    """The median over a sliding window: (N, C, L) or (C, L) -> the output's size."""


class MedianPool2d(WindowPool, ndim=2, reducer=median_pool):
    """The median over a sliding window: (N, C, H, W) or (C, H, W) -> the output's sizes."""


class MedianPool3d(WindowPool, ndim=3, reducer=median_pool):
    """The median over a sliding window: (N, C, D, H, W) or (C, D, H, W) -> the output's sizes."""


class AdaptiveMedianPool1d(AdaptivePool, ndim=1, reducer=median_pool):
    """The median over a fixed number of bins: (N, C, L) or (C, L) -> the output's size."""


class AdaptiveMedianPool2d(AdaptivePool, ndim=2, reducer=median_pool):
    """The median over a fixed number of bins: (N, C, H, W) or (C, H, W) -> the output's sizes."""


class AdaptiveMedianPool3d(AdaptivePool, ndim=3, reducer=median_pool):
    """The median over a fixed number of bins: (N, C, D, H, W) or (C, D, H, W) -> the output's sizes."""


class GlobalMedianPool1d(GlobalPool, ndim=1, reducer=median_pool):
    """The median over whole maps: (N, C, L) or (C, L) -> size 1."""


class GlobalMedianPool2d(GlobalPool, ndim=2, reducer=median_pool):
    """The median over whole maps: (N, C, H, W) or (C, H, W) -> sizes of 1."""


class GlobalMedianPool3d(GlobalPool, ndim=3, reducer=median_pool):
    """The median over whole maps: (N, C, D, H, W) or (C, D, H, W) -> sizes of 1."""
