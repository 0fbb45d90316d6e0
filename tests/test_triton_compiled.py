"""Every Triton kernel, compiled for a Hopper GPU that need not be there: the committed table is true and good."""

import json
import os
from importlib.util import find_spec
from pathlib import Path

import pytest

if find_spec("triton") is None:
    pytest.skip("triton cannot be imported: its wheels are for Linux", allow_module_level=True)
if os.environ.get("TRITON_INTERPRET"):
    pytest.skip("TRITON_INTERPRET is set, so nothing is compiled", allow_module_level=True)

from triton.language import constexpr

from benchmarks.kernels import ALIGNED, CALLS, cases, compiled, functions, globals_of, judged, launches, markdown

FOLDER = Path(__file__).parents[1] / "benchmarks"
REPORT = json.loads((FOLDER / "kernels.json").read_text())
ROWS = REPORT["rows"]


@pytest.mark.parametrize("operator", CALLS)
def test_the_table_is_current(operator):
    """Nothing is compiled: whatever decides a row is in its hash."""
    known = [row for row in ROWS if row["operator"] == operator]
    current = [row for case in cases(operator) for row, _ in launches(case)]
    stale = [f"{a['kernel']} {a['regions']}" for a, b in zip(current, known) if not a.items() <= b.items()]
    renew = f'renew the rows by: python -m benchmarks.kernels "{operator}"'
    assert len(current) == len(known) and not stale, f"{renew}  # {', '.join(stale)}"


@pytest.mark.parametrize("operator", ["max training", "blur", "global soft"])
def test_compiling_again_gives_the_same_row(operator):
    case = next(cases(operator))
    assert list(compiled(case)) == [row for row in ROWS if row["operator"] == operator][: len(list(launches(case)))]


def test_the_table_says_what_is_to_be_said_of_its_facts():
    assert [row | judged(row) for row in ROWS] == ROWS


def test_the_hash_covers_all_that_a_kernel_calls():
    _, launch = next(launches(next(cases("large max"))))
    before = launch.digest
    used = functions(launch.kernel)
    assert len(used) > 1
    for function in used:
        source = function.src
        function._unsafe_update_src(source + "\n    # changed")
        assert launch.digest != before
        function._unsafe_update_src(source)
        assert launch.digest == before


def test_the_hash_covers_constants(monkeypatch):
    _, launch = next(launches(next(cases("large max"))))
    before = launch.digest
    function = next(function for function in functions(launch.kernel) if globals_of(function, constexpr))
    (name, *_) = globals_of(function, constexpr)
    monkeypatch.setitem(function.__globals__, name, constexpr("another"))
    assert launch.digest != before


def test_the_page_shows_the_table():
    assert (FOLDER / "kernels.md").read_text() == markdown(REPORT)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: "-".join(map(str, list(row.values())[:6])))
def test_kernel(row):
    assert row["spills"] == 0
    assert row["atomics"] == 0
    if tuple(row["shape"]) in ALIGNED:
        assert row["narrow"] == (row["load"] < 16 or row["store"] < 8)
    if row["narrow"] or (row["budget"] and row["instructions"] > row["budget"]):
        assert row["reason"], "say why in benchmarks/kernels.py, or mend the kernel"
