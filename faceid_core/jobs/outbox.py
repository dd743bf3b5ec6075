"""Callbacks that have to arrive: each is tried again after a while until its receiver takes it."""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from ..tunes.database import Database
from ..tunes.errors import DamagedValueError
from ..tunes.readable import select_readable
from .queue import callback_row
from .schema import outbox

# Seconds from the first try to each of the others; after the last, nobody tries again.
TRY_AFTER = (0, 10, 60, 300, 1800, 7200)
_ORIGIN = re.compile(r"(?:https?://)?[^/?#]*")
_log = logging.getLogger(__name__)
_LEASE = timedelta(seconds=30)  # a sender that is gone for so long has not sent it


@dataclass(frozen=True)
class Delivery:
    """One callback that is due."""

    id: int
    delivery_id: str  # the same at every try: receivers recognise a repetition
    url: str
    body: Mapping[str, Any]
    is_local: bool
    tries: int
    created_at: datetime


def add_delivery(database: Database, url: str, body: dict[str, Any], *, is_local: bool, now: datetime) -> None:
    """A callback that does not belong to a job's end."""
    with database.writing() as connection:
        connection.execute(outbox.insert().values(callback_row(url, body, is_local=is_local, now=now)))


def due(database: Database, now: datetime, limit: int = 20, not_to: Collection[str] = ()) -> tuple[Delivery, ...]:
    """Take the deliveries that are due; no other sender gets them for a while. ``not_to``: origins to leave alone.

    One whose row is damaged ends with that as its problem: it does not keep the others waiting.
    """
    columns = [outbox.c[name] for name in Delivery.__dataclass_fields__]
    waiting = sa.and_(outbox.c.next_at <= now, *(sa.not_(_is_to(each)) for each in not_to))
    with database.writing() as connection:
        query = sa.select(*columns).where(waiting).order_by(outbox.c.next_at).limit(limit)
        query = query.with_for_update(skip_locked=True)

        def read(query: sa.Select[Any]) -> list[Delivery]:
            return [Delivery(*row) for row in connection.execute(query).all()]

        def give_up(row: int, error: DamagedValueError) -> None:
            _log.warning("callback %d is not sent: %s", row, error)
            values = {"next_at": None, "problem": str(error)}
            connection.execute(outbox.update().where(outbox.c.id == row).values(values))

        found = select_readable(connection, query, outbox.c.id, read, give_up)
        if found:
            taken = outbox.c.id.in_([delivery.id for delivery in found])
            connection.execute(outbox.update().where(taken).values(next_at=now + _LEASE))
    return found


def arrived(database: Database, delivery: Delivery, now: datetime) -> None:
    values = {"tries": delivery.tries + 1, "delivered_at": now, "next_at": None, "problem": None}
    _write(database, delivery, values)


def not_arrived(database: Database, delivery: Delivery, problem: str, now: datetime) -> None:
    """Try again later, or give up after the last try."""
    tries = delivery.tries + 1
    later = delivery.created_at + timedelta(seconds=TRY_AFTER[tries]) if tries < len(TRY_AFTER) else None
    next_at = None if later is None else max(later, now + timedelta(seconds=1))
    _write(database, delivery, {"tries": tries, "next_at": next_at, "problem": problem})


def origin_of(url: str) -> str:
    """The scheme, host and port of an address, as it writes them: ``https://client.example:8443``."""
    return _ORIGIN.match(url)[0]  # type: ignore[index]  # it matches every text


def forget_ended(database: Database, before: datetime) -> int:
    """Forget deliveries that arrived, or were given up, and were made before then; returns how many."""
    ended = sa.and_(outbox.c.next_at.is_(None), outbox.c.created_at < before)
    with database.writing() as connection:
        return connection.execute(outbox.delete().where(ended)).rowcount


def _is_to(origin: str) -> sa.ColumnElement[bool]:
    behind = (outbox.c.url.startswith(origin + end, autoescape=True) for end in "/?#")
    return sa.or_(outbox.c.url == origin, *behind)


def _write(database: Database, delivery: Delivery, values: Mapping[str, Any]) -> None:
    with database.writing() as connection:
        connection.execute(outbox.update().where(outbox.c.id == delivery.id).values(values))
