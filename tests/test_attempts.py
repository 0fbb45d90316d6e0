"""What becomes of an attempt, whatever it does: stubs, gaps, crashes, endless loops, prints, threads, notebooks."""

import contextlib
import itertools
import math
import os
import queue
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient

from poolref.teaching.attempts import judging, running
from poolref.teaching.attempts.checking import check, html, solves, text
from poolref.teaching.attempts.exercise import Exercise
from poolref.teaching.attempts.judging import judge
from poolref.teaching.attempts.running import Here, Process
from poolref.teaching.attempts.shrinking import shrink
from poolref.teaching.attempts.worker import Other, packed, unpacked
from poolref.teaching.exercises import EXERCISES


@pytest.fixture(autouse=True)
def one_second_is_long_enough(monkeypatch):
    monkeypatch.setattr(running, "SECONDS", 1.0)


# ------------------------------------------------------------------------------------- an exercise to try things on


def largest(x):
    """Return the largest number of a list."""
    return max(x)


def lists():
    return (([float(v) for v in values],) for values in ([1], [-1], [1, 2], [2, 1], [-1, -2], [3, 1, 2]))


def first_of(x):
    return x[0]


LARGEST = Exercise(
    "test/largest",
    "open",
    ("compare",),
    largest,
    lists,
    ideas={"This is the first number.": first_of, "A maximum does not start from 0.": lambda x: max([0.0, *x])},
    circumstances={"a negative number": lambda x: min(x) < 0, "two numbers or more": lambda x: len(x) > 1},
)


def scale(x, factor):
    """Return the number times the factor, plus one."""
    return x * factor + 1


def scale_with_gaps(x, factor):
    """Stands in a notebook without this docstring."""
    product = x * ...
    return product + ...


SCALE = Exercise(
    "test/scale",
    "faded",
    ("compute",),
    scale,
    lambda: ((float(x), float(f)) for x in range(-2, 3) for f in range(4)),
    given=scale_with_gaps,
    gaps=("factor", "1"),
    ideas={"The number is multiplied by itself.": {1: "x"}, "The one is missing.": {2: "0"}},
)


def minimum(x):
    """Return the smallest number of a list."""
    return min(x)


SMALLEST = Exercise("test/smallest", "worked", ("change",), minimum, lists, given=largest)


# ------------------------------------------------------------------------------------------------ stubs and gaps


def empty_docstring(x):
    """Return the largest number of a list."""


def empty_dots(x): ...


def empty_pass(x):
    pass


def empty_none(x):
    return None


def empty_error(x):
    raise NotImplementedError("yours to write")


@pytest.mark.parametrize("stub", [empty_docstring, empty_dots, empty_pass, empty_none, empty_error, None, ...])
def test_an_empty_function_is_not_attempted(stub):
    verdict = judge(LARGEST, stub)
    assert verdict.status == "not attempted" and not verdict.passed
    assert "largest(x)" in verdict.message and "Return the largest number" in verdict.message


def gap_1(x, factor):
    product = x * ...
    return product + ...


def gap_filled_rightly(x, factor):
    product = x * factor
    return product + ...


def gap_filled_wrongly(x, factor):
    product = x * x
    return product + ...


def second_gap_filled(x, factor):
    product = x * ...
    return product + 0


def all_gaps_filled(x, factor):
    product = x * factor
    return product + 1


def rewritten_with_a_gap(x, factor):
    number = ...
    return number * factor


def test_gaps_are_counted_and_what_is_filled_in_is_judged():
    assert judge(SCALE, gap_1).status == "not attempted"
    assert judge(SCALE, all_gaps_filled).passed
    right = judge(SCALE, gap_filled_rightly)
    assert (right.status, right.message) == (
        "unfinished",
        "What you have filled in is right. 1 `...` is still to be filled in.",
    )
    wrong = judge(SCALE, gap_filled_wrongly)
    assert wrong.status == "unfinished" and wrong.idea == "The number is multiplied by itself."
    assert "not right yet" in wrong.message and wrong.inputs
    assert judge(SCALE, second_gap_filled).idea == "The one is missing."
    own = judge(SCALE, rewritten_with_a_gap)
    assert own.status == "unfinished" and own.message == "1 `...` is still to be filled in."


