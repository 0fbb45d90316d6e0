"""Stochastic pooling: what is drawn, how often, and the mean of all draws."""

import numpy as np
import pytest
from cases import FEW_MAPS, MAPS, map_id
from differences import gradients
from hypothesis import given
from test_numpy import cases, hypothesis_settings

from poolref.definition import expectation, pool
from poolref.numpy import (
    avg_pool,
    expected_pool,
    expected_pool_backward,
    max_pool,
    stochastic_pool,
    stochastic_pool_backward,
)
from poolref.regions import Whole, Window

maps = pytest.mark.parametrize("case", MAPS, ids=map_id)


def rng(seed=0):
    return np.random.default_rng(seed)


def rectified(shape, dtype="float64", seed=0):
    """What a ReLU leaves: half of it zeros."""
    return np.maximum(rng(seed).standard_normal(shape), 0).astype(dtype)


# --- the mean of all draws ------------------------------------------------------------------------------------------


@maps
def test_expected_is_the_definition(case):
    spatial, regions = case
    for dtype, tolerance in [("float64", 1e-12), ("float32", 1e-6)]:
        for scale in (1, 1e30, 1e-30):
            x = rectified((2, *spatial), dtype) * np.asarray(scale, dtype)
            y = expected_pool(x, regions)
            assert y.dtype == dtype
            np.testing.assert_allclose(y, pool(x, regions, expectation), rtol=tolerance)


@maps
def test_expected_backward_is_finite_differences(case):
    spatial, regions = case
    x = rng().uniform(0.1, 1, spatial)
    g = rng(1).standard_normal(regions.output_shape(spatial))
    (expected,) = gradients(lambda x: expected_pool(x, regions), g, x)
    np.testing.assert_allclose(expected_pool_backward(g, x, regions), expected, rtol=1e-6, atol=1e-8)
    for scale in (1e200, 1e-200):  # the gradient is the same at every scale
        np.testing.assert_allclose(expected_pool_backward(g, scale * x, regions), expected, rtol=1e-6, atol=1e-8)


@given(cases())
@hypothesis_settings
def test_expected_lies_between_mean_and_max(case):
    x, regions = np.abs(case[0]), case[1]
    y = expected_pool(x, regions)
    assert (y >= avg_pool(x, regions, count_include_pad=False) * (1 - 1e-12)).all()
    assert (y <= max_pool(x, regions) * (1 + 1e-12)).all()


def test_zeros_and_infinities():
    zeros = np.zeros((2, 2))
    assert expected_pool(zeros, Window(2)) == 0
    np.testing.assert_array_equal(expected_pool_backward(np.ones((1, 1)), zeros, Window(2)), 0.25)
    x = np.array([[[np.inf, 1], [2, 3]], [[np.nan, 1], [2, 3]], [[0, 0], [0, 3]]])
    np.testing.assert_array_equal(expected_pool(x, Whole()).reshape(-1), [np.inf, np.nan, 3])
    np.testing.assert_array_equal(expected_pool_backward(np.ones((1, 1)), x[0], Window(2)), [[1, -1], [-1, -1]])
    half_zero = np.array([[0.0, 0.0, 1.0], [0.0, 0.0, 1.0]])
    np.testing.assert_array_equal(
        expected_pool_backward(np.ones((1, 2)), half_zero, Window(2, 1)), [[0.25, -0.25, 0.5], [0.25, -0.25, 0.5]]
    )


# --- the draws ------------------------------------------------------------------------------------------------------


@maps
def test_a_draw_is_a_cell_of_its_region_with_something_in_it(case):
    spatial, regions = case
    x = rectified((3, *spatial), "float32")
    values, indices = stochastic_pool(x, regions, rng())
    assert values.dtype == np.float32
    assert indices.dtype == np.int64
    for output_index in np.ndindex(values.shape):
        cells = regions.cells(output_index[1:], spatial)
        if not cells:
            assert (values[output_index], indices[output_index]) == (0, -1)
            continue
        cell = np.unravel_index(indices[output_index], spatial)
        assert cell in cells
        assert values[output_index] == x[(output_index[0], *cell)]
        assert values[output_index] > 0 or not any(x[(output_index[0], *c)] for c in cells)


@pytest.mark.parametrize("case", FEW_MAPS, ids=map_id)
def test_the_mean_of_many_draws_is_the_expected_value(case):
    spatial, regions = case
    x, n = rectified(spatial), 4000
    draws = stochastic_pool(np.broadcast_to(x, (n, *spatial)), regions, rng(3))[0]
    mean, squares = expected_pool(x, regions), pool(x, regions, lambda v: sum(a**3 for a in v) / (sum(v) or 1))
    deviation = np.sqrt(np.maximum(squares - mean**2, 0) / n)
    assert (np.abs(draws.mean(0) - mean) <= 4.5 * deviation + 1e-12).all()


