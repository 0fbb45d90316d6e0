"""The kernels under what changes programs: torch.func, torch.compile, torch.export, autocast, and forward mode."""

import torch
from cases import distinct
from column import POOLS
from harness import expect

import poolref.torch._engine.dispatch as cuda


def main():
    """Some operators stand for all, because this takes long: what makes them known to torch is the same for all."""
    cuda.on_gpu = lambda x: True
    x = torch.from_numpy(distinct((2, 1, 3, 4), "float32")) / 10
    for name in ("max", "average", "soft", "gem"):
        under_transforms(name, POOLS[name], x)


def under_transforms(name, pool, x):
    """The same numbers however the operator is called, forwards and backwards."""

    def loss(x):
        return pool(x).square().sum()

    a = x.clone().requires_grad_()
    y = pool(a)
    (x_grad,) = torch.autograd.grad(y.square().sum(), a)
    y = y.detach()
    for backend in ("aot_eager", "inductor") if name == "soft" else ("aot_eager",):
        torch._dynamo.reset()
        compiled = torch.compile(pool, fullgraph=True, backend=backend)
        b = x.clone().requires_grad_()
        expect(compiled(b).detach(), y.numpy(), f"{name} compiled by {backend}")
        expect(
            torch.autograd.grad(compiled(b).square().sum(), b)[0], x_grad.numpy(), f"{name} backward by {backend}", 1e-6
        )

    class Module(torch.nn.Module):
        def forward(self, x):
            return pool(x)

    exported = torch.export.export(Module(), (x,), dynamic_shapes=({0: torch.export.Dim("batch", min=1)},)).module()
    expect(exported(x.repeat(3, 1, 1, 1)), y.repeat(3, 1, 1, 1).numpy(), f"{name} exported", 1e-6)

    with torch.autocast(x.device.type, dtype=torch.bfloat16):
        expect(pool(x), y.numpy(), f"{name} under autocast")
        assert pool(x.bfloat16()).dtype == torch.bfloat16

    expect(torch.func.grad(loss)(x), x_grad.numpy(), f"{name} grad", 1e-6)
    expect(torch.func.vmap(torch.func.grad(loss))(x), x_grad.numpy(), f"{name} vmap of grad", 1e-6)
    expect(torch.func.grad(lambda x: torch.func.vmap(loss)(x).sum())(x), x_grad.numpy(), f"{name} grad of vmap", 1e-6)
    value, pull = torch.func.vjp(pool, x)
    expect(pull(2 * value)[0], x_grad.numpy(), f"{name} vjp", 1e-6)
    jacobian = torch.func.jacrev(pool)(x[:1])
    expect(
        (jacobian * 2 * y[:1, :, :, :, None, None, None, None]).sum((0, 1, 2, 3)),
        x_grad[:1].numpy(),
        f"{name} jacrev",
        1e-6,
    )
    tangent = torch.func.jvp(pool, (x,), (torch.ones_like(x),))[1]
    expect(tangent, torch.autograd.functional.jvp(pool, x, torch.ones_like(x))[1].numpy(), f"{name} jvp", 1e-5)
