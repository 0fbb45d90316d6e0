"""The built site, read as files: nothing from elsewhere, words for every picture, links that lead somewhere, weight."""

import gzip
import json
import re
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import yaml
from bs4 import BeautifulSoup
from conftest import ROOT

KB = 1000
FETCHED = {
    "script": "src",
    "link": "href",
    "img": "src",
    "source": "src",
    "iframe": "src",
    "video": "src",
    "audio": "src",
}
NOT_FETCHED = {"next", "prev", "search", "index", "canonical", "author", "license"}


@cache
def parsed(file):
    return BeautifulSoup(file.read_text("utf-8"), "html.parser")


@pytest.fixture(scope="module")
def pages(site):
    pages = sorted(site.glob("*.html")) + sorted(site.glob("book/**/*.html"))
    assert len(pages) > 5
    return pages


def fetched_by(page):
    """Yield (tag, address) of everything that the page makes a browser fetch."""
    for tag in parsed(page).find_all(list(FETCHED)):
        address = tag.get(FETCHED[tag.name])
        if address and not (tag.name == "link" and NOT_FETCHED & set(tag.get("rel", []))):
            yield tag, address


def test_no_page_fetches_from_another_host(pages):
    foreign = [f"{page.name}: {tag}" for page in pages for tag, address in fetched_by(page) if urlsplit(address).netloc]
    assert not foreign, "\n".join(foreign)


def test_no_style_sheet_fetches_from_another_host(site, pages):
    styles = {file: file.read_text("utf-8") for file in site.rglob("*.css")}
    styles |= {page: "".join(style.text for style in parsed(page).find_all("style")) for page in pages}
    foreign = [
        f"{file.name}: {use}"
        for file, style in styles.items()
        for use in re.findall(r"""(?:url\(|@import)\s*["']?(?:https?:)?//[^)"';]*""", style)
    ]
    assert not foreign, "\n".join(foreign)


def test_every_image_has_alternative_text(pages):
    mute = [
        f"{page.name}: {img!s:.200}"
        for page in pages
        for img in parsed(page).find_all("img")
        if not img.get("alt", "").strip()
    ]
    assert not mute, "\n".join(mute)


def test_every_picture_of_the_course_is_drawn_into_its_page(pages):
    drawn = 0
    for page in pages:
        text = page.read_text("utf-8")
        assert 'class="poolref-svg"' not in text and "data-narrow=" not in text, page.name
        for picture in parsed(page).select(".poolref-picture"):
            drawn += 1
            assert picture["role"] == "img" and picture["aria-label"].strip(), page.name
            assert picture.find("svg"), page.name
    assert drawn > 10


def test_formulas_are_set_without_a_script(pages):
    formulas = 0
    for page in pages:
        body = parsed(page).select_one("article")
        for code in body.select("pre, code, [data-poolref-live]") if body else []:
            code.decompose()
        words = body.get_text() if body else ""
        formulas += len(parsed(page).find_all("math"))
        assert "\\(" not in words and "$$" not in words and "\\frac" not in words, page.name
        assert not any("mathjax" in address.lower() for _, address in fetched_by(page)), page.name
    assert formulas > 50


def test_the_index_has_a_card_for_every_chapter(site):
    index = parsed(site / "book" / "index.html")
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text("utf-8"))
    chapters = [page["file"] for part in toc["parts"][:-1] for page in part["chapters"]]
    cards = index.select(".poolref-cards > li")
    assert [card.a["href"] for card in cards] == [f"{Path(file).name}.html" for file in chapters]
    for number, (card, file) in enumerate(zip(cards, chapters), 1):
        title = parsed(site / f"{file}.html").select_one("h1").get_text()
        assert card.select_one(".poolref-number").text == str(number) and card.strong.text in title
        assert card.select_one(".poolref-question").text.strip() and card.select_one("svg")


def test_every_page_has_a_description_and_one_title(pages):
    for page in pages:
        if "book" in page.relative_to(page.parents[2] if page.parent.name == "api" else page.parents[1]).parts:
            description = parsed(page).find("meta", attrs={"name": "description"})
            assert description and description["content"].strip(), page.name
            assert len(parsed(page).select("article h1")) == 1, page.name


def test_ids_are_unique(pages):
    for page in pages:
        ids = [tag["id"] for tag in parsed(page).find_all(id=True)]
        assert not {name for name in ids if ids.count(name) > 1}, page.name


