"""Draws the jobs, one after another, with an engine."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from ..faceid_core.engines.engine import AwayError, Cancelled, Drawn, Engine
from ..faceid_core.errors import FaceIDError
from ..faceid_core.jobs.fields import prompt_from_json
from ..faceid_core.jobs.job import Claim, FinishedPicture, Job
from ..faceid_core.jobs.queue import LEASE, Jobs
from ..faceid_core.pictures.png import png_bytes
from ..faceid_core.tunes.errors import TuneStorageError

if TYPE_CHECKING:
    from ..faceid_core.tunes.store import TuneStore

LONGEST = timedelta(minutes=10)  # for one job
_IDLE = 0.25  # seconds between two looks for a job; wake() ends it at once
_RENEWALS = 4  # in one lease
_FAULTS, _OUT = 3, 10.0  # after so many faults in a row, the worker tries once in so many seconds
_HAND_IN_AGAIN = 1.0  # seconds, while the database is away

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
        longest: timedelta = LONGEST,
    ) -> None:
        """``engine_for`` gives the engine for a job: it may depend on the base model, and on the attempt."""
        self._jobs, self._store, self._engine_for = jobs, store, engine_for
        self._name, self._lease, self._longest = name, lease, longest
        self._loaded: int | None = None
        self._faults = 0
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
                if self._faults >= _FAULTS:
                    self._stopping.wait(_OUT)
                claim = None if self._stopping.is_set() else self._jobs.claim(self._name, self._loaded, self._lease)
            except FaceIDError as error:  # the database is away: it may come back
                log.warning("%s", error)
                claim = None
            except Exception:
                log.exception("The queue cannot be read. It is looked at again.")
                claim = None
            if claim is None:
                self._awake.wait(_IDLE)
                self._awake.clear()
                continue
            try:
                self._draw(claim)
            except Exception:  # its lease ends, and another worker finds it; this one goes on with the next
                log.exception("prompt %d cannot be ended", claim.job.id)

    def _draw(self, claim: Claim) -> None:
        watch = _Watch(self._jobs, claim, self._lease, self._longest, self._giving_up)
        try:
            with watch.kept():
                prompt = prompt_from_json(claim.job.fields, self._store.blobs.get)
                drawn = self._engine_for(claim.job).draw(prompt, self._store, cancel=watch.dropped)
                self._loaded, self._faults = claim.job.tune_id, 0
                pictures = _encoded(drawn)
                self._hand_in(lambda: self._jobs.finish(claim, pictures, drawn.notes))
                drawn.delivered()
        except Cancelled as error:
            self._end_cancelled(claim, watch, str(error))
        except AwayError as error:
            log.warning("%s", error)
            self._faults += 1
            self._hand_in(lambda: self._jobs.give_back(claim))
        except FaceIDError as error:
            sentence = str(error)
            self._hand_in(lambda: self._jobs.fail(claim, sentence))
        except Exception:
            log.exception("prompt %d failed", claim.job.id)
            self._hand_in(lambda: self._jobs.fail(claim, "The program failed while it drew this. Its log says where."))

    def _end_cancelled(self, claim: Claim, watch: _Watch, said: str) -> None:
        if watch.is_too_long:
            sentence = f"It was not drawn within {self._longest.total_seconds():.0f} seconds."
            self._hand_in(lambda: self._jobs.fail(claim, sentence))
        elif self._giving_up.is_set():
            self._hand_in(lambda: self._jobs.give_back(claim))
        elif not watch.dropped.is_set():  # somebody stopped it where it was drawn
            self._hand_in(lambda: self._jobs.fail(claim, said))

    def _hand_in(self, write: Callable[[], object]) -> None:
        """Write a result; while the database is away, until another worker may have the job."""
        for _ in range(int(self._lease.total_seconds() / _HAND_IN_AGAIN) + 1):
            try:
                write()
                return
            except TuneStorageError as error:
                log.warning("%s", error)
                if self._giving_up.wait(_HAND_IN_AGAIN):
                    return


def _encoded(drawn: Drawn) -> list[FinishedPicture]:
    return [FinishedPicture(png_bytes(picture.pixels), "image/png") for picture in drawn.pictures]


class _Watch:
    """Keeps a job's lease. ``dropped`` is set when the work is to end: it is another's, deleted, or takes too long."""

    def __init__(
        self, jobs: Jobs, claim: Claim, lease: timedelta, longest: timedelta, giving_up: threading.Event
    ) -> None:
        self._jobs, self._claim, self._lease = jobs, claim, lease
        self._longest, self._giving_up = longest, giving_up
        self._over = threading.Event()
        self.dropped = threading.Event()
        self.is_too_long = False

    @contextmanager
    def kept(self) -> Iterator[None]:
        thread = threading.Thread(target=self._keep, name=f"faceid-lease-{self._claim.job.id}", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()

    def _keep(self) -> None:
        renewal = self._lease.total_seconds() / _RENEWALS
        step = min(0.2, renewal)
        passed, since = 0.0, 0.0
        while not self._over.wait(step):
            passed, since = passed + step, since + step
            if passed >= self._longest.total_seconds():
                self.is_too_long = True
            if self.is_too_long or self._giving_up.is_set():
                self.dropped.set()
            elif since >= renewal:
                since = 0.0
                self._renew()

    def _renew(self) -> None:
        try:
            if not self._jobs.renew(self._claim, self._lease):
                self.dropped.set()
        except FaceIDError as error:  # the fence decides in the end
            log.warning("%s", error)
