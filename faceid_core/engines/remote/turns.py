"""One order at a time, among all tasks, threads and processes of a machine."""

from __future__ import annotations

import asyncio
import logging
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from ...errors import FaceIDError

_log = logging.getLogger(__name__)

_FILES = 256  # so that the folder does not grow; two orders that share a file only wait for one another's sending
_LOOK = 0.05  # seconds between two looks


@asynccontextmanager
async def turn(folder: Path, key: str) -> AsyncIterator[None]:
    """Alone with ``key``; the system frees it when the process dies. Waiting can be cancelled.

    Raises:
        FaceIDError: ``folder`` cannot be written to.
    """
    from filelock import FileLock, Timeout

    # Each holder has a lock object of its own: flock(2) then also tells tasks of one process apart.
    has_told = False
    lock = FileLock(folder / f"{zlib.crc32(key.encode()) % _FILES:03d}.lock", thread_local=False)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        while True:
            try:
                lock.acquire(timeout=0)
                break
            except Timeout:
                if not has_told:
                    _log.info("Another run of the same order is sending it. Waiting for its end (%s).", lock.lock_file)
                    has_told = True
                await asyncio.sleep(_LOOK)
    except OSError as error:
        raise FaceIDError(
            f"{folder}: cannot be written ({error.strerror or error}), so two runs of one prompt could both pay. "
            "Nothing was sent by this one."
        ) from error
    try:
        yield
    finally:
        lock.release()
