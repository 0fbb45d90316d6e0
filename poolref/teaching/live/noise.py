"""Patches of three textures under noise: do they stay apart when one number is made of each filtered patch?"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from poolref import catalog
from poolref.regions import Whole
from poolref.teaching import data
from poolref.teaching.live import photo, pictures, still
from poolref.teaching.live.explorer import OPERATORS
from poolref.teaching.live.figure import LiveFigure, one_of, packed, real_number

if TYPE_CHECKING:
    from poolref.teaching.live.widget import LiveWidget

TEXTURES = ("brick", "grass", "gravel")
SIDE, ACROSS = 32, 5  # rows and columns of a patch; patches across and down the part of each texture that is cut up
FILTERS = {name: photo.FILTERS[name] for name in ("all edges", "upright edges", "level edges")}
REDUCERS = {name: OPERATORS[name] for name in ("average", "max", "min", "sum", "lp")}
IMPULSE = 4.0  # what a struck cell holds, up or down; a patch has mean 0 and standard deviation 1


def noise(
    filter: str = "all edges",
    operator: str = "average",
    beside: str = "max",
    noise: float = 0.5,
    struck: float = 0,
    *,
    predict: dict[str, Any] | None = None,
    label: str | None = None,
    **traits: Any,
) -> LiveWidget:
    """Return the live figure of 75 patches of brick, grass and gravel under noise, told apart by one number each.

    Every patch has mean 0 and standard deviation 1 before the noise.  A filter and the absolute value make a map of
    it, and a reducer one number of the map.  A patch is told apart if its number lies nearest to its own texture's
    mean, from which the patch itself is left out.  Every argument is a trait that can be read and set later;
    `told_apart` holds for both reducers how many patches are.

    Args:
        filter: "all edges", "upright edges" or "level edges".  Default "all edges".
        operator, beside: "average", "max", "min", "sum" or "lp" (with p = 2).  Default "average" beside "max".
        noise: the standard deviation of the normal noise, 0 to 2.  Default 0.5.
        struck: how many cells in a hundred are set to -4 or 4, 0 to 10.  Default 0.
        predict: a question that the reader answers before the numbers are shown; see `LiveFigure`.
        label: the figure's name for its reader.  Default "Textures under noise".

    Raises:
        TypeError: a trait has another name.
        ValueError: a value is not accepted.
        ImportError: anywidget is not installed.
    """
    from poolref.teaching.live.widget import widget

    state = {"filter": filter, "operator": operator, "beside": beside, "noise": noise, "struck": struck}
    return widget(Noise(label=label, predict=predict, **state, **traits))


class Noise(LiveFigure):
    """The patches in one state.  See `poolref.teaching.live.noise` for its parts."""

    name = "noise"
    defaults = {"filter": "all edges", "operator": "average", "beside": "max", "noise": 0.5, "struck": 0}  # noqa: RUF012

    @classmethod
    def check(cls, state, changed=()):
        state = dict(state)
        one_of("filter", state["filter"], FILTERS)
        one_of("operator", state["operator"], REDUCERS)
        one_of("beside", state["beside"], REDUCERS)
        state["noise"] = real_number("noise", state["noise"], 0, 2)
        state["struck"] = real_number("struck", state["struck"], 0, 10)
        return state

    @classmethod
    def data(cls):
        return {
            "textures": {name: packed(texture) for name, texture in textures().items()},
            "side": SIDE,
            "impulse": IMPULSE,
            "filters": FILTERS,
            "operators": [[name, row.title] for name, row in REDUCERS.items()],
        }

    @classmethod
    def results(cls, state):
        return {"told_apart": {name: int(right(features(state, state[name])).sum()) for name in ("operator", "beside")}}

    def describe(self):
        state, told = self.state, self.results(self.state)["told_apart"]
        words = [f"{told[name]} of {3 * ACROSS**2} by {REDUCERS[state[name]].title}" for name in ("operator", "beside")]
        return (
            f"A patch each of brick, grass and gravel under noise, what a filter makes of it, and one number of each "
            f"of {3 * ACROSS**2} patches. Normal noise of {state['noise']:g}, {state['struck']:g} % of cells struck. "
            f"Nearest to the mean of their own texture lie {words[0]} and {words[1]}."
        )

    def picture(self):
        state, side, gap = self.state, 84, 12
        noisy, maps = noisy_patches(state), responses(state)
        parts = []
        for n, name in enumerate(TEXTURES):
            first = n * ACROSS**2
            for row, (words, values) in enumerate(
                [(name, (noisy[first] + IMPULSE) / (2 * IMPULSE)), ("filtered", maps[first] / maps[:: ACROSS**2].max())]
            ):
                left = gap + (2 * n + row) * (side + gap)
                parts += [still.text(left + side / 2, 24, words)]
                parts += [still.pixels(np.clip(values, 0, 1), left, 32, side, side)]
        width, top = 6 * (side + gap) + gap, 150
        for name in ("operator", "beside"):
            values = features(state, state[name])
            hit, low, spread = right(values), values.min(), np.ptp(values) or 1
            words = f"{REDUCERS[state[name]].title}: {hit.sum()} of {values.size} told apart"
            parts.append(still.text(gap, top, words, text_anchor="start"))
            for n, texture in enumerate(TEXTURES):
                y = top + 18 + 18 * n
                parts.append(still.text(gap, y + 4, texture, text_anchor="start"))
                for value, is_right in zip(values[n], hit[n], strict=True):
                    x = 70 + (width - 90) * (value - low) / spread
                    fill = still.paint("region" if is_right else "paper")
                    dot = f'<circle cx="{x:.1f}" cy="{y}" r="4" fill="{fill}" stroke="{still.paint("region")}"/>'
                    parts.append(dot)
            top += 88
        return still.svg(width, top - 8, parts)


# --- noise that Python and the page draw alike -----------------------------------------------------------------------


def uniforms(count: int, seed: int) -> np.ndarray:
    """Numbers between 0 and 1, (count,): what MurmurHash3's last step makes of count·seed + 1, count·seed + 2, ..."""
    with np.errstate(over="ignore"):
        mixed = (np.arange(1, count + 1, dtype=np.uint32) + np.uint32(count * seed)) * np.uint32(0x9E3779B1)
        for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
            mixed = (mixed ^ (mixed >> np.uint32(shift))) * np.uint32(factor)
    return ((mixed ^ (mixed >> np.uint32(16))) + 0.5) / 2**32


