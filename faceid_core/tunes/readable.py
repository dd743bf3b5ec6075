"""One damaged row keeps nobody from reading the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import sqlalchemy as sa

from .errors import DamagedValueError

T = TypeVar("T")


def select_readable(
    connection: sa.Connection,
    query: sa.Select[Any],
    key: sa.ColumnElement[int],
    read: Callable[[sa.Select[Any]], Sequence[T]],
    on_damaged: Callable[[int, DamagedValueError], None],
) -> tuple[T, ...]:
    """What ``read`` makes of a query's rows, in the query's order; where one is damaged, of the others.

    Args:
        key: the column that tells the rows from each other.
        read: raises DamagedValueError; gets the query, and after that one for each row.
        on_damaged: called with the key of a damaged row and what is wrong with it.
    """
    try:
        return tuple(read(query))
    except DamagedValueError:
        keys = connection.execute(query.with_only_columns(key)).scalars().all()
    columns = query.selected_columns
    found: list[T] = []
    for one in keys:
        try:
            found += read(sa.select(*columns).where(key == one))
        except DamagedValueError as error:
            on_damaged(one, error)
    return tuple(found)
