"""Exercises of the chapter "Average pooling"."""

import operator

import numpy as np

from poolref.numpy import (
    avg_pool,
    avg_pool_backward,
    lp_pool,
    max_pool,
    max_pool_backward,
    min_pool,
    sum_pool,
    sum_pool_backward,
)
from poolref.regions import Window
from poolref.teaching.attempts.exercise import Demand, Design, Exercise
from poolref.teaching.attempts.inputs import maps, with_gradient
from poolref.teaching.attempts.loops import backward_ideas, each_window, forward_ideas, into_windows

PADDED = [(2, 2, 0), (1, 1, 0), (2, 1, 0), (3, 2, 0), (2, 2, 1), (3, 1, 1), (3, 2, 1), (2, 1, 1), (2, 3, 1)]
NORMS = [(2, 2, 2), (1, 1, 1), (2, 2, 1), (2, 1, 3), (3, 1, 2), (3, 2, 1), (1, 2, 3), (2, 3, 2)]


# --- forward: worked ------------------------------------------------------------------------------------------------


def avg_pool_2d(x, kernel_size, stride, padding):
    """Return the mean of every window of a 2-d map, over the cells of the map alone: padding does not count."""
    return avg_pool(x, Window(kernel_size, stride, padding), count_include_pad=False)


def avg_pool_2d_counting_padding(x, kernel_size, stride, padding):
    padded = np.pad(x, padding)
    height = (padded.shape[0] - kernel_size) // stride + 1
    width = (padded.shape[1] - kernel_size) // stride + 1
    y = np.empty((height, width))
    for i in range(height):
        for j in range(width):
            top, left = i * stride, j * stride
            window = padded[top : top + kernel_size, left : left + kernel_size]
            cells = window.size
            y[i, j] = np.sum(window) / cells
    return y


def hidden(x, padding):
    """The map with padding that `mean_of_cells` tells from cells."""
    return np.pad(x, padding, constant_values=np.nan)


def mean_of_cells(window):
    cells = window[~np.isnan(window)]
    return cells.mean() if cells.size else 0.0


def mean_loop(x, k, s, p, **how):
    return each_window(hidden(x, p), k, s, mean_of_cells, **how)


def over_nonzero(x, k, s, p):
    return each_window(np.pad(x, p), k, s, lambda w: w.sum() / max(1, np.count_nonzero(w)))


def padded_by(mode):
    return lambda x, k, s, p: each_window(np.pad(x, p, mode=mode), k, s, np.mean)


# --- norms: faded ---------------------------------------------------------------------------------------------------


def lp_pool_2d(x, kernel_size, stride, p):
    """Return the p-norm of every window of a 2-d map: the p-th root of the sum of the magnitudes to the power of p."""
    return lp_pool(x, Window(kernel_size, stride), p)


