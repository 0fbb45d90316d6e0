"""The pooling of a trained network is exchanged without training: what happens, and what does one epoch mend?"""

from benchmarks.networks.study import study
from poolref.teaching import data, training

POOLINGS = ("max", "average", "sum", "lp", "soft", "min", "subsample", "max_blur")


@study(
    question="How well does a trained network read with another pooling, at once and after one more epoch?",
    seeds=range(10),
    cases=[{"trained_with": "max"}, {"trained_with": "average"}],
    measures={
        "accuracy": "share of held-out digits that are answered right, each at the same ten drawn places",
        "after_one_epoch": "the same after one epoch of training with the new pooling",
    },
)
def swapping(seed, trained_with):
    draw = training.anywhere(*data.digits("training"))
    trained = training.build(trained_with, seed=seed)
    training.train(trained, draw, seed=seed)
    sheets, labels, _ = training.scattered(*data.digits("held out"))
    rows = []
    for pooling in POOLINGS:
        network = training.swapped(trained, pooling)
        before = training.accuracy(training.outputs(network, sheets).argmax(-1), labels)
        training.train(network, draw, epochs=1, seed=1000 + seed, learning_rate=0.002)
        after = training.accuracy(training.outputs(network, sheets).argmax(-1), labels)
        rows.append({"pooling": pooling, "accuracy": before, "after_one_epoch": after})
    return rows
