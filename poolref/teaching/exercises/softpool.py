"""Exercises of the chapter "SoftPool"."""

import numpy as np

from poolref.definition import log_mean_exp, pool
from poolref.numpy import avg_pool, avg_pool_backward, max_pool, max_pool_backward, soft_pool, soft_pool_backward
from poolref.regions import Window
from poolref.teaching.exercises import Exercise
from poolref.teaching.exercises.cases import maps, with_gradient

WINDOWS = [(2, 2), (1, 1), (2, 1), (3, 1), (3, 2)]


def finite(x):
    if not np.isfinite(x).all():
        raise ValueError("x must be finite")


def each_window(x, k, s, reduce):
    """`reduce` of every window, as a k×k array; a row of values at a time is one window."""
    rows, columns = Window(k, s).output_shape(x.shape)
    windows = [[x[i * s : i * s + k, j * s : j * s + k] for j in range(columns)] for i in range(rows)]
    return np.array([[reduce(window) for window in row] for row in windows])


def softmax(values):
    return np.exp(values - values.max()) / np.exp(values - values.max()).sum()


# --- forward --------------------------------------------------------------------------------------------------------


def soft_pool_2d(x, kernel_size, stride):
    """Return the softmax-weighted mean of every window of a 2-d map of finite numbers, however large they are."""
    finite(x)
    return soft_pool(x, Window(kernel_size, stride))


def overflowing(x, k, s):
    return each_window(x, k, s, lambda w: (np.exp(w) * w).sum() / np.exp(w).sum())


def over_the_map(x, k, s):
    return each_window(softmax(x) * x, k, s, np.sum)


# --- backward -------------------------------------------------------------------------------------------------------


def soft_pool_2d_backward(grad_output, x, kernel_size, stride):
    """Return the gradient of 2-d SoftPool with respect to x. Where windows overlap, gradients add up."""
    finite(x)
    return soft_pool_backward(grad_output, x, Window(kernel_size, stride))


def gradient_from(local, add=True):
    """A backward that gives each window g·local(w, x, y)."""

    def backward(g, x, k, s):
        gradient = np.zeros_like(x)
        for i, j in np.ndindex(g.shape):
            window = np.s_[i * s : i * s + k, j * s : j * s + k]
            w = softmax(x[window])
            part = g[i, j] * local(w, x[window], (w * x[window]).sum())
            gradient[window] = gradient[window] + part if add else part
        return gradient

    return backward


# --- temperature ----------------------------------------------------------------------------------------------------


def soft_pool_beta(values, beta):
    """Return Σ wᵢ·xᵢ of a list of finite numbers with w = softmax(beta·x). beta is any number, or inf or −inf."""
    x = np.asarray(values, dtype=float)
    if x.ndim != 1 or x.size == 0 or not np.isfinite(x).all() or np.isnan(beta):
        raise ValueError("values must be a list of finite numbers, and beta a number")
    if np.isinf(beta):
        return float(x.max() if beta > 0 else x.min())
    return float(softmax(beta * x) @ x)


def temperatures():
    lists = [[0.0, 1.0], [1.0], [2.0, -1.0], [0.0, 0.0], [-2.0, -1.0, 0.0], [3.0, 1.0, 1.0, -2.0], [900.0, 1.0]]
    return ((x, beta) for x in lists for beta in (1.0, 0.0, 2.0, 0.5, -1.0, np.inf, -np.inf, 800.0))


