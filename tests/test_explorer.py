"""The live figure as a notebook sees it: traits, refusals, and the forms in which it is displayed."""

import html as html_module
import json
import re
import subprocess
import sys
from base64 import b64decode
from xml.etree import ElementTree

import numpy as np
import pytest
from traitlets import TraitError

from poolref import catalog
from poolref.numpy import max_pool, soft_pool
from poolref.regions import Window
from poolref.teaching import data, explorer
from poolref.teaching.explorer import ASSETS, OPERATORS


def test_output_follows_every_trait():
    w = explorer()
    np.testing.assert_array_equal(w.output, max_pool(data.digit(), Window(2)))
    w.kernel_size = 3
    np.testing.assert_array_equal(w.output, max_pool(data.digit(), Window(3, 2)))
    w.operator = "soft"
    np.testing.assert_allclose(w.output, soft_pool(data.digit(), Window(3, 2)))
    w.values = "negatives"
    w.ceil_mode = True
    w.padding, w.dilation = 1, 2
    np.testing.assert_allclose(w.output, soft_pool(data.negatives(), Window(3, 2, 1, 2, True)))
    w.operator, w.count_include_pad = "average", False
    assert w.output[0][0] == np.mean([-4, -7, -5, -2])


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


REFUSED = [
    ("operator", "median", "'operator'.*'median'"),
    ("operator", None, "'operator'"),
    ("kernel_size", 0, "kernel_size must be .*at least 1.*got 0"),
    ("kernel_size", 2.5, "'kernel_size'.*2.5"),
    ("kernel_size", True, "kernel_size must be an int.*got True"),
    ("kernel_size", 9, r"kernel_size=\(9, 9\).*spans 9 cells"),
    ("stride", 0, "stride must be .*at least 1.*got 0"),
    ("padding", -1, "padding must be .*at least 0.*got -1"),
    ("padding", 2, r"padding must be at most half of kernel_size=\(2, 2\)"),
    ("dilation", 8, r"dilation=\(8, 8\)"),
    ("ceil_mode", "yes", "'ceil_mode'.*'yes'"),
    ("values", "cat", "values must be .*got 'cat'"),
    ("values", [[1, 2], [3]], "values must be"),
    ("values", [1, 2, 3], "values must be"),
    ("values", [], "values must be"),
    ("values", np.zeros((13, 2)), "values must be .*1 to 12"),
    ("values", [[1, float("nan")]], "values must be .*finite"),
    ("values", [["a"]], "values must be"),
    ("values", None, "values must be"),
    ("values", [[1, 2]], "must fit into at most 1, for an axis of 1 cells"),
    ("selected", [4, 0], r"selected must lie inside the output shape \(4, 4\), got \[4, 0\]"),
    ("selected", [-1, 0], "selected must lie inside"),
    ("selected", [0], "'selected'"),
    ("gradient", "on", "'gradient'.*'on'"),
    ("gradient_of", "all", "'gradient_of'.*'all'"),
    ("output", [[0]], '"output" trait is read-only'),
]


@pytest.mark.parametrize(("name", "value", "words"), REFUSED, ids=lambda v: str(v)[:20])
def test_nonsense_is_refused_by_name_and_changes_nothing(name, value, words):
    w = explorer()
    before = w.output
    with pytest.raises(TraitError, match=f"(?s){words}"):
        setattr(w, name, value)
    assert w.output == before and getattr(w, name) == getattr(explorer(), name)
    with pytest.raises(TraitError):
        explorer(**{name: value})


def test_traits_that_only_fit_together_are_set_together():
    w = explorer()
    with w.hold_trait_notifications():
        w.padding = 2
        w.kernel_size = 5
    np.testing.assert_array_equal(w.output, max_pool(data.digit(), Window(5, 2, 2)))


def test_selected_stays_inside_the_output():
    w = explorer(selected=[3, 3])
    w.stride = 6
    assert w.selected == [1, 1]


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


# --- how it is displayed ---------------------------------------------------------------------------------------------


def bundle(**state):
    return explorer(**state)._repr_mimebundle_()[0]


def test_bundle_has_a_widget_and_html_and_words():
    assert bundle().keys() == {"text/plain", "text/html", "application/vnd.jupyter.widget-view+json"}
    assert "Max pooling, kernel 2, stride 2" in bundle()["text/plain"]


def test_html_carries_the_state():
    html = bundle(operator="lp", values=[[1, 2.5], [3, 4]], selected=[0, 0])["text/html"]
    packed = re.search(r"data-poolref-explorer='([^']*)'", html)[1]
    assert "<" not in packed
    state = json.loads(html_module.unescape(packed))
    assert state["operator"] == "lp" and state["values"] == [[1, 2.5], [3, 4]]
    assert [name for name, _ in state["operators"]] == list(OPERATORS)
    assert set(state["maps"]) == {"digit", "photograph", "ties", "negatives"}


@pytest.mark.parametrize("state", [{}, {"padding": 1, "ceil_mode": True}, {"operator": "min", "values": "negatives"}])
def test_picture_shows_the_map_and_the_output(state):
    w = explorer(**state)
    html = bundle(**state)["text/html"]
    image = re.search(r'<img src="data:image/svg\+xml;base64,([^"]*)" alt="([^"]+)">', html)
    svg = ElementTree.fromstring(b64decode(image[1]))
    drawn = [text.text for text in svg.iter("{http://www.w3.org/2000/svg}text")]
    numbers = [v for row in (*w.values, *w.output) for v in row]
    assert drawn == [str(int(v)).replace("-", "−") for v in numbers]
    assert f"({w.selected[0]}, {w.selected[1]}) = " in image[2]


def test_one_module_for_jupyter_and_one_arithmetic():
    module = explorer()._esm
    assert re.findall(r"^import ", module, re.MULTILINE) == []
    pooling = next(path for path in ASSETS if path.name == "pooling.js").read_text(encoding="utf-8")
    assert pooling in module
    assert "export default { render }" in module


@pytest.mark.parametrize("path", ASSETS, ids=lambda path: path.name)
def test_assets_fetch_nothing(path):
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"https?:|//[a-z]+\.|fetch\(|url\(|XMLHttpRequest", text)


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
        ("IPython", "poolref.teaching.show_source(poolref.teaching.show)"),
    ],
)
def test_a_missing_package_is_named_with_its_remedy(package, use):
    done = python(f"import sys; sys.modules[{package!r}] = None\nimport poolref.teaching\n{use}")
    expected = f'ImportError: poolref.teaching needs {package} here: pip install "poolref[teaching]"'
    assert done.stderr.strip().endswith(expected), done.stderr


# --- the maps --------------------------------------------------------------------------------------------------------


def test_digit_and_photograph():
    assert data.digit().shape == (8, 8) and data.digit().max() == 15 and data.digit(3).sum() != data.digit().sum()
    assert data.photograph().shape == (64, 64)
    picture = data.photograph(100)
    assert 0 <= picture.min() < 0.1 and 0.8 < picture.max() <= 1
    with pytest.raises(ValueError, match="i must be at most 1796, got 1797"):
        data.digit(1797)
    with pytest.raises(ValueError, match="size must be at most 427, got 428"):
        data.photograph(428)
    with pytest.raises(ValueError, match="size must be at least 1, got 0"):
        data.photograph(0)


def test_ties_tie_and_negatives_are_negative():
    windows = data.ties().reshape(3, 2, 3, 2).transpose(0, 2, 1, 3).reshape(9, 4)
    assert sum((w == w.max()).sum() > 1 for w in windows) > 4
    assert data.negatives().max() < 0
