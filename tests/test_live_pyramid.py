"""A picture of any size and its vector."""

import json

import numpy as np
import pytest
import torch
from conftest import sentence, state
from traitlets import TraitError

from poolref.numpy import avg_pool
from poolref.regions import Adaptive
from poolref.teaching import data, live
from poolref.teaching.live.pyramid import (
    LEVELS,
    OTHERS,
    PICTURES,
    SIZES,
    PyramidOfBins,
    channels,
    places,
    reversed_picture,
    seen,
    vector,
)
from poolref.torch import SpatialPyramidPool2d


def shown(page):
    """The two vectors that the page has computed."""
    return np.array(json.loads(page.locator("[data-vector]").evaluate("(el) => JSON.stringify(el.values)")))


def test_the_vector_has_the_order_of_the_module():
    for name, levels in LEVELS.items():
        for operator in ("average", "max"):
            figure = PyramidOfBins(levels=name, operator=operator, height=13, width=22)
            maps = torch.from_numpy(channels(seen(figure.state)))
            expected = SpatialPyramidPool2d(levels, operator)(maps)
            np.testing.assert_allclose(vector(seen(figure.state), figure.state), expected, rtol=1e-12)
            assert len(places(figure.state)) == len(expected)


def test_a_mirrored_picture_has_the_same_numbers_in_other_bins():
    for picture in PICTURES:
        for other, axis in zip(OTHERS, (2, 1)):
            state = PyramidOfBins(picture=picture, height=31, width=22, levels="1, 2", other=other).state
            own, reverse = (vector(p, state) for p in (seen(state), reversed_picture(seen(state), state)))
            np.testing.assert_allclose(own[:3], reverse[:3])
            np.testing.assert_allclose(np.flip(own[3:].reshape(3, 2, 2), axis), reverse[3:].reshape(3, 2, 2))
            assert not np.allclose(own, reverse)


def test_edges_are_differences_of_neighbours():
    ramp = np.outer(np.ones(4), np.arange(5.0))
    brightness, upright, level = channels(ramp)
    np.testing.assert_array_equal(brightness, ramp)
    np.testing.assert_array_equal(upright, np.tile([1, 2, 2, 2, 1], (4, 1)))
    assert not level.any()
    np.testing.assert_array_equal(channels(ramp.T)[2], upright.T)


def test_photographs_are_brought_to_their_size():
    cat = seen(PyramidOfBins(picture="cat", height=9, width=40).state)
    np.testing.assert_allclose(cat, avg_pool(data.photograph(64, "cat"), Adaptive((9, 40))), atol=0.5 / 255)
    sheet = seen(PyramidOfBins(picture="digit", height=16, width=24).state)
    np.testing.assert_array_equal(sheet[2:10, 4:12], np.round(data.digit(7) / 16 * 255) / 255)
    assert np.count_nonzero(sheet) == np.count_nonzero(data.digit(7))


def test_the_page_computes_what_python_computes(figures):
    rng = np.random.default_rng(0)
    for n in range(6):
        parts = {"picture": PICTURES[n % 3], "operator": ("average", "max")[n % 2], "other": OTHERS[n // 3]}
        parts |= {name: int(rng.integers(SIZES[0], SIZES[1] + 1)) for name in ("height", "width")}
        figure = PyramidOfBins(**parts, levels=list(LEVELS)[n % len(LEVELS)])
        page = figures(figure)
        expected = list(figure.results(figure.state).values())
        np.testing.assert_allclose(shown(page), expected, rtol=1e-9, atol=1e-12)
        unequal = (~np.isclose(*expected, atol=1e-9)).sum()
        counts = sentence(page).split("differ:")[1].split(",")
        assert sum(int(part.split(" of ")[0]) for part in counts) == unequal


def test_sizes_are_dragged_and_entries_chosen(figures):
    page = figures(PyramidOfBins(levels="1, 2, 4", entry=62))
    page.get_by_role("slider", name="width of the picture").fill("17")
    expected = PyramidOfBins(levels="1, 2, 4", width=17)
    np.testing.assert_allclose(shown(page), list(expected.results(expected.state).values()), rtol=1e-9)
    page.get_by_label("Levels").select_option("1, 2")
    assert state(page)["entry"] == 14, "the chosen entry is one that is there"
    assert "bin (1, 1) of 2 × 2, level edges" in sentence(page)
    page.get_by_role("slider", name="entry of the vector").press("Home")
    assert state(page)["entry"] == 0
    page.get_by_role("slider", name="entry of the vector").press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert "Entry 3: bin (0, 0) of 2 × 2, brightness" in sentence(page)
    canvas = page.locator("[data-canvas=picture]")
    canvas.click(position={"x": 2, "y": 0.7 * canvas.bounding_box()["height"]})
    assert state(page)["entry"] == 5, "the bin below"
    bars = page.locator("[data-vector] svg")
    bars.click(position={"x": bars.bounding_box()["width"] - 2, "y": 40})
    assert state(page)["entry"] == 14


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("picture", "brick", "picture must be one of 'cat'"),
        ("operator", "soft", "operator must be one of 'average'"),
        ("levels", "3", "levels must be one of '1'"),
        ("other", "turned", "other must be one of 'mirrored'"),
        ("height", 7, "height must be an int from 8 to 40"),
        ("width", 41, "width must be an int from 8 to 40"),
        ("entry", 15, "entry must be an int from 0 to 14"),
    ],
)
def test_nonsense_is_refused(name, value, words):
    w = live.pyramid()
    with pytest.raises(TraitError, match=words):
        setattr(w, name, value)
    with pytest.raises(ValueError, match=words):
        live.pyramid(**{name: value})
