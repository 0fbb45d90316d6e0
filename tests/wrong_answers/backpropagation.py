"""Answers to the exercises of "Backpropagation" that students may write: right ones, and wrong ones with their idea."""

import itertools

import numpy as np

from poolref.numpy import max_pool, max_pool_backward
from poolref.regions import Window

# --- spread ----------------------------------------------------------------------------------------------------------


def spread_loop(g, x, k, s, *, add=True, share=None, step=None, width=None, ones=False):
    """The right loop, and the places where it is easily got wrong."""
    gradient = np.zeros(x.shape)
    for i, j in np.ndindex(g.shape):
        top, left = i * (step or s), j * (step or s)
        part = (1 if ones else g[i, j]) * (1 / k**2 if share is None else share(k))
        window = np.s_[top : top + (width or k), left : left + (width or k)]
        gradient[window] = gradient[window] + part if add else part
    return gradient


def spread_cells(g, x, k, s):
    gradient = np.zeros_like(x)
    for (i, j), a, b in itertools.product(np.ndindex(g.shape), range(k), range(k)):
        gradient[i * s + a, j * s + b] += g[i, j] / (k * k)
    return gradient


def spread_taps(g, x, k, s):
    gradient = np.zeros(x.shape)
    h, w = g.shape
    for a, b in itertools.product(range(k), range(k)):
        gradient[a : a + s * h : s, b : b + s * w : s] += g / k**2
    return gradient


def spread_counted(g, x, k, s):
    counts = spread_loop(np.ones_like(g), x, k, s, share=lambda k: 1)
    return spread_loop(g, x, k, s) / np.maximum(counts, 1)


SPREAD = {
    "unchanged": (lambda *a: spread_loop(*a, add=False), "before the change"),
    "sum": (lambda *a: spread_loop(*a, share=lambda k: 1), "backward of the sum"),
    "divides by k": (lambda *a: spread_loop(*a, share=lambda k: 1 / k), "kernel_size² cells"),
    "moves by 1": (lambda *a: spread_loop(*a, step=1), "begins at row i·stride"),
    "stride for width": (lambda g, x, k, s: spread_loop(g, x, k, s, width=s), "This takes `stride` of them"),
    "one more": (lambda g, x, k, s: spread_loop(g, x, k, s, width=k + 1), "This takes one more"),
    "averages": (spread_counted, "added, not averaged"),
    "negative": (lambda *a: -spread_loop(*a), None),
    "ones": (lambda *a: spread_loop(*a, ones=True), "Multiply by `grad_output`"),
    "router": (lambda g, x, k, s: max_pool_backward(g, x, Window(k, s)), "This is the router"),
    "times the value": (lambda g, x, k, s: spread_loop(g, x, k, s) * x, "does not depend on the values"),
    "zeros": (lambda g, x, k, s: np.zeros(x.shape), "All zeros"),
    "as it came": (lambda g, x, k, s: g, "shape of x"),
    "nothing": (lambda g, x, k, s: None, None),
}

# --- quotient --------------------------------------------------------------------------------------------------------


def quotient_loop(g, x, k, s, step, *, up=1, down=1, over=2, weight=None):
    result = np.empty(x.shape)
    for cell in np.ndindex(x.shape):
        high, low = x.copy(), x.copy()
        high[cell] += up * step
        low[cell] -= down * step
        rise = max_pool(high, Window(k, s)) - max_pool(low, Window(k, s))
        result[cell] = ((g if weight is None else weight) * rise).sum() / (over * step)
    return result


def quotient_of_losses(g, x, k, s, step):
    def loss(x):
        return np.vdot(g, max_pool(x, Window(k, s)))

    cells = np.eye(x.size).reshape(-1, *x.shape)
    return np.array([(loss(x + step * e) - loss(x - step * e)) / step / 2 for e in cells]).reshape(x.shape)


QUOTIENT = {
    "nudged by 1": ({1: "1"}, "nudged by `step`"),
    "nudged by two steps": ({1: "2 * step"}, "nudged by `step`"),
    "nudged by half": ({1: "step / 2"}, "nudged by `step`"),
    "raised twice": ({2: "x + nudge"}, "no difference"),
    "not lowered": ({2: "x"}, "one-sided"),
    "one-sided": ({2: "x", 4: "step"}, "one-sided"),
    "turned round": ({2: "nudge - x"}, "lowered by subtracting"),
    "nothing arrives": ({3: "1"}, "what arrives at it"),
    "the map arrives": ({3: "x"}, "what arrives at it"),
    "one step": ({4: "step"}, "two steps"),
    "2": ({4: "2"}, "two steps"),
    "squared": ({4: "step**2"}, "not by its square"),
    "derivative": (lambda g, x, k, s, step: max_pool_backward(g, x, Window(k, s)), "Asked for is the measurement"),
    "other sign": (lambda *a: -quotient_loop(*a), "the other sign"),
    "to the left": (lambda *a: quotient_loop(*a, up=0, over=1), "to the other side"),
}

# --- chain -----------------------------------------------------------------------------------------------------------


def chain_loop(g, z, k, s, *, find=np.argmax, order="C", add=True, ones=False, mask=lambda v: v > 0, step=None):
    gradient = np.zeros(z.shape)
    for i, j in np.ndindex(g.shape):
        top, left = i * (step or s), j * (step or s)
        window = np.maximum(z[top : top + k, left : left + k], 0)
        a, b = np.unravel_index(find(window.ravel(order=order)), window.shape, order=order)
        part = 1 if ones else g[i, j]
        gradient[top + a, left + b] = gradient[top + a, left + b] + part if add else part
    return gradient * mask(z)


