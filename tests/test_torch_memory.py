"""Hopfield pooling and the two kinds of attention pooling."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_checks import check_all, draw

import poolref.numpy
from poolref.torch import PMA, AttentionPool2d, HopfieldPool
from poolref.torch.functional import attention_pool, hopfield_converge, hopfield_pool, hopfield_retrieve

MASK = torch.tensor([[True, True, False, True], [False] * 4, [True, False, False, False]])


@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("masked", [False, True])
def test_retrieval_is_the_numpy_columns(steps, masked):
    state, stored = draw(3, 2, 5).requires_grad_(), draw(3, 4, 5, seed=1).requires_grad_()
    mask = MASK[:, None] if masked else None
    y = hopfield_retrieve(state, stored, 0.7, steps, mask)
    g = draw(*y.shape, seed=2)
    arrays = state.detach().numpy(), stored.detach().numpy(), 0.7, steps, None if mask is None else mask.numpy()
    np.testing.assert_allclose(y.detach(), poolref.numpy.hopfield_retrieve(*arrays), rtol=1e-12, atol=1e-14)
    expected = poolref.numpy.hopfield_retrieve_backward(g.numpy(), *arrays)
    for grad, correct in zip(torch.autograd.grad(y, (state, stored), g), expected, strict=True):
        np.testing.assert_allclose(grad, correct, rtol=1e-9, atol=1e-12)


def test_pools_are_the_numpy_columns():
    x, queries = draw(3, 4, 5), draw(2, 5, seed=1)
    arrays = x.numpy(), queries.numpy()
    torch.testing.assert_close(
        hopfield_pool(x, queries, 2.0, 2, MASK),
        torch.from_numpy(poolref.numpy.hopfield_pool(*arrays, 2.0, 2, MASK.numpy())),
    )
    for query in (queries, queries[0]):
        expected = torch.from_numpy(poolref.numpy.attention_pool(arrays[0], query.numpy()))
        torch.testing.assert_close(attention_pool(x, query), expected, rtol=1e-12, atol=1e-12)


def test_the_bare_module_is_the_function():
    pool = HopfieldPool(5, queries=2, steps=3, project=False).double()
    x = draw(3, 4, 5)
    torch.testing.assert_close(pool(x, MASK), hopfield_pool(x, pool.query, 5**-0.5, 3, MASK).flatten(-2))
    assert pool.query.std() < 0.05


def test_heads_are_torchs_multihead_attention():
    torch.manual_seed(0)
    pool = HopfieldPool(6, heads=3, queries=2)
    theirs = torch.nn.MultiheadAttention(6, 3, batch_first=True)
    layers = (pool.to_query, pool.to_key, pool.to_value)
    theirs.in_proj_weight.data = torch.cat([layer.weight for layer in layers])
    theirs.in_proj_bias.data = torch.cat([layer.bias for layer in layers])
    theirs.out_proj.load_state_dict(pool.to_answer.state_dict())
    x = draw(3, 4, 6).float()
    mask = MASK.clone()
    mask[1, 0] = True  # theirs is NaN where all is masked
    expected = theirs(pool.query.expand(3, 2, 6), x, x, key_padding_mask=~mask)[0]
    torch.testing.assert_close(pool(x, mask), expected.flatten(1))


def test_all_masked_gives_0_and_gradient_0():
    for steps in (1, 3, None):
        pool = HopfieldPool(6, heads=2, steps=steps)
        x = draw(3, 4, 6).float().requires_grad_()
        y = pool(x, MASK)
        y.square().sum().backward()
        assert (y[1] == 0).all() and (x.grad[1] == 0).all() and (y[0] != 0).any()
        assert x.grad.isfinite().all() and all(p.grad.isfinite().all() for p in pool.parameters())


def test_convergence_is_per_sample_and_ends():
    patterns = F.normalize(draw(2, 5, 8), dim=-1)
    state = draw(2, 3, 8, seed=1)
    still = hopfield_converge(state, patterns, 8.0, max_steps=200, tolerance=1e-10)
    torch.testing.assert_close(hopfield_retrieve(still, patterns, 8.0), still, rtol=0, atol=1e-9)
    alone = hopfield_converge(state[1:, 2:], patterns[1:], 8.0, max_steps=200, tolerance=1e-10)
    assert torch.equal(alone, still[1:, 2:])  # the others neither stop it nor move it on
    coarse = hopfield_converge(state, patterns, 8.0, tolerance=1e3)
    torch.testing.assert_close(coarse, hopfield_retrieve(state, patterns, 8.0))
    limited = hopfield_converge(state, patterns, 8.0, max_steps=3, tolerance=1e-12)
    torch.testing.assert_close(limited, hopfield_retrieve(state, patterns, 8.0, 3))


@given(st.integers(0, 2**31))
@settings(max_examples=20, deadline=None)
def test_limits_of_beta(seed):
    x, query = draw(6, 4, seed=seed), draw(4, seed=seed + 1)
    torch.testing.assert_close(hopfield_pool(x, query, 1e-9), x.mean(0), rtol=0, atol=1e-7)
    torch.testing.assert_close(hopfield_pool(x, query, 1e9), x[(x @ query).argmax()])


def attention():
    torch.manual_seed(0)
    return {
        "HopfieldPool": (HopfieldPool(4, heads=2, queries=2), (2, 3, 4)),
        "HopfieldPool steps": (HopfieldPool(4, steps=2, beta=0.5), (2, 3, 4)),
        "HopfieldPool converged": (HopfieldPool(4, steps=None, max_steps=4), (2, 3, 4)),
        "PMA": (PMA(4, heads=2, seeds=2, layer_norm=True), (2, 3, 4)),
        "AttentionPool2d": (AttentionPool2d((2, 3), 4, heads=2, outputs=3), (2, 4, 2, 3)),
        "AttentionPool2d of another size": (AttentionPool2d(2, 4, heads=2), (2, 4, 3, 2)),
    }


MODULES = attention()


@pytest.mark.parametrize("name", MODULES)
def test_module(name):
    module, shape = MODULES[name]
    check_all(module, draw(*shape), small=[draw(1, *shape[1:])], twice=name in ("HopfieldPool", "HopfieldPool steps"))


def test_pma_does_not_see_the_order():
    torch.manual_seed(0)
    pool, x = PMA(8, heads=2, seeds=3), draw(2, 5, 8).float()
    assert pool(x).shape == (2, 3, 8)
    torch.testing.assert_close(pool(x[:, torch.randperm(5)]), pool(x))
    z = pool.before(x).relu()
    h = pool.attention.query + pool.attention(z).unflatten(-1, (3, 8))
    torch.testing.assert_close(pool(x), h + pool.after(h).relu())


def test_attention_pool_is_torchs_multihead_attention():
    torch.manual_seed(0)
    pool, x = AttentionPool2d(3, 8, heads=2), draw(2, 8, 3, 3).float()
    cells = (x + pool.positions).flatten(2).permute(2, 0, 1)
    tokens = torch.cat([(x.mean((2, 3)) + pool.mean_position)[None], cells])
    expected, _ = F.multi_head_attention_forward(
        tokens[:1], tokens, tokens, 8, 2, None,
        torch.cat([pool.to_query.bias, pool.to_key.bias, pool.to_value.bias]), None, None, False, 0.0,
        pool.to_output.weight, pool.to_output.bias, use_separate_proj_weight=True, need_weights=False,
        q_proj_weight=pool.to_query.weight, k_proj_weight=pool.to_key.weight, v_proj_weight=pool.to_value.weight,
    )  # fmt: skip
    torch.testing.assert_close(pool(x), expected[0])


@pytest.mark.parametrize(
    "make, error, words",
    [
        (lambda: HopfieldPool(5, heads=2), ValueError, "channels must be a multiple of heads=2"),
        (lambda: HopfieldPool(4, steps=0), ValueError, "steps must be at least 1"),
        (lambda: HopfieldPool(4, beta=-1), ValueError, "beta must be above 0"),
        (lambda: HopfieldPool(4)(torch.ones(4)), ValueError, r"\(N, cells, channels\) or \(cells, channels\)"),
        (lambda: hopfield_retrieve(draw(2, 3), draw(2, 4), 1.0), ValueError, "as many features"),
        (lambda: hopfield_retrieve(draw(2, 3), draw(2, 3), 1.0, mask=torch.ones(2)), TypeError, "mask must hold bools"),
        (lambda: hopfield_retrieve(draw(2, 3).int(), draw(2, 3), 1.0), TypeError, "state must be .* of floats"),
        (lambda: hopfield_converge(draw(2, 3), draw(2, 3), 1.0, tolerance=0), ValueError, "tolerance must be above 0"),
        (lambda: PMA(4, heads=3), ValueError, "channels must be a multiple"),
        (lambda: AttentionPool2d(0, 4), ValueError, "size"),
        (lambda: AttentionPool2d(2, 4)(draw(2, 3, 2, 2)), ValueError, r"\(N, 4, H, W\)"),
    ],
)
def test_refusals(make, error, words):
    with pytest.raises(error, match=words):
        make()
