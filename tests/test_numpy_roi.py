"""RoI pooling and RoIAlign: against plain loops, ONNX Runtime, and boxes that leave the map."""

import math

import numpy as np
import onnx
import onnxruntime
import pytest
from differences import gradients
from hypothesis import given, settings
from hypothesis import strategies as st

from poolref.definition import maximum, pool
from poolref.numpy import avg_pool, max_pool, roi_align, roi_align_backward, roi_pool, roi_pool_backward
from poolref.regions import Adaptive, Box, Window


def maps(shape=(2, 3, 6, 8), seed=0):
    """Numbers no two of which are close, so that no maximum changes hands under a small nudge."""
    n = math.prod(shape)
    return ((np.random.default_rng(seed).permutation(n) - n // 2) * 0.03).reshape(shape)


# image, x1, y1, x2, y2: inside, one cell, over every edge, outside, upside down, larger than the map, fractional
BOXES = np.array(
    [
        [0, 1, 1, 5, 4],
        [1, 3, 2, 3, 2],
        [0, -3, -2, 4, 3],
        [1, 5, 4, 12, 9],
        [0, 20, 20, 30, 30],
        [1, -30, -30, -20, -9],
        [0, 6, 5, 2, 1],
        [1, -5, -5, 20, 20],
        [0, 1.3, 0.7, 5.9, 4.2],
        [1, 0.5, 1.5, 2.5, 3.5],
    ]
)


def plain_roi_pool(x, boxes, output_size, scale):
    """The loop of the paper, bin by bin and cell by cell."""
    y = np.zeros((len(boxes), x.shape[1], *output_size))
    for k, (image, *corners) in enumerate(boxes):
        x1, y1, x2, y2 = (int(math.copysign(math.floor(abs(v * scale) + 0.5), v)) for v in corners)
        height, width = max(y2 - y1 + 1, 1), max(x2 - x1 + 1, 1)
        for c, i, j in np.ndindex(y.shape[1:]):
            rows = range(y1 + i * height // output_size[0], y1 - (-(i + 1) * height // output_size[0]))
            columns = range(x1 + j * width // output_size[1], x1 - (-(j + 1) * width // output_size[1]))
            cells = [(r, q) for r in rows for q in columns if 0 <= r < x.shape[2] and 0 <= q < x.shape[3]]
            y[k, c, i, j] = max((x[int(image), c, r, q] for r, q in cells), default=0)
    return y


def plain_roi_align(x, boxes, output_size, scale, ratio, aligned):
    """Every sample of every bin, interpolated by itself."""
    height, width = x.shape[2:]

    def value(plane, v, u):
        if not (-1 <= v <= height and -1 <= u <= width):
            return 0.0
        v, u = min(max(v, 0), height - 1), min(max(u, 0), width - 1)
        total = 0.0
        for r in range(height):
            for q in range(width):
                total += max(0, 1 - abs(v - r)) * max(0, 1 - abs(u - q)) * plane[r, q]
        return total

    y = np.zeros((len(boxes), x.shape[1], *output_size))
    for k, (image, x1, y1, x2, y2) in enumerate(boxes):
        a, b = (s * scale - (0.5 if aligned else 0) for s in (y1, x1))
        h, w = ((s - t) * scale if aligned else max((s - t) * scale, 1) for s, t in ((y2, y1), (x2, x1)))
        h, w = h / output_size[0], w / output_size[1]
        down, across = (ratio or max(math.ceil(size), 0) for size in (h, w))
        for c, i, j in np.ndindex(y.shape[1:]):
            samples = [
                value(x[int(image), c], a + (i + (s + 0.5) / down) * h, b + (j + (t + 0.5) / across) * w)
                for s in range(down)
                for t in range(across)
            ]
            y[k, c, i, j] = sum(samples) / max(len(samples), 1)
    return y


# --- RoI pooling ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("output_size", [(1, 1), (2, 3), (7, 5)])
@pytest.mark.parametrize("scale", [1, 0.5])
def test_roi_pool_is_the_plain_loop(output_size, scale):
    x = maps()
    y = roi_pool(x, BOXES, output_size, scale)
    np.testing.assert_array_equal(y, plain_roi_pool(x, BOXES, output_size, scale))
    g = np.random.default_rng(1).standard_normal(y.shape)
    (expected,) = gradients(lambda x: roi_pool(x, BOXES, output_size, scale), g, x)
    np.testing.assert_allclose(roi_pool_backward(g, x, BOXES, output_size, scale), expected, rtol=1e-7, atol=1e-8)


def test_halves_are_rounded_away_from_0():
    x = np.arange(8.0).reshape(1, 1, 1, 8)
    for corner, cell in [(0.5, 1), (1.5, 2), (2.5, 3), (2.49, 2), (-0.49, 0), (0.49999999999999994, 0)]:
        assert roi_pool(x, [[0, corner, 0, corner, 0]], 1) == cell
    assert roi_pool(x, [[0, -0.5, 0, -0.5, 0]], 1) == 0  # cell -1, outside
    assert roi_pool(x + 1, [[0, -0.5, 0, -0.5, 0]], 1) == 0
    assert roi_pool(x + 1, [[0, -0.49, 0, -0.49, 0]], 1) == 1


@given(st.tuples(*[st.integers(-5, 9)] * 4), st.tuples(*[st.integers(1, 9)] * 2))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_a_box_is_one_more_kind_of_regions(corners, output_size):
    x1, y1, x2, y2 = corners
    x = maps()
    box = Box((y1, x1), (max(y2 - y1 + 1, 1), max(x2 - x1 + 1, 1)), output_size)
    expected = pool(x[1], box, maximum)
    y = roi_pool(x, [[1, x1, y1, x2, y2]], output_size)[0]
    np.testing.assert_array_equal(y, np.where(np.isinf(expected), 0, expected))
    np.testing.assert_array_equal(max_pool(x[1], box), expected)


def test_a_box_as_large_as_the_map_is_adaptive_pooling():
    x = maps()
    y = roi_pool(x, [[0, 0, 0, 7, 5], [1, 0, 0, 7, 5]], (4, 3))
    np.testing.assert_array_equal(y, max_pool(x, Adaptive((4, 3))))


def test_of_equal_cells_the_first_has_the_gradient():
    dx = roi_pool_backward(np.ones((1, 1, 1, 1)), np.ones((1, 1, 3, 3)), [[0, 1, 1, 2, 2]], 1)
    np.testing.assert_array_equal(dx[0, 0], [[0, 0, 0], [0, 1, 0], [0, 0, 0]])


def test_nan_reaches_its_bins_alone():
    x = maps((1, 1, 4, 4))
    x[0, 0, 0, 0] = np.nan
    np.testing.assert_array_equal(np.isnan(roi_pool(x, [[0, 0, 0, 3, 3]], 2))[0, 0], [[True, False], [False, False]])


# --- RoIAlign -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("output_size", [(1, 1), (2, 3)])
@pytest.mark.parametrize("scale, ratio, aligned", [(1, 0, True), (1, 2, True), (0.5, 0, False), (1, 1, False)])
def test_roi_align_is_the_plain_loop(output_size, scale, ratio, aligned):
    x = maps()
    options = output_size, scale, ratio, aligned
    y = roi_align(x, BOXES, *options)
    np.testing.assert_allclose(y, plain_roi_align(x, BOXES, *options), rtol=1e-12, atol=1e-13)
    g = np.random.default_rng(1).standard_normal(y.shape)
    dx = roi_align_backward(g, x, BOXES, *options)
    for direction in np.random.default_rng(2).standard_normal((3, *x.shape)):  # linear: <g, A v> = <A' g, v>
        assert np.vdot(g, roi_align(direction, BOXES, *options)) == pytest.approx(np.vdot(dx, direction), rel=1e-10)


def test_gradient_of_roi_align_is_finite_differences():
    x, boxes = maps((1, 1, 4, 5)), [[0, 0.3, -0.6, 3.9, 4.4]]
    g = np.random.default_rng(1).standard_normal((1, 1, 2, 2))
    (expected,) = gradients(lambda x: roi_align(x, boxes, 2), g, x)
    np.testing.assert_allclose(roi_align_backward(g, x, boxes, 2), expected, rtol=1e-7, atol=1e-9)


def test_whole_cells_give_their_means():
    x = maps()
    y = roi_align(x, [[0, 0, 0, 8, 6], [1, 0, 0, 8, 6]], (3, 4), sampling_ratio=2)
    np.testing.assert_allclose(y, avg_pool(x, Window(2)), rtol=1e-12, atol=1e-14)


def test_a_linear_map_gives_the_centres_of_the_bins():
    x = np.broadcast_to(np.arange(20.0), (1, 1, 20, 20))
    y = roi_align(x, [[0, 4.25, 4, 10.25, 12]], (1, 3), sampling_ratio=3)
    np.testing.assert_allclose(y[0, 0, 0], np.array([5.25, 7.25, 9.25]) - 0.5, rtol=1e-13)


def test_samples_beyond_the_edge_are_0_and_near_it_the_edge():
    x = np.ones((1, 1, 4, 4))
    for position, expected in [(-1.0, 1), (-1.001, 0), (4.0, 1), (4.001, 0)]:
        box = [[0, position, 1, position, 1]]  # a box of no size: all samples at one place
        assert roi_align(x, np.add(box, [0, 0.5, 0, 0.5, 0]), 1, sampling_ratio=1) == expected
    assert roi_align(x, [[0, 2, 2, 2, 2]], 1) == 0  # no size and no fixed number of samples: none


# --- both -----------------------------------------------------------------------------------------------------------


def onnx_runtime(node, opset, x, inputs):
    kinds = {"float32": onnx.TensorProto.FLOAT, "int64": onnx.TensorProto.INT64}
    arrays = {"x": x, **inputs}
    infos = [onnx.helper.make_tensor_value_info(name, kinds[str(a.dtype)], a.shape) for name, a in arrays.items()]
    output = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)
    graph = onnx.helper.make_graph([node], "regions", infos, [output])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", opset)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, arrays)[0]


def test_onnx_runtime_agrees_on_roi_pool():
    x, boxes = maps().astype("float32"), BOXES.astype("float32")
    node = onnx.helper.make_node("MaxRoiPool", ["x", "boxes"], ["y"], pooled_shape=[2, 3], spatial_scale=0.5)
    np.testing.assert_array_equal(roi_pool(x, boxes, (2, 3), 0.5), onnx_runtime(node, 11, x, {"boxes": boxes}))


@pytest.mark.parametrize("aligned, mode", [(True, "half_pixel"), (False, "output_half_pixel")])
@pytest.mark.parametrize("ratio", [0, 2])
def test_onnx_runtime_agrees_on_roi_align(aligned, mode, ratio):
    x, boxes = maps().astype("float32"), BOXES.astype("float32")
    names = ["x", "corners", "images"]
    sizes = {"output_height": 2, "output_width": 3, "sampling_ratio": ratio, "spatial_scale": 0.5}
    node = onnx.helper.make_node("RoiAlign", names, ["y"], coordinate_transformation_mode=mode, **sizes)
    inputs = {"corners": boxes[:, 1:].copy(), "images": boxes[:, 0].astype("int64")}
    expected = onnx_runtime(node, 16, x, inputs)
    np.testing.assert_allclose(roi_align(x, boxes, (2, 3), 0.5, ratio, aligned), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("forward, backward", [(roi_pool, roi_pool_backward), (roi_align, roi_align_backward)])
def test_dtypes_and_nothing_at_all(forward, backward):
    for dtype in ("float16", "float32", "float64"):
        x = maps().astype(dtype)
        y = forward(x, BOXES, 2)
        assert y.dtype == backward(y, x, BOXES, 2).dtype == dtype
        np.testing.assert_allclose(y, forward(x.astype("float64"), BOXES, 2), rtol=0, atol=4 * np.finfo(dtype).eps)
    assert forward(maps(), np.empty((0, 5)), 2).shape == (0, 3, 2, 2)
    np.testing.assert_array_equal(backward(np.ones((0, 3, 2, 2)), maps(), np.empty((0, 5)), 2), 0)
    assert forward(np.ones((1, 0, 4, 4)), [[0, 0, 0, 2, 2]], 2).shape == (1, 0, 2, 2)


@pytest.mark.parametrize("forward", [roi_pool, roi_align])
def test_refuses(forward):
    x = maps()
    with pytest.raises(ValueError, match=r"^x must be \(N, C, H, W\) .*, got shape \(3, 6, 8\)"):
        forward(x[0], BOXES, 2)
    with pytest.raises(ValueError, match=r"^boxes must be \(K, 5\), .*, got shape \(10, 4\)"):
        forward(x, BOXES[:, :4], 2)
    for image in (2, -1, 0.5):
        with pytest.raises(ValueError, match=r"^boxes must begin with the index of one of 2 images, got"):
            forward(x, [[image, 0, 0, 1, 1]], 2)
    with pytest.raises(ValueError, match=r"^boxes must hold finite numbers, got \[0.0, nan"):
        forward(x, [[0, np.nan, 0, 1, 1]], 2)
    with pytest.raises(ValueError, match=r"^output_size must be .*, got 0"):
        forward(x, BOXES, 0)
    with pytest.raises(ValueError, match=r"^output_size must be .*, got \(2, 2, 2\)"):
        forward(x, BOXES, (2, 2, 2))
    with pytest.raises(ValueError, match=r"^spatial_scale must be above 0 and finite, got 0"):
        forward(x, BOXES, 2, 0)


def test_refuses_more():
    x = maps()
    with pytest.raises(ValueError, match=r"^sampling_ratio must be at least 0, got -1"):
        roi_align(x, BOXES, 2, sampling_ratio=-1)
    with pytest.raises(TypeError, match=r"^aligned must be True or False, got 1"):
        roi_align(x, BOXES, 2, aligned=1)
    for backward in (roi_pool_backward, roi_align_backward):
        with pytest.raises(
            ValueError, match=r"^grad_output must have the output's shape \(10, 3, 2, 2\), got \(3, 2, 2\)"
        ):
            backward(np.ones((3, 2, 2)), x, BOXES, 2)
    with pytest.raises(TypeError, match=r"^boxes must hold ints or floats, got dtype <U1"):
        roi_pool(x, [["0"] * 5], 2)
    with pytest.raises(ValueError, match=r"^size must be .*, got \(0, 1\)"):
        Box((0, 0), (0, 1), 2)
