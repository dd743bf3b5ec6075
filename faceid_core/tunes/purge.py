"""What no tune needs is removed, where it is certain that no other database needs it."""

from __future__ import annotations

from datetime import timedelta

from .errors import TuneError
from .store import Purged, TuneStore

_GRACE = timedelta(hours=1)


def purge_own_files(store: TuneStore, *, force: bool = False) -> Purged:
    """Delete expired tunes and the files that no tune needs, see ``TuneStore.purge``.

    Not needed by this database is not the same as not needed: the files may be those of another one, which a variable
    that is not set in this shell names, or the database was replaced by an empty one.

    Args:
        store: what to purge.
        force: delete them although most are unknown to this database.

    Raises:
        TuneError: this database does not know most of the files.
    """
    files = frozenset(store.blobs.older_than(_GRACE))
    unknown = len(files) - len(store.known_files(files))
    if unknown > len(files) / 2 and not force:
        raise TuneError(
            f"{unknown} of {len(files)} files are not known to this database; they may be another one's. Nothing was "
            "deleted. Set FACEID_TUNES_DATABASE_URL or --home to the database they belong to; if there is none, run "
            "`faceid tunes purge --force`."
        )
    return store.purge(_GRACE)
