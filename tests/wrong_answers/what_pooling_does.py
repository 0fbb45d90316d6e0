"""Answers to the exercises of "What pooling does"."""

import itertools
import math

import numpy as np

# --- two-by-two ------------------------------------------------------------------------------------------------------


def l2_loop(x, reduce=lambda b: np.sqrt((b**2).sum()), step=2, rows=2, columns=2):
    y = np.empty((x.shape[0] // 2, x.shape[1] // 2))
    for i in range(y.shape[0]):
        for j in range(y.shape[1]):
            block = x[step * i : step * i + rows, step * j : step * j + columns]
            y[i, j] = reduce(block)
    return y


def l2_slices(x):
    squares = x**2
    return np.sqrt(squares[::2, ::2] + squares[1::2, ::2] + squares[::2, 1::2] + squares[1::2, 1::2])


def l2_reshape(x):
    return np.linalg.norm(x.reshape(len(x) // 2, 2, -1, 2), axis=(1, 3))


def l2_list(x):
    return [
        [math.hypot(*x[i : i + 2, j : j + 2].ravel()) for j in range(0, x.shape[1], 2)] for i in range(0, len(x), 2)
    ]


def l2_spoiling(x):
    y = l2_slices(x)
    x **= 2
    return y


TWO_BY_TWO = {
    "no root": (lambda x: l2_loop(x, lambda b: (b**2).sum()), "The root is missing"),
    "no squares": (lambda x: l2_loop(x, lambda b: np.sqrt(b.sum())), "The squares are missing"),
    "root of the mean square": (lambda x: l2_loop(x, lambda b: np.sqrt((b**2).mean())), "not averaged"),
    "norm divided by four": (lambda x: l2_loop(x, lambda b: np.sqrt((b**2).sum()) / 4), "not averaged"),
    "square of the sum": (lambda x: l2_loop(x, lambda b: np.sqrt(b.sum() ** 2)), "This squares the sum"),
    "L1": (lambda x: l2_loop(x, lambda b: np.abs(b).sum()), "L1 norm"),
    "largest magnitude": (lambda x: l2_loop(x, lambda b: np.abs(b).max()), "p = ∞"),
    "NumPy's norm, ord=2": (lambda x: l2_loop(x, lambda b: np.linalg.norm(b, ord=2)), "singular value"),
    "one row": (lambda x: l2_loop(x, rows=1), "All four count"),
    "one column": (lambda x: l2_loop(x, columns=1), "All four count"),
    "the mean": (lambda x: l2_loop(x, np.mean), "the mean of each block"),
    "the smallest": (lambda x: l2_loop(x, np.min), "the smallest value"),
    "subsampling": (lambda x: x[::2, ::2], "All four count"),
    "rows first, then the largest": (
        lambda x: l2_loop(x, lambda b: max(math.hypot(*row) for row in b)),
        "rows or columns one by one",
    ),
    "third powers": (lambda x: l2_loop(x, lambda b: np.cbrt((abs(b) ** 3).sum())), "The exponents are 2"),
    "root of the largest": (lambda x: l2_loop(x, lambda b: np.sqrt(b.max())), "root of the largest"),
    "standard deviation": (lambda x: l2_loop(x, np.std), "Nothing is subtracted"),
    "the sum": (lambda x: l2_loop(x, np.sum), "the sum of each block"),
    "unchanged in other words": (lambda x: l2_loop(x, np.max), "what it gave before"),
    "step 1": (lambda x: l2_loop(x, step=1), None),
    "whole map": (lambda x: np.sqrt((x**2).sum()), "whole map"),
    "transposed": (lambda x: l2_slices(x).T, "swapped"),
    "rounded": (lambda x: l2_slices(x).round(), None),
    "spoils its argument": (l2_spoiling, None),
}

# --- any-reducer -----------------------------------------------------------------------------------------------------


def pool_blocks_loop(x, size, reducer):
    y = np.zeros((x.shape[0] // size, x.shape[1] // size))
    for i, j in np.ndindex(y.shape):
        values = [x[i * size + a, j * size + b] for a in range(size) for b in range(size)]
        y[i, j] = reducer(values)
    return y


def pool_blocks_list(x, size, reducer):
    rows = range(0, x.shape[0] - size + 1, size)
    columns = range(0, x.shape[1] - size + 1, size)
    return [[reducer(x[i : i + size, j : j + size].ravel().tolist()) for j in columns] for i in rows]


ANY_REDUCER = {
    "blocks at (i, j)": ({3: "i", 4: "j"}, "does not begin at cell (i, j)"),
    "rows at i": ({3: "i"}, "does not begin at cell (i, j)"),
    "columns at j": ({4: "j"}, "does not begin at cell (i, j)"),
    "steps by 2": ({3: "2 * i", 4: "2 * j"}, "steps by 2"),
    "half as many rows": ({1: "x.shape[0] // 2"}, "divides by 2"),
    "half as many": ({1: "x.shape[0] // 2", 2: "x.shape[1] // 2"}, "divides by 2"),
    "as many as the map": ({1: "x.shape[0]", 2: "x.shape[1]"}, "make one row of the output"),
    "sliding": ({1: "x.shape[0] - size + 1", 2: "x.shape[1] - size + 1", 3: "i", 4: "j"}, "move by one cell"),
    "sliding sizes": ({1: "x.shape[0] - size + 1"}, "move by one cell"),
    "sizes swapped": ({1: "x.shape[1] // size", 2: "x.shape[0] // size"}, "swapped"),
    "corners swapped": ({3: "size * j", 4: "size * i"}, "goes with i"),
    "rounded up": ({1: "-(-x.shape[0] // size)", 2: "-(-x.shape[1] // size)"}, "round down"),
    "one row more": ({1: "x.shape[0] // size + 1"}, "round down"),
    "true division": ({1: "x.shape[0] / size"}, "gives a float"),
    "second block first": ({3: "size * (i + 1)", 4: "size * (j + 1)"}, "begins at cell 0"),
    "size by size": ({1: "size", 2: "size"}, "as many rows as blocks fit"),
    "always max": (lambda x, size, reducer: pool_blocks_loop(x, size, max), "always the maximum"),
    "always mean": (lambda x, size, reducer: pool_blocks_loop(x, size, np.mean), "always the mean"),
    "columns first": (
        lambda x, size, reducer: pool_blocks_loop(x, size, lambda v: reducer(list(np.reshape(v, (size, size)).T.flat))),
        "column by column",
    ),
    "one list for all": (lambda x, size, reducer: reducer(x.ravel().tolist()), "the whole map at once"),
    "sorted": (lambda x, size, reducer: pool_blocks_loop(x, size, lambda v: reducer(sorted(v))), None),
    "all zeros": (lambda x, size, reducer: 0 * pool_blocks_loop(x, size, max), None),
}

# --- mean-backward ---------------------------------------------------------------------------------------------------


def mean_backward_loop(g, x, k, s, share=None, add=True, corner=None, reach=None):
    """The right loop, and the places where it is easily got wrong."""
    gradient = np.zeros(x.shape)
    for i in range(g.shape[0]):
        for j in range(g.shape[1]):
            top, left = corner(i, j, k, s) if corner else (i * s, j * s)
            window = np.s_[top : top + (reach or k), left : left + (reach or k)]
            part = g[i, j] / (k * k) if share is None else share(g[i, j], x[window], k)
            if add:
                gradient[window] += part
            else:
                gradient[window] = part
    return gradient


def mean_backward_cells(g, x, k, s):
    gradient = np.zeros(x.shape)
    for (i, j), (a, b) in itertools.product(np.ndindex(g.shape), np.ndindex(k, k)):
        gradient[i * s + a, j * s + b] += g[i, j] / k**2
    return gradient


def mean_backward_taps(g, x, k, s):
    gradient = np.zeros(x.shape)
    height, width = g.shape
    for a, b in np.ndindex(k, k):
        gradient[a : a + s * height : s, b : b + s * width : s][:height, :width] += g / k**2
    return gradient


def mean_backward_differences(g, x, k, s):
    def means(x):
        return np.array(
            [[x[i * s : i * s + k, j * s : j * s + k].mean() for j in range(g.shape[1])] for i in range(g.shape[0])]
        )

    gradient = np.zeros(x.shape)
    for cell in np.ndindex(x.shape):
        nudged = x.copy()
        nudged[cell] += 1
        gradient[cell] = (g * (means(nudged) - means(x))).sum()
    return gradient


def to_the_largest(g, x, k, s):
    return mean_backward_loop(g, x, k, s, lambda g, w, k: g * (w == w.max()) / (w == w.max()).sum())


def averaged_over_windows(g, x, k, s):
    count = mean_backward_loop(np.ones(g.shape), x, k, s, lambda g, w, k: g)
    return mean_backward_loop(g, x, k, s) / np.where(count, count, 1)


MEAN_BACKWARD = {
    "sum": (lambda *a: mean_backward_loop(*a, lambda g, w, k: g), "backward of the sum"),
    "divides by k": (lambda *a: mean_backward_loop(*a, lambda g, w, k: g / k), "This divides by k"),
    "overwrites": (lambda *a: mean_backward_loop(*a, add=False), "do not overwrite"),
    "window at (i, j)": (lambda *a: mean_backward_loop(*a, corner=lambda i, j, k, s: (i, j)), "begins at row i·stride"),
    "moves by the kernel": (
        lambda *a: mean_backward_loop(*a, corner=lambda i, j, k, s: (i * k, j * k)),
        "begins at row i·stride",
    ),
    "as wide as the stride": (lambda g, x, k, s: mean_backward_loop(g, x, k, s, reach=s), "takes `stride` of them"),
    "maximum": (
        lambda g, x, k, s: mean_backward_loop(
            g, x, k, s, lambda g, w, k: g * (np.arange(k * k) == w.argmax()).reshape(k, k)
        ),
        "backward of the maximum",
    ),
    "times x": (lambda *a: mean_backward_loop(*a, lambda g, w, k: g * w / k**2), "play no part"),
    "where x is positive": (lambda g, x, k, s: mean_backward_loop(g, x, k, s) * (x > 0), "play no part"),
    "share of 1": (lambda *a: mean_backward_loop(*a, lambda g, w, k: 1 / k**2), "not of 1"),
    "averaged over windows": (averaged_over_windows, "not averaged over the windows"),
    "divides by the map": (lambda g, x, k, s: mean_backward_loop(g, x, k, s, lambda v, w, k: v / x.size), "divisor"),
    "divides by the outputs": (
        lambda g, x, k, s: mean_backward_loop(g, x, k, s, lambda v, w, k: v / g.size),
        "divisor",
    ),
    "forward": (
        lambda g, x, k, s: [
            [x[i * s : i * s + k, j * s : j * s + k].mean() for j in range(g.shape[1])] for i in range(g.shape[0])
        ],
        "forward pass",
    ),
    "shape of g": (lambda g, x, k, s: g / k**2, "has the shape of x"),
    "all zeros": (lambda g, x, k, s: np.zeros(x.shape), "All zeros"),
    "columns for rows": (
        lambda *a: mean_backward_loop(*a, corner=lambda i, j, k, s: (j * s, i * s)),
        "goes with the top of a window",
    ),
    "divides by the stride": (
        lambda g, x, k, s: mean_backward_loop(g, x, k, s, lambda v, w, k: v / s**2),
        "The divisor is the number of cells in a window",
    ),
    "the mean's share to the largest": (
        lambda g, x, k, s: to_the_largest(g, x, k, s) / k**2,
        "backward of the maximum",
    ),
    "last window missing": (
        lambda g, x, k, s: mean_backward_loop(g[:-1, :-1], x, k, s),
        "The last windows are left out",
    ),
    "np.kron": (lambda g, x, k, s: np.kron(g, np.ones((k, k)) / k**2), "side by side"),
    "to the largest, split": (to_the_largest, "backward of the maximum"),
    "adds into its argument": (lambda g, x, k, s: x.__iadd__(mean_backward_loop(g, x, k, s)), None),
}

# --- front-end -------------------------------------------------------------------------------------------------------

FRONT_END = {
    "the pattern's blocks": (("max", 2, 2), "pool more before it"),
    "no pooling": (("max", 1, 1), "pool more before it"),
    "only the first": (("max", 5, 1), "pool more before it"),
    "only the second": (("max", 1, 10), "Only the first pooling"),
    "only the second, as sum": (("sum", 1, 12), "Only the first pooling"),
    "mean": (("mean", 2, 5), "A mean divides"),
    "mean, other blocks": (("mean", 3, 4), "A mean divides"),
    "min": (("min", 2, 5), "The minimum of a block"),
    "blocks that leave a remainder": (("max", 3, 3), "left out"),
    "blocks that do not fit": (("max", 7, 1), "pool more before it"),
    "second blocks that do not fit": (("max", 4, 4), "left out"),
    "too coarse": (("max", 4, 5), "Pool less"),
    "global": (("max", 2, 30), "Pool less"),
    "global at once": (("l2", 60, 1), "Pool less"),
    "too coarse, fits": (("sum", 3, 5), "Pool less"),
    "an unknown reducer": (("average", 2, 5), None),
    "a function": ((max, 2, 5), None),
    "no tuple": (4, None),
    "half a cell": (("max", 2.5, 4), None),
    "nothing left": (("max", 30, 3), None),
    "nothing": (("max", 0, 4), None),
}

RIGHT = {
    "what-pooling-does/two-by-two": [l2_loop, l2_slices, l2_reshape, l2_list],
    "what-pooling-does/any-reducer": [pool_blocks_loop, pool_blocks_list],
    "what-pooling-does/mean-backward": [
        mean_backward_loop,
        mean_backward_cells,
        mean_backward_taps,
        mean_backward_differences,
    ],
    "what-pooling-does/front-end": [("max", 2, 5), ["l2", 3, 4], ("sum", np.int64(6), 2), ("max", 10, 1)],
}
WRONG = {
    "what-pooling-does/two-by-two": TWO_BY_TWO,
    "what-pooling-does/any-reducer": ANY_REDUCER,
    "what-pooling-does/mean-backward": MEAN_BACKWARD,
    "what-pooling-does/front-end": FRONT_END,
}
