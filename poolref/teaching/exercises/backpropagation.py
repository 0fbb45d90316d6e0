"""Exercises of the chapter "Backpropagation"."""

import operator

import numpy as np

from poolref.numpy import avg_pool_backward, max_pool, max_pool_backward, sum_pool_backward
from poolref.regions import Window
from poolref.teaching.attempts.exercise import Demand, Design, Exercise
from poolref.teaching.attempts.inputs import maps, with_gradient
from poolref.teaching.attempts.loops import backward_ideas, into_windows

WINDOWS = [(2, 2), (1, 1), (2, 1), (3, 1), (3, 2), (1, 2), (2, 3)]


def output_shape(x, kernel_size, stride, *_):
    return Window(kernel_size, stride).output_shape(x.shape)


# --- spread: worked -------------------------------------------------------------------------------------------------


def mean_pool_2d_backward(grad_output, x, kernel_size, stride):
    """Return the gradient of 2-d mean pooling with respect to x, for windows that may overlap."""
    return avg_pool_backward(grad_output, x, Window(kernel_size, stride))


def mean_pool_2d_backward_side_by_side(grad_output, x, kernel_size, stride):
    gradient = np.zeros(x.shape)
    share = 1 / kernel_size**2
    for i, j in np.ndindex(grad_output.shape):
        top, left = i * stride, j * stride
        rows, columns = slice(top, top + kernel_size), slice(left, left + kernel_size)
        gradient[rows, columns] = share * grad_output[i, j]
    return gradient


def shares_of_mean(grad_output, x, kernel_size, stride, **how):
    return into_windows(grad_output, x, kernel_size, stride, lambda g, w: np.full(w.shape, g / kernel_size**2), **how)


def averaged_over_uses(grad_output, x, kernel_size, stride):
    uses = sum_pool_backward(np.ones_like(grad_output), x, Window(kernel_size, stride))
    return mean_pool_2d_backward(grad_output, x, kernel_size, stride) / np.maximum(uses, 1)


# --- quotient: faded ------------------------------------------------------------------------------------------------


def central_differences(grad_output, x, kernel_size, stride, step):
    """Return, for each cell of a 2-d map, the central difference of the loss after max pooling."""
    return differences(grad_output, x, kernel_size, stride, step)


def differences(g, x, k, s, step, up=1, down=1, over=2):
    """The quotient of the loss with a cell raised by `up` steps and lowered by `down`, over `over` steps."""
    quotient = np.zeros(x.shape)
    for cell in np.ndindex(x.shape):
        nudge = np.zeros(x.shape)
        nudge[cell] = step
        rise = max_pool(x + up * nudge, Window(k, s)) - max_pool(x - down * nudge, Window(k, s))
        quotient[cell] = np.sum(g * rise) / (over * step)
    return quotient


def central_differences_with_gaps(grad_output, x, kernel_size, stride, step):
    window = Window(kernel_size, stride)
    quotient = np.zeros(x.shape)
    for cell in np.ndindex(x.shape):
        nudge = np.zeros(x.shape)
        nudge[cell] = ...
        raised = max_pool(x + nudge, window)
        lowered = max_pool(..., window)
        quotient[cell] = np.sum(... * (raised - lowered)) / ...
    return quotient


def with_steps():
    """Maps with windows and a step: short ones, and long ones that pass kinks."""
    for number, (x, *window) in enumerate(maps(WINDOWS)):
        yield x, *window, (0.25, 1.5, 4.0)[number % 3]


# --- chain: open ----------------------------------------------------------------------------------------------------


def relu_max_pool_2d_backward(grad_output, z, kernel_size, stride):
    """Return the gradient at z of ReLU followed by 2-d max pooling: to the winner of each window, if it is above 0."""
    return max_pool_backward(grad_output, np.maximum(z, 0), Window(kernel_size, stride)) * (z > 0)


def with_ties():
    """Maps with windows; of those that hold nothing above 0, the same 2 higher as well, so that cells above 0 tie."""
    for x, *window in maps(WINDOWS):
        yield x, *window
        if x.max() <= 0:
            yield x + 2, *window


def winners(g, z, k, s, **how):
    """The gradient of the maximum after ReLU, by a loop that may go wrong."""

    def to_first(gradient, window):
        part = np.zeros(window.shape)
        if window.size:
            part.flat[np.argmax(np.maximum(window, 0))] = gradient
        return part

    return into_windows(g, z, k, s, to_first, **how) * (z > 0)


def all_winners(g, z, k, s, split):
    def to_all(gradient, window):
        tied = np.maximum(window, 0) == max(window.max(), 0)
        return gradient * tied / (tied.sum() if split else 1)

    return into_windows(g, z, k, s, to_all) * (z > 0)


def last_winner(g, z, k, s):
    def to_last(gradient, window):
        part = np.zeros(window.shape)
        part.flat[window.size - 1 - np.argmax(np.maximum(window, 0).ravel()[::-1])] = gradient
        return part

    return into_windows(g, z, k, s, to_last) * (z > 0)


