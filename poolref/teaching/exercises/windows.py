"""Exercises of the chapter "Windows"."""

from itertools import product
from math import ceil, prod

from poolref.checks import check_int
from poolref.regions import Window, receptive_field
from poolref.teaching.exercises import Exercise

# --- cells ----------------------------------------------------------------------------------------------------------


def cells(i, n, kernel_size, stride, padding, dilation):
    """Return the list of input cells (0 to n−1) that output cell i sees along one axis. Padding is no cell."""
    window = Window(kernel_size, stride, padding, dilation, ndim=1)
    check_int("i", i, 0)
    spans = window.spans((n,))[0]
    if i >= len(spans):
        raise ValueError(f"i must be below {len(spans)}")
    return list(spans[i])


def taps(i, k, s, p, d):
    """Where the window's taps lie, in the padding or not."""
    return [i * s - p + t * d for t in range(k)]


def positions():
    windows = product(range(1, 8), [1, 2, 3], [1, 2, 3], [0, 1], [1, 2])
    return ((i, n, k, s, p, d) for n, k, s, p, d in windows for i in range(4) if d * (k - 1) < n + 2 * p)


# --- output-size ----------------------------------------------------------------------------------------------------


def output_size(n, kernel_size, stride, padding, dilation, ceil_mode):
    """Return how many output cells a window gives along an axis of n cells. All but ceil_mode are whole numbers."""
    return Window(kernel_size, stride, padding, dilation, ceil_mode, ndim=1).output_shape((n,))[0]


