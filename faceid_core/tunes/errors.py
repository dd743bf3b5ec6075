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


class QuotaError(TuneError):
    """Who posts has posted as much as they may for now. The same may succeed later."""


class DamagedValueError(TuneError):
    """A row has a value that its column never has: names table and column, and the tune where it is one's.

    ``tune_id`` is None where the row is not a tune's, or not known yet.
    """

    def __init__(self, table: str, column: str, value: object, tune_id: int | None = None) -> None:
        self.table, self.column, self.value, self.tune_id = table, column, value, tune_id
        where = f"{column} of the table {table}" if tune_id is None else f"Tune {tune_id}: its {column} ({table})"
        held = f"{value!r:.40}" if isinstance(value, int | float) else f"{type(value).__name__} {str(value)[:40]!r}"
        super().__init__(
            f"{where} is damaged: it holds {held}. `faceid tunes check` lists all that is; bring back a backup with "
            f"`faceid tunes restore`{'' if tune_id is None else f', or delete it: `faceid tunes delete {tune_id}`'}."
        )

    def of_tune(self, tune_id: int) -> DamagedValueError:
        """The same, of this tune."""
        return DamagedValueError(self.table, self.column, self.value, tune_id)


class TuneNotFoundError(TuneError):
    """No tune has that id or title, or it has expired."""
