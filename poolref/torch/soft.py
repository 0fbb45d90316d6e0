"""SoftPool: a mean that weights every cell by the softmax of its own region, so that large values count more."""

from __future__ import annotations

from math import log
from typing import Final

import torch
from torch import Tensor

from poolref.regions import Regions
from poolref.torch._engine.checks import check_floats
from poolref.torch._engine.cpu_windows import Sweep
from poolref.torch._engine.forms import (
    AdaptivePool,
    GlobalPool,
    WindowPool,
    adaptive_function,
    global_function,
    window_function,
)
from poolref.torch._engine.overridable import overridable
from poolref.torch._engine.pool_op import SharedSums, pool_op, sums_are_safe

__all__ = [
    "AdaptiveSoftPool1d",
    "AdaptiveSoftPool2d",
    "AdaptiveSoftPool3d",
    "GlobalSoftPool1d",
    "GlobalSoftPool2d",
    "GlobalSoftPool3d",
    "SoftPool1d",
    "SoftPool2d",
    "SoftPool3d",
    "adaptive_soft_pool1d",
    "adaptive_soft_pool2d",
    "adaptive_soft_pool3d",
    "global_soft_pool1d",
    "global_soft_pool2d",
    "global_soft_pool3d",
    "soft_pool",
    "soft_pool1d",
    "soft_pool2d",
    "soft_pool3d",
]


@overridable()
def soft_pool(input: Tensor, regions: Regions) -> Tensor:
    """Return the softmax-weighted mean of every region: (..., *spatial) -> (..., *output spatial).

    The result lies between the mean and the maximum of its region.  Padding takes no part.  A cell at -inf has weight
    0; a region of nothing but -inf, or without cells, gives -inf and has no gradient; a cell at +inf gives +inf; NaN
    propagates.

    Args:
        input: floats of any dtype; the last `regions.ndim` axes are spatial.
        regions: which cells belong together, from `poolref.regions`.

    Returns:
        The weighted means, in the dtype of `input`.

    Raises:
        TypeError: `input` does not hold floats, or `regions` is not a kind of regions.
        ValueError: `input` has too few axes or an empty spatial axis, or a region does not fit.

    Formula: `y[o] = sum of w[c] x[c]` over the cells c of region o, with `w[c] = exp(x[c]) / sum of exp(x[c'])`; hence
    `dx[c] = sum of dy[o] w[c] (1 + x[c] - y[o])` over the regions o that contain c.

    Source: stergiou2021.  The authors' code departs from the paper: it does not subtract the maximum (x = 100 gives
    NaN), and its backward pass is `w` alone.  The paper is followed here.
    """
    check_floats(input, regions)
    return _soft_pool(input, regions)


# exp(x) is the same for every window a cell lies in; without subtracting a maximum SoftPool is two sums.


def _forward(x: Tensor, sweep: Sweep) -> Tensor | None:
    if not _tame(x):
        return None
    e = torch.exp(x, out=sweep.empty(x))
    weight = sweep.sum(e)
    y = sweep.sum(e.mul_(x)).div_(weight)
    return y if sums_are_safe(weight, y) else None


def _backward(grad: Tensor, x: Tensor, y: Tensor, sweep: Sweep) -> Tensor | None:
    if not _tame(y):
        return None
    e = torch.exp(x, out=sweep.empty(x))
    weight = sweep.sum(e)
    share = torch.div(grad, weight, out=sweep.empty(weight))
    # sum of grad w (1 + x - y) = e * (sum of share + x * sum of share - sum of share y)
    result = sweep.spread(share)
    result.addcmul_(result, x).sub_(sweep.spread(share.mul_(y))).mul_(e)
    return result if sums_are_safe(weight, result) else None


def _tame(x: Tensor) -> bool:
    """False if a sum of exp(x) would not be safe, which saves forming it: exp is slow where it nearly vanishes."""
    return x.amax().item() < log(torch.finfo(x.dtype).max) / 2


