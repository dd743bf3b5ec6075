"""An uploaded file."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field

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
