"""Forks a process per step and kills -9 each at its step of a backup or a restore.

    python kill_backup.py backup|restore FOLDER DATABASE_URL

Writes a JSON object per step: what it was killed at (empty for the last, which lived), how many tunes the file or the
store had then, and how many when the same was done again.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import sqlite3
import sys
from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import alembic.command  # noqa: F401  (imported once here, not in every fork)
import sqlalchemy as sa
from faceid_tunes.faceid_core.disk import write_new
from faceid_tunes.faceid_core.jobs.backup import back_up
from faceid_tunes.faceid_core.jobs.restore import restore
from faceid_tunes.faceid_core.tunes.store import open_store
from support.made_tunes import made_tune

starting: list[Callable[[], None]] = []  # in a fork, what begins to count its steps


def start_counting() -> None:
    if starting:
        starting.pop()()


def main(what: str, folder: Path, url: str | None) -> None:
    source = folder / "source"
    with open_store(source, database_url=url if what == "backup" else None) as store:
        for title in ("alice", "bob"):
            made_tune(store, title)
        file = io.BytesIO()
        back_up(store, file, folder)
    (folder / "whole").write_bytes(file.getvalue())
    open_store(folder / "empty").close()
    for step in count():
        home, out = folder / f"home {step}", folder / f"out {step}"
        work = partial(to_file, source, url, out) if what == "backup" else partial(into, folder / "whole", home, url)
        if what == "restore":
            shutil.copytree(folder / "empty", home)  # not made in each fork: making a store has a test of its own
        killed_at = killed_at_step(step, work)
        found: dict[str, object] = {"killed_at": killed_at}
        if what == "backup":
            found["tunes"] = tunes_in(out, folder / f"check {step}") if out.exists() else 0
            if not out.exists():
                to_file(source, url, out)
            found["afterwards"] = tunes_in(out, folder / f"again {step}")
        else:
            found["tunes"] = tunes_of(home, url)
            if not found["tunes"]:
                into(folder / "whole", home, url)
            found["afterwards"] = tunes_of(home, url, empty=True)
        sys.stdout.write(json.dumps(found) + "\n")
        if not killed_at:
            return


def to_file(source: Path, url: str | None, out: Path) -> None:
    with open_store(source, database_url=url) as store:
        start_counting()
        write_new([out], lambda file: back_up(store, file, out.parent), is_private=True)


def into(file: Path, home: Path, url: str | None) -> None:
    with open_store(home, database_url=url, accept_files=True) as store, file.open("rb") as backup:
        start_counting()
        restore(store, backup, home)


def tunes_in(file: Path, home: Path) -> int:
    into(file, home, None)
    found = tunes_of(home, None)
    shutil.rmtree(home)
    return found


def tunes_of(home: Path, url: str | None, *, empty: bool = False) -> int:
    """How many whole tunes there are; raises where one is not."""
    with open_store(home, database_url=url, accept_files=True) as store:
        tunes = store.list()
        for tune in tunes:
            for photo in tune.photos:
                store.photo_bytes(tune, photo)
                store.blobs.get(photo.face.sha256)
        for tune in tunes if empty else ():
            store.delete(tune.id)
    return len(tunes)


def killed_at_step(step: int, work: Callable[[], object]) -> str:
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            starting.append(partial(count_steps, step, theirs))
            work()
            os._exit(0)
        finally:
            os._exit(1)
    os.close(theirs)
    _, status = os.waitpid(child, 0)
    with os.fdopen(ours) as said:
        killed_at = said.read()
    if os.waitstatus_to_exitcode(status) != (-signal.SIGKILL if killed_at else 0):
        sys.exit(f"step {step}: the process failed by itself ({status})")
    return killed_at


def count_steps(step: int, pipe: int) -> None:
    left = [step]

    def one_step(what: str) -> None:
        if left[0] == 0:
            os.write(pipe, what.encode())
            os.kill(os.getpid(), signal.SIGKILL)
        left[0] -= 1

    def before(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **options: Any) -> Any:
            one_step(name)
            return call(*arguments, **options)

        return counted

    class Counted(sqlite3.Connection):
        def execute(self, query: str, *values: Any) -> sqlite3.Cursor:
            one_step(query[:60])
            return super().execute(query, *values)

    connect = sqlite3.connect
    sqlite3.connect = lambda *arguments, **options: connect(*arguments, factory=Counted, **options)
    for name in ("fsync", "replace", "link", "mkdir"):
        setattr(os, name, before(name, getattr(os, name)))
    sa.event.listen(sa.Engine, "before_cursor_execute", lambda *arguments: one_step(arguments[2][:60]))
    sa.event.listen(sa.Engine, "commit", lambda connection: one_step("commit"))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3] or None)
