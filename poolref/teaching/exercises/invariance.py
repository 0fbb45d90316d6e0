"""Exercises of the chapter "Invariance"."""

import operator
from functools import cache
from itertools import product

import numpy as np

from poolref.numpy import avg_pool, blur_pool_backward, max_blur_pool, max_pool, min_pool
from poolref.regions import Window
from poolref.teaching.attempts.exercise import Demand, Design, Exercise
from poolref.teaching.attempts.inputs import fill

FILTER = (1 / 4, 1 / 2, 1 / 4)


def rows(lengths, *settings):
    """Yield (row, *setting): rows of distinct numbers, of ties, and of one bright cell at each place."""
    random = np.random.default_rng(0)
    for n, setting in product(lengths, settings):
        yield fill(random.permutation(n) - 2, n), *setting
        yield fill(random.integers(0, 2, n), n), *setting
        yield fill(random.integers(-3, 4, n), n), *setting
    for n, setting in product(lengths, settings):
        for bright in np.eye(n):
            yield bright, *setting


# --- max-blur pooling: worked ---------------------------------------------------------------------------------------


def max_blur_row(x, stride):
    """Return the max-blur pooling of a row: largest of 2 neighbours, filter 1/4 1/2 1/4, mirrored edges, stride."""
    if len(x) < 3:
        raise ValueError("a row of maxima has to have a neighbour to be mirrored")
    return max_blur_pool(x, 2, 3, stride, ndim=1)


def max_blur_row_padded_with_zeros(x, stride):
    largest = np.maximum(x[:-1], x[1:])
    padded = np.pad(largest, 1)
    smooth = padded[:-2] / 4 + padded[1:-1] / 2 + padded[2:] / 4
    return smooth[::stride]


def blurred(x, weights=FILTER, mode="reflect"):
    """The row smoothed by three weights, at every cell."""
    padded = np.pad(x, 1, mode=mode)
    return sum(weight * padded[tap : tap + len(x)] for tap, weight in enumerate(weights))


def pairs(x, reduce=np.maximum):
    return reduce(x[:-1], x[1:])


# --- gradient of blur pooling: faded --------------------------------------------------------------------------------


def blur_row_backward(grad_output, n, stride):
    """Return the gradient of blur pooling with respect to its row of n cells: filter 1/4 1/2 1/4, mirrored edges."""
    return blur_pool_backward(grad_output, np.zeros(n), 3, stride, ndim=1)


def blur_row_backward_with_gaps(grad_output, n, stride):
    padded = np.zeros(n + 2)
    for i in range(len(grad_output)):
        for tap, weight in enumerate((1 / 4, 1 / 2, 1 / 4)):
            cell = i * ... + tap
            padded[cell] += weight * ...
    gradient = padded[1:-1]
    gradient[1] += ...
    gradient[-2] += padded[-1]
    return gradient


