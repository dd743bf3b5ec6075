"""The flags that come after sampling, and the likeness, through a real ComfyUI's queue.

Real photos; swapper, restorer and super-resolution are small files with the published models' contracts: the first two
change every pixel they are asked to, the last repeats pixels. Faces are read with the embedded pack, which needs the
`preview` switch.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import skimage.data
import torch
from PIL import Image
from safetensors.torch import save_file
from spandrel.architectures.ESRGAN.__arch.RRDB import RRDBNet
from support.comfyui import ComfyUIServer, PromptError
from support.photos import no_faces
from support.retouch_models import write_restorer, write_swapper
from support.workflows import Prompt, api_form, inputs, node_id

pytestmark = pytest.mark.comfyui

FACE = skimage.data.astronaut()[0:192, 128:320]  # 192x192 pixels, most of them her head
SMALL = np.asarray(Image.fromarray(FACE).resize((96, 96), Image.Resampling.LANCZOS))
UPSCALER = "repeat_x4.safetensors"


@pytest.fixture(scope="module", autouse=True)
def models(comfyui: ComfyUIServer) -> Path:
    """The files that "auto" finds, and a super-resolution model."""
    folder = comfyui.base / "models"
    turned = np.linalg.qr(np.random.default_rng(0).normal(size=(512, 512)))[0].astype(np.float32)
    write_swapper(folder / "insightface" / "inswapper_128.onnx", gain=(0.6, 0.6, 0.6), emap=turned)
    write_restorer(folder / "facerestore_models" / "GFPGANv1.4.onnx", gain=(1.2, 1.2, 1.2))
    (folder / "upscale_models").mkdir(exist_ok=True)
    save_file(pixel_repeater(), folder / "upscale_models" / UPSCALER)
    return folder


def pixel_repeater() -> dict[str, torch.Tensor]:
    """ESRGAN x4 whose first, last and upsampling convolutions pass red, green and blue through; the rest is nothing."""
    tensors = {
        key: torch.zeros_like(tensor) for key, tensor in RRDBNet(num_filters=8, num_blocks=1).state_dict().items()
    }
    through = [key for key in tensors if key.endswith("weight") and "sub" not in key]
    for key in through:
        for channel in range(3):
            tensors[key][channel, channel, 1, 1] = 1.0
    return tensors


@pytest.fixture(scope="module")
def photos(comfyui: ComfyUIServer) -> dict[str, str]:
    cat = no_faces()["chelsea"][:192, :192]
    return {
        name: comfyui.upload(photo, f"{name}.png") for name, photo in {"face": FACE, "small": SMALL, "cat": cat}.items()
    }


@pytest.fixture(scope="module", autouse=True)
def anna(comfyui: ComfyUIServer) -> None:
    """Anna, kept from the photo that is retouched."""
    whole = api_form("create_a_tune")
    ids = [node_id(whole, kind) for kind in ("LoadImage", "FaceIDCreateTune", "PreviewAny")]
    prompt = {number: whole[number] for number in ids}
    inputs(prompt, "LoadImage")["image"] = comfyui.upload(FACE, "retouched.png")
    inputs(prompt, "FaceIDCreateTune").update(title="Retouched", name="woman")
    comfyui.queue(prompt)


def retouch(photo: str, **flags: object) -> Prompt:
    """A photo through FaceID Retouch, with the guider, VAE and upscaler of a workflow that draws Anna."""
    prompt = api_form("prompt_a_tune")
    inputs(prompt, "FaceIDLoadTune")["tune"] = "Retouched"
    inputs(prompt, "FaceIDPrompt").update({"w": 64, "h": 64, "steps": 3} | flags)
    inputs(prompt, "FaceIDApplyPrompt")["preview"] = True
    checkpoint, drawing = node_id(prompt, "CheckpointLoaderSimple"), node_id(prompt, "FaceIDApplyPrompt")
    prompt["20"] = {"class_type": "LoadImage", "inputs": {"image": photo}}
    prompt["21"] = {"class_type": "UpscaleModelLoader", "inputs": {"model_name": UPSCALER}}
    prompt["22"] = {
        "class_type": "FaceIDRetouch",
        "inputs": {
            "images": ["20", 0],
            "prompt": [drawing, 5],
            "swap_model": "auto",
            "restore_model": "auto",
            "preview": True,
            "upscale_model": ["21", 0],
            "guider": [drawing, 1],
            "vae": [checkpoint, 2],
        },
    }
    inputs(prompt, "SaveImage")["images"] = ["22", 0]
    for kind in ("SamplerCustomAdvanced", "VAEDecode"):
        del prompt[node_id(prompt, kind)]
    return prompt


def saved(comfyui: ComfyUIServer, prompt: Prompt) -> np.ndarray:
    return np.asarray(comfyui.image(comfyui.queue(prompt), node_id(prompt, "SaveImage")))


def test_the_full_set_of_flags_runs_through_the_queue(comfyui: ComfyUIServer, photos: dict[str, str]):
    earlier = len(comfyui.log())
    flags = ("face_swap", "face_correct", "super_resolution", "hires_fix", "inpaint_faces", "film_grain")
    picture = saved(comfyui, retouch(photos["small"], **dict.fromkeys(flags, True), color_grading="Ektar"))
    said = comfyui.log()[earlier:]
    assert picture.shape == (384, 384, 3)
    assert len(np.unique(picture)) > 100
    assert "left to FaceID Retouch: super_resolution, hires_fix, face_correct, face_swap, inpaint_faces" in said
    assert "384x384" in said
    assert "face_swap: no face to swap" in said  # hires_fix, with random weights, leaves no face
    for word in ("left out", "no effect", "Traceback", "not drawn locally"):
        assert word not in said


def test_a_face_is_swapped_enlarged_drawn_again_and_corrected(comfyui: ComfyUIServer, photos: dict[str, str]):
    earlier = len(comfyui.log())
    flags = {"face_swap": True, "face_correct": True, "super_resolution": True}
    without = saved(comfyui, retouch(photos["small"], **flags))
    assert without.shape == (384, 384, 3)
    enlarged = SMALL.repeat(4, axis=0).repeat(4, axis=1)
    np.testing.assert_array_equal(without[-8:, -8:], enlarged[-8:, -8:])
    drawn_again = saved(comfyui, retouch(photos["small"], inpaint_faces=True, **flags))
    change = np.abs(drawn_again.astype(int) - without).mean(axis=-1)
    assert change[120:220, 140:240].mean() > 5  # of 255
    assert change[-8:, -8:].max() == 0
    for word in ("left out", "no face to swap", "no face to draw again", "Traceback"):
        assert word not in comfyui.log()[earlier:]


def test_the_shipped_workflow_draws_retouches_and_measures(comfyui: ComfyUIServer):
    prompt = api_form("retouch")
    inputs(prompt, "FaceIDLoadTune")["tune"] = "Retouched"
    inputs(prompt, "FaceIDPrompt").update(w=64, h=64, steps=1)
    inputs(prompt, "UpscaleModelLoader")["model_name"] = UPSCALER
    for kind in ("FaceIDApplyPrompt", "FaceIDRetouch"):
        inputs(prompt, kind)["preview"] = True
    earlier = len(comfyui.log())
    assert saved(comfyui, prompt).shape == (256, 256, 3)
    said = comfyui.log()[earlier:]
    assert "image 1: no face" in said  # of random weights
    assert "Traceback" not in said


def test_faces_are_swapped_and_corrected_on_their_rectangle_only(comfyui: ComfyUIServer, photos: dict[str, str]):
    picture = saved(comfyui, retouch(photos["face"], face_swap=True, face_correct=True))
    changed = (picture != FACE).any(axis=-1)
    assert changed[60:130, 60:130].mean() > 0.9
    assert not changed[:, :8].any()
    assert not changed[:, -8:].any()


def test_a_picture_without_a_face_passes_to_the_bit_with_a_note(comfyui: ComfyUIServer, photos: dict[str, str]):
    earlier = len(comfyui.log())
    picture = saved(comfyui, retouch(photos["cat"], face_swap=True, face_correct=True))
    np.testing.assert_array_equal(picture, no_faces()["chelsea"][:192, :192])
    assert "face_swap: no face to swap" in comfyui.log()[earlier:]


def test_a_flag_whose_file_is_missing_says_where_to_put_it(comfyui: ComfyUIServer, photos: dict[str, str]):
    earlier = len(comfyui.log())
    prompt = retouch(photos["face"], super_resolution=True, face_swap=True)
    del inputs(prompt, "FaceIDRetouch")["upscale_model"]
    inputs(prompt, "FaceIDRetouch")["swap_model"] = "none"
    np.testing.assert_array_equal(saved(comfyui, prompt), FACE)
    said = comfyui.log()[earlier:]
    assert "super_resolution: left out" in said
    assert "models/insightface" in said


def test_each_face_step_alone(comfyui: ComfyUIServer, photos: dict[str, str]):
    tune = {"class_type": "FaceIDLoadTune", "inputs": {"tune": "Retouched"}}
    prompt = {
        "1": {"class_type": "LoadImage", "inputs": {"image": photos["face"]}},
        "2": tune,
        "3": {
            "class_type": "FaceIDSwapFace",
            "inputs": {
                "images": ["1", 0],
                "tune": ["2", 0],
                "swap_model": "inswapper_128.onnx",
                "choice": "best match",
                "index": 0,
                "preview": True,
            },
        },
        "4": {
            "class_type": "FaceIDCorrectFace",
            "inputs": {
                "images": ["3", 0],
                "restore_model": "GFPGANv1.4.onnx",
                "fidelity": 0.8,
                "visibility": 0.8,
                "tune": ["2", 0],
            },
        },
        "5": {"class_type": "SaveImage", "inputs": {"images": ["4", 0], "filename_prefix": "steps"}},
    }
    picture = saved(comfyui, prompt)
    flags = retouch(photos["face"], face_swap=True, face_correct=True)
    np.testing.assert_array_equal(picture, saved(comfyui, flags))


def test_a_restorer_where_a_swapper_is_expected_says_what_it_is(comfyui: ComfyUIServer, models: Path, photos):
    write_restorer(models / "hyperswap" / "RestoreFormer_PP.onnx")
    prompt = retouch(photos["face"], face_swap=True)
    inputs(prompt, "FaceIDRetouch")["swap_model"] = "RestoreFormer_PP.onnx"
    with pytest.raises(PromptError, match="a face swapper is needed here; this is a face restorer"):
        comfyui.queue(prompt)


def test_the_likeness_of_the_photo_itself_is_one_and_the_png_says_so(comfyui: ComfyUIServer, photos: dict[str, str]):
    prompt = {
        "1": {"class_type": "LoadImage", "inputs": {"image": photos["face"]}},
        "2": {"class_type": "FaceIDLoadTune", "inputs": {"tune": "Retouched"}},
        "3": {"class_type": "FaceIDSimilarity", "inputs": {"images": ["1", 0], "tune": ["2", 0]}},
        "4": {"class_type": "PreviewAny", "inputs": {"source": ["3", 0]}},
        "5": {"class_type": "SaveImage", "inputs": {"images": ["3", 1], "filename_prefix": "plot"}},
        "6": {"class_type": "SaveImage", "inputs": {"images": ["3", 2], "filename_prefix": "scored"}},
    }
    entry = comfyui.queue(prompt, workflow={})
    assert float(entry["outputs"]["4"]["text"][0]) == pytest.approx(1.0, abs=1e-4)
    assert comfyui.image(entry, "5").width >= 800
    (file,) = entry["outputs"]["6"]["images"]
    with Image.open(comfyui.base / "output" / file["filename"]) as png:
        kept = png.text["faceid_similarity"]
    assert '"Retouched"' in kept
    assert '"verdicts": ["same person"]' in kept


def test_the_style_is_said_to_the_text_encoder(comfyui: ComfyUIServer, photos: dict[str, str]):
    earlier = len(comfyui.log())
    flags = {"super_resolution": True, "hires_fix": True}
    plain, lines = (saved(comfyui, retouch(photos["small"], style=style, **flags)) for style in ("none", "Line art"))
    assert "Line art" in comfyui.log()[earlier:]
    assert (plain != lines).any()
