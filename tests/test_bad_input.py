"""What is wrong is refused: each wrong argument gets the right kind of error, in words that help."""

import math

import numpy as np
import pytest
from cases import OPERATORS

from poolref import catalog, definition
from poolref.numpy import (
    avg_pool,
    avg_pool_backward,
    lp_pool,
    lp_pool_backward,
    max_pool,
    max_pool_backward,
    min_pool,
    min_pool_backward,
    soft_pool,
    soft_pool_backward,
    sum_pool,
    sum_pool_backward,
)
from poolref.regions import Adaptive, Columns, Pyramid, Rows, Running, Whole, Window, receptive_field

X = np.ones((2, 4, 5))
G = np.ones((2, 2, 2))
NAN, INF = math.nan, math.inf

# What is called, the error it gives, and words of the message: the argument, its value, what would be accepted.
REGIONS = {
    "float kernel": (lambda: Window(2.0), TypeError, ["kernel_size", "2.0", "int of at least 1", "tuple"]),
    "text kernel": (lambda: Window("3"), TypeError, ["kernel_size", "'3'", "int"]),
    "no kernel": (lambda: Window(None), TypeError, ["kernel_size", "None", "int"]),
    "bool kernel": (lambda: Window(True), TypeError, ["kernel_size", "True", "int"]),
    "NaN kernel": (lambda: Window(NAN), TypeError, ["kernel_size", "nan", "int"]),
    "infinite kernel": (lambda: Window(INF), TypeError, ["kernel_size", "inf", "int"]),
    "array kernel": (lambda: Window(np.array([2, 2])), TypeError, ["kernel_size", "array([2, 2])", "int"]),
    "kernel 0": (lambda: Window(0), ValueError, ["kernel_size", "0", "at least 1"]),
    "negative kernel": (lambda: Window(-2), ValueError, ["kernel_size", "-2", "at least 1"]),
    "0 in a kernel": (lambda: Window((2, 0)), ValueError, ["kernel_size", "(2, 0)", "at least 1"]),
    "float in a kernel": (lambda: Window((2, 2.5)), TypeError, ["kernel_size", "(2, 2.5)", "int"]),
    "empty kernel": (lambda: Window(()), ValueError, ["kernel_size", "()", "1 to 3 ints"]),
    "kernel of rank 4": (lambda: Window((2, 2, 2, 2)), ValueError, ["kernel_size", "(2, 2, 2, 2)", "1 to 3 ints"]),
    "stride 0": (lambda: Window(2, 0), ValueError, ["stride", "0", "at least 1"]),
    "negative stride": (lambda: Window(2, -1), ValueError, ["stride", "-1", "at least 1"]),
    "float stride": (lambda: Window(2, 1.5), TypeError, ["stride", "1.5", "int"]),
    "bool stride": (lambda: Window(2, False), TypeError, ["stride", "False", "int"]),
    "negative padding": (lambda: Window(2, padding=-1), ValueError, ["padding", "-1", "at least 0"]),
    "float padding": (lambda: Window(2, padding=0.5), TypeError, ["padding", "0.5", "int"]),
    "no padding": (lambda: Window(2, padding=None), TypeError, ["padding", "None", "int"]),
    "too much padding": (lambda: Window(3, 1, 2), ValueError, ["padding", "(2, 2)", "half of kernel_size", "(1, 1)"]),
    "too much padding on one axis": (
        lambda: Window((4, 2), padding=(2, 2)),
        ValueError,
        ["padding", "(2, 2)", "half of kernel_size", "(2, 1)"],
    ),
    "padding that only dilation would allow": (
        lambda: Window(2, 1, 2, dilation=5),
        ValueError,
        ["padding", "half of kernel_size", "(1, 1)"],
    ),
    "dilation 0": (lambda: Window(2, dilation=0), ValueError, ["dilation", "0", "at least 1"]),
    "float dilation": (lambda: Window(2, dilation=1.0), TypeError, ["dilation", "1.0", "int"]),
    "ceil_mode 1": (lambda: Window(2, ceil_mode=1), TypeError, ["ceil_mode", "1", "True or False"]),
    "text ceil_mode": (lambda: Window(2, ceil_mode="no"), TypeError, ["ceil_mode", "'no'", "True or False"]),
    "ranks that disagree": (
        lambda: Window((2, 2), stride=(1, 1, 1)),
        ValueError,
        ["stride", "(1, 1, 1)", "tuple of 2 ints", "kernel_size=(2, 2)"],
    ),
    "rank against ndim": (lambda: Window((2, 2), ndim=3), ValueError, ["kernel_size", "(2, 2)", "3 ints", "ndim=3"]),
    "ndim 0": (lambda: Window(2, ndim=0), ValueError, ["ndim", "0", "at least 1"]),
    "ndim 4": (lambda: Window(2, ndim=4), ValueError, ["ndim", "4", "1, 2 or 3"]),
    "float ndim": (lambda: Window(2, ndim=2.0), TypeError, ["ndim", "2.0", "int"]),
    "window too large": (
        lambda: Window(5).output_shape((4, 9)),
        ValueError,
        ["kernel_size=(5, 5)", "spans 5 cells on axis 0", "at most 4", "an axis of 4 cells"],
    ),
    "dilated window too large": (
        lambda: Window(3, dilation=4, ndim=1).output_shape((8,)),
        ValueError,
        ["kernel_size=(3,)", "dilation=(4,)", "spans 9 cells", "at most 8"],
    ),
    "spatial shape of another rank": (
        lambda: Window(2).output_shape((4, 4, 4)),
        ValueError,
        ["spatial_shape", "2 entries", "(4, 4, 4)"],
    ),
    "empty axis in a spatial shape": (lambda: Whole().output_shape((4, 0)), ValueError, ["spatial_shape", "0"]),
    "float in a spatial shape": (lambda: Rows().output_shape((4, 2.0)), TypeError, ["spatial_shape", "2.0", "int"]),
    "an output index outside": (
        lambda: Window(2).cells((2, 0), (4, 4)),
        ValueError,
        ["output_index", "(2, 0)", "(2, 2)"],
    ),
    "a negative output index": (lambda: Rows().cells((-1, 0), (4, 4)), ValueError, ["output_index", "(-1, 0)"]),
    "an output index of another rank": (lambda: Pyramid().cells((0, 0), (4, 4)), ValueError, ["output_index", "(21,)"]),
    "output size 0": (lambda: Adaptive(0), ValueError, ["output_size", "0", "at least 1"]),
    "negative output size": (lambda: Adaptive((2, -3)), ValueError, ["output_size", "(2, -3)", "at least 1"]),
    "float output size": (lambda: Adaptive(2.0), TypeError, ["output_size", "2.0", "int"]),
    "bool output size": (lambda: Adaptive(True), TypeError, ["output_size", "True", "int"]),
    "output size of rank 4": (lambda: Adaptive((1, 1, 1, 1)), ValueError, ["output_size", "(1, 1, 1, 1)", "1 to 3"]),
    "output size against ndim": (lambda: Adaptive((1, 1), ndim=1), ValueError, ["output_size", "(1, 1)", "ndim=1"]),
    "whole of 4 axes": (lambda: Whole(4), ValueError, ["ndim", "4", "1, 2 or 3"]),
    "whole of a float": (lambda: Whole(2.0), TypeError, ["ndim", "2.0", "int"]),
    "no levels": (lambda: Pyramid(()), ValueError, ["levels", "empty", "at least one int"]),
    "a level 0": (lambda: Pyramid((2, 0)), ValueError, ["levels", "(2, 0)", "at least 1"]),
    "a float level": (lambda: Pyramid((2, 1.5)), TypeError, ["levels", "(2, 1.5)", "int"]),
    "levels no tuple": (lambda: Pyramid(3), TypeError, ["levels", "3", "tuple of ints"]),
    "pyramid of 0 axes": (lambda: Pyramid(ndim=0), ValueError, ["ndim", "0"]),
    "unknown direction": (lambda: Running("north"), ValueError, ["direction", "'north'", '"up", "down"', '"right"']),
    "direction in capitals": (lambda: Running("UP"), ValueError, ["direction", "'UP'", '"up"']),
    "direction no text": (lambda: Running(1), ValueError, ["direction", "1", '"up"']),
    "rows of a 3-d map": (lambda: Rows().output_shape((2, 3, 4)), ValueError, ["spatial_shape", "2 entries"]),
    "columns of a 1-d map": (lambda: Columns().output_shape((2,)), ValueError, ["spatial_shape", "2 entries"]),
    "no windows": (lambda: receptive_field([]), ValueError, ["windows", "at least one Window"]),
    "windows no windows": (lambda: receptive_field([3]), TypeError, ["windows", "Window", "[3]"]),
    "windows of two ranks": (
        lambda: receptive_field([Window(2), Window(2, ndim=1)]),
        ValueError,
        ["windows", "one rank", "ndim=1"],
    ),
}