def both_gaps_wrong(x, factor):
    product = x * 2
    return product + x


def one_of_two_gaps_wrong(x, factor):
    product = x * (factor + 1)
    return product + 1


def changed_outside_the_gaps(x, factor):
    product = x + 2
    return product + x


def test_gaps_that_are_wrong_are_named():
    both = judge(SCALE, both_gaps_wrong)
    assert both.where == "Not right yet: gap 1, `2`; gap 2, `x`." and both.idea is None
    one = judge(SCALE, one_of_two_gaps_wrong)
    assert one.where == "Not right yet: gap 1, `factor + 1`. The other gaps are right."
    assert judge(SCALE, changed_outside_the_gaps).where is None
    told = replace(SCALE, gap_ideas=("By the factor.", "Plus one."))
    assert judge(told, both_gaps_wrong).idea == "By the factor."
    assert judge(told, gap_filled_wrongly).idea == "The number is multiplied by itself.", "an idea explains more"


def test_dots_in_an_index_are_no_gap():
    def attempt(x):
        return float(np.array(x)[..., :].max())

    def with_gap_in_a_value(x):
        index = (..., slice(None))
        return float(np.array(x)[index].max())

    assert judge(LARGEST, attempt).passed
    assert judge(LARGEST, with_gap_in_a_value).passed


def copied(x):
    # a comment is no change
    return max(x)


def still_the_same(x):
    return sorted(x)[-1]


def changed(x):
    return min(x)


def test_a_worked_solution_is_attempted_once_it_is_changed():
    assert judge(SMALLEST, copied).status == "not attempted"
    assert judge(SMALLEST, largest).status == "not attempted"
    assert judge(SMALLEST, still_the_same).idea == "It still gives what it gave before the change."
    assert judge(SMALLEST, changed).passed


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"kind": "hard"}, "kind must be one of"),
        ({"given": largest}, "given is what a worked or a faded exercise starts from"),
        ({"kind": "faded", "given": largest}, "0 are there"),
        ({"kind": "faded", "given": scale_with_gaps, "gaps": ("1",)}, "2 are there"),
        ({"kind": "worked", "given": scale_with_gaps}, "2 are there"),
        ({"gap_ideas": ("one",)}, "0 are there"),
    ],
)
def test_an_exercise_that_contradicts_itself_is_refused(changes, words):
    with pytest.raises(ValueError, match=words):
        Exercise(**{**vars(LARGEST), **changes})


# ------------------------------------------------------------------------------------------- right, wrong, and why


def test_an_idea_is_shown_with_an_input_on_which_it_goes_wrong():
    verdict = judge(LARGEST, lambda x: x[0])
    assert (verdict.status, verdict.idea, verdict.where) == ("wrong", "This is the first number.", None)
    assert verdict.inputs["x"] == [0.0, 1.0] and (verdict.returned, verdict.expected) == ("0", "1")
    verdict = judge(LARGEST, lambda x: max([0.0, *x]))
    assert verdict.idea == "A maximum does not start from 0." and verdict.inputs["x"] == [-1.0]


def test_no_idea_explains_a_right_answer():
    def spoils(x):
        top = max(x) if len(x) < 3 else 77.0
        x.append(0)
        return top

    def returns_a_list(x):
        return [max(x)]

    assert judge(LARGEST, spoils).idea is None, "its answers are those of an idea where that is right"
    assert judge(LARGEST, returns_a_list).idea is None


def test_a_crash_with_other_words_is_no_such_mistake():
    def empty(x):
        return max([] if len(x) > 1 else x)

    def own_error(x):
        if len(x) > 1:
            raise ValueError("not yet")
        return x[0]

    exercise = replace(LARGEST, ideas={"Nothing is left to compare.": empty})
    assert judge(exercise, lambda x: empty(x)).idea == "Nothing is left to compare."
    assert judge(exercise, own_error).idea is None


def test_inputs_of_a_kind_that_is_shown_are_preferred():
    exercise = replace(LARGEST, shown=lambda x: len(x) > 1)
    assert len(judge(LARGEST, lambda x: 77.0).inputs["x"]) == 1
    assert len(judge(exercise, lambda x: 77.0).inputs["x"]) == 2
    assert len(judge(exercise, lambda x: max(x) if len(x) > 1 else 77.0).inputs["x"]) == 1, "it fails on no other"


