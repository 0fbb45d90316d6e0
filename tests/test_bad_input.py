"""What is wrong is refused: each wrong argument gets the right kind of error, in words that help."""

import inspect
import math

import numpy as np
import pytest
import torch
from cases import OPERATORS

import poolref.torch as pt
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
from poolref.regions import Adaptive, Box, Columns, Pyramid, Rows, Running, Whole, Window, receptive_field
from poolref.torch import functional

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
    "float start of a box": (lambda: Box((0, 1.5), 2, 1), TypeError, ["start", "(0, 1.5)", "int or a tuple"]),
    "bool start of a box": (lambda: Box(True, 2, 1), TypeError, ["start", "True", "int or a tuple"]),
    "box of size 0": (lambda: Box(0, (2, 0), 1), ValueError, ["size", "(2, 0)", "at least 1"]),
    "box without bins": (lambda: Box(0, 2, 0), ValueError, ["output_size", "0", "at least 1"]),
    "box of two ranks": (lambda: Box((0, 0), (1,), 1), ValueError, ["size", "(1,)", "start=(0, 0)"]),
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


def check(call, error, words, *arguments, **named):
    with pytest.raises(error) as caught:
        call(*arguments, **named)
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


# --- the torch column ------------------------------------------------------------------------------------------------

T = torch.ones(2, 4, 6, 6)
SETS, MASKS = torch.ones(2, 3, 4), torch.ones(2, 3, dtype=torch.bool)
BOX = torch.tensor([[0, 1.0, 1.0, 3.0, 3.0]])
PAIRS = torch.zeros(2, 4, 6, 6, dtype=torch.int64)

# Arguments beyond the first with which every public function of poolref.torch.functional can be called on T or SETS.
REST = {
    "attention_pool": (torch.ones(4),),
    "blur_pool": (),
    "center_pool": (),
    "corner_pool": (T,),
    "gated_pool": (Window(2), torch.ones(2, 2)),
    "hopfield_converge": (SETS, 1.0),
    "hopfield_pool": (torch.ones(4), 1.0),
    "hopfield_retrieve": (SETS, 1.0),
    "max_blur_pool": (),
    "max_unpool": (PAIRS, (8, 8)),
    "roi_align": (BOX, 2),
    "roi_pool": (BOX, 2),
    "spatial_pyramid_pool": (),
    "strip_pool": (),
}
OF_SETS = ("attention_pool", "hopfield_converge", "hopfield_pool", "hopfield_retrieve")
TAKES_INTS = ("center", "corner", "max_pool", "max_unpool", "min", "pyramid", "subsample", "sum")


def rest_of(name):
    stem, ndim = (name[:-2], int(name[-2])) if name[-2:] in ("1d", "2d", "3d") else (name, 2)
    if stem == "max_unpool" and stem != name:
        return (torch.zeros(2, 4, *[6] * ndim, dtype=torch.int64), 2), ndim
    if stem in REST:
        return REST[stem], ndim
    norm = (2,) if "lp_pool" in stem else ()
    if stem.startswith("global_"):
        return norm, ndim
    if stem == name:
        return (Window(2), *norm), ndim
    return (*norm, 2), ndim


@pytest.mark.parametrize("name", functional.__all__)
def test_inputs_of_every_torch_function(name):
    function, (rest, ndim) = getattr(functional, name), rest_of(name)
    first = next(iter(inspect.signature(function).parameters))
    x = SETS if name in OF_SETS else torch.ones(2, 4, *[6] * ndim)
    assert isinstance(function(x, *rest), (torch.Tensor, tuple))  # the rest is right
    for wrong, got in ((x + 0j, "complex64"), (x > 0, "bool"), (x.numpy(), "ndarray"), (None, "NoneType"), (1, "int")):
        check(function, TypeError, [first, got], wrong, *rest)
    if not any(word in name for word in TAKES_INTS):
        check(lambda: function(x.int(), *rest), TypeError, [first, "floats", "int32"])
    check(lambda: function(torch.ones(()), *rest), ValueError, [first, "()"])
    if name not in ("hopfield_retrieve", "hopfield_converge"):  # no state is no question, and no error
        empty = x[..., :0, :] if ndim > 1 else x[..., :0]
        check(lambda: function(empty, *rest), ValueError, [first, "(2, "])


