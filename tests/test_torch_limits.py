"""Long axes, large numbers, layouts: what the torch column keeps, and where others lose digits or order."""

import tracemalloc

import pytest
import torch
from every_operator import EXAMPLES

import poolref.torch
from poolref.regions import Adaptive, Pyramid, Running, Whole, Window
from poolref.torch import functional


@pytest.mark.parametrize(
    "module, gradient",
    [
        (poolref.torch.MaxPool1d(4), False),
        (poolref.torch.GlobalGeMPool1d(), True),
        (poolref.torch.GeMPool1d(4), True),
        (poolref.torch.AdaptiveSoftPool1d(1000), True),
        (poolref.torch.AvgPool1d(4), True),
        (poolref.torch.AdaptiveSumPool1d(999), True),
    ],
    ids=repr,
)
def test_long_axes_keep_nothing(module, gradient):
    """Python's memory, in which lists of windows would lie, does not grow with the axis, nor with new lengths."""
    module(torch.rand(1, 1, 5000, requires_grad=gradient))
    tracemalloc.start()
    for cells in (300_000, 300_001, 300_002):
        y = module(torch.rand(1, 1, cells, requires_grad=gradient))
        if gradient:
            y.sum().backward()
    kept, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 2**20 and most < 2**22


def test_softpool_of_numbers_near_overflow():
    """Cells of one value share the gradient, however large they are."""
    x = torch.tensor([[3e38, 3e38, -3e38], [3e38, -3e38, -3e38]])[None].requires_grad_()
    functional.global_soft_pool2d(x).sum().backward()
    torch.testing.assert_close(x.grad, torch.tensor([[[1 / 3, 1 / 3, 0], [1 / 3, 0, 0]]]))


@pytest.mark.parametrize("regions", [Window(3, 2, 1), Adaptive(3), Whole(), Pyramid(), Running("up")], ids=repr)
@pytest.mark.parametrize("reducer", [functional.soft_pool, functional.lse_pool], ids=lambda reducer: reducer.__name__)
def test_nothing_but_minus_infinity_has_no_gradient(reducer, regions):
    """First and second derivatives, backwards and in forward mode."""
    x = torch.full((1, 1, 4, 4), -torch.inf, dtype=torch.float64, requires_grad=True)
    y = reducer(x, regions)
    assert (y == -torch.inf).all()
    grad = torch.autograd.grad(y, x, torch.ones_like(y), create_graph=True)[0]
    assert torch.equal(grad, torch.zeros_like(x))
    assert torch.equal(torch.autograd.grad(grad.sum(), x)[0], torch.zeros_like(x))
    tangent = torch.func.jvp(lambda x: reducer(x, regions), (x.detach(),), (torch.ones_like(x),))[1]
    assert torch.equal(tangent, torch.zeros_like(y))


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.int32])
@pytest.mark.parametrize("example", [e for e in EXAMPLES if e.ndim == 2], ids=lambda example: example.name)
def test_channels_last_is_kept(example, dtype, training):
    inputs = [a.contiguous(memory_format=torch.channels_last) if a.ndim == 4 else a for a in example.inputs()]
    if inputs[0].ndim != 4:
        return
    if dtype == torch.int32:
        inputs = [(10 * a).to(dtype) if a.ndim == 4 and a.is_floating_point() else a for a in inputs]
    try:
        y = example.make().train(training)(*inputs)
    except TypeError as error:
        assert "floats" in str(error) and dtype == torch.int32
        return
    if y.ndim == 4 and y.shape[2:].numel() > 1:
        assert y.is_contiguous(memory_format=torch.channels_last)


def test_an_empty_stride_is_that_of_the_kernel_as_in_torch():
    x = torch.rand(1, 2, 6, 6)
    assert torch.equal(functional.avg_pool2d(x, 2, stride=()), torch.nn.functional.avg_pool2d(x, 2, stride=()))
    assert torch.equal(poolref.torch.SoftPool2d(2, ())(x), poolref.torch.SoftPool2d(2)(x))


def test_functions_of_torch_may_be_taken_over():
    """What stands in for a tensor sees the call, as with torch's own functions."""

    class Watched(torch.Tensor):
        @classmethod
        def __torch_function__(cls, function, types, args=(), kwargs=None):
            seen.append(function)
            return super().__torch_function__(function, types, args, kwargs or {})

    seen = []
    x = torch.rand(1, 2, 4, 4).as_subclass(Watched)
    functional.soft_pool2d(x, 2)
    functional.median_pool(x, Window(2))
    assert functional.soft_pool2d in seen and functional.median_pool in seen
    traced = torch.fx.symbolic_trace(lambda x: functional.gem_pool2d(x, 2, p=2.0) + 1)
    assert [node.target for node in traced.graph.nodes][1] is functional.gem_pool2d


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_max_unpool_functions(ndim):
    x = torch.rand(2, 3, *[6] * ndim)
    pooled, indices = getattr(torch.nn.functional, f"max_pool{ndim}d")(x, 2, return_indices=True)
    ours, theirs = (getattr(where, f"max_unpool{ndim}d") for where in (functional, torch.nn.functional))
    assert torch.equal(ours(pooled, indices, 2), theirs(pooled, indices, 2))
    size = x.shape[2:]
    assert torch.equal(ours(pooled, indices, 2, output_size=size), theirs(pooled, indices, 2, output_size=size))