def test_internal_links_and_anchors_resolve(site, pages):
    broken = []
    for page in pages:
        for link in parsed(page).find_all("a", href=True):
            address = urlsplit(link["href"])
            if address.scheme or address.netloc:
                continue
            target = (page.parent / unquote(address.path)).resolve() if address.path else page
            if not target.is_file() or site not in target.parents:
                broken.append(f"{page.name}: no file {link['href']}")
            elif address.fragment and target.suffix == ".html":
                name = unquote(address.fragment)
                if not parsed(target).find(id=name) and not parsed(target).find("a", attrs={"name": name}):
                    broken.append(f"{page.name}: no place {link['href']}")
    assert not broken, "\n".join(broken)


def test_headings_that_are_linked_to_have_an_anchor_for_jupyter():
    """JupyterLab makes other ids of headings than the site: `<a id="...">` in a heading is a place in both."""
    texts = {
        file: file.read_text("utf-8")
        if file.suffix == ".md"
        else "\n\n".join(
            "".join(cell["source"])
            for cell in json.loads(file.read_text("utf-8"))["cells"]
            if cell["cell_type"] == "markdown"
        )
        for file in [*(ROOT / "book").rglob("*.ipynb"), *(ROOT / "book").rglob("*.md")]
        if "_" not in {part[0] for part in file.relative_to(ROOT).parts} and ".ipynb_checkpoints" not in file.parts
    }
    links = [
        (file, (file.parent / target).resolve() if target else file, place)
        for file, text in texts.items()
        for target, place in re.findall(r"\]\(([^)\s#:]*)#([^)\s]+)\)", text)
    ]
    lost = [
        f'{file.name}: {target.name} has no <a id="{place}"></a> in the heading'
        for file, target, place in links
        if target.suffix == ".ipynb" and f'<a id="{place}"></a>' not in texts[target]
    ]
    assert any(target.suffix == ".ipynb" for _, target, _ in links) and not lost, "\n".join(lost)


def test_every_notebook_can_be_downloaded(site, pages):
    for notebook in site.parents[1].glob("book/*.ipynb"):
        page = site / "book" / f"{notebook.stem}.html"
        links = [link["href"] for link in parsed(page).find_all("a", href=True)]
        assert any(link.endswith(f"_sources/book/{notebook.name}") for link in links), notebook.name


def test_repository_links_are_live_or_absent(pages):
    """Without POOLREF_REPOSITORY no page has a launch, edit or issue button."""
    for page in pages:
        for link in parsed(page).select(".article-header-buttons a[href]"):
            assert link["href"] not in ("", "#", "None"), f"{page.name}: {link}"


def compressed(file):
    """Return the bytes of a file as a server sends it."""
    return len(gzip.compress(file.read_bytes(), 6))


def files_of(page):
    """Return the files that a browser may fetch to show the page, fonts and modules included."""
    found = {page}
    for _, address in fetched_by(page):
        if not urlsplit(address).scheme:
            found.add((page.parent / unquote(urlsplit(address).path)).resolve())
    for file in list(found):
        if file.suffix == ".css":
            addresses = re.findall(r"""url\(["']?([^)"':]+)""", file.read_text("utf-8"))
        elif file.suffix == ".js":
            addresses = re.findall(r"""^import .* from ["'](\./[^"']+)""", file.read_text("utf-8"), re.M)
        else:
            continue
        found |= {(file.parent / unquote(address.split("?")[0].split("#")[0])).resolve() for address in addresses}
    return {file for file in found if file.is_file()}


def test_a_first_visit_and_the_next_page_are_light(pages):
    weights = {page: {file: compressed(file) for file in files_of(page)} for page in pages}
    for page, weight in weights.items():
        assert sum(weight.values()) <= 800 * KB, f"{page.name}: {sum(weight.values())} bytes"
    # Who comes from one chapter to the next has the kit of the live figures already.
    chapters = [set(weight) for weight in weights.values() if any(file.name == "explorer.js" for file in weight)]
    shared = set.intersection(*chapters)
    assert len(chapters) > 3 and any(file.name == "kit.js" for file in shared)
    for page, weight in weights.items():
        new = {file.name: size for file, size in weight.items() if file not in shared}
        # Three photographed textures stand in average-pooling, 50 KB of them in its live figure.
        most = 140 if page.name == "average-pooling.html" else 100
        assert sum(new.values()) <= most * KB, f"{page.name}: {new}"
