"""Brick, grass and gravel told apart by filters whose responses are combined over the whole patch: mean or maximum?"""

import numpy as np
from scipy.ndimage import gaussian_filter
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from benchmarks.networks.study import study
from poolref.teaching import data, training
from poolref.torch import create_pool

TEXTURES = ("brick", "grass", "gravel")
SIZE, COUNT = 32, 200  # rows and columns of a patch; patches of each texture, to train with and to test with
NOISES = ("none", "normal 0.5", "normal 1", "normal 2", "impulses 2 %", "impulses 10 %")


@study(
    question="Are textures told apart better by the mean or by the maximum of filter responses, with noise or without?",
    seeds=range(5),
    cases=[
        {"filters": filters, "pooling": pooling, "trained": trained}
        for filters in ("fixed", "learned")
        for trained in ("with the noise", "without noise")
        for pooling in ("average", "max")
    ],
    measures={"accuracy": "share of patches from the other half of the pictures that are answered right"},
)
def textures(seed, filters, pooling, trained):
    rng = np.random.default_rng(seed)
    train, labels = _patches(slice(None, 256), rng)
    test, _ = _patches(slice(256, None), rng)
    fit = {"fixed": _with_fixed_filters, "learned": _with_learned_filters}[filters]
    answers = None
    rows = []
    for noise in NOISES:
        if answers is None or trained == "with the noise":
            answers = fit(train, labels, pooling, noise, seed)
        right = training.accuracy(answers(_noisy(test, noise, rng)), labels)
        rows.append({"noise": noise, "accuracy": right})
    return rows


def _patches(columns, rng):
    """Patches of all textures from some columns, each brought to mean 0 and standard deviation 1; and their labels."""
    cut = [data.patches(data.picture(name)[:, columns], SIZE, COUNT, rng) for name in TEXTURES]
    patches = np.concatenate(cut)
    patches -= patches.mean((1, 2), keepdims=True)
    return patches / patches.std((1, 2), keepdims=True), np.repeat(range(3), COUNT)


def _noisy(patches, noise, rng):
    """Patches with normal noise of that standard deviation, or with that share of cells set to -4 or 4."""
    kind, _, amount = noise.partition(" ")
    if kind == "normal":
        return patches + float(amount) * rng.standard_normal(patches.shape)
    if kind == "impulses":
        struck = rng.random(patches.shape) < float(amount.removesuffix(" %")) / 100
        return np.where(struck, rng.choice([-4.0, 4.0], patches.shape), patches)
    return patches


def _with_fixed_filters(patches, labels, pooling, noise, seed):
    """Five derivatives of a Gaussian, their absolute values pooled, and a logistic regression on the five numbers."""
    reduce = {"average": np.mean, "max": np.max}[pooling]

    def features(patches):
        orders = ((1, 0), (0, 1), (2, 0), (1, 1), (0, 2))
        responses = [gaussian_filter(patches, (0, 1, 1), (0, *order)) for order in orders]
        return np.stack([reduce(np.abs(response), (1, 2)) for response in responses], -1)

    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    model.fit(features(_noisy(patches, noise, np.random.default_rng(seed))), labels)
    return lambda patches: model.predict(features(patches))


def _with_learned_filters(patches, labels, pooling, noise, seed):
    """Eight learned filters of 5x5, a ReLU, the pooling and a linear layer, trained with fresh noise in each epoch."""
    with training.seeded(seed):
        network = nn.Sequential(
            nn.Conv2d(1, 8, 5), nn.ReLU(), create_pool(f"global_{pooling}"), nn.Flatten(), nn.Linear(8, 3)
        )
    training.train(network, lambda rng: (_noisy(patches, noise, rng), labels), epochs=100, seed=seed)
    return lambda patches: training.outputs(network, patches).argmax(-1)
