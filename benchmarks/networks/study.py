"""What a study is, and how its rows are kept so that a stop loses none."""

from __future__ import annotations

import json
import os
import pkgutil
import platform
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.report import machine

RESULTS = Path(__file__).parents[2] / "book" / "results"
PACKAGES = ("numpy", "torch", "scikit-learn", "scikit-image")

Row = dict[str, Any]


@dataclass(frozen=True)
class Study:
    """One question, the cases compared to answer it, and the function that gives the measures of a case and a seed."""

    question: str
    seeds: tuple[int, ...]
    cases: tuple[Row, ...]
    measures: Mapping[str, str]
    measure: Callable[..., Row | list[Row]]

    @property
    def name(self) -> str:
        return self.measure.__name__

    def trainings(self) -> list[Row]:
        """Every case with every seed, seed by seed; every case once where nothing is drawn."""
        return [case | seed for seed in [{"seed": seed} for seed in self.seeds] or [{}] for case in self.cases]

    def key(self, row: Row) -> tuple:
        """What tells the rows of one training from all others: the case and the seed."""
        return tuple(row.get(name) for name in (*self.cases[0], "seed"))


def study(
    question: str, seeds: Iterable[int], cases: Iterable[Row], measures: Mapping[str, str]
) -> Callable[[Callable], Study]:
    """Make a study of a function.

    The function is called as `function(seed=seed, **case)` for every seed and case.  It returns a dict of measures, or
    a list of such dicts, each of which says what it is measured at, as in {"angle": 30, "accuracy": 0.7}.

    Args:
        question: what it asks, in one sentence.
        seeds: at least five; none, if nothing is drawn, and then the function gets no seed.
        cases: dicts with the same keys; equal seeds of different cases are compared as pairs.
        measures: what each measure means, by name.
    """
    return lambda function: Study(question, tuple(seeds), tuple(cases), measures, function)


def names() -> list[str]:
    """The names of all studies: the files in studies/, each of which holds one of its own name."""
    return sorted(module.name for module in pkgutil.iter_modules([str(Path(__file__).parent / "studies")]))


def get(name: str) -> Study:
    return getattr(import_module(f"benchmarks.networks.studies.{name}"), name)


def run(study: Study, folder: Path = RESULTS, anew: bool = False) -> None:
    """Run what is not kept yet, seed by seed, and write the study's file after each training.

    Raises:
        SystemExit: rows are kept that were made by other versions or on another machine, and `anew` is False.
    """
    file = folder / f"{study.name}.json"
    made = made_by(f"python -m benchmarks.networks {study.name}")
    rows, seconds = ([], 0.0) if anew or not file.is_file() else _kept(study, file, made)
    done = {study.key(row) for row in rows}
    trainings = study.trainings()
    missing = [training for training in trainings if study.key(training) not in done]
    for count, training in enumerate(missing, 1):
        start = time.process_time()
        found = study.measure(**training)
        took = time.process_time() - start
        seconds += took
        rows += [training | _rounded(row) for row in (found if isinstance(found, list) else [found])]
        _write(file, study, made | {"processor_seconds": round(seconds)}, rows)
        left = (len(missing) - count) * seconds / (len(trainings) - len(missing) + count) / 60
        words = ", ".join(f"{name} {value}" for name, value in training.items())
        print(f"{study.name} {count}/{len(missing)}: {words}; {took:.0f} s, {left:.0f} min left", flush=True)
    print(f"{len(rows)} rows in {file}")


def made_by(command: str) -> dict:
    """What a result was made by: command, date, machine and versions."""
    versions = {"python": platform.python_version()} | {name: version(name) for name in PACKAGES}
    return {"command": command, "date": date.today().isoformat(), "machine": machine()["name"], "versions": versions}


def _kept(study: Study, file: Path, made: dict) -> tuple[list[Row], float]:
    """The rows of a file that belong to the study as it is now, and the seconds that they took."""
    kept = json.loads(file.read_text(encoding="utf-8"))
    for name in ("machine", "versions"):
        if kept["made"][name] != made[name]:
            raise SystemExit(
                f"{file}: {name} must be {kept['made'][name]}, as for the rows in it, got {made[name]}.  Rows made "
                "differently are not comparable: add --anew to make them all again."
            )
    wanted = set(map(study.key, study.trainings()))
    rows = [row for row in kept["rows"] if study.key(row) in wanted and study.measures.keys() <= row.keys()]
    return rows, kept["made"]["processor_seconds"]


def _rounded(row: Row) -> Row:
    return {name: round(value, 5) if isinstance(value, float) else value for name, value in row.items()}


def _write(file: Path, study: Study, made: dict, rows: list[Row]) -> None:
    """Write all or nothing; a row a line, in the order of the study, so that a change is easy to see."""
    order = [tuple(case.values()) for case in study.cases]
    rows = sorted(rows, key=lambda row: (order.index(study.key(row)[:-1]), row.get("seed")))
    head = {"study": study.name, "question": study.question, "measures": dict(study.measures), "made": made}
    lines = ",\n".join(f"  {json.dumps(row, ensure_ascii=False)}" for row in rows)
    text = json.dumps(head, indent=1, ensure_ascii=False).removesuffix("\n}") + f',\n "rows": [\n{lines}\n ]\n}}\n'
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(".part")
    part.write_text(text, encoding="utf-8")
    os.replace(part, file)
