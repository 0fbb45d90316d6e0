"""Exercises of the chapter "Spatial pyramid pooling"."""

import operator
from itertools import product

import numpy as np

from poolref.numpy import avg_pool, avg_pool_backward, max_pool, max_pool_backward, min_pool, sum_pool_backward
from poolref.regions import Adaptive, Pyramid
from poolref.teaching.attempts.exercise import Demand, Design, Exercise
from poolref.teaching.attempts.inputs import fill, with_gradient

LEVELS = [(1,), (2,), (1, 2), (2, 1), (3,), (1, 2, 3)]
SHAPES = [(1, 1), (2, 2), (1, 2), (2, 1), (2, 3), (3, 2), (3, 3), (2, 4), (5, 2), (4, 5), (5, 4), (6, 6)]


# --- where each level begins: worked ---------------------------------------------------------------------------------


def level_starts(channels, levels):
    """Return where each level begins in the vector and, last, its length: [0, 3, 15] for 3 channels and (1, 2)."""
    if channels < 1 or not levels or min(levels) < 1:
        raise ValueError("there is at least one channel, one level and one bin")
    return np.cumsum([0, *(channels * n * n for n in levels)]).tolist()


def level_starts_of_one_channel(channels, levels):
    starts = []
    position = 0
    for n in levels:
        starts.append(position)
        position += n * n
    starts.append(position)
    return starts


def counted():
    return sorted(product((1, 2, 3, 16), [*LEVELS, (1, 2, 4), (4, 2, 1)]), key=lambda case: (len(case[1]), case[0]))


def starts_by(entries):
    """Starts by a number of entries of one's own for a level, a function of (channels, n)."""
    return lambda channels, levels: [sum(entries(channels, n) for n in levels[:k]) for k in range(len(levels) + 1)]


# --- the vector of a map: faded --------------------------------------------------------------------------------------


def pyramid_vector(x, levels):
    """Return the largest value of every bin, level after level and row by row."""
    return max_pool(x, Pyramid(levels))


