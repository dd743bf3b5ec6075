"""What is said of a model file that is there: right, another one, or none."""

from __future__ import annotations

import hashlib
import os
import threading

import pytest
from faceid_tunes.faceid_core.weights import check
from faceid_tunes.faceid_core.weights.check import State, look, verify


@pytest.fixture
def placed(model, detector, folders):
    """placed(content): an entry for the detector, with that content in its place."""

    def place(content: bytes, **changes):
        entry = model("https://example.org/model.onnx", detector, **changes)
        folders.target(entry).parent.mkdir(parents=True, exist_ok=True)
        folders.target(entry).write_bytes(content)
        return entry

    return place


def test_the_published_file_is_found(placed, folders, detector):
    check = verify(placed(detector), folders)
    assert (check.state, check.detail) == (State.FOUND, "") and check.sha256 == check.entry.sha256


def test_a_missing_file_is_missing(model, folders, detector):
    entry = model("https://example.org/model.onnx", detector)
    assert look(entry, folders).state is verify(entry, folders).state is State.MISSING


def test_a_single_wrong_byte_is_noticed_by_the_hash_alone(placed, folders, detector):
    entry = placed(detector[:-1] + b"\0" if detector[-1] else detector[:-1] + b"\1")
    assert look(entry, folders).state is State.FOUND, "a look does not read the file"
    check = verify(entry, folders)
    assert check.state is State.DIFFERS
    assert check.detail == f"it differs from the published file (sha256 {check.sha256}, published {entry.sha256})"


def test_a_truncated_file_is_noticed_by_its_size(placed, folders, detector):
    entry = placed(detector[:1000])
    check = look(entry, folders)
    assert check.state is State.DIFFERS
    assert f"it has 1,000 bytes, the published file has {len(detector):,}: cut short" in check.detail
    assert f"published {entry.sha256}" in verify(entry, folders).detail


def test_another_revision_differs_and_is_not_called_damaged(placed, folders, recogniser):
    check = look(placed(recogniser), folders)
    assert check.state is State.DIFFERS and "another revision" in check.detail


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "an empty file"),
        (b"<!DOCTYPE html><title>404</title>", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "a Git LFS pointer"),
    ],
)
def test_a_file_that_is_not_a_model_is_called_what_it_is(placed, folders, content, says):
    check = verify(placed(content), folders)
    assert check.state is State.DAMAGED and check.detail == f"it is {says} saved under the model's name"


def test_an_unknown_hash_is_reported(placed, folders, detector):
    check = verify(placed(detector, sha256=None), folders)
    assert check.state is State.FOUND and check.detail == "no published sha256 is known"
    assert check.sha256 == hashlib.sha256(detector).hexdigest()


def test_a_file_of_a_published_name_with_other_content_is_warned_of(tmp_path, monkeypatch, caplog, model):
    content = b"the published bytes"
    entry = model("https://host/a.bin", content, name="adapter.bin")
    monkeypatch.setattr(check, "manifest", lambda: (entry,))
    path = tmp_path / "adapter.bin"
    path.write_bytes(content)
    check.warn_if_changed(path)
    (tmp_path / "own.bin").write_bytes(b"whatever")
    check.warn_if_changed(tmp_path / "own.bin")
    assert not caplog.records
    path.write_bytes(content[::-1])
    check.warn_if_changed(path)
    assert "adapter.bin is not the file published under this name: its sha256 is another" in caplog.text
    path.write_bytes(content * 2)
    check.warn_if_changed(path)
    assert f"it has {2 * len(content)} bytes, the published file {len(content)}" in caplog.text


def _hashed() -> None:
    """Wait for the threads that hash."""
    for thread in threading.enumerate():
        if thread.name.startswith("faceid-hash-"):
            thread.join()


def test_a_large_file_is_hashed_in_a_thread_and_again_when_it_changes(tmp_path, monkeypatch, caplog, model):
    content = b"the published bytes"
    entry = model("https://host/a.bin", content, name="checkpoint.safetensors", also_named=("model.safetensors",))
    monkeypatch.setattr(check, "manifest", lambda: (entry,))
    monkeypatch.setattr(check, "_AT_ONCE", 0)
    path = tmp_path / "checkpoint.safetensors"
    path.write_bytes(content)
    before = path.stat()
    check.warn_if_changed(path)
    _hashed()
    assert not caplog.records
    other = tmp_path / "other"  # of the same size and time: only the inode tells
    other.write_bytes(content[::-1])
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.rename(path)
    for _time in range(2):
        check.warn_if_changed(path)
        _hashed()
    assert caplog.text.count("checkpoint.safetensors is not the file published under this name: its sha256") == 1


def test_another_common_name_says_nothing_about_a_file_of_another_size(tmp_path, monkeypatch, caplog, model):
    entry = model("https://host/a.bin", b"published", name="vit.safetensors", also_named=("model.safetensors",))
    monkeypatch.setattr(check, "manifest", lambda: (entry,))
    (tmp_path / "model.safetensors").write_bytes(b"any other model")
    check.warn_if_changed(tmp_path / "model.safetensors")
    assert not caplog.records
    (tmp_path / "model.safetensors").write_bytes(b"dehsilbup")
    check.warn_if_changed(tmp_path / "model.safetensors")
    assert "its sha256 is another" in caplog.text


def test_a_lora_that_the_embedded_engine_draws_with_is_compared(tmp_path, monkeypatch, caplog, model):
    torch = pytest.importorskip("torch")
    from faceid_tunes.faceid_core.engines.embedded.loras import Lora, _deltas
    from safetensors.torch import save_file

    halves = {"lora_unet_a.lora_down.weight": torch.ones(2, 8), "lora_unet_a.lora_up.weight": torch.ones(8, 2)}
    save_file(halves, tmp_path / "lcm.safetensors")
    monkeypatch.setattr(check, "manifest", lambda: (model("https://host/a", b"published", name="lcm.safetensors"),))
    _deltas(Lora(tmp_path / "lcm.safetensors", 1.0, 1.0), {"lora_unet_a": torch.nn.Linear(8, 8)})
    assert "lcm.safetensors is not the file published under this name" in caplog.text
