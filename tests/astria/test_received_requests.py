"""Requests that curl and python-requests really sent (vectors/received), and what they ask for."""

from __future__ import annotations

import json
import socket
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from faceid_tunes.faceid_core.astria.wire.brackets import MalformedRequestError, nest
from faceid_tunes.faceid_core.astria.wire.file import File
from faceid_tunes.faceid_core.astria.wire.prompt_request import read_prompt
from faceid_tunes.faceid_core.astria.wire.tune_request import TuneRequest, read_tune
from faceid_tunes.faceid_core.prompts import Prompt, PromptError
from faceid_tunes.faceid_core.tunes.errors import TuneError
from support.fake_astria import FakeAstria

RECEIVED = Path(__file__).parent / "vectors" / "received"

JOHN = "John Doe - UUID - 1234-6789-1234-56789"
PHOTOS = (File(b"photo one", "1.jpg", "image/jpeg"), File(b"photo two", "2.jpg", "image/jpeg"))
UNTYPED = (File(b"photo one", "tune[images][]"), File(b"photo two", "tune[images][]"))
ADDRESSES = ("https://i.imgur.com/1.jpg", "https://i.imgur.com/2.jpg")

TUNES = {
    "tune_with_files_curl": TuneRequest(JOHN, "man", PHOTOS, model_type="faceid", base_tune_id=690204),
    "tune_with_addresses_curl": TuneRequest(
        JOHN, "man", image_urls=ADDRESSES, model_type="faceid", base_tune_id=690204
    ),
    "tune_json_curl": TuneRequest(JOHN, "man", image_urls=ADDRESSES, model_type="faceid"),
    "tune_numbered_urlencoded_curl": TuneRequest(
        "numbered",
        "woman",
        image_urls=ADDRESSES,
        prompts=(Prompt("a lake", num_images=8), Prompt("a hill", num_images=2)),
    ),
    "tune_nested_prompts_curl": TuneRequest(
        "nested",
        "woman",
        PHOTOS,
        characteristics=(("eye_color", "green"),),
        prompts=(Prompt("a lake", num_images=3), Prompt("a hill", num_images=8)),
    ),
    "tune_characteristics_json_string_curl": TuneRequest(
        "described", "woman", PHOTOS[:1], characteristics=(("short_description", "tall; dark"),)
    ),
    "tune_json_flat_names_curl": TuneRequest("flat", "man", image_urls=ADDRESSES[:1]),
    "tune_python_requests": TuneRequest("Johñ", "man", UNTYPED, model_type="faceid", face_crop=True),
}

PROMPTS = {
    "prompt_curl": Prompt(
        "<faceid:2000501:1.0> woman trekking in the alps",
        num_images=8,
        super_resolution=True,
        face_correct=True,
        face_swap=True,
    ),
    "prompt_python_requests": Prompt("<faceid:2000501:1.0> woman; réading", num_images=8, face_swap=True, seed=7),
    "prompt_input_image_curl": Prompt(
        "a lake --mask_invert",
        num_images=4,
        w=512,
        input_image=b"photo one",
        mask_image="https://i.imgur.com/mask.png",
        denoising_strength=0.8,
    ),
    "prompt_json_unwrapped_curl": Prompt("a lake", num_images=2, cfg_scale=3.0, face_swap=True),
}


def params_of(api: FakeAstria, name: str) -> dict:
    host, port = api.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall((RECEIVED / f"{name}.http").read_bytes())
        connection.recv(1)
    return api.seen[-1].params


def test_every_recorded_request_is_looked_at():
    assert {path.stem for path in RECEIVED.glob("*.http")} == {*TUNES, *PROMPTS}


@pytest.mark.parametrize("name", TUNES)
def test_a_recorded_tune_is_read(api: FakeAstria, name: str):
    assert read_tune(params_of(api, name)) == TUNES[name]


@pytest.mark.parametrize("name", PROMPTS)
def test_a_recorded_prompt_is_read(api: FakeAstria, name: str):
    assert read_prompt(params_of(api, name)) == PROMPTS[name]


