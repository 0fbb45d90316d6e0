"""Pictures for the chapters, drawn by one pen: maps with their numbers, windows, gradients, photographs, charts.

    show(
        draw(Map(x, region=[(2, 2), (2, 3)], winners=[(2, 3)], title="Map"), "max", Map(y, title="Output")),
        alt="What the picture shows, for a reader who cannot see it.",
        caption="A line below it.",
        name="fig-max",
    )

A drawing is SVG in the colours of tokens.css: blue is a value, orange what a region takes in, solid orange a winner,
green and violet a gradient above and below 0, a hatch padding.  All values of a drawing share one scale, all numbers
stand in cells of one size.  On the site it follows the page's theme; elsewhere it stands on white.
"""

from __future__ import annotations

import inspect
import math
import re
import struct
import textwrap
import zlib
from base64 import b64encode
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape
from io import BytesIO
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from poolref.regions import Regions, Window
from poolref.teaching.cards import rich
from poolref.teaching.extras import need
from poolref.teaching.tokens import alone, chart_style, paint, shares, themed

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Cell = Sequence[int]

CELL, GAP, MARGIN, TITLE = 34, 18, 4, 22  # pixels
COLUMN, PHONE = 780, 344  # the widest that a page has room for, and a phone
FULL, FULL_GRADIENT = shares["most"], shares["most-gradient"]  # of its colour that the largest value gets
FACE = "var(--pr-face, system-ui, sans-serif)"


# --- what a drawing is made of ---------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Panel:
    """A part of a drawing: its values, and a title above it."""

    values: Any
    region: Iterable[Cell] = ()
    winners: Iterable[Cell] = ()
    title: str | None = None

    def __post_init__(self) -> None:
        array = np.asarray(self.values, float)
        if array.ndim not in self.ranks or not array.size:
            axes = " or ".join({1: "one axis", 2: "two axes", 3: "three axes"}[n] for n in self.ranks)
            raise ValueError(f"values must have {axes} and at least one cell, got shape {array.shape}")
        object.__setattr__(self, "values", array)
        for name in ("region", "winners"):
            object.__setattr__(self, name, self._cells(name, getattr(self, name)))

    ranks = (1, 2)
    margin = 0  # cells of padding on each side
    half = CELL / 2  # pixels from the middle of a cell to its edge

    def _cells(self, name: str, cells: Iterable[Cell]) -> frozenset[tuple[int, ...]]:
        shape, found = self.values.shape, set()
        for cell in (tuple(int(i) for i in np.atleast_1d(cell)) for cell in cells):
            inside = len(cell) == len(shape) and all(
                -self.margin <= i < n + self.margin for i, n in zip(cell, shape, strict=True)
            )
            if not inside:
                raise ValueError(f"{name} must hold cells inside the shape {shape}, got {cell}")
            found.add((0, *cell) if len(shape) == 1 else cell)
        return frozenset(found)

    @property
    def most(self) -> float:
        """The largest finite magnitude: what the drawing's scale is made of."""
        return float(np.abs(self.values[np.isfinite(self.values)]).max(initial=0))

    @property
    def size(self) -> tuple[float, float]:
        """Width and height in pixels, without the title."""
        rows, columns = np.atleast_2d(self.values).shape[:2]
        return (columns + 2 * self.margin) * CELL, (rows + 2 * self.margin) * CELL

    def centre(self, cell: Cell) -> tuple[float, float]:
        """The middle of a cell, from the panel's upper left corner."""
        row, column = (0, *cell) if self.values.ndim == 1 else cell
        return (column + self.margin + 0.5) * CELL, (row + self.margin + 0.5) * CELL

    def parts(self, most: float) -> list[str]:
        """The SVG of the panel, its upper left corner at (0, 0)."""
        raise NotImplementedError


