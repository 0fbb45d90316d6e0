"""Exercises of the chapter "Strip pooling"."""

import re

import numpy as np

from poolref.numpy import avg_pool_backward, max_pool, strip_pool, strip_pool_backward
from poolref.regions import Columns, Rows, Window
from poolref.teaching.attempts.exercise import Demand, Design, Exercise
from poolref.teaching.attempts.inputs import maps, with_gradient


def small_maps():
    return ((x,) for x, *_ in maps([(1, 1)]))


def joined(of_rows, of_columns, join=np.add):
    """A wrong operator from what it makes of each row and of each column, two functions like np.mean."""
    return lambda x: join(of_rows(x, axis=1, keepdims=True), of_columns(x, axis=0, keepdims=True))


def spread(of_rows, x):
    """A map in which every cell has the number of its row, or of its column."""
    return of_rows + np.zeros(x.shape)


def largest_magnitude(x, **axis):
    return np.max(np.abs(x), **axis)


# --- maximum: worked ------------------------------------------------------------------------------------------------


def strip_max_2d(x):
    """Return for each cell of a 2-d map the largest cell of its row plus the largest cell of its column."""
    return max_pool(x, Rows()) + max_pool(x, Columns())


def strip_pool_2d(x):
    height, width = x.shape
    rows = np.empty(height)
    for i in range(height):
        rows[i] = np.mean(x[i, :])
    columns = np.empty(width)
    for j in range(width):
        columns[j] = np.mean(x[:, j])
    y = np.empty((height, width))
    for i, j in np.ndindex(height, width):
        y[i, j] = rows[i] + columns[j]
    return y


# --- broadcast: faded -----------------------------------------------------------------------------------------------


def strip_pool_channels(x):
    """Return the strip pooling of maps, (C, H, W): the mean of each cell's row plus the mean of its column."""
    return strip_pool(x)


def strip_pool_channels_with_gaps(x):
    rows = x.sum(axis=..., keepdims=True) / ...
    columns = x.sum(axis=..., keepdims=True) / ...
    return rows + columns


def channels():
    """One to three maps of the same shape, which differ."""
    for number, (x,) in enumerate(small_maps()):
        yield (np.stack([x, 3 - 2 * x[::-1], x * x][: number % 3 + 1]),)


# --- backward: open -------------------------------------------------------------------------------------------------


def strip_pool_2d_backward(grad_output, x):
    """Return the gradient of 2-d strip pooling with respect to x."""
    return strip_pool_backward(grad_output, x)


def swapped_divisors(g, x):
    height, width = x.shape
    return g.sum(1, keepdims=True) / height + g.sum(0, keepdims=True) / width


# --- wandering: design ----------------------------------------------------------------------------------------------

SIDE, APART, WANDER = 33, 9, 2
CELL = (16, 1)
ROWS, COLUMNS, BOTH = "rows", "columns", "rows and columns"


