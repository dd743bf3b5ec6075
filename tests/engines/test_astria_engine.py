"""The remote engine against an API on this machine: people go up once, prompts are paid once, tags come back."""

from __future__ import annotations

import asyncio
import io
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Event

import numpy as np
import pytest
from faceid_tunes.faceid_core.astria.errors import (
    NotFoundError,
    OutcomeUnknownError,
    ResultError,
    ValidationError,
)
from faceid_tunes.faceid_core.astria.secret import Secret
from faceid_tunes.faceid_core.astria.settings import AstriaSettings
from faceid_tunes.faceid_core.engines.astria import AstriaEngine, draw_remotely
from faceid_tunes.faceid_core.engines.astria.journal import Journal, journal_key
from faceid_tunes.faceid_core.engines.astria.remote_tunes import ensure_remote, portable_photo, remote_title
from faceid_tunes.faceid_core.engines.engine import Cancelled
from faceid_tunes.faceid_core.faces.packs import embedded_pack
from faceid_tunes.faceid_core.prompts import Prompt, PromptError
from faceid_tunes.faceid_core.tunes.create import create_tune
from faceid_tunes.faceid_core.tunes.store import TuneStore, open_store
from PIL import Image
from support import photos
from support.asking import QUICK, QUICK_POLLS, ask
from support.fake_astria import FakeAstria
from support.fake_faults import Fault

BASE = 690204


@pytest.fixture
def api() -> Iterator[FakeAstria]:
    with FakeAstria() as running:
        yield running


@pytest.fixture
def store(tmp_path: Path) -> Iterator[TuneStore]:
    with open_store(tmp_path / "home") as opened:
        create_tune(opened, [camera_photo(photos.single_faces()["astronaut"])], "Anna 2026", "woman", embedded_pack())
        create_tune(opened, [camera_photo(photos.single_faces()["Tom_Hanks"])], "Ben", "man", embedded_pack())
        yield opened


@pytest.fixture
def engine(api: FakeAstria, tmp_path: Path) -> AstriaEngine:
    settings = AstriaSettings(Secret(api.key), api.url)
    return AstriaEngine(settings, Journal(tmp_path / "remote"), polling=QUICK_POLLS, retrying=QUICK)


def camera_photo(pixels: np.ndarray) -> bytes:
    """A JPEG as a telephone writes it: place, time and owner inside."""
    file, exif = io.BytesIO(), Image.Exif()
    exif[0x010F], exif[0x9003], exif[0xA430] = "Camera Co", "2026:01:01 10:00:00", "Jane Doe"
    exif.get_ifd(0x8825)[2] = (52.0, 31.0, 0.0)
    Image.fromarray(pixels).save(file, "JPEG", exif=exif)
    return file.getvalue()


def posts(api: FakeAstria, path: str) -> list:
    return [seen for seen in api.seen if seen.method == "POST" and re.fullmatch(path, seen.path)]


def test_a_prompt_comes_back_as_pictures_with_cost_and_balance(api, store, engine):
    drawn = engine.draw(Prompt("<faceid:Anna 2026:1> woman trekking in the alps", num_images=3, seed=7), store)
    assert len(drawn.pictures) == 3 and drawn.pictures[0].pixels.dtype == np.uint8
    assert drawn.notes == ("remote prompt 30000901", "cost $0.020", "$12.48 left")


def test_pictures_do_not_wait_long_for_the_balance(api, store, engine, monkeypatch):
    monkeypatch.setattr("faceid_tunes.faceid_core.engines.astria.engine._WAIT_FOR_BALANCE", 0.05)
    api.will(Fault(how="slow", seconds=0.25), "GET", "/users", times=9)
    drawn = engine.draw(Prompt("<faceid:1:1> woman", seed=7), store)
    assert drawn.pictures and drawn.notes == ("remote prompt 30000901", "cost $0.020")


def test_tags_carry_remote_ids_on_the_way_out_and_the_users_own_on_the_way_back(api, store, engine):
    text = "<faceid:1:0.8> woman and <faceid:Ben:1> man and <lora:film:0.5>"

    async def draw(client):
        return await draw_remotely(client, Prompt(text, seed=1), store, engine.journal, polling=QUICK_POLLS)

    drawn = ask(api, draw)
    anna, ben = (store.get(number).remote_id for number in (1, 2))
    assert {anna, ben} == set(api.tunes)
    assert (
        next(iter(api.prompts.values())).text
        == f"<faceid:{anna}:0.8> woman and <faceid:{ben}:1> man and <lora:film:0.5>"
    )
    assert drawn.prompt.text == text


def test_a_person_is_uploaded_once_upright_and_without_exif(api, store, engine):
    for seed in (1, 2):
        engine.draw(Prompt("<faceid:1:1> woman", seed=seed), store)
    assert len(posts(api, "/tunes")) == 1
    sent = posts(api, "/tunes")[0].params["tune"]
    assert sent["title"] == remote_title(store.get(1)) and sent["name"] == "woman" and sent["model_type"] == "faceid"
    (photo,) = sent["images"]
    with Image.open(io.BytesIO(photo.data)) as picture:
        assert not picture.getexif() and not picture.info.get("exif") and picture.size == (512, 512)
    assert b"Jane Doe" not in photo.data and b"Camera Co" not in photo.data


def test_a_large_photo_goes_up_smaller():
    file = io.BytesIO()
    Image.new("RGB", (5000, 2500), "grey").save(file, "PNG")
    with Image.open(io.BytesIO(portable_photo(file.getvalue(), 1).data)) as picture:
        assert picture.size == (2048, 1024)


