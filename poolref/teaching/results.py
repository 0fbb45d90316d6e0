"""Results of trainings over seeds, kept as data: `results("pooling_kinds")`.

They are made by `python -m benchmarks.networks` and lie in book/results/, one file a study.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from poolref.teaching.drawing import chart
from poolref.teaching.extras import need
from poolref.teaching.tokens import colours

if TYPE_CHECKING:
    from matplotlib.figure import Figure

REPOSITORY_RESULTS = Path(__file__).parents[2] / "book" / "results"
INSTALLED_RESULTS = Path(__file__).parent / "kept_results"

# What charts call the kinds of pooling, where a case names one.
NETWORK = ("pooling", "network", "trained_with")
POOLINGS = {
    "lp": "L2 (lp)",
    "max_blur": "max, then blur",
    "subsample": "one cell of four",
    "none": "no pooling",
    "none, dilated": "no pooling, dilated",
}
CURVES = [colours[name] for name in ("value", "region", "gain", "loss", "ink")]


class Interval(NamedTuple):
    """A mean and its 95 % interval over `n` seeds."""

    mean: float
    low: float
    high: float
    n: int

    @property
    def excludes_zero(self) -> bool:
        """Whether all of the interval lies on one side of 0: whether a difference is decided."""
        return self.low > 0 or self.high < 0

    def __format__(self, spec: str) -> str:
        spec = spec or ".3g"
        return (
            f"{self.mean:{spec}} [{self.low:{spec}}, {self.high:{spec}}]" if self.low < self.high else f"{self.mean:g}"
        )


def interval(values: Sequence[float]) -> Interval:
    """Return the mean of some numbers and its 95 % interval, by Student's t.

    Args:
        values: at least two numbers, one a seed.

    Raises:
        ValueError: there are fewer than two.

    Formula: mean ± t · s / √n, where s is the standard deviation with n - 1, and t the 97.5 % point of Student's t with
    n - 1 degrees of freedom.  It is exact if the values are independent and normally distributed.
    """
    values = np.asarray(values, float)
    if values.ndim != 1 or len(values) < 2:
        raise ValueError(f"values must be at least two numbers, one a seed, got shape {values.shape}")
    n = len(values)
    half = need("scipy.stats").t.ppf(0.975, n - 1) * values.std(ddof=1) / np.sqrt(n)
    mean = values.mean()
    return Interval(float(mean), float(mean - half), float(mean + half), n)


@dataclass(frozen=True)
class Results:
    """The kept results of one study.

    Attributes:
        study: its name.
        question: what it asks.
        measures: what each measure means, by name.
        made: the command, the date, the machine, the versions and the seconds that it took.
        rows: one dict for each case and seed, with the case, the seed (if anything is drawn) and the measures.
    """

    study: str
    question: str
    measures: Mapping[str, str]
    made: Mapping[str, Any]
    rows: Sequence[Mapping[str, Any]]

    def select(self, **case: object) -> list[Mapping[str, Any]]:
        """Return the rows that agree with `case`, as in select(pooling="max").

        Raises:
            ValueError: a key is no part of the study's cases, or no row agrees.
        """
        for key in case:
            if key not in self.rows[0]:
                raise ValueError(f"{key} must be one of {', '.join(self.rows[0])}, got {key!r}")
        rows = [row for row in self.rows if all(row[key] == value for key, value in case.items())]
        if not rows:
            known = {key: list(dict.fromkeys(row[key] for row in self.rows)) for key in case}
            raise ValueError(f"the case must be among those of {self.study!r}, {known}, got {case}")
        return rows

    def by_seed(self, measure: str, **case: object) -> dict[int, float]:
        """Return a measure for every seed of one case.

        Raises:
            ValueError: there is no such measure or case, or several rows of one seed agree with `case`.
        """
        if measure not in self.measures:
            raise ValueError(f"measure must be one of {', '.join(self.measures)}, got {measure!r}")
        rows = self.select(**case)
        values = {row.get("seed"): row[measure] for row in rows}
        if len(values) < len(rows):
            raise ValueError(f"the case must agree with one row a seed, got {case}, which agrees with {len(rows)} rows")
        return values

    def interval(self, measure: str, **case: object) -> Interval:
        """Return the mean of a measure over the seeds of one case, and its 95 % interval, as :func:`interval` does."""
        return interval(list(self.by_seed(measure, **case).values()))

    def difference(self, measure: str, first: Mapping[str, object], second: Mapping[str, object]) -> Interval:
        """Return by how much `first` exceeds `second` on average, paired by seed, and its 95 % interval.

        "A is better than B" is decided if the interval excludes 0.  One interval in twenty errs: with many comparisons
        some do.

        Args:
            measure: its name.
            first: a case, as in {"pooling": "max"}.
            second: another.
        """
        a, b = self.by_seed(measure, **first), self.by_seed(measure, **second)
        return interval([a[seed] - b[seed] for seed in a if seed in b])

    def agrees(self, measure: str, value: float, slack: float, **case: object) -> bool:
        """Whether a result of today lies among the kept ones: from the smallest - `slack` to the largest + `slack`."""
        kept = self.by_seed(measure, **case).values()
        return min(kept) - slack <= value <= max(kept) + slack

    def cases(self) -> list[dict[str, Any]]:
        """Return the cases in their order, each without its seed and measures."""
        others = [key for key in self.rows[0] if key != "seed" and key not in self.measures]
        return [dict(case) for case in dict.fromkeys(tuple((key, row[key]) for key in others) for row in self.rows)]

    def table(self, *measures: str, spec: str = ".3g") -> str:
        """Return a Markdown table of intervals: one line a case, one column a measure (default: all)."""
        measures = measures or tuple(self.measures)
        head = [*self.cases()[0], *measures]
        lines = [" | ".join(head), " | ".join("---" for _ in head)]
        for case in self.cases():
            each = [list(self.by_seed(measure, **case).values()) for measure in measures]
            cells = [format(interval(v) if len(v) > 1 else v[0], spec) for v in each]
            lines.append(" | ".join([*map(str, case.values()), *cells]))
        return "\n".join(f"| {line} |" for line in lines)

    def chart(self, measure: str, label: str, **case: object) -> Figure:
        """Return a figure with a line for each case that agrees with `case`: all seeds, the mean and its interval.

        Args:
            measure: its name.
            label: what stands below the axis.
            **case: which cases to show.  Default all.
        """
        shown = [each for each in self.cases() if case.items() <= each.items()][::-1]
        figure, axes = chart(height=0.6 + 0.27 * len(shown))
        for height, each in enumerate(shown):
            values = list(self.by_seed(measure, **each).values())
            mean, low, high, _ = interval(values)
            axes.plot(values, [height] * len(values), "o", color=colours["value"], alpha=0.5, markersize=4)
            axes.plot([low, high], [height, height], color=colours["ink"], linewidth=2.5)
            axes.plot(mean, height, "o", color=colours["ink"], markersize=6)
        axes.set_yticks(range(len(shown)), [_words(each, case) for each in shown])
        axes.set_xlabel(label, loc="right")  # below the names of the cases there is room for it
        return figure

    def curves(self, measure: str, along: str, xlabel: str, ylabel: str, **case: object) -> Figure:
        """Return a figure with a curve for each case that agrees with `case`: means over seeds, intervals as bands.

        Args:
            measure: its name.
            along: what the cases are drawn along, such as "turned": a number that each case has.
            xlabel: what stands below the figure.
            ylabel: what stands beside it.
            **case: which cases to show.  Default all.
        """
        shown = [each for each in self.cases() if case.items() <= each.items()]
        curves: dict[str, list[tuple]] = {}
        for each in shown:
            name = _words(each, {**case, along: None})
            curves.setdefault(name, []).append((each[along], *self.interval(measure, **each)))
        figure, axes = chart(height=3)
        for (name, points), colour, marker in zip(curves.items(), cycle(CURVES), cycle("os^Dv")):
            x, mean, low, high, _ = zip(*sorted(points))
            axes.fill_between(x, low, high, color=colour, alpha=0.2, linewidth=0)
            axes.plot(x, mean, marker + "-", color=colour, markersize=5, label=name)
        axes.set(xlabel=xlabel, ylabel=ylabel)
        axes.legend()
        return figure


def _words(case: Mapping[str, object], known: Mapping[str, object]) -> str:
    words = {key: POOLINGS.get(value, value) if key in NETWORK else value for key, value in case.items()}
    return ", ".join(str(value) for key, value in words.items() if key not in known)


def results(study: str) -> Results:
    """Return the kept results of a study.

    Args:
        study: its name, such as "pooling_kinds".

    Raises:
        ValueError: there is no such study.

    >>> results("pooling_kinds").interval("accuracy", pooling="max")
    """
    folder = REPOSITORY_RESULTS if REPOSITORY_RESULTS.is_dir() else INSTALLED_RESULTS
    studies = sorted(path.stem for path in folder.glob("*.json"))
    if study not in studies:
        raise ValueError(f"study must be one of {', '.join(studies)}, got {study!r}")
    return Results(**json.loads((folder / f"{study}.json").read_text(encoding="utf-8")))
