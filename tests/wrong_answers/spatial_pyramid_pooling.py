"""Answers to the exercises of "Spatial pyramid pooling"."""

import math

import numpy as np

# --- starts ----------------------------------------------------------------------------------------------------------


def starts(channels, levels, entries=lambda c, n: c * n * n):
    found = [0]
    for n in levels:
        found.append(found[-1] + entries(channels, n))
    return found


def starts_by_sums(channels, levels):
    return tuple(channels * sum(n**2 for n in levels[:k]) for k in range(len(levels) + 1))


STARTS = {
    "before the change": (lambda c, levels: starts(1, levels), "before the change"),
    "not squared": (lambda c, levels: starts(c, levels, lambda c, n: c * n), "n bins down and n across"),
    "twice": (lambda c, levels: starts(c, levels, lambda c, n: 2 * c * n), "n bins down and n across"),
    "added": (lambda c, levels: starts(c, levels, lambda c, n: c + n * n), "do not add it"),
    "channels squared": (lambda c, levels: starts(c, levels, lambda c, n: (c * n) ** 2), "not squared"),
    "no length": (lambda c, levels: starts(c, levels)[:-1], "ends with the length"),
    "ends": (lambda c, levels: starts(c, levels)[1:], None),
    "ends, and the length": (
        lambda c, levels: [*starts(c, levels)[1:], starts(c, levels)[-1]],
        "not where its own ends",
    ),
    "lengths": (lambda c, levels: [c * n * n for n in levels], "Add up those that come before"),
    "only the length": (
        lambda c, levels: [*starts(1, levels)[:-1], starts(c, levels)[-1]],
        "Only the length counts the channels",
    ),
    "length alone": (lambda c, levels: starts(c, levels)[-1], None),
    "one too far": (lambda c, levels: [s + 1 for s in starts(c, levels)], None),
    "all zeros": (lambda c, levels: [0] * (len(levels) + 1), None),
}

# --- vector ----------------------------------------------------------------------------------------------------------


def bins(size, n):
    return [(math.floor(i * size / n), math.ceil((i + 1) * size / n)) for i in range(n)]


def vector(x, levels, reduce=np.max):
    entries = []
    for n in levels:
        for top, bottom in bins(x.shape[0], n):
            entries += [reduce(x[top:bottom, left:right]) for left, right in bins(x.shape[1], n)]
    return np.array(entries)


def vector_by_cells(x, levels):
    """Every cell is shown to all bins that touch it."""
    entries = []
    for n in levels:
        level = np.full((n, n), -np.inf)
        for (r, c), value in np.ndenumerate(x):
            for i, j in np.ndindex(n, n):
                rows = r * n < (i + 1) * x.shape[0] and (r + 1) * n > i * x.shape[0]
                columns = c * n < (j + 1) * x.shape[1] and (c + 1) * n > j * x.shape[1]
                if rows and columns:
                    level[i, j] = max(level[i, j], value)
        entries.extend(level.ravel().tolist())
    return entries


VECTOR = {
    "levels added": ({1: "sum(levels)"}, "n · n entries"),
    "number of levels": ({1: "len(levels)"}, "n · n entries"),
    "last level": ({1: "levels[-1] ** 2"}, "n · n entries"),
    "as many as cells": ({1: "x.size"}, "does not depend on the size"),
    "one too many": ({1: "sum(n * n for n in levels) + 1"}, "The first gap"),
    "end rounded down": ({2: "(i + 1) * height // n"}, "rounded up"),
    "end with the length": ({2: "top + height // n"}, "rounded up"),
    "one more": ({2: "(i + 1) * height // n + 1"}, "adding one"),
    "equally long": ({2: "top - (-height // n)"}, "not all of one length"),
    "end of j": ({2: "-(-(j + 1) * height // n)"}, "Look at the end of the rows"),
    "end of the width": ({2: "-(-(i + 1) * width // n)"}, "Look at the end of the rows"),
    "end of bin before": ({2: "-(-i * height // n)"}, "where bin i + 1 begins"),
    "to the end": ({2: "height"}, "to the end of the map"),
    "two rows": ({2: "top + 2"}, "The second gap"),
    "start of i": ({3: "i * width // n"}, "Look at the start of the columns"),
    "start of the height": ({3: "j * height // n"}, "Look at the start of the columns"),
    "even steps": ({3: "j * (width // n)"}, "Multiply j by the width first"),
    "start rounded up": ({3: "-(-j * width // n)"}, "rounded down"),
    "from the edge": ({3: "0"}, "at the edge of the map"),
    "the number of the bin": ({3: "j"}, "The third gap"),
    "reversed": (lambda x, levels: vector(x, levels[::-1]), "in the order of `levels`"),
    "means": (lambda x, levels: vector(x, levels, np.mean), "not its mean"),
    "smallest": (lambda x, levels: vector(x, levels, np.min), "not its smallest"),
    "first level": (lambda x, levels: vector(x, levels[:1]), None),
    "all zeros": (lambda x, levels: np.zeros(sum(n * n for n in levels)), None),
}

# --- backward --------------------------------------------------------------------------------------------------------


def backward(g, x, levels, add=True, pick=np.argmax, bins=bins, restart=False):
    gradient = np.zeros(x.shape)
    o = 0
    for n in levels:
        for top, bottom in bins(x.shape[0], n):
            for left, right in bins(x.shape[1], n):
                part = x[top:bottom, left:right]
                if part.size:
                    a, b = divmod(int(pick(part)), part.shape[1])
                    gradient[top + a, left + b] = gradient[top + a, left + b] * add + g[o]
                o += 1
        if restart:
            o = 0
    return gradient


