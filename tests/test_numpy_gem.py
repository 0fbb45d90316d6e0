"""Generalized-mean pooling: its limits, the gradient of p, and the numbers that overflow elsewhere."""

import numpy as np
import pytest
import torch
from differences import gradients
from hypothesis import given
from hypothesis import strategies as st
from test_numpy import cases, hypothesis_settings

from poolref.definition import generalized_mean, pool
from poolref.numpy import avg_pool, gem_pool, gem_pool_backward, lp_pool, max_pool
from poolref.regions import Adaptive, Pyramid, Running, Whole, Window

exponents = st.floats(0.1, 100)
REGIONS = [Window(2), Window(3, 2, 1, ceil_mode=True), Adaptive(3), Whole(), Pyramid((2, 1)), Running("left")]


def positive(shape, seed=0):
    return np.random.default_rng(seed).uniform(0.1, 3, shape)


@given(cases(), exponents)
@hypothesis_settings
def test_lies_between_min_and_max_and_grows_with_p(case, p):
    x, regions = case
    x = np.abs(x) + 1e-6
    y = gem_pool(x, regions, p)
    assert (y <= max_pool(x, regions) * (1 + 1e-12)).all()
    assert (y >= -max_pool(-x, regions) * (1 - 1e-12)).all()
    assert (gem_pool(x, regions, 1.5 * p) >= y * (1 - 1e-12)).all()


@given(cases())
@hypothesis_settings
def test_limits(case):
    x, regions = case
    x = np.abs(x) + 1e-6
    np.testing.assert_allclose(gem_pool(x, regions, 1), avg_pool(x, regions, count_include_pad=False), rtol=1e-12)
    np.testing.assert_allclose(gem_pool(x, regions, 1e8), max_pool(x, regions), rtol=1e-6)


@given(cases(), exponents, st.sampled_from([1e-200, 1e-20, 1e20, 1e200]))
@hypothesis_settings
def test_scales_with_its_input(case, p, factor):
    x, regions = case
    x, eps = np.abs(x), 1e-3
    scaled = gem_pool(factor * x, regions, p, factor * eps)
    np.testing.assert_allclose(scaled, factor * gem_pool(x, regions, p, eps), rtol=1e-10)


def test_the_norm_is_the_mean_times_a_root_of_the_count():
    x = positive((4, 4))
    np.testing.assert_allclose(lp_pool(x, Window(2), 3), 4 ** (1 / 3) * gem_pool(x, Window(2)), rtol=1e-14)


@pytest.mark.parametrize("regions", REGIONS, ids=repr)
@pytest.mark.parametrize("p", [0.3, 1, 2, 2.5, 3, 40])
@pytest.mark.parametrize("scale", [1, 1e15, 1e-30])
def test_gradients_are_finite_differences(regions, p, scale):
    x = positive((2, 5, 6)) * scale
    g = np.random.default_rng(1).standard_normal(gem_pool(x, regions).shape)
    eps = 1e-3 * scale
    dx, dp = gem_pool_backward(g, x, regions, p, eps)
    (expected,) = gradients(lambda x: gem_pool(x, regions, p, eps), g, x, step=1e-6 * scale)
    np.testing.assert_allclose(dx, expected, rtol=1e-6, atol=1e-7)
    ahead, behind = (np.sum(g * gem_pool(x, regions, p + s, eps)) for s in (1e-5, -1e-5))
    assert dp == pytest.approx((ahead - behind) / 2e-5, rel=1e-5, abs=1e-8 * scale)


def test_autograd_of_the_formula_agrees():
    x = positive((2, 3, 4, 4))
    leaf, p = torch.tensor(x, requires_grad=True), torch.tensor(3.0, dtype=torch.float64, requires_grad=True)
    y = torch.nn.functional.avg_pool2d(leaf.clamp(min=0.5) ** p, 2) ** (1 / p)
    y.sum().backward()
    np.testing.assert_allclose(gem_pool(x, Window(2), 3, 0.5), y.detach().numpy(), rtol=1e-13)
    dx, dp = gem_pool_backward(np.ones(y.shape), x, Window(2), 3, 0.5)
    np.testing.assert_allclose(dx, leaf.grad.numpy(), rtol=1e-12)
    assert dp == pytest.approx(p.grad.item(), rel=1e-12)


def test_clamped_cells_receive_nothing():
    x = np.array([[-4.0, 2.0], [1e-9, 0.5]])
    dx, _ = gem_pool_backward(np.ones((1, 1)), x, Window(2))
    assert dx[0, 0] == dx[1, 0] == 0
    assert dx[0, 1] > dx[1, 1] > 0
    np.testing.assert_allclose(gem_pool(-np.ones((2, 2)), Window(2)), [[1e-6]], rtol=1e-15)
    assert gem_pool(-np.ones((2, 2)), Window(2), 1) != avg_pool(-np.ones((2, 2)), Window(2))


@pytest.mark.parametrize("value, eps", [(1e15, 1e-6), (1e-30, 1e-35), (1e38, 1e-6), (1e-36, 1e-37)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("p", [0.5, 3, 50])
def test_only_the_result_can_overflow(value, eps, dtype, p):
    x = np.array([[1, 2], [3, 0.5]]) * value / 3
    x = x.astype(dtype)
    tolerance = 1e-6 if dtype == "float32" else 1e-13
    expected = pool(x, Window(2), generalized_mean(p, eps))
    np.testing.assert_allclose(gem_pool(x, Window(2), p, eps), expected, rtol=tolerance)
    dx, dp = gem_pool_backward(np.ones((1, 1)), x, Window(2), p, eps)
    assert np.isfinite(dx).all()
    unclamped = x.astype(np.float64) >= eps
    if unclamped.all():  # Euler's identity, of a function that scales with its input
        assert np.vdot(dx.astype(np.float64), x) == pytest.approx(expected[0, 0], rel=5 * tolerance)
    assert 0 < dp < np.inf


def test_infinities():
    x = np.array([[np.inf, 1.0], [2.0, 3.0]])
    assert gem_pool(x, Window(2)) == np.inf
    np.testing.assert_allclose(gem_pool_backward(np.ones((1, 1)), x, Window(2))[0], [[4 ** (-1 / 3), 0], [0, 0]])
    x[1, 1] = np.nan
    assert np.isnan(gem_pool(x, Window(2)))
    x[...] = -np.inf
    np.testing.assert_allclose(gem_pool(x, Window(2)), 1e-6)


def test_a_region_without_cells_is_nan_and_has_no_gradient():
    x, regions = np.ones((2, 2)), Window(2, 1, 1, dilation=3)
    assert np.isnan(gem_pool(x, regions))
    dx, dp = gem_pool_backward(np.ones((1, 1)), x, regions)
    np.testing.assert_array_equal(dx, 0)
    assert dp == 0


@pytest.mark.parametrize("name", ["p", "eps"])
@pytest.mark.parametrize("value", [0, -3, np.inf, np.nan])
def test_refuses(name, value):
    x = np.ones((2, 2))
    for call in (gem_pool, lambda *arguments, **options: gem_pool_backward([[1]], *arguments, **options)):
        with pytest.raises(ValueError, match=f"^{name} must be above 0 and finite, got {value}"):
            call(x, Window(2), **{name: value})
        with pytest.raises(TypeError, match=f"^{name} must be a finite number above 0, got None"):
            call(x, Window(2), **{name: None})
