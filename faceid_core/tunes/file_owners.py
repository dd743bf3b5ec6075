"""Whose the files are: a place for files holds the id of each database that wrote into it.

A database that is empty, and files that are not its own, are not a new store: the database was lost, or this is another
one. What no row of this database names may be named by a row of another, so nothing is removed where there are two.
"""

from __future__ import annotations

import logging
import os
import uuid

import sqlalchemy as sa

from .blobs import Blobs, Owner
from .database import Database
from .errors import TuneError
from .schema import database_id, other_files, tunes

_log = logging.getLogger(__name__)
_WAYS_OUT = (
    "Nothing was changed. If the database is elsewhere, name it with FACEID_TUNES_DATABASE_URL or --home; if it was "
    "lost, bring it back with `faceid tunes restore BACKUP`; to begin anew beside these files, run "
    "`faceid tunes accept`."
)


def owner_of(database: Database) -> Owner:
    """The database, as its files name it. One whose row is damaged gets a new id: what it had is another's then."""
    with database.reading() as connection:
        uid = connection.execute(sa.select(database_id.c.uid)).scalar()
    if isinstance(uid, str) and Owner.is_uid(uid):
        return Owner(uid, database.where)
    uid = uuid.uuid4().hex
    if not database.is_read_only:
        _log.warning("%s: the row that says which database this is was damaged, and is made anew.", database.where)
        set_owner(database, uid)
    return Owner(uid, database.where)


def set_owner(database: Database, uid: str) -> None:
    """Write down which database this is."""
    with database.writing() as connection:
        connection.execute(database_id.delete())
        connection.execute(database_id.insert().values(id=1, uid=uid))


def refuse_missing_database(path: str | os.PathLike[str], blobs: Blobs) -> None:
    """Raise TuneError when there is no database file, or an empty one, beside files: before one is made."""
    try:
        if _bytes(path) or not blobs.has_files() or _bytes(path):  # again: another process may just have made it
            return
        state = "is empty (0 bytes)" if os.path.exists(path) else "is missing"
    except OSError as error:
        _log.warning("%s: cannot be looked at (%s).", blobs.root, error)
        return
    raise TuneError(f"The tune database {path} {state}, and {_whose(blobs)}. {_WAYS_OUT}")


def refuse_files_of_others(database: Database, blobs: Blobs) -> None:
    """Raise TuneError when the database is empty and the files are not its own. Files of before ids become its own."""
    if database.is_read_only:
        return
    try:
        if blobs.is_marked():
            return
        if database.was_upgraded:
            blobs.mark()
            return
        if _has_rows(database) or not blobs.has_files() or blobs.is_marked():  # again: as above
            return
        whose = _whose(blobs)
    except OSError as error:
        _log.warning("%s: cannot be looked at (%s).", blobs.root, error)
        return
    raise TuneError(f"The tune database {database.where} is empty, and {whose}. {_WAYS_OUT}")


def refuse_purge(blobs: Blobs, known: set[str], files: frozenset[str], database: Database) -> None:
    """Raise TuneError when files that this database does not name may be needed by another one."""
    unknown, others = len(files) - len(known), blobs.other_owners()
    said = f"{unknown} of {len(files)} files are not known to this database ({database.where})"
    if unknown and others:
        raise TuneError(
            f"{said}; they may be another one's: {blobs.root} also has files of {' and '.join(map(str, others))}. "
            "Nothing was deleted. Give each database a place of its own (`faceid tunes backup`, then "
            "`faceid tunes restore` with another --home or FACEID_TUNES_BLOBS_URL). Only if the other database is gone "
            "for ever, run `faceid tunes purge --force`: it deletes what the other one needs."
        )
    if unknown > len(files) / 2:
        raise TuneError(
            f"{said}; they may be another one's. Nothing was deleted. Set FACEID_TUNES_DATABASE_URL or --home to the "
            "database they belong to; if there is none, run `faceid tunes purge --force`."
        )


def _whose(blobs: Blobs) -> str:
    others = blobs.other_owners()
    owners = " and ".join(map(str, others)) if others else "a database of which only the files are left"
    return f"{blobs.root} has files of tunes, of {owners}"


def _bytes(path: str | os.PathLike[str]) -> int:
    return os.path.getsize(path) if os.path.exists(path) else 0


def _has_rows(database: Database) -> bool:
    with database.reading() as connection:
        return any(
            connection.execute(sa.select(sa.literal(1)).select_from(table).limit(1)).first() is not None
            for table in (tunes, other_files)
        )
