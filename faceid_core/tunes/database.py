"""The connection to the tune database, and its migration to the current schema."""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import sqlalchemy as sa

from .errors import TuneError, TuneStorageError
from .schema import REVISION, VERSION_TABLE

_BUSY_SECONDS = 60.0  # how long a writer waits for another before SQLite says "database is locked"
# A network that is cut says nothing. Without these the kernels at both ends keep a dead connection for hours: we wait
# for an answer, and the server keeps the rows locked. (libpq's "Parameter Key Words"; PostgreSQL's own settings.)
_WE_WAIT = {
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
_SERVER_WAITS = """SELECT set_config('idle_in_transaction_session_timeout', '60s', false),
    set_config('tcp_keepalives_idle', '10', false), set_config('tcp_keepalives_interval', '5', false),
    set_config('tcp_keepalives_count', '3', false), set_config('tcp_user_timeout', '30s', false)"""
_ADVISORY_LOCK = 0x666163656964  # "faceid"; PostgreSQL, while the schema is created
_MIGRATIONS = Path(__file__).with_name("migrations")
_one_migration = threading.Lock()  # alembic's `op` and `context` are process-wide


class Database:
    """A migrated database: ``reading()`` is a snapshot; ``writing()`` is one transaction, on SQLite the only one.

    A SQLite file that exists and cannot be written to is read as it is (``is_read_only``); ``writing()`` is refused.
    """

    def __init__(self, url: str | sa.URL) -> None:
        """Connect to a SQLAlchemy URL and bring its schema up to date. Raises TuneError."""
        self._engine = _engine(url)
        self.is_read_only = self._engine.url.query.get("mode") == "ro"
        snapshot = {} if self._engine.dialect.name == "sqlite" else {"isolation_level": "REPEATABLE READ"}
        self._reader = self._engine.execution_options(**snapshot)
        self._writer = self._engine.execution_options(faceid_write=True)
        self.was_upgraded = False  # now, from an earlier schema
        # SQLite's writers sleep and look again, up to 100 ms: those of one process wait in a row instead.
        self._turn = threading.RLock() if self._engine.dialect.name == "sqlite" else contextlib.nullcontext()
        with _explained(self._engine.url):
            if self.is_read_only:
                _check_revision(self._engine)
            else:
                self.was_upgraded = _migrate(self._writer) is not None

    @property
    def where(self) -> str:
        """The file, or the address without a password."""
        url = self._engine.url
        if self.is_sqlite:
            return os.path.abspath(unquote((url.database or "").removeprefix("file:")))
        return url.set(query={}).render_as_string(hide_password=True)

    @contextlib.contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        with _explained(self._engine.url), self._reader.begin() as connection:
            yield connection

    @contextlib.contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        if self.is_read_only:
            raise TuneError(
                f"The tune folder {_folder(self._engine.url)} cannot be written to: its tunes can be listed, shown and "
                "drawn, but not changed. Name another with --home or FACEID_TUNES_HOME."
            )
        with self._turn, _explained(self._engine.url), self._writer.begin() as connection:
            yield connection

    @property
    def is_sqlite(self) -> bool:
        return self._engine.dialect.name == "sqlite"

    def copy_to(self, target: sqlite3.Connection) -> None:
        """All of a SQLite database at one moment into another file (SQLite's online backup); others go on writing.

        Raises:
            TuneStorageError: it cannot be read.
            OSError: the disk of the other file is full.
        """
        with contextlib.closing(self._engine.raw_connection()) as connection:
            driver: Any = connection.driver_connection
            try:
                with _explained(self._engine.url):
                    driver.backup(target)
            except TuneStorageError as error:
                if "full" in str(error.__cause__):  # reading fills no disk
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from error
                raise

    def problems(self) -> tuple[str, ...]:
        """What SQLite's ``integrity_check`` finds; empty when the file is whole, and for a database server."""
        if not self.is_sqlite:
            return ()
        with self.reading() as connection:
            found = connection.exec_driver_sql("PRAGMA integrity_check(20)").scalars().all()
        return () if found == ["ok"] else tuple(found)

    def forget_deleted(self) -> None:
        """Empty SQLite's write-ahead log, which may still have deleted rows; it stays while others read."""
        if self.is_sqlite and not self.is_read_only:
            with contextlib.closing(self._engine.raw_connection()) as connection:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        self._engine.dispose()


def _engine(url: str | sa.URL) -> sa.Engine:
    try:
        parsed = sa.make_url(url)
        if parsed.get_backend_name() != "sqlite":
            return _server_engine(parsed)
        engine = sa.create_engine(_as_writable_as_it_is(parsed), connect_args={"timeout": _BUSY_SECONDS})
    except (sa.exc.ArgumentError, ImportError, ValueError) as error:
        # The URL may contain a password, and so may SQLAlchemy's message about it: neither is repeated.
        raise TuneError(
            "The tune database URL cannot be used: write it as SQLAlchemy does, for example "
            "postgresql+psycopg://user@host/name, and install the driver it names"
            f"{f' ({error.name})' if isinstance(error, ImportError) and error.name else ''}."
        ) from None
    sa.event.listen(engine, "connect", _set_up_sqlite)
    sa.event.listen(engine, "begin", _begin_sqlite)
    return engine


def _server_engine(url: sa.URL) -> sa.Engine:
    has_libpq = url.get_driver_name() in ("psycopg", "psycopg2")
    waits = {name: value for name, value in _WE_WAIT.items() if name not in url.query} if has_libpq else {}
    engine = sa.create_engine(url, pool_pre_ping=True, connect_args=waits)
    if has_libpq:
        sa.event.listen(engine, "connect", _set_up_postgresql)
    return engine


def _as_writable_as_it_is(url: sa.URL) -> sa.URL:
    """The URL of a SQLite file; opened for reading only where it exists and its folder cannot be written to.

    SQLite makes two files beside a database in WAL mode even to read it. A file that nobody writes can be read without
    them (``immutable``), unless a log with the last changes is there.
    """
    path = url.database
    if not path or path == ":memory:" or path.startswith("file:") or not os.path.exists(path):
        return url
    if os.access(path, os.W_OK) and os.access(os.path.dirname(path) or ".", os.W_OK):
        return url
    log = f"{path}-wal"
    has_log = os.path.exists(log) and os.path.getsize(log) > 0
    query = {"mode": "ro", "uri": "true"} | ({} if has_log else {"immutable": "1"})
    return sa.URL.create("sqlite", database=f"file:{quote(os.fsencode(os.path.abspath(path)))}", query=query)


def _folder(url: sa.URL) -> str:
    return os.path.dirname(unquote((url.database or "").removeprefix("file:")))


def _check_revision(engine: sa.Engine) -> None:
    found = _revision(engine)
    if found != REVISION:
        raise TuneError(
            f"The tune folder {_folder(engine.url)} cannot be written to, and its database has schema {found}, not "
            f"{REVISION}: open it once where it can be written to."
        )


def _set_up_sqlite(dbapi_connection: Any, _record: object) -> None:
    dbapi_connection.isolation_level = None  # _begin_sqlite begins transactions, not the driver
    # Text that is no UTF-8 is a damaged value of one row (columns.py), not a failure of the whole query.
    dbapi_connection.text_factory = lambda data: data.decode("utf-8", "surrogateescape")
    dbapi_connection.execute("PRAGMA foreign_keys = ON")
    dbapi_connection.execute("PRAGMA secure_delete = ON")  # a deleted person's rows are overwritten, not only unlinked
    dbapi_connection.execute("PRAGMA synchronous = FULL")  # in WAL mode a commit then survives a power cut


def _set_up_postgresql(dbapi_connection: Any, _record: object) -> None:
    with dbapi_connection.cursor() as cursor:
        cursor.execute(_SERVER_WAITS)
    dbapi_connection.commit()


def _begin_sqlite(connection: sa.Connection) -> None:
    # A writer takes the lock when it begins: a read lock cannot always become a write lock later, and SQLite then fails
    # at once instead of waiting.
    write = connection.get_execution_options().get("faceid_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


def _migrate(engine: sa.Engine) -> str | None:
    """Bring the schema up to date; returns the one it had, None where it was new or up to date."""
    with _one_migration, _one_process(engine):
        found = _revision(engine)
        if found == REVISION:
            return None
        if engine.dialect.name == "sqlite":
            _use_wal(engine)
        with engine.begin() as connection:
            if engine.dialect.name == "postgresql":
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_ADVISORY_LOCK)))
            _upgrade(connection)
    return found