def chain_pool_first(g, z, k, s):
    """ReLU after the pooling gives the same, and so does its backward."""
    y = max_pool(z, Window(k, s))
    return max_pool_backward(g * (y > 0), z, Window(k, s))


def chain_search(g, z, k, s):
    gradient = np.zeros_like(z)
    for i, j in np.ndindex(g.shape):
        best, where = 0, None
        for a, b in itertools.product(range(i * s, i * s + k), range(j * s, j * s + k)):
            if z[a, b] > best:
                best, where = z[a, b], (a, b)
        if where:
            gradient[where] += g[i, j]
    return gradient


def last_argmax(values):
    return len(values) - 1 - np.argmax(values[::-1])


def chain_spread(g, z, k, s, share):
    gradient = np.zeros(z.shape)
    for i, j in np.ndindex(g.shape):
        window = np.s_[i * s : i * s + k, j * s : j * s + k]
        gradient[window] += share(g[i, j], z[window])
    return gradient


def tied(g, w, split):
    equal = (w == w.max()) & (w > 0)
    return g * equal / (max(equal.sum(), 1) if split else 1)


CHAIN = {
    "no ReLU": (lambda g, z, k, s: max_pool_backward(g, z, Window(k, s)), "ReLU stops"),
    "no mask": (lambda *a: chain_loop(*a, mask=lambda z: 1), "ReLU stops"),
    "passes at 0": (lambda g, z, k, s: max_pool_backward(g, z, Window(k, s)) * (z >= 0), "where z is 0"),
    "all above zero": (lambda *a: chain_spread(*a, lambda g, w: g * (w > 0)), "only the winner does"),
    "mean": (lambda *a: chain_spread(*a, lambda g, w: g / w.size * (w > 0)), "shares like a mean"),
    "every tie": (lambda *a: chain_spread(*a, lambda g, w: tied(g, w, False)), "not each of them"),
    "split": (lambda *a: chain_spread(*a, lambda g, w: tied(g, w, True)), "not split"),
    "last tie": (lambda *a: chain_loop(*a, find=last_argmax), "not the last"),
    "column by column": (lambda *a: chain_loop(*a, order="F"), "not column by column"),
    "overwrites": (lambda *a: chain_loop(*a, add=False), "does not overwrite"),
    "ones": (lambda *a: chain_loop(*a, ones=True), "Multiply by `grad_output`"),
    "moves by 1": (lambda *a: chain_loop(*a, step=1), "begins at row i·stride"),
    "times the value": (lambda g, z, k, s: chain_loop(g, z, k, s) * z, "not multiplied by the value"),
    "ReLU of the gradient": (
        lambda g, z, k, s: np.maximum(max_pool_backward(g, z, Window(k, s)), 0),
        None,
    ),
    "the others": (lambda g, z, k, s: max_pool_backward(g, z, Window(k, s)) * (z <= 0), "lets the others pass"),
    "smallest": (lambda g, z, k, s: max_pool_backward(g, -z, Window(k, s)) * (z > 0), "smallest cell"),
    "largest size": (lambda g, z, k, s: max_pool_backward(g, abs(z), Window(k, s)) * (z > 0), "not their sizes"),
    "zeros": (lambda g, z, k, s: z * 0, "All zeros"),
    "as it came": (lambda g, z, k, s: g, "shape of x"),
}

# --- map -------------------------------------------------------------------------------------------------------------

DIAGONAL = -np.arange(10, 35).reshape(5, 5)
DIAGONAL[[2, 1, 3], [2, 3, 1]] = -5, -4, -3
GOOD = [[-9, -5, -8, -7], [-2, -6, -4, -1], [5, 9, 1, 3]]
MAP = {
    "ties": (([[0, 0], [0, 0]], 2, 2, 0.1), "Two cells of one window are equal"),
    "a step across a kink": ((GOOD, 2, 1, 3), "Two cells of one window are equal"),
    "a step too short": ((GOOD, 2, 1, 1e-17), "leaves the difference of the losses no digits"),
    "side by side": (([[-1, -2, 5, 4], [-3, -4, 1, 2]], 2, 2, 0.1), "win two windows"),
    "positive": (([[1, 2, 3], [4, 9, 5], [6, 7, 8]], 2, 1, 0.1), "All winners are above zero"),
    "on the diagonal": ((DIAGONAL, 3, 2, 0.1), "beside the diagonal"),
    "one output": (([[1, 2], [3, 5]], 2, 2, 0.1), "win two windows"),
    "windows of one cell": (([[-1, 2], [3, 4]], 1, 1, 0.1), "win two windows"),
    "too large": ((np.arange(49).reshape(7, 7), 2, 1, 0.1), None),
    "no map": ((3, 2, 1, 0.1), None),
    "no step": ((GOOD, 2, 1, 0), None),
    "three parts": ((GOOD, 2, 1), None),
    "window too large": ((GOOD, 5, 1, 0.1), None),
}

RIGHT = {
    "backpropagation/spread": [spread_loop, spread_cells, spread_taps],
    "backpropagation/quotient": [quotient_loop, quotient_of_losses],
    "backpropagation/chain": [chain_loop, chain_pool_first, chain_search],
    "backpropagation/map": [
        (GOOD, 2, 1, 1e-4),
        [np.array(GOOD, float), 2, 1, 0.4],
        ([[-9, -5, -8], [-6, -7, -2], [4, 8, 1]], 2, 1, 0.01),
    ],
}
WRONG = {
    "backpropagation/spread": SPREAD,
    "backpropagation/quotient": QUOTIENT,
    "backpropagation/chain": CHAIN,
    "backpropagation/map": MAP,
}
