"""A job is stopped by its own id, in ComfyUIs with and without the route for it; other jobs go on."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from faceid_tunes.faceid_core.engines.comfyui.client import ComfyUI


class Stub:
    """As ComfyUI's queue: the first job runs, the others wait."""

    def __init__(self, *jobs: str, has_route: bool) -> None:
        self.jobs = list(jobs)
        self.app = web.Application()
        self.app.add_routes([web.get("/queue", self.queue), web.post("/queue", self.delete)])
        self.app.add_routes([web.post("/interrupt", self.interrupt)])
        if has_route:
            self.app.add_routes([web.post("/api/jobs/{id}/cancel", self.cancel)])

    async def queue(self, _request: web.Request) -> web.Response:
        items = [[number, job] for number, job in enumerate(self.jobs)]
        return web.json_response({"queue_running": items[:1], "queue_pending": items[1:]})

    async def delete(self, request: web.Request) -> web.Response:
        for job in (await request.json())["delete"]:
            if job in self.jobs[1:]:
                self.jobs.remove(job)
        return web.Response()

    async def interrupt(self, request: web.Request) -> web.Response:
        if (await request.json())["prompt_id"] == self.jobs[0]:
            del self.jobs[0]
        return web.Response()

    async def cancel(self, request: web.Request) -> web.Response:
        job = request.match_info["id"]
        if is_there := job in self.jobs:
            self.jobs.remove(job)
        return web.json_response({"cancelled": is_there})


@pytest.mark.parametrize("has_route", [True, False], ids=["0.33", "0.20"])
@pytest.mark.parametrize(("job", "left"), [("runs", ["waits"]), ("waits", ["runs"]), ("ended", ["runs", "waits"])])
def test_a_job_is_stopped_and_the_others_go_on(has_route: bool, job: str, left: list[str]):
    stub = Stub("runs", "waits", has_route=has_route)

    async def stop() -> None:
        async with TestServer(stub.app) as server, aiohttp.ClientSession() as session:
            await ComfyUI(session, server.make_url("/")).stop(job)

    asyncio.run(stop())
    assert stub.jobs == left
