"""Exercises of the chapter "Center pooling"."""

from functools import cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from poolref.numpy import (
    avg_pool,
    center_pool,
    center_pool_backward,
    corner_pool,
    max_pool,
    max_pool_backward,
    subsample,
)
from poolref.regions import Columns, Rows, Window
from poolref.teaching import data
from poolref.teaching.attempts.exercise import Demand, Design, Exercise
from poolref.teaching.attempts.inputs import maps, with_gradient


def small_maps():
    return ((x,) for x, *_ in maps([(1, 1)]))


def joined(of_rows, of_columns, join=np.add):
    """A wrong operator from what it makes of each row of a and of each column of b, two functions like np.max."""
    return lambda a, b: join(of_rows(a, axis=1, keepdims=True), of_columns(b, axis=0, keepdims=True))


def of_others(x, axis):
    """For each cell the largest other one of its line along an axis; 0 if there is none."""
    y = np.zeros(x.shape)
    for cell in np.ndindex(x.shape):
        line = x[:, cell[1]] if axis == 0 else x[cell[0]]
        y[cell] = max(np.delete(line, cell[axis]), default=0)
    return y


# --- two-maps: worked -----------------------------------------------------------------------------------------------


def center_pool_of_two(a, b):
    """Return for each cell the largest cell of its row of a plus the largest cell of its column of b."""
    return center_pool(a, b)


def center_pool_2d(a, b):
    height, width = a.shape
    rows = np.empty(height)
    for i in range(height):
        rows[i] = np.max(a[i, :])
    columns = np.empty(width)
    for j in range(width):
        columns[j] = np.max(a[:, j])
    y = np.empty((height, width))
    for i, j in np.ndindex(height, width):
        y[i, j] = rows[i] + columns[j]
    return y


def two_maps():
    """Two maps of one shape, which differ."""
    for number, (x,) in enumerate(small_maps()):
        yield x, (2 - x[::-1, ::-1] if number % 2 else x[::-1] * 2 - 1)


# --- centre-cells: faded --------------------------------------------------------------------------------------------


def centre_cells(x, kernel_size, stride):
    """Return the centre cell of every window of a 2-d map, without padding; of an even window the earlier one."""
    if kernel_size > min(x.shape):
        raise ValueError("the chapter takes windows that fit")
    return subsample(x, Window(kernel_size, stride))


def centre_cells_with_gaps(x, kernel_size, stride):
    middle = (kernel_size - 1) // ...
    height = (x.shape[0] - ...) // stride + 1
    width = (x.shape[1] - kernel_size) // stride + 1
    rows = middle + ... * np.arange(height)
    columns = middle + stride * np.arange(width)
    return x[np.ix_(rows, columns)]


def windowed_maps():
    return maps([(1, 1), (1, 2), (2, 1), (2, 2), (3, 1), (3, 2), (3, 3), (4, 1), (4, 2), (5, 1), (2, 3), (1, 3)])


# --- backward: open -------------------------------------------------------------------------------------------------


def center_pool_2d_backward(grad_output, x):
    """Return the gradient of center pooling of x with respect to x."""
    return center_pool_backward(grad_output, x)


def to_winners(g, x, rows=True, columns=True, last=False, ties=1, of_columns=None):
    """The right gradient, and the places where it is easily got wrong."""
    gradient = np.zeros(x.shape)
    for i in range(x.shape[0] if rows else 0):
        chosen = np.flatnonzero(x[i] == x[i].max())
        _add(gradient[i], chosen, g[i].sum(), last, ties)
    for j in range(x.shape[1] if columns else 0):
        chosen = np.flatnonzero(x[:, j] == x[:, j].max())
        _add(gradient[:, j], chosen, g[:, j].sum() if of_columns is None else of_columns(g, j), last, ties)
    return gradient


def _add(line, chosen, amount, last, ties):
    if ties == "shared":
        line[chosen] += amount / len(chosen)
    elif ties == "differences":  # a central difference sees a maximum rise on one side only
        line[chosen] += amount / min(len(chosen), 2)
    elif ties == "each":
        line[chosen] += amount
    else:
        line[chosen[-1 if last else 0]] += amount


def overwritten(g, x):
    gradient = np.zeros(x.shape)
    for i, j in enumerate(x.argmax(1)):
        gradient[i, j] = g[i].sum()
    for j, i in enumerate(x.argmax(0)):
        gradient[i, j] = g[:, j].sum()
    return gradient


