"""The question banks are valid and their numbers true; a broken bank is named; the page works for every reader."""

import copy
from pathlib import Path

import pytest
import yaml
from bs4 import BeautifulSoup

from poolref.teaching.cards import rich, style
from poolref.teaching.quiz import QuizError, html, load, quiz, text, value_of, wrong_numbers

BANKS = sorted((Path(__file__).parents[1] / "book" / "quizzes").glob("*.yml"))

BANK = {
    "chapter": "sample",
    "preview": [
        {
            "id": "largest",
            "question": "What is `max` of $x < 3$ & of <b>?",
            "compute": "max_pool([[1, 2]], Window((1, 2)))",
            "options": [
                {"answer": "1", "feedback": "The smallest."},
                {"answer": "2", "right": True, "feedback": "The largest."},
            ],
        }
    ],
    "review": [
        {
            "id": "words",
            "difficulty": "medium",
            "from": "windows",
            "question": "Which?",
            "given": "1 2\n3 4\n",
            "holds": "1 < 2",
            "options": [
                {"answer": "This", "right": True, "feedback": "It is."},
                {"answer": "That", "feedback": "It is not."},
                {"answer": "<script>alert(1)</script>", "feedback": "No <i>way</i>."},
            ],
        }
    ],
}


def write(folder, bank, name="sample"):
    path = folder / f"{name}.yml"
    path.write_text(yaml.safe_dump(bank), encoding="utf-8")
    return path


@pytest.mark.parametrize("path", BANKS, ids=lambda path: path.stem)
def test_every_bank_is_valid_and_its_numbers_are_true(path):
    bank = load(path)
    assert len(bank["preview"]) == len(bank["review"]) == 5
    assert list(wrong_numbers(bank)) == []


def test_a_valid_bank_loads(tmp_path):
    assert load(write(tmp_path, BANK)) == BANK


