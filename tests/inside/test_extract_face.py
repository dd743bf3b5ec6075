"""FaceIDExtractFace as ComfyUI runs it: tensors in, tensors and what it says out."""

from __future__ import annotations

import pytest
import torch
from faceid_tunes.faceid_core.errors import FaceIDError, NoFaceError
from faceid_tunes.nodes.faces import FaceIDExtractFace
from faceid_tunes.nodes.host import folders
from support import photos


@pytest.fixture
def node(tmp_path, monkeypatch):
    """The node's class as the executor prepares it, with an empty models/insightface."""
    monkeypatch.setattr(folders, "insightface_roots", lambda: [tmp_path])
    return FaceIDExtractFace.PREPARE_CLASS_CLONE(None)


@pytest.fixture
def astronaut():
    return torch.from_numpy(photos.single_faces()["astronaut"])[None].float() / 255.0


def run(node, images, on_missing="error"):
    return node.execute(images, face_pack="auto", pick="largest", index=0, on_missing=on_missing)


def test_one_photo_gives_a_face_a_crop_and_a_preview(node, astronaut):
    output = run(node, astronaut)
    faces, crops, preview = output.result
    assert (len(faces.faces), faces.space) == (1, "sface")
    assert crops.shape == (1, 224, 224, 3)
    assert preview.shape == (1, 768, 768, 3)
    for image in (crops, preview):
        assert image.dtype == torch.float32
        assert 0.0 <= image.min() and image.max() <= 1.0
    assert "yunet_sface (sface) on CPU" in output.ui["faceid_lines"]


def test_the_detectors_size_and_threshold_reach_the_detector(node, astronaut):
    given = {"face_pack": "auto", "pick": "largest", "index": 0, "on_missing": "error"}
    faces = node.execute(astronaut, **given, detector_size=320, detector_threshold=0.7).result[0]
    usual = run(node, astronaut).result[0]
    assert 0.9 < float(faces.faces[0].unit_embedding @ usual.faces[0].unit_embedding) < 0.9999
    with pytest.raises(NoFaceError):
        node.execute(astronaut, **given, detector_threshold=0.95)
    with pytest.raises(FaceIDError, match="detector_size: 650 is not a multiple of 32"):
        node.execute(astronaut, **given, detector_size=650)


def test_a_skipped_photo_has_a_preview_but_no_crop(node, astronaut):
    output = run(node, torch.cat([astronaut, torch.zeros_like(astronaut)]), on_missing="skip")
    faces, crops, preview = output.result
    assert (len(crops), len(preview), faces.skipped) == (1, 2, (1,))
    assert "image 2" in output.ui["faceid_warnings"][0]


def test_a_photo_without_a_face_stops_the_graph_and_is_named(node, astronaut):
    with pytest.raises(NoFaceError, match="image 2"):
        run(node, torch.cat([astronaut, torch.zeros_like(astronaut)]))


def test_the_menu_offers_auto_then_the_packs_that_are_there(node):
    packs = next(entry for entry in FaceIDExtractFace.define_schema().inputs if entry.id == "face_pack")
    assert packs.options == ["auto", "yunet_sface"]


def test_a_saved_workflow_that_names_a_missing_pack_is_told_how_to_get_it(node):
    assert FaceIDExtractFace.validate_inputs("auto") is True
    assert "buffalo_l.zip" in FaceIDExtractFace.validate_inputs("buffalo_l")
