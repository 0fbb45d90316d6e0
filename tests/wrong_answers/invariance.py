"""Answers to the exercises of "Invariance"."""

import numpy as np

# --- max-blur pooling ------------------------------------------------------------------------------------------------


def max_blur(x, s, *, mode="reflect", weights=(0.25, 0.5, 0.25), reduce=max, start=0, step=True, late=False):
    """The right loop, and the places where it is easily got wrong."""
    largest = np.array([reduce(x[i], x[i + 1]) for i in range(len(x) - 1)])
    if late:
        largest, s = largest[::s], 1
    padded = np.pad(largest, 1, mode=mode if len(largest) > 1 else "edge")
    smooth = [sum(w * v for w, v in zip(weights, padded[i : i + 3])) for i in range(len(largest))]
    return np.array(smooth)[start :: s if step else 1]


def max_blur_cell_by_cell(x, s):
    largest = [max(x[i], x[i + 1]) for i in range(len(x) - 1)]
    y = []
    for i in range(0, len(largest), s):
        left = largest[abs(i - 1)]
        right = largest[i + 1] if i + 1 < len(largest) else largest[i - 1]
        y.append((left + 2 * largest[i] + right) / 4)
    return y


def max_blur_convolved(x, s):
    largest = np.maximum(x[1:], x[:-1])
    mirrored = np.concatenate([largest[1:2], largest, largest[-2:-1]])
    return np.convolve(mirrored, [0.25, 0.5, 0.25], mode="valid")[::s]


MAX_BLUR = {
    "nothing changed": (lambda x, s: max_blur(x, s, mode="constant"), "before the change"),
    "edge repeated": (lambda x, s: max_blur(x, s, mode="edge"), "that cell is not repeated"),
    "symmetric": (lambda x, s: max_blur(x, s, mode="symmetric"), "that cell is not repeated"),
    "wrap": (lambda x, s: max_blur(x, s, mode="wrap"), "with its other end"),
    "blur after the stride": (lambda x, s: max_blur(x, s, late=True), "comes too late"),
    "no stride": (lambda x, s: max_blur(x, s, step=False), "every s-th cell"),
    "begins at 1": (lambda x, s: max_blur(x, s, start=1), "stands at cell 0"),
    "thirds": (lambda x, s: max_blur(x, s, weights=(1 / 3, 1 / 3, 1 / 3)), "counts twice as much"),
    "1 2 1": (lambda x, s: max_blur(x, s, weights=(1, 2, 1)), "add up to 1"),
    "minimum": (lambda x, s: max_blur(x, s, reduce=min), "first step is a maximum"),
    "mean": (lambda x, s: max_blur(x, s, reduce=lambda a, b: (a + b) / 2), "first step is a maximum"),
    "no maximum": (
        lambda x, s: np.convolve(np.pad(x, 1, mode="reflect"), [0.25, 0.5, 0.25], "valid")[::s],
        "maximum of each two neighbours",
    ),
    "no blur": (lambda x, s: np.maximum(x[:-1], x[1:])[::s], "The blur is missing"),
    "weights of the edge": (
        lambda x, s: (max_blur(x, 1, mode="constant") / max_blur(np.ones(len(x)), 1, mode="constant"))[::s],
        "must still add up to 1",
    ),
    "mirrored too early": (
        lambda x, s: np.convolve(
            max_blur(np.pad(x, 1, mode="reflect"), 1, weights=(0, 1, 0)), [0.25, 0.5, 0.25], "valid"
        )[::s],
        "that cell is not repeated",
    ),
    "all zeros": (lambda x, s: np.zeros(len(x[:-1][::s])), "All zeros"),
}

# --- gradient --------------------------------------------------------------------------------------------------------


def backward_matrix(g, n, s):
    """By the matrix of the blur, column by column."""
    columns = []
    for c in range(n):
        x = np.pad(np.eye(n)[c], 1, mode="reflect")
        columns.append([(x[i] + 2 * x[i + 1] + x[i + 2]) / 4 for i in range(0, n, s)])
    return np.array(columns) @ g


def backward_cell_by_cell(g, n, s):
    gradient = np.zeros(n)
    for i, value in enumerate(g):
        for offset, weight in ((-1, 0.25), (0, 0.5), (1, 0.25)):
            cell = abs(i * s + offset)
            gradient[cell if cell < n else 2 * (n - 1) - cell] += weight * value
    return gradient


BACKWARD = {
    "stride forgotten": ({1: "1"}, "begins to read at padded cell"),
    "filter for stride": ({1: "3"}, "begins to read at padded cell"),
    "tap for stride": ({1: "tap"}, "begins to read at padded cell"),
    "one more": ({1: "(stride + 1)"}, "begins to read at padded cell"),
    "two": ({1: "2"}, "begins to read at padded cell"),
    "outputs for stride": ({1: "len(grad_output)"}, "begins to read at padded cell"),
    "ones": ({2: "1"}, "what arrived at output i"),
    "first arriving": ({2: "grad_output[0]"}, "what arrived at output i"),
    "last arriving": ({2: "grad_output[-1]"}, "what arrived at output i"),
    "padding dropped": ({3: "0"}, "belongs to the cell that is mirrored"),
    "the other padding": ({3: "padded[-1]"}, "belongs to the cell that is mirrored"),
    "cell 0": ({3: "gradient[0]"}, "belongs to the cell that is mirrored"),
    "arriving at the edge": ({3: "grad_output[0]"}, "belongs to the cell that is mirrored"),
    "weighted twice": ({3: "padded[0] / 4"}, "has been counted already"),
    "as it came": (lambda g, n, s: np.pad(g, (0, n - len(g))), "gradient of the row"),
    "all zeros": (lambda g, n, s: np.zeros(n), None),
}

