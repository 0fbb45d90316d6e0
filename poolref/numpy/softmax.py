"""The softmax, which SoftPool, log-mean-exp and attention all weigh their cells with."""

from __future__ import annotations

import numpy as np


def softmax(z: np.ndarray, scale: float = 1) -> np.ndarray:
    """Return weights along the last axis, at least 0 with sum 1: `exp(scale z) / sum of exp(scale z')`, scale > 0.

    The largest entry is subtracted first, so that nothing overflows.  -inf has weight 0.  Where the largest entry is
    infinite, the weight is shared among the entries equal to it.  A NaN makes the whole row NaN.
    """
    largest = z.max(-1, keepdims=True)
    with np.errstate(invalid="ignore", over="ignore"):
        w = np.where(np.isinf(largest), z == largest, np.exp(scale * (z - largest)))
    return w / w.sum(-1, keepdims=True)
