"""The owner of the key says how much a day may order; whoever may queue cannot spend more."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from faceid_tunes.cli import main
from faceid_tunes.faceid_core.astria.errors import AstriaError, AstriaSettingsError
from faceid_tunes.faceid_core.astria.secret import Secret
from faceid_tunes.faceid_core.astria.settings import AstriaSettings, read_settings
from faceid_tunes.faceid_core.engines.remote import Allowance, AllowanceError, AstriaEngine, Journal, allowance
from faceid_tunes.faceid_core.engines.remote.journal import journal_key
from faceid_tunes.faceid_core.faces.packs import embedded_pack
from faceid_tunes.faceid_core.prompts import Prompt
from faceid_tunes.faceid_core.tunes.create import create_tune
from faceid_tunes.faceid_core.tunes.store import TuneStore, open_store
from filelock import FileLock
from support import photos
from support.asking import QUICK, QUICK_POLLS, Delivering
from support.fake_astria import BASE, KEY, FakeAstria
from support.fake_faults import Fault

PROMPT = Prompt("a lake", seed=7)


@pytest.fixture
def api() -> Iterator[FakeAstria]:
    with FakeAstria() as running:
        yield running


@pytest.fixture
def store(tmp_path: Path) -> Iterator[TuneStore]:
    with open_store(tmp_path) as opened:
        yield opened


def engine(api: FakeAstria, home: Path, per_day: int | None) -> AstriaEngine:
    settings = AstriaSettings(Secret(api.key), api.url, per_day=per_day)
    return Delivering(settings, Journal(home / "remote"), polling=QUICK_POLLS, retrying=QUICK)


def test_the_day_ends_with_a_sentence_and_nothing_sent(api, store, tmp_path):
    limited = engine(api, tmp_path, 3)
    limited.draw(replace(PROMPT, num_images=2), store)
    with pytest.raises(AllowanceError, match=r"allows 3 .*, 2 are counted, .* 2 more\. Nothing was sent\.") as caught:
        limited.draw(replace(PROMPT, num_images=2, seed=8), store)
    assert "faceid remote allow 1" in str(caught.value)
    limited.draw(replace(PROMPT, seed=9), store)  # one more is within
    assert sum(made.num_images for made in api.prompts.values()) == 3


def test_without_a_limit_nothing_is_counted(api, store, tmp_path):
    engine(api, tmp_path, None).draw(PROMPT, store)
    assert not (tmp_path / "remote.days").exists()


def test_a_person_who_is_uploaded_counts(api, store, tmp_path):
    photo = photos.encoded(photos.single_faces()["astronaut"], "JPEG")
    create_tune(store, [photo], "Anna", "woman", embedded_pack())
    anna = Prompt("<faceid:Anna:1> woman", seed=1)
    with pytest.raises(AllowanceError, match=r"1 are counted, and this would be 1 more\. The prompt was not sent\."):
        engine(api, tmp_path, 1).draw(anna, store)
    assert len(api.tunes) == 1 and not api.prompts
    engine(api, tmp_path, 2).draw(anna, store)
    assert len(api.tunes) == 1 and len(api.prompts) == 1


def test_zero_sends_no_photo_either(api, store, tmp_path):
    photo = photos.encoded(photos.single_faces()["astronaut"], "JPEG")
    create_tune(store, [photo], "Anna", "woman", embedded_pack())
    with pytest.raises(AllowanceError, match=r"allows 0 .* Nothing was sent\."):
        engine(api, tmp_path, 0).draw(Prompt("<faceid:Anna:1> woman", seed=1), store)
    assert not any(seen.method == "POST" for seen in api.seen)


def test_what_the_api_refuses_is_not_counted(api, store, tmp_path):
    limited = engine(api, tmp_path, 1)
    api.will(Fault(status=422), "POST", "/prompts")
    with pytest.raises(AstriaError):
        limited.draw(PROMPT, store)
    assert limited.draw(PROMPT, store).pictures


def test_what_is_on_its_way_is_fetched_after_the_day_is_spent(api, store, tmp_path):
    limited = engine(api, tmp_path, 1)
    limited.draw(PROMPT, store)
    number = next(iter(api.prompts))
    key = journal_key(limited.settings.base_url, BASE, PROMPT)
    limited.journal.sent(key, limited.journal.begin(key, 7, text=PROMPT.text), number)  # as after a kill
    assert limited.draw(PROMPT, store).pictures
    assert len(api.prompts) == 1


def test_the_owner_allows_more_for_today_on_the_machine(api, store, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("FACEID_REMOTE_PER_DAY", "0")
    with pytest.raises(AllowanceError):
        engine(api, tmp_path, 0).draw(PROMPT, store)
    assert main(["remote", "allow", "1", "--home", str(tmp_path)]) == 0
    assert engine(api, tmp_path, 0).draw(PROMPT, store).pictures
    assert main(["remote", "today", "--home", str(tmp_path)]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("1 remote pictures and uploads are counted today")


@pytest.mark.parametrize("count", ["0", "0x1", "-1", "", "²", "1e9", "9" * 5000])
def test_odd_counts_allow_nothing(tmp_path, count, capsys):
    with pytest.raises(SystemExit):
        main(["remote", "allow", "--home", str(tmp_path), "--", count])
    assert not (tmp_path / "remote.days").exists()


def _book(folder: Path, name: int, start: Any) -> None:
    day = Allowance(folder, 40)
    start.wait()
    for number in range(20):
        try:
            day.book(f"{name}-{number}", 1, "Nothing was sent.")
        except AllowanceError:
            return


@pytest.mark.slow
def test_processes_that_order_at_once_share_one_day(tmp_path):
    system = multiprocessing.get_context("fork")
    start = system.Barrier(4)
    processes = [system.Process(target=_book, args=(tmp_path, name, start)) for name in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert Allowance(tmp_path, 40).today() == (40, 40)


def test_while_another_process_counts_nothing_is_booked(tmp_path, monkeypatch):
    monkeypatch.setattr(allowance, "_WAIT", 0.01)
    with FileLock(tmp_path / "lock"), pytest.raises(AllowanceError, match="another process holds the lock"):
        Allowance(tmp_path, 40).book("a", 1, "Nothing was sent.")
    assert Allowance(tmp_path, 40).today() == (0, 40)


@pytest.mark.parametrize("left", [b"key 3 orde", b"\xff\xfe\0", b"key 99999999999 ordered", b"key -5 ordered", b"k"])
def test_a_damaged_line_counts_and_the_next_is_read(tmp_path, left):
    day = Allowance(tmp_path, 2)
    day.book("a", 1, "")
    with next(tmp_path.glob("*.txt")).open("ab") as file:
        file.write(left)
    with pytest.raises(AllowanceError):
        day.book("b", 1, "")
    day.allow(1)
    day.book("b", 1, "")
    assert day.today() == (3, 3)


def test_where_nothing_can_be_counted_nothing_is_sent(api, store, tmp_path):
    (tmp_path / "remote.days").write_text("a file where the folder should be")
    with pytest.raises(AllowanceError, match=r"cannot be counted .* Nothing was sent\."):
        engine(api, tmp_path, 5).draw(PROMPT, store)
    assert not api.prompts


@pytest.mark.parametrize("value", ["ten", "-1", "1.5", "²", "1_0", "9" * 5000])
def test_a_limit_that_is_no_number_is_not_taken_for_no_limit(value):
    with pytest.raises(AstriaSettingsError, match="FACEID_REMOTE_PER_DAY is not a whole number"):
        read_settings({"ASTRIA_API_KEY": KEY, "FACEID_REMOTE_PER_DAY": value})
    assert read_settings({"ASTRIA_API_KEY": KEY, "FACEID_REMOTE_PER_DAY": " 10 "}).per_day == 10
    assert read_settings({"ASTRIA_API_KEY": KEY}).per_day is None
