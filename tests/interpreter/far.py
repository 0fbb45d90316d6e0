"""Maps whose cells lie so far apart in memory that 32 bits cannot count the numbers between them."""

import numpy as np
import torch
from harness import expect

import poolref.numpy as reference
from poolref.regions import Adaptive, Columns, Pyramid, Rows, Running, Whole, Window
from poolref.triton import average, center, corner, max, pyramid, soft, strip, whole

STEP = 2**29  # from one index to the next; four steps need 64 bits


def main():
    """Five planes, rows or columns that far apart; of the memory between them nothing is ever touched."""
    memory = torch.empty(4 * STEP + 10_000, dtype=torch.bfloat16)

    def far(shape, axis, offset):
        """Small integers, with many ties."""
        strides = [500, 100, 10, 1]
        strides[axis] = STEP
        x = memory.as_strided(shape, strides, offset)
        x.copy_(torch.arange(x.numel()).remainder(11).view(shape) - 5)
        return x, x.double().numpy()

    for axis in (1, 2, 3):
        x, exact = far((1, 5, 5, 5), axis, 0)
        for regions in (Window(2), Window((2, 1), 1)):
            grad, exact_grad = far((1, 5, *regions.output_shape((5, 5))), axis, 5000)
            where = f"axis {axis} {regions.kernel_size}"
            y, choice = max.max_pool(x, regions, choices=True)
            expect(y, reference.max_pool(exact, regions), f"max {where}")
            expected = reference.max_pool_backward(exact_grad, exact, regions)
            expect(max.max_pool_backward(grad, choice, regions, (5, 5)), expected, f"max backward {where}")
            expect(average.avg_pool(x, regions), reference.avg_pool(exact, regions), f"average {where}", 8e-3)
            expected = reference.avg_pool_backward(exact_grad, exact, regions)
            expect(average.avg_pool_backward(grad, regions, (5, 5)), expected, f"average backward {where}", 8e-3)
            expect(soft.soft_pool(x, regions), reference.soft_pool(exact, regions), f"soft {where}", 8e-3)
            expected = reference.soft_pool_backward(exact_grad, exact, regions)
            expect(soft.soft_pool_backward(grad, x, regions), expected, f"soft backward {where}", 8e-3)
        grad, exact_grad = far((1, 5, 5, 5), axis, 5000)
        for direction in ("up", "right"):
            expected = reference.max_pool(exact, Running(direction))
            expect(corner.running_max(x, direction), expected, f"running {direction} axis {axis}")
            expected = reference.max_pool_backward(exact_grad, exact, Running(direction))
            x_grad = corner.running_max_backward(grad, x, direction)
            expect(x_grad, expected, f"running backward {direction} axis {axis}")
        expected = reference.corner_pool(exact, exact_grad, "top_left")
        expect(corner.corner_pool(x, grad, "top_left"), expected, f"corner axis {axis}", 8e-3)
        y, *choices = center.center_pool(x, grad, choices=True)
        expect(y, reference.center_pool(exact, exact_grad), f"center axis {axis}", 8e-3)
        expected = reference.center_pool_backward(exact_grad, exact, exact)
        x_grad, _ = center.center_pool_backward(grad, *choices)
        expect(x_grad, expected[0], f"center backward axis {axis}")
        expect(strip.strip_pool(x), reference.strip_pool(exact), f"strip axis {axis}", 8e-3)
        for regions in (Whole(), Rows(), Columns(), Pyramid((2, 1))):
            kernels = pyramid if isinstance(regions, Pyramid) else whole
            where = f"{type(regions).__name__} axis {axis}"
            (y, *_) = kernels.max_pool(x, regions)
            expect(y, reference.max_pool(exact, regions), f"max {where}")
            exact_grad = np.arange(y.numel()).reshape(y.shape) % 7 - 3
            grad = torch.from_numpy(exact_grad).to(x.dtype)
            expected = reference.max_pool_backward(exact_grad, exact, regions)
            expect(kernels.max_pool_backward_again(grad, x, regions), expected, f"max backward {where}")
            expect(kernels.avg_pool(x, regions), reference.avg_pool(exact, regions), f"average {where}", 8e-3)
            if not isinstance(regions, Pyramid):
                expect(kernels.soft_pool(x, regions), reference.soft_pool(exact, regions), f"soft {where}", 8e-3)
                expected = reference.soft_pool_backward(exact_grad, exact, regions)
                expect(kernels.soft_pool_backward(grad, x, regions), expected, f"soft backward {where}", 8e-3)

    # So many bins that their number times that of the cells needs 64 bits.
    regions = Adaptive(33_001, ndim=1)
    x, grad = (torch.arange(n).remainder(11).float().view(1, 1, n) for n in (66_000, 33_001))
    y, choice = max.max_pool(x, regions, choices=True)
    expect(y, reference.max_pool(x.numpy(), regions), "max of many bins")
    expected = reference.max_pool_backward(grad.numpy(), x.numpy(), regions)
    expect(max.max_pool_backward(grad, choice, regions, (66_000,)), expected, "max backward of many bins")
