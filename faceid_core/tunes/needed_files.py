"""Which files the tunes need, and the removal of the others while no other process can come to need them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from .blobs import Blobs
from .columns import is_sha256
from .database import Database
from .schema import blob_lock, faces, other_files, photos, tunes
from .tune import TunePhoto

_AT_ONCE = 500  # blobs per transaction, so that other processes that create tunes never wait long


class NeededFiles:
    """The files of one database and one place for files. A file is needed while a row names it."""

    def __init__(self, database: Database, blobs: Blobs) -> None:
        self._database = database
        self._blobs = blobs

    def known(self, names: Collection[str]) -> set[str]:
        """Those of the files that a row of this database names."""
        known: set[str] = set()
        for batch in _batches(names):
            with self._database.reading() as connection:
                known |= set(connection.execute(_named_by_rows(batch)).scalars())
        return known

    def claim(self, connection: sa.Connection, files: Mapping[str, bytes]) -> None:
        """Prevent the removal of files until the commit; write again those removed since ``put``."""
        connection.execute(sa.select(blob_lock).with_for_update(read=True))
        for name, data in files.items():
            if self._blobs.size(name) != len(data):
                self._blobs.put(data)

    def remove_unneeded(self, names: Iterable[str]) -> tuple[int, int]:
        """Delete those files that no tune needs; returns how many there were and their bytes.

        None where another database has files, too: it may need them.
        """
        count, freed = 0, 0
        for batch in _batches(set(names)):
            with self._blobs.removing() as may_remove, self._database.writing() as connection:
                if not may_remove:
                    break
                connection.execute(sa.select(blob_lock).with_for_update())
                unneeded = set(batch) - set(connection.execute(_named_by_rows(batch)).scalars())
                sizes = [self._blobs.remove(name) for name in unneeded]
            count, freed = count + len(sizes), freed + sum(sizes)
        return count, freed


def files_of_rows(connection: sa.Connection, tune_ids: Sequence[int] | sa.Select[Any]) -> list[str]:
    """The files that the rows of these tunes name: their photos, and what each face pack found in them."""
    names: list[str] = []
    for table in (photos, faces):
        name = sa.type_coerce(table.c.sha256, sa.String)  # a damaged one names no file, and can be deleted
        query = sa.select(name).where(table.c.tune_id.in_(tune_ids), table.c.sha256.is_not(None))
        names += filter(is_sha256, connection.execute(query).scalars())
    return names


def refuse_damaged(connection: sa.Connection) -> None:
    """Raise DamagedValueError for a row that names a file, or an end, that cannot be read: its file is not unneeded."""
    for column in (photos.c.sha256, faces.c.sha256, other_files.c.sha256, tunes.c.expires_at):
        for _ in connection.execute(sa.select(column).execution_options(yield_per=_AT_ONCE)):
            pass


def files_of_photos(of: Iterable[TunePhoto]) -> set[str]:
    """The files that these photos and the faces in them need."""
    photos_and_faces = [(photo.sha256, photo.face.sha256 if photo.face else photo.sha256) for photo in of]
    return {name for pair in photos_and_faces for name in pair}


def _named_by_rows(names: Sequence[str]) -> sa.CompoundSelect[Any]:
    return sa.union(
        sa.select(photos.c.sha256).where(photos.c.sha256.in_(names)),
        sa.select(faces.c.sha256).where(faces.c.sha256.in_(names)),
        sa.select(other_files.c.sha256).where(other_files.c.sha256.in_(names)),
    )


def _batches(names: Collection[str]) -> Iterable[list[str]]:
    ordered = sorted(names)
    return (ordered[start : start + _AT_ONCE] for start in range(0, len(ordered), _AT_ONCE))
