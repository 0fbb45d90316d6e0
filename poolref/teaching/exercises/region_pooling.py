"""Exercises of the chapter "Region pooling"."""

import numpy as np

from poolref.numpy import roi_align_backward
from poolref.regions import Box
from poolref.teaching.attempts.exercise import Demand, Design, Exercise
from poolref.teaching.attempts.inputs import with_gradient


def nearest(edge):
    """The whole number to which an edge from 0 up is rounded, halves up."""
    return int(np.floor(edge + 0.5))


def check_box(first, last, *counts):
    if not 0 <= first < last or min(counts) < 1:
        raise ValueError("a box begins at 0 or later, ends after that, and has at least one bin and one sample in it")


# --- exclusive: worked -----------------------------------------------------------------------------------------------


def exclusive(x, first, last, bins):
    """Return the maxima of a box's bins in a row of cells; the cell to which `last` rounds is not in the box."""
    check_box(first, last, bins)
    start, end = nearest(first), nearest(last)
    (spans,) = Box((start,), (max(end - start, 1),), (bins,)).spans(x.shape)
    return np.array([max((x[c] for c in span), default=0.0) for span in spans])


def roi_pool_row(x, first, last, bins):
    start = int(np.floor(first + 0.5))
    end = int(np.floor(last + 0.5))
    size = max(end - start + 1, 1)
    y = np.zeros(bins)
    for i in range(bins):
        low = start + i * size // bins
        high = start + -(-(i + 1) * size // bins)
        cells = x[low:high]
        if len(cells):
            y[i] = np.max(cells)
    return y


def row_of(
    rounded=nearest,
    size=lambda start, end: max(end - start, 1),
    reduce=np.max,
    rounded_last=None,
    late=0,
    low=lambda n: n[0] // n[1],
    high=lambda n: -(-n[0] // n[1]),
    empty=0.0,
    before=lambda start, end: None,
):
    """The solution, with one of its parts exchanged."""

    def attempt(x, first, last, bins):
        start, end = rounded(first) + late, (rounded_last or rounded)(last) + late
        cells_of_box = size(start, end)
        y = np.full(bins, empty)
        for i in range(bins):
            cells = x[: before(start, end)][
                start + low((i * cells_of_box, bins)) : start + high(((i + 1) * cells_of_box, bins))
            ]
            if len(cells):
                y[i] = reduce(cells)
        return y

    return attempt


def in_parts(x, first, last, bins):
    """The box cut into parts that share no cell."""
    start, end = nearest(first), max(nearest(last), nearest(first) + 1)
    return np.array([max(part, default=0.0) for part in np.array_split(x[start:end], bins)])


def cropped(x, first, last, bins):
    """The bins of the part of the box that lies in the row."""
    start, end = nearest(first), max(nearest(last), nearest(first) + 1)
    return exclusive(x[start:end], 0, max(len(x[start:end]), 1), bins)


def rows_and_boxes():
    random = np.random.default_rng(0)
    for cells in (2, 3, 4, 6, 8):
        for first, last in (
            (0, 1),
            (0.5, 1.5),
            (0, 1.4),
            (0.6, 2.5),
            (1.5, 3.5),
            (1, 1.2),
            (0.25, 4.5),
            (2.5, 6),
            (5, 7.5),
        ):
            if first < cells:
                for bins in (1, 2, 3):
                    yield random.permutation(cells) - 3.0, first, last, bins


# --- samples: faded --------------------------------------------------------------------------------------------------


def sample_positions(first, last, bins, per_bin):
    """Return where RoIAlign samples along an axis, (bins, per_bin), counted from the middle of cell 0."""
    check_box(first, last, bins, per_bin)
    size = (last - first) / bins
    i, t = np.arange(bins)[:, None], np.arange(per_bin)
    return first - 0.5 + (i + (t + 0.5) / per_bin) * size


def sample_positions_with_gaps(first, last, bins, per_bin):
    size = (last - first) / ...
    i, t = np.arange(bins)[:, None], np.arange(per_bin)
    return first - ... + (i + (t + ...) / ...) * size


def boxes_on_an_axis():
    for first, last in ((0.0, 1.0), (1.0, 3.0), (0.5, 2.5), (2.25, 7.0), (0.0, 9.0)):
        for bins, per_bin in ((1, 1), (2, 1), (1, 2), (2, 3), (3, 2), (4, 1), (5, 4)):
            yield first, last, bins, per_bin


# --- backward: open --------------------------------------------------------------------------------------------------


def roi_align_row_backward(grad_output, x, first, last):
    """Return the gradient of RoIAlign of a row, one sample a bin, with respect to x."""
    check_box(first, last, len(grad_output))
    if first < 0.5 or last > len(x) - 0.5:
        raise ValueError("every sample lies between two cells of the row")
    box = [[0, first, 0, last, 1]]
    maps, g = x[None, None, None], grad_output[None, None, None]
    return roi_align_backward(g, maps, box, (1, len(grad_output)), sampling_ratio=1)[0, 0, 0]


def rows_and_bins():
    random = np.random.default_rng(0)
    for cells, first, last, bins in (
        (2, 0.5, 1.5, 1),
        (2, 0.75, 1.5, 1),
        (3, 0.5, 2.0, 1),
        (3, 0.5, 2.5, 2),
        (3, 1.0, 2.0, 2),
        (4, 0.75, 2.75, 2),
        (4, 1.5, 2.5, 3),
        (5, 0.5, 4.5, 2),
        (5, 1.25, 4.25, 3),
        (6, 0.75, 5.25, 4),
    ):
        for _ in range(2):
            yield random.permutation(cells) - 2.0, first, last, bins


def with_bins(x, first, last, bins):
    """The arguments of a case: a gradient for each bin before the row and the box."""
    g, *_ = with_gradient(lambda x, *_: (bins,))(x)
    return g, x, first, last


def handed_back(
    shift=0.5,
    middle=0.5,
    share=lambda part: (1 - part, part),
    add=True,
    bins_in=lambda g, x: len(g),
    value=lambda x, cell: 1,
):
    """A backward loop, right unless a part of it is exchanged."""

    def attempt(g, x, first, last):
        gradient = np.zeros(len(x))
        for i in range(len(g)):
            position = first - shift + (i + middle) * (last - first) / bins_in(g, x)
            low = int(np.clip(np.floor(position), 0, len(x) - 1))
            for cell, weight in zip((low, min(low + 1, len(x) - 1)), share(position - low)):
                part = weight * g[i] * value(x, cell)
                gradient[cell] = gradient[cell] + part if add or weight == 0 else part
        return gradient

    return attempt


def to_the_largest(g, x, first, last):
    """RoI pooling's gradient: to the first largest cell of each bin."""
    gradient = np.zeros(len(x))
    start, size = nearest(first), max(nearest(last) - nearest(first) + 1, 1)
    (spans,) = Box((start,), (size,), (len(g),)).spans(x.shape)
    for value, span in zip(g, spans):
        if len(span):
            gradient[max(span, key=lambda c: x[c])] += value
    return gradient


def positions(g, first, last):
    """Where the sample of each bin lies."""
    return first - 0.5 + (np.arange(len(g)) + 0.5) * (last - first) / len(g)


def sampled(g, x, first, last):
    """The forward pass."""
    return np.interp(positions(g, first, last), np.arange(len(x)), x)


def added_once(g, x, first, last):
    """Cells chosen by their numbers, where += adds a single part to a cell that is listed several times."""
    low = np.minimum(positions(g, first, last).astype(int), len(x) - 2)
    part = positions(g, first, last) - low
    gradient = np.zeros(len(x))
    gradient[low] += g * (1 - part)
    gradient[low + 1] += g * part
    return gradient


def as_many_as_cells(g, x, first, last):
    """As many samples in a bin as it has cells, rounded up."""
    maps, box = x[None, None, None], [[0, first, 0, last, 1]]
    return roi_align_backward(g[None, None, None], maps, box, (1, len(g)))[0, 0, 0]


def over_the_bin(g, x, first, last):
    """Each gradient over the cells of its bin, by how much of each lies in the bin."""
    edges = np.linspace(first, last, len(g) + 1)[:, None]
    cells = np.arange(len(x))
    covered = np.clip(np.minimum(edges[1:], cells + 1) - np.maximum(edges[:-1], cells), 0, None)
    return g @ (covered / covered.sum(1, keepdims=True))


# --- detector: design ------------------------------------------------------------------------------------------------

POOLINGS = {"RoI pooling": 1 / 2, "RoIAlign": 0, "RoIAlign, not aligned": 1 / 2}  # cells off, in the mean
STRIDES = tuple(2**n for n in range(7))
PICTURE, SMALLEST, LARGEST, GRID, CELLS = 512, 28, 224, 7, 24_000


def detector_demands(detector):
    """What is asked of a pooling and the strides of its levels."""
    if not isinstance(detector, tuple | list) or len(detector) != 2:
        raise ValueError('A design is a pooling and a list of strides, such as ("RoI pooling", [2, 4]).')
    pooling, strides = detector
    if not isinstance(pooling, str) or pooling not in POOLINGS:
        raise ValueError(f"The pooling is one of {', '.join(map(repr, POOLINGS))}, not {pooling!r}.")
    known = (
        isinstance(strides, tuple | list)
        and strides
        and all(isinstance(s, int | np.integer) and s is not True and s in STRIDES for s in strides)
    )
    if not known or len(set(strides)) < len(strides):
        raise ValueError(f"The strides are a list of different powers of two from 1 to 64, not {strides!r}.")
    fine, coarse = min(strides), max(strides)
    off = POOLINGS[pooling] * coarse
    yield Demand(
        "on every level what is pooled lies within one pixel of the box, in the mean",
        f"up to {off:g} pixels off",
        off <= 1,
        "RoI pooling includes the last cell, and looks half a cell too far in the mean."
        if pooling == "RoI pooling"
        else "Without the shift, RoIAlign looks half a cell too far.",
    )
    bin_of_smallest = SMALLEST / GRID / fine
    yield Demand(
        f"on the finest level a bin of a box of {SMALLEST} pixels has at least one cell",
        f"{bin_of_smallest:g} cells a side",
        bin_of_smallest >= 1,
        f"A bin of this box has {SMALLEST}/{GRID} pixels a side. A cell must not be larger.",
    )
    bin_of_largest = LARGEST / GRID / coarse
    yield Demand(
        f"on the coarsest level a bin of a box of {LARGEST} pixels has at most 2 × 2 cells",
        f"{bin_of_largest:g} cells a side",
        bin_of_largest <= 2,
        f"A bin of this box has {LARGEST}/{GRID} pixels a side. Two cells have to be at least as large.",
    )
    cells = sum((PICTURE // stride) ** 2 for stride in strides)
    yield Demand(
        f"all levels together have at most {CELLS:,} cells a channel",
        f"{cells:,}",
        cells <= CELLS,
        f"A level has ({PICTURE}/stride)² cells: the finest costs most.",
    )


EXERCISES = [
    Exercise(
        "region-pooling/exclusive",
        "worked",
        ("by-hand", "offset"),
        exclusive,
        rows_and_boxes,
        given=roi_pool_row,
        ideas={
            "A box has at least one cell, also where both edges round to the same.": (
                row_of(size=lambda a, b: b - a),
                row_of(size=lambda a, b: max(b - a, 0)),
            ),
            "The last cell is left out, not the first.": (
                row_of(late=1),
                row_of(late=1, size=lambda a, b: max(b - a + 1, 1)),
            ),
            "This leaves out two cells. Only the one to which the far edge rounds goes.": row_of(
                size=lambda a, b: max(b - a - 1, 1)
            ),
            "Halves round away from zero, and np.round takes them to the even neighbour.": row_of(
                lambda v: int(np.round(v))
            ),
            "A half rounds up, and this takes it down.": row_of(lambda v: int(np.ceil(v - 0.5))),
            "An edge goes to the nearest cell. This rounds down.": (
                row_of(lambda v: int(v)),
                row_of(rounded_last=int),
                row_of(lambda v: int(v), size=lambda a, b: max(b - a + 1, 1)),
            ),
            "An edge goes to the nearest cell. This rounds up.": row_of(lambda v: int(np.ceil(v))),
            "This takes the mean of each bin.": row_of(reduce=np.mean),
            "This takes the smallest cell of each bin.": row_of(reduce=np.min),
            "This adds each bin up.": row_of(reduce=np.sum),
            "A bin ends where it is rounded up. This rounds down.": row_of(high=lambda n: n[0] // n[1]),
            "A bin begins where it is rounded down. This rounds up.": row_of(low=lambda n: -(-n[0] // n[1])),
            "Leave out the last cell first, then cut the box into bins. This cuts first.": (
                row_of(size=lambda a, b: max(b - a + 1, 1), before=lambda a, b: max(b, a + 1))
            ),
            "The box loses its last cell. This takes the last cell of every bin.": row_of(
                size=lambda a, b: max(b - a + 1, 1), high=lambda n: -(-n[0] // n[1]) - 1
            ),
            "Adaptive bins may share cells. These do not.": in_parts,
            "The whole box is cut into bins, and not only its part in the row.": cropped,
            "A bin without cells gives 0.": (row_of(empty=-np.inf), row_of(empty=np.nan)),
            "A bin may have only negative cells, and then its maximum is negative.": (
                lambda x, *box: np.maximum(exclusive(x, *box), 0)
            ),
            "All zeros: some bin has a cell.": lambda x, first, last, bins: np.zeros(bins),
            "Each bin has a largest cell of its own. This takes that of the whole box.": lambda x, first, last, bins: (
                np.repeat(exclusive(x, first, last, 1), bins)
            ),
        },
        circumstances={
            "more than one bin": lambda x, first, last, bins: bins > 1,
            "an edge half way between two whole numbers": lambda x, first, last, bins: 0.5 in (first % 1, last % 1),
            "a box that leaves the row": lambda x, first, last, bins: nearest(last) > len(x),
            "a box whose edges round to one cell": lambda x, first, last, bins: nearest(first) == nearest(last),
        },
        shown=lambda x, first, last, bins: last <= len(x),
    ),
    Exercise(
        "region-pooling/samples",
        "faded",
        ("by-hand", "claims"),
        sample_positions,
        boxes_on_an_axis,
        given=sample_positions_with_gaps,
        gaps=("bins", "0.5", "0.5", "per_bin"),
        ideas={
            "Samples and bins are exchanged: the box is cut into bins, and a bin into samples.": (
                {1: "per_bin", 4: "bins"},
            ),
            "The box is cut into `bins` parts.": ({1: "per_bin"}, {1: "1"}, {1: "(bins * per_bin)"}),
            "The value of a cell lies at its middle: half a cell is taken off. This is `aligned=False`.": (
                {2: "0"},
                {2: "0.0"},
            ),
            "A whole cell is too much: the middle of a cell is half a cell from its edge.": ({2: "1"},),
            "Half a cell is taken off, and this adds it.": ({2: "-0.5"},),
            "A sample lies in the middle of its part of the bin, not at the part's beginning.": ({3: "0"},),
            "A sample lies in the middle of its part of the bin, not at the part's end.": ({3: "1"},),
            "A bin is cut into `per_bin` parts.": (
                {4: "bins"},
                {4: "1"},
                {4: "(per_bin + 1)"},
                {4: "(bins * per_bin)"},
            ),
        },
        gap_ideas=(
            "The first blank cuts the box into bins.",
            "The second blank brings the box to the middle of cell 0.",
            "The third blank brings a sample to the middle of its part.",
            "The fourth blank cuts a bin into parts, one for each sample.",
        ),
        circumstances={
            "more than one bin": lambda first, last, bins, per_bin: bins > 1,
            "more than one sample a bin": lambda first, last, bins, per_bin: per_bin > 1,
            "a box that does not begin at 0": lambda first, last, bins, per_bin: first != 0,
        },
    ),
    Exercise(
        "region-pooling/backward",
        "open",
        ("gradient",),
        roi_align_row_backward,
        rows_and_bins,
        arguments=with_bins,
        ideas={
            "Half a cell is missing: the value of a cell lies at its middle.": handed_back(shift=0),
            "A sample lies in the middle of its bin, not at the bin's beginning.": handed_back(middle=0),
            "A sample lies in the middle of its bin, not at the bin's end.": handed_back(middle=1),
            "The two weights are exchanged: the nearer cell gets more.": handed_back(
                share=lambda part: (part, 1 - part)
            ),
            "The sample lies between two cells, and both get a part.": (
                handed_back(share=lambda part: (1, 0)),
                handed_back(share=lambda part: (part < 0.5, part >= 0.5)),
                handed_back(share=lambda part: (part <= 0.5, part > 0.5)),
            ),
            "The two cells get parts by distance, not one half each.": handed_back(share=lambda part: (0.5, 0.5)),
            "Each cell gets its part of the gradient, not all of it.": handed_back(share=lambda part: (1, 1)),
            "A cell may lie beside several samples: add, do not overwrite.": handed_back(add=False),
            "`gradient[cells] += parts` adds once to a cell listed twice. Use np.add.at, or a loop.": added_once,
            "Each bin has one sample, in its middle, however many cells it has.": as_many_as_cells,
            "The weights alone share the gradient. The size of a bin is no factor.": (
                lambda g, x, a, b: roi_align_row_backward(g, x, a, b) * (b - a) / len(g)
            ),
            "Only the two cells around a sample get a part. This shares it over the bin.": over_the_bin,
            "One sample a bin: nothing is divided by the number of bins.": (
                lambda g, x, a, b: roi_align_row_backward(g, x, a, b) / len(g)
            ),
            "The box is cut into as many bins as gradients arrive.": handed_back(bins_in=lambda g, x: len(x)),
            "The gradient of interpolation does not depend on the values of x.": handed_back(
                value=lambda x, cell: x[cell]
            ),
            "Multiply by `grad_output`: a cell gets its part of what came back, not of 1.": (
                lambda g, x, a, b: roi_align_row_backward(np.ones_like(g), x, a, b)
            ),
            "This is RoI pooling's gradient, to the largest cell of each bin.": to_the_largest,
            "This is the forward pass: the gradient has the shape of x.": sampled,
            "The gradient has the shape of x, and is not the arriving one.": lambda g, x, a, b: g,
            "All zeros is no gradient: something must come back.": lambda g, x, a, b: np.zeros_like(x),
            "This shares the gradient evenly over the row.": lambda g, x, a, b: np.full(x.shape, g.sum() / len(x)),
        },
        circumstances={
            "more than one bin": lambda g, x, first, last: len(g) > 1,
            "a sample that is not half way between cells": lambda g, x, first, last: bool(
                (positions(g, first, last) % 1 != 0.5).any()
            ),
            "bins smaller than a cell": lambda g, x, first, last: (last - first) / len(g) < 1,
        },
    ),
    Design(
        "region-pooling/detector",
        ("levels", "offset", "choose"),
        "Choose a pooling of boxes and the strides of a detector's levels, for pictures of 512 × 512 pixels, boxes of "
        "28 to 224 pixels and 7 × 7 bins, at most a pixel off in the mean and with at most 24,000 cells a channel.",
        detector_demands,
    ),
]
