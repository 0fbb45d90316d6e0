"""Regions too large to unroll: whole maps, rows and columns."""

import numpy as np
import torch
from cases import FILLS, distinct, map_id, normal
from harness import expect, layouts, numbers

import poolref.numpy as reference
from poolref.regions import Columns, Rows, Whole
from poolref.triton import whole as kernels

STEPS = {torch.float32: 4e-6, torch.float16: 1e-3, torch.bfloat16: 8e-3}  # the interpreter truncates


def main():
    """Maxima are equal to the bit, sums within the rounding of float32."""

    def check(shape, regions, dtype=torch.float32, fill=normal, layout=None, planes=3):
        x, exact = numbers((1, planes, *shape), dtype, fill)
        if layout:
            x = dict(layouts(x)).get(layout, x)
        where = f"{map_id((shape, regions))} {dtype} {fill.__name__} {layout} {kernels.FULL}"
        grad = (torch.arange(planes * np.prod(regions.output_shape(shape))).remainder(7) - 3).to(dtype)
        grad = grad.view(1, planes, *regions.output_shape(shape))
        g = grad.double().numpy()

        y, choice = kernels.max_pool(x, regions, choices=True)
        expect(y, reference.max_pool(exact, regions), f"max in training {where}")
        expect(kernels.max_pool(x, regions)[0], reference.max_pool(exact, regions), f"max {where}")
        expect(kernels.max_pool(x, regions, smallest=True)[0], reference.min_pool(exact, regions), f"min {where}")
        if not np.isnan(exact).any():
            expected = reference.max_pool_backward(g, exact, regions)
            expect(kernels.max_pool_backward(grad, choice, regions, shape), expected, f"max backward {where}")
        with np.errstate(invalid="ignore"):
            expected = reference.avg_pool(exact, regions)
        expect(kernels.avg_pool(x, regions), expected, f"average {where}", STEPS[dtype])
        expected = reference.avg_pool_backward(g, exact, regions)
        expect(kernels.avg_pool_backward(grad, regions, shape), expected, f"average backward {where}", STEPS[dtype])
        expect(kernels.soft_pool(x, regions), reference.soft_pool(exact, regions), f"soft {where}", STEPS[dtype])
        if fill is not FILLS["huge"]:  # gradients overflow
            expected = reference.soft_pool_backward(g, exact, regions)
            expect(kernels.soft_pool_backward(grad, x, regions), expected, f"soft backward {where}", STEPS[dtype])

    full = kernels.FULL
    for kernels.FULL in (full, 1):  # with 1 no line is divided
        for regions in (Whole(), Rows(), Columns()):
            check((4, 5), regions)
        check((60, 70), Whole())
    kernels.FULL = full
    for shape, regions in (((7,), Whole(1)), ((3, 2, 4), Whole(3)), ((1, 1), Whole()), ((16, 17), Whole())):
        check(shape, regions)
    for name in ("ties", "nan and infs", "both infs", "half minus inf", "huge", "wide"):
        check((9, 4), Whole(), fill=FILLS[name])
        check((40, 64), Whole(), fill=FILLS[name], planes=1)
    for layout in ("channels last", "strided", "unaligned"):
        for regions in (Whole(), Rows(), Columns()):
            check((6, 5), regions, torch.bfloat16, distinct, layout)
    check((6, 5), Whole(), torch.float16, distinct)
