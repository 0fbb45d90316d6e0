"""The chapter contract: each rule is a function from a chapter to a list of complaints.

    python tests/contract.py book/max-pooling.ipynb

prints what a chapter still breaks, and nothing when it keeps every rule.
"""

import ast
import re
import sys
import tomllib
from dataclasses import dataclass, field
from functools import cache, cached_property
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote

import nbformat
import yaml
from markdown_it import MarkdownIt
from question_bank import right_answer, value_of

BOOK = Path(__file__).parents[1] / "book"
TEACHING = Path(__file__).parents[1] / "poolref" / "teaching"

HEADINGS = [
    "Preview",
    "Explain",
    "Implement",
    "Backward",
    "In PyTorch",
    "In a network",
    "Misconception",
    "Key points",
    "Review",
    "Exercises",
    "References",
]
METADATA = {
    "title": str,
    "question": str,
    "objectives": list,
    "minutes_read": int,
    "minutes_do": int,
    "prerequisites": list,
    "operators": list,
}
OBJECTIVE = {"id", "text", "section"}
MEASURABLE = """
    build calculate check choose classify compare compute construct count debug decide derive design detect distinguish
    draw estimate explain find identify implement list locate measure name order place predict prove rank read recognise
    refute reproduce show sketch solve sort state test trace use verify write
"""
LOOK_UP = "To look things up"
MAX_WORDS, MAX_CODE_CELLS = 2500, 30  # folded checks and solutions come on top
CHECKED_SECTIONS = ["Implement", "Backward", "In PyTorch", "In a network", "Misconception"]
HIDDEN = {"hide-cell", "hide-input", "remove-input", "remove-cell"}  # tags of cells whose code a page does not show
PROMPTS = {
    "check": {"code_prompt_show": "Show the check", "code_prompt_hide": "Hide the check"},
    "solution": {"code_prompt_show": "Show solution", "code_prompt_hide": "Hide solution"},
}

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

    @property
    def info(self):
        return self.notebook.metadata.get("poolref") or {}

    @property
    def objectives(self):
        """The objectives that are what they should be: {id, text, section}."""
        goals = self.info.get("objectives")
        return [g for g in goals if is_objective(g)] if isinstance(goals, list) else []

    @property
    def bank(self):
        """The question bank; None if it cannot be read."""
        return self._bank[0]

    @property
    def bank_complaints(self):
        return self._bank[1]

    @cached_property
    def _bank(self):
        from poolref.teaching.quiz import QuizError, load

        try:
            return load(self.book / "quizzes" / f"{self.slug}.yml"), []
        except QuizError as error:
            return None, str(error).splitlines()

    def other(self, slug):
        return Chapter(self.book / f"{slug}.ipynb", self.book, self.order)

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


def is_objective(goal):
    return isinstance(goal, dict) and goal.keys() == OBJECTIVE and all(isinstance(v, str) for v in goal.values())


def headings(source):
    """(level, text) of each heading in a piece of Markdown, without the `<a id="...">` that it may begin with."""
    tokens = MARKDOWN.parse(source)
    return [
        (int(t.tag[1]), re.sub(r"<a id=[^>]*></a>", "", tokens[i + 1].content).strip())
        for i, t in enumerate(tokens)
        if t.type == "heading_open"
    ]


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
    """What `file#anchor` can point at: explicit ids; in a page, also headings and (targets)=.

    Heading ids differ between the site and JupyterLab (`in-pytorch`, `In-PyTorch`), so that a notebook needs
    `<a id="...">` wherever a link leads.
    """
    if path.suffix == ".ipynb":
        cells = nbformat.read(path, as_version=4).cells
        source = "\n\n".join(c.source for c in cells if c.cell_type == "markdown")
        return set(re.findall(r"""\bid=["']([^"']+)["']""", source))
    source = path.read_text()
    slugs = {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for _, text in headings(source)}
    targets = set(re.findall(r"^\(([^)\s]+)\)=", source, re.MULTILINE))
    return slugs | targets | set(re.findall(r"""\b(?:id|name)=["']([^"']+)["']""", source))


