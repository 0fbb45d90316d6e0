"""Operators that draw, thin out or put back cells: stochastic, blur, subsample, unpool."""

import numpy as np
import pytest
import torch
from cases import FILLS
from torch_checks import check_against_numpy, check_all, draw

import poolref.numpy
from poolref.regions import Adaptive, Pyramid, Rows, Running, Whole, Window
from poolref.torch import (
    BlurPool1d,
    BlurPool2d,
    MaxBlurPool2d,
    MaxUnpool1d,
    MaxUnpool2d,
    MaxUnpool3d,
    StochasticPool2d,
    Subsample2d,
)
from poolref.torch.functional import (
    blur_pool,
    blur_pool1d,
    expected_pool,
    expected_pool2d,
    max_blur_pool,
    max_pool,
    max_unpool,
    stochastic_pool,
    stochastic_pool2d,
    subsample,
)

REGIONS = [Window(2), Window(3, 2, 1), Adaptive((3, 2)), Whole(), Rows(), Running("left"), Pyramid((2, 1))]


# --- stochastic ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("regions", REGIONS, ids=repr)
@pytest.mark.parametrize("fill", ["normal", "zeros", "inf", "huge", "denormal"])
def test_expected_is_the_numpy_columns(regions, fill):
    x = torch.from_numpy(np.abs(FILLS[fill]((2, 6, 5))))
    y = expected_pool(x.requires_grad_(), regions)
    expected = poolref.numpy.expected_pool(x.detach().numpy(), regions)
    np.testing.assert_allclose(y.detach(), expected, rtol=1e-12, atol=1e-320)
    if fill in ("normal", "zeros"):
        g = draw(*y.shape, seed=1)
        grad = poolref.numpy.expected_pool_backward(g.numpy(), x.detach().numpy(), regions)
        np.testing.assert_allclose(torch.autograd.grad(y, x, g)[0], grad, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("regions", REGIONS, ids=repr)
def test_the_mean_of_draws_is_the_expectation(regions):
    x = draw(1, 6, 5).abs()
    generator = torch.Generator().manual_seed(0)
    draws = stochastic_pool(x.expand(4000, 6, 5), regions, generator)[0]
    error = (draws.mean(0) - expected_pool(x, regions)[0]).abs()
    assert (error <= 5 * draws.std(0) / 4000**0.5 + 1e-12).all()


def test_the_cells_drawn_and_their_gradient():
    x = draw(2, 3, 6, 6).abs().requires_grad_()
    values, indices = stochastic_pool(x, Window(2), torch.Generator().manual_seed(1))
    again = stochastic_pool(x, Window(2), torch.Generator().manual_seed(1))
    assert torch.equal(values, again[0]) and torch.equal(indices, again[1])
    assert torch.equal(values, x.flatten(-2).gather(-1, indices.flatten(-2)).view_as(values))
    row, column = indices // 6 // 2, indices % 6 // 2
    assert (row == torch.arange(3)[:, None]).all() and (column == torch.arange(3)).all()
    (grad,) = torch.autograd.grad(values.sum(), x)
    expected = poolref.numpy.stochastic_pool_backward(
        np.ones(values.shape), x.detach().numpy(), Window(2), indices.numpy()
    )
    np.testing.assert_array_equal(grad, expected)


def test_what_is_drawn_of_special_windows():
    inf, nan = torch.inf, torch.nan
    x = torch.tensor([[0.0, 0.0], [1.0, inf], [nan, inf], [0.0, 3.0], [-1.0, 2.0]])
    draws = stochastic_pool(x.expand(500, 5, 2), Window((1, 2)), torch.Generator().manual_seed(0))
    values, indices = draws[0][..., 0], draws[1][..., 0]
    assert (values[:, 0] == 0).all() and 0.4 < (indices[:, 0] == 0).double().mean() < 0.6
    assert (values[:, 1] == inf).all() and values[:, 2].isnan().all()
    assert (values[:, 3] == 3).all() and (values[:, 4] == 2).all()
    empty = stochastic_pool(torch.ones(2, 5), Window(2, 1, 1, 3))
    assert (empty[1][0] == -1).any() and (empty[0][empty[1] == -1] == 0).all()


def test_stochastic_in_training_and_evaluation():
    x = draw(2, 3, 6, 6).abs()
    pool = StochasticPool2d(2, check_nonnegative=True)
    pool.generator = torch.Generator().manual_seed(3)
    drawn = pool(x)
    pool.generator = torch.Generator().manual_seed(3)
    assert torch.equal(pool(x), drawn) and not torch.equal(pool(x), drawn)
    values, indices = stochastic_pool2d(x, 2, generator=torch.Generator().manual_seed(3))
    assert torch.equal(values, drawn) and torch.equal(
        indices[..., 0, 0] // 6 // 2, torch.zeros(2, 3, dtype=torch.int64)
    )
    assert torch.equal(pool.eval()(x), expected_pool(x, Window(2)))
    assert torch.equal(expected_pool2d(x, 3, 2, 1, ceil_mode=True), expected_pool(x, Window(3, 2, 1, ceil_mode=True)))
    for form in (stochastic_pool2d, expected_pool2d):
        with pytest.raises(ValueError, match="input must hold no negative number"):
            form(-x, 2, check_nonnegative=True)
    with pytest.raises(ValueError, match="input must hold no negative number"):
        pool(-x)


def test_stochastic_in_one_graph():
    x = draw(2, 3, 6, 6).abs().requires_grad_()
    for check in (False, True):
        torch._dynamo.reset()
        pool = StochasticPool2d(2, check_nonnegative=check)
        batch = torch.export.Dim("batch", min=1)
        program = torch.export.export(pool, (x,), dynamic_shapes=({0: batch},)).module()
        for graph in (torch.compile(pool, fullgraph=True, backend="aot_eager"), program):
            torch.manual_seed(0)
            y = graph(x)
            torch.manual_seed(0)
            assert torch.equal(y, pool(x))
            (grad,) = torch.autograd.grad(y.sum(), x)
            assert ((grad == 1) | (grad == 0)).all() and grad.sum() == y.numel()
            if check:
                with pytest.raises(RuntimeError, match="no negative number"):
                    graph(-x)
        assert program(torch.cat([x, x, x])).shape == (6, 3, 3, 3)
    pool.generator = torch.Generator()
    with pytest.raises(ValueError, match="generator must be None while a graph is compiled or exported"):
        torch.export.export(pool, (x,))
    with pytest.raises(torch._dynamo.exc.Unsupported, match="generator must be None"):
        torch.compile(pool, fullgraph=True, backend="aot_eager")(x)


# --- blur, subsample -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ndim", [1, 2])
@pytest.mark.parametrize("size", range(1, 8))
def test_blur_is_the_numpy_columns(ndim, size):
    for stride in (1, 2, 3):
        x = draw(2, 3, *(8, 7)[:ndim]).requires_grad_()
        y = blur_pool(x, size, stride, ndim)
        check_against_numpy(y, draw(*y.shape, seed=1), [x], "blur_pool", (size, stride, ndim))
        y = max_blur_pool(x, 3, size, stride, 1, ndim)
        check_against_numpy(y, draw(*y.shape, seed=1), [x], "max_blur_pool", (3, size, stride, 1, ndim))


def test_blur_of_a_constant():
    for size in range(1, 8):
        torch.testing.assert_close(blur_pool(torch.full((3, 9), 2.5), size, ndim=1), torch.full((3, 5), 2.5))


@pytest.mark.parametrize(
    "window", [Window(1, 2), Window(3, 2, 1), Window(2), Window((3, 2), (1, 2), (1, 0), (1, 3)), Window(4, 3)], ids=repr
)
def test_subsample_is_the_numpy_columns(window):
    x = draw(2, 3, 7, 8).requires_grad_()
    y = subsample(x, window)
    check_against_numpy(y, draw(*y.shape, seed=1), [x], "subsample", (window,))
    ints = torch.arange(56).view(7, 8)
    assert torch.equal(subsample(ints, window), torch.from_numpy(poolref.numpy.subsample(ints.numpy(), window)))


# --- unpool ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "window, shape",
    [(Window(2), (4, 6)), (Window(3, 1), (5, 6)), (Window(3, 2, 1), (7, 7)), (Window(2, ndim=1), (9,)),
     (Window(2, 1, ndim=3), (3, 4, 3)), (Window(2, 1, 1, 3), (2, 5))],
    ids=repr,
)  # fmt: skip
def test_unpool_is_the_numpy_columns(window, shape):
    x = draw(2, 3, *shape).round()
    pooled, indices = max_pool(x, window, return_indices=True)
    pooled = draw(*pooled.shape, seed=3).requires_grad_()  # so that it shows which one is kept
    y = max_unpool(pooled, indices, shape)
    g = draw(*y.shape, seed=1)
    expected = poolref.numpy.max_unpool(pooled.detach().numpy(), indices.numpy(), shape)
    np.testing.assert_array_equal(y.detach(), expected)
    grad = poolref.numpy.max_unpool_backward(g.numpy(), pooled.detach().numpy(), indices.numpy(), shape)
    np.testing.assert_array_equal(torch.autograd.grad(y, pooled, g)[0], grad)


