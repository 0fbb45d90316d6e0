"""The benchmarks run, say what they measured, and notice wrong numbers.  No test here asks how long anything took."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from conftest import ROOT, once

from benchmarks import __main__ as command
from benchmarks import measure, report
from benchmarks.peers import PEERS
from benchmarks.work import QUICK, WORK, Row, label
from poolref import catalog
from poolref.regions import Window

ROW = Row("max", "training", "numpy", "torch", 6.0, Window(3, 2, 1), QUICK)
FIELDS = {
    "operator": str,
    "direction": str,
    "shape": list,
    "dtype": str,
    "layout": str,
    "regions": str,
    "ours": str,
    "peer": str,
    "ratio": float,
    "peak_bytes": int,
    "result_bytes": int,
    "threads": int,
    "wrong": bool,
    "ours_ns": float,
    "ours_median_ns": float,
    "peer_ns": float,
    "peer_median_ns": float,
    "repetitions": int,
}


def measured(row: Row = ROW) -> dict:
    return measure.measure(row, seconds=0, repetitions=1)


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    """What a quick run of everything prints, and writes."""

    def quick_run():
        out = tmp_path_factory.mktemp("bench") / "bench.json"
        command = [sys.executable, "-m", "benchmarks", "--quick", "--out", str(out)]
        run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
        assert run.returncode == 0, run.stdout + run.stderr
        return run.stdout, json.loads(out.read_text())

    return once(tmp_path_factory, "quick-bench", quick_run)


def test_quick_run_measures_every_kind_of_row(quick):
    _, result = quick
    got = {(r["operator"], r["direction"], r["regions"], r["layout"], r["ours"], r["peer"]) for r in result["rows"]}
    assert got == {(w.operator, w.direction, label(w.regions), w.layout, w.ours, w.peer) for w in WORK}


def test_rows_have_the_promised_fields(quick):
    _, result = quick
    for row in result["rows"]:
        for field, kind in FIELDS.items():
            assert isinstance(row[field], kind), f"{field}={row[field]!r} should be {kind.__name__}"
        assert row["direction"] in ("forward", "training", "backward")
        assert row["ours"] in ("numpy", "torch")
        assert row["ratio"] == pytest.approx(row["peer_ns"] / row["ours_ns"])
        assert row["peak_bytes"] >= row["result_bytes"] > 0


def test_nobody_is_wrong(quick):
    assert [row for row in quick[1]["rows"] if row["wrong"]] == []


def test_machine_and_versions_stand_beside_the_rows(quick):
    _, result = quick
    assert result["machine"]["name"] and result["machine"]["cores"] >= 1
    assert set(result["versions"]) == {"python", "numpy", "torch", "onnxruntime"}
    assert {1} <= {row["threads"] for row in result["rows"]}


def test_table_has_a_line_for_each_row(quick):
    table, result = quick
    for row in result["rows"]:
        assert report.line(row) in table


def test_operators_of_the_work_are_in_the_catalog():
    names = {operator.name for operator in catalog.OPERATORS}
    assert {row.operator for row in WORK} <= names


@pytest.mark.parametrize(
    "spoil",
    [
        lambda y, g: (y * 1.001, g),
        lambda y, g: (y, -g),
        lambda y, g: (y[..., :-1], g),
        lambda y, g: (y, torch.where(g == 0, torch.nan, g)),
    ],
    ids=["values", "gradient", "shape", "NaN"],
)
def test_a_wrong_peer_is_timed_and_marked(monkeypatch, spoil):
    right_peer = PEERS["torch"]

    def wrong_peer(row, x, g):
        run = right_peer(row, x, g)
        return lambda: spoil(*run())

    assert not measured()["wrong"]
    monkeypatch.setitem(PEERS, "torch", wrong_peer)
    row = measured()
    assert row["wrong"] and row["ratio"] > 0
    assert " wrong " in report.line(row)
    assert report.line(row) in report.summary([row]).partition("Numbers that differ")[2]
    assert "met" in report.line(row | {"wrong": False, "ratio": 7.0})
    assert "missed" in report.line(row | {"ratio": 7.0}), "wrong numbers meet no target"


@pytest.mark.parametrize("wrong", [False, True])
def test_exit_status_is_about_numbers_and_not_about_speed(monkeypatch, tmp_path, capsys, wrong):
    slow = measured() | {"wrong": wrong, "ratio": 0.01}
    monkeypatch.setattr(command, "_measured", lambda threads, arguments: [slow])
    monkeypatch.setattr(command, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(sys, "argv", ["benchmarks", "--out", str(tmp_path / "bench.json"), "--save"])
    assert command.main() == int(wrong)
    assert "0 of 2 targets met" in capsys.readouterr().out
    (data,) = (tmp_path / "results").glob("*.json")
    assert json.loads(data.read_text())["rows"] == json.loads(json.dumps([slow, slow]))
    assert report.machine()["name"] in data.with_suffix(".md").read_text()


def test_a_crash_is_shown(monkeypatch):
    class Arguments:
        quick, only = False, ("--no-such-option",)

    with pytest.raises(SystemExit, match=r"(?s)no-such-option.*ended with status 2"):
        list(command._measured("one", Arguments))


MIB = 2**20


@pytest.mark.parametrize("library", [np, torch])
def test_memory_counts_results_and_temporaries(library):
    def run():
        one = library.ones(MIB // 4, dtype=library.float32)
        two = one + one
        return (two * two,)

    for _ in range(2):
        peak, results = measure.memory(run)
        assert results == MIB
        assert peak == pytest.approx(3 * MIB, rel=0.01)


def test_runs_are_timed_in_turn():
    calls = []
    times = measure.interleave([lambda: calls.append("ours"), lambda: calls.append("peer")], 0, 3)
    assert calls == ["ours", "peer"] * 3
    assert [len(t) for t in times] == [3, 3]


def test_only_selects_by_whole_words():
    chosen = measure.select("one", ["max", "ours=numpy", "forward"])
    assert {(row.operator, row.ours, row.direction) for row in chosen} == {("max", "numpy", "forward")}
    assert {row.threads for row in measure.select("default")} == {"default"}
    assert all(row.shape == QUICK for row in measure.select("one", quick=True))