# Each breaks one thing in a valid bank, and the complaint names the file, the question and what is accepted.
BROKEN = {
    "not a mapping": (lambda b: b.clear() or b.update(list="of things"), "a bank has exactly the keys"),
    "a key is missing": (lambda b: b.pop("review"), "a bank has exactly the keys ['chapter', 'preview', 'review']"),
    "another chapter": (
        lambda b: b.update(chapter="other"),
        "chapter is 'other'; it must be the file's name, 'sample'",
    ),
    "no questions": (lambda b: b.update(preview=[]), "preview must be a list of questions, got []"),
    "a question of text": (lambda b: b["preview"].append("What?"), "preview question 2 (None): must be a mapping"),
    "no id": (lambda b: b["preview"][0].pop("id"), "preview question 1 (None): id must be text, got None"),
    "a bad id": (lambda b: b["preview"][0].update(id="a b"), "id must be made of a-z, 0-9 and '-', got 'a b'"),
    "the same id twice": (
        lambda b: b["review"][0].update(id="largest"),
        "review question 1 (largest): the id 'largest' is",
    ),
    "no question": (
        lambda b: b["preview"][0].update(question=" "),
        "preview question 1 (largest): question must be text",
    ),
    "an unknown key": (lambda b: b["preview"][0].update(hint="?"), "unknown keys ['hint']; accepted: ['compute'"),
    "an easy review": (lambda b: b["review"][0].update(difficulty="easy"), "difficulty must be 'medium' in a review"),
    "a preview from afar": (lambda b: b["preview"][0].update({"from": "windows"}), "belong to review questions"),
    "one option": (lambda b: b["preview"][0]["options"].pop(0), "options must be a list of 2 to 6 options"),
    "an option of text": (lambda b: b["review"][0]["options"].append("x"), "option 4: must be a mapping"),
    "no feedback": (lambda b: b["review"][0]["options"][1].pop("feedback"), "(words): option 2: feedback is missing"),
    "empty feedback": (lambda b: b["review"][0]["options"][1].update(feedback=""), "option 2: feedback is missing"),
    "a bare number": (lambda b: b["preview"][0]["options"][0].update(answer=1), "answer must be text (put a number in"),
    "an unknown option key": (lambda b: b["review"][0]["options"][1].update(why=""), "unknown keys ['why']; accepted"),
    "none right": (
        lambda b: b["review"][0]["options"][0].pop("right"),
        "0 options are marked 'right: true'; exactly one",
    ),
    "two right": (lambda b: b["review"][0]["options"][1].update(right=True), "2 options are marked 'right: true'"),
    "right is a word": (lambda b: b["review"][0]["options"][1].update(right="no"), "right is either true or left out"),
    "the same answer twice": (lambda b: b["review"][0]["options"][1].update(answer="This"), "have the same answer"),
    "a number out of thin air": (lambda b: b["preview"][0].pop("compute"), "the question needs 'compute'"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_bank_is_named(name, tmp_path):
    break_it, complaint = BROKEN[name]
    bank = copy.deepcopy(BANK)
    break_it(bank)
    with pytest.raises(QuizError) as error:
        load(write(tmp_path, bank))
    assert complaint in str(error.value)
    assert all(line.startswith("sample.yml: ") for line in str(error.value).splitlines())


@pytest.mark.parametrize("content", ["chapter: [", "\x00", "a: b: c"])
def test_an_unreadable_bank_is_named(content, tmp_path):
    path = tmp_path / "sample.yml"
    path.write_text(content)
    with pytest.raises(QuizError, match=r"sample\.yml: cannot be read as YAML: .+"):
        load(path)


def test_a_missing_bank_is_named(tmp_path):
    with pytest.raises(QuizError, match=r"nowhere\.yml: cannot be read"):
        load(tmp_path / "nowhere.yml")
    with pytest.raises(ValueError, match=r"chapter must be one of \[.*'max-pooling'.*\], got 'nowhere'"):
        quiz("nowhere", "preview")
    with pytest.raises(ValueError, match=r"part must be 'preview' or 'review', got 'middle'"):
        quiz("max-pooling", "middle")


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda b: b["preview"][0]["options"][1].update(answer="3"), "'3' is marked True, but compute gives 2.0"),
        (lambda b: b["preview"][0]["options"][0].update(answer="2.0"), "'2.0' is marked False, but compute gives 2.0"),
        (lambda b: b["preview"][0]["options"][1].update(answer="two"), "the right answer 'two' states no number"),
        (lambda b: b["review"][0].update(holds="1 > 2"), "holds is not True: 1 > 2"),
    ],
)
def test_a_wrong_number_is_found(change, complaint):
    bank = copy.deepcopy(BANK)
    assert list(wrong_numbers(bank)) == []
    change(bank)
    assert complaint in " ".join(wrong_numbers(bank))


@pytest.mark.parametrize(
    ("answer", "value"),
    [("81,930", 81930), ("3 × 2", [3, 2]), ("[[1, 2], [3, 4]]", [[1, 2], [3, 4]]), ("−0.5", -0.5), ("`7`", 7)]
    + [(words, None) for words in ("None", "β = 0", "A shift by 2 cells", "true", "Nothing.", "")],
)
def test_what_counts_as_a_number(answer, value):
    found = value_of(answer)
    assert (None if found is None else found.tolist()) == value


@pytest.mark.parametrize("part", ["preview", "review"])
@pytest.mark.parametrize("path", BANKS, ids=lambda path: path.stem)
def test_the_page_is_made_for_everyone(path, part):
    bank = load(path)
    page = BeautifulSoup(html(bank, part) + html(bank, part), "html.parser")
    ids = [tag["id"] for tag in page.find_all(id=True)]
    assert len(ids) == len(set(ids))
    radios = page.find_all("input")
    assert all(radio["type"] == "radio" and page.find("label", attrs={"for": radio["id"]}).text for radio in radios)
    for fieldset in page.find_all("fieldset"):
        assert fieldset.find("legend").text.strip()
        options = fieldset.find_all(class_="option")
        assert len({option.input["name"] for option in options}) == 1
        assert all(len(option.find(class_="feedback").text) > 10 for option in options)
        assert len(fieldset.select(".feedback.right")) == 1
    names = {fieldset.input["name"] for fieldset in page.find_all("fieldset")}
    assert len(names) == len(page.find_all("fieldset")) == 2 * (5 if part == "preview" else 10)
    assert not page.find("script")
    answers = page.find("details", class_="answers")
    right = [next(option for option in question["options"] if option.get("right")) for question in bank[part]]
    shown = [BeautifulSoup(rich(option["answer"]), "html.parser").text for option in right]
    assert [li.strong.text for li in answers.find_all("li")] == shown


