"""The kernels inside the torch column."""

import torch
from cases import distinct
from harness import expect

import poolref.torch.cuda as cuda
from poolref.regions import Columns, Pyramid, Running, Whole, Window
from poolref.torch import functional as F
from poolref.torch.operators import packed
from poolref.torch.soft import soft_pool


def main():
    """The kernels inside the torch column: values, first and second derivatives and vmap, as torch's operators give."""
    x = torch.from_numpy(distinct((2, 1, 7, 8), "float32")) / 10

    def run(pool, *arguments):
        a = x.clone().requires_grad_()
        y = pool(a, *arguments)
        (grad,) = torch.autograd.grad((y * y).sum(), a, create_graph=True)
        (second,) = torch.autograd.grad((grad * grad).sum(), a)
        each = torch.func.vmap(torch.func.grad(lambda a: (pool(a, *arguments) ** 2).sum()))(x)
        return y.detach(), grad.detach(), second, pool(x, *arguments), each

    boxes = torch.tensor([[0, 0.5, 1.0, 12.0, 9.0], [0, -2.0, 3.0, 4.0, 20.0]])

    def aligned(x, *arguments):  # maps as channels of one image
        return F.roi_align(x.reshape(1, -1, 7, 8), boxes, *arguments)

    def whole(x):  # more cells than a byte can tell apart
        return F.global_max_pool2d(torch.cat([x, 2 * x, 3 * x, -x, -2 * x], -2))

    for pool, *arguments in (
        (whole,),
        (F.global_avg_pool2d,),
        (soft_pool, Columns()),
        (F.strip_pool,),
        (F.spatial_pyramid_pool2d, (3, 1)),
        (F.spatial_pyramid_pool2d, (3, 1), "average"),
        (F.max_pool2d, 3, 2, 1),
        (F.min_pool2d, 2),
        (F.adaptive_max_pool2d, (3, 4)),
        (F.avg_pool2d, 3, 2, 1, True, False),
        (F.sum_pool2d, 3, 1, 1),
        (F.soft_pool2d, 3, 2, 1),
        (F.blur_pool2d, 3, 2),
        (F.max_blur_pool, 2, 4, 2, 1),
        (aligned, (2, 3), 0.5, 2),
        (F.max_pool, Running("up")),
        (F.max_pool, Running("right")),
        (lambda x: F.corner_pool(x, 2 * x.flip(-1)),),
        (F.center_pool,),
    ):
        cuda.on_gpu = lambda x: False
        expected = run(pool, *arguments)
        cuda.on_gpu = lambda x: True
        for name, a, b in zip(("y", "grad", "second", "inference", "vmap"), run(pool, *arguments), expected):
            expect(a, b.numpy(), f"{pool.__name__}{arguments} {name}", 1e-5)

    of_boxes = boxes[:, 0].long(), boxes[:, 1:].double()
    window, scan = packed(Window(3, 2, 1)), packed(Running("left"))
    line, pyramid = packed(Whole()), packed(Pyramid((3, 1)))
    of_line, of_pyramid = torch.ones(2, 1, 1, 1), torch.ones(2, 1, 10)
    last = x.expand(2, 3, 7, 8).contiguous(memory_format=torch.channels_last)
    of_lines = [torch.zeros(2, 1, *size, dtype=torch.uint8) for size in ((7, 1), (1, 8))]
    y = cuda.max_windows(x, Window(3, 2, 1), False)
    for name, *arguments in (
        ("max_windows", x, window, False, True),
        ("max_windows_backward", y, y.to(torch.uint8), window, (7, 8)),
        ("max_lines", x, line, False),
        ("max_lines_backward", of_line, x, line, False),
        ("strip_maps", x),
        ("pyramid_max", x, pyramid, False),
        ("pyramid_average_backward", of_pyramid, pyramid, (7, 8), None),
        ("average_windows", x, window, True, None),
        ("average_windows_backward", y, window, (7, 8), True, 3),
        ("soft_pool", x, window, ()),
        ("soft_pool_backward", y, x, y, window, ()),
        ("blur_maps", x, 3, 2, 2),
        ("blur_maps_backward", y, 3, 2, 2, (7, 8)),
        ("max_blur_maps", x, 2, 4, 2, 1, 2),
        ("max_blur_maps_backward", y, x, 2, 4, 2, 1, 2),
        ("align_boxes", x, *of_boxes, (2, 3), 2, True, 2),
        ("align_boxes_backward", torch.ones(2, 1, 2, 3), *of_boxes, (2, 3), 2, True, 2, (7, 8)),
        ("scan_max", last, scan),
        ("scan_max_backward", x, x, scan),
        ("corner_maps", last, last, "top_left"),
        ("corner_maps_backward", x, x, x, "top_left"),
        ("center_maps", x, x, True),
        ("center_maps", last, last, True),
        ("center_maps_backward", x, *of_lines),
    ):
        torch.library.opcheck(getattr(torch.ops.poolref, name).default, arguments)

    def both(x):
        x = F.max_pool(x, Running("up")) + F.corner_pool(x, x) + F.center_pool(x)
        return F.max_pool2d(x, 2) + F.avg_pool2d(x, 2) + F.max_blur_pool(x, 2, 2) + aligned(x, (3, 4))

    grads = []
    for pool in (both, torch.compile(both, fullgraph=True, backend="aot_eager")):
        a = x.clone().requires_grad_()
        grads += torch.autograd.grad(pool(a).square().sum(), a)
    expect(grads[1], grads[0].numpy(), "compiled")
