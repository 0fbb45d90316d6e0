"""A picture of any size, cut into as many bins as the reader asks for, and what adaptive pooling makes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from poolref.numpy import avg_pool, max_pool
from poolref.regions import Adaptive
from poolref.teaching.drawing import Heat, Photograph, draw
from poolref.teaching.live import pictures
from poolref.teaching.live.figure import DrawnFigure, cell_of, one_of, packed, whole_number

if TYPE_CHECKING:
    from poolref.teaching.live.widget import LiveWidget

SIZES = (8, 40)
BINS = (1, 12)
PICTURES = ("digit", "flower", "cat")
OPERATORS = {"average": avg_pool, "max": max_pool}


def bins(
    picture: str = "digit",
    height: int = 33,
    width: int = 26,
    down: int = 5,
    across: int = 5,
    operator: str = "average",
    *,
    predict: dict[str, Any] | None = None,
    label: str | None = None,
    **traits: Any,
) -> LiveWidget:
    """Return the live figure of the bins that adaptive pooling lays over a picture of any size.

    Every argument is a trait that can be read and set later; `output` holds the pooled map, `bins_of` in how many bins
    each cell of the picture lies; both as rows.

    Args:
        picture: "digit", 8x8 cells in the middle of a sheet; "flower" or "cat", brought to the size.  Default "digit".
        height, width: cells of the picture, 8 to 40.  Default 33 and 26.
        down, across: bins along its columns and along its rows, 1 to 12.  Default 5 and 5.
        operator: "average" or "max".  Default "average".
        predict: a question that the reader answers before the bins are shown; see `LiveFigure`.
        label: the figure's name for its reader.  Default "Bins on a picture of any size".
        traits: `selected`, the [row, column] of the chosen bin, by default the middle one.

    Raises:
        TypeError: a trait has another name.
        ValueError: a value is not accepted.
        ImportError: anywidget is not installed.
    """
    from poolref.teaching.live.widget import widget

    state = {"picture": picture, "height": height, "width": width, "down": down, "across": across}
    return widget(Bins(label=label, predict=predict, **state, operator=operator, **traits))


class Bins(DrawnFigure):
    """The bins in one state.  See `poolref.teaching.live.bins` for its parts."""

    name = "bins"
    defaults = {  # noqa: RUF012
        "picture": "digit",
        "height": 33,
        "width": 26,
        "down": 5,
        "across": 5,
        "operator": "average",
        "selected": None,
    }

    @classmethod
    def check(cls, state, changed=()):
        state = dict(state)
        one_of("picture", state["picture"], PICTURES)
        one_of("operator", state["operator"], OPERATORS)
        for name in ("height", "width"):
            state[name] = whole_number(name, state[name], *SIZES)
        for name in ("down", "across"):
            state[name] = whole_number(name, state[name], *BINS)
        shape = state["down"], state["across"]
        selected = [(n - 1) // 2 for n in shape] if state["selected"] is None else state["selected"]
        return state | {"selected": cell_of("selected", selected, shape, changed)}

    @classmethod
    def data(cls):
        return {
            "pictures": {name: packed(pictures.resizable()[name]) for name in PICTURES},
            "sizes": SIZES,
            "bins": BINS,
        }

    @classmethod
    def results(cls, state):
        return {"output": pooled(state).tolist(), "bins_of": bins_of(state).tolist()}

    def describe(self):
        state = self.state
        shared = int((bins_of(state) > 1).sum())
        return (
            f"A {state['picture']} of {state['height']} by {state['width']} cells, cut into {state['down']} by "
            f"{state['across']} bins, in how many bins each cell lies, and the {state['operator']} of every bin. "
            f"{shared} cells lie in more than one bin."
        )

    def drawing(self):
        state = self.state
        return draw(
            Photograph(seen(state), title=f"{state['height']} × {state['width']}"),
            Heat(bins_of(state).astype(float), title="bins of each cell"),
            Heat(pooled(state), title=f"{state['down']} × {state['across']}"),
        )


def seen(state: dict[str, Any]) -> np.ndarray:
    """The picture of a state: the digit in the middle of its sheet, or a photograph, itself brought to its size."""
    return pictures.resized(state["picture"], (state["height"], state["width"]), 1 / 2)


def pooled(state: dict[str, Any]) -> np.ndarray:
    """The map that adaptive pooling makes of the picture."""
    return OPERATORS[state["operator"]](seen(state), Adaptive((state["down"], state["across"])))


def bins_of(state: dict[str, Any]) -> np.ndarray:
    """In how many bins each cell of the picture lies."""
    counts = []
    for n, o in ((state["height"], state["down"]), (state["width"], state["across"])):
        (spans,) = Adaptive(o, ndim=1).spans((n,))
        counts.append(np.bincount(np.concatenate(spans), minlength=n))
    return np.outer(*counts)
