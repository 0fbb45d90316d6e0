"""Turned and bent digits: does pooling make a network robust, or does training?"""

import numpy as np

from benchmarks.networks.study import study
from poolref.teaching import data, training

ANGLES = tuple(range(-60, 61, 15))
BENDS = (0.5, 1.0, 1.5, 2.0)
# Turned and bent digits are resampled, which blurs them.  A network trained with slightly bent digits has seen a blur:
# what it loses when a digit is turned is due less to the blur and more to the turning.
TRAINED = {
    "upright": {},
    "bent by up to half a cell": {"bend": 0.5},
    "turned by up to 45 degrees": {"angle": 45},
}


@study(
    question="How well does the small network read turned and bent digits, trained with upright, bent or turned ones?",
    seeds=range(5),
    cases=[
        {"pooling": pooling, "trained": trained}
        for trained in TRAINED
        for pooling in (("max", "none") if "bent" in trained else ("max", "average", "subsample", "none"))
    ],
    measures={"accuracy": "share of held-out digits that are answered right, each at the same ten drawn places"},
)
def rotation(seed, pooling, trained):
    network = training.build(pooling, seed=seed)
    training.train(network, training.anywhere(*data.digits("training"), **TRAINED[trained]), seed=seed)
    sheets, labels, at = training.scattered(*data.digits("held out"))
    changed = [({"turned": angle, "bent": 0}, training.turned(sheets, at, angle)) for angle in ANGLES]
    for bend in BENDS:
        bent = training.distorted(sheets, at, np.random.default_rng(0), bend=bend)
        changed.append(({"turned": 0, "bent": bend}, bent))
    return [
        change | {"accuracy": training.accuracy(training.outputs(network, inputs).argmax(-1), labels)}
        for change, inputs in changed
    ]
