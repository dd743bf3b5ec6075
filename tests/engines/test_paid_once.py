"""What is ordered from the remote API is paid once and delivered, whatever is stopped, damaged, full or said."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from threading import Event

import pytest
from faceid_tunes.faceid_core.astria import client as astria_client
from faceid_tunes.faceid_core.astria.errors import OutcomeUnknownError, ResultError
from faceid_tunes.faceid_core.astria.secret import Secret
from faceid_tunes.faceid_core.astria.settings import AstriaSettings
from faceid_tunes.faceid_core.astria.wire.objects_json import prompt_json
from faceid_tunes.faceid_core.engines.engine import Cancelled
from faceid_tunes.faceid_core.engines.remote import AstriaEngine, DamagedNoteError, Journal
from faceid_tunes.faceid_core.engines.remote import engine as engine_module
from faceid_tunes.faceid_core.engines.remote import journal as journal_module
from faceid_tunes.faceid_core.engines.remote.journal import journal_key
from faceid_tunes.faceid_core.engines.remote.remote_tunes import ensure_remote
from faceid_tunes.faceid_core.engines.remote.turns import turn
from faceid_tunes.faceid_core.errors import FaceIDError
from faceid_tunes.faceid_core.faces.packs import embedded_pack
from faceid_tunes.faceid_core.prompts import Prompt
from faceid_tunes.faceid_core.tunes.create import create_tune
from faceid_tunes.faceid_core.tunes.store import TuneStore, open_store
from support import photos
from support.asking import QUICK, QUICK_POLLS, Delivering, ask
from support.fake_astria import BASE, KEY, FakeAstria
from support.fake_faults import Fault

PROMPT = Prompt("<faceid:1234567:1> woman in the alps", seed=7)
UNSEEDED = replace(PROMPT, seed=None)
PATIENT = replace(QUICK, settle=4.0, settle_after_504=4.0)  # the server tells its time in whole seconds
NOBODY = replace(QUICK, settle=600.0, settle_after_504=600.0)  # a test that waits so long is a test that fails
ASTRONAUT = photos.encoded(photos.single_faces()["astronaut"], "JPEG")
POSTED = f"/tunes/{BASE}/prompts"


@pytest.fixture
def api() -> Iterator[FakeAstria]:
    with FakeAstria() as running:
        yield running


@pytest.fixture
def store(tmp_path: Path) -> Iterator[TuneStore]:
    with open_store(tmp_path / "home") as opened:
        yield opened


@pytest.fixture
def engine(api: FakeAstria, tmp_path: Path) -> AstriaEngine:
    settings = AstriaSettings(Secret(api.key), api.url)
    return Delivering(settings, Journal(tmp_path / "remote"), polling=QUICK_POLLS, retrying=PATIENT)


def posts(api: FakeAstria, path: str = POSTED) -> int:
    return sum(seen.method == "POST" and seen.path == path for seen in api.seen)


def stopped(engine: AstriaEngine, store: TuneStore, is_time: Callable[[], bool], prompt: Prompt = PROMPT) -> None:
    """Draws, and is stopped as soon as ``is_time``."""
    stop, ended = Event(), Event()

    def watch() -> None:
        while not ended.is_set() and not is_time():
            time.sleep(0.005)
        stop.set()

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        with pytest.raises(Cancelled):
            engine.draw(prompt, store, cancel=stop)
    finally:
        ended.set()
        watcher.join()


def stopped_while_drawing(api: FakeAstria, engine: AstriaEngine, store: TuneStore, prompt: Prompt = PROMPT) -> Path:
    """An order that is sent and not finished; returns its note."""
    api.polls_until_done = 10**9
    stop = Event()
    with pytest.raises(Cancelled):
        engine.draw(prompt, store, lambda stage, *_: stop.set() if "drawing" in stage else None, stop)
    api.polls_until_done = 1
    return engine.journal.where(journal_key(engine.settings.base_url, BASE, prompt))


# Stopped at any moment


@pytest.mark.parametrize("prompt", [PROMPT, UNSEEDED], ids=["seed", "no seed"])
def test_stopped_while_the_request_is_under_way_and_queued_again_at_once_it_is_paid_once(api, store, engine, prompt):
    api.will(Fault(how="stall", work="later", seconds=0.4), "POST", "/prompts")
    stopped(engine, store, lambda: posts(api) == 1, prompt)
    assert not api.prompts, "the server has not done it yet"
    assert engine.draw(prompt, store).pictures
    assert len(api.prompts) == 1 and posts(api) == 1


@pytest.mark.slow
def test_a_stopped_upload_that_is_queued_again_at_once_makes_one_tune(api, store, engine):
    create_tune(store, [ASTRONAUT], "Anna", "woman", embedded_pack())
    api.will(Fault(how="stall", work="later", seconds=0.4), "POST", "/tunes")
    anna = Prompt("<faceid:Anna:1> woman", seed=1)
    stopped(engine, store, lambda: posts(api, "/tunes") == 1, anna)
    assert not api.tunes
    assert engine.draw(anna, store).pictures
    assert len(api.tunes) == 1 and posts(api, "/tunes") == 1


def test_what_the_server_can_no_longer_be_doing_is_looked_for_once(api, store, engine):
    key = journal_key(engine.settings.base_url, BASE, PROMPT)
    long_ago = datetime.now(timezone.utc) - timedelta(seconds=601)
    engine.journal.begin(key, 7, text=PROMPT.text, server_sent=long_ago)
    assert replace(engine, retrying=NOBODY).draw(PROMPT, store).pictures
    assert posts(api) == 1


def test_a_request_under_way_is_noted_again_and_again(api, monkeypatch):
    monkeypatch.setattr(astria_client, "_TELL_EVERY", 0.02)
    told = []
    api.will(Fault(how="slow", seconds=0.15), "POST", "/prompts")
    ask(api, lambda client: client.create_prompt(BASE, PROMPT, on_send=told.append))
    assert len(told) >= 3
    assert all(isinstance(moment, datetime) for moment in told) or told[0] is None


def test_stopped_while_the_balance_is_asked_for_the_pictures_are_not_paid_again(api, store, engine):
    api.will(Fault(how="slow", seconds=0.5), "GET", "/users")
    stopped(engine, store, lambda: any(seen.path == "/users" for seen in api.seen))
    assert engine.draw(PROMPT, store).pictures
    assert len(api.prompts) == 1


# Clocks


@pytest.mark.parametrize(("at_sending", "later"), [(60, 0), (-86400, 0), (0, 31 * 86400), (0, -3600), (86400, -86400)])
def test_our_clock_decides_nothing(api, store, engine, monkeypatch, at_sending, later):
    def jump(seconds: float) -> None:
        class Jumped(datetime):
            @classmethod
            def now(cls, zone=None):
                return datetime.now(zone) + timedelta(seconds=seconds)

        monkeypatch.setattr(journal_module, "datetime", Jumped)
        monkeypatch.setattr("faceid_tunes.faceid_core.engines.remote.ordering.datetime", Jumped)
        monkeypatch.setattr("faceid_tunes.faceid_core.engines.remote.remote_tunes.datetime", Jumped)

    jump(at_sending)
    api.will(Fault(how="stall", work="later", seconds=0.3), "POST", "/prompts")
    stopped(engine, store, lambda: posts(api) == 1)
    jump(later)
    assert engine.draw(PROMPT, store).pictures
    assert posts(api) == 1 == len(api.prompts)


def test_a_note_of_any_age_is_asked_about_at_the_server(api, store, engine):
    note = stopped_while_drawing(api, engine, store)
    told = json.loads(note.read_text()) | {"began": "2020-01-01T00:00:00+00:00"}
    note.write_text(json.dumps(told))
    assert engine.draw(PROMPT, store).pictures and len(api.prompts) == 1


def test_an_older_order_of_the_same_text_and_seed_is_not_taken_for_the_new_one(api, store, engine):
    engine.draw(PROMPT, store)
    api.will(Fault(how="stall", work="later", seconds=0.3), "POST", "/prompts")
    stopped(engine, store, lambda: posts(api) == 2)
    assert engine.draw(PROMPT, store).notes[0] == "remote prompt 30000902"
    assert len(api.prompts) == 2


def test_an_order_of_another_number_of_pictures_is_not_taken_for_this_one(api, store, engine):
    stopped_while_drawing(api, engine, store, replace(PROMPT, num_images=2)).unlink()
    engine.journal.begin(journal_key(engine.settings.base_url, BASE, PROMPT), 7, text=PROMPT.text)
    assert len(replace(engine, retrying=QUICK).draw(PROMPT, store).pictures) == 1
    assert len(api.prompts) == 2


# Notes that cannot be read

DAMAGE = {
    "empty": b"",
    "half": b'{"seed": 7, "began": "2026-',
    "NUL": b"\0" * 200,
    "not UTF-8": b'{"seed": \xff}',
    "deep": b"[" * 100_000,
    "a list": b"[]",
    "a word for an id": b'{"seed": 7, "began": "2026-01-01T00:00:00+00:00", "prompt_id": "x"}',
    "a huge seed": b'{"seed": 1e400, "began": "2026-01-01T00:00:00+00:00", "prompt_id": null}',
    "true for an id": b'{"seed": 7, "began": "2026-01-01T00:00:00+00:00", "prompt_id": true}',
    "a list for a text": b'{"seed": 7, "began": "2026-01-01T00:00:00+00:00", "prompt_id": null, "text": []}',
}


@pytest.mark.parametrize("content", DAMAGE.values(), ids=DAMAGE)
def test_behind_a_note_that_cannot_be_read_the_paid_prompt_is_found(api, store, engine, content):
    stopped_while_drawing(api, engine, store).write_bytes(content)
    assert engine.draw(PROMPT, store).pictures
    assert posts(api) == 1 == len(api.prompts)


def test_a_folder_in_place_of_a_note_is_a_note_that_cannot_be_read(api, store, engine):
    note = stopped_while_drawing(api, engine, store)
    note.unlink()
    note.mkdir()
    with pytest.raises(FaceIDError, match="The prompt was not sent"):
        engine.draw(PROMPT, store)
    assert posts(api) == 1


@pytest.mark.parametrize("content", [b"", DAMAGE["deep"]], ids=["empty", "deep"])
def test_without_a_seed_nobody_can_say_and_nothing_is_paid(api, store, engine, content):
    note = stopped_while_drawing(api, engine, store, UNSEEDED)
    note.write_bytes(content)
    with pytest.raises(DamagedNoteError, match=r"Prompt 30000901 there has the same text.* Nothing was sent"):
        engine.draw(UNSEEDED, store)
    assert posts(api) == 1
    note.unlink()
    assert engine.draw(UNSEEDED, store).pictures


@pytest.mark.parametrize("prompt", [PROMPT, UNSEEDED], ids=["seed", "no seed"])
def test_a_damaged_note_of_what_the_server_does_not_have_holds_nothing_up(api, store, engine, prompt):
    note = engine.journal.where(journal_key(engine.settings.base_url, BASE, prompt))
    note.parent.mkdir(parents=True)
    note.write_bytes(b"")
    assert replace(engine, retrying=QUICK).draw(prompt, store).pictures
    assert len(api.prompts) == 1


# At the same time


def together(*calls: Callable[[], object]) -> list[object]:
    results: list[object] = []

    def run(call: Callable[[], object]) -> None:
        try:
            results.append(call())
        except Exception as error:
            results.append(error)

    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


@pytest.mark.slow
@pytest.mark.parametrize("prompt", [PROMPT, UNSEEDED], ids=["seed", "no seed"])
def test_the_same_prompt_four_times_at_once_is_one_order_for_all(api, store, engine, prompt):
    api.will(Fault(how="slow", seconds=0.2), "POST", "/prompts")
    api.polls_until_done = 400
    drawn = together(*[lambda: engine.draw(prompt, store)] * 4)
    assert [len(result.pictures) for result in drawn] == [1] * 4
    assert len(api.prompts) == 1
    assert not list(engine.journal._folder.iterdir())


def test_a_call_that_began_beside_another_shares_its_order_also_when_the_other_ends_first(
    api, store, engine, monkeypatch
):
    note = stopped_while_drawing(api, engine, store)
    refs = engine_module.remote_refs

    async def refs_late(*given: object) -> dict[str, str]:
        note.unlink()  # the other has its pictures, and has forgotten the order
        return await refs(*given)

    monkeypatch.setattr(engine_module, "remote_refs", refs_late)
    assert engine.draw(PROMPT, store).pictures
    assert len(api.prompts) == 1


def _draw_in_a_process(url: str, home: str, folder: str) -> None:
    settings = AstriaSettings(Secret(KEY), url, workspace=str(os.getpid()))  # so that the test tells them apart
    engine = Delivering(settings, Journal(Path(folder)), polling=QUICK_POLLS, retrying=PATIENT)
    with open_store(home) as store:
        engine.draw(Prompt("<faceid:Anna:1> woman", seed=7), store)


@pytest.mark.slow
def test_processes_on_one_journal_share_the_upload_and_the_order(api, store, tmp_path):
    create_tune(store, [ASTRONAUT], "Anna", "woman", embedded_pack())
    api.polls_until_done = 10**9
    api.will(Fault(how="slow", seconds=0.2), "POST", "/tunes")
    start = multiprocessing.get_context("spawn")
    arguments = (api.url, str(tmp_path / "home"), str(tmp_path / "remote"))
    processes = [start.Process(target=_draw_in_a_process, args=arguments) for _ in range(3)]
    asking: set[str] = set()
    for process in processes:
        process.start()
    deadline = time.monotonic() + 60
    while len(asking) < 3 and time.monotonic() < deadline:
        asking = {seen.headers["X-Workspace-Id"] for seen in api.seen if seen.path.startswith("/prompts/")}
        time.sleep(0.02)
    api.polls_until_done = 1
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0] * 3
    assert len(api.tunes) == 1 and len(api.prompts) == 1


def test_two_people_with_one_key_wait_for_one_another_and_may_be_stopped(tmp_path):
    seen = []

    async def hold(name: str) -> None:
        async with turn(tmp_path, "key"):
            seen.append(name)
            await asyncio.sleep(0.1)
            seen.append(name)

    async def main() -> None:
        first, second = asyncio.ensure_future(hold("a")), asyncio.ensure_future(hold("b"))
        await asyncio.sleep(0.01)
        third = asyncio.ensure_future(hold("c"))
        await asyncio.sleep(0.01)
        third.cancel()
        await asyncio.gather(first, second, third, return_exceptions=True)

    asyncio.run(main())
    assert seen in (["a", "a", "b", "b"], ["b", "b", "a", "a"])


# What is paid is delivered


def answered(api: FakeAstria, **changes: object) -> None:
    """The answer to every question about the first prompt, with other fields."""
    (prompt,) = api.prompts.values()
    done = replace(prompt, trained_at=prompt.created_at, images=(f"{api.url}/blobs/p{prompt.id}i0",))
    body = json.dumps(prompt_json(done) | changes).replace('"FIGURE"', "9" * 5000)
    api.will(Fault(status=200, body=body.encode()), "GET", f"/prompts/{prompt.id}", times=99)


ODD = {
    "a flag we do not know": {"text": "x --brand_new_flag"},
    "half a tag": {"text": "<faceid:1"},
    "half a character": {"text": "\ud800 x"},
    "no text": {"text": 17},
    "a price of 400 digits": {"cost_mc": 10**399},
    "a price of 5000 digits": {"cost_mc": "FIGURE"},
    "an infinite strength": {"denoising_strength": float("inf")},
    "a time beyond time": {"created_at": "0001-01-01T00:00:00+23:59", "updated_at": "9999-12-31T23:59:59-23:59"},
    "types": {"seed": [], "num_images": {}, "steps": "x", "cfg_scale": {}, "user_error": 5, "content_types": 3},
    "a deep field": {"novelty": json.loads("[" * 300 + "]" * 300)},
    "an error with the picture": {"user_error": "The face is small."},
}


@pytest.mark.parametrize("changes", ODD.values(), ids=ODD)
def test_a_field_that_is_decoration_keeps_no_picture_back(api, store, engine, changes):
    stopped_while_drawing(api, engine, store)
    answered(api, **changes)
    drawn = engine.draw(PROMPT, store)
    assert len(drawn.pictures) == 1 and len(api.prompts) == 1
    assert (
        "user_error" not in changes or changes["user_error"] == 5 or "the API says: The face is small." in drawn.notes
    )


def test_as_many_pictures_are_fetched_as_were_ordered(api, store, engine):
    stopped_while_drawing(api, engine, store)
    number = next(iter(api.prompts))
    answered(api, images=[f"{api.url}/blobs/p{number}i{index}" for index in range(2000)])
    drawn = engine.draw(PROMPT, store)
    assert len(drawn.pictures) == 1 and sum(seen.path.startswith("/blobs/") for seen in api.seen) == 1
    assert "the API names 2000 pictures; the 1 that were ordered are here" in drawn.notes


def test_one_picture_that_is_gone_does_not_keep_the_others_back(api, store, engine):
    api.will(Fault(status=404), "GET", "/blobs/p30000901i1", times=99)
    drawn = engine.draw(replace(PROMPT, num_images=3), store)
    assert len(drawn.pictures) == 2
    assert any("Image 2 of 3 no longer exists" in note for note in drawn.notes)


@pytest.mark.parametrize(
    "fault", [Fault(status=503), Fault(status=403), Fault(shorten=True)], ids=["503", "403", "cut"]
)
def test_a_picture_that_does_not_come_now_is_fetched_by_the_next_run(api, store, engine, fault):
    api.will(fault, "GET", "/blobs/p30000901i1", times=99)
    with pytest.raises(ResultError, match=r"Image 2 of 2.*run the same prompt again to fetch prompt 30000901"):
        engine.draw(replace(PROMPT, num_images=2), store)
    api._ordered.clear()
    assert len(engine.draw(replace(PROMPT, num_images=2), store).pictures) == 2
    assert len(api.prompts) == 1


def test_a_picture_that_cannot_be_opened_here_is_not_forgotten(api, store, engine, monkeypatch):
    def no_memory(image: bytes) -> None:
        raise MemoryError

    with monkeypatch.context() as patched:
        patched.setattr("faceid_tunes.faceid_core.engines.remote.engine.pixels", no_memory)
        with pytest.raises(MemoryError):
            engine.draw(PROMPT, store)
    assert engine.draw(PROMPT, store).pictures and len(api.prompts) == 1


def test_until_the_pictures_are_where_they_stay_the_same_prompt_pays_nothing(api, store, engine):
    undelivered = AstriaEngine(engine.settings, engine.journal, polling=QUICK_POLLS, retrying=PATIENT)
    first, again = undelivered.draw(UNSEEDED, store), undelivered.draw(UNSEEDED, store)
    assert first.notes[0] == again.notes[0] and len(api.prompts) == 1
    again.delivered()
    assert not list(engine.journal._folder.iterdir())
    engine.draw(UNSEEDED, store)
    assert len(api.prompts) == 2
    first.delivered()  # late, and of an order that is forgotten: it takes no other along


_KILLED_BEFORE_SAVING = """
import os, signal, sys
from faceid_tunes.cli import main, results
results.save_results = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
main(sys.argv[1:])
"""


@pytest.mark.slow
def test_killed_before_the_pictures_are_saved_the_command_line_fetches_them_again_and_pays_nothing(api, tmp_path):
    environment = os.environ | {"ASTRIA_API_KEY": KEY, "ASTRIA_BASE_URL": api.url, "ASTRIA_ALLOW_INSECURE": "1"}
    command = ["generate", "--engine", "astria", "--text", "a lake", "--home", str(tmp_path / "home")]
    command += ["--output", str(tmp_path / "pictures")]
    api.polls_until_done = 1
    killed = subprocess.run([sys.executable, "-c", _KILLED_BEFORE_SAVING, *command], env=environment, check=False)
    assert killed.returncode == -9 and len(api.prompts) == 1
    assert not list((tmp_path / "pictures").iterdir())
    whole = [
        sys.executable,
        "-c",
        "import sys; from faceid_tunes.cli import main; sys.exit(main(sys.argv[1:]))",
        *command,
    ]
    said = subprocess.run(whole, env=environment, capture_output=True, text=True, check=True).stdout
    assert "remote prompt 30000901" in said and len(api.prompts) == 1
    assert (tmp_path / "pictures" / "faceid_00001.png").exists()
    assert not list((tmp_path / "home" / "remote").iterdir())


# Disks


def full_at(monkeypatch: pytest.MonkeyPatch, *writings: int) -> None:
    """The disk is full at these writings of the journal, counted from 1."""
    done, put = [], Journal._put

    def full(self: Journal, file: Path, content: str, unsent: str) -> None:
        done.append(file)
        if len(done) in writings:
            raise FaceIDError(f"{file}: cannot be written (No space left on device). {unsent}")
        put(self, file, content, unsent)

    monkeypatch.setattr(Journal, "_put", full)


def test_a_full_disk_before_anything_says_that_nothing_was_sent(api, store, engine, monkeypatch):
    full_at(monkeypatch, 1)
    with pytest.raises(FaceIDError, match="Nothing was sent"):
        engine.draw(PROMPT, store)
    assert not api.seen


def test_a_full_disk_at_the_prompts_note_says_that_the_prompt_was_not_sent(api, store, engine, monkeypatch):
    full_at(monkeypatch, 2)
    with pytest.raises(FaceIDError, match="The prompt was not sent") as caught:
        engine.draw(PROMPT, store)
    assert "Nothing was sent" not in str(caught.value) and not posts(api)


def test_a_full_disk_after_it_was_sent_is_no_error(api, store, engine, monkeypatch, caplog):
    full_at(monkeypatch, 3)
    assert engine.draw(PROMPT, store).pictures
    assert "It was sent all the same" in caplog.text and "Nothing was sent" not in caplog.text
    assert not list(engine.journal._folder.iterdir())


def test_a_full_disk_after_it_was_sent_and_a_stop_pay_once(api, store, engine, monkeypatch):
    full_at(monkeypatch, 3)
    stopped_while_drawing(api, engine, store)
    assert engine.draw(PROMPT, store).pictures and posts(api) == 1


def test_the_rename_of_a_note_reaches_the_disk(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(journal_module, "sync_folder", synced.append)
    journal = Journal(tmp_path / "remote")
    journal.begin("key", 1)
    journal.finish("key")
    assert synced == [tmp_path / "remote"] * 2


def test_what_a_killed_process_left_half_written_is_cleared_away(tmp_path):
    journal = Journal(tmp_path)
    (tmp_path / "old.4711.part").touch()
    (tmp_path / "new.4711.part").touch()
    long_ago = time.time() - 7200
    os.utime(tmp_path / "old.4711.part", (long_ago, long_ago))
    journal.check()
    assert [path.name for path in tmp_path.iterdir()] == ["new.4711.part"]


def test_the_end_of_an_order_does_not_remove_the_note_of_a_later_one(tmp_path):
    journal = Journal(tmp_path)
    later = journal.sent("key", journal.begin("key", 1), 902)
    journal.finish("key", 901)
    assert journal.find("key") == later
    journal.finish("key", 902)
    assert journal.find("key") is None


# What the server says


def test_an_answer_in_a_list_is_the_answer(api, store, engine):
    api.in_list = True
    create_tune(store, [ASTRONAUT], "Anna", "woman", embedded_pack())
    assert engine.draw(Prompt("<faceid:Anna:1> woman", seed=1), store).pictures
    assert posts(api, "/tunes") == 1 == posts(api)
    looked = [seen for seen in api.seen if seen.method == "GET" and seen.path == POSTED]
    assert not looked


def test_after_a_yes_nothing_is_sent_again_however_often_it_is_run(api, store, engine):
    api.will(Fault(status=201, body=b"[]"), "POST", "/prompts", times=9)
    for words in ("It said yes, and the prompt", "said yes to this prompt"):
        with pytest.raises(OutcomeUnknownError, match=words):
            replace(engine, retrying=QUICK).draw(PROMPT, store)
    assert posts(api) == 1
    note = re.search(
        r"remove the note (\S+)\.$", str(_raised(lambda: replace(engine, retrying=QUICK).draw(PROMPT, store)))
    )
    assert note and Path(note[1]).exists()


def test_a_yes_to_an_upload_is_not_asked_for_again_either(api, store, engine):
    create_tune(store, [ASTRONAUT], "Anna", "woman", embedded_pack())
    api.will(Fault(status=201, body=b"{}"), "POST", "/tunes", times=9)
    for words in ("It said yes, and the tune", "said yes to the tune"):
        with pytest.raises(OutcomeUnknownError, match=words):
            replace(engine, retrying=QUICK).draw(Prompt("<faceid:Anna:1> woman", seed=1), store)
    assert posts(api, "/tunes") == 1


_ON_A_FULL_DISK = """
import pathlib, sys
from faceid_tunes.faceid_core.engines.remote.journal import Journal
from faceid_tunes.faceid_core.errors import FaceIDError
folder = pathlib.Path(sys.argv[1])
journal = Journal(folder / "remote")
pending = journal.begin("key", 7, text="a lake")
(folder / "rest").open("wb", 0).write(bytes(2**20))  # as much as fits
print(journal.sent("key", pending, 901).prompt_id, journal.find("key") is not None)
for call in (journal.check, lambda: journal.begin("other", 1)):
    try:
        call()
    except FaceIDError as error:
        print(error)
