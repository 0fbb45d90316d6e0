"""Spatial pyramid pooling: bins on several levels, so that a map of any size gives a vector of one length."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from poolref import catalog
from poolref.checks import check_choice
from poolref.regions import Pyramid
from poolref.torch._engine.overridable import PoolModule

__all__ = ["SpatialPyramidPool2d", "spatial_pyramid_pool2d"]

MODES: Mapping[str, Callable[..., Tensor]] = {
    row.name: catalog.resolve(row.torch_function) for row in catalog.OPERATORS if row.kind == "reducer"
}


def spatial_pyramid_pool2d(input: Tensor, levels: Sequence[int] = (4, 2, 1), mode: str = "max") -> Tensor:
    """Pool every level of a pyramid of bins: (N, C, H, W) or (C, H, W) -> (N, C * sum of n^2) or (C * sum of n^2,).

    The vector holds level after level; inside a level channel after channel, and the bins of each row by row.

    Args:
        input: the maps, of any size.
        levels: bins along each axis, one int for each level.  Default (4, 2, 1).
        mode: the reducer, with its defaults, by its name in the catalog, such as "average" or "soft".  Default "max".

    Raises:
        TypeError: `levels` is not a tuple of ints, or as the reducer.
        ValueError: `levels` is empty or has an entry below 1, `mode` is none of these, or `input` has another shape.

    Formula: on level n, bin i of an axis of H cells takes the cells from `floor(i H / n)` up to, not including,
    `ceil((i + 1) H / n)`.

    Source: he2014.  Sliding windows of ceil(H / n) cells, stepped by floor(H / n), give other numbers of bins for some
    sizes; bins are followed here.
    """
    pyramid = Pyramid(tuple(levels) if isinstance(levels, list) else levels)
    reducer = MODES[check_choice("mode", mode, MODES)]
    if isinstance(input, Tensor) and input.ndim not in (3, 4):
        raise ValueError(f"input must have the shape (N, C, H, W) or (C, H, W), got {tuple(input.shape)}")
    pooled = reducer(input, pyramid).split([n * n for n in pyramid.levels], -1)
    return torch.cat([level.flatten(-2) for level in pooled], -1)


class SpatialPyramidPool2d(PoolModule):
    """Spatial pyramid pooling, as a module: (N, C, H, W) or (C, H, W) -> (N, C * sum of n^2) or (C * sum of n^2,).

    Args:
        levels: bins along each axis, one int for each level.  Default (4, 2, 1).
        mode: the reducer, with its defaults, by its name in the catalog, such as "average" or "soft".  Default "max".

    Raises:
        TypeError, ValueError: as `spatial_pyramid_pool2d`.

    Formula and source: see `spatial_pyramid_pool2d`.
    """

    def __init__(self, levels: Sequence[int] = (4, 2, 1), mode: str = "max"):
        super().__init__()
        self.levels: tuple[int, ...] = Pyramid(tuple(levels) if isinstance(levels, list) else levels).levels
        self.mode: str = check_choice("mode", mode, MODES)

    def forward(self, input: Tensor) -> Tensor:
        """Pool `input`, (N, C, H, W) or (C, H, W)."""
        return spatial_pyramid_pool2d(input, self.levels, self.mode)

    def extra_repr(self) -> str:
        return f"levels={self.levels}, mode={self.mode!r}"