@pytest.mark.parametrize("unpool, ndim", [(MaxUnpool1d, 1), (MaxUnpool2d, 2), (MaxUnpool3d, 3)])
def test_unpool_has_the_arguments_of_torch_nn(unpool, ndim):
    x = draw(2, 3, *(6, 4, 8)[:ndim])
    pooled, indices = max_pool(x, Window(2, ndim=ndim), return_indices=True)
    theirs = getattr(torch.nn, f"MaxUnpool{ndim}d")
    assert torch.equal(unpool(2)(pooled, indices), theirs(2)(pooled, indices))
    size = x.shape[:2] + tuple(n + 1 for n in x.shape[2:])
    assert torch.equal(unpool(2)(pooled, indices, size), theirs(2)(pooled, indices, size))
    back = max_pool(unpool(2)(pooled, indices), Window(2, ndim=ndim))
    assert torch.equal(torch.where(pooled > 0, back, pooled), pooled)


class OfIndices(torch.nn.Module):
    """Pool and unpool, so that the checks need to pass no indices."""

    def __init__(self):
        super().__init__()
        self.unpool = MaxUnpool2d(2, 1)

    def forward(self, x):
        pooled, indices = max_pool(x, Window(2, 1), return_indices=True)
        return self.unpool(pooled.exp(), indices)


