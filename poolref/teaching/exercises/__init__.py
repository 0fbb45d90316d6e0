"""Exercises that answer a wrong attempt with the smallest input it fails on.

The exercises of a chapter are one short file here, named after it. To add one, append to its list:

    def max_pool_2d(x, kernel_size, stride, padding):
        '''The task, in one sentence.'''
        return max_pool(x, Window(kernel_size, stride, padding))  # the right answer; ValueError for input that is none

    Exercise(
        "max-pooling/forward",
        "worked",  # or "faded", "open"
        max_pool_2d,
        cases,  # a function that yields argument tuples, small ones first
        ideas={"Padding is -inf, not 0.": a_function_that_computes_with_the_wrong_idea},
    )

An idea is shown to the reader whose attempt gives, on the failing input, what the wrong idea gives.
"""

import inspect
import pkgutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from importlib import import_module


@dataclass(frozen=True)
class Exercise:
    """One exercise.

    Args:
        name: "chapter/exercise".
        kind: "worked", "faded" or "open".
        answer: the reference; its signature is the reader's, its docstring the task.
        cases: a function that yields tuples, small ones first, each one input.
        ideas: what to say -> a function that is wrong in just that way.
        arguments: makes the answer's arguments of a case, where one follows from another (a gradient's shape).
    """

    name: str
    kind: str
    answer: Callable
    cases: Callable[[], Iterable[tuple]]
    ideas: dict[str, Callable] = field(default_factory=dict)
    arguments: Callable[..., tuple] = lambda *case: case

    def solved(self, case):
        """(arguments, right answer) of a case; None if the case is no input of this exercise."""
        try:
            arguments = self.arguments(*case)
            return arguments, self.answer(*arguments)
        except ValueError:
            return None

    @property
    def task(self):
        return inspect.getdoc(self.answer)

    @property
    def signature(self):
        return f"{self.answer.__name__}{inspect.signature(self.answer)}"

    @property
    def parameters(self):
        return list(inspect.signature(self.answer).parameters)


from poolref.teaching.exercises.checking import check  # noqa: E402
from poolref.teaching.exercises.running import blank  # noqa: E402

EXERCISES = {
    exercise.name: exercise
    for module in pkgutil.iter_modules(__path__)
    for exercise in getattr(import_module(f"{__name__}.{module.name}"), "EXERCISES", ())
}

__all__ = ["EXERCISES", "Exercise", "blank", "check"]
