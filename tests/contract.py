"""The chapter contract: each rule is a function from a chapter to a list of complaints.

    python tests/contract.py book/max-pooling.ipynb

prints what a chapter still breaks, and nothing when it keeps every rule.
"""

import ast
import re
import sys
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote

import nbformat
import yaml
from markdown_it import MarkdownIt

HEADINGS = [
    "Preview",
    "Explain",
    "Implement",
    "Backward",
    "In PyTorch",
    "Misconception",
    "Key points",
    "Review",
    "Exercises",
    "References",
]
METADATA = {
    "title": str,
    "objectives": list,
    "minutes_read": int,
    "minutes_do": int,
    "prerequisites": list,
    "operators": list,
}
MEASURABLE = """
    build calculate check choose classify compare compute construct count debug decide derive design detect distinguish
    draw estimate explain find identify implement list locate measure name order place predict prove rank read recognise
    refute reproduce show sketch solve sort state test trace use verify write
"""
LOOK_UP = "To look things up"
KINDS = ["worked", "faded", "open"]
MAX_WORDS, MAX_CODE_CELLS = 2500, 25

MARKDOWN = MarkdownIt("commonmark").enable("table")


# ---------------------------------------------------------------------------------------------- reading a chapter


@dataclass
class Chapter:
    """One notebook, with what it must agree with: the book's folder and the chapters that come before it."""

    path: Path
    book: Path
    order: list = field(default_factory=list)

    @property
    def slug(self):
        return self.path.stem

    @property
    def earlier(self):
        return self.order[: self.order.index(self.slug)] if self.slug in self.order else []

    @cached_property
    def notebook(self):
        return nbformat.read(self.path, as_version=4)

    @property
    def cells(self):
        return list(enumerate(self.notebook.cells))

    @property
    def markdown_cells(self):
        return [(i, cell) for i, cell in self.cells if cell.cell_type == "markdown"]

    @property
    def code_cells(self):
        return [(i, cell) for i, cell in self.cells if cell.cell_type == "code"]

    @cached_property
    def sections(self):
        """Heading -> its cells; what stands before the first level-2 heading is under ''."""
        sections, current = {"": []}, ""
        for i, cell in self.cells:
            if cell.cell_type == "markdown":
                for _, text in (h for h in headings(cell.source) if h[0] == 2):
                    current = text
                    sections.setdefault(current, [])
            sections[current].append((i, cell))
        return sections

    def text(self, section):
        return "\n\n".join(c.source for _, c in self.sections.get(section, []) if c.cell_type == "markdown")

    def calls(self, name, section=None):
        """(cell number, call node) of each call of `name` in the code cells, in order."""
        cells = self.cells if section is None else self.sections.get(section, [])
        return [(i, call) for i, c in cells if c.cell_type == "code" for call in calls_in(tree(c.source), name)]


def chapters(root):
    """The chapters of the book under `root`, in the order of its _toc.yml."""
    order = toc_order(root)
    book = Path(root) / "book"
    return [Chapter(book / f"{slug}.ipynb", book, order) for slug in order]


def toc_order(root):
    """The names of the chapters in _toc.yml: all its parts but the one for looking things up, whose pages are none."""
    parts = yaml.safe_load((Path(root) / "_toc.yml").read_text())["parts"]
    return [Path(page["file"]).stem for part in parts if part["caption"] != LOOK_UP for page in part["chapters"]]


def headings(source):
    """(level, text) of each heading in a piece of Markdown."""
    tokens = MARKDOWN.parse(source)
    return [(int(t.tag[1]), tokens[i + 1].content.strip()) for i, t in enumerate(tokens) if t.type == "heading_open"]


def inline(source, kind):
    """Every inline token of a kind ('image', 'link_open', 'html_inline', ...) in a piece of Markdown."""
    found = []
    for token in MARKDOWN.parse(source):
        if token.type == kind:
            found.append(token)
        found += [child for child in token.children or [] if child.type == kind]
    return found


def tree(source):
    try:
        return ast.parse(source)
    except SyntaxError:
        return ast.Module([], [])


def calls_in(node, name):
    def called(call):
        return getattr(call.func, "id", None) or getattr(call.func, "attr", None)

    found = [n for n in ast.walk(node) if isinstance(n, ast.Call) and called(n) == name]
    return sorted(found, key=lambda n: (n.lineno, n.col_offset))


