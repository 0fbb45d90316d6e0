"""Answers to the exercises of "Global pooling"."""

import numpy as np

# --- average ---------------------------------------------------------------------------------------------------------


def average_loop(x, divide=lambda x: x.shape[1] * x.shape[2]):
    y = np.zeros(len(x))
    for k, one in enumerate(x):
        for row in one:
            y[k] += sum(row)
        y[k] /= divide(x)
    return y


def average_of_rows(x):
    return x.mean(2).mean(1)


def average_as_list(x):
    return [float(np.average(one)) for one in x]


def divided_early(one, by):
    total = 0.0
    for row in one:
        total = (total + sum(row)) / by
    return total


def average_by_product(x):
    return x.reshape(len(x), -1) @ np.full(x[0].size, 1 / x[0].size)


AVERAGE = {
    "as given": (lambda x: average_loop(x, lambda x: 49), "what it gave before"),
    "sum": (lambda x: average_loop(x, lambda x: 1), "This is the sum"),
    "maximum": (lambda x: np.array([one.max() for one in x]), "global maximum"),
    "rows": (lambda x: average_loop(x, lambda x: x.shape[1]), "not its rows"),
    "columns": (lambda x: average_loop(x, lambda x: x.shape[2]), "not its columns"),
    "rows squared": (lambda x: average_loop(x, lambda x: x.shape[1] ** 2), "Maps need not be square"),
    "columns squared": (lambda x: average_loop(x, lambda x: x.shape[-1] ** 2), "Maps need not be square"),
    "rows plus columns": (lambda x: average_loop(x, lambda x: x.shape[1] + x.shape[2]), "not rows plus columns"),
    "size": (lambda x: average_loop(x, lambda x: x.size), "cells of all maps"),
    "maps": (lambda x: average_loop(x, len), "number of maps"),
    "first two axes": (lambda x: average_loop(x, lambda x: x.shape[0] * x.shape[1]), "the axes are C, H, W"),
    "one for all": (lambda x: average_loop(x) * 0 + x.mean(), "one average over all maps"),
    "zeros left out": (
        lambda x: np.array([one.sum() / max(1, (one != 0).sum()) for one in x]),
        "A cell that holds 0",
    ),
    "magnitudes": (lambda x: average_loop(abs(x)), "with their sign"),
    "over the maps": (lambda x: sum(x) / len(x), "averages over the maps"),
    "maps times columns": (lambda x: average_loop(x, lambda x: len(x) * len(x[0][0])), "the axes are C, H, W"),
    "divided in each row": (lambda x: np.array([divided_early(one, one.size) for one in x]), "Divide once"),
    "by columns in each row": (lambda x: np.array([divided_early(one, len(one[0])) for one in x]), "Divide once"),
    "returned early": (lambda x: np.array([x[0].mean(), *[0] * (len(x) - 1)]), "inside the loop"),
    "smallest": (lambda x: x.min((1, 2)), None),
    "axes kept": (lambda x: x.mean((1, 2), keepdims=True), None),
    "whole division": (lambda x: np.array([one.sum() // one.size for one in x]), None),
    "median": (lambda x: np.median(x, axis=(1, 2)), None),
    "forty-nine and one": (lambda x: average_loop(x, lambda x: 50), None),
}

# --- heat ------------------------------------------------------------------------------------------------------------


def heat_of_einsum(maps, weight, bias, label):
    return np.einsum("k,krc->rc", weight[label], maps) + bias[label]


def heat_of_cells(maps, weight, bias, label):
    heat = np.zeros(maps.shape[1:])
    for cell in np.ndindex(heat.shape):
        heat[cell] = weight[label] @ maps[(slice(None), *cell)] + bias[label]
    return heat


def heat_by_product(maps, weight, bias, label):
    return (weight[label] @ maps.reshape(len(maps), -1) + bias[label]).reshape(maps.shape[1:]).tolist()


HEAT = {
    "class and map exchanged": ({2: "weight[k, label]"}, "the class comes first"),
    "first class": ({2: "weight[0, k]"}, "not of the first class"),
    "last class": ({2: "weight[-1, k]"}, "not of the last class"),
    "first map's weight": ({2: "weight[label, 0]"}, "a weight of its own"),
    "all weights": ({2: "weight[label]"}, "Take the one of map k"),
    "maps kept": ({1: "maps.shape"}, "no axis is left"),
    "first two axes": ({1: "maps.shape[:2]"}, "The heat has the last two"),
    "no weight": ({2: "1"}, "the maps as they are"),
    "bias as weight": ({2: "bias[label]"}, "no weight without its map"),
    "bias divided": ({3: "bias[label] / heat.size"}, "the whole bias"),
    "bias divided by all": ({3: "bias[label] / maps.size"}, "the whole bias"),
    "bias multiplied": ({3: "bias[label] * heat.size"}, "A sum over the cells"),
    "first bias": ({3: "bias[0]"}, "its own bias"),
    "last bias": ({3: "bias[-1]"}, "its own bias"),
    "all biases": ({3: "bias.sum()"}, "the biases of all classes"),
    "no bias": ({3: "0"}, "a bias besides"),
    "minus": ({3: "-bias[label]"}, "not subtracted"),
    "another weight": ({2: "weight[label, k - 1]"}, "The second gap is"),
    "one axis": ({1: "maps.shape[0]"}, "The first gap is"),
    "label for bias": ({3: "label"}, "The third gap is"),
    "score": (lambda *a: heat_of_cells(*a) * 0 + heat_of_cells(*a).mean(), "the score in every cell"),
    "size of a weight": ({2: "abs(weight[label, k])"}, "keeps its sign"),
    "all classes' weights": ({2: "weight[:, k]"}, "The second gap is"),
    "turned shape": ({1: "maps.shape[:0:-1]"}, "The first gap is"),
    "all biases at once": ({3: "bias"}, "The third gap is"),
    "heat above 0": (
        lambda m, w, b, c: np.maximum(sum(w[c, k] * m[k] for k in range(len(m))) + b[c], 0),
        "cut off at 0",
    ),
    "heat above 0, then the bias": (lambda m, w, b, c: (np.einsum("k,kij", w[c], m)).clip(0) + b[c], "cut off at 0"),
    "averaged maps": (lambda m, w, b, c: np.tensordot(w[c], m, 1) / len(m) + b[c], None),
    "ReLU": (lambda m, w, b, c: np.maximum(np.tensordot(w[c], m, 1), 0) * 2 + b[c], None),
}

# --- masked mean -----------------------------------------------------------------------------------------------------


def masked_loop(g, x, sizes, divide=None, rows=lambda r: r, columns=lambda c: c):
    gradient = np.zeros(x.shape)
    for n in range(len(x)):
        r, c = (int(v) for v in sizes[n])
        for i in range(max(rows(r), 0)):
            for j in range(max(columns(c), 0)):
                if i < x.shape[1] and j < x.shape[2]:
                    gradient[n, i, j] = g[n] / (divide(r, c, x) if divide else r * c)
    return gradient


def masked_by_mask(g, x, sizes):
    rows, columns = np.indices(x.shape[1:])
    own = np.array([(rows < r) & (columns < c) for r, c in sizes])
    return own * (np.asarray(g) / own.sum((1, 2)))[:, None, None]


def own(x, sizes):
    return masked_loop(np.prod(sizes, axis=1), x, sizes)


def masked_by_padding(g, x, sizes):
    height, width = x.shape[1:]
    return [np.pad(np.full((r, c), a / r / c), ((0, height - r), (0, width - c))) for a, (r, c) in zip(g, sizes)]


def largest_of_each(g, x, sizes):
    gradient = np.zeros(x.shape)
    for n, (r, c) in enumerate(np.asarray(sizes).astype(int)):
        cells = [(i, j) for i in range(r) for j in range(c)]
        gradient[(n, *max(cells, key=lambda cell: x[(n, *cell)]))] = g[n]
    return gradient


MASKED = {
    "all cells counted": (lambda *a: masked_loop(*a, divide=lambda r, c, x: x[0].size), "not by H · W"),
    "all cells": (
        lambda g, x, sizes: np.ones(x.shape) * g[:, None, None] / x[0].size,
        "The padding takes no part",
    ),
    "share everywhere": (
        lambda g, x, sizes: np.stack([np.full(x[0].shape, a / (r * c)) for a, (r, c) in zip(g, sizes)]),
        "The padding takes no part",
    ),
    "rows alone end": (lambda *a: masked_loop(*a, columns=lambda c: 9), "one of the two has no end"),
    "columns alone end": (lambda *a: masked_loop(*a, rows=lambda r: 9), "one of the two has no end"),
    "cells of all pictures": (
        lambda g, x, sizes: masked_loop(g, x, sizes, divide=lambda r, c, x: np.prod(sizes, 1).sum()),
        "not by those of all pictures",
    ),
    "rounded down": (
        lambda g, x, sizes: np.array([m * (a // max(1, r * c)) for m, a, (r, c) in zip(own(x, sizes), g, sizes)]),
        "rounds down",
    ),
    "sum": (lambda *a: masked_loop(*a, divide=lambda r, c, x: 1), "backward of the sum"),
    "ones": (lambda g, *a: masked_loop(np.ones(len(g)), *a), "Multiply by `grad_output`"),
    "as it came": (lambda g, x, sizes: g, "has the shape of x"),
    "all zeros": (lambda g, x, sizes: np.zeros(x.shape), "All zeros"),
    "first size": (lambda g, x, sizes: masked_loop(g, x, [sizes[0]] * len(x)), "the first one's for all"),
    "rows and columns": (
        lambda g, x, sizes: masked_loop(g, x, [s[::-1] for s in sizes]),
        "rows first, then columns",
    ),
    "rows only": (lambda *a: masked_loop(*a, divide=lambda r, c, x: r), "not of the rows"),
    "columns only": (lambda *a: masked_loop(*a, divide=lambda r, c, x: c), "not of the columns"),
    "rows plus columns": (lambda *a: masked_loop(*a, divide=lambda r, c, x: r + c), "not of rows + columns"),
    "largest": (lambda g, x, sizes: largest_of_each(g, x, sizes), "This follows the largest cell"),
    "times x": (lambda g, x, sizes: masked_loop(g, x, sizes) * x, "what the cell holds"),
    "positive only": (lambda g, x, sizes: masked_loop(g, x, sizes) * (x > 0), "Only ReLU"),
    "zeros left out": (lambda g, x, sizes: masked_loop(g, x, sizes) * (x != 0), "that holds 0"),
    "lower right": (lambda *a: masked_loop(*a)[:, ::-1, ::-1], "upper left corner"),
    "mean of the batch": (lambda g, x, sizes: masked_loop(g, x, sizes) / len(x), "number of pictures"),
    "first gradient": (lambda g, x, sizes: masked_loop([g[0]] * len(g), x, sizes), "its own arriving gradient"),
    "first map": (
        lambda g, x, sizes: masked_loop(np.array([g[0], *[0] * (len(g) - 1)]), x, sizes),
        "Only the first map",
    ),
    "spoils grad_output": (lambda g, x, sizes: (masked_loop(g, x, sizes), g.fill(0))[0], None),
}

# --- head ------------------------------------------------------------------------------------------------------------

HEAD = {
    "dense": (("none", 0), "A global pooling leaves 512 numbers"),
    "dense, hidden": (("none", 64), "A global pooling leaves 512 numbers"),
    "dense, few hidden": (("none", 2), "fits one size of map"),
    "average": (("average", 0), "Which pooling keeps what is rare"),
    "average, hidden": (("average", 64), "Which pooling keeps what is rare"),
    "sum": (("sum", 0), "A sum adds up the noise"),
    "minimum": (("min", 0), "does not see a cell"),
    "too many hidden": (("max", 256), "Take fewer"),
    "one too many": (("max", 113), "Take fewer"),
    "pooling alone": ("max", None),
    "no such pooling": (("median", 0), None),
    "negative": (("max", -1), None),
    "half a unit": (("max", 0.5), None),
    "exchanged": ((64, "max"), None),
}

RIGHT = {
    "global-pooling/average": [average_loop, average_of_rows, average_as_list, average_by_product],
    "global-pooling/heat": [heat_of_einsum, heat_of_cells, heat_by_product],
    "global-pooling/masked": [masked_loop, masked_by_mask, masked_by_padding],
    "global-pooling/head": [("max", 0), ("max", 64), ["max", np.int64(112)]],
}
WRONG = {
    "global-pooling/average": AVERAGE,
    "global-pooling/heat": HEAT,
    "global-pooling/masked": MASKED,
    "global-pooling/head": HEAD,
}
