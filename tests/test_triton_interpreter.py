"""Every Triton kernel, run in Triton's interpreter, against the NumPy column; no GPU is needed."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

import poolref.torch._engine.dispatch as cuda
from poolref.regions import Adaptive, Pyramid, Rows, Whole, Window
from poolref.torch.max import KERNELS

FOLDER = Path(__file__).parent / "interpreter"
OPERATORS = sorted(file.stem for file in FOLDER.glob("*.py") if file.stem not in ("__main__", "harness"))

if find_spec("triton") is None:
    pytest.skip("triton cannot be imported: its wheels are for Linux", allow_module_level=True)


@pytest.mark.parametrize("operator", OPERATORS)
def test_kernels_compute_what_the_numpy_column_does(operator):
    run = subprocess.run([sys.executable, FOLDER, operator], capture_output=True, text=True)
    assert run.returncode == 0, run.stdout[-4000:] + run.stderr[-4000:]
    assert int(run.stdout.splitlines()[-1].split()[0]) >= 30  # it did compare


def test_maps_with_more_rows_than_cuda_starts_go_to_torch(monkeypatch):
    monkeypatch.setattr(cuda, "KERNELS", True)
    monkeypatch.setattr(cuda, "on_gpu", lambda x: True)
    most = 65_534
    for shape, served in (
        ((most, 2), True),
        ((most + 1, 2), False),
        ((2, most + 1), True),
        ((2, 256 * (most + 1)), False),
    ):
        assert cuda.runs_kernels(torch.empty(1, *shape, dtype=torch.half), Window(2)) == served
    columns_apart = torch.empty(1, most + 1, 2).transpose(1, 2)
    assert not cuda.runs_kernels(columns_apart, Window(2))


@pytest.mark.parametrize(
    ("regions", "spatial", "files"),
    [
        (Window(4), (20, 20), ("max", "max")),
        (Window(7), (20, 20), ("max", "large")),
        (Window(8), (20, 20), ("large", "large")),
        (Window(2, 8), (20, 20), ("large", "large")),  # a step of the stride has as many cells as a window of 8
        (Adaptive(6), (20, 20), ("max", "max")),
        (Adaptive(2), (20, 20), ("large", "large")),
        (Adaptive(60), (7, 7), ("large", "large")),  # so many bins hold one cell
        (Adaptive(1), (20, 20), ("whole", "whole")),
        (Whole(), (20, 20), ("whole", "whole")),
    ],
)
def test_each_size_of_region_has_its_kernels(regions, spatial, files):
    for name, file in zip(("max_pool", "max_pool_backward"), files):
        served = cuda.triton_function(KERNELS, regions, (2, 3, *spatial), name)
        assert served.__module__ == f"poolref.triton.{file}"


def test_which_lines_and_pyramids_go_to_torch(monkeypatch):
    monkeypatch.setattr(cuda, "KERNELS", True)
    monkeypatch.setattr(cuda, "on_gpu", lambda x: True)
    for shape, regions, served in (
        ((2**16, 2**15 - 1), Whole(), True),
        ((2**16, 2**15), Whole(), False),  # too many cells to number them in 32 bits
        ((2**16, 2**15), Rows(), False),
        ((2**21, 1023), Pyramid(), True),
        ((2**21, 1024), Pyramid(), False),
        ((2, 1025), Pyramid(), False),  # rows too long for a program
        ((9, 9), Pyramid((6, 3, 2, 1)), True),
        ((9, 9), Pyramid((20, 12)), False),  # too many rows of bins
        ((9, 9, 9), Pyramid(ndim=3), False),
    ):
        x = torch.empty(1, *shape, dtype=torch.half, device="meta")
        assert cuda.runs_kernels(x, regions, KERNELS) == served, (shape, regions)


def test_triton_is_not_imported_before_it_is_needed():
    code = (
        "import sys, torch, poolref.torch as p; p.MaxPool2d(2)(torch.ones(1, 4, 4)); assert 'triton' not in sys.modules"
    )
    code += "\nfrom torch._subclasses.fake_tensor import FakeTensorMode\nwith FakeTensorMode():"
    code += "\n    y = p.MaxPool2d(2)(torch.empty(2, 3, 8, 8, device='cuda'))"
    code += "\nassert y.is_cuda and y.shape == (2, 3, 4, 4)\nassert 'poolref.triton' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
