"""The built site in a real Chromium. The `page` fixture itself fails on foreign or failed requests and on errors."""

import pytest
import yaml
from axe_playwright_python.sync_playwright import Axe
from conftest import ROOT
from fontTools.ttLib import TTFont


def chapters():
    parts = yaml.safe_load((ROOT / "_toc.yml").read_text("utf-8"))["parts"]
    return [page["file"] for part in parts if part["caption"] != "To look things up" for page in part["chapters"]]


def addresses():
    def files(node):
        if isinstance(node, dict):
            return [
                found for key, value in node.items() for found in ([value] if key in ("file", "root") else files(value))
            ]
        return [found for item in node for found in files(item)] if isinstance(node, list) else []

    return [f"/{file}.html" for file in files(yaml.safe_load((ROOT / "_toc.yml").read_text("utf-8")))]


ADDRESSES = [*addresses(), "/search.html?q=stride"]
CHAPTERS = [f"/{file}.html" for file in chapters()]
every_page = pytest.mark.parametrize("address", ADDRESSES)
NARROW = (390, 320)


def open_page(page, address, scheme="light"):
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    page.goto(address, wait_until="load")
    page.evaluate("document.fonts.ready")


def violations(page, **options):
    # preload: axe would fetch style sheets again, at addresses it gets wrong.
    found = Axe().run(page, options={"resultTypes": ["violations"], "preload": False} | options).response["violations"]
    return [
        f"{v['id']} ({v['impact']}): {v['help']}\n    " + "\n    ".join(node["html"][:300] for node in v["nodes"][:5])
        for v in found
        if v["impact"] in ("serious", "critical")
    ]


TOO_WIDE = """() => document.documentElement.scrollWidth <= window.innerWidth ? [] :
    [...document.querySelectorAll("main *")].filter(e => !e.closest("pre"))
    .filter(e => e.getBoundingClientRect().right > window.innerWidth).slice(0, 8)
    .map(e => e.outerHTML.slice(0, 200)).concat("the page is wider than the screen")"""
# Letters as they are seen: in a picture its scale counts.
TOO_SMALL = """() => [...document.querySelectorAll("main *")].flatMap(e => {
    if (![...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim()) || !e.checkVisibility()) return [];
    // A live figure answers for itself: tests/test_live.py.
    if (e.closest("math, .poolref-thumbnail, script, style, [data-poolref-live]")) return [];
    if (!e.getClientRects().length) return [];
    const m = e.ownerSVGElement?.getScreenCTM ? e.getScreenCTM() : {a: 1, b: 0}, scale = Math.hypot(m.a, m.b);
    const size = parseFloat(getComputedStyle(e).fontSize) * scale;
    return size < 10.99 ? [`${size.toFixed(1)} pixels: ${e.outerHTML.slice(0, 120)}`] : [];
})"""


SCROLLING = """() => [...document.querySelectorAll("main pre")].filter(e => e.scrollWidth > e.clientWidth + 1)
    .map(e => e.textContent.slice(0, 120))"""


@every_page
def test_a_page_is_accessible_in_both_themes_and_fits_its_screen(page, address):
    open_page(page, address)
    assert page.locator("h1").count() >= 1
    page.evaluate("for (const details of document.querySelectorAll('details')) details.open = true")
    assert not (found := violations(page)), "\n".join(found)
    assert not (scrolling := page.evaluate(SCROLLING)), "code scrolls at 1280:\n" + "\n".join(scrolling)
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    assert not (found := violations(page, runOnly=["color-contrast"])), "dark:\n" + "\n".join(found)
    for width in NARROW:
        page.set_viewport_size({"width": width, "height": 740})
        assert not (wide := page.evaluate(TOO_WIDE)), f"at {width}:\n" + "\n".join(wide)
        assert not (small := page.evaluate(TOO_SMALL)), f"at {width}:\n" + "\n".join(small[:8])


