"""``faceid weights``, run as a user runs it, on a manifest of two small real models served from this machine."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from faceid_tunes.cli import main
from faceid_tunes.faceid_core.weights import manifest as manifest_module
from support.faulty_server import stalls

FACEID = """
import pathlib, sys
from faceid_tunes.faceid_core.weights import manifest
manifest.MANIFEST = pathlib.Path(sys.argv.pop(1))
from faceid_tunes.cli import main
sys.exit(main(["weights", *sys.argv[1:]]))
"""

MANIFEST = """
[licences.free]
sentence = "Free for any use."
commercial = true
url = "https://example.org/free"

[licences.research-only]
sentence = "For research only."
commercial = false
url = "https://example.org/research-only"

[groups]
faces = "finding and knowing faces"

[[files]]
id = "detector"
name = "detector.onnx"
folder = "insightface"
url = "{server}/main/detector.onnx"
revision = "main"
size = {detector_size}
sha256 = "{detector_sha256}"
licence = "free"
needed_for = ["faces"]

[[files]]
id = "recogniser"
name = "recogniser.onnx"
folder = "insightface"
url = "{server}/main/recogniser.onnx"
revision = "main"
licence = "research-only"
needed_for = ["faces"]
"""


@pytest.fixture
def manifest(server, detector, recogniser, tmp_path) -> Path:
    """Of two models, the second without size and hash."""
    server.serve("/main/detector.onnx", detector)
    server.serve("/main/recogniser.onnx", recogniser)
    sha256 = hashlib.sha256(detector).hexdigest()
    text = MANIFEST.format(server=server.url, detector_size=len(detector), detector_sha256=sha256)
    (tmp_path / "manifest.toml").write_text(text, encoding="utf-8")
    return tmp_path / "manifest.toml"


@dataclasses.dataclass(frozen=True)
class Run:
    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def faceid(manifest, tmp_path, monkeypatch, capsys):
    """faceid(*arguments): ``faceid weights ...`` on that manifest, into tmp_path/models."""
    monkeypatch.setattr(manifest_module, "MANIFEST", manifest)

    def run(*arguments: str) -> Run:
        status = main(["weights", *arguments, "--models", str(tmp_path / "models")])
        return Run(status, *capsys.readouterr())

    return run


@pytest.fixture
def faceid_process(manifest, tmp_path):
    """The same as a process of its own: what to run, for subprocess."""

    def command(*arguments: str) -> list[str]:
        models = ("--models", str(tmp_path / "models"))
        return [sys.executable, "-c", FACEID, str(manifest), *arguments, *models]

    return command


@pytest.fixture
def files(tmp_path):
    """files(): model files that have their final name."""
    return lambda: sorted(path.name for path in (tmp_path / "models").rglob("*.onnx"))


def test_the_list_shows_each_file_its_place_licence_and_use(faceid, tmp_path):
    faceid("fetch", "detector")
    listed = faceid("list")
    place = tmp_path / "models" / "insightface"
    assert listed.stdout.splitlines() == [
        f"In {place}:",
        "  found   detector      0.2 MB  free",
        "  missing recogniser   unknown  research-only",
        "1 of 2 are there.",
        "",
        "Licences:",
        "  free: Free for any use. https://example.org/free",
        "  research-only: For research only. https://example.org/research-only",
        "",
        "Groups, for `faceid weights fetch --for GROUP`:",
        "  faces: finding and knowing faces (detector, recogniser)",
    ]
    assert f"    goes to {place / 'recogniser.onnx'}" in faceid("list", "recogniser").stdout.splitlines()


def test_the_published_list_fits_a_hundred_columns(tmp_path, capsys):
    assert main(["weights", "list", "--models", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) > 50 and max(map(len, lines)) <= max(100, len(str(tmp_path)) + 25)


def test_a_terminal_shows_states_in_colour_unless_it_is_asked_not_to(faceid_process):
    command = faceid_process("list")
    assert b"\x1b[33mmissing \x1b[0mdetector" in in_a_terminal(command, TERM="xterm")
    assert b"\x1b" not in in_a_terminal(command, TERM="xterm", NO_COLOR="1")
    assert b"\x1b" not in subprocess.run(command, capture_output=True, check=True).stdout


def in_a_terminal(command: list[str], **environment: str) -> bytes:
    """What it writes to a terminal."""
    ours, its = pty.openpty()
    with subprocess.Popen(command, stdout=its, stderr=its, env=os.environ | environment):
        os.close(its)
        written = b""
        with contextlib.suppress(OSError):  # Linux says so when the other end is closed
            while read := os.read(ours, 4096):
                written += read
    os.close(ours)
    return written


def test_a_group_is_fetched_with_its_licence_accepted_by_name(faceid, files, recogniser):
    fetched = faceid("fetch", "--for", "faces", "--accept-license", "research-only")
    assert fetched.returncode == 0, fetched.stderr
    assert fetched.stdout.splitlines()[0] == "licence free: Free for any use. https://example.org/free"
    assert "(sha256 verified)" in fetched.stdout
    sha256 = hashlib.sha256(recogniser).hexdigest()
    assert f"(unverified, no published hash is known; its sha256 is {sha256})" in fetched.stdout
    assert files() == ["detector.onnx", "recogniser.onnx"]
    assert " exists" in faceid("fetch", "recogniser").stdout, "and not asked for again"


def test_a_script_without_the_flag_is_told_the_flag(faceid, files, server):
    refused = faceid("fetch", "recogniser")
    assert refused.returncode == 1 and "--accept-license research-only" in refused.stderr
    assert not files() and not server.requests


def test_an_unknown_licence_is_refused_before_anything(faceid, server):
    wrong = faceid("fetch", "recogniser", "--accept-license", "research")
    assert wrong.returncode == 1 and 'no licence "research"' in wrong.stderr and not server.requests


@pytest.mark.slow
@pytest.mark.parametrize(("answer", "status"), [("y\n", 0), ("n\n", 1), ("\n", 1)], ids=["yes", "no", "return"])
def test_on_a_terminal_the_licence_is_a_question(faceid_process, files, answer, status):
    terminal, keyboard = pty.openpty()
    with os.fdopen(keyboard), os.fdopen(terminal, "w") as typist:
        typist.write(answer)
        typist.flush()
        command = faceid_process("fetch", "recogniser")
        answered = subprocess.run(command, stdin=keyboard, capture_output=True, text=True)
    assert "research-only: For research only. https://example.org/research-only\nAccept? [y/N] " in answered.stdout
    assert answered.returncode == status
    assert files() == (["recogniser.onnx"] if status == 0 else [])


def test_verify_hashes_what_is_there(faceid, tmp_path):
    assert faceid("verify") == Run(0, "", "")
    faceid("fetch", "detector")
    assert faceid("verify").stdout.startswith("detector: found at ")
    missing = faceid("verify", "recogniser")
    assert missing.returncode == 1 and "recogniser: missing, goes to" in missing.stdout


def test_verify_warns_of_a_file_that_differs_and_exits_with_1(faceid, tmp_path, detector):
    faceid("fetch", "detector")
    (tmp_path / "models" / "insightface" / "detector.onnx").write_bytes(detector[:-1] + b"?")
    differs = faceid("verify")
    assert differs.returncode == 1
    assert differs.stdout.startswith("Warning: detector: differs at") and "sha256" in differs.stdout
    assert "detector" in differs.stderr
    (tmp_path / "models" / "insightface" / "detector.onnx").write_bytes(detector[:-1])
    shorter = faceid("fetch", "detector")
    assert shorter.returncode == 0 and "exists and is not changed. Warning: it has" in shorter.stdout


@pytest.mark.slow
def test_ctrl_c_ends_with_130_and_nothing_under_the_final_name(faceid, faceid_process, server, detector, files):
    server.serve("/main/detector.onnx", detector, stalls(100_000))
    process = subprocess.Popen(faceid_process("fetch", "detector"), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert server.stalled.wait(30)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate()
    assert process.returncode == 130 and b"Traceback" not in errors
    assert files() == []
    assert faceid("fetch", "detector").returncode == 0 and files() == ["detector.onnx"]


def test_fetch_wants_to_know_what(faceid):
    nothing = faceid("fetch")
    assert nothing.returncode == 1 and "Name what to fetch" in nothing.stderr
