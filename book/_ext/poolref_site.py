"""What the site does beyond Jupyter Book: light pages that fetch nothing from elsewhere, and a build that checks.

- Notebooks run again when poolref or a question bank has changed, not only when their own text has.
- A page that holds a live figure loads the kit, the figure's own script and their style sheet. A quiz brings its own.
- Formulas are MathML (formulas.py), pictures SVG in the page's colours (pictures.py), the index has a card for each
  chapter (chapters.py), the API's pages begin with their names (api.py); the icon font is cut to the icons in use.
- A printed line that a kernel sent in two parts stays one line.
- Quizzes are kept out of search, and their lists of answers out of pages.
- An image without alternative text is a warning, and so is a bibliography that is not what references.bib says;
  `make site` makes warnings errors.
- Links to the repository are made from the environment variable POOLREF_REPOSITORY, or not at all.
"""

import hashlib
import json
import re
import shutil
from html import escape
from pathlib import Path

import api
import bibliography
import chapters
import formulas
import myst_nb.core.render
import pictures
import pydata_sphinx_theme
from bs4 import BeautifulSoup
from docutils import nodes
from fontTools import subset
from myst_nb.core.utils import coalesce_streams
from sphinx.util import logging

from poolref.teaching.live import bundle

ROOT = Path(__file__).parents[2]
TEACHING = ROOT / "poolref" / "teaching"
PUBLISHED_BRANCH = "gh-pages"
CHARACTERS_OF_A_PHONE = 44
VERDICTS = ("agrees", "differs")

logger = logging.getLogger(__name__)


def setup(app):
    app.add_config_value(
        "comments_config", None, ""
    )  # Jupyter Book sets it, for an extension that this site leaves out
    api.setup(app)
    formulas.setup(app)
    chapters.setup(app)
    myst_nb.core.render.coalesce_streams = whole_lines
    app.connect("config-inited", check_bibliography)
    app.connect("config-inited", key_execution_cache)
    app.connect("config-inited", link_repository)
    app.connect("builder-inited", copy_assets)
    app.connect("source-read", drop_anchors_of_headings)
    app.connect("autodoc-process-docstring", escape_symbols, priority=400)
    app.connect("autodoc-skip-member", skip_twins)
    app.add_node(Unsearched, html=(lambda translator, node: translator.body.append(node["html"]), lambda *_: None))
    app.connect("doctree-resolved", leave_out_answers)
    app.connect("html-page-context", finish_page, priority=900)
    app.connect("build-finished", finish_site)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def whole_lines(outputs):
    """Join the parts of each stream first: myst_nb's own merging ends every part with a newline."""
    streams, joined = {}, []
    for output in outputs:
        if output["output_type"] == "stream" and output["name"] in streams:
            streams[output["name"]]["text"] += output["text"]
            continue
        joined.append(output.copy())
        if output["output_type"] == "stream":
            streams[output["name"]] = joined[-1]
    return coalesce_streams(joined)


def check_bibliography(app, config):
    book = Path(app.srcdir) / "book"
    if (book / "bibliography.md").read_text("utf-8") != bibliography.page(book):
        logger.warning("book/bibliography.md is not what references.bib says: run python book/_ext/bibliography.py")


def key_execution_cache(app, config):
    """Keep executed notebooks under a digest of what they import: a change there is a new, empty cache.

    Sphinx reads every page again because a setting has changed, so the API page follows its docstrings too. A change in
    the site's own machinery writes the pages again, by the same means, but runs nothing.
    """
    caches = Path(app.outdir).parent / ".jupyter_cache"
    config.nb_execution_cache_path = str(
        caches / digest("poolref/**/*", "book/quizzes/*", "book/results/*", "requirements.txt")
    )
    for old in set(caches.glob("*")) - {Path(config.nb_execution_cache_path)}:
        shutil.rmtree(old)
    config.html_context = config.html_context | {"machinery": digest("book/_ext/*", "book/_static/**/*")}


def digest(*patterns):
    """Return 16 hex digits that change when a file does, whichever of the patterns it is under."""
    files = {file for pattern in patterns for file in ROOT.glob(pattern)}
    total = hashlib.sha256()
    for file in sorted(files):
        if file.is_file() and "__pycache__" not in file.parts:
            total.update(f"{file.relative_to(ROOT)}\0".encode() + file.read_bytes())
    return total.hexdigest()[:16]


