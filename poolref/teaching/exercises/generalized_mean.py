"""Exercises of the chapter "Generalized mean"."""

from itertools import product

import numpy as np

from poolref.numpy import avg_pool, gem_pool, lp_pool, lse_pool, max_pool, soft_pool
from poolref.regions import Window
from poolref.teaching.attempts.exercise import Demand, Design, Exercise
from poolref.teaching.attempts.inputs import maps
from poolref.teaching.attempts.loops import each_window, forward_ideas

EPS = 1e-6
MEANS = [(2, 2, 2), (1, 1, 1), (2, 2, 1), (2, 1, 3), (3, 2, 2), (1, 2, 3)]
SHARP = [(2, 2, 1.0), (1, 1, 2.0), (2, 1, 0.5), (2, 2, 3.0), (3, 1, 1.0), (1, 2, 1.0)]


# --- forward: worked ------------------------------------------------------------------------------------------------


def gem_pool_2d(x, kernel_size, stride, p):
    """Return the generalized mean of every window of a 2-d map, in which cells below 1e-6 count as 1e-6."""
    return gem_pool(x, Window(kernel_size, stride), p, EPS)


def gem_pool_2d_of_any_cells(x, kernel_size, stride, p):
    height = (x.shape[0] - kernel_size) // stride + 1
    width = (x.shape[1] - kernel_size) // stride + 1
    y = np.empty((height, width))
    for i in range(height):
        for j in range(width):
            top, left = i * stride, j * stride
            window = x[top : top + kernel_size, left : left + kernel_size]
            powers = window**p
            y[i, j] = np.mean(powers) ** (1 / p)
    return y


def by_window(reduce):
    """A forward that makes `reduce(window, p)` of every window."""
    return lambda x, k, s, p, **how: each_window(x, k, s, lambda w: reduce(w, p), **how)


def lifted(window):
    return np.maximum(window, EPS)


def gem_loop(x, k, s, p, **how):
    return each_window(x, k, s, lambda w: np.mean(lifted(w) ** p) ** (1 / p), **how)


# --- log-mean-exp: faded --------------------------------------------------------------------------------------------


def log_mean_exp_2d(x, kernel_size, stride, beta):
    """Return the log-mean-exp of every window of a 2-d map of numbers up to a million in size. beta is above 0."""
    return lse_pool(x, Window(kernel_size, stride), beta)