journal.finish("key", 901)
print(sorted(path.name for path in (folder / "remote").iterdir()))
"""


@pytest.mark.slow
def test_on_a_disk_that_is_really_full_every_sentence_is_true(tmp_path):
    """A tmpfs of 64 kB, in a mount namespace of its own."""
    disk = f"mount -t tmpfs -o size=64k tmpfs {tmp_path}"
    command = ["unshare", "-rm", "sh", "-c", f'{disk} && exec "$@"', "sh", sys.executable, "-c", _ON_A_FULL_DISK]
    try:
        subprocess.run(["unshare", "-rm", "sh", "-c", disk], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no mount namespaces here")
    run = subprocess.run([*command, str(tmp_path)], capture_output=True, text=True)
    said = run.stdout.splitlines()
    assert said[0] == "901 True" and "It was sent all the same" in run.stderr, run.stderr
    assert all("No space left on device" in line and line.endswith("Nothing was sent.") for line in said[1:3])
    assert said[3] == "[]"


def _raised(call: Callable[[], object]) -> Exception:
    with pytest.raises(FaceIDError) as caught:
        call()
    return caught.value


def test_a_person_goes_up_with_the_base_model_of_the_prompt(api, store, engine):
    create_tune(store, [ASTRONAUT], "Anna", "woman", embedded_pack())
    replace(engine, base_tune_id=666678).draw(Prompt("<faceid:Anna:1> woman", seed=1), store)
    (tune,) = api.tunes.values()
    assert tune.base_tune_id == 666678


def test_a_wrong_clock_here_does_not_upload_a_person_again(api, store, engine, monkeypatch):
    create_tune(store, [ASTRONAUT], "Anna", "woman", embedded_pack())
    ask(api, lambda client: ensure_remote(client, store, store.get(1), engine.journal))
    store.forget_remote_id(1)

    class NextYear(datetime):
        @classmethod
        def now(cls, zone=None):
            return datetime.now(zone) + timedelta(days=365)

    monkeypatch.setattr("faceid_tunes.faceid_core.engines.remote.remote_tunes.datetime", NextYear)
    ask(api, lambda client: ensure_remote(client, store, store.get(1), engine.journal))
    assert posts(api, "/tunes") == 1