# --- what a shift changes --------------------------------------------------------------------------------------------


def pool(x, k, s, reduce=max):
    return [reduce(x[i : i + k]) for i in range(0, len(x) - k + 1, s)]


def right(x, c):
    return [0] * c + list(x[: len(x) - c])


def count(x, k, s, c, *, move=right, reduce=max, differs=lambda a, b: a != b, first=0, last=None):
    """The right count, and the places where it is easily got wrong."""
    before, after = pool(list(x), k, s, reduce), pool(list(move(x, c)), k, s, reduce)
    return sum(int(differs(a, b)) for a, b in list(zip(before, after))[first:last])


def count_by_numpy(x, k, s, c):
    view = np.lib.stride_tricks.sliding_window_view
    gone = np.pad(x, (c, 0))[:-c]
    before, after = (view(row, k)[::s].max(axis=1) for row in (x, gone))
    return np.count_nonzero(before - after)


def count_by_formula(x, k, s, c):
    changed = 0
    for i in range((len(x) - k) // s + 1):
        seen = [x[j - c] if j >= c else 0.0 for j in range(i * s, i * s + k)]
        changed += max(seen) != max(x[i * s : i * s + k])
    return int(changed)


CHANGED = {
    "roll": (lambda *a: count(*a, move=np.roll), "what has left on the right"),
    "left": (lambda *a: count(*a, move=lambda x, c: [*x[c:], *[0] * c]), "This moves it left"),
    "roll to the left": (lambda *a: count(*a, move=lambda x, c: np.roll(x, -c)), "This moves it left"),
    "one cell": (lambda x, k, s, c: count(x, k, s, 1), "This moves it by one"),
    "first copied in": (lambda *a: count(*a, move=lambda x, c: [x[0]] * c + list(x[:-c])), "not a copy of the first"),
    "those that stay": (lambda *a: count(*a, differs=lambda a, b: a == b), "not those that stay"),
    "sum of changes": (
        lambda x, k, s, c: int(sum(abs(a - b) for a, b in zip(pool(list(x), k, s), pool(right(x, c), k, s)))),
        "by how much they change",
    ),
    "those that rise": (lambda *a: count(*a, differs=lambda a, b: b > a), "A cell that falls"),
    "those that fall": (lambda *a: count(*a, differs=lambda a, b: b < a), "A cell that rises"),
    "cells of the row": (lambda x, k, s, c: sum(int(a != b) for a, b in zip(x, right(x, c))), "Pool both rows"),
    "only where it was not 0": (
        lambda *a: count(*a, differs=lambda a, b: a != b and a != 0),
        "those that are 0 before or after",
    ),
    "only where it is not 0": (
        lambda *a: count(*a, differs=lambda a, b: a != b and b != 0),
        "those that are 0 before or after",
    ),
    "without the first": (lambda *a: count(*a, first=1), "The first output counts"),
    "without the last": (lambda *a: count(*a, last=-1), "The last output counts"),
    "whether any": (lambda *a: int(count(*a) > 0), "Whether anything changes"),
    "minimum": (lambda *a: count(*a, reduce=min), "The reducer is the maximum"),
    "mean": (lambda *a: count(*a, reduce=np.mean), "The reducer is the maximum"),
    "kernel for stride": (lambda x, k, s, c: count(x, k, k, c), "not by `kernel_size`"),
    "stride 1": (lambda x, k, s, c: count(x, k, 1, c), "not by 1"),
    "output moved": (
        lambda x, k, s, c: sum(int(a != b) for a, b in zip(pool(x, k, s), right(pool(x, k, s), c))),
        "The row moves, not the output",
    ),
    "share": (lambda x, k, s, c: count(x, k, s, c) / len(pool(x, k, s)), None),
    "all zeros": (lambda x, k, s, c: 0, None),
}

# --- a stage for digits ----------------------------------------------------------------------------------------------

STAGE = {
    "max pooling": ((2, 1, 2), "does not blur"),
    "overlapping max pooling": ((3, 1, 2), "does not blur"),
    "stride alone": ((1, 1, 2), "does not blur"),
    "two by two": ((2, 2, 2), "A filter over more cells"),
    "blur pooling": ((1, 3, 2), "A filter over more cells"),
    "wide blur, no maximum": ((1, 7, 2), "Nothing widens the line"),
    "no stride": ((2, 3, 1), "The stride makes the map smaller"),
    "stride of 3": ((2, 3, 3), "Take a smaller one"),
    "wide stride": ((3, 3, 3), "leaves no cell between the lines"),
    "wide maximum": ((5, 3, 2), "both fill the gap"),
    "wide both": ((4, 5, 2), "both fill the gap"),
    "filter too wide": ((2, 8, 2), None),
    "two numbers": ((2, 3), None),
    "stride of 0": ((2, 3, 0), None),
    "a number": (2, None),
    "halves": ((2, 3, 2.5), None),
    "hardly a map": ((2, 3, 9), None),
}

RIGHT = {
    "invariance/max-blur": [max_blur, max_blur_cell_by_cell, max_blur_convolved],
    "invariance/blur-backward": [backward_matrix, backward_cell_by_cell],
    "invariance/cells-that-change": [count, count_by_numpy, count_by_formula],
    "invariance/stage": [(2, 3, 2), (3, 2, 2), [2, 4, np.int64(2)], (3, 3, 2)],
}
WRONG = {
    "invariance/max-blur": MAX_BLUR,
    "invariance/blur-backward": BACKWARD,
    "invariance/cells-that-change": CHANGED,
    "invariance/stage": STAGE,
}
