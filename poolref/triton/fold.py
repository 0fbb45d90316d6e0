"""Reductions of regions too large to unroll: cells are met one after another, and little is kept of them.

`KIND` says what: "max" the largest; "first" the largest and the number of the first cell that is; "sum" the sum;
"soft", "gem", "lp" and "lse" the largest and, measured from it, the sum of weights, and what else their formulas ask
for.  When a larger cell comes, those sums are rescaled.  A minimum is the maximum of negated cells.

What is kept, a tuple of tiles, is called the state.  :func:`nothing` gives that of no cell, :func:`meet` adds cells,
:func:`join` makes one state of many, and :func:`result` the pooled value.  Tiles have the axis that is reduced in the
middle.
"""

import triton
import triton.language as tl

from poolref.triton.means import exponent, kept, level, lowered, raised, raised_minus_1
from poolref.triton.means import power as to_power
from poolref.triton.soft import below, exp

LAST = tl.constexpr(2147483647)  # a number behind those of all cells


@triton.jit
def nothing(zeros, number, KIND: tl.constexpr, LEARNED: tl.constexpr):
    """The state before the first cell, which will be number `number`; `zeros` is a tile of them, in float32."""
    if KIND == "sum":
        return (zeros,)
    elif KIND == "max":
        return (zeros - float("inf"),)
    elif KIND == "first":
        return zeros - float("inf"), number
    elif KIND == "soft":
        return zeros - float("inf"), zeros, zeros
    elif KIND == "lse":
        return (zeros - float("inf"), zeros, zeros, zeros) + ((zeros,) if LEARNED else ())
    else:
        return (zeros, zeros) + ((zeros,) if LEARNED else ())


@triton.jit
def meet(state, values, numbers, there, t, eps, KIND: tl.constexpr, POWER: tl.constexpr,
         LEARNED: tl.constexpr):  # fmt: skip
    """The state after more cells: tuples of their values, their numbers, and whether they are there."""
    U: tl.constexpr = len(values)
    if KIND == "sum":
        total = state[0]
        for u in tl.static_range(U):
            total += values[u]
        return (total,)
    elif KIND == "first":
        best = state[0]
        which = state[1]
        for u in tl.static_range(U):
            better = (values[u] > best) | ((values[u] != values[u]) & (best == best))  # of equal cells the first
            best = tl.where(better, values[u], best)
            which = tl.where(better, numbers[u], which)
        return best, which
    else:
        counted = ()
        largest = state[0]
        for u in tl.static_range(U):
            v = values[u]
            if KIND == "gem" or KIND == "lp":
                v = tl.where(there[u], kept(v, eps, KIND), 0.0)
            counted = counted + (v,)
            largest = tl.maximum(largest, v, propagate_nan=tl.PropagateNan.ALL)
        if KIND == "max":
            return (largest,)
        else:
            state = rescaled(state, largest, t, KIND, POWER, LEARNED)
            total = state[1]
            if KIND == "soft":
                gaps = state[2]
                for u in tl.static_range(U):
                    gap = below(counted[u], largest)
                    e = tl.where(there[u], exp(gap), 0.0)
                    total += e
                    gaps += e * gap
                return largest, total, gaps
            else:
                excess = state[2] if KIND == "lse" else total
                met = state[3] if KIND == "lse" else total
                weighted = state[len(state) - 1]
                for u in tl.static_range(U):
                    f = tl.where(there[u], raised(counted[u], largest, t, POWER, KIND), 0.0)
                    total += f
                    if KIND == "lse":
                        excess += tl.where(there[u], raised_minus_1(counted[u], largest, t), 0.0)
                        met += tl.where(there[u], 1.0, 0.0)
                    if LEARNED:
                        weighted += f * tl.maximum(level(counted[u], largest, KIND), -1e30)  # -inf * 0 is NaN
                more = (weighted,) if LEARNED else ()
                return ((largest, total, excess, met) if KIND == "lse" else (largest, total)) + more


