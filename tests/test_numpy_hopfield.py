"""Hopfield retrieval and pooling, and attention pooling: against torch's attention, and in their limits."""

import numpy as np
import pytest
import torch
from differences import gradients
from hypothesis import given, settings
from hypothesis import strategies as st

from poolref.numpy import (
    attention_pool,
    attention_pool_backward,
    hopfield_pool,
    hopfield_pool_backward,
    hopfield_retrieve,
    hopfield_retrieve_backward,
)

attend = torch.nn.functional.scaled_dot_product_attention


def normal(shape, seed=0, dtype="float64"):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def some(shape, seed=5):
    """A mask in which every row has something."""
    mask = np.random.default_rng(seed).random(shape) < 0.6
    mask[..., 0] = True
    return mask


SHAPES = [((3, 4), (5, 4)), ((2, 3, 4), (2, 5, 4)), ((3, 4), (2, 6, 5, 4)), ((2, 1, 3, 4), (6, 5, 4)), ((3, 1), (1, 1))]


@pytest.mark.parametrize("state_shape, stored_shape", SHAPES)
@pytest.mark.parametrize("steps", [1, 2, 5])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("beta", [0.1, 2])
def test_retrieval_is_repeated_attention(state_shape, stored_shape, steps, masked, beta):
    state, stored = torch.tensor(normal(state_shape, 1)), torch.tensor(normal(stored_shape, 2))
    state.requires_grad_(), stored.requires_grad_()
    lead = np.broadcast_shapes(state_shape[:-2], stored_shape[:-2])
    mask = some((*lead, state_shape[-2], stored_shape[-2])) if masked else None
    y = state.expand(*lead, *state_shape[-2:])
    patterns = stored.expand(*lead, *stored_shape[-2:])
    for _ in range(steps):
        y = attend(y, patterns, patterns, None if mask is None else torch.tensor(mask), scale=beta)
    arguments = state.detach().numpy(), stored.detach().numpy(), beta, steps, mask
    np.testing.assert_allclose(hopfield_retrieve(*arguments), y.detach().numpy(), rtol=1e-11, atol=1e-13)
    g = normal(y.shape, 3)
    y.backward(torch.tensor(g))
    for grad, leaf in zip(hopfield_retrieve_backward(g, *arguments), (state, stored), strict=True):
        np.testing.assert_allclose(grad, leaf.grad.numpy(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("steps", [1, 3])
def test_backward_is_finite_differences(steps):
    state, stored, g = normal((2, 3, 4), 1), normal((2, 5, 4), 2), normal((2, 3, 4), 3)
    mask = some((2, 3, 5))
    mask[1, 2] = False
    expected = gradients(lambda a, b: hopfield_retrieve(a, b, 0.7, steps, mask), g, state, stored)
    for grad, numeric in zip(hopfield_retrieve_backward(g, state, stored, 0.7, steps, mask), expected, strict=True):
        np.testing.assert_allclose(grad, numeric, rtol=1e-6, atol=1e-8)


def test_steps_is_the_number_of_retrievals():
    state, stored = normal((3, 4), 1), normal((5, 4), 2)
    answer = state
    for steps in range(1, 5):
        answer = hopfield_retrieve(answer, stored, 1.5)
        np.testing.assert_array_equal(hopfield_retrieve(state, stored, 1.5, steps), answer)


@given(st.integers(1, 4), st.integers(1, 8), st.integers(1, 6), st.integers(0, 99))
@settings(max_examples=40, deadline=None, derandomize=True)
def test_limits(states, n, d, seed):
    state, stored = normal((states, d), seed), normal((n, d), seed + 1)
    stored /= np.linalg.norm(stored, axis=1, keepdims=True)
    mean = np.broadcast_to(stored.mean(0), (states, d))
    np.testing.assert_allclose(hopfield_retrieve(state, stored, 1e-12), mean, atol=1e-10)
    distance = np.linalg.norm(state[:, None] - stored, axis=2)
    nearest = stored[distance.argmin(1)]
    np.testing.assert_allclose(hopfield_retrieve(state, stored, 1e9), nearest, atol=1e-6)
    hull = hopfield_retrieve(state, stored, 3.0, 4)
    assert (hull <= stored.max(0) + 1e-12).all()
    assert (hull >= stored.min(0) - 1e-12).all()


def test_a_state_converges_to_the_stored_pattern_it_is_near():
    stored = np.eye(8)
    noisy = stored + 0.3 * normal((8, 8))
    once, often = (hopfield_retrieve(noisy, stored, 8.0, steps) for steps in (1, 6))
    assert np.abs(often - stored).max() < 5e-3 < np.abs(once - stored).max()


def test_masked_patterns_take_no_part_and_a_fully_masked_state_gives_0():
    state, stored = normal((3, 4), 1), normal((5, 4), 2)
    mask = np.array([[True, True, False, False, True], [True] * 5, [False] * 5])
    for steps in (1, 4):
        y = hopfield_retrieve(state, stored, 2.0, steps, mask)
        np.testing.assert_allclose(y[:1], hopfield_retrieve(state[:1], stored[[0, 1, 4]], 2.0, steps), rtol=1e-12)
        np.testing.assert_array_equal(y[2], 0)
        g = np.zeros((3, 4))
        g[2] = 1
        for grad in hopfield_retrieve_backward(g, state, stored, 2.0, steps, mask):
            np.testing.assert_array_equal(grad, 0)


def test_large_numbers_do_not_overflow():
    state, stored = 1e4 * normal((3, 4), 1), 1e4 * normal((5, 4), 2)
    best = stored[(state @ stored.T).argmax(1)]
    np.testing.assert_array_equal(hopfield_retrieve(state, stored, 1e4), best)
    np.testing.assert_array_equal(hopfield_retrieve_backward(np.ones((3, 4)), state, stored, 1e4)[0], 0)
    half = hopfield_retrieve(state.astype("float16"), stored.astype("float16"), 1.0)
    assert half.dtype == np.float16
    np.testing.assert_array_equal(half, best.astype("float16"))


# --- pooling --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("query_shape", [(4,), (1, 4), (3, 4)])
@pytest.mark.parametrize("masked", [False, True])
def test_pooling_asks_every_set_with_the_same_query(query_shape, masked):
    x, query = normal((2, 3, 6, 4), 1), normal(query_shape, 2)
    mask = some((2, 3, 6)) if masked else None
    y = hopfield_pool(x, query, 0.8, 2, mask)
    assert y.shape == (2, 3, *query_shape)
    for i in np.ndindex(2, 3):
        cells = x[i] if mask is None else x[i][mask[i]]
        np.testing.assert_allclose(
            np.atleast_2d(y[i]), hopfield_retrieve(np.atleast_2d(query), cells, 0.8, 2), rtol=1e-12
        )
    g = normal(y.shape, 3)
    expected = gradients(lambda x, query: hopfield_pool(x, query, 0.8, 2, mask), g, x, query)
    for grad, numeric in zip(hopfield_pool_backward(g, x, query, 0.8, 2, mask), expected, strict=True):
        np.testing.assert_allclose(grad, numeric, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("query_shape", [(4,), (3, 4)])
@pytest.mark.parametrize("masked", [False, True])
def test_attention_pooling_is_torch_attention(query_shape, masked):
    x, query = torch.tensor(normal((2, 6, 4), 1)), torch.tensor(normal(query_shape, 2))
    x.requires_grad_(), query.requires_grad_()
    mask = some((2, 6)) if masked else None
    y = attend(torch.atleast_2d(query).expand(2, -1, 4), x, x, torch.tensor(mask)[:, None] if masked else None)
    y = y.reshape(2, *query_shape)
    g = normal(y.shape, 3)
    y.backward(torch.tensor(g))
    arguments = x.detach().numpy(), query.detach().numpy(), mask
    np.testing.assert_allclose(attention_pool(*arguments), y.detach().numpy(), rtol=1e-12, atol=1e-14)
    for grad, leaf in zip(attention_pool_backward(g, *arguments), (x, query), strict=True):
        np.testing.assert_allclose(grad, leaf.grad.numpy(), rtol=1e-10, atol=1e-13)


def test_attention_to_padded_sets():
    x, query = normal((3, 6, 4), 1), normal(4, 2)
    sizes = 6, 2, 0
    mask = np.arange(6) < np.array(sizes)[:, None]
    y, g = attention_pool(x, query, mask), normal((3, 4), 3)
    dx, dquery = attention_pool_backward(g, x, query, mask)
    for i, n in enumerate(sizes[:2]):
        np.testing.assert_allclose(y[i], attention_pool(x[i, :n], query), rtol=1e-12)
        np.testing.assert_allclose(dx[i, :n], attention_pool_backward(g[i], x[i, :n], query)[0], rtol=1e-10, atol=1e-15)
    assert not dx[~mask].any() and not y[2].any()
    alone = [attention_pool_backward(g[i], x[i, :n], query)[1] for i, n in enumerate(sizes[:2])]
    np.testing.assert_allclose(dquery, sum(alone), rtol=1e-10)


def test_attention_backward_is_its_formula():
    x, query, g = normal((6, 4), 1), normal(4, 2), normal(4, 3)
    w = np.exp(x @ query / 2) / np.exp(x @ query / 2).sum()
    s = w * ((x - w @ x) @ g) / 2
    dx, dquery = attention_pool_backward(g, x, query)
    np.testing.assert_allclose(dx, np.outer(w, g) + np.outer(s, query), rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(dquery, s @ x, rtol=1e-12, atol=1e-15)


@given(st.integers(1, 9), st.integers(1, 5), st.integers(0, 99))
@settings(max_examples=30, deadline=None, derandomize=True)
def test_the_order_of_the_cells_does_not_matter_and_a_query_of_0_gives_the_mean(cells, channels, seed):
    x, query = normal((cells, channels), seed), normal(channels, seed + 1)
    order = np.random.default_rng(seed).permutation(cells)
    np.testing.assert_allclose(attention_pool(x[order], query), attention_pool(x, query), rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(attention_pool(x, np.zeros(channels)), x.mean(0), rtol=1e-12, atol=1e-13)


def test_dtypes_and_empty_batches():
    for dtype in ("float16", "float32", "float64"):
        x, query = normal((2, 6, 4), 1, dtype), normal(4, 2, dtype)
        y = attention_pool(x, query)
        assert y.dtype == dtype
        assert [grad.dtype for grad in attention_pool_backward(y, x, query)] == [dtype] * 2
        wide = attention_pool(x.astype("float64"), query.astype("float64"))
        np.testing.assert_allclose(y, wide, rtol=0, atol=2 * np.finfo(dtype).eps * np.abs(x).max())
    assert attention_pool(np.ones((0, 6, 4)), np.ones(4)).shape == (0, 4)
    dx, dquery = attention_pool_backward(np.ones((0, 4)), np.ones((0, 6, 4)), np.ones(4))
    assert dx.shape == (0, 6, 4)
    np.testing.assert_array_equal(dquery, np.zeros(4))


def test_refuses():
    state, stored = np.ones((3, 4)), np.ones((5, 4))
    message = r"^state and stored must be \(..., vectors, features\) .*, got \(3, 4\) and "
    for wrong in (np.ones((5, 3)), np.ones(4), np.ones((0, 4))):
        with pytest.raises(ValueError, match=message):
            hopfield_retrieve(state, wrong, 1.0)
    with pytest.raises(ValueError, match=r"^state and stored must have leading axes that broadcast, got \(2, 3, 4\)"):
        hopfield_retrieve(np.ones((2, 3, 4)), np.ones((3, 5, 4)), 1.0)
    for beta in (0, -1, np.inf):
        with pytest.raises(ValueError, match=r"^beta must be above 0 and finite, got"):
            hopfield_retrieve(state, stored, beta)
    with pytest.raises(ValueError, match=r"^steps must be at least 1, got 0"):
        hopfield_retrieve(state, stored, 1.0, 0)
    with pytest.raises(TypeError, match=r"^mask must hold bools"):
        hopfield_retrieve(state, stored, 1.0, mask=np.ones((3, 5)))
    with pytest.raises(ValueError, match=r"^mask must broadcast to the shape \(3, 5\), got \(5, 3\)"):
        hopfield_retrieve(state, stored, 1.0, mask=np.ones((5, 3), bool))
    with pytest.raises(ValueError, match=r"^grad_output must have the output's shape \(3, 4\), got \(5, 4\)"):
        hopfield_retrieve_backward(stored, state, stored, 1.0)
    with pytest.raises(TypeError, match=r"^x must hold floats"):
        attention_pool(np.ones((5, 4), int), np.ones(4))
