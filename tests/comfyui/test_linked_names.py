"""Names that come over links, through a real ComfyUI's queue: a name that does not exist is a sentence."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import skimage.data
from support.comfyui import ComfyUIServer, PromptError
from support.workflows import Prompt

pytestmark = pytest.mark.comfyui

# Node, the combo that is linked, and what a user reads who links the name of a checkpoint to it.
LINKED = [
    ("FaceIDLoadAdapter", "adapter_name", "adapter_name: there is no 'realisticVision"),
    ("FaceIDLoadAdapter", "variant", "variant: 'realisticVision.*Link one of auto, plus"),
    ("FaceIDLoadTune", "tune", "There is no tune.*realisticVision"),
    ("FaceIDExtractFace", "face_pack", 'face_pack: "realisticVision.*" is not installed'),
    ("FaceIDExtractFace", "pick", "pick: 'realisticVision.*Link one of largest"),
    ("FaceIDExtractFace", "on_missing", "on_missing: 'realisticVision.*Link one of error"),
    ("FaceIDCreateTune", "name", "name: 'realisticVision.*Link one of person"),
    ("FaceIDCreateTune", "backend", "backend: 'realisticVision.*Link one of local, remote"),
    ("FaceIDBaseModel", "base_model", "base_model: 'realisticVision.* is not in the table"),
    ("FaceIDPrompt", "scheduler", "scheduler: 'realisticVision.*Link one of auto"),
    ("FaceIDPrompt", "style", "style: 'realisticVision.*Link one of none"),
    ("FaceIDRegions", "layout", "layout: 'realisticVision.*Link one of columns, rows, faces"),
    ("FaceIDRegions", "people", "people: 'realisticVision.* is not a whole number"),
    ("FaceIDSwitch", "backend", "backend: 'realisticVision.*Link one of local, remote"),
    ("FaceIDCorrectFace", "restore_model", "restore_model: there is no 'realisticVision"),
]


@pytest.fixture(scope="module")
def source(comfyui: ComfyUIServer) -> Iterator[Prompt]:
    """A node that gives a text to any input, as extensions' primitive nodes do, and a photo."""
    table = comfyui.base / "user" / "__faceid_tunes" / "base_models.toml"
    before = table.read_bytes()
    table.unlink()
    photo = comfyui.upload(skimage.data.astronaut(), "linked.png")
    yield {
        "any": {"class_type": "FaceIDBaseModel", "inputs": {"base_model": "Realistic Vision v5.1"}},
        "photo": {"class_type": "LoadImage", "inputs": {"image": photo}},
    }
    table.write_bytes(before)


@pytest.mark.parametrize(("node", "combo", "message"), LINKED)
def test_a_linked_name_that_does_not_exist_is_a_sentence(comfyui, source, node: str, combo: str, message: str):
    inputs = {}
    schema = comfyui.object_info(node)["input"]
    for name, (kind, *more) in (schema["required"] | schema.get("optional", {})).items():
        if kind == "IMAGE":
            inputs[name] = ["photo", 0]
        elif more and "default" in more[0]:
            inputs[name] = more[0]["default"]
        elif kind == "COMBO":
            inputs[name] = next(iter(more[0]["options"]), "")
    inputs |= {"title": "Linked"} if node == "FaceIDCreateTune" else {}
    inputs[combo] = ["any", 1]
    prompt = {**source, "node": {"class_type": node, "inputs": inputs}}
    prompt["shown"] = {"class_type": "PreviewAny", "inputs": {"source": ["node", 0]}}
    with pytest.raises(PromptError, match=message) as error:
        comfyui.queue(prompt)
    assert error.value.details["exception_type"].startswith("FaceID Tunes.")


def test_a_text_from_a_primitive_string_is_told_what_kind_is_wanted(comfyui):
    prompt: Prompt = {
        "text": {"class_type": "PrimitiveString", "inputs": {"value": "ip-adapter-faceid_sd15.bin"}},
        "adapter": {"class_type": "FaceIDLoadAdapter", "inputs": {"adapter_name": ["text", 0], "variant": "auto"}},
        "shown": {"class_type": "PreviewAny", "inputs": {"source": ["adapter", 0]}},
    }
    with pytest.raises(PromptError, match="Return type mismatch between linked nodes"):
        comfyui.queue(prompt)
