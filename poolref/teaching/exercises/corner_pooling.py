"""Exercises of the chapter "Corner pooling"."""

import re

import numpy as np

from poolref.numpy import corner_pool, max_pool, max_pool_backward, min_pool
from poolref.regions import Columns, Rows, Running, Window
from poolref.teaching.attempts.exercise import Demand, Design, Exercise
from poolref.teaching.attempts.inputs import maps, with_gradient

UP, DOWN, LEFT, RIGHT = (Running(direction) for direction in ("up", "down", "left", "right"))


def small_maps():
    return ((x,) for x, *_ in maps([(1, 1)]))


def pairs():
    """Two maps of the same shape, which differ."""
    for (x,) in small_maps():
        yield x, 3 - 2 * x[::-1, ::-1]


def scans(of_a, of_b, join=np.add):
    """A wrong operator from two scans, functions of a map."""
    return lambda a, b: join(of_a(a), of_b(b))


def by(regions, pool=max_pool):
    return lambda x: pool(x, regions) + np.zeros(x.shape)


def without_itself(regions):
    """A running maximum that leaves out the cell itself; the first cell that the scan meets keeps its own value."""

    def scan(x):
        y = x.copy()
        for cell in np.ndindex(x.shape):
            met = regions.cells(cell, x.shape)[:-1]
            if met:
                y[cell] = max(x[other] for other in met)
        return y

    return scan


# --- bottom-right: worked --------------------------------------------------------------------------------------------


def bottom_right_2d(a, b):
    """Return bottom right corner pooling: the largest at or above each cell of a, plus the largest to the left in b."""
    return corner_pool(a, b, "bottom_right")


def corner_pool_2d(a, b):
    height, width = a.shape
    y = np.empty((height, width))
    for i, j in np.ndindex(height, width):
        below = a[i:, j]
        beside = b[i, j:]
        y[i, j] = np.max(below) + np.max(beside)
    return y


# --- scans: faded ----------------------------------------------------------------------------------------------------


def corner_pool_channels(a, b):
    """Return top left corner pooling of maps, (C, H, W) each."""
    return corner_pool(a, b)


def corner_pool_channels_with_gaps(a, b):
    top = np.flip(np.maximum.accumulate(np.flip(a, axis=...), axis=...), axis=1)
    left = np.flip(np.maximum.accumulate(np.flip(b, axis=...), axis=...), axis=2)
    return top + left


def channels():
    """One to three pairs of maps of the same shape, which differ."""
    for number, (a, b) in enumerate(pairs()):
        count = number % 3 + 1
        yield np.stack([a, 3 - 2 * a[::-1], a * a][:count]), np.stack([b, b[:, ::-1] - 1, b * b][:count])


# --- backward: open --------------------------------------------------------------------------------------------------


def top_pool_backward(grad_output, a):
    """Return the gradient of a scan from the bottom up with respect to the 2-d map a; ties go to the first one met."""
    return max_pool_backward(grad_output, a, UP)


def to_winner(place):
    """A wrong gradient: each output's gradient goes to the row that `place(column, i)` names."""

    def backward(g, a):
        gradient = np.zeros(a.shape)
        for i, j in np.ndindex(a.shape):
            gradient[place(a[:, j], i), j] += g[i, j]
        return gradient

    return backward


def last_met(column, i):
    return i + int(np.argmax(column[i:]))


def first_met(column, i):
    return len(column) - 1 - int(np.argmax(column[i:][::-1]))


def overwritten(g, a):
    gradient = np.zeros(a.shape)
    for i, j in np.ndindex(a.shape):
        gradient[first_met(a[:, j], i), j] = g[i, j]
    return gradient


def split_among_ties(g, a):
    gradient = np.zeros(a.shape)
    for i, j in np.ndindex(a.shape):
        ties = a[i:, j] == a[i:, j].max()
        gradient[i:, j] += g[i, j] * ties / ties.sum()
    return gradient


def to_all_ties(g, a):
    gradient = np.zeros(a.shape)
    for i, j in np.ndindex(a.shape):
        gradient[i:, j] += g[i, j] * (a[i:, j] == a[i:, j].max())
    return gradient


# --- quadrant: design ------------------------------------------------------------------------------------------------

SIDE, CELL, REACH = 33, (10, 10), 12
BOTH = "top left corner"
DIRECTIONS = {"up": UP, "down": DOWN, "left": LEFT, "right": RIGHT}


