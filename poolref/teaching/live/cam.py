"""A class activation map over the picture: which cells spoke for a class, and how a global pooling makes its score."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from poolref.teaching import network as small
from poolref.teaching.live import still
from poolref.teaching.live.figure import LiveFigure, cell_of, one_of, whole_number
from poolref.teaching.live.network import samples
from poolref.teaching.tokens import paint

if TYPE_CHECKING:
    from poolref.teaching.live.widget import LiveWidget

ROWS, SIDE = 20, 8  # of the sheet, and of a digit
OTHERS = ("none", *map(str, range(10)))
HEADS = {"average": "global average", "max": "global maximum"}


def cam(
    digit: int = 7,
    at: tuple[int, int] = (6, 5),
    other: str = "8",
    seen: int = 7,
    head: str = "average",
    *,
    predict: dict[str, Any] | None = None,
    label: str | None = None,
    **traits: Any,
) -> LiveWidget:
    """Return the live figure of class activation maps: a digit to drag, a class to choose, its heat over the sheet.

    Every argument is a trait that can be read and set later; `scores` holds the ten scores, `answer` the digit read,
    `pooled` the score of the class `seen` before its bias.

    Args:
        digit: which digit can be dragged, 0 to 9.  Default 7.
        at: the row and column of its upper left cell.  Default (6, 5).
        other: a second digit to the right, "none" or "0" to "9".  Default "8".
        seen: the class whose heat is shown, 0 to 9.  Default 7.
        head: "average" or "max": which global pooling makes 16 numbers of the 16 maps.  Default "average".
        predict: a question that the reader answers before the heat is shown; see `LiveFigure`.
        label: the figure's name for its reader.  Default "Where did it see the seven?".
        traits: `columns` of the sheet, 20 to 60 in steps of 4, 32.

    Raises:
        TypeError: a trait has another name.
        ValueError: a value is not accepted.
        ImportError: anywidget is not installed.
    """
    from poolref.teaching.live.widget import widget

    state = {"digit": digit, "at": list(at), "other": other, "seen": seen, "head": head}
    return widget(Cam(label=label, predict=predict, **state, **traits))


class Cam(LiveFigure):
    """The heat over the sheet in one state.  See `poolref.teaching.live.cam` for its parts."""

    name = "cam"
    defaults = {"digit": 7, "at": [6, 5], "other": "8", "seen": 7, "head": "average", "columns": 32}  # noqa: RUF012

    @classmethod
    def check(cls, state, changed=()):
        state = dict(state)
        for name in ("digit", "seen"):
            state[name] = whole_number(name, state[name], 0, 9)
        one_of("other", state["other"], OTHERS)
        one_of("head", state["head"], tuple(HEADS))
        state["columns"] = whole_number("columns", state["columns"], 20, 60)
        if state["columns"] % 4:
            raise ValueError(f"columns must be a multiple of 4, got {state['columns']!r}")
        places = ROWS - SIDE + 1, state["columns"] - SIDE + 1
        return state | {"at": cell_of("at", state["at"], places, changed)}

    @classmethod
    def data(cls):
        return {"digits": samples().astype(int).tolist(), "weights": json.loads(small.global_as_json())}

    @classmethod
    def results(cls, state):
        scores = small.global_scores(sheet(state), state["head"])
        pooled = scores[state["seen"]] - small.head(state["head"])[1][state["seen"]]
        return {"scores": scores.tolist(), "answer": int(scores.argmax()), "pooled": float(pooled)}

    def describe(self):
        state, results = self.state, self.results(self.state)
        row, column = state["at"]
        second = "" if state["other"] == "none" else f" and {a(state['other'])} to the right"
        strongest = np.unravel_index(heat(state).argmax(), heat(state).shape)
        return (
            f"A sheet of 20 by {state['columns']} cells with {a(state['digit'])}, its upper left corner at row {row}, "
            f"column {column}{second}. Over it lies the heat for the {state['seen']} under a {HEADS[state['head']]}, "
            f"strongest at row {2 * strongest[0]}, column {2 * strongest[1]}. Before its bias the score of the "
            f"{state['seen']} is {results['pooled']:.3g}. The largest score is that of the {results['answer']}."
        )

    def picture(self):
        values, paper = heat(self.state), sheet(self.state)
        left, top, side = 16, 44, 14
        parts = [still.text(left, 28, f"Heat for the {self.state['seen']}, over the sheet", text_anchor="start")]
        wide, high = paper.shape[1] * side, paper.shape[0] * side
        parts.append(f'<rect x="{left}" y="{top}" width="{wide}" height="{high}" fill="{paint("cell")}"/>')
        most = np.abs(values).max() or 1
        for cells, size, fill in [
            (values / most, 2 * side, lambda v: paint("gain" if v > 0 else "loss")),
            (0.8 * paper, side, lambda v: paint("ink")),
        ]:
            for (r, c), v in np.ndenumerate(cells):
                if abs(v) >= 0.02:
                    box = f'x="{left + c * size}" y="{top + r * size}" width="{size}" height="{size}"'
                    parts.append(f'<rect {box} fill="{fill(v)}" fill-opacity="{abs(v):.2f}"/>')
        return still.svg(2 * left + wide, top + high + left, parts)


def a(digit: int | str) -> str:
    """The digit with its article."""
    return f"an {digit}" if str(digit) == "8" else f"a {digit}"


def sheet(state: dict[str, Any]) -> np.ndarray:
    """The sheet with its one or two digits; where they overlap, the darker cell is seen."""
    paper = np.zeros((ROWS, state["columns"]))
    digits = [(state["digit"], state["at"])]
    if state["other"] != "none":
        digits.append((int(state["other"]), (6, state["columns"] - SIDE - 2)))
    for digit, (row, column) in digits:
        part = paper[row : row + SIDE, column : column + SIDE]
        np.maximum(part, samples()[digit] / 16, out=part)
    return paper


def heat(state: dict[str, Any]) -> np.ndarray:
    """What each cell of the 16 maps says for the class seen.

    Its mean under the global average, its sum under the maximum, is the score of the class before the bias.
    """
    maps = small.maps(sheet(state))["relu2"]
    weight = small.head(state["head"])[0][state["seen"]][:, None, None]
    if state["head"] == "average":
        return (weight * maps).sum(0)
    cells = maps.reshape(len(maps), -1)
    winners = np.arange(cells.shape[1]) == cells.argmax(1)[:, None]
    return (weight * maps * winners.reshape(maps.shape)).sum(0)
