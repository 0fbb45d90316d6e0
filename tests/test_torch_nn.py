"""The torch column's modules and functions: torch.nn's where torch.nn has them, and what every module can do."""

import copy
import inspect
import io
import math
import pickle

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import poolref.torch
from poolref import catalog
from poolref.torch import functional

MAPS = {1: (9,), 2: (9, 8), 3: (6, 7, 5)}
WINDOWS = [
    {"kernel_size": 2},
    {"kernel_size": 3, "stride": 2, "padding": 1},
    {"kernel_size": 3, "stride": 1, "padding": 1},
    {"kernel_size": 2, "stride": 3},
    {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True},
    {"kernel_size": [2], "stride": (1,)},
]
ONLY_MAX = [{"kernel_size": 2, "dilation": 2}, {"kernel_size": 3, "stride": 2, "padding": 1, "dilation": 2}]
ONLY_AVG = [{"kernel_size": 3, "padding": 1, "count_include_pad": False}, {"kernel_size": 2, "divisor_override": 3}]
BINS = [{"output_size": 1}, {"output_size": 3}]


def drop_ins():
    for n in (1, 2, 3):
        for arguments in WINDOWS + ONLY_MAX:
            yield f"MaxPool{n}d", arguments
        for arguments in WINDOWS + ONLY_AVG:
            if n > 1 or "divisor_override" not in arguments:
                yield f"AvgPool{n}d", arguments
        for arguments in [*BINS, *([{"output_size": (None, 2, 5)[:n]}] if n > 1 else [])]:
            yield f"AdaptiveMaxPool{n}d", arguments
            yield f"AdaptiveAvgPool{n}d", arguments


drop_in = pytest.mark.parametrize("name, arguments", list(drop_ins()), ids=str)


