"""The service as a process of its own, with an engine that takes 50 ms: what the benchmarks of the service drive.

python benchmarks/_served.py --home DIR --port N [--database URL] [--workers N] [--lease SECONDS]
"""

from __future__ import annotations

import argparse
import socket
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from threading import Event
from urllib.request import urlopen

import numpy as np
from faceid_tunes.faceid_core.engines.engine import Drawn, Picture
from faceid_tunes.faceid_core.prompts import Prompt
from faceid_tunes.faceid_core.tunes.store import TuneStore

BASE = 690204
SECONDS = 0.05  # of drawing


class Stub:
    """An engine that takes its time and draws one grey picture."""

    name = "stub"

    def draw(self, prompt: Prompt, store: TuneStore, on_progress=None, cancel: Event | None = None) -> Drawn:
        time.sleep(SECONDS)
        return Drawn((Picture(np.full((8, 8, 3), (prompt.seed or 0) % 256, np.uint8), prompt.seed),))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def started(
    home: Path, port: int, database: str | None = None, workers: int = 2, lease: float = 60
) -> subprocess.Popen:
    """The process; it may not listen yet."""
    command = [sys.executable, __file__, "--home", str(home), "--port", str(port)]
    command += ["--workers", str(workers), "--lease", str(lease)]
    return subprocess.Popen(command + (["--database", database] if database else []))


def wait_until_it_answers(url: str, seconds: float = 60) -> None:
    """Raises OSError when it never does."""
    end = time.monotonic() + seconds
    while True:
        try:
            with urlopen(f"{url}/ready", timeout=5):
                return
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.02)


def main() -> None:
    from faceid_tunes.faceid_core.astria.base_models import SHIPPED, base_models
    from faceid_tunes.faceid_core.faces.packs import embedded_pack
    from faceid_tunes.faceid_core.jobs.queue import Jobs
    from faceid_tunes.faceid_core.tunes.store import open_store
    from faceid_tunes.service.run import serve
    from faceid_tunes.service.settings import ServiceSettings
    from faceid_tunes.service.state import Service
    from faceid_tunes.service.worker import Worker

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--database")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--lease", type=float, default=60)
    options = parser.parse_args()
    with open_store(options.home, database_url=options.database) as store:
        jobs, lease = Jobs(store), timedelta(seconds=options.lease)
        settings = ServiceSettings(closed_ports=(options.port,))
        workers = [
            Worker(jobs, store, lambda job: Stub(), name=f"worker {number}", lease=lease)
            for number in range(options.workers)
        ]
        service = Service(store, jobs, embedded_pack(), base_models(SHIPPED), settings)
        serve(service, "127.0.0.1", options.port, workers)


if __name__ == "__main__":
    main()
