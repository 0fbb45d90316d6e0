"""Points in the plane, or the digits of a bag, that a query asks: weights, the answer, and further retrievals."""

from __future__ import annotations

from base64 import b64encode
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from poolref.teaching import data
from poolref.teaching.live import still
from poolref.teaching.live.figure import LiveFigure, flag, real_number, whole_number

if TYPE_CHECKING:
    from poolref.teaching.live.widget import LiveWidget

REACH = 2.5  # the plane goes from -REACH to REACH
MOST = 6  # points, and retrievals
BETAS = (0, 0.1, 0.25, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 20, 50)  # what the slider goes through
BAG = (92, 28, 114, 186, 4, 332, 120, 352, 41, 117, 185, 267)  # twelve of the held-out digits, one a nine


def query(
    points: list[list[float]] | np.ndarray = ((2, 2), (1, -2), (1, 0)),
    query: list[float] | np.ndarray = (1, 0),
    beta: float = 1,
    steps: int = 1,
    bag: bool = False,
    *,
    predict: dict[str, Any] | None = None,
    label: str | None = None,
    **traits: Any,
) -> LiveWidget:
    """Return the live figure of a query among points: the weight of each, and the answer, their weighted mean.

    Every argument is a trait that can be read and set later; `weights`, of the last retrieval, and `path`, the query
    and the answer of every retrieval, follow.

    Args:
        points: 2 to 6 points, each two numbers from -2.5 to 2.5.  Default (2, 2), (1, -2), (1, 0).
        query: two numbers from -2.5 to 2.5.  Default (1, 0).
        beta: from 0, where all weights are equal, to 100.  Default 1.
        steps: retrievals, 1 to 6; each asks with the answer of the one before.  Default 1.
        bag: whether twelve digits stand in the place of the points, as :func:`poolref.teaching.live.query.digits`
            places them.  Default False.
        predict: a question that the reader answers before weights and answer are shown; see `LiveFigure`.
        label: the figure's name for its reader.  Default "A query and its answer".

    Raises:
        TypeError: a trait has another name.
        ValueError: a value is not accepted.
        ImportError: anywidget is not installed.

    Formula: `q <- sum of w x` with `w = softmax(beta x . q)`, `steps` times.

    Source: ramsauer2021.
    """
    from poolref.teaching.live.widget import widget

    parts = {"points": points, "query": query, "beta": beta, "steps": steps, "bag": bag}
    return widget(Query(label=label, predict=predict, **parts, **traits))


