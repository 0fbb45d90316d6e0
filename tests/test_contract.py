"""Every chapter keeps the contract, but for the breaches that are known, and whoever breaks a rule is found out."""

import inspect
import shutil
import textwrap
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import contract
import nbformat
import pytest
import yaml
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from poolref.teaching.exercises import EXERCISES

ROOT = Path(__file__).parents[1]
CHAPTERS = contract.chapters(ROOT)
UNSEEN = {"tags": ["remove-input"]}
FOLDED = {
    kind: {"tags": ["hide-cell"], "jupyter": {"source_hidden": True}, "mystnb": prompts}
    for kind, prompts in contract.PROMPTS.items()
}


KNOWN = yaml.safe_load((Path(__file__).parent / "known_breaches.yml").read_text("utf-8"))


def test_the_book_has_chapters():
    assert len(CHAPTERS) >= 4


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.slug)
def test_chapter(chapter):
    """A chapter keeps the contract, but for what known_breaches.yml lists, which may only become less."""
    found = contract.complaints(chapter)
    count = Counter(complaint.partition(":")[0] for complaint in found)
    known = Counter(KNOWN["breaches"].get(chapter.slug))
    new = [complaint for complaint in found if count[complaint.partition(":")[0]] > known[complaint.partition(":")[0]]]
    assert not new, "\n".join(new)
    mended = {rule: f"{count[rule]} instead of {known[rule]}" for rule in known if count[rule] < known[rule]}
    assert not mended, f"mended, so write it into tests/known_breaches.yml: {chapter.slug}: {mended}"


def test_known_breaches_are_of_chapters_and_rules_that_exist():
    assert KNOWN["breaches"].keys() <= {chapter.slug for chapter in CHAPTERS}
    assert {rule for rules in KNOWN["breaches"].values() for rule in rules} <= {r.__name__ for r in contract.RULES}
    assert all(number > 0 for rules in KNOWN["breaches"].values() for number in rules.values())


# ---------------------------------------------------------------------------- one small chapter that keeps every rule


def starting_code(name, attempt):
    """What the reader of a worked or a faded exercise starts from; annotated line by line, if it is worked."""
    exercise = EXERCISES[f"max-pooling/{name}"]
    source = textwrap.dedent(inspect.getsource(exercise.given)).replace(exercise.given.__name__, attempt).rstrip()
    return "\n".join(f"{line}  # so" for line in source.split("\n")) if exercise.kind == "worked" else source


