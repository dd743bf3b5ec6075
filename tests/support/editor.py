"""The graph editor of a running ComfyUI in a headless Chromium, as a person sees it."""

from __future__ import annotations

import json
import mimetypes
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from zipfile import ZipFile

import pytest

from .cached_files import cached

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

OPTIONS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()
_PATIENCE = 120_000  # ms: on two busy cores the web UI takes half a minute to load
_OPEN = "!!(window.app?.extensionManager && window.app.graph && window.LiteGraph?.registered_node_types?.FaceIDPrompt)"

# What can be read: drawn, of some size, nothing of it cut off.
_SHOWN = """() => [...document.querySelectorAll('.faceid-said')]
    .filter((said) => said.checkVisibility() && said.offsetHeight >= said.scrollHeight - 1)
    .flatMap((said) => [...said.querySelectorAll('p')].filter((one) => one.offsetHeight > 8))
    .map((one) => one.textContent)"""


@contextmanager
def browser() -> Iterator[Browser]:
    """A Chromium; skips where there is none."""
    sync_api = pytest.importorskip("playwright.sync_api")
    if (chromium := shutil.which("chromium")) is None:
        pytest.skip("there is no chromium: `apt-get install chromium`.")
    with sync_api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium, args=OPTIONS)
        try:
            yield running
        finally:
            running.close()


def web_ui(version: str) -> ZipFile:
    """The package of ComfyUI's web UI of that version; skips where the package index cannot be reached."""

    def fetch(path: Path) -> None:
        wanted = ["--quiet", "--no-deps", f"comfyui-frontend-package=={version}"]
        with TemporaryDirectory() as folder:
            command = [sys.executable, "-m", "pip", "download", "--dest", folder, *wanted]
            run = subprocess.run(command, capture_output=True, text=True)
            if run.returncode:
                pytest.skip(f"comfyui-frontend-package {version} cannot be downloaded: {run.stderr.strip()[-200:]}")
            shutil.move(next(Path(folder).glob("*.whl")), path)

    return ZipFile(cached(f"comfyui_frontend_package-{version}.whl", fetch))


class Editor:
    """A page with the graph editor. ``problems``: what no page may do because of us.

    ``other``: the package of another web UI than the one that ComfyUI brings.
    """

    def __init__(self, browser: Browser, url: str, base: Path, *, nodes_2: bool, other: ZipFile | None = None) -> None:
        settings = base / "user" / "default" / "comfy.settings.json"
        settings.parent.mkdir(parents=True, exist_ok=True)
        settings.write_text(json.dumps({"Comfy.TutorialCompleted": True, "Comfy.VueNodes.Enabled": nodes_2}))
        self.problems: list[str] = []
        self._url = url
        self.page: Page = browser.new_page(viewport={"width": 1680, "height": 1000})
        self.page.set_default_timeout(_PATIENCE)
        self.page.on("pageerror", lambda error: self.problems.append(f"page error: {error}"))
        self.page.on("console", self._hear)
        if other is not None:
            self.page.route("**/*", partial(_serve, other))
        self.page.goto(url)
        self._until_open()
        # The web UI opens a first graph of its own, and asks other hosts how large the models are that it names.
        self._first_graph = json.dumps(self.saved())
        self.page.on("request", self._see)

    def open(self, graph: dict[str, Any], name: str) -> None:
        """Open a workflow in a tab of that name."""
        self.page.evaluate("([graph, name]) => app.loadGraphData(graph, true, true, name)", [graph, name])
        self.page.wait_for_function(f"app.graph.nodes.length === {len(graph['nodes'])}")

    def run(self) -> dict[str, Any]:
        """Press *Run* and wait for the end. Returns the entry of ComfyUI's history."""
        return self.page.evaluate(
            """async () => {
                const before = new Set(Object.keys(await (await fetch('/api/history')).json()));
                await app.queuePrompt(0);
                for (;;) {
                    const now = await (await fetch('/api/history')).json();
                    const ended = Object.keys(now).find((id) => !before.has(id));
                    if (ended) return now[ended];
                    await new Promise((resume) => setTimeout(resume, 100));
                }
            }"""
        )

    def new_tab(self) -> None:
        self.page.evaluate("app.extensionManager.command.execute('Comfy.NewBlankWorkflow')")
        self.page.wait_for_function("app.graph.nodes.length === 0")

    def tab(self, name: str) -> None:
        self.page.get_by_text(name, exact=True).first.click()
        self.page.wait_for_function("app.graph.nodes.length > 0")

    def reload(self) -> None:
        self.page.reload()
        self._until_open()
        self.page.wait_for_function("app.graph.nodes.length > 0")

    def reads(self, sentence: str) -> None:
        """Wait until a node says ``sentence``, whole and visible."""
        self.page.wait_for_function(f"(wanted) => ({_SHOWN})().includes(wanted)", arg=sentence)

    def said(self) -> list[str]:
        """What can be read in the nodes."""
        return self.page.evaluate(_SHOWN)

    def saved(self) -> dict[str, Any]:
        """The workflow as *Save* writes it."""
        return self.page.evaluate("JSON.parse(JSON.stringify(app.graph.serialize()))")

    def _until_open(self) -> None:
        self.page.wait_for_function(_OPEN)

    def _hear(self, message: Any) -> None:
        if message.type == "error" and "faceid" in f"{message.text} {message.location}".lower():
            self.problems.append(f"console error: {message.text}")

    def _see(self, request: Any) -> None:
        is_ours = request.url.startswith((self._url, "data:", "blob:"))
        if not is_ours and request.url not in self._first_graph:
            self.problems.append(f"request to another host: {request.url}")


def _serve(package: ZipFile, route: Any) -> None:
    """Answer with a file of the package where it has it; ComfyUI answers everything else."""
    name = f"comfyui_frontend_package/static/{urlsplit(route.request.url).path.lstrip('/') or 'index.html'}"
    try:
        body = package.read(name)
    except KeyError:
        route.continue_()
    else:
        route.fulfill(body=body, content_type=mimetypes.guess_type(name)[0] or "application/octet-stream")
