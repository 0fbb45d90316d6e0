"""The NumPy column against the definition, finite differences, and the promises of its docstrings."""

import math
import tracemalloc
from itertools import pairwise

import numpy as np
import pytest
from cases import (
    FEW_MAPS,
    FILLS,
    LAYOUTS,
    MAPS,
    OPERATORS,
    ORDINARY,
    SPECIAL,
    assert_close,
    distinct,
    map_id,
    normal,
    scale_of,
    scale_of_large,
    ties,
)
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import poolref.numpy
from poolref import catalog
from poolref.numpy import (
    avg_pool,
    avg_pool_backward,
    lp_pool,
    lp_pool_backward,
    max_pool,
    max_pool_backward,
    min_pool,
    min_pool_backward,
    soft_pool,
    soft_pool_backward,
    sum_pool,
    sum_pool_backward,
)
from poolref.regions import Adaptive, Columns, Pyramid, Regions, Rows, Running, Whole, Window

operators = pytest.mark.parametrize("operator", OPERATORS, ids=str)
maps = pytest.mark.parametrize("case", MAPS, ids=map_id)
few_maps = pytest.mark.parametrize("case", FEW_MAPS, ids=map_id)
choosing = pytest.mark.parametrize("forward, backward", [(max_pool, max_pool_backward), (min_pool, min_pool_backward)])


def forward(operator, x, regions):
    return catalog.resolve(operator.row.numpy)(x, regions, **operator.options)


def backward(operator, grad_output, x, regions):
    """The gradient with respect to `x`; parameters that have a gradient of their own come after it."""
    result = catalog.resolve(operator.row.numpy + "_backward")(grad_output, x, regions, **operator.options)
    return result[0] if isinstance(result, tuple) else result


# --- forward --------------------------------------------------------------------------------------------------------


@operators
@maps
def test_forward_is_the_definition(operator, case):
    spatial, regions = case
    for dtype, tolerance in [("float64", 1e-12), ("float32", 1e-6)]:
        x = normal((2, *spatial), dtype)
        y = forward(operator, x, regions)
        assert y.dtype == x.dtype
        assert y.shape == (2, *regions.output_shape(spatial))
        assert_close(y, operator.defined(x, regions), scale_of(operator, x, regions), tolerance)


@operators
@pytest.mark.parametrize("fill", FILLS)
@pytest.mark.filterwarnings("ignore:(overflow|invalid):RuntimeWarning")  # a sum may overflow, and inf - inf is NaN
def test_forward_on_every_kind_of_values(operator, fill):
    for spatial, regions in FEW_MAPS:
        for dtype, tolerance in [("float64", 1e-12), ("float32", 1e-6)]:
            x = FILLS[fill]((2, *spatial), dtype)
            expected, scale = operator.defined(x, regions), scale_of(operator, x, regions)
            expected = np.where(np.abs(expected) > np.finfo(dtype).max, np.sign(expected) * np.inf, expected)
            assert_close(forward(operator, x, regions), expected, scale, tolerance, f"{dtype} {regions}")


@operators
@few_maps
@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning")
def test_float16_is_within_one_step_of_float32(operator, case):
    spatial, regions = case
    for fill in (*ORDINARY, "wide", "huge"):
        x = FILLS[fill]((2, *spatial), "float16")
        y = forward(operator, x, regions)
        assert y.dtype == np.float16
        wide = forward(operator, x.astype(np.float32), regions).astype(np.float16)
        np.testing.assert_array_equal(np.isinf(y), np.isinf(wide))
        finite = np.isfinite(wide)
        assert (np.abs(y[finite].astype(float) - wide[finite]) <= np.abs(np.spacing(wide[finite]))).all()
        if "eps" not in operator.row.parameters:
            g = normal(y.shape, "float16")
            grad = backward(operator, g, x, regions)
            assert grad.dtype == np.float16
            exact = backward(operator, g.astype(np.float32), x.astype(np.float32), regions).astype(np.float16)
            np.testing.assert_allclose(grad.astype(float), exact, rtol=1e-3, atol=1e-7)


