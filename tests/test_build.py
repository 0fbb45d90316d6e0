"""The build, on a book of one chapter: it stops, loudly and every time, at what is wrong, and repeats no work."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

MACHINERY = ["_config.yml", "book/_ext", "book/_static", "book/_templates"]
TOC = "format: jb-book\nroot: book/index\nchapters:\n  - file: book/chapter\n  - file: book/bibliography\n"
WORKS = """@article{zhou1988, author={Y.-T. Zhou and Chellappa, Rama}, title={Computation of optical flow},
journal={ICNN}, year={1988}, pages={71--78}, doi={10.1109/ICNN.1988.23914}}"""


@pytest.fixture
def book(tmp_path):
    """A book of one chapter and one source, with the real machinery and a stand-in for poolref."""
    for name in MACHINERY:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, tmp_path / name)
        else:
            shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "_toc.yml").write_text(TOC)
    (tmp_path / "book" / "index.md").write_text("# Book\n\nTwo pages.\n")
    (tmp_path / "book" / "bibliography.md").write_text("# Bibliography\n\nThe works.\n")
    (tmp_path / "book" / "references.bib").write_text(WORKS)
    subprocess.run([sys.executable, "book/_ext/bibliography.py"], cwd=tmp_path, check=True)
    (tmp_path / "poolref").mkdir()
    (tmp_path / "poolref" / "__init__.py").touch()  # without it, the installed poolref would come first
    (tmp_path / "poolref" / "values.py").write_text("answer = 41\n")
    write_chapter(tmp_path, "import sys; sys.path.insert(0, '..')\nfrom poolref.values import answer\nanswer")
    return tmp_path


def write_chapter(book, code, text="# Chapter\n\nA page that runs."):
    def cell(kind, source, **more):
        return {"cell_type": kind, "id": kind, "metadata": {}, "source": source, **more}

    notebook = {
        "cells": [cell("markdown", text), cell("code", code, execution_count=None, outputs=[])],
        "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    (book / "book" / "chapter.ipynb").write_text(json.dumps(notebook))


def build(book, **environment):
    command = [Path(sys.executable).with_name("jupyter-book"), "build", ".", "-W", "-n", "--keep-going"]
    environment = {k: v for k, v in os.environ.items() if k != "POOLREF_REPOSITORY"} | environment
    result = subprocess.run(command, cwd=book, capture_output=True, text=True, env=environment)
    return result.returncode, result.stdout + result.stderr


def shown(book):
    return (book / "_build" / "html" / "book" / "chapter.html").read_text()


def test_a_failing_cell_stops_every_build_and_shows_its_traceback(book):
    write_chapter(book, "window = []\nmax(window)")
    for _ in range(2):
        code, output = build(book)
        assert code != 0
        assert "chapter.ipynb" in output
        assert "max(window)" in output and "max() arg is an empty sequence" in output


@pytest.mark.parametrize(
    "code, text, complaint",
    [
        ("1", "# Chapter\n\n[nowhere](other.ipynb)", "other.ipynb"),
        ("1", "# Chapter\n\n[nowhere](index.md#no-such-place)", "no-such-place"),
        ("1", "# Chapter\n\n[Zhang 2019](bibliography.md#zhang2019)", "zhang2019"),
        ("1", "# Chapter\n\nA formula: $\\frac{1}{$.", "in the formula \\frac{1}{"),
        ("1", "# Chapter\n\n![](../book/_static/favicon.svg)", "no alternative text"),
        ("from IPython.display import HTML\nHTML('<img src=\"data:,\">')", "# Chapter\n\nText.", "no alternative text"),
        ("import matplotlib.pyplot as plt\nplt.plot([1, 2]);", "# Chapter\n\nText.", "no alternative text"),
        ("import sys\nprint('oh', file=sys.stderr)", "# Chapter\n\nText.", "stderr"),
    ],
)
def test_what_is_wrong_with_a_page_stops_every_build(book, code, text, complaint):
    write_chapter(book, code, text)
    for _ in range(2):
        returncode, output = build(book)
        assert returncode != 0
        assert complaint in output


def test_the_bibliography_says_what_the_bib_file_says_and_the_build_writes_nothing(book):
    write_chapter(book, "1", "# Chapter\n\nAs [Zhou and Chellappa](bibliography.md#zhou1988) have it.")
    page = book / "book" / "bibliography.md"
    page.write_text("# Bibliography\n\nThe works.\n")
    code, output = build(book)
    assert code != 0 and "bibliography.md is not what references.bib says: run" in output
    assert page.read_text() == "# Bibliography\n\nThe works.\n"
    subprocess.run([sys.executable, "book/_ext/bibliography.py"], cwd=book, check=True)
    code, output = build(book)
    assert code == 0, output
    assert 'href="bibliography.html#zhou1988"' in shown(book)
    assert page.read_text().startswith("# Bibliography\n\nThe works.\n\n## zhou1988\n\nY.-T. Zhou and Rama Chellappa.")
    assert "*Computation of optical flow*. ICNN, 71–78, 1988. [doi:10.1109/ICNN.1988.23914]" in page.read_text()


def test_a_second_build_runs_nothing_until_poolref_changes(book):
    code, output = build(book)
    assert code == 0, output
    assert "Executing notebook" in output and ">41<" in shown(book).replace("\n", "")
    code, output = build(book)
    assert code == 0, output
    assert "Executing notebook" not in output and "no targets are out of date" in output
    (book / "poolref" / "values.py").write_text("answer = 42\n")
    code, output = build(book)
    assert code == 0, output
    assert "Executing notebook" in output and ">42<" in shown(book).replace("\n", "")


def test_a_changed_style_sheet_reaches_the_site_and_runs_nothing(book):
    assert build(book)[0] == 0
    with (book / "book" / "_static" / "poolref.css").open("a") as style:
        style.write("/* new */")
    code, output = build(book)
    assert code == 0, output
    assert "Executing notebook" not in output
    assert "/* new */" in (book / "_build" / "html" / "_static" / "poolref.css").read_text()


def test_repository_links_come_from_one_setting(book):
    services = ["github.com/someone", "mybinder.org", "colab.research.google.com"]
    assert build(book)[0] == 0
    assert not any(service in shown(book) for service in services)
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


def test_scripts_are_loaded_only_where_their_figure_is(book):
    assert build(book)[0] == 0
    assert "poolref/live" not in shown(book)
    figure = "<div data-poolref-live='explorer'></div>".replace("'", '"')
    write_chapter(book, f"from IPython.display import HTML\nHTML('{figure}')")
    assert build(book)[0] == 0
    scripts = re.findall(r'<script defer="defer" src="([^"?]*poolref/live/[^"?]*)', shown(book))
    assert scripts == ["../_static/poolref/live/kit.js", "../_static/poolref/live/explorer.js"], (
        "classic, the kit first"
    )
    for name in ("kit.js", "explorer.js", "kit.css"):
        assert (book / "_build" / "html" / "_static" / "poolref" / "live" / name).stat().st_size > 1000


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
