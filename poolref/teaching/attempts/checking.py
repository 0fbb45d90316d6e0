"""What a notebook calls: `check` judges an attempt and shows the verdict, `solves` says whether it is right."""

from html import escape

from poolref.teaching import cards
from poolref.teaching.attempts.judging import Verdict, formatted, judge
from poolref.teaching.exercises import EXERCISES

MARKS = {
    "right": "✓ Right.",
    "not attempted": "Not attempted yet.",
    "unfinished": "Not finished yet.",
}
KINDS = {"right": "right", "not attempted": "waiting", "unfinished": "waiting"}  # classes of cards.css


def check(name, attempt):
    """Display whether an attempt solves an exercise, and if not, the smallest input on which it fails.

    Args:
        name: the exercise, such as "max-pooling/forward".
        attempt: a function with the exercise's signature, or the design that it asks for.

    Returns:
        The Verdict, with `.passed`. A wrong attempt raises nothing, whatever it does.

    Raises:
        ValueError: there is no such exercise.
    """
    verdict = judge(find(name), attempt)
    cards.show(html(verdict), text(verdict))
    return verdict


def solves(name, attempt):
    """Return whether an attempt solves an exercise; display nothing. For solutions, which are not the reader's own."""
    return judge(find(name), attempt).passed


def find(name):
    if name not in EXERCISES:
        raise ValueError(f"name must be one of {sorted(EXERCISES)}, got {name!r}")
    return EXERCISES[name]


def rows(verdict: Verdict):
    """Yield what is to be read in a fixed-width font, as (what it is, text)."""
    yield from ((name, formatted(value)) for name, value in verdict.inputs.items())
    if verdict.returned is not None:
        yield "returned", verdict.returned
    if verdict.expected is not None:
        yield "expected", verdict.expected
    if verdict.printed.strip():
        yield "printed" if verdict.inputs else "printed on the first input", verdict.printed.rstrip()


def notes(verdict: Verdict):
    """Yield the lines below the rows, each as (word before it, text)."""
    if verdict.idea:
        yield "Idea", verdict.idea
    if verdict.where:
        yield "Where", verdict.where


def text(verdict):
    lines = [f"{verdict.exercise}: {verdict.message}"]
    lines += [f"  {'✓' if d.met else '✗'} {d.asked}: {d.found}" for d in verdict.demands]
    lines += [f"  {name}: " + value.replace("\n", "\n" + " " * (len(name) + 4)) for name, value in rows(verdict)]
    return "\n".join(lines + [f"  {word}: {note}" for word, note in notes(verdict)])


def html(verdict):
    kind, mark = KINDS.get(verdict.status, "wrong"), MARKS.get(verdict.status, "✗ Not yet right.")
    demands = "".join(
        f'<li class="{"met" if d.met else "missed"}"><span aria-hidden="true">{"✓" if d.met else "✗"}</span> '
        f"{cards.rich(d.asked)}: {cards.rich(d.found)}{'' if d.met else ' (not met)'}</li>"
        for d in verdict.demands
    )
    table = "".join(f"<dt>{escape(name)}</dt><dd><pre>{escape(value)}</pre></dd>" for name, value in rows(verdict))
    below = "".join(f"<p><strong>{word}:</strong> {cards.rich(note)}</p>" for word, note in notes(verdict))
    return (
        f'{cards.style("cards")}<div class="poolref-card"><div class="verdict {kind}" role="status">'
        f"<p><strong>{mark}</strong> {cards.rich(verdict.message)}</p>"
        + (f'<ul class="demands">{demands}</ul>' if demands else "")
        + (f"<dl>{table}</dl>" if table else "")
        + f"{below}</div></div>"
    )