@operators
@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"])
def test_ints_are_pooled_exactly_or_refused(operator, dtype):
    name, limits = operator.row.name, np.iinfo(dtype)
    x = np.random.default_rng(0).integers(limits.min, limits.max, (2, 5, 6), dtype, endpoint=True)
    x[:, 1, 1:3] = limits.min, limits.max
    for regions in (Window(2), Window(3, 2, 1, ceil_mode=True), Adaptive(3), Running("left"), Window(2, 1, 1, 5)):
        if name in ("max", "min"):
            cells = [regions.cells(o, (5, 6)) for o in np.ndindex(regions.output_shape((5, 6)))]
            pick, empty = (max, limits.min) if name == "max" else (min, limits.max)
            expected = [[pick((int(plane[c]) for c in region), default=empty) for region in cells] for plane in x]
        elif name == "sum":
            cells = [regions.cells(o, (5, 6)) for o in np.ndindex(regions.output_shape((5, 6)))]
            modulus = 2**limits.bits
            expected = [[sum(int(plane[c]) for c in region) % modulus for region in cells] for plane in x]
            expected = [[v - modulus if v > limits.max else v for v in plane] for plane in expected]
        elif name == "average" and dtype == "int64" and isinstance(regions, Window):
            small = x // 2**40
            exact = operator.defined(small, regions)
            np.testing.assert_array_equal(forward(operator, small, regions), np.trunc(exact).astype(np.int64))
            continue
        else:
            with pytest.raises(TypeError, match=f"x must hold floats.*{dtype}"):
                forward(operator, x, regions)
            continue
        y = forward(operator, x, regions)
        assert y.dtype == x.dtype
        np.testing.assert_array_equal(y.reshape(2, -1), np.array(expected, dtype))


@operators
@few_maps
def test_large_maps_keep_their_precision(operator, case):
    _, regions = case
    x = 3 + normal((1, 40, 36, 30)[: regions.ndim + 1], "float32")
    exact = forward(operator, x.astype(np.float64), regions)
    assert_close(forward(operator, x, regions), exact, scale_of_large(operator, x, regions), 1e-6)


@pytest.mark.parametrize("operator", [o for o in OPERATORS if o.row.name not in ("sum", "average")], ids=str)
@pytest.mark.parametrize("fill", SPECIAL)
@pytest.mark.filterwarnings("error")
def test_no_warning_where_the_value_is_right(operator, fill):
    """Sums may overflow and meet inf - inf, and then NumPy says so; nothing else has anything to say."""
    for spatial, regions in FEW_MAPS:
        for dtype in ("float64", "float32", "float16"):
            x = SPECIAL[fill]((2, *spatial), dtype)
            with np.errstate(over="ignore"):  # norms of float16 may overflow
                y = forward(operator, x, regions)
                backward(operator, np.ones_like(y), x, regions)


# --- numbers where others break -------------------------------------------------------------------------------------


def test_soft_pool_far_from_zero():
    for offset in (1e4, -1e4):
        x = offset + np.array([[0.0, 1.0], [2.0, 3.0]])
        weights = np.exp([0.0, 1.0, 2.0, 3.0]) / np.exp([0.0, 1.0, 2.0, 3.0]).sum()
        y = offset + weights @ [0, 1, 2, 3]
        np.testing.assert_allclose(soft_pool(x, Window(2)), [[y]], rtol=1e-15)
        expected = weights * (1 + x.reshape(-1) - y)
        np.testing.assert_allclose(soft_pool_backward(np.ones((1, 1)), x, Window(2)).reshape(-1), expected, rtol=1e-9)


def test_soft_pool_of_infinities():
    x = np.array([[-np.inf, -np.inf], [-np.inf, 5.0], [np.inf, 1.0], [np.inf, -np.inf], [np.nan, -np.inf]])
    np.testing.assert_array_equal(soft_pool(x, Rows())[:, 0], [-np.inf, 5, np.inf, np.inf, np.nan])
    grad = soft_pool_backward(np.ones((5, 1)), x, Rows())
    np.testing.assert_array_equal(grad[1:3], [[0, 1], [1, 0]])


def test_soft_pool_of_one_cell_is_the_cell():
    x = np.abs(normal((2, 4, 5)))
    np.testing.assert_allclose(soft_pool(x, Window(1)), x, rtol=1e-15)
    np.testing.assert_allclose(soft_pool_backward(x, x, Window(1)), x, rtol=1e-14)


