"""The question banks are valid and their numbers true; a broken bank is named; the page works for every reader."""

import copy
import json
import re
from pathlib import Path

import pytest
import yaml
from bs4 import BeautifulSoup
from question_bank import value_of, wrong_numbers

from poolref.teaching.cards import rich
from poolref.teaching.quiz import QuizError, asked, html, load, quiz, text

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
                {"answer": "2", "right": True, "feedback": "The largest, `2 > 1`."},
            ],
            "variant": {
                "question": "And of 4 and 3?",
                "compute": "max_pool([[4, 3]], Window((1, 2)))",
                "options": [
                    {"answer": "4", "right": True, "feedback": "The largest."},
                    {"answer": "3", "feedback": "The smallest."},
                ],
            },
        }
    ],
    "review": [
        {
            "id": "words",
            "objective": "by-hand",
            "kind": "explain",
            "from": "windows",
            "question": "Which?",
            "given": "1 2\n3 4\n",
            "holds": "1 < 2",
            "options": [
                {"answer": "This", "right": True, "feedback": "It is."},
                {"answer": "That", "feedback": 'It is "not".'},
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
    "a difficulty": (lambda b: b["review"][0].update(difficulty="medium"), "unknown keys ['difficulty']"),
    "no objective": (lambda b: b["review"][0].pop("objective"), "objective must be text, got None"),
    "a bad objective": (lambda b: b["review"][0].update(objective="By hand"), "objective must be made of a-z"),
    "no kind": (lambda b: b["review"][0].pop("kind"), "kind must be text, got None"),
    "a bad kind": (lambda b: b["review"][0].update(kind="guess"), "kind must be one of ('recall', 'apply', 'explain')"),
    "a preview from afar": (lambda b: b["preview"][0].update({"from": "windows"}), "unknown keys ['from']"),
    "no variant": (lambda b: b["preview"][0].pop("variant"), "variant: must be a mapping"),
    "a variant with an id": (
        lambda b: b["preview"][0]["variant"].update(id="x"),
        "(largest): variant: unknown keys ['id']",
    ),
    "a variant without a right answer": (
        lambda b: b["preview"][0]["variant"]["options"][0].pop("right"),
        "variant: 0 options are marked 'right: true'",
    ),
    "one option": (lambda b: b["preview"][0]["options"].pop(0), "options must be a list of 2 to 6 options"),
    "an option of text": (lambda b: b["review"][0]["options"].append("x"), "option 4: must be a mapping"),
    "no feedback": (lambda b: b["review"][0]["options"][1].pop("feedback"), "(words): option 2: feedback is missing"),
    "empty feedback": (lambda b: b["review"][0]["options"][1].update(feedback=""), "option 2: feedback is missing"),
    "math in feedback": (lambda b: b["review"][0]["options"][1].update(feedback="$x$"), "feedback is not typeset"),
    "a bare number": (lambda b: b["preview"][0]["options"][0].update(answer=1), "answer must be text (put a number in"),
    "an unknown option key": (lambda b: b["review"][0]["options"][1].update(why=""), "unknown keys ['why']; accepted"),
    "none right": (
        lambda b: b["review"][0]["options"][0].pop("right"),
        "0 options are marked 'right: true'; exactly one",
    ),
    "two right": (lambda b: b["review"][0]["options"][1].update(right=True), "2 options are marked 'right: true'"),
    "right is a word": (lambda b: b["review"][0]["options"][1].update(right="no"), "right is either true or left out"),
    "the same answer twice": (lambda b: b["review"][0]["options"][1].update(answer="This"), "have the same answer"),
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
        (lambda b: b["preview"][0].pop("compute"), "it needs 'compute'"),
        (lambda b: b["preview"][0]["variant"].pop("compute"), "again question largest-again: an answer is a number"),
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


# ----------------------------------------------------------------------------------------------------- what is shown


def words_of(page):
    """What a reader, or a search, finds in a page: its text without scripts and styles."""
    page = copy.copy(page)
    for tag in page(["script", "style"]):
        tag.decompose()
    return page.get_text(" ")


@pytest.mark.parametrize("part", ["preview", "review"])
@pytest.mark.parametrize("path", BANKS, ids=lambda path: path.stem)
def test_the_page_is_made_for_everyone(path, part):
    bank = load(path)
    page = BeautifulSoup(html(bank, part) + html(bank, part), "html.parser")
    ids = [tag["id"] for tag in page.find_all(id=True)]
    assert len(ids) == len(set(ids)), "two notebooks of one JupyterLab share a document"
    assert not [tag for tag in page.find_all() for name in tag.attrs if name.startswith("on")], "no inline handlers"
    fieldsets = page.find_all("fieldset")
    assert len(fieldsets) == 2 * (5 if part == "preview" else 10)
    assert len({fieldset.input["name"] for fieldset in fieldsets}) == len(fieldsets)
    questions = 2 * [*asked(bank, part), *(asked(bank, "again") if part == "review" else [])]
    for fieldset, question in zip(fieldsets, questions, strict=True):
        assert fieldset["data-question"] == question["id"] and fieldset.legend.text.strip()
        for option, answer in zip(fieldset.find_all(class_="option"), question["options"], strict=True):
            label = option.find("label", attrs={"for": option.input["id"]})
            assert label.text == BeautifulSoup(rich(answer["answer"]), "html.parser").text
            assert ("data-right" in label.attrs) == answer.get("right", False)
            assert " ".join(answer["feedback"].split()) in label["data-feedback"]


@pytest.mark.parametrize("path", BANKS, ids=lambda path: path.stem)
def test_answers_are_found_in_a_folded_list_alone(path):
    page = BeautifulSoup(html(load(path), "review"), "html.parser")
    for answers in page.find_all("details", class_="answers"):
        assert not answers.has_attr("open") and len(answers.find_all("li")) == 5
        answers.decompose()
    words = " ".join(words_of(page).split())
    for question in [*asked(load(path), "review"), *asked(load(path), "again")]:
        for option in question["options"]:
            assert " ".join(option["feedback"].replace("`", "").split()) not in words


def test_a_question_that_changes_forgets_its_answer():
    def digest(bank):
        return BeautifulSoup(html(bank, "preview"), "html.parser").fieldset["data-hash"]

    changed = copy.deepcopy(BANK)
    changed["preview"][0]["options"].reverse()
    assert digest(BANK) == digest(copy.deepcopy(BANK)) != digest(changed)


def test_text_is_escaped_and_code_and_math_are_marked():
    page = BeautifulSoup(html(BANK, "review"), "html.parser")
    assert page.find("label", string="<script>alert(1)</script>") and not page.find("i")
    assert page.find("label", string="That")["data-feedback"] == 'Not this one. It is "not".'
    assert page.find("pre").text == "1 2\n3 4"
    assert page.find("legend").text == "1. Which? (from windows)"
    legend = BeautifulSoup(html(BANK, "preview"), "html.parser").legend
    assert legend.code.text == "max" and legend.find("span", class_="math").text == r"\(x < 3\)"
    assert legend.text == r"1. What is max of \(x < 3\) & of <b>?"


def test_a_preview_question_comes_back_as_its_variant():
    again = BeautifulSoup(html(BANK, "review"), "html.parser").find("details", class_="again")
    assert again.find("legend").text == "1. And of 4 and 3?"
    assert "What is max" not in again.text


def test_without_a_page_it_is_text(capsys):
    quiz("max-pooling", "preview")
    shown, first = capsys.readouterr().out, load(BANKS[0].with_name("max-pooling.yml"))["preview"][0]
    assert shown.startswith(f"1. {' '.join(first['question'].split())}")
    assert f"   d) {first['options'][3]['answer']}" in shown
    assert text(BANK, "review") == "1. Which?\n1 2\n3 4\n   a) This\n   b) That\n   c) <script>alert(1)</script>"


# --------------------------------------------------------------------------------------------------- in a browser


def standing_alone(body):
    return (
        '<!doctype html><html lang="en"><title>Quiz</title><meta name="viewport" content="width=device-width">'
        f"<main><h1>Quiz</h1>{body}</main></html>"
    )


def visible(locator):
    return [element.inner_text() for element in locator.all() if element.is_visible()]


def test_in_a_browser(browser, tmp_path):
    """From a file: one at a time, feedback told, kept over a reload, started over; by keyboard; printed; accessible."""
    from axe_playwright_python.sync_playwright import Axe

    bank = load(BANKS[0])
    path = tmp_path / "quiz.html"
    path.write_text(standing_alone(html(bank, "review") + html(bank, "preview")), "utf-8")
    with browser.new_context() as context:
        page = context.new_page()
        errors = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(path.as_uri())
        review = page.locator(".poolref-quiz").first
        questions, feedback = review.locator("> fieldset"), review.locator("> fieldset > .feedback")
        button = {
            name: review.locator("> fieldset .steps button", has_text=name) for name in ("Back", "Next", "Start over")
        }
        steps = review.locator("> fieldset .steps span")

        # One at a time, and nothing told before a choice.
        assert [question.is_visible() for question in questions.all()] == [True, False, False, False, False]
        assert visible(page.locator(".feedback")) == [] and page.locator(".answers").count() == 0
        assert steps.inner_text() == "Question 1 of 5"
        assert button["Back"].is_disabled() and button["Start over"].is_disabled()

        # Every option answers, and no answer moves the buttons.
        place = button["Next"].bounding_box()["y"]
        for option, expected in enumerate(bank["review"][0]["options"]):
            questions.nth(0).locator("label").nth(option).click()
            start = "Right. " if expected.get("right") else "Not this one. "
            told = start + " ".join(expected["feedback"].replace("`", "").split())
            assert visible(feedback) == [told]
            assert feedback.first.get_attribute("role") == "status"
            assert button["Next"].bounding_box()["y"] == place
        assert steps.inner_text() == "Question 1 of 5 · 1 answered"
        right = [bool(option.get("right")) for option in bank["review"][0]["options"]].index(True)
        assert feedback.first.get_attribute("class") == "feedback" + " right" * (right == option)

        # By keyboard: on to the next question, choose, go back.
        button["Next"].focus()
        page.keyboard.press("Enter")
        assert questions.nth(1).is_visible() and not questions.nth(0).is_visible()
        assert page.evaluate("document.activeElement.textContent").startswith("2. ")
        page.keyboard.press("Tab")
        page.keyboard.press("ArrowDown")
        assert questions.nth(1).locator("input").nth(1).is_checked() and visible(feedback)[0].startswith(("R", "N"))
        button["Back"].click()
        assert questions.nth(0).is_visible()

        # The answers are there after a reload, and the first question without one is shown.
        page.reload()
        assert questions.nth(0).locator("input").nth(option).is_checked()
        assert questions.nth(1).locator("input").nth(1).is_checked()
        assert questions.nth(2).is_visible() and steps.inner_text() == "Question 3 of 5 · 2 answered"
        assert page.locator(".poolref-quiz").last.locator("input:checked").count() == 0, "another quiz, other answers"

        # The answer to a question that has changed since is forgotten.
        changed = copy.deepcopy(bank)
        changed["review"][0]["question"] += " Why?"
        path.write_text(standing_alone(html(changed, "review") + html(bank, "preview")), "utf-8")
        page.reload()
        assert questions.nth(0).locator("input:checked").count() == 0
        assert questions.nth(1).locator("input:checked").count() == 1
        path.write_text(standing_alone(html(bank, "review") + html(bank, "preview")), "utf-8")
        page.reload()

        # On paper: all questions, and nobody's answers.
        button["Back"].click()
        button["Back"].click()
        page.emulate_media(media="print")
        assert all(question.is_visible() for question in questions.all())
        assert visible(page.locator(".feedback, .steps")) == []
        paper = page.locator("main").inner_text()
        for question in bank["review"]:
            assert not any(" ".join(option["feedback"].split()) in paper for option in question["options"])
        page.emulate_media(media="screen")

        # In both themes, with the variants unfolded, nothing that axe would complain of; narrow without scrolling.
        page.locator("details.again > summary").click()
        assert page.locator("details.again fieldset").first.is_visible()
        for colours in ("color: #222; background: #fff", "color: #ddd; background: #121212"):
            page.evaluate(f"document.body.style = '{colours}'")
            results = Axe().run(page)
            assert results.violations_count == 0, results.generate_report()
        page.set_viewport_size({"width": 360, "height": 740})
        assert page.evaluate("document.documentElement.scrollWidth") <= 360

        # All answered, then started over.
        for number in range(5):
            page.evaluate(
                "([n, answer]) => document.querySelectorAll('.poolref-quiz > fieldset')[n]"
                ".querySelectorAll('label')[answer].click()",
                [number, [bool(o.get("right")) for o in bank["review"][number]["options"]].index(True)],
            )
        assert steps.inner_text().endswith(" · all answered, 5 right")
        button["Start over"].click()
        assert review.locator("> fieldset input:checked").count() == 0 and questions.nth(0).is_visible()
        page.reload()
        assert review.locator("> fieldset input:checked").count() == 0
        assert errors == []


def test_where_the_storage_is_denied(browser):
    """As in a sandboxed frame: answers last as long as the page."""
    with browser.new_context() as context:
        page = context.new_page()
        errors = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.set_content("<iframe sandbox='allow-scripts' style='width: 700px; height: 900px'></iframe>")
        page.locator("iframe").evaluate(
            "(frame, html) => { frame.srcdoc = html }", standing_alone(html(BANK, "preview"))
        )
        frame = page.frame_locator("iframe")
        frame.locator("label").first.click()
        assert frame.locator(".feedback").first.inner_text() == "Not this one. The smallest."
        assert errors == []


def test_without_scripts(browser):
    """All questions are there, and a choice is answered by the style sheet."""
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.set_content(standing_alone(html(load(BANKS[0]), "preview")))
        assert page.locator("fieldset:visible").count() == 5 and page.locator("button").count() == 0
        label, told = page.locator("label").first, "label => getComputedStyle(label, '::after').content"
        assert label.evaluate(told) == "none"
        label.click()
        assert label.evaluate(told).startswith(('"Not this one. ', '"Right. '))


def test_in_a_notebook_that_is_not_trusted(browser):
    """Jupyter takes away styles and scripts, and disables inputs: questions and options stay, answers are folded."""
    bank = load(BANKS[0])
    page_html = BeautifulSoup(html(bank, "preview"), "html.parser")
    for tag in page_html(["script", "style"]):
        tag.decompose()
    for tag in page_html.find_all():
        tag.attrs = {name: value for name, value in tag.attrs.items() if name in ("class", "type", "for", "open")}
        if tag.name == "input":
            tag["disabled"] = "disabled"
    with browser.new_context() as context:
        page = context.new_page()
        page.set_content(standing_alone(str(page_html)))
        words = page.locator("main").inner_text()
        for question in bank["preview"]:
            assert all(option["answer"] in words for option in question["options"])
            assert not any(option["feedback"] in words for option in question["options"])
        page.locator("summary").click()
        assert page.locator("details li:visible").count() == 5


@pytest.mark.parametrize("path", BANKS, ids=lambda path: path.stem)
def test_the_published_page_and_its_search_hold_no_answers(path, site):
    page = BeautifulSoup((site / "book" / f"{path.stem}.html").read_text("utf-8"), "html.parser")
    assert len(page.find_all(class_="poolref-quiz")) == 3 and not page.find(class_="answers")
    words = " ".join(words_of(page.find(attrs={"role": "main"}) or page.article).split())
    feedback = [
        " ".join(option["feedback"].replace("`", "").split())
        for part in ("preview", "again", "review")
        for question in asked(load(path), part)
        for option in question["options"]
    ]
    assert not [told for told in feedback if told in words]
    # The index knows of no word in this page that only a feedback holds. It keeps stems, so beginnings are compared.
    index = json.loads((site / "searchindex.js").read_text("utf-8").removeprefix("Search.setIndex(").removesuffix(")"))
    number = index["docnames"].index(f"book/{path.stem}")
    known = {term[:5] for term, pages in index["terms"].items() if number in ([pages] if type(pages) is int else pages)}
    beginnings = {word[:5].lower() for word in re.findall(r"[a-zA-Z]{5,}", words)}
    only_told = {word[:5].lower() for told in feedback for word in re.findall(r"[a-zA-Z]{5,}", told)} - beginnings
    assert len(known) > 100 and len(only_told) > 4 and not known & only_told


def test_on_the_published_page(page):
    bank = load(BANKS[0])
    page.goto(f"/book/{BANKS[0].stem}.html")
    for number, part in enumerate(["preview", "review"]):
        root = page.locator(".poolref-quiz").nth(number)
        for question in bank[part]:
            fieldset = root.locator("> fieldset.current")
            assert fieldset.get_attribute("data-question") == question["id"]
            right = [bool(option.get("right")) for option in question["options"]]
            for answer, words in [(right.index(False), "Not this one."), (right.index(True), "Right.")]:
                fieldset.locator("label").nth(answer).click()
                assert fieldset.locator(".feedback").inner_text().startswith(words)
            if question is not bank[part][-1]:
                root.locator("> fieldset .steps button", has_text="Next").click()
        assert root.locator("> fieldset .steps span").inner_text().endswith("5 right")
