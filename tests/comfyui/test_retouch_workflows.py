"""The flags that come after sampling, and the likeness, through a real ComfyUI's queue.

Real photos; swapper, restorer and super-resolution are small files with the published models' contracts: the first two
change every pixel they are asked to, the last repeats pixels. Faces are read with the embedded pack, which needs the
``preview`` switch.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import skimage.data
import torch
from faceid_tunes.faceid_core.faces import Face, find_faces
from faceid_tunes.faceid_core.faces.packs import embedded_pack
from faceid_tunes.faceid_core.retouch import crop_face
from faceid_tunes.faceid_core.retouch.paste import face_rectangle
from PIL import Image
from support.comfyui import ComfyUIServer, PromptError
from support.photos import no_faces, single_faces
from support.retouch_models import write_restorer, write_swapper, write_torch_restorer, write_upscaler, write_vae
from support.workflows import Prompt, api_form, inputs, node_id

pytestmark = pytest.mark.comfyui

ASTRONAUT = skimage.data.astronaut()
FACE = ASTRONAUT[0:192, 128:320]  # 192x192 pixels, most of them her head
SMALL = np.asarray(Image.fromarray(FACE).resize((96, 96), Image.Resampling.LANCZOS))
UPSCALER, VAE = "repeat_x4.safetensors", "keep.safetensors"
TURNS_BLUE = "inswapper_turns_blue.onnx"  # around, which no colour match undoes; "auto" takes the other


@pytest.fixture(scope="module", autouse=True)
def models(comfyui: ComfyUIServer) -> Path:
    """The files that "auto" finds, and a super-resolution model."""
    folder = comfyui.base / "models"
    turned = np.linalg.qr(np.random.default_rng(0).normal(size=(512, 512)))[0].astype(np.float32)
    write_swapper(folder / "insightface" / "inswapper_128.onnx", gain=(0.6, 0.6, 0.6), emap=turned)
    blue = {"gain": (0.6, 0.6, -0.6), "offset": (0.0, 0.0, 0.8)}
    write_swapper(folder / "insightface" / TURNS_BLUE, **blue, emap=turned)
    write_restorer(folder / "facerestore_models" / "GFPGANv1.4.onnx", gain=(1.2, 1.2, 1.2))
    write_upscaler(folder / "upscale_models" / UPSCALER)
    write_vae(folder / "vae" / VAE)
    return folder


@pytest.fixture(scope="module")
def photos(comfyui: ComfyUIServer) -> dict[str, str]:
    cat = no_faces()["chelsea"][:192, :192]
    return {
        name: comfyui.upload(photo, f"{name}.png")
        for name, photo in {"astronaut": ASTRONAUT, "face": FACE, "small": SMALL, "cat": cat}.items()
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


def swap(photo: str, reference: str | None = None, **options: object) -> Prompt:
    """A photo with transparency, random in every pixel, through FaceID Swap Face."""
    asked = {"swap_model": TURNS_BLUE, "choice": "best match", "index": 0, "preview": True, **options}
    prompt = {
        "photo": {"class_type": "LoadImage", "inputs": {"image": photo}},
        "alpha": {"class_type": "ImageToMask", "inputs": {"image": ["photo", 0], "channel": "green"}},
        "joined": {"class_type": "JoinImageWithAlpha", "inputs": {"image": ["photo", 0], "alpha": ["alpha", 0]}},
        "tune": {"class_type": "FaceIDLoadTune", "inputs": {"tune": "Retouched"}},
        "swap": {"class_type": "FaceIDSwapFace", "inputs": {"images": ["joined", 0], "tune": ["tune", 0], **asked}},
        "save": {"class_type": "SaveImage", "inputs": {"images": ["swap", 0], "filename_prefix": "swapped"}},
    }
    if reference is not None:
        prompt["who"] = {"class_type": "LoadImage", "inputs": {"image": reference}}
        inputs(prompt, "FaceIDSwapFace")["reference"] = ["who", 0]
    return prompt


def test_the_reference_says_who_is_swapped_and_the_picture_says_when_nobody_is(
    comfyui: ComfyUIServer, photos: dict[str, str]
):
    stranger = comfyui.upload(single_faces()["Tom_Hanks"], "stranger.png")
    as_the_editor = {"nodes": []}  # a script that sends no graph gets no notes in its pictures
    hers, nobodys = (comfyui.queue(swap(photos["astronaut"], who), as_the_editor) for who in (photos["face"], stranger))
    changed, untouched = (comfyui.png(history, "save") for history in (hers, nobodys))
    assert changed.mode == untouched.mode == "RGBA"
    colours, alpha = np.asarray(changed)[..., :3], np.asarray(changed)[..., 3]
    np.testing.assert_array_equal(np.asarray(untouched)[..., :3], ASTRONAUT)
    np.testing.assert_array_equal(alpha, np.asarray(untouched)[..., 3])
    assert np.ptp(alpha) > 200
    assert (colours[0:192, 128:320] != FACE).any()
    np.testing.assert_array_equal(colours[:, 400:], ASTRONAUT[:, 400:])
    (said,) = json.loads(untouched.text["faceid_notes"])
    assert said["node"] == "swap"
    assert said["notes"][0].startswith("no face is that of the reference of person 1")


def test_a_second_reference_needs_its_person(comfyui: ComfyUIServer, photos: dict[str, str]):
    prompt = swap(photos["astronaut"], photos["face"], places=",0")
    with pytest.raises(PromptError, match="places: 2 of them for 1 people"):
        comfyui.queue(prompt)
    inputs(prompt, "FaceIDSwapFace").update(places="", reference_2=["who", 0])
    with pytest.raises(PromptError, match="reference_2: connect tune_2, too"):
        comfyui.queue(prompt)


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
    for word in ("skipped", "no effect", "Traceback", "not drawn locally"):
        assert word not in said


def test_after_a_second_pass_that_keeps_the_face_it_is_swapped_and_corrected(
    comfyui: ComfyUIServer, photos: dict[str, str]
):
    """The pass is a real one; the VAE keeps the photo whatever the random UNet makes of it."""

    def kept(**flags: object) -> Prompt:
        prompt = retouch(photos["face"], super_resolution=True, hires_fix=True, **flags)
        prompt["23"] = {"class_type": "VAELoader", "inputs": {"vae_name": VAE}}
        inputs(prompt, "FaceIDRetouch").update(vae=["23", 0], swap_model=TURNS_BLUE)
        return prompt

    earlier = len(comfyui.log())
    drawn = saved(comfyui, kept())
    enlarged = np.asarray(Image.fromarray(FACE).resize((768, 768), Image.Resampling.BICUBIC))
    assert 5 < np.abs(drawn.astype(int) - enlarged).mean() < 25  # every eighth pixel of it, blurred
    swapped, finished = (saved(comfyui, kept(face_swap=True, face_correct=correct)) for correct in (False, True))
    assert finished.shape == swapped.shape == drawn.shape == (768, 768, 3)
    for after, before in ((swapped, drawn), (finished, swapped)):
        assert np.abs(after.astype(int) - before)[300:480, 280:460].mean() > 3
    said = comfyui.log()[earlier:]
    for word in ("skipped", "no face", "no effect", "Traceback"):
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
    for word in ("skipped", "no face to swap", "no face to draw again", "Traceback"):
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
    assert "super_resolution: skipped" in said
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


def gfpgan() -> torch.nn.Module:
    from spandrel.architectures.GFPGAN import GFPGAN

    torch.manual_seed(0)
    return GFPGAN()


def codeformer() -> torch.nn.Module:
    from spandrel_extra_arches.architectures.CodeFormer import CodeFormer

    torch.manual_seed(0)
    return CodeFormer(n_layers=1, connect_list=["32"])


@pytest.mark.parametrize(("file", "network"), [("GFPGANv1.4.pth", gfpgan), ("codeformer.pth", codeformer)])
def test_a_pytorch_restorer_is_loaded_and_unloaded_by_comfyui(
    comfyui: ComfyUIServer, models: Path, photos: dict[str, str], file: str, network: Callable[[], torch.nn.Module]
):
    """The published architectures, with random weights: as restorers they are of no use, and changed is changed."""
    write_torch_restorer(models / "facerestore_models" / file, network())

    def corrected(run: int) -> tuple[np.ndarray, int]:
        """The picture, and how often ComfyUI was asked to load the network for it."""
        correct = {
            "images": ["1", 0],
            "restore_model": file,
            "fidelity": 0.5,
            "visibility": 1.0,
            "run": run,  # which no node has: ComfyUI does not take the job for the one it remembers
        }
        prompt = {
            "1": {"class_type": "LoadImage", "inputs": {"image": photos["astronaut"]}},
            "2": {"class_type": "FaceIDCorrectFace", "inputs": correct},
            "3": {"class_type": "SaveImage", "inputs": {"images": ["2", 0], "filename_prefix": "corrected"}},
        }
        earlier = len(comfyui.log())
        picture = saved(comfyui, prompt)
        return picture, comfyui.log()[earlier:].count("Requested to load")

    picture, loads = corrected(1)
    faces = find_faces([ASTRONAUT], embedded_pack()).photos[0].faces
    rectangles = [rectangle_of(face) for face in faces]
    changed = (picture != ASTRONAUT).any(axis=-1)
    assert loads == 1
    assert faces
    for left, top, right, bottom in rectangles:
        assert changed[top:bottom, left:right].mean() > 0.2
        changed[top:bottom, left:right] = False
    assert not changed.any()
    again, loads = corrected(2)
    np.testing.assert_array_equal(again, picture)
    assert loads == 0
    comfyui.free()
    again, loads = corrected(3)
    np.testing.assert_array_equal(again, picture)
    assert loads == 1


def rectangle_of(face: Face) -> tuple[int, int, int, int]:
    """What of the astronaut a restorer of 512 pixels may change."""
    _, matrix = crop_face(ASTRONAUT, face.landmarks, "ffhq_512", 512)
    return face_rectangle(matrix, 512, ASTRONAUT.shape)


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
