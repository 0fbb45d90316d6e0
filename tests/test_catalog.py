"""The table of operators: every name in it resolves, and everything that should be in it is."""

import dataclasses
import inspect
import pkgutil
import re
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

import poolref.numpy
import poolref.triton
from poolref import catalog
from poolref.catalog import OPERATORS

ROOT = Path(__file__).parents[1]
NEEDS_TRITON = pytest.mark.skipif(
    find_spec("triton") is None, reason="triton cannot be imported: its wheels are for Linux"
)
rows = pytest.mark.parametrize("row", OPERATORS, ids=lambda row: row.name)
rows_in_torch = pytest.mark.parametrize("row", [r for r in OPERATORS if r.torch], ids=lambda row: row.name)


@rows
def test_numpy_names_resolve(row):
    forward, backward = catalog.resolve(row.numpy), catalog.resolve(row.numpy + "_backward")
    for function in (forward, backward):
        assert function.__name__ in poolref.numpy.__all__
        assert function.__module__.startswith("poolref.numpy.")
        assert inspect.getdoc(function)


@rows
def test_parameters_have_the_same_defaults_in_both_columns(row):
    theirs = inspect.signature(catalog.resolve(row.torch_function)).parameters
    assert all(theirs[name].default == default for name, default in row.parameters.items() if name in theirs)
    if row.kind == "reducer":
        assert list(theirs)[:2] == ["input", "regions"]
        assert row.parameters.keys() == theirs.keys() - {"input", "regions", "return_indices"}


@rows_in_torch
def test_torch_names_resolve(row):
    prefix, _, name = row.torch.rpartition(".")
    for ending in [f"{ndim}d" for ndim in row.ndims] if len(row.ndims) > 1 else [""]:
        for form in ("", "Adaptive", "Global") if row.kind == "reducer" else ("",):
            assert inspect.isclass(catalog.resolve(f"{prefix}.{form}{name}{ending}"))


@NEEDS_TRITON
def test_triton_names_resolve_and_all_kernels_are_in_the_table():
    listed = {name for row in OPERATORS for name in row.triton}
    assert all(callable(catalog.resolve(name)) for name in listed)
    forwards = {
        f"{module.name}.{name}"
        for module in pkgutil.iter_modules(poolref.triton.__path__, "poolref.triton.")
        for name, value in vars(import_module(module.name)).items()
        if inspect.isfunction(value)
        and not name.startswith("_")
        and hasattr(import_module(module.name), f"{name}_backward")
    }
    # The means are launched for one function f or another by the files of the operators.
    assert {name for name in forwards - listed if not name.endswith(".mean_pool")} == set()
    assert len(forwards & listed) > 5


@NEEDS_TRITON
@pytest.mark.parametrize(
    "row", [row for row in OPERATORS if row.triton and row.kind == "reducer"], ids=lambda r: r.name
)
def test_modules_of_cuda_tensors_run_the_kernels(row, monkeypatch):
    """Launches are recorded, not made, and a tensor of the CPU stands in for one of a GPU."""
    torch, cuda = import_module("torch"), import_module("poolref.torch._engine.dispatch")
    monkeypatch.setattr(cuda, "KERNELS", True)
    monkeypatch.setattr(cuda, "on_gpu", lambda x: True)
    prefix, _, name = row.torch.rpartition(".")
    norm = (2,) if row.name == "lp" else ()
    for form, arguments in (("", (2,)), ("Adaptive", (3,)), ("Global", ())):
        module = catalog.resolve(f"{prefix}.{form}{name}2d")(*norm, *arguments)
        with import_module("poolref.triton.launch").recording() as launches:
            module(torch.ones(2, 3, 8, 8))
        assert launches, module


@rows
def test_definitions_resolve(row):
    assert row.definition or row.kind != "reducer"
    if row.definition:
        assert callable(catalog.resolve(row.definition))


@pytest.fixture(scope="module")
def bibliography():
    return set(re.findall(r"^@\w+\{(\w+),", (ROOT / "book" / "references.bib").read_text(), re.MULTILINE))


@rows
def test_papers_are_in_the_bibliography(row, bibliography):
    assert row.paper in bibliography


def test_sources_in_docstrings_are_in_the_bibliography(bibliography):
    cited = {
        key
        for file in (ROOT / "poolref").rglob("*.py")
        for line in re.findall(r"Source: (.*)", file.read_text())
        for key in re.findall(r"\b[a-z]+(?:19|20)\d\d\b", line)
    }
    assert len(cited) > 5
    assert cited - bibliography == set()


@rows
def test_chapters_exist(row):
    if row.chapter:
        assert list((ROOT / "book").glob(f"{row.chapter}.*"))


@rows
def test_docstrings_name_formula_and_source(row):
    doc = inspect.getdoc(catalog.resolve(row.numpy))
    assert "Raises:" in doc
    assert "Formula:" in doc


def test_every_operator_of_the_numpy_column_is_in_the_table():
    listed = {row.numpy.rpartition(".")[2] for row in OPERATORS}
    forwards = {name for name in poolref.numpy.__all__ if f"{name}_backward" in poolref.numpy.__all__}
    assert forwards - listed == set()
    assert poolref.numpy.__all__ == sorted(poolref.numpy.__all__)


def test_names_are_unique_and_rows_do_not_change():
    assert len({row.name for row in OPERATORS}) == len(OPERATORS)
    assert isinstance(OPERATORS, tuple)
    with pytest.raises(dataclasses.FrozenInstanceError):
        OPERATORS[0].name = "other"
    assert len(set(OPERATORS)) == len(OPERATORS)


def test_get():
    assert catalog.get("soft").numpy == "poolref.numpy.soft_pool"
    with pytest.raises(ValueError, match=r"name must be one of max, average, .*, got 'mode'"):
        catalog.get("mode")
