"""Gradients on their way back: from the outputs to the cells of a small map, and what a nudge of one cell shows."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

import poolref.numpy
from poolref.regions import Window
from poolref.teaching import data
from poolref.teaching.live import still
from poolref.teaching.live.explorer import OPERATORS
from poolref.teaching.live.figure import LiveFigure, cell_of, one_of, real_number, small_map, whole_number

if TYPE_CHECKING:
    from poolref.teaching.live.widget import LiveWidget

LARGEST = 8  # rows and columns of a map
REDUCERS = ("max", "average", "sum", "soft")
FOUR = [[1, 3, 2, 0], [5, 4, -1, 2], [0, 2, 6, 7], [3, 1, 8, 2]]


def flow(
    operator: str = "max",
    kernel_size: int = 2,
    stride: int | None = None,
    values: str | np.ndarray | list[list[float]] = "four by four",
    arriving: str | np.ndarray | list[list[float]] = "ones",
    *,
    predict: dict[str, Any] | None = None,
    label: str | None = None,
    **traits: Any,
) -> LiveWidget:
    """Return the live figure of gradients that flow back through a pooling, and of the nudge of one cell.

    Every argument is a trait that can be read and set later; `gradient` holds what each cell receives, as rows, and
    `quotient` the central difference of the loss at the nudged cell.

    Args:
        operator: "max", "average", "sum" or "soft".  Default "max".
        kernel_size, stride: the windows, each 1 to 4 cells; by default they lie side by side.
        values: "four by four", "digit", "ties", or a 2-d array of at most 8x8 finite numbers.
        arriving: the gradient that arrives at the outputs: "ones" (the default), or rows of numbers.
        predict: a question that the reader answers before the gradient is shown; see `LiveFigure`.
        label: the figure's name for its reader.  Default "Gradients on their way back".
        traits: `selected`, the [row, column] of the output whose arrows stand out, and `nudge`, that of the cell which
            is nudged, both [0, 0] by default; `step`, by how much it is, a number above 0 to 10 (0.5).

    Raises:
        TypeError: a trait has another name.
        ValueError: a value is not accepted, or the window does not fit.
        ImportError: anywidget is not installed.
    """
    from poolref.teaching.live.widget import widget

    state = {"operator": operator, "kernel_size": kernel_size, "stride": kernel_size if stride is None else stride}
    return widget(Flow(label=label, predict=predict, values=values, arriving=arriving, **state | traits))


@cache
def maps() -> dict[str, list[list[float]]]:
    """The maps a reader can choose from, by name."""
    made = {"four by four": FOUR, "digit": data.digit(), "ties": data.ties()}
    return {name: small_map(name, values, LARGEST) for name, values in made.items()}


class Flow(LiveFigure):
    """The flow in one state.  See `poolref.teaching.live.flow` for its parts."""

    name = "flow"
    defaults = {  # noqa: RUF012
        "operator": "max",
        "kernel_size": 2,
        "stride": 2,
        "values": "four by four",
        "arriving": "ones",
        "selected": [0, 0],
        "nudge": [0, 0],
        "step": 0.5,
    }

    @classmethod
    def check(cls, state, changed=()):
        state = dict(state)
        one_of("operator", state["operator"], REDUCERS)
        if isinstance(state["values"], str):
            state["values"] = maps()[one_of("values", state["values"], maps())]
        else:
            state["values"] = small_map("values", state["values"], LARGEST, f"one of {', '.join(maps())}, or ")
        for name in ("kernel_size", "stride"):
            state[name] = whole_number(name, state[name], 1, 4)
        state["step"] = real_number("step", state["step"], 0, 10, above=True)
        shape = np.shape(state["values"])
        outputs = _windows(state).output_shape(shape)
        state["selected"] = cell_of("selected", state["selected"], outputs, changed)
        if "nudge" not in changed and any(v >= n for v, n in zip(state["nudge"], shape, strict=True)):
            state["nudge"] = [0, 0]
        state["nudge"] = cell_of("nudge", state["nudge"], shape, changed)
        if isinstance(state["arriving"], str):
            one_of("arriving", state["arriving"], ["ones"])
        else:
            accepted = f'"ones" or {outputs[0]} rows of {outputs[1]} finite numbers, of '
            rows = small_map("arriving", state["arriving"], LARGEST, accepted)
            if np.shape(rows) != outputs and "arriving" in changed:
                raise ValueError(f"arriving must be {accepted[:-5]}, got {state['arriving']!r:.200}")
            state["arriving"] = rows if np.shape(rows) == outputs else "ones"
        return state

    @classmethod
    def data(cls):
        return {"maps": maps(), "operators": [[name, OPERATORS[name].title] for name in REDUCERS]}

    @classmethod
    def results(cls, state):
        return {"gradient": gradient_of(state).tolist(), "quotient": quotient_of(state)}

    def describe(self):
        gradient = gradient_of(self.state)
        rows, columns = gradient.shape
        return (
            f"A map of {rows} by {columns} cells, pooled by {OPERATORS[self.state['operator']].title} with kernel "
            f"{self.state['kernel_size']} and stride {self.state['stride']}. Gradients arrive at the outputs and flow "
            f"back to {np.count_nonzero(gradient)} of the {gradient.size} cells."
        )

    def picture(self):
        gradient, given = gradient_of(self.state), arriving_of(self.state)
        size, margin, gap, top = still.CELL, 24, 40, 46
        parts, left = [], margin
        shown = [("Map", np.array(self.state["values"]), None), ("Gradient", gradient, 1), ("← arriving", given, 1)]
        most = max(np.abs(gradient).max(), np.abs(given).max()) or 1
        for words, values, slope in shown:
            scale = most if slope else np.abs(values).max() or 1
            wide = values.shape[1] * size
            parts += [still.text(left + wide / 2, 28, words), still.numbers(values.tolist(), left, top, scale)]
            left += wide + gap
        return still.svg(left - gap + margin, top + gradient.shape[0] * size + margin, parts)


def _windows(state: dict[str, Any]) -> Window:
    return Window(state["kernel_size"], state["stride"])


def arriving_of(state: dict[str, Any]) -> np.ndarray:
    """The gradient that arrives at the outputs of a state."""
    if isinstance(state["arriving"], str):
        return np.ones(_windows(state).output_shape(np.shape(state["values"])))
    return np.array(state["arriving"], float)


def gradient_of(state: dict[str, Any]) -> np.ndarray:
    """The gradient that each cell of a state receives."""
    name = OPERATORS[state["operator"]].numpy.rsplit(".", 1)[-1]
    backward = getattr(poolref.numpy, f"{name}_backward")
    return backward(arriving_of(state), np.array(state["values"], float), _windows(state))


def quotient_of(state: dict[str, Any]) -> float:
    """The central difference of the loss at the nudged cell of a state."""
    pool = getattr(poolref.numpy, OPERATORS[state["operator"]].numpy.rsplit(".", 1)[-1])
    nudge = np.zeros(np.shape(state["values"]))
    nudge[tuple(state["nudge"])] = state["step"]
    up, down = (pool(np.array(state["values"], float) + sign * nudge, _windows(state)) for sign in (1, -1))
    return float(np.sum(arriving_of(state) * (up - down)) / (2 * state["step"]))
