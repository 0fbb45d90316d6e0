"""Inputs that exercises share, small ones first."""

from itertools import product

import numpy as np

SHAPES = [*product(range(1, 5), repeat=2), (4, 5), (5, 4), (5, 5)]


def maps(windows, special=()):
    """Yield (x, *window) for maps of 1×1 to 5×5 cells: distinct values, ties, negative ones, and many `special` ones.

    Args:
        windows: tuples that begin with a kernel size and a stride; one that does not fit is no input of the exercise.
        special: values of which a map holds several, mixed with others or alone: NaN, or numbers that overflow.
    """
    random = np.random.default_rng(0)
    for shape, window in product(sorted(SHAPES, key=lambda shape: (np.prod(shape), shape)), windows):
        if max(window[0], 1) > min(shape) + 1:
            continue
        cells = int(np.prod(shape))
        yield fill(random.permutation(cells) - 3, shape), *window
        yield fill(random.integers(-2, 1, cells), shape), *window
        if special:
            x = fill(random.integers(-3, 4, cells), shape)
            chosen = random.random(shape) < 0.4
            x[chosen] = random.choice(special, chosen.sum())
            yield x, *window
            yield fill(random.choice(special, cells), shape), *window


def fill(values, shape):
    return np.asarray(values, dtype=float).reshape(shape)


def with_gradient(output_shape):
    """For `Exercise.arguments`: put 1.5, -2, 0.3, 6, -5, 0.6, ... before the case, in the shape of its output."""

    def arguments(x, *window):
        shape = output_shape(x, *window)
        count = int(np.prod(shape))
        return fill(np.arange(1, count + 1) * np.resize([1.5, -1.0, 0.1], count), shape), x, *window

    return arguments
