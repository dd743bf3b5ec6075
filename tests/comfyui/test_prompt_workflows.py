"""The workflows that keep people and draw them from a prompt, posted to a real ComfyUI.

Random models, real photos, small pictures, two steps: these tests see that tunes, tags, seeds and masks reach the
picture, not that it is a good likeness. Faces are read with the embedded pack, which needs the ``preview`` switch.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import cache
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import skimage.data
import torch
from faceid_tunes.faceid_core.tunes.store import open_store
from PIL import Image
from safetensors.torch import load_file, save_file
from support.comfyui import ComfyUIServer, PromptError
from support.oracle import relative_l2
from support.workflows import Prompt, api_form, inputs, node_id

pytestmark = pytest.mark.comfyui

WIDTH, HEIGHT = 128, 64
NAMES = ("create_a_tune", "prompt_a_tune", "fast_lcm", "two_people")
LCM_LORA = "lcm-lora-sdv1-5.safetensors"


@pytest.fixture(scope="module", autouse=True)
def people(comfyui: ComfyUIServer) -> dict[str, str]:
    """Anna and Ben, kept by FaceIDCreateTune alone. Returns title -> tag."""
    hanks = Image.open(str(files("insightface") / "data" / "images" / "Tom_Hanks_54745.png"))
    return {
        "Anna": create(comfyui, "Anna", "woman", comfyui.upload(skimage.data.astronaut(), "anna.png")),
        "Ben": create(comfyui, "Ben", "man", comfyui.upload(hanks, "ben.png")),
    }


def create(comfyui: ComfyUIServer, title: str, name: str, photo: str) -> str:
    """Keep a tune, draw nothing. Returns the tag that is shown."""
    whole = api_form("create_a_tune")
    ids = [node_id(whole, kind) for kind in ("LoadImage", "FaceIDCreateTune", "PreviewAny")]
    prompt = {number: whole[number] for number in ids}
    inputs(prompt, "LoadImage")["image"] = photo
    inputs(prompt, "FaceIDCreateTune").update(title=title, name=name)
    return comfyui.queue(prompt)["outputs"][node_id(prompt, "PreviewAny")]["text"][0]


def small(name: str, **fields: object) -> Prompt:
    """The shipped API workflow, made quick enough for a CPU; ``fields`` are inputs of its FaceIDPrompt."""
    prompt = api_form(name)
    inputs(prompt, "FaceIDPrompt").update({"w": WIDTH, "h": HEIGHT, "steps": 2} | fields)
    inputs(prompt, "FaceIDApplyPrompt")["preview"] = True
    if name == "create_a_tune":
        inputs(prompt, "LoadImage")["image"] = "anna.png"
    return prompt


@pytest.fixture(scope="module")
def draw(comfyui: ComfyUIServer) -> Callable[[Prompt], np.ndarray]:
    """Post a prompt and fetch its picture, [height, width, 3] uint8. A prompt seen before is not drawn again."""

    @cache
    def drawn(text: str) -> np.ndarray:
        return saved_picture(comfyui, json.loads(text))

    return lambda prompt: drawn(json.dumps(prompt))


def saved_picture(comfyui: ComfyUIServer, prompt: Prompt) -> np.ndarray:
    return np.asarray(comfyui.image(comfyui.queue(prompt), node_id(prompt, "SaveImage")))


def cached_nodes(entry: dict) -> set[str]:
    """Ids of the nodes of a finished prompt that did not run."""
    return set(dict(entry["status"]["messages"])["execution_cached"]["nodes"])


def said_since(comfyui: ComfyUIServer, earlier: str) -> str:
    return comfyui.log()[len(earlier) :]


# -- drawing ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_a_workflow_draws_a_picture_of_the_size_asked_for(comfyui: ComfyUIServer, draw, name: str):
    earlier = comfyui.log()
    picture = draw(small(name))
    assert picture.shape == (HEIGHT, WIDTH, 3)
    # NaN is saved as black, so a picture of many different pixels is one of finite numbers.
    assert len(np.unique(picture)) > 100
    assert "Traceback" not in said_since(comfyui, earlier)


def test_the_same_title_is_the_same_tune_and_the_same_tag(comfyui: ComfyUIServer, people: dict[str, str]):
    assert create(comfyui, "Anna", "woman", "anna.png") == people["Anna"]
    assert people["Anna"] != people["Ben"]


def test_a_tune_made_from_a_photo_draws_what_it_draws_when_loaded_by_its_title(draw):
    np.testing.assert_array_equal(draw(small("create_a_tune")), draw(small("prompt_a_tune")))


def test_two_people_change_places_with_their_masks(draw):
    prompt = small("two_people")
    apart = draw(prompt)
    left, right = (node for node in prompt.values() if node["class_type"] == "MaskComposite")
    left["inputs"]["x"], right["inputs"]["x"] = right["inputs"]["x"], left["inputs"]["x"]
    swapped = draw(prompt)
    assert np.abs(apart.astype(int) - swapped).mean() > 1  # of 255


def test_lcm_uses_its_lora_once_the_file_is_there(comfyui: ComfyUIServer, draw):
    without = draw(small("fast_lcm"))
    write_lcm_lora(comfyui.base / "models" / "loras" / LCM_LORA)
    earlier = comfyui.log()
    with_lora = draw(small("fast_lcm", text=reworded("fast_lcm")))
    assert f"2 steps of lcm, cfg 1.5, Anna at 1, LCM with {LCM_LORA}" in said_since(comfyui, earlier)
    assert np.abs(with_lora.astype(int) - without).mean() > 1  # of 255


def write_lcm_lora(path: Path) -> None:
    """A LoRA for one layer of the UNet, under kohya's names as the published LCM LoRAs are."""
    layer = "lora_unet_mid_block_attentions_0_proj_in"
    draws = torch.Generator().manual_seed(0)
    path.parent.mkdir(exist_ok=True)
    save_file(
        {
            f"{layer}.lora_down.weight": torch.randn(1, 1280, 1, 1, generator=draws),
            f"{layer}.lora_up.weight": torch.randn(1280, 1, 1, 1, generator=draws),
            f"{layer}.alpha": torch.tensor(1.0),
        },
        path,
    )


