"""Shared by all tests: the built site, served on this machine, and a browser's page that watches for trouble."""

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
]


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """Build the site (seconds when nothing has changed) and return its folder. Parallel workers wait for one build."""
    run = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        run = run.parent
    done = run / "site-is-built"
    (ROOT / "_build").mkdir(exist_ok=True)
    with FileLock(ROOT / "_build" / "site.lock"):
        if not done.exists():
            jupyter_book = Path(sys.executable).with_name("jupyter-book")
            command = [jupyter_book, "build", ".", "-W", "-n", "--keep-going"]
            build = subprocess.run(command, cwd=ROOT, text=True, capture_output=True)
            done.write_text("" if build.returncode == 0 else f"{build.stdout}\n{build.stderr}")
    if failure := done.read_text():
        pytest.fail(f"the site does not build:\n{failure[-6000:]}", pytrace=False)
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
