"""The benchmark of the CUDA kernels, run dry: every set-up, peer and comparison on the CPU, and no time taken."""

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from importlib.util import find_spec

import pytest
import torch
import torch.nn.functional as F
from conftest import ROOT, once

from benchmarks.cuda import __main__ as command
from benchmarks.cuda import cudnn, measure, peers, processes, report
from benchmarks.cuda.work import K2S2, LARGE, STEM, WORK, Case, Row
from poolref import catalog
from poolref.regions import Adaptive, Running, Window
from poolref.torch._engine import dispatch as cuda

ROWS = [Row(case, direction) for case in WORK for direction in case.directions]
TIMES = ("p20_us", "p50_us", "p80_us", "call_us", "eager_ratio", "compile_ratio", "best_peer_ratio", "copy_percent")


@pytest.fixture(scope="module")
def dry(tmp_path_factory):
    """A dry run of everything: its printed lines, its data and its page."""

    def dry_run():
        folder = tmp_path_factory.mktemp("dry")
        command = [sys.executable, "-m", "benchmarks.cuda", "--dry-run", "--out", folder]
        run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        assert run.returncode == 0, run.stdout[-4000:] + run.stderr[-4000:]
        return run.stdout, json.loads((folder / "cuda.json").read_text()), (folder / "cuda.md").read_text()

    return once(tmp_path_factory, "dry-run", dry_run)


def test_every_row_is_run_and_is_right(dry):
    _, data, _ = dry
    assert [{name: r[name] for name in row.fields()} for r, row in zip(data["rows"], ROWS)] == [
        row.fields() for row in ROWS
    ]
    assert len(data["rows"]) == len(ROWS)
    assert all(row["right"] and row["deterministic"] for row in data["rows"])
    assert data["machine"]["torch"] == torch.__version__


def test_peers_known_to_be_right_agree_and_the_others_are_marked(dry):
    """Half precision aside, where a composition of roundings may go astray, we know who is wrong."""
    _, data, _ = dry
    seen = set()
    for row in data["rows"]:
        for name, peer in row["peers"].items():
            if peer["verdict"] == "failed":
                # torch has no average of 3-d maps in bfloat16 on the CPU.
                assert (row["operator"], row["regions"][-2:]) == ("average", "3d"), (row, name)
                continue
            key = row["operator"], row["regions"], name
            seen.add(key)
            if key in {("lp", "k2s2 p=3", "eager"), ("lp", "k2s2 p=3", "compile"), ("soft", "k2s2", "authors")}:
                assert peer["verdict"] == "wrong", key
            elif row["dtype"] == "float32" or row["direction"] == "forward":
                assert peer["verdict"] == "right", (key, row["direction"], peer)
    assert {name for *_, name in seen} >= {"eager", "compile", "authors"}
    assert {("max", "running up", "authors"), ("corner", "corner=top_left", "authors")} <= seen


def test_page_has_every_row_and_no_figure(dry):
    printed, data, page = dry
    table = [line for line in page.splitlines() if line.startswith("| ")][2:]
    assert table == [report.line(row) for row in data["rows"]]
    assert all(line in printed for line in table)
    assert "no figure here was measured" in page
    for row, line in zip(data["rows"], table):
        assert all(row[name] is None for name in TIMES)
        assert line.count("not measured") >= len(TIMES)
        assert all(target["met"] is None for target in row["targets"])


@pytest.mark.parametrize("direction", ["forward", "training", "backward", "both"])
def test_cudnn_would_take_part_on_a_gpu(monkeypatch, direction):
    """With torch in its place: what it is given, and what becomes of its results."""

    class Pooling:
        def __init__(self, window, operator):
            assert (window, operator) == (K2S2, "max")

        def forward(self, x, like):
            assert like.shape == (2, 3, 4, 4) and not x.requires_grad
            return F.max_pool2d(x, 2)

        def backward(self, x, y, grad):
            assert torch.equal(y, F.max_pool2d(x, 2))
            x = x.clone().requires_grad_()
            return torch.autograd.grad(F.max_pool2d(x, 2), x, grad)[0]

    monkeypatch.setattr(cudnn, "Pooling", Pooling)
    case = replace(WORK[0], shape=(2, 3, 8, 8))
    assert peers._cudnn(replace(case, operator="soft"), "cuda") is None
    arguments, grad = peers.inputs(case, "cpu"), torch.randn(2, 3, 4, 4).bfloat16()
    theirs, ours = (
        run.tensors(run.call())
        for run in (p.run(direction, arguments, grad) for p in (peers._cudnn(case, "cuda"), peers.ours(case)))
    )
    assert measure.difference(ours, theirs) == 0


def test_nothing_is_imported_that_a_gpu_machine_may_lack():
    code = "import sys\n"
    for name in ("onnx", "onnxruntime", "hypothesis", "matplotlib", "jax", "torchvision", "timm", "triton", "IPython"):
        code += f"sys.modules[{name!r}] = None\n"
    subprocess.run([sys.executable, "-c", code + "import benchmarks.cuda.__main__"], cwd=ROOT, check=True)


