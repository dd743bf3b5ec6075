"""The workflows ``remote`` and ``switch``, posted to a real ComfyUI that talks to an API on this machine.

ComfyUI starts with a broken table of base models, and gets its key from a file: both as a user may have it.
"""

from __future__ import annotations

import io
import json
import re
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import skimage.data
from PIL import Image
from support.comfyui import ComfyUIServer, PromptError
from support.fake_astria import BASE, FakeAstria
from support.fake_faults import Fault
from support.running_comfyui import CHECKPOINT
from support.workflows import Prompt, api_form, inputs, node_id

pytestmark = pytest.mark.comfyui

NO_ADAPTER = "not_an_adapter.bin"
TABLE = f"""
[[base_models]]
id = {BASE}
title = "Realistic Vision v5.1"
checkpoints = ["{Path(CHECKPOINT).name}"]

[[base_models]]
id = 666678
title = "Not here"
checkpoints = ["not_here.safetensors"]
"""


@pytest.fixture(scope="module")
def api(api_of_comfyui: FakeAstria) -> FakeAstria:
    return api_of_comfyui


@pytest.fixture(scope="module", autouse=True)
def given(comfyui: ComfyUIServer) -> None:
    """A photo of Anna, and a file that is no adapter."""
    (comfyui.base / "models" / "ipadapter" / NO_ADAPTER).write_bytes(b"noise")
    comfyui.upload(skimage.data.astronaut(), "anna.png")


@pytest.fixture(autouse=True)
def key_file(comfyui: ComfyUIServer, api: FakeAstria) -> Path:
    """Holding the right key; the API has seen nothing yet and is done at the first question."""
    file = user_folder(comfyui) / "astria_key"
    file.write_text(api.key)
    file.chmod(0o600)
    api.seen.clear()
    api.prompts.clear()
    api.polls_until_done, api.balance_mc = 1, 1_250_000
    return file


@pytest.fixture
def table(comfyui: ComfyUIServer) -> Path:
    """The user's own table of base models."""
    file = user_folder(comfyui) / "base_models.toml"
    file.write_text(TABLE)
    return file


def user_folder(comfyui: ComfyUIServer) -> Path:
    return comfyui.base / "user" / "__faceid_tunes"


def remote(title: str, **fields: object) -> Prompt:
    """The shipped API workflow; ``fields`` are inputs of its FaceIDPrompt."""
    prompt = api_form("remote")
    inputs(prompt, "LoadImage")["image"] = "anna.png"
    inputs(prompt, "FaceIDCreateTune")["title"] = title
    inputs(prompt, "FaceIDPrompt").update(fields)
    return prompt


def switch(backend: str, **fields: object) -> Prompt:
    """The shipped API workflow, made quick enough for a CPU."""
    prompt = api_form("switch")
    inputs(prompt, "LoadImage")["image"] = "anna.png"
    inputs(prompt, "FaceIDPrompt").update({"w": 64, "h": 64, "steps": 1} | fields)
    inputs(prompt, "FaceIDApplyPrompt")["preview"] = True
    inputs(prompt, "FaceIDSwitch")["backend"] = backend
    return prompt


def posts(api: FakeAstria, path: str) -> list:
    return [seen for seen in api.seen if seen.method == "POST" and re.fullmatch(path, seen.path)]


def evaluated(comfyui: ComfyUIServer, prompt: Prompt) -> set[str]:
    """The kinds of nodes that ran when ``prompt``, the last one, did: what ComfyUI need not run for it again."""
    again = comfyui.queue(prompt)
    return {prompt[number]["class_type"] for number in dict(again["status"]["messages"])["execution_cached"]["nodes"]}


# -- remote -----------------------------------------------------------------------------------------------------------


def test_a_remote_prompt_gives_images_and_the_apis_answer_in_the_users_own_words(comfyui, api):
    text = "portrait of <faceid:Remote Anna:0.8> woman on a beach"
    prompt = remote("Remote Anna", text=text, num_images=2, seed=7)
    earlier = len(comfyui.log())
    entry = comfyui.queue(prompt)

    (upload,), (sent,) = posts(api, "/tunes"), posts(api, f"/tunes/{BASE}/prompts")
    assert upload.params["tune"]["name"] == "woman" and len(upload.params["tune"]["images"]) == 1
    (person,) = (number for number, tune in api.tunes.items() if tune.title == upload.params["tune"]["title"])
    assert sent.params["prompt"]["text"] == text.replace("Remote Anna", str(person))
    assert sent.params["prompt"]["seed"] in (7, "7")

    assert len(entry["outputs"][node_id(prompt, "SaveImage")]["images"]) == 2
    assert comfyui.image(entry, node_id(prompt, "SaveImage")).size == (256, 256)
    answer = json.loads(entry["outputs"][node_id(prompt, "PreviewAny")]["text"][0])
    assert answer["text"] == text and answer["id"] in api.prompts and answer["trained_at"]

    said = comfyui.log()[earlier:]
    assert f"{person} on the remote side" in said
    assert f"remote prompt {answer['id']} · cost $0.020 · $12.48 left" in said
    assert "Traceback" not in said


