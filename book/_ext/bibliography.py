"""Write book/bibliography.md from book/references.bib: one heading for each key, so that links to it work everywhere.

    python book/_ext/bibliography.py

A chapter cites `[Zhang 2019](bibliography.md#zhang2019)`, which is a place on the site, on GitHub and in JupyterLab.
The build writes nothing; it stops if the page is not what the .bib file says. What stands in bibliography.md above the
first entry is kept.
"""

from pathlib import Path

from pybtex.database import parse_file
from pybtex.richtext import Text

BOOK = Path(__file__).parents[1]


def page(book=BOOK):
    """Return what bibliography.md should say."""
    introduction = (book / "bibliography.md").read_text("utf-8").split("\n## ")[0].rstrip()
    works = parse_file(book / "references.bib").entries
    entries = [f"## {key}\n\n{reference(works[key])}" for key in sorted(works)]
    return "\n\n".join([introduction, *entries]) + "\n"


def reference(work):
    """Return one work as a line of Markdown: authors, title, where, when, link, note."""

    def field(name):
        return str(Text.from_latex(work.fields.get(name, "")))

    where = next(filter(None, map(field, ["journal", "booktitle", "publisher", "institution", "school"])), "")
    volume = field("volume") + (f"({field('number')})" if field("number") else "")
    pages = field("pages").replace("--", "–")
    place = ", ".join(filter(None, [where, volume, pages, field("year")]))
    sentences = [authors(work), f"*{field('title')}*", place, link(work), field("note")]
    return " ".join(s if s.endswith((".", "?", "!")) else f"{s}." for s in sentences if s)


def authors(work):
    names = [
        " ".join([*p.first_names, *p.middle_names, *p.prelast_names, *p.last_names, *p.lineage_names])
        for p in work.persons["author"]
    ]
    names = [str(Text.from_latex(name)) for name in names]
    if len(names) > 2:
        return ", ".join(names[:-1]) + " and " + names[-1]
    return " and ".join(names)


def link(work):
    if doi := work.fields.get("doi"):
        return f"[doi:{doi}](https://doi.org/{doi})"
    if arxiv := work.fields.get("eprint"):
        return f"[arXiv:{arxiv}](https://arxiv.org/abs/{arxiv})"
    if url := work.fields.get("url"):
        return f"[{url.split('://')[-1]}]({url})"
    return ""


if __name__ == "__main__":
    (BOOK / "bibliography.md").write_text(page(), "utf-8")
