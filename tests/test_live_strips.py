"""A picture, the ink in its rows and columns, and the map that strips or a window make of it."""

import json

import numpy as np
import pytest
from conftest import sentence, state
from traitlets import TraitError

from poolref.numpy import avg_pool, max_pool, strip_pool
from poolref.regions import Rows, Window
from poolref.teaching import live
from poolref.teaching.live.strips import PICTURES, REGIONS, Strips, ink, pooled, region


def shown(page, kind):
    text = page.locator(f"[data-canvas={kind}]").evaluate("(el) => JSON.stringify(el.values)")
    return np.array(json.loads(text))


def outlines(page, kind):
    marks = page.locator(f"[data-canvas={kind}] rect").all()
    return [[float(mark.get_attribute(name)) for name in ("y", "x", "height", "width")] for mark in marks]


def test_the_map_is_what_the_operators_make_of_the_ink():
    w = live.strips(regions="rows and columns")
    x = ink(w.figure().state)
    np.testing.assert_allclose(w.output, strip_pool(x))
    w.regions = "rows"
    np.testing.assert_allclose(w.output, avg_pool(x, Rows()) + np.zeros_like(x))
    w.regions, w.operator, w.kernel_size = "square window", "max", 5
    np.testing.assert_allclose(w.output, max_pool(x, Window(5, 1, 2)))
    w.operator = "average"
    np.testing.assert_allclose(w.output, avg_pool(x, Window(5, 1, 2), count_include_pad=False))


def test_what_the_drawn_pictures_are_for():
    flat = pooled(Strips(picture="diagonal", regions="rows and columns").state)
    np.testing.assert_allclose(flat, 2 / 81)
    dots = Strips(picture="dots", regions="rows and columns", operator="max").state
    assert (pooled(dots) == 2).sum() == 2 * ink(dots).sum(), "two squares more than the picture has"


def test_a_cell_is_made_of_its_row_its_column_or_its_window():
    sizes = {name: len(region(Strips(regions=name, selected=[2, 40]).state)) for name in REGIONS}
    assert sizes == {"rows": 81, "columns": 81, "rows and columns": 161, "square window": 7 * 9}


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("picture", "dog", "picture must be one of 'page'"),
        ("picture", np.zeros((81, 80)), "81x81 numbers from 0 to 1, got an array of shape"),
        ("regions", "both", "regions must be one of 'rows'"),
        ("operator", "sum", "operator must be one of 'average', 'max'"),
        ("kernel_size", 4, "kernel_size must be odd"),
        ("kernel_size", 17, "kernel_size must be an int from 3 to 15"),
        ("selected", [0, 81], "selected must be an int from 0 to 80, got 81"),
        ("selected", [1], r"selected must be \[row, column\]"),
    ],
)
def test_nonsense_is_refused(name, value, words):
    w = live.strips()
    with pytest.raises(TraitError, match=words):
        setattr(w, name, value)
    with pytest.raises(ValueError, match=words):
        live.strips(**{name: value})


def test_the_page_computes_what_python_computes(figures):
    for n, regions in enumerate(REGIONS):
        for operator in ("average", "max"):
            parts = {"picture": PICTURES[n % 4], "regions": regions, "operator": operator, "kernel_size": 3 + 2 * n}
            figure = Strips(**parts)
            np.testing.assert_allclose(
                shown(figures(figure), "output"), pooled(figure.state), rtol=1e-9, atol=1e-9, err_msg=str(parts)
            )


def test_pointing_outlines_the_regions(figures):
    page = figures(Strips(selected=[2, 40]))
    assert outlines(page, "scene") == [[0, 36, 7, 9]] and outlines(page, "output") == [[2, 40, 1, 1]]
    assert "made of 63 cells" in sentence(page)
    page.get_by_label("Regions", exact=True).select_option("rows and columns")
    assert outlines(page, "scene") == [[2, 0, 1, 81], [0, 40, 81, 1]]
    assert "made of 161 cells" in sentence(page)
    page.locator("[data-canvas=scene]").focus()
    page.keyboard.press("ArrowDown")
    row, column = state(page)["selected"]
    assert outlines(page, "scene") == [[row, 0, 1, 81], [0, column, 81, 1]]
    x = ink(Strips().state)
    assert f"row {x[row].mean():.3g} + column {x[:, column].mean():.3g} = " in sentence(page)
    box = page.locator("[data-canvas=output]").bounding_box()
    page.mouse.move(box["x"] + 10.5 / 81 * box["width"], box["y"] + 70.5 / 81 * box["height"])
    assert state(page)["selected"] == [70, 10]
    page.keyboard.press("Control+z")
    assert state(page)["regions"] == "square window", "a choice of cells is no step back"


def test_the_readers_own_picture(figures):
    mine = np.tile(np.linspace(0, 1, 81), (81, 1)).tolist()
    page = figures(Strips(picture=mine, regions="columns"))
    np.testing.assert_allclose(shown(page, "output"), 1 - np.array(mine), atol=1e-12)
    assert page.get_by_label("Picture", exact=True).input_value() == "own"
