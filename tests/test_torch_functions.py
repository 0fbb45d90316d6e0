"""What every function has to go through that is no reducer over regions: one table for all of them.

The tests of its family compare each with the NumPy column; here come special values, float32, empty batches, channels
in another order, and torch.func.
"""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.func import grad, jacrev, vmap
from torch_checks import draw

import poolref.numpy as pr
from poolref.regions import Adaptive, Pyramid, Window
from poolref.torch import functional as pt

WEIGHT = draw(2, 2, seed=1)
QUERY = draw(4, seed=2)
BOXES = torch.tensor([[0, 0.0, 0.0, 6.0, 5.0], [1, 1.3, 0.7, 4.9, 3.2], [0, -3.0, -2.0, 2.4, 9.0]], dtype=torch.float64)


def boxes_of(x):
    return BOXES if len(x) else BOXES[:0]


def unpooled(column, x):
    """What column.max_unpool makes of the maps in `x`, at the places of the maxima of another map."""
    other = np.random.default_rng(4).normal(size=(*x.shape[:-2], 12, 14))
    indices = pr.max_pool(other, Window(2), return_indices=True)[1]
    return column.max_unpool(x, indices if column is pr else torch.from_numpy(indices), (12, 14))


def pyramid_of_numpy(x):
    levels = np.split(pr.max_pool(x, Pyramid((3, 1))), [9], axis=-1)
    return np.concatenate([level.reshape(len(x), x.shape[1] * level.shape[-1]) for level in levels], 1)


# The NumPy function and the torch function, of maps (2, 3, 6, 7) or, at the end, of sets (2, 5, 4).
MAPS = {
    "strip": (pr.strip_pool, pt.strip_pool),
    "center": (pr.center_pool, pt.center_pool),
    "corner": (lambda x: pr.corner_pool(x, 2 * x), lambda x: pt.corner_pool(x, 2 * x)),
    "pyramid": (pyramid_of_numpy, lambda x: pt.spatial_pyramid_pool2d(x, (3, 1))),
    "blur": (lambda x: pr.blur_pool(x, 4), lambda x: pt.blur_pool(x, 4)),
    "max blur": (lambda x: pr.max_blur_pool(x, 3, 3, 2, 1), lambda x: pt.max_blur_pool(x, 3, 3, 2, 1)),
    "gated": (
        lambda x: pr.gated_pool(x, Window(2), WEIGHT.numpy()),
        lambda x: pt.gated_pool(x, Window(2), WEIGHT.to(x.dtype)),
    ),
    "expected": (lambda x: pr.expected_pool(np.abs(x), Window(2)), lambda x: pt.expected_pool(x.abs(), Window(2))),
    "subsample": (lambda x: pr.subsample(x, Window(3, 2, 1)), lambda x: pt.subsample(x, Window(3, 2, 1))),
    "max unpool": (lambda x: unpooled(pr, x), lambda x: unpooled(pt, x)),
    "RoI pool": (lambda x: pr.roi_pool(x, boxes_of(x).numpy(), 2), lambda x: pt.roi_pool(x, boxes_of(x), 2)),
    "RoIAlign": (lambda x: pr.roi_align(x, boxes_of(x).numpy(), 2), lambda x: pt.roi_align(x, boxes_of(x), 2)),
}
SETS = {
    "Hopfield": (
        lambda x: pr.hopfield_pool(x, QUERY.numpy().astype(x.dtype), 2.0, 2),
        lambda x: pt.hopfield_pool(x, QUERY.to(x), 2.0, 2),
    ),
    "attention": (
        lambda x: pr.attention_pool(x, QUERY.numpy().astype(x.dtype)),
        lambda x: pt.attention_pool(x, QUERY.to(x)),
    ),
}
CASES = {name: (*case, (2, 3, 6, 7)) for name, case in MAPS.items()} | {
    name: (*case, (2, 5, 4)) for name, case in SETS.items()
}
every_function = pytest.mark.parametrize("ours, function, shape", CASES.values(), ids=CASES)


