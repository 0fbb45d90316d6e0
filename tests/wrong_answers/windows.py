"""Answers to the exercises of "Windows"."""

import math

import numpy as np

# --- cells -----------------------------------------------------------------------------------------------------------


def cells_range(i, n, k, s, p, d):
    start = i * s - p
    return [tap for tap in range(start, start + d * (k - 1) + 1, d) if 0 <= tap < n]


def cells_array(i, n, k, s, p, d):
    taps = i * s - p + d * np.arange(k)
    return taps[(taps >= 0) & (taps < n)]


def cells_while(i, n, k, s, p, d):
    seen, cell = [], i * s - p
    for _ in range(k):
        if cell >= 0 and cell <= n - 1:
            seen.append(cell)
        cell += d
    return tuple(seen)


def kept(taps, n):
    return [tap for tap in taps if 0 <= tap < n]


def clipped_start(i, n, k, s, p, d):
    start = max(0, i * s - p)
    end = i * s - p + d * (k - 1) + 1
    return list(range(start, min(end, n), d))


CELLS = {
    "step without a longer end": (
        lambda i, n, k, s, p, d: kept(range(i * s - p, i * s - p + k, d), n),
        "stops too early",
    ),
    "longer end without a step": (
        lambda i, n, k, s, p, d: kept(range(i * s - p, i * s - p + d * (k - 1) + 1), n),
        "The cells in the gaps are not seen",
    ),
    "end d·k, no step": (
        lambda i, n, k, s, p, d: kept(range(i * s - p, i * s - p + d * k), n),
        "The cells in the gaps are not seen",
    ),
    "every tap times d": (
        lambda i, n, k, s, p, d: kept([tap * d for tap in range(i * s - p, i * s - p + k)], n),
        "start itself stays",
    ),
    "start times d": (
        lambda i, n, k, s, p, d: kept(range(d * i * s - p, d * i * s - p + k * d, d), n),
        "start itself stays",
    ),
    "gaps of d cells": (
        lambda i, n, k, s, p, d: kept([i * s - p + t * (d + 1) for t in range(k)], n),
        "not a gap of 2 cells",
    ),
    "unchanged in other words": (
        lambda i, n, k, s, p, d: kept([i * s - p + t for t in range(k)], n),
        "what it gave before",
    ),
    "start clipped to 0": (clipped_start, "counted from the window's start"),
    "start clipped, k taps": (
        lambda i, n, k, s, p, d: kept([max(i * s - p, 0) + t * d for t in range(k)], n),
        "counted from the window's start",
    ),
    "padding forgotten": (lambda i, n, k, s, p, d: cells_range(i, n, k, s, 0, d), "starts in the padding"),
    "padding kept": (
        lambda i, n, k, s, p, d: [i * s - p + t * d for t in range(k)],
        "Padding is no cell: leave out what is below 0 or above n−1",
    ),
    "negatives kept": (
        lambda i, n, k, s, p, d: [i * s - p + t * d for t in range(k) if i * s - p + t * d < n],
        "Cells below 0 are padding too",
    ),
    "overhang kept": (
        lambda i, n, k, s, p, d: [i * s - p + t * d for t in range(k) if i * s - p + t * d >= 0],
        "hangs over the far edge",
    ),
    "up to n": (
        lambda i, n, k, s, p, d: [tap for tap in range(i * s - p, i * s - p + k * d, d) if 0 <= tap <= n],
        "hangs over the far edge",
    ),
    "without cell 0": (lambda i, n, k, s, p, d: [c for c in cells_range(i, n, k, s, p, d) if c], "`0 <= tap`"),
    "stride is kernel": (lambda i, n, k, s, p, d: cells_range(i, n, k, k, p, d), "not by its kernel size"),
    "stride 1": (lambda i, n, k, s, p, d: cells_range(i, n, k, 1, p, d), "not by 1"),
    "moved into the map": (
        lambda i, n, k, s, p, d: np.clip(i * s - p + d * np.arange(k), 0, n - 1),
        "It is not moved to the nearest cell",
    ),
    "to the end of the map": (
        lambda i, n, k, s, p, d: [c for c in range(i * s - p, n, d) if c >= 0],
        "goes on to the end of the map",
    ),
    "k taps inside": (
        lambda i, n, k, s, p, d: [c for c in range(n) if c >= i * s - p and (c - i * s + p) % d == 0][:k],
        "kernel_size taps inside the map",
    ),
    "plus padding": (lambda i, n, k, s, p, d: cells_range(i, n, k, s, -p, d), "not at +padding"),
    "stride and dilation": (lambda i, n, k, s, p, d: cells_range(i, n, k, s + d, p, d), "does not change the stride"),
    "one tap short": (lambda i, n, k, s, p, d: cells_range(i, n, k - 1, s, p, d), "this leaves out the last"),
    "one tap more": (lambda i, n, k, s, p, d: cells_range(i, n, k + 1, s, p, d), "this takes one more"),
    "from 1": (lambda *a: [c + 1 for c in cells_range(*a)], "not from 1"),
    "backwards": (lambda *a: cells_range(*a)[::-1], None),
}

