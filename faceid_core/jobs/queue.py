"""The jobs, from their posting to their end. One code for SQLite and PostgreSQL.

A worker claims a job and gets a lease and a fence. It renews the lease while it draws. A worker that is gone lets the
lease end, and another claims the job, with another fence. Only who knows the row's fence may write the result, in one
transaction with the pictures and the callback: so a job that two workers draw ends once.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

import sqlalchemy as sa

from ..astria.wire.callbacks import whole_callback_json
from ..prompts import Prompt
from ..tunes.columns import is_sha256
from ..tunes.database import Database
from ..tunes.errors import DamagedValueError
from ..tunes.schema import other_files
from ..tunes.store import TuneStore
from .answers import prompt_object
from .fields import prompt_to_json
from .job import DONE, FAILED, QUEUED, RUNNING, Claim, FinishedPicture, Job, StoredPicture
from .rows import select_jobs
from .rules import LOCAL
from .schema import outbox, pictures, prompts

_log = logging.getLogger(__name__)

LEASE = timedelta(seconds=60)  # without a sign of life; a worker renews it every few seconds
STARVING = timedelta(seconds=30)  # a job that has waited so long goes before every other
MAX_ATTEMPTS = 3  # workers that may die of one job
_PURGED_AT_ONCE = 500
_MAY_CALL_HERE = "may_call_here"  # beside the prompt's own fields, which have no such name
_ADDRESS_BYTES = 24  # of randomness in a picture's address


class Jobs:
    """The table of prompts. Safe to share between threads, and between processes that each open their own."""

    def __init__(
        self,
        store: TuneStore,
        lifetime: timedelta | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(timezone.utc),
    ) -> None:
        """``lifetime`` is how long a prompt and its pictures are kept after it ended; None keeps them for ever."""
        self._store = store
        self._database: Database = store.database
        self._lifetime = lifetime
        self._now = clock

    # -- for who posts --------------------------------------------------------------------------------------------

    def post(
        self,
        prompt: Prompt,
        *,
        tune_id: int,
        base_url: str,
        owner: int = 0,
        text: str | None = None,
        priority: int = 0,
        orig_prompt_id: int | None = None,
        may_call_here: bool = False,
    ) -> Job:
        """Promise to draw the prompt; it is queued when this returns.

        ``text`` is what the client wrote, if another. ``may_call_here``: its callback may go to this machine.
        """
        now = self._now()
        uploaded: dict[str, bytes] = {}
        written = prompt_to_json(prompt, lambda data: self._put(data, uploaded))
        if may_call_here:
            written[_MAY_CALL_HERE] = True
        values = {
            "owner": owner,
            "tune_id": tune_id,
            "text": prompt.text if text is None else text,
            "fields": written,
            "base_url": base_url,
            "priority": priority,
            "state": QUEUED,
            "attempt": 0,
            "fence": 0,
            "created_at": now,
            "updated_at": now,
            "notes": [],
            "orig_prompt_id": orig_prompt_id,
            "is_liked": False,
        }
        with self._database.writing() as connection:
            stored = connection.execute(prompts.insert().values(values))
            job_id: int = stored.inserted_primary_key[0]  # type: ignore[index]  # an insert of one row has it
            self._need(connection, job_id, uploaded)
            return select_jobs(connection, sa.select(prompts).where(prompts.c.id == job_id))[0]

    def like(self, job_id: int, is_liked: bool) -> None:
        with self._database.writing() as connection:
            connection.execute(prompts.update().where(prompts.c.id == job_id).values(is_liked=is_liked))

    def delete(self, job_id: int) -> None:
        """Forget the job and its pictures. A worker that draws it finds its fence worthless and stops."""
        with self._database.writing() as connection:
            mine = other_files.c.owner == _needs(job_id)
            named = sa.select(sa.type_coerce(other_files.c.sha256, sa.String)).where(
                mine
            )  # a damaged one names no file
            names = list(filter(is_sha256, connection.execute(named).scalars()))
            connection.execute(prompts.delete().where(prompts.c.id == job_id))
            connection.execute(other_files.delete().where(mine))
        self._store.files.remove_unneeded(names)

    def purge(self) -> int:
        """Forget the jobs whose time is over; returns how many."""
        over = sa.select(prompts.c.id).where(prompts.c.expires_at <= self._now()).limit(_PURGED_AT_ONCE)
        forgotten = 0
        while True:
            with self._database.reading() as connection:
                ids = connection.execute(over).scalars().all()
            for job_id in ids:
                self.delete(job_id)
            forgotten += len(ids)
            if not ids:
                return forgotten

    # -- for who draws --------------------------------------------------------------------------------------------

    def claim(self, worker: str, loaded: int | None = None, lease: timedelta = LEASE) -> Claim | None:
        """The next job, if there is one: starving ones, then those of the base model ``loaded``, priority, age.

        One whose row is damaged ends with that as its reason: it does not keep the others waiting.
        """
        while True:
            now = self._now()
            with self._database.writing() as connection:
                job_id = connection.execute(_next(now, loaded)).scalar()
                if job_id is None:
                    return None
                try:
                    claim = self._claimed(connection, job_id, worker, now, lease)
                except DamagedValueError as error:
                    _log.warning("prompt %d is not drawn: %s", job_id, error)
                    numbers = {"attempt": 0, "fence": 0}
                    connection.execute(prompts.update().where(prompts.c.id == job_id).values(numbers))
                    self._end(connection, job_id, FAILED, now, error=str(error))
                    continue
            if claim is not None:
                return claim

    def renew(self, claim: Claim, lease: timedelta = LEASE) -> bool:
        """Say that the worker lives. False: the job is another's now, or deleted, and the work is to be dropped."""
        with self._database.writing() as connection:
            values = {"lease_until": self._now() + lease}
            return connection.execute(prompts.update().where(_held(claim)).values(values)).rowcount == 1

    def finish(self, claim: Claim, finished: Sequence[FinishedPicture], notes: Sequence[str] = ()) -> bool:
        """Hand in the pictures; False when the job is another's by now, and nothing has changed."""
        kept: dict[str, bytes] = {}
        files = [(picture, self._put(picture.data, kept)) for picture in finished]
        job_id, now = claim.job.id, self._now()
        with self._database.writing() as connection:
            if connection.execute(sa.select(prompts.c.id).where(_held(claim)).with_for_update()).first() is None:
                return False
            self._need(connection, job_id, kept)
            rows = [
                {
                    "name": secrets.token_urlsafe(_ADDRESS_BYTES),
                    "prompt_id": job_id,
                    "position": position,
                    "sha256": sha256,
                    "media_type": picture.media_type,
                }
                for position, (picture, sha256) in enumerate(files)
            ]
            connection.execute(pictures.insert(), rows)
            self._end(connection, job_id, DONE, now, notes=notes)
        return True

    def fail(self, claim: Claim, message: str) -> bool:
        """The job cannot be drawn, and its client is told why. False as in ``finish``."""
        with self._database.writing() as connection:
            if connection.execute(sa.select(prompts.c.id).where(_held(claim)).with_for_update()).first() is None:
                return False
            self._end(connection, claim.job.id, FAILED, self._now(), error=message)
        return True

    def give_back(self, claim: Claim) -> bool:
        """The worker stops, through no fault of the job: the next may begin it at once."""
        with self._database.writing() as connection:
            values = {
                "state": QUEUED,
                "attempt": prompts.c.attempt - 1,
                "fence": prompts.c.fence + 1,
                "leased_by": None,
                "lease_until": None,
                "started_at": None,
                "updated_at": self._now(),
            }
            return connection.execute(prompts.update().where(_held(claim)).values(values)).rowcount == 1

    # -- inside ---------------------------------------------------------------------------------------------------

    def _claimed(
        self, connection: sa.Connection, job_id: int, worker: str, now: datetime, lease: timedelta
    ) -> Claim | None:
        """None: too many workers have died of it, and it has ended. Raises DamagedValueError."""
        this = prompts.c.id == job_id
        row = connection.execute(sa.select(prompts.c.attempt, prompts.c.fence).where(this)).one()
        if row.attempt >= MAX_ATTEMPTS:
            self._end(connection, job_id, FAILED, now, error=_died(row.attempt))
            return None
        values = {
            "state": RUNNING,
            "attempt": row.attempt + 1,
            "fence": row.fence + 1,
            "leased_by": worker,
            "lease_until": now + lease,
            "started_at": now,
            "updated_at": now,
        }
        connection.execute(prompts.update().where(this).values(values))
        return Claim(select_jobs(connection, sa.select(prompts).where(this))[0], row.fence + 1, worker)

    def _put(self, data: bytes, kept: dict[str, bytes]) -> str:
        name = self._store.blobs.put(data)
        kept[name] = data
        return name

    def _need(self, connection: sa.Connection, job_id: int, files: Mapping[str, bytes]) -> None:
        """The job needs these files until it is deleted."""
        owner = other_files.c.owner == _needs(job_id)
        there = set(connection.execute(sa.select(other_files.c.sha256).where(owner)).scalars())
        self._store.files.claim(connection, files)
        if new := sorted(files.keys() - there):
            connection.execute(other_files.insert(), [{"owner": _needs(job_id), "sha256": name} for name in new])

    def _end(
        self,
        connection: sa.Connection,
        job_id: int,
        state: str,
        now: datetime,
        error: str | None = None,
        notes: Sequence[str] = (),
    ) -> None:
        """The row's last change, and the callback it owes; none where the row does not say which."""
        values = {
            "state": state,
            "user_error": error,
            "notes": list(notes),
            "ended_at": now,
            "updated_at": now,
            "fence": prompts.c.fence + 1,
            "lease_until": None,
            "expires_at": None if self._lifetime is None else now + self._lifetime,
        }
        connection.execute(prompts.update().where(prompts.c.id == job_id).values(values))
        try:
            job = select_jobs(connection, sa.select(prompts).where(prompts.c.id == job_id))[0]
        except DamagedValueError as error:
            _log.warning("prompt %d has ended, and nobody is called back: %s", job_id, error)
            return
        if url := job.fields.get("callback"):
            body = whole_callback_json(prompt_object(job, job.base_url))
            connection.execute(outbox.insert().values(callback_row(url, body, is_local=_may_call_here(job), now=now)))


