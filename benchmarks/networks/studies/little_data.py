"""Few examples: how far does a network fall behind on new digits, with pooling, without, and with a global one?"""

import numpy as np

from benchmarks.networks.study import study
from poolref.teaching import data, training

NETWORKS = {
    "max": {"pooling": "max"},
    "average": {"pooling": "average"},
    "subsample": {"pooling": "subsample"},
    "none": {"pooling": "none"},
    "max, global average": {"pooling": "max", "head": "average"},
    "max, global max": {"pooling": "max", "head": "max"},
    "none, global max": {"pooling": "none", "head": "max", "dilation": 3},
}
EPOCHS = {100: 200, 400: 100}


@study(
    question="How much better does the small network read the few digits it was trained on than new ones?",
    seeds=range(5),
    cases=[
        {"digits": digits, "placed": placed, "network": network}
        for digits in EPOCHS
        for placed in ("in the middle", "anywhere, always the same")
        for network in NETWORKS
    ],
    measures={
        "training": "share of the digits trained on that are answered right, where they stood",
        "held_out": "share of held-out digits that are answered right, placed in the middle too, or anywhere",
        "gap": "training minus held out",
        "parameters": "numbers learned",
    },
)
def little_data(seed, digits, placed, network):
    rng = np.random.default_rng(seed)
    images, labels = data.digits("training")
    chosen = rng.permutation(len(images))[:digits]
    images, labels = images[chosen], labels[chosen]
    if placed == "in the middle":
        sheets, new, new_labels = data.canvas(images), *data.digits("held out")
        new = data.canvas(new)
    else:
        sheets = data.canvas(images, data.positions(digits, rng))
        new, new_labels, _ = training.scattered(*data.digits("held out"))
    net = training.build(**NETWORKS[network], seed=seed)
    training.train(net, training.always(sheets, labels), epochs=EPOCHS[digits], seed=seed)
    known = training.accuracy(training.outputs(net, sheets).argmax(-1), labels)
    held_out = training.accuracy(training.outputs(net, new).argmax(-1), new_labels)
    return {
        "training": known,
        "held_out": held_out,
        "gap": known - held_out,
        "parameters": training.parameters(net),
    }