def test_shrinking_keeps_the_complaint():
    def two_ways(x):
        return [max(x)] if len(x) > 1 else 77.0

    verdict = judge(replace(LARGEST, ideas={}, cases=lambda: (([1.0, 2.0],),)), two_ways)
    assert "shape (1,)" in verdict.message and len(verdict.inputs["x"]) == 2


def test_an_answer_that_changes_from_call_to_call_is_wrong():
    calls = []

    def wavering(x):
        calls.append(x)
        return 77.0 if len(calls) == 2 else max(x)

    verdict = judge(LARGEST, wavering, Here)
    assert (verdict.status, verdict.returned) == ("wrong", "77")


def test_without_an_idea_the_reader_learns_what_the_failing_inputs_share():
    verdict = judge(LARGEST, lambda x: max(x) if len(x) < 2 else 77.0)
    assert verdict.idea is None
    assert verdict.where == "It fails on 4 of 6 inputs. Each of them has two numbers or more."
    mostly = judge(LARGEST, lambda x: 77.0 if min(x) < 0 or len(x) > 2 else max(x))
    assert mostly.where == "It fails on 2 of 2 inputs with a negative number, and on 1 of 4 others."
    assert judge(LARGEST, lambda x: 77.0).where is None, "nothing tells failing inputs apart if all fail"


@pytest.mark.parametrize(
    ("attempt", "status", "words"),
    [
        (lambda x: None, "wrong", "is the `return` missing?"),
        (lambda x: (v for v in x), "wrong", "It returned a generator"),
        (lambda x: set(x), "wrong", "It returned a set; a number, or a list or an array of numbers"),
        (lambda x: "4", "wrong", "It returned a str"),
        (lambda x: {"a": 1}, "wrong", "It returned a dict"),
        (lambda x: [[1], [1, 2]], "wrong", "lists of different lengths"),
        (lambda x: np.array(max(x), complex), "wrong", "values of type complex128"),
        (lambda x: np.array(["a"]), "wrong", "values of type <U1"),
        (lambda x: max(x) > 0, "wrong", "values of type bool"),
        (lambda x: [max(x)], "wrong", "shape (1,); the expected shape is ()"),
        (lambda x: x.sort() or x[-1], "wrong", "changed its argument `x`"),
        (lambda x: 1 / 0, "crashed", "ZeroDivisionError"),
        (lambda: 1, "crashed", "TypeError"),
        (lambda x: sys.exit(), "crashed", "It ended with `sys.exit`"),
        (lambda x: input("? "), "crashed", "nobody is there to answer `input()`"),
        (42, "wrong", "this is an int"),
    ],
)
@pytest.mark.parametrize("run", [Here, Process])
def test_anything_else_is_answered_in_words(attempt, status, words, run):
    verdict = judge(LARGEST, attempt, run)
    assert (verdict.status, verdict.passed) == (status, False)
    assert words in verdict.message


def test_whole_numbers_are_asked_for_where_the_answer_is_whole():
    exercise = Exercise("test/count", "open", ("count",), len, lambda: (([1, 2],),))
    assert "it is made of floats" in judge(exercise, lambda obj: float(len(obj))).message


def test_an_exception_names_the_line_and_shows_it():
    def attempt(x):
        number = max(x)
        return number / (number - number)

    message = judge(LARGEST, attempt).message
    line = attempt.__code__.co_firstlineno + 2
    assert f"in line {line}, `return number / (number - number)`: float division by zero" in message


def test_shrinking_stops_at_the_smallest():
    enough = shrink((np.full((4, 5), 7.0), 3), lambda case: case[0].size >= 6 and case[1] >= 2)[0]
    assert enough.shape in ((2, 3), (3, 2))
    assert shrink(([5.0, -2.0, 9.0],), lambda case: any(v > 1 for v in case[0]))[0] == [2.0]


# --------------------------------------------------------------------------------- attempts that do not come back


def endless(x):
    while True:
        pass


def endless_and_stubborn(x):
    while True:
        with contextlib.suppress(BaseException):
            time.sleep(1)


def endless_in_c(x):
    return sum(itertools.repeat(0))


def endless_prints(x):
    while True:
        print("and again")


