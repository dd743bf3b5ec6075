"""Requests to addresses that a client names: never to private ones, on the address really connected to."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Sequence
from typing import Any

import aiohttp
from yarl import URL

from ..faceid_core.astria.addresses import IPAddress, guarded_connector, is_public
from ..faceid_core.astria.wire.bodies import BodyLimits
from ..faceid_core.astria.wire.file import File, data_url_bytes, file_of, spool
from ..faceid_core.tunes.errors import TuneError
from .settings import ServiceSettings

_SECONDS = 30  # for one picture
_REDIRECTS = 5
_AT_ONCE = 4


def guarded_session(settings: ServiceSettings, *, is_local: bool, seconds: float) -> aiohttp.ClientSession:
    """A session that connects to public addresses, and to those that are allowed; no proxy of the environment.

    ``is_local``: ordered from this machine, so that its own servers may be reached, but for ``closed_ports``.
    """

    def may_connect(address: IPAddress, port: int) -> bool:
        if any(_covers(allowed, address, port) for allowed in settings.allowed):
            return True
        return is_public(address) or (is_local and address.is_loopback and port not in settings.closed_ports)

    connector = guarded_connector(may_connect, force_close=True)
    timeout = aiohttp.ClientTimeout(total=seconds)
    return aiohttp.ClientSession(connector=connector, timeout=timeout, trust_env=False, auto_decompress=False)


async def fetch_pictures(
    settings: ServiceSettings, urls: Sequence[str], field: str, *, is_local: bool
) -> tuple[File, ...]:
    """The files at the addresses, in their order. ``field`` is whose value they are, for the error.

    Raises:
        TuneError: one cannot be fetched, or they are too many or too large together; names the field and the image.
    """
    if not urls:
        return ()
    if len(urls) > BodyLimits.files:
        raise TuneError(f"{len(urls)} addresses: at most {BodyLimits.files} pictures are fetched.", field)
    room = _Room()
    gate = asyncio.Semaphore(_AT_ONCE)
    async with guarded_session(settings, is_local=is_local, seconds=_SECONDS) as session:

        async def fetch(number: int, url: str) -> File:
            async with gate:
                try:
                    if url.startswith("data:"):
                        return File(data_url_bytes(url), "")
                    return await _fetch(session, url, room)
                except (aiohttp.ClientError, asyncio.TimeoutError, OSError, ValueError) as error:
                    reason = str(error) or "no answer in time"
                    raise TuneError(f"could not download image {number}: {reason[:200]}.", field) from None

        return tuple(await asyncio.gather(*(fetch(number, url) for number, url in enumerate(urls, 1))))


class _Room:
    """What the pictures of one request may take on the disk."""

    def __init__(self) -> None:
        self.left = BodyLimits.body

    def take(self, size: int) -> None:
        """Raises ValueError."""
        self.left -= size
        if self.left < 0:
            raise ValueError(f"the pictures have more than {BodyLimits.body} bytes together")


async def _fetch(session: aiohttp.ClientSession, url: str, room: _Room) -> File:
    """Raises ClientError, TimeoutError, OSError or ValueError."""
    if URL(url).scheme not in ("http", "https"):
        raise ValueError("the address is not http or https")
    async with session.get(url, max_redirects=_REDIRECTS, headers={"Accept": "image/*"}) as answer:
        if answer.status != 200:
            raise ValueError(f"HTTP {answer.status}")
        data, length = spool(), 0
        async for chunk in answer.content.iter_any():
            length += len(chunk)
            if length > BodyLimits.file:
                raise ValueError(f"more than {BodyLimits.file} bytes")
            room.take(len(chunk))
            data.write(chunk)
        return file_of(data, "")


def _covers(allowed: str, found: Any, port: int) -> bool:
    """An entry of the allow-list is host:port, or a CIDR."""
    host, _, number = (allowed, "", "") if "/" in allowed else allowed.rpartition(":")
    try:
        network = ipaddress.ip_network(host.strip("[]"), strict=False)
    except ValueError:
        return False
    return found in network and (not number or number == str(port))