class Query(LiveFigure):
    """The plane in one state.  See `poolref.teaching.live.query` for its parts."""

    name = "query"
    defaults = {"points": [[2, 2], [1, -2], [1, 0]], "query": [1, 0], "beta": 1, "steps": 1, "bag": False}  # noqa: RUF012

    @classmethod
    def check(cls, state, changed=()):
        state = dict(state)
        points = np.asarray(state["points"])
        if points.ndim != 2 or points.shape[1] != 2 or not 2 <= len(points) <= MOST:
            raise ValueError(f"points must be 2 to {MOST} points of two numbers each, got {state['points']!r}")
        state["points"] = [[real_number("points", v, -REACH, REACH) for v in p] for p in points.tolist()]
        asked = np.asarray(state["query"])
        if asked.shape != (2,):
            raise ValueError(f"query must be two numbers, got {state['query']!r}")
        state["query"] = [real_number("query", v, -REACH, REACH) for v in asked.tolist()]
        state["beta"] = real_number("beta", state["beta"], 0, 100)
        state["steps"] = whole_number("steps", state["steps"], 1, MOST)
        flag("bag", state["bag"])
        return state

    @classmethod
    def data(cls):
        images, labels, places = digits()
        pictures = [b64encode(still.png(1 - image / data.INK)).decode() for image in images]
        bag = {"pictures": pictures, "labels": labels.tolist(), "places": places.tolist()}
        return {"reach": REACH, "most": MOST, "betas": list(BETAS), "bag": bag}

    @classmethod
    def results(cls, state):
        path, weights = retrievals(state)
        return {"weights": weights.tolist(), "path": path.tolist()}

    def describe(self):
        path, weights = retrievals(self.state)
        shares = ", ".join(f"{name} {100 * w:.0f}" for name, w in zip(names(self.state), weights, strict=True))
        what = "Twelve handwritten digits" if self.state["bag"] else f"{len(weights)} points"
        steps = "one retrieval" if self.state["steps"] == 1 else f"{self.state['steps']} retrievals"
        return (
            f"{what} in the plane, and a query at {_place(path[0])}. With beta = {still.short(self.state['beta'])} and "
            f"{steps}, the weights in percent are: {shares}. The answer stands at {_place(path[-1])}."
        )

    def picture(self):
        path, weights = retrievals(self.state)
        unit, left, top = 76, 20, 34
        side = 2 * REACH * unit

        def at(point):
            return left + (point[0] + REACH) * unit, top + (REACH - point[1]) * unit

        (mx, my), edge = at((0, 0)), still.paint("edge")
        parts = [
            still.text(left + side / 2, 22, f"β = {still.short(self.state['beta'])}"),
            f'<path d="M{left} {my:g}h{side:g}M{mx:g} {top}v{side:g}" stroke="{edge}" fill="none"/>',
        ]
        for i, (point, w, name) in enumerate(zip(places(self.state), weights, names(self.state), strict=True)):
            x, y = at(point)
            ring = f'<circle cx="{x:g}" cy="{y:g}" r="{_radius(w):.1f}" fill="{still.paint("region")}"'
            parts.append(f'{ring} fill-opacity=".35"/>')
            if self.state["bag"]:
                parts.append(still.pixels(1 - digits()[0][i] / data.INK, x - 11, y - 11, 22, 22))
            else:
                parts.append(f'<circle cx="{x:g}" cy="{y:g}" r="5" fill="{still.paint("value")}"/>')
                parts.append(still.text(x + 12, y - 8, name))
        line = "L".join(f"{x:.1f} {y:.1f}" for x, y in map(at, path))
        (ax, ay), (qx, qy) = at(path[-1]), at(path[0])
        parts += [
            f'<path d="M{line}" stroke="{still.paint("region")}" stroke-width="2" fill="none"/>',
            f'<circle cx="{ax:.1f}" cy="{ay:.1f}" r="6" fill="{still.paint("region")}"/>',
            f'<path d="M{qx:g} {qy - 8:g}l8 8l-8 8l-8 -8z" fill="{still.paint("ink")}"/>',
            still.text(qx, qy + 22, "query"),
            still.text(ax, ay - 12, "answer"),
        ]
        pitch = side / len(weights)
        floor = top + side + 74
        for i, (w, name) in enumerate(zip(weights, names(self.state), strict=True)):
            x, bar = left + i * pitch, 46 * w
            box = f'x="{x + pitch / 2 - 9:.1f}" y="{floor - bar:.1f}" width="18" height="{bar:.1f}"'
            parts.append(f'<rect {box} fill="{still.paint("region")}"/>')
            parts.append(still.text(x + pitch / 2, floor + 15, name))
            parts.append(still.text(x + pitch / 2, floor + 30, f"{100 * w:.0f} %"))
        return still.svg(side + 2 * left, floor + 40, parts)


@cache
def digits() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The bag: digits (12, 8, 8), their labels, and their places in the plane (12, 2).

    A place is two weighted sums of the 64 grey levels.  The first is fitted to be large for nines, the second for zeros
    and sixes: least squares on the training digits.  Each has mean 0 and standard deviation 1 over those.
    """
    images, labels = data.digits("training")
    cells = images.reshape(len(images), -1) / data.INK
    centred = cells - cells.mean(0)
    wanted = np.stack([labels == 9, np.isin(labels, (0, 6))], -1) * 1.0
    fitted = np.linalg.solve(centred.T @ centred + 30 * np.eye(64), centred.T @ (wanted - wanted.mean(0)))
    fitted /= (centred @ fitted).std(0)
    images, labels = (part[list(BAG)] for part in data.digits("held out"))
    return images, labels, ((images.reshape(len(BAG), -1) / data.INK - cells.mean(0)) @ fitted).round(2)


def places(state: dict[str, Any]) -> np.ndarray:
    """The points that are asked, (n, 2)."""
    return digits()[2] if state["bag"] else np.array(state["points"], float)


def names(state: dict[str, Any]) -> list[str]:
    """What the figure calls the points: letters, or what a digit means."""
    return [str(label) for label in digits()[1]] if state["bag"] else list("abcdef"[: len(state["points"])])


def retrievals(state: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """The query and the answer of every retrieval, (1 + steps, 2), and the weights of the last one."""
    x, path = places(state), [np.array(state["query"], float)]
    for _ in range(state["steps"]):
        scores = state["beta"] * x @ path[-1]
        weights = np.exp(scores - scores.max())
        weights /= weights.sum()
        path.append(weights @ x)
    return np.array(path), weights


def _radius(weight: float) -> float:
    return 4 + 28 * weight**0.5


def _place(point: np.ndarray) -> str:
    return f"({', '.join(still.short(v) for v in point)})"
