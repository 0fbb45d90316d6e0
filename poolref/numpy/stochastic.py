"""Stochastic pooling: one cell of every region is drawn, a large value more often than a small one.

In evaluation nothing is drawn: `expected_pool` gives the mean of all draws.
"""

from __future__ import annotations

import numpy as np

from poolref.checks import check_instance, check_non_negative
from poolref.numpy.arrays import as_floats
from poolref.numpy.blocks import apply, apply_backward
from poolref.numpy.grid import Grid, RegionCells, needs_care
from poolref.numpy.max import max_pool_backward
from poolref.regions import Regions


def stochastic_pool(x: np.ndarray, regions: Regions, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return one cell of every region, drawn at random, and which it was: (..., *spatial) -> (..., *output spatial).

    A cell is drawn with its share of the region's sum.  In a region of zeros all cells are as likely; a cell at +inf is
    always drawn; NaN propagates.  Padding takes no part.  Regions are drawn independently, also where they overlap.

    Args:
        x: floats, none negative; the last `regions.ndim` axes are spatial.
        regions: which cells belong together, from `poolref.regions`.
        rng: where the randomness comes from, such as `numpy.random.default_rng(0)`.

    Returns:
        The values drawn, in the dtype of `x`, and int64 indices of their cells in the flattened spatial axes.  A region
        without cells gives 0 and the index -1.

    Raises:
        TypeError: `x` does not hold floats, `regions` is not a kind of regions, or `rng` is not a numpy Generator.
        ValueError: `x` holds a negative number, has too few axes or an empty spatial axis, or a region does not fit.

    Formula: `P(c is drawn) = x[c] / (sum of x[c'] over the cells c' of the region)`.

    Source: zeiler2013.  The paper leaves a region of zeros open.
    """
    check_instance("rng", rng, np.random.Generator, "a numpy.random.Generator, such as numpy.random.default_rng(0)")
    x = _non_negative(x)
    return apply(lambda planes, grid, *outs: _draw(planes, grid, rng, *outs), x, regions, x.dtype, np.int64)


def stochastic_pool_backward(
    grad_output: np.ndarray, x: np.ndarray, regions: Regions, indices: np.ndarray
) -> np.ndarray:
    """Return the gradient of stochastic pooling with respect to `x`, in its shape and dtype, for the cells drawn.

    Args:
        grad_output: gradient of the values, in their shape.
        x, regions: as in the forward pass.
        indices: the cells drawn, as the forward pass returned them.

    Raises:
        TypeError: as `stochastic_pool`.
        ValueError: as `stochastic_pool`, or `grad_output` or `indices` does not have the output's shape.

    Formula: `dx[c] = sum of grad_output[o]` over the regions o for which c was drawn.
    """
    return max_pool_backward(grad_output, _non_negative(x), regions, indices)


def expected_pool(x: np.ndarray, regions: Regions) -> np.ndarray:
    """Return the mean of all draws of stochastic pooling: (..., *spatial) -> (..., *output spatial).

    Each cell of a region is weighted by its share of the region's sum.  A region of zeros, or without cells, gives 0;
    a cell at +inf gives +inf; NaN propagates.  Padding takes no part.  Squares do not overflow on the way.

    Args:
        x: floats, none negative; the last `regions.ndim` axes are spatial.
        regions: which cells belong together, from `poolref.regions`.

    Returns:
        The weighted means, in the dtype of `x`.

    Raises:
        TypeError: `x` does not hold floats, or `regions` is not a kind of regions.
        ValueError: `x` holds a negative number, has too few axes or an empty spatial axis, or a region does not fit.

    Formula: `y[o] = (sum over c in region o of x[c]^2) / (sum over c in region o of x[c])`.

    Source: zeiler2013, there called probabilistic weighting.
    """
    return apply(_forward, _non_negative(x), regions)


def expected_pool_backward(grad_output: np.ndarray, x: np.ndarray, regions: Regions) -> np.ndarray:
    """Return the gradient of expected pooling with respect to `x`, in its shape and dtype.

    In a region of zeros all cells weigh the same, and share the gradient.

    Args:
        grad_output: gradient of the output, in the output's shape.
        x, regions: as in the forward pass.

    Raises:
        TypeError: as `expected_pool`.
        ValueError: as `expected_pool`, or `grad_output` does not have the output's shape.

    Formula: `dx[c] = sum of grad_output[o] (2 x[c] - y[o]) / S[o]` over the regions o that contain c, with S[o] the sum
    of region o.
    """
    return apply_backward(_backward, grad_output, _non_negative(x), regions)


def _non_negative(x: np.ndarray) -> np.ndarray:
    x = as_floats(x)
    check_non_negative("x", np.fmin.reduce(x, axis=None, initial=0))  # fmin passes over NaN
    return x


def _draw(x: np.ndarray, grid: Grid, rng: np.random.Generator, values: np.ndarray, indices: np.ndarray) -> None:
    for i, rows, layout in grid.region_cells(range(len(x))):
        cells, weights, largest = _over_largest(x[i], layout)
        weights = np.where(np.isnan(largest), np.isnan(cells), weights).cumsum(1, dtype=np.float64)
        total = weights[:, -1:]
        # The first cell whose cumulated weight is above a random part of the total; nextafter, because that part must
        # stay below the total when it is rounded.
        part = np.minimum(rng.random(total.shape) * total, np.nextafter(total, 0))
        drawn = (weights > part).argmax(1, keepdims=True)
        values[i, rows] = np.take_along_axis(cells, drawn, 1).reshape(layout.output_shape)
        index = np.take_along_axis(layout.indices, drawn, 1).reshape(layout.output_shape)
        indices[i, rows] = np.where(layout.counts == 0, -1, index)


# As in Lp pooling: squares are the same for every region a cell lies in, and shared, while their sums stay in range.


def _forward(x: np.ndarray, grid: Grid, out: np.ndarray) -> None:
    with np.errstate(all="ignore"):
        sums, squares = grid.sum(x), grid.sum(x * x)
        np.divide(squares, np.where(sums == 0, 1, sums), out=out)
    for i, rows, layout in grid.region_cells(_needs_care(sums, squares)):
        _, weights, largest = _over_largest(x[i], layout)
        out[i, rows] = np.where(largest == 0, 0, largest * _mean(weights)).reshape(layout.output_shape)


def _backward(g: np.ndarray, x: np.ndarray, grid: Grid, out: np.ndarray) -> None:
    with np.errstate(all="ignore"):
        sums, squares = grid.sum(x), grid.sum(x * x)
        zero = sums == 0
        per_x = np.where(zero, 0, g / sums)
        shared = np.where(zero, g / grid.counts.astype(x.dtype), -per_x * squares / sums)
        np.add(2 * x * grid.spread(per_x), grid.spread(shared), out=out)
    planes = _needs_care(sums, squares)
    out[planes] = 0
    for i, rows, layout in grid.region_cells(planes):
        _, weights, _ = _over_largest(x[i], layout)
        with np.errstate(invalid="ignore"):
            slopes = (2 * weights - _mean(weights)) / weights.sum(1, keepdims=True)
        out[i] += layout.scatter(g[i, rows].reshape(-1, 1) * slopes)


def _needs_care(sums: np.ndarray, squares: np.ndarray) -> np.ndarray:
    """The same for sums and sums of squares: a region of zeros needs no care."""
    zeros = sums == 0
    return np.union1d(*(needs_care(np.where(zeros, 1, a)) for a in (sums, squares)))


def _over_largest(plane: np.ndarray, layout: RegionCells) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The cells of every region, the same over the region's largest (ones if all are 0), and that largest cell:
    (regions, cells), (regions, cells), (regions, 1)."""
    cells, there = layout.gather(plane, fill=0), layout.gather(np.ones_like(plane), fill=0)
    largest = cells.max(1, keepdims=True)
    with np.errstate(invalid="ignore"):
        return cells, np.where(cells == largest, there, cells / largest), largest


def _mean(weights: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore"):
        return (weights * weights).sum(1, keepdims=True) / weights.sum(1, keepdims=True)
