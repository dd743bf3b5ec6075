"""Prompts that come with a picture: what of them reaches the engine, what is refused, and what is named as ignored."""

from __future__ import annotations

import base64
from typing import Any

import pytest
import requests

from .conftest import Served
from .test_page import BASE, PHOTO, ended

PICTURE = {"prompt[input_image]": ("blob", PHOTO.read_bytes())}


def post(served: Served, tune_id: int = BASE, **options: Any) -> requests.Response:
    return requests.post(f"{served.url}/tunes/{tune_id}/prompts", **options)


def test_an_empty_text_retouches_the_picture_that_comes_along(served: Served) -> None:
    answer = post(served, data={"prompt[text]": "", "prompt[super_resolution]": "True"}, files=PICTURE)
    assert answer.status_code == 201 and answer.json()["text"] == "" and "X-FaceID-Ignored" not in answer.headers
    assert ended(served, answer.json()["id"])["images"]
    (drawn,) = served.engine.drawn
    assert drawn.only_retouches and drawn.super_resolution and drawn.input_image == PHOTO.read_bytes()


@pytest.mark.parametrize("model_type", ["faceid", ""])
def test_a_face_swap_posted_to_a_tune_swaps_its_person_into_the_picture(served: Served, model_type: str) -> None:
    form = {"tune[title]": "x", "tune[name]": "man", "tune[model_type]": model_type, "tune[base_tune_id]": str(BASE)}
    made = requests.post(f"{served.url}/tunes", data=form, files={"tune[images][]": PHOTO.read_bytes()}).json()
    answer = post(served, made["id"], data={"prompt[text]": "", "prompt[face_swap]": "true"}, files=PICTURE)
    ended(served, answer.json()["id"])
    (drawn,) = served.engine.drawn
    assert drawn.only_retouches and [tag.tune_id for tag in drawn.parsed.faces] == [made["id"]]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"text": "a lake", "input_image_base64": "data:image/png;base64,bm8gcGljdHVyZQ=="}, "input_image"),
        ({"text": "a lake", "mask_image_url": "data:image/png;base64,bm8gcGljdHVyZQ=="}, "mask_image"),
        ({"text": ""}, "text"),
        ({"text": "", "super_resolution": True}, "text"),
    ],
)
def test_what_cannot_be_drawn_is_refused_by_its_field(served: Served, fields: dict, field: str) -> None:
    answer = post(served, json={"prompt": fields})
    assert answer.status_code == 422 and list(answer.json()) == [field]


def test_a_flag_that_nobody_carries_out_is_refused_where_it_is_all_that_is_asked_for(served: Served) -> None:
    answer = post(served, data={"prompt[text]": "--remove_background"}, files=PICTURE)
    assert answer.status_code == 422 and "--remove_background" in answer.json()["text"][0]


def test_what_is_not_drawn_here_is_named(served: Served) -> None:
    data_url = "data:image/png;base64," + base64.b64encode(PHOTO.read_bytes()).decode()
    fields = {"text": "a lake --fix_bindi", "input_image_base64": data_url, "controlnet": "pose", "color": "red"}
    answer = post(served, json={"prompt": fields | {"denoising_strength": 0.4}})
    assert answer.status_code == 201
    assert answer.headers["X-FaceID-Ignored"] == "color, controlnet, --fix_bindi"
    assert "prompt[controlnet]" in requests.get(f"{served.url}/status").json()["ignored"]
