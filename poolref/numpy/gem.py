"""Generalized-mean pooling (GeM): p = 1 is the mean of a region, and the larger p, the closer to its maximum."""

from __future__ import annotations

import numpy as np

from poolref.checks import check_positive
from poolref.numpy.arrays import as_floats
from poolref.numpy.blocks import apply, apply_backward
from poolref.numpy.grid import Grid, RegionCells, needs_care
from poolref.regions import Regions


def gem_pool(x: np.ndarray, regions: Regions, p: float = 3, eps: float = 1e-6) -> np.ndarray:
    """Return the generalized mean of every region: (..., *spatial) -> (..., *output spatial).

    Values below `eps`, negative ones among them, count as `eps`.  Only the result can overflow, never a power on the
    way.  Padding takes no part; a region without cells gives NaN, as its mean does.

    Args:
        x: floats; the last `regions.ndim` axes are spatial.
        regions: which cells belong together, from `poolref.regions`.
        p: the exponent, a finite number above 0.  Default 3, where the paper starts to learn it.
        eps: the smallest value that is kept, a finite number above 0.  Default 1e-6.

    Returns:
        The generalized means, in the dtype of `x`.

    Raises:
        TypeError: `x` does not hold floats, `p` or `eps` is not a number, or `regions` is not a kind of regions.
        ValueError: `p` or `eps` is not above 0 and finite, `x` has too few axes or an empty spatial axis, or a region
            does not fit.

    Formula: `y[o] = (mean over c in region o of max(x[c], eps)^p)^(1/p)`.

    Source: radenovic2019.  With p = 1 it is the average only where no value is below `eps`.
    """
    p, eps = check_positive("p", p), check_positive("eps", eps)
    return apply(lambda planes, grid, out: _forward(planes, grid, p, eps, out), as_floats(x), regions)


def gem_pool_backward(
    grad_output: np.ndarray, x: np.ndarray, regions: Regions, p: float = 3, eps: float = 1e-6
) -> tuple[np.ndarray, np.float64]:
    """Return the gradients of generalized-mean pooling: to `x`, in its shape and dtype, and to `p`, a float64.

    Args:
        grad_output: gradient of the output, in the output's shape.
        x, regions, p, eps: as in the forward pass.

    Raises:
        TypeError: as `gem_pool`.
        ValueError: as `gem_pool`, or `grad_output` does not have the output's shape.

    Formula: with N cells in region o and S the sum of their p-th powers,
    `dx[c] = sum of grad_output[o] / N (x[c] / y[o])^(p-1)` over the regions o that contain c, 0 where x[c] < eps, and
    `dp = sum over o of grad_output[o] y[o] / p^2 (log(N / S) + p / S sum of x[c]^p log x[c])`.
    """
    p, eps = check_positive("p", p), check_positive("eps", eps)
    slopes: list[float] = []  # the share of every block of planes in dp
    grad = apply_backward(
        lambda g, planes, grid, out: slopes.append(_backward(g, planes, grid, p, eps, out)),
        grad_output,
        as_floats(x),
        regions,
    )
    return grad, np.float64(sum(slopes))


# As in Lp pooling: powers are the same for every region a cell lies in, and shared, while their sums stay in range.


def _forward(x: np.ndarray, grid: Grid, p: float, eps: float, out: np.ndarray) -> None:
    kept = np.maximum(x, x.dtype.type(eps))
    with np.errstate(all="ignore"):
        sums = grid.sum(_power(kept, p))
        out[...] = _mean(sums, grid, p)
    for i, rows, layout in grid.region_cells(needs_care(sums)):
        _, largest, y = _by_region(kept[i], layout, p)
        with np.errstate(all="ignore"):
            out[i, rows] = (largest * y).reshape(layout.output_shape)


def _backward(g: np.ndarray, x: np.ndarray, grid: Grid, p: float, eps: float, out: np.ndarray) -> float:
    """Write the gradient of `x` to `out`, and return the gradient of `p`."""
    kept = np.maximum(x, x.dtype.type(eps))
    with np.errstate(all="ignore"):
        slopes = _power(kept, p - 1)
        sums = grid.sum(slopes * kept)
        y = _mean(sums, grid, p)
        grid.spread(g * y / sums, out)  # grad_output / N y^(1-p)
        out *= slopes
        # Over all regions, grad_output y / S sum of x^p log x adds up to dx x log x over all cells.
        kept *= np.log(kept)
        kept *= out
        slope = _total(kept) - _total(g * y * np.log(y))
        out *= x >= eps
    planes = needs_care(sums, out)  # out, because a cell that no region covers may be huge
    slope[planes] = 0
    out[planes] = 0
    for i, rows, layout in grid.region_cells(planes):
        cells, largest, mean = _by_region(np.maximum(x[i], eps), layout, p)
        n = layout.counts.reshape(-1, 1)
        share = g[i, rows].reshape(-1, 1)
        with np.errstate(all="ignore"):
            out[i] += layout.scatter(share / n * (cells / mean) ** (p - 1))
            powers = cells**p
            logs = np.where(cells > 0, powers * np.log(cells), 0).sum(1, keepdims=True)
            of_cells = np.log(n / powers.sum(1, keepdims=True)) / p + logs / powers.sum(1, keepdims=True)
            slope[i] += np.where(n > 0, share * largest * mean * of_cells, 0).sum()
        out[i, x[i] < eps] = 0
    return float(slope.sum() / p)


def _power(a: np.ndarray, p: float) -> np.ndarray:
    return a * a * a if p == 3 else a * a if p == 2 else a if p == 1 else a**p


def _mean(sums: np.ndarray, grid: Grid, p: float) -> np.ndarray:
    if p == 3:
        return np.cbrt(sums / grid.counts.astype(sums.dtype))
    return (sums / grid.counts) ** (1 / p)  # in float64, where a root does not lose digits


def _total(a: np.ndarray) -> np.ndarray:
    """The sum over each plane."""
    return a.sum(tuple(range(1, a.ndim)), np.float64)


def _by_region(plane: np.ndarray, layout: RegionCells, p: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The cells of every region over its largest, that largest cell, and the generalized mean over it:
    (regions, cells), (regions, 1), (regions, 1)."""
    cells = layout.gather(plane, fill=0)
    largest = cells.max(1, keepdims=True)
    with np.errstate(all="ignore"):
        scaled = np.where(cells == largest, 1, cells / largest)  # also where the largest is inf
        mean = (scaled**p).sum(1, keepdims=True) / layout.counts.reshape(-1, 1)
        return scaled, largest, mean ** (1 / p)
