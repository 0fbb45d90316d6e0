"""Hopfield pooling and the two kinds of attention pooling."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd import gradcheck, gradgradcheck
from torch_checks import check_all, check_compiled, check_exported, check_unbatched, draw

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


@pytest.mark.parametrize("mask", [None, MASK], ids=["all", "masked"])
@pytest.mark.parametrize("shape", [(5,), (2, 5)], ids=str)
def test_attention_is_the_numpy_columns(mask, shape):
    x, query = draw(3, 4, 5).requires_grad_(), draw(*shape, seed=1).requires_grad_()
    y = attention_pool(x, query, mask)
    arguments = x.detach().numpy(), query.detach().numpy(), None if mask is None else mask.numpy()
    np.testing.assert_allclose(y.detach(), poolref.numpy.attention_pool(*arguments), rtol=1e-12, atol=1e-14)
    g = draw(*y.shape, seed=2)
    expected = poolref.numpy.attention_pool_backward(g.numpy(), *arguments)
    for grad, correct in zip(torch.autograd.grad(y, (x, query), g), expected, strict=True):
        np.testing.assert_allclose(grad, correct, rtol=1e-9, atol=1e-13)


@pytest.mark.parametrize("steps", [1, 2])
@pytest.mark.parametrize("mask", [None, MASK[:2, None]], ids=["all", "masked"])
def test_second_derivatives(steps, mask):
    state, stored, beta = draw(2, 2, 3), draw(2, 4, 3, seed=1), torch.tensor(0.7, dtype=torch.float64)
    inputs = [a.requires_grad_() for a in (state, stored, beta)]
    assert gradcheck(lambda *a: hopfield_retrieve(*a, steps, mask), inputs)
    assert gradgradcheck(lambda *a: hopfield_retrieve(*a, steps, mask), inputs)


@pytest.mark.parametrize("lead", [(), (3,), (2, 3), (2, 2, 3)], ids=str)
def test_other_devices_are_offered_four_axes(lead, monkeypatch):
    """With four axes, and in half precision as it came, torch has fused kernels on a GPU; meta stands for one here."""
    calls = []

    def record(*arguments, scale):
        calls.append(([(x.ndim, x.dtype) for x in arguments], scale))
        return attend(*arguments, scale=scale)

    attend = F.scaled_dot_product_attention
    monkeypatch.setattr(F, "scaled_dot_product_attention", record)
    half = {"dtype": torch.float16, "device": "meta"}
    state, stored = torch.ones(2, 5, **half), torch.ones(*lead, 4, 5, **half)
    assert hopfield_retrieve(state, stored, 0.5, 2).shape == (*lead, 2, 5)
    mask = torch.ones(*lead, 1, 4, dtype=torch.bool, device="meta")
    assert hopfield_retrieve(state, stored, 0.5, 1, mask).dtype == torch.float16
    assert calls == [([(4, torch.float16)] * 3, 0.5)] * 2 + [([(4, torch.float16)] * 3 + [(4, torch.bool)], 0.5)]


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


def test_all_masked_does_not_rely_on_the_kernel(monkeypatch):
    """Not every kernel of torch's has a defined answer where all is masked; this one makes NaN of it."""

    def plain(query, keys, values, mask, scale):
        scores = torch.where(mask, scale * query @ keys.mT, -torch.inf)
        return scores.softmax(-1) @ values

    monkeypatch.setattr(F, "scaled_dot_product_attention", plain)
    test_all_masked_gives_0_and_gradient_0()


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
    check_all(module, draw(*shape), small=[draw(1, *shape[1:])], twice="converged" not in name)


@pytest.mark.parametrize("name", MODULES)
def test_masked_module(name):
    """Compiled and exported with a mask; and what is masked may hold anything that is finite."""
    module, shape = MODULES[name]
    x = draw(*shape).float()
    mask = draw(*(shape[:1] + shape[2:] if x.ndim == 4 else shape[:2]), seed=3) > -0.5
    mask[0], mask.flatten(1)[1, 0] = False, True
    check_compiled(module, x, mask)
    check_exported(module, x, mask)
    check_unbatched(module, x, mask)
    there = mask.unsqueeze(1 if x.ndim == 4 else 2)
    torch.testing.assert_close(module(torch.where(there, x, 77), mask), module(x, mask))
    torch.testing.assert_close(module(x, torch.ones_like(mask)), module(x))
    if "PMA" not in name:
        assert (module(x, mask)[0] == 0).all()
    else:
        h = module.norm1(module.attention.query)
        torch.testing.assert_close(module(x, mask)[0], module.norm2(h + module.after(h).relu()))


@given(st.integers(0, 2**31), st.integers(1, 4), st.integers(1, 4))
@settings(max_examples=20, deadline=None)
def test_a_padded_map_is_pooled_as_the_map(seed, height, width):
    torch.manual_seed(seed)
    pool = AttentionPool2d(5, 4, heads=2)
    torch.nn.init.zeros_(pool.positions)  # which are those of the padded map
    x = draw(2, 4, height, width, seed=seed).float()
    padded = F.pad(x, (0, 5 - width, 0, 5 - height), value=torch.nan).requires_grad_()
    mask = torch.zeros(2, 5, 5, dtype=torch.bool)
    mask[:, :height, :width] = True
    y = pool(padded, mask)
    torch.testing.assert_close(y, pool(x))
    y.square().sum().backward()
    assert padded.grad.isfinite().all() and (padded.grad[~mask[:, None].expand(2, 4, 5, 5)] == 0).all()


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
        (lambda: HopfieldPool(4)(torch.ones(4)), ValueError, r"\(N, cells, 4\) or \(cells, 4\)"),
        (lambda: hopfield_retrieve(draw(2, 3), draw(2, 4), 1.0), ValueError, "as many features"),
        (lambda: hopfield_retrieve(draw(2, 3), draw(2, 3), 1.0, mask=torch.ones(2)), TypeError, "mask must hold bools"),
        (lambda: hopfield_retrieve(draw(2, 3).int(), draw(2, 3), 1.0), TypeError, "state must be .* of floats"),
        (lambda: hopfield_converge(draw(2, 3), draw(2, 3), 1.0, tolerance=0), ValueError, "tolerance must be above 0"),
        (lambda: PMA(4, heads=3), ValueError, "channels must be a multiple"),
        (lambda: PMA(4)(draw(3, 4), torch.ones(4, dtype=torch.bool)), ValueError, r"broadcast to the shape \(3,\)"),
        (lambda: attention_pool(draw(3, 4), draw(4), True), TypeError, "mask must hold bools.*bool"),
        (lambda: AttentionPool2d(0, 4), ValueError, "size"),
        (lambda: AttentionPool2d(2, 4)(draw(2, 3, 2, 2)), ValueError, r"\(N, 4, H, W\)"),
    ],
)
def test_refusals(make, error, words):
    with pytest.raises(error, match=words):
        make()
