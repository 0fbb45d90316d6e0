"""Generalized-mean pooling (GeM): p = 1 is the mean of a region, and the larger p, the closer to its maximum."""

from __future__ import annotations

from typing import ClassVar, Final

import torch
from torch import Tensor

from poolref.checks import check_positive
from poolref.regions import Regions, Whole
from poolref.torch._engine.checks import check_floats, check_number_or_tensor
from poolref.torch._engine.cpu_windows import Sweep
from poolref.torch._engine.forms import (
    LEARNED,
    AdaptivePool,
    Bins,
    GlobalPool,
    Ints,
    LearnedPool,
    WindowPool,
    adaptive_function,
    function,
    squeezed,
    window_function,
)
from poolref.torch._engine.overridable import overridable
from poolref.torch._engine.pool_op import SharedSums, pool_op, sums_are_safe

__all__ = [
    "AdaptiveGeMPool1d",
    "AdaptiveGeMPool2d",
    "AdaptiveGeMPool3d",
    "GeMPool1d",
    "GeMPool2d",
    "GeMPool3d",
    "GlobalGeMPool1d",
    "GlobalGeMPool2d",
    "GlobalGeMPool3d",
    "adaptive_gem_pool1d",
    "adaptive_gem_pool2d",
    "adaptive_gem_pool3d",
    "gem_pool",
    "gem_pool1d",
    "gem_pool2d",
    "gem_pool3d",
    "global_gem_pool1d",
    "global_gem_pool2d",
    "global_gem_pool3d",
]


@overridable()
def gem_pool(input: Tensor, regions: Regions, p: float | Tensor = 3, eps: float = 1e-6) -> Tensor:
    """Return the generalized mean of every region: (..., *spatial) -> (..., *output spatial).

    Values below `eps`, negative ones among them, count as `eps`.  Only the result can overflow, never a power on the
    way.  Padding takes no part; a region without cells gives NaN, as its mean does.

    Args:
        input: floats of any dtype; the last `regions.ndim` axes are spatial.
        regions: which cells belong together, from `poolref.regions`.
        p: the exponent, a finite number above 0; or a tensor of such numbers that broadcasts against `input` and is
            constant along its spatial axes, such as (C, 1, 1), which then has a gradient.  Default 3, where the paper
            starts to learn it.
        eps: the smallest value that is kept, a finite number above 0.  Default 1e-6.

    Returns:
        The generalized means, in the dtype of `input`.

    Raises:
        TypeError: `input` does not hold floats, `p` or `eps` is not a number, or `regions` is not a kind of regions.
        ValueError: `p` or `eps` is not above 0 and finite, `input` has too few axes or an empty spatial axis, or a
            region does not fit.

    Formula: `y[o] = (mean over c in region o of max(x[c], eps)^p)^(1/p)`; hence, with N cells in region o and S the sum
    of their powers, `dx[c] = sum of dy[o] / N (x[c] / y[o])^(p-1)` over the regions o that contain c, 0 where
    x[c] < eps, and `dp = sum over o of dy[o] y[o] / p^2 (log(N / S) + p / S sum of x[c]^p log x[c])`.

    Source: radenovic2019.  With p = 1 it is the average only where no value is below `eps`.
    """
    check_floats(input, regions)
    p, eps = check_number_or_tensor("p", p, check_positive, input, regions), check_positive("eps", eps)
    return _gem_pool(input, regions, p, eps)


# x^p is the same for every window a cell lies in; without scaling the mean is one sum.


def _forward(x: Tensor, sweep: Sweep, p: float | Tensor, eps: float) -> Tensor | None:
    kept = torch.clamp(x, min=eps, out=sweep.empty(x))
    sums = sweep.sum(_power(kept, p, sweep))
    y = torch.div(sums, sweep.counts(sums), out=sweep.empty(sums)).pow_(1 / p)
    return y if sums_are_safe(sums, y) else None


