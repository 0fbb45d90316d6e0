"""Judging an attempt: right or wrong, on which input, and by which mistaken idea. Nothing here displays anything."""

import time
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from poolref.teaching.attempts.exercise import Demand, Design
from poolref.teaching.attempts.running import Here, runner
from poolref.teaching.attempts.shrinking import shrink, size
from poolref.teaching.attempts.stubs import complete, definition, fill, fillings, gap_paths, same_code, says_nothing
from poolref.teaching.attempts.worker import Other

ALL_SECONDS = 30.0  # for all inputs of an exercise together
SAMPLE = 40  # inputs on which an idea is compared with an attempt: failing ones, and as many others
ALIKE = 0.6  # how much of what either gets wrong an idea must get wrong just as the attempt does
CONTRAST = 0.4  # by how much more often an attempt must fail under a circumstance than otherwise
STOPPED = ("endless", "ended")  # no second look is taken at these
CRASHING = 2.0  # for those on which it stops with one and the same error, as long as nothing else has happened
RIGHT_BUT = "The answer is right, but "


@dataclass(frozen=True)
class Verdict:
    """What became of an attempt.

    Args:
        exercise: the exercise's name.
        status: "not attempted", "unfinished" (gaps are left), "right", "wrong", "crashed", "endless" or "ended".
        message: what is to be said first.
        inputs: the arguments of the smallest input found on which it fails, by name.
        returned, expected: what it gives there and what is right, as text.
        printed: what it prints there; of a right attempt, on the first input.
        idea: the mistaken idea that explains the failure.
        where: if no idea does, what all inputs have on which it fails; or which gaps are wrong.
        demands: what was asked of a design.
    """

    exercise: str
    status: str
    message: str
    inputs: dict = field(default_factory=dict)
    returned: str | None = None
    expected: str | None = None
    printed: str = ""
    idea: str | None = None
    where: str | None = None
    demands: tuple[Demand, ...] = ()

    @property
    def passed(self):
        return self.status == "right"

    def _ipython_display_(self):
        """Nothing: `check` has displayed it already, and a notebook would show the last value of a cell again."""


def judge(exercise, attempt, run=None):
    """Return the Verdict on an attempt.

    Args:
        exercise: an Exercise or a Design.
        attempt: the reader's function, or the design.
        run: how the function is called: `Process`, or `Here` if it is trusted. Default: as this machine can.
    """
    if isinstance(exercise, Design):
        return judge_design(exercise, attempt)
    if attempt is None or attempt is ...:
        return untouched(exercise)
    if not callable(attempt):
        what = f"An attempt is a function, `{exercise.signature}`; this is {described(attempt)}."
        return Verdict(exercise.name, "wrong", what)
    tree = definition(attempt)
    if tree and (says_nothing(tree) or (exercise.given and same_code(tree, definition(exercise.given)))):
        return untouched(exercise)
    run = run or runner()
    gaps = len(gap_paths(tree)) if tree else 0
    verdict = judge_unfinished(exercise, attempt, gaps, run) if gaps else judge_function(exercise, attempt, run)
    if not exercise.gaps or not verdict.inputs or verdict.idea or not tree:
        return verdict
    return replace(verdict, **wrong_gaps(exercise, attempt, tree, run))


def untouched(exercise):
    what = {
        "worked": f"This is the worked solution as it stands. To change: {exercise.task}",
        "faded": f"Fill in each `...`. {exercise.task}",
        "open": f"Write `{exercise.signature}`. {exercise.task}",
    }[exercise.kind]
    return Verdict(exercise.name, "not attempted", what)


def judge_unfinished(exercise, attempt, gaps, run):
    """The verdict on an attempt with gaps: how many, and whether what was filled in is right so far."""
    left = f"{gaps} `...` {'is' if gaps == 1 else 'are'} still to be filled in."
    whole = complete(attempt, exercise.given, exercise.gaps) if exercise.gaps else None
    verdict = judge_function(exercise, whole or attempt, run)
    if whole is None:  # it may use `...` for purposes of its own
        return verdict if verdict.passed else Verdict(exercise.name, "unfinished", left)
    if verdict.passed:
        return Verdict(exercise.name, "unfinished", f"What you have filled in is right. {left}")
    said = f"What you have filled in is not right yet: {verdict.message} {left}"
    return replace(verdict, status="unfinished", message=said)


def wrong_gaps(exercise, attempt, tree, run):
    """Return {"where": ..., "idea": ...}: the gaps that are wrong even if all others are right; {} if none is."""
    filled = fillings(tree, definition(exercise.given))
    if not filled:
        return {}
    wrong = {}
    for number, (path, code) in enumerate(filled.items(), 1):
        others = {other: right for other, right in zip(filled, exercise.gaps, strict=True) if other != path}
        if code != "..." and not passes(exercise, fill(attempt, others, tree), run):
            wrong[number] = code
    if not wrong:
        return {}
    where = "Not right yet: " + "; ".join(f"gap {number}, `{code}`" for number, code in wrong.items()) + "."
    if len(wrong) < len(filled) and "..." not in filled.values():
        where += " The other gaps are right."
    return {"where": where, "idea": exercise.gap_ideas[min(wrong) - 1] if exercise.gap_ideas else None}


