"""Log-mean-exp pooling, a smooth maximum: a small r gives nearly the mean of a region, a large r nearly its maximum."""

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
    "AdaptiveLSEPool1d",
    "AdaptiveLSEPool2d",
    "AdaptiveLSEPool3d",
    "GlobalLSEPool1d",
    "GlobalLSEPool2d",
    "GlobalLSEPool3d",
    "LSEPool1d",
    "LSEPool2d",
    "LSEPool3d",
    "adaptive_lse_pool1d",
    "adaptive_lse_pool2d",
    "adaptive_lse_pool3d",
    "global_lse_pool1d",
    "global_lse_pool2d",
    "global_lse_pool3d",
    "lse_pool",
    "lse_pool1d",
    "lse_pool2d",
    "lse_pool3d",
]


@overridable()
def lse_pool(input: Tensor, regions: Regions, r: float | Tensor = 10) -> Tensor:
    """Return the log-mean-exp of every region: (..., *spatial) -> (..., *output spatial).

    The result lies between the mean and the maximum of its region, and at most `log(N) / r` below the maximum of its N
    cells.  Padding takes no part.  -inf adds nothing; a region of nothing but -inf, or without cells, gives -inf
    and has no gradient; a cell at +inf gives +inf; NaN propagates.

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
    r = check_number_or_tensor("r", r, check_positive, input, regions)
    return _lse_pool(input, regions, r)


# exp(r x) is the same for every window a cell lies in; without subtracting a maximum the mean is one sum.


def _forward(x: Tensor, sweep: Sweep, r: float | Tensor) -> Tensor | None:
    z = torch.mul(x, r, out=sweep.empty(x))
    sums = sweep.sum(torch.exp(z, out=sweep.empty(x)))
    counts = sweep.counts(sums)
    mean = sums / counts
    near = (mean - 1).abs() < 0.5
    y = mean.log()
    if near.any():  # near 1 the mean of exp(z) - 1 keeps its digits
        y = torch.where(near, (sweep.sum(z.expm1_()) / counts).log1p(), y)
    y /= r
    return y if sums_are_safe(sums, y) else None


def _backward(
    grad: Tensor, x: Tensor, y: Tensor, sweep: Sweep, needs_r: bool, r: float | Tensor
) -> tuple[Tensor, Tensor | None] | None:
    sums = torch.mul(y, r, out=sweep.empty(y)).exp_().mul_(sweep.counts(y))
    result = sweep.spread(torch.div(grad, sums, out=sweep.empty(y)))
    result.mul_(torch.mul(x, r, out=sweep.empty(x)).exp_())
    if not sums_are_safe(sums, result):
        return None
    # Summed over all outputs o, grad times the sum of w x is the sum of dx x over all cells.
    return result, (sweep.total(result * x) - sweep.total(grad * y)) / r if needs_r else None


# Each region by itself, its own maximum subtracted: always exact.


def _gaps(cells: Tensor, there: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The cells minus the largest of their region, which of them weigh anything, and that largest, no variable."""
    cells = torch.where(there, cells, -torch.inf)
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
    e = torch.where(weighs, torch.exp(r * gaps), 0)
    w = torch.where(largest != largest, largest, e / e.sum(-1, keepdim=True).clamp(min=torch.finfo(e.dtype).tiny))
    slope = ((w * gaps).sum(-1) - _of_cells(cells, there, r) + largest.squeeze(-1)) / (
        r.squeeze(-1) if isinstance(r, Tensor) else r
    )
    return grad * w, torch.where(largest.squeeze(-1).isinf(), 0, grad.squeeze(-1) * slope)


_lse_pool = pool_op(
    "lse_pool",
    _of_cells,
    shared_sums=SharedSums(_forward, _backward),
    cells_backward=_cells_backward,
    learned=True,
    triton="lse",
)


def _global_lse_pool(ndim: int, input: Tensor, r: float | Tensor = 10, keepdim: bool = True) -> Tensor:
    """The log-mean-exp over whole maps: (N, C, {maps}) or (C, {maps}) -> the same with spatial sizes of 1.

    Args:
        input: the maps.
        r: as for `lse_pool`.
        keepdim: keep the spatial axes; without them the result is (N, C) or (C,).  Default True.

    Raises:
        TypeError: `keepdim` is not a bool, or as `lse_pool`.
        ValueError: as `lse_pool`.

    Formula and source: see `lse_pool`.
    """
    return squeezed(lse_pool(input, Whole(ndim), r), ndim, keepdim)


