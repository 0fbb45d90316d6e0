"""Exercises of the chapter "Fast pooling"."""

import operator

import numpy as np

from poolref.numpy import avg_pool, max_pool, min_pool, sum_pool
from poolref.regions import Window
from poolref.teaching.attempts.exercise import Demand, Design, Exercise
from poolref.teaching.attempts.inputs import fill, maps

STEPS = [(2, 2), (2, 1), (1, 1), (1, 2), (3, 1), (3, 2), (2, 3)]


# --- two passes: worked ---------------------------------------------------------------------------------------------


def two_pass_max(x, kernel_size, stride):
    """Return the maximum of every window of a 2-d map, with the given stride along both axes."""
    return max_pool(x, Window(kernel_size, stride))


def two_pass_max_by_one(x, kernel_size, stride):
    count = x.shape[0] - kernel_size + 1
    tall = x[:count].copy()
    for t in range(1, kernel_size):
        tall = np.maximum(tall, x[t : t + count])
    count = x.shape[1] - kernel_size + 1
    y = tall[:, :count].copy()
    for t in range(1, kernel_size):
        y = np.maximum(y, tall[:, t : t + count])
    return y


def passes(x, taps, strides, counts=None, spacing=1):
    """Two passes over the taps and with the stride of each axis; so many outputs in each, if `counts` says so."""
    for axis, (reach, s) in enumerate(zip(taps, strides, strict=True)):
        lines = np.moveaxis(x, axis, 0)
        starts = range(0, len(lines) - max(reach) * spacing, s)[: counts[axis] if counts else None]
        rows = [np.array([lines[i + t * spacing] for i in starts]) for t in reach]
        x = np.moveaxis(np.max(rows, axis=0), 0, axis)
    return x


def both(change):
    return lambda x, k, s: passes(x, *change(k, s))


# --- running mean: faded --------------------------------------------------------------------------------------------


def running_mean(x, kernel_size, stride):
    """Return the mean of every window along an axis, (n,) -> (outputs,)."""
    return avg_pool(x, Window(kernel_size, stride, ndim=1))


def running_mean_with_gaps(x, kernel_size, stride):
    sums = np.concatenate([[0], np.cumsum(x, dtype=np.float64)])
    starts = np.arange(0, len(x) - kernel_size + 1, ...)
    ends = starts + ...
    return (sums[ends] - sums[starts]) / ...


def axes(windows):
    """Yield (x, *window) for axes of 1 to 7 cells: distinct values, and many that are equal."""
    random = np.random.default_rng(0)
    for n in range(1, 8):
        for window in windows:
            if window[0] <= n + 1:
                yield fill(random.permutation(n) + 2, (n,)), *window
                yield fill(random.integers(-3, 4, n), (n,)), *window


# --- blocks: open ---------------------------------------------------------------------------------------------------


def block_maxima(x, kernel_size):
    """Return the running maxima of blocks of kernel_size cells, from both ends."""
    if kernel_size < 1:
        raise ValueError(f"kernel_size must be at least 1, got {kernel_size}")
    cuts = range(kernel_size, len(x), kernel_size)
    return np.stack([np.concatenate([way(block) for block in np.split(x, cuts)]) for way in (from_left, from_right)])


def from_left(block):
    return np.maximum.accumulate(block)


def from_right(block):
    return np.maximum.accumulate(block[::-1])[::-1]


def cut(x, cuts, left=from_left, right=from_right):
    """The two rows, of blocks that are cut at these cells, with one function for each row."""
    cuts = [c for c in cuts if 0 < c < len(x)]
    return np.stack([np.concatenate([way(block) for block in np.split(x, cuts)]) for way in (left, right)])


def blocks(x, k, **how):
    return cut(x, range(k, len(x), k), **how)


def blocks_backwards(x, k):
    """The row from the right, with the last block first."""
    return np.concatenate([from_right(block) for block in np.split(x, range(k, len(x), k))[::-1]])


def sliding(x, k):
    places = range(len(x))
    return np.array([[x[max(c - k + 1, 0) : c + 1].max() for c in places], [x[c : c + k].max() for c in places]])


# --- two layers: design ---------------------------------------------------------------------------------------------

MAPS, SIDE = 64, 112
LAYERS = ((3, 2), (15, 1))  # kernel size and stride
WAYS = ("im2col", "slices", "two passes", "running")
KEPT = {"indices": 8, "places": 1, "input": None}  # bytes for an output
MOST_COMPARISONS, MOST_SCRATCH, MOST_CALLS, MOST_KEPT = 7, 2**20, 1000, 1_000_000