@triton.jit
def rescaled(state, largest, t, KIND: tl.constexpr, POWER: tl.constexpr, LEARNED: tl.constexpr):
    """The state, measured from another largest cell."""
    if KIND == "soft":
        gap = below(state[0], largest)
        ratio = exp(gap)
        return largest, state[1] * ratio, (state[2] + state[1] * gap) * ratio
    else:
        if POWER > 0:
            # A power of two; 0 if a finite cell was the largest, and one at inf comes.
            bits = tl.maximum(exponent(state[0]) - exponent(largest) + 0x3F800000, 0)
            was = tl.where((largest == float("inf")) & (state[0] < largest), 0.0, bits.to(tl.float32, bitcast=True))
            ratio = to_power(was, POWER)
        else:
            ratio = raised(state[0], largest, t, POWER, KIND)
        new = (largest, state[1] * ratio)
        if KIND == "lse":
            new = new + (state[2] * ratio + state[3] * raised_minus_1(state[0], largest, t), state[3])
        if LEARNED:
            gap = tl.maximum(level(state[0], largest, KIND), -1e30)
            new = new + ((state[len(state) - 1] + state[1] * gap) * ratio,)
        return new


@triton.jit
def join(state, t, KIND: tl.constexpr, POWER: tl.constexpr, LEARNED: tl.constexpr):
    """One state of those along the axis in the middle, which is kept."""
    if KIND == "sum":
        return (tl.sum(state[0], 1, keep_dims=True),)
    else:
        is_nan = state[0] != state[0]
        largest = tl.max(tl.where(is_nan, float("-inf"), state[0]), 1, keep_dims=True)
        largest = tl.where(tl.max(is_nan.to(tl.int32), 1, keep_dims=True) > 0, float("nan"), largest)
        if KIND == "max":
            return (largest,)
        elif KIND == "first":
            return largest, tl.min(tl.where((state[0] == largest) | is_nan, state[1], LAST), 1, keep_dims=True)
        else:
            state = rescaled(state, tl.broadcast_to(largest, state[0].shape), t, KIND, POWER, LEARNED)
            new = (largest,)
            for i in tl.static_range(1, len(state)):
                new = new + (tl.sum(state[i], 1, keep_dims=True),)
            return new


@triton.jit
def result(state, factor, t, KIND: tl.constexpr, MIN: tl.constexpr, POWER: tl.constexpr):
    """The pooled value; `factor` is what a sum is multiplied by."""
    if KIND == "sum":
        return state[0] * factor
    elif KIND == "soft":
        return state[0] + state[2] / tl.maximum(state[1], 1.0)  # which it is, but for a region without cells
    elif KIND == "max" or KIND == "first":
        return -state[0] if MIN else state[0]
    else:
        excess = state[2] if KIND == "lse" else state[1]
        return lowered(state[1] * factor, excess * factor, state[0], t, POWER, KIND)


@triton.jit
def save(pointer, state, step, ok):
    """Store a state, one part behind the other at a distance of `step`; whole numbers by their bits."""
    for i in tl.static_range(len(state)):
        tl.store(pointer + i * step, state[i].to(tl.float32, bitcast=True), ok)


@triton.jit
def load(pointer, step, ok, KIND: tl.constexpr, LEARNED: tl.constexpr):
    """Such a state again; that of no cell where not `ok`."""
    lowest = 0.0 if KIND == "sum" or KIND == "gem" or KIND == "lp" else float("-inf")
    state = (tl.load(pointer, ok, lowest),)
    if KIND == "first":
        state = state + (tl.where(ok, tl.load(pointer + step, ok, 0.0).to(tl.int32, bitcast=True), LAST),)
    elif KIND != "sum" and KIND != "max":
        PARTS: tl.constexpr = (3 if KIND == "soft" else 4 if KIND == "lse" else 2) + LEARNED
        for i in tl.static_range(1, PARTS):
            state = state + (tl.load(pointer + i * step, ok, 0.0),)
    return state


@triton.jit
def both(a, b, KIND: tl.constexpr):
    """The state of two regions together, where "first" has met `a` before `b`; only for maxima and sums."""
    if KIND == "sum":
        return (a[0] + b[0],)
    elif KIND == "max":
        return (tl.maximum(a[0], b[0], propagate_nan=tl.PropagateNan.ALL),)
    else:
        better = (b[0] > a[0]) | ((b[0] != b[0]) & (a[0] == a[0]))
        return tl.where(better, b[0], a[0]), tl.where(better, b[1], a[1])
