"""The page's examples, as they stand: Python, Node, and a page of another site in a browser."""

from __future__ import annotations

import base64
import contextlib
import html
import json
import re
import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from faceid_tunes.faceid_core.jobs.tokens import make_token

from .conftest import Served
from .test_page import PHOTO

pytestmark = pytest.mark.slow
PAGE = Path(__file__).parents[2] / "docs/service.md"


def example(served: Served, begins: str) -> str:
    """An indented block of the page, with this service's address."""
    blocks = re.findall(r"(?:^    .*\n|^\n(?=    ))+", PAGE.read_text("utf-8"), re.MULTILINE)
    (found,) = [block for block in blocks if block.strip().startswith(begins)]
    return re.sub("^    ", "", found, flags=re.MULTILINE).replace("http://127.0.0.1:8190", served.url)


def promised(served: Served, prompt: dict) -> None:
    assert re.fullmatch(r"<faceid:\d+:1> man in the alps", prompt["text"]) and prompt["num_images"] == 2


def test_the_python_example(served: Served, tmp_path: Path) -> None:
    shutil.copy(PHOTO, tmp_path / "1.jpg")
    key = make_token(served.store.database, "python")
    code = f"API_KEY = {key!r}\n{example(served, 'import requests')}\nimport json; print(json.dumps(prompt))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, cwd=tmp_path, timeout=60, check=True)
    promised(served, json.loads(run.stdout))


def test_the_node_example(served: Served, tmp_path: Path) -> None:
    if shutil.which("node") is None:
        pytest.skip("no Node")
    shutil.copy(PHOTO, tmp_path / "1.jpg")
    key = make_token(served.store.database, "node")
    head = f'import fs from "node:fs"; const API_KEY = "{key}", photo = new Blob([fs.readFileSync("1.jpg")]);\n'
    (tmp_path / "x.mjs").write_text(head + example(served, "const api") + "\nconsole.log(JSON.stringify(prompt))")
    run = subprocess.run(["node", "x.mjs"], capture_output=True, cwd=tmp_path, timeout=60, check=True)
    promised(served, json.loads(run.stdout))


@pytest.mark.browser
def test_a_page_of_another_site_in_a_browser(served: Served, tmp_path: Path) -> None:
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser is None:
        pytest.skip("no Chromium")
    key = make_token(served.store.database, "page")
    photo = base64.b64encode(PHOTO.read_bytes()).decode()
    script = (
        f'const API_KEY = "{key}", photo = await (await fetch("data:image/png;base64,{photo}")).blob();\n'
        f"{example(served, 'const api')}\ndocument.body.textContent = JSON.stringify(prompt);"
    )
    page = f"<body>waiting<script type=module>try {{{script}}} catch (e) {{document.body.textContent = e}}</script>"
    with other_site(page) as address:
        options = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}", "--timeout=60000"]
        command = [browser, *options, "--virtual-time-budget=60000", "--dump-dom", address]
        run = subprocess.run(command, capture_output=True, text=True, timeout=120)
    shown = re.search(r"<body>(.*)</body>", run.stdout, re.DOTALL)
    assert shown, run.stderr[-2000:]
    promised(served, json.loads(html.unescape(shown[1])))


@contextlib.contextmanager
def other_site(page: str):
    """A page at an origin of its own."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(page.encode())

        def log_message(self, *_: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()
