"""Exercises of the chapter "Max pooling"."""

import numpy as np

from poolref.numpy import avg_pool, avg_pool_backward, max_pool, max_pool_backward, min_pool, sum_pool_backward
from poolref.regions import Window
from poolref.teaching.exercises import Exercise
from poolref.teaching.exercises.cases import maps, with_gradient

WINDOWS = [(2, 2), (1, 1), (2, 1), (3, 1), (3, 2), (1, 2), (2, 3)]
PADDED = [(2, 2, 0), (1, 1, 0), (2, 1, 0), (3, 2, 0), (2, 2, 1), (3, 1, 1), (3, 2, 1), (2, 1, 1), (2, 3, 1)]


# --- forward --------------------------------------------------------------------------------------------------------


def max_pool_2d(x, kernel_size, stride, padding):
    """Return the largest value of every window of a 2-d map. Padding never wins, and NaN does."""
    return max_pool(x, Window(kernel_size, stride, padding))


def zero_padded(x, k, s, p):
    return max_pool(np.pad(x, p), Window(k, s))


def unpadded(x, k, s, p):
    return max_pool(x, Window(k, s)) if k <= min(x.shape) else np.empty([max((n - k) // s + 1, 0) for n in x.shape])


def without_nan(x, k, s, p):
    lowest = np.where(np.isnan(x), -np.inf, x)
    return max_pool(lowest, Window(k, s, p))


# --- indices --------------------------------------------------------------------------------------------------------


def max_indices(x, kernel_size, stride):
    """Return, for every window of a 2-d map, where its maximum stands: row · width + column, the first one at a tie."""
    return max_pool(x, Window(kernel_size, stride), return_indices=True)[1]


def indices_in_window(x, k, s):
    rows, columns = np.divmod(max_indices(x, k, s), x.shape[1])
    tops, lefts = np.indices(rows.shape) * s
    return (rows - tops) * k + columns - lefts


def last_indices(x, k, s):
    return x.size - 1 - max_indices_from_end(x, k, s)


def max_indices_from_end(x, k, s):
    """Indices in the map turned by half a turn, cropped so that its windows are the same ones."""
    height, width = ((n - k) // s * s + k for n in x.shape)
    turned = np.full(x.shape, -np.inf)
    turned[:height, :width] = x[:height, :width][::-1, ::-1]
    rows, columns = np.divmod(max_indices(turned, k, s)[::-1, ::-1], x.shape[1])
    return (x.shape[0] - height + rows) * x.shape[1] + x.shape[1] - width + columns


def transposed_indices(x, k, s):
    """First along columns, then along rows."""
    columns, rows = np.divmod(max_indices(x.T, k, s).T, x.shape[0])
    return rows * x.shape[1] + columns


# --- first-tie ------------------------------------------------------------------------------------------------------


def max_pool_2d_backward(grad_output, x, kernel_size, stride):
    """Return the gradient of 2-d max pooling with respect to x: to the first maximum of each window, and added up."""
    if np.isnan(x).any():
        raise ValueError("x must not hold NaN")
    return max_pool_backward(grad_output, x, Window(kernel_size, stride))


def shared(g, x, k, s, split):
    """The gradient to all tied maxima of a window, split among them or not."""
    gradient = np.zeros_like(x)
    for i, j in np.ndindex(g.shape):
        window = np.s_[i * s : i * s + k, j * s : j * s + k]
        tied = x[window] == x[window].max()
        gradient[window] += g[i, j] * tied / (tied.sum() if split else 1)
    return gradient


def scattered(g, x, indices, add=True):
    gradient = np.zeros(x.size)
    if add:
        np.add.at(gradient, indices.ravel(), g.ravel())
    else:
        gradient[indices.ravel()] = g.ravel()
    return gradient.reshape(x.shape)


EXERCISES = [
    Exercise(
        "max-pooling/forward",
        "worked",
        max_pool_2d,
        lambda: maps(PADDED, special=[np.nan, -np.inf]),
        ideas={
            "Padding cells are −inf, not 0: a zero would win over negative numbers.": zero_padded,
            "The padding is missing.": unpadded,
            "A NaN in a window is its maximum: `nanmax`, `fmax` and comparisons with `>` drop it.": without_nan,
            "A maximum that starts from 0 is wrong for a window of negative numbers. Start from −inf.": (
                lambda x, k, s, p: np.maximum(max_pool_2d(x, k, s, p), 0)
            ),
            "The window moves by `stride`, not by `kernel_size`.": lambda x, k, s, p: max_pool_2d(x, k, k, p),
            "The window moves by `stride`, not by 1.": lambda x, k, s, p: max_pool_2d(x, k, 1, p),
            "The reducer is the maximum. This is the mean.": lambda x, k, s, p: avg_pool(
                x, Window(k, s, p), count_include_pad=False
            ),
            "The reducer is the maximum. This is the minimum.": lambda x, k, s, p: min_pool(x, Window(k, s, p)),
            "The padding is on both sides of each axis.": lambda x, k, s, p: max_pool(
                np.pad(x, (p, 0), constant_values=-np.inf), Window(k, s)
            ),
            "Rows and columns are swapped.": lambda x, k, s, p: max_pool_2d(x, k, s, p).T,
            "The last window is missing: there are (n + 2·padding − kernel_size) // stride + 1 of them.": (
                lambda x, k, s, p: max_pool_2d(x, k, s, p)[:-1, :-1]
            ),
        },
    ),
    Exercise(
        "max-pooling/indices",
        "faded",
        max_indices,
        lambda: maps(WINDOWS),
        ideas={
            "The index counts cells of the whole map, not of the window.": indices_in_window,
            "At a tie the first cell counts: `>=` keeps the last one, `>` the first.": last_indices,
            "The first cell is the first one row by row. This goes column by column.": transposed_indices,
            "Cells are counted row by row: row · width + column.": lambda x, k, s: (
                max_indices(x, k, s) % x.shape[1] * x.shape[0] + max_indices(x, k, s) // x.shape[1]
            ),
            "A row of the map has `width` cells: the index is row · width + column.": lambda x, k, s: (
                max_indices(x, k, s) // x.shape[1] * x.shape[0] + max_indices(x, k, s) % x.shape[1]
            ),
            "This is the maximum itself. The exercise asks where it stands.": lambda x, k, s: max_pool(x, Window(k, s)),
            "This is the index of the minimum.": lambda x, k, s: max_indices(-x, k, s),
            "Cells are counted from 0, not from 1.": lambda x, k, s: max_indices(x, k, s) + 1,
            "The window moves by `stride`, not by `kernel_size`.": lambda x, k, s: max_indices(x, k, k),
            "The window moves by `stride`, not by 1.": lambda x, k, s: max_indices(x, k, 1),
        },
    ),
    Exercise(
        "max-pooling/first-tie",
        "open",
        max_pool_2d_backward,
        lambda: maps(WINDOWS),
        arguments=with_gradient(lambda x, k, s: Window(k, s).output_shape(x.shape)),
        ideas={
            "At a tie the gradient goes to the first cell alone, not to every tied cell.": (
                lambda g, x, k, s: shared(g, x, k, s, split=False)
            ),
            "At a tie the gradient goes to the first cell alone. It is not split among the tied cells.": (
                lambda g, x, k, s: shared(g, x, k, s, split=True)
            ),
            "At a tie the gradient goes to the first cell, not to the last.": (
                lambda g, x, k, s: scattered(g, x, last_indices(x, k, s))
            ),
            "First means first row by row. This goes column by column.": (
                lambda g, x, k, s: scattered(g, x, transposed_indices(x, k, s))
            ),
            "Windows overlap, and a cell may win in several of them: add, do not overwrite.": (
                lambda g, x, k, s: scattered(g, x, max_indices(x, k, s), add=False)
            ),
            "The gradient goes to the arg-max, whatever its sign. Cells above zero matter to ReLU.": (
                lambda g, x, k, s: sum_pool_backward(g, x, Window(k, s)) * (x > 0)
            ),
            "A maximum below zero passes its gradient too. Only ReLU looks at the sign.": (
                lambda g, x, k, s: max_pool_2d_backward(g, x, k, s) * (x > 0)
            ),
            "Spreading the gradient evenly is the backward of the mean.": (
                lambda g, x, k, s: avg_pool_backward(g, x, Window(k, s))
            ),
            "Every cell that took part gets a gradient here. Only the maximum does.": (
                lambda g, x, k, s: sum_pool_backward(g, x, Window(k, s))
            ),
            "Multiply by `grad_output`: a cell gets what came back, not 1.": (
                lambda g, x, k, s: max_pool_2d_backward(np.ones_like(g), x, k, s)
            ),
            "All zeros is no gradient: something must come back.": lambda g, x, k, s: np.zeros_like(x),
            "The gradient goes to the maximum, but its size does not depend on the maximum.": (
                lambda g, x, k, s: max_pool_2d_backward(g * max_pool(x, Window(k, s)), x, k, s)
            ),
        },
    ),
]
