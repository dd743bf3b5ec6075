"""The requests of the API's page, changed only in host and key."""

from __future__ import annotations

import io
import subprocess
from pathlib import Path

import pytest
import requests
from PIL import Image
from support.photos import INSIGHTFACE

from .conftest import Served

PHOTO = INSIGHTFACE / "Tom_Hanks_54745.png"
BASE = 690204


def curl(*arguments: str) -> bytes:
    return subprocess.run(["curl", "-sS", "--fail-with-body", *arguments], capture_output=True, check=True).stdout


def ended(served: Served, prompt_id: int, **options: object) -> dict:
    while not (found := requests.get(f"{served.url}/prompts/{prompt_id}.json", **options).json())["trained_at"]:
        pass
    return found


def tune(served: Served, title: str = "John Doe", **options: object) -> dict:
    form = {"tune[title]": title, "tune[name]": "man", "tune[model_type]": "faceid", "tune[base_tune_id]": str(BASE)}
    answer = requests.post(f"{served.url}/tunes", data=form, files=[("tune[images][]", PHOTO.read_bytes())], **options)
    assert answer.status_code == 201, answer.text
    return answer.json()


def test_a_tune_is_ready_in_the_answer(served: Served) -> None:
    made = tune(served)
    assert made["trained_at"] and made["ckpt_urls"] == [] and made["model_type"] == "faceid"
    assert requests.get(made["url"]).json() == made
    assert requests.get(made["orig_images"][0]).content == PHOTO.read_bytes()


@pytest.mark.slow
def test_the_pages_curl_commands_give_pictures(served: Served, tmp_path: Path) -> None:
    made = tune(served)
    prompt = requests.models.complexjson.loads(
        curl(
            "-X",
            "POST",
            "-H",
            "Authorization: Bearer none",
            f"{served.url}/tunes/{BASE}/prompts",
            "--form-string",
            f"prompt[text]=<faceid:{made['id']}:1> woman trekking in the alps",
            "-F",
            'prompt[negative_prompt]=""',
            "-F",
            "prompt[super_resolution]=true",
            "-F",
            "prompt[face_correct]=true",
            "-F",
            "prompt[face_swap]=true",
            "-F",
            "prompt[num_images]=2",
            "-F",
            "prompt[callback]=",
        )
    )
    assert prompt["images"] == [] and prompt["tune_id"] == BASE
    done = ended(served, prompt["id"])
    assert len(done["images"]) == 2 and done["user_error"] is None
    picture = requests.get(done["images"][0])
    assert picture.headers["Content-Type"] == "image/png" and Image.open(io.BytesIO(picture.content)).size == (16, 16)
    assert served.engine.drawn[0].face_swap and served.engine.drawn[0].super_resolution
