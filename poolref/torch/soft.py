"""SoftPool: a mean that weights every cell by the softmax of its own region, so that large values count more."""

from __future__ import annotations

from math import log

import torch
from torch import Tensor

from poolref.regions import Adaptive, Regions, Window
from poolref.torch.core import check_floats, level_by_level
from poolref.torch.cuda import LINES
from poolref.torch.forms import (
    AdaptivePool,
    GlobalPool,
    WindowPool,
    adaptive_functions,
    global_functions,
    modules,
    window_functions,
)
from poolref.torch.kernels import kernel, sums_are_safe
from poolref.torch.sweeps import Sweep


@level_by_level
def soft_pool(input: Tensor, regions: Regions) -> Tensor:
    """Return the softmax-weighted mean of every region: (..., *spatial) -> (..., *output spatial).

    The result lies between the mean and the maximum of its region.  Padding takes no part.  A cell at -inf has weight
    0; a region of nothing but -inf, or without cells, gives -inf; a cell at +inf gives +inf; NaN propagates.

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


def _weights(cells: Tensor) -> Tensor:
    largest = cells.detach().amax(-1, keepdim=True)
    equal = torch.where(
        cells == largest, 0.0, -torch.inf
    )  # cells at +inf share the weight, and so do those of all -inf
    return torch.where(largest.isinf(), equal, cells).movedim(-1, 0).softmax(0).movedim(0, -1)


def _of_cells(cells: Tensor) -> Tensor:
    w = _weights(cells)
    return (w * torch.where(w == 0, 0.0, cells)).sum(-1)  # not 0 * -inf


def _cells_backward(grad: Tensor, cells: Tensor) -> Tensor:
    w = _weights(cells)
    y = _of_cells(cells).unsqueeze(-1)
    return grad * w * (1 + torch.where((w == 0) | (cells == y), 0.0, cells - y))  # inf - inf is no gap


_TRITON = {Window: "soft", Adaptive: "soft", **LINES}
_soft_pool = kernel("soft_pool", _forward, _backward, _of_cells, _cells_backward, fill=-torch.inf, triton=_TRITON)


soft_pool1d, soft_pool2d, soft_pool3d = window_functions(soft_pool)
adaptive_soft_pool1d, adaptive_soft_pool2d, adaptive_soft_pool3d = adaptive_functions(soft_pool)
global_soft_pool1d, global_soft_pool2d, global_soft_pool3d = global_functions(soft_pool)

SoftPool1d, SoftPool2d, SoftPool3d = modules("SoftPool", WindowPool, soft_pool)
AdaptiveSoftPool1d, AdaptiveSoftPool2d, AdaptiveSoftPool3d = modules("AdaptiveSoftPool", AdaptivePool, soft_pool)
GlobalSoftPool1d, GlobalSoftPool2d, GlobalSoftPool3d = modules("GlobalSoftPool", GlobalPool, soft_pool)
