"""Subsampling: the cell in the centre of every window."""

import numpy as np
import pytest
from cases import MAPS, map_id
from differences import gradients

from poolref.numpy import subsample, subsample_backward
from poolref.regions import Adaptive, Window


def centre(window, output_index, spatial):
    """The centre by listing the places of a window in order: the middle one, the earlier of two."""
    cell = []
    for axis, i in enumerate(output_index):
        first = i * window.stride[axis] - window.padding[axis]
        places = [first + t * window.dilation[axis] for t in range(window.kernel_size[axis])]
        cell.append(places[(len(places) + 1) // 2 - 1])
    return tuple(cell) if all(0 <= c < n for c, n in zip(cell, spatial)) else None


@pytest.mark.parametrize("case", [case for case in MAPS if isinstance(case[1], Window)], ids=map_id)
def test_forward_and_backward_or_refusal(case):
    spatial, window = case
    x = np.random.default_rng(0).standard_normal((2, *spatial))
    cells = {o: centre(window, o, spatial) for o in np.ndindex(window.output_shape(spatial))}
    if None in cells.values():
        with pytest.raises(
            ValueError, match=r"^window must have the centre of each of its places in the map, got Window"
        ):
            subsample(x, window)
        return
    y = subsample(x, window)
    assert y.shape == (2, *window.output_shape(spatial))
    for output_index, cell in cells.items():
        np.testing.assert_array_equal(y[(slice(None), *output_index)], x[(slice(None), *cell)])
    g = np.random.default_rng(1).standard_normal(y.shape)
    (expected,) = gradients(lambda x: subsample(x, window), g, x)
    np.testing.assert_allclose(subsample_backward(g, x, window), expected, atol=1e-8)


def test_by_hand():
    x = np.arange(16).reshape(4, 4)
    np.testing.assert_array_equal(subsample(x, Window(2)), [[0, 2], [8, 10]])  # the earlier of two
    np.testing.assert_array_equal(subsample(x, Window(3, 1)), [[5, 6], [9, 10]])
    np.testing.assert_array_equal(subsample(x, Window(3, 2, 1)), [[0, 2], [8, 10]])
    np.testing.assert_array_equal(subsample(x, Window(1, 3)), [[0, 3], [12, 15]])


def test_the_result_is_a_copy_in_the_same_dtype():
    for dtype in ("int8", "float16", "float64"):
        x = np.ones((4, 4), dtype)
        y = subsample(x, Window(2))
        assert y.dtype == dtype
        assert not np.shares_memory(x, y)
    assert subsample_backward(np.ones((2, 2)), np.ones((4, 4), np.float32), Window(2)).dtype == np.float32
    assert subsample(np.ones((0, 4, 4)), Window(2)).shape == (0, 2, 2)


def test_refuses():
    x = np.ones((4, 4))
    with pytest.raises(ValueError, match=r"with centres from -1 to 3 on axis 0 of 4 cells"):
        subsample(x, Window(2, 2, 1))
    with pytest.raises(TypeError, match=r"^window must be a Window of poolref.regions, got Adaptive"):
        subsample(x, Adaptive(2))
    with pytest.raises(ValueError, match=r"^grad_output must have the output's shape \(2, 2\), got \(4, 4\)"):
        subsample_backward(x, x, Window(2))
    with pytest.raises(TypeError, match=r"^x must hold floats"):
        subsample_backward(np.ones((2, 2)), np.ones((4, 4), int), Window(2))
