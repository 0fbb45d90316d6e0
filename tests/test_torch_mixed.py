"""Mixed and gated pooling with learned parts; the mixed reducer itself is tested with all others in test_torch."""

import numpy as np
import pytest
import torch
from torch_checks import check_all, draw

import poolref.numpy
from poolref.regions import Whole, Window
from poolref.torch import AdaptiveMixedPool2d, GatedPool2d, GlobalMixedPool1d, MixedPool2d
from poolref.torch.functional import avg_pool, gated_pool, max_pool, mixed_pool

WINDOWS = [Window(2), Window(3, 2, 1), Window(3, 2, 1, ceil_mode=True), Window((2, 3), 1, 0, (2, 1))]


@pytest.mark.parametrize("window", WINDOWS, ids=repr)
def test_gated_is_the_numpy_columns(window):
    x, weight = draw(2, 3, 6, 7).requires_grad_(), draw(*window.kernel_size, seed=1)
    y = gated_pool(x, window, weight)
    g = draw(*y.shape, seed=2)
    np.testing.assert_allclose(y.detach(), poolref.numpy.gated_pool(x.detach().numpy(), window, weight), rtol=1e-12)
    weight.requires_grad_()
    y = gated_pool(x, window, weight)
    expected = poolref.numpy.gated_pool_backward(g.numpy(), x.detach().numpy(), window, weight.detach().numpy())
    for grad, correct in zip(torch.autograd.grad(y, (x, weight), g), expected, strict=True):
        np.testing.assert_allclose(grad, correct, rtol=1e-9, atol=1e-12)


def test_the_gradient_of_alpha_is_the_numpy_columns():
    x, alpha = draw(2, 3, 6, 7).requires_grad_(), torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    y = mixed_pool(x, Window(3, 2, 1), alpha)
    g = draw(*y.shape, seed=2)
    expected = poolref.numpy.mixed_pool_backward(g.numpy(), x.detach().numpy(), Window(3, 2, 1), 0.3)
    for grad, correct in zip(torch.autograd.grad(y, (x, alpha), g), expected, strict=True):
        np.testing.assert_allclose(grad, correct, rtol=1e-10, atol=1e-12)


def test_the_ends_of_alpha():
    x = draw(2, 5, 5)
    assert torch.equal(mixed_pool(x, Window(2), 1), max_pool(x, Window(2)))
    torch.testing.assert_close(mixed_pool(x, Whole(), 0), avg_pool(x, Whole()))
    assert mixed_pool(torch.tensor([[-torch.inf, 2.0]]), Whole(), 1).item() == 2


def gated():
    module = GatedPool2d(3, 2, 1)
    torch.nn.init.normal_(module.weight, generator=torch.Generator().manual_seed(0))
    return module


MODULES = {
    "mixed": (MixedPool2d(2, channels=3), (2, 3, 5, 4)),
    "bins": (AdaptiveMixedPool2d(2, alpha=0.2), (2, 3, 5, 4)),
    "line": (GlobalMixedPool1d(learnable=False), (2, 3, 5)),
    "gated": (gated(), (2, 3, 5, 4)),
}


@pytest.mark.parametrize("name", MODULES)
def test_module(name):
    module, shape = MODULES[name]
    check_all(module, draw(*shape), small=[draw(1, *shape[1:])])


@pytest.mark.parametrize(
    "make, error, words",
    [
        (lambda: MixedPool2d(2, alpha=1.5), ValueError, "alpha must be from 0 to 1"),
        (lambda: gated_pool(draw(4, 4), Whole(), draw(4, 4)), TypeError, "window must be a Window"),
        (lambda: gated_pool(draw(4, 4), Window(2), draw(3, 3)), ValueError, "weight must have the shape"),
    ],
)
def test_refusals(make, error, words):
    with pytest.raises(error, match=words):
        make()