def test_a_repeated_key_starts_the_next_element():
    pairs = [("p[][text]", "a"), ("p[][tags][]", "x"), ("p[][tags][]", "y"), ("p[][text]", "b"), ("p[][w]", "8")]
    assert nest(pairs) == {"p": [{"text": "a", "tags": ["x", "y"]}, {"text": "b", "w": "8"}]}


def test_numbered_elements_are_put_in_order_of_their_numbers():
    pairs = [(f"tune[image_urls][{number}]", f"https://a.example/{number}") for number in (10, 2, 0)]
    assert [url[-1] for url in read_tune(nest(pairs)).image_urls] == ["0", "2", "0"]


def test_a_name_in_two_forms_at_once_is_refused():
    with pytest.raises(MalformedRequestError, match=r"tune\[images\]\[\].*two forms"):
        nest([("tune[images]", "x"), ("tune[images][]", "y")])


def test_names_cannot_be_nested_without_end():
    with pytest.raises(MalformedRequestError, match="levels deep"):
        nest([("a" + "[b]" * 5000, "x")])


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"prompt": {"text": "a lake", "steps": "many"}}, "steps"),
        ({"prompt": {"text": "a lake", "steps": ["1"]}}, "steps"),
        ({"prompt": {"text": "a lake", "cfg_scale": "nan"}}, "cfg_scale"),
        ({"prompt": {"text": "a lake", "face_swap": "perhaps"}}, "face_swap"),
        ({"prompt": {"text": "a lake", "num_images": "9"}}, "num_images"),
        ({"prompt": {"text": "a lake", "seed": "9" * 5000}}, "seed"),
        ({"prompt": {"negative_prompt": "no text at all"}}, "text"),
        ({"prompt": {"text": "<faceid:1>"}}, "text"),
    ],
)
def test_a_prompt_that_cannot_be_read_names_the_field(params: dict, field: str):
    with pytest.raises(PromptError) as caught:
        read_prompt(params)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"images": ["not a file"]}, "tune[images][]"),
        ({"image_urls": ["ftp://example.com"]}, "tune[image_urls][]"),
        ({"base_tune_id": "the best"}, "tune[base_tune_id]"),
        ({"characteristics": "{"}, "tune[characteristics]"),
        ({"prompts_attributes": ["a lake"]}, "tune[prompts_attributes]"),
    ],
)
def test_a_tune_that_cannot_be_read_names_the_field(values: dict, field: str):
    with pytest.raises(TuneError) as caught:
        read_tune({"tune": {"title": "x", "name": "man", **values}})
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("content_type", "body", "reason"),
    [
        ("application/json", b'{"prompt":', "not JSON"),
        ("application/json", b"[1]", "not an object"),
        ("text/csv", b"a,b", "text/csv"),
        ("multipart/form-data", b"--x", "form cannot be read"),
        ("multipart/form-data; boundary=x", b"--x\r\n\r\nno name\r\n--x--\r\n", "form cannot be read"),
    ],
)
def test_a_body_that_cannot_be_read_is_answered_with_400(api: FakeAstria, content_type: str, body: bytes, reason: str):
    headers = {"Authorization": f"Bearer {api.key}", "Content-Type": content_type}
    request = urllib.request.Request(f"{api.url}/tunes/690204/prompts", body, headers)
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=10)
    with caught.value as answer:
        assert answer.code == 400
        assert reason in json.load(answer)["error"]


def test_prompts_that_come_with_a_tune_go_by_either_name():
    def texts(**values: object) -> list[str]:
        return [prompt.text for prompt in read_tune({"tune": {"title": "x", "name": "woman", **values}}).prompts]

    lake, sea = {"text": "a lake"}, {"text": "a sea", "callback": "https://x.example/"}
    assert texts(prompts_attributes=[lake], prompt_attributes=[sea]) == ["a lake", "a sea"]
    assert texts(prompt_attributes=sea) == texts(prompt_attributes={"0": sea}) == ["a sea"]
    assert texts(prompt_attributes={"callback": "https://x.example/"}) == [], "what a pack sets for its own prompts"