@cache
def live_figures():
    """The names of the live figures: each has a module of its own in poolref/teaching, beside the kit."""
    return {path.stem for path in TEACHING.rglob("*.js") if path.parent.name != "kit"} - {"quiz"}


def tags(cell):
    return set(cell.metadata.get("tags", []))


def is_visible(cell):
    return not tags(cell) & HIDDEN


def is_assertion(node):
    return isinstance(node, ast.Assert) or (
        isinstance(node, ast.Call) and str(getattr(node.func, "attr", "")).startswith("assert_")
    )


def asserts(cell):
    return any(map(is_assertion, ast.walk(tree(cell.source))))


def is_solution(cell):
    return bool(calls_in(tree(cell.source), "solves"))


def sentences(text):
    return len(re.findall(r"[.!?](?=\s|$)", text.strip()))


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
        elif key == "objectives":
            complaints += [
                f"objective {goal!r} must have {', '.join(sorted(OBJECTIVE))}, all text"
                for goal in value
                if not is_objective(goal)
            ]
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


def opening(chapter):
    """Title, question, one folded strip, the problem and its live figure: all before Preview."""
    info, text, complaints = chapter.info, chapter.text(""), []
    titles = [t for level, t in headings(text) if level == 1]
    if titles and titles[0] != info.get("title"):
        complaints.append(f"the title is {titles[0]!r} in the text and {info.get('title')!r} in the metadata")
    tokens = MARKDOWN.parse(text)
    paragraphs = [tokens[i + 1].content for i, t in enumerate(tokens) if t.type == "paragraph_open"]
    question = " ".join((paragraphs or [""])[0].split())
    if question != f"*{info.get('question')}*" or not question.endswith("?*"):
        complaints.append(f"under the title stands the metadata's question in italics, one; found {question[:80]!r}")
    strips = re.findall(r"<details>\s*<summary>(.*?)</summary>(.*?)</details>", text, re.DOTALL)
    if len(strips) != 1 or text.count("<details") != 1:
        return [*complaints, f"before Preview stands one <details> with a <summary>; found {text.count('<details')}"]
    summary, body = strips[0]
    for key in ("minutes_read", "minutes_do"):
        if not re.search(rf"\b{info.get(key)}\b", summary):
            complaints.append(f"the strip's summary does not name {key} ({info.get(key)})")
    targets = [link.attrs["href"] for link in inline(body, "link_open")]
    for slug in info.get("prerequisites") or []:
        path = chapter.book / f"{slug}.ipynb"
        title = chapter.other(slug).info.get("title", slug) if path.exists() else slug
        if title.lower() not in summary.lower():
            complaints.append(f"the strip's summary does not name {title!r}, which comes before")
        if f"{slug}.ipynb" not in targets:
            complaints.append(f"the strip does not link to {slug}.ipynb, which comes before")
    listed = " ".join(body.split())
    for goal in chapter.objectives:
        if " ".join(goal["text"].split()).rstrip(".") not in listed:
            complaints.append(f"objective {goal['text']!r} is in the metadata but not in the strip")
    problem = text.split("</details>")[1].strip()
    if sentences(problem) not in (2, 3):
        complaints.append(f"after the strip, two or three sentences tell the problem; found {sentences(problem)}")
    cells = chapter.sections[""]
    figures = [i for i, cell in cells if cell.cell_type == "code"]
    if figures != [cells[-1][0]] or not shows_live(cells[-1][1]) or "remove-input" not in tags(cells[-1][1]):
        complaints.append("the last cell before Preview, and the only code, is a live figure tagged remove-input")
    return complaints


def shows_live(cell):
    """Whether a cell calls `explorer(...)` or `live.explorer(...)`, for any live figure; np.stack is none."""
    calls = [call.func for name in live_figures() for call in calls_in(tree(cell.source), name)]
    return any(isinstance(func, ast.Name) or getattr(func.value, "id", "") == "live" for func in calls)