def link_repository(app, config):
    """Turn on the buttons that lead to the repository, if it is known where that is."""
    config.linkcode_resolve = api.source_address  # here, because _config.yml holds no functions
    if not api.REPOSITORY:
        return
    config.html_theme_options |= {
        "repository_url": api.REPOSITORY,
        "repository_branch": "main",
        "use_repository_button": True,
        "use_edit_page_button": True,
        "use_issues_button": True,
        "launch_buttons": {
            "notebook_interface": "jupyterlab",
            "binderhub_url": "https://mybinder.org",
            "colab_url": "https://colab.research.google.com",
        },
    }


def copy_assets(app):
    """Put the style sheets of poolref.teaching and the scripts of its live figures among the site's own files."""
    static = Path(app.outdir) / "_static"
    (static / "poolref").mkdir(parents=True, exist_ok=True)
    for asset in TEACHING.glob("*.css"):
        shutil.copy(asset, static / "poolref")
    (static / "poolref" / "live").mkdir(exist_ok=True)
    scripts = {"kit.js": bundle.kit(), "kit.css": bundle.style()}
    scripts |= {f"{name}.js": bundle.figure(name) for name in bundle.names()}
    for name, text in scripts.items():
        (static / "poolref" / "live" / name).write_text(text, "utf-8")
    shutil.rmtree(static / "vendor", ignore_errors=True)  # cut fonts, which Sphinx would remark on replacing


def drop_anchors_of_headings(app, docname, source):
    """Drop `<a id="...">` from headings: they are for JupyterLab, whose own ids differ; here a heading has that id."""
    source[0] = re.sub(r'(#+ )<a id=\\?"[\w-]+\\?"></a>', r"\1", source[0])


def escape_symbols(app, what, name, thing, options, lines):
    """Let *, | and _ in docstrings mean themselves, as in (..., *spatial), |x| and max_; code and *emphasis* stay."""
    code_or_emphasis = r"``.+?``|`[^`]+`|(?<!\w)\*(?=\w)[^*]*\w\*(?!\w)"
    special = r"[*|]|(?<=\w)_(?!\w)"
    paragraphs = "\n".join(lines).split("\n\n")
    for number, text in enumerate(paragraphs):
        if not text.lstrip().startswith(">>>"):
            found = re.compile(f"({code_or_emphasis})|({special})", re.S)
            paragraphs[number] = found.sub(lambda match: match[1] or "\\" + match[2], text)
    lines[:] = "\n\n".join(paragraphs).split("\n")


def skip_twins(app, what, name, thing, skip, options):
    """Leave to the API page's words what differs from its 2-d twin in the number of axes alone."""
    return True if api.is_twin(name) or name == "reducer" else None


class Unsearched(nodes.General, nodes.Element):
    """HTML that the search index leaves out."""


def leave_out_answers(app, doctree, docname):
    """Leave quizzes and the states of live figures out of the search index, and quizzes' lists of answers out of pages.

    Those lists are for notebooks that are not trusted; on a page the feedback works without a script too.
    """
    for node in list(doctree.findall(nodes.raw)):
        if re.search(r'data-poolref-|class="[^"]*\bpoolref-quiz\b', html := node.astext()):
            html = re.sub(r'<details class="answers">.*?</details>', "", html, flags=re.DOTALL)
            node.replace_self(Unsearched(html=html))


def finish_page(app, pagename, templatename, context, doctree):
    """Mend one page before it is written: its scripts, its description, its buttons; check its images."""
    body = context.get("body", "")
    for image in BeautifulSoup(body, "html.parser").find_all("img"):
        if image.get("alt", "").strip() in ("", image["src"]) or image["alt"].startswith("../_images/"):
            logger.warning("an image has no alternative text: %.120s", image, location=pagename)
    # myst-nb writes all widgets' state into the page whether or not anything reads it.
    scripts = context["script_files"]
    scripts[:] = [script for script in scripts if "widget-state" not in script.attributes.get("type", "")]
    # Classic scripts, in order: unlike modules they run on a page that was opened as a file.
    if figures := sorted(set(re.findall(r'data-poolref-live="(\w+)"', body))):
        app.add_css_file("poolref/live/kit.css")
        for script in ["kit", *figures]:
            app.add_js_file(f"poolref/live/{script}.js", loading_method="defer")
    # The summary's visible words are its name; this label would replace them.
    body = mend_tables(body.replace(' aria-label="Toggle hidden content"', ""))
    body = formulas.set_formulas(body, pagename)
    body = pictures.write_out(body, pictures.image_files(app.env))
    context["body"] = chapters.fill_in(body, app, pagename)
    if "<math" in body:  # its letters, before they are missed
        context["preloads"] = ["fonts/noto-sans-math.woff2"]
    contents = context["generate_toctree_html"]  # the theme's arrows that unfold a part have no name
    context["generate_toctree_html"] = lambda *args, **options: str(contents(*args, **options)).replace(
        "<summary>", '<summary aria-label="Its pages">'
    )
    if doctree is not None and (promise := first_paragraph(doctree)):
        context["metatags"] = context.get("metatags", "") + f'\n<meta name="description" content="{escape(promise)}" />'
    for group in context.get("header_buttons", []):
        for button in group.get("buttons", []):
            if button["text"] == "Colab":  # the published copy of a notebook begins by installing poolref
                button["url"] = button["url"].replace("/blob/main/", f"/blob/{PUBLISHED_BRANCH}/_sources/")