def counted_once(g, x):
    """The gradient of the set of an output's winners, in which a cell that wins row and column stands once."""
    gradient = np.zeros(x.shape)
    for i, j in np.ndindex(g.shape):
        for winner in {(i, x[i].argmax()), (x[:, j].argmax(), j)}:
            gradient[winner] += g[i, j]
    return gradient


def of_own_cells(g, x):
    """The gradient of the winner's own output alone, instead of all of its row and all of its column."""
    of_rows = max_pool_backward(np.ones((x.shape[0], 1)), x, Rows())
    return g * (of_rows + max_pool_backward(np.ones((1, x.shape[1])), x, Columns()))


# --- coins: design --------------------------------------------------------------------------------------------------

LARGEST = (31, 33)  # rows and columns of the largest coin, at half the picture's size
POOLINGS = ("center", "means", "window")


@cache
def views(side=32, step=4):
    """Views of the coins at half size, each with a whole coin in it: pairs (view, (row, column) of the coin's middle).

    Args:
        side: rows and columns of a view.
        step: cells from one view of a coin to the next.
    """
    table, found = avg_pool(data.picture("coins"), Window(2)), []
    for top, left, bottom, right in data.coin_boxes() / 2:
        middle = (top + bottom - 1) / 2, (left + right - 1) / 2
        starts = (
            range(max(0, int(np.ceil(end)) - side + 1), min(int(start) - 1, n - side) + 1, step)
            for start, end, n in zip((top, left), (bottom, right), table.shape, strict=True)
        )
        rows, columns = map(list, starts)
        for row in rows:
            for column in columns:
                view = table[row : row + side, column : column + side]
                found.append((view, np.subtract(middle, (row, column))))
    return found


def share_found(side, length, pooling):
    """In which part of the views the highest cell of the pooled edges lies in the middle of the coin."""
    from poolref.teaching.live.cross import edges, highest

    seen, square, hits = views(side, 6), Window(9, 1, 4), []
    seldom = 1 + len(seen) // 150  # a large view holds a coin at hundreds of places, too many for a check
    for view, middle in seen[::seldom]:
        a, b = edges(view, length)
        if pooling == "center":
            made = center_pool(a, b)
        elif pooling == "means":
            made = avg_pool(a, Rows()) + avg_pool(b, Columns())
        else:
            made = max_pool(a, square) + max_pool(b, square)
        hits.append(np.abs(np.subtract(highest(made), middle)).max() <= 2.5)
    return float(np.mean(hits)) if hits else 0.0


def coins_demands(settings):
    """What is asked of (side, length, pooling)."""
    wrong = ValueError(
        'Settings are (side, length, pooling): a side from 8 to 64, an odd length from 1 to 31, and "center", "means" '
        'or "window".'
    )
    if not isinstance(settings, list | tuple) or len(settings) != 3:
        raise wrong
    side, length, pooling = settings
    whole = all(isinstance(n, int) and not isinstance(n, bool) for n in (side, length))
    if not whole or pooling not in POOLINGS or not (8 <= side <= 64 and 1 <= length <= 31 and length % 2):
        raise wrong
    fits = side >= max(LARGEST)
    yield Demand(
        f"the largest coin, {LARGEST[0]} × {LARGEST[1]} cells, fits",
        f"a view of {side} × {side}",
        fits,
        "A view cannot hold a coin that is larger than itself.",
    )
    share = share_found(side, length, pooling)
    yield Demand(
        "the middle is found in at least 90 % of the views",
        f"in {100 * share:.0f} %",
        share >= 0.9,
        _why(side, length, pooling),
    )


def _why(side, length, pooling):
    if pooling == "window":
        return "A window of 9 × 9 does not reach from the middle of a coin to its edge. A row and a column do."
    if side > (38 if pooling == "center" else 46):
        return "So large a view holds several coins: the row may come from one and the column from another."
    if length < 7:
        return "Short edges are about as strong along much of a coin's outline. A longer one fits best at the ends."
    if length > 13:
        return "So long an edge is longer than a coin's outline is straight."
    if pooling == "means":
        return "A mean counts all edges of a row, those of the coin's relief too. It needs longer edges than a maximum."
    return "Change the length of the edges a little: it has to fit the bend of the coins."


