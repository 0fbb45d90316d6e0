"""Every operator that fits: in both places of the small network where windows pool, or before its last layer."""

from torch import nn

import poolref.torch
from benchmarks.networks.study import study
from poolref.teaching import data, results, training
from poolref.torch.functional import expected_pool2d


class ExpectedPool2d(nn.Module):
    """The mean of all draws of stochastic pooling, in training too: windows of 2x2."""

    def forward(self, x):
        return expected_pool2d(x, 2)


class Cells(nn.Module):
    """A pooling of sets that takes a map: the cells become a set in which their places are unknown."""

    def __init__(self, pool):
        super().__init__()
        self.pool = pool

    def forward(self, x):
        return self.pool(x.flatten(2).mT)


WINDOWS = {
    **{name: {"pooling": name} for name in ("max", "average", "sum", "min", "lp", "soft", "lse", "gem", "median")},
    "mixed": {"pooling": "mixed"},
    "gated": {"pooling": lambda channels: poolref.torch.GatedPool2d(2)},
    "stochastic": {"pooling": "stochastic"},
    "expected": {"pooling": lambda channels: ExpectedPool2d()},
    **{name: {"pooling": name} for name in ("blur", "max_blur", "subsample", "strided convolution", "none")},
}
HEADS = {
    **{f"global {name}": {"head": name} for name in ("max", "average", "lse", "soft", "gem")},
    "pyramid": lambda: poolref.torch.SpatialPyramidPool2d((2, 1)),
    "attention": lambda: poolref.torch.AttentionPool2d(5, 16),
    "hopfield": lambda: Cells(poolref.torch.HopfieldPool(16)),
}
FEATURES = {"pyramid": 80, "attention": 16, "hopfield": 16}
# Not trained, for want of time: four of them take two to six times as long as max.  operator_costs has their costs.
UNTRAINED = ("gem", "median", "gated", "expected", "global soft")
HELD = {row["pooling"] for row in results("pooling_kinds").cases()}


def build(place, operator, seed):
    """Return the untrained network with an operator in both windows; or with max there and the operator as its head."""
    if place == "window":
        return training.build(**WINDOWS[operator], seed=seed)
    if not callable(HEADS[operator]):
        return training.build("max", **HEADS[operator], seed=seed)
    network = training.build("max", seed=seed)
    with training.seeded(seed):
        network.flatten = nn.Sequential(HEADS[operator](), nn.Flatten())
        network.linear = nn.Linear(FEATURES[operator], 10)
    return network


@study(
    question="What does every operator that fits give the small network?",
    seeds=range(5),
    cases=[
        *({"place": "window", "operator": name} for name in WINDOWS if name not in UNTRAINED),
        *({"place": "head", "operator": name} for name in HEADS if name not in UNTRAINED),
    ],
    measures={
        "accuracy": "share of held-out digits that are answered right, over all 169 places",
        "shift_consistency": "share of moves by one cell, down or right, that keep the answer, right or wrong",
        "parameters": "numbers learned",
    },
)
def every_operator(seed, place, operator):
    network = build(place, operator, seed)
    weights = {"parameters": training.parameters(network)}
    if place == "window" and operator in HELD:  # pooling_kinds has trained the same network
        (row,) = results("pooling_kinds").select(pooling=operator, seed=seed)
        return {name: row[name] for name in ("accuracy", "shift_consistency")} | weights
    training.train(network, training.anywhere(*data.digits("training")), seed=seed)
    return training.evaluate(network, *data.digits("held out")) | weights
