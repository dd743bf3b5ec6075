"""What the client really puts on the wire, byte for byte, against vectors/sent (docs/facts/astria.md 2 to 5).

Only the boundary, the address and the length of the body are left out of the comparison.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from faceid_tunes.faceid_core.astria.client import AstriaClient
from faceid_tunes.faceid_core.astria.creation import Claims
from faceid_tunes.faceid_core.astria.secret import Secret
from faceid_tunes.faceid_core.astria.settings import AstriaSettings
from faceid_tunes.faceid_core.astria.wire.file import File
from faceid_tunes.faceid_core.astria.wire.forms import json_body, urlencoded
from faceid_tunes.faceid_core.astria.wire.prompt_request import prompt_params
from faceid_tunes.faceid_core.astria.wire.tune_request import TuneRequest, tune_params
from faceid_tunes.faceid_core.prompts import Prompt
from support.asking import QUICK
from support.raw_http import RawServer, comparable

SENT = Path(__file__).parent / "vectors" / "sent"

JOHN = "John Doe - UUID - 1234-6789-1234-56789"
PHOTOS = (File(b"photo one", "1.jpg", "image/jpeg"), File(b"photo two", "2.jpg", "image/jpeg"))
ADDRESSES = ("https://i.imgur.com/1.jpg", "https://i.imgur.com/2.jpg")
FILES = TuneRequest(JOHN, "man", PHOTOS, model_type="faceid", base_tune_id=690204)
URLS = TuneRequest(JOHN, "man", image_urls=ADDRESSES, model_type="faceid", base_tune_id=690204)
OF_THE_PAGE = Prompt(
    "<faceid:2000501:1.0> woman trekking in the alps",
    num_images=8,
    seed=7,
    cfg_scale=3.0,
    super_resolution=True,
    face_correct=True,
    face_swap=True,
)
WITH_EVERYTHING = Prompt(
    "<faceid:2000501:0.8> woman; réading --mask_invert",
    negative_prompt="clay",
    num_images=2,
    seed=0,
    scheduler="dpm++2m_karras",
    w=512,
    h=768,
    style="Line art",
    input_image=b"\x89PNG\r\n\x1a\n",
    mask_image="https://example.com/mask.png?a=b",
    denoising_strength=0.00001,
    backend_version=0,
    callback="https://app.example/hooks/prompt?order=17&secret=s3",
)

Use = Callable[[AstriaClient], Awaitable[object]]


async def first(items: AsyncIterator) -> object:
    return [item async for item in items]


REQUESTS: dict[str, tuple[str, Use]] = {
    "create_tune_with_files": ("{}", lambda client: client.create_tune(FILES)),
    "create_tune_with_addresses": ("{}", lambda client: client.create_tune(URLS)),
    "get_tune": ("{}", lambda client: client.get_tune(2000501)),
    "list_tunes": ("[]", lambda client: first(client.list_tunes(model_type="faceid"))),
    "find_tune": ("[]", lambda client: client.find_tune("Jöhn & co")),
    "gallery": ("[]", lambda client: first(client.gallery(branch="sd15"))),
    "update_tune": ("{}", lambda client: client.update_tune(2000501, title="new", auto_extend=True)),
    "delete_tune": ("{}", lambda client: client.delete_tune(2000501)),
    "create_prompt": ("{}", lambda client: client.create_prompt(690204, OF_THE_PAGE)),
    "create_prompt_with_everything": ("{}", lambda client: client.create_prompt(690204, WITH_EVERYTHING)),
    "get_prompt": ("{}", lambda client: client.get_prompt(30000901)),
    "list_prompts": ("[]", lambda client: first(client.list_prompts(690204))),
    "list_all_prompts": ("[]", lambda client: first(client.list_prompts(liked=True))),
    "delete_prompt": ("{}", lambda client: client.delete_prompt(30000901)),
    "account": ("{}", lambda client: client.account()),
}


def sent_by(use: Use, answer: str, workspace: str | None = None) -> str:
    import asyncio

    async def main(url: str) -> None:
        settings = AstriaSettings(Secret("sd_test"), url, workspace)
        async with AstriaClient(settings, QUICK, Claims()) as client:
            await use(client)

    with RawServer(body=b'{"id":1}' if answer == "{}" else b"[]") as server:
        asyncio.run(main(server.url))
        (request,) = server.requests
    return comparable(request)


@pytest.mark.parametrize("name", REQUESTS)
def test_a_request_is_sent_as_recorded(name: str):
    answer, use = REQUESTS[name]
    assert sent_by(use, answer) == (SENT / f"{name}.txt").read_text("utf-8")


def test_every_vector_is_compared():
    assert {path.stem for path in SENT.glob("*.txt")} == set(REQUESTS)


def test_the_workspace_goes_as_a_header():
    assert "X-Workspace-Id: 17\n" in sent_by(lambda client: client.account(), "{}", "17")


def test_json_is_the_pages_sample():
    assert json_body(tune_params(URLS)).decode() == (
        '{"tune": {"title": "John Doe - UUID - 1234-6789-1234-56789", "name": "man", "model_type": "faceid", '
        '"base_tune_id": 690204, "image_urls": ["https://i.imgur.com/1.jpg", "https://i.imgur.com/2.jpg"]}}'
    )


def test_urlencoded_has_the_same_names():
    assert urlencoded(prompt_params(OF_THE_PAGE)).decode() == (
        "prompt%5Btext%5D=%3Cfaceid%3A2000501%3A1.0%3E+woman+trekking+in+the+alps&prompt%5Bnum_images%5D=8"
        "&prompt%5Bseed%5D=7&prompt%5Bcfg_scale%5D=3.0&prompt%5Bsuper_resolution%5D=true"
        "&prompt%5Bface_correct%5D=true&prompt%5Bface_swap%5D=true"
    )
