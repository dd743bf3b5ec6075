"""Forks a process per step and kills -9 each at its step: before its n-th write to the disk or the database.

    python kill_at_step.py create|open FOLDER DATABASE_URL ANALYSIS(pickle)

"create" counts the steps of creating a tune; "open" those of making the store too, in a new folder each time.
Writes one JSON object per step: what it was killed at (empty for the last, which lived), the titles told as committed,
the titles there after reopening, whether every file of theirs is, and the files left after a purge that none needs.
"""

from __future__ import annotations

import json
import os
import pickle
import signal
import sys
from collections.abc import Callable
from datetime import timedelta
from itertools import count
from pathlib import Path

import alembic.command  # noqa: F401  (imported once here, not in every fork)
import sqlalchemy as sa
from faceid_tunes.faceid_core.tunes.analysis import Analysis
from faceid_tunes.faceid_core.tunes.store import open_store


def main(opening: bool, folder: Path, url: str | None, analysis: Analysis) -> None:
    for step in count():
        home = folder / (str(step) if opening else "home")
        if not opening:
            open_store(home, database_url=url).close()
        told, killed_at = killed_at_step(step, home, url, analysis)
        found = {"killed_at": killed_at, "told": told, **what_is_left(home, url)}
        sys.stdout.write(json.dumps(found) + "\n")
        if not killed_at:
            return


def killed_at_step(step: int, home: Path, url: str | None, analysis: Analysis) -> tuple[list[str], str]:
    told, kind = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        create_and_die(step, home, url, analysis, told[1], kind[1])
    os.close(told[1])
    os.close(kind[1])
    _, status = os.waitpid(child, 0)
    with os.fdopen(told[0]) as titles, os.fdopen(kind[0]) as step_kind:
        killed_at = step_kind.read()
        if os.waitstatus_to_exitcode(status) != (-signal.SIGKILL if killed_at else 0):
            sys.exit(f"step {step}: the process failed by itself ({status})")
        return titles.read().splitlines(), killed_at


def create_and_die(step: int, home: Path, url: str | None, analysis: Analysis, told: int, kind: int) -> None:
    left = [step]

    def one_step(what: str) -> None:
        if left[0] == 0:
            os.write(kind, what.encode())
            os.kill(os.getpid(), signal.SIGKILL)
        left[0] -= 1

    def before(call: Callable) -> Callable:
        def counted(*arguments: object, **options: object) -> object:
            one_step(call.__name__)
            return call(*arguments, **options)

        return counted

    try:
        for name in ("fsync", "replace", "mkdir"):
            setattr(os, name, before(getattr(os, name)))
        sa.event.listen(sa.Engine, "before_cursor_execute", lambda *arguments: one_step(arguments[2][:60]))
        sa.event.listen(sa.Engine, "commit", lambda connection: one_step("commit"))
        with open_store(home, database_url=url) as store:
            tune = store.create(analysis.tune("alice", "woman"), analysis.files)
            os.write(told, tune.title.encode())
            one_step("after the commit")
        os._exit(0)
    finally:
        os._exit(1)


def what_is_left(home: Path, url: str | None) -> dict[str, object]:
    """Looks at the reopened store, then empties it for the next step."""
    with open_store(home, database_url=url) as store:
        tunes = store.list()
        needed = [photo.sha256 for tune in tunes for photo in tune.photos]
        needed += [photo.face.sha256 for tune in tunes for photo in tune.photos if photo.face]
        whole = all([store.blobs.get(name) for name in needed])  # raises for a missing or damaged one
        store.purge(grace=timedelta(0))
        files = {path.name for path in (home / "blobs").rglob("*") if path.is_file()}
        files -= {path.name for path in (home / "blobs").glob("database-*")}  # whose files they are
        for tune in tunes:
            store.delete(tune.id)
    return {
        "there": [tune.title for tune in tunes],
        "photos": [len(tune.photos) for tune in tunes],
        "whole": whole,
        "orphans": sorted(files - set(needed)),
    }


if __name__ == "__main__":
    what, at, database_url, pickled = sys.argv[1:]
    main(what == "open", Path(at), database_url or None, pickle.loads(Path(pickled).read_bytes()))
