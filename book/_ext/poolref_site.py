"""What the site does beyond Jupyter Book: light pages that fetch nothing from elsewhere, and a build that checks.

- Notebooks run again when poolref or a question bank has changed, not only when their own text has.
- A page that holds a live figure loads the kit, the figure's own script and their style sheet; one that holds a quiz
  loads the module of that name from poolref/teaching/.
- MathJax comes from an installed package, the icon font is cut down to the icons in use.
- The bibliography's page is written from references.bib.
- An image without alternative text is a warning, and `make site` makes warnings errors.
- Links to the repository are made from the environment variable POOLREF_REPOSITORY, or not at all.
"""

import hashlib
import json
import os
import re
import shutil
from html import escape
from importlib.util import find_spec
from pathlib import Path

import bibliography
import pydata_sphinx_theme
from bs4 import BeautifulSoup
from fontTools import subset
from sphinx.util import logging

from poolref.teaching.live import bundle

ROOT = Path(__file__).parents[2]
TEACHING = ROOT / "poolref" / "teaching"
REPOSITORY = os.environ.get("POOLREF_REPOSITORY", "").rstrip("/")
PUBLISHED_BRANCH = "gh-pages"

logger = logging.getLogger(__name__)


def setup(app):
    app.add_config_value(
        "comments_config", None, ""
    )  # Jupyter Book sets it, for an extension that this site leaves out
    app.connect("config-inited", write_bibliography)
    app.connect("config-inited", key_execution_cache)
    app.connect("config-inited", link_repository)
    app.connect("builder-inited", copy_assets)
    app.connect("autodoc-process-docstring", escape_symbols, priority=400)
    app.connect("autodoc-skip-member", skip_twins)
    app.connect("html-page-context", finish_page, priority=900)
    app.connect("build-finished", finish_site)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def write_bibliography(app, config):
    bibliography.write(Path(app.srcdir) / "book")


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
    if not REPOSITORY:
        return
    config.html_theme_options |= {
        "repository_url": REPOSITORY,
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
    """Put the modules of poolref.teaching and MathJax among the site's own files."""
    static = Path(app.outdir) / "_static"
    (static / "poolref").mkdir(parents=True, exist_ok=True)
    for asset in [*TEACHING.glob("*.js"), *TEACHING.glob("*.css")]:
        shutil.copy(asset, static / "poolref")
    (static / "poolref" / "live").mkdir(exist_ok=True)
    scripts = {"kit.js": bundle.kit(), "kit.css": bundle.style()}
    scripts |= {f"{name}.js": bundle.figure(name) for name in bundle.names()}
    for name, text in scripts.items():
        (static / "poolref" / "live" / name).write_text(text, "utf-8")
    mathjax = Path(find_spec("sphinx-mathjax-offline").origin).parent / "static" / "mathjax"
    shutil.rmtree(static / "vendor", ignore_errors=True)  # cut fonts, which Sphinx would remark on replacing
    if not (static / "mathjax").exists():
        for part in ["output/chtml/fonts/woff-v2", "input/tex/extensions"]:
            shutil.copytree(mathjax / part, static / "mathjax" / part)
        shutil.copy(mathjax / "tex-chtml.js", static / "mathjax")


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
    return True if name.endswith(("1d", "3d")) or name == "reducer" else None


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
    # quiz.js and its style sheet go where an output carries data-poolref-quiz.
    for asset in sorted(TEACHING.glob("*")):
        if f"data-poolref-{asset.stem}" in body and asset.suffix == ".js":
            app.add_js_file(f"poolref/{asset.name}", type="module")
        if f"data-poolref-{asset.stem}" in body and asset.suffix == ".css":
            app.add_css_file(f"poolref/{asset.name}")
    # The summary's visible words are its name; this label would replace them.
    context["body"] = body.replace(' aria-label="Toggle hidden content"', "")
    if doctree is not None and (promise := first_paragraph(doctree)):
        context["metatags"] = context.get("metatags", "") + f'\n<meta name="description" content="{escape(promise)}" />'
    for group in context.get("header_buttons", []):
        for button in group.get("buttons", []):
            if button["text"] == "Colab":  # the published copy of a notebook begins by installing poolref
                button["url"] = button["url"].replace("/blob/main/", f"/blob/{PUBLISHED_BRANCH}/_sources/")


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
        if REPOSITORY:
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
    cell["source"] = f'%pip install --quiet "poolref[torch,teaching] @ git+{REPOSITORY}"'
    for path in site.glob("_sources/**/*.ipynb"):
        notebook = json.loads(path.read_text("utf-8"))
        if notebook["cells"][0].get("id") != cell["id"]:
            notebook["cells"].insert(0, cell)
            path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", "utf-8")
