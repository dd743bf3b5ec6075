"""The table of base models: which checkpoint here looks like which model of the remote gallery."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from faceid_tunes.faceid_core.astria.base_models import SHIPPED, base_models
from faceid_tunes.faceid_core.astria.settings import read_key_file
from faceid_tunes.faceid_core.engines.remote import REALISTIC_VISION
from faceid_tunes.faceid_core.errors import FaceIDError


def test_without_a_table_of_ones_own_the_shipped_one_counts(tmp_path: Path):
    models = base_models(tmp_path / "base_models.toml")
    assert models == base_models(SHIPPED)
    assert (models[0].id, models[0].title) == (REALISTIC_VISION, "Realistic Vision v5.1")


def test_the_first_of_its_checkpoints_that_is_here_is_the_model_in_whatever_folder_and_case(tmp_path: Path):
    table = tmp_path / "base_models.toml"
    table.write_text('[[base_models]]\nid = 1\ntitle = "One"\ncheckpoints = ["best.safetensors", "Good.safetensors"]\n')
    (model,) = base_models(table)
    assert model.installed(["other.safetensors", "sd15\\good.safetensors"]) == "sd15\\good.safetensors"
    assert model.installed(["good.safetensors", "sd15/Best.safetensors"]) == "sd15/Best.safetensors"
    assert model.installed(["other.safetensors"]) is None


BROKEN = {
    "[[base_models]\n": "cannot be read: .*line 1.*Correct it, or delete it",
    "[base_models]\nid = 1\n": r"\[\[base_models\]\], in double brackets",
    "base_models = 3\n": r"\[\[base_models\]\], in double brackets",
    '[[base_models]]\nid = "1"\ntitle = "One"\ncheckpoints = ["a.ckpt"]\n': "base model 1 needs an id",
    '[[base_models]]\nid = 1\ntitle = 1\ncheckpoints = ["a.ckpt"]\n': "base model 1 needs an id",
    '[[base_models]]\nid = 1\ntitle = "One"\ncheckpoints = []\n': "base model 1 needs an id",
    '[[base_models]]\nid = 1\ntitle = "One"\ncheckpoints = ["a.ckpt", 2]\n': "base model 1 needs an id",
    '[[base_models]]\nid = 1\ntitle = "One"\ncheckpoints = ["a.ckpt"]\n[[base_models]]\nid = 2\n': "base model 2 needs",
    '[[base_models]]\nid = true\ntitle = "One"\ncheckpoints = ["a.ckpt"]\n': r"a whole number, 1 to 2147483647\)",
    f'[[base_models]]\nid = {"9" * 30}\ntitle = "One"\ncheckpoints = ["a.ckpt"]\n': "base model 1 needs an id",
    "a" + ".a" * 100_000 + " = 1": "cannot be read: a line has more than 1000 dots",
    f'[[base_models]]\nid = {"9" * 5000}\ntitle = "One"\ncheckpoints = ["a.ckpt"]\n': "cannot be read: .*4300.* digits",
    '[[base_models]]\nid = 1\ntitle = "\\u001b[31m"\ncheckpoints = ["a.ckpt"]\n': "base model 1 needs an id",
    f"x = {'[' * 20_000}{']' * 20_000}\n": "cannot be read: .*recursion",
    f"x = {'{a = ' * 5_000}1{'}' * 5_000}\n": "cannot be read: .*recursion",
    f"# {'x' * 2**20}\n": "cannot be read: .*more than 1,048,576 bytes",
}


@pytest.mark.parametrize("text", BROKEN, ids=lambda text: text[:60])
def test_a_table_that_makes_no_sense_says_where(tmp_path: Path, text: str):
    table = tmp_path / "base_models.toml"
    table.write_text(text)
    with pytest.raises(FaceIDError, match=BROKEN[text]) as error:
        base_models(table)
    assert str(table) in str(error.value)


def test_a_table_that_is_not_text_says_so(tmp_path: Path):
    table = tmp_path / "base_models.toml"
    table.write_bytes(b"\xff\xfe")
    with pytest.raises(FaceIDError, match="cannot be read"):
        base_models(table)


def test_a_table_that_cannot_be_read_says_so(tmp_path: Path):
    with pytest.raises(FaceIDError, match=r"cannot be read: .*Correct it"):
        base_models(tmp_path)  # a folder


def test_a_table_may_be_empty_then_no_model_is_known(tmp_path: Path):
    (tmp_path / "base_models.toml").touch()
    assert base_models(tmp_path / "base_models.toml") == ()


def test_a_table_saved_by_windows_notepad_is_read(tmp_path: Path):
    table = tmp_path / "base_models.toml"
    table.write_bytes(b"\xef\xbb\xbf" + SHIPPED.read_bytes())
    assert base_models(table) == base_models(SHIPPED)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no FIFOs here")
def test_a_pipe_in_place_of_the_table_or_the_key_is_not_waited_for(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FaceIDError, match=r"cannot be read: .*a device or a pipe"):
        base_models(tmp_path / "pipe")
    with pytest.raises(FaceIDError, match=r"cannot be read: .*a device or a pipe"):
        read_key_file(tmp_path / "pipe")
