"""All rows of one database into another: a snapshot of any database is a SQLite file, and goes into any database."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import sqlalchemy as sa

from ..tunes.database import Database
from ..tunes.errors import TuneError
from ..tunes.schema import blob_lock, database_id, metadata
from . import schema as _jobs  # noqa: F401  (its tables are among those of metadata)

_AT_ONCE = 500  # rows
# What is of the database itself is not copied: two databases never have one id.
TABLES = [table for table in metadata.sorted_tables if table not in (blob_lock, database_id)]
_NUMBERED = [table for table in TABLES if table.dialect_options["sqlite"]["autoincrement"]]


def write_snapshot(database: Database, path: Path) -> None:
    """The database at one moment, as a new SQLite file; others go on writing. Raises TuneError."""
    if database.is_sqlite:
        with contextlib.closing(sqlite3.connect(path)) as target:
            database.copy_to(target)
        return
    with contextlib.closing(Database(sa.URL.create("sqlite", database=str(path)))) as target_database:
        with database.reading() as source, target_database.writing() as target_connection:
            _copy(source, target_connection)


def load_snapshot(path: Path, database: Database) -> None:
    """The rows of a snapshot of the current schema into an empty database, in one transaction.

    Raises:
        TuneError: the database is not empty; nothing is changed.
    """
    if database.is_sqlite:
        _attach_and_copy(path, database)
        return
    with contextlib.closing(Database(sa.URL.create("sqlite", database=str(path)))) as snapshot:
        with snapshot.reading() as source, database.writing() as target:
            _refuse_rows(any(target.execute(sa.select(table).limit(1)).first() for table in TABLES), database)
            _copy(source, target)


def _attach_and_copy(path: Path, database: Database) -> None:
    """SQLite to SQLite: every value as it is, damaged or not."""
    with contextlib.closing(sqlite3.connect(database.where, timeout=60, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = OFF")  # a row that lost its tune is copied, too
        connection.execute("ATTACH ? AS snapshot", (str(path),))
        connection.execute("BEGIN IMMEDIATE")
        names = [table.name for table in TABLES]
        has_rows = any(connection.execute(f"SELECT 1 FROM main.{name} LIMIT 1").fetchone() for name in names)
        _refuse_rows(has_rows, database)
        for table in TABLES:
            columns = ", ".join(f'"{column.name}"' for column in table.columns)
            connection.execute(f"INSERT INTO main.{table.name} ({columns}) SELECT {columns} FROM snapshot.{table.name}")
        connection.execute("DELETE FROM main.sqlite_sequence")
        connection.execute("INSERT INTO main.sqlite_sequence SELECT * FROM snapshot.sqlite_sequence")
        connection.execute("COMMIT")


def _copy(source: sa.Connection, target: sa.Connection) -> None:
    for table in TABLES:
        rows = source.execute(sa.select(table).execution_options(yield_per=_AT_ONCE)).mappings()
        for batch in rows.partitions(_AT_ONCE):
            target.execute(table.insert(), [dict(row) for row in batch])
    for table in _NUMBERED:  # an id is never used twice, also not that of a deleted row
        last = _last_number(source, table.name)
        if last:
            _set_last_number(target, table.name, last)


def _last_number(connection: sa.Connection, table: str) -> int:
    query = "SELECT pg_sequence_last_value(pg_get_serial_sequence(:table, 'id')::regclass)"
    if connection.dialect.name == "sqlite":
        query = "SELECT seq FROM sqlite_sequence WHERE name = :table"
    return connection.execute(sa.text(query), {"table": table}).scalar() or 0


def _set_last_number(connection: sa.Connection, table: str, last: int) -> None:
    queries = ["SELECT setval(pg_get_serial_sequence(:table, 'id'), :last)"]
    if connection.dialect.name == "sqlite":
        queries = [
            "DELETE FROM sqlite_sequence WHERE name = :table",
            "INSERT INTO sqlite_sequence (name, seq) VALUES (:table, :last)",
        ]
    for query in queries:
        values = {"table": table, "last": last} if ":last" in query else {"table": table}
        connection.execute(sa.text(query), values)


def _refuse_rows(has_rows: bool, database: Database) -> None:
    if has_rows:
        raise TuneError(
            f"The tune database {database.where} is not empty, and a backup is restored into an empty one only. "
            "Nothing was changed. Name a new folder with --home."
        )