def _backward(
    grad: Tensor, x: Tensor, y: Tensor, sweep: Sweep, needs_p: bool, p: float | Tensor, eps: float
) -> tuple[Tensor, Tensor | None] | None:
    sums = _power(y, p, sweep).mul_(sweep.counts(y))
    kept = torch.clamp(x, min=eps, out=sweep.empty(x))
    slope = torch.mul(kept, kept, out=sweep.empty(x)) if _is_3(p) else torch.pow(kept, p - 1, out=sweep.empty(x))
    share = torch.mul(grad, y, out=sweep.empty(y))
    p_grad = torch.log(y, out=sweep.empty(y)).mul_(share) if needs_p else None
    result = sweep.spread(share.div_(sums)).mul_(slope)  # grad y^(1-p) / N
    if not sums_are_safe(sums, result):
        return None
    if needs_p:
        # Summed over all outputs o, grad y / S sum of x^p log x is the sum of dx x log x over all cells.
        of_cells = torch.log(kept, out=slope).mul_(kept).mul_(result)
        p_grad = (sweep.total(of_cells) - sweep.total(p_grad)) / p
    return result.mul_(torch.ge(x, eps, out=kept)), p_grad


def _power(x: Tensor, p: float | Tensor, sweep: Sweep) -> Tensor:
    if _is_3(p):
        return torch.mul(x, x, out=sweep.empty(x)).mul_(x)
    return torch.pow(x, p, out=sweep.empty(x))


def _is_3(p: float | Tensor) -> bool:
    return isinstance(p, float) and p == 3  # where a product is much faster than a power


# Each region by itself, scaled by its largest value: always exact.


