"""What is kept: the store of people, the disk it is on, and the key of the remote API, which is never shown."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from ..astria.errors import AstriaSettingsError
from ..astria.settings import KEY_FILE, read_settings
from ..errors import FaceIDError
from .finding import Finding, Level

AREA = "Kept people, and the remote API"
_LITTLE = 5e9  # bytes


def people(home: Path) -> Iterator[Finding]:
    """The store (which is not made where there is none), its disk, the key."""
    yield from _store(home)
    yield from _disk(home)
    yield _key(home)


def _store(home: Path) -> Iterator[Finding]:
    from ..tunes.store import open_store

    if "FACEID_TUNES_DATABASE_URL" not in os.environ and not (home / "tunes.sqlite3").exists():
        yield Finding(AREA, Level.GOOD, f"Nobody is kept yet. People will be kept in {home}.")
        return
    try:
        with open_store(home) as store:
            count, where, is_read_only = len(store.titles()), store.database.where, store.database.is_read_only
    except FaceIDError as error:
        yield Finding(AREA, Level.PROBLEM, str(error))
        return
    said = f"{count} {'person is' if count == 1 else 'people are'} kept in {where}"
    if is_read_only:
        yield Finding(AREA, Level.MISSING, f"{said}, which cannot be written to.", "Nobody can be added or changed.")
    else:
        yield Finding(AREA, Level.GOOD, f"{said}. `faceid tunes check` reads every file.")


def _disk(home: Path) -> Iterator[Finding]:
    there = next((folder for folder in (home, *home.parents) if folder.exists()), None)
    if there is None:
        return
    free = shutil.disk_usage(there).free
    if free < _LITTLE:
        yield Finding(AREA, Level.MISSING, f"{free / 1e9:.1f} GB are free on the disk of {home}.", "Free space there.")


def _key(home: Path) -> Finding:
    try:
        settings = read_settings(key_file=home / KEY_FILE)
    except AstriaSettingsError as error:
        return Finding(AREA, Level.MISSING, "The remote API cannot be used.", str(error))
    return Finding(AREA, Level.GOOD, f"There is a key for {settings.base_url}.")