def mend_tables(body):
    """Name each cell's column, for phones, where a row is a card; mark verdicts, and say which tables hold some."""
    if "<table" not in body:
        return body
    page = BeautifulSoup(body, "html.parser")
    for table in page.find_all("table", class_="table"):
        heads = [" ".join(head.text.split()) for head in table.select("thead th")]
        rows = [[" ".join(cell.text.split()) for cell in row.find_all(["td", "th"])] for row in table.find_all("tr")]
        if sum(max(map(len, column)) for column in zip(*rows)) > CHARACTERS_OF_A_PHONE:
            table["class"] = [*table["class"], "poolref-wide"]
        for row in table.select("tbody tr"):
            for head, cell in zip(heads, row.find_all("td", recursive=False)):
                if cell.text.strip():
                    cell["data-label"] = head
                else:
                    cell["class"] = ["poolref-empty"]
        for link in table.select("td a"):
            if (word := link.text.strip()) in VERDICTS:
                link["class"] = [*link.get("class", []), "poolref-verdict", word]
                table["data-poolref-verdicts"] = ""
    return str(page)


def first_paragraph(doctree):
    """Return the text of the page's first paragraph, at most 160 characters of it."""
    for node in doctree.findall():
        if node.tagname == "paragraph":
            text = " ".join(node.astext().split())
            return text if len(text) <= 160 else text[:160].rsplit(" ", 1)[0] + " …"
    return ""


def finish_site(app, exception):
    if exception or app._warncount:
        # Otherwise the next build would skip the pages read this time and keep quiet about what is wrong with them.
        (Path(app.doctreedir) / "environment.pickle").unlink(missing_ok=True)
    if not exception and app.builder.name == "html":
        keep_icons_in_use(Path(app.outdir))
        if api.REPOSITORY:
            install_poolref_in_downloads(Path(app.outdir))


def keep_icons_in_use(site):
    """Cut the theme's icon fonts (half a megabyte) down to the icons that pages, scripts and style sheets name."""
    theme = Path(pydata_sphinx_theme.__file__).parent / "theme" / "pydata_sphinx_theme" / "static"
    css = (theme / "styles" / "pydata-sphinx-theme.css").read_text("utf-8")
    code = {}
    for selectors, value in re.findall(r'((?:\.fa-[\w-]+:before,?)+)\{content:"\\([0-9a-f]+)"\}', css):
        code |= dict.fromkeys(re.findall(r"fa-[\w-]+", selectors), int(value, 16))
    sources = [*site.rglob("*.html"), *site.glob("_static/**/*theme.js")]
    names = {name for file in sources for name in re.findall(r"\bfa-[\w-]+", file.read_text("utf-8"))}
    keep = {code[name] for name in names & code.keys()}
    keep |= {ord(icon) for icon in re.findall(r'--pst-icon-[\w-]+:"(.)"', css)}
    fonts = Path("vendor/fontawesome/webfonts")
    (site / "_static" / fonts).mkdir(parents=True, exist_ok=True)
    for font in (theme / fonts).glob("*.woff2"):
        options = subset.Options(flavor="woff2", drop_tables=["GSUB"])
        cut = subset.load_font(font, options)
        subsetter = subset.Subsetter(options)
        subsetter.populate(unicodes=keep)
        subsetter.subset(cut)
        subset.save_font(cut, site / "_static" / fonts / font.name, options)
    for unused in [*(site / "_static" / fonts).glob("*.ttf"), *site.glob("_static/scripts/fontawesome.js*")]:
        unused.unlink()


def install_poolref_in_downloads(site):
    """Begin each published notebook with the cell that installs poolref, for Colab and for readers who download it."""
    cell = {"cell_type": "code", "execution_count": None, "id": "install-poolref", "metadata": {}, "outputs": []}
    cell["source"] = f'%pip install --quiet "poolref[torch,teaching] @ git+{api.REPOSITORY}"'
    for path in site.glob("_sources/**/*.ipynb"):
        notebook = json.loads(path.read_text("utf-8"))
        if notebook["cells"][0].get("id") != cell["id"]:
            notebook["cells"].insert(0, cell)
            path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", "utf-8")
