"""What no tune needs is removed, where it is certain that no other database needs it."""

from __future__ import annotations

from datetime import timedelta

from .file_owners import refuse_purge
from .store import Purged, TuneStore

_GRACE = timedelta(hours=1)


def purge_own_files(store: TuneStore, *, force: bool = False) -> Purged:
    """Delete expired tunes and the files that no tune needs, see ``TuneStore.purge``.

    Not needed by this database is not the same as not needed: the files may be those of another one, which a variable
    that is not set in this shell names, or the database was replaced by an empty one.

    Args:
        store: what to purge.
        force: delete them although most are unknown to this database, or another one has files there; forget that one.

    Raises:
        TuneError: the files may be another database's; names both.
    """
    files = frozenset(store.blobs.older_than(_GRACE))
    if force:
        store.blobs.forget_others()
    else:
        refuse_purge(store.blobs, store.known_files(files), files, store.database)
    return store.purge(_GRACE, files)
