"""Arguments as arrays: of a dtype that an operator takes, and of a shape that fits."""

from __future__ import annotations

import numpy as np

from poolref.checks import check_dtype, check_grad_shape


def as_numbers(x: np.ndarray, name: str = "x") -> np.ndarray:
    """Return `x` as an array of ints or floats; a TypeError that calls it `name` for anything else."""
    x = np.asarray(x)
    check_dtype(name, x.dtype, x.dtype.kind in "iuf", "ints or floats")
    return x


def as_floats(x: np.ndarray, name: str = "x") -> np.ndarray:
    """Return `x` as an array of floats; a TypeError that calls it `name` for anything else."""
    x = np.asarray(x)
    check_dtype(name, x.dtype, x.dtype.kind == "f", "floats (float16, float32 or float64)")
    return x


def as_gradient(grad_output: np.ndarray, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Return `grad_output` as an array of `dtype`, after checking that it holds numbers and has the output's shape."""
    grad_output = as_numbers(grad_output, name="grad_output")
    check_grad_shape(grad_output.shape, shape)
    return grad_output.astype(dtype, copy=False)


def as_indices(indices: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return `indices` as an array, after checking that it holds ints and has the output's shape."""
    indices = np.asarray(indices)
    check_dtype("indices", indices.dtype, indices.dtype.kind in "iu", "ints")
    check_grad_shape(indices.shape, shape, name="indices")
    return indices