EXERCISES = [
    Exercise(
        "center-pooling/two-maps",
        "worked",
        ("by-hand", "highest"),
        center_pool_of_two,
        two_maps,
        given=center_pool_2d,
        ideas={
            "The rows are those of a. This takes both from b.": lambda a, b: center_pool(b),
            "Rows belong to a and columns to b. Here they are exchanged.": lambda a, b: center_pool(b, a),
            "The two maps are not mixed: rows look at a alone, columns at b alone.": (
                lambda a, b: center_pool(np.maximum(a, b)),
                lambda a, b: center_pool(a + b),
                lambda a, b: center_pool((a + b) / 2),
                lambda a, b: center_pool(a) + center_pool(b),
            ),
            "The columns take the mean. Both take their largest cell.": joined(np.max, np.mean),
            "This takes the mean of rows and columns, as strip pooling does.": joined(np.mean, np.mean),
            "The two numbers are added. This takes the larger of them.": joined(np.max, np.max, np.maximum),
            "The two numbers are added. This multiplies them.": joined(np.max, np.max, np.multiply),
            "The columns of b are missing.": lambda a, b: max_pool(a, Rows()) + 0 * b,
            "The rows of a are missing.": lambda a, b: max_pool(b, Columns()) + 0 * a,
            "Each column of b has a largest cell of its own. This takes the largest of the whole map.": (
                lambda a, b: max_pool(a, Rows()) + b.max() + 0 * b,
                lambda a, b: a.max() + b.max() + 0 * b,
            ),
            "This looks along the rows of b. Its columns are asked for.": (
                lambda a, b: max_pool(a, Rows()) + max_pool(b, Rows()) + 0 * b
            ),
            "A cell looks along its whole row and its whole column, not to one side.": (
                lambda a, b: corner_pool(b, a),
                lambda a, b: corner_pool(b, a, "bottom_right"),
            ),
            "This adds where the largest cells stand. Their values are added.": joined(np.argmax, np.argmax),
            "The largest cell is the largest with its sign, not the largest magnitude.": (
                lambda a, b: center_pool(np.abs(a), np.abs(b))
            ),
            "A cell is part of its own row and its own column.": lambda a, b: of_others(a, 1) + of_others(b, 0),
            "All zeros: some largest cell has to come out.": lambda a, b: 0 * a,
            "Nothing is halved: the output is a sum.": lambda a, b: center_pool(a, b) / 2,
            "A column with only negative cells has a negative maximum. No zero takes part.": (
                joined(np.max, lambda b, **axis: np.maximum(b.max(**axis), 0)),
                joined(lambda a, **axis: np.maximum(a.max(**axis), 0), lambda b, **axis: np.maximum(b.max(**axis), 0)),
            ),
        },
        circumstances={
            "a negative number": lambda a, b: bool((a < 0).any() or (b < 0).any()),
            "more than one row": lambda a, b: a.shape[0] > 1,
            "more than one column": lambda a, b: a.shape[1] > 1,
        },
    ),
    Exercise(
        "center-pooling/centre-cells",
        "faded",
        ("meanings", "claims"),
        centre_cells,
        windowed_maps,
        given=centre_cells_with_gaps,
        gaps=("2", "kernel_size", "stride"),
        ideas={
            "The centre lies in the middle of the window. This keeps its first cell.": ({1: "kernel_size"},),
            "The centre lies in the middle of the window. This keeps its last cell.": ({1: "1"},),
            "The first centre lies in the middle of the first window, and the next one `stride` rows on.": (
                {3: "1"},
                {3: "kernel_size"},
            ),
            "The centre is kept as it stands, whatever the other cells of its window hold.": (
                lambda x, k, s: max_pool(x, Window(k, s)),
                lambda x, k, s: avg_pool(x, Window(k, s)),
                lambda x, k, s: np.median(sliding_window_view(x, (k, k))[::s, ::s], axis=(-2, -1)),
            ),
            "The last window has to fit into the map, so the last cells are no centres.": (
                lambda x, k, s: x[(k - 1) // 2 :: s, (k - 1) // 2 :: s]
            ),
        },
        gap_ideas=(
            "The first gap finds the middle of a window.",
            "A window takes room: along n cells there are (n − kernel_size) // stride + 1 of them.",
            "The third gap is how far apart the centres lie.",
        ),
        circumstances={
            "a stride above 1": lambda x, k, s: s > 1,
            "a window of more than one cell": lambda x, k, s: k > 1,
            "a map that is not square": lambda x, k, s: x.shape[0] != x.shape[1],
        },
    ),
    Exercise(
        "center-pooling/backward",
        "open",
        ("gradient",),
        center_pool_2d_backward,
        small_maps,
        arguments=with_gradient(lambda x: x.shape),
        ideas={
            "The part that comes back along the columns is missing.": lambda g, x: to_winners(g, x, columns=False),
            "The part that comes back along the rows is missing.": lambda g, x: to_winners(g, x, rows=False),
            "Of equal cells the first one gets the gradient, not the last.": (
                lambda g, x: to_winners(g, x, last=True),
                lambda g, x: to_winners(g, x, columns=False) + to_winners(g, x, rows=False, last=True),
                lambda g, x: to_winners(g, x, columns=False, last=True) + to_winners(g, x, rows=False),
            ),
            "Of equal cells the first one gets the whole gradient. It is not shared.": (
                lambda g, x: to_winners(g, x, ties="shared"),
                lambda g, x: to_winners(g, x, ties="differences"),
                lambda g, x: to_winners(g, x, columns=False) + to_winners(g, x, rows=False, ties="shared"),
                lambda g, x: to_winners(g, x, columns=False, ties="shared") + to_winners(g, x, rows=False),
            ),
            "Of equal cells the first one alone gets the gradient.": lambda g, x: to_winners(g, x, ties="each"),
            "A cell can win its row and its column: add, do not overwrite.": (overwritten, counted_once),
            "A cell need not win both its row and its column: each of the two has a winner.": (
                lambda g, x: to_winners(g, x) * (x == max_pool(x, Rows())) * (x == max_pool(x, Columns()))
            ),
            "A winner gets the gradients of its own row or column, not those of the whole map.": (
                lambda g, x: (
                    to_winners(np.full(g.shape, g.sum()) / g.shape[1], x, columns=False)
                    + to_winners(np.full(g.shape, g.sum()) / g.shape[0], x, rows=False)
                )
            ),
            "All outputs of a row come from its winner: it gets the sum of the row's gradients, not its own place's.": (
                of_own_cells
            ),
            "A maximum does not share: the winner gets the sum, not the mean.": (
                lambda g, x: (
                    max_pool_backward(g.mean(1, keepdims=True), x, Rows())
                    + max_pool_backward(g.mean(0, keepdims=True), x, Columns())
                )
            ),
            "This spreads the gradient over rows and columns. It goes to their winners alone.": (
                lambda g, x: g.mean(1, keepdims=True) + g.mean(0, keepdims=True),
                lambda g, x: g.sum(1, keepdims=True) + g.sum(0, keepdims=True),
            ),
            "The winners are those of x, not of the arriving gradient.": lambda g, x: to_winners(g, g),
            "The winner is the largest cell. This follows the smallest.": lambda g, x: to_winners(g, -x),
            "The winner is the largest cell with its sign, not the largest magnitude.": (
                lambda g, x: to_winners(g, np.abs(x))
            ),
            "The whole map has a winner, but each row and each column has one of its own.": (
                lambda g, x: 2 * g.sum() * (np.arange(x.size) == x.argmax()).reshape(x.shape)
            ),
            "This is the forward pass.": lambda g, x: center_pool(x),
            "Multiply by `grad_output`: a winner gets what came back, not 1 for each output.": (
                lambda g, x: to_winners(np.ones_like(g), x)
            ),
            "The winner gets the gradient, not the gradient times its value.": lambda g, x: to_winners(g, x) * x,
            "A winner below zero gets its gradient too.": lambda g, x: to_winners(g, x) * (x > 0),
            "Nothing is halved: the gradient is the sum of two parts.": lambda g, x: to_winners(g, x) / 2,
            "The gradient has the shape of x, and is not the arriving one.": lambda g, x: g,
            "All zeros is no gradient: something must come back.": lambda g, x: np.zeros_like(x),
        },
        circumstances={
            "equal cells in a row or a column": lambda g, x: any((line == line.max()).sum() > 1 for line in (*x, *x.T)),
            "more than one row": lambda g, x: x.shape[0] > 1,
            "more than one column": lambda g, x: x.shape[1] > 1,
            "a negative number": lambda g, x: bool((x < 0).any()),
        },
    ),
    Design(
        "center-pooling/coins",
        ("choose", "highest"),
        "Choose the side of a view, the length of the edges and the pooling so that the highest cell lies in the "
        "middle of the coin in at least 90 % of the views that hold a whole coin.",
        coins_demands,
    ),
]
