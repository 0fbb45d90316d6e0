"""The kernels inside the torch column."""

import torch
from cases import distinct
from harness import expect

import poolref.torch._engine.dispatch as cuda
from poolref.regions import Adaptive, Columns, Pyramid, Rows, Running, Whole, Window
from poolref.torch import functional as F
from poolref.triton.launch import recording

BOXES = torch.tensor([[0, 0.5, 1.0, 12.0, 9.0], [0, -2.0, 3.0, 4.0, 20.0]])


def boxes(x):
    """RoIAlign of the same boxes in all maps, as channels of one image."""
    return F.roi_align(x.reshape(1, -1, *x.shape[-2:]), BOXES, (2, 3), 0.5, 2)


def channels_last(x):
    """Laid out with channels innermost, in a way that vmap knows."""
    return x.movedim(1, -1).contiguous().movedim(-1, 1)


def tiled(x):
    """A larger map, of numbers that differ."""
    rows = torch.cat([x, 2 * x.flip(-1), -x], -1)
    return torch.cat([rows, 3 * rows.flip(-1), rows + 1], -2)


def number(x):
    """One for every map, and computed from it, so that its gradient is a part of the map's."""
    return 2 + x.sigmoid().mean((-2, -1), keepdim=True)


# Each is called with maps of 5x6 and of 3x4 cells.  Every operator that has a kernel belongs here.
POOLS = {
    "max": lambda x: F.max_pool2d(x, 3, 2, 1),
    "min": lambda x: F.min_pool2d(x, 2),
    "adaptive max": lambda x: F.adaptive_max_pool2d(x, (3, 4)),
    "average": lambda x: F.avg_pool2d(x, 3, 2, 1, True, False),
    "sum": lambda x: F.sum_pool2d(x, 3, 1, 1),
    "soft": lambda x: F.soft_pool2d(x, 3, 2, 1),
    "lp": lambda x: F.lp_pool2d(x, 3, 3, 2),
    "gem": lambda x: F.gem_pool2d(x, 3, 2, 1, p=2.5, eps=0.1),
    "lse": lambda x: F.lse_pool2d(x, 3, 2, 1),
    "learned gem": lambda x: F.gem_pool2d(x, 2, p=number(x), eps=0.1),
    "learned lse": lambda x: F.adaptive_lse_pool2d(x, (3, 4), number(x)),
    "large max": lambda x: F.max_pool2d(tiled(x), 9, 5, 4),
    "very large max": lambda x: F.max_pool2d(tiled(tiled(x)), (13, 21)),
    "large average": lambda x: F.avg_pool2d(tiled(x), 9, 5, 4, count_include_pad=False),
    "large soft": lambda x: F.soft_pool2d(tiled(x), (9, 11)),
    "large learned lse": lambda x: F.adaptive_lse_pool2d(tiled(x), (1, 2), number(tiled(x))),
    "adaptive average to one cell": lambda x: F.adaptive_avg_pool2d(x, 1),
    "scan of rows": lambda x: F.max_pool(x, Running("left")),
    "scan of columns": lambda x: F.max_pool(x, Running("up")),
    "scan, channels last": lambda x: F.max_pool(channels_last(torch.cat([x, -x], 1)), Running("down")),
    "corner": lambda x: F.corner_pool(x, 2 * x.flip(-1)),
    "center": F.center_pool,
    "whole max": lambda x: F.global_max_pool2d(torch.cat([x, 2 * x, -x] * 30, -2)),  # too many cells for a byte
    "whole min": F.global_min_pool2d,
    "whole average": F.global_avg_pool2d,
    "whole soft": F.global_soft_pool2d,
    "whole gem": F.global_gem_pool2d,
    "row averages": lambda x: F.avg_pool(x, Rows()),
    "column softs": lambda x: F.soft_pool(x, Columns()),
    "strip": F.strip_pool,
    "pyramid": lambda x: F.spatial_pyramid_pool2d(x, (3, 1)),
    "pyramid max": lambda x: F.max_pool(x, Pyramid((2, 1))),
    "pyramid min": lambda x: F.min_pool(x, Pyramid((3, 1))),
    "pyramid average": lambda x: F.avg_pool(x, Pyramid((3, 1))),
    "pyramid sum": lambda x: F.sum_pool(x, Pyramid((2, 1))),
    "blur": lambda x: F.blur_pool2d(x, 3, 2),
    "max blur": lambda x: F.max_blur_pool(x, 2, 3, 3),
    "roi align": boxes,
}


def main():
    """Values, first and second derivatives; and how gradients lie in memory."""
    compare(derivatives)
    with recording():  # which is known without running a kernel
        gradients_lie_as_maps_do()


def compare(run):
    """What `run` computes with each operator is what it computes with torch's operators in its place."""
    x = torch.from_numpy(distinct((2, 1, 5, 6), "float32")) / 10
    for name, pool in POOLS.items():
        cuda.on_gpu = lambda x: False
        expected = run(pool, x)
        cuda.on_gpu = lambda x: True
        for what, a in run(pool, x).items():
            expect(a, expected[what].numpy(), f"{name} {what}", 1e-5)


def gradients_lie_as_maps_do():
    """Wherever outputs and their gradients lie: one of a single cell does not tell."""
    for width in (3, 90):  # of the larger map no byte can say which cell was chosen
        for regions in (Whole(), Rows(), Window((3, width)), Window(2), Adaptive(1), Pyramid((1,)), Pyramid()):
            for pool in (F.max_pool, F.avg_pool, F.soft_pool):
                x = torch.ones(2, 3, width, 5).movedim(-1, 1).requires_grad_()
                grad = torch.autograd.grad(pool(x, regions).flatten(1).sum(), x)[0]
                expect(torch.tensor(grad.stride()), x.stride(), f"layout of {pool.__name__} {regions} {width}")


def derivatives(pool, x):
    """The result, its gradient and its second derivatives, in one direction."""
    x = x.clone().requires_grad_()
    y = pool(x)
    (grad,) = torch.autograd.grad((y * y).sum(), x, create_graph=True)
    (second,) = torch.autograd.grad((grad * grad).sum(), x)
    return {"y": y.detach(), "grad": grad.detach(), "second": second}
