"""Generalized-mean pooling (GeM): `(mean of max(x, eps)^p)^(1/p)`.  The kernels are those of all means, in means.py."""

from __future__ import annotations

from torch import Tensor

from poolref.regions import Adaptive, Window
from poolref.triton.means import mean_pool, mean_pool_backward


def gem_pool(x: Tensor, regions: Window | Adaptive, p: float | Tensor, eps: float) -> Tensor:
    """The generalized mean of every region, (..., *output); p is a plain number, or broadcasts against x."""
    return mean_pool("gem", x, regions, p, eps)


def gem_pool_backward(
    grad: Tensor, x: Tensor, regions: Window | Adaptive, p: float | Tensor, learned: bool, eps: float
) -> tuple[Tensor, Tensor | None]:
    """The gradients of the map, (..., *spatial), and, if p is learned, of p for every plane, (..., *ones)."""
    return mean_pool_backward("gem", grad, x, regions, p, learned, eps)
