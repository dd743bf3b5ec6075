"""What is damaged in a store, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from .queries import MAX_LIMIT
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
    """Read every tune and every file a tune needs, and compare each file's content with its name. Changes nothing."""
    tunes = tuple(_all_tunes(store))
    needed = {name for tune in tunes for name in store.files_of(tune.id)}
    problems = {name: problem for name in sorted(needed) if (problem := store.blobs.problem(name))}
    there = set(store.blobs.older_than(timedelta(0)))
    unneeded = there - needed - store.known_files(there)
    damages = tuple(damage for tune in tunes for damage in _damages(store, tune, problems))
    return Checked(len(tunes), len(needed), len(unneeded), damages, store.database_problems())


def _all_tunes(store: TuneStore) -> Iterator[Tune]:
    before_id = None
    while page := store.list(MAX_LIMIT, before_id):
        yield from page
        before_id = page[-1].id


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
