"""Answers to the exercises of "Corner pooling"."""

import itertools

import numpy as np

# --- bottom right ----------------------------------------------------------------------------------------------------


def bottom_right_loop(a, b, reduce=np.max, join=lambda s, t: s + t, up=True, leftwards=True, past=1):
    """The right loop, and the places where it is easily got wrong."""
    y = np.empty(a.shape)
    for i, j in np.ndindex(a.shape):
        column = a[: i + past, j] if up else a[i:, j]
        row = b[i, : j + past] if leftwards else b[i, j:]
        y[i, j] = join(reduce(column if column.size else a[i : i + 1, j]), reduce(row if row.size else b[i, j : j + 1]))
    return y


def bottom_right_accumulate(a, b):
    return np.maximum.accumulate(a, axis=0) + np.maximum.accumulate(b, axis=1)


def bottom_right_turned(a, b):
    turned = bottom_right_loop(a[::-1, ::-1], b[::-1, ::-1], up=False, leftwards=False)
    return turned[::-1, ::-1].tolist()


def bottom_right_lists(a, b):
    columns = [list(itertools.accumulate(column, max)) for column in a.T.tolist()]
    rows = [list(itertools.accumulate(row, max)) for row in b.tolist()]
    return np.array([[columns[j][i] + rows[i][j] for j in range(a.shape[1])] for i in range(len(a))])


BOTTOM_RIGHT = {
    "nothing changed": (lambda a, b: bottom_right_loop(a, b, up=False, leftwards=False), "what it gave before"),
    "columns forgotten": (lambda a, b: bottom_right_loop(a, b, up=False), "The columns of `a` still look down"),
    "rows forgotten": (lambda a, b: bottom_right_loop(a, b, leftwards=False), "The rows of `b` still look"),
    "without the cell itself": (lambda a, b: bottom_right_loop(a, b, past=0), "Its own value counts"),
    "maps exchanged": (lambda a, b: bottom_right_loop(b, a), "The maps are exchanged"),
    "whole strips": (lambda a, b: a.max(0) + b.max(1, keepdims=True), "whole columns and rows"),
    "whole rows": (lambda a, b: np.maximum.accumulate(a, 0) + b.max(1, keepdims=True), "whole columns and rows"),
    "a twice": (lambda a, b: bottom_right_loop(a, a), "come from `a`"),
    "b twice": (lambda a, b: bottom_right_loop(b, b), "come from `b`"),
    "the larger": (lambda a, b: bottom_right_loop(a, b, join=max), "the larger of them"),
    "the smaller": (lambda a, b: bottom_right_loop(a, b, join=min), "the smaller of them"),
    "product": (lambda a, b: bottom_right_loop(a, b, join=lambda s, t: s * t), "multiplies"),
    "minimum": (lambda a, b: bottom_right_loop(a, b, reduce=np.min), "smallest values"),
    "sums": (lambda a, b: bottom_right_loop(a, b, reduce=np.sum), "adds up"),
    "from zero": (lambda a, b: bottom_right_accumulate(np.maximum(a, 0), np.maximum(b, 0)), "No zero takes part"),
    "magnitudes": (lambda a, b: bottom_right_accumulate(np.abs(a), np.abs(b)), "not at magnitudes"),
    "halved": (lambda a, b: bottom_right_accumulate(a, b) / 2, "Nothing is halved"),
    "columns only": (lambda a, b: np.maximum.accumulate(a, 0), "The rows of `b` are missing"),
    "rows only": (lambda a, b: np.maximum.accumulate(b, 1), "The columns of `a` are missing"),
    "all zeros": (lambda a, b: 0 * a, "All zeros"),
    "mean": (lambda a, b: bottom_right_loop(a, b, reduce=np.mean), None),
    "the last two cells": (
        lambda a, b: np.maximum(a, np.vstack([a[:1], a[:-1]])) + np.maximum(b, np.hstack([b[:, :1], b[:, :-1]])),
        None,
    ),
    "axes of the scans exchanged": (
        lambda a, b: np.maximum.accumulate(a, 1) + np.maximum.accumulate(b, 0),
        "The maps are exchanged",
    ),
    "one cell too many": (lambda a, b: bottom_right_loop(a, b, past=2), None),
    "the whole quadrant": (
        lambda a, b: sum(np.maximum.accumulate(np.maximum.accumulate(m, 0), 1) for m in (a, b)),
        None,
    ),
    "spoils its argument": (lambda a, b: a.__iadd__(bottom_right_accumulate(a, b)), None),
}

# --- scans -----------------------------------------------------------------------------------------------------------


def scans_sliced(a, b):
    top = np.maximum.accumulate(a[:, ::-1], axis=1)[:, ::-1]
    left = np.maximum.accumulate(b[:, :, ::-1], axis=2)[:, :, ::-1]
    return top + left


