"""A thin proxy before a service: it passes every request on, but for those that are to meet with a fault."""

from __future__ import annotations

import asyncio
import re
import threading
from contextlib import AbstractContextManager

from aiohttp import ClientSession, ClientTimeout, DummyCookieJar, web

from .fake_faults import Fault, abort, cut

_OF_A_CONNECTION = {"connection", "transfer-encoding", "content-length", "keep-alive", "date", "server"}


class FaultyProxy(AbstractContextManager["FaultyProxy"]):
    """Runs in a thread of its own. ``seen``: (method, path, status of the service's answer; 0: never asked)."""

    def __init__(self, behind: str) -> None:
        self.url = ""
        self.seen: list[tuple[str, str, int]] = []
        self._behind = behind
        self._ordered: list[tuple[str, str, Fault]] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> FaultyProxy:
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

    async def _start(self) -> None:
        app = web.Application(client_max_size=64 * 1024**2)
        app.router.add_route("*", "/{any:.*}", self._pass_on)
        timeout = ClientTimeout(total=60)
        self._session = ClientSession(auto_decompress=False, cookie_jar=DummyCookieJar(), timeout=timeout)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def _stop(self) -> None:
        await self._runner.cleanup()
        await self._session.close()

    async def _pass_on(self, request: web.Request) -> web.StreamResponse:
        fault = self._fault_for(request.method, request.path)
        is_asked = fault is None or fault.work == "done" or fault.how in ("cut", "slow") or fault.shorten
        answer = await self._ask(request, await request.read()) if is_asked else None
        self.seen.append((request.method, request.path, answer.status if answer is not None else 0))
        return answer if fault is None and answer is not None else await self._meet(fault or Fault(), request, answer)

    async def _ask(self, request: web.Request, body: bytes) -> web.Response:
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _OF_A_CONNECTION}
        async with self._session.request(
            request.method, self._behind + request.path_qs, data=body or None, headers=headers, allow_redirects=False
        ) as answer:
            kept = {name: value for name, value in answer.headers.items() if name.lower() not in _OF_A_CONNECTION}
            return web.Response(status=answer.status, body=await answer.read(), headers=kept)

    async def _meet(self, fault: Fault, request: web.Request, answer: web.Response | None) -> web.StreamResponse:
        if fault.how in ("stall", "slow"):
            await asyncio.sleep(fault.seconds)
        if fault.how == "slow" and answer is not None:
            return answer
        if fault.how in ("stall", "reset"):
            abort(request)
            return web.Response()
        if fault.how == "cut" and answer is not None:
            return await cut(request, answer)
        if fault.shorten and answer is not None:
            return web.Response(body=answer.body[: len(answer.body) // 2], content_type="image/png")
        return web.Response(
            body=fault.body, status=fault.status, content_type=fault.content_type, headers=fault.headers
        )

    def _fault_for(self, method: str, path: str) -> Fault | None:
        for position, (its_method, its_path, fault) in enumerate(self._ordered):
            if re.fullmatch(its_method, method) and re.search(its_path, path):
                del self._ordered[position]
                return fault
        return None
