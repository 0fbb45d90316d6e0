"""Strip pooling: every cell gets the mean of its row plus the mean of its column, however long they are.

Each strip alone is `avg_pool(x, Rows())` or `avg_pool(x, Columns())`.
"""

from __future__ import annotations

import numpy as np

from poolref.numpy.arrays import as_floats, as_gradient
from poolref.numpy.average import avg_pool
from poolref.regions import Columns, Rows


def strip_pool(x: np.ndarray) -> np.ndarray:
    """Return the row means plus the column means, on the whole map: (..., H, W) -> (..., H, W).

    Args:
        x: floats; the last two axes are spatial.

    Returns:
        The sums of the two means, in the dtype of `x`.

    Raises:
        TypeError: `x` does not hold floats.
        ValueError: `x` has too few axes or an empty spatial axis.

    Formula: `y[i, j] = (1/W) sum over j' of x[i, j'] + (1/H) sum over i' of x[i', j]`.

    Source: hou2020.  The paper's module adds a convolution along each strip and a gate; it is the torch column's
    StripBlock.
    """
    x = as_floats(x)
    return avg_pool(x, Rows()) + avg_pool(x, Columns())


def strip_pool_backward(grad_output: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return the gradient of strip pooling with respect to `x`, in its shape and dtype.

    Args:
        grad_output: gradient of the output, in the output's shape.
        x: as in the forward pass.

    Raises:
        TypeError: as `strip_pool`.
        ValueError: as `strip_pool`, or `grad_output` does not have the output's shape.

    Formula: `dx[i, j] = (1/W) sum over j' of grad_output[i, j'] + (1/H) sum over i' of grad_output[i', j]`: strip
    pooling of the gradient, since the operator is its own transpose.
    """
    x = as_floats(x)
    return strip_pool(as_gradient(grad_output, x.shape, x.dtype))
