"""The colours of tokens.css for Python: drawings name them, charts are drawn in them.

A chart that needs one writes `colours["region"]`.
"""

import re
from pathlib import Path

_SHEET = Path(__file__).with_name("tokens.css").read_text("utf-8")
_PAIRS = re.findall(r"--pr-([\w-]+):\s*light-dark\((#[0-9a-f]{6}),\s*(#[0-9a-f]{6})\)", _SHEET)
colours = {name: light for name, light, _ in _PAIRS}  # of light pages and of paper
dark_colours = {name: dark for name, _, dark in _PAIRS}
shares = {name: int(percent) / 100 for name, percent in re.findall(r"--pr-([\w-]+):\s*(\d+)%", _SHEET)}


def paint(name: str) -> str:
    """Return what an SVG writes for a token: the page's colour, or the light one where the SVG stands alone."""
    return f"var(--pr-{name}, {colours[name]})"


def alone(svg: str) -> str:
    """Return an SVG in which every variable is replaced by the colour or the font it has where it stands alone."""
    return re.sub(r"var\(--[\w-]+, ([^()]+)\)", r"\1", svg)


def themed(svg: str) -> str:
    """Return an SVG in which every colour of the light theme is a token again, black is ink and white is paper."""
    names = {"#000000": "ink"} | {colour: name for name, colour in reversed(colours.items())}
    return re.sub(
        r"(?<=: )#[0-9a-f]{6}\b", lambda found: paint(names[found[0]]) if found[0] in names else found[0], svg
    )


def chart_style() -> dict[str, object]:
    """Return matplotlib's settings for a chart in the colours of the book."""
    from cycler import cycler

    return {
        "figure.facecolor": colours["paper"],
        "axes.facecolor": colours["paper"],
        "savefig.facecolor": colours["paper"],
        "text.color": colours["ink"],
        "axes.labelcolor": colours["ink"],
        "axes.titlecolor": colours["ink"],
        "axes.edgecolor": colours["edge"],
        "xtick.color": colours["edge"],
        "ytick.color": colours["edge"],
        "xtick.labelcolor": colours["ink"],
        "ytick.labelcolor": colours["ink"],
        "grid.color": colours["line"],
        "legend.frameon": False,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.prop_cycle": cycler(color=[colours[n] for n in ("value", "region", "loss", "gain", "soft")]),
        "axes.titlesize": 10,
        "axes.titlelocation": "left",
        "lines.linewidth": 2,
        "font.size": 10,
        "image.cmap": "gray",
        "image.interpolation": "none",  # a photograph keeps its own pixels
        "svg.fonttype": "none",  # letters stay letters
        "svg.hashsalt": "poolref",  # the same picture has the same ids in every build
    }
