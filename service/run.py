"""The service as a process: the server, the workers and the callbacks, from start to a graceful end."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

from aiohttp import web

from .app import make_app
from .housekeeping import tend
from .state import Service
from .worker import Worker

DRAIN = 30.0  # seconds that a running job gets at the end, before it is given back


def serve(service: Service, host: str, port: int, workers: Sequence[Worker]) -> None:
    """Until SIGINT or SIGTERM. Raises OSError when the address cannot be listened at."""
    asyncio.run(_serve(service, host, port, workers))


@asynccontextmanager
async def running(service: Service, host: str, port: int, workers: Sequence[Worker]) -> AsyncIterator[int]:
    """The service, for a while; gives the port it listens at."""
    runner = web.AppRunner(make_app(lambda: service), access_log=None)
    await runner.setup()
    tending = asyncio.create_task(tend(service))
    try:
        await web.TCPSite(runner, host, port).start()
        for worker in workers:
            worker.start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()
        await asyncio.gather(*(asyncio.to_thread(worker.stop, DRAIN) for worker in workers))
        tending.cancel()
        await asyncio.gather(tending, return_exceptions=True)


def work(workers: Sequence[Worker]) -> None:
    """Draw until SIGINT or SIGTERM."""
    asyncio.run(_work(workers))


async def _work(workers: Sequence[Worker]) -> None:
    for worker in workers:
        worker.start()
    await _until_told_to_end()
    await asyncio.gather(*(asyncio.to_thread(worker.stop, DRAIN) for worker in workers))


async def _until_told_to_end() -> None:
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        with suppress(NotImplementedError):  # Windows
            asyncio.get_running_loop().add_signal_handler(number, ended.set)
    await ended.wait()


async def _serve(service: Service, host: str, port: int, workers: Sequence[Worker]) -> None:
    async with running(service, host, port, workers):
        await _until_told_to_end()
