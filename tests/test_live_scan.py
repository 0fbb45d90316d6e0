"""Two maps of edges, two scans, and the corner where both meet."""

import json

import numpy as np
import pytest
from conftest import sentence, state
from traitlets import TraitError

from poolref.numpy import corner_pool, max_pool
from poolref.regions import CORNERS, Running
from poolref.teaching import live
from poolref.teaching.live.scan import NAMES, PICTURES, SIZE, Scan, box, edges, frame, largest, pooled, scanned, seen


def shown(page, kind):
    text = page.locator(f"[data-canvas={kind}]").evaluate("(el) => JSON.stringify(el.values)")
    return np.array(json.loads(text))


def outlines(page, kind, name="region"):
    marks = page.locator(f"[data-canvas={kind}] rect.pr-mark-{name}").all()
    return [[float(mark.get_attribute(part)) for part in ("y", "x", "height", "width")] for mark in marks]


def test_the_sum_and_the_box_are_what_the_operators_make_of_the_edges():
    w = live.scan(picture="rising discs")
    picture = seen(w.figure().state)
    np.testing.assert_allclose(w.output, corner_pool(*edges(picture)))
    assert w.box == [6, 25, 25, 44]
    w.corner = "bottom right"
    np.testing.assert_allclose(w.output, corner_pool(*edges(picture, "bottom_right"), "bottom_right"))


def test_edges_are_where_brightness_rises_or_falls():
    bright = np.zeros((SIZE, SIZE))
    bright[10:30, 5:40] = 1
    (upright, level), (falling, sinking) = (edges(bright, corner) for corner in CORNERS)
    assert set(np.nonzero(upright)[1]) == {5} and set(np.nonzero(level)[0]) == {10}
    assert set(np.nonzero(falling)[1]) == {39} and set(np.nonzero(sinking)[0]) == {29}
    assert box(bright) == [10, 5, 30, 40]
    for whole in edges(np.ones((SIZE, SIZE))):
        assert not whole.any(), "the map's own edge is none"
    for m in edges(seen({"picture": "one coin"})):
        assert m[m > 0].min() > 1e-9, "equal means make no edge"


def test_what_the_pictures_are_for():
    coin = seen({"picture": "one coin"})
    assert all(m[largest(pooled(coin, "top_left"))] == 0 for m in edges(coin)), "the corner lies on nothing"
    _, left, _, right = box(seen({"picture": "two coins"}))
    assert right - left > 40, "a box around both coins"
    for name, ghost in (("rising discs", True), ("falling discs", False)):
        start = pooled(seen({"picture": name}), "top_left")
        columns, rows = (sorted(set(np.argwhere(start > 0.7 * start.max())[:, axis])) for axis in (1, 0))
        assert (start[rows[0], columns[0]] > 1 and largest(start) != (rows[0], columns[0])) == ghost


def test_a_scan_reaches_its_rows_one_by_one():
    for direction in ("up", "down", "left", "right"):
        for moment in (0, 1, 20, SIZE):
            assert scanned(moment, Running(direction)).sum() == moment * SIZE
    assert scanned(1, Running("up"))[-1].all() and scanned(1, Running("right"))[:, 0].all()
    assert len(frame([2, 3, 5, 9])) == 18 and not frame([5, 9, 2, 3])


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("picture", "dog", "picture must be one of 'one coin'"),
        ("corner", "top_left", "corner must be one of 'top left', 'bottom right'"),
        ("moment", 49, "moment must be an int from 0 to 48"),
        ("moment", 1.5, "moment must be an int from 0 to 48"),
        ("smooth", 4, "smooth must be odd"),
        ("smooth", 13, "smooth must be an int from 1 to 11"),
        ("selected", [0, 48], "selected must be an int from 0 to 47, got 48"),
        ("selected", [1], r"selected must be \[row, column\]"),
    ],
)
def test_nonsense_is_refused(name, value, words):
    w = live.scan()
    with pytest.raises(TraitError, match=words):
        setattr(w, name, value)
    with pytest.raises(ValueError, match=words):
        live.scan(**{name: value})


@pytest.mark.parametrize("picture", PICTURES)
@pytest.mark.parametrize("corner", NAMES)
def test_the_page_computes_what_python_computes(figures, picture, corner):
    for moment, smooth in ((0, 1), (17, 7), (SIZE, 11)):
        figure = Scan(picture=picture, corner=corner, moment=moment, smooth=smooth)
        page, drawn = figures(figure), seen(figure.state)
        maps, scans = edges(drawn, NAMES[corner], smooth), [Running(way) for way in CORNERS[NAMES[corner]]]
        reached = [scanned(moment, scan) for scan in scans]
        for kind, m, scan, done in zip(("upright", "level"), maps, scans, reached, strict=True):
            expected = np.where(done, max_pool(m, scan), m)
            np.testing.assert_allclose(shown(page, kind), expected, atol=1e-9, err_msg=f"{kind} {moment}")
            assert np.array_equal(shown(page, kind) == 0, expected == 0), "equal means make no edge"
        expected = np.where(reached[0] & reached[1], pooled(drawn, NAMES[corner], smooth), 0)
        np.testing.assert_allclose(shown(page, "sum"), expected, atol=1e-9)


def test_the_box_shows_when_all_is_scanned(figures):
    page = figures(Scan(moment=SIZE - 1))
    assert outlines(page, "scene") == [] and "47 of 48" in sentence(page)
    assert outlines(page, "upright") == [[1, 0, 1, 48]] and outlines(page, "level") == [[0, 1, 48, 1]]
    page.get_by_label("Position", exact=True).press("ArrowRight")
    assert state(page)["moment"] == SIZE
    top, left, bottom, right = box(seen(Scan().state))
    assert outlines(page, "scene") == [[top, left, bottom - top, right - left], [top, left, 1, 1]]
    assert outlines(page, "sum") == [[top, left, 1, 1]]
    assert f"stands at cell ({top}, {left}), where the edge maps hold 0 and 0" in sentence(page)
    page.get_by_label("Corner", exact=True).select_option("bottom right")
    assert outlines(page, "sum") == [[bottom - 1, right - 1, 1, 1]]


def test_pointing_outlines_what_the_scans_have_met(figures):
    page = figures(Scan(moment=SIZE, selected=[9, 3]))
    assert outlines(page, "upright") == [[9, 3, 39, 1]] and outlines(page, "level") == [[9, 3, 1, 45]]
    assert "0.22 in its column + 0.209 in its row = 0.429" in sentence(page)
    page.locator("[data-canvas=sum]").focus()
    page.keyboard.press("ArrowDown")
    row, column = state(page)["selected"]
    assert outlines(page, "upright") == [[row, column, 48 - row, 1]]
    page.get_by_label("Corner", exact=True).select_option("bottom right")
    assert outlines(page, "upright") == [[0, column, row + 1, 1]]
    assert outlines(page, "level") == [[row, 0, 1, column + 1]]
    page.keyboard.press("Control+z")
    assert state(page)["corner"] == "top left"
