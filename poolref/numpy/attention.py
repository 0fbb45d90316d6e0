"""Attention pooling: one learned query decides how much every cell counts."""

from __future__ import annotations

from math import sqrt

import numpy as np

from poolref.numpy.hopfield import hopfield_pool, hopfield_pool_backward


def attention_pool(x: np.ndarray, query: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
    """Return the mean of all cells, weighted by their likeness to a query: (..., cells, channels) -> (..., channels).

    A map (..., channels, H, W) has its cells in a row after `x.reshape(..., channels, H * W).swapaxes(-1, -2)`.

    Args:
        x: floats, one vector for every cell, at least 1 cell.
        query: floats (channels,); or S queries (S, channels) for S results (..., S, channels).
        mask: bools (..., cells), True where a cell takes part: sets of several sizes are padded to one.  With none at
            all the result is 0.  Default: all.

    Returns:
        The weighted means, in the dtype that `x` and `query` share.

    Raises:
        TypeError: `x` or `query` does not hold floats, or `mask` not bools.
        ValueError: the channels differ, there is no cell, or `mask` does not fit.

    Formula: `y = sum over cells c of w[c] x[c]`, with `w = softmax over cells of (x[c] . query) / sqrt(channels)`:
    Hopfield pooling with one step and `beta = 1 / sqrt(channels)`.

    Source: lee2019, where the queries are called seeds; vaswani2017 for the scale.  The projections to queries, keys
    and values that surround it in a network belong to the torch column.
    """
    return hopfield_pool(x, query, _beta(query), mask=mask)


def attention_pool_backward(
    grad_output: np.ndarray, x: np.ndarray, query: np.ndarray, mask: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the gradients of attention pooling with respect to `x` and `query`, in their shapes and dtypes.

    Args:
        grad_output: gradient of the output, in the output's shape.
        x, query, mask: as in the forward pass.

    Raises:
        TypeError: as `attention_pool`.
        ValueError: as `attention_pool`, or `grad_output` does not have the output's shape.

    Formula: `dx[c] = w[c] grad_output + s[c] query` and `dquery = sum over cells c of s[c] x[c]`, with
    `s[c] = w[c] (x[c] - y) . grad_output / sqrt(channels)`; a cell that takes no part has w[c] = 0.
    """
    return hopfield_pool_backward(grad_output, x, query, _beta(query), mask=mask)


def _beta(query: np.ndarray) -> float:
    return 1 / sqrt(max(1, np.shape(query)[-1] if np.ndim(query) else 1))
