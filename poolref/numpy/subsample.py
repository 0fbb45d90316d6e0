"""Subsampling: of every window the cell in its centre is kept, whatever it holds.

(Some texts call this center pooling; for the operator that papers call so, see `center_pool`.)
"""

from __future__ import annotations

import numpy as np

from poolref.checks import check_spatial, check_window
from poolref.numpy.arrays import as_floats, as_gradient, as_numbers
from poolref.regions import Window


def subsample(x: np.ndarray, window: Window) -> np.ndarray:
    """Return the centre cell of every window: (..., *spatial) -> (..., *output spatial).

    Of a window with an even number of cells along an axis, which has two in its middle, the earlier one is taken.

    Args:
        x: ints or floats; the last `window.ndim` axes are spatial.
        window: a Window of `poolref.regions`.  The centre of each of its places must lie in the map.

    Returns:
        The cells, in the dtype of `x`.

    Raises:
        TypeError: `x` is not numeric, or `window` is not a Window.
        ValueError: a centre lies in padding, `x` has too few axes or an empty spatial axis, or the window does not fit.

    Formula: `y[i] = x[i stride - padding + floor((kernel_size - 1) / 2) dilation]` along each axis.

    Source: dumoulin2016 for the arithmetic.
    """
    x = as_numbers(x)
    return x[_centers(x, window)].copy()


def subsample_backward(grad_output: np.ndarray, x: np.ndarray, window: Window) -> np.ndarray:
    """Return the gradient of subsampling with respect to `x`, in its shape and dtype.

    Args:
        grad_output: gradient of the output, in the output's shape.
        x, window: as in the forward pass.

    Raises:
        TypeError: as `subsample`; ints have no gradient.
        ValueError: as `subsample`, or `grad_output` does not have the output's shape.

    Formula: a centre cell receives the `grad_output` of its window, every other cell 0.
    """
    x = as_floats(x)
    centers = _centers(x, window)
    grad = np.zeros(x.shape, x.dtype)
    grad[centers] = as_gradient(grad_output, x[centers].shape, x.dtype)
    return grad


def _centers(x: np.ndarray, window: Window) -> tuple:
    spatial = check_spatial(x.shape, check_window("window", window).ndim)
    return (..., *(slice(axis.start, axis.stop, axis.step) for axis in window.centers(spatial)))