def reworded(name: str) -> str:
    """The workflow's text, spelled so that ComfyUI's cache does not know it; it draws the same picture."""
    return inputs(api_form(name), "FaceIDPrompt")["text"] + " "


# -- what is not done twice -------------------------------------------------------------------------------------------


def test_posting_the_same_prompt_again_runs_no_node(comfyui: ComfyUIServer):
    prompt = small("prompt_a_tune")
    comfyui.queue(prompt)
    assert cached_nodes(comfyui.queue(prompt)) == set(prompt)


def test_a_new_seed_looks_at_no_photo_and_projects_nothing(comfyui: ComfyUIServer, photo_taken_away: None):
    comfyui.queue(small("prompt_a_tune"))
    earlier = comfyui.log()
    prompt = small("prompt_a_tune", seed=43)
    entry = comfyui.queue(prompt)
    loaders = ("CheckpointLoaderSimple", "FaceIDLoadAdapter", "FaceIDLoadTune")
    assert cached_nodes(entry) == {node_id(prompt, kind) for kind in loaders}
    assert "Projecting" not in said_since(comfyui, earlier)
    assert "Projecting Anna through ip-adapter-faceid_sd15.bin" in earlier  # the line is there when it is done


@pytest.fixture
def photo_taken_away(comfyui: ComfyUIServer) -> Iterator[None]:
    """Anna's kept photo is out of the store: whoever wants to analyse it again fails."""
    home = comfyui.base / "user" / "__faceid_tunes"
    with open_store(home) as store:
        (photo,) = store.get_by_title("Anna").photos
    (kept,) = (path for path in (home / "blobs").rglob(f"*{photo.sha256[-32:]}*") if path.is_file())
    away = kept.rename(comfyui.base / "photo")
    yield
    away.rename(kept)


