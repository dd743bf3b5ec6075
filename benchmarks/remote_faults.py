"""What a hostile network does to remote prompts: duplicates, losses, pace; and what the client itself costs.

    python benchmarks/remote_faults.py [--prompts 1000] [--at-once 40] [--processes 3] [--seed 0]

The fake API of tests/support answers at random with 500, 502, 504 (before, after, and shortly before doing the work),
429, resets before and after the body, half answers, stalls; its images come cut, truncated, as web pages and under a
wrong type; its callbacks come never, once or twice. Every 20th prompt is sent twice on purpose, with one text and
seed. The waits that RetryPolicy and PollPolicy state are scaled down, those of the fake with them.

Then as many orders run in processes that are cancelled, killed and asked twice at once, with clocks that jump and notes
that are garbled: remote_orders.py.

Target: every prompt ends with its images or one clear error; 0 duplicates, 0 lost; 0 paid twice, 0 paid and not
delivered; never polled faster than stated; upload + prompt + poll + download of 8 images < 150 ms of our own; memory
flat.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import gc
import io
import random
import resource
import statistics
import threading
import time
import tracemalloc
from collections import Counter

import _setup  # noqa: F401
import numpy as np
from aiohttp import web
from faceid_tunes.faceid_core.astria.client import AstriaClient
from faceid_tunes.faceid_core.astria.creation import Claims
from faceid_tunes.faceid_core.astria.errors import AstriaError
from faceid_tunes.faceid_core.astria.images import download_images
from faceid_tunes.faceid_core.astria.polling import PollPolicy, wait_for_images
from faceid_tunes.faceid_core.astria.retry import RetryPolicy
from faceid_tunes.faceid_core.astria.secret import Secret
from faceid_tunes.faceid_core.astria.settings import AstriaSettings
from faceid_tunes.faceid_core.astria.wire.bodies import read_params
from faceid_tunes.faceid_core.astria.wire.callbacks import read_callback
from faceid_tunes.faceid_core.astria.wire.file import picture_file
from faceid_tunes.faceid_core.astria.wire.tune_request import TuneRequest
from faceid_tunes.faceid_core.prompts import Prompt
from PIL import Image
from remote_orders import run_orders
from support.fake_astria import BASE, GALLERY, FakeAstria, picture
from support.fake_faults import Fault

RETRIES = RetryPolicy(
    first_wait=0.05, longest_wait=0.2, settle=0.8, settle_after_500=0.8, settle_after_504=0.8, read_timeout=1.2
)
POLLS = PollPolicy(interval=0.1, longest=0.4, deadline=60)
LATER = 0.1  # seconds after a 504 until its work is done

ANSWERS = (
    *(Fault(status=status) for status in (500, 502, 504)),
    Fault(status=429, headers={"Retry-After": "0.1"}),
    Fault(how="reset"),
    Fault(how="cut"),
    Fault(how="stall", seconds=1.5),
)
POSTS = (
    *ANSWERS,
    *(Fault(status=status, work="done") for status in (500, 502, 504)),
    Fault(status=504, work="later", seconds=LATER),
    Fault(how="reset", work="done"),
    Fault(how="stall", work="done", seconds=1.5),
    Fault(status=200, work="done", body=b"<html>", content_type="text/html"),
)
IMAGES = (
    *ANSWERS,
    Fault(shorten=True),
    Fault(status=200, body=b"<!doctype html><p>Sorry", content_type="text/html"),
    Fault(status=200, body=b"", content_type="image/jpeg"),
)


class Hostile:
    """Draws the faults, and notes when each prompt was asked for."""

    def __init__(self, seed: int, chances: dict[str, float]) -> None:
        self.chance, self.chances = random.Random(seed), chances
        self.lock = threading.Lock()
        self.faults, self.requests = Counter(), 0
        self.asked: dict[str, float] = {}
        self.fastest = float("inf")

    def fault_for(self, method: str, path: str) -> Fault | None:
        kind = "POST" if method == "POST" else "image" if path.startswith("/blobs/") else "GET"
        if self.chance.random() >= self.chances[kind]:
            return None
        fault = self.chance.choice({"POST": POSTS, "image": IMAGES, "GET": ANSWERS}[kind])
        name = str(fault.status) if fault.how == "answer" and not fault.shorten else fault.how
        self.faults["truncated image" if fault.shorten else "wrong content" if name == "200" else name] += 1
        return fault

    def on_request(self, method: str, path: str) -> None:
        now = time.perf_counter()
        self.requests += 1
        if path.startswith("/prompts/"):
            self.fastest = min(self.fastest, now - self.asked.get(path, -1e9))
            self.asked[path] = now


async def listen(heard: Counter) -> tuple[web.AppRunner, str]:
    """A receiver of callbacks: they may come never or twice and must not matter."""

    async def hear(request: web.Request) -> web.Response:
        (prompt,) = read_callback(await read_params(request))
        heard[prompt.id] += 1
        return web.Response()

    app = web.Application()
    app.router.add_post("/hook", hear)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return runner, f"http://127.0.0.1:{runner.addresses[0][1]}/hook"


async def drill(api: FakeAstria, count: int, at_once: int, hook: str) -> tuple[Counter, Counter, set[int]]:
    """(how the prompts ended, how many of each text were ordered, ids that callers got)."""
    ends, ordered, known = Counter(), Counter(), set()
    slots, bases = asyncio.Semaphore(at_once), list(GALLERY)

    async def one(client: AstriaClient, number: int) -> None:
        twin = number - number % 20 if number % 20 == 1 else number
        prompt = Prompt(f"<faceid:{twin}:1> woman, picture {twin}", num_images=2, seed=twin, callback=hook)
        async with slots:
            ordered[prompt.text] += 1
            try:
                made = await client.create_prompt(bases[twin % 3], prompt)
                known.add(made.id)
                done = await wait_for_images(client, made, policy=POLLS)
                images = await download_images(client, done.images)
            except AstriaError as error:
                ends[f"one clear error ({type(error).__name__})"] += 1
                return
            except Exception as error:
                ends[f"an unclear error: {error!r}"] += 1
                return
            right = [picture(f"p{made.id}i{index}") for index in range(2)] == images
            ends["its images" if right else "other images"] += 1

    async with AstriaClient(AstriaSettings(Secret(api.key), api.url), RETRIES, Claims()) as client:
        await asyncio.gather(*(one(client, number) for number in range(count)))
    return ends, ordered, known


async def run_drill(arguments: argparse.Namespace) -> bool:
    hostile = Hostile(arguments.seed, {"POST": 0.3, "GET": 0.12, "image": 0.15})
    heard, deliveries = Counter(), random.Random(arguments.seed)
    with FakeAstria(remember=100) as api:
        api.balance_mc = 2**60
        api.fault_for, api.on_request = hostile.fault_for, hostile.on_request
        api.callbacks = lambda prompt: deliveries.choice((0, 1, 2))
        listener, hook = await listen(heard)
        start = time.perf_counter()
        ends, ordered, known = await drill(api, arguments.prompts, arguments.at_once, hook)
        took = time.perf_counter() - start
        await listener.cleanup()
        made = Counter(prompt.text for prompt in api.prompts.values())
        lost = set(api.prompts) - known
    duplicates = sum(max(0, made[text] - ordered[text]) for text in made)
    print(
        f"prompts ordered             {sum(ordered.values())} ({sum(n == 2 for n in ordered.values())} of them twice)"
    )
    print(f"requests, faults            {hostile.requests}, {sum(hostile.faults.values())}: {told(hostile.faults)}")
    print(f"callbacks                   {heard.total()}, of {len(heard)} prompts; the rest never came")
    for end, number in ends.items():
        print(f"  ended with {end:36} {number}")
    print(f"duplicates created          {duplicates}")
    print(f"lost (made, nobody told)    {len(lost)}")
    print(f"fastest poll                {hostile.fastest:.4f} s; stated: never below {POLLS.interval} s")
    print(f"took                        {took:.1f} s")
    clear = all(end == "its images" or end.startswith("one clear error") for end in ends)
    return clear and not duplicates and not lost and hostile.fastest >= POLLS.interval


def told(counter: Counter) -> str:
    return ", ".join(f"{number} {name}" for name, number in sorted(counter.items()))


def noise(side: int, quality: int = 90) -> bytes:
    """A JPEG as heavy as a photo of that many pixels a side."""
    pixels = np.random.default_rng(0).normal(128, 30, (side // 8, side // 8, 3)).clip(0, 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).resize((side, side), Image.BICUBIC).save(file, "JPEG", quality=quality)
    return file.getvalue()


async def overhead(rounds: int = 15) -> float:
    """Median ms of upload + prompt + one poll + download of 8 images: what our processors do, without the fake's."""
    image, photo = noise(1024), noise(768)
    with FakeAstria(remember=10) as api:
        api.picture, api.polls_until_done = lambda name: image, 1
        settings, ours, clock = AstriaSettings(Secret(api.key), api.url), [], []
        for number in range(rounds):
            start, busy, its = time.perf_counter(), time.process_time(), api.busy()
            async with AstriaClient(settings) as client:
                files = tuple(picture_file(photo, f"photo{index}") for index in range(4))
                tune = await client.create_tune(TuneRequest(f"tune {number}", "woman", files, model_type="faceid"))
                made = await client.create_prompt(BASE, Prompt(f"<faceid:{tune.id}:1> woman", num_images=8))
                images = await download_images(client, (await wait_for_images(client, made.id)).images)
            ours.append((time.process_time() - busy - (api.busy() - its)) * 1000)
            clock.append((time.perf_counter() - start) * 1000)
            assert images == [image] * 8
    own, wall = statistics.median(ours[1:]), statistics.median(clock[1:])
    print(f"4 photos up, {4 * len(photo) // 1024} kB; prompt, poll, 8 images down, {8 * len(image) // 1024} kB")
    print(
        f"                            {own:.0f} ms of our own, {wall:.0f} ms by the clock, the fake API's time included"
    )
    return own


