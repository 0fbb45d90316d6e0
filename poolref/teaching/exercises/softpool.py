"""Exercises of the chapter "SoftPool"."""

import numpy as np

from poolref.definition import log_mean_exp, pool
from poolref.numpy import avg_pool, avg_pool_backward, max_pool, max_pool_backward, soft_pool, soft_pool_backward
from poolref.regions import Window
from poolref.teaching.attempts.exercise import Demand, Design, Exercise
from poolref.teaching.attempts.inputs import maps, with_gradient
from poolref.teaching.attempts.loops import backward_ideas, each_window, forward_ideas, into_windows

WINDOWS = [(2, 2), (1, 1), (2, 1), (3, 1), (3, 2)]


def finite(x):
    if not np.isfinite(x).all():
        raise ValueError("x must be finite")


def softmax(values):
    e = np.exp(values - values.max())
    return e / e.sum()


# --- forward: worked ------------------------------------------------------------------------------------------------


def soft_pool_2d(x, kernel_size, stride):
    """Return the softmax-weighted mean of every window of a 2-d map of finite numbers, however large they are."""
    finite(x)
    return soft_pool(x, Window(kernel_size, stride))


def soft_pool_2d_as_it_stands(x, kernel_size, stride):
    height = (x.shape[0] - kernel_size) // stride + 1
    width = (x.shape[1] - kernel_size) // stride + 1
    y = np.empty((height, width))
    for i in range(height):
        for j in range(width):
            top, left = i * stride, j * stride
            window = x[top : top + kernel_size, left : left + kernel_size]
            e = np.exp(window)
            weights = e / e.sum()
            y[i, j] = (weights * window).sum()
    return y


def by_window(reduce):
    return lambda x, k, s, **how: each_window(x, k, s, reduce, **how)


def by_weights(weigh):
    """A forward that weighs the cells of a window by `weigh`, divided by the sum."""
    return by_window(lambda w: (weigh(w) * w).sum() / weigh(w).sum())


def naive(window):
    return (np.exp(window) * window).sum() / np.exp(window).sum()


def or_else(value):
    """The naive formula, and `value` of the window where it is not a number."""
    return by_window(lambda w: value(w) if np.isnan(naive(w)) else naive(w))


def minus_map(statistic):
    return lambda x, k, s: each_window(x, k, s, lambda w: weighted(np.exp(w - statistic(x)), w))


def weighted(e, window):
    return (e / e.sum() * window).sum()


def clipped(low, high):
    return lambda window: weighted(np.exp(np.clip(window, low, high)), window)


def stable(window):
    return weighted(np.exp(window - window.max()), window)


def in_single_precision(window):
    return float(weighted(np.exp(window - window.max()), window.astype(np.float32)))


# --- backward: faded ------------------------------------------------------------------------------------------------


def soft_pool_2d_backward(grad_output, x, kernel_size, stride):
    """Return the gradient of 2-d SoftPool with respect to x. Where windows overlap, gradients add up."""
    finite(x)
    return soft_pool_backward(grad_output, x, Window(kernel_size, stride))


def soft_pool_2d_backward_with_gaps(grad_output, x, kernel_size, stride):
    gradient = np.zeros(x.shape)
    for i, j in np.ndindex(grad_output.shape):
        rows = slice(i * stride, i * stride + kernel_size)
        columns = slice(j * stride, j * stride + kernel_size)
        window = x[rows, columns]
        e = np.exp(window - window.max())
        w = e / ...
        y = np.sum(w * window)
        derivative = w * (... - y)
        gradient[rows, columns] = ... + grad_output[i, j] * derivative
    return gradient


def gradient_from(local):
    """A backward that gives each window g·local(w, x, y), and that can be misled as into_windows can."""

    def share(g, window):
        w = softmax(window)
        return g * local(w, window, (w * window).sum())

    return lambda g, x, k, s, **how: into_windows(g, x, k, s, share, **how)


# --- temperature: open ----------------------------------------------------------------------------------------------


def soft_pool_beta(values, beta):
    """Return Σ wᵢ·xᵢ of a list of numbers with w = softmax(beta·x). beta is any number, or inf or −inf.

    The numbers are finite and at most a million in size.
    """
    x = np.asarray(values, dtype=float)
    if x.ndim != 1 or x.size == 0 or not (abs(x) <= 1e6).all() or np.isnan(beta):
        raise ValueError("values must be a list of numbers up to a million, and beta a number")
    with np.errstate(over="ignore"):
        return float(beta_weights(x, beta) @ x)


