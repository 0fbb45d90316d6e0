"""One of several processes of tests/test_torch_sharding.py: every operator on maps that are spread over the processes.

    python tests/sharded.py RANK PROCESSES FILE

The processes meet in FILE.  Each prints what went wrong; nothing is fine.
"""

import sys

import torch
import torch.distributed as dist
from every_operator import EXAMPLES
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, Replicate, Shard, distribute_tensor
from torch.distributed.tensor.debug import CommDebugMode

# These mix the planes of a map, or have layers of their own: torch's rules for its operators hold for them.
NOT_BY_PLANES = ("HopfieldPool", "AttentionPool2d", "hopfield_retrieve")

# Boxes name maps of the whole batch; a pyramid's vector mixes channels and bins.
AXES = {"roi_pool": (1,), "roi_align": (1,), "SpatialPyramidPool2d": (0,)}


def alone(example, inputs):
    leaves, module = [a.clone().requires_grad_(a.is_floating_point()) for a in inputs], example.make()
    y = module(*leaves)
    y.square().sum().backward()
    return [y.detach(), leaves[0].grad, *(p.grad for p in module.parameters())]


def spread(example, inputs, mesh, dim):
    """The output and the gradients, with the map spread along `dim`; nothing of it may be sent."""
    placed = []
    for a in inputs:
        along = [Shard(dim)] if a.shape == inputs[0].shape else [Replicate()]
        placed.append(distribute_tensor(a, mesh, along).detach().requires_grad_(a.is_floating_point()))
    module = example.make()
    with CommDebugMode() as talk:
        y = module(*placed)
        (y * y).to_local().sum().backward()
    assert isinstance(y, DTensor), type(y)
    assert y.placements == (Shard(dim),), (example.name, dim, y.placements)
    # The gradient of a parameter, which every process has, is the one thing to add up.
    assert talk.get_total_counts() <= len(list(module.parameters())), talk.get_comm_counts()
    return [y.full_tensor().detach(), placed[0].grad.full_tensor(), *(p.grad for p in module.parameters())]


def check_operators(mesh, processes):
    for example in EXAMPLES:
        if example.name in NOT_BY_PLANES:
            continue
        inputs = example.inputs(batch=4)
        expected = alone(example, inputs)
        for dim in AXES.get(example.row if "boxes" in example.others else example.name, (0, 1)):
            for a, b in zip(spread(example, inputs, mesh, dim), expected, strict=True):
                torch.testing.assert_close(a, b, msg=lambda m, e=example, d=dim: f"{e.name}, axis {d}: {m}")
        along_height = distribute_tensor(torch.rand(4, 4, *[8] * example.ndim), mesh, [Shard(2)])
        others = [a if a.shape != inputs[0].shape else along_height for a in inputs[1:]]
        try:
            example.make()(along_height, *others)
        except ValueError as error:
            assert "spread over processes" in str(error), error
        else:
            raise AssertionError(f"{example.name} took a map that is spread along its height")


def check_large_map_without_gradient(mesh):
    import poolref.torch

    x = torch.rand(8, 4, 96, 96, generator=torch.Generator().manual_seed(0))
    spread_x = distribute_tensor(x, mesh, [Shard(0)])
    with torch.no_grad(), CommDebugMode() as talk:
        y = poolref.torch.MaxPool2d(2)(spread_x)
    assert y.placements == (Shard(0),) and talk.get_total_counts() == 0, talk.get_comm_counts()
    torch.testing.assert_close(y.full_tensor(), nn.functional.max_pool2d(x, 2))


def check_training(mesh, rank, processes):
    """FSDP and DDP around layers with learned numbers: the parameters of one process, after one step."""
    import poolref.torch

    def net():
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Conv2d(3, 4, 3),
            poolref.torch.GeMPool2d(2),
            poolref.torch.SoftPool2d(2),
            poolref.torch.LSEPool2d(2, learnable=True, channels=4),
            nn.Flatten(),
            nn.LazyLinear(2),
        )

    x = torch.rand(2 * processes, 3, 20, 20, generator=torch.Generator().manual_seed(1))
    mine = x[2 * rank : 2 * rank + 2]
    results = []
    for kind in ("one process", "DDP", "FSDP"):
        model = net()
        model(x[:1])
        if kind == "DDP":
            model = nn.parallel.DistributedDataParallel(model)
        elif kind == "FSDP":
            for layer in (model[1], model[3]):
                fully_shard(layer, mesh=mesh)
            fully_shard(model, mesh=mesh)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        y = model(x if kind == "one process" else mine)
        (y.square().sum() / (len(x) if kind == "one process" else len(mine))).backward()
        optimizer.step()
        results.append([p.full_tensor() if isinstance(p, DTensor) else p.detach() for p in model.parameters()])
    for kind, parameters in zip(("DDP", "FSDP"), results[1:]):
        for actual, expected in zip(parameters, results[0], strict=True):
            torch.testing.assert_close(actual.detach(), expected, msg=lambda m, k=kind: f"{k}: {m}")


def main(rank, processes, file):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{file}", rank=rank, world_size=processes)
    mesh = init_device_mesh("cpu", (processes,))
    check_operators(mesh, processes)
    check_large_map_without_gradient(mesh)
    check_training(mesh, rank, processes)
    dist.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
