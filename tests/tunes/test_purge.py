"""A purge removes what no tune needs, and never the photos of a database that it does not look at."""

from __future__ import annotations

import os
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from faceid_tunes.faceid_core.tunes.errors import TuneError
from faceid_tunes.faceid_core.tunes.purge import purge_own_files
from faceid_tunes.faceid_core.tunes.store import open_store


def aged(home: Path) -> list[Path]:
    """The files of a store, two hours old."""
    files = [path for path in (home / "blobs").rglob("*") if path.is_file()]
    before = (datetime.now(timezone.utc) - timedelta(hours=2)).timestamp()
    for path in files:
        os.utime(path, (before, before))
    return files


def test_a_purge_that_looks_at_another_database_deletes_nothing(tmp_path: Path, analysis) -> None:
    with open_store(tmp_path, database_url=f"sqlite:///{tmp_path}/elsewhere.sqlite3") as store:
        tune = store.create(analysis.tune("alice", "woman"), analysis.files)
    files = aged(tmp_path)
    with open_store(tmp_path) as forgetful, pytest.raises(TuneError, match=r"3 of 3 files are not known.*Nothing was"):
        purge_own_files(forgetful)
    assert all(path.exists() for path in files)
    with open_store(tmp_path, database_url=f"sqlite:///{tmp_path}/elsewhere.sqlite3") as store:
        assert purge_own_files(store).blobs == 0
        assert store.photo_bytes(tune, tune.photos[0])


def test_two_homes_on_one_bucket_do_not_purge_each_other(tmp_path: Path, analysis, another_analysis) -> None:
    bucket = f"file://{tmp_path}/blobs"
    with open_store(tmp_path / "one", blobs_url=bucket) as one, open_store(tmp_path / "two", blobs_url=bucket) as two:
        one.create(analysis.tune("alice", "woman"), analysis.files)
        two.create(another_analysis.tune("bob", "man"), another_analysis.files)
        files = aged(tmp_path)
        with pytest.raises(TuneError, match="another one's"):
            purge_own_files(two)
    assert all(path.exists() for path in files)


def test_what_a_killed_creation_left_goes_and_by_force_everything_unknown(tmp_path: Path, analysis) -> None:
    with open_store(tmp_path) as store:
        store.create(analysis.tune("alice", "woman"), analysis.files)
        store.blobs.put(b"of a tune whose creation was killed")
        aged(tmp_path)
        assert purge_own_files(store).blobs == 1
        store.delete(store.get_by_title("alice").id)
        store.blobs.put(b"alone")
        aged(tmp_path)
        with pytest.raises(TuneError):
            purge_own_files(store)
        assert purge_own_files(store, force=True).blobs == 1
