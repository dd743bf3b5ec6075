"""The shipped workflows, posted to a real ComfyUI: random models, a real photo, a small picture and two steps.

The random checkpoint draws no person, so these tests see that the identity reaches the picture, not that it is a
good likeness. Faces are read with the embedded face pack, which only the ``preview`` switch of FaceIDApply allows.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.data
from support.comfyui import FOLDER, ComfyUIServer, PromptError
from support.workflows import Prompt, api_form, graph_form, inputs, names, node_id

pytestmark = pytest.mark.comfyui

WIDTH, HEIGHT = 128, 64
EDITOR_ONLY = None  # in place of a name: a value the editor saves and the server never sees


@pytest.fixture(scope="module")
def photo(comfyui: ComfyUIServer) -> str:
    return comfyui.upload(skimage.data.astronaut(), "astronaut.png")


def small(name: str, photo: str) -> Prompt:
    """The shipped API workflow with a photo chosen, made quick enough for a CPU."""
    prompt = api_form(name)
    inputs(prompt, "LoadImage")["image"] = photo
    inputs(prompt, "EmptyLatentImage").update(width=WIDTH, height=HEIGHT)
    inputs(prompt, "KSampler")["steps"] = 2
    inputs(prompt, "FaceIDApply")["preview"] = True
    return prompt


def with_strengths(photo: str, strength: float, lora_strength: float) -> Prompt:
    prompt = small("photo_to_picture", photo)
    inputs(prompt, "FaceIDApply").update(strength=strength, lora_strength=lora_strength)
    return prompt


@pytest.fixture(scope="module")
def draw(comfyui: ComfyUIServer) -> Callable[[Prompt], np.ndarray]:
    """Post a prompt and fetch its picture, [height, width, 3] uint8. A prompt seen before is not drawn again."""

    @cache
    def drawn(text: str) -> np.ndarray:
        prompt = json.loads(text)
        return np.asarray(comfyui.image(comfyui.queue(prompt), node_id(prompt, "SaveImage")))

    return lambda prompt: drawn(json.dumps(prompt))


@pytest.mark.parametrize("name", names("photo_to_picture*"))
def test_a_workflow_draws_a_picture_of_the_size_asked_for(comfyui: ComfyUIServer, draw, photo: str, name: str):
    log_before = len(comfyui.log())
    picture = draw(small(name, photo))
    assert picture.shape == (HEIGHT, WIDTH, 3)
    # NaN is saved as black, so a picture of many different pixels is one of finite numbers.
    assert len(np.unique(picture)) > 100
    assert "Traceback" not in comfyui.log()[log_before:]


def test_strength_zero_draws_exactly_what_the_checkpoint_alone_draws(draw, photo: str):
    without_person = small("photo_to_picture", photo)
    inputs(without_person, "KSampler")["model"] = inputs(without_person, "FaceIDApply")["model"]
    np.testing.assert_array_equal(draw(with_strengths(photo, 0.0, 0.0)), draw(without_person))


def test_the_person_and_the_lora_each_change_the_picture(draw, photo: str):
    neither, lora, both = (
        draw(with_strengths(photo, *pair)).astype(int) for pair in ((0.0, 0.0), (0.0, 1.0), (1.0, 1.0))
    )
    assert np.abs(lora - neither).mean() > 0.1  # of 255
    assert np.abs(both - lora).mean() > 1


def test_posting_the_same_workflow_again_runs_no_node(comfyui: ComfyUIServer, photo: str):
    prompt = with_strengths(photo, 0.0, 1.0)  # what was drawn last: the server keeps only one prompt's results
    comfyui.queue(prompt)
    again = comfyui.queue(prompt)
    assert set(dict(again["status"]["messages"])["execution_cached"]["nodes"]) == set(prompt)


@pytest.mark.parametrize("name", names())
def test_graph_form_and_api_form_are_the_same_graph(comfyui: ComfyUIServer, name: str):
    api, graph = api_form(name), graph_form(name)
    assert {number: node["inputs"] for number, node in api.items()} == dict(graph_inputs(comfyui, graph))
    kinds = {str(node["id"]): node["type"] for node in graph["nodes"]}
    assert {number: node["class_type"] for number, node in api.items()} == {n: kinds[n] for n in api}


@pytest.mark.parametrize("name", names())
def test_every_model_file_of_a_workflow_says_where_it_comes_from(name: str):
    graph = graph_form(name)
    (note,) = (node for node in graph["nodes"] if node["type"] == "MarkdownNote")
    for node in graph["nodes"]:
        for value in node.get("widgets_values", []):
            if Path(str(value)).suffix in (".safetensors", ".bin"):
                (model,) = node["properties"]["models"]
                assert model["name"] == value
                assert model["url"].startswith("https://huggingface.co/")
                assert f"**{model['directory']}**" in note["widgets_values"][0]


def test_a_photo_without_a_face_is_refused_by_name(comfyui: ComfyUIServer):
    prompt = small("photo_to_picture", comfyui.upload(skimage.data.coffee(), "coffee.png"))
    error = refusal(comfyui, prompt, "NoFaceError")
    assert "image 1" in error
    assert "face" in error


def test_an_sdxl_adapter_on_an_sd15_checkpoint_is_refused_with_both_named(comfyui: ComfyUIServer, photo: str):
    prompt = small("photo_to_picture", photo)
    inputs(prompt, "FaceIDLoadAdapter")["adapter_name"] = "ip-adapter-faceid_sdxl.bin"
    error = refused(comfyui, prompt, "FaceIDApply")
    assert "ip-adapter-faceid_sdxl.bin" in error
    assert "SDXL" in error
    assert "SD 1.5" in error


def test_plusv2_without_clip_vision_is_told_to_connect_one(comfyui: ComfyUIServer, photo: str):
    prompt = small("photo_to_picture_plusv2", photo)
    del inputs(prompt, "FaceIDApply")["clip_vision"]
    error = refusal(comfyui, prompt, "AdapterError")
    assert "clip_vision" in error
    assert "ViT-H" in error


def test_faces_of_another_face_pack_are_refused_unless_previewed(comfyui: ComfyUIServer, photo: str):
    prompt = small("photo_to_picture", photo)
    inputs(prompt, "FaceIDApply")["preview"] = False
    error = refused(comfyui, prompt, "FaceIDApply")
    assert "buffalo_l" in error
    assert "preview" in error


def test_an_adapter_that_is_not_there_is_refused_before_anything_runs(comfyui: ComfyUIServer, photo: str):
    prompt = small("photo_to_picture", photo)
    inputs(prompt, "FaceIDLoadAdapter")["adapter_name"] = "gone.bin"
    with pytest.raises(PromptError, match=r"adapter_name: there is no 'gone\.bin' in .*ipadapter"):
        comfyui.queue(prompt)


def test_comfyui_reports_how_long_our_import_took_and_no_failure(comfyui: ComfyUIServer):
    log = comfyui.log()
    assert re.search(rf"[\d.]+ seconds: \S*{FOLDER}\s", log), "no line for us under 'Import times for custom nodes'"
    assert "IMPORT FAILED" not in log
    assert "Cannot import" not in log


def refused(comfyui: ComfyUIServer, prompt: Prompt, kind: str) -> str:
    """The message of a prompt that ComfyUI does not start, because of one node."""
    with pytest.raises(PromptError) as error:
        comfyui.queue(prompt)
    assert list(error.value.details["node_errors"]) == [node_id(prompt, kind)]
    return str(error.value)


def refusal(comfyui: ComfyUIServer, prompt: Prompt, kind: str) -> str:
    """The message a user reads when the prompt fails with one of our errors, and not inside a tensor operation."""
    with pytest.raises(PromptError) as failed:
        comfyui.queue(prompt)
    assert failed.value.details["exception_type"].rpartition(".")[2] == kind
    return str(failed.value)


def graph_inputs(comfyui: ComfyUIServer, graph: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The API inputs of each node of an editor graph, its widget values named in the order ComfyUI gives."""
    origins = {link[0]: [str(link[1]), link[2]] for link in graph["links"]}
    for node in graph["nodes"]:
        if node["type"] == "MarkdownNote":
            continue
        found = {socket["name"]: origins[socket["link"]] for socket in node["inputs"] if socket["link"] is not None}
        values = zip(widgets(comfyui, node["type"]), node["widgets_values"], strict=True)
        # A widget that is linked keeps its value in the editor's form; the link counts.
        yield str(node["id"]), {name: value for name, value in values if name is not EDITOR_ONLY} | found


def widgets(comfyui: ComfyUIServer, kind: str) -> Iterator[str | None]:
    """Names of the values in ``widgets_values``; two kinds of input are followed by a value only the editor uses."""
    info = comfyui.object_info(kind)
    for section in ("required", "optional"):
        for name in info["input_order"].get(section, ()):
            kind, options = (*info["input"][section][name], {})[:2]
            if isinstance(kind, list) or kind in ("INT", "FLOAT", "STRING", "BOOLEAN", "COMBO"):
                yield name
                if options.get("control_after_generate") or options.get("image_upload"):
                    yield EDITOR_ONLY
