"""The table, the picture, and the machine's name."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from math import exp, log
from pathlib import Path
from textwrap import fill

import torch

from benchmarks.cuda.measure import MEASURED
from benchmarks.cuda.work import Row

PACKAGES = ("numpy", "torch", "triton", "jax", "torchvision", "timm")
COLUMNS = (
    *("operator", "direction", "regions", "shape", "dtype", "layout", "MiB", "p20_us", "p50_us", "p80_us", "call_us"),
    *("eager_ratio", "compile_ratio", "best_peer_ratio", "peers", "copy_percent", "peak_bytes", "saved_bytes"),
    *("deterministic", "right", "kernels", "clock_mhz", "targets"),
)
MARKERS = {"forward": "o", "training": "s", "backward": "v", "both": "d"}


def machine(on_gpu: bool) -> dict:
    """What the figures were measured on, and with."""
    facts = {"date": date.today().isoformat(), "processor": platform.machine(), "cores": os.cpu_count()}
    if on_gpu:
        properties = torch.cuda.get_device_properties(0)
        facts |= {
            "gpu": properties.name,
            "multiprocessors": properties.multi_processor_count,
            "memory_mib": properties.total_memory // 2**20,
            "driver": driver(),
            "cuda": torch.version.cuda,
        }
    facts["python"] = platform.python_version()
    for package in PACKAGES:
        try:
            facts[package] = version(package)
        except PackageNotFoundError:
            facts[package] = "not installed"
    return facts


def measured_on(facts: dict) -> str:
    """The machine in a line."""
    return ", ".join(f"{name} {value}" for name, value in facts.items())


def driver() -> str:
    """The version of the first GPU's driver."""
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader", "--id=0"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):  # not every container has the tool
        return "unknown"


def entry(row: Row, figures: dict | None, note: str = "") -> dict:
    """A row as plain data, whether it was measured or not."""
    figures = figures or dict.fromkeys(MEASURED)
    targets = []
    for name, least in row.targets():
        figure = figures[name]
        met = None if figure is None else bool(figure >= least)
        targets.append({"figure": name, "least": least, "met": met})
    return row.fields() | figures | {"targets": targets, "note": note}


def markdown(report: dict) -> str:
    """The report as a page."""
    where = measured_on(report["machine"]) if report["machine"] else "not measured"
    lines = [
        "# The CUDA kernels, measured",
        "",
        *(["**A dry run on the CPU, on tiny maps: no figure here was measured.**", ""] if report["dry_run"] else []),
        f"By `python -m benchmarks.cuda`; {where}.",
        "",
        *summary(report["rows"]),
        "",
        "MiB is the least that has to move. Times are GPU times of one call with nothing in its cache, in",
        "microseconds; call_us is one call as the host sees it. Ratios are a peer's time over ours; the best peer is",
        "the fastest that is right. A peer is wrong if it differs from ours by more than 1e-5 of the largest magnitude",
        "in float32, 2e-3 in float16, 2e-2 in bfloat16; the number behind it says by how much. JAX is timed by the",
        "host's clock, over many calls. copy_percent is the time of a copy of the same MiB in the same process, over",
        "ours. Peak and saved bytes do not count the input. right: some planes agree with the NumPy column, values or",
        "gradients. Where no kernel is named, torch's operators did the work.",
        "",
        f"| {' | '.join(COLUMNS)} |",
        f"|{' --- |' * len(COLUMNS)}",
    ]
    return "\n".join([*lines, *map(line, report["rows"])]) + "\n"


def line(row: dict) -> str:
    """One row of the table."""
    cells = row | {"MiB": row["bytes"] / 2**20, "targets": [_target(target) for target in row["targets"]]}
    if row["peers"] is not None:
        peers = [_peer(name, peer) for name, peer in row["peers"].items()]
        cells["peers"] = [*peers, *(f"{name} absent: {why}" for name, why in row["absent"].items())]
        cells["kernels"] = list(dict.fromkeys(row["kernels"]))
    if row["note"]:
        cells["p50_us"] = row["note"]
    return f"| {' | '.join(_cell(name, cells[name]).replace('|', '/') for name in COLUMNS)} |"


