"""Exercises of the chapter "Windows"."""

import operator
from itertools import product
from math import ceil, prod

from poolref.regions import Window, receptive_field
from poolref.teaching.attempts.exercise import Demand, Design, Exercise

# --- cells: worked --------------------------------------------------------------------------------------------------


def cells(i, n, kernel_size, stride, padding, dilation):
    """Return the input cells (0 to n−1) that output i sees along one axis, for any dilation: taps that lie apart."""
    window = Window(kernel_size, stride, padding, dilation, ndim=1)
    spans = window.spans((n,))[0]
    if not 0 <= i < len(spans) or not spans[i]:
        raise ValueError("there is no output i, or it sees nothing but padding")
    return list(spans[i])


def cells_without_dilation(i, n, kernel_size, stride, padding, dilation):
    start = i * stride - padding
    taps = range(start, start + kernel_size)
    return [tap for tap in taps if 0 <= tap < n]


def taps(i, k, s, p, d):
    """Where the window's taps lie, in the padding or not."""
    return [i * s - p + t * d for t in range(k)]


def inside(found, n):
    return [c for c in found if 0 <= c < n]


def positions():
    windows = product(range(1, 8), [1, 2, 3], [1, 2, 3], [0, 1], [1, 2, 3])
    return ((i, n, k, s, p, d) for n, k, s, p, d in windows for i in range(4) if d * (k - 1) < n + 2 * p)


# --- output-size: faded ---------------------------------------------------------------------------------------------


def output_size(n, kernel_size, stride, padding, dilation, ceil_mode):
    """Return how many output cells a window gives along an axis of n cells. All but ceil_mode are whole numbers."""
    return Window(kernel_size, stride, padding, dilation, ceil_mode, ndim=1).output_shape((n,))[0]


def output_size_with_gaps(n, kernel_size, stride, padding, dilation, ceil_mode):
    span = ...
    room = n + ... - span
    size = room // stride + ...
    if ceil_mode and room % stride:
        size = size + 1
    if ceil_mode and (size - 1) * stride >= ...:
        size = size - 1
    return size


