"""Two maps of edges, each with a scan that carries the largest value met so far, and the corner where both meet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from poolref.numpy import avg_pool, corner_pool, max_pool
from poolref.regions import CORNERS, Adaptive, Running, Window
from poolref.teaching import data
from poolref.teaching.drawing import Heat, Photograph, draw
from poolref.teaching.live import pictures
from poolref.teaching.live.figure import DrawnFigure, cell_of, one_of, packed, whole_number

if TYPE_CHECKING:
    from poolref.teaching.live.widget import LiveWidget

SIZE = 48  # rows and columns of a picture
SMOOTH = 7  # cells along an edge of which the mean is taken before differences are
LONGEST = 11
PICTURES = ("one coin", "two coins", "falling discs", "rising discs")
NAMES = {"top left": "top_left", "bottom right": "bottom_right"}
_SQUARES = {"one coin": (0, 300, 84), "two coins": (1, 74, 107)}  # first row, first column, side in the photograph


def scan(
    picture: str = "one coin",
    corner: str = "top left",
    moment: int = 24,
    smooth: int = SMOOTH,
    *,
    predict: dict[str, Any] | None = None,
    label: str | None = None,
    **traits: Any,
) -> LiveWidget:
    """Return the live figure of two maps of edges, two scans with their running maxima, and the sum of both.

    Every argument is a trait that can be read and set later; `output` holds the whole sum, 48x48, and `box` the box
    [top, left, bottom, right] between the cells in which the sums for both corners are largest.

    Args:
        picture: "one coin", "two coins", "falling discs" or "rising discs".  Default "one coin".
        corner: "top left" or "bottom right".  Default "top left".
        moment: how many rows and columns are scanned, 0 to 48.  Default 24.
        smooth: of how many cells along an edge the mean is taken, an odd number from 1 to 11.  Default 7.
        predict: a question that the reader answers before the sum is shown; see `LiveFigure`.
        label: the figure's name for its reader.  Default "Two scans meet".
        traits: `selected`, the [row, column] of the cell whose column and row are outlined.

    Raises:
        TypeError: a trait has another name.
        ValueError: a value is not accepted.
        ImportError: anywidget is not installed.
    """
    from poolref.teaching.live.widget import widget

    state = {"picture": picture, "corner": corner, "moment": moment, "smooth": smooth}
    return widget(Scan(label=label, predict=predict, **state, **traits))


class Scan(DrawnFigure):
    """Two scans in one state.  See `poolref.teaching.live.scan` for its parts."""

    name = "scan"
    defaults = {  # noqa: RUF012
        "picture": "one coin",
        "corner": "top left",
        "moment": 24,
        "smooth": SMOOTH,
        "selected": [30, 32],
    }

    @classmethod
    def check(cls, state, changed=()):
        one_of("picture", state["picture"], PICTURES)
        one_of("corner", state["corner"], list(NAMES))
        moment = whole_number("moment", state["moment"], 0, SIZE)
        smooth = whole_number("smooth", state["smooth"], 1, LONGEST)
        if smooth % 2 == 0:
            raise ValueError(f"smooth must be odd, so that a cell lies in the middle, got {smooth}")
        return state | {
            "moment": moment,
            "smooth": smooth,
            "selected": cell_of("selected", state["selected"], (SIZE, SIZE), changed),
        }

    @classmethod
    def data(cls):
        return {"pictures": {name: packed(drawn(name)) for name in PICTURES}, "size": SIZE, "longest": LONGEST}

    @classmethod
    def results(cls, state):
        picture = seen(state)
        made = pooled(picture, NAMES[state["corner"]], state["smooth"])
        return {"output": made.tolist(), "box": box(picture, state["smooth"])}

    def describe(self):
        state = self.state
        made = pooled(seen(state), NAMES[state["corner"]], state["smooth"])
        row, column = largest(made)
        return (
            f"A picture of {SIZE} by {SIZE} cells, {state['picture']}, with the map of its upright edges, scanned "
            f"along columns, and the map of its level edges, scanned along rows. {state['moment']} rows and columns "
            f"are scanned. The sum of both running maxima is largest, {made[row, column]:.2f}, at row {row}, column "
            f"{column}: the {state['corner']} corner."
        )

    def drawing(self):
        state, picture = self.state, seen(self.state)
        corner, smooth = NAMES[state["corner"]], state["smooth"]
        scans = [Running(direction) for direction in CORNERS[corner]]
        swept = [scanned(state["moment"], each) for each in scans]
        maps = edges(picture, corner, smooth)
        half_way = [np.where(done, max_pool(m, each), m) for m, each, done in zip(maps, scans, swept, strict=True)]
        total = np.where(swept[0] & swept[1], pooled(picture, corner, smooth), 0)
        share = [m / (m.max() or 1) for m in (*half_way, total)]
        return draw(
            Photograph(
                picture,
                region=frame(box(picture, smooth)) if state["moment"] == SIZE else (),
                title="picture",
                side=170,
            ),
            Heat(share[0], title="upright edges", side=170),
            "+",
            Heat(share[1], title="level edges", side=170),
            "=",
            Heat(share[2], title="sum", side=170),
        )


def drawn(name: str) -> np.ndarray:
    """A picture by its name: a square of the photograph of coins, or two discs on a dark ground."""
    if name in _SQUARES:
        top, left, side = _SQUARES[name]
        return avg_pool(data.picture("coins")[top : top + side, left : left + side], Adaptive(SIZE))
    ground, (rows, columns) = np.full((SIZE, SIZE), 0.2), np.indices((SIZE, SIZE))
    middles = [(15, 14), (33, 34)] if name == "falling discs" else [(15, 34), (33, 14)]
    for (row, column), radius in zip(middles, (9.5, 7.5), strict=True):
        ground[(rows - row) ** 2 + (columns - column) ** 2 <= radius**2] = 0.8
    return ground


def seen(state: dict[str, Any]) -> np.ndarray:
    """The picture of a state, in the 256 levels in which pages carry it."""
    return pictures.levels(drawn(state["picture"]))


def edges(picture: np.ndarray, corner: str = "top_left", smooth: int = SMOOTH) -> tuple[np.ndarray, np.ndarray]:
    """Return the upright and the level edges at which a bright thing begins, or, for a bottom right corner, ends.

    Formula: the mean of `smooth` cells along the edge, less that of as many cells outside it, or 0 if that is negative.
    """
    half = smooth // 2
    upright = avg_pool(picture, Window((smooth, 1), 1, (half, 0)), count_include_pad=False)
    level = avg_pool(picture, Window((1, smooth), 1, (0, half)), count_include_pad=False)
    step = 1 if corner == "top_left" else -1
    maps = []
    for means, axis in ((upright, 1), (level, 0)):
        rise = means - np.roll(means, step, axis)
        np.moveaxis(rise, axis, 0)[0 if step == 1 else -1] = 0  # nothing is known outside the map
        maps.append(np.maximum(rise.round(12), 0))  # equal means may differ in their last digits
    return maps[0], maps[1]


def pooled(picture: np.ndarray, corner: str, smooth: int = SMOOTH) -> np.ndarray:
    """Corner pooling of a picture's edges."""
    return corner_pool(*edges(picture, corner, smooth), corner)


def largest(values: np.ndarray) -> tuple[int, int]:
    """The row and column of the largest value, the first of several."""
    row, column = np.unravel_index(values.argmax(), values.shape)
    return int(row), int(column)


def box(picture: np.ndarray, smooth: int = SMOOTH) -> list[int]:
    """The box between the largest sums for both corners: its first row and column, and the first beyond it."""
    (top, left), (bottom, right) = (largest(pooled(picture, corner, smooth)) for corner in CORNERS)
    return [top, left, bottom + 1, right + 1]


def frame(box: list[int]) -> set[tuple[int, int]]:
    """The cells of a box, none if its second corner lies before its first."""
    top, left, bottom, right = box
    return {(row, column) for row in range(top, bottom) for column in range(left, right)}


def scanned(moment: int, running: Running) -> np.ndarray:
    """Whether a scan has reached each cell after `moment` steps."""
    met = np.arange(SIZE)[::-1] if running.reverse else np.arange(SIZE)
    return np.broadcast_to(met[:, None] if running.axis == 0 else met, (SIZE, SIZE)) < moment