def widened(mask, layer):
    """The cells of which the cells of a mask are made by a layer."""
    if layer == BOTH:
        return widened(mask, "up") | widened(mask, "left")
    if layer in DIRECTIONS:  # a scan upwards makes a cell of those below it: what lies below any cell of the mask
        opposite = {"up": "down", "down": "up", "left": "right", "right": "left"}[layer]
        return max_pool(mask.astype(float), DIRECTIONS[opposite]) > 0
    size = int(layer.split()[1])
    return max_pool(mask.astype(float), Window(size, 1, size // 2)) > 0


def is_layer(layer):
    if not isinstance(layer, str):
        return False
    size = re.fullmatch(r"window (\d{1,2})", layer)
    return layer in (BOTH, *DIRECTIONS) or bool(size and int(size[1]) % 2 and int(size[1]) <= SIDE)


def quadrant_demands(layers):
    """What is asked of a list of layers."""
    if isinstance(layers, str) or not isinstance(layers, list | tuple) or not layers:
        raise ValueError('A design is a list of one or two layers, such as ["window 7", "down"].')
    wrong = [layer for layer in layers if not is_layer(layer)]
    if wrong:
        names = ", ".join(f'"{name}"' for name in (*DIRECTIONS, BOTH))
        raise ValueError(f'A layer is {names}, or "window k" with an odd k up to {SIDE}, not {wrong[0]!r}.')
    yield Demand("at most two layers", f"{len(layers)}", len(layers) <= 2, "Two scans reach every cell of the box.")
    mask = np.zeros((SIDE, SIDE), bool)
    mask[CELL] = True
    for layer in reversed(layers):
        mask = widened(mask, layer)
    (row, column), scanned = CELL, set(layers) & {*DIRECTIONS, BOTH}
    box = mask[row : row + REACH, column : column + REACH]
    yield Demand(
        f"cell {CELL} depends on every cell of a box of {REACH} × {REACH} that begins there",
        f"on {box.sum()} of {box.size}",
        bool(box.all()),
        "One scan follows one edge of the box, and a corner follows two. A second scan across the first looks inside."
        if scanned and not {"down", "right"} & scanned
        else "A scan down brings what lies above, and a scan to the right what lies to the left. The box lies on the "
        "other sides."
        if scanned
        else "Windows reach (k − 1)/2 cells to each side.",
    )
    above, before = int(mask[:row].sum()), int(mask[:, :column].sum())
    yield Demand(
        "it depends on no cell above the box and on none to the left of it",
        f"on {above} above and {before} to the left",
        above + before == 0,
        "A scan down brings what lies above, and a scan to the right what lies to the left."
        if {"down", "right"} & scanned
        else "A square window looks to all four sides.",
    )


EXERCISES = [
    Exercise(
        "corner-pooling/bottom-right",
        "worked",
        ("by-hand", "boxes"),
        bottom_right_2d,
        pairs,
        given=corner_pool_2d,
        ideas={
            "The columns of `a` still look down. A bottom right corner looks up: from row 0 to row i.": scans(
                by(UP), by(RIGHT)
            ),
            "The rows of `b` still look to the right. A bottom right corner looks to the left.": scans(
                by(DOWN), by(LEFT)
            ),
            "The slices end before the cell itself. Its own value counts: take `[: i + 1]` and `[: j + 1]`.": (
                scans(without_itself(DOWN), without_itself(RIGHT)),
                scans(without_itself(DOWN), by(RIGHT)),
                scans(by(DOWN), without_itself(RIGHT)),
            ),
            "The maps are exchanged: `a` is scanned along its columns, `b` along its rows.": lambda a, b: corner_pool(
                b, a, "bottom_right"
            ),
            "The slices take whole columns and rows. A scan knows the cells that it has met so far.": (
                scans(by(Columns()), by(Rows())),
                scans(by(DOWN), by(Rows())),
                scans(by(Columns()), by(RIGHT)),
            ),
            "Both numbers come from `a`. The second one is read from `b`.": lambda a, b: corner_pool(
                a, a, "bottom_right"
            ),
            "Both numbers come from `b`. The first one is read from `a`.": lambda a, b: corner_pool(
                b, b, "bottom_right"
            ),
            "The two numbers are added. This takes the larger of them.": scans(by(DOWN), by(RIGHT), np.maximum),
            "The two numbers are added. This takes the smaller of them.": scans(by(DOWN), by(RIGHT), np.minimum),
            "The two numbers are added. This multiplies them.": scans(by(DOWN), by(RIGHT), np.multiply),
            "These are the smallest values met, not the largest.": scans(by(DOWN, min_pool), by(RIGHT, min_pool)),
            "This adds up what the scans have met. They keep the largest.": scans(
                lambda a: np.cumsum(a, 0), lambda b: np.cumsum(b, 1)
            ),
            "No zero takes part: a scan that has met only negative values keeps a negative one.": (
                scans(lambda a: np.maximum(max_pool(a, DOWN), 0), lambda b: np.maximum(max_pool(b, RIGHT), 0)),
                lambda a, b: np.maximum(bottom_right_2d(a, b), 0),
            ),
            "A maximum looks at values with their sign, not at magnitudes.": lambda a, b: bottom_right_2d(
                np.abs(a), np.abs(b)
            ),
            "Nothing is halved: the output is a sum.": lambda a, b: bottom_right_2d(a, b) / 2,
            "The rows of `b` are missing.": lambda a, b: max_pool(a, DOWN),
            "The columns of `a` are missing.": lambda a, b: max_pool(b, RIGHT),
            "All zeros: some largest value has to come out.": lambda a, b: 0 * a,
        },
        circumstances={
            "a negative number": lambda a, b: bool((a < 0).any() or (b < 0).any()),
            "more than one row": lambda a, b: a.shape[0] > 1,
            "more than one column": lambda a, b: a.shape[1] > 1,
            "a map that is not square": lambda a, b: a.shape[0] != a.shape[1],
        },
    ),
    Exercise(
        "corner-pooling/scans",
        "faded",
        ("by-hand",),
        corner_pool_channels,
        channels,
        given=corner_pool_channels_with_gaps,
        gaps=("1", "1", "2", "2"),
        ideas={
            "`a` is scanned along its columns, whose cells differ in their row: axis 1.": (
                {1: "2", 2: "2"},
                {1: "-1", 2: "-1"},
                {1: "2"},
                {2: "2"},
                {1: "-1"},
                {2: "-1"},
            ),
            "`b` is scanned along its rows, whose cells differ in their column: axis 2.": (
                {3: "1", 4: "1"},
                {3: "-2", 4: "-2"},
                {3: "1"},
                {4: "1"},
                {3: "-2"},
                {4: "-2"},
            ),
            "The axes are exchanged: a column's cells lie along axis 1, a row's along axis 2.": (
                {1: "2", 2: "2", 3: "1", 4: "1"},
                {2: "2", 4: "1"},
                {1: "2", 3: "1"},
            ),
            "Axis 0 counts the maps, and each map is pooled alone.": (
                {1: "0"},
                {2: "0"},
                {3: "0"},
                {4: "0"},
                {1: "0", 2: "0"},
                {3: "0", 4: "0"},
            ),
            "This turns more than one axis. Only the axis of the scan is turned, and turned back afterwards.": (
                {1: "(1, 2)"},
                {3: "(1, 2)"},
                {1: "None"},
                {3: "None"},
            ),
        },
        gap_ideas=(
            "The first turn makes the scan begin at the bottom.",
            "The first maximum accumulates along the columns.",
            "The second turn makes the scan begin at the right.",
            "The second maximum accumulates along the rows.",
        ),
        circumstances={
            "more than one map": lambda a, b: len(a) > 1,
            "a map that is not square": lambda a, b: a.shape[1] != a.shape[2],
            "more than one row": lambda a, b: a.shape[1] > 1,
            "more than one column": lambda a, b: a.shape[2] > 1,
        },
    ),
    Exercise(
        "corner-pooling/backward",
        "open",
        ("gradient", "claims"),
        top_pool_backward,
        small_maps,
        arguments=with_gradient(lambda a: a.shape),
        ideas={
            "Of equal values the one that the scan meets first gets all: the lowest of them.": (
                to_winner(last_met),
                split_among_ties,
                to_all_ties,
            ),
            "One cell can win several outputs: their gradients add up.": overwritten,
            "A running maximum looks at its own cell and those below. This takes the largest of the whole column.": (
                to_winner(lambda column, i: int(np.argmax(column))),
                to_winner(lambda column, i: len(column) - 1 - int(np.argmax(column[::-1]))),
            ),
            "The scan runs from the bottom up. This one runs down.": lambda g, a: max_pool_backward(g, a, DOWN),
            "The scan runs along columns. This one runs along rows.": (
                lambda g, a: max_pool_backward(g, a, LEFT),
                lambda g, a: max_pool_backward(g, a, RIGHT),
            ),
            "Each output's gradient goes to the cell that won, which may lie further down.": (
                lambda g, a: g,
                lambda g, a: g * (a == max_pool(a, UP)),
            ),
            "The values of `a` say who wins. They do not scale the gradient.": (
                lambda g, a: top_pool_backward(g, a) * a,
                lambda g, a: top_pool_backward(g, a) * (a > 0),
            ),
            "This is the forward pass. Send `grad_output` back.": lambda g, a: max_pool(a, UP),
            "This scans the gradient. Send each gradient to the cell whose value won.": lambda g, a: max_pool(g, UP),
            "Multiply by `grad_output`: this counts how often each cell won.": lambda g, a: top_pool_backward(
                np.ones_like(g), a
            ),
            "Every cell below an output gets its gradient here. One of them has won it.": lambda g, a: np.cumsum(g, 0),
            "All zeros is no gradient: something must come back.": lambda g, a: np.zeros_like(a),
        },
        circumstances={
            "a tie": lambda g, a: any(len(set(column)) < len(column) for column in a.T.tolist()),
            "more than one row": lambda g, a: a.shape[0] > 1,
            "more than one column": lambda g, a: a.shape[1] > 1,
            "a negative number": lambda g, a: bool((a < 0).any()),
        },
    ),
    Design(
        "corner-pooling/quadrant",
        ("cascade", "choose"),
        "Choose at most two layers so that a cell depends on the whole box that begins there, and on nothing above it "
        "or to the left of it.",
        quadrant_demands,
    ),
]