def matrix(chapter):
    """Every objective is taught in a section, practised in an exercise and asked in the review; and none is unknown."""
    from poolref.teaching.exercises import EXERCISES

    goals = chapter.objectives
    ids = [goal["id"] for goal in goals]
    complaints = [] if goals else ["there are no objectives"]
    complaints += [f"two objectives have the id {name!r}" for name in sorted(set(ids)) if ids.count(name) > 1]
    for goal in goals:
        verb = re.split(r"\W", goal["text"].strip().lower())[0]
        if verb not in MEASURABLE.split():
            accepted = " ".join(MEASURABLE.split())
            complaints.append(f"objective {goal['text']!r} starts with {verb!r}; use a measurable verb: {accepted}")
    sections = {text for _, c in chapter.markdown_cells for level, text in headings(c.source) if level > 1}
    practised = {
        (name, goal)
        for name, exercise in EXERCISES.items()
        if name.startswith(f"{chapter.slug}/")
        for goal in exercise.objectives
    }
    bank = chapter.bank or {"preview": [], "review": []}
    own = [q for q in bank["review"] if "from" not in q] + [q for q in bank["preview"] if "objective" in q]
    for goal in goals:
        if goal["section"] not in sections:
            complaints.append(f"objective {goal['id']!r} is taught in {goal['section']!r}, which is no heading")
        if goal["id"] not in {taught for _, taught in practised}:
            complaints.append(f"objective {goal['id']!r} is practised in no exercise")
        if goal["id"] not in {q["objective"] for q in own}:
            complaints.append(f"objective {goal['id']!r} is asked in no question of the review")
    complaints += [
        f"exercise {name!r} practises {goal!r}, which is no objective" for name, goal in practised if goal not in ids
    ]
    complaints += [
        f"question {q['id']!r} asks for {q['objective']!r}, which is no objective"
        for q in own
        if q["objective"] not in ids
    ]
    for question in bank["review"]:
        if question.get("from") in chapter.earlier:
            theirs = [goal["id"] for goal in chapter.other(question["from"]).objectives]
            if question["objective"] not in theirs:
                complaints.append(
                    f"question {question['id']!r} asks for {question['objective']!r} of {question['from']}, whose "
                    f"objectives are {theirs}"
                )
    return sorted(complaints)


def question_bank(chapter):
    bank, complaints = chapter.bank, list(chapter.bank_complaints)
    if bank is None:
        return complaints
    for part in ("preview", "review"):
        if len(bank[part]) != 5:
            complaints.append(f"{chapter.slug}.yml has {len(bank[part])} {part} questions; five are asked")
        section = part.capitalize()
        asked = [[literal(a) for a in call.args] for _, call in chapter.calls("quiz", section)]
        if asked != [[chapter.slug, part]]:
            complaints.append(f"{section} calls quiz with {asked}; it must call quiz({chapter.slug!r}, {part!r}) once")
    for question in bank["preview"]:
        variant, words = question["variant"], ("question", "given")
        if all(question.get(key) == variant.get(key) for key in words):
            complaints.append(f"the variant of {question['id']!r} asks the same once more")
        elif re.search(r"\d", right_answer(question)) and right_answer(question) == right_answer(variant):
            complaints.append(f"the variant of {question['id']!r} has the same answer, {right_answer(variant)!r}")
    kinds = [question["kind"] for question in bank["review"]]
    if kinds.count("recall") > 2:
        complaints.append(f"{kinds.count('recall')} review questions are of kind recall; at most two may be")
    if len(kinds) - kinds.count("recall") < 2:
        complaints.append("at least two review questions must be of kind apply or explain")
    back = [q["from"] for q in bank["review"] if "from" in q]
    if chapter.earlier and len(back) != 2:
        complaints.append(f"{len(back)} review questions carry 'from: <chapter>'; two must reach back")
    complaints += [
        f"a review question is from {b!r}; earlier are {chapter.earlier}" for b in back if b not in chapter.earlier
    ]
    return complaints


