"""The work: what is measured, as data.  To measure something more, add a line to `WORK`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from functools import lru_cache

import numpy as np

from poolref.regions import Adaptive, Pyramid, Regions, Rows, Running, Whole, Window


@dataclass(frozen=True)
class Row:
    """One line of the table: an operator of ours beside one peer, on one input.

    Attributes:
        operator: its name in poolref.catalog.
        direction: "forward", "backward" (the gradient alone), or "training" (forward, then backward).
        ours: which column of poolref is measured, "numpy" or "torch".
        peer: whose implementation it is measured against, a name of `benchmarks.peers.PEERS`.
        target: the ratio, the peer's time over ours, that we want to reach.  None: the peer is shown, no more.
        regions: which cells are pooled together.
        shape: of the input, always (N, C, H, W); `layout` says how it lies in memory, "NCHW" or "channels_last".
        dtype: of the input.
        threads: "one", or "default" for what the machine gives.
    """

    operator: str
    direction: str
    ours: str
    peer: str
    target: float | None
    regions: Regions
    shape: tuple[int, int, int, int]
    layout: str = "NCHW"
    dtype: str = "float32"
    threads: str = "one"

    def fields(self) -> dict:
        """The row as plain data, its regions by their short name."""
        return {field.name: getattr(self, field.name) for field in fields(self)} | {"regions": label(self.regions)}


WINDOWS = (Window(2), Window(3, 2, 1), Window(3, 1, 1))
BINS = (Adaptive(7), Whole())
SCANS = tuple(Running(direction) for direction in ("up", "down", "left", "right"))
LARGE = ((8, 64, 112, 112), (8, 64, 224, 224))
SMALL = (1, 16, 64, 64)  # 64 Ki elements
ALL = (SMALL, *LARGE)
QUICK = (2, 3, 16, 16)


def rows(
    operator: str,
    direction: str,
    ours: str,
    peer: str,
    target: float | None = None,
    regions: Iterable[Regions] = WINDOWS,
    shapes: Iterable[tuple[int, ...]] = LARGE,
    layout: str = "NCHW",
    threads: str = "one",
) -> Iterator[Row]:
    """Every combination of `regions` and `shapes`."""
    for shape in shapes:
        for region in regions:
            yield Row(operator, direction, ours, peer, target, region, shape, layout, threads=threads)


def both(operator: str, direction: str, regions: Iterable[Regions], layout: str = "NCHW") -> Iterator[Row]:
    """The torch column beside torch.nn, which it must not fall behind, with one thread and with the default."""
    for threads in ("one", "default"):
        yield from rows(operator, direction, "torch", "torch", 0.95, regions, ALL[:2], layout, threads)


WORK: tuple[Row, ...] = (
    # The NumPy column.
    *rows("max", "forward", "numpy", "torch", 6.0),
    *rows("max", "forward", "numpy", "onnxruntime", shapes=LARGE[:1]),
    *rows("max", "training", "numpy", "torch", 1.5),
    *rows("average", "forward", "numpy", "torch", 1.8),
    *rows("average", "forward", "numpy", "onnxruntime", shapes=LARGE[:1]),
    *rows("average", "backward", "numpy", "torch", 1.8),
    *rows("soft", "forward", "numpy", "composition", 2.0),
    *rows("soft", "training", "numpy", "composition", 2.0, shapes=LARGE[:1]),
    *rows("gem", "training", "numpy", "composition", 2.0, shapes=LARGE[:1]),
    *rows("max", "training", "numpy", "composition", 1.5, [Pyramid()], LARGE[:1]),
    *rows("max", "training", "numpy", "composition", 2.0, SCANS, LARGE[:1]),
    # The torch column: windows.
    *rows("max", "forward", "torch", "torch", 4.0),
    *rows("max", "forward", "torch", "torch", 0.95, shapes=[SMALL]),
    *rows("max", "training", "torch", "torch", 0.95, shapes=ALL),
    *rows("average", "forward", "torch", "torch", 0.95, shapes=ALL),
    *rows("average", "training", "torch", "torch", 0.95, shapes=ALL),
    *rows("max", "forward", "torch", "torch", 4.0, shapes=LARGE[:1], threads="default"),
    *rows("max", "forward", "torch", "torch", 0.95, shapes=[SMALL], threads="default"),
    *rows("max", "training", "torch", "torch", 0.95, shapes=ALL[:2], threads="default"),
    *rows("average", "forward", "torch", "torch", 0.95, shapes=ALL[:2], threads="default"),
    *rows("average", "training", "torch", "torch", 0.95, shapes=ALL[:2], threads="default"),
    *both("max", "forward", WINDOWS, "channels_last"),
    *both("max", "training", WINDOWS, "channels_last"),
    *both("average", "forward", WINDOWS, "channels_last"),
    *both("average", "training", WINDOWS, "channels_last"),
    # The torch column: adaptive and global.
    *both("max", "forward", BINS),
    *both("max", "training", BINS),
    *both("average", "forward", BINS),
    *both("average", "training", BINS),
    *both("max", "training", BINS, "channels_last"),
    *both("average", "training", BINS, "channels_last"),
    # The torch column: what torch.nn has not.
    *rows("soft", "training", "torch", "composition", 2.0, shapes=LARGE[:1]),
    *rows("gem", "training", "torch", "composition", 2.0, shapes=LARGE[:1]),
    *rows("gem", "training", "torch", "fixed-p", 2.0, shapes=LARGE[:1]),
    *rows("max", "training", "torch", "composition", 1.5, [Pyramid()], LARGE[:1]),
    *rows("max", "training", "torch", "composition", 2.0, SCANS, LARGE[:1]),
)


def label(regions: Regions) -> str:
    """The short name of regions, such as k3s2p1."""
    match regions:
        case Window():
            k, s, p = (
                "x".join(map(str, of_axes if len(set(of_axes)) > 1 else of_axes[:1]))
                for of_axes in (regions.kernel_size, regions.stride, regions.padding)
            )
            return f"k{k}s{s}" + (f"p{p}" if p != "0" else "") + (f" {regions.ndim}d" if regions.ndim != 2 else "")
        case Adaptive(output_size=(o, _)):
            return f"adaptive {o}"
        case Whole():
            return "global"
        case Pyramid(levels=levels):
            return "pyramid " + ",".join(map(str, levels))
        case Running(direction=direction):
            return f"running {direction}"
        case Rows():
            return "rows"
    raise ValueError(f"regions must be one of the kinds listed in benchmarks.work.label, got {regions!r}")


@lru_cache(maxsize=8)
def normal(shape: tuple[int, ...], dtype: str, seed: int) -> np.ndarray:
    """Normally distributed numbers, the same in every run."""
    return np.random.default_rng(seed).standard_normal(shape, np.float32).astype(dtype, copy=False)


def arrays(row: Row) -> tuple[np.ndarray, np.ndarray]:
    """The input of a row, and a gradient of its output."""
    output_shape = row.shape[:2] + row.regions.output_shape(row.shape[2:])
    # With seed 0 a scan meets its maximum twice, and there torch's cummax gives the gradient to the last of equals.
    return normal(row.shape, row.dtype, 1), normal(output_shape, row.dtype, 2)