PARAMETERS = {
    "p is 0": (lambda: lp_pool(X, Window(2), 0), ValueError, ["p must", "above 0", "0"]),
    "p is negative": (lambda: lp_pool(X, Window(2), -1), ValueError, ["p must", "above 0", "-1"]),
    "p is NaN": (lambda: lp_pool(X, Window(2), NAN), ValueError, ["p must", "above 0", "nan"]),
    "p is -inf": (lambda: lp_pool(X, Window(2), -INF), ValueError, ["p must", "above 0", "-inf"]),
    "p is text": (lambda: lp_pool(X, Window(2), "2"), TypeError, ["p must", "number above 0", "'2'"]),
    "p is None": (lambda: lp_pool(X, Window(2), None), TypeError, ["p must", "number above 0", "None"]),
    "p is a bool": (lambda: lp_pool(X, Window(2), True), TypeError, ["p must", "number above 0", "True"]),
    "p is complex": (lambda: lp_pool(X, Window(2), 2j), TypeError, ["p must", "number above 0", "2j"]),
    "p is 0 in the backward pass": (lambda: lp_pool_backward(G, X, Window(2), 0), ValueError, ["p must", "above 0"]),
    "count_include_pad is 1": (
        lambda: avg_pool(X, Window(2), count_include_pad=1),
        TypeError,
        ["count_include_pad", "True or False", "1"],
    ),
    "divisor 0": (
        lambda: avg_pool(X, Window(2), divisor_override=0),
        ValueError,
        ["divisor_override", "at least 1", "0"],
    ),
    "negative divisor": (
        lambda: avg_pool(X, Window(2), divisor_override=-4),
        ValueError,
        ["divisor_override", "at least 1", "-4"],
    ),
    "float divisor": (
        lambda: avg_pool_backward(G, X, Window(2), divisor_override=4.0),
        TypeError,
        ["divisor_override", "int of at least 1", "4.0"],
    ),
    "return_indices is 1": (
        lambda: max_pool(X, Window(2), return_indices=1),
        TypeError,
        ["return_indices", "True or False", "1"],
    ),
    "indices of another shape": (
        lambda: max_pool_backward(G, X, Window(2), np.zeros((2, 2), int)),
        ValueError,
        ["indices", "(2, 2, 2)", "(2, 2)"],
    ),
    "float indices": (lambda: max_pool_backward(G, X, Window(2), G), TypeError, ["indices", "ints", "float64"]),
    "an index beyond the map": (
        lambda: max_pool_backward(G, X, Window(2), np.full((2, 2, 2), 20)),
        ValueError,
        ["indices", "between 0 and 19", "20"],
    ),
    "an index below -1": (
        lambda: min_pool_backward(G, X, Window(2), np.full((2, 2, 2), -2)),
        ValueError,
        ["indices", "between 0 and 19", "-2"],
    ),
    "ints have no gradient (max)": (
        lambda: max_pool_backward(G, X.astype(int), Window(2)),
        TypeError,
        ["x must hold floats", "int64"],
    ),
    "ints have no gradient (min)": (
        lambda: min_pool_backward(G, X.astype(int), Window(2)),
        TypeError,
        ["x must hold floats", "int64"],
    ),
    "ints have no gradient (sum)": (
        lambda: sum_pool_backward(G, X.astype(int), Window(2)),
        TypeError,
        ["x must hold floats", "int64"],
    ),
    "ints have no gradient (soft)": (
        lambda: soft_pool_backward(G, X.astype(int), Window(2)),
        TypeError,
        ["x must hold floats", "int64"],
    ),
    "int32 has no mean": (lambda: avg_pool(X.astype(np.int32), Window(2)), TypeError, ["x must hold floats", "int32"]),
    "int64 has no mean of bins": (lambda: avg_pool(X.astype(int), Adaptive(2)), TypeError, ["x must hold", "int64"]),
    "the definition without regions": (
        lambda: definition.pool(X, 2, definition.maximum),
        TypeError,
        ["regions", "Window", "2"],
    ),
    "the definition of an empty map": (
        lambda: definition.pool(np.ones((0, 3)), Window(2), definition.maximum),
        ValueError,
        ["x", "empty spatial axis", "(0, 3)"],
    ),
    "sum of text": (lambda: sum_pool(np.array([["a"]]), Window(1)), TypeError, ["x must hold", "<U1"]),
    "minimum of bools": (lambda: min_pool(X > 0, Window(2)), TypeError, ["x must hold", "bool"]),
    "softmax of ints": (lambda: soft_pool(X.astype(int), Window(2)), TypeError, ["x must hold floats", "int64"]),
}


