"""What and where from one vector: the levels of a pyramid between the last maps and the linear layer."""

import numpy as np
from torch import nn
from torch.nn import functional as F

import poolref.torch
from benchmarks.networks.study import study
from poolref.teaching import data, training

LEVELS = {"1": (1,), "2": (2,), "1, 2": (1, 2), "1, 2, 4": (1, 2, 4), "dense": None}
OUTPUTS = 12  # ten scores, a row and a column
SIDES = (20, 40)


@study(
    question="Does the small network name a digit and say where it stands, from a vector of one length?",
    seeds=range(5),
    cases=[{"levels": name} for name in LEVELS],
    measures={
        "accuracy": "share of held-out digits that are named right, each at ten drawn places",
        "error": "mean distance between the place given and the true one, as a share of the places along an axis",
        "parameters": "numbers learned",
    },
)
def pyramids(seed, levels):
    network = build(LEVELS[levels], seed)
    images, labels = data.digits("training")
    training.train(network, what_and_where(images, labels), seed=seed, loss=loss)
    images, labels = (np.tile(part, (10,) + (1,) * (part.ndim - 1)) for part in data.digits("held out"))
    return [
        {"side": side, "parameters": training.parameters(network)} | measures(network, images, labels, side)
        for side in (SIDES[:1] if levels == "dense" else SIDES)
    ]


def build(levels, seed):
    """Return the course's network, with a pyramid of maxima before its linear layer; None for none."""
    network = training.build("max", outputs=OUTPUTS, seed=seed)
    if levels is not None:
        network.flatten = poolref.torch.SpatialPyramidPool2d(levels)
        length = network.conv2.out_channels * sum(n * n for n in levels)
        with training.seeded(seed):
            network.linear = nn.Linear(length, OUTPUTS)
    return network


def what_and_where(images, labels):
    """Draw one epoch: every digit once, anywhere on a sheet; what it is, and its row and column from -1 to 1."""

    def draw(rng):
        at = data.positions(len(images), rng)
        return data.canvas(images, at), np.column_stack([labels, scaled(at, training.SIZE)])

    return draw


def loss(outputs, targets):
    """Cross-entropy of the scores plus squared error of the place."""
    return F.cross_entropy(outputs[:, :10], targets[:, 0].long()) + F.mse_loss(outputs[:, 10:], targets[:, 1:].float())


def measures(network, images, labels, side):
    """Return accuracy and error on sheets of `side` rows and columns."""
    at = data.positions(len(images), 0, side)
    outputs = training.outputs(network, data.canvas(images, at, side))
    away = np.linalg.norm(outputs[:, 10:] - scaled(at, side), axis=-1)
    return {"accuracy": training.accuracy(outputs[:, :10].argmax(-1), labels), "error": float(away.mean() / 2)}


def scaled(at, side):
    """The rows and columns of digits of 8x8 cells as numbers from -1 to 1."""
    middle = (side - 8) / 2
    return (at - middle) / middle
