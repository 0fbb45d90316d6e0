"""Joining the ES modules of a live figure and its kit into the scripts that pages and notebooks load.

A module may `import { names } from "./other.js";` and `export` declarations, and nothing else of the module system, so
that joining is leaving these words out.  Scripts are not minified: what a reader's browser shows is what stands here.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

HERE = Path(__file__).parent
ENTRY = HERE / "kit" / "figure.js"  # the module through which every figure comes to life
IMPORT = re.compile(r'^import \{([^}]*)\} from "(\./[^"]+)";\n', re.MULTILINE)
EXPORT = re.compile(r"^export (?=(?:const|let|function|async function|class) (\w+))", re.MULTILINE)
DECLARED = re.compile(r"^(?:export )?(?:const|let|function|async function|class) (\w+)", re.MULTILINE)


def names() -> list[str]:
    """The names of all figures: each is a module beside this file that exports a constant of its own name."""
    return sorted(path.stem for path in HERE.glob("*.js"))


@cache
def kit() -> str:
    """The kit as a classic script, which leaves what it exports in `poolref.kit`."""
    modules = with_imports(*sorted((HERE / "kit").glob("*.js")))
    exported = ", ".join(name for path in modules for name in EXPORT.findall(path.read_text("utf-8")))
    return _alone(f"{joined(modules)}\nglobalThis.poolref = {{ ...globalThis.poolref, kit: {{ {exported} }} }};")


@cache
def figure(name: str) -> str:
    """A figure as a classic script, which runs after the kit's and brings the page's figures of this name to life."""
    path = HERE / f"{name}.js"
    imported = [name for names, _ in _imports(path) for name in names]
    head = f"const {{ {', '.join(dict.fromkeys([*imported, 'wake']))} }} = poolref.kit;"
    return _alone(f'{head}\n{joined([path])}\nwake("{name}", {name});')


@cache
def module(name: str) -> str:
    """A figure and what it needs of the kit as one ES module, which anywidget takes."""
    modules = with_imports(ENTRY, HERE / f"{name}.js")
    return f'{joined(modules)}\nexport default {{ render: (view) => widget("{name}", {name}, view) }};\n'


@cache
def style() -> str:
    """The style sheet of all figures, the course's colours first, without its comments."""
    sheets = (HERE.parent / "tokens.css", HERE / "kit" / "kit.css")
    return re.sub(r"/\*.*?\*/\n?", "", "".join(path.read_text("utf-8") for path in sheets), flags=re.DOTALL)


def _alone(text: str) -> str:
    return f'(() => {{\n"use strict";\n{text}\n}})();\n'


def _imports(path: Path) -> list[tuple[list[str], Path]]:
    """What a module imports: names, and the module they come from."""
    found = IMPORT.findall(path.read_text("utf-8"))
    return [
        ([n.strip() for n in names.split(",") if n.strip()], (path.parent / source).resolve())
        for names, source in found
    ]


def with_imports(*paths: Path) -> list[Path]:
    """The modules and all that they import, each after those it imports."""
    ordered: list[Path] = []

    def visit(path: Path, importers: tuple[Path, ...]) -> None:
        if path in importers:
            raise ValueError(f"{path.name} imports itself, by way of {', '.join(p.name for p in importers)}")
        if path in ordered:
            return
        for names, source in _imports(path):
            if not source.is_file():
                raise ValueError(f"{path.name} imports from {source.name}, which does not exist")
            if missing := set(names) - set(EXPORT.findall(source.read_text("utf-8"))):
                raise ValueError(
                    f"{path.name} imports {', '.join(sorted(missing))}, which {source.name} does not export"
                )
            visit(source, (*importers, path))
        ordered.append(path)

    for path in paths:
        visit(path.resolve(), ())
    return ordered


def joined(paths: list[Path]) -> str:
    owner: dict[str, str] = {}
    parts = []
    for path in paths:
        text = path.read_text("utf-8")
        for name in DECLARED.findall(text):
            if name in owner:
                raise ValueError(f"{name} is declared in {owner[name]} and in {path.name}; joined, they would clash")
            owner[name] = path.name
        text = EXPORT.sub("", IMPORT.sub("", text))
        if left := re.search(r"^(?:import|export)\b.*", text, re.MULTILINE):
            raise ValueError(
                f'{path.name} must import {{ names }} from "./x.js" and export declarations, got {left[0]!r}'
            )
        parts.append(text)
    return "".join(parts)