@dataclass(frozen=True, eq=False)
class Map(Panel):
    """A map of numbers, (H, W), or (W,) as one row.

    Args:
        values: the numbers.
        region: cells to outline, as (row, column), or (column,) of a row; with padding they may lie in it.
        winners: cells to fill.
        title: a line above the map.  Default None.
        padding: cells of padding on each side, hatched.  Default 0.
        bins: regions to outline, all of them, each a little inside the last where they overlap.  Default none.
        weights: for each cell its weight, 0 to 1, as a bar at its foot; same shape.  Default none.
    """

    padding: int = 0
    bins: Regions | None = None
    weights: Any = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "margin", int(self.padding))
        super().__post_init__()
        if self.weights is not None and np.shape(self.weights) != self.values.shape:
            raise ValueError(f"weights must have the shape {self.values.shape}, got {np.shape(self.weights)}")

    def _fill(self, value: float, most: float) -> tuple[str, float]:
        share = FULL * min(1, abs(value) / most) if most and not math.isnan(value) else 0
        return ("value" if value > 0 else "below"), share

    def parts(self, most: float) -> list[str]:
        plane, p = np.atleast_2d(self.values), self.margin
        rows, columns = plane.shape
        out = []
        for r, c in product(range(-p, rows + p), range(-p, columns + p)):
            x, y = (c + p) * CELL, (r + p) * CELL
            if not (0 <= r < rows and 0 <= c < columns):
                out.append(_box(x, y, "url(#hatch)"))
                continue
            value, winner = float(plane[r, c]), (r, c) in self.winners
            name, share = self._fill(value, most)
            out.append(_box(x, y, paint("region" if winner else "cell")))
            if share > 0.005 and not winner:
                out.append(_box(x, y, paint(name), share))
            if self.weights is not None:
                wide = _n(float(np.atleast_2d(self.weights)[r, c]) * (CELL - 2))
                out.append(f'<rect x="{x + 1}" y="{y + CELL - 6}" width="{wide}" height="5" fill="{paint("region")}"/>')
            out.append(_number(x, y, value, winner))
        if self.bins is not None:
            shape = self.values.shape
            for index in np.ndindex(self.bins.output_shape(shape)):
                cells = [(0, *cell) if len(shape) == 1 else cell for cell in self.bins.cells(index, shape)]
                inset = 1.5 + 3 * (sum(index) % 2)
                out.append(_outline([(r + p, c + p) for r, c in cells], "soft", 1.5, inset))
        out.append(_outline([(r + p, c + p) for r, c in self.region], "region", 3))
        return out


@dataclass(frozen=True, eq=False)
class Gradient(Map):
    """A map of gradients: as `Map`, in the diverging pair around 0, on a scale of their own."""

    def _fill(self, value: float, most: float) -> tuple[str, float]:
        share = FULL_GRADIENT * min(1, abs(value) / most) if most and not math.isnan(value) else 0
        return ("gain" if value > 0 else "loss"), share


@dataclass(frozen=True, eq=False)
class Signal(Panel):
    """A signal, (W,), as bars over their numbers; `region` and `winners` as in `Map`."""

    ranks = (1,)
    height = 3 * CELL

    @property
    def size(self) -> tuple[float, float]:
        return len(self.values) * CELL, self.height + CELL

    def centre(self, cell: Cell) -> tuple[float, float]:
        return (cell[0] + 0.5) * CELL, self.height + CELL / 2

    def parts(self, most: float) -> list[str]:
        unit = self.height / ((most or 1) * (2 if (self.values < 0).any() else 1))
        zero = self.height if not (self.values < 0).any() else self.height / 2
        out = []
        for c, value in enumerate(self.values.tolist()):
            bar = min(abs(value), most) * unit if math.isfinite(value) else 0
            y = zero - bar if value > 0 else zero
            colour = paint("region" if (0, c) in self.winners else "value" if value > 0 else "below")
            x, wide = c * CELL + 4, CELL - 8
            out.append(f'<rect x="{x}" y="{_n(y)}" width="{wide}" height="{_n(bar)}" rx="3" fill="{colour}"/>')
            out.append(_number(c * CELL, self.height, value, False))
        out.append(_line(0, zero, len(self.values) * CELL, zero, "edge"))
        if self.region:
            cells = [(0, c) for _, c in self.region]
            tall = self.size[1]
            out.append(_outline(cells, "region", 3, high=tall))
        return out


