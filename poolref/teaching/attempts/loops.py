"""Loops over windows, and the ways in which they go wrong: ideas that several exercises share."""

import numpy as np


def each_window(x, kernel_size, stride, reduce, corner=None, reach=None, count=None, swapped=False):
    """Return `reduce` of every window of a map; right, unless one of the last four says otherwise.

    Args:
        x: the map, (H, W).
        kernel_size, stride: of the windows.
        reduce: is given each window, an array of up to (kernel_size, kernel_size).
        corner: (i, kernel_size, stride) -> where window i begins along an axis.
        reach: (kernel_size, stride) -> how many cells it takes.
        count: (n, kernel_size, stride) -> how many windows there are along an axis of n cells.
        swapped: whether i and j are exchanged.
    """
    count = count or (lambda n, k, s: (n - k) // s + 1)
    y = np.empty([count(n, kernel_size, stride) for n in x.shape])
    for i, j in np.ndindex(y.shape):
        y[i, j] = reduce(x[_window(i, j, kernel_size, stride, corner, reach, swapped)])
    return y


def into_windows(grad_output, x, kernel_size, stride, share, corner=None, reach=None, swapped=False, add=True):
    """Return the gradient that gives window (i, j) `share(grad_output[i, j], its values)`; otherwise as each_window."""
    gradient = np.zeros(x.shape)
    for i, j in np.ndindex(grad_output.shape):
        window = _window(i, j, kernel_size, stride, corner, reach, swapped)
        part = share(grad_output[i, j], x[window])
        gradient[window] = gradient[window] + part if add else part
    return gradient


def _window(i, j, k, s, corner, reach, swapped):
    top, left = (corner(n, k, s) if corner else n * s for n in ((j, i) if swapped else (i, j)))
    extent = reach(k, s) if reach else k
    return slice(top, top + extent), slice(left, left + extent)


PLACES = {
    "The window of output (i, j) begins at row i·stride and column j·stride.": (
        {"corner": lambda i, k, s: i},
        {"corner": lambda i, k, s: i * k},
        {"corner": lambda i, k, s: i * s + s},
    ),
    "A window reaches over kernel_size cells. This takes `stride` of them.": ({"reach": lambda k, s: s},),
    "A window has kernel_size rows and columns. This leaves out the last.": ({"reach": lambda k, s: max(k - 1, 1)},),
    "A window has kernel_size rows and columns. This takes one more.": ({"reach": lambda k, s: k + 1},),
    "i counts rows and goes with the top of a window; j counts columns and goes with its left.": ({"swapped": True},),
}
COUNTS = {
    "The last window is missing: along n cells there are (n − kernel_size) // stride + 1 of them.": (
        {"count": lambda n, k, s: (n - k) // s},
        {"count": lambda n, k, s: len(range(0, n - k, s))},
    ),
    "Along n cells there are (n − kernel_size) // stride + 1 windows: a window takes room, the first takes no step.": (
        {"count": lambda n, k, s: n // s},
        {"count": lambda n, k, s: n // k},
        {"count": lambda n, k, s: n // s + 1},
    ),
    "There are whole windows only: round down, so that none hangs over.": (
        {"count": lambda n, k, s: -(-(n - k) // s) + 1},
        {"count": lambda n, k, s: -(-n // s)},
    ),
}


def forward_ideas(forward):
    """Return {what to say: mistakes} for a loop `forward(x, kernel_size, stride, **how)` that passes `how` on."""
    found = {}
    for idea, ways in {**PLACES, **COUNTS}.items():
        found[idea] = tuple(_mistaken(forward, how) for how in ways)
    found["The window moves by `stride`, not by `kernel_size`."] = lambda x, k, s, *p: forward(x, k, k, *p)
    found["The window moves by `stride`, not by 1."] = lambda x, k, s, *p: forward(x, k, 1, *p)
    found["Rows and columns are swapped."] = lambda *a: forward(*a).T
    return found


def backward_ideas(backward):
    """Return {what to say: mistakes} for a loop `backward(grad_output, x, kernel_size, stride, **how)`."""
    found = {idea: tuple(_mistaken(backward, how) for how in ways) for idea, ways in PLACES.items()}
    found["Windows overlap, and a cell belongs to several of them: add, do not overwrite."] = _mistaken(
        backward, {"add": False}
    )
    found["The last windows are left out: go through every output."] = lambda g, *a: backward(
        np.pad(g[:-1, :-1], ((0, 1), (0, 1))), *a
    )
    found["Multiply by `grad_output`: a cell gets its share of what came back, not of 1."] = lambda g, *a: backward(
        np.ones_like(g), *a
    )
    found["The gradient has the shape of x. This is the arriving one."] = lambda g, *a: g
    found["All zeros is no gradient: something must come back."] = lambda g, x, *a: np.zeros_like(x)
    found["Rows and columns are swapped."] = lambda g, x, *a: backward(g.T, x.T, *a)
    found["Only the first window, or the first row of windows, is seen. Does a `return` stand inside the loop?"] = (
        lambda g, *a: backward(g * (np.indices(g.shape).sum(axis=0) == 0), *a),
        lambda g, *a: backward(g * (np.indices(g.shape)[0] == 0), *a),
    )
    return found


def _mistaken(loop, how):
    return lambda *arguments: loop(*arguments, **how)
