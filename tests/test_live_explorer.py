"""The explorer: its traits in Python, and what a reader can do with it in a browser."""

import html as html_module
import json
import re
from base64 import b64decode
from xml.etree import ElementTree

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from conftest import numbers, sentence, state
from traitlets import TraitError

import poolref.numpy
from poolref import catalog
from poolref.numpy import avg_pool, gem_pool, lse_pool, max_pool, soft_pool
from poolref.regions import Adaptive, Pyramid, Running, Window
from poolref.teaching import data, explorer
from poolref.teaching.live.explorer import OPERATORS, Explorer
from poolref.teaching.tokens import paint

# --- Python ----------------------------------------------------------------------------------------------------------


def test_output_follows_every_trait():
    w = explorer()
    np.testing.assert_array_equal(w.output, max_pool(data.digit(), Window(2)))
    w.kernel_size = 3
    np.testing.assert_array_equal(w.output, max_pool(data.digit(), Window(3, 2)))
    w.operator = "soft"
    np.testing.assert_allclose(w.output, soft_pool(data.digit(), Window(3, 2)))
    w.beta = 0.5
    np.testing.assert_allclose(w.output, soft_pool(data.digit() / 2, Window(3, 2)) * 2)
    w.beta = 0
    np.testing.assert_allclose(w.output, avg_pool(data.digit(), Window(3, 2)))
    w.operator, w.r = "lse", 0.1
    np.testing.assert_allclose(w.output, lse_pool(data.digit(), Window(3, 2), 0.1))
    w.operator, w.p, w.regions = "gem", 4, "adaptive"
    np.testing.assert_allclose(w.output, gem_pool(data.digit(), Adaptive(2), 4))
    w.operator, w.regions, w.direction = "max", "running", "left"
    np.testing.assert_array_equal(w.output, max_pool(data.digit(), Running("left")))
    w.regions, w.values = "window", "negatives"
    w.ceil_mode = True
    w.padding, w.dilation = 1, 2
    np.testing.assert_allclose(w.output, max_pool(data.negatives(), Window(3, 2, 1, 2, True)))
    w.operator, w.count_include_pad = "average", False
    assert w.output[0][0] == np.mean([-4, -7, -5, -2])


def test_a_pyramid_lays_its_levels_below_each_other():
    w = explorer(regions="pyramid", levels=[3, 1])
    assert [len(row) for row in w.output] == [3, 3, 3, 1]
    np.testing.assert_array_equal(np.concatenate(w.output), max_pool(data.digit(), Pyramid((3, 1))))


@pytest.mark.parametrize("operator", OPERATORS)
def test_every_operator_that_the_catalog_gives_to_the_figure(operator):
    w = explorer(operator, kernel_size=3, stride=2, padding=1, values="photograph")
    pool = catalog.resolve(catalog.get(operator).numpy)
    np.testing.assert_allclose(w.output, pool(data.photograph(10).round(2), Window(3, 2, 1)))


def test_stride_is_the_kernel_unless_given():
    assert explorer(kernel_size=3).stride == 3


def test_values_are_a_name_or_an_array():
    assert explorer(values="ties").values == data.ties().tolist()
    assert explorer(values=np.eye(2)).output == [[1]]
    assert explorer(values=[[1, 2], [3, 2.5]]).output == [[3]]


def test_ties_tie_and_negatives_are_negative():
    windows = data.ties().reshape(3, 2, 3, 2).transpose(0, 2, 1, 3).reshape(9, 4)
    assert sum((w == w.max()).sum() > 1 for w in windows) > 4
    assert data.negatives().max() < 0