def literal(node):
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError):
        return None


def anchors(path):
    """What `file#anchor` can point at: headings, (targets)= and ids."""
    if path.suffix == ".ipynb":
        cells = nbformat.read(path, as_version=4).cells
        source = "\n\n".join(c.source for c in cells if c.cell_type == "markdown")
    else:
        source = path.read_text()
    slugs = {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for _, text in headings(source)}
    targets = set(re.findall(r"^\(([^)\s]+)\)=", source, re.MULTILINE))
    ids = set(re.findall(r"""\b(?:id|name)=["']([^"']+)["']""", source))
    return slugs | targets | ids


# ------------------------------------------------------------------------------------------------------ the rules


def listed(chapter):
    if chapter.slug not in chapter.order:
        return [f"{chapter.slug} is not listed in _toc.yml"]
    return []


def headings_in_order(chapter):
    complaints = []
    found = [(i, level, text) for i, c in chapter.markdown_cells for level, text in headings(c.source)]
    if [text for _, level, text in found if level == 2] != HEADINGS:
        got = [text for _, level, text in found if level == 2]
        complaints.append(f"level-2 headings are {got}; they must be {HEADINGS}")
    titles = [i for i, level, _ in found if level == 1]
    if titles != [0]:
        complaints.append(f"the title is the one level-1 heading, in cell 0; level-1 headings are in cells {titles}")
    for i, cell in chapter.markdown_cells:
        levels = [level for level, _ in headings(cell.source)]
        if 2 in levels and (levels.count(2) > 1 or not cell.source.lstrip().startswith("## ")):
            complaints.append(f"cell {i}: a level-2 heading must open a cell of its own")
    return complaints


def metadata(chapter):
    info = chapter.notebook.metadata.get("poolref")
    if not isinstance(info, dict):
        return ["notebook metadata has no 'poolref'; it takes " + ", ".join(METADATA)]
    complaints = [f"metadata.poolref.{k} is unknown; accepted: {', '.join(METADATA)}" for k in info.keys() - METADATA]
    for key, kind in METADATA.items():
        value = info.get(key)
        if not isinstance(value, kind) or isinstance(value, bool):
            complaints.append(f"metadata.poolref.{key} is {value!r}; it must be a {kind.__name__}")
        elif kind is int and value < 1:
            complaints.append(f"metadata.poolref.{key} is {value}; it must be at least 1 minute")
        elif kind is list and not all(isinstance(v, str) and v.strip() for v in value):
            complaints.append(f"metadata.poolref.{key} is {value!r}; every entry must be text")
    if complaints:
        return complaints
    for slug in info["prerequisites"]:
        if slug not in chapter.earlier:
            complaints.append(f"prerequisite {slug!r} is not an earlier chapter; those are {chapter.earlier}")
    from poolref import catalog

    known = {row.name for row in catalog.OPERATORS}
    complaints += [f"operator {name!r} is not in the catalog" for name in info["operators"] if name not in known]
    return complaints


def objectives(chapter):
    info = chapter.notebook.metadata.get("poolref", {})
    complaints, opening = [], " ".join(chapter.text("").split())
    goals = info.get("objectives") or []
    if not goals:
        complaints.append("there are no objectives")
    for goal in goals:
        verb = re.split(r"\W", str(goal).strip().lower())[0]
        if verb not in MEASURABLE.split():
            complaints.append(
                f"objective {goal!r} starts with {verb!r}; use a measurable verb: {' '.join(MEASURABLE.split())}"
            )
        if " ".join(str(goal).split()).rstrip(".") not in opening:
            complaints.append(f"objective {goal!r} is in the metadata but not in the text before Preview")
    return complaints


def opening(chapter):
    info = chapter.notebook.metadata.get("poolref", {})
    text, complaints = chapter.text(""), []
    titles = [t for level, t in headings(text) if level == 1]
    if titles and titles[0] != info.get("title"):
        complaints.append(f"the title is {titles[0]!r} in the text and {info.get('title')!r} in the metadata")
    tokens = MARKDOWN.parse(text)
    paragraphs = [tokens[i + 1].content for i, t in enumerate(tokens) if t.type == "paragraph_open"]
    promise = paragraphs[0] if paragraphs else ""
    if len(re.findall(r"[.!?](?=\s|$|[*_])", promise)) != 1:
        complaints.append(f"under the title stands a promise of one sentence; found {promise[:80]!r}")
    for key in ("minutes_read", "minutes_do"):
        if not re.search(rf"\b{info.get(key)}\b", text):
            complaints.append(f"the text before Preview does not name {key} ({info.get(key)})")
    targets = [link.attrs["href"] for link in inline(text, "link_open")]
    for slug in info.get("prerequisites") or []:
        if f"{slug}.ipynb" not in targets:
            complaints.append(f"the text before Preview does not link to {slug}.ipynb, which comes before")
    return complaints