def test_lp_pool_does_not_overflow_before_its_result():
    assert lp_pool(np.full((2, 2), 1e20, np.float32), Window(2)) == np.float32(2e20)
    assert lp_pool(np.full((2, 2), 1e200), Window(2)) == 2e200
    assert lp_pool(np.full((2, 2), -1e200), Window(2), p=1) == 4e200
    assert lp_pool(np.full((2, 2), 1e-200), Window(2)) == 2e-200
    assert lp_pool(np.full((2, 2), 5e-324), Window(2)) == 1e-323
    np.testing.assert_allclose(lp_pool(np.full((2, 2), 1e300), Window(2), p=0.5), 16e300, rtol=1e-14)
    np.testing.assert_allclose(lp_pool(np.full((2, 2), 7.0), Window(2), p=1000), 7 * 4**0.001, rtol=1e-14)
    for scale in (1e-300, 1e-160, 1e160, 1e300):
        x = scale * np.array([[3.0, 0.0], [-4.0, 0.0]])
        np.testing.assert_allclose(lp_pool(x, Window(2)), [[5 * scale]], rtol=1e-15)
        grad = lp_pool_backward(np.ones((1, 1)), x, Window(2))
        np.testing.assert_allclose(grad, [[0.6, 0], [-0.8, 0]], rtol=1e-15)


def test_lp_pool_of_zeros_has_gradient_zero():
    for p in (0.5, 1, 2, 3, math.inf):
        np.testing.assert_array_equal(lp_pool_backward(np.ones((1, 1)), np.zeros((2, 2)), Window(2), p), 0)


def test_a_plane_with_a_hard_value_does_not_disturb_the_others():
    x = normal((3, 6, 6))
    hard = x.copy()
    hard[1, 2, 3] = 1e300
    for operator in OPERATORS:
        for regions in (Window(2), Window(3, 1, 1), Running("up")):
            np.testing.assert_array_equal(
                forward(operator, hard, regions)[[0, 2]], forward(operator, x, regions)[[0, 2]]
            )


def test_regions_without_cells():
    x, regions = np.ones((2, 2)), Window(2, 1, 1, dilation=3)
    assert max_pool(x, regions) == -np.inf
    assert min_pool(x, regions) == np.inf
    assert max_pool(x, regions, return_indices=True)[1] == -1
    assert sum_pool(x, regions) == 0
    assert lp_pool(x, regions) == 0
    assert avg_pool(x, regions) == 0
    assert np.isnan(avg_pool(x, regions, count_include_pad=False))
    for operator in OPERATORS:
        grad = backward(operator, np.ones((1, 1)), x, regions)
        np.testing.assert_array_equal(grad, np.zeros((2, 2)), err_msg=str(operator))


# --- memory layout, dtypes, and what is left alone ------------------------------------------------------------------


@operators
@pytest.mark.parametrize("layout", LAYOUTS)
def test_layout_does_not_matter(operator, layout):
    # Not bit for bit: where planes lie apart, a sum may be formed in another order.
    for regions in (Window(2), Window(3, 1, 1), Adaptive((4, 3)), Whole(), Pyramid((2, 1)), Columns(), Running("up")):
        x = LAYOUTS[layout](normal((2, 3, 6, 7), "float32"))
        plain = np.array(x, dtype="float32", order="C")
        y = forward(operator, x, regions)
        assert y.dtype == x.dtype
        np.testing.assert_allclose(y, forward(operator, plain, regions), rtol=1e-5, atol=1e-6)
        g = LAYOUTS[layout](normal(y.shape, "float32")) if y.ndim == 4 else normal(y.shape, "float32")
        grad = backward(operator, g, x, regions)
        assert grad.shape == x.shape
        assert grad.dtype == x.dtype
        expected = backward(operator, np.array(g, "float32", order="C"), plain, regions)
        np.testing.assert_allclose(grad, expected, rtol=1e-4, atol=1e-5)


@operators
@few_maps
def test_inputs_are_not_written_to(operator, case):
    spatial, regions = case
    x = normal((2, *spatial))
    y = forward(operator, x, regions)
    g = normal(y.shape)
    grad = backward(operator, g, x, regions)
    np.testing.assert_array_equal(x, normal((2, *spatial)))
    np.testing.assert_array_equal(g, normal(y.shape))
    for result in (y, grad):
        assert not np.shares_memory(result, x)
        assert not np.shares_memory(result, g)
        assert result.flags.writeable


