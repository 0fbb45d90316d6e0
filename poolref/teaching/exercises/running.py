"""Running a reader's attempt: with a time limit, without side effects, and without being hurt by what it does."""

import ast
import copy
import inspect
import io
import signal
import sys
import textwrap
import threading
import time
import traceback
import warnings
from contextlib import redirect_stderr, redirect_stdout
from typing import Any, NamedTuple

import numpy as np

SECONDS = 2.0


class Outcome(NamedTuple):
    """How one call ended: kind is "returned", "crashed" or "endless"; `printed` and `mutated` describe its manners."""

    kind: str
    value: Any = None
    printed: bool = False
    mutated: str | None = None


class TimeUp(BaseException):
    """Raised inside an attempt that takes too long. Not an Exception, so that few attempts can catch it."""


def run(attempt, arguments, names):
    """Call `attempt` on copies of `arguments`; return the Outcome."""
    given = copy.deepcopy(arguments)
    heard = io.StringIO()
    try:
        with (
            redirect_stdout(heard),
            redirect_stderr(io.StringIO()),
            warnings.catch_warnings(),
            np.errstate(all="ignore"),
        ):
            warnings.simplefilter("ignore")
            value = limited(attempt, given)
    except TimeUp:
        return Outcome("endless")
    except (Exception, SystemExit) as error:
        return Outcome("crashed", in_words(error))
    mutated = [name for name, old, new in zip(names, arguments, given, strict=True) if not same(old, new)]
    return Outcome("returned", value, bool(heard.getvalue()), mutated[0] if mutated else None)


def limited(attempt, arguments):
    """Call, and raise TimeUp inside the call once SECONDS have passed."""
    deadline = time.monotonic() + SECONDS

    def raise_when_late(frame, event, argument):
        if event == "line" and time.monotonic() > deadline:
            raise TimeUp
        return raise_when_late

    def alarm(number, frame):
        # The attempt may swallow this one in an `except:`; then the next line it runs raises another.
        sys.settrace(raise_when_late)
        while frame is not None and frame.f_code is not limited.__code__:
            frame.f_trace = raise_when_late
            frame = frame.f_back
        raise TimeUp

    tracer = sys.gettrace()
    if hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread():
        handler = signal.signal(signal.SIGALRM, alarm)
        signal.setitimer(signal.ITIMER_REAL, SECONDS, 0.1)
        try:
            return attempt(*arguments)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            sys.settrace(tracer)
            signal.signal(signal.SIGALRM, handler)
    # Windows, and threads other than the main one, have no alarm: look at the clock before every line, more slowly.
    sys.settrace(raise_when_late)
    try:
        return attempt(*arguments)
    finally:
        sys.settrace(tracer)


def in_words(error):
    lines = [entry.lineno for entry in traceback.extract_tb(error.__traceback__) if entry.filename != __file__]
    place = f" (line {lines[0]} of its cell or file)" if lines else ""
    if isinstance(error, RecursionError):
        return f"It called itself without end{place}."
    return f"It stopped with {type(error).__name__}: {error}{place}."


def same(a, b):
    if isinstance(a, np.ndarray):
        return isinstance(b, np.ndarray) and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
    return a == b or a is b or (a != a and b != b)


def blank(attempt):
    """Whether a function (or its source) is still a stub: nothing but a docstring, `pass`, `return None` or

    `raise NotImplementedError`, or with a `...` left where something is to be filled in.
    """
    if not isinstance(attempt, str):
        try:
            attempt = inspect.getsource(attempt)
        except (OSError, TypeError):
            return False
    try:
        module = ast.parse(textwrap.dedent(attempt))
    except SyntaxError:  # a lambda in the middle of an expression
        return False
    functions = [node for node in module.body if isinstance(node, ast.FunctionDef)]
    return bool(functions) and (all(map(_says_nothing, functions[0].body)) or _has_gap(functions[0]))


def _says_nothing(statement):
    match statement:
        case ast.Pass() | ast.Expr(ast.Constant()) | ast.Return(None | ast.Constant(None)):
            return True
        case ast.Raise(exc):
            return "NotImplementedError" in ast.dump(exc) if exc else False
    return False


def _has_gap(function):
    """Whether a `...` stands anywhere but in an index, where it means all leading axes."""
    indices = {id(n) for s in ast.walk(function) if isinstance(s, ast.Subscript) for n in ast.walk(s.slice)}
    dots = [n for n in ast.walk(function) if isinstance(n, ast.Constant) and n.value is ...]
    return any(id(n) not in indices for n in dots)
