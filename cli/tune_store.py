"""``faceid tunes check|purge|accept``: the store as a whole."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from ..faceid_core.errors import FaceIDError
from .home import opened_store


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    commands.add_parser("check", help="find damaged photos and embeddings, and say what to do").set_defaults(run=_check)
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
