"""A remote API to test against: Astria's, on this machine, with faults on order.

    with FakeAstria() as api:
        settings = AstriaSettings(Secret(api.key), api.url)
        api.will(Fault(status=504, work="done"), "POST", "/prompts")   # the next such request only
        ...
        assert api.prompts and api.seen[-1].method == "GET"

It runs in a thread with an event loop of its own, so that its user may be a test, a node or a command line. What it
answers is that of docs/facts/astria.md 2, 4.2, 5.2, 9 to 12.
"""

from __future__ import annotations

import asyncio
import io
import re
import threading
import time
import zlib
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from functools import cache
from typing import Any

from aiohttp import ClientError, ClientSession, web
from faceid_tunes.faceid_core.astria.wire.bodies import read_params
from faceid_tunes.faceid_core.astria.wire.brackets import MalformedRequestError
from faceid_tunes.faceid_core.astria.wire.callbacks import callback_json
from faceid_tunes.faceid_core.astria.wire.objects import RemotePrompt, RemoteTune
from faceid_tunes.faceid_core.astria.wire.objects_json import prompt_json, tune_json
from faceid_tunes.faceid_core.astria.wire.prompt_request import read_prompt
from faceid_tunes.faceid_core.astria.wire.tune_request import read_tune
from faceid_tunes.faceid_core.errors import FaceIDError
from PIL import Image

from .fake_faults import Fault, abort, cut

KEY = "sd_" + "fake0key1for2tests3only4"
BASE = 690204
GALLERY = {BASE: ("Realistic Vision v5.1", "sd15"), 666678: ("SDXL 1.0", "sdxl1"), 1504944: ("Flux1.dev", "flux1")}

_params: ContextVar[dict[str, Any]] = ContextVar("the parameters of the request being answered")


@dataclass(frozen=True)
class Seen:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    params: dict[str, Any]


