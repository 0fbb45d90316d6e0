"""Formulas as MathML, set when the site is built: no script, no waiting, and the same without JavaScript.

Temml (temml/, MIT licence) turns TeX into MathML. What it cannot read is a warning, so `make site` stops there.
"""

import re
from functools import cache
from html import unescape
from pathlib import Path

from docutils import nodes
from py_mini_racer import JSEvalException, MiniRacer
from sphinx.util import logging

TEMML = Path(__file__).with_name("temml") / "temml.min.js"
# What poolref.teaching writes into captions and quizzes, for MathJax in Jupyter.
WRITTEN = re.compile(r'<span class="math notranslate nohighlight">\\\((.*?)\\\)</span>', re.S)

logger = logging.getLogger(__name__)


def setup(app):
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_display, None))


@cache
def _temml():
    engine = MiniRacer()
    engine.eval(TEMML.read_text("utf-8"))
    return engine


@cache
def mathml(tex, display=False):
    """Return a formula as MathML. A ValueError says what is wrong with it."""
    try:
        return _temml().call("temml.renderToString", tex, {"displayMode": display, "throwOnError": True})
    except JSEvalException as error:
        raise ValueError(f"{str(error).splitlines()[0]} in the formula {tex}") from None


def visit_inline(translator, node):
    _write(translator, node, "<span class='math'>{}</span>", display=False)


def visit_display(translator, node):
    _write(translator, node, "<div class='math'>{}</div>\n", display=True)


def _write(translator, node, wrapping, display):
    try:
        translator.body.append(wrapping.format(mathml(node.astext().strip(), display)))
    except ValueError as error:
        logger.warning("%s", error, location=node)
    raise nodes.SkipNode


def set_formulas(body, pagename):
    """Return a page's body with the formulas of its outputs set too."""

    def in_place(found):
        try:
            return mathml(unescape(found[1]))
        except ValueError as error:
            logger.warning("%s", error, location=pagename)
            return found[0]

    return WRITTEN.sub(in_place, body)
