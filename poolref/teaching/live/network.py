"""The small network of the course, run in the page: drag the digit, change the pooling, see everything move."""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from poolref import catalog
from poolref.teaching import data
from poolref.teaching import network as small
from poolref.teaching.live import still
from poolref.teaching.live.figure import LiveFigure, one_of, whole_number

if TYPE_CHECKING:
    from poolref.teaching.live.widget import LiveWidget

# What kit/network.js knows of the poolings of the network.
POOLINGS = tuple(name for name in small.POOLINGS if name != "max_blur")
LAST = 12  # the last row and column in which a digit of 8x8 can begin on a sheet of 20x20


def network(
    digit: int = 3,
    at: tuple[int, int] = (6, 6),
    first: str = "max",
    second: str | None = None,
    *,
    predict: dict[str, Any] | None = None,
    label: str | None = None,
    **traits: Any,
) -> LiveWidget:
    """Return the live figure of the course's network: a digit to drag, two poolings to choose, every layer in sight.

    Every argument is a trait that can be read and set later; `scores` holds the ten scores, `answer` the digit read.

    Args:
        digit: which digit, 0 to 9: the first of its kind among those that the network was not trained on.  Default 3.
        at: the row and column of the digit's upper left cell on the sheet, 0 to 12.  Default (6, 6), the middle.
        first, second: the poolings in the two places, such as "max", "average", "soft", "blur" or "subsample".  Default
            "max", with which the network was trained; `second` is like `first` unless given.
        predict: a question that the reader answers before the layers are shown; see `LiveFigure`.
        label: the figure's name for its reader.  Default "A network reads a digit".

    Raises:
        TypeError: a trait has another name.
        ValueError: a value is not accepted.
        ImportError: anywidget is not installed.
    """
    from poolref.teaching.live.widget import widget

    second = first if second is None else second
    return widget(Network(label=label, predict=predict, digit=digit, at=list(at), first=first, second=second, **traits))


@cache
def samples() -> np.ndarray:
    """One digit of each kind that the network has not seen: (10, 8, 8), grey levels 0 to 16."""
    images, labels = data.digits("held out")
    return np.array([images[np.argmax(labels == label)] for label in range(10)])


class Network(LiveFigure):
    """The network in one state.  See `poolref.teaching.live.network` for its parts."""

    name = "network"
    defaults = {"digit": 3, "at": [6, 6], "first": "max", "second": "max"}  # noqa: RUF012

    @classmethod
    def check(cls, state, changed=()):
        state = {**state, "digit": whole_number("digit", state["digit"], 0, 9)}
        one_of("first", state["first"], POOLINGS)
        one_of("second", state["second"], POOLINGS)
        if len(state["at"]) != 2:
            raise ValueError(f"at must be [row, column], each from 0 to {LAST}, got {state['at']!r}")
        state["at"] = [whole_number("at", v, 0, LAST) for v in state["at"]]
        return state

    @classmethod
    def data(cls):
        weights = json.loads(small.as_json())
        return {
            "digits": samples().astype(int).tolist(),
            "poolings": [[name, catalog.get(name).title] for name in POOLINGS],
            "weights": {name: weights[name] for name in ("shapes", "float16")},
        }

    @classmethod
    def results(cls, state):
        scores = layers_of(state)["scores"]
        return {"scores": scores.tolist(), "answer": int(scores.argmax())}

    def describe(self):
        state, results = self.state, self.results(self.state)
        row, column = state["at"]
        first, second = (catalog.get(state[name]).title for name in ("first", "second"))
        return (
            f"A digit {state['digit']} on a sheet of 20 by 20 cells, its upper left corner at row {row}, column "
            f"{column}; the 8 maps of the first layer before and after {first}, the 16 maps of the second before and "
            f"after {second}, and ten scores. The largest score, {max(results['scores']):.3g}, is that of "
            f"{results['answer']}."
        )

    def picture(self):
        layers = layers_of(self.state)
        side, top, gap = 120, 44, 16
        parts = [still.text(gap + side / 2, 28, "sheet"), still.pixels(layers["image"][0], gap, top, side, side)]
        left = 2 * gap + side
        for name, columns, small_side in [("relu1", 2, 48), ("pool1", 2, 48), ("relu2", 4, 34), ("pool2", 4, 34)]:
            maps = layers[name]
            most = maps.max() or 1
            wide = columns * (small_side + 4)
            parts.append(still.text(left + wide / 2, 28, name))
            for n, values in enumerate(maps):
                x, y = left + n % columns * (small_side + 4), top + n // columns * (small_side + 4)
                parts.append(still.pixels(values / most, x, y, small_side, small_side))
            left += wide + gap
        scores = layers["scores"]
        for digit, score in enumerate(scores):
            y = top + 14 + digit * 18
            best = digit == int(scores.argmax())
            wide = 70 * abs(score) / np.abs(scores).max()
            fill = still.paint("region" if best else "value" if score > 0 else "below")
            parts.append(still.text(left + 6, y, str(digit)))
            parts.append(f'<rect x="{left + 16}" y="{y - 10}" width="{wide:.1f}" height="12" fill="{fill}"/>')
        return still.svg(left + 100, top + 220, parts)


def layers_of(state: dict[str, Any]) -> dict[str, np.ndarray]:
    """What every layer makes of the digit on its sheet."""
    sheet = data.canvas(samples()[state["digit"]], tuple(state["at"]))
    return small.activations(sheet, (state["first"], state["second"]))
