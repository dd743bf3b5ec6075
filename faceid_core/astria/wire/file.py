"""An uploaded file."""

from __future__ import annotations

import base64
import binascii
import tempfile
from dataclasses import dataclass, field
from typing import IO

IN_MEMORY = 2**20  # bytes
_KINDS = (
    (b"\xff\xd8\xff", "image/jpeg", "jpg"),
    (b"\x89PNG\r\n\x1a\n", "image/png", "png"),
    (b"GIF8", "image/gif", "gif"),
)


@dataclass(frozen=True)
class File:
    """One file part. ``filename`` and ``media_type`` come from the sender and are not checked."""

    data: bytes = field(repr=False)
    filename: str
    media_type: str = "application/octet-stream"


class Spooled(File):
    """A large file that lies on the disk: its bytes are read each time they are asked for."""

    def __init__(self, spool: IO[bytes], filename: str, media_type: str = "application/octet-stream") -> None:
        for name, value in (("_spool", spool), ("filename", filename), ("media_type", media_type)):
            object.__setattr__(self, name, value)

    @property
    def data(self) -> bytes:
        self._spool.seek(0)  # type: ignore[attr-defined]
        found: bytes = self._spool.read()  # type: ignore[attr-defined]
        return found


def spool() -> IO[bytes]:
    """A file for bytes that come in: in memory up to a megabyte, on the disk beyond; gone when nobody needs it."""
    return tempfile.SpooledTemporaryFile(IN_MEMORY)


def file_of(spool: IO[bytes], filename: str, media_type: str = "application/octet-stream") -> File:
    """What was written into a ``spool``."""
    if spool.tell() > IN_MEMORY:
        return Spooled(spool, filename, media_type)
    spool.seek(0)
    return File(spool.read(), filename, media_type)


def data_url_bytes(url: str) -> bytes:
    """What a ``data:`` URL holds. Raises ValueError when it is not base64."""
    head, _, payload = url.partition(",")
    if not head.endswith(";base64"):
        raise ValueError("the data URL is not base64")
    try:
        return base64.b64decode(payload, validate=True)
    except binascii.Error:
        raise ValueError("the data URL is not base64") from None


def picture_file(data: bytes, stem: str) -> File:
    """An encoded picture as a file named after ``stem``, its type read from its first bytes."""
    for magic, media_type, suffix in _KINDS:
        if data.startswith(magic):
            return File(data, f"{stem}.{suffix}", media_type)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return File(data, f"{stem}.webp", "image/webp")
    return File(data, stem)
