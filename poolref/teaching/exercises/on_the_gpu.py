"""Exercises of the chapter "On the GPU"."""

import operator

import numpy as np

from poolref.numpy import avg_pool, max_pool, min_pool, sum_pool
from poolref.regions import Window
from poolref.teaching.attempts.exercise import Demand, Design, Exercise
from poolref.teaching.attempts.inputs import fill

# --- floor: worked --------------------------------------------------------------------------------------------------


def floor_time(maps, size, kernel_size, stride, itemsize, bandwidth, rate):
    """Return the nanoseconds that a max pooling takes at least: its bytes and its comparisons, window by window."""
    return floor_of(*(maps, size, kernel_size, stride, itemsize, bandwidth, rate))


def floor_of(maps, size, k, s, e, bandwidth, rate, *, join=max, comparisons=lambda k: k * k - 1, per=None):
    """The floor, and the places where it is easily got wrong."""
    if min(maps, k, s, e, bandwidth, rate) < 1 or k > size or (size - k) % s or s > k:
        raise ValueError("a window fits the map, and windows reach every cell of it")
    cells, outputs = maps * size**2, maps * ((size - k) // s + 1) ** 2
    computed = comparisons(k) * (outputs if per is None else per(cells, outputs))
    return join(e * (cells + outputs) / bandwidth, computed / rate)


def floor_of_bytes(maps, size, kernel_size, stride, itemsize, bandwidth, rate):
    along = (size - kernel_size) // stride + 1
    outputs = maps * along**2
    cells = maps * size**2
    moved = itemsize * (cells + outputs)
    return moved / bandwidth


def layers():
    """Layers on machines: small ones first, bound by bytes and by comparisons in turn."""
    for maps, size, k, s in ((1, 3, 3, 1), (1, 4, 2, 2), (2, 4, 2, 1), (1, 5, 3, 2), (3, 7, 3, 2), (2, 9, 5, 2)):
        for itemsize in (2, 4):
            for bandwidth, rate in ((4, 10), (10, 2), (100, 1), (1, 100)):
                yield maps, size, k, s, itemsize, bandwidth, rate


# --- tile: faded ----------------------------------------------------------------------------------------------------


def max_tile(x, kernel_size, stride, program, block):
    """Return the maxima that one program owns along an axis: `block` neighbouring outputs, as far as they exist."""
    outputs = max_pool(x, Window(kernel_size, stride, ndim=1))
    if block < 1 or not 0 <= program * block < len(outputs):
        raise ValueError(f"program {program} owns no output")
    return outputs[program * block : (program + 1) * block]


def max_tile_with_gaps(x, kernel_size, stride, program, block):
    outputs = (len(x) - kernel_size) // stride + 1
    columns = program * ... + np.arange(block)
    ok = columns < outputs
    best = np.full(block, -np.inf)
    for tap in range(...):
        cells = np.where(ok, columns * ... + tap, 0)
        best = np.maximum(best, np.where(ok, x[cells], -np.inf))
    return best[ok]


def tiles():
    """(x, kernel size, stride, program, block): axes of 3 to 12 cells, each with all its programs."""
    random = np.random.default_rng(0)
    for n, k, s, block in ((3, 1, 1, 2), (4, 2, 1, 2), (7, 3, 2, 2), (7, 2, 2, 4), (9, 3, 3, 2), (12, 2, 1, 4)):
        x = fill(random.permutation(n) - 3, (n,))
        outputs = (n - k) // s + 1
        for program in range(-(-outputs // block)):
            yield x, k, s, program, block


# --- owners: open ---------------------------------------------------------------------------------------------------


def max_backward_by_owners(grad_output, choice, size, kernel_size, stride):
    """Return the gradient of an axis of `size` cells: output o gives all of its own to the cell of tap choice[o]."""
    window = Window(kernel_size, stride, ndim=1)
    if not len(grad_output) == len(choice) == window.output_shape((size,))[0]:
        raise ValueError("there is a gradient and a winning tap for each output")
    if not all(0 <= tap < kernel_size for tap in choice):
        raise ValueError("a winning tap is one of the window")
    return scattered(grad_output, choice, size, stride)


def scattered(g, choice, size, s, cell=lambda o, t, s: o * s + t, add=True, share=lambda g: g):
    """The gradient by adding to winners, and the places where it is easily got wrong."""
    gradient = np.zeros(size)
    for o, t in enumerate(choice):
        i = cell(o, int(t), s)
        if 0 <= i < size:
            gradient[i] = share(g[o]) + (gradient[i] if add else 0)
    return gradient


def by_cells(g, choice, size, k, s, mine=lambda chosen, tap: chosen == tap, whole=True, taps=None):
    """The gradient that each cell collects tap by tap, and the places where that is easily got wrong."""
    gradient = np.zeros(size)
    for i in range(size):
        for tap in range(k) if taps is None else taps(k):
            o, rest = divmod(i - tap, s)
            if (rest == 0 or not whole) and 0 <= o < len(choice) and mine(choice[o], tap):
                gradient[i] += g[o]
    return gradient


def choices():
    """(gradients, winning taps, size, kernel size, stride): every winner is one that some map has."""
    random = np.random.default_rng(0)
    for n, k, s in ((2, 2, 1), (3, 2, 1), (3, 1, 2), (4, 2, 2), (5, 3, 2), (7, 3, 2), (6, 3, 1), (7, 2, 3), (8, 3, 1)):
        for _ in range(4):
            x = random.integers(-2, 3, n) + 0.0
            outputs, indices = max_pool(x, Window(k, s, ndim=1), return_indices=True)
            taps = indices - s * np.arange(len(outputs))
            yield np.resize([1.5, -2.0, 0.5, 3.0], len(outputs)) * (1 + np.arange(len(outputs))), taps, n, k, s


# --- tiles: design --------------------------------------------------------------------------------------------------

MAPS, OUTPUTS, CELLS, KERNEL, STRIDE = 2048, 56, 112, 3, 2
WARP, MOST_THREADS = 32, 1024
KEPT = {"a byte": MAPS * OUTPUTS**2, "an index": 8 * MAPS * OUTPUTS**2, "the map": 2 * MAPS * CELLS**2}
MOST_BEYOND, MOST_READS, MOST_OF_A_THREAD, FEWEST_PROGRAMS, MOST_KEPT = 0.15, 1.2, 4, 20_000, 7_000_000


def plan_demands(plan):
    """What is asked of (rows, columns, threads, kept): sizes, waste, reads, work of a thread, programs, bytes."""
    try:
        *sizes, kept = plan
        rows, columns, threads = map(operator.index, sizes)
    except (TypeError, ValueError):
        raise ValueError('A plan is (rows, columns, threads, kept), such as (1, 8, 32, "the map").') from None
    if not (1 <= rows <= OUTPUTS and 1 <= columns <= 2 * OUTPUTS and 1 <= threads <= MOST_THREADS):
        raise ValueError(
            f"A tile has 1 to {OUTPUTS} rows and 1 to {2 * OUTPUTS} columns, a program 1 to {MOST_THREADS} threads."
        )
    if kept not in KEPT:
        raise ValueError(f"What is kept is one of {', '.join(map(repr, KEPT))}, not {kept!r}.")
    power = columns & (columns - 1) == 0
    yield Demand(
        "columns that are a power of two, threads that are a multiple of 32",
        f"{columns} columns, {threads} threads",
        power and threads % WARP == 0,
        "Triton's arange takes 1, 2, 4, 8, ... numbers." if not power else "Threads come in warps of 32.",
    )
    down, across = -(-OUTPUTS // rows), -(-OUTPUTS // columns)
    beyond = 1 - OUTPUTS**2 / (down * rows * across * columns)
    yield Demand(
        f"at most {MOST_BEYOND:.0%} of the numbers in tiles beyond the output",
        f"{beyond:.1%}",
        beyond <= MOST_BEYOND,
        f"Tiles are cut off at row and column {OUTPUTS}: take numbers of which few more than {OUTPUTS} make a whole.",
    )
    reach = (STRIDE * rows + KERNEL - STRIDE) * (STRIDE * columns + KERNEL - STRIDE)
    reads = reach / (STRIDE**2 * rows * columns)
    yield Demand(
        f"at most {MOST_READS} times the four cells for each output are read",
        f"{reads:.2f} times",
        reads <= MOST_READS,
        "Each tile reads a row and a column more than its own. Larger and squarer tiles share more.",
    )
    each = rows * columns / threads
    yield Demand(
        f"1 to {MOST_OF_A_THREAD} outputs of the tile for each thread",
        f"{each:g}",
        1 <= each <= MOST_OF_A_THREAD,
        "Threads without an output are idle: take fewer." if each < 1 else "Too many outputs for a thread: take more.",
    )
    programs = MAPS * down * across
    yield Demand(
        f"at least {FEWEST_PROGRAMS:,} programs",
        f"{programs:,}",
        programs >= FEWEST_PROGRAMS,
        "There is a program for each tile of each map. Smaller tiles make more programs.",
    )
    yield Demand(
        f"at most {MOST_KEPT:,} bytes kept",
        f"{KEPT[kept]:,}",
        KEPT[kept] <= MOST_KEPT,
        "A tap of a window of 9 cells is a number below 9. How many bytes does it need?",
    )


EXERCISES = [
    Exercise(
        "on-the-gpu/floor",
        "worked",
        ("count", "bound", "claims"),
        floor_time,
        layers,
        given=floor_of_bytes,
        ideas={
            "Both go on at the same time. The longer one counts, not their sum.": (
                lambda *layer: floor_of(*layer, join=lambda a, b: a + b)
            ),
            "This is the shorter of the two. The pooling is done when both are.": lambda *layer: floor_of(
                *layer, join=min
            ),
            "Now the bytes are missing: take the longer of both times.": lambda *layer: floor_of(
                *layer, join=lambda a, b: b
            ),
            "To compare k² cells takes k² − 1 comparisons.": lambda *layer: floor_of(
                *layer, comparisons=lambda k: k * k
            ),
            "A window has kernel_size cells along each of two axes, and is compared cell by cell.": (
                lambda *layer: floor_of(*layer, comparisons=lambda k: k - 1),
                lambda *layer: floor_of(*layer, comparisons=lambda k: 2 * (k - 1)),
            ),
            "The comparisons make outputs: count them for each output, not for each cell.": lambda *layer: floor_of(
                *layer, per=lambda cells, outputs: cells
            ),
            "Each output of each map takes its comparisons. This counts those of fewer.": (
                lambda *layer: floor_of(*layer, per=lambda cells, outputs: 1),
                lambda *layer: floor_of(*layer, per=lambda cells, outputs: layer[0]),
                lambda *layer: floor_of(*layer, per=lambda cells, outputs: outputs / layer[0]),
                lambda *layer: floor_of(*layer, per=lambda cells, outputs: (layer[0] * outputs) ** 0.5),
            ),
            "`rate` is in operations, not in bytes.": lambda *layer: floor_of(
                *layer, comparisons=lambda k: layer[4] * (k * k - 1)
            ),
            "Divide by the rate: more operations in a nanosecond take less time.": lambda *layer: floor_of(
                *layer, comparisons=lambda k: layer[6] ** 2 * (k * k - 1)
            ),
            "These are the numbers of operations and bytes. Divide each by its rate, then take the longer time.": (
                lambda maps, size, k, s, e, b, r: floor_of(maps, size, k, s, e, 1, 1)
            ),
            "The bytes are divided by `bandwidth`, the comparisons by `rate`. Here they are exchanged.": (
                lambda maps, size, k, s, e, b, r: floor_of(maps, size, k, s, e, r, b)
            ),
            "The bytes are divided by `bandwidth`, the comparisons by `rate`. Here both are divided by one of them.": (
                lambda maps, size, k, s, e, b, r: floor_of(maps, size, k, s, e, b, b),
                lambda maps, size, k, s, e, b, r: floor_of(maps, size, k, s, e, r, r),
            ),
            "The mean of two times is no bound. The longer one counts.": lambda *layer: floor_of(
                *layer, join=lambda a, b: (a + b) / 2
            ),
        },
        circumstances={
            "comparisons that take longer than bytes": lambda *layer: (
                floor_of(*layer) > floor_of(*layer, join=lambda a, b: a)
            ),
            "more than one map": lambda maps, *rest: maps > 1,
        },
    ),
    Exercise(
        "on-the-gpu/tile",
        "faded",
        ("read",),
        max_tile,
        tiles,
        given=max_tile_with_gaps,
        gaps=("block", "kernel_size", "stride"),
        ideas={
            "Program 1 begins where the tile of program 0 ends, `block` outputs further.": (
                {1: "1"},
                {1: "stride"},
                {1: "kernel_size"},
                {1: "outputs"},
                {1: "(block - 1)"},
                {1: "(block * stride)"},
            ),
            "A window has kernel_size taps. The loop visits each of them.": (
                {2: "stride"},
                {2: "kernel_size - 1"},
                {2: "block"},
                {2: "2"},
            ),
            "From one output's window to the next are `stride` cells.": (
                {3: "1"},
                {3: "kernel_size"},
                {3: "block"},
                {3: "2"},
            ),
            "This is the whole output. A program returns its own tile.": (
                lambda x, k, s, program, block: max_pool(x, Window(k, s, ndim=1))
            ),
            "Numbers beyond the output are not returned: no −∞ is one.": (
                lambda x, k, s, program, block: np.resize(
                    np.r_[max_tile(x, k, s, program, block), np.full(block, -np.inf)], block
                )
            ),
            "This is the minimum.": lambda x, k, s, program, block: min_pool(x, Window(k, s, ndim=1))[
                program * block : (program + 1) * block
            ],
            "This is the mean.": lambda x, k, s, program, block: avg_pool(x, Window(k, s, ndim=1))[
                program * block : (program + 1) * block
            ],
            "This is the sum.": lambda x, k, s, program, block: sum_pool(x, Window(k, s, ndim=1))[
                program * block : (program + 1) * block
            ],
        },
        gap_ideas=(
            "Program 1 begins where the tile of program 0 ends, `block` outputs further.",
            "A window has kernel_size taps. The loop visits each of them.",
            "From one output's window to the next are `stride` cells.",
        ),
        circumstances={
            "a program other than the first": lambda x, k, s, program, block: program > 0,
            "a tile that reaches beyond the output": lambda x, k, s, program, block: (
                (program + 1) * block > (len(x) - k) // s + 1
            ),
            "a stride above 1": lambda x, k, s, program, block: s > 1,
        },
    ),
    Exercise(
        "on-the-gpu/owners",
        "open",
        ("owners", "read"),
        max_backward_by_owners,
        choices,
        ideas={
            "A cell may have won several windows, and their gradients add up. This keeps one of them.": (
                lambda g, c, n, k, s: scattered(g, c, n, s, add=False),
                lambda g, c, n, k, s: scattered(
                    g[::-1], c[::-1], n, s, lambda o, t, s: (len(c) - 1 - o) * s + t, False
                ),
                lambda g, c, n, k, s: np.array(
                    [max((g[o] for o in range(len(c)) if o * s + c[o] == i), default=0.0) for i in range(n)]
                ),
            ),
            "A cell may lie in several windows. Ask for every tap, not for one window.": (
                lambda g, c, n, k, s: by_cells(g, c, n, k, s, taps=lambda k: range(min(k, s)))
            ),
            "Window o begins at cell o · stride. The stride is missing.": (
                lambda g, c, n, k, s: scattered(g, c, n, 1),
                lambda g, c, n, k, s: scattered(g, c, n, s, cell=lambda o, t, s: o + t * s),
            ),
            "Windows move by `stride`, not by `kernel_size`.": lambda g, c, n, k, s: scattered(g, c, n, k),
            "`choice` counts the taps of a window, from its own first cell on. It is no place on the axis.": (
                lambda g, c, n, k, s: scattered(g, c, n, s, cell=lambda o, t, s: t)
            ),
            "Only the winner receives the gradient. Compare the tap with `choice`.": (
                lambda g, c, n, k, s: by_cells(g, c, n, k, s, mine=lambda chosen, tap: True)
            ),
            "The winner's tap is missing: this gives all gradients to the first cell of each window.": (
                lambda g, c, n, k, s: scattered(g, c, n, s, cell=lambda o, t, s: o * s)
            ),
            "This is the gradient of the mean. The maximum sends all of it to one cell.": (
                lambda g, c, n, k, s: by_cells(g / k, c, n, k, s, mine=lambda chosen, tap: True)
            ),
            "The winner receives all of the gradient, not a part for each tap.": (
                lambda g, c, n, k, s: scattered(g / k, c, n, s)
            ),
            "A cell is tap t of output o only if (cell − t) is a multiple of the stride.": (
                lambda g, c, n, k, s: by_cells(g, c, n, k, s, whole=False)
            ),
            "A window has kernel_size taps, from 0 to kernel_size − 1. This leaves out the last.": (
                lambda g, c, n, k, s: by_cells(g, c, n, k, s, taps=lambda k: range(k - 1))
            ),
            "Taps count from 0. This leaves out the first.": (
                lambda g, c, n, k, s: by_cells(g, c, n, k, s, taps=lambda k: range(1, k))
            ),
            "This is one cell to the right. Taps count from 0.": (
                lambda g, c, n, k, s: scattered(g, c, n, s, cell=lambda o, t, s: o * s + t + 1)
            ),
            "This is one cell to the left. Taps count from 0.": (
                lambda g, c, n, k, s: scattered(g, c, n, s, cell=lambda o, t, s: o * s + t - 1)
            ),
            "Taps run from the left of a window to its right. These run back.": (
                lambda g, c, n, k, s: scattered(g, k - 1 - np.asarray(c), n, s)
            ),
            "This counts wins. Add up the gradients.": lambda g, c, n, k, s: scattered(np.ones_like(g), c, n, s),
            "A gradient keeps its sign.": lambda g, c, n, k, s: scattered(np.abs(g), c, n, s),
            "All zeros is no gradient: something must come back.": lambda g, c, n, k, s: np.zeros(n),
            "The gradient of a cell is a sum, not a mean of what arrives.": lambda g, c, n, k, s: (
                scattered(g, c, n, s) / np.maximum(scattered(np.ones_like(g), c, n, s), 1)
            ),
        },
        circumstances={
            "a stride above 1": lambda g, c, n, k, s: s > 1,
            "a cell that won several windows": lambda g, c, n, k, s: (
                len(set((np.arange(len(c)) * s + c).tolist())) < len(c)
            ),
            "more than one window": lambda g, c, n, k, s: len(c) > 1,
            "windows of more than one cell": lambda g, c, n, k, s: k > 1,
        },
    ),
    Design(
        "on-the-gpu/plan",
        ("count", "read", "claims"),
        "Choose rows and columns of a tile, threads and what is kept, for max pooling of 2,048 maps of 112 × 112: at "
        "most 15 % beyond the output, at most 1.2 times the cells read, 1 to 4 outputs a thread, at least 20,000 "
        "programs, and at most 7,000,000 bytes kept.",
        plan_demands,
    ),
]