def inputs(ndim, channels=3):
    """Maps of every kind that torch.nn takes."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, channels, *MAPS[ndim], generator=generator)
    yield x
    yield x[0]
    yield x.double()
    yield x.round()  # ties
    yield x.masked_fill(x > 1.5, torch.nan)
    yield x.masked_fill(x > 1.5, -torch.inf)
    yield x.movedim(1, -1).contiguous().movedim(-1, 1)
    yield x.transpose(0, 1)
    yield x[:, ::2]
    yield x[:0]
    yield x.half()
    yield x.bfloat16()


def value_and_grad(module, x):
    x = x.detach().requires_grad_()
    y = module(x)
    g = torch.linspace(-1, 2, y.numel(), dtype=y.dtype).view(y.shape)
    return y.detach(), torch.autograd.grad(y, x, g)[0]


@drop_in
def test_drop_in(name, arguments):
    ours, theirs = getattr(poolref.torch, name)(**arguments), getattr(nn, name)(**arguments)
    for x in inputs(int(name[-2])):
        try:
            expected = value_and_grad(theirs, x)
        except NotImplementedError:
            continue  # half precision, which torch's avg_pool3d lacks on the CPU
        if "Max" in name and x.isnan().any():
            expected = expected[0], None  # which NaN takes the gradient is not promised
        y, grad = value_and_grad(ours, x)
        torch.testing.assert_close(y, expected[0], rtol=0, atol=0, equal_nan=True)
        assert y.stride() == expected[0].stride()
        if expected[1] is not None:
            torch.testing.assert_close(grad, expected[1], rtol=0, atol=0, equal_nan=True)
        torch.testing.assert_close(ours(x), expected[0], rtol=0, atol=0, equal_nan=True)


@drop_in
def test_functions_are_drop_ins_too(name, arguments):
    function = {"MaxPool": "max_pool", "AvgPool": "avg_pool"}
    stem = function[name.removeprefix("Adaptive")[:-2]] + name[-2:]
    stem = f"adaptive_{stem}" if name.startswith("Adaptive") else stem
    x = next(inputs(int(name[-2])))
    expected = getattr(F, stem)(x, **arguments)
    assert torch.equal(getattr(functional, stem)(x, **arguments), expected)
    if "Max" in name:
        values, indices = getattr(functional, stem)(x, **arguments, return_indices=True)
        theirs = getattr(F, stem)(x, **arguments, return_indices=True)
        assert torch.equal(values, theirs[0]) and torch.equal(indices, theirs[1])
        module = getattr(poolref.torch, name)(**arguments, return_indices=True)
        assert torch.equal(module(x)[1], theirs[1])


@pytest.mark.parametrize("n", [1, 2, 3])
def test_positional_arguments_come_in_torchs_order(n):
    for name in ("MaxPool", "AvgPool", "LPPool", "AdaptiveMaxPool", "AdaptiveAvgPool"):
        ours = list(inspect.signature(getattr(poolref.torch, f"{name}{n}d")).parameters.values())
        theirs = list(inspect.signature(getattr(nn, f"{name}{n}d")).parameters.values())
        for mine, torchs in zip(ours, theirs, strict=False):
            assert (mine.name, mine.default) == (torchs.name, torchs.default)
    x = next(inputs(n))
    assert torch.equal(
        functional.__dict__[f"max_pool{n}d"](x, 3, 2, 1, 1, True), getattr(F, f"max_pool{n}d")(x, 3, 2, 1, 1, True)
    )
    assert torch.equal(
        functional.__dict__[f"avg_pool{n}d"](x, 3, 2, 1, True, False),
        getattr(F, f"avg_pool{n}d")(x, 3, 2, 1, True, False),
    )


@pytest.mark.parametrize("n", [1, 2, 3])
def test_lp_pool_is_torchs_where_torchs_is_right(n):
    """That is: even or positive powers, no partial windows."""
    x = next(inputs(n)).abs().double()
    for p in (1, 2, 3):
        ours, theirs = getattr(poolref.torch, f"LPPool{n}d")(p, 2, 1), getattr(nn, f"LPPool{n}d")(p, 2, 1)
        for actual, expected in zip(value_and_grad(ours, x), value_and_grad(theirs, x), strict=True):
            torch.testing.assert_close(actual, expected)


def test_large_maps_without_gradient():
    for dtype in (torch.float32, torch.float64, torch.bfloat16):
        x = torch.randn(3, 5, 97, 101).to(dtype)
        x[0, 0, 5, 5] = torch.nan
        for arguments in WINDOWS + ONLY_MAX:
            for layout in (x, x.contiguous(memory_format=torch.channels_last), x.transpose(0, 1), x[0]):
                y = poolref.torch.MaxPool2d(**arguments)(layout)
                expected = nn.MaxPool2d(**arguments)(layout)
                torch.testing.assert_close(y, expected, rtol=0, atol=0, equal_nan=True)
                assert y.stride() == expected.stride()


# --- every module ----------------------------------------------------------------------------------------------------

FORMS = {
    "": {"kernel_size": 3, "stride": 2, "padding": 1},
    "Adaptive": {"output_size": 2},
    "Global": {},
}


def every_module():
    for row in catalog.OPERATORS:
        if row.kind == "reducer" and row.torch:
            for prefix, arguments in FORMS.items():
                for n in row.ndims:
                    yield f"{prefix}{row.torch.rpartition('.')[2]}{n}d", arguments


every = pytest.mark.parametrize("name, arguments", list(every_module()), ids=str)


def make(name, arguments):
    kind = getattr(poolref.torch, name)
    required = {"norm_type": 2} if "norm_type" in inspect.signature(kind).parameters else {}
    return kind(**required, **arguments)


@every
def test_every_module(name, arguments):
    n = int(name[-2])
    module = make(name, arguments)
    x = next(inputs(n))
    y = module(x)
    out = tuple(-(-size // 2) for size in MAPS[n]) if not name.startswith(("Adaptive", "Global")) else None
    assert y.shape == (2, 3, *(out or ((2,) * n if name.startswith("Adaptive") else (1,) * n)))
    torch.testing.assert_close(module(x[0]), y[0])
    for twin in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert repr(twin) == repr(module)
        assert torch.equal(twin(x), y)
    assert eval(repr(module), vars(poolref.torch))(x).equal(y)
    buffer = io.BytesIO()
    torch.save(module.state_dict(), buffer)
    buffer.seek(0)
    assert module.load_state_dict(torch.load(buffer)).missing_keys == []
    if name.startswith("Global"):
        assert torch.equal(make(name, {"keepdim": False})(x), y.flatten(1))


@every
def test_every_module_is_documented(name, arguments):
    kind = getattr(poolref.torch, name)
    assert kind.__module__.startswith("poolref.torch.") and kind.__name__ == kind.__qualname__ == name
    assert {"Args:", "Raises:"} <= set(kind.__doc__.replace("\n", " ").split())
    assert "{" not in kind.__doc__
    for parameter in inspect.signature(kind).parameters:
        assert f"{parameter}:" in kind.__doc__


def test_every_function_is_documented():
    for name in functional.__all__:
        function = getattr(functional, name)
        assert function.__name__ == name
        assert "{" not in function.__doc__ and "Args:" in function.__doc__ and "Raises:" in function.__doc__
        for parameter in inspect.signature(function).parameters:
            assert f"{parameter}:" in function.__doc__ or f"{parameter}, " in function.__doc__, (name, parameter)


def test_all_names_are_exported():
    for module in (poolref.torch, functional):
        assert all(hasattr(module, name) for name in module.__all__)
    assert {name for name, _ in every_module()} <= set(poolref.torch.__all__)


def test_attributes_may_be_changed_after_construction():
    module = poolref.torch.SoftPool2d(2)
    module.ceil_mode = True  # as torchvision's SSD does with a max pool
    assert module(torch.zeros(1, 1, 5, 5)).shape == (1, 1, 3, 3)


# --- bad input -------------------------------------------------------------------------------------------------------

X = torch.zeros(1, 2, 6, 6)
WRONG = [
    (lambda: poolref.torch.SoftPool2d(0), ValueError, "kernel_size.*at least 1.*0"),
    (lambda: poolref.torch.SoftPool2d(-2), ValueError, "kernel_size.*-2"),
    (lambda: poolref.torch.SoftPool2d(2.0), TypeError, r"kernel_size.*2\.0"),
    (lambda: poolref.torch.SoftPool2d("2"), TypeError, "kernel_size.*'2'"),
    (lambda: poolref.torch.SoftPool2d(True), TypeError, "kernel_size.*True"),
    (lambda: poolref.torch.SoftPool2d((2, 2, 2)), ValueError, "kernel_size.*2 ints"),
    (lambda: poolref.torch.SoftPool2d(()), ValueError, "kernel_size"),
    (lambda: poolref.torch.MaxPool2d(2, 0), ValueError, "stride.*0"),
    (lambda: poolref.torch.MaxPool2d(2, 2, 2), ValueError, "padding.*half"),
    (lambda: poolref.torch.MaxPool2d(2, 2, -1), ValueError, "padding.*-1"),
    (lambda: poolref.torch.MaxPool2d(2, dilation=0), ValueError, "dilation.*0"),
    (lambda: poolref.torch.MaxPool2d(2, return_indices=1), TypeError, "return_indices.*1"),
    (lambda: poolref.torch.MaxPool2d(2, ceil_mode=1), TypeError, "ceil_mode.*1"),
    (lambda: poolref.torch.AvgPool2d(2, count_include_pad=0), TypeError, "count_include_pad.*0"),
    (lambda: poolref.torch.AvgPool2d(2, divisor_override=0), ValueError, "divisor_override.*0"),
    (lambda: poolref.torch.LPPool2d(0, 2), ValueError, "norm_type.*above 0.*0"),
    (lambda: poolref.torch.LPPool2d(-1, 2), ValueError, "norm_type.*-1"),
    (lambda: poolref.torch.LPPool2d(math.nan, 2), ValueError, "norm_type.*nan"),
    (lambda: functional.lp_pool2d(X, "2", 2), TypeError, "norm_type.*'2'"),
    (lambda: poolref.torch.AdaptiveMaxPool2d(0), ValueError, "output_size.*0"),
    (lambda: poolref.torch.AdaptiveSoftPool2d((2, 2.5)), TypeError, r"output_size.*2\.5"),
    (lambda: poolref.torch.GlobalSoftPool2d(1), TypeError, "keepdim.*1"),
    (lambda: functional.soft_pool2d(X, [2, 2, 2]), ValueError, "kernel_size"),
    (lambda: functional.soft_pool2d(X, 7), ValueError, "kernel_size=.*7"),
    (lambda: functional.soft_pool2d(X[0, 0], 2), ValueError, r"\(N, C, H, W\) or \(C, H, W\).*\(6, 6\)"),
    (lambda: functional.max_pool2d(X[None], 2), ValueError, r"\(1, 1, 2, 6, 6\)"),
    (lambda: poolref.torch.AvgPool3d(2)(torch.zeros(6, 6, 6)), ValueError, r"\(N, C, D, H, W\)"),
    (lambda: functional.max_pool2d(X[..., :0], 2), ValueError, "empty spatial axis"),
    (lambda: functional.soft_pool2d(X.int(), 2), TypeError, "floats.*int32"),
    (lambda: functional.avg_pool2d(X.int(), 2), TypeError, "floats.*int32"),
    (lambda: functional.max_pool2d(X.bool(), 2), TypeError, "bool"),
    (lambda: functional.sum_pool2d(X.cfloat(), 2), TypeError, "complex"),
    (lambda: functional.max_pool2d(X.numpy(), 2), TypeError, "torch.Tensor.*ndarray"),
    (lambda: functional.soft_pool(X, 2), TypeError, "regions.*2"),
]


@pytest.mark.parametrize("call, error, message", WRONG)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_huge_shapes_by_arithmetic_alone():
    """2**31 cells and more: nothing is computed, nothing overflows."""
    x = torch.empty(2, 64, 2**13, 2**13, device="meta")
    for name in ("soft_pool2d", "max_pool2d", "avg_pool2d"):
        assert getattr(functional, name)(x, 2).shape == (2, 64, 2**12, 2**12)
    assert functional.lp_pool2d(x, 2, 3, 2, padding=1).shape == (2, 64, 2**12, 2**12)
    assert np.prod(x.shape) > 2**31
