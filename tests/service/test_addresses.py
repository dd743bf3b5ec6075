"""Addresses that a client of another machine names: nothing of this machine's network is reached through them."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import requests
from faceid_tunes.faceid_core.jobs.outbox import due
from faceid_tunes.faceid_core.jobs.tokens import make_token
from faceid_tunes.service.callbacks import _problem
from faceid_tunes.service.settings import ServiceSettings

from ..astria.test_addresses import HOSTS
from .conftest import Served
from .test_page import BASE, PHOTO

pytestmark = pytest.mark.slow

ASKING = requests.Session()
ASKING.trust_env = False  # the environment's proxies are for the service to leave alone
# With the port of a server that listens at every address of this machine.
TRICKS = (
    *(f"http://{host}:{{port}}/x" for host in HOSTS),
    *("http://user:password@127.0.0.1:{port}/x", "http://127.0.0.1:{port}#@pictures.example/x"),
    *("http://pictures.example@127.0.0.1:{port}/x", "http:///127.0.0.1:{port}/x", "HTTP://127.0.0.1:{port}/x"),
    *("http://[::ffff:7f00:1]:{port}/x", "http://0:{port}/x", "http://127.0.0.1\\@pictures.example:{port}/x"),
    *("http://%31%32%37.0.0.1:{port}/x", "http://①②⑦.⓪.⓪.①:{port}/x", "http://localhost.:{port}/x"),
    *("http://{here}/to?http://127.0.0.1:{port}/x", "http://{here}/to?http://[::1]:{port}/x"),
    *("http://{here}/to?//localhost:{port}/x", "http://{here}/to?file:///etc/hostname"),
)


class Server(ThreadingHTTPServer):
    """Gives a photo, or sends on; ``paths``: what was asked for."""

    address_family, daemon_threads = socket.AF_INET6, True

    def __init__(self) -> None:
        self.paths: list[str] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.paths.append(self.path)
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                goes_on = self.path.startswith("/to?")
                self.send_response(302 if goes_on else 200)
                if goes_on:
                    self.send_header("Location", self.path.partition("?")[2])
                body = b"" if goes_on else PHOTO.read_bytes()
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self) -> None:
                self.do_GET()

            def log_message(self, *_: object) -> None: ...

        super().__init__(("::", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def server_bind(self) -> None:
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()

    @property
    def port(self) -> int:
        return self.server_address[1]


def server() -> Iterator[Server]:
    running = Server()
    yield running
    running.shutdown()
    running.server_close()


trap = pytest.fixture(server, name="trap")
allowed = pytest.fixture(server, name="allowed")


@pytest.fixture
def settings(allowed: Server) -> ServiceSettings:
    return ServiceSettings(allowed=(f"127.0.0.1:{allowed.port}",))


@pytest.fixture
def from_afar(served: Served) -> dict[str, str]:
    """The headers of a client of another machine."""
    key = make_token(served.store.database, "far away")
    return {"Authorization": f"Bearer {key}", "X-Forwarded-For": "203.0.113.7"}


def tune_of(served: Served, address: str, headers: dict[str, str]) -> requests.Response:
    body = {"title": "x", "name": "man", "model_type": "faceid", "image_urls": [address]}
    return ASKING.post(f"{served.url}/tunes", json={"tune": body}, headers=headers)


def prompt_of(served: Served, headers: dict[str, str], **fields: Any) -> requests.Response:
    body = {"prompt": {"text": "a lake", "num_images": 1, **fields}}
    return ASKING.post(f"{served.url}/tunes/{BASE}/prompts", json=body, headers=headers)


def test_no_trick_reaches_this_machine(
    served: Served, trap: Server, allowed: Server, from_afar: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(TRICKS) >= 60
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):  # where the environment says so, nobody goes through it
        monkeypatch.setenv(name, f"http://127.0.0.1:{trap.port}")
    tricks = [trick.format(port=trap.port, here=f"127.0.0.1:{allowed.port}") for trick in TRICKS]
    for trick in tricks:
        for answer in (
            tune_of(served, trick, from_afar),
            prompt_of(served, from_afar, input_image_url=trick),
        ):
            assert 400 <= answer.status_code < 500, (trick, answer.text)
        prompt_of(served, from_afar, callback=trick)
    assert trap.paths == [] and not served.errors()


def test_no_trick_is_called_back(served: Served, trap: Server, from_afar: dict[str, str]) -> None:
    served.worker.stop()
    served.call_nobody()
    accepted = 0
    for trick in TRICKS:
        accepted += prompt_of(served, from_afar, callback=trick.format(port=trap.port, here="")).status_code == 201
    while claim := served.jobs.claim("a test"):
        served.jobs.fail(claim, "It is not drawn.")
    deliveries = due(served.store.database, served.service.clock(), limit=1000)
    assert len(deliveries) == accepted > 50
    problems = [served.run(_problem(served.service, delivery)) for delivery in deliveries]
    assert all(problems) and trap.paths == []


def test_what_is_allowed_arrives(served: Served, allowed: Server, from_afar: dict[str, str]) -> None:
    here = f"http://127.0.0.1:{allowed.port}"
    for address in (f"{here}/x", f"{here}/to?{here}/x"):
        assert tune_of(served, address, from_afar).status_code == 201
        assert prompt_of(served, from_afar, input_image_url=address).status_code == 201


def test_a_client_of_this_machine_names_its_own_servers(served: Served, trap: Server) -> None:
    assert tune_of(served, f"http://localhost:{trap.port}/x", {}).status_code == 201 and trap.paths == ["/x"]
    assert tune_of(served, f"http://10.0.0.1:{trap.port}/x", {}).status_code == 422
