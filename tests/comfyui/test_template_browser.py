"""What ComfyUI's template browser shows of us: every workflow, with a thumbnail."""

from __future__ import annotations

import io
import itertools
import json
import urllib.request
from urllib.parse import quote

import pytest
from faceid_tunes.faceid_core.example_photo import EXAMPLE_PHOTO
from PIL import Image
from support.comfyui import FOLDER, ComfyUIServer
from support.workflows import TITLES, WORKFLOWS, graph_form, names

pytestmark = pytest.mark.comfyui

LARGEST_THUMBNAIL = 60_000  # bytes
SCREEN = (1900, 950)  # at the scale that a workflow opens with, text can be read on 1680x1000


def test_every_workflow_is_listed(comfyui: ComfyUIServer):
    listed = json.loads(get(comfyui, "/api/workflow_templates"))
    assert sorted(listed[FOLDER]) == sorted(TITLES.values())
    assert set(TITLES) == set(names())


@pytest.mark.parametrize("words", ["same person", "portrait", "headshot", "consistent character", "two people", "swap"])
def test_what_people_look_for_finds_a_workflow(words: str):
    assert any(words in title.lower() for title in TITLES.values())


@pytest.mark.parametrize("name", names())
def test_a_workflow_fits_the_screen_and_no_node_lies_on_another(name: str):
    graph = graph_form(name)
    boxes = [(*node["pos"], *node["size"]) for node in graph["nodes"]]
    groups = [tuple(group["bounding"]) for group in graph["groups"]]
    for axis in (0, 1):
        places = [(box[axis], box[axis] + box[axis + 2]) for box in (*boxes, *groups)]
        assert max(end for _, end in places) - min(start for start, _ in places) <= SCREEN[axis]
    title = 30  # a node's title is above its place
    for one, other in itertools.combinations(boxes, 2):
        is_beside = one[0] + one[2] <= other[0] or other[0] + other[2] <= one[0]
        is_below = one[1] + one[3] + title <= other[1] or other[1] + other[3] + title <= one[1]
        assert is_beside or is_below, (one, other)


@pytest.mark.parametrize("name", names())
def test_the_photo_of_a_workflow_is_there(comfyui: ComfyUIServer, name: str):
    photos = [node["widgets_values"][0] for node in graph_form(name)["nodes"] if node["type"] == "LoadImage"]
    assert set(photos) <= {EXAMPLE_PHOTO.name}
    assert get(comfyui, f"/api/view?type=input&filename={EXAMPLE_PHOTO.name}") == EXAMPLE_PHOTO.read_bytes()


def test_only_workflows_and_their_thumbnails_lie_in_the_folder():
    files = {path.name for path in WORKFLOWS.iterdir() if path.is_file()}
    assert files == {f"{title}{ending}" for title in TITLES.values() for ending in (".json", ".jpg")}


@pytest.mark.parametrize("name", names())
def test_a_workflow_opens_from_the_browser(comfyui: ComfyUIServer, name: str):
    assert json.loads(get(comfyui, f"/api/workflow_templates/{FOLDER}/{quote(TITLES[name])}.json")) == graph_form(name)


@pytest.mark.parametrize("name", names())
def test_a_thumbnail_is_a_small_picture(comfyui: ComfyUIServer, name: str):
    data = get(comfyui, f"/api/workflow_templates/{FOLDER}/{quote(TITLES[name])}.jpg")
    assert len(data) < LARGEST_THUMBNAIL
    picture = Image.open(io.BytesIO(data))
    assert picture.format == "JPEG"
    assert picture.width > picture.height > 200


def get(comfyui: ComfyUIServer, path: str) -> bytes:
    with urllib.request.urlopen(comfyui.url + path, timeout=30) as answer:
        return answer.read()
