"""Downloads that end in the middle: killed, out of disk, two at once. Never a half file under the final name."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support.faulty_server import stalls

FETCH_ONE = Path(__file__).with_name("fetch_one.py")


@pytest.fixture
def start(tmp_path, recogniser):
    """start(url, ...): a process that downloads the recogniser into tmp_path/models."""
    processes = []

    def begin(url: str, *limit: str) -> subprocess.Popen[str]:
        sha256 = hashlib.sha256(recogniser).hexdigest()
        command = [sys.executable, FETCH_ONE, url, str(len(recogniser)), sha256, tmp_path / "models", *limit]
        processes.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        return processes[-1]

    yield begin
    for process in processes:
        process.kill()
        process.communicate()


@pytest.fixture
def files(tmp_path):
    """files(): what lies in the model's folder, hidden files left out: name -> size."""
    folder = tmp_path / "models" / "ipadapter"
    return lambda: {path.name: path.stat().st_size for path in folder.iterdir() if path.name[0] != "."}


@pytest.mark.slow
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM], ids=["kill -9", "terminated"])
def test_a_killed_download_goes_on_next_time(server, recogniser, start, files, end):
    url = server.serve("/model.onnx", recogniser, stalls(5_000_000))
    killed = start(url)
    assert killed.stdout.readline() == "began\n"
    killed.send_signal(end)
    assert killed.wait() == -end
    assert list(files()) == ["model.onnx.part"]
    part = files()["model.onnx.part"]
    again = start(url)
    told, errors = again.communicate()
    assert again.returncode == 0, errors
    assert told.splitlines() == [f"model.onnx.part: continuing after {part:,} bytes", "began", "downloaded"]
    assert server.ranges()[-1] == f"bytes={part}-" and files() == {"model.onnx": len(recogniser)}


@pytest.mark.slow
def test_two_processes_download_a_file_once(server, recogniser, start, files):
    url = server.serve("/model.onnx", recogniser, stalls(0))
    first = start(url)
    assert server.stalled.wait(30)
    second = start(url)
    assert "another process is downloading it" in second.stdout.readline()
    server.over.set()  # the first answer ends without a byte; the first process asks again
    assert first.communicate()[0].splitlines()[-1] == "downloaded"
    assert second.communicate()[0].splitlines()[-1] == "was there"
    assert len(server.requests) == 2 and files() == {"model.onnx": len(recogniser)}


@pytest.mark.slow
def test_a_full_disk_keeps_the_part_and_says_so(server, recogniser, start, files):
    """The system refuses to let the file grow, as it does when a disk or a quota is full."""
    url = server.serve("/model.onnx", recogniser)
    full = start(url, "3000000")
    _, errors = full.communicate()
    assert full.returncode == 1
    assert "the disk is full" in errors and "the 3,000,000 bytes in model.onnx.part are kept" in errors
    assert files() == {"model.onnx.part": 3_000_000}
    assert start(url).communicate()[0].splitlines()[-1] == "downloaded"
    assert server.ranges()[-1] == "bytes=3000000-"


@pytest.mark.slow
def test_nothing_hidden_stays_behind_either(server, recogniser, start, tmp_path):
    start(server.serve("/model.onnx", recogniser)).communicate()
    assert os.listdir(tmp_path / "models" / "ipadapter") == ["model.onnx"]
