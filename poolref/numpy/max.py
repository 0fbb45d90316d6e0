"""Max pooling: the largest value of every region.  The gradient goes to the cell it came from, and nowhere else."""

from __future__ import annotations

from math import prod

import numpy as np

from poolref.checks import check_flag, check_regions, check_spatial
from poolref.numpy.core import Grid, apply, apply_backward, as_floats, as_indices, as_numbers
from poolref.regions import Adaptive, Pyramid, Regions


def max_pool(
    x: np.ndarray, regions: Regions, return_indices: bool = False
) -> np.ndarray | tuple[np.ndarray, np.ndarray]:
    """Return the largest value of every region: (..., *spatial) -> (..., *output spatial).

    Padding takes no part, so a map of negative numbers keeps its maxima.  NaN propagates.  A region without cells
    (possible with dilation) gives -inf.

    Args:
        x: ints or floats; the last `regions.ndim` axes are spatial.
        regions: which cells belong together, from `poolref.regions`.
        return_indices: also return which cell each maximum came from.

    Returns:
        The maxima, in the dtype of `x`; with `return_indices` also int64 indices into the flattened spatial axes, as
        torch.nn.MaxPool2d gives them (-1 for a region without cells).  Of several equal cells the first met is taken.

    Raises:
        TypeError: `x` is not numeric, `regions` is not a kind of regions, or `return_indices` is not a bool.
        ValueError: `x` has too few axes or an empty spatial axis, or a region does not fit.

    Formula: `y[o] = max over c in region o of x[c]`.

    Source: riesenhuber1999.
    """
    x = as_numbers(x)
    if not check_flag("return_indices", return_indices):
        return apply(lambda planes, grid, out: grid.max(grid.fetch(planes), out), x, regions)
    if isinstance(regions, Pyramid):
        return _by_levels(x, regions)
    return apply(_forward_with_indices, x, regions, x.dtype, np.int64)


def max_pool_backward(
    grad_output: np.ndarray, x: np.ndarray, regions: Regions, indices: np.ndarray | None = None
) -> np.ndarray:
    """Return the gradient of max pooling with respect to `x`, in its shape and dtype.

    Args:
        grad_output: gradient of the output, in the output's shape.
        x: the input of the forward pass.
        regions: the regions of the forward pass.
        indices: what `max_pool(..., return_indices=True)` returned.  Default: found again from `x`.

    Raises:
        TypeError: as `max_pool`; ints have no gradient.  `indices` does not hold ints.
        ValueError: as `max_pool`, or `grad_output` or `indices` does not have the output's shape, or an index lies
            outside the map.

    Formula: `dx[c] = sum of grad_output[o] over the regions o whose first maximum is c`.
    """
    x = as_floats(x)
    if indices is None and isinstance(regions, Pyramid):
        indices = max_pool(x, regions, return_indices=True)[1]
    if indices is None:
        return apply_backward(_backward, grad_output, x, regions, adds=True)
    cells = prod(x.shape[x.ndim - check_regions(regions).ndim :])
    indices = as_indices(indices, np.shape(grad_output), cells)
    return apply_backward(_backward, grad_output, x, regions, indices, adds=True)


def _by_levels(x: np.ndarray, pyramid: Pyramid) -> tuple[np.ndarray, np.ndarray]:
    """Few passes: where a level's number divides that of a finer one, its bins are unions of finer bins."""
    n, levels = pyramid.ndim, {}
    spatial = check_spatial(x.shape, n)
    for level in sorted(set(pyramid.levels), reverse=True):
        finer = [m for m in levels if m % level == 0]
        if not finer:
            levels[level] = max_pool(x, Adaptive((level,) * n), return_indices=True)
        else:
            values, indices = (_unions(a, level, n) for a in levels[finer[-1]])
            largest = values.max(-1, keepdims=True)
            wins = (values == largest) | (values != values)
            # Of equals the first cell of the bin, which need not lie in the first of the finer bins.
            levels[level] = largest[..., 0], np.where(wins, indices, prod(spatial)).min(-1)
    lead = x.shape[: x.ndim - n]
    parts = zip(*(levels[m] for m in pyramid.levels))
    return tuple(np.concatenate([a.reshape(*lead, a.shape[-1] ** n) for a in part], -1) for part in parts)


def _unions(bins: np.ndarray, level: int, n: int) -> np.ndarray:
    """Bins put together: (..., *bins) -> (..., *(level,) * n, bins of a union), row-major."""
    lead, q = bins.shape[:-n], bins.shape[-1] // level
    split = bins.reshape(*lead, *(level, q) * n)
    inner = range(len(lead) + 1, split.ndim, 2)
    return np.moveaxis(split, inner, range(-n, 0)).reshape(*lead, *(level,) * n, q**n)


def _forward_with_indices(x: np.ndarray, grid: Grid, out: np.ndarray, index: np.ndarray) -> None:
    out[...], index[...] = grid.argmax(x)


def _backward(g: np.ndarray, x: np.ndarray, grid: Grid, out: np.ndarray, index: np.ndarray | None = None) -> None:
    if index is None:
        grid.max_backward(g, x, out)
    else:
        grid.scatter(g, index, out)
