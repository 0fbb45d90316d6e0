"""Is a line unbroken from edge to edge?  What a network with strips, a square window or the whole map answers."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.networks.study import study
from poolref.teaching import data, training
from poolref.torch import StripPool2d

CHANNELS, SHEETS = 8, 600
WINDOW = 5  # its 25 cells are nearly as many as the 24 of a row


@study(
    question="Does each cell of a line learn whether the line is broken far away, by strips or by a square window?",
    seeds=range(5),
    cases=[
        {"lines": lines, "context": context}
        for lines in data.LINES
        for context in ("none", "window", "whole map", "strips")
    ],
    measures={
        "accuracy": "share of the cells of lines on new sheets that are told rightly whether their line is broken",
        "parameters": "numbers learned",
    },
)
def strips(seed, lines, context):
    network = WithContext(context, seed)
    training.train(network, lambda rng: data.lines(SHEETS, rng, lines), epochs=30, seed=seed, loss=_on_lines)
    pictures, targets = data.lines(SHEETS, 1000 + seed, lines)
    given = training.outputs(network, pictures) > 0
    return {
        "accuracy": float((given == targets)[targets >= 0].mean()),
        "parameters": training.parameters(network),
    }


class WithContext(nn.Module):
    """A score for every cell, from a convolution of 3x3 and what a pooling adds to it: (N, 1, H, W) -> (N, H, W)."""

    def __init__(self, context: str, seed: int):
        super().__init__()
        self.context = {
            "none": nn.Identity(),
            "window": nn.AvgPool2d(WINDOW, 1, WINDOW // 2, count_include_pad=False),
            "whole map": WholeMap(),
            "strips": StripPool2d(),
        }[context]
        with training.seeded(seed):
            self.filters = nn.Conv2d(1, CHANNELS, 3, padding=1)
            self.answer = nn.Sequential(nn.Conv2d(2 * CHANNELS, 16, 1), nn.ReLU(), nn.Conv2d(16, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        maps = self.filters(x).relu()
        return self.answer(torch.cat([maps, self.context(maps)], 1))[:, 0]


class WholeMap(nn.Module):
    """The mean of each map, in every cell."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((-2, -1), keepdim=True).expand_as(x)


def _on_lines(scores: Tensor, targets: Tensor) -> Tensor:
    chosen = targets >= 0
    return F.binary_cross_entropy_with_logits(scores[chosen], targets[chosen].float())
