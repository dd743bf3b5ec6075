"""``faceid tunes check|backup|restore|purge|accept``: the store as a whole."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ..faceid_core.errors import FaceIDError
from .home import home_of, opened_store

if TYPE_CHECKING:
    from ..faceid_core.jobs.backup import BackedUp


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    commands.add_parser("check", help="find damaged photos and embeddings, and say what to do").set_defaults(run=_check)
    backup = commands.add_parser("backup", help="write everything into one file, also while others use it")
    backup.add_argument(
        "file", type=Path, metavar="FILE", help="for example tunes.faceid-backup.zip; must not exist yet"
    )
    backup.set_defaults(run=_backup)
    back = commands.add_parser("restore", help="bring such a file back into an empty folder (--home)")
    back.add_argument("file", type=Path, metavar="FILE", help="what `faceid tunes backup` wrote")
    back.set_defaults(run=_restore)
    purge = commands.add_parser("purge", help="delete expired tunes and files no tune needs")
    purge.add_argument(
        "--force", action="store_true", help="also where most files are unknown to this database, or are another one's"
    )
    purge.set_defaults(run=_purge)
    accept = commands.add_parser("accept", help="begin a new, empty database beside files that are there already")
    accept.set_defaults(run=_accept)


def _check(options: argparse.Namespace) -> Iterator[str]:
    from ..faceid_core.tunes.check import check_store

    with opened_store(options) as store:
        found = check_store(store)
    yield f"{found.tunes} tunes and {found.files} files checked"
    for problem in found.database:
        yield f"the database: {problem}"
    for damage in found.damages:
        yield f"tune {damage.tune_id} ({damage.title!r}), {damage.problem} {damage.remedy}"
    if found.unneeded:
        yield f"{found.unneeded} files that no tune needs; `faceid tunes purge` removes them"
    if found.database or found.damages:
        raise FaceIDError(f"{len(found.database) + len(found.damages)} damaged; the lines above say what to do.")
    yield "nothing is damaged"


def _backup(options: argparse.Namespace) -> Iterator[str]:
    from ..faceid_core.disk import write_new
    from ..faceid_core.jobs.backup import back_up

    done: list[BackedUp] = []
    file = options.file.absolute()
    with opened_store(options) as store:
        try:
            write_new([file], lambda part: done.append(back_up(store, part, file.parent)), is_private=True)
        except OSError as error:
            raise FaceIDError(f"{options.file}: cannot be written ({error.strerror}). Nothing was kept.") from error
    (found,) = done
    yield f"{_counted(found)} are in {options.file}"
    if found.left_out:
        yield from (f"  left out: {sentence}" for sentence in found.left_out)
        yield "  `faceid tunes check` says which people they are of, and what to do"


def _restore(options: argparse.Namespace) -> Iterator[str]:
    from ..faceid_core.jobs.restore import restore
    from ..faceid_core.tunes.store import open_store

    try:
        file = options.file.open("rb")
    except OSError as error:
        raise FaceIDError(f"{options.file}: cannot be read ({error.strerror}).") from error
    home = home_of(options)
    with file, open_store(home, accept_files=True) as store:
        try:
            home.mkdir(mode=0o700, parents=True, exist_ok=True)
            found = restore(store, file, home)
        except OSError as error:
            raise FaceIDError(
                f"{home}: cannot be written ({error.strerror}). Free space, and restore again."
            ) from error
    yield f"{_counted(found)} are in {store.database.where}"
    yield from (f"  missing: {sentence}" for sentence in found.left_out)


def _counted(found: BackedUp) -> str:
    return f"{found.tunes} tunes, {found.prompts} prompts of the service and {found.files} files"


def _purge(options: argparse.Namespace) -> Iterator[str]:
    from ..faceid_core.tunes.purge import purge_own_files

    with opened_store(options) as store:
        purged = purge_own_files(store, force=options.force)
    yield f"{purged.tunes} expired tunes and {purged.blobs} files deleted, {purged.bytes / 1e6:.1f} MB freed"


def _accept(options: argparse.Namespace) -> Iterator[str]:
    from ..faceid_core.tunes.store import open_store

    with open_store(options.home, accept_files=True) as store:
        store.blobs.mark()
        others = store.blobs.other_owners()
    yield f"{store.database.where} keeps its files in {store.blobs.root} from now on"
    for other in others:
        yield f"  {other} has files there, too: nothing there is deleted by either, unless purge is forced"
