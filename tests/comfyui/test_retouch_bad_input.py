"""What a user reads who puts the wrong thing into a retouching node, through a real ComfyUI's queue."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import skimage.data
from support.comfyui import ComfyUIServer, PromptError
from support.photos import t1
from support.retouch_models import write_restorer, write_swapper, write_upscaler
from support.workflows import Prompt, api_form, inputs

pytestmark = pytest.mark.comfyui

FACE = skimage.data.astronaut()[0:192, 128:320]
MODELS = {
    "swapper": "hyperswap/inswapper_bad_input.onnx",
    "swapper in half precision": "hyperswap/inswapper_half_bad_input.onnx",
    "restorer": "hyperswap/GFPGAN_bad_input.onnx",
    "swapper among restorers": "facerestore_models/inswapper_bad_input.onnx",
    "upscaler": "upscale_models/repeat_bad_input.safetensors",
}
NAMES = {what: name.partition("/")[2] for what, name in MODELS.items()}


@pytest.fixture(scope="module", autouse=True)
def models(comfyui: ComfyUIServer) -> Iterator[None]:
    files = {what: comfyui.base / "models" / name for what, name in MODELS.items()}
    emap = np.linalg.qr(np.random.default_rng(0).normal(size=(512, 512)))[0]
    for what in ("swapper", "swapper among restorers"):
        write_swapper(files[what], gain=(0.6, 0.6, 0.6), emap=emap.astype(np.float32))
    half = files["swapper in half precision"]
    write_swapper(half, gain=(0.6, 0.6, 0.6), emap=emap.astype(np.float16), half=True)
    write_restorer(files["restorer"])
    write_upscaler(files["upscaler"])
    yield
    for file in files.values():
        file.unlink()


@pytest.fixture(scope="module")
def photos(comfyui: ComfyUIServer) -> dict[str, str]:
    pictures = {"face": FACE, "man": t1()[:, 900:], "wide": np.zeros((64, 4104, 3), np.uint8)}
    return {name: comfyui.upload(picture, f"bad_input_{name}.png") for name, picture in pictures.items()}


@pytest.fixture(scope="module", autouse=True)
def people(comfyui: ComfyUIServer, photos: dict[str, str]) -> None:
    prompt: Prompt = {}
    for title, photo in (("Her", "face"), ("Him", "man")):
        prompt[f"{photo} loaded"] = {"class_type": "LoadImage", "inputs": {"image": photos[photo]}}
        kept = {"images": [f"{photo} loaded", 0], "title": f"Bad input {title}", "name": "person"}
        prompt[photo] = {"class_type": "FaceIDCreateTune", "inputs": kept}
        prompt[f"{photo} shown"] = {"class_type": "PreviewAny", "inputs": {"source": [photo, 1]}}
    comfyui.queue(prompt)


def step(kind: str, photo: str, **options: object) -> Prompt:
    """A photo through one node."""
    settings = {"images": ["load", 0], **options}
    if kind == "FaceIDSwapFace":
        settings = {"tune": ["tune", 0], "choice": "best match", "index": 0, "preview": True, **settings}
    if kind == "FaceIDCorrectFace":
        settings = {"fidelity": 0.8, "visibility": 0.8, **settings}
    return {
        "load": {"class_type": "LoadImage", "inputs": {"image": photo}},
        "tune": {"class_type": "FaceIDLoadTune", "inputs": {"tune": "Bad input Her"}},
        "step": {"class_type": kind, "inputs": settings},
        "save": {"class_type": "SaveImage", "inputs": {"images": ["step", 0], "filename_prefix": "bad_input"}},
    }


def retouch(photo: str, text: str = "a woman", **flags: object) -> Prompt:
    options = {"swap_model": NAMES["swapper"], "restore_model": "none", "preview": True}
    prompt = step("FaceIDRetouch", photo, prompt=["prompt", 0], **options)
    asked = {**inputs(api_form("prompt_a_tune"), "FaceIDPrompt"), "text": text, **flags}
    prompt["prompt"] = {"class_type": "FaceIDPrompt", "inputs": {**asked, "tune": ["tune", 0]}}
    prompt["upscaler"] = {"class_type": "UpscaleModelLoader", "inputs": {"model_name": NAMES["upscaler"]}}
    inputs(prompt, "FaceIDRetouch")["upscale_model"] = ["upscaler", 0]
    return prompt


def saved(comfyui: ComfyUIServer, prompt: Prompt) -> np.ndarray:
    return np.asarray(comfyui.image(comfyui.queue(prompt), "save"))


def test_a_restorer_given_to_swap_a_face(comfyui: ComfyUIServer, photos: dict[str, str]):
    said = (
        r"GFPGAN_bad_input.onnx: a face swapper is needed here; this is a face restorer. Choose it where a face is corr"
    )
    with pytest.raises(PromptError, match=said):
        comfyui.queue(step("FaceIDSwapFace", photos["face"], swap_model=NAMES["restorer"]))


def test_a_swapper_given_to_correct_a_face(comfyui: ComfyUIServer, photos: dict[str, str]):
    name = NAMES["swapper among restorers"]
    said = f"{name}: a face restorer is needed here; this is a face swapper. Choose it where a face is swapped"
    with pytest.raises(PromptError, match=said):
        comfyui.queue(step("FaceIDCorrectFace", photos["face"], restore_model=name))
    asked = retouch(photos["face"], face_correct=True)
    inputs(asked, "FaceIDRetouch")["restore_model"] = name
    with pytest.raises(PromptError, match=said):
        comfyui.queue(asked)


def test_faces_read_by_another_recogniser_than_the_swapper_knows(comfyui: ComfyUIServer, photos: dict[str, str]):
    said = (
        r"read with the face pack 'yunet_sface' .*trained on buffalo_l .*somebody else. Install buffalo_l into models/"
    )
    with pytest.raises(PromptError, match=said):
        comfyui.queue(step("FaceIDSwapFace", photos["face"], swap_model=NAMES["swapper"], preview=False))


def test_a_swapper_in_half_precision_swaps_like_the_whole_one(comfyui: ComfyUIServer, photos: dict[str, str]):
    whole, half = (
        saved(comfyui, step("FaceIDSwapFace", photos["face"], swap_model=NAMES[which])).astype(int)
        for which in ("swapper", "swapper in half precision")
    )
    assert np.abs(whole - FACE).max() > 5
    assert np.abs(whole - half).max() <= 1


def test_two_people_for_a_picture_of_one(comfyui: ComfyUIServer, photos: dict[str, str]):
    earlier = len(comfyui.log())
    her = "<faceid:Bad input Her:1>"
    both = saved(comfyui, retouch(photos["face"], f"<faceid:Bad input Him:1> and {her}", face_swap=True))
    assert "face_swap: there is no face for person 1 in a picture of one face" in comfyui.log()[earlier:]
    np.testing.assert_array_equal(both, saved(comfyui, retouch(photos["face"], her, face_swap=True)))


def test_hires_fix_without_super_resolution_is_advised_against_and_ignored(
    comfyui: ComfyUIServer, photos: dict[str, str]
):
    earlier = len(comfyui.log())
    np.testing.assert_array_equal(saved(comfyui, retouch(photos["face"], hires_fix=True)), FACE)
    said = comfyui.log()[earlier:]
    assert "hires_fix has no effect without super_resolution: turn that on too." in said, "before it is drawn"
    assert "hires_fix: has no effect without super_resolution" in said, "and after"


def test_a_result_of_more_than_16384_pixels_a_side(comfyui: ComfyUIServer, photos: dict[str, str]):
    said = "super_resolution: a picture of 4104x64 pixels would become 16416x256; .* Draw a smaller picture"
    with pytest.raises(PromptError, match=said):
        comfyui.queue(retouch(photos["wide"], super_resolution=True))
