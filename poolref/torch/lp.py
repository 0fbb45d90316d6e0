"""Lp pooling: the p-norm of every region.  p = 1 adds magnitudes, p = 2 gives the length, p = inf the largest."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from poolref.checks import check_norm_type
from poolref.regions import Adaptive, Regions, Whole, Window
from poolref.torch.core import check_floats, level_by_level, region_max
from poolref.torch.cuda import LINES
from poolref.torch.forms import (
    AdaptivePool,
    GlobalPool,
    Ints,
    WindowPool,
    functions,
    modules,
    squeezed,
    window,
)
from poolref.torch.kernels import kernel, sums_are_safe
from poolref.torch.sweeps import Sweep


@level_by_level
def lp_pool(input: Tensor, regions: Regions, p: float = 2) -> Tensor:
    """Return the p-norm of every region: (..., *spatial) -> (..., *output spatial).

    Only the result can overflow, never a power on the way.  Padding adds nothing, and a region that hangs over the
    edge is not scaled up for its missing cells.  A region without cells gives 0.

    Args:
        input: floats of any dtype; the last `regions.ndim` axes are spatial.
        regions: which cells belong together, from `poolref.regions`.
        p: the norm's exponent, above 0; `inf` gives the largest magnitude.  Default 2.

    Returns:
        The norms, in the dtype of `input`.

    Raises:
        TypeError: `input` does not hold floats, `p` is not a number, or `regions` is not a kind of regions.
        ValueError: `p` is 0, negative or NaN, `input` has too few axes or an empty spatial axis, or a region does not
            fit.

    Formula: `y[o] = (sum over c in region o of |x[c]|^p)^(1/p)`; hence `dx[c] = sum of dy[o] sign(x[c])
    (|x[c]| / y[o])^(p-1)` over the regions o that contain c.  Where y is 0, so is the gradient.

    Source: sermanet2012.  torch.nn.LPPool2d differs: it takes no absolute value, overflows from 1e20 at p = 2, and
    scales a partial window up in ceil mode.
    """
    p = check_norm_type("p", p)
    check_floats(input, regions)
    if p == torch.inf:
        return region_max(input.abs(), regions)[0].clamp(min=0)
    return _lp_pool(input, regions, p)


# |x|^p is the same for every window a cell lies in; without scaling the norm is one sum.


def _forward(x: Tensor, sweep: Sweep, p: float) -> Tensor | None:
    sums = sweep.sum(_power(x, p, sweep))
    y = torch.pow(sums, 1 / p, out=sweep.empty(sums))
    return y if _are_exact(sums, y, x, sweep) else None


def _backward(grad: Tensor, x: Tensor, y: Tensor, sweep: Sweep, p: float) -> Tensor | None:
    zero = y == 0
    share = torch.pow(y, 1 - p, out=sweep.empty(y)).mul_(grad).masked_fill_(zero, 0)
    result = sweep.spread(share)
    if p == 2:
        result.mul_(x)
    elif p == 1:
        result.mul_(torch.sign(x, out=sweep.empty(x)))
    else:
        slope = _power(x, p - 1, sweep)
        result.mul_(slope.copysign_(x)).masked_fill_(x == 0, 0)
    sums = torch.pow(y, p, out=sweep.empty(y)).masked_fill_(zero, 1)
    return result if sums_are_safe(sums, result) else None


def _power(x: Tensor, p: float, sweep: Sweep) -> Tensor:
    if p == 2:
        return torch.mul(x, x, out=sweep.empty(x))
    a = torch.abs(x, out=sweep.empty(x))
    return a if p == 1 else a.pow_(p)


def _are_exact(sums: Tensor, result: Tensor, x: Tensor, sweep: Sweep) -> bool:
    if sums_are_safe(sums, result):
        return True
    # A sum of 0 is exact if all of its cells are 0, and not if their powers were too small to tell from 0.
    zero = sums == 0
    all_zero = sweep.max(torch.abs(x, out=sweep.empty(x))) <= 0
    return bool((zero == all_zero).all()) and sums_are_safe(sums.masked_fill_(zero, 1), result)


# Each region by itself, scaled by its largest magnitude: always exact.


def _of_cells(cells: Tensor, p: float) -> Tensor:
    magnitudes = cells.abs()
    largest = magnitudes.detach().amax(-1, keepdim=True)
    infinite = largest.isinf()
    scale = torch.where((largest == 0) | infinite, 1, largest)
    scaled = torch.where(infinite, 1, magnitudes / scale)
    # A cell, or a sum, of 0 would have a slope of inf or NaN in the power or the root, so 1 stands in for it.
    powers = scaled * scaled if p == 2 else torch.where(scaled == 0, 0, torch.where(scaled == 0, 1, scaled).pow(p))
    sums = powers.sum(-1)
    norms = scale.squeeze(-1) * torch.where(sums == 0, 0, torch.where(sums == 0, 1, sums).pow(1 / p))
    return torch.where(infinite.squeeze(-1), torch.where(magnitudes.isinf(), magnitudes, 0).sum(-1), norms)


def _cells_backward(grad: Tensor, cells: Tensor, p: float) -> Tensor:
    y = _of_cells(cells, p).unsqueeze(-1)
    ratio = torch.where(cells.abs() == y, 1, cells.abs() / y).pow(p - 1)
    return grad * cells.sign() * torch.where((cells == 0) | (y == 0), 0, ratio)


_TRITON = {Window: "lp", Adaptive: "lp", **LINES}
_lp_pool = kernel("lp_pool", _forward, _backward, _of_cells, _cells_backward, fill=0, triton=_TRITON)


def _lp_pool_windows(
    ndim: int,
    input: Tensor,
    norm_type: float,
    kernel_size: Ints,
    stride: Ints | None = None,
    ceil_mode: bool = False,
    padding: Ints = 0,
    dilation: Ints = 1,
) -> Tensor:
    """The p-norm over a sliding window: (N, C, {maps}) or (C, {maps}) -> the same with the output's sizes.

    Args:
        input: the maps.
        norm_type: the norm's exponent, above 0; `inf` gives the largest magnitude.
        kernel_size: cells a window takes along each axis; an int, or a sequence with one int for each axis.
        stride: cells from one window to the next.  Default: `kernel_size`.
        ceil_mode: keep a last window that hangs over the edge.  Default False.
        padding: cells added on both sides of each axis, at most half of `kernel_size`.  Default 0.
        dilation: cells from one tap of a window to the next.  Default 1.

    Raises:
        TypeError, ValueError: as `lp_pool` and `poolref.regions.Window`.

    Formula and source: see `lp_pool`.
    """
    p = check_norm_type("norm_type", norm_type)
    return lp_pool(input, window(ndim, kernel_size, stride, padding, dilation, ceil_mode), p)


def _adaptive_lp_pool(
    ndim: int, input: Tensor, norm_type: float, output_size: int | Sequence[int | None] | None
) -> Tensor:
    """The p-norm over a fixed number of bins: (N, C, {maps}) or (C, {maps}) -> the same with the output's sizes.

    Args:
        input: the maps.
        norm_type: the norm's exponent, above 0; `inf` gives the largest magnitude.
        output_size: bins along each axis; an int, or a sequence with one entry for each axis.  None keeps a size.

    Raises:
        TypeError, ValueError: as `lp_pool` and `poolref.regions.Adaptive`.

    Formula and source: see `lp_pool`.
    """
    return lp_pool(input, Adaptive(output_size, ndim=ndim), check_norm_type("norm_type", norm_type))


def _global_lp_pool(ndim: int, input: Tensor, norm_type: float, keepdim: bool = True) -> Tensor:
    """The p-norm over whole maps: (N, C, {maps}) or (C, {maps}) -> the same with spatial sizes of 1.

    Args:
        input: the maps.
        norm_type: the norm's exponent, above 0; `inf` gives the largest magnitude.
        keepdim: keep the spatial axes; without them the result is (N, C) or (C,).  Default True.

    Raises:
        TypeError: `keepdim` is not a bool, or as `lp_pool`.
        ValueError: as `lp_pool`.

    Formula and source: see `lp_pool`.
    """
    return squeezed(lp_pool(input, Whole(ndim), check_norm_type("norm_type", norm_type)), ndim, keepdim)


lp_pool1d, lp_pool2d, lp_pool3d = functions("lp_pool", _lp_pool_windows, lp_pool)
adaptive_lp_pool1d, adaptive_lp_pool2d, adaptive_lp_pool3d = functions("adaptive_lp_pool", _adaptive_lp_pool, lp_pool)
global_lp_pool1d, global_lp_pool2d, global_lp_pool3d = functions("global_lp_pool", _global_lp_pool, lp_pool)


class _LPPool(WindowPool):
    """The p-norm over a sliding window, as a module: (N, C, {maps}) or (C, {maps}) -> the output's sizes.

    Args:
        norm_type: the norm's exponent, above 0; `inf` gives the largest magnitude.
        kernel_size: cells a window takes along each axis; an int, or a sequence with one int for each axis.
        stride: cells from one window to the next.  Default: `kernel_size`.
        ceil_mode: keep a last window that hangs over the edge.  Default False.
        padding: cells added on both sides of each axis, at most half of `kernel_size`.  Default 0.
        dilation: cells from one tap of a window to the next.  Default 1.

    Raises:
        TypeError, ValueError: as `poolref.regions.Window`, or `norm_type` is not a number above 0.

    Formula and source: see `lp_pool`.
    """

    options = ("norm_type",)

    def __init__(
        self,
        norm_type: float,
        kernel_size: Ints,
        stride: Ints | None = None,
        ceil_mode: bool = False,
        padding: Ints = 0,
        dilation: Ints = 1,
    ):
        super().__init__(kernel_size, stride, padding, dilation, ceil_mode)
        self.norm_type = check_norm_type("norm_type", norm_type)


class _AdaptiveLPPool(AdaptivePool):
    """The p-norm over a fixed number of bins, as a module: (N, C, {maps}) or (C, {maps}) -> the output's sizes.

    Args:
        norm_type: the norm's exponent, above 0; `inf` gives the largest magnitude.
        output_size: bins along each axis; an int, or a sequence with one entry for each axis.  None keeps a size.

    Raises:
        TypeError, ValueError: as `poolref.regions.Adaptive`, or `norm_type` is not a number above 0.

    Formula and source: see `lp_pool`.
    """

    options = ("norm_type",)

    def __init__(self, norm_type: float, output_size: int | Sequence[int | None] | None):
        super().__init__(output_size)
        self.norm_type = check_norm_type("norm_type", norm_type)


class _GlobalLPPool(GlobalPool):
    """The p-norm over whole maps, as a module: (N, C, {maps}) or (C, {maps}) -> the same with spatial sizes of 1.

    Args:
        norm_type: the norm's exponent, above 0; `inf` gives the largest magnitude.
        keepdim: keep the spatial axes; without them the result is (N, C) or (C,).  Default True.

    Raises:
        TypeError: `norm_type` is not a number, or `keepdim` is not a bool.
        ValueError: `norm_type` is 0 or negative.

    Formula and source: see `lp_pool`.
    """

    options = ("norm_type",)

    def __init__(self, norm_type: float, keepdim: bool = True):
        super().__init__(keepdim)
        self.norm_type = check_norm_type("norm_type", norm_type)


LPPool1d, LPPool2d, LPPool3d = modules("LPPool", _LPPool, lp_pool)
AdaptiveLPPool1d, AdaptiveLPPool2d, AdaptiveLPPool3d = modules("AdaptiveLPPool", _AdaptiveLPPool, lp_pool)
GlobalLPPool1d, GlobalLPPool2d, GlobalLPPool3d = modules("GlobalLPPool", _GlobalLPPool, lp_pool)