def question_bank(chapter):
    from poolref.teaching.quiz import QuizError, load

    try:
        bank = load(chapter.book / "quizzes" / f"{chapter.slug}.yml")
    except QuizError as error:
        return str(error).splitlines()
    complaints = []
    for part in ("preview", "review"):
        if len(bank[part]) != 5:
            complaints.append(f"{chapter.slug}.yml has {len(bank[part])} {part} questions; five are asked")
        section = part.capitalize()
        asked = [[literal(a) for a in call.args] for _, call in chapter.calls("quiz", section)]
        if asked != [[chapter.slug, part]]:
            complaints.append(f"{section} calls quiz with {asked}; it must call quiz({chapter.slug!r}, {part!r}) once")
    back = [q.get("from") for q in bank["review"] if q.get("from")]
    if chapter.earlier and len(back) != 2:
        complaints.append(f"{len(back)} review questions carry 'from: <chapter>'; two must reach back")
    complaints += [
        f"a review question is from {b!r}; earlier are {chapter.earlier}" for b in back if b not in chapter.earlier
    ]
    return complaints


def explained(chapter):
    """The parts of a section that a program can see."""
    complaints = []
    for section, name in [("Explain", "explorer"), ("Implement", "show_source")]:
        if not chapter.calls(name, section):
            complaints.append(f"{section} has no call of {name}()")
    for section in ("Implement", "Backward", "In PyTorch", "Misconception"):
        code = [c.source for _, c in chapter.sections.get(section, []) if c.cell_type == "code"]
        if not any(isinstance(n, ast.Assert) or is_testing(n) for s in code for n in ast.walk(tree(s))):
            complaints.append(f"{section} asserts nothing: a claim needs a cell that would fail if it were false")
    if "torch" not in "".join(c.source for _, c in chapter.sections.get("In PyTorch", []) if c.cell_type == "code"):
        complaints.append("In PyTorch runs no torch")
    return complaints


def is_testing(node):
    return isinstance(node, ast.Call) and str(getattr(node.func, "attr", "")).startswith("assert_")


def key_points(chapter):
    tokens = MARKDOWN.parse(chapter.text("Key points"))
    points = [t for t in tokens if t.type == "list_item_open" and t.level == 1]
    if len(points) != 5:
        return [f"Key points has {len(points)} points; it must have five bullets"]
    return []


def exercises(chapter):
    """Each exercise: an empty stub, its check, and a folded solution under its own name that passes."""
    from poolref.teaching.exercises import EXERCISES, blank

    complaints, used = [], {}
    functions = {}  # name -> (cell, source) as last defined above the cell that is read
    for i, cell in chapter.code_cells:
        module = tree(cell.source)
        hidden = is_solution(cell)
        for node in module.body:
            if isinstance(node, ast.FunctionDef):
                if hidden and functions.get(node.name, (i,))[0] != i:
                    complaints.append(f"cell {i}: the solution redefines {node.name}(); give it a name of its own")
                functions[node.name] = (i, ast.get_source_segment(cell.source, node))
        for call in calls_in(module, "check"):
            name = literal(call.args[0]) if call.args else None
            attempt = getattr(call.args[1], "id", None) if len(call.args) > 1 else None
            if name not in EXERCISES:
                complaints.append(f"cell {i}: check({name!r}, ...) names no exercise; known: {sorted(EXERCISES)}")
            elif not name.startswith(chapter.slug + "/"):
                complaints.append(f"cell {i}: exercise {name!r} belongs to another chapter")
            elif attempt not in functions:
                complaints.append(f"cell {i}: check({name!r}, {attempt}) checks no function defined above it")
            else:
                use = used.setdefault(name, {"stub": [], "solution": []})
                use["solution" if hidden else "stub"].append((i, attempt))
                where, source = functions[attempt]
                if not hidden and not blank(source):
                    complaints.append(f"cell {where}: the stub {attempt}() already holds an answer")
                function = ast.parse(source).body[0]
                given = [argument.arg for argument in function.args.args]
                if given != EXERCISES[name].parameters:
                    wanted = EXERCISES[name].signature
                    complaints.append(f"cell {where}: {attempt}({', '.join(given)}) should take what {wanted} takes")
                if EXERCISES[name].kind == "faded" and not hidden and len(function.body) < 2:
                    complaints.append(
                        f"cell {where}: a faded stub holds the code, with ... in place of what is missing"
                    )
                if hidden and not passes_asserted(module, name, attempt):
                    complaints.append(f"cell {i}: the solution must say assert check({name!r}, {attempt}).passed")
    for name, use in used.items():
        if len(use["stub"]) != 1 or len(use["solution"]) != 1:
            complaints.append(
                f"exercise {name!r} has {len(use['stub'])} checked stubs and {len(use['solution'])} checked folded "
                "solutions; it needs one of each"
            )
    kinds = [EXERCISES[name].kind for name in used]
    complaints += [f"there is no {kind} exercise" for kind in KINDS if kind not in kinds]
    inside = {i for i, _ in chapter.sections.get("Exercises", [])}
    outside = sorted({i for i, _ in chapter.calls("check")} - inside)
    return complaints + [f"cell {i}: an exercise stands outside the section Exercises" for i in outside]


