"""Blur pooling against torch's convolution of a reflected map, finite differences, and what it is for."""

import numpy as np
import pytest
import torch
from differences import gradients
from hypothesis import given, settings
from hypothesis import strategies as st

from poolref.numpy import blur_pool, blur_pool_backward, max_blur_pool, max_blur_pool_backward, max_pool
from poolref.regions import Window

sizes = pytest.mark.parametrize("filter_size", range(1, 8))
strides = pytest.mark.parametrize("stride", [1, 2, 3])


def normal(shape, dtype="float64", seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def by_convolution(x, filter_size, stride):
    """The same by torch: reflect, then one convolution with the outer product of the rows of Pascal's triangle."""
    row = np.poly1d([0.5, 0.5]) ** (filter_size - 1)
    weights = torch.tensor(np.outer(row.coeffs, row.coeffs), dtype=torch.float64)[None, None]
    before, behind = (filter_size - 1) // 2, filter_size // 2
    padded = torch.nn.functional.pad(torch.tensor(x)[:, None], (before, behind) * 2, mode="reflect")
    return torch.nn.functional.conv2d(padded, weights, stride=stride)[:, 0].numpy()


@sizes
@strides
@pytest.mark.parametrize("spatial", [(4, 4), (5, 8), (9, 6)])
def test_forward_is_torch_convolution(filter_size, stride, spatial):
    x = normal((3, *spatial))
    expected = by_convolution(x, filter_size, stride)
    assert expected.shape[1:] == tuple((n - 1) // stride + 1 for n in spatial)
    np.testing.assert_allclose(blur_pool(x, filter_size, stride), expected, rtol=1e-12, atol=1e-13)
    y = blur_pool(x.astype("float32"), filter_size, stride)
    assert y.dtype == np.float32
    np.testing.assert_allclose(y, expected, rtol=0, atol=1e-6 * np.abs(x).max())


@sizes
@strides
@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_backward_is_finite_differences(filter_size, stride, ndim):
    x = normal((2, 5, 4, 4) if ndim == 3 else (2, 4, 5))
    y = blur_pool(x, filter_size, stride, ndim)
    g = normal(y.shape, seed=1)
    (expected,) = gradients(lambda x: blur_pool(x, filter_size, stride, ndim), g, x)
    np.testing.assert_allclose(blur_pool_backward(g, x, filter_size, stride, ndim), expected, rtol=1e-6, atol=1e-8)


def test_weights_by_hand():
    x = np.array([0.0, 0, 0, 64, 0, 0, 0, 0])
    np.testing.assert_array_equal(blur_pool(x, 3, 1, 1), [0, 0, 16, 32, 16, 0, 0, 0])
    np.testing.assert_array_equal(blur_pool(x, 4, 1, 1), [0, 8, 24, 24, 8, 0, 0, 0])
    np.testing.assert_array_equal(blur_pool(x, 7, 1, 1), [2, 6, 15, 20, 15, 6, 1, 0])
    edge = np.array([64.0, 0, 0, 0])  # its neighbour is continued beyond the edge, not the edge itself
    np.testing.assert_array_equal(blur_pool(edge, 3, 1, 1), [32, 16, 0, 0])


@given(st.integers(1, 7), st.integers(1, 4), st.tuples(st.integers(4, 9), st.integers(4, 9)), st.floats(-1e3, 1e3))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_a_constant_stays_the_constant_to_the_corners(filter_size, stride, spatial, value):
    y = blur_pool(np.full(spatial, value), filter_size, stride)
    np.testing.assert_allclose(y, np.full_like(y, value), rtol=1e-14)


def test_padding_with_zeros_would_lose_gain_in_the_corner():
    ones = np.pad(np.ones((6, 6)), 1)  # what zero padding of size 1 makes of a constant map
    assert blur_pool(ones, 3, 1)[1, 1] == 0.5625
    assert blur_pool(np.ones((6, 6)), 3, 1)[0, 0] == 1
    assert by_convolution(np.pad(np.ones((6, 6)), 1)[None], 3, 1)[0, 1, 1] == 0.5625


def test_a_shifted_input_changes_the_output_less_than_max_pooling_does():
    x = np.array([0.0, 0, 1, 1] * 8)
    shifted = np.roll(x, 1)

    def change(pool):
        return np.abs(pool(x) - pool(shifted))[2:-2].max()

    assert change(lambda x: max_pool(x, Window(2, ndim=1))) == 1
    assert change(lambda x: max_blur_pool(x, filter_size=5, ndim=1)) < 0.4


def test_max_blur_is_its_two_halves():
    x = normal((2, 3, 7, 8))
    y = max_blur_pool(x, 3, 4, 2, 1)
    np.testing.assert_array_equal(y, blur_pool(max_pool(x, Window(3, 1, 1)), 4, 2))
    assert y.shape == (2, 3, 4, 4)
    planes = torch.nn.functional.max_pool2d(torch.tensor(x), 3, 1, 1).flatten(0, 1).numpy()
    np.testing.assert_allclose(y.reshape(6, 4, 4), by_convolution(planes, 4, 2), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("arguments", [(2, 3, 2, 0), (3, 5, 1, 1), (2, 1, 2, 1)])
def test_gradient_of_max_blur_is_finite_differences(arguments):
    x = np.random.default_rng(0).permutation(60).reshape(2, 5, 6) * 0.1
    g = normal(max_blur_pool(x, *arguments).shape)
    (expected,) = gradients(lambda x: max_blur_pool(x, *arguments), g, x)
    np.testing.assert_allclose(max_blur_pool_backward(g, x, *arguments), expected, rtol=1e-6, atol=1e-8)


def test_half_precision_nan_layouts_and_empty_batches():
    x = normal((2, 3, 6, 7), "float16")
    y = blur_pool(x)
    assert y.dtype == blur_pool_backward(y, x).dtype == np.float16
    np.testing.assert_array_equal(y, blur_pool(x.astype("float32")).astype("float16"))
    np.testing.assert_array_equal(y, blur_pool(np.asfortranarray(x)))
    x[0, 0, 0, 0] = np.nan
    assert np.isnan(blur_pool(x)).sum() == 1
    empty = np.ones((0, 4, 4), np.float32)
    assert blur_pool(empty).shape == (0, 2, 2)
    assert blur_pool_backward(np.ones((0, 2, 2)), empty).shape == (0, 4, 4)


def test_refuses():
    x = np.ones((3, 4))
    message = r"^x must have more than 3 cells on every spatial axis, .* for filter_size=7, got spatial part \(3, 4\)"
    with pytest.raises(ValueError, match=message):
        blur_pool(x, 7)
    assert blur_pool(x, 5).shape == (2, 2)
    for filter_size, message in [(0, "must be at least 1, got 0"), (8, "must be from 1 to 7, got 8")]:
        with pytest.raises(ValueError, match=f"^filter_size {message}"):
            blur_pool(x, filter_size)
    with pytest.raises(ValueError, match=r"^stride must be at least 1, got 0"):
        blur_pool(x, 3, 0)
    with pytest.raises(ValueError, match=r"^ndim must be 1, 2 or 3, got 4"):
        blur_pool(x, ndim=4)
    with pytest.raises(TypeError, match=r"^x must hold floats"):
        blur_pool(np.ones((3, 4), int))
    with pytest.raises(ValueError, match=r"^grad_output must have the output's shape \(2, 2\), got \(3, 4\)"):
        blur_pool_backward(x, x)
    with pytest.raises(ValueError, match=r"^padding must be at most half of kernel_size"):
        max_blur_pool(x, padding=2)