def by_columns(g, z, k, s):
    def to_first(gradient, window):
        part = np.zeros(window.T.shape)
        part.flat[np.argmax(np.maximum(window.T, 0))] = gradient
        return part.T

    return into_windows(g, z, k, s, to_first) * (z > 0)


# --- map: design ----------------------------------------------------------------------------------------------------


def routed(g, x, k, s, *, add=True, above=None, order="C"):
    """The gradient of max pooling, right or with one of the mistakes of the exercise."""
    gradient = np.zeros(x.shape)
    for i, j in np.ndindex(g.shape):
        window = x[i * s : i * s + k, j * s : j * s + k]
        place = np.argmax(window.ravel(order))
        a, b = np.unravel_index(place, window.shape, order="C")  # which is wrong if it was counted in another order
        cell = i * s + a, j * s + b
        if above is None or x[cell] > above:
            gradient[cell] = gradient[cell] * add + g[i, j]
    return gradient


SUSPECTS = {
    "forgets to add": (
        lambda *a: routed(*a, add=False),
        "One cell has to win two windows. Let windows overlap around a large value.",
    ),
    "looks at cells above zero only": (
        lambda *a: routed(*a, above=0),
        "All winners are above zero. Let a window hold negative values only.",
    ),
    "counts the window column by column": (
        lambda *a: routed(*a, order="F"),
        "All winners stand where row and column in the window are the same. Let one stand beside the diagonal.",
    ),
}


def map_demands(settings):
    """What is asked of (map, kernel_size, stride, step): the right backward passes the check, three wrong ones fail."""
    try:
        x, *window, step = settings
        kernel_size, stride = (operator.index(number) for number in window)
        x, step = np.array(x, float), float(step)
    except (TypeError, ValueError):
        message = "Settings are (map, kernel_size, stride, step), such as ([[1, 2], [3, 4]], 2, 2, 0.1)."
        raise ValueError(message) from None
    if x.ndim != 2 or x.size == 0 or max(x.shape) > 6 or not np.isfinite(x).all():
        raise ValueError("A map has 1 to 6 rows of equal length, with 1 to 6 numbers each.")
    if not 0 < step < np.inf:
        raise ValueError(f"A step is a number above 0, and this one is {step:g}.")
    shape = Window(kernel_size, stride).output_shape(x.shape)
    arriving = np.arange(1.0, np.prod(shape) + 1).reshape(shape)
    measured = central_differences(arriving, x, kernel_size, stride, step)

    def error(backward):
        return abs(backward(arriving, x, kernel_size, stride) - measured).max()

    off = error(routed)
    yield Demand(
        "a check that accepts the right backward, with an error below 0.001",
        f"an error of {off:.2g}",
        bool(off < 1e-3),
        "Rounding: so short a step leaves the difference of the losses no digits."
        if step < 1e-10
        else "Two cells of one window are equal, or so near to each other that a step leads from one to the other.",
    )
    if off >= 1e-3:
        return
    for name, (backward, idea) in SUSPECTS.items():
        off = error(backward)
        yield Demand(f"a check that refuses the one that {name}", f"an error of {off:.2g}", bool(off > 0.1), idea)


