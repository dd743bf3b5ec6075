"""A store in a folder that cannot be written to: a read-only disk, another user's folder, a snapshot."""

from __future__ import annotations

import ctypes
import dataclasses
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from faceid_tunes.faceid_core.tunes.faces import faces_of
from faceid_tunes.faceid_core.tunes.schema import VERSION_TABLE, tunes
from faceid_tunes.faceid_core.tunes.store import open_store

FACEID = [sys.executable, "-c", "import sys; from faceid_tunes.cli import main; sys.exit(main())"]
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the rights of Linux folders")
_DROP, _OVERRIDE = 24, 1  # PR_CAPBSET_DROP, CAP_DAC_OVERRIDE


@pytest.fixture
def locked(tmp_path, analysis) -> Iterator[Path]:
    """The home of one tune, where nobody may write."""
    home = tmp_path / "home"
    with open_store(home) as store:
        store.create(analysis.tune("alice", name="woman"), analysis.files)
    _set_rights(home, folders=0o555, files=0o444)
    yield home
    _set_rights(home, folders=0o755, files=0o644)


def _set_rights(home: Path, *, folders: int, files: int) -> None:
    for path in [home, *home.rglob("*")]:
        path.chmod(folders if path.is_dir() else files)


def _as_anybody() -> None:
    """Root, too, keeps to the rights of folders from the next program on."""
    if os.geteuid() == 0:
        ctypes.CDLL(None).prctl(_DROP, _OVERRIDE, 0, 0, 0)


@pytest.fixture
def faceid(locked) -> Callable[..., subprocess.CompletedProcess[str]]:
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1", "FACEID_TUNES_HOME": str(locked)}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*FACEID, *arguments], capture_output=True, text=True, env=environment, preexec_fn=_as_anybody
        )

    return run


@pytest.mark.slow
def test_tunes_of_a_read_only_folder_are_listed_shown_and_checked_and_nothing_is_written(faceid, locked):
    before = sorted(locked.rglob("*"))
    for command, expected in ((("list",), "alice"), (("show", "alice"), "photo 2"), (("check",), "nothing is damaged")):
        done = faceid("tunes", *command)
        said = f"These are in {locked / 'tunes.sqlite3'}.\n" if command == ("list",) else ""
        assert (done.returncode, done.stderr) == (0, said), command
        assert expected in done.stdout
    assert "text: a man" in faceid("prompt", "check", "<faceid:alice:1> a man").stdout
    assert sorted(locked.rglob("*")) == before


@pytest.mark.slow
def test_a_change_of_a_read_only_folder_is_refused_in_a_sentence(faceid, locked):
    for command in (("rename", "alice", "bob"), ("delete", "alice"), ("photo", "alice", "1", "--use"), ("purge",)):
        done = faceid("tunes", *command)
        assert done.returncode == 1 and done.stdout == "", command
        assert f"faceid: The tune folder {locked} cannot be written to" in done.stderr, command
    assert "alice" in faceid("tunes", "list").stdout


@pytest.mark.slow
def test_a_read_only_folder_without_tunes_is_refused_in_a_sentence(faceid, locked):
    (locked / "tunes.sqlite3").unlink()
    done = faceid("tunes", "list")
    assert done.returncode == 1 and done.stderr.startswith("faceid: ") and str(locked) in done.stderr


@pytest.mark.slow
def test_a_read_only_folder_of_an_older_schema_says_what_to_do(faceid, locked):
    with sqlite3.connect(locked / "tunes.sqlite3") as database:
        database.execute(f"UPDATE {VERSION_TABLE} SET version_num = '0001'")
    database.close()
    for rest in locked.glob("tunes.sqlite3-*"):
        rest.unlink()
    done = faceid("tunes", "list")
    assert done.returncode == 1 and "has schema 0001" in done.stderr and "open it once" in done.stderr


@pytest.mark.slow
def test_changes_that_are_still_in_the_log_are_read(faceid, locked):
    """As when the folder became read-only while another program had it open."""
    locked.chmod(0o755)
    (locked / "tunes.sqlite3").chmod(0o644)
    writer = sqlite3.connect(locked / "tunes.sqlite3", isolation_level=None)
    writer.execute("PRAGMA wal_autocheckpoint = 0")
    writer.execute(f"UPDATE {tunes.name} SET title = 'carol'")
    for path in locked.glob("tunes.sqlite3*"):
        path.chmod(0o444)
    locked.chmod(0o555)
    listed = faceid("tunes", "list")
    writer.close()
    assert listed.returncode == 0, listed.stderr
    assert "carol" in listed.stdout


def test_faces_of_another_pack_are_used_without_being_kept(locked, pack, monkeypatch):
    """A drawing needs the faces of its own pack, which the store may not have yet."""
    other = dataclasses.replace(pack, name="another")
    real = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK and real(path, mode))
    with open_store(locked) as store:
        tune = store.find("alice")
        assert store.database.is_read_only and len(faces_of(tune, store, other).faces) == 1
        assert store.found_faces(tune.id, "another") is None
