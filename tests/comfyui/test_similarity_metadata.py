"""The likeness in saved PNGs, through a real ComfyUI's queue: in each one that is saved, whatever is cached."""

from __future__ import annotations

import json
from typing import Any

import pytest
import skimage.data
from PIL import Image
from support.comfyui import ComfyUIServer
from support.photos import around, no_faces, t1
from support.workflows import Prompt

pytestmark = pytest.mark.comfyui

HER = skimage.data.astronaut()[0:192, 128:320]
TITLE = "Measured"


@pytest.fixture(scope="module")
def photos(comfyui: ComfyUIServer) -> dict[str, str]:
    pictures = {
        "her": HER,
        "mirrored": HER[:, ::-1],
        "stranger": around(t1(), [480, 250, 600, 400], 0.5),
        "cat": no_faces()["chelsea"][:192, :192],
    }
    return {name: comfyui.upload(picture, f"measured_{name}.png") for name, picture in pictures.items()}


@pytest.fixture(scope="module", autouse=True)
def kept_person(comfyui: ComfyUIServer, photos: dict[str, str]) -> None:
    prompt = {
        "1": {"class_type": "LoadImage", "inputs": {"image": photos["her"]}},
        "2": {"class_type": "FaceIDCreateTune", "inputs": {"images": ["1", 0], "title": TITLE, "name": "woman"}},
        "3": {"class_type": "PreviewAny", "inputs": {"source": ["2", 1]}},
    }
    comfyui.queue(prompt)


def measuring(*pictures: str, prefix: str = "measured") -> Prompt:
    """Pictures 0, 1, ... loaded by "load0", ..., measured by "measure0", ..., saved from there by "save0", ..."""
    prompt: Prompt = {"tune": {"class_type": "FaceIDLoadTune", "inputs": {"tune": TITLE}}}
    for number, picture in enumerate(pictures):
        measure = {"images": [f"load{number}", 0], "tune": ["tune", 0]}
        save = {"images": [f"measure{number}", 2], "filename_prefix": f"{prefix}{number}"}
        prompt[f"load{number}"] = {"class_type": "LoadImage", "inputs": {"image": picture}}
        prompt[f"measure{number}"] = {"class_type": "FaceIDSimilarity", "inputs": measure}
        prompt[f"save{number}"] = {"class_type": "SaveImage", "inputs": save}
    return prompt


def texts(comfyui: ComfyUIServer, entry: dict[str, Any], node: str = "save0") -> dict[str, str]:
    file = entry["outputs"][node]["images"][0]
    with Image.open(comfyui.base / "output" / file["subfolder"] / file["filename"]) as png:
        return dict(png.text)


def measured(comfyui: ComfyUIServer, entry: dict[str, Any], node: str = "save0") -> list[dict[str, Any]]:
    return json.loads(texts(comfyui, entry, node)["faceid_similarity"])


def cached(entry: dict[str, Any]) -> set[str]:
    return set(dict(entry["status"]["messages"])["execution_cached"]["nodes"])


def test_a_png_says_who_was_measured_how_and_with_what(comfyui: ComfyUIServer, photos: dict[str, str]):
    (one,) = measured(comfyui, comfyui.queue(measuring(photos["mirrored"], prefix="who"), workflow={}))
    assert 0.8 < one["score"] == one["images"][0] < 1
    assert (one["tune"], one["node"], one["verdicts"]) == (TITLE, "measure0", ["same person"])
    assert (one["face_pack"], one["embedding_space"]) == ("yunet_sface", "sface")
    assert one["conditioned_too"] is True  # there is no other pack here
    assert "measured by yunet_sface, which pictures are drawn with here, too: the number may flatter" in comfyui.log()


def test_saved_again_under_another_name_the_png_says_it_again(comfyui: ComfyUIServer, photos: dict[str, str]):
    first = comfyui.queue(measuring(photos["her"], prefix="first"), workflow={})
    second = comfyui.queue(measuring(photos["her"], prefix="second"), workflow={})
    assert "load0" in cached(second)
    assert measured(comfyui, second) == measured(comfyui, first)


