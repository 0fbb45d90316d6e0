"""Every chapter keeps the contract, and a chapter that breaks a rule of it is found out."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import contract
import nbformat
import pytest
import yaml
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

ROOT = Path(__file__).parents[1]
CHAPTERS = contract.chapters(ROOT)
FOLDED = {
    "tags": ["hide-cell"],
    "jupyter": {"source_hidden": True},
    "mystnb": {"code_prompt_show": "Show solution", "code_prompt_hide": "Hide solution"},
}


def test_the_book_has_chapters():
    assert len(CHAPTERS) >= 4


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.slug)
def test_chapter(chapter):
    complaints = contract.complaints(chapter)
    assert not complaints, "\n".join(complaints)


# ---------------------------------------------------------------------------- one small chapter that keeps every rule


def valid_cells():
    """Name -> cell, in order. The smallest chapter that keeps the contract; it stands in for max-pooling."""
    cells = {
        "title": new_markdown_cell(
            "# Max pooling\n\nOne cell of each window wins.\n\n- Compute a maximum.\n- Derive its gradient.\n\n"
            "12 minutes to read, 30 to do. Before it: [Windows](windows.ipynb)."
        ),
        "preview": new_markdown_cell("## Preview"),
        "preview quiz": new_code_cell('from poolref.teaching import quiz\n\nquiz("max-pooling", "preview")'),
        "explain": new_markdown_cell(
            "## Explain\n\n![A map and a window](figures/window.svg) with $y = \\max_i x_i$ and `x[0, 0]`, "
            "see [below](#key-points) and [the glossary](glossary.md#stride)."
        ),
        "figure": new_code_cell(
            'fig, ax = plt.subplots()\nshow(fig, alt="A window of four cells.", caption="A window.")'
        ),
        "explorer": new_code_cell('explorer("max")'),
        "implement": new_markdown_cell("## Implement"),
        "source": new_code_cell("show_source(max_pool)\nassert max_pool(x, Window(2)).shape == (2, 2)"),
        "backward": new_markdown_cell("## Backward"),
        "gradient": new_code_cell("np.testing.assert_allclose(ours, theirs)"),
        "pytorch": new_markdown_cell("## In PyTorch"),
        "torch": new_code_cell("import torch\n\nassert torch.equal(a, b)"),
        "misconception": new_markdown_cell("## Misconception\n\nOften printed ([Zhou](bibliography.md#zhou1988))."),
        "refutation": new_code_cell("assert 1 < 2"),
        "points": new_markdown_cell("## Key points\n\n- One.\n- Two.\n- Three.\n- Four.\n- Five."),
        "review": new_markdown_cell("## Review"),
        "review quiz": new_code_cell('quiz("max-pooling", "review")'),
        "exercises": new_markdown_cell("## Exercises"),
    }
    for name, arguments in [
        ("forward", "x, kernel_size, stride, padding"),
        ("indices", "x, kernel_size, stride"),
        ("first-tie", "grad_output, x, kernel_size, stride"),
    ]:
        attempt, solution = f"my_{name}".replace("-", "_"), f"{name}_solution".replace("-", "_")
        body = "y = ...\n    return y" if name == "indices" else "..."
        cells |= {
            f"{name} stub": new_code_cell(f"def {attempt}({arguments}):\n    {body}"),
            f"{name} check": new_code_cell(f'check("max-pooling/{name}", {attempt})'),
            f"{name} solution": new_code_cell(
                f"def {solution}({arguments}):\n    return x\n\n\n"
                f'assert check("max-pooling/{name}", {solution}).passed',
                metadata=FOLDED,
            ),
        }
    cells["references"] = new_markdown_cell("## References\n\n- [Zhou and Chellappa 1988](bibliography.md#zhou1988)")
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
    nbformat.write(new_notebook(cells=[new_markdown_cell("# Windows")]), book / "windows.ipynb")
    info = {
        "title": "Max pooling",
        "objectives": ["Compute a maximum", "Derive its gradient"],
        "minutes_read": 12,
        "minutes_do": 30,
        "prerequisites": ["windows"],
        "operators": ["max"],
    }
    bank = yaml.safe_load((ROOT / "book" / "quizzes" / "max-pooling.yml").read_text("utf-8"))
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


def banks(part, **changes):
    """Change the first question of a part of the bank."""
    return lambda draft: draft.bank[part][0].update(changes)


def moves_exercise(draft):
    """The stub, check and solution of an exercise, before the section Exercises."""
    moved = {name: draft.cells[name] for name in ("forward stub", "forward check", "forward solution")}
    rest = {name: cell for name, cell in draft.cells.items() if name not in moved}
    draft.cells = {"title": rest.pop("title"), "preview": rest.pop("preview")} | moved | rest


def runs(draft):
    draft.cells["refutation"].execution_count = 1


def leaves_output(draft):
    draft.cells["refutation"].outputs = [new_output("stream", text="1")]


def many_cells(draft):
    draft.cells |= {f"more {i}": new_code_cell("x = 1") for i in range(15)}


BROKEN = [
    # headings
    ("headings_in_order", swaps("implement", "backward"), "level-2 headings are"),
    ("headings_in_order", drops("review"), "level-2 headings are"),
    ("headings_in_order", says("points", "Key points", "Key Points"), "level-2 headings are"),
    (
        "headings_in_order",
        says("pytorch", "## In PyTorch", "### In PyTorch"),
        "level-2 headings are",
    ),
    ("headings_in_order", adds("misconception", "\n\n# Another title"), "the one level-1 heading"),
    ("headings_in_order", adds("preview", "\n\n## Explain"), "must open a cell of its own"),
    ("headings_in_order", says("implement", "## Implement", "So:\n\n## Implement"), "must open a cell of its own"),
    # metadata
    ("metadata", lambda draft: draft.info.pop("minutes_do"), "metadata.poolref.minutes_do is None; it must be a int"),
    ("metadata", informs(minutes_read="12"), "metadata.poolref.minutes_read is '12'"),
    ("metadata", informs(minutes_read=0), "at least 1 minute"),
    ("metadata", informs(objectives=["Compute a maximum", 3]), "every entry must be text"),
    ("metadata", informs(level="easy"), "metadata.poolref.level is unknown"),
    ("metadata", informs(prerequisites=["softpool"]), "prerequisite 'softpool' is not an earlier chapter"),
    ("metadata", informs(operators=["maximal"]), "operator 'maximal' is not in the catalog"),
    ("listed", lambda draft: draft.order.remove("max-pooling"), "not listed in _toc.yml"),
    # title, promise, objectives
    ("opening", informs(title="Maximum pooling"), "'Max pooling' in the text and 'Maximum pooling' in the metadata"),
    (
        "opening",
        says("title", "One cell of each window wins.", "One wins. The others lose."),
        "a promise of one sentence",
    ),
    ("opening", says("title", "30 to do", "thirty to do"), "does not name minutes_do (30)"),
    ("opening", says("title", "[Windows](windows.ipynb)", "Windows"), "does not link to windows.ipynb"),
    ("objectives", informs(objectives=["Understand a maximum"]), "starts with 'understand'; use a measurable verb"),
    ("objectives", informs(objectives=["Know its gradient"]), "starts with 'know'"),
    ("objectives", informs(objectives=["Compute a minimum"]), "in the metadata but not in the text"),
    ("objectives", informs(objectives=[]), "there are no objectives"),
    # quizzes
    ("question_bank", lambda draft: draft.bank["review"].pop(0), "4 review questions; five are asked"),
    ("question_bank", lambda draft: draft.bank["preview"].pop(), "4 preview questions; five are asked"),
    ("question_bank", lambda draft: draft.bank["review"][0]["options"][0].pop("feedback"), "feedback is missing"),
    ("question_bank", lambda draft: draft.bank["review"][3].pop("from"), "1 review questions carry 'from: <chapter>'"),
    ("question_bank", lambda draft: draft.bank["review"][3].update({"from": "softpool"}), "is from 'softpool'"),
    ("question_bank", lambda draft: setattr(draft, "bank", "preview: ["), "cannot be read as YAML"),
    ("question_bank", banks("review", difficulty="hard"), "difficulty must be 'medium'"),
    ("question_bank", drops("review quiz"), "Review calls quiz with []"),
    (
        "question_bank",
        says("preview quiz", '"preview"', '"review"'),
        "Preview calls quiz with [['max-pooling', 'review']]",
    ),
    # what a section must hold
    ("explained", drops("explorer"), "Explain has no call of explorer()"),
    ("explained", says("source", "show_source(max_pool)\n", ""), "Implement has no call of show_source()"),
    ("explained", says("refutation", "print(1 < 2)"), "Misconception asserts nothing"),
    ("explained", drops("gradient"), "Backward asserts nothing"),
    ("explained", says("torch", "assert a == b"), "In PyTorch runs no torch"),
    ("key_points", says("points", "\n- Five.", ""), "4 points; it must have five bullets"),
    ("key_points", adds("points", "\n- Six."), "6 points"),
    # exercises
    ("exercises", drops("forward check"), "0 checked stubs and 1 checked folded solutions"),
    ("exercises", drops("indices solution"), "1 checked stubs and 0 checked folded solutions"),
    ("exercises", lambda d: [drops(f"indices {x}")(d) for x in ("stub", "check", "solution")], "no faded exercise"),
    ("exercises", drops("first-tie stub"), "checks no function defined above it"),
    ("exercises", says("forward stub", "...", "return x.max()"), "the stub my_forward() already holds an answer"),
    (
        "exercises",
        says("forward stub", "x, kernel_size", "kernel_size, x"),
        "should take what max_pool_2d(x, kernel_size",
    ),
    ("exercises", says("indices stub", "y = ...\n    return y", "..."), "a faded stub holds the code"),
    ("exercises", says("forward solution", "forward_solution", "my_forward"), "the solution redefines my_forward()"),
    ("exercises", says("forward solution", ".passed", ""), "the solution must say assert check("),
    ("exercises", says("forward check", "max-pooling/forward", "max-pooling/sideways"), "names no exercise"),
    ("exercises", says("forward check", "max-pooling/forward", "windows/cells"), "belongs to another chapter"),
    ("exercises", moves_exercise, "stands outside the section Exercises"),
    ("folding", marks("forward solution", tags=[]), "needs the tag hide-cell"),
    ("folding", marks("forward solution", jupyter={}), "needs metadata jupyter.source_hidden"),
    ("folding", marks("forward solution", mystnb={}), "needs metadata mystnb.code_prompt_show"),
    # pictures
    ("alt_text", says("explain", "![A map and a window]", "![]"), "image 'figures/window.svg' has no alt text"),
    ("alt_text", adds("explain", '\n\n<img src="figures/window.svg">'), "has no alt text"),
    ("alt_text", adds("explain", '\n\nSee <img src="figures/window.svg" alt=""> here.'), "has no alt text"),
    ("alt_text", says("figure", 'alt="A window of four cells.", ', ""), "show(...) has no alt text"),
    ("alt_text", says("figure", "A window of four cells.", " "), "show(...) has no alt text"),
    ("alt_text", says("figure", "fig, ax = plt.subplots()\nfig"), "drawn but not shown with show("),
    ("alt_text", says("figure", "plt.plot(x)\nplt.show()"), "drawn but not shown with show("),
    # limits and cleanliness
    ("limits", adds("explain", " word" * 2500), "words of Markdown; at most 2500"),
    ("limits", many_cells, "code cells; at most 25"),
    ("stripped", runs, "carry outputs or counts"),
    ("stripped", leaves_output, "carry outputs or counts"),
    ("plain_python", says("refutation", "%timeit 1"), "not plain Python"),
    ("plain_python", adds("source", "\nfrom poolref import numpy"), "hides NumPy"),
    # links and citations
    ("links", adds("explain", " [there](nowhere.ipynb)"), "'nowhere.ipynb': there is no such file"),
    ("links", adds("explain", " [there](glossary.md#padding)"), "glossary.md has no anchor 'padding'"),
    ("links", adds("explain", " [there](#no-such-section)"), "has no anchor 'no-such-section'"),
    ("links", adds("explain", "\n\n![A lost picture](figures/lost.svg)"), "'figures/lost.svg': there is no such file"),
    ("links", adds("references", "\n- [Nobody](bibliography.md#nobody1900)"), "has no anchor 'nobody1900'"),
    ("citations", says("references", "## References"), "links to no work in bibliography.md#key"),
    ("citations", adds("explain", " [Lee](bibliography.md#lee2016)"), "is cited but not listed under References"),
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


def test_syntax_shown_as_code_is_no_syntax(draft):
    adds("explain", "\n\nIn MyST one writes `{ref}` and `:::` and `(target)=`.\n\n```\n:::{note}\n```")(draft)
    assert complaints_about(draft) == []


def test_a_missing_bank_is_named(draft):
    complaints_about(draft)
    shutil.rmtree(draft.book / "quizzes")
    chapter = contract.Chapter(draft.book / "max-pooling.ipynb", draft.book, draft.order)
    assert "max-pooling.yml: cannot be read" in " ".join(contract.question_bank(chapter))
