"""Gradients by central differences, for the operators that are not reducers."""

from collections.abc import Callable

import numpy as np


def gradients(function: Callable, grad_output: np.ndarray, *arrays: np.ndarray, step: float = 1e-6) -> list[np.ndarray]:
    """The gradient of `sum(grad_output * function(*arrays))` with respect to each of the float64 arrays."""
    results = []
    for position, array in enumerate(arrays):
        grad = np.zeros(array.shape)
        for index in np.ndindex(array.shape):
            values = []
            for nudge in (step, -step):
                nudged = np.array(array, dtype=np.float64)
                nudged[index] += nudge
                values.append(np.sum(grad_output * function(*arrays[:position], nudged, *arrays[position + 1 :])))
            grad[index] = (values[0] - values[1]) / (2 * step)
        results.append(grad)
    return results
