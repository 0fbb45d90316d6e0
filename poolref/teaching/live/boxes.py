"""A box on a picture, and what RoI pooling (rounded) and RoIAlign (sampled) make of it on a coarse map."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from poolref.numpy import avg_pool, roi_align, roi_pool
from poolref.regions import Window
from poolref.teaching import data
from poolref.teaching.drawing import Photograph, draw
from poolref.teaching.live import pictures
from poolref.teaching.live.figure import DrawnFigure, cell_of, flag, one_of, packed, whole_number

if TYPE_CHECKING:
    from poolref.teaching.live.widget import LiveWidget

PART = slice(100, 228), slice(4, 132)  # of the coins, 128x128 pixels
SMALL_MAP = np.array(  # of the chapter, each cell 16x16 pixels
    [
        [0.0, 0.2, 0.0, 0.0, 0.0],
        [0.2, 0.8, 0.4, 0.0, 0.0],
        [0.0, 1.0, 0.6, 0.2, 0.0],
        [0.2, 0.0, 0.4, 0.8, 0.2],
        [0.0, 0.0, 0.0, 0.4, 0.0],
    ]
)
PICTURES = ("mask", "coins", "small map")
STRIDES = (4, 8, 16)
SIDES = (12, 96)  # of a box, in pixels
BINS = (2, 14)


def boxes(
    picture: str = "mask",
    left: int = 21,
    top: int = 4,
    width: int = 42,
    height: int = 41,
    stride: int = 8,
    bins: int = 14,
    *,
    predict: dict[str, Any] | None = None,
    label: str | None = None,
    **traits: Any,
) -> LiveWidget:
    """Return the live figure of a box on coins: what RoI pooling and RoIAlign make of it on a map of coarse cells.

    Every argument is a trait that can be read and set later; `rounded` and `sampled` hold the two outputs as rows, and
    `offset` by how many pixels [down, right] the middle of the cells that RoI pooling takes lies from that of the box.

    Args:
        picture: "coins"; "mask", 1 where a pixel shows a coin; or "small map", the 5x5 cells of the chapter at a stride
            of 16.  Default "mask".
        left, top, width, height: of the box, in pixels; the coins have 128x128.  Default a coin's.
        stride: pixels along each side of a cell of the map, whose cells are means: 4, 8 or 16.  Default 8.
        bins: bins along each side of the box, 2 to 14.  Default 14.
        predict: a question that the reader answers before the outputs are shown; see `LiveFigure`.
        label: the figure's name for its reader.  Default "A box, rounded or sampled".
        traits: `aligned`, whether RoIAlign shifts by half a cell, as it should (default); `selected`, the [row, column]
            of the output whose cells and samples are marked.

    Raises:
        TypeError: a trait has another name.
        ValueError: a value is not accepted, or the box leaves the picture.
        ImportError: anywidget is not installed.
    """
    from poolref.teaching.live.widget import widget

    state = {"left": left, "top": top, "width": width, "height": height, "stride": stride, "bins": bins}
    return widget(Boxes(label=label, predict=predict, picture=picture, **state, **traits))


class Boxes(DrawnFigure):
    """The box in one state.  See `poolref.teaching.live.boxes` for its parts."""

    name = "boxes"
    defaults = {  # noqa: RUF012
        "picture": "mask",
        "left": 21,
        "top": 4,
        "width": 42,
        "height": 41,
        "stride": 8,
        "bins": 14,
        "aligned": True,
        "selected": [3, 3],
    }

    @classmethod
    def check(cls, state, changed=()):
        state = dict(state)
        one_of("picture", state["picture"], PICTURES)
        one_of("stride", state["stride"], STRIDES)
        flag("aligned", state["aligned"])
        state["bins"] = whole_number("bins", state["bins"], *BINS)
        side = len(source(state["picture"]))
        for size, start in (("width", "left"), ("height", "top")):
            if size not in changed:
                state[size] = min(state[size], side)
            state[size] = whole_number(size, state[size], SIDES[0], min(SIDES[1], side))
            most = side - state[size]
            if start not in changed:
                state[start] = min(state[start], most)
            state[start] = whole_number(start, state[start], 0, most)
        return state | {"selected": cell_of("selected", state["selected"], (state["bins"], state["bins"]), changed)}

    @classmethod
    def data(cls):
        named = {name: packed(source(name)) for name in PICTURES}
        return {"pictures": named, "strides": STRIDES, "sides": SIDES, "bins": BINS}

    @classmethod
    def results(cls, state):
        rounded, sampled = outputs(state)
        return {"rounded": rounded.tolist(), "sampled": sampled.tolist(), "offset": offset(state)}

    def describe(self):
        state = self.state
        down, right = offset(state)
        n = len(coarse(state))
        words = (
            f"A box of {state['height']} by {state['width']} pixels on a picture ({state['picture']}), the map of {n} "
            f"by {n} cells that is pooled, and what RoI pooling and RoIAlign make of the box, {state['bins']} by "
            f"{state['bins']} each. The middle of the cells that RoI pooling takes lies {down:g} pixels lower and "
            f"{right:g} further right than that of the box."
        )
        if state["picture"] == "mask":
            ours = [f"{overlap(state, output):.2f}" for output in outputs(state)]
            words += f" As masks, RoI pooling's overlaps with the coin by {ours[0]} and RoIAlign's by {ours[1]}."
        return words

    def drawing(self):
        state = self.state
        rounded, sampled = outputs(state)
        rows, columns = (range(state[a], state[a] + state[b]) for a, b in (("top", "height"), ("left", "width")))
        box = [(r, c) for r in rows for c in columns]
        return draw(
            Photograph(levels(state), region=box, title="picture and box", side=170),
            Photograph(coarse(state), title="map", side=170),
            Photograph(rounded, title="RoI pooling", side=170),
            Photograph(sampled, title="RoIAlign", side=170),
        )


@cache
def source(name: str) -> np.ndarray:
    """A picture by its name: part of the coins, 1 where it shows a coin, or the small map in squares of pixels."""
    if name == "small map":
        return np.kron(SMALL_MAP, np.ones((16, 16)))
    image, coin = data.coins()
    return (image if name == "coins" else (coin > 0).astype(float))[PART]


def levels(state: dict[str, Any]) -> np.ndarray:
    """The picture of a state in the 256 levels in which pages carry it."""
    return pictures.levels(source(state["picture"]))


def coarse(state: dict[str, Any]) -> np.ndarray:
    """The map: the mean of each square of stride x stride pixels."""
    return avg_pool(levels(state), Window(state["stride"]))


def corners(state: dict[str, Any]) -> list[int]:
    """The box as x1, y1, x2, y2, in pixels."""
    return [state["left"], state["top"], state["left"] + state["width"], state["top"] + state["height"]]


def outputs(state: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """What RoI pooling and RoIAlign make of the box."""
    box, how = [[0, *corners(state)]], (state["bins"], 1 / state["stride"])
    maps = coarse(state)[None, None]
    rounded, sampled = roi_pool(maps, box, *how), roi_align(maps, box, *how, aligned=state["aligned"])
    return rounded[0, 0], sampled[0, 0]


def offset(state: dict[str, Any]) -> list[float]:
    """By how many pixels, down and right, the middle of the cells that RoI pooling takes lies from that of the box."""
    x1, y1, x2, y2 = corners(state)
    stride = state["stride"]
    first = {v: int(v / stride + 1 / 2) for v in (x1, y1, x2, y2)}  # halves up, and no corner is negative
    return [(first[a] + first[b] + 1) * stride / 2 - (a + b) / 2 for a, b in ((y1, y2), (x1, x2))]


def overlap(state: dict[str, Any], output: np.ndarray) -> float:
    """How far an output above 1/2, laid over the box, overlaps with the mask in the box: intersection over union."""
    x1, y1, x2, y2 = corners(state)
    rows, columns = ((2 * np.arange(n) + 1) * state["bins"] // (2 * n) for n in (state["height"], state["width"]))
    given = output[np.ix_(rows, columns)] > 1 / 2
    true = levels(state)[y1:y2, x1:x2] > 1 / 2
    either = (given | true).sum()
    return float((given & true).sum() / either) if either else 1.0
