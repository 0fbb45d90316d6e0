"""Generalized-mean pooling (GeM): p = 1 is the mean of a region, and the larger p, the closer to its maximum."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from poolref.regions import Adaptive, Regions, Whole, check_positive
from poolref.torch.core import check_floats, level_by_level
from poolref.torch.forms import AdaptivePool, GlobalPool, Ints, WindowPool, functions, modules, squeezed, window
from poolref.torch.kernels import sums_are_safe
from poolref.torch.means import LearnedPool, mean_kernel, total
from poolref.torch.sweeps import Sweep


@level_by_level
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
    p, eps = p if isinstance(p, Tensor) else check_positive("p", p), check_positive("eps", eps)
    check_floats(input, regions)
    return _gem_pool(input, regions, p, eps)


# x^p is the same for every window a cell lies in; without scaling the mean is one sum.


def _forward(x: Tensor, p: float | Tensor, sweep: Sweep, counts: Tensor, eps: float) -> Tensor | None:
    kept = torch.clamp(x, min=eps, out=sweep.empty(x))
    sums = sweep.sum(_power(kept, p, sweep))
    y = torch.div(sums, counts, out=sweep.empty(sums)).pow_(1 / p)
    return y if sums_are_safe(sums, y) else None


def _backward(
    grad: Tensor, x: Tensor, y: Tensor, p: float | Tensor, sweep: Sweep, counts: Tensor, learned: bool, eps: float
) -> tuple[Tensor, Tensor | None] | None:
    sums = _power(y, p, sweep).mul_(counts)
    kept = torch.clamp(x, min=eps, out=sweep.empty(x))
    slope = torch.mul(kept, kept, out=sweep.empty(x)) if _is_3(p) else torch.pow(kept, p - 1, out=sweep.empty(x))
    share = torch.mul(grad, y, out=sweep.empty(y))
    p_grad = torch.log(y, out=sweep.empty(y)).mul_(share) if learned else None
    result = sweep.spread(share.div_(sums)).mul_(slope)  # grad y^(1-p) / N
    if not sums_are_safe(sums, result):
        return None
    if learned:
        # Summed over all outputs o, grad y / S sum of x^p log x is the sum of dx x log x over all cells.
        of_cells = torch.log(kept, out=slope).mul_(kept).mul_(result)
        p_grad = (total(of_cells, sweep) - total(p_grad, sweep)) / p
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
    kept = torch.where(there == 0, eps, cells.clamp(min=eps))
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
    cells_grad = torch.where((cells < eps) | (there == 0), 0, grad / n * (scaled / mean).pow(p - 1))
    logs = (powers * scaled.clamp(min=torch.finfo(scaled.dtype).tiny).log()).sum(-1, keepdim=True) / sums
    slope = largest * mean / p * (torch.log(n / sums) / p + logs)
    return cells_grad, torch.where(n == 0, 0, grad * slope).squeeze(-1)


_gem_pool = mean_kernel("gem_pool", _forward, _backward, _of_cells, _cells_backward)


def _gem_pool_windows(
    ndim: int,
    input: Tensor,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    dilation: Ints = 1,
    ceil_mode: bool = False,
    p: float | Tensor = 3,
    eps: float = 1e-6,
) -> Tensor:
    """The generalized mean over a sliding window: (N, C, {maps}) or (C, {maps}) -> the same with the output's sizes.

    Args:
        input: the maps.
        kernel_size: cells a window takes along each axis; an int, or a sequence with one int for each axis.
        stride: cells from one window to the next.  Default: `kernel_size`.
        padding: cells added on both sides of each axis, at most half of `kernel_size`.  Default 0.
        dilation: cells from one tap of a window to the next.  Default 1.
        ceil_mode: keep a last window that hangs over the edge.  Default False.
        p: the exponent, a number above 0 or a tensor.  Default 3.
        eps: the smallest value that is kept, above 0.  Default 1e-6.

    Raises:
        TypeError, ValueError: as `gem_pool` and `poolref.regions.Window`.

    Formula and source: see `gem_pool`.
    """
    return gem_pool(input, window(ndim, kernel_size, stride, padding, dilation, ceil_mode), p, eps)


def _adaptive_gem_pool(
    ndim: int,
    input: Tensor,
    output_size: int | Sequence[int | None] | None,
    p: float | Tensor = 3,
    eps: float = 1e-6,
) -> Tensor:
    """The generalized mean over a fixed number of bins: (N, C, {maps}) or (C, {maps}) -> the output's sizes.

    Args:
        input: the maps.
        output_size: bins along each axis; an int, or a sequence with one entry for each axis.  None keeps a size.
        p: the exponent, a number above 0 or a tensor.  Default 3.
        eps: the smallest value that is kept, above 0.  Default 1e-6.

    Raises:
        TypeError, ValueError: as `gem_pool` and `poolref.regions.Adaptive`.

    Formula and source: see `gem_pool`.
    """
    return gem_pool(input, Adaptive(output_size, ndim=ndim), p, eps)


def _global_gem_pool(
    ndim: int, input: Tensor, p: float | Tensor = 3, eps: float = 1e-6, keepdim: bool = True
) -> Tensor:
    """The generalized mean over whole maps: (N, C, {maps}) or (C, {maps}) -> the same with spatial sizes of 1.

    Args:
        input: the maps.
        p: the exponent, a number above 0 or a tensor.  Default 3.
        eps: the smallest value that is kept, above 0.  Default 1e-6.
        keepdim: keep the spatial axes; without them the result is (N, C) or (C,).  Default True.

    Raises:
        TypeError: `keepdim` is not a bool, or as `gem_pool`.
        ValueError: as `gem_pool`.

    Formula and source: see `gem_pool`.
    """
    return squeezed(gem_pool(input, Whole(ndim), p, eps), ndim, keepdim)


gem_pool1d, gem_pool2d, gem_pool3d = functions("gem_pool", _gem_pool_windows, gem_pool)
adaptive_gem_pool1d, adaptive_gem_pool2d, adaptive_gem_pool3d = functions(
    "adaptive_gem_pool", _adaptive_gem_pool, gem_pool
)
global_gem_pool1d, global_gem_pool2d, global_gem_pool3d = functions("global_gem_pool", _global_gem_pool, gem_pool)


class _GeMPool(LearnedPool, WindowPool):
    """The generalized mean over a sliding window, as a module: (N, C, {maps}) or (C, {maps}) -> the output's sizes.

    Args:
        kernel_size: cells a window takes along each axis; an int, or a sequence with one int for each axis.
        stride: cells from one window to the next.  Default: `kernel_size`.
        padding: cells added on both sides of each axis, at most half of `kernel_size`.  Default 0.
        dilation: cells from one tap of a window to the next.  Default 1.
        ceil_mode: keep a last window that hangs over the edge.  Default False.
        p: the exponent, or where it starts to be learned; above 0.  Default 3.
        eps: the smallest value that is kept, above 0.  Default 1e-6.
        learnable: make `p` a parameter.  Default True.
        channels: the number of channels, each then with a `p` of its own.  Default None: one for all.

    Raises:
        TypeError, ValueError: as `poolref.regions.Window` and `gem_pool`, or `channels` is not an int of at least 1.

    Formula and source: see `gem_pool`.
    """

    options = ("number", "eps")

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
        self.set_number("p", check_positive("p", p), learnable, channels)
        self.eps = check_positive("eps", eps)


class _AdaptiveGeMPool(LearnedPool, AdaptivePool):
    """The generalized mean over a fixed number of bins, as a module: (N, C, {maps}) or (C, {maps}) -> output's sizes.

    Args:
        output_size: bins along each axis; an int, or a sequence with one entry for each axis.  None keeps a size.
        p: the exponent, or where it starts to be learned; above 0.  Default 3.
        eps: the smallest value that is kept, above 0.  Default 1e-6.
        learnable: make `p` a parameter.  Default True.
        channels: the number of channels, each then with a `p` of its own.  Default None: one for all.

    Raises:
        TypeError, ValueError: as `poolref.regions.Adaptive` and `gem_pool`, or `channels` is not an int of at least 1.

    Formula and source: see `gem_pool`.
    """

    options = ("number", "eps")

    def __init__(
        self,
        output_size: int | Sequence[int | None] | None,
        p: float = 3,
        eps: float = 1e-6,
        learnable: bool = True,
        channels: int | None = None,
    ):
        super().__init__(output_size)
        self.set_number("p", check_positive("p", p), learnable, channels)
        self.eps = check_positive("eps", eps)


class _GlobalGeMPool(LearnedPool, GlobalPool):
    """The generalized mean over whole maps, as a module: (N, C, {maps}) or (C, {maps}) -> spatial sizes of 1.

    Args:
        p: the exponent, or where it starts to be learned; above 0.  Default 3.
        eps: the smallest value that is kept, above 0.  Default 1e-6.
        keepdim: keep the spatial axes; without them the result is (N, C) or (C,).  Default True.
        learnable: make `p` a parameter.  Default True.
        channels: the number of channels, each then with a `p` of its own.  Default None: one for all.

    Raises:
        TypeError, ValueError: as `gem_pool`, or `keepdim` is not a bool, or `channels` not an int of at least 1.

    Formula and source: see `gem_pool`.
    """

    options = ("number", "eps")

    def __init__(
        self,
        p: float = 3,
        eps: float = 1e-6,
        keepdim: bool = True,
        learnable: bool = True,
        channels: int | None = None,
    ):
        super().__init__(keepdim)
        self.set_number("p", check_positive("p", p), learnable, channels)
        self.eps = check_positive("eps", eps)


GeMPool1d, GeMPool2d, GeMPool3d = modules("GeMPool", _GeMPool, gem_pool)
AdaptiveGeMPool1d, AdaptiveGeMPool2d, AdaptiveGeMPool3d = modules("AdaptiveGeMPool", _AdaptiveGeMPool, gem_pool)
GlobalGeMPool1d, GlobalGeMPool2d, GlobalGeMPool3d = modules("GlobalGeMPool", _GlobalGeMPool, gem_pool)
