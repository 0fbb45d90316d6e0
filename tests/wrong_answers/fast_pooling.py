"""Answers to the exercises of "Fast pooling"."""

import numpy as np

# --- two passes ------------------------------------------------------------------------------------------------------


def by_slices(x, k, s, *, strides=None, first=0, taps=None, space=1, count=None, swap=False, ufuncs=None):
    """The right two passes by slices, and the places where they are easily got wrong."""
    for axis in (1, 0) if swap else (0, 1):
        x = np.moveaxis(x, axis, 0)
        step = strides[axis] if strides else s
        m = count(len(x)) if count else (len(x) - k) // step + 1
        y = x[first : first + step * (m - 1) + 1 : step].copy()
        for t in range(1, taps or k):
            ufunc = (ufuncs or (np.maximum, np.maximum))[axis]
            part = x[first + t * space : first + t * space + step * (m - 1) + 1 : step]
            y = ufunc(y[: len(part)], part[: len(y)])
        x = np.moveaxis(y, 0, axis)
    return x


def columns_first(x, k, s):
    return by_slices(x, k, s, swap=True)


def by_views(x, k, s):
    view = np.lib.stride_tricks.sliding_window_view
    tall = view(x, k, axis=0)[::s].max(-1)
    return view(tall, k, axis=1)[:, ::s].max(-1).tolist()


def all_then_dropped(x, k, s):
    return by_slices(x, k, 1)[::s, ::s]


def turned_between(x, k, s):
    def one(rows):
        return np.stack([rows[c : c + k].max(0) for c in range(0, len(rows) - k + 1, s)])

    return one(one(x).T).T


def of_python(x, k, s):
    rows, columns = (range(0, n - k + 1, s) for n in x.shape)
    return [[max(cell for row in x[i : i + k] for cell in row[j : j + k]) for j in columns] for i in rows]


def in_place(x, k, s):
    """Wrong: the first pass overwrites rows that later taps read."""
    n = len(x) - k + 1
    tall = x[:n:s]
    for t in range(1, k):
        np.maximum(tall, x[t : t + n : s], out=tall)
    m = x.shape[1] - k + 1
    return np.max([tall[:, t : t + m : s] for t in range(k)], axis=0)


