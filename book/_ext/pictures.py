"""Pictures of poolref.teaching, written into the page as SVG, so that they follow its theme.

In a notebook a picture is an <img>, because Jupyter takes no SVG; here it becomes the SVG itself, with the words of
the image, and with the narrow layout beside it if there is one. Files of book/figures that use the tokens are treated
alike.
"""

import math
import re
from base64 import b64decode
from html import escape, unescape
from itertools import count
from pathlib import Path

IMAGE = re.compile(r"<img\b[^>]*>")
SOURCE = re.compile(r'\bsrc="([^"]*)"')
SMALLEST = 11.2  # pixels of a letter on a screen


def write_out(body, files=None):
    """Return a page's body with its pictures as SVG.

    Args:
        files: name under _images/ -> path, of the pictures that stand in files.
    """
    numbers = count(1)

    def in_place(found):
        tag = found[0]
        source = SOURCE.search(tag)
        address = source[1] if source else ""
        file = (files or {}).get(address.rpartition("_images/")[2]) if "_images/" in address else None
        if 'class="poolref-svg"' in tag:
            versions = [decoded(address.rpartition("base64,")[2])]
            if narrow := re.search(r'data-narrow="([^"]+)"', tag):
                versions.append(decoded(narrow[1]))
        elif file and file.suffix == ".svg" and "var(--pr-" in (svg := file.read_text("utf-8")):
            versions = [svg[svg.index("<svg") :]]
            if (narrow := file.with_name(f"{file.stem}-narrow.svg")).exists():
                versions.append(narrow.read_text("utf-8"))
        else:
            return tag
        words = unescape(re.search(r'alt="([^"]*)"', tag)[1])
        drawn = "".join(page_svg(svg, f"p{next(numbers)}-", kind) for svg, kind in zip(versions, ("wide", "narrow")))
        return f'<div class="poolref-picture" role="img" aria-label="{escape(" ".join(words.split()))}">{drawn}</div>'

    return IMAGE.sub(in_place, body)


def decoded(text):
    return b64decode(text).decode()


def page_svg(svg, prefix, kind):
    """Return an SVG for a place in a page: with ids of its own, as wide as it was drawn, no smaller than it reads.

    A thumbnail has neither width: its place decides.
    """
    for name in set(re.findall(r'\bid="([^"]+)"', svg)):
        svg = re.sub(rf'(\bid="|href="#|url\(#){re.escape(name)}(?=["\)])', rf"\g<1>{prefix}{name}", svg)
    head, body = svg.split(">", 1)
    letters = re.search(r'style="([^"]*)"', head)
    styles = [letters[1]] if letters else []
    across = float(re.search(r'viewBox="\S+ \S+ (\S+)', head)[1])
    width = float((re.search(r'\bwidth="([\d.]+)"', head) or [0, across])[1])
    if kind != "thumbnail":
        styles.append(f"width:{width / 16:.4g}rem")
    sizes = [
        float(size)
        for size in re.findall(r'font-size[:=] ?"?([\d.]+)|(?<=font: )([\d.]+)px', svg)
        for size in size
        if size
    ]
    if kind == "wide" and sizes:
        styles.append(f"min-width:{math.ceil(across * SMALLEST / min(sizes))}px")
    head = re.sub(r'\s(?:width|height|version|style)="[^"]*"', "", head)
    fitting = ' preserveAspectRatio="xMinYMid meet"' if kind == "thumbnail" else ""
    return f'{head}{fitting} class="{kind}" style="{";".join(styles)}" aria-hidden="true">{body.strip()}'


def image_files(env):
    """Return name under _images/ -> path of every picture that stands in a file."""
    return {name: Path(env.srcdir) / source for source, (_, name) in env.images.items()}
