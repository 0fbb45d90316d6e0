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

    def check_means(shape, regions, dtype=torch.float32, fill=normal, layout=None, planes=3):
        x, exact = numbers((1, planes, *shape), dtype, fill)
        if layout:
            x = dict(layouts(x)).get(layout, x)
        where = f"{map_id((shape, regions))} {dtype} {fill.__name__} {layout} {kernels.FULL}"
        grad = (torch.arange(planes * np.prod(regions.output_shape(shape))).remainder(7) + 1).to(dtype)
        grad = grad.view(1, planes, *regions.output_shape(shape))
        g = grad.double().numpy()
        learned = torch.full((planes, *[1] * len(shape)), 2.5)
        for name, t in (("gem", 3), ("gem", learned), ("lp", 2), ("lp", 1.5), ("lse", learned)):
            forward, backward, ours, ours_backward = (
                getattr(column, f"{name}_pool{end}") for column in (reference, kernels) for end in ("", "_backward")
            )
            number = float(torch.as_tensor(t).flatten()[0])
            eps = (1e-6,) if name == "gem" else ()
            y = ours(x, regions, t, *eps)
            expect(y, forward(exact, regions, number), f"{name} {number} {where}", 2 * STEPS[dtype])
            if not np.isfinite(exact).all() or fill in (FILLS["huge"], FILLS["wide"]):
                continue
            if name == "lp":
                x_grad = ours_backward(grad, x, regions, t)
            else:
                x_grad, t_grad = ours_backward(grad, x, regions, t, t is learned, *eps)
            expected = backward(g, exact, regions, number)
            expected = expected[0] if isinstance(expected, tuple) else expected
            expect(x_grad, expected, f"{name} {number} backward {where}", 4 * STEPS[dtype])
            if t is learned:
                more, less = (forward(exact, regions, number + h) for h in (1e-5, -1e-5))
                slope = (g * (more - less) / 2e-5).sum(tuple(range(-len(shape), 0)), keepdims=True)
                expect(1 + t_grad, 1 + slope, f"{name} backward of t {where}", 1e-3)

    full = kernels.FULL
    for kernels.FULL in (full, 1):  # with 1 no line is divided
        for regions in (Whole(), Rows(), Columns()):
            check((4, 5), regions)
            check_means((4, 5), regions)
        check((60, 70), Whole())
        check_means((40, 64), Whole(), planes=1)
    kernels.FULL = full
    for shape, regions in (((7,), Whole(1)), ((3, 2, 4), Whole(3)), ((1, 1), Whole()), ((16, 17), Whole())):
        check(shape, regions)
    for name in ("ties", "nan and infs", "both infs", "half minus inf", "huge", "wide"):
        check((9, 4), Whole(), fill=FILLS[name])
        check_means((9, 4), Whole(), fill=FILLS[name], planes=1)
    for name in ("ties", "nan and infs", "half minus inf"):
        check((40, 64), Whole(), fill=FILLS[name], planes=1)
    for layout in ("channels last", "strided", "unaligned"):
        for regions in (Whole(), Rows(), Columns()):
            check((6, 5), regions, torch.bfloat16, distinct, layout)
    check((6, 5), Whole(), torch.float16, distinct)
    check_means((6, 5), Rows(), torch.bfloat16, distinct, "channels last")
    check((6, 5), Whole(), planes=0)
