"""Answers to the exercises of "Strip pooling"."""

import numpy as np

# --- maximum ---------------------------------------------------------------------------------------------------------


def strip_max_loop(x, row=np.max, column=np.max, join=lambda a, b: a + b):
    rows = [row(line) for line in x]
    columns = [column(line) for line in x.T]
    return np.array([[join(a, b) for b in columns] for a in rows])


def strip_max_keepdims(x):
    return x.max(axis=1, keepdims=True) + x.max(axis=0, keepdims=True)


def strip_max_outer(x):
    return np.add.outer(x.max(1), x.max(0)).tolist()


MAXIMUM = {
    "columns forgotten": (lambda x: strip_max_loop(x, column=np.mean), "The columns still take the mean"),
    "rows forgotten": (lambda x: strip_max_loop(x, row=np.mean), "The rows still take the mean"),
    "nothing changed": (lambda x: strip_max_loop(x, np.mean, np.mean), "what it gave before"),
    "np.max(x) in both loops": (lambda x: 2 * np.max(x) + 0 * x, "the whole map"),
    "np.max(x) in one loop": (lambda x: strip_max_loop(x, column=lambda c: np.max(x)), "the whole map"),
    "one number": (lambda x: np.max(x) + 0 * x, "the whole map"),
    "the larger of the two": (lambda x: strip_max_loop(x, join=max), "the larger of them"),
    "the larger of the means": (lambda x: strip_max_loop(x, np.mean, np.mean, max), "larger of the two means"),
    "the smaller of the two": (lambda x: strip_max_loop(x, join=min), "the smaller of them"),
    "product": (lambda x: strip_max_loop(x, join=lambda a, b: a * b), "multiplies"),
    "minimum": (lambda x: strip_max_loop(x, np.min, np.min), "strip minimum"),
    "magnitudes": (lambda x: strip_max_keepdims(np.abs(x)), "not at magnitudes"),
    "rows only": (lambda x: x.max(1, keepdims=True) + 0 * x, "The columns are missing"),
    "columns only": (lambda x: x.max(0, keepdims=True) + 0 * x, "The rows are missing"),
    "halved": (lambda x: strip_max_keepdims(x) / 2, "Nothing is halved"),
    "argmax": (lambda x: strip_max_loop(x, np.argmax, np.argmax), "where the largest cell stands"),
    "sum": (lambda x: strip_max_loop(x, np.sum, np.sum), "adds each strip up"),
    "median": (lambda x: strip_max_loop(x, np.median, np.median), "middle value"),
    "from zero": (lambda x: strip_max_keepdims(np.maximum(x, 0)), "No zero takes part"),
    "crossing taken off": (lambda x: strip_max_keepdims(x) - x, "nothing is taken off"),
    "up to the cell": (lambda x: np.maximum.accumulate(x, 1) + np.maximum.accumulate(x, 0), None),
    "divided": (
        lambda x: strip_max_loop(x, lambda r: r.max() / len(r), lambda c: c.max() / len(c)),
        "not divided",
    ),
    "rounded": (lambda x: strip_max_keepdims(x) // 2 * 2, None),
    "all zeros": (lambda x: 0 * x, "All zeros"),
    "spoils its argument": (lambda x: x.__iadd__(strip_max_keepdims(x)), None),
}

# --- broadcast -------------------------------------------------------------------------------------------------------


def broadcast_means(x):
    return x.mean(-1)[..., None] + x.mean(-2)[..., None, :]


def broadcast_einsum(x):
    height, width = x.shape[1:]
    return np.einsum("chw->ch", x)[:, :, None] / width + np.einsum("chw->cw", x)[:, None, :] / height


BROADCAST = {
    "axes exchanged": ({1: "1", 3: "2"}, "Axis and divisor do not fit"),
    "rows along axis 1": ({1: "1"}, "along axis 2"),
    "rows along axis -2": ({1: "-2"}, "along axis 2"),
    "columns along axis 2": ({3: "2"}, "along axis 1"),
    "over the maps": ({1: "0"}, "Axis 0 counts the maps"),
    "columns over the maps": ({3: "0"}, "Axis 0 counts the maps"),
    "axes of one map": ({1: "1", 3: "0"}, "Axis 0 counts the maps"),
    "the whole map": ({1: "(1, 2)"}, "A strip runs along one axis"),
    "divisors exchanged": ({2: "x.shape[1]", 4: "x.shape[2]"}, "Axis and divisor do not fit"),
    "height twice": ({2: "x.shape[1]"}, "A row has `x.shape[2]` cells"),
    "width twice": ({4: "x.shape[2]"}, "A row has `x.shape[2]` cells"),
    "sums": ({2: "1", 4: "1"}, "leaves it a sum"),
    "a sum of the columns": ({4: "1"}, "leaves it a sum"),
    "all cells": ({2: "(x.shape[1] * x.shape[2])", 4: "(x.shape[1] * x.shape[2])"}, "not of the whole map"),
    "x.size": ({2: "x.size", 4: "x.size"}, "not of the whole map"),
    "channels": ({2: "len(x)"}, "their number is no divisor"),
    "halved": ({2: "(2 * x.shape[2])", 4: "(2 * x.shape[1])"}, "Nothing is halved"),
    "one off": ({2: "(x.shape[2] - 1 or 1)"}, "The first divisor"),
    "one off, columns": ({4: "(x.shape[1] + 1)"}, "The second divisor"),
    "transposed": (lambda x: broadcast_means(x).swapaxes(1, 2), None),
    "rows only": (lambda x: x.mean(-1, keepdims=True) + 0 * x, None),
    "all zeros": (lambda x: 0 * x, None),
}

# --- backward --------------------------------------------------------------------------------------------------------


def backward_loop(g, x, to_row=True, to_column=True, row=None, column=None, add=True):
    """The right loop, and the places where it is easily got wrong."""
    height, width = x.shape
    gradient = np.zeros(x.shape)
    for i, j in np.ndindex(g.shape):
        if to_row:
            gradient[i, :] = (gradient[i, :] if add else 0) + g[i, j] / (row or width)
        if to_column:
            gradient[:, j] = (gradient[:, j] if add else 0) + g[i, j] / (column or height)
    return gradient


def backward_means(g, x):
    return g.mean(1, keepdims=True) + g.mean(0, keepdims=True)


def backward_product(g, x):
    height, width = x.shape
    return g @ np.full((width, width), 1 / width) + np.full((height, height), 1 / height) @ g


def backward_differences(g, x):
    def pooled(x):
        return x.mean(1, keepdims=True) + x.mean(0, keepdims=True)

    gradient = np.zeros(x.shape)
    for cell in np.ndindex(x.shape):
        nudged = x.copy()
        nudged[cell] += 1
        gradient[cell] = (g * (pooled(nudged) - pooled(x))).sum()
    return gradient


def to_the_largest(g, x):
    gradient = np.zeros(x.shape)
    for i in range(len(x)):
        gradient[i, x[i].argmax()] += g[i].sum()
    for j in range(x.shape[1]):
        gradient[x[:, j].argmax(), j] += g[:, j].sum()
    return gradient


BACKWARD = {
    "rows only": (lambda g, x: backward_loop(g, x, to_column=False), "along the column is missing"),
    "columns only": (lambda g, x: backward_loop(g, x, to_row=False), "along the row is missing"),
    "divisors exchanged": (lambda g, x: backward_loop(g, x, row=x.shape[0], column=x.shape[1]), "divided by the width"),
    "width twice": (lambda g, x: backward_loop(g, x, column=x.shape[1]), "its own divisor"),
    "height twice": (lambda g, x: backward_loop(g, x, row=x.shape[0]), "its own divisor"),
    "times the forward pass": (lambda g, x: g * backward_means(x, x), "does not depend on the values"),
    "no part to its own cell": (
        lambda g, x: backward_loop(g, x) - g / x.shape[0] - g / x.shape[1],
        "nothing is taken off",
    ),
    "no divisor": (lambda g, x: backward_loop(g, x, row=1, column=1), "Each cell gets its share"),
    "all cells": (lambda g, x: backward_loop(g, x, row=x.size, column=x.size), "not of the whole map"),
    "one region": (
        lambda g, x: backward_loop(g, x, row=x.shape[0] + x.shape[1], column=x.shape[0] + x.shape[1]),
        "not one region",
    ),
    "one region, crossing once": (
        lambda g, x: (backward_loop(g, x, row=1, column=1) - g) / (x.shape[0] + x.shape[1] - 1),
        "not one region",
    ),
    "to its own cell": (lambda g, x: g / x.shape[0] + g / x.shape[1], "not to its own only"),
    "times x": (lambda g, x: x * backward_loop(g, x), "does not depend on the values"),
    "where x is positive": (lambda g, x: np.where(x > 0, backward_loop(g, x), 0), "does not depend on the values"),
    "forward": (lambda g, x: backward_means(x, x), "This is the forward pass"),
    "of ones": (lambda g, x: backward_means(np.ones(g.shape), x) + 0 * x, "not of 1"),
    "crossing counted once": (lambda g, x: backward_loop(g, x) - g / x.shape[1], "nothing is taken off"),
    "crossing left out": (lambda g, x: backward_loop(g, x) - g, "nothing is taken off"),
    "halved": (lambda g, x: backward_loop(g, x) / 2, "Nothing is halved"),
    "maximum": (to_the_largest, "This follows the largest cell"),
    "whole map": (lambda g, x: g.mean() + 0 * x, "mean of the whole map"),
    "arriving": (lambda g, x: g.copy(), "is not the arriving one"),
    "all zeros": (lambda g, x: np.zeros(x.shape), "All zeros"),
    "transposed": (lambda g, x: backward_means(g, x).T, "swapped"),
    "overwrites": (lambda g, x: backward_loop(g, x, add=False), None),
    "adds into its argument": (lambda g, x: x.__iadd__(backward_means(g, x)), None),
}

# --- wandering -------------------------------------------------------------------------------------------------------

WANDERING = {
    "the pattern's layers": (["columns", "window 7"], "from edge to edge"),
    "rows": (["rows"], "Rows alone see one row"),
    "rows twice": (["rows", "rows"], "Rows alone see one row"),
    "rows and a small window": (["window 3", "rows"], "Rows alone see one row"),
    "columns": (["columns"], "Columns run across"),
    "columns twice": (["columns", "columns"], "Columns run across"),
    "strips": (["rows and columns"], "Rows alone see one row"),
    "strips twice": (["rows and columns", "rows and columns"], "A column runs through all lines"),
    "rows, then columns": (["rows", "columns"], "A column runs through all lines"),
    "strips and a window": (["window 5", "rows and columns"], "A column runs through all lines"),
    "a high window": (["rows", "window 15"], "too high"),
    "a window over two lines": (["window 17", "rows"], "too high"),
    "a higher window": (["window 33", "rows"], "too high"),
    "two large windows": (["window 33", "window 33"], "too high"),
    "two windows that fall short": (["window 31", "window 31"], "from edge to edge"),
    "two small windows": (["window 5", "window 9"], "from edge to edge"),
    "three layers": (["window 3", "window 3", "rows"], "One layer has to reach"),
    "an even window": (["window 4", "rows"], None),
    "a word": ("rows", None),
    "an unknown layer": (["max", "rows"], None),
    "a number": ([5, "rows"], None),
    "nothing": ([], None),
}

RIGHT = {
    "strip-pooling/maximum": [strip_max_loop, strip_max_keepdims, strip_max_outer],
    "strip-pooling/broadcast": [broadcast_means, broadcast_einsum],
    "strip-pooling/backward": [backward_loop, backward_means, backward_product, backward_differences],
    "strip-pooling/wandering": [
        ["window 5", "rows"],
        ("rows", "window 13"),
        ["window 9", "rows"],
        ["rows", "window 7"],
    ],
}
WRONG = {
    "strip-pooling/maximum": MAXIMUM,
    "strip-pooling/broadcast": BROADCAST,
    "strip-pooling/backward": BACKWARD,
    "strip-pooling/wandering": WANDERING,
}
