"""Max unpooling: back to where the maxima came from."""

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from cases import MAPS, map_id
from differences import gradients
from hypothesis import given
from test_numpy import cases, hypothesis_settings

from poolref.numpy import max_pool, max_pool_backward, max_unpool, max_unpool_backward
from poolref.regions import Pyramid, Window


def normal(shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


@given(cases())
@hypothesis_settings
def test_unpooling_a_pooled_map_leaves_the_winners_and_nothing_else(case):
    x, regions = case
    if isinstance(regions, Pyramid):
        return  # its output has one axis, whatever the map has
    y, indices = max_pool(x, regions, return_indices=True)
    back = max_unpool(y, indices, x.shape[1:])
    won = max_pool_backward(np.ones_like(y), x, regions) > 0
    np.testing.assert_array_equal(back, np.where(won, x, 0))


@pytest.mark.parametrize("case", [c for c in MAPS if isinstance(c[1], Window)], ids=map_id)
def test_the_last_value_wins_and_has_the_gradient(case):
    spatial, window = case
    indices = max_pool(normal((2, *spatial)), window, return_indices=True)[1]
    y, g = normal(indices.shape, 1), normal((2, *spatial), 2)
    expected, owner = np.zeros((2, *spatial)), {}
    for output_index in np.ndindex(y.shape):
        if indices[output_index] >= 0:
            cell = (output_index[0], *np.unravel_index(indices[output_index], spatial))
            expected[cell] = y[output_index]
            owner[cell] = output_index
    np.testing.assert_array_equal(max_unpool(y, indices, spatial), expected)
    dy = np.zeros(y.shape)
    for cell, output_index in owner.items():
        dy[output_index] = g[cell]
    np.testing.assert_array_equal(max_unpool_backward(g, y, indices, spatial), dy)
    (numeric,) = gradients(lambda y: max_unpool(y, indices, spatial), g, y)
    np.testing.assert_allclose(dy, numeric, atol=1e-7)


def test_duplicates_by_hand():
    y, indices, g = np.array([1.0, 2.0, 3.0]), np.array([2, 0, 2]), np.array([10.0, 20.0, 30.0, 40.0])
    np.testing.assert_array_equal(max_unpool(y, indices, (4,)), [2, 0, 3, 0])
    np.testing.assert_array_equal(max_unpool_backward(g, y, indices, (4,)), [0, 10, 30])
    np.testing.assert_array_equal(max_unpool(y, np.array([-1, 0, 1]), (4,)), [2, 3, 0, 0])


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_torch_agrees_where_windows_do_not_overlap(ndim):
    spatial = (5, 6, 4)[:ndim]
    x = torch.tensor(normal((2, 3, *spatial)))
    pool = getattr(torch.nn.functional, f"max_pool{ndim}d")
    unpool = getattr(torch.nn.functional, f"max_unpool{ndim}d")
    y, indices = pool(x, 2, return_indices=True)
    leaf = y.clone().requires_grad_()
    back = unpool(leaf, indices, 2, output_size=spatial)
    g = normal(back.shape, 1)
    back.backward(torch.tensor(g))
    arguments = y.numpy(), indices.numpy(), spatial
    np.testing.assert_array_equal(max_unpool(*arguments), back.detach().numpy())
    np.testing.assert_array_equal(max_unpool_backward(g, *arguments), leaf.grad.numpy())


def test_onnx_runtime_agrees():
    node = onnx.helper.make_node("MaxUnpool", ["y", "indices"], ["x"], kernel_shape=[2, 2], strides=[2, 2])
    tensor = onnx.helper.make_tensor_value_info
    inputs = [tensor("y", onnx.TensorProto.FLOAT, None), tensor("indices", onnx.TensorProto.INT64, None)]
    graph = onnx.helper.make_graph([node], "unpool", inputs, [tensor("x", onnx.TensorProto.FLOAT, None)])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 11)], ir_version=8)
    x = normal((1, 1, 6, 8)).astype("float32")  # one plane: its indices count over the whole tensor
    y, indices = max_pool(x, Window(2), return_indices=True)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (expected,) = session.run(None, {"y": y, "indices": indices})
    np.testing.assert_array_equal(max_unpool(y, indices, (6, 8)), expected)


def test_dtypes_and_empty_batches():
    for dtype in ("float16", "float32", "int32"):
        assert max_unpool(np.ones((2, 2), dtype), np.arange(4).reshape(2, 2), (2, 2)).dtype == dtype
    empty, indices = np.ones((0, 3, 2, 2)), np.ones((0, 3, 2, 2), int)
    assert max_unpool(empty, indices, (4, 4)).shape == (0, 3, 4, 4)
    assert max_unpool_backward(np.ones((0, 3, 4, 4)), empty, indices, (4, 4)).shape == (0, 3, 2, 2)


def test_refuses():
    y, indices = np.ones((2, 2)), np.arange(4).reshape(2, 2)
    for wrong in (indices + 13, indices - 2):
        with pytest.raises(ValueError, match=r"^indices must lie between 0 and 15 \(-1: no cell\), got"):
            max_unpool(y, wrong, (4, 4))
    with pytest.raises(ValueError, match=r"^indices must have the output's shape \(2, 2\), got \(4,\)"):
        max_unpool(y, np.arange(4), (4, 4))
    with pytest.raises(TypeError, match=r"^indices must hold ints, got dtype float64"):
        max_unpool(y, y, (4, 4))
    with pytest.raises(TypeError, match=r"^output_shape must be a tuple of 1 to 3 ints of at least 1, got 4"):
        max_unpool(y, indices, 4)
    for wrong in ((), (4, 0)):
        with pytest.raises(ValueError, match=r"^output_shape must be .* of at least 1.*, got \(.*\)"):
            max_unpool(y, indices, wrong)
    with pytest.raises(ValueError, match=r"^grad_output must have the output's shape \(4, 4\), got \(2, 2\)"):
        max_unpool_backward(y, y, indices, (4, 4))
