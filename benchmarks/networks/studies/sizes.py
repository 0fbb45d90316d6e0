"""Sheets of other sizes: what is left of a network's accuracy, with a grid of bins before its linear layer?"""

import numpy as np

from benchmarks.networks.study import study
from poolref.numpy import avg_pool
from poolref.regions import Adaptive
from poolref.teaching import data, training

SIDES = (14, 20, 26, 33, 40)
MANY = (20, 24, 28, 32, 36, 40)
GRIDS = {"5 × 5": 5, "whole map": 1}


@study(
    question="How well does a network with adaptive pooling read sheets of sizes that it was not trained on?",
    seeds=range(5),
    cases=[
        *({"grid": grid, "head": head, "trained": "20 × 20"} for grid in GRIDS for head in ("average", "max")),
        *({"grid": "5 × 5", "head": head, "trained": "many sizes"} for head in ("average", "max")),
    ],
    measures={"accuracy": "share of held-out digits that are answered right, each at four drawn places"},
)
def sizes(seed, grid, head, trained):
    network = training.build("max", head=head, grid=GRIDS[grid], seed=seed)
    images, labels = data.digits("training")
    draw = training.anywhere(images, labels) if trained == "20 × 20" else of_many_sizes(images, labels)
    training.train(network, draw, seed=seed)
    return [
        {"sheet": sheet, "side": side, "accuracy": training.accuracy(training.outputs(network, x).argmax(-1), answers)}
        for sheet, side, x, answers in shown(*data.digits("held out"))
    ]


def shown(images, labels):
    """What the networks are shown: (what is done to the sheet, its rows, the sheets, their labels)."""
    for side in SIDES:
        sheets, answers, at = training.scattered(images, labels, places=4, size=side)
        yield "more or less paper", side, sheets, answers
        yield "more or less paper, then resized to 20 × 20", side, avg_pool(sheets, Adaptive(20)), answers
        if side == 20:
            yield "digit doubled", 40, doubled(sheets), answers
        if side == 33:
            at[:, 1] = at[:, 1] * 18 // 25  # from places on 33 columns to places on 26
            yield "33 × 26", 33, data.canvas(np.tile(images, (4, 1, 1)), at, 33)[..., :26], answers


def of_many_sizes(images, labels):
    """Draw one epoch: digits on sheets of one drawn size or, every other time on average, doubled with their sheets."""

    def draw(rng):
        if rng.random() < 0.5:
            return doubled(data.canvas(images, data.positions(len(images), rng))), labels
        side = int(rng.choice(MANY))
        return data.canvas(images, data.positions(len(images), rng, side), side), labels

    return draw


def doubled(sheets):
    return np.kron(sheets, np.ones((2, 2)))
