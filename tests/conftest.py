"""Shared by all tests: the built site, served on this machine, and a browser's page that watches for trouble."""

import json
import os
import shutil
import subprocess
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from filelock import FileLock

if "PYTEST_XDIST_WORKER" in os.environ:  # threads of one worker that wait for those of another are very slow
    os.environ.setdefault("OMP_NUM_THREADS", "1")

ROOT = Path(__file__).parents[1]
CHROMIUM_NAMES = ["chromium", "chromium-browser", "google-chrome"]
CHROMIUM_FLAGS = [
    "--no-sandbox",  # a container's root user has no other way
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",  # a camera that shows a test picture, and a user who allows it
    "--use-fake-ui-for-media-stream",
]


# Files that take tens of seconds.  `make check` leaves them to `make test`, like all that needs the site or a browser.
SLOW = {
    "test_attempts",
    "test_benchmarks",
    "test_build",
    "test_cuda_benchmark",
    "test_exercises",
    "test_onnx_export",
    "test_torch",
    "test_torch_functions",
    "test_torch_maps",
    "test_torch_memory",
    "test_torch_roi",
    "test_torch_sharding",
    "test_torch_tools",
    "test_torch_transforms",
    "test_triton_interpreter",
}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    for item in items:
        if item.path.stem in SLOW or {"site", "browser"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.slow)


def once(tmp_path_factory, name, work):
    """Do some work once in a run of tests, however many workers ask for it; return its result, which JSON can hold."""
    run = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        run = run.parent
    result = run / f"{name}.json"
    with FileLock(run / f"{name}.lock"):
        if not result.exists():
            result.write_text(json.dumps(work()))
    return json.loads(result.read_text())


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """Build the site (seconds when nothing has changed) and return its folder."""

    def failure():
        (ROOT / "_build").mkdir(exist_ok=True)
        jupyter_book = Path(sys.executable).with_name("jupyter-book")
        command = [jupyter_book, "build", ".", "-W", "-n", "--keep-going"]
        with FileLock(ROOT / "_build" / "site.lock"):
            build = subprocess.run(command, cwd=ROOT, text=True, capture_output=True)
        return "" if build.returncode == 0 else f"{build.stdout}\n{build.stderr}"

    if said := once(tmp_path_factory, "site", failure):
        pytest.fail(f"the site does not build:\n{said[-6000:]}", pytrace=False)
    return ROOT / "_build" / "html"


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture(scope="session")
def site_url(site):
    """Serve the site; return its address, without a slash at the end."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=site))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.fixture(scope="module")
def browser():
    """A headless Chromium. Ends with the module, because Playwright's event loop would be in the notebooks' way."""
    chromium = next(filter(None, map(shutil.which, CHROMIUM_NAMES)), None)
    if chromium is None:
        missing = f"no Chromium on this machine (none of {', '.join(CHROMIUM_NAMES)}); `make test` as root installs it"
        pytest.fail(missing, pytrace=False) if os.environ.get("CI") else pytest.skip(missing)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser, site_url):
    """A fresh browser page: `page.goto("/book/max-pooling.html")`. What goes wrong in it fails the test at its end."""
    with browser.new_context(base_url=site_url) as context:
        page = context.new_page()
        trouble = []
        page.on("console", lambda message: message.type == "error" and trouble.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: trouble.append(f"script: {error}"))
        page.on("requestfailed", lambda request: trouble.append(f"failed: {request.url} ({request.failure})"))
        page.on("response", lambda answer: answer.ok or trouble.append(f"{answer.status}: {answer.url}"))
        page.on(
            "request",
            lambda request: (
                request.url.startswith((site_url, "data:", "blob:")) or trouble.append(f"foreign: {request.url}")
            ),
        )
        yield page
        assert not trouble, "\n".join(trouble)


class FigurePage:
    """A bare page around live figures, in one page of a browser that many checks share."""

    def __init__(self, browser, context):
        self.browser, self.context, self.page, self.trouble, self.more = browser, context, context.new_page(), [], []
        self._watch(self.page)

    def open(self, *figures, theme="light", width=900, height=900, fragment="", inside=None, **options):
        """Open figures (or HTML) in the page; `options` of a browser's context give it a page of its own."""
        from poolref.teaching.live import bundle

        body = "".join(figure if isinstance(figure, str) else figure.html() for figure in figures)
        page = self.page
        if options:
            self.more.append(self.browser.new_context(**options))
            page = self.more[-1].new_page()
            self._watch(page)
        page.set_viewport_size({"width": width, "height": height})
        kinds = [name for name in bundle.names() if f'data-poolref-live="{name}"' in body]
        scripts = "".join(f'<script defer src="/{name}.js"></script>' for name in ["kit", *kinds])
        paper, ink = ("#fff", "#000") if theme == "light" else ("#121212", "#fff")
        self.html = (
            f'<!doctype html><html lang="en" data-theme="{theme}"><head><meta charset="utf-8"><title>Figure</title>'
            f'<meta name="viewport" content="width=device-width"><link rel="stylesheet" href="/kit.css">'
            f"<style>body {{ margin: 12px; background: {paper}; color: {ink}; font-family: sans-serif }}</style>"
            f"{scripts}</head><body><main><h1>Figure</h1>{body}</main></body></html>"
        )
        page.goto("about:blank")  # a mere change of the fragment would not load the page again
        page.goto(f"http://figure.localhost/{fragment}")
        return page

    def _watch(self, page):
        page.on("console", lambda message: message.type == "error" and self.trouble.append(message.text))
        page.on("pageerror", lambda error: self.trouble.append(str(error)))
        page.route("**/*", self._serve)

    def _serve(self, route):
        from poolref.teaching.live import bundle

        name = route.request.url.removeprefix("http://figure.localhost/")
        if name == "":
            route.fulfill(body=self.html, content_type="text/html")
        elif name == "kit.css":
            route.fulfill(body=bundle.style(), content_type="text/css")
        elif name == "kit.js":
            route.fulfill(body=bundle.kit(), content_type="text/javascript")
        elif name.removesuffix(".js") in bundle.names():
            route.fulfill(body=bundle.figure(name.removesuffix(".js")), content_type="text/javascript")
        else:
            self.trouble.append(f"asked for {route.request.url}")
            route.fulfill(status=404)


