"""What is measured on a GPU, in order of importance, and what we want to reach.  To measure more, add a line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import prod

import torch

from benchmarks.work import label
from poolref.regions import Adaptive, Pyramid, Regions, Running, Whole, Window

DIRECTIONS = ("forward", "training", "backward")
MIB = 2**20


@dataclass(frozen=True)
class Case:
    """An operator on maps of one shape, dtype and layout.

    Attributes:
        operator: its name in poolref.catalog.
        regions: which cells are pooled together; None if the operator says that itself.
        shape: of each map.
        dtype: of the maps.
        layout: how the maps lie in memory, "NCHW" or "channels_last".
        options: further arguments of the operator, by name.
        directions: what is measured: "forward" (no gradient will be asked for), "training" (the forward pass before a
            backward), "backward" alone, or "both" one after the other.
    """

    operator: str
    regions: Regions | None
    shape: tuple[int, ...]
    dtype: str = "bfloat16"
    layout: str = "NCHW"
    options: tuple[tuple[str, object], ...] = ()
    directions: tuple[str, ...] = DIRECTIONS

    @property
    def maps(self) -> int:
        """How many maps the operator takes."""
        return 2 if self.operator in ("corner", "center") else 1

    @property
    def rows(self) -> list[Row]:
        """One for each direction."""
        return [Row(self, direction) for direction in self.directions]

    @property
    def name(self) -> str:
        """The regions and options, in short."""
        options = (f"{name}={value}" for name, value in self.options)
        return " ".join([*([label(self.regions)] if self.regions else []), *options])

    @property
    def outputs(self) -> int:
        """The number of cells that come out."""
        spatial, options = self.shape[2:], dict(self.options)
        if self.operator == "roi_align":
            return BOXES * self.shape[0] * self.shape[1] * options["output_size"] ** 2
        if self.operator in ("blur", "max_blur"):
            lost = options.get("kernel_size", 1) - 1  # cells, by the maxima
            return prod(self.shape[:2]) * prod((n - lost - 1) // options["stride"] + 1 for n in spatial)
        if self.regions is None:
            return prod(self.shape)
        return prod(self.shape[:2]) * prod(self.regions.output_shape(spatial))


@dataclass(frozen=True)
class Row:
    """One line of the table: a case in one direction."""

    case: Case
    direction: str

    def fields(self) -> dict:
        """The row as plain data."""
        c = self.case
        return {
            "operator": c.operator,
            "direction": self.direction,
            "regions": c.name,
            "shape": list(c.shape),
            "dtype": c.dtype,
            "layout": c.layout,
            "bytes": self.bytes,
        }

    @property
    def bytes(self) -> int:
        """The fewest that have to move: inputs read once, outputs written once, and what a backward cannot do without.

        That is one byte for each choice of a maximum, or the input again where the gradient depends on its values.
        """
        c = self.case
        size = getattr(torch, c.dtype).itemsize
        once = (c.maps * prod(c.shape) + c.outputs) * size
        chosen = {"max": c.outputs, "min": c.outputs, "corner": c.outputs, "max_blur": prod(c.shape)}
        choices = chosen.get(c.operator, 0)
        again = prod(c.shape) * size if c.operator in ("soft", "gem", "lp", "lse") else 0
        one_way = {"forward": once, "training": once + choices, "backward": once + choices + again}
        return one_way.get(self.direction) or one_way["training"] + one_way["backward"]

    def targets(self) -> Iterator[tuple[str, float]]:
        """What we want: the name of a figure, and the least that it should be."""
        c, half, large = self.case, self.case.dtype != "float32", self.bytes >= 64 * MIB
        window = c.regions if isinstance(c.regions, Window) else None
        plain = c.operator in ("max", "average", "soft")
        apart = window and all(k <= s for k, s in zip(window.kernel_size, window.stride))
        if large and ((apart and plain) or isinstance(c.regions, Whole | Pyramid) or c.operator == "strip"):
            yield "copy_percent", 90
        if plain and window == K3S2P1 and c.dtype == "bfloat16" and (large or c.shape == STEM):
            yield "copy_percent", 75
        if large and plain and window == K3S1P1 and half:
            yield "copy_percent", 60
        backward = large and self.direction == "backward"
        if backward and c.operator == "max" and window:
            yield "eager_ratio", 2
            yield "compile_ratio", 4
        elif backward and half and isinstance(c.regions, Adaptive):
            yield "eager_ratio", 5
        elif large and c.operator == "soft" and self.direction == "both":
            yield "eager_ratio", 6
        elif large and c.operator == "corner":
            yield "eager_ratio", 5  # eager is cummax
        elif self.bytes > MIB:
            yield "eager_ratio", 1
        yield "best_peer_ratio", 1  # on 95 % of the rows


STEM, MIDDLE, LAST, LARGE = (
    (32, 64, 112, 112),
    (32, 256, 56, 56),
    (32, 2048, 7, 7),
    (128, 128, 112, 112),  # 392 MiB in half precision
)
ODD, FEW, MANY = (32, 64, 55, 55), (32, 256, 17, 19), (256, 512, 17, 19)
SCANNED, TALL = (32, 128, 64, 64), (16, 128, 128, 128)
K2S2, K3S2P1, K3S1P1, K7S1P3 = Window(2), Window(3, 2, 1), Window(3, 1, 1), Window(7, 1, 3)
BOXES = 256  # for each image


def cases(
    operators: str,
    regions: Iterable[Regions | None],
    shape: tuple[int, ...],
    dtype: str = "bfloat16",
    layout: str = "NCHW",
    directions: tuple[str, ...] = DIRECTIONS,
    **options: object,
) -> Iterator[Case]:
    """Every combination of operators and regions."""
    for operator in operators.split():
        for region in regions:
            yield Case(operator, region, shape, dtype, layout, tuple(options.items()), directions)


WORK: tuple[Case, ...] = (
    # Windows on the map behind a network's first convolution, and a map of which no cache holds much.
    *cases("max average soft", [K2S2, K3S2P1, K3S1P1], STEM),
    *cases("max average soft", [K2S2, K3S2P1], LARGE),
    *cases("soft", [K2S2, K3S2P1], STEM, directions=("both",)),
    # Every other operator, where it is used.
    *cases("corner", [None], TALL, corner="top_left"),
    *cases("max average", [Adaptive(7)], MANY),
    *cases("max average gem", [Whole()], LARGE),
    *cases("strip", [None], STEM),
    *cases("max average", [Pyramid()], LARGE),
    *cases("gem", [K2S2], STEM),
    *cases("max", [Running("up"), Running("left")], SCANNED),
    *cases("center", [None], SCANNED),
    *cases("blur", [None], STEM, filter_size=3, stride=2),
    *cases("max_blur", [None], STEM, kernel_size=2, filter_size=3, stride=2),
    *cases("min sum", [K2S2], STEM),
    *cases("lp", [K3S2P1], STEM, p=2),
    *cases("lse", [K3S2P1], STEM),
    *cases("roi_align", [None], (4, 256, 64, 64), "float16", output_size=7, sampling_ratio=2),
    # Other dtypes and layouts.
    *cases("max average soft", [K3S2P1], STEM, "bfloat16", "channels_last"),
    *cases("max average soft", [K3S2P1], STEM, "float32"),
    *cases("max average soft", [K3S2P1], STEM, "float16"),
    # Small maps, odd ones, and other regions.
    *cases("max average soft", [K2S2], MIDDLE),
    *cases("max average soft", [Whole(), K3S1P1], LAST),
    *cases("max average soft", [Adaptive(7), K3S2P1], FEW),
    *cases("max average soft", [K3S2P1], ODD),
    *cases("max average soft", [K7S1P3], STEM),
    *cases("max", [Window(5, 1, 2)], (32, 512, 20, 20)),
    *cases("max average soft", [Adaptive(7)], LARGE),  # bins of 256 cells
    *cases("gem", [Whole()], LAST),
    *cases("gem lse", [Whole()], (32, 2048, 32, 32)),
    *cases("corner", [None], SCANNED, corner="bottom_right"),
    *cases("max", [Running("down"), Running("right")], SCANNED),
    *cases("strip", [None], ODD),
    *cases("max average", [Pyramid()], (128, 256, 13, 13)),
    *cases("max average", [Adaptive(7)], MANY, "float16"),
    *cases("max average", [Adaptive(7)], (128, 256, 55, 55)),  # bins of up to 81 cells
    *cases("max average soft", [K3S2P1], STEM, "float32", "channels_last"),
    *cases("max average soft", [K3S2P1], STEM, "float16", "channels_last"),
    *cases("max average", [Window(2, ndim=3), Window(3, 2, 1, ndim=3)], (8, 64, 16, 56, 56)),
    *cases("max average", [Window(2, ndim=1)], (32, 64, 12544)),
    *cases("lp", [K2S2], STEM, p=3),
    *cases("blur", [None], STEM, "float32", filter_size=4, stride=2),
    *cases("corner", [None], SCANNED, "float32", corner="top_left"),
    *cases("roi_align", [None], (4, 256, 64, 64), "float32", output_size=14, sampling_ratio=2),
)