def valid_cells():
    """Name -> cell, in order. The smallest chapter that keeps the contract; it stands in for max-pooling."""
    cells = {
        "title": new_markdown_cell(
            "# Max pooling\n\n*Where does the largest value come from?*\n\n<details>\n"
            "<summary>12 minutes to read, 30 to do. Before this: Windows</summary>\n\n- Compute a maximum.\n"
            "- Derive its gradient.\n\nBefore this chapter: [Windows](windows.ipynb).\n\n</details>\n\n"
            "A digit moves by one pixel. Does its pooled map move too?"
        ),
        "problem": new_code_cell('from poolref.teaching import explorer\n\nexplorer("max")', metadata=UNSEEN),
        "preview": new_markdown_cell("## Preview"),
        "preview quiz": new_code_cell('quiz("max-pooling", "preview")', metadata=UNSEEN),
        "explain": new_markdown_cell(
            '## <a id="explain"></a>Explain\n\n![A map and a window](figures/window.svg) with $y = \\max_i x_i$ and '
            "`x[0, 0]`, see [above](#explain), [the start](windows.ipynb#start), [the glossary](glossary.md#stride)."
        ),
        "number": new_code_cell("y = max_pool(x, Window(2))\ny"),
        "number check": new_code_cell("np.testing.assert_array_equal(y, [[1]])", metadata=FOLDED["check"]),
        "figure": new_code_cell(
            'fig, ax = plt.subplots()\nshow(fig, alt="A window of four cells.", caption="A window.")'
        ),
        "explorer": new_code_cell('live.explorer("max")'),
        "tasks": new_code_cell('try_this("explorer", [("Touch it.", {}, "It lights up.")])', metadata=UNSEEN),
        "implement": new_markdown_cell("## Implement"),
        "own": new_code_cell("def my_max_pool(x):\n    return x"),
        "own check": new_code_cell("assert my_max_pool(x).shape == (2, 2)", metadata=FOLDED["check"]),
        "backward": new_markdown_cell("## Backward"),
        "gradient": new_code_cell("np.testing.assert_allclose(ours, theirs)", metadata=FOLDED["check"]),
        "pytorch": new_markdown_cell("## In PyTorch"),
        "torch": new_code_cell("import torch\n\nfor module in modules:\n    print(module(x))"),
        "torch check": new_code_cell("assert torch.equal(a, b)", metadata=FOLDED["check"]),
        "network": new_markdown_cell("## In a network\n\nAs [Zhou](bibliography.md#zhou1988) reports."),
        "network check": new_code_cell("assert low < 0.5 < high", metadata=FOLDED["check"]),
        "misconception": new_markdown_cell("## Misconception\n\nOften printed ([Zhou](bibliography.md#zhou1988))."),
        "refutation": new_code_cell("assert 1 < 2", metadata=FOLDED["check"]),
        "points": new_markdown_cell("## Key points\n\n- One.\n- Two.\n- Three.\n- Four.\n- Five."),
        "review": new_markdown_cell("## Review"),
        "review quiz": new_code_cell('quiz("max-pooling", "review")', metadata=UNSEEN),
        "exercises": new_markdown_cell("## Exercises"),
    }
    empty = 'def my_backward(grad_output, x, kernel_size, stride):\n    """Return the gradient."""'
    for name, stub in {
        "forward": starting_code("forward", "my_forward") + "\n\n\nmy_forward(x, 2, 2, 0)",
        "indices": starting_code("indices", "my_indices"),
        "backward": empty,
        "peaks": "my_peaks = ...",
    }.items():
        solution = f"solution_of_{name}"
        made = f"{solution} = 1" if name == "peaks" else f"def {solution}(x):\n    return x\n\n"
        check = f'check("max-pooling/{name}", my_{name})'
        cells[f"{name} stub"] = new_code_cell(stub if name == "forward" else f"{stub}\n\n{check}")
        if name == "forward":
            cells["forward check"] = new_code_cell(check)
        cells[f"{name} solution"] = new_code_cell(
            f'{made}\n\nassert solves("max-pooling/{name}", {solution})', metadata=FOLDED["solution"]
        )
    cells["references"] = new_markdown_cell(
        "## References\n\n- [Zhou and Chellappa 1988](bibliography.md#zhou1988): an early maximum."
    )
    return cells