def test_an_interrupted_prompt_stops_waiting_and_the_same_one_goes_on_unpaid(comfyui, api):
    prompt = remote("Interrupted", seed=8)
    number = post(comfyui, "/prompt", {"prompt": prompt})["prompt_id"]
    until(lambda: posts(api, f"/tunes/{BASE}/prompts"))
    post(comfyui, "/interrupt", {})
    ended = until(lambda: get(comfyui, f"/history/{number}").get(number))
    kinds = dict(ended["status"]["messages"])
    assert "execution_interrupted" in kinds and "execution_error" not in kinds
    # It did not wait for the pause before the first question, let alone for the picture.
    assert not [seen for seen in api.seen if seen.path.startswith("/prompts/")]

    entry = comfyui.queue(prompt)
    assert entry["outputs"][node_id(prompt, "SaveImage")]["images"]
    assert len(posts(api, f"/tunes/{BASE}/prompts")) == 1


def test_a_tune_made_with_the_remote_backend_is_uploaded_at_once(comfyui, api):
    whole = api_form("create_a_tune")
    prompt = {
        number: whole[number] for number in (node_id(whole, k) for k in ("LoadImage", "FaceIDCreateTune", "PreviewAny"))
    }
    inputs(prompt, "LoadImage")["image"] = "anna.png"
    inputs(prompt, "FaceIDCreateTune").update(title="At once", backend="local")
    comfyui.queue(prompt)
    assert not api.seen
    inputs(prompt, "FaceIDCreateTune")["backend"] = "remote"
    comfyui.queue(prompt)
    (upload,) = posts(api, "/tunes")
    assert upload.params["tune"]["title"].startswith("At once (")


# -- the switch -------------------------------------------------------------------------------------------------------


def test_drawn_here_no_request_leaves_the_machine(comfyui, api, table):
    prompt = switch("local")
    entry = comfyui.queue(prompt)
    assert comfyui.image(entry, node_id(prompt, "SaveImage")).size == (64, 64)
    kinds = evaluated(comfyui, prompt)
    assert {"FaceIDApplyPrompt", "VAEDecode", "FaceIDSwitch"} <= kinds
    assert "FaceIDRemotePrompt" not in kinds
    assert not api.seen


def test_drawn_remotely_no_model_is_loaded_not_even_one_that_could_be(comfyui, api, table):
    prompt = switch("remote", seed=9)
    inputs(prompt, "FaceIDBaseModel")["base_model"] = "Not here"
    inputs(prompt, "FaceIDLoadAdapter")["adapter_name"] = NO_ADAPTER
    entry = comfyui.queue(prompt)
    assert comfyui.image(entry, node_id(prompt, "SaveImage")).size == (256, 256)
    assert posts(api, "/tunes/666678/prompts")
    assert evaluated(comfyui, prompt) == {
        "LoadImage",
        "FaceIDCreateTune",
        "FaceIDPrompt",
        "FaceIDBaseModel",
        "FaceIDRemotePrompt",
        "FaceIDSwitch",
        "SaveImage",
    }
    inputs(prompt, "FaceIDSwitch")["backend"] = "local"  # and they are what they should be: of no use
    with pytest.raises(PromptError, match=r"not_here\.safetensors|not_an_adapter\.bin"):
        comfyui.queue(prompt)


def test_a_side_that_is_chosen_but_not_connected_is_named(comfyui, api):
    prompt = switch("remote")
    del inputs(prompt, "FaceIDSwitch")["remote"]
    assert "remote: nothing is connected" in refusal(comfyui, prompt, "FaceIDSwitch")


# -- base models ------------------------------------------------------------------------------------------------------


def test_a_broken_table_of_base_models_is_told_of_and_every_node_is_there(comfyui):
    assert re.search(r"base_models\.toml cannot be read: .*Correct it, or delete it", comfyui.log())
    for kind in ("FaceIDBaseModel", "FaceIDRemotePrompt", "FaceIDSwitch", "FaceIDApply"):
        assert comfyui.object_info(kind)["name"] == kind


def test_an_edited_table_of_base_models_counts_at_once(comfyui, table):
    (offered,) = comfyui.object_info("FaceIDBaseModel")["input"]["required"].values()
    assert offered[1]["options"] == ["Realistic Vision v5.1", "Not here"]


# -- bad input --------------------------------------------------------------------------------------------------------

