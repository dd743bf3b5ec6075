"""The jobs of an owner, newest first."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from ..tunes.database import Database
from ..tunes.errors import DamagedValueError
from ..tunes.fields import is_printable
from ..tunes.queries import MAX_ID, MAX_LIMIT, before
from .job import QUEUED, STATES, Job
from .rows import select_jobs
from .schema import prompts

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class JobFilter:
    """Which jobs are listed; None: whatever.

    Attributes:
        text: is in what the client wrote, in upper or lower case.
        tune_id: the base model that draws it, or a person in it.
        since: posted then or later.
    """

    text: str | None = None
    tune_id: int | None = None
    orig_prompt_id: int | None = None
    is_liked: bool | None = None
    since: datetime | None = None

    def conditions(self) -> list[sa.ColumnElement[bool]]:
        asked: dict[Any, Any] = {
            prompts.c.orig_prompt_id: self.orig_prompt_id,
            prompts.c.is_liked: self.is_liked,
        }
        found = [column == value for column, value in asked.items() if value is not None]
        if self.text is not None:
            is_possible = is_printable(self.text)  # a database might refuse another as a parameter
            found.append(prompts.c.text.icontains(self.text, autoescape=True) if is_possible else sa.false())
        if self.tune_id is not None:
            tag = sa.cast(prompts.c.fields, sa.Text).contains(f"<faceid:{self.tune_id}:")  # posting.py writes it so
            found.append(sa.or_(prompts.c.tune_id == self.tune_id, tag))
        if self.since is not None:
            found.append(prompts.c.created_at >= self.since)
        return found


def job_of(database: Database, job_id: int, owner: int) -> Job | None:
    """The job, if it is the owner's."""
    if not 0 < job_id <= MAX_ID:
        return None
    with database.reading() as connection:
        query = sa.select(prompts).where(prompts.c.id == job_id, prompts.c.owner == owner)
        return next(iter(select_jobs(connection, query)), None)


def list_jobs(
    database: Database,
    owner: int,
    *,
    limit: int = 20,
    before_id: int | None = None,
    offset: int = 0,
    which: JobFilter | None = None,
) -> tuple[Job, ...]:
    """A page; the next one starts ``before_id`` the last id of this one. Damaged jobs are left out, and logged."""
    damaged: list[DamagedValueError] = []
    query = sa.select(prompts).where(prompts.c.owner == owner).order_by(prompts.c.id.desc())
    query = query.where(before(prompts.c.id, before_id), *(which or JobFilter()).conditions())
    with database.reading() as connection:
        found = select_jobs(connection, query.limit(max(1, min(limit, MAX_LIMIT))).offset(max(0, offset)), damaged)
    for error in damaged:
        _log.warning("%s", error)
    return found


def count_since(database: Database, owner: int, since: datetime) -> int:
    """How many jobs the owner has posted since then."""
    query = sa.select(sa.func.count()).where(prompts.c.owner == owner, prompts.c.created_at > since)
    with database.reading() as connection:
        return connection.execute(query).scalar_one()


def count_by_state(database: Database) -> dict[str, int]:
    """How many jobs are in each state: what a scaler of workers looks at."""
    state = sa.type_coerce(prompts.c.state, sa.String)  # a damaged one is in none of the states
    query = sa.select(state, sa.func.count()).group_by(state)
    with database.reading() as connection:
        counted = {state: count for state, count in connection.execute(query).all()}
    return {state: counted.get(state, 0) for state in STATES}


def oldest_wait(database: Database, now: datetime) -> float:
    """Seconds that the oldest queued job has waited; 0 without one."""
    oldest = sa.select(prompts.c.created_at).where(prompts.c.state == QUEUED).order_by(prompts.c.id).limit(1)
    with database.reading() as connection:
        since = connection.execute(oldest).scalar()
    return 0.0 if since is None else max(0.0, (now - since).total_seconds())
