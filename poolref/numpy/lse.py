"""Log-mean-exp pooling, a smooth maximum: a small r gives nearly the mean of a region, a large r nearly its maximum."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from poolref.checks import check_positive
from poolref.numpy.arrays import as_floats
from poolref.numpy.blocks import apply, apply_backward
from poolref.numpy.grid import Grid, RegionCells, needs_care
from poolref.numpy.softmax import softmax
from poolref.regions import Regions


def lse_pool(x: np.ndarray, regions: Regions, r: float = 10) -> np.ndarray:
    """Return the log-mean-exp of every region: (..., *spatial) -> (..., *output spatial).

    The result lies between the mean and the maximum of its region, and at most `log(N) / r` below the maximum of its N
    cells.  Padding takes no part.  -inf adds nothing; a region of nothing but -inf, or without cells, gives -inf
    and has no gradient; a cell at +inf gives +inf; NaN propagates.

    Args:
        x: floats; the last `regions.ndim` axes are spatial.
        regions: which cells belong together, from `poolref.regions`.
        r: sharpness, a finite number above 0.  Default 10.

    Returns:
        The smooth maxima, in the dtype of `x`.

    Raises:
        TypeError: `x` does not hold floats, `r` is not a number, or `regions` is not a kind of regions.
        ValueError: `r` is not above 0 and finite, `x` has too few axes or an empty spatial axis, or a region does not
            fit.

    Formula: `y[o] = (1/r) log(mean over c in region o of exp(r x[c]))`.

    Source: pinheiro2015.
    """
    r = check_positive("r", r)
    return apply(lambda planes, grid, out: _forward(planes, grid, r, out), as_floats(x), regions)


def lse_pool_backward(grad_output: np.ndarray, x: np.ndarray, regions: Regions, r: float = 10) -> np.ndarray:
    """Return the gradient of log-mean-exp pooling with respect to `x`, in its shape and dtype.

    Args:
        grad_output: gradient of the output, in the output's shape.
        x, regions, r: as in the forward pass.

    Raises:
        TypeError: as `lse_pool`.
        ValueError: as `lse_pool`, or `grad_output` does not have the output's shape.

    Formula: `dx[c] = sum of grad_output[o] w[c]` over the regions o that contain c, with
    `w[c] = exp(r x[c]) / sum of exp(r x[c'])`, the softmax of the region.
    """
    r = check_positive("r", r)
    return apply_backward(
        lambda g, planes, grid, out: _backward(g, planes, grid, r, out),
        grad_output,
        as_floats(x),
        regions,
    )


# As in SoftPool: exponentials are the same for every region a cell lies in, and shared, while their sums stay in range.


def _forward(x: np.ndarray, grid: Grid, r: float, out: np.ndarray) -> None:
    with np.errstate(all="ignore"):
        sums = grid.sum(np.exp(r * x))
        log_mean = _log_mean(sums, lambda: grid.sum(np.expm1(r * x)), grid.counts.astype(x.dtype))
        np.divide(log_mean, r, out=out)
    for i, rows, layout in grid.region_cells(needs_care(sums, x)):
        out[i, rows] = _by_region(x[i], layout, r).reshape(layout.output_shape)


def _backward(g: np.ndarray, x: np.ndarray, grid: Grid, r: float, out: np.ndarray) -> None:
    with np.errstate(all="ignore"):
        e = np.exp(r * x)
        sums = grid.sum(e)
        np.multiply(e, grid.spread(g / sums), out=out)
    planes = needs_care(sums, x, out)  # out, because a cell that no region covers may be huge
    out[planes] = 0
    for i, rows, layout in grid.region_cells(planes):
        weights = softmax(layout.gather(x[i], fill=-np.inf), r)
        out[i] += layout.scatter(g[i, rows].reshape(-1, 1) * weights)


def _by_region(plane: np.ndarray, layout: RegionCells, r: float) -> np.ndarray:
    """The log-mean-exp of every region of one map, its maximum subtracted first: (regions,)."""
    cells = layout.gather(plane, fill=-np.inf)
    there = layout.gather(np.ones_like(plane), fill=0)
    largest = cells.max(1)
    with np.errstate(all="ignore"):
        z = r * (cells - largest[:, None])
        above = _log_mean(np.exp(z).sum(1), lambda: (np.expm1(z) * there).sum(1), there.sum(1)) / r
        return np.where(np.isfinite(largest), largest + above, largest)


def _log_mean(sums: np.ndarray, sums_minus_1: Callable[[], np.ndarray], counts: np.ndarray) -> np.ndarray:
    """The log of means of exponentials.  Near 1 it is taken from the means of exp(z) - 1, which keep their digits."""
    mean = sums / counts
    near = abs(mean - 1) < 0.5
    return np.where(near, np.log1p(sums_minus_1() / counts), np.log(mean)) if near.any() else np.log(mean)
