"""A process that keeps tunes, one of many in test_many_processes.py.

    python keep_tunes.py HOME DATABASE_URL ANALYSIS(pickle) TITLE...

Says "ready", waits for a line, opens the store; then writes one line per kept tune: its id and title.
"""

from __future__ import annotations

import pickle
import sys
from pathlib import Path

import alembic.command  # noqa: F401  (before the start, so that all migrate at once)
from faceid_tunes.faceid_core.tunes.analysis import Analysis
from faceid_tunes.faceid_core.tunes.store import TuneStore, open_store


def keep(store: TuneStore, analysis: Analysis, title: str) -> None:
    tune = store.create(analysis.tune(title, "woman"), analysis.files)
    sys.stdout.write(f"{tune.id} {tune.title}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    home, url, path, *titles = sys.argv[1:]
    loaded = pickle.loads(Path(path).read_bytes())
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    with open_store(home, database_url=url or None) as opened:
        for one in titles:
            keep(opened, loaded, one)