@pytest.fixture
def draft(tmp_path):
    """The valid chapter in a book of its own, open to change: cells, info (its metadata), bank, order."""
    book = tmp_path / "book"
    (book / "quizzes").mkdir(parents=True)
    (book / "figures").mkdir()
    (book / "figures" / "window.svg").write_text("<svg/>")
    (book / "glossary.md").write_text("# Glossary\n\n(stride)=\n## How far a window moves\n")
    (book / "bibliography.md").write_text("# Bibliography\n\n## lee2016\n\nLee.\n\n## zhou1988\n\nZhou.\n")
    theirs = [{"id": "size", "text": "Compute a size", "section": "Explain"}]
    for slug in ("what-pooling-does", "windows"):
        page = new_markdown_cell(f'# {slug.title()}\n\n## <a id="start"></a>Start here')
        metadata = {"poolref": {"title": slug.title(), "objectives": theirs}}
        nbformat.write(new_notebook(cells=[page], metadata=metadata), book / f"{slug}.ipynb")
    sections = {"by-hand": "Explain", "trace": "Explain", "gradient": "Backward", "claims": "Misconception"}
    sections["choose"] = "In PyTorch"
    texts = ["Compute a maximum", "Compute a maximum", *["Derive its gradient"] * 3]
    info = {
        "title": "Max pooling",
        "question": "Where does the largest value come from?",
        "objectives": [
            {"id": name, "text": text, "section": section}
            for (name, section), text in zip(sections.items(), texts, strict=True)
        ],
        "minutes_read": 12,
        "minutes_do": 30,
        "prerequisites": ["windows"],
        "operators": ["max"],
    }
    bank = yaml.safe_load((ROOT / "book" / "quizzes" / "max-pooling.yml").read_text("utf-8"))
    asked = ["trace", "gradient", "claims", "size", "size"]
    for question, objective in zip(bank["review"], asked, strict=True):
        question["objective"] = objective
        question.pop("from", None)
    bank["review"][3]["from"], bank["review"][4]["from"] = "windows", "what-pooling-does"
    for question in bank["preview"]:
        question["objective"] = "by-hand"
    bank["preview"][0]["objective"] = "choose"
    order = ["what-pooling-does", "windows", "max-pooling"]
    return SimpleNamespace(book=book, cells=valid_cells(), info=info, bank=bank, order=order)


def complaints_about(draft):
    notebook = new_notebook(cells=list(draft.cells.values()), metadata={"poolref": draft.info})
    path = draft.book / "max-pooling.ipynb"
    nbformat.write(notebook, path)
    bank = draft.bank if isinstance(draft.bank, str) else yaml.safe_dump(draft.bank)
    (draft.book / "quizzes" / "max-pooling.yml").write_text(bank, "utf-8")
    return contract.complaints(contract.Chapter(path, draft.book, draft.order))


def test_the_valid_chapter_is_valid(draft):
    assert complaints_about(draft) == []


# ------------------------------------------------------------------- and what is found when one thing of it is broken


def says(cell, *replacement):
    """Replace text in a cell: (old, new), or all of it: (new,)."""

    def change(draft):
        old = draft.cells[cell].source
        new = old.replace(*replacement) if len(replacement) == 2 else replacement[0]
        assert new != old
        draft.cells[cell].source = new

    return change


def adds(cell, text):
    def change(draft):
        draft.cells[cell].source += text

    return change


def drops(cell):
    return lambda draft: draft.cells.pop(cell)


def swaps(a, b):
    def change(draft):
        draft.cells[a].source, draft.cells[b].source = draft.cells[b].source, draft.cells[a].source

    return change


def informs(**info):
    return lambda draft: draft.info.update(info)


def marks(cell, **metadata):
    return lambda draft: draft.cells[cell].metadata.update(metadata)


def moves_exercise(draft):
    """The stub, check and solution of an exercise, before the section Exercises."""
    moved = {name: draft.cells[name] for name in ("backward stub", "backward solution")}
    rest = {name: cell for name, cell in draft.cells.items() if name not in moved}
    before = {name: rest.pop(name) for name in ("title", "problem", "preview")}
    draft.cells = before | moved | rest


def moves_to_the_end(*names):
    def change(draft):
        references = draft.cells.pop("references")
        for name in names:
            draft.cells[name] = draft.cells.pop(name)
        draft.cells["references"] = references

    return change


def runs(draft):
    draft.cells["own"].execution_count = 1


def leaves_output(draft):
    draft.cells["own"].outputs = [new_output("stream", text="1")]


def many_cells(draft):
    draft.cells |= {f"more {i}": new_code_cell("1 + 1") for i in range(20)}


def aims(**changes):
    """Change the first objective."""
    return lambda draft: draft.info["objectives"][0].update(changes)


def asks(part, number, **changes):
    """Change a question of the bank."""
    return lambda draft: draft.bank[part][number].update(changes)


def recalls(draft):
    for question in draft.bank["review"][:3]:
        question["kind"] = "recall"


