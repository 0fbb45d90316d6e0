"""Min pooling: the smallest value of every region, which is max pooling of the map turned upside down."""

from __future__ import annotations

import numpy as np

from poolref.checks import check_flag
from poolref.numpy.arrays import as_floats, as_numbers
from poolref.numpy.blocks import apply, apply_backward
from poolref.numpy.grid import Grid
from poolref.numpy.max import max_pool_backward, region_argmax, region_max, region_max_backward
from poolref.regions import Regions


def min_pool(
    x: np.ndarray, regions: Regions, return_indices: bool = False
) -> np.ndarray | tuple[np.ndarray, np.ndarray]:
    """Return the smallest value of every region: (..., *spatial) -> (..., *output spatial).

    Padding takes no part.  NaN propagates.  A region without cells gives +inf.

    Args:
        x: ints or floats; the last `regions.ndim` axes are spatial.
        regions: which cells belong together, from `poolref.regions`.
        return_indices: also return which cell each minimum came from.

    Returns:
        The minima, in the dtype of `x`; with `return_indices` also int64 indices into the flattened spatial axes
        (-1 for a region without cells).  Of several equal cells the first met is taken.

    Raises:
        TypeError: `x` is not numeric, `regions` is not a kind of regions, or `return_indices` is not a bool.
        ValueError: `x` has too few axes or an empty spatial axis, or a region does not fit.

    Formula: `y[o] = min over c in region o of x[c]`, computed as `-max(-x)`.
    """
    x = as_numbers(x)
    if not check_flag("return_indices", return_indices):
        return apply(_forward, x, regions)
    return apply(_forward_with_indices, x, regions, x.dtype, np.int64)


def min_pool_backward(
    grad_output: np.ndarray, x: np.ndarray, regions: Regions, indices: np.ndarray | None = None
) -> np.ndarray:
    """Return the gradient of min pooling with respect to `x`, in its shape and dtype.

    Args:
        grad_output: gradient of the output, in the output's shape.
        x: the input of the forward pass.
        regions: the regions of the forward pass.
        indices: what `min_pool(..., return_indices=True)` returned.  Default: found again from `x`.

    Raises:
        TypeError: as `min_pool`; ints have no gradient.  `indices` does not hold ints.
        ValueError: as `min_pool`, or `grad_output` or `indices` does not have the output's shape, or an index lies
            outside the map.

    Formula: `dx[c] = sum of grad_output[o] over the regions o whose first minimum is c`.
    """
    if indices is not None:
        return max_pool_backward(grad_output, x, regions, indices)
    return apply_backward(_backward, grad_output, as_floats(x), regions, adds=True)


def _forward(x: np.ndarray, grid: Grid, out: np.ndarray) -> None:
    out[...] = _upside_down(region_max(_upside_down(x), grid))


def _forward_with_indices(x: np.ndarray, grid: Grid, out: np.ndarray, index: np.ndarray) -> None:
    largest, index[...] = region_argmax(_upside_down(x), grid)
    out[...] = _upside_down(largest)


def _backward(g: np.ndarray, x: np.ndarray, grid: Grid, out: np.ndarray) -> None:
    region_max_backward(g, _upside_down(x), grid, out)


def _upside_down(x: np.ndarray) -> np.ndarray:
    # For ints -x would overflow at the lowest value (and mean nothing for unsigned ones); ~x reverses the order too.
    return -x if x.dtype.kind == "f" else ~x
