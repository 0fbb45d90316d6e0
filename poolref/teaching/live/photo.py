"""A photograph through a filter, ReLU and pooling, up to three times over, with two ways to pool beside each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from poolref import catalog
from poolref.regions import Window
from poolref.teaching.drawing import Heat, Photograph, draw
from poolref.teaching.live import pictures
from poolref.teaching.live.explorer import OPERATORS
from poolref.teaching.live.figure import DrawnFigure, as_number, flag, one_of, packed, whole_number

if TYPE_CHECKING:
    from poolref.teaching.live.widget import LiveWidget

SIZE = 96  # rows and columns of a photograph
FILTERS = {
    "upright edges": [[-0.25, 0, 0.25], [-0.5, 0, 0.5], [-0.25, 0, 0.25]],
    "level edges": [[-0.25, -0.5, -0.25], [0, 0, 0], [0.25, 0.5, 0.25]],
    "all edges": [[-0.5, -0.5, -0.5], [-0.5, 4, -0.5], [-0.5, -0.5, -0.5]],
    "blur": [[0.0625, 0.125, 0.0625], [0.125, 0.25, 0.125], [0.0625, 0.125, 0.0625]],
    "sharpen": [[0, -1, 0], [-1, 5, -1], [0, -1, 0]],
    "nothing": [[0, 0, 0], [0, 1, 0], [0, 0, 0]],
}
PICTURES = ("camera", "cat", "flower")


def photo(
    picture: str | np.ndarray = "cat",
    filter: str | np.ndarray = "upright edges",
    operator: str = "max",
    beside: str = "average",
    kernel_size: int = 2,
    stride: int | None = None,
    rounds: int = 1,
    filter_again: bool = True,
    *,
    predict: dict[str, Any] | None = None,
    label: str | None = None,
    **traits: Any,
) -> LiveWidget:
    """Return the live figure of a photograph that is filtered, rectified and pooled, by two operators side by side.

    Every argument is a trait that can be read and set later; `output` holds the last map that `operator` makes.

    Args:
        picture: "camera", "cat", "flower", or 96x96 numbers from 0 (black) to 1 (white).  Default "cat".
        filter: "upright edges", "level edges", "all edges", "blur", "sharpen", "nothing", or 3x3 numbers.
        operator, beside: two reducers, such as "max" and "average", with their defaults; `beside` may be "" for none.
        kernel_size, stride: the windows, 2 to 6 cells and 1 to 6 cells.  Default 2, side by side.
        rounds: how often the map is pooled, 1 to 3 times.  Default 1.
        filter_again: whether filter and ReLU come before every pooling, or before the first one only.  Default True.
        predict: a question that the reader answers before the pooled maps are shown; see `LiveFigure`.
        label: the figure's name for its reader.  Default "A photograph, filtered and pooled".

    Raises:
        TypeError: a trait has another name.
        ValueError: a value is not accepted.
        ImportError: anywidget is not installed.
    """
    from poolref.teaching.live.widget import widget

    state = {"picture": picture, "filter": filter, "operator": operator, "beside": beside, "rounds": rounds}
    state |= {"kernel_size": kernel_size, "stride": kernel_size if stride is None else stride}
    state |= {"filter_again": filter_again}
    return widget(Photo(label=label, predict=predict, **state, **traits))


class Photo(DrawnFigure):
    """The photograph's way in one state.  See `poolref.teaching.live.photo` for its parts."""

    name = "photo"
    defaults = {  # noqa: RUF012
        "picture": "cat",
        "filter": "upright edges",
        "operator": "max",
        "beside": "average",
        "kernel_size": 2,
        "stride": 2,
        "rounds": 1,
        "filter_again": True,
    }

    @classmethod
    def check(cls, state, changed=()):
        state = dict(state)
        state["picture"] = pictures.named_or_own("picture", state["picture"], SIZE, PICTURES)
        state["filter"] = _filter(state["filter"])
        one_of("operator", state["operator"], OPERATORS)
        one_of("beside", state["beside"], ["", *OPERATORS])
        state["kernel_size"] = whole_number("kernel_size", state["kernel_size"], 2, 6)
        state["stride"] = whole_number("stride", state["stride"], 1, 6)
        state["rounds"] = whole_number("rounds", state["rounds"], 1, 3)
        flag("filter_again", state["filter_again"])
        side = SIZE
        for filtered in filters_of(state):
            side = (side - 2 * filtered - state["kernel_size"]) // state["stride"] + 1
            if side < 1:
                windows = f"kernel_size={state['kernel_size']} and stride={state['stride']}"
                raise ValueError(
                    f"rounds must be fewer for {windows}: nothing of the picture is left, got {state['rounds']}"
                )
        return state

    @classmethod
    def data(cls):
        chosen = pictures.pictures(SIZE)
        return {
            "pictures": {name: packed(chosen[name]) for name in PICTURES},
            "size": SIZE,
            "filters": FILTERS,
            "operators": [[row.name, row.title] for row in OPERATORS.values()],
        }

    @classmethod
    def results(cls, state):
        return {"output": stages(state, state["operator"])[-1].tolist()}

    def describe(self):
        state = self.state
        rows, columns = np.shape(self.results(state)["output"])
        beside = f", beside that of {OPERATORS[state['beside']].title}" if state["beside"] else ""
        again = ", filtered again each time" if state["filter_again"] and state["rounds"] > 1 else ""
        return (
            f"A photograph of {SIZE} by {SIZE} cells, what a filter of 3 by 3 weights and ReLU make of it, and the "
            f"result of {OPERATORS[state['operator']].title}{beside}. Kernel {state['kernel_size']}, stride "
            f"{state['stride']}, {state['rounds']} times over{again}: {rows} by {columns} cells are left."
        )

    def drawing(self):
        state = self.state
        ways = [stages(state, operator) for operator in (state["operator"], state["beside"]) if operator]
        shown = [Photograph(ways[0][0], title="photograph"), Heat(ways[0][1], title="filter, ReLU")]
        for operator, way in zip((state["operator"], state["beside"]), ways):
            rows, columns = way[-1].shape
            name = OPERATORS[operator].title.removesuffix(" pooling")
            shown.append(Heat(way[-1], title=f"{name}, {rows} × {columns}"))
        return draw(*shown)


