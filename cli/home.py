"""The commands' store of people, and how they read photos."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ..faceid_core.errors import FaceIDError

if TYPE_CHECKING:
    from ..faceid_core.astria.settings import AstriaSettings
    from ..faceid_core.tunes.store import TuneStore


def add_home_option(parser: argparse.ArgumentParser) -> None:
    """``--home`` for a command and every subcommand it has by now: it is read at any place after the subject."""
    parser.set_defaults(home=None)
    for each in with_subcommands(parser):
        each.add_argument(
            "--home",
            type=Path,
            metavar="DIR",
            default=argparse.SUPPRESS,  # a subcommand that is not given it keeps what its parent was given
            help="folder of the tunes (FACEID_TUNES_HOME sets it too; default: user/__faceid_tunes of the ComfyUI that "
            "this package is installed in, else a folder of its own)",
        )


def with_subcommands(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """The parser, and those of its subcommands."""
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for child in action.choices.values():
                yield from with_subcommands(child)


def home_of(options: argparse.Namespace) -> Path:
    """The folder of the tunes, and of what is kept beside them."""
    from ..faceid_core.tunes.home import default_home

    return options.home or default_home()


def opened_store(options: argparse.Namespace) -> TuneStore:
    from ..faceid_core.tunes.store import open_store

    return open_store(options.home)


def remote_settings(options: argparse.Namespace) -> AstriaSettings:
    """Where the remote API is, and the key: from the environment, else from the file beside the tunes."""
    from ..faceid_core.astria.settings import KEY_FILE, read_settings

    return read_settings(key_file=home_of(options) / KEY_FILE)


def photo_bytes(path: Path) -> bytes:
    """Raises FaceIDError naming the file when it cannot be read, or is none that a photo may be."""
    from ..faceid_core.faces.photo import photo_file

    try:
        path.stat()
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise FaceIDError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error}).") from error
    return photo_file(path)
