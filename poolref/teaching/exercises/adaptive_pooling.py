"""Exercises of the chapter "Adaptive pooling"."""

import operator

import numpy as np

from poolref.numpy import (
    avg_pool,
    avg_pool_backward,
    max_pool,
    max_pool_backward,
    sum_pool,
    sum_pool_backward,
)
from poolref.regions import Adaptive
from poolref.teaching.attempts.exercise import Demand, Design, Exercise
from poolref.teaching.attempts.inputs import fill, with_gradient

SIZES = sorted(np.ndindex(8, 8), key=lambda pair: (sum(pair), -pair[0]))
SHAPES = [(1, 1), (1, 2), (2, 1), (2, 2), (1, 3), (3, 2), (3, 3), (2, 4), (5, 2), (4, 5), (5, 4), (5, 5)]
GRIDS = [(1, 1), (2, 2), (1, 2), (2, 1), (2, 3), (3, 2), (3, 3)]


# --- the bins of an axis: worked -------------------------------------------------------------------------------------


def bins_of_axis(n, o):
    """Return (start, end) for each of o bins on n cells, such as [(0, 3), (2, 5), (4, 7)] for 7 and 3."""
    if min(n, o) < 1:
        raise ValueError("there is at least one cell and one bin")
    return [(span.start, span.stop) for span in Adaptive(o, ndim=1).spans((n,))[0]]


def bins_rounded_down(n, o):
    found = []
    for i in range(o):
        start = i * n // o
        end = (i + 1) * n // o
        found.append((start, end))
    return found


def bounds(start, end):
    """Bins with a start and an end of one's own, functions of (i, n, o)."""
    return lambda n, o: [(start(i, n, o), end(i, n, o)) for i in range(o)]


def down(i, n, o):
    return i * n // o


