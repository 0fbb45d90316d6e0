"""What the pictures of live figures are drawn of, for where they cannot be alive: SVG in the course's colours.

Colours are tokens (`paint`): a page's theme decides where the SVG stands in a page, and the light one where it is a
file of its own.
"""

from __future__ import annotations

import math
import re
import struct
import zlib
from base64 import b64encode
from collections.abc import Iterable
from html import escape

import numpy as np

from poolref.teaching.tokens import paint, shares

CELL = 32  # pixels


def svg(width: float, height: float, parts: Iterable[str]) -> str:
    """A drawing on a sheet of its own, as text."""
    sheet = f'<rect width="{width:g}" height="{height:g}" rx="12" fill="{paint("paper")}"/>'
    box = f'viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}"'
    group = f'<g font-family="sans-serif" font-size="12" text-anchor="middle" fill="{paint("ink")}">'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {box}>{sheet}{group}{"".join(parts)}</g></svg>'


def text(x: float, y: float, words: str, **attributes: object) -> str:
    """Words whose middle (or start: text_anchor="start") is at x, on a line at y."""
    more = "".join(f' {name.replace("_", "-")}="{value}"' for name, value in attributes.items())
    return f'<text x="{x:g}" y="{y:g}"{more}>{escape(words)}</text>'


def frame(x: float, y: float, width: float, height: float, stroke: float = 3) -> str:
    """The outline of a region."""
    box = f'x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}"'
    return f'<rect {box} rx="{2 * stroke:g}" fill="none" stroke="{paint("region")}" stroke-width="{stroke:g}"/>'


def arrow(x: float, y: float, length: float) -> str:
    """An arrow to the right."""
    path = f"M{x:g} {y:g}h{length:g}m-7 -6l7 6l-7 6"
    return f'<path d="{path}" fill="none" stroke="{paint("soft")}" stroke-width="2"/>'


def numbers(
    rows: list[list[float]], left: float, top: float, most: float, lit: Iterable[tuple] = (), winner: tuple = ()
) -> str:
    """A map of numbers, one cell of `CELL` pixels each; `most` is the largest magnitude of the figure's one scale.

    The cells `lit` are outlined, the `winner` is filled.
    """
    parts, lit = [], set(lit)
    for r, row in enumerate(rows):
        for c, v in enumerate(row):
            x, y = left + c * CELL + 1, top + r * CELL + 1
            share = shares["most"] * min(1, abs(v) / most) if not math.isnan(v) else 0
            box = f'x="{x:g}" y="{y:g}" width="{CELL - 2}" height="{CELL - 2}" rx="5"'
            ring = f' stroke="{paint("region")}" stroke-width="1.5"' if (r, c) in lit else ""
            if (r, c) == winner:
                parts.append(f'<rect {box} fill="{paint("region")}"/>')
                won = {"fill": paint("on-region"), "font_weight": 700}
                parts.append(text(x + CELL / 2 - 1, y + CELL / 2 + 3, short(v), **won))
                continue
            parts.append(f'<rect {box} fill="{paint("cell")}"/>')
            parts.append(
                f'<rect {box} fill="{paint("below" if v < 0 else "value")}" fill-opacity="{share:.3f}"{ring}/>'
            )
            parts.append(text(x + CELL / 2 - 1, y + CELL / 2 + 3, short(v)))
    return "".join(parts)


def short(value: float) -> str:
    """A number as it fits into a cell: at most two decimals, and .5 for 0.5."""
    value = round(float(value), 2) + 0.0 if math.isfinite(value) else value  # + 0.0: no minus before a zero
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    written = f"{value:.0f}" if value.is_integer() or abs(value) >= 1000 else f"{value:.2f}".rstrip("0").rstrip(".")
    return re.sub(r"^(-?)0\.", r"\1.", written).replace("-", "−")


def pixels(picture: np.ndarray, left: float, top: float, width: float, height: float) -> str:
    """A picture of grey levels from 0 (black) to 1 (white), a rectangle each."""
    source = f"data:image/png;base64,{b64encode(png(picture)).decode()}"
    box = f'x="{left:g}" y="{top:g}" width="{width:g}" height="{height:g}"'
    return f'<image {box} preserveAspectRatio="none" style="image-rendering:pixelated" href="{source}"/>'


def png(picture: np.ndarray) -> bytes:
    """A grey PNG file of a picture, (H, W) from 0 to 1."""
    levels = np.clip(np.round(np.asarray(picture) * 255), 0, 255).astype(np.uint8)
    height, width = levels.shape
    lines = np.concatenate([np.zeros((height, 1), np.uint8), levels], axis=1).tobytes()  # 0: a line is not filtered

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    parts = [chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(lines, 9)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)
