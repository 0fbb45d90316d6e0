"""What may import what: the columns stand apart, and torch and the course's packages are needed only where used."""

import ast
import re
import subprocess
import sys
import tomllib
from importlib.metadata import distributions
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).parents[1]
FILES = sorted((ROOT / "poolref").rglob("*.py"))

# Which other parts of poolref each part may import, and which packages beyond Python's own.
MAY_IMPORT = {
    "poolref": (set(), set()),
    "checks": ({"regions"}, set()),
    "regions": ({"checks"}, set()),
    "definition": ({"regions", "checks"}, {"numpy"}),
    "catalog": (set(), set()),
    "numpy": ({"regions", "checks"}, {"numpy"}),
    "torch": ({"regions", "checks", "catalog", "triton"}, {"numpy", "torch"}),
    "triton": ({"regions"}, {"torch", "triton"}),
    "teaching": (
        {"regions", "checks", "definition", "catalog", "numpy"},
        None,
    ),  # packages: only when used, which is tested below
}


def part_of(module):
    """The part of poolref that a module belongs to: "numpy" for poolref.numpy.max."""
    return module.split(".")[1] if "." in module else module


def module_of(file):
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(tree, module):
    """The modules that a file imports, anywhere in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                base = ".".join([*module.split(".")[: -node.level], base]).rstrip(".")
            yield from (f"{base}.{alias.name}" if base == "poolref" else base for alias in node.names)


def violations(source, module):
    """What `module` imports against the rules, as text."""
    part = part_of(module)
    parts, packages = MAY_IMPORT[part]
    for name in imports_of(ast.parse(source), module):
        package = name.split(".")[0]
        if package == "poolref":
            if part_of(name) not in {part, "poolref", *parts}:
                yield f"{module} imports {name}"
        elif packages is not None and package not in packages | sys.stdlib_module_names:
            yield f"{module} imports {name}"


@pytest.mark.parametrize("file", FILES, ids=lambda file: module_of(file))
def test_imports_run_one_way(file):
    assert list(violations(file.read_text(), module_of(file))) == []


@pytest.mark.parametrize(
    "source, module",
    [
        ("import numpy", "poolref.regions"),
        ("from poolref.numpy import max_pool", "poolref.definition"),
        ("from poolref import numpy", "poolref.definition"),
        ("def f():\n    import torch", "poolref.numpy.max"),
        ("import poolref.torch.max", "poolref.numpy.max"),
        ("from poolref import torch", "poolref.teaching.live.explorer"),
        ("from poolref.numpy import max_pool", "poolref.torch.max"),
        ("from poolref.definition import pool", "poolref.numpy.max"),
        ("import matplotlib.pyplot as plt", "poolref.numpy.max"),
    ],
)
def test_the_rule_catches(source, module):
    assert len(list(violations(source, module))) == 1


BLOCK = """
import importlib.abc, sys
class Block(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {blocked}:
            raise ModuleNotFoundError(name + " is blocked")
sys.meta_path.insert(0, Block())
"""


def run_without(blocked, code):
    """Run `code` in a fresh Python in which the packages in `blocked` (an expression) cannot be imported."""
    command = [sys.executable, "-c", BLOCK.format(blocked=blocked) + code]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_the_block_works():
    with pytest.raises(AssertionError, match="ModuleNotFoundError: torch is blocked"):
        run_without({"torch"}, "import torch")


def test_the_core_needs_numpy_alone():
    code = (
        "import numpy as np\n"
        "from poolref import catalog, definition, regions\n"
        "import poolref.numpy\n"
        "for row in catalog.OPERATORS:\n"
        "    catalog.resolve(row.numpy)\n"
        "x = np.ones((1, 4, 4))\n"
        "y = poolref.numpy.max_pool(x, regions.Window(2))\n"
        "assert (y == definition.pool(x, regions.Window(2), definition.maximum)).all()\n"
    )
    others = '{name.split(".")[0]} - {"poolref", "numpy"} - set(sys.stdlib_module_names)'
    run_without(others, code)


def test_the_columns_do_not_hide_the_packages_they_are_named_after():
    run_without(
        {"torch"},
        "import poolref.numpy, numpy, poolref\n"
        "assert numpy.ndarray and poolref.numpy is not numpy\n"
        "import poolref.numpy.max\n"
        "assert poolref.numpy.max.np is numpy\n",
    )


def test_teaching_imports_without_torch_and_without_what_only_its_parts_use():
    blocked = {
        "torch",
        "triton",
        "matplotlib",
        "anywidget",
        "ipywidgets",
        "sklearn",
        "skimage",
        "scipy",
        "yaml",
        "jsonschema",
        "pygments",
    }
    run_without(blocked, "import poolref.teaching\n")


def test_teaching_works_without_torch():
    code = (
        "import matplotlib; matplotlib.use('agg')\n"
        "import poolref.teaching, pkgutil, importlib\n"
        "for module in pkgutil.walk_packages(poolref.teaching.__path__, 'poolref.teaching.'):\n"
        "    if module.name.split('.')[-1] not in ('training', 'bags'):\n"
        "        importlib.import_module(module.name)\n"
        "poolref.teaching.explorer()\n"
        "from poolref.teaching import data, network\n"
        "assert network.predict(data.canvas(data.digit(4))) == 4\n"
    )
    run_without({"torch", "triton"}, code)


@pytest.mark.parametrize("module", ["training", "bags"])
def test_training_says_that_it_needs_torch(module):
    code = (
        "try:\n"
        f"    import poolref.teaching.{module}\n"
        "except ImportError as error:\n"
        "    assert 'needs torch: pip install \"poolref[torch]\"' in str(error), error\n"
        "else:\n"
        "    raise AssertionError('imported without torch')\n"
    )
    run_without({"torch", "triton"}, code)


def test_torch_is_loaded_by_the_torch_column_alone():
    run_without(
        set(), "import sys, poolref.numpy, poolref.teaching, poolref.catalog\nassert 'torch' not in sys.modules\n"
    )


def test_what_teaching_needs_at_times_is_in_the_extra_that_its_messages_name():
    needed = {
        literal.value.partition(".")[0]
        for file in (ROOT / "poolref" / "teaching").rglob("*.py")
        for call in ast.walk(ast.parse(file.read_text()))
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "need"
        for literal in call.args
        if isinstance(literal, ast.Constant)
    }
    extra = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["teaching"]
    distributions = {"sklearn": "scikit-learn", "skimage": "scikit-image", "yaml": "pyyaml", "IPython": "ipython"}
    distributions |= {"resvg_py": "resvg-py", "traitlets": "ipywidgets"}  # which brings traitlets
    assert needed and {distributions.get(name, name) for name in needed} - {"torch"} <= set(extra)


def test_an_install_needs_numpy_alone():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert [re.split(r"[<>=!~; \[]", requirement)[0] for requirement in project["dependencies"]] == ["numpy"]
    assert "torch" in {re.split(r"[<>=!~; \[]", r)[0] for r in project["optional-dependencies"]["torch"]}


def test_every_pinned_package_takes_the_oldest_python_that_the_project_names():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    oldest = f"{project['requires-python'].removeprefix('>=')}.0"
    pins = re.findall(r"^([\w.-]+)==", (ROOT / "requirements.txt").read_text(), re.M)
    installed = {d.name.lower().replace("_", "-"): d for d in distributions()}
    takes = {
        pin: installed[pin].metadata["Requires-Python"] for pin in pins if pin in installed
    }  # not on this platform
    assert len(takes) > 100
    assert {pin: python for pin, python in takes.items() if python and oldest not in SpecifierSet(python)} == {}