@dataclass(frozen=True, eq=False)
class Volume(Panel):
    """A volume of numbers, (D, H, W), as planes one below the other, seen from above; plane 0 on top."""

    ranks = (3,)
    slant, flat = 0.45, 0.72  # a plane's x moves by -slant for each y; its y shrinks to flat

    @property
    def _pitch(self) -> float:
        return self.flat * self.values.shape[1] * CELL + 14

    @property
    def size(self) -> tuple[float, float]:
        depth, rows, columns = self.values.shape
        return (columns + self.slant * rows) * CELL, depth * self._pitch - 14

    def _corner(self, plane: int) -> tuple[float, float]:
        return self.slant * self.values.shape[1] * CELL, plane * self._pitch

    def centre(self, cell: Cell) -> tuple[float, float]:
        plane, row, column = cell
        x, y = self._corner(plane)
        return x + (column + 0.5 - self.slant * (row + 0.5)) * CELL, y + self.flat * (row + 0.5) * CELL

    def parts(self, most: float) -> list[str]:
        out = []
        for number, plane in enumerate(self.values):
            mine = {name: [c[1:] for c in getattr(self, name) if c[0] == number] for name in ("region", "winners")}
            x, y = self._corner(number)
            turn = f"matrix(1 0 {-self.slant} {self.flat} {_n(x)} {_n(y)})"
            out += [f'<g transform="{turn}">', *Map(plane, **mine).parts(most), "</g>"]
        return out


@dataclass(frozen=True, eq=False)
class Heat(Panel):
    """A map too large for numbers, (H, W), in colour alone; `region` is outlined, `winners` are filled.

    Args:
        side: pixels of its longer side.  Default 156.
        diverging: whether it is a gradient, in the pair around 0.  Default False.
    """

    side: int = 156
    diverging: bool = False

    ranks = (2,)

    @property
    def _pitch(self) -> float:
        return self.side / max(self.values.shape[:2])

    @property
    def size(self) -> tuple[float, float]:
        rows, columns = self.values.shape[:2]
        return columns * self._pitch, rows * self._pitch

    @property
    def half(self) -> float:
        return self._pitch / 2

    def centre(self, cell: Cell) -> tuple[float, float]:
        return (cell[1] + 0.5) * self._pitch, (cell[0] + 0.5) * self._pitch

    def _layers(self, most: float) -> list[str]:
        wide, high = map(_n, self.size)
        names = ("gain", "loss") if self.diverging else ("value", "below")
        out = [f'<rect width="{wide}" height="{high}" fill="{paint("cell")}"/>']
        for name, plane in zip(names, (self.values, -self.values), strict=True):
            if (plane > 0).any():
                # A white picture as opaque as the value is large: as a mask it lets that much of the colour through.
                opacity = np.nan_to_num(np.clip(plane / (most or 1), 0, 1))
                mask = f"{name}-{zlib.crc32(opacity.tobytes()):x}"
                picture = _image(np.rint(255 * opacity).astype(np.uint8), self.size)
                out.append(f'<mask id="{mask}">{picture}</mask>')
                out.append(f'<rect width="{wide}" height="{high}" fill="{paint(name)}" mask="url(#{mask})"/>')
        return out

    def parts(self, most: float) -> list[str]:
        out = self._layers(most)
        for r, c in sorted(self.winners):
            x, y, side = _n(c * self._pitch), _n(r * self._pitch), _n(self._pitch)
            out.append(f'<rect x="{x}" y="{y}" width="{side}" height="{side}" fill="{paint("region")}"/>')
        return [*out, _outline(self.region, "region", 3, cell=self._pitch)]


@dataclass(frozen=True, eq=False)
class Photograph(Heat):
    """A photograph, (H, W) in grey or (H, W, 3) in colour, 0 (black) to 1 (white); as `Heat`, and on no scale."""

    ranks = (2, 3)
    most = 0.0

    def _cells(self, name: str, cells: Iterable[Cell]) -> frozenset[tuple[int, ...]]:
        shape = self.values.shape
        if len(shape) == 3 and shape[2] != 3:
            raise ValueError(f"values must be (H, W) or (H, W, 3), got shape {shape}")
        found = frozenset(tuple(int(i) for i in cell) for cell in cells)
        for cell in found:
            if len(cell) != 2 or not all(0 <= i < n for i, n in zip(cell, shape[:2], strict=True)):
                raise ValueError(f"{name} must hold cells inside the shape {shape[:2]}, got {cell}")
        return found

    def _layers(self, most: float) -> list[str]:
        return [_image(np.rint(255 * np.clip(self.values, 0, 1)).astype(np.uint8), self.size)]


