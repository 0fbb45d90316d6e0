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

from benchmarks.kernels import ALIGNED, CALLS, cases, compiled, markdown

FOLDER = Path(__file__).parents[1] / "benchmarks"
REPORT = json.loads((FOLDER / "kernels.json").read_text())
ROWS = REPORT["rows"]


@pytest.mark.parametrize("operator", CALLS)
def test_the_table_is_current(operator):
    rows = [row for case in cases(operator) for row in compiled(case)]
    assert rows == [row for row in ROWS if row["operator"] == operator]


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
