"""A backup has everything, is whole or not there, and comes back in another place and another database."""

from __future__ import annotations

import io
import json
import os
import secrets
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import pytest
from faceid_tunes.faceid_core.jobs.backup import back_up
from faceid_tunes.faceid_core.jobs.job import FinishedPicture
from faceid_tunes.faceid_core.jobs.listing import list_jobs
from faceid_tunes.faceid_core.jobs.queue import Jobs
from faceid_tunes.faceid_core.jobs.restore import restore
from faceid_tunes.faceid_core.prompts import Prompt
from faceid_tunes.faceid_core.tunes.errors import TuneError
from faceid_tunes.faceid_core.tunes.store import TuneStore, open_store
from support.databases import another_database_url as another
from support.made_tunes import made_tune

KILLER = Path(__file__).with_name("kill_backup.py")
__all__ = ["another"]


def backup_of(store: TuneStore, folder: Path) -> io.BytesIO:
    file = io.BytesIO()
    back_up(store, file, folder)
    return file


def fill(store: TuneStore, jobs: Jobs) -> None:
    for title in ("alice", "Zoë 🏔", "gone"):
        made_tune(store, title)
    store.set_remote_id(1, 77, "https://api.example")
    store.delete(3)
    job = jobs.post(Prompt("a man", input_image=b"an uploaded picture"), tune_id=1, base_url="http://x")
    claim = jobs.claim("worker")
    assert claim is not None and claim.job.id == job.id and jobs.finish(claim, [FinishedPicture(b"drawn", "image/png")])


@pytest.mark.slow
def test_everything_comes_back_in_another_place(store: TuneStore, jobs: Jobs, another: str | None, tmp_path) -> None:
    """People, photos, what was found, the service's prompts and pictures; a deleted one's number is not used again."""
    fill(store, jobs)
    done = back_up(store, file := io.BytesIO(), tmp_path)
    assert (done.tunes, done.prompts, done.left_out) == (2, 1, ())
    with open_store(tmp_path / "new", database_url=another) as back:
        assert restore(back, file, tmp_path / "new") == done
        assert back.list() == store.list()
        (job,) = list_jobs(back.database, 0)
        assert job == list_jobs(store.database, 0)[0]
        for tune in back.list():
            for photo in tune.photos:
                assert back.photo_bytes(tune, photo) and back.blobs.get(photo.face.sha256)
        assert back.blobs.get(job.pictures[0].sha256) == b"drawn"
        assert back.blobs.get(job.fields["input_image"]["file"]) == b"an uploaded picture"
        assert back.blobs.owner.uid != store.blobs.owner.uid
        assert made_tune(back, "new").id == 4
        back.delete(2)
    assert not [path for path in tmp_path.rglob(".faceid-*")]


def test_only_an_empty_store_is_restored_into(store: TuneStore, jobs: Jobs, another: str | None, tmp_path) -> None:
    fill(store, jobs)
    file = backup_of(store, tmp_path)
    with open_store(tmp_path / "new", database_url=another) as full:
        tune = made_tune(full, "here before")
        with pytest.raises(TuneError, match=r"is not empty.*Nothing was changed.*--home"):
            restore(full, file, tmp_path / "new")
        assert full.list() == (tune,)


def test_a_lost_database_is_restored_beside_its_files(store: TuneStore, jobs: Jobs, tmp_path: Path) -> None:
    fill(store, jobs)
    file, before = backup_of(store, tmp_path), store.list()
    blobs = f"file://{tmp_path}/blobs"
    with pytest.raises(TuneError, match="faceid tunes restore"):
        open_store(tmp_path / "new", blobs_url=blobs)
    with open_store(tmp_path / "new", blobs_url=blobs, accept_files=True) as back:
        restore(back, file, tmp_path / "new")
    with open_store(tmp_path / "new", blobs_url=blobs) as back:
        assert back.list() == before


@pytest.mark.slow
def test_a_damaged_backup_is_refused_or_whole_and_nothing_of_it_stays(store: TuneStore, jobs: Jobs, tmp_path) -> None:
    fill(store, jobs)
    whole, before = backup_of(store, tmp_path).getvalue(), store.list()
    refused = 0
    with open_store(tmp_path / "new") as back:
        for number in range(60):
            at = len(whole) * number // 60
            cut = number % 2
            data = whole[:at] if cut else whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :]
            try:
                restore(back, io.BytesIO(data), tmp_path / "new")
            except TuneError:
                refused += 1
                assert back.list() == ()
            else:  # the byte is of a name's padding, or the like
                assert not cut and back.list() == before
                for tune in before:
                    back.delete(tune.id)
                Jobs(back).delete(1)
    assert refused >= 55


def test_a_file_that_is_not_what_its_name_says_is_refused(store: TuneStore, jobs: Jobs, tmp_path: Path) -> None:
    """With a checksum of its own that is right: another photo was put there."""
    fill(store, jobs)
    changed, photo = io.BytesIO(), f"files/{store.get(1).photos[0].sha256}"
    with zipfile.ZipFile(backup_of(store, tmp_path)) as whole, zipfile.ZipFile(changed, "w") as archive:
        for name in whole.namelist():
            archive.writestr(name, b"of somebody else" if name == photo else whole.read(name))
    with open_store(tmp_path / "new") as back, pytest.raises(TuneError, match=f"{photo} is damaged"):
        restore(back, changed, tmp_path / "new")


def test_a_photo_that_cannot_be_read_is_told_and_the_rest_is_kept(store: TuneStore, jobs: Jobs, tmp_path: Path) -> None:
    fill(store, jobs)
    photo = store.get(1).photos[0].sha256
    (tmp_path / "blobs" / photo[:2] / photo).write_bytes(b"flipped")
    done = back_up(store, file := io.BytesIO(), tmp_path)
    assert len(done.left_out) == 1 and photo in done.left_out[0] and "damaged" in done.left_out[0]
    with open_store(tmp_path / "new") as back:
        assert len(restore(back, file, tmp_path / "new").left_out) == 1
        assert [tune.title for tune in back.list()] == ["Zoë 🏔", "alice"]


@pytest.mark.slow
def test_backups_are_whole_while_others_create_and_delete(store: TuneStore, tmp_path: Path, database_url) -> None:
    stop = threading.Event()

    def others() -> None:
        with open_store(tmp_path, database_url=database_url) as own:
            while not stop.is_set():
                tune = made_tune(own, secrets.token_hex(4))
                own.delete(tune.id)

    kept = made_tune(store, "kept")
    threads = [threading.Thread(target=others) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        files = []
        for _ in range(10):
            try:
                files.append(backup_of(store, tmp_path))
            except TuneError as error:
                assert "Run the backup again" in str(error)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    for number, file in enumerate(files):
        with open_store(tmp_path / str(number)) as back:
            assert restore(back, file, tmp_path / str(number)).left_out == ()
            assert back.get(kept.id) == kept


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and kill -9, which Windows has not")
@pytest.mark.parametrize("what", ["backup", "restore"])
def test_a_kill_at_any_step_leaves_all_of_it_or_nothing(tmp_path: Path, database_url: str | None, what: str) -> None:
    command = [sys.executable, KILLER, what, tmp_path, database_url or ""]
    path = os.pathsep.join([str(KILLER.parents[1]), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": path})
    assert done.returncode == 0, done.stderr
    steps = [json.loads(line) for line in done.stdout.splitlines()]
    assert steps[-1]["killed_at"] == "" and steps[-1]["tunes"] == 2
    assert len(steps) >= (3 if what == "backup" else 20)
    for step in steps:
        assert step["tunes"] in (0, 2), step
        assert step["afterwards"] == 2, step
