"""Bodies that no client should send: answered with 4xx, never with 5xx, whatever they are."""

from __future__ import annotations

import json
import os
import random
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from aiohttp import web
from faceid_tunes.service import params
from faceid_tunes.service.app import make_app

from .conftest import Served
from .test_page import BASE, PHOTO, tune

# What aiohttp warns of here holds halves of surrogate pairs, which cannot be sent to the process that collects them.
pytestmark = [
    pytest.mark.filterwarnings(f"ignore::aiohttp.multipart.BadContentDisposition{kind}") for kind in ("Header", "Param")
]
COUNT = int(os.environ.get("FACEID_TEST_BODIES", "300"))
TEXTS = [
    *(
        "",
        "a lake",
        "<faceid:1:1> man",
        "<faceid:1",
        "\ud800",
        "\x00",
        "a" * 70_000,
        "--brand_new_flag",
        "(((",
        "{{x}}",
    ),
    *(
        "NaN",
        "1e999",
        "-1",
        "9" * 5000,
        "²",
        "true",
        "null",
        "[]",
        "\u202e",
        "http://[::1",
        "data:,",
        "data:image/png;base64,!",
    ),
]
VALUES = [None, True, -1, 2**70, 1e308, float("nan"), [], {}, [[]], {"a": {"b": [None]}}, *TEXTS]
FIELDS = """text negative_prompt num_images seed steps cfg_scale scheduler w h aspect_ratio ar style super_resolution
    color_grading input_image input_image_url input_image_base64 mask_image callback denoising_strength controlnet
    backend_version title name images image_urls model_type base_tune_id branch token characteristics
    prompts_attributes unknown""".split()
FILE_NAMES = [None, "x.jpg", "\u202e"]
ENDS = ["", "[]", "[0]", "[x][y]", "["]
JSON = {"Content-Type": "application/json"}


def bodies(seed: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """(path, what requests sends)."""
    dice = random.Random(seed)
    while True:
        kind = dice.choice(["prompt", "tune"])
        given = {dice.choice(FIELDS): dice.choice(VALUES) for _ in range(dice.randint(0, 5))}
        make = dice.choice([as_json, as_fields, as_files, damaged, damaged])
        yield f"/tunes/{BASE}/prompts" if kind == "prompt" else "/tunes", make(dice, kind, given)


def as_json(dice: random.Random, kind: str, given: dict[str, Any]) -> dict[str, Any]:
    return {"data": json.dumps({kind: given} if dice.random() < 0.8 else given), "headers": JSON}


def as_fields(dice: random.Random, kind: str, given: dict[str, Any]) -> dict[str, Any]:
    return {"data": {raw(f"{kind}[{name}]{dice.choice(ENDS)}"): raw(value) for name, value in given.items()}}


def as_files(dice: random.Random, kind: str, given: dict[str, Any]) -> dict[str, Any]:
    files = [(f"{kind}[{name}]", (dice.choice(FILE_NAMES), raw(value))) for name, value in given.items()]
    return {"files": [*files, (f"{kind}[images][]", ("1.png", PHOTO.read_bytes()[: dice.randrange(2000)]))]}


def damaged(dice: random.Random, kind: str, given: dict[str, Any]) -> dict[str, Any]:
    """A good form, with some bytes changed, cut somewhere."""
    files = {f"{kind}[text]": (None, "a lake"), f"{kind}[images][]": ("1.png", PHOTO.read_bytes()[:500])}
    whole = bytearray(requests.Request("POST", "http://x", files=files).prepare().body)
    boundary = whole[2:34].decode("latin-1") if dice.random() < 0.5 else "x"
    for _ in range(dice.randint(1, 20)):
        whole[dice.randrange(len(whole))] = dice.randrange(256)
    content_type = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    return {"data": bytes(whole[: dice.randrange(len(whole))]), "headers": content_type}


def raw(value: Any) -> bytes:
    return str(value).encode("utf-8", "surrogatepass")[:300]


@pytest.mark.slow
def test_no_body_is_answered_with_a_fault_of_ours(served: Served) -> None:
    served.engine.gate.clear()
    tune(served)
    session = requests.Session()
    for (path, options), number in zip(bodies(1), range(COUNT), strict=False):
        answer = session.post(served.url + path, **options)
        assert answer.status_code < 500, (number, path, options, served.errors())
        if answer.status_code >= 400:
            assert isinstance(answer.json(), dict) and answer.json()


ODD = [
    b'{"prompt":' * 10_000,
    b"[" * 100_000,
    b'{"prompt":{"text":"\\ud800"}}',
    b'{"prompt":{"text":"\\u0000"}}',
    b"[]",
    b"1",
    b'{"prompt":{"text":"a","seed":1e400}}',
    b'{"prompt":{"text":"a","seed":NaN}}',
    b'{"prompt":[1]}',
    b"\xff\xfe",
    b'{"tune":"x"}',
    b'{"prompt":{"text":"a","num_images":' + b"9" * 5000 + b"}}",
]


def test_a_host_that_allows_less_is_obeyed(served: Served) -> None:
    parent = web.Application(client_max_size=1000)
    parent.add_subapp("/faceid", make_app(lambda: served.service, "/faceid"))
    with served.also(parent) as url:
        small = requests.post(f"{url}/faceid/tunes/{BASE}/prompts", data={"prompt[text]": "a lake"})
        large = requests.post(f"{url}/faceid/tunes/{BASE}/prompts", files={"prompt[text]": (None, "a lake " * 200)})
    assert small.status_code == 201
    assert large.status_code == 413 and large.json()["error"]


def test_a_body_that_is_slower_than_its_limit_is_not_waited_for(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(params, "_SECONDS", 0.1)
    head = b"POST /tunes HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{"
    with socket.create_connection((urlsplit(served.url).hostname, urlsplit(served.url).port), timeout=20) as peer:
        peer.sendall(head)
        assert peer.recv(4096).startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize("body", ODD, ids=range(len(ODD)))
def test_odd_json_is_refused_in_a_sentence(served: Served, body: bytes) -> None:
    answer = requests.post(f"{served.url}/tunes/{BASE}/prompts", data=body, headers=JSON)
    assert 400 <= answer.status_code < 500 and answer.json(), answer.text


@pytest.mark.parametrize("name", ["\n", "\r\nSet-Cookie: x", "\x00", "\u202e", "\x7f", "ß"])
def test_a_parameter_of_any_name_is_named_in_the_answers_header(served: Served, name: str) -> None:
    answer = requests.post(f"{served.url}/tunes/{BASE}/prompts", json={"prompt": {"text": "a lake", name: "1"}})
    assert answer.status_code == 201 and answer.headers["X-FaceID-Ignored"].isprintable()
    assert "Set-Cookie" not in answer.headers


def test_a_preflight_that_asks_for_odd_headers_is_answered(served: Served) -> None:
    peer = socket.create_connection((urlsplit(served.url).hostname, urlsplit(served.url).port), timeout=10)
    with peer:
        odd = b"OPTIONS /tunes HTTP/1.1\r\nHost: x\r\nAccess-Control-Request-Headers: a\xff\x01\r\n\r\n"
        peer.sendall(odd)
        assert peer.recv(4096).split(b" ")[1] in (b"204", b"400")