def test_frequencies():
    n = 40_000
    for x, chances in [([1.0, 0.0, 3.0, 4.0], [0.125, 0, 0.375, 0.5]), ([0.0] * 4, [0.25] * 4)]:
        drawn = stochastic_pool(np.broadcast_to(np.reshape(x, (2, 2)), (n, 2, 2)), Window(2), rng(5))[1]
        counts = np.bincount(drawn.reshape(-1), minlength=4)
        deviation = np.sqrt(n * np.array(chances) * (1 - np.array(chances)))
        assert (np.abs(counts - n * np.array(chances)) <= 4 * deviation).all()


def test_overlapping_regions_draw_independently():
    n = 20_000
    drawn = stochastic_pool(np.ones((n, 3)), Window(2, 1, ndim=1), rng(6))[1]
    both = np.mean((drawn[:, 0] == 1) & (drawn[:, 1] == 1))
    assert abs(both - 0.25) < 4 * np.sqrt(0.25 * 0.75 / n)


def test_the_same_seed_draws_the_same_whatever_the_layout():
    x = rectified((2, 3, 6, 6))
    first = stochastic_pool(x, Window(2), rng(7))
    channels_last = np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    for again in (stochastic_pool(x, Window(2), rng(7)), stochastic_pool(channels_last, Window(2), rng(7))):
        np.testing.assert_array_equal(again[1], first[1])
    assert (stochastic_pool(x, Window(2), rng(8))[1] != first[1]).any()


def test_draws_where_sums_overflow_and_at_infinities():
    x = np.array([[[1e308, 1e308], [0, 0]], [[np.inf, 1], [2, 3]], [[1, 2], [np.nan, np.inf]], [[0, 0], [0, 5e-324]]])
    values, indices = stochastic_pool(x, Whole(), rng())
    np.testing.assert_array_equal(values.reshape(-1), [1e308, np.inf, np.nan, 5e-324])
    assert indices.reshape(-1)[1:].tolist() == [0, 2, 3]


@pytest.mark.parametrize("part, expected", [(0.0, 1), (1 - 2.0**-53, 2)])
def test_cells_of_zero_are_not_drawn_at_the_ends_of_the_random_range(part, expected):
    class Fixed(np.random.Generator):
        def random(self, size):
            return np.full(size, part)

    fixed = Fixed(np.random.PCG64(0))
    assert stochastic_pool(np.array([[0.0, 4.0], [4.0, 0.0]]), Window(2), fixed)[1] == expected
    assert stochastic_pool(np.array([[0.0, 0.0], [0.0, 0.0]]), Window(2), fixed)[1] == (0 if part == 0 else 3)


def test_backward_goes_to_the_cells_drawn():
    x = rectified((2, 3, 5, 5))
    values, indices = stochastic_pool(x, Window(3, 1, 1), rng())
    g = rng(1).standard_normal(values.shape)
    expected = np.zeros((6, 25))
    for plane, cells, shares in zip(expected, indices.reshape(6, -1), g.reshape(6, -1)):
        for cell, share in zip(cells, shares):
            plane[cell] += share
    dx = stochastic_pool_backward(g, x, Window(3, 1, 1), indices)
    np.testing.assert_allclose(dx.reshape(6, 25), expected, rtol=1e-13, atol=1e-14)


def test_refuses():
    x, g = -np.eye(2), np.ones((1, 1))
    for call in (
        lambda: stochastic_pool(x, Window(2), rng()),
        lambda: stochastic_pool_backward(g, x, Window(2), np.zeros((1, 1), int)),
        lambda: expected_pool(x, Window(2)),
        lambda: expected_pool_backward(g, x, Window(2)),
    ):
        with pytest.raises(ValueError, match=r"^x must hold no negative number, got -1.0"):
            call()
    with pytest.raises(ValueError, match=r"no negative number, got -2.0"):
        expected_pool(np.array([[np.nan, -2.0]]), Window(1))
    with pytest.raises(TypeError, match=r"^rng must be a numpy.random.Generator.* got 0"):
        stochastic_pool(np.eye(2), Window(2), 0)
    assert expected_pool(np.ones((0, 2, 2)), Window(2)).shape == (0, 1, 1)
    assert stochastic_pool(np.ones((0, 2, 2)), Window(2), rng())[0].shape == (0, 1, 1)
