"""Lp pooling: the p-norm of every region.  p = 1 adds magnitudes, p = 2 gives the length, p = inf the largest."""

from __future__ import annotations

from typing import ClassVar, Final

import torch
from torch import Tensor

from poolref.checks import check_norm_type
from poolref.regions import Adaptive, Pyramid, Regions, Whole
from poolref.torch._engine.checks import check_floats
from poolref.torch._engine.cpu_windows import Sweep
from poolref.torch._engine.forms import AdaptivePool, Bins, GlobalPool, Ints, WindowPool, function, squeezed, window
from poolref.torch._engine.overridable import overridable
from poolref.torch._engine.pool_op import SharedSums, pool_op, sums_are_safe
from poolref.torch._engine.reduce import by_level, region_max

__all__ = [
    "AdaptiveLPPool1d",
    "AdaptiveLPPool2d",
    "AdaptiveLPPool3d",
    "GlobalLPPool1d",
    "GlobalLPPool2d",
    "GlobalLPPool3d",
    "LPPool1d",
    "LPPool2d",
    "LPPool3d",
    "adaptive_lp_pool1d",
    "adaptive_lp_pool2d",
    "adaptive_lp_pool3d",
    "global_lp_pool1d",
    "global_lp_pool2d",
    "global_lp_pool3d",
    "lp_pool",
    "lp_pool1d",
    "lp_pool2d",
    "lp_pool3d",
]


@overridable()
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
        return by_level(_largest, input, regions) if isinstance(regions, Pyramid) else _largest(input, regions)
    return _lp_pool(input, regions, p)


def _largest(x: Tensor, regions: Regions) -> Tensor:
    return region_max(x.abs(), regions)[0].clamp(min=0)


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


def _of_cells(cells: Tensor, there: Tensor, p: float) -> Tensor:  # a cell of 0 and one that is missing add the same
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


def _cells_backward(grad: Tensor, cells: Tensor, there: Tensor, p: float) -> Tensor:
    y = _of_cells(cells, there, p).unsqueeze(-1)
    ratio = torch.where(cells.abs() == y, 1, cells.abs() / y).pow(p - 1)
    return grad * cells.sign() * torch.where((cells == 0) | (y == 0), 0, ratio)


_lp_pool = pool_op(
    "lp_pool",
    _of_cells,
    shared_sums=SharedSums(_forward, _backward),
    cells_backward=_cells_backward,
    triton="lp",
)


def _window_lp_pool(
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


def _adaptive_lp_pool(ndim: int, input: Tensor, norm_type: float, output_size: Bins) -> Tensor:
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


lp_pool1d: Final = function("lp_pool", _window_lp_pool, 1)
lp_pool2d: Final = function("lp_pool", _window_lp_pool, 2)
lp_pool3d: Final = function("lp_pool", _window_lp_pool, 3)
adaptive_lp_pool1d: Final = function("adaptive_lp_pool", _adaptive_lp_pool, 1)
adaptive_lp_pool2d: Final = function("adaptive_lp_pool", _adaptive_lp_pool, 2)
adaptive_lp_pool3d: Final = function("adaptive_lp_pool", _adaptive_lp_pool, 3)
global_lp_pool1d: Final = function("global_lp_pool", _global_lp_pool, 1)
global_lp_pool2d: Final = function("global_lp_pool", _global_lp_pool, 2)
global_lp_pool3d: Final = function("global_lp_pool", _global_lp_pool, 3)


class _LPPool(WindowPool, reducer=lp_pool):
    """The p-norm over a sliding window, as a module.

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

    options: ClassVar[tuple[str, ...]] = ("norm_type",)

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
        self.norm_type: float = check_norm_type("norm_type", norm_type)


class _AdaptiveLPPool(AdaptivePool, reducer=lp_pool):
    """The p-norm over a fixed number of bins, as a module.

    Args:
        norm_type: the norm's exponent, above 0; `inf` gives the largest magnitude.
        output_size: bins along each axis; an int, or a sequence with one entry for each axis.  None keeps a size.

    Raises:
        TypeError, ValueError: as `poolref.regions.Adaptive`, or `norm_type` is not a number above 0.

    Formula and source: see `lp_pool`.
    """

    options: ClassVar[tuple[str, ...]] = ("norm_type",)

    def __init__(self, norm_type: float, output_size: Bins):
        super().__init__(output_size)
        self.norm_type: float = check_norm_type("norm_type", norm_type)


class _GlobalLPPool(GlobalPool, reducer=lp_pool):
    """The p-norm over whole maps, as a module.

    Args:
        norm_type: the norm's exponent, above 0; `inf` gives the largest magnitude.
        keepdim: keep the spatial axes; without them the result is (N, C) or (C,).  Default True.

    Raises:
        TypeError: `norm_type` is not a number, or `keepdim` is not a bool.
        ValueError: `norm_type` is 0 or negative.

    Formula and source: see `lp_pool`.
    """

    options: ClassVar[tuple[str, ...]] = ("norm_type",)

    def __init__(self, norm_type: float, keepdim: bool = True):
        super().__init__(keepdim)
        self.norm_type: float = check_norm_type("norm_type", norm_type)


class LPPool1d(_LPPool, ndim=1):
    """The p-norm over a sliding window: (N, C, L) or (C, L) -> the output's size."""


class LPPool2d(_LPPool, ndim=2):
    """The p-norm over a sliding window: (N, C, H, W) or (C, H, W) -> the output's sizes."""


class LPPool3d(_LPPool, ndim=3):
    """The p-norm over a sliding window: (N, C, D, H, W) or (C, D, H, W) -> the output's sizes."""


class AdaptiveLPPool1d(_AdaptiveLPPool, ndim=1):
    """The p-norm over a fixed number of bins: (N, C, L) or (C, L) -> the output's size."""


class AdaptiveLPPool2d(_AdaptiveLPPool, ndim=2):
    """The p-norm over a fixed number of bins: (N, C, H, W) or (C, H, W) -> the output's sizes."""


class AdaptiveLPPool3d(_AdaptiveLPPool, ndim=3):
    """The p-norm over a fixed number of bins: (N, C, D, H, W) or (C, D, H, W) -> the output's sizes."""


class GlobalLPPool1d(_GlobalLPPool, ndim=1):
    """The p-norm over whole maps: (N, C, L) or (C, L) -> size 1."""


class GlobalLPPool2d(_GlobalLPPool, ndim=2):
    """The p-norm over whole maps: (N, C, H, W) or (C, H, W) -> sizes of 1."""


class GlobalLPPool3d(_GlobalLPPool, ndim=3):
    """The p-norm over whole maps: (N, C, D, H, W) or (C, D, H, W) -> sizes of 1."""
