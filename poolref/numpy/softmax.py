"""The softmax, which SoftPool, log-mean-exp and attention all weigh their cells with."""

from __future__ import annotations

import numpy as np


def softmax(z: np.ndarray, scale: float = 1) -> np.ndarray:
    """Return weights along the last axis, at least 0 with sum 1: `exp(scale z) / sum of exp(scale z')`, scale > 0.

    The largest entry is subtracted first, so that nothing overflows.  Entries at +inf share the weight.  -inf has
    weight 0, also where a row holds nothing else.  A NaN makes the whole row NaN.
    """
    largest = z.max(-1, keepdims=True)
    with np.errstate(invalid="ignore", over="ignore"):
        w = np.where(largest == np.inf, z == largest, np.where(z == -np.inf, 0, np.exp(scale * (z - largest))))
    total = w.sum(-1, keepdims=True)
    return w / np.where(total == 0, 1, total)
