"""Exercises of the chapter "Global pooling"."""

import operator
from itertools import pairwise

import numpy as np

from poolref.numpy import avg_pool
from poolref.regions import Whole
from poolref.teaching.attempts.exercise import Demand, Design, Exercise
from poolref.teaching.attempts.inputs import fill

SHAPES = [(1, 1, 2), (1, 2, 1), (2, 1, 2), (2, 2, 1), (1, 2, 3), (2, 3, 2), (3, 2, 4), (1, 7, 7)]


def several_maps():
    """Yield (maps,) of a few channels, small ones first: distinct values, ties, zeros and negative ones."""
    random = np.random.default_rng(0)
    for shape in SHAPES:
        cells = int(np.prod(shape))
        yield (fill(random.permutation(cells) - 1, shape),)
        yield (fill(random.integers(-2, 3, cells), shape),)
        yield (fill(random.integers(-9, 10, cells), shape),)


# --- average: worked ------------------------------------------------------------------------------------------------


def global_average(x):
    """Return the global average of each map: (C, H, W) -> (C,)."""
    return avg_pool(x, Whole())[:, 0, 0]


def global_average_of_seven_by_seven(x):
    y = np.zeros(len(x))
    for k in range(len(x)):
        for i in range(x.shape[1]):
            for j in range(x.shape[2]):
                y[k] += x[k, i, j]
        y[k] /= 49
    return y


def divided_in_each_row(x, by):
    y = np.zeros(len(x))
    for row in range(x.shape[1]):
        y = (y + x[:, row].sum(1)) / by
    return y


# --- heat: faded ----------------------------------------------------------------------------------------------------


def heat_with_bias(maps, weight, bias, label):
    """Return the class activation map of a class, with its bias, so that its mean is the score: (C, H, W) -> (H, W)."""
    if weight.shape != (len(bias), len(maps)) or not isinstance(label, int) or not 0 <= label < len(bias):
        raise ValueError("weight is (classes, C), bias (classes,), and label one of the classes")
    return np.tensordot(weight[label], maps, axes=1) + bias[label]


def heat_with_gaps(maps, weight, bias, label):
    heat = np.zeros(...)
    for k in range(len(maps)):
        heat += ... * maps[k]
    return heat + ...


def heads():
    """Yield (maps, weight, bias, label), small ones first."""
    random = np.random.default_rng(1)
    signs = np.array([-1.0, 1.0])  # of weights and biases: they speak against a class, too
    for channels, height, width in [(1, 1, 2), (2, 1, 2), (2, 2, 1), (2, 2, 2), (3, 2, 3), (2, 3, 2)]:
        for classes in (2, 3):
            for label in range(classes):
                yield (
                    fill(random.permutation(channels * height * width), (channels, height, width)),
                    fill(random.permutation(classes * channels) + 1, (classes, channels))
                    * random.choice(signs, (classes, channels)),
                    fill(random.permutation(classes) + 1, classes) * random.choice(signs, classes),
                    label,
                )


# --- masked mean: open ----------------------------------------------------------------------------------------------


def masked_mean_backward(grad_output, x, sizes):
    """Return the gradient of the means of the own cells, which lie in the upper left corner of each map of x."""
    sizes = np.asarray(sizes)
    if sizes.shape != (len(x), 2) or (sizes < 1).any() or (sizes > x.shape[1:]).any():
        raise ValueError("each map has from 1 to H rows and from 1 to W columns of its own")
    own = sizes.astype(int)
    return spread(grad_output, x, own)


def spread(g, x, sizes, share=lambda g, rows, columns: g / (rows * columns)):
    gradient = np.zeros(x.shape)
    for n, (rows, columns) in enumerate(np.asarray(sizes).astype(int)):
        gradient[n, :rows, :columns] = share(g[n], rows, columns)
    return gradient


def masked_along(g, x, sizes, axis):
    """The shares of the own cells, given to all cells whose place along one axis is an own one."""
    own = np.indices(x.shape[1:])[axis] < np.asarray(sizes)[:, axis, None, None]
    return own * (np.asarray(g) / np.prod(sizes, axis=1))[:, None, None]


def batches():
    """Yield (x, sizes), small ones first."""
    random = np.random.default_rng(2)
    for shape in [(1, 1, 2), (1, 2, 2), (2, 2, 2), (2, 3, 2), (2, 2, 3), (3, 3, 4), (2, 4, 3)]:
        for _ in range(4):
            sizes = np.stack([random.integers(1, n + 1, shape[0]) for n in shape[1:]], 1)
            yield fill(random.permutation(int(np.prod(shape))) - 2, shape), sizes


