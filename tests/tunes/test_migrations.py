"""The schema and its migrations, on real databases."""

from __future__ import annotations

import contextlib
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from faceid_tunes.faceid_core.jobs import schema as jobs_schema
from faceid_tunes.faceid_core.tunes import database, schema
from faceid_tunes.faceid_core.tunes.errors import TuneError
from faceid_tunes.faceid_core.tunes.store import TuneStore, open_store
from support.databases import take_back

ROOT = Path(database.__file__).parents[2]


def test_the_migrations_build_exactly_the_tables_that_the_code_uses(store: TuneStore) -> None:
    with store.database.reading() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": schema.VERSION_TABLE})
        assert jobs_schema.prompts.metadata is schema.metadata
        assert compare_metadata(context, schema.metadata) == []
        assert context.get_current_revision() == schema.REVISION


def test_sqlite_keeps_a_write_ahead_log_and_waits_for_the_disk(tmp_path: Path) -> None:
    with open_store(tmp_path) as store, store.database.reading() as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "synchronous")
        }
    assert pragmas == {"journal_mode": "wal", "synchronous": 2}


def test_a_database_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    open_store(tmp_path).close()
    with contextlib.closing(sqlite3.connect(tmp_path / "tunes.sqlite3")) as connection, connection:
        connection.execute(f"UPDATE {schema.VERSION_TABLE} SET version_num = '9999'")
    with pytest.raises(TuneError, match=r"9999.*newer version"):
        open_store(tmp_path)


def test_the_first_schema_can_be_taken_back(tmp_path: Path) -> None:
    engine = take_back(tmp_path, "base")
    assert set(sa.inspect(engine).get_table_names()) <= {schema.VERSION_TABLE, "sqlite_sequence"}
    open_store(tmp_path).close()
    engine.dispose()


def test_titles_of_before_are_folded_and_stay_apart(tmp_path: Path) -> None:
    take_back(tmp_path, "0001").dispose()
    with contextlib.closing(sqlite3.connect(tmp_path / "tunes.sqlite3")) as connection, connection:
        row = "is_api, name, ckpt_urls, created_at, updated_at) VALUES (?, 0, 'x', '[]', '2026-01-01', '2026-01-01')"
        for title in ("Anna  2026", "Anna\u00a02026", "Ben", "B\u200ben", "Anna 2027"):
            connection.execute(f"INSERT INTO faceid_tunes (title, {row}", (title,))
    with open_store(tmp_path) as store:
        assert [title for _, title in store.titles()] == ["Anna 2027", "Ben (4)", "Ben", "Anna 2026 (2)", "Anna 2026"]
        assert store.find("Anna  2026").id == 1


@pytest.mark.slow
def test_migrations_run_when_the_package_is_loaded_by_path_as_comfyui_does(tmp_path: Path) -> None:
    """ComfyUI names the module after its folder; ours also holds a space and a percent sign here."""
    (tmp_path / "custom nodes 100%").symlink_to(ROOT, target_is_directory=True)
    script = f"""
import importlib, importlib.util, sys
folder = {str(tmp_path / "custom nodes 100%")!r}
name = folder.replace(".", "_x_")
spec = importlib.util.spec_from_file_location(name, folder + "/__init__.py", submodule_search_locations=[folder])
sys.modules[name] = package = importlib.util.module_from_spec(spec)
spec.loader.exec_module(package)
store = importlib.import_module(name + ".faceid_core.tunes.store")
with store.open_store({str(tmp_path / "home")!r}) as opened:
    sys.stdout.write(repr(opened.list()))
assert "faceid_tunes" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=tmp_path)
    assert (done.stdout, done.returncode) == ("()", 0), done.stderr


def test_the_tune_value_imports_neither_a_database_nor_numpy() -> None:
    script = """
import sys
import faceid_tunes.faceid_core.tunes.tune, faceid_tunes.faceid_core.tunes.errors
heavy = {"sqlalchemy", "alembic", "fsspec", "numpy", "torch"} & set(sys.modules)
sys.exit(f"imported {heavy}" if heavy else 0)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
