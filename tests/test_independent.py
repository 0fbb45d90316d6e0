"""The NumPy column against software that no one here wrote: torch.nn.functional, ONNX's node cases, ONNX Runtime."""

import math
from functools import cache, partial

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
import torch.nn.functional as F
from cases import FILLS, MAPS, map_id, normal, ties

from poolref.numpy import (
    avg_pool,
    avg_pool_backward,
    lp_pool,
    max_pool,
    max_pool_backward,
    min_pool,
    soft_pool,
    soft_pool_backward,
    sum_pool,
)
from poolref.regions import Adaptive, Running, Whole, Window

windows = pytest.mark.parametrize("case", [c for c in MAPS if isinstance(c[1], Window)], ids=map_id)
bins = pytest.mark.parametrize("case", [c for c in MAPS if isinstance(c[1], Adaptive)], ids=map_id)
fills = pytest.mark.parametrize("fill", ["normal", "ties", "negatives", "nan", "both infs"])


def functional(name, ndim):
    return getattr(F, f"{name}{ndim}d")


def arguments(window):
    return {"kernel_size": window.kernel_size, "stride": window.stride, "padding": window.padding}


def gradient(function, x, g):
    """The gradient of a torch function, by autograd."""
    x = torch.from_numpy(x).requires_grad_()
    function(x).backward(torch.from_numpy(g))
    return x.grad.numpy()


# --- torch ----------------------------------------------------------------------------------------------------------


@windows
@fills
def test_max_pool_of_windows_is_torchs(case, fill):
    spatial, window = case
    x = FILLS[fill]((2, 3, *spatial), "float32")
    pool = partial(
        functional("max_pool", window.ndim), **arguments(window), dilation=window.dilation, ceil_mode=window.ceil_mode
    )
    expected, indices = (t.numpy() for t in pool(torch.from_numpy(x), return_indices=True))
    y, ours = max_pool(x, window, return_indices=True)
    np.testing.assert_array_equal(y, expected)
    told = np.isfinite(y) | np.isposinf(y)  # which NaN is named is not promised, nor what an empty window names
    np.testing.assert_array_equal(ours[told], indices[told])
    if told.all():
        g = normal(y.shape, "float32")
        np.testing.assert_allclose(max_pool_backward(g, x, window), gradient(pool, x, g), rtol=1e-5, atol=1e-6)


