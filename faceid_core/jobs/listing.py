"""The jobs of an owner, newest first."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from ..tunes.database import Database
from ..tunes.queries import MAX_LIMIT
from .job import QUEUED, STATES, Job
from .rows import select_jobs
from .schema import prompts

_FILTERS = ("tune_id", "orig_prompt_id", "is_liked", "text")
_MAX_ID = 2**63 - 1


def job_of(database: Database, job_id: int, owner: int) -> Job | None:
    """The job, if it is the owner's."""
    if not 0 < job_id <= _MAX_ID:
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
    filters: Mapping[str, Any] | None = None,
) -> tuple[Job, ...]:
    """A page; the next one starts ``before_id`` the last id of this one. ``filters``: exact values of ``_FILTERS``."""
    query = sa.select(prompts).where(prompts.c.owner == owner).order_by(prompts.c.id.desc())
    if before_id is not None:
        query = query.where(prompts.c.id < max(0, min(before_id, _MAX_ID)))
    for name, value in (filters or {}).items():
        if name in _FILTERS:
            query = query.where(prompts.c[name] == value)
    with database.reading() as connection:
        return select_jobs(connection, query.limit(max(1, min(limit, MAX_LIMIT))).offset(max(0, offset)))


def count_by_state(database: Database) -> dict[str, int]:
    """How many jobs are in each state: what a scaler of workers looks at."""
    query = sa.select(prompts.c.state, sa.func.count()).group_by(prompts.c.state)
    with database.reading() as connection:
        counted = {state: count for state, count in connection.execute(query).all()}
    return {state: counted.get(state, 0) for state in STATES}


def oldest_wait(database: Database, now: datetime) -> float:
    """Seconds that the oldest queued job has waited; 0 without one."""
    oldest = sa.select(prompts.c.created_at).where(prompts.c.state == QUEUED).order_by(prompts.c.id).limit(1)
    with database.reading() as connection:
        since = connection.execute(oldest).scalar()
    return 0.0 if since is None else max(0.0, (now - since).total_seconds())
