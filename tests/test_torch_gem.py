"""Generalized-mean pooling with a learned exponent; the reducer itself is tested with all others in test_torch."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_checks import check_all, draw

import poolref.numpy
from poolref.regions import Adaptive, Pyramid, Rows, Running, Whole, Window
from poolref.torch import AdaptiveGeMPool2d, GeMPool1d, GeMPool2d, GlobalGeMPool2d, GlobalGeMPool3d
from poolref.torch.functional import avg_pool, gem_pool, gem_pool2d, max_pool

REGIONS = [Window(2), Window(3, 2, 1), Adaptive((3, 2)), Whole(), Rows(), Running("left"), Pyramid((2, 1))]


def positive(*shape):
    return draw(*shape).abs() + 0.1


@pytest.mark.parametrize("regions", REGIONS, ids=repr)
@pytest.mark.parametrize("p", [0.7, 2.0, 3.0])
def test_the_gradient_of_p_is_the_numpy_columns(regions, p):
    x = draw(2, 3, 6, 5).requires_grad_()
    power = torch.tensor(p, dtype=torch.float64, requires_grad=True)
    y = gem_pool(x, regions, power, 0.05)
    g = draw(*y.shape, seed=1)
    dx, dp = torch.autograd.grad(y, (x, power), g)
    expected = poolref.numpy.gem_pool_backward(g.numpy(), x.detach().numpy(), regions, p, 0.05)
    np.testing.assert_allclose(dx, expected[0], rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(dp, expected[1], rtol=1e-10)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_a_p_for_every_channel(layout):
    x = positive(2, 3, 6, 5).contiguous(memory_format=layout).requires_grad_()
    p = torch.tensor([1.0, 2.5, 4.0], dtype=torch.float64, requires_grad=True)
    y = gem_pool2d(x, 3, 2, 1, p=p.view(3, 1, 1))
    alone = [gem_pool2d(x[:, c : c + 1], 3, 2, 1, p=p[c]) for c in range(3)]
    torch.testing.assert_close(y, torch.cat(alone, 1))
    g = draw(*y.shape, seed=1)
    expected = torch.autograd.grad(torch.cat(alone, 1), (x, p), g)
    torch.testing.assert_close(torch.autograd.grad(y, (x, p), g), expected)


MODULES = {
    "window": (GeMPool2d(2, 1), (2, 3, 4, 4)),
    "line": (GeMPool1d(3, 2, 1, p=2.5, channels=3), (2, 3, 7)),
    "channels": (GeMPool2d(3, 2, 1, channels=3), (2, 3, 5, 4)),
    "bins": (AdaptiveGeMPool2d(2, learnable=False), (2, 3, 5, 4)),
    "whole": (GlobalGeMPool2d(keepdim=False), (2, 3, 4, 4)),
    "volume": (GlobalGeMPool3d(channels=3), (2, 3, 2, 3, 2)),
}


@pytest.mark.parametrize("name", MODULES)
def test_module(name):
    module, shape = MODULES[name]
    check_all(module, positive(*shape), small=[positive(1, *shape[1:])])


def test_p_is_learned():
    pool = GeMPool2d(2)
    assert [name for name, _ in pool.named_parameters()] == ["p"] and pool.p.item() == 3
    assert "p=3.0" in repr(pool) and "learnable=True" in repr(pool)
    assert next(iter(GeMPool2d(2, channels=4).parameters())).shape == (4,)
    fixed = GeMPool2d(2, learnable=False)
    assert not list(fixed.parameters()) and "p" in fixed.state_dict()


@pytest.mark.parametrize("value, eps, expected", [(1e15, 1e-6, 1e15), (1e-30, 1e-35, 1e-30), (-5, 1e-6, 1e-6)])
def test_far_from_one(value, eps, expected):
    x = torch.full((1, 1, 4, 4), float(value), requires_grad=True)
    p = torch.tensor(3.0, requires_grad=True)
    for regions in (Window(2), Window(3, 1), Whole()):
        y = gem_pool(x, regions, p, eps)
        torch.testing.assert_close(y, torch.full_like(y, expected), rtol=1e-6, atol=0)
        dx, dp = torch.autograd.grad(y.sum(), (x, p))
        assert dx.isfinite().all() and abs(dp.item()) <= 1e-5 * expected


@given(st.integers(0, 2**31), st.sampled_from(REGIONS))
@settings(max_examples=30, deadline=None)
def test_limits_of_p(seed, regions):
    x = draw(2, 6, 5, seed=seed).abs() + 1e-3
    torch.testing.assert_close(gem_pool(x, regions, 1), avg_pool(x, regions, count_include_pad=False))
    torch.testing.assert_close(gem_pool(x, regions, 1e5), max_pool(x, regions), rtol=1e-4, atol=0)


@pytest.mark.parametrize(
    "make, error, words",
    [
        (lambda: GeMPool2d(2, p=0), ValueError, "p must be above 0"),
        (lambda: GeMPool2d(2, eps=-1), ValueError, "eps must be above 0"),
        (lambda: GeMPool2d(2, channels=0), ValueError, "channels must be at least 1"),
        (lambda: GeMPool2d(2, learnable=1), TypeError, "learnable must be True or False"),
        (lambda: gem_pool(torch.ones(2, 2), Whole(), "3"), TypeError, "p must be a finite number"),
        (lambda: gem_pool(torch.ones(2, 2, dtype=torch.int64), Whole()), TypeError, "floats"),
    ],
)
def test_refusals(make, error, words):
    with pytest.raises(error, match=words):
        make()