REFUSED = [
    ("operator", "mode", "operator must be one of .*'mode'"),
    ("operator", None, "operator must be"),
    ("beside", "mode", "beside must be one of"),
    ("regions", "circle", "regions must be one of .*'circle'"),
    ("direction", "back", "direction must be one of"),
    ("levels", [], "levels must hold"),
    ("levels", [2, 0], "levels must be"),
    ("output_size", 13, "output_size must be an int from 1 to 12, got 13"),
    ("p", 0, "p must be a number above 0"),
    ("p", float("nan"), "p must be a number"),
    ("r", "x", "r must be a number"),
    ("beta", -1, "beta must be a number from 0"),
    ("alpha", 1.5, "alpha must be a number from 0 to 1"),
    ("kernel_size", 0, "kernel_size must be .*at least 1.*got 0"),
    ("kernel_size", 2.5, "kernel_size must be .*2.5"),
    ("kernel_size", True, "kernel_size must be an int.*got True"),
    ("kernel_size", 9, r"kernel_size=\(9, 9\).*spans 9 cells"),
    ("stride", 0, "stride must be .*at least 1.*got 0"),
    ("padding", -1, "padding must be .*at least 0.*got -1"),
    ("padding", 2, r"padding must be at most half of kernel_size=\(2, 2\)"),
    ("dilation", 8, r"dilation=\(8, 8\)"),
    ("ceil_mode", "yes", "ceil_mode must be .*'yes'"),
    ("count_include_pad", 1, "count_include_pad must be True or False, got 1"),
    ("values", "cat", "values must be .*got 'cat'"),
    ("values", [[1, 2], [3]], "values must be"),
    ("values", [1, 2, 3], "values must be"),
    ("values", [], "values must be"),
    ("values", np.zeros((13, 2)), "values must be .*1 to 12"),
    ("values", [[1, float("nan")]], "values must be .*finite"),
    ("values", [["a"]], "values must be"),
    ("values", None, "values must be"),
    ("values", [[1, 2]], "must fit into at most 1, for an axis of 1 cells"),
    ("selected", [4, 0], r"selected must be .*got \[4, 0\]"),
    ("selected", [-1, 0], "selected must be"),
    ("selected", [0], "selected must be"),
    ("gradient", "on", "gradient must be True or False, got 'on'"),
    ("arriving", "all", "arriving must be one of .*'all'"),
    ("arriving", [[1, 2]], "arriving must be .*rows of"),
]


@pytest.mark.parametrize(("name", "value", "words"), REFUSED, ids=lambda v: str(v)[:20])
def test_nonsense_is_refused_by_name_and_changes_nothing(name, value, words):
    w = explorer()
    before = w.output
    with pytest.raises(TraitError, match=f"(?s){words}"):
        setattr(w, name, value)
    assert w.output == before and getattr(w, name) == getattr(explorer(), name)
    with pytest.raises((TypeError, ValueError), match=f"(?s){words}"):
        explorer(**{name: value})


def test_the_output_cannot_be_set():
    with pytest.raises(TraitError, match="read-only"):
        explorer().output = [[0]]


def test_traits_that_only_fit_together_are_set_together():
    w = explorer()
    with w.hold_trait_notifications():
        w.padding = 2
        w.kernel_size = 5
    np.testing.assert_array_equal(w.output, max_pool(data.digit(), Window(5, 2, 2)))


def test_what_no_longer_fits_is_brought_into_range():
    w = explorer(selected=[3, 3], arriving=np.eye(4).tolist())
    w.stride = 6
    assert w.selected == [1, 1] and w.arriving == "sum"


def test_observers_hear_of_a_new_output():
    heard = []
    w = explorer()
    w.observe(lambda change: heard.append(change["new"]), "output")
    w.values = [[1, 2], [3, 4]]
    assert heard == [[[4]]]


def test_a_state_from_the_front_end_is_taken_as_a_whole():
    w = explorer()
    w.set_state({"padding": 2, "kernel_size": 4, "stride": 1, "values": data.ties().tolist(), "selected": [6, 6]})
    np.testing.assert_array_equal(w.output, max_pool(data.ties(), Window(4, 1, 2)))
    assert w.selected == [6, 6]


