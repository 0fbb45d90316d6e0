"""Blur pooling: smooth the map, then keep every other cell, so that a shifted input gives a shifted output again."""

from __future__ import annotations

from math import comb

import numpy as np

from poolref.checks import check_filter_size, check_int, check_ndim, check_reflection, check_spatial
from poolref.numpy.arrays import as_floats, as_gradient
from poolref.numpy.max import max_pool, max_pool_backward
from poolref.regions import Window


def blur_pool(x: np.ndarray, filter_size: int = 3, stride: int = 2, ndim: int = 2) -> np.ndarray:
    """Return the map smoothed with a binomial filter, at every `stride`-th cell: (..., *spatial) -> (..., *output).

    An axis of n cells becomes `floor((n - 1) / stride) + 1`.  Beyond its edges the map is continued by reflection,
    the edge cell itself not repeated: so the mean of a constant map is that constant everywhere.

    Args:
        x: floats; the last `ndim` axes are spatial.
        filter_size: cells of the filter along each axis, 1 to 7.  Default 3: weights 1/4, 1/2, 1/4.
        stride: cells from one output cell to the next, on each axis.  Default 2.
        ndim: the number of spatial axes.  Default 2.

    Returns:
        The smoothed cells, in the dtype of `x`.

    Raises:
        TypeError: `x` does not hold floats, or another argument is not an int.
        ValueError: an int is out of its range, or an axis has no more cells than are reflected into its padding, which
            is `filter_size // 2`.

    Formula: along each axis `y[i] = sum over t of w[t] x[i stride + t - floor((f - 1) / 2)]`, with
    `w[t] = binomial(f - 1, t) / 2^(f - 1)` and f the filter size.

    Source: zhang2019.
    """
    x = _check(x, filter_size, stride, ndim)
    y = x.astype(np.result_type(x, np.float32))
    for axis in range(-ndim, 0):
        y = np.moveaxis(_smooth(np.moveaxis(y, axis, -1), filter_size, stride), -1, axis)
    return np.ascontiguousarray(y, x.dtype)


def blur_pool_backward(
    grad_output: np.ndarray, x: np.ndarray, filter_size: int = 3, stride: int = 2, ndim: int = 2
) -> np.ndarray:
    """Return the gradient of blur pooling with respect to `x`, in its shape and dtype.

    Args:
        grad_output: gradient of the output, in the output's shape.
        x, filter_size, stride, ndim: as in the forward pass.

    Raises:
        TypeError: as `blur_pool`.
        ValueError: as `blur_pool`, or `grad_output` does not have the output's shape.

    Formula: along each axis every output cell gives `w[t] grad_output` to the cells it has read; what reaches a
    reflected cell goes to the cell it reflects.
    """
    x = _check(x, filter_size, stride, ndim)
    spatial = x.shape[x.ndim - ndim :]
    shape = x.shape[: x.ndim - ndim] + tuple((n - 1) // stride + 1 for n in spatial)
    g = as_gradient(grad_output, shape, np.result_type(x, np.float32))
    for axis, n in zip(range(-ndim, 0), spatial):
        g = np.moveaxis(_smooth_backward(np.moveaxis(g, axis, -1), n, filter_size, stride), -1, axis)
    return np.ascontiguousarray(g, x.dtype)


def max_blur_pool(
    x: np.ndarray, kernel_size: int = 2, filter_size: int = 3, stride: int = 2, padding: int = 0, ndim: int = 2
) -> np.ndarray:
    """Return max pooling without its aliasing: a maximum at every cell, then blur pooling.

    Args:
        x: floats; the last `ndim` axes are spatial.
        kernel_size: cells of the max window along each axis; it moves by 1.  Default 2.
        filter_size, stride, ndim: as for `blur_pool`.
        padding: cells added to both sides of each axis for the maximum, at most half of `kernel_size`.  Default 0.

    Returns:
        The smoothed maxima, in the dtype of `x`.

    Raises:
        TypeError: `x` does not hold floats, or another argument is not an int.
        ValueError: as `blur_pool` of the maxima, or as `Window(kernel_size, 1, padding)`.

    Formula: `blur_pool(max_pool(x, Window(kernel_size, 1, padding)), filter_size, stride)`.

    Source: zhang2019.
    """
    return blur_pool(max_pool(as_floats(x), _densely(kernel_size, padding, ndim)), filter_size, stride, ndim)


def max_blur_pool_backward(
    grad_output: np.ndarray,
    x: np.ndarray,
    kernel_size: int = 2,
    filter_size: int = 3,
    stride: int = 2,
    padding: int = 0,
    ndim: int = 2,
) -> np.ndarray:
    """Return the gradient of max-blur pooling with respect to `x`, in its shape and dtype.

    Args:
        grad_output: gradient of the output, in the output's shape.
        x, kernel_size, filter_size, stride, padding, ndim: as in the forward pass.

    Raises:
        TypeError: as `max_blur_pool`.
        ValueError: as `max_blur_pool`, or `grad_output` does not have the output's shape.

    Formula: the gradient of blur pooling, passed on to the cells the maxima came from.
    """
    window = _densely(kernel_size, padding, ndim)
    largest, indices = max_pool(as_floats(x), window, return_indices=True)
    return max_pool_backward(blur_pool_backward(grad_output, largest, filter_size, stride, ndim), x, window, indices)


def _check(x: np.ndarray, filter_size: int, stride: int, ndim: int) -> np.ndarray:
    x = as_floats(x)
    check_filter_size(filter_size)
    check_int("stride", stride, 1)
    check_reflection(check_spatial(x.shape, check_ndim(ndim)), filter_size)
    return x


def _densely(kernel_size: int, padding: int, ndim: int) -> Window:
    return Window(kernel_size, 1, padding, ndim=check_ndim(ndim))


# Along the last axis.  The padded map has f - 1 cells more, so the first tap starts at padded cell 0.


def _taps(n: int, filter_size: int, stride: int) -> list[tuple[float, slice]]:
    """The weight of every tap of the filter, and the padded cells it reads."""
    span = (n - 1) // stride * stride + 1
    return [(comb(filter_size - 1, t) / 2 ** (filter_size - 1), slice(t, t + span, stride)) for t in range(filter_size)]


def _smooth(x: np.ndarray, filter_size: int, stride: int) -> np.ndarray:
    before, behind = (filter_size - 1) // 2, filter_size // 2
    padded = np.pad(x, [(0, 0)] * (x.ndim - 1) + [(before, behind)], mode="reflect")
    return sum(weight * padded[..., cells] for weight, cells in _taps(x.shape[-1], filter_size, stride))


def _smooth_backward(g: np.ndarray, n: int, filter_size: int, stride: int) -> np.ndarray:
    before, behind = (filter_size - 1) // 2, filter_size // 2
    padded = np.zeros((*g.shape[:-1], before + n + behind), g.dtype)
    for weight, cells in _taps(n, filter_size, stride):
        padded[..., cells] += weight * g
    dx = padded[..., before : before + n]
    dx[..., 1 : 1 + before] += padded[..., before - 1 :: -1] if before else 0
    dx[..., n - 1 - behind : n - 1] += padded[..., : before + n - 1 : -1]
    return dx
