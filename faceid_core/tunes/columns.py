"""What a column may hold, checked whenever a row is read.

SQLite keeps any value in any column, and a disk, a half restored backup or another program can change one. A damaged
value is told of where it is read; nothing is computed from it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from .errors import DamagedValueError

_LONG = 2**24  # characters of a text without a limit of its own
_SHA256 = re.compile(r"[0-9a-f]{64}")
Rule = Callable[[Any], bool]


def check_columns(table: sa.Table, rules: Mapping[str, Rule] | None = None) -> sa.Table:
    """The table, whose values are checked when they are read: type and size, and ``rules`` by column name.

    Numbers that the database itself gives to rows need no check.
    """
    for column in table.columns:
        if not (column.primary_key and column.autoincrement is True):
            column.type = _Checked(column.type, column.name, table.name, (rules or {}).get(column.name))
    return table


def is_sha256(value: object) -> bool:
    """The name of a file in the store, and of none elsewhere."""
    return isinstance(value, str) and _SHA256.fullmatch(value) is not None


def is_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(text, str) for text in value)


def is_object(value: object) -> bool:
    return isinstance(value, dict)


def is_count(value: object) -> bool:
    """One more is a count, too."""
    return isinstance(value, int) and 0 <= value < 2**31


def is_size(value: object) -> bool:
    """Pixels of a photo's side."""
    return isinstance(value, int) and 1 <= value <= 2**20


def is_weight(value: float) -> bool:
    return 0 < value <= 1000


def numbers(count: int) -> Rule:
    """So many finite numbers in a list."""
    return lambda value: isinstance(value, list) and len(value) == count and all(map(_is_number, value))


def is_points(value: object) -> bool:
    """Pairs of numbers."""
    return isinstance(value, list) and len(value) <= 1000 and all(map(numbers(2), value))


class _Checked(sa.types.TypeDecorator[Any]):
    """A column's own type, and the check of what comes out of it."""

    impl: Any = sa.Text
    cache_ok = True

    def __init__(self, inner: sa.types.TypeEngine[Any], column: str, table: str, rule: Rule | None) -> None:
        super().__init__()
        self.impl = inner
        self.inner, self.column, self.table, self.rule = inner, column, table, rule

    def result_processor(self, dialect: sa.Dialect, coltype: object) -> Callable[[Any], Any]:
        convert = self.impl_instance.result_processor(dialect, coltype)
        is_right, rule = _is_right(self.inner), self.rule

        def read(raw: Any) -> Any:
            if raw is None:  # columns that must have a value have one in every database
                return None
            try:
                if is_right(raw):
                    value = convert(raw) if convert else raw
                    if (rule is None or rule(value)) and not _is_beyond_time(value):
                        return value
            except (ValueError, TypeError, ArithmeticError, LookupError, RecursionError, AttributeError):
                pass
            raise DamagedValueError(self.table, self.column, raw) from None

        return read


def _is_right(kind: sa.types.TypeEngine[Any]) -> Rule:
    """Whether the driver's value is one that such a column keeps."""
    if isinstance(kind, sa.Boolean):
        return lambda raw: isinstance(raw, int) and raw in (0, 1)
    if isinstance(kind, sa.Integer):
        return lambda raw: isinstance(raw, int) and not isinstance(raw, bool)
    if isinstance(kind, sa.Float):
        return _is_number
    if isinstance(kind, sa.String):
        longest = kind.length or _LONG
        return lambda raw: isinstance(raw, str) and len(raw) <= longest and not has_halves(raw)
    return lambda raw: not isinstance(raw, str | bytes) or len(raw) <= _LONG


def _is_beyond_time(value: object) -> bool:
    """A moment that no waiting time may be added to or taken from."""
    return isinstance(value, datetime) and not 1900 <= value.year < 9000


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def has_halves(text: str) -> bool:
    """Halves of surrogate pairs: bytes that are no UTF-8 come out of SQLite as these (database.py)."""
    return not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text)
