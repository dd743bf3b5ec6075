"""kill -9 of the server while clients post: every accepted prompt ends once, every callback arrives.

    python benchmarks/service_kills.py [--kills 100] [--clients 8] [--database URL]

The server is a process with two workers in it and an engine of 50 ms. Clients post over HTTP, each prompt with a
callback to a receiver here; a prompt is accepted when its client has read the 201. The server is killed at a random
moment after it answers, and started again.

Target: lost 0, ended twice 0, callbacks missing 0.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory

import requests
import sqlalchemy as sa
from _served import BASE, free_port, started, wait_until_it_answers
from faceid_tunes.faceid_core.jobs.listing import count_by_state
from faceid_tunes.faceid_core.jobs.schema import outbox, pictures, prompts
from faceid_tunes.faceid_core.tunes.store import open_store

LEASE = 4  # seconds
LONGEST = 1.0  # seconds that a server lives after it answers
PAUSE = 0.1  # seconds between two posts of a client
PATIENCE = 180  # seconds for the rest, once nobody kills any more


class Receiver:
    """Takes callbacks, each with the prompt's id."""

    def __init__(self) -> None:
        self.by_prompt: Counter[int] = Counter()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                receiver.by_prompt[body["prompt"]["id"]] += 1
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/done"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


class Client(threading.Thread):
    """Posts one prompt after another; ``accepted`` are those whose 201 it read."""

    def __init__(self, url: str, callback: str, numbers: itertools.count, is_over: threading.Event) -> None:
        super().__init__(daemon=True)
        self.accepted: list[int] = []
        self.refused: Counter[int] = Counter()
        self.unanswered = 0
        self._url, self._callback, self._numbers, self._is_over = url, callback, numbers, is_over

    def run(self) -> None:
        while not self._is_over.wait(PAUSE):
            fields = {"text": f"lake {next(self._numbers)}", "num_images": 1, "callback": self._callback}
            try:
                answer = requests.post(f"{self._url}/tunes/{BASE}/prompts", json={"prompt": fields}, timeout=10)
                if answer.status_code == 201:
                    self.accepted.append(answer.json()["id"])
                else:
                    self.refused[answer.status_code] += 1
            except requests.RequestException:
                self.unanswered += 1


def drill(options: argparse.Namespace, home: Path) -> None:
    port, receiver, is_over, dice = free_port(), Receiver(), threading.Event(), random.Random(7)
    url, numbers, begun = f"http://127.0.0.1:{port}", itertools.count(), time.monotonic()
    server = started(home, port, options.database, lease=LEASE)
    clients = [Client(url, receiver.url, numbers, is_over) for _ in range(options.clients)]
    for client in clients:
        client.start()
    for _ in range(options.kills):
        wait_until_it_answers(url)
        time.sleep(dice.uniform(0, LONGEST))
        server.kill()
        server.wait()
        server = started(home, port, options.database, lease=LEASE)
    is_over.set()
    for client in clients:
        client.join()
    wait_until_it_answers(url)
    with open_store(home, database_url=options.database) as store:
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end and waits(store.database):
            time.sleep(0.5)
        server.terminate()
        code = server.wait()
        report(store.database, clients, receiver)
    print(f"{options.kills} kills, {time.monotonic() - begun:.0f} s, the last server ended with {code}")


def waits(database) -> bool:
    counts = count_by_state(database)
    with database.reading() as connection:
        left = connection.execute(sa.select(sa.func.count()).where(outbox.c.next_at.is_not(None))).scalar_one()
    return bool(counts["queued"] + counts["running"] + left)


def report(database, clients: list[Client], receiver: Receiver) -> None:
    accepted = {job for client in clients for job in client.accepted}
    with database.reading() as connection:
        states = dict(connection.execute(sa.select(prompts.c.id, prompts.c.state)).all())
        drawn = dict(
            connection.execute(sa.select(pictures.c.prompt_id, sa.func.count()).group_by(pictures.c.prompt_id)).all()
        )
        rows = connection.execute(sa.select(sa.func.count()).select_from(outbox)).scalar_one()
    ended = {job for job, state in states.items() if state in ("done", "failed")}
    twice = [job for job, count in drawn.items() if count > 1]
    refused = sum((client.refused for client in clients), Counter())
    print(
        f"{database._engine.dialect.name}: {len(accepted)} accepted of {len(states)} prompts, "
        f"{sum(client.unanswered for client in clients)} posts unanswered, refused {dict(refused)}"
    )
    print(f"states {dict(Counter(states.values()))}, lost {len(accepted - ended)}, ended twice {len(twice)}")
    print(
        f"callbacks: {rows} promised, missing {len(ended - receiver.by_prompt.keys())}, "
        f"arrived more than once {sum(count > 1 for count in receiver.by_prompt.values())}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--database", help="a SQLAlchemy URL; default: SQLite")
    options = parser.parse_args()
    with TemporaryDirectory() as home:
        drill(options, Path(home))


if __name__ == "__main__":
    main()
