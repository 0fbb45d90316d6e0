"""Packages that only the course needs, imported when they are first used."""

from importlib import import_module
from types import ModuleType
from typing import Any

INSTALL = 'python -m pip install -e ".[teaching]"'


def need(module: str) -> ModuleType:
    """Import and return `module`; an ImportError that says how to install it if it is missing."""
    try:
        return import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise ImportError(
            f"poolref.teaching needs {package} here. In the folder of the repository, run: {INSTALL}"
        ) from error


class Late:
    """A module that is imported when something of it is asked for; see :func:`need` if it is missing."""

    def __init__(self, module: str):
        self._module = module

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # as copying asks for, before there is a module
            raise AttributeError(name)
        return getattr(need(self._module), name)