def backward_level_by_level(g, x, levels):
    """A gradient for each level, added up at the end."""
    gradients, position = [], 0
    for n in levels:
        arriving = g[position : position + n * n].reshape(n, n)
        position += n * n
        gradient = np.zeros(x.size)
        places = np.arange(x.size).reshape(x.shape)
        for i, (top, bottom) in enumerate(bins(x.shape[0], n)):
            for j, (left, right) in enumerate(bins(x.shape[1], n)):
                part = x[top:bottom, left:right]
                gradient[places[top:bottom, left:right][part == part.max()][0]] += arriving[i, j]
        gradients.append(gradient.reshape(x.shape))
    return sum(gradients)


def spread(g, x, levels, share):
    gradient, o = np.zeros(x.shape), 0
    for n in levels:
        for top, bottom in bins(x.shape[0], n):
            for left, right in bins(x.shape[1], n):
                part = x[top:bottom, left:right]
                gradient[top:bottom, left:right] += g[o] * share(part)
                o += 1
    return gradient


def floors(size, n):
    return [(i * size // n, (i + 1) * size // n) for i in range(n)]


BACKWARD = {
    "overwrites": (lambda g, x, levels: backward(g, x, levels, add=False), "Do not overwrite"),
    "shared ties": (
        lambda g, x, levels: spread(g, x, levels, lambda p: (p == p.max()) / (p == p.max()).sum()),
        "Here they share",
    ),
    "all ties": (lambda g, x, levels: spread(g, x, levels, lambda p: p == p.max()), "Here each gets all"),
    "last tie": (
        lambda g, x, levels: backward(g, x, levels, pick=lambda p: p.size - 1 - np.argmax(p.ravel()[::-1])),
        "not the last",
    ),
    "each level from 0": (lambda g, x, levels: backward(g, x, levels, restart=True), "starts at the first again"),
    "first level": (lambda g, x, levels: backward(g, x, levels[:1]), "Only the first level"),
    "last level": (lambda g, x, levels: backward(g[-(levels[-1] ** 2) :], x, levels[-1:]), "Only the last level"),
    "reversed": (lambda g, x, levels: backward(g, x, levels[::-1]), "sorted or reversed"),
    "no overlap": (lambda g, x, levels: backward(g, x, levels, bins=floors), "The end of a bin is rounded up"),
    "start up": (
        lambda g, x, levels: backward(
            g, x, levels, bins=lambda s, n: [(-(-i * s // n), -(-(i + 1) * s // n)) for i in range(n)]
        ),
        "The start of a bin is rounded down",
    ),
    "one more": (
        lambda g, x, levels: backward(g, x, levels, bins=lambda s, n: [(a, b + 1) for a, b in floors(s, n)]),
        "adding one",
    ),
    "even steps": (
        lambda g, x, levels: backward(
            g, x, levels, bins=lambda s, n: [(i * (s // n), (i + 1) * (s // n)) for i in range(n)]
        ),
        "Bins do not all hold",
    ),
    "mean": (lambda g, x, levels: spread(g, x, levels, lambda p: 1 / p.size), "gradient of a mean"),
    "sum": (lambda g, x, levels: spread(g, x, levels, lambda p: 1), "gradient of a sum"),
    "smallest": (lambda g, x, levels: backward(g, x, levels, pick=np.argmin), "The smallest cell"),
    "times x": (lambda g, x, levels: backward(g, x, levels) * x, "value of the cell"),
    "positive alone": (lambda g, x, levels: backward(g, x, levels) * (x > 0), "Only ReLU"),
    "ones": (lambda g, x, levels: backward(np.ones(len(g)), x, levels), "Multiply by `grad_output`"),
    "all zeros": (lambda g, x, levels: np.zeros(x.shape), "All zeros"),
    "as it came": (lambda g, x, levels: g, "The gradient has the shape of x"),
    "the vector": (lambda g, x, levels: vector(x, levels), "This is the vector itself"),
    "spoils grad_output": (lambda g, x, levels: (backward(g, x, levels), g.fill(0))[0], None),
    "whole numbers": (lambda g, x, levels: np.round(backward(g, x, levels)), None),
}

# --- levels ----------------------------------------------------------------------------------------------------------

CHOSEN = {
    "one": ((1,), "lie in the same bins"),
    "one and two": ((1, 2), "lie in the same bins"),
    "doubling": ((1, 2, 4), "lie in the same bins"),
    "four levels": ((1, 2, 3, 4), "lie in the same bins"),
    "three and four": ((1, 3, 4), "lie in the same bins"),
    "no level 1": ((5,), "holds the whole map"),
    "no level 1, six": ((6,), "holds the whole map"),
    "two and five": ((2, 5), "holds the whole map"),
    "too long": ((1, 2, 6), "costs most"),
    "every cell": ((1, 18), "costs most"),
    "seven": ((1, 7), "costs most"),
    "a number": (5, None),
    "no level": ((), None),
    "level 0": ((0, 5), None),
    "more than cells": ((1, 19), None),
    "halves": ((1, 2.5), None),
    "words": ("ab", None),
}

RIGHT = {
    "spatial-pyramid-pooling/starts": [starts, starts_by_sums],
    "spatial-pyramid-pooling/vector": [vector, vector_by_cells],
    "spatial-pyramid-pooling/backward": [backward, backward_level_by_level],
    "spatial-pyramid-pooling/levels": [(1, 5), [6, 1], (1, 2, 5), (np.int64(5), 1, 3)],
}
WRONG = {
    "spatial-pyramid-pooling/starts": STARTS,
    "spatial-pyramid-pooling/vector": VECTOR,
    "spatial-pyramid-pooling/backward": BACKWARD,
    "spatial-pyramid-pooling/levels": CHOSEN,
}