lse_pool1d: Final = window_function(lse_pool, 1)
lse_pool2d: Final = window_function(lse_pool, 2)
lse_pool3d: Final = window_function(lse_pool, 3)
adaptive_lse_pool1d: Final = adaptive_function(lse_pool, 1)
adaptive_lse_pool2d: Final = adaptive_function(lse_pool, 2)
adaptive_lse_pool3d: Final = adaptive_function(lse_pool, 3)
global_lse_pool1d: Final = function("global_lse_pool", _global_lse_pool, 1)
global_lse_pool2d: Final = function("global_lse_pool", _global_lse_pool, 2)
global_lse_pool3d: Final = function("global_lse_pool", _global_lse_pool, 3)

_OWN = f"""
    r: sharpness, a finite number above 0; where it starts, if it is learned.  Default 10.{LEARNED}"""


class _LSEPool(LearnedPool, reducer=lse_pool, own=_OWN):
    number_name: ClassVar[str] = "r"
    options: ClassVar[tuple[str, ...]] = ("number",)


class _WindowLSEPool(_LSEPool, WindowPool):
    __doc__ = WindowPool.__doc__

    def __init__(
        self,
        kernel_size: Ints,
        stride: Ints | None = None,
        padding: Ints = 0,
        dilation: Ints = 1,
        ceil_mode: bool = False,
        r: float = 10,
        learnable: bool = False,
        channels: int | None = None,
    ):
        super().__init__(kernel_size, stride, padding, dilation, ceil_mode)
        self.set_number(check_positive("r", r), learnable, channels)


class _AdaptiveLSEPool(_LSEPool, AdaptivePool):
    __doc__ = AdaptivePool.__doc__

    def __init__(
        self,
        output_size: Bins,
        r: float = 10,
        learnable: bool = False,
        channels: int | None = None,
    ):
        super().__init__(output_size)
        self.set_number(check_positive("r", r), learnable, channels)


class _GlobalLSEPool(_LSEPool, GlobalPool):
    __doc__ = GlobalPool.__doc__

    def __init__(
        self,
        r: float = 10,
        keepdim: bool = True,
        learnable: bool = False,
        channels: int | None = None,
    ):
        super().__init__(keepdim)
        self.set_number(check_positive("r", r), learnable, channels)


class LSEPool1d(_WindowLSEPool, ndim=1):
    """The log-mean-exp over a sliding window: (N, C, L) or (C, L) -> the output's size."""


class LSEPool2d(_WindowLSEPool, ndim=2):
    """The log-mean-exp over a sliding window: (N, C, H, W) or (C, H, W) -> the output's sizes."""


class LSEPool3d(_WindowLSEPool, ndim=3):
    """The log-mean-exp over a sliding window: (N, C, D, H, W) or (C, D, H, W) -> the output's sizes."""


class AdaptiveLSEPool1d(_AdaptiveLSEPool, ndim=1):
    """The log-mean-exp over a fixed number of bins: (N, C, L) or (C, L) -> the output's size."""


class AdaptiveLSEPool2d(_AdaptiveLSEPool, ndim=2):
    """The log-mean-exp over a fixed number of bins: (N, C, H, W) or (C, H, W) -> the output's sizes."""


class AdaptiveLSEPool3d(_AdaptiveLSEPool, ndim=3):
    """The log-mean-exp over a fixed number of bins: (N, C, D, H, W) or (C, D, H, W) -> the output's sizes."""


class GlobalLSEPool1d(_GlobalLSEPool, ndim=1):
    """The log-mean-exp over whole maps: (N, C, L) or (C, L) -> size 1."""


class GlobalLSEPool2d(_GlobalLSEPool, ndim=2):
    """The log-mean-exp over whole maps: (N, C, H, W) or (C, H, W) -> sizes of 1."""


class GlobalLSEPool3d(_GlobalLSEPool, ndim=3):
    """The log-mean-exp over whole maps: (N, C, D, H, W) or (C, D, H, W) -> sizes of 1."""
