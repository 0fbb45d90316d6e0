"""The API pages: a table of a module's names above their documentation, and links to the source.

```{names} poolref.numpy
```
"""

import os
from importlib import import_module
from inspect import getdoc, getsourcefile, getsourcelines, isclass, isfunction, unwrap
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import Directive
from sphinx import addnodes

ROOT = Path(__file__).parents[2]
REPOSITORY = os.environ.get("POOLREF_REPOSITORY", "").rstrip("/")


class Names(Directive):
    required_arguments = 1

    def run(self):
        module = import_module(self.arguments[0])
        table = nodes.table(classes=["poolref-names"])
        group = nodes.tgroup(cols=2)
        table += group
        group += [nodes.colspec(colwidth=1), nodes.colspec(colwidth=2)]
        body = nodes.tbody()
        group += body
        for name in names_of(module):
            target = addnodes.pending_xref(
                "", nodes.literal("", name), refdomain="py", reftype="obj", reftarget=f"{module.__name__}.{name}"
            )
            words = (getdoc(getattr(module, name)) or "").partition("\n")[0].replace("``", "").replace("`", "")
            row = nodes.row()
            for content in (nodes.paragraph("", "", target), nodes.paragraph("", words)):
                row += nodes.entry("", content)
            body += row
        return [table] if len(body) else []


def names_of(module):
    """Return the names that a module's page documents: its functions and classes, less those that `is_twin`."""
    listed = getattr(module, "__all__", None) or [
        name
        for name, thing in vars(module).items()
        if (isfunction(thing) or isclass(thing)) and thing.__module__ == module.__name__ and not name.startswith("_")
    ]
    return [n for n in listed if not is_twin(n) and (isfunction(t := getattr(module, n)) or isclass(t))]


def is_twin(name):
    """Say whether a name differs from its 2-d twin in the number of axes alone."""
    return name.endswith(("1d", "3d"))


def setup(app):
    app.add_directive("names", Names)


def source_address(domain, info):
    """Return the address of a documented object's source in the repository, or None where there is none."""
    if not REPOSITORY or not info["module"]:
        return None
    thing = import_module(info["module"])
    try:
        for name in info["fullname"].split("."):
            thing = getattr(thing, name)
        thing = unwrap(getattr(thing, "fget", None) or thing)
        file = Path(getsourcefile(thing)).relative_to(ROOT)
        lines, first = getsourcelines(thing)
    except (AttributeError, TypeError, OSError, ValueError):  # plain data, or made at run time
        return None
    return f"{REPOSITORY}/blob/main/{file}#L{first}-L{first + len(lines) - 1}"