class FakeAstria:
    """The API with one account. Attributes may be changed while it runs; ``tunes`` and ``prompts`` are by id."""

    def __init__(self, *, remember: int | None = None) -> None:
        self.key = KEY
        self.url = ""
        self.tunes: dict[int, RemoteTune] = {}
        self.prompts: dict[int, RemotePrompt] = {}
        self.seen: deque[Seen] = deque(maxlen=remember)
        self.polls_until_done = 2
        self.balance_mc = 1_250_000
        self.in_list = False  # whether a creation is answered as a list of one, as the API's page shows it
        self.is_idempotent = False
        self.knows_ranges = True
        self.picture: Callable[[str], bytes] = picture
        self.callbacks: Callable[[RemotePrompt], int] = lambda prompt: 1  # how many times each is delivered
        self.user_error: Callable[[RemotePrompt], str | None] = lambda prompt: None
        self.fault_for: Callable[[str, str], Fault | None] = self._ordered_fault
        self.on_request: Callable[[str, str], None] = lambda method, path: None
        self._ordered: list[tuple[str, str, Fault]] = []
        self._polls: dict[int, int] = {}
        self._tasks: set[asyncio.Future] = set()
        self._next_tune, self._next_prompt = 2_000_501, 30_000_901
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> FakeAstria:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(30)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(30)
        self._loop.close()

    def will(self, fault: Fault, method: str = ".*", path: str = ".*", times: int = 1) -> None:
        """The next ``times`` requests of that method and path (regular expressions) meet with ``fault``."""
        self._ordered += [(method, path, fault)] * times

    def busy(self) -> float:
        """Seconds of processor time it has used, for telling its cost from its user's."""
        return time.clock_gettime(time.pthread_getcpuclockid(self._thread.ident))

    def forget(self) -> None:
        """Everything but the gallery."""
        for remembered in (self.tunes, self.prompts, self._polls, self.seen):
            remembered.clear()

    def _ordered_fault(self, method: str, path: str) -> Fault | None:
        for position, (its_method, its_path, fault) in enumerate(self._ordered):
            if re.fullmatch(its_method, method) and re.search(its_path, path):
                del self._ordered[position]
                return fault
        return None

    async def _start(self) -> None:
        app = web.Application(middlewares=[self._with_faults], client_max_size=64 * 1024**2)
        app.add_routes(
            [
                web.post("/tunes", self._create_tune),
                web.get("/tunes", self._list_tunes),
                web.get("/gallery/tunes", self._list_gallery),
                web.get(r"/tunes/{id:\d+}", self._get_tune),
                web.patch(r"/tunes/{id:\d+}", self._update_tune),
                web.delete(r"/tunes/{id:\d+}", self._delete_tune),
                web.post(r"/tunes/{id:\d+}/prompts", self._create_prompt),
                web.get(r"/tunes/{id:\d+}/prompts", self._list_prompts),
                web.get("/prompts", self._list_prompts),
                web.get(r"/prompts/{id:\d+}", self._get_prompt),
                web.delete(r"/prompts/{id:\d+}", self._delete_prompt),
                web.get("/users", self._account),
                web.get(r"/blobs/{name}", self._blob),
            ]
        )
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def _stop(self) -> None:
        await self._runner.cleanup()
        stalled = asyncio.all_tasks() - {asyncio.current_task()}
        for task in stalled:
            task.cancel()
        await asyncio.gather(*stalled, return_exceptions=True)

    # Faults

    @web.middleware
    async def _with_faults(self, request: web.Request, handler) -> web.StreamResponse:
        self.on_request(request.method, request.path)
        fault = self.fault_for(request.method, request.path)
        if fault and fault.how == "reset" and fault.work == "none":
            abort(request)  # before its body was read
            return web.Response()
        try:
            params = await read_params(request)
        except MalformedRequestError as error:
            return web.json_response({"error": str(error)}, status=400)
        self.seen.append(Seen(request.method, request.path, dict(request.query), dict(request.headers), params))
        _params.set(params)
        if fault is None:
            return await self._answer(request, handler)
        return await self._meet(fault, request, handler)

    async def _answer(self, request: web.Request, handler) -> web.Response:
        is_public = request.path.startswith("/blobs/")
        if not is_public and request.headers.get("Authorization") != f"Bearer {self.key}":
            return web.json_response({"error": "Invalid API key"}, status=401)
        try:
            return await handler(request)
        except FaceIDError as error:
            return web.json_response({getattr(error, "field", None) or "base": [str(error)]}, status=422)

    async def _meet(self, fault: Fault, request: web.Request, handler) -> web.StreamResponse:
        true_answer = None
        if fault.work == "done" or fault.how in ("cut", "slow") or fault.shorten:
            true_answer = await self._answer(request, handler)
        elif fault.work == "later":
            asyncio.get_running_loop().call_later(
                fault.seconds, lambda: asyncio.ensure_future(self._answer(request, handler))
            )
        if fault.how in ("stall", "slow"):
            await asyncio.sleep(fault.seconds)
        if fault.how == "slow":
            return true_answer
        if fault.how in ("stall", "reset"):
            abort(request)
            return web.Response()
        if fault.how == "cut":
            return await cut(request, true_answer)
        if fault.shorten:
            return web.Response(body=true_answer.body[: len(true_answer.body) // 2], content_type="image/jpeg")
        return web.Response(
            body=fault.body, status=fault.status, content_type=fault.content_type, headers=fault.headers
        )

    # Tunes

    async def _create_tune(self, request: web.Request) -> web.Response:
        wanted = read_tune(_params.get())
        if not wanted.title or not wanted.name:
            return web.json_response({"title" if wanted.name else "name": ["can't be blank"]}, status=422)
        if not (wanted.images or wanted.image_urls):
            return web.json_response({"images": ["can't be blank"]}, status=422)
        same = next((tune for tune in self.tunes.values() if tune.title == wanted.title), None)
        if self.is_idempotent and same:
            return web.json_response(tune_json(same))
        now, number = datetime.now(timezone.utc), self._next_tune
        self._next_tune += 1
        self.tunes[number] = RemoteTune(
            id=number,
            title=wanted.title,
            name=wanted.name,
            is_api=True,
            eta=now + timedelta(seconds=146),
            trained_at=now - timedelta(seconds=0.6),
            started_training_at=now - timedelta(seconds=0.6),
            expires_at=now + timedelta(days=30),
            created_at=now,
            updated_at=now,
            model_type=wanted.model_type,
            base_tune_id=wanted.base_tune_id,
            branch="sd15",
            url=f"{self.url}/tunes/{number}.json",
            orig_images=tuple(f"{self.url}/blobs/t{number}i{index}" for index in range(len(wanted.images))),
        )
        return self._created(tune_json(self.tunes[number]))

    async def _list_tunes(self, request: web.Request) -> web.Response:
        title = request.query.get("title")
        kept = [tune for tune in self.tunes.values() if title is None or tune.title == title]
        return _page(request, kept, tune_json)

    async def _list_gallery(self, request: web.Request) -> web.Response:
        tunes = [RemoteTune(id=number, title=title, branch=branch) for number, (title, branch) in GALLERY.items()]
        return _page(request, tunes, tune_json)

    async def _get_tune(self, request: web.Request) -> web.Response:
        tune = self.tunes.get(_number(request))
        return _missing() if tune is None else web.json_response(tune_json(tune))

    async def _update_tune(self, request: web.Request) -> web.Response:
        number = _number(request)
        if number not in self.tunes:
            return _missing()
        changes = {key: value for key, value in _params.get()["tune"].items() if key in ("title", "name")}
        self.tunes[number] = replace(self.tunes[number], **changes)
        return web.json_response(tune_json(self.tunes[number]))

    async def _delete_tune(self, request: web.Request) -> web.Response:
        gone = self.tunes.pop(_number(request), None)
        return _missing() if gone is None else web.json_response({"message": "Tune deleted"})

    # Prompts

    async def _create_prompt(self, request: web.Request) -> web.Response:
        base = _number(request)
        if base in self.tunes:
            kind = self.tunes[base].model_type
            return web.json_response(
                {"error": f"model_type={kind} is not supported. Use a checkpoint instead"}, status=422
            )
        if base not in GALLERY:
            return _missing()
        if self.balance_mc <= 0:
            return web.json_response({"error": "Not enough credits"}, status=402)
        wanted = read_prompt(_params.get())
        same = [p for p in self.prompts.values() if (p.tune_id, p.text, p.seed) == (base, wanted.text, wanted.seed)]
        if self.is_idempotent and same:
            return web.json_response(prompt_json(same[0]))
        now, number = datetime.now(timezone.utc), self._next_prompt
        self._next_prompt += 1
        self.balance_mc -= 2000
        self.prompts[number] = RemotePrompt(
            id=number,
            callback=wanted.callback,
            created_at=now,
            updated_at=now,
            tune_id=base,
            text=wanted.text,
            negative_prompt=wanted.negative_prompt,
            cfg_scale=None if wanted.cfg_scale is None else str(wanted.cfg_scale),
            steps=wanted.steps,
            super_resolution=wanted.super_resolution,
            ar=wanted.ar,
            num_images=wanted.num_images,
            seed=wanted.seed,
            controlnet_txt2img=wanted.controlnet_txt2img,
            url=f"{self.url}/tunes/{base}/prompts/{number}.json",
            cost_mc=2000,
        )
        return self._created(prompt_json(self.prompts[number]))

    def _created(self, made: dict[str, Any]) -> web.Response:
        return web.json_response([made] if self.in_list else made, status=201)

    async def _list_prompts(self, request: web.Request) -> web.Response:
        base = request.match_info.get("id")
        kept = [prompt for prompt in self.prompts.values() if base is None or prompt.tune_id == int(base)]
        return _page(request, kept, prompt_json)

    async def _get_prompt(self, request: web.Request) -> web.Response:
        number = _number(request)
        if number not in self.prompts:
            return _missing()
        self._polls[number] = self._polls.get(number, 0) + 1
        prompt = self.prompts[number]
        if not prompt.trained_at:
            self.prompts[number] = prompt = self._drawn(prompt, self._polls[number])
            if prompt.trained_at and prompt.callback:
                task = asyncio.ensure_future(self._call_back(prompt))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
        return web.json_response(prompt_json(prompt))

    def _drawn(self, prompt: RemotePrompt, polls: int) -> RemotePrompt:
        now = datetime.now(timezone.utc)
        if polls < self.polls_until_done:
            return replace(prompt, started_training_at=now, updated_at=now)
        if error := self.user_error(prompt):
            return replace(prompt, trained_at=now, updated_at=now, user_error=error)
        images = tuple(f"{self.url}/blobs/p{prompt.id}i{index}" for index in range(prompt.num_images))
        return replace(prompt, trained_at=now, updated_at=now, images=images)

    async def _call_back(self, prompt: RemotePrompt) -> None:
        """Not repeated when it fails, as in the API."""
        async with ClientSession() as session:
            for _ in range(self.callbacks(prompt)):
                with suppress(ClientError):
                    await session.post(prompt.callback, json=callback_json(prompt))

    async def _delete_prompt(self, request: web.Request) -> web.Response:
        gone = self.prompts.pop(_number(request), None)
        return _missing() if gone is None else web.json_response({"message": "Prompt deleted"})

    # The rest

    async def _account(self, request: web.Request) -> web.Response:
        return web.json_response(
            {"id": 7, "name": "Jane", "email": "jane@example.com", "usd_balance_mc": self.balance_mc}
        )

    async def _blob(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if name.startswith("p") and int(name[1:].split("i")[0]) not in self.prompts:
            return _missing()
        data = self.picture(name)
        headers = {"ETag": f'"{zlib.crc32(data):x}"', "Accept-Ranges": "bytes"}
        asked = re.fullmatch(r"bytes=(\d+)-", request.headers.get("Range", ""))
        is_same = request.headers.get("If-Range", headers["ETag"]) == headers["ETag"]
        if not asked or not is_same or not self.knows_ranges:
            return web.Response(body=data, content_type="image/jpeg", headers=headers)
        start = int(asked[1])
        if start >= len(data):
            return web.Response(status=416, headers={"Content-Range": f"bytes */{len(data)}"})
        headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        return web.Response(body=data[start:], status=206, content_type="image/jpeg", headers=headers)


def picture(name: str) -> bytes:
    """A JPEG that says in a comment which one it is."""
    comment = name.encode()
    plain = _plain_jpeg()
    return plain[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment + plain[2:]


@cache
def _plain_jpeg() -> bytes:
    file = io.BytesIO()
    Image.linear_gradient("L").convert("RGB").save(file, "JPEG", quality=95)
    return file.getvalue()


def _page(request: web.Request, items: list, to_json: Callable[[Any], dict]) -> web.Response:
    limit = max(1, min(120, int(request.query.get("limit", 20))))
    before, offset = int(request.query.get("before_id", 2**60)), int(request.query.get("offset", 0))
    kept = sorted((item for item in items if item.id < before), key=lambda item: -item.id)
    return web.json_response([to_json(item) for item in kept[offset : offset + limit]])


def _number(request: web.Request) -> int:
    return int(request.match_info["id"])


def _missing() -> web.Response:
    return web.json_response({"error": "Not found"}, status=404)