def _filter(value: Any) -> list[list[float]]:
    if isinstance(value, str):
        return FILTERS[one_of("filter", value, FILTERS)]
    message = f"filter must be one of {', '.join(FILTERS)}, or 3x3 finite numbers, got {value!r:.80}"
    try:
        array = np.asarray(value, float)
    except (TypeError, ValueError):
        raise ValueError(message) from None
    if array.shape != (3, 3) or not np.isfinite(array).all():
        raise ValueError(message)
    return [[as_number(v) for v in row] for row in array.tolist()]


def seen(state: dict[str, Any]) -> np.ndarray:
    """The photograph of a state."""
    chosen = state["picture"]
    return pictures.levels(pictures.pictures(SIZE)[chosen]) if isinstance(chosen, str) else np.array(chosen)


def filters_of(state: dict[str, Any]) -> list[bool]:
    """For each round whether its pooling comes after a filter."""
    return [round == 0 or state["filter_again"] for round in range(state["rounds"])]


def stages(state: dict[str, Any], operator: str) -> list[np.ndarray]:
    """The photograph, then every filtered and rectified map and every pooled one."""
    made = [seen(state)]
    pool, window = catalog.resolve(OPERATORS[operator].numpy), Window(state["kernel_size"], state["stride"])
    for filtered in filters_of(state):
        if filtered:
            squares = np.lib.stride_tricks.sliding_window_view(made[-1], (3, 3))
            made.append(np.maximum(np.einsum("rcuv,uv->rc", squares, np.array(state["filter"], float)), 0))
        made.append(pool(made[-1], window))
    return made
