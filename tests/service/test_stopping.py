"""A server process that is told to end while a job is under way."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from faceid_tunes.faceid_core.jobs.job import Job
from faceid_tunes.faceid_core.jobs.listing import job_of
from faceid_tunes.faceid_core.jobs.queue import Jobs
from faceid_tunes.faceid_core.prompts import Prompt
from faceid_tunes.faceid_core.tunes.store import open_store
from faceid_tunes.service import run

pytestmark = pytest.mark.slow

SCRIPT = """
import pathlib, sys, time
import numpy as np
from faceid_tunes.faceid_core.astria.base_models import SHIPPED, base_models
from faceid_tunes.faceid_core.engines.engine import Cancelled, Drawn, Picture
from faceid_tunes.faceid_core.faces.packs import embedded_pack
from faceid_tunes.faceid_core.jobs.queue import Jobs
from faceid_tunes.faceid_core.tunes.store import open_store
from faceid_tunes.service import run
from faceid_tunes.service.state import Service
from faceid_tunes.service.worker import Worker

home, run.DRAIN = pathlib.Path(sys.argv[1]), float(sys.argv[2])

class Engine:
    name = "of a test"
    def draw(self, prompt, store, on_progress=None, cancel=None):
        while not (home / "go").exists():  # the test says when
            if cancel.is_set():
                raise Cancelled("Stopped.")
            time.sleep(0.01)
        return Drawn((Picture(np.zeros((8, 8, 3), np.uint8), 1),))

with open_store(home) as store:
    jobs = Jobs(store)
    service = Service(store, jobs, embedded_pack(), base_models(SHIPPED))
    run.serve(service, "127.0.0.1", 0, [Worker(jobs, store, lambda job: Engine())])
"""


def told_to_end(home: Path, drain: float, *, ends: bool) -> Job:
    """The job as it is once the process has ended; ``ends``: it is finished after the process was told."""
    with open_store(home) as store:
        job = Jobs(store).post(Prompt("a lake"), tune_id=690204, base_url="http://here")
        process = subprocess.Popen([sys.executable, "-c", SCRIPT, str(home), str(drain)])
        while job_of(store.database, job.id, 0).state == "queued":
            assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        if ends:
            (home / "go").touch()
        assert process.wait(60) == 0
        return job_of(store.database, job.id, 0)


def test_a_job_that_ends_within_the_drain_is_handed_in(tmp_path: Path) -> None:
    job = told_to_end(tmp_path, run.DRAIN, ends=True)
    assert job.state == "done" and len(job.pictures) == 1


def test_a_job_that_takes_longer_is_given_back_for_the_next_worker(tmp_path: Path) -> None:
    job = told_to_end(tmp_path, 0.5, ends=False)
    assert (job.state, job.attempt) == ("queued", 0)
    with open_store(tmp_path) as store:
        assert Jobs(store).claim("the next") is not None, "at once, not after a lease"


def test_the_drain_is_half_a_minute() -> None:
    assert run.DRAIN == 30