# --- output-size -----------------------------------------------------------------------------------------------------


def size_formula(n, k, s, p, d, ceil_mode):
    room = n + 2 * p - d * (k - 1) - 1
    if not ceil_mode:
        return room // s + 1
    size = math.ceil(room / s) + 1
    return size - 1 if (size - 1) * s >= n + p else size


def size_counted(n, k, s, p, d, ceil_mode):
    start, count = -p, 0
    while start + d * (k - 1) < n + p + (s - 1 if ceil_mode else 0) and not (ceil_mode and count and start >= n):
        start, count = start + s, count + 1
    return count


OUTPUT_SIZE = {
    "span is kernel": ({1: "kernel_size"}, "more cells than there are taps"),
    "span d·k": ({1: "dilation * kernel_size"}, "the first tap counts"),
    "span d·(k−1)": ({1: "dilation * (kernel_size - 1)"}, "the first tap counts"),
    "span d + k − 1": ({1: "dilation + kernel_size - 1"}, "the first tap counts"),
    "padding once": ({2: "padding"}, "Padding is added on both sides"),
    "no padding": ({2: "0"}, "Padding makes the axis longer"),
    "padding by the kernel": ({2: "padding * kernel_size"}, "Padding counts in cells"),
    "no first window": ({3: "0"}, "Count the first window"),
    "two first windows": ({3: "2"}, "Count the first window"),
    "last begins at n": ({4: "n"}, "the map ends at n + padding"),
    "last begins at n − 1": ({4: "n - 1"}, "the map ends at n + padding"),
    "last begins at n + p − 1": ({4: "n + padding - 1"}, "the map ends at n + padding"),
    "last begins at n + 2p": ({4: "n + 2 * padding"}, "begins after the map is dropped"),
    "last begins at n + p + 1": ({4: "n + padding + 1"}, "begins after the map is dropped"),
    "always down": (lambda n, k, s, p, d, c: size_formula(n, k, s, p, d, False), "rounds up"),
    "always up": (lambda n, k, s, p, d, c: size_formula(n, k, s, p, d, True), "rounds down"),
    "no rule for the last": (
        lambda n, k, s, p, d, c: (math.ceil if c else math.floor)((n + 2 * p - d * (k - 1) - 1) / s) + 1,
        "begins after the map is dropped",
    ),
    "true division": (lambda n, k, s, p, d, c: (n + 2 * p - d * (k - 1) - 1) / s + 1, "whole windows only"),
    "n / s": (lambda n, k, s, p, d, c: (n + 2 * p) // s, "the window itself takes room"),
    "stride is kernel": (lambda n, k, s, p, d, c: size_formula(n, k, k, p, d, c), "not by its kernel size"),
    "padding once, in a formula": (
        lambda n, k, s, p, d, c: size_formula(n - p, k, s, p, d, c),
        "Padding is added on both sides",
    ),
    "a float": (lambda *a: float(size_formula(*a)), None),
}

# --- uses ------------------------------------------------------------------------------------------------------------


def uses_search(c, n, k, s, p):
    outputs = (n + 2 * p - k) // s + 1
    return sum(1 for i in range(outputs) if i * s - p <= c < i * s - p + k)


def uses_formula(c, n, k, s, p):
    outputs = (n + 2 * p - k) // s + 1
    first = max(0, math.ceil((c + p - k + 1) / s))
    last = min(outputs - 1, (c + p) // s)
    return max(0, last - first + 1)


def uses_array(c, n, k, s, p):
    count = np.zeros(n + 2 * p, dtype=int)
    for start in range(0, n + 2 * p - k + 1, s):
        count[start : start + k] += 1
    return count[p + c]


def counted(c, k, s, p, outputs):
    found = 0
    for i in range(outputs):
        found += c in range(i * s - p, i * s - p + k)
    return found


USES = {
    "no lower bound": (
        lambda c, n, k, s, p: min((n + 2 * p - k) // s, (c + p) // s) - math.ceil((c + p - k + 1) / s) + 1,
        "no window before the first",
    ),
    "no upper bound": (
        lambda c, n, k, s, p: (c + p) // s - max(0, math.ceil((c + p - k + 1) / s)) + 1,
        "no window after the last",
    ),
    "as many outputs as inputs": (lambda c, n, k, s, p: counted(c, k, s, p, n), "no window after the last"),
    "ceil(k / s)": (lambda c, n, k, s, p: math.ceil(k / s), "depends on where the cell lies"),
    "k // s": (lambda c, n, k, s, p: k // s, "depends on where the cell lies"),
    "k": (lambda c, n, k, s, p: k, "depends on where the cell lies"),
    "padding forgotten": (
        lambda c, n, k, s, p: counted(c, k, s, 0, (n - k) // s + 1),
        "starts in the padding",
    ),
    "padding forgotten in the start": (
        lambda c, n, k, s, p: counted(c, k, s, 0, (n + 2 * p - k) // s + 1),
        "starts in the padding",
    ),
    "padding forgotten in the count": (
        lambda c, n, k, s, p: counted(c, k, s, p, (n - k) // s + 1),
        "Padding adds windows on both sides",
    ),
    "padding once in the count": (
        lambda c, n, k, s, p: counted(c, k, s, p, (n + p - k) // s + 1),
        "Padding adds windows on both sides",
    ),
    "stride is kernel": (lambda c, n, k, s, p: uses_search(c, n, k, k, p), "not by its kernel size"),
    "stride 1": (lambda c, n, k, s, p: uses_search(c, n, k, 1, p), "not by 1"),
    "cells that output c sees": (
        lambda c, n, k, s, p: len([a for a in range(c * s - p, c * s - p + k) if 0 <= a < n]),
        "Turn the question round",
    ),
    "beginnings": (
        lambda c, n, k, s, p: sum(i * s - p == c for i in range((n + 2 * p - k) // s + 1)),
        "counts the beginnings alone",
    ),
    "one cell too many": (
        lambda c, n, k, s, p: sum(i * s - p <= c <= i * s - p + k for i in range((n + 2 * p - k) // s + 1)),
        "one cell too many",
    ),
    "one cell too few": (
        lambda c, n, k, s, p: sum(i * s - p < c < i * s - p + k for i in range((n + 2 * p - k) // s + 1)),
        "This leaves out one",
    ),
    "last window missing": (lambda c, n, k, s, p: counted(c, k, s, p, (n + 2 * p - k) // s), "last window is missing"),
    "rounded up": (
        lambda c, n, k, s, p: counted(c, k, s, p, math.ceil((n + 2 * p - k) / s) + 1),
        "round down",
    ),
    "all that begin before": (lambda c, n, k, s, p: c // s + 1, "begin at cell c or before it"),
    "all that begin before, padded": (lambda c, n, k, s, p: (c + p) // s + 1, "begin at cell c or before it"),
    "plus padding": (
        lambda c, n, k, s, p: sum(i * s + p <= c < i * s + p + k for i in range((n + 2 * p - k) // s + 1)),
        "not at +padding",
    ),
    "all outputs": (lambda c, n, k, s, p: (n + 2 * p - k) // s + 1, "the number of all outputs"),
    "from 1": (lambda c, n, k, s, p: counted(c - 1, k, s, p, (n + 2 * p - k) // s + 1), "not from 1"),
    "in the padded map": (lambda c, n, k, s, p: uses_array(c - p, n, k, s, p), "starts in the padding"),
    "a share": (lambda c, n, k, s, p: k / s, None),
}

# --- receptive-field -------------------------------------------------------------------------------------------------


def field_forward(layers, start=1):
    field, jump = start, 1
    for k, s, d in layers:
        field += (k - 1) * d * jump
        jump *= s
    return field


def field_backward(layers):
    field = 1
    for k, s, d in reversed(layers):
        field = (field - 1) * s + d * (k - 1) + 1
    return field


def field_traced(layers):
    low = high = 0
    for k, s, d in layers[::-1]:
        low, high = low * s, high * s + d * (k - 1)
    return high - low + 1


def field_own_stride(layers):
    field, jump = 1, 1
    for k, s, d in layers:
        jump *= s
        field += (k - 1) * d * jump
    return field


def field_last_stride(layers):
    field, jump = 1, 1
    for k, s, d in layers:
        field += (k - 1) * d * jump
        jump = s
    return field


def field_added_strides(layers):
    field, jump = 1, 0
    for k, s, d in layers:
        field += (k - 1) * d * (jump or 1)
        jump += s
    return field


RECEPTIVE_FIELD = {
    "own stride": (field_own_stride, "own stride does not widen"),
    "no strides": (lambda layers: 1 + sum((k - 1) * d for k, s, d in layers), "strides of the layers before"),
    "only the stride before": (field_last_stride, "not only of the last one"),
    "strides added": (field_added_strides, "Strides multiply"),
    "no dilation": (lambda layers: field_forward([(k, s, 1) for k, s, d in layers]), "Dilation spreads the taps"),
    "dilation in the jump": (
        lambda layers: field_forward([(k, s * d, d) for k, s, d in layers]),
        "does not change the jump",
    ),
    "sum of kernels": (lambda layers: sum(k for k, _, _ in layers), "do not simply add up"),
    "product of kernels": (lambda layers: math.prod(k for k, _, _ in layers), "do not multiply"),
    "last layer": (lambda layers: field_forward(layers[-1:]), "go through every layer"),
    "first layer": (lambda layers: field_forward(layers[:1]), "go through every layer"),
    "without the last": (lambda layers: field_forward(layers[:-1]), "the last one too"),
    "reversed": (lambda layers: field_forward(layers[::-1]), "The first layer comes first"),
    "starts at 0": (lambda layers: field_forward(layers, start=0), "starts at 1"),
    "k, not k − 1": (lambda layers: field_forward([(k + 1, s, d) for k, s, d in layers]), "k−1 steps"),
    "strides only": (lambda layers: math.prod(s for _, s, _ in layers), "is the jump, not the field"),
    "one too many": (lambda layers: field_forward(layers) + 1, "one too many"),
    "half a kernel on each side": (
        lambda layers: field_forward([(2 * (k // 2) + 1, s, d) for k, s, d in layers]),
        "an even one too",
    ),
    "strides times the last kernel": (
        lambda layers: math.prod(s for _, s, _ in layers) * layers[-1][0],
        "is the jump, not the field",
    ),
    "times the last stride": (lambda layers: field_forward(layers) * layers[-1][1], "not how wide one is"),
    "largest layer": (lambda layers: max(d * (k - 1) + 1 for k, _, d in layers), "go through every layer"),
    "pops from the list": (lambda layers: (field_forward(layers), layers.pop())[0], None),
}

# --- stack -----------------------------------------------------------------------------------------------------------

STACK = {
    "three strides": ([(3, 2, 1), (3, 2, 1), (3, 2, 1)], "adds (kernel_size − 1) jumps"),
    "expensive": ([(3, 2, 1), (3, 2, 1), (3, 2, 1), (3, 1, 1)], "first layers have most outputs"),
    "all before the strides": ([(3, 1, 1)] * 15 + [(2, 2, 0)] * 3, "first layers have most outputs"),
    "one large kernel": ([(8, 8, 0), (5, 1, 2)], "Several small kernels"),
    "as large as the field": ([(31, 8, 15)], "Several small kernels"),
    "skips cells": ([(1, 2, 0), (1, 2, 0), (2, 2, 0), (5, 1, 2)], "cells that no window sees"),
    "one patch": ([(8, 8, 0)], "adds (kernel_size − 1) jumps"),
    "too small": ([(4, 4, 0), (2, 2, 0), (4, 1, 0)], "Follow the size"),
    "too large": ([(2, 2, 0), (2, 2, 0), (5, 1, 2), (5, 1, 2)], "Follow the size"),
    "padding forgotten": ([(2, 2, 0), (2, 2, 0), (2, 2, 0), (3, 1, 0), (3, 1, 0)], "Follow the size"),
    "pairs": ([(3, 2), (3, 2)], None),
    "nothing": ([], None),
    "too much padding": ([(3, 2, 2)], None),
    "does not fit": ([(5, 4, 0), (5, 4, 0), (5, 4, 0)], None),
    "a number": (7, None),
}

# --- sparse-field ----------------------------------------------------------------------------------------------------

SPARSE_FIELD = {
    "no gap at all": ([(5, 2), (5, 1)], "only if the first stride is larger than the first kernel"),
    "blocks side by side": ([(5, 5), (3, 1)], "only if the first stride is larger than the first kernel"),
    "the gap too small": ([(3, 5), (3, 1)], "only if the first stride is larger than the first kernel"),
    "half is seen": ([(3, 6), (3, 1)], "only if the first stride is larger than the first kernel"),
    "the stride in the second layer": ([(2, 1), (2, 20)], "stride of the second widens nothing"),
    "as the chapter has it": ([(2, 3), (2, 1)], "(kernel_size − 1) jumps"),
    "one cell short": ([(2, 9), (2, 1)], "(kernel_size − 1) jumps"),
    "kernel of 1": ([(1, 12), (2, 1)], "A kernel of 1 widens no field"),
    "a large kernel": ([(2, 6), (9, 1)], "A kernel of 1 widens no field"),
    "three layers": ([(2, 5), (2, 3), (2, 1)], "no more are asked for"),
    "one layer": ([(2, 20)], "no more are asked for"),
    "nothing": ([], None),
    "with padding": ([(2, 10, 0), (2, 1, 0)], None),
    "a fraction": ([(2, 9.5), (2, 1)], None),
    "a stride of 0": ([(2, 0), (2, 1)], None),
    "a number": (12, None),
}

RIGHT = {
    "windows/cells": [cells_range, cells_array, cells_while],
    "windows/output-size": [size_formula, size_counted],
    "windows/uses": [uses_search, uses_formula, uses_array],
    "windows/receptive-field": [field_forward, field_backward, field_traced],
    "windows/sparse-field": [[(2, 10), (2, 1)], [[3, 14], [3, 3]], np.array([[2, 8], [5, 2]])],
    "windows/stack": [
        [(2, 2, 0), (2, 2, 0), (2, 2, 0), (3, 1, 1), (3, 1, 1)],
        [(4, 4, 0), (2, 2, 0), (5, 1, 2)],
        np.array([[2, 2, 0], [4, 4, 0], [4, 1, 1], [3, 1, 1], [2, 1, 1]]),
    ],
}
WRONG = {
    "windows/cells": CELLS,
    "windows/output-size": OUTPUT_SIZE,
    "windows/uses": USES,
    "windows/receptive-field": RECEPTIVE_FIELD,
    "windows/sparse-field": SPARSE_FIELD,
    "windows/stack": STACK,
}