def normals(count: int, seed: int) -> np.ndarray:
    """Normal numbers with mean 0 and standard deviation 1, (count,): Box and Muller's of `uniforms`."""
    radius = np.sqrt(-2 * np.log(uniforms(count, 2 * seed)))
    return radius * np.cos(2 * np.pi * uniforms(count, 2 * seed + 1))


# --- patches, filtered, pooled, told apart ---------------------------------------------------------------------------


@cache
def textures() -> dict[str, np.ndarray]:
    """The middle of each texture, as many cells as its patches take."""
    size = SIDE * ACROSS
    middle = slice((512 - size) // 2, (512 + size) // 2)
    return {name: pictures.levels(data.picture(name)[middle, middle]) for name in TEXTURES}


@cache
def patches() -> np.ndarray:
    """The patches without noise, (75, 32, 32), texture by texture, each with mean 0 and standard deviation 1."""
    cut = [
        texture.reshape(ACROSS, SIDE, ACROSS, SIDE).swapaxes(1, 2).reshape(-1, SIDE, SIDE)
        for texture in textures().values()
    ]
    cut = np.concatenate(cut)
    cut = cut - cut.mean((1, 2), keepdims=True)
    return cut / cut.std((1, 2), keepdims=True)


def noisy_patches(state: dict[str, Any]) -> np.ndarray:
    """The patches with the noise of a state, (75, 32, 32)."""
    clean = patches()
    normal, chance, sign = (
        drawn.reshape(clean.shape)
        for drawn in (normals(clean.size, 0), uniforms(clean.size, 2), uniforms(clean.size, 3))
    )
    impulses = np.where(sign < 0.5, -IMPULSE, IMPULSE)
    return np.where(chance < state["struck"] / 100, impulses, clean + state["noise"] * normal)


def responses(state: dict[str, Any]) -> np.ndarray:
    """The magnitude of what the filter makes of every noisy patch, (75, 30, 30)."""
    squares = np.lib.stride_tricks.sliding_window_view(noisy_patches(state), (3, 3), axis=(1, 2))
    return np.abs(np.einsum("nrcuv,uv->nrc", squares, np.array(FILTERS[state["filter"]], float)))


def features(state: dict[str, Any], operator: str) -> np.ndarray:
    """One number of every patch, (3 textures, 25 patches)."""
    pool = catalog.resolve(REDUCERS[operator].numpy)
    return pool(responses(state), Whole()).reshape(len(TEXTURES), -1)


def right(values: np.ndarray) -> np.ndarray:
    """Which patches lie nearest to their own class's mean, the patch itself left out: (classes, patches) -> bools."""
    classes, count = values.shape
    means = np.broadcast_to(values.mean(1), (classes, count, classes)).copy()
    own = np.arange(classes)
    means[own, :, own] = (values.sum(1, keepdims=True) - values) / (count - 1)
    return np.abs(values[..., None] - means).argmin(-1) == own[:, None]