def arriving(n, stride):
    if n < 2 or stride < 1:
        raise ValueError("a row that can be mirrored, and a stride")
    return fill(np.arange(1, (n - 1) // stride + 2), (n - 1) // stride + 1), n, stride


# --- what a shift changes: open -------------------------------------------------------------------------------------


def cells_that_change(x, kernel_size, stride, cells):
    """Return how many cells of the max-pooled row change when the row moves right by `cells`; zeros come in."""
    if not 0 < cells < len(x):
        raise ValueError("the row has to move, and not out of sight")
    window = Window(kernel_size, stride, ndim=1)
    return int(np.sum(max_pool(x, window) != max_pool(moved(x, cells), window)))


def moved(x, cells):
    return np.concatenate([np.zeros(cells), x[:-cells]])


def counted(move=moved, pool=max_pool, compare=lambda before, after: np.sum(before != after)):
    """The count, wrong in the one way that an argument says."""

    def count(x, kernel_size, stride, cells):
        window = Window(kernel_size, stride, ndim=1)
        return int(compare(pool(x, window), pool(move(x, cells), window)))

    return count


def unpooled(x, kernel_size, stride, cells):
    return int(np.sum(x != moved(x, cells)))


def compared_with_the_moved_output(x, kernel_size, stride, cells):
    before, after = (max_pool(row, Window(kernel_size, stride, ndim=1)) for row in (x, moved(x, cells)))
    return int(np.sum(after != (moved(before, cells) if cells < len(before) else 0)))


# --- a stage for digits: design -------------------------------------------------------------------------------------


@cache
def digits_and_moved_digits():
    """100 digits on sheets of 20×20 at four places, and one cell to the right of each."""
    from poolref.teaching import data

    images = data.digits()[0][:100]
    places = list(product((6, 7), repeat=2))
    return (
        np.concatenate([data.canvas(images, place) for place in places]),
        np.concatenate([data.canvas(images, (row, column + 1)) for row, column in places]),
    )


def lines(*columns):
    """A sheet of 20×20 with lines one cell wide down these columns."""
    sheet = np.zeros((20, 20))
    sheet[:, columns] = 1
    return sheet


def fall_between(row):
    """By how much a row falls at most between two peaks, below the lower of them."""
    return max(min(row[:j].max(), row[j + 1 :].max()) - row[j] for j in range(1, len(row) - 1))


def stage_demands(stage):
    """What is asked of (kernel_size, filter_size, stride): a small map that is steady and still sharp."""
    try:
        kernel_size, filter_size, stride = (operator.index(number) for number in stage)
    except (TypeError, ValueError):
        raise ValueError("A stage is (kernel_size, filter_size, stride), such as (2, 1, 2).") from None
    before, after = digits_and_moved_digits()

    def pool(sheets):
        return max_blur_pool(sheets, kernel_size, filter_size, stride)

    try:
        still, gone = pool(before), pool(after)
    except ValueError as error:
        raise ValueError(f"A stage is (kernel_size, filter_size, stride): {error}.") from None
    size = still.shape[-1]
    yield Demand(
        "at most 10 × 10 cells of a sheet of 20 × 20",
        f"{size} × {size}",
        size <= 10,
        "The stride makes the map smaller: the maximum takes off kernel_size − 1 rows and columns, the blur none.",
    )
    if size < 4:
        raise ValueError(f"A stage is (kernel_size, filter_size, stride): {stage} leaves {size} × {size} cells.")
    norms = (np.linalg.norm(maps, axis=(1, 2)).sum() for maps in (gone - still, still))
    change = np.divide(*norms)
    yield Demand(
        "a change of at most 44 % of the norm when a digit moves by one cell, over 100 digits at four places",
        f"{change:.1%}",
        bool(change <= 0.44),
        "A filter of 1 does not blur, and the stride then keeps some maxima and drops the others."
        if filter_size == 1
        else "A filter over more cells, or a maximum over more, changes less.",
    )
    height = min(pool(lines(column)).max() for column in range(4, 16))
    yield Demand(
        "a line one cell wide keeps half of its height, wherever it stands",
        f"{height:.2g} of it",
        height >= 0.5,
        "Nothing widens the line before it is blurred or stepped over. A maximum over more than one cell does."
        if kernel_size == 1
        else "The stride steps over much of the line. Take a smaller one.",
    )
    fall = min(fall_between(pool(lines(column, column + 5))[0]) for column in range(4, 11))
    yield Demand(
        "two lines with four empty columns between them stay two: between them the map falls by a quarter",
        f"{fall:.2g}",
        fall >= 0.25,
        "The stride leaves no cell between the lines. Take a smaller one."
        if stride > 2
        else "The maximum and the blur both fill the gap. Take a smaller kernel or a smaller filter.",
    )


EXERCISES = [
    Exercise(
        "invariance/max-blur",
        "worked",
        ("by-hand",),
        max_blur_row,
        lambda: rows(range(3, 9), (1,), (2,), (3,)),
        given=max_blur_row_padded_with_zeros,
        ideas={
            "The mirror stands on the last cell: that cell is not repeated, and its neighbour comes next.": (
                lambda x, s: blurred(pairs(x), mode="edge")[::s],
            ),
            "The row is mirrored at its end. This continues it with its other end.": (
                lambda x, s: blurred(pairs(x), mode="wrap")[::s],
            ),
            "The cells in the padding weigh less, but the weights must still add up to 1.": (
                lambda x, s: (blurred(pairs(x), mode="constant") / blurred(np.ones(len(x) - 1), mode="constant"))[::s],
            ),
            "Blur first, and thin out afterwards: a blur that comes after the stride comes too late.": (
                lambda x, s: blurred(pairs(x)[::s]) if len(x[1::s]) > 1 else pairs(x)[::s],
            ),
            "The stride is taken, too, so that every s-th cell is left.": (lambda x, s: blurred(pairs(x)),),
            "The first output stands at cell 0.": (
                lambda x, s: blurred(pairs(x))[1::s],
                lambda x, s: blurred(pairs(x))[s - 1 :: s],
            ),
            "The weights are 1/4, 1/2, 1/4: the cell itself counts twice as much as each neighbour.": (
                lambda x, s: blurred(pairs(x), (1 / 3, 1 / 3, 1 / 3))[::s],
                lambda x, s: blurred(pairs(x), (1 / 2, 1 / 4, 1 / 4))[::s],
            ),
            "The weights add up to 1.": (
                lambda x, s: blurred(pairs(x), (1, 2, 1))[::s],
                lambda x, s: blurred(pairs(x), (1 / 2, 1, 1 / 2))[::s],
            ),
            "Take the maximum of each two neighbours before the blur.": (lambda x, s: blurred(x)[::s],),
            "The blur is missing: this is max pooling.": (lambda x, s: pairs(x)[::s],),
            "The maximum comes first and the blur second.": (lambda x, s: pairs(blurred(x))[::s],),
            "All zeros are no answer.": lambda x, s: np.zeros(len(x[:-1:s])),
            "The first step is a maximum.": (
                lambda x, s: blurred(pairs(x, np.add) / 2)[::s],
                lambda x, s: blurred(pairs(x, np.minimum))[::s],
            ),
        },
        circumstances={
            "a stride above 1": lambda x, s: s > 1,
            "a negative number": lambda x, s: bool((x < 0).any()),
            "an edge that is not 0": lambda x, s: bool(x[0] or x[-1]),
        },
    ),
    Exercise(
        "invariance/blur-backward",
        "faded",
        ("gradient",),
        blur_row_backward,
        lambda: ((n, s) for n in range(2, 9) for s in (1, 2, 3)),
        given=blur_row_backward_with_gaps,
        gaps=("stride", "grad_output[i]", "padded[0]"),
        ideas={
            "Output i begins to read at padded cell i · stride.": (
                {1: "1"},
                {1: "tap"},
                {1: "3"},
                {1: "(stride + 1)"},
                {1: "len(grad_output)"},
                {1: "2"},
            ),
            "Multiply by what arrived at output i.": (
                {2: "1"},
                {2: "grad_output[0]"},
                {2: "grad_output[-1]"},
                {2: "grad_output.sum()"},
            ),
            "What reaches the padding in front belongs to the cell that is mirrored there, cell 1.": (
                {3: "0"},
                {3: "padded[-1]"},
                {3: "padded[1]"},
                {3: "padded[2]"},
                {3: "gradient[0]"},
                {3: "grad_output[0]"},
            ),
            "The weight of the first tap has been counted already: add what stands in the padding as it is.": (
                {3: "padded[0] / 4"},
                {3: "padded[0] / 2"},
            ),
            "It is the gradient of the row that is asked for, and each mirrored cell is a cell of the row.": (
                lambda g, n, s: np.pad(g, (0, n - len(g))),
            ),
        },
        circumstances={"a stride above 1": lambda g, n, s: s > 1, "more than one output": lambda g, n, s: len(g) > 1},
        arguments=arriving,
    ),
    Exercise(
        "invariance/cells-that-change",
        "open",
        ("tell", "claims"),
        cells_that_change,
        lambda: rows(range(2, 9), (2, 2, 1), (1, 1, 1), (2, 1, 1), (2, 2, 2), (3, 1, 2), (3, 2, 1), (2, 3, 3)),
        ideas={
            "Zeros come in from the left. This brings in what has left on the right.": counted(np.roll),
            "The row moves right: cell 0 goes to cell `cells`. This moves it left.": (
                counted(lambda x, c: np.concatenate([x[c:], np.zeros(c)])),
                counted(lambda x, c: np.roll(x, -c)),
            ),
            "The row moves by `cells` cells. This moves it by one.": counted(lambda x, c: moved(x, 1)),
            "The row keeps its length: what leaves on the right is lost.": counted(
                lambda x, c: np.concatenate([np.zeros(c), x]),
                compare=lambda a, b: np.sum(a != b[: len(a)]) + max(0, len(b) - len(a)),
            ),
            "The cell that comes in holds 0, not a copy of the first.": counted(
                lambda x, c: np.concatenate([np.full(c, x[0]), x[:-c]])
            ),
            "Count the cells that change, not those that stay.": counted(compare=lambda a, b: np.sum(a == b)),
            "Count the cells. This adds up by how much they change.": counted(compare=lambda a, b: np.sum(abs(a - b))),
            "A cell that falls has changed too.": counted(compare=lambda a, b: np.sum(b > a)),
            "A cell that rises has changed too.": counted(compare=lambda a, b: np.sum(b < a)),
            "Pool both rows, then compare: this counts the cells of the row.": unpooled,
            "Compare each output with what the same output was before. This compares it with its neighbour.": (
                compared_with_the_moved_output
            ),
            "Count every cell. This leaves out those that are 0 before or after.": (
                counted(compare=lambda a, b: np.sum((a != b) & (a != 0))),
                counted(compare=lambda a, b: np.sum((a != b) & (b != 0))),
            ),
            "The first output counts too.": counted(compare=lambda a, b: np.sum(a[1:] != b[1:])),
            "The last output counts too.": counted(compare=lambda a, b: np.sum(a[:-1] != b[:-1])),
            "Whether anything changes is one question. Here the cells are counted.": counted(
                compare=lambda a, b: not np.array_equal(a, b)
            ),
            "The reducer is the maximum.": (counted(pool=avg_pool), counted(pool=min_pool)),
            "The window moves by `stride`, not by `kernel_size`.": lambda x, k, s, c: counted()(x, k, k, c),
            "The window moves by `stride`, not by 1.": lambda x, k, s, c: counted()(x, k, 1, c),
            "The row moves, not the output.": (
                lambda x, k, s, c: int(
                    np.sum(
                        (y := max_pool(x, Window(k, s, ndim=1))) != (moved(y, c) if c < len(y) else np.zeros(len(y)))
                    )
                ),
            ),
        },
        circumstances={
            "a move by more than one cell": lambda x, k, s, c: c > 1,
            "a stride other than the kernel size": lambda x, k, s, c: k != s,
            "a negative number": lambda x, k, s, c: bool((x < 0).any()),
            "a number that leaves the row": lambda x, k, s, c: bool(x[-c:].any()),
        },
    ),
    Design(
        "invariance/stage",
        ("choose",),
        "Choose a stage for digits: (kernel_size, filter_size, stride) of max-blur pooling.",
        stage_demands,
    ),
]