@pytest.mark.parametrize(
    "parts", [{}, {"padding": 1, "ceil_mode": True}, {"operator": "min", "values": "negatives"}, {"regions": "pyramid"}]
)
def test_picture_shows_the_map_and_the_output(parts):
    figure = Explorer(**parts)
    image = re.search(r'src="data:image/svg\+xml;base64,([^"]*)" alt="([^"]+)"', figure.html())
    svg = ElementTree.fromstring(b64decode(image[1]))
    drawn = [text.text for text in svg.iter("{http://www.w3.org/2000/svg}text")]
    shown = [v for row in (*figure.state["values"], *explorer(**parts).output) for v in row]
    assert drawn == [str(int(v)).replace("-", "−") for v in shown]
    i, j = figure.state["selected"]
    assert f"({i}, {j}) = " in html_module.unescape(image[2])


# --- the browser -----------------------------------------------------------------------------------------------------


def cell(page, kind, row, column):
    return page.locator(f'[data-grid={kind}] [data-at="{row},{column}"]')


def expected(**changes):
    return Explorer.results(Explorer(**changes).state)["output"]


def test_shows_the_numbers_of_poolref_and_says_how_they_came_about(figures):
    page = figures(Explorer(values="digit", selected=(0, 1)))
    np.testing.assert_array_equal(numbers(page, "map"), data.digit())
    np.testing.assert_array_equal(numbers(page, "output"), expected())
    assert sentence(page) == "Output (0, 1) = max(5, 13, 13, 15) = 15, from cell (1, 3)."
    assert "floor((8 + 2·0 − 1·(2 − 1) − 1) / 2) + 1 = 4" in page.locator(".pr-note").inner_text()


def test_every_control_changes_the_output_to_what_poolref_gives(figures):
    page = figures(Explorer())
    page.get_by_label("Map", exact=True).select_option("negatives")
    for name, value in {"kernel": 3, "stride": 1, "padding": 1, "dilation": 2}.items():
        page.get_by_role("slider", name=name).fill(str(value))
    page.get_by_label("ceil mode").check()
    window = {"values": "negatives", "kernel_size": 3, "stride": 1, "padding": 1, "dilation": 2, "ceil_mode": True}
    for operator in OPERATORS:
        page.get_by_label("Reducer").select_option(operator)
        shown = state(page)
        assert shown["operator"] == operator and {name: shown[name] for name in window if name != "values"} == {
            name: window[name] for name in window if name != "values"
        }
        parameters = {name: shown[name] for name in ("p", "beta", "r", "alpha")}
        np.testing.assert_allclose(numbers(page, "output"), expected(operator=operator, **window, **parameters))
        assert page.get_by_label("count padding").is_visible() == (operator == "average")
    page.get_by_label("Reducer").select_option("average")
    page.get_by_label("count padding").uncheck()
    counted = expected(operator="average", **window, count_include_pad=False)
    np.testing.assert_allclose(numbers(page, "output"), counted)
    page.get_by_role("slider", name="padding").fill("0")
    assert page.get_by_label("count padding").is_disabled(), "nothing to count"


def test_parameters_and_kinds_of_regions(figures):
    page = figures(Explorer())
    for operator, symbol, name in [
        ("lp", "p", "p"),
        ("gem", "p", "p"),
        ("soft", "β", "beta"),
        ("lse", "r", "r"),
        ("mixed", "α", "alpha"),
    ]:
        page.get_by_label("Reducer").select_option(operator)
        slider = page.get_by_role("slider", name=symbol, exact=True)
        assert state(page)[name] == explorer(operator).get_state()[name], "the paper's default"
        slider.fill("2")
        value = state(page)[name]
        np.testing.assert_allclose(numbers(page, "output"), expected(operator=operator, **{name: value}))
    page.get_by_label("Reducer").select_option("max")
    for kind in ("adaptive", "whole", "pyramid", "rows", "columns", "running"):
        page.get_by_label("Regions").select_option(kind)
        shown = numbers(page, "output")
        np.testing.assert_allclose(
            np.concatenate([np.ravel(row) for row in shown]), np.concatenate(expected(regions=kind))
        )
    page.get_by_label("from the edge").select_option("left")
    np.testing.assert_array_equal(numbers(page, "output"), expected(regions="running", direction="left"))