def _may_call_here(job: Job) -> bool:
    return job.owner == LOCAL or job.fields.get(_MAY_CALL_HERE) is True


def callback_row(url: str, body: dict[str, Any], *, is_local: bool, now: datetime) -> dict[str, Any]:
    """A row of the outbox that is due at once."""
    return {
        "delivery_id": secrets.token_hex(16),
        "url": url,
        "body": body,
        "is_local": is_local,
        "tries": 0,
        "next_at": now,
        "created_at": now,
    }


def stored_picture(connection: sa.Connection, name: str) -> StoredPicture | None:
    """The picture at an address, if there is one."""
    query = sa.select(pictures.c.name, pictures.c.sha256, pictures.c.media_type).where(pictures.c.name == name)
    row = connection.execute(query).first()
    return None if row is None else StoredPicture(*row)


def _needs(job_id: int) -> str:
    return f"prompt {job_id}"


def _held(claim: Claim) -> sa.ColumnElement[bool]:
    """The row is still this worker's."""
    return sa.and_(prompts.c.id == claim.job.id, prompts.c.fence == claim.fence, prompts.c.state == RUNNING)


def _next(now: datetime, loaded: int | None) -> sa.Select[Any]:
    # A lease that ends later than any could was given before the clock was set back.
    ended = sa.or_(prompts.c.lease_until <= now, prompts.c.lease_until > now + 2 * LEASE)
    free = sa.or_(prompts.c.state == QUEUED, sa.and_(prompts.c.state == RUNNING, ended))
    starves = prompts.c.created_at <= now - STARVING
    return (
        sa.select(prompts.c.id)
        .where(free)
        .order_by(
            sa.case((starves, 0), else_=1),
            sa.case((starves, prompts.c.id), else_=0),
            sa.case((prompts.c.tune_id == (loaded or 0), 0), else_=1),
            prompts.c.priority.desc(),
            prompts.c.id,
        )
        .limit(1)
        .with_for_update(skip_locked=True)
    )


def _died(attempts: int) -> str:
    return f"The machine that drew this stopped in the middle, {attempts} times. Look into its log, then try again."
