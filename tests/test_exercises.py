"""The checks, checked: right answers of several styles pass, every wrong one is caught, and given the right idea."""

import ast
import itertools
import linecache
import math

import numpy as np
import pytest
from wrong_answers import RIGHT, WRONG

from poolref.teaching.attempts.exercise import KINDS, Design
from poolref.teaching.attempts.judging import alike, complaint_about, inputs_of, judge, manner, solved
from poolref.teaching.attempts.running import Here
from poolref.teaching.attempts.shrinking import size
from poolref.teaching.attempts.stubs import definition, gap_paths, replaced
from poolref.teaching.exercises import EXERCISES

FUNCTIONS = {name: exercise for name, exercise in EXERCISES.items() if exercise.kind != "design"}
FADED = {name: exercise for name, exercise in EXERCISES.items() if exercise.kind == "faded"}
FEWEST = {"worked": 10, "faded": 10, "open": 15, "design": 10}


def attempt_of(exercise, answer):
    """The function (or design) that an answer in a bank stands for. Gaps are filled as readers do it, in the source."""
    if exercise.kind != "faded" or not isinstance(answer, dict):
        return answer
    stub = definition(exercise.given)
    code = dict(enumerate(exercise.gaps, 1)) | answer
    source = ast.unparse(replaced(stub, dict(zip(gap_paths(stub), code.values(), strict=True))))
    file = f"<{exercise.name} {answer}>"
    linecache.cache[file] = len(source), None, source.splitlines(keepends=True), file
    made = {}
    exec(compile(source, file, "exec"), exercise.given.__globals__, made)
    return made[stub.name]


def case_of(exercise, verdict):
    """The case that a verdict shows: the arguments less the gradient that arrives, which follows from the others."""
    return tuple(verdict.inputs[name] for name in exercise.parameters if name != "grad_output")


def fails(exercise, attempt, input):
    return complaint_about(exercise, attempt(input.arguments), input.expected).status != "right"


def test_every_exercise_has_a_bank():
    assert RIGHT.keys() == WRONG.keys() == EXERCISES.keys()
    for name, exercise in EXERCISES.items():
        assert len(WRONG[name]) >= FEWEST[exercise.kind] and len(RIGHT[name]) >= 2, name
        assert exercise.objectives, name
    for name, exercise in FADED.items():
        mutated = {number for answer, _ in WRONG[name].values() if isinstance(answer, dict) for number in answer}
        assert mutated == set(range(1, len(exercise.gaps) + 1)), f"{name}: every gap is mutated in the bank"


def test_every_chapter_climbs():
    for chapter, group in itertools.groupby(EXERCISES.values(), lambda exercise: exercise.name.split("/")[0]):
        ladder = [KINDS.index(exercise.kind) for exercise in group]
        assert ladder == sorted(ladder) and set(ladder) == {0, 1, 2, 3}, chapter


@pytest.mark.parametrize("name", EXERCISES)
def test_right_answers_pass(name):
    exercise = EXERCISES[name]
    answers = list(RIGHT[name])
    answers += [] if isinstance(exercise, Design) else [exercise.answer]
    answers += [attempt_of(exercise, {})] if exercise.kind == "faded" else []
    for answer in answers:
        verdict = judge(exercise, attempt_of(exercise, answer), Here)
        assert verdict.passed, verdict


@pytest.mark.parametrize(("name", "bug"), [(name, bug) for name, bugs in WRONG.items() for bug in bugs])
def test_wrong_answers_are_caught_and_get_the_right_idea(name, bug):
    exercise, (answer, idea) = EXERCISES[name], WRONG[name][bug]
    attempt = attempt_of(exercise, answer)
    verdict = judge(exercise, attempt, Here)
    assert verdict.status in ("wrong", "crashed") and verdict.message, verdict
    assert (verdict.idea is None) if idea is None else (idea in (verdict.idea or "")), verdict
    if verdict.idea and name in FUNCTIONS:  # the input that is shown goes wrong by this idea
        shown = tuple(verdict.inputs.values())
        mistakes = [mistake for words, mistake in exercise.mistakes if words == verdict.idea]
        by_mistake = any(alike(Here(attempt)(shown), Here(mistake)(shown)) for mistake in mistakes)
        assert by_mistake or verdict.idea in exercise.gap_ideas, verdict
    if name in FUNCTIONS:  # no input tried is of a kind that is rather shown, or has fewer cells, and fails like this
        case = case_of(exercise, verdict)
        for input in inputs_of(exercise):
            if (not exercise.shown(*input.case), size(input.case)[0]) < (not exercise.shown(*case), size(case)[0]):
                complaint = complaint_about(exercise, Here(attempt)(input.arguments), input.expected)
                assert manner(complaint) != manner(verdict), (input, verdict)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_wrong_idea_is_recognised(name):
    exercise = EXERCISES[name]
    for idea, mistake in exercise.mistakes:
        verdict = judge(exercise, lambda *arguments: mistake(*arguments), Here)  # noqa: B023
        assert verdict.idea == idea, verdict


@pytest.mark.parametrize("name", FADED)
def test_whatever_stands_in_a_gap_is_caught(name):
    """Names and numbers at hand, and the right code with a slip."""
    exercise = EXERCISES[name]
    slips = ["({}) + 1", "({}) - 1", "-({})", "2 * ({})", "({}) // 2"]
    for number, right in enumerate(exercise.gaps, 1):
        code = {*exercise.parameters, "0", "1", "2", *(slip.format(right) for slip in slips)}
        for wrong in sorted(code - {right}):
            attempt = Here(exercise.filled({number: wrong}))
            assert any(fails(exercise, attempt, input) for input in inputs_of(exercise)), (
                f"gap {number}: {wrong} passes"
            )


@pytest.mark.parametrize("bug", WRONG["max-pooling/backward"])
def test_no_smaller_map_fails(bug):
    """The smallest input is the smallest: on no map with fewer cells of -1, 0 and 1 does the attempt fail."""
    exercise = EXERCISES["max-pooling/backward"]
    attempt = WRONG["max-pooling/backward"][bug][0]
    verdict = judge(exercise, attempt, Here)
    shown = case_of(exercise, verdict)
    windows = list(itertools.product((1, 2, 3), (1, 2, 3)))
    for shape in itertools.product((1, 2, 3, 4), repeat=2):
        if math.prod(shape) < verdict.inputs["x"].size and not (min(shape) == 1 and exercise.shown(*shown)):
            for values in itertools.product([-1.0, 0.0, 1.0], repeat=math.prod(shape)):
                for window in windows:
                    case = np.reshape(values, shape), *window
                    input = exercise.shown(*case) == exercise.shown(*shown) and solved(exercise, case)
                    assert not input or not fails(exercise, Here(attempt), input), input