def _peer(name: str, peer: dict) -> str:
    if peer["verdict"] == "failed":
        return f"{name} failed: {peer['error']}"
    time = "not measured" if peer["p50_us"] is None else f"{peer['p50_us']:.1f}"
    return f"{name} {time}" + (f" wrong {peer['error']:.1g}" if peer["verdict"] == "wrong" else "")


def _target(target: dict) -> str:
    met = {None: "not measured", True: "met", False: "missed"}[target["met"]]
    return f"{target['figure']} ≥ {target['least']}: {met}"


def _cell(name: str, value: object) -> str:
    match value:
        case None:
            return "not measured"
        case list() if name == "shape":
            return "×".join(map(str, value))
        case list():
            return "; ".join(value)
        case float():
            return f"{value:.2f}"
    return str(value)


def summary(rows: list[dict]) -> list[str]:
    """How many targets were met, and each ratio's geometric mean and worst row."""
    targets = [target for row in rows for target in row["targets"]]
    counts = [sum(t["met"] is met for t in targets) for met in (True, False, None)]
    lines = ["{} targets met, {} missed, {} not measured.".format(*counts)]
    for name in ("eager_ratio", "compile_ratio", "best_peer_ratio", "copy_percent"):
        measured = [row for row in rows if row[name] is not None]
        if not measured:
            lines.append(f"- {name}: not measured")
            continue
        mean = exp(sum(log(row[name]) for row in measured) / len(measured))
        worst = min(measured, key=lambda row: row[name])
        where = " ".join(_cell(key, worst[key]) for key in COLUMNS[:6] if worst[key])
        share = 100 * sum(row[name] >= 1 for row in measured) / len(measured)
        at_least = "" if name == "copy_percent" else f", at least 1 in {share:.0f} % of the rows"
        lines.append(f"- {name}: geometric mean {mean:.2f}{at_least}, worst {worst[name]:.2f} ({where})")
    for what, field in (("Differs from the NumPy column", "right"), ("Not the same in every run", "deterministic")):
        wrong = [row for row in rows if row[field] is False]
        lines += [f"- {what}: " + " ".join(_cell(key, row[key]) for key in COLUMNS[:6]) for row in wrong]
    return lines


def plot(report: dict, file: Path) -> None:
    """A roofline: bytes that have to move against bytes moved in a second; the roof is a copy."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    rows = sorted((row for row in report["rows"] if row["p50_us"]), key=lambda row: row["bytes"])
    fig, ax = plt.subplots(figsize=(8, 5))
    for i, operator in enumerate(dict.fromkeys(row["operator"] for row in report["rows"])):
        for direction, marker in MARKERS.items():
            points = [
                (row["bytes"] / 2**20, row["bytes"] / row["p50_us"] / 1e3)
                for row in rows
                if (row["operator"], row["direction"]) == (operator, direction)
            ]
            label = operator if direction in ("forward", "both") and points else None
            ax.scatter(*zip(*points), color=plt.cm.tab20(i % 20), marker=marker, label=label) if points else None
    roof = [(row["bytes"] / 2**20, row["bytes"] / row["p50_us"] / row["copy_percent"] / 10) for row in rows]
    ax.plot(*zip(*roof), color="black", label="copy")
    ax.set(
        xscale="log", xlabel="least bytes that have to move / MiB", ylabel="of them in a second / GB/s", ylim=(0, None)
    )
    ax.set_title(fill(measured_on(report["machine"]), 100), fontsize=8)
    handles, labels = ax.get_legend_handles_labels()
    unique = dict(zip(labels, handles))
    ax.legend(unique.values(), unique.keys(), fontsize=8, ncols=2)
    fig.savefig(file, dpi=150, bbox_inches="tight")
    plt.close(fig)
