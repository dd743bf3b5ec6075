"""``faceid serve`` and ``faceid worker`` as processes."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import requests

pytestmark = pytest.mark.slow

MAIN = "import sys; from faceid_tunes.cli import main; sys.exit(main())"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def run(*arguments: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", MAIN, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def test_the_server_promises_and_ends_when_told(tmp_path: Path) -> None:
    port = free_port()
    server = run("serve", "--no-worker", "--home", str(tmp_path), "--port", str(port))
    assert server.stdout.readline().startswith(f"http://127.0.0.1:{port}")
    while True:
        try:
            answer = requests.post(f"http://127.0.0.1:{port}/tunes/690204/prompts", json={"prompt": {"text": "a lake"}})
            break
        except requests.ConnectionError:
            assert server.poll() is None, server.stdout.read()
    assert answer.status_code == 201
    server.send_signal(signal.SIGTERM)
    assert server.wait(60) == 0


def test_an_address_for_everybody_needs_a_token(tmp_path: Path) -> None:
    refused = run("serve", "--no-worker", "--home", str(tmp_path), "--host", "0.0.0.0", "--port", str(free_port()))
    assert refused.wait(60) == 1 and "faceid serve token" in refused.stdout.read()


def test_tokens_are_made_listed_and_revoked(tmp_path: Path) -> None:
    def lines(*arguments: str) -> str:
        return run("serve", *arguments, "--home", str(tmp_path)).communicate(timeout=60)[0]

    assert re.match(r"sd_[\w-]{43}\n", lines("token", "laptop"))
    assert "laptop" in lines("tokens") and "in use" in lines("tokens")
    assert lines("revoke", "laptop").strip() == "laptop: revoked" and "revoked" in lines("tokens")


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        refused = run("serve", "--no-worker", "--home", str(tmp_path), "--port", str(port))
        assert refused.wait(60) == 1 and f"127.0.0.1:{port} cannot be listened at" in refused.stdout.read()