def formula(n, span, s, p, ceil_mode, last_rule=True):
    """The size for a window that spans so many cells, with or without the rule for the last window."""
    room = n + 2 * p - span
    size = (-(-room // s) if ceil_mode else room // s) + 1
    return size - (last_rule and ceil_mode and (size - 1) * s >= n + p)


def span(k, d):
    return d * (k - 1) + 1


def sizes():
    return sorted(product(range(1, 8), [1, 2, 3, 4], [1, 2, 3], [0, 1, 2], [1, 2, 3], [False, True]), key=sum)


# --- uses: open -----------------------------------------------------------------------------------------------------


def uses_of_cell(c, n, kernel_size, stride, padding):
    """Return how many outputs see input cell c (0 to n−1) along an axis of n cells."""
    spans = Window(kernel_size, stride, padding, ndim=1).spans((n,))[0]
    if not 0 <= c < n:
        raise ValueError("c must be a cell of the map")
    return sum(c in span for span in spans)


def windows_at(c, k, s, p, outputs):
    """How many of the outputs i in `outputs` have cell c under their window."""
    return sum(i * s - p <= c < i * s - p + k for i in outputs)


def outputs_of(n, k, s, p):
    return range((n + 2 * p - k) // s + 1)


def used_cells():
    windows = product(range(1, 8), [1, 2, 3, 4], [1, 2, 3], [0, 1, 2])
    return ((c, n, k, s, p) for n, k, s, p in windows for c in range(n))


# --- receptive-field: open ------------------------------------------------------------------------------------------


def receptive_field_size(layers):
    """Return how many input cells, end to end, the receptive field of one output cell of a stack spans along one axis.

    layers is a list of (kernel_size, stride, dilation), the first layer first.
    """
    return receptive_field([Window(k, s, 0, d, ndim=1) for k, s, d in layers]).size[0]


def stacks():
    layers = list(product([1, 2, 3], [1, 2], [1, 2]))
    for depth in (1, 2, 3):
        yield from ((list(stack),) for stack in list(product(layers, repeat=depth))[:: 1 if depth < 3 else 7])


def grow(layers, own_stride=False, ignore_stride=False, ignore_dilation=False, start=1):
    field, jump = start, 1
    for k, s, d in layers:
        jump *= s if own_stride else 1
        field += (k - 1) * (1 if ignore_dilation else d) * jump
        jump *= s if not (own_stride or ignore_stride) else 1
    return field


# --- sparse-field: design -------------------------------------------------------------------------------------------

LEAST_SPAN, KERNELS = 12, range(2, 6)


def sparse_demands(layers):
    """What is asked of two layers (kernel_size, stride) whose receptive field is mostly unseen."""
    try:
        layers = [tuple(operator.index(number) for number in layer) for layer in layers]
        windows = [Window(*layer, ndim=1) for layer in layers if len(layer) == 2]
    except TypeError:
        raise ValueError("The answer is a list of layers, each (kernel_size, stride) in whole numbers.") from None
    if not layers or len(windows) != len(layers):
        raise ValueError("The answer is a list of layers, each (kernel_size, stride), and it is not empty.")
    places = {0}
    for k, s in reversed(layers):
        places = {s * i + t for i in places for t in range(k)}
    span = receptive_field(windows).size[0]
    yield Demand("two layers", f"{len(layers)}", len(layers) == 2, "Two layers are enough: no more are asked for.")
    wrong = [k for k, _ in layers if k not in KERNELS]
    yield Demand(
        f"kernel sizes from {KERNELS[0]} to {KERNELS[-1]}",
        f"one is {wrong[0]}" if wrong else "so they are",
        not wrong,
        "A kernel of 1 widens no field, and large kernels leave few gaps.",
    )
    yield Demand(
        f"a field that spans at least {LEAST_SPAN} cells",
        f"{span}",
        span >= LEAST_SPAN,
        "The second layer adds (kernel_size − 1) jumps, and the jump is the stride of the first. The stride of the "
        "second widens nothing here.",
    )
    yield Demand(
        "at most a third of the field is seen",
        f"{len(places)} of {span}",
        3 * len(places) <= span,
        "Each tap of the second layer sees one window of the first. Cells between these windows are unseen only if the "
        "first stride is larger than the first kernel.",
    )


# --- stack: design --------------------------------------------------------------------------------------------------

INPUT_SIDE, OUTPUT_SIDE, LEAST_FIELD, LARGEST_KERNEL, MOST_WORK = 56, 7, 31, 5, 6_000


def stack_demands(layers):
    """What is asked of a list of (kernel_size, stride, padding): a stack of square windows over a 56×56 map."""
    try:
        layers = [tuple(operator.index(number) for number in layer) for layer in layers]
        windows = [Window(*layer) for layer in layers if len(layer) == 3]
    except TypeError:
        raise ValueError("A stack is a list of layers, each (kernel_size, stride, padding) in whole numbers.") from None
    if not layers or len(windows) != len(layers):
        raise ValueError("A stack is a list of layers, each (kernel_size, stride, padding), and it is not empty.")
    side, work = INPUT_SIDE, 0
    for layer, window in zip(layers, windows):
        if max(window.kernel_size) > side + 2 * max(window.padding):
            raise ValueError(f"The layer {layer} does not fit: what arrives there is {side} × {side}.")
        side = window.output_shape((side, side))[0]
        work += layer[0] ** 2 * side**2

    field = receptive_field(windows).size[0]
    yield Demand(
        f"an output of {OUTPUT_SIDE} × {OUTPUT_SIDE}",
        f"{side} × {side}",
        side == OUTPUT_SIDE,
        f"From {INPUT_SIDE} to {OUTPUT_SIDE} the strides multiply to {INPUT_SIDE // OUTPUT_SIDE}. Follow the size from "
        "layer to layer: (n + 2·padding − kernel_size) // stride + 1.",
    )
    yield Demand(
        f"a receptive field of at least {LEAST_FIELD} × {LEAST_FIELD}",
        f"{field} × {field}",
        field >= LEAST_FIELD,
        "A layer adds (kernel_size − 1) jumps, and the jump is the product of the strides before it: a kernel widens "
        "the field more behind the strides than before them.",
    )
    skipping = [layer for layer in layers if layer[1] > layer[0]]
    yield Demand(
        "no layer steps over cells: stride ≤ kernel size",
        f"{skipping[0]} does" if skipping else "none does",
        not skipping,
        "Where the stride is larger than the kernel, there are cells that no window sees.",
    )
    largest = max(k for k, _, _ in layers)
    yield Demand(
        f"no kernel larger than {LARGEST_KERNEL}",
        f"the largest is {largest}",
        largest <= LARGEST_KERNEL,
        "Several small kernels reach as far as a large one: their fields add up.",
    )
    yield Demand(
        f"at most {MOST_WORK:,} operations, kernel_size² for each output cell of each layer",
        f"{work:,}",
        work <= MOST_WORK,
        "A layer costs kernel_size² for each of its outputs, and the first layers have most outputs. Shrink the map "
        "with small kernels, and put the larger ones where few cells are left.",
    )


EXERCISES = [
    Exercise(
        "windows/cells",
        "worked",
        ("cells",),
        cells,
        positions,
        given=cells_without_dilation,
        ideas={
            "Here `range` stops too early: kernel_size taps, `dilation` apart, reach over dilation·(kernel_size−1)+1 "
            "cells.": (lambda i, n, k, s, p, d: inside(range(i * s - p, i * s - p + k, d), n),),
            "Dilation leaves gaps. The cells in the gaps are not seen.": (
                lambda i, n, k, s, p, d: inside(range(i * s - p, i * s - p + d * (k - 1) + 1), n),
                lambda i, n, k, s, p, d: inside(range(i * s - p, i * s - p + d * k), n),
            ),
            "Dilation spreads the taps from the window's start. The start itself stays where it was.": (
                lambda i, n, k, s, p, d: inside([tap * d for tap in taps(i, k, s, p, 1)], n),
                lambda i, n, k, s, p, d: inside([(i * s + t) * d - p for t in range(k)], n),
                lambda i, n, k, s, p, d: inside([i * s * d - p + t * d for t in range(k)], n),
                lambda i, n, k, s, p, d: inside([i * s - p * d + t * d for t in range(k)], n),
            ),
            "Dilation 2 is a distance of 2 from tap to tap, not a gap of 2 cells.": (
                lambda i, n, k, s, p, d: inside(taps(i, k, s, p, d + 1), n)
            ),
            "The taps are counted from the window's start, in the padding or not. Moved to 0, they shift.": (
                lambda i, n, k, s, p, d: inside([max(i * s - p, 0) + t * d for t in range(k)], n),
                lambda i, n, k, s, p, d: inside(range(max(i * s - p, 0), i * s - p + d * (k - 1) + 1, d), n),
            ),
            "The first window starts in the padding, at −padding, not at 0.": (
                lambda i, n, k, s, p, d: inside(taps(i, k, s, 0, d), n)
            ),
            "Cells below 0 are padding too. A negative index would wrap around to the far end.": (
                lambda i, n, k, s, p, d: [c for c in taps(i, k, s, p, d) if c < n],
                lambda i, n, k, s, p, d: [c % n for c in taps(i, k, s, p, d) if c < n],
                lambda i, n, k, s, p, d: [abs(c) for c in taps(i, k, s, p, d) if c < n],
            ),
            "Padding is no cell: leave out what is below 0 or above n−1.": lambda i, n, k, s, p, d: taps(i, k, s, p, d),
            "What hangs over the far edge is padding too.": (
                lambda i, n, k, s, p, d: [c for c in taps(i, k, s, p, d) if c >= 0],
                lambda i, n, k, s, p, d: [c for c in taps(i, k, s, p, d) if 0 <= c <= n],
            ),
            "Cell 0 is a cell of the map: `0 <= tap`, not `0 < tap`.": (
                lambda i, n, k, s, p, d: [c for c in taps(i, k, s, p, d) if 0 < c < n]
            ),
            "A window moves by its stride, not by its kernel size.": (
                lambda i, n, k, s, p, d: inside(taps(i, k, k, p, d), n)
            ),
            "A window moves by its stride, not by 1.": lambda i, n, k, s, p, d: inside(taps(i, k, 1, p, d), n),
            "Dilation does not change the stride: output i begins at i·stride − padding.": (
                lambda i, n, k, s, p, d: inside(taps(i, k, s + d - 1, p, d), n),
                lambda i, n, k, s, p, d: inside(taps(i, k, s + d, p, d), n),
            ),
            "The padding lies before cell 0, so the first window begins at −padding, not at +padding.": (
                lambda i, n, k, s, p, d: inside(taps(i, k, s, -p, d), n)
            ),
            "A window has kernel_size taps. This goes on to the end of the map.": (
                lambda i, n, k, s, p, d: inside(range(i * s - p, n, d), n)
            ),
            "The taps are counted from the window's start. This takes kernel_size taps inside the map.": (
                lambda i, n, k, s, p, d: inside(range(i * s - p, n, d), n)[:k]
            ),
            "A cell of padding is left out. It is not moved to the nearest cell of the map.": (
                lambda i, n, k, s, p, d: [min(max(c, 0), n - 1) for c in taps(i, k, s, p, d)]
            ),
            "A window takes `kernel_size` cells: this leaves out the last.": (
                lambda i, n, k, s, p, d: inside(taps(i, k - 1, s, p, d), n)
            ),
            "A window takes `kernel_size` cells: this takes one more.": (
                lambda i, n, k, s, p, d: inside(taps(i, k + 1, s, p, d), n)
            ),
            "Cells are counted from 0, not from 1.": (
                lambda i, n, k, s, p, d: [c + 1 for c in inside(taps(i, k, s, p, d), n)]
            ),
        },
        circumstances={
            "a window that reaches into the padding before the map": lambda i, n, k, s, p, d: i * s < p,
            "a window that reaches beyond the map": lambda i, n, k, s, p, d: i * s - p + d * (k - 1) >= n,
            "padding": lambda i, n, k, s, p, d: p > 0,
            "a dilation above 1": lambda i, n, k, s, p, d: d > 1 and k > 1,
            "an output other than the first": lambda i, n, k, s, p, d: i > 0,
        },
    ),
    Exercise(
        "windows/output-size",
        "faded",
        ("size",),
        output_size,
        sizes,
        given=output_size_with_gaps,
        gaps=("dilation * (kernel_size - 1) + 1", "2 * padding", "1", "n + padding"),
        ideas={
            "Taps that lie `dilation` apart reach over more cells than there are taps.": (
                {1: "kernel_size"},
                {1: "kernel_size - 1"},
            ),
            "From the first tap to the last there are kernel_size − 1 steps of `dilation`, and the first tap counts "
            "too.": (
                {1: "dilation * kernel_size"},
                {1: "dilation * (kernel_size - 1)"},
                {1: "dilation * kernel_size + 1"},
                {1: "dilation * kernel_size - 1"},
                {1: "dilation + kernel_size - 1"},
                {1: "dilation + kernel_size"},
            ),
            "Padding is added on both sides.": (
                {2: "padding"},
                lambda n, k, s, p, d, c: formula(n - p, span(k, d), s, p, c),
            ),
            "Padding makes the axis longer: n + 2·padding cells.": (
                {2: "0"},
                lambda n, k, s, p, d, c: formula(n, span(k, d), s, 0, c),
                {2: "-2 * padding"},
            ),
            "Padding counts in cells, not in windows or kernels.": (
                {2: "padding * kernel_size"},
                {2: "2 * padding * dilation"},
                {2: "kernel_size // 2"},
                {2: "2"},
            ),
            "Count the first window too, which needs no step: + 1.": (
                {3: "0"},
                {3: "2"},
                {3: "stride"},
                {3: "padding"},
            ),
            "A window may begin anywhere in the map, or in the padding before it. The first `padding` steps lie there: "
            "the map ends at n + padding.": (
                {4: "n"},
                {4: "n - padding"},
                {4: "n - 1"},
                {4: "n + padding - 1"},
                {4: "room"},
                {4: "n - span"},
                {4: "n + padding - span"},
            ),
            "A window that begins after the map is dropped.": (
                {4: "n + 2 * padding"},
                {4: "n + padding + 1"},
                {4: "n + 2 * padding - 1"},
                {4: "n + stride"},
                {4: "n + padding * stride"},
                {4: "n + kernel_size"},
                {4: "n + span"},
                lambda n, k, s, p, d, c: formula(n, span(k, d), s, p, c, last_rule=False),
            ),
            "With ceil_mode the division rounds up.": lambda n, k, s, p, d, c: formula(n, span(k, d), s, p, False),
            "Without ceil_mode the division rounds down.": lambda n, k, s, p, d, c: formula(n, span(k, d), s, p, True),
            "The division gives whole windows only: round.": lambda n, k, s, p, d, c: (n + 2 * p - span(k, d)) / s + 1,
            "A window moves by its stride, not by its kernel size.": (
                lambda n, k, s, p, d, c: formula(n, span(k, d), k, p, c)
            ),
            "Dividing the length by the stride forgets that the window itself takes room.": (
                lambda n, k, s, p, d, c: ceil((n + 2 * p) / s) if c else (n + 2 * p) // s,
                {1: "0"},
                {1: "1"},
            ),
        },
        circumstances={
            "`ceil_mode`": lambda n, k, s, p, d, c: c,
            "no `ceil_mode`": lambda n, k, s, p, d, c: not c,
            "padding": lambda n, k, s, p, d, c: p > 0,
            "a dilation above 1": lambda n, k, s, p, d, c: d > 1,
            "a stride above 1": lambda n, k, s, p, d, c: s > 1,
            "`ceil_mode` and padding": lambda n, k, s, p, d, c: c and p > 0,
            "`ceil_mode` and a stride above 1": lambda n, k, s, p, d, c: c and s > 1,
        },
    ),
    Exercise(
        "windows/uses",
        "open",
        ("uses",),
        uses_of_cell,
        used_cells,
        ideas={
            "There is no window before the first: output 0 begins at −padding.": (
                lambda c, n, k, s, p: windows_at(c, k, s, p, range(-9, outputs_of(n, k, s, p).stop))
            ),
            "There is no window after the last: it is output (n + 2·padding − kernel_size) // stride.": (
                lambda c, n, k, s, p: windows_at(c, k, s, p, range(40)),
                lambda c, n, k, s, p: windows_at(c, k, s, p, range(n)),
            ),
            "The count depends on where the cell lies. One number does not fit all cells.": (
                lambda c, n, k, s, p: ceil(k / s),
                lambda c, n, k, s, p: k // s,
                lambda c, n, k, s, p: k,
                lambda c, n, k, s, p: 1,
                lambda c, n, k, s, p: k - s + 1,
            ),
            "The first window starts in the padding, at −padding, not at 0.": (
                lambda c, n, k, s, p: windows_at(c, k, s, 0, outputs_of(n, k, s, p)),
                lambda c, n, k, s, p: windows_at(c, k, s, 0, outputs_of(n, k, s, 0)),
            ),
            "Padding adds windows on both sides. Without it there are fewer outputs.": (
                lambda c, n, k, s, p: windows_at(c, k, s, p, outputs_of(n, k, s, 0)),
                lambda c, n, k, s, p: windows_at(c, k, s, p, range((n + p - k) // s + 1)),
            ),
            "A window moves by its stride, not by its kernel size.": (
                lambda c, n, k, s, p: windows_at(c, k, k, p, outputs_of(n, k, k, p))
            ),
            "A window moves by its stride, not by 1.": (
                lambda c, n, k, s, p: windows_at(c, k, 1, p, outputs_of(n, k, 1, p)),
                lambda c, n, k, s, p: windows_at(c, k, 1, p, outputs_of(n, k, s, p)),
            ),
            "This counts the cells that output c sees. Turn the question round: which outputs see cell c?": (
                lambda c, n, k, s, p: len(inside(taps(c, k, s, p, 1), n))
            ),
            "A window sees kernel_size cells from where it begins, and this counts the beginnings alone.": (
                lambda c, n, k, s, p: windows_at(c, 1, s, p, outputs_of(n, k, s, p))
            ),
            "A window ends before cell start + kernel_size. This sees one cell too many.": (
                lambda c, n, k, s, p: windows_at(c, k + 1, s, p, outputs_of(n, k, s, p))
            ),
            "A window sees kernel_size cells. This leaves out one.": (
                lambda c, n, k, s, p: windows_at(c, k - 1, s, p, outputs_of(n, k, s, p)),
                lambda c, n, k, s, p: sum(i * s - p < c < i * s - p + k for i in outputs_of(n, k, s, p)),
            ),
            "The last window is missing: there are (n + 2·padding − kernel_size) // stride + 1 of them.": (
                lambda c, n, k, s, p: windows_at(c, k, s, p, range(outputs_of(n, k, s, p).stop - 1))
            ),
            "There are whole windows only: round down, so that none hangs over.": (
                lambda c, n, k, s, p: windows_at(c, k, s, p, range(ceil((n + 2 * p - k) / s) + 1))
            ),
            "This counts all windows that begin at cell c or before it. Those that end before cell c do not see it.": (
                lambda c, n, k, s, p: c // s + 1,
                lambda c, n, k, s, p: (c + p) // s + 1,
                lambda c, n, k, s, p: ceil((c + 1) / s),
                lambda c, n, k, s, p: sum(i * s - p <= c for i in outputs_of(n, k, s, p)),
            ),
            "The padding lies before cell 0, so the first window begins at −padding, not at +padding.": (
                lambda c, n, k, s, p: windows_at(c, k, s, -p, outputs_of(n, k, s, p))
            ),
            "This is the number of all outputs. Count those that see cell c.": (
                lambda c, n, k, s, p: len(outputs_of(n, k, s, p))
            ),
            "Cells are counted from 0, not from 1.": (
                lambda c, n, k, s, p: windows_at(c - 1, k, s, p, outputs_of(n, k, s, p)),
                lambda c, n, k, s, p: windows_at(c + 1, k, s, p, outputs_of(n, k, s, p)),
            ),
        },
        circumstances={
            "padding": lambda c, n, k, s, p: p > 0,
            "windows that overlap": lambda c, n, k, s, p: s < k,
            "a stride larger than the kernel": lambda c, n, k, s, p: s > k,
            "a stride above 1": lambda c, n, k, s, p: s > 1,
            "a cell that no window sees": lambda c, n, k, s, p: uses_of_cell(c, n, k, s, p) == 0,
            "a cell close to the beginning": lambda c, n, k, s, p: c < k,
            "a cell close to the end": lambda c, n, k, s, p: c >= n - k,
        },
    ),
    Exercise(
        "windows/receptive-field",
        "open",
        ("field",),
        receptive_field_size,
        stacks,
        ideas={
            "A layer's own stride does not widen its own field: grow the field first, then the jump.": (
                lambda layers: grow(layers, own_stride=True)
            ),
            "The strides of the layers before multiply what a layer adds.": (
                lambda layers: grow(layers, ignore_stride=True),
                lambda layers: grow([(k, 1, 1) for k, _, _ in layers]),
            ),
            "The jump is the product of all strides before, not only of the last one.": (
                lambda layers: (
                    1 + sum((k - 1) * d * before for (k, _, d), (_, before, _) in zip(layers, [(1, 1, 1), *layers]))
                )
            ),
            "Strides multiply. Added up, they give another jump.": (
                lambda layers: (
                    1 + sum((k - 1) * d * (sum(s for _, s, _ in layers[:i]) or 1) for i, (k, _, d) in enumerate(layers))
                )
            ),
            "Dilation spreads the taps: a layer adds (k−1)·d jumps.": lambda layers: grow(layers, ignore_dilation=True),
            "Dilation does not change the jump from one output to the next. Only the stride does.": (
                lambda layers: grow([(k, s * d, d) for k, s, d in layers])
            ),
            "Windows of neighbouring cells overlap, so kernel sizes do not simply add up.": (
                lambda layers: sum(k for k, _, _ in layers),
                lambda layers: sum(span(k, d) for k, _, d in layers),
            ),
            "Windows of neighbouring cells overlap, so kernel sizes do not multiply.": (
                lambda layers: prod(k for k, _, _ in layers),
                lambda layers: prod(span(k, d) for k, _, d in layers),
            ),
            "The last layer sees all that the layers before it see: go through every layer.": (
                lambda layers: (layers[-1][0] - 1) * layers[-1][2] + 1,
                lambda layers: grow(layers[:1]),
                lambda layers: max(span(k, d) for k, _, d in layers),
            ),
            "Every layer adds to the field, the last one too.": lambda layers: grow(layers[:-1]),
            "The first layer comes first: the jump grows on the way to the output.": lambda layers: grow(layers[::-1]),
            "The field starts at 1: an output cell of no layer at all sees one cell.": (
                lambda layers: grow(layers, start=0)
            ),
            "A layer adds k−1 steps, not k.": lambda layers: grow([(k + 1, s, d) for k, s, d in layers]),
            "A kernel of k cells adds k−1 steps, an even one too.": (
                lambda layers: grow([(2 * (k // 2) + 1, s, d) for k, s, d in layers]),
                lambda layers: grow([(2 * (k // 2) + 1, 1, d) for k, s, d in layers]),
            ),
            "The field starts at 1 cell. This is one too many.": lambda layers: grow(layers, start=2),
            "The product of the strides is the jump, not the field.": (
                lambda layers: prod(s for _, s, _ in layers),
                lambda layers: prod(s for _, s, _ in layers) * layers[-1][0],
                lambda layers: prod(s for _, s, _ in layers[:-1]) * layers[-1][0],
                lambda layers: prod(k * s for k, s, _ in layers),
            ),
            "The last layer's stride says how far apart two fields lie, not how wide one is.": (
                lambda layers: grow(layers) * layers[-1][1]
            ),
        },
        circumstances={
            "more than one layer": lambda layers: len(layers) > 1,
            "three layers": lambda layers: len(layers) > 2,
            "a dilation above 1": lambda layers: any(d > 1 and k > 1 for k, _, d in layers),
            "a stride above 1": lambda layers: any(s > 1 for _, s, _ in layers),
            "a stride above 1 before the last layer": lambda layers: any(s > 1 for _, s, _ in layers[:-1]),
            "a layer with kernel size 1": lambda layers: any(k == 1 for k, _, _ in layers),
        },
    ),
    Design(
        "windows/sparse-field",
        ("claims", "field"),
        "Design two layers whose receptive field is mostly unseen.",
        sparse_demands,
    ),
    Design(
        "windows/stack",
        ("field", "size"),
        f"Design a stack over a map of {INPUT_SIDE} × {INPUT_SIDE}: a list of layers, each (kernel_size, stride, "
        "padding), the first layer first.",
        stack_demands,
    ),
]
