"""The remote engine against an API on this machine: people go up once, prompts are paid once, tags come back."""

from __future__ import annotations

import asyncio
import io
import json
import os
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from threading import Event

import numpy as np
import pytest
from faceid_tunes.faceid_core.astria.errors import (
    NotFoundError,
    OutcomeUnknownError,
    ResultError,
    ServerError,
    ValidationError,
)
from faceid_tunes.faceid_core.astria.secret import Secret
from faceid_tunes.faceid_core.astria.settings import AstriaSettings
from faceid_tunes.faceid_core.astria.wire.objects import RemotePrompt
from faceid_tunes.faceid_core.astria.wire.objects_json import prompt_json
from faceid_tunes.faceid_core.engines.engine import Cancelled
from faceid_tunes.faceid_core.engines.remote import AstriaEngine, DamagedNoteError, draw_remotely
from faceid_tunes.faceid_core.engines.remote.engine import money_notes
from faceid_tunes.faceid_core.engines.remote.journal import Journal, journal_key
from faceid_tunes.faceid_core.engines.remote.remote_tunes import ensure_remote, portable_photo, remote_title
from faceid_tunes.faceid_core.errors import FaceIDError
from faceid_tunes.faceid_core.faces.packs import embedded_pack
from faceid_tunes.faceid_core.prompts import Prompt, PromptError
from faceid_tunes.faceid_core.tunes.create import create_tune
from faceid_tunes.faceid_core.tunes.store import TuneStore, open_store
from PIL import Image, JpegImagePlugin
from support import photos
from support.asking import QUICK, QUICK_POLLS, Delivering, ask
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
    return Delivering(settings, Journal(tmp_path / "remote"), polling=QUICK_POLLS, retrying=QUICK)


def camera_photo(pixels: np.ndarray) -> bytes:
    """A JPEG as a telephone writes it: place, time and owner inside."""
    file, exif = io.BytesIO(), Image.Exif()
    exif[0x010F], exif[0x9003], exif[0xA430] = "Camera Co", "2026:01:01 10:00:00", "Jane Doe"
    exif.get_ifd(0x8825)[2] = (52.0, 31.0, 0.0)
    Image.fromarray(pixels).save(file, "JPEG", exif=exif)
    return file.getvalue()


def posts(api: FakeAstria, path: str) -> list:
    return [seen for seen in api.seen if seen.method == "POST" and re.fullmatch(path, seen.path)]


@pytest.mark.slow
def test_a_prompt_comes_back_as_pictures_with_cost_and_balance(api, store, engine):
    drawn = engine.draw(Prompt("<faceid:Anna 2026:1> woman trekking in the alps", num_images=3, seed=7), store)
    assert len(drawn.pictures) == 3 and drawn.pictures[0].pixels.dtype == np.uint8
    assert drawn.notes == ("remote prompt 30000901", "cost $0.020", "$12.48 left")


def test_a_picture_has_a_seed_where_that_seed_draws_it_again_alone(api, store, engine):
    (alone,) = engine.draw(Prompt("<faceid:1:1> woman", seed=7), store).pictures
    assert alone.seed == 7
    batch = engine.draw(Prompt("<faceid:1:1> woman", num_images=2, seed=7), store)
    assert [picture.seed for picture in batch.pictures] == [None, None]


def test_the_seed_of_a_batch_that_nobody_chose_is_reported(api, store, engine):
    drawn = engine.draw(Prompt("<faceid:1:1> woman", num_images=2), store)
    (sent,) = api.prompts.values()
    assert f"seed {sent.seed} draws these 2 pictures again, together" in drawn.notes


def test_pictures_do_not_wait_long_for_the_balance(api, store, engine, monkeypatch):
    monkeypatch.setattr("faceid_tunes.faceid_core.engines.remote.engine._WAIT_FOR_BALANCE", 0.05)
    api.will(Fault(how="slow", seconds=0.25), "GET", "/users", times=9)
    drawn = engine.draw(Prompt("<faceid:1:1> woman", seed=7), store)
    assert drawn.pictures and drawn.notes == ("remote prompt 30000901", "cost $0.020")


def test_money_is_told_as_far_as_the_api_says(api):
    def notes(cost_mc: int | None) -> tuple[str, ...]:
        return ask(api, lambda client: money_notes(client, RemotePrompt(1, cost_mc=cost_mc)))

    assert notes(0) == ("cost $0.000", "$12.50 left")
    assert notes(None) == ("$12.50 left",)
    api.will(Fault(status=500), "GET", "/users", times=9)
    assert notes(2000) == ("cost $0.020",)


