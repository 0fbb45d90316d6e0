"""Exercises of the chapter "Max pooling"."""

from collections.abc import Iterable, Mapping, Set
from numbers import Real

import numpy as np

from poolref.numpy import avg_pool, avg_pool_backward, max_pool, max_pool_backward, min_pool, sum_pool_backward
from poolref.regions import Window
from poolref.teaching.attempts.exercise import Demand, Design, Exercise
from poolref.teaching.attempts.inputs import fill, maps, with_gradient
from poolref.teaching.attempts.loops import backward_ideas, each_window, forward_ideas, into_windows

WINDOWS = [(2, 2), (1, 1), (2, 1), (3, 1), (3, 2), (1, 2), (2, 3)]
PADDED = [(2, 2, 0), (1, 1, 0), (2, 1, 0), (3, 2, 0), (2, 2, 1), (3, 1, 1), (3, 2, 1), (2, 1, 1), (2, 3, 1)]
PADDED += [(4, 2, 2), (5, 1, 2)]
LOW = [-5000.0, -2000.5, -2000.25, -2000.0, 0.25, 0.5]  # below what a search may start from, and close to each other
STARTS = [0, -1, -10, -100, -1000]  # from which a search for a maximum may start


ROW_OF_WINDOW = "`argmax` counts the cells of the window, and a row of the window has kernel_size cells."
EXCHANGED = "`//` counts the whole rows before a cell, `%` the cells before it in its own row: first row, then column."
LOW_START = "This search starts from a number and misses windows whose values are all lower. Start from −inf."
CUT = "Compare the values as they are. Here they are cut to whole numbers, or do not fit their type."
CLOSE = "This takes a cell that is nearly as large. The maximum is one value, and only an equal one ties with it."
OF_THE_MAP = "Each window has a winner of its own. This compares with the maximum of the whole map."


# --- forward: worked ------------------------------------------------------------------------------------------------


def max_pool_2d(x, kernel_size, stride, padding):
    """Return the largest value of every window of a 2-d map, with padding, which never wins. NaN does."""
    return max_pool(x, Window(kernel_size, stride, padding))


def max_pool_2d_without_padding(x, kernel_size, stride, padding):
    padded = x
    height = (padded.shape[0] - kernel_size) // stride + 1
    width = (padded.shape[1] - kernel_size) // stride + 1
    y = np.empty((height, width))
    for i in range(height):
        for j in range(width):
            top, left = i * stride, j * stride
            window = padded[top : top + kernel_size, left : left + kernel_size]
            y[i, j] = np.max(window)
    return y


def max_pool_2d_cases():
    yield from maps(PADDED, special=[np.nan, -np.inf, -5000.0, -1e15, 0.5])
    yield from ((fill([1, np.inf, -np.inf, np.nan], (2, 2)), *window) for window in [(2, 2, 0), (2, 1, 1), (3, 2, 1)])


def padded_with(value):
    return lambda x, k, s, p: each_window(np.pad(x, p, constant_values=value), k, s, np.max)


def as_wide_as(width):
    return lambda x, k, s, p: each_window(np.pad(x, width(p), constant_values=-np.inf), k, s, np.max)


def padded_by(mode):
    return lambda x, k, s, p: each_window(np.pad(x, p, mode=mode), k, s, np.max)


def padded_on(sides):
    """A forward that pads with −inf where `sides`, such as ((1, 1), (0, 0)), says so."""
    return lambda x, k, s, p: each_window(np.pad(x, np.array(sides) * p, constant_values=-np.inf), k, s, np.max)


def by_window(reduce, fill=-np.inf):
    return lambda x, k, s, p, **how: each_window(np.pad(x, p, constant_values=fill), k, s, reduce, **how)


