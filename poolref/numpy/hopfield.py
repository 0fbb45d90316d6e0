"""Hopfield pooling: an associative memory is asked with a state, and answers with a mean of the patterns like it.

A retrieval is one step of attention; asking again with the answer moves on to the nearest stored pattern.
"""

from __future__ import annotations

import numpy as np

from poolref.checks import check_features, check_int, check_mask, check_positive
from poolref.numpy.arrays import as_floats, as_gradient
from poolref.numpy.softmax import softmax


def hopfield_retrieve(
    state: np.ndarray, stored: np.ndarray, beta: float, steps: int = 1, mask: np.ndarray | None = None
) -> np.ndarray:
    """Return what the memory answers to each state: (..., S, d) and (..., N, d) -> (..., S, d).

    Args:
        state: floats, S patterns of d numbers to ask with.  Leading axes broadcast against those of `stored`.
        stored: floats, N patterns of d numbers, N at least 1.
        beta: inverse temperature, a finite number above 0.  Near 0 every answer is the mean of all patterns; the larger
            it is, the closer to the one pattern most like the state.
        steps: retrievals, at least 1; each asks with the answer of the one before.  Default 1.
        mask: bools, broadcast to (..., S, N): True where a pattern may be retrieved.  A state for which there is none
            gets 0.  Default: all.

    Returns:
        The answers, in the dtype that `state` and `stored` share.

    Raises:
        TypeError: `state` or `stored` does not hold floats, `mask` not bools, `beta` is not a number, or `steps` not an
            int.
        ValueError: shapes do not fit, `beta` is not above 0 and finite, or `steps` is below 1.

    Formula: `state <- softmax(beta state stored^T) stored`, `steps` times; the softmax is over the N patterns.

    Source: ramsauer2021.  The authors' code makes one retrieval more than `update_steps_max`, and NaN of a state for
    which all is masked.
    """
    patterns, states, mask = _check(state, stored, beta, steps, mask)
    return _retrieve(states, patterns, beta, steps, mask).astype(np.result_type(state, stored))


