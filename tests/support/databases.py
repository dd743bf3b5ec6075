"""An empty store on SQLite, and on PostgreSQL where there is a server. A conftest imports these fixtures."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from faceid_tunes.faceid_core.tunes import database, schema
from faceid_tunes.faceid_core.tunes.store import TuneStore, open_store

if TYPE_CHECKING:
    from sqlalchemy import Engine

SERVER = "FACEID_TEST_DATABASE_URL"  # a PostgreSQL server, for example postgresql+psycopg://user@127.0.0.1/postgres


_BOTH = ["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)]


@pytest.fixture(params=_BOTH)
def database_url(request: pytest.FixtureRequest) -> Iterator[str | None]:
    """None (SQLite in the store's folder), or a PostgreSQL schema of its own on the server that the tester names."""
    yield from _a_database(request.param)


@pytest.fixture(params=_BOTH)
def another_database_url(request: pytest.FixtureRequest) -> Iterator[str | None]:
    """A second one, of either kind."""
    yield from _a_database(request.param)


def _a_database(kind: str) -> Iterator[str | None]:
    if kind == "sqlite":
        yield None
        return
    if SERVER not in os.environ:
        pytest.skip(f"no PostgreSQL server: set {SERVER}")
    import sqlalchemy as sa

    server = sa.make_url(os.environ[SERVER])
    schema_name = f"test_{secrets.token_hex(6)}"
    engine = sa.create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sa.schema.CreateSchema(schema_name))
        scoped = server.update_query_dict({"options": f"-csearch_path={schema_name}"})
        yield scoped.render_as_string(hide_password=False)
        connection.execute(sa.schema.DropSchema(schema_name, cascade=True))
    engine.dispose()


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty SQLite database of the current schema: copied, it need not be migrated for each test."""
    home = tmp_path_factory.mktemp("migrated")
    open_store(home).close()
    return home / "tunes.sqlite3"


@pytest.fixture
def store(tmp_path: Path, database_url: str | None, migrated: Path) -> Iterator[TuneStore]:
    shutil.copy(migrated, tmp_path)
    with open_store(tmp_path, database_url=database_url) as opened:
        yield opened


def take_back(home: Path, revision: str) -> Engine:
    """A new store's database, as an earlier version made it."""
    import sqlalchemy as sa
    from alembic.command import downgrade
    from alembic.config import Config

    open_store(home, accept_files=True).close()
    engine = sa.create_engine(f"sqlite:///{home / 'tunes.sqlite3'}")
    with engine.begin() as connection:
        attributes = {"connection": connection, "version_table": schema.VERSION_TABLE}
        config = Config(attributes=attributes)
        config.set_main_option("script_location", str(database._MIGRATIONS))
        downgrade(config, revision)
    return engine
