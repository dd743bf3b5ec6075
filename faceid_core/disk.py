"""What has reached the disk, and survives a power cut."""

from __future__ import annotations

import os


def sync_folder(path: str | os.PathLike[str]) -> None:
    """The folder's own entries to the disk: a rename in it is not safe before that (fsync(2)).

    Windows does not need it and has no such call.

    Raises:
        OSError: the disk is full or gone.
    """
    if os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
