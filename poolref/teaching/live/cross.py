"""Edges in a picture, and the map in which every cell is a row's maximum plus a column's maximum."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from poolref.numpy import avg_pool, center_pool, max_pool
from poolref.regions import Columns, Rows, Window
from poolref.teaching import data
from poolref.teaching.drawing import Drawing, Heat, Photograph, draw
from poolref.teaching.live import pictures
from poolref.teaching.live.figure import DrawnFigure, cell_of, one_of, packed, whole_number

if TYPE_CHECKING:
    from poolref.teaching.live.widget import LiveWidget

SIZE = 32  # rows and columns of the view
WINDOW = 9  # its 81 cells are more than the 63 of a row and a column
PICTURES = ("coins", "two rings", "box")
EVIDENCE = ("upright and level edges", "all edges, for both")
POOLINGS = ("none", "square window", "row and column means", "center pooling")
START = [6, 60]  # one coin, whole and not in the middle


def cross(
    picture: str = "coins",
    pooling: str = "none",
    evidence: str = "upright and level edges",
    length: int = 9,
    *,
    predict: dict[str, Any] | None = None,
    label: str | None = None,
    **traits: Any,
) -> LiveWidget:
    """Return the live figure of a view of a picture, its edges, and what center pooling or another makes of them.

    Every argument is a trait that can be read and set later; `output` holds the pooled map, 32x32: a number for the
    cell's upright edges (map a) plus one for its level edges (map b).

    Args:
        picture: "coins", whose table is larger than the view, "two rings", or "box".  Default "coins".
        pooling: "none", "square window" (maxima of 9x9 cells), "row and column means", or "center pooling".
            Default "none".
        evidence: "upright and level edges", one map each, or "all edges, for both": the larger of the two, twice.
            Default "upright and level edges".
        length: of an edge, an odd number of cells from 1 to 13.  Default 9.
        predict: a question that the reader answers before the map is shown; see `LiveFigure`.
        label: the figure's name for its reader.  Default "Row maximum + column maximum".
        traits: `at`, the [row, column] of the coins' table where the view begins; `selected`, the [row, column] of the
            cell whose row and column are outlined.

    Raises:
        TypeError: a trait has another name.
        ValueError: a value is not accepted.
        ImportError: anywidget is not installed.
    """
    from poolref.teaching.live.widget import widget

    state = {"picture": picture, "pooling": pooling, "evidence": evidence, "length": length}
    return widget(Cross(label=label, predict=predict, **state, **traits))


class Cross(DrawnFigure):
    """The view and its map in one state.  See `poolref.teaching.live.cross` for its parts."""

    name = "cross"
    defaults = {  # noqa: RUF012
        "picture": "coins",
        "pooling": "none",
        "evidence": "upright and level edges",
        "length": 9,
        "at": START,
        "selected": [12, 9],
    }

    @classmethod
    def check(cls, state, changed=()):
        state = dict(state)
        one_of("picture", state["picture"], PICTURES)
        one_of("pooling", state["pooling"], POOLINGS)
        one_of("evidence", state["evidence"], EVIDENCE)
        state["length"] = whole_number("length", state["length"], 1, 13)
        if state["length"] % 2 == 0:
            raise ValueError(f"length must be odd, so that an edge has a middle, got {state['length']}")
        places = tuple(n - SIZE + 1 for n in drawn("coins").shape)
        state["at"] = cell_of("at", state["at"], places, changed)
        return state | {"selected": cell_of("selected", state["selected"], (SIZE, SIZE), changed)}

    @classmethod
    def data(cls):
        tables = {name: packed(drawn(name)) for name in PICTURES}
        return {"pictures": tables, "size": SIZE, "window": WINDOW, "evidence": EVIDENCE, "poolings": POOLINGS}

    @classmethod
    def results(cls, state):
        return {"output": pooled(state).tolist()}

    def describe(self):
        state, made = self.state, pooled(self.state)
        row, column = state["selected"]
        top = highest(made)
        what = {"none": "no pooling", "square window": f"maxima of {WINDOW} by {WINDOW} cells"}
        return (
            f"A view of {SIZE} by {SIZE} cells of {state['picture']}, and the map that "
            f"{what.get(state['pooling'], state['pooling'])} makes of its edges: {made[row, column]:.2f} at row {row}, "
            f"column {column}, and highest, {made[top]:.2f}, at row {top[0]}, column {top[1]}."
        )

    def drawing(self) -> Drawing:
        state, made = self.state, pooled(self.state)
        shown = (made - made.min()) / (np.ptp(made) or 1)
        best = highest(made)
        return draw(
            Photograph(view(state), winners=[best], title="picture and highest cell", side=200),
            state["pooling"],
            Heat(shown, winners=[best], title="map and highest cell", side=200),
        )


@cache
def drawn(name: str) -> np.ndarray:
    """A picture by its name, in the 256 levels in which pages carry it: all coins at half size, or a drawn outline."""
    if name == "coins":
        return pictures.levels(avg_pool(data.picture("coins"), Window(2)))
    paper = np.zeros((SIZE, SIZE))
    if name == "box":
        paper[8:23, [6, 24]] = paper[[8, 22], 6:25] = 1
        return paper
    angle = np.linspace(0, 2 * np.pi, 256)
    for row, column in ((9, 8), (22, 23)):
        paper[np.rint(row + 6 * np.sin(angle)).astype(int), np.rint(column + 6 * np.cos(angle)).astype(int)] = 1
    return paper


def view(state: dict[str, Any]) -> np.ndarray:
    """The part of a state's picture that is seen."""
    top, left = state["at"] if state["picture"] == "coins" else (0, 0)
    return drawn(state["picture"])[top : top + SIZE, left : left + SIZE]


def edges(picture: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
    """How strong an upright edge of `length` cells is at each cell of a picture, and how strong a level one.

    An upright edge is the change from the left neighbour to the right one, averaged over `length` rows, and its
    magnitude taken.  A level one goes along columns.  Beyond the picture there is no change.
    """
    across, down = np.zeros((2, *picture.shape))
    across[:, 1:-1] = picture[:, 2:] - picture[:, :-2]
    down[1:-1] = picture[2:] - picture[:-2]
    half = length // 2
    upright = avg_pool(across, Window((length, 1), 1, (half, 0)))
    level = avg_pool(down, Window((1, length), 1, (0, half)))
    return np.abs(upright), np.abs(level)


def evidence(state: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """The two maps of a state: the one whose rows are looked along, and the one whose columns are."""
    upright, level = edges(view(state), state["length"])
    both = np.maximum(upright, level)
    return (upright, level) if state["evidence"] == EVIDENCE[0] else (both, both)


def pooled(state: dict[str, Any]) -> np.ndarray:
    """The map that a state's pooling makes of its two maps."""
    a, b = evidence(state)
    square = Window(WINDOW, 1, WINDOW // 2)
    return {
        "none": lambda: a + b,
        "square window": lambda: max_pool(a, square) + max_pool(b, square),
        "row and column means": lambda: avg_pool(a, Rows()) + avg_pool(b, Columns()),
        "center pooling": lambda: center_pool(a, b),
    }[state["pooling"]]()


def highest(made: np.ndarray) -> tuple[int, int]:
    """The row and the column of a map's highest cell, the first of several."""
    return divmod(int(made.argmax()), made.shape[1])
