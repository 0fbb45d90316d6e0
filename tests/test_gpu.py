"""The torch column on a real GPU, on a machine that has one:

    python -m pytest -o addopts= -m gpu -n 8 --dist loadgroup tests/test_gpu.py

The options left out are for notebooks; with `-n 8`, kernels are compiled in eight processes.  Every test here is run on
CPU tensors too, on fewer cases, so that its own code is tested where there is no GPU.
"""

import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from cases import FEW_MAPS, FILLS, OPERATORS, distinct, map_id, normal
from conftest import ROOT

from benchmarks.cuda import peers
from benchmarks.cuda.measure import TOLERANCE, StandIn, difference, is_right
from benchmarks.cuda.work import WORK, Case
from poolref import catalog
from poolref.regions import Adaptive, Running, Whole, Window
from poolref.torch import functional
from poolref.torch._engine import dispatch as cuda

os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")  # eight processes with sixteen each would be too many

NO_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine")
EXACT = TOLERANCE | {"float64": 1e-12}  # of the largest magnitude
FILES = {file.stem for file in (ROOT / "tests" / "interpreter").glob("*.py")} - {"__main__", "harness"}
LONG = ("whole", "large", "blur", "pyramid")  # those that compile most come first
CHECKS = sorted(FILES, key=lambda name: (name not in LONG, name))
TINY = [StandIn().shrunk(case) for case in WORK if case.dtype != "bfloat16"]


def everywhere(name, on_gpu, elsewhere, ids=str):
    """Run a test with all of `on_gpu` on a GPU, and with those `elsewhere` on the CPU."""
    on_device = {"cuda": (on_gpu, [pytest.mark.gpu, NO_GPU]), "cpu": (elsewhere, [])}
    cases = [
        pytest.param(device, value, id=f"{device} {ids(value)}", marks=marks)
        for device, (values, marks) in on_device.items()
        for value in values
    ]
    return pytest.mark.parametrize(("device", name), cases)


def case_id(case):
    return f"{case.operator} {case.name} {case.dtype} {case.layout} {'x'.join(map(str, case.shape))}"


def few_planes(case):
    """The same work on few maps: kernels are made for the size of a map, not for their number."""
    return replace(case, shape=(2, min(case.shape[1], 48), *case.shape[2:]))


FEW_WORK = list(dict.fromkeys(map(few_planes, WORK)))
ONE_OF_EACH = list({case.operator: case for case in reversed(FEW_WORK)}.values())
cases_everywhere = everywhere("case", FEW_WORK, TINY[-5:], case_id)
operators_everywhere = everywhere("operator", OPERATORS, OPERATORS)


def results(case, arguments):
    """The output and the gradients of a case of the benchmark; the gradient of the output is the same each time."""
    y = peers.ours(case).pool(*arguments)
    grad = torch.linspace(-1, 1, y.numel(), device=y.device).view(y.shape).to(y.dtype)
    return y.detach(), *torch.autograd.grad(y, [x for x in arguments if x.requires_grad], grad)


def laid_out(x):
    """The same numbers, otherwise in memory."""
    if x.ndim == 4:
        yield "channels last", x.contiguous(memory_format=torch.channels_last)
    yield "transposed", x.transpose(0, 1).contiguous().transpose(0, 1)
    every_other = x.new_full(tuple(2 * n for n in x.shape), 77)[(slice(None, None, 2),) * x.ndim]
    yield "strided", every_other.copy_(x)
    yield "unaligned", torch.cat([x.new_zeros(1), x.flatten()])[1:].view(x.shape)
    yield "broadcast", x[:1].expand(x.shape)


def expect_numpys(operator, x, regions, where, gradient=True):
    """Values and gradient of a reducer are those of the NumPy column on the same numbers."""
    name = operator.row.numpy.rpartition(".")[2]
    a = x.detach().requires_grad_()
    y = getattr(functional, name)(a, regions, **operator.options)
    assert y.device.type == x.device.type and y.dtype == x.dtype
    exact, tolerance = x.double().cpu().numpy(), EXACT[str(x.dtype).removeprefix("torch.")]
    with np.errstate(all="ignore"):
        expect(y, catalog.resolve(operator.row.numpy)(exact, regions, **operator.options), where, tolerance)
        if not gradient:
            return
        grad = torch.linspace(-1, 1, y.numel(), device=x.device).view(y.shape).to(x.dtype)
        (x_grad,) = torch.autograd.grad(y, a, grad)
        backward = catalog.resolve(operator.row.numpy + "_backward")
        expected = backward(grad.double().cpu().numpy(), exact, regions, **operator.options)
    assert x_grad.dtype == x.dtype
    expect(x_grad, expected[0] if isinstance(expected, tuple) else expected, f"gradient {where}", tolerance)


