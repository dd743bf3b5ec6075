"""The service with an engine that draws test pictures, over real HTTP."""

from __future__ import annotations

import asyncio
import logging
import shutil
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest
from aiohttp import web
from faceid_tunes.faceid_core.astria.base_models import SHIPPED, base_models
from faceid_tunes.faceid_core.faces.packs import embedded_pack
from faceid_tunes.faceid_core.jobs.queue import Jobs
from faceid_tunes.faceid_core.tunes.store import TuneStore, open_store
from faceid_tunes.service.app import make_app
from faceid_tunes.service.callbacks import send_callbacks
from faceid_tunes.service.settings import ServiceSettings
from faceid_tunes.service.state import Service
from faceid_tunes.service.worker import Worker
from support.databases import migrated
from support.drawing import TestPictures

__all__ = ["migrated"]
T = TypeVar("T")


class Kept(logging.Handler):
    """Keeps what is logged as an error."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        logging.Formatter().format(record)
        self.records.append(record)


class Served:
    """A service that runs: its address, and what is behind it."""

    def __init__(self, home: Path, settings: ServiceSettings, blobs_url: str | None = None) -> None:
        self.store: TuneStore = open_store(home, blobs_url=blobs_url)
        self.jobs = Jobs(self.store)
        self.engine = TestPictures()
        self.service = Service(self.store, self.jobs, embedded_pack(), base_models(SHIPPED), settings)
        self.worker = Worker(self.jobs, self.store, lambda job: self.engine)
        self.url = ""
        self._log = Kept()
        logging.getLogger("faceid.service").addHandler(self._log)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def errors(self) -> list[str]:
        """What the service has logged as its own faults."""
        return [record.getMessage() + "\n" + str(record.exc_text or record.exc_info) for record in self._log.records]

    def start(self) -> None:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(30)
        self.worker.start()

    def stop(self) -> None:
        self.worker.stop()
        self._loop.call_soon_threadsafe(self._sender.cancel)
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result(30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(30)
        self._loop.close()
        self.store.close()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """What a coroutine returns on the service's loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    def call_nobody(self) -> None:
        """Send no callback any more."""
        self._loop.call_soon_threadsafe(self._sender.cancel)

    @contextmanager
    def also(self, app: web.Application) -> Iterator[str]:
        """Another application on the same loop; its address."""
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)

        async def start() -> str:
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            return f"http://127.0.0.1:{runner.addresses[0][1]}"

        yield asyncio.run_coroutine_threadsafe(start(), self._loop).result(30)
        asyncio.run_coroutine_threadsafe(runner.cleanup(), self._loop).result(30)

    async def _start(self) -> None:
        self._sender = asyncio.create_task(send_callbacks(self.service))
        self._runner = web.AppRunner(make_app(lambda: self.service), access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"


@pytest.fixture
def settings() -> ServiceSettings:
    return ServiceSettings()


@pytest.fixture
def blobs_url() -> str | None:
    """Where files are; None: in the home."""
    return None


@pytest.fixture
def served(tmp_path: Path, settings: ServiceSettings, migrated: Path, blobs_url: str | None) -> Iterator[Served]:
    shutil.copy(migrated, tmp_path)
    running = Served(tmp_path, settings, blobs_url)
    running.start()
    yield running
    running.stop()
