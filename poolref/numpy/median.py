"""Median pooling: the middle value of every region.  Some wild cells do not move it."""

from __future__ import annotations

import numpy as np

from poolref.numpy.core import Grid, Strip, apply, apply_backward, as_floats
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
    for i, rows, strip in grid.strips(range(len(x))):
        low, high = (np.take_along_axis(_cells(x[i], strip), place, 1) for place in _middle(x[i], strip))
        with np.errstate(invalid="ignore"):
            y = np.where(strip.counts.reshape(-1, 1) % 2, low, low / 2 + high / 2)
        out[i, rows] = np.where(_has_none(x[i], strip), np.nan, y).reshape(strip.output_shape)


def _backward(g: np.ndarray, x: np.ndarray, grid: Grid, out: np.ndarray) -> None:
    out[...] = 0
    for i, rows, strip in grid.strips(range(len(x))):
        shares = np.where(_has_none(x[i], strip), 0, g[i, rows].reshape(-1, 1) / 2)
        grad = np.zeros_like(_cells(x[i], strip))
        for place in _middle(x[i], strip):
            np.put_along_axis(grad, place, np.take_along_axis(grad, place, 1) + shares, 1)
        out[i] += strip.scatter(grad)


def _cells(plane: np.ndarray, strip: Strip) -> np.ndarray:
    return strip.gather(plane, fill=0)


def _has_none(plane: np.ndarray, strip: Strip) -> np.ndarray:
    """Whether a region has no median: (regions, 1)."""
    return np.isnan(_cells(plane, strip)).any(1, keepdims=True) | (strip.counts.reshape(-1, 1) == 0)


def _middle(plane: np.ndarray, strip: Strip) -> tuple[np.ndarray, np.ndarray]:
    """Where the two middle cells of every region stand among its cells, twice the one if there is only one."""
    there = strip.gather(np.ones_like(plane), fill=0)
    order = np.lexsort((_cells(plane, strip), there == 0))  # what is missing comes last
    n = there.sum(1, keepdims=True).astype(int)
    return np.take_along_axis(order, np.maximum(n - 1, 0) // 2, 1), np.take_along_axis(order, n // 2 * (n > 0), 1)