# -- seeds ------------------------------------------------------------------------------------------------------------


def test_the_same_prompt_and_seed_drawn_again_gives_identical_pixels(comfyui: ComfyUIServer, draw):
    first = draw(small("prompt_a_tune"))
    prompt = small("prompt_a_tune", text=reworded("prompt_a_tune"))
    entry = comfyui.queue(prompt)
    assert node_id(prompt, "SamplerCustomAdvanced") not in cached_nodes(entry)
    again = np.asarray(comfyui.image(entry, node_id(prompt, "SaveImage")))
    np.testing.assert_array_equal(again, first)


@pytest.mark.parametrize("scheduler", ["dpm++2m_karras", "euler_a"])
def test_a_batch_of_four_is_the_four_pictures_of_its_seeds(comfyui: ComfyUIServer, scheduler: str):
    batch = latents(comfyui, scheduler=scheduler, seed=7, num_images=4)
    alone = torch.cat([latents(comfyui, scheduler=scheduler, seed=seed) for seed in (7, 8, 9, 10)])
    assert relative_l2(batch, alone) < 1e-4
    assert relative_l2(batch[:1], batch[1:2]) > 0.1  # four different pictures


def latents(comfyui: ComfyUIServer, **fields: object) -> torch.Tensor:
    """[images, 4, 8, 8], before the VAE and its 8 bits."""
    prompt = small("prompt_a_tune", **{"w": 64, "h": 64} | fields)
    sampler = node_id(prompt, "SamplerCustomAdvanced")
    del prompt[node_id(prompt, "VAEDecode")]
    save = prompt[node_id(prompt, "SaveImage")]
    save.update(class_type="SaveLatent", inputs={"samples": [sampler, 0], "filename_prefix": "latents"})
    (saved,) = comfyui.queue(prompt)["outputs"][node_id(prompt, "SaveLatent")]["latents"]
    return load_file(comfyui.base / "output" / saved["subfolder"] / saved["filename"])["latent_tensor"]


# -- bad input --------------------------------------------------------------------------------------------------------

BAD_TEXTS = {
    "a <faceid:1> woman": "column 12",
    "a <FaceID:1:1> woman": "column 4",
    "a <faceid:1:1 woman": "column 3",
    "a <faceid:1:-1> woman": "column 13",
    "a <faceid:1:nan> woman": "column 13",
    "a <faceid:1:1e9> woman": "column 13",
}


@pytest.mark.parametrize("text", BAD_TEXTS)
def test_a_malformed_tag_is_refused_before_anything_runs(comfyui: ComfyUIServer, text: str):
    assert f"prompt[text], {BAD_TEXTS[text]}:" in refused(comfyui, small("prompt_a_tune", text=text), "FaceIDPrompt")


def test_an_empty_text_is_refused_before_anything_runs(comfyui: ComfyUIServer):
    assert "prompt[text]: is empty" in refused(comfyui, small("prompt_a_tune", text=" "), "FaceIDPrompt")


def test_nine_images_are_refused_before_anything_runs(comfyui: ComfyUIServer):
    assert "num_images" in refused(comfyui, small("prompt_a_tune", num_images=9), "FaceIDPrompt")


def test_a_title_nobody_has_is_refused_before_anything_runs(comfyui: ComfyUIServer):
    prompt = small("prompt_a_tune")
    inputs(prompt, "FaceIDLoadTune")["tune"] = "Nobody"
    assert "There is no tune titled 'Nobody'" in refused(comfyui, prompt, "FaceIDLoadTune")


BAD_FIELDS = [
    ({"w": 100}, "prompt[w]: 100 is not a multiple of 8. Use 96 or 104."),
    ({"h": 1}, "prompt[h]"),
]


