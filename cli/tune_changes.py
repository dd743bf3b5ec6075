"""``faceid tunes delete|rename|export|import``: a person removed, called otherwise, taken elsewhere."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ..faceid_core.errors import FaceIDError
from .home import opened_store, remote_settings
from .photo_options import add_pack_options, add_tune_argument, chosen_pack, remark_lines, tune_line, tune_named

if TYPE_CHECKING:
    from ..faceid_core.astria.settings import AstriaSettings
    from ..faceid_core.tunes.tune import Tune


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    delete = commands.add_parser("delete", help="delete a person: rows, photos, embeddings")
    add_tune_argument(delete)
    delete.add_argument("--remote", action="store_true", help="on the remote API, too, and first")
    delete.set_defaults(run=_delete)

    rename = commands.add_parser("rename", help="give a person another title; the number stays")
    add_tune_argument(rename)
    rename.add_argument("title", metavar="NEW_TITLE", help="unique, and not the number of another tune")
    rename.add_argument("--name", help="another class word, too: man, woman, person, ...")
    rename.set_defaults(run=_rename)

    export = commands.add_parser("export", help="write a person, photos and all, into one file")
    add_tune_argument(export)
    export.add_argument("file", type=Path, metavar="FILE", help="for example anna.faceid.zip; must not exist yet")
    export.set_defaults(run=_export)

    taken = commands.add_parser("import", help="store the person of such a file")
    taken.add_argument("file", type=Path, metavar="FILE", help="what `faceid tunes export` wrote")
    taken.add_argument("--title", help="other than the one in the file")
    add_pack_options(taken)
    taken.set_defaults(run=_import)


def _delete(options: argparse.Namespace) -> Iterator[str]:
    from ..faceid_core.tunes.errors import DamagedValueError

    with opened_store(options) as store:
        try:
            tune = tune_named(store, options.tune)
        except DamagedValueError as error:
            if error.tune_id is None:
                raise
            deleted = store.delete(error.tune_id)
            yield f"tune {error.tune_id}, which was damaged, is deleted: {deleted.blobs} files"
            return
        if tune.remote_id is not None and options.remote:
            yield _deleted_there(tune, remote_settings(options))
        deleted = store.delete(tune.id)
        yield f"tune {tune.id} ({tune.title!r}) is deleted: {deleted.blobs} files, {deleted.bytes / 1e6:.1f} MB"
        others = store.blobs.other_owners()
    if others:
        yield f"  its files stay in {store.blobs.root}: {' and '.join(map(str, others))} may need them"
    elif deleted.blobs < len({photo.sha256 for photo in tune.photos}):
        yield "  files that another tune has, too, stay with it"
    if tune.remote_id is not None and not options.remote:
        yield f"  tune {tune.remote_id} at {tune.remote_url} is still there: delete it on that side, too"
    yield "  pictures already drawn, and copies in the store of a ComfyUI it was drawn in (--home), are not touched"


def _deleted_there(tune: Tune, settings: AstriaSettings) -> str:
    """Delete the remote tune; one that is not there any more is as good."""
    import asyncio

    from ..faceid_core.astria.client import AstriaClient
    from ..faceid_core.astria.errors import NotFoundError

    async def delete() -> None:
        async with AstriaClient(settings) as client:
            if client.base_url != tune.remote_url:
                raise FaceIDError(
                    f"Tune {tune.remote_id} is at {tune.remote_url}, and ASTRIA_BASE_URL is {client.base_url}. "
                    "Nothing was deleted. Set it to that address, or leave --remote out."
                )
            assert tune.remote_id is not None
            await client.delete_tune(tune.remote_id)

    try:
        asyncio.run(delete())
    except NotFoundError:
        return f"tune {tune.remote_id} was not at {tune.remote_url} any more"
    return f"tune {tune.remote_id} is deleted at {tune.remote_url}"


def _rename(options: argparse.Namespace) -> Iterator[str]:
    changes = {"title": options.title} | ({"name": options.name} if options.name else {})
    with opened_store(options) as store:
        yield tune_line(store.update(tune_named(store, options.tune).id, **changes))


def _export(options: argparse.Namespace) -> Iterator[str]:
    from ..faceid_core.disk import write_new
    from ..faceid_core.tunes.transfer import export_tune

    with opened_store(options) as store:
        tune = tune_named(store, options.tune)
        try:
            write_new([options.file], lambda file: export_tune(store, tune, file))  # half a person is none
        except OSError as error:
            raise FaceIDError(f"{options.file}: cannot be written ({error.strerror}).") from error
    yield f"tune {tune.id} ({tune.title!r}) is in {options.file}: {len(tune.photos)} photos and what was found in them"


def _import(options: argparse.Namespace) -> Iterator[str]:
    from ..faceid_core.tunes.transfer import import_tune

    try:
        file = options.file.open("rb")
    except OSError as error:
        raise FaceIDError(f"{options.file}: cannot be read ({error.strerror}).") from error
    with file, opened_store(options) as store:
        tune = import_tune(store, file, chosen_pack(options), title=options.title)
    yield tune_line(tune)
    yield from remark_lines(tune)
