"""Which pooling, if any, makes the small network answer best, and most steadily when the digit moves?"""

from benchmarks.networks.study import study
from poolref.teaching import data, training

POOLINGS = ("max", "average", "lp", "soft", "min", "subsample", "strided convolution", "none", "none, dilated")


@study(
    question="How well does the small network read digits anywhere on a sheet, with one pooling or another, or none?",
    seeds=range(10),
    cases=[{"pooling": pooling} for pooling in POOLINGS],
    measures={
        "accuracy": "share of held-out digits that are answered right, over all 169 places",
        "shift_consistency": "share of moves by one cell, down or right, that keep the answer, right or wrong",
        "parameters": "numbers learned",
        "multiply_adds": "multiplications of one forward pass, in convolutions and linear layers",
    },
)
def pooling_kinds(seed, pooling):
    # Without pooling, a dilation of 3 lets conv2 see 9x9 cells; with it, conv2 and pool2 see 10x10.
    kind, dilation = ("none", 3) if pooling == "none, dilated" else (pooling, 1)
    network = training.build(kind, dilation=dilation, seed=seed)
    training.train(network, training.anywhere(*data.digits("training")), seed=seed)
    return training.evaluate(network, *data.digits("held out")) | {
        "parameters": training.parameters(network),
        "multiply_adds": training.multiply_adds(network),
    }
