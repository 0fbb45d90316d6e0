"""Log-mean-exp pooling: its limits, its bounds, and the numbers that overflow elsewhere."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from test_numpy import cases, hypothesis_settings

from poolref.numpy import avg_pool, lse_pool, lse_pool_backward, max_pool
from poolref.regions import Rows, Whole, Window

sharpness = st.floats(1e-3, 1e3)


@given(cases(), sharpness)
@hypothesis_settings
def test_lies_between_mean_and_max_and_near_the_max(case, r):
    x, regions = case
    y, high = lse_pool(x, regions, r), max_pool(x, regions)
    slack = 1e-12 * (1 + np.abs(x).max())
    assert (y >= avg_pool(x, regions, count_include_pad=False) - slack).all()
    assert (y <= high + slack).all()
    assert (high - y <= np.log(x[0].size) / r + slack).all()


@given(cases(), sharpness, st.sampled_from([-1e4, -1.0, 1e4]))
@hypothesis_settings
def test_a_shift_of_the_input_shifts_the_output(case, r, shift):
    x, regions = case
    np.testing.assert_allclose(lse_pool(x + shift, regions, r), lse_pool(x, regions, r) + shift, rtol=0, atol=1e-10)


@given(cases())
@hypothesis_settings
def test_limits(case):
    x, regions = case
    scale = np.abs(x).max()
    np.testing.assert_allclose(lse_pool(x, regions, 1e9 / scale), max_pool(x, regions), atol=1e-7 * scale)
    mean = avg_pool(x, regions, count_include_pad=False)
    for r in (1e-9, 1e-15, 1e-200):  # exp(r x) is 1 up to rounding: nothing may be lost to that
        np.testing.assert_allclose(lse_pool(x, regions, r / scale), mean, rtol=0, atol=2e-9 * scale)


@given(cases(), sharpness)
@hypothesis_settings
def test_grows_with_r(case, r):
    x, regions = case
    assert (lse_pool(x, regions, 2 * r) >= lse_pool(x, regions, r) - 1e-11 * (1 + np.abs(x).max())).all()


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("r", [1e-3, 1, 10, 1e3])
@pytest.mark.parametrize("offset", [-1e4, 0, 1e4])
def test_far_from_zero(dtype, r, offset):
    x = (offset + np.array([[0, 8], [16, 24]])).astype(dtype)
    z = torch.tensor(x.astype("float64").reshape(-1) * r)
    expected = float(torch.logsumexp(z, 0) - np.log(4)) / r
    np.testing.assert_allclose(lse_pool(x, Window(2), r), [[expected]], rtol=4 * np.finfo(dtype).eps, atol=1e-6)
    grad = lse_pool_backward(np.ones((1, 1)), x, Window(2), r)
    assert grad.dtype == dtype
    np.testing.assert_allclose(grad.reshape(-1), torch.softmax(z, 0).numpy(), rtol=0, atol=2 * np.finfo(dtype).eps)


def test_infinities():
    x = np.array([[-np.inf, -np.inf], [-np.inf, 5.0], [np.inf, 1.0], [np.inf, -np.inf], [np.nan, -np.inf]])
    expected = [-np.inf, 5 - np.log(2) / 10, np.inf, np.inf, np.nan]
    np.testing.assert_allclose(lse_pool(x, Rows())[:, 0], expected, rtol=1e-15)
    np.testing.assert_array_equal(lse_pool_backward(np.ones((5, 1)), x, Rows())[1:4], [[0, 1], [1, 0], [1, 0]])


def test_torch_agrees():
    x = np.random.default_rng(0).standard_normal((2, 3, 5, 6))
    leaf = torch.tensor(x, requires_grad=True)
    y = (torch.logsumexp(3 * leaf, (2, 3), keepdim=True) - np.log(30)) / 3
    y.sum().backward()
    np.testing.assert_allclose(lse_pool(x, Whole(), 3), y.detach().numpy(), rtol=1e-13)
    np.testing.assert_allclose(lse_pool_backward(np.ones(y.shape), x, Whole(), 3), leaf.grad.numpy(), rtol=1e-12)


@pytest.mark.parametrize("r", [0, -1, np.inf, np.nan])
def test_refuses_r(r):
    for call in (
        lambda: lse_pool(np.ones((2, 2)), Window(2), r),
        lambda: lse_pool_backward([[1]], [[1.0]], Window(1), r),
    ):
        with pytest.raises(ValueError, match=r"^r must be above 0 and finite, got"):
            call()
    with pytest.raises(TypeError, match=r"^r must be a finite number above 0, got 'high'"):
        lse_pool(np.ones((2, 2)), Window(2), "high")
