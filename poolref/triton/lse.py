"""Log-mean-exp pooling: `log(mean of exp(r x)) / r`.  The kernels are those of all means, in means.py."""

from __future__ import annotations

from torch import Tensor

from poolref.regions import Adaptive, Window
from poolref.triton.means import mean_pool, mean_pool_backward


def lse_pool(x: Tensor, regions: Window | Adaptive, r: float | Tensor) -> Tensor:
    """The log-mean-exp of every region, (..., *output); r is a plain number, or broadcasts against x."""
    return mean_pool("lse", x, regions, r)


def lse_pool_backward(
    grad: Tensor, x: Tensor, regions: Window | Adaptive, r: float | Tensor, learned: bool
) -> tuple[Tensor, Tensor | None]:
    """The gradients of the map, (..., *spatial), and, if r is learned, of r for every plane, (..., *ones)."""
    return mean_pool_backward("lse", grad, x, regions, r, learned)