REFUSALS = {
    "wrong key": (401, {"error": "Invalid API key"}, ["Invalid API key", "ASTRIA_API_KEY"]),
    "no credit": (402, {"error": "Not enough credits"}, ["Not enough credits"]),
    "fields": (422, {"cfg_scale": ["must be less than 5"]}, ["cfg_scale", "must be less than 5"]),
    "sentence": (422, {"error": "Prompt is <b>too</b> long"}, ["Prompt is <b>too</b> long"]),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_what_the_api_refuses_reaches_the_user_word_for_word(comfyui, api, case):
    status, body, words = REFUSALS[case]
    api.will(Fault(status=status, body=json.dumps(body).encode()), "POST", "/prompts")
    message = refusal(comfyui, remote("Refused", seed=10), "FaceIDRemotePrompt")
    assert all(word in message for word in words), message


def test_without_a_key_both_places_for_it_are_named(comfyui, api, key_file):
    key_file.unlink()
    with pytest.raises(PromptError) as refused:
        comfyui.queue(remote("Refused", seed=11))
    assert refused.value.details["node_errors"]  # before anything runs
    message = str(refused.value)
    assert "ASTRIA_API_KEY" in message and str(key_file) in message
    assert not api.seen


def test_an_unknown_base_model_is_explained(comfyui, api):
    prompt = remote("Refused", seed=12)
    inputs(prompt, "FaceIDRemotePrompt")["base_tune_id"] = 12
    assert re.search(r"base_tune_id is 12.*690204", refusal(comfyui, prompt, "FaceIDRemotePrompt"))


@pytest.mark.parametrize("place", ["the text", "a title"])
def test_a_graph_that_holds_a_key_is_refused_with_advice(comfyui, api, place):
    anothers = "sd_" + "some0body1elses2key3"
    prompt = remote("Keyed", text=f"{anothers} woman" if place == "the text" else "woman")
    if place == "a title":
        inputs(prompt, "FaceIDCreateTune")["title"] = anothers
    message = refusal(comfyui, prompt, "FaceIDRemotePrompt", "FaceIDCreateTune")
    assert "looks like an API key" in message and "ASTRIA_API_KEY" in message and anothers not in message
    assert not api.seen


# -- secrets ----------------------------------------------------------------------------------------------------------


def test_the_key_is_in_nothing_that_a_run_leaves_behind(comfyui, api, key_file):
    comfyui.queue(remote("Secret", seed=13))
    echo = json.dumps({"error": f"Bearer {api.key} is unknown", "headers": {"Authorization": f"Bearer {api.key}"}})
    api.will(Fault(status=401, body=echo.encode()), "POST", "/prompts")
    assert "is unknown" in refusal(comfyui, remote("Secret", seed=14), "FaceIDRemotePrompt")
    api.will(Fault(status=504, work="done"), "POST", "/prompts")  # leaves an entry in the journal
    post(comfyui, "/prompt", {"prompt": remote("Secret", seed=15)})
    until(lambda: len(posts(api, f"/tunes/{BASE}/prompts")) == 3)
    post(comfyui, "/interrupt", {})
    until(lambda: not get(comfyui, "/queue")["queue_running"])

    assert any(seen.headers["Authorization"] == f"Bearer {api.key}" for seen in api.seen), "it was used"
    files = {path: path.read_bytes() for path in left_behind(comfyui.base) if path != key_file}
    names = {path.name for path in files}
    assert {"tunes.sqlite3", "comfyui.log"} <= names and any(name.endswith(".png") for name in names)
    assert list((user_folder(comfyui) / "remote").iterdir())
    told = {path: json.dumps(get(comfyui, path)).encode() for path in ("/history", "/queue", "/internal/logs/raw")}
    chunks = {f"chunks of {path.name}": png_texts(data) for path, data in files.items() if path.suffix == ".png"}
    assert any(b"FaceIDRemotePrompt" in texts for texts in chunks.values()), "the graph is in the picture"
    assert [where for where, content in (files | told | chunks).items() if api.key.encode() in content] == []


def left_behind(base: Path) -> Iterator[Path]:
    for folder in ("user", "output", "input", "temp"):
        yield from (path for path in (base / folder).rglob("*") if path.is_file())
    yield base / "comfyui.log"  # standard output and error


def png_texts(data: bytes) -> bytes:
    """Unpacked: a chunk may be compressed."""
    with Image.open(io.BytesIO(data)) as picture:
        picture.load()
        return json.dumps(picture.info, default=str).encode()


def refusal(comfyui: ComfyUIServer, prompt: Prompt, *kinds: str) -> str:
    """The message of a prompt that ends in one of our errors, raised by one of these nodes."""
    with pytest.raises(PromptError) as failed:
        comfyui.queue(prompt)
    assert failed.value.details["node_type"] in kinds
    assert "faceid" in failed.value.details["exception_type"].lower()
    return str(failed.value)


def post(comfyui: ComfyUIServer, path: str, body: dict[str, Any]) -> Any:
    request = urllib.request.Request(
        comfyui.url + path, json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        content = answer.read()
    return json.loads(content) if content else None


def get(comfyui: ComfyUIServer, path: str) -> Any:
    with urllib.request.urlopen(comfyui.url + path, timeout=30) as answer:
        return json.load(answer)


def until(ask: Callable[[], Any]) -> Any:
    """The first true answer; asked often, at most for a minute."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if answer := ask():
            return answer
        time.sleep(0.05)
    raise AssertionError("waited a minute in vain")
