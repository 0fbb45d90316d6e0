"""Answers to the exercises of "Average pooling"."""

import itertools

import numpy as np

# --- forward ---------------------------------------------------------------------------------------------------------


def mean_loop(x, k, s, p, *, divide=None, step=None, reach=None, count=None, origin=True):
    """The right loop over the map itself, and the places where it is easily got wrong."""
    rows, columns = ((count or (lambda n: (n + 2 * p - k) // s + 1))(n) for n in x.shape)
    y = np.zeros((max(rows, 0), max(columns, 0)))
    for i, j in np.ndindex(y.shape):
        top, left = (n * (step or s) - (p if origin else 0) for n in (i, j))
        window = x[max(top, 0) : top + (reach or k), max(left, 0) : left + (reach or k)]
        y[i, j] = window.sum() / (divide(window) if divide else max(window.size, 1))
    return y


def mean_by_counts(x, k, s, p):
    view = lambda a: np.lib.stride_tricks.sliding_window_view(np.pad(a, p), (k, k))[::s, ::s].sum((2, 3))  # noqa: E731
    return view(x) / view(np.ones(x.shape))


def mean_of_lists(x, k, s, p):
    rows, columns = ((n + 2 * p - k) // s + 1 for n in x.shape)
    y = []
    for i, j in itertools.product(range(rows), range(columns)):
        cells = [
            x[r, c]
            for r in range(i * s - p, i * s - p + k)
            for c in range(j * s - p, j * s - p + k)
            if 0 <= r < x.shape[0] and 0 <= c < x.shape[1]
        ]
        y.append(sum(cells) / len(cells))
    return np.reshape(y, (rows, columns)).tolist()


def padded_with(mode, **how):
    return lambda x, k, s, p: mean_loop(np.pad(x, p, mode=mode, **how), k, s, 0)


FORWARD = {
    "padding counted": (lambda x, k, s, p: mean_loop(x, k, s, p, divide=lambda w: k * k), "before the change"),
    "nonzero counted": (
        lambda x, k, s, p: mean_loop(x, k, s, p, divide=lambda w: max(1, np.count_nonzero(w))),
        "not values other than 0",
    ),
    "one divisor for all": (
        lambda x, k, s, p: mean_loop(x, k, s, p, divide=lambda w: (k - p) ** 2),
        "Count the cells of each window",
    ),
    "rows only": (lambda x, k, s, p: mean_loop(x, k, s, p, divide=lambda w: k), "divide by rows × columns"),
    "sum": (lambda x, k, s, p: mean_loop(x, k, s, p, divide=lambda w: 1), "This is the sum"),
    "edge repeated": (padded_with("edge"), "Padding repeats no cells"),
    "magnitudes": (lambda x, k, s, p: mean_loop(abs(x), k, s, p), "with their sign"),
    "moves by 1": (lambda x, k, s, p: mean_loop(x, k, s, p, step=1), "begins at row i·stride"),
    "stride cells": (lambda x, k, s, p: mean_loop(x, k, s, p, divide=lambda w: s * s), None),
    "counted before padding": (
        lambda x, k, s, p: mean_loop(x, k, s, p, count=lambda n: (n - k) // s + 1),
        "count them on the padded map",
    ),
    "last window missing": (
        lambda x, k, s, p: mean_loop(x, k, s, p, count=lambda n: (n + 2 * p - k) // s),
        "The last window is missing",
    ),
    "moves by the kernel": (lambda x, k, s, p: mean_loop(x, k, k, p), "not by `kernel_size`"),
    "transposed": (lambda x, k, s, p: mean_loop(x, k, s, p).T, "swapped"),
    "largest": (
        lambda x, k, s, p: np.lib.stride_tricks.sliding_window_view(np.pad(x, p, constant_values=-np.inf), (k, k))[
            ::s, ::s
        ].max((2, 3)),
        "This is the maximum",
    ),
    "all zeros": (lambda x, k, s, p: mean_loop(x, k, s, p) * 0, None),
    "rounded": (lambda x, k, s, p: np.round(mean_loop(x, k, s, p)), None),
}

# --- norms -----------------------------------------------------------------------------------------------------------


def norm_loop(x, k, s, p, root=None, reduce=np.sum):
    y = np.zeros([(n - k) // s + 1 for n in x.shape])
    for i, j in np.ndindex(y.shape):
        y[i, j] = reduce(abs(x[i * s : i * s + k, j * s : j * s + k]) ** p) ** (root or 1 / p)
    return y


def norm_of_numpy(x, k, s, p):
    windows = np.lib.stride_tricks.sliding_window_view(x, (k, k))[::s, ::s]
    return np.linalg.norm(windows.reshape(*windows.shape[:2], -1), ord=p, axis=-1)


NORM = {
    "sign kept": ({1: "window"}, "left as it is subtracts"),
    "clipped": ({1: "0"}, "not as 0"),
    "power twice": ({1: "window**p"}, "The magnitude of −3 is 3"),
    "one": ({1: "1"}, "The magnitude of −3 is 3"),
    "no root": ({2: "1"}, "After the sum comes the p-th root"),
    "power again": ({2: "p"}, "After the sum comes the p-th root"),
    "square root": ({2: "1 / 2"}, "The square root belongs to p = 2"),
    "whole division": ({2: "1 // p"}, "`//` divides whole numbers"),
    "inverse root": ({2: "-1 / p"}, "one over the root"),
    "root of the kernel": ({2: "1 / kernel_size"}, "does not depend on the window's size"),
    "mean of powers": (lambda x, k, s, p: norm_loop(x, k, s, p, reduce=np.mean), "generalized mean"),
    "largest": (lambda x, k, s, p: norm_loop(x, k, s, 1, reduce=np.max), "largest magnitude"),
    "moves by the kernel": (lambda x, k, s, p: norm_loop(x, k, k, p), "not by `kernel_size`"),
    "moves by 1": (lambda x, k, s, p: norm_loop(x, k, 1, p), "not by 1"),
    "all ones": (lambda x, k, s, p: norm_loop(x, k, s, p) * 0 + 1, None),
    "always L2": (lambda x, k, s, p: norm_loop(x, k, s, 2), None),
}

# --- backward --------------------------------------------------------------------------------------------------------


def spread_loop(g, x, k, s, p, *, share=None, add=True, origin=True, step=None, reach=None):
    """The right loop over the map itself, and the places where it is easily got wrong."""
    gradient = np.zeros(x.shape)
    for i, j in np.ndindex(g.shape):
        top, left = (n * (step or s) - (p if origin else 0) for n in (i, j))
        window = np.s_[max(top, 0) : top + (reach or k), max(left, 0) : left + (reach or k)]
        part = share(g[i, j], x[window]) if share else g[i, j] / max(x[window].size, 1)
        gradient[window] = gradient[window] + part if add else part
    return gradient


def spread_by_counts(g, x, k, s, p):
    counts = mean_loop(np.ones(x.shape), k, s, p, divide=lambda w: 1)
    padded = np.zeros([n + 2 * p for n in x.shape])
    for a, b in itertools.product(range(k), repeat=2):
        rows, columns = (slice(t, t + s * n, s) for t, n in zip((a, b), g.shape))
        padded[rows, columns] += g / counts
    return padded[p : p + x.shape[0], p : p + x.shape[1]]


def spread_by_cells(g, x, k, s, p):
    gradient = np.zeros(x.shape)
    for i, j in np.ndindex(g.shape):
        cells = [
            (r, c)
            for r in range(max(i * s - p, 0), min(i * s - p + k, x.shape[0]))
            for c in range(max(j * s - p, 0), min(j * s - p + k, x.shape[1]))
        ]
        for cell in cells:
            gradient[cell] += g[i, j] / len(cells)
    return gradient


def uncropped(g, x, k, s, p):
    gradient = np.zeros([n + 2 * p for n in x.shape])
    gradient[p : p + x.shape[0], p : p + x.shape[1]] = spread_loop(g, x, k, s, p)
    return gradient


BACKWARD = {
    "padding counted": (
        lambda g, x, k, s, p: spread_loop(g, x, k, s, p, share=lambda g, w: g / k**2),
        "not by kernel_size²",
    ),
    "sum": (lambda *a: spread_loop(*a, share=lambda g, w: g), "backward of the sum"),
    "largest": (
        lambda *a: spread_loop(*a, share=lambda g, w: g * (np.arange(w.size) == w.argmax()).reshape(w.shape)),
        "The mean shares among all",
    ),
    "times x": (lambda g, x, *a: spread_loop(g, x, *a) * x, "does not depend on what the cell holds"),
    "positive only": (lambda g, x, *a: spread_loop(g, x, *a) * (x > 0), "Only ReLU looks at the sign"),
    "overwrites": (lambda *a: spread_loop(*a, add=False), "do not overwrite"),
    "ones": (lambda g, *a: spread_loop(np.ones_like(g), *a), "Multiply by `grad_output`"),
    "as it came": (lambda g, x, *a: g, "has the shape of x"),
    "all zeros": (lambda g, x, *a: np.zeros(x.shape), "All zeros"),
    "rows only": (
        lambda g, x, k, s, p: spread_loop(g, x, k, s, p, share=lambda g, w: g / k),
        "not among its rows",
    ),
    "without padding": (lambda *a: spread_loop(*a, origin=False), "begins at row i·stride − padding"),
    "moves by 1": (lambda g, x, k, s, p: spread_loop(g, x, k, s, p, step=1), "begins at row i·stride"),
    "not cropped": (uncropped, "cut the padding off"),
    "cropped at one end": (
        lambda g, x, k, s, p: uncropped(g, x, k, s, p)[: x.shape[0], : x.shape[1]],
        "on each side",
    ),
    "last windows missing": (lambda g, *a: spread_loop(g[:-1, :-1], *a), "go through every output"),
    "divided by the windows": (
        lambda g, x, k, s, p: (
            spread_loop(g, x, k, s, p, share=lambda g, w: g)
            / np.maximum(spread_loop(np.ones_like(g), x, k, s, p, share=lambda g, w: g), 1)
        ),
        "before the windows are added up",
    ),
    "swapped": (
        lambda g, x, k, s, p: (
            spread_loop(g.T, x.T, k, s, p) if x.shape[0] != x.shape[1] else spread_loop(g.T, x, k, s, p)
        ),
        "swapped",
    ),
    "spoils grad_output": (lambda g, *a: (spread_loop(g, *a), g.fill(0))[0], None),
}

# --- signal ----------------------------------------------------------------------------------------------------------

SIGNAL = {
    "maximum": (("max", 12, 10), "The largest of many noisy values"),
    "minimum": (("min", 12, 10), "The largest of many noisy values"),
    "sum": (("sum", 12, 10), "A sum adds noise up"),
    "one cell": (("mean", 1, 10), "take a larger window"),
    "small window": (("mean", 4, 4), "take a larger window"),
    "nearly large enough": (("mean", 10, 10), "take a larger window"),
    "as long as the pulse": (("mean", 24, 12), "Some window has to lie in the pulse whole"),
    "side by side, too long": (("mean", 16, 16), "Some window has to lie in the pulse whole"),
    "large steps": (("mean", 12, 20), "Some window has to lie in the pulse whole"),
    "many numbers": (("mean", 12, 4), "a larger stride"),
    "stride 1": (("mean", 16, 1), "a larger stride"),
    "two numbers": ((12, 12), None),
    "no such reducer": (("median", 12, 12), None),
    "window too long": (("mean", 241, 1), None),
    "a word": ("mean", None),
    "stride 0": (("mean", 12, 0), None),
}

RIGHT = {
    "average-pooling/forward": [mean_loop, mean_by_counts, mean_of_lists],
    "average-pooling/norm": [norm_loop, norm_of_numpy],
    "average-pooling/backward": [spread_loop, spread_by_counts, spread_by_cells],
    "average-pooling/signal": [("mean", 12, 12), ("mean", 14, 10), ["mean", np.int64(13), 11]],
}
WRONG = {
    "average-pooling/forward": FORWARD,
    "average-pooling/norm": NORM,
    "average-pooling/backward": BACKWARD,
    "average-pooling/signal": SIGNAL,
}