def log_mean_exp_2d_with_gaps(x, kernel_size, stride, beta):
    height, width = ((size - kernel_size) // stride + 1 for size in x.shape)
    y = np.empty((height, width))
    for i, j in np.ndindex(height, width):
        top, left = i * stride, j * stride
        window = x[top : top + kernel_size, left : left + kernel_size]
        e = np.exp(beta * (window - ...))
        y[i, j] = np.log(e.sum() / ...) / beta + ...
    return y


def lse_loop(x, k, s, beta, **how):
    def reduce(w):
        return w.max() + np.log(np.exp(beta * (w - w.max())).mean()) / beta

    return each_window(x, k, s, reduce, **how)


# --- gradient: open --------------------------------------------------------------------------------------------------


def gradient(values, p):
    """Return the derivatives of the generalized mean of a list of numbers: for each number, in order, and last for p.

    The numbers lie between 0.001 and a million, p between 0.1 and 10.
    """
    z = np.asarray(values, dtype=float)
    if z.ndim != 1 or z.size == 0 or not ((z >= 1e-3) & (z <= 1e6)).all() or not 0.1 <= p <= 10:
        raise ValueError("values must be a list of numbers from 0.001 to a million, and p from 0.1 to 10")
    w, y = parts(z, p)
    return np.append(by_cells(z, p, w, y), by_exponent(z, p, w, y))


def by_cells(z, p, w, y):
    return (z / y) ** (p - 1) / z.size


def by_exponent(z, p, w, y):
    return y / p * (w @ np.log(z) - np.log(y))


def parts(z, p):
    """The weights of the cells, and the generalized mean."""
    powers = (z / z.max()) ** p
    return powers / powers.sum(), z.max() * powers.mean() ** (1 / p)


def lists():
    values = [[2.0], [1.0, 3.0], [1.0, 7.0, 5.0, 5.0], [4.0, 4.0, 4.0], [0.5, 2.0, 8.0], [0.001, 1.0], [1e6, 10.0, 1e3]]
    yield from product(values, (2.0, 1.0, 3.0, 0.5, 5.5))


def gradient_from(cells=by_cells, exponent=by_exponent):
    """A gradient whose parts are `cells(z, p, w, y)`, one for each cell, and `exponent(z, p, w, y)`."""

    def wrong(values, p):
        z = np.array(values, dtype=float)
        known = z, p, *parts(z, p)
        return np.append(np.broadcast_to(cells(*known), z.shape), exponent(*known))

    return wrong


def slope_from(local):
    return gradient_from(exponent=local)


# --- lamp: design ---------------------------------------------------------------------------------------------------

CELLS, LAMP, REFLECTION = 400, 4.0, 2.0


def weight(bright, count, p):
    """The weight of `count` bright cells together, among 400 whose others hold 1."""
    return count * bright**p / (count * bright**p + CELLS - count)


def lamp_demands(p):
    """What is asked of an exponent: a lamp that counts, a reflection that does not, and a background that is left."""
    try:
        p = float(p)
    except (TypeError, ValueError):
        raise ValueError("p is a number, such as 3.") from None
    if not 0 < p <= 100:
        raise ValueError(f"p is a number above 0 and at most 100, not {p:g}.")
    lamp, reflection, ten = weight(LAMP, 1, p), weight(REFLECTION, 1, p), weight(LAMP, 10, p)
    yield Demand(
        "at least half of the weight for the lamp",
        f"{lamp:.2f}",
        lamp >= 0.5,
        "Its power 4^p must be as large as the 399 ones of the background together.",
    )
    yield Demand(
        "at most a tenth of the weight for the reflection",
        f"{reflection:.2f}",
        reflection <= 0.1,
        "Its power 2^p may be a ninth of 399 at most. A smaller p gives it less.",
    )
    yield Demand(
        "at least a twentieth of the weight for the background of ten lamps",
        f"{1 - ten:.3f}",
        1 - ten >= 0.05,
        "The ten powers 4^p together may be 19 times the 390 ones at most. A smaller p leaves more.",
    )


EXERCISES = [
    Exercise(
        "generalized-mean/forward",
        "worked",
        ("by-hand",),
        gem_pool_2d,
        lambda: maps(MEANS),
        given=gem_pool_2d_of_any_cells,
        ideas={
            "A cell below 1e-6 counts as 1e-6, and not as its magnitude.": (
                by_window(lambda w, p: np.mean(np.abs(w) ** p) ** (1 / p)),
                by_window(lambda w, p: np.mean(np.maximum(np.abs(w), EPS) ** p) ** (1 / p)),
            ),
            "A cell below 1e-6 counts as 1e-6, and still counts: the mean is over all cells of the window.": (
                by_window(lambda w, p: np.mean(w[w >= EPS] ** p) ** (1 / p) if (w >= EPS).any() else EPS),
                by_window(lambda w, p: np.mean(w[w > 0] ** p) ** (1 / p) if (w > 0).any() else EPS),
                by_window(lambda w, p: np.mean(w[w >= 0] ** p) ** (1 / p) if (w >= 0).any() else EPS),
            ),
            "Where no cell is above 0, the answer is 1e-6 and not 0: that is what such cells count.": (
                by_window(lambda w, p: np.mean(np.maximum(w, 0) ** p) ** (1 / p))
            ),
            "1e-6 is the least that a cell may count. Adding it to every cell moves all of them, and leaves negative "
            "ones negative.": (
                by_window(lambda w, p: np.mean((w + EPS) ** p) ** (1 / p)),
                by_window(lambda w, p: np.mean((np.maximum(w, 0) + EPS) ** p) ** (1 / p)),
            ),
            "Lift the cells, before they are raised to the power: an even power has lost the sign.": (
                by_window(lambda w, p: np.mean(np.maximum(w**p, EPS)) ** (1 / p)),
                by_window(lambda w, p: np.mean(np.maximum(w**p, EPS**p)) ** (1 / p)),
                by_window(lambda w, p: max(np.mean(w**p), EPS) ** (1 / p)),
                by_window(lambda w, p: max(np.mean(w**p), EPS**p) ** (1 / p)),
            ),
            "Lift the cells, not the result.": (
                by_window(lambda w, p: max(np.mean(np.abs(w) ** p) ** (1 / p), EPS)),
                by_window(lambda w, p: max(np.mean(w), EPS)),
            ),
            "`minimum` keeps the smaller of two. Below 1e-6 is asked, not above.": (
                by_window(lambda w, p: np.mean(np.minimum(w, EPS) ** p) ** (1 / p))
            ),
            "Lifted to 1, cells between 1e-6 and 1 change too.": (
                by_window(lambda w, p: np.mean(np.maximum(w, 1) ** p) ** (1 / p))
            ),
            "After the mean comes the p-th root, the power 1 / p.": (
                by_window(lambda w, p: np.mean(lifted(w) ** p)),
                by_window(lambda w, p: np.mean(lifted(w) ** p) ** 0.5),
            ),
            "A window has rows × columns cells: divide by their number, not by that of the rows.": (
                by_window(lambda w, p: (np.sum(lifted(w) ** p) / len(w)) ** (1 / p))
            ),
            "A cell of 0 is below 1e-6 too, and counts as 1e-6.": (
                by_window(lambda w, p: np.mean(np.where(w < 0, EPS, w) ** p) ** (1 / p))
            ),
            "This adds the powers and does not divide: that is the p-norm.": (
                lambda x, k, s, p: lp_pool(lifted(x), Window(k, s), p)
            ),
            "The exponent is p, not always 2 or 3.": (
                by_window(lambda w, p: np.mean(lifted(w) ** 2) ** (1 / 2)),
                by_window(lambda w, p: np.mean(lifted(w) ** 3) ** (1 / 3)),
            ),
            "Without the power this is the mean.": by_window(lambda w, p: np.mean(lifted(w))),
            "This is the largest cell, the limit for an infinite p.": (
                lambda x, k, s, p: max_pool(lifted(x), Window(k, s))
            ),
            **forward_ideas(gem_loop),
        },
        circumstances={
            "a negative number": lambda x, k, s, p: bool((x < 0).any()),
            "a cell below 1e-6": lambda x, k, s, p: bool((x < EPS).any()),
            "a p other than 2": lambda x, k, s, p: p != 2,
            "a p above 1": lambda x, k, s, p: p > 1,
            "windows of more than one cell": lambda x, k, s, p: k > 1,
            "more than one window": lambda x, k, s, p: gem_pool_2d(x, k, s, p).size > 1,
            "a map that is not square": lambda x, k, s, p: x.shape[0] != x.shape[1],
        },
    ),
    Exercise(
        "generalized-mean/log-mean-exp",
        "faded",
        ("stable", "exponent"),
        log_mean_exp_2d,
        lambda: maps(SHARP, special=[1000.0, 998.0, -1000.0, 1e6]),
        given=log_mean_exp_2d_with_gaps,
        gaps=("window.max()", "e.size", "window.max()"),
        gap_ideas=(
            "What is subtracted from the window keeps the exponentials in range: its own largest cell.",
            "The logarithm is taken of the mean of the exponentials: divide their sum by their number.",
            "What was subtracted from the cells has to be added back to the result.",
        ),
        ideas={
            "Nothing is subtracted, and exp(1000) is infinite. Subtract the window's largest cell, and add it back.": (
                {1: "0", 3: "0"},
                {1: "0"},
            ),
            "With the smallest cell subtracted, the largest exponent is largest of all. Subtract the largest cell.": (
                {1: "window.min()", 3: "window.min()"},
                {1: "window.min()"},
            ),
            "A cell far above the middle still overflows. Subtract the window's largest cell.": (
                {1: "window.mean()", 3: "window.mean()"},
                {1: "window.mean()"},
            ),
            "One maximum for the whole map leaves windows far below it with exponentials of 0, and log 0 is −∞.": (
                {1: "x.max()", 3: "x.max()"},
                {1: "x.max()"},
            ),
            "What is added back is what was subtracted, the window's largest cell.": (
                {3: "0"},
                {3: "window.min()"},
                {3: "window.mean()"},
                {3: "x.max()"},
                {3: "1"},
            ),
            "The part outside the logarithm is the cell itself: beta is divided away already.": (
                {3: "window.max() / beta"},
                {3: "beta * window.max()"},
            ),
            "Without the division by the number of cells this is the log-sum-exp, which exceeds the maximum.": (
                {2: "1"},
                {2: "e.max()"},
            ),
            "A window has rows × columns cells: divide by their number, not by that of the rows.": (
                {2: "kernel_size"},
                {2: "len(e)"},
            ),
            "The mean divides by the number of cells in the window.": (
                {2: "x.size"},
                {2: "4"},
                {2: "window.sum()"},
                {2: "stride**2"},
            ),
            "The weights belong to SoftPool. Here the exponentials themselves are averaged.": (
                lambda x, k, s, beta: soft_pool(beta * x, Window(k, s)) / beta
            ),
            "This is the mean, the limit for a small beta.": lambda x, k, s, beta: avg_pool(x, Window(k, s)),
            "This is the maximum, the limit for a large beta.": (
                {2: "e.sum()"},
                lambda x, k, s, beta: max_pool(x, Window(k, s)),
            ),
            **forward_ideas(lse_loop),
        },
        circumstances={
            "a value above 700": lambda x, k, s, beta: bool((x > 700).any()),
            "a value below −700": lambda x, k, s, beta: bool((x < -700).any()),
            "cells that differ": lambda x, k, s, beta: bool((x != x.flat[0]).any()),
            "a beta other than 1": lambda x, k, s, beta: beta != 1,
            "windows of more than one cell": lambda x, k, s, beta: k > 1,
            "more than one window": lambda x, k, s, beta: log_mean_exp_2d(x, k, s, beta).size > 1,
            "a map that is not square": lambda x, k, s, beta: x.shape[0] != x.shape[1],
        },
    ),
    Exercise(
        "generalized-mean/gradient",
        "open",
        ("gradient",),
        gradient,
        lists,
        ideas={
            "The derivative for a cell has the power p − 1. With the power p this is the cell's weight.": (
                gradient_from(lambda z, p, w, y: w)
            ),
            "The output has a mean in it: divide the derivative for a cell by the number of cells.": (
                gradient_from(lambda z, p, w, y: (z / y) ** (p - 1))
            ),
            "The root has a derivative too, which brings y^(1−p): raise z / y to the power p − 1, and not z.": (
                gradient_from(lambda z, p, w, y: z ** (p - 1) / z.size),
                gradient_from(lambda z, p, w, y: p * z ** (p - 1) / z.size),
            ),
            "In the derivative for a cell, the p of the power and the 1 / p of the root cancel.": (
                gradient_from(lambda z, p, w, y: p * by_cells(z, p, w, y)),
                gradient_from(lambda z, p, w, y: by_cells(z, p, w, y) / p),
            ),
            "The cell is divided by the output, and not the output by the cell.": (
                gradient_from(lambda z, p, w, y: (y / z) ** (p - 1) / z.size)
            ),
            "In the derivative for a cell, divide by the output. The largest cell helps against overflow only.": (
                gradient_from(lambda z, p, w, y: (z / z.max()) ** (p - 1) / z.size)
            ),
            "Equal parts belong to the mean, where p is 1.": gradient_from(lambda z, p, w, y: 1 / z.size),
            "The derivative for p comes last.": lambda values, p: np.roll(gradient(values, p), 1),
            "The root depends on p too, which brings − ln y: what counts is by how much the weighted logarithms exceed "
            "the logarithm of the output.": slope_from(lambda z, p, w, y: y / p * (w @ np.log(z))),
            "The logarithms are weighted by the powers. A plain mean treats small and large cells alike.": (
                slope_from(lambda z, p, w, y: y / p * (np.log(z).mean() - np.log(y)))
            ),
            "Weights add up to 1: divide the powers by their sum, not by the number of cells, and not at all.": (
                slope_from(lambda z, p, w, y: y / p * (np.mean(z**p * np.log(z)) - np.log(y))),
                slope_from(lambda z, p, w, y: y / p * (np.sum(z**p * np.log(z)) - np.log(y))),
            ),
            "The weights are the p-th powers over their sum.": (
                slope_from(lambda z, p, w, y: y / p * (z / z.sum() @ np.log(z) - np.log(y))),
                slope_from(lambda z, p, w, y: y / p * (z ** (p - 1) / (z ** (p - 1)).sum() @ np.log(z) - np.log(y))),
            ),
            "The sign is turned: a larger p never gives a smaller output.": (
                slope_from(lambda z, p, w, y: -y / p * (w @ np.log(z) - np.log(y)))
            ),
            "This is the derivative of the logarithm of y. Multiply it by y.": (
                slope_from(lambda z, p, w, y: (w @ np.log(z) - np.log(y)) / p)
            ),
            "The factor 1 / p is missing.": slope_from(lambda z, p, w, y: y * (w @ np.log(z) - np.log(y))),
            "1 / p stands there once. The 1 / p² of the quotient rule goes with ln(S / N), which is p · ln y.": (
                slope_from(lambda z, p, w, y: y / p**2 * (w @ np.log(z) - np.log(y)))
            ),
            "The root depends on p too: this moves the powers alone.": (
                slope_from(lambda z, p, w, y: np.mean(z**p * np.log(z))),
            ),
            "The powers depend on p too: this moves the root alone.": (
                slope_from(lambda z, p, w, y: -y * np.log(y) / p),
                slope_from(lambda z, p, w, y: -y * np.log(np.mean(z**p)) / p**2),
            ),
            "The output has a mean in it, and this takes the sum: N is missing.": (
                slope_from(lambda z, p, w, y: y / p * (w @ np.log(z) - np.log(np.sum(z**p)) / p)),
                slope_from(
                    lambda z, p, w, y: np.sum(z**p) ** (1 / p) / p * (w @ np.log(z) - np.log(np.sum(z**p) ** (1 / p)))
                ),
            ),
            "The logarithm is the natural one.": (
                slope_from(lambda z, p, w, y: y / p * (w @ np.log2(z) - np.log2(y))),
                slope_from(lambda z, p, w, y: y / p * (w @ np.log10(z) - np.log10(y))),
            ),
            "The derivative of z^p for p is z^p · ln z. p · z^(p−1) is the one for z.": (
                slope_from(lambda z, p, w, y: np.mean((z / y) ** (p - 1))),
                slope_from(lambda z, p, w, y: np.sum((z / y) ** (p - 1)) / len(z) * p),
            ),
            "This is the generalized mean itself. Its derivative for p is asked.": slope_from(lambda z, p, w, y: y),
            "The derivative for p is 0 only where all numbers are equal.": slope_from(lambda z, p, w, y: 0.0),
            "A difference of outputs is divided by the step.": slope_from(
                lambda z, p, w, y: parts(z, p + 1e-6)[1] - parts(z, p - 1e-6)[1]
            ),
            "A central difference spans two steps: divide by 2h.": slope_from(
                lambda z, p, w, y: (parts(z, p + 1e-6)[1] - parts(z, p - 1e-6)[1]) / 1e-6
            ),
            "A step this wide is no derivative: the curve bends.": (
                slope_from(lambda z, p, w, y: parts(z, p + 1)[1] - y),
                slope_from(lambda z, p, w, y: (parts(z, p + 0.1)[1] - y) / 0.1),
                slope_from(lambda z, p, w, y: (parts(z, p + 0.01)[1] - y) / 0.01),
            ),
        },
        circumstances={
            "numbers that differ": lambda values, p: len(set(values)) > 1,
            "a p other than 1": lambda values, p: p != 1,
            "a number below 1": lambda values, p: min(values) < 1,
            "more than one number": lambda values, p: len(values) > 1,
        },
    ),
    Design(
        "generalized-mean/lamp",
        ("choose", "exponent"),
        "Choose an exponent with which one cell of 4 among 399 ones has at least half of the weight, one cell of 2 at "
        "most a tenth, and ten cells of 4 leave the background at least a twentieth.",
        lamp_demands,
    ),
]
