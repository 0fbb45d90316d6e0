"""Median pooling: the middle value of every region.  Some wild cells do not move it."""

from __future__ import annotations

import numpy as np

from poolref.numpy.arrays import as_floats
from poolref.numpy.blocks import apply, apply_backward
from poolref.numpy.grid import Grid, RegionCells
from poolref.regions import Regions


def median_pool(x: np.ndarray, regions: Regions) -> np.ndarray:
    """Return the median of every region: (..., *spatial) -> (..., *output spatial).

    Padding takes no part.  NaN propagates; a region without cells gives NaN.

    Args:
        x: floats; the last `regions.ndim` axes are spatial.
        regions: which cells belong together, from `poolref.regions`.

    Raises:
        TypeError: `x` does not hold floats, or `regions` is not a kind of regions.
        ValueError: `x` has too few axes or an empty spatial axis, or a region does not fit.

    Formula: of the N cells of region o in order, `y[o] = (x[(N - 1) // 2] + x[N // 2]) / 2`, counted from 0.

    Source: huang1979, for filters.
    """
    return apply(_forward, as_floats(x), regions)


def median_pool_backward(grad_output: np.ndarray, x: np.ndarray, regions: Regions) -> np.ndarray:
    """Return the gradient of median pooling with respect to `x`, in its shape and dtype.

    Args:
        grad_output: gradient of the output, in the output's shape.
        x, regions: as in the forward pass.

    Raises:
        TypeError, ValueError: as `median_pool`, or `grad_output` does not have the output's shape.

    Formula: half of `grad_output[o]` goes to each of the two cells in the middle, or all to the one; cells of one value
    stand in the order in which they are met.  A region with NaN has no gradient.
    """
    return apply_backward(_backward, grad_output, as_floats(x), regions)


def _forward(x: np.ndarray, grid: Grid, out: np.ndarray) -> None:
    for i, rows, layout in grid.region_cells(range(len(x))):
        low, high = (np.take_along_axis(_cells(x[i], layout), place, 1) for place in _middle(x[i], layout))
        with np.errstate(invalid="ignore"):
            y = np.where(layout.counts.reshape(-1, 1) % 2, low, low / 2 + high / 2)
        out[i, rows] = np.where(_has_none(x[i], layout), np.nan, y).reshape(layout.output_shape)


def _backward(g: np.ndarray, x: np.ndarray, grid: Grid, out: np.ndarray) -> None:
    out[...] = 0
    for i, rows, layout in grid.region_cells(range(len(x))):
        shares = np.where(_has_none(x[i], layout), 0, g[i, rows].reshape(-1, 1) / 2)
        grad = np.zeros_like(_cells(x[i], layout))
        for place in _middle(x[i], layout):
            np.put_along_axis(grad, place, np.take_along_axis(grad, place, 1) + shares, 1)
        out[i] += layout.scatter(grad)


def _cells(plane: np.ndarray, layout: RegionCells) -> np.ndarray:
    return layout.gather(plane, fill=0)


def _has_none(plane: np.ndarray, layout: RegionCells) -> np.ndarray:
    """Whether a region has no median: (regions, 1)."""
    return np.isnan(_cells(plane, layout)).any(1, keepdims=True) | (layout.counts.reshape(-1, 1) == 0)


def _middle(plane: np.ndarray, layout: RegionCells) -> tuple[np.ndarray, np.ndarray]:
    """Where the two middle cells of every region stand among its cells, twice the one if there is only one."""
    there = layout.gather(np.ones_like(plane), fill=0)
    order = np.lexsort((_cells(plane, layout), there == 0))  # what is missing comes last
    n = there.sum(1, keepdims=True).astype(int)
    return np.take_along_axis(order, np.maximum(n - 1, 0) // 2, 1), np.take_along_axis(order, n // 2 * (n > 0), 1)
