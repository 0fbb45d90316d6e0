"""Corner pooling: what a box's corner sees when it looks along the two edges that meet in it.

The four running maxima it is built of are `max_pool(x, Running(direction))`: "up" is the papers' top pooling, "left" is
left, "down" is bottom and "right" is right pooling.
"""

from __future__ import annotations

import numpy as np

from poolref.checks import check_choice, check_same_shape
from poolref.numpy.max import max_pool, max_pool_backward
from poolref.regions import CORNERS, Running


def corner_pool(a: np.ndarray, b: np.ndarray, corner: str = "top_left") -> np.ndarray:
    """Return a running maximum of `a` along columns plus one of `b` along rows: (..., H, W) -> (..., H, W).

    A top-left corner has its box below it and to its right.  So `a` is scanned from the bottom up, and `b` from the
    right to the left: each cell gets the largest value below it in `a`, and the largest to its right in `b`, itself
    included.  A bottom-right corner looks the other way.

    Args:
        a: map whose columns are scanned, ints or floats.
        b: map whose rows are scanned, in the shape of `a`.
        corner: "top_left" or "bottom_right".  Default "top_left".

    Returns:
        The sums, in the dtype of `a + b`.

    Raises:
        TypeError: `a` or `b` is not numeric.
        ValueError: `corner` is neither of the two, the shapes differ, or a map has no cells.

    Formula: `y[i, j] = max over i' >= i of a[i', j] + max over j' >= j of b[i, j']`; for the bottom right, `<=`.

    Source: law2018.
    """
    vertical, horizontal = _scans(corner)
    check_same_shape("b", np.shape(b), "a", np.shape(a))
    return max_pool(a, vertical) + max_pool(b, horizontal)


def corner_pool_backward(
    grad_output: np.ndarray, a: np.ndarray, b: np.ndarray, corner: str = "top_left"
) -> tuple[np.ndarray, np.ndarray]:
    """Return the gradients of corner pooling with respect to `a` and `b`, in their shapes and dtypes.

    Of several equal cells the first that the scan meets receives the gradient.

    Args:
        grad_output: gradient of the output, in the output's shape.
        a, b, corner: as in the forward pass.

    Raises:
        TypeError: as `corner_pool`; ints have no gradient.
        ValueError: as `corner_pool`, or `grad_output` does not have the output's shape.

    Formula: `da[c] = sum of grad_output[o]` over the cells o whose scan has its first maximum at c; `db` likewise.
    """
    vertical, horizontal = _scans(corner)
    check_same_shape("b", np.shape(b), "a", np.shape(a))
    return max_pool_backward(grad_output, a, vertical), max_pool_backward(grad_output, b, horizontal)


def _scans(corner: str) -> tuple[Running, Running]:
    check_choice("corner", corner, CORNERS)
    return tuple(Running(direction) for direction in CORNERS[corner])
