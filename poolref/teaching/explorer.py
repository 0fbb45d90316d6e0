"""The live figure: a map, a window that slides over it, the output it makes, and the gradient that flows back.

It is shown as a Jupyter widget where there is a kernel, and as HTML that explorer.js brings to life where there is
none: on a published page it answers without a server.  Without JavaScript there is a picture.
"""

from __future__ import annotations

import json
from base64 import b64encode
from functools import cache
from html import escape
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from poolref import catalog
from poolref.regions import Window
from poolref.teaching import data
from poolref.teaching.figures import short

if TYPE_CHECKING:
    from poolref.teaching.widget import Explorer

# What a page needs to bring `html` to life.
ASSETS = tuple(Path(__file__).with_name(name) for name in ("explorer.js", "pooling.js", "explorer.css"))

LARGEST = 12  # rows and columns of a map

OPERATORS = {row.name: row for row in catalog.OPERATORS if row.explorer}


def explorer(
    operator: str = "max",
    kernel_size: int = 2,
    stride: int | None = None,
    padding: int = 0,
    dilation: int = 1,
    ceil_mode: bool = False,
    values: str | np.ndarray | list[list[float]] = "digit",
    gradient: bool = False,
    **traits: Any,
) -> Explorer:
    """Return the live figure for one operator, one window and one map.

    Every argument is a trait that can be read and set later; `output` holds the pooled map.

    Args:
        operator: "max", "average", "sum", "min", "lp" (p = 2) or "soft".  Default "max".
        kernel_size, stride, padding, dilation, ceil_mode: as in `poolref.regions.Window`, ints for both axes.
        values: "digit", "photograph", "ties", "negatives", or a 2-d array of at most 12x12 finite numbers.
        gradient: whether the gradient is shown.  Default False.
        traits: `selected`, the [row, column] of the chosen output cell, by default the middle one; `gradient_of`, "sum"
            (of all outputs, the default) or "output" (the chosen one); `count_include_pad`, for the average, True.

    Raises:
        TraitError: a value is not accepted, or the window does not fit.
        ImportError: anywidget is not installed.
    """
    from poolref.teaching.widget import Explorer

    stride = kernel_size if stride is None else stride
    window = {"kernel_size": kernel_size, "stride": stride, "padding": padding, "dilation": dilation}
    return Explorer(operator=operator, **window, ceil_mode=ceil_mode, values=values, gradient=gradient, **traits)


@cache
def maps() -> dict[str, list[list[float]]]:
    """The maps a reader can choose from, by name."""
    made = {
        "digit": data.digit(),
        "photograph": data.photograph(10).round(2),
        "ties": data.ties(),
        "negatives": data.negatives(),
    }
    return {name: _rows(values) for name, values in made.items()}


def map_of(values: str | np.ndarray | list[list[float]]) -> list[list[float]]:
    """Return `values` as a list of rows; a ValueError if it is neither the name of a map nor a small 2-d array."""
    accepted = (
        f"values must be one of {', '.join(maps())}, or 1 to {LARGEST} equal rows of 1 to {LARGEST} finite numbers"
    )
    if isinstance(values, str):
        if values not in maps():
            raise ValueError(f"{accepted}, got {values!r}")
        return maps()[values]
    try:
        array = np.asarray(values, dtype=float)
    except (TypeError, ValueError):
        raise ValueError(f"{accepted}, got {values!r}") from None
    if array.ndim != 2 or not all(1 <= n <= LARGEST for n in array.shape) or not np.isfinite(array).all():
        raise ValueError(f"{accepted}, got {values!r}")
    return _rows(array)


def _rows(array: np.ndarray) -> list[list[float]]:
    return [[int(v) if v.is_integer() else v for v in row] for row in array.tolist()]


def window_of(state: dict[str, Any]) -> Window:
    """Return the window of a figure's state."""
    return Window(**{name: state[name] for name in ("kernel_size", "stride", "padding", "dilation", "ceil_mode")})


def output_of(state: dict[str, Any]) -> list[list[float]]:
    """Return the output of a figure's state, as a list of rows."""
    arguments = {"count_include_pad": state["count_include_pad"]} if state["operator"] == "average" else {}
    pool = catalog.resolve(OPERATORS[state["operator"]].numpy)
    return pool(np.array(state["values"], float), window_of(state), **arguments).tolist()


def menus() -> dict[str, Any]:
    """What a reader can choose from: the maps by name, and the name and title of each operator."""
    return {"maps": maps(), "operators": [[row.name, row.title] for row in OPERATORS.values()]}


# --- without a kernel ------------------------------------------------------------------------------------------------


