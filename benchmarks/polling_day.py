"""A day of polling in fast time: memory and database stay as large as they are after the first hours.

    python benchmarks/polling_day.py [--clients 50] [--hours 24] [--polls 12]

The clock is injected: ten minutes pass at a time. Each client posts a prompt an hour and a tune every six, polls its
newest prompt ``--polls`` times an hour and lists its prompts once, over real HTTP. What is made is kept for two hours;
the housekeeping runs every ten minutes, as it does in ``faceid serve``.

Target: after the purge of each two hours, rows and files are as many, the database's file is as large, and the memory
is within 10 MB of what it was after the first four.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path
from tempfile import TemporaryDirectory

import _setup  # noqa: F401
import aiohttp
import sqlalchemy as sa
from _served import BASE, Stub
from faceid_tunes.faceid_core.astria.base_models import SHIPPED, base_models
from faceid_tunes.faceid_core.faces.packs import embedded_pack
from faceid_tunes.faceid_core.jobs.queue import Jobs
from faceid_tunes.faceid_core.jobs.schema import outbox, pictures, prompts
from faceid_tunes.faceid_core.tunes.schema import metadata, tunes
from faceid_tunes.faceid_core.tunes.store import TuneStore, open_store
from faceid_tunes.service.housekeeping import tidy
from faceid_tunes.service.run import running
from faceid_tunes.service.state import Service
from faceid_tunes.service.worker import Worker
from support.photos import INSIGHTFACE

LIFETIME = timedelta(hours=2)
STEP = timedelta(minutes=10)
STEPS = 6  # in an hour
PHOTO = (INSIGHTFACE / "Tom_Hanks_54745.png").read_bytes()


class Clock:
    """Says what it is told."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 25, tzinfo=timezone.utc)

    def __call__(self) -> datetime:
        return self.now


def drawn(jobs: Jobs, store: TuneStore) -> int:
    """Draw all that waits, as a worker does, without its thread."""
    worker, count = Worker(jobs, store, lambda job: Stub()), 0
    while claim := jobs.claim("worker"):
        worker._draw(claim)
        count += 1
    return count


async def hour(session: aiohttp.ClientSession, url: str, number: int, service: Service, clock: Clock, options) -> int:
    """One hour of every client; how many requests were answered."""
    answered = 0

    async def ask(method: str, path: str, status: int = 200, **body: object) -> dict:
        nonlocal answered
        async with session.request(method, f"{url}{path}", **body) as answer:
            found = await answer.json()
            assert answer.status == status, (method, path, answer.status, found)
            answered += 1
            return found

    async def make_tune(client: int) -> int:
        form = aiohttp.FormData({"tune[title]": f"client {client}", "tune[name]": "man", "tune[model_type]": "faceid"})
        form.add_field("tune[images][]", PHOTO, filename="1.png")
        return (await ask("POST", "/tunes", 201, data=form))["id"]

    for client in range(options.clients):
        if number % 6 == client % 6:
            await make_tune(client)
    posted = []
    for client in range(options.clients):
        body = {"prompt": {"text": "a lake", "num_images": 1, "seed": (number * options.clients + client) % 2**16}}
        posted.append((await ask("POST", f"/tunes/{BASE}/prompts", 201, json=body))["id"])
    for step in range(STEPS):
        for _ in range(options.polls // STEPS):
            await asyncio.gather(*(ask("GET", f"/prompts/{prompt}") for prompt in posted))
        if step == 0:
            await asyncio.to_thread(drawn, service.jobs, service.store)
        clock.now += STEP
        await asyncio.to_thread(tidy, service)
    for prompt in posted:
        assert len((await ask("GET", f"/prompts/{prompt}"))["images"]) == 1
        await ask("GET", "/prompts?limit=20")
    return answered


def measured(store: TuneStore, home: Path) -> dict[str, int]:
    gc.collect()
    status = Path("/proc/self/status").read_text()
    with store.database.reading() as connection:
        rows = sum(
            connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
            for table in metadata.sorted_tables
        )
        of_interest = [
            connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
            for table in (tunes, prompts, pictures, outbox)
        ]
    files = [each for each in home.rglob("*") if each.is_file()]
    return {
        "memory MB": int(status.partition("VmRSS:")[2].split()[0]) // 1024,
        "database KB": sum(each.stat().st_size for each in files if each.name.startswith("tunes.sqlite3")) // 1024,
        "files": sum(not each.name.startswith("tunes.sqlite3") for each in files),
        "rows": rows,
        **dict(zip(("tunes", "prompts", "pictures", "callbacks"), of_interest, strict=True)),
    }


async def day(options: argparse.Namespace, home: Path) -> None:
    clock = Clock()
    with open_store(home, lifetime=LIFETIME) as opened:
        store = TuneStore(opened.database, opened.blobs, LIFETIME, clock, home)
        jobs = Jobs(store, LIFETIME, clock)
        service = Service(store, jobs, embedded_pack(), base_models(SHIPPED), clock=clock)
        begun, requests = time.monotonic(), 0
        async with running(service, "127.0.0.1", 0, []) as port, aiohttp.ClientSession() as session:
            for number in range(options.hours):
                requests += await hour(session, f"http://127.0.0.1:{port}", number, service, clock, options)
                if number % 2 == 1:
                    found = ", ".join(f"{name} {count}" for name, count in measured(store, home).items())
                    print(f"after {number + 1:2} h, {requests} requests: {found}", flush=True)
            clock.now += LIFETIME + STEP
            await asyncio.to_thread(tidy, service)
            print("all over: " + ", ".join(f"{name} {count}" for name, count in measured(store, home).items()))
        print(f"{requests} requests in {time.monotonic() - begun:.0f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--hours", type=int, default=24)
    parser.add_argument("--polls", type=int, default=12, help="of each client in an hour")
    options = parser.parse_args()
    with TemporaryDirectory() as home:
        asyncio.run(day(options, Path(home)))


if __name__ == "__main__":
    main()
