"""SoftPool: a mean in which every cell is weighted by the softmax of its region, so that large values count more."""

from __future__ import annotations

import numpy as np

from poolref.numpy.arrays import as_floats
from poolref.numpy.blocks import apply, apply_backward
from poolref.numpy.grid import Grid, RegionCells, needs_care
from poolref.numpy.softmax import softmax
from poolref.regions import Regions


def soft_pool(x: np.ndarray, regions: Regions) -> np.ndarray:
    """Return the softmax-weighted mean of every region: (..., *spatial) -> (..., *output spatial).

    The result lies between the mean and the maximum of its region.  Padding takes no part.  A cell at -inf has weight
    0; a region of nothing but -inf, or without cells, gives -inf and has no gradient; a cell at +inf gives +inf; NaN
    propagates.

    Args:
        x: floats; the last `regions.ndim` axes are spatial.
        regions: which cells belong together, from `poolref.regions`.

    Returns:
        The weighted means, in the dtype of `x`.

    Raises:
        TypeError: `x` does not hold floats, or `regions` is not a kind of regions.
        ValueError: `x` has too few axes or an empty spatial axis, or a region does not fit.

    Formula: `y[o] = sum of w[c] x[c]` over the cells c of region o, with `w[c] = exp(x[c]) / sum of exp(x[c'])`.

    Source: stergiou2021.  The authors' code departs from the paper: it does not subtract the maximum (x = 100 gives
    NaN), and its backward pass is `w` alone.  The paper is followed here.
    """
    return apply(_forward, as_floats(x), regions)


def soft_pool_backward(grad_output: np.ndarray, x: np.ndarray, regions: Regions) -> np.ndarray:
    """Return the gradient of SoftPool with respect to `x`, in its shape and dtype.

    Args:
        grad_output: gradient of the output, in the output's shape.
        x, regions: as in the forward pass.

    Raises:
        TypeError: as `soft_pool`.
        ValueError: as `soft_pool`, or `grad_output` does not have the output's shape.

    Formula: `dx[c] = sum of grad_output[o] w[c] (1 + x[c] - y[o])` over the regions o that contain c.
    """
    return apply_backward(_backward, grad_output, as_floats(x), regions)


# exp(x) needs no maximum subtracted while all sums stay far from overflow and underflow.  Then it is the same for
# every region that a cell lies in, and the whole of SoftPool is two sums.  Planes for which this does not hold are done
# again, region by region.


def _forward(x: np.ndarray, grid: Grid, out: np.ndarray) -> None:
    with np.errstate(all="ignore"):
        e = np.exp(x)
        weight = grid.sum(e)
        np.divide(grid.sum(x * e), weight, out=out)
    for i, rows, layout in grid.region_cells(needs_care(weight, out)):
        out[i, rows] = _by_region(x[i], layout)[2].reshape(layout.output_shape)


def _backward(g: np.ndarray, x: np.ndarray, grid: Grid, out: np.ndarray) -> None:
    with np.errstate(all="ignore"):
        e = np.exp(x)
        weight = grid.sum(e)
        share = g / weight
        np.multiply(x, e, out=out)  # which is free until the last lines
        y = grid.sum(out) / weight
        # sum of g w (1 + x - y) = e * (x * sum of g/weight + sum of g (1 - y)/weight)
        grid.spread(share * (1 - y), out)
        out += x * grid.spread(share)
        out *= e
    planes = needs_care(weight, y, out)  # out, because exp of a cell that no region covers may be inf
    out[planes] = 0
    for i, rows, layout in grid.region_cells(planes):
        cells, w, y = _by_region(x[i], layout)
        with np.errstate(invalid="ignore"):
            gap = np.where((w == 0) | (cells == y), 0, cells - y)  # inf - inf counts as no gap
        out[i] += layout.scatter(g[i, rows].reshape(-1, 1) * w * (1 + gap))


def _by_region(plane: np.ndarray, layout: RegionCells) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The cells of every region, their weights, and the weighted mean: (regions, cells), the same, (regions, 1)."""
    cells = layout.gather(plane, fill=-np.inf)
    w = softmax(cells)
    with np.errstate(invalid="ignore"):
        y = np.where(w == 0, 0, w * cells).sum(1, keepdims=True)
    return cells, w, np.where(w.any(1, keepdims=True), y, -np.inf)
