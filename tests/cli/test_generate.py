"""``faceid generate``: from photos and a text to files, with an engine that hands out photos in place of pictures."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from faceid_tunes.cli import generate, main
from faceid_tunes.faceid_core.engines.engine import Drawn, Picture
from faceid_tunes.faceid_core.errors import FaceIDError
from faceid_tunes.faceid_core.example_photo import EXAMPLE_PHOTO as PHOTO
from faceid_tunes.faceid_core.prompts import resolve_seeds
from PIL import Image
from support import photos
from support.face_packs import install_pack


@dataclass
class Album:
    """An engine that draws nothing: it deals out pictures, one per seed."""

    pictures: list[np.ndarray]
    name: str = "an album"

    def draw(self, prompt, store, on_progress=None, cancel=None) -> Drawn:
        self.prompt = prompt
        on_progress("drawing", prompt.num_images, prompt.num_images)
        return Drawn(tuple(map(Picture, self.pictures, resolve_seeds(prompt))), ("taken from an album",))


@pytest.fixture
def album(monkeypatch) -> Album:
    group = photos.single_faces()
    engine = Album([group["astronaut"][:, ::-1], group["Tom_Hanks"], photos.no_faces()["brick"]])
    monkeypatch.setattr(generate, "chosen_engine", lambda options: engine)
    return engine


@pytest.fixture
def faceid(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FACEID_MODELS", str(tmp_path / "models"))

    def run(*arguments: str) -> tuple[int, str, str]:
        status = main(["generate", "--home", str(tmp_path / "home"), "--output", "out", *arguments])
        said = capsys.readouterr()
        return status, said.out, said.err

    return run


TEXT = "<faceid:Eileen:1> woman trekking in the alps"


def said_in(file: str) -> dict:
    with Image.open(Path("out") / file) as picture:
        return json.loads(picture.text["faceid"])


@pytest.mark.slow
def test_pictures_are_written_with_their_likeness_and_how_they_were_made(album, faceid):
    status, out, _ = faceid(str(PHOTO), "--text", TEXT, "--num-images", "3", "--seed", "7", "--name", "woman")
    assert status == 0
    assert [path.name for path in sorted(Path("out").iterdir())] == [
        "faceid_00001.png",
        "faceid_00001_likeness.png",
        "faceid_00001_sheet.png",
        "faceid_00002.png",
        "faceid_00003.png",
    ]
    lines = out.splitlines()
    assert lines[0] == "Eileen is <faceid:1:1>" and "note: taken from an album" in lines
    mirrored, stranger, brick, *sheets = lines[-5:]
    assert re.fullmatch(r"out/faceid_00001.png  Eileen 0.[789]\d, same person", mirrored)
    assert re.fullmatch(r"out/faceid_00002.png  Eileen -?0.[0-3]\d, (someone else|unsure)", stranger)
    assert brick == "out/faceid_00003.png  Eileen: no face"
    assert sheets == ["out/faceid_00001_sheet.png", "out/faceid_00001_likeness.png"]
    about = said_in("faceid_00002.png")
    with Image.open("out/faceid_00002.png") as picture:
        parameters = picture.text["parameters"]
    assert about["prompt"] == {"text": TEXT, "num_images": 3, "seed": 7, "ar": "1:1"} and about["seed"] == 8
    assert about["engine"] == "an album" and about["likeness"]["Eileen"]["cosine"] < 0.4
    assert about["likeness"]["Eileen"]["verdict"] in ("someone else", "unsure")
    assert about["measured_with"]["conditioned_too"] is False, "an engine elsewhere has buffalo_l, or would refuse"
    assert said_in("faceid_00003.png")["likeness"] == {"Eileen": {"cosine": None, "verdict": "no face"}}
    assert parameters.startswith(TEXT) and "Seed: 8" in parameters and "Size: 112x112" in parameters


@pytest.mark.slow
def test_pictures_are_measured_with_another_recogniser_than_the_one_that_conditioned_them(album, faceid, tmp_path):
    install_pack(tmp_path / "models", "buffalo_l", "det_10g", "w600k_r50")
    _, out, _ = faceid(str(PHOTO), "--text", TEXT)
    assert "likeness by yunet_sface (sface)" in out.splitlines()
    assert said_in("faceid_00001.png")["measured_with"] == {
        "face_pack": "yunet_sface",
        "embedding_space": "sface",
        "conditioned_too": False,
    }


@pytest.mark.slow
def test_a_preview_is_measured_with_another_pack_where_there_is_one(album, faceid, tmp_path):
    install_pack(tmp_path / "models", "mine", "det_500m", "glintr100")
    _, out, _ = faceid(str(PHOTO), "--text", TEXT, "--preview")
    assert "likeness by mine (mine/glintr100)" in out.splitlines()
    assert said_in("faceid_00001.png")["measured_with"]["face_pack"] == "mine"


@pytest.mark.slow
def test_where_there_is_one_recogniser_only_its_likeness_is_called_flattering(album, faceid):
    _, out, _ = faceid(str(PHOTO), "--text", TEXT, "--preview")
    flattering = (
        "likeness by yunet_sface (sface), which also conditioned the pictures, so the likeness is overestimated"
    )
    assert flattering in out.splitlines()
    assert said_in("faceid_00001.png")["measured_with"]["conditioned_too"] is True


@pytest.mark.slow
def test_a_damaged_face_pack_costs_no_picture(album, faceid, tmp_path):
    folder = tmp_path / "models" / "insightface" / "models" / "antelopev2"
    folder.mkdir(parents=True)
    for name in ("scrfd_10g_bnkps.onnx", "glintr100.onnx"):
        (folder / name).write_bytes(b"cut short")
    status, out, _ = faceid(str(PHOTO), "--text", TEXT, "--preview")
    assert status == 0 and "0.9" in said_line(out, "faceid_00001.png")
    note = said_line(out, "note: The face pack file")
    assert "download it again. The likeness is measured with yunet_sface instead." in note


@pytest.mark.slow
def test_a_lost_photo_costs_no_picture(album, faceid, tmp_path):
    faceid(str(PHOTO), "--text", TEXT)
    install_pack(tmp_path / "models", "mine", "det_500m", "glintr100")
    sha256 = hashlib.sha256(PHOTO.read_bytes()).hexdigest()
    (lost,) = [
        path for path in (tmp_path / "home").rglob("*") if path.is_file() and sha256 in str(path).replace("/", "")
    ]
    lost.unlink()
    status, out, _ = faceid("--text", TEXT, "--preview")
    assert status == 0 and Path("out/faceid_00002.png").exists() and Path("out/faceid_00002_sheet.png").exists()
    assert said_line(out, "note: no likeness to 'Eileen'") and said_line(out, "note: photo 1 of 'Eileen' is not shown")
    assert said_in("faceid_00002.png")["likeness"] == {}


def said_line(out: str, part: str) -> str:
    (line,) = [line for line in out.splitlines() if part in line and "_sheet" not in line]
    return line


@pytest.mark.slow
def test_one_photo_and_one_picture_need_no_matrix_two_photos_have_one(album, faceid, tmp_path):
    faceid(str(PHOTO), "--text", TEXT)
    assert not list(Path("out").glob("*_likeness.png"))
    Image.fromarray(photos.single_faces()["astronaut"]).save(tmp_path / "other.png")
    faceid(str(PHOTO), "other.png", "--text", "<faceid:Two:1> woman")
    with Image.open("out/faceid_00002_likeness.png") as plot:
        assert plot.height > 2 * 152 and plot.width >= 800


@pytest.mark.slow
def test_two_people_have_a_line_each_on_every_picture(album, faceid, tmp_path):
    faceid(str(PHOTO), "--text", TEXT)
    Image.fromarray(photos.single_faces()["Tom_Hanks"]).save(tmp_path / "tom.png")
    _, out, _ = faceid("tom.png", "--text", "<faceid:Eileen:1> and <faceid:Tom:1>", "--num-images", "2")
    first, second = said_line(out, "faceid_00002.png"), said_line(out, "faceid_00003.png")
    assert re.search(r"  Eileen 0.\d\d, same person  Tom -?0.\d\d, ", first)
    assert re.search(r"  Eileen -?0.\d\d, .*  Tom 1.00, same person$", second)


@pytest.mark.slow
def test_the_size_to_draw_an_enlarged_picture_again_is_that_before_it_was_enlarged(album, faceid):
    album.pictures = [np.zeros((2048, 2048, 3), np.uint8)]
    for switches, size in (["--super-resolution"], "512x512"), ([], "2048x2048"):
        faceid(str(PHOTO), "--text", TEXT, *switches)
        with Image.open(max(path for path in Path("out").iterdir() if "_sheet" not in path.name)) as picture:
            assert picture.size == (2048, 2048) and f"Size: {size}" in picture.text["parameters"]


@pytest.mark.slow
def test_a_second_run_reuses_the_tune_and_overwrites_nothing(album, faceid):
    faceid(str(PHOTO), "--text", TEXT)
    first = Path("out/faceid_00001.png").read_bytes()
    status, out, _ = faceid("--text", TEXT)
    assert status == 0 and "<faceid:2" not in out
    assert Path("out/faceid_00002.png").exists() and Path("out/faceid_00001.png").read_bytes() == first


@pytest.mark.slow
def test_a_text_without_a_tag_gets_the_persons(album, faceid):
    faceid(str(PHOTO), "--text", "woman trekking in the alps", "--title", "Eileen")
    assert album.prompt.text == "<faceid:1:1> woman trekking in the alps"


@pytest.mark.slow
def test_another_persons_photos_under_a_kept_title_are_refused(album, faceid, tmp_path):
    faceid(str(PHOTO), "--text", TEXT)
    Image.fromarray(photos.single_faces()["Tom_Hanks"]).save(tmp_path / "tom.png")
    status, _, err = faceid("tom.png", "--text", TEXT)
    assert status == 1 and "already is a tune 'Eileen', made from other photos" in err and "--title" in err


@pytest.mark.slow
def test_photos_with_a_text_that_names_tunes_by_number_need_a_title(album, faceid):
    status, _, err = faceid(str(PHOTO), "--text", "<faceid:12:1> woman")
    assert status == 1 and "--title" in err


@pytest.mark.slow
def test_every_parameter_of_the_prompt_reaches_the_engine(album, faceid):
    faceid(str(PHOTO), "--text", TEXT, "--steps", "5", "--cfg-scale", "2.5", "--scheduler", "euler", "--w", "768",
           "--aspect-ratio", "3:2", "--negative-prompt", "blurry", "--face-swap", "--style", "Cinematic")  # fmt: skip
    asked = album.prompt
    assert (asked.steps, asked.cfg_scale, asked.scheduler, asked.w) == (5, 2.5, "euler", 768)
    assert (asked.aspect_ratio, asked.negative_prompt, asked.style) == ("3:2", "blurry", "Cinematic")
    assert asked.face_swap and not asked.film_grain


@pytest.mark.slow
def test_a_prompt_that_cannot_be_drawn_is_pointed_at_before_the_engine_is_asked(album, faceid):
    status, _, err = faceid(str(PHOTO), "--text", TEXT, "--steps", "51")
    assert status == 1 and "prompt[steps]" in err
    assert not hasattr(album, "prompt")


def test_outputs_that_cannot_be_written_are_told_before_anything_is_drawn(album, faceid):
    Path("out").touch()
    status, _, err = faceid(str(PHOTO), "--text", TEXT)
    assert status == 1 and "pictures cannot be written there" in err and not hasattr(album, "prompt")


@pytest.mark.slow
def test_ctrl_c_while_drawing_ends_with_130_and_no_file(album, faceid, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(album, "draw", interrupted, raising=False)
    status, _, err = faceid(str(PHOTO), "--text", TEXT)
    assert status == 130 and not list(Path("out").iterdir()) and "Traceback" not in err


@pytest.mark.slow
@pytest.mark.parametrize("error", [ValueError, FaceIDError])
def test_ctrl_c_that_a_library_turns_into_an_error_of_its_own_is_ctrl_c(album, faceid, monkeypatch, error):
    def interrupted(*_):
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            raise error("could not determine the shape of object type 'torch.storage.UntypedStorage'") from None

    monkeypatch.setattr(album, "draw", interrupted, raising=False)
    status, _, err = faceid(str(PHOTO), "--text", TEXT)
    assert status == 130 and not list(Path("out").iterdir()) and "shape" not in err


@pytest.mark.slow
def test_an_error_after_a_ctrl_c_of_another_command_is_an_error(album, faceid, monkeypatch):
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    status, _, err = faceid(str(PHOTO), "--text", TEXT, "--steps", "51")
    assert status == 1 and "prompt[steps]" in err


@pytest.mark.slow
def test_ctrl_c_while_saving_keeps_whole_pictures_only(album, faceid, monkeypatch):
    plain = os.link

    def interrupted_at_the_second(source, target):
        if Path(target).name == "faceid_00002.png":
            raise KeyboardInterrupt
        plain(source, target)

    monkeypatch.setattr("faceid_tunes.faceid_core.disk.os.link", interrupted_at_the_second)
    status, _, _ = faceid(str(PHOTO), "--text", TEXT, "--num-images", "2")
    assert status == 130 and [path.name for path in Path("out").iterdir()] == ["faceid_00001.png"]


def test_no_photo_no_text_no_model_each_say_what_to_do(faceid, monkeypatch, tmp_path):
    monkeypatch.setenv("FACEID_MODELS", str(tmp_path / "models"))
    status, _, err = faceid("missing.jpg", "--text", TEXT, "--engine", "embedded")
    assert status == 1 and "missing.jpg: cannot be read" in err
    status, _, err = faceid(str(PHOTO), "--text", TEXT, "--engine", "embedded")
    assert status == 1 and "faceid weights fetch --for generate" in err and "--checkpoint" in err


@pytest.mark.slow
def test_a_picture_says_which_photos_of_the_person_were_left_out_and_what_was_told(album, faceid, tmp_path):
    """As its command line does: a picture goes further than a terminal."""
    group = photos.single_faces()
    for name in ("astronaut", "Tom_Hanks"):
        Image.fromarray(group[name]).save(f"{name}.png")
    Image.fromarray(group["astronaut"][:, ::-1]).save("mirrored.png")
    Image.fromarray(photos.no_faces()["chelsea"]).save("cat.png")
    given = ("astronaut.png", "Tom_Hanks.png", "mirrored.png", "cat.png")
    status, out, err = faceid(*given, "--text", TEXT)
    assert status == 0, err
    assert "photo 2: left out, seems to be someone else" in out and "no face was found in photo 4" in out
    for file in ("faceid_00001.png", "faceid_00001_sheet.png"):
        about = said_in(file)
        assert about["notes"] == ["taken from an album"]
        faceless, stranger = about["photos"]["Eileen"]
        assert faceless == "no face in image 4" and stranger.startswith("image 2: left out, seems to be someone else")


@pytest.mark.slow
def test_a_picture_of_which_nothing_needs_to_be_told_says_nothing(album, faceid, monkeypatch):
    monkeypatch.setattr(Album, "draw", lambda self, *_: Drawn((Picture(self.pictures[0], 7),)))
    faceid(str(PHOTO), "--text", TEXT)
    assert not {"notes", "photos"} & set(said_in("faceid_00001.png"))
