"""Lp pooling: the p-norm of every region.  p = 1 adds magnitudes, p = 2 is the Euclidean length, inf the largest."""

from __future__ import annotations

import numpy as np

from poolref.checks import check_norm_type
from poolref.numpy.arrays import as_floats
from poolref.numpy.blocks import apply, apply_backward
from poolref.numpy.grid import Grid, RegionCells, needs_care
from poolref.numpy.max import region_argmax, region_max, scatter
from poolref.regions import Regions


def lp_pool(x: np.ndarray, regions: Regions, p: float = 2) -> np.ndarray:
    """Return the p-norm of every region: (..., *spatial) -> (..., *output spatial).

    Only the result can overflow, never a power on the way.  Padding adds nothing, and a region that hangs over the
    edge is not scaled up for its missing cells.  A region without cells gives 0.

    Args:
        x: floats; the last `regions.ndim` axes are spatial.
        regions: which cells belong together, from `poolref.regions`.
        p: the norm's exponent, above 0; `inf` gives the largest magnitude.  Default 2.

    Returns:
        The norms, in the dtype of `x`.

    Raises:
        TypeError: `x` does not hold floats, `p` is not a number, or `regions` is not a kind of regions.
        ValueError: `p` is 0, negative or NaN, `x` has too few axes or an empty spatial axis, or a region does not fit.

    Formula: `y[o] = (sum over c in region o of |x[c]|^p)^(1/p)`.

    Source: sermanet2012.  torch.nn.LPPool2d differs: it takes no absolute value, overflows from 1e20 at p = 2, and
    scales a partial window up in ceil mode.
    """
    p = check_norm_type("p", p)
    return apply(lambda planes, grid, out: _forward(planes, grid, out, p), as_floats(x), regions)


def lp_pool_backward(grad_output: np.ndarray, x: np.ndarray, regions: Regions, p: float = 2) -> np.ndarray:
    """Return the gradient of Lp pooling with respect to `x`, in its shape and dtype.

    Where the norm is 0 the gradient is taken to be 0.  At p = inf it goes to the first cell of largest magnitude.

    Args:
        grad_output: gradient of the output, in the output's shape.
        x, regions, p: as in the forward pass.

    Raises:
        TypeError: as `lp_pool`.
        ValueError: as `lp_pool`, or `grad_output` does not have the output's shape.

    Formula: `dx[c] = sum of grad_output[o] sign(x[c]) (|x[c]| / y[o])^(p-1)` over the regions o that contain c.
    """
    p = check_norm_type("p", p)

    def backward(g: np.ndarray, planes: np.ndarray, grid: Grid, out: np.ndarray) -> None:
        _backward(g, planes, grid, out, p)

    return apply_backward(backward, grad_output, as_floats(x), regions)


def _power(a: np.ndarray, p: float) -> np.ndarray:
    return a * a if p == 2 else a if p == 1 else a**p


def _root(a: np.ndarray, p: float) -> np.ndarray:
    return np.sqrt(a) if p == 2 else a if p == 1 else a ** (1 / p)


# As in SoftPool: powers are the same for every region a cell lies in, and shared, while their sums stay in range.


def _forward(x: np.ndarray, grid: Grid, out: np.ndarray, p: float) -> None:
    a = np.abs(x)
    if p == np.inf:
        np.maximum(region_max(a, grid), 0, out=out)
        return
    with np.errstate(all="ignore"):
        sums = grid.sum(_power(a, p))
        out[...] = _root(sums, p)
    for i, rows, layout in grid.region_cells(_needs_care(sums, a, grid)):
        out[i, rows] = _by_region(a[i], layout, p)[1].reshape(layout.output_shape)


def _backward(g: np.ndarray, x: np.ndarray, grid: Grid, out: np.ndarray, p: float) -> None:
    a = np.abs(x)
    if p == np.inf:
        out[...] = 0
        scatter(g, region_argmax(a, grid)[1], out)
        np.multiply(out, np.sign(x), out=out, where=out != 0)  # a NaN that no region covers has no gradient
        return
    with np.errstate(all="ignore"):
        sums = grid.sum(_power(a, p))
        share = np.where(sums == 0, 0, g / _power(_root(sums, p), p - 1))
        np.multiply(np.sign(x), np.where(a == 0, 0, _power(a, p - 1)) * grid.spread(share), out=out)
    # A cell that no region covers may be huge: its power overflows, though no sum does.
    planes = _needs_care(sums, a, grid, out)
    out[planes] = 0
    for i, rows, layout in grid.region_cells(planes):
        cells, y = _by_region(a[i], layout, p)
        with np.errstate(all="ignore"):
            ratio = np.where((cells == 0) | (y == 0), 0, np.where(cells == y, 1, cells / y) ** (p - 1))
        shares = layout.scatter(g[i, rows].reshape(-1, 1) * ratio)
        out[i] += np.where(shares == 0, 0, np.sign(x[i]) * shares)  # a NaN that no region covers has no gradient


def _needs_care(sums: np.ndarray, a: np.ndarray, grid: Grid, *maps: np.ndarray) -> np.ndarray:
    """The same for sums of powers of magnitudes: a sum that is 0 because all of its cells are 0 needs no care."""
    planes = needs_care(sums, *maps)
    if planes.size:
        zeros = region_max(a[planes], grid) == 0
        planes = planes[needs_care(np.where(zeros, 1, sums[planes]), a[planes], *(b[planes] for b in maps))]
    return planes


def _by_region(plane: np.ndarray, layout: RegionCells, p: float) -> tuple[np.ndarray, np.ndarray]:
    """The magnitudes of all cells, (regions, cells), and the norm of every region, (regions, 1), scaled on the way."""
    cells = layout.gather(plane, fill=0)
    largest = cells.max(1, keepdims=True)
    with np.errstate(all="ignore"):
        scaled = np.where(largest > 0, cells / largest, 0)
        y = largest * _root(_power(scaled, p).sum(1, keepdims=True), p)
    return cells, np.where(np.isfinite(largest) & (largest > 0), y, largest)