@dataclass(frozen=True, eq=False)
class Drawing:
    """Panels from left to right, as `draw` takes them."""

    items: tuple[Panel | str | list, ...]
    arrows: tuple[tuple[tuple[int, Cell], tuple[int, Cell]], ...] = ()

    @property
    def panels(self) -> list[Panel]:
        return [panel for panel in _flat(self.items) if isinstance(panel, Panel)]

    def svg(self, width: int = COLUMN) -> str:
        """Return the SVG, its panels in as many rows as `width` pixels ask for."""
        placed, wide, high = _layout(self.items, width - 2 * MARGIN)
        most = {
            kind: max((p.most for p in self.panels if _is_gradient(p) == kind), default=0) for kind in (False, True)
        }
        out, corners, titles = [], [], []
        halo = f' stroke="{paint("paper")}" stroke-width="5" paint-order="stroke"' if self.arrows else ""
        for item, x, y in placed:
            if isinstance(item, str):
                out.append(f'<g transform="translate({_n(x)} {_n(y)})">{_sign(item)}</g>')
                continue
            corners.append((item, x, y + (TITLE if item.title else 0)))
            if item.title:
                place = f'x="{_n(x + 1)}" y="{_n(y + 14)}" fill="{paint("soft")}"'
                titles.append(f"<text {place}{halo}>{escape(item.title)}</text>")
            body = "".join(item.parts(most[_is_gradient(item)]))
            # Numbers are centred once, for all of them.
            out.append(f'<g transform="translate({_n(x)} {_n(corners[-1][2])})" text-anchor="middle">{body}</g>')
        out += map(_arrow, _ways([[(*corners[i], cell) for i, cell in ends] for ends in self.arrows]))
        out += titles  # above the arrows, which may pass below them
        wide, high = math.ceil(wide) + 2 * MARGIN, math.ceil(high) + 2 * MARGIN
        body = "".join(out)
        if "url(#hatch)" in body:
            stripe = f'<path d="M-1 7L7 -1M-1 1L1 -1M5 7L7 5" stroke="{paint("line")}" stroke-width="1.2"/>'
            size = 'width="6" height="6" patternUnits="userSpaceOnUse"'
            body = f'<defs><pattern id="hatch" {size}>{stripe}</pattern></defs>' + body
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{-MARGIN} {-MARGIN} {wide} {high}" width="{wide}" '
            f'height="{high}" style="font-family:{FACE}" font-size="13"><rect x="{-MARGIN}" y="{-MARGIN}" '
            f'width="{wide}" height="{high}" fill="{paint("paper")}"/>{body}</svg>'
        )


def draw(*items: Panel | str | list, arrows: Iterable[tuple[tuple[int, Cell], tuple[int, Cell]]] = ()) -> Drawing:
    """Return a drawing of panels from left to right.

    Args:
        items: panels; between them "×", "+", "−", "=" as signs, and any other text as an arrow with that word over it
            ("" for none).  The panels of a list stand one below the other.
        arrows: pairs of ends, each (number of the panel, cell), drawn from the first to the second.  Default none.

    Raises:
        TypeError: an item is neither a panel nor text.
        ValueError: there is no panel, or an arrow's panel does not exist.
    """
    for item in _flat(items):
        if not isinstance(item, Panel | str):
            raise TypeError(f"items must be panels (Map, Gradient, ...), lists of them, or text, got {item!r}")
    drawing = Drawing(tuple(items), tuple((tuple(start), tuple(end)) for start, end in arrows))
    if not drawing.panels:
        raise ValueError(f"items must hold a panel, got {items!r}")
    for number, _ in (end for arrow in drawing.arrows for end in arrow):
        if not 0 <= number < len(drawing.panels):
            raise ValueError(f"arrows must name panels 0 to {len(drawing.panels) - 1}, got {number}")
    return drawing


