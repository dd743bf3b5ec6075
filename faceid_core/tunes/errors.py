"""The errors of the tune store."""

from __future__ import annotations

from ..errors import FaceIDError


class TuneError(FaceIDError):
    """A tune cannot be created, read or changed.

    ``field`` names the API field at fault (``tune[title]``), so that a service can answer with a field map; None when
    the cause is elsewhere (the disk, the database).
    """

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class TuneStorageError(TuneError):
    """The database or the files of the tunes fail: away, full, not writable. The same may succeed later."""


class TuneNotFoundError(TuneError):
    """No tune has that id or title, or it has expired."""
