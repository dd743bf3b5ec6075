"""Whatever a column holds: a sentence that names the tune and the column, the others as before, nothing lost."""

from __future__ import annotations

import contextlib
import sqlite3
import zipfile
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from faceid_tunes.faceid_core.errors import FaceIDError
from faceid_tunes.faceid_core.jobs.api_tunes import list_tunes
from faceid_tunes.faceid_core.jobs.backup import back_up
from faceid_tunes.faceid_core.jobs.fields import prompt_from_json
from faceid_tunes.faceid_core.jobs.job import FinishedPicture
from faceid_tunes.faceid_core.jobs.listing import count_by_state, list_jobs, oldest_wait
from faceid_tunes.faceid_core.jobs.outbox import add_delivery, due
from faceid_tunes.faceid_core.jobs.queue import Jobs
from faceid_tunes.faceid_core.jobs.schema import outbox as outbox_table
from faceid_tunes.faceid_core.jobs.schema import prompts as prompts_table
from faceid_tunes.faceid_core.prompts import Prompt
from faceid_tunes.faceid_core.tunes.check import check_store
from faceid_tunes.faceid_core.tunes.errors import DamagedValueError
from faceid_tunes.faceid_core.tunes.schema import metadata
from faceid_tunes.faceid_core.tunes.store import TuneStore, open_store
from support.made_tunes import made_tune