# Each region by itself, its own maximum subtracted: always exact.


def _weights(cells: Tensor) -> tuple[Tensor, Tensor]:
    """The weight of every cell, and the largest cell of its region, no variable."""
    largest = cells.detach().amax(-1, keepdim=True)
    equal = torch.where(cells == largest, 0.0, -torch.inf)  # cells at +inf share the weight
    w = torch.where(largest.isinf(), equal, cells).movedim(-1, 0).softmax(0).movedim(0, -1)
    return torch.where(largest == -torch.inf, 0.0, w), largest


def _of_cells(cells: Tensor, there: Tensor) -> Tensor:
    w, largest = _weights(cells)
    y = (w * torch.where(w == 0, 0.0, cells)).sum(-1)  # not 0 * -inf
    return torch.where(largest.squeeze(-1) == -torch.inf, -torch.inf, y)


def _cells_backward(grad: Tensor, cells: Tensor, there: Tensor) -> Tensor:
    w, largest = _weights(cells)
    # x - y as a difference of gaps: y itself is rounded, by much more than 1 where x is large.
    gaps = torch.where((w == 0) | (cells == largest), 0.0, cells - largest)  # inf - inf is no gap
    return grad * w * (1 + gaps - (w * gaps).sum(-1, keepdim=True))


_soft_pool = pool_op(
    "soft_pool",
    _of_cells,
    fill=-torch.inf,
    shared_sums=SharedSums(_forward, _backward),
    cells_backward=_cells_backward,
    triton="soft",
)

soft_pool1d: Final = window_function(soft_pool, 1)
soft_pool2d: Final = window_function(soft_pool, 2)
soft_pool3d: Final = window_function(soft_pool, 3)
adaptive_soft_pool1d: Final = adaptive_function(soft_pool, 1)
adaptive_soft_pool2d: Final = adaptive_function(soft_pool, 2)
adaptive_soft_pool3d: Final = adaptive_function(soft_pool, 3)
global_soft_pool1d: Final = global_function(soft_pool, 1)
global_soft_pool2d: Final = global_function(soft_pool, 2)
global_soft_pool3d: Final = global_function(soft_pool, 3)


class SoftPool1d(WindowPool, ndim=1, reducer=soft_pool):
    """SoftPool over a sliding window: (N, C, L) or (C, L) -> the output's size."""


class SoftPool2d(WindowPool, ndim=2, reducer=soft_pool):
    """SoftPool over a sliding window: (N, C, H, W) or (C, H, W) -> the output's sizes."""


class SoftPool3d(WindowPool, ndim=3, reducer=soft_pool):
    """SoftPool over a sliding window: (N, C, D, H, W) or (C, D, H, W) -> the output's sizes."""


class AdaptiveSoftPool1d(AdaptivePool, ndim=1, reducer=soft_pool):
    """SoftPool over a fixed number of bins: (N, C, L) or (C, L) -> the output's size."""


class AdaptiveSoftPool2d(AdaptivePool, ndim=2, reducer=soft_pool):
    """SoftPool over a fixed number of bins: (N, C, H, W) or (C, H, W) -> the output's sizes."""


class AdaptiveSoftPool3d(AdaptivePool, ndim=3, reducer=soft_pool):
    """SoftPool over a fixed number of bins: (N, C, D, H, W) or (C, D, H, W) -> the output's sizes."""


class GlobalSoftPool1d(GlobalPool, ndim=1, reducer=soft_pool):
    """SoftPool over whole maps: (N, C, L) or (C, L) -> size 1."""


class GlobalSoftPool2d(GlobalPool, ndim=2, reducer=soft_pool):
    """SoftPool over whole maps: (N, C, H, W) or (C, H, W) -> sizes of 1."""


class GlobalSoftPool3d(GlobalPool, ndim=3, reducer=soft_pool):
    """SoftPool over whole maps: (N, C, D, H, W) or (C, D, H, W) -> sizes of 1."""
