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


EXCLUSIVE = {
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


SAMPLES = {
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
    "region-pooling/exclusive": [exclusive_loop, exclusive_padded],
    "region-pooling/samples": [samples_linspace, samples_loop],
    "region-pooling/backward": [backward_loop, backward_matrix, backward_differences],
    "region-pooling/detector": [("RoIAlign", [4, 8, 16]), ("RoIAlign", (4, 16)), ["RoIAlign", [64, 4]]],
}
WRONG = {
    "region-pooling/exclusive": EXCLUSIVE,
    "region-pooling/samples": SAMPLES,
    "region-pooling/backward": BACKWARD,
    "region-pooling/detector": DETECTOR,
}
