"""FACEID_PRIVATE: whoever may queue here gets neither the titles nor the photos of the kept people."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from comfy_api.latest import io
from faceid_tunes.faceid_core.faces.packs import embedded_pack
from faceid_tunes.faceid_core.tunes.create import create_tune
from faceid_tunes.faceid_core.tunes.store import TuneStore, open_store
from faceid_tunes.nodes.host import folders, storage
from faceid_tunes.nodes.similarity import FaceIDSimilarity
from faceid_tunes.nodes.tunes import FaceIDLoadTune
from support import photos

ASTRONAUT = photos.single_faces()["astronaut"]


@pytest.fixture
def store(tmp_path, monkeypatch):
    folders.register_model_folders()
    monkeypatch.setattr(folders, "insightface_roots", lambda: [tmp_path])
    monkeypatch.setenv("FACEID_TUNES_HOME", str(tmp_path))
    with open_store(tmp_path) as opened:
        monkeypatch.setattr(storage, "tune_store", lambda: opened)
        create_tune(opened, [photos.encoded(ASTRONAUT, "PNG")], "Anna", "woman", embedded_pack())
        yield opened


def plot(store: TuneStore) -> np.ndarray:
    node = FaceIDSimilarity.PREPARE_CLASS_CLONE({"hidden_inputs": {io.Hidden.unique_id: "7"}})
    pictures = torch.from_numpy(np.full((1, 64, 64, 3), 0.5, np.float32))
    return node.execute(pictures, store.get_by_title("Anna")).args[1].numpy()


def colours(picture: np.ndarray) -> int:
    return len(np.unique((picture * 255).astype(np.uint8).reshape(-1, 3), axis=0))


def test_the_plot_shows_kept_photos_only_where_they_are_not_private(store, monkeypatch):
    assert colours(plot(store)) > 5000
    monkeypatch.setenv("FACEID_PRIVATE", "1")
    assert colours(plot(store)) < 1000


def test_titles_are_listed_only_where_they_are_not_private_and_still_load(store, monkeypatch):
    def listed() -> str:
        return json.dumps(FaceIDLoadTune.GET_NODE_INFO_V1(), default=str)

    assert "Anna" in listed()
    monkeypatch.setenv("FACEID_PRIVATE", "1")
    assert "Anna" not in listed()
    assert FaceIDLoadTune.validate_inputs("Anna") is True


@pytest.mark.parametrize("value", ["", "0", "off", "No", " false "])
def test_off_is_off(monkeypatch, value):
    monkeypatch.setenv("FACEID_PRIVATE", value)
    assert not storage.is_private()