def html(state: dict[str, Any]) -> str:
    """Return the figure as HTML: its state as JSON for explorer.js, around a picture for where that does not run."""
    packed = json.dumps({**state, **menus()}, separators=(",", ":"))
    packed = packed.replace("&", "&amp;").replace("<", "&lt;").replace("'", "&#39;")
    source = "data:image/svg+xml;base64," + b64encode(picture(state).encode()).decode()
    image = f'<img src="{source}" alt="{escape(description(state))}">'
    return f"<div class=\"poolref-explorer\" data-poolref-explorer='{packed}'>{image}</div>"


def description(state: dict[str, Any]) -> str:
    """Return the figure in words."""
    shape, window, output = np.shape(state["values"]), window_of(state), output_of(state)
    row, column = state["selected"]
    return (
        f"A map of {shape[0]} by {shape[1]} numbers and beside it the output, {len(output)} by "
        f"{len(output[0])}. {OPERATORS[state['operator']].title}, kernel {window.kernel_size[0]}, stride "
        f"{window.stride[0]}, padding {window.padding[0]}, dilation {window.dilation[0]}. The window that makes output "
        f"({row}, {column}) = {output[row][column]:.4g} is outlined."
    )


def picture(state: dict[str, Any]) -> str:
    """Return the figure as an SVG that stands on any background."""
    size, gap, margin = 32, 56, 16
    window, output = window_of(state), output_of(state)
    shape, out_shape = np.shape(state["values"]), np.shape(output)
    k, s, p, d = (v[0] for v in (window.kernel_size, window.stride, window.padding, window.dilation))
    corner = [i * s - p for i in state["selected"]]
    ends = [start + d * (k - 1) for start in corner]
    before, after = p, max(p, *(end + 1 - n for end, n in zip(ends, shape, strict=True)))
    wide, high = ((n + before + after) * size for n in reversed(shape))
    left = 2 * margin + wide + gap  # of the output
    total_high = max(high, out_shape[0] * size) + 2 * margin
    total_wide = left + out_shape[1] * size + margin

    parts = [f'<rect width="{total_wide}" height="{total_high}" rx="12" fill="#fff" stroke="#d5dce3"/>']
    if p:
        padded = [(n + 2 * p) * size for n in shape]
        parts.append(
            f'<rect x="{margin}" y="{margin}" width="{padded[1]}" height="{padded[0]}" fill="none" stroke="#717f8d" '
            'stroke-dasharray="4 4"/>'
        )
    seen = set(window.cells(state["selected"], shape))
    parts += _cells(state["values"], margin + before * size, margin + before * size, size, seen)
    parts += _cells(output, left, margin, size, set())
    y, x = (margin + (before + start) * size for start in corner)
    parts.append(_frame(x, y, (d * (k - 1) + 1) * size))
    row, column = state["selected"]
    parts.append(_frame(left + column * size, margin + row * size, size))
    x, y = left - gap, margin + min(high, out_shape[0] * size) // 2
    parts.append(f'<path d="M{x} {y}h{gap - 20}m-7 -6l7 6l-7 6" fill="none" stroke="#4c5a68" stroke-width="2"/>')
    size_text = f'viewBox="0 0 {total_wide} {total_high}" width="{total_wide}" height="{total_high}"'
    group = '<g font-family="sans-serif" font-size="12" text-anchor="middle">'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size_text}>{group}{"".join(parts)}</g></svg>'


def _cells(values: list[list[float]], left: int, top: int, size: int, seen: set[tuple[int, int]]) -> list[str]:
    most = max((abs(v) for row in values for v in row if abs(v) < np.inf), default=0) or 1
    parts = []
    for r, c in product(range(len(values)), range(len(values[0]))):
        v, x, y = values[r][c], left + c * size, top + r * size
        share = 0.62 * min(1, abs(v) / most) if v == v else 0
        paper, tint = (241, 244, 247), (63, 151, 214) if v > 0 else (185, 177, 166)
        fill = "".join(f"{round(a + share * (b - a)):02x}" for a, b in zip(paper, tint, strict=True))
        ring = ' stroke="#b84a00" stroke-width="1.5"' if (r, c) in seen else ""
        side = size - 2
        parts.append(f'<rect x="{x + 1}" y="{y + 1}" width="{side}" height="{side}" rx="5" fill="#{fill}"{ring}/>')
        parts.append(f'<text x="{x + size // 2}" y="{y + size // 2 + 4}" fill="#16202b">{short(v)}</text>')
    return parts


def _frame(x: int, y: int, side: int) -> str:
    return (
        f'<rect x="{x}" y="{y}" width="{side}" height="{side}" rx="6" fill="none" stroke="#b84a00" stroke-width="3"/>'
    )