def test_a_save_node_behind_other_nodes_counts_too(comfyui: ComfyUIServer, photos: dict[str, str]):
    entries = []
    for name in ("one", "two"):
        prompt = measuring(photos["her"], prefix=name)
        prompt["turn"] = {"class_type": "ImageInvert", "inputs": {"image": ["measure0", 2]}}
        prompt["save0"]["inputs"]["images"] = ["turn", 0]
        entries.append(comfyui.queue(prompt, workflow={}))
    assert measured(comfyui, entries[1]) == measured(comfyui, entries[0])


def test_a_picture_mixed_in_behind_it_is_saved_with_the_score(comfyui: ComfyUIServer, photos: dict[str, str]):
    """What the save node needs besides changes: it saves again, so the score has to be there again."""
    for name in ("cat", "mirrored"):
        prompt = measuring(photos["her"], prefix="mixed")
        prompt["other"] = {"class_type": "LoadImage", "inputs": {"image": photos[name]}}
        both = {"image1": ["measure0", 2], "image2": ["other", 0], "blend_factor": 0.5, "blend_mode": "normal"}
        prompt["mix"] = {"class_type": "ImageBlend", "inputs": both}
        prompt["save0"]["inputs"]["images"] = ["mix", 0]
        entry = comfyui.queue(prompt, workflow={})
        assert measured(comfyui, entry)[0]["score"] > 0.9


def test_the_same_prompt_again_runs_nothing_and_saves_nothing(comfyui: ComfyUIServer, photos: dict[str, str]):
    prompt = measuring(photos["her"], prefix="same")
    comfyui.queue(prompt, workflow={})
    files = set((comfyui.base / "output").iterdir())
    assert {"measure0", "save0"} <= cached(comfyui.queue(prompt, workflow={}))
    assert set((comfyui.base / "output").iterdir()) == files


def test_a_change_elsewhere_measures_nothing_anew(comfyui: ComfyUIServer, photos: dict[str, str]):
    entries = []
    for name in ("elsewhere", "changed"):
        prompt = measuring(photos["her"], prefix="apart")
        prompt["apart"] = {"class_type": "LoadImage", "inputs": {"image": photos["cat"]}}
        prompt["apart saved"] = {
            "class_type": "SaveImage",
            "inputs": {"images": ["apart", 0], "filename_prefix": name},
        }
        entries.append(comfyui.queue(prompt, workflow={}))
    assert {"measure0", "save0"} <= cached(entries[1])
    assert "apart saved" not in cached(entries[1])


def test_of_several_measured_the_png_tells_its_own_by_the_node_it_came_from(
    comfyui: ComfyUIServer, photos: dict[str, str]
):
    entry = comfyui.queue(measuring(photos["her"], photos["stranger"], photos["cat"], prefix="several"), workflow={})
    assert max(len(measured(comfyui, entry, f"save{number}")) for number in range(3)) == 3, "none replaces another"
    likeness = {}
    for number in range(3):
        source = json.loads(texts(comfyui, entry, f"save{number}")["prompt"])[f"save{number}"]["inputs"]["images"][0]
        (own,) = [one for one in measured(comfyui, entry, f"save{number}") if one["node"] == source]
        likeness[number] = (own["score"], own["verdicts"][0])
    assert likeness[0][0] > 0.95 > 0.4 > likeness[1][0]
    assert [verdict for _, verdict in likeness.values()] == ["same person", "someone else", "no face"]


def test_pictures_of_a_batch_are_told_in_its_order(comfyui: ComfyUIServer, photos: dict[str, str]):
    prompt = measuring(photos["cat"], prefix="batch")
    prompt["her"] = {"class_type": "LoadImage", "inputs": {"image": photos["her"]}}
    prompt["both"] = {"class_type": "ImageBatch", "inputs": {"image1": ["load0", 0], "image2": ["her", 0]}}
    prompt["measure0"]["inputs"]["images"] = ["both", 0]
    (one,) = measured(comfyui, comfyui.queue(prompt, workflow={}))
    assert one["verdicts"] == ["no face", "same person"]
    assert one["images"][0] is None
    assert one["score"] == pytest.approx(one["images"][1] / 2, abs=1e-4)


def test_a_prompt_of_a_script_that_sends_nothing_to_keep_is_measured_all_the_same(
    comfyui: ComfyUIServer, photos: dict[str, str]
):
    entry = comfyui.queue(measuring(photos["her"], prefix="script"))
    assert "faceid_similarity" not in texts(comfyui, entry)
    assert "1.000 by yunet_sface" in comfyui.log()