def beta_weights(x, beta):
    top = x.max() if beta > 0 else x.min()
    if np.isinf(beta):
        return (x == top) / (x == top).sum()
    e = np.exp(beta * (x - top))
    return e / e.sum()


def temperatures():
    lists = [[1.0], [-2.0], [0.0, 1.0], [2.0, -1.0], [0.0, 0.0], [-2.0, -1.0, 0.0], [3.0, 1.0, 1.0, -2.0]]
    betas = (1.0, 0.0, 2.0, -1.0, 0.5, -0.5, -3.0, np.inf, -np.inf, 800.0, -800.0)
    yield from ((x, beta) for x in lists for beta in betas)
    near = [[1.0, 1.001], [-3.0, -2.999, -2.9985]]  # still apart at a beta of hundreds
    yield from ((x, beta) for x in near for beta in (*betas, 60.0, -60.0, 300.0, -300.0))
    far = [[900.0, 1.0], [900.0, 899.0], [-900.0, -901.0], [1e6, -1e6], [20000.0, 20001.0]]
    yield from ((x, beta) for x in far for beta in (*betas, 1e9, -1e9, 1e308, -1e308))


def with_beta(weigh, limits=True):
    """A reading of the formula: weights from (x, beta), and the right answer at an infinite beta or none."""

    def wrong(values, beta):
        x = np.asarray(values, dtype=float)
        if limits and np.isinf(beta):
            return soft_pool_beta(values, beta)
        return float(weigh(x, beta) @ x)

    return wrong


def normalised(weights):
    return weights / weights.sum()


def or_else_beta(value):
    """The formula as it stands, and `value` where it is not a number."""

    def wrong(values, beta):
        x = np.asarray(values, dtype=float)
        found = float(normalised(np.exp(beta * x)) @ x)
        return float(value(x, beta)) if np.isnan(found) else found

    return wrong


def infinite_above(limit):
    return lambda values, beta: soft_pool_beta(values, np.sign(beta) * np.inf if abs(beta) > limit else beta)


def clipped_to(limit):
    return lambda values, beta: soft_pool_beta(values, float(np.clip(beta, -limit, limit)))


# --- inputs-that-tell: design ---------------------------------------------------------------------------------------

MOST_WINDOWS, MOST_CELLS = 3, 4

# What other people may have written. Each takes a window, a 1-d array, and is wrong for some.
SUSPECTS = {
    "A": naive,
    "B": clipped(-700, 700),
    "C": lambda w: weighted(np.exp(w - w.min()), w),
    "D": lambda w: weighted(np.exp(abs(w) - abs(w).max()), w),
    "E": lambda w: w.max() + np.log(np.exp(w - w.max()).mean()),
    "F": in_single_precision,
}
HINTS = {
    "A": "A gives NaN for some windows. What is the largest number whose exponential is a float?",
    "B": "B never overflows. Which two different numbers does it treat alike?",
    "C": "C subtracts something, so that large values alone do it no harm. Try values that lie far apart.",
    "D": "D is right for all windows without a negative number.",
    "E": "E lies between the mean and the maximum, as SoftPool does. It is right where all cells are equal.",
    "F": "F rounds values to 24 bits. Try large numbers that lie close together.",
}


def tests_demands(windows):
    """What is asked of a list of windows: each of the six suspects gives a wrong answer for one of them."""
    try:
        arrays = [np.array(window, dtype=float) for window in windows]
    except (TypeError, ValueError):
        raise ValueError("Tests are a list of windows, each a list of numbers, such as [[0, 1], [2, 2]].") from None
    if not arrays or any(a.ndim != 1 or a.size == 0 or not np.isfinite(a).all() for a in arrays):
        raise ValueError("Tests are a list of windows, each a list of finite numbers, such as [[0, 1], [2, 2]].")
    yield Demand(
        f"at most {MOST_WINDOWS} windows of at most {MOST_CELLS} numbers",
        f"{len(arrays)}, the largest of {max(a.size for a in arrays)}",
        len(arrays) <= MOST_WINDOWS and max(a.size for a in arrays) <= MOST_CELLS,
        "One window can catch several suspects.",
    )
    for name, suspect in SUSPECTS.items():
        caught = [window for window in arrays if differs(suspect, window)]
        found = f"{caught[0].tolist()} does" if caught else "none does"
        yield Demand(f"a window that catches {name}", found, bool(caught), HINTS[name])


