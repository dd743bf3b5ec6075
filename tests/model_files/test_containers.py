"""What a model file is by its first bytes, the same for every reader of models."""

from __future__ import annotations

import pytest
import torch
from faceid_tunes.faceid_core.model_files.containers import Container, DamagedFileError, container, load_pickle
from faceid_tunes.faceid_core.model_files.kinds import Kind
from faceid_tunes.faceid_core.model_files.model_file import open_model_file
from faceid_tunes.faceid_core.retouch.errors import READER
from safetensors.torch import save_file


@pytest.fixture
def like_a_pickle(tmp_path):
    """A safetensors file whose header length begins with the byte a pickle begins with."""
    path = tmp_path / "model.pth"  # under that name torch.load would not look twice
    for filling in range(0, 256, 8):  # the header is padded to 8 bytes
        save_file({"weight": torch.ones(2, 2)}, path, metadata={"note": "x" * filling})
        if path.read_bytes()[0] == 0x80:
            return path
    raise AssertionError("no header of such a length")


def test_each_container_is_recognised(tmp_path, like_a_pickle):
    zipped, legacy = tmp_path / "zip.pth", tmp_path / "legacy.pth"
    torch.save({"weight": torch.ones(1)}, zipped)
    torch.save({"weight": torch.ones(1)}, legacy, _use_new_zipfile_serialization=False)
    found = [container(path.read_bytes()[:9]) for path in (like_a_pickle, zipped, legacy)]
    assert found == [Container.SAFETENSORS, Container.ZIP, Container.PICKLE]
    assert container(b"<!doctype html>") is None and container(b"") is None


def test_a_retouch_model_that_begins_like_a_pickle_is_read_as_what_it_is(like_a_pickle):
    opened = open_model_file(like_a_pickle, READER)
    assert opened.kind is Kind.UNKNOWN and list(opened.tensors) == ["weight"]


def test_a_cut_file_is_damaged_in_either_container_of_pytorch(tmp_path):
    for zipped in (True, False):
        path = tmp_path / "cut.pth"
        torch.save({"weight": torch.ones(1000)}, path, _use_new_zipfile_serialization=zipped)
        path.write_bytes(path.read_bytes()[:600])
        with pytest.raises(DamagedFileError):
            load_pickle(path, mapped=zipped)
