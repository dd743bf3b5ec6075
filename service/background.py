"""Workers and callbacks in threads of their own: what a host with an event loop of its own starts."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from contextlib import suppress

from .housekeeping import tend
from .state import Service
from .worker import Worker


class Background:
    """The workers, and a thread that sends callbacks and keeps tidy."""

    def __init__(self, service: Service, workers: Sequence[Worker]) -> None:
        self._workers = workers
        self._loop = asyncio.new_event_loop()
        self._tending = self._loop.create_task(tend(service))
        self._thread = threading.Thread(target=self._send, name="faceid-callbacks", daemon=True)

    def start(self) -> None:
        for worker in self._workers:
            worker.start()
        self._thread.start()

    def stop(self, patience: float = 2.0) -> None:
        """Give the running job ``patience`` seconds, then back; end the callbacks."""
        for worker in self._workers:
            worker.stop(patience)
        with suppress(RuntimeError):  # its loop has ended already
            self._loop.call_soon_threadsafe(self._tending.cancel)
        self._thread.join(patience)

    def _send(self) -> None:
        with suppress(asyncio.CancelledError):
            self._loop.run_until_complete(self._tending)
        self._loop.close()
