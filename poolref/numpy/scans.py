"""Running maxima, fast: one step of the scan for many lines at once, where `accumulate` goes cell by cell.

The running maximum rises where a cell exceeds all that the scan has met.  Until it rises again, such a cell is where
the maximum comes from: it gets the gradients of all outputs of its run.  So the outputs alone tell who gets what.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np


def running_max(x: np.ndarray, axis: int, reverse: bool, out: np.ndarray) -> None:
    """Write the largest value that a scan along `axis` has met at every cell of `x` to `out`."""
    _scan_axis_first(out, axis, reverse)[...] = _scanned(x, axis, reverse)


def running_max_backward(g: np.ndarray, x: np.ndarray, axis: int, reverse: bool, out: np.ndarray) -> bool:
    """Add the gradient of `x` to `out`; or return False, where NaN or an infinity would spread to other cells."""
    best = _scanned(x, axis, reverse)
    collected = _scan_axis_first(g, axis, reverse).copy()
    if not (np.isfinite(collected).all() and np.isfinite(best[-1]).all()):
        return False
    # From the end of the scan, a cell hands on what it has collected, unless the maximum rose there.
    passed = (best[1:] == best[:-1]).astype(collected.dtype)
    for i in range(len(passed) - 1, -1, -1):
        passed[i] *= collected[i + 1]
        collected[i] += passed[i]
    collected[1:] -= passed
    grad = np.empty_like(out)
    _scan_axis_first(grad, axis, reverse)[...] = collected
    out += grad
    return True


def _scanned(x: np.ndarray, axis: int, reverse: bool) -> np.ndarray:
    lines = _scan_axis_first(x, axis, reverse).copy()
    for before, now in pairwise(lines):
        np.maximum(before, now, out=now)
    return lines


def _scan_axis_first(a: np.ndarray, axis: int, reverse: bool) -> np.ndarray:
    return np.moveaxis(np.flip(a, axis) if reverse else a, axis, 0)
