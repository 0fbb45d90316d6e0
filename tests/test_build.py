"""The build, on a small book: it stops, loudly and every time, at what is wrong, and repeats no work."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, once

MACHINERY = ["_config.yml", "book/_ext", "book/_static", "book/_templates"]
WORKS = """@article{zhou1988, author={Y.-T. Zhou and Chellappa, Rama}, title={Computation of optical flow},
journal={ICNN}, year={1988}, pages={71--78}, doi={10.1109/ICNN.1988.23914}}"""


BROKEN = {  # the code and the text of a chapter, and what the build says of it
    "failing": ("window = []\nmax(window)", "# A\n\nText.", "Executing notebook failed: CellExecutionError"),
    "no-page": ("1", "# B\n\n[nowhere](other.ipynb)", "other.ipynb"),
    "no-place": ("1", "# C\n\n[nowhere](index.md#no-such-place)", "no-such-place"),
    "no-work": ("1", "# D\n\n[Zhang 2019](bibliography.md#zhang2019)", "zhang2019"),
    "image": ("1", "# E\n\n![](../book/_static/favicon.svg)", "no alternative text"),
    "html": ("from IPython.display import HTML\nHTML('<img src=\"data:,\">')", "# F\n\nText.", "no alternative text"),
    "plot": ("import matplotlib.pyplot as plt\nplt.plot([1, 2]);", "# G\n\nText.", "no alternative text"),
    "formula": ("1", "# I\n\nA formula: $\\frac{1}{$.", "in the formula \\frac{1}{"),
    "stderr": ("import sys\nprint('oh', file=sys.stderr)", "# H\n\nText.", "stderr"),
}
GOOD = "import sys; sys.path.insert(0, '..')\nfrom poolref.values import answer\nanswer"


def make_book(folder, chapters):
    """A book of some chapters and one source, with the real machinery and a stand-in for poolref."""
    for name in MACHINERY:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name)
        else:
            shutil.copy(ROOT / name, folder / name)
    pages = "".join(f"  - file: book/{name}\n" for name in (*chapters, "bibliography"))
    (folder / "_toc.yml").write_text(f"format: jb-book\nroot: book/index\nchapters:\n{pages}")
    (folder / "book" / "index.md").write_text("# Book\n\nSome pages.\n")
    (folder / "book" / "bibliography.md").write_text("# Bibliography\n\nThe works.\n")
    (folder / "book" / "references.bib").write_text(WORKS)
    subprocess.run([sys.executable, "book/_ext/bibliography.py"], cwd=folder, check=True)
    (folder / "poolref").mkdir()
    (folder / "poolref" / "__init__.py").touch()  # without it, the installed poolref would come first
    (folder / "poolref" / "values.py").write_text("answer = 41\n")
    for name, (code, text) in chapters.items():
        write_chapter(folder, code, text, name)
    return folder


def write_chapter(book, code, text="# Chapter\n\nA page that runs.", name="chapter"):
    def cell(kind, source, **more):
        return {"cell_type": kind, "id": kind, "metadata": {}, "source": source, **more}

    notebook = {
        "cells": [cell("markdown", text), cell("code", code, execution_count=None, outputs=[])],
        "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    (book / "book" / f"{name}.ipynb").write_text(json.dumps(notebook))


def build(book, **environment):
    command = [Path(sys.executable).with_name("jupyter-book"), "build", ".", "-W", "-n", "--keep-going"]
    environment = {k: v for k, v in os.environ.items() if k != "POOLREF_REPOSITORY"} | environment
    result = subprocess.run(command, cwd=book, capture_output=True, text=True, env=environment)
    return result.returncode, result.stdout + result.stderr


def shown(book, name="chapter"):
    return (book / "_build" / "html" / "book" / f"{name}.html").read_text()


def complaints(output, name):
    """What a build said of a page."""
    return re.findall(rf"/book/{name}\.ipynb(?::\d+)?: (?:WARNING|ERROR): (.*)", output)


@pytest.fixture
def book(tmp_path):
    """A book of one chapter."""
    return make_book(tmp_path, {"chapter": (GOOD, "# Chapter\n\nA page that runs.")})


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """What a book without faults becomes: the text of its pages by name, and the sizes of the scripts beside them."""

    def built():
        figure = "from IPython.display import HTML\nHTML('<div data-poolref-live=\"explorer\"></div>')"
        cited = "# Chapter\n\nAs [Zhou and Chellappa](bibliography.md#zhou1988) have it."
        parts = "print('one', end=' ', flush=True)\nprint('line')"
        chapters = {"chapter": (GOOD, cited), "figure": (figure, "# Figure"), "parts": (parts, "# Parts")}
        book = make_book(tmp_path_factory.mktemp("good"), chapters)
        code, output = build(book)
        assert code == 0, output
        live = book / "_build" / "html" / "_static" / "poolref" / "live"
        sizes = {file.name: file.stat().st_size for file in live.iterdir()}
        works = (book / "book" / "bibliography.md").read_text()
        return {name: shown(book, name) for name in chapters} | {"works": works, "sizes": sizes}

    return once(tmp_path_factory, "good-build", built)


@pytest.fixture(scope="module")
def broken_builds(tmp_path_factory):
    """What two builds say of one book, in which all chapters but one are wrong, each in its own way."""

    def builds():
        chapters = {name: (code, text) for name, (code, text, _) in BROKEN.items()}
        book = make_book(tmp_path_factory.mktemp("broken"), {"chapter": (GOOD, "# Good\n\nText.")} | chapters)
        return [build(book) for _ in range(2)]

    return once(tmp_path_factory, "broken-builds", builds)


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_wrong_with_a_page_stops_every_build(broken_builds, name):
    for code, output in broken_builds:
        assert code != 0
        assert any(BROKEN[name][2] in complaint for complaint in complaints(output, name)), output


def test_what_is_right_is_not_complained_of(broken_builds):
    for _, output in broken_builds:
        assert complaints(output, "chapter") == []


def test_a_failing_cell_shows_its_traceback(broken_builds):
    for _, output in broken_builds:
        assert "max(window)" in output and "max() arg is an empty sequence" in output


def test_the_bibliography_says_what_the_bib_file_says_and_the_build_writes_nothing(book, pages):
    page = book / "book" / "bibliography.md"
    page.write_text("# Bibliography\n\nThe works.\n")
    code, output = build(book)
    assert code != 0 and "bibliography.md is not what references.bib says: run" in output
    assert page.read_text() == "# Bibliography\n\nThe works.\n"
    assert 'href="bibliography.html#zhou1988"' in pages["chapter"]
    works = pages["works"]
    assert works.startswith("# Bibliography\n\nThe works.\n\n## zhou1988\n\nY.-T. Zhou and Rama Chellappa.")
    assert "*Computation of optical flow*. ICNN, 71–78, 1988. [doi:10.1109/ICNN.1988.23914]" in works


def test_a_line_printed_in_two_parts_is_one_line(pages):
    assert "one line" in pages["parts"]


def test_scripts_are_loaded_only_where_their_figure_is(pages):
    assert "poolref/live" not in pages["chapter"]
    scripts = re.findall(r'<script defer="defer" src="([^"?]*poolref/live/[^"?]*)', pages["figure"])
    classic_and_the_kit_first = ["../_static/poolref/live/kit.js", "../_static/poolref/live/explorer.js"]
    assert scripts == classic_and_the_kit_first
    for name in ("kit.js", "explorer.js", "kit.css"):
        assert pages["sizes"][name] > 1000


def test_a_second_build_runs_nothing_until_poolref_changes(book):
    code, output = build(book)
    assert code == 0, output
    assert "Executing notebook" in output and ">41<" in shown(book).replace("\n", "")
    code, output = build(book)
    assert code == 0, output
    assert "Executing notebook" not in output and "no targets are out of date" in output
    with (book / "book" / "_static" / "poolref.css").open("a") as style:
        style.write("/* new */")
    code, output = build(book)
    assert code == 0, output
    assert "Executing notebook" not in output
    assert "/* new */" in (book / "_build" / "html" / "_static" / "poolref.css").read_text()
    (book / "poolref" / "values.py").write_text("answer = 42\n")
    code, output = build(book)
    assert code == 0, output
    assert "Executing notebook" in output and ">42<" in shown(book).replace("\n", "")


def test_repository_links_come_from_one_setting(book, pages):
    services = ["github.com/someone", "mybinder.org", "colab.research.google.com"]
    assert not any(service in pages["chapter"] for service in services)
    address = "https://github.com/someone/poolref"
    code, output = build(book, POOLREF_REPOSITORY=address)
    assert code == 0, output
    for link in [
        f"{address}/edit/main/book/chapter.ipynb",
        f"{address}/issues/new?title=",
        "https://mybinder.org/v2/gh/someone/poolref/main?urlpath=lab/tree/book/chapter.ipynb",
        "https://colab.research.google.com/github/someone/poolref/blob/gh-pages/_sources/book/chapter.ipynb",
    ]:
        assert f'href="{link}' in shown(book), link
    download = json.loads((book / "_build" / "html" / "_sources" / "book" / "chapter.ipynb").read_text())
    assert f"git+{address}" in download["cells"][0]["source"]


def test_the_api_links_to_the_lines_of_its_sources(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "book" / "_ext")
    import api

    monkeypatch.setattr(api, "REPOSITORY", "https://github.com/someone/poolref")
    address = api.source_address("py", {"module": "poolref.numpy", "fullname": "soft_pool"})
    file, first, last = re.fullmatch(
        r"https://github.com/someone/poolref/blob/main/(\S+)#L(\d+)-L(\d+)", address
    ).groups()
    lines = (ROOT / file).read_text().splitlines()
    assert lines[int(first) - 1].startswith("def soft_pool(") and int(last) > int(first)
    assert api.source_address("py", {"module": "poolref.catalog", "fullname": "OPERATORS"}) is None, "plain data"
    monkeypatch.setattr(api, "REPOSITORY", "")
    assert api.source_address("py", {"module": "poolref.numpy", "fullname": "soft_pool"}) is None


def test_formulas_and_pictures_are_written_into_the_page(book):
    code = "from IPython.display import HTML\nfrom poolref.teaching import Map, draw\n"
    code += "from poolref.teaching.drawing import image\n"
    code += "HTML(image(draw(Map([[1.0, 2]], padding=1)).svg(), 'A <map>'))"
    write_chapter(
        book, code, '# Chapter\n\n## <a id="a-place"></a>A place\n\nWith $\\frac{a}{b}$, see [there](#a-place).'
    )
    shutil.rmtree(book / "poolref")
    code, output = build(book)
    assert code == 0, output
    page = shown(book)
    assert "<mfrac>" in page and 'role="img" aria-label="A &lt;map&gt;"><svg' in page and "var(--pr-cell, #" in page
    assert 'id="p1-hatch"' in page and "url(#p1-hatch)" in page
    assert page.count('id="a-place"') == 1 and 'href="#a-place"' in page