def check(call, error, words):
    with pytest.raises(error) as caught:
        call()
    assert type(caught.value) is error
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize("call, error, words", REGIONS.values(), ids=REGIONS)
def test_regions(call, error, words):
    check(call, error, words)


@pytest.mark.parametrize("call, error, words", PARAMETERS.values(), ids=PARAMETERS)
def test_parameters(call, error, words):
    check(call, error, words)


# Wrong in the same way for every operator: x, regions, the error and words of its message.
INPUTS = {
    "complex": (X + 0j, Window(2), TypeError, ["x must hold", "floats", "complex128"]),
    "objects": (X.astype(object), Window(2), TypeError, ["x must hold", "object"]),
    "text": (np.full((4, 5), "a"), Window(2), TypeError, ["x must hold", "<U1"]),
    "bools": (X > 0, Window(2), TypeError, ["x must hold", "bool"]),
    "dates": (X.astype("datetime64[s]"), Window(2), TypeError, ["x must hold", "datetime64"]),
    "None": (None, Window(2), TypeError, ["x must hold", "object"]),
    "a number": (1.0, Window(2), ValueError, ["x must have at least 2 axes", "()"]),
    "too few axes": (np.ones(4), Window(2), ValueError, ["x must have at least 2 axes", "(4,)"]),
    "too few axes for 3": (X[0], Window(2, ndim=3), ValueError, ["x must have at least 3 axes", "(4, 5)"]),
    "too few axes for rows": (np.ones(4), Rows(), ValueError, ["x must have at least 2 axes", "(4,)"]),
    "an empty spatial axis": (np.ones((2, 0, 5)), Window(1), ValueError, ["no empty spatial axis", "(2, 0, 5)"]),
    "an empty whole": (np.ones((2, 5, 0)), Whole(), ValueError, ["no empty spatial axis", "(5, 0)"]),
    "an empty scan": (np.ones((0, 5)), Running("up"), ValueError, ["no empty spatial axis", "(0, 5)"]),
    "regions that are an int": (X, 2, TypeError, ["regions must be", "Window", "Running", "got 2"]),
    "regions that are a class": (X, Whole, TypeError, ["regions must be", "Whole"]),
    "no regions": (X, None, TypeError, ["regions must be", "None"]),
    "a window that does not fit": (X, Window(6), ValueError, ["kernel_size=(6, 6)", "at most 4"]),
}


