"""A purge removes what no tune needs, and never the photos of a database that it does not look at."""

from __future__ import annotations

import os
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from faceid_tunes.faceid_core.tunes.errors import TuneError, TuneStorageError
from faceid_tunes.faceid_core.tunes.purge import purge_own_files
from faceid_tunes.faceid_core.tunes.schema import database_id
from faceid_tunes.faceid_core.tunes.store import open_store
from support.databases import take_back


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
    with pytest.raises(TuneError, match=r"tunes\.sqlite3 is missing.*elsewhere\.sqlite3.*faceid tunes restore"):
        open_store(tmp_path)
    with (
        open_store(tmp_path, accept_files=True) as forgetful,
        pytest.raises(TuneError, match=r"3 of 3 files are not known.*elsewhere\.sqlite3.*Nothing was"),
    ):
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


def test_the_first_of_two_homes_deletes_nothing_of_the_second(
    tmp_path: Path, database_url, analysis, another_analysis
) -> None:
    """Most files are its own; a photo that both have is gone for neither when one deletes it."""
    bucket = f"file://{tmp_path}/blobs"
    with (
        open_store(tmp_path / "one", blobs_url=bucket, database_url=database_url) as one,
        open_store(tmp_path / "two", blobs_url=bucket) as two,
    ):
        one.create(analysis.tune("alice", "woman"), analysis.files)
        alice = one.create(another_analysis.tune("ben", "man"), another_analysis.files)
        kept = two.create(another_analysis.tune("bob", "man"), another_analysis.files)
        of_two = two.blobs.put(b"of a tune that two is creating")
        files = aged(tmp_path)
        with pytest.raises(
            TuneError, match=r"1 of 6 files are not known .*two/tunes\.sqlite3 \(database .*Nothing was"
        ):
            purge_own_files(one)
        assert one.delete(alice.id).blobs == 0
        one.purge(timedelta(0))
        assert two.photo_bytes(kept, kept.photos[0]) and two.blobs.get(of_two)
        assert all(path.exists() for path in files)
        assert [tune.title for tune in two.list()] == ["bob"]


@pytest.mark.slow
def test_one_home_goes_on_alone_when_the_other_is_given_up(tmp_path: Path, analysis, another_analysis) -> None:
    bucket = f"file://{tmp_path}/blobs"
    with open_store(tmp_path / "one", blobs_url=bucket) as one, open_store(tmp_path / "two", blobs_url=bucket) as two:
        tune = one.create(analysis.tune("alice", "woman"), analysis.files)
        two.create(another_analysis.tune("bob", "man"), another_analysis.files)
        aged(tmp_path)
        assert purge_own_files(one, force=True).blobs == 2
        assert one.blobs.other_owners() == () and one.photo_bytes(tune, tune.photos[0])


@pytest.mark.parametrize("harm", ["emptied", "gone", "new"])
def test_an_empty_database_beside_files_is_refused_and_nothing_changes(
    tmp_path: Path, analysis, migrated, harm: str
) -> None:
    with open_store(tmp_path) as store:
        tune = store.create(analysis.tune("alice", "woman"), analysis.files)
    database = tmp_path / "tunes.sqlite3"
    whole = database.read_bytes()
    database.unlink()
    if harm != "gone":
        database.write_bytes(b"" if harm == "emptied" else migrated.read_bytes())
    files = aged(tmp_path)
    for _ in range(2):
        with pytest.raises(
            TuneError, match=r"(missing|empty).*tunes\.sqlite3.*faceid tunes restore.*faceid tunes accept"
        ):
            open_store(tmp_path)
    assert all(path.exists() for path in files)
    assert database.exists() == (harm != "gone")
    database.write_bytes(whole)
    with open_store(tmp_path) as store:
        assert store.photo_bytes(tune, tune.photos[0])


