"""A backup into an empty store. Files first, rows last and at once: killed at any moment, it can be run again."""

from __future__ import annotations

import json
import shutil
import sqlite3
import tempfile
import zipfile
from contextlib import closing
from pathlib import Path
from typing import IO, Any

import sqlalchemy as sa

from ..damaged_zip import DAMAGED_ZIP
from ..tunes.database import Database
from ..tunes.errors import TuneError
from ..tunes.store import TuneStore
from .backup import DATABASE, FILES, FORMAT, MANIFEST, VERSION, BackedUp, count_rows, named_files
from .row_copies import load_snapshot

_MAX_MANIFEST = 2**20  # bytes
_MAX_FILE = 2**30
_SCRATCH = ".faceid-restore-"


def restore(store: TuneStore, file: IO[bytes], folder: Path) -> BackedUp:
    """Bring back what ``back_up`` wrote; ``folder`` holds a copy of the rows meanwhile.

    Args:
        store: empty; files that are there already stay.
        file: open for binary reading, seekable. Each file in it is checked against its name.
        folder: where the store is.

    Raises:
        TuneError: it is no backup, is damaged or of a newer version, or the store is not empty.
    """
    for left in folder.glob(f"{_SCRATCH}*"):  # of one that was killed
        shutil.rmtree(left, ignore_errors=True)
    try:
        with (
            zipfile.ZipFile(file) as archive,
            tempfile.TemporaryDirectory(dir=folder, prefix=_SCRATCH) as scratch,
        ):
            _check_manifest(archive)
            snapshot = Path(scratch, DATABASE)
            _extract(archive, snapshot)
            left_out, files = _put_files(archive, snapshot, store)
            tunes, prompts = count_rows(snapshot)
            load_snapshot(snapshot, store.database)
    except DAMAGED_ZIP as error:
        raise _refused(str(error)) from error
    except sqlite3.Error as error:
        raise TuneError(f"The rows of the backup cannot be stored in {store.database.where}: {error}.") from error
    return BackedUp(tunes, prompts, files, tuple(left_out))


def _check_manifest(archive: zipfile.ZipFile) -> None:
    found = archive.infolist()
    if any(entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1 for entry in found):
        raise _refused("parts of it are compressed or encrypted")
    if archive.getinfo(MANIFEST).file_size > _MAX_MANIFEST:
        raise _refused("its manifest is too large")
    try:
        manifest: Any = json.loads(archive.read(MANIFEST))
    except (ValueError, RecursionError) as error:
        raise _refused("its manifest cannot be read") from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise _refused("its manifest is that of something else")
    if manifest.get("version") != VERSION:
        raise TuneError(
            f"The backup is of version {manifest.get('version')!r}, and this one reads {VERSION}. Update it."
        )


def _extract(archive: zipfile.ZipFile, snapshot: Path) -> None:
    """The database of the backup, whole and of the current schema."""
    with archive.open(DATABASE) as source, snapshot.open("wb") as target:
        shutil.copyfileobj(source, target)
    try:
        with closing(sqlite3.connect(snapshot)) as rows:
            state = rows.execute("PRAGMA quick_check(1)").fetchone()
            kinds = {kind for (kind,) in rows.execute("SELECT type FROM sqlite_master")}
    except sqlite3.Error as error:
        raise _refused(f"its database cannot be read ({error})") from error
    if state != ("ok",) or kinds - {"table", "index"}:
        raise _refused("its database is damaged")
    Database(sa.URL.create("sqlite", database=str(snapshot))).close()  # brings an older one up to date


def _put_files(archive: zipfile.ZipFile, snapshot: Path, store: TuneStore) -> tuple[list[str], int]:
    left_out, files = [], 0
    entries = {entry.filename: entry for entry in archive.infolist()}
    for name in named_files(snapshot):
        entry = entries.get(FILES + name)
        if entry is None:
            left_out.append(f"{name[:80]} is not in the backup.")
            continue
        if entry.file_size > _MAX_FILE:
            raise _refused(f"{name} is too large")
        data = archive.read(entry)
        if store.blobs.name_of(data) != name:
            raise _refused(f"{FILES}{name} is damaged")
        store.blobs.put(data)
        files += 1
    return left_out, files


def _refused(reason: str) -> TuneError:
    return TuneError(f"This is not a whole backup as `faceid tunes backup` writes it: {reason}. Nothing was restored.")
