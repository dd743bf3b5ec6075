"""What has reached the disk and survives a power cut; what is read without being waited for; names that are claimed."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import tempfile
from collections.abc import Callable, Iterable
from itertools import chain
from pathlib import Path
from typing import IO, BinaryIO


def open_regular(path: str | os.PathLike[str]) -> BinaryIO:
    """A file, open for reading. A pipe would be waited for and a device never ends: they are refused.

    Raises:
        OSError: it cannot be opened, or is no regular file.
    """
    file = open(path, "rb", opener=_at_once)
    if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        return file
    file.close()
    raise OSError(errno.EINVAL, "it is a device or a pipe, not a file", str(path))


def read_small(path: str | os.PathLike[str], most: int) -> bytes:
    """The content of a file that has at most so many bytes.

    Raises:
        OSError: it cannot be read, is no regular file, or has more.
    """
    with open_regular(path) as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise OSError(errno.EFBIG, f"it has more than {most:,} bytes", str(path))
    return content


def _at_once(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


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


def write_new(names: Iterable[Path], write: Callable[[IO[bytes]], object], *, is_private: bool = False) -> Path:
    """Write a file under the first of ``names`` that is free, and return that name.

    The file gets its name when it is complete and on the disk, in one step that fails where the name is taken: of
    several processes that want a name, one gets it. A name that was free when somebody looked is not free later.

    Args:
        names: in one folder, in the order in which they are tried.
        write: writes the content; the file is open for binary writing, and seekable.
        is_private: only the user may read it; else who may read any new file of theirs.

    Raises:
        FileExistsError: all names are taken.
        OSError: the disk is full, or the folder cannot be written to; nothing is left.
    """
    names = iter(names)
    first = next(names)
    handle, unfinished = tempfile.mkstemp(dir=first.parent, prefix=f".{first.stem[:80]}-", suffix=first.suffix)
    try:
        with os.fdopen(handle, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        if not is_private:
            os.chmod(unfinished, 0o666 & ~_umask())
        name = _claimed(unfinished, chain([first], names))
    finally:  # Ctrl-C leaves no half-written file either
        with contextlib.suppress(OSError):
            os.unlink(unfinished)
    sync_folder(name.parent)
    return name


def _claimed(unfinished: str, names: Iterable[Path]) -> Path:
    """Give a complete file the first name that is free."""
    taken = ""
    for name in names:
        taken = str(name)
        try:
            os.link(unfinished, name)
        except FileExistsError:
            continue
        except OSError:  # no hard links here (exFAT, some network folders): an empty file holds the name meanwhile
            try:
                os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
            except FileExistsError:
                continue
            try:
                os.replace(unfinished, name)
            except BaseException:
                os.unlink(name)
                raise
        return name
    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), taken)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
