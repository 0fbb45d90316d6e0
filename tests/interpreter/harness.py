"""What the checks in this folder share: the cases, the ways to lay numbers out in memory, and the comparisons."""

import numpy as np
import torch
from cases import FILLS, MAPS, distinct, map_id, normal
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import poolref.numpy as reference
from poolref.regions import Adaptive, Window

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
STEPS = {torch.float32: 4e-6, torch.float16: 1e-3, torch.bfloat16: 8e-3}  # the interpreter truncates
count, failures = 0, []
least = 0.0  # tolerance; more on a GPU, whose divisions, roots, powers and logarithms are approximate


def expect(actual, expected, where, tolerance=0.0):
    """Note a failure unless the numbers are equal, or differ by at most `tolerance` of the largest magnitude."""
    global count
    count += 1
    tolerance = tolerance and max(tolerance, least)
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


def reductions(kernels, shape, regions, dtype=torch.float32, fill=normal, layout=None, planes=3):
    """Maxima are equal to the bit, sums within the rounding of float32."""
    x, exact = numbers((1, planes, *shape), dtype, fill)
    if layout:
        x = dict(layouts(x)).get(layout, x)
    where = f"{map_id((shape, regions))} {dtype} {fill.__name__} {layout}"
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
    if fill is not FILLS["huge"]:  # which overflows
        expected = reference.soft_pool_backward(g, exact, regions)
        expect(kernels.soft_pool_backward(grad, x, regions), expected, f"soft backward {where}", STEPS[dtype])


def means(kernels, shape, regions, dtype=torch.float32, fill=normal, layout=None, planes=3):
    """So are means of powers and of exponentials; the slope of a learned number is that between two near it."""
    x, exact = numbers((1, planes, *shape), dtype, fill)
    if layout:
        x = dict(layouts(x)).get(layout, x)
    where = f"{map_id((shape, regions))} {dtype} {fill.__name__} {layout}"
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
