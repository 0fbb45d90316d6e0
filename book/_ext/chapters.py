"""What stands on the index: a live figure, and a card for each chapter, so that a new one has to be listed only.

    ```{live} hero
    What is shown while there is no such figure.
    ```

    ```{chapters}
    ```

A card shows number, title, question and minutes of the notebook's metadata, and the picture of the cell that carries
the tag `thumbnail`, or else the first picture. The reader's progress is filled in by _static/poolref.js.
"""

import json
import re
from html import escape
from pathlib import Path

import pictures
import yaml
from docutils import nodes
from docutils.parsers.rst import Directive

from poolref import teaching

PLACE = "<!-- the cards of the chapters -->"
LOOK_UP = "To look things up"


class Chapters(Directive):
    def run(self):
        return [nodes.raw("", PLACE, format="html")]


class Live(Directive):
    required_arguments = 1
    has_content = True

    def run(self):
        figure = getattr(teaching, "live", None) and teaching.live.FIGURES.get(self.arguments[0])
        if figure:
            return [nodes.raw("", figure().html(), format="html")]
        instead = nodes.container()
        self.state.nested_parse(self.content, self.content_offset, instead)
        return [instead]


def setup(app):
    app.add_directive("live", Live)
    app.add_directive("chapters", Chapters)
    app.connect("env-get-outdated", renew_index)


def renew_index(app, env, added, changed, removed):
    """The index is written again when a page has changed: its cards may have."""
    return [env.config.root_doc] if added or changed or removed else []


def parts(root):
    """Return (caption, files of its chapters) of each part of the table of contents."""
    toc = yaml.safe_load((Path(root) / "_toc.yml").read_text("utf-8"))
    return [
        (part["caption"], [page["file"] for page in part["chapters"]])
        for part in toc.get("parts", [])
        if part["caption"] != LOOK_UP
    ]


def fill_in(body, app, pagename):
    """Return a page's body with the cards in their place."""
    if PLACE not in body:
        return body
    number, sections = 0, []
    for caption, files in parts(app.srcdir):
        cards = []
        for file in files:
            number += 1
            cards.append(card(app, file, number, app.builder.get_relative_uri(pagename, file)))
        heading = f'<h3 class="poolref-part">{escape(caption)}</h3>'
        sections.append(f'{heading}<ol class="poolref-cards" start="{number - len(files) + 1}">{"".join(cards)}</ol>')
    return body.replace(PLACE, "".join(sections))


def card(app, file, number, address):
    info = facts(Path(app.srcdir) / f"{file}.ipynb")
    minutes = f"{info['read']} min to read, {info['do']} to do" if info["read"] else ""
    return (
        f'<li><a href="{address}"><span class="poolref-thumbnail" aria-hidden="true">{thumbnail(app, file)}</span>'
        f'<span class="poolref-number">{number}</span> <strong>{escape(info["title"])}</strong> '
        f'<span class="poolref-question">{escape(info["question"])}</span></a>'
        f'<span class="poolref-minutes">{minutes}</span> '
        f'<span class="poolref-progress" data-chapter="{Path(file).name}" {questions(app, file)}></span></li>'
    )


def questions(app, file):
    """Return the ids of a chapter's questions as attributes: data-preview and data-review."""
    bank = Path(app.srcdir) / Path(file).parent / "quizzes" / f"{Path(file).name}.yml"
    asked = yaml.safe_load(bank.read_text("utf-8")) if bank.exists() else {}
    ids = {
        part: " ".join(str(question.get("id", number)) for number, question in enumerate(asked.get(part, []), 1))
        for part in ("preview", "review")
    }
    return " ".join(f'data-{part}="{escape(names)}"' for part, names in ids.items())


def facts(notebook):
    """Return title, question and minutes of a chapter; what its metadata lack comes from its first cell."""
    content = json.loads(notebook.read_text("utf-8"))
    info = content["metadata"].get("poolref", {})
    opening = "".join(content["cells"][0]["source"])
    title, question = re.search(r"^# (.+)$", opening, re.M), re.search(r"^\*([^*].*?)\*$", opening, re.M | re.S)
    return {
        "title": info.get("title") or (title[1] if title else notebook.stem),
        "question": info.get("question") or (question[1] if question else ""),
        "read": info.get("minutes_read"),
        "do": info.get("minutes_do"),
    }


def thumbnail(app, file):
    """Return the SVG of a chapter's card; nothing if the chapter has no drawing."""
    doctree = app.env.get_doctree(file)
    cells = [node for node in doctree.findall(nodes.container) if "cell" in node.get("classes", [])]
    cells.sort(key=lambda cell: "tag_thumbnail" not in cell["classes"])
    for cell in cells:
        for output in cell.findall(nodes.raw):
            if found := re.search(r'class="poolref-svg"[^>]*base64,([^"]+)"', output.astext()):
                return pictures.page_svg(pictures.decoded(found[1]), f"card-{Path(file).name}-", "thumbnail")
    return ""
