"""The chapters as notebooks: JupyterLab and Notebook 7 in a real Chromium, on one server, with one chapter run."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import nbformat
import pytest
from conftest import ROOT

CHAPTER = "max-pooling"
VISIBLE = ".jp-NotebookPanel:not(.lm-mod-hidden)"
IDLE = """() => document.querySelector(".jp-Notebook-ExecutionIndicator")?.dataset.status === "idle"
    && ![...document.querySelectorAll(".jp-InputArea-prompt")].some(e => e.textContent.includes("*"))
    && [...document.querySelectorAll(".jp-InputArea-prompt")].some(e => /\\d/.test(e.textContent))"""
PICTURES = """() => [...document.querySelectorAll(".poolref-figure img.poolref-svg")].map(async picture => {
    await picture.decode();
    const canvas = new OffscreenCanvas(8, 8).getContext("2d");
    canvas.drawImage(picture, 0, 0, 8, 8, 0, 0, 8, 8);
    return {words: picture.alt, wide: picture.getBoundingClientRect().width,
        corner: [...canvas.getImageData(1, 1, 1, 1).data]};
})"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """A Jupyter server in a copy of the book, with the settings of `make lab`; returns its address and its folder."""
    home = tmp_path_factory.mktemp("jupyter")
    shutil.copytree(ROOT / "book", home / "book", ignore=shutil.ignore_patterns("_*", ".*"))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folders = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")
    own = {
        name: str(home / name.lower()) for name in (*folders, "JUPYTERLAB_SETTINGS_DIR", "JUPYTERLAB_WORKSPACES_DIR")
    }
    command = [Path(sys.executable).with_name("jupyter"), "lab", home / "book", "--no-browser", f"--port={port}"]
    command += ["--ServerApp.token=", f"--LabApp.app_settings_dir={ROOT / 'lab'}", "--ServerApp.port_retries=0"]
    command += ["--allow-root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    with (home / "log").open("w") as log:
        server = subprocess.Popen(command, cwd=home, env=os.environ | own, stdout=log, stderr=log)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(100):
            try:
                urllib.request.urlopen(f"{address}/api").read()
                break
            except OSError:
                assert server.poll() is None, (home / "log").read_text()
                time.sleep(0.2)
        yield address, home / "book"
    finally:
        server.terminate()  # which ends its kernels too
        server.wait(20)


def open_in(browser, address):
    page = browser.new_page(viewport={"width": 1400, "height": 1000})
    page.foreign = []
    page.on(
        "request",
        lambda request: request.url.startswith((address, "data:", "blob:", "ws:")) or page.foreign.append(request.url),
    )
    return page


@pytest.fixture(scope="module")
def ran(browser, lab):
    """A page of JupyterLab in which every cell of the chapter has been run, and the notebook saved."""
    address, folder = lab
    page = open_in(browser, address)
    page.goto(f"{address}/lab/tree/{CHAPTER}.ipynb")
    page.wait_for_selector(f"{VISIBLE} .jp-Cell", timeout=60_000)
    for _ in range(100):  # run too early, JupyterLab asks for a kernel
        if any(s["kernel"]["execution_state"] == "idle" for s in page.request.get(f"{address}/api/sessions").json()):
            break
        page.wait_for_timeout(200)
    page.wait_for_selector('.jp-Notebook-ExecutionIndicator[data-status="idle"]')
    page.locator(".lm-MenuBar-itemLabel", has_text="Run").click()
    page.locator('[data-command="runmenu:run-all"]').click()
    page.wait_for_function(IDLE, timeout=120_000)
    before = (folder / f"{CHAPTER}.ipynb").stat().st_mtime
    page.locator(f"{VISIBLE} .jp-Notebook").press("Control+s")
    for _ in range(50):
        if (folder / f"{CHAPTER}.ipynb").stat().st_mtime > before:
            break
        page.wait_for_timeout(100)
    yield page
    page.close()


def pictures(page):
    return page.evaluate(f"async () => Promise.all(({PICTURES})())")


def run_all_shows_every_picture_and_no_error(ran):
    assert not ran.locator('[data-mime-type="application/vnd.jupyter.error"]').count()
    seen = pictures(ran)
    assert len(seen) >= 4 and all(picture["words"] and picture["wide"] > 100 for picture in seen)
    assert not ran.foreign, "\n".join(ran.foreign)
    assert not ran.locator(".jp-toast-button, .Toastify__toast").count(), "a question about news"


def pictures_stand_on_white_in_the_dark(ran):
    ran.locator(".lm-MenuBar-itemLabel", has_text="Settings").click()
    ran.locator(".lm-Menu-itemLabel", has_text="Theme").first.hover()
    ran.locator('[data-command="apputils:change-theme"]', has_text="JupyterLab Dark").first.click()
    ran.wait_for_function("document.body.dataset.jpThemeName === 'JupyterLab Dark'")
    assert [picture["corner"] for picture in pictures(ran)] == [[255, 255, 255, 255]] * len(pictures(ran))


IN_SIGHT = """place => {
    const found = document.querySelector(`.jp-NotebookPanel:not(.lm-mod-hidden) [data-jupyter-id="${place}"]`);
    const box = found?.parentElement.getBoundingClientRect();
    return box && box.top > 0 && box.bottom < innerHeight;
}"""


def links_lead_into_a_second_chapter_beside_the_first_and_to_the_bibliography(ran):
    ran.locator(f"{VISIBLE} a", has_text="Misconceptions").first.click()
    claim = ran.locator('.jp-MarkdownViewer a[href*="windows.ipynb"]').first
    claim.click()
    ran.wait_for_selector(f'{VISIBLE} h1:has-text("Windows")')
    # The first click opens the chapter at its top: JupyterLab looks for the place before there are any.
    place = claim.get_attribute("href").partition("#")[2]
    ran.wait_for_selector(f'{VISIBLE} [data-jupyter-id="{place}"]', state="attached")
    ran.locator(".lm-TabBar-tab", has_text="misconceptions.md").click()
    claim.click()
    ran.wait_for_function(IN_SIGHT, arg=place)
    assert ran.locator(".jp-NotebookPanel").count() == 2
    ran.locator(f"{VISIBLE} a[href*='bibliography.md']").first.click()
    ran.locator(".jp-MarkdownViewer h2", has_text="araujo2019").wait_for()


def saved_and_opened_again_it_shows_its_pictures_trusted_or_not(browser, ran, lab):
    address, folder = lab
    saved = nbformat.read(folder / f"{CHAPTER}.ipynb", 4)
    saved.metadata["from"] = "somebody else"  # so nobody has signed it
    nbformat.write(saved, folder / "untrusted.ipynb")
    count = sum("poolref-figure" in str(cell.get("outputs")) for cell in saved.cells)
    for name in (CHAPTER, "untrusted"):
        page = open_in(browser, address)
        page.goto(f"{address}/notebooks/{name}.ipynb")  # Notebook 7; no cell is run
        page.wait_for_selector(".jp-Cell", timeout=60_000)
        page.wait_for_function(
            "count => document.querySelectorAll('.poolref-figure img.poolref-svg').length === count", arg=count
        )
        assert all(picture["wide"] > 100 and picture["corner"] == [255] * 4 for picture in pictures(page)), name
        assert not page.foreign
        page.close()


def test_a_chapter_in_jupyterlab_and_notebook(browser, ran, lab):
    """One test, so that parallel workers do not start a server each."""
    run_all_shows_every_picture_and_no_error(ran)
    pictures_stand_on_white_in_the_dark(ran)
    links_lead_into_a_second_chapter_beside_the_first_and_to_the_bibliography(ran)
    saved_and_opened_again_it_shows_its_pictures_trusted_or_not(browser, ran, lab)