def draw_pool(
    x: np.ndarray,
    regions: Regions,
    operator_output: np.ndarray,
    output_index: Cell | None = None,
    winners: Iterable[Cell] = (),
    label: str = "",
) -> Drawing:
    """Return a drawing of a map beside its output, with one output cell and the region it is made of outlined.

    Args:
        x: the map, (H, W) or (W,).
        regions: which cells belong together.  The padding of a `Window` is drawn too.
        operator_output: what an operator made of `x` over `regions`.
        output_index: the output cell to outline, (row, column).  Default: the first.
        winners: cells of `x` to fill, such as the one that holds the maximum.  Default none.
        label: a word over the arrow, such as "max".  Default none.

    Raises:
        ValueError: `operator_output` has not the shape that `regions` give, or `output_index` lies outside it.
    """
    x, output = np.asarray(x, float), np.asarray(operator_output, float)
    expected = regions.output_shape(x.shape)
    if output.shape != expected:
        raise ValueError(f"operator_output must have the shape {expected} that regions give, got {output.shape}")
    index = (0,) * output.ndim if output_index is None else tuple(output_index)
    seen, padding = list(regions.cells(index, x.shape)), 0
    if isinstance(regions, Window) and x.ndim == len(regions.padding):
        starts = [i * s - p for i, s, p in zip(index, regions.stride, regions.padding, strict=True)]
        steps = zip(regions.kernel_size, regions.dilation, strict=True)
        seen = list(product(*([a + t * d for t in range(k)] for a, (k, d) in zip(starts, steps, strict=True))))
        beyond = [max(-cell[axis], cell[axis] - n + 1) for cell in seen for axis, n in enumerate(x.shape)]
        padding = max(*regions.padding, *beyond, 0)
    return draw(
        Map(x, region=seen, winners=winners, title="Map", padding=padding),
        label,
        Map(output, region=[index], title="Output"),
    )


def chart(rows: int = 1, columns: int = 1, width: float = 4.4, height: float = 2.7, **options: Any) -> tuple:
    """Return a matplotlib figure and its axes in the colours of the book; arguments as of `plt.subplots`.

    Args:
        rows, columns: how many axes.  Default one.
        width, height: inches.  At the default width the letters keep their size on a phone; wider charts scroll there.
        options: further arguments of `plt.subplots`.
    """
    plt = need("matplotlib.pyplot")
    plt.rcParams.update(chart_style())
    return plt.subplots(rows, columns, figsize=(width, height), layout="constrained", **options)


# --- showing ---------------------------------------------------------------------------------------------------------


def show(picture: Drawing | Figure, alt: str, caption: str | None = None, name: str | None = None) -> None:
    """Display a drawing or a matplotlib figure with the text that stands for it where it cannot be seen.

    Args:
        picture: what `draw` or `chart` returned, or any other matplotlib figure.  A figure is closed afterwards, so
            that Jupyter does not show it a second time.
        alt: what the picture shows, for a reader who cannot see it.
        caption: a line below the picture; `code` and $math$ may stand in it.  Default None.
        name: an id to link to, such as "fig-window".  Default None.

    Raises:
        TypeError: `picture` is neither, or `alt` is not a string.
        ValueError: `alt` is empty.
    """
    if not isinstance(picture, Drawing) and not isinstance(picture, need("matplotlib.figure").Figure):
        raise TypeError(f"picture must be a drawing or a matplotlib figure, got {picture!r}")
    if not isinstance(alt, str):
        raise TypeError(f"alt must be a string that says what the picture shows, got {alt!r}")
    if not alt.strip():
        raise ValueError(f"alt must say what the picture shows, got {alt!r}")
    svg, narrow, png = _of_drawing(picture) if isinstance(picture, Drawing) else _of_figure(picture)
    identity = f' id="{escape(name)}"' if name else ""
    below = f"<figcaption>{rich(caption)}</figcaption>" if caption else ""
    html = f'<figure class="poolref-figure"{identity}>{image(svg, alt, narrow)}{below}</figure>'
    _display({"text/html": html, "image/png": b64encode(png).decode(), "text/plain": alt})


def image(svg: str, alt: str, narrow: str | None = None) -> str:
    """Return the <img> of an SVG; the site writes the SVG itself in its place (`narrow` on a phone)."""
    more = f' data-narrow="{b64encode(narrow.encode()).decode()}"' if narrow else ""
    width, height = re.search(r'<svg[^>]*? width="([\d.]+)(?:pt)?"[^>]*? height="([\d.]+)', svg).groups()
    return (
        f'<img class="poolref-svg" alt="{escape(alt)}" width="{width}" height="{height}" '
        f'style="max-width:100%;height:auto;border-radius:6px" '
        f'src="data:image/svg+xml;base64,{b64encode(svg.encode()).decode()}"{more}>'
    )