VALUES = {
    "bytes": b"\xff\x00\xfe",
    "words": "garbage",
    "nothing": "",
    "path": "../../../etc/passwd",
    "minus": -(2**63),
    "huge": 2**63 - 1,
    "float": 1.5e300,
    "infinite": float("inf"),
    "list": "[1, null]",
    "object": '{"text": {"a": 1}, "file": []}',
    "many digits": "[" + "9" * 5000 + "]",
    "deep": "[" * 20_000,
    "long": "x" * 300_000,
    "control": "a\x00\x1b[31m\u202eb",
}
COLUMNS = [(table.name, column.name) for table in metadata.sorted_tables for column in table.columns]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two tunes, a job with a picture and a callback."""
    home = tmp_path_factory.mktemp("home")
    with open_store(home) as store:
        made_tune(store, "alice")
        made_tune(store, "bob")
        jobs = Jobs(store)
        prompt = Prompt("a man", input_image=b"uploaded", callback="http://client.example/done")
        for _ in range(2):
            jobs.post(prompt, tune_id=1, base_url="http://x")
        claim = jobs.claim("worker")
        assert claim is not None and jobs.finish(claim, [FinishedPicture(b"drawn", "image/png")])
    return home


@contextlib.contextmanager
def damaged(home: Path, table: str, column: str, value: object) -> Iterator[bool]:
    """The first row has that value; False where SQLite itself refuses it. Afterwards it is as before."""
    with contextlib.closing(sqlite3.connect(home / "tunes.sqlite3", isolation_level=None)) as rows:
        rows.execute("PRAGMA foreign_keys = OFF")
        first = rows.execute(f'SELECT rowid, "{column}" FROM {table} ORDER BY rowid LIMIT 1').fetchone()
        if first is None:
            yield False
            return
        try:
            rows.execute(f'UPDATE {table} SET "{column}" = ? WHERE rowid = ?', (value, first[0]))
        except sqlite3.IntegrityError:
            yield False
            return
        try:
            yield True
        finally:
            renamed = value if column == "id" and table != "faceid_blob_lock" else first[0]
            rows.execute(f'UPDATE {table} SET "{column}" = ? WHERE rowid = ?', (first[1], renamed))


def uses(store: TuneStore, folder: Path) -> dict[str, Callable[[], object]]:
    """Everything that reads rows."""
    now = datetime.now(timezone.utc)

    def photos() -> None:
        for tune in store.list():
            for photo in tune.photos:
                store.photo_bytes(tune, photo)

    def prompts() -> None:
        for job in list_jobs(store.database, 0):
            prompt_from_json(job.fields, store.blobs.get)

    def backup() -> None:
        with (folder / "backup").open("wb") as file:
            back_up(store, file, folder)
        with zipfile.ZipFile(folder / "backup") as archive:
            assert not [name for name in archive.namelist() if ".." in name or name.startswith("/")]

    return {
        "list": store.list,
        "get": lambda: store.get(1),
        "title": lambda: store.find("alice"),
        "titles": store.titles,
        "files": lambda: store.files_of(1),
        "faces": lambda: store.found_faces(1, "embedded"),
        "photos": photos,
        "check": lambda: check_store(store),
        "purge": lambda: store.purge(timedelta(0)),
        "api": lambda: list_tunes(store, 0),
        "jobs": prompts,
        "counts": lambda: (count_by_state(store.database), oldest_wait(store.database, now)),
        "outbox": lambda: due(store.database, now - timedelta(days=1)),
        "backup": backup,
    }


@pytest.mark.slow
@pytest.mark.parametrize("table", sorted({table for table, _ in COLUMNS}))
def test_only_sentences_come_of_any_value_in_any_column_and_no_photo_is_lost(
    home: Path, tmp_path: Path, table: str
) -> None:
    with open_store(home) as store:
        for column in [column for name, column in COLUMNS if name == table]:
            for what, value in VALUES.items():
                with damaged(home, table, column, value) as is_there:
                    for use, call in uses(store, tmp_path).items() if is_there else ():
                        if use == "backup" and column != "sha256":
                            continue
                        try:
                            call()
                        except FaceIDError:
                            continue
                        except Exception as error:
                            raise AssertionError(f"{table}.{column} = {what}, {use}: {error!r}") from error
        assert [tune.title for tune in store.list()] == ["bob", "alice"]
        found = check_store(store)
        assert (found.damages, found.database) == ((), ())


@pytest.mark.parametrize(
    ("table", "column", "value"),
    [
        ("faceid_tunes", "ckpt_urls", "[1]"),
        ("faceid_tunes", "is_api", "garbage"),
        ("faceid_tunes", "created_at", "tomorrow"),
        ("faceid_tune_photos", "width", 0),
        ("faceid_tune_photos", "sha256", "../../../etc/passwd"),
        ("faceid_tune_faces", "box", "[1, 2, 3]"),
        ("faceid_tune_faces", "score", b"\xff"),
    ],
)
def test_the_sentence_names_tune_and_column_and_the_others_are_as_before(
    home: Path, table: str, column: str, value: object, caplog
) -> None:
    with damaged(home, table, column, value), open_store(home) as store:
        with pytest.raises(DamagedValueError, match=rf"Tune 1: its {column} \({table}\) is damaged.*tunes restore"):
            store.get(1)
        assert [tune.title for tune in store.list()] == ["bob"]
        assert f"Tune 1: its {column}" in caplog.text
        (found,) = check_store(store).damages
        assert (found.tune_id, found.problem) == (1, f"{column} ({table}) is damaged.")


def test_a_damaged_name_of_a_photo_does_not_make_its_file_unneeded(home: Path) -> None:
    with open_store(home) as store:
        photo = store.get(1).photos[0]
        for table, column in (("faceid_tune_photos", "sha256"), ("faceid_tunes", "expires_at")):
            with damaged(home, table, column, "0"), pytest.raises(DamagedValueError, match=column):
                store.purge(timedelta(0))
        assert store.photo_bytes(store.get(1), photo)


def test_a_damaged_tune_can_be_deleted(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        made_tune(store, "alice")
        with contextlib.closing(sqlite3.connect(tmp_path / "tunes.sqlite3", isolation_level=None)) as rows:
            rows.execute("UPDATE faceid_tune_photos SET sha256 = x'ff' WHERE position = 0")
        assert store.delete(1).tunes == 1
        assert store.list() == ()


@pytest.mark.slow
@pytest.mark.parametrize("column", [column.name for column in prompts_table.columns if column.name != "id"])
def test_a_job_whose_row_is_damaged_keeps_no_other_job_waiting(tmp_path: Path, column: str) -> None:
    with open_store(tmp_path) as store:
        jobs = Jobs(store)
        for what, value in VALUES.items():
            first = jobs.post(Prompt("a man", callback="http://client.example/done"), tune_id=1, base_url="http://x")
            second = jobs.post(Prompt("a woman"), tune_id=1, base_url="http://x")
            with contextlib.closing(sqlite3.connect(tmp_path / "tunes.sqlite3", isolation_level=None)) as rows:
                with contextlib.suppress(sqlite3.IntegrityError):
                    rows.execute(f'UPDATE faceid_prompts SET "{column}" = ? WHERE id = ?', (value, first.id))
            claims = [claim for _ in range(3) if (claim := jobs.claim("worker")) is not None]
            assert second.id in [claim.job.id for claim in claims], what
            assert all(jobs.finish(claim, [FinishedPicture(b"drawn", "image/png")]) for claim in claims), what
            assert jobs.claim("worker") is None, what
            list_jobs(store.database, 0)
            count_by_state(store.database)
            jobs.delete(first.id)
            jobs.delete(second.id)


def test_a_job_that_cannot_be_read_ends_with_the_column_as_its_reason(tmp_path: Path, caplog) -> None:
    with open_store(tmp_path) as store:
        jobs = Jobs(store)
        job = jobs.post(Prompt("a man"), tune_id=1, base_url="http://x")
        with contextlib.closing(sqlite3.connect(tmp_path / "tunes.sqlite3", isolation_level=None)) as rows:
            rows.execute("UPDATE faceid_prompts SET attempt = 'twice'")
            assert jobs.claim("worker") is None
            (state, reason) = rows.execute("SELECT state, user_error FROM faceid_prompts").fetchone()
        assert state == "failed" and "attempt of the table faceid_prompts is damaged" in reason
        assert f"prompt {job.id} is not drawn" in caplog.text
        assert list_jobs(store.database, 0)[0].state == "failed", "what was damaged is written anew"


def test_a_damaged_row_is_left_out_of_the_lists_and_the_log_says_so(tmp_path: Path, caplog) -> None:
    with open_store(tmp_path) as store:
        jobs = Jobs(store)
        made_tune(store, "alice")
        made_tune(store, "bob")
        for text in ("a man", "a woman"):
            jobs.post(Prompt(text), tune_id=1, base_url="http://x")
        with contextlib.closing(sqlite3.connect(tmp_path / "tunes.sqlite3", isolation_level=None)) as rows:
            rows.execute("UPDATE faceid_prompts SET fields = '[1]' WHERE id = 1")
            rows.execute("UPDATE faceid_tunes SET ckpt_urls = '[1]' WHERE id = 1")
        assert [job.text for job in list_jobs(store.database, 0)] == ["a woman"]
        assert [found.title for found in list_tunes(store, 0)] == ["bob"]
        assert "fields of the table faceid_prompts is damaged" in caplog.text and "ckpt_urls" in caplog.text


def test_a_damaged_file_name_of_a_job_does_not_keep_ended_jobs(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        jobs = Jobs(store, lifetime=timedelta(seconds=-1))
        for _ in range(2):
            jobs.post(Prompt("a man", input_image=b"uploaded"), tune_id=1, base_url="http://x")
            claim = jobs.claim("worker")
            assert claim is not None and jobs.finish(claim, [FinishedPicture(b"drawn", "image/png")])
        with contextlib.closing(sqlite3.connect(tmp_path / "tunes.sqlite3", isolation_level=None)) as rows:
            rows.execute("UPDATE faceid_other_files SET sha256 = x'ff' WHERE rowid = 1")
        assert jobs.purge() == 2 and list_jobs(store.database, 0) == ()


@pytest.mark.slow
@pytest.mark.parametrize("column", [column.name for column in outbox_table.columns if column.name != "id"])
def test_a_callback_whose_row_is_damaged_keeps_no_other_callback_waiting(tmp_path: Path, column: str) -> None:
    now = datetime.now(timezone.utc)
    with open_store(tmp_path) as store:
        for number, (what, value) in enumerate(VALUES.items()):
            for name in ("first", "second"):
                add_delivery(store.database, f"http://{name}.example/{number}", {}, is_local=False, now=now)
            with contextlib.closing(sqlite3.connect(tmp_path / "tunes.sqlite3", isolation_level=None)) as rows:
                with contextlib.suppress(sqlite3.IntegrityError):
                    first = f"http://first.example/{number}"
                    rows.execute(f'UPDATE faceid_outbox SET "{column}" = ? WHERE url = ?', (value, first))
            taken = [delivery.url for delivery in due(store.database, now)]
            assert f"http://second.example/{number}" in taken, what
            assert due(store.database, now) == (), "who was damaged is not tried again at once"
