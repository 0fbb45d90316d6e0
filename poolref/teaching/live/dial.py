"""A scene from two cameras: which crop of the right one is nearest to a crop of the left one, as the exponent turns?"""

from __future__ import annotations

from functools import cache
from math import isinf
from typing import TYPE_CHECKING, Any

import numpy as np

from poolref.numpy import avg_pool, gem_pool, max_pool
from poolref.regions import Whole, Window
from poolref.teaching import data
from poolref.teaching.live import pictures, still
from poolref.teaching.live.figure import LiveFigure, one_of, packed, real_number
from poolref.teaching.live.noise import normals

if TYPE_CHECKING:
    from poolref.teaching.live.widget import LiveWidget

SIDE = 48  # rows and columns of a crop
REDUCED = 4  # both photographs are brought to a quarter of their size first
SCENES = {"A": (77, 76), "B": (56, 20), "C": (0, 124)}  # upper left corners, chosen because the answer depends on p
DIRECTIONS = ("→", "↘", "↓", "↙", "←", "↖", "↑", "↗")  # where it is brighter
PS = (0.1, 0.25, 0.5, 1, 1.5, 2, 3, 4, 6, 10, 20, 50, "inf")  # what the slider goes through
NAMES = {"mean": 1, "GeM": 3, "maximum": "inf"}


def dial(
    query: str = "A",
    p: float = 1,
    direction: str = "→",
    noise: float = 0,
    *,
    predict: dict[str, Any] | None = None,
    label: str | None = None,
    **traits: Any,
) -> LiveWidget:
    """Return the live figure of a crop from the left camera, three from the right one, and their descriptors at p.

    An edge filter in eight directions and ReLU make eight maps of a crop.  Their generalized means, together brought to
    length 1, are its descriptor.  Every argument is a trait that can be read and set later; `distances` from the query
    to A, B and C, and `nearest`, follow.

    Args:
        query: which place is looked for, "A", "B" or "C".  Default "A".
        p: the exponent, from 0.1 to 100, or inf; the trait holds "inf" for that.  Default 1, the mean.
        direction: the map whose weights are shown, one of the arrows → ↘ ↓ ↙ ← ↖ ↑ ↗, which point where it is brighter.
        noise: the standard deviation of the normal noise on the query, 0 to 0.2.  Default 0.
        predict: a question that the reader answers before the descriptors are shown; see `LiveFigure`.
        label: the figure's name for its reader.  Default "From the mean to the maximum".

    Raises:
        TypeError: a trait has another name.
        ValueError: a value is not accepted.
        ImportError: anywidget is not installed.

    Source: radenovic2019; the pictures are those of `poolref.teaching.data.stereo`.
    """
    from poolref.teaching.live.widget import widget

    state = {"query": query, "p": p, "direction": direction, "noise": noise}
    return widget(Dial(label=label, predict=predict, **state, **traits))


