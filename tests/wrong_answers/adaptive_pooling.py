"""Answers to the exercises of "Adaptive pooling"."""

import math
from itertools import product

import numpy as np

# --- bins ------------------------------------------------------------------------------------------------------------


def with_ceil(n, o):
    return [(math.floor(i * n / o), math.ceil((i + 1) * n / o)) for i in range(o)]


def touched(n, o):
    """The cells that a part touches, one by one."""
    found = []
    for i in range(o):
        cells = [c for c in range(n) if c * o < (i + 1) * n and (c + 1) * o > i * n]
        found.append([cells[0], cells[-1] + 1])
    return found


def split(n, o):
    return [len(part) for part in np.array_split(np.arange(n), o)]


def as_rows_of_an_array(n, o):
    places = np.arange(o + 1) * n
    return np.stack([places[:-1] // o, (places[1:] - 1) // o + 1], axis=1)


BINS = {
    "before the change": (lambda n, o: [(i * n // o, (i + 1) * n // o) for i in range(o)], "before the change"),
    "start up too": (
        lambda n, o: [(math.ceil(i * n / o), math.ceil((i + 1) * n / o)) for i in range(o)],
        "only the end up",
    ),
    "one more": (lambda n, o: [(i * n // o, (i + 1) * n // o + 1) for i in range(o)], "adding one"),
    "one more, clipped": (lambda n, o: [(i * n // o, min((i + 1) * n // o + 1, n)) for i in range(o)], "adding one"),
    "rounded": (lambda n, o: [(i * n // o, round((i + 1) * n / o)) for i in range(o)], "nearest cell"),
    "both rounded": (lambda n, o: [(round(i * n / o), round((i + 1) * n / o)) for i in range(o)], "nearest cell"),
    "last cell": (lambda n, o: [(a, b - 1) for a, b in with_ceil(n, o)], "not in the bin"),
    "even steps": (lambda n, o: [(i * (n // o), (i + 1) * (n // o)) for i in range(o)], "Multiply i · n first"),
    "longest": (lambda n, o: [(i * n // o, i * n // o + -(-n // o)) for i in range(o)], "Multiply i · n first"),
    "the rest to the last": (
        lambda n, o: [(i * (n // o), n if i == o - 1 else (i + 1) * (n // o)) for i in range(o)],
        "Multiply i · n first",
    ),
    "exchanged": (lambda n, o: with_ceil(o, n), "exchanged"),
    "lengths": (lambda n, o: [(a, b - a) for a, b in with_ceil(n, o)], "not of its start and its length"),
    "side by side": (
        lambda n, o: [(min(n, i * math.ceil(n / o)), min(n, (i + 1) * math.ceil(n / o))) for i in range(o)],
        "side by side",
    ),
    "array_split": (
        lambda n, o: [(int(sum(sizes[:i])), int(sum(sizes[: i + 1]))) for sizes in [split(n, o)] for i in range(o)],
        "side by side",
    ),
    "one minus": (lambda n, o: [(i * n // o, -(i + 1) * n // o) for i in range(o)], "one minus stands before a"),
    "from bin 1": (lambda n, o: [*with_ceil(n, o)[1:], (n, math.ceil((o + 1) * n / o))], "has number 0"),
    "all but the last end later": (
        lambda n, o: [(i * n // o, (i + 1) * n // o + (i < o - 1)) for i in range(o)],
        "adding one",
    ),
    "starts alone": (lambda n, o: [i * n // o for i in range(o)], None),
    "whole axis": (lambda n, o: [(0, n)] * o, None),
    "last bin missing": (lambda n, o: with_ceil(n, o)[:-1], None),
}

# --- fused -----------------------------------------------------------------------------------------------------------


def mean_of_bins(x, size):
    y = np.empty((size, size))
    for i, (top, bottom) in enumerate(with_ceil(x.shape[0], size)):
        for j, (left, right) in enumerate(with_ceil(x.shape[1], size)):
            y[i, j] = x[top:bottom, left:right].mean()
    return y


def fused(fine, coarse, size):
    return np.maximum(mean_of_bins(fine, size), mean_of_bins(coarse, size))


def fused_by_cells(fine, coarse, size):
    y = []
    for i in range(size):
        for j in range(size):
            values = []
            for x in (fine, coarse):
                rows, columns = (touched(n, size) for n in x.shape)
                values.append(np.average(x[slice(*rows[i]), slice(*columns[j])]))
            y.append(max(values))
    return np.reshape(y, (size, size)).tolist()


FUSED = {
    "as many as cells": ({1: "width"}, "There are `size` bins"),
    "as many as rows": ({1: "height"}, "There are `size` bins"),
    "two bins": ({1: "2"}, "There are `size` bins"),
    "one more bin": ({1: "(size + 1)"}, "The first gap"),
    "end rounded down": ({2: "(j + 1) * width // size"}, "rounded up"),
    "end with the length": ({2: "left + width // size"}, "rounded up"),
    "one more": ({2: "(j + 1) * width // size + 1"}, "adding one"),
    "equally long": ({2: "left - (-width // size)"}, "Not every bin holds"),
    "row index": ({2: "-(-(i + 1) * width // size)"}, "Columns go with j"),
    "height": ({2: "-(-(j + 1) * height // size)"}, "Columns go with j"),
    "to the end": ({2: "width"}, "The second gap"),
    "overwritten": ({3: "value"}, "overwrites the others"),
    "against 0": ({3: "0"}, "the first level is forgotten"),
    "against the first place": ({3: "y[0, 0]"}, "a maximum of its own"),
    "added": ({3: "y[i, j] + value"}, "Their sum is none"),
    "plain sum": (
        lambda fine, coarse, size: mean_of_bins(fine, size) + mean_of_bins(coarse, size),
        "Their sum is none",
    ),
    "nearest": ({2: "round((j + 1) * width / size)"}, "The second gap"),
    "neighbour's place": ({3: "y[i, j - 1]"}, "The third gap"),
    "minimum": (
        lambda fine, coarse, size: np.minimum(mean_of_bins(fine, size), mean_of_bins(coarse, size)),
        None,
    ),
    "largest cells": (
        lambda fine, coarse, size: np.maximum(
            *[
                [
                    [x[slice(*r), slice(*c)].max() for c in with_ceil(x.shape[1], size)]
                    for r in with_ceil(x.shape[0], size)
                ]
                for x in (fine, coarse)
            ]
        ),
        "between the levels",
    ),
    "mean of levels": (
        lambda fine, coarse, size: (mean_of_bins(fine, size) + mean_of_bins(coarse, size)) / 2,
        "This is their mean",
    ),
    "fine level alone": (lambda fine, coarse, size: mean_of_bins(fine, size), "Only one level is read"),
    "all zeros": (lambda fine, coarse, size: np.zeros((size, size)), None),
}

# --- backward --------------------------------------------------------------------------------------------------------


def backward(g, x, rows, columns, add=True, share=None, bins=with_ceil):
    gradient = np.zeros(x.shape)
    for i, down in enumerate(bins(x.shape[0], rows)):
        for j, across in enumerate(bins(x.shape[1], columns)):
            part = slice(*down), slice(*across)
            value = share(g[i, j], x[part]) if share else g[i, j] / max(1, x[part].size)
            gradient[part] = gradient[part] + value if add else value
    return gradient


def backward_by_matrices(g, x, *grid):
    matrices = []
    for n, o in zip(x.shape, grid):
        P = np.zeros((o, n))
        for i, (start, end) in enumerate(with_ceil(n, o)):
            P[i, start:end] = 1 / (end - start)
        matrices.append(P)
    P, Q = matrices
    return P.T @ g @ Q


def backward_by_cells(g, x, *grid):
    gradient = np.zeros(x.shape)
    rows, columns = (touched(n, o) for n, o in zip(x.shape, grid))
    for cell in np.ndindex(x.shape):
        for i, j in np.ndindex(g.shape):
            if rows[i][0] <= cell[0] < rows[i][1] and columns[j][0] <= cell[1] < columns[j][1]:
                gradient[cell] += g[i, j] / np.prod([rows[i][1] - rows[i][0], columns[j][1] - columns[j][0]])
    return gradient


def backward_by_impulses(g, x, *grid):
    gradient = np.zeros(x.shape)
    for cell in np.ndindex(x.shape):
        impulse = np.zeros(x.shape)
        impulse[cell] = 1
        for (i, rows), (j, columns) in product(*(list(enumerate(with_ceil(n, o))) for n, o in zip(x.shape, grid))):
            gradient[cell] += g[i, j] * impulse[slice(*rows), slice(*columns)].mean()
    return gradient.tolist()


def one_hot(g, cells):
    return g * (np.arange(cells.size) == cells.argmax()).reshape(cells.shape)


BACKWARD = {
    "sum": (lambda g, x, *grid: backward(g, x, *grid, share=lambda g, cells: g), "A mean divides"),
    "overwrites": (lambda g, x, *grid: backward(g, x, *grid, add=False), "Do not overwrite"),
    "mean of bins": (
        lambda g, x, *grid: backward(g, x, *grid) / backward(np.ones(g.shape), x, *grid, share=lambda g, cells: g),
        "not the mean",
    ),
    "no overlap": (
        lambda g, x, *grid: backward(g, x, *grid, bins=lambda n, o: [(i * n // o, (i + 1) * n // o) for i in range(o)]),
        "The end of a bin is rounded up",
    ),
    "start up": (
        lambda g, x, *grid: backward(
            g, x, *grid, bins=lambda n, o: [(-(-i * n // o), -(-(i + 1) * n // o)) for i in range(o)]
        ),
        "The start of a bin is rounded down",
    ),
    "one more": (
        lambda g, x, *grid: backward(
            g, x, *grid, bins=lambda n, o: [(i * n // o, (i + 1) * n // o + 1) for i in range(o)]
        ),
        "adding one",
    ),
    "even steps": (
        lambda g, x, *grid: backward(
            g, x, *grid, bins=lambda n, o: [(i * (n // o), (i + 1) * (n // o)) for i in range(o)]
        ),
        "Bins do not all hold n // o cells",
    ),
    "equally long": (
        lambda g, x, *grid: backward(
            g, x, *grid, bins=lambda n, o: [(i * n // o, i * n // o + -(-n // o)) for i in range(o)]
        ),
        "Bins do not all hold n // o cells",
    ),
    "one divisor": (
        lambda g, x, *grid: backward(g, x, *grid, share=lambda each, cells: each * g.size / x.size),
        "bins are not all of one size",
    ),
    "rows alone": (
        lambda g, x, *grid: backward(g, x, *grid, share=lambda g, cells: g / len(cells)),
        "rows times its columns",
    ),
    "columns alone": (
        lambda g, x, *grid: backward(g, x, *grid, share=lambda g, cells: g / len(cells[0])),
        "rows times its columns",
    ),
    "rows plus columns": (
        lambda g, x, *grid: backward(g, x, *grid, share=lambda g, cells: g / sum(cells.shape)),
        "rows times its columns",
    ),
    "whole map": (
        lambda g, x, *grid: backward(g, x, *grid, share=lambda each, cells: each / x.size),
        "not of the whole map",
    ),
    "number of bins": (
        lambda g, x, *grid: backward(g, x, *grid, share=lambda each, cells: each / g.size),
        "not by the number of bins",
    ),
    "largest": (lambda g, x, *grid: backward(g, x, *grid, share=one_hot), "The mean shares among all"),
    "times x": (lambda g, x, *grid: backward(g, x, *grid) * x, "what the cell holds"),
    "positive alone": (lambda g, x, *grid: backward(g, x, *grid) * (x > 0), "Only ReLU"),
    "ones": (lambda g, x, *grid: backward(np.ones(g.shape), x, *grid), "Multiply by `grad_output`"),
    "as it came": (lambda g, x, *grid: g, "The gradient has the shape of x"),
    "all zeros": (lambda g, x, *grid: np.zeros(x.shape), "All zeros"),
    "first bin": (lambda g, x, *grid: backward(g * (np.indices(g.shape).sum(0) == 0), x, *grid), "Only the first bin"),
    "spoils grad_output": (lambda g, x, *grid: (backward(g, x, *grid), g.fill(0))[0], None),
    "whole numbers": (lambda g, x, *grid: np.round(backward(g, x, *grid)), None),
}

# --- grid ------------------------------------------------------------------------------------------------------------

GRID = {
    "one bin": ((1, 1), "cannot tell one end"),
    "one row": ((1, 8), "cannot tell one end"),
    "one column": ((8, 1), "cannot tell one end"),
    "few": ((2, 3), "Take more bins"),
    "one too few": ((2, 4), "Take more bins"),
    "one too few, turned": ((4, 2), "Take more bins"),
    "turned": ((4, 3), "Take fewer bins along the axis"),
    "many across": ((2, 6), "Take fewer bins along the axis"),
    "many": ((5, 5), "Take fewer bins along the axis"),
    "over the budget": ((3, 4), "160 weights"),
    "as many as cells": ((12, 14), "Take fewer bins along the axis"),
    "tall": ((5, 2), "Take fewer bins along the axis"),
    "one number": (9, None),
    "three numbers": ((3, 3, 1), None),
    "no bin": ((0, 9), None),
    "halves": ((2.5, 4), None),
    "words": ("ab", None),
}

RIGHT = {
    "adaptive-pooling/bins": [with_ceil, touched, as_rows_of_an_array],
    "adaptive-pooling/fused": [fused, fused_by_cells],
    "adaptive-pooling/backward": [backward, backward_by_matrices, backward_by_cells, backward_by_impulses],
    "adaptive-pooling/grid": [[3, 3], (np.int64(2), 5), np.array([3, 3])],
}
WRONG = {
    "adaptive-pooling/bins": BINS,
    "adaptive-pooling/fused": FUSED,
    "adaptive-pooling/backward": BACKWARD,
    "adaptive-pooling/grid": GRID,
}
