"""Inputs to try an attempt on, small ones first."""

from itertools import product

import numpy as np

LARGEST = 5


def maps(windows, special=()):
    """Yield (x, *window) for maps from 1x1 to 5x5: distinct, negative and tied values, and the `special` ones.

    Args:
        windows: tuples that begin with a kernel size and a stride; one that does not fit is no input of the exercise.
        special: values to put into one cell of some maps, such as NaN.
    """
    random = np.random.default_rng(0)
    shapes = sorted(product(range(1, LARGEST + 1), repeat=2), key=lambda shape: (np.prod(shape), shape))
    for shape, window in product(shapes, windows):
        if max(window[0], 1) > min(shape) + 1:
            continue
        yield fill(random.permutation(np.prod(shape)) - 3, shape), *window
        yield fill(random.integers(-2, 1, np.prod(shape)), shape), *window
        if special:
            x = fill(random.integers(-3, 4, np.prod(shape)), shape)
            x.flat[random.integers(x.size)] = special[random.integers(len(special))]
            yield x, *window


def fill(values, shape):
    return np.asarray(values, dtype=float).reshape(shape)


def with_gradient(output_shape):
    """For `Exercise.arguments`: put a gradient 1, 2, 3, ... before the case, in the shape of its output."""

    def arguments(x, *window):
        shape = output_shape(x, *window)
        return fill(np.arange(1, np.prod(shape) + 1), shape), x, *window

    return arguments
