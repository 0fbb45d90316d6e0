"""What every module of the torch column has to go through, whatever it computes; the tests of its family call it."""

import copy
import io
import pickle

import numpy as np
import torch
from torch.autograd import gradcheck, gradgradcheck
from torch.func import functional_call

from poolref import catalog


def draw(*shape, seed=0, dtype=torch.float64):
    """Standard normal numbers, the same on every call."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def check_against_numpy(y, g, inputs, name, arguments):
    """`y` and its gradients are those of a function of the NumPy column; `inputs` are its first arguments."""
    function, backward = catalog.resolve(f"poolref.numpy.{name}"), catalog.resolve(f"poolref.numpy.{name}_backward")
    arrays = [a.detach().numpy() for a in inputs]
    np.testing.assert_allclose(y.detach(), function(*arrays, *arguments), rtol=1e-12, atol=1e-12)
    expected = backward(g.numpy(), *arrays, *arguments)
    expected = expected if isinstance(expected, tuple) else (expected,)
    for grad, correct in zip(torch.autograd.grad(y, inputs, g), expected, strict=True):
        np.testing.assert_allclose(grad, correct, rtol=1e-10, atol=1e-12)


def check_gradients(module, *inputs, twice=True):
    """Finite differences of inputs and parameters, in float64."""
    module = copy.deepcopy(module).double()
    names, parameters = zip(*module.named_parameters(), strict=True) if list(module.parameters()) else ((), ())
    inputs = [a.double().requires_grad_() for a in inputs]

    def call(*values):
        return functional_call(module, dict(zip(names, values[len(inputs) :], strict=True)), values[: len(inputs)])

    values = (*inputs, *(p.detach().clone().requires_grad_() for p in parameters))
    assert gradcheck(call, values)
    if twice:
        assert gradgradcheck(call, values)


def check_compiled(module, *inputs):
    """One graph, the same output and the same gradients."""
    torch._dynamo.reset()
    compiled = torch.compile(module, fullgraph=True, backend="aot_eager")
    results = []
    for call in (compiled, module):
        leaves = [a.clone().requires_grad_() if a.is_floating_point() else a for a in inputs]
        module.zero_grad()
        y = call(*leaves)
        y.square().sum().backward()
        results.append([y.detach(), *(a.grad for a in leaves), *(p.grad.clone() for p in module.parameters())])
    for actual, expected in zip(*results, strict=True):
        if expected is not None:
            torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-5)


def check_exported(module, *inputs):
    """Exported with a dynamic batch, and run with another one."""
    batch = torch.export.Dim("batch", min=2)
    program = torch.export.export(module, inputs, dynamic_shapes=tuple({0: batch} for _ in inputs))
    larger = [torch.cat([a, a.flip(-1)]) for a in inputs]
    torch.testing.assert_close(program.module()(*larger), module(*larger))


def check_stored(module, *inputs):
    """The module survives deepcopy, pickle and state_dict, and shows its arguments."""
    expected = module(*inputs)
    buffer = io.BytesIO()
    torch.save(module.state_dict(), buffer)
    buffer.seek(0)
    twins = [copy.deepcopy(module), pickle.loads(pickle.dumps(module)), copy.deepcopy(module)]
    twins[2].load_state_dict(torch.load(buffer))
    for twin in twins:
        assert torch.equal(twin(*inputs), expected)
        assert repr(twin) == repr(module)


def check_unbatched(module, *inputs):
    """One map without a batch axis gives what it gives in a batch."""
    torch.testing.assert_close(module(*(a[0] for a in inputs)), module(*inputs)[0])


def check_half(module, *inputs, tolerance=0.02):
    """Half precision, by itself and under autocast, stays close to float32."""
    expected = module(*inputs).detach()
    for dtype in (torch.float16, torch.bfloat16):
        half = copy.deepcopy(module).to(dtype)
        leaves = [a.to(dtype).requires_grad_() for a in inputs]
        y = half(*leaves)
        assert y.dtype == dtype
        torch.testing.assert_close(y.float(), expected, rtol=tolerance, atol=tolerance * expected.abs().max().item())
        y.sum().backward()
        assert all(a.grad is None or (a.grad.dtype == dtype and a.grad.isfinite().all()) for a in leaves)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = module(*inputs).float()
    torch.testing.assert_close(y, expected, rtol=tolerance, atol=tolerance * expected.abs().max().item())


def check_all(module, *inputs, twice=True, small=None, unbatched=True, half=0.02):
    """All of the above.  Finite differences are taken on `small` inputs where they are given.

    `half` is the tolerance of :func:`check_half`.
    """
    check_gradients(module, *(small or inputs), twice=twice)
    inputs = [a.float() for a in inputs]
    check_stored(module, *inputs)
    check_half(module, *inputs, tolerance=half)
    if unbatched:
        check_unbatched(module, *inputs)
    check_compiled(module, *inputs)
    check_exported(module, *inputs)
