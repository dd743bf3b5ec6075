"""200 clients at once: each makes a tune from a real photo, then a prompt, polls it and downloads the picture.

    python benchmarks/load.py [--clients 200] [--rounds 3] [--database URL]

The server is a process of its own with two workers and an engine of 50 ms. Prints how long the posts took, what was
lost or is there twice, and the server's memory after each round.

Target: lost 0, twice 0, p99 of POST prompts < 250 ms on two cores, memory flat.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import _setup  # noqa: F401
import aiohttp
import numpy as np
from _served import BASE, free_port, started, wait_until_it_answers
from support.photos import INSIGHTFACE

PHOTO = INSIGHTFACE / "Tom_Hanks_54745.png"
POLL = 1.0  # seconds


class Figures:
    """What was measured in one round."""

    def __init__(self) -> None:
        self.seconds: dict[str, list[float]] = {"POST tunes": [], "POST prompts": [], "GET prompts": []}
        self.faults: Counter[str] = Counter()
        self.prompts: list[int] = []
        self.pictures: list[str] = []


async def call(session: aiohttp.ClientSession, figures: Figures, name: str, url: str, **what) -> dict:
    begun = time.monotonic()
    async with session.request(name.split()[0], url, **what) as answer:
        body = await answer.json()
    figures.seconds[name].append(time.monotonic() - begun)
    if answer.status >= 400:
        raise ValueError(f"{name} {answer.status} {body}")
    return body


async def client(session: aiohttp.ClientSession, url: str, number: int, photo: bytes, figures: Figures) -> None:
    try:
        form = aiohttp.FormData()
        for name, value in (("title", f"client {number}"), ("name", "man"), ("model_type", "faceid")):
            form.add_field(f"tune[{name}]", value)
        form.add_field("tune[images][]", photo, filename="1.png")
        tune = await call(session, figures, "POST tunes", f"{url}/tunes", data=form)
        fields = {"text": f"<faceid:{tune['id']}:1> man", "num_images": 1, "seed": number}
        body = {"prompt": fields}
        prompt = await call(session, figures, "POST prompts", f"{url}/tunes/{BASE}/prompts", json=body)
        figures.prompts.append(prompt["id"])
        while not prompt["trained_at"]:
            await asyncio.sleep(POLL)
            prompt = await call(session, figures, "GET prompts", f"{url}/prompts/{prompt['id']}")
        for address in prompt["images"]:
            async with session.get(address) as answer:
                figures.pictures.append(address)
                assert (await answer.read())[:4] == b"\x89PNG"
    except (aiohttp.ClientError, asyncio.TimeoutError, ValueError, AssertionError) as error:
        figures.faults[f"{type(error).__name__}: {error}"[:120]] += 1


async def one_round(url: str, clients: int) -> Figures:
    figures, photo = Figures(), PHOTO.read_bytes()
    connector, timeout = aiohttp.TCPConnector(limit=0), aiohttp.ClientTimeout(total=600)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        await asyncio.gather(*(client(session, url, number, photo, figures) for number in range(clients)))
    return figures


def memory_of(pid: int) -> float:
    """Resident megabytes."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * 4096 / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--database", help="a SQLAlchemy URL; default: SQLite")
    options = parser.parse_args()
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with TemporaryDirectory() as home:
        server = started(Path(home), port, options.database)
        try:
            wait_until_it_answers(url)
            for number in range(1, options.rounds + 1):
                begun = time.monotonic()
                figures = asyncio.run(one_round(url, options.clients))
                report(number, options.clients, figures, time.monotonic() - begun, memory_of(server.pid))
        finally:
            server.terminate()
            server.wait()


def report(number: int, clients: int, figures: Figures, seconds: float, memory: float) -> None:
    print(f"round {number}: {clients} clients, {seconds:.1f} s, server {memory:.0f} MB")
    for name, took in figures.seconds.items():
        if took:
            median, late = np.percentile(took, [50, 99]) * 1000
            print(
                f"  {name}: {len(took)}, median {median:.0f} ms, p99 {late:.0f} ms, longest {max(took) * 1000:.0f} ms"
            )
    twice = len(figures.prompts) - len(set(figures.prompts)) + len(figures.pictures) - len(set(figures.pictures))
    print(f"  lost {clients - len(set(figures.pictures))}, twice {twice}, faults {dict(figures.faults)}", flush=True)


if __name__ == "__main__":
    main()