@bins
@fills
def test_max_pool_of_bins_is_torchs(case, fill):
    spatial, grid = case
    x = FILLS[fill]((2, 3, *spatial), "float64")
    pool = partial(functional("adaptive_max_pool", grid.ndim), output_size=grid.output_shape(spatial))
    expected, indices = (t.numpy() for t in pool(torch.from_numpy(x), return_indices=True))
    y, ours = max_pool(x, grid, return_indices=True)
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(ours[~np.isnan(y)], indices[~np.isnan(y)])
    if not np.isnan(y).any():
        g = normal(y.shape)
        np.testing.assert_allclose(max_pool_backward(g, x, grid), gradient(pool, x, g), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    "case", [c for c in MAPS if isinstance(c[1], Window) and set(c[1].dilation) == {1}], ids=map_id
)
@pytest.mark.parametrize("options", [{}, {"count_include_pad": False}, {"divisor_override": 3}], ids=str)
def test_avg_pool_of_windows_is_torchs(case, options):
    spatial, window = case
    if "divisor_override" in options and window.ndim == 1:
        return  # torch.nn.functional.avg_pool1d has no such argument
    x = normal((2, 3, *spatial))
    pool = partial(functional("avg_pool", window.ndim), **arguments(window), ceil_mode=window.ceil_mode, **options)
    y = avg_pool(x, window, **options)
    np.testing.assert_allclose(y, pool(torch.from_numpy(x)).numpy(), rtol=1e-13, atol=1e-14)
    g = normal(y.shape)
    expected = gradient(pool, x, g)
    np.testing.assert_allclose(avg_pool_backward(g, x, window, **options), expected, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("options", [{}, {"count_include_pad": False}, {"divisor_override": 3}], ids=str)
def test_avg_pool_of_ints_is_torchs(options):
    x = np.random.default_rng(0).integers(-50, 50, (2, 7, 8))
    for window in (Window(2), Window(3, 2, 1), Window(3, 2, 1, ceil_mode=True)):
        expected = F.avg_pool2d(torch.from_numpy(x), **arguments(window), ceil_mode=window.ceil_mode, **options)
        np.testing.assert_array_equal(avg_pool(x, window, **options), expected.numpy())


@bins
def test_avg_pool_of_bins_is_torchs(case):
    spatial, grid = case
    x = normal((2, 3, *spatial))
    pool = partial(functional("adaptive_avg_pool", grid.ndim), output_size=grid.output_shape(spatial))
    y = avg_pool(x, grid)
    np.testing.assert_allclose(y, pool(torch.from_numpy(x)).numpy(), rtol=1e-13, atol=1e-14)
    g = normal(y.shape)
    np.testing.assert_allclose(avg_pool_backward(g, x, grid), gradient(pool, x, g), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("p", [1, 2, 3])
def test_lp_pool_is_torchs_where_torch_is_right(p):
    """On numbers above 0, neither huge nor tiny, and without partial windows."""
    x = np.abs(normal((2, 3, 6, 8)))
    for window in (Window(2), Window(3, 1), Window((2, 3), (1, 2))):
        expected = F.lp_pool2d(torch.from_numpy(x), p, window.kernel_size, window.stride).numpy()
        np.testing.assert_allclose(lp_pool(x, window, p), expected, rtol=1e-12)


@pytest.mark.parametrize(
    "direction, axis, flips", [("down", 2, []), ("up", 2, [2]), ("right", 3, []), ("left", 3, [3])]
)
def test_running_maxima_are_cummax(direction, axis, flips):
    x = ties((2, 3, 5, 6)) + 0.1 * normal((2, 3, 5, 6))
    expected = torch.from_numpy(x).flip(flips).cummax(axis).values.flip(flips).numpy()
    np.testing.assert_array_equal(max_pool(x, Running(direction)), expected)


@pytest.mark.parametrize("window", [Window(2), Window(3, 2), Window(3, 1), Window((2, 3), (1, 2))], ids=str)
def test_soft_pool_is_a_composition_of_torch_operations(window):
    x = normal((2, 3, 7, 8))

    def pool(x):
        cells = x.unfold(2, window.kernel_size[0], window.stride[0]).unfold(3, window.kernel_size[1], window.stride[1])
        cells = cells.flatten(-2)
        return (cells.softmax(-1) * cells).sum(-1)

    y = soft_pool(x, window)
    np.testing.assert_allclose(y, pool(torch.from_numpy(x)).numpy(), rtol=1e-13)
    g = normal(y.shape)
    np.testing.assert_allclose(soft_pool_backward(g, x, window), gradient(pool, x, g), rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_global_pooling_is_a_reduction_of_torch(ndim):
    x = normal((2, 3, 4, 5, 6)[: ndim + 2])
    t, axes = torch.from_numpy(x), tuple(range(-ndim, 0))
    for pool, expected in [
        (max_pool, t.amax(axes, True)),
        (min_pool, t.amin(axes, True)),
        (avg_pool, t.mean(axes, True)),
        (sum_pool, t.sum(axes, True)),
        (lp_pool, torch.linalg.vector_norm(t, 2, axes, True)),
    ]:
        np.testing.assert_allclose(pool(x, Whole(ndim)), expected.numpy(), rtol=1e-13)


# --- ONNX -----------------------------------------------------------------------------------------------------------


def poolref_of(node, x):
    """What the NumPy column computes for an ONNX node: all its outputs, or None if no Window says the same."""
    options = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    ndim = x.ndim - 2
    if node.op_type.startswith("Global"):
        return [{"GlobalMaxPool": max_pool, "GlobalAveragePool": avg_pool}[node.op_type](x, Whole(ndim))]
    pads = options.get("pads", [0] * 2 * ndim)
    padding, kernel = tuple(pads[:ndim]), tuple(options["kernel_shape"])
    symmetric = pads[:ndim] == pads[ndim:] and options.get("auto_pad", b"NOTSET") in (b"NOTSET", b"VALID")
    if not symmetric or any(p > k // 2 for p, k in zip(padding, kernel, strict=True)):
        return None
    strides, dilations = options.get("strides", [1] * ndim), options.get("dilations", [1] * ndim)
    window = Window(kernel, tuple(strides), padding, tuple(dilations), bool(options.get("ceil_mode", 0)))
    if node.op_type == "AveragePool":
        return [avg_pool(x, window, count_include_pad=bool(options.get("count_include_pad", 0)))]
    if node.op_type == "LpPool":
        return [lp_pool(x, window, options.get("p", 2))]
    y, indices = max_pool(x, window, return_indices=True)
    if options.get("storage_order", 0):  # column-major within a plane
        indices = np.ravel_multi_index(np.unravel_index(indices, x.shape[2:])[::-1], x.shape[2:][::-1])
    planes = np.arange(math.prod(x.shape[:2])).reshape(*x.shape[:2], *[1] * ndim)
    return [y, indices + planes * math.prod(x.shape[2:])][: len(node.output)]


@cache
def node_cases():
    """ONNX's node cases of the operators that the column has, by name."""
    from onnx.backend.test.case.node import collect_testcases

    wanted = ("AveragePool", "GlobalAveragePool", "GlobalMaxPool", "LpPool", "MaxPool")
    return {case.name: case for case in collect_testcases(None) if case.model.graph.node[0].op_type in wanted}


# ONNX pads the end of an axis alone, or by more than half the kernel, where no Window does.
NO_WINDOW = ("same_upper", "same_lower", "2d_pads", "2d_pads_count_include_pad")


@pytest.mark.filterwarnings("ignore")
def test_onnx_node_cases():
    passed, left_out = [], []
    for name, case in node_cases().items():
        ((inputs, outputs),) = case.data_sets
        if (ours := poolref_of(case.model.graph.node[0], inputs[0])) is None:
            left_out.append(name)
            continue
        for y, expected in zip(ours, outputs, strict=True):
            np.testing.assert_allclose(y, expected, rtol=case.rtol, atol=1e-6, err_msg=name)
        passed.append(name)
    assert all(name.endswith(NO_WINDOW) for name in left_out), left_out
    assert len(passed) >= 35


# --- ONNX Runtime ---------------------------------------------------------------------------------------------------


def run_onnx(op, x, window, outputs=1, **options):
    """What ONNX Runtime computes for a pooling node."""
    names = [f"y{i}" for i in range(outputs)]
    attributes = {
        "kernel_shape": window.kernel_size,
        "strides": window.stride,
        "pads": window.padding * 2,
        "dilations": window.dilation,
        "ceil_mode": int(window.ceil_mode),
    }
    node = onnx.helper.make_node(op, ["x"], names, **attributes, **options)
    kinds = [onnx.helper.np_dtype_to_tensor_dtype(x.dtype), onnx.TensorProto.INT64]
    graph = onnx.helper.make_graph(
        [node],
        "pool",
        [onnx.helper.make_tensor_value_info("x", kinds[0], x.shape)],
        [onnx.helper.make_tensor_value_info(n, k, None) for n, k in zip(names, kinds, strict=False)],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 22)], ir_version=10)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x})