def _of_drawing(drawing: Drawing) -> tuple[str, str | None, bytes]:
    svg, narrow = drawing.svg(), drawing.svg(PHONE)
    return svg, (narrow if narrow != svg else None), _png(svg)


def _of_figure(figure: Figure) -> tuple[str, None, bytes]:
    letters, pixels = BytesIO(), BytesIO()
    style = {"svg.fonttype": "none", "svg.hashsalt": "poolref"}
    options = {"bbox_inches": "tight", "pad_inches": 0.06}
    with need("matplotlib").rc_context(style):
        figure.savefig(letters, format="svg", metadata={"Date": None, "Creator": None}, **options)
    figure.savefig(pixels, format="png", dpi=192, **options)
    need("matplotlib.pyplot").close(figure)
    svg = letters.getvalue().decode()
    svg = re.sub(r"<\?xml.*?<svg", "<svg", svg, flags=re.S)
    svg = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", svg, flags=re.S)
    svg = re.sub(r"'DejaVu Sans'[^;\"]*", FACE, svg)
    # Points are a third larger than pixels: a chart of 4.4 inches is 422 pixels wide.
    svg = re.sub(r'(width|height)="([\d.]+)pt"', lambda m: f'{m[1]}="{float(m[2]) * 4 / 3:.0f}"', svg, count=2)
    return themed(re.sub(r"\s*\n\s*", "\n", svg)), None, pixels.getvalue()


def _png(svg: str) -> bytes:
    """The SVG in pixels, two for each of the page's, for readers that show no SVG."""
    fonts = Path(need("matplotlib").get_data_path()) / "fonts" / "ttf"
    files = [str(fonts / f"DejaVuSans{weight}.ttf") for weight in ("", "-Bold")]
    return need("resvg_py").svg_to_bytes(
        svg_string=alone(svg).replace(alone(FACE), "DejaVu Sans"), zoom=2, skip_system_fonts=True, font_files=files
    )


def show_source(function: Callable | type) -> None:
    """Display the source of a function or class as it stands in its file, less its docstrings.

    Raises:
        TypeError: `function` has no Python source.
    """
    try:
        source = textwrap.dedent(inspect.getsource(function)).rstrip()
    except (TypeError, OSError):
        raise TypeError(f"function must be a function or class written in Python, got {function!r}") from None
    source = re.sub(r'^ *r?"""(?:[^"]|"(?!""))*"""\n+', "", source, flags=re.M)
    # Markdown, because every reader of notebooks colours it in its own light or dark way.
    _display({"text/markdown": f"````python\n{source}\n````", "text/plain": source})


def short(value: float) -> str:
    """Return a number as it fits into a cell: at most two decimals, and .5 for 0.5."""
    value = round(float(value), 2) + 0.0 if math.isfinite(value) else value  # + 0.0: no minus before a zero
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    text = f"{value:.0f}" if value.is_integer() or abs(value) >= 1000 else f"{value:.2f}".rstrip("0").rstrip(".")
    return re.sub(r"^(-?)0\.", r"\1.", text).replace("-", "−")


# --- strokes ---------------------------------------------------------------------------------------------------------


def _n(number: float) -> str:
    return f"{number:.2f}".rstrip("0").rstrip(".")


def _box(x: float, y: float, fill: str, opacity: float = 1) -> str:
    share = f' fill-opacity="{opacity:.2g}"' if opacity < 1 else ""
    return f'<rect x="{x + 1}" y="{y + 1}" width="{CELL - 2}" height="{CELL - 2}" rx="5" fill="{fill}"{share}/>'


def _number(x: float, y: float, value: float, winner: bool) -> str:
    text = short(value)
    small = ' font-size="11"' if len(text) > 3 else ""
    style = f'fill="{paint("on-region")}" font-weight="700"' if winner else f'fill="{paint("ink")}"'
    return f'<text x="{_n(x + CELL / 2)}" y="{_n(y + CELL / 2 + 4.6)}" {style}{small}>{text}</text>'


def _line(x0: float, y0: float, x1: float, y1: float, name: str) -> str:
    return f'<path d="M{_n(x0)} {_n(y0)}L{_n(x1)} {_n(y1)}" stroke="{paint(name)}"/>'