def expect(actual, expected, where, tolerance):
    """Equal where not finite, and elsewhere within `tolerance` of the largest magnitude."""
    assert actual.shape == expected.shape, where
    actual, finite = actual.detach().double().cpu().numpy(), np.isfinite(expected)
    np.testing.assert_array_equal(actual[~finite], expected[~finite], err_msg=where)
    error = np.abs(actual[finite] - expected[finite]).max(initial=0)
    assert error <= tolerance * np.abs(expected[finite]).max(initial=0), f"{where}: {error}"


# --- numbers ---------------------------------------------------------------------------------------------------------


@pytest.mark.gpu
@NO_GPU
@pytest.mark.parametrize("check", CHECKS)
def test_kernels_compute_what_they_do_in_the_interpreter(check):
    command = [sys.executable, ROOT / "tests" / "interpreter", check, "cuda"]
    paths = os.environ | {"PYTHONPATH": str(ROOT)}  # poolref need not be installed there
    run = subprocess.run(command, capture_output=True, text=True, env=paths)
    assert run.returncode == 0, run.stdout[-4000:] + run.stderr[-4000:]


@operators_everywhere
def test_reducers_are_the_numpy_columns(operator, device):
    for shape, regions in FEW_MAPS:
        x = torch.from_numpy(distinct((2, 3, *shape), "float32")).to(device)
        expect_numpys(operator, x, regions, map_id((shape, regions)))
        if operator.row.name != "lp":  # the slope of a power at 0 is another matter
            ties = torch.from_numpy(FILLS["ties"]((2, 3, *shape), "float32")).to(device)
            expect_numpys(operator, ties, regions, f"ties {map_id((shape, regions))}")


@operators_everywhere
def test_dtypes_and_layouts(operator, device):
    for shape, regions in ((6, 7), Window(3, 2, 1, ceil_mode=True)), ((5, 6), Whole()):
        for dtype in (torch.float64, torch.float16, torch.bfloat16):
            x = (torch.from_numpy(normal((2, 3, *shape))) + 3).to(device, dtype)
            expect_numpys(operator, x, regions, f"{dtype} {map_id((shape, regions))}")
        for layout, other in laid_out(x):
            expect_numpys(operator, other, regions, f"{layout} {map_id((shape, regions))}")


@operators_everywhere
def test_every_kind_of_values(operator, device):
    for fill in ("negatives", "nan", "inf", "minus inf", "nan and infs", "half minus inf", "wide"):
        for shape, regions in FEW_MAPS:
            x = torch.from_numpy(FILLS[fill]((2, *shape), "float32")).to(device)
            expect_numpys(operator, x, regions, f"{fill} {map_id((shape, regions))}", gradient=False)


@cases_everywhere
def test_the_work_of_the_benchmark_is_right(case, device):
    """Every operator, reducers or not, on two planes of the benchmark's sizes."""
    assert is_right(case, device)


@cases_everywhere
def test_kernels_off_gives_the_same(case, device, monkeypatch):
    arguments = peers.inputs(case, device)
    with_kernels = results(case, arguments)
    monkeypatch.setattr(cuda, "KERNELS", False)
    assert difference(with_kernels, results(case, arguments)) <= TOLERANCE[case.dtype]


def test_the_switch_is_an_environment_variable():
    code = "import os; os.environ['POOLREF_KERNELS'] = 'off'; "
    code += "from poolref.torch._engine import dispatch; assert not dispatch.KERNELS"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


@everywhere("case", [case for case in ONE_OF_EACH if case.operator != "roi_align"], TINY[:2], case_id)
def test_empty_batches(case, device):
    arguments = [x[:0] if x.ndim else x for x in peers.inputs(case, device)]
    y = peers.ours(case).pool(*arguments)
    assert y.shape[0] == 0 and y.device.type == device
    assert torch.autograd.grad(y.sum(), arguments[0])[0].shape == arguments[0].shape


# --- determinism, compilers, size ------------------------------------------------------------------------------------


@cases_everywhere
def test_every_run_gives_the_same_bits(case, device):
    arguments = peers.inputs(case, device)
    first = results(case, arguments)
    for _ in range(10):
        assert all(map(torch.equal, first, results(case, arguments)))


