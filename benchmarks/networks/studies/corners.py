"""Where is the top left corner of a coin's box?  What networks with corner pooling, windows or nothing answer."""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.networks.study import study
from poolref.teaching import data, training
from poolref.torch import corner_pool

HALF, SHEETS = 8, 300  # maps of each of the two kinds
SHEETS_OF = {
    "one small coin": {},
    "one large coin": {"sides": (16, 20)},
    "two small coins": {"things": 2},
}


@study(
    question="Is the corner of a coin's box, where nothing need be, found by running maxima or by maxima of windows?",
    seeds=range(5),
    cases=[
        {"sheets": sheets, "context": context}
        for sheets in SHEETS_OF
        for context in ("none", "window 7", "window 19", "corner")
    ],
    measures={
        "found": "share of the top left corners on new sheets that are found to within one cell",
        "parameters": "numbers learned",
    },
)
def corners(seed, sheets, context):
    network = Finder(context, seed)
    how = SHEETS_OF[sheets]
    training.train(network, lambda rng: drawn(rng, **how), epochs=12, seed=seed, loss=on_corners)
    pictures, targets = drawn(1000 + seed, part="held out", **how)
    return {
        "found": found(training.outputs(network, pictures), targets),
        "parameters": training.parameters(network),
    }


class Finder(nn.Module):
    """A score for every cell, from a convolution of 3x3 and what a pooling adds to it: (N, 1, H, W) -> (N, H, W)."""

    def __init__(self, context: str, seed: int):
        super().__init__()
        self.context = context
        with training.seeded(seed):
            self.filters = nn.Conv2d(1, 2 * HALF, 3, padding=1)
            self.answer = nn.Sequential(nn.Conv2d(3 * HALF, 16, 1), nn.ReLU(), nn.Conv2d(16, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        maps = self.filters(x).relu()
        return self.answer(torch.cat([maps, self.pool(*maps.chunk(2, 1))], 1))[:, 0]

    def pool(self, a: Tensor, b: Tensor) -> Tensor:
        if self.context == "corner":
            return corner_pool(a, b)
        if self.context == "none":
            return a + b
        size = int(self.context.split()[1])
        return square_maximum(a, size) + square_maximum(b, size)


def square_maximum(maps: Tensor, size: int) -> Tensor:
    """The largest of size x size cells around each, one axis after the other."""
    rows = F.max_pool2d(maps, (1, size), 1, (0, size // 2))
    return F.max_pool2d(rows, (size, 1), 1, (size // 2, 0))


def drawn(seed, **how):
    """300 sheets, and the cells of the top left corners on each: (600, things), counted row by row."""
    sheets, boxes = data.boxed_coins(SHEETS, seed, **how)
    return sheets, boxes[..., 0] * sheets.shape[-1] + boxes[..., 1]


def on_corners(scores: Tensor, targets: Tensor) -> Tensor:
    return -F.log_softmax(scores.flatten(1), 1).gather(1, targets).mean()


def found(scores: np.ndarray, targets: np.ndarray) -> float:
    """The share of corners that one of as many peaks meets to within a cell; a peak takes its 3x3 cells away."""
    n, things = targets.shape
    rows, columns = np.divmod(targets, scores.shape[-1])
    hit = np.zeros(targets.shape, bool)
    for k in range(n):
        left = scores[k].copy()
        for _ in range(things):
            r, c = np.unravel_index(left.argmax(), left.shape)
            hit[k] |= np.maximum(abs(rows[k] - r), abs(columns[k] - c)) <= 1
            left[max(0, r - 1) : r + 2, max(0, c - 1) : c + 2] = -np.inf
    return float(hit.mean())