@pytest.mark.parametrize(("fields", "message"), BAD_FIELDS)
def test_a_size_that_cannot_be_drawn_is_refused_by_its_field(comfyui: ComfyUIServer, fields: dict, message: str):
    assert message in failed(comfyui, small("prompt_a_tune", **fields), "FaceIDPrompt", "PromptError")


@pytest.mark.parametrize("ref", ["999", "Nobody"])
def test_a_tag_of_nobody_is_pointed_at(comfyui: ComfyUIServer, ref: str):
    prompt = small("prompt_a_tune", text=f"<faceid:Ben:1> man and <faceid:{ref}:1> woman")
    message = refused(comfyui, prompt, "FaceIDPrompt")
    assert "prompt[text]" in message
    assert "There is no tune" in message
    tag_line, caret_line = message.splitlines()[1:3]
    assert tag_line[caret_line.index("^") :].startswith(f"<faceid:{ref}:1>")


def test_a_tune_whose_face_the_adapter_does_not_understand_is_pointed_at(comfyui: ComfyUIServer):
    prompt = small("prompt_a_tune", text="portrait of <faceid:Anna:1> woman")
    inputs(prompt, "FaceIDApplyPrompt")["preview"] = False
    assert "understands buffalo_l only" in refused(comfyui, prompt, "FaceIDApplyPrompt")
    # Linked, nobody knows what it says until it runs.
    prompt["words"] = {"class_type": "PrimitiveString", "inputs": {"value": inputs(prompt, "FaceIDPrompt")["text"]}}
    inputs(prompt, "FaceIDPrompt")["text"] = ["words", 0]
    inputs(prompt, "FaceIDPrompt").pop("tune", None)
    message = failed(comfyui, prompt, "FaceIDApplyPrompt", "PromptError")
    assert "prompt[text], column 13: 'Anna' has no face that" in message
    assert "Install buffalo_l" in message


def test_a_scheduler_that_only_the_remote_api_has_says_so(comfyui: ComfyUIServer):
    message = failed(comfyui, small("prompt_a_tune", scheduler="tcd"), "FaceIDApplyPrompt", "PromptError")
    assert "prompt[scheduler]: 'tcd' is unavailable locally" in message


def test_as_many_masks_as_people_are_asked_for(comfyui: ComfyUIServer):
    three = "<faceid:Anna:1> woman, <faceid:Ben:1> man, <faceid:Anna:1> woman"
    message = failed(comfyui, small("two_people", text=three), "FaceIDApplyPrompt", "PromptError")
    assert "prompt[text], column 1: 3 people but 2 masks" in message


@pytest.mark.parametrize("title", ["", " ", "A" * 10_000, "line\nbreak"])
def test_a_title_that_cannot_be_kept_is_refused_by_its_field(comfyui: ComfyUIServer, title: str):
    prompt = small("create_a_tune")
    inputs(prompt, "FaceIDCreateTune")["title"] = title
    assert "tune[title]" in failed(comfyui, prompt, "FaceIDCreateTune", "TuneError")


def refused(comfyui: ComfyUIServer, prompt: Prompt, kind: str) -> str:
    """The message of a prompt that ComfyUI does not start, because of one node."""
    with pytest.raises(PromptError) as error:
        comfyui.queue(prompt)
    assert list(error.value.details["node_errors"]) == [node_id(prompt, kind)]
    return str(error.value)


def failed(comfyui: ComfyUIServer, prompt: Prompt, kind: str, exception: str) -> str:
    """The message of a prompt that ends in one of our errors, raised by one node."""
    with pytest.raises(PromptError) as error:
        comfyui.queue(prompt)
    assert error.value.details["node_id"] == node_id(prompt, kind)
    assert error.value.details["exception_type"].rpartition(".")[2] == exception
    return str(error.value)
