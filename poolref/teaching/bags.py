"""Bags of digits, of which only the whole bag has a label, and a small network that pools one.

A bag is a set of twelve digits.  Two tasks: is there a nine among them, and is the one that carries a mark above four?
"""

from __future__ import annotations

from math import sqrt

import numpy as np

from poolref import catalog
from poolref.checks import check_choice, check_int
from poolref.teaching.data import INK

try:
    import torch
    from torch import Tensor, nn

    from poolref.teaching import training
except ImportError as error:
    raise ImportError('poolref.teaching.bags needs torch: pip install "poolref[torch]"') from error

CELLS = 12
TASKS = ("nine", "marked")
FEATURES = ("as they are", "learned")
POOLINGS = ("mean", "max", "attention", "attention, 3 steps")
CHANNELS = 65  # 64 grey levels and the mark


def draw(
    images: np.ndarray, labels: np.ndarray, count: int, task: str, seed: int | np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return bags (count, 12, 65), labels (count,) of 0 and 1 in equal parts, and the places (count,) of what decides.

    A cell is a digit: its 64 grey levels from 0 to 1, and 1 where it is marked.

    Args:
        images: (n, 8, 8), as :func:`poolref.teaching.data.digits` gives them.
        labels: (n,).
        count: how many bags.
        task: "nine": the label is 1 if one of the digits is a nine, and then just one is; no digit is marked.
            "marked": one digit is marked, and the label is 1 if this one is above four.
        seed: a seed, or a generator of NumPy's to go on with.

    Raises:
        TypeError: `count` is not an int.
        ValueError: `count` is below 1, or there is no such task.
    """
    check_choice("task", task, TASKS)
    rng = np.random.default_rng(seed)
    answers = np.arange(check_int("count", count, 1)) % 2
    at, bag = rng.integers(0, CELLS, count), np.arange(count)
    decides = labels == 9 if task == "nine" else labels > 4
    fillers = np.flatnonzero(~decides) if task == "nine" else np.arange(len(labels))
    chosen = rng.choice(fillers, (count, CELLS))
    for answer in (0, 1):
        mine = answers == answer
        chosen[bag[mine], at[mine]] = rng.choice(np.flatnonzero(decides == answer), mine.sum())
    cells = np.zeros((count, CELLS, CHANNELS))
    cells[..., :-1] = images[chosen].reshape(count, CELLS, -1) / INK
    cells[bag, at, -1] = task == "marked"
    return cells, answers, at


class BagNetwork(nn.Module):
    """A bag pooled to one vector, and that vector read: (N, 12, 65) -> (N, 2).  Two layers read it.

    Args:
        pooling: one of `POOLINGS`.  Attention has one learned query, which starts near 0, and beta is
            1 / sqrt(channels).
        features: "learned": two layers make 32 numbers of each cell before the pooling.  "as they are": none.
        seed: of the initial weights.  Default 0.

    Raises:
        ValueError: one of them is not accepted.
    """

    def __init__(self, pooling: str, features: str, seed: int = 0):
        super().__init__()
        self.pooling = check_choice("pooling", pooling, POOLINGS)
        with training.seeded(seed):
            channels = CHANNELS
            self.features = nn.Identity()
            if check_choice("features", features, FEATURES) == "learned":
                channels = 32
                self.features = nn.Sequential(nn.Linear(CHANNELS, 32), nn.ReLU(), nn.Linear(32, channels))
            self.query = nn.Parameter(0.02 * torch.randn(channels))
            self.answer = nn.Sequential(nn.Linear(channels, 32), nn.ReLU(), nn.Linear(32, 2))

    def forward(self, bags: Tensor) -> Tensor:
        cells = self.features(bags)
        if self.pooling == "mean":
            pooled = cells.mean(-2)
        elif self.pooling == "max":
            pooled = cells.amax(-2)
        else:
            pooled = _hopfield_pool(cells, self.query, 1 / sqrt(cells.shape[-1]), self.steps)
        return self.answer(pooled)

    @property
    def steps(self) -> int:
        return 3 if self.pooling == "attention, 3 steps" else 1

    def shares(self, bags: np.ndarray) -> np.ndarray:
        """Return how much of the pooled vector comes from each cell: (N, 12, 65) -> (N, 12), each bag's sum 1.

        With attention the weights of the last step, with the mean 1/12, with the maximum the share of the channels in
        which the cell is the first with the largest value.
        """
        with torch.no_grad():
            cells = self.features(torch.from_numpy(bags).float())
            if self.pooling == "mean":
                return np.full(bags.shape[:-1], 1 / CELLS)
            if self.pooling == "max":
                return nn.functional.one_hot(cells.argmax(-2), CELLS).double().mean(-2).numpy()
            beta, query = 1 / sqrt(cells.shape[-1]), self.query
            if self.steps > 1:
                query = _hopfield_pool(cells, query, beta, self.steps - 1).unsqueeze(-1)
                return (beta * cells @ query).squeeze(-1).softmax(-1).double().numpy()
            return (beta * cells @ query).softmax(-1).double().numpy()


def train(network: BagNetwork, images: np.ndarray, labels: np.ndarray, task: str, seed: int = 0) -> list[float]:
    """Train a network in place with 1,400 fresh bags an epoch, for 40 epochs; return the mean loss of every epoch.

    Args:
        network: a :class:`BagNetwork`.
        images, labels, task: as for :func:`draw`.
        seed: of all that is drawn.  Default 0.
    """
    whole = nn.Sequential(nn.Flatten(0, 1), network)  # `training.train` hands on (N, 1, 12, 65)
    return training.train(
        whole, lambda rng: draw(images, labels, 1400, task, rng)[:2], epochs=40, seed=seed, learning_rate=0.01
    )


def evaluate(
    network: BagNetwork, cells: np.ndarray, answers: np.ndarray, at: np.ndarray, task: str
) -> dict[str, float]:
    """Return what a network makes of bags as :func:`draw` gives them.

    `accuracy` is the share of bags answered right.  `share` and `found` look at the bags in which one digit decides
    (for "nine" those with a nine): how much of the pooled vector comes from it, and in which share of these bags no
    other cell gives as much.
    """
    with torch.no_grad():
        scores = network(torch.from_numpy(cells).float()).numpy()
    decided = answers == 1 if task == "nine" else np.full(len(answers), True)
    shares, at = network.shares(cells)[decided], at[decided]
    mine = shares[np.arange(len(at)), at]
    others = shares.copy()
    others[np.arange(len(at)), at] = -1
    return {
        "accuracy": float((scores.argmax(-1) == answers).mean()),
        "share": float(mine.mean()),
        "found": float((mine > others.max(-1)).mean()),
    }


def _hopfield_pool(cells: Tensor, query: Tensor, beta: float, steps: int) -> Tensor:
    # Nothing in poolref.teaching imports the torch column: it is found by its name, as `training` finds its poolings.
    return catalog.resolve("poolref.torch.functional.hopfield_pool")(cells, query, beta, steps)
