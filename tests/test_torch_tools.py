"""Every operator of the catalog under torch's compilers, tracers, transforms and checkpoints."""

import io

import pytest
import torch
import torch.autograd.forward_ad as fwAD
from every_operator import EXAMPLES, ONE_EACH, Call
from torch import nn
from torch._dynamo.testing import CompileCounterWithBackend
from torch.ao.quantization import get_default_qconfig_mapping
from torch.ao.quantization.quantize_fx import prepare_fx
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.checkpoint import checkpoint

import poolref.torch
from poolref import catalog
from poolref.torch._engine.custom_op import OPS

every_operator = pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)


def test_every_row_has_examples():
    assert {example.row for example in EXAMPLES} == {row.name for row in catalog.OPERATORS}


def value_and_grads(module, inputs):
    leaves = [a.detach().clone().requires_grad_(a.is_floating_point()) for a in inputs]
    module.zero_grad()
    y = module(*leaves)
    y.square().sum().backward()
    return [y.detach(), *(a.grad for a in leaves), *(p.grad for p in module.parameters())]


def expect_same(actual, expected):
    for a, b in zip(actual, expected, strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)


MODES = {"grad": torch.enable_grad, "no_grad": torch.no_grad, "inference_mode": torch.inference_mode}


@pytest.mark.parametrize(
    ("mode", "example"),
    [(mode, example) for mode in MODES for example in (EXAMPLES if mode == "no_grad" else ONE_EACH)],
    ids=lambda value: getattr(value, "name", value),
)
def test_compile(mode, example):
    """One graph for two sizes of maps, with and without a gradient."""
    torch._dynamo.reset()
    module, counter = example.make(), CompileCounterWithBackend("aot_eager")
    compiled = torch.compile(module, fullgraph=True, dynamic=True, backend=counter)
    graphs = []
    for larger in (False, True):
        inputs = example.inputs(larger)
        if mode == "grad":
            expect_same(value_and_grads(compiled, inputs), value_and_grads(module, inputs))
        else:
            with MODES[mode]():
                torch.testing.assert_close(compiled(*inputs), module(*inputs))
        graphs.append(counter.frame_count)
    assert graphs[1] == graphs[0] > 0


class Net(nn.Module):
    """The operator behind a layer with a parameter."""

    def __init__(self, module, axis):
        super().__init__()
        self.weight, self.pool, self.axis = nn.Parameter(torch.rand(4)), module, axis

    def forward(self, x, *others):
        weight = self.weight.view(-1, *[1] * (x.ndim - 1 - self.axis))
        return self.pool(weight * x, *others)


def net_of(example):
    return Net(example.make(), 2 if "cells" in example.others else 1)


@every_operator
def test_exported_programs_have_gradients(example):
    net, inputs = net_of(example), example.inputs()
    program = torch.export.export(net, tuple(inputs)).module()
    program(*inputs).square().sum().backward()
    grads = {name: p.grad.clone() for name, p in program.named_parameters()}
    program.zero_grad()  # which may share its parameters with the module
    net.zero_grad()
    net(*inputs).square().sum().backward()
    for name, parameter in net.named_parameters():
        torch.testing.assert_close(grads[name], parameter.grad)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("kind", ["soft", "gem", "blur"])
def test_a_network_with_a_replaced_pooling(kind):
    """Exported with all gradients, and prepared for quantization with its poolings whole."""

    class Residual(nn.Module):
        def __init__(self):
            super().__init__()
            self.before, self.norm, self.pool = nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.MaxPool2d(3, 2, 1)
            self.within, self.mean, self.scores = nn.Conv2d(8, 8, 3, 1, 1), nn.AdaptiveAvgPool2d(1), nn.Linear(8, 4)

        def forward(self, x):
            x = self.pool(self.norm(self.before(x)).relu())
            return self.scores(self.mean((self.within(x) + x).relu()).flatten(1))

    net, x = Residual().eval(), torch.rand(2, 3, 32, 32)
    poolref.torch.replace_pooling(net, {nn.MaxPool2d: kind, nn.AdaptiveAvgPool2d: "average"})
    program = torch.export.export(net, (x,)).module()
    expect_same(value_and_grads(program, [x])[:2], value_and_grads(net, [x])[:2])
    program.zero_grad()
    program(x).sum().backward()
    grads = {name: p.grad.clone() for name, p in program.named_parameters()}
    net.zero_grad()
    net(x).sum().backward()
    assert grads and all(p.grad is not None for p in net.parameters())
    for name, parameter in net.named_parameters():
        torch.testing.assert_close(grads[name], parameter.grad)
    prepared = prepare_fx(net, get_default_qconfig_mapping(), (x,))
    called = {node.target for node in prepared.graph.nodes if node.op == "call_module"}
    assert {"pool", "mean"} <= called
    torch.testing.assert_close(prepared(x), net(x))


@every_operator
def test_export_with_dynamic_sizes(example):
    module, inputs, larger = example.make(), tuple(example.inputs()), example.inputs(larger=True)
    sizes = [
        {i: torch.export.Dim.DYNAMIC for i, (n, m) in enumerate(zip(a.shape, b.shape)) if n != m}
        for a, b in zip(inputs, larger)
    ]
    varies = isinstance(module, Call)  # *inputs are one argument, which is a tuple
    program = torch.export.export(module, inputs, dynamic_shapes=(tuple(sizes),) if varies else tuple(sizes))
    torch.testing.assert_close(program.module()(*larger), module(*larger))


