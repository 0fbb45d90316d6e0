"""Running maxima and sums: for every cell, over all cells that a scan along an axis has met when it gets there.

The running maximum rises where a cell exceeds all that the scan has met.  Until it rises again, such a cell is where
the maximum comes from: it gets the gradients of all outputs of its run.  So the outputs alone tell who gets what.

Maxima are taken one step of the scan at a time, for all lines at once: `np.maximum.accumulate` goes cell by cell, and
takes twice as long.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np


def running_max(x: np.ndarray, axis: int, reverse: bool, out: np.ndarray) -> None:
    """Write the largest cell that a scan along `axis` has met, for every cell of `x`, to `out`."""
    _steps(out, axis, reverse)[...] = _running_max_of_steps(_steps(x, axis, reverse))


def running_sum(x: np.ndarray, axis: int, reverse: bool, out: np.ndarray) -> None:
    """Write the sum of the cells that a scan along `axis` has met, for every cell of `x`, to `out`."""
    if reverse:
        x, out = np.flip(x, axis), np.flip(out, axis)
    np.add.accumulate(x, axis, np.float64 if x.dtype == np.float32 else None, out=out)  # float32 would lose digits


def running_argmax(x: np.ndarray, axis: int, reverse: bool) -> tuple[np.ndarray, np.ndarray]:
    """The largest cell that a scan along `axis` has met, for every cell of `x`, and where along the axis it lies."""
    x = _steps(x, axis, reverse)
    best, risen_at = _running_max_of_steps(x), np.zeros(x.shape, np.intp)
    before = best[:-1]
    rises = (x[1:] > before) | np.isnan(x[1:]) & ~np.isnan(before)
    risen_at[1:] = np.where(rises, np.arange(1, len(x)).reshape(-1, *(1,) * (x.ndim - 1)), 0)
    risen_at = _running_max_of_steps(risen_at)
    if reverse:
        risen_at = len(x) - 1 - risen_at
    return tuple(_unstepped(a, axis, reverse) for a in (best, risen_at))


def running_max_backward(g: np.ndarray, x: np.ndarray, axis: int, reverse: bool, out: np.ndarray) -> bool:
    """Add the gradient of `x` to `out`; or return False, where NaN or an infinity would spread to other cells."""
    best = _running_max_of_steps(_steps(x, axis, reverse))
    collected = _steps(g, axis, reverse).copy()
    if not (np.isfinite(collected).all() and np.isfinite(best[-1]).all()):
        return False
    # From the end of the scan, a cell hands on what it has collected, unless the maximum rose there.
    handed_on = (best[1:] == best[:-1]).astype(collected.dtype)
    for i in range(len(handed_on) - 1, -1, -1):
        handed_on[i] *= collected[i + 1]
        collected[i] += handed_on[i]
    collected[1:] -= handed_on
    grad = np.empty_like(out)
    _steps(grad, axis, reverse)[...] = collected
    out += grad
    return True


def _running_max_of_steps(steps: np.ndarray) -> np.ndarray:
    steps = steps.copy()
    for before, now in pairwise(steps):
        np.maximum(before, now, out=now)
    return steps


def _steps(a: np.ndarray, axis: int, reverse: bool) -> np.ndarray:
    """View `a` as steps of a scan along `axis`: the axis comes first, and begins where the scan does."""
    return np.moveaxis(np.flip(a, axis) if reverse else a, axis, 0)


def _unstepped(steps: np.ndarray, axis: int, reverse: bool) -> np.ndarray:
    a = np.moveaxis(steps, 0, axis)
    return np.flip(a, axis) if reverse else a
