"""The stack of layers and its receptive field."""

import numpy as np
import pytest
from conftest import sentence, state
from traitlets import TraitError

from poolref.regions import Window, receptive_field
from poolref.teaching import live
from poolref.teaching.live.stack import PRESETS, Stack, fields

GAP = [["pool", 2, 3, 0, 1], ["pool", 2, 1, 0, 1]]


def table(page):
    """The five computed columns of every layer."""
    read = """(rows) => rows.map((row) => [...row.cells].slice(5, 10).map((cell) =>
      Number(cell.textContent.replace("\\u2212", "-"))))"""
    return page.locator(".pr-table tbody tr").evaluate_all(read)


def rows(figure):
    return [[field[name] for name in ("left", "size", "jump", "start", "seen")] for field in fields(figure.state)]


def test_fields_are_those_of_poolref():
    w = live.stack("VGG-16")
    windows = [Window(*numbers, ndim=2) for _, *numbers in PRESETS["VGG-16"][1]]
    for n, field in enumerate(w.fields, 1):
        expected = receptive_field(windows[:n])
        assert (field["size"], field["jump"], field["start"]) == tuple(v[0] for v in expected)
    assert w.selected == [3, 3], "the middle of 7x7"


def test_cells_that_are_seen_are_counted_by_trying_each():
    """A cell is seen if the output changes when the cell does."""
    rng = np.random.default_rng(0)
    for _ in range(40):
        layers = []
        for _ in range(rng.integers(1, 4)):
            kernel = int(rng.integers(1, 4))
            layers.append(["pool", kernel, int(rng.integers(1, 4)), 0, int(rng.integers(1, 3))])
        try:
            w = live.stack(layers, size=64)
        except ValueError:
            continue
        seen = 0
        for cell in range(64):
            x = np.zeros(64)
            x[cell] = 1
            for _, k, s, _, d in layers:
                x = np.array(
                    [x[i * s : i * s + d * (k - 1) + 1 : d].sum() for i in range((len(x) - d * (k - 1) - 1) // s + 1)]
                )
            seen += x[0] > 0
        assert w.fields[-1]["seen"] == seen, layers


def test_spans_five_and_sees_four(figures):
    page = figures(Stack(layers=GAP, size=16))
    assert sentence(page) == "One cell of the last layer spans 5 cells of the input and sees 4 of them along an axis."
    widths = page.locator(".pr-bars .pr-seen").evaluate_all(
        "(all) => all.map((el) => el.getBoundingClientRect().width)"
    )
    assert len(widths) == 3, "the last layer's cell sees two and two cells, the first layer's two"


@pytest.mark.parametrize("name", PRESETS)
def test_the_page_computes_what_python_computes(figures, name):
    size, layers = PRESETS[name]
    figure = Stack(layers=layers, size=size)
    assert table(figures(figure)) == rows(figure)


def test_presets_layers_and_sizes_change(figures):
    page = figures(Stack())
    page.get_by_label("Network").select_option("ResNet stem")
    assert state(page)["layers"] == PRESETS["ResNet stem"][1] and state(page)["size"] == 224
    page.get_by_role("button", name="Add a convolution").click()
    page.get_by_role("button", name="Add a pooling").click()
    page.get_by_label("kernel of layer 3").fill("5")
    page.get_by_label("padding of layer 3").fill("2")
    page.get_by_label("kind of layer 2").select_option("conv")
    page.get_by_role("button", name="Remove layer 1", exact=True).click()
    layers = [["conv", 3, 2, 1, 1], ["conv", 5, 1, 2, 1], ["pool", 2, 2, 0, 1]]
    assert state(page)["layers"] == layers
    assert table(page) == rows(Stack(layers=layers, size=224))
    assert page.get_by_label("Network").input_value() == "own"


def test_what_does_not_fit_is_explained(figures):
    page = figures(Stack(layers=GAP, size=16))
    message = page.get_by_role("status")
    page.get_by_label("padding of layer 2").fill("2")
    page.get_by_label("padding of layer 2").blur()
    assert message.inner_text().startswith("Layer 2 does not fit. Padding 2 is too much for a kernel of 2")
    page.get_by_label("padding of layer 2").fill("0")
    page.get_by_label("kernel of layer 2").fill("99")
    page.get_by_label("kernel of layer 2").blur()
    assert message.inner_text() == "The kernel of layer 2 must be a whole number from 1 to 15."
    page.get_by_role("button", name="Remove layer 1", exact=True).click()
    page.get_by_role("button", name="Remove layer 1", exact=True).click()
    assert message.inner_text() == "A stack needs at least one layer."
    assert len(table(page)) == 1


def test_a_field_to_reach(figures):
    page = figures(Stack(layers=GAP, size=16, target=7))
    assert sentence(page).endswith("The field to reach is 7: 2 to go.")
    page.get_by_label("kernel of layer 2").fill("3")
    page.get_by_label("kernel of layer 2").blur()
    assert sentence(page).endswith("The field to reach, 7, is passed by 1.")
    page.get_by_label("stride of layer 1").fill("2")
    page.get_by_label("kernel of layer 2").fill("2")
    page.get_by_label("kernel of layer 1").fill("5")
    page.get_by_label("kernel of layer 1").blur()
    assert "The field to reach, 7, is reached." in sentence(page)


def test_pointing_at_the_picture_moves_the_field_and_at_a_layer_lights_it(figures):
    page = figures(Stack())
    box = page.locator("[data-canvas=stack]").bounding_box()
    page.mouse.move(box["x"] + 3, box["y"] + box["height"] - 3)
    assert state(page)["selected"] == [4, 0]
    page.locator(".pr-table tbody tr").nth(1).hover()
    assert sentence(page).startswith("One cell of layer 2, a pooling, sees 4 cells of the input")


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("layers", "Inception", "layers must be one of"),
        ("layers", [], "layers must be 1 to 64"),
        ("layers", [["pool", 2, 2]], "layers must be lists of a kind"),
        ("layers", [["sum", 2, 2, 0, 1]], "layers must be one of 'conv', 'pool'"),
        ("layers", [["pool", 0, 2, 0, 1]], "kernel in layers must be an int from 1 to 15, got 0"),
        ("layers", [["pool", 2, 2, 0, 1]] * 5, "must fit into at most"),
        ("size", 100, "size must be one of"),
        ("target", -1, "target must be an int from 0"),
        ("selected", [5, 0], "selected must be an int from 0 to 4"),
    ],
)
def test_nonsense_is_refused(name, value, words):
    with pytest.raises(TraitError, match=words):
        setattr(live.stack(), name, value)
    with pytest.raises(ValueError, match=words):
        live.stack(**({"size": 20} | {name: value}))