def test_two_operators_side_by_side_with_their_difference(figures):
    page = figures(Explorer(operator="average"))
    assert not page.locator("[data-grid=beside]").is_visible()
    page.get_by_label("Beside it").select_option("max")
    a, b = (numbers(page, kind) for kind in ("output", "beside"))
    np.testing.assert_array_equal(b, max_pool(data.digit(), Window(2)))
    np.testing.assert_allclose(numbers(page, "difference"), a - b)


def test_sentences(figures):
    def said(**parts):
        return sentence(figures(Explorer(**parts)))

    x = [[3, 1], [4, -1]]
    assert said(values=x) == "Output (0, 0) = max(3, 1, 4, −1) = 4, from cell (1, 0)."
    assert said(values=x, operator="min") == "Output (0, 0) = min(3, 1, 4, −1) = −1, from cell (1, 1)."
    assert said(values=x, operator="sum") == "Output (0, 0) = 3 + 1 + 4 + (−1) = 7."
    assert said(values=x, operator="average") == "Output (0, 0) = (3 + 1 + 4 + (−1)) / 4 = 1.75."
    assert said(values=x, operator="lp") == "Output (0, 0) = √(3² + 1² + 4² + (−1)²) ≈ 5.2."
    assert said(values=x, operator="lp", p=3) == "Output (0, 0) = (|3|³ + |1|³ + |4|³ + |−1|³)^(1/3) ≈ 4.53."
    assert said(values=x, operator="soft") == (
        "Output (0, 0) = 0.26·3 + 0.03·1 + 0.7·4 + 0·(−1) ≈ 3.61, with weights in proportion to eˣ."
    )
    assert said(values=x, operator="lse", r=2) == (
        "Output (0, 0) = ln((e^(2·3) + e^(2·1) + e^(2·4) + e^(2·−1)) / 4) / 2 ≈ 3.37."
    )
    assert said(values=x, operator="gem", p=3) == (
        "Output (0, 0) = ((3³ + 1³ + 4³ + (−1)³) / 4)^(1/3) ≈ 2.84, where values below 10⁻⁶ count as 10⁻⁶."
    )
    assert said(values=x, operator="mixed") == "Output (0, 0) = 0.5·max + 0.5·mean of (3, 1, 4, −1) ≈ 2.88."
    assert "the first of 4 that tie" in said(values=[[2, 2], [2, 2]])
    padded = said(values=x, operator="average", padding=1, selected=(0, 0))
    assert padded == "Output (0, 0) = 3 / 4 = 0.75, where 3 cells of padding count as 0."


def test_keyboard_moves_edits_and_leaves_edits(figures):
    page = figures(Explorer(values="ties"))
    cell(page, "output", 1, 1).focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowUp")
    assert sentence(page).startswith("Output (0, 2)")
    page.keyboard.press("Home")
    assert sentence(page).startswith("Output (0, 0)")

    cell(page, "map", 0, 0).focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("End")
    assert sentence(page).startswith("Cell (1, 5)")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "New value of cell (1, 5)"
    page.keyboard.type("9,5")
    page.keyboard.press("Enter")
    values = data.ties()
    values[1, 5] = 9.5
    np.testing.assert_array_equal(numbers(page, "map"), values)
    np.testing.assert_array_equal(numbers(page, "output"), expected(values=values))
    assert page.evaluate("document.activeElement.dataset.at") == "1,5", "focus stays where the reader was"
    assert page.get_by_label("Map", exact=True).input_value() == "own"
    assert cell(page, "map", 1, 5).locator(".pr-was").inner_text() == "1"
    assert cell(page, "output", 0, 2).locator(".pr-was").inner_text() == "3"

    page.keyboard.type("-7")  # a digit begins an edit, Escape gives it up
    page.keyboard.press("Escape")
    np.testing.assert_array_equal(numbers(page, "map"), values)
    page.keyboard.press("Enter")
    page.keyboard.type("seven")
    page.keyboard.press("Enter")
    np.testing.assert_array_equal(numbers(page, "map"), values)
    assert page.get_by_role("status").inner_text() == 'Cell (1, 5) must be a number, and "seven" is none.'

    page.get_by_label("Map", exact=True).select_option("digit")
    page.get_by_label("Map", exact=True).select_option("own")
    np.testing.assert_array_equal(numbers(page, "map"), values)  # the reader's map is not lost


