"""The work: what is measured, as data.  To measure something more, add a line to `WORK`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from poolref.regions import Adaptive, Pyramid, Regions, Running, Whole, Window


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


WINDOWS = (Window(2), Window(3, 2, 1), Window(3, 1, 1))
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
    threads: Iterable[str] = ("one",),
) -> Iterator[Row]:
    """Every combination of `regions`, `shapes` and `threads`."""
    for setting in threads:
        for shape in shapes:
            for region in regions:
                yield Row(operator, direction, ours, peer, target, region, shape, layout, threads=setting)


BOTH = ("one", "default")
BINS = (Adaptive(7), Whole())

WORK: tuple[Row, ...] = (
    # The NumPy column.
    *rows("max", "forward", "numpy", "torch", 6.0),
    *rows("max", "forward", "numpy", "onnxruntime"),
    *rows("max", "training", "numpy", "torch", 1.5),
    *rows("average", "forward", "numpy", "torch", 1.8),
    *rows("average", "forward", "numpy", "onnxruntime"),
    *rows("average", "backward", "numpy", "torch", 1.8),
    *rows("soft", "forward", "numpy", "composition", 2.0),
    *rows("soft", "training", "numpy", "composition"),
    *rows("max", "training", "numpy", "composition", regions=(Pyramid(), Running("up")), shapes=LARGE[:1]),
    # The torch column: windows.
    *rows("max", "forward", "torch", "torch", 4.0, shapes=ALL, threads=BOTH),
    *rows("max", "training", "torch", "torch", 0.95, shapes=ALL, threads=BOTH),
    *rows("average", "forward", "torch", "torch", 0.95, shapes=ALL, threads=BOTH),
    *rows("average", "training", "torch", "torch", 0.95, shapes=ALL, threads=BOTH),
    *rows("max", "forward", "torch", "torch", 0.95, shapes=ALL[:2], threads=BOTH, layout="channels_last"),
    *rows("max", "training", "torch", "torch", 0.95, shapes=ALL[:2], threads=BOTH, layout="channels_last"),
    *rows("average", "forward", "torch", "torch", 0.95, shapes=ALL[:2], threads=BOTH, layout="channels_last"),
    *rows("average", "training", "torch", "torch", 0.95, shapes=ALL[:2], threads=BOTH, layout="channels_last"),
    # The torch column: adaptive and global.
    *rows("max", "forward", "torch", "torch", 0.95, BINS, ALL[:2], threads=BOTH),
    *rows("max", "training", "torch", "torch", 0.95, BINS, ALL[:2], threads=BOTH),
    *rows("average", "forward", "torch", "torch", 0.95, BINS, ALL[:2], threads=BOTH),
    *rows("average", "training", "torch", "torch", 0.95, BINS, ALL[:2], threads=BOTH),
    *rows("max", "training", "torch", "torch", 0.95, BINS, ALL[:2], "channels_last", BOTH),
    *rows("average", "training", "torch", "torch", 0.95, BINS, ALL[:2], "channels_last", BOTH),
    # The torch column: what torch.nn has not.
    *rows("soft", "training", "torch", "composition", 2.0, shapes=LARGE[:1]),
)


def label(regions: Regions) -> str:
    """The short name of regions, such as k3s2p1."""
    match regions:
        case Window(kernel_size=(k, _), stride=(s, _), padding=(p, _)):
            return f"k{k}s{s}" + (f"p{p}" if p else "")
        case Adaptive(output_size=(o, _)):
            return f"adaptive {o}"
        case Whole():
            return "global"
        case Pyramid(levels=levels):
            return "pyramid " + ",".join(map(str, levels))
        case Running(direction=direction):
            return f"running {direction}"
    raise ValueError(f"regions must be one of the kinds listed in benchmarks.work.label, got {regions!r}")


@lru_cache(maxsize=8)
def normal(shape: tuple[int, ...], dtype: str, seed: int) -> np.ndarray:
    """Normally distributed numbers, the same in every run."""
    return np.random.default_rng(seed).standard_normal(shape, np.float32).astype(dtype, copy=False)


def arrays(row: Row) -> tuple[np.ndarray, np.ndarray]:
    """The input of a row, and a gradient of its output."""
    output_shape = row.shape[:2] + row.regions.output_shape(row.shape[2:])
    return normal(row.shape, row.dtype, 0), normal(output_shape, row.dtype, 1)
