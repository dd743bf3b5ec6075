"""What the nodes ask of ComfyUI: folders, progress, interrupts, CLIP vision, and errors in its words."""

from __future__ import annotations

from types import SimpleNamespace

import comfy.model_management
import folder_paths
import pytest
import torch
from faceid_tunes.faceid_core.errors import AdapterError
from faceid_tunes.nodes.host import folders, models, progress
from support.comfy_model import StandInViTH
from support.fidelity import random_clip, random_faces


@pytest.fixture
def adapter_folder(tmp_path, monkeypatch):
    """ComfyUI's table of model folders, as a user's extra_model_paths.yaml leaves it: a path, and no extensions."""
    own = tmp_path / "own" / "ipadapter"
    own.mkdir(parents=True)
    table = {**folder_paths.folder_names_and_paths, "ipadapter": ([str(own)], set())}
    table.pop("insightface", None)
    monkeypatch.setattr(folder_paths, "folder_names_and_paths", table)
    monkeypatch.setattr(folder_paths, "models_dir", str(tmp_path / "models"))
    folders.register_model_folders()
    return own


def test_the_users_own_adapter_folder_stays_first_and_stray_files_are_hidden(adapter_folder, tmp_path):
    for name in ("ip-adapter-faceid_sd15.bin", "notes.txt"):
        (adapter_folder / name).write_text("x")
    assert folder_paths.get_folder_paths("ipadapter") == [str(adapter_folder), str(tmp_path / "models" / "ipadapter")]
    assert folders.adapter_names() == ["ip-adapter-faceid_sd15.bin"]
    assert folders.insightface_roots() == [tmp_path / "models" / "insightface"]


def test_an_unknown_adapter_is_named_with_the_folders_looked_in(adapter_folder):
    with pytest.raises(AdapterError, match=f"adapter_name: there is no 'gone.bin' in {adapter_folder}"):
        folders.adapter_path("gone.bin")


def test_a_progress_callback_stops_the_work_when_the_user_interrupts():
    update = progress.bar(2)
    update(1, 2)
    comfy.model_management.interrupt_current_processing()
    with pytest.raises(comfy.model_management.InterruptProcessingException):
        update(2, 2)


def test_clip_vision_that_is_not_vit_h_is_refused_with_its_size():
    vit_g = SimpleNamespace(config={"hidden_size": 1664, "num_hidden_layers": 48})
    with pytest.raises(AdapterError, match=r"has width 1664 and 48 layers. Load CLIP-ViT-H-14"):
        models.clip_features(vit_g, random_faces())


def test_clip_features_are_float32_one_row_per_photo_and_one_for_the_blank_picture():
    features = models.clip_features(StandInViTH(random_clip(2)), random_faces(photos=2))
    assert features.crops.shape == (2, 257, 1280) and features.blank.shape == (1, 257, 1280)
    assert features.crops.dtype is features.blank.dtype is torch.float32
