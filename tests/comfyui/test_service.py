"""The API's routes below /faceid of a running ComfyUI: a client posts, ComfyUI's own queue draws."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pytest
import requests
from PIL import Image
from support.comfyui import ComfyUIServer
from support.face_packs import install_pack

pytestmark = pytest.mark.comfyui

BASE = 690204
PHOTO = Path(str(files("insightface") / "data" / "images" / "Tom_Hanks_54745.png"))


@pytest.fixture(scope="module")
def address(comfyui: ComfyUIServer) -> Iterator[str]:
    install_pack(comfyui.base / "models", "buffalo_l", "det_10g", "w600k_r50")
    yield f"{comfyui.url}/faceid"
    shutil.rmtree(comfyui.base / "models" / "insightface" / "models" / "buffalo_l")


def ended(address: str, prompt_id: int) -> dict:
    while not (found := requests.get(f"{address}/prompts/{prompt_id}").json())["trained_at"]:
        pass
    return found


def test_a_client_of_the_api_draws_in_comfyui(comfyui: ComfyUIServer, address: str) -> None:
    form = {"tune[title]": "John", "tune[name]": "man", "tune[model_type]": "faceid", "tune[base_tune_id]": str(BASE)}
    answer = requests.post(f"{address}/tunes", data=form, files={"tune[images][]": PHOTO.read_bytes()})
    assert answer.status_code == 201, answer.text
    text = f"<faceid:{answer.json()['id']}:1> man trekking in the alps"
    fields = {"text": text, "num_images": 2, "w": 128, "h": 64, "steps": 2, "seed": 5}
    prompt = requests.post(f"{address}/tunes/{BASE}/prompts", json={"prompt": fields}).json()
    assert prompt["images"] == [] and prompt["url"].startswith(address)
    done = ended(address, prompt["id"])
    assert done["user_error"] is None and len(done["images"]) == 2
    picture = Image.open(io.BytesIO(requests.get(done["images"][0]).content))
    assert picture.size == (128, 64)
    jobs = requests.get(f"{comfyui.url}/history").json()
    assert any(
        "FaceIDApplyPrompt" in str(job["prompt"]) and "trekking in the alps" in str(job["prompt"])
        for job in jobs.values()
    )


def test_a_page_of_another_site_is_refused(address: str) -> None:
    answer = requests.get(f"{address}/tunes", headers={"Origin": "https://evil.example"})
    assert answer.status_code in (401, 403)
    assert requests.get(f"{address}/tunes", headers={"X-Forwarded-For": "8.8.8.8"}).status_code == 401
