"""Everything in a store as one file: people, their photos and embeddings, the service's prompts and pictures.

The file is a zip: ``manifest.json``, the database at one moment as ``tunes.sqlite3``, and ``files/SHA256``. It is
written while others use the store.
"""

from __future__ import annotations

import json
import sqlite3
import tempfile
import zipfile
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from ..tunes.errors import TuneError
from ..tunes.schema import REVISION
from ..tunes.store import TuneStore
from .row_copies import write_snapshot

FORMAT, VERSION = "faceid-backup", 1
MANIFEST, DATABASE, FILES = "manifest.json", "tunes.sqlite3", "files/"
NAMED_FILES = (
    "SELECT sha256 FROM faceid_tune_photos UNION SELECT sha256 FROM faceid_tune_faces WHERE sha256 IS NOT NULL "
    "UNION SELECT sha256 FROM faceid_other_files"
)
_ATTEMPTS = 5


@dataclass(frozen=True)
class BackedUp:
    """What a backup holds, or what was restored; ``left_out``: a sentence for each file that cannot be read."""

    tunes: int
    prompts: int
    files: int
    left_out: tuple[str, ...] = ()


def back_up(store: TuneStore, file: IO[bytes], folder: Path) -> BackedUp:
    """Write the store into ``file``, open for binary writing, seekable; ``folder`` holds a copy of the rows meanwhile.

    Raises:
        TuneError: the database cannot be read, or people were deleted again and again meanwhile.
        OSError: the disk is full.
    """
    for _ in range(_ATTEMPTS):
        file.seek(0)
        file.truncate()
        with tempfile.TemporaryDirectory(dir=folder, prefix=".faceid-backup-") as scratch:
            snapshot = Path(scratch, DATABASE)
            write_snapshot(store.database, snapshot)
            done = _write(store, file, snapshot)
        if done is not None:
            return done
    raise TuneError(f"Photos were deleted {_ATTEMPTS} times while they were read. Run the backup again.")


def count_rows(snapshot: Path) -> tuple[int, int]:
    """How many tunes and prompts a snapshot has."""
    with closing(sqlite3.connect(snapshot)) as rows:
        tunes, prompts = (
            rows.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in ("faceid_tunes", "faceid_prompts")
        )
    return tunes, prompts


def named_files(snapshot: Path) -> list[str]:
    """The sha256 of every file that its rows name, as they name it."""
    with closing(sqlite3.connect(snapshot)) as rows:
        rows.text_factory = lambda data: data.decode("utf-8", "replace")
        return sorted({str(name) for (name,) in rows.execute(NAMED_FILES)})


def _write(store: TuneStore, file: IO[bytes], snapshot: Path) -> BackedUp | None:
    """None when a file was removed since the snapshot: with its tune, so that a later snapshot is whole."""
    tunes, prompts = count_rows(snapshot)
    left_out: list[str] = []
    written = 0
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        archive.write(snapshot, DATABASE)
        for name in named_files(snapshot):
            try:
                data = store.blobs.get(name)
            except TuneError as error:
                if not store.known_files([name]):
                    return None
                left_out.append(str(error))
                continue
            archive.writestr(FILES + name, data)
            written += 1
        about = {"format": FORMAT, "version": VERSION, "schema": REVISION, "tunes": tunes, "prompts": prompts}
        archive.writestr(MANIFEST, json.dumps(about | {"files": written}))
    return BackedUp(tunes, prompts, written, tuple(left_out))
