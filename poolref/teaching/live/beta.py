"""One window whose cells are weighted by the softmax of beta times their values: from the minimum to the maximum."""

from __future__ import annotations

from math import exp, isinf
from typing import TYPE_CHECKING, Any

import numpy as np

from poolref.teaching.live import still
from poolref.teaching.live.figure import LiveFigure, flag, real_number

if TYPE_CHECKING:
    from poolref.teaching.live.widget import LiveWidget

LEAST, MOST = -2, 5  # what a cell may hold
CELLS = (2, 9)  # how many there may be
STEPS = (0.1, 0.25, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 20)
BETAS = ("-inf", *(-b for b in reversed(STEPS)), 0, *STEPS, "inf")  # what the slider goes through
NAMES = {"minimum": "-inf", "mean": 0, "SoftPool": 1, "maximum": "inf"}


def beta(
    values: list[float] | np.ndarray = (1, 2, 0, 4),
    beta: float = 1,
    gradient: bool = False,
    *,
    predict: dict[str, Any] | None = None,
    label: str | None = None,
    **traits: Any,
) -> LiveWidget:
    """Return the live figure of one window, its softmax weights and its output, with a slider for beta.

    Every argument is a trait that can be read and set later; `output`, `weights` and `slopes` (the derivative of the
    output with respect to each cell) follow.

    Args:
        values: 2 to 9 cells of a window, each from -2 to 5.  Default (1, 2, 0, 4).
        beta: from -100 to 100, or inf or -inf; the trait holds "inf" and "-inf" for these.  Default 1, SoftPool.
        gradient: whether the derivative of each cell is shown.  Default False.
        predict: a question that the reader answers before weights and output are shown; see `LiveFigure`.
        label: the figure's name for its reader.  Default "From the minimum to the maximum".

    Raises:
        TypeError: a trait has another name.
        ValueError: a value is not accepted.
        ImportError: anywidget is not installed.

    Formula: `w = softmax(beta x)`, `y = sum of w x`, `dy/dx = w (1 + beta (x - y))`; at an infinite beta, `w`.

    Source: mcfee2018; stergiou2021 for beta = 1.
    """
    from poolref.teaching.live.widget import widget

    return widget(Beta(label=label, predict=predict, values=values, beta=beta, gradient=gradient, **traits))


class Beta(LiveFigure):
    """The window in one state.  See `poolref.teaching.live.beta` for its parts."""

    name = "beta"
    defaults = {"values": [1, 2, 0, 4], "beta": 1, "gradient": False}  # noqa: RUF012

    @classmethod
    def check(cls, state, changed=()):
        state = dict(state)
        values, (fewest, most) = np.ravel(state["values"]).tolist(), CELLS
        if not fewest <= len(values) <= most:
            raise ValueError(f"values must be {fewest} to {most} numbers, got {len(values)}")
        state["values"] = [real_number("values", v, LEAST, MOST) for v in values]
        if state["beta"] not in ("inf", "-inf"):
            infinite = isinstance(state["beta"], float) and isinf(state["beta"])
            state["beta"] = str(state["beta"]) if infinite else real_number("beta", state["beta"], -100, 100)
        flag("gradient", state["gradient"])
        return state

    @classmethod
    def data(cls):
        return {"betas": list(BETAS), "names": NAMES, "least": LEAST, "most": MOST}

    @classmethod
    def results(cls, state):
        w, y = weights(state), output(state)
        b = float(state["beta"])
        slopes = w if isinf(b) else [wi * (1 + b * (x - y)) for wi, x in zip(w, state["values"], strict=True)]
        return {"weights": w, "output": y, "slopes": slopes}

    def describe(self):
        values, w, y = self.state["values"], weights(self.state), output(self.state)
        shares = ", ".join(f"{100 * wi:.0f}" for wi in w)
        return (
            f"A window of {len(values)} cells, drawn as bars: {', '.join(map(still.short, values))}. With beta = "
            f"{still.short(float(self.state['beta']))} their weights are {shares} percent. The output is "
            f"{still.short(y)}; the mean is {still.short(sum(values) / len(values))} and the maximum "
            f"{still.short(max(values))}."
        )

    def picture(self):
        values, w, y = self.state["values"], weights(self.state), output(self.state)
        wide, high, left, top, unit = 60 * len(values), 176, 24, 40, 22

        def level(v: float) -> float:
            return top + high - (v - LEAST) * unit

        parts = [still.text(left + wide / 2, 24, f"β = {still.short(float(self.state['beta']))}")]
        for i, (v, share) in enumerate(zip(values, w, strict=True)):
            x = left + 60 * i + 14
            up, down = sorted((level(0), level(v)))
            paint = still.paint("below" if v < 0 else "value")
            parts.append(f'<rect x="{x}" y="{up:g}" width="32" height="{down - up:g}" fill="{paint}"/>')
            parts.append(still.text(x + 16, up - 5, still.short(v)))
            bar, floor = 60 * share, top + high + 90
            box = f'x="{x}" y="{floor - bar:g}" width="32" height="{bar:g}"'
            parts += [
                f'<rect {box} fill="{still.paint("region")}"/>',
                still.text(x + 16, floor + 16, f"{100 * share:.0f} %"),
            ]
        lines = {"mean": sum(values) / len(values), "maximum": max(values), "output": y}
        for name, v in lines.items():
            colour = still.paint("region" if name == "output" else "edge")
            parts.append(f'<path d="M{left} {level(v):g}h{wide}" stroke="{colour}" stroke-width="2" fill="none"/>')
            parts.append(still.text(left + wide + 6, level(v) + 4, f"{name} {still.short(v)}", text_anchor="start"))
        return still.svg(left + wide + 120, top + high + 124, parts)


def weights(state: dict[str, Any]) -> list[float]:
    """The softmax of beta times the values.  At an infinite beta the values at the limit share all the weight."""
    values, b = state["values"], float(state["beta"])
    best = max(values) if b > 0 else min(values)
    e = [1.0 if v == best else exp(b * (v - best)) for v in values]
    return [v / sum(e) for v in e]


def output(state: dict[str, Any]) -> float:
    """The mean of the values with these weights."""
    return sum(w * v for w, v in zip(weights(state), state["values"], strict=True))