def widened(mask, layer):
    """The cells of which the cells of a mask are made by a layer."""
    of_rows, of_columns = mask.any(axis=1, keepdims=True), mask.any(axis=0, keepdims=True)
    if layer == ROWS:
        return of_rows & np.ones_like(mask)
    if layer == COLUMNS:
        return of_columns & np.ones_like(mask)
    if layer == BOTH:
        return of_rows | of_columns
    size = int(layer.split()[1])
    return max_pool(mask.astype(float), Window(size, 1, size // 2)) > 0


def is_layer(layer):
    if not isinstance(layer, str):
        return False
    size = re.fullmatch(r"window (\d{1,2})", layer)
    return layer in (ROWS, COLUMNS, BOTH) or bool(size and int(size[1]) % 2 and int(size[1]) <= SIDE)


def wandering_demands(layers):
    """What is asked of a list of layers."""
    if isinstance(layers, str) or not isinstance(layers, list | tuple) or not layers:
        raise ValueError('A design is a list of one or two layers, such as ["columns", "window 7"].')
    wrong = [layer for layer in layers if not is_layer(layer)]
    if wrong:
        raise ValueError(
            f'A layer is "{ROWS}", "{COLUMNS}", "{BOTH}", or "window k" with an odd k up to {SIDE}, not {wrong[0]!r}.'
        )
    yield Demand(
        "at most two layers",
        f"{len(layers)}",
        len(layers) <= 2,
        "One layer has to reach the far end, and one has to let neighbouring rows in.",
    )
    mask = np.zeros((SIDE, SIDE), bool)
    mask[CELL] = True
    for layer in reversed(layers):
        mask = widened(mask, layer)
    row, far = CELL[0], SIDE - 2
    yield Demand(
        f"cell {CELL} depends on the far end of its row, cell ({row}, {far})",
        "it does" if mask[row, far] else "it does not",
        bool(mask[row, far]),
        "Columns run across the lines. A line of text runs along rows."
        if set(layers) == {COLUMNS}
        else "Windows reach (k − 1)/2 cells to each side. A row reaches from edge to edge.",
    )
    near = mask[row - WANDER : row + WANDER + 1]
    yield Demand(
        f"it depends on every cell of the {2 * WANDER + 1} rows {row - WANDER} to {row + WANDER}",
        f"on {near.sum()} of {near.size}",
        bool(near.all()),
        "Rows alone see one row, and the line leaves it. Let neighbours in: a window of k reaches (k − 1)/2 rows up "
        "and down."
        if {ROWS, BOTH} & set(layers)
        else "Windows reach (k − 1)/2 cells to each side. A row reaches from edge to edge.",
    )
    outside = np.abs(np.arange(SIDE) - row) >= APART - WANDER
    others = int(mask[outside].sum())
    yield Demand(
        f"it depends on no cell of the lines above and below, {APART} rows away, which may wander too",
        f"on {others} cells of rows up to {row - APART + WANDER} or from {row + APART - WANDER}",
        others == 0,
        "A column runs through all lines of the page."
        if {COLUMNS, BOTH} & set(layers)
        else "The windows are too high: (k − 1)/2 rows have to stay below the distance to the next line.",
    )


EXERCISES = [
    Exercise(
        "strip-pooling/maximum",
        "worked",
        ("by-hand", "represent"),
        strip_max_2d,
        small_maps,
        given=strip_pool_2d,
        ideas={
            "The columns still take the mean. Both strips take their largest cell.": joined(np.max, np.mean),
            "The rows still take the mean. Both strips take their largest cell.": joined(np.mean, np.max),
            "Each strip has a largest cell of its own. This takes the largest of the whole map.": (
                lambda x: np.full(x.shape, 2 * x.max()),
                lambda x: np.full(x.shape, x.max()),
                lambda x: max_pool(x, Rows()) + x.max() + np.zeros(x.shape),
                lambda x: max_pool(x, Columns()) + x.max() + np.zeros(x.shape),
            ),
            "The two numbers are still added. This takes the larger of them.": joined(np.max, np.max, np.maximum),
            "The larger of the two means is not the strip maximum: take the maximum inside each strip, then add.": (
                joined(np.mean, np.mean, np.maximum)
            ),
            "The two numbers are still added. This takes the smaller of them.": joined(np.max, np.max, np.minimum),
            "The two numbers are still added. This multiplies them.": joined(np.max, np.max, np.multiply),
            "All zeros: some largest cell has to come out.": lambda x: 0 * x,
            "This is the strip minimum.": joined(np.min, np.min),
            "A maximum looks at values with their sign, not at magnitudes.": joined(
                largest_magnitude, largest_magnitude
            ),
            "The columns are missing.": lambda x: spread(max_pool(x, Rows()), x),
            "The rows are missing.": lambda x: spread(max_pool(x, Columns()), x),
            "A maximum is not divided by the number of cells.": (
                lambda x: max_pool(x, Rows()) / x.shape[1] + max_pool(x, Columns()) / x.shape[0],
            ),
            "The cell at the crossing belongs to both strips, and nothing is taken off.": lambda x: strip_max_2d(x) - x,
            "Nothing is halved: the output is a sum, not the mean of two numbers.": lambda x: strip_max_2d(x) / 2,
            "np.argmax says where the largest cell stands, not how large it is.": joined(np.argmax, np.argmax),
            "This adds each strip up.": joined(np.sum, np.sum),
            "This takes the middle value of each strip.": joined(np.median, np.median),
            "A row with only negative cells has a negative maximum. No zero takes part.": (
                lambda x: np.maximum(max_pool(x, Rows()), 0) + np.maximum(max_pool(x, Columns()), 0),
                lambda x: np.maximum(strip_max_2d(x), 0),
            ),
        },
        circumstances={
            "a negative number": lambda x: bool((x < 0).any()),
            "more than one row": lambda x: x.shape[0] > 1,
            "more than one column": lambda x: x.shape[1] > 1,
            "a map that is not square": lambda x: x.shape[0] != x.shape[1],
        },
    ),
    Exercise(
        "strip-pooling/broadcast",
        "faded",
        ("by-hand", "claims"),
        strip_pool_channels,
        channels,
        given=strip_pool_channels_with_gaps,
        gaps=("2", "x.shape[2]", "1", "x.shape[1]"),
        ideas={
            "Axis and divisor do not fit. Axis 2 goes over the `x.shape[2]` cells of a row, axis 1 over the "
            "`x.shape[1]` of a column.": ({1: "1", 3: "2"}, {2: "x.shape[1]", 4: "x.shape[2]"}),
            "The cells of a row lie along axis 2: they differ in their column.": ({1: "1"}, {1: "-2"}),
            "The cells of a column lie along axis 1: they differ in their row.": ({3: "2"}, {3: "-1"}),
            "Axis 0 counts the maps, and each map is pooled alone.": (
                {1: "0"},
                {3: "0"},
                {1: "1", 3: "0"},
                {1: "0", 3: "1"},
                {1: "(0, 2)"},
                {3: "(0, 1)"},
            ),
            "The sum over axes 1 and 2 is that of the whole map. A strip runs along one axis.": (
                {1: "(1, 2)"},
                {3: "(1, 2)"},
                {1: "None"},
                {3: "None"},
            ),
            "A row has `x.shape[2]` cells, and a column has `x.shape[1]`.": (
                {2: "x.shape[1]"},
                {4: "x.shape[2]"},
            ),
            "A mean divides the sum by the number of cells. This leaves it a sum.": (
                {2: "1", 4: "1"},
                {2: "1"},
                {4: "1"},
            ),
            "Divide by the cells of one strip, not of the whole map.": (
                {2: "(x.shape[1] * x.shape[2])", 4: "(x.shape[1] * x.shape[2])"},
                {2: "(x.shape[1] * x.shape[2])"},
                {4: "(x.shape[1] * x.shape[2])"},
                {2: "x.size", 4: "x.size"},
            ),
            "The maps are not counted: each is pooled alone, and their number is no divisor.": (
                {2: "len(x)", 4: "len(x)"},
                {2: "len(x)"},
                {4: "len(x)"},
            ),
            "Nothing is halved: the two means are added.": ({2: "(2 * x.shape[2])", 4: "(2 * x.shape[1])"},),
        },
        gap_ideas=(
            "The first sum goes along a row.",
            "The first divisor is the number of cells in a row.",
            "The second sum goes along a column.",
            "The second divisor is the number of cells in a column.",
        ),
        circumstances={
            "more than one map": lambda x: len(x) > 1,
            "a map that is not square": lambda x: x.shape[1] != x.shape[2],
            "more than one row": lambda x: x.shape[1] > 1,
            "more than one column": lambda x: x.shape[2] > 1,
        },
    ),
    Exercise(
        "strip-pooling/backward",
        "open",
        ("gradient",),
        strip_pool_2d_backward,
        small_maps,
        arguments=with_gradient(lambda x: x.shape),
        ideas={
            "The part that comes back along the column is missing.": lambda g, x: avg_pool_backward(
                g.sum(1, keepdims=True), x, Rows()
            ),
            "The part that comes back along the row is missing.": lambda g, x: avg_pool_backward(
                g.sum(0, keepdims=True), x, Columns()
            ),
            "A row has as many cells as the map has columns: its gradient is divided by the width.": swapped_divisors,
            "A row has W cells and a column H: each part has its own divisor.": (
                lambda g, x: (g.sum(1, keepdims=True) + g.sum(0, keepdims=True)) / x.shape[1],
                lambda g, x: (g.sum(1, keepdims=True) + g.sum(0, keepdims=True)) / x.shape[0],
            ),
            "Each cell gets its share of a strip's gradient, 1/W and 1/H, not all of it.": (
                lambda g, x: g.sum(1, keepdims=True) + g.sum(0, keepdims=True)
            ),
            "Divide by the cells of one strip, not of the whole map.": (
                lambda g, x: (g.sum(1, keepdims=True) + g.sum(0, keepdims=True)) / x.size
            ),
            "A strip has W or H cells. The two are not one region of H + W − 1 cells.": (
                lambda g, x: (g.sum(1, keepdims=True) + g.sum(0, keepdims=True) - g) / (sum(x.shape) - 1),
                lambda g, x: (g.sum(1, keepdims=True) + g.sum(0, keepdims=True)) / sum(x.shape),
            ),
            "An output moves with its whole row and column: g comes back to all these cells, not to its own only.": (
                lambda g, x: g * (1 / x.shape[1] + 1 / x.shape[0])
            ),
            "The gradient does not depend on the values of x.": (
                lambda g, x: strip_pool_backward(g, x) * x,
                lambda g, x: strip_pool_backward(g, x) * (x > 0),
                lambda g, x: g * strip_pool(x),
            ),
            "This is the forward pass. Pool the gradient, not x.": lambda g, x: strip_pool(x),
            "Multiply by `grad_output`: a cell gets its share of what came back, not of 1.": (
                lambda g, x: strip_pool_backward(np.ones_like(g), x)
            ),
            "At its crossing a cell gets both parts, and nothing is taken off.": (
                lambda g, x: strip_pool_backward(g, x) - g / x.shape[1],
                lambda g, x: strip_pool_backward(g, x) - g / x.shape[0],
                lambda g, x: strip_pool_backward(g, x) - g,
                lambda g, x: strip_pool_backward(g, x) - g / x.shape[0] - g / x.shape[1],
            ),
            "Nothing is halved: the gradient is the sum of two parts.": lambda g, x: strip_pool_backward(g, x) / 2,
            "This follows the largest cell. The mean shares among all.": (
                lambda g, x: (
                    (x == x.max(1, keepdims=True)) * g.sum(1, keepdims=True)
                    + (x == x.max(0, keepdims=True)) * g.sum(0, keepdims=True)
                )
            ),
            "This is the gradient of the mean of the whole map.": (
                lambda g, x: np.full(x.shape, g.mean()),
                lambda g, x: np.full(x.shape, 2 * g.mean()),
            ),
            "The gradient has the shape of x, and is not the arriving one.": lambda g, x: g,
            "All zeros is no gradient: something must come back.": lambda g, x: np.zeros_like(x),
            "Rows and columns are swapped.": lambda g, x: strip_pool_backward(g, x).T,
        },
        circumstances={
            "a map that is not square": lambda g, x: x.shape[0] != x.shape[1],
            "more than one row": lambda g, x: x.shape[0] > 1,
            "more than one column": lambda g, x: x.shape[1] > 1,
            "a negative number": lambda g, x: bool((x < 0).any()),
        },
    ),
    Design(
        "strip-pooling/wandering",
        ("reach", "choose"),
        "Choose at most two layers so that a cell depends on its whole line of text, which may wander by two rows, and "
        "on no cell of the lines above and below, nine rows away, which wander too.",
        wandering_demands,
    ),
]
