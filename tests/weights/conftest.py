"""Small real models to download, and folders of their own to put them in."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from faceid_tunes.faceid_core.faces.packs import embedded_pack
from faceid_tunes.faceid_core.weights.folders import ModelFolders, model_folders
from faceid_tunes.faceid_core.weights.manifest import Licence, PublishedFile
from faceid_tunes.faceid_core.weights.transfer import Patience
from support.faulty_server import FaultyServer

FREE = Licence("free", "Free for any use.", True, "https://example.org/free")


@pytest.fixture
def server() -> Iterator[FaultyServer]:
    faulty = FaultyServer()
    yield faulty
    faulty.close()


@pytest.fixture(scope="session")
def detector() -> bytes:
    """A real ONNX model of 0.2 MB."""
    return embedded_pack().detector.read_bytes()


@pytest.fixture(scope="session")
def recogniser() -> bytes:
    """A real ONNX model of 11 MB."""
    return embedded_pack().recogniser.read_bytes()


@pytest.fixture
def folders(tmp_path: Path) -> ModelFolders:
    return model_folders(tmp_path / "models")


@pytest.fixture
def hurried() -> Patience:
    """Patience for tests: gives up soon, and does not pause."""
    return Patience(attempts=3, pause=0)


@pytest.fixture
def model() -> Callable[..., PublishedFile]:
    """model(url, content, **changes): a manifest entry."""

    def make(url: str, content: bytes, **changes: object) -> PublishedFile:
        entry = PublishedFile(
            id="model",
            name="model.onnx",
            folder="ipadapter",
            url=url,
            revision="main",
            licence=FREE,
            needed_for=("tests",),
            size=len(content),
            sha256=hashlib.sha256(content).hexdigest(),
        )
        return dataclasses.replace(entry, **changes)

    return make


@pytest.fixture(autouse=True)
def home_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not the developer's licences, models, mirror or token."""
    for name, value in {"HOME": "home", "XDG_CONFIG_HOME": "home/config", "XDG_DATA_HOME": "home/data"}.items():
        monkeypatch.setenv(name, str(tmp_path / value))
    for name in ("FACEID_MODELS", "HF_ENDPOINT", "HF_HUB_OFFLINE", "HF_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
