"""Generalized-mean pooling (GeM): p = 1 is the mean of a region, and the larger p, the closer to its maximum."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from poolref.checks import check_positive
from poolref.regions import Adaptive, Regions, Window
from poolref.torch.core import check_floats, level_by_level
from poolref.torch.cuda import LINES
from poolref.torch.forms import (
    AdaptivePool,
    GlobalPool,
    WindowPool,
    adaptive_functions,
    global_functions,
    window_functions,
)
from poolref.torch.kernels import sums_are_safe
from poolref.torch.means import learned_modules, mean_kernel, number_of, total
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
    check_floats(input, regions)
    p, eps = number_of("p", p, check_positive, input, regions), check_positive("eps", eps)
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


_TRITON = {Window: "gem", Adaptive: "gem", **LINES}
_gem_pool = mean_kernel("gem_pool", _forward, _backward, _of_cells, _cells_backward, triton=_TRITON)


_OWN = ("p", "eps")

gem_pool1d, gem_pool2d, gem_pool3d = window_functions(gem_pool, _OWN)
adaptive_gem_pool1d, adaptive_gem_pool2d, adaptive_gem_pool3d = adaptive_functions(gem_pool, _OWN)
global_gem_pool1d, global_gem_pool2d, global_gem_pool3d = global_functions(gem_pool, _OWN)

_learned = partial(learned_modules, gem_pool, _OWN, check_positive, True)
GeMPool1d, GeMPool2d, GeMPool3d = _learned("GeMPool", WindowPool)
AdaptiveGeMPool1d, AdaptiveGeMPool2d, AdaptiveGeMPool3d = _learned("AdaptiveGeMPool", AdaptivePool)
GlobalGeMPool1d, GlobalGeMPool2d, GlobalGeMPool3d = _learned("GlobalGeMPool", GlobalPool)