PASSES = {
    "no stride": (lambda x, k, s: by_slices(x, k, 1), "before the change"),
    "stride of rows only": (lambda x, k, s: by_slices(x, k, s, strides=(s, 1)), "missing along the columns"),
    "stride of columns only": (lambda x, k, s: by_slices(x, k, s, strides=(1, s)), "missing along the rows"),
    "stride between taps": (
        lambda x, k, s: np.max(
            [
                x[a * s : a * s + x.shape[0] - (k - 1) * s, b * s : b * s + x.shape[1] - (k - 1) * s]
                for a in range(k)
                for b in range(k)
            ],
            axis=0,
        ),
        "not between taps",
    ),
    "a tap short": (lambda x, k, s: by_slices(x, k, s, taps=max(k - 1, 1)), "leaves out the last"),
    "moves by the kernel": (lambda x, k, s: by_slices(x, k, k), "not by `kernel_size`"),
    "a window short": (lambda x, k, s: by_slices(x, k, s, count=lambda n: (n - k) // s), "The last window is missing"),
    "adds in the second pass": (
        lambda x, k, s: by_slices(x, k, s, ufuncs=(np.maximum, np.add)),
        "The second pass adds",
    ),
    "minimum": (lambda x, k, s: by_slices(x, k, s, ufuncs=(np.minimum, np.minimum)), "This is the minimum"),
    "every s-th tap": (
        lambda x, k, s: np.max(
            [
                x[a : a + x.shape[0] - k + 1 : s, b : b + x.shape[1] - k + 1 : s]
                for a in range(0, k, s)
                for b in range(0, k, s)
            ],
            axis=0,
        ),
        "not between taps",
    ),
    "as many windows, moved by 1": (
        lambda x, k, s: by_slices(x, k, 1)[: (x.shape[0] - k) // s + 1, : (x.shape[1] - k) // s + 1],
        "need the stride as their step",
    ),
    "rows strided in both passes": (lambda x, k, s: by_slices(x, k, s)[::s], "strided twice"),
    "from zeros": (lambda x, k, s: np.maximum(by_slices(x, k, s), 0), "Starting from 0"),
    "begins late": (lambda x, k, s: by_slices(x, k, 1)[s - 1 :: s, s - 1 :: s], "begins at the first cell"),
    "square": (lambda x, k, s: by_slices(x, k, s)[:, : (x.shape[0] - k) // s + 1], None),
    "means in the second pass": (
        lambda x, k, s: np.lib.stride_tricks.sliding_window_view(
            np.lib.stride_tricks.sliding_window_view(x, k, axis=0)[::s].max(-1), k, axis=1
        )[:, ::s].mean(-1),
        None,
    ),
    "in place": (in_place, None),
    "no rows": (lambda x, k, s: by_slices(x, k, s)[:0], None),
    "transposed": (lambda x, k, s: by_slices(x, k, s).T, "swapped"),
    "all zeros": (lambda x, k, s: by_slices(x, k, s) * 0, None),
    "one more": (lambda x, k, s: by_slices(x, k, s) + 1, None),
}

# --- running mean ----------------------------------------------------------------------------------------------------


def mean_of_windows(x, k, s):
    return np.lib.stride_tricks.sliding_window_view(x, k)[::s].mean(-1)


def mean_that_slides(x, k, s):
    total, means = x[:k].sum(), [x[:k].mean()]
    for c in range(k, len(x)):
        total += x[c] - x[c - k]
        means.append(total / k)
    return means[::s]


def mean_by_convolution(x, k, s):
    return np.convolve(x, np.full(k, 1 / k), "valid")[::s]


MEAN = {
    "moves by 1": ({1: "1"}, "From one window to the next"),
    "moves by the kernel": ({1: "kernel_size"}, "From one window to the next"),
    "a cell early": ({2: "kernel_size - 1"}, "ends before cell c + kernel_size"),
    "a cell late": ({2: "kernel_size + 1"}, "ends before cell c + kernel_size"),
    "from the stride": ({2: "stride"}, "ends before cell c + kernel_size"),
    "no division": ({3: "1"}, "A mean divides"),
    "by the stride": ({3: "stride"}, "A mean divides"),
    "by all cells": ({3: "len(x)"}, "A mean divides"),
    "by the square": ({3: "kernel_size**2"}, "not their square"),
    "step of what is left": ({1: "kernel_size - stride + 1"}, "From one window to the next"),
    "ends between windows": ({2: "stride * kernel_size"}, "ends before cell c + kernel_size"),
    "by the windows": ({3: "len(starts)"}, "A mean divides"),
    "padded": (lambda x, k, s: np.convolve(x, np.full(k, 1 / k), "same")[::s], None),
    "median": (lambda x, k, s: np.median(np.lib.stride_tricks.sliding_window_view(x, k)[::s], -1), None),
    "all zeros": (lambda x, k, s: mean_of_windows(x, k, s) * 0, None),
    "maximum": (lambda x, k, s: np.lib.stride_tricks.sliding_window_view(x, k)[::s].max(-1), "This is the maximum"),
}

# --- blocks ----------------------------------------------------------------------------------------------------------


def running(x, k, *, start=None, anew=(True, True), better=max, offset=0, remember=True):
    """The right loops over cells, and the places where they are easily got wrong."""
    rows = []
    for row, order in enumerate((range(len(x)), range(len(x) - 1, -1, -1))):
        so_far, out = None, np.empty(len(x))
        for c in order:
            edge = (c - offset) % k == 0 if row == 0 else (c + 1 - offset) % k == 0
            if so_far is None or (edge and anew[row]):
                so_far = x[c] if start is None else better(start, x[c])
                out[c] = so_far
            else:
                out[c] = better(so_far, x[c])
                so_far = out[c] if remember else x[c]
        rows.append(out)
    return np.array(rows)


def by_reshape(x, k):
    padded = np.r_[x, np.full(-len(x) % k, -np.inf)].reshape(-1, k)
    both = np.maximum.accumulate(padded, 1), np.maximum.accumulate(padded[:, ::-1], 1)[:, ::-1]
    return [row.ravel()[: len(x)].tolist() for row in both]


def by_definition(x, k):
    n = len(x)
    left = [x[c // k * k : c + 1].max() for c in range(n)]
    return np.array([left, [x[c : min(n, c // k * k + k)].max() for c in range(n)]])


def by_comparisons(x, k):
    """Whether a cell lies in the same block, and on which side, for every pair of cells."""
    place = np.arange(len(x))
    same, earlier = place[:, None] // k == place // k, place <= place[:, None]
    return [np.where(same & side, x, -np.inf).max(1) for side in (earlier, earlier.T)]


BLOCKS = {
    "never anew": (lambda x, k: running(x, k, anew=(False, False)), "begins anew with each block"),
    "left never anew": (lambda x, k: running(x, k, anew=(False, True)), "The row from the left"),
    "right never anew": (lambda x, k: running(x, k, anew=(True, False)), "The row from the right"),
    "blocks from the end": (lambda x, k: running(x, k, offset=len(x) % k), "counted from the first cell"),
    "each row from its own end": (
        lambda x, k: np.array([running(x, k)[0], running(x[::-1], k)[0][::-1]]),
        "counted from the first cell",
    ),
    "exchanged": (lambda x, k: running(x, k)[::-1], "exchanged"),
    "left twice": (lambda x, k: running(x, k)[[0, 0]], "The second row runs from the right"),
    "right turned round": (
        lambda x, k: np.array([running(x, k)[0], running(x, k)[1][::-1]]),
        "turned round",
    ),
    "minima": (lambda x, k: running(x, k, better=min), "running minima"),
    "sums": (lambda x, k: running(x, k, better=lambda a, b: a + b), "running sums"),
    "from zero": (lambda x, k: np.maximum(running(x, k), 0), "Starting from 0"),
    "neighbours": (lambda x, k: running(x, k, remember=False), "not with the last one only"),
    "blocks one longer": (lambda x, k: running(x, k + 1), "Blocks hold kernel_size cells"),
    "blocks one shorter": (lambda x, k: running(x, max(k - 1, 1)), "Blocks hold kernel_size cells"),
    "nothing": (lambda x, k: np.array([x, x]), "nothing has been compared"),
    "last block dropped": (lambda x, k: running(x[: len(x) // k * k], k), "however short"),
    "filled up": (lambda x, k: running(np.r_[x, np.full(-len(x) % k, -np.inf)], k), "not filled up"),
    "filled with zeros": (
        lambda x, k: running(np.r_[x, np.zeros(-len(x) % k)], k)[:, : len(x)],
        "Zeros would win",
    ),
    "windows": (
        lambda x, k: np.array(
            [[max(x[max(0, c - k + 1) : c + 1]) for c in range(len(x))], [max(x[c : c + k]) for c in range(len(x))]]
        ),
        "Blocks lie side by side",
    ),
    "right begins anew at the first cell": (
        lambda x, k: np.array([running(x, k)[0], running(x, k, offset=1)[1]]),
        "begins at its last cell",
    ),
    "without the cell itself": (
        lambda x, k: np.array(
            [
                [max(x[c // k * k : c], default=x[c]) for c in range(len(x))],
                [max(x[c + 1 : c // k * k + k], default=x[c]) for c in range(len(x))],
            ]
        ),
        "knows its own value",
    ),
    "so many blocks": (
        lambda x, k: np.hstack([running(block, len(block)) for block in np.array_split(x, k) if len(block)]),
        "Blocks hold kernel_size cells",
    ),
    "last block first": (
        lambda x, k: np.array(
            [running(x, k)[0], np.hstack([running(x[c : c + k], k)[1] for c in range(0, len(x), k)][::-1])]
        ),
        "turned round",
    ),
    "two columns": (lambda x, k: running(x, k).T, None),
    "one row": (lambda x, k: running(x, k)[0], None),
    "all zeros": (lambda x, k: running(x, k) * 0, None),
}

# --- plan ------------------------------------------------------------------------------------------------------------

PLAN = {
    "slices": ((("slices", 64), ("running", 6), "places"), "Window by window"),
    "im2col": ((("im2col", 1), ("running", 6), "places"), "Window by window"),
    "running for small windows": ((("running", 4), ("running", 6), "places"), "visit cells more often"),
    "two passes for large windows": ((("two passes", 8), ("two passes", 8), "places"), "large enough for running"),
    "too many maps": ((("two passes", 64), ("running", 6), "places"), "take fewer"),
    "too many maps later": ((("two passes", 16), ("running", 8), "places"), "take fewer"),
    "one map at a time": ((("two passes", 1), ("running", 1), "places"), "handle more maps"),
    "three maps at a time": ((("two passes", 16), ("running", 3), "places"), "handle more maps"),
    "indices": ((("two passes", 16), ("running", 6), "indices"), "fits 8 bits"),
    "input": ((("two passes", 16), ("running", 6), "input"), "about four cells for each output"),
    "no pair": (("two passes", "running", "places"), None),
    "no way": ((("loop", 1), ("running", 6), "places"), None),
    "no maps": ((("two passes", 0), ("running", 6), "places"), None),
    "slices, and too many calls": ((("slices", 1), ("two passes", 1), "places"), "Window by window"),
    "running for both": ((("running", 3), ("two passes", 20), "input"), "visit cells more often"),
    "a map too many": ((("two passes", 43), ("running", 7), "places"), "take fewer"),
    "numbers first": (((16, "two passes"), (6, "running"), "places"), None),
    "kept in a list": ((("two passes", 16), ("running", 6), ["places"]), None),
    "nothing kept": ((("two passes", 16), ("running", 6), None), None),
}

RIGHT = {
    "fast-pooling/two-passes": [by_slices, columns_first, by_views, all_then_dropped, turned_between, of_python],
    "fast-pooling/mean": [mean_of_windows, mean_that_slides, mean_by_convolution],
    "fast-pooling/blocks": [running, by_reshape, by_definition, by_comparisons],
    "fast-pooling/plan": [
        (("two passes", 16), ("running", 6), "places"),
        [["two passes", np.int64(42)], ["running", 7], "places"],
        (["two passes", 5], ("running", 5), "places"),
    ],
}
WRONG = {
    "fast-pooling/two-passes": PASSES,
    "fast-pooling/mean": MEAN,
    "fast-pooling/blocks": BLOCKS,
    "fast-pooling/plan": PLAN,
}
