"""What is damaged in a store, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

import sqlalchemy as sa

from . import schema
from .errors import DamagedValueError
from .store import TuneStore
from .tune import Tune


@dataclass(frozen=True)
class Damage:
    """One file or row that cannot be used: of which tune, what is wrong with it, what to do next."""

    tune_id: int
    title: str
    problem: str
    remedy: str


@dataclass(frozen=True)
class Checked:
    """What was looked at: tunes, the files they need, the files no tune needs, and what is damaged.

    database: what the database says of itself, empty when it is whole.
    """

    tunes: int
    files: int
    unneeded: int
    damages: tuple[Damage, ...]
    database: tuple[str, ...] = ()


def check_store(store: TuneStore) -> Checked:
    """Read every row and every file a row names, and compare each file's content with its name. Changes nothing."""
    tunes, damages = [], []
    for tune_id in store.ids():
        try:
            tunes += [tune] if (tune := store.find_id(tune_id)) else []
        except DamagedValueError as error:
            remedy = "Bring back a backup, or delete it with `faceid tunes delete`."
            damages.append(Damage(tune_id, "", f"{error.column} ({error.table}) is damaged.", remedy))
    needed = {name for tune in tunes for name in store.files_of(tune.id)}
    problems = {name: problem for name in sorted(needed) if (problem := store.blobs.problem(name))}
    there = set(store.blobs.older_than(timedelta(0)))
    unneeded = there - needed - store.known_files(there)
    damages += [damage for tune in tunes for damage in _damages(store, tune, problems)]
    rows = (*store.database_problems(), *_other_rows(store))
    return Checked(len(tunes), len(needed), len(unneeded), tuple(damages), rows)


def _other_rows(store: TuneStore) -> Iterator[str]:
    """What is damaged in rows that are not a tune's: a sentence for each table, and for each file that is missing."""
    of_tunes = {table.name for table in (schema.tunes, schema.photos, schema.faces)}
    for table in schema.metadata.sorted_tables:
        try:
            with store.database.reading() as connection:
                rows = connection.execute(sa.select(table)).all()
        except DamagedValueError as error:
            yield from () if table.name in of_tunes else (str(error),)
            continue
        if table is schema.other_files:
            for owner, name in rows:
                if problem := store.blobs.problem(name):
                    yield f"a file of {owner}: {problem}"


def _damages(store: TuneStore, tune: Tune, problems: dict[str, str]) -> Iterator[Damage]:
    photos = {photo.sha256 for photo in tune.photos}
    for number, photo in enumerate(tune.photos, 1):
        if problem := problems.get(photo.sha256):
            remedy = f"The same file repairs it: `faceid tunes add-photo {tune.id} PHOTO`."
            yield Damage(tune.id, tune.title, f"photo {number}: {problem}", remedy)
    for name in sorted(set(store.files_of(tune.id)) - photos):
        if problem := problems.get(name):
            remedy = "Nothing to do: the face is found again in its photo when it is next used."
            yield Damage(tune.id, tune.title, f"an embedding: {problem}", remedy)