@windows
@pytest.mark.parametrize("fill", ["normal", "ties", "negatives"])
def test_max_pool_is_onnx_runtimes(case, fill):
    spatial, window = case
    x = FILLS[fill]((2, 3, *spatial), "float32")
    y, indices = run_onnx("MaxPool", x, window, outputs=2)
    ours = max_pool(x, window)
    np.testing.assert_array_equal(ours[np.isfinite(ours)], y[np.isfinite(ours)])
    if np.isfinite(ours).all():
        planes = np.arange(6).reshape(2, 3, *[1] * window.ndim) * math.prod(spatial)
        np.testing.assert_array_equal(max_pool(x, window, return_indices=True)[1] + planes, indices)


@windows
@pytest.mark.parametrize("count_include_pad", [False, True])
def test_avg_pool_is_onnx_runtimes(case, count_include_pad):
    spatial, window = case
    x = normal((2, 3, *spatial), "float32")
    (y,) = run_onnx("AveragePool", x, window, count_include_pad=int(count_include_pad))
    ours = avg_pool(x, window, count_include_pad=count_include_pad)
    defined = ~np.isnan(ours)  # the mean of no cell is NaN here and 0 there
    np.testing.assert_allclose(ours[defined], y[defined], rtol=1e-5, atol=1e-6)


@windows
@pytest.mark.parametrize("p", [1, 2, 3])
def test_lp_pool_is_onnx_runtimes(case, p):
    spatial, window = case
    x = normal((2, 3, *spatial), "float32")
    (y,) = run_onnx("LpPool", x, window, p=p)
    np.testing.assert_allclose(lp_pool(x, window, p), y, rtol=1e-5, atol=1e-6)