async def memory(count: int) -> float:
    """MB that a prompt's run leaves behind between the first hundred prompts and the last."""
    quick = dataclasses.replace(POLLS, interval=0.001, longest=0.001)
    with FakeAstria(remember=10) as api:
        api.polls_until_done, api.balance_mc = 1, 2**60
        async with AstriaClient(AstriaSettings(Secret(api.key), api.url), claims=Claims()) as client:
            levels = []
            tracemalloc.start()
            for number in range(count):
                made = await client.create_prompt(BASE, Prompt("a lake", num_images=2))
                await download_images(client, (await wait_for_images(client, made.id, policy=quick)).images)
                api.forget()
                if number in (100, count - 1):
                    gc.collect()
                    levels.append((tracemalloc.get_traced_memory()[0] / 1e6, rss()))
            tracemalloc.stop()
    (first, first_rss), (last, last_rss) = levels
    print(f"memory after 100 prompts    {first:.2f} MB traced, {first_rss:.0f} MB at most resident")
    print(f"memory after {count} prompts   {last:.2f} MB traced, {last_rss:.0f} MB at most resident")
    print("                            (what is kept: the ids of prompts that were answered, 4096 at most)")
    return last - first


def rss() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prompts", type=int, default=1000)
    parser.add_argument("--at-once", type=int, default=40)
    parser.add_argument("--processes", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    print(__doc__.splitlines()[0])
    holds = asyncio.run(run_drill(arguments))
    milliseconds = asyncio.run(overhead())
    growth = asyncio.run(memory(max(arguments.prompts, 200)))
    print()
    holds = run_orders(arguments.prompts, arguments.processes, arguments.seed) and holds
    if not holds or milliseconds >= 150 or growth > 1:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
