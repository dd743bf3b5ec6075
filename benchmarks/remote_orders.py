"""Orders that are cancelled, killed, garbled and asked for twice: the part of remote_faults.py with real processes.

    python benchmarks/remote_orders.py [--prompts 1000] [--processes 3] [--seed 0]

Processes of their own draw with one journal and one store. They are killed (kill -9) at random moments and started
again; single orders are cancelled at random moments; what was stopped is queued again at once, maybe elsewhere;
every eighth prompt is given to two processes at the same time; while nobody works on a prompt, its note may be garbled
(prompts with a seed: without one, a garbled note stops with a sentence, as docs/remote.md says); each process's clock
jumps by a minute, a day, or a month, forwards and backwards. The API is that of remote_faults.py: a third of its POSTs
fail before, after, or shortly before doing the work.

Target: every prompt is paid once and delivered, every person is uploaded once.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime as real
import json
import os
import queue
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import _setup  # noqa: F401
from faceid_tunes.faceid_core.astria.client import AstriaClient
from faceid_tunes.faceid_core.astria.polling import PollPolicy
from faceid_tunes.faceid_core.astria.retry import RetryPolicy
from faceid_tunes.faceid_core.astria.secret import Secret
from faceid_tunes.faceid_core.astria.settings import AstriaSettings
from faceid_tunes.faceid_core.engines.remote import (
    DamagedNoteError,
    Journal,
    draw_remotely,
    ordering,
    remote_tunes,
)
from faceid_tunes.faceid_core.engines.remote import journal as journal_module
from faceid_tunes.faceid_core.engines.remote.journal import journal_key
from faceid_tunes.faceid_core.errors import FaceIDError
from faceid_tunes.faceid_core.prompts import Prompt
from faceid_tunes.faceid_core.tunes.store import open_store
from support.fake_astria import BASE, KEY, FakeAstria, picture
from support.fake_faults import Fault

# As stated, scaled down: the server may still work 1 s after an answer was lost, and tells its time in whole seconds.
RETRIES = RetryPolicy(
    first_wait=0.05, longest_wait=0.2, settle=3.5, settle_after_500=3.5, settle_after_504=3.5, read_timeout=2.5
)
POLLS = PollPolicy(interval=0.1, longest=0.4, deadline=120)
LATER = 1.0
AT_ONCE = 20  # orders in one process
PEOPLE = 4
PICTURES = 2
JUMPS = (0, 60, -60, 86400, -86400, 31 * 86400, -31 * 86400)  # seconds
GARBAGE = (b"", b'{"seed": 7, "be', b"\0" * 300, b"[]", b"[" * 50_000, b'{"seed": \xff}', b'{"seed": "x"}')

POSTS = (
    *(Fault(status=status, work=work) for status in (500, 502, 504) for work in ("none", "done")),
    Fault(status=504, work="later", seconds=LATER),
    Fault(how="reset"),
    Fault(how="reset", work="done"),
    *[Fault(how="stall", work="later", seconds=LATER)] * 4,
    *[Fault(how="slow", seconds=LATER)] * 4,
)
GETS = (Fault(status=503), Fault(how="reset"), Fault(how="cut"), Fault(status=429, headers={"Retry-After": "0"}))


def prompt_of(number: int) -> Prompt:
    """Every tenth shows a person of the store, the others one who is already there; every third has no seed."""
    person = number // 10 % PEOPLE + 1 if number % 10 == 0 else 1_000_000 + number
    seed = None if number % 3 == 0 else number
    return Prompt(f"<faceid:{person}:1> woman, picture {number}", num_images=PICTURES, seed=seed)


# A process that draws


async def draw_all(url: str, folder: Path) -> None:
    """Takes lines ``number seconds`` (draw; cancel after so long) from standard input, and tells how each ended."""
    tasks: set[asyncio.Task] = set()
    lines = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    jumping = asyncio.ensure_future(jump())
    with open_store(folder / "home") as store:
        async with AstriaClient(AstriaSettings(Secret(KEY), url), RETRIES) as client:
            print("ready", flush=True)
            while line := await lines.readline():
                number, seconds = line.decode().split()
                work = draw(client, store, folder, int(number), float(seconds))
                task = asyncio.ensure_future(work)
                tasks.add(task)
                task.add_done_callback(tasks.discard)
            await asyncio.gather(*tasks)
    jumping.cancel()


async def draw(client: AstriaClient, store, folder: Path, number: int, seconds: float) -> None:
    async def delivered() -> None:
        """Drawn again when killed before the file is there; asked for when it is there: not at the same time."""
        if (folder / "out" / f"{number}.json").exists():
            return
        drawn = await draw_remotely(client, prompt_of(number), store, Journal(folder / "remote"), BASE, None, POLLS)
        told = {"id": drawn.prompt.id, "images": [image.hex() for image in drawn.images]}
        part = folder / "out" / f"{number}.{os.getpid()}.part"
        part.write_text(json.dumps(told))
        await asyncio.sleep(random.uniform(0, 0.05))
        os.replace(part, folder / "out" / f"{number}.json")
        drawn.forget()

    try:
        await asyncio.wait_for(delivered(), seconds or None)
        end = "delivered"
    except asyncio.TimeoutError:
        end = "cancelled"
    except DamagedNoteError:
        end = "damaged"
    except FaceIDError as error:
        end = type(error).__name__
    except Exception as error:
        end = f"unclear:{error!r}".replace(" ", "_")
    print(number, end, flush=True)


async def jump() -> None:
    """The clock of this process, as the code that must not believe it sees it."""
    chance = random.Random(os.getpid())
    while True:
        ahead = chance.choice(JUMPS)

        class Jumped(real.datetime):
            _ahead = real.timedelta(seconds=ahead)

            @classmethod
            def now(cls, zone=None):
                return real.datetime.now(zone) + cls._ahead

        for module in (journal_module, ordering, remote_tunes):
            module.datetime = Jumped
        await asyncio.sleep(0.3)


# The one that gives the orders, and kills


@dataclass
class Worker:
    process: subprocess.Popen
    working: set[int] = field(default_factory=set)
    is_ready: bool = False
    lives: int = 0  # so many orders more, then it is killed within a second
    dies: float | None = None


@dataclass
class Drill:
    api: FakeAstria
    folder: Path
    count: int
    chance: random.Random
    workers: list[Worker] = field(default_factory=list)
    said: queue.Queue = field(default_factory=queue.Queue)
    waiting: list[int] = field(default_factory=list)
    ends: Counter = field(default_factory=Counter)
    events: Counter = field(default_factory=Counter)

    def start_worker(self) -> None:
        command = [sys.executable, __file__, "--draw", self.api.url, str(self.folder)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        worker = Worker(process, lives=self.chance.randint(5, 50))
        threading.Thread(target=self._listen, args=(worker,), daemon=True).start()
        self.workers.append(worker)

    def _listen(self, worker: Worker) -> None:
        for line in worker.process.stdout:
            self.said.put((worker, line.split()))

    def is_delivered(self, number: int) -> bool:
        return (self.folder / "out" / f"{number}.json").exists()

    def is_under_way(self, number: int) -> bool:
        return any(number in worker.working for worker in self.workers)

    def give(self) -> None:
        """Queued prompts to processes that have room; every eighth to two of them."""
        while self.waiting:
            free = [worker for worker in self.workers if worker.is_ready and len(worker.working) < AT_ONCE]
            if not free:
                return
            number = self.waiting.pop(self.chance.randrange(len(self.waiting)))
            wanted = 2 if number % 8 == 0 else 1
            for worker in self.chance.sample(free, min(wanted, len(free))):
                seconds = self.chance.uniform(0.02, 2.0) if self.chance.random() < 0.25 else 0
                worker.working.add(number)
                try:
                    worker.process.stdin.write(f"{number} {seconds}\n")
                    worker.process.stdin.flush()
                except OSError:
                    pass  # killed just now: found below
                self.events["orders given"] += 1

    def ended(self, worker: Worker, number: int, end: str) -> None:
        worker.working.discard(number)
        self.ends[end] += 1
        worker.lives -= 1
        if worker.lives == 0:
            worker.dies = time.monotonic() + self.chance.uniform(0.0, 1.0)
        self.again(number)

    def again(self, number: int) -> None:
        """At once, when nobody works on it and it is not delivered; maybe with its note garbled before."""
        if self.is_delivered(number) or self.is_under_way(number):
            return
        if prompt_of(number).seed is not None and self.chance.random() < 0.15:
            note = self.folder / "remote" / f"{journal_key(self.api.url, BASE, prompt_of(number))}.json"
            if note.exists():
                note.write_bytes(self.chance.choice(GARBAGE))
                self.events["notes garbled"] += 1
        self.events["queued again"] += 1
        self.waiting.append(number)

    def kill(self, worker: Worker) -> None:
        self.workers.remove(worker)
        worker.process.kill()
        worker.process.wait()
        self.events["processes killed"] += 1
        self.events["orders under way when killed"] += len(worker.working)
        self.start_worker()
        for number in worker.working:
            self.again(number)

    def run(self, processes: int) -> None:
        self.waiting = list(range(self.count))
        for _ in range(processes):
            self.start_worker()
        while self.waiting or any(worker.working for worker in self.workers):
            self.give()
            try:
                worker, words = self.said.get(timeout=0.1)
                if words[0] == "ready":
                    worker.is_ready = True
                elif worker in self.workers:
                    self.ended(worker, int(words[0]), words[1])
            except queue.Empty:
                pass
            for worker in [worker for worker in self.workers if worker.dies and worker.dies < time.monotonic()]:
                self.kill(worker)
        for worker in self.workers:
            worker.process.stdin.close()
            worker.process.wait(30)


def people(folder: Path) -> None:
    from faceid_tunes.faceid_core.faces.packs import embedded_pack
    from faceid_tunes.faceid_core.tunes.create import create_tune
    from support import photos

    with open_store(folder / "home") as store:
        for number, photo in enumerate(list(photos.single_faces().values())[:PEOPLE]):
            create_tune(store, [photos.encoded(photo, "JPEG")], f"person {number}", "woman", embedded_pack())


def run_orders(count: int, processes: int, seed: int) -> bool:
    """Run the drill, print its figures; whether everything was paid once and delivered."""
    chance = random.Random(seed)

    def fault_for(method: str, path: str) -> Fault | None:
        if method == "POST":
            return chance.choice(POSTS) if chance.random() < 0.35 else None
        return chance.choice(GETS) if chance.random() < 0.05 else None

    with tempfile.TemporaryDirectory() as home, FakeAstria(remember=10) as api:
        folder = Path(home)
        (folder / "out").mkdir()
        people(folder)
        api.balance_mc, api.fault_for, api.polls_until_done = 2**60, fault_for, 4
        drill = Drill(api, folder, count, chance)
        start = time.monotonic()
        drill.run(processes)
        took = time.monotonic() - start
        time.sleep(2 * LATER)  # what the server may still do
        paid = Counter(int(prompt.text.rsplit(" ", 1)[1]) for prompt in api.prompts.values())
        delivered = sum(map(partial(_is_right, folder, api), range(count)))
        uploads = Counter(tune.title for tune in api.tunes.values())
        left = len(list((folder / "remote").iterdir()))
    twice = sum(max(0, number - 1) for number in paid.values())
    for number in [number for number, count in paid.items() if count > 1]:
        made = [
            f"{prompt.id} at {prompt.created_at}"
            for prompt in api.prompts.values()
            if prompt.text.endswith(f" {number}")
        ]
        print(f"paid twice: prompt {number}, seed {prompt_of(number).seed}: {', '.join(made)}")
    for event, number in drill.events.items():
        print(f"{event:28}{number}")
    for end, number in sorted(drill.ends.items()):
        print(f"  ended with {end:36} {number}")
    print(f"prompts                     {count}, {(count + 7) // 8} of them in two processes")
    print(f"paid twice                  {twice}")
    print(f"paid, not delivered         {len(paid) - delivered}")
    print(f"not paid, not delivered     {count - len(paid)}")
    print(f"people, uploads             {len(uploads)}, {uploads.total()}")
    print(f"notes left behind           {left}")
    print(f"took                        {took:.0f} s")
    clear = not any(end.startswith("unclear") for end in drill.ends)
    return clear and not twice and delivered == len(paid) == count and uploads.total() == min(PEOPLE, len(uploads))


def _is_right(folder: Path, api: FakeAstria, number: int) -> bool:
    """Whether the pictures that were delivered are those that were paid for."""
    try:
        told = json.loads((folder / "out" / f"{number}.json").read_text())
    except FileNotFoundError:
        return False
    of_it = api.prompts[told["id"]].text.endswith(f" {number}")
    return of_it and told["images"] == [picture(f"p{told['id']}i{index}").hex() for index in range(PICTURES)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prompts", type=int, default=1000)
    parser.add_argument("--processes", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--draw", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.draw:
        asyncio.run(draw_all(arguments.draw[0], Path(arguments.draw[1])))
        return
    print(__doc__.splitlines()[0])
    if not run_orders(arguments.prompts, arguments.processes, arguments.seed):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