def test_a_grey_picture_has_three_channels_here_too(api, store, engine):
    grey = io.BytesIO()
    Image.linear_gradient("L").save(grey, "JPEG")
    api.picture = lambda name: grey.getvalue()
    assert engine.draw(Prompt("<faceid:1:1> woman", seed=7), store).pictures[0].pixels.shape == (256, 256, 3)


def test_every_stage_is_told(api, store, engine):
    waiting = json.dumps(prompt_json(RemotePrompt(30_000_901, num_images=2))).encode()
    api.will(Fault(status=200, body=waiting), "GET", "/prompts/")
    told = []
    text = "<faceid:1:1> woman and <faceid:Ben:1> man"
    engine.draw(Prompt(text, num_images=2, seed=1), store, lambda *step: told.append(step))
    assert told[:5] == [
        ("uploading photos", 0, 2),
        ("uploading photos", 1, 2),
        ("waiting in the remote queue", 0, 1),
        ("drawing remotely", 0, 1),
        ("drawing remotely", 1, 1),
    ]
    assert told[-1] == ("downloading", 2, 2)


@pytest.mark.parametrize("strengths", ["-0.5", "0.5:0.7", "0.5:0.5", "0:-1"])
def test_a_strength_that_the_api_reads_as_words_is_refused_before_anything_is_sent(api, store, engine, strengths):
    with pytest.raises(PromptError, match="takes one strength of a LoRA, and none below 0") as raised:
        engine.draw(Prompt(f"<faceid:1:1> woman <lora:ink:{strengths}>"), store)
    assert raised.value.position == len("<faceid:1:1> woman ")
    assert not api.tunes and not api.prompts


def test_it_tries_as_often_as_it_is_told(api, store, engine):
    api.will(Fault(status=503), "GET", "/tunes")
    with pytest.raises(ServerError):
        replace(engine, retrying=replace(QUICK, attempts=1)).draw(Prompt("<faceid:1:1> woman"), store)


@pytest.mark.slow
def test_tags_carry_remote_ids_on_the_way_out_and_the_users_own_on_the_way_back(api, store, engine):
    text = "<faceid:1:0.8> woman and <faceid:Ben:1> man and <lora:Ben:0.5>"

    async def draw(client):
        return await draw_remotely(client, Prompt(text, seed=1), store, engine.journal, polling=QUICK_POLLS)

    drawn = ask(api, draw)
    anna, ben = (store.get(number).remote_id for number in (1, 2))
    assert {anna, ben} == set(api.tunes)
    assert (
        next(iter(api.prompts.values())).text
        == f"<faceid:{anna}:0.8> woman and <faceid:{ben}:1> man and <lora:Ben:0.5>"
    )
    assert drawn.prompt.text == text

    def leave_out_the_text(method: str, path: str) -> None:
        for number, prompt in api.prompts.items():
            api.prompts[number] = replace(prompt, text=None)

    api.on_request = leave_out_the_text
    assert ask(api, draw).prompt.text == text, "also when the API does not say it again"


def test_a_person_is_uploaded_once_upright_and_without_exif(api, store, engine):
    for seed in (1, 2):
        engine.draw(Prompt("<faceid:1:1> woman", seed=seed), store)
    assert len(posts(api, "/tunes")) == 1
    sent = posts(api, "/tunes")[0].params["tune"]
    assert sent["title"] == remote_title(store.get(1)) and sent["name"] == "woman" and sent["model_type"] == "faceid"
    (photo,) = sent["images"]
    assert photo.filename == "photo_1.jpg"
    with Image.open(io.BytesIO(photo.data)) as picture:
        assert not picture.getexif() and not picture.info.get("exif") and picture.size == (512, 512)
    assert b"Jane Doe" not in photo.data and b"Camera Co" not in photo.data


@pytest.mark.slow
def test_a_large_photo_goes_up_smaller():
    file = io.BytesIO()
    Image.new("RGB", (5000, 2500), "grey").save(file, "PNG")
    with Image.open(io.BytesIO(portable_photo(file.getvalue(), 1).data)) as picture:
        assert picture.size == (2048, 1024)


