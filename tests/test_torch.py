"""The torch column's reducers on every kind of regions, against the definition, NumPy column and autograd's checks."""

import numpy as np
import pytest
import torch
from cases import (
    FEW_MAPS,
    FILLS,
    LAYOUTS,
    MAPS,
    OPERATORS,
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
from torch.autograd import gradcheck, gradgradcheck

from benchmarks import measure
from poolref import catalog
from poolref.regions import Adaptive, Pyramid, Running, Whole, Window
from poolref.torch import functional
from poolref.torch.functional import avg_pool, lp_pool, max_pool, min_pool, soft_pool, sum_pool

IN_TORCH = [operator for operator in OPERATORS if operator.row.torch]
operators = pytest.mark.parametrize("operator", IN_TORCH, ids=str)
maps = pytest.mark.parametrize("case", MAPS, ids=map_id)
few_maps = pytest.mark.parametrize("case", FEW_MAPS, ids=map_id)


def pool(operator, x, regions):
    """The torch reducer has the name of the NumPy one."""
    name = operator.row.numpy.rpartition(".")[2]
    return getattr(functional, name)(x, regions, **operator.options)


def pool_and_grad(operator, x, regions, seed=0):
    """The output, the gradient of the output that was sent back, and the gradient of the input."""
    x = x.detach().requires_grad_()
    y = pool(operator, x, regions)
    g = torch.randn(y.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(y.dtype)
    return y.detach(), g, torch.autograd.grad(y, x, g)[0]


def numpy_pool(operator, x, regions):
    return catalog.resolve(operator.row.numpy)(x, regions, **operator.options)


def numpy_backward(operator, g, x, regions):
    result = catalog.resolve(operator.row.numpy + "_backward")(g, x, regions, **operator.options)
    return result[0] if isinstance(result, tuple) else result


# --- forward and backward --------------------------------------------------------------------------------------------


@operators
@maps
def test_forward_is_the_definition(operator, case):
    spatial, regions = case
    for dtype, tolerance in [("float64", 1e-12), ("float32", 1e-6)]:
        x = normal((2, *spatial), dtype)
        y = pool(operator, torch.from_numpy(x), regions)
        assert y.numpy().dtype == x.dtype
        assert_close(y.numpy(), operator.defined(x, regions), scale_of(operator, x, regions), tolerance)


@operators
@maps
def test_backward_is_the_numpy_columns(operator, case):
    spatial, regions = case
    for values in (distinct, ties):
        x = values((2, *spatial))
        _, g, grad = pool_and_grad(operator, torch.from_numpy(x), regions)
        np.testing.assert_allclose(grad, numpy_backward(operator, g.numpy(), x, regions), rtol=1e-10, atol=1e-12)


@operators
@pytest.mark.parametrize("fill", FILLS)
def test_every_kind_of_values(operator, fill):
    for spatial, regions in FEW_MAPS:
        for dtype, tolerance in [("float64", 1e-12), ("float32", 1e-6)]:
            x = FILLS[fill]((2, *spatial), dtype)
            y = pool(operator, torch.from_numpy(x), regions)
            with np.errstate(all="ignore"):
                expected, scale = operator.defined(x, regions), scale_of(operator, x, regions)
                expected = np.where(np.abs(expected) > np.finfo(dtype).max, np.sign(expected) * np.inf, expected)
            assert_close(y.numpy(), expected, scale, tolerance, f"{dtype} {regions}")


@pytest.mark.parametrize("fill", [fill for fill in SPECIAL if "nan" not in fill])
@pytest.mark.parametrize("operator", [o for o in IN_TORCH if o.row.name in ("soft", "lse", "lp")], ids=str)
def test_gradients_of_special_values_are_the_numpy_columns(operator, fill):
    fewer_windows_than_taps = ((5, 6), Window(4, 1)), ((6, 5), Window(5, 3, 2, ceil_mode=True))
    for spatial, regions in FEW_MAPS + fewer_windows_than_taps:
        x = SPECIAL[fill]((2, *spatial), "float64")
        _, g, grad = pool_and_grad(operator, torch.from_numpy(x), regions)
        with np.errstate(all="ignore"):
            expected = numpy_backward(operator, g.numpy(), x, regions)
        scale = np.nanmax(np.abs(expected[np.isfinite(expected)]), initial=1)
        np.testing.assert_allclose(grad, expected, rtol=1e-9, atol=1e-9 * scale, err_msg=f"{regions}\n{x}")


@operators
@few_maps
def test_gradcheck(operator, case):
    spatial, regions = case
    x = torch.from_numpy(distinct((1, *spatial))).requires_grad_()
    assert gradcheck(lambda x: pool(operator, x, regions), x)


@operators
@pytest.mark.parametrize("regions", [Window(2, 1), Adaptive(2), Whole(), Running("up")], ids=repr)
def test_gradgradcheck(operator, regions):
    x = torch.from_numpy(distinct((1, 3, 3)) / 4).requires_grad_()
    assert gradgradcheck(lambda x: pool(operator, x, regions), x)


@operators
def test_cells_outside_all_regions_have_gradient_0(operator):
    x = torch.tensor([[[1.0, 2.0, 1e30], [3.0, 4.0, torch.inf]]])
    grad = pool_and_grad(operator, x, Window(2))[2]
    assert torch.equal(grad[..., 2], torch.zeros(1, 2))


# --- dtypes and layouts ----------------------------------------------------------------------------------------------


def steps_apart(a, b):
    """How many numbers of a 16-bit dtype lie between two finite tensors, at most."""
    ordered = [
        torch.where(v.view(torch.int16) < 0, -(v.view(torch.int16) & 0x7FFF), v.view(torch.int16)) for v in (a, b)
    ]
    return (ordered[0].int() - ordered[1].int()).abs().amax().item() if len(a) else 0


@operators
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_half_precision_is_within_one_step_of_float32(operator, dtype):
    for spatial, regions in FEW_MAPS:
        for fill in ("normal", "ties", "negatives", "wide", "huge"):
            x = torch.from_numpy(FILLS[fill]((2, *spatial), "float16")).to(dtype)
            y, _, grad = pool_and_grad(operator, x, regions)
            wide, _, wide_grad = pool_and_grad(operator, x.float(), regions)
            wide = wide.to(dtype)
            assert y.dtype == grad.dtype == dtype
            assert torch.equal(y.isinf(), wide.isinf())
            finite = wide.isfinite()
            assert steps_apart(y[finite], wide[finite]) <= 1, f"{regions} {fill}"
            if fill in ("normal", "negatives"):
                torch.testing.assert_close(grad.float(), wide_grad, rtol=0.05, atol=0.05)


@pytest.mark.parametrize("dtype", [torch.int8, torch.uint8, torch.int16, torch.int32, torch.int64], ids=str)
@pytest.mark.parametrize("name", ["max_pool", "min_pool", "sum_pool"])
def test_ints_are_the_numpy_columns(name, dtype):
    limits = torch.iinfo(dtype)
    for spatial, regions in MAPS:
        x = np.random.default_rng(0).integers(limits.min, limits.max, (2, *spatial), endpoint=True)
        x = torch.from_numpy(x).to(dtype)
        expected = catalog.resolve(f"poolref.numpy.{name}")(x.numpy(), regions)
        assert torch.equal(getattr(functional, name)(x, regions), torch.from_numpy(expected)), regions


def test_int64_means_are_rounded_towards_zero():
    x = torch.tensor([-3, 0, 0, 0, 1, 0, 0, 0, -4]).view(1, 3, 3)
    for regions in (Window(2), Window(2, 1, dilation=2), Window(2, 1, 1)):
        expected = catalog.resolve("poolref.numpy.avg_pool")(x.numpy(), regions)
        assert torch.equal(avg_pool(x, regions), torch.from_numpy(expected))


@pytest.mark.parametrize("name", ["max_pool", "min_pool"])
@maps
def test_the_first_of_equal_cells_takes_the_gradient(name, case):
    spatial, regions = case
    x = torch.zeros(1, *spatial, dtype=torch.float64, requires_grad=True)
    y = getattr(functional, name)(x, regions)
    (grad,) = torch.autograd.grad(y.sum(), x)
    expected = np.zeros(spatial)
    for output_index in np.ndindex(regions.output_shape(spatial)):
        for cell in regions.cells(output_index, spatial)[:1]:
            expected[cell] += 1
    np.testing.assert_array_equal(grad[0], expected)


@maps
def test_max_indices_are_the_numpy_columns(case):
    spatial, regions = case
    x = ties((2, *spatial))
    values, indices = max_pool(torch.from_numpy(x), regions, return_indices=True)
    expected_values, expected = catalog.resolve("poolref.numpy.max_pool")(x, regions, return_indices=True)
    np.testing.assert_array_equal(values, expected_values)
    np.testing.assert_array_equal(indices, expected)


@operators
@pytest.mark.parametrize("layout", ["channels last", "batch inside channels", "transposed", "strided", "broadcast"])
def test_layout_does_not_matter(operator, layout):
    for regions in (Window(2), Window(3, 1, 1), Adaptive((4, 3)), Whole(), Pyramid((2, 1)), Running("up")):
        x = torch.from_numpy(LAYOUTS[layout](normal((2, 3, 6, 7))))
        y, _, grad = pool_and_grad(operator, x, regions)
        plain, _, plain_grad = pool_and_grad(operator, x.contiguous(), regions)
        torch.testing.assert_close(y, plain, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(grad, plain_grad, rtol=1e-11, atol=1e-11)
        if layout == "channels last" and isinstance(regions, Window):
            assert y.is_contiguous(memory_format=torch.channels_last)
            assert grad.is_contiguous(memory_format=torch.channels_last)


@operators
def test_leading_axes_and_empty_batches(operator):
    for spatial, regions in FEW_MAPS:
        x = torch.from_numpy(normal((2, 3, 2, *spatial)))
        y = pool(operator, x, regions)
        torch.testing.assert_close(y[1, 2], pool(operator, x[1, 2], regions), rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(y[1, 2, 0], pool(operator, x[1, 2, 0], regions), rtol=1e-12, atol=1e-12)
        for lead in ((0,), (0, 3), (2, 0)):
            y, _, grad = pool_and_grad(operator, torch.ones(*lead, *spatial), regions)
            assert y.shape == (*lead, *regions.output_shape(spatial))
            assert grad.shape == (*lead, *spatial)


@operators
@pytest.mark.parametrize("regions", [Window(2), Window(3, 2, 1), Window(3, 1, 1), Window(2, 2, 0, 1, True)], ids=repr)
def test_large_maps_in_blocks(operator, regions):
    """Large enough for several blocks of planes, and for the operators that leave small maps to torch."""
    x = normal((5, 3, 151, 150), "float32")
    x[3, 1, 7, 7] = 300  # one block has to look at each region by itself
    for array in (x, LAYOUTS["channels last"](x)):
        y, g, grad = pool_and_grad(operator, torch.from_numpy(array), regions)
        expected, scale = numpy_pool(operator, x, regions), scale_of_large(operator, x, regions)
        for result in (pool(operator, torch.from_numpy(array), regions), y):
            assert_close(result.numpy(), expected, scale, 1e-6)
        torch.testing.assert_close(
            grad, torch.from_numpy(numpy_backward(operator, g.numpy(), x, regions)), rtol=1e-4, atol=2e-4
        )


@operators
@few_maps
def test_twice_is_the_same_to_the_last_bit(operator, case):
    spatial, regions = case
    x = torch.from_numpy(ties((3, *spatial), "float32"))
    first, second = (pool_and_grad(operator, x, regions) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


# --- numbers where others break --------------------------------------------------------------------------------------


def test_soft_pool_far_from_zero():
    x = torch.tensor([[0.0, 1.0], [2.0, 3.0]])
    weights = torch.softmax(x.reshape(-1), 0)
    y = (weights * x.reshape(-1)).sum()
    for dtype, offset in ((torch.float32, 1e4), (torch.float32, -1e4), (torch.float64, 1e6), (torch.float64, -1e6)):
        torch.testing.assert_close(soft_pool(x.to(dtype) + offset, Window(2)), (y + offset).to(dtype).view(1, 1))
    for dtype in (torch.float16, torch.bfloat16):
        far = torch.tensor([[1e4, -1e4], [-1e4, -1e4]], dtype=dtype, requires_grad=True)
        pooled = soft_pool(far, Window(2))
        pooled.backward()
        assert pooled.item() == far[0, 0].item()
        assert far.grad.tolist() == [[1, 0], [0, 0]]


def test_soft_pool_of_infinities():
    inf = torch.inf
    x = torch.tensor([[-inf, -inf], [-inf, 5], [inf, 1], [inf, -inf], [torch.nan, -inf]], requires_grad=True)
    y = soft_pool(x, Window((1, 2)))
    np.testing.assert_array_equal(y.detach()[:, 0], [-inf, 5, inf, inf, torch.nan])
    y[1:3].sum().backward()
    assert x.grad[1:3].tolist() == [[0, 1], [1, 0]]


def test_lp_pool_does_not_overflow_before_its_result():
    for value, p, expected in ((1e20, 2, 2e20), (-5e37, 1, 2e38), (1e-30, 3, 4 ** (1 / 3) * 1e-30), (7, 1000, 7.0097)):
        x = torch.full((2, 2), float(value), requires_grad=True)
        y = lp_pool(x, Window(2), p)
        y.sum().backward()
        torch.testing.assert_close(y, torch.full((1, 1), expected, dtype=torch.float32), rtol=1e-5, atol=0)
        slope = 4 ** (1 / p - 1) * np.sign(value)
        torch.testing.assert_close(x.grad, torch.full((2, 2), slope, dtype=torch.float32), rtol=1e-4, atol=0)


def test_lp_pool_of_zeros_has_gradient_zero():
    for p in (0.5, 1, 2, 3, torch.inf):
        for other in (0.0, 1.0, 1e30, 1e-39):  # the last two make it look at each region by itself
            x = torch.tensor([[other, 0.0]], requires_grad=True)
            lp_pool(x, Window((1, 2)), p).sum().backward()
            assert x.grad.tolist() == [[float(other > 0), 0]]


def test_min_pool_of_ints_keeps_the_lowest():
    x = torch.tensor([[-128, 127], [0, 5]], dtype=torch.int8)
    assert min_pool(x, Window(2)).item() == -128
    assert min_pool(torch.tensor([[200, 3]], dtype=torch.uint8), Window((1, 2))).item() == 3


# --- drawn cases -----------------------------------------------------------------------------------------------------


@st.composite
def windows(draw, ndim):
    """A window, and a map that it fits into."""
    sizes = [draw(st.integers(1, 7)) for _ in range(ndim)]
    kernel = tuple(draw(st.integers(1, 4)) for _ in range(ndim))
    stride = tuple(draw(st.integers(1, 4)) for _ in range(ndim))
    padding = tuple(draw(st.integers(0, k // 2)) for k in kernel)
    dilation = tuple(draw(st.integers(1, 2)) for _ in range(ndim))
    window = Window(kernel, stride, padding, dilation, draw(st.booleans()))
    assume(all(n + 2 * p > d * (k - 1) for n, k, p, d in zip(sizes, kernel, padding, dilation, strict=True)))
    return sizes, window


@given(st.integers(1, 3).flatmap(windows), st.sampled_from(IN_TORCH), st.integers(0, 2**31), st.booleans())
@settings(max_examples=150, deadline=None)
def test_drawn_windows_are_the_numpy_columns(case, operator, seed, few_values):
    sizes, window = case
    x = np.random.default_rng(seed).standard_normal((2, 2, *sizes))
    x = np.round(x) if few_values else x
    y, g, grad = pool_and_grad(operator, torch.from_numpy(x), window)
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(y, numpy_pool(operator, x, window), rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(grad, numpy_backward(operator, g.numpy(), x, window), rtol=1e-9, atol=1e-11)


def test_windows_longer_than_the_map_and_shorter_than_its_padding():
    x = torch.ones(1, 1, 1, 1)  # which torch's avg_pool3d refuses
    window = Window((1, 1, 2), 1, (0, 0, 1))
    assert avg_pool(x, window).tolist() == [[[[0.5, 0.5]]]]
    assert sum_pool(x, window).tolist() == [[[[1, 1]]]]


@given(st.integers(0, 2**31), st.floats(-50, 50))
@settings(max_examples=40, deadline=None)
def test_soft_pool_lies_between_mean_and_max_and_shifts(seed, shift):
    x = 3 * torch.randn(2, 6, 6, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    window = Window(3, 1)
    y = soft_pool(x, window)
    assert (y <= max_pool(x, window) + 1e-12).all() and (y >= avg_pool(x, window) - 1e-12).all()
    torch.testing.assert_close(soft_pool(x + shift, window), y + shift, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(sum_pool(x, window), 9 * avg_pool(x, window))


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=str)
@pytest.mark.parametrize(
    "name, regions",
    [(name, Adaptive(7)) for name in ("gem_pool", "lse_pool", "lp_pool", "soft_pool", "expected_pool")]
    + [("expected_pool", Window(2)), ("expected_pool", Window(3, 2, 1))],
    ids=str,
)
def test_cells_laid_out_take_at_most_two_maps_of_memory(name, regions, layout):
    """Beyond the results, and beyond what a block of planes takes, which does not grow with the batch."""
    x = torch.rand(16, 64, 55, 55).contiguous(memory_format=layout).requires_grad_()

    def train():
        y = getattr(functional, name)(x, regions)
        return y.detach(), *torch.autograd.grad(y, x, torch.ones_like(y))

    peak, results = measure.memory(train)
    assert peak - results <= 2 * x.nbytes + 2**22 * torch.get_num_threads()