def _outline(
    cells: Iterable[Cell], name: str, width: float, inset: float = 0, cell: float = CELL, high: float | None = None
) -> str:
    """The border of a set of cells, moved inwards by `inset` pixels."""
    cells = set(map(tuple, cells))
    if not cells:
        return ""
    tall = cell if high is None else high
    path = []
    for r, c in sorted(cells):
        up, down, left, right = ((r + a, c + b) not in cells for a, b in ((-1, 0), (1, 0), (0, -1), (0, 1)))
        x0, x1 = c * cell + inset * left, (c + 1) * cell - inset * right
        y0, y1 = r * tall + inset * up, (r + 1) * tall - inset * down
        path += [f"M{_n(x0)} {_n(y)}H{_n(x1)}" for y, drawn in ((y0, up), (y1, down)) if drawn]
        path += [f"M{_n(x)} {_n(y0)}V{_n(y1)}" for x, drawn in ((x0, left), (x1, right)) if drawn]
    stroke = f'stroke="{paint(name)}" stroke-width="{width}" stroke-linecap="round"'
    return f'<path d="{"".join(path)}" fill="none" {stroke}/>'


def _ways(arrows: Sequence[tuple]) -> list[list[tuple[float, float]]]:
    """For each arrow the points of its way along the borders of cells, where no numbers stand.

    An arrow, ((panel, x, y of its corner, cell), the same of its end), leaves its cell across the border below, goes to
    the right of the panel, in the gap down or up to the border above the row that it leads to, and on to the cell.
    Where the second panel stands below the first, x and y change places.  What goes the same way goes side by side, in
    an order in which arrows that lead downwards do not cross.
    """
    ends = []
    for (a, ax, ay, start), (b, bx, by, end) in arrows:
        below = by >= ay + a.size[1]
        turn = slice(None, None, -1 if below else 1)  # (along, across) the way to the other panel
        (x0, y0), (x1, y1) = a.centre(start), b.centre(end)
        from_, to = (ax + x0, ay + y0)[turn], (bx + x1, by + y1)[turn]
        ends.append((below, (ax, ay)[turn][0] + a.size[turn][0], from_, to, a.half, b.half))
    order = sorted(range(len(ends)), key=lambda n: (ends[n][2][1], -ends[n][2][0]))

    def rank(n: int, key: Callable) -> tuple[int, int]:
        alike = [m for m in order if key(ends[m]) == key(ends[n])]
        return alike.index(n), len(alike)

    ways = []
    for n, (below, edge, (sa, sb), (ea, eb), half, half_end) in enumerate(ends):
        k, many = rank(n, lambda end: end[:2])
        lane = edge + GAP * (many - k) / (many + 1)
        k, many = rank(n, lambda end: (end[0], end[2][1]))
        out = sb + half + min(3, 9 / many) * (k - (many - 1) / 2)
        k, many = rank(n, lambda end: (end[0], end[3][1]))
        into = eb - half_end - min(3, 9 / many) * (many - k)
        k, many = rank(n, lambda end: (end[0], end[3]))
        aim = ea + min(6, 18 / many) * ((many - 1) / 2 - k)
        way = [(sa, sb + half - 4), (sa, out), (lane, out), (lane, into), (aim, into), (aim, eb - half_end + 4)]
        ways.append([point[::-1] for point in way] if below else way)
    return ways


def _arrow(way: Sequence[tuple[float, float]]) -> str:
    """An arrow along points, with round corners."""
    path = f"M{_n(way[0][0])} {_n(way[0][1])}"
    for before, (x, y), after in zip(way, way[1:], way[2:]):
        near = []
        for px, py in (before, after):
            length = math.hypot(px - x, py - y) or 1
            share = min(4, length / 2) / length
            near.append((x + share * (px - x), y + share * (py - y)))
        (x0, y0), (x1, y1) = near
        path += f"L{_n(x0)} {_n(y0)}Q{_n(x)} {_n(y)} {_n(x1)} {_n(y1)}"
    (px, py), (x, y) = way[-2:]
    angle = math.degrees(math.atan2(y - py, x - px))
    stroke = f'fill="none" stroke="{paint("ink")}" stroke-width="1.5"'
    head = f'<path transform="translate({_n(x)} {_n(y)}) rotate({_n(angle)})" d="M-5 -3.5L0 0L-5 3.5" {stroke}/>'
    return f'<path d="{path}L{_n(x)} {_n(y)}" {stroke}/>{head}'


