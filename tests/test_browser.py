"""The built site in a real Chromium. The `page` fixture itself fails on foreign or failed requests and on errors."""

import pytest
import yaml
from axe_playwright_python.sync_playwright import Axe
from conftest import ROOT
from fontTools.ttLib import TTFont


def addresses():
    def files(node):
        if isinstance(node, dict):
            return [
                found for key, value in node.items() for found in ([value] if key in ("file", "root") else files(value))
            ]
        return [found for item in node for found in files(item)] if isinstance(node, list) else []

    return [f"/{file}.html" for file in files(yaml.safe_load((ROOT / "_toc.yml").read_text("utf-8")))]


every_page = pytest.mark.parametrize("address", [*addresses(), "/search.html?q=stride"])


def open_page(page, address, scheme="light"):
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    page.goto(address, wait_until="networkidle")
    page.evaluate("window.MathJax?.startup?.promise")


@every_page
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_opens_and_is_accessible(page, address, scheme):
    open_page(page, address, scheme)
    assert page.locator("h1").count() >= 1
    assert page.evaluate("document.documentElement.dataset.theme") == scheme
    for details in page.locator("details").all():
        details.evaluate("details => { details.open = true }")
    # preload: axe would fetch style sheets again, at addresses it gets wrong.
    found = Axe().run(page, options={"resultTypes": ["violations"], "preload": False}).response["violations"]
    violations = [v for v in found if v["impact"] in ("serious", "critical")]
    assert not violations, "\n".join(
        f"{v['id']} ({v['impact']}): {v['help']}\n    " + "\n    ".join(node["html"][:300] for node in v["nodes"][:5])
        for v in violations
    )


@every_page
def test_a_phone_needs_no_sideways_scrolling(page, address):
    page.set_viewport_size({"width": 360, "height": 740})
    open_page(page, address)
    wide = page.evaluate(
        """() => document.documentElement.scrollWidth <= window.innerWidth ? [] :
        [...document.querySelectorAll("body *")].filter(e => e.getBoundingClientRect().right > window.innerWidth)
        .map(e => e.outerHTML.slice(0, 200)).concat("the page is wider than the screen")"""
    )
    assert not wide, "\n".join(wide)


def test_search_finds_words_of_the_text(page):
    open_page(page, "/search.html?q=stride")
    page.locator("ul.search li a").first.wait_for()
    assert page.locator("ul.search li a", has_text="Windows").count() >= 1


def test_formulas_are_set(page):
    open_page(page, "/book/softpool.html")
    assert page.locator("mjx-container").count() > 0
    assert page.locator("mjx-merror").count() == 0


def test_icons_survive_the_cut(page, site):
    """Every icon on a page, shown now or later, has its glyph in one of the fonts that the build cut down."""
    fonts = (site / "_static/vendor/fontawesome/webfonts").glob("*.woff2")
    glyphs = {code for font in fonts for code in TTFont(font).getBestCmap()}
    open_page(page, "/book/softpool.html")
    icons = page.evaluate(
        """() => [...document.querySelectorAll("[class*='fa-']")]
        .map(e => [e.outerHTML, getComputedStyle(e, "::before").content.replaceAll('"', "")])"""
    )
    assert icons
    assert not [icon for icon, content in icons if len(content) != 1 or ord(content) not in glyphs]


def test_the_theme_button_changes_and_remembers(page):
    open_page(page, "/book/windows.html")
    page.locator("button.theme-switch-button:visible").first.click()
    chosen = page.evaluate("document.documentElement.dataset.mode")
    assert chosen != "auto"
    page.reload()
    assert page.evaluate("document.documentElement.dataset.mode") == chosen