def fresh_numbers(chapter):
    """No right answer of the review stands in the chapter: neither a number of two digits or more nor an array."""
    text = plain(" ".join(cell.source for _, cell in chapter.cells))
    complaints = []
    bank = chapter.bank
    for question in [*bank["review"], *({**q["variant"], "id": q["id"]} for q in bank["preview"])] if bank else []:
        answer = right_answer(question)
        if value_of(answer) is None or len(re.findall(r"\d", answer)) < 2:
            continue
        if re.search(rf"(?<![\d.]){re.escape(plain(answer))}(?![\d]|\.\d)", text):
            complaints.append(f"question {question['id']!r}: its answer {answer!r} stands in the chapter")
    return complaints


def plain(text):
    """Text in which numbers and arrays can be compared: no spaces beside commas and ×, no thousands' commas."""
    text = re.sub(r"(?<=\d),(?=\d{3}\b)", "", text.replace("−", "-").replace("`", ""))
    return re.sub(r"\s*([,×\[\]])\s*", r"\1", re.sub(r"\.0*(?=[,\]\s])", "", text))


def explained(chapter):
    """The parts of a section that a program can see."""
    complaints = []
    if not any(shows_live(cell) for _, cell in chapter.sections.get("Explain", []) if cell.cell_type == "code"):
        complaints.append(f"Explain shows no live figure ({', '.join(sorted(live_figures()))})")
    if not chapter.calls("try_this", "Explain"):
        complaints.append("Explain has no try_this(): tasks that set the figure and fold their answers")
    code = {
        section: [c for _, c in chapter.sections.get(section, []) if c.cell_type == "code"]
        for section in CHECKED_SECTIONS
    }
    if not any(isinstance(n, ast.FunctionDef) for c in code["Implement"] for n in ast.walk(tree(c.source))):
        complaints.append("Implement defines no function: the reader's own version is built there")
    if chapter.calls("show_source", "Implement"):
        complaints.append("Implement shows source with show_source(): build the version up instead")
    for section, cells in code.items():
        if not any(map(asserts, cells)):
            complaints.append(f"{section} asserts nothing: a claim needs a cell that would fail if it were false")
    if not any("torch" in cell.source for cell in code["In PyTorch"]):
        complaints.append("In PyTorch runs no torch")
    cited = [t.attrs["href"] for t in inline(chapter.text("In a network"), "link_open")]
    if not any(href.startswith("bibliography.md#") for href in cited):
        complaints.append("In a network cites no work: what does the literature report?")
    return complaints


def visible_results(chapter):
    """Predict, run, see: a cell whose code is shown shows a result, and leaves assertions to a folded check."""
    complaints = []
    for i, cell in chapter.code_cells:
        body = tree(cell.source).body
        if not is_visible(cell) or not body:
            continue
        if asserts(cell):
            complaints.append(f"cell {i}: an assertion in sight; it belongs in a folded check beside the result")
        last = body[-1]
        shown = any(calls_in(last, name) for name in ("print", "show", "display"))
        if not isinstance(last, ast.Expr | ast.FunctionDef | ast.ClassDef | ast.Import | ast.ImportFrom) and not shown:
            complaints.append(f"cell {i}: it ends in no picture, print or expression")
    return complaints


def folding(chapter):
    """Checks and solutions are folded, on the site and in JupyterLab, under the same prompts everywhere."""
    complaints = []
    for i, cell in chapter.code_cells:
        if "hide-output" in tags(cell):
            complaints.append(f"cell {i}: JupyterLab unfolds hide-output; a folded answer goes into <details>")
        kind = "solution" if is_solution(cell) else "check"
        if kind == "solution" and "hide-cell" not in tags(cell):
            complaints.append(f"cell {i}: a solution needs the tag hide-cell (the site)")
        if "hide-cell" not in tags(cell):
            continue
        if not asserts(cell):
            complaints.append(f"cell {i}: a folded cell is a check or a solution, and this one asserts nothing")
        if not cell.metadata.get("jupyter", {}).get("source_hidden"):
            complaints.append(f"cell {i}: a folded cell needs metadata jupyter.source_hidden = true (JupyterLab)")
        if cell.metadata.get("mystnb") != PROMPTS[kind]:
            complaints.append(f"cell {i}: a {kind} needs metadata mystnb = {PROMPTS[kind]}")
    return complaints


