"""Pictures for the chapters: maps with their numbers, a window beside what it makes, and source code.

Colours as in the explorer: blue is a value, orange is what a region takes in.  Pictures stand on white, so that they
read the same on a light page and on a dark one.
"""

from __future__ import annotations

import inspect
import math
import re
import textwrap
from base64 import b64encode
from collections.abc import Callable, Iterable, Sequence
from html import escape
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np

from poolref.regions import Regions
from poolref.teaching.cards import rich
from poolref.teaching.extras import need

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Cell = Sequence[int]

PAPER, INK, SOFT_INK = "#f1f4f7", "#16202b", "#4c5a68"
BLUE, GREY, ORANGE = "#3f97d6", "#b9b1a6", "#b84a00"


def show(fig: Figure, alt: str, caption: str | None = None, name: str | None = None) -> None:
    """Display a matplotlib figure with the text that stands for it where it cannot be seen.

    Args:
        fig: the figure.  It is closed afterwards, so that Jupyter does not show it a second time.
        alt: what the picture shows, for a reader who cannot see it.
        caption: a line below the picture; `code` and $math$ may stand in it.  Default None.
        name: an id to link to, such as "fig-window".  Default None.

    Raises:
        TypeError: `fig` is not a matplotlib figure, or `alt` is not a string.
        ValueError: `alt` is empty.
    """
    if not isinstance(fig, need("matplotlib.figure").Figure):
        raise TypeError(f"fig must be a matplotlib figure, got {fig!r}")
    if not isinstance(alt, str):
        raise TypeError(f"alt must be a string that says what the picture shows, got {alt!r}")
    if not alt.strip():
        raise ValueError(f"alt must say what the picture shows, got {alt!r}")
    buffer = BytesIO()
    fig.savefig(buffer, format="png", dpi=144, facecolor="white", bbox_inches="tight", pad_inches=0.12)
    need("matplotlib.pyplot").close(fig)
    png = b64encode(buffer.getvalue()).decode()
    width = int.from_bytes(buffer.getvalue()[16:20], "big") // 2  # pixels, at two for each of the page's
    identity = f' id="{escape(name)}"' if name else ""
    below = f"<figcaption>{rich(caption)}</figcaption>" if caption else ""
    html = (
        f'<figure class="poolref-figure"{identity}><img src="data:image/png;base64,{png}" alt="{escape(alt)}" '
        f'width="{width}" style="max-width: 100%; height: auto; border-radius: 8px">{below}</figure>'
    )
    _display({"text/html": html, "image/png": png, "text/plain": alt})


def show_source(function: Callable | type) -> None:
    """Display the source of a function or class as it stands in its file.

    Raises:
        TypeError: `function` has no Python source.
    """
    try:
        source = textwrap.dedent(inspect.getsource(function)).rstrip()
    except (TypeError, OSError):
        raise TypeError(f"function must be a function or class written in Python, got {function!r}") from None
    # Markdown, because every reader of notebooks colours it in its own light or dark way.
    _display({"text/markdown": f"````python\n{source}\n````", "text/plain": source})