class Dial(LiveFigure):
    """Query and candidates in one state.  See `poolref.teaching.live.dial` for its parts."""

    name = "dial"
    defaults = {"query": "A", "p": 1, "direction": "→", "noise": 0}  # noqa: RUF012

    @classmethod
    def check(cls, state, changed=()):
        state = dict(state)
        one_of("query", state["query"], SCENES)
        one_of("direction", state["direction"], DIRECTIONS)
        if state["p"] != "inf":
            infinite = isinstance(state["p"], float) and isinf(state["p"]) and state["p"] > 0
            state["p"] = "inf" if infinite else real_number("p", state["p"], 0.1, 100)
        state["noise"] = real_number("noise", state["noise"], 0, 0.2)
        return state

    @classmethod
    def data(cls):
        left, right = crops()
        return {
            "queries": {name: packed(crop) for name, crop in zip(SCENES, left, strict=True)},
            "candidates": {name: packed(crop) for name, crop in zip(SCENES, right, strict=True)},
            "kernels": KERNELS.tolist(),
            "directions": list(DIRECTIONS),
            "ps": list(PS),
            "names": NAMES,
        }

    @classmethod
    def results(cls, state):
        query, *others = descriptors(responses(shown(state)), float(state["p"]))
        distances = [float(np.linalg.norm(query - other)) for other in others]
        return {"distances": distances, "nearest": list(SCENES)[int(np.argmin(distances))]}

    def describe(self):
        state, found = self.state, self.results(self.state)
        far = ", ".join(f"{name} {d:.3f}" for name, d in zip(SCENES, found["distances"], strict=True))
        return (
            f"A crop from the left camera, at place {state['query']}, and three from the right one, at A, B and C; the "
            f"weights of their cells in one of eight edge maps, and a descriptor of eight numbers each. "
            f"With p = {still.short(float(state['p']))} the distances from the query are {far}: "
            f"nearest is {found['nearest']}."
        )

    def picture(self):
        state, found = self.state, self.results(self.state)
        side, gap = 150, 14
        crops_shown = shown(state)
        maps = responses(crops_shown)
        described = descriptors(maps, float(state["p"]))
        channel = DIRECTIONS.index(state["direction"])
        parts = []
        words = ["from the left"] + [
            f"{name}: {d:.3f}{', nearest' if name == found['nearest'] else ''}"
            for name, d in zip(SCENES, found["distances"], strict=True)
        ]
        for n, title in enumerate(words):
            left = gap + n * (side + gap)
            weights = shares(maps[n, channel], float(state["p"]))
            parts += [
                still.text(left + side / 2, 24, title),
                still.pixels(np.clip(crops_shown[n], 0, 1), left, 32, side, side),
                still.pixels(1 - weights / weights.max(), left, 40 + side, side, side),
            ]
            for i, value in enumerate(described[n]):
                high = 60 * value / described.max()
                box = f'x="{left + i * side / 8 + 2:g}" y="{2 * side + 112 - high:.1f}" width="{side / 8 - 4:g}"'
                parts.append(f'<rect {box} height="{high:.1f}" fill="{still.paint("value")}"/>')
                parts.append(still.text(left + (i + 0.5) * side / 8, 2 * side + 128, DIRECTIONS[i]))
        return still.svg(4 * (side + gap) + gap, 2 * side + 140, parts)


# --- crops, maps, descriptors ----------------------------------------------------------------------------------------

_UPRIGHT = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]) / 4
_ANGLES = np.arange(8) * np.pi / 4
KERNELS = np.multiply.outer(np.cos(_ANGLES), _UPRIGHT) + np.multiply.outer(np.sin(_ANGLES), _UPRIGHT.T)


@cache
def cameras() -> tuple[np.ndarray, np.ndarray]:
    """The scene from the left and from the right, in grey, at a quarter of its size: (125, 185) twice."""
    left, right, _ = data.stereo()
    return tuple(pictures.levels(avg_pool(data.grey(image), Window(REDUCED))) for image in (left, right))


def crops() -> tuple[np.ndarray, np.ndarray]:
    """The crops at A, B and C from the left and from the right: (3, 48, 48) twice."""
    return tuple(np.stack([image[r : r + SIDE, c : c + SIDE] for r, c in SCENES.values()]) for image in cameras())


def shown(state: dict[str, Any]) -> np.ndarray:
    """The query with its noise, then the candidates, (4, 48, 48)."""
    left, right = crops()
    query = left[list(SCENES).index(state["query"])]
    noise = state["noise"] * normals(query.size, 0).reshape(query.shape)
    return np.stack([query + noise, *right])


def responses(images: np.ndarray) -> np.ndarray:
    """What the edge filter finds in eight directions, after ReLU: (n, H, W) -> (n, 8, H - 2, W - 2)."""
    squares = np.lib.stride_tricks.sliding_window_view(images, (3, 3), axis=(-2, -1))
    return np.maximum(np.einsum("nrcuv,kuv->nkrc", squares, KERNELS, optimize=True), 0)


def descriptors(maps: np.ndarray, p: float) -> np.ndarray:
    """The generalized means of all maps of a picture, brought to length 1: (n, maps, H, W) -> (n, maps)."""
    means = (max_pool(maps, Whole()) if isinf(p) else gem_pool(maps, Whole(), p))[..., 0, 0]
    return means / np.linalg.norm(means, axis=1, keepdims=True)


def shares(response: np.ndarray, p: float) -> np.ndarray:
    """The weight of each cell of a map, its part in the sum of p-th powers: (H, W) -> (H, W)."""
    kept = np.maximum(response, 1e-6)
    if isinf(p):
        return (np.arange(kept.size) == kept.argmax()).reshape(kept.shape) * 1.0
    powers = (kept / kept.max()) ** p
    return powers / powers.sum()