def endless_on_the_second(x):
    while len(x) > 1:
        pass
    return x[0]


def waits_for_a_thread(x):
    thread = threading.Thread(target=endless, args=(x,))
    thread.start()
    thread.join()


@pytest.mark.parametrize(
    "attempt",
    [endless, endless_and_stubborn, endless_in_c, endless_prints, endless_on_the_second, waits_for_a_thread],
)
def test_what_does_not_end_is_stopped_at_once(attempt):
    start = time.monotonic()
    verdict = judge(LARGEST, attempt)
    assert verdict.status == "endless" and "did not come to an end within 1 seconds" in verdict.message
    assert time.monotonic() - start < 20, "one wait, and the start of a process on a busy machine"
    assert len(verdict.inputs["x"]) == (2 if attempt is endless_on_the_second else 1)
    assert len(verdict.printed) < 3000 and ("and again" in verdict.printed) == (attempt is endless_prints)


def test_many_slow_calls_are_too_slow(monkeypatch):
    monkeypatch.setattr(judging, "ALL_SECONDS", 0.2)
    verdict = judge(LARGEST, lambda x: time.sleep(0.1) or max(x), Here)
    assert verdict.status == "endless" and "It is too slow." in verdict.message


def ends_python(x):
    os._exit(0)


def leaves_a_thread(x):
    threading.Thread(target=endless, args=(x,)).start()
    return max(x)


def calls_itself(x):
    return calls_itself(x)


def test_the_same_crash_is_not_waited_for_on_all_inputs(monkeypatch):
    many = replace(LARGEST, cases=lambda: (([float(n)],) for n in range(1000)))
    calls = []

    def crashes(x):
        calls.append(x)
        time.sleep(0.01)
        raise ValueError("as always")

    monkeypatch.setattr(judging, "CRASHING", 0.1)
    assert judge(many, crashes, Here).status == "crashed"
    assert len(calls) < 100


def test_the_end_of_python_is_not_the_end_of_the_check():
    assert judge(LARGEST, ends_python).status == "ended"
    assert judge(LARGEST, leaves_a_thread).passed
    assert "It called itself without end" in judge(LARGEST, calls_itself).message