def test_a_photo_goes_up_upright_and_almost_unchanged():
    pixels, file, exif = photos.single_faces()["astronaut"][:, :300], io.BytesIO(), Image.Exif()
    exif[0x0112] = 8  # lies on its left side
    Image.fromarray(np.rot90(pixels, -1)).save(file, "PNG", exif=exif)
    with Image.open(io.BytesIO(portable_photo(file.getvalue(), 1).data)) as picture:
        assert JpegImagePlugin.get_sampling(picture) == 0, "colours at full resolution"
        assert picture.size == (300, 512)
        assert np.abs(np.asarray(picture, float) - pixels).mean() < 2


def test_the_same_photos_of_the_same_person_have_one_remote_title(store):
    tune = store.get(1)
    assert remote_title(replace(tune, id=9)) == remote_title(tune)
    assert remote_title(replace(tune, photos=(*tune.photos, *store.get(2).photos))) != remote_title(tune)
    assert len(remote_title(replace(tune, title="x" * 400))) < 255


def test_a_person_that_another_api_has_is_uploaded_to_this_one(api, store, engine):
    store.set_remote_id(1, 99, "https://elsewhere.example")
    engine.draw(Prompt("<faceid:1:1> woman", seed=1), store)
    assert list(api.tunes) == [store.get(1).remote_id] and store.get(1).remote_url == api.url


def test_a_remote_tune_that_is_about_to_expire_is_made_again(api, store, engine):
    ask(api, lambda client: ensure_remote(client, store, store.get(1)))
    (first,) = api.tunes
    api.tunes[first] = replace(api.tunes[first], expires_at=datetime.now(timezone.utc) + timedelta(minutes=30))
    store.forget_remote_id(1)
    ask(api, lambda client: ensure_remote(client, store, store.get(1)))
    assert store.get(1).remote_id != first and len(posts(api, "/tunes")) == 2


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


@pytest.mark.slow
def test_a_tune_that_was_deleted_remotely_is_uploaded_again_once(api, store, engine):
    engine.draw(Prompt("<faceid:1:1> woman", seed=1), store)
    gone = store.get(1).remote_id
    del api.tunes[gone]
    api.will(Fault(status=422, body=b'{"error":"Tune not found"}'), "POST", "/prompts")
    assert engine.draw(Prompt("<faceid:1:1> woman", seed=2), store).pictures
    new = store.get(1).remote_id
    assert new != gone and len(posts(api, "/tunes")) == 2
    assert list(api.prompts.values())[-1].text == f"<faceid:{new}:1> woman"

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
    looked_for = [seen for seen in api.seen if seen.method == "GET" and seen.path == f"/tunes/{BASE}/prompts"]
    assert not looked_for, "it is known by its id"
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
    api.polls_until_done, stop = 10**9, Event()
    with pytest.raises(Cancelled):
        engine.draw(prompt, store, lambda stage, *_: stop.set() if "drawing" in stage else None, stop)
    assert engine.journal.find(key).prompt_id in api.prompts, "what was found is noted"
    api.polls_until_done = 1
    assert engine.draw(prompt, store).pictures
    assert len(api.prompts) == 1


@pytest.mark.parametrize("seed", [5, 0, None])
def test_when_nobody_knows_whether_it_was_sent_the_next_try_looks_first(api, store, engine, seed):
    api.will(Fault(status=504, work="done"), "POST", "/prompts")
    api.will(Fault(status=503), "GET", "/prompts", times=99)
    with pytest.raises(OutcomeUnknownError):
        engine.draw(Prompt("<faceid:1:1> woman", seed=seed), store)
    api._ordered.clear()
    assert engine.draw(Prompt("<faceid:1:1> woman", seed=seed), store).pictures
    (sent,) = api.prompts.values()
    assert seed is None or sent.seed == seed


def test_what_the_api_refuses_is_told_in_its_own_words_and_not_remembered_as_sent(api, store, engine):
    api.will(Fault(status=422, body=b'{"cfg_scale":["must be less than 5"]}'), "POST", "/prompts")
    with pytest.raises(ValidationError, match="must be less than 5") as refused:
        engine.draw(Prompt("<faceid:1:1> woman", seed=1), store)
    assert "base_tune_id" not in str(refused.value)
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


def test_a_prompt_that_was_deleted_meanwhile_is_not_asked_for_again(api, store, engine):
    prompt = Prompt("<faceid:1:1> woman", seed=1)
    pending = engine.journal.begin(journal_key(engine.settings.base_url, BASE, prompt), 1)
    engine.journal.sent(journal_key(engine.settings.base_url, BASE, prompt), pending, 901)
    with pytest.raises(NotFoundError):
        engine.draw(prompt, store)
    assert engine.draw(prompt, store).pictures