WINDOWS = {  # kernel_size, stride, padding, dilation, ceil_mode, and what is wrong
    "float kernel": ((2.0,), TypeError, ["kernel_size", "2.0", "int of at least 1"]),
    "text kernel": (("2",), TypeError, ["kernel_size", "'2'", "int"]),
    "bool kernel": ((True,), TypeError, ["kernel_size", "True", "int"]),
    "no kernel": ((None,), TypeError, ["kernel_size", "None", "int"]),
    "kernel 0": ((0,), ValueError, ["kernel_size", "0", "at least 1"]),
    "negative kernel": ((-1,), ValueError, ["kernel_size", "-1", "at least 1"]),
    "kernel of rank 4": (((2, 2, 2, 2),), ValueError, ["kernel_size", "(2, 2, 2, 2)", "1 to 3 ints"]),
    "stride 0": ((2, 0), ValueError, ["stride", "0", "at least 1"]),
    "float stride": ((2, 1.5), TypeError, ["stride", "1.5", "int"]),
    "too much padding": ((2, 2, 2), ValueError, ["padding", "half of kernel_size", "(2, 2)"]),
    "negative padding": ((2, 2, -1), ValueError, ["padding", "-1", "at least 0"]),
    "dilation 0": ((2, 2, 0, 0), ValueError, ["dilation", "0", "at least 1"]),
    "ceil_mode 1": ((2, 2, 0, 1, 1), TypeError, ["ceil_mode", "1", "True or False"]),
}
BINS = {
    "output size 0": (0, ValueError, ["output_size", "0", "at least 1"]),
    "negative output size": ((2, -3), ValueError, ["output_size", "(2, -3)", "at least 1"]),
    "float output size": (2.0, TypeError, ["output_size", "2.0", "int"]),
    "bool output size": (True, TypeError, ["output_size", "True", "int"]),
    "output size of rank 4": ((1, 1, 1, 1), ValueError, ["output_size", "(1, 1, 1, 1)", "1 to 3"]),
}
REDUCERS = [row for row in catalog.OPERATORS if row.kind == "reducer"]


def forms(row, prefix=""):
    """The function and the module of a reducer's form with the named arguments, in 2-d."""
    names = dict.fromkeys(("norm_type",), 2) if row.name == "lp" else {}
    name = prefix.lower() + row.numpy.rpartition(".")[2] + "2d"
    function, module = (
        getattr(functional, name),
        catalog.resolve(f"poolref.torch.{prefix.rstrip('_')}{row.torch[14:]}2d"),
    )
    return name, (lambda **more: function(T, **names, **more)), (lambda **more: module(**names, **more))


@pytest.mark.parametrize("row", REDUCERS, ids=lambda row: row.name)
@pytest.mark.parametrize("values, error, words", WINDOWS.values(), ids=WINDOWS)
def test_windows_of_every_torch_reducer(row, values, error, words):
    arguments = dict(zip(("kernel_size", "stride", "padding", "dilation", "ceil_mode"), values))
    for call in forms(row)[1:]:
        known = inspect.signature(catalog.resolve(f"{row.torch}2d")).parameters
        if set(arguments) <= set(known) or row.name not in ("average", "lp"):
            check(call, error, words, **arguments)


@pytest.mark.parametrize("row", REDUCERS, ids=lambda row: row.name)
def test_other_forms_of_every_torch_reducer(row):
    check(lambda: forms(row)[1](kernel_size=9), ValueError, ["kernel_size=(9, 9)", "at most 6"])
    for value, error, words in BINS.values():
        for call in forms(row, "Adaptive_")[1:]:
            check(call, error, words, output_size=value)
    for call in forms(row, "Global_")[1:]:
        check(call, TypeError, ["keepdim", "True or False", "1"], keepdim=1)


