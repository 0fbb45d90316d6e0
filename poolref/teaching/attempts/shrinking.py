"""Making a failing input smaller for as long as it still fails."""

import math
import time

import numpy as np

SECONDS = 10.0  # after which the smallest case so far will do


def shrink(case, fails):
    """Return a case as small as greedy steps lead to: fewer cells first, then plainer numbers."""
    deadline, progress = time.monotonic() + SECONDS, True
    while progress:
        progress = False
        for candidate in smaller(case):
            if time.monotonic() > deadline:
                return case
            if size(candidate) < size(case) and fails(candidate):
                case, progress = candidate, True
                break
    return case


def size(value):
    """(number of cells, how far their values are from 0): cases are compared by it."""
    if isinstance(value, (tuple, list)):
        parts = [size(part) for part in value]
        return len(parts) + sum(p[0] for p in parts), sum(p[1] for p in parts)
    if isinstance(value, np.ndarray):
        return value.size, sum(plainness(v) for v in value.astype(float).flat)  # bools too
    return 0, plainness(value) if isinstance(value, (bool, int, float)) else 0


def plainness(number):
    """0, 1, -1, 2, -2, ... in this order, then fractions, then inf and NaN."""
    if not math.isfinite(number):
        return 1e9
    return 2 * abs(number) + (number < 0) + (0 if number == round(number) else 1000)


def smaller(value):
    """Candidates that are one step simpler than a value."""
    if isinstance(value, (tuple, list)):
        if isinstance(value, list):
            yield from (value[:i] + value[i + 1 :] for i in range(len(value)))
        for i, part in enumerate(value):
            yield from (type(value)([*value[:i], plainer, *value[i + 1 :]]) for plainer in smaller(part))
    elif isinstance(value, np.ndarray):
        for axis, length in enumerate(value.shape):
            if length > 1:
                yield from (np.delete(value, i, axis) for i in range(length))
        for index in np.ndindex(value.shape):
            for plainer in smaller(float(value[index])):
                candidate = value.copy()
                candidate[index] = plainer
                yield candidate
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        steps = [0, 1, -1, 2, 3]
        if math.isfinite(value):
            steps += [round(value / 2), round(value)]
        yield from (type(value)(step) for step in steps if plainness(step) < plainness(value))
    elif value is True:
        yield False
