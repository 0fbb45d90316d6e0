"""Log-mean-exp pooling, a smooth maximum: a small r gives nearly the mean of a region, a large r nearly its maximum."""

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
def lse_pool(input: Tensor, regions: Regions, r: float | Tensor = 10) -> Tensor:
    """Return the log-mean-exp of every region: (..., *spatial) -> (..., *output spatial).

    The result lies between the mean and the maximum of its region, and at most `log(N) / r` below the maximum of its N
    cells.  Padding takes no part.  -inf adds nothing; a region of nothing but -inf, or without cells, gives -inf;
    a cell at +inf gives +inf; NaN propagates.

    Args:
        input: floats of any dtype; the last `regions.ndim` axes are spatial.
        regions: which cells belong together, from `poolref.regions`.
        r: sharpness, a finite number above 0; or a tensor of such numbers that broadcasts against `input` and is
            constant along its spatial axes, such as (C, 1, 1), which then has a gradient.  Default 10.

    Returns:
        The smooth maxima, in the dtype of `input`.

    Raises:
        TypeError: `input` or a tensor `r` does not hold floats, `r` is not a number, or `regions` is not a kind of
            regions.
        ValueError: `r` is not above 0 and finite, or does not broadcast, `input` has too few axes or an empty spatial
            axis, or a region does not fit.

    Formula: `y[o] = (1/r) log(mean over c in region o of exp(r x[c]))`; hence `dx[c] = sum of dy[o] w[c]` over the
    regions o that contain c, with `w[c] = exp(r x[c]) / sum of exp(r x[c'])`, and
    `dr = sum over o of dy[o] / r (sum of w[c] x[c] - y[o])`.

    Source: pinheiro2015.
    """
    check_floats(input, regions)
    r = number_of("r", r, check_positive, input, regions)
    return _lse_pool(input, regions, r)


# exp(r x) is the same for every window a cell lies in; without subtracting a maximum the mean is one sum.


def _forward(x: Tensor, r: float | Tensor, sweep: Sweep, counts: Tensor) -> Tensor | None:
    z = torch.mul(x, r, out=sweep.empty(x))
    sums = sweep.sum(torch.exp(z, out=sweep.empty(x)))
    mean = sums / counts
    near = (mean - 1).abs() < 0.5
    y = mean.log()
    if near.any():  # near 1 the mean of exp(z) - 1 keeps its digits
        y = torch.where(near, (sweep.sum(z.expm1_()) / counts).log1p(), y)
    y /= r
    return y if sums_are_safe(sums, y) else None


def _backward(
    grad: Tensor, x: Tensor, y: Tensor, r: float | Tensor, sweep: Sweep, counts: Tensor, learned: bool
) -> tuple[Tensor, Tensor | None] | None:
    sums = torch.mul(y, r, out=sweep.empty(y)).exp_().mul_(counts)
    result = sweep.spread(torch.div(grad, sums, out=sweep.empty(y)))
    result.mul_(torch.mul(x, r, out=sweep.empty(x)).exp_())
    if not sums_are_safe(sums, result):
        return None
    # Summed over all outputs o, grad times the sum of w x is the sum of dx x over all cells.
    return result, (total(result * x, sweep) - total(grad * y, sweep)) / r if learned else None


# Each region by itself, its own maximum subtracted: always exact.


def _gaps(cells: Tensor, there: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The cells minus the largest of their region, which of them weigh anything, and that largest, no variable."""
    cells = torch.where(there == 0, -torch.inf, cells)
    largest = cells.detach().amax(-1, keepdim=True)
    weighs = (cells == torch.inf) | ((cells != -torch.inf) & (largest != torch.inf))
    return torch.where(weighs & largest.isfinite(), cells - largest, 0), weighs, largest


def _of_cells(cells: Tensor, there: Tensor, r: float | Tensor) -> Tensor:
    gaps, weighs, largest = _gaps(cells, there)
    n = there.sum(-1, keepdim=True)
    mean = torch.where(weighs, torch.exp(r * gaps), 0).sum(-1, keepdim=True) / n
    mean_minus_1 = (torch.where(weighs, torch.expm1(r * gaps), -1) * there).sum(-1, keepdim=True) / n
    finite = largest.isfinite()
    near = finite & (mean > 0.5)  # where the mean of exp(z) - 1 keeps its digits
    log_mean = torch.where(near, mean_minus_1, 0).log1p() + torch.where(near | ~finite, 1, mean).log()
    return torch.where(finite, largest + log_mean / r, largest).squeeze(-1)


def _cells_backward(grad: Tensor, cells: Tensor, there: Tensor, r: float | Tensor) -> tuple[Tensor, Tensor]:
    gaps, weighs, largest = _gaps(cells, there)
    weighs = weighs | ((largest == -torch.inf) & (there != 0))  # cells at -inf share the weight among themselves
    e = torch.where(weighs, torch.exp(r * gaps), 0)
    w = torch.where(largest != largest, largest, e / e.sum(-1, keepdim=True).clamp(min=torch.finfo(e.dtype).tiny))
    slope = ((w * gaps).sum(-1) - _of_cells(cells, there, r) + largest.squeeze(-1)) / (
        r.squeeze(-1) if isinstance(r, Tensor) else r
    )
    return grad * w, torch.where(largest.squeeze(-1).isinf(), 0, grad.squeeze(-1) * slope)


_TRITON = {Window: "lse", Adaptive: "lse", **LINES}
_lse_pool = mean_kernel("lse_pool", _forward, _backward, _of_cells, _cells_backward, triton=_TRITON)


_OWN = ("r",)

lse_pool1d, lse_pool2d, lse_pool3d = window_functions(lse_pool, _OWN)
adaptive_lse_pool1d, adaptive_lse_pool2d, adaptive_lse_pool3d = adaptive_functions(lse_pool, _OWN)
global_lse_pool1d, global_lse_pool2d, global_lse_pool3d = global_functions(lse_pool, _OWN)

_learned = partial(learned_modules, lse_pool, _OWN, check_positive, False)
LSEPool1d, LSEPool2d, LSEPool3d = _learned("LSEPool", WindowPool)
AdaptiveLSEPool1d, AdaptiveLSEPool2d, AdaptiveLSEPool3d = _learned("AdaptiveLSEPool", AdaptivePool)
GlobalLSEPool1d, GlobalLSEPool2d, GlobalLSEPool3d = _learned("GlobalLSEPool", GlobalPool)