def passes(exercise, attempt, run):
    with run(attempt) as call:
        return all(
            complaint_about(exercise, call(input.arguments), input.expected).status == "right"
            for input in inputs_of(exercise)
        )


def judge_design(exercise, attempt):
    if attempt is None or attempt is ...:
        return Verdict(exercise.name, "not attempted", exercise.task)
    try:
        demands = tuple(exercise.demands(attempt))
    except ValueError as error:
        return Verdict(exercise.name, "wrong", f"{error}")
    missed = [demand for demand in demands if not demand.met]
    if not missed:
        return Verdict(exercise.name, "right", "It meets every demand.", demands=demands)
    message = "One demand is not met." if len(missed) == 1 else f"{len(missed)} demands are not met."
    return Verdict(exercise.name, "wrong", message, demands=demands, idea=missed[0].idea)


# ----------------------------------------------------------------------------------------------------- a function


class Input(NamedTuple):
    """One input of an exercise: the case, the arguments made of it, and the right answer."""

    case: tuple
    arguments: tuple
    expected: Any


@cache
def inputs_of(exercise):
    """Return the inputs on which attempts are tried: those of a kind that is shown, then others, small ones first."""
    inputs = [input for case in exercise.cases() if (input := solved(exercise, case))]
    inputs.sort(key=lambda input: not exercise.shown(*input.case))
    assert inputs, f"{exercise.name} has no cases that its own answer accepts"
    return inputs


def solved(exercise, case):
    found = exercise.solved(case)
    return found and Input(case, *found)


def judge_function(exercise, attempt, run):
    inputs, loaded = inputs_of(exercise), None
    with run(attempt) as call:
        outcomes, complaints = [], []
        for input in inputs:
            outcomes.append(call(input.arguments))
            complaints.append(complaint_about(exercise, outcomes[-1], input.expected))
            loaded = loaded or time.monotonic()
            only_one_crash = outcomes[0].error and len({outcome.error for outcome in outcomes}) == 1
            seconds = CRASHING if only_one_crash else ALL_SECONDS
            if complaints[-1].status in STOPPED or time.monotonic() > loaded + seconds:
                break
        failing = [number for number, complaint in enumerate(complaints) if complaint.status != "right"]
        passing = [number for number, complaint in enumerate(complaints) if complaint.status == "right"]
        if len(passing) == len(inputs):
            message = f"It gives the right answer on all {len(inputs)} inputs that were tried."
            return Verdict(exercise.name, "right", message, printed=complaints[0].printed)
        if not failing:
            message = f"It was right on {len(passing)} of {len(inputs)} inputs, and then {ALL_SECONDS:g} seconds had "
            return Verdict(exercise.name, "endless", message + "passed. It is too slow.")
        if complaints[failing[0]].status in STOPPED:
            return verdict_on(exercise, inputs[failing[0]], complaints[failing[0]])
        telling = [number for number in failing if not complaints[number].message.startswith(RIGHT_BUT)]
        idea, mistake = mistaken_idea(exercise, outcomes, failing, passing) if telling else (None, None)
        where = None if idea else shared_circumstance(exercise, failing, passing)
        failures = [(inputs[number], complaints[number]) for number in telling or failing]
        return verdict_on(exercise, *smallest(exercise, call, failures, mistake), idea, where)


def verdict_on(exercise, input, complaint, idea=None, where=None):
    return Verdict(
        exercise.name,
        complaint.status,
        complaint.message,
        dict(zip(exercise.parameters, input.arguments, strict=True)),
        complaint.returned,
        formatted(input.expected),
        complaint.printed,
        idea,
        where,
    )


class Complaint(NamedTuple):
    """What is wrong with an outcome: status is "right" if nothing is."""

    status: str
    message: str = ""
    returned: str | None = None
    printed: str = ""


def complaint_about(exercise, outcome, expected):
    if outcome.kind != "returned":
        return Complaint(outcome.kind, outcome.words, printed=outcome.printed)
    message = difference(outcome.value, expected)
    if message is None and outcome.changed is not None:
        name = exercise.parameters[outcome.changed]
        message = f"{RIGHT_BUT}it changed its argument `{name}`; work on a copy."
    if message is None:
        return Complaint("right", printed=outcome.printed)
    if outcome.value is None and outcome.printed:
        message = "It printed something and returned `None`; the answer must be returned."
    return Complaint("wrong", message, formatted(outcome.value), outcome.printed)


