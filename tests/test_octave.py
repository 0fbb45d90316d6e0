"""The MATLAB code of the chapter "Backpropagation", run by GNU Octave and held to poolref on drawn maps."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import nbformat
import numpy as np
import pytest

from poolref.numpy import max_pool, max_pool_backward
from poolref.regions import Window

CHAPTER = Path(__file__).parents[1] / "book" / "backpropagation.ipynb"
RUN = """
for number = 1:{cases}
  load(sprintf("case%d.txt", number));
  x = reshape(x, size_of_x);
  y = max_pool_forward(x, k, s);
  dy = reshape(dy, size(y));
  dx = max_pool_backward(dy, x, k, s);
  file = fopen(sprintf("result%d.txt", number), "w");
  fprintf(file, "%.17g\\n", y(:), dx(:));
  fclose(file);
end
"""


def functions():
    """The functions that the chapter shows, by name."""
    text = "\n".join(c.source for c in nbformat.read(CHAPTER, 4).cells if c.cell_type == "markdown")
    code = re.findall(r"```matlab\n(.*?)```", text, re.DOTALL)
    return {re.match(r"function \w+ = (\w+)\(", part)[1]: part for part in code}


@pytest.fixture
def octave(tmp_path):
    """A function that runs a script beside the chapter's functions, and returns what it prints."""
    program = shutil.which("octave-cli") or shutil.which("octave")
    if program is None:
        missing = "no GNU Octave on this machine (octave-cli, octave); `make test` as root installs it"
        pytest.fail(missing, pytrace=False) if os.environ.get("CI") else pytest.skip(missing)
    for name, code in functions().items():
        (tmp_path / f"{name}.m").write_text(code)

    def run(script):
        (tmp_path / "script.m").write_text(script)
        command = [program, "--no-init-file", "--no-gui", "--quiet", "script.m"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def column_major(array):
    """An array (N, D, H, W) as Octave holds it: H x W x D x N, its first index the fastest."""
    return array.transpose(2, 3, 1, 0).ravel("F")


def test_the_chapter_shows_a_forward_and_a_backward():
    assert list(functions()) == ["max_pool_forward", "max_pool_backward"]


def test_forward_and_backward_are_those_of_poolref(octave, tmp_path):
    rng, cases = np.random.default_rng(0), []
    for number in range(1, 31):
        k, s = (int(v) for v in rng.integers(1, 4, 2))
        shape = (int(rng.integers(1, 3)), int(rng.integers(1, 4)), *(int(v) for v in rng.integers(k, 8, 2)))
        x = rng.integers(-3, 4, shape) + 0.0  # full of ties
        dy = rng.normal(size=max_pool(x, Window(k, s)).shape)
        cases.append((x, dy, k, s))
        named = {"x": column_major(x), "dy": column_major(dy), "size_of_x": [*shape[2:], shape[1], shape[0]]}
        text = "".join(
            f"# name: {name}\n# type: matrix\n# rows: 1\n# columns: {len(v)}\n {' '.join(map(repr, map(float, v)))}\n\n"
            for name, v in named.items()
        )
        text += "".join(f"# name: {name}\n# type: scalar\n{v}\n\n" for name, v in {"k": k, "s": s}.items())
        (tmp_path / f"case{number}.txt").write_text(text)
    octave(RUN.format(cases=len(cases)))
    for number, (x, dy, k, s) in enumerate(cases, 1):
        y = max_pool(x, Window(k, s))
        got = np.loadtxt(tmp_path / f"result{number}.txt")
        np.testing.assert_array_equal(got[: y.size], column_major(y))
        np.testing.assert_allclose(got[y.size :], column_major(max_pool_backward(dy, x, Window(k, s))), atol=1e-12)


def test_what_the_chapter_says_of_octave(octave):
    printed = octave("x = [1 3; 2 4]; printf('%d ', x(:)'); printf('%d ', max([1 NaN])); printf('%d ', 2:4);")
    assert printed.split() == ["1", "2", "3", "4", "1", "2", "3", "4"]


def test_without_the_transpose_ties_go_to_another_cell(octave):
    tied = "x = [1 2; 2 1]; dy = 1; "
    assert octave(tied + "printf('%d ', max_pool_backward(dy, x, 2, 2)');").split() == ["0", "1", "0", "0"]
    assert octave("x = [1 2; 2 1]; [~, place] = max(x(:)); printf('%d', place);") == "2"
