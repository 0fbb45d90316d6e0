"""What every live figure promises, tested for all.  A figure's own idea is tested in tests/test_live_<name>.py."""

import gzip
import html as html_module
import json
import re
import subprocess
import sys
from base64 import b64decode
from xml.etree import ElementTree

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from conftest import numbers, sentence, state

from poolref.teaching.live import FIGURES, bundle, try_this
from poolref.teaching.live.widget import widget
from poolref.teaching.tokens import colours, dark_colours, shares

KB = 1000
every_figure = pytest.mark.parametrize("name", FIGURES)


def default(name, **changes):
    return FIGURES[name](**changes)


def same_on_screen(page):
    return page.locator(".pr-stage").inner_html()


# --- files -----------------------------------------------------------------------------------------------------------


def test_every_module_is_a_figure_and_every_figure_has_a_module():
    assert set(bundle.names()) == set(FIGURES)


def test_scripts_and_style_are_light():
    weight = {"kit": bundle.kit(), "style": bundle.style()} | {name: bundle.figure(name) for name in FIGURES}
    weight = {name: len(gzip.compress(text.encode())) for name, text in weight.items()}
    assert weight.pop("kit") <= 25 * KB
    assert weight.pop("style") <= 6 * KB
    assert all(size <= 10 * KB for size in weight.values()), weight


@every_figure
def test_one_module_for_jupyter(name):
    module = bundle.module(name)
    assert not re.search(r"^import ", module, re.MULTILINE)
    assert len(re.findall(r"^export ", module, re.MULTILINE)) == 1 and "export default { render:" in module