@everywhere("case", ONE_OF_EACH, TINY[:2], case_id)
def test_compiled_in_one_graph(case, device):
    torch._dynamo.reset()
    pool = peers.ours(case).pool
    compiled = torch.compile(pool, fullgraph=True, backend="inductor" if device == "cuda" else "aot_eager")
    found = []
    for function in (compiled, pool):
        arguments = peers.inputs(case, device)
        y = function(*arguments)
        learned = [x for x in arguments if x.requires_grad]
        found.append([y.detach(), *torch.autograd.grad(y.float().square().sum(), learned)])
    assert difference(*found) <= TOLERANCE[case.dtype]


@pytest.mark.gpu
@NO_GPU
@pytest.mark.parametrize("case", ONE_OF_EACH, ids=case_id)
def test_the_host_never_waits(case):
    """Nothing is read from the GPU nor copied to it, so a CUDA graph can hold forward and backward."""
    arguments = peers.inputs(case, "cuda")
    expected = results(case, arguments)  # kernels are compiled here
    torch.cuda.set_sync_debug_mode("error")
    try:
        results(case, arguments)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        found = results(case, arguments)
    graph.replay()
    assert all(map(torch.equal, expected, found))


LARGE = [
    Case("max", Window(2), ()),
    Case("max", Window(3, 2, 1), ()),
    Case("min", Window(2), ()),
    Case("average", Window(3, 2, 1), ()),
    Case("soft", Window(3, 2, 1), ()),
    Case("lp", Window(2), (), options=(("p", 2),)),
    Case("lse", Window(2), ()),
    Case("gem", Window(2), ()),
    Case("max", Whole(), ()),
    Case("average", Adaptive(3), ()),
    Case("soft", Whole(), ()),
    Case("max", Running("up"), ()),
    Case("max", Running("right"), ()),
    Case("corner", None, (), options=(("corner", "top_left"),)),
    Case("center", None, ()),
    Case("strip", None, ()),
    Case("blur", None, (), options=(("filter_size", 3), ("stride", 2))),
    Case("max_blur", None, (), options=(("kernel_size", 2), ("filter_size", 3), ("stride", 2))),
]


large_everywhere = everywhere("case", LARGE, LARGE, case_id)


def enough_memory(device, needed):
    """Skip a test, saying so, where the GPU is too small for it."""
    if device == "cuda":
        torch.cuda.empty_cache()
        free = torch.cuda.mem_get_info()[0] // 2**30
        if free < needed:
            pytest.skip(f"{needed} GiB of GPU memory are needed, {free} are free")


def pooled_with_gradients(case, maps):
    maps = [x.requires_grad_() for x in maps]
    others = [torch.tensor(3.0, device=maps[0].device)] if case.operator == "gem" else []
    y = peers.ours(case).pool(*maps, *others)
    grad = torch.ones_like(y)
    grad.select(-1, 0).fill_(2)
    return y.detach(), *torch.autograd.grad(y, maps, grad)


@large_everywhere
@pytest.mark.xdist_group("large")  # one at a time
def test_more_than_two_to_the_31_elements(case, device):
    """The last planes of very many are pooled as they are by themselves."""
    enough_memory(device, 40)
    planes = 2**31 // 4096 + 3 if device == "cuda" else 7
    pattern = torch.randn(5, 64, 64, device=device).to(torch.bfloat16)
    maps = [pattern.repeat(-(-planes // 5), 1, 1)[:planes] * (i + 1) for i in range(case.maps)]
    ends = [x[-3:].clone() for x in maps]
    for everything, end in zip(pooled_with_gradients(case, maps), pooled_with_gradients(case, ends), strict=True):
        assert torch.equal(everything[-3:], end)


@everywhere("case", LARGE[:5], LARGE[:5], case_id)
@pytest.mark.xdist_group("large")
def test_one_map_of_more_than_two_to_the_31_cells(case, device):
    """The last corner of a very large map is pooled as it is by itself."""
    enough_memory(device, 40)
    side = 46_400 if device == "cuda" else 40
    x = torch.randn(1, side, device=device).to(torch.bfloat16).expand(side, side).clone()
    x[-16:, -16:] = torch.randn(16, 16, device=device)
    end = x[-16:, -16:].clone()
    (y, x_grad), (y_end, end_grad) = (pooled_with_gradients(case, [a[None]]) for a in (x, end))
    assert torch.equal(y[..., -6:, -6:], y_end[..., -6:, -6:])
    assert torch.equal(x_grad[..., -10:, -10:], end_grad[..., -10:, -10:])
