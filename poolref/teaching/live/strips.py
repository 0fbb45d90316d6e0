"""A picture and the means of its rows and columns, broadcast and added, against a square window."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from poolref.numpy import avg_pool, max_pool
from poolref.regions import Columns, Regions, Rows, Window
from poolref.teaching import data
from poolref.teaching.drawing import Heat, Photograph, draw
from poolref.teaching.live import pictures
from poolref.teaching.live.figure import DrawnFigure, cell_of, one_of, packed, whole_number

if TYPE_CHECKING:
    from poolref.teaching.live.widget import LiveWidget

SIZE = 81  # rows and columns of a picture: a window of 9x9 has as many cells as a row
SHOWN = {
    "page": "Lines of text on a page whose left side lies in shadow",
    "cross": "A level and an upright line that cross",
    "dots": "Two dots",
    "diagonal": "A diagonal line",
}
PICTURES = tuple(SHOWN)
REGIONS = ("rows", "columns", "rows and columns", "square window")
REDUCERS = {"average": avg_pool, "max": max_pool}


def strips(
    picture: str | np.ndarray = "page",
    regions: str = "square window",
    operator: str = "average",
    kernel_size: int = 9,
    *,
    predict: dict[str, Any] | None = None,
    label: str | None = None,
    **traits: Any,
) -> LiveWidget:
    """Return the live figure of a picture, the ink in its rows and columns, and what strips or a window make of it.

    Every argument is a trait that can be read and set later; `output` holds the pooled map, 81x81.  What is pooled is
    ink, 0 on white paper and 1 where the picture is black.

    Args:
        picture: "page", "cross", "dots", "diagonal", or 81x81 numbers from 0 (black) to 1 (white).  Default "page".
        regions: "rows", "columns", "rows and columns" (both, added), or "square window".  Default "square window".
        operator: "average" or "max".  Default "average".
        kernel_size: of the square window, an odd number from 3 to 15.  Default 9, as many cells as a row.
        predict: a question that the reader answers before the pooled map is shown; see `LiveFigure`.
        label: the figure's name for its reader.  Default "Rows, columns, windows".
        traits: `selected`, the [row, column] of the cell whose regions are outlined, the middle one by default.

    Raises:
        TypeError: a trait has another name.
        ValueError: a value is not accepted.
        ImportError: anywidget is not installed.
    """
    from poolref.teaching.live.widget import widget

    state = {"picture": picture, "regions": regions, "operator": operator, "kernel_size": kernel_size}
    return widget(Strips(label=label, predict=predict, **state, **traits))


class Strips(DrawnFigure):
    """The picture and its strips in one state.  See `poolref.teaching.live.strips` for its parts."""

    name = "strips"
    defaults = {  # noqa: RUF012
        "picture": "page",
        "regions": "square window",
        "operator": "average",
        "kernel_size": 9,
        "selected": [SIZE // 2, SIZE // 2],
    }

    @classmethod
    def check(cls, state, changed=()):
        state = dict(state)
        state["picture"] = pictures.named_or_own("picture", state["picture"], SIZE, PICTURES)
        one_of("regions", state["regions"], REGIONS)
        one_of("operator", state["operator"], list(REDUCERS))
        state["kernel_size"] = whole_number("kernel_size", state["kernel_size"], 3, 15)
        if state["kernel_size"] % 2 == 0:
            raise ValueError(f"kernel_size must be odd, so that the window has a middle, got {state['kernel_size']}")
        return state | {"selected": cell_of("selected", state["selected"], (SIZE, SIZE), changed)}

    @classmethod
    def data(cls):
        return {"pictures": {name: packed(drawn(name)) for name in PICTURES}, "size": SIZE, "regions": REGIONS}

    @classmethod
    def results(cls, state):
        return {"output": pooled(state).tolist()}

    def describe(self):
        state, (row, column) = self.state, self.state["selected"]
        made, kernel = pooled(state), state["kernel_size"]
        square = f"a square window of {kernel} by {kernel} cells makes"
        making = square if state["regions"] == "square window" else f"{state['regions']} make"
        reducer = {"average": "mean", "max": "maximum"}[state["operator"]]
        name = state["picture"]
        shown = SHOWN[name] if isinstance(name, str) else "A picture"
        return (
            f"{shown}, {SIZE} by {SIZE} cells, with the {reducer} of the ink in each row and in each column, and the "
            f"map that {making} of it: from {made.min():.2f} to {made.max():.2f}, and "
            f"{made[row, column]:.2f} at row {row}, column {column}."
        )

    def drawing(self):
        made, low = pooled(self.state), pooled(self.state).min()
        shown = (made - low) / ((made.max() - low) or 1)
        return draw(
            Photograph(1 - ink(self.state), region=region(self.state), title="picture", side=200),
            self.state["regions"],
            Heat(shown, region=[tuple(self.state["selected"])], title="map", side=200),
        )


def drawn(name: str) -> np.ndarray:
    """A picture by its name: the middle of the page, or black marks on white paper."""
    if name == "page":
        return data.photograph(SIZE, "page")
    paper, at = np.ones((SIZE, SIZE)), np.arange(SIZE)
    if name == "cross":
        paper[24:27], paper[:, 54:57] = 0, 0
    elif name == "dots":
        paper[22:27, 22:27], paper[56:61, 50:55] = 0, 0
    else:
        paper[at, at] = 0
    return paper


def ink(state: dict[str, Any]) -> np.ndarray:
    """The ink of a state's picture: 0 on white paper, 1 in black, in the 256 levels in which pages carry a picture."""
    chosen = state["picture"]
    return 1 - (pictures.levels(drawn(chosen)) if isinstance(chosen, str) else np.array(chosen))


def parts(state: dict[str, Any]) -> list[Regions]:
    """The regions whose results are added."""
    half = state["kernel_size"] // 2
    return {
        "rows": [Rows()],
        "columns": [Columns()],
        "rows and columns": [Rows(), Columns()],
        "square window": [Window(state["kernel_size"], 1, half)],
    }[state["regions"]]


def pooled(state: dict[str, Any]) -> np.ndarray:
    """The map that the regions of a state make of its ink, broadcast to all cells."""
    how = {"count_include_pad": False} if state["operator"] == "average" else {}
    reduce = REDUCERS[state["operator"]]
    made = [reduce(ink(state), each, **(how if isinstance(each, Window) else {})) for each in parts(state)]
    return sum(made) + np.zeros((SIZE, SIZE))


def region(state: dict[str, Any]) -> set[tuple[int, int]]:
    """The cells that the selected cell of the map is made of."""
    found: set[tuple[int, int]] = set()
    for each in parts(state):
        row, column = state["selected"]
        index = (row, 0) if isinstance(each, Rows) else (0, column) if isinstance(each, Columns) else (row, column)
        found |= set(map(tuple, each.cells(index, (SIZE, SIZE))))
    return found
