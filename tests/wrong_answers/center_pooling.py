"""Answers to the exercises of "Center pooling"."""

import numpy as np

# --- two-maps --------------------------------------------------------------------------------------------------------


def center_loop(a, b, row=np.max, column=np.max, join=lambda p, q: p + q):
    rows = [row(line) for line in a]
    columns = [column(line) for line in b.T]
    return np.array([[join(p, q) for q in columns] for p in rows])


def center_keepdims(a, b):
    return a.max(axis=1, keepdims=True) + b.max(axis=0, keepdims=True)


def center_outer(a, b):
    return np.add.outer(a.max(1), b.max(0)).tolist()


def center_running(a, b):
    """Each line's running maxima from both sides, as in CenterNet."""
    of_a, of_b = (np.maximum.accumulate(x, axis) for x, axis in ((a, 1), (b, 0)))
    return np.maximum.accumulate(of_a[:, ::-1], 1)[:, ::-1] + np.maximum.accumulate(of_b[::-1], 0)[::-1]


def one_sided(a, b):
    return [[max(a[i, j:]) + max(b[i:, j]) for j in range(a.shape[1])] for i in range(a.shape[0])]


def without_itself(a, b):
    y = np.zeros(a.shape)
    for i, j in np.ndindex(a.shape):
        y[i, j] = max(np.delete(a[i], j), default=0) + max(np.delete(b[:, j], i), default=0)
    return y


TWO_MAPS = {
    "nothing changed": (lambda a, b: center_loop(a, a), "what it gave before"),
    "both from b": (lambda a, b: center_loop(b, b), "takes both from b"),
    "exchanged": (lambda a, b: center_loop(b, a), "exchanged"),
    "of the larger map": (lambda a, b: center_keepdims(np.maximum(a, b), np.maximum(a, b)), "not mixed"),
    "of the sum": (lambda a, b: center_keepdims(a + b, a + b), "not mixed"),
    "two poolings added": (lambda a, b: center_keepdims(a, a) + center_keepdims(b, b), "not mixed"),
    "mean of the columns": (lambda a, b: center_loop(a, b, column=np.mean), "The columns take the mean"),
    "strip pooling": (lambda a, b: center_loop(a, b, np.mean, np.mean), "as strip pooling does"),
    "the larger of the two": (lambda a, b: center_loop(a, b, join=max), "the larger of them"),
    "product": (lambda a, b: center_loop(a, b, join=lambda p, q: p * q), "multiplies"),
    "rows only": (lambda a, b: a.max(1, keepdims=True) + 0 * b, "columns of b are missing"),
    "columns only": (lambda a, b: b.max(0, keepdims=True) + 0 * a, "rows of a are missing"),
    "np.max(b) in the loop": (lambda a, b: center_loop(a, b, column=lambda c: np.max(b)), "the whole map"),
    "one number": (lambda a, b: a.max() + b.max() + 0 * a, "the whole map"),
    "rows of b": (lambda a, b: a.max(1, keepdims=True) + b.max(1, keepdims=True) + 0 * a, "along the rows of b"),
    "halved": (lambda a, b: center_keepdims(a, b) / 2, "Nothing is halved"),
    "all zeros": (lambda a, b: 0 * b, "All zeros"),
    "from zero": (lambda a, b: center_loop(a, b, lambda c: max(0, *c), lambda c: max(0, *c)), "No zero takes part"),
    "columns from zero": (lambda a, b: center_loop(a, b, column=lambda c: max(0, *c)), "No zero takes part"),
    "to the right and below": (one_sided, "not to one side"),
    "places": (lambda a, b: a.argmax(1)[:, None] + b.argmax(0), "Their values are added"),
    "magnitudes": (lambda a, b: center_keepdims(abs(a), abs(b)), "not the largest magnitude"),
    "without itself": (without_itself, "part of its own row"),
    "spoils its argument": (lambda a, b: a.__iadd__(center_keepdims(a, b)), None),
    "minimum of the columns": (lambda a, b: center_loop(a, b, column=np.min), None),
}

# --- centre-cells ----------------------------------------------------------------------------------------------------