EXERCISES = [
    Exercise(
        "backpropagation/spread",
        "worked",
        ("route", "overlap"),
        mean_pool_2d_backward,
        lambda: maps(WINDOWS),
        given=mean_pool_2d_backward_side_by_side,
        arguments=with_gradient(output_shape),
        ideas={
            **{idea: wrong for idea, wrong in backward_ideas(shares_of_mean).items() if "overwrite" not in idea},
            "This divides by how many windows see a cell. The parts are added, not averaged.": averaged_over_uses,
            "A window has kernel_size² cells, and each gets one of so many parts.": (
                lambda g, x, k, s: mean_pool_2d_backward(g, x, k, s) * k
            ),
            "Each cell gets the whole gradient: that is the backward of the sum. The mean divides.": (
                lambda g, x, k, s: sum_pool_backward(g, x, Window(k, s))
            ),
            "This is the router. The mean gives every cell of the window a part.": (
                lambda g, x, k, s: max_pool_backward(g, x, Window(k, s))
            ),
            "The slope of the mean does not depend on the values.": (
                lambda g, x, k, s: mean_pool_2d_backward(g, x, k, s) * x
            ),
        },
        circumstances={
            "windows that overlap": lambda g, x, k, s: s < k and g.size > 1,
            "windows with gaps": lambda g, x, k, s: s > k and g.size > 1,
            "more than one window": lambda g, x, k, s: g.size > 1,
            "a map that is not square": lambda g, x, k, s: x.shape[0] != x.shape[1],
        },
    ),
    Exercise(
        "backpropagation/quotient",
        "faded",
        ("quotient",),
        central_differences,
        with_steps,
        given=central_differences_with_gaps,
        gaps=("step", "x - nudge", "grad_output", "(2 * step)"),
        arguments=with_gradient(output_shape),
        ideas={
            "The cell is nudged by `step`, and the quotient divides by what lies between both nudges, 2 · step.": (
                {1: "1"},
                {1: "2 * step"},
                {1: "step / 2"},
                {1: "grad_output"},
            ),
            "Raised in both directions there is no difference: the second time the cell is lowered.": {2: "x + nudge"},
            "Without a nudge this is the one-sided difference. Lower the cell as well: x − nudge.": (
                {2: "x"},
                {2: "x", 4: "step"},
            ),
            "A map is lowered by subtracting: x − nudge, not the other way round.": (
                {2: "nudge - x"},
                {2: "-x"},
                {2: "-nudge"},
                {2: "nudge"},
            ),
            "Each output counts with what arrives at it.": ({3: "1"}, {3: "x"}, {3: "step"}, {3: "raised"}),
            "From x − step to x + step it is two steps.": ({4: "step"}, {4: "2"}, {4: "1"}, {4: "x.size"}),
            "Divide by 2 · step, not by its square.": {4: "step**2"},
            "This is the derivative. Asked for is the measurement, which a step across a kink changes.": (
                lambda g, x, k, s, step: max_pool_backward(g, x, Window(k, s))
            ),
            "A difference that is taken from the lowered map to the raised one has the other sign.": (
                lambda g, x, k, s, step: -differences(g, x, k, s, step)
            ),
            "This lowers and never raises: one-sided, to the other side.": (
                lambda g, x, k, s, step: differences(g, x, k, s, step, up=0, over=1)
            ),
        },
        circumstances={
            "a step that passes a kink": lambda g, x, k, s, step: bool(
                abs(differences(g, x, k, s, step) - max_pool_backward(g, x, Window(k, s))).max() > 1e-9
            ),
            "more than one window": lambda g, x, k, s, step: g.size > 1,
        },
    ),
    Exercise(
        "backpropagation/chain",
        "open",
        ("chain", "overlap"),
        relu_max_pool_2d_backward,
        with_ties,
        arguments=with_gradient(output_shape),
        ideas={
            **backward_ideas(winners),
            "A cell that wins several windows adds up what they send. A later one does not overwrite it.": (
                lambda g, z, k, s: routed(g, np.maximum(z, 0), k, s, add=False) * (z > 0)
            ),
            "ReLU stops what lands on a cell that is not above 0. This lets it pass.": (
                lambda g, z, k, s: max_pool_backward(g, np.maximum(z, 0), Window(k, s)),
                lambda g, z, k, s: max_pool_backward(g, z, Window(k, s)),
            ),
            "ReLU lets nothing pass where z is 0.": lambda g, z, k, s: max_pool_backward(g, z, Window(k, s)) * (z >= 0),
            "A cell above 0 that lost receives nothing: only the winner does.": (
                lambda g, z, k, s: into_windows(g, z, k, s, lambda g, w: g * (w > 0)),
                lambda g, z, k, s: into_windows(g, z, k, s, lambda g, w: np.full(w.shape, g)) * (z > 0),
            ),
            "This shares like a mean. The maximum is a router.": lambda g, z, k, s: (
                mean_pool_2d_backward(g, z, k, s) * (z > 0)
            ),
            "At a tie the first cell gets everything, not each of them.": lambda *a: all_winners(*a, split=False),
            "At a tie the first cell gets everything; it is not split.": lambda *a: all_winners(*a, split=True),
            "At a tie the first cell wins, not the last.": last_winner,
            "The first of equal cells is looked for row by row, not column by column.": by_columns,
            "The gradient is not multiplied by the value: the slope of ReLU is 1 or 0, that of the maximum too.": (
                lambda g, z, k, s: relu_max_pool_2d_backward(g, z, k, s) * z
            ),
            "This stops what is above 0 and lets the others pass.": lambda g, z, k, s: (
                max_pool_backward(g, z, Window(k, s)) * (z <= 0)
            ),
            "This is the smallest cell of each window.": lambda g, z, k, s: (
                max_pool_backward(g, -z, Window(k, s)) * (z > 0)
            ),
            "The maximum compares values, not their sizes: −5 is smaller than 3.": lambda g, z, k, s: (
                max_pool_backward(g, abs(z), Window(k, s)) * (z > 0)
            ),
        },
        circumstances={
            "windows that overlap": lambda g, z, k, s: s < k and g.size > 1,
            "a window without a value above 0": lambda g, z, k, s: bool((max_pool(z, Window(k, s)) <= 0).any()),
            "a negative number": lambda g, z, k, s: bool((z < 0).any()),
            "more than one window": lambda g, z, k, s: g.size > 1,
        },
    ),
    Design(
        "backpropagation/map",
        ("quotient", "claims"),
        "Choose (map, kernel_size, stride, step) for a gradient check of max pooling that tells right from wrong.",
        map_demands,
    ),
]
