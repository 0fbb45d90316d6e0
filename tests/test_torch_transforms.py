"""The torch column under what changes programs: torch.func, forward mode, torch.compile, torch.export, autocast."""

import pytest
import torch
import torch.autograd.forward_ad as fwAD
from torch import nn
from torch.func import grad, jacrev, jvp, vjp, vmap

import poolref.torch
from poolref.regions import Adaptive, Pyramid, Rows, Running, Whole, Window
from poolref.torch._engine.custom_op import packed
from poolref.torch.functional import (
    avg_pool,
    gem_pool,
    lp_pool,
    lse_pool,
    max_pool,
    min_pool,
    mixed_pool,
    soft_pool,
    sum_pool,
)

REDUCERS = {
    "max": max_pool,
    "min": min_pool,
    "average": avg_pool,
    "sum": sum_pool,
    "lp": lambda x, regions: lp_pool(x, regions, 3),
    "soft": soft_pool,
    "lse": lse_pool,
    "gem": lambda x, regions: gem_pool(x, regions, 2.5, 0.1),
    "mixed": mixed_pool,
}
reducers = pytest.mark.parametrize("name", REDUCERS)
regions = pytest.mark.parametrize(
    "regions", [Window(3, 2, 1), Adaptive(2), Adaptive(3), Whole(), Pyramid((2, 1)), Rows(), Running("left")], ids=repr
)