def calls_of_numbers():
    """Every number that shapes a reducer, in a function, a form and a module: `(name, call)`."""
    for row in REDUCERS:
        for name in {"lp": ("p",), "lse": ("r",), "gem": ("p", "eps"), "mixed": ("alpha",)}.get(row.name, ()):
            reducer = getattr(functional, row.numpy.rpartition(".")[2])
            yield row.name, name, lambda v, f=reducer, name=name: f(T, Window(2), **{name: v})
            form = "norm_type" if row.name == "lp" else name
            rest = {"kernel_size": 2} | ({"norm_type": 2} if row.name == "lp" else {})
            yield row.name, form, lambda v, row=row, form=form, rest=rest: pt.create_pool(row.name, **rest | {form: v})


@pytest.mark.parametrize(
    "operator, name, call", list(calls_of_numbers()), ids=lambda v: v if isinstance(v, str) else ""
)
def test_numbers_of_torch_reducers(operator, name, call):
    for value in (-0.5, NAN, -INF) + (() if operator == "mixed" else (0,)) + (() if operator == "lp" else (INF,)):
        check(call, ValueError, [f"{name} must be", repr(value)], value)
    for value in ("2", None, True, 2j):
        check(call, TypeError, [f"{name} must be", "number", repr(value)], value)


NET = torch.nn.Sequential(torch.nn.MaxPool2d(2))
POOL = torch.nn.MaxPool2d


def replace(replacements, model=NET):
    return pt.replace_pooling(model, replacements)


