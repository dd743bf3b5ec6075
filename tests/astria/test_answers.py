"""The API's answers (vectors/answers: docs/facts/astria.md 4.2, 5.2, 8 and the FaceID page) as values, and back."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path

import pytest
from faceid_tunes.faceid_core.astria.wire.callbacks import callback_json, read_callback
from faceid_tunes.faceid_core.astria.wire.objects import RemotePrompt, RemoteTune
from faceid_tunes.faceid_core.astria.wire.objects_json import (
    UnexpectedObjectError,
    account_from_json,
    prompt_from_json,
    prompt_json,
    tune_from_json,
    tune_json,
)
from faceid_tunes.faceid_core.astria.wire.problems import problems_json, read_messages


def answer(name: str) -> dict:
    return json.loads((Path(__file__).parent / "vectors" / "answers" / f"{name}.json").read_text())


def test_a_faceid_tune_is_ready_although_its_eta_is_in_the_future():
    tune = tune_from_json(answer("tune"))
    assert (tune.id, tune.model_type, tune.base_tune_id, tune.branch) == (2000501, "faceid", 690204, "sd15")
    assert tune.trained_at < tune.created_at < tune.eta
    assert tune.eta == datetime(2025, 2, 10, 9, 2, 26, tzinfo=timezone.utc)
    assert tune.orig_images == ("http://127.0.0.1:8080/blobs/k7e2q9x0m4c1v8b5n3z6a2s7d1fg",)


def test_the_types_of_a_prompt_are_those_observed():
    prompt = prompt_from_json(answer("prompt"))
    assert prompt.cfg_scale == Decimal("3.0") and str(prompt.cfg_scale) == "3.0"
    assert prompt.images == ("http://127.0.0.1:8080/blobs/p0c4t8y2w6r1u5i9o3e7q2a4s8d6",)
    assert prompt.tune_id == 690204
    assert prompt.state == "done"


@pytest.mark.parametrize("name", ["tune", "tune_of_the_page"])
def test_a_tune_goes_out_as_it_came_in(name: str):
    assert tune_json(tune_from_json(answer(name))) == answer(name)


def test_a_prompt_goes_out_as_it_came_in():
    newer = answer("prompt") | {"resolution": "2K", "filenames": ["a.jpg"], "cost_mc": 2000}
    assert prompt_json(prompt_from_json(newer)) == newer


def test_unknown_keys_are_kept():
    assert tune_from_json(answer("tune_of_the_page")).extra == {"new_column": {"a": [1]}}


def test_odd_values_become_none_instead_of_a_crash():
    odd = {"id": "12", "images": [{"url": "x"}, "http://a/b"], "cfg_scale": "NaN", "trained_at": "soon", "seed": True}
    prompt = prompt_from_json(odd)
    assert (prompt.id, prompt.images, prompt.cfg_scale) == (12, ("http://a/b",), None)
    assert (prompt.trained_at, prompt.seed) == (None, None)


@pytest.mark.parametrize("value", [None, [], [{"id": 1}], {"title": "x"}, {"id": None}, "OK", {"id": True}])
def test_a_value_that_is_not_an_object_is_refused(value: object):
    with pytest.raises(UnexpectedObjectError, match="not a tune"):
        tune_from_json(value)


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({}, "queued"),
        ({"started_training_at": "2025-02-10T09:00:20.000Z"}, "running"),
        ({"images": ["http://a/1"]}, "running"),
        ({"images": ["http://a/1", "http://a/2"]}, "done"),
        ({"images": ["http://a/1"], "trained_at": "2025-02-10T09:00:41.200Z"}, "done"),
        ({"trained_at": "2025-02-10T09:00:41.200Z"}, "ended"),
        ({"trained_at": "2025-02-10T09:00:41.200Z", "user_error": "no face"}, "failed"),
    ],
)
def test_the_state_of_a_prompt_follows_from_its_fields(changes: dict, state: str):
    assert prompt_from_json({"id": 1, "num_images": 2, "images": [], **changes}).state == state


def test_a_callback_is_read_wrapped_bare_or_as_a_list():
    wrapped = answer("callback")
    (prompt,) = read_callback(wrapped)
    assert isinstance(prompt, RemotePrompt) and prompt.images == prompt_from_json(answer("prompt")).images
    assert read_callback(wrapped["prompt"]) == (prompt,)
    assert read_callback([wrapped["prompt"], wrapped]) == (prompt, prompt)
    assert read_callback({"prompts": [wrapped["prompt"]]}) == (prompt,)
    (tune,) = read_callback({"tune": answer("tune")})
    assert isinstance(tune, RemoteTune) and read_callback(answer("tune")) == (tune,)


@pytest.mark.parametrize("value", ["hello", 3, None, {}, {"prompt": {}}, [{}]])
def test_a_callback_of_something_else_is_refused(value: object):
    with pytest.raises(UnexpectedObjectError):
        read_callback(value)


def test_a_callback_is_written_wrapped_and_short():
    assert callback_json(prompt_from_json(answer("prompt"))) == answer("callback")
    assert set(callback_json(tune_from_json(answer("tune")))["tune"]) == {
        *("id", "title", "name", "steps", "trained_at", "started_training_at"),
        *("created_at", "updated_at", "expires_at"),
    }


@pytest.mark.parametrize(
    ("body", "messages"),
    [
        (
            {"cfg_scale": ["must be less than 5"], "negative_prompt": ["is not supported on Flux"]},
            ("cfg_scale must be less than 5", "negative_prompt is not supported on Flux"),
        ),
        ({"name": ["can't be blank"]}, ("name can't be blank",)),
        ({"base": ["Too many tunes"]}, ("Too many tunes",)),
        (
            {"error": "model_type=faceid is not supported. Use a checkpoint instead"},
            ("model_type=faceid is not supported. Use a checkpoint instead",),
        ),
        (
            {"error": None, "message": "Prompt is not using a fine-tuned model"},
            ("Prompt is not using a fine-tuned model",),
        ),
        ({"errors": {"title": ["is too long"]}}, ("title is too long",)),
        ({"errors": ["one", "two"]}, ("one", "two")),
        (["one"], ("one",)),
        ({"status": 422}, ()),
        (3, ()),
    ],
)
def test_the_messages_of_an_error_are_read_word_for_word(body: object, messages: tuple[str, ...]):
    assert read_messages(json.dumps(body).encode()) == messages


@pytest.mark.parametrize(
    ("body", "messages"),
    [
        (b"could not download\n", ("could not download",)),
        (b"<!DOCTYPE html><h1>Error</h1>", ()),
        (b"", ()),
        (b"\xff\x00\x01", ()),
        (b"[" * 100_000, ("[" * 2000,)),
    ],
)
def test_a_body_that_is_not_json_is_read_when_it_is_text(body: bytes, messages: tuple[str, ...]):
    assert read_messages(body) == messages


def test_both_shapes_of_a_422_are_written():
    assert problems_json("Use a checkpoint instead") == {"error": "Use a checkpoint instead"}
    faults = [("name", "can't be blank"), ("name", "is odd"), ("title", "is taken")]
    assert problems_json(faults) == {"name": ["can't be blank", "is odd"], "title": ["is taken"]}


def test_the_account_is_read_alone_or_in_a_list():
    user = {"id": 7, "name": "Jane", "email": "j@example.com", "usd_balance_mc": 1_250_000, "payer": {}}
    account = account_from_json(user)
    assert (account.balance_usd, account.extra) == (12.5, {"payer": {}})
    assert account_from_json([user]) == account
    with pytest.raises(UnexpectedObjectError):
        account_from_json("OK")
