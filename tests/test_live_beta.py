"""The figure of one window between its minimum and its maximum."""

import json
from math import inf

import numpy as np
import pytest
from conftest import sentence, state
from traitlets import TraitError

from poolref.numpy import soft_pool, soft_pool_backward
from poolref.regions import Window
from poolref.teaching import live
from poolref.teaching.live.beta import BETAS, Beta

BLOCK = [1, 2, 0, 4]


def texts(page, panel):
    return page.locator(".pr-columns").nth(panel).locator("text").all_text_contents()


def bar(page, number):
    return page.get_by_role("slider", name=f"cell {number}")


@pytest.mark.parametrize("beta", [-3, -0.5, 0.1, 1, 7])
def test_weights_output_and_slopes_are_those_of_poolref(beta):
    rng = np.random.default_rng(0)
    for count in range(2, 10):
        values = rng.uniform(-2, 5, count)
        w = live.beta(values, beta)
        window = Window(count, ndim=1)
        assert w.output == pytest.approx(soft_pool(beta * values, window).item() / beta)
        np.testing.assert_allclose(w.slopes, soft_pool_backward(np.ones(1), beta * values, window), atol=1e-12)
        np.testing.assert_allclose(w.weights @ values, w.output)


def test_the_ends_and_the_mean():
    w = live.beta([3, 1, 3, -1], 0)
    assert (w.output, w.weights) == (1.5, [0.25] * 4)
    w.beta = inf
    assert (w.beta, w.output, w.weights, w.slopes) == ("inf", 3, [0.5, 0, 0.5, 0], [0.5, 0, 0.5, 0])
    w.beta = "-inf"
    assert (w.output, w.weights) == (-1, [0, 0, 0, 1])


COMPUTE = """(text) => JSON.stringify(JSON.parse(text).map(([x, word]) => {
  const beta = { inf: Infinity, "-inf": -Infinity }[word] ?? word;
  const { value, shares, slopes } = poolref.kit.REDUCERS.soft;
  const y = value(x, { beta });
  return [y, shares(x, y, { beta }), slopes(x, y, { beta })];
}))"""


def test_the_kit_computes_what_python_computes_at_any_beta(figures):
    page, rng = figures(""), np.random.default_rng(1)
    cases = [[rng.choice([-2, 0, 0.5, 1, 5], rng.integers(2, 10)).tolist(), beta] for beta in BETAS for _ in range(20)]
    got = json.loads(page.evaluate(COMPUTE, json.dumps(cases)))
    for (values, beta), (y, w, slopes) in zip(cases, got, strict=True):
        here = Beta.results({"values": values, "beta": beta, "gradient": False})
        np.testing.assert_allclose(w, here["weights"], atol=1e-12)
        np.testing.assert_allclose([y, *slopes], [here["output"], *here["slopes"]], atol=1e-12)


def test_it_says_and_shows_where_the_output_lies(figures):
    page = figures(Beta())
    assert (
        sentence(page) == "β = 1, SoftPool: the output is 3.59. That is 82 % of the way from the mean to the maximum."
    )
    assert texts(page, 1) == ["4.1", "11", "1.5", "83"]
    assert {"output 3.59", "mean 1.75", "minimum 0"} <= set(texts(page, 0))
    for name, words in {
        "mean": "β = 0, mean: the output is 1.75.",
        "maximum": "β = ∞, maximum: the output is 4.",
    }.items():
        page.get_by_role("radio", name=name).check()
        assert sentence(page).startswith(words)
    assert texts(page, 1) == ["0", "0", "0", "100"]
    page.get_by_label("β", exact=False).first.press("Home")
    assert state(page)["beta"] == "-inf" and "from the mean to the minimum" in sentence(page)


def test_a_bar_follows_the_arrow_keys_and_the_pointer(figures):
    page = figures(Beta())
    bar(page, 2).press("ArrowUp")
    bar(page, 2).press("PageUp")
    assert state(page)["values"] == [1, 3.1, 0, 4]
    bar(page, 1).press("Home")
    assert state(page)["values"] == [-2, 3.1, 0, 4]
    page.get_by_role("button", name="Undo").click()
    assert state(page)["values"] == [1, 3.1, 0, 4], "the changes of one cell are one step"
    grip = page.locator(".pr-grip").nth(3).bounding_box()
    x, y = grip["x"] + grip["width"] / 2, grip["y"] + grip["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x, y + 300)
    page.mouse.up()
    assert state(page)["values"][3] == -2
    page.mouse.move(x, y)
    assert state(page)["values"][3] == -2, "let go"


def test_derivatives_are_shown_on_demand_and_add_up_to_one(figures):
    page = figures(Beta())
    assert not page.locator(".pr-columns").nth(2).is_visible()
    page.get_by_label("show the derivatives").check()
    assert texts(page, 2) == ["−0.066", "−0.066", "−0.039", "1.2", "sum 1"]


def test_a_prediction_hides_weights_and_output(figures):
    question = {"question": "Where?", "choices": ["here", "there"], "answer": 0, "why": "So."}
    page = figures(Beta(predict=question))
    assert not page.get_by_text("output 3.59").is_visible() and not page.get_by_text("83", exact=True).is_visible()
    assert "83" not in (bar(page, 4).get_attribute("aria-valuetext") or "")
    page.get_by_label("here", exact=True).check()
    page.get_by_role("button", name="Show me").click()
    assert page.get_by_text("output 3.59").is_visible()


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("values", [1], "values must be 2 to 9 numbers"),
        ("values", [1] * 10, "values must be 2 to 9 numbers"),
        ("values", [1, 6], "values must be a number from -2 to 5, got 6"),
        ("beta", 101, "beta must be a number from -100 to 100"),
        ("beta", "large", "beta must be a number"),
        ("beta", float("nan"), "beta must be a number"),
        ("gradient", 1, "gradient must be True or False"),
    ],
)
def test_nonsense_is_refused(name, value, words):
    with pytest.raises(TraitError, match=words):
        setattr(live.beta(), name, value)
    with pytest.raises(ValueError, match=words):
        live.beta(**{name: value})
