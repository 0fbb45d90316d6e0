"""The definition, on numbers small enough to work out by hand."""

import doctest
import math

import numpy as np
import pytest

from poolref import definition
from poolref.definition import (
    expectation,
    generalized_mean,
    log_mean_exp,
    lp_norm,
    maximum,
    mean,
    minimum,
    mixture,
    pool,
    soft_maximum,
    total,
)
from poolref.regions import Adaptive, Columns, Pyramid, Rows, Running, Whole, Window

INF, NAN = math.inf, math.nan

X = np.array(
    [
        [1.0, 3.0, 2.0, 0.0],
        [4.0, 2.0, 1.0, 5.0],
        [0.0, -1.0, 6.0, 2.0],
        [-3.0, 1.0, 2.0, 2.0],
    ]
)


@pytest.mark.parametrize(
    "regions, reducer, expected",
    [
        (Window(2), maximum, [[4, 5], [1, 6]]),
        (Window(2), minimum, [[1, 0], [-3, 2]]),
        (Window(2), mean, [[2.5, 2], [-0.75, 3]]),
        (Window(2), total, [[10, 8], [-3, 12]]),
        (Window(2), lp_norm(1), [[10, 8], [5, 12]]),
        (Window(2), lp_norm(INF), [[4, 5], [3, 6]]),
        (Window(3, 1), maximum, [[6, 6], [6, 6]]),
        (Window(2, 2, 1), maximum, [[1, 3, 0], [4, 6, 5], [-3, 2, 2]]),
        (Window(2, 2, dilation=2), maximum, [[6]]),
        (Window(3, 3, ceil_mode=True), total, [[18, 7], [0, 2]]),
        (Adaptive(1), mean, [[27 / 16]]),
        (Adaptive((3, 1)), maximum, [[5], [6], [6]]),
        (Whole(), total, [[27]]),
        (Pyramid((2, 1)), maximum, [4, 5, 1, 6, 6]),
        (Rows(), maximum, [[3], [5], [6], [2]]),
        (Columns(), total, [[2, 5, 11, 9]]),
        (Running("down"), maximum, [[1, 3, 2, 0], [4, 3, 2, 5], [4, 3, 6, 5], [4, 3, 6, 5]]),
        (Running("up"), maximum, [[4, 3, 6, 5], [4, 2, 6, 5], [0, 1, 6, 2], [-3, 1, 2, 2]]),
        (Running("right"), total, [[1, 4, 6, 6], [4, 6, 7, 12], [0, -1, 5, 7], [-3, -2, 0, 2]]),
        (Running("left"), total, [[6, 5, 2, 0], [12, 8, 6, 5], [7, 7, 8, 2], [2, 5, 4, 2]]),
    ],
    ids=lambda value: getattr(value, "__name__", None) or str(value),  # a function's str differs between processes
)
def test_by_hand(regions, reducer, expected):
    np.testing.assert_array_equal(pool(X, regions, reducer), expected)


def test_padding_cells_take_part_only_with_a_value():
    ones = np.ones((3, 3))
    corner, edge = (pool(ones, Window(3, 1, 1), mean, value)[0] for value in (None, 0.0))
    np.testing.assert_array_equal(corner, [1, 1, 1])
    np.testing.assert_allclose(edge, [4 / 9, 6 / 9, 4 / 9])
    # What hangs over the padded edge in ceil mode is no padding: one cell, and its mean is itself.
    np.testing.assert_array_equal(pool(np.ones(5), Window(2, ceil_mode=True, ndim=1), mean, 0.0), [1, 1, 1])
    assert pool(-ones, Window(3, 1, 1), maximum)[0, 0] == -1


def test_leading_axes_are_pooled_by_themselves():
    y = pool(np.stack([X, -X]), Window(4), maximum)
    np.testing.assert_array_equal(y, [[[6]], [[3]]])
    assert pool(np.ones((0, 2, 4, 4)), Window(2), maximum).shape == (0, 2, 2, 2)
    assert pool(X.astype(np.float32), Window(2), maximum).dtype == np.float64


