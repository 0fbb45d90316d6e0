"""Max pooling: the largest value of every region.  The gradient goes to the cell it came from, and nowhere else."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import numpy as np

from poolref.checks import check_cells, check_flag
from poolref.numpy.arrays import as_floats, as_indices, as_numbers
from poolref.numpy.blocks import apply, apply_backward
from poolref.numpy.grid import Grid, along, lowest, resized
from poolref.numpy.scans import running_argmax, running_max_backward
from poolref.regions import Regions, Running


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
        torch.nn.MaxPool2d gives them (-1 for a region without cells).  Of several equal cells the first met is taken;
        which of several NaN an index names is not promised.

    Raises:
        TypeError: `x` is not numeric, `regions` is not a kind of regions, or `return_indices` is not a bool.
        ValueError: `x` has too few axes or an empty spatial axis, or a region does not fit.

    Formula: `y[o] = max over c in region o of x[c]`.

    Source: riesenhuber1999.
    """
    x = as_numbers(x)
    if not check_flag("return_indices", return_indices):
        return apply(region_max, x, regions)
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
    if indices is None:
        return apply_backward(region_max_backward, grad_output, x, regions, adds=True)
    indices = as_indices(indices, np.shape(grad_output))
    return apply_backward(_backward_with_indices, grad_output, x, regions, indices, adds=True)


def region_max(x: np.ndarray, grid: Grid, out: np.ndarray | None = None) -> np.ndarray:
    """The largest cell of every region; NaN propagates; -inf (the lowest int) where there is no cell."""
    # The largest cell of a window is the largest of its columns' largest cells: one axis at a time, tap by tap.
    return grid.reduce(np.maximum, x, lowest(x.dtype), out)


def region_argmax(x: np.ndarray, grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """The largest cell of every region, and its index in the flattened map (-1 where there is no cell).

    Ties go to the first cell met, in row-major order.
    """
    if isinstance(grid.regions, Running):
        return _running_argmax(x, grid)
    has_empty = 0 in grid.counts
    if not has_empty and len(grid.axes) == x.ndim - 1 and 128 * prod(grid.output_shape) <= prod(grid.spatial_shape):
        return _argmax_one_by_one(x, grid)  # few regions, and large
    largest, index = _argmax_by_axes(x, grid, np.greater)
    if largest.dtype.kind == "f" and np.isnan(np.min(largest)):  # rare, and slower
        largest, index = _argmax_by_axes(x, grid, _greater_or_nan)
    return largest, np.where(grid.counts == 0, -1, index.astype(np.int64)) if has_empty else index


def region_max_backward(g: np.ndarray, x: np.ndarray, grid: Grid, out: np.ndarray) -> None:
    """Add every `g` to the cell of `out` that is the largest of its region in `x`."""
    r = grid.regions
    if not isinstance(r, Running) or not running_max_backward(g, x, r.axis - 2, r.reverse, out):
        scatter(g, region_argmax(x, grid)[1], out)


def scatter(g: np.ndarray, index: np.ndarray, out: np.ndarray) -> None:
    """Add every `g` to the cell of its plane of `out` that `index` names (-1: to none)."""
    if index.min() < 0:
        g, index = np.where(index < 0, 0, g), np.maximum(index, 0)
    planes = np.arange(len(g)).reshape(-1, *(1,) * (g.ndim - 1))
    index = index.astype(np.intp) + planes * prod(out.shape[1:])
    np.add.at(out.reshape(-1), index.reshape(-1), g.reshape(-1))


def _argmax_by_axes(x: np.ndarray, grid: Grid, beats: Callable) -> tuple[np.ndarray, np.ndarray]:
    """The largest cell along one axis after another; every cell brings its index along.

    The last axis comes first, for the sake of ties: of equal cells the first of each row, then that of the first row.
    """
    cells = prod(grid.spatial_shape)
    index = np.arange(cells, dtype=np.min_scalar_type(cells - 1)).reshape(grid.spatial_shape)  # short ints are fast
    index = np.broadcast_to(index, x.shape)
    for axis in reversed(grid.axes):
        largest, winner = (resized(a, axis, grid.output_shape[axis]) for a in (x, index))
        if grid.has_taps(axis):
            _argmax_of_taps(*(grid.lines(a, axis) for a in (x, index, largest, winner)), grid, axis, beats)
        else:
            for i, span in enumerate(grid.spans[axis]):
                if span:
                    number = x[along(axis, span)].argmax(axis, keepdims=True)  # that of the first NaN, if there is one
                    for a, to in ((x, largest), (index, winner)):
                        to[along(axis, slice(i, i + 1))] = np.take_along_axis(a[along(axis, span)], number, axis)
                else:
                    largest[along(axis, i)], winner[along(axis, i)] = lowest(x.dtype), 0
        x, index = largest, winner
    return x, index


def _argmax_of_taps(x, index, largest, winner, grid, axis, beats):
    for outputs, taps in grid.taps(axis, x.shape[1]):
        best, chosen = largest[:, outputs], winner[:, outputs]
        so_far, where = (x[:, taps[0]], index[:, taps[0]]) if taps else (lowest(x.dtype), 0)
        for tap in taps[1:]:
            wins = beats(x[:, tap], so_far)
            # A later cell has a larger index, so that a maximum keeps it if it wins; np.where takes 20 times as long.
            where = np.maximum(where, index[:, tap] * wins, out=chosen)
            so_far = np.maximum(so_far, x[:, tap], out=best)
        if len(taps) < 2:
            best[...], chosen[...] = so_far, where


def _greater_or_nan(candidate: np.ndarray, best: np.ndarray) -> np.ndarray:
    return (candidate > best) | np.isnan(candidate)


def _argmax_one_by_one(x: np.ndarray, grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """The same, one region after another: better where they are few, and large."""
    flat = np.arange(prod(grid.spatial_shape)).reshape(grid.spatial_shape)
    largest, index = (np.empty((len(x), *grid.output_shape), dtype) for dtype in (x.dtype, flat.dtype))
    for output in np.ndindex(grid.output_shape):
        region = tuple(slice(axis[i].start, axis[i].stop, axis[i].step) for axis, i in zip(grid.spans, output))
        cells = x[:, *region].reshape(len(x), -1)
        number = cells.argmax(1)  # that of the first NaN, if there is one
        largest[:, *output], index[:, *output] = cells[np.arange(len(x)), number], flat[region].reshape(-1)[number]
    return largest, index


def _running_argmax(x: np.ndarray, grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    r, (height, width) = grid.regions, grid.spatial_shape
    largest, position = running_argmax(x, r.axis - 2, r.reverse)
    row, column = (position, np.arange(width)) if r.axis == 0 else (np.arange(height)[:, None], position)
    return largest, row * width + column


def _forward_with_indices(x: np.ndarray, grid: Grid, out: np.ndarray, indices: np.ndarray) -> None:
    out[...], indices[...] = region_argmax(x, grid)


def _backward_with_indices(g: np.ndarray, x: np.ndarray, grid: Grid, out: np.ndarray, indices: np.ndarray) -> None:
    check_cells("indices", indices.min(), indices.max(), prod(grid.spatial_shape))
    scatter(g, indices, out)
