"""The API's routes below /faceid of a running ComfyUI: a client posts, ComfyUI's own queue draws."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import requests
from faceid_tunes.cli import main
from PIL import Image
from support.comfyui import ComfyUIServer
from support.face_packs import install_pack
from support.retouch_models import write_swapper, write_upscaler
from support.running_comfyui import CLIP_VISION, PLUSV2
from support.workflows import api_form

pytestmark = pytest.mark.comfyui

BASE = 690204
PHOTO = Path(str(files("insightface") / "data" / "images" / "Tom_Hanks_54745.png"))


@pytest.fixture(scope="module")
def address(comfyui: ComfyUIServer) -> Iterator[str]:
    install_pack(comfyui.base / "models", "buffalo_l", "det_10g", "w600k_r50")
    table = comfyui.base / "user" / "__faceid_tunes" / "base_models.toml"
    table.unlink(missing_ok=True)  # it starts with a broken one
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


@pytest.fixture
def person(address: str) -> int:
    form = {"tune[title]": "Jim", "tune[name]": "man", "tune[model_type]": "faceid", "tune[base_tune_id]": str(BASE)}
    return requests.post(f"{address}/tunes", data=form, files={"tune[images][]": PHOTO.read_bytes()}).json()["id"]


def pictures(prompt: dict) -> list[np.ndarray]:
    return [np.array(Image.open(io.BytesIO(requests.get(url).content)).convert("RGB")) for url in prompt["images"]]


def test_the_pages_curl_command_is_honoured_with_all_it_asks_for(
    comfyui: ComfyUIServer, address: str, person: int
) -> None:
    models = comfyui.base / "models"
    upscaler = write_upscaler(models / "upscale_models" / "RealESRGAN_x4plus.safetensors")
    swapper = models / "insightface" / "inswapper_128.onnx"
    write_swapper(swapper, emap=np.eye(512, dtype=np.float32))
    text = f"prompt[text]=<faceid:{person}:1> man trekking in the alps"
    options = "super_resolution=true face_correct=true face_swap=true num_images=4 w=64 h=64 steps=1 seed=7".split()
    form = [part for option in options for part in ("-F", f"prompt[{option.replace('=', ']=', 1)}")]
    command = ["curl", "-sS", "-X", "POST", "--form-string", text, *form, f"{address}/tunes/{BASE}/prompts"]
    said = subprocess.run(command, capture_output=True, check=True, timeout=60).stdout
    try:
        done = ended(address, json.loads(said)["id"])
    finally:
        upscaler.unlink()
        swapper.unlink()
    assert done["user_error"] is None
    assert [picture.shape for picture in pictures(done)] == [(256, 256, 3)] * 4
    (newest, *_) = requests.get(f"{address}/status").json()["prompts"]
    notes = " ".join(newest["notes"])
    assert "super_resolution" not in notes and "there is no swapper" not in notes and "face_correct: skipped" in notes


def test_the_command_line_at_the_service_draws_the_very_pixels_of_the_graph(
    comfyui: ComfyUIServer, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASTRIA_API_KEY", "sd_none")
    monkeypatch.setenv("ASTRIA_BASE_URL", address)
    monkeypatch.setenv("FACEID_TUNES_HOME", str(tmp_path / "home"))
    order = [str(PHOTO), "--name", "man", "--text", "<faceid:Tom_Hanks_54745:1> man at sea", "--seed", "7"]
    size = ["--w", "64", "--h", "64", "--steps", "2", "--engine", "astria", "--output", str(tmp_path / "out")]
    assert main(["generate", *order, *size]) == 0
    (newest, *_) = requests.get(f"{address}/status").json()["prompts"]
    graph = {number: node for number, node in api_form("retouch").items() if number in set("1245678")}
    del graph["4"]["inputs"]["tune"]
    graph["2"]["inputs"]["adapter_name"] = Path(PLUSV2).name
    graph["9"] = {"class_type": "CLIPVisionLoader", "inputs": {"clip_name": Path(CLIP_VISION).name}}
    graph["4"]["inputs"] |= {"text": newest["text"], "seed": 7, "w": 64, "h": 64, "steps": 2, "negative_prompt": ""}
    graph["4"]["inputs"] |= {"face_swap": False, "face_correct": False, "super_resolution": False, "cfg_scale": 3.0}
    graph["5"]["inputs"]["clip_vision"] = ["9", 0]
    graph["8"]["inputs"]["images"] = ["7", 0]
    drawn = np.array(comfyui.image(comfyui.queue(graph), "8"))
    with Image.open(tmp_path / "out" / "faceid_00001.png") as written:
        assert np.array_equal(np.array(written.convert("RGB")), drawn)
