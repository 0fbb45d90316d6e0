"""Lp pooling: `(sum of |x|^p)^(1/p)`.  The kernels are those of all means, in means.py."""

from __future__ import annotations

from torch import Tensor

from poolref.regions import Adaptive, Window
from poolref.triton.means import mean_pool, mean_pool_backward


def lp_pool(x: Tensor, regions: Window | Adaptive, p: float) -> Tensor:
    """The p-norm of every region, (..., *output), for a finite p."""
    return mean_pool("lp", x, regions, p)


def lp_pool_backward(grad: Tensor, x: Tensor, regions: Window | Adaptive, p: float) -> Tensor:
    """The gradient of the map, (..., *spatial), from that of the output."""
    return mean_pool_backward("lp", grad, x, regions, p)[0]
