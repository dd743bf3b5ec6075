"""kill -9 at random moments of tune creation; what is left after each, and after a purge.

    python benchmarks/crash.py [--moments 200] [--database-url URL] [--seed 0]

A worker keeps real tunes (a real photo and its real analysis, made different by trailing bytes) one after another and
tells each that was committed; between them it renames, adds a photo, imports a file and deletes. It is killed at a
moment drawn evenly over the time that twelve creations take; every fourth time from before a new store is made until
its first tune is in it. Finding the faces writes nothing, so it is done once, ahead.

Every third moment falls on one of two homes that keep their files in one bucket, with photos that both have; at every
second of these, both homes work at once. A second process purges the same store all the while, with every file made
old, and is killed at the same moment: one that a creation has just written is deleted, too, unless a row names it.

What is found half is printed with its reason, so that nobody has to guess.

Target: 0 committed tunes lost (or deleted ones back), 0 half tunes, 0 bytes of orphans after ``purge``.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import hashlib
import io
import multiprocessing
import os
import random
import signal
import statistics
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import alembic.command  # noqa: F401  (imported ahead: its import writes nothing)
from faceid_tunes.faceid_core.faces.packs import embedded_pack
from faceid_tunes.faceid_core.tunes.analysis import Analysis, analyse
from faceid_tunes.faceid_core.tunes.errors import TuneError
from faceid_tunes.faceid_core.tunes.purge import purge_own_files
from faceid_tunes.faceid_core.tunes.queries import MAX_LIMIT
from faceid_tunes.faceid_core.tunes.store import TuneStore, open_store
from faceid_tunes.faceid_core.tunes.transfer import export_tune, import_tune
from faceid_tunes.faceid_core.tunes.tune import Tune

CHANGES = ("rename", "add-photo", "import", "delete")


@dataclasses.dataclass
class Tally:
    moments: int = 0
    committed: int = 0
    changes: Counter[str] = dataclasses.field(default_factory=Counter)
    lost: int = 0
    half: int = 0
    orphans: int = 0
    orphan_bytes: int = 0
    left_after_purge: int = 0
    shared: int = 0
    purges: int = 0
    alone: threading.Lock = dataclasses.field(default_factory=threading.Lock)

    def count_half(self, store: TuneStore, of: Iterable[Tune], place: Place) -> None:
        for tune in of:
            if problem := problem_of(store, tune):
                self.half += 1
                print(f"half at moment {self.moments}, {place}: {tune.title}: {problem}", flush=True)


@dataclasses.dataclass(frozen=True)
class Place:
    """Where a store is; ``bucket``: shared with another home."""

    home: Path
    url: str | None = None
    bucket: str | None = None

    def open(self) -> TuneStore:
        return open_store(self.home, database_url=self.url, blobs_url=self.bucket, accept_files=bool(self.bucket))

    @property
    def blobs(self) -> Path:
        return Path(self.bucket.removeprefix("file://")) if self.bucket else self.home / "blobs"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--moments", type=int, default=200)
    parser.add_argument("--database-url", help="an empty database; default: SQLite files. Used by nobody else")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    print(__doc__.splitlines()[0])
    analysis, chance, tally = real_analysis(), random.Random(arguments.seed), Tally()
    with tempfile.TemporaryDirectory() as folder:
        first, next_ones = creation_seconds(Path(folder, "timing"), analysis)
        places = [Place(Path(folder, "first"), arguments.database_url)]
        with places[0].open() as store:
            if store.ids():
                raise SystemExit(f"{store.database.where} is not empty: what an earlier run left there is half.")
        shared = [Place(Path(folder, name), None, f"file://{folder}/bucket") for name in ("one", "two")]
        for moment in range(arguments.moments):
            fresh = moment % 4 == 0 and not arguments.database_url
            if fresh:
                places.append(Place(Path(folder, str(moment))))
            place = shared[moment % 2] if moment % 3 == 2 and not fresh else places[-1 if fresh else 0]
            tally.shared += place in shared
            wait = chance.uniform(0, first if fresh else 12 * next_ones)
            if place in shared and moment % 2:
                with ThreadPoolExecutor() as together:
                    at_once = [together.submit(one_moment, one, analysis, wait, moment, tally) for one in shared]
                for one in at_once:
                    one.result()
            else:
                one_moment(place, analysis, wait, moment, tally)
        for place in places:
            inspect_and_purge(place, tally)
        for place in shared:
            with place.open() as store:
                tally.count_half(store, (store.get(tune_id) for tune_id in store.ids()), place)
    print(f"moments                     {tally.moments}")
    print(f"of them, two homes, a bucket {tally.shared}")
    print(f"purges beside them          {tally.purges}")
    print(f"one creation                {next_ones * 1000:.0f} ms; of a new store too {first * 1000:.0f} ms")
    print(f"committed tunes             {tally.committed}")
    print(f"changes                     {', '.join(f'{count} {what}' for what, count in tally.changes.items())}")
    print(f"committed tunes lost        {tally.lost}")
    print(f"half tunes                  {tally.half}")
    print(f"orphans before purge        {tally.orphans} files, {tally.orphan_bytes} bytes")
    print(f"orphan bytes after purge    {tally.left_after_purge}")
    if tally.lost or tally.half or tally.left_after_purge:
        raise SystemExit(1)


def real_analysis() -> Analysis:
    import skimage
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(skimage.data.astronaut()).save(file, "PNG")
    return analyse([file.getvalue()], embedded_pack())


def distinct(analysis: Analysis, number: int) -> Analysis:
    """The same photo and face as other files, so that every creation writes its own."""
    names, files = {}, []
    for data in analysis.files:
        changed = data + str(number).encode()
        names[hashlib.sha256(data).hexdigest()] = hashlib.sha256(changed).hexdigest()
        files.append(changed)
    photos = tuple(
        dataclasses.replace(
            photo, sha256=names[photo.sha256], face=dataclasses.replace(photo.face, sha256=names[photo.face.sha256])
        )
        for photo in analysis.photos
    )
    return dataclasses.replace(analysis, photos=photos, files=tuple(files))


def creation_seconds(home: Path, analysis: Analysis) -> tuple[float, float]:
    """(making the store and its first tune, a later tune)."""
    took, start = [], time.perf_counter()
    with open_store(home) as store:
        for number in range(12):
            different = distinct(analysis, number)
            store.create(different.tune(f"timing {number}", "woman"), different.files)
            took.append(time.perf_counter() - start)
            start = time.perf_counter()
    return took[0], statistics.median(took[1:])


def one_moment(place: Place, analysis: Analysis, wait: float, moment: int, tally: Tally) -> None:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([Analysis.__module__, TuneStore.__module__, "alembic.command"])
    ours, theirs = context.Pipe()
    worker = context.Process(target=create_until_killed, args=(place, analysis, moment, theirs))
    purges, from_purger = context.Pipe()
    purger = context.Process(target=purge_until_killed, args=(place, from_purger))
    worker.start()
    theirs.close()
    ours.recv()  # about to start
    purger.start()
    from_purger.close()
    if place.home.exists():
        purges.recv()
    time.sleep(wait)
    for process in (worker, purger):
        os.kill(process.pid, signal.SIGKILL)
        process.join()
    with tally.alone:
        tally.purges += len(list(received(purges)))
        check(place, list(received(ours)), tally)


def received(pipe: Connection) -> Iterator[Any]:
    with contextlib.suppress(EOFError):
        while True:
            yield pipe.recv()


def purge_until_killed(place: Place, pipe: Connection) -> None:
    """With every file made old enough to go."""
    while not (place.home / "tunes.sqlite3").exists() and not place.url:
        time.sleep(0.001)
    with place.open() as store:
        pipe.send("ready")
        while True:
            for path in place.blobs.glob("??/*"):  # not what is being written: purge takes that for a killed process's
                with contextlib.suppress(OSError):
                    os.utime(path, (1e9, 1e9))
            with contextlib.suppress(TuneError):  # it refuses where most are unknown, or another home's
                purge_own_files(store)
            pipe.send("purged")


def create_until_killed(place: Place, analysis: Analysis, moment: int, pipe: Connection) -> None:
    """Sends ("will", what, the tune's id) before each change and ("did", what, the tune or its id) after it."""

    def create(number: int) -> Tune:
        different = distinct(analysis, number if place.bucket else moment * 1000 + number)
        return store.create(different.tune(f"moment {moment}, tune {number}", "woman"), different.files)

    def change(what: str, tune: Tune, number: int) -> Tune | int:
        if what == "delete":
            store.delete(tune.id)
            return tune.id
        if what == "rename":
            return store.update(tune.id, title=f"{tune.title}, renamed")
        if what == "import":
            file, photo = io.BytesIO(), dataclasses.replace(tune.photos[0], face=None)  # distinct() spoils embeddings
            export_tune(store, dataclasses.replace(tune, photos=(photo,)), file)
            return import_tune(store, file, embedded_pack(), title=f"{tune.title}, imported")
        more = distinct(analysis, moment * 1000 + number + 500)
        both = (*tune.photos, *more.photos)
        changed = store.replace_photos(tune, both, more.files, analysis.pack, analysis.space)
        assert changed is not None
        return changed

    new = not place.url and not place.home.exists()
    if not new:
        store = place.open()
        change("import", create(0), 0)  # so that the moments fall on the writing, not on what a first call prepares
    pipe.send("ready")
    if new:
        store = place.open()
    for number in range(1, 400):
        tune = create(number)
        pipe.send(("did", "create", tune))
        what = CHANGES[number % len(CHANGES)]
        pipe.send(("will", what, tune.id))
        pipe.send(("did", what, change(what, tune, number)))


def check(place: Place, told: list[tuple[str, str, Tune | int]], tally: Tally) -> None:
    """Reopen after the kill: every tune is as it was told last, or as a change under way makes it, and whole."""
    last: dict[int, tuple[str, str, Tune | int]] = {}
    for said in told:
        tune = said[2]
        last[tune if isinstance(tune, int) else tune.id] = said
        tally.changes[said[1]] += said[0] == "did"
    with place.open() as store:
        # Whoever is killed while removing files leaves word of it, which holds up others for minutes. Not here.
        for path in place.blobs.glob(f"removing-{store.blobs.owner.uid}-*"):
            os.utime(path, (1e9, 1e9))
        tally.moments += 1
        tally.committed += sum(said[:2] == ("did", "create") for said in told)
        for tune_id, (said, what, tune) in last.items():
            there = store.find_id(tune_id)
            if (said, what) == ("did", "delete"):
                tally.lost += there is not None  # a deleted person came back
            elif said == "will":
                tally.lost += there is None and what != "delete"
            else:
                tally.lost += there != tune
        newest = store.list(limit=max(1, min(MAX_LIMIT, len(told) + 2)))
        tally.count_half(store, newest, place)


def problem_of(store: TuneStore, tune: Tune) -> str | None:
    try:
        for photo in tune.photos:
            store.photo_bytes(tune, photo)
            store.blobs.get(photo.face.sha256)
    except TuneError as error:
        return str(error)
    return None if tune.photos else "it has no photos"


def inspect_and_purge(place: Place, tally: Tally) -> None:
    with place.open() as store:
        needed, before_id = set(), None
        while page := store.list(MAX_LIMIT, before_id):
            before_id = page[-1].id
            tally.count_half(store, page, place)
            needed |= {name for tune in page for photo in tune.photos for name in (photo.sha256, photo.face.sha256)}
        orphans = orphan_files(place.home, needed)
        tally.orphans += len(orphans)
        tally.orphan_bytes += sum(path.stat().st_size for path in orphans)
        store.purge(grace=timedelta(0))
        tally.left_after_purge += sum(path.stat().st_size for path in orphan_files(place.home, needed))


def orphan_files(home: Path, needed: set[str]) -> list[Path]:
    told = ("database-", "removing-")  # no photos of anybody
    files = (path for path in (home / "blobs").rglob("*") if path.is_file() and not path.name.startswith(told))
    return [path for path in files if path.name not in needed]


if __name__ == "__main__":
    main()