@pytest.mark.parametrize("operator", OPERATORS, ids=str)
@pytest.mark.parametrize("x, regions, error, words", INPUTS.values(), ids=INPUTS)
def test_inputs_of_every_operator(operator, x, regions, error, words):
    forward = catalog.resolve(operator.row.numpy)
    backward = catalog.resolve(operator.row.numpy + "_backward")
    check(lambda: forward(x, regions, **operator.options), error, words)
    check(lambda: backward(G, x, regions, **operator.options), error, words)


# A gradient that does not belong to the output of X under Window(2), which has the shape (2, 2, 2).
GRADIENTS = {
    "the input's shape": (np.ones((2, 4, 5)), ValueError, ["grad_output", "(2, 2, 2)", "(2, 4, 5)"]),
    "without its planes": (np.ones((2, 2)), ValueError, ["grad_output", "(2, 2, 2)", "got (2, 2)"]),
    "that could be broadcast": (np.ones((2, 2, 1)), ValueError, ["grad_output", "(2, 2, 2)", "(2, 2, 1)"]),
    "a number": (1.0, ValueError, ["grad_output", "(2, 2, 2)", "()"]),
    "complex": (G + 0j, TypeError, ["grad_output", "complex128"]),
    "objects": (G.astype(object), TypeError, ["grad_output", "object"]),
    "text": (np.full((2, 2, 2), "1"), TypeError, ["grad_output", "<U1"]),
    "None": (None, TypeError, ["grad_output", "object"]),
}


@pytest.mark.parametrize("operator", OPERATORS, ids=str)
@pytest.mark.parametrize("grad_output, error, words", GRADIENTS.values(), ids=GRADIENTS)
def test_gradients_of_every_operator(operator, grad_output, error, words):
    backward = catalog.resolve(operator.row.numpy + "_backward")
    check(lambda: backward(grad_output, X, Window(2), **operator.options), error, words)


@pytest.mark.parametrize("operator", OPERATORS, ids=str)
def test_huge_arrays_are_refused_by_their_shape(operator):
    """2**31 cells that take no memory: an error about shapes comes before any work on cells."""
    x = np.broadcast_to(np.float32(1), (2**16, 2**15))
    forward = catalog.resolve(operator.row.numpy)
    backward = catalog.resolve(operator.row.numpy + "_backward")
    check(lambda: forward(x, Window(2**17), **operator.options), ValueError, ["kernel_size", "at most 65536"])
    check(lambda: backward(G, x, Window(2), **operator.options), ValueError, ["grad_output", "(32768, 16384)"])
