"""Exercises of the chapter "What pooling does"."""

from itertools import product

import numpy as np

from poolref.definition import pool
from poolref.numpy import avg_pool, max_pool, min_pool
from poolref.regions import Window
from poolref.teaching.exercises import Exercise
from poolref.teaching.exercises.cases import maps

# --- two-by-two -----------------------------------------------------------------------------------------------------


def max_2x2(x):
    """Return the largest value of each 2×2 block of a map with an even number of rows and columns."""
    if any(n % 2 for n in x.shape):
        raise ValueError("x must have even sides")
    return max_pool(x, Window(2))


def even_maps():
    return ((x,) for x, *_ in maps([(2, 2)] * 5) if not any(n % 2 for n in x.shape))


# --- any-reducer ----------------------------------------------------------------------------------------------------


def pool_2x2(x, reducer):
    """Return `reducer` of the four values of each 2×2 block, given to it as one list, row by row."""
    if any(n % 2 for n in x.shape):
        raise ValueError("x must have even sides")
    return pool(x, Window(2), reducer)


def largest(values):
    return max(values)


def average(values):
    return sum(values) / len(values)


def first(values):
    return values[0]


def second(values):
    return values[1]


def transposed(x, reducer):
    return pool_2x2(x.T, reducer).T


# --- dense-parameters -----------------------------------------------------------------------------------------------


def dense_parameters(channels, height, width, classes, kernel_size):
    """Return how many weights and biases a dense layer has that reads a map after pooling and flattening.

    The map is channels × height × width. It is pooled with windows of kernel_size that do not overlap (a rest that
    fills no window is left out), then flattened, then read by a dense layer with one output for each class.
    """
    if min(channels, classes, kernel_size) < 1 or kernel_size > min(height, width):
        raise ValueError("every size must be at least 1, and a window must fit")
    return classes * (channels * (height // kernel_size) * (width // kernel_size) + 1)


def networks():
    sizes = product([1, 2, 8], [2, 3, 4, 5, 32], [2, 4, 5, 32], [1, 2, 10], [1, 2, 3])
    return sorted((s for s in sizes if s[4] <= min(s[1:3])), key=sum)


EXERCISES = [
    Exercise(
        "what-pooling-does/two-by-two",
        "worked",
        max_2x2,
        even_maps,
        ideas={
            "The reducer is the maximum. This is the mean of each block.": lambda x: avg_pool(x, Window(2)),
            "The reducer is the maximum. This is the minimum of each block.": lambda x: min_pool(x, Window(2)),
            "All four cells of a block count. This keeps one cell of each: subsampling.": lambda x: x[::2, ::2],
            "Blocks lie side by side: the window moves by 2, not by 1.": lambda x: max_pool(x, Window(2, 1)),
            "A maximum that starts from 0 is wrong for a block of negative numbers. Start from −inf, or from a cell.": (
                lambda x: np.maximum(max_pool(x, Window(2)), 0)
            ),
            "A block has two rows and two columns. This pools columns only.": lambda x: np.maximum(
                x[:, ::2], x[:, 1::2]
            ),
            "A block has two rows and two columns. This pools rows only.": lambda x: np.maximum(x[::2], x[1::2]),
            "Each block has an answer of its own. This is the maximum of the whole map.": lambda x: x.max(),
            "Rows and columns are swapped.": lambda x: max_pool(x, Window(2)).T,
        },
    ),
    Exercise(
        "what-pooling-does/any-reducer",
        "faded",
        pool_2x2,
        lambda: ((x, f) for (x,) in even_maps() for f in (largest, average, first, second)),
        ideas={
            "The reducer is an argument: call it. This is always the maximum.": lambda x, reducer: pool_2x2(x, largest),
            "The reducer is an argument: call it. This is always the mean.": lambda x, reducer: pool_2x2(x, average),
            "Values go to the reducer row by row. Here they go column by column.": transposed,
            "Blocks lie side by side: the window moves by 2, not by 1.": lambda x, f: pool(x, Window(2, 1), f),
            "Each block has an answer of its own. This reduces the whole map at once.": lambda x, f: f(list(x.flat)),
        },
    ),
    Exercise(
        "what-pooling-does/dense-parameters",
        "open",
        dense_parameters,
        networks,
        ideas={
            "Each class has a bias beside its weights.": lambda c, h, w, n, k: n * c * (h // k) * (w // k),
            "Each class has a bias: there are `classes` of them, not one.": (
                lambda c, h, w, n, k: n * c * (h // k) * (w // k) + 1
            ),
            "The dense layer reads the pooled map, not the map before pooling.": lambda c, h, w, n, k: (
                n * (c * h * w + 1)
            ),
            "Pooling shrinks height and width both.": lambda c, h, w, n, k: n * (c * (h // k) * w + 1),
            "Pooling leaves the channels as they are.": lambda c, h, w, n, k: n * ((c // k) * (h // k) * (w // k) + 1),
            "A rest that fills no window is left out: round down, not up.": (
                lambda c, h, w, n, k: n * (c * -(-h // k) * -(-w // k) + 1)
            ),
            "A dense layer has a weight for every cell of every channel.": lambda c, h, w, n, k: (
                n * ((h // k) * (w // k) + 1)
            ),
        },
    ),
]