TORCH = {
    # numbers that are tensors
    "r that holds ints": (
        lambda: functional.lse_pool(T, Window(2), torch.tensor(2)),
        TypeError,
        ["r must be a torch.Tensor of floats", "int64"],
    ),
    "p of too many channels": (
        lambda: functional.gem_pool(T, Window(2), torch.ones(3, 1, 1)),
        ValueError,
        ["p must broadcast", "(2, 4, 1, 1)", "(3, 1, 1)"],
    ),
    "p of every cell": (
        lambda: functional.gem_pool(T, Window(2), torch.ones(6, 6)),
        ValueError,
        ["p must broadcast", "(2, 4, 1, 1)", "(6, 6)"],
    ),
    "alpha that does not fit": (
        lambda: functional.mixed_pool(T, Window(2), torch.ones(7)),
        ValueError,
        ["alpha must broadcast", "(2, 4, 3, 3)", "(7,)"],
    ),
    "a module of other channels": (lambda: pt.GeMPool2d(2, channels=3)(T), ValueError, ["p must broadcast", "(3, 1"]),
    "channels 0": (lambda: pt.LSEPool2d(2, channels=0), ValueError, ["channels must be at least 1", "0"]),
    "learnable 1": (lambda: pt.MixedPool2d(2, learnable=1), TypeError, ["learnable", "True or False", "1"]),
    "average of ints": (lambda: functional.avg_pool2d(T.int(), 2), TypeError, ["input must hold floats", "int32"]),
    "count_include_pad 1": (
        lambda: pt.AvgPool2d(2, count_include_pad=1),
        TypeError,
        ["count_include_pad", "True or False", "1"],
    ),
    "divisor 0": (lambda: pt.AvgPool2d(2, divisor_override=0), ValueError, ["divisor_override", "at least 1", "0"]),
    # two maps, corners, centres, strips
    "b of another shape": (
        lambda: functional.corner_pool(T, T[:1]),
        ValueError,
        ["b must have the shape of a", "(1, 4"],
    ),
    "b that is a number": (lambda: functional.center_pool(T, 3), TypeError, ["b must be a torch.Tensor", "int"]),
    "no b": (lambda: pt.CornerPool()(T, None), TypeError, ["b must be a torch.Tensor", "NoneType"]),
    "unknown corner": (lambda: functional.corner_pool(T, T, "up"), ValueError, ["corner", '"top_left"', "'up'"]),
    "corner in capitals": (lambda: pt.CornerPool("TOP_LEFT"), ValueError, ["corner", '"top_left"', "'TOP_LEFT'"]),
    "unknown corner of a block": (lambda: pt.CascadeCornerBlock(2, corner=1), ValueError, ["corner", "top_left", "1"]),
    "no map": (lambda: pt.TopPool()(None), TypeError, ["input must be a torch.Tensor", "NoneType"]),
    "a block without channels": (lambda: pt.StripBlock(0), ValueError, ["channels must be at least 1", "0"]),
    "a block of 2.0 channels": (lambda: pt.CenterBlock(2.0), TypeError, ["channels must be an int", "2.0"]),
    "no levels": (lambda: pt.MixedStripBlock(4, levels=()), ValueError, ["levels", "at least one int"]),
    "a level 0": (lambda: pt.MixedStripBlock(4, levels=(2, 0)), ValueError, ["levels", "(2, 0)", "at least 1"]),
    # pyramids
    "levels no tuple": (lambda: pt.SpatialPyramidPool2d(3), TypeError, ["levels", "tuple of ints", "3"]),
    "a float level": (lambda: functional.spatial_pyramid_pool2d(T, (2.0,)), TypeError, ["levels", "(2.0,)", "int"]),
    "unknown mode": (lambda: pt.SpatialPyramidPool2d((2,), "mode"), ValueError, ["mode", '"max"', "'mode'"]),
    "mode no text": (lambda: functional.spatial_pyramid_pool2d(T, (2,), 3), ValueError, ["mode", '"max"', "3"]),
    # gates, blurs, draws, indices
    "no weight": (lambda: functional.gated_pool(T, Window(2), None), TypeError, ["weight", "floats", "NoneType"]),
    "weight of another shape": (
        lambda: functional.gated_pool(T, Window(2), torch.ones(3, 3)),
        ValueError,
        ["weight must have the shape of the window", "(2, 2)", "(3, 3)"],
    ),
    "filter of 8": (lambda: pt.BlurPool2d(8), ValueError, ["filter_size must be from 1 to 7", "8"]),
    "filter of 2.0": (lambda: pt.BlurPool1d(2.0), TypeError, ["filter_size", "2.0"]),
    "blur with stride 0": (lambda: functional.blur_pool(T, 3, 0), ValueError, ["stride must be at least 1", "0"]),
    "map too small to reflect": (
        lambda: functional.blur_pool(T[..., :1], 3),
        ValueError,
        ["more than 1 cells", "(6, 1)"],
    ),
    "too much padding before a blur": (lambda: pt.MaxBlurPool2d(2, padding=2), ValueError, ["padding", "half"]),
    "negative numbers to draw": (
        lambda: functional.expected_pool2d(-T, 2, check_nonnegative=True),
        ValueError,
        ["input must hold no negative number", "-1"],
    ),
    "centres in padding": (lambda: pt.Subsample2d(2, 1, 1)(T), ValueError, ["centre", "padding"]),
    "float indices": (lambda: functional.max_unpool(T, T, (8, 8)), TypeError, ["indices", "ints", "float32"]),
    "indices of another shape": (
        lambda: functional.max_unpool(T, PAIRS[:1], (8, 8)),
        ValueError,
        ["indices must have the shape of input", "(1, 4, 6, 6)"],
    ),
    "a shape that is an int": (lambda: functional.max_unpool(T, PAIRS, 8), TypeError, ["output_shape", "tuple", "8"]),
    "an output size of too few axes": (
        lambda: pt.MaxUnpool2d(2)(T, PAIRS, (8, 8, 8)),
        ValueError,
        ["output_size", "2 ints, or 4", "(8, 8, 8)"],
    ),
    # sets and queries
    "query of other channels": (
        lambda: functional.attention_pool(SETS, torch.ones(5)),
        ValueError,
        ["query", "(1, 5)"],
    ),
    "no query": (
        lambda: functional.attention_pool(SETS, None),
        TypeError,
        ["query must be a torch.Tensor", "NoneType"],
    ),
    "float mask": (
        lambda: functional.attention_pool(SETS, torch.ones(4), SETS[..., 0]),
        TypeError,
        ["mask must hold bools", "float32"],
    ),
    "mask of other cells": (
        lambda: functional.hopfield_pool(SETS, torch.ones(4), 1.0, mask=MASKS[:, :2]),
        ValueError,
        ["mask must broadcast", "(2, 3)", "(2, 2)"],
    ),
    "beta 0": (lambda: functional.hopfield_retrieve(SETS, SETS, 0), ValueError, ["beta must be above 0", "0"]),
    "beta NaN": (lambda: pt.HopfieldPool(4, beta=NAN), ValueError, ["beta must be above 0 and finite", "nan"]),
    "beta text": (lambda: functional.hopfield_pool(SETS, torch.ones(4), "1"), TypeError, ["beta", "number", "'1'"]),
    "no steps": (
        lambda: functional.hopfield_retrieve(SETS, SETS, 1.0, 0),
        ValueError,
        ["steps must be at least 1", "0"],
    ),
    "tolerance NaN": (
        lambda: functional.hopfield_converge(SETS, SETS, 1.0, tolerance=NAN),
        ValueError,
        ["tolerance must be above 0", "nan"],
    ),
    "heads that do not divide": (
        lambda: pt.PMA(4, heads=3),
        ValueError,
        ["channels must be a multiple", "heads=3", "4"],
    ),
    "a set of other channels": (lambda: pt.PMA(5, heads=1)(SETS), ValueError, ["input", "(N, cells, 5)", "(2, 3, 4)"]),
    "an empty set": (lambda: pt.HopfieldPool(4)(SETS[:, :0]), ValueError, ["input", "at least 1 cell", "(2, 0, 4)"]),
    "a set of ints": (lambda: pt.HopfieldPool(4)(SETS.int()), TypeError, ["input", "floats", "int32"]),
    "a mask for more sets": (
        lambda: pt.HopfieldPool(4)(SETS[:1], MASKS),
        ValueError,
        ["mask must broadcast", "(1, 3)", "(2, 3)"],
    ),
    "size of rank 3": (lambda: pt.AttentionPool2d((2, 2, 2), 4), ValueError, ["size", "(2, 2, 2)"]),
    "a map of other channels": (
        lambda: pt.AttentionPool2d(2, 5, heads=1)(T),
        ValueError,
        ["input", "(N, 5, H, W)", "(2, 4, 6, 6)"],
    ),
    # boxes
    "boxes of ints": (lambda: functional.roi_pool(T, BOX.int(), 2), TypeError, ["boxes", "floats", "int32"]),
    "no boxes": (lambda: pt.RoIAlign(2)(T, None), TypeError, ["boxes must be a torch.Tensor", "NoneType"]),
    "boxes of four numbers": (
        lambda: functional.roi_align(T, BOX[:, 1:], 2),
        ValueError,
        ["boxes must be (K, 5)", "(1, 4)"],
    ),
    "boxes at NaN": (lambda: functional.roi_align(T, BOX * NAN, 2), ValueError, ["boxes must hold finite", "nan"]),
    "boxes of a third map": (
        lambda: functional.roi_pool(T, BOX + 2, 2),
        ValueError,
        ["boxes", "one of 2 images", "2.0"],
    ),
    "a box of half a map": (
        lambda: functional.roi_pool(T, BOX + 0.5, 2),
        ValueError,
        ["boxes", "one of 2 images", "0.5"],
    ),
    "bins 0": (lambda: pt.RoIPool(0), ValueError, ["output_size", "at least 1", "0"]),
    "scale NaN": (lambda: pt.RoIAlign(2, NAN), ValueError, ["spatial_scale must be above 0", "nan"]),
    "scale text": (lambda: functional.roi_pool(T, BOX, 2, "1"), TypeError, ["spatial_scale", "number", "'1'"]),
    "samples 1.5": (lambda: pt.RoIAlign(2, sampling_ratio=1.5), TypeError, ["sampling_ratio", "int", "1.5"]),
    "boxes of one map": (lambda: functional.roi_align(T, [BOX[:, 1:]], 2), ValueError, ["boxes", "2 images", "1"]),
    "boxes of 5 in a list": (lambda: functional.roi_align(T, [BOX, BOX], 2), ValueError, ["boxes", "(K, 4)", "(1, 5)"]),
    "scales no tuple": (lambda: pt.AdaptiveFeaturePool(2, 3), ValueError, ["scales must be a tuple", "3"]),
    "levels no maps": (
        lambda: pt.AdaptiveFeaturePool(2, (1.0,))(None, BOX),
        ValueError,
        ["levels must hold 1", "None"],
    ),
    "levels of other channels": (
        lambda: pt.AdaptiveFeaturePool(2, (1.0, 0.5))([T, T[:, :2]], BOX),
        ValueError,
        ["levels must all have 4 channels", "(2, 2, 6, 6)"],
    ),
    # by name
    "unknown name": (lambda: pt.create_pool("softmax"), ValueError, ["name must be one of max", "'softmax'"]),
    "name no text": (lambda: pt.create_pool(None), TypeError, ["name must be a str", "None"]),
    "unknown form": (lambda: pt.create_pool("adaptive_corner"), ValueError, ["must be a reducer", "'corner'"]),
    "ndim 4": (lambda: pt.create_pool("soft", 4, kernel_size=2), ValueError, ["ndim must be 1, 2 or 3", "4"]),
    "ndim of another operator": (lambda: pt.create_pool("strip", 1), ValueError, ["ndim=1", "(2,)"]),
    "unknown argument": (lambda: pt.create_pool("gem", kernel=2), TypeError, ["kernel"]),
    "no argument": (lambda: pt.create_pool("gem"), TypeError, ["kernel_size"]),
    "no model": (lambda: replace({POOL: "soft"}, None), TypeError, ["model must be a module", "None"]),
    "replacements no dict": (lambda: replace("soft"), TypeError, ["replacements must be a dict", "'soft'"]),
    "key no class": (lambda: replace({"MaxPool2d": "soft"}), TypeError, ["keys of replacements", "'MaxPool2d'"]),
    "key no pooling": (lambda: replace({torch.nn.Conv2d: "soft"}), ValueError, ["keys of replacements", "Conv2d"]),
    "unknown replacement": (lambda: replace({POOL: "best"}), ValueError, ["name must be one of max", "'best'"]),
    "replacement no text": (lambda: replace({POOL: 3}), TypeError, ["values of replacements", "names", "3"]),
    "pair without a dict": (lambda: replace({POOL: ("soft", 3)}), TypeError, ["values of replacements", "('soft', 3)"]),
    "replacement with an unknown argument": (lambda: replace({POOL: ("soft", {"beta": 1})}), TypeError, ["beta"]),
}


@pytest.mark.parametrize("call, error, words", TORCH.values(), ids=TORCH)
def test_torch(call, error, words):
    check(call, error, words)


BLOCKS = {
    "StripBlock": pt.StripBlock(4),
    "MixedStripBlock": pt.MixedStripBlock(4),
    "CenterBlock": pt.CenterBlock(4, 2),
    "CornerBlock": pt.CornerBlock(4, 2),
    "CascadeCornerBlock": pt.CascadeCornerBlock(4, 2),
}


@pytest.mark.parametrize("block", BLOCKS.values(), ids=BLOCKS)
def test_inputs_of_torch_blocks(block):
    check(lambda: block(T.int()), TypeError, ["input", "floats", "int32"])
    check(lambda: block(None), TypeError, ["input", "NoneType"])
    for wrong in (T[0], T[:, :3], T[:, :, :0], T[0, 0]):
        check(block, ValueError, ["input must have the shape (N, 4, H, W)", str(tuple(wrong.shape))], wrong)
