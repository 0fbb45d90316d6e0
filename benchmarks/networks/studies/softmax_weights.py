"""Between the mean and the maximum: where does the small network go if it learns the beta of softmax(beta x)?"""

import torch
from torch import Tensor, nn

from benchmarks.networks.study import study
from poolref.teaching import data, training
from poolref.torch.functional import soft_pool2d


class SoftmaxWeighted(nn.Module):
    """The mean of 2x2 cells, weighted by the softmax of beta times the cells; beta is fixed or learned, map by map."""

    def __init__(self, channels: int, beta: float, learned: bool):
        super().__init__()
        self.beta = nn.Parameter(torch.full((channels, 1, 1), float(beta)), requires_grad=learned)

    def forward(self, x: Tensor) -> Tensor:
        return soft_pool2d(self.beta * x, 2) / self.beta


@study(
    question="How well does the small network read with weights softmax(beta x), and which beta does it learn?",
    seeds=range(8),
    cases=[{"beta": 4, "learned": False}, {"beta": 1, "learned": True}],
    measures={
        "accuracy": "share of held-out digits that are answered right, over all 169 places",
        "beta1": "the beta of pool1 after training, the mean over its 8 maps",
        "beta2": "the beta of pool2 after training, the mean over its 16 maps",
    },
)
def softmax_weights(seed, beta, learned):
    network = training.build(lambda channels: SoftmaxWeighted(channels, beta, learned), seed=seed)
    training.train(network, training.anywhere(*data.digits("training")), seed=seed)
    return {
        "accuracy": training.evaluate(network, *data.digits("held out"))["accuracy"],
        "beta1": network.pool1.beta.mean().item(),
        "beta2": network.pool2.beta.mean().item(),
    }
