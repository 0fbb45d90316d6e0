"""Spatial pyramid pooling."""

import numpy as np
import torch
from cases import FILLS, distinct, normal
from harness import expect, layouts, numbers

import poolref.numpy as reference
import poolref.torch._engine.dispatch as cuda
from poolref.regions import Pyramid
from poolref.torch import functional as F
from poolref.triton import pyramid as kernels
from poolref.triton.launch import recording


def main():
    """Maxima and their gradients are equal to the bit, means within the rounding of float32."""

    def check(shape, levels=(4, 2, 1), dtype=torch.float32, fill=normal, layout=None, planes=(2, 3)):
        x, exact = numbers((*planes, *shape), dtype, fill)
        if layout:
            x = dict(layouts(x))[layout]
        regions = Pyramid(levels)
        where = f"{shape} {levels} {dtype} {fill.__name__} {layout}"
        step = {torch.float32: 1e-6, torch.float16: 1e-3, torch.bfloat16: 8e-3}[dtype]  # the interpreter truncates
        y = kernels.max_pool(x, regions)[0]
        expect(y, reference.max_pool(exact, regions), f"max {where}")
        expect(kernels.max_pool(x, regions, smallest=True)[0], reference.min_pool(exact, regions), f"min {where}")
        grad = torch.arange(y.numel()).remainder(7).view(y.shape).to(dtype) - 3
        g = grad.double().numpy()
        if not np.isnan(exact).any():
            x_grad = kernels.max_pool_backward_again(grad, x, regions)
            expect(x_grad, reference.max_pool_backward(g, exact, regions), f"max backward {where}")
        with np.errstate(invalid="ignore"):
            expect(kernels.avg_pool(x, regions), reference.avg_pool(exact, regions), f"average {where}", step)
            expect(kernels.avg_pool(x, regions, divisor=1), reference.sum_pool(exact, regions), f"sum {where}", step)
        expected = reference.avg_pool_backward(g, exact, regions)
        expect(kernels.avg_pool_backward(grad, regions, shape), expected, f"average backward {where}", step)

    for shape in ((5, 7), (4, 4), (13, 13), (16, 8)):
        check(shape)
    check((40, 70), planes=(1, 1))
    check((3, 2), (1, 3))  # more bins than cells
    check((1, 1), (2, 1))
    check((12, 9), (6, 3, 2, 1))
    check((9, 9), (3,))
    for name in ("ties", "nan and infs", "half minus inf", "huge"):
        check((6, 5), fill=FILLS[name])
    for layout in ("channels last", "strided", "unaligned"):
        check((6, 5), (3, 1), torch.bfloat16, distinct, layout)
    check((6, 5), dtype=torch.float16, fill=distinct)
    check((6, 5), planes=(0, 3))

    cuda.on_gpu = lambda x: True
    x = torch.ones(2, 3, 6, 5)
    for mode in ("max", "min", "average", "sum"):
        with recording() as launches:
            F.spatial_pyramid_pool2d(x, mode=mode)
        expect(torch.tensor([kernel == kernels.pyramid_forward for kernel, *_ in launches]), [1], f"one pass, {mode}")
    for levels, shape in (((20, 12), (6, 5)), ((2, 1), (6, 1025))):  # too much to keep
        x = torch.ones(1, *shape)
        with recording() as launches:
            F.spatial_pyramid_pool2d(x, levels)
        expect(torch.tensor(sum(kernel == kernels.pyramid_forward for kernel, *_ in launches)), 0, f"{levels} {shape}")