@pytest.mark.parametrize(
    "reducer, values, expected",
    [
        (maximum, [], -INF),
        (maximum, [-2.0, -1.0], -1.0),
        (maximum, [1.0, NAN, INF], NAN),
        (minimum, [], INF),
        (minimum, [3.0, -INF], -INF),
        (minimum, [NAN, -INF], NAN),
        (total, [], 0.0),
        (total, [1e16, 1.0, -1e16], 1.0),
        (total, [INF, 1.0], INF),
        (total, [INF, -INF], NAN),
        (total, [1e308, 1e308], INF),
        (mean, [], NAN),
        (mean, [1.0, 2.0], 1.5),
        (mean, [0.1] * 10, 0.1),
        (lp_norm(2), [3.0, -4.0], 5.0),
        (lp_norm(2), [3e200, -4e200], 5e200),
        (lp_norm(2), [3e-200, 4e-200], 5e-200),
        (lp_norm(2), [], 0.0),
        (lp_norm(2), [0.0, 0.0], 0.0),
        (lp_norm(2), [-INF, 1.0], INF),
        (lp_norm(2), [NAN, 1.0], NAN),
        (lp_norm(0.5), [1.0, 4.0], 9.0),
        (lp_norm(1), [1.0, -4.0], 5.0),
        (lp_norm(3), [-3.0, 4.0, 5.0], 6.0),
        (lp_norm(INF), [-3.0, 2.0], 3.0),
        (soft_maximum, [], -INF),
        (soft_maximum, [7.0], 7.0),
        (soft_maximum, [2.0, 2.0, 2.0], 2.0),
        (soft_maximum, [0.0, math.log(3)], 0.75 * math.log(3)),
        (soft_maximum, [1e4, 1e4 + math.log(3)], 1e4 + 0.75 * math.log(3)),
        (soft_maximum, [-INF, 3.0], 3.0),
        (soft_maximum, [-INF, -INF], -INF),
        (soft_maximum, [INF, -INF, 0.0], INF),
        (soft_maximum, [NAN, 1.0], NAN),
        (log_mean_exp(1), [0.0, math.log(3)], math.log(2)),
        (log_mean_exp(10), [1e4, 1e4], 1e4),
        (log_mean_exp(2), [-INF, 0.0], -math.log(2) / 2),
        (log_mean_exp(1), [-INF], -INF),
        (log_mean_exp(1e-15), [1.0, 3.0], 2.0),
        (generalized_mean(1, 1e-6), [1.0, 2.0], 1.5),
        (generalized_mean(3, 1e-6), [1.0, 0.5 * 15 ** (1 / 3)], (23 / 16) ** (1 / 3)),
        (generalized_mean(3, 1.0), [-8.0, 0.5], 1.0),
        (generalized_mean(3, 1e-6), [1e200, 1e200], 1e200),
        (generalized_mean(3, 1e-6), [INF, 1.0], INF),
        (generalized_mean(3, 1e-6), [NAN, 1.0], NAN),
        (generalized_mean(3, 1e-6), [], NAN),
        (expectation, [1.0, 3.0], 2.5),
        (expectation, [0.0, 0.0], 0.0),
        (expectation, [], 0.0),
        (expectation, [1e200, 3e200], 2.5e200),
        (expectation, [INF, 1.0], INF),
        (expectation, [NAN, 1.0], NAN),
        (mixture(0.25), [1.0, 3.0], 2.25),
        (mixture(1), [-INF, 3.0], 3.0),
        (mixture(0), [INF, 3.0], INF),
    ],
)
def test_reducers(reducer, values, expected):
    assert reducer(values) == pytest.approx(expected, rel=1e-15, abs=0, nan_ok=True)


def test_examples_in_docstrings():
    assert doctest.testmod(definition).failed == 0
    assert doctest.testmod(definition).attempted > 0