def test_work_is_what_was_asked_for():
    assert {case.operator for case in WORK} <= {row.name for row in catalog.OPERATORS}
    assert {case.operator for case in WORK} == set(peers.OURS)
    assert {case.dtype for case in WORK} == {"float32", "float16", "bfloat16"}
    assert {case.layout for case in WORK} == {"NCHW", "channels_last"}
    assert {case.regions.direction for case in WORK if isinstance(case.regions, Running)} == {
        *("up", "down", "left", "right")
    }
    assert len(set(WORK)) == len(WORK)


def test_fewest_bytes():
    cells, outputs = 32 * 64 * 112 * 112, 32 * 64 * 56 * 56
    expected = {
        ("max", "forward"): 2 * (cells + outputs),
        ("max", "training"): 2 * (cells + outputs) + outputs,
        ("max", "backward"): 2 * (cells + outputs) + outputs,
        ("average", "backward"): 2 * (cells + outputs),
        ("soft", "backward"): 2 * (2 * cells + outputs),
    }
    for (operator, direction), size in expected.items():
        assert Row(Case(operator, K2S2, STEM), direction).bytes == size
    corner = Row(Case("corner", None, STEM, options=(("corner", "top_left"),)), "forward")
    assert corner.bytes == 3 * 2 * cells
    for case in WORK:
        tiny = measure.StandIn().shrunk(case)
        assert peers.ours(tiny).pool(*peers.inputs(tiny, "cpu")).numel() == tiny.outputs


def test_targets():
    def targets(operator, regions, direction, shape=LARGE, dtype="bfloat16"):
        return dict(Row(Case(operator, regions, shape, dtype), direction).targets())

    assert targets("max", K2S2, "forward") == {"copy_percent": 90, "eager_ratio": 1, "best_peer_ratio": 1}
    assert targets("max", K2S2, "backward")["compile_ratio"] == 4
    assert targets("max", Window(3, 2, 1), "forward", STEM)["copy_percent"] == 75
    assert "copy_percent" not in targets("max", Window(3, 2, 1), "forward", STEM, "float16")
    assert targets("average", Window(3, 1, 1), "forward", dtype="float16")["copy_percent"] == 60
    assert targets("average", Adaptive(7), "backward")["eager_ratio"] == 5
    assert targets("soft", K2S2, "both")["eager_ratio"] == 6
    assert targets("corner", None, "forward")["eager_ratio"] == 5
    assert targets("max", K2S2, "forward", (1, 1, 8, 8)) == {"best_peer_ratio": 1}


@pytest.mark.skipif(find_spec("triton") is None, reason="triton cannot be imported: its wheels are for Linux")
@pytest.mark.parametrize("case", {case.operator: case for case in reversed(WORK)}.values(), ids=lambda c: c.operator)
def test_work_is_done_by_kernels_that_save_little(case, monkeypatch):
    """On a GPU, all work of an operator; launches are recorded here, and not made."""
    from poolref.triton.launch import recording

    monkeypatch.setattr(cuda, "KERNELS", True)
    monkeypatch.setattr(cuda, "on_gpu", lambda x: True)
    for case in dict.fromkeys(measure.StandIn().shrunk(c) for c in WORK if c.operator == case.operator):
        arguments, pool = peers.inputs(case, "cpu"), peers.ours(case).pool
        with recording() as launches:
            y = pool(*arguments)
            forward = len(launches)
            torch.autograd.grad(y, [x for x in arguments if x.requires_grad], torch.ones_like(y))
            assert len(launches) > forward > 0, case
            # One byte for each output; these keep the output itself.
            size = y.element_size() if case.operator in ("soft", "lp", "lse", "gem") else 0
            assert measure.saved(pool, arguments) <= case.outputs * (1 + size), case


def measured(cases, clock, seconds):
    return [figures for _, figures in processes.measured(cases, clock, seconds)]


class Clock(measure.StandIn):
    """Gives what looks like measurements: every run takes longer than the one before."""

    measures = True

    def __init__(self):
        self.now = 0.0

    def times(self, run):
        run.call()
        self.now += 10
        return self.now - 1, self.now, self.now + 1

    def copy(self, size):
        return 27.0


