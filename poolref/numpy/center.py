"""Center pooling: every cell gets the largest value of its row plus the largest of its column.

A box's centre rarely looks special by itself, but its row and its column pass through the whole box.  (Some texts give
this name to taking the cell in the middle of a window; that is `subsample`.)
"""

from __future__ import annotations

import numpy as np

from poolref.checks import check_same_shape
from poolref.numpy.arrays import as_floats, as_gradient
from poolref.numpy.max import max_pool, max_pool_backward
from poolref.regions import Columns, Rows


def center_pool(a: np.ndarray, b: np.ndarray | None = None) -> np.ndarray:
    """Return the row maxima of `a` plus the column maxima of `b`, on the whole map: (..., H, W) -> (..., H, W).

    Args:
        a: map whose rows are looked along, ints or floats.
        b: map whose columns are looked along, in the shape of `a`.  Default: `a`.

    Returns:
        The sums, in the dtype of `a + b`.

    Raises:
        TypeError: `a` or `b` is not numeric.
        ValueError: the shapes differ, or a map has no cells.

    Formula: `y[i, j] = max over j' of a[i, j'] + max over i' of b[i', j]`.

    Source: duan2019.
    """
    b = a if b is None else b
    check_same_shape("b", np.shape(b), "a", np.shape(a))
    return max_pool(a, Rows()) + max_pool(b, Columns())


def center_pool_backward(
    grad_output: np.ndarray, a: np.ndarray, b: np.ndarray | None = None
) -> np.ndarray | tuple[np.ndarray, np.ndarray]:
    """Return the gradient of center pooling with respect to `a`, or those to `a` and `b` if there is a `b`.

    Of several equal cells the first of its row, or of its column, receives the gradient.

    Args:
        grad_output: gradient of the output, in the output's shape.
        a, b: as in the forward pass.

    Raises:
        TypeError: as `center_pool`; ints have no gradient.
        ValueError: as `center_pool`, or `grad_output` does not have the output's shape.

    Formula: the first maximum of row i of `a` receives the sum of `grad_output[i, :]`, and the first maximum of column
    j of `b` the sum of `grad_output[:, j]`.
    """
    a = as_floats(a)
    if b is not None:
        check_same_shape("b", np.shape(b), "a", a.shape)
    g = as_gradient(grad_output, a.shape, np.result_type(a, np.float32))
    da = max_pool_backward(g.sum(-1, keepdims=True), a, Rows())
    db = max_pool_backward(g.sum(-2, keepdims=True), a if b is None else b, Columns())
    return da + db if b is None else (da, db)
