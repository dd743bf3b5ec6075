"""Files named by their content, in a folder and in a bucket-like file system."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import fsspec
import pytest
from faceid_tunes.faceid_core.tunes.blobs import Blobs
from faceid_tunes.faceid_core.tunes.errors import TuneError

ALL = timedelta(0)


@pytest.fixture(params=["folder", "memory"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Blobs]:
    if request.param == "folder":
        yield Blobs(str(tmp_path / "blobs"))
        return
    root = secrets.token_hex(8)
    memory = fsspec.filesystem("memory")
    memory.mkdir(root)
    yield Blobs(f"memory://{root}")
    memory.rm(root, recursive=True)


def test_bytes_come_back_under_their_sha256(blobs: Blobs) -> None:
    name = blobs.put(b"a photo")
    assert name == hashlib.sha256(b"a photo").hexdigest()
    assert (blobs.get(name), blobs.size(name)) == (b"a photo", 7)


def test_equal_bytes_are_kept_once(blobs: Blobs) -> None:
    blobs.put(b"a photo")
    blobs.put(b"a photo")
    assert len(list(blobs.older_than(ALL))) == 1


def test_removing_returns_the_bytes_freed_and_may_be_repeated(blobs: Blobs) -> None:
    name = blobs.put(b"a photo")
    assert [blobs.remove(name), blobs.remove(name)] == [7, 0]
    with pytest.raises(TuneError, match="cannot be read"):
        blobs.get(name)


def test_only_files_older_than_the_limit_are_listed(blobs: Blobs) -> None:
    name = blobs.put(b"a photo")
    assert list(blobs.older_than(timedelta(hours=1))) == []
    assert list(blobs.older_than(ALL)) == [name]


def test_a_shortened_file_is_written_again(tmp_path: Path) -> None:
    blobs = Blobs(str(tmp_path))
    name = blobs.put(b"a photo")
    (tmp_path / name[:2] / name).write_bytes(b"a ph")
    blobs.put(b"a photo")
    assert blobs.get(name) == b"a photo"


def test_a_changed_file_is_noticed_and_written_again(tmp_path: Path) -> None:
    blobs = Blobs(str(tmp_path))
    name = blobs.put(b"a photo")
    (tmp_path / name[:2] / name).write_bytes(b"A photo")
    with pytest.raises(TuneError, match="damaged"):
        blobs.get(name)
    blobs.put(b"a photo")
    assert blobs.get(name) == b"a photo"


@pytest.mark.parametrize("name", ["", "../tunes.sqlite3", "a" * 63, "A" * 64, "../" + "a" * 61])
def test_a_name_that_is_no_sha256_reaches_no_file(blobs: Blobs, name: str) -> None:
    for use in (blobs.get, blobs.size, blobs.remove):
        with pytest.raises(TuneError, match="not the name of a tune's file"):
            use(name)


def test_a_file_appears_only_when_it_is_whole_and_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Order of the system calls: the content is synced, then named, then the name is synced."""
    blobs, calls = Blobs(str(tmp_path)), []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda handle: (calls.append(_kind(handle)), fsync(handle)))
    monkeypatch.setattr(os, "replace", lambda *paths: (calls.append("rename"), replace(*paths)))
    blobs.put(b"a photo")
    assert calls[:3] == ["sync file of 7", "rename", "sync folder"]
    assert set(calls[3:]) <= {"sync folder"}


def test_nothing_is_left_when_the_disk_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blobs = Blobs(str(tmp_path))

    def full(*_paths: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(TuneError, match="No space left on device"):
        blobs.put(b"a photo")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_half_written_files_of_a_killed_process_are_removed_when_old(tmp_path: Path) -> None:
    blobs = Blobs(str(tmp_path))
    kept = blobs.put(b"a photo")
    (tmp_path / "incoming" / "tmpabc").write_bytes(b"half a ph")
    assert blobs.remove_unfinished(timedelta(hours=1)) == 0
    assert blobs.remove_unfinished(ALL) == 9
    assert list(blobs.older_than(ALL)) == [kept]


def test_an_unknown_kind_of_bucket_is_refused_by_name() -> None:
    with pytest.raises(TuneError, match="nosuch"):
        Blobs("nosuch://bucket/tunes")


def _kind(handle: int) -> str:
    import stat

    status = os.fstat(handle)
    return "sync folder" if stat.S_ISDIR(status.st_mode) else f"sync file of {status.st_size}"
