"""``faceid tunes photo|add-photo|drop-photo``: the photos of a kept person, changed."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ..faceid_core.errors import FaceIDError
from .home import opened_store, photo_bytes
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

if TYPE_CHECKING:
    from ..faceid_core.tunes.tune import Tune


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    photo = commands.add_parser("photo", help="say whether a photo counts, which face is meant, how much it weighs")
    add_tune_argument(photo)
    photo.add_argument("number", type=int, metavar="N", help="of the photo, from 1, as `faceid tunes show` has it")
    words = photo.add_mutually_exclusive_group()
    words.add_argument("--use", action="store_true", help="it counts, whatever it shows")
    words.add_argument("--ignore", action="store_true", help="it does not count")
    words.add_argument("--auto", action="store_true", help="forget what was said of it")
    photo.add_argument("--face", type=int, metavar="K", help="the person is face K; from 0, left to right")
    photo.add_argument("--weight", type=float, metavar="W", help="of this photo; 1 unless said otherwise")
    add_pack_options(photo)
    photo.set_defaults(run=_photo)

    add = commands.add_parser("add-photo", help="add photos to a person, or repair damaged ones with the same files")
    add_tune_argument(add)
    add.add_argument("photos", nargs="+", type=Path, metavar="PHOTO", help="picture files of the person")
    add_pack_options(add)
    add_order_options(add)
    add.set_defaults(run=_add)

    drop = commands.add_parser("drop-photo", help="delete a photo of a person")
    add_tune_argument(drop)
    drop.add_argument("number", type=int, metavar="N", help="of the photo, from 1, as `faceid tunes show` has it")
    add_pack_options(drop)
    drop.set_defaults(run=_drop)


def _photo(options: argparse.Namespace) -> Iterator[str]:
    from ..faceid_core.tunes.edit import decide
    from ..faceid_core.tunes.orders import parse_orders

    words = [word for word in ("use", "ignore", "auto") if getattr(options, word)]
    words += [f"{word} {value}" for word in ("face", "weight") if (value := getattr(options, word)) is not None]
    if not words:
        raise FaceIDError("Say what to do with the photo: --use, --ignore, --auto, --face K or --weight W.")
    orders = parse_orders(";".join(f"{options.number} {word}" for word in words))
    with opened_store(options) as store:
        yield from _lines(decide(store, tune_named(store, options.tune), orders, chosen_pack(options)))


def _add(options: argparse.Namespace) -> Iterator[str]:
    from ..faceid_core.pictures.candidates import candidates_shown
    from ..faceid_core.tunes.edit import add_photos

    photos = [photo_bytes(path) for path in options.photos]
    with opened_store(options) as store, candidates_shown(Path()):
        before = tune_named(store, options.tune)
        tune = add_photos(store, before, photos, chosen_pack(options), orders=orders_of(options))
    yield tune_line(tune)
    yield from remark_lines(tune, options.photos, photos)
    yield from _stale(before, tune)


def _drop(options: argparse.Namespace) -> Iterator[str]:
    from ..faceid_core.tunes.edit import drop_photo

    with opened_store(options) as store:
        before = tune_named(store, options.tune)
        tune = drop_photo(store, before, options.number, chosen_pack(options))
    yield from _lines(tune)
    yield from _stale(before, tune)


def _lines(tune: Tune) -> Iterator[str]:
    yield tune_line(tune)
    yield from remark_lines(tune)


def _stale(before: Tune, after: Tune) -> Iterator[str]:
    """What to know of the remote side, which has the photos of before."""
    if before.remote_id is not None and after.remote_id is None:
        yield (
            f"  tune {before.remote_id} at {before.remote_url} still has the photos of before; "
            "the next remote picture uploads these"
        )