def is_solution(cell):
    return "hide-cell" in cell.metadata.get("tags", []) or cell.metadata.get("jupyter", {}).get("source_hidden", False)


def passes_asserted(module, name, attempt):
    wanted = ast.dump(ast.parse(f"assert check({name!r}, {attempt}).passed").body[0])
    return any(ast.dump(node) == wanted for node in ast.walk(module) if isinstance(node, ast.Assert))


def folding(chapter):
    complaints = []
    for i, cell in chapter.code_cells:
        if not is_solution(cell):
            continue
        if "hide-cell" not in cell.metadata.get("tags", []):
            complaints.append(f"cell {i}: a folded cell needs the tag hide-cell (the site)")
        if not cell.metadata.get("jupyter", {}).get("source_hidden"):
            complaints.append(f"cell {i}: a folded cell needs metadata jupyter.source_hidden = true (JupyterLab)")
        if not cell.metadata.get("mystnb", {}).get("code_prompt_show"):
            complaints.append(f"cell {i}: a folded cell needs metadata mystnb.code_prompt_show = 'Show solution'")
    return complaints


def alt_text(chapter):
    complaints = []
    for i, cell in chapter.markdown_cells:
        for image in inline(cell.source, "image"):
            if not image.content.strip():
                complaints.append(f"cell {i}: image {image.attrs['src']!r} has no alt text")
        html = "".join(t.content for kind in ("html_inline", "html_block") for t in inline(cell.source, kind))
        for tag in re.findall(r"<img\b[^>]*>", html):
            if not re.search(r"""\balt=(["'])\s*\S.*?\1""", tag):
                complaints.append(f"cell {i}: {tag} has no alt text")
    for i, call in chapter.calls("show"):
        if not (isinstance(call.func, ast.Attribute) and getattr(call.func.value, "id", "") == "plt"):
            alt = next((k.value for k in call.keywords if k.arg == "alt"), None)
            if alt is None or (isinstance(alt, ast.Constant) and not str(alt.value).strip()):
                complaints.append(f"cell {i}: show(...) has no alt text")
    for i, cell in chapter.code_cells:
        module = tree(cell.source)
        draws = calls_in(module, "subplots") or calls_in(module, "figure")
        if (draws and not calls_in(module, "show")) or "plt.show" in cell.source:
            complaints.append(f"cell {i}: a figure is drawn but not shown with show(fig, alt=...)")
    return complaints


def limits(chapter):
    words = sum(len(cell.source.split()) for _, cell in chapter.markdown_cells)
    complaints = [] if words <= MAX_WORDS else [f"{words} words of Markdown; at most {MAX_WORDS}"]
    count = len(chapter.code_cells)
    return complaints + ([] if count <= MAX_CODE_CELLS else [f"{count} code cells; at most {MAX_CODE_CELLS}"])


def stripped(chapter):
    dirty = [i for i, cell in chapter.code_cells if cell.outputs or cell.execution_count is not None]
    return [f"cells {dirty} carry outputs or counts; run nbstripout --keep-id"] if dirty else []


