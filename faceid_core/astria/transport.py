"""One request to the API, and its answer."""

from __future__ import annotations

import asyncio
import email.utils
import json
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

import aiohttp

from .addresses import Fetcher
from .errors import AstriaTransportError
from .faults import CONNECTION_FAULTS, Response, connection_fault, not_the_api, status_fault
from .retry import RetryPolicy
from .settings import AstriaSettings
from .wire.problems import read_messages
from .wire.scalars import whole_number

_MAX_BODY = 32 * 1024 * 1024  # bytes of JSON; 120 prompts are about 200 kB
_MAX_ERROR = 64 * 1024
_YEARS = (2000, 2200)  # a time outside is no time

_AGENT = {"User-Agent": "faceid-tunes"}

Body = Callable[[], aiohttp.FormData]


class Transport:
    """The session to one API with one key; open it with ``async with``.

    The key is sent in the header of requests to the API and nowhere else: redirects are not followed, and requests to
    other addresses through ``session`` contain no key.
    """

    def __init__(self, settings: AstriaSettings, policy: RetryPolicy) -> None:
        self.settings = settings
        self.policy = policy
        self._session: aiohttp.ClientSession | None = None
        # The server's time, and ours of the same moment: a clock that nobody can set.
        self._told: tuple[datetime, float] | None = None

    async def __aenter__(self) -> Transport:
        timeout = aiohttp.ClientTimeout(
            total=self.policy.total_timeout,
            sock_connect=self.policy.connect_timeout,
            sock_read=self.policy.read_timeout,
        )
        self._session = aiohttp.ClientSession(
            timeout=timeout,
            cookie_jar=aiohttp.DummyCookieJar(),
            response_class=Response,
            headers=_AGENT,
        )
        fetcher = Fetcher(self.settings.base_url, timeout=timeout, response_class=Response, headers=_AGENT)
        self._fetcher = await fetcher.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        session, self._session = self._session, None
        if session:
            await session.close()
            await self._fetcher.__aexit__()

    @property
    def session(self) -> aiohttp.ClientSession:
        """Without the key."""
        if self._session is None:
            raise AstriaTransportError("The client is closed: use it inside its 'async with' block.")
        return self._session

    @property
    def fetcher(self) -> Fetcher:
        """For the addresses that answers name."""
        _ = self.session  # says so when it is closed
        return self._fetcher

    async def ask(
        self, method: str, path: str, query: Mapping[str, str] | None = None, body: Body | None = None
    ) -> Any:
        """Send once. Returns the answer's JSON, None for an empty one. Raises AstriaError."""
        what, value, fault = f"{method} {path}", None, None
        try:
            status, headers, content = await self._exchange(method, path, query, body)
        except CONNECTION_FAULTS as error:
            fault = connection_fault(error, what, self.settings.base_url)
        else:
            self._set_clock(headers)
            if not 200 <= status < 300:
                fault = status_fault(status, read_messages(content), headers, what)
            elif content.strip():
                try:
                    value = json.loads(content, parse_int=whole_number)
                except (ValueError, RecursionError):
                    fault = not_the_api(what, status, headers.get("Content-Type", ""))
        if fault is not None:
            raise fault  # outside `except`: a library's exception, which holds our headers, must not become its context
        return value

    async def fetch(
        self, method: str, path: str, query: Mapping[str, str] | None = None, body: Body | None = None
    ) -> Any:
        """Send, and send again as the policy says: for requests that are safe to repeat (GET, DELETE, PATCH)."""
        return await self.policy.retrying()(self.ask, method, path, query, body)

    def server_time(self, moment: float | None = None) -> datetime | None:
        """The time on the server's clock, to a few seconds, at a ``time.monotonic()`` of ours (default: now).

        None as long as the server has not told its time. This machine's clock plays no part: it may be wrong or jump.
        """
        if self._told is None:
            return None
        theirs, ours = self._told
        return theirs + timedelta(seconds=(time.monotonic() if moment is None else moment) - ours)

    async def _exchange(
        self, method: str, path: str, query: Mapping[str, str] | None, body: Body | None
    ) -> tuple[int, Mapping[str, str], bytes]:
        async with self.session.request(
            method,
            self.settings.base_url + path,
            params=query,
            data=body() if body else None,
            headers=self._headers(),
            allow_redirects=False,
        ) as response:
            key = self.settings.key
            headers = {name.title(): key.redact(value) for name, value in response.headers.items()}
            if 200 <= response.status < 300:
                return response.status, headers, key.redact_bytes(await _read(response, _MAX_BODY))
            return response.status, headers, key.redact_bytes(await _read_some(response), others=True)

    def _headers(self) -> dict[str, str]:
        headers = {"Authorization": f"Bearer {self.settings.key.reveal()}", "Accept": "application/json"}
        if self.settings.workspace:
            headers["X-Workspace-Id"] = self.settings.workspace
        return headers

    def _set_clock(self, headers: Mapping[str, str]) -> None:
        try:
            told = email.utils.parsedate_to_datetime(headers["Date"])
        except (KeyError, TypeError, ValueError, OverflowError, IndexError):
            return
        if _YEARS[0] <= told.year < _YEARS[1]:
            told = told.replace(tzinfo=timezone.utc) if told.tzinfo is None else told.astimezone(timezone.utc)
            self._told = told, time.monotonic()


async def _read(response: aiohttp.ClientResponse, limit: int) -> bytes:
    content = bytearray()
    async for chunk in response.content.iter_any():
        content += chunk
        if len(content) > limit:
            raise aiohttp.ClientPayloadError(f"the answer is longer than {limit} bytes")
    return bytes(content)


async def _read_some(response: aiohttp.ClientResponse) -> bytes:
    """The body of an error; its status is used even if the body is cut."""
    try:
        return await _read(response, _MAX_ERROR)
    except (aiohttp.ClientError, asyncio.TimeoutError, OSError):
        return b""
