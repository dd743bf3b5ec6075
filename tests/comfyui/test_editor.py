"""The graph editor in a browser: what our nodes say can be read, in every web UI that we support."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from PIL import Image
from support.comfyui import REPOSITORY, ComfyUIServer
from support.editor import Editor, browser, web_ui

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = [pytest.mark.browser, pytest.mark.comfyui]

WARNING = "⚠ FaceID adapters need buffalo_l embeddings: these are for previews and comparing only"
FACE = "1 face found in 1 photo, 1 used"
ASTRONAUT = REPOSITORY / "weights" / "embedded" / "demo_photo" / "eileen_collins.jpg"
SCREENSHOTS = REPOSITORY / "build" / "screenshots"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as running:
        yield running


# The web UI that ComfyUI brings. Another can be named by its version, as "1.58.1".
WEB_UIS = [(version, nodes_2) for version in ("",) for nodes_2 in (False, True)]


@pytest.fixture(params=WEB_UIS, ids=lambda one: f"{one[0] or 'own'} {'nodes 2.0' if one[1] else 'classic'}")
def editor(request: pytest.FixtureRequest, chromium: Browser, comfyui: ComfyUIServer) -> Iterator[Editor]:
    version, nodes_2 = request.param
    other = web_ui(version) if version else None
    opened = Editor(chromium, comfyui.url, comfyui.base, nodes_2=nodes_2, other=other)
    yield opened
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    opened.page.screenshot(path=SCREENSHOTS / f"{request.node.name}.png")
    opened.page.close()
    assert opened.problems == []


def node(number: int, kind: str, place: tuple[int, int], values: list[Any], links: dict[str, int], **more: Any) -> dict:
    size = [300, 320]
    inputs = [{"name": name, "type": more[name], "link": link} for name, link in links.items()]
    outputs = [{"name": name, "type": name, "links": ends} for name, ends in more.get("outputs", ())]
    return {
        "id": number,
        "type": kind,
        "pos": list(place),
        "size": size,
        "mode": 0,
        "inputs": inputs,
        "outputs": outputs,
        "widgets_values": values,
        "properties": {},
    }


def face_graph(photo: str) -> dict[str, Any]:
    """A photo, the face in it, and a preview of the crop: no model is needed."""
    load = node(1, "LoadImage", (40, 140), [photo, "image"], {}, outputs=[("IMAGE", [1]), ("MASK", [])])
    extract = node(
        2,
        "FaceIDExtractFace",
        (420, 140),
        ["auto", "largest", 0, "error", 640, 0.5],
        {"images": 1},
        images="IMAGE",
        outputs=[("faces", []), ("crops", [2]), ("preview", [])],
    )
    show = node(3, "PreviewImage", (800, 140), [], {"images": 2}, images="IMAGE")
    links = [[1, 1, 0, 2, 0, "IMAGE"], [2, 2, 1, 3, 0, "IMAGE"]]
    return {"nodes": [load, extract, show], "links": links, "groups": [], "config": {}, "extra": {}, "version": 0.4}


def test_what_a_node_says_stays_readable(editor: Editor, comfyui: ComfyUIServer):
    editor.open(face_graph(comfyui.upload(Image.open(ASTRONAUT), f"{uuid4().hex}.png")), "mine")
    before = editor.saved()
    history = editor.run()
    assert WARNING.removeprefix("⚠ ") in history["outputs"]["2"]["faceid_warnings"]
    assert len(history["outputs"]["2"]["images"]) == 1
    editor.reads(WARNING)
    assert editor.said()[:2] == [WARNING, FACE]
    assert [one.get("widgets_values") or [] for one in editor.saved()["nodes"]] == [
        one.get("widgets_values") or [] for one in before["nodes"]
    ]
    editor.run()  # from the cache
    editor.reads(WARNING)
    editor.new_tab()
    assert editor.said() == []
    editor.tab("mine")
    editor.reads(WARNING)
    editor.reload()
    editor.reads(WARNING)


def test_a_photo_of_a_cat_takes_away_what_was_said_before(editor: Editor, comfyui: ComfyUIServer, cat):
    editor.open(face_graph(comfyui.upload(Image.open(ASTRONAUT), f"{uuid4().hex}.png")), "cat")
    editor.run()
    editor.reads(FACE)
    name = comfyui.upload(cat, "cat.png")
    editor.page.evaluate("(name) => { app.graph.getNodeById(1).widgets[0].value = name; }", name)
    earlier = len(comfyui.log())
    failed = editor.run()
    error = dict(failed["status"]["messages"])["execution_error"]
    assert error["exception_type"] == "FaceID Tunes.NoFaceError"
    assert "Traceback" not in comfyui.log()[earlier:] and error["exception_message"].strip() in comfyui.log()[earlier:]
    editor.page.wait_for_function("document.querySelectorAll('.faceid-said').length === 0")
