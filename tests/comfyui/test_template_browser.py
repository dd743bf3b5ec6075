"""What ComfyUI's template browser shows of us: every workflow, with a thumbnail."""

from __future__ import annotations

import io
import json
import urllib.request

import pytest
from PIL import Image
from support.comfyui import FOLDER, ComfyUIServer
from support.workflows import WORKFLOWS, graph_form, names

pytestmark = pytest.mark.comfyui

LARGEST_THUMBNAIL = 60_000  # bytes


def test_every_workflow_is_listed(comfyui: ComfyUIServer):
    listed = json.loads(get(comfyui, "/api/workflow_templates"))
    assert sorted(listed[FOLDER]) == names()


def test_only_workflows_and_their_thumbnails_lie_in_the_folder():
    files = {path.name for path in WORKFLOWS.iterdir() if path.is_file()}
    assert files == {f"{name}{ending}" for name in names() for ending in (".json", ".jpg")}


@pytest.mark.parametrize("name", names())
def test_a_workflow_opens_from_the_browser(comfyui: ComfyUIServer, name: str):
    assert json.loads(get(comfyui, f"/api/workflow_templates/{FOLDER}/{name}.json")) == graph_form(name)


@pytest.mark.parametrize("name", names())
def test_a_thumbnail_is_a_small_picture(comfyui: ComfyUIServer, name: str):
    data = get(comfyui, f"/api/workflow_templates/{FOLDER}/{name}.jpg")
    assert len(data) < LARGEST_THUMBNAIL
    picture = Image.open(io.BytesIO(data))
    assert picture.format == "JPEG"
    assert picture.width > picture.height > 200


def get(comfyui: ComfyUIServer, path: str) -> bytes:
    with urllib.request.urlopen(comfyui.url + path, timeout=30) as answer:
        return answer.read()