def repeats(draft):
    question = draft.bank["preview"][0]
    question["variant"] = {key: question[key] for key in ("question", "compute", "options")}


def answers_alike(draft):
    question = draft.bank["preview"][0]
    question["variant"] = {
        "question": "In other words?",
        "compute": question["compute"],
        "options": question["options"],
    }


BROKEN = [
    # headings
    ("headings_in_order", swaps("implement", "backward"), "level-2 headings are"),
    ("headings_in_order", drops("review"), "level-2 headings are"),
    ("headings_in_order", drops("network"), "level-2 headings are"),
    ("headings_in_order", says("points", "Key points", "Key Points"), "level-2 headings are"),
    ("headings_in_order", says("pytorch", "## In PyTorch", "### In PyTorch"), "level-2 headings are"),
    ("headings_in_order", adds("misconception", "\n\n# Another title"), "the one level-1 heading"),
    ("headings_in_order", adds("preview", "\n\n## Explain"), "must open a cell of its own"),
    ("headings_in_order", says("implement", "## Implement", "So:\n\n## Implement"), "must open a cell of its own"),
    # metadata
    ("metadata", lambda draft: draft.info.pop("minutes_do"), "metadata.poolref.minutes_do is None; it must be a int"),
    ("metadata", lambda draft: draft.info.pop("question"), "metadata.poolref.question is None; it must be a str"),
    ("metadata", informs(minutes_read="12"), "metadata.poolref.minutes_read is '12'"),
    ("metadata", informs(minutes_read=0), "at least 1 minute"),
    ("metadata", informs(objectives=["Compute a maximum"]), "must have id, section, text, all text"),
    ("metadata", aims(level="easy"), "must have id, section, text, all text"),
    ("metadata", informs(operators=["max", 3]), "every entry must be text"),
    ("metadata", informs(level="easy"), "metadata.poolref.level is unknown"),
    ("metadata", informs(prerequisites=["softpool"]), "prerequisite 'softpool' is not an earlier chapter"),
    ("metadata", informs(operators=["maximal"]), "operator 'maximal' is not in the catalog"),
    ("listed", lambda draft: draft.order.remove("max-pooling"), "not listed in _toc.yml"),
    # the first screen
    ("opening", informs(title="Maximum pooling"), "'Max pooling' in the text and 'Maximum pooling' in the metadata"),
    ("opening", informs(question="Where to?"), "the metadata's question in italics"),
    ("opening", says("title", "*Where does", "Where does"), "the metadata's question in italics"),
    ("opening", says("title", "<details>", "<p>"), "one <details> with a <summary>; found 0"),
    ("opening", adds("title", "\n\n<details><summary>More</summary>?</details>"), "found 2"),
    ("opening", says("title", "30 to do", "thirty to do"), "does not name minutes_do (30)"),
    ("opening", says("title", "Before this: Windows", "Before this: much"), "does not name 'Windows'"),
    ("opening", says("title", "[Windows](windows.ipynb)", "Windows"), "does not link to windows.ipynb"),
    ("opening", aims(text="Compute a minimum"), "in the metadata but not in the strip"),
    (
        "opening",
        says("title", " Does its pooled map move too?", ""),
        "two or three sentences tell the problem; found 1",
    ),
    ("opening", drops("problem"), "is a live figure tagged remove-input"),
    ("opening", marks("problem", tags=[]), "is a live figure tagged remove-input"),
    ("opening", says("problem", 'explorer("max")', "plot(x)"), "is a live figure tagged remove-input"),
    # objectives, text, exercises and questions
    ("matrix", informs(objectives=[]), "there are no objectives"),
    ("matrix", aims(id="trace"), "two objectives have the id 'trace'"),
    ("matrix", aims(text="Understand a maximum"), "starts with 'understand'; use a measurable verb"),
    ("matrix", aims(section="Explanation"), "is taught in 'Explanation', which is no heading"),
    ("matrix", aims(id="sweep"), "objective 'sweep' is practised in no exercise"),
    ("matrix", aims(id="sweep"), "exercise 'max-pooling/forward' practises 'by-hand', which is no objective"),
    ("matrix", asks("review", 2, objective="trace"), "objective 'claims' is asked in no question of the review"),
    ("matrix", asks("review", 2, objective="sweep"), "asks for 'sweep', which is no objective"),
    ("matrix", asks("review", 3, objective="sweep"), "asks for 'sweep' of windows, whose objectives are ['size']"),
    # quizzes
    ("question_bank", lambda draft: draft.bank["review"].pop(0), "4 review questions; five are asked"),
    ("question_bank", lambda draft: draft.bank["preview"].pop(), "4 preview questions; five are asked"),
    ("question_bank", lambda draft: draft.bank["review"][0]["options"][0].pop("feedback"), "feedback is missing"),
    ("question_bank", lambda draft: draft.bank["review"][3].pop("from"), "1 review questions carry 'from: <chapter>'"),
    ("question_bank", lambda draft: draft.bank["review"][3].update({"from": "softpool"}), "is from 'softpool'"),
    ("question_bank", lambda draft: setattr(draft, "bank", "preview: ["), "cannot be read as YAML"),
    ("question_bank", recalls, "3 review questions are of kind recall; at most two may be"),
    ("question_bank", lambda draft: draft.bank["preview"][0].pop("variant"), "variant: must be a mapping"),
    ("question_bank", repeats, "asks the same once more"),
    ("question_bank", answers_alike, "has the same answer"),
    ("question_bank", drops("review quiz"), "Review calls quiz with []"),
    (
        "question_bank",
        says("preview quiz", '"preview"', '"review"'),
        "Preview calls quiz with [['max-pooling', 'review']]",
    ),
    ("fresh_numbers", adds("explain", " The indices are [7, 3, 4]."), "its answer '[7, 3, 4]' stands in the chapter"),
    (
        "fresh_numbers",
        says("number", "y = max_pool(x, Window(2))", "y = [ 0,11, 0 ,0]"),
        "its answer '[0, 11, 0, 0]' stands",
    ),
    # what a section must hold
    ("explained", drops("explorer"), "Explain shows no live figure"),
    ("explained", says("explorer", "np.stack(maps)"), "Explain shows no live figure"),
    ("explained", drops("tasks"), "Explain has no try_this()"),
    ("explained", says("own", "1 + 1"), "Implement defines no function"),
    ("explained", adds("own", "\n\n\nshow_source(max_pool)"), "Implement shows source"),
    ("explained", says("refutation", "print(1 < 2)"), "Misconception asserts nothing"),
    ("explained", drops("gradient"), "Backward asserts nothing"),
    ("explained", drops("network check"), "In a network asserts nothing"),
    ("explained", says("network", "## In a network"), "In a network cites no work"),
    ("explained", lambda d: [says("torch", "print(1)")(d), says("torch check", "assert a")(d)], "runs no torch"),
    ("key_points", says("points", "\n- Five.", ""), "4 points; it must have five bullets"),
    ("key_points", adds("points", "\n- Six."), "6 points"),
    # predict, run, see
    ("visible_results", adds("number", "\nassert y"), "an assertion in sight"),
    ("visible_results", says("number", "y = 1\nnp.testing.assert_equal(y, 1)\ny"), "an assertion in sight"),
    ("visible_results", says("number", "y = max_pool(x, Window(2))"), "it ends in no picture, print or expression"),
    ("visible_results", says("torch", "print(module(x))", "module(x)"), "it ends in no picture, print or expression"),
    ("folding", marks("number check", jupyter={}), "needs metadata jupyter.source_hidden"),
    ("folding", marks("number check", mystnb=FOLDED["solution"]["mystnb"]), "a check needs metadata mystnb"),
    ("folding", marks("forward solution", tags=[]), "a solution needs the tag hide-cell"),
    ("folding", marks("forward solution", mystnb={}), "a solution needs metadata mystnb"),
    ("folding", marks("number", **FOLDED["check"]), "this one asserts nothing"),
    ("folding", marks("number", tags=["hide-output"]), "JupyterLab unfolds hide-output"),
    # exercises
    ("exercises", drops("forward check"), "0 checks and 1 solutions"),
    ("exercises", drops("indices solution"), "1 checks and 0 solutions"),
    ("exercises", lambda d: [drops(f"indices {x}")(d) for x in ("stub", "solution")], "there is no faded exercise"),
    ("exercises", lambda d: [drops(f"peaks {x}")(d) for x in ("stub", "solution")], "there is no design exercise"),
    (
        "exercises",
        moves_to_the_end("indices stub", "indices solution"),
        "exercises climb from worked to faded to open to design",
    ),
    ("exercises", drops("forward stub"), "is tried on my_forward, which is not made above it"),
    (
        "exercises",
        says("backward stub", '"""Return the gradient."""', "return x.max()"),
        "starts from an empty function",
    ),
    ("exercises", says("backward stub", "x, kernel_size", "kernel_size, x"), "should take what max_pool_2d_backward("),
    (
        "exercises",
        says("indices stub", "place // ...", "place // 2"),
        "the code is not that of max_indices_with_gaps()",
    ),
    (
        "exercises",
        says("forward stub", "np.max(window)", "np.min(window)"),
        "the code is not that of max_pool_2d_without",
    ),
    (
        "exercises",
        says("forward stub", "(height, width))  # so", "(height, width))"),
        "is annotated line by line; lines [5]",
    ),
    ("exercises", says("peaks stub", "my_peaks = ...", "my_peaks = (3, 1, 1, 0)"), "a design starts from `name = ...`"),
    (
        "exercises",
        says("peaks stub", "my_peaks = ...", "def my_peaks():\n    ..."),
        "a design starts from `name = ...`",
    ),
    (
        "exercises",
        says("backward solution", "solution_of_backward", "my_backward"),
        "the solution redefines my_backward",
    ),
    ("exercises", says("forward solution", "assert ", ""), "the solution must say assert solves("),
    ("exercises", says("forward check", "max-pooling/forward", "max-pooling/sideways"), "which is no exercise"),
    ("exercises", says("forward check", "max-pooling/forward", "windows/cells"), "belongs to another chapter"),
    ("exercises", moves_exercise, "stands outside the section Exercises"),
    # pictures
    ("alt_text", says("explain", "![A map and a window]", "![]"), "image 'figures/window.svg' has no alt text"),
    ("alt_text", adds("explain", '\n\n<img src="figures/window.svg">'), "has no alt text"),
    ("alt_text", adds("explain", '\n\nSee <img src="figures/window.svg" alt=""> here.'), "has no alt text"),
    ("alt_text", says("figure", 'alt="A window of four cells.", ', ""), "show(...) has no alt text"),
    ("alt_text", says("figure", "A window of four cells.", " "), "show(...) has no alt text"),
    ("alt_text", says("figure", "fig, ax = plt.subplots()\nfig"), "drawn but not shown with show("),
    ("alt_text", says("figure", "fig, ax = chart()\nfig"), "drawn but not shown with show("),
    ("alt_text", says("figure", "plt.plot(x)\nplt.show()"), "drawn but not shown with show("),
    # limits and cleanliness
    ("limits", adds("explain", " word" * 2500), "words of Markdown; at most 2500"),
    ("limits", many_cells, "code cells; at most 30"),
    ("code_lines", adds("number", "  # " + "long " * 20), "characters; at most"),
    ("stripped", runs, "carry outputs or counts"),
    ("stripped", leaves_output, "carry outputs or counts"),
    ("plain_python", says("refutation", "%timeit 1"), "not plain Python"),
    ("plain_python", adds("own", "\n\n\nfrom poolref import numpy"), "hides NumPy"),
    # links and citations
    ("links", adds("explain", " [there](nowhere.ipynb)"), "'nowhere.ipynb': there is no such file"),
    ("links", adds("explain", " [there](glossary.md#padding)"), "glossary.md has no anchor 'padding'"),
    (
        "links",
        adds("explain", " [there](#key-points)"),
        "has no anchor 'key-points' (a notebook needs <a id=\"key-points\">",
    ),
    ("links", adds("explain", " [there](windows.ipynb#start-here)"), "windows.ipynb has no anchor 'start-here'"),
    ("links", adds("explain", "\n\n![A lost picture](figures/lost.svg)"), "'figures/lost.svg': there is no such file"),
    ("links", adds("references", "\n- [Nobody](bibliography.md#nobody1900): no."), "has no anchor 'nobody1900'"),
    ("citations", says("references", "## References"), "links to no work in bibliography.md#key"),
    ("citations", adds("explain", " [Lee](bibliography.md#lee2016)"), "is cited but not listed under References"),
    (
        "citations",
        says("references", ": an early maximum.", ""),
        "must link to bibliography.md#key and say what it shows",
    ),
    (
        "citations",
        adds("references", "\n- Lee, 2016: a mixture."),
        "must link to bibliography.md#key and say what it shows",
    ),
    ("sourced", adds("explain", "\n\nThis is often said."), "'often said' without a source"),
    # what only MyST understands
    ("no_myst", adds("explain", "\n\n```{note}\nText.\n```"), "directive {note}"),
    ("no_myst", adds("explain", "\n\n:::{tip}\nText.\n:::"), "fence :::"),
    ("no_myst", adds("explain", "\n\nSee {ref}`windows`."), "role {ref}`windows`"),
    ("no_myst", adds("explain", "\n\nSee {cite:p}`zhou1988`."), "role {cite:p}`zhou1988`"),
    ("no_myst", adds("explain", "\n\n(here)=\nText."), "target (...)="),
    ("no_myst", adds("explain", "\n\n% a comment"), "comment %"),
    ("no_myst", adds("explain", "\n\n+++\n\nText."), "block break +++"),
    ("no_myst", adds("explain", "\n\nWith {{ value }}."), "substitution"),
    ("no_myst", adds("explain", "\n\nAs shown [@zhou1988]."), "citation [@key]"),
    ("no_myst", adds("explain", "\n\nWith \\(x\\)."), "write $...$"),
]