def test_one_stop_per_grid_for_the_tab_key(figures):
    page = figures(Explorer(gradient=True))
    for kind in ("map", "output", "gradient", "arriving"):
        assert page.locator(f"[data-grid={kind}] [tabindex='0']").count() == 1


def test_touch_lights_both_ways_and_edits(figures):
    page = figures(Explorer(values="ties", stride=1), width=360, height=740, has_touch=True)
    cell(page, "output", 1, 0).tap()
    assert sentence(page) == "Output (1, 0) = max(2, 2, 0, 4) = 4, from cell (2, 1)."
    lit = page.locator("[data-grid=map] .pr-lit")
    assert [c.get_attribute("data-at") for c in lit.all()] == ["1,0", "1,1", "2,0", "2,1"]
    assert page.locator("[data-grid=map] .pr-winner").get_attribute("data-at") == "2,1"

    cell(page, "map", 2, 1).tap()
    assert sentence(page).startswith("Cell (2, 1) = 4 is seen by 4 outputs: (1, 0), (1, 1), (2, 0), (2, 1).")
    seen = page.locator("[data-grid=output] .pr-lit")
    assert [c.get_attribute("data-at") for c in seen.all()] == ["1,0", "1,1", "2,0", "2,1"]

    cell(page, "map", 2, 1).tap()
    page.get_by_label("New value of cell (2, 1)").fill("0")
    page.keyboard.press("Enter")
    cell(page, "output", 1, 0).tap()
    assert sentence(page) == "Output (1, 0) = max(2, 2, 0, 0) = 2, from cell (1, 0), the first of 2 that tie."


def test_the_window_is_dragged_and_selects_no_text(figures):
    page = figures(Explorer(selected=(0, 0)))
    start, goal = cell(page, "map", 0, 1).bounding_box(), cell(page, "map", 5, 6).bounding_box()
    page.mouse.move(start["x"] + 5, start["y"] + 5)
    page.mouse.down()
    page.mouse.move(goal["x"] + 5, goal["y"] + 5, steps=4)
    page.mouse.up()
    assert state(page)["selected"] == [2, 2], "five rows down and five columns right, by windows of two"
    assert sentence(page).startswith("Output (2, 2)"), "a drag is not a touch of a cell"
    assert page.evaluate("getSelection().toString()") == ""
    assert page.get_by_role("button", name="Undo", exact=True).is_disabled(), "choosing is not a change"


def test_bars_compare_the_shares_in_a_region(figures):
    def bars(operator):
        page = figures(Explorer(operator=operator, values=[[0, 0], [0, 1]]))
        return [
            c.evaluate("(el) => el.style.getPropertyValue('--share')") for c in page.locator(".pr-map .pr-lit").all()
        ]

    assert bars("soft") == ["0.368", "0.368", "0.368", "1.000"]
    assert bars("average") == ["1.000"] * 4
    assert bars("max") == ["0.000"] * 4


def test_all_panels_share_one_scale(figures):
    def heat(page, kind, row, column):
        return float(cell(page, kind, row, column).evaluate("(el) => el.style.getPropertyValue('--heat')"))

    page = figures(Explorer(operator="average", values=[[15, 8], [8, 15]], beside="sum"))
    assert heat(page, "map", 0, 0) == pytest.approx(15 / 46, abs=1e-3)
    assert heat(page, "output", 0, 0) == pytest.approx(11.5 / 46, abs=1e-3)
    assert heat(page, "beside", 0, 0) == 1
    page = figures(Explorer(operator="average", values="digit", gradient=True))
    assert heat(page, "gradient", 0, 0) == pytest.approx(0.25), (
        "a quarter of the gradient that arrives is a quarter as dark"
    )


