"""Eight processes at once on a store that does not exist yet: nobody waits in vain, nothing is lost."""

from __future__ import annotations

import pickle
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from faceid_tunes.faceid_core.tunes.analysis import Analysis
from faceid_tunes.faceid_core.tunes.errors import TuneError
from faceid_tunes.faceid_core.tunes.store import TuneStore, open_store
from faceid_tunes.faceid_core.tunes.tune import Tune

WORKER = Path(__file__).with_name("keep_tunes.py")
PROCESSES, EACH = 8, 3
SHARED = [f"everybody's {n}" for n in range(EACH)]


@pytest.mark.slow
def test_eight_processes_create_tunes_at_once(tmp_path: Path, database_url: str | None, analysis: Analysis) -> None:
    """Each keeps tunes of its own, and tunes of titles that all of them keep."""
    (tmp_path / "analysis").write_bytes(pickle.dumps(analysis))
    command = [sys.executable, str(WORKER), str(tmp_path), database_url or "", str(tmp_path / "analysis")]
    titles = [[title for n in range(EACH) for title in (f"own {who} {n}", SHARED[n])] for who in range(PROCESSES)]
    workers = [subprocess.Popen([*command, *own], stdin=-1, stdout=-1, stderr=-1, text=True) for own in titles]
    assert [worker.stdout.readline() for worker in workers] == ["ready\n"] * PROCESSES
    for worker in workers:
        worker.stdin.write("go\n")
        worker.stdin.flush()
    told = [worker.communicate() for worker in workers]

    assert [(worker.returncode, errors) for worker, (_, errors) in zip(workers, told, strict=True)] == [(0, "")] * 8
    kept = [tuple(line.split(" ", 1)) for output, _ in told for line in output.splitlines()]
    with open_store(tmp_path, database_url=database_url) as store:
        stored = {title: str(tune_id) for tune_id, title in store.titles()}
        assert len(stored) == PROCESSES * EACH + EACH
        assert all(stored[title] == tune_id for tune_id, title in kept)
        assert len(kept) == PROCESSES * EACH * 2


@pytest.mark.slow
def test_eight_processes_make_a_store_at_once(tmp_path: Path) -> None:
    """Several stores, one after another: the switch to a write-ahead log fails only now and then if it can."""
    script = Path(__file__).with_name("open_stores.py")
    workers = [subprocess.Popen([sys.executable, script], stdin=-1, stdout=-1, text=True) for _ in range(PROCESSES)]
    answers = {worker.stdout.readline() for worker in workers}
    for n in range(20):
        for worker in workers:
            worker.stdin.write(f"{tmp_path / str(n)}\n")
            worker.stdin.flush()
        answers |= {worker.stdout.readline() for worker in workers}
    for worker in workers:
        worker.communicate()
    assert answers == {"ready\n", "opened\n"}


def test_many_threads_share_one_store(store: TuneStore, analysis: Analysis) -> None:
    def keep(who: int) -> None:
        for title in (f"own {who}", "everybody's"):
            store.create(analysis.tune(title, "woman"), analysis.files)

    _all_at_once([lambda who=who: keep(who) for who in range(8)])
    assert len(store.titles()) == 9


def test_no_update_is_lost(store: TuneStore, create: Callable[..., Tune]) -> None:
    """Each writer changes another field of one tune; every change is there afterwards."""
    tune = create()
    _all_at_once(
        [
            lambda: store.update(tune.id, title="Alice B."),
            lambda: store.update(tune.id, name="person"),
            lambda: store.update(tune.id, token="ohwx"),
            lambda: store.update(tune.id, callback="https://example.org"),
            lambda: store.set_remote_id(tune.id, 2000501, "https://api.example.org"),
        ]
    )
    now = store.get(tune.id)
    assert (now.title, now.name, now.token, now.callback, now.remote_id) == (
        "Alice B.",
        "person",
        "ohwx",
        "https://example.org",
        2000501,
    )


def test_one_of_two_renames_to_the_same_title_wins(store: TuneStore, create: Callable[..., Tune]) -> None:
    refused: list[str | None] = []

    def rename(tune: Tune) -> None:
        try:
            store.update(tune.id, title="the one")
        except TuneError as error:
            refused.append(error.field)

    _all_at_once([lambda tune=tune: rename(tune) for tune in (create("first"), create("second"))])
    assert refused == ["tune[title]"]


@pytest.mark.slow
def test_creating_deleting_and_purging_at_once_leaves_whole_tunes(store: TuneStore, analysis: Analysis) -> None:
    """All tunes share their files, so each deletion wants to take what the others are about to need."""

    def create_and_delete(who: int) -> None:
        for n in range(6):
            tune = store.create(analysis.tune(f"{who} {n}", "woman"), analysis.files)
            for photo in tune.photos:
                store.photo_bytes(tune, photo)
            if n % 3:
                store.delete(tune.id)

    def purge() -> None:
        for _ in range(12):
            store.purge()

    _all_at_once([*(lambda who=who: create_and_delete(who) for who in range(3)), purge])
    left = store.list()
    assert len(left) == 6
    for tune in left:
        for photo in tune.photos:
            assert store.photo_bytes(tune, photo)


def _all_at_once(jobs: list[Callable[[], object]]) -> None:
    start, failed = threading.Barrier(len(jobs)), []

    def run(job: Callable[[], object]) -> None:
        start.wait()
        try:
            job()
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=run, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        pytest.fail(f"{len(failed)} failed, first: {failed[0]!r}")