@every_operator
def test_checkpoint(example):
    net, inputs = net_of(example), example.inputs()
    inputs = [a.requires_grad_(a.is_floating_point()) for a in inputs]
    checkpoint(net, *inputs, use_reentrant=False).square().sum().backward()
    grads = [p.grad for p in net.parameters()]
    net.zero_grad()
    net(*inputs).square().sum().backward()
    expect_same(grads, [p.grad for p in net.parameters()])


@every_operator
def test_fx_traces_keep_modules_whole(example):
    net, inputs = nn.Sequential(), example.inputs()
    net.pool = example.make()

    class Outer(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = net

        def forward(self, x, *others):
            return self.net.pool(x + 1, *others) * 2

    class Named(Outer):
        def forward(self, a, b=None):
            return super().forward(a, *(() if b is None else (b,)))

    if isinstance(net.pool, Call):
        pytest.skip("no module of the torch column: a function, and functions are nodes of their own")
    outer = Named()
    given = {} if len(inputs) > 1 else {"b": None}
    traced = torch.fx.symbolic_trace(outer, concrete_args=given or None)
    assert [node.target for node in traced.graph.nodes if node.op == "call_module"] == ["net.pool"]
    torch.testing.assert_close(traced(*inputs), outer(*inputs))


@every_operator
@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning", "ignore::DeprecationWarning")
def test_traces_can_be_saved(example):
    module, inputs = example.make(), example.inputs()
    traced = torch.jit.trace(module, tuple(inputs))
    buffer = io.BytesIO()
    torch.jit.save(traced, buffer)
    buffer.seek(0)
    torch.testing.assert_close(torch.jit.load(buffer)(*inputs), module(*inputs))


@every_operator
def test_forward_mode(example):
    """jvp, jacfwd's parts and the Hessian's product with a vector, each against two backward passes."""
    module = example.make().double()
    inputs = [a.double() if a.is_floating_point() else a for a in example.inputs()]
    floats = [i for i, a in enumerate(inputs) if a.is_floating_point() and "boxes" not in example.others[i - 1 : i]]

    def pool(*variables):
        given = list(inputs)
        for i, variable in zip(floats, variables, strict=True):
            given[i] = variable
        return module(*given)

    def loss(*variables):
        return pool(*variables).pow(3).sum()

    primals = tuple(inputs[i] for i in floats)
    tangents = tuple(torch.rand(a.shape, generator=torch.Generator().manual_seed(7), dtype=a.dtype) for a in primals)
    expected = torch.autograd.functional.jvp(pool, primals, tangents)[1]
    torch.testing.assert_close(torch.func.jvp(pool, primals, tangents)[1], expected)
    with fwAD.dual_level():
        dual = pool(*(fwAD.make_dual(a, t) for a, t in zip(primals, tangents)))
        torch.testing.assert_close(fwAD.unpack_dual(dual).tangent, expected)
    product = torch.autograd.functional.hvp(loss, primals, tangents)[1]
    grad = torch.func.grad(loss, argnums=tuple(range(len(primals))))
    torch.testing.assert_close(torch.func.jvp(grad, primals, tangents)[1], product)


@every_operator
def test_meta(example):
    module, inputs = example.make(), example.inputs()
    on_meta = module.to("meta")(*(a.to("meta") for a in inputs))
    expected = example.make()(*inputs)
    assert on_meta.shape == expected.shape and on_meta.dtype == expected.dtype and on_meta.is_meta


class Recorder(TorchDispatchMode):
    """Collects the calls of our operators."""

    def __init__(self):
        super().__init__()
        self.calls = {}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func.namespace == "poolref":
            self.calls.setdefault(func, [])
            self.calls[func].append(args)
        return func(*args, **(kwargs or {}))


@pytest.fixture(scope="module")
def calls_of_operators():
    """Arguments of every operator that the CPU runs, forwards and backwards, as the modules give them."""
    with Recorder() as recorder:
        for example in EXAMPLES:
            leaves = [a.requires_grad_(a.is_floating_point()) for a in example.inputs()]
            module = example.make()
            module(*leaves).square().sum().backward()
        torch.no_grad()(poolref.torch.MaxPool2d(2))(torch.rand(2, 4, 96, 96))
    return recorder.calls


ON_GPUS = {"max_windows", "max_recomputing", "scan_max", "average_windows", "corner_maps", "center_maps", "strip_maps"}
ON_GPUS |= {"blur_maps", "max_blur_maps", "align_boxes"}  # tests/interpreter checks these


@pytest.mark.parametrize(
    "op", [op for op in OPS if op.forward.op.name()[9:] not in ON_GPUS], ids=lambda op: op.forward.op.name()
)
def test_opcheck(op, calls_of_operators):
    """What torch itself asks of an operator: schema, gradient, shapes without numbers, compilation."""
    for defined in (op.forward, op.backward):
        if defined.op not in calls_of_operators:
            assert defined is op.backward and op.forward.op.name() == "poolref::swept_max"
            continue
        for arguments in calls_of_operators[defined.op][:1]:
            given = [a.detach().clone() if isinstance(a, torch.Tensor) else a for a in arguments]
            torch.library.opcheck(defined.op, tuple(given))
            given = [a.requires_grad_(a.is_floating_point()) if isinstance(a, torch.Tensor) else a for a in given]
            torch.library.opcheck(defined.op, tuple(given))