def key_points(chapter):
    tokens = MARKDOWN.parse(chapter.text("Key points"))
    points = [t for t in tokens if t.type == "list_item_open" and t.level == 1]
    if len(points) != 5:
        return [f"Key points has {len(points)} points; it must have five bullets"]
    return []


def exercises(chapter):
    """Each exercise: what its reader starts from, its check, and a folded solution under its own name."""
    from poolref.teaching.attempts.exercise import KINDS
    from poolref.teaching.exercises import EXERCISES

    complaints, used, attempts = [], {}, set()
    made = {}  # name -> (cell number, statement, cell) as last made above the cell that is read
    for i, cell in chapter.code_cells:
        module, hidden = tree(cell.source), "hide-cell" in tags(cell)
        for node in module.body:
            names = [node.name] if isinstance(node, ast.FunctionDef) else []
            names += [t.id for t in getattr(node, "targets", []) if isinstance(t, ast.Name)]
            for name in names:
                if hidden and name in attempts:
                    complaints.append(f"cell {i}: the solution redefines {name}; give it a name of its own")
                made[name] = (i, node, cell)
        for call in [*calls_in(module, "check"), *calls_in(module, "solves")]:
            name = literal(call.args[0]) if call.args else None
            attempt = getattr(call.args[1], "id", None) if len(call.args) > 1 else None
            role = "stub" if calls_in(call, "check") else "solution"
            if name not in EXERCISES:
                complaints.append(f"cell {i}: {role} of {name!r}, which is no exercise; known: {sorted(EXERCISES)}")
            elif not name.startswith(chapter.slug + "/"):
                complaints.append(f"cell {i}: exercise {name!r} belongs to another chapter")
            elif attempt not in made:
                complaints.append(f"cell {i}: {name!r} is tried on {attempt}, which is not made above it")
            else:
                use = used.setdefault(name, {"stub": [], "solution": []})
                use[role].append(made[attempt])
                attempts |= {attempt} if role == "stub" else set()
                if role == "solution" and not any(isinstance(n, ast.Assert) and n.test is call for n in module.body):
                    complaints.append(f"cell {i}: the solution must say assert solves({name!r}, {attempt})")
    for name, use in used.items():
        counts = len(use["stub"]), len(use["solution"])
        if counts != (1, 1):
            complaints.append(
                f"exercise {name!r} has {counts[0]} checks and {counts[1]} solutions; it needs one of each"
            )
        for i, node, cell in use["stub"]:
            complaints += [f"cell {i}: {name}: {c}" for c in starting_point(EXERCISES[name], node, cell)]
    ladder = [KINDS.index(EXERCISES[name].kind) for name in used]
    if ladder != sorted(ladder):
        complaints.append(f"exercises climb from {' to '.join(KINDS)}; these are {[KINDS[k] for k in ladder]}")
    complaints += [f"there is no {kind} exercise" for k, kind in enumerate(KINDS) if k not in ladder]
    inside = {i for i, _ in chapter.sections.get("Exercises", [])}
    outside = sorted({i for i, _ in chapter.calls("check") + chapter.calls("solves")} - inside)
    return complaints + [f"cell {i}: an exercise stands outside the section Exercises" for i in outside]


def starting_point(exercise, node, cell):
    """What is wrong with what the reader starts from: the statement `node` of a cell."""
    from poolref.teaching.attempts.stubs import definition, same_code, says_nothing, without_docstring

    if exercise.kind == "design":
        empty = isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and node.value.value is ...
        return [] if empty else ["a design starts from `name = ...`"]
    if not isinstance(node, ast.FunctionDef):
        return ["it starts from a function"]
    given = [argument.arg for argument in node.args.args]
    if given != exercise.parameters:
        return [f"{node.name}({', '.join(given)}) should take what {exercise.signature} takes"]
    function = without_docstring(node)
    if exercise.kind == "open":
        return [] if says_nothing(function) else ["an open exercise starts from an empty function"]
    if not same_code(function, definition(exercise.given)):
        return [f"the code is not that of {exercise.given.__name__}() in poolref/teaching/exercises"]
    bare = unexplained(cell.source, node) if exercise.kind == "worked" else []
    return [f"a worked solution is annotated line by line; lines {bare} of the cell are not"] if bare else []


