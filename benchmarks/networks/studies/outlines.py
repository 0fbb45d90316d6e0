"""Where is the middle of an outline?  What a network answers with center pooling, strips, a window or none of them."""

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.networks.study import study
from poolref.teaching import data, training
from poolref.torch import CenterPool2d, StripPool2d

FILTERS, SHEETS = 12, 400
WINDOW = 7


@study(
    question="Does a cell learn that it is the middle of an outline, from its row and its column or from a window?",
    seeds=range(5),
    cases=[
        {"things": things, "context": context}
        for things in data.OUTLINES
        for context in ("none", "window", "strips", "center")
    ],
    measures={
        "found": "share of new sheets on which the highest score lies at most one row and one column from a middle",
        "ghosts": "share on which it lies so close to where one ring's row crosses the other's column; else 0",
        "parameters": "numbers learned",
    },
)
def outlines(seed, things, context):
    network = Reader(context, seed)
    training.train(network, lambda rng: data.outlines(SHEETS, rng, things), epochs=25, seed=seed, loss=of_cells)
    sheets, targets = data.outlines(SHEETS, 1000 + seed, things)
    scores = training.outputs(network, sheets)
    return {
        "found": float(np.mean([near(score, target) for score, target in zip(scores, targets)])),
        "ghosts": float(np.mean([near(score, ghosts(target)) for score, target in zip(scores, targets)])),
        "parameters": training.parameters(network),
    }


class Reader(nn.Module):
    """A score for every cell, from a convolution of 5x5 and what a pooling adds to it: (N, 1, H, W) -> (N, H, W)."""

    def __init__(self, context: str, seed: int):
        super().__init__()
        self.context = {
            "none": nn.Identity(),
            "window": nn.MaxPool2d(WINDOW, 1, WINDOW // 2),
            "strips": StripPool2d(),
            "center": CenterPool2d(),
        }[context]
        with training.seeded(seed):
            self.filters = nn.Conv2d(1, FILTERS, 5, padding=2)
            self.answer = nn.Sequential(nn.Conv2d(2 * FILTERS, 16, 1), nn.ReLU(), nn.Conv2d(16, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        maps = self.filters(x).relu()
        return self.answer(torch.cat([maps, self.context(maps)], 1))[:, 0]


def of_cells(scores: Tensor, targets: Tensor) -> Tensor:
    """The cross-entropy of one choice among all cells."""
    return -(scores.flatten(1).log_softmax(1) * targets.flatten(1)).sum(1).mean().float()


def near(score: np.ndarray, marks: np.ndarray) -> bool:
    """Whether the cell with the highest score is at most one row and one column from a marked one."""
    best = np.unravel_index(score.argmax(), score.shape)
    return bool((np.abs(np.argwhere(marks) - best).max(-1) <= 1).any())


def ghosts(target: np.ndarray) -> np.ndarray:
    """Where a marked row crosses a marked column and nothing is marked."""
    return np.outer(target.any(1), target.any(0)) & (target == 0)
