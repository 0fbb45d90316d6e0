"""The table for people, and the same as data."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
from datetime import date
from importlib.metadata import version
from pathlib import Path

COLUMNS = ("operator", "direction", "regions", "shape", "layout", "ours", "ns", "peer", "ns", "ratio", "target", "MiB")
WIDTHS = ("8", "9", "13", "13", "13", "5", ">7", "12", ">7", ">6", "11", ">7")


def heading() -> str:
    return _line(COLUMNS)


def line(row: dict) -> str:
    """One row of the table: times in ns per input element, peak memory of ours in MiB."""
    return _line(_cells(row))


def summary(rows: list[dict]) -> str:
    """How many targets were met, which were not, and whose numbers were wrong."""
    aimed = [row for row in rows if row["target"]]
    missed = [row for row in aimed if not _is_met(row)]
    wrong = [row for row in rows if row["wrong"]]
    text = [f"{len(aimed) - len(missed)} of {len(aimed)} targets met."]
    for title, listed in (("Missed:", missed), ("Numbers that differ from ours:", wrong)):
        if listed:
            text += ["", title, *(f"{line(row)}  {_threads(row)}" for row in listed)]
    return "\n".join(text)


def markdown(report: dict) -> str:
    """The whole report as a page."""
    text = [f"# Measured on {report['machine']['name']}, {report['date']}", ""]
    text += [f"{name} {number}" for name, number in report["versions"].items()]
    text = [*text[:2], ", ".join(text[2:]) + ".  Times are ns per input element; MiB is the peak memory of ours."]
    for threads in dict.fromkeys(map(_threads, report["rows"])):
        text += [
            "",
            f"## {threads[0].upper()}{threads[1:]}",
            "",
            _markdown(COLUMNS),
            _markdown(("---",) * len(COLUMNS)),
        ]
        text += [_markdown(_cells(row)) for row in report["rows"] if _threads(row) == threads]
    return "\n".join(text) + "\n"


def assemble(rows: list[dict]) -> dict:
    """The rows, and beside them the machine, the versions and the day."""
    packages = ("numpy", "torch", "onnxruntime")
    return {
        "machine": machine(),
        "date": date.today().isoformat(),
        "versions": {"python": platform.python_version()} | {name: version(name) for name in packages},
        "rows": rows,
    }


def machine() -> dict:
    """What the figures were measured on; `name` is made of the processor and its number of cores."""
    cpu, info = platform.processor() or platform.machine(), Path("/proc/cpuinfo")
    if info.exists():
        models = [text.partition(":")[2].strip() for text in info.read_text().splitlines() if "model name" in text]
        cpu = models[0] if models else cpu
    cores = os.cpu_count()
    return {"name": f"{cpu}, {cores} cores", "cpu": cpu, "cores": cores, "system": platform.platform()}


def _cells(row: dict) -> list[str]:
    target = f"{row['target']:g} {'met' if _is_met(row) else 'missed'}" if row["target"] else ""
    return [
        row["operator"],
        row["direction"],
        row["regions"],
        "×".join(map(str, row["shape"])),
        row["layout"],
        row["ours"],
        f"{row['ours_ns']:.2f}",
        row["peer"],
        f"{row['peer_ns']:.2f}",
        "wrong" if row["wrong"] else f"{row['ratio']:.2f}",
        target,
        "" if row["peak_bytes"] is None else f"{row['peak_bytes'] / 2**20:.1f}",
    ]


def _is_met(row: dict) -> bool:
    return row["ratio"] >= row["target"] and not row["wrong"]


def _threads(row: dict) -> str:
    return "one thread" if row["threads"] == 1 else f"{row['threads']} threads"


def _line(cells: Iterable[str]) -> str:
    return " ".join(f"{cell:{width}}" for cell, width in zip(cells, WIDTHS, strict=True))


def _markdown(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