@operators
@few_maps
def test_leading_axes(operator, case):
    spatial, regions = case
    x = normal((2, 3, *spatial))
    y = forward(operator, x, regions)
    g = normal(y.shape)
    grad = backward(operator, g, x, regions)
    for i in np.ndindex(2, 3):
        np.testing.assert_allclose(y[i], forward(operator, x[i], regions), rtol=1e-13, atol=1e-14)
        np.testing.assert_allclose(grad[i], backward(operator, g[i], x[i], regions), rtol=1e-11, atol=1e-12)
    for lead in ((0,), (0, 3), (2, 0)):
        empty = np.ones((*lead, *spatial), np.float32)
        y = forward(operator, empty, regions)
        assert y.shape == (*lead, *regions.output_shape(spatial))
        assert y.dtype == np.float32
        assert backward(operator, y, empty, regions).shape == empty.shape


@operators
@few_maps
def test_twice_is_the_same_to_the_last_bit(operator, case):
    spatial, regions = case
    x = ties((3, *spatial), "float32")
    g = normal((3, *regions.output_shape(spatial)), "float32")
    first, second = (backward(operator, g, x, regions) for _ in range(2))
    assert first.tobytes() == second.tobytes()


@operators
def test_array_likes_are_taken(operator):
    x = [[1.0, 2.0], [3.0, 4.0]]
    np.testing.assert_array_equal(forward(operator, x, Window(2)), forward(operator, np.array(x), Window(2)))
    np.testing.assert_array_equal(
        backward(operator, [[1]], x, Window(2)), backward(operator, np.ones((1, 1)), np.array(x), Window(2))
    )


# --- backward -------------------------------------------------------------------------------------------------------


@operators
@maps
def test_backward_is_finite_differences(operator, case):
    spatial, regions = case
    x = distinct(spatial)
    g = normal(regions.output_shape(spatial))
    step = 1e-6
    nudges = step * np.eye(x.size).reshape(x.size, *spatial)
    y = forward(operator, x, regions)
    if np.isfinite(y).all():  # all but windows that hold no cell
        ahead, behind = (forward(operator, x + sign * nudges, regions) for sign in (1, -1))
        expected = ((ahead - behind).reshape(x.size, -1) @ g.reshape(-1) / (2 * step)).reshape(spatial)
        rounding = 1e-8 * max(1, np.abs(y).max())
        np.testing.assert_allclose(backward(operator, g, x, regions), expected, rtol=1e-6, atol=rounding)


@operators
@few_maps
def test_backward_in_float32(operator, case):
    spatial, regions = case
    x, g = distinct((2, *spatial), "float32"), normal((2, *regions.output_shape(spatial)), "float32")
    exact = backward(operator, g.astype(np.float64), x.astype(np.float64), regions)
    scale = backward(operator, np.ones_like(g), x, regions)
    np.testing.assert_allclose(
        backward(operator, g, x, regions), exact, rtol=1e-5, atol=2e-6 * max(1, np.abs(scale).max())
    )


@few_maps
@pytest.mark.parametrize("options", [{}, {"count_include_pad": False}, {"divisor_override": 3}], ids=str)
def test_average_backward_is_the_adjoint(case, options):
    spatial, regions = case
    x, g = normal((2, *spatial)), normal((2, *regions.output_shape(spatial)))
    y = np.nan_to_num(avg_pool(x, regions, **options))  # a window without cells has mean NaN and no gradient
    assert np.vdot(g, y) == pytest.approx(np.vdot(avg_pool_backward(g, x, regions, **options), x), rel=1e-11, abs=1e-12)


@pytest.mark.parametrize(
    "operator", [o for o in OPERATORS if o.row.name in ("max", "min", "average", "sum", "lp")], ids=str
)
@few_maps
def test_homogeneous_operators_obey_euler(operator, case):
    """What scales with its input has `<gradient, x> = <g, y>`: max, min, average, sum and norms."""
    spatial, regions = case
    x, g = ties((2, *spatial)) - 1, normal((2, *regions.output_shape(spatial)))
    y = np.nan_to_num(forward(operator, x, regions), nan=0, posinf=0, neginf=0)
    assert np.vdot(g, y) == pytest.approx(np.vdot(backward(operator, g, x, regions), x), rel=1e-11, abs=1e-12)


