"""A digit moves by one cell: how much does its map change, before and after pooling?  Counted over all digits."""

from itertools import product

import numpy as np

from benchmarks.networks.study import study
from poolref.numpy import avg_pool, blur_pool, lp_pool, max_blur_pool, max_pool, subsample
from poolref.regions import Window
from poolref.teaching import data
from poolref.teaching.results import interval

POOLINGS = {
    "none": lambda x, window: x,
    "max": lambda x, window: max_pool(x, Window(window)),
    "average": lambda x, window: avg_pool(x, Window(window)),
    "lp": lambda x, window: lp_pool(x, Window(window)),
    "subsample": lambda x, window: subsample(x, Window(window)),
    "blur": lambda x, window: blur_pool(x, stride=window),
    "max_blur": lambda x, window: max_blur_pool(x, window, stride=window),
}
MOVES = ((0, 1), (0, -1), (1, 0), (-1, 0))


@study(
    question="By how much does a map change when its digit moves by one cell, before and after pooling?",
    seeds=(),  # nothing is drawn
    cases=[
        *({"pooling": pooling, "window": 2} for pooling in POOLINGS),
        *({"pooling": pooling, "window": 4} for pooling in ("max", "average")),
    ],
    measures={
        "change": "|moved - map| / |map|, Euclidean norms: mean over 1,797 digits, 4 moves, window x window places",
        "change_low": "lower end of the 95 % interval of that mean over digits",
        "change_high": "upper end of that interval",
        "larger_than_none": "share of digits, moves and places for which the change is larger than without pooling",
        "larger_than_average": "share for which the change is larger than after average pooling",
        "cells_that_change": "share that changes of the cells that are not 0 before the move or after it",
    },
)
def shifts(pooling, window):
    images, _ = data.digits()
    changes, plain, averaged, changed, inked = [], [], [], 0, 0
    for row, column in product(range(6, 6 + window), repeat=2):
        still = data.canvas(images, (row, column))
        for down, right in MOVES:
            moved = data.canvas(images, (row + down, column + right))
            before, after = POOLINGS[pooling](still, window), POOLINGS[pooling](moved, window)
            changes.append(_relative_change(before, after))
            plain.append(_relative_change(still, moved))
            averaged.append(_relative_change(*(avg_pool(x, Window(window)) for x in (still, moved))))
            changed += (before != after).sum()
            inked += ((before != 0) | (after != 0)).sum()
    changes = np.array(changes)
    mean, low, high, _ = interval(changes.mean(0))
    return {
        "change": mean,
        "change_low": low,
        "change_high": high,
        "larger_than_none": float((changes > np.array(plain) + 1e-12).mean()),
        "larger_than_average": float((changes > np.array(averaged) + 1e-12).mean()),
        "cells_that_change": float(changed / inked),
    }


def _relative_change(before, after):
    return np.linalg.norm(after - before, axis=(1, 2)) / np.linalg.norm(before, axis=(1, 2))
