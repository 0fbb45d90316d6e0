"""Self-check questions: one at a time, with feedback on every option. Nobody is graded with them.

A bank is a file of data, one for each chapter, in book/quizzes/:

    chapter: max-pooling
    preview:
      - id: all-negative
        objective: by-hand           # an objective of this chapter that the variant asks again; may be left out
        question: What is the maximum of a window that holds only `-3` and `-1`?
        compute: max_pool([[-3, -1]], Window((1, 2)))
        options:
          - answer: "-1"
            right: true
            feedback: The largest value, whatever its sign.
          - answer: "0"
            feedback: That would be true if padding or a ReLU put a zero there. Max pooling adds none.
        variant:                     # the same idea with other numbers: what the review asks again
          question: What is the maximum of a window that holds only `-8` and `-5`?
          compute: ...
          options: [...]
    review:
      - id: flat-indices
        objective: trace             # of this chapter, or of the one it reaches back to
        kind: apply                  # recall, apply or explain
        from: windows                # only if the question reaches back to an earlier chapter
        question: ...

`given` is shown as it stands, in a fixed-width font. `compute` is an expression over poolref whose value the right
option must state, and no other option may; `holds` is one that must be true. Tests evaluate both, and hold banks to
the rules of the course; here it is only asked whether a bank can be shown.
"""

import hashlib
import json
import re
import secrets
from functools import cache
from html import escape
from pathlib import Path

from poolref.teaching import cards
from poolref.teaching.extras import need

REPOSITORY_BANKS = Path(__file__).parents[2] / "book" / "quizzes"
INSTALLED_BANKS = Path(__file__).parent / "quizzes"

KINDS = ("recall", "apply", "explain")
REQUIRED = {
    "preview": {"id", "question", "variant", "options"},
    "variant": {"question", "options"},
    "review": {"id", "question", "objective", "kind", "options"},
}
OPTIONAL = {
    "preview": {"given", "compute", "holds", "objective"},
    "variant": {"given", "compute", "holds"},
    "review": {"given", "compute", "holds", "from"},
}
OPTION_KEYS = {"answer", "right", "feedback"}


class QuizError(ValueError):
    """What is wrong with a question bank, one complaint a line: file, question, and what is accepted."""


def quiz(chapter, part):
    """Display the questions of a chapter.

    Args:
        chapter: name of the chapter, such as "max-pooling".
        part: "preview" (asked before reading) or "review" (asked after; then variants of the preview questions).

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
    accepted = REQUIRED[part] | OPTIONAL[part]
    if not isinstance(question, dict):
        yield f"must be a mapping with the keys {sorted(accepted)}, got {question!r}"
        return
    if unknown := question.keys() - accepted:
        yield f"unknown keys {sorted(unknown)}; accepted: {sorted(accepted)}"
    for key in sorted((REQUIRED[part] | question.keys() & OPTIONAL[part]) - {"options", "variant"}):
        value = question.get(key)
        if not _is_text(value):
            yield f"{key} must be text, got {value!r}"
        elif key in ("id", "objective") and not re.fullmatch(r"[a-z0-9-]+", value):
            yield f"{key} must be made of a-z, 0-9 and '-', got {value!r}"
        elif key == "kind" and value not in KINDS:
            yield f"kind must be one of {KINDS}, got {value!r}"
    if "variant" in REQUIRED[part]:
        yield from (f"variant: {complaint}" for complaint in _question_complaints(question.get("variant"), "variant"))
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
    elif "$" in option["feedback"]:
        yield f"feedback is not typeset: write its formulas in plain characters, got {option['feedback']!r}"
    if "right" in option and option["right"] is not True:
        yield f"right is either true or left out, got {option['right']!r}"


def _is_text(value):
    return isinstance(value, str) and bool(value.strip())


# ------------------------------------------------------------------------------------------------------- showing it


def asked(bank, part):
    """Return the questions of a part: "preview", "review", or "again", the variants of the preview questions."""
    if part == "again":
        return [{"id": f"{question['id']}-again", **question["variant"]} for question in bank["preview"]]
    return bank[part]


def html(bank, part):
    """Return the questions of a part as HTML, with the style and the script that it needs.

    Feedback stands in attributes, where neither a reader nor a search sees it. A notebook that is not trusted loses
    its styles and its script, and disables the buttons; there the answers are in a list that has to be unfolded.
    """
    again = ""
    if part == "review":
        summary = "<summary>The preview again, with other numbers</summary>"
        again = f'<details class="again">{summary}{_quiz_html(bank, "again")}</details>'
    return cards.style("quiz") + _quiz_html(bank, part, again)


def _quiz_html(bank, part, below=""):
    token = f"quiz-{secrets.token_hex(4)}"  # two notebooks, or two outputs of one, may share a document
    questions = asked(bank, part)
    shown = "".join(
        _question_html(question, number, f"{token}-{number}") for number, question in enumerate(questions, 1)
    )
    right = [next(option for option in question["options"] if option.get("right")) for question in questions]
    answers = "".join(f"<li><strong>{cards.rich(o['answer'])}</strong> {cards.rich(o['feedback'])}</li>" for o in right)
    return (
        f'<div class="poolref-quiz" id="{token}" data-chapter="{escape(bank["chapter"])}">{shown}'
        f'<details class="answers"><summary>Answers</summary><ol>{answers}</ol></details>{below}</div>'
        f'<script>({_script()})(document.getElementById("{token}"));</script>'
    )


@cache
def _script():
    source = (Path(__file__).parent / "quiz.js").read_text(encoding="utf-8")
    return re.sub(r"^\s*//.*\n", "", source, flags=re.MULTILINE).strip().rstrip(";")


def _question_html(question, number, name):
    digest = hashlib.sha256(json.dumps(question, sort_keys=True).encode()).hexdigest()[:8]
    given = f"<pre>{escape(question['given'].rstrip())}</pre>" if "given" in question else ""
    back = f" <small>(from {escape(question['from'].replace('-', ' '))})</small>" if "from" in question else ""
    options = "".join(_option_html(option, name, f"{name}-{i}") for i, option in enumerate(question["options"], 1))
    return (
        f'<fieldset data-question="{question["id"]}" data-hash="{digest}">'
        f"<legend>{number}. {cards.rich(question['question'])}{back}</legend>"
        f'{given}<div>{options}</div><p class="feedback"></p></fieldset>'
    )


def _option_html(option, name, identity):
    right = option.get("right", False)
    feedback = f"{'Right.' if right else 'Not this one.'} {' '.join(option['feedback'].split())}"
    # JupyterLab takes the arrow keys away from inputs that do not ask for them.
    return (
        f'<div class="option"><input type="radio" name="{name}" id="{identity}" data-lm-suppress-shortcuts="true">'
        f'<label for="{identity}" data-feedback="{escape(feedback)}"{" data-right" if right else ""}>'
        f"{cards.rich(option['answer'])}</label></div>"
    )


def text(bank, part):
    """Return the questions of a part as plain text, without answers."""
    lines = []
    for number, question in enumerate(bank[part], 1):
        lines += [f"{number}. {' '.join(question['question'].split())}", question.get("given", "").rstrip()]
        lines += [f"   {'abcdef'[i]}) {option['answer']}" for i, option in enumerate(question["options"])]
    return "\n".join(line for line in lines if line)