def difference(returned, expected):
    """How an answer differs from the expected one, in words; None if it does not. Lists and tuples are fine."""
    expected = np.asarray(expected)
    if returned is None:
        return "It returned `None`: is the `return` missing?"
    try:
        value = np.asarray(returned)
    except ValueError:
        return "It returned lists of different lengths; they do not make an array."
    whole = expected.dtype.kind in "iu" and expected.size > 0
    if value.dtype.kind not in "iuf":
        what = described(returned) if value.dtype.kind in "OU" else f"values of type {value.dtype}"
        return f"It returned {what}; a number, or a list or an array of numbers is asked for."
    if value.shape != expected.shape:
        return f"The answer has shape {value.shape}; the expected shape is {expected.shape}."
    digits = 1e-7 if value.dtype.itemsize >= 8 or value.dtype.kind != "f" else 1e-5
    if not np.allclose(value, expected, rtol=digits, atol=digits, equal_nan=True):
        return "The answer has wrong values on this input."
    if whole and value.dtype.kind == "f":
        return f"{RIGHT_BUT}it is made of floats. Whole numbers are asked for: `//` divides without a remainder."
    return None


def described(value):
    """What kind of thing a value is, with its article."""
    name = value.name if isinstance(value, Other) else type(value).__name__
    return name if " " in name else f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"


def formatted(value):
    if isinstance(value, np.ndarray):
        return np.array2string(value, separator=", ", precision=6, suppress_small=True)
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return f"{value:.6g}"
    if type(value) is list:
        return f"[{', '.join(map(formatted, value))}]"
    if type(value) is tuple:
        return f"({', '.join(map(formatted, value))}{',' if len(value) == 1 else ''})"
    return getattr(value, "__name__", None) or repr(value)


# -------------------------------------------------------------------------------- why it fails, and where it is seen


def mistaken_idea(exercise, outcomes, failing, passing):
    """Return (what to say, the mistaken function) of the idea that explains a failure best; (None, None) if none does.

    It must be wrong where the attempt is wrong, and in the same way: each sampled input that either gets wrong counts.
    """
    fails = spread(failing)
    found, most = (None, None), ALIKE
    for idea, mistake in exercise.mistakes:
        agree, left = 0, len(fails)
        for number in fails:
            outcome, is_wrong = mistaken_outcome(exercise, mistake, number)
            agree, left = agree + (is_wrong and alike(outcomes[number], outcome)), left - 1
            if agree + left <= most * len(fails):
                break  # it cannot come to explain more than what was found already
        else:
            wrong = len(fails) + sum(mistaken_outcome(exercise, mistake, number)[1] for number in spread(passing))
            if agree > most * wrong:
                found, most = (idea, mistake), agree / wrong
    return found


@cache
def mistaken_outcome(exercise, mistake, number):
    """Return what a mistake makes of an input, and whether that is wrong."""
    input = inputs_of(exercise)[number]
    outcome = Here(mistake)(input.arguments)
    return outcome, complaint_about(exercise, outcome, input.expected).status != "right"


def spread(numbers):
    return numbers[:: len(numbers) // SAMPLE + 1]


def alike(a, b):
    """Whether two calls ended alike: with the same answer, or with the same error and message."""
    if a.kind != b.kind or a.kind != "returned":
        return a.kind == b.kind == "crashed" and a.error == b.error
    try:
        return a.value is not None and b.value is not None and difference(a.value, np.asarray(b.value)) is None
    except ValueError:
        return False


def smallest(exercise, call, failures, mistake):
    """Return the smallest input found that fails, of a kind that is shown if there is one, and what is wrong there.

    It fails in one manner throughout, and by the mistake, if that is known. What is returned has been seen: an attempt
    may answer differently when it is called again.
    """
    failures = sorted(failures, key=lambda failure: (not exercise.shown(*failure[0].case), size(failure[0].case)))

    def failure(case):
        input = solved(exercise, case)
        if input is None:
            return None
        outcome = call(input.arguments)
        complaint = complaint_about(exercise, outcome, input.expected)
        explained = mistake is None or alike(outcome, Here(mistake)(input.arguments))
        return (input, complaint) if complaint.status != "right" and explained else None

    start = next(filter(None, (failure(input.case) for input, _ in failures)), failures[0])
    found = [start]

    def fails(case):
        seen = failure(case)
        same = seen and manner(seen[1]) == manner(start[1]) and exercise.shown(*case) == exercise.shown(*start[0].case)
        if same:
            found.append(seen)
        return same

    shrink(start[0].case, fails)
    return found[-1]


def manner(complaint):
    """How an attempt fails, the numbers and places aside: its first words say it."""
    return complaint.status, complaint.message.split()[:4]


def shared_circumstance(exercise, failing, passing):
    """Return under which circumstance an attempt fails more often than not, in words; None if none tells it apart."""
    inputs, found, most = inputs_of(exercise), None, CONTRAST
    for words, has in exercise.circumstances.items():
        fails, works = ([bool(has(*inputs[number].arguments)) for number in some] for some in (failing, passing))
        here, elsewhere = (fails + works).count(True), (fails + works).count(False)
        if not here or not elsewhere:
            continue
        contrast = fails.count(True) / here - fails.count(False) / elsewhere
        if contrast > most:
            found, most = f"It fails on {len(fails)} of {here + elsewhere} inputs. Each of them has {words}.", contrast
            if not all(fails):
                found = (
                    f"It fails on {fails.count(True)} of {here} inputs with {words}, and on {fails.count(False)} of "
                )
                found += f"{elsewhere} others."
    return found
