"""Answers to the exercises of "On the GPU"."""

import numpy as np

# --- floor -----------------------------------------------------------------------------------------------------------


def parts(maps, size, k, s, e, extra=-1):
    along = 1 + (size - k) // s
    outputs = along * along * maps
    return e * (maps * size * size + outputs), outputs * (k * k + extra)


def floor_by_max(maps, size, k, s, e, bandwidth, rate):
    moved, compared = parts(maps, size, k, s, e)
    return np.maximum(moved / bandwidth, compared / rate)


def floor_by_ridge(maps, size, k, s, e, bandwidth, rate):
    moved, compared = parts(maps, size, k, s, e)
    return moved / bandwidth if compared / moved < rate / bandwidth else compared / rate


def floor_by_midpoint(maps, size, k, s, e, bandwidth, rate):
    """The larger of two numbers is their mean and half their distance."""
    moved, compared = parts(maps, size, k, s, e)
    a, b = moved / bandwidth, compared / rate
    return (a + b + abs(a - b)) / 2


def with_parts(join, **how):
    return lambda maps, size, k, s, e, b, r: join(*parts(maps, size, k, s, e, **how), b, r)


FLOOR = {
    "nothing changed": (with_parts(lambda m, c, b, r: m / b), "before the change"),
    "sum": (with_parts(lambda m, c, b, r: m / b + c / r), "not their sum"),
    "shorter": (with_parts(lambda m, c, b, r: min(m / b, c / r)), "the shorter of the two"),
    "operations alone": (with_parts(lambda m, c, b, r: c / r), "the bytes are missing"),
    "a comparison too many": (with_parts(lambda m, c, b, r: max(m / b, c / r), extra=0), "takes k² − 1"),
    "along one axis": (
        lambda n, size, k, s, e, b, r: max(
            parts(n, size, k, s, e)[0] / b, n * ((size - k) // s + 1) ** 2 * (k - 1) / r
        ),
        "along each of two axes",
    ),
    "for each cell": (
        lambda n, size, k, s, e, b, r: max(parts(n, size, k, s, e)[0] / b, n * size**2 * (k * k - 1) / r),
        "not for each cell",
    ),
    "one window": (
        lambda n, size, k, s, e, b, r: max(parts(n, size, k, s, e)[0] / b, (k * k - 1) / r),
        "those of fewer",
    ),
    "operations in bytes": (
        lambda n, size, k, s, e, b, r: max(parts(n, size, k, s, e)[0] / b, e * parts(n, size, k, s, e)[1] / r),
        "not in bytes",
    ),
    "times the rate": (with_parts(lambda m, c, b, r: max(m / b, c * r)), "Divide by the rate"),
    "exchanged": (with_parts(lambda m, c, b, r: max(m / r, c / b)), "exchanged"),
    "numbers, not times": (with_parts(lambda m, c, b, r: max(m, c)), "Divide each by its rate"),
    "mean of both": (with_parts(lambda m, c, b, r: (m / b + c / r) / 2), "no bound"),
    "one axis after the other": (
        lambda n, size, k, s, e, b, r: max(
            parts(n, size, k, s, e)[0] / b, n * ((size - k) // s + 1) ** 2 * 2 * (k - 1) / r
        ),
        "along each of two axes",
    ),
    "one map": (
        lambda n, size, k, s, e, b, r: max(parts(n, size, k, s, e)[0] / b, parts(1, size, k, s, e)[1] / r),
        "those of fewer",
    ),
    "one row": (
        lambda n, size, k, s, e, b, r: max(parts(n, size, k, s, e)[0] / b, n * ((size - k) // s + 1) * (k * k - 1) / r),
        "those of fewer",
    ),
    "one rate": (with_parts(lambda m, c, b, r: max(m, c) / b), "both are divided by one"),
    "zero": (lambda n, size, k, s, e, b, r: 0.0, None),
}

# --- tile ------------------------------------------------------------------------------------------------------------


def tile_by_loop(x, k, s, program, block):
    found = []
    for o in range(program * block, (program + 1) * block):
        if o * s + k <= len(x):
            found.append(max(x[o * s : o * s + k]))
    return found


def tile_by_views(x, k, s, program, block):
    return np.lib.stride_tricks.sliding_window_view(x, k)[::s].max(1)[program * block :][:block]


def tile_by_slices(x, k, s, program, block):
    outputs = (len(x) - k) // s + 1
    return np.maximum.reduce([x[tap::s][:outputs] for tap in range(k)])[program * block : (program + 1) * block]


TILE = {
    "begins by programs": ({1: "1"}, "Program 1 begins"),
    "begins by strides": ({1: "stride"}, "Program 1 begins"),
    "begins by windows": ({1: "kernel_size"}, "Program 1 begins"),
    "begins a number early": ({1: "(block - 1)"}, "Program 1 begins"),
    "taps by strides": ({2: "stride"}, "The loop visits"),
    "last tap missing": ({2: "kernel_size - 1"}, "The loop visits"),
    "taps of the tile": ({2: "block"}, "The loop visits"),
    "no stride": ({3: "1"}, "From one output's window"),
    "stride of windows": ({3: "kernel_size"}, "From one output's window"),
    "stride of tiles": ({3: "block"}, "From one output's window"),
    "begins a number late": ({1: "(block + 1)"}, "Program 1 begins"),
    "begins by taps": ({1: "kernel_size * stride"}, "Program 1 begins"),
    "a tap too many": ({2: "kernel_size + 1"}, "The loop visits"),
    "taps of a window's outputs": ({2: "outputs"}, "The loop visits"),
    "stride of neighbours": ({3: "(stride - 1)"}, "From one output's window"),
    "with the tile's rest": (
        lambda x, k, s, program, block: np.pad(
            found := tile_by_views(x, k, s, program, block), (0, block - len(found)), constant_values=-np.inf
        ),
        "no −∞ is one",
    ),
    "one tap": ({2: "1"}, "The loop visits"),
    "whole output": (
        lambda x, k, s, program, block: np.lib.stride_tricks.sliding_window_view(x, k)[::s].max(1),
        "the whole output",
    ),
    "minimum": (
        lambda x, k, s, program, block: np.lib.stride_tricks.sliding_window_view(x, k)[::s].min(1)[program * block :][
            :block
        ],
        "the minimum",
    ),
    "zeros": (lambda x, k, s, program, block: np.zeros(len(tile_by_views(x, k, s, program, block))), None),
}

# --- owners ----------------------------------------------------------------------------------------------------------


def by_scatter(g, c, n, k, s):
    gradient = np.zeros(n)
    np.add.at(gradient, np.arange(len(c)) * s + c, g)
    return gradient


def by_owners(g, c, n, k, s, *, tap_of=lambda t: t, won=True, stop=False, scale=1.0, from_tap=0, to_tap=0, exact=True):
    """The right loop over cells and taps, and the places where it is easily got wrong."""
    gradient = [0.0] * n
    for i in range(n):
        for t in range(from_tap, k + to_tap):
            if exact and (i - t) % s:
                continue
            o = (i - t) // s
            if 0 <= o < len(c) and (c[o] == tap_of(t) or not won):
                gradient[i] += scale * g[o]
                if stop:
                    break
    return np.array(gradient)


def by_masks(g, c, n, k, s):
    o = np.arange(len(c))
    return np.array([np.sum(g[o * s + c == i]) for i in range(n)])


def by_bincount(g, c, n, k, s):
    return np.bincount(np.arange(len(c)) * s + c, weights=g, minlength=n)


def by_taps(g, c, n, k, s):
    gradient = np.zeros(n)
    for t in range(k):
        gradient[t : t + s * (len(c) - 1) + 1 : s] += np.where(np.asarray(c) == t, g, 0)
    return gradient


def put(cell, add=True):
    def gradient(g, c, n, k, s):
        out = np.zeros(n)
        for o in range(len(c)):
            i = cell(o, c[o], k, s)
            if 0 <= i < n:
                out[i] = out[i] * add + g[o]
        return out

    return gradient


OWNERS = {
    "covers": (put(lambda o, t, k, s: o * s + t, add=False), "This keeps one of them"),
    "stops": (lambda *a: by_owners(*a, stop=True), "This keeps one of them"),
    "no stride": (put(lambda o, t, k, s: o + t), "The stride is missing"),
    "stride at the tap": (put(lambda o, t, k, s: o + t * s), "The stride is missing"),
    "by windows": (put(lambda o, t, k, s: o * k + t), "not by `kernel_size`"),
    "tap as a place": (put(lambda o, t, k, s: t), "no place on the axis"),
    "all taps": (lambda *a: by_owners(*a, won=False), "Compare the tap"),
    "first cells": (put(lambda o, t, k, s: o * s), "first cell of each window"),
    "mean": (lambda g, c, n, k, s: by_owners(g, c, n, k, s, won=False, scale=1 / k), "gradient of the mean"),
    "shared": (lambda g, c, n, k, s: by_owners(g, c, n, k, s, scale=1 / k), "not a part for each tap"),
    "no remainder": (lambda *a: by_owners(*a, exact=False), "a multiple of the stride"),
    "last tap missing": (lambda *a: by_owners(*a, to_tap=-1), "leaves out the last"),
    "first tap missing": (lambda *a: by_owners(*a, from_tap=1), "leaves out the first"),
    "a cell late": (put(lambda o, t, k, s: o * s + t + 1), "one cell to the right"),
    "a cell early": (put(lambda o, t, k, s: o * s + t - 1), "one cell to the left"),
    "taps from the right": (put(lambda o, t, k, s: o * s + k - 1 - t), "These run back"),
    "wins counted": (lambda g, c, n, k, s: by_scatter(np.ones(len(c)), c, n, k, s), "counts wins"),
    "magnitudes": (lambda g, c, n, k, s: by_scatter(np.abs(g), c, n, k, s), "keeps its sign"),
    "mean of arrivals": (
        lambda g, c, n, k, s: by_scatter(g, c, n, k, s) / np.maximum(by_scatter(np.ones(len(c)), c, n, k, s), 1),
        "not a mean of what arrives",
    ),
    "one window a cell": (
        lambda g, c, n, k, s: np.array(
            [g[i // s] if i // s < len(c) and c[i // s] == i % s else 0.0 for i in range(n)]
        ),
        "Ask for every tap",
    ),
    "largest arrives": (
        lambda g, c, n, k, s: np.array(
            [max((g[o] for o in range(len(c)) if o * s + c[o] == i), default=0.0) for i in range(n)]
        ),
        "This keeps one of them",
    ),
    "zeros": (lambda g, c, n, k, s: np.zeros(n), "All zeros"),
    "as many as outputs": (lambda g, c, n, k, s: g, None),
    "nothing": (lambda g, c, n, k, s: None, None),
}

# --- plan ------------------------------------------------------------------------------------------------------------

PLAN = {
    "one row": ((1, 8, 32, "a byte"), "Larger and squarer"),
    "one long row": ((1, 64, 64, "a byte"), "Larger and squarer"),
    "whole maps": ((56, 64, 1024, "a byte"), "Smaller tiles"),
    "columns of 56": ((4, 56, 64, "a byte"), "arange"),
    "half a warp": ((4, 8, 16, "a byte"), "warps of 32"),
    "beyond the edge": ((16, 16, 64, "a byte"), "Tiles are cut off"),
    "very wide": ((8, 64, 64, "a byte"), "Too many outputs"),
    "idle threads": ((8, 8, 128, "a byte"), "idle"),
    "an index": ((8, 8, 32, "an index"), "How many bytes does it need"),
    "the map": ((8, 8, 32, "the map"), "How many bytes does it need"),
    "two rows": ((2, 16, 32, "a byte"), "Larger and squarer"),
    "half maps": ((28, 16, 128, "a byte"), "Smaller tiles"),
    "one and a half warps": ((8, 8, 48, "a byte"), "warps of 32"),
    "rows beyond the edge": ((13, 16, 64, "a byte"), "Tiles are cut off"),
    "a float": ((8.0, 8, 32, "a byte"), None),
    "nothing kept": ((8, 8, 32, "nothing"), None),
    "three numbers": ((8, 8, 32), None),
    "no rows": ((0, 8, 32, "a byte"), None),
    "a word": ("a byte", None),
}

RIGHT = {
    "on-the-gpu/floor": [floor_by_max, floor_by_ridge, floor_by_midpoint],
    "on-the-gpu/tile": [tile_by_loop, tile_by_views, tile_by_slices],
    "on-the-gpu/owners": [by_scatter, by_owners, by_masks, by_bincount, by_taps],
    "on-the-gpu/plan": [(8, 8, 32, "a byte"), (7, 8, 32, "a byte"), [4, np.int64(16), 64, "a byte"]],
}
WRONG = {
    "on-the-gpu/floor": FLOOR,
    "on-the-gpu/tile": TILE,
    "on-the-gpu/owners": OWNERS,
    "on-the-gpu/plan": PLAN,
}