def test_text_is_escaped_and_code_and_math_are_marked():
    page = BeautifulSoup(html(BANK, "review"), "html.parser")
    assert not page.find("script") and not page.find("b") and not page.find("i")
    assert page.find("label", string="<script>alert(1)</script>")
    assert page.find("pre").text == "1 2\n3 4"
    assert page.find("legend").text == "1. Which? (reaches back to windows)"
    again = page.find("details", class_="again").find("legend")
    assert again.code.text == "max" and again.find("span", class_="math").text == r"\(x < 3\)"
    assert again.text == r"1. What is max of \(x < 3\) & of <b>?"


def test_without_a_page_it_is_text(capsys):
    quiz("max-pooling", "preview")
    shown = capsys.readouterr().out
    assert (
        shown.startswith("1. A window holds −3")
        and "   d) −1" in shown
        and shown.endswith("Answers: 1d, 2a, 3c, 4c, 5b\n")
    )
    assert text(BANK, "review").endswith("Answers: 1a")


def test_in_a_browser(browser):
    """Wrong, then right, by mouse and by keyboard; on paper; without scripts; announced; light and dark."""
    from axe_playwright_python.sync_playwright import Axe

    bank = load(BANKS[0])
    page_html = (
        f"<!doctype html><html lang=en><title>Quiz</title><main><h1>Quiz</h1>{style()}{html(bank, 'review')}</main>"
    )
    for scripts in (True, False):
        context = browser.new_context(java_script_enabled=scripts)
        page = context.new_page()
        page.set_content(page_html)
        first = page.locator("fieldset").first
        assert first.locator(".feedback:visible").count() == 0
        right = [bool(option.get("right")) for option in bank["review"][0]["options"]]
        wrong_option = first.locator(".option").nth(right.index(False))
        wrong_option.locator("label").click()
        assert (
            first.locator(".feedback:visible").all_text_contents()
            == wrong_option.locator(".feedback").all_text_contents()
        )
        assert first.locator(".feedback:visible").text_content().startswith("Not this one.")
        if scripts:
            assert first.locator("output").text_content() == first.locator(".feedback:visible").text_content()
        first.locator("input").first.focus()
        for _ in range(right.index(True)):
            page.keyboard.press("ArrowDown")
        page.keyboard.press("Space")
        assert first.locator(".feedback:visible").text_content().startswith("Right.")
        page.locator("details.answers > summary").first.click()
        assert page.locator("details.answers li:visible").count() == 5
        page.emulate_media(media="print")
        options = sum(len(question["options"]) for question in bank["review"])
        assert page.locator(".feedback:visible").count() == options
        page.emulate_media(media="screen")
        if scripts:
            for colours in ("color: #222; background: #fff", "color: #ddd; background: #121212"):
                page.evaluate(f"document.body.style = '{colours}'")
                paint = "e => getComputedStyle(e).color"
                assert first.locator("input").first.evaluate(paint) == first.locator("label").first.evaluate(paint)
                results = Axe().run(page)
                assert results.violations_count == 0, results.generate_report()
        context.close()


@pytest.mark.parametrize("path", BANKS, ids=lambda path: path.stem)
def test_on_the_published_page(path, page):
    page.goto(f"/book/{path.stem}.html")
    bank = load(path)
    for i, part in enumerate(["preview", "review"]):
        for number, question in enumerate(bank[part]):
            fieldset = page.locator(".poolref-quiz").nth(i).locator("> fieldset").nth(number)
            right = [bool(option.get("right")) for option in question["options"]]
            for answer, words in [(right.index(False), "Not this one."), (right.index(True), "Right.")]:
                fieldset.locator("label").nth(answer).click()
                assert fieldset.locator(".feedback:visible").text_content().startswith(words)