def test_a_cell_no_window_sees(figures):
    page = figures(Explorer(values="ties", kernel_size=1, stride=2))
    cell(page, "map", 1, 1).click()
    assert sentence(page) == "Cell (1, 1) = 2 is seen by no output: the windows step over it."


def test_gradients_of_the_sum_of_one_output_and_of_the_readers_own(figures):
    window = {"values": "ties", "kernel_size": 3, "stride": 2, "padding": 1, "selected": (1, 1)}
    one = np.zeros((3, 3))
    one[1, 1] = 1
    own = np.ones((3, 3))
    own[2, 0] = -2
    for operator in ("max", "average", "soft"):
        backward = getattr(poolref.numpy, catalog.resolve(OPERATORS[operator].numpy).__name__ + "_backward")

        def slopes(arriving, backward=backward):
            return backward(arriving, data.ties(), Window(3, 2, 1))

        page = figures(Explorer(operator=operator, **window))
        assert not page.locator("[data-grid=gradient]").is_visible()
        page.get_by_role("checkbox", name="gradient").check()
        np.testing.assert_allclose(numbers(page, "gradient"), slopes(np.ones((3, 3))))
        page.get_by_label("arriving gradients").select_option("output")
        np.testing.assert_allclose(numbers(page, "gradient"), slopes(one))
        page.get_by_label("arriving gradients").select_option("sum")
        cell(page, "arriving", 2, 0).click()
        page.keyboard.type("-2")
        page.keyboard.press("Enter")
        np.testing.assert_allclose(numbers(page, "gradient"), slopes(own))
        assert page.get_by_label("arriving gradients").input_value() == "own"
        assert "pr-negative" in cell(page, "arriving", 2, 0).get_attribute("class")


def test_a_window_that_cannot_be_is_explained_and_the_last_output_stays(figures):
    page = figures(Explorer(values="ties"))
    before = numbers(page, "output")
    page.get_by_role("slider", name="padding").fill("2")
    message = page.get_by_role("status")
    assert (
        message.inner_text()
        == "Padding 2 is too much for a kernel of 2: at most half of the kernel, here 1, is possible."
    )
    np.testing.assert_array_equal(numbers(page, "output"), before)
    assert "pr-stale" in page.locator(".poolref-live").get_attribute("class")
    cell(page, "output", 2, 2).click()  # the last good figure can still be read
    assert sentence(page).startswith("Output (2, 2)")
    page.get_by_role("slider", name="padding").fill("0")
    page.get_by_role("slider", name="kernel").fill("5")
    page.get_by_role("slider", name="dilation").fill("2")
    assert message.inner_text() == "A kernel of 5 with dilation 2 spans 9 cells, and the map has rows for 6."
    page.get_by_role("slider", name="dilation").fill("1")
    assert message.inner_text() == "" and numbers(page, "output").shape == (1, 1)


def test_panels_stay_where_they_are_when_padding_grows(figures):
    page = figures(Explorer(kernel_size=3, stride=1))
    places = lambda: [page.locator(f"[data-grid={kind}]").bounding_box()["y"] for kind in ("map", "output")]  # noqa: E731
    before = places()
    page.get_by_role("slider", name="padding").fill("1")
    page.get_by_role("slider", name="dilation").fill("2")
    assert places() == before


