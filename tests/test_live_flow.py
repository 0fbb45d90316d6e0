"""Gradients that flow back through a pooling, and the nudge of one cell."""

import json

import numpy as np
import pytest
from conftest import numbers, sentence, state
from traitlets import TraitError

from poolref.teaching import live
from poolref.teaching.live.flow import FOUR, REDUCERS, Flow, gradient_of, quotient_of

MAPS = [lambda rng, shape: rng.integers(0, 3, shape), lambda rng, shape: rng.normal(size=shape).round(3)]


def drawn_figures(count, seed):
    rng = np.random.default_rng(seed)
    for i in range(count):
        kernel, stride = (int(v) for v in rng.integers(1, 5, 2))
        shape = rng.integers(kernel, 9, 2)
        outputs = (shape - kernel) // stride + 1
        yield Flow(
            operator=REDUCERS[i % len(REDUCERS)],
            kernel_size=kernel,
            stride=stride,
            values=MAPS[rng.integers(2)](rng, shape),
            arriving=rng.normal(size=outputs).round(2),
            nudge=[int(rng.integers(n)) for n in shape],
            step=float(rng.choice([0.001, 0.1, 2])),
        )


def cells(page):
    return page.locator(".pr-nudge td").all_inner_texts()


def test_python_knows_gradient_and_quotient():
    w = live.flow(arriving=[[1, 2], [3, 4]], nudge=[2, 3], step=0.5)
    assert w.gradient == [[0, 0, 2, 0], [1, 0, 0, 0], [0, 0, 0, 0], [3, 0, 4, 0]]
    assert w.quotient == 0
    w.step = 2  # 7 + 2 overtakes the 8
    assert w.quotient == pytest.approx(4 * (9 - 8) / 4)
    w.operator = "average"
    assert np.array(w.gradient).tolist() == np.kron([[0.25, 0.5], [0.75, 1]], np.ones((2, 2))).tolist()
    assert w.quotient == pytest.approx(1)
    w.kernel_size = 3
    assert w.arriving == "ones", "one output is left"


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("operator", "lse", "operator must be one of 'max'"),
        ("kernel_size", 5, "kernel_size must be an int from 1 to 4"),
        ("stride", 0, "stride must be an int from 1 to 4"),
        ("values", "dog", "values must be one of 'four by four'"),
        ("values", np.zeros((9, 9)), "values must be one of four by four, digit, ties, or 1 to 8"),
        ("arriving", "twos", "arriving must be one of 'ones'"),
        ("arriving", [[1, 2, 3]], 'arriving must be "ones" or 2 rows of 2 finite numbers'),
        ("selected", [2, 0], "selected must be an int from 0 to 1"),
        ("nudge", [0], "nudge must be"),
        ("step", 0, "step must be a number above 0 to 10"),
    ],
)
def test_nonsense_is_refused(name, value, words):
    w = live.flow()
    with pytest.raises(TraitError, match=words):
        setattr(w, name, value)
    with pytest.raises(ValueError, match=words):
        live.flow(**{name: value})


def test_the_page_computes_what_python_computes(figures):
    for figure in drawn_figures(16, seed=0):
        page = figures(figure)
        np.testing.assert_allclose(numbers(page, "gradient"), gradient_of(figure.state), atol=1e-12)
        shown = float(cells(page)[-2].replace("−", "-"))
        assert shown == pytest.approx(quotient_of(figure.state), rel=1e-4, abs=1e-5), figure.state


def test_loss_and_nudge_of_the_kit_on_drawn_cases(figures):
    cases = [figure.state for figure in drawn_figures(400, seed=1)]
    text = """(cases) => JSON.stringify(JSON.parse(cases).map((state) => {
      const { lossOf, nudged } = poolref.kit;
      const more = [{ ...state, kind: "window" }, { name: state.operator }, state.arriving];
      return { loss: lossOf(state.values, ...more), ...nudged(state.values, ...more, state.nudge, state.step) };
    }))"""
    for case, got in zip(cases, json.loads(figures("").evaluate(text, json.dumps(cases))), strict=True):
        assert got["quotient"] == pytest.approx(quotient_of(case), rel=1e-6, abs=1e-9)
        assert got["raised"] - got["lowered"] == pytest.approx(2 * case["step"] * got["quotient"], abs=1e-9)
        if case["operator"] in ("average", "sum"):  # straight lines: the middle is the mean of both
            assert got["loss"] == pytest.approx((got["raised"] + got["lowered"]) / 2, abs=1e-9)


def test_arrows_lead_from_every_output_to_the_cells_that_receive(figures):
    page = figures(Flow())
    assert page.locator(".pr-arrows path").count() == 4
    assert page.locator(".pr-arrows .pr-of-chosen path").count() == 1
    page.get_by_label("Reducer").select_option("average")
    assert page.locator(".pr-arrows path").count() == 16
    assert page.locator(".pr-arrows .pr-of-chosen path").count() == 4
    end = page.locator(".pr-arrows circle").nth(15).bounding_box()
    cell = page.locator("[data-grid=gradient] [data-at='3,3']").bounding_box()
    for start, size, place in (
        ("x", "width", end["x"] + end["width"] / 2),
        ("y", "height", end["y"] + end["height"] / 2),
    ):
        assert cell[start] < place < cell[start] + cell[size]


def test_arriving_gradients_and_cells_are_edited(figures):
    page = figures(Flow())
    page.locator("[data-grid=arriving] [data-at='1,1']").click()
    page.keyboard.type("-3")
    page.keyboard.press("Enter")
    assert state(page)["arriving"] == [[1, 1], [1, -3]] and state(page)["selected"] == [1, 1]
    assert numbers(page, "gradient")[3, 2] == -3
    assert page.locator(".pr-arrows .pr-to-loss.pr-of-chosen").count() == 1
    page.locator("[data-grid=map] [data-at='3,2']").click()
    page.keyboard.type("0")
    page.keyboard.press("Enter")
    assert state(page)["nudge"] == [3, 2]
    assert numbers(page, "gradient")[2].tolist() == [0, 0, 0, -3], "now the 7 wins"
    page.keyboard.press("Control+z")
    assert state(page)["values"] == FOUR


def test_a_nudge_beside_the_derived_gradient(figures):
    page = figures(Flow(nudge=[2, 3], step=0.5))
    assert cells(page)[-2:] == ["0", "0"] and "They agree" in sentence(page)
    page.get_by_label("step of the nudge").press("ArrowRight")  # 1: 7 + 1 ties with the 8
    assert "They agree" in sentence(page)
    page.get_by_label("step of the nudge").press("ArrowRight")
    assert cells(page)[-2:] == ["0.25", "0"] and "there is a kink within it" in sentence(page)
    assert cells(page)[1:5] == ["9", "19", "5", "18"]


def test_a_prediction_hides_arrows_and_gradient(figures):
    predict = {"question": "How many?", "choices": ["4", "16"], "answer": 0, "why": "One a window."}
    page = figures(Flow(predict=predict))
    assert not page.locator(".pr-arrows").is_visible() and not page.locator("[data-grid=gradient]").is_visible()
    assert "of 16 cells" not in page.locator(".pr-gradient .pr-title").inner_text()
    page.get_by_label("4", exact=True).check()
    page.get_by_role("button", name="Show me").click()
    assert page.locator(".pr-arrows").is_visible() and "4 of 16 cells" in sentence(page)
