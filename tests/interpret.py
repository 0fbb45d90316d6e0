"""Run one operator's Triton kernels in Triton's interpreter, and hold them to the NumPy column.

`python tests/interpret.py max` prints one line for each difference, then how many cases there were.  The interpreter
has to be chosen before Triton is imported, so the tests start this as a program of its own.
"""

import os
import sys

os.environ["TRITON_INTERPRET"] = "1"

import numpy as np
import torch
from cases import FILLS, MAPS, distinct, map_id, normal
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import poolref.numpy as reference
from poolref.regions import Adaptive, Window
from poolref.triton import average as average_kernels
from poolref.triton import max as max_kernels
from poolref.triton import soft as soft_kernels

torch.set_num_threads(1)
FEW = (  # of the table of cases: ceil mode, overlap, no cells, dilation, bins that overlap, more bins than cells, 3-d
    ((7,), Window(2, ceil_mode=True, ndim=1)),
    ((2,), Window(2, 1, 1, dilation=3, ndim=1)),
    ((5, 5), Window(3, 1, 1)),
    ((6, 7), Window(2, 3)),
    ((7, 8), Window((3, 2), (2, 1), (1, 0), (1, 3))),
    ((5, 6), Adaptive((3, 4))),
    ((3, 4), Adaptive((5, 7))),
    ((6, 8), Adaptive((3, 4))),
    ((4, 5, 3), Window(2, ndim=3)),
)
assert set(FEW) <= set(MAPS)
count, failures = 0, []


def expect(actual, expected, where, tolerance=0.0):
    """Note a failure unless the numbers are equal, or differ by at most `tolerance` of the largest magnitude."""
    global count
    count += 1
    actual, expected = actual.double().numpy(), np.asarray(expected, np.float64)
    finite = np.isfinite(expected)
    same = actual.shape == expected.shape and np.array_equal(actual[~finite], expected[~finite], equal_nan=True)
    scale = np.abs(expected[finite]).max(initial=0)
    if not same or not (np.abs(actual[finite] - expected[finite]) <= tolerance * scale).all():
        error = np.abs(actual[finite] - expected[finite]).max(initial=0) if same else "other shape or infinities"
        failures.append(f"{where}: {error}")


def layouts(x):
    """The same numbers, otherwise laid out in memory."""
    yield "contiguous", x
    if x.ndim == 4:
        yield "channels last", x.contiguous(memory_format=torch.channels_last)
    padded = x.new_full(tuple(2 * n for n in x.shape), 77)
    every_other = padded[(slice(None, None, 2),) * x.ndim]
    every_other.copy_(x)
    yield "strided", every_other
    yield "unaligned", torch.cat([x.new_zeros(1), x.flatten()])[1:].view(x.shape)


def numbers(shape, dtype, fill=normal):
    """A tensor of `dtype`, and the same numbers as float64."""
    x = torch.from_numpy(fill(shape, "float32")).to(dtype)
    return x, x.double().numpy()


def maximum():
    """Values are equal to the bit; so are gradients, of integers, which no order of adding can round."""

    def check(shape, regions, dtype, fill, layout=None):
        x, exact = numbers((1, 3, *shape), dtype, fill)
        if layout:
            x = dict(layouts(x)).get(layout, x)
        where = f"{map_id((shape, regions))} {dtype} {fill.__name__} {layout}"
        expect(max_kernels.max_pool(x, regions)[0], reference.max_pool(exact, regions), f"max {where}")
        expect(max_kernels.max_pool(x, regions, smallest=True)[0], reference.min_pool(exact, regions), f"min {where}")
        y, choice = max_kernels.max_pool(x, regions, choices=True)
        expect(y, reference.max_pool(exact, regions), f"max in training {where}")
        grad = torch.arange(y.numel()).remainder(7).view(y.shape).to(dtype) - 3
        x_grad = max_kernels.max_pool_backward(grad, choice, regions, shape)
        assert x_grad.dtype == x.dtype
        if not np.isnan(exact).any():  # which of several NaN has the gradient is not promised
            expected = reference.max_pool_backward(grad.double().numpy(), exact, regions)
            expect(x_grad, expected, f"max backward {where}")

    everywhere(check)


