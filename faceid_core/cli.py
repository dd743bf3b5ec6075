"""The command line: ``faceid tunes create|list|show|purge`` and ``faceid prompt check``.

A skin: it parses arguments, calls the core and writes lines. Errors go to standard error with exit status 1, a prompt
that only has advice to offer exits with 0; Ctrl-C exits with 130.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import FaceIDError

if TYPE_CHECKING:
    from .tunes.store import TuneStore
    from .tunes.tune import Tune


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit status is returned."""
    options = _parser().parse_args(arguments)
    try:
        for line in options.run(options):
            sys.stdout.write(line + "\n")
    except FaceIDError as error:
        sys.stderr.write(f"faceid: {error}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="faceid", description="Identities from photos, and prompts that name them.")
    subjects = parser.add_subparsers(required=True, metavar="{tunes,prompt}")
    _add_tunes(subjects.add_parser("tunes", help="people kept under a title"))
    prompt = subjects.add_parser("prompt", help="prompt texts").add_subparsers(required=True, metavar="{check}")
    check = prompt.add_parser("check", help="say what is wrong with a text, and what could be better")
    check.add_argument("text", help="for example '<faceid:12:1> woman trekking in the alps'")
    check.add_argument("--home", type=Path, help=_HOME_HELP)
    check.set_defaults(run=_check_prompt)
    return parser


_HOME_HELP = "folder of the tunes (ComfyUI keeps them in user/__faceid_tunes; FACEID_TUNES_HOME sets it too)"


def _add_tunes(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--home", type=Path, help=_HOME_HELP)
    commands = parser.add_subparsers(required=True, metavar="{create,list,show,purge}")

    create = commands.add_parser("create", help="keep a person under a title")
    create.add_argument("photos", nargs="+", type=Path, metavar="PHOTO")
    create.add_argument("--title", required=True, help="unique name; the same title is the same person")
    create.add_argument("--name", default="person", help="what the person is in a prompt: man, woman, person, ...")
    create.add_argument("--face-pack", default="auto", help="auto, yunet_sface (embedded), buffalo_l, ...")
    create.add_argument(
        "--insightface", type=Path, action="append", default=[], metavar="DIR", help="a models/insightface folder"
    )
    create.set_defaults(run=_create_tune)

    listing = commands.add_parser("list", help="newest first")
    listing.add_argument("--limit", type=int, default=20)
    listing.add_argument("--before-id", type=int)
    listing.set_defaults(run=_list_tunes)

    show = commands.add_parser("show", help="one tune, by id or title")
    show.add_argument("tune", metavar="ID_OR_TITLE")
    show.set_defaults(run=_show_tune)

    commands.add_parser("purge", help="delete expired tunes and files no tune needs").set_defaults(run=_purge)


def _store(options: argparse.Namespace) -> TuneStore:
    from .tunes.store import open_store

    return open_store(options.home)


def _create_tune(options: argparse.Namespace) -> Iterator[str]:
    from .faces import find_pack
    from .tunes.create import create_tune

    photos = [_photo(path) for path in options.photos]
    pack = find_pack(options.face_pack, options.insightface)
    with _store(options) as store:
        tune = create_tune(store, photos, options.title, options.name, pack)
    yield _line(tune)
    for number in tune.photos_without_face:
        yield f"  no face was found in photo {number} ({options.photos[number - 1]})"


def _photo(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise FaceIDError(f"{path}: cannot be read ({error.strerror}).") from error


def _list_tunes(options: argparse.Namespace) -> Iterator[str]:
    with _store(options) as store:
        yield from map(_line, store.list(limit=options.limit, before_id=options.before_id))


def _show_tune(options: argparse.Namespace) -> Iterator[str]:
    from .prompts.text import Tag
    from .tunes.refs import tune_of

    with _store(options) as store:
        tune = tune_of(store, Tag("faceid", options.tune))
    yield _line(tune)
    yield f"  class name   {tune.name}"
    yield f"  created      {_time(tune.created_at)}"
    yield f"  expires      {_time(tune.expires_at) if tune.expires_at else 'never'}"
    yield f"  face pack    {tune.pack} (embedding space {tune.space})"
    if tune.remote_id is not None:
        yield f"  remote id    {tune.remote_id} at {tune.remote_url}"
    for number, photo in enumerate(tune.photos, 1):
        found = f"face, score {photo.face.score:.2f}" if photo.face else "no face"
        yield f"  photo {number}      {photo.width}x{photo.height} {photo.media_type}, {found}"


def _purge(options: argparse.Namespace) -> Iterator[str]:
    with _store(options) as store:
        purged = store.purge()
    yield f"{purged.tunes} expired tunes and {purged.blobs} files deleted, {purged.bytes / 1e6:.1f} MB freed"


def _check_prompt(options: argparse.Namespace) -> Iterator[str]:
    from .prompts import Prompt, lint
    from .tunes.refs import named_tune

    prompt = Prompt(options.text)
    with _store(options) as store:
        tunes = {tag.ref: named_tune(store, tag, prompt.text) for tag in prompt.parsed.faces}
    for ref, tune in tunes.items():
        yield f"<faceid:{ref}:...> is {tune.title!r} ({tune.name})"
    yield f"text: {prompt.parsed.plain_text}"
    yield from (f"advice: {found.message}" for found in lint(prompt, tunes))


def _line(tune: Tune) -> str:
    photos = f"{len(tune.photos)} photo{'s' if len(tune.photos) > 1 else ''}"
    return f"{tune.id:>6}  {tune.title}  ({tune.name}, {photos})  <faceid:{tune.id}:1>"


def _time(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC" if moment else "unknown"
