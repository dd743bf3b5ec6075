"""kill -9 before every step of a tune's creation: the whole tune is there, or nothing of it."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from faceid_tunes.faceid_core.tunes.analysis import Analysis

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and kill -9, which Windows has not")


@pytest.mark.slow
def test_a_kill_while_a_tune_is_created_leaves_all_of_it_or_nothing(
    tmp_path: Path, database_url: str | None, analysis: Analysis
) -> None:
    steps = kill_at_every_step("create", tmp_path, database_url, analysis)

    assert_whole_or_nothing(steps)
    killed_at = [step["killed_at"] for step in steps]
    assert {"fsync", "replace", "commit", "after the commit"} <= set(killed_at)
    assert any(kind.startswith("INSERT INTO faceid_tune_faces") for kind in killed_at)


@pytest.mark.slow
def test_a_kill_while_the_store_is_made_leaves_one_that_opens(tmp_path: Path, analysis: Analysis) -> None:
    steps = kill_at_every_step("open", tmp_path, None, analysis)

    assert_whole_or_nothing(steps)
    assert any("CREATE TABLE faceid_tunes" in step["killed_at"] for step in steps)


def kill_at_every_step(what: str, folder: Path, database_url: str | None, analysis: Analysis) -> list[dict]:
    (folder / "analysis").write_bytes(pickle.dumps(analysis))
    script = Path(__file__).with_name("kill_at_step.py")
    command = [sys.executable, script, what, folder, database_url or "", folder / "analysis"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def assert_whole_or_nothing(steps: list[dict]) -> None:
    assert steps[-1]["there"] == ["alice"]
    for step in steps:
        assert step["there"] in ([], ["alice"])
        assert set(step["told"]) <= set(step["there"]), step["killed_at"]
        assert step["photos"] in ([], [2])
        assert step["whole"]
        assert step["orphans"] == [], step["killed_at"]