def pyramid_vector_with_gaps(x, levels):
    height, width = x.shape
    entries = np.zeros(...)
    position = 0
    for n in levels:
        for i, j in np.ndindex(n, n):
            top = i * height // n
            bottom = ...
            left = ...
            right = -(-(j + 1) * width // n)
            entries[position] = x[top:bottom, left:right].max()
            position += 1
    return entries


def mapped():
    random = np.random.default_rng(0)
    for shape in SHAPES:
        for levels in LEVELS:
            yield fill(random.permutation(int(np.prod(shape))) - int(np.prod(shape)) // 2, shape), levels


def uncovered(x, levels):
    """Whether a level does not divide a side of the map, so that bins overlap."""
    return any(side % n for side in x.shape for n in levels)


# --- the gradient: open ----------------------------------------------------------------------------------------------


def pyramid_backward(grad_output, x, levels):
    """Return the gradient, in the shape of x, of a pyramid of maxima."""
    return max_pool_backward(grad_output, x, Pyramid(levels))


def tied():
    """(x, levels): small numbers, so that there are ties."""
    random = np.random.default_rng(1)
    for shape in SHAPES:
        for levels in LEVELS:
            yield fill(random.integers(-4, 4, np.prod(shape)), shape), levels


def down(i, size, n):
    return i * size // n


def next_up(i, size, n):
    return -(-(i + 1) * size // n)


def send(g, x, levels, start=down, end=next_up, add=True, pick=np.argmax, restart=False):
    """The gradient bin by bin; right, unless one of the last five says otherwise."""
    gradient = np.zeros(x.shape)
    height, width = x.shape
    position = 0
    for n in levels:
        for i, j in np.ndindex(n, n):
            top, left = start(i, height, n), start(j, width, n)
            part = x[top : end(i, height, n), left : end(j, width, n)]
            if part.size:
                a, b = np.unravel_index(pick(part), part.shape)
                value = g[position]
                gradient[top + a, left + b] = gradient[top + a, left + b] + value if add else value
            position += 1
        if restart:
            position = 0
    return gradient


def last_of_equals(part):
    return part.size - 1 - part.ravel()[::-1].argmax()


def shared(g, x, levels):
    """Equal cells share what arrives."""
    gradient = np.zeros(x.shape)
    for arriving, o in zip(g, range(len(g)), strict=True):
        cells = Pyramid(levels).cells((o,), x.shape)
        most = max(x[c] for c in cells)
        winners = [c for c in cells if x[c] == most]
        for c in winners:
            gradient[c] += arriving / len(winners)
    return gradient


def to_all_equals(g, x, levels):
    """Equal cells each get all that arrives."""
    gradient = np.zeros(x.shape)
    for arriving, o in zip(g, range(len(g)), strict=True):
        cells = Pyramid(levels).cells((o,), x.shape)
        most = max(x[c] for c in cells)
        for c in cells:
            gradient[c] += arriving * (x[c] == most)
    return gradient


# --- levels within a budget: design ----------------------------------------------------------------------------------

CHANNELS, SIDE, BUDGET, NEAR = 16, 18, 600, 3


def confused(levels):
    """The largest distance of two columns of the map that lie in the same bins on every level."""
    signs = [
        [(n, i) for n in levels for i, span in enumerate(Adaptive(n, ndim=1).spans((SIDE,))[0]) if column in span]
        for column in range(SIDE)
    ]
    return max(b - a for a in range(SIDE) for b in range(a, SIDE) if signs[a] == signs[b])


def level_demands(levels):
    """What is asked of the levels: few numbers, one that stays, and places told apart."""
    try:
        levels = tuple(operator.index(n) for n in levels)
    except TypeError:
        raise ValueError("Levels are whole numbers in brackets, such as (1, 2), or (1,) for one level.") from None
    if not levels or not 1 <= min(levels) <= max(levels) <= SIDE:
        raise ValueError(f"Name at least one level. Each has from 1 to {SIDE} bins along an axis.")
    length = CHANNELS * sum(n * n for n in levels)
    yield Demand(
        f"at most {BUDGET} numbers",
        f"{length}",
        length <= BUDGET,
        "A level n takes 16 · n · n numbers. The finest level costs most: try another one in its place.",
    )
    yield Demand(
        "one number of each map that stays wherever the cell stands",
        "level 1 is there" if 1 in levels else "no level has one bin alone",
        1 in levels,
        "Only a bin that holds the whole map has the same maximum wherever the cell stands. Which level has it?",
    )
    far = confused(levels)
    yield Demand(
        f"another vector when the cell moves by {NEAR} or more",
        f"places up to {far} apart give the same",
        far < NEAR,
        "Two places give the same vector if they lie in the same bins on every level. Levels that double cut at the "
        f"same places again. Bins of a level that does not divide {SIDE} overlap, and tell more places apart.",
    )


EXERCISES = [
    Exercise(
        "spatial-pyramid-pooling/starts",
        "worked",
        ("by-hand",),
        level_starts,
        counted,
        given=level_starts_of_one_channel,
        ideas={
            "A level n has n bins down and n across: n · n for each channel.": (
                starts_by(lambda channels, n: channels * n),
                starts_by(lambda channels, n: 2 * channels * n),
            ),
            "Each channel has its own entries: multiply by their number, do not add it.": starts_by(
                lambda channels, n: channels + n * n
            ),
            "The channels are not squared, only the level.": starts_by(lambda channels, n: (channels * n) ** 2),
            "A level begins after all before it, at the sum of their lengths, not where its own ends.": (
                lambda channels, levels: level_starts(channels, levels)[1:] + level_starts(channels, levels)[-1:]
            ),
            "The list ends with the length of the vector, after the last level.": (
                lambda channels, levels: level_starts(channels, levels)[:-1]
            ),
            "These are the lengths of the levels. Add up those that come before.": (
                lambda channels, levels: [channels * n * n for n in levels]
            ),
            "Only the length counts the channels here. Every start has to.": lambda channels, levels: [
                *level_starts(1, levels)[:-1],
                level_starts(channels, levels)[-1],
            ],
        },
        circumstances={
            "more than one channel": lambda channels, levels: channels > 1,
            "more than one level": lambda channels, levels: len(levels) > 1,
            "a level above 1": lambda channels, levels: max(levels) > 1,
        },
    ),
    Exercise(
        "spatial-pyramid-pooling/vector",
        "faded",
        ("by-hand", "windows", "where"),
        pyramid_vector,
        mapped,
        given=pyramid_vector_with_gaps,
        gaps=("sum(n * n for n in levels)", "-(-(i + 1) * height // n)", "j * width // n"),
        ideas={
            "The length does not depend on the size of the map.": {1: "x.size"},
            "Each level n has n · n entries, and the levels are added up.": (
                {1: "sum(levels)"},
                {1: "len(levels)"},
                {1: "levels[-1] ** 2"},
                {1: "max(levels) ** 2"},
                {1: "sum(levels) ** 2"},
                {1: "np.prod(levels)"},
            ),
            "The end of a bin is rounded up, so that no cell is left out.": (
                {2: "(i + 1) * height // n"},
                {2: "top + height // n"},
            ),
            "Rounding up is not rounding down and adding one.": {2: "(i + 1) * height // n + 1"},
            "Bins of a level are not all of one length. Round (i + 1) · height / n up.": {2: "top - (-height // n)"},
            "Rows go with i and the height, columns with j and the width. Look at the end of the rows.": (
                {2: "-(-(j + 1) * height // n)"},
                {2: "-(-(i + 1) * width // n)"},
            ),
            "The end of bin i is where bin i + 1 begins, rounded up.": {2: "-(-i * height // n)"},
            "The bin would reach to the end of the map.": {2: "height"},
            "Rows go with i and the height, columns with j and the width. Look at the start of the columns.": (
                {3: "i * width // n"},
                {3: "j * height // n"},
            ),
            "Multiply j by the width first, then divide: bins do not all begin width // n apart.": {
                3: "j * (width // n)"
            },
            "The start of a bin is rounded down.": {3: "-(-j * width // n)"},
            "The bin would begin at the edge of the map.": {3: "0"},
            "A bin gives its largest value, not its mean.": lambda x, levels: avg_pool(x, Pyramid(levels)),
            "A bin gives its largest value, not its smallest.": lambda x, levels: min_pool(x, Pyramid(levels)),
            "The entries stand level after level, in the order of `levels`.": (
                lambda x, levels: max_pool(x, Pyramid(tuple(sorted(levels)))),
                lambda x, levels: max_pool(x, Pyramid(levels[::-1])),
            ),
        },
        gap_ideas=(
            "The first gap is the number of entries of all levels together.",
            "The second gap is the row after the last one of bin i.",
            "The third gap is the first column of bin j.",
        ),
        circumstances={
            "more bins than cells": lambda x, levels: max(levels) > min(x.shape),
            "bins that overlap": uncovered,
            "a map that is not square": lambda x, levels: x.shape[0] != x.shape[1],
            "more than one level": lambda x, levels: len(levels) > 1,
            "a level above 1": lambda x, levels: max(levels) > 1,
        },
        shown=lambda x, levels: max(levels) <= min(x.shape),
    ),
    Exercise(
        "spatial-pyramid-pooling/backward",
        "open",
        ("gradient",),
        pyramid_backward,
        tied,
        arguments=with_gradient(lambda x, levels: (sum(n * n for n in levels),)),
        ideas={
            "A cell that wins several bins adds up what they send. Do not overwrite.": lambda g, x, levels: send(
                g, x, levels, add=False
            ),
            "Of equal cells the first one gets all. Here they share.": shared,
            "Of equal cells the first one gets all. Here each gets all.": to_all_equals,
            "Of equal cells the first one counts, not the last.": lambda g, x, levels: send(
                g, x, levels, pick=last_of_equals
            ),
            "The numbers in `grad_output` go on from level to level. Here each level starts at the first again.": (
                lambda g, x, levels: send(g, x, levels, restart=True)
            ),
            "Only the first level is seen.": lambda g, x, levels: pyramid_backward(g[: levels[0] ** 2], x, levels[:1]),
            "Only the last level is seen.": (
                lambda g, x, levels: pyramid_backward(g[-(levels[-1] ** 2) :], x, levels[-1:]),
                lambda g, x, levels: pyramid_backward(g[: levels[-1] ** 2], x, levels[-1:]),
            ),
            "Levels come in the order of `levels`. Here they are sorted or reversed.": (
                lambda g, x, levels: send(g, x, sorted(levels)),
                lambda g, x, levels: send(g, x, levels[::-1]),
            ),
            "The end of a bin is rounded up. Here cells that a cut goes through are left out of a bin.": (
                lambda g, x, levels: send(g, x, levels, end=lambda i, size, n: down(i + 1, size, n))
            ),
            "The start of a bin is rounded down. Here cells that a cut goes through are left out of a bin.": (
                lambda g, x, levels: send(g, x, levels, start=lambda i, size, n: -(-i * size // n))
            ),
            "Rounding up is not rounding down and adding one.": (
                lambda g, x, levels: send(g, x, levels, end=lambda i, size, n: down(i + 1, size, n) + 1)
            ),
            "Bins do not all hold size // n cells, or all begin size // n cells apart.": (
                lambda g, x, levels: send(
                    g,
                    x,
                    levels,
                    start=lambda i, size, n: i * (size // n),
                    end=lambda i, size, n: (i + 1) * (size // n),
                ),
                lambda g, x, levels: send(
                    g,
                    x,
                    levels,
                    start=lambda i, size, n: i * (size // n),
                    end=lambda i, size, n: i * (size // n) - (-size // n),
                ),
            ),
            "This is the gradient of a mean. The largest cell gets all.": (
                lambda g, x, levels: avg_pool_backward(g, x, Pyramid(levels))
            ),
            "This is the gradient of a sum. The largest cell gets all.": (
                lambda g, x, levels: sum_pool_backward(g, x, Pyramid(levels))
            ),
            "The smallest cell wins nothing.": lambda g, x, levels: send(g, x, levels, pick=np.argmin),
            "What arrives is not multiplied by the value of the cell.": (
                lambda g, x, levels: pyramid_backward(g, x, levels) * x
            ),
            "Only ReLU looks at the sign of x.": lambda g, x, levels: pyramid_backward(g, x, levels) * (x > 0),
            "Multiply by `grad_output`: the winner gets what came back, not 1.": (
                lambda g, x, levels: pyramid_backward(np.ones_like(g), x, levels)
            ),
            "What several bins send is added up, not averaged.": lambda g, x, levels: (
                pyramid_backward(g, x, levels) / np.maximum(1, pyramid_backward(np.ones_like(g), x, levels))
            ),
            "All zeros is no gradient: something must come back.": lambda g, x, levels: np.zeros_like(x),
            "This is the vector itself. The gradient has the shape of x.": lambda g, x, levels: max_pool(
                x, Pyramid(levels)
            ),
            "The gradient has the shape of x. This is the arriving one.": lambda g, x, levels: g,
            "Rows and columns are swapped.": lambda g, x, levels: pyramid_backward(g, x.T.copy(), levels).T,
        },
        circumstances={
            "more bins than cells": lambda g, x, levels: max(levels) > min(x.shape),
            "bins that overlap": lambda g, x, levels: uncovered(x, levels),
            "ties": lambda g, x, levels: len(np.unique(x)) < x.size,
            "more than one level": lambda g, x, levels: len(levels) > 1,
            "more than one bin": lambda g, x, levels: g.size > 1,
        },
        shown=lambda x, levels: max(levels) <= min(x.shape),
    ),
    Design(
        "spatial-pyramid-pooling/levels",
        ("where", "choose"),
        "Choose the levels, for 16 maps of 18 × 18 cells, so that the vector has at most 600 numbers, one number of "
        "each map stays wherever one bright cell stands, and the vector changes when that cell moves by 3 or more "
        "along an axis.",
        level_demands,
    ),
]
