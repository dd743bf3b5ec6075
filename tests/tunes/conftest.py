"""Real photos, their real analysis (once), and an empty store on each database."""

from __future__ import annotations

import dataclasses
import io
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from faceid_tunes.faceid_core.faces.packs import FacePack
from faceid_tunes.faceid_core.tunes.analysis import Analysis, analyse
from faceid_tunes.faceid_core.tunes.store import TuneStore, open_store
from faceid_tunes.faceid_core.tunes.tune import Tune
from PIL import Image
from support.photos import INSIGHTFACE

SERVER = "FACEID_TEST_DATABASE_URL"  # a PostgreSQL server, for example postgresql+psycopg://user@127.0.0.1/postgres


@dataclasses.dataclass(frozen=True)
class Photos:
    """Image files as a user uploads them."""

    astronaut: bytes  # one woman, PNG
    actor: bytes  # one man, PNG
    friends: bytes  # six people, JPEG
    coffee: bytes  # nobody, PNG


@pytest.fixture(scope="session")
def photos() -> Photos:
    return Photos(
        astronaut=_png(skimage.data.astronaut()),
        actor=(INSIGHTFACE / "Tom_Hanks_54745.png").read_bytes(),
        friends=(INSIGHTFACE / "t1.jpg").read_bytes(),
        coffee=_png(skimage.data.coffee()),
    )


@pytest.fixture(scope="session")
def analysis(photos: Photos, pack: FacePack) -> Analysis:
    """Of two photos, the second without a face."""
    return analyse([photos.astronaut, photos.coffee], pack)


@pytest.fixture(scope="session")
def another_analysis(photos: Photos, pack: FacePack) -> Analysis:
    return analyse([photos.actor], pack)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def database_url(request: pytest.FixtureRequest) -> Iterator[str | None]:
    """None (SQLite in the store's folder), or a PostgreSQL schema of its own on the server that the tester names."""
    if request.param == "sqlite":
        yield None
        return
    if SERVER not in os.environ:
        pytest.skip(f"no PostgreSQL server: set {SERVER}")
    import sqlalchemy as sa

    server = sa.make_url(os.environ[SERVER])
    schema = f"test_{secrets.token_hex(6)}"
    engine = sa.create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sa.schema.CreateSchema(schema))
        scoped = server.update_query_dict({"options": f"-csearch_path={schema}"})
        yield scoped.render_as_string(hide_password=False)
        connection.execute(sa.schema.DropSchema(schema, cascade=True))
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


@pytest.fixture
def create(store: TuneStore, analysis: Analysis) -> Callable[..., Tune]:
    """Keep a tune of the astronaut, without analysing the photo again."""

    def keep(title: str = "alice", **fields: object) -> Tune:
        return store.create(analysis.tune(title, **{"name": "woman", **fields}), analysis.files)

    return keep


def _png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()
