"""Judging an attempt, and saying in words what is wrong with it."""

from dataclasses import dataclass, field
from html import escape

import numpy as np

from poolref.teaching import cards
from poolref.teaching.exercises.running import SECONDS, blank, run
from poolref.teaching.exercises.shrinking import shrink


@dataclass(frozen=True)
class Verdict:
    """What became of an attempt: status is "not attempted", "right", "wrong", "crashed" or "endless".

    `inputs` are the arguments of the smallest input found on which it fails, by name.
    """

    exercise: str
    status: str
    message: str
    inputs: dict = field(default_factory=dict)
    returned: str | None = None
    expected: str | None = None
    idea: str | None = None

    @property
    def passed(self):
        return self.status == "right"

    def _ipython_display_(self):
        """Nothing: `check` has displayed it already, and a notebook would show the last value of a cell again."""

    def rows(self):
        rows = [(name, formatted(value)) for name, value in self.inputs.items()]
        rows += [("returned", self.returned)] if self.returned is not None else []
        return rows + ([("expected", self.expected)] if self.expected is not None else [])

    def text(self):
        lines = [f"{self.exercise}: {self.message}"]
        for name, value in self.rows():
            lines.append(f"  {name}: " + value.replace("\n", "\n" + " " * (len(name) + 4)))
        return "\n".join(lines + ([f"  Idea: {self.idea}"] if self.idea else []))

    def html(self):
        kind = {"right": "right", "not attempted": "waiting"}.get(self.status, "wrong")
        mark = {"right": "✓ Right.", "not attempted": "Not attempted yet."}.get(self.status, "✗ Not yet right.")
        rows = "".join(f"<dt>{escape(n)}</dt><dd><pre>{escape(v)}</pre></dd>" for n, v in self.rows())
        return (
            f'<div class="poolref-card"><div class="verdict {kind}" role="status">'
            f"<p><strong>{mark}</strong> {cards.rich(self.message)}</p>"
            + (f"<dl>{rows}</dl>" if rows else "")
            + (f"<p><strong>Idea:</strong> {cards.rich(self.idea)}</p>" if self.idea else "")
            + "</div></div>"
        )


def check(name, attempt):
    """Display whether an attempt solves an exercise, and if not, the smallest input on which it fails.

    Args:
        name: the exercise, such as "max-pooling/forward".
        attempt: a function with the exercise's signature.

    Returns:
        The Verdict, with `.passed`. A wrong attempt raises nothing, whatever it does.

    Raises:
        ValueError: there is no such exercise.
    """
    from poolref.teaching.exercises import EXERCISES

    if name not in EXERCISES:
        raise ValueError(f"name must be one of {sorted(EXERCISES)}, got {name!r}")
    verdict = judge(EXERCISES[name], attempt)
    cards.show(verdict.html(), verdict.text())
    return verdict


def judge(exercise, attempt):
    if attempt is None or attempt is ... or (callable(attempt) and blank(attempt)):
        return Verdict(exercise.name, "not attempted", f"Write `{exercise.signature}`. {exercise.task}")
    if not callable(attempt):
        what = f"An attempt is a function, `{exercise.signature}`; this is a {type(attempt).__name__}."
        return Verdict(exercise.name, "wrong", what)

    cases = [case for case in exercise.cases() if exercise.solved(case)]
    assert cases, f"{exercise.name} has no cases that its own answer accepts"
    failing = ((case, complain(exercise, attempt, case)) for case in cases)
    case, complaint = next((pair for pair in failing if pair[1]), (None, None))
    if complaint is None:
        return Verdict(exercise.name, "right", f"It gives the right answer on all {len(cases)} inputs that were tried.")
    if complaint.status != "endless":  # each further look would take as long again
        case, complaint = simplest(exercise, attempt, case, complaint)
    arguments, expected = exercise.solved(case)
    return Verdict(
        exercise.name,
        complaint.status,
        complaint.message,
        dict(zip(exercise.parameters, arguments, strict=True)),
        complaint.returned,
        formatted(expected),
        wrong_idea(exercise, attempt, case, cases) if complaint.status == "wrong" else None,
    )


def simplest(exercise, attempt, case, complaint):
    """The smallest case that fails in the same manner, and what is wrong there."""
    patience = 2  # calls without an end that are waited for

    def fails(candidate):
        nonlocal patience
        again = complain(exercise, attempt, candidate) if patience else None
        patience -= again is not None and again.status == "endless"
        return again is not None and again.status == complaint.status

    case = shrink(case, fails)
    return case, complain(exercise, attempt, case)


@dataclass(frozen=True)
class Complaint:
    status: str
    message: str
    returned: str | None = None


def complain(exercise, attempt, case):
    """What is wrong with an attempt on one case; None if nothing is, or if the case is no input of the exercise."""
    solved = exercise.solved(case)
    if solved is None:
        return None
    arguments, expected = solved
    outcome = run(attempt, arguments, exercise.parameters)
    if outcome.kind == "endless":
        return Complaint("endless", f"It did not come to an end within {SECONDS:g} seconds on this input.")
    if outcome.kind == "crashed":
        return Complaint("crashed", outcome.value)
    message = difference(outcome.value, expected)
    if message is None and outcome.mutated:
        message = f"The answer is right, but it changed its argument `{outcome.mutated}`; work on a copy."
    if message is None:
        return None
    if outcome.value is None and outcome.printed:
        message = "It printed something and returned `None`; the answer must be returned."
    return Complaint("wrong", message, formatted(outcome.value))


def difference(returned, expected):
    """How an answer differs from the expected one, in words; None if it does not. Lists and tuples are fine."""
    expected = np.asarray(expected)
    if returned is None:
        return "It returned `None`: is the `return` missing?"
    try:
        value = np.asarray(returned)
    except Exception as error:
        return f"It returned something that does not turn into an array: {error}."
    whole = expected.dtype.kind in "iu" and expected.size > 0
    if value.dtype.kind not in "iuf":
        what = type(returned).__name__ if value.dtype.kind == "O" else f"values of type {value.dtype}"
        return f"It returned {what}; the answer is made of numbers."
    if value.shape != expected.shape:
        return f"The answer has shape {value.shape}; the expected shape is {expected.shape}."
    if whole and value.dtype.kind == "f":
        return "It returned floats; the answer is made of whole numbers (`//` divides without a remainder)."
    if not np.allclose(value, expected, rtol=1e-5, atol=1e-7, equal_nan=True):
        return "The answer has wrong values on this input."
    return None


def wrong_idea(exercise, attempt, case, cases):
    """The idea that explains the failure: it fails alike, here and on most other cases. None if none does."""

    def agrees(idea, case):
        arguments = exercise.arguments(*case)
        theirs, ours = (run(function, arguments, exercise.parameters) for function in (attempt, idea))
        both = theirs.kind == ours.kind == "returned"
        return both and theirs.value is not None and difference(theirs.value, ours.value) is None

    sample = cases[:: len(cases) // 60 + 1]
    found, most = None, 0.75 * len(sample)
    for text, idea in exercise.ideas.items():
        if complain(exercise, idea, case) is not None and agrees(idea, case):
            alike = sum(agrees(idea, other) for other in sample)
            if alike > most:
                found, most = text, alike
    return found


def formatted(value):
    if isinstance(value, np.ndarray):
        return np.array2string(value, separator=", ", precision=6, suppress_small=True)
    return getattr(value, "__name__", None) or (f"{value:.6g}" if isinstance(value, float) else repr(value))
