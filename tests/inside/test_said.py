"""What nodes say and show is output of theirs, and what ComfyUI shows of an error."""

from __future__ import annotations

import logging
import sys

import numpy as np
import pytest
import torch
from comfy_api.latest import io
from faceid_tunes.faceid_core.errors import NoFaceError
from faceid_tunes.faceid_core.tunes.store import open_store
from faceid_tunes.nodes.faces import FaceIDExtractFace
from faceid_tunes.nodes.host import failures, folders, posted, storage
from faceid_tunes.nodes.prompt import FaceIDPrompt
from support import photos

HIDDEN = {io.Hidden.unique_id: "1", io.Hidden.extra_pnginfo: {}}


@pytest.fixture(autouse=True)
def _home(tmp_path, monkeypatch):
    folders.register_model_folders()
    monkeypatch.setattr(folders, "insightface_roots", lambda: [tmp_path])
    with open_store(tmp_path / "home") as store:
        monkeypatch.setattr(storage, "tune_store", lambda: store)
        monkeypatch.setattr(storage, "tune_titles", lambda: [])
        yield


def node(kind: type[io.ComfyNode], number: str = "1") -> type[io.ComfyNode]:
    return kind.PREPARE_CLASS_CLONE({"hidden_inputs": HIDDEN | {io.Hidden.unique_id: number}})


def extracted(photo: np.ndarray) -> io.NodeOutput:
    images = torch.from_numpy(photo).float()[None] / 255
    asked = {"face_pack": "auto", "pick": "largest", "index": 0, "on_missing": "error"}
    return node(FaceIDExtractFace).execute(images, **asked)


def test_the_face_that_was_taken_is_told_and_shown():
    output = extracted(photos.single_faces()["Tom_Hanks"])
    assert "1 face found in 1 photo, 1 used" in output.ui["faceid_lines"]
    assert len(output.ui["images"]) == 1 and output.ui["images"][0]["type"] == "temp"


def test_an_error_for_the_user_has_no_path_and_no_traceback_in_the_log(caplog):
    with pytest.raises(NoFaceError) as error:
        extracted(photos.no_faces()["chelsea"])
    assert type(error.value).__module__ == "FaceID Tunes" and type(error.value).__name__ == "NoFaceError"
    keeps = failures.WithoutOurTracebacks().filter
    traceback = logging.LogRecord("root", logging.ERROR, "", 0, "Traceback (most recent call last):", None, None)
    for raised, is_kept in ((error.value, False), (ValueError(), True)):
        try:
            raise raised
        except type(raised):
            assert sys.exc_info()[1] is raised
            assert keeps(traceback) is is_kept


@pytest.mark.parametrize("side", ["local", "remote"])
def test_who_a_text_names_is_looked_for_where_it_is_drawn_here_only(side: str):
    graph = {
        "text": {"class_type": "FaceIDPrompt", "inputs": {"text": "a <faceid:Nobody at all:1> woman"}},
        "here": {"class_type": "FaceIDApplyPrompt", "inputs": {"prompt": ["text", 0]}},
        "drawn": {"class_type": "VAEDecode", "inputs": {"samples": ["here", 4]}},
        "there": {"class_type": "FaceIDRemotePrompt", "inputs": {"prompt": ["text", 0]}},
        "switch": {
            "class_type": "FaceIDSwitch",
            "inputs": {"backend": side, "local": ["drawn", 0], "remote": ["there", 0]},
        },
        "shown": {"class_type": "PreviewImage", "inputs": {"images": ["switch", 0]}},
    }
    posted._remember({"prompt": graph})
    try:
        if side == "remote":
            graph["here"]["class_type"] = "Gone"
        answer = node(FaceIDPrompt, "text").validate_inputs(graph["text"]["inputs"]["text"])
        assert posted.is_drawn("there") is (side == "remote")
    finally:
        posted._remember({})
    assert answer is True if side == "remote" else "Nobody at all" in answer and "^" in answer


def test_without_a_posted_graph_nobody_is_looked_for():
    assert node(FaceIDPrompt).validate_inputs("a <faceid:Nobody at all:1> woman") is True
