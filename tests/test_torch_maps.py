"""Operators that pool along rows and columns or on a pyramid, and the learned blocks that are built of them."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.func import functional_call
from torch_checks import check_against_numpy, check_all, draw

import poolref.numpy
from poolref.regions import Adaptive, Pyramid, Running
from poolref.torch import (
    BottomPool,
    CascadeCornerBlock,
    CenterBlock,
    CenterPool2d,
    CornerBlock,
    CornerPool,
    LeftPool,
    MixedStripBlock,
    RightPool,
    SpatialPyramidPool2d,
    StripBlock,
    StripPool2d,
    TopPool,
)
from poolref.torch.functional import (
    avg_pool,
    center_pool,
    corner_pool,
    gem_pool,
    max_pool,
    spatial_pyramid_pool2d,
    strip_pool,
)

FUNCTIONS = {
    "strip": ("strip_pool", strip_pool, 1, ()),
    "center": ("center_pool", center_pool, 1, ()),
    "center of two": ("center_pool", center_pool, 2, ()),
    "top left": ("corner_pool", corner_pool, 2, ("top_left",)),
    "bottom right": ("corner_pool", corner_pool, 2, ("bottom_right",)),
}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("values", ["normal", "ties"])
def test_functions_are_the_numpy_columns(name, values):
    numpy_name, function, count, arguments = FUNCTIONS[name]
    inputs = [draw(2, 3, 5, 4, seed=i) for i in range(count)]
    if values == "ties":
        inputs = [a.round() for a in inputs]
    inputs = [a.requires_grad_() for a in inputs]
    y = function(*inputs, *arguments)
    check_against_numpy(y, draw(*y.shape, seed=9), inputs, numpy_name, arguments)


MODULES = {
    "StripPool2d": (StripPool2d(), 1),
    "CenterPool2d": (CenterPool2d(), 1),
    "TopPool": (TopPool(), 1),
    "LeftPool": (LeftPool(), 1),
    "CornerPool": (CornerPool("bottom_right"), 2),
    "SpatialPyramidPool2d": (SpatialPyramidPool2d((2, 1)), 1),
    "SpatialPyramidPool2d soft": (SpatialPyramidPool2d((2,), mode="soft"), 1),
}


@pytest.mark.parametrize("name", MODULES)
def test_module(name):
    module, count = MODULES[name]
    inputs = [draw(2, 2, 4, 5, seed=i) for i in range(count)]
    check_all(module, *inputs, small=[a[:1] for a in inputs])


BLOCKS = {
    "StripBlock": StripBlock(4),
    "MixedStripBlock": MixedStripBlock(8, levels=(3, 2)),
    "CenterBlock": CenterBlock(2, hidden=3),
    "CornerBlock": CornerBlock(2, hidden=3, corner="bottom_right"),
    "CascadeCornerBlock": CascadeCornerBlock(2, hidden=3),
}


@pytest.mark.parametrize("name", BLOCKS)
def test_block(name):
    torch.manual_seed(0)
    block = BLOCKS[name].eval()
    for parameter in block.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)  # so that no ReLU stands at exactly 0
    shape = (2, block.channels, 4, 5)
    assert block(draw(*shape).float()).shape == shape
    # Each convolution rounds to bfloat16, and how often differs from one processor to the next: hence `half`.
    check_all(
        block,
        draw(*shape),
        small=[draw(1, *shape[1:])],
        unbatched=False,
        twice=False,
        half=0.1,
    )


def test_blocks_are_their_formulas():
    torch.manual_seed(0)
    x = draw(2, 4, 5, 6).float()
    strip = StripBlock(4).eval()
    rows, columns = x.mean(3, keepdim=True), x.mean(2, keepdim=True)
    gate = strip.gate((strip.along_column(rows) + strip.along_row(columns)).relu()).sigmoid()
    torch.testing.assert_close(strip(x), x * gate)
    block = CascadeCornerBlock(4, hidden=3).eval()
    a = block.joined1(block.branch1(x) + LeftPool()(block.look1(x)))
    b = block.joined2(block.branch2(x) + TopPool()(block.look2(x)))
    pooled = block.pooled(TopPool()(a) + LeftPool()(b))
    torch.testing.assert_close(block(x), block.last((pooled + block.shortcut(x)).relu()))


def test_a_block_learns():
    torch.manual_seed(0)
    block = nn.Sequential(CenterBlock(2, hidden=4), nn.AdaptiveAvgPool2d(1))
    x = draw(4, 2, 6, 6).float()
    before = block(x).square().mean()
    before.backward()
    step = {name: p.detach() - 0.01 * p.grad for name, p in block.named_parameters()}
    assert functional_call(block, step, (x,)).square().mean() < before


def test_four_directions():
    x = torch.tensor([[[1.0, 3.0, 2.0], [0.0, 5.0, 4.0]]])
    assert TopPool()(x).tolist() == [[[1, 5, 4], [0, 5, 4]]]
    assert BottomPool()(x).tolist() == [[[1, 3, 2], [1, 5, 4]]]
    assert LeftPool()(x).tolist() == [[[3, 3, 2], [5, 5, 4]]]
    assert RightPool()(x).tolist() == [[[1, 3, 3], [0, 5, 5]]]


def test_ties_go_to_the_first_met():
    x = torch.ones(1, 3, 1, requires_grad=True)
    TopPool()(x).sum().backward()
    assert x.grad.flatten().tolist() == [0, 0, 3]


@given(st.integers(0, 2**31), st.sampled_from(["up", "down", "left", "right"]), st.integers(1, 6), st.integers(1, 6))
@settings(max_examples=40, deadline=None)
def test_running_maxima_are_cummax(seed, direction, height, width):
    x = draw(2, height, width, seed=seed).requires_grad_()
    running = Running(direction)
    axis = running.axis + 1
    plain = x.flip(axis).cummax(axis).values.flip(axis) if running.reverse else x.cummax(axis).values
    y = max_pool(x, running)
    assert torch.equal(y, plain)
    g = draw(*y.shape, seed=1)
    torch.testing.assert_close(torch.autograd.grad(y, x, g), torch.autograd.grad(plain, x, g))
    ordered = y.flip(axis) if running.reverse else y
    assert (ordered.diff(dim=axis) >= 0).all()


def test_running_maxima_in_blocks():
    x = draw(17, 190, 180).float().requires_grad_()  # more cells than one block holds
    for direction in ("up", "right"):
        axis = Running(direction).axis + 1
        plain = x.flip(1).cummax(1).values.flip(1) if direction == "up" else x.cummax(axis).values
        y = max_pool(x, Running(direction))
        assert torch.equal(y, plain)
        g = draw(*y.shape, seed=1).float()
        grads = torch.autograd.grad(y, x, g)[0], torch.autograd.grad(plain, x, g)[0]
        torch.testing.assert_close(*grads, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("direction", ["up", "down", "left", "right"])
@pytest.mark.parametrize("special", [None, "x is nan", "x is inf", "x is -inf", "grad is inf", "grad is nan"])
def test_gradients_of_running_maxima_are_the_numpy_columns(direction, special):
    x, g = draw(3, 6, 7).round(), draw(3, 6, 7, seed=1)  # with many ties
    if special:
        where, _, value = special.split()
        {"x": x, "grad": g}[where][1, 2:5, 3] = float(value)
    expected = poolref.numpy.max_pool_backward(g.numpy(), x.numpy(), Running(direction))
    x.requires_grad_()
    grad = torch.autograd.grad(max_pool(x, Running(direction)), x, g)[0]
    np.testing.assert_allclose(grad, expected, rtol=1e-12, atol=1e-14)


def test_the_order_of_a_pyramids_vector():
    x = draw(2, 3, 5, 7)
    levels = [max_pool(x, Adaptive(n)).flatten(1) for n in (4, 2, 1)]
    assert torch.equal(spatial_pyramid_pool2d(x), torch.cat(levels, 1))
    assert spatial_pyramid_pool2d(x).shape == spatial_pyramid_pool2d(draw(2, 3, 2, 9)).shape == (2, 63)
    means = [avg_pool(x, Adaptive(n)).flatten(1) for n in (3, 2)]
    torch.testing.assert_close(spatial_pyramid_pool2d(x, (3, 2), "average"), torch.cat(means, 1))
    assert torch.equal(spatial_pyramid_pool2d(x, (2,), "gem"), gem_pool(x, Adaptive(2)).flatten(1))


@given(st.integers(0, 2**31), st.lists(st.integers(1, 8), min_size=1, max_size=4), st.integers(1, 9), st.integers(1, 9))
@settings(max_examples=60, deadline=None)
def test_a_pyramid_is_its_levels(seed, levels, height, width):
    x = draw(2, height, width, seed=seed).round().requires_grad_()  # with many ties
    values, indices = max_pool(x, Pyramid(tuple(levels)), return_indices=True)
    parts = [max_pool(x, Adaptive(n), return_indices=True) for n in levels]
    assert torch.equal(values, torch.cat([part[0].flatten(1) for part in parts], 1))
    assert torch.equal(indices, torch.cat([part[1].flatten(1) for part in parts], 1))


@pytest.mark.parametrize(
    "make, error, words",
    [
        (lambda: SpatialPyramidPool2d((0,)), ValueError, "levels"),
        (lambda: SpatialPyramidPool2d(mode="mode"), ValueError, 'mode must be "max", "average"'),
        (lambda: spatial_pyramid_pool2d(draw(4, 4)), ValueError, r"\(N, C, H, W\) or \(C, H, W\)"),
        (lambda: CornerPool("top"), ValueError, 'corner must be "top_left" or "bottom_right"'),
        (lambda: corner_pool(draw(2, 2), draw(2, 3)), ValueError, "b must have the shape of a"),
        (lambda: center_pool(draw(2, 2), draw(2, 3)), ValueError, "b must have the shape of a"),
        (lambda: strip_pool(torch.ones(2, 2, dtype=torch.int64)), TypeError, "floats"),
        (lambda: strip_pool(np.ones((2, 2))), TypeError, "torch.Tensor"),
        (lambda: StripBlock(0), ValueError, "channels must be at least 1"),
        (lambda: MixedStripBlock(3), ValueError, "channels must be at least 4"),
        (lambda: CornerBlock(2, hidden=0), ValueError, "hidden must be at least 1"),
    ],
)
def test_refusals(make, error, words):
    with pytest.raises(error, match=words):
        make()
