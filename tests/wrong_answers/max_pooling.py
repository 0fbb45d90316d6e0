"""Answers to the exercises of "Max pooling"."""

import itertools

import numpy as np
import scipy.ndimage
import torch

# --- forward ---------------------------------------------------------------------------------------------------------


def max_loop(x, k, s, p, *, fill=-np.inf, reduce=np.max, start=None, corner=None, sides=2, last=0):
    """The right loop, and the places where it is easily got wrong."""
    x = np.pad(x, (p, p if sides == 2 else 0), constant_values=fill)
    y = np.zeros([max(0, (n - k) // s + 1 - last) for n in x.shape])
    for i, j in np.ndindex(y.shape):
        top, left = corner(i, j, k, s, p) if corner else (i * s, j * s)
        window = x[top : top + k, left : left + k]
        y[i, j] = reduce(window) if start is None else max(start, reduce(window))
    return y


def max_strided(x, k, s, p):
    padded = np.pad(x, p, constant_values=-np.inf)
    return np.lib.stride_tricks.sliding_window_view(padded, (k, k))[::s, ::s].max(axis=(2, 3))


def max_without_padding_the_map(x, k, s, p):
    rows, columns = ((n + 2 * p - k) // s + 1 for n in x.shape)
    y = []
    for i, j in itertools.product(range(rows), range(columns)):
        top, left = i * s - p, j * s - p
        y.append(x[max(top, 0) : top + k, max(left, 0) : left + k].max())
    return np.reshape(y, (rows, columns)).tolist()


def max_edge(x, k, s, p):
    """Right: with padding of at most half the kernel, a window holds the edge cell that its padding repeats."""
    return max_loop(np.pad(x, p, mode="edge"), k, s, 0)


def max_counted(x, k, s, p, count):
    x = np.pad(x, p, constant_values=-np.inf)
    rows, columns = (range(count(n)) for n in x.shape)
    return [[x[i * s : i * s + k, j * s : j * s + k].max() for j in columns] for i in rows]


def greater_than(window):
    best = -np.inf
    for value in window.flat:
        if value > best:
            best = value
    return best


def by_rows_only(x, k, s, p):
    x = np.pad(x, ((p, p), (0, 0)), constant_values=-np.inf)
    return max_loop(x, k, s, 0)


def sized_before_padding(x, k, s, p):
    height, width = ((n - k) // s + 1 for n in x.shape)
    return max_loop(x, k, s, p)[:height, :width]


def max_sized(x, k, s, p, *, pad=0, extra=0, back=0, first=-np.inf):
    """A map padded by `pad`, a size that counts `extra` cells more, windows `back` cells earlier, but after `first`."""
    x = np.pad(x, pad, constant_values=-np.inf)
    y = np.empty([(n + extra - k) // s + 1 for n in x.shape])
    for i, j in np.ndindex(y.shape):
        top, left = (max(n * s - back, first) for n in (i, j))
        y[i, j] = np.max(x[top : top + k, left : left + k])
    return y


def one_ring(x, k, s, p):
    return max_loop(np.pad(x, 1, constant_values=-np.inf) if p else x, k, s, 0)


def inserted_by_minus_p(x, k, s, p):
    padded = np.full([n + 2 * p for n in x.shape], -np.inf)
    padded[p:-p, p:-p] = x
    return max_loop(padded, k, s, 0)


def stacked_of_unequal_width(x, k, s, p):
    ring = np.full((p, x.shape[1] + 2 * p), -np.inf)
    return max_loop(np.vstack([ring, x, ring]), k, s, 0)


def to_range(x, k, s, p):
    x = np.pad(x, p, constant_values=-np.inf)
    starts = [range(0, n - k, s) for n in x.shape]
    return [[x[top : top + k, left : left + k].max() for left in starts[1]] for top in starts[0]]


def whole_output(x, k, s, p):
    right = max_loop(x, k, s, p)
    y = np.zeros(right.shape, dtype=int)
    for cell in np.ndindex(y.shape):
        y[cell] = right[cell]
    return y


def filtered_by_scipy(x, k, s, p):
    x = np.pad(x, p, constant_values=-np.inf)
    rows, columns = ((n - k) // s + 1 for n in x.shape)
    return scipy.ndimage.maximum_filter(x, size=k)[k // 2 :: s, k // 2 :: s][:rows, :columns]


def negative_cells(x, k, s, p):
    y = np.empty([(n + 2 * p - k) // s + 1 for n in x.shape])
    for i, j in np.ndindex(y.shape):
        rows, columns = (range(start * s - p, start * s - p + k) for start in (i, j))
        cells = [x[r, c] for r in rows for c in columns if r < x.shape[0] and c < x.shape[1]]
        y[i, j] = np.max(cells)
    return y


def of_three_axes(x, k, s, p):
    _, height, width = x.shape
    return max_loop(x.reshape(height, width), k, s, p)


def asks_whether(x, k, s, p):
    best = -np.inf
    if x > best:
        best = x
    return best


def not_yet(x, k, s, p):
    if p:
        raise ValueError("no padding yet")
    return max_loop(x, k, s, 0)


def spoiling(x, k, s, p):
    y = max_loop(x, k, s, p)
    x[np.isnan(x)] = 0
    x -= 1
    return y


FORWARD = {
    "zeros": (lambda x, k, s, p: max_loop(x, k, s, p, fill=0), "a zero would win"),
    "−1": (lambda x, k, s, p: max_loop(x, k, s, p, fill=-1), "Any other number, however low"),
    "−999": (lambda x, k, s, p: max_loop(x, k, s, p, fill=-999), "Any other number, however low"),
    "−10⁹": (lambda x, k, s, p: max_loop(x, k, s, p, fill=-1e9), "Any other number, however low"),
    "the least float": (
        lambda x, k, s, p: max_loop(x, k, s, p, fill=np.finfo(float).min),
        "Any other number, however low",
    ),
    "+inf": (lambda x, k, s, p: max_loop(x, k, s, p, fill=np.inf), "It is −inf"),
    "NaN": (lambda x, k, s, p: max_loop(x, k, s, p, fill=np.nan), "NaN as padding"),
    "mirrored": (lambda x, k, s, p: max_loop(np.pad(x, p, mode="reflect"), k, s, 0), "repeats no cells"),
    "the map's minimum": (lambda x, k, s, p: max_loop(x, k, s, p, fill=np.min(x)), "NaN as soon as one cell"),
    "nanmax": (lambda x, k, s, p: max_loop(x, k, s, p, reduce=np.nanmax), "A NaN in a window is its maximum"),
    "fmax": (
        lambda x, k, s, p: max_loop(x, k, s, p, reduce=lambda w: np.fmax.reduce(w, axis=None)),
        "A NaN in a window is its maximum",
    ),
    "greater than": (lambda x, k, s, p: max_loop(x, k, s, p, reduce=greater_than), "A NaN in a window is its maximum"),
    "Python's max": (
        lambda x, k, s, p: max_loop(x, k, s, p, reduce=lambda w: max(w.flatten())),
        "Python's `max`",
    ),
    "starts at 0": (lambda x, k, s, p: max_loop(x, k, s, p, start=0.0), "starts from 0"),
    "stride forgotten in the slice": (
        lambda x, k, s, p: max_loop(x, k, s, p, corner=lambda i, j, k, s, p: (i, j)),
        "begins at row i·stride",
    ),
    "as wide as the stride": (
        lambda x, k, s, p: max_loop(x, k, s, p, reduce=lambda w: w[:s, :s].max()),
        "takes `stride` of them",
    ),
    "one row and column short": (
        lambda x, k, s, p: max_loop(x, k, s, p, reduce=lambda w: w[:-1, :-1].max() if k > 1 else w.max()),
        "leaves out the last",
    ),
    "i and j exchanged": (
        lambda x, k, s, p: max_loop(x, k, s, p, corner=lambda i, j, k, s, p: (j * s, i * s)),
        "goes with the top of a window",
    ),
    "n // stride windows": (lambda x, k, s, p: max_counted(x, k, s, p, lambda n: n // s), "a window takes room"),
    "rounded up": (lambda x, k, s, p: max_counted(x, k, s, p, lambda n: -(-(n - k) // s) + 1), "round down"),
    "NaN made 0": (lambda x, k, s, p: max_loop(np.nan_to_num(x), k, s, p), "A NaN in a window is its maximum"),
    "padded with the maximum": (
        lambda x, k, s, p: max_loop(x, k, s, p, fill=np.nanmax(x)),
        "Any other number, however low",
    ),
    "whole numbers": (lambda x, k, s, p: np.nan_to_num(max_loop(x, k, s, p)).astype(int), "array of whole numbers"),
    "moves by the kernel": (
        lambda x, k, s, p: max_loop(x, k, k, p),
        "not by `kernel_size`",
    ),
    "padding twice": (
        lambda x, k, s, p: max_loop(x, k, s, p, corner=lambda i, j, k, s, p: (i * s - p, j * s - p)),
        "shifts the windows",
    ),
    "mean": (lambda x, k, s, p: max_loop(x, k, s, p, fill=0, reduce=np.mean), "This is the mean"),
    "largest magnitude": (
        lambda x, k, s, p: max_loop(x, k, s, p, fill=0, reduce=lambda w: w.flat[abs(w).argmax()]),
        "not their sizes",
    ),
    "minimum": (lambda x, k, s, p: max_loop(x, k, s, p, fill=np.inf, reduce=np.min), "This is the minimum"),
    "one side": (lambda x, k, s, p: max_loop(x, k, s, p, sides=1), "on both sides"),
    "rows only": (by_rows_only, "Rows and columns are padded"),
    "sized before padding": (sized_before_padding, "count them on the padded map"),
    "unchanged in other words": (lambda x, k, s, p: max_loop(x, k, s, 0), "what it gave before"),
    "transposed": (lambda x, k, s, p: max_loop(x, k, s, p).T, "swapped"),
    "last window missing": (lambda x, k, s, p: max_loop(x, k, s, p, last=1), "last window is missing"),
    "padding by the kernel": (lambda x, k, s, p: max_loop(x, k, s, k // 2), "as wide as `padding` says"),
    "one ring": (one_ring, "as wide as `padding` says"),
    "a ring even without padding": (lambda x, k, s, p: max_loop(x, k, s, 1), "as wide as `padding` says"),
    "twice the padding": (lambda x, k, s, p: max_sized(x, k, s, p, pad=2 * p), "as wide as `padding` says"),
    "padding in the size alone": (lambda x, k, s, p: max_sized(x, k, s, p, extra=2 * p), "the map has none"),
    "padding counted twice": (
        lambda x, k, s, p: max_sized(x, k, s, p, pad=p, extra=2 * p),
        "holds the padding already",
    ),
    "a negative start": (lambda x, k, s, p: max_sized(x, k, s, p, extra=2 * p, back=p), "counts from the end"),
    "negative cells": (negative_cells, "counts from the end"),
    "padded[p:-p]": (inserted_by_minus_p, "`-0` is 0"),
    "output padded": (lambda x, k, s, p: np.pad(max_sized(x, k, s, 0), p), "pads the output"),
    "output padded with −inf": (
        lambda x, k, s, p: np.pad(max_sized(x, k, s, 0), p, constant_values=-np.inf),
        "pads the output",
    ),
    "kernel of 2": (lambda x, k, s, p: max_loop(x, 2, s, p), "takes 2, whatever"),
    "padding added to the start": (
        lambda x, k, s, p: max_loop(x, k, s, p, corner=lambda i, j, k, s, p: (i * s + p, j * s + p)),
        "shifts the windows",
    ),
    "moved inside": (lambda x, k, s, p: max_sized(x, k, s, p, extra=2 * p, back=p, first=0), "moves it inside"),
    "range without + 1": (to_range, "last window is missing"),
    "array of whole numbers": (whole_output, "array of whole numbers"),
    "from the other side": (lambda x, k, s, p: max_loop(np.pad(x, p, mode="wrap"), k, s, 0), "from the other side"),
    "SciPy's maximum_filter": (filtered_by_scipy, "`maximum_filter`"),
    "constant_value": (lambda x, k, s, p: max_loop(np.pad(x, p, constant_value=-np.inf), k, s, 0), None),
    "three axes": (of_three_axes, None),
    "asks whether an array is greater": (asks_whether, None),
    "maximum of each column": (lambda x, k, s, p: max_loop(x, k, s, p, reduce=lambda w: w.max(axis=0)), None),
    "not yet": (not_yet, None),
    "rows of unequal width": (stacked_of_unequal_width, None),
    "strings": (lambda x, k, s, p: max_loop(x, k, s, p).astype(str), None),
    "spoils its argument": (spoiling, None),
}

# --- indices ---------------------------------------------------------------------------------------------------------


def indices_loop(x, k, s, *, find=np.argmax, order="C", whole=True, width=None):
    y = np.zeros([(n - k) // s + 1 for n in x.shape], dtype=int)
    for i, j in np.ndindex(y.shape):
        window = x[i * s : i * s + k, j * s : j * s + k]
        row, column = np.unravel_index(find(window.ravel(order=order)), window.shape, order=order)
        row, column = (i * s + row, j * s + column) if whole else (row, column)
        y[i, j] = row * (width or x.shape[1]) + column
    return y


def indices_number_cells(x, k, s):
    numbers = np.arange(x.size).reshape(x.shape)
    y = []
    for i in range(0, x.shape[0] - k + 1, s):
        row = []
        for j in range(0, x.shape[1] - k + 1, s):
            window = x[i : i + k, j : j + k].ravel()
            row.append(int(numbers[i : i + k, j : j + k].ravel()[window.argmax()]))
        y.append(row)
    return y


def indices_by_search(x, k, s, best=-np.inf, where=None):
    y = []
    for top, left in itertools.product(*(range(0, n - k + 1, s) for n in x.shape)):
        highest, index = best, top * x.shape[1] + left if where is None else where
        for row, column in itertools.product(range(top, top + k), range(left, left + k)):
            if x[row, column] > highest:
                highest, index = x[row, column], row * x.shape[1] + column
        y.append(index)
    return np.reshape(y, [(n - k) // s + 1 for n in x.shape])


def indices_exchanged(x, k, s):
    y = np.zeros([(n - k) // s + 1 for n in x.shape], dtype=int)
    for i, j in np.ndindex(y.shape):
        place = np.argmax(x[i * s : i * s + k, j * s : j * s + k])
        y[i, j] = (i * s + place % k) * x.shape[1] + j * s + place // k
    return y


def within_half(values):
    return np.flatnonzero(values > values.max() - 0.5)[0]


def last_argmax(values):
    return len(values) - 1 - np.argmax(values[::-1])


INDICES = {
    "place by the map's width": ({1: "x.shape[1]", 2: "x.shape[1]"}, "counts the cells of the window"),
    "row by the map's width": ({1: "x.shape[1]"}, "counts the cells of the window"),
    "column by the map's width": ({2: "x.shape[1]"}, "counts the cells of the window"),
    "place by the stride": ({1: "stride", 2: "stride"}, "counts the cells of the window"),
    "row by the stride": ({1: "stride"}, "counts the cells of the window"),
    "column by the stride": ({2: "stride"}, "counts the cells of the window"),
    "place by the output": ({1: "width", 2: "width"}, "counts the cells of the window"),
    "column by the output": ({2: "width"}, "counts the cells of the window"),
    "rows for columns": ({3: "x.shape[0]"}, "x.shape[0] counts rows"),
    "output's width": ({3: "width"}, "not of the output"),
    "output's height": ({3: "height"}, "not of the output"),
    "kernel for width": ({3: "kernel_size"}, "longer than a window"),
    "stride for width": ({3: "stride"}, "longer than a window"),
    "in the window": (lambda x, k, s: indices_loop(x, k, s, whole=False, width=k), "not of the window"),
    "last tie": (lambda x, k, s: indices_loop(x, k, s, find=last_argmax), "At a tie the first"),
    "column by column": (lambda x, k, s: indices_loop(x, k, s, order="F"), "column by column"),
    "column · height": (
        lambda x, k, s: (lambda y: y % x.shape[1] * x.shape[0] + y // x.shape[1])(indices_loop(x, k, s)),
        "row · width + column",
    ),
    "the values": (lambda x, k, s: max_loop(x, k, s, 0), "where it stands"),
    "of the minimum": (lambda x, k, s: indices_loop(-x, k, s), "index of the minimum"),
    "from 1": (lambda x, k, s: indices_loop(x, k, s) + 1, "not from 1"),
    "moves by the kernel": (lambda x, k, s: indices_loop(x, k, k), "not by `kernel_size`"),
    "column · width + row": (
        lambda x, k, s: (lambda y: y % x.shape[1] * x.shape[1] + y // x.shape[1])(indices_loop(x, k, s)),
        "row · width + column",
    ),
    "// and % exchanged": (indices_exchanged, "`//` counts the whole rows"),
    "first equal value": (
        lambda x, k, s: [[int(np.flatnonzero(x == v)[0]) for v in row] for row in max_loop(x, k, s, 0)],
        "may stand outside the window",
    ),
    "maximum of the map": (lambda x, k, s: indices_loop(x, k, s) * 0 + x.argmax(), "maximum of the whole map"),
    "starts at 0": (lambda x, k, s: indices_by_search(x, k, s, 0), "Start from −inf"),
    "starts at 0, and at cell 0": (lambda x, k, s: indices_by_search(x, k, s, 0, 0), "Start from −inf"),
    "starts at −10": (lambda x, k, s: indices_by_search(x, k, s, -10), "Start from −inf"),
    "starts at −100, and at cell 0": (lambda x, k, s: indices_by_search(x, k, s, -100, 0), "Start from −inf"),
    "small whole numbers": (lambda x, k, s: indices_loop(x.astype(int).astype(np.int8), k, s), "cut to whole numbers"),
    "within 0.5 of the maximum": (lambda x, k, s: indices_loop(x, k, s, find=within_half), "nearly as large"),
    "a width of 4": ({3: "4"}, "a row of it has x.shape[1] cells"),
    "a width less 1": ({3: "x.shape[1] - 1"}, "a row of it has x.shape[1] cells"),
    "a kernel of 2": ({1: "2", 2: "2"}, "counts the cells of the window"),
    "row by the map's height": ({1: "x.shape[0]"}, "counts the cells of the window"),
    "column by the map's height": ({2: "x.shape[0]"}, "counts the cells of the window"),
    "row by the kernel less 1": ({1: "kernel_size - 1"}, "counts the cells of the window"),
    "column by the kernel and 1": ({2: "kernel_size + 1"}, "counts the cells of the window"),
    "row by a shape": ({1: "x.shape"}, "counts the cells of the window"),
    "three wrong": ({1: "stride", 2: "stride", 3: "width"}, "counts the cells of the window"),
    "all zeros": (lambda x, k, s: indices_loop(x, k, s) * 0, "Every index is 0"),
    "floats": (lambda x, k, s: indices_loop(x, k, s).astype(float), None),
    "pairs": (lambda x, k, s: np.stack(np.divmod(indices_loop(x, k, s), x.shape[1])), None),
}

# --- backward --------------------------------------------------------------------------------------------------------


def tie_loop(
    g, x, k, s, *, find=np.argmax, order="C", add=True, ones=False, keep=None, step=None, local=False, dtype=float
):
    """The right loop, and the places where it is easily got wrong."""
    gradient = np.zeros(x.shape, dtype)
    for i, j in np.ndindex(g.shape):
        top, left = i * (step or s), j * (step or s)
        window = x[top : top + k, left : left + k]
        a, b = np.unravel_index(find(window.ravel(order=order)), window.shape, order=order)
        cell = (a, b) if local else (top + a, left + b)
        if keep is None or keep(x[cell]):
            value = 1 if ones else g[i, j]
            gradient[cell] = gradient[cell] + value if add else value
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


def scattered(g, x, indices):
    gradient = np.zeros(x.size)
    for index, value in zip(indices.ravel(), g.ravel()):
        gradient[index] += value
    return gradient.reshape(x.shape)


def tie_divided(g, x, k, s, by, exchanged=False):
    """The winner's place divided by a number of columns."""
    gradient = np.zeros(x.shape)
    for i, j in np.ndindex(g.shape):
        a, b = divmod(np.argmax(x[i * s : i * s + k, j * s : j * s + k]), by)
        a, b = (b, a) if exchanged else (a, b)
        gradient[i * s + a, j * s + b] += g[i, j]
    return gradient


def tie_returned_early(g, x, k, s):
    gradient = np.zeros(x.shape)
    for i in range(g.shape[0]):
        for j in range(g.shape[1]):
            a, b = divmod(np.argmax(x[i * s : i * s + k, j * s : j * s + k]), k)
            gradient[i * s + a, j * s + b] += g[i, j]
        return gradient


def quotients(g, x, k, s, step=1e-4):
    gradient = np.zeros(x.shape)
    for cell in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[cell] += step
        down[cell] -= step
        gradient[cell] = ((max_loop(up, k, s, 0) - max_loop(down, k, s, 0)) * g).sum() / (2 * step)
    return gradient.round(6)


def unpooled(g, x, k, s):
    gradient = np.zeros(x.size)
    gradient[indices_loop(x, k, s).ravel()] = max_loop(x, k, s, 0).ravel()
    return gradient.reshape(x.shape)


def tied(g, x, k, s, split=False, top=None):
    gradient = np.zeros(x.shape)
    for i, j in np.ndindex(g.shape):
        part = np.s_[i * s : i * s + k, j * s : j * s + k]
        mask = x[part] == (x[part].max() if top is None else top(x))
        gradient[part] += mask * g[i, j] / (mask.sum() if split else 1)
    return gradient


def spread(g, x, k, s, share):
    gradient = np.zeros(x.shape)
    for i, j in np.ndindex(g.shape):
        gradient[i * s : i * s + k, j * s : j * s + k] += share(g[i, j], x[i * s : i * s + k, j * s : j * s + k])
    return gradient


BACKWARD = {
    "last tie": (lambda *a: tie_loop(*a, find=last_argmax), "not to the last"),
    "column by column": (lambda *a: tie_loop(*a, order="F"), "column by column"),
    "every tie": (lambda *a: tied(*a), "not to every tied cell"),
    "split": (lambda *a: tied(*a, split=True), "not split"),
    "overwrites": (lambda *a: tie_loop(*a, add=False), "do not overwrite"),
    "stride forgotten in the slice": (lambda *a: tie_loop(*a, step=1), "begins at row i·stride"),
    "place in the window": (lambda *a: tie_loop(*a, local=True), "finds a place in the window"),
    "positive cells": (lambda *a: spread(*a, lambda g, w: g * (w > 0)), "Cells above zero matter to ReLU"),
    "only if above zero": (lambda *a: tie_loop(*a, keep=lambda v: v > 0), "Only ReLU looks at the sign"),
    "not below zero": (lambda *a: tie_loop(*a, keep=lambda v: v >= 0), "Only ReLU looks at the sign"),
    "mean": (lambda *a: spread(*a, lambda g, w: g / w.size), "backward of the mean"),
    "sum": (lambda *a: spread(*a, lambda g, w: g), "Only the maximum does"),
    "ones": (lambda *a: tie_loop(*a, ones=True), "Multiply by `grad_output`"),
    "all zeros": (lambda g, x, k, s: np.zeros(x.shape), "All zeros"),
    "times the maximum": (lambda g, x, k, s: tie_loop(g, x, k, s) * x, "does not depend on the maximum"),
    "smallest": (lambda g, x, k, s: tie_loop(g, -x, k, s), "This is the smallest"),
    "as it came": (lambda g, x, k, s: g, "has the shape of x"),
    "every cell, times its value": (lambda *a: spread(*a, lambda g, w: g * w), "This gives one to every cell"),
    "all to the map's maximum": (
        lambda g, x, k, s: np.bincount([x.argmax()] * g.size, g.ravel(), x.size).reshape(x.shape),
        "the maximum of the whole map",
    ),
    "maximum of the map": (lambda *a: tied(*a, top=np.max), "the maximum of the whole map"),
    "last window missing": (lambda g, x, k, s: tie_loop(g[:-1, :-1], x, k, s), "go through every output"),
    "largest magnitude": (lambda g, x, k, s: tie_loop(g, abs(x), k, s), "not their sizes"),
    "zeros of whole numbers": (lambda *a: tie_loop(*a, dtype=int), "begin with zeros of floats"),
    "int(g)": (lambda g, *a: tie_loop(np.trunc(g), *a), "begin with zeros of floats"),
    "not below zero after all": (lambda *a: np.maximum(tie_loop(*a), 0), "passes with its sign"),
    "without sign": (lambda g, *a: tie_loop(abs(g), *a), "passes with its sign"),
    "sign turned": (lambda *a: -tie_loop(*a), "passes with its sign"),
    "clipped": (lambda g, *a: tie_loop(g.clip(-1, 1), *a), "Nothing clips it"),
    "clipped at the end": (lambda *a: tie_loop(*a).clip(-1, 1), "Nothing clips it"),
    "float16": (lambda *a: tie_loop(*a, dtype=np.float16), "about three digits"),
    "row and column exchanged": (lambda g, x, k, s: tie_divided(g, x, k, s, k, True), "`//` counts the whole rows"),
    "divided by the map's width": (lambda g, x, k, s: tie_divided(g, x, k, s, x.shape[1]), "has kernel_size cells"),
    "divided by the stride": (lambda g, x, k, s: tie_divided(g, x, k, s, s), "has kernel_size cells"),
    "divided by 2": (lambda g, x, k, s: tie_divided(g, x, k, s, 2), "has kernel_size cells"),
    "arguments exchanged": (lambda g, x, k, s: tie_loop(x, g, k, s), "comes first"),
    "starts from x": (lambda g, x, k, s: tie_loop(g, x, k, s) + x, "begins with zeros"),
    "values put back": (unpooled, "unpooling"),
    "values put back and added": (lambda g, x, k, s: tie_loop(max_loop(x, k, s, 0), x, k, s), "unpooling"),
    "halves at ties": (quotients, "each tied cell half"),
    "returned after a row": (tie_returned_early, "Does a `return` stand inside"),
    "returned after a window": (
        lambda g, x, k, s: tie_loop(np.where(np.arange(g.size).reshape(g.shape), 0, g), x, k, s),
        "Does a `return` stand inside",
    ),
    "top left": (lambda *a: tie_loop(*a, find=lambda w: 0), "first cell of each window"),
    "starts at 0": (lambda g, x, k, s: scattered(g, x, indices_by_search(x, k, s, 0)), "Start from −inf"),
    "starts at −10": (lambda g, x, k, s: scattered(g, x, indices_by_search(x, k, s, -10)), "Start from −inf"),
    "starts at −100": (lambda g, x, k, s: scattered(g, x, indices_by_search(x, k, s, -100)), "Start from −inf"),
    "within 0.5 of the maximum": (lambda *a: tie_loop(*a, find=within_half), "nearly as large"),
    "not yet": (lambda g, *a: [][g.size] if g.size > 1 else tie_loop(g, *a), None),
    "spoils grad_output": (lambda g, x, k, s: (tie_loop(g, x, k, s), g.fill(0))[0], None),
}

# --- peaks -----------------------------------------------------------------------------------------------------------

PEAKS = {
    "side by side": ((2, 2, 0, 0.5), "keeps the size, if the kernel is odd"),
    "even kernel": ((2, 1, 1, 0.5), "keeps the size, if the kernel is odd"),
    "no padding": ((3, 1, 0, 0.55), "keeps the size, if the kernel is odd"),
    "kernel 3 by default": ((3, 3, 0, 0.5), "keeps the size, if the kernel is odd"),
    "no window": ((1, 1, 0, 0.55), "each cell is the largest of its window"),
    "small window, low threshold": ((3, 1, 1, 0.3), "A shoulder of a wide object"),
    "large window": ((7, 1, 3, 0.3), "A smaller window lets both stand"),
    "whole map": ((23, 1, 11, 0.3), "A smaller window lets both stand"),
    "no threshold": ((5, 1, 2, 0.0), "the threshold tells them"),
    "low threshold": ((5, 1, 2, 0.15), "the threshold tells them"),
    "high threshold": ((3, 1, 1, 0.65), "below the threshold"),
    "very high threshold": ((5, 1, 2, 0.85), "below the threshold"),
    "every local maximum": ((3, 1, 1, 0), "the threshold tells them"),
    "three numbers": ((3, 1, 1), None),
    "too much padding": ((3, 1, 2, 0.5), None),
    "a number": (3, None),
}

RIGHT = {
    "max-pooling/forward": [max_loop, max_strided, max_without_padding_the_map, max_edge],
    "max-pooling/indices": [indices_loop, indices_number_cells],
    "max-pooling/backward": [tie_loop, tie_search, lambda g, x, k, s: scattered(g, x, indices_loop(x, k, s))],
    "max-pooling/peaks": [(3, 1, 1, 0.6), (5, 1, 2, 0.3), np.array([5, 1, 2, 0.55]), [5.0, 1.0, 2, torch.tensor(0.55)]],
}
WRONG = {
    "max-pooling/forward": FORWARD,
    "max-pooling/indices": INDICES,
    "max-pooling/backward": BACKWARD,
    "max-pooling/peaks": PEAKS,
}