def differs(suspect, window):
    with np.errstate(all="ignore"):
        found = float(suspect(window))
    right = soft_pool(window, Window(window.size, ndim=1)).item()
    return not np.isclose(found, right, rtol=1e-9, atol=1e-9)


EXERCISES = [
    Exercise(
        "softpool/forward",
        "worked",
        ("stable", "by-hand"),
        soft_pool_2d,
        lambda: maps(WINDOWS, special=[1000.0, 1001.0, -1000.0, 705.0, 20000.0, 20001.0, 5.0]),
        given=soft_pool_2d_as_it_stands,
        ideas={
            "exp(1000) is infinite. Subtract the window's maximum before the exponential: the weights stay the same.": (
                by_window(naive)
            ),
            "Clipping treats different large values alike. Subtract the window's maximum: that changes no weight.": (
                *(by_window(clipped(-limit, limit)) for limit in (100, 500, 700, 709)),
                *(by_window(clipped(-np.inf, limit)) for limit in (100, 500, 700, 709)),
                by_window(lambda w: weighted(np.minimum(np.exp(w), 1e300), w)),
                by_window(lambda w: weighted(np.nan_to_num(np.exp(w)), w)),
                by_window(lambda w: weighted(np.nan_to_num(np.exp(w), posinf=1e300), w)),
            ),
            "Where the formula gives NaN, the answer is not simply the maximum, the mean or zero. Subtract the "
            "window's maximum.": (
                or_else(np.max),
                or_else(np.mean),
                or_else(lambda w: 0.0),
                by_window(lambda w: w.max() if w.max() > 700 else naive(w)),
                by_window(lambda w: w.max() if abs(w).max() > 700 else naive(w)),
            ),
            "A longer float overflows later, not never: exp(20000) is too large for it too.": (
                by_window(lambda w: float(naive(w.astype(np.longdouble))))
            ),
            "One maximum for the whole map prevents overflow. But where a window lies far below it, all exponentials "
            "are 0, and 0/0 is no number.": minus_map(np.max),
            "Subtract the window's maximum, not its mean: a value far above the mean still overflows.": (
                by_window(lambda w: weighted(np.exp(w - w.mean()), w)),
                minus_map(np.mean),
            ),
            "With the minimum subtracted, the largest exponent is largest of all. Subtract the maximum.": (
                by_window(lambda w: weighted(np.exp(w - w.min()), w)),
                minus_map(np.min),
            ),
            "Dividing changes the weights. Subtracting the maximum does not.": (
                by_window(lambda w: weighted(np.exp(w / w.max()), w)),
                by_window(lambda w: weighted(np.exp(w / abs(w).max()), w)),
                *(by_window(lambda w, most=most: weighted(np.exp(w / most), w)) for most in (10, 100, 1000)),
            ),
            "A fixed number helps some windows and harms others. Subtract the window's own maximum.": tuple(
                by_window(lambda w, much=much: weighted(np.exp(w - much), w)) for much in (500, 700, 709, 1000)
            ),
            "The weights are powers of e, not of 2 or 10.": (
                by_window(lambda w: weighted(2.0 ** (w - w.max()), w)),
                by_window(lambda w: weighted(10.0 ** (w - w.max()), w)),
            ),
            "The sign is turned: this gives small values the larger weights.": (
                by_weights(lambda w: np.exp(w.min() - w))
            ),
            "Weights are normalised in each window, not over the whole map.": (
                lambda x, k, s: each_window(softmax(x) * x, k, s, np.sum)
            ),
            "The values are x itself. Only the weights use x − max.": by_window(
                lambda w: (softmax(w) * (w - w.max())).sum()
            ),
            "A weighted mean is divided by the sum of the weights.": by_window(
                lambda w: (np.exp(w - w.max()) * w).sum()
            ),
            "All cells have the same weight here: this is the mean.": lambda x, k, s: avg_pool(x, Window(k, s)),
            "The largest cell takes all here: this is max pooling.": lambda x, k, s: max_pool(x, Window(k, s)),
            "This is the log-mean-exp: smooth as well, but no weighted mean.": (
                lambda x, k, s: pool(x, Window(k, s), log_mean_exp(1))
            ),
            "This is the log-sum-exp, another smooth maximum. It exceeds the maximum; a weighted mean does not.": (
                by_window(lambda w: w.max() + np.log(np.exp(w - w.max()).sum()))
            ),
            "The weights need not be divided by the number of cells again: they add up to 1.": (
                lambda x, k, s: soft_pool_2d(x, k, s) / k**2
            ),
            "Multiply the values by the weights: these are the weights' sums.": (
                lambda x, k, s: np.ones(Window(k, s).output_shape(x.shape))
            ),
            "The weights are exponentials of the values, not the values or their sizes.": (
                by_window(lambda w: weighted(w, w)),
                by_window(lambda w: weighted(np.exp(abs(w) - abs(w).max()), w)),
                by_window(lambda w: weighted(w**2, w)),
            ),
            **forward_ideas(by_window(stable)),
            "The softmax is over all cells of a window, not over each of its rows or columns.": (
                by_window(lambda w: np.mean([softmax(row) @ row for row in w])),
                by_window(lambda w: np.mean([softmax(column) @ column for column in w.T])),
                by_window(lambda w: weighted(np.exp(w - w.max(axis=0)), w)),
                by_window(lambda w: weighted(np.exp(w - w.max(axis=1, keepdims=True)), w)),
                by_window(lambda w: (np.exp(w - w.max()) / np.exp(w - w.max()).sum(axis=0) * w).sum()),
                by_window(lambda w: (np.exp(w - w.max()) / np.exp(w - w.max()).sum(axis=1, keepdims=True) * w).sum()),
            ),
        },
        circumstances={
            "a value above 709": lambda x, k, s: bool((x > 709).any()),
            "a value below −700": lambda x, k, s: bool((x < -700).any()),
            "a value above 709 or below −700": lambda x, k, s: bool((x > 709).any() or (x < -700).any()),
            "a negative number": lambda x, k, s: bool((x < 0).any()),
            "more than one window": lambda x, k, s: soft_pool_2d(x, k, s).size > 1,
            "windows of more than one cell": lambda x, k, s: k > 1,
            "windows that overlap": lambda x, k, s: s < k,
            "a map that is not square": lambda x, k, s: x.shape[0] != x.shape[1],
        },
    ),
    Exercise(
        "softpool/backward",
        "faded",
        ("gradient",),
        soft_pool_2d_backward,
        lambda: maps(WINDOWS),
        arguments=with_gradient(lambda x, k, s: Window(k, s).output_shape(x.shape)),
        given=soft_pool_2d_backward_with_gaps,
        gaps=("e.sum()", "1 + window", "gradient[rows, columns]"),
        ideas={
            "The weights are the exponentials divided by their sum, so that they add up to 1.": (
                {1: "e.max()"},
                {1: "e.size"},
                {1: "1"},
                {1: "kernel_size"},
                {1: "kernel_size**2"},
                {1: "e.mean()"},
                {1: "window.sum()"},
                {1: "np.exp(window).sum()"},
                {1: "window.max()"},
                {1: "e.sum(axis=0)"},
                {1: "e.sum(axis=1)"},
            ),
            "The value x itself changes too, with weight w: w·(x − y) is only the part through the weights.": (
                {2: "window"}
            ),
            "The x is missing: the derivative is w·(1 + x − y), larger for a larger cell.": (
                {2: "1"},
                {2: "1 + w"},
                {2: "w"},
                {2: "0"},
            ),
            "The 1 is the share of the value itself, once: w·(1 + x − y).": (
                {2: "2 + window"},
                {2: "window - 1"},
                {2: "grad_output[i, j] + window"},
                {2: "kernel_size + window"},
            ),
            "The sign is turned: a cell above y pulls y up.": (
                {2: "1 - window"},
                gradient_from(lambda w, x, y: w * (1 - x + y)),
            ),
            "What is compared with y is the cell's own value, x: not its weight, its exponential or the maximum.": (
                {2: "1 + e"},
                {2: "1 + window.max()"},
                {2: "1 + window - window.max()"},
                {2: "1 + w * window"},
                {2: "1 + window.mean()"},
            ),
            "The weights depend on x too. w alone takes them as fixed: the gradient is w·(1 + x − y).": (
                {2: "1 + y"},
                gradient_from(lambda w, x, y: w),
            ),
            "One more x, and the others lose weight: − y is missing.": (
                {2: "1 + window + y"},
                gradient_from(lambda w, x, y: w * (1 + x)),
            ),
            **backward_ideas(gradient_from(lambda w, x, y: w * (1 + x - y))),
            "Windows overlap, and a cell belongs to several of them: add, do not overwrite.": {3: "0"},
            "What is added to is this window's part of the gradient, `gradient[rows, columns]`, nothing else.": (
                {3: "gradient"},
                {3: "window"},
                {3: "x[rows, columns]"},
                {3: "w"},
                {3: "derivative"},
                {3: "1"},
                {3: "y"},
                {3: "grad_output[i, j]"},
                {3: "gradient[i, j]"},
                {3: "gradient[rows]"},
                {3: "2 * gradient[rows, columns]"},
            ),
            "Each cell moves its own weight and those of the others: w·(1−w) is the softmax's diagonal alone.": (
                gradient_from(lambda w, x, y: w * (1 - w))
            ),
            "This is w·x, a part of the output. The exercise asks for its derivative.": (
                gradient_from(lambda w, x, y: w * x)
            ),
            "The factor w is missing.": gradient_from(lambda w, x, y: 1 + x - y),
            "The factor is the weight, the exponential divided by the sum of the window.": (
                gradient_from(lambda w, x, y: np.exp(x) * (1 + x - y)),
                gradient_from(lambda w, x, y: np.exp(x - x.max()) * (1 + x - y)),
            ),
            "This is the backward of the mean.": lambda g, x, k, s: avg_pool_backward(g, x, Window(k, s)),
            "This is the backward of the maximum.": lambda g, x, k, s: max_pool_backward(g, x, Window(k, s)),
        },
        circumstances={
            "windows that overlap": lambda g, x, k, s: s < k and g.size > 1,
            "windows of more than one cell": lambda g, x, k, s: k > 1,
            "more than one window": lambda g, x, k, s: g.size > 1,
            "a value other than 0": lambda g, x, k, s: bool(x.any()),
            "cells that differ": lambda g, x, k, s: bool((x != x.flat[0]).any()),
            "a map that is not square": lambda g, x, k, s: x.shape[0] != x.shape[1],
        },
    ),
    Exercise(
        "softpool/temperature",
        "open",
        ("between", "stable"),
        soft_pool_beta,
        temperatures,
        ideas={
            "beta multiplies x in the exponent. This divides by it.": (
                with_beta(lambda x, beta: beta_weights(x, 1 / beta if beta else np.inf), limits=False),
                with_beta(lambda x, beta: beta_weights(x, 1 / beta if beta else np.inf)),
                with_beta(lambda x, beta: softmax(x / beta)),
            ),
            "beta changes the weights only; the values stay x.": (
                lambda values, beta: soft_pool_beta(values, beta) * (1 if np.isinf(beta) else beta)
            ),
            "beta is not used: these are the weights at beta = 1.": (
                with_beta(lambda x, beta: softmax(x)),
                with_beta(lambda x, beta: softmax(x), limits=False),
            ),
            "beta belongs into the exponent, as a factor. Multiplied with the weights, it scales the answer.": (
                with_beta(lambda x, beta: beta * softmax(x))
            ),
            "exp(800) is infinite. Subtract the largest exponent first.": (
                with_beta(lambda x, beta: np.exp(beta * x) / np.exp(beta * x).sum()),
                with_beta(lambda x, beta: np.exp(beta * x) / np.exp(beta * x).sum(), limits=False),
            ),
            "With a negative beta the largest exponent is that of the smallest value. Subtract max(beta·x), not "
            "beta·max(x).": (
                with_beta(lambda x, beta: np.exp(beta * (x - x.max())) / np.exp(beta * (x - x.max())).sum()),
                with_beta(
                    lambda x, beta: np.exp(beta * (x - x.max())) / np.exp(beta * (x - x.max())).sum(), limits=False
                ),
            ),
            "The maximum is subtracted from what is exponentiated, beta·x. Subtracted from beta·x, x's own maximum "
            "leaves exponents that overflow.": (
                with_beta(lambda x, beta: np.exp(beta * x - x.max()) / np.exp(beta * x - x.max()).sum())
            ),
            "inf · 0 is NaN. At beta = inf all weight is on the largest value, at −inf on the smallest.": (
                with_beta(lambda x, beta: softmax(beta * x), limits=False),
                lambda values, beta: np.nan if np.isinf(beta) else soft_pool_beta(values, beta),
            ),
            "beta is a factor in the exponent, exp(beta·x). This raises x itself to a power.": (
                with_beta(lambda x, beta: abs(x) ** beta / (abs(x) ** beta).sum()),
                with_beta(lambda x, beta: x**beta / (x**beta).sum()),
            ),
            "Where the formula gives NaN, the answer is not simply the maximum, the minimum or the mean. Subtract the "
            "largest exponent.": (
                or_else_beta(lambda x, beta: x.max()),
                or_else_beta(lambda x, beta: x.max() if beta > 0 else x.min()),
                or_else_beta(lambda x, beta: x.mean()),
            ),
            "Clipping treats different large exponents alike. Subtract the largest one: that changes no weight.": (
                with_beta(lambda x, beta: normalised(np.exp(np.clip(beta * x, -700, 700)))),
                with_beta(lambda x, beta: normalised(np.exp(np.clip(beta * (x - x.max()), -700, 700)))),
                with_beta(lambda x, beta: normalised(np.exp(np.minimum(beta * x, 700)))),
            ),
            "Here beta·x itself is infinite, and inf − inf is NaN. Take the difference first: beta·(x − max).": (
                with_beta(lambda x, beta: softmax(beta * x))
            ),
            "A large beta is not an infinite one: values that lie close together still share the weight.": (
                *(infinite_above(limit) for limit in (50, 100, 500)),
                *(clipped_to(limit) for limit in (50, 100, 500, 700)),
            ),
            "At −inf all weight is on the smallest value.": lambda values, beta: (
                max(values) if np.isinf(beta) else soft_pool_beta(values, beta)
            ),
            "At +inf all weight is on the largest value, at −inf on the smallest. Here it is the other way round.": (
                lambda values, beta: soft_pool_beta(values, -beta if np.isinf(beta) else beta)
            ),
            "An infinite beta makes no infinite answer: the weights go to 0 and 1, and the values stay.": (
                lambda values, beta: beta if np.isinf(beta) else soft_pool_beta(values, beta)
            ),
            "A negative beta prefers small values. The sign counts.": (
                lambda values, beta: soft_pool_beta(values, abs(beta))
            ),
            "The sign is turned: a positive beta prefers large values.": (
                lambda values, beta: soft_pool_beta(values, -beta)
            ),
            "At beta = 0 all weights are equal, and the answer is the mean.": (
                lambda values, beta: sum(values) if beta == 0 else soft_pool_beta(values, beta),
                lambda values, beta: 0.0 if beta == 0 else soft_pool_beta(values, beta),
                lambda values, beta: max(values) if beta == 0 else soft_pool_beta(values, beta),
            ),
            "This is the largest value, whatever beta.": lambda values, beta: max(values),
            "This is the mean, whatever beta.": lambda values, beta: sum(values) / len(values),
            "A weighted mean is divided by the sum of the weights.": (
                lambda values, beta: float(np.sum(np.exp(beta * np.array(values)) * values))
            ),
            "These are the weights. Multiply them by the values and add up.": (
                lambda values, beta: beta_weights(np.array(values), beta)
            ),
        },
        circumstances={
            "an infinite beta": lambda values, beta: bool(np.isinf(beta)),
            "beta = 0": lambda values, beta: beta == 0,
            "a negative beta": lambda values, beta: beta < 0,
            "a positive beta": lambda values, beta: beta > 0,
            "a beta of 300 or more in size": lambda values, beta: abs(beta) >= 300,
            "a product beta·x above 700 in size": lambda values, beta: any(abs(beta * float(v)) > 700 for v in values),
            "values that differ": lambda values, beta: len(set(values)) > 1,
            "a beta other than 1": lambda values, beta: beta != 1,
        },
    ),
    Design(
        "softpool/inputs-that-tell",
        ("decide",),
        f"Six functions claim to be SoftPool of a window. Choose at most {MOST_WINDOWS} windows of at most "
        f"{MOST_CELLS} numbers, so that each of the six gives a wrong answer for at least one.",
        tests_demands,
    ),
]