def test_steps_play_speed_and_scrubber(figures):
    page = figures(Explorer(values="ties", selected=(0, 0)), reduced_motion="reduce")
    page.get_by_role("button", name="Back").click()
    assert sentence(page).startswith("Output (2, 2)")
    page.get_by_role("button", name="Next").click()
    assert sentence(page).startswith("Output (0, 0)")
    page.get_by_role("slider", name="Position").fill("5")
    assert sentence(page).startswith("Output (1, 2)")
    page.clock.install()
    page.get_by_role("button", name="Play").click()
    unborn = page.locator("[data-grid=output] .pr-unborn")
    assert unborn.count() == 8
    page.clock.run_for(3000)
    slow = unborn.count()
    assert 0 < slow < 8
    assert page.locator(".pr-sentence").get_attribute("aria-live") == "off"
    page.clock.run_for(20000)
    assert unborn.count() == 0
    assert sentence(page).startswith("Output (2, 2)")
    assert page.locator(".pr-sentence").get_attribute("aria-live") == "polite"
    page.get_by_label("Speed").select_option("4")
    page.get_by_role("button", name="Play").click()
    page.clock.run_for(1200)
    assert unborn.count() < slow
    page.get_by_role("button", name="Stop").click()
    assert unborn.count() == 0
    page.get_by_role("checkbox", name="gradient").check()
    page.get_by_role("button", name="Play").click()
    assert np.sum(numbers(page, "gradient")) == 1, "the gradient flows output by output"


def test_numbers_fly_unless_the_reader_wants_no_motion(figures):
    page = figures(Explorer(), reduced_motion="no-preference")
    page.get_by_role("button", name="Next").click()
    assert page.locator(".pr-packet").count() == 5, "four cells fly into the formula, the result to the output"
    page.get_by_role("checkbox", name="gradient").check()
    page.wait_for_function("!document.querySelector('.pr-packet')")
    page.get_by_role("button", name="Next").click()
    assert page.locator(".pr-packet").count() == 1, "the gradient flies to the largest cell alone"
    page = figures(Explorer(), reduced_motion="reduce")
    page.get_by_role("button", name="Next").click()
    assert page.locator(".pr-packet").count() == 0
    assert page.locator(".pr-frame").first.evaluate("(el) => getComputedStyle(el).transitionProperty") == "none"


def test_a_map_of_the_readers_own(figures):
    page = figures(Explorer())
    page.get_by_label("Map", exact=True).select_option("own")
    field = page.get_by_role("textbox")
    assert field.input_value().startswith("0 0 5 13 9 1 0 0\n")
    heard = page.evaluate("window.heard = 0, document.addEventListener('keydown', () => (heard += 1)), heard")
    field.fill("")
    field.focus()
    page.keyboard.type("1 2 3\n-4 5.5 6")
    assert page.evaluate("heard") == heard, "a notebook hears none of what is typed, Enter included"
    field.blur()
    np.testing.assert_array_equal(numbers(page, "map"), [[1, 2, 3], [-4, 5.5, 6]])
    np.testing.assert_array_equal(numbers(page, "output"), [[5.5]])
    field.fill("1 2\n3")
    field.blur()
    assert page.get_by_role("status").inner_text().startswith("A map must have 1 to 12 rows of equal length")
    assert numbers(page, "map").shape == (2, 3)


def test_numbers_are_large_in_full_screen(figures):
    page = figures(Explorer(), width=1920, height=1080)
    page.get_by_role("button", name="Full screen", exact=True).click()
    page.wait_for_function("document.fullscreenElement")
    size = cell(page, "map", 0, 0).evaluate("(el) => parseFloat(getComputedStyle(el).fontSize)")
    assert size >= 30
    page.evaluate("document.exitFullscreen()")


def test_axe_finds_nothing_in_states_that_look_different(figures):
    def clean(page):
        violations = Axe().run(page, options={"preload": False}).response["violations"]
        assert not violations, json.dumps(violations, indent=1)[:3000]

    page = figures(
        Explorer(operator="average", gradient=True, beside="max", values="negatives", kernel_size=3, padding=1)
    )
    cell(page, "map", 2, 2).click()
    page.keyboard.press("Enter")
    clean(page)
    page = figures(Explorer(values="ties"), theme="dark")
    page.get_by_role("slider", name="padding").fill("2")
    page.get_by_label("Map", exact=True).select_option("own")
    clean(page)


def test_every_reducer_has_words(figures):
    page = figures(Explorer())
    for operator in OPERATORS:
        page.get_by_label("Reducer").select_option(operator)
        page.get_by_label("Beside it").select_option(operator)
        assert state(page)["operator"] == state(page)["beside"] == operator
        assert sentence(page).startswith("Output (1, 1) = ")
        assert np.all(numbers(page, "difference") == 0)


