"""Exercises of the chapter "What pooling does"."""

import operator

import numpy as np

from poolref.definition import pool
from poolref.numpy import avg_pool, avg_pool_backward, lp_pool, max_pool, max_pool_backward, min_pool, sum_pool
from poolref.regions import Window
from poolref.teaching.attempts.exercise import Demand, Design, Exercise
from poolref.teaching.attempts.inputs import maps, with_gradient
from poolref.teaching.attempts.loops import backward_ideas, each_window, into_windows

# --- two-by-two: worked ---------------------------------------------------------------------------------------------


def l2_2x2(x):
    """Return the L2 norm of each 2×2 block: the root of the sum of the squares of its four values."""
    if any(n % 2 for n in x.shape):
        raise ValueError("x must have even sides")
    return lp_pool(x, Window(2), p=2)


def pool_2x2(x):
    rows, columns = x.shape[0] // 2, x.shape[1] // 2
    y = np.empty((rows, columns))
    for i in range(rows):
        for j in range(columns):
            block = x[2 * i : 2 * i + 2, 2 * j : 2 * j + 2]
            y[i, j] = block.max()
    return y


def even_maps():
    return ((x,) for x, *_ in maps([(2, 2)] * 5) if not any(n % 2 for n in x.shape))


def of_blocks(reduce):
    return lambda x: each_window(x, 2, 2, reduce)


# --- any-reducer: faded ---------------------------------------------------------------------------------------------


def pool_blocks(x, size, reducer):
    """Return `reducer` of the values of each block of size × size cells. It takes one list, the block row by row.

    Rows and columns at the end that fill no block are left out.
    """
    return pool(x, Window(size), reducer)


def pool_blocks_with_gaps(x, size, reducer):
    rows, columns = ..., ...
    y = np.empty((rows, columns))
    for i, j in np.ndindex(rows, columns):
        top, left = ..., ...
        y[i, j] = reducer(list(x[top : top + size, left : left + size].flat))
    return y


def largest(values):
    return max(values)


def average(values):
    return sum(values) / len(values)


def first(values):
    return values[0]


def second(values):
    return values[1] if len(values) > 1 else values[0]


def blocks_and_reducers():
    inputs = maps([(1, 1), (2, 2), (3, 3)])
    return ((x, size, f) for x, size, _ in inputs if size <= min(x.shape) for f in (largest, average, first, second))


# --- mean-backward: open --------------------------------------------------------------------------------------------

WINDOWS = [(1, 1), (2, 2), (3, 3), (2, 1), (3, 1), (3, 2), (1, 2), (2, 3)]


def mean_pool_backward(grad_output, x, kernel_size, stride):
    """Return the gradient of 2-d mean pooling with respect to x, where windows may overlap.

    `grad_output` holds the gradient that arrives at each output. Windows have kernel_size × kernel_size cells and move
    by `stride`.
    """
    return avg_pool_backward(grad_output, x, Window(kernel_size, stride))


def backward(share):
    """Return a backward that gives each window `share(g, values, k)`, and that can be misled as into_windows can."""
    return lambda g, x, k, s, **how: into_windows(g, x, k, s, lambda one, window: share(one, window, k), **how)


def even(g, window, k):
    return np.full(window.shape, g / k**2)


def is_largest(window):
    return window == window.max(initial=-np.inf)


# --- front-end: design ----------------------------------------------------------------------------------------------

SIDE, MAPS, CLASSES, NEAR = 60, (16, 32), 10, 12
MOST_NUMBERS, MOST_WORK = 20_000, 5_000_000
REDUCERS = {
    "max": max_pool,
    "mean": avg_pool,
    "sum": sum_pool,
    "min": min_pool,
    "l2": lambda x, regions: lp_pool(x, regions, p=2),
}