def lp_pool_2d_with_gaps(x, kernel_size, stride, p):
    height, width = ((size - kernel_size) // stride + 1 for size in x.shape)
    y = np.empty((height, width))
    for i, j in np.ndindex(height, width):
        top, left = i * stride, j * stride
        window = x[top : top + kernel_size, left : left + kernel_size]
        powers = np.where(window < 0, ..., window) ** p
        y[i, j] = np.sum(powers) ** (...)
    return y


def norm_loop(x, k, s, p, **how):
    return each_window(np.abs(x), k, s, lambda w: np.sum(w**p) ** (1 / p), **how)


# --- backward: open -------------------------------------------------------------------------------------------------


def avg_pool_2d_backward(grad_output, x, kernel_size, stride, padding):
    """Return the gradient of `avg_pool_2d` with respect to x, where padding does not count."""
    return avg_pool_backward(grad_output, x, Window(kernel_size, stride, padding), count_include_pad=False)


def to_cells(g, window):
    cells = ~np.isnan(window)
    return np.where(cells, g / max(1, cells.sum()), 0)


def spread(g, x, k, s, p, share=to_cells, crop=True, **how):
    """The gradient by windows of the padded map; right, unless one of the last three says otherwise."""
    gradient = into_windows(g, hidden(x, p), k, s, share, **how)
    return gradient[p : p + x.shape[0], p : p + x.shape[1]] if crop else gradient


# --- a long signal: design ------------------------------------------------------------------------------------------

SAMPLES, PULSE, HEIGHT, NOISE = 240, 24, 1.0, 0.4
REDUCERS = {"mean": avg_pool, "max": max_pool, "min": min_pool, "sum": sum_pool}


def recordings():
    """Return 200 recordings of noise alone: 240 samples each, with mean 0 and standard deviation 0.4."""
    return np.random.default_rng(0).normal(scale=NOISE, size=(200, SAMPLES))


def signal_demands(settings):
    """What is asked of (reducer, kernel_size, stride): little noise, no offset, a pulse at its height, few numbers."""
    try:
        name, *window = settings
        kernel_size, stride = (operator.index(number) for number in window)
        regions = Window(kernel_size, stride, ndim=1)
    except TypeError:
        raise ValueError('Settings are (reducer, kernel_size, stride), such as ("mean", 4, 4).') from None
    except ValueError as error:
        raise ValueError(f"Settings are (reducer, kernel_size, stride): {error}.") from None
    if name not in REDUCERS:
        raise ValueError(f"The reducer is one of {', '.join(REDUCERS)}, not {name!r}.")
    if kernel_size > SAMPLES:
        raise ValueError(f"A window of {kernel_size} does not fit {SAMPLES} samples.")
    pool = REDUCERS[name]
    quiet = pool(recordings(), regions)
    yield Demand(
        "noise around 0 where nothing happens",
        f"an average of {quiet.mean():.2f}",
        abs(quiet.mean()) < 0.02,
        "The largest of many noisy values lies above 0 and the smallest below. In a mean or a sum they cancel.",
    )
    yield Demand(
        "noise with a standard deviation of at most 0.12",
        f"{quiet.std():.2f}",
        quiet.std() <= 0.12,
        "A sum adds noise up: its standard deviation grows with the root of the number of samples."
        if name == "sum"
        else "The noise in a mean falls with the root of the number of samples: take a larger window."
        if name == "mean"
        else "The extreme of a window stays noisy. The noise in a mean falls with the window.",
    )
    starts = range(PULSE, 3 * PULSE)
    peaks = [pool(np.where((np.arange(SAMPLES) - start) // PULSE == 0, HEIGHT, 0.0), regions).max() for start in starts]
    yield Demand(
        "a pulse of 24 samples and height 1 that shows at its height wherever it begins",
        f"heights from {min(peaks):.2f} to {max(peaks):.2f}",
        bool(np.allclose(peaks, HEIGHT)),
        "A sum grows with the window. Divide by the number of samples."
        if max(peaks) > HEIGHT
        else "Some window has to lie in the pulse whole: it is at most 24 + 1 − stride samples long."
        if name != "min"
        else "The smallest value of a window reaches the height where the window lies in the pulse whole.",
    )
    outputs = regions.output_shape((SAMPLES,))[0]
    yield Demand(
        "at most 24 numbers of 240",
        f"{outputs}",
        outputs <= 24,
        "Fewer windows come from a larger stride.",
    )


EXERCISES = [
    Exercise(
        "average-pooling/forward",
        "worked",
        ("by-hand", "divisors"),
        avg_pool_2d,
        lambda: maps(PADDED),
        given=avg_pool_2d_counting_padding,
        ideas={
            "A cell of the map that holds 0 is a cell too. Count cells, not values other than 0.": over_nonzero,
            "Windows away from the edge hold kernel_size² cells. Count the cells of each window.": (
                lambda x, k, s, p: sum_pool(x, Window(k, s, p)) / (k - p) ** 2,
                lambda x, k, s, p: sum_pool(x, Window(k, s, p)) / (k * (k - p)),
            ),
            "The rows of a window are not its cells: divide by rows × columns.": (
                lambda x, k, s, p: sum_pool(x, Window(k, s, p)) / k
            ),
            "A mean divides by the number of cells. This is the sum.": lambda x, k, s, p: sum_pool(x, Window(k, s, p)),
            "The reducer is the mean. This is the maximum.": lambda x, k, s, p: max_pool(x, Window(k, s, p)),
            "Padding repeats no cells of the map: what stands there takes no part.": (
                padded_by("edge"),
                padded_by("reflect"),
                padded_by("wrap"),
                padded_by("mean"),
            ),
            "The mean counts negative values with their sign.": lambda x, k, s, p: avg_pool_2d(np.abs(x), k, s, p),
            **forward_ideas(mean_loop),
            "The padded map begins at −padding already. Subtracting the padding again shifts the windows.": (
                lambda x, k, s, p: mean_loop(x, k, s, p, corner=lambda i, k, s: max(0, i * s - p))
            ),
            "The padding takes no part, but it makes room for more windows: count them on the padded map.": (
                lambda x, k, s, p: avg_pool_2d(x, k, s, p)[: (x.shape[0] - k) // s + 1, : (x.shape[1] - k) // s + 1]
            ),
        },
        circumstances={
            "padding": lambda x, k, s, p: p > 0,
            "a negative number": lambda x, k, s, p: bool((x < 0).any()),
            "a zero in the map": lambda x, k, s, p: bool((x == 0).any()),
            "windows that overlap": lambda x, k, s, p: s < k,
            "more than one window": lambda x, k, s, p: avg_pool_2d(x, k, s, p).size > 1,
            "a map that is not square": lambda x, k, s, p: x.shape[0] != x.shape[1],
        },
    ),
    Exercise(
        "average-pooling/norm",
        "faded",
        ("by-hand", "claims"),
        lp_pool_2d,
        lambda: maps(NORMS),
        given=lp_pool_2d_with_gaps,
        gaps=("-window", "1 / p"),
        ideas={
            "A norm adds magnitudes. A negative cell left as it is subtracts where p is odd.": {1: "window"},
            "A norm adds magnitudes. A negative cell counts as much as a positive one, not as 0.": {1: "0"},
            "The magnitude of −3 is 3, whatever p is.": ({1: "window**p"}, {1: "1"}, {1: "p"}),
            "After the sum comes the p-th root. It is the power 1 / p.": (
                {2: "1"},
                {2: "p"},
                {2: "2"},
                {2: "-p"},
            ),
            "The square root belongs to p = 2. The p-th root is the power 1 / p.": ({2: "1 / 2"},),
            "The power 1 / p is the root. With a minus it is one over the root.": {2: "-1 / p"},
            "The root does not depend on the window's size.": ({2: "1 / kernel_size"}, {2: "1 / kernel_size**2"}),
            "`//` divides whole numbers: 1 // 2 is 0.": {2: "1 // p"},
            "A norm adds. Divided by the number of cells it is a generalized mean.": (
                lambda x, k, s, p: norm_loop(x, k, s, p) / k ** (2 / p)
            ),
            "This is the largest magnitude, the norm for an infinite p.": (
                lambda x, k, s, p: max_pool(np.abs(x), Window(k, s))
            ),
            **forward_ideas(norm_loop),
        },
        circumstances={
            "a negative number": lambda x, k, s, p: bool((x < 0).any()),
            "a p other than 2": lambda x, k, s, p: p != 2,
            "a p above 1": lambda x, k, s, p: p > 1,
            "windows of more than one cell": lambda x, k, s, p: k > 1,
            "more than one window": lambda x, k, s, p: lp_pool_2d(x, k, s, p).size > 1,
            "a map that is not square": lambda x, k, s, p: x.shape[0] != x.shape[1],
        },
    ),
    Exercise(
        "average-pooling/backward",
        "open",
        ("gradient", "divisors"),
        avg_pool_2d_backward,
        lambda: maps(PADDED),
        arguments=with_gradient(lambda x, k, s, p: Window(k, s, p).output_shape(x.shape)),
        ideas={
            "Padding does not count: divide by the cells of the map in the window, not by kernel_size².": (
                lambda g, x, k, s, p: avg_pool_backward(g, x, Window(k, s, p))
            ),
            "Each cell gets its share of the gradient, not all of it. This is the backward of the sum.": (
                lambda g, x, k, s, p: sum_pool_backward(g, x, Window(k, s, p))
            ),
            "This follows the largest cell. The mean shares among all.": (
                lambda g, x, k, s, p: max_pool_backward(g, x, Window(k, s, p))
            ),
            "The share does not depend on what the cell holds.": (
                lambda g, x, k, s, p: avg_pool_2d_backward(g, x, k, s, p) * x
            ),
            "A cell of the map that holds 0 is a cell too, and gets its share.": (
                lambda g, x, k, s, p: spread(g, np.where(x == 0, np.nan, x), k, s, p, share=lambda g, w: to_cells(g, w))
            ),
            "Only ReLU looks at the sign. The mean gives negative cells their share too.": (
                lambda g, x, k, s, p: avg_pool_2d_backward(g, x, k, s, p) * (x > 0)
            ),
            **backward_ideas(spread),
            "The gradient has the shape of x: cut the padding off again.": (
                lambda g, x, k, s, p: spread(g, x, k, s, p, crop=False)
            ),
            "The map begins `padding` cells into the padded one: cut off as many on each side.": (
                lambda g, x, k, s, p: spread(g, x, k, s, p, crop=False)[: x.shape[0], : x.shape[1]]
            ),
            "Without padding the windows lie elsewhere: window (i, j) begins at row i·stride − padding.": (
                lambda g, x, k, s, p: into_windows(g, x, k, s, to_cells)
            ),
            "A window's gradient is shared among its rows × columns cells, not among its rows.": (
                lambda g, x, k, s, p: sum_pool_backward(g, x, Window(k, s, p)) / k
            ),
            "Divide each window's gradient by its own cells, before the windows are added up.": (
                lambda g, x, k, s, p: (
                    sum_pool_backward(g, x, Window(k, s, p))
                    / np.maximum(sum_pool_backward(np.ones_like(g), x, Window(k, s, p)), 1)
                )
            ),
        },
        circumstances={
            "padding": lambda g, x, k, s, p: p > 0,
            "windows that overlap": lambda g, x, k, s, p: s < k,
            "more than one window": lambda g, x, k, s, p: g.size > 1,
            "windows of more than one cell": lambda g, x, k, s, p: k > 1,
            "a map that is not square": lambda g, x, k, s, p: x.shape[0] != x.shape[1],
        },
    ),
    Design(
        "average-pooling/signal",
        ("noise",),
        "Choose a reducer, a kernel size and a stride that make at most 24 numbers of 240 noisy samples, leave a noise "
        "of at most 0.12 around 0, and show a pulse of 24 samples at its height wherever it begins.",
        signal_demands,
    ),
]
