"""SoftPool."""

import torch
from cases import FILLS, map_id
from harness import everywhere, expect, layouts, numbers

import poolref.numpy as reference
from poolref.triton import soft as kernels


def main():
    """Weighted means in float32, within its rounding; far from zero and among infinities too."""

    def check(shape, regions, dtype, fill, layout=None):
        x, exact = numbers((1, 3, *shape), dtype, fill)
        if layout:
            x = dict(layouts(x)).get(layout, x)
        step = {torch.float32: 2e-6, torch.float16: 1e-3, torch.bfloat16: 8e-3}[dtype]
        where = f"{map_id((shape, regions))} {dtype} {fill.__name__} {layout}"
        y = kernels.soft_pool(x, regions)
        expect(y, reference.soft_pool(exact, regions), f"soft {where}", step)
        if fill is FILLS["huge"]:  # gradients overflow
            return
        grad = (torch.arange(y.numel()).remainder(7).view(y.shape) - 3).to(dtype)
        x_grad = kernels.soft_pool_backward(grad, x, regions)
        expect(
            x_grad, reference.soft_pool_backward(grad.double().numpy(), exact, regions), f"soft backward {where}", step
        )

    everywhere(check)
