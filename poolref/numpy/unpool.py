"""Max unpooling: every pooled value goes back to the cell it came from, and all other cells are 0."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from poolref.checks import check_cells, check_shape, check_spatial
from poolref.numpy.arrays import as_floats, as_gradient, as_indices, as_numbers


def max_unpool(y: np.ndarray, indices: np.ndarray, output_shape: Sequence[int]) -> np.ndarray:
    """Return a map with each value at its index: (..., *pooled spatial) -> (..., *output_shape).

    Where windows overlap, several values can name one cell.  The last of them, in row-major order, is kept.

    Args:
        y: ints or floats; its last axes, as many as `output_shape` has, are spatial.
        indices: ints in the shape of `y`, as `max_pool(..., return_indices=True)` gives them: positions in the
            flattened spatial axes of the output.  A value with index -1 goes nowhere.
        output_shape: the spatial shape of the map, a tuple of ints.

    Returns:
        The map, in the dtype of `y`.

    Raises:
        TypeError: `y` is not numeric, `indices` does not hold ints, or `output_shape` is not a tuple of ints.
        ValueError: the shapes of `y` and `indices` differ, `y` has too few axes, or an index lies outside the map.

    Formula: `x[c] = y[o]` for the last o with `indices[o] = c`, else 0.

    Source: zeiler2014, there with the name switches for the indices.  torch.nn.MaxUnpool2d leaves it open which of
    several values is kept, and gives all of them the gradient.
    """
    y, indices, shape = _check(as_numbers(y), indices, output_shape)
    flat = np.append(np.zeros((len(indices), 1), y.dtype), y.reshape(indices.shape), axis=1)
    values = np.take_along_axis(flat, _winners(indices, prod(shape)) + 1, axis=1)
    return values.reshape(*y.shape[: y.ndim - len(shape)], *shape)


def max_unpool_backward(
    grad_output: np.ndarray, y: np.ndarray, indices: np.ndarray, output_shape: Sequence[int]
) -> np.ndarray:
    """Return the gradient of max unpooling with respect to `y`, in its shape and dtype.

    Args:
        grad_output: gradient of the map, in its shape.
        y, indices, output_shape: as in the forward pass.

    Raises:
        TypeError: as `max_unpool`; ints have no gradient.
        ValueError: as `max_unpool`, or `grad_output` does not have the map's shape.

    Formula: `dy[o] = grad_output[indices[o]]` if the value of o was kept, else 0.
    """
    y, indices, shape = _check(as_floats(y), indices, output_shape)
    g = as_gradient(grad_output, y.shape[: y.ndim - len(shape)] + shape, y.dtype)
    grad = np.zeros((len(indices), 1 + indices.shape[1]), y.dtype)
    winners = _winners(indices, prod(shape))
    np.put_along_axis(grad, winners + 1, g.reshape(winners.shape), axis=1)
    return grad[:, 1:].reshape(y.shape)


def _check(
    y: np.ndarray, indices: np.ndarray, output_shape: Sequence[int]
) -> tuple[np.ndarray, np.ndarray, tuple[int, ...]]:
    """The arguments, with `indices` as (planes, values)."""
    shape = check_shape("output_shape", output_shape)
    pooled = check_spatial(y.shape, len(shape))
    indices = as_indices(indices, y.shape)
    if indices.size:
        check_cells("indices", indices.min(), indices.max(), prod(shape))
    return y, indices.reshape(prod(y.shape[: y.ndim - len(shape)]), prod(pooled)), shape


def _winners(indices: np.ndarray, cells: int) -> np.ndarray:
    """For every cell of every plane the position of the last value that goes there, -1 if none does."""
    winners = np.full((len(indices), cells + 1), -1)  # index -1 is the cell too many
    np.maximum.at(winners, (np.arange(len(indices))[:, None], indices), np.arange(indices.shape[1]))
    return winners[:, :cells]