def unexplained(source, function):
    """The lines of a function's statements that have no comment, neither beside them nor above."""
    lines = source.splitlines()
    statements = sorted({n.lineno for n in ast.walk(function) if isinstance(n, ast.stmt)} - {function.lineno})
    beside = {number for number in statements if "#" in lines[number - 1]}
    above = {number for number in statements if lines[number - 2].strip().startswith("#")}
    return [number for number in statements if number not in beside | above]


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
        draws = [*calls_in(module, "subplots"), *calls_in(module, "figure"), *calls_in(module, "chart")]
        if (draws and not calls_in(module, "show")) or "plt.show" in cell.source:
            complaints.append(f"cell {i}: a figure is drawn but not shown with show(fig, alt=...)")
    return complaints


def limits(chapter):
    words = sum(len(cell.source.split()) for _, cell in chapter.markdown_cells)
    complaints = [] if words <= MAX_WORDS else [f"{words} words of Markdown; at most {MAX_WORDS}"]
    count = sum("hide-cell" not in tags(cell) for _, cell in chapter.code_cells)
    return complaints + ([] if count <= MAX_CODE_CELLS else [f"{count} code cells; at most {MAX_CODE_CELLS}"])


def code_lines(chapter):
    """No line of code is longer than the column is wide; book/ruff.toml knows the number."""
    most = tomllib.loads((BOOK / "ruff.toml").read_text())["line-length"]
    complaints = []
    for i, cell in chapter.code_cells:
        longest = max(map(len, cell.source.splitlines()), default=0)
        if longest > most:
            complaints.append(f"cell {i}: a line of {longest} characters; at most {most} fit the column")
    return complaints


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
                needs = f' (a notebook needs <a id="{anchor}"></a>)' if path.suffix == ".ipynb" else ""
                complaints.append(f"cell {i}: link to {target!r}: {path.name} has no anchor {anchor!r}{needs}")
    return complaints


def citations(chapter):
    """Works are cited as links to bibliography.md#key; `links` sees that each key exists."""
    cited = [t.attrs["href"] for t in inline(chapter.text("References"), "link_open")]
    complaints = []
    if not any(href.startswith("bibliography.md#") for href in cited):
        complaints.append("References links to no work in bibliography.md#key")
    for item in re.findall(r"^- (.*(?:\n  .*)*)", chapter.text("References"), re.MULTILINE):
        if not re.match(r"\[[^\]]+\]\(bibliography\.md#[\w-]+\)\W+\w+", item):
            complaints.append(f"the reference {item[:60]!r} must link to bibliography.md#key and say what it shows")
    listed_keys = {href for href in cited if href.startswith("bibliography.md#")}
    for i, cell in chapter.markdown_cells:
        for href in (t.attrs["href"] for t in inline(cell.source, "link_open")):
            if href.startswith("bibliography.md#") and href not in listed_keys:
                complaints.append(f"cell {i}: {href} is cited but not listed under References")
    return complaints


def sourced(chapter):
    """Who says that a thing is often said names somebody who says it."""
    complaints = []
    for i, cell in chapter.markdown_cells:
        for paragraph in re.split(r"\n\s*\n", cell.source):
            said = re.search(
                r"\b(often|commonly|usually|sometimes) (printed|claimed|said|read|written|stated)\b", paragraph
            )
            if said and not re.search(r"\]\((bibliography\.md#|https?:)", paragraph):
                complaints.append(f"cell {i}: {said[0]!r} without a source; cite one, or call it a claim worth testing")
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
    opening,
    matrix,
    question_bank,
    fresh_numbers,
    explained,
    visible_results,
    folding,
    key_points,
    exercises,
    alt_text,
    limits,
    code_lines,
    stripped,
    plain_python,
    links,
    citations,
    sourced,
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