@pytest.mark.parametrize("address", CHAPTERS)
def test_lines_of_text_are_of_reading_length(page, address):
    open_page(page, address)
    characters = page.evaluate(
        """() => {
        const lengths = [];
        for (const p of document.querySelectorAll("article section > p")) {
            const text = p.firstChild;
            if (p.childNodes.length !== 1 || text.nodeType !== 3) continue;
            const range = document.createRange(), lines = new Map();
            for (let i = 0; i < text.length; i++) {
                range.setStart(text, i); range.setEnd(text, i + 1);
                const top = Math.round(range.getBoundingClientRect().top);
                lines.set(top, (lines.get(top) ?? 0) + 1);
            }
            lengths.push(...[...lines.values()].slice(0, -1)); // the last line is as long as it happens to be
        }
        return lengths.sort((a, b) => a - b);
    }"""
    )
    assert len(characters) > 10
    assert 60 <= characters[len(characters) // 2] <= 75 and characters[-1] <= 82


def test_the_frame_leaves_the_first_screen_to_the_chapter(page):
    open_page(page, CHAPTERS[1])
    for width, height in [(1280, 900), (390, 844)]:
        page.set_viewport_size({"width": width, "height": height})
        title = page.locator("h1").bounding_box()
        assert title["y"] + title["height"] <= 100, (width, height)


def test_pages_are_complete_without_scripts(browser, site_url):
    with browser.new_context(
        base_url=site_url, java_script_enabled=False, viewport={"width": 390, "height": 844}
    ) as context:
        page = context.new_page()
        page.goto("/book/softpool.html")
        shown = page.locator("body").inner_text()
        assert "\\(" not in shown and "\\frac" not in shown
        assert page.locator("math").first.is_visible() and page.locator(".poolref-picture svg").first.is_visible()
        for dead in (".theme-switch-button", ".search-button", ".sidebar-toggle", "[data-poolref-try]", ".copybtn"):
            assert not any(control.is_visible() for control in page.locator(dead).all()), dead
        assert page.get_by_role("link", name="Glossary").first.is_visible(), "the way to the other pages"


@pytest.mark.parametrize("address", CHAPTERS)
def test_paper_has_no_answers_no_frame_and_light_colours(page, address, tmp_path):
    open_page(page, address, "dark")
    pages = page.pdf(format="A4", prefer_css_page_size=True).count(b"/Type /Page\n")
    assert 3 < pages <= 12
    page.emulate_media(media="print", color_scheme="dark")
    for gone in (".feedback", ".bd-sidebar-primary", ".bd-header-article", ".prev-next-footer"):
        assert not any(part.is_visible() for part in page.locator(gone).all()), gone
    assert page.locator("h1").first.is_visible()
    paper, ink = page.evaluate(
        "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]"
    )
    assert (paper, ink) == ("rgb(255, 255, 255)", "rgb(22, 32, 43)")


def test_search_finds_words_of_the_text_and_quotes_no_answers(page):
    open_page(page, "/search.html?q=stride")
    page.locator("ul.search li a").first.wait_for()
    assert page.locator("ul.search li a", has_text="Windows").count() >= 1
    page.locator("ul.search li p.context").first.wait_for()
    assert "Not this one" not in page.locator("#search-results").inner_text()
    field, glass = (
        page.locator(".bd-search input").last.bounding_box(),
        page.locator(".bd-search i").last.bounding_box(),
    )
    assert glass["x"] + glass["width"] <= field["x"], "the glass stands on the first letter"


def test_implementations_are_filtered_by_verdict(page):
    open_page(page, "/book/implementations.html")
    rows = page.locator("table[data-poolref-verdicts] tbody tr:visible")
    both = rows.count()
    page.get_by_role("button", name="differs").click()
    assert 0 < rows.count() < both and set(page.locator(".poolref-verdict:visible").all_inner_texts()) == {"differs"}
    assert page.get_by_role("button", name="differs").get_attribute("aria-pressed") == "true"
    page.get_by_role("button", name="all").click()
    assert rows.count() == both
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.get_by_text("pads with 0, not").first.bounding_box()["x"] < 200, "the reason is out of sight"


def test_cards_show_what_the_reader_has_answered(page):
    open_page(page, "/book/index.html")
    progress = page.locator('.poolref-progress[data-chapter="windows"]')
    assert progress.inner_text() == ""
    first, second = progress.get_attribute("data-preview").split()[:2]
    for question in (first, second):
        page.evaluate("question => localStorage.setItem(`poolref/quiz/windows/${question}`, '{}')", question)
    page.reload()
    assert progress.inner_text() == "preview 2 of 5"
    assert page.locator(".poolref-begun").count() == 1


def test_formulas_are_set_in_their_face(page):
    open_page(page, "/book/softpool.html")
    box = page.locator("math mfrac").first.bounding_box()
    assert box["height"] > 25, "a fraction is higher than a line"
    assert page.evaluate("document.fonts.check('16px \"Noto Sans Math\"') && document.fonts.check('16px Inter')")


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


def test_the_theme_follows_the_system_until_a_button_says_otherwise(page):
    open_page(page, "/book/windows.html", "dark")
    assert page.evaluate(
        "[document.documentElement.dataset.theme, getComputedStyle(document.body).backgroundColor]"
    ) == [
        "dark",
        "rgb(20, 24, 30)",
    ]
    page.locator("button.theme-switch-button:visible").first.click()
    chosen = page.evaluate("document.documentElement.dataset.mode")
    assert chosen != "auto"
    page.reload()
    assert page.evaluate("document.documentElement.dataset.mode") == chosen


def test_the_focus_is_seen_in_the_frame(page):
    open_page(page, "/book/max-pooling.html")
    seen = set()
    for _ in range(60):  # past all pages in the contents
        page.keyboard.press("Tab")
        seen.add(
            page.evaluate(
                """() => {
            const el = document.activeElement, { outlineStyle, outlineWidth } = getComputedStyle(el);
            if (!(outlineStyle !== "none" && parseFloat(outlineWidth) >= 2)) return null;
            if (el.matches("nav.bd-links a")) return "contents";
            if (el.matches(".primary-toggle, .sidebar-toggle")) return "toggle";
            return el.closest(".bd-header-article") ? el.getAttribute("aria-label") ?? el.className : null;
        }"""
            )
        )
    assert {"contents", "toggle"} < seen and any("ownload" in name for name in seen if name), seen


def test_the_first_screen_compares_both_ways_of_max_pooling(page):
    open_page(page, "/book/max-pooling.html")
    for width, height in [(1280, 900), (390, 844)]:
        page.set_viewport_size({"width": width, "height": height})
        page.evaluate("scrollTo(0, 0)")
        for kind in ("first4", "second4"):
            box = page.locator(f"[data-canvas={kind}]").bounding_box()
            assert box["y"] + box["height"] <= height, (kind, width)


def test_a_label_stands_nearer_to_its_own_picture(page):
    open_page(page, "/book/max-pooling.html")
    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 900})
        above, label, own = (
            page.locator(part).first.bounding_box()
            for part in ("[data-canvas=first0]", ".pr-first1 .pr-title", "[data-canvas=first1]")
        )
        below = own["y"] - label["y"] - label["height"]
        assert below >= 0 and 2 * below < label["y"] - above["y"] - above["height"], width


@pytest.mark.parametrize("address", CHAPTERS)
def test_paper_has_no_marker_of_what_stays_folded(page, address):
    open_page(page, address)
    page.emulate_media(media="print")
    answers = page.get_by_text("Answer", exact=True)
    assert not any(answer.is_visible() for answer in answers.all())
    for folded in page.locator("main details:not([open]) > summary").all():
        assert not folded.is_visible() or folded.evaluate("(el) => getComputedStyle(el).listStyleType") == "none"