# --- modules ---------------------------------------------------------------------------------------------------------

MODULES = {
    "StochasticPool2d": (StochasticPool2d(2).eval(), (2, 3, 4, 5)),
    "BlurPool1d": (BlurPool1d(4, 3), (2, 3, 9)),
    "BlurPool2d": (BlurPool2d(), (2, 3, 4, 5)),
    "MaxBlurPool2d": (MaxBlurPool2d(3, padding=1), (2, 3, 4, 5)),
    "Subsample2d": (Subsample2d(3, 2, 1), (2, 3, 4, 5)),
    "MaxUnpool2d": (OfIndices(), (2, 3, 4, 5)),
}


@pytest.mark.parametrize("name", MODULES)
def test_module(name):
    module, shape = MODULES[name]
    check_all(module, draw(*shape).abs() + 0.1, small=[draw(1, *shape[1:]).abs() + 0.1])


@pytest.mark.parametrize(
    "make, error, words",
    [
        (lambda: BlurPool2d(8), ValueError, "filter_size must be from 1 to 7"),
        (lambda: BlurPool2d(3, 0), ValueError, "stride must be at least 1"),
        (lambda: MaxBlurPool2d(2, padding=2), ValueError, "padding must be at most half"),
        (lambda: blur_pool(draw(2, 1), 3), ValueError, "more than 1 cells"),
        (lambda: blur_pool1d(draw(3), 3), ValueError, r"\(N, C, L\) or \(C, L\)"),
        (lambda: subsample(draw(4, 4), Window(2, 1, 1)), ValueError, "centre of each of its places"),
        (lambda: subsample(draw(4, 4), Whole()), TypeError, "window must be a Window"),
        (lambda: max_unpool(draw(2, 2), torch.zeros(2, 3).long(), (4, 4)), ValueError, "indices must have the shape"),
        (lambda: max_unpool(draw(2, 2), draw(2, 2), (4, 4)), TypeError, "indices must be a tensor of ints"),
        (lambda: max_unpool(draw(2, 2), torch.full((2, 2), 16), (4, 4)), RuntimeError, "out of bounds"),
        (lambda: MaxUnpool2d(0), ValueError, "kernel_size"),
        (lambda: stochastic_pool(-draw(4, 4).abs(), Whole(), None, True), ValueError, "no negative number"),
        (lambda: expected_pool(draw(4, 4).int(), Whole()), TypeError, "floats"),
    ],
)
def test_refusals(make, error, words):
    with pytest.raises(error, match=words):
        make()