def test_a_database_that_is_accepted_beside_files_opens_from_then_on(tmp_path: Path, analysis) -> None:
    with open_store(tmp_path) as store:
        store.create(analysis.tune("alice", "woman"), analysis.files)
    (tmp_path / "tunes.sqlite3").unlink()
    with open_store(tmp_path, accept_files=True) as store:
        store.blobs.mark()
    with open_store(tmp_path) as store:
        assert store.list() == ()
        aged(tmp_path)
        with pytest.raises(TuneError, match="3 of 3"):
            purge_own_files(store)


def test_files_of_before_they_had_an_owner_are_those_of_the_database_that_is_upgraded(tmp_path: Path, analysis) -> None:
    with open_store(tmp_path) as store:
        tune = store.create(analysis.tune("alice", "woman"), analysis.files)
        store.blobs.put(b"of a tune whose creation was killed")
        store.delete(tune.id)
    take_back(tmp_path, "0003").dispose()
    for mark in (tmp_path / "blobs").glob("database-*"):
        mark.unlink()
    with open_store(tmp_path) as store:
        assert store.blobs.is_marked() and store.blobs.has_files()


def test_a_purge_lists_the_files_once(tmp_path: Path, analysis, monkeypatch) -> None:
    with open_store(tmp_path) as store:
        store.create(analysis.tune("alice", "woman"), analysis.files)
        aged(tmp_path)
        listed: list[str] = []
        find = store.blobs._fs.find
        monkeypatch.setattr(store.blobs._fs, "find", lambda path, *more: listed.append(path) or find(path, *more))
        purge_own_files(store)
        assert len([path for path in listed if not path.endswith("incoming")]) == 1


def test_a_database_without_its_id_gets_a_new_one_and_deletes_nothing(tmp_path: Path, analysis) -> None:
    with open_store(tmp_path) as store:
        store.create(analysis.tune("alice", "woman"), analysis.files)
        store.blobs.put(b"left")
        with store.database.writing() as connection:
            connection.execute(database_id.delete())
    aged(tmp_path)
    with open_store(tmp_path) as store, pytest.raises(TuneError, match="another one's"):
        purge_own_files(store)


def test_a_database_that_comes_while_another_deletes_waits_for_its_end(tmp_path: Path, analysis, monkeypatch) -> None:
    """Two databases have no lock in common: the second finds the photo there, and the first then removes it."""
    bucket = f"file://{tmp_path}/blobs"
    with open_store(tmp_path / "one", blobs_url=bucket) as one:
        tune = one.create(analysis.tune("alice", "woman"), analysis.files)
        with open_store(tmp_path / "two", blobs_url=bucket, accept_files=True) as two:
            two.blobs.patience = 0.0
            remove, refused = one.blobs.remove, []

            def remove_late(name: str) -> int:
                if not refused:
                    with pytest.raises(TuneStorageError, match="Nothing was stored: try again") as caught:
                        two.create(analysis.tune("bob", "man"), analysis.files)
                    refused.append(caught.value)
                return remove(name)

            monkeypatch.setattr(one.blobs, "remove", remove_late)
            assert one.delete(tune.id).blobs == 3 and refused
            bob = two.create(analysis.tune("bob", "man"), analysis.files)
            assert all(two.photo_bytes(bob, photo) for photo in bob.photos)
            assert not list((tmp_path / "blobs").glob("removing-*"))


def test_a_removal_that_was_killed_holds_nobody_up_for_ever(tmp_path: Path, analysis) -> None:
    with open_store(tmp_path, accept_files=True) as store:
        left = tmp_path / "blobs" / f"removing-{'0' * 32}-1"
        left.parent.mkdir()
        left.touch()
        store.blobs.patience = 0.0
        with pytest.raises(TuneStorageError):
            store.create(analysis.tune("alice", "woman"), analysis.files)
        before = (datetime.now(timezone.utc) - timedelta(hours=2)).timestamp()
        os.utime(left, (before, before))
        assert store.create(analysis.tune("alice", "woman"), analysis.files).id
        assert store.purge().blobs == 0 and not left.exists()