def test_a_title_that_names_nobody_is_pointed_at_and_a_number_is_taken_for_a_remote_id(api, store, engine):
    with pytest.raises(PromptError, match="Nobody"):
        engine.draw(Prompt("<faceid:Nobody:1> woman"), store)
    assert not api.seen
    engine.draw(Prompt("<faceid:1234567:1> woman", seed=1), store)
    assert next(iter(api.prompts.values())).text == "<faceid:1234567:1> woman" and not posts(api, "/tunes")
    api.will(Fault(status=422, body=b'{"error":"Tune not found"}'), "POST", "/prompts")
    with pytest.raises(ValidationError, match="Tune not found"):
        engine.draw(Prompt("<faceid:1234567:1> woman", seed=2), store)


def test_a_journal_that_cannot_be_written_stops_before_anything_is_paid(api, store, engine, tmp_path):
    (tmp_path / "file").touch()
    broken = replace(engine, journal=Journal(tmp_path / "file"))
    with pytest.raises(FaceIDError, match="Nothing was sent"):
        broken.draw(Prompt("<faceid:1:1> woman"), store)
    assert not api.prompts


def test_a_prompt_is_on_its_way_only_if_it_is_the_same_in_everything():
    prompt = Prompt("<faceid:1:1> woman", seed=1)
    other = [replace(prompt, text="x"), replace(prompt, seed=2), replace(prompt, num_images=2), Prompt(prompt.text)]
    keys = [journal_key("https://one.example", BASE, one) for one in (prompt, *other)]
    keys += [journal_key("https://two.example", BASE, prompt), journal_key("https://one.example", 12, prompt)]
    assert len(set(keys)) == len(keys) and journal_key("https://one.example", BASE, replace(prompt)) == keys[0]


def test_what_the_journal_notes_is_found_until_it_is_finished_and_only_by_its_user(tmp_path):
    journal = Journal(tmp_path / "remote")
    journal.finish("key")  # was never begun
    begun = journal.begin("key", 5)
    assert Journal(tmp_path / "remote").find("key") == begun and begun.prompt_id is None
    sent = journal.sent("key", begun, 901)
    assert journal.find("key") == sent and (sent.seed, sent.began, sent.prompt_id) == (5, begun.began, 901)
    assert [path.name for path in (tmp_path / "remote").iterdir()] == ["key.json"]
    assert os.name == "nt" or (tmp_path / "remote").stat().st_mode & 0o777 == 0o700
    journal.finish("key")
    assert journal.find("key") is None


@pytest.mark.parametrize("days", [28, 30, 4000, -4000])
def test_a_note_of_any_age_by_our_clock_is_kept_the_server_knows_what_is_over(tmp_path, days):
    began = datetime.now(timezone.utc) - timedelta(days=days)
    (tmp_path / "key.json").write_text(json.dumps({"seed": 1, "began": began.isoformat(), "prompt_id": 901}))
    assert Journal(tmp_path).find("key").prompt_id == 901


@pytest.mark.parametrize("note", ["", "[]", '{"seed": 1}', '{"seed": null, "began": "x", "prompt_id": 1}', "ÿ"])
def test_a_damaged_note_is_not_taken_for_none(tmp_path, note):
    (tmp_path / "key.json").write_text(note, encoding="latin-1")
    with pytest.raises(DamagedNoteError, match="it may have been sent and paid"):
        Journal(tmp_path).find("key")


def test_a_note_that_cannot_be_put_in_place_leaves_nothing_behind(tmp_path):
    (tmp_path / "key.json").mkdir()
    with pytest.raises(FaceIDError, match="Nothing was sent"):
        Journal(tmp_path).begin("key", 1)
    assert [path.name for path in tmp_path.iterdir()] == ["key.json"]


@pytest.mark.slow
def test_what_is_doubtful_about_a_persons_photos_is_told(api, store, engine):
    from support import photos

    def png(pixels: np.ndarray) -> bytes:
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "PNG")
        return file.getvalue()

    group = photos.single_faces()
    given = [png(group["astronaut"]), png(group["Tom_Hanks"]), png(group["astronaut"][:, ::-1])]
    create_tune(store, given, "Eileen", "woman", embedded_pack())
    drawn = engine.draw(Prompt("<faceid:Eileen:1> woman", seed=7), store)
    assert [note for note in drawn.notes if note.startswith("Eileen: image 2: left out, seems to be someone else")]