def cost(way, k, s, n=SIDE):
    """Comparisons for an output, bytes of scratch for a map, and calls for a group of maps, of one way to pool."""
    m, blocks_ = (n - k) // s + 1, -(-n // k)
    line = 2 * (n - blocks_) + m
    return {
        "im2col": (k * k - 1, 4 * k * k * m * m, 2),
        "slices": (k * k - 1, 0, k * k),
        "two passes": ((k - 1) * (n + m) / m, 4 * m * n, 2 * k),
        "running": (line * (n + m) / m**2, 4 * (2 * n * n + m * n), 4 * k - 2),
    }[way]


def plan_demands(plan):
    """What is asked of ((way, maps at once), (way, maps at once), kept): comparisons, scratch, calls, bytes kept."""
    try:
        first, second, kept = plan
        layers = [(way, operator.index(many)) for way, many in (first, second)]
    except (TypeError, ValueError):
        raise ValueError(
            'A plan is two pairs of a way and a number of maps, and what to keep, such as (("slices", 64), '
            '("slices", 64), "indices").'
        ) from None
    for way, many in layers:
        if way not in WAYS:
            raise ValueError(f"A way is one of {', '.join(WAYS)}, not {way!r}.")
        if not 1 <= many <= MAPS:
            raise ValueError(f"From 1 to {MAPS} maps are handled at once, not {many}.")
    if not isinstance(kept, str) or kept not in KEPT:
        raise ValueError(f"What is kept is one of {', '.join(KEPT)}, not {kept!r}.")
    calls = 0
    for (way, many), (k, s) in zip(layers, LAYERS, strict=True):
        comparisons, scratch, each = cost(way, k, s)
        calls += each * -(-MAPS // many)
        yield Demand(
            f"at most {MOST_COMPARISONS} comparisons for an output with windows of {k} × {k}",
            f"{comparisons:.1f}",
            comparisons <= MOST_COMPARISONS,
            "Running maxima take the same number however large the window is; with a stride of 2 and small windows "
            "they visit cells more often than two passes do."
            if way == "running"
            else "Two passes need (k − 1)(s + 1). If that is too many, the window is large enough for running maxima."
            if way == "two passes"
            else "Window by window each output takes k² − 1. The windows overlap: take one axis after the other.",
        )
        yield Demand(
            f"at most {MOST_SCRATCH:,} bytes of scratch with windows of {k} × {k}",
            f"{scratch * many:,}",
            scratch * many <= MOST_SCRATCH,
            "Scratch grows with the number of maps that are handled at once: take fewer.",
        )
    yield Demand(
        f"at most {MOST_CALLS:,} calls of NumPy",
        f"{calls:,}",
        calls <= MOST_CALLS,
        "Every group of maps takes the same calls again: handle more maps at once.",
    )
    outputs = MAPS * ((SIDE - LAYERS[0][0]) // LAYERS[0][1] + 1) ** 2
    bytes_kept = 4 * MAPS * SIDE**2 if kept == "input" else KEPT[kept] * outputs
    yield Demand(
        f"at most {MOST_KEPT:,} bytes kept for the gradient",
        f"{bytes_kept:,}",
        bytes_kept <= MOST_KEPT,
        "An index of 64 bits takes twice as many bytes as the output. A place in a window of 9 cells fits 8 bits."
        if kept == "indices"
        else "With a stride of 2 the input has about four cells for each output, of 4 bytes each.",
    )


EXERCISES = [
    Exercise(
        "fast-pooling/two-passes",
        "worked",
        ("axis",),
        two_pass_max,
        lambda: maps(STEPS),
        given=two_pass_max_by_one,
        ideas={
            "The stride is missing along the columns.": both(lambda k, s: ((range(k), range(k)), (s, 1))),
            "The stride is missing along the rows.": both(lambda k, s: ((range(k), range(k)), (1, s))),
            "The taps of a window are neighbours. The stride lies between windows, not between taps.": (
                lambda x, k, s: passes(x, (range(k), range(k)), (1, 1), spacing=s),
                lambda x, k, s: passes(x, (range(k), range(k)), (s, s), spacing=s),
                lambda x, k, s: passes(x, (range(0, k, s),) * 2, (s, s), two_pass_max(x, k, s).shape),
            ),
            "A window has kernel_size taps along each axis. This leaves out the last.": (
                lambda x, k, s: passes(x, (range(max(k - 1, 1)),) * 2, (s, s), two_pass_max(x, k, s).shape)
            ),
            "A window has kernel_size taps. This takes stride of them.": (
                lambda x, k, s: passes(x, (range(s), range(s)), (s, s))
            ),
            "The window moves by `stride`, not by `kernel_size`.": lambda x, k, s: two_pass_max(x, k, k),
            "The last window is missing: along n cells there are (n − kernel_size) // stride + 1 of them.": (
                lambda x, k, s: two_pass_max(x, k, s)[:-1, :-1],
                lambda x, k, s: two_pass_max(x, k, s)[: (x.shape[0] - k) // s, : (x.shape[1] - k) // s],
            ),
            "The slices need the stride as their step. These are the first windows, moved by 1.": (
                lambda x, k, s: two_pass_max(x, k, 1)[tuple(map(slice, two_pass_max(x, k, s).shape))]
            ),
            "One of the axes has been strided twice.": (
                lambda x, k, s: two_pass_max(x, k, s)[::s],
                lambda x, k, s: two_pass_max(x, k, s)[:, ::s],
            ),
            "Start from the first tap. Starting from 0, negative cells are lost.": (
                lambda x, k, s: np.maximum(two_pass_max(x, k, s), 0)
            ),
            "The first window begins at the first cell.": (
                lambda x, k, s: two_pass_max(x, k, 1)[s - 1 :: s, s - 1 :: s],
                lambda x, k, s: two_pass_max(x[s:, s:], k, s),
                lambda x, k, s: two_pass_max(x[1:, 1:], k, s),
            ),
            "The second pass adds. It has to keep the larger one too.": (
                lambda x, k, s: sum_pool(max_pool(x, Window((k, 1), (s, 1))), Window((1, k), (1, s)))
            ),
            "This is the minimum.": lambda x, k, s: min_pool(x, Window(k, s)),
            "The second pass has to start from what the first has made, not from the map.": (
                lambda x, k, s: max_pool(x, Window((1, k), (s, s)))[: two_pass_max(x, k, s).shape[0]]
            ),
            "Only one of the two passes is there.": (
                lambda x, k, s: max_pool(x, Window((k, 1), (s, 1))),
                lambda x, k, s: max_pool(x, Window((1, k), (1, s))),
            ),
            "Rows and columns are swapped.": lambda x, k, s: two_pass_max(x, k, s).T,
        },
        circumstances={
            "a stride above 1": lambda x, k, s: s > 1,
            "more than one window": lambda x, k, s: two_pass_max(x, k, s).size > 1,
            "windows of more than one cell": lambda x, k, s: k > 1,
            "a map that is not square": lambda x, k, s: x.shape[0] != x.shape[1],
        },
    ),
    Exercise(
        "fast-pooling/mean",
        "faded",
        ("running", "claims"),
        running_mean,
        lambda: axes(STEPS),
        given=running_mean_with_gaps,
        gaps=("stride", "kernel_size", "kernel_size"),
        ideas={
            "From one window to the next is a step of `stride` cells.": (
                {1: "1"},
                {1: "kernel_size"},
                {1: "2"},
                {1: "stride + 1"},
            ),
            "A window that begins at cell c ends before cell c + kernel_size, where the later running sum is taken.": (
                {2: "kernel_size - 1"},
                {2: "kernel_size + 1"},
                {2: "stride"},
                {2: "1"},
            ),
            "A mean divides by the number of cells in a window.": ({3: "1"}, {3: "stride"}, {3: "len(x)"}, {3: "2"}),
            "Along one axis a window has kernel_size cells, not their square.": {3: "kernel_size**2"},
            "This is the maximum. A maximum cannot be had from differences.": (
                lambda x, k, s: max_pool(x, Window(k, s, ndim=1))
            ),
        },
        gap_ideas=(
            "From one window to the next is a step of `stride` cells.",
            "A window that begins at cell c ends before cell c + kernel_size, where the later running sum is taken.",
            "A mean divides by the number of cells in a window.",
        ),
        circumstances={
            "more than one window": lambda x, k, s: running_mean(x, k, s).size > 1,
            "windows of more than one cell": lambda x, k, s: k > 1,
            "a stride other than the kernel size": lambda x, k, s: s != k,
        },
    ),
    Exercise(
        "fast-pooling/blocks",
        "open",
        ("running", "gradient"),
        block_maxima,
        lambda: axes([(1,), (2,), (3,), (4,)]),
        ideas={
            "A running maximum begins anew with each block. This one runs through the whole axis.": (
                lambda x, k: cut(x, ())
            ),
            "The row from the right has to begin anew with each block too.": (
                lambda x, k: np.stack([blocks(x, k)[0], cut(x, ())[1]])
            ),
            "The row from the left has to begin anew with each block too.": (
                lambda x, k: np.stack([cut(x, ())[0], blocks(x, k)[1]])
            ),
            "Blocks are counted from the first cell, for both rows. A short block is the last.": (
                lambda x, k: cut(x, range(len(x) % k, len(x), k)),
                lambda x, k: np.stack([blocks(x, k)[0], blocks(x[::-1], k)[0][::-1]]),
            ),
            "The two rows are exchanged: the first runs from the left.": lambda x, k: blocks(x, k)[::-1],
            "The second row runs from the right. This one runs from the left.": (
                lambda x, k: blocks(x, k, right=from_left)
            ),
            "The second row belongs to the cells in the order of the axis. This one is turned round.": (
                lambda x, k: np.stack([blocks(x, k)[0], blocks(x, k)[1][::-1]]),
                lambda x, k: blocks(x, k, right=lambda b: np.maximum.accumulate(b[::-1])),
                lambda x, k: np.stack([blocks(x, k)[0], blocks_backwards(x, k)]),
            ),
            "These are running minima.": lambda x, k: -blocks(-x, k),
            "These are running sums.": lambda x, k: blocks(
                x, k, left=np.cumsum, right=lambda b: b[::-1].cumsum()[::-1]
            ),
            "A cell of a running maximum knows the cells so far, not the whole block.": (
                lambda x, k: blocks(x, k, left=lambda b: b * 0 + b.max(), right=lambda b: b * 0 + b.max())
            ),
            "A running maximum starts from the block's first cell. Starting from 0, negative cells are lost.": (
                lambda x, k: np.maximum(blocks(x, k), 0)
            ),
            "A running maximum compares with all cells so far, not with the last one only.": (
                lambda x, k: blocks(
                    x,
                    k,
                    left=lambda b: np.maximum(b, np.r_[b[:1], b[:-1]]),
                    right=lambda b: np.maximum(b, np.r_[b[1:], b[-1:]]),
                )
            ),
            "These are windows that end or begin at each cell. Blocks lie side by side.": sliding,
            "From the right, a block begins at its last cell. This row begins anew at its first.": (
                lambda x, k: np.stack([blocks(x, k)[0], cut(x, range(1, len(x), k))[1]])
            ),
            "A cell of a running maximum knows its own value, too.": (
                lambda x, k: blocks(
                    x,
                    k,
                    left=lambda b: from_left(np.r_[b[:1], b[:-1]]),
                    right=lambda b: from_right(np.r_[b[1:], b[-1:]]),
                )
            ),
            "Blocks hold kernel_size cells.": (
                lambda x, k: cut(x, np.cumsum([len(block) for block in np.array_split(x, k)])),
                lambda x, k: cut(x, range(k + 1, len(x), k + 1)),
                lambda x, k: cut(x, range(max(k - 1, 1), len(x), max(k - 1, 1))),
            ),
            "This is the axis as it was: nothing has been compared.": lambda x, k: np.stack([x, x]),
            "The last block counts, however short it is.": lambda x, k: blocks(x[: len(x) // k * k], k),
            "The rows have as many cells as the axis: a short last block is not filled up.": (
                lambda x, k: blocks(np.r_[x, np.full(-len(x) % k, -np.inf)], k),
                lambda x, k: blocks(np.r_[x, np.zeros(-len(x) % k)], k),
            ),
            "A short last block holds nothing but its cells. Zeros would win over negative ones.": (
                lambda x, k: blocks(np.r_[x, np.zeros(-len(x) % k)], k)[:, : len(x)]
            ),
        },
        circumstances={
            "more than one block": lambda x, k: len(x) > k,
            "a short last block": lambda x, k: len(x) % k != 0,
            "a negative number": lambda x, k: bool((x < 0).any()),
            "blocks of more than one cell": lambda x, k: k > 1,
        },
    ),
    Design(
        "fast-pooling/plan",
        ("choose", "gradient", "claims"),
        "Plan two poolings of 64 maps of 112 × 112 cells, with windows of 3 × 3 and stride 2 and of 15 × 15 and stride "
        "1: at most 7 comparisons for an output, 1,048,576 bytes of scratch, 1,000 calls and 1,000,000 bytes kept.",
        plan_demands,
    ),
]
