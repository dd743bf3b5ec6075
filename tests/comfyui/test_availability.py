"""A real ComfyUI on a broken disk: every node is there, and says what is wrong when it runs."""

from __future__ import annotations

import random
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
import skimage.data
from support.comfyui import ComfyUIServer, Installation, PromptError
from support.running_comfyui import running
from support.workflows import Prompt

pytestmark = pytest.mark.comfyui

NODES = 16


@pytest.fixture(scope="module")
def broken(installation: Installation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComfyUIServer]:
    """A ComfyUI whose tune database is random bytes, whose table is cut off, and whose face pack folder is a file."""
    base = tmp_path_factory.mktemp("broken")
    user = base / "user" / "__faceid_tunes"
    user.mkdir(parents=True)
    (user / "tunes.sqlite3").write_bytes(random.Random(1).randbytes(9000))
    (user / "base_models.toml").write_text("[[base_models]\n")
    (user / "astria_key").write_bytes(b"\xff\0")
    (base / "models").mkdir()
    (base / "models" / "insightface").write_text("not a folder")
    with running(ComfyUIServer(installation, base)) as server:
        yield server


def test_a_broken_disk_takes_no_node_out_of_comfyui(broken: ComfyUIServer):
    there = broken._json("/object_info")
    assert sum(name.startswith("FaceID") for name in there) == NODES
    assert "IMPORT FAILED" not in broken.log()
    listed = there["FaceIDLoadTune"]["input"]["required"]["tune"][1]["options"]
    assert len(listed) == 1 and listed[0].endswith("file is not a database. Restore a backup, or move it away.")


def test_what_needs_no_store_runs_and_what_needs_it_says_why(broken: ComfyUIServer):
    photo = broken.upload(skimage.data.astronaut(), "her.png")
    prompt: Prompt = {
        "photo": {"class_type": "LoadImage", "inputs": {"image": photo}},
        "faces": {
            "class_type": "FaceIDExtractFace",
            "inputs": {
                "images": ["photo", 0],
                "face_pack": "auto",
                "pick": "largest",
                "index": 0,
                "on_missing": "error",
            },
        },
        "shown": {"class_type": "PreviewImage", "inputs": {"images": ["faces", 1]}},
    }
    assert broken.queue(prompt)["outputs"]["shown"]["images"]
    kept = {"images": ["photo", 0], "title": "Her", "name": "woman"}
    prompt = {"photo": prompt["photo"], "tune": {"class_type": "FaceIDCreateTune", "inputs": kept}}
    prompt["shown"] = {"class_type": "PreviewAny", "inputs": {"source": ["tune", 1]}}
    with pytest.raises(PromptError, match="file is not a database"):
        broken.queue(prompt)


def test_the_routes_ask_for_patience_and_the_editor_goes_on(broken: ComfyUIServer):
    with pytest.raises(urllib.error.HTTPError) as error:
        urllib.request.urlopen(f"{broken.url}/faceid/tunes")
    assert error.value.code == 503 and error.value.headers["Retry-After"]
    assert broken.log().count("file is not a database") > 1
    assert broken._json("/system_stats")