def draw(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@reducers
@regions
@pytest.mark.filterwarnings("ignore:There is a performance drop")
def test_torch_func_is_autograd(name, regions):
    def pool(x):
        return REDUCERS[name](x, regions)

    def loss(x):
        return pool(x).square().sum()

    x = draw(3, 2, 5, 4)
    plain = x.clone().requires_grad_()
    (expected,) = torch.autograd.grad(loss(plain), plain)
    torch.testing.assert_close(grad(loss)(x), expected)
    torch.testing.assert_close(vmap(grad(loss))(x), expected)
    torch.testing.assert_close(grad(lambda x: vmap(loss)(x).sum())(x), expected)
    torch.testing.assert_close(vmap(pool, in_dims=1)(x), pool(x).movedim(1, 0))
    y, pull = vjp(pool, x)
    torch.testing.assert_close(pull(2 * y)[0], expected)
    torch.testing.assert_close(vmap(pull)(torch.stack([2 * y, y]))[0][1], expected / 2)
    jacobian = torch.autograd.functional.jacobian(pool, x[0])
    torch.testing.assert_close(jacrev(pool)(x[0]), jacobian)
    hessian = torch.autograd.functional.hessian(loss, x[0])
    torch.testing.assert_close(jacrev(grad(loss))(x[0]), hessian)


@reducers
@regions
def test_forward_mode_is_right_or_raises(name, regions):
    def pool(x):
        return REDUCERS[name](x, regions)

    x, tangent = draw(2, 5, 4), draw(3, 5, 4)[:2].flip(0)
    expected = torch.autograd.functional.jvp(pool, x, tangent)[1]  # by two backward passes
    try:
        actual = jvp(pool, (x,), (tangent,))[1]
    except NotImplementedError as error:
        assert "jvp" in str(error)
    else:
        torch.testing.assert_close(actual, expected)
    with fwAD.dual_level():
        try:
            dual = pool(fwAD.make_dual(x, tangent))
        except NotImplementedError:
            return
        torch.testing.assert_close(fwAD.unpack_dual(dual).tangent, expected)


def test_large_maps_that_are_differentiated_after_all():
    """Without requires_grad a large map takes the fast path; torch.func and forward mode must still be served."""
    x = draw(2, 3, 120, 110)
    window = Window(3, 2, 1)
    plain = x.clone().requires_grad_()
    y = torch.nn.functional.max_pool2d(plain, 3, 2, 1)
    (expected,) = torch.autograd.grad(y.square().sum(), plain)

    def loss(x):
        return max_pool(x, window).square().sum()

    torch.testing.assert_close(grad(loss)(x), expected)
    torch.testing.assert_close(vmap(grad(loss))(x), expected)
    torch.testing.assert_close(grad(lambda x: vmap(loss)(x).sum())(x), expected)
    two = vmap(lambda x: max_pool(x, window), in_dims=-1)(torch.stack([x, -x], -1))
    torch.testing.assert_close(two, torch.stack([max_pool(x, window), max_pool(-x, window)]))
    tangent = x.flip(-1)
    torch.testing.assert_close(jvp(loss, (x,), (tangent,))[1], (expected * tangent).sum())


def check_compiled(module, x, backend):
    torch._dynamo.reset()
    compiled = torch.compile(module, fullgraph=True, backend=backend)
    x, twin = (x.clone(memory_format=torch.preserve_format).requires_grad_() for _ in range(2))
    y, expected = compiled(x), module(twin)
    torch.testing.assert_close(y, expected)
    assert y.stride() == expected.stride()
    y.square().sum().backward()
    expected.square().sum().backward()
    torch.testing.assert_close(x.grad, twin.grad)


COMPILED = {
    "MaxPool2d": poolref.torch.MaxPool2d(3, 2, 1),
    "MinPool1d": poolref.torch.MinPool1d(2),
    "AvgPool2d": poolref.torch.AvgPool2d(3, 2, 1, count_include_pad=False),
    "SumPool3d": poolref.torch.SumPool3d(2, dilation=2),
    "LPPool2d": poolref.torch.LPPool2d(3, 2),
    "SoftPool2d": poolref.torch.SoftPool2d(3, 2, 1),
    "SoftPool3d": poolref.torch.SoftPool3d(2),
    "AdaptiveSoftPool2d": poolref.torch.AdaptiveSoftPool2d((3, 4)),
    "AdaptiveMaxPool1d": poolref.torch.AdaptiveMaxPool1d(3),
    "GlobalLPPool2d": poolref.torch.GlobalLPPool2d(2, keepdim=False),
}


@pytest.mark.parametrize("name", COMPILED)
def test_compile(name):
    shape = {"1": (2, 3, 9), "2": (2, 3, 9, 8), "3": (2, 3, 5, 6, 4)}[name[-2]]
    check_compiled(COMPILED[name], draw(*shape).float(), "aot_eager")


@pytest.mark.parametrize("name", ["SoftPool2d", "MaxPool2d"])
def test_compile_to_machine_code(name):
    x = draw(2, 3, 9, 8).float().contiguous(memory_format=torch.channels_last)
    check_compiled(COMPILED[name], x, "inductor")


@pytest.mark.parametrize("name", ["SoftPool2d", "MaxPool2d", "AvgPool2d", "LPPool2d", "AdaptiveSoftPool2d"])
def test_export_with_a_dynamic_batch(name):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.pool = COMPILED[name]

        def forward(self, x):
            return self.pool(x) + 1

    batch = torch.export.Dim("batch", min=1)
    x = draw(2, 3, 9, 8).float()
    program = torch.export.export(Net(), (x,), dynamic_shapes=({0: batch},))
    other = draw(5, 3, 9, 8).float()
    torch.testing.assert_close(program.module()(other), Net()(other))


@pytest.mark.parametrize("name", COMPILED)
def test_autocast(name):
    shape = {"1": (2, 3, 9), "2": (2, 3, 9, 8), "3": (2, 3, 5, 6, 4)}[name[-2]]
    x = draw(*shape).bfloat16().requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = COMPILED[name](x)
    assert y.dtype == torch.bfloat16
    assert torch.equal(y, COMPILED[name](x))
    y.sum().backward()
    assert x.grad.dtype == torch.bfloat16


@pytest.mark.parametrize("name, parameters", [("soft_pool", ()), ("lp_pool", (3.0,))])
def test_raw_operators_keep_their_promises(name, parameters):
    window = packed(Window((3, 2), (2, 1), (1, 0), ceil_mode=True))
    operator, backward = getattr(torch.ops.poolref, name), getattr(torch.ops.poolref, f"{name}_backward")
    for x in (draw(2, 3, 7, 6), draw(2, 3, 7, 6).contiguous(memory_format=torch.channels_last)):
        tests = ("test_schema", "test_faketensor")
        torch.library.opcheck(operator.default, (x, window, parameters), test_utils=tests)
        y = operator(x, window, parameters)
        torch.library.opcheck(backward.default, (torch.ones_like(y), x, y, window, parameters), test_utils=tests)
