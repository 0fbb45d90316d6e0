"""Self-check questions: native radio buttons, with feedback on every option.

A bank is a file of data, one for each chapter, in book/quizzes/:

    chapter: max-pooling
    preview:
      - id: all-negative
        question: What is the maximum of a window that holds only `-3` and `-1`?
        compute: max_pool([[-3, -1]], Window((1, 2)))
        options:
          - answer: "-1"
            right: true
            feedback: The largest value, whatever its sign.
          - answer: "0"
            feedback: That would be true if padding or a ReLU put a zero there. Max pooling adds none.
    review:
      - id: ...
        difficulty: medium
        from: windows           # only if the question reaches back to an earlier chapter
        ...

`compute` is an expression over poolref whose value the right option must state, and no other option may; an option
that is a number needs it. `holds` is an expression that must be true: it proves an answer made of words. `given` is
shown as it stands, in a fixed-width font. The answers are in the page: nobody is graded with these questions.
"""

import json
import math
import re
from html import escape
from itertools import count
from pathlib import Path

import numpy as np

from poolref.teaching import cards
from poolref.teaching.extras import need

REPOSITORY_BANKS = Path(__file__).parents[2] / "book" / "quizzes"
INSTALLED_BANKS = Path(__file__).parent / "quizzes"

QUESTION_KEYS = {"id", "question", "given", "compute", "holds", "difficulty", "from", "options"}
OPTION_KEYS = {"answer", "right", "feedback"}

_shown = count(1)


class QuizError(ValueError):
    """What is wrong with a question bank, one complaint a line: file, question, and what is accepted."""


def quiz(chapter, part):
    """Display the questions of a chapter.

    Args:
        chapter: name of the chapter, such as "max-pooling".
        part: "preview" (asked before reading) or "review" (asked after; shows the preview questions once more).

    Raises:
        ValueError: `part` is neither, or there is no such bank, or the bank breaks a rule (QuizError).
    """
    if part not in ("preview", "review"):
        raise ValueError(f"part must be 'preview' or 'review', got {part!r}")
    bank = load(bank_path(chapter))
    cards.show(html(bank, part), text(bank, part))


def bank_path(chapter):
    folder = REPOSITORY_BANKS if REPOSITORY_BANKS.is_dir() else INSTALLED_BANKS
    banks = sorted(path.stem for path in folder.glob("*.yml"))
    if chapter not in banks:
        raise ValueError(f"chapter must be one of {banks}, got {chapter!r}")
    return folder / f"{chapter}.yml"


# ------------------------------------------------------------------------------------------------ reading a bank


def load(path):
    """Return the bank in a file as a dict. Raises QuizError with everything that is wrong with it."""
    yaml = need("yaml")
    path = Path(path)
    try:
        bank = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise QuizError(f"{path.name}: cannot be read as YAML: {' '.join(str(error).split())}") from error
    complaints = [f"{path.name}: {complaint}" for complaint in _complaints(bank, path.stem)]
    if complaints:
        raise QuizError("\n".join(complaints))
    return bank


def _complaints(bank, chapter):
    accepted = {"chapter", "preview", "review"}
    if not isinstance(bank, dict) or bank.keys() != accepted:
        found = sorted(bank) if isinstance(bank, dict) else type(bank).__name__
        yield f"a bank has exactly the keys {sorted(accepted)}, got {found}"
        return
    if bank["chapter"] != chapter:
        yield f"chapter is {bank['chapter']!r}; it must be the file's name, {chapter!r}"
    seen = set()
    for part in ("preview", "review"):
        if not isinstance(bank[part], list) or not bank[part]:
            yield f"{part} must be a list of questions, got {bank[part]!r}"
            continue
        for number, question in enumerate(bank[part], 1):
            name = question.get("id") if isinstance(question, dict) else None
            where = f"{part} question {number} ({name})"
            yield from (f"{where}: {complaint}" for complaint in _question_complaints(question, part))
            if name in seen:
                yield f"{where}: the id {name!r} is taken; every id in a bank is different"
            seen.add(name)


