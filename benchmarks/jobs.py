"""The drill: jobs posted by several processes, drawn by several, which are killed with SIGKILL all the time.

    python benchmarks/jobs.py [--jobs 1000] [--submitters 4] [--workers 3] [--every 2] [--database URL]
    python benchmarks/jobs.py --cut 60 --database URL

Prints what was lost, completed twice, started twice, and stuck after two leases. The engine is a stub of 50 ms; one
worker never comes back. ``--cut``: nobody is killed; the network between workers and database is cut for so long.

Target: lost 0, completed twice 0, started twice <= 3 %, stuck 0.
"""

from __future__ import annotations

import argparse
import random
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import sqlalchemy as sa
from _cut import Network
from _served import Stub
from faceid_tunes.faceid_core.jobs.listing import count_by_state
from faceid_tunes.faceid_core.jobs.queue import Jobs
from faceid_tunes.faceid_core.jobs.schema import pictures, prompts
from faceid_tunes.faceid_core.prompts import Prompt
from faceid_tunes.faceid_core.tunes.store import TuneStore, open_store
from faceid_tunes.service.worker import Worker

LEASE = timedelta(seconds=4)
BASES = (690204, 666678)


def opened(options: argparse.Namespace) -> TuneStore:
    return open_store(options.home, database_url=options.database)


def submit(options: argparse.Namespace) -> None:
    """Post this submitter's share."""
    with opened(options) as store:
        jobs = Jobs(store)
        for number in range(options.submit):
            prompt = Prompt("a lake", seed=number % 256, callback="https://client.example/done")
            jobs.post(prompt, tune_id=random.choice(BASES), base_url="http://here")


def work(options: argparse.Namespace) -> None:
    """Draw until killed."""
    with opened(options) as store:
        Worker(Jobs(store), store, lambda job: Stub(), name=options.work, lease=LEASE).start()
        signal.pause()


def started(options: argparse.Namespace, *arguments: str) -> subprocess.Popen:
    command = [sys.executable, __file__, "--home", str(options.home), *arguments]
    return subprocess.Popen(command + (["--database", options.database] if options.database else []))


def drill(options: argparse.Namespace) -> None:
    share = options.jobs // options.submitters
    with opened(options) as store:
        database = store.database
        submitters = [started(options, "--submit", str(share)) for _ in range(options.submitters)]
        workers = [started(options, "--work", f"worker {number}") for number in range(options.workers)]
        kills, dice, begun = 0, random.Random(5), time.monotonic()
        quiet_since = None
        while quiet_since is None or time.monotonic() - quiet_since < 2 * LEASE.total_seconds():
            time.sleep(options.every)
            counts = count_by_state(database)
            is_posted = all(each.poll() is not None for each in submitters)
            if is_posted and not counts["queued"] + counts["running"]:
                break
            if is_posted and not counts["queued"] and quiet_since is None:
                quiet_since = time.monotonic()  # all that is left is in somebody's hands, or in nobody's any more
            number = dice.randrange(len(workers))
            workers[number].kill()
            workers[number].wait()
            kills += 1
            if kills == 3 and len(workers) > 1:
                workers.pop(number)  # never back
            else:
                workers[number] = started(options, "--work", f"worker {number} after {kills} kills")
        for each in workers:
            each.kill()
            each.wait()
        report(database, share * options.submitters, kills, time.monotonic() - begun)


def cut_drill(options: argparse.Namespace) -> None:
    url = sa.make_url(options.database)
    network = Network(url.host or "127.0.0.1", url.port or 5432)
    share, direct = options.jobs // options.submitters, options.database
    with opened(options) as store:
        options.database = url.set(host="127.0.0.1", port=network.port).render_as_string(hide_password=False)
        workers = [started(options, "--work", f"worker {number}") for number in range(options.workers)]
        options.database = direct
        submitters = [started(options, "--submit", str(share)) for _ in range(options.submitters)]
        begun = time.monotonic()
        while count_by_state(store.database)["done"] < options.jobs // 10:
            time.sleep(0.2)
        network.cut()
        before = count_by_state(store.database)
        print(f"cut for {options.cut:.0f} s at {before}", flush=True)
        time.sleep(options.cut)
        print(f"mended at {count_by_state(store.database)}", flush=True)
        network.mend()
        mended = time.monotonic()
        while time.monotonic() - mended < 120:
            time.sleep(0.5)
            counts = count_by_state(store.database)
            is_posted = all(each.poll() is not None for each in submitters)
            if is_posted and not counts["queued"] + counts["running"]:
                break
        print(f"all done {time.monotonic() - mended:.0f} s after the network was back")
        for each in workers:
            each.kill()
            each.wait()
        report(store.database, share * options.submitters, 0, time.monotonic() - begun)


def report(database, posted: int, kills: int, seconds: float) -> None:
    from faceid_tunes.faceid_core.jobs.schema import outbox

    with database.reading() as connection:
        attempts = connection.execute(sa.select(prompts.c.attempt, sa.func.count()).group_by(prompts.c.attempt)).all()
        per_job = sa.select(pictures.c.prompt_id, sa.func.count().label("n")).group_by(pictures.c.prompt_id).subquery()
        twice = connection.execute(sa.select(sa.func.count()).select_from(per_job).where(per_job.c.n > 1)).scalar_one()
        callbacks = connection.execute(sa.select(sa.func.count()).select_from(outbox)).scalar_one()
    counts = count_by_state(database)
    again = sum(count for attempt, count in attempts if attempt > 1)
    print(f"{database._engine.dialect.name}: {posted} jobs, {kills} kills, {seconds:.0f} s")
    ended = counts["done"] + counts["failed"]
    lost, stuck = posted - sum(counts.values()), counts["queued"] + counts["running"]
    print(f"lost {lost}, completed twice {twice}, callbacks {callbacks} of {ended}")
    print(f"started twice {again} ({100 * again / posted:.1f} %), stuck {stuck}, {counts}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--submitters", type=int, default=4)
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--every", type=float, default=2.0, help="seconds between two kills")
    parser.add_argument("--cut", type=float, help="seconds; needs --database")
    parser.add_argument("--database", help="a SQLAlchemy URL; default: SQLite")
    parser.add_argument("--home", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--submit", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--work", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.submit:
        submit(options)
    elif options.work:
        work(options)
    else:
        with TemporaryDirectory() as home:
            options.home = Path(home)
            (cut_drill if options.cut else drill)(options)


if __name__ == "__main__":
    main()
