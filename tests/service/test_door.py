"""Who may come in."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

import pytest
import requests
from faceid_tunes.faceid_core.jobs.rules import Rules
from faceid_tunes.faceid_core.jobs.tokens import make_token, revoke_token
from faceid_tunes.service.settings import ServiceSettings

from .conftest import Served
from .test_page import BASE, ended, tune


def send(served: Served, text: str) -> str:
    """A raw request; the answer as far as it comes at once."""
    parts = urlsplit(served.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=10) as peer:
        peer.sendall(text.replace("\n", "\r\n").encode())
        return peer.recv(65536).decode()


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Host": "evil.example"},
        {"Host": "127.0.0.1.evil.example:80"},
        {"X-Forwarded-For": "8.8.8.8"},
        {"Forwarded": "for=8.8.8.8"},
        {"Via": "1.1 proxy"},
    ],
)
def test_without_tokens_only_this_machine_itself_is_answered(served: Served, headers: dict[str, str]) -> None:
    assert requests.get(f"{served.url}/tunes").status_code == 200
    answer = requests.get(f"{served.url}/tunes", headers=headers)
    assert answer.status_code == 401 and answer.json()["error"]


@pytest.mark.slow
def test_each_token_has_its_own_tunes_and_prompts(served: Served) -> None:
    database = served.store.database
    anna, ben = ({"Authorization": f"Bearer {make_token(database, name)}"} for name in ("anna", "ben"))
    assert requests.get(f"{served.url}/tunes").status_code == 401, "with tokens, this machine needs one, too"
    made = tune(served, headers=anna)
    text = f"<faceid:{made['id']}:1> man"
    prompt = requests.post(f"{served.url}/tunes/{BASE}/prompts", json={"prompt": {"text": text}}, headers=anna).json()
    assert requests.get(f"{served.url}/tunes", headers=ben).json() == []
    for path in (f"tunes/{made['id']}", f"prompts/{prompt['id']}", f"tunes/{BASE}/prompts/{prompt['id']}"):
        assert requests.get(f"{served.url}/{path}", headers=ben).status_code == 404
        assert requests.delete(f"{served.url}/{path}", headers=ben).status_code == 404
        assert requests.get(f"{served.url}/{path}", headers=anna).status_code == 200
    answer = requests.post(f"{served.url}/tunes/{BASE}/prompts", json={"prompt": {"text": text}}, headers=ben)
    assert answer.status_code == 422, "Ben cannot draw Anna's person"
    assert len(ended(served, prompt["id"], headers=anna)["images"]) == 8


def test_a_revoked_token_opens_nothing(served: Served) -> None:
    headers = {"Authorization": f"Bearer {make_token(served.store.database, 'laptop')}"}
    make_token(served.store.database, "desk")
    assert requests.get(f"{served.url}/users", headers=headers).status_code == 200
    revoke_token(served.store.database, "laptop")
    assert requests.get(f"{served.url}/users", headers=headers).status_code == 401


def test_a_body_is_asked_for_only_of_who_may_send_it(served: Served) -> None:
    head = "POST /tunes HTTP/1.1\nHost: {}\nContent-Type: application/json\nContent-Length: 2\nExpect: 100-continue\n\n"
    assert send(served, head.format("127.0.0.1")).startswith("HTTP/1.1 100 ")
    assert send(served, head.format("evil.example")).startswith("HTTP/1.1 401 ")


def test_the_token_is_kept_as_its_digest_only(served: Served, tmp_path) -> None:
    secret = make_token(served.store.database, "laptop")
    assert not any(secret.encode() in file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())


class TestQuota:
    @pytest.fixture
    def settings(self) -> ServiceSettings:
        return ServiceSettings(rules=Rules(prompts_per_day=2))

    def test_a_token_that_has_posted_enough_is_told_to_wait(self, served: Served) -> None:
        anna, ben = ({"Authorization": f"Bearer {make_token(served.store.database, name)}"} for name in ("a", "b"))
        post = f"{served.url}/tunes/{BASE}/prompts"
        assert [requests.post(post, json={"text": "x"}, headers=anna).status_code for _ in range(2)] == [201, 201]
        refused = requests.post(post, json={"text": "x"}, headers=anna)
        assert (refused.status_code, refused.content) == (429, b"") and int(refused.headers["Retry-After"]) > 0
        assert requests.post(post, json={"text": "x"}, headers=ben).status_code == 201