def test_a_crash_between_upload_and_note_finds_the_tune_again(api, store, engine):
    ask(api, lambda client: ensure_remote(client, store, store.get(1)))
    first = store.get(1).remote_id
    store.forget_remote_id(1)  # as if it had never been written
    ask(api, lambda client: ensure_remote(client, store, store.get(1)))
    assert store.get(1).remote_id == first and len(posts(api, "/tunes")) == 1


def test_two_nodes_at_once_upload_a_person_once(api, store, engine):
    async def twice(client):
        await asyncio.gather(*(ensure_remote(client, store, store.get(1)) for _ in range(2)))

    ask(api, twice)
    assert len(posts(api, "/tunes")) == 1


def test_a_tune_that_was_deleted_remotely_is_uploaded_again_once(api, store, engine):
    engine.draw(Prompt("<faceid:1:1> woman", seed=1), store)
    gone = store.get(1).remote_id
    del api.tunes[gone]
    api.will(Fault(status=422, body=b'{"error":"Tune not found"}'), "POST", "/prompts")
    assert engine.draw(Prompt("<faceid:1:1> woman", seed=2), store).pictures
    assert store.get(1).remote_id != gone and len(posts(api, "/tunes")) == 2

    api.will(Fault(status=422, body=b'{"error":"Tune not found"}'), "POST", "/prompts", times=9)
    with pytest.raises(ValidationError, match="Tune not found"):
        engine.draw(Prompt("<faceid:1:1> woman", seed=3), store)
    assert len(posts(api, "/tunes")) == 2, "it is there: uploading it again would not help"


def test_after_a_restart_waiting_goes_on_and_nothing_is_paid_again(api, store, engine):
    api.polls_until_done = 10**9
    stop = Event()

    def stop_when_sent(stage, done, total):
        if "drawing" in stage:
            stop.set()

    prompt = Prompt("<faceid:1:1> woman")  # no seed: the one that was drawn has to be remembered, too
    with pytest.raises(Cancelled):
        engine.draw(prompt, store, stop_when_sent, stop)
    api.polls_until_done = 1
    drawn = engine.draw(prompt, store)
    assert drawn.pictures[0].seed == next(iter(api.prompts.values())).seed
    assert len(posts(api, f"/tunes/{BASE}/prompts")) == 1
    engine.draw(prompt, store)
    assert len(posts(api, f"/tunes/{BASE}/prompts")) == 2, "finished is finished: asking again is another prompt"


def test_killed_between_sending_and_noting_the_id_the_prompt_is_found_by_text_and_seed(api, store, engine):
    prompt = Prompt("<faceid:1:1> woman", seed=5)
    key = journal_key(engine.settings.base_url, BASE, prompt)
    ask(api, lambda client: ensure_remote(client, store, store.get(1)))
    engine.journal.begin(key, 5)
    there = replace(prompt, text=f"<faceid:{store.get(1).remote_id}:1> woman")
    ask(api, lambda client: client.create_prompt(BASE, there))
    assert engine.draw(prompt, store).pictures
    assert len(api.prompts) == 1


def test_when_nobody_knows_whether_it_was_sent_the_next_try_looks_first(api, store, engine):
    api.will(Fault(status=504, work="done"), "POST", "/prompts")
    api.will(Fault(status=503), "GET", "/prompts", times=99)
    with pytest.raises(OutcomeUnknownError):
        engine.draw(Prompt("<faceid:1:1> woman", seed=5), store)
    api._ordered.clear()
    assert engine.draw(Prompt("<faceid:1:1> woman", seed=5), store).pictures
    assert len(api.prompts) == 1


def test_what_the_api_refuses_is_told_in_its_own_words_and_not_remembered_as_sent(api, store, engine):
    api.will(Fault(status=422, body=b'{"cfg_scale":["must be less than 5"]}'), "POST", "/prompts")
    with pytest.raises(ValidationError, match="must be less than 5"):
        engine.draw(Prompt("<faceid:1:1> woman", seed=1), store)
    assert not list(engine.journal._folder.iterdir())


def test_an_unknown_base_model_is_explained(api, store, engine):
    with pytest.raises(NotFoundError, match=r"base_tune_id is 12: .*690204"):
        replace(engine, base_tune_id=12).draw(Prompt("<faceid:1:1> woman"), store)
    person = ask(api, lambda client: ensure_remote(client, store, store.get(1))).remote_id
    with pytest.raises(ValidationError, match=r"model_type=faceid is not supported\. Use a checkpoint instead"):
        replace(engine, base_tune_id=person).draw(Prompt("<faceid:1:1> woman"), store)


def test_a_prompt_that_ended_in_an_error_is_not_waited_for_again(api, store, engine):
    api.user_error = lambda prompt: "No face was detected"
    with pytest.raises(ResultError, match="No face was detected"):
        engine.draw(Prompt("<faceid:1:1> woman", seed=1), store)
    api.user_error = lambda prompt: None
    assert engine.draw(Prompt("<faceid:1:1> woman", seed=1), store).pictures
    assert len(api.prompts) == 2


def test_a_title_that_names_nobody_is_pointed_at_and_a_number_is_taken_for_a_remote_id(api, store, engine):
    with pytest.raises(PromptError, match="Nobody"):
        engine.draw(Prompt("<faceid:Nobody:1> woman"), store)
    assert not api.seen
    engine.draw(Prompt("<faceid:1234567:1> woman", seed=1), store)
    assert next(iter(api.prompts.values())).text == "<faceid:1234567:1> woman" and not posts(api, "/tunes")


def test_a_journal_that_cannot_be_written_stops_before_anything_is_paid(api, store, engine, tmp_path):
    (tmp_path / "file").touch()
    broken = replace(engine, journal=Journal(tmp_path / "file"))
    with pytest.raises(ValueError, match="Nothing was sent"):
        broken.draw(Prompt("<faceid:1:1> woman"), store)
    assert not api.prompts
