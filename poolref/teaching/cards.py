"""The boxes in which quizzes and exercise checks appear: HTML where it can be shown, plain text elsewhere."""

import re
from functools import cache
from html import escape
from pathlib import Path

FOLDER = Path(__file__).parent


@cache
def style(name):
    """Return the style sheet `name`.css of this folder as a <style> element: an output has to bring its own."""
    css = (FOLDER / f"{name}.css").read_text(encoding="utf-8")
    return "<style>" + re.sub(r"/\*.*?\*/|\s*\n\s*", "", css, flags=re.DOTALL) + "</style>"


def show(html, text):
    """Display `html` in a notebook; print `text` where there is none."""
    try:
        from IPython import get_ipython
        from IPython.display import display
    except ImportError:
        get_ipython = lambda: None  # noqa: E731
    if get_ipython() is None:
        print(text)
    else:
        display({"text/html": html, "text/plain": text}, raw=True)


def rich(text):
    """Escaped HTML of a short text in which `code` and $math$ may stand.

    MathJax reads the class "math" on the published page, and the delimiters in Jupyter.
    """
    pieces = re.split(r"(`[^`]+`|\$[^$]+\$)", " ".join(text.split()))
    return "".join(
        f"<code>{escape(piece[1:-1])}</code>"
        if piece[:1] == "`"
        else f'<span class="math notranslate nohighlight">\\({escape(piece[1:-1])}\\)</span>'
        if piece[:1] == "$"
        else escape(piece)
        for piece in pieces
    )