def _scaled(cells: Tensor, there: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """The cells over the largest of their region (1 where that is inf), and the largest, which is no variable."""
    kept = torch.where(there, cells.clamp(min=eps), eps)
    largest = kept.detach().amax(-1, keepdim=True)
    return torch.where(largest.isinf(), 1, kept / largest), largest


def _of_cells(cells: Tensor, there: Tensor, p: float | Tensor, eps: float) -> Tensor:
    scaled, largest = _scaled(cells, there, eps)
    mean = (scaled.pow(p) * there).sum(-1, keepdim=True) / there.sum(-1, keepdim=True)
    return (largest * mean.pow(1 / p)).squeeze(-1)


def _cells_backward(grad: Tensor, cells: Tensor, there: Tensor, p: float | Tensor, eps: float) -> tuple[Tensor, Tensor]:
    scaled, largest = _scaled(cells, there, eps)
    n, powers = there.sum(-1, keepdim=True), scaled.pow(p) * there
    sums = powers.sum(-1, keepdim=True)
    mean = (sums / n).pow(1 / p)
    cells_grad = torch.where((cells < eps) | ~there, 0, grad / n * (scaled / mean).pow(p - 1))
    logs = (powers * scaled.clamp(min=torch.finfo(scaled.dtype).tiny).log()).sum(-1, keepdim=True) / sums
    slope = largest * mean / p * (torch.log(n / sums) / p + logs)
    return cells_grad, torch.where(n == 0, 0, grad * slope).squeeze(-1)


_gem_pool = pool_op(
    "gem_pool",
    _of_cells,
    shared_sums=SharedSums(_forward, _backward),
    cells_backward=_cells_backward,
    learned=True,
    triton="gem",
)


def _global_gem_pool(
    ndim: int, input: Tensor, p: float | Tensor = 3, eps: float = 1e-6, keepdim: bool = True
) -> Tensor:
    """The generalized mean over whole maps: (N, C, {maps}) or (C, {maps}) -> the same with spatial sizes of 1.

    Args:
        input: the maps.
        p: as for `gem_pool`.
        eps: as for `gem_pool`.
        keepdim: keep the spatial axes; without them the result is (N, C) or (C,).  Default True.

    Raises:
        TypeError: `keepdim` is not a bool, or as `gem_pool`.
        ValueError: as `gem_pool`.

    Formula and source: see `gem_pool`.
    """
    return squeezed(gem_pool(input, Whole(ndim), p, eps), ndim, keepdim)


gem_pool1d: Final = window_function(gem_pool, 1)
gem_pool2d: Final = window_function(gem_pool, 2)
gem_pool3d: Final = window_function(gem_pool, 3)
adaptive_gem_pool1d: Final = adaptive_function(gem_pool, 1)
adaptive_gem_pool2d: Final = adaptive_function(gem_pool, 2)
adaptive_gem_pool3d: Final = adaptive_function(gem_pool, 3)
global_gem_pool1d: Final = function("global_gem_pool", _global_gem_pool, 1)
global_gem_pool2d: Final = function("global_gem_pool", _global_gem_pool, 2)
global_gem_pool3d: Final = function("global_gem_pool", _global_gem_pool, 3)

_OWN = f"""
    p: the exponent, a finite number above 0; where it starts, if it is learned.  Default 3.
    eps: the smallest value that is kept, a finite number above 0.  Default 1e-6.{LEARNED}"""


class _GeMPool(LearnedPool, reducer=gem_pool, own=_OWN):
    number_name: ClassVar[str] = "p"
    options: ClassVar[tuple[str, ...]] = (
        "number",
        "eps",
    )


class _WindowGeMPool(_GeMPool, WindowPool):
    __doc__ = WindowPool.__doc__

    def __init__(
        self,
        kernel_size: Ints,
        stride: Ints | None = None,
        padding: Ints = 0,
        dilation: Ints = 1,
        ceil_mode: bool = False,
        p: float = 3,
        eps: float = 1e-6,
        learnable: bool = True,
        channels: int | None = None,
    ):
        super().__init__(kernel_size, stride, padding, dilation, ceil_mode)
        self.eps: float = check_positive("eps", eps)
        self.set_number(check_positive("p", p), learnable, channels)


class _AdaptiveGeMPool(_GeMPool, AdaptivePool):
    __doc__ = AdaptivePool.__doc__

    def __init__(
        self,
        output_size: Bins,
        p: float = 3,
        eps: float = 1e-6,
        learnable: bool = True,
        channels: int | None = None,
    ):
        super().__init__(output_size)
        self.eps: float = check_positive("eps", eps)
        self.set_number(check_positive("p", p), learnable, channels)


class _GlobalGeMPool(_GeMPool, GlobalPool):
    __doc__ = GlobalPool.__doc__

    def __init__(
        self,
        p: float = 3,
        eps: float = 1e-6,
        keepdim: bool = True,
        learnable: bool = True,
        channels: int | None = None,
    ):
        super().__init__(keepdim)
        self.eps: float = check_positive("eps", eps)
        self.set_number(check_positive("p", p), learnable, channels)


class GeMPool1d(_WindowGeMPool, ndim=1):
    """The generalized mean over a sliding window: (N, C, L) or (C, L) -> the output's size."""


class GeMPool2d(_WindowGeMPool, ndim=2):
    """The generalized mean over a sliding window: (N, C, H, W) or (C, H, W) -> the output's sizes."""


class GeMPool3d(_WindowGeMPool, ndim=3):
    """The generalized mean over a sliding window: (N, C, D, H, W) or (C, D, H, W) -> the output's sizes."""


class AdaptiveGeMPool1d(_AdaptiveGeMPool, ndim=1):
    """The generalized mean over a fixed number of bins: (N, C, L) or (C, L) -> the output's size."""


class AdaptiveGeMPool2d(_AdaptiveGeMPool, ndim=2):
    """The generalized mean over a fixed number of bins: (N, C, H, W) or (C, H, W) -> the output's sizes."""


class AdaptiveGeMPool3d(_AdaptiveGeMPool, ndim=3):
    """The generalized mean over a fixed number of bins: (N, C, D, H, W) or (C, D, H, W) -> the output's sizes."""


class GlobalGeMPool1d(_GlobalGeMPool, ndim=1):
    """The generalized mean over whole maps: (N, C, L) or (C, L) -> size 1."""


class GlobalGeMPool2d(_GlobalGeMPool, ndim=2):
    """The generalized mean over whole maps: (N, C, H, W) or (C, H, W) -> sizes of 1."""


class GlobalGeMPool3d(_GlobalGeMPool, ndim=3):
    """The generalized mean over whole maps: (N, C, D, H, W) or (C, D, H, W) -> sizes of 1."""
