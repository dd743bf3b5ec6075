"""What cannot work is refused when it is posted, before a model is read, in sentences for the posted graph."""

from __future__ import annotations

import pytest
from support import photos
from support.comfyui import ComfyUIServer, PromptError
from support.workflows import api_form, inputs, node_id

pytestmark = pytest.mark.comfyui


@pytest.fixture(scope="module", autouse=True)
def anna(comfyui: ComfyUIServer) -> None:
    photo = comfyui.upload(photos.single_faces()["Tom_Hanks"], "refused.png")
    comfyui.queue(
        {
            "1": {"class_type": "LoadImage", "inputs": {"image": photo}},
            "2": {
                "class_type": "FaceIDCreateTune",
                "inputs": {"images": ["1", 0], "title": "Annabella", "name": "man"},
            },
            "3": {"class_type": "PreviewAny", "inputs": {"source": ["2", 2]}},
        }
    )


def refused(comfyui: ComfyUIServer, prompt: dict) -> str:
    """What is said to a prompt that nothing of runs."""
    with pytest.raises(PromptError) as failed:
        comfyui.queue(prompt)
    assert failed.value.details["node_errors"]
    return str(failed.value)


def drawing(text: str, **drawn: object) -> dict:
    prompt = api_form("prompt_a_tune")
    inputs(prompt, "FaceIDLoadTune")["tune"] = "Annabella"
    inputs(prompt, "FaceIDPrompt")["text"] = text
    inputs(prompt, "FaceIDApplyPrompt").update({"preview": True} | drawn)
    return prompt


def test_a_tag_that_names_nobody_is_pointed_at_with_who_may_be_meant(comfyui: ComfyUIServer):
    said = refused(comfyui, drawing("a <faceid:Anabella:1> man"))
    assert "there is no tune 'Anabella'" in said and "Did you mean 'Annabella'?" in said and "^" in said


def test_a_lora_that_is_not_there_is_pointed_at(comfyui: ComfyUIServer):
    said = refused(comfyui, drawing("a <faceid:Annabella:1> man <lora:nowhere:1>"))
    assert "there is no LoRA 'nowhere'" in said and "^" in said


def test_people_read_with_another_pack_than_the_adapters_are_refused_by_title(comfyui: ComfyUIServer):
    prompt = drawing("a <faceid:Annabella:1> man", preview=False)
    prompt[node_id(prompt, "FaceIDApplyPrompt")]["_meta"] = {"title": "My drawing"}
    said = refused(comfyui, prompt)
    assert "the adapter understands buffalo_l only" in said and "'My drawing'" in said
    assert "FaceID Extract Face" not in said  # there is none


def test_an_adapter_of_another_base_than_the_checkpoint_is_refused(comfyui: ComfyUIServer):
    prompt = drawing("a <faceid:Annabella:1> man")
    inputs(prompt, "FaceIDLoadAdapter")["adapter_name"] = "ip-adapter-faceid_sdxl.bin"
    assert "an adapter for SDXL" in refused(comfyui, prompt)


def test_without_a_key_the_remote_side_is_refused_and_the_local_side_is_not(comfyui: ComfyUIServer):
    prompt = api_form("switch")
    inputs(prompt, "FaceIDSwitch")["backend"] = "remote"
    with pytest.raises(PromptError, match="ASTRIA_API_KEY"):
        comfyui.queue(prompt)
    inputs(prompt, "FaceIDSwitch")["backend"] = "local"
    with pytest.raises(PromptError) as other:
        comfyui.queue(prompt)
    assert "ASTRIA_API_KEY" not in str(other.value)
