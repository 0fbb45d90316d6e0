"""The small network in the page: its arithmetic held to poolref.teaching.network, and what a reader can do with it."""

import json

import numpy as np
import pytest
from conftest import pixels, sentence, state
from traitlets import TraitError

from poolref.teaching import data, live
from poolref.teaching import network as small
from poolref.teaching.live.network import POOLINGS, Network, samples


def test_every_layer_is_that_of_poolref(figures):
    page = figures("")
    rng = np.random.default_rng(0)
    assert set(page.evaluate("poolref.kit.POOLINGS")) == set(POOLINGS)
    images, _ = data.digits("held out")
    cases = [
        (data.canvas(images[rng.integers(len(images))], rng.integers(0, 13, 2)), [first, rng.choice(POOLINGS).item()])
        for first in POOLINGS
        for _ in range(3)
    ]
    cases += [(rng.random((20, 20)), ["max", "average"])]
    compute = """(text) => {
      const [weights, cases] = JSON.parse(text);
      const unpacked = poolref.kit.weightsOf(weights);
      return JSON.stringify(cases.map(([image, poolings]) => poolref.kit.activations(unpacked, image, poolings)));
    }"""
    given = [json.loads(small.as_json()), [[image.tolist(), poolings] for image, poolings in cases]]
    got = json.loads(page.evaluate(compute, json.dumps(given)))
    for (image, poolings), layers in zip(cases, got, strict=True):
        expected = small.activations(image, tuple(poolings))
        assert layers.keys() == expected.keys()
        for name, values in expected.items():
            np.testing.assert_allclose(layers[name], values, rtol=1e-9, atol=1e-9, err_msg=f"{name}, {poolings}")


def test_samples_are_one_of_each_kind_that_was_not_trained_on():
    images, labels = data.digits("held out")
    for digit, image in enumerate(samples()):
        found = [label for other, label in zip(images, labels, strict=True) if (other == image).all()]
        assert found[:1] == [digit]


def shown_scores(page):
    return page.locator(".pr-score").evaluate_all("(all) => all.map((el) => Number(el.dataset.value))")


def test_scores_and_answer_follow_digit_place_and_poolings(figures):
    page, w = figures(Network()), live.network()
    np.testing.assert_allclose(shown_scores(page), w.scores)
    page.get_by_label("7", exact=True).check()
    page.get_by_label("First pooling").select_option("average")
    page.locator("[data-canvas=image]").focus()
    for key in ("ArrowUp", "ArrowLeft", "ArrowLeft"):
        page.keyboard.press(key)
    assert state(page) == {"digit": 7, "at": [5, 4], "first": "average", "second": "max"}
    w.digit, w.at, w.first = 7, [5, 4], "average"
    np.testing.assert_allclose(shown_scores(page), w.scores)
    assert sentence(page).endswith(
        f"The network reads the 7 as {w.answer}{'' if w.answer == 7 else ', which is wrong'}."
    )
    assert page.locator(".pr-best").inner_text().startswith(str(w.answer))


def test_the_digit_is_dragged_no_further_than_the_sheet(figures):
    page = figures(Network())
    box = page.locator("[data-canvas=image]").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 2, box["y"] + box["height"] / 2 - 2.1 * box["height"] / 20, steps=4)
    page.mouse.up()
    assert state(page)["at"] == [4, 12]
    np.testing.assert_allclose(pixels(page, "image"), data.canvas(samples()[3], (4, 12)), atol=1 / 255)
    assert "changed by" in page.locator(".pr-pool1 .pr-title").inner_text()


def test_pointing_at_a_cell_outlines_what_it_sees_on_every_layer_before(figures):
    page = figures(Network())
    canvas = page.locator("[data-canvas=pool2]")
    box = canvas.bounding_box()
    side = box["width"] / (16 * 6 - 1)  # sixteen maps of 5 cells, a gap of one between them
    page.mouse.move(box["x"] + (6 + 2.5) * side, box["y"] + 1.5 * side)  # the second map, row 1, column 2

    def outlines(name):
        read = "(all) => all.map((el) => ['y', 'x', 'height', 'width'].map((a) => Number(el.getAttribute(a))))"
        return page.locator(f"[data-canvas={name}] rect").evaluate_all(read)

    assert outlines("pool2") == [[1, 8, 1, 1]]
    assert outlines("relu2") == [[2, 12 + 4, 2, 2]]
    # Row 2 to 3 with a ring of one: 1 to 4, on all eight maps; then doubled; then another ring of one.
    assert outlines("pool1") == [[1, 11 * n + 3, 4, 4] for n in range(8)]
    assert outlines("relu1") == [[2, 22 * n + 6, 8, 8] for n in range(8)]
    assert outlines("image") == [[1, 5, 10, 10]]
    page.mouse.move(box["x"] + 5.5 * side, box["y"] + side)  # in the gap
    assert outlines("image") == []


@pytest.mark.parametrize(
    ("name", "value"), [("digit", 10), ("at", [13, 0]), ("at", [1]), ("first", "mode"), ("second", "max_blur")]
)
def test_nonsense_is_refused(name, value):
    with pytest.raises(TraitError, match=f"{name} must be"):
        setattr(live.network(), name, value)
    with pytest.raises(ValueError, match=f"{name} must be"):
        live.network(**{name: value})
