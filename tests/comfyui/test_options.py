"""ComfyUI started with options that people use, and a graph whose nodes lie in a subgraph of the editor."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import requests
import skimage.data
from support.comfyui import ComfyUIServer, Installation
from support.running_comfyui import CHECKPOINT, FACEID, link_models, running
from support.workflows import Prompt, api_form, inputs, node_id

pytestmark = pytest.mark.comfyui

# --lowvram and --novram do not go with --cpu: tests/inside/test_weights.py has what they do.
OPTIONS = ("--multi-user", "--fp8_e4m3fn-unet", "--disable-smart-memory")


@pytest.fixture
def server(installation: Installation, tmp_path: Path) -> Iterator[ComfyUIServer]:
    link_models(tmp_path, CHECKPOINT, FACEID)
    with running(ComfyUIServer(installation, tmp_path, options=OPTIONS)) as started:
        yield started


def in_a_subgraph(prompt: Prompt) -> Prompt:
    """The same graph with the ids that the editor gives to nodes of a subgraph, here in a subgraph of another."""

    def inner(value):
        return [f"57:8:{value[0]}", value[1]] if isinstance(value, list) else value

    return {
        f"57:8:{number}": {**node, "inputs": {name: inner(value) for name, value in node["inputs"].items()}}
        for number, node in prompt.items()
    }


def test_a_person_is_drawn_and_without_strength_the_checkpoint_is(server: ComfyUIServer):
    def drawn(alone: bool = False, **strengths: float) -> np.ndarray:
        prompt = api_form("photo_to_picture")
        inputs(prompt, "LoadImage")["image"] = server.upload(skimage.data.astronaut(), "astronaut.png")
        inputs(prompt, "EmptyLatentImage").update(width=128, height=64)
        inputs(prompt, "KSampler")["steps"] = 1
        inputs(prompt, "FaceIDApply").update(preview=True, **strengths)
        if alone:
            inputs(prompt, "KSampler")["model"] = inputs(prompt, "FaceIDApply")["model"]
        prompt = in_a_subgraph(prompt)
        return np.asarray(server.image(server.queue(prompt), node_id(prompt, "SaveImage"))).astype(int)

    nobody, bare, person = drawn(strength=0.0, lora_strength=0.0), drawn(alone=True), drawn()
    np.testing.assert_array_equal(nobody, bare)
    assert np.abs(person - bare).mean() > 1  # of 255
    assert requests.get(f"{server.url}/faceid/tunes").status_code == 200
    assert "Traceback" not in server.log()