def front_end_demands(front_end):
    """What is asked of (reducer, first, second): the pooling after each of two convolutions of a small network."""
    try:
        reducer, first, second = front_end
        first, second = operator.index(first), operator.index(second)
    except (TypeError, ValueError):
        raise ValueError('A front end is (reducer, first, second), such as ("max", 2, 2).') from None
    if not isinstance(reducer, str) or reducer not in REDUCERS:
        raise ValueError(f"The reducer is one of {', '.join(REDUCERS)}; this is {reducer!r}.")
    if first < 1 or second < 1 or SIDE // first < second:
        raise ValueError(
            f"Blocks have at least 1 cell a side, and at least one block has to fit into {SIDE} cells after both "
            f"poolings; these are {first} and {second}."
        )

    middle = SIDE // first
    last = middle // second
    dense = MAPS[1] * last * last
    weights = 9 * MAPS[0] + MAPS[0] * 9 * MAPS[1] + dense * CLASSES
    numbers = weights + sum(MAPS) + CLASSES
    yield Demand(
        f"at most {MOST_NUMBERS:,} weights and biases",
        f"{numbers:,}",
        numbers <= MOST_NUMBERS,
        "The convolutions have the same weights whatever the pooling. The dense layer has one for each cell of each "
        "map that it reads, and for each class: pool more before it.",
    )
    work = 9 * MAPS[0] * SIDE**2 + MAPS[0] * 9 * MAPS[1] * middle**2 + dense * CLASSES
    yield Demand(
        f"at most {MOST_WORK:,} multiplications",
        f"{work:,}",
        work <= MOST_WORK,
        "Most of the work is done in the second convolution, once for each cell of the maps that it reads. Only the "
        "first pooling makes these maps smaller.",
    )
    # One feature in each column of the first row: what is true of columns is true of rows.
    fires = np.zeros((SIDE, SIDE, SIDE))
    fires[np.arange(SIDE), 0, np.arange(SIDE)] = 1
    pool_of = REDUCERS[reducer]
    arrived = pool_of(pool_of(fires, Window(first)), Window(second)).reshape(SIDE, -1)
    least = arrived.max(axis=1).min()
    yield Demand(
        "a feature of strength 1 in a single cell is still at least 0.5 after both poolings",
        f"{least:.2g}",
        bool(least >= 0.5),
        "The minimum of a block with a zero in it is zero."
        if reducer == "min"
        else "A mean divides by the number of cells in a block. A reducer that does not divide keeps a rare feature."
        if reducer == "mean"
        else "Rows and columns that fill no block are left out, and the feature with them. Choose blocks that fit.",
    )
    apart = sum(int(i // (first * second) != (i + NEAR) // (first * second)) for i in range(SIDE - NEAR))
    yield Demand(
        f"two features {NEAR} cells apart in a row come to lie in different cells",
        f"so for {apart} of {SIDE - NEAR} places",
        apart == SIDE - NEAR,
        "After both poolings, a cell stands for `first · second` cells of the first maps in each direction. Nothing "
        "says where in it a feature was. Pool less.",
    )


EXERCISES = [
    Exercise(
        "what-pooling-does/two-by-two",
        "worked",
        ("by-hand", "two-choices"),
        l2_2x2,
        even_maps,
        given=pool_2x2,
        ideas={
            "The root is missing: this is the sum of the squares.": of_blocks(lambda b: (b**2).sum()),
            "The squares are missing: this is the root of the plain sum.": of_blocks(lambda b: np.sqrt(b.sum())),
            "The squares are added up, not averaged: the L2 norm does not divide by the number of cells.": (
                of_blocks(lambda b: np.sqrt((b**2).mean())),
                of_blocks(lambda b: np.sqrt((b**2).sum()) / 4),
                of_blocks(lambda b: np.sqrt((b**2).sum()) / 2),
            ),
            "Square each value first, then add up. This squares the sum.": (
                of_blocks(lambda b: abs(b.sum())),
                of_blocks(lambda b: b.sum() ** 2),
            ),
            "This adds up magnitudes. That is the L1 norm; L2 squares the values and takes the root of the sum.": (
                of_blocks(lambda b: abs(b).sum())
            ),
            "The largest magnitude is the norm for p = ∞. L2 takes all four values.": of_blocks(lambda b: abs(b).max()),
            "NumPy's norm of a 2-d array with `ord=2` is the largest singular value. Flatten the block first.": (
                of_blocks(lambda b: np.linalg.norm(b, 2))
            ),
            "This leaves out cells of the block. All four count.": (
                of_blocks(lambda b: np.sqrt((b[0] ** 2).sum())),
                of_blocks(lambda b: np.sqrt((b[:, 0] ** 2).sum())),
                of_blocks(lambda b: np.sqrt(b[0, 0] ** 2 + b[1, 1] ** 2)),
                of_blocks(lambda b: b[0, 0]),
                of_blocks(lambda b: abs(b[0, 0])),
            ),
            "The exponents are 2 and 1/2.": (
                of_blocks(lambda b: np.cbrt((abs(b) ** 3).sum())),
                of_blocks(lambda b: np.cbrt((b**2).sum())),
                of_blocks(lambda b: (b**4).sum() ** 0.25),
            ),
            "All four squares are added up before the root. This takes the rows or columns one by one.": (
                of_blocks(lambda b: np.sqrt((b**2).sum(axis=0)).max()),
                of_blocks(lambda b: np.sqrt((b**2).sum(axis=1)).max()),
                of_blocks(lambda b: np.sqrt((b**2).sum(axis=0)).sum()),
                of_blocks(lambda b: np.sqrt((b**2).sum(axis=1)).sum()),
            ),
            "This is the root of the largest value. The reducer takes all four.": (
                of_blocks(lambda b: np.sqrt(b.max())),
            ),
            "Nothing is subtracted: a norm measures the distance from 0, not from the mean.": (
                of_blocks(np.std),
                of_blocks(lambda b: np.sqrt(((b - b.mean()) ** 2).sum())),
                of_blocks(np.var),
            ),
            "This is the smallest value of each block.": of_blocks(np.min),
            "This is the sum of each block.": of_blocks(np.sum),
            "This is the mean of each block.": of_blocks(np.mean),
            "Blocks lie side by side: the window moves by 2, not by 1.": lambda x: lp_pool(x, Window(2, 1), p=2),
            "Each block has an answer of its own. This is the norm of the whole map.": (
                lambda x: np.linalg.norm(x),
                lambda x: np.full((x.shape[0] // 2, x.shape[1] // 2), np.linalg.norm(x)),
            ),
            "Rows and columns are swapped.": lambda x: l2_2x2(x).T,
        },
        circumstances={
            "a negative number": lambda x: bool((x < 0).any()),
            "more than one block": lambda x: x.size > 4,
            "a map that is not square": lambda x: x.shape[0] != x.shape[1],
        },
    ),
    Exercise(
        "what-pooling-does/any-reducer",
        "faded",
        ("two-choices",),
        pool_blocks,
        blocks_and_reducers,
        given=pool_blocks_with_gaps,
        gaps=("x.shape[0] // size", "x.shape[1] // size", "size * i", "size * j"),
        ideas={
            "Block (i, j) does not begin at cell (i, j): blocks lie side by side, `size` cells apart.": (
                {3: "i", 4: "j"},
                {3: "i"},
                {4: "j"},
            ),
            "The size of a block is an argument. This steps by 2, whatever the size.": (
                {3: "2 * i", 4: "2 * j"},
                {3: "2 * i"},
                {4: "2 * j"},
            ),
            "The size of a block is an argument. This divides by 2, whatever the size.": (
                {1: "x.shape[0] // 2", 2: "x.shape[1] // 2"},
                {1: "x.shape[0] // 2"},
                {2: "x.shape[1] // 2"},
            ),
            "`size` rows of the map make one row of the output: divide by `size`.": (
                {1: "x.shape[0]", 2: "x.shape[1]"},
                {1: "x.shape[0]"},
                {2: "x.shape[1]"},
                {1: "len(x)"},
            ),
            "This counts windows that move by one cell. Blocks lie side by side.": (
                {1: "x.shape[0] - size + 1", 2: "x.shape[1] - size + 1"},
                {1: "x.shape[0] - size + 1"},
                {2: "x.shape[1] - size + 1"},
                {1: "x.shape[0] - size + 1", 2: "x.shape[1] - size + 1", 3: "i", 4: "j"},
            ),
            "Rows and columns of the output are swapped: `x.shape[0]` counts rows, `x.shape[1]` columns.": (
                {1: "x.shape[1] // size", 2: "x.shape[0] // size"},
                {1: "x.shape[1] // size"},
                {2: "x.shape[0] // size"},
            ),
            "`top` counts rows, so it goes with i; `left` counts columns and goes with j.": (
                {3: "size * j", 4: "size * i"},
                {3: "size * j"},
                {4: "size * i"},
            ),
            "Rows and columns that fill no block are left out: round down, not up.": (
                {1: "-(-x.shape[0] // size)", 2: "-(-x.shape[1] // size)"},
                {1: "-(-x.shape[0] // size)"},
                {2: "-(-x.shape[1] // size)"},
                {1: "x.shape[0] // size + 1", 2: "x.shape[1] // size + 1"},
                {1: "x.shape[0] // size + 1"},
                {2: "x.shape[1] // size + 1"},
            ),
            "`/` gives a float. A number of rows is whole: `//`.": (
                {1: "x.shape[0] / size", 2: "x.shape[1] / size"},
                {1: "x.shape[0] / size"},
                {2: "x.shape[1] / size"},
            ),
            "The first block begins at cell 0, not at `size`.": (
                {3: "size * (i + 1)", 4: "size * (j + 1)"},
                {3: "size * (i + 1)"},
                {4: "size * (j + 1)"},
            ),
            "The output has as many rows as blocks fit, not as many as a block has.": (
                {1: "size", 2: "size"},
                {1: "size"},
                {2: "size"},
            ),
            "The reducer is an argument: call it. This is always the maximum.": lambda x, k, f: pool(
                x, Window(k), largest
            ),
            "The reducer is an argument: call it. This is always the mean.": lambda x, k, f: pool(
                x, Window(k), average
            ),
            "Values go to the reducer row by row. Here they go column by column.": lambda x, k, f: (
                pool_blocks(x.T, k, f).T
            ),
            "Each block has an answer of its own. This reduces the whole map at once.": lambda x, k, f: f(list(x.flat)),
        },
        circumstances={
            "rows or columns that fill no block": lambda x, k, f: any(n % k for n in x.shape),
            "more than one block": lambda x, k, f: x.shape[0] // k * (x.shape[1] // k) > 1,
            "a map that is not square": lambda x, k, f: x.shape[0] != x.shape[1],
            "blocks of more than one cell": lambda x, k, f: k > 1,
            "blocks that are not 2 × 2": lambda x, k, f: k != 2,
        },
    ),
    Exercise(
        "what-pooling-does/mean-backward",
        "open",
        ("gradient",),
        mean_pool_backward,
        lambda: maps(WINDOWS),
        arguments=with_gradient(lambda x, k, s: Window(k, s).output_shape(x.shape)),
        ideas={
            "The mean of k² cells moves by 1/k² when one of them moves by 1. This is the backward of the sum.": (
                backward(lambda g, w, k: g)
            ),
            "A window of k rows and k columns has k² cells. This divides by k.": (
                backward(lambda g, w, k: g / max(len(w), 1))
            ),
            "The divisor is the number of cells in a window: not of the map, of the output, or of a step.": (
                lambda g, x, k, s: into_windows(g, x, k, s, lambda one, window: one / x.size),
                lambda g, x, k, s: into_windows(g, x, k, s, lambda one, window: one / g.size),
                lambda g, x, k, s: into_windows(g, x, k, s, lambda one, window: one / s**2),
                lambda g, x, k, s: into_windows(g, x, k, s, lambda one, window: one / s),
            ),
            **backward_ideas(backward(even)),
            "A gradient for each window, side by side, is right only where the stride is the kernel size.": (
                lambda g, x, k, s: np.kron(g, np.ones((k, k))) / k**2
            ),
            "Every cell of a window gets a share. Handing all to the largest is the backward of the maximum.": (
                lambda g, x, k, s: max_pool_backward(g, x, Window(k, s)),
                lambda g, x, k, s: max_pool_backward(g, x, Window(k, s)) / k**2,
                backward(lambda g, w, k: g * is_largest(w) / max(is_largest(w).sum(), 1)),
                backward(lambda g, w, k: g * is_largest(w)),
                backward(lambda g, w, k: g * is_largest(w) / max(is_largest(w).sum(), 1) / k**2),
            ),
            "The values of the map play no part: a mean moves by 1/k² whatever the cells hold.": (
                backward(lambda g, w, k: g * w / w.size),
                backward(lambda g, w, k: g * w),
                lambda g, x, k, s: mean_pool_backward(g, x, k, s) * x,
                lambda g, x, k, s: mean_pool_backward(g, x, k, s) * (x > 0),
            ),
            "Shares of several windows add up. They are not averaged over the windows that see the cell.": (
                lambda g, x, k, s: (
                    mean_pool_backward(g, x, k, s) / np.maximum(mean_pool_backward(np.ones_like(g), x, k, s) * k**2, 1)
                )
            ),
            "This is the forward pass, the mean of each window. The exercise asks for its gradient.": (
                lambda g, x, k, s: avg_pool(x, Window(k, s))
            ),
            "The gradient has the shape of x. This is the arriving one, divided.": lambda g, x, k, s: g / k**2,
        },
        circumstances={
            "windows that overlap": lambda g, x, k, s: s < k and g.size > 1,
            "a stride larger than the kernel": lambda g, x, k, s: s > k and g.size > 1,
            "cells that no window sees": lambda g, x, k, s: bool(
                (mean_pool_backward(np.ones_like(g), x, k, s) == 0).any()
            ),
            "more than one window": lambda g, x, k, s: g.size > 1,
            "windows of more than one cell": lambda g, x, k, s: k > 1,
            "a map that is not square": lambda g, x, k, s: x.shape[0] != x.shape[1],
        },
    ),
    Design(
        "what-pooling-does/front-end",
        ("cost", "claims"),
        f"Choose (reducer, first, second) for a network on pictures of {SIDE} × {SIDE}: a 3 × 3 convolution to "
        f"{MAPS[0]} maps, pooling in blocks of `first`, a 3 × 3 convolution to {MAPS[1]} maps, pooling in blocks of "
        f"`second`, a dense layer for {CLASSES} classes. Reducers: {', '.join(REDUCERS)}.",
        front_end_demands,
    ),
]
