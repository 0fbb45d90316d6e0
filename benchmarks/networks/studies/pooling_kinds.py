"""Which pooling, if any, makes the small network answer best, and most steadily when the digit moves?"""

from torch import nn

from benchmarks.networks.study import study
from poolref.teaching import data, training

NAMES = ("max", "average", "lp", "soft", "mixed", "stochastic", "min", "max_blur", "subsample", "strided convolution")
NETWORKS = {
    **{name: {"pooling": name} for name in NAMES},
    # As in an all-convolutional network, where every convolution has its ReLU.
    "strided convolution, ReLU": {
        "pooling": lambda channels: nn.Sequential(nn.Conv2d(channels, channels, 2, stride=2), nn.ReLU())
    },
    "none": {"pooling": "none"},
    # With a dilation of 3, cells of conv2 see 9x9 cells; with pooling, cells of pool2 see 10x10.
    "none, dilated": {"pooling": "none", "dilation": 3},
}


@study(
    question="How well does the small network read digits anywhere on a sheet, with one pooling or another, or none?",
    seeds=range(10),
    cases=[{"pooling": name} for name in NETWORKS],
    measures={
        "accuracy": "share of held-out digits that are answered right, over all 169 places",
        "shift_consistency": "share of moves by one cell, down or right, that keep the answer, right or wrong",
        "parameters": "numbers learned",
        "multiply_adds": "multiplications of one forward pass, in convolutions and linear layers",
    },
)
def pooling_kinds(seed, pooling):
    network = training.build(**NETWORKS[pooling], seed=seed)
    training.train(network, training.anywhere(*data.digits("training")), seed=seed)
    return training.evaluate(network, *data.digits("held out")) | {
        "parameters": training.parameters(network),
        "multiply_adds": training.multiply_adds(network),
    }
