"""Jobs from rows."""

from __future__ import annotations

from functools import partial
from itertools import groupby
from typing import Any

import sqlalchemy as sa

from ..tunes.errors import DamagedValueError
from ..tunes.readable import select_readable
from .job import Job, StoredPicture
from .schema import pictures, prompts

_NOT_OF_A_JOB = {"fence", "leased_by", "lease_until"}
_COLUMNS = [column.name for column in prompts.columns if column.name not in _NOT_OF_A_JOB]
_PICTURES = (
    sa.select(pictures.c.prompt_id, pictures.c.name, pictures.c.sha256, pictures.c.media_type)
    .where(pictures.c.prompt_id.in_(sa.bindparam("ids", expanding=True)))
    .order_by(pictures.c.prompt_id, pictures.c.position)
)


def select_jobs(
    connection: sa.Connection, query: sa.Select[Any], damaged: list[DamagedValueError] | None = None
) -> tuple[Job, ...]:
    """The jobs of a query over the table of prompts, with their pictures, in the query's order.

    Raises:
        DamagedValueError: of the first job that cannot be read; with ``damaged`` it goes there, and the others are
            returned.
    """
    if damaged is None:
        return _select(connection, query)
    read, leave_out = partial(_select, connection), damaged.append
    return select_readable(connection, query, prompts.c.id, read, lambda _, error: leave_out(error))


def _select(connection: sa.Connection, query: sa.Select[Any]) -> tuple[Job, ...]:
    rows = connection.execute(query).all()
    if not rows:
        return ()
    found = connection.execute(_PICTURES, {"ids": [row.id for row in rows]})
    by_job = {key: tuple(StoredPicture(*row[1:]) for row in group) for key, group in groupby(found, lambda row: row[0])}
    return tuple(_job(row, by_job.get(row.id, ())) for row in rows)


def _job(row: Any, of: tuple[StoredPicture, ...]) -> Job:
    values = {name: getattr(row, name) for name in _COLUMNS}
    return Job(**values | {"notes": tuple(values["notes"])}, pictures=of)
