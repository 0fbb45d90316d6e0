"""Draw the picture of the index and of the README: python book/figures/draw.py"""

from pathlib import Path

import numpy as np

from poolref.numpy import avg_pool, max_pool
from poolref.regions import Rows, Running, Whole, Window
from poolref.teaching import Map, Photograph, data, draw
from poolref.teaching.drawing import PHONE

SIDE = 124


def regions_times_reducer():
    """Four kinds of regions on a photograph, each with a reducer and what comes out."""
    photo = data.photograph(32)

    def region(regions, index):
        return regions.cells(index, photo.shape)

    def photograph(values, title, cells=()):
        return Photograph(values, region=cells, title=title, side=SIDE)

    window, row = Window(4), np.broadcast_to(avg_pool(photo, Rows()).reshape(-1, 1), (32, 3))
    return draw(
        photograph(photo, "a window", region(window, (3, 4))),
        "max",
        photograph(max_pool(photo, window), "max pooling", [(3, 4)]),
        photograph(photo, "the whole map", region(Whole(), (0, 0))),
        "mean",
        Map(avg_pool(photo, Whole()).round(2), region=[(0, 0)], title="global average"),
        photograph(photo, "a row", [(14, column) for column in range(32)]),
        "mean",
        photograph(row, "strip pooling", [(14, column) for column in range(3)]),
        photograph(photo, "all cells below", region(Running("up"), (14, 16))),
        "max",
        photograph(max_pool(photo, Running("up")), "corner pooling", [(14, 16)]),
    )


if __name__ == "__main__":
    drawing, folder = regions_times_reducer(), Path(__file__).parent
    (folder / "regions-times-reducer.svg").write_text(drawing.svg(), "utf-8")
    (folder / "regions-times-reducer-narrow.svg").write_text(drawing.svg(PHONE), "utf-8")
