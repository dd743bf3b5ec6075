"""Questions to the table of tunes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from .errors import TuneError
from .fields import is_printable, normal
from .schema import tunes

MAX_LIMIT = 120  # tunes of one page, as the API has it
_FILTERS = ("title", "name", "model_type", "branch")
MAX_ID = 2**63 - 1


def alive(now: datetime, *columns: sa.ColumnElement[Any]) -> sa.Select[Any]:
    """These columns (all when none is named) of the tunes that have not expired."""
    return sa.select(*(columns or (tunes,))).where(sa.or_(tunes.c.expires_at.is_(None), tunes.c.expires_at > now))


def has_id(tune_id: int) -> sa.ColumnElement[bool]:
    """The id is this; false for a number that is never an id and that a database might refuse as a parameter."""
    return tunes.c.id == tune_id if 0 < tune_id <= MAX_ID else sa.false()


def before(column: sa.ColumnElement[Any], before_id: int | None) -> sa.ColumnElement[bool]:
    """The id is smaller, where one is given; whatever number it is."""
    return sa.true() if before_id is None else column < max(0, min(before_id, MAX_ID))


def has_value(name: str, value: str) -> sa.ColumnElement[bool]:
    return equals(tunes.c[name], value)


def equals(column: sa.ColumnElement[Any], value: str) -> sa.ColumnElement[bool]:
    """The column is equal, also for text that no tune can have and that a database might refuse as a parameter."""
    text = normal(value)
    return column == text if is_printable(text) else sa.false()


def page(
    now: datetime, limit: int, before_id: int | None, offset: int, filters: Mapping[str, str] | None
) -> sa.Select[Any]:
    """A page of tunes, newest id first, as ``TuneStore.list`` says.

    Raises:
        TuneError: the limit is outside 1 to 120, the offset is negative, or a filter has an unknown name.
    """
    if not 1 <= limit <= MAX_LIMIT:
        raise TuneError(f"limit is {limit}: a page has 1 to {MAX_LIMIT} tunes.", "limit")
    if not 0 <= offset <= MAX_ID:
        raise TuneError(f"offset is {offset}: count from 0.", "offset")
    query = alive(now).where(before(tunes.c.id, before_id)).order_by(tunes.c.id.desc()).limit(limit).offset(offset)
    for name, value in (filters or {}).items():
        if name not in _FILTERS:
            raise TuneError(f"Tunes cannot be filtered by {name!r}, only by {', '.join(_FILTERS)}.", name)
        query = query.where(has_value(name, value))
    return query