def test_scripts_fetch_nothing():
    for text in (bundle.kit(), bundle.style(), *map(bundle.figure, FIGURES)):
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)|fetch\(|url\(|XMLHttpRequest|import\(", text)


BROKEN = {
    'import x from "./a.js";\n': 'must import { names } from "./x.js" and export declarations, got',
    'import { a as b } from "./a.js";\n': "imports a as b, which a.js does not export",
    'import * as a from "./a.js";\n': 'must import { names } from "./x.js"',
    'import { a } from "other";\n': 'must import { names } from "./x.js"',
    'import { b } from "./a.js";\n': "imports b, which a.js does not export",
    'import { a } from "./none.js";\n': "imports from none.js, which does not exist",
    'import { c } from "./c.js";\n': "imports itself, by way of",
    'import { a } from "./a.js";\nconst inner = 1;\n': "inner is declared in a.js and in broken.js",
    "export default 1;\n": 'must import { names } from "./x.js" and export declarations, got',
    "export { a };\n": 'must import { names } from "./x.js" and export declarations, got',
    'export * from "./a.js";\n': 'must import { names } from "./x.js" and export declarations, got',
}


@pytest.mark.parametrize(("text", "words"), BROKEN.items(), ids=lambda v: v[:40].strip())
def test_the_bundler_refuses_what_it_cannot_join(tmp_path, text, words):
    (tmp_path / "a.js").write_text("const inner = 1;\nexport const a = inner;\n")
    (tmp_path / "c.js").write_text('import { d } from "./broken.js";\nexport const c = 1;\n')
    broken = tmp_path / "broken.js"
    broken.write_text(text + "export const d = 1;\n")
    with pytest.raises(ValueError, match=re.escape(words)):
        bundle.joined(bundle.with_imports(broken))


def test_the_bundler_joins_what_it_can(tmp_path):
    (tmp_path / "a.js").write_text("const inner = 1;\nexport const a = inner;\n")
    (tmp_path / "b.js").write_text('import {\n  a,\n} from "./a.js";\nexport function b() {\n  return a;\n}\n')
    text = bundle.joined(bundle.with_imports(tmp_path / "b.js", tmp_path / "a.js"))
    assert text == "const inner = 1;\nconst a = inner;\nfunction b() {\n  return a;\n}\n"


# --- colours ---------------------------------------------------------------------------------------------------------


def luminance(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a, b):
    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


def mixed(colour, into, share):
    pairs = [(int(colour[i : i + 2], 16), int(into[i : i + 2], 16)) for i in (1, 3, 5)]
    return "#" + "".join(f"{round(share * a + (1 - share) * b):02x}" for a, b in pairs)


@pytest.mark.parametrize("tokens", [colours, dark_colours], ids=["light", "dark"])
def test_text_reaches_aa_on_every_colour(tokens):
    most = {"value": "most", "below": "most", "gain": "most-gradient", "loss": "most-gradient"}
    pairs = [
        (text, paper)
        for text in ("ink", "soft", "region", "gain", "loss", "right", "wrong")
        for paper in ("paper", "panel")
    ]
    pairs += [("ink", "cell"), ("soft", "cell"), ("on-region", "region"), ("paper", "gain"), ("paper", "loss")]
    for text, paper in pairs:
        assert contrast(tokens[text], tokens[paper]) >= 4.5, f"{text} on {paper}"
    for name, share in most.items():
        full = mixed(tokens[name], tokens["cell"], shares[share])
        assert contrast(tokens["ink"], full) >= 4.5, f"ink on a cell full of {name}"
    assert contrast(tokens["edge"], tokens["paper"]) >= 3, "edges of controls"


# --- without JavaScript, and as a widget -----------------------------------------------------------------------------


@every_figure
def test_still_is_a_picture_in_the_colours_of_the_sheet_with_words(name):
    figure = default(name)
    image = re.search(r'<img class="poolref-svg" src="data:image/svg\+xml;base64,([^"]*)" alt="([^"]+)"', figure.html())
    svg = b64decode(image[1]).decode()
    ElementTree.fromstring(svg)
    assert html_module.unescape(image[2]) == figure.describe() and len(figure.describe()) > 60
    painted = set(re.findall(r'(?:fill|stroke)="([^"]+)"', svg))
    assert all(re.fullmatch(r"none|var\(--pr-[\w-]+, #[0-9a-f]{6}\)", colour) for colour in painted), painted
    for token, fallback in re.findall(r"var\(--pr-([\w-]+), (#\w+)\)", svg):
        assert colours[token] == fallback


@every_figure
def test_html_holds_the_state_as_json(name):
    text = default(name).html()
    packed = re.search(r"data-poolref-state='([^']*)'", text)[1]
    assert "<" not in packed
    assert json.loads(html_module.unescape(packed))["state"] == json.loads(json.dumps(default(name).state))


@every_figure
def test_a_figure_refuses_what_it_does_not_know(name):
    with pytest.raises(TypeError, match=f"{name} takes .*it has no colour"):
        default(name, colour="red")


@pytest.mark.parametrize(
    ("predict", "words"),
    [
        ({"question": "?"}, "predict must be a dict of question, choices, answer, why"),
        ({"question": "?", "choices": ["a"], "answer": 0, "why": ""}, "at least two"),
        ({"question": "?", "choices": ["a", "b"], "answer": 2, "why": ""}, "from 0 to 1, got 2"),
        ({"question": "?", "choices": ["a", "b"], "answer": "a", "why": ""}, "must be a int"),
    ],
)
def test_a_prediction_is_checked(predict, words):
    with pytest.raises((TypeError, ValueError), match=words):
        default("explorer", predict=predict)


@every_figure
def test_widget_has_the_state_as_traits_and_two_outputs(name, monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda bundle, **_: shown.append(bundle))
    w = widget(default(name))
    assert {trait: getattr(w, trait) for trait in w.state_names} == default(name).state
    assert set(w.state_names) <= set(w.keys)
    w._ipython_display_()
    still, live = shown
    assert "application/vnd.jupyter.widget-view+json" in live and "poolref-still" not in live["text/html"]
    assert "poolref-still" in still["text/html"] and still["text/plain"] == default(name).describe()


# --- alive -----------------------------------------------------------------------------------------------------------


@every_figure
def test_it_comes_to_life_says_what_it_shows_and_knows_its_state(name, figures):
    page = figures(default(name))
    assert page.locator(".poolref-still").count() == 0
    assert len(sentence(page)) > 20
    assert state(page) == json.loads(json.dumps(default(name).state)), "JavaScript begins with Python's state"
    assert page.get_by_role("status").inner_text() == ""


@every_figure
def test_it_runs_from_a_file(name, figure_page, tmp_path):
    scripts = "".join(f"<script>{text}</script>" for text in (bundle.kit(), bundle.figure(name)))
    path = tmp_path / "figure.html"
    path.write_text(f'<!doctype html><meta charset="utf-8">{default(name).html()}{scripts}', "utf-8")
    page = figure_page.context.new_page()
    page.goto(path.as_uri())
    assert page.locator(".pr-stage").count() == 1
    page.close()


@every_figure
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing(name, theme, figures):
    page = figures(default(name), theme=theme)
    violations = Axe().run(page, options={"preload": False}).response["violations"]
    assert not violations, json.dumps(violations, indent=1)[:3000]


@every_figure
def test_a_phone_is_wide_enough(name, figures):
    page = figures(default(name), width=390, height=844)
    for width in (390, 360, 320):
        page.set_viewport_size({"width": width, "height": 844})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        small = page.evaluate(
            """() => [...document.querySelectorAll(
              ".poolref-live :is(select, button, input[type=range], .pr-check, summary)")]
            .filter((el) => el.checkVisibility() && el.getBoundingClientRect().height < 24).map((el) => el.outerHTML)"""
        )
        assert not small


@every_figure
def test_fields_do_not_make_phones_zoom(name, figures):
    page = figures(default(name), has_touch=True, is_mobile=True, width=390, height=844)
    sizes = page.evaluate(
        """() => [...document.querySelectorAll(".poolref-live :is(select, textarea, input[type=text])")]
        .map((el) => parseFloat(getComputedStyle(el).fontSize))"""
    )
    assert all(size >= 16 for size in sizes)


@every_figure
def test_jupyterlab_leaves_the_keys_to_the_figure(name, figures):
    page = figures(default(name))
    focusable = page.locator(".poolref-live :is(input, select, button, textarea, summary, [tabindex])")
    assert focusable.count() > 3
    assert page.locator(".poolref-live [data-lm-suppress-shortcuts=true]").count() == focusable.count()


def first_change(page):
    """Change whatever slider or choice comes first."""
    page.locator(".pr-body :is(.pr-side input[type=range], .pr-chips :checked):enabled").locator(
        "visible=true"
    ).first.focus()
    page.keyboard.press("ArrowRight")


@every_figure
def test_undo_redo_reset_and_before(name, figures):
    page = figures(default(name))
    start, picture = state(page), same_on_screen(page)
    tools = {name: page.get_by_role("button", name=name, exact=True) for name in ("Undo", "Redo", "Start again")}
    before = page.get_by_role("button", name="Look at the state before")
    assert tools["Undo"].is_disabled() and tools["Redo"].is_disabled() and before.is_disabled()
    first_change(page)
    changed = state(page)
    assert changed != start
    before.click()
    assert state(page) == start and before.get_attribute("aria-pressed") == "true"
    before.click()
    assert state(page) == changed
    tools["Undo"].click()
    assert state(page) == start
    tools["Redo"].click()
    assert state(page) == changed
    page.keyboard.press("Control+z")
    assert state(page) == start
    page.keyboard.press("Control+Shift+z")
    tools["Start again"].click()
    assert state(page) == start
    assert same_on_screen(page).count("<") == picture.count("<")


@every_figure
def test_a_link_restores_the_state(name, figures):
    page = figures(default(name))
    first_change(page)
    changed = state(page)
    page.get_by_role("button", name="Copy a link").click()
    address = page.evaluate("location.href")
    assert page.evaluate("navigator.clipboard.readText()") == address
    assert "link to this state" in page.get_by_role("status").inner_text()
    page = figures(default(name), fragment="#" + address.split("#")[1])
    assert state(page) == changed
    page = figures(default(name), fragment=f"#live-{name}-1&nonsense=%7B")
    assert state(page) == json.loads(json.dumps(default(name).state))
    assert "does not know" in page.get_by_role("status").inner_text()


@every_figure
def test_two_of_a_kind_on_one_page_stay_apart(name, figures):
    page = figures(default(name), default(name))
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map((el) => el.id)")
    assert len(ids) == len(set(ids))
    first_change(page)
    assert state(page, 0) != state(page, 1)
    second = page.locator(".poolref-live").nth(1)
    second.get_by_role("button", name="Copy a link").click()
    assert page.evaluate("location.hash") == f"#live-{name}-2"


@every_figure
def test_full_screen_and_back(name, figures):
    page = figures(default(name))
    page.get_by_role("button", name="Full screen", exact=True).click()
    page.wait_for_function("document.fullscreenElement?.classList.contains('pr-full')")
    page.get_by_role("button", name="Leave full screen").click()
    page.wait_for_function("!document.fullscreenElement && !document.querySelector('.pr-full')")


@every_figure
def test_full_screen_on_a_phone_has_one_column(name, figures):
    page = figures(default(name), width=390, height=844)
    page.get_by_role("button", name="Full screen", exact=True).click()
    page.wait_for_function("document.fullscreenElement?.classList.contains('pr-full')")
    assert page.locator(".pr-stage").bounding_box()["width"] > 330
    assert page.evaluate("document.querySelector('.pr-full').scrollWidth") <= 390


PREDICTION = {"question": "What will it be?", "choices": ["this", "that"], "answer": 1, "why": "So it is."}


@every_figure
def test_predict_first_hides_the_outcome_until_the_reader_has_chosen(name, figures):
    page = figures(default(name, predict=PREDICTION))
    outcomes = page.locator(".pr-outcome:not([hidden]) > :not([hidden])")
    assert outcomes.count() and not any(part.is_visible() for part in outcomes.all())
    assert not page.locator(".pr-sentence").is_visible()
    assert page.get_by_role("button", name="Show me").is_disabled()
    page.get_by_label("this", exact=True).check()
    page.get_by_role("button", name="Show me").click()
    assert outcomes.first.is_visible() and page.locator(".pr-sentence").is_visible()
    assert page.locator(".pr-verdict").inner_text() == 'You predicted "this"; it is "that". So it is.'
    assert page.evaluate("document.activeElement.className").startswith("pr-verdict")


@every_figure
def test_in_jupyter_the_model_hears_the_reader_and_is_heard(name, figures):
    """The one module that anywidget gets, around a model like its own."""
    w = widget(default(name))
    page = figures("<div id=here></div>")
    model = {trait: getattr(w, trait) for trait in (*w.state_names, "state_names", "data", "label")}
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
          const el = document.createElement("div"); // not yet in the page when it is rendered, as in Jupyter
          window.close_view = widget.render({ model, el });
          document.querySelector("#here").append(el);
        }""",
        [w._esm, json.loads(json.dumps(model))],
    )
    assert not page.get_by_role("button", name="Copy a link").is_visible(), "a notebook has no address to copy"
    start = state(page)
    first_change(page)
    changed = state(page)
    saved = page.evaluate("saved.at(-1)")
    assert {trait: saved[trait] for trait in changed} == changed
    for trait in changed:
        if changed[trait] != start[trait]:
            w.set_trait(trait, changed[trait])  # Python accepts it
            page.evaluate("([name, value]) => model.set(name, value)", [trait, start[trait]])
    assert state(page) == start
    page.evaluate("close_view()")
    assert page.evaluate("listening()") == 0


def test_without_javascript_there_is_a_picture(figures):
    page = figures(*(default(name) for name in FIGURES), java_script_enabled=False)
    pictures = page.get_by_role("img")
    assert pictures.count() == len(FIGURES)
    for picture in pictures.all():
        box = picture.bounding_box()
        assert box["width"] > 300 and box["height"] > 100


def test_a_live_widget_hides_its_still(figures):
    still = default("explorer").still()
    page = figures(f'<div class="jp-OutputArea"><div>{still}</div><div id="other"></div></div>')
    assert page.locator(".poolref-still").is_visible()
    page.evaluate("document.querySelector('#other').className = 'poolref-live'")
    assert not page.locator(".poolref-still").is_visible()


def test_the_page_decides_between_light_and_dark(figures):
    def background(page):
        return page.locator(".poolref-live").evaluate("(el) => getComputedStyle(el).backgroundColor")

    light, dark = (background(figures(default("explorer"), theme=theme)) for theme in ("light", "dark"))
    assert light != dark
    page = figures(default("explorer"), theme="", color_scheme="dark")
    assert background(page) == dark
    page.evaluate("document.body.dataset.jpThemeLight = 'true'")
    assert background(page) == light
    page.emulate_media(color_scheme="dark", media="print")
    page.evaluate("delete document.body.dataset.jpThemeLight")
    assert background(page) == light, "paper is light"


# --- tasks -----------------------------------------------------------------------------------------------------------


def tasks(monkeypatch, *arguments):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda bundle, **_: shown.append(bundle))
    try_this(*arguments)
    return shown[0]


def test_try_this_sets_the_nearest_figure_above(monkeypatch, figures):
    shown = tasks(
        monkeypatch,
        "explorer",
        [("Slide by `1`.", {"stride": 1}, "It has $7$ rows."), ("Sum.", {"operator": "sum"}, "Large.")],
    )
    assert shown["text/plain"].startswith("1. Slide by `1`.\n   Answer: It has $7$ rows.\n2. Sum.")
    page = figures(default("explorer"), default("explorer"), shown["text/html"], default("explorer"))
    page.get_by_role("button", name="Set the figure").first.click()
    assert [state(page, i)["stride"] for i in range(3)] == [2, 1, 2]
    page.get_by_role("button", name="Set the figure").last.click()
    assert state(page, 1)["operator"] == "sum" and state(page, 1)["stride"] == 2, (
        "each begins from the figure's first state"
    )
    assert not page.get_by_text("Large.").is_visible()
    page.get_by_text("Answer").last.click()
    assert page.get_by_text("Large.").is_visible()


def test_setting_a_figure_keeps_the_task_in_sight(monkeypatch, figures):
    shown = tasks(monkeypatch, "explorer", [("Slide by `1`.", {"stride": 1}, "It has 7 rows.")])
    frame = "<style>html { scroll-padding-top: 64px } /* a bar, as the site has */</style>"
    page = figures(frame, default("explorer"), shown["text/html"], "<div style='height: 2000px'></div>", height=680)
    button = page.get_by_role("button", name="Set the figure")
    button.evaluate("(el) => scrollBy(0, el.getBoundingClientRect().top - 80)")
    button.click()
    assert page.locator(".pr-stage").bounding_box()["y"] >= 64, "not below the bar"
    box = button.bounding_box()
    assert box["y"] + box["height"] <= 680


def test_try_this_without_javascript_has_no_buttons(monkeypatch, figures):
    shown = tasks(monkeypatch, "explorer", [("Sum.", {"operator": "sum"}, "Large.")])
    page = figures(shown["text/html"], java_script_enabled=False)
    assert page.get_by_role("button").count() == 0


@pytest.mark.parametrize(
    ("figure", "state", "words"),
    [
        ("none", {}, "figure must be one of 'explorer'"),
        ("explorer", {"strides": 1}, "it has no strides"),
        ("explorer", {"stride": 0}, "stride must be"),
    ],
)
def test_try_this_refuses_states_that_the_figure_refuses(figure, state, words):
    with pytest.raises((TypeError, ValueError), match=words):
        try_this(figure, [("Text", state, "Answer")])


# --- without the packages of the course ------------------------------------------------------------------------------


def python(code):
    return subprocess.run([sys.executable, "-c", code], text=True, capture_output=True)


def test_teaching_imports_without_torch_and_before_anything_heavy():
    done = python(
        "import sys\n"
        "class NoTorch:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name.partition('.')[0] == 'torch': raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, NoTorch())\n"
        "import poolref.teaching\n"
        "print([m for m in ('matplotlib', 'anywidget', 'sklearn', 'IPython') if m in sys.modules])\n"
        "poolref.teaching.explorer(values=[[1, 2], [3, 4]])"
    )
    assert done.stdout.strip() == "[]", done.stderr
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("package", "use"),
    [
        ("anywidget", "poolref.teaching.explorer()"),
        ("sklearn", "poolref.teaching.data.digit()"),
        ("matplotlib", "poolref.teaching.show(None, alt='a map')"),
        ("IPython", "poolref.teaching.try_this('explorer', [])"),
    ],
)
def test_a_missing_package_is_named_with_its_remedy(package, use):
    done = python(f"import sys; sys.modules[{package!r}] = None\nimport poolref.teaching\n{use}")
    assert f"ImportError: poolref.teaching needs {package} here" in done.stderr
    assert done.stderr.strip().endswith('run: python -m pip install -e ".[teaching]"'), done.stderr


# --- on the published pages ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", ["what-pooling-does", "windows", "max-pooling", "softpool"])
def test_in_every_chapter_the_explorer_answers_with_the_numbers_of_poolref(address, page):
    page.goto(f"/book/{address}.html")
    figure = page.locator(".pr-figure-explorer").first
    figure.wait_for()
    for kernel, stride in [(3, 1), (4, 2)]:
        figure.get_by_role("slider", name="kernel").fill(str(kernel))
        figure.get_by_role("slider", name="stride").fill(str(stride))
        index = page.evaluate("poolref.awake.findIndex(({ kind }) => kind === 'explorer')")
        shown = state(page, index)
        assert (shown["kernel_size"], shown["stride"]) == (kernel, stride)
        expected = FIGURES["explorer"].results(FIGURES["explorer"](**shown).state)["output"]
        np.testing.assert_allclose(numbers(figure, "output"), expected)
    assert (
        page.locator("template.poolref-widget").count() == 0
        or not page.locator("template.poolref-widget").first.is_visible()
    )
