"""The service on a full disk: it promises nothing that it cannot keep, and goes on when there is space."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.full_disk import on_a_small_disk

from .test_page import PHOTO

pytestmark = pytest.mark.slow

SCRIPT = """
import asyncio, tempfile
import aiohttp
from faceid_tunes.faceid_core.astria.base_models import SHIPPED, base_models
from faceid_tunes.faceid_core.faces.packs import embedded_pack
from faceid_tunes.faceid_core.jobs.listing import count_by_state
from faceid_tunes.faceid_core.jobs.queue import Jobs
from faceid_tunes.faceid_core.tunes.store import open_store
from faceid_tunes.service.run import running
from faceid_tunes.service.state import Service

tempfile.tempdir = str(disk)
photo = pathlib.Path(sys.argv[2]).read_bytes()

async def main(store):
    service = Service(store, Jobs(store), embedded_pack(), base_models(SHIPPED))
    async with running(service, "127.0.0.1", 0, []) as port, aiohttp.ClientSession() as session:
        async def post(path, **body):
            async with session.post(f"http://127.0.0.1:{port}{path}", **body) as answer:
                said = await answer.read()
                print(answer.status, len(said) if answer.status > 499 else "", answer.headers.get("Retry-After", ""))
        async def both():
            await post("/tunes/690204/prompts", json={"prompt": {"text": "a lake"}})
            form = aiohttp.FormData({"tune[title]": "x", "tune[name]": "man", "tune[model_type]": "faceid"})
            form.add_field("tune[images][]", photo + bytes(2 * 2**20), filename="1.png")  # more than stays in memory
            await post("/tunes", data=form)
        await both()
        fill()
        await both()
        free()
        await both()
    print(count_by_state(store.database)["queued"], len(store.list()))

with open_store(disk / "home") as store:
    asyncio.run(main(store))
"""


def test_a_full_disk_is_answered_with_503_and_no_body_and_nothing_is_promised(tmp_path: Path) -> None:
    lines = on_a_small_disk(tmp_path, SCRIPT, str(PHOTO), size="32m")
    assert [line.split() for line in lines] == [
        ["201"],
        ["201"],
        *[["503", "0", "30"]] * 2,
        ["201"],
        ["201"],
        ["2", "2"],
    ]
