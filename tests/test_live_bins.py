"""Bins on a picture of any size."""

import json

import numpy as np
import pytest
from conftest import sentence, state
from traitlets import TraitError

from poolref.numpy import avg_pool
from poolref.regions import Adaptive
from poolref.teaching import data, live
from poolref.teaching.live.bins import BINS, PICTURES, SIZES, Bins, bins_of, pooled, seen


def shown(page, panel, shape):
    """The numbers behind a panel; the frame around the map is empty."""
    text = page.locator(f"[data-canvas={panel}]").evaluate("(el) => JSON.stringify(el.values)")
    values = np.array(json.loads(text), float)
    assert np.isfinite(values).sum() == np.prod(shape), "nothing but the map"
    return values[: shape[0], : shape[1]]


def test_the_digit_keeps_its_size_and_a_photograph_is_brought_to_its_own():
    sheet = seen(Bins(height=33, width=26).state)
    assert sheet.shape == (33, 26)
    rows, columns = np.nonzero(sheet)
    assert np.ptp(rows) < 8 and np.ptp(columns) < 8
    np.testing.assert_allclose(sheet.sum(), data.digit(7).sum() / 16, rtol=0.01)
    cat = seen(Bins(picture="cat", height=9, width=40).state)
    np.testing.assert_allclose(cat, avg_pool(data.photograph(64, "cat"), Adaptive((9, 40))), atol=0.5 / 255)


def test_bins_of_a_cell_are_counted_one_by_one():
    for height, width, down, across in ((8, 9, 12, 3), (33, 26, 5, 5), (20, 40, 4, 8)):
        figure = Bins(height=height, width=width, down=down, across=across)
        regions, counts = Adaptive((down, across)), np.zeros((height, width))
        for output in np.ndindex(down, across):
            for cell in regions.cells(output, (height, width)):
                counts[cell] += 1
        np.testing.assert_array_equal(bins_of(figure.state), counts)


def test_the_page_computes_what_python_computes(figures):
    rng = np.random.default_rng(0)
    for n in range(6):
        parts = {"picture": PICTURES[n % 3], "operator": ("average", "max")[n % 2]}
        parts |= {name: int(rng.integers(SIZES[0], SIZES[1] + 1)) for name in ("height", "width")}
        parts |= {name: int(rng.integers(BINS[0], BINS[1] + 1)) for name in ("down", "across")}
        figure = Bins(**parts)
        page = figures(figure)
        size = parts["height"], parts["width"]
        np.testing.assert_allclose(shown(page, "input", size), seen(figure.state), rtol=1e-9, atol=1e-12)
        np.testing.assert_array_equal(shown(page, "counts", size), bins_of(figure.state))
        output = shown(page, "output", (parts["down"], parts["across"]))
        np.testing.assert_allclose(output, pooled(figure.state), rtol=1e-9, atol=1e-12)
        for name, o, n_cells in (("down", parts["down"], size[0]), ("across", parts["across"], size[1])):
            words = page.locator(f"[data-axis={name}] text").all_text_contents()[1:]
            spans = Adaptive(o, ndim=1).spans((n_cells,))[0]
            assert words == [f"{span[0]}–{span[-1]}" if len(span) > 1 else f"{span[0]}" for span in spans], parts
        i, j = figure.state["selected"]
        rows, columns = (spans[k] for spans, k in zip(Adaptive((parts["down"], parts["across"])).spans(size), (i, j)))
        expected = f"rows {rows[0]} to {rows[-1]}, columns {columns[0]} to {columns[-1]}"
        assert expected in sentence(page)


def test_sizes_are_dragged_and_bins_chosen(figures):
    page = figures(Bins())
    page.get_by_role("slider", name="bins across").fill("2")
    assert state(page)["across"] == 2 and state(page)["selected"] == [2, 1], "the chosen bin is one that is there"
    np.testing.assert_allclose(shown(page, "output", (5, 2)), pooled(Bins(across=2).state), rtol=1e-9)
    page.get_by_role("slider", name="width of the picture").fill("40")
    assert shown(page, "input", (33, 40)).shape == (33, 40)
    page.locator("[data-canvas=output]").focus()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowLeft")
    assert state(page)["selected"] == [1, 0]
    page.locator("[data-canvas=input]").click(position={"x": 1, "y": 1})
    assert state(page)["selected"] == [0, 0]
    assert "Bin (0, 0)" in sentence(page)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("picture", "brick", "picture must be one of 'digit'"),
        ("operator", "soft", "operator must be one of 'average'"),
        ("height", 7, "height must be an int from 8 to 40"),
        ("width", 41, "width must be an int from 8 to 40"),
        ("down", 0, "down must be an int from 1 to 12"),
        ("across", 2.5, "across must be an int from 1 to 12"),
        ("selected", [5, 0], "selected must be an int from 0 to 4"),
        ("selected", [0], r"selected must be \[row, column\]"),
    ],
)
def test_nonsense_is_refused(name, value, words):
    w = live.bins()
    with pytest.raises(TraitError, match=words):
        setattr(w, name, value)
    with pytest.raises(ValueError, match=words):
        live.bins(**{name: value})
