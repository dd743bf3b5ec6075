"""``faceid tunes create|list|show``: people stored under a title; tune_*.py have the rest."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from ..faceid_core.errors import printable
from . import tune_changes, tune_photos, tune_store
from .home import add_home_option, opened_store, photo_bytes
from .photo_options import (
    add_order_options,
    add_pack_options,
    add_tune_argument,
    chosen_pack,
    orders_of,
    remark_lines,
    tune_line,
    tune_named,
)


def add_to(subjects: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subjects.add_parser("tunes", help="people stored under a title")
    commands = parser.add_subparsers(
        required=True,
        metavar="{create,list,show,photo,add-photo,drop-photo,rename,delete,export,import,"
        "check,backup,restore,purge,accept}",
    )

    create = commands.add_parser("create", help="store a person under a title")
    create.add_argument("photos", nargs="+", type=Path, metavar="PHOTO", help="picture files of the person")
    create.add_argument("--title", required=True, help="unique name; the same title is the same person")
    create.add_argument("--name", default="person", help="the person's class word in a prompt: man, woman, person, ...")
    add_pack_options(create)
    add_order_options(create)
    create.set_defaults(run=_create_tune)

    listing = commands.add_parser("list", help="newest first")
    listing.add_argument("--limit", type=int, default=20, metavar="N", help="how many at most; default: 20")
    listing.add_argument("--before-id", type=int, metavar="ID", help="older ones than this, for the next page")
    listing.set_defaults(run=_list_tunes)

    show = commands.add_parser("show", help="one tune, by id or title")
    add_tune_argument(show)
    show.set_defaults(run=_show_tune)

    tune_photos.add_to(commands)
    tune_changes.add_to(commands)
    tune_store.add_to(commands)
    add_home_option(parser)


def _create_tune(options: argparse.Namespace) -> Iterator[str]:
    from ..faceid_core.pictures.candidates import candidates_shown
    from ..faceid_core.tunes.create import create_tune

    photos = [photo_bytes(path) for path in options.photos]
    pack, orders = chosen_pack(options), orders_of(options)
    with opened_store(options) as store, candidates_shown(Path()):
        tune = create_tune(store, photos, options.title, options.name, pack, orders=orders)
    yield tune_line(tune)
    yield from remark_lines(tune, options.photos, photos)


def _list_tunes(options: argparse.Namespace) -> Iterator[str]:
    from ..faceid_core.tunes.home import own_home

    with opened_store(options) as store:
        found, place = store.list(limit=options.limit, before_id=options.before_id), store.database.where
    yield from map(tune_line, found)
    said = f"These are in {place}."
    if not found and options.before_id is not None:
        said = f"No older ones in {place}."
    elif not found:
        said = f"No tunes yet in {place}. `faceid tunes create` stores a person."
        elsewhere = own_home() / "tunes.sqlite3"
        if elsewhere != Path(place) and elsewhere.exists():
            said += f" There may be some in {elsewhere.parent}: --home names a folder."
    sys.stderr.write(f"{printable(said)}\n")  # what reads standard output gets tunes only


def _show_tune(options: argparse.Namespace) -> Iterator[str]:
    with opened_store(options) as store:
        tune = tune_named(store, options.tune)
    yield tune_line(tune)
    yield f"  class name   {tune.name}"
    yield f"  created      {_time(tune.created_at)}"
    yield f"  expires      {_time(tune.expires_at) if tune.expires_at else 'never'}"
    yield f"  face pack    {tune.pack} (embedding space {tune.space})"
    if tune.remote_id is not None:
        yield f"  remote id    {tune.remote_id} at {tune.remote_url}"
    remarks = dict(tune.remarks)
    for number, photo in enumerate(tune.photos, 1):
        said = [f"face, score {photo.face.score:.2f}" if photo.face else "no face"]
        said += [f"weight {photo.weight:g}"] if photo.weight != 1 else []
        said += [remarks[number]] if number in remarks else []
        yield f"  photo {number}      {photo.width}x{photo.height} {photo.media_type}, {', '.join(said)}"


def _time(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC" if moment else "unknown"
