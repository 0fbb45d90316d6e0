"""Strip pooling against its formula."""

import numpy as np
import pytest
import torch
from differences import gradients
from hypothesis import given, settings
from hypothesis import strategies as st

from poolref.numpy import avg_pool, strip_pool, strip_pool_backward
from poolref.regions import Columns, Rows


@given(st.tuples(*[st.integers(1, 6)] * 3), st.integers(0, 99))
@settings(max_examples=30, deadline=None, derandomize=True)
def test_forward_and_backward(shape, seed):
    x, g = np.random.default_rng(seed).standard_normal((2, *shape))
    expected = np.empty(shape)
    for plane, i, j in np.ndindex(shape):
        expected[plane, i, j] = sum(x[plane, i]) / shape[2] + sum(x[plane, :, j]) / shape[1]
    np.testing.assert_allclose(strip_pool(x), expected, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(strip_pool_backward(g, x), gradients(strip_pool, g, x)[0], rtol=1e-7, atol=1e-8)


def test_torch_agrees():
    leaf = torch.randn(2, 3, 4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True)
    strips = [torch.nn.functional.adaptive_avg_pool2d(leaf, size).expand(2, 3, 4, 5) for size in ((4, 1), (1, 5))]
    g = torch.randn(2, 3, 4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    sum(strips).backward(g)
    x = leaf.detach().numpy()
    np.testing.assert_allclose(strip_pool(x), sum(strips).detach().numpy(), rtol=1e-13, atol=1e-14)
    np.testing.assert_allclose(strip_pool_backward(g.numpy(), x), leaf.grad.numpy(), rtol=1e-13, atol=1e-14)


def test_is_the_sum_of_its_two_strips():
    x = np.arange(6.0).reshape(2, 3)
    np.testing.assert_array_equal(avg_pool(x, Rows()), [[1], [4]])
    np.testing.assert_array_equal(avg_pool(x, Columns()), [[1.5, 2.5, 3.5]])
    np.testing.assert_array_equal(strip_pool(x), [[2.5, 3.5, 4.5], [5.5, 6.5, 7.5]])


def test_half_precision_is_rounded_from_float32():
    x = np.random.default_rng(0).standard_normal((3, 40, 50)).astype(np.float16)
    y = strip_pool(x)
    assert y.dtype == np.float16
    wide = strip_pool(x.astype(np.float32))
    assert (np.abs(y - wide) <= np.spacing(np.abs(wide).astype(np.float16)) + 2e-4).all()
    assert strip_pool_backward(x, x).dtype == np.float16


def test_nan_reaches_its_row_and_its_column_alone():
    x = np.ones((3, 4))
    x[1, 2] = np.nan
    expected = np.zeros((3, 4), bool)
    expected[1], expected[:, 2] = True, True
    np.testing.assert_array_equal(np.isnan(strip_pool(x)), expected)


def test_empty_batch_and_what_it_refuses():
    empty = np.ones((0, 2, 3), np.float32)
    assert strip_pool(empty).shape == strip_pool_backward(empty, empty).shape == (0, 2, 3)
    with pytest.raises(TypeError, match=r"^x must hold floats.* got dtype int64"):
        strip_pool(np.ones((2, 3), np.int64))
    with pytest.raises(ValueError, match=r"^x must have at least 2 axes"):
        strip_pool(np.ones(3))
    with pytest.raises(ValueError, match=r"^grad_output must have the output's shape \(2, 3\), got \(2, 1\)"):
        strip_pool_backward(np.ones((2, 1)), np.ones((2, 3)))
