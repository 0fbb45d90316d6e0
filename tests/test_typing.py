"""What editors and help() see of the torch column: real parameters, real types, real sources."""

import ast
import inspect
import re
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

import poolref
import poolref.torch
from poolref.torch import functional

MISTAKES = Path(__file__).with_name("planted_mistakes.py")


@pytest.fixture(scope="module")
def marked():
    """The lines of the file that mypy finds a mistake in."""
    command = [sys.executable, "-m", "mypy", "--follow-imports=silent", "--no-error-summary", MISTAKES.name]
    run = subprocess.run(command, cwd=MISTAKES.parent, capture_output=True, text=True)
    assert run.returncode in (0, 1) and not run.stderr, run.stdout + run.stderr  # 1 also says that mypy is missing
    return {int(line) for line in re.findall(rf"^{MISTAKES.name}:(\d+): error", run.stdout, re.MULTILINE)}


def test_mypy_marks_every_planted_mistake_and_nothing_else(marked):
    lines = MISTAKES.read_text().splitlines()
    planted = {i for i, line in enumerate(lines, 1) if line.endswith("# wrong")}
    assert len(planted) > 10
    assert marked == planted


def test_the_types_are_shipped():
    assert Path(poolref.__file__).with_name("py.typed").exists()


@pytest.mark.parametrize("name", poolref.torch.__all__)
def test_sources_of_classes(name):
    value = getattr(poolref.torch, name)
    if inspect.isclass(value):
        assert inspect.getsource(value).startswith(f"class {name}(")


@pytest.mark.parametrize("name", functional.__all__)
def test_signatures_of_functions(name):
    """Every parameter has a name and a type, and the source is that of a function."""
    function = getattr(functional, name)
    parameters = inspect.signature(function).parameters.values()
    assert all(p.kind is p.POSITIONAL_OR_KEYWORD and p.annotation is not p.empty for p in parameters)
    assert inspect.signature(function).return_annotation not in (inspect.Signature.empty, "T")
    source = inspect.getsource(function)
    assert isinstance(ast.parse(dedent(source)).body[0], ast.FunctionDef)
