"""What an exercise is. Two forms: a function to write, which is compared with a reference, and a design to choose."""

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

from poolref.teaching.attempts.stubs import definition, fill, gap_paths

KINDS = ("worked", "faded", "open", "design")  # in the order in which a chapter has them

Mistake = Callable | Mapping[int, str]


@dataclass(frozen=True, eq=False)
class Exercise:
    """A function to write, or to change: right if it gives what the reference gives.

    Args:
        name: "chapter/exercise".
        kind: "worked" (complete, with one thing to change), "faded" (with gaps) or "open" (empty).
        objectives: ids of the chapter's objectives that it practises.
        answer: the reference. Its signature is the reader's, its docstring the task. A ValueError says that some
            arguments are no input of the exercise: what was not taught belongs there.
        cases: a function that yields argument tuples, small ones first.
        given: the function that the reader starts from, if it is worked or faded. Gaps are `...`.
        gaps: the code that belongs in the gaps, in reading order.
        ideas: what to say -> a mistake, or a tuple of them. A mistake is a function that is wrong in just this way, or,
            if the exercise is faded, {number of a gap, from 1: code that a reader may put there}.
        gap_ideas: for each gap what to say if it alone is wrong and no idea explains it; none by default.
        circumstances: "a window that hangs over the edge" -> whether some arguments have it. Where no idea explains a
            failure, the reader is told which circumstance all failing inputs share.
        arguments: makes the arguments of a case, where one follows from another (a gradient's shape).
        shown: whether a case is of the kind that the chapter shows. If an attempt fails on such a case, the reader is
            shown one, even where a smaller case fails too.
    """

    name: str
    kind: str
    objectives: tuple[str, ...]
    answer: Callable
    cases: Callable[[], Iterable[tuple]]
    given: Callable | None = None
    gaps: tuple[str, ...] = ()
    ideas: Mapping[str, Mistake | tuple[Mistake, ...]] = field(default_factory=dict)
    gap_ideas: tuple[str, ...] = ()
    circumstances: Mapping[str, Callable[..., bool]] = field(default_factory=dict)
    arguments: Callable[..., tuple] = lambda *case: case
    shown: Callable[..., bool] = lambda *case: True

    def __post_init__(self):
        if self.kind not in KINDS[:3]:
            raise ValueError(f"{self.name}: kind must be one of {KINDS[:3]}, got {self.kind!r}")
        if (self.given is None) != (self.kind == "open"):
            raise ValueError(f"{self.name}: given is what a worked or a faded exercise starts from, and no other")
        there = len(gap_paths(definition(self.given))) if self.given else 0
        if there != len(self.gaps) or (self.kind == "faded") != bool(self.gaps):
            raise ValueError(f"{self.name}: a faded exercise names the code of each gap; {there} are there")
        if self.gap_ideas and len(self.gap_ideas) != there:
            raise ValueError(f"{self.name}: gap_ideas has one sentence for each gap; {there} are there")

    def solved(self, case):
        """Return (arguments, right answer) of a case; None if the case is no input of this exercise."""
        try:
            arguments = self.arguments(*case)
            return arguments, self.answer(*arguments)
        except ValueError:
            return None

    def filled(self, wrong=()):
        """Return the given function with its gaps filled: rightly but for the `wrong` ones, {number: code}."""
        code = {number: right for number, right in enumerate(self.gaps, 1)} | dict(wrong)
        return fill(self.given, dict(zip(gap_paths(definition(self.given)), code.values(), strict=True)))

    @cached_property
    def mistakes(self):
        """Pairs (what to say, function that is wrong in this way)."""
        found = []
        if self.kind == "worked":
            found.append(("It still gives what it gave before the change.", self.given))
        for idea, mistakes in self.ideas.items():
            for mistake in mistakes if isinstance(mistakes, tuple) else (mistakes,):
                found.append((idea, mistake if callable(mistake) else self.filled(mistake)))
        return found

    @property
    def task(self):
        return inspect.getdoc(self.answer)

    @property
    def signature(self):
        return f"{self.answer.__name__}{inspect.signature(self.answer)}"

    @property
    def parameters(self):
        return list(inspect.signature(self.answer).parameters)


class Demand(NamedTuple):
    """One thing that is asked of a design.

    Args:
        asked: what is asked, such as "an output of 7 × 7".
        found: what this design has instead, or what it has that meets it.
        met: whether it is met.
        idea: how to come closer, if it is not met.
    """

    asked: str
    found: str
    met: bool
    idea: str


@dataclass(frozen=True, eq=False)
class Design:
    """An engineer's question with many right answers: right if every demand is met.

    Args:
        name: "chapter/exercise".
        objectives: ids of the chapter's objectives that it practises.
        task: the question, in a sentence or two.
        demands: a function that yields a Demand for each thing that is asked of a design. It raises a ValueError, in
            the reader's words, if what it is given is no design at all.
    """

    name: str
    objectives: tuple[str, ...]
    task: str
    demands: Callable[[Any], Iterable[Demand]]
    kind = "design"
