"""What is answered at a ComfyUI's address when it is not the ComfyUI one hopes for: real sockets, no ComfyUI."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread

import pytest
from faceid_tunes.faceid_core.engines.comfyui import ComfyUIEngine, ComfyUIError, find_comfyui
from faceid_tunes.faceid_core.engines.comfyui.client import comfyui_url, connected
from faceid_tunes.faceid_core.engines.comfyui.models import CORE, OURS
from faceid_tunes.faceid_core.engines.engine import Cancelled
from faceid_tunes.faceid_core.prompts import Prompt, PromptError
from faceid_tunes.faceid_core.tunes.store import TuneStore, open_store

SYSTEM_STATS = (200, json.dumps({"system": {"comfyui_version": "0.33.0"}, "devices": []}))

Answers = dict[str, tuple[int, str]]  # path -> status and body; any other path is a 404 page
Serve = Callable[[Answers], str]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts a web server that gives fixed answers. Returns its URL."""
    with ExitStack() as servers:

        def start(answers: Answers) -> str:
            server = ThreadingHTTPServer(("127.0.0.1", 0), handler(answers))
            servers.callback(server.server_close)
            servers.callback(server.shutdown)
            Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
            return f"http://127.0.0.1:{server.server_port}"

        yield start


def handler(answers: Answers) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = answers.get(self.path, (404, "<html>Not here</html>"))
            self.send_response(status)
            if 300 <= status < 400:
                self.send_header("Location", body)
            self.end_headers()
            self.wfile.write(body.encode())

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.do_GET()

        def log_message(self, *_args: object) -> None:
            pass

    return Handler


@pytest.fixture
def closed_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[TuneStore]:
    with open_store(tmp_path) as opened:
        yield opened


def refusal(url: str, store: TuneStore) -> str:
    with pytest.raises(ComfyUIError) as error:
        ComfyUIEngine(url).draw(Prompt("woman trekking in the alps"), store)
    return str(error.value)


def test_nobody_at_the_address_says_how_to_start_comfyui(closed_port: str, store: TuneStore):
    message = refusal(closed_port, store)
    assert message.startswith(f"No ComfyUI answers at {closed_port} (")
    assert "python main.py --listen" in message


@pytest.mark.parametrize(
    "answer", [(200, "<html>Hello</html>"), (404, "<html>Not here</html>"), (200, "{}"), (200, "[]"), (200, "null")]
)
def test_another_web_server_is_not_taken_for_comfyui(serve: Serve, store: TuneStore, answer: tuple[int, str]):
    url = serve({"/system_stats": answer})
    assert refusal(url, store).startswith(f"{url} answers, but it is not ComfyUI (HTTP {answer[0]}")


def test_a_login_is_asked_for(serve: Serve, store: TuneStore):
    url = serve({"/system_stats": (401, "")})
    assert "wants a login" in refusal(url, store)


def comfyui_without_our_nodes(prefix: str = "") -> Answers:
    nothing = {f"{prefix}/object_info/{kind}": (200, "{}") for kind in (*OURS, *CORE)}
    return {f"{prefix}/system_stats": SYSTEM_STATS} | nothing


def test_a_comfyui_without_our_nodes_says_how_to_install_them(serve: Serve, store: TuneStore):
    url = serve(comfyui_without_our_nodes())
    message = refusal(url, store)
    assert message.startswith(f"{url} does not have the FaceID nodes ({', '.join(OURS)}).")
    assert "comfy node install" in message


def test_a_redirect_is_followed_for_good(serve: Serve, store: TuneStore):
    comfyui = serve(comfyui_without_our_nodes("/comfy"))
    old = serve({"/system_stats": (301, f"{comfyui}/comfy/system_stats")})
    assert "does not have the FaceID nodes" in refusal(old, store)


def test_a_photo_too_large_for_comfyui_says_which_option_to_raise(serve: Serve):
    url = serve({"/system_stats": SYSTEM_STATS, "/upload/image": (413, "")})

    async def upload() -> None:
        async with connected(comfyui_url(url)) as comfyui:
            await comfyui.upload("photo.png", bytes(2_000_000), "faceid")

    with pytest.raises(ComfyUIError, match=r"a photo of 2\.0 MB: start it with a larger --max-upload-size"):
        asyncio.run(upload())


def test_a_password_in_the_address_is_shown_to_nobody(closed_port: str, store: TuneStore):
    url = closed_port.replace("http://", "http://me:secret@")
    assert "secret" not in ComfyUIEngine(url).name
    assert "secret" not in refusal(url, store)


def test_a_text_that_names_nobody_is_refused_before_comfyui_is_asked(closed_port: str, store: TuneStore):
    with pytest.raises(PromptError, match="column 1: There is no tune titled 'Anna'"):
        ComfyUIEngine(closed_port).draw(Prompt("<faceid:Anna:1> woman"), store)


def test_what_cannot_be_drawn_locally_is_refused_before_comfyui_is_asked(closed_port: str, store: TuneStore):
    with pytest.raises(PromptError, match=r"prompt\[scheduler\]: 'tcd' is unavailable locally"):
        ComfyUIEngine(closed_port).draw(Prompt("woman", scheduler="tcd"), store)


def test_a_cancel_set_before_the_start_is_heeded(closed_port: str, store: TuneStore):
    cancel = Event()
    cancel.set()
    with pytest.raises(Cancelled):
        ComfyUIEngine(closed_port).draw(Prompt("woman"), store, cancel=cancel)


def test_finding_passes_over_what_is_not_comfyui_with_our_nodes(serve: Serve, closed_port: str):
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts, and never answers
        deaf = f"http://127.0.0.1:{silent.getsockname()[1]}"
        assert find_comfyui((closed_port, "not an address", serve({}), deaf)) is None