def test_nothing_is_left_running():
    with Process(first_of) as call:
        assert call(([1.0],)).value == 1.0
        process_id = call.process.pid
        os.kill(process_id, 0)
    with pytest.raises(ProcessLookupError):
        os.kill(process_id, 0)


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone ends a process with its parent")
def test_the_process_ends_with_its_kernel(tmp_path):
    """The kernel is killed during an endless call, so that nobody is left to stop it or to close the pipe."""
    note, program = (
        tmp_path / "process id",
        """
import itertools, os, pathlib, sys
from poolref.teaching.attempts import running
running.SECONDS = 600
note = pathlib.Path(sys.argv[1])
def attempt(x):
    note.write_text(str(os.getpid()))
    return sum(itertools.repeat(0))
with running.Process(attempt) as call:
    call(([1.0],))
""",
    )

    def wait_for(happened):
        deadline = time.monotonic() + 50
        while not happened() and time.monotonic() < deadline:
            time.sleep(0.05)
        return happened()

    def is_over():
        with contextlib.suppress(FileNotFoundError):
            return Path(f"/proc/{id}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
        return True

    kernel = subprocess.Popen([sys.executable, "-c", program, str(note)])
    assert wait_for(lambda: note.exists() and note.read_text())
    id = int(note.read_text())
    assert not is_over()
    kernel.kill()
    kernel.wait()
    assert wait_for(is_over)


@pytest.mark.parametrize("attempt", [lambda x: sum(itertools.repeat(0)), max], ids=["busy", "idle"])
def test_an_orphan_ends_by_itself(attempt):
    """Where no signal comes and the pipe stays open, the process still does not outlive its clock."""
    import cloudpickle

    source = running.WORKER.read_text().replace("ORPHANED = 60.0", "ORPHANED = 1.0")
    worker = subprocess.Popen([sys.executable, "-c", source], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    for data in (sys.path, attempt, ([1.0],)):
        running.worker.send(worker.stdin, cloudpickle.dumps(data))
    assert worker.wait(timeout=60) != 0
    worker.stdin.close()
    worker.stdout.close()


def test_a_check_in_a_thread():
    verdicts = queue.SimpleQueue()
    thread = threading.Thread(target=lambda: verdicts.put(judge(LARGEST, endless_in_c)))
    thread.start()
    assert verdicts.get(timeout=60).status == "endless"
    thread.join()


# --------------------------------------------------------------------------------- what an attempt brings with it


def test_an_attempt_may_use_closures_globals_and_modules():
    start = -math.inf
    seen = []

    def helper(a, b):
        seen.append(a)
        return np.maximum(a, b)

    def attempt(x):
        top = start
        for value in x:
            top = helper(top, value)
        return top

    assert judge(LARGEST, attempt).passed
    assert seen == [], "it runs elsewhere, and changes nothing here"


def test_what_cannot_be_handed_over_is_named():
    lock = threading.Lock()

    def attempt(x):
        with lock:
            return max(x)

    assert "cannot be handed to the process" in judge(LARGEST, attempt).message


def prints(x):
    print("max of", x)
    print("to stderr", file=sys.stderr)
    return max(x)


def prints_instead(x):
    print(max(x))


def prints_much(x):
    print("x" * 10_000_000)
    return 0.5


def test_what_is_printed_is_shown():
    verdict = judge(LARGEST, prints)
    assert verdict.passed and verdict.printed == "max of [1.0]\nto stderr\n"
    assert "printed on the first input: max of [1.0]" in text(verdict)
    verdict = judge(LARGEST, prints_instead)
    assert verdict.message.startswith("It printed something and returned `None`") and verdict.printed == "0.0\n"
    assert len(judge(LARGEST, prints_much).printed) < 2100


@pytest.mark.parametrize(
    "value",
    [None, True, 3, 10**50, 0.5, "text", [1, [2.0, None]], (1, "a"), np.arange(6.0).reshape(2, 3), np.int32(3)],
)
def test_values_come_back_as_they_were(value):
    back = unpacked(running.json.loads(running.json.dumps(packed(value))))
    assert type(back) is type(value)
    np.testing.assert_equal(back, value)
    assert getattr(back, "dtype", None) == getattr(value, "dtype", None)


def test_special_numbers_and_foreign_things_come_back():
    back = unpacked(running.json.loads(running.json.dumps(packed([math.nan, math.inf, np.array([-math.inf])]))))
    assert math.isnan(back[0]) and back[1] == math.inf and back[2][0] == -math.inf
    for value, name in [(object(), "object"), (10**5000, "int"), (np.zeros(2_000_000), "an array of 2000000 cells")]:
        back = unpacked(packed(value))
        assert isinstance(back, Other) and back.name == name


def requires_gradient(x):
    import torch  # here, so that no other attempt waits for it

    return torch.tensor(x, dtype=torch.float64, requires_grad=True).amax()


def test_a_tensor_that_requires_a_gradient_is_an_answer():
    assert judge(LARGEST, requires_gradient, Here).passed


# -------------------------------------------------------------------------------------------------- what is shown


def test_the_verdict_is_safe_html():
    def crashes(x):
        print("<b>")
        raise ValueError("<script>alert(1)</script>")

    shown = html(judge(LARGEST, crashes))
    assert "<script>" not in shown and "&lt;script&gt;" in shown and "&lt;b&gt;" in shown


def test_a_design_shows_what_is_met_and_what_is_not():
    verdict = judge(EXERCISES["windows/stack"], [(3, 2, 1)] * 3 + [(3, 1, 1)])
    assert "✗ at most 6,000 operations" in text(verdict) and "✓ an output of 7 × 7" in text(verdict)
    assert html(verdict).count('<li class="met">') == 4 and html(verdict).count('<li class="missed">') == 1
    for nothing in (None, ...):
        assert judge(EXERCISES["windows/stack"], nothing).status == "not attempted"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (np.int64(3), "3"),
        (np.float64(0.5), "0.5"),
        (max, "max"),
        (np.array([1.0, 2.5]), "[1. , 2.5]"),
        ([np.float64(0), [1, "a"]], "[0, [1, 'a']]"),
        ((np.int64(1),), "(1,)"),
        ((), "()"),
    ],
)
def test_numbers_are_shown_plain(value, shown):
    assert judging.formatted(value) == shown


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ((5, 1, 2), "this has 3"),
        ((), "this has 0"),
        (5, "this is a int"),
        ("5120", "this is a str"),
        ({5, 1, 2, 0.5}, "this is a set"),
        ((5, 1, 2, "0.5"), "threshold is '0.5', which is not a number"),
        ((5, 1, 2, math.nan), "threshold is nan, which is not a number"),
        (((5, 5), (1, 1), (2, 2), 0.5), r"kernel_size is (5, 5), which is not a number"),
        ((5, 1.5, 2, 0.5), "stride is 1.5, which is not whole"),
        ((math.inf, 1, 2, 0.5), "kernel_size is inf, which is not whole"),
        ((10**9 + 1, 1, 5 * 10**8, 0.5), "does not fit a map of 12 × 12"),
    ],
)
def test_settings_that_are_no_design_are_refused_in_words(settings, words):
    verdict = judge(EXERCISES["max-pooling/peaks"], settings)
    assert verdict.status == "wrong" and words in verdict.message, verdict