def frames(page):
    return [page.locator(f".pr-{kind} .pr-frame").is_visible() for kind in ("map", "output")]


def test_showing_a_state_and_starting_again_forget_the_touched_cell(figures):
    page = figures(Explorer())
    assert frames(page) == [True, True]
    for forget in (
        lambda: page.get_by_role("button", name="Start again").click(),
        lambda: page.evaluate("poolref.awake[0].show({ stride: 1 })"),
    ):
        cell(page, "map", 5, 5).click()
        assert sentence(page).startswith("Cell (5, 5)") and frames(page) == [False, False]
        forget()
        assert sentence(page).startswith("Output") and frames(page) == [True, True]


def test_a_changed_cell_shows_the_output_that_holds_it(figures):
    page = figures(Explorer(values="ties"))
    cell(page, "map", 5, 0).click()
    page.keyboard.type("9")
    page.keyboard.press("Enter")
    assert state(page)["selected"] == [2, 0] and frames(page) == [True, True]
    assert sentence(page).startswith("Output (2, 0) = max(") and "= 9, from cell (5, 0)" in sentence(page)
    page.get_by_role("button", name="Undo", exact=True).click()
    assert state(page)["values"] == data.ties().tolist(), "one step back"
    page = figures(Explorer(values="ties", kernel_size=1, stride=2))
    cell(page, "map", 1, 1).click()
    page.keyboard.type("9")
    page.keyboard.press("Enter")
    assert sentence(page) == "Cell (1, 1) = 9 is seen by no output: the windows step over it."


def test_controls_and_panels_stay_in_place(figures):
    page = figures(Explorer(), width=1000)
    parts = [page.get_by_label("Beside it"), page.locator(".pr-own summary"), page.locator(".pr-timeline")]
    places = lambda: [part.bounding_box()["y"] for part in parts]  # noqa: E731
    before = places()
    page.get_by_label("Beside it").select_option("soft")
    assert places()[0] == before[0], "its parameter stands below it"
    page.get_by_label("Beside it").select_option("")
    page.get_by_label("Regions").select_option("whole")
    assert places()[:2] == before[:2]
    page.get_by_label("Regions").select_option("window")
    page.get_by_role("slider", name="padding").fill("2")
    assert page.get_by_role("status").inner_text() and places() == before


def test_the_map_that_can_be_typed_is_the_map_that_is_shown(figures):
    page = figures(Explorer(), width=390)
    page.get_by_text("Type a whole map").click()
    field = page.get_by_role("textbox")
    page.get_by_label("Map", exact=True).select_option("ties")
    shown = [[float(v) for v in line.split()] for line in field.input_value().split("\n")]
    np.testing.assert_array_equal(shown, data.ties())
    assert field.evaluate("(el) => getComputedStyle(el).whiteSpace") == "pre"
    assert field.bounding_box()["width"] > 300
    field.fill("1 2\n3")
    field.blur()
    page.set_viewport_size({"width": 380, "height": 900})  # drawn again
    assert field.input_value() == "1 2\n3", "what cannot be a map is not taken away"


def test_the_old_value_of_a_cell_is_large_enough_to_read(figures):
    page = figures(Explorer(values="ties"), width=390)
    cell(page, "map", 0, 0).click()
    page.keyboard.type("9")
    page.keyboard.press("Enter")
    size = page.locator(".pr-map .pr-was").evaluate("(el) => parseFloat(getComputedStyle(el).fontSize)")
    assert size >= 11


def test_the_picture_fills_the_winner():
    def filled(operator):
        svg = Explorer(operator=operator, values=[[1, 5], [3, 2]]).picture()
        return re.findall(rf'<rect[^>]*fill="{re.escape(paint("region"))}"/><text[^>]*>(\d)', svg)

    assert filled("max") == ["5"] and filled("min") == ["1"] and filled("average") == []