def _revision(bind: sa.Engine | sa.Connection) -> str | None:
    if not sa.inspect(bind).has_table(VERSION_TABLE):
        return None
    query = sa.text(f"SELECT version_num FROM {VERSION_TABLE}")
    if isinstance(bind, sa.Connection):
        return bind.execute(query).scalar()
    with bind.connect() as connection:
        return connection.execute(query).scalar()


def _one_process(engine: sa.Engine) -> contextlib.AbstractContextManager[object]:
    """One process at a time opens a SQLite file until it is set up: the switch to WAL fails if it has to wait."""
    path = engine.url.database
    if engine.dialect.name != "sqlite" or not path or path == ":memory:":
        return contextlib.nullcontext()
    from filelock import FileLock

    return FileLock(f"{path}.lock")


def _use_wal(engine: sa.Engine) -> None:
    with contextlib.closing(engine.raw_connection()) as connection:
        connection.execute("PRAGMA journal_mode = WAL")


def _upgrade(connection: sa.Connection) -> None:
    from alembic.command import upgrade
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config(attributes={"connection": connection, "version_table": VERSION_TABLE})
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    found = _revision(connection)
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if found is not None and found not in known:
        raise TuneError(
            f"The tune database has schema {found}, and this version reads schemas up to {REVISION}: "
            "it was made by a newer version. Update this plugin."
        )
    upgrade(config, "head")


@contextlib.contextmanager
def _explained(url: sa.URL) -> Iterator[None]:
    """A database failure as a TuneError that names the database; IntegrityError is left to the caller."""
    try:
        yield
    except sa.exc.IntegrityError:
        raise
    except (sa.exc.DBAPIError, sa.exc.TimeoutError, sqlite3.Error, OSError) as error:
        where = url.set(query={}).render_as_string(hide_password=True)
        cause = getattr(error, "orig", error)
        code = getattr(cause, "sqlite_errorname", "")  # Python 3.11
        advice = ". Restore a backup, or move it away." if code in ("SQLITE_NOTADB", "SQLITE_CORRUPT") else ""
        raise TuneStorageError(f"The tune database {where} failed: {cause}{advice}") from error
