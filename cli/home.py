"""The commands' store of people, and how they read photos."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ..faceid_core.errors import FaceIDError

if TYPE_CHECKING:
    from ..faceid_core.tunes.store import TuneStore


def add_home_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--home",
        type=Path,
        help="folder of the tunes (ComfyUI stores them in user/__faceid_tunes; FACEID_TUNES_HOME sets it too)",
    )


def opened_store(options: argparse.Namespace) -> TuneStore:
    from ..faceid_core.tunes.store import open_store

    return open_store(options.home)


def photo_bytes(path: Path) -> bytes:
    """Raises FaceIDError naming the file when it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise FaceIDError(f"{path}: cannot be read ({error.strerror}).") from error