def hopfield_retrieve_backward(
    grad_output: np.ndarray,
    state: np.ndarray,
    stored: np.ndarray,
    beta: float,
    steps: int = 1,
    mask: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the gradients of retrieval with respect to `state` and `stored`, in their shapes and dtypes.

    A state for which all is masked has gradient 0, and passes none on.

    Args:
        grad_output: gradient of the answers, in their shape.
        state, stored, beta, steps, mask: as in the forward pass.

    Raises:
        TypeError: as `hopfield_retrieve`.
        ValueError: as `hopfield_retrieve`, or `grad_output` does not have the answers' shape.

    Formula: for one step with weights w, let `dw = grad_output stored^T` and `dz = beta w (dw - sum of w dw)`.  Then
    `dstate = dz stored` and `dstored = w^T grad_output + dz^T state`.  Steps are gone through from last to first.
    """
    patterns, states, mask = _check(state, stored, beta, steps, mask)
    dstate, dstored = _retrieve_backward(grad_output, states, patterns, beta, steps, mask)
    return _unbroadcast(dstate, state), _unbroadcast(dstored, stored)


def hopfield_pool(
    x: np.ndarray, query: np.ndarray, beta: float, steps: int = 1, mask: np.ndarray | None = None
) -> np.ndarray:
    """Return what a memory of all cells answers to a learned query: (..., cells, channels) -> (..., channels).

    A map (..., channels, H, W) has its cells in a row after `x.reshape(..., channels, H * W).swapaxes(-1, -2)`.

    Args:
        x: floats, the patterns to store: one for every cell, at least 1.
        query: floats, the state to ask with, (channels,); or S of them, (S, channels), for S answers
            (..., S, channels).
        beta, steps: as for `hopfield_retrieve`.
        mask: bools (..., cells), True where a cell takes part.  With none at all the answer is 0.  Default: all.

    Returns:
        The answers, in the dtype that `x` and `query` share.

    Raises:
        TypeError: as `hopfield_retrieve`.
        ValueError: as `hopfield_retrieve`.

    Formula: `hopfield_retrieve(query, x, beta, steps)`.

    Source: ramsauer2021.
    """
    patterns, states, mask = _check_pool(x, query, beta, steps, mask)
    answers = _retrieve(states, patterns, beta, steps, mask).astype(np.result_type(x, query))
    return answers[..., 0, :] if np.ndim(query) == 1 else answers


def hopfield_pool_backward(
    grad_output: np.ndarray,
    x: np.ndarray,
    query: np.ndarray,
    beta: float,
    steps: int = 1,
    mask: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the gradients of Hopfield pooling with respect to `x` and `query`, in their shapes and dtypes.

    Args:
        grad_output: gradient of the answers, in their shape.
        x, query, beta, steps, mask: as in the forward pass.

    Raises:
        TypeError: as `hopfield_pool`.
        ValueError: as `hopfield_pool`, or `grad_output` does not have the answers' shape.

    Formula: as for `hopfield_retrieve_backward`; all sets of cells add to the gradient of the one query.
    """
    patterns, states, mask = _check_pool(x, query, beta, steps, mask)
    lead = np.broadcast_shapes(patterns.shape[:-2], states.shape[:-2])
    g = as_gradient(grad_output, lead + np.shape(query)[-2:], patterns.dtype).reshape(*lead, *states.shape[-2:])
    dquery, dx = _retrieve_backward(g, states, patterns, beta, steps, mask)
    return _unbroadcast(dx, x), _unbroadcast(dquery, states).reshape(np.shape(query)).astype(np.asarray(query).dtype)


def _check(state, stored, beta, steps, mask, names=("state", "stored")):
    """The checked arguments: `stored` and `state`, in float32 at least, and a mask."""
    state, stored = as_floats(state, names[0]), as_floats(stored, names[1])
    check_positive("beta", beta)
    check_int("steps", steps, 1)
    shape = check_features(names[0], state.shape, names[1], stored.shape)
    mask = np.asarray(True if mask is None else mask)
    check_mask("mask", mask.dtype, mask.shape, shape)
    dtype = np.result_type(state, stored, np.float32)
    return stored.astype(dtype), state.astype(dtype), mask


def _check_pool(x, query, beta, steps, mask):
    """The same for a pool: cells are stored, queries are states, and a mask of cells serves every query."""
    x, query = as_floats(x), as_floats(query, "query")
    if mask is not None:
        mask = np.asarray(mask)
        check_mask("mask", mask.dtype, mask.shape, x.shape[:-1])
        mask = np.broadcast_to(mask, x.shape[:-1])[..., None, :]
    return _check(np.atleast_2d(query), x, beta, steps, mask, names=("query", "x"))


def _retrieve(states, patterns, beta, steps, mask):
    for _ in range(steps):
        states = _weights(states, patterns, beta, mask) @ patterns
    return states


def _retrieve_backward(grad_output, states, patterns, beta, steps, mask):
    asked, weights = [states], []
    for _ in range(steps):
        weights.append(_weights(asked[-1], patterns, beta, mask))
        asked.append(weights[-1] @ patterns)
    g = as_gradient(grad_output, asked.pop().shape, patterns.dtype)
    dstored = np.zeros((), patterns.dtype)
    for states, w in zip(reversed(asked), reversed(weights)):
        dw = g @ patterns.swapaxes(-1, -2)
        dz = beta * w * (dw - (w * dw).sum(-1, keepdims=True))
        dstored = dstored + w.swapaxes(-1, -2) @ g + dz.swapaxes(-1, -2) @ states
        g = dz @ patterns
    return g, dstored


def _weights(states: np.ndarray, patterns: np.ndarray, beta: float, mask: np.ndarray) -> np.ndarray:
    likeness = states @ patterns.swapaxes(-1, -2)
    # Where all is masked, softmax shares the weight among equals; the second `where` takes it away again.
    return np.where(mask, softmax(np.where(mask, likeness, -np.inf), beta), 0)


def _unbroadcast(grad: np.ndarray, array: np.ndarray) -> np.ndarray:
    """Add up what a broadcast array has received, and return it in that array's shape and dtype."""
    array = np.asarray(array)
    grad = grad.sum(tuple(range(grad.ndim - array.ndim)))
    stretched = tuple(axis for axis, n in enumerate(array.shape) if n == 1 and grad.shape[axis] != 1)
    return grad.sum(stretched, keepdims=True).astype(array.dtype)
