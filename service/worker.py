"""Draws the jobs, one after another, with an engine."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from ..faceid_core.engines.engine import Cancelled, Drawn, Engine
from ..faceid_core.errors import FaceIDError
from ..faceid_core.jobs.fields import prompt_from_json
from ..faceid_core.jobs.job import Claim, FinishedPicture, Job
from ..faceid_core.jobs.queue import LEASE, Jobs
from ..faceid_core.pictures.png import png_bytes

if TYPE_CHECKING:
    from ..faceid_core.tunes.store import TuneStore

_IDLE = 0.25  # seconds between two looks for a job; wake() ends it at once
_RENEWALS = 4  # in one lease

log = logging.getLogger("faceid.service")


class Worker:
    """A thread that draws. ``stop`` lets the job that runs end, or gives it back."""

    def __init__(
        self,
        jobs: Jobs,
        store: TuneStore,
        engine_for: Callable[[Job], Engine],
        name: str = "worker",
        lease: timedelta = LEASE,
    ) -> None:
        """``engine_for`` gives the engine for a job: it may depend on the base model, and on the attempt."""
        self._jobs, self._store, self._engine_for = jobs, store, engine_for
        self._name, self._lease = name, lease
        self._loaded: int | None = None
        self._stopping, self._giving_up, self._awake = threading.Event(), threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"faceid-{name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        """There is a job: do not wait for the next look."""
        self._awake.set()

    def stop(self, patience: float = 30.0) -> None:
        """Take no further job; after ``patience`` seconds, give back the one that runs."""
        self._stopping.set()
        self._awake.set()
        self._thread.join(patience)
        self._giving_up.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                claim = self._jobs.claim(self._name, self._loaded, self._lease)
            except FaceIDError as error:  # the database is away: it may come back
                log.warning("%s", error)
                claim = None
            if claim is None:
                self._awake.wait(_IDLE)
                self._awake.clear()
                continue
            self._draw(claim)

    def _draw(self, claim: Claim) -> None:
        job = claim.job
        try:
            with _lease_kept(self._jobs, claim, self._lease, self._giving_up) as dropped:
                prompt = prompt_from_json(job.fields, self._store.blobs.get)
                drawn = self._engine_for(job).draw(prompt, self._store, cancel=dropped)
            self._loaded = job.tune_id
            self._jobs.finish(claim, _encoded(drawn), drawn.notes)
        except Cancelled:
            if self._giving_up.is_set():
                self._jobs.give_back(claim)
        except FaceIDError as error:
            self._jobs.fail(claim, str(error))
        except Exception:
            log.exception("prompt %d failed", job.id)
            self._jobs.fail(claim, "The picture could not be drawn: the program failed. Its log says where.")


def _encoded(drawn: Drawn) -> list[FinishedPicture]:
    return [FinishedPicture(png_bytes(picture.pixels), "image/png") for picture in drawn.pictures]


@contextmanager
def _lease_kept(jobs: Jobs, claim: Claim, lease: timedelta, giving_up: threading.Event) -> Iterator[threading.Event]:
    """An event that is set when the work is to be dropped: the job is another's or deleted, or the worker stops."""
    dropped, over = threading.Event(), threading.Event()

    def keep() -> None:
        waited, step = 0.0, min(0.2, lease.total_seconds() / _RENEWALS)
        while not over.wait(step):
            waited += step
            if giving_up.is_set():
                dropped.set()
            elif waited >= lease.total_seconds() / _RENEWALS:
                waited = 0.0
                try:
                    if not jobs.renew(claim, lease):
                        dropped.set()
                except FaceIDError as error:  # the fence decides in the end
                    log.warning("%s", error)

    thread = threading.Thread(target=keep, name=f"faceid-lease-{claim.job.id}", daemon=True)
    thread.start()
    try:
        yield dropped
    finally:
        over.set()
        thread.join()
