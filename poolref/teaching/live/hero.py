"""The figure of the first page: regions times a reducer gives an output, on a photograph."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from poolref.numpy import avg_pool, max_pool, min_pool, soft_pool
from poolref.regions import Adaptive, Columns, Rows, Running, Whole, Window
from poolref.teaching import data
from poolref.teaching.live import still
from poolref.teaching.live.figure import LiveFigure, one_of, packed
from poolref.teaching.live.pictures import levels

if TYPE_CHECKING:
    from poolref.teaching.live.widget import LiveWidget

SIZE = 64
SHARPNESS = 10  # the beta of the softmax-weighted mean, on grey levels from 0 to 1

# Every kind with its words for the reader, its regions, and the same for kit/pooling.js.
REGIONS = {
    "windows": (Window(4), {"kind": "window", "kernel_size": 4}),
    "overlapping windows": (Window(8, 4), {"kind": "window", "kernel_size": 8, "stride": 4}),
    "bins": (Adaptive(7), {"kind": "adaptive", "output_size": 7}),
    "rows": (Rows(), {"kind": "rows"}),
    "columns": (Columns(), {"kind": "columns"}),
    "whole map": (Whole(), {"kind": "whole"}),
    "all above": (Running("down"), {"kind": "running", "direction": "down"}),
}
REDUCERS = {
    "max": (max_pool, {"name": "max"}),
    "mean": (avg_pool, {"name": "average"}),
    "softmax-weighted": (lambda x, r: soft_pool(SHARPNESS * x, r) / SHARPNESS, {"name": "soft", "beta": SHARPNESS}),
    "min": (min_pool, {"name": "min"}),
}


def hero(
    regions: str = "windows",
    reducer: str = "max",
    *,
    predict: dict[str, Any] | None = None,
    label: str | None = None,
    **traits: Any,
) -> LiveWidget:
    """Return the live figure in which regions and a reducer are chosen, and a photograph is pooled.

    Every argument is a trait that can be read and set later; `output` holds the pooled photograph.

    Args:
        regions: "windows" (4x4, the default), "overlapping windows" (8x8, stride 4), "bins" (7 along each axis),
            "rows", "columns", "whole map" or "all above" (running, downwards).
        reducer: "max" (the default), "mean", "softmax-weighted" (with beta = 10) or "min".
        predict: a question that the reader answers before the output is shown; see `LiveFigure`.
        label: the figure's name for its reader.
        traits: `selected`, the [row, column] of the cell of the photograph whose region is outlined.

    Raises:
        TypeError: a trait has another name.
        ValueError: a value is not accepted.
        ImportError: anywidget is not installed.
    """
    from poolref.teaching.live.widget import widget

    return widget(Hero(label=label, predict=predict, regions=regions, reducer=reducer, **traits))


class Hero(LiveFigure):
    """Regions times a reducer in one state.  See `poolref.teaching.live.hero` for its parts."""

    name = "hero"
    defaults = {"regions": "windows", "reducer": "max", "selected": [18, 30]}  # noqa: RUF012

    @classmethod
    def check(cls, state, changed=()):
        one_of("regions", state["regions"], REGIONS)
        one_of("reducer", state["reducer"], REDUCERS)
        selected = list(state["selected"])
        if len(selected) != 2 or not all(type(i) is int and 0 <= i < SIZE for i in selected):
            raise ValueError(f"selected must be [row, column], each from 0 to {SIZE - 1}, got {state['selected']!r}")
        return {**state, "selected": selected}

    @classmethod
    def data(cls):
        return {
            "picture": packed(data.photograph(SIZE)),
            "regions": {name: regions for name, (_, regions) in REGIONS.items()},
            "reducers": {name: reducer for name, (_, reducer) in REDUCERS.items()},
        }

    @classmethod
    def results(cls, state):
        regions, pool = REGIONS[state["regions"]][0], REDUCERS[state["reducer"]][0]
        return {"output": pool(levels(data.photograph(SIZE)), regions).tolist()}

    def describe(self):
        rows, columns = np.shape(self.results(self.state)["output"])
        return (
            f"A photograph of a flower, {SIZE} by {SIZE} cells, times a reducer, {self.state['reducer']} over "
            f"{self.state['regions']}, gives an output of {rows} by {columns}: a coarser picture of the flower."
        )

    def picture(self):
        side, gap = 220, 24
        middle = gap + side + 90
        output = np.array(self.results(self.state)["output"])
        return still.svg(
            2 * side + 2 * gap + 180,
            side + 2 * gap,
            [
                still.pixels(levels(data.photograph(SIZE)), gap, gap, side, side),
                still.text(middle, gap + side / 2 - 40, f"regions: {self.state['regions']}"),
                still.text(middle, gap + side / 2 - 20, f"reducer: {self.state['reducer']}"),
                still.arrow(middle - 30, gap + side / 2, 60),
                still.pixels(output, gap + side + 180, gap, side, side),
            ],
        )