def formula(n, span, s, p, ceil_mode, last_rule=True):
    """The size for a window that spans so many cells, with or without the rule for the last window."""
    room = n + 2 * p - span
    size = (-(-room // s) if ceil_mode else room // s) + 1
    return size - (last_rule and ceil_mode and (size - 1) * s >= n + p)


def span(k, d):
    return d * (k - 1) + 1


def sizes():
    return product(range(1, 9), [1, 2, 3, 4], [1, 2, 3, 4], [0, 1, 2], [1, 2], [False, True])


# --- receptive-field ------------------------------------------------------------------------------------------------


def receptive_field_size(layers):
    """Return how many input cells, end to end, one output cell of a stack sees along one axis.

    layers is a list of (kernel_size, stride, dilation), the first layer first.
    """
    return receptive_field([Window(k, s, 0, d, ndim=1) for k, s, d in layers]).size[0]


def stacks():
    layers = list(product([1, 2, 3], [1, 2], [1, 2]))
    for depth in (1, 2, 3):
        yield from ((list(stack),) for stack in list(product(layers, repeat=depth))[:: 1 if depth < 3 else 7])


def grow(layers, own_stride=False, ignore_stride=False, ignore_dilation=False):
    field, jump = 1, 1
    for k, s, d in layers:
        jump *= s if own_stride else 1
        field += (k - 1) * (1 if ignore_dilation else d) * jump
        jump *= s if not (own_stride or ignore_stride) else 1
    return field


EXERCISES = [
    Exercise(
        "windows/cells",
        "worked",
        cells,
        positions,
        ideas={
            "The first window starts in the padding, at −padding, not at 0.": (
                lambda i, n, k, s, p, d: [c for c in taps(i, k, s, 0, d) if c < n]
            ),
            "Cells below 0 are padding too. A negative index would wrap around to the far end.": (
                lambda i, n, k, s, p, d: [c for c in taps(i, k, s, p, d) if c < n]
            ),
            "Padding is no cell: leave out what is below 0 or above n−1.": lambda i, n, k, s, p, d: taps(i, k, s, p, d),
            "What hangs over the far edge is padding too.": (
                lambda i, n, k, s, p, d: [c for c in taps(i, k, s, p, d) if c >= 0]
            ),
            "A window moves by its stride, not by its kernel size.": (
                lambda i, n, k, s, p, d: [c for c in taps(i, k, k, p, d) if 0 <= c < n]
            ),
            "A window moves by its stride, not by 1.": (
                lambda i, n, k, s, p, d: [c for c in taps(i, k, 1, p, d) if 0 <= c < n]
            ),
            "Dilation leaves gaps: the taps lie `dilation` cells apart.": (
                lambda i, n, k, s, p, d: [c for c in taps(i, k, s, p, 1) if 0 <= c < n]
            ),
            "Dilation leaves gaps. The cells in the gaps are not seen.": (
                lambda i, n, k, s, p, d: [c for c in taps(i, d * (k - 1) + 1, s, p, 1) if 0 <= c < n]
            ),
            "A cell of padding is left out. It is not moved to the nearest cell of the map.": (
                lambda i, n, k, s, p, d: [min(max(c, 0), n - 1) for c in taps(i, k, s, p, d)]
            ),
            "A window takes `kernel_size` cells: this leaves out the last.": (
                lambda i, n, k, s, p, d: [c for c in taps(i, k - 1, s, p, d) if 0 <= c < n]
            ),
            "Cells are counted from 0, not from 1.": (
                lambda i, n, k, s, p, d: [c + 1 for c in taps(i, k, s, p, d) if 0 <= c < n]
            ),
        },
    ),
    Exercise(
        "windows/output-size",
        "faded",
        output_size,
        lambda: sorted(sizes(), key=sum),
        ideas={
            "With ceil_mode the division rounds up.": lambda n, k, s, p, d, c: formula(n, span(k, d), s, p, False),
            "Without ceil_mode the division rounds down.": lambda n, k, s, p, d, c: formula(n, span(k, d), s, p, True),
            "Rounded up, the last window may start in the padding on the right. Such a window is dropped.": (
                lambda n, k, s, p, d, c: formula(n, span(k, d), s, p, c, last_rule=False)
            ),
            "Padding is added on both sides.": lambda n, k, s, p, d, c: formula(n - p, span(k, d), s, p, c),
            "Padding makes the axis longer.": lambda n, k, s, p, d, c: formula(n, span(k, d), s, 0, c),
            "k taps, d apart, span d·(k−1)+1 cells, not k.": lambda n, k, s, p, d, c: formula(n, k, s, p, c),
            "k taps, d apart, span d·(k−1)+1 cells, not d·k.": lambda n, k, s, p, d, c: formula(n, d * k, s, p, c),
            "Count the first window too: + 1.": lambda n, k, s, p, d, c: formula(n, span(k, d), s, p, c) - 1,
            "The division gives whole windows only: round.": lambda n, k, s, p, d, c: (n + 2 * p - span(k, d)) / s + 1,
            "A window moves by its stride, not by its kernel size.": (
                lambda n, k, s, p, d, c: formula(n, span(k, d), k, p, c)
            ),
            "Dividing the length by the stride forgets that the window itself takes room.": (
                lambda n, k, s, p, d, c: ceil((n + 2 * p) / s) if c else (n + 2 * p) // s
            ),
        },
    ),
    Exercise(
        "windows/receptive-field",
        "open",
        receptive_field_size,
        stacks,
        ideas={
            "A layer's own stride does not widen its own field: grow the field first, then the jump.": (
                lambda layers: grow(layers, own_stride=True)
            ),
            "The strides of the layers before multiply what a layer adds.": lambda layers: grow(
                layers, ignore_stride=True
            ),
            "Dilation spreads the taps: a layer adds (k−1)·d jumps.": lambda layers: grow(layers, ignore_dilation=True),
            "Kernels overlap, so their sizes do not simply add up.": lambda layers: sum(k for k, _, _ in layers),
            "Kernels overlap, so their sizes do not multiply.": lambda layers: prod(k for k, _, _ in layers),
            "The last layer sees all that the layers before it see: go through every layer.": (
                lambda layers: (layers[-1][0] - 1) * layers[-1][2] + 1
            ),
            "The first layer comes first: the jump grows on the way to the output.": lambda layers: grow(layers[::-1]),
            "The field starts at 1: an output cell of no layer at all sees one cell.": lambda layers: grow(layers) - 1,
            "A layer adds k−1 steps, not k.": lambda layers: grow([(k + 1, s, d) for k, s, d in layers]),
            "The product of the strides is the jump, not the field.": lambda layers: prod(s for _, s, _ in layers),
        },
    ),
]
