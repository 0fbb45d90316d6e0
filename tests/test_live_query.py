"""The figure of a query among points, or among the digits of a bag."""

import json

import numpy as np
import pytest
from conftest import sentence, state
from traitlets import TraitError

from poolref.numpy import hopfield_pool
from poolref.teaching import data, live
from poolref.teaching.live.query import BAG, BETAS, MOST, Query, digits, retrievals

QUESTION = {"question": "Where?", "choices": ["here", "there"], "answer": 0, "why": "So."}


def drawn(rng):
    return {
        "points": rng.uniform(-2.5, 2.5, (rng.integers(2, MOST + 1), 2)).round(1).tolist(),
        "query": rng.uniform(-2.5, 2.5, 2).round(1).tolist(),
        "beta": float(rng.choice(BETAS)),
        "steps": int(rng.integers(1, MOST + 1)),
        "bag": bool(rng.integers(2)),
    }


def test_the_answers_are_those_of_poolref():
    rng = np.random.default_rng(0)
    for _ in range(100):
        shown = Query(**drawn(rng)).state
        cells = digits()[2] if shown["bag"] else np.array(shown["points"])
        path, weights = retrievals(shown)
        assert path.shape == (1 + shown["steps"], 2) and weights.sum() == pytest.approx(1)
        if shown["beta"] == 0:
            np.testing.assert_allclose(path[1:], np.broadcast_to(cells.mean(0), path[1:].shape))
            continue
        for step, answer in enumerate(path[1:], 1):
            expected = hopfield_pool(cells, np.array(shown["query"], float), shown["beta"], step)
            np.testing.assert_allclose(answer, expected, atol=1e-9)


def test_the_bag_holds_one_nine_that_lies_furthest_to_the_right():
    images, labels, places = digits()
    whole, known = data.digits("held out")
    assert np.array_equal(images, whole[list(BAG)]) and np.array_equal(labels, known[list(BAG)])
    assert (labels == 9).sum() == 1 and labels[places[:, 0].argmax()] == 9
    assert np.abs(places).max() <= 2.5, "all are in the plane"


COMPUTE = """(text) => JSON.stringify(JSON.parse(text).map(([query, cells, beta, steps]) =>
  poolref.kit.retrieved(query, cells, beta, steps)))"""


def test_the_kit_computes_what_python_computes(figures):
    page, rng = figures(""), np.random.default_rng(1)
    states = [drawn(rng) for _ in range(60)]
    cells = [digits()[2].tolist() if s["bag"] else s["points"] for s in states]
    cases = [[s["query"], x, s["beta"], s["steps"]] for s, x in zip(states, cells, strict=True)]
    for shown, got in zip(states, json.loads(page.evaluate(COMPUTE, json.dumps(cases))), strict=True):
        path, weights = retrievals(shown)
        np.testing.assert_allclose(got["path"], path, atol=1e-9)
        np.testing.assert_allclose(got["weights"], weights, atol=1e-9)


def test_it_says_where_the_answer_lies(figures):
    page = figures(Query(query=[0.7, 0]))
    assert sentence(page) == (
        "β = 1, 1 retrieval from (0.7, 0): the answer is (1.5, 0.51). Point a has the most weight, 50 %."
    )
    page.get_by_role("slider", name="retrievals").fill("3")
    assert state(page)["steps"] == 3 and "3 retrievals" in sentence(page)
    assert page.locator(".pr-dot").count() == 3, "an answer for each retrieval"
    page.get_by_role("slider", name="β").press("Home")
    assert state(page)["beta"] == 0 and sentence(page).endswith("All weights are equal.")


def test_a_digit_of_the_bag_is_found(figures):
    page = figures(Query(bag=True, query=[1, 0], beta=10))
    assert "A 9 has the most weight, 99 %." in sentence(page)
    assert page.locator(".pr-plane image").count() == 12
    assert page.get_by_role("slider", name="point", exact=False).count() == 0, "digits stay where they are"


def test_query_and_points_follow_the_arrow_keys_and_the_pointer(figures):
    page = figures(Query())
    asks = page.get_by_role("slider", name="query")
    asks.press("ArrowUp")
    asks.press("Shift+ArrowLeft")
    assert state(page)["query"] == [0.5, 0.1]
    page.get_by_role("button", name="Undo").click()
    assert state(page)["query"] == [1, 0], "the moves of one handle are one step"
    page.get_by_role("slider", name="point b").press("ArrowRight")
    assert state(page)["points"] == [[2, 2], [1.1, -2], [1, 0]]
    box = page.locator(".pr-grip").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x - 2000, y)
    page.mouse.up()
    assert state(page)["query"] == [-2.5, 0], "not beyond the edge"
    page.mouse.move(x, y)
    assert state(page)["query"] == [-2.5, 0], "let go"


def test_a_prediction_hides_weights_and_answer(figures):
    page = figures(Query(predict=QUESTION))
    assert not page.get_by_text("answer", exact=True).is_visible()
    assert not page.get_by_text("Weights, in percent").is_visible()
    page.get_by_label("here", exact=True).check()
    page.get_by_role("button", name="Show me").click()
    assert page.get_by_text("answer", exact=True).is_visible()


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("points", [[1, 2]], "points must be 2 to 6 points"),
        ("points", [[1, 2, 3], [1, 2, 3]], "points must be 2 to 6 points"),
        ("points", [[1, 2], [3, 0]], "points must be a number from -2.5 to 2.5, got 3"),
        ("query", [1, 2, 3], "query must be two numbers"),
        ("query", [0, 3], "query must be a number from -2.5 to 2.5, got 3"),
        ("beta", -1, "beta must be a number from 0 to 100"),
        ("steps", 0, "steps must be an int from 1 to 6"),
        ("bag", 1, "bag must be True or False"),
    ],
)
def test_nonsense_is_refused(name, value, words):
    with pytest.raises(TraitError, match=words):
        setattr(live.query(), name, value)
    with pytest.raises(ValueError, match=words):
        live.query(**{name: value})