def on_the_map(x, k, s, p, **how):
    """Windows as if the map were padded, on one that is not."""
    return each_window(x, k, s, np.max, count=lambda n, k, s: (n + 2 * p - k) // s + 1, **how)


def with_negative_indices(x, k, s, p):
    y = np.empty([(n + 2 * p - k) // s + 1 for n in x.shape])
    for i, j in np.ndindex(y.shape):
        rows, columns = (np.arange(start * s - p, start * s - p + k) for start in (i, j))
        y[i, j] = np.max(x[np.ix_(rows[rows < x.shape[0]], columns[columns < x.shape[1]])])
    return y


def inserted_by_negative_end(x, k, s, p):
    padded = np.full([n + 2 * p for n in x.shape], -np.inf)
    padded[p:-p, p:-p] = x
    return each_window(padded, k, s, np.max)


def whole_numbers(x, k, s, p):
    values = max_pool_2d(x, k, s, p)
    y = np.zeros(values.shape, dtype=int)
    for cell in np.ndindex(y.shape):
        y[cell] = values[cell]
    return y


def without_nan(x, k, s, p):
    return max_pool(np.where(np.isnan(x), -np.inf, x), Window(k, s, p))


# --- indices: faded -------------------------------------------------------------------------------------------------


def max_indices(x, kernel_size, stride):
    """Return, for every window of a 2-d map, where its maximum stands: row · width + column, the first one at a tie."""
    return max_pool(x, Window(kernel_size, stride), return_indices=True)[1]


def max_indices_with_gaps(x, kernel_size, stride):
    height, width = ((size - kernel_size) // stride + 1 for size in x.shape)
    indices = np.empty((height, width), dtype=int)
    for i, j in np.ndindex(height, width):
        top, left = i * stride, j * stride
        window = x[top : top + kernel_size, left : left + kernel_size]
        place = np.argmax(window)
        row = top + place // ...
        column = left + place % ...
        indices[i, j] = row * ... + column
    return indices


def indices_by(find):
    """Index by index: `find` a place in a window, taken for the number that the cell there has in the map."""

    def loop(x, k, s, **how):
        numbers = np.arange(x.size).reshape(x.shape)
        return each_window(numbers, k, s, lambda n: n.flat[find(x.ravel()[n].ravel())], **how).astype(int)

    return loop


def last_indices(x, k, s):
    """Indices of the last maximum: found in the map turned by half a turn, cropped so that its windows are the same."""
    height, width = ((n - k) // s * s + k for n in x.shape)
    turned = np.full(x.shape, -np.inf)
    turned[:height, :width] = x[:height, :width][::-1, ::-1]
    rows, columns = np.divmod(max_indices(turned, k, s)[::-1, ::-1], x.shape[1])
    return (height - 1 - rows) * x.shape[1] + width - 1 - columns


def transposed_indices(x, k, s):
    """First along columns, then along rows."""
    columns, rows = np.divmod(max_indices(x.T, k, s).T, x.shape[0])
    return rows * x.shape[1] + columns


def indices_in_window(x, k, s, width=None):
    rows, columns = np.divmod(max_indices(x, k, s), x.shape[1])
    tops, lefts = np.indices(rows.shape) * s
    return (rows - tops) * (width or k) + columns - lefts


def exchanged_indices(x, k, s):
    """The winner's row in its window taken for its column, and the other way round."""
    columns, rows = np.divmod(indices_in_window(x, k, s), k)
    tops, lefts = np.indices(rows.shape) * s
    return (tops + rows) * x.shape[1] + lefts + columns


def starting_from(number, cell=None):
    """Indices by a search that starts from a number: where no value is larger, the window's first cell, or another."""

    def search(x, k, s):
        found = max_indices(np.maximum(x, number), k, s)
        return found if cell is None else np.where(max_pool(x, Window(k, s)) > number, found, cell)

    return search


def first_equal_indices(x, k, s):
    return np.array([[np.flatnonzero(x == value)[0] for value in row] for row in max_pool(x, Window(k, s))], dtype=int)


def first_close(values):
    return np.flatnonzero(values > values.max() - 0.5)[0]


# --- backward: open -------------------------------------------------------------------------------------------------


def max_pool_2d_backward(grad_output, x, kernel_size, stride):
    """Return the gradient of 2-d max pooling with respect to x: to the first maximum of each window, and added up."""
    if np.isnan(x).any():
        raise ValueError("x must not hold NaN")
    return max_pool_backward(grad_output, x, Window(kernel_size, stride))


def shared(g, x, k, s, split):
    """The gradient to all tied maxima of a window, split among them or not."""
    gradient = np.zeros_like(x)
    for i, j in np.ndindex(g.shape):
        window = np.s_[i * s : i * s + k, j * s : j * s + k]
        tied = x[window] == x[window].max()
        gradient[window] += g[i, j] * tied / (tied.sum() if split else 1)
    return gradient


def scattered(g, x, indices, add=True):
    gradient = np.zeros(x.size)
    if add:
        np.add.at(gradient, indices.ravel(), g.ravel())
    else:
        gradient[indices.ravel()] = g.ravel()
    return gradient.reshape(x.shape)


def to_first_maximum(g, window):
    part = np.zeros(window.shape)
    part.flat[np.argmax(window)] = g
    return part


def to_places(g, x, k, s, place):
    """The gradient to the cell `place(number of the winner in its window)`, (row, column), of each window."""
    gradient = np.zeros(x.shape)
    for i, j in np.ndindex(g.shape):
        row, column = place(np.argmax(x[i * s : i * s + k, j * s : j * s + k]))
        gradient[i * s + row, j * s + column] += g[i, j]
    return gradient


def half_at_ties(g, window):
    tied = window == window.max()
    return g * tied / (2 if tied.sum() > 1 else 1)


def in_place_of_window(g, x, k, s):
    """The winner's place in its window, taken for its place in the map."""
    gradient = np.zeros(x.shape)
    for i, j in np.ndindex(g.shape):
        a, b = np.divmod(np.argmax(x[i * s : i * s + k, j * s : j * s + k]), k)
        gradient[a, b] += g[i, j]
    return gradient


# --- peaks: design --------------------------------------------------------------------------------------------------

PEAKS = {(2, 3): 0.9, (3, 9): 0.6, (8, 3): 0.8, (8, 6): 0.7}  # objects: (row, column) -> strength
SHOULDER, NOISE = (2, 6), {(10, 10): 0.2, (5, 0): 0.18}


def heat_map():
    """Return what a detector may put out: 12×12 cells, four objects, a shoulder of the widest one, and noise."""
    rows, columns = np.indices((12, 12))
    heat = 0.1 + 0.05 * np.sin(2.1 * rows) * np.cos(1.7 * columns)
    for (row, column), strength in PEAKS.items():
        width = 2.0 if strength == 0.9 else 1.3
        distance = np.hypot(rows - row, columns - column)
        heat = np.maximum(heat, strength * np.exp(-((distance / width) ** 2)))
    for cell, value in {SHOULDER: 0.5, **NOISE}.items():
        heat[cell] = value
    return heat.round(2)


def peaks_numbers(settings):
    """Return the four numbers of a design; a ValueError says which of them is none."""
    names = "kernel_size", "stride", "padding", "threshold"
    asked = f"Settings are four numbers, ({', '.join(names)}), such as (2, 2, 0, 0.5)"
    if not isinstance(settings, Iterable) or isinstance(settings, (str, bytes, Set, Mapping)):
        raise ValueError(f"{asked}; this is a {type(settings).__name__}.")
    numbers = [number.item() if getattr(number, "shape", None) == () else number for number in settings]
    if len(numbers) != len(names):
        raise ValueError(f"{asked}; this has {len(numbers)}.")
    for name, number in zip(names, numbers, strict=True):
        if not isinstance(number, Real) or number != number:
            raise ValueError(f"{asked}; {name} is {number!r}, which is not a number.")
        if name != "threshold" and number % 1 != 0:
            raise ValueError(f"{asked}; {name} is {number}, which is not whole.")
    return *map(int, numbers[:3]), float(numbers[3])


def peaks_demands(settings):
    """What is asked of (kernel_size, stride, padding, threshold): peaks are cells that equal the pooled map there."""
    kernel_size, stride, padding, threshold = peaks_numbers(settings)
    try:
        window = Window(kernel_size, stride, padding)
    except ValueError as error:
        raise ValueError(f"Settings are (kernel_size, stride, padding, threshold): {error}.") from None
    heat = heat_map()
    if kernel_size > len(heat) + 2 * padding or padding > len(heat):
        raise ValueError(f"A window of {kernel_size} does not fit a map of 12 × 12 with a padding of {padding}.")
    pooled = max_pool(heat, window)
    yield Demand(
        "a pooled map of 12 × 12, to compare with the heat map cell by cell",
        f"{pooled.shape[0]} × {pooled.shape[1]}",
        pooled.shape == heat.shape,
        "A window that moves by 1 and is padded by half its kernel on both sides keeps the size, if the kernel is odd.",
    )
    if pooled.shape != heat.shape:
        return
    found = {(int(i), int(j)) for i, j in np.argwhere((heat == pooled) & (heat >= threshold))}
    lost = sorted(PEAKS.keys() - found)
    hidden = any(pooled[cell] > heat[cell] for cell in lost)
    yield Demand(
        "all four objects",
        f"{len(PEAKS) - len(lost)} of 4" + (f"; the one at {lost[0]} is missing" if lost else ""),
        not lost,
        "The window of this object reaches to a stronger one, which wins. A smaller window lets both stand."
        if hidden
        else "This object's peak lies below the threshold.",
    )
    extra = sorted(found - PEAKS.keys(), key=lambda cell: (cell == SHOULDER, cell))  # weaker than the shoulder: noise
    yield Demand(
        "nothing else",
        f"{len(extra)} more" + (f", one of them at {extra[0]}" if extra else ""),
        not extra,
        "With kernel size 1 each cell is the largest of its window."
        if kernel_size == 1
        else "A shoulder of a wide object is the largest of its own 3 × 3 window. A larger window reaches to the "
        "object; a higher threshold leaves the shoulder out."
        if extra == [SHOULDER]
        else "Noise has local maxima too. They are weak: the threshold tells them from objects.",
    )


EXERCISES = [
    Exercise(
        "max-pooling/forward",
        "worked",
        ("by-hand", "claims"),
        max_pool_2d,
        max_pool_2d_cases,
        given=max_pool_2d_without_padding,
        ideas={
            "Padding cells are −inf, not 0: a zero would win over negative numbers.": padded_with(0),
            "Padding cells are −inf. Any other number, however low, wins over a lower one.": (
                padded_with(-1),
                padded_with(-999),
                padded_with(-9999),
                padded_with(-1e9),
                padded_with(np.finfo(float).min),
                lambda x, k, s, p: padded_with(np.nanmax(x))(x, k, s, p),
                lambda x, k, s, p: padded_with(x.max())(x, k, s, p),
            ),
            "Padding of +inf wins in every window that has some. It is −inf.": padded_with(np.inf),
            "NaN as padding is the maximum of every window that has some. It is −inf.": padded_with(np.nan),
            "Padding repeats no cells of the map: a cell mirrored into the padding may lie outside the window.": (
                padded_by("reflect")
            ),
            "Padding repeats no cells of the map. These come from the other side, outside the window.": (
                padded_by("wrap")
            ),
            "The map's minimum never wins either, but it is NaN as soon as one cell of the map is.": (
                padded_by("minimum"),
                lambda x, k, s, p: padded_with(x.min())(x, k, s, p),
                lambda x, k, s, p: padded_with(x.min() - 1)(x, k, s, p),
            ),
            "A NaN in a window is its maximum: `nanmax`, `fmax` and comparisons with `>` drop it.": (
                without_nan,
                lambda x, k, s, p: max_pool_2d(np.nan_to_num(x), k, s, p),
                lambda x, k, s, p: max_pool_2d(np.where(np.isnan(x), 0, x), k, s, p),
            ),
            "Python's `max` and SciPy's `maximum_filter` compare, so that a NaN is lost, or stays only in some places. "
            "`np.max` passes it on.": (
                by_window(lambda w: max(w.ravel().tolist())),
                by_window(lambda w: max(max(row) for row in w.tolist())),
            ),
            "A maximum that starts from 0 is wrong for a window of negative numbers. Start from −inf.": (
                lambda x, k, s, p: np.maximum(max_pool_2d(x, k, s, p), 0),
                lambda x, k, s, p: np.fmax(max_pool_2d(x, k, s, p), 0),
            ),
            **forward_ideas(by_window(np.max)),
            "The padded map begins with the padding. Adding or subtracting it once more shifts the windows.": (
                lambda x, k, s, p: by_window(np.max)(x, k, s, p, corner=lambda i, k, s: i * s - p),
                lambda x, k, s, p: by_window(np.max)(x, k, s, p, corner=lambda i, k, s: i * s + p),
            ),
            "A window that begins in the padding has fewer cells on the map. This moves it inside as a whole.": (
                lambda x, k, s, p: on_the_map(x, k, s, p, corner=lambda i, k, s: max(i * s - p, 0))
            ),
            "−5 is farther from 0 than 3, and smaller. The maximum compares values, not their sizes.": (
                by_window(lambda w: w.flat[np.argmax(abs(w))], fill=0),
                lambda x, k, s, p: max_pool_2d(abs(x), k, s, p),
            ),
            "The reducer is the maximum. This is the mean.": (
                lambda x, k, s, p: avg_pool(x, Window(k, s, p), count_include_pad=False),
                lambda x, k, s, p: avg_pool(x, Window(k, s, p)),
            ),
            "The reducer is the maximum. This is the minimum.": (
                lambda x, k, s, p: min_pool(x, Window(k, s, p)),
                by_window(np.min),
            ),
            "The ring of padding is as wide as `padding` says: so many cells on each side.": (
                as_wide_as(lambda p: 1),
                as_wide_as(lambda p: min(p, 1)),
                as_wide_as(lambda p: 2 * p),
            ),
            "The size of the output counts the padding, and the map has none. Pad the map itself.": on_the_map,
            "`padded.shape` holds the padding already: adding 2·padding again makes too many windows.": (
                lambda x, k, s, p: on_the_map(np.pad(x, p, constant_values=-np.inf), k, s, p)
            ),
            "A negative index or start of a slice counts from the end. Pad the map, or cut windows at 0.": (
                lambda x, k, s, p: on_the_map(x, k, s, p, corner=lambda i, k, s: i * s - p),
                with_negative_indices,
            ),
            "`padded[p:-p]` is empty for p = 0, since `-0` is 0. Write `padded[p : p + height]`.": (
                inserted_by_negative_end
            ),
            "The padding surrounds the map, before windows are laid. This pads the output.": (
                lambda x, k, s, p: np.pad(each_window(x, k, s, np.max), p),
                lambda x, k, s, p: np.pad(each_window(x, k, s, np.max), p, constant_values=-np.inf),
                lambda x, k, s, p: np.pad(max_pool(x, Window(k, s)), p),
                lambda x, k, s, p: np.pad(max_pool(x, Window(k, s)), p, constant_values=-np.inf),
            ),
            "A window has kernel_size rows and columns. This takes 2, whatever `kernel_size` says.": (
                lambda x, k, s, p: by_window(np.max)(x, 2, s, p)
            ),
            "The padding is on both sides of each axis.": (
                padded_on(((1, 0), (1, 0))),
                padded_on(((0, 1), (0, 1))),
            ),
            "Rows and columns are padded, both.": (
                padded_on(((1, 1), (0, 0))),
                padded_on(((0, 0), (1, 1))),
            ),
            "The padded map is larger, so there are more windows: count them on the padded map.": (
                lambda x, k, s, p: max_pool_2d(x, k, s, p)[: (x.shape[0] - k) // s + 1, : (x.shape[1] - k) // s + 1]
            ),
            "An array of whole numbers holds no NaN and no −inf: begin with an array of floats.": (
                lambda x, k, s, p: np.nan_to_num(max_pool_2d(x, k, s, p)).astype(int),
                lambda x, k, s, p: max_pool_2d(x, k, s, p).astype(int),
                lambda x, k, s, p: max_pool(np.pad(x, p, constant_values=-np.inf).astype(int), Window(k, s)),
                whole_numbers,
            ),
        },
        circumstances={
            "padding": lambda x, k, s, p: p > 0,
            "a NaN": lambda x, k, s, p: bool(np.isnan(x).any()),
            "a value of −inf": lambda x, k, s, p: bool(np.isneginf(x).any()),
            "a negative number": lambda x, k, s, p: bool((x < 0).any()),
            "windows that overlap": lambda x, k, s, p: s < k,
            "a stride other than the kernel size": lambda x, k, s, p: s != k,
            "more than one window": lambda x, k, s, p: max_pool_2d(x, k, s, p).size > 1,
            "windows of more than one cell": lambda x, k, s, p: k > 1,
            "a map that is not square": lambda x, k, s, p: x.shape[0] != x.shape[1],
        },
        shown=lambda x, k, s, p: k > 1 and min(x.shape) > 1,
    ),
    Exercise(
        "max-pooling/indices",
        "faded",
        ("trace",),
        max_indices,
        lambda: maps(WINDOWS, special=LOW),
        given=max_indices_with_gaps,
        gaps=("kernel_size", "kernel_size", "x.shape[1]"),
        ideas={
            ROW_OF_WINDOW: (
                {1: "x.shape[1]", 2: "x.shape[1]"},
                {1: "stride", 2: "stride"},
                {1: "width", 2: "width"},
                {1: "2", 2: "2"},
            ),
            "A row of the map has x.shape[1] cells: as many as there are columns. x.shape[0] counts rows.": {
                3: "x.shape[0]"
            },
            "The index counts cells of the whole map, not of the output: a row of the map has x.shape[1] cells.": (
                {3: "width"},
                {3: "height"},
            ),
            "The index counts cells of the whole map, and a row of it is longer than a window.": (
                {3: "kernel_size"},
                {3: "stride"},
            ),
            "The index counts cells of the whole map, not of the window.": (
                lambda x, k, s: indices_in_window(x, k, s),
                lambda x, k, s: indices_in_window(x, k, s, width=x.shape[1]),
            ),
            "At a tie the first cell counts: `>=` keeps the last one, `>` the first.": last_indices,
            "The first cell is the first one row by row. This goes column by column.": transposed_indices,
            "Cells are counted row by row: row · width + column.": (
                lambda x, k, s: max_indices(x, k, s) % x.shape[1] * x.shape[0] + max_indices(x, k, s) // x.shape[1],
                lambda x, k, s: max_indices(x, k, s) % x.shape[1] * x.shape[1] + max_indices(x, k, s) // x.shape[1],
            ),
            EXCHANGED: exchanged_indices,
            LOW_START: tuple(starting_from(number, cell) for number in STARTS for cell in (None, 0)),
            CUT: (
                lambda x, k, s: max_indices(x.astype(int), k, s),
                lambda x, k, s: max_indices(x.astype(int).astype(np.int8), k, s),
            ),
            CLOSE: indices_by(first_close),
            OF_THE_MAP: lambda x, k, s: max_indices(x, k, s) * 0 + x.argmax(),
            "Every index is 0 here. It says where the maximum of a window stands.": lambda x, k, s: (
                max_indices(x, k, s) * 0
            ),
            "An equal value may stand outside the window. Search in the window alone.": first_equal_indices,
            "This is the maximum itself. The exercise asks where it stands.": lambda x, k, s: max_pool(x, Window(k, s)),
            "−5 is farther from 0 than 3, and smaller. The maximum compares values, not their sizes.": (
                lambda x, k, s: max_indices(abs(x), k, s)
            ),
            "This is the index of the minimum.": lambda x, k, s: max_indices(-x, k, s),
            "Cells are counted from 0, not from 1.": lambda x, k, s: max_indices(x, k, s) + 1,
            **forward_ideas(indices_by(np.argmax)),
        },
        gap_ideas=(
            ROW_OF_WINDOW,
            ROW_OF_WINDOW,
            "The index counts cells of the whole map, and a row of it has x.shape[1] cells.",
        ),
        circumstances={
            "more than one window": lambda x, k, s: max_indices(x, k, s).size > 1,
            "a maximum outside the first row": lambda x, k, s: bool((max_indices(x, k, s) >= x.shape[1]).any()),
            "a maximum outside the first column": lambda x, k, s: bool((max_indices(x, k, s) % x.shape[1]).any()),
            "a map that is not square": lambda x, k, s: x.shape[0] != x.shape[1],
            "windows of more than one cell": lambda x, k, s: k > 1,
            "a stride other than the kernel size": lambda x, k, s: s != k,
        },
        shown=lambda x, k, s: k > 1 and min(x.shape) > 1,
    ),
    Exercise(
        "max-pooling/backward",
        "open",
        ("gradient", "claims"),
        max_pool_2d_backward,
        lambda: maps(WINDOWS, special=LOW),
        arguments=with_gradient(lambda x, k, s: Window(k, s).output_shape(x.shape)),
        ideas={
            "At a tie the gradient goes to the first cell alone, not to every tied cell.": (
                lambda g, x, k, s: shared(g, x, k, s, split=False)
            ),
            "At a tie the gradient goes to the first cell alone. It is not split among the tied cells.": (
                lambda g, x, k, s: shared(g, x, k, s, split=True)
            ),
            "At a tie the gradient goes to the first cell, not to the last.": (
                lambda g, x, k, s: scattered(g, x, last_indices(x, k, s))
            ),
            "First means first row by row. This goes column by column.": (
                lambda g, x, k, s: scattered(g, x, transposed_indices(x, k, s))
            ),
            **backward_ideas(lambda g, x, k, s, **how: into_windows(g, x, k, s, to_first_maximum, **how)),
            "Windows overlap, and a cell may win in several of them: add, do not overwrite.": (
                lambda g, x, k, s: scattered(g, x, max_indices(x, k, s), add=False),
                lambda g, x, k, s: scattered(g, x, last_indices(x, k, s), add=False),
            ),
            "`argmax` finds a place in the window. Add the window's own row and column.": in_place_of_window,
            "The gradient goes to the arg-max, whatever its sign. Cells above zero matter to ReLU.": (
                lambda g, x, k, s: sum_pool_backward(g, x, Window(k, s)) * (x > 0)
            ),
            "A maximum below zero passes its gradient too. Only ReLU looks at the sign.": (
                lambda g, x, k, s: max_pool_2d_backward(g, x, k, s) * (x > 0),
                lambda g, x, k, s: max_pool_2d_backward(g, x, k, s) * (x >= 0),
            ),
            "Spreading the gradient evenly is the backward of the mean.": (
                lambda g, x, k, s: avg_pool_backward(g, x, Window(k, s))
            ),
            "Every cell that took part gets a gradient here. Only the maximum does.": (
                lambda g, x, k, s: sum_pool_backward(g, x, Window(k, s))
            ),
            "The gradient goes to the maximum, but its size does not depend on the maximum.": (
                lambda g, x, k, s: max_pool_2d_backward(g * max_pool(x, Window(k, s)), x, k, s)
            ),
            "Only the maximum gets a gradient. This gives one to every cell, as large as its value.": (
                lambda g, x, k, s: sum_pool_backward(g, x, Window(k, s)) * x
            ),
            "The gradient goes to the largest cell of each window. This is the smallest.": (
                lambda g, x, k, s: max_pool_2d_backward(g, -x, k, s)
            ),
            "−5 is farther from 0 than 3, and smaller. The maximum compares values, not their sizes.": (
                lambda g, x, k, s: max_pool_2d_backward(g, abs(x), k, s)
            ),
            OF_THE_MAP: (
                lambda g, x, k, s: sum_pool_backward(g, x, Window(k, s)) * (x == x.max()),
                lambda g, x, k, s: scattered(g, x, np.full(g.shape, x.argmax())),
            ),
            "A gradient may be negative or a fraction: begin with zeros of floats.": (
                lambda g, x, k, s: np.trunc(max_pool_2d_backward(g, x, k, s)),
                lambda g, x, k, s: max_pool_2d_backward(np.trunc(g), x, k, s),
            ),
            "A gradient may be negative, and passes with its sign.": (
                lambda g, x, k, s: np.maximum(max_pool_2d_backward(g, x, k, s), 0),
                lambda g, x, k, s: max_pool_2d_backward(np.maximum(g, 0), x, k, s),
                lambda g, x, k, s: max_pool_2d_backward(abs(g), x, k, s),
                lambda g, x, k, s: max_pool_2d_backward(-g, x, k, s),
            ),
            "A gradient may be larger than 1. Nothing clips it.": (
                lambda g, x, k, s: max_pool_2d_backward(g.clip(-1, 1), x, k, s),
                lambda g, x, k, s: max_pool_2d_backward(g, x, k, s).clip(-1, 1),
            ),
            "`float16` keeps about three digits. Keep the type of `grad_output`.": (
                lambda g, x, k, s: max_pool_2d_backward(g, x, k, s).astype(np.float16)
            ),
            EXCHANGED: lambda g, x, k, s: to_places(g, x, k, s, lambda place: divmod(place, k)[::-1]),
            ROW_OF_WINDOW: (
                lambda g, x, k, s: to_places(g, x, k, s, lambda place: divmod(place, x.shape[1])),
                lambda g, x, k, s: to_places(g, x, k, s, lambda place: divmod(place, s)),
                lambda g, x, k, s: to_places(g, x, k, s, lambda place: divmod(place, 2)),
            ),
            "The gradient goes to the maximum of each window. This gives it to the first cell of each window.": (
                lambda g, x, k, s: to_places(g, x, k, s, lambda place: (0, 0))
            ),
            LOW_START: tuple(
                lambda g, x, k, s, number=number: scattered(g, x, starting_from(number)(x, k, s)) for number in STARTS
            ),
            CUT: lambda g, x, k, s: max_pool_2d_backward(g, x.astype(int), k, s),
            CLOSE: lambda g, x, k, s: scattered(g, x, indices_by(first_close)(x, k, s)),
            "`grad_output` comes first, x second.": (
                lambda g, x, k, s: into_windows(x, g, k, s, to_first_maximum),
                lambda g, x, k, s: max_pool_2d_backward(x, g, k, s),
            ),
            "The gradient begins with zeros. This begins with x, which stays in it.": (
                lambda g, x, k, s: max_pool_2d_backward(g, x, k, s) + x
            ),
            "This puts the values of the maxima back, which is called unpooling. A gradient holds `grad_output`.": (
                lambda g, x, k, s: scattered(max_pool(x, Window(k, s)), x, max_indices(x, k, s), add=False),
                lambda g, x, k, s: scattered(max_pool(x, Window(k, s)), x, max_indices(x, k, s)),
            ),
            "At a tie a central difference gives each tied cell half. The first cell gets the whole gradient.": (
                lambda g, x, k, s: into_windows(g, x, k, s, half_at_ties)
            ),
        },
        circumstances={
            "a tie in some window": lambda g, x, k, s: bool(shared(np.ones_like(g), x, k, s, False).sum() > g.size),
            "windows that overlap": lambda g, x, k, s: s < k and g.size > 1,
            "a maximum that is not above 0": lambda g, x, k, s: bool((max_pool(x, Window(k, s)) <= 0).any()),
            "more than one window": lambda g, x, k, s: g.size > 1,
            "a stride other than the kernel size": lambda g, x, k, s: s != k,
            "windows of more than one cell": lambda g, x, k, s: k > 1,
            "a map that is not square": lambda g, x, k, s: x.shape[0] != x.shape[1],
        },
        shown=lambda x, k, s: k > 1 and min(x.shape) > 1,
    ),
    Design(
        "max-pooling/peaks",
        ("choose",),
        "Find the peaks of the heat map by max pooling: choose (kernel_size, stride, padding, threshold). A peak is a "
        "cell that equals the pooled map at its place and reaches the threshold.",
        peaks_demands,
    ),
]