EXERCISES = [
    Exercise(
        "softpool/forward",
        "worked",
        soft_pool_2d,
        lambda: maps(WINDOWS, special=[1000.0, -1000.0, 5.0]),
        ideas={
            "exp(1000) is infinite. Subtract the window's maximum before the exponential: the weights stay the same.": (
                overflowing
            ),
            "Weights are normalised in each window, not over the whole map.": over_the_map,
            "All cells have the same weight here: this is the mean.": lambda x, k, s: avg_pool(x, Window(k, s)),
            "The largest cell takes all here: this is max pooling.": lambda x, k, s: max_pool(x, Window(k, s)),
            "This is the log-mean-exp: smooth as well, but no weighted mean.": (
                lambda x, k, s: pool(x, Window(k, s), log_mean_exp(1))
            ),
            "The weights need not be divided by the number of cells again: they add up to 1.": (
                lambda x, k, s: soft_pool_2d(x, k, s) / k**2
            ),
            "Multiply the values by the weights: these are the weights' sums.": (
                lambda x, k, s: np.ones(Window(k, s).output_shape(x.shape))
            ),
            "A weighted mean is divided by the sum of the weights.": lambda x, k, s: each_window(
                x, k, s, lambda w: (np.exp(w - w.max()) * w).sum()
            ),
            "The values are x itself. Only the weights use x − max.": lambda x, k, s: each_window(
                x, k, s, lambda w: softmax(w) @ (w - w.max()) if w.ndim == 1 else (softmax(w) * (w - w.max())).sum()
            ),
            "The window moves by `stride`, not by `kernel_size`.": lambda x, k, s: soft_pool_2d(x, k, k),
            "The window moves by `stride`, not by 1.": lambda x, k, s: soft_pool_2d(x, k, 1),
            "Rows and columns are swapped.": lambda x, k, s: soft_pool_2d(x, k, s).T,
            "The softmax is over all cells of a window, not over each of its rows.": lambda x, k, s: each_window(
                x, k, s, lambda w: np.mean([softmax(row) @ row for row in w])
            ),
        },
    ),
    Exercise(
        "softpool/backward",
        "faded",
        soft_pool_2d_backward,
        lambda: maps(WINDOWS),
        arguments=with_gradient(lambda x, k, s: Window(k, s).output_shape(x.shape)),
        ideas={
            "The weights depend on x too. w alone takes them as fixed: the gradient is w·(1 + x − y).": (
                gradient_from(lambda w, x, y: w)
            ),
            "The value x itself changes too, with weight w: w·(x − y) is only the part through the weights.": (
                gradient_from(lambda w, x, y: w * (x - y))
            ),
            "One more x, and the others lose weight: − y is missing.": gradient_from(lambda w, x, y: w * (1 + x)),
            "The sign is turned: a cell above y pulls y up.": gradient_from(lambda w, x, y: w * (1 - x + y)),
            "Each cell moves its own weight and those of the others: w·(1−w) is the softmax's diagonal alone.": (
                gradient_from(lambda w, x, y: w * (1 - w))
            ),
            "This is w·x, a part of the output. The exercise asks for its derivative.": (
                gradient_from(lambda w, x, y: w * x)
            ),
            "The factor w is missing.": gradient_from(lambda w, x, y: 1 + x - y),
            "Windows overlap, and a cell belongs to several of them: add, do not overwrite.": (
                gradient_from(lambda w, x, y: w * (1 + x - y), add=False)
            ),
            "Multiply by `grad_output`: a cell gets its share of what came back, not of 1.": (
                lambda g, x, k, s: soft_pool_2d_backward(np.ones_like(g), x, k, s)
            ),
            "This is the backward of the mean.": lambda g, x, k, s: avg_pool_backward(g, x, Window(k, s)),
            "This is the backward of the maximum.": lambda g, x, k, s: max_pool_backward(g, x, Window(k, s)),
            "All zeros is no gradient: something must come back.": lambda g, x, k, s: np.zeros_like(x),
        },
    ),
    Exercise(
        "softpool/temperature",
        "open",
        soft_pool_beta,
        temperatures,
        ideas={
            "beta multiplies x in the exponent. This divides by it.": (
                lambda values, beta: soft_pool_beta(values, 1 / beta if beta else np.inf)
            ),
            "beta changes the weights only; the values stay x.": lambda values, beta: float(
                softmax(beta * np.array(values)) @ (beta * np.array(values))
            ),
            "beta is not used: these are the weights at beta = 1.": lambda values, beta: soft_pool_beta(values, 1.0),
            "exp(800) is infinite. Subtract the largest exponent first.": lambda values, beta: float(
                np.exp(beta * np.array(values)) @ np.array(values) / np.exp(beta * np.array(values)).sum()
            ),
            "inf · 0 is NaN. At beta = inf all weight is on the largest value, at −inf on the smallest.": (
                lambda values, beta: float(softmax(beta * np.array(values)) @ np.array(values))
            ),
            "At −inf all weight is on the smallest value.": lambda values, beta: (
                max(values) if np.isinf(beta) else soft_pool_beta(values, beta)
            ),
            "A negative beta prefers small values. The sign counts.": (
                lambda values, beta: soft_pool_beta(values, abs(beta))
            ),
            "At beta = 0 all weights are equal, and the answer is the mean, not the sum.": lambda values, beta: (
                sum(values) if beta == 0 else soft_pool_beta(values, beta)
            ),
            "This is the largest value, whatever beta.": lambda values, beta: max(values),
            "This is the mean, whatever beta.": lambda values, beta: sum(values) / len(values),
        },
    ),
]