def centre_loop(x, kernel_size, stride):
    height, width = ((n - kernel_size) // stride + 1 for n in x.shape)
    middle = (kernel_size - 1) // 2
    return [[x[i * stride + middle, j * stride + middle] for j in range(width)] for i in range(height)]


def windows_of(x, kernel_size, stride):
    return np.lib.stride_tricks.sliding_window_view(x, (kernel_size, kernel_size))[::stride, ::stride]


def centre_views(x, kernel_size, stride):
    return windows_of(x, kernel_size, stride)[..., (kernel_size - 1) // 2, (kernel_size - 1) // 2]


def centre_slices(x, kernel_size, stride):
    before = (kernel_size - 1) // 2
    rows, columns = (slice(before, n - kernel_size + before + 1, stride) for n in x.shape)
    return x[rows, columns]


CENTRE_CELLS = {
    "first cell": ({1: "kernel_size"}, "keeps its first cell"),
    "last cell": ({1: "1"}, "keeps its last cell"),
    "a third": ({1: "3"}, "keeps its first cell"),
    "from the end": ({1: "(-2)"}, "The first gap"),
    "rows without the window": ({2: "1"}, "A window takes room"),
    "no room": ({2: "0"}, "A window takes room"),
    "stride for the window": ({2: "stride"}, "A window takes room"),
    "one row too few": ({2: "(kernel_size + 1)"}, "A window takes room"),
    "half a window": ({2: "middle"}, "A window takes room"),
    "rows by one": ({3: "1"}, "`stride` rows on"),
    "side by side": ({3: "kernel_size"}, "`stride` rows on"),
    "one row too far": ({3: "(stride + 1)"}, "The third gap"),
    "the same row": ({3: "0"}, "The third gap"),
    "less than a window": ({2: "(kernel_size - 1)"}, "A window takes room"),
    "middles apart": ({3: "middle"}, "The third gap"),
    "maximum": (lambda x, k, s: windows_of(x, k, s).max((-2, -1)), "whatever the other cells"),
    "mean": (lambda x, k, s: windows_of(x, k, s).mean((-2, -1)), "whatever the other cells"),
    "median": (lambda x, k, s: np.median(windows_of(x, k, s), (-2, -1)), "whatever the other cells"),
    "to the end": (lambda x, k, s: x[(k - 1) // 2 :: s, (k - 1) // 2 :: s], "has to fit into the map"),
    "transposed": (lambda x, k, s: centre_views(x, k, s).T, None),
}

# --- backward --------------------------------------------------------------------------------------------------------


def backward_loop(g, x, add=True, rows=True, columns=True, pick=np.argmax, total=np.sum):
    """The right loop, and the places where it is easily got wrong."""
    gradient = np.zeros(x.shape)
    for i in range(x.shape[0]):
        if rows:
            k = pick(x[i, :])
            gradient[i, k] = (gradient[i, k] if add else 0) + total(g[i, :])
    for j in range(x.shape[1]):
        if columns:
            k = pick(x[:, j])
            gradient[k, j] = (gradient[k, j] if add else 0) + total(g[:, j])
    return gradient


def backward_outputs(g, x):
    """One output at a time."""
    gradient = np.zeros(x.shape)
    for i, j in np.ndindex(g.shape):
        gradient[i, x[i].argmax()] += g[i, j]
        gradient[x[:, j].argmax(), j] += g[i, j]
    return gradient


def backward_put(g, x):
    gradient = np.zeros_like(x)
    np.add.at(gradient, (np.arange(len(x)), x.argmax(1)), g.sum(1))
    np.add.at(gradient, (x.argmax(0), np.arange(x.shape[1])), g.sum(0))
    return gradient


def last_of(line):
    return len(line) - 1 - np.argmax(line[::-1])


def masks(g, x, shared=False):
    row, column = x == x.max(1, keepdims=True), x == x.max(0, keepdims=True)
    parts = (row.sum(1, keepdims=True), column.sum(0, keepdims=True)) if shared else (1, 1)
    return row * g.sum(1, keepdims=True) / parts[0] + column * g.sum(0, keepdims=True) / parts[1]


def to_the_largest(g, x):
    gradient = np.zeros(x.shape)
    gradient[np.unravel_index(x.argmax(), x.shape)] = 2 * g.sum()
    return gradient


def backward_one_hot(g, x):
    of_rows, of_columns = np.eye(x.shape[1])[x.argmax(1)], np.eye(x.shape[0])[x.argmax(0)].T
    return of_rows * g.sum(1, keepdims=True) + of_columns * g.sum(0)


def differences(g, x, step=1e-6):
    gradient = np.zeros(x.shape)
    for cell in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[cell], down[cell] = x[cell] + step, x[cell] - step
        gradient[cell] = (g * (center_keepdims(up, up) - center_keepdims(down, down))).sum() / (2 * step)
    return gradient


def as_a_set(g, x):
    gradient = np.zeros(x.shape)
    for i, j in np.ndindex(g.shape):
        for cell in {(i, int(x[i].argmax())), (int(x[:, j].argmax()), j)}:
            gradient[cell] += g[i, j]
    return gradient


def winners_of_both(g, x):
    both = (x == x.max(1, keepdims=True)) & (x == x.max(0))
    return both * (g.sum(1, keepdims=True) + g.sum(0))


def last_in_columns(g, x):
    return backward_loop(g, x, columns=False) + backward_loop(g, x, rows=False, pick=last_of)


BACKWARD = {
    "rows only": (lambda g, x: backward_loop(g, x, columns=False), "along the columns is missing"),
    "columns only": (lambda g, x: backward_loop(g, x, rows=False), "along the rows is missing"),
    "last of equals": (lambda g, x: backward_loop(g, x, pick=last_of), "not the last"),
    "shared": (lambda g, x: masks(g, x, shared=True), "It is not shared"),
    "a mask of winners": (masks, "the first one alone"),
    "overwrites": (lambda g, x: backward_loop(g, x, add=False), "add, do not overwrite"),
    "own place": (
        lambda g, x: g * (backward_loop(np.eye(1) + 0 * x, x, total=lambda v: 1)),
        "not its own place's",
    ),
    "means": (lambda g, x: backward_loop(g, x, total=np.mean), "not the mean"),
    "strip pooling": (lambda g, x: g.mean(1, keepdims=True) + g.mean(0, keepdims=True), "to their winners alone"),
    "spread": (lambda g, x: g.sum(1, keepdims=True) + g.sum(0, keepdims=True), "to their winners alone"),
    "last in columns": (last_in_columns, "not the last"),
    "differences": (differences, "It is not shared"),
    "a set of winners": (as_a_set, "add, do not overwrite"),
    "winners of both": (winners_of_both, "need not win both"),
    "all of it to each": (lambda g, x: backward_loop(g * 0 + g.sum(), x, total=np.mean), "not those of the whole map"),
    "winners of the gradient": (lambda g, x: backward_loop(g, g), "not of the arriving gradient"),
    "magnitudes": (lambda g, x: backward_loop(g, abs(x)), "not the largest magnitude"),
    "whole map": (to_the_largest, "each column has one of its own"),
    "forward": (lambda g, x: x.max(1, keepdims=True) + x.max(0, keepdims=True), "This is the forward pass"),
    "of ones": (lambda g, x: backward_loop(np.ones(g.shape), x), "not 1 for each output"),
    "times x": (lambda g, x: backward_loop(g, x) * x, "not the gradient times its value"),
    "where x is positive": (lambda g, x: np.where(x > 0, backward_loop(g, x), 0), "below zero"),
    "halved": (lambda g, x: backward_loop(g, x) / 2, "Nothing is halved"),
    "arriving": (lambda g, x: g.copy(), "is not the arriving one"),
    "all zeros": (lambda g, x: np.zeros(x.shape), "All zeros"),
    "smallest": (lambda g, x: backward_loop(g, x, pick=np.argmin), "follows the smallest"),
    "adds into its argument": (lambda g, x: x.__iadd__(backward_loop(g, x)), None),
}

# --- coins -----------------------------------------------------------------------------------------------------------

COINS = {
    "the pattern's settings": ((48, 3, "means"), "holds several coins"),
    "a small view": ((16, 9, "center"), "larger than itself"),
    "one cell too small": ((32, 9, "center"), "larger than itself"),
    "a short edge": ((36, 1, "center"), "Short edges"),
    "a short edge of three": ((36, 3, "center"), "Short edges"),
    "a long edge": ((36, 31, "center"), "longer than a coin's outline is straight"),
    "a window": ((36, 9, "window"), "does not reach"),
    "a window and long edges": ((36, 13, "window"), "does not reach"),
    "means": ((36, 9, "means"), "longer edges than a maximum"),
    "a large view": ((64, 9, "center"), "holds several coins"),
    "a view a little large": ((40, 9, "center"), "holds several coins"),
    "an edge a little long": ((36, 15, "center"), "longer than a coin's outline is straight"),
    "means in a larger view": ((42, 13, "means"), "longer edges than a maximum"),
    "a capital": ((36, 9, "Center"), None),
    "an even length": ((36, 8, "center"), None),
    "a word": ("center", None),
    "another pooling": ((36, 9, "max"), None),
    "two numbers": ((36, 9), None),
    "fractions": ((32.0, 9, "center"), None),
    "a huge view": ((100, 9, "center"), None),
}

RIGHT = {
    "center-pooling/two-maps": [center_loop, center_keepdims, center_outer, center_running],
    "center-pooling/centre-cells": [centre_loop, centre_views, centre_slices],
    "center-pooling/backward": [backward_loop, backward_outputs, backward_put, backward_one_hot],
    "center-pooling/coins": [(34, 9, "center"), [36, 9, "center"], (36, 13, "means"), (44, 19, "means")],
}
WRONG = {
    "center-pooling/two-maps": TWO_MAPS,
    "center-pooling/centre-cells": CENTRE_CELLS,
    "center-pooling/backward": BACKWARD,
    "center-pooling/coins": COINS,
}
