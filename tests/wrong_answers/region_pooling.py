"""Answers to the exercises of "Region pooling"."""

import math
from itertools import pairwise

import numpy as np

# --- exclusive -------------------------------------------------------------------------------------------------------


def half_up(edge):
    return int(edge + 0.5)


def exclusive_loop(x, first, last, bins, to_cell=half_up, extra=0, least=1, reduce=max, down=math.floor, up=math.ceil):
    """The right loop, and the places where it is easily got wrong."""
    start = to_cell(first)
    size = max(to_cell(last) - start + extra, least)
    result = []
    for i in range(bins):
        begin, end = start + down(i * size / bins), start + up((i + 1) * size / bins)
        result.append(reduce(x[begin:end]) if len(x[begin:end]) else 0)
    return np.array(result)


def exclusive_padded(x, first, last, bins):
    row = np.concatenate([x, np.full(50, -np.inf)])
    start, end = int(np.floor(first + 0.5)), int(np.floor(last + 0.5))
    size = max(1, end - start)
    edges = np.arange(bins + 1) * size
    found = [row[start + a // bins : start + (b + bins - 1) // bins].max() for a, b in pairwise(edges)]
    return [0.0 if v == -np.inf else v for v in found]


def exclusive_mask(x, first, last, bins):
    start = half_up(first)
    size = max(half_up(last) - start, 1)
    c, i = np.arange(len(x)) - start, np.arange(bins)[:, None]
    inside = (c >= 0) & (c < size) & ((c + 1) * bins > i * size) & (c * bins < (i + 1) * size)
    return np.where(inside.any(1), np.where(inside, x, -np.inf).max(1), 0)


def exclusive_last_pixel(x, first, last, bins):
    return exclusive_loop(x, first, max(half_up(last - 1), half_up(first)), bins, extra=1)


def of_slices(x, first, last, bins, most):
    """The largest cell of each bin of the box with its last cell, each bin ending at most(start, end, high)."""
    start, end = half_up(first), half_up(last)
    size = max(end - start + 1, 1)
    spans = [(start + i * size // bins, start - (i + 1) * size // -bins) for i in range(bins)]
    return [max(x[low : most(start, end, high)], default=0) for low, high in spans]


def exclusive_split(x, first, last, bins):
    start, end = half_up(first), half_up(last)
    return [max(part, default=0) for part in np.array_split(x[start : max(end, start + 1)], bins)]


def exclusive_cropped(x, first, last, bins):
    start, end = half_up(first), half_up(last)
    row = x[start : max(end, start + 1)]
    return exclusive_loop(row, 0, len(row), bins)


EXCLUSIVE = {
    "last cell of every bin out": (
        lambda *a: of_slices(*a, most=lambda start, end, high: high - 1),
        "the last cell of every bin",
    ),
    "cut with the last cell": (
        lambda *a: of_slices(*a, most=lambda start, end, high: min(high, max(end, start + 1))),
        "This cuts first",
    ),
    "far edge down": (
        lambda x, a, b, n: exclusive_loop(x, a, half_up(a) + max(int(b) - half_up(a), 1), n),
        "This rounds down",
    ),
    "halves down": (lambda *a: exclusive_loop(*a, to_cell=lambda v: math.ceil(v - 0.5)), "takes it down"),
    "array_split": (exclusive_split, "Adaptive bins may share cells"),
    "cropped first": (exclusive_cropped, "not only its part in the row"),
    "two cells at least": (lambda *a: exclusive_loop(*a, least=2), None),
    "nothing changed": (lambda *a: exclusive_loop(*a, extra=1), "what it gave before"),
    "no cell at least": (lambda *a: exclusive_loop(*a, least=0), "at least one cell"),
    "first left out": (lambda x, a, b, n: exclusive_loop(x, half_up(a) + 1, half_up(b) + 1, n), "not the first"),
    "two left out": (lambda *a: exclusive_loop(*a, extra=-1), "leaves out two cells"),
    "np.round": (lambda *a: exclusive_loop(*a, to_cell=lambda v: int(np.round(v))), "to the even neighbour"),
    "Python's round": (lambda *a: exclusive_loop(*a, to_cell=round), "to the even neighbour"),
    "int": (lambda *a: exclusive_loop(*a, to_cell=int), "This rounds down"),
    "int, last included": (lambda *a: exclusive_loop(*a, to_cell=int, extra=1), "This rounds down"),
    "ceil": (lambda *a: exclusive_loop(*a, to_cell=math.ceil), "This rounds up"),
    "mean": (lambda *a: exclusive_loop(*a, reduce=np.mean), "the mean of each bin"),
    "minimum": (lambda *a: exclusive_loop(*a, reduce=min), "the smallest cell"),
    "sum": (lambda *a: exclusive_loop(*a, reduce=sum), "adds each bin up"),
    "bins end early": (lambda *a: exclusive_loop(*a, up=math.floor), "A bin ends where it is rounded up"),
    "bins begin late": (lambda *a: exclusive_loop(*a, down=math.ceil), "A bin begins where it is rounded down"),
    "empty bins": (
        lambda *a: exclusive_loop(*a, reduce=max) + 0 * np.log(np.abs(exclusive_loop(*a, reduce=len))),
        "A bin without cells gives 0",
    ),
    "from zero": (lambda *a: np.maximum(exclusive_loop(*a), 0), "only negative cells"),
    "whole box": (lambda x, a, b, n: [exclusive_loop(x, a, b, 1)[0]] * n, "that of the whole box"),
    "all zeros": (lambda x, a, b, n: np.zeros(n), "All zeros"),
    "reversed": (lambda *a: exclusive_loop(*a)[::-1], None),
    "one bin short": (lambda *a: exclusive_loop(*a)[:-1], None),
}

# --- samples ---------------------------------------------------------------------------------------------------------


def samples_linspace(first, last, bins, per_bin):
    edges = np.linspace(first, last, bins * per_bin + 1) - 0.5
    return ((edges[:-1] + edges[1:]) / 2).reshape(bins, per_bin)


def samples_loop(first, last, bins, per_bin):
    gap = (last - first) / bins / per_bin
    return [[first - 0.5 + (i * per_bin + t + 0.5) * gap for t in range(per_bin)] for i in range(bins)]


def samples_interp(first, last, bins, per_bin):
    n = bins * per_bin
    return np.interp(np.arange(n) + 0.5, [0, n], [first - 0.5, last - 0.5]).reshape(bins, per_bin)


SAMPLES = {
    "one bin fewer": ({1: "(bins - 1)"}, "The first blank"),
    "half of each part": ({2: "per_bin / 2"}, "The second blank"),
    "a part and a half": ({3: "1.5"}, "The third blank"),
    "gaps between samples": ({4: "(per_bin - 1)"}, "The fourth blank"),
    "edge to edge": (lambda a, b, n, t: (np.linspace(a, b, n * t) - 0.5).reshape(n, t), None),
    "exchanged": ({1: "per_bin", 4: "bins"}, "Samples and bins are exchanged"),
    "cut by samples": ({1: "per_bin"}, "into `bins` parts"),
    "not cut": ({1: "1"}, "into `bins` parts"),
    "cut by both": ({1: "(bins * per_bin)"}, "into `bins` parts"),
    "one bin more": ({1: "(bins + 1)"}, "The first blank"),
    "not aligned": ({2: "0"}, "This is `aligned=False`"),
    "a whole cell": ({2: "1"}, "A whole cell is too much"),
    "wrong way": ({2: "(-0.5)"}, "this adds it"),
    "a quarter": ({2: "0.25"}, "The second blank"),
    "half a bin": ({2: "size / 2"}, "The second blank"),
    "beginnings": ({3: "0"}, "not at the part's beginning"),
    "ends": ({3: "1"}, "not at the part's end"),
    "a third": ({3: "1 / 3"}, "The third blank"),
    "bins in a bin": ({4: "bins"}, "into `per_bin` parts"),
    "one part": ({4: "1"}, "into `per_bin` parts"),
    "parts and one": ({4: "(per_bin + 1)"}, "into `per_bin` parts"),
    "transposed": (lambda *a: samples_linspace(*a).T, None),
    "flat": (lambda *a: samples_linspace(*a).ravel(), None),
    "all zeros": (lambda first, last, bins, per_bin: np.zeros((bins, per_bin)), None),
}

# --- backward --------------------------------------------------------------------------------------------------------


def backward_loop(g, x, first, last, shift=0.5, middle=0.5, near=lambda p: 1 - p, far=lambda p: p, add=True):
    """The right loop, and the places where it is easily got wrong."""
    gradient = np.zeros(len(x))
    size = (last - first) / len(g)
    for i, value in enumerate(g):
        position = min(max(first - shift + (i + middle) * size, 0), len(x) - 1)
        m = math.floor(position)
        p = position - m
        parts = {m: near(p) * value}
        if m + 1 < len(x) and far(p):
            parts[m + 1] = far(p) * value
        for cell, part in parts.items():
            gradient[cell] = part + (gradient[cell] if add else 0)
    return gradient


def backward_matrix(g, x, first, last):
    u = first - 0.5 + (np.arange(len(g)) + 0.5) * (last - first) / len(g)
    return g @ np.maximum(0, 1 - np.abs(u[:, None] - np.arange(len(x))))


def backward_differences(g, x, first, last):
    u = first - 0.5 + (np.arange(len(g)) + 0.5) * (last - first) / len(g)
    cells = np.arange(len(x))
    return [g @ (np.interp(u, cells, x + one) - np.interp(u, cells, x)) for one in np.eye(len(x))]


def backward_bincount(g, x, first, last):
    u = first - 0.5 + (np.arange(len(g)) + 0.5) * (last - first) / len(g)
    low = np.floor(u).astype(int)
    both = np.bincount(low, g * (1 - u + low), len(x) + 1) + np.bincount(low + 1, g * (u - low), len(x) + 1)
    return both[: len(x)]


def backward_fancy(g, x, first, last):
    u = first - 0.5 + (np.arange(len(g)) + 0.5) * (last - first) / len(g)
    low = np.minimum(u.astype(int), len(x) - 2)
    gradient = np.zeros(len(x))
    gradient[low] += g * (1 - u + low)
    gradient[low + 1] += g * (u - low)
    return gradient


def backward_many(g, x, first, last):
    n = max(math.ceil((last - first) / len(g)), 1)
    return backward_matrix(np.repeat(g / n, n), x, first, last)


def over_cells(g, x, first, last):
    gradient, size = np.zeros(len(x)), (last - first) / len(g)
    for i, value in enumerate(g):
        low, high = first + i * size, first + (i + 1) * size
        for cell in range(len(x)):
            gradient[cell] += value * max(min(high, cell + 1) - max(low, cell), 0) / size
    return gradient


def to_winners(g, x, first, last):
    gradient = np.zeros(len(x))
    start = half_up(first)
    size = max(half_up(last) - start + 1, 1)
    for i, value in enumerate(g):
        cells = x[start + i * size // len(g) : start + -(-(i + 1) * size // len(g))]
        if len(cells):
            gradient[start + i * size // len(g) + int(np.argmax(cells))] += value
    return gradient


BACKWARD = {
    "cells listed twice": (backward_fancy, "adds once to a cell"),
    "many samples": (backward_many, "Each bin has one sample"),
    "times the bin": (lambda g, x, a, b: backward_matrix(g, x, a, b) * (b - a) / len(g), "The size of a bin"),
    "over the bin": (over_cells, "Only the two cells around a sample"),
    "means of gradients": (lambda g, x, a, b: backward_matrix(np.full(len(g), g.mean()), x, a, b), None),
    "no half cell": (lambda *a: backward_loop(*a, shift=0), "Half a cell is missing"),
    "bins' beginnings": (lambda *a: backward_loop(*a, middle=0), "not at the bin's beginning"),
    "bins' ends": (lambda *a: backward_loop(*a, middle=1), "not at the bin's end"),
    "weights exchanged": (
        lambda *a: backward_loop(*a, near=lambda p: p, far=lambda p: 1 - p),
        "The two weights are exchanged",
    ),
    "to the cell before": (
        lambda *a: backward_loop(*a, near=lambda p: 1, far=lambda p: 0),
        "between two cells, and both get a part",
    ),
    "to the nearest": (
        lambda *a: backward_loop(*a, near=lambda p: p < 0.5, far=lambda p: p >= 0.5),
        "between two cells, and both get a part",
    ),
    "halves": (lambda *a: backward_loop(*a, near=lambda p: 0.5, far=lambda p: 0.5), "not one half each"),
    "all to both": (lambda *a: backward_loop(*a, near=lambda p: 1, far=lambda p: 1), "not all of it"),
    "overwrites": (lambda *a: backward_loop(*a, add=False), "do not overwrite"),
    "divided by bins": (lambda g, *a: backward_loop(g, *a) / len(g), "nothing is divided"),
    "times x": (lambda g, x, *a: backward_loop(g, x, *a) * x, "does not depend on the values"),
    "of ones": (lambda g, *a: backward_loop(np.ones(len(g)), *a), "not of 1"),
    "winners": (to_winners, "RoI pooling's gradient"),
    "forward": (
        lambda g, x, a, b: np.interp(a - 0.5 + (np.arange(len(g)) + 0.5) * (b - a) / len(g), np.arange(len(x)), x),
        "This is the forward pass",
    ),
    "arriving": (lambda g, *a: g.copy(), "is not the arriving one"),
    "all zeros": (lambda g, x, *a: np.zeros(len(x)), "All zeros"),
    "even": (lambda g, x, *a: np.full(len(x), g.sum() / len(x)), "evenly over the row"),
    "reversed": (lambda *a: backward_loop(*a)[::-1], None),
    "negative": (lambda *a: -backward_loop(*a), None),
    "adds into its argument": (lambda g, x, *a: x.__iadd__(backward_matrix(g, x, *a)), None),
}

# --- detector --------------------------------------------------------------------------------------------------------

DETECTOR = {
    "rounded, near enough": (("RoI pooling", [2]), "Two cells have to be at least as large"),
    "not aligned, near enough": (("RoIAlign, not aligned", [2]), "Two cells have to be at least as large"),
    "fine and coarse": (("RoIAlign", [2, 32]), "the finest costs most"),
    "every power": (("RoIAlign", [1, 2, 4, 8, 16, 32, 64]), "the finest costs most"),
    "fractions": (("RoIAlign", [1 / 4, 1 / 16]), None),
    "truth for a stride": (("RoIAlign", [True, 16]), None),
    "the pattern's": (("RoI pooling", [2, 4]), "includes the last cell"),
    "rounded, right strides": (("RoI pooling", [4, 8, 16]), "includes the last cell"),
    "rounded, one level": (("RoI pooling", [16]), "includes the last cell"),
    "not aligned": (("RoIAlign, not aligned", [4, 16]), "Without the shift"),
    "not aligned, fine": (("RoIAlign, not aligned", [4, 8]), "Without the shift"),
    "coarse only": (("RoIAlign", [8, 16, 32]), "A cell must not be larger"),
    "one coarse level": (("RoIAlign", [16]), "A cell must not be larger"),
    "the coarsest": (("RoIAlign", [64]), "A cell must not be larger"),
    "fine only": (("RoIAlign", [4]), "Two cells have to be at least as large"),
    "fine and middle": (("RoIAlign", [4, 8]), "Two cells have to be at least as large"),
    "too fine": (("RoIAlign", [2, 4, 8, 16]), "the finest costs most"),
    "pixels": (("RoIAlign", [1, 16]), "the finest costs most"),
    "no power of two": (("RoIAlign", [4, 12]), None),
    "twice the same": (("RoIAlign", [4, 4]), None),
    "no strides": (("RoIAlign", []), None),
    "one number": (("RoIAlign", 4), None),
    "another pooling": (("max", [4, 16]), None),
    "a pooling alone": ("RoIAlign", None),
    "a number": (4, None),
}

RIGHT = {
    "region-pooling/exclusive": [exclusive_loop, exclusive_padded, exclusive_mask, exclusive_last_pixel],
    "region-pooling/samples": [samples_linspace, samples_loop, samples_interp],
    "region-pooling/backward": [backward_loop, backward_matrix, backward_differences, backward_bincount],
    "region-pooling/detector": [
        ("RoIAlign", [4, 8, 16]),
        ("RoIAlign", (4, 16)),
        ["RoIAlign", [64, 4]],
        ("RoIAlign", [4, 8, 16, 32, 64]),
        ("RoIAlign", list(2 ** np.arange(2, 5))),
    ],
}
WRONG = {
    "region-pooling/exclusive": EXCLUSIVE,
    "region-pooling/samples": SAMPLES,
    "region-pooling/backward": BACKWARD,
    "region-pooling/detector": DETECTOR,
}
