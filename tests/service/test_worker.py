"""What a worker does when its engine, its machine or the database fails."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace

import pytest
from faceid_tunes.faceid_core.engines.comfyui.client import UnreachableError
from faceid_tunes.faceid_core.engines.engine import Cancelled, Drawn
from faceid_tunes.faceid_core.errors import FaceIDError
from faceid_tunes.faceid_core.jobs.job import Job
from faceid_tunes.faceid_core.jobs.listing import job_of
from faceid_tunes.faceid_core.jobs.queue import Jobs
from faceid_tunes.faceid_core.prompts import Prompt
from faceid_tunes.faceid_core.tunes.errors import TuneError, TuneStorageError
from faceid_tunes.faceid_core.tunes.store import TuneStore, open_store
from faceid_tunes.service.housekeeping import tidy
from faceid_tunes.service.worker import Worker
from support.drawing import TestPictures


class Engine(TestPictures):
    """Test pictures, after what ``before`` does."""

    def __init__(self, before: Callable[[threading.Event], None]) -> None:
        super().__init__()
        self.before = before

    def draw(self, prompt, store, on_progress=None, cancel=None) -> Drawn:
        self.before(cancel)
        return super().draw(prompt, store, on_progress, cancel)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[TuneStore]:
    with open_store(tmp_path) as opened:
        yield opened


def drawn(store: TuneStore, jobs: Jobs, engine: Engine, **options: object) -> Job:
    """The job as a worker leaves it."""
    job = jobs.post(Prompt("a lake"), tune_id=1, base_url="http://here")
    worker = Worker(jobs, store, lambda job: engine, **options)
    worker.start()
    while (found := job_of(store.database, job.id, 0)).state in ("queued", "running"):
        pass
    worker.stop()
    return found


def raising(*errors: BaseException) -> Callable[[threading.Event], None]:
    """Raises one error after another, then nothing."""
    left = list(errors)

    def before(cancel: threading.Event) -> None:
        if left:
            raise left.pop(0)

    return before


def test_an_error_for_people_is_told_to_the_client(store: TuneStore) -> None:
    assert (
        drawn(store, Jobs(store), Engine(raising(FaceIDError("There is no model.")))).user_error == "There is no model."
    )


def test_a_fault_of_the_program_is_not_told_but_ends_the_job(store: TuneStore) -> None:
    found = drawn(store, Jobs(store), Engine(raising(ZeroDivisionError("secret"))))
    assert found.state == "failed" and "secret" not in found.user_error


def test_a_comfyui_that_is_away_costs_the_job_nothing(store: TuneStore) -> None:
    found = drawn(store, Jobs(store), Engine(raising(UnreachableError("away"), UnreachableError("away"))))
    assert (found.state, found.attempt) == ("done", 1)


def test_a_job_that_somebody_stops_in_comfyui_ends(store: TuneStore) -> None:
    found = drawn(store, Jobs(store), Engine(raising(Cancelled("The job was stopped in ComfyUI."))))
    assert found.user_error == "The job was stopped in ComfyUI."


@pytest.mark.slow
def test_a_job_that_takes_too_long_ends(store: TuneStore) -> None:
    def never(cancel: threading.Event) -> None:
        assert cancel.wait(30)
        raise Cancelled("Stopped.")

    found = drawn(store, Jobs(store), Engine(never), longest=timedelta(seconds=0.3))
    assert "within 0 seconds" in found.user_error


@pytest.mark.slow
def test_a_result_is_handed_in_when_the_database_is_back(store: TuneStore) -> None:
    class Away(Jobs):
        faults = 2

        def finish(self, *arguments: object) -> bool:
            if self.faults:
                self.faults -= 1
                raise TuneStorageError("away")
            return super().finish(*arguments)

    assert drawn(store, Away(store), Engine(raising())).state == "done"


def test_a_worker_that_stops_gives_its_job_back(store: TuneStore) -> None:
    begun = threading.Event()

    def slow(cancel: threading.Event) -> None:
        begun.set()
        assert cancel.wait(30)
        raise Cancelled("Stopped.")

    jobs = Jobs(store)
    job = jobs.post(Prompt("a lake"), tune_id=1, base_url="http://here")
    worker = Worker(jobs, store, lambda job: Engine(slow))
    worker.start()
    assert begun.wait(30)
    worker.stop(patience=0.1)
    assert job_of(store.database, job.id, 0).state == "queued"


def test_a_fault_of_the_queue_or_of_a_jobs_end_does_not_end_the_worker(store: TuneStore, monkeypatch, caplog) -> None:
    jobs = Jobs(store)
    claim, left = jobs.claim, [RuntimeError("the queue")]

    def faulty(*arguments: object) -> object:
        if left:
            raise left.pop()
        return claim(*arguments)

    monkeypatch.setattr(jobs, "claim", faulty)
    first = jobs.post(Prompt("a man"), tune_id=1, base_url="http://here")
    ends = jobs.finish
    monkeypatch.setattr(jobs, "finish", lambda *given: ends(*given) if given[0].job.id != first.id else 1 / 0)
    monkeypatch.setattr(jobs, "fail", lambda *given: 1 / 0)
    assert drawn(store, jobs, Engine(raising())).state == "done"
    assert "The queue cannot be read" in caplog.text and f"prompt {first.id} cannot be ended" in caplog.text


def test_what_cannot_be_forgotten_keeps_nothing_else(store: TuneStore, tmp_path: Path, caplog) -> None:
    jobs = Jobs(store, lifetime=timedelta(seconds=-1))
    job = drawn(store, jobs, Engine(raising()))
    with closing(sqlite3.connect(tmp_path / "tunes.sqlite3", isolation_level=None)) as rows:
        rows.execute("INSERT INTO faceid_other_files (owner, sha256) VALUES ('x', x'ff')")
    with pytest.raises(TuneError):
        store.purge()
    service = SimpleNamespace(store=store, jobs=jobs, clock=lambda: datetime.now(timezone.utc))
    assert tidy(service) == 1 and job_of(store.database, job.id, 0) is None
    assert "sha256 of the table faceid_other_files is damaged" in caplog.text
