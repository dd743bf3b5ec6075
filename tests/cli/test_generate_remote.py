"""``faceid generate --engine astria``: all the way to an API on this machine and back, the key from the environment."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from faceid_tunes.cli import main
from faceid_tunes.faceid_core.astria.settings import KEY_FILE
from faceid_tunes.faceid_core.engines.remote import REALISTIC_VISION
from faceid_tunes.faceid_core.example_photo import EXAMPLE_PHOTO as PHOTO
from PIL import Image
from support import photos
from support.fake_astria import FakeAstria
from support.fake_faults import Fault

TEXT = "<faceid:Eileen:1> woman trekking in the alps"

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def api(monkeypatch) -> Iterator[FakeAstria]:
    with FakeAstria() as running:
        running.polls_until_done = 1
        monkeypatch.setenv("ASTRIA_API_KEY", running.key)
        monkeypatch.setenv("ASTRIA_BASE_URL", running.url)
        monkeypatch.delenv("ASTRIA_WORKSPACE_ID", raising=False)
        yield running


@pytest.fixture
def faceid(tmp_path, monkeypatch, capsys) -> Run:
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        status = main(["generate", "--home", "home", "--output", "out", "--engine", "astria", *arguments])
        said = capsys.readouterr()
        return status, said.out, said.err

    return run


def posts(api: FakeAstria, path: str) -> list:
    return [seen for seen in api.seen if seen.method == "POST" and seen.path.endswith(path)]


@pytest.mark.slow
def test_pictures_come_back_with_what_they_cost_and_the_key_is_nowhere(api, faceid, tmp_path):
    status, out, err = faceid(str(PHOTO), "--text", TEXT, "--num-images", "2", "--seed", "7", "--name", "woman")
    assert status == 0, err
    lines = out.splitlines()
    assert f"drawing with the remote API at {api.url}" in lines
    assert {"note: remote prompt 30000901", "note: cost $0.020", "note: $12.48 left"} <= set(lines)
    (sent,) = posts(api, "/prompts")
    assert sent.path == f"/tunes/{REALISTIC_VISION}/prompts"
    (person,) = api.tunes
    assert sent.params["prompt"]["text"] == TEXT.replace("Eileen", str(person))

    with Image.open("out/faceid_00001.png") as picture:
        about = json.loads(picture.text["faceid"])
        parameters = picture.text["parameters"]
    assert about["prompt"]["text"] == TEXT and about["prompt"]["seed"] == 7
    assert about["seed"] is None and "Seed" not in parameters, "which picture of a batch a seed draws, nobody knows"
    assert sorted(path.name for path in Path("out").iterdir()) == [
        "faceid_00001.png",
        "faceid_00001_likeness.png",
        "faceid_00001_sheet.png",
        "faceid_00002.png",
    ]
    assert_key_is_nowhere(api, tmp_path, out + err)


@pytest.mark.slow
def test_all_that_is_asked_for_goes_out_with_advice_on_it(api, faceid):
    switches = ("face-swap", "face-correct", "super-resolution", "hires-fix", "inpaint-faces", "film-grain")
    texts = ("--title", "Eileen", "--text", "woman in the alps", "--negative-prompt", "fog")
    numbers = ("--seed", "0", "--steps", "30", "--cfg-scale", "2.5", "--color-grading", "Film Velvia")
    status, out, err = faceid(str(PHOTO), *texts, *numbers, *(f"--{switch}" for switch in switches))
    assert status == 0, err
    assert "advice: FaceID keeps a face best at cfg_scale" in out
    tune, prompt = posts(api, "/tunes")[0].params["tune"], posts(api, "/prompts")[0].params["prompt"]
    assert tune["title"].startswith("Eileen (") and tune["name"] == "person"
    assert prompt["text"] == f"<faceid:{next(iter(api.tunes))}:1> woman in the alps"
    asked = {"seed": "0", "steps": "30", "cfg_scale": "2.5", "color_grading": "Film Velvia", "negative_prompt": "fog"}
    asked |= {switch.replace("-", "_"): "true" for switch in switches}
    assert asked.items() <= prompt.items()


@pytest.mark.slow
def test_the_photos_are_for_the_first_person_of_the_text_that_nobody_is_kept_for(api, faceid, tmp_path):
    faceid(str(PHOTO), "--text", TEXT)
    Image.fromarray(photos.single_faces()["Tom_Hanks"]).save(tmp_path / "tom.png")
    text = "<faceid:Eileen:1> woman, <faceid:Tom:1> man"
    status, out, err = faceid("tom.png", "--text", text, "--name", "man")
    assert status == 0 and "Tom is <faceid:2:1>" in out, err
    assert [seen.params["tune"]["name"] for seen in posts(api, "/tunes")] == ["person", "man"]


@pytest.mark.slow
def test_ctrl_c_while_waiting_costs_nothing_twice(api, faceid, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr("faceid_tunes.faceid_core.engines.remote.engine.wait_for_images", interrupted)
        status, _, err = faceid(str(PHOTO), "--text", TEXT)
    assert status == 130 and "Traceback" not in err and not list(Path("out").iterdir())
    assert len(list(Path("home/remote").iterdir())) == 1

    status, _, err = faceid("--text", TEXT)
    assert status == 0 and Path("out/faceid_00001.png").exists(), err
    assert len(posts(api, "/prompts")) == 1 and not list(Path("home/remote").iterdir())


@pytest.mark.slow
def test_a_base_model_the_api_does_not_have_is_explained(api, faceid):
    status, _, err = faceid(str(PHOTO), "--text", TEXT, "--base-tune", "12")
    assert status == 1 and "base_tune_id is 12" in err and "690204" in err
    assert posts(api, "/prompts")[0].path == "/tunes/12/prompts"


def test_without_a_key_the_variable_is_named_before_anything_is_sent(api, faceid, monkeypatch):
    monkeypatch.delenv("ASTRIA_API_KEY")
    status, _, err = faceid(str(PHOTO), "--text", TEXT)
    assert status == 1 and "ASTRIA_API_KEY" in err and not api.seen


def test_a_refusal_that_echoes_the_key_is_told_without_it(api, faceid, tmp_path):
    echo = json.dumps({"error": f"{api.key} is not known"}).encode()
    api.will(Fault(status=401, body=echo), "POST", "/tunes")
    status, out, err = faceid(str(PHOTO), "--text", TEXT)
    assert status == 1 and "is not known" in err
    assert_key_is_nowhere(api, tmp_path, out + err)


def assert_key_is_nowhere(api: FakeAstria, folder: Path, said: str) -> None:
    assert api.key not in said
    written = [path for path in folder.rglob("*") if path.is_file()]
    assert any(path.name == "tunes.sqlite3" for path in written)
    assert [path for path in written if api.key.encode() in path.read_bytes()] == []


@pytest.mark.slow
@pytest.mark.parametrize("key_in", ["the environment", "the file beside the tunes"])
def test_a_person_is_deleted_on_the_remote_side_too_and_first(api, faceid, capsys, monkeypatch, key_in):
    assert faceid(str(PHOTO), "--text", TEXT)[0] == 0
    (there,) = api.tunes
    if key_in != "the environment":
        monkeypatch.delenv("ASTRIA_API_KEY")
        Path("home", KEY_FILE).write_text(api.key)
        Path("home", KEY_FILE).chmod(0o600)
    api.will(Fault(status=500), "DELETE", "/tunes", times=9)
    assert main(["tunes", "--home", "home", "delete", "Eileen", "--remote"]) == 1
    assert capsys.readouterr().err.startswith("faceid: ") and there in api.tunes
    assert main(["tunes", "--home", "home", "show", "Eileen"]) == 0, "what is not deleted there is kept here"
    api._ordered.clear()
    capsys.readouterr()
    assert main(["tunes", "--home", "home", "delete", "Eileen", "--remote"]) == 0
    out = capsys.readouterr().out
    assert f"tune {there} is deleted at {api.url}" in out and "is still there" not in out
    assert not api.tunes
    assert main(["tunes", "--home", "home", "show", "Eileen"]) == 1


@pytest.mark.slow
def test_a_remote_tune_that_is_gone_or_elsewhere_is_told_of(api, faceid, capsys, monkeypatch):
    faceid(str(PHOTO), "--text", TEXT)
    (there,) = api.tunes
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("ASTRIA_BASE_URL", "http://127.0.0.1:1")
        assert main(["tunes", "--home", "home", "delete", "Eileen", "--remote"]) == 1
        assert "Nothing was deleted" in capsys.readouterr().err and api.tunes
    api.tunes.clear()
    assert main(["tunes", "--home", "home", "delete", "Eileen", "--remote"]) == 0
    assert f"tune {there} was not at {api.url} any more" in capsys.readouterr().out
