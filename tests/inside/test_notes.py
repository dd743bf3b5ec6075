"""What a node cannot vouch for, in the metadata of the pictures that ComfyUI saves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from comfy_api.latest import io
from faceid_tunes.faceid_core.errors import UnclearPersonError
from faceid_tunes.faceid_core.prompts import Prompt
from faceid_tunes.faceid_core.tunes.store import open_store
from faceid_tunes.nodes.extension import FaceIDExtension
from faceid_tunes.nodes.faces import FaceIDExtractFace
from faceid_tunes.nodes.host import folders, progress, storage
from faceid_tunes.nodes.host.folders import NONE
from faceid_tunes.nodes.retouch import FaceIDRetouch
from faceid_tunes.nodes.tunes import FaceIDCreateTune, FaceIDLoadTune
from support import photos


@pytest.fixture(autouse=True)
def _home(tmp_path, monkeypatch) -> Any:
    folders.register_model_folders()
    monkeypatch.setattr(folders, "insightface_roots", lambda: [tmp_path])
    with open_store(tmp_path / "home") as store:
        monkeypatch.setattr(storage, "tune_store", lambda: store)
        yield


def prepared(node: type, saved: dict[str, Any]) -> Any:
    """The node's class as the executor prepares it; ``saved`` is what Save Image writes."""
    return node.PREPARE_CLASS_CLONE({"hidden_inputs": {io.Hidden.unique_id: "7", io.Hidden.extra_pnginfo: saved}})


def batch(*pixels: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.stack(pixels)).float() / 255.0


def her_and_a_stranger() -> torch.Tensor:
    group = photos.single_faces()
    her = group["astronaut"]
    him = np.zeros_like(her)
    him[: group["Tom_Hanks"].shape[0], : group["Tom_Hanks"].shape[1]] = group["Tom_Hanks"]
    return batch(her, him, her[:, ::-1], np.zeros_like(her))


def test_every_node_that_uses_a_person_can_write_into_the_picture():
    import asyncio

    writing = {
        node.define_schema().node_id
        for node in asyncio.run(FaceIDExtension().get_node_list())
        if any(hidden.name == "extra_pnginfo" for hidden in node.define_schema().hidden)
    }
    assert writing >= {
        "FaceIDExtractFace",
        "FaceIDCreateTune",
        "FaceIDLoadTune",
        "FaceIDApply",
        "FaceIDApplyPrompt",
        "FaceIDRetouch",
        "FaceIDSwapFace",
        "FaceIDCorrectFace",
        "FaceIDRemotePrompt",
        "FaceIDSimilarity",
    }


def test_a_stranger_among_the_photos_is_written_into_the_picture():
    saved: dict[str, Any] = {}
    node = prepared(FaceIDExtractFace, saved)
    node.execute(her_and_a_stranger(), face_pack="auto", pick="largest", index=0, on_missing="skip")
    (entry,) = saved["faceid_notes"]
    assert entry["node"] == "7"
    assert entry["notes"][0] == "skipped, no face: image 4"
    assert any(note.startswith("left out: image 2, seems to be someone else") for note in entry["notes"])


def test_a_dark_photo_is_written_into_the_picture():
    saved: dict[str, Any] = {}
    dark = (photos.single_faces()["astronaut"] * 0.06).astype(np.uint8)
    node = prepared(FaceIDExtractFace, saved)
    node.execute(batch(dark), face_pack="auto", pick="largest", index=0, on_missing="error")
    assert "cannot vouch for who it is" in saved["faceid_notes"][0]["notes"][0]


@pytest.mark.parametrize("loads", [False, True], ids=["created", "loaded"])
def test_a_tunes_left_out_photos_are_written_into_the_picture(loads, tmp_path):
    import asyncio

    saved: dict[str, Any] = {}
    made = prepared(FaceIDCreateTune, {} if loads else saved)
    asyncio.run(made.execute(her_and_a_stranger(), "Eileen", "woman"))
    if loads:
        prepared(FaceIDLoadTune, saved).execute("Eileen")
    (entry,) = saved["faceid_notes"]
    assert entry["notes"][0] == "Eileen: no face in image 4"
    assert entry["notes"][1].startswith("Eileen: image 2: left out, seems to be someone else")


def test_a_turned_face_that_tells_too_little_is_written_into_the_picture():
    saved: dict[str, Any] = {}
    on_its_side = photos.turned(photos.single_faces()["camera"], 120)
    her = np.zeros_like(on_its_side)
    her[:512, :512] = photos.single_faces()["astronaut"]
    node = prepared(FaceIDExtractFace, saved)
    faces, *_ = node.execute(
        batch(her, on_its_side), face_pack="auto", pick="largest", index=0, on_missing="skip"
    ).result
    assert [face.photo for face in faces.faces] == [0]
    assert saved["faceid_notes"][0]["notes"] == ["skipped, no face: image 2"]


@pytest.mark.parametrize("node", [FaceIDExtractFace, FaceIDCreateTune])
def test_the_node_shows_who_may_be_meant_where_it_is_not_clear(node, tmp_path, monkeypatch):
    import asyncio
    import inspect

    shown: list[np.ndarray] = []
    monkeypatch.setattr(progress, "preview", shown.append)
    monkeypatch.setattr(folders, "temp_folder", lambda: tmp_path)
    inputs = (
        {"title": "Eileen", "name": "woman"}
        if node is FaceIDCreateTune
        else {"face_pack": "auto", "pick": "largest", "index": 0, "on_missing": "error"}
    )
    with pytest.raises(UnclearPersonError, match=r"person A: image 1; person B: image 2.*candidates\.png"):
        result = prepared(node, {}).execute(her_and_a_stranger()[:2], **inputs)
        if inspect.isawaitable(result):
            asyncio.run(result)
    (picture,) = shown
    np.testing.assert_array_equal(photos.read_photo(tmp_path / "candidates.png"), picture)


def test_what_was_not_retouched_is_written_into_the_picture():
    saved: dict[str, Any] = {}
    prompt = Prompt("a woman", face_swap=True)
    prepared(FaceIDRetouch, saved).execute(torch.zeros(1, 64, 64, 3), prompt, NONE, NONE, preview=False)
    (entry,) = saved["faceid_notes"]
    assert len(entry["notes"]) == 1 and entry["notes"][0].startswith("face_swap: ")


def test_a_person_beyond_doubt_writes_nothing():
    saved: dict[str, Any] = {}
    her = photos.single_faces()["astronaut"]
    node = prepared(FaceIDExtractFace, saved)
    node.execute(batch(her, her[:, ::-1]), face_pack="auto", pick="largest", index=0, on_missing="error")
    assert saved == {}
    prepared(FaceIDExtractFace, None).execute(
        her_and_a_stranger(), face_pack="auto", pick="largest", index=0, on_missing="skip"
    )
