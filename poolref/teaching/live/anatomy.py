"""The small network, opened: each layer with its shape, field, weights and maps; both poolings can be exchanged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from poolref import catalog
from poolref.regions import Window, receptive_field
from poolref.teaching import data
from poolref.teaching import network as small
from poolref.teaching.live import still
from poolref.teaching.live.figure import LiveFigure, one_of, whole_number
from poolref.teaching.live.network import Network, samples

if TYPE_CHECKING:
    from poolref.teaching.live.widget import LiveWidget

SIZE = 20
LAYERS = ("image", "relu1", "pool1", "relu2", "pool2", "scores")
MAPS = (8, 16)  # of the first convolution and the second
TITLES = {"subsample": "Stride only", "none": "None"}
POOLINGS = {name: TITLES.get(name) or catalog.get(name).title for name in ("max", "average", "subsample", "none")}
CONVOLUTION = Window(3, 1, 1)


def anatomy(
    digit: int = 3,
    first: str = "max",
    second: str | None = None,
    layer: str = "pool1",
    *,
    predict: dict[str, Any] | None = None,
    label: str | None = None,
    **traits: Any,
) -> LiveWidget:
    """Return the live figure of the course's network, opened: a layer to choose, two poolings to exchange.

    Every argument is a trait that can be read and set later; `shapes` holds the shape of what each layer hands on,
    `fields` the receptive field of one cell of it along an axis, `parameters` what the dense layer learns, and
    `scores` and `answer` what the network says, None where the dense layer does not fit.

    Args:
        digit: which digit, 0 to 9, in the middle of the sheet: the first of its kind among those that the network was
            not trained on.  Default 3.
        first, second: the poolings in the two places: "max", with which the network was trained, "average",
            "subsample" (only the stride is left) or "none".  Default "max"; `second` is like `first` unless given.
        layer: the layer that is opened: "image", "relu1", "pool1", "relu2", "pool2" or "scores".  Default "pool1".
        predict: a question that the reader answers before the layers are shown; see `LiveFigure`.
        label: the figure's name for its reader.  Default "The network, opened".
        traits: `maps`, the maps shown of the first layers and of the second ones, and `cell`, the [row, column]
            whose field is outlined.

    Raises:
        TypeError: a trait has another name.
        ValueError: a value is not accepted.
        ImportError: anywidget is not installed.
    """
    from poolref.teaching.live.widget import widget

    second = first if second is None else second
    return widget(Anatomy(label=label, predict=predict, digit=digit, first=first, second=second, layer=layer, **traits))


class Anatomy(LiveFigure):
    """The opened network in one state.  See `poolref.teaching.live.anatomy` for its parts."""

    name = "anatomy"
    defaults = {  # noqa: RUF012
        "digit": 3,
        "first": "max",
        "second": "max",
        "layer": "pool1",
        "maps": [0, 7],
        "cell": [4, 4],
    }

    @classmethod
    def check(cls, state, changed=()):
        state = {**state, "digit": whole_number("digit", state["digit"], 0, 9)}
        one_of("first", state["first"], POOLINGS)
        one_of("second", state["second"], POOLINGS)
        one_of("layer", state["layer"], LAYERS)
        if len(state["maps"]) != 2:
            raise ValueError(f"maps must be two numbers, up to 7 and up to 15, got {state['maps']!r}")
        state["maps"] = [whole_number("maps", v, 0, n - 1) for v, n in zip(state["maps"], MAPS, strict=True)]
        last = _last_cell(state)
        if len(state["cell"]) != 2:
            raise ValueError(f"cell must be [row, column], each from 0 to {last}, got {state['cell']!r}")
        cell = state["cell"] if "cell" in changed else [min(v, last) for v in state["cell"]]
        state["cell"] = [whole_number("cell", v, 0, last) for v in cell]
        return state

    @classmethod
    def data(cls):
        shared = Network.data()
        return {name: shared[name] for name in ("digits", "weights")} | {
            "poolings": [[name, title] for name, title in POOLINGS.items()],
            "size": SIZE,
        }

    @classmethod
    def results(cls, state):
        layers = layers_of(state)
        scores = layers["scores"]
        return {
            "shapes": {name: list(layers[name].shape) for name in LAYERS[:-1]},
            "fields": dict(zip(LAYERS[1:], fields(state), strict=True)),
            "parameters": 10 * (layers["pool2"].size + 1),
            "scores": None if scores is None else scores.tolist(),
            "answer": None if scores is None else int(scores.argmax()),
        }

    def describe(self):
        state, found = self.state, self.results(self.state)
        shapes = "; ".join(" by ".join(map(str, found["shapes"][name])) for name in LAYERS[:-1])
        answer = "The dense layer does not fit." if found["answer"] is None else f"It is read as {found['answer']}."
        return (
            f"A digit {state['digit']} and what the layers hand on, with {POOLINGS[state['first']]} in the "
            f"first place and {POOLINGS[state['second']]} in the second: {shapes}; ten scores. {answer}"
        )

    def picture(self):
        layers, found, side, gap, top = layers_of(self.state), self.results(self.state), 92, 14, 48
        parts = []
        titles = ("sheet", "conv, ReLU", POOLINGS[self.state["first"]], "conv, ReLU", POOLINGS[self.state["second"]])
        for n, (name, title) in enumerate(zip(LAYERS[:-1], titles, strict=True)):
            x = gap + n * (side + gap)
            maps = layers[name]
            shown = 0 if name == "image" else self.state["maps"][_half(name)]
            parts.append(still.text(x + side / 2, 28, title))
            parts.append(still.pixels(maps[shown] / (maps.max() or 1), x, top, side, side))
            parts.append(still.text(x + side / 2, top + side + 20, " × ".join(map(str, maps.shape))))
            field = found["fields"].get(name)
            words = f"sees {field} × {field}" if field else f"digit {self.state['digit']}"
            parts.append(still.text(x + side / 2, top + side + 38, words))
        x = gap + 5 * (side + gap)
        answer = "?" if found["answer"] is None else str(found["answer"])
        parts.append(still.text(x + side / 2, 28, "dense layer"))
        parts.append(still.text(x + side / 2, top + side / 2 + 14, answer, font_size=40))
        parts.append(still.text(x + side / 2, top + side + 20, "10 scores"))
        parts.append(still.text(x + side / 2, top + side + 38, f"{found['parameters']:,} weights"))
        return still.svg(x + side + gap, top + side + 56, parts)


def _half(layer: str) -> int:
    return int(layer in ("relu2", "pool2"))


def windows(state: dict[str, Any]) -> list[Window]:
    """What one cell of each of the first four layers sees of the one before."""
    pooled = {"none": Window(1), "subsample": Window(1, 2)}
    first, second = (pooled.get(state[name], Window(2)) for name in ("first", "second"))
    return [CONVOLUTION, first, CONVOLUTION, second]


def sides(state: dict[str, Any]) -> list[int]:
    """The cells along an axis of the sheet and of the first four layers."""
    found = [SIZE]
    for window in windows(state):
        found.append(window.output_shape((found[-1], found[-1]))[0])
    return found


def fields(state: dict[str, Any]) -> list[int]:
    """The receptive field of one cell of every layer along an axis, the dense layer last."""
    stack = [*windows(state), Window(sides(state)[-1], 1)]
    return [receptive_field(stack[:n]).size[0] for n in range(1, 6)]


def _last_cell(state: dict[str, Any]) -> int:
    index = LAYERS.index(state["layer"])
    return 0 if index == 5 else sides(state)[index] - 1


def layers_of(state: dict[str, Any]) -> dict[str, np.ndarray | None]:
    """What every layer makes of the digit in the middle of the sheet; "scores" are None where they do not fit."""
    sheet = data.canvas(samples()[state["digit"]], (6, 6))
    poolings = tuple((lambda x: x) if state[name] == "none" else state[name] for name in ("first", "second"))
    if "none" in (state["first"], state["second"]):
        return small.maps(sheet, poolings) | {"scores": None}
    return small.activations(sheet, poolings)