def up(i, n, o):
    return -(-i * n // o)


def next_up(i, n, o):
    return up(i + 1, n, o)


# --- all levels, fused: faded ----------------------------------------------------------------------------------------


def fused(fine, coarse, size):
    """Pool both maps to size × size by adaptive means, and keep the larger value at each place."""
    return np.maximum(avg_pool(fine, Adaptive(size)), avg_pool(coarse, Adaptive(size)))


def fused_with_gaps(fine, coarse, size):
    y = np.full((size, size), -np.inf)
    for x in (fine, coarse):
        height, width = x.shape
        for i, j in np.ndindex(size, size):
            top, bottom = i * height // size, -(-(i + 1) * height // size)
            left = j * width // ...
            right = ...
            value = np.mean(x[top:bottom, left:right])
            y[i, j] = max(..., value)
    return y


def two_levels():
    random = np.random.default_rng(0)
    pairs = [(shape, size) for shape in SHAPES for size in ((1, 2, 3) if min(shape) > 1 else (1,))]
    for n, (shape, size) in enumerate(pairs):
        other = SHAPES[n % 5]
        yield (
            fill(random.permutation(int(np.prod(shape))) - 3, shape),
            fill(random.integers(-6, 4, np.prod(other)), other),
            size,
        )


# --- the gradient: open ----------------------------------------------------------------------------------------------


def adaptive_avg_backward(grad_output, x, rows, columns):
    """Return the gradient, in the shape of x, of the mean in rows × columns adaptive bins."""
    return avg_pool_backward(grad_output, x, Adaptive((rows, columns)))


def binned():
    """(x, rows, columns): maps of distinct values, negative ones among them."""
    random = np.random.default_rng(0)
    for shape in SHAPES:
        for grid in GRIDS:
            yield fill(random.permutation(int(np.prod(shape))) - 3, shape), *grid


def send(g, x, rows, columns, share=lambda g, cells: g / cells, add=True, start=down, end=next_up):
    """The gradient bin by bin; right, unless one of the last four says otherwise."""
    gradient = np.zeros(x.shape)
    height, width = x.shape
    for i, j in np.ndindex(g.shape):
        part = (
            slice(start(i, height, rows), end(i, height, rows)),
            slice(start(j, width, columns), end(j, width, columns)),
        )
        value = share(g[i, j], max(1, gradient[part].size))
        gradient[part] = gradient[part] + value if add else value
    return gradient


def send_over(g, x, grid, divisor):
    """Shares of another divisor, made of the rows and columns of each bin."""
    rows, columns = (
        np.array([end - start for start, end in bins_of_axis(*axis)]) for axis in zip(x.shape, grid, strict=True)
    )
    divisors = np.array([[divisor(r, c) for c in columns] for r in rows])
    return sum_pool_backward(g / divisors, x, Adaptive(grid))


def by_cells_of_a_bin(cells_of):
    """Shares of one divisor for all bins: cells_of(n, o) along each axis."""
    return lambda g, x, *grid: send(
        g, x, *grid, share=lambda g_o, _: g_o / np.prod([cells_of(n, o) for n, o in zip(x.shape, grid, strict=True)])
    )


# --- a grid for three sizes: design ----------------------------------------------------------------------------------

CHANNELS, CLASSES, WEIGHTS, CELLS, BINS = 16, 10, 1700, 6, 9
MAPS = (5, 9), (8, 6), (12, 14)


def grid_demands(grid):
    """What is asked of (bins down, bins across): full bins on every map, few weights, and a rough place."""
    try:
        down, across = (operator.index(number) for number in grid)
    except (TypeError, ValueError):
        raise ValueError("A grid is (bins down, bins across), two whole numbers such as (1, 1).") from None
    if min(down, across) < 1:
        raise ValueError(f"Each axis has at least one bin, not {min(down, across)}.")
    fewest, height, width = min(
        (int(np.prod([min(map(len, axis)) for axis in Adaptive((down, across)).spans(shape)])), *shape)
        for shape in MAPS
    )
    yield Demand(
        f"at least {CELLS} cells in every bin of every map",
        f"{fewest} in the smallest bin, on {height} × {width} cells",
        fewest >= CELLS,
        "The smallest bin of an axis holds n/o cells, rounded up. Take fewer bins along the axis that is short.",
    )
    weights = CHANNELS * down * across * CLASSES
    yield Demand(
        f"at most {WEIGHTS:,} weights",
        f"{weights:,}",
        weights <= WEIGHTS,
        "Each bin costs 16 channels × 10 classes = 160 weights, whatever the size of the map.",
    )
    yield Demand(
        f"at least {BINS} bins, and 2 along each axis",
        f"{down} × {across} = {down * across}",
        down * across >= BINS and min(down, across) >= 2,
        "With one bin along an axis the linear layer cannot tell one end from the other."
        if min(down, across) < 2
        else "Take more bins where the maps have cells to fill them.",
    )


EXERCISES = [
    Exercise(
        "adaptive-pooling/bins",
        "worked",
        ("by-hand", "overlap"),
        bins_of_axis,
        lambda: iter(SIZES),
        given=bins_rounded_down,
        ideas={
            "The start is rounded down, and only the end up.": (bounds(up, next_up),),
            "Rounding up is not rounding down and adding one: a whole number stays as it is.": (
                bounds(down, lambda i, n, o: down(i + 1, n, o) + 1),
                bounds(down, lambda i, n, o: min(down(i + 1, n, o) + 1, n)),
            ),
            "This rounds to the nearest cell. A bin holds every cell that its part touches: round the end up.": (
                bounds(down, lambda i, n, o: round((i + 1) * n / o)),
                bounds(lambda i, n, o: round(i * n / o), lambda i, n, o: round((i + 1) * n / o)),
            ),
            "The end is the first cell that is not in the bin, so nothing is taken from it.": (
                bounds(down, lambda i, n, o: next_up(i, n, o) - 1),
            ),
            "Bins do not all begin n // o cells apart. Multiply i · n first, then divide.": (
                bounds(lambda i, n, o: i * (n // o), lambda i, n, o: (i + 1) * (n // o)),
                bounds(lambda i, n, o: i * (n // o), lambda i, n, o: n if i == o - 1 else (i + 1) * (n // o)),
                bounds(down, lambda i, n, o: down(i, n, o) + -(-n // o)),
                bounds(down, lambda i, n, o: down(i, n, o) + n // o),
            ),
            "Blocks side by side share no cell. A cell that a cut goes through belongs to the bins on both sides.": (
                bounds(lambda i, n, o: min(n, i * -(-n // o)), lambda i, n, o: min(n, (i + 1) * -(-n // o))),
                bounds(
                    lambda i, n, o: i * (n // o) + min(i, n % o), lambda i, n, o: (i + 1) * (n // o) + min(i + 1, n % o)
                ),
            ),
            "-(-a // b) rounds up: one minus stands before a, the other turns the rounded number back.": (
                bounds(down, lambda i, n, o: -(i + 1) * n // o),
            ),
            "The first bin has number 0.": lambda n, o: [(down(i, n, o), next_up(i, n, o)) for i in range(1, o + 1)],
            "n is the number of cells and o the number of bins. Here they are exchanged.": (
                lambda n, o: bins_of_axis(o, n),
            ),
            "Each bin is a pair of its start and its end, not of its start and its length.": (
                bounds(down, lambda i, n, o: next_up(i, n, o) - down(i, n, o)),
            ),
        },
        circumstances={
            "more bins than cells": lambda n, o: o > n,
            "a number of bins that does not divide the cells": lambda n, o: n % o != 0,
            "more than one bin": lambda n, o: o > 1,
        },
        shown=lambda n, o: o <= n,
    ),
    Exercise(
        "adaptive-pooling/fused",
        "faded",
        ("by-hand", "meanings"),
        fused,
        two_levels,
        given=fused_with_gaps,
        gaps=("size", "-(-(j + 1) * width // size)", "y[i, j]"),
        ideas={
            "There are `size` bins along an axis: part j begins at j · width / size.": (
                {1: "width"},
                {1: "height"},
                {1: "1"},
                {1: "2"},
            ),
            "The end of a bin is rounded up, so that no cell is left out.": (
                {2: "(j + 1) * width // size"},
                {2: "left + width // size"},
            ),
            "Rounding up is not rounding down and adding one.": {2: "(j + 1) * width // size + 1"},
            "Not every bin holds the width over the size, rounded up. Round (j + 1) · width / size.": (
                {2: "left - (-width // size)"},
            ),
            "Columns go with j and the width, rows with i and the height. Look at the end.": (
                {2: "-(-(i + 1) * width // size)"},
                {2: "-(-(j + 1) * height // size)"},
            ),
            "The part of bin j ends where that of bin j + 1 begins.": {2: "-(-j * width // size)"},
            "The last level overwrites the others. Keep the larger of what is there and the new value.": (
                {3: "value"},
                {3: "-np.inf"},
            ),
            "A 0 beats every negative mean, and the first level is forgotten.": {3: "0"},
            "Each place has a maximum of its own. This compares with another place.": (
                {3: "y[0, 0]"},
                {3: "y[j, i]"},
                {3: "y.max()"},
            ),
            "The larger of two means is kept. Their sum is none.": (
                {3: "y[i, j] + value"},
                lambda fine, coarse, size: avg_pool(fine, Adaptive(size)) + avg_pool(coarse, Adaptive(size)),
            ),
            "Within a level a bin gives its mean. The maximum is taken between the levels.": (
                lambda fine, coarse, size: np.maximum(max_pool(fine, Adaptive(size)), max_pool(coarse, Adaptive(size)))
            ),
            "The levels are fused by the maximum. This is their mean.": (
                lambda fine, coarse, size: (avg_pool(fine, Adaptive(size)) + avg_pool(coarse, Adaptive(size))) / 2
            ),
            "Only one level is read. This operator reads all of them.": (
                lambda fine, coarse, size: avg_pool(fine, Adaptive(size))
            ),
        },
        gap_ideas=(
            "The first gap: the number of bins along the columns.",
            "The second gap: the end of bin j along the columns, rounded up.",
            "The third gap: keep the larger of what is there and the new value.",
        ),
        circumstances={
            "a size that does not divide the map's": lambda fine, coarse, size: fine.shape[1] % size != 0,
            "negative means": lambda fine, coarse, size: bool((fused(fine, coarse, size) < 0).any()),
            "more than one bin": lambda fine, coarse, size: size > 1,
            "a map that is not square": lambda fine, coarse, size: fine.shape[0] != fine.shape[1],
        },
    ),
    Exercise(
        "adaptive-pooling/backward",
        "open",
        ("gradient", "by-hand"),
        adaptive_avg_backward,
        binned,
        arguments=with_gradient(lambda x, rows, columns: (rows, columns)),
        ideas={
            "A mean divides: each cell gets the gradient over the number of cells of its bin.": (
                lambda g, x, *grid: sum_pool_backward(g, x, Adaptive(grid))
            ),
            "A cell in two bins adds up what both send. Do not overwrite.": lambda g, x, *grid: send(
                g, x, *grid, add=False
            ),
            "A cell in two bins gets the sum of what they send, not the mean.": (
                lambda g, x, *grid: (
                    adaptive_avg_backward(g, x, *grid) / sum_pool_backward(np.ones_like(g), x, Adaptive(grid))
                )
            ),
            "The end of a bin is rounded up. Here cells that a cut goes through are left out of a bin.": (
                lambda g, x, *grid: send(g, x, *grid, end=lambda i, n, o: down(i + 1, n, o))
            ),
            "The start of a bin is rounded down. Here cells that a cut goes through are left out of a bin.": (
                lambda g, x, *grid: send(g, x, *grid, start=up)
            ),
            "Rounding up is not rounding down and adding one.": (
                lambda g, x, *grid: send(g, x, *grid, end=lambda i, n, o: down(i + 1, n, o) + 1)
            ),
            "Bins do not all hold n // o cells, or all begin n // o cells apart.": (
                lambda g, x, *grid: send(
                    g, x, *grid, start=lambda i, n, o: i * (n // o), end=lambda i, n, o: (i + 1) * (n // o)
                ),
                lambda g, x, *grid: send(g, x, *grid, end=lambda i, n, o: down(i, n, o) + n // o),
                lambda g, x, *grid: send(g, x, *grid, end=lambda i, n, o: down(i, n, o) - (-n // o)),
            ),
            "Divide by the cells of the bin itself: bins are not all of one size.": (
                by_cells_of_a_bin(lambda n, o: n / o),
                by_cells_of_a_bin(lambda n, o: -(-n // o)),
            ),
            "The cells of a bin are its rows times its columns. This divides by one of the two, or by their sum.": (
                lambda g, x, *grid: send_over(g, x, grid, lambda rows, columns: rows),
                lambda g, x, *grid: send_over(g, x, grid, lambda rows, columns: columns),
                lambda g, x, *grid: send_over(g, x, grid, lambda rows, columns: rows + columns),
            ),
            "Divide by the cells of one bin, not of the whole map.": (
                lambda g, x, *grid: send(g, x, *grid, share=lambda g_o, _: g_o / x.size)
            ),
            "Divide by the cells of a bin, not by the number of bins.": (
                lambda g, x, *grid: send(g, x, *grid, share=lambda g_o, _: g_o / g.size)
            ),
            "This sends everything to the largest cell. The mean shares among all.": (
                lambda g, x, *grid: max_pool_backward(g, x, Adaptive(grid))
            ),
            "The share does not depend on what the cell holds.": lambda g, x, *grid: (
                adaptive_avg_backward(g, x, *grid) * x
            ),
            "Only ReLU looks at the sign of x.": lambda g, x, *grid: adaptive_avg_backward(g, x, *grid) * (x > 0),
            "Multiply by `grad_output`: a cell gets its share of what came back, not of 1.": (
                lambda g, x, *grid: adaptive_avg_backward(np.ones_like(g), x, *grid)
            ),
            "The gradient has the shape of x. This is the arriving one.": lambda g, x, *grid: g,
            "All zeros is no gradient: something must come back.": lambda g, x, *grid: np.zeros_like(x),
            "Rows and columns are swapped.": lambda g, x, rows, columns: adaptive_avg_backward(g.T, x.T, columns, rows),
            "This is the pooled map. The gradient goes the other way.": lambda g, x, *grid: avg_pool(x, Adaptive(grid)),
            "The sum of a bin is no gradient.": lambda g, x, *grid: sum_pool(x, Adaptive(grid)),
            "Only the first bin, or the first row of bins, is seen. Does a `return` stand inside the loop?": (
                lambda g, x, *grid: adaptive_avg_backward(g * (np.indices(g.shape).sum(axis=0) == 0), x, *grid),
                lambda g, x, *grid: adaptive_avg_backward(g * (np.indices(g.shape)[0] == 0), x, *grid),
            ),
        },
        circumstances={
            "more bins than cells": lambda g, x, *grid: any(o > n for n, o in zip(x.shape, g.shape)),
            "bins that overlap": lambda g, x, *grid: any(n % o for n, o in zip(x.shape, g.shape)),
            "more than one bin": lambda g, x, *grid: g.size > 1,
            "a map that is not square": lambda g, x, *grid: x.shape[0] != x.shape[1],
        },
        shown=lambda x, rows, columns: rows <= x.shape[0] and columns <= x.shape[1],
    ),
    Design(
        "adaptive-pooling/grid",
        ("choose", "overlap"),
        "Choose the bins down and across, for maps of 5 × 9, 8 × 6 and 12 × 14 cells, so that every bin holds at least "
        "6 cells, a linear layer from 16 channels to 10 classes has at most 1,700 weights, and there are at least 9 "
        "bins, at least 2 along each axis.",
        grid_demands,
    ),
]