@pytest.mark.parametrize(
    "operator",
    [o for o in OPERATORS if o.row.name in ("max", "min", "soft", "lse") or o.options == {"count_include_pad": False}],
    ids=str,
)
@few_maps
def test_operators_that_follow_a_shift_pass_the_gradient_on_whole(operator, case):
    """Where `x + c` adds `c`, the gradient of every region adds up to its `g`."""
    spatial, regions = case
    x, g = ties((2, *spatial)), normal((2, *regions.output_shape(spatial)))
    g = np.where(np.isfinite(forward(operator, x, regions)), g, 0)
    assert backward(operator, g, x, regions).sum() == pytest.approx(g.sum(), rel=1e-11, abs=1e-12)


@few_maps
@pytest.mark.parametrize("fill", ["normal", "ties", "wide", "minus inf", "half minus inf"])
def test_soft_backward_is_its_formula(case, fill):
    spatial, regions = case
    x, g = FILLS[fill](spatial), normal(regions.output_shape(spatial))
    expected, size = np.zeros(spatial), np.full(spatial, 1e-300)
    for output_index in np.ndindex(g.shape):
        cells = regions.cells(output_index, spatial)
        values = [x[cell] for cell in cells]
        largest = max(values)
        if largest == -math.inf:
            continue
        weights = [math.exp(v - largest) for v in values]
        y = math.fsum(w * v for w, v in zip(weights, values, strict=True) if w) / math.fsum(weights)
        for cell, weight in zip(cells, weights, strict=True):
            if weight:
                term = g[output_index] * weight / math.fsum(weights) * (1 + x[cell] - y)
                expected[cell] += term
                size[cell] += abs(term) * (1 + abs(x[cell]))
    grad = soft_pool_backward(g, x, regions)
    assert (np.abs(grad - expected) <= 1e-12 * np.maximum(size, 1)).all()


@few_maps
@pytest.mark.parametrize("fill", ["normal", "ties", "huge", "denormal", "wide"])
@pytest.mark.parametrize("p", [1, 1.5, 2, 3])
def test_lp_backward_is_its_formula(case, fill, p):
    spatial, regions = case
    x, g = FILLS[fill](spatial), normal(regions.output_shape(spatial))
    expected = np.zeros(spatial)
    for output_index in np.ndindex(g.shape):
        cells = regions.cells(output_index, spatial)
        largest = max(abs(x[cell]) for cell in cells)
        if largest == 0:
            continue
        norm = math.fsum((abs(x[cell]) / largest) ** p for cell in cells) ** (1 / p)
        for cell in cells:
            if x[cell] != 0:
                expected[cell] += g[output_index] * np.sign(x[cell]) * (abs(x[cell]) / largest / norm) ** (p - 1)
    # Denormal norms have few digits.
    tolerance = 2e-2 if fill == "denormal" else 1e-11
    np.testing.assert_allclose(lp_pool_backward(g, x, regions, p), expected, rtol=tolerance, atol=tolerance)


