"""Callbacks that arrive: their bodies, their addresses, and what they may not reach."""

from __future__ import annotations

import base64
import json
import socket
import threading
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests
from faceid_tunes.faceid_core.errors import FaceIDError
from faceid_tunes.faceid_core.jobs.outbox import add_delivery
from faceid_tunes.faceid_core.jobs.tokens import make_token
from faceid_tunes.service.callbacks import signature
from faceid_tunes.service.settings import ServiceSettings

from .conftest import Served
from .test_page import BASE, PHOTO, ended, tune


class Receiver:
    """A client's own server."""

    def __init__(self) -> None:
        self.got: list[tuple[str, dict]] = []
        self.headers: list[Mapping[str, str]] = []
        self.bodies: list[bytes] = []
        self.statuses: list[int] = []
        self.arrived = threading.Semaphore(0)
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers["Content-Length"]))
                body = json.loads(raw)
                receiver.got.append((self.path, body))
                receiver.headers.append(self.headers)
                receiver.bodies.append(raw)
                self.send_response(receiver.statuses.pop(0) if receiver.statuses else 200)
                self.send_header("Content-Length", "0")
                self.end_headers()
                receiver.arrived.release()

            def log_message(self, *_: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://localhost:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    running = Receiver()
    yield running
    running.server.shutdown()
    running.server.server_close()


def test_a_finished_prompt_is_told_with_its_query_intact(served: Served, receiver: Receiver) -> None:
    callback = f"{receiver.url}/hook?user=17&secret=s%2B3&x=a%20b"
    fields = {"text": "a lake", "num_images": 1, "callback": callback}
    prompt = requests.post(f"{served.url}/tunes/{BASE}/prompts", json={"prompt": fields}).json()
    assert receiver.arrived.acquire(timeout=30)
    ((path, body),) = receiver.got
    assert path == "/hook?user=17&secret=s%2B3&x=a%20b"
    assert body["prompt"]["id"] == prompt["id"] and body["prompt"]["trained_at"]
    assert requests.get(body["prompt"]["images"][0]).ok
    shown = ended(served, prompt["id"])
    assert all(body["prompt"][key] == shown[key] for key in body["prompt"])
    assert body == {"prompt": shown}, "with every key of a GET"


def test_a_failed_prompt_is_told_with_an_empty_list(served: Served, receiver: Receiver) -> None:
    made = tune(served)
    served.engine.gate.clear()
    fields = {"text": f"<faceid:{made['id']}:1> man", "num_images": 1, "callback": receiver.url}
    requests.post(f"{served.url}/tunes/{BASE}/prompts", json={"prompt": fields})
    waiting = {"text": f"<faceid:{made['id']}:1> man again", "num_images": 1, "callback": receiver.url}
    last = requests.post(f"{served.url}/tunes/{BASE}/prompts", json={"prompt": waiting}).json()
    requests.delete(f"{served.url}/tunes/{made['id']}")
    served.engine.gate.set()
    assert receiver.arrived.acquire(timeout=30) and receiver.arrived.acquire(timeout=30)
    bodies = {body["prompt"]["id"]: body["prompt"] for _, body in receiver.got}
    assert bodies[last["id"]]["images"] == []
    assert "There is no tune" in ended(served, last["id"])["user_error"]


def test_a_trained_tune_is_told(served: Served, receiver: Receiver) -> None:
    form = {"tune[title]": "x", "tune[name]": "man", "tune[callback]": f"{receiver.url}/t?id=3"}
    made = requests.post(f"{served.url}/tunes", data=form, files={"tune[images][]": PHOTO.read_bytes()}).json()
    assert receiver.arrived.acquire(timeout=30)
    assert receiver.got[0][1]["tune"]["id"] == made["id"] and receiver.got[0][1]["tune"]["trained_at"]
    assert receiver.got[0][1] == {"tune": requests.get(made["url"]).json()}, "with every key of a GET"


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """A receiver that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listening:
        yield listening


def test_a_receiver_that_never_answers_holds_up_no_other(
    served: Served, receiver: Receiver, silent: socket.socket
) -> None:
    now = datetime.now(timezone.utc)
    for number in range(100):
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/{number}"
        add_delivery(served.store.database, url, {"tune": {"id": number}}, is_local=True, now=now)
    silent.accept()[0].close()  # the sender is busy with them
    add_delivery(served.store.database, receiver.url, {"tune": {"id": 7}}, is_local=True, now=now)
    assert receiver.arrived.acquire(timeout=8), "sooner than one of the others is given up"
    assert receiver.got[0][1]["tune"]["id"] == 7


@pytest.mark.parametrize(("forwarded", "arrives"), [({}, True), ({"X-Forwarded-For": "203.0.113.7"}, False)])
def test_who_has_a_token_calls_this_machine_only_from_this_machine(
    served: Served, receiver: Receiver, forwarded: dict[str, str], arrives: bool
) -> None:
    key = {"Authorization": f"Bearer {make_token(served.store.database, 'starter')}", **forwarded}
    fields = {"text": "a lake", "num_images": 1, "callback": receiver.url}
    prompt = requests.post(f"{served.url}/tunes/{BASE}/prompts", json={"prompt": fields}, headers=key).json()
    ended(served, prompt["id"], headers=key)
    form = {"tune[title]": "x", "tune[name]": "man", "tune[callback]": receiver.url}
    requests.post(f"{served.url}/tunes", data=form, files={"tune[images][]": PHOTO.read_bytes()}, headers=key)
    assert receiver.arrived.acquire(timeout=30 if arrives else 2) is arrives
    assert receiver.arrived.acquire(timeout=30 if arrives else 0.1) is arrives


class TestClosedPort:
    @pytest.fixture
    def settings(self, receiver: Receiver) -> ServiceSettings:
        return ServiceSettings(closed_ports=(receiver.server.server_port,))

    @pytest.mark.slow
    def test_a_callback_never_reaches_a_closed_port_of_this_machine(self, served: Served, receiver: Receiver) -> None:
        fields = {"text": "a lake", "num_images": 1, "callback": receiver.url}
        prompt = requests.post(f"{served.url}/tunes/{BASE}/prompts", json={"prompt": fields}).json()
        ended(served, prompt["id"])
        assert not receiver.arrived.acquire(timeout=1.5)


class TestSigned:
    SECRET = "whsec_" + base64.b64encode(b"a secret of 24 bytes and").decode()

    @pytest.fixture
    def settings(self) -> ServiceSettings:
        return ServiceSettings(callback_secret=self.SECRET)

    def test_a_receiver_can_tell_who_sent_a_callback(self, served: Served, receiver: Receiver) -> None:
        from standardwebhooks.webhooks import Webhook, WebhookVerificationError

        fields = {"text": "a lake", "num_images": 1, "callback": receiver.url}
        requests.post(f"{served.url}/tunes/{BASE}/prompts", json={"prompt": fields})
        assert receiver.arrived.acquire(timeout=30)
        headers = {name.lower(): value for name, value in receiver.headers[0].items()}
        assert Webhook(self.SECRET).verify(receiver.bodies[0], headers)["prompt"]
        assert headers["webhook-id"] == headers["x-faceid-delivery"]
        with pytest.raises(WebhookVerificationError):
            Webhook(self.SECRET).verify(receiver.bodies[0].replace(b"a lake", b"a sea!"), headers)


def test_a_secret_that_signs_nothing_is_refused() -> None:
    with pytest.raises(FaceIDError, match="FACEID_CALLBACK_SECRET"):
        signature("whsec_!", "id", datetime.now(timezone.utc), b"{}")