@every_function
def test_float32_is_within_1e_6(ours, function, shape):
    x = draw(*shape, dtype=torch.float32)
    largest = x.abs().max().item()
    expected = ours(x.double().numpy())
    assert function(x).dtype == torch.float32 and ours(x.numpy()).dtype == np.float32
    np.testing.assert_allclose(function(x), expected, rtol=0, atol=2e-6 * largest)
    np.testing.assert_allclose(ours(x.numpy()), expected, rtol=0, atol=2e-6 * largest)


@every_function
def test_nan_and_ties_are_the_numpy_columns(ours, function, shape):
    x = draw(*shape).round()
    np.testing.assert_allclose(function(x), ours(x.numpy()), rtol=1e-12, atol=1e-12)
    x.view(2, -1)[1, ::31] = torch.nan
    y, expected = function(x), ours(x.numpy())
    np.testing.assert_allclose(y, expected, rtol=1e-12, atol=1e-12)
    assert np.isnan(expected).any() and not np.isnan(expected).all()


@every_function
def test_empty_batch(ours, function, shape):
    x = torch.ones(0, *shape[1:], dtype=torch.float64, requires_grad=True)
    y = function(x)
    assert y.shape == ours(x.detach().numpy()).shape
    assert y.numel() == 0
    (x_grad,) = torch.autograd.grad(y.sum(), x)
    assert x_grad.shape == x.shape


@given(
    st.integers(0, 2**31), st.permutations(range(3)), st.sampled_from([name for name in MAPS if name != "max unpool"])
)
@settings(max_examples=60, deadline=None)
def test_channels_in_another_order_are_pooled_in_that_order(seed, order, name):
    function = MAPS[name][1]
    x = draw(2, 3, 6, 7, seed=seed)
    if name == "pyramid":  # whose vector has its channels inside of each level
        order = [*order]
        parts = torch.split(function(x), [27, 3], 1)
        expected = torch.cat([part.unflatten(1, (3, -1))[:, order].flatten(1) for part in parts], 1)
    else:
        expected = function(x)[:, list(order)]
    torch.testing.assert_close(function(x[:, list(order)]), expected, rtol=1e-12, atol=1e-12)


@every_function
@pytest.mark.filterwarnings("ignore:There is a performance drop")
def test_torch_func_is_autograd(ours, function, shape):
    def loss(x):
        return function(x).square().sum()

    x = draw(3, *shape)
    plain = x.clone().requires_grad_()
    (expected,) = torch.autograd.grad(sum(loss(each) for each in plain), plain)
    torch.testing.assert_close(vmap(grad(loss))(x), expected)
    torch.testing.assert_close(vmap(function)(x), torch.stack([function(each) for each in x]))
    jacobian = torch.autograd.functional.jacobian(function, x[0])
    torch.testing.assert_close(jacrev(function)(x[0]), jacobian)


@given(
    st.integers(0, 2**31),
    st.tuples(st.integers(1, 4), st.integers(1, 4)),
    st.tuples(st.integers(1, 3), st.integers(1, 3)),
)
@settings(max_examples=30, deadline=None)
def test_bins_that_divide_the_map_are_windows(seed, size, bins):
    x = draw(2, size[0] * bins[0], size[1] * bins[1], seed=seed)
    for reducer in (
        pt.max_pool,
        pt.min_pool,
        pt.avg_pool,
        pt.sum_pool,
        pt.lp_pool,
        pt.soft_pool,
        pt.lse_pool,
        pt.gem_pool,
    ):
        torch.testing.assert_close(reducer(x, Adaptive(bins)), reducer(x, Window(size)), rtol=1e-12, atol=1e-12)


@given(st.integers(0, 2**31), st.integers(1, 4), st.integers(1, 4), st.integers(0, 1))
@settings(max_examples=40, deadline=None)
def test_unpooling_a_pooled_map_leaves_the_winners(seed, kernel, stride, padding):
    window = Window(kernel, stride, min(padding, kernel // 2))
    x = draw(2, 7, 8, seed=seed)
    values, indices = pt.max_pool(x, window, return_indices=True)
    y = pt.max_unpool(values, indices, (7, 8))
    won = torch.zeros(2, 56, dtype=torch.bool).scatter_(1, indices.flatten(1), True).view_as(x)
    assert torch.equal(y, torch.where(won, x, 0))
