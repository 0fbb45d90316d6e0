"""Answers to the exercises of "SoftPool"."""

import math

import numpy as np

# --- forward ---------------------------------------------------------------------------------------------------------


def stable(w):
    return np.exp(w - w.max())


def soft_loop(x, k, s, *, weigh=stable, step=None, finish=lambda e, w: (e / e.sum() * w).sum()):
    """The right loop, and the places where it is easily got wrong."""
    step = step or s
    y = np.zeros([(n - k) // step + 1 for n in x.shape])
    for i, j in np.ndindex(y.shape):
        window = x[i * step : i * step + k, j * step : j * step + k]
        y[i, j] = finish(weigh(window), window)
    return y


def soft_views(x, k, s):
    view = np.lib.stride_tricks.sliding_window_view(x, (k, k))[::s, ::s]
    w = np.exp(view - view.max(axis=(2, 3), keepdims=True))
    return (w * view).sum(axis=(2, 3)) / w.sum(axis=(2, 3))


def soft_shifted_values(x, k, s):
    return soft_loop(x, k, s, finish=lambda e, w: w.max() + (e * (w - w.max())).sum() / e.sum())


def soft_log_domain(x, k, s):
    return soft_loop(x, k, s, weigh=lambda w: np.exp(w - np.logaddexp.reduce(w.ravel())), finish=lambda e, w: e @ w)


def naive(w):
    return (np.exp(w) * w).sum() / np.exp(w).sum()


def naive_or(x, k, s, value):
    return soft_loop(x, k, s, finish=lambda e, w: value(w) if np.isnan(naive(w)) else naive(w))


def minus_map(x, k, s, statistic=np.max):
    top = statistic(x)
    return soft_loop(x, k, s, weigh=lambda w: np.exp(w - top))


def over_the_map(x, k, s):
    e = np.exp(x - x.max())
    return soft_loop(e / e.sum() * x, k, s, finish=lambda e, w: w.sum())


FORWARD = {
    "clipped to ±700": (lambda *a: soft_loop(*a, weigh=lambda w: np.exp(np.clip(w, -700, 700))), "Clipping"),
    "at most 700": (lambda *a: soft_loop(*a, weigh=lambda w: np.exp(np.minimum(w, 700))), "Clipping"),
    "at most 709": (lambda *a: soft_loop(*a, weigh=lambda w: np.exp(np.minimum(w, 709))), "Clipping"),
    "nan_to_num": (lambda *a: soft_loop(*a, weigh=lambda w: np.nan_to_num(np.exp(w), posinf=1e300)), "Clipping"),
    "NaN replaced by the maximum": (lambda *a: naive_or(*a, np.max), "not simply the maximum"),
    "NaN replaced by the mean": (lambda *a: naive_or(*a, np.mean), "not simply the maximum"),
    "long doubles": (
        lambda *a: soft_loop(*a, finish=lambda e, w: float(naive(w.astype(np.longdouble)))),
        "A longer float",
    ),
    "one maximum for the map": (minus_map, "One maximum for the whole map"),
    "the window's mean": (lambda *a: soft_loop(*a, weigh=lambda w: np.exp(w - w.mean())), "not its mean"),
    "the window's minimum": (lambda *a: soft_loop(*a, weigh=lambda w: np.exp(w - w.min())), "With the minimum"),
    "minus 1000": (lambda *a: soft_loop(*a, weigh=lambda w: np.exp(w - 1000)), "A fixed number"),
    "divided by 1000": (lambda *a: soft_loop(*a, weigh=lambda w: np.exp(w / 1000)), "Dividing changes the weights"),
    "the maximum, if it is large": (
        lambda *a: soft_loop(*a, finish=lambda e, w: w.max() if w.max() > 700 else naive(w)),
        "not simply the maximum",
    ),
    "maximum of each column": (lambda *a: soft_loop(*a, weigh=lambda w: np.exp(w - w.max(axis=0))), "rows or columns"),
    "sum of each column": (
        lambda *a: soft_loop(*a, finish=lambda e, w: (e / e.sum(axis=0) * w).sum()),
        "rows or columns",
    ),
    "powers of 2": (lambda *a: soft_loop(*a, weigh=lambda w: 2 ** (w - w.max())), "powers of e"),
    "divided by the maximum": (lambda *a: soft_loop(*a, weigh=lambda w: np.exp(w / w.max())), "Dividing changes"),
    "sign turned": (lambda *a: soft_loop(*a, weigh=lambda w: np.exp(w.min() - w)), "The sign is turned"),
    "unchanged in other words": (lambda *a: soft_loop(*a, weigh=np.exp), "what it gave before"),
    "whole map": (over_the_map, "not over the whole map"),
    "shifted values": (
        lambda *a: soft_loop(*a, finish=lambda e, w: (e / e.sum() * (w - w.max())).sum()),
        "The values are x itself",
    ),
    "not normalised": (lambda *a: soft_loop(*a, finish=lambda e, w: (e * w).sum()), "divided by the sum"),
    "mean": (lambda *a: soft_loop(*a, weigh=np.ones_like), "this is the mean"),
    "maximum": (lambda *a: soft_loop(*a, finish=lambda e, w: w.max()), "this is max pooling"),
    "log-mean-exp": (lambda *a: soft_loop(*a, finish=lambda e, w: w.max() + np.log(e.mean())), "log-mean-exp"),
    "log-sum-exp": (lambda *a: soft_loop(*a, finish=lambda e, w: w.max() + np.log(e.sum())), "log-sum-exp"),
    "divided twice": (lambda x, k, s: soft_loop(x, k, s) / k**2, "divided by the number of cells again"),
    "weights only": (lambda *a: soft_loop(*a, finish=lambda e, w: (e / e.sum()).sum()), "the weights' sums"),
    "weights of |x|": (lambda *a: soft_loop(*a, weigh=lambda w: np.exp(abs(w) - abs(w).max())), "exponentials of the"),
    "moves by the kernel": (lambda x, k, s: soft_loop(x, k, s, step=k), "not by `kernel_size`"),
    "moves by 1": (lambda x, k, s: soft_loop(x, k, s, step=1), "not by 1"),
    "row by row": (
        lambda *a: soft_loop(*a, finish=lambda e, w: (stable_rows(w) * w).sum(axis=1).mean()),
        "not over each of its rows",
    ),
    "single precision": (lambda x, k, s: soft_loop(x.astype(np.float16).astype(float), k, s), None),
}


def stable_rows(w):
    e = np.exp(w - w.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


# --- backward --------------------------------------------------------------------------------------------------------


def soft_back(g, x, k, s, *, local=lambda w, x, y: w * (1 + x - y), add=True, ones=False):
    gradient = np.zeros(x.shape)
    for i, j in np.ndindex(g.shape):
        part = np.s_[i * s : i * s + k, j * s : j * s + k]
        w = stable(x[part]) / stable(x[part]).sum()
        new = (1 if ones else g[i, j]) * local(w, x[part], (w * x[part]).sum())
        gradient[part] = new + (gradient[part] if add else 0)
    return gradient


def soft_back_by_differences(g, x, k, s, h=1e-5):
    gradient = np.zeros(x.shape)
    for cell in np.ndindex(x.shape):
        step = np.zeros(x.shape)
        step[cell] = h
        gradient[cell] = (g * (soft_loop(x + step, k, s) - soft_loop(x - step, k, s))).sum() / (2 * h)
    return gradient


def soft_back_by_jacobian(g, x, k, s):
    gradient = np.zeros(x.shape)
    for i, j in np.ndindex(g.shape):
        window = x[i * s : i * s + k, j * s : j * s + k].ravel()
        w = stable(window) / stable(window).sum()
        jacobian = np.diag(w) - np.outer(w, w)
        gradient[i * s : i * s + k, j * s : j * s + k] += (g[i, j] * (w + jacobian @ window)).reshape(k, k)
    return gradient


BACKWARD = {
    "weights over their maximum": ({1: "e.max()"}, "divided by their sum"),
    "weights over their number": ({1: "e.size"}, "divided by their sum"),
    "weights over the sum of x": ({1: "window.sum()"}, "divided by their sum"),
    "weights over the other sum": ({1: "np.exp(window).sum()"}, "divided by their sum"),
    "no 1": ({2: "window"}, "w·(x − y) is only the part through the weights"),
    "w(1 − y)": ({2: "1"}, "The x is missing"),
    "w(w − y)": ({2: "w"}, "The x is missing"),
    "w(2 + x − y)": ({2: "2 + window"}, "the share of the value itself"),
    "w(1 − x − y)": ({2: "1 - window"}, "a cell above y pulls y up"),
    "w(1 + e − y)": ({2: "1 + e"}, "the cell's own value"),
    "w(1 + max − y)": ({2: "1 + window.max()"}, "the cell's own value"),
    "overwritten": ({3: "0"}, "do not overwrite"),
    "the whole gradient": ({3: "gradient"}, "this window's part"),
    "x added": ({3: "window"}, "this window's part"),
    "the map's cells added": ({3: "x[rows, columns]"}, "this window's part"),
    "w": (lambda *a: soft_back(*a, local=lambda w, x, y: w), "takes them as fixed"),
    "w(1 + x)": (lambda *a: soft_back(*a, local=lambda w, x, y: w * (1 + x)), "− y is missing"),
    "w(1 − x + y)": (lambda *a: soft_back(*a, local=lambda w, x, y: w * (1 - x + y)), "a cell above y pulls y up"),
    "w(1 − w)": (lambda *a: soft_back(*a, local=lambda w, x, y: w * (1 - w)), "the softmax's diagonal"),
    "w·x": (lambda *a: soft_back(*a, local=lambda w, x, y: w * x), "a part of the output"),
    "1 + x − y": (lambda *a: soft_back(*a, local=lambda w, x, y: 1 + x - y), "The factor w is missing"),
    "ones": (lambda *a: soft_back(*a, ones=True), "Multiply by `grad_output`"),
    "moves by 1": (lambda g, x, k, s: soft_back(g, x, k, 1), "begins at row i·stride"),
    "exponentials for weights": (
        lambda *a: soft_back(*a, local=lambda w, x, y: np.exp(x) * (1 + x - y)),
        "The factor is the weight",
    ),
    "mean": (lambda *a: soft_back(*a, local=lambda w, x, y: np.full(x.shape, 1 / x.size)), "backward of the mean"),
    "maximum": (
        lambda *a: soft_back(*a, local=lambda w, x, y: np.eye(1, x.size, x.argmax()).reshape(x.shape)),
        "backward of the maximum",
    ),
    "all zeros": (lambda g, x, k, s: np.zeros(x.shape), "All zeros"),
    "the output": (lambda g, x, k, s: soft_loop(x, k, s), None),
}

# --- temperature -----------------------------------------------------------------------------------------------------


def beta_plain(values, beta, *, weigh=None, limits=True):
    """The right function, and other weights where the exponent is finite, or everywhere."""
    x = np.array(values)
    if limits and np.isinf(beta):
        return x.max() if beta > 0 else x.min()
    e = np.exp(beta * (x - (x.max() if beta > 0 else x.min()))) if weigh is None else weigh(x, beta)
    return (e / e.sum() * x).sum()


def beta_loop(values, beta):
    best = max(values) if beta > 0 else min(values)
    if beta == math.inf or beta == -math.inf:
        return best
    weights = [math.exp(beta * (v - best)) for v in values]
    return math.fsum(w * v for w, v in zip(weights, values, strict=True)) / math.fsum(weights)


def beta_half_by_half(values, beta):
    if beta < 0:
        return -beta_half_by_half([-v for v in values], -beta)
    if math.isinf(beta):
        return max(values)
    shifted = np.array(values) - max(values)
    return max(values) + np.average(shifted, weights=np.exp(beta * shifted))


def exp_shifted(x, beta):
    return np.exp(beta * x - np.max(beta * x))


TEMPERATURE = {
    "divides": (
        lambda v, b: beta_plain(v, b, weigh=lambda x, b: exp_shifted(x, 1 / b)) if b else max(v),
        "This divides by it",
    ),
    "divides, temperature": (
        lambda v, b: beta_plain(v, b, weigh=lambda x, b: exp_shifted(x / b, 1)),
        "This divides by it",
    ),
    "the values too": (lambda v, b: beta_plain(v, b) * (b if math.isfinite(b) else 1), "the values stay x"),
    "left out": (lambda v, b: beta_plain(v, 1.0), "beta is not used"),
    "left out but at inf": (lambda v, b: beta_plain(v, b, weigh=lambda x, b: exp_shifted(x, 1)), "beta is not used"),
    "naive": (lambda v, b: beta_plain(v, b, weigh=lambda x, b: np.exp(b * x)), "exp(800) is infinite"),
    "naive, no limits": (
        lambda v, b: beta_plain(v, b, weigh=lambda x, b: np.exp(b * x), limits=False),
        "exp(800) is infinite",
    ),
    "subtracts β·max": (
        lambda v, b: beta_plain(v, b, weigh=lambda x, b: np.exp(b * (x - x.max()))),
        "With a negative beta",
    ),
    "subtracts max x": (
        lambda v, b: beta_plain(v, b, weigh=lambda x, b: np.exp(b * x - x.max())),
        "from what is exponentiated",
    ),
    "no limits": (lambda v, b: beta_plain(v, b, weigh=exp_shifted, limits=False), "inf · 0 is NaN"),
    "β·x overflows": (lambda v, b: beta_plain(v, b, weigh=exp_shifted), "inf − inf is NaN"),
    "|β| > 50 is infinite": (
        lambda v, b: (max(v) if b > 0 else min(v)) if abs(b) > 50 else beta_plain(v, b),
        "A large beta is not an infinite one",
    ),
    "clipped β": (lambda v, b: beta_plain(v, max(-100.0, min(100.0, b))), "A large beta is not an infinite one"),
    "clipped exponents": (
        lambda v, b: beta_plain(v, b, weigh=lambda x, b: np.exp(np.clip(b * x, -700, 700))),
        "Clipping treats",
    ),
    "NaN replaced by the maximum": (
        lambda v, b: (lambda y: max(v) if np.isnan(y) else y)(
            beta_plain(v, b, weigh=lambda x, b: np.exp(b * x), limits=False)
        ),
        "Where the formula gives NaN",
    ),
    "x to the power of β": (
        lambda v, b: beta_plain(v, b, weigh=lambda x, b: abs(x) ** b),
        "raises x itself to a power",
    ),
    "maximum at −inf": (lambda v, b: max(v) if math.isinf(b) else beta_plain(v, b), "At −inf all weight"),
    "limits swapped": (
        lambda v, b: beta_plain(v, -b) if math.isinf(b) else beta_plain(v, b),
        "Here it is the other way round",
    ),
    "inf at inf": (lambda v, b: b if math.isinf(b) else beta_plain(v, b), "makes no infinite answer"),
    "|β|": (lambda v, b: beta_plain(v, abs(b)), "The sign counts"),
    "−β": (lambda v, b: beta_plain(v, -b), "a positive beta prefers large values"),
    "sum at 0": (lambda v, b: sum(v) if b == 0 else beta_plain(v, b), "the answer is the mean"),
    "0 at 0": (lambda v, b: 0.0 if b == 0 else beta_plain(v, b), "the answer is the mean"),
    "maximum": (lambda v, b: max(v), "whatever beta"),
    "mean": (lambda v, b: sum(v) / len(v), "whatever beta"),
    "the weights": (
        lambda v, b: exp_shifted(np.array(v), b) / exp_shifted(np.array(v), b).sum(),
        "These are the weights",
    ),
    "a list of one": (lambda v, b: [beta_plain(v, b)], None),
}

# --- inputs-that-tell ------------------------------------------------------------------------------------------------

INPUTS_THAT_TELL = {
    "one plain window": ([[0, 1]], "A gives NaN"),
    "equal cells": ([[2, 2, 2]], "A gives NaN"),
    "one large number": ([[1000, 0]], "Which two different numbers does it treat alike"),
    "large numbers": ([[1000, 1001]], "Try values that lie far apart"),
    "large, equal": ([[1000, 1000], [0, 1]], "Which two different numbers does it treat alike"),
    "far apart": ([[1000, 1001, 0]], "without a negative number"),
    "with a negative one": ([[1000, 1001, -1]], "without a negative number"),
    "with a large negative one": ([[1000, 1001, -1001]], "rounds values to 24 bits"),
    "all equal pairs": ([[1e9, 1e9], [-5, -5]], "treat alike"),
    "close together": ([[16777217, 16777216, -1000]], "without a negative number"),
    "four windows": (
        [[1000, 1001], [1000, -1001], [0, 1], [16777217, 16777216]],
        "One window can catch several",
    ),
    "many numbers": ([[1000, 1001, -1001, 16777217, 16777216]], "One window can catch several"),
    "not finite": ([[math.inf, 1]], None),
    "empty": ([[]], None),
    "one list": ([1000, 1001], None),
    "words": ([["a", "b"]], None),
}

RIGHT = {
    "softpool/forward": [soft_loop, soft_views, soft_shifted_values],
    "softpool/backward": [soft_back, soft_back_by_differences, soft_back_by_jacobian],
    "softpool/temperature": [beta_plain, beta_loop, beta_half_by_half],
    "softpool/inputs-that-tell": [
        [[1000, 1001, -1001], [1e8 + 1, 1e8]],
        [[-16777217, -16777216], np.array([800.0, 800.5, -900.0, 3.0])],
    ],
}
WRONG = {
    "softpool/forward": FORWARD,
    "softpool/backward": BACKWARD,
    "softpool/temperature": TEMPERATURE,
    "softpool/inputs-that-tell": INPUTS_THAT_TELL,
}