SIGNS = ("×", "+", "−", "=")
DOWN = "↓"


def _sign_width(text: str) -> float:
    return 24 if text in SIGNS else max(44, 7.6 * len(text) + 14)


def _sign(text: str) -> str:
    if text in SIGNS:
        return f'<text x="12" y="7" font-size="22" text-anchor="middle" fill="{paint("soft")}">{text}</text>'
    if text.startswith(DOWN):
        line = f'<path d="M16 0V30m-6 -8l6 8l6 -8" fill="none" stroke="{paint("soft")}" stroke-width="2"/>'
        return f'{line}<text x="32" y="19" fill="{paint("soft")}">{escape(text[1:])}</text>'
    wide = _sign_width(text)
    word = f'<text x="{_n(wide / 2)}" y="-9" text-anchor="middle" fill="{paint("soft")}">{escape(text)}</text>'
    line = f'<path d="M4 0H{_n(wide - 4)}m-8 -6l8 6l-8 6" fill="none" stroke="{paint("soft")}" stroke-width="2"/>'
    return (word if text else "") + line


def _image(pixels: np.ndarray, size: tuple[float, float]) -> str:
    """An <image> of bytes: (H, W) of grey or (H, W, 3) of colour, each pixel with sharp edges."""
    high, wide = pixels.shape[:2]
    rows = b"".join(b"\0" + row.tobytes() for row in np.ascontiguousarray(pixels))

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", wide, high, 8, 0 if pixels.ndim == 2 else 2, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b"")
    place = f'width="{_n(size[0])}" height="{_n(size[1])}" preserveAspectRatio="none" style="image-rendering:pixelated"'
    return f'<image {place} href="data:image/png;base64,{b64encode(png).decode()}"/>'


# --- layout ----------------------------------------------------------------------------------------------------------


def _flat(items: Iterable) -> list:
    return [leaf for item in items for leaf in (_flat(item) if isinstance(item, list | tuple) else [item])]


def _is_gradient(panel: Panel) -> bool:
    return isinstance(panel, Gradient) or getattr(panel, "diverging", False)


def _measure(item: Panel | str | list) -> tuple[float, float]:
    if isinstance(item, str):
        return _sign_width(item), 32 if item.startswith(DOWN) else 0
    if isinstance(item, list | tuple):
        sizes = [_measure(part) for part in item]
        return max(w for w, _ in sizes), sum(h for _, h in sizes) + GAP * (len(sizes) - 1)
    wide, high = item.size
    title = 7 * len(item.title) + 6 if item.title else 0
    return max(wide, title), high + (TITLE if item.title else 0)


def _layout(items: Sequence, width: float) -> tuple[list[tuple[Panel | str, float, float]], float, float]:
    """Each panel and sign with its upper left corner, and the width and height of all; no row is wider than `width`."""
    rows: list[list] = [[]]
    for item in items:
        together = [*rows[-1], item]
        if rows[-1] and sum(_measure(part)[0] + GAP for part in together) - GAP > width:
            sign = rows[-1].pop() if isinstance(rows[-1][-1], str) and len(rows[-1]) > 1 else None
            if sign in SIGNS:  # it stays with what comes after it
                rows.append([sign, item])
            else:  # an arrow turns down
                rows += [[DOWN + sign], [item]] if sign is not None else [[item]]
        else:
            rows[-1] = together
    placed, y, widest = [], 0.0, 0.0
    for row in rows:
        tall = max(_measure(item)[1] for item in row)
        pointed = any(isinstance(item, str) and item not in SIGNS for item in row)
        x = 0.0
        for item in row:
            wide, high = _measure(item)
            if isinstance(item, str):
                placed.append((item, x, y if item.startswith(DOWN) else y + (TITLE + tall) / 2))
            else:  # an arrow points at the middle of what it leads to
                top = y + (tall - high) / 2 if pointed else y
                for part in item if isinstance(item, list | tuple) else [item]:
                    placed.append((part, x, top))
                    top += _measure(part)[1] + GAP
            x += wide + GAP
        widest = max(widest, x - GAP)
        y += tall + GAP
    return placed, widest, y - GAP


def _display(bundle: dict[str, Any]) -> None:
    need("IPython.display").display(bundle, raw=True)
