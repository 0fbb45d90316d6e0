"""Answers to the exercises of "Generalized mean"."""

from math import log

import numpy as np

# --- forward ---------------------------------------------------------------------------------------------------------


def gem_loop(x, k, s, p, *, lift=lambda w: np.maximum(w, 1e-6), step=None, finish=None, count=None):
    """The right loop, and the places where it is easily got wrong."""
    y = np.zeros([(count or (lambda n: (n - k) // s + 1))(n) for n in x.shape])
    for i, j in np.ndindex(y.shape):
        window = lift(x[i * (step or s) : i * (step or s) + k, j * (step or s) : j * (step or s) + k])
        y[i, j] = finish(window, p) if finish else np.mean(window**p) ** (1 / p)
    return y


def gem_views(x, k, s, p):
    windows = np.lib.stride_tricks.sliding_window_view(np.clip(x, 1e-6, None), (k, k))[::s, ::s]
    return (windows**p).mean(axis=(2, 3)) ** (1 / p)


def gem_scaled(x, k, s, p):
    return gem_loop(x, k, s, p, finish=lambda w, p: w.max() * np.mean((w / w.max()) ** p) ** (1 / p))


def gem_of_logs(x, k, s, p):
    return gem_loop(x, k, s, p, finish=lambda w, p: np.exp(np.log(np.mean(np.exp(p * np.log(w)))) / p))


FORWARD = {
    "unchanged in other words": (lambda *a: gem_loop(*a, lift=lambda w: w), "what it gave before"),
    "magnitudes": (lambda *a: gem_loop(*a, lift=abs), "not as its magnitude"),
    "magnitudes, lifted": (lambda *a: gem_loop(*a, lift=lambda w: np.maximum(abs(w), 1e-6)), "not as its magnitude"),
    "left out": (
        lambda *a: gem_loop(*a, lift=lambda w: w[w >= 1e-6] if (w >= 1e-6).any() else np.array([1e-6])),
        "still counts",
    ),
    "lifted to 0": (lambda *a: gem_loop(*a, lift=lambda w: np.maximum(w, 0)), "the answer is 1e-6 and not 0"),
    "added": (lambda *a: gem_loop(*a, lift=lambda w: w + 1e-6), "Adding it to every cell"),
    "the powers lifted": (
        lambda *a: gem_loop(*a, lift=lambda w: w, finish=lambda w, p: np.mean(np.maximum(w**p, 1e-6)) ** (1 / p)),
        "before they are raised",
    ),
    "the mean lifted": (
        lambda *a: gem_loop(*a, lift=lambda w: w, finish=lambda w, p: max(np.mean(w**p), 1e-6) ** (1 / p)),
        "before they are raised",
    ),
    "minimum": (lambda *a: gem_loop(*a, lift=lambda w: np.minimum(w, 1e-6)), "keeps the smaller of two"),
    "lifted to 1": (lambda *a: gem_loop(*a, lift=lambda w: np.maximum(w, 1)), "Lifted to 1"),
    "no root": (lambda *a: gem_loop(*a, finish=lambda w, p: np.mean(w**p)), "comes the p-th root"),
    "norm": (lambda *a: gem_loop(*a, finish=lambda w, p: np.sum(w**p) ** (1 / p)), "p-norm"),
    "square root": (lambda *a: gem_loop(*a, finish=lambda w, p: np.mean(w**p) ** 0.5), "comes the p-th root"),
    "divided by the rows": (
        lambda x, k, s, p: gem_loop(x, k, s, p, finish=lambda w, p: (np.sum(w**p) / k) ** (1 / p)),
        "not by that of the rows",
    ),
    "zeros stay": (lambda *a: gem_loop(*a, lift=lambda w: np.where(w < 0, 1e-6, w)), "A cell of 0 is below 1e-6 too"),
    "root and power exchanged": (lambda *a: gem_loop(*a, finish=lambda w, p: np.mean(w ** (1 / p)) ** p), None),
    "always squares": (lambda *a: gem_loop(*a, finish=lambda w, p: np.mean(w**2) ** 0.5), "not always 2 or 3"),
    "mean": (lambda *a: gem_loop(*a, finish=lambda w, p: w.mean()), "this is the mean"),
    "maximum": (lambda *a: gem_loop(*a, finish=lambda w, p: w.max()), "the largest cell"),
    "moves by the kernel": (lambda x, k, s, p: gem_loop(x, k, s, p, step=k, count=lambda n: n // k), "`kernel_size`"),
    "moves by 1": (lambda x, k, s, p: gem_loop(x, k, s, p, step=1), "row i·stride"),
    "transposed": (lambda *a: gem_loop(*a).T, "swapped"),
    "all zeros": (lambda *a: gem_loop(*a) * 0, "the answer is 1e-6 and not 0"),
}

# --- log-mean-exp ----------------------------------------------------------------------------------------------------


def lse_views(x, k, s, beta):
    windows = np.lib.stride_tricks.sliding_window_view(x, (k, k))[::s, ::s].reshape(
        (x.shape[0] - k) // s + 1, (x.shape[1] - k) // s + 1, -1
    )
    return (np.logaddexp.reduce(beta * windows, axis=-1) - np.log(k * k)) / beta


def lse_loop(x, k, s, beta):
    y = np.zeros([(n - k) // s + 1 for n in x.shape])
    for i, j in np.ndindex(y.shape):
        z = beta * x[i * s : i * s + k, j * s : j * s + k]
        y[i, j] = (z.max() + np.log(np.mean(np.exp(z - z.max())))) / beta
    return y


LOG_MEAN_EXP = {
    "nothing subtracted": ({1: "0", 3: "0"}, "Nothing is subtracted"),
    "subtracted nothing, added the maximum": ({1: "0"}, "Nothing is subtracted"),
    "the smallest": ({1: "window.min()", 3: "window.min()"}, "With the smallest cell"),
    "the mean cell": ({1: "window.mean()", 3: "window.mean()"}, "far above the middle"),
    "the median": ({1: "np.median(window)", 3: "np.median(window)"}, "far above the middle"),
    "the largest magnitude": (
        {1: "np.abs(window).max()", 3: "np.abs(window).max()"},
        "keeps the exponentials in range",
    ),
    "the whole map": ({1: "x.max()", 3: "x.max()"}, "One maximum for the whole map"),
    "the whole map, once": ({1: "x.max()"}, "One maximum for the whole map"),
    "fixed": ({1: "700"}, "keeps the exponentials in range"),
    "not added back": ({3: "0"}, "What is added back"),
    "mean added back": ({3: "window.mean()"}, "What is added back"),
    "divided as well": ({3: "window.max() / beta"}, "beta is divided away"),
    "log-sum-exp": ({2: "1"}, "log-sum-exp"),
    "rows": ({2: "kernel_size"}, "rows × columns"),
    "the map's cells": ({2: "x.size"}, "number of cells in the window"),
    "always four": ({2: "4"}, "number of cells in the window"),
    "its own sum": ({2: "e.sum()"}, "This is the maximum"),
    "mean": (lambda x, k, s, beta: gem_loop(x, k, s, 1, lift=lambda w: w), "limit for a small beta"),
    "transposed": (lambda *a: lse_loop(*a).T, "swapped"),
}

# --- gradient --------------------------------------------------------------------------------------------------------


def of(values, p):
    z = np.array(values, dtype=float)
    powers = z**p
    return z, powers, powers.mean() ** (1 / p)


def differences(values, p):
    """All derivatives by central differences, with Richardson's step: the error of h² cancels."""

    def y(at):
        z = at[:-1] / max(values)
        return max(values) * np.mean(z ** at[-1]) ** (1 / at[-1])

    at = np.array([*values, p], dtype=float)

    def quotient(n, h):
        step = h * at[n] * (np.arange(at.size) == n)
        return (y(at + step) - y(at - step)) / (2 * h * at[n])

    return [(4 * quotient(n, 1e-3) - quotient(n, 2e-3)) / 3 for n in range(at.size)]


def by_formula(values, p):
    z, powers, y = of(values, p)
    n, total = len(z), powers.sum()
    by_p = y / p**2 * (np.log(n / total) + p * (powers * np.log(z)).sum() / total)
    return [*(y ** (1 - p) * z ** (p - 1) / n), by_p]


def by_weights(values, p):
    z, powers, y = of(values, p)
    w = powers / powers.sum()
    return np.concatenate([w * y / z, [y / p**2 * (w * np.log(len(z) * w)).sum()]])


def by_plain_python(values, p):
    largest = max(values)
    powers = [(z / largest) ** p for z in values]
    y = largest * (sum(powers) / len(values)) ** (1 / p)
    slopes = [part / sum(powers) * (log(z) - log(y)) for part, z in zip(powers, values, strict=True)]
    return [(z / y) ** (p - 1) / len(values) for z in values] + [y / p * sum(slopes)]


def slope(local):
    """Right for the cells, and `local` for the exponent."""

    def wrong(values, p):
        z, powers, y = of(values, p)
        return [*(z / y) ** (p - 1) / len(z), local(z, p, powers / powers.sum(), y)]

    return wrong


def cells(local):
    """`local` for the cells, and right for the exponent."""

    def wrong(values, p):
        z, powers, y = of(values, p)
        return [*local(z, p, powers / powers.sum(), y), by_weights(values, p)[-1]]

    return wrong


GRADIENT = {
    "weights": (cells(lambda z, p, w, y: w), "this is the cell's weight"),
    "the power p": (cells(lambda z, p, w, y: (z / y) ** p / len(z)), "this is the cell's weight"),
    "no N": (cells(lambda z, p, w, y: (z / y) ** (p - 1)), "divide the derivative for a cell"),
    "no root": (cells(lambda z, p, w, y: z ** (p - 1) / len(z)), "and not z"),
    "the powers' derivative": (cells(lambda z, p, w, y: p * z ** (p - 1) / len(z)), "and not z"),
    "p left over": (cells(lambda z, p, w, y: p * (z / y) ** (p - 1) / len(z)), "cancel"),
    "1/p left over": (cells(lambda z, p, w, y: (z / y) ** (p - 1) / len(z) / p), "cancel"),
    "upside down": (cells(lambda z, p, w, y: (y / z) ** (p - 1) / len(z)), "not the output by the cell"),
    "the largest cell": (cells(lambda z, p, w, y: (z / z.max()) ** (p - 1) / len(z)), "divide by the output"),
    "equal parts": (cells(lambda z, p, w, y: np.full(len(z), 1 / len(z))), "belong to the mean"),
    "p first": (lambda values, p: np.roll(by_weights(values, p), 1), "comes last"),
    "p alone": (lambda values, p: by_weights(values, p)[-1], None),
    "cells alone": (lambda values, p: by_weights(values, p)[:-1], None),
    "a pair": (lambda values, p: (by_weights(values, p)[:-1], by_weights(values, p)[-1]), None),
    "log y missing": (slope(lambda z, p, w, y: y / p * (w @ np.log(z))), "which brings − ln y"),
    "plain mean of logs": (slope(lambda z, p, w, y: y / p * (np.log(z).mean() - np.log(y))), "weighted by the powers"),
    "not normalised": (
        slope(lambda z, p, w, y: y / p * ((z**p * np.log(z)).sum() - np.log(y))),
        "divide the powers by their sum",
    ),
    "divided by N": (
        slope(lambda z, p, w, y: y / p * ((z**p * np.log(z)).mean() - np.log(y))),
        "divide the powers by their sum",
    ),
    "weights of z": (
        slope(lambda z, p, w, y: y / p * ((z / z.sum()) @ np.log(z) - np.log(y))),
        "the p-th powers over their sum",
    ),
    "weights of z^(p-1)": (
        slope(lambda z, p, w, y: y / p * (z ** (p - 1) @ np.log(z) / np.sum(z ** (p - 1)) - np.log(y))),
        "the p-th powers over their sum",
    ),
    "sign turned": (slope(lambda z, p, w, y: y / p * (np.log(y) - w @ np.log(z))), "sign is turned"),
    "of the logarithm": (slope(lambda z, p, w, y: (w @ np.log(z) - np.log(y)) / p), "Multiply it by y"),
    "no 1/p": (slope(lambda z, p, w, y: y * (w @ np.log(z) - np.log(y))), "factor 1 / p is missing"),
    "1/p²": (slope(lambda z, p, w, y: y / p**2 * (w @ np.log(z) - np.log(y))), "stands there once"),
    "powers only": (slope(lambda z, p, w, y: (z**p * np.log(z)).mean()), "moves the powers alone"),
    "chain rule for the powers only": (
        slope(lambda z, p, w, y: (1 / p) * (z**p).mean() ** (1 / p - 1) * (z**p * np.log(z)).mean()),
        "which brings − ln y",
    ),
    "root only": (slope(lambda z, p, w, y: -y / p**2 * np.log((z**p).mean())), "moves the root alone"),
    "sum for mean": (
        slope(lambda z, p, w, y: y / p * (w @ np.log(z) - np.log((z**p).sum()) / p)),
        "N is missing",
    ),
    "norm": (
        slope(lambda z, p, w, y: (z**p).sum() ** (1 / p) / p * (w @ np.log(z) - np.log((z**p).sum()) / p)),
        "N is missing",
    ),
    "base 2": (slope(lambda z, p, w, y: y / p * (w @ np.log2(z) - np.log2(y))), "natural one"),
    "base 10": (slope(lambda z, p, w, y: y / p * (w @ np.log10(z) - np.log10(y))), "natural one"),
    "by the cells": (slope(lambda z, p, w, y: ((z / y) ** (p - 1)).mean()), "is the one for z"),
    "the mean itself": (slope(lambda z, p, w, y: y), "the generalized mean itself"),
    "zero": (slope(lambda z, p, w, y: 0.0), "only where all numbers are equal"),
    "wide step": (
        lambda values, p: slope(lambda *_: of(values, p + 0.01)[2] / 0.01 - of(values, p)[2] / 0.01)(values, p),
        "the curve bends",
    ),
    "one step for two": (
        lambda values, p: slope(lambda *_: (of(values, p + 1e-6)[2] - of(values, p - 1e-6)[2]) / 1e-6)(values, p),
        "divide by 2h",
    ),
    "log of the mean": (slope(lambda z, p, w, y: y / p * (w @ np.log(z) - np.log(z.mean()))), None),
}

# --- lamp ------------------------------------------------------------------------------------------------------------

LAMP = {
    "the paper's 3": (3, "as large as the 399"),
    "the mean": (1, "as large as the 399"),
    "just too small": (4.3, "as large as the 399"),
    "leaves nothing": (5, "19 times the 390"),
    "the reflection": (6, "a ninth of 399"),
    "the maximum": (100, "a ninth of 399"),
    "too large": (1000, None),
    "infinite": (float("inf"), None),
    "not a number": (float("nan"), None),
    "negative": (-3, None),
    "words": ("large", None),
    "a pair": ((3, 4), None),
}

RIGHT = {
    "generalized-mean/forward": [gem_loop, gem_views, gem_scaled, gem_of_logs],
    "generalized-mean/log-mean-exp": [lse_views, lse_loop],
    "generalized-mean/gradient": [by_formula, by_weights, by_plain_python, differences],
    "generalized-mean/lamp": [4.5, 4.4, 4.7, np.float64(4.5)],
}
WRONG = {
    "generalized-mean/forward": FORWARD,
    "generalized-mean/log-mean-exp": LOG_MEAN_EXP,
    "generalized-mean/gradient": GRADIENT,
    "generalized-mean/lamp": LAMP,
}
