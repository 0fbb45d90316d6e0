"""The live figure in a real browser: its arithmetic held to poolref.numpy, and what a reader can do with it."""

import json
from pathlib import Path

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe

import poolref.numpy
from poolref import catalog
from poolref.regions import Window
from poolref.teaching import explorer
from poolref.teaching.explorer import ASSETS, OPERATORS

WINDOW = ("kernel_size", "stride", "padding", "dilation", "ceil_mode")
CHAPTERS = sorted((Path(__file__).parents[1] / "book" / "quizzes").glob("*.yml"))
TYPES = {".js": "text/javascript", ".css": "text/css"}


# --- the arithmetic --------------------------------------------------------------------------------------------------


def pooled(case, *more):
    """What poolref.numpy makes of a case: the output, or with a grad_output in `more` the gradient."""
    name = catalog.resolve(OPERATORS[case["operator"]].numpy).__name__
    function = getattr(poolref.numpy, name + "_backward" if more else name)
    arguments = {"count_include_pad": case["count_include_pad"]} if case["operator"] == "average" else {}
    x = np.array(case["values"], float)
    return function(*(np.array(g, float) for g in more), x, Window(*(case[n] for n in WINDOW)), **arguments)


def drawn_cases(number, seed):
    """Maps full of ties, of negatives, of fractions and of large numbers, under windows most of which fit."""
    rng = np.random.default_rng(seed)
    kinds = [
        lambda shape: rng.integers(0, 3, shape),
        lambda shape: -rng.integers(1, 5, shape),
        lambda shape: rng.normal(size=shape).round(3),
        lambda shape: rng.normal(size=shape) * 1000,
        lambda shape: np.zeros(shape),
    ]
    for i in range(number):
        kernel = int(rng.integers(1, 7))
        yield {
            "operator": list(OPERATORS)[i % len(OPERATORS)],
            "kernel_size": kernel,
            "stride": int(rng.integers(1, 6)),
            "padding": int(rng.integers(0, kernel // 2 + 1 + (rng.random() < 0.1))),
            "dilation": int(rng.integers(1, 4)),
            "ceil_mode": bool(rng.random() < 0.5),
            "count_include_pad": bool(rng.random() < 0.5),
            "values": kinds[rng.integers(len(kinds))](rng.integers(1, 13, 2)).tolist(),
            "seed": int(rng.integers(2**31)),
        }


def expectation(case):
    """The output and the gradient of a drawn grad_output, or the sentence with which poolref refuses."""
    shape = np.shape(case["values"])
    try:
        out_shape = Window(*(case[n] for n in WINDOW)).output_shape(shape)
    except ValueError as error:
        return {"problem": str(error)}
    grad = np.random.default_rng(case["seed"]).normal(size=out_shape).round(3)
    return {"problem": "", "grad": grad.tolist(), "output": pooled(case), "backward": pooled(case, grad)}


# As text, because that is how thousands of cases get across quickly.
COMPUTE = """async (text) => {
  const { problem, pool, backward } = await import("/pooling.js");
  const results = JSON.parse(text).map(([state, grad]) => {
    const shape = [state.values.length, state.values[0].length];
    const why = problem(shape, state);
    if (why) return { problem: why };
    const regions = pool(state.values, state.operator, state);
    const output = regions.map((row) => row.map(({ value }) => String(value)));
    return { problem: "", output, backward: backward(regions, grad, shape) };
  });
  return JSON.stringify(results);
}"""


@pytest.fixture
def arithmetic(open_page):
    page = open_page("")
    return lambda cases: json.loads(page.evaluate(COMPUTE, json.dumps(cases)))


def test_arithmetic_is_that_of_poolref_on_drawn_cases(arithmetic):
    cases = list(drawn_cases(6000, seed=0))
    expected = [expectation(case) for case in cases]
    got = arithmetic([[case, e.get("grad")] for case, e in zip(cases, expected, strict=True)])
    fitting = 0
    for case, e, g in zip(cases, expected, got, strict=True):
        assert g["problem"] == e["problem"], case
        if e["problem"]:
            continue
        fitting += 1
        output = [[float(v.replace("Infinity", "inf")) for v in row] for row in g["output"]]
        np.testing.assert_allclose(output, e["output"], rtol=1e-9, atol=1e-9, err_msg=str(case))
        np.testing.assert_allclose(g["backward"], e["backward"], rtol=1e-9, atol=1e-9, err_msg=str(case))
    assert fitting > 3000 and fitting < 6000, "both windows that fit and windows that do not must have been drawn"


def test_windows_without_a_cell_agree(arithmetic):
    """Dilation can make both taps of a window straddle a map of one cell."""
    base = {"kernel_size": 2, "stride": 1, "padding": 1, "dilation": 2, "ceil_mode": False, "values": [[7]]}
    for operator in OPERATORS:
        for counted in (True, False):
            case = {**base, "operator": operator, "count_include_pad": counted}
            (got,) = arithmetic([[case, [[1]]]])
            expected = pooled(case)
            np.testing.assert_equal(
                [[float(v.replace("Infinity", "inf")) for v in row] for row in got["output"]], expected
            )
            np.testing.assert_equal(np.array(got["backward"], float), pooled(case, [[1]]))


def test_every_operator_of_the_menu_has_arithmetic(open_page):
    page = open_page("")
    names = page.evaluate("async () => Object.keys((await import('/pooling.js')).REDUCERS)")
    assert set(names) == set(OPERATORS)


# --- the figure ------------------------------------------------------------------------------------------------------


def html_of(**state):
    return explorer(**state)._repr_mimebundle_()[0]["text/html"]


@pytest.fixture
def open_page(browser):
    """Open a bare page around some HTML; errors of its scripts and foreign requests fail the test."""
    contexts, trouble = [], []

    def open_page(body, theme="light", **options):
        head = '<meta charset="utf-8"><title>Figure</title><link rel="stylesheet" href="/explorer.css">'
        paper = "#fff" if theme == "light" else "#121212"
        ink = "#000" if theme == "light" else "#fff"
        style = f"<style>body {{ margin: 16px; background: {paper}; color: {ink} }}</style>"
        script = '<script type="module" src="/explorer.js"></script>'
        page_html = f'<!doctype html><html lang="en" data-theme="{theme}"><head>{head}{style}</head>'
        page_html += f"<body><main><h1>Figure</h1>{body}</main>{script}</body></html>"
        served = {path.name: path for path in ASSETS}

        def serve(route):
            name = route.request.url.removeprefix("http://figure.test/")
            if name == "":
                route.fulfill(body=page_html, content_type="text/html")
            elif name in served:
                route.fulfill(body=served[name].read_text("utf-8"), content_type=TYPES[served[name].suffix])
            else:
                trouble.append(f"asked for {route.request.url}")
                route.fulfill(status=404)

        context = browser.new_context(**{"viewport": {"width": 900, "height": 1000}, **options})
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: message.type == "error" and trouble.append(message.text))
        page.on("pageerror", lambda error: trouble.append(str(error)))
        page.route("**/*", serve)
        page.goto("http://figure.test/")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not trouble, "\n".join(trouble)


def numbers(page, kind):
    """The numbers that a grid shows, at full precision."""
    read = "(grid) => [...grid.querySelectorAll('[role=gridcell]')].map(({ dataset: { at, value } }) => [at, value])"
    cells = {tuple(map(int, at.split(","))): float(v) for at, v in page.locator(f"[data-grid={kind}]").evaluate(read)}
    array = np.full(np.max(list(cells), axis=0) + 1, np.nan)
    for index, value in cells.items():
        array[index] = value
    return array


def cell(page, kind, row, column):
    return page.locator(f'[data-grid={kind}] [data-at="{row},{column}"]')


def sentence(page):
    return page.locator(".pe-sentence").inner_text()


STATE = {"operator": "max", "kernel_size": 2, "stride": 2, "padding": 0, "dilation": 1, "ceil_mode": False}
STATE |= {"count_include_pad": True}


def expected(w, **changes):
    return pooled({name: getattr(w, name) for name in STATE} | {"values": w.values} | changes)


def test_shows_the_numbers_of_poolref_and_says_how_they_came_about(open_page):
    page = open_page(html_of(values="digit", selected=(0, 1)))
    w = explorer()
    np.testing.assert_array_equal(numbers(page, "map"), w.values)
    np.testing.assert_array_equal(numbers(page, "output"), w.output)
    assert sentence(page) == "Output (0, 1) = max(5, 13, 13, 15) = 15, from cell (1, 3)."
    assert "floor((8 + 2·0 − 1·(2 − 1) − 1) / 2) + 1 = 4" in page.locator(".pe-formula").inner_text()
    assert page.locator(".poolref-explorer > img").count() == 0


@pytest.mark.parametrize("operator", OPERATORS)
def test_every_control_changes_the_output_to_what_poolref_gives(open_page, operator):
    page = open_page(html_of())
    page.get_by_label("Operator").select_option(operator)
    page.get_by_label("Map", exact=True).select_option("negatives")
    for name, value in {"kernel": 3, "stride": 1, "padding": 1, "dilation": 2}.items():
        page.get_by_role("slider", name=name).fill(str(value))
    page.get_by_label("ceil mode").check()
    changes = {"operator": operator, "kernel_size": 3, "stride": 1, "padding": 1, "dilation": 2, "ceil_mode": True}
    np.testing.assert_allclose(numbers(page, "output"), expected(explorer(values="negatives"), **changes))
    if operator == "average":
        page.get_by_label("count padding").uncheck()
        changes["count_include_pad"] = False
        np.testing.assert_allclose(numbers(page, "output"), expected(explorer(values="negatives"), **changes))
    else:
        assert not page.get_by_label("count padding").is_visible()


def test_sentences(open_page):
    def said(**state):
        return sentence(open_page(html_of(**state)))

    x = [[3, 1], [4, -1]]
    assert said(values=x) == "Output (0, 0) = max(3, 1, 4, −1) = 4, from cell (1, 0)."
    assert said(values=x, operator="min") == "Output (0, 0) = min(3, 1, 4, −1) = −1, from cell (1, 1)."
    assert said(values=x, operator="sum") == "Output (0, 0) = 3 + 1 + 4 + (−1) = 7."
    assert said(values=x, operator="average") == "Output (0, 0) = (3 + 1 + 4 + (−1)) / 4 = 1.75."
    assert said(values=x, operator="lp") == "Output (0, 0) = √(3² + 1² + 4² + (−1)²) ≈ 5.2."
    assert said(values=x, operator="soft").startswith(
        "Output (0, 0) = 0.26·3 + 0.03·1 + 0.7·4 + 0·(−1) ≈ 3.61, with weights in"
    )
    assert "the first of 4 that tie" in said(values=[[2, 2], [2, 2]])
    padded = said(values=x, operator="average", padding=1, selected=(0, 0))
    assert padded == "Output (0, 0) = 3 / 4 = 0.75, where 3 cells of padding count as 0."


def test_keyboard_moves_edits_and_leaves_edits(open_page):
    page = open_page(html_of(values="ties"))
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
    values = np.array(explorer(values="ties").values, float)
    values[1, 5] = 9.5
    np.testing.assert_array_equal(numbers(page, "map"), values)
    np.testing.assert_array_equal(numbers(page, "output"), expected(explorer(values=values)))
    assert page.evaluate("document.activeElement.dataset.at") == "1,5", "focus stays where the reader was"
    assert page.get_by_label("Map", exact=True).input_value() == "own"

    page.keyboard.type("-7")  # a digit begins an edit, Escape gives it up
    page.keyboard.press("Escape")
    np.testing.assert_array_equal(numbers(page, "map"), values)
    page.keyboard.press("Enter")
    page.keyboard.type("seven")
    page.keyboard.press("Enter")
    np.testing.assert_array_equal(numbers(page, "map"), values)
    assert page.get_by_role("status").inner_text() == 'Cell (1, 5) must be a number, got "seven".'


def test_one_stop_per_grid_for_the_tab_key(open_page):
    page = open_page(html_of(gradient=True))
    for kind in ("map", "output", "gradient"):
        assert page.locator(f"[data-grid={kind}] [tabindex='0']").count() == 1
    focusable = page.locator(".poolref-explorer :is(input, select, button, textarea, summary, [tabindex])")
    assert focusable.count() > 100
    assert page.locator(".poolref-explorer [data-lm-suppress-shortcuts=true]").count() == focusable.count()


def test_touch_lights_both_ways_and_edits(open_page):
    page = open_page(html_of(values="ties", stride=1), viewport={"width": 360, "height": 740}, has_touch=True)
    cell(page, "output", 1, 0).tap()
    assert sentence(page) == "Output (1, 0) = max(2, 2, 0, 4) = 4, from cell (2, 1)."
    lit = page.locator("[data-grid=map] .pe-lit")
    assert [c.get_attribute("data-at") for c in lit.all()] == ["1,0", "1,1", "2,0", "2,1"]
    assert page.locator("[data-grid=map] .pe-winner").get_attribute("data-at") == "2,1"

    cell(page, "map", 2, 1).tap()
    assert sentence(page).startswith("Cell (2, 1) = 4 is seen by 4 outputs: (1, 0), (1, 1), (2, 0), (2, 1).")
    seen = page.locator("[data-grid=output] .pe-lit")
    assert [c.get_attribute("data-at") for c in seen.all()] == ["1,0", "1,1", "2,0", "2,1"]

    cell(page, "map", 2, 1).tap()
    page.get_by_label("New value of cell (2, 1)").fill("0")
    page.keyboard.press("Enter")
    cell(page, "output", 1, 0).tap()
    assert sentence(page) == "Output (1, 0) = max(2, 2, 0, 0) = 2, from cell (1, 0), the first of 2 that tie."


def test_bars_compare_the_weights_in_a_window(open_page):
    def bars(operator):
        page = open_page(html_of(operator=operator, values=[[0, 0], [0, 1]]))
        return [
            c.evaluate("(el) => el.style.getPropertyValue('--share')") for c in page.locator(".pe-map .pe-lit").all()
        ]

    assert bars("soft") == ["0.368", "0.368", "0.368", "1.000"]
    assert bars("average") == ["1.000"] * 4
    assert bars("max") == ["0.000"] * 4


def test_a_cell_no_window_sees(open_page):
    page = open_page(html_of(values="ties", kernel_size=1, stride=2))
    cell(page, "map", 1, 1).click()
    assert sentence(page) == "Cell (1, 1) = 2 is seen by no output: the windows step over it."


@pytest.mark.parametrize("operator", OPERATORS)
def test_gradient_of_the_sum_and_of_one_output(open_page, operator):
    page = open_page(html_of(operator=operator, values="ties", kernel_size=3, stride=2, padding=1, selected=(1, 1)))
    assert not page.locator("[data-grid=gradient]").is_visible()
    page.get_by_role("checkbox", name="gradient").check()
    case = {"operator": operator, "kernel_size": 3, "stride": 2, "padding": 1, "dilation": 1, "ceil_mode": False}
    case |= {"count_include_pad": True, "values": explorer(values="ties").values}
    np.testing.assert_allclose(numbers(page, "gradient"), pooled(case, np.ones((3, 3))))
    page.get_by_label("gradient of", exact=True).select_option("output")
    one = np.zeros((3, 3))
    one[1, 1] = 1
    np.testing.assert_allclose(numbers(page, "gradient"), pooled(case, one))
    cell(page, "output", 2, 0).click()
    one = np.zeros((3, 3))
    one[2, 0] = 1
    np.testing.assert_allclose(numbers(page, "gradient"), pooled(case, one))


def test_a_window_that_cannot_be_is_explained_and_the_last_output_stays(open_page):
    page = open_page(html_of(values="ties"))
    before = numbers(page, "output")
    page.get_by_role("slider", name="padding").fill("2")
    with pytest.raises(ValueError) as refusal:
        Window(2, 2, 2)
    message = page.get_by_role("status")
    assert message.inner_text() == f"{refusal.value}."
    np.testing.assert_array_equal(numbers(page, "output"), before)
    assert "pe-stale" in page.locator(".poolref-explorer").get_attribute("class")
    cell(page, "output", 2, 2).click()  # the last good figure can still be read
    assert sentence(page).startswith("Output (2, 2)")
    page.get_by_role("slider", name="padding").fill("0")
    page.get_by_role("slider", name="kernel").fill("5")
    page.get_by_role("slider", name="dilation").fill("2")
    with pytest.raises(ValueError) as refusal:
        Window(5, 2, dilation=2).output_shape((6, 6))
    assert message.inner_text() == f"{refusal.value}."
    page.get_by_role("slider", name="dilation").fill("1")
    assert message.inner_text() == "" and numbers(page, "output").shape == (1, 1)


def test_steps_and_play(open_page):
    page = open_page(html_of(values="ties", selected=(0, 0)))
    page.get_by_role("button", name="Back").click()
    assert sentence(page).startswith("Output (2, 2)")
    page.get_by_role("button", name="Next").click()
    assert sentence(page).startswith("Output (0, 0)")
    page.clock.install()
    page.get_by_role("button", name="Play").click()
    assert page.locator(".pe-unborn").count() == 8
    page.clock.run_for(3000)
    assert 0 < page.locator(".pe-unborn").count() < 8
    assert page.locator(".pe-sentence").get_attribute("aria-live") == "off"
    page.clock.run_for(20000)
    assert page.locator(".pe-unborn").count() == 0
    assert sentence(page).startswith("Output (2, 2)")
    assert page.locator(".pe-sentence").get_attribute("aria-live") == "polite"
    page.get_by_role("button", name="Play").click()
    page.get_by_role("button", name="Stop").click()
    assert page.locator(".pe-unborn").count() == 0


def test_a_map_of_the_readers_own(open_page):
    page = open_page(html_of())
    page.get_by_label("Map", exact=True).select_option("own")
    field = page.get_by_role("textbox")
    assert field.input_value().startswith("0 0 5 13 9 1 0 0\n")
    field.fill("1 2 3\n-4 5.5 6")
    field.blur()
    np.testing.assert_array_equal(numbers(page, "map"), [[1, 2, 3], [-4, 5.5, 6]])
    np.testing.assert_array_equal(numbers(page, "output"), [[5.5]])
    field.fill("1 2\n3")
    field.blur()
    assert page.get_by_role("status").inner_text().startswith("A map must have 1 to 12 rows of equal length")
    assert numbers(page, "map").shape == (2, 3)


def test_in_jupyter_the_model_hears_valid_states_and_is_heard(open_page):
    """The one module that anywidget gets, around a model like its own."""
    w = explorer(values="ties")
    page = open_page("<div id=here></div>")
    traits = ("values", "selected", "gradient", "gradient_of", "maps", "operators")
    state = {name: getattr(w, name) for name in (*STATE, *traits)}
    page.evaluate(
        """async ([source, state]) => {
          const file = new Blob([source], { type: "text/javascript" });
          const { default: widget } = await import(URL.createObjectURL(file));
          const listeners = {};
          window.saved = [];
          window.model = {
            get: (name) => state[name],
            set(name, value) {
              const changed = JSON.stringify(state[name]) !== JSON.stringify(value);
              state[name] = value;
              if (changed) (listeners[`change:${name}`] ?? []).forEach((listener) => listener());
            },
            save_changes: () => saved.push(structuredClone(state)),
            on: (event, listener) => (listeners[event] ??= []).push(listener),
            off: (event, listener) => (listeners[event] = listeners[event].filter((other) => other !== listener)),
          };
          window.listening = () => Object.values(listeners).flat().length;
          window.close_view = widget.render({ model, el: document.querySelector("#here") });
        }""",
        [w._esm, json.loads(json.dumps(state))],
    )
    page.get_by_role("slider", name="stride").fill("1")
    assert page.evaluate("saved.at(-1).stride") == 1
    page.get_by_role("slider", name="padding").fill("3")
    assert page.evaluate("saved.at(-1).padding") == 0 and page.evaluate("saved.length") == 1
    page.get_by_role("slider", name="padding").fill("1")
    assert page.evaluate("[saved.length, saved.at(-1).padding, saved.at(-1).stride]") == [2, 1, 1]
    page.evaluate("model.set('operator', 'sum')")
    np.testing.assert_array_equal(numbers(page, "output"), expected(w, operator="sum", stride=1, padding=1))
    page.evaluate("close_view()")
    assert page.evaluate("listening()") == 0


def test_without_javascript_there_is_a_picture(open_page):
    page = open_page(html_of(operator="soft", padding=1), java_script_enabled=False)
    picture = page.get_by_role("img")
    assert picture.get_attribute("alt").startswith("A map of 8 by 8 numbers and beside it the output, 5 by 5. SoftPool")
    box = picture.bounding_box()
    assert box["width"] > 300 and box["height"] > 200


def test_the_page_decides_between_light_and_dark(open_page):
    def background(page):
        return page.locator(".poolref-explorer").evaluate("(el) => getComputedStyle(el).backgroundColor")

    light, dark = (background(open_page(html_of(), theme)) for theme in ("light", "dark"))
    assert light != dark
    page = open_page(html_of(), "", color_scheme="dark")
    assert background(page) == dark
    page.evaluate("document.body.dataset.jpThemeLight = 'true'")
    assert background(page) == light
    page.evaluate("document.body.dataset.jpThemeLight = 'false'")
    assert background(page) == dark


def test_readers_who_want_no_motion_get_none(open_page):
    def transition(page):
        return page.locator(".pe-frame").first.evaluate("(el) => getComputedStyle(el).transitionProperty")

    assert transition(open_page(html_of())) == "all"
    assert transition(open_page(html_of(), reduced_motion="reduce")) == "none"


@pytest.mark.parametrize("width", [320, 360])
def test_a_phone_is_wide_enough(open_page, width):
    page = open_page(html_of(values="photograph", gradient=True, padding=1), viewport={"width": width, "height": 700})
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    boxes = page.evaluate("[...document.querySelectorAll('[role=gridcell]')].map((el) => el.getBoundingClientRect())")
    assert min(min(box["width"], box["height"]) for box in boxes) >= 24
    controls = page.locator(".poolref-explorer :is(select, button, input[type=range], label.pe-check, summary)").all()
    assert all(c.bounding_box()["height"] >= 24 for c in controls if c.is_visible())


@pytest.mark.parametrize("width", [900, 360])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing(open_page, theme, width):
    """In every state that looks different."""
    page = open_page(html_of(values="photograph", gradient=True), theme, viewport={"width": width, "height": 900})

    def clean(state):
        violations = Axe().run(page).response["violations"]
        assert not violations, f"{state}: " + json.dumps(violations, indent=1)[:3000]

    clean("at rest")
    page.get_by_label("Map", exact=True).select_option("negatives")
    clean("negatives")
    page.get_by_label("Operator").select_option("average")
    page.get_by_role("slider", name="kernel").fill("3")
    page.get_by_role("slider", name="padding").fill("1")
    page.get_by_label("ceil mode").check()
    clean("padding")
    cell(page, "map", 2, 2).click()
    clean("an input cell")
    page.keyboard.press("Enter")
    clean("editing")
    page.keyboard.press("Escape")
    page.get_by_role("slider", name="padding").fill("2")
    clean("refused")
    page.get_by_label("Map", exact=True).select_option("own")
    clean("own map")


# --- on the published pages ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_in_every_chapter_the_figure_answers_with_the_numbers_of_poolref(path, page):
    page.goto(f"/book/{path.stem}.html")
    page.locator(".poolref-explorer [data-grid=output]").first.wait_for()
    figure = page.locator(".poolref-explorer").first
    operator = figure.get_by_label("Operator").input_value()
    for kernel, stride in [(3, 1), (4, 2)]:
        figure.get_by_role("slider", name="kernel").fill(str(kernel))
        figure.get_by_role("slider", name="stride").fill(str(stride))
        changes = {"operator": operator, "kernel_size": kernel, "stride": stride, "values": numbers(figure, "map")}
        np.testing.assert_allclose(numbers(figure, "output"), expected(explorer(), **changes))
