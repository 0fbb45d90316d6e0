"""The checks, checked: right answers of several styles pass, and every wrong one is caught with a small input."""

import itertools
import math
import threading
import time

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient

from poolref.teaching.exercises import EXERCISES, blank, check
from poolref.teaching.exercises.checking import complain, judge
from poolref.teaching.exercises.shrinking import shrink

# ----------------------------------------------------------------------- solutions as a reader would write them, right


def two_by_two_loop(x):
    y = []
    for i in range(0, len(x), 2):
        y.append([max(x[i, j], x[i, j + 1], x[i + 1, j], x[i + 1, j + 1]) for j in range(0, x.shape[1], 2)])
    return y


def two_by_two_reshape(x):
    height, width = x.shape
    return x.reshape(height // 2, 2, width // 2, 2).max(axis=(1, 3))


def any_reducer_loop(x, reducer):
    y = np.zeros((x.shape[0] // 2, x.shape[1] // 2))
    for i, j in np.ndindex(y.shape):
        y[i, j] = reducer(x[2 * i : 2 * i + 2, 2 * j : 2 * j + 2].ravel().tolist())
    return y


def dense_parameters_plain(channels, height, width, classes, kernel_size):
    inputs = channels * (height // kernel_size) * (width // kernel_size)
    return inputs * classes + classes


def cells_loop(i, n, k, s, p, d):
    return [c for c in range(i * s - p, i * s - p + d * (k - 1) + 1, d) if 0 <= c < n]


def cells_array(i, n, k, s, p, d):
    taps = i * s - p + d * np.arange(k)
    return taps[(taps >= 0) & (taps < n)]


def output_size_formula(n, k, s, p, d, ceil_mode):
    room = n + 2 * p - d * (k - 1) - 1
    if not ceil_mode:
        return room // s + 1
    size = math.ceil(room / s) + 1
    return size - 1 if (size - 1) * s >= n + p else size


def output_size_counted(n, k, s, p, d, ceil_mode):
    start, count = -p, 0
    while start + d * (k - 1) < n + p + (s - 1 if ceil_mode else 0) and not (ceil_mode and count and start >= n):
        start, count = start + s, count + 1
    return count


def receptive_field_forward(layers):
    field = jump = 1
    for k, s, d in layers:
        field += (k - 1) * d * jump
        jump *= s
    return field


def receptive_field_backward(layers):
    field = 1
    for k, s, d in reversed(layers):
        field = (field - 1) * s + d * (k - 1) + 1
    return field


def max_loop(x, k, s, p, *, fill=-np.inf, reduce=np.max, start=-np.inf, step=None, last=0, sides=2, square=None):
    """A plain loop, and the places where it is easily got wrong."""
    x = np.pad(x, (p, p if sides == 2 else 0), constant_values=fill)
    step = s if step is None else step
    y = np.zeros([max(0, (n - k) // step + 1 - last) for n in x.shape])
    for i, j in np.ndindex(y.shape):
        window = x[i * step : i * step + k, j * step : j * step + (square or k)]
        y[i, j] = max(start, reduce(window)) if np.isfinite(start) else reduce(window)
    return y


def max_strided(x, k, s, p):
    padded = np.pad(x, p, constant_values=-np.inf)
    return np.lib.stride_tricks.sliding_window_view(padded, (k, k))[::s, ::s].max(axis=(2, 3))


def max_list(x, k, s, p):
    return max_loop(x, k, s, p).tolist()


def indices_loop(x, k, s, *, find=np.argmax, whole=True, width=None, order="C"):
    y = np.zeros([(n - k) // s + 1 for n in x.shape], dtype=int)
    for i, j in np.ndindex(y.shape):
        window = x[i * s : i * s + k, j * s : j * s + k]
        row, column = np.unravel_index(find(window.ravel(order=order)), window.shape, order=order)
        row, column = (i * s + row, j * s + column) if whole else (row, column)
        y[i, j] = row * (width(x, k) if width else x.shape[1]) + column
    return y


def indices_number_cells(x, k, s):
    number = np.arange(x.size).reshape(x.shape)
    view = np.lib.stride_tricks.sliding_window_view
    values = view(x, (k, k))[::s, ::s].reshape(*indices_loop(x, k, s).shape, -1)
    numbers = view(number, (k, k))[::s, ::s].reshape(values.shape)
    return np.take_along_axis(numbers, values.argmax(-1)[..., None], -1)[..., 0]


def last_argmax(v):
    return len(v) - 1 - np.argmax(v[::-1])


def tie_loop(g, x, k, s, *, find=np.argmax, add=True, ones=False, keep=lambda x: True, order="C"):
    gradient = np.zeros(x.shape)
    for i, j in np.ndindex(g.shape):
        window = x[i * s : i * s + k, j * s : j * s + k]
        row, column = np.unravel_index(find(window.ravel(order=order)), window.shape, order=order)
        if keep(x[i * s + row, j * s + column]):
            value = 1 if ones else g[i, j]
            gradient[i * s + row, j * s + column] = value + (gradient[i * s + row, j * s + column] if add else 0)
    return gradient


def tie_search(g, x, k, s):
    gradient = np.zeros_like(x)
    for i, j in np.ndindex(g.shape):
        best = i * s, j * s
        for a, b in itertools.product(range(i * s, i * s + k), range(j * s, j * s + k)):
            if x[a, b] > x[best]:
                best = a, b
        gradient[best] += g[i, j]
    return gradient


def tied(g, x, k, s, split):
    gradient = np.zeros(x.shape)
    for i, j in np.ndindex(g.shape):
        part = np.s_[i * s : i * s + k, j * s : j * s + k]
        mask = x[part] == x[part].max()
        gradient[part] += mask * g[i, j] / (mask.sum() if split else 1)
    return gradient


def soft_loop(x, k, s, *, weigh=lambda w: np.exp(w - w.max()), step=None, finish=lambda w, x: (w * x).sum() / w.sum()):
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


def soft_map(x, k, s):
    w = np.exp(x - x.max())
    return soft_loop(x * w / w.sum(), k, s, weigh=np.ones_like, finish=lambda w, x: x.sum())


def soft_back(g, x, k, s, *, local=lambda w, x, y: w * (1 + x - y), add=True, ones=False):
    gradient = np.zeros(x.shape)
    for i, j in np.ndindex(g.shape):
        part = np.s_[i * s : i * s + k, j * s : j * s + k]
        w = np.exp(x[part] - x[part].max())
        w /= w.sum()
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


def beta_plain(values, beta, *, scale=1.0, limits=True, stable=True, use=lambda beta: beta):
    x, beta = np.array(values), use(beta)
    if limits and np.isinf(beta):
        return x.max() if beta > 0 else x.min()
    z = beta * x
    w = np.exp(z - z.max()) if stable else np.exp(z)
    return (w * x).sum() / w.sum() * scale


def beta_loop(values, beta):
    if beta == math.inf or beta == -math.inf:
        return sorted(values)[-1 if beta > 0 else 0]
    top = max(beta * v for v in values)
    weights = [math.exp(beta * v - top) for v in values]
    return sum(w * v for w, v in zip(weights, values, strict=True)) / sum(weights)


RIGHT = {
    "what-pooling-does/two-by-two": [two_by_two_loop, two_by_two_reshape],
    "what-pooling-does/any-reducer": [any_reducer_loop, lambda x, f: any_reducer_loop(x, f).tolist()],
    "what-pooling-does/dense-parameters": [
        dense_parameters_plain,
        lambda c, h, w, n, k: n * (c * (h // k) * (w // k) + 1),
    ],
    "windows/cells": [cells_loop, cells_array, lambda *a: tuple(cells_loop(*a))],
    "windows/output-size": [output_size_formula, output_size_counted],
    "windows/receptive-field": [receptive_field_forward, receptive_field_backward],
    "max-pooling/forward": [max_loop, max_strided, max_list],
    "max-pooling/indices": [indices_loop, indices_number_cells],
    "max-pooling/first-tie": [tie_loop, tie_search],
    "softpool/forward": [soft_loop, soft_views],
    "softpool/backward": [soft_back, soft_back_by_differences],
    "softpool/temperature": [beta_plain, beta_loop],
}

# -------------------------------------------------------------------------------------------------------- and wrong


def mutating(answer, which=0):
    def attempt(*arguments):
        value = answer(*arguments)
        arguments[which][...] = 0
        return value

    return attempt


def returned(change, answer):
    return lambda *arguments: change(np.asarray(answer(*arguments)))


# name -> attempt, number of cells (or of layers, list entries) of the smallest input on which it fails
WRONG = {
    "what-pooling-does/two-by-two": {
        "mean": (lambda x: x.reshape(len(x) // 2, 2, -1, 2).mean(axis=(1, 3)), 4),
        "minimum": (lambda x: x.reshape(len(x) // 2, 2, -1, 2).min(axis=(1, 3)), 4),
        "sum": (lambda x: x.reshape(len(x) // 2, 2, -1, 2).sum(axis=(1, 3)), 4),
        "subsampling": (lambda x: x[::2, ::2], 4),
        "the other corner": (lambda x: x[1::2, 1::2], 4),
        "stride 1": (lambda x: max_loop(x, 2, 1, 0), 8),
        "starts at 0": (lambda x: max_loop(x, 2, 2, 0, start=0.0), 4),
        "largest magnitude": (lambda x: -two_by_two_reshape(-x) if x.sum() < 0 else two_by_two_reshape(x), 4),
        "transposed": (lambda x: two_by_two_reshape(x).T, 8),
        "whole map": (lambda x: x.max(), 4),
        "blocks of reshape(…, 4)": (lambda x: x.reshape(len(x) // 2, -1, 4).max(axis=2), 8),
        "mutates": (mutating(two_by_two_reshape), 4),
    },
    "what-pooling-does/any-reducer": {
        "always max": (lambda x, f: two_by_two_reshape(x), 4),
        "always mean": (lambda x, f: any_reducer_loop(x, np.mean), 4),
        "columns first": (lambda x, f: any_reducer_loop(x.T, f).T, 4),
        "transposed": (lambda x, f: any_reducer_loop(x, f).T, 8),
        "one list for all": (lambda x, f: f(list(x.flat)), 4),
        "all zeros": (lambda x, f: np.zeros((x.shape[0] // 2, x.shape[1] // 2)), 4),
        "row maxima first": (lambda x, f: any_reducer_loop(x, lambda v: f([max(v[:2]), max(v[2:])])), 4),
        "sorted": (lambda x, f: any_reducer_loop(x, lambda v: f(sorted(v))), 4),
        "forgets a cell": (lambda x, f: any_reducer_loop(x, lambda v: f(v[:3])), 4),
        "integers": (lambda x, f: any_reducer_loop(x, f).astype(int), 4),
        "first block everywhere": (lambda x, f: any_reducer_loop(x, f) * 0 + f(list(x[:2, :2].flat)), 8),
    },
    "what-pooling-does/dense-parameters": {
        "no bias": (lambda c, h, w, n, k: n * c * (h // k) * (w // k), None),
        "one bias": (lambda c, h, w, n, k: n * c * (h // k) * (w // k) + 1, None),
        "no pooling": (lambda c, h, w, n, k: n * (c * h * w + 1), None),
        "height only": (lambda c, h, w, n, k: n * (c * (h // k) * w + 1), None),
        "width only": (lambda c, h, w, n, k: n * (c * h * (w // k) + 1), None),
        "channels too": (lambda c, h, w, n, k: n * (c // k * (h // k) * (w // k) + 1), None),
        "rounded up": (lambda c, h, w, n, k: n * (c * math.ceil(h / k) * math.ceil(w / k) + 1), None),
        "one channel": (lambda c, h, w, n, k: n * ((h // k) * (w // k) + 1), None),
        "not rounded": (lambda c, h, w, n, k: n * (c * (h / k) * (w / k) + 1), None),
        "divides the product": (lambda c, h, w, n, k: n * (c * (h * w // k**2) + 1), None),
        "bias for each input": (lambda c, h, w, n, k: n * 2 * c * (h // k) * (w // k), None),
    },
    "windows/cells": {
        "no padding": (lambda i, n, k, s, p, d: cells_loop(i, n, k, s, 0, d), None),
        "padding twice": (lambda i, n, k, s, p, d: cells_loop(i, n, k, s, 2 * p, d), None),
        "keeps padding": (lambda i, n, k, s, p, d: [i * s - p + t * d for t in range(k)], None),
        "keeps negatives": (
            lambda i, n, k, s, p, d: [c for c in range(i * s - p, i * s - p + d * k, d) if c < n],
            None,
        ),
        "keeps the overhang": (
            lambda i, n, k, s, p, d: [c for c in range(i * s - p, i * s - p + d * k, d) if c >= 0],
            None,
        ),
        "stride is kernel": (lambda i, n, k, s, p, d: cells_loop(i, n, k, k, p, d), None),
        "stride 1": (lambda i, n, k, s, p, d: cells_loop(i, n, k, 1, p, d), None),
        "no dilation": (lambda i, n, k, s, p, d: cells_loop(i, n, k, s, p, 1), None),
        "fills the gaps": (lambda i, n, k, s, p, d: cells_loop(i, n, d * (k - 1) + 1, s, p, 1), None),
        "clips": (lambda i, n, k, s, p, d: [min(max(i * s - p + t * d, 0), n - 1) for t in range(k)], None),
        "one short": (lambda i, n, k, s, p, d: cells_loop(i, n, k - 1, s, p, d), None),
        "one more": (lambda i, n, k, s, p, d: cells_loop(i, n, k + 1, s, p, d), None),
        "from 1": (lambda *a: [c + 1 for c in cells_loop(*a)], None),
        "backwards": (lambda *a: cells_loop(*a)[::-1], None),
    },
    "windows/output-size": {
        "always floor": (lambda n, k, s, p, d, c: output_size_formula(n, k, s, p, d, False), None),
        "always ceil": (lambda n, k, s, p, d, c: output_size_formula(n, k, s, p, d, True), None),
        "no rule for the last": (
            lambda n, k, s, p, d, c: (
                -(-(n + 2 * p - d * (k - 1) - 1) // s) + 1 if c else (n + 2 * p - d * (k - 1) - 1) // s + 1
            ),
            None,
        ),
        "padding once": (lambda n, k, s, p, d, c: output_size_formula(n - p, k, s, p, d, c), None),
        "no padding": (lambda n, k, s, p, d, c: output_size_formula(n, k, s, 0, d, c), None),
        "no dilation": (lambda n, k, s, p, d, c: output_size_formula(n, k, s, p, 1, c), None),
        "dilated to d·k": (lambda n, k, s, p, d, c: output_size_formula(n, k * d, s, p, 1, c), None),
        "one short": (lambda *a: output_size_formula(*a) - 1, None),
        "one more": (lambda *a: output_size_formula(*a) + 1, None),
        "true division": (lambda n, k, s, p, d, c: (n + 2 * p - d * (k - 1) - 1) / s + 1, None),
        "floats": (lambda *a: float(output_size_formula(*a)), None),
        "n / s": (lambda n, k, s, p, d, c: (n + 2 * p) // s, None),
        "stride is kernel": (lambda n, k, s, p, d, c: output_size_formula(n, k, k, p, d, c), None),
    },
    "windows/receptive-field": {
        "own stride": (
            lambda layers: receptive_field_forward(
                [(1, s, 1) for _, s, _ in layers[:1]]
                + [(k, s2, d) for (k, _, d), (_, s2, _) in zip(layers, [*layers[1:], (1, 1, 1)], strict=True)]
            ),
            1,
        ),
        "no stride": (lambda layers: 1 + sum((k - 1) * d for k, _, d in layers), 2),
        "no dilation": (lambda layers: receptive_field_forward([(k, s, 1) for k, s, _ in layers]), 1),
        "sum of kernels": (lambda layers: sum(k for k, _, _ in layers), 1),
        "product of kernels": (lambda layers: math.prod(k for k, _, _ in layers), 1),
        "last layer": (lambda layers: receptive_field_forward(layers[-1:]), 2),
        "first layer": (lambda layers: receptive_field_forward(layers[:1]), 2),
        "reversed": (lambda layers: receptive_field_forward(layers[::-1]), 2),
        "starts at 0": (lambda layers: receptive_field_forward(layers) - 1, 1),
        "k, not k−1": (lambda layers: receptive_field_forward([(k + 1, s, d) for k, s, d in layers]), 1),
        "strides only": (lambda layers: math.prod(s for _, s, _ in layers), 1),
        "the jump": (lambda layers: receptive_field_forward(layers) * layers[-1][1], 1),
        "pops from the list": (lambda layers: [receptive_field_forward(layers), layers.pop()][0], 1),
    },
    "max-pooling/forward": {
        "zero padding": (lambda x, k, s, p: max_loop(x, k, s, p, fill=0), 1),
        "drops NaN (nanmax)": (lambda x, k, s, p: max_loop(x, k, s, p, reduce=np.nanmax), 1),
        "drops NaN (fmax)": (lambda x, k, s, p: max_loop(x, k, s, p, reduce=lambda w: np.fmax.reduce(w, axis=None)), 1),
        "starts at 0": (lambda x, k, s, p: max_loop(x, k, s, p, start=0.0), 1),
        "all zeros": (lambda x, k, s, p: 0 * np.nan_to_num(max_loop(x, k, s, p)), 1),
        "stride is kernel": (lambda x, k, s, p: max_loop(x, k, s, p, step=k), 1),
        "stride 1": (lambda x, k, s, p: max_loop(x, k, s, p, step=1), 1),
        "mean": (lambda x, k, s, p: max_loop(x, k, s, p, reduce=lambda w: w[np.isfinite(w)].mean()), 1),
        "minimum": (lambda x, k, s, p: max_loop(x, k, s, p, reduce=np.min), 1),
        "transposed": (lambda x, k, s, p: max_loop(x, k, s, p).T, 2),
        "last window missing": (lambda x, k, s, p: max_loop(x, k, s, p, last=1), 1),
        "one side padded": (lambda x, k, s, p: max_loop(x, k, s, p, sides=1), 1),
        "no padding": (lambda x, k, s, p: max_loop(x, k, s, 0), 1),
        "one column short": (lambda x, k, s, p: max_loop(x, k, s, p, square=max(k - 1, 1)), 1),
        "integers": (returned(lambda y: np.nan_to_num(y).astype(int), max_loop), 1),
        "a flat list": (returned(np.ravel, max_loop), 1),
        "strings": (returned(lambda y: y.astype(str), max_loop), 1),
        "mutates": (mutating(max_loop), 1),
    },
    "max-pooling/indices": {
        "in the window": (lambda x, k, s: indices_loop(x, k, s, whole=False), 2),
        "last tie": (lambda x, k, s: indices_loop(x, k, s, find=last_argmax), 4),
        "column by column": (lambda x, k, s: indices_loop(x, k, s, order="F"), 4),
        "height for width": (lambda x, k, s: indices_loop(x, k, s, width=lambda x, k: len(x)), 2),
        "kernel for width": (lambda x, k, s: indices_loop(x, k, s, width=lambda x, k: k), 4),
        "the values": (lambda x, k, s: max_loop(x, k, s, 0), 1),
        "of the minimum": (lambda x, k, s: indices_loop(-x, k, s), 4),
        "from 1": (lambda x, k, s: indices_loop(x, k, s) + 1, 1),
        "all zeros": (lambda x, k, s: indices_loop(x, k, s) * 0, 2),
        "floats": (returned(lambda y: y.astype(float), indices_loop), 1),
        "pairs": (lambda x, k, s: np.stack(np.divmod(indices_loop(x, k, s), x.shape[1])), 1),
        "transposed": (lambda x, k, s: indices_loop(x, k, s).T, 2),
    },
    "max-pooling/first-tie": {
        "last tie": (lambda *a: tie_loop(*a, find=last_argmax), 4),
        "column by column": (lambda *a: tie_loop(*a, order="F"), 4),
        "every tie": (lambda *a: tied(*a, split=False), 4),
        "split": (lambda *a: tied(*a, split=True), 4),
        "overwrites": (lambda *a: tie_loop(*a, add=False), 6),
        "above zero": (lambda *a: tie_loop(*a, keep=lambda v: v > 0), 1),
        "not below zero": (lambda *a: tie_loop(*a, keep=lambda v: v >= 0), 1),
        "mean": (lambda g, x, k, s: soft_back(g, x, k, s, local=lambda w, x, y: np.ones(x.shape) / x.size), 4),
        "sum": (lambda g, x, k, s: soft_back(g, x, k, s, local=lambda w, x, y: np.ones(x.shape)), 4),
        "ones": (lambda *a: tie_loop(*a, ones=True), 2),
        "all zeros": (lambda g, x, k, s: np.zeros(x.shape), 1),
        "x for one": (lambda g, x, k, s: tie_loop(g, x, k, s) * x, 1),
        "of the minimum": (lambda g, x, k, s: tie_loop(g, -x, k, s), 4),
        "the gradient as it came": (lambda g, x, k, s: g, 2),
        "mutates": (mutating(tie_loop, 1), 1),
    },
    "softpool/forward": {
        "overflows": (lambda x, k, s: soft_loop(x, k, s, weigh=np.exp), 1),
        "whole map": (soft_map, 2),
        "mean": (lambda x, k, s: soft_loop(x, k, s, weigh=np.ones_like), 4),
        "maximum": (lambda x, k, s: max_loop(x, k, s, 0), 4),
        "log-mean-exp": (lambda x, k, s: soft_loop(x, k, s, finish=lambda w, x: x.max() + np.log(w.mean())), 4),
        "log-sum-exp": (lambda x, k, s: soft_loop(x, k, s, finish=lambda w, x: x.max() + np.log(w.sum())), 4),
        "not normalised": (lambda x, k, s: soft_loop(x, k, s, finish=lambda w, x: (w * x).sum()), 4),
        "divided twice": (lambda x, k, s: soft_loop(x, k, s) / k**2, 4),
        "minus the maximum": (
            lambda x, k, s: soft_loop(x, k, s, finish=lambda w, x: (w * (x - x.max())).sum() / w.sum()),
            1,
        ),
        "weights from x": (lambda x, k, s: soft_loop(x, k, s, weigh=lambda w: w), 1),
        "weights from |x|": (lambda x, k, s: soft_loop(x, k, s, weigh=lambda w: np.exp(abs(w) - abs(w).max())), 4),
        "soft minimum": (lambda x, k, s: soft_loop(x, k, s, weigh=lambda w: np.exp(w.min() - w)), 4),
        "clamped at 0": (lambda x, k, s: np.maximum(soft_loop(x, k, s), 0), 1),
        "stride is kernel": (lambda x, k, s: soft_loop(x, k, s, step=k), 6),
        "stride 1": (lambda x, k, s: soft_loop(x, k, s, step=1), 2),
        "transposed": (lambda x, k, s: soft_loop(x, k, s).T, 2),
    },
    "softpool/backward": {
        "w": (lambda *a: soft_back(*a, local=lambda w, x, y: w), 4),
        "w(x − y)": (lambda *a: soft_back(*a, local=lambda w, x, y: w * (x - y)), 1),
        "w(1 + x)": (lambda *a: soft_back(*a, local=lambda w, x, y: w * (1 + x)), 1),
        "w(1 − x + y)": (lambda *a: soft_back(*a, local=lambda w, x, y: w * (1 - x + y)), 4),
        "w(1 − w)": (lambda *a: soft_back(*a, local=lambda w, x, y: w * (1 - w)), 1),
        "w·x": (lambda *a: soft_back(*a, local=lambda w, x, y: w * x), 1),
        "1 + x − y": (lambda *a: soft_back(*a, local=lambda w, x, y: 1 + x - y), 4),
        "overwrites": (lambda *a: soft_back(*a, add=False), 6),
        "ones": (lambda *a: soft_back(*a, ones=True), 2),
        "mean": (lambda *a: soft_back(*a, local=lambda w, x, y: np.ones(x.shape) / x.size), 4),
        "maximum": (tie_loop, 4),
        "all zeros": (lambda g, x, k, s: np.zeros(x.shape), 1),
        "the output": (lambda g, x, k, s: soft_loop(x, k, s), 1),
        "mutates": (mutating(soft_back, 0), 1),
    },
    "softpool/temperature": {
        "divides": (lambda v, b: beta_plain(v, 1 / b if b else math.inf), 2),
        "beta times the values too": (lambda v, b: beta_plain(v, b, scale=b), 1),
        "beta is left out": (lambda v, b: beta_plain(v, 1.0), 2),
        "overflows": (lambda v, b: beta_plain(v, b, stable=False), 1),
        "NaN at inf": (lambda v, b: beta_plain(v, b, limits=False), 1),
        "sum at 0": (lambda v, b: sum(v) if b == 0 else beta_plain(v, b), 2),
        "0 at 0": (lambda v, b: 0.0 if b == 0 else beta_plain(v, b), 1),
        "|beta|": (lambda v, b: beta_plain(v, b, use=abs), 2),
        "maximum": (lambda v, b: max(v), 2),
        "mean": (lambda v, b: sum(v) / len(v), 2),
        "maximum at −inf": (lambda v, b: max(v) if math.isinf(b) else beta_plain(v, b), 2),
        "a list of one": (lambda v, b: [beta_plain(v, b)], 1),
        "the weights": (lambda v, b: np.exp(np.array(v)) / np.exp(np.array(v)).sum(), 1),
    },
}

ATTEMPTS = [(name, bug) for name, bugs in WRONG.items() for bug in bugs]
# Reasonable limits for inputs that are plain numbers: no argument is larger than this.
SMALL_NUMBERS = {"what-pooling-does/dense-parameters": 4, "windows/cells": 5, "windows/output-size": 5}


def test_every_exercise_is_tried():
    assert RIGHT.keys() == WRONG.keys() == EXERCISES.keys()
    assert all(len(bugs) >= 10 for bugs in WRONG.values())
    chapters = {name.split("/")[0] for name in EXERCISES}
    for chapter in chapters:
        kinds = {e.kind for name, e in EXERCISES.items() if name.startswith(chapter + "/")}
        assert kinds == {"worked", "faded", "open"}


@pytest.mark.parametrize("name", EXERCISES)
def test_right_answers_pass(name):
    for attempt in [*RIGHT[name], EXERCISES[name].answer]:
        verdict = check(name, attempt)
        assert verdict.passed and verdict.status == "right", verdict.text()


@pytest.mark.parametrize(("name", "bug"), ATTEMPTS)
def test_wrong_answers_are_caught_with_a_small_input(name, bug):
    attempt, cells = WRONG[name][bug]
    verdict = check(name, attempt)
    assert verdict.status in ("wrong", "crashed") and not verdict.passed
    assert verdict.message and verdict.expected and list(verdict.inputs) == EXERCISES[name].parameters
    if name in SMALL_NUMBERS:
        assert max(verdict.inputs.values()) <= SMALL_NUMBERS[name], verdict.text()
    else:
        subject = next(verdict.inputs[key] for key in ("x", "values", "layers") if key in verdict.inputs)
        assert (len(subject) if isinstance(subject, list) else subject.size) == cells, verdict.text()


@pytest.mark.parametrize(
    ("name", "idea"), [(name, idea) for name, exercise in EXERCISES.items() for idea in exercise.ideas]
)
def test_every_wrong_idea_is_recognised(name, idea):
    assert judge(EXERCISES[name], EXERCISES[name].ideas[idea]).idea == idea


@pytest.mark.parametrize("bug", WRONG["max-pooling/first-tie"])
def test_no_smaller_map_fails(bug):
    """The smallest input is the smallest: on no map with fewer cells of -1, 0 and 1 does the attempt fail."""
    exercise, (attempt, cells) = EXERCISES["max-pooling/first-tie"], WRONG["max-pooling/first-tie"][bug]
    windows = list(itertools.product((1, 2, 3), (1, 2, 3)))
    for shape in [(h, w) for h in (1, 2, 3, 4) for w in (1, 2, 3, 4) if h * w < cells]:
        for values in itertools.product([-1.0, 0.0, 1.0], repeat=math.prod(shape)):
            x = np.array(values).reshape(shape)
            assert all(complain(exercise, attempt, (x, *window)) is None for window in windows)


# ---------------------------------------------------------------------------------------------- what is not an answer


def empty_docstring(x):
    """Return the largest value of each block."""


def empty_dots(x): ...


def empty_none(x):
    return None


def empty_error(x):
    raise NotImplementedError("yours to write")


def gap(x):
    return x.reshape(len(x) // 2, 2, ..., 2).max(axis=(1, 3))


def dots_as_index(x):
    return np.maximum(np.maximum(x[::2, ::2], x[1::2, ::2]), np.maximum(x[::2, 1::2], x[1::2, 1::2]))[..., :]


@pytest.mark.parametrize("stub", [empty_docstring, empty_dots, empty_none, empty_error, gap, None, ...])
def test_a_stub_is_not_a_wrong_answer(stub):
    verdict = check("what-pooling-does/two-by-two", stub)
    assert verdict.status == "not attempted" and not verdict.passed
    assert "max_2x2(x)" in verdict.message


def test_dots_in_an_index_are_no_gap():
    assert not blank(dots_as_index)
    assert check("what-pooling-does/two-by-two", dots_as_index).passed


def endless(x):
    while True:
        pass


def endless_and_stubborn(x):
    while True:
        try:
            for _ in range(10**9):
                pass
        except BaseException:  # swallows even the time limit, once
            pass


def endless_on_the_second_block(x):
    while x.size > 4:
        pass
    return two_by_two_reshape(x)


def endless_recursion(x):
    return endless_recursion(x)


def sleeps(x):
    time.sleep(60)


def divides_by_zero(x):
    return 1 / (x.size - x.size)


def leaves(x):
    raise SystemExit


def prints(x):
    print(two_by_two_reshape(x))


def yields(x):
    yield two_by_two_reshape(x)


MANNERS = [
    (endless, "endless", "did not come to an end"),
    (endless_and_stubborn, "endless", "did not come to an end"),
    (endless_on_the_second_block, "endless", "did not come to an end"),
    (sleeps, "endless", "did not come to an end"),
    (endless_recursion, "crashed", "called itself without end"),
    (divides_by_zero, "crashed", "ZeroDivisionError"),
    (leaves, "crashed", "SystemExit"),
    (lambda: 1, "crashed", "TypeError"),
    (prints, "wrong", "printed something and returned `None`"),
    (lambda x: None, "wrong", "is the `return` missing?"),
    (yields, "wrong", "It returned generator"),
    (lambda x: "4", "wrong", "It returned values of type"),
    (lambda x: {"a": 1}, "wrong", "It returned dict"),
    (lambda x: [[1], [1, 2]], "wrong", "does not turn into an array"),
    (lambda x: two_by_two_reshape(x).astype(complex), "wrong", "values of type complex128"),
    (lambda x: two_by_two_reshape(x) > 0, "wrong", "values of type bool"),
    (lambda x: two_by_two_reshape(x).ravel(), "wrong", "shape (1,); the expected shape is (1, 1)"),
    (mutating(two_by_two_reshape), "wrong", "changed its argument `x`"),
    (42, "wrong", "this is a int"),
]


@pytest.mark.parametrize(("attempt", "status", "words"), MANNERS)
def test_anything_else_is_answered_in_words(attempt, status, words, capsys):
    verdict = check("what-pooling-does/two-by-two", attempt)
    assert (verdict.status, verdict.passed) == (status, False)
    assert words in verdict.message and words in capsys.readouterr().out


def test_a_thread_has_a_time_limit_too():
    verdicts = []
    thread = threading.Thread(target=lambda: verdicts.append(judge(EXERCISES["windows/cells"], lambda *a: endless(a))))
    thread.start()
    thread.join(timeout=60)
    assert verdicts and verdicts[0].status == "endless"


def test_the_time_limit_leaves_nothing_behind():
    import signal
    import sys

    before = sys.gettrace(), signal.getsignal(signal.SIGALRM)
    check("what-pooling-does/two-by-two", endless)
    assert (sys.gettrace(), signal.getsignal(signal.SIGALRM)) == before
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_an_unknown_exercise_is_an_error():
    with pytest.raises(ValueError, match=r"name must be one of .*max-pooling/forward.*, got 'max'"):
        check("max", max_loop)


def test_shrinking_stops_at_the_smallest():
    assert shrink((np.full((4, 5), 7.0), 3), lambda case: case[0].size >= 6 and case[1] >= 2)[0].shape in (
        (2, 3),
        (3, 2),
    )
    values = shrink(([5.0, -2.0, 9.0],), lambda case: any(v > 1 for v in case[0]))[0]
    assert values == [2.0]


def test_the_verdict_is_safe_html():
    def crashes(x):
        raise ValueError("<script>alert(1)</script>")

    html = judge(EXERCISES["what-pooling-does/two-by-two"], crashes).html()
    assert "<script>" not in html and "&lt;script&gt;" in html


def test_in_a_notebook():
    """Verdicts appear once, a stub has a neutral one, and an endless attempt does not stop the notebook."""
    cells = [
        "from poolref.teaching.exercises import check",
        "def attempt(x):\n    ...",
        "check('what-pooling-does/two-by-two', attempt)",
        "def attempt(x):\n    while True: pass",
        "assert not check('what-pooling-does/two-by-two', attempt).passed",
        "def solution(x):\n    return x.reshape(len(x) // 2, 2, x.shape[1] // 2, 2).max(axis=(1, 3))",
        "assert check('what-pooling-does/two-by-two', solution).passed",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in cells])
    NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    shown = ["".join(output["data"]["text/html"] for output in cell.outputs) for cell in notebook.cells]
    assert [html.count("<strong>Not attempted yet.") for html in shown] == [0, 0, 1, 0, 0, 0, 0]
    assert [html.count("did not come to an end") for html in shown] == [0, 0, 0, 0, 1, 0, 0]
    assert [html.count("✓ Right.") for html in shown] == [0, 0, 0, 0, 0, 0, 1]