def arriving(x, sizes):
    return np.resize([1.5, -2.0, 6.0], len(x)), x, sizes


def per_map(x, sizes, find):
    """One cell of each map's own ones, as a gradient of 1 there."""
    made = np.zeros(x.shape)
    for n, (rows, columns) in enumerate(np.asarray(sizes).astype(int)):
        made[(n, *np.unravel_index(find(x[n, :rows, :columns]), (rows, columns)))] = 1
    return made


# --- a head: design -------------------------------------------------------------------------------------------------

MAPS, CLASSES, SCRATCH, BUDGET = 512, 20, 6.0, 60_000
POOLINGS = {"average": np.mean, "max": np.max, "min": np.min, "sum": np.sum}


def weights_of(pooling, hidden):
    """How many weights and biases a head has after 512 maps of 7x7."""
    inputs = MAPS * 49 if pooling == "none" else MAPS
    layers = [inputs, hidden, CLASSES] if hidden else [inputs, CLASSES]
    return sum((a + 1) * b for a, b in pairwise(layers))


def share_told(pooling, cells):
    """How often a map with a scratch pools to more than one without."""
    noise = np.random.default_rng(0).normal(size=(2, 1000, cells))
    noise[1, :, cells // 2] += SCRATCH
    without, scratched = POOLINGS[pooling](noise, axis=2)
    return float(np.mean(scratched > without))


def head_demands(design):
    """What is asked of (pooling, hidden units): few weights, both sizes of map, scratches told from noise."""
    try:
        pooling, hidden = design
        hidden = operator.index(hidden)
    except (TypeError, ValueError):
        raise ValueError('A design is (pooling, hidden units), such as ("none", 64).') from None
    if pooling not in ("none", *POOLINGS):
        raise ValueError(f"The pooling is one of none, {', '.join(POOLINGS)}, not {pooling!r}.")
    if hidden < 0:
        raise ValueError(f"The number of hidden units is 0 or more, not {hidden}.")
    count = weights_of(pooling, hidden)
    yield Demand(
        "at most 60,000 weights and biases",
        f"{count:,}",
        count <= BUDGET,
        "Without a pooling each unit reads 512 · 49 cells. A global pooling leaves 512 numbers."
        if pooling == "none"
        else "Each hidden unit has 512 weights and a bias, and a weight for each class. Take fewer.",
    )
    yield Demand(
        "maps of 7 × 7 and of 14 × 14",
        "7 × 7 alone" if pooling == "none" else "any size",
        pooling != "none",
        "A dense layer on all cells fits one size of map. A global pooling gives 512 numbers for any size.",
    )
    if pooling != "none":
        told = [share_told(pooling, cells) for cells in (49, 196)]
        yield Demand(
            "maps with a scratch above maps without in at least 95 of 100 cases, at both sizes",
            f"{100 * told[0]:.0f} and {100 * told[1]:.0f}",
            min(told) >= 0.95,
            "The smallest cell does not see a cell that is raised."
            if pooling == "min"
            else "One cell moves the mean of 49 by 6/49 only. Which pooling keeps what is rare?"
            if pooling == "average"
            else "A sum adds up the noise of all cells as well. Which pooling keeps what is rare?",
        )


EXERCISES = [
    Exercise(
        "global-pooling/average",
        "worked",
        ("by-hand",),
        global_average,
        several_maps,
        given=global_average_of_seven_by_seven,
        ideas={
            "An average divides by the number of cells. This is the sum.": lambda x: x.sum((1, 2)),
            "This is the global maximum. The average counts every cell.": lambda x: x.max((1, 2)),
            "The cells of a map are its rows times its columns, not its rows.": lambda x: x.sum((1, 2)) / x.shape[1],
            "The cells of a map are its rows times its columns, not its columns.": lambda x: x.sum((1, 2)) / x.shape[2],
            "Maps need not be square: rows times columns.": (
                lambda x: x.sum((1, 2)) / x.shape[1] ** 2,
                lambda x: x.sum((1, 2)) / x.shape[2] ** 2,
            ),
            "Rows times columns, not rows plus columns.": lambda x: x.sum((1, 2)) / (x.shape[1] + x.shape[2]),
            "Each map is averaged by itself. `x.size` counts the cells of all maps.": lambda x: x.sum((1, 2)) / x.size,
            "`len(x)` is the number of maps. Divide by the cells of one map.": lambda x: x.sum((1, 2)) / len(x),
            "Maps times rows is not the number of cells: the axes are C, H, W.": (
                lambda x: x.sum((1, 2)) / (x.shape[0] * x.shape[1]),
            ),
            "Maps times columns is not the number of cells: the axes are C, H, W.": (
                lambda x: x.sum((1, 2)) / (x.shape[0] * x.shape[2]),
            ),
            "Divide once, when all rows are added: the division stands after the loop over the rows.": (
                lambda x: divided_in_each_row(x, x[0].size),
                lambda x: divided_in_each_row(x, x.shape[2]),
            ),
            "Only the first map has an average. Does a `return` stand inside the loop?": (
                lambda x: global_average(x) * (np.arange(len(x)) == 0)
            ),
            "Each map gives a number of its own. This is one average over all maps.": (
                lambda x: np.full(len(x), x.mean()),
                lambda x: x.mean(),
            ),
            "A cell that holds 0 is a cell too.": (
                lambda x: x.sum((1, 2)) / np.maximum(np.count_nonzero(x, axis=(1, 2)), 1)
            ),
            "Negative values count with their sign.": lambda x: np.abs(x).mean((1, 2)),
            "This averages over the maps. Average over the cells of each map.": lambda x: x.mean(0),
        },
        circumstances={
            "a map of more rows than one": lambda x: x.shape[1] > 1,
            "more than one map": lambda x: len(x) > 1,
            "a negative number": lambda x: bool((x < 0).any()),
            "a map that is not square": lambda x: x.shape[1] != x.shape[2],
        },
    ),
    Exercise(
        "global-pooling/heat",
        "faded",
        ("cam",),
        heat_with_bias,
        heads,
        given=heat_with_gaps,
        gaps=("maps.shape[1:]", "weight[label, k]", "bias[label]"),
        ideas={
            "`weight` has a row for each class: the class comes first, then the map.": {2: "weight[k, label]"},
            "The weights are those of class `label`, not of the first class.": {2: "weight[0, k]"},
            "The weights are those of class `label`, not of the last class.": {2: "weight[-1, k]"},
            "Each map has a weight of its own, not that of the first map.": {2: "weight[label, 0]"},
            "These are the weights of a class for all maps at once. Take the one of map k.": {2: "weight[label]"},
            "The heat has rows and columns. The maps are added up, so that no axis is left for them.": {
                1: "maps.shape"
            },
            "The axes of `maps` are C, H, W. The heat has the last two.": {1: "maps.shape[:2]"},
            "A negative weight speaks against the class. It keeps its sign.": {2: "abs(weight[label, k])"},
            "Heat below 0 speaks against the class. Nothing is cut off at 0.": (
                lambda maps, weight, bias, label: np.maximum(heat_with_bias(maps, weight, bias, label), 0),
                lambda maps, weight, bias, label: (
                    np.maximum(np.tensordot(weight[label], maps, axes=1), 0) + bias[label]
                ),
            ),
            "Without a weight, this adds up the maps as they are.": {2: "1"},
            "A class has no weight without its map: `weight[label, k]` is one number.": {2: "bias[label]"},
            "The mean of a constant is the constant: each cell gets the whole bias.": (
                {3: "bias[label] / heat.size"},
                {3: "bias[label] / maps.size"},
            ),
            "A sum over the cells would need this. The mean of the heat plus the bias is the score.": {
                3: "bias[label] * heat.size"
            },
            "Each class has its own bias. Take that of `label`.": ({3: "bias[0]"}, {3: "bias[-1]"}),
            "One bias belongs to the class. This adds the biases of all classes.": {3: "bias.sum()"},
            "The score has a bias besides the mean of the heat.": {3: "0"},
            "The bias is added, not subtracted.": {3: "-bias[label]"},
            "The heat has a value for each cell. This is the score in every cell.": (
                lambda maps, weight, bias, label: np.full(
                    maps.shape[1:], heat_with_bias(maps, weight, bias, label).mean()
                )
            ),
        },
        gap_ideas=(
            "The first gap is the shape of one map.",
            "The second gap is one weight: of class `label`, for map k.",
            "The third gap is what makes a score of a mean of heat.",
        ),
        circumstances={
            "more than one map": lambda maps, *_: len(maps) > 1,
            "a class other than the first": lambda maps, weight, bias, label: label > 0,
        },
    ),
    Exercise(
        "global-pooling/masked",
        "open",
        ("gradient", "choose"),
        masked_mean_backward,
        batches,
        arguments=arriving,
        ideas={
            "The mean counts own cells alone: divide by rows · columns of the map, not by H · W.": (
                lambda g, x, sizes: spread(g, x, sizes, lambda g, r, c: g / (x.shape[1] * x.shape[2]))
            ),
            "The padding takes no part in the mean, so no gradient goes there.": (
                lambda g, x, sizes: np.ones(x.shape) * g[:, None, None] / (x.shape[1] * x.shape[2]),
                lambda g, x, sizes: np.ones(x.shape) * (g / np.prod(sizes, axis=1))[:, None, None],
                lambda g, x, sizes: np.ones(x.shape) * g[:, None, None],
            ),
            "Each cell gets its share of the gradient, not all of it. This is the backward of the sum.": (
                lambda g, x, sizes: spread(g, x, sizes, lambda g, r, c: g)
            ),
            "Multiply by `grad_output`: a cell gets its share of what came back, not of 1.": (
                lambda g, x, sizes: spread(np.ones_like(g), x, sizes)
            ),
            "The gradient has the shape of x. This is the arriving one.": lambda g, x, sizes: g,
            "All zeros is no gradient: something must come back.": lambda g, x, sizes: np.zeros(x.shape),
            "Each map has its own size. This takes the first one's for all.": (
                lambda g, x, sizes: spread(g, x, np.repeat(sizes[:1], len(x), axis=0))
            ),
            "`sizes` holds rows first, then columns.": lambda g, x, sizes: spread(g, x, np.asarray(sizes)[:, ::-1]),
            "The share is one of rows · columns, not of the rows.": (
                lambda g, x, sizes: spread(g, x, sizes, lambda g, r, c: g / r)
            ),
            "The share is one of rows · columns, not of the columns.": (
                lambda g, x, sizes: spread(g, x, sizes, lambda g, r, c: g / c)
            ),
            "The share is one of rows · columns, not of rows + columns.": (
                lambda g, x, sizes: spread(g, x, sizes, lambda g, r, c: g / (r + c))
            ),
            "Own cells are rows 0 to rows − 1. This leaves out the last row and column.": (
                lambda g, x, sizes: spread(g, x, np.maximum(np.asarray(sizes) - 1, 1))
            ),
            "Own cells are rows 0 to rows − 1. This takes one row and column too many.": (
                lambda g, x, sizes: spread(g, x, np.minimum(np.asarray(sizes) + 1, x.shape[1:]))
            ),
            "Own cells end after `rows` rows and after `columns` columns. Here one of the two has no end.": (
                lambda g, x, sizes: masked_along(g, x, sizes, 0),
                lambda g, x, sizes: masked_along(g, x, sizes, 1),
            ),
            "Divide by the own cells of the map, not by those of all pictures.": (
                lambda g, x, sizes: spread(g, x, sizes, lambda g, r, c: g / np.prod(sizes, axis=1).sum())
            ),
            "`//` rounds down. A share is a fraction: divide with `/`.": (
                lambda g, x, sizes: spread(g, x, sizes, lambda g, r, c: g // (r * c))
            ),
            "This follows the largest cell. The mean shares among all own cells.": (
                lambda g, x, sizes: per_map(x, sizes, np.argmax) * g[:, None, None]
            ),
            "The share does not depend on what the cell holds.": lambda g, x, sizes: spread(g, x, sizes) * x,
            "Only ReLU looks at the sign. The mean gives negative cells their share too.": (
                lambda g, x, sizes: spread(g, x, sizes) * (x > 0)
            ),
            "The own cells lie in the upper left corner of each map.": (
                lambda g, x, sizes: spread(g, x, sizes)[:, ::-1, ::-1]
            ),
            "Each picture has its own mean: nothing is divided by the number of pictures.": (
                lambda g, x, sizes: spread(g, x, sizes) / len(x)
            ),
            "Each map has its own arriving gradient. This uses the first one's for all.": (
                lambda g, x, sizes: spread(np.full_like(g, g[0]), x, sizes)
            ),
            "Only the first map has a gradient. Does a `return` stand inside the loop?": (
                lambda g, x, sizes: spread(g * (np.arange(len(g)) == 0), x, sizes)
            ),
            "A cell of its own that holds 0 is a cell too, and gets its share.": (
                lambda g, x, sizes: spread(g, x, sizes) * (x != 0)
            ),
        },
        circumstances={
            "padding": lambda g, x, sizes: bool((np.asarray(sizes) < x.shape[1:]).any()),
            "more than one map": lambda g, x, sizes: len(x) > 1,
            "more than one own cell": lambda g, x, sizes: bool((np.prod(sizes, axis=1) > 1).any()),
        },
    ),
    Design(
        "global-pooling/head",
        ("weights", "choose"),
        "Choose a pooling and a number of hidden units for a head with at most 60,000 weights and biases that takes "
        "512 maps of two sizes and tells a scratch in one cell from noise.",
        head_demands,
    ),
]