def test_the_cell_that_is_named_is_the_one_that_the_idea_is_about():
    verdict = judge(EXERCISES["max-pooling/peaks"], (3, 1, 1, 0))
    assert "Noise" in verdict.idea and "(2, 6)" not in verdict.demands[-1].found


def test_check_displays_and_solves_does_not(capsys):
    assert check("windows/receptive-field", lambda layers: 0).status == "wrong"
    assert capsys.readouterr().out.startswith("windows/receptive-field: ")
    assert solves("windows/receptive-field", EXERCISES["windows/receptive-field"].answer)
    assert not solves("windows/receptive-field", lambda layers: 0)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("function", [check, solves])
def test_an_unknown_exercise_is_an_error(function):
    with pytest.raises(ValueError, match=r"name must be one of .*max-pooling/forward.*, got 'max'"):
        function("max", largest)


def test_in_a_notebook():
    """Closures and notebook globals, prints, a stub, an endless loop in C, and a solution that shows nothing."""
    cells = [
        "import itertools\nimport numpy as np\nfrom poolref.teaching import check, solves\nnorm = 0.5",
        "def attempt(x):\n    ...",
        "check('what-pooling-does/two-by-two', attempt)",
        "def attempt(x):\n    return sum(itertools.repeat(0))",
        "assert not check('what-pooling-does/two-by-two', attempt).passed",
        "def squares(x):\n    return x**2\n\ndef solution(x):\n    print(x.shape)\n"
        "    return squares(x).reshape(len(x) // 2, 2, x.shape[1] // 2, 2).sum(axis=(1, 3)) ** norm",
        "check('what-pooling-does/two-by-two', solution)",
        "assert solves('what-pooling-does/two-by-two', solution)",
        "check('what-pooling-does/two-by-two', lambda x: input())",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in cells])
    NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    shown = ["".join(output["data"]["text/html"] for output in cell.outputs) for cell in notebook.cells]
    assert ["Not attempted yet" in html for html in shown] == [False, False, True] + 6 * [False]
    assert "did not come to an end" in shown[4] and "nobody is there" in shown[8]
    assert "✓ Right." in shown[6] and "(2, 2)" in shown[6]
    assert shown[7] == "" and not notebook.cells[7].outputs


def test_stopping_a_cell_stops_the_check():
    """Jupyter's stop button sends SIGINT to the kernel: the check ends with it, and the kernel lives on."""
    notebook = nbformat.v4.new_notebook()
    client = NotebookClient(notebook, timeout=60, kernel_name="python3", interrupt_on_timeout=True, allow_errors=True)
    endless_cell = (
        "from poolref.teaching.attempts import running, judging\n"
        "running.SECONDS = 1000\n"
        "from poolref.teaching import check\n"
        "def attempt(x):\n    while True: pass\n"
        "check('what-pooling-does/two-by-two', attempt)"
    )
    notebook.cells = [nbformat.v4.new_code_cell(endless_cell), nbformat.v4.new_code_cell("print('alive')")]
    client.timeout = 6
    client.execute()
    assert notebook.cells[0].outputs[-1].ename == "KeyboardInterrupt"
    assert notebook.cells[1].outputs[0].text == "alive\n"