def scans_loop(a, b):
    top, left = a.copy(), b.copy()
    for i in reversed(range(a.shape[1] - 1)):
        top[:, i] = np.maximum(top[:, i], top[:, i + 1])
    for j in reversed(range(a.shape[2] - 1)):
        left[:, :, j] = np.maximum(left[:, :, j], left[:, :, j + 1])
    return top + left


SCANS = {
    "a along its rows": ({1: "2", 2: "2"}, "`a` is scanned along its columns"),
    "a along axis -1": ({1: "-1", 2: "-1"}, "`a` is scanned along its columns"),
    "a turned along its rows": ({1: "2"}, "`a` is scanned along its columns"),
    "a accumulated along its rows": ({2: "2"}, "`a` is scanned along its columns"),
    "b along its columns": ({3: "1", 4: "1"}, "`b` is scanned along its rows"),
    "b turned along its columns": ({3: "1"}, "`b` is scanned along its rows"),
    "b accumulated along its columns": ({4: "1"}, "`b` is scanned along its rows"),
    "axes exchanged": ({1: "2", 2: "2", 3: "1", 4: "1"}, "The axes are exchanged"),
    "accumulated along exchanged axes": ({2: "2", 4: "1"}, "The axes are exchanged"),
    "a over the maps": ({2: "0"}, "Axis 0 counts the maps"),
    "a's maps turned": ({1: "0"}, "Axis 0 counts the maps"),
    "b over the maps": ({4: "0"}, "Axis 0 counts the maps"),
    "axes of one map": ({3: "0", 4: "0"}, "Axis 0 counts the maps"),
    "both axes turned": ({1: "(1, 2)"}, "Only the axis of the scan"),
    "b with both axes turned": ({3: "(1, 2)"}, "Only the axis of the scan"),
    "all axes turned": ({1: "None"}, "Only the axis of the scan"),
    "turned along exchanged axes": ({1: "2", 3: "1"}, "The axes are exchanged"),
    "a turned along its maps from the end": ({1: "-3"}, "Axis 0 counts the maps"),
    "b turned along the axis of columns": ({3: "-2"}, "`b` is scanned along its rows"),
    "other corner": (lambda a, b: np.maximum.accumulate(a, 1) + np.maximum.accumulate(b, 2), None),
    "not turned back": (
        lambda a, b: np.maximum.accumulate(a[:, ::-1], 1) + np.maximum.accumulate(b[:, :, ::-1], 2),
        None,
    ),
    "all zeros": (lambda a, b: 0 * a, None),
}

# --- backward --------------------------------------------------------------------------------------------------------


def backward_loop(g, a, first=True, add=True, start=0):
    """The right loop, and the places where it is easily got wrong."""
    gradient = np.zeros(a.shape)
    height = len(a)
    for i, j in np.ndindex(g.shape):
        met = a[i:, j][::-1] if first else a[i:, j]
        step = int(np.argmax(met))
        row = height - 1 - step if first else i + step
        gradient[row, j] = (gradient[row, j] if add else 0) + g[i, j]
    return gradient


def backward_records(g, a):
    """In one walk down: a cell that beats all below it takes what has gathered."""
    gradient = np.zeros(a.shape)
    best = np.maximum.accumulate(a[::-1], axis=0)[::-1]
    for j in range(a.shape[1]):
        carried = 0
        for i in range(len(a)):
            carried += g[i, j]
            if i == len(a) - 1 or a[i, j] > best[i + 1, j]:
                gradient[i, j], carried = carried, 0
    return gradient


def backward_carrying(g, a):
    gradient = np.zeros(a.shape)
    winner = np.full(a.shape[1], len(a) - 1)
    columns = np.arange(a.shape[1])
    for i in reversed(range(len(a))):
        winner = np.where(a[i] > a[winner, columns], i, winner)
        gradient[winner, columns] += g[i]
    return gradient


def backward_rows(g, a, add=True, turned_back=True):
    """All winners' rows at once; `+=` at equal indices would keep one summand of several."""
    gradient = np.zeros(a.shape)
    best = np.maximum.accumulate(a[::-1], axis=0)[::-1]
    is_record = np.vstack([a[:-1] > best[1:], np.ones((1, a.shape[1]), bool)])
    rows = np.where(is_record, np.arange(len(a))[:, None], len(a))
    rows = np.minimum.accumulate(rows[::-1], axis=0)[::-1]  # the next record at or below each cell
    if not turned_back:
        rows = len(a) - 1 - rows
    columns = np.arange(a.shape[1])
    if add:
        np.add.at(gradient, (rows, columns), g)
    else:
        gradient[rows, columns] += g
    return gradient


def to_ties(g, a, share):
    gradient = np.zeros(a.shape)
    for i, j in np.ndindex(g.shape):
        ties = a[i:, j] == a[i:, j].max()
        gradient[i:, j] += g[i, j] * ties / (ties.sum() if share else 1)
    return gradient


