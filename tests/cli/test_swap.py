"""``faceid swap``: whose face becomes whom, what is said, and what is in the file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from faceid_tunes.cli import main
from PIL import Image
from support import photos
from support.retouch_models import write_swapper


@pytest.fixture
def swap(tmp_path, monkeypatch, capsys):
    """Runs the command on a half transparent portrait, with Tom kept; returns status, lines and errors."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FACEID_MODELS", str(tmp_path / "models"))
    blue = {"gain": (0.6, 0.6, -0.6), "offset": (0.0, 0.0, 0.8)}
    write_swapper(tmp_path / "models" / "insightface" / "inswapper_128.onnx", **blue, emap=np.eye(512))
    people = photos.single_faces()
    Image.fromarray(people["Tom_Hanks"]).save("tom.png")
    Image.fromarray(people["astronaut"][::-1, ::-1][::-1, ::-1]).save("her.png")
    alpha = np.tile(np.arange(512, dtype=np.uint8), (512, 1))
    Image.fromarray(np.dstack([people["astronaut"], alpha])).save("picture.png")
    home = ("--home", str(tmp_path / "home"))
    assert main(["tunes", *home, "create", "tom.png", "--title", "Tom"]) == 0
    capsys.readouterr()

    def run(*arguments: str) -> tuple[int, str, str]:
        status = main(["swap", "picture.png", *home, "--tune", "Tom", "--output", "out", "--preview", *arguments])
        said = capsys.readouterr()
        return status, said.out, said.err

    return run


@pytest.mark.slow
def test_the_face_of_the_photo_is_swapped_and_transparency_stays(swap):
    status, said, _ = swap("--onto", "her.png")
    assert status == 0 and "plain shape" in said
    result = Image.open(Path("out") / "picture_swapped.png")
    before, after = np.asarray(Image.open("picture.png")), np.asarray(result)
    np.testing.assert_array_equal(after[..., 3], before[..., 3])
    assert (after[..., :3] != before[..., :3]).any()
    np.testing.assert_array_equal(after[:, 400:], before[:, 400:])
    assert json.loads(result.text["faceid"])["swap"] == ["Tom"]


@pytest.mark.slow
def test_a_photo_of_somebody_else_changes_nothing_and_a_line_says_so(swap):
    status, said, _ = swap("--onto", "tom.png")
    assert status == 0
    assert "no face is that of the reference of person 1" in said and "nothing written" in said
    assert list(Path("out").iterdir()) == []


@pytest.mark.slow
def test_a_place_that_does_not_exist_is_refused(swap):
    status, _, error = swap("--onto", "middle")
    assert status == 1 and '"middle" is no face of a picture' in error
