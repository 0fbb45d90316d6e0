"""Mixed and gated pooling: between mean and maximum, by a number or by a gate."""

import numpy as np
import pytest
import torch
from cases import FEW_MAPS, MAPS, distinct, map_id
from differences import gradients
from hypothesis import given
from hypothesis import strategies as st
from test_numpy import cases, hypothesis_settings

from poolref.numpy import avg_pool, gated_pool, gated_pool_backward, max_pool, mixed_pool, mixed_pool_backward
from poolref.regions import Adaptive, Window

WINDOWS = [(spatial, regions) for spatial, regions in MAPS if isinstance(regions, Window)]
windows = pytest.mark.parametrize("case", WINDOWS, ids=map_id)


def normal(shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


# --- mixed ----------------------------------------------------------------------------------------------------------


@given(cases(), st.floats(0, 1))
@hypothesis_settings
def test_mixed_is_max_and_mean_in_parts(case, alpha):
    x, regions = case
    high, mean = max_pool(x, regions), avg_pool(x, regions, count_include_pad=False)
    expected = alpha * high + (1 - alpha) * mean
    np.testing.assert_allclose(mixed_pool(x, regions, alpha), expected, rtol=1e-12, atol=1e-12 * np.abs(x).max())
    np.testing.assert_array_equal(mixed_pool(x, regions, 1), high)
    np.testing.assert_allclose(mixed_pool(x, regions, 0), mean, rtol=1e-12, atol=1e-12 * np.abs(x).max())


@pytest.mark.parametrize("case", FEW_MAPS, ids=map_id)
def test_gradients_of_mixed_are_finite_differences(case):
    spatial, regions = case
    x, alpha = distinct((2, *spatial)), np.array(0.3)
    g = normal((2, *regions.output_shape(spatial)))
    expected = gradients(lambda x, alpha: mixed_pool(x, regions, float(alpha)), g, x, alpha)
    dx, dalpha = mixed_pool_backward(g, x, regions, 0.3)
    np.testing.assert_allclose(dx, expected[0], rtol=1e-6, atol=1e-7)
    assert dalpha == pytest.approx(float(expected[1]), rel=1e-7)


def test_a_part_of_weight_0_takes_no_part():
    x = np.array([[1.0, -np.inf], [2.0, 3.0]])
    assert mixed_pool(x, Window(2), 1) == 3
    assert mixed_pool(x, Window(2), 0) == -np.inf
    assert mixed_pool(np.full((2, 2), np.inf), Window(2), 0) == np.inf


@pytest.mark.parametrize("alpha", [-0.1, 1.1, np.nan])
def test_mixed_refuses_alpha(alpha):
    x = np.ones((2, 2))
    for call in (lambda: mixed_pool(x, Window(2), alpha), lambda: mixed_pool_backward([[1]], x, Window(2), alpha)):
        with pytest.raises(ValueError, match=r"^alpha must be from 0 to 1, got"):
            call()
    with pytest.raises(TypeError, match=r"^alpha must be a number from 0 to 1, got 'max'"):
        mixed_pool(x, Window(2), "max")


# --- gated ----------------------------------------------------------------------------------------------------------


def gates(x, window, weight):
    """The gate of every window, place by place; a place in the padding adds nothing."""
    a = np.empty(window.output_shape(x.shape))
    for output_index in np.ndindex(a.shape):
        z = 0.0
        for place in np.ndindex(weight.shape):
            axes = zip(output_index, place, window.stride, window.padding, window.dilation)
            cell = tuple(i * s - p + t * d for i, t, s, p, d in axes)
            if all(0 <= c < n for c, n in zip(cell, x.shape)):
                z += weight[place] * x[cell]
        a[output_index] = 1 / (1 + np.exp(-z))
    return a


@windows
def test_gated_is_max_and_mean_by_the_gate(case):
    spatial, window = case
    x, weight = distinct((2, *spatial)), normal(window.kernel_size)
    a = np.stack([gates(plane, window, weight) for plane in x])
    high, mean = max_pool(x, window), avg_pool(x, window, count_include_pad=False)
    expected = np.where(np.isfinite(high), a * high + (1 - a) * mean, np.nan)
    y = gated_pool(x, window, weight)
    np.testing.assert_allclose(y, expected, rtol=1e-12, atol=1e-13)
    y32 = gated_pool(x.astype("float32"), window, weight)
    assert y32.dtype == np.float32
    np.testing.assert_allclose(y32, expected, rtol=0, atol=1e-6 * np.abs(x).max())


@windows
def test_gradients_of_gated_are_finite_differences(case):
    spatial, window = case
    x, weight = distinct((2, *spatial)), normal(window.kernel_size)
    g = normal((2, *window.output_shape(spatial)))
    y = gated_pool(x, window, weight)
    expected = gradients(lambda x, weight: np.nan_to_num(gated_pool(x, window, weight)), g, x, weight)
    for grad, numeric in zip(gated_pool_backward(g, x, window, weight), expected, strict=True):
        assert grad.shape == numeric.shape
        np.testing.assert_allclose(grad, numeric, rtol=1e-6, atol=1e-7)
    assert y.shape == g.shape


def test_autograd_agrees():
    F = torch.nn.functional
    x, weight = torch.tensor(normal((2, 3, 6, 7)), requires_grad=True), torch.tensor(normal((3, 3)), requires_grad=True)
    planes = x.flatten(0, 1)[:, None]
    gate = torch.sigmoid(F.conv2d(planes, weight[None, None], stride=2, padding=1))
    mean = F.avg_pool2d(planes, 3, 2, 1, count_include_pad=False)
    y = (gate * F.max_pool2d(planes, 3, 2, 1) + (1 - gate) * mean).reshape(2, 3, 3, 4)
    g = normal(y.shape, seed=1)
    y.backward(torch.tensor(g))
    arguments = x.detach().numpy(), Window(3, 2, 1), weight.detach().numpy()
    np.testing.assert_allclose(gated_pool(*arguments), y.detach().numpy(), rtol=1e-12, atol=1e-13)
    dx, dweight = gated_pool_backward(g, *arguments)
    np.testing.assert_allclose(dx, x.grad.numpy(), rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(dweight, weight.grad.numpy(), rtol=1e-11, atol=1e-12)


def test_a_zero_weight_is_an_even_mixture_and_a_large_one_does_not_overflow():
    x = np.array([[1.0, 2.0], [3.0, 6.0]])
    assert gated_pool(x, Window(2), np.zeros((2, 2))) == 4.5
    assert gated_pool(x, Window(2), np.full((2, 2), 1e4)) == 6
    assert gated_pool(x, Window(2), np.full((2, 2), -1e4)) == 3


def test_half_precision_and_empty_batches():
    x, weight = normal((2, 4, 4)).astype("float16"), normal((2, 2)).astype("float16")
    y = gated_pool(x, Window(2), weight)
    assert y.dtype == np.float16
    np.testing.assert_array_equal(y, gated_pool(x.astype("float32"), Window(2), weight).astype("float16"))
    assert [grad.dtype for grad in gated_pool_backward(y, x, Window(2), weight)] == [np.float16] * 2
    assert gated_pool(np.ones((0, 4, 4)), Window(2), weight).shape == (0, 2, 2)
    assert gated_pool_backward(np.ones((0, 2, 2)), np.ones((0, 4, 4)), Window(2), weight)[0].shape == (0, 4, 4)


def test_gated_refuses():
    x, weight = np.ones((4, 4)), np.ones((2, 2))
    with pytest.raises(TypeError, match=r"^window must be a Window of poolref.regions, got Adaptive"):
        gated_pool(x, Adaptive(2), weight)
    with pytest.raises(ValueError, match=r"^weight must have the shape of the window, \(2, 2\), got \(3, 3\)"):
        gated_pool(x, Window(2), np.ones((3, 3)))
    with pytest.raises(ValueError, match=r"^grad_output must have the output's shape \(2, 2\), got \(4, 4\)"):
        gated_pool_backward(x, x, Window(2), weight)