BACKWARD = {
    "ties to the last": (lambda g, a: backward_loop(g, a, first=False), "that the scan meets first"),
    "ties shared": (lambda g, a: to_ties(g, a, True), "that the scan meets first"),
    "all ties": (lambda g, a: to_ties(g, a, False), "that the scan meets first"),
    "overwrites": (lambda g, a: backward_loop(g, a, add=False), "their gradients add up"),
    "whole column": (
        lambda g, a: (np.arange(len(a))[:, None] == a.argmax(0)) * g.sum(0),
        "largest of the whole column",
    ),
    "down": (lambda g, a: backward_loop(g[::-1], a[::-1])[::-1], "This one runs down"),
    "along rows": (lambda g, a: backward_loop(g.T, a.T).T, "runs along rows"),
    "along rows, rightwards": (lambda g, a: backward_loop(g.T[::-1], a.T[::-1])[::-1].T, "runs along rows"),
    "to its own cell": (lambda g, a: g.copy(), "which may lie further down"),
    "where it won itself": (
        lambda g, a: g * (a == np.maximum.accumulate(a[::-1], 0)[::-1]),
        "which may lie further down",
    ),
    "times a": (lambda g, a: a * backward_loop(g, a), "do not scale"),
    "where a is positive": (lambda g, a: np.where(a > 0, backward_loop(g, a), 0), "do not scale"),
    "forward": (lambda g, a: np.maximum.accumulate(a[::-1], 0)[::-1], "This is the forward pass"),
    "scanned gradient": (lambda g, a: np.maximum.accumulate(g[::-1], 0)[::-1], "This scans the gradient"),
    "of ones": (lambda g, a: backward_loop(np.ones(g.shape), a), "how often each cell won"),
    "to all below": (lambda g, a: np.cumsum(g, axis=0), "One of them has won"),
    "all zeros": (lambda g, a: np.zeros(a.shape), "All zeros"),
    "added at once": (lambda g, a: backward_rows(g, a, add=False), "their gradients add up"),
    "rows not turned back": (lambda g, a: backward_rows(g, a, turned_back=False), None),
    "averaged over its wins": (
        lambda g, a: backward_loop(g, a) / np.maximum(backward_loop(np.ones(g.shape), a), 1),
        None,
    ),
    "halved": (lambda g, a: backward_loop(g, a) / 2, None),
    "negated": (lambda g, a: -backward_loop(g, a), None),
    "transposed": (lambda g, a: backward_loop(g, a).T, None),
    "adds into its argument": (lambda g, a: a.__iadd__(backward_loop(g, a)), None),
}

# --- quadrant --------------------------------------------------------------------------------------------------------

QUADRANT = {
    "the pattern's layers": (["window 7", "down"], "A scan down brings what lies above"),
    "one corner": (["top left corner"], "One scan follows one edge"),
    "up": (["up"], "One scan follows one edge"),
    "left": (["left"], "One scan follows one edge"),
    "up twice": (["up", "up"], "One scan follows one edge"),
    "down and right": (["down", "right"], "A scan down brings what lies above"),
    "down": (["down"], "A scan down brings what lies above"),
    "up and right": (["up", "right"], "A scan down brings what lies above"),
    "up and down": (["up", "down"], "A scan down brings what lies above"),
    "a window": (["window 5"], "Windows reach"),
    "a window that is large enough": (["window 23"], "looks to all four sides"),
    "two windows": (["window 11", "window 13"], "looks to all four sides"),
    "a window and a corner": (["window 25", "top left corner"], "looks to all four sides"),
    "a small window and a corner": (["window 3", "top left corner"], "One scan follows one edge"),
    "left and down": (["left", "down"], "A scan down brings what lies above"),
    "a large window, then up": (["window 23", "up"], "looks to all four sides"),
    "a window of one cell": (["window 1", "left"], "One scan follows one edge"),
    "three layers": (["up", "left", "up"], "Two scans reach"),
    "an even window": (["window 4", "up"], None),
    "a word": ("up", None),
    "an unknown layer": (["top", "left"], None),
    "a number": ([3, "up"], None),
    "nothing": ([], None),
}

RIGHT = {
    "corner-pooling/bottom-right": [
        bottom_right_loop,
        bottom_right_accumulate,
        bottom_right_turned,
        bottom_right_lists,
    ],
    "corner-pooling/scans": [scans_sliced, scans_loop, {1: "-2", 2: "-2", 3: "-1", 4: "-1"}],
    "corner-pooling/backward": [backward_loop, backward_records, backward_carrying, backward_rows],
    "corner-pooling/quadrant": [
        ["up", "left"],
        ("left", "up"),
        ["top left corner", "top left corner"],
        ["left", "top left corner"],
    ],
}
WRONG = {
    "corner-pooling/bottom-right": BOTTOM_RIGHT,
    "corner-pooling/scans": SCANS,
    "corner-pooling/backward": BACKWARD,
    "corner-pooling/quadrant": QUADRANT,
}
