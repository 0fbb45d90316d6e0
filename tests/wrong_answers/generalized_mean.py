"""Answers to the exercises of "Generalized mean"."""

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
    "the mean cell": ({1: "window.mean()", 3: "window.mean()"}, "far above the mean"),
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

# --- slope of p ------------------------------------------------------------------------------------------------------


def of(values, p):
    z = np.array(values, dtype=float)
    powers = z**p
    return z, powers, powers.mean() ** (1 / p)


def slope_by_differences(values, p, h=1e-4):
    def y(q):
        z = np.array(values) / max(values)
        return max(values) * np.mean(z**q) ** (1 / q)

    # Richardson: the error of h² cancels
    near, far = ((y(p + w) - y(p - w)) / (2 * w) for w in (h, 2 * h))
    return (4 * near - far) / 3


def slope_by_formula(values, p):
    z, powers, y = of(values, p)
    n, total = len(z), powers.sum()
    return y / p**2 * (np.log(n / total) + p * (powers * np.log(z)).sum() / total)


def slope_by_unevenness(values, p):
    z, powers, y = of(values, p)
    w = powers / powers.sum()
    return y / p**2 * (w * np.log(len(z) * w)).sum()


def slope(local):
    def wrong(values, p):
        z, powers, y = of(values, p)
        return local(z, p, powers / powers.sum(), y)

    return wrong


SLOPE = {
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
    "weights of z": (slope(lambda z, p, w, y: y / p * ((z / z.sum()) @ np.log(z) - np.log(y))), "z^p, not z"),
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
    "zero": (lambda values, p: 0.0, "only where all numbers are equal"),
    "wide step": (lambda values, p: of(values, p + 0.01)[2] / 0.01 - of(values, p)[2] / 0.01, "the curve bends"),
    "one step for two": (
        lambda values, p: (of(values, p + 1e-6)[2] - of(values, p - 1e-6)[2]) / 1e-6,
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
    "generalized-mean/slope-of-p": [slope_by_formula, slope_by_unevenness, slope_by_differences],
    "generalized-mean/lamp": [4.5, 4.4, 4.7, np.float64(4.5)],
}
WRONG = {
    "generalized-mean/forward": FORWARD,
    "generalized-mean/log-mean-exp": LOG_MEAN_EXP,
    "generalized-mean/slope-of-p": SLOPE,
    "generalized-mean/lamp": LAMP,
}
