"""How fast the tune store reads, with 10,000 tunes in it, against plain sqlite3 on the same file in the same run.

    python benchmarks/store.py [--tunes 10000] [--rounds 30]

Target: list < 50 ms, open one < 5 ms.
"""

from __future__ import annotations

import argparse
import random
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

from faceid_tunes.faceid_core.tunes import rows, schema
from faceid_tunes.faceid_core.tunes.queries import MAX_LIMIT
from faceid_tunes.faceid_core.tunes.store import TuneStore, open_store
from faceid_tunes.faceid_core.tunes.tune import Tune, TuneFace, TunePhoto


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tunes", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=30)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        with open_store(folder) as store:
            fill(store, arguments.tunes)
            measure(store, Path(folder), arguments.tunes, arguments.rounds)


def fill(store: TuneStore, count: int) -> None:
    """Rows as ``TuneStore.create`` writes them, two photos a tune, in one transaction."""
    now = datetime.now(timezone.utc)
    face = TuneFace("f" * 64, (10.5, 20.25, 200.125, 300.0), ((1.5, 2.5),) * 5, 0.87, "CPUExecutionProvider")
    photo = TunePhoto("0" * 64, "image/jpeg", 1280, 886, face)
    times = dict.fromkeys(("eta", "trained_at", "started_training_at", "created_at", "updated_at"), now)
    with store.database.writing() as connection:
        drafts = (Tune(f"tune {n}", "woman", pack="p", space="s", photos=(photo, photo), **times) for n in range(count))
        connection.execute(schema.tunes.insert(), [rows.tune_values(draft) for draft in drafts])
        for tune_id in range(1, count + 1):
            connection.execute(schema.photos.insert(), rows.photo_rows(tune_id, (photo, photo)))
            connection.execute(schema.faces.insert(), rows.face_rows(tune_id, "p", "s", (face, face)))


def measure(store: TuneStore, folder: Path, count: int, rounds: int) -> None:
    plain = sqlite3.connect(folder / "tunes.sqlite3")
    ids = random.Random(0).choices(range(1, count + 1), k=rounds)
    one, titles = iter(ids * 2), "SELECT id, title FROM faceid_tunes ORDER BY id DESC"
    page = "SELECT * FROM faceid_tunes ORDER BY id DESC LIMIT ?"
    single = "SELECT * FROM faceid_tunes WHERE id = ?"
    report(f"titles of all {count}", rounds, store.titles, lambda: plain.execute(titles).fetchall())
    report(
        f"page of {MAX_LIMIT} of {count}",
        rounds,
        lambda: store.list(MAX_LIMIT),
        lambda: plain.execute(page, (MAX_LIMIT,)).fetchall(),
    )
    report("open one", rounds, lambda: store.get(next(one)), lambda: plain.execute(single, (next(one),)).fetchall())
    report("whole list", 3, lambda: whole_list(store), lambda: plain.execute(page, (-1,)).fetchall())
    report("open the store", rounds, lambda: open_store(folder).close(), lambda: sqlite3.connect(folder / "x").close())


def whole_list(store: TuneStore) -> None:
    before_id = None
    while page := store.list(MAX_LIMIT, before_id):
        before_id = page[-1].id


def report(what: str, rounds: int, ours: Callable[[], object], baseline: Callable[[], object]) -> None:
    """Medians, after one call that is not counted. On a shared machine the processor's time says more."""
    (mine, processor), (plain, _) = median_ms(ours, rounds), median_ms(baseline, rounds)
    print(
        f"{what:24} {mine:9.2f} ms ({processor:.2f} of processor)   plain sqlite3 {plain:8.3f} ms   x{mine / plain:.1f}"
    )


def median_ms(call: Callable[[], object], rounds: int) -> tuple[float, float]:
    """(by the clock, of the processor)."""
    call()
    clock, processor = [], []
    for _ in range(rounds - 1):
        start, busy = time.perf_counter(), time.process_time()
        call()
        clock.append((time.perf_counter() - start) * 1000)
        processor.append((time.process_time() - busy) * 1000)
    return statistics.median(clock), statistics.median(processor)


if __name__ == "__main__":
    main()
