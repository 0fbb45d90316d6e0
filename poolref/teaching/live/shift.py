"""A picture dragged under the windows: how much do the pooled maps change?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from poolref.numpy import avg_pool, blur_pool, max_pool
from poolref.regions import Window
from poolref.teaching.live import pictures, still
from poolref.teaching.live.figure import LiveFigure, flag, packed, whole_number

if TYPE_CHECKING:
    from poolref.teaching.live.widget import LiveWidget

SIZE = 96  # rows and columns of a photograph, of which two thirds are seen
PICTURES = ("flower", "cat", "brick", "digit")
OPERATORS = {"max": "max", "average": "mean", "blur": "blur", "subsample": "stride alone"}


def shift(
    picture: str | np.ndarray = "flower",
    kernel_size: int = 4,
    stride: int | None = None,
    offset: tuple[int, int] = (0, 0),
    *,
    predict: dict[str, Any] | None = None,
    label: str | None = None,
    **traits: Any,
) -> LiveWidget:
    """Return the live figure in which a picture is dragged under the windows, and four ways to pool it are compared.

    Every argument is a trait that can be read and set later; `change` holds by how much each pooled map has changed.

    Args:
        picture: "flower", "cat", "brick", "digit", or 96x96 numbers from 0 (black) to 1 (white).  Default "flower".
        kernel_size, stride: the windows, 2 to 8 cells and 1 to 8 cells.  Default 4, side by side.
        offset: by how many cells the picture is moved, down and to the right.  Default (0, 0).
        predict: a question that the reader answers before the pooled maps are shown; see `LiveFigure`.
        label: the figure's name for its reader.  Default "Shift the picture".
        traits: `difference`, whether the pooled maps or what has changed in them is shown, False.

    Raises:
        TypeError: a trait has another name.
        ValueError: a value is not accepted.
        ImportError: anywidget is not installed.

    Formula: the change of a map y whose picture has moved, `sum |y' - y| / sum |y|`; where y is 0 throughout, 1 for any
    other y' and 0 for the same.
    """
    from poolref.teaching.live.widget import widget

    state = {"picture": picture, "kernel_size": kernel_size, "stride": kernel_size if stride is None else stride}
    return widget(Shift(label=label, predict=predict, offset=list(offset), **state, **traits))


class Shift(LiveFigure):
    """The picture under the windows in one state.  See `poolref.teaching.live.shift` for its parts."""

    name = "shift"
    defaults = {"picture": "flower", "kernel_size": 4, "stride": 4, "offset": [0, 0], "difference": False}  # noqa: RUF012

    @classmethod
    def check(cls, state, changed=()):
        state = dict(state)
        state["picture"] = pictures.named_or_own("picture", state["picture"], SIZE, PICTURES)
        state["kernel_size"] = whole_number("kernel_size", state["kernel_size"], 2, 8)
        state["stride"] = whole_number("stride", state["stride"], 1, 8)
        flag("difference", state["difference"])
        most = margin(len(sheet(state)))
        offset = list(state["offset"])
        if "offset" not in changed:
            offset = [min(max(v, -most), most) for v in offset]
        if len(offset) != 2:
            raise ValueError(f"offset must be two ints, down and to the right, got {state['offset']!r}")
        state["offset"] = [whole_number("offset", v, -most, most) for v in offset]
        return state

    @classmethod
    def data(cls):
        chosen = pictures.pictures(SIZE)
        return {"pictures": {name: packed(chosen[name]) for name in PICTURES}, "size": SIZE}

    @classmethod
    def results(cls, state):
        return {"change": changes(state)}

    def describe(self):
        change = changes(self.state)
        down, right = self.state["offset"]
        words = ", ".join(f"{title} {100 * change[name]:.2g} %" for name, title in OPERATORS.items())
        return (
            f"A picture under a grid of windows, and what max, mean and blur pooling and a stride alone make of it. "
            f"Kernel {self.state['kernel_size']}, stride {self.state['stride']}. The picture is moved by "
            f"{down} down and {right} to the right; by that the maps change: {words}."
        )

    def picture(self):
        state, side, small, gap = self.state, 220, 100, 20
        seen = view(state, state["offset"])
        parts = [still.text(gap + side / 2, 28, "The picture under the windows")]
        parts.append(still.pixels(seen, gap, 40, side, side))
        step = side / len(seen) * state["stride"]
        lines = "".join(
            f"M{gap + i * step:g} 40v{side}M{gap} {40 + i * step:g}h{side}" for i in range(int(side / step) + 1)
        )
        parts.append(f'<path d="{lines}" fill="none" stroke="{still.paint("region")}" stroke-opacity="0.5"/>')
        for n, (name, made) in enumerate(pooled(seen, state).items()):
            x, y = 2 * gap + side + (n % 2) * (small + gap), 40 + (n // 2) * (small + gap + 8)
            parts.append(still.text(x + small / 2, y - 8, OPERATORS[name]))
            parts.append(still.pixels(made, x, y, small, small))
        return still.svg(2 * gap + side + 2 * (small + gap), 60 + 2 * small + gap, parts)


def margin(size: int) -> int:
    """By how many cells a picture of `size` rows can be moved: what is seen is the rest."""
    return size // 6


def sheet(state: dict[str, Any]) -> np.ndarray:
    """The whole picture, of which a part is seen."""
    chosen = state["picture"]
    return pictures.levels(pictures.pictures(SIZE)[chosen]) if isinstance(chosen, str) else np.array(chosen)


def view(state: dict[str, Any], offset: list[int]) -> np.ndarray:
    """The part of the picture that lies under the windows."""
    whole = sheet(state)
    m = margin(len(whole))
    down, right = offset
    return whole[m - down : len(whole) - m - down, m - right : len(whole) - m - right]


def pooled(seen: np.ndarray, state: dict[str, Any]) -> dict[str, np.ndarray]:
    """The pooled maps by operator."""
    window, stride = Window(state["kernel_size"], state["stride"]), state["stride"]
    return {
        "max": max_pool(seen, window),
        "average": avg_pool(seen, window),
        "blur": blur_pool(seen, min(7, 2 * stride - 1), stride),
        "subsample": seen[::stride, ::stride],
    }


def changes(state: dict[str, Any]) -> dict[str, float]:
    """By which part of its sum of magnitudes each pooled map has changed."""
    start, now = (pooled(view(state, offset), state) for offset in ([0, 0], state["offset"]))
    change = {name: float(np.abs(now[name] - start[name]).sum()) for name in OPERATORS}
    return {name: c / (float(np.abs(start[name]).sum()) or c or 1) for name, c in change.items()}