@pytest.mark.parametrize(("rule", "break_it", "words"), BROKEN, ids=[f"{r}-{i}" for i, (r, _, _) in enumerate(BROKEN)])
def test_a_broken_chapter_is_found_out(rule, break_it, words, draft):
    break_it(draft)
    found = complaints_about(draft)
    assert any(complaint.startswith(f"{rule}: ") and words in complaint for complaint in found), found


def test_every_rule_is_broken_once():
    assert {rule for rule, _, _ in BROKEN} == {rule.__name__ for rule in contract.RULES}


def test_a_drawing_may_be_the_thumbnail_of_the_card(draft):
    draft.cells["figure"].metadata.tags = ["hide-input", "thumbnail"]
    assert complaints_about(draft) == []


def test_syntax_shown_as_code_is_no_syntax(draft):
    adds("explain", "\n\nIn MyST one writes `{ref}` and `:::` and `(target)=`.\n\n```\n:::{note}\n```")(draft)
    assert complaints_about(draft) == []


def test_a_missing_bank_is_named(draft):
    complaints_about(draft)
    shutil.rmtree(draft.book / "quizzes")
    chapter = contract.Chapter(draft.book / "max-pooling.ipynb", draft.book, draft.order)
    assert "max-pooling.yml: cannot be read" in " ".join(contract.question_bank(chapter))
