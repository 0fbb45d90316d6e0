"""Center pooling against its formula, and where the gradient goes."""

import numpy as np
import pytest
import torch
from differences import gradients
from hypothesis import given, settings
from hypothesis import strategies as st

from poolref.numpy import center_pool, center_pool_backward


def maps(seed, shape=(2, 4, 5)):
    return np.random.default_rng(seed).standard_normal((2, *shape))


@given(st.tuples(*[st.integers(1, 6)] * 3), st.integers(0, 99))
@settings(max_examples=30, deadline=None, derandomize=True)
def test_forward_is_the_plain_loop(shape, seed):
    a, b = maps(seed, shape)
    expected = np.empty(shape)
    for plane, i, j in np.ndindex(shape):
        expected[plane, i, j] = max(a[plane, i, :]) + max(b[plane, :, j])
    np.testing.assert_array_equal(center_pool(a, b), expected)
    np.testing.assert_array_equal(center_pool(a), center_pool(a, a))


def test_backward_is_finite_differences():
    a, b = maps(0)
    g = np.random.default_rng(1).standard_normal(a.shape)
    for grad, numeric in zip(center_pool_backward(g, a, b), gradients(center_pool, g, a, b), strict=True):
        np.testing.assert_allclose(grad, numeric, rtol=1e-7, atol=1e-8)
    np.testing.assert_allclose(center_pool_backward(g, a), gradients(center_pool, g, a)[0], rtol=1e-7, atol=1e-8)


def test_torch_agrees():
    leaf = torch.tensor(maps(0)[0], requires_grad=True)
    y = leaf.max(-1, keepdim=True).values + leaf.max(-2, keepdim=True).values
    y.sum().backward()
    x = leaf.detach().numpy()
    np.testing.assert_array_equal(center_pool(x), y.detach().numpy())
    np.testing.assert_array_equal(center_pool_backward(np.ones(y.shape), x), leaf.grad.numpy())


def test_transposing_the_map_transposes_the_result():
    x = maps(0)[0]
    np.testing.assert_array_equal(center_pool(x.swapaxes(1, 2)), center_pool(x).swapaxes(1, 2))


def test_is_not_the_middle_of_the_window():
    x = np.array([[0.0, 0.0, 9.0], [0.0, 1.0, 0.0], [5.0, 0.0, 0.0]])
    np.testing.assert_array_equal(center_pool(x), [[14, 10, 18], [6, 2, 10], [10, 6, 14]])


def test_of_equal_cells_the_first_receives_the_gradient():
    ones = np.ones((2, 3))
    np.testing.assert_array_equal(center_pool_backward(ones, ones), [[3 + 2, 2, 2], [3, 0, 0]])


def test_dtypes_and_empty_batches():
    for dtype in ("float16", "float32", "float64"):
        x = np.ones((2, 3), dtype)
        assert center_pool(x).dtype == center_pool_backward(x, x).dtype == dtype
    empty = np.ones((0, 2, 3))
    assert center_pool(empty).shape == center_pool_backward(empty, empty).shape == (0, 2, 3)


def test_refuses():
    a = np.ones((2, 3))
    with pytest.raises(ValueError, match=r"^b must have the shape of a, \(2, 3\), got \(3, 2\)"):
        center_pool(a, a.T)
    with pytest.raises(ValueError, match=r"^b must have the shape of a"):
        center_pool_backward(a, a, a.T)
    with pytest.raises(ValueError, match=r"^grad_output must have the output's shape \(2, 3\), got \(2, 1\)"):
        center_pool_backward(a[:, :1], a)
    with pytest.raises(ValueError, match=r"^x must have at least 2 axes"):
        center_pool(np.ones(3))