def _question_complaints(question, part):
    if not isinstance(question, dict):
        yield f"must be a mapping with the keys {sorted(QUESTION_KEYS)}, got {question!r}"
        return
    if unknown := question.keys() - QUESTION_KEYS:
        yield f"unknown keys {sorted(unknown)}; accepted: {sorted(QUESTION_KEYS)}"
    for key in ["id", "question", *sorted(question.keys() & {"given", "compute", "holds", "from"})]:
        if not _is_text(question.get(key)):
            yield f"{key} must be text, got {question.get(key)!r}"
    if _is_text(question.get("id")) and not re.fullmatch(r"[a-z0-9-]+", question["id"]):
        yield f"id must be made of a-z, 0-9 and '-', got {question['id']!r}"
    if part == "review" and question.get("difficulty") != "medium":
        yield f"difficulty must be 'medium' in a review question, got {question.get('difficulty')!r}"
    if part == "preview" and question.keys() & {"difficulty", "from"}:
        yield "difficulty and from belong to review questions"
    options = question.get("options")
    if not isinstance(options, list) or not 2 <= len(options) <= 6:
        yield f"options must be a list of 2 to 6 options, got {options!r}"
        return
    for number, option in enumerate(options, 1):
        yield from (f"option {number}: {complaint}" for complaint in _option_complaints(option))
    options = [option for option in options if isinstance(option, dict)]
    right = sum(option.get("right") is True for option in options)
    if right != 1:
        yield f"{right} options are marked 'right: true'; exactly one must be"
    answers = [str(option.get("answer")) for option in options]
    if len(set(answers)) != len(answers):
        yield f"two options have the same answer: {answers}"
    if "compute" not in question and any(value_of(answer) is not None for answer in answers):
        yield "an answer is a number, so the question needs 'compute', an expression that gives the right one"


def _option_complaints(option):
    if not isinstance(option, dict):
        yield f"must be a mapping with the keys {sorted(OPTION_KEYS)}, got {option!r}"
        return
    if unknown := option.keys() - OPTION_KEYS:
        yield f"unknown keys {sorted(unknown)}; accepted: {sorted(OPTION_KEYS)}"
    if not _is_text(option.get("answer")):
        yield f"answer must be text (put a number in quotes), got {option.get('answer')!r}"
    if not _is_text(option.get("feedback")):
        yield f"feedback is missing: say which idea, or which wrong idea, leads to {option.get('answer')!r}"
    if "right" in option and option["right"] is not True:
        yield f"right is either true or left out, got {option['right']!r}"


def _is_text(value):
    return isinstance(value, str) and bool(value.strip())


# --------------------------------------------------------------------------------------------- checking the answers


def value_of(answer):
    """The number, or nested list of numbers, that an answer states; None if it is made of words.

    "81,930" is one number, "3 × 2" a shape, "[[1, 2]]" an array, "−inf" and "NaN" are values.
    """
    plain = answer.strip().strip("`").replace("−", "-").replace("×", ",")
    plain = re.sub(r"(?<=\d),(?=\d{3}\b)", "", plain)
    plain = re.sub(r"\bnan\b", "NaN", re.sub(r"\binf\b", "Infinity", plain), flags=re.IGNORECASE)
    try:
        value = json.loads(plain if plain.startswith("[") or "," not in plain else f"[{plain}]")
        return np.array(value, dtype=float) if type(value) in (int, float, list) else None
    except (ValueError, TypeError):
        return None


def wrong_numbers(bank):
    """Recompute every answer of a bank with poolref; return what disagrees, one line each."""
    names = _names()
    for part in ("preview", "review"):
        for question in bank[part]:
            where = f"{bank['chapter']}.yml: {part} question {question['id']}"
            # The expressions are this repository's own data, read by a test: no reader's input comes here.
            if "holds" in question and eval(question["holds"], names) is not True:
                yield f"{where}: holds is not True: {question['holds']}"
            if "compute" not in question:
                continue
            truth = np.squeeze(np.array(eval(question["compute"], names), dtype=float))
            for option in question["options"]:
                right, stated = option.get("right", False), value_of(option["answer"])
                if right and stated is None:
                    yield f"{where}: the right answer {option['answer']!r} states no number, but compute gives {truth}"
                elif stated is not None and _agree(option["answer"], np.squeeze(stated), truth) != right:
                    yield f"{where}: {option['answer']!r} is marked {right}, but compute gives {truth}"


