"""A box on a picture, what RoI pooling and RoIAlign make of it, and how far off rounding puts it."""

import json

import numpy as np
import pytest
from conftest import sentence, state
from traitlets import TraitError

from poolref.numpy import roi_align, roi_pool
from poolref.teaching import live
from poolref.teaching.live.boxes import Boxes, coarse, corners, offset, outputs, overlap, source


def shown(page, kind):
    text = page.locator(f"[data-canvas={kind}]").evaluate("(el) => JSON.stringify(el.values)")
    return np.array(json.loads(text))


def outlines(page, kind):
    marks = page.locator(f"[data-canvas={kind}] rect").all()
    return [[float(mark.get_attribute(name)) for name in ("y", "x", "height", "width")] for mark in marks]


def drawn_boxes(count):
    random = np.random.default_rng(0)
    for n in range(count):
        picture = ("mask", "coins", "small map")[n % 3]
        width, height = random.integers(12, 80, 2).tolist()
        side = len(source(picture))
        left, top = random.integers(0, side - width + 1), random.integers(0, side - height + 1)
        yield {
            "picture": picture,
            "left": int(left),
            "top": int(top),
            "width": width,
            "height": height,
            "stride": (4, 8, 16)[n % 3],
            "bins": (14, 7, 2, 5)[n % 4],
            "aligned": n % 2 == 0,
        }


def test_the_outputs_are_what_the_operators_make_of_the_map():
    w = live.boxes("small map", 8, 12, 32, 32, 16, 2)
    np.testing.assert_allclose(w.rounded, [[1, 0.6], [1, 0.8]])
    np.testing.assert_allclose(w.sampled, [[0.4, 0.475], [0.5, 0.75]])
    assert w.offset == [12, 16]
    w.aligned = False
    parts = w.figure().state
    box = [[0, *corners(parts)]]
    np.testing.assert_allclose(w.sampled, roi_align(coarse(parts)[None, None], box, 2, 1 / 16, aligned=False)[0, 0])
    np.testing.assert_allclose(w.rounded, roi_pool(coarse(parts)[None, None], box, 2, 1 / 16)[0, 0])


def test_the_offset_is_that_of_the_cells_that_are_taken():
    for parts in drawn_boxes(12):
        x1, y1, x2, y2 = corners(parts)
        stride, cells = parts["stride"], np.arange(40.0)
        place = np.add.outer(cells * 0, (cells + 0.5) * parts["stride"])[None, None]
        for axis, (first, last) in enumerate(((y1, y2), (x1, x2))):
            row = [[0, first, 0, last, 1]]
            end = roi_pool(place, row, 1, 1 / stride).item() + stride / 2
            start = -roi_pool(-place, row, 1, 1 / stride).item() - stride / 2
            assert offset(parts)[axis] == (start + end) / 2 - (first + last) / 2


def test_a_mask_overlaps_with_itself_and_not_with_nothing():
    parts = Boxes(bins=14).state
    x1, y1, x2, y2 = corners(parts)
    rows, columns = (np.linspace(a, b - 1, 14).round().astype(int) for a, b in ((y1, y2), (x1, x2)))
    assert overlap(parts, source("mask")[np.ix_(rows, columns)]) > 0.85
    assert overlap(parts, np.zeros((14, 14))) == 0
    rounded, sampled = (overlap(parts, made) for made in outputs(parts))
    assert rounded < 0.65 < 0.9 < sampled


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("picture", "dog", "picture must be one of 'mask'"),
        ("stride", 5, "stride must be one of 4, 8, 16"),
        ("width", 11, "width must be an int from 12 to 96"),
        ("left", 87, "left must be an int from 0 to 86"),
        ("top", -1, "top must be an int from 0"),
        ("bins", 15, "bins must be an int from 2 to 14"),
        ("aligned", 1, "aligned must be True or False"),
        ("selected", [14, 0], "selected must be an int from 0 to 13, got 14"),
    ],
)
def test_nonsense_is_refused(name, value, words):
    w = live.boxes()
    with pytest.raises(TraitError, match=words):
        setattr(w, name, value)
    with pytest.raises(ValueError, match=words):
        live.boxes(**{name: value})


def test_a_box_stays_in_a_smaller_picture():
    w = live.boxes(left=30, width=96)
    w.picture = "small map"
    assert (w.left, w.width) == (0, 80)


def test_the_page_computes_what_python_computes(figures):
    for parts in drawn_boxes(8):
        figure = Boxes(**parts)
        page = figures(figure)
        for kind, made in zip(("rounded", "sampled"), outputs(figure.state)):
            np.testing.assert_allclose(shown(page, kind), made, rtol=1e-9, atol=1e-9, err_msg=str(parts))
        down, right = offset(figure.state)
        assert f"middle lies {down:.3g} pixels lower and {right:.3g} further right" in sentence(page), parts
        if parts["picture"] == "mask":
            titles = page.locator(".pr-rounded .pr-title, .pr-sampled .pr-title").all_text_contents()
            for title, made in zip(titles, outputs(figure.state)):
                assert abs(float(title.split()[-1]) - overlap(figure.state, made)) < 0.0051, parts


def test_the_box_is_dragged_and_stays_in_the_picture(figures):
    page = figures(Boxes(left=20, top=4, width=40, height=40))
    scene = page.locator("[data-canvas=scene]")
    assert outlines(page, "scene") == [[8, 24, 48, 48], [4, 20, 40, 40]]
    scene.focus()
    page.keyboard.press("ArrowRight")
    assert state(page)["left"] == 21
    box = scene.bounding_box()
    pixel = box["width"] / 128
    page.mouse.move(box["x"] + 40.5 * pixel, box["y"] + 20.5 * pixel)
    page.mouse.down()
    page.mouse.move(box["x"] + 50.5 * pixel, box["y"] + 10.5 * pixel, steps=4)
    page.mouse.up()
    assert (state(page)["left"], state(page)["top"]) == (31, 0)
    page.keyboard.press("Control+z")
    assert state(page)["left"] in (20, 21)


def test_pointing_marks_bin_and_samples(figures):
    page = figures(Boxes(picture="small map", left=8, top=12, width=32, height=32, stride=16, bins=2))
    page.locator("[data-canvas=sampled]").focus()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowLeft")
    assert state(page)["selected"] == [0, 0]
    *_, chosen, dot = outlines(page, "map")
    assert chosen == [1, 1, 2, 2]
    np.testing.assert_allclose([dot[0] + dot[2] / 2, dot[1] + dot[3] / 2], [1.25, 1])
