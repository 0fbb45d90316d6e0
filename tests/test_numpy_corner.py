"""Corner pooling against plain loops, torch's cummax, and ties by hand."""

import numpy as np
import pytest
import torch
from differences import gradients
from hypothesis import given, settings
from hypothesis import strategies as st

from poolref.numpy import corner_pool, corner_pool_backward

corners = pytest.mark.parametrize("corner", ["top_left", "bottom_right"])


def maps(seed, shape=(2, 4, 5)):
    return np.random.default_rng(seed).standard_normal((2, *shape))


def plain(a, b, corner):
    """Each cell looks at every cell of its column of `a`, and of its row of `b`, on the side of the box."""
    y = np.empty(a.shape)
    for plane, i, j in np.ndindex(a.shape):
        if corner == "top_left":
            y[plane, i, j] = max(a[plane, i:, j]) + max(b[plane, i, j:])
        else:
            y[plane, i, j] = max(a[plane, : i + 1, j]) + max(b[plane, i, : j + 1])
    return y


@corners
@given(st.tuples(*[st.integers(1, 6)] * 3), st.integers(0, 99))
@settings(max_examples=30, deadline=None, derandomize=True)
def test_forward_is_the_plain_loop(corner, shape, seed):
    a, b = maps(seed, shape)
    np.testing.assert_array_equal(corner_pool(a, b, corner), plain(a, b, corner))


@corners
def test_backward_is_finite_differences(corner):
    a, b = maps(0)
    g = np.random.default_rng(1).standard_normal(a.shape)
    expected = gradients(lambda a, b: corner_pool(a, b, corner), g, a, b)
    for grad, numeric in zip(corner_pool_backward(g, a, b, corner), expected, strict=True):
        np.testing.assert_allclose(grad, numeric, rtol=1e-7, atol=1e-8)


def test_turning_the_map_upside_down_swaps_the_corners():
    a, b = maps(0)
    turned = corner_pool(a[..., ::-1, ::-1], b[..., ::-1, ::-1], "bottom_right")
    np.testing.assert_array_equal(turned[..., ::-1, ::-1], corner_pool(a, b))


def test_torch_cummax_agrees():
    a, b = maps(0)
    flip = [torch.tensor(m).flip(dims) for m, dims in ((a, (1,)), (b, (2,)))]
    y = flip[0].cummax(1).values.flip((1,)) + flip[1].cummax(2).values.flip((2,))
    np.testing.assert_array_equal(corner_pool(a, b), y.numpy())


@pytest.mark.parametrize("corner, expected", [("top_left", -1), ("bottom_right", 0)])
def test_of_equal_cells_the_first_met_receives_the_gradient(corner, expected):
    ones = np.ones((3, 3))
    da, db = corner_pool_backward(ones, ones, ones, corner)
    by_hand = np.zeros((3, 3))
    by_hand[expected] = 3
    np.testing.assert_array_equal(da, by_hand)
    np.testing.assert_array_equal(db, by_hand.T)


def test_nan_reaches_the_cells_that_see_it():
    a = np.zeros((3, 3))
    a[1, 1] = np.nan
    expected = np.zeros((3, 3), bool)
    expected[:2, 1] = True
    np.testing.assert_array_equal(np.isnan(corner_pool(a, np.zeros((3, 3)))), expected)


def test_dtypes_and_empty_batches():
    for dtype in ("float16", "float32", "float64", "int64"):
        assert corner_pool(np.ones((2, 3), dtype), np.ones((2, 3), dtype)).dtype == dtype
    a = np.ones((0, 2, 3), np.float32)
    assert corner_pool(a, a).shape == (0, 2, 3)
    assert [grad.dtype for grad in corner_pool_backward(a, a, a)] == [np.float32] * 2


def test_refuses():
    a = np.ones((2, 3))
    with pytest.raises(ValueError, match=r"^corner must be .top_left. or .bottom_right., got 'top'"):
        corner_pool(a, a, "top")
    with pytest.raises(ValueError, match=r"^b must have the shape of a, \(2, 3\), got \(3, 3\)"):
        corner_pool(a, np.ones((3, 3)))
    with pytest.raises(ValueError, match=r"^b must have the shape of a"):
        corner_pool_backward(a, a, np.ones((3, 3)))
    with pytest.raises(ValueError, match=r"^grad_output must have the output's shape \(2, 3\), got \(3, 2\)"):
        corner_pool_backward(a.T, a, a)