@maps
@choosing
@pytest.mark.parametrize("fill", ["normal", "ties", "constant", "zeros", "inf", "both infs", "half minus inf"])
def test_the_first_cell_met_is_chosen(case, forward, backward, fill):
    spatial, regions = case
    x = FILLS[fill]((2, *spatial))
    best = max if forward is max_pool else min
    y, indices = forward(x, regions, return_indices=True)
    assert indices.dtype == np.int64
    np.testing.assert_array_equal(y, forward(x, regions))
    g = normal(y.shape)
    expected = np.zeros_like(x)
    for output_index in np.ndindex(y.shape):
        plane, position = x[output_index[0]], output_index[1:]
        cells = regions.cells(position, spatial)
        if not cells:
            assert indices[output_index] == -1
            continue
        cell = best(cells, key=lambda c, plane=plane: plane[c])  # max and min of Python keep the first of equals
        assert indices[output_index] == np.ravel_multi_index(cell, spatial)
        expected[(output_index[0], *cell)] += g[output_index]
    np.testing.assert_allclose(backward(g, x, regions), expected, rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose(backward(g, x, regions, indices), expected, rtol=1e-13, atol=1e-13)


@few_maps
@choosing
@pytest.mark.parametrize("fill", ["nan", "nan and infs"])
def test_an_index_of_nan_points_to_a_nan(case, forward, backward, fill):
    spatial, regions = case
    x = FILLS[fill]((2, *spatial))
    y, indices = forward(x, regions, return_indices=True)
    picked = np.take_along_axis(x.reshape(2, -1), indices.reshape(2, -1), 1)
    np.testing.assert_array_equal(picked, y.reshape(2, -1))
    for output_index in np.ndindex(y.shape):
        cell = np.unravel_index(indices[output_index], spatial)
        assert cell in regions.cells(output_index[1:], spatial)
    assert backward(np.ones_like(y), x, regions).sum() == y.size


def test_running_gradients_by_hand():
    """ones(3) scanned from the bottom up: all three maxima are the last cell, which is met first."""
    ones = np.ones((3, 1))
    for direction, expected in [("up", [0, 0, 3]), ("down", [3, 0, 0])]:
        np.testing.assert_array_equal(max_pool_backward(ones, ones, Running(direction))[:, 0], expected)
    for direction, expected in [("left", [0, 0, 3]), ("right", [3, 0, 0])]:
        np.testing.assert_array_equal(max_pool_backward(ones.T, ones.T, Running(direction))[0], expected)


def test_gradients_by_hand():
    x = np.array([[1.0, 3.0], [3.0, 2.0]])
    g = np.array([[8.0]])
    np.testing.assert_array_equal(max_pool_backward(g, x, Window(2)), [[0, 8], [0, 0]])
    np.testing.assert_array_equal(min_pool_backward(g, x, Window(2)), [[8, 0], [0, 0]])
    np.testing.assert_array_equal(avg_pool_backward(g, x, Window(2)), [[2, 2], [2, 2]])
    np.testing.assert_array_equal(sum_pool_backward(g, x, Window(2)), [[8, 8], [8, 8]])
    np.testing.assert_array_equal(lp_pool_backward(g, x, Window(2), p=1), [[8, 8], [8, 8]])
    np.testing.assert_array_equal(lp_pool_backward(g, -x, Window(2), p=math.inf), [[0, -8], [0, 0]])
    np.testing.assert_allclose(lp_pool_backward(g, x, Window(2)), 8 * x / np.sqrt(23), rtol=1e-15)


def test_overlapping_regions_add_their_gradients():
    x = np.array([0.0, 9.0, 1.0])
    np.testing.assert_array_equal(max_pool_backward(np.array([1.0, 10.0]), x, Window(2, 1, ndim=1)), [0, 11, 0])
    np.testing.assert_array_equal(sum_pool_backward(np.array([1.0, 10.0]), x, Window(2, 1, ndim=1)), [1, 11, 10])


@pytest.mark.parametrize("name, p", [("soft", None), ("lse", None), ("lp", 3), ("gem", 3)])
def test_a_huge_cell_that_no_region_covers_gets_no_gradient(name, p):
    backward = getattr(poolref.numpy, f"{name}_pool_backward")
    big = 1e4 if p is None else 1e200
    gradient = backward(np.ones(1), np.array([1.0, 2.0, big]), Window(2, ndim=1), *([] if p is None else [p]))
    gradient = gradient[0] if name == "gem" else gradient
    assert gradient[2] == 0 and (gradient[:2] > 0).all()


# --- memory ---------------------------------------------------------------------------------------------------------


def scratch(function, *arguments):
    """The most bytes that a call holds at a time, beyond its results."""
    tracemalloc.start()
    try:
        results = function(*arguments)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    return peak - sum(a.nbytes for a in (results if isinstance(results, tuple) else (results,)))


def assert_fixed_scratch(function, layout, regions):
    """Twice the batch costs twice the results and nothing else: no copy of the input, no full-size temporary."""
    used = []
    for batch in (2, 4):
        x = np.broadcast_to(normal((56, 56), "float32"), (batch, 32, 56, 56)).copy()
        x = x if layout == "contiguous" else LAYOUTS[layout](x)
        used.append(scratch(function, x, np.ones((batch, 32, *regions.output_shape((56, 56))), "float32")))
    assert used[1] - used[0] <= 2**17
    assert used[0] <= 2**24


def test_a_map_that_is_pooled_region_by_region_is_not_laid_out_whole():
    x = normal((192, 192), "float32")
    x[3, 3] = 1e4  # beyond plain exponentials
    assert scratch(soft_pool, x, Running("up")) <= 2**25
    assert scratch(soft_pool_backward, np.ones((192, 192), "float32"), x, Running("up")) <= 2**25


layouts_in_memory = pytest.mark.parametrize("layout", ["contiguous", "channels last"])
regions_in_memory = pytest.mark.parametrize(
    "regions",
    [Window(2), Window(3, 2, 1), Adaptive(7), Pyramid(), Rows(), Running("up")],
    ids=lambda r: type(r).__name__,
)


@operators
@layouts_in_memory
@regions_in_memory
def test_memory_beyond_the_result_is_a_fixed_scratch(operator, layout, regions):
    assert_fixed_scratch(lambda x, g: forward(operator, x, regions), layout, regions)
    assert_fixed_scratch(lambda x, g: backward(operator, g, x, regions), layout, regions)


@choosing
@layouts_in_memory
@regions_in_memory
def test_memory_with_indices_is_a_fixed_scratch(forward, backward, layout, regions):
    assert_fixed_scratch(lambda x, g: forward(x, regions, return_indices=True), layout, regions)
    indices = {batch: np.zeros((batch, 32, *regions.output_shape((56, 56))), int) for batch in (2, 4)}
    assert_fixed_scratch(lambda x, g: backward(g, x, regions, indices[len(x)]), layout, regions)


# --- properties -----------------------------------------------------------------------------------------------------


def in_order(low, high, rounding=1e-12):
    return (low <= high + rounding * np.maximum(1, np.abs(high))).all()


@st.composite
def windows(draw, ndim):
    """A Window of `ndim` axes."""
    axis = st.integers(1, 3)
    kernel = draw(st.tuples(*[axis] * ndim))
    return Window(
        kernel,
        draw(st.tuples(*[axis] * ndim)),
        tuple(draw(st.integers(0, k // 2)) for k in kernel),
        draw(st.tuples(*[st.integers(1, 2)] * ndim)),
        draw(st.booleans()),
    )


@st.composite
def cases(draw):
    """An array and regions for it, of any kind, with no region empty."""
    ndim = draw(st.integers(1, 3))
    spatial = draw(st.tuples(*[st.integers(1, 7)] * ndim))
    kinds = [
        windows(ndim),
        st.builds(Adaptive, st.tuples(*[st.integers(1, 8)] * ndim)),
        st.just(Whole(ndim)),
        st.builds(Pyramid, st.lists(st.integers(1, 4), min_size=1, max_size=3).map(tuple), st.just(ndim)),
    ]
    if ndim == 2:
        kinds += [st.just(Rows()), st.just(Columns())]
        kinds.append(st.builds(Running, st.sampled_from(["up", "down", "left", "right"])))
    regions: Regions = draw(st.one_of(kinds))
    try:
        regions.output_shape(spatial)
    except ValueError:
        assume(False)
    x = np.random.default_rng(draw(st.integers(0, 999))).standard_normal((2, *spatial)) * draw(
        st.sampled_from([0.01, 1.0, 30.0, 1000.0])
    )
    assume(np.isfinite(max_pool(x, regions)).all())
    return x, regions


hypothesis_settings = settings(max_examples=60, deadline=None, derandomize=True)


@given(cases())
@hypothesis_settings
def test_max_is_above_soft_is_above_mean_is_above_min(case):
    x, regions = case
    mean = avg_pool(x, regions, count_include_pad=False)
    soft, low, high = soft_pool(x, regions), min_pool(x, regions), max_pool(x, regions)
    assert in_order(low, mean)
    assert in_order(mean, soft)
    assert in_order(soft, high)


@given(cases(), st.sampled_from([-5e3, -1.0, 0.5, 700.0, 1e4]))
@hypothesis_settings
def test_a_shift_of_the_input_shifts_the_output(case, shift):
    x, regions = case
    for pool in (max_pool, min_pool, soft_pool):
        np.testing.assert_allclose(
            pool(x + shift, regions), pool(x, regions) + shift, rtol=1e-10, atol=1e-10 * abs(shift)
        )
    shifted = avg_pool(x + shift, regions, count_include_pad=False)
    expected = avg_pool(x, regions, count_include_pad=False) + shift
    np.testing.assert_allclose(shifted, expected, rtol=1e-10, atol=1e-10 * abs(shift))


@given(cases())
@hypothesis_settings
def test_the_sum_is_the_mean_times_the_count(case):
    x, regions = case
    count = sum_pool(np.ones_like(x), regions)
    expected = avg_pool(x, regions, count_include_pad=False) * count
    np.testing.assert_allclose(sum_pool(x, regions), expected, rtol=1e-11, atol=1e-11 * np.abs(x).max())


@given(cases())
@hypothesis_settings
def test_norms_fall_as_p_grows(case):
    x, regions = case
    norms = [lp_pool(x, regions, p) for p in (0.5, 1, 1.5, 2, 3, 8, 50, math.inf)]
    for larger, smaller in pairwise(norms):
        assert in_order(smaller, larger)
    np.testing.assert_array_equal(norms[-1], max_pool(np.abs(x), regions))
    np.testing.assert_allclose(norms[1], sum_pool(np.abs(x), regions), rtol=1e-12)


@given(cases())
@hypothesis_settings
def test_every_operator_equals_its_definition(case):
    x, regions = case
    for operator in OPERATORS:
        y = forward(operator, x, regions)
        assert_close(y, operator.defined(x, regions), scale_of(operator, x, regions), 1e-11)


@given(cases())
@hypothesis_settings
def test_permuted_planes_are_permuted_outputs(case):
    x, regions = case
    for operator in OPERATORS:
        y, g = forward(operator, x, regions), normal((2, *regions.output_shape(x.shape[1:])))
        np.testing.assert_allclose(forward(operator, x[::-1], regions), y[::-1], rtol=1e-12)
        swapped = backward(operator, g[::-1], x[::-1], regions)
        grad = backward(operator, g, x, regions)
        np.testing.assert_allclose(swapped, grad[::-1], rtol=1e-9, atol=1e-9 * max(1, np.abs(grad).max()))


@given(st.data())
@hypothesis_settings
def test_adaptive_bins_that_divide_the_map_are_a_window(data):
    bins, sizes = (data.draw(st.tuples(*[st.integers(1, 4)] * 2)) for _ in range(2))
    x = normal(tuple(o * k for o, k in zip(bins, sizes, strict=True)))
    for operator in OPERATORS:
        adaptive, window = (forward(operator, x, regions) for regions in (Adaptive(bins), Window(sizes)))
        np.testing.assert_allclose(adaptive, window, rtol=1e-12, atol=1e-13)


@given(st.integers(1, 6), st.tuples(st.integers(1, 7), st.integers(1, 7)))
@hypothesis_settings
def test_a_pyramid_of_one_level_is_adaptive(level, spatial):
    x = normal((2, *spatial))
    for operator in OPERATORS:
        pyramid = forward(operator, x, Pyramid((level,)))
        np.testing.assert_array_equal(pyramid, forward(operator, x, Adaptive(level)).reshape(2, -1))


@given(st.tuples(st.integers(1, 7), st.integers(1, 7)), st.integers(0, 99))
@hypothesis_settings
def test_running_maxima_are_monotone_and_end_in_the_row_and_column_maxima(spatial, seed):
    x = np.random.default_rng(seed).standard_normal(spatial)
    for direction, axis, way in [("down", 0, 1), ("up", 0, -1), ("right", 1, 1), ("left", 1, -1)]:
        y = max_pool(x, Running(direction))
        assert (way * np.diff(y, axis=axis) >= 0).all()
        last = np.take(y, [-1 if way == 1 else 0], axis)
        np.testing.assert_array_equal(last, max_pool(x, Columns() if axis == 0 else Rows()))


@given(st.tuples(st.integers(1, 7), st.integers(1, 7)), st.integers(0, 99))
@hypothesis_settings
def test_rows_columns_and_the_whole_agree(spatial, seed):
    x = np.random.default_rng(seed).standard_normal(spatial)
    for pool in (max_pool, min_pool, sum_pool, avg_pool, lp_pool):
        np.testing.assert_allclose(pool(pool(x, Rows()), Columns()), pool(x, Whole()), rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(pool(x.T, Rows()), pool(x, Columns()).T, rtol=1e-12)