def plain_python(chapter):
    complaints = []
    for i, cell in chapter.code_cells:
        try:
            module = ast.parse(cell.source)
        except SyntaxError as error:
            complaints.append(f"cell {i}: not plain Python ({error.msg}, line {error.lineno})")
            continue
        for node in ast.walk(module):
            names = [a.name for a in node.names] if isinstance(node, ast.ImportFrom) else []
            if names and node.module == "poolref" and {"numpy", "torch", "triton"} & set(names):
                complaints.append(f"cell {i}: 'from poolref import numpy' hides NumPy; import poolref.numpy")
    return complaints


def links(chapter):
    complaints = []
    for i, cell in chapter.markdown_cells:
        targets = [t.attrs["href"] for t in inline(cell.source, "link_open")]
        targets += [t.attrs["src"] for t in inline(cell.source, "image")]
        for target in targets:
            if re.match(r"[a-z][a-z0-9+.-]*:", target):
                continue
            name, _, anchor = unquote(target).partition("#")
            path = (chapter.path.parent / name) if name else chapter.path
            if not path.exists():
                complaints.append(f"cell {i}: link to {target!r}: there is no such file")
            elif anchor and path.suffix in (".md", ".ipynb") and anchor not in anchors(path):
                complaints.append(f"cell {i}: link to {target!r}: {path.name} has no anchor {anchor!r}")
    return complaints


def citations(chapter):
    """Works are cited as links to bibliography.md#key; `links` sees that each key exists."""
    cited = [t.attrs["href"] for t in inline(chapter.text("References"), "link_open")]
    complaints = []
    if not any(href.startswith("bibliography.md#") for href in cited):
        complaints.append("References links to no work in bibliography.md#key")
    listed_keys = {href for href in cited if href.startswith("bibliography.md#")}
    for i, cell in chapter.markdown_cells:
        for href in (t.attrs["href"] for t in inline(cell.source, "link_open")):
            if href.startswith("bibliography.md#") and href not in listed_keys:
                complaints.append(f"cell {i}: {href} is cited but not listed under References")
    return complaints


def no_myst(chapter):
    """Nothing that only MyST renders: rendered without it, no syntax may be left for the reader to see."""
    complaints = []
    for i, cell in chapter.markdown_cells:
        for token in MARKDOWN.parse(cell.source):
            if token.type == "fence" and token.info.strip().startswith("{"):
                complaints.append(f"cell {i}: directive {token.info.strip()}")
            if token.type != "inline":
                continue
            children = token.children
            for a, b in pairwise(children):
                if a.type == "text" and b.type == "code_inline" and re.search(r"\{[\w:.-]+\}$", a.content):
                    complaints.append(f"cell {i}: role {a.content.split()[-1]}`{b.content}`")
            text = "\n".join(c.content if c.type == "text" else "" for c in children if c.type != "code_inline")
            for pattern, what in [
                (r"^:::", "fence :::"),
                (r"^\([^)\s]+\)=\s*$", "target (...)="),
                (r"^%\s", "comment %"),
                (r"^\+\+\+", "block break +++"),
                (r"\{\{.*\}\}", "substitution {{...}}"),
                (r"\[\^?@[\w-]+", "citation [@key]"),
            ]:
                if re.search(pattern, text, re.MULTILINE):
                    complaints.append(f"cell {i}: {what}")
            if re.search(r"\\[(\[]", token.content.replace("\\\\", "")):
                complaints.append(f"cell {i}: math between \\( \\) or \\[ \\]; write $...$ or $$...$$")
    return complaints


RULES = [
    listed,
    headings_in_order,
    metadata,
    objectives,
    opening,
    question_bank,
    explained,
    key_points,
    exercises,
    folding,
    alt_text,
    limits,
    stripped,
    plain_python,
    links,
    citations,
    no_myst,
]


def complaints(chapter):
    """All that a chapter breaks, each with the name of its rule."""
    return [f"{rule.__name__}: {complaint}" for rule in RULES for complaint in rule(chapter)]


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    failed = False
    for argument in sys.argv[1:]:
        path = Path(argument).resolve()
        root = path.parent.parent
        sys.path.insert(0, str(root))
        order = toc_order(root) if (root / "_toc.yml").exists() else []
        for complaint in complaints(Chapter(path, path.parent, order)):
            failed = True
            print(f"{path.name}: {complaint}")
    sys.exit(failed)
