"""A picture of any size under a pyramid of bins, and the vector that it becomes, beside that of its mirror image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from poolref.numpy import avg_pool, max_pool
from poolref.regions import Adaptive, Pyramid
from poolref.teaching.drawing import Heat, draw
from poolref.teaching.live import pictures
from poolref.teaching.live.figure import DrawnFigure, one_of, packed, whole_number

if TYPE_CHECKING:
    from poolref.teaching.live.widget import LiveWidget

SIZES = (8, 40)
PICTURES = ("cat", "flower", "digit")
OPERATORS = {"average": avg_pool, "max": max_pool}
LEVELS = {"1": (1,), "2": (2,), "1, 2": (1, 2), "1, 2, 4": (1, 2, 4), "1, 2, 3, 6": (1, 2, 3, 6)}
OTHERS = ("mirrored", "upside down")
CHANNELS = ("brightness", "upright edges", "level edges")


def pyramid(
    picture: str = "cat",
    height: int = 30,
    width: int = 40,
    levels: str = "1, 2",
    operator: str = "average",
    other: str = "mirrored",
    *,
    predict: dict[str, Any] | None = None,
    label: str | None = None,
    **traits: Any,
) -> LiveWidget:
    """Return the live figure of spatial pyramid pooling: a picture of any size, its bins on every level, its vector.

    Every argument is a trait that can be read and set later; `vector` holds the numbers of the picture and
    `other_vector` those of the other one, in the order of `poolref.torch.SpatialPyramidPool2d`.

    Args:
        picture: "cat" or "flower", brought to the size; "digit", 8x8 cells on a sheet of it.  Default "cat".
        height, width: cells of the picture, 8 to 40.  Default 30 and 40.
        levels: bins along each axis, level by level: "1", "2", "1, 2", "1, 2, 4" or "1, 2, 3, 6".  Default "1, 2".
        operator: "average" or "max".  Default "average".
        other: the picture that it is compared with, "mirrored" or "upside down".  Default "mirrored".
        predict: a question that the reader answers before the vector is shown; see `LiveFigure`.
        label: the figure's name for its reader.  Default "A vector of one length".
        traits: `entry`, the number of the chosen entry of the vector, by default 4.

    Raises:
        TypeError: a trait has another name.
        ValueError: a value is not accepted.
        ImportError: anywidget is not installed.
    """
    from poolref.teaching.live.widget import widget

    state = {"picture": picture, "height": height, "width": width, "levels": levels, "operator": operator}
    return widget(PyramidOfBins(label=label, predict=predict, **state, other=other, **traits))


class PyramidOfBins(DrawnFigure):
    """The pyramid in one state.  See `poolref.teaching.live.pyramid` for its parts."""

    name = "pyramid"
    defaults = {  # noqa: RUF012
        "picture": "cat",
        "height": 30,
        "width": 40,
        "levels": "1, 2",
        "operator": "average",
        "other": "mirrored",
        "entry": 4,
    }

    @classmethod
    def check(cls, state, changed=()):
        state = dict(state)
        accepted = {"picture": PICTURES, "levels": LEVELS, "operator": OPERATORS, "other": OTHERS}
        for name, values in accepted.items():
            one_of(name, state[name], values)
        for name in ("height", "width"):
            state[name] = whole_number(name, state[name], *SIZES)
        last = len(places(state)) - 1
        entry = state["entry"] if "entry" in changed else min(state["entry"], last)
        return state | {"entry": whole_number("entry", entry, 0, last)}

    @classmethod
    def data(cls):
        return {
            "pictures": {name: packed(pictures.resizable()[name]) for name in PICTURES},
            "sizes": SIZES,
            "levels": LEVELS,
            "channels": CHANNELS,
        }

    @classmethod
    def results(cls, state):
        picture = seen(state)
        vectors = vector(picture, state), vector(reversed_picture(picture, state), state)
        return dict(zip(("vector", "other_vector"), (v.tolist() for v in vectors)))

    def describe(self):
        state, (own, other) = self.state, self._vectors()
        unequal = int((~np.isclose(own, other)).sum())
        return (
            f"A {state['picture']} of {state['height']} by {state['width']} cells and the same {state['other']}, in "
            f"three channels, under bins on the levels {state['levels']}. Each becomes a vector of {own.size} numbers, "
            f"whatever its size. The two vectors differ in {unequal} of them."
        )

    def _vectors(self):
        return (np.array(values) for values in self.results(self.state).values())

    def drawing(self):
        state = self.state
        own = channels(seen(state))
        level, channel, bin_of_level = places(state)[state["entry"]]
        region = Adaptive(LEVELS[state["levels"]][level]).cells(bin_of_level, own.shape[1:])
        panels = [
            Heat(maps[channel], region=region, title=title)
            for title, maps in (
                (f"{state['height']} × {state['width']}", own),
                (state["other"], channels(reversed_picture(seen(state), state))),
            )
        ]
        grids = [
            Heat(OPERATORS[state["operator"]](own[channel], Adaptive(n)), title=f"{n} × {n}", side=96)
            for n in LEVELS[state["levels"]]
        ]
        return draw(*panels, grids[:2], grids[2:]) if len(grids) > 2 else draw(*panels, grids)


def seen(state: dict[str, Any]) -> np.ndarray:
    """The picture of a state: a photograph brought to its size, or the digit a quarter of the way into its sheet."""
    return pictures.resized(state["picture"], (state["height"], state["width"]), 1 / 4)


def reversed_picture(picture: np.ndarray, state: dict[str, Any]) -> np.ndarray:
    """The same picture with left and right, or top and bottom, exchanged."""
    return picture[:, ::-1] if state["other"] == "mirrored" else picture[::-1]


def channels(picture: np.ndarray) -> np.ndarray:
    """Brightness, and its difference between left and right, and between upper and lower, neighbours: (3, H, W)."""
    around = np.pad(picture, 1, mode="edge")
    upright = np.abs(around[1:-1, 2:] - around[1:-1, :-2])
    level = np.abs(around[2:, 1:-1] - around[:-2, 1:-1])
    return np.stack([picture, upright, level])


def places(state: dict[str, Any]) -> list[tuple[int, int, tuple[int, int]]]:
    """The place of every entry of the vector: the number of its level, its channel and its bin."""
    sides = enumerate(LEVELS[state["levels"]])
    return [(level, c, index) for level, n in sides for c in range(len(CHANNELS)) for index in np.ndindex(n, n)]


def vector(picture: np.ndarray, state: dict[str, Any]) -> np.ndarray:
    """What spatial pyramid pooling makes of the three channels: level after level, in each channel after channel."""
    sides = LEVELS[state["levels"]]
    pooled = OPERATORS[state["operator"]](channels(picture), Pyramid(sides))
    ends = np.cumsum([n * n for n in sides])
    return np.concatenate([part.ravel() for part in np.split(pooled, ends[:-1], axis=1)])