def _agree(answer, stated, truth):
    decimals = max((len(d) for d in re.findall(r"\.(\d+)", answer)), default=0)
    slack = 0.5000001 * 10.0**-decimals if decimals else 1e-9
    return stated.shape == truth.shape and np.allclose(stated, truth, rtol=0, atol=slack, equal_nan=True)


def _names():
    import poolref.numpy
    from poolref import definition, regions

    names = {"np": np, "math": math}
    for module in (definition, regions, poolref.numpy):
        names |= {name: getattr(module, name) for name in dir(module) if not name.startswith("_")}
    return names


# ------------------------------------------------------------------------------------------------------- showing it


def html(bank, part):
    """The questions of one part as HTML: it works without JavaScript, and says less to a screen reader without it."""
    questions = _questions_html(bank[part])
    if part == "review":
        again = _questions_html(bank["preview"])
        questions += f'<details class="again"><summary>The preview questions once more</summary>{again}</details>'
    # Feedback appears by CSS alone; the script only repeats it where a screen reader announces it.
    announce = "this.querySelectorAll('output').forEach(o => o.textContent = ''); "
    announce += "event.target.closest('fieldset').querySelector('output').textContent = "
    announce += "event.target.closest('.option').querySelector('.feedback').textContent"
    return f'<div class="poolref-card poolref-quiz" onchange="{announce}">{questions}</div>'


def _questions_html(questions):
    group = f"quiz-{next(_shown)}"
    shown = "".join(_question_html(question, i, f"{group}-{i}") for i, question in enumerate(questions, 1))
    right = [_right(question) for question in questions]
    answers = "".join(f"<li><strong>{cards.rich(o['answer'])}</strong> {cards.rich(o['feedback'])}</li>" for o in right)
    return f'{shown}<details class="answers"><summary>Show all answers</summary><ol>{answers}</ol></details>'


def _question_html(question, number, name):
    given = f"<pre>{escape(question['given'].rstrip())}</pre>" if "given" in question else ""
    back = (
        f" <small>(reaches back to {escape(question['from'].replace('-', ' '))})</small>" if "from" in question else ""
    )
    options = "".join(_option_html(option, name, f"{name}-{i}") for i, option in enumerate(question["options"], 1))
    return (
        f"<fieldset><legend>{number}. {cards.rich(question['question'])}{back}</legend>"
        f"{given}<div>{options}</div><output></output></fieldset>"
    )


def _option_html(option, name, identity):
    right = option.get("right", False)
    # JupyterLab takes the arrow keys away from inputs that do not ask for them.
    return (
        f'<div class="option"><input type="radio" name="{name}" id="{identity}" data-lm-suppress-shortcuts="true">'
        f'<label for="{identity}">{cards.rich(option["answer"])}</label>'
        f'<div class="feedback{" right" if right else ""}">'
        f"<strong>{'Right.' if right else 'Not this one.'}</strong> {cards.rich(option['feedback'])}</div></div>"
    )


def text(bank, part):
    """The questions of one part as plain text, the answers at the end."""
    lines, answers = [], []
    for number, question in enumerate(bank[part], 1):
        lines += [f"{number}. {' '.join(question['question'].split())}", question.get("given", "").rstrip()]
        lines += [f"   {'abcdef'[i]}) {option['answer']}" for i, option in enumerate(question["options"])]
        answers.append(f"{number}{'abcdef'[question['options'].index(_right(question))]}")
    return "\n".join([line for line in lines if line] + ["Answers: " + ", ".join(answers)])


def _right(question):
    return next(option for option in question["options"] if option.get("right"))