def everywhere(check):
    """Maps that show their edges with normal numbers, and one with other kinds of numbers, dtypes and layouts."""
    for shape, regions in FEW:
        check(shape, regions, torch.float32, normal)
    shape, regions = (6, 5), Window(3, 2, 1, ceil_mode=True)
    for name in ("ties", "negatives", "nan and infs", "both infs", "half minus inf", "huge", "wide"):
        check(shape, regions, torch.float32, FILLS[name])
    for layout in ("channels last", "strided", "unaligned"):
        check(shape, regions, torch.bfloat16, distinct, layout)
    check(shape, regions, torch.float16, distinct)

    @settings(max_examples=4, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.data())
    def drawn(data):
        ndim = data.draw(st.integers(1, 3))
        shape = tuple(data.draw(st.integers(1, 9)) for _ in range(ndim))
        if data.draw(st.booleans()):
            regions = Adaptive(tuple(data.draw(st.integers(1, 6)) for _ in shape))
        else:
            kernel = tuple(data.draw(st.integers(1, 3)) for _ in shape)
            regions = Window(
                kernel,
                tuple(data.draw(st.integers(1, 3)) for _ in shape),
                tuple(data.draw(st.integers(0, k // 2)) for k in kernel),
                tuple(data.draw(st.integers(1, 2)) for _ in shape),
                data.draw(st.booleans()),
            )
        try:
            regions.output_shape(shape)
        except ValueError:  # no window fits
            return
        check(shape, regions, torch.float32, FILLS[data.draw(st.sampled_from(["normal", "ties", "minus inf"]))])

    drawn()


def average():
    """Means and sums in float32, within its rounding."""

    def check(shape, regions, dtype, fill, layout=None):
        x, exact = numbers((1, 3, *shape), dtype, fill)
        if layout:
            x = dict(layouts(x)).get(layout, x)
        step = {torch.float32: 4e-7, torch.float16: 1e-3, torch.bfloat16: 8e-3}[dtype]  # the interpreter truncates
        where = f"{map_id((shape, regions))} {dtype} {fill.__name__} {layout}"
        for padded, divisor in ((True, None), (False, 3 if dtype is torch.float16 else None)):
            options = {"count_include_pad": padded, "divisor_override": divisor}
            with np.errstate(invalid="ignore"):
                expected = reference.avg_pool(exact, regions, **options)
            y = average_kernels.avg_pool(x, regions, padded, divisor)
            expect(y, expected, f"average {where} {options}", step)
            grad = (torch.arange(y.numel()).remainder(7).view(y.shape) - 3).to(dtype)
            x_grad = average_kernels.avg_pool_backward(grad, regions, shape, padded, divisor)
            expected = reference.avg_pool_backward(grad.double().numpy(), exact, regions, **options)
            expect(x_grad, expected, f"average backward {where} {options}", step)

    everywhere(check)


def soft():
    """Weighted means in float32, within its rounding; far from zero and among infinities too."""

    def check(shape, regions, dtype, fill, layout=None):
        x, exact = numbers((1, 3, *shape), dtype, fill)
        if layout:
            x = dict(layouts(x)).get(layout, x)
        step = {torch.float32: 2e-6, torch.float16: 1e-3, torch.bfloat16: 8e-3}[dtype]
        where = f"{map_id((shape, regions))} {dtype} {fill.__name__} {layout}"
        y = soft_kernels.soft_pool(x, regions)
        expect(y, reference.soft_pool(exact, regions), f"soft {where}", step)
        if fill is FILLS["huge"]:  # gradients overflow
            return
        grad = (torch.arange(y.numel()).remainder(7).view(y.shape) - 3).to(dtype)
        x_grad = soft_kernels.soft_pool_backward(grad, x, regions)
        expect(
            x_grad, reference.soft_pool_backward(grad.double().numpy(), exact, regions), f"soft backward {where}", step
        )

    everywhere(check)


def torch_column():
    """The kernels inside the torch column: values, first and second derivatives and vmap, as torch's operators give."""
    import poolref.torch.cuda as cuda
    from poolref.torch import functional as F

    x = torch.from_numpy(distinct((2, 1, 7, 8), "float32")) / 10

    def run(pool, *arguments):
        a = x.clone().requires_grad_()
        y = pool(a, *arguments)
        (grad,) = torch.autograd.grad((y * y).sum(), a, create_graph=True)
        (second,) = torch.autograd.grad((grad * grad).sum(), a)
        each = torch.func.vmap(torch.func.grad(lambda a: (pool(a, *arguments) ** 2).sum()))(x)
        return y.detach(), grad.detach(), second, pool(x, *arguments), each

    for pool, *arguments in (
        (F.max_pool2d, 3, 2, 1),
        (F.min_pool2d, 2),
        (F.adaptive_max_pool2d, (3, 4)),
        (F.avg_pool2d, 3, 2, 1, True, False),
        (F.sum_pool2d, 3, 1, 1),
        (F.soft_pool2d, 3, 2, 1),
    ):
        cuda.on_gpu = lambda x: x.is_cuda
        expected = run(pool, *arguments)
        cuda.on_gpu = lambda x: True
        for name, a, b in zip(("y", "grad", "second", "inference", "vmap"), run(pool, *arguments), expected):
            expect(a, b.numpy(), f"{pool.__name__}{arguments} {name}", 1e-5)

    window = list(cuda._packed(Window(3, 2, 1)))
    y = cuda.max_windows(x, Window(3, 2, 1))
    for name, *arguments in (
        ("max_windows", x, window, False, True),
        ("max_windows_backward", y, y.to(torch.uint8), window, (7, 8)),
        ("average_windows", x, window, True, None),
        ("average_windows_backward", y, window, (7, 8), True, 3),
        ("soft_windows", x, window),
        ("soft_windows_backward", y, x, window),
    ):
        torch.library.opcheck(getattr(torch.ops.poolref, name).default, arguments)

    def both(x):
        return F.max_pool2d(x, 2) + F.avg_pool2d(x, 2)

    grads = []
    for pool in (both, torch.compile(both, fullgraph=True, backend="aot_eager")):
        a = x.clone().requires_grad_()
        grads += torch.autograd.grad(pool(a).square().sum(), a)
    expect(grads[1], grads[0].numpy(), "compiled")


OPERATORS = {"torch": torch_column, "max": maximum, "average": average, "soft": soft}

if __name__ == "__main__":
    OPERATORS[sys.argv[1]]()
    print(*failures, f"{count} comparisons, {len(failures)} differences", sep="\n")
    sys.exit(bool(failures))