@pytest.fixture(scope="module")
def figure_page(browser):
    with browser.new_context(permissions=["clipboard-read", "clipboard-write"], reduced_motion="reduce") as context:
        yield FigurePage(browser, context)


@pytest.fixture
def figures(figure_page):
    """Open live figures in a bare page: `page = figures(explorer())`.  Errors and foreign requests fail the test."""
    figure_page.trouble.clear()
    yield figure_page.open
    for context in figure_page.more:
        context.close()
    figure_page.more.clear()
    assert not figure_page.trouble, "\n".join(figure_page.trouble)


def numbers(page, kind):
    """The numbers that a grid of a live figure shows, at full precision, as rows."""
    import numpy as np

    read = "(grid) => [...grid.querySelectorAll('[role=gridcell]')].map(({ dataset: { at, value } }) => [at, value])"
    rows = {}
    for at, value in page.locator(f"[data-grid={kind}]").evaluate(read):
        rows.setdefault(int(at.split(",")[0]), []).append(float(value.replace("Infinity", "inf")))
    rows = [rows[r] for r in sorted(rows)]
    return np.array(rows) if len({len(row) for row in rows}) == 1 else rows


def state(page, index=0):
    """The state of a live figure on a page."""
    return page.evaluate(f"poolref.awake[{index}].state()")


def sentence(page):
    return page.locator(".pr-sentence").inner_text()


def pixels(page, kind):
    """The red of each pixel that a canvas of a live figure shows, from 0 to 1: (H, W)."""
    import numpy as np

    read = """(el) => {
      const canvas = el.querySelector("canvas");
      const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
      return JSON.stringify([canvas.height, canvas.width, Array.from(data).filter((_, i) => i % 4 === 0)]);
    }"""
    height, width, levels = json.loads(page.locator(f"[data-canvas={kind}]").evaluate(read))
    return np.reshape(levels, (height, width)) / 255
