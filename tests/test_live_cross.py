"""Edges in a picture, and the map in which every cell is a row's maximum plus a column's maximum."""

import json

import numpy as np
import pytest
from conftest import sentence, state
from traitlets import TraitError

from poolref.numpy import avg_pool, center_pool, max_pool
from poolref.regions import Columns, Rows, Window
from poolref.teaching import live
from poolref.teaching.live.cross import EVIDENCE, PICTURES, POOLINGS, Cross, edges, highest, pooled, view


def shown(page, kind):
    text = page.locator(f"[data-canvas={kind}]").evaluate("(el) => JSON.stringify(el.values)")
    return np.array(json.loads(text))


def marks(page, kind, look):
    found = page.locator(f"[data-canvas={kind}] rect.pr-mark-{look}").all()
    return [[float(mark.get_attribute(name)) for name in ("y", "x", "height", "width")] for mark in found]


def test_edges_are_found_where_they_are():
    step = np.zeros((9, 9))
    step[:, 5:] = 1
    upright, level = edges(step, 3)
    assert set(np.argwhere(upright[1:-1] == 1)[:, 1]) == {4, 5}
    np.testing.assert_array_equal(level, 0)
    turned = edges(step.T, 3)
    np.testing.assert_array_equal(turned[1], upright.T)
    np.testing.assert_array_equal(edges(1 - step, 3)[0], upright)


def test_the_map_is_what_the_operators_make_of_the_edges():
    w = live.cross(pooling="center pooling")
    a, b = edges(view(w.figure().state), 9)
    np.testing.assert_allclose(w.output, center_pool(a, b))
    w.evidence = EVIDENCE[1]
    np.testing.assert_allclose(w.output, center_pool(np.maximum(a, b)))
    w.evidence, w.pooling = EVIDENCE[0], "square window"
    np.testing.assert_allclose(w.output, max_pool(a, Window(9, 1, 4)) + max_pool(b, Window(9, 1, 4)))
    w.pooling = "row and column means"
    np.testing.assert_allclose(w.output, avg_pool(a, Rows()) + avg_pool(b, Columns()))


def test_what_the_pictures_are_for():
    tops = {name: highest(pooled(Cross(pooling=name).state)) for name in POOLINGS}
    middle = np.array([19, 17.5])  # of the coin that is seen first
    near = {name: np.abs(np.subtract(top, middle)).max() <= 2 for name, top in tops.items()}
    assert near["center pooling"] and not near["none"] and not near["square window"]
    for picture, count in {"two rings": 4, "box": 77}.items():
        made = pooled(Cross(picture=picture, pooling="center pooling").state)
        assert np.isclose(made, made.max()).sum() == count


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("picture", "dog", "picture must be one of 'coins'"),
        ("pooling", "max", "pooling must be one of 'none'"),
        ("evidence", "ink", "evidence must be one of"),
        ("length", 4, "length must be odd"),
        ("length", 15, "length must be an int from 1 to 13"),
        ("at", [0, 161], "at must be an int from 0 to 160, got 161"),
        ("selected", [32, 0], "selected must be an int from 0 to 31, got 32"),
    ],
)
def test_nonsense_is_refused(name, value, words):
    w = live.cross()
    with pytest.raises(TraitError, match=words):
        setattr(w, name, value)
    with pytest.raises(ValueError, match=words):
        live.cross(**{name: value})


def test_the_page_computes_what_python_computes(figures):
    for n, pooling in enumerate(POOLINGS):
        for m, picture in enumerate(PICTURES):
            parts = {"picture": picture, "pooling": pooling, "evidence": EVIDENCE[(n + m) % 2], "length": 1 + 4 * m}
            figure = Cross(**parts, at=[17 * n, 29 * m])
            page = figures(figure)
            np.testing.assert_allclose(shown(page, "scene"), view(figure.state), atol=1e-12)
            np.testing.assert_allclose(shown(page, "output"), pooled(figure.state), atol=1e-9, err_msg=str(parts))


def test_pointing_shows_the_row_the_column_and_their_winners(figures):
    figure = Cross(pooling="center pooling", selected=[5, 20])
    page = figures(figure)
    a, b = edges(view(figure.state), 9)
    assert marks(page, "scene", "region") == [[5, 0, 1, 32], [0, 20, 32, 1]]
    assert marks(page, "scene", "won") == [[5, a[5].argmax(), 1, 1], [b[:, 20].argmax(), 20, 1, 1]]
    top = highest(center_pool(a, b))
    assert marks(page, "output", "best") == [[top[0] - 1, top[1] - 1, 3, 3]]
    assert f"row maximum {a[5].max():.3g} (column {a[5].argmax()})" in sentence(page)
    assert f"The highest cell of the map is ({top[0]}, {top[1]})" in sentence(page)
    page.locator("[data-canvas=output]").focus()
    page.keyboard.press("ArrowDown")
    row, column = state(page)["selected"]
    assert marks(page, "scene", "region") == [[row, 0, 1, 32], [0, column, 32, 1]]


def test_the_view_moves_over_the_coins_and_stops_at_the_end(figures):
    page = figures(Cross(at=[6, 60]))
    page.locator("[data-canvas=scene]").focus()
    page.keyboard.press("ArrowLeft")
    assert state(page)["at"] == [6, 61], "the picture moves to the left, the view to the right"
    for _ in range(8):
        page.keyboard.press("ArrowDown")
    assert state(page)["at"] == [0, 61]
    np.testing.assert_allclose(shown(page, "output"), pooled(Cross(at=[0, 61]).state), atol=1e-9)
    page.get_by_label("Picture", exact=True).select_option("box")
    page.locator("[data-canvas=scene]").focus()
    page.keyboard.press("ArrowUp")
    assert state(page)["at"] == [0, 61], "a drawn picture does not move"