def test_figures_follow_from_times_and_from_who_is_right(tmp_path, monkeypatch):
    monkeypatch.setattr(command, "machine", lambda on_gpu: {"gpu": "none"})
    case = replace(WORK[0], operator="soft", directions=("forward", "backward"))
    forward, backward = rows = measured([case], Clock(), 60)
    # eager 10, compile 20, authors 30, who are wrong, and ours 40
    assert (forward["p20_us"], forward["p50_us"], forward["p80_us"]) == (39, 40, 41)
    assert (forward["eager_ratio"], forward["compile_ratio"]) == (0.25, 0.5)
    assert (forward["best_peer"], forward["best_peer_ratio"]) == ("eager", 0.25)
    assert forward["copy_percent"] == 67.5
    assert forward["peers"]["authors"]["verdict"] == "wrong"
    assert "authors 30.0 wrong" in report.line(forward)
    assert {t["figure"]: t["met"] for t in backward["targets"]} == {
        **{"copy_percent": False, "eager_ratio": False, "best_peer_ratio": False}
    }
    assert "eager_ratio ≥ 1: missed" in report.line(backward)
    fast = forward | {"targets": [{"figure": "eager_ratio", "least": 1, "met": True}]}
    text = "\n".join(report.summary([fast, backward]))
    assert "1 targets met, 3 missed, 0 not measured" in text
    assert "eager_ratio: geometric mean 0.40, at least 1 in 0 % of the rows, worst 0.25 (soft forward" in text
    page = {"machine": {"gpu": "none"}, "dry_run": False, "rows": rows}
    assert "gpu none" in report.markdown(page)
    report.plot(page, tmp_path / "cuda.png")
    assert (tmp_path / "cuda.png").stat().st_size > 10_000


def test_work_that_the_time_does_not_suffice_for_is_not_measured():
    assert measured(WORK[:2], Clock(), 0) == []


def test_a_case_that_breaks_is_named_and_the_others_go_on(monkeypatch):
    def broken(*arguments):
        raise RuntimeError("no such kernel")

    monkeypatch.setitem(peers.OURS, "max", broken)
    cases = [replace(case, directions=("forward",)) for case in (WORK[0], WORK[3])]
    first, second = measured(cases, Clock(), 60)
    assert "failed: RuntimeError: no such kernel" in report.line(first)
    assert second["right"]


class Breaking(measure.StandIn):
    """Breaks its process, each time in another way, where it meets these operators."""

    def shrunk(self, case):
        self.operator = case.operator
        return super().shrunk(case)

    def times(self, run):
        if self.operator == "average":
            os.abort()
        if self.operator == "soft":
            time.sleep(3600)
        if self.operator == "min":
            self.device = "meta"  # which never gives a number
            raise RuntimeError("the GPU is lost")
        return super().times(run)


def test_a_process_that_breaks_costs_one_case(monkeypatch):
    monkeypatch.setattr(processes, "PATIENCE", 40)
    by_name = {case.operator: replace(case, directions=("forward",)) for case in WORK}
    cases = [by_name[name] for name in ("max", "average", "sum", "soft", "min", "strip")]
    rows = dict(processes.guarded(cases, Breaking, 300))
    assert [row.case for row in rows] == cases
    notes = {row.case.operator: figures["note"] for row, figures in rows.items()}
    assert notes.pop("average") == "failed: the process ended with status -6"
    assert notes.pop("soft") == "failed: no answer for 40 s"
    assert notes.pop("min") == "failed: RuntimeError: the GPU is lost"
    assert set(notes.values()) == {""}
    assert all(figures["right"] for row, figures in rows.items() if row.case.operator in notes)


def test_a_process_stops_when_its_time_is_over():
    assert dict(processes.guarded(WORK, Breaking, 0.1)) == {}


def test_ours_is_marked_where_it_differs_from_the_numpy_column(monkeypatch):
    right = peers.OURS["average"]
    case = replace(WORK[3], directions=("forward",))
    monkeypatch.setitem(peers.OURS, "average", lambda x, regions: right(x, regions) * 1.1)
    (row,) = measured([case], Clock(), 60)
    assert row["right"] is False and row["peers"]["eager"]["verdict"] == "wrong"
    assert row["best_peer_ratio"] is None
    assert "Differs from the NumPy column" in "\n".join(report.summary([row]))


def test_without_a_gpu_measurements_are_never_overwritten(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(sys, "argv", ["cuda", "--out", str(tmp_path)])
    assert command.main() == 0
    data = json.loads((tmp_path / "cuda.json").read_text())
    assert data["machine"] is None and len(data["rows"]) == len(ROWS)
    assert all(row[name] is None for row in data["rows"] for name in measure.MEASURED)
    (tmp_path / "cuda.json").write_text(json.dumps(data | {"machine": {"gpu": "H200"}}))
    assert command.main() == 0
    assert "H200" in (tmp_path / "cuda.json").read_text()
    assert "gpu H200" in (tmp_path / "cuda.md").read_text()


def test_committed_table_is_of_this_work():
    """Measured or not, and never of a dry run."""
    data = json.loads((ROOT / "benchmarks" / "cuda.json").read_text())
    assert not data["dry_run"]
    assert [row["regions"] for row in data["rows"]] == [row.case.name for row in ROWS]
    assert (ROOT / "benchmarks" / "cuda.md").read_text() == report.markdown(data)
