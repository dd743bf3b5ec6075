"""Options about the photos of a tune: which face pack looks at them, which count, which face is meant."""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..faceid_core.errors import FaceIDError

if TYPE_CHECKING:
    from ..faceid_core.faces import FacePack
    from ..faceid_core.tunes.orders import PhotoOrder
    from ..faceid_core.tunes.store import TuneStore
    from ..faceid_core.tunes.tune import Tune


def add_tune_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("tune", metavar="ID_OR_TITLE", help="as `faceid tunes list` has it")


def add_pack_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--face-pack", default="auto", help="auto, yunet_sface (embedded), buffalo_l, ...")
    parser.add_argument(
        "--insightface", type=Path, action="append", default=[], metavar="DIR", help="a models/insightface folder"
    )


def chosen_pack(options: argparse.Namespace) -> FacePack:
    from ..faceid_core.faces import find_pack

    return find_pack(options.face_pack, options.insightface)


def add_order_options(parser: argparse.ArgumentParser) -> None:
    """``--ignore``, ``--use``, ``--face`` and ``--weight``, each with the number of a photo."""
    group = parser.add_argument_group("single photos, by number from 1")
    group.add_argument("--ignore", action="append", default=[], metavar="N", help="photo N does not count")
    group.add_argument("--use", action="append", default=[], metavar="N", help="photo N counts, whatever it shows")
    group.add_argument(
        "--face",
        action="append",
        default=[],
        metavar="N=K",
        help="the person is face K of photo N; from 0, left to right",
    )
    group.add_argument("--weight", action="append", default=[], metavar="N=W", help="photo N weighs W, others 1")


def orders_of(options: argparse.Namespace) -> Mapping[int, PhotoOrder]:
    """What to do with single photos, by number. Raises FaceIDError for an option that cannot be understood."""
    from ..faceid_core.tunes.orders import parse_orders

    words = [f"{number} {word}" for word in ("ignore", "use") for number in getattr(options, word)]
    for word in ("face", "weight"):
        for given in getattr(options, word):
            number, sign, value = given.partition("=")
            if not sign:
                raise FaceIDError(f"--{word} {given}: write the photo's number and the value, as in --{word} 2=1.")
            words.append(f"{number} {word} {value}")
    return parse_orders(";".join(words))


def tune_named(store: TuneStore, ref: str) -> Tune:
    """The tune with this id or title, as a tag would name it. Raises TuneNotFoundError."""
    from ..faceid_core.prompts.text import Tag
    from ..faceid_core.tunes.refs import tune_of

    return tune_of(store, Tag("faceid", ref))


def tune_line(tune: Tune) -> str:
    photos = f"{len(tune.photos)} photo{'s' if len(tune.photos) > 1 else ''}"
    return f"{tune.id:>6}  {tune.title}  ({tune.name}, {photos})  <faceid:{tune.id}:1>"


def remark_lines(tune: Tune, paths: Sequence[Path] = (), files: Sequence[bytes] = ()) -> Iterator[str]:
    """A line about each photo without a face, left out, or with something to say of it.

    ``paths`` and ``files`` are photos just given, among which are the tune's: it may have them in another order.
    """
    given = {hashlib.sha256(data).hexdigest(): f" ({path})" for path, data in zip(paths, files, strict=True)}
    remarks = dict(tune.remarks)
    for number, photo in enumerate(tune.photos, 1):
        path = given.get(photo.sha256, "")
        if photo.face is None:
            yield f"  no face was found in photo {number}{path}"
        elif number in remarks:
            yield f"  photo {number}{path}: {remarks[number]}"
