"""Where is the digit?  A task for which the place matters, with and without pooling."""

import numpy as np
from torch.nn import functional as F

from benchmarks.networks.study import study
from poolref.teaching import data, training

CASES = [
    *({"pooling": pooling, "head": "linear"} for pooling in ("max", "average", "lp", "subsample")),
    *({"pooling": pooling, "head": "linear"} for pooling in ("strided convolution", "none")),
    *({"pooling": "max", "head": f"global {head}"} for head in ("max", "average")),
]


@study(
    question="How exactly does the small network say where a digit stands, its row and its column?",
    seeds=range(5),
    cases=CASES,
    measures={
        "error": "mean distance between the place given and the true one in cells, over held-out digits and all places",
        "within_half": "share of places of which row and column are both given to within half a cell",
        "parameters": "numbers learned",
    },
)
def localisation(seed, pooling, head):
    network = training.build(
        pooling, outputs=2, head=None if head == "linear" else head.removeprefix("global "), seed=seed
    )
    images, _ = data.digits("training")
    training.train(network, training.whereabouts(images), seed=seed, loss=lambda y, at: F.mse_loss(y, _scaled(at)))
    images, _ = data.digits("held out")
    given = training.everywhere(network, images) * 6 + 6
    truth = np.stack(np.indices(given.shape[:2]), -1)[:, :, None]
    return {
        "error": float(np.linalg.norm(given - truth, axis=-1).mean()),
        "within_half": float((np.abs(given - truth).max(-1) < 0.5).mean()),
        "parameters": training.parameters(network),
    }


def _scaled(at):
    """Rows and columns 0 to 12 as numbers from -1 to 1, which the network gives."""
    return (at.float() - 6) / 6
