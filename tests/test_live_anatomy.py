"""The opened network in the page: what each layer hands on, held to poolref, and what a reader can do with it."""

import json
from itertools import product

import numpy as np
import pytest
from conftest import sentence, state
from traitlets import TraitError

from poolref.regions import Window, receptive_field
from poolref.teaching import live, network
from poolref.teaching.live.anatomy import LAYERS, POOLINGS, Anatomy, layers_of


def values(page, kind):
    """The numbers behind a map of the figure, NaN where there are none."""
    read = page.locator(f"[data-canvas={kind}]").evaluate("(el) => JSON.stringify(el.values)")
    return np.array(json.loads(read), dtype=float)


def facts(page):
    return page.locator(".pr-tile").evaluate_all("(all) => all.map((el) => el.querySelector('.pr-facts').innerText)")


@pytest.mark.parametrize(("first", "second"), list(product(POOLINGS, repeat=2)))
def test_shapes_fields_weights_and_answer_are_those_of_poolref(figures, first, second):
    page, w = figures(Anatomy(digit=7, first=first, second=second)), live.anatomy(7, first, second)
    shown = [lines.replace(",", "").split("\n") for lines in facts(page)]
    for name, lines in zip(LAYERS[:-1], shown, strict=False):
        assert lines[0] == " × ".join(map(str, w.shapes[name]))
        assert lines[1].split()[0] == str(int(np.prod(w.shapes[name])))
        if name != "image":
            assert lines[2] == f"sees {w.fields[name]} × {w.fields[name]}"
    assert [lines[-1] for lines in shown[1:]] == [f"{n} weights" for n in (80, 0, 1168, 0, w.parameters)]
    assert page.locator(".pr-tile em").inner_text() == ("?" if w.answer is None else str(w.answer))
    said = page.locator(".pr-score").evaluate_all("(all) => all.map((el) => el.dataset.value)")
    assert (w.scores is None) == ("none" in (first, second))
    if w.scores is None:
        assert set(said) == {""}
        assert sentence(page).endswith("there is no answer.")
    else:
        np.testing.assert_allclose([float(v) for v in said], w.scores)


def test_a_layer_is_opened_and_a_cell_pointed_at(figures):
    page = figures(Anatomy())
    page.locator("[data-layer=pool2]").click()
    box = page.locator("[data-canvas=opened]").bounding_box()
    side = box["width"] / (8 * 6 - 1)  # eight maps of 5 cells in a row, a gap of one between them
    page.mouse.move(box["x"] + (6 + 2.5) * side, box["y"] + (6 + 1.5) * side)
    assert state(page)["layer"] == "pool2"
    assert (state(page)["maps"], state(page)["cell"]) == ([0, 9], [1, 2])

    def outline(layer):
        read = "(all) => all.map((el) => ['y', 'x', 'height', 'width'].map((a) => Number(el.getAttribute(a))))"
        return page.locator(f"[data-canvas=tile-{layer}] rect").evaluate_all(read)

    assert outline("pool2") == [[1, 2, 1, 1]]
    assert outline("relu2") == [[2, 4, 2, 2]]
    assert outline("pool1") == [[1, 3, 4, 4]]
    assert outline("relu1") == [[2, 6, 8, 8]]
    assert outline("image") == [[1, 5, 10, 10]]
    expected = layers_of(Anatomy().state)["pool2"]
    np.testing.assert_allclose(values(page, "tile-pool2"), expected[9], atol=1e-9)


def test_the_dense_layer_opened_adds_up_to_the_score(figures):
    page, w = figures(Anatomy(layer="scores")), live.anatomy(layer="scores")
    bias = network.weights()["linear.bias"][w.answer]
    assert np.nansum(values(page, "opened")) + bias == pytest.approx(max(w.scores))


def test_many_maps_as_one(figures):
    page = figures("")
    maps = np.arange(12.0).reshape(3, 2, 2)
    got = json.loads(
        page.evaluate("(text) => JSON.stringify(poolref.kit.mosaic(JSON.parse(text), 2, 1))", json.dumps(maps.tolist()))
    )
    assert got[:2] == [[0, 1, None, 4, 5], [2, 3, None, 6, 7]]
    assert got[2] == [None] * 5
    assert got[3:] == [[8, 9, None, None, None], [10, 11, None, None, None]]


def test_fields_of_a_stack(figures):
    page, rng = figures(""), np.random.default_rng(0)
    for _ in range(10):
        stack = [[int(v) for v in (rng.integers(1, 5), rng.integers(1, 4), 0, rng.integers(1, 3))] for _ in range(3)]
        text = json.dumps(
            [dict(zip(("kernel_size", "stride", "padding", "dilation"), layer), kind="window") for layer in stack]
        )
        got = page.evaluate("(text) => poolref.kit.fieldsOf(JSON.parse(text), 200)", text)
        expected = receptive_field([Window(*layer, ndim=1) for layer in stack])
        last = got[-1]
        assert (last["size"], last["jump"], last["start"]) == (expected.size[0], expected.jump[0], expected.start[0])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("digit", 10),
        ("first", "soft"),
        ("layer", "conv1"),
        ("maps", [8, 0]),
        ("maps", [1]),
        ("cell", [10, 0]),
        ("cell", [1]),
    ],
)
def test_nonsense_is_refused(name, value):
    with pytest.raises(TraitError, match=f"{name} must be"):
        setattr(live.anatomy(), name, value)
    if name != "cell":
        with pytest.raises(ValueError, match=f"{name} must be"):
            live.anatomy(**{name: value})
