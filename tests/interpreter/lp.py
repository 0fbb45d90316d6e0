"""Lp."""

import torch
from cases import FILLS, map_id
from harness import everywhere, expect, layouts, numbers

import poolref.numpy as reference
from poolref.regions import Window
from poolref.triton import lp as kernels

STEP = {torch.float32: 2e-6, torch.float16: 1e-3, torch.bfloat16: 8e-3}


def main():
    """Norms in float32, within its rounding, at all magnitudes."""

    def check(shape, regions, dtype, fill, layout=None, p=2.0):
        x, exact = numbers((1, 3, *shape), dtype, fill)
        x = dict(layouts(x)).get(layout, x)
        where = f"{map_id((shape, regions))} {dtype} {fill.__name__} {layout} {p}"
        y = kernels.lp_pool(x, regions, p)
        step = 2e-3 if fill is FILLS["denormal"] else STEP[dtype]  # such results have few digits
        expect(y, reference.lp_pool(exact, regions, p), f"lp {where}", step)
        grad = (torch.arange(y.numel()).remainder(7).view(y.shape) - 3).to(dtype)
        x_grad = kernels.lp_pool_backward(grad, x, regions, p)
        expected = reference.lp_pool_backward(grad.double().numpy(), exact, regions, p)
        expect(x_grad, expected, f"lp backward {where}", STEP[dtype])

    everywhere(check)
    for p in (1.0, 3.0, 4.0, 1.5):
        for name in ("both infs", "ties", "denormal"):
            check((4, 6), Window(2), torch.float32, FILLS[name], p=p)
    check((4, 6), Window(3, 2, 1), torch.float32, FILLS["ties"], p=0.5)
