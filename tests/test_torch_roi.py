"""RoI pooling, RoIAlign and adaptive feature pooling."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_checks import check_compiled, check_exported, check_gradients, check_half, check_stored, draw

import poolref.numpy
import poolref.torch.roi
from poolref.torch import AdaptiveFeaturePool, RoIAlign, RoIPool
from poolref.torch.functional import roi_align, roi_pool

BOXES = torch.tensor(
    [
        [0, 0.0, 0.0, 6.0, 5.0],
        [1, 1.3, 0.7, 4.9, 3.2],
        [0, -3.0, -2.0, 2.4, 9.0],  # over the edges
        [1, 20.0, 20.0, 25.0, 30.0],  # outside
        [0, 3.0, 2.0, 3.0, 2.0],  # without size
        [1, 5.0, 4.0, 2.0, 1.0],  # turned round
        [0, 0.5, 1.5, 2.5, 3.5],  # halves
    ],
    dtype=torch.float64,
)


def assert_numpy(name, y, x, arguments):
    g = draw(*y.shape, seed=1)
    array, boxes = x.detach().numpy(), BOXES.numpy()
    forward, backward = (getattr(poolref.numpy, f"{name}{ending}") for ending in ("", "_backward"))
    np.testing.assert_allclose(y.detach(), forward(array, boxes, *arguments), rtol=1e-12, atol=1e-12)
    grad = torch.autograd.grad(y, x, g)[0]
    np.testing.assert_allclose(grad, backward(g.numpy(), array, boxes, *arguments), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("scale", [1.0, 0.5, 1.7])
@pytest.mark.parametrize("size", [1, 2, (3, 7)])
@pytest.mark.parametrize("ties", [False, True])
def test_roi_pool_is_the_numpy_columns(scale, size, ties):
    x = draw(2, 3, 6, 7)
    x = (x.round() if ties else x).requires_grad_()
    assert_numpy("roi_pool", roi_pool(x, BOXES, size, scale), x, (size, scale))


@pytest.mark.parametrize("scale", [1.0, 0.5])
@pytest.mark.parametrize("size", [1, (3, 7)])
@pytest.mark.parametrize("ratio", [0, 1, 2])
@pytest.mark.parametrize("aligned", [True, False])
def test_roi_align_is_the_numpy_columns(scale, size, ratio, aligned):
    x = draw(2, 3, 6, 7).requires_grad_()
    arguments = (size, scale, ratio, aligned)
    assert_numpy("roi_align", roi_align(x, BOXES, *arguments), x, arguments)


def test_special_values_and_no_boxes():
    x = torch.full((1, 1, 4, 4), -torch.inf)
    x[0, 0, 0, 0] = torch.nan
    box = torch.tensor([[0, 0.0, 0.0, 3.0, 3.0]])
    y = roi_pool(x, box, 2)[0, 0]
    assert y[0, 0].isnan() and (y.flatten()[1:] == -torch.inf).all()
    for function in (roi_pool, roi_align):
        assert function(draw(2, 3, 4, 4), torch.zeros(0, 5), 2).shape == (0, 3, 2, 2)


@given(st.integers(0, 2**31), st.integers(1, 4), st.integers(0, 2), st.booleans())
@settings(max_examples=60, deadline=None)
def test_drawn_boxes_are_the_numpy_columns(seed, size, ratio, aligned):
    """Boxes of all sizes, from a part of a cell to many maps; some turned round, some in halves."""
    rng = np.random.default_rng(seed)
    corners = rng.normal(0, 10.0 ** rng.integers(-1, 3, (5, 1)), (5, 4)) + 3
    corners[::2] = np.round(2 * corners[::2]) / 2
    boxes = torch.from_numpy(np.concatenate([rng.integers(0, 2, (5, 1)), corners], 1))
    x = draw(2, 2, 6, 7, seed=seed)
    pooled = poolref.numpy.roi_align(x.numpy(), boxes.numpy(), size, 0.7, ratio, aligned)
    np.testing.assert_allclose(roi_align(x, boxes, size, 0.7, ratio, aligned), pooled, rtol=1e-9, atol=1e-11)
    np.testing.assert_array_equal(roi_pool(x, boxes, size), poolref.numpy.roi_pool(x.numpy(), boxes.numpy(), size))


def test_blocks_of_boxes(monkeypatch):
    x = draw(2, 3, 6, 7).requires_grad_()
    for function in (roi_pool, roi_align):
        results = []
        for numbers in (2**22, 300, 1):  # all boxes at once, two at a time, one at a time
            monkeypatch.setattr(poolref.torch.roi, "_BLOCK", numbers)
            y = function(x, BOXES, 2)
            results.append([y.detach(), torch.autograd.grad(y.square().sum(), x)[0]])
        for parts in zip(*results):
            torch.testing.assert_close(parts[0], parts[1], rtol=1e-13, atol=1e-13)
            torch.testing.assert_close(parts[0], parts[2], rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("pool", [RoIPool((2, 3), 0.5), RoIAlign(2), RoIAlign(2, 0.5, 2, False)], ids=str)
def test_one_graph_for_any_number_of_boxes(pool):
    torch._dynamo.reset()
    compiled = torch.compile(pool, fullgraph=True, backend="aot_eager", dynamic=True)
    x, boxes = draw(2, 3, 6, 7), BOXES.repeat(2, 1)
    for number in (7, 12, 3):
        leaves = [x.clone().requires_grad_() for _ in range(2)]
        results = [function(leaf, boxes[:number]) for function, leaf in zip((compiled, pool), leaves, strict=True)]
        torch.testing.assert_close(*results)
        for y in results:
            y.square().sum().backward()
        torch.testing.assert_close(*(leaf.grad for leaf in leaves))
    batch, count = torch.export.Dim("batch", min=1), torch.export.Dim("boxes", min=1)
    program = torch.export.export(pool, (x, boxes[:5]), dynamic_shapes=({0: batch}, {0: count})).module()
    x = torch.cat([x, -x])
    for number in (1, 14):
        torch.testing.assert_close(program(x, boxes[:number]), pool(x, boxes[:number]))


@pytest.mark.parametrize("function", [roi_pool, roi_align])
def test_torch_func(function):
    def loss(x):
        return function(x, BOXES, 2).square().sum()

    x = draw(3, 2, 2, 6, 7)
    leaf = x.clone().requires_grad_()
    (expected,) = torch.autograd.grad(sum(map(loss, leaf)), leaf)
    torch.testing.assert_close(torch.func.vmap(torch.func.grad(loss))(x), expected)
    torch.testing.assert_close(torch.func.vmap(loss)(x), torch.stack([loss(a) for a in x]))
    hessian = torch.autograd.functional.hessian(loss, x[0, :, :1, :3, :3])
    torch.testing.assert_close(torch.func.jacrev(torch.func.grad(loss))(x[0, :, :1, :3, :3]), hessian)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_raw_operators_keep_their_promises(layout):
    x = draw(2, 3, 6, 7).contiguous(memory_format=layout)
    image, matrices = torch.tensor([1, 0, 1]), (draw(3, 2, 6, seed=1), draw(3, 4, 7, seed=2))
    bins = torch.tensor([[[0, 2], [1, 6]]] * 3), torch.tensor([[[0, 7], [3, 4]]] * 3)
    cells = torch.ops.poolref.roi_pool(x, image, *bins)[1]
    raw = torch.ops.poolref
    for operator, arguments in (
        (raw.roi_align, (x, image, *matrices)),
        (raw.roi_align_backward, (draw(3, 3, 2, 4), x, image, *matrices)),
        (raw.roi_pool, (x, image, *bins)),
        (raw.roi_pool_backward, (draw(3, 3, 2, 2), x, image, cells)),
    ):
        torch.library.opcheck(operator.default, arguments, test_utils=("test_schema", "test_faketensor"))


class WithBoxes(torch.nn.Module):
    def __init__(self, module, levels=None):
        super().__init__()
        self.module, self.levels = module, levels
        self.register_buffer("boxes", BOXES[:4].clone())

    def forward(self, x):
        maps = x if self.levels is None else [x[..., ::step, ::step] for step in self.levels]
        return self.module(maps, self.boxes)


def module_of_levels():
    torch.manual_seed(0)
    return AdaptiveFeaturePool(2, (1.0, 0.5), channels=3, sampling_ratio=2)


MODULES = {
    "RoIPool": WithBoxes(RoIPool((2, 3), 0.5)),
    "RoIAlign": WithBoxes(RoIAlign(2, sampling_ratio=2)),
    "RoIAlign of as many samples as cells": WithBoxes(RoIAlign(2)),
    "AdaptiveFeaturePool": WithBoxes(module_of_levels(), levels=(1, 2)),
}


@pytest.mark.parametrize("name", MODULES)
def test_module(name):
    module, x = MODULES[name], draw(2, 3, 6, 7).float()
    check_gradients(module, x)
    check_stored(module, x)
    check_half(module, x, tolerance=0.1)
    check_compiled(module, x)
    check_exported(module, x)


def test_adaptive_feature_pooling_is_the_maximum_of_levels():
    pool = module_of_levels()
    levels = [draw(2, 3, 8, 8).float(), draw(2, 3, 4, 4, seed=1).float()]
    parts = [
        layer(roi_align(level, BOXES, 2, scale, 2))
        for layer, level, scale in zip(pool.layers, levels, (1, 0.5), strict=True)
    ]
    torch.testing.assert_close(pool(levels, BOXES), torch.maximum(*parts))


@pytest.mark.parametrize(
    "make, error, words",
    [
        (lambda: roi_pool(draw(3, 4, 4), BOXES, 2), ValueError, r"input must be \(N, C, H, W\)"),
        (lambda: roi_pool(draw(2, 3, 4, 4), BOXES[:, 1:], 2), ValueError, r"boxes must be \(K, 5\)"),
        (lambda: roi_align(draw(1, 3, 4, 4), BOXES, 2), ValueError, "index of one of 1 images"),
        (lambda: roi_align(draw(2, 3, 4, 4), BOXES * torch.inf, 2), ValueError, "finite"),
        (lambda: roi_align(draw(2, 3, 4, 4), BOXES.long(), 2), TypeError, "boxes must be a torch.Tensor of floats"),
        (lambda: RoIPool(0), ValueError, "output_size"),
        (lambda: RoIAlign(2, spatial_scale=0), ValueError, "spatial_scale must be above 0"),
        (lambda: RoIAlign(2, sampling_ratio=1.5), TypeError, "sampling_ratio must be an int"),
        (lambda: RoIAlign(2, aligned=1), TypeError, "aligned must be True or False"),
        (lambda: AdaptiveFeaturePool(2, ()), ValueError, "scales must be a tuple"),
        (lambda: AdaptiveFeaturePool(2, (1,))([], BOXES), ValueError, "levels must hold 1 maps"),
    ],
)
def test_refusals(make, error, words):
    with pytest.raises(error, match=words):
        make()


@pytest.mark.parametrize("special", [torch.nan, torch.inf, -torch.inf])
def test_a_cell_without_weight_takes_no_part(special):
    x = torch.tensor([[[[1.0, special, 3.0, 4.0]]]], dtype=torch.float64)
    boxes = torch.tensor(
        [[0, 0.0, 0.0, 1.0, 1.0], [0, 0.5, 0.0, 1.5, 1.0], [0, 2.5, 0.0, 3.5, 1.0]]
    )  # samples at 0, 1/2, 2 1/2
    expected = [1, special, 3.5]
    np.testing.assert_array_equal(roi_align(x, boxes, 1).flatten(), expected)
    np.testing.assert_array_equal(poolref.numpy.roi_align(x.numpy(), boxes.numpy(), 1).ravel(), expected)


def test_both_infinities_make_nan():
    x = torch.tensor([[[[torch.inf, -torch.inf, 3.0]]]])
    boxes = torch.tensor([[0, 0.5, 0.0, 1.5, 1.0], [0, 1.5, 0.0, 2.5, 1.0]])
    np.testing.assert_array_equal(roi_align(x, boxes, 1).flatten(), [np.nan, -np.inf])


def test_boxes_in_lists_and_negative_ratios_as_in_torchvision():
    x = draw(2, 3, 6, 7).float()
    boxes = [torch.tensor([[0.0, 1.0, 4.0, 5.0], [2.0, 2.0, 3.0, 6.0]]), torch.zeros(0, 4)]
    rows = torch.nn.functional.pad(boxes[0], [1, 0])
    for pool in (roi_pool, roi_align):
        assert torch.equal(pool(x, boxes, (2, 3)), pool(x, rows, (2, 3)))
    assert torch.equal(RoIAlign(2, sampling_ratio=-1)(x, rows), RoIAlign(2)(x, rows))