def draw_map(
    ax: Axes,
    array: np.ndarray,
    highlight: Iterable[Cell] = (),
    winners: Iterable[Cell] = (),
    title: str | None = None,
) -> None:
    """Draw a map of numbers on matplotlib axes: (H, W), or (W,) as one row.

    Args:
        ax: the axes.
        array: the numbers.
        highlight: cells to outline, as (row, column).  Default none.
        winners: cells to fill, as (row, column).  Default none.
        title: a line above the map.  Default None.

    Raises:
        ValueError: `array` has neither one axis nor two, or a cell lies outside it.
    """
    array = np.asarray(array, float)
    if array.ndim not in (1, 2):
        raise ValueError(f"array must have one axis or two, got shape {array.shape}")
    plane = np.atleast_2d(array)
    highlight, winners = _cells("highlight", highlight, array), _cells("winners", winners, array)
    rectangle = need("matplotlib.patches").FancyBboxPatch
    to_rgb = need("matplotlib.colors").to_rgb
    most = np.abs(plane[np.isfinite(plane)]).max(initial=0) or 1
    for (r, c), value in np.ndenumerate(plane):
        share = 0.62 * min(1, abs(value) / most) if not math.isnan(value) else 0
        tint = np.array(to_rgb(BLUE if value > 0 else GREY))
        fill = ORANGE if (r, c) in winners else tuple((1 - share) * np.array(to_rgb(PAPER)) + share * tint)
        edge = ORANGE if (r, c) in highlight or (r, c) in winners else "none"
        box = rectangle((c + 0.07, r + 0.07), 0.86, 0.86, boxstyle="round,pad=0,rounding_size=0.14")
        box.set(facecolor=fill, edgecolor=edge, linewidth=2)
        ax.add_patch(box)
        style = {"color": "white", "weight": "bold"} if (r, c) in winners else {"color": INK}
        text = short(value)
        fontsize = 12 if len(text) < 4 else 10
        ax.text(c + 0.5, r + 0.52, text, ha="center", va="center", fontsize=fontsize, **style)
    ax.set(xlim=(-0.05, plane.shape[1] + 0.05), ylim=(plane.shape[0] + 0.05, -0.05), aspect="equal")
    ax.axis("off")
    if title:
        ax.set_title(title, fontsize=11, color=SOFT_INK, loc="left")


def draw_pool(
    x: np.ndarray,
    regions: Regions,
    operator_output: np.ndarray,
    output_index: Cell | None = None,
    winners: Iterable[Cell] = (),
) -> Figure:
    """Draw a map beside its output, with one output cell and the region it is made of lit, and return the figure.

    Args:
        x: the map, (H, W) or (W,).
        regions: which cells belong together.
        operator_output: what an operator made of `x` over `regions`.
        output_index: the output cell to light, (row, column).  Default: the first.
        winners: cells of `x` to fill, such as the one that holds the maximum.  Default none.

    Raises:
        ValueError: `operator_output` has not the shape that `regions` give, or `output_index` lies outside it.
    """
    x, output = np.asarray(x, float), np.asarray(operator_output, float)
    expected = regions.output_shape(x.shape)
    if output.shape != expected:
        raise ValueError(f"operator_output must have the shape {expected} that regions give, got {output.shape}")
    index = (0,) * output.ndim if output_index is None else tuple(output_index)
    seen = regions.cells(index, x.shape)
    wide = [np.atleast_2d(a).shape[1] for a in (x, output)]
    high = max(np.atleast_2d(a).shape[0] for a in (x, output))
    figure = need("matplotlib.pyplot").figure(figsize=(0.52 * (sum(wide) + 2), 0.52 * high + 0.4))
    left, right = figure.subplots(1, 2, width_ratios=wide, gridspec_kw={"wspace": 2 / (sum(wide) / 2)})
    draw_map(left, x, seen, winners, "Map")
    draw_map(right, output, [index], title="Output")
    for ax in (left, right):
        ax.set_anchor("NW")
    return figure


def _cells(name: str, cells: Iterable[Cell], array: np.ndarray) -> set[tuple[int, int]]:
    found = set()
    for cell in map(tuple, cells):
        if len(cell) != array.ndim or not all(0 <= i < n for i, n in zip(cell, array.shape, strict=True)):
            raise ValueError(f"{name} must hold cells inside the shape {array.shape}, got {cell}")
        found.add((0, *cell) if array.ndim == 1 else cell)
    return found


def short(value: float) -> str:
    """A number as it fits into a cell: at most two decimals, and .5 for 0.5."""
    value = round(float(value), 2) + 0.0 if math.isfinite(value) else value  # + 0.0: no minus before a zero
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    text = f"{value:.0f}" if value.is_integer() or abs(value) >= 1000 else f"{value:.2f}".rstrip("0").rstrip(".")
    return re.sub(r"^(-?)0\.", r"\1.", text).replace("-", "−")


def _display(bundle: dict[str, Any]) -> None:
    need("IPython.display").display(bundle, raw=True)
