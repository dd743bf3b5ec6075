"""Fetching from addresses that somebody else names: never from a private one, on the address really connected to.

The client uses it for pictures, the service for ``image_urls`` and callbacks.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urljoin, urlsplit

import aiohttp

from .settings import is_this_machine

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
MayConnect = Callable[[IPAddress, int], bool]  # (address, port)

_MOST_REDIRECTS = 5
_REDIRECTS = (301, 302, 303, 307, 308)
# Public by Python's table, and yet another way to a private address, or to a cloud's metadata.
_NOT_PUBLIC = tuple(
    ipaddress.ip_network(text)
    for text in (
        "::/96",  # an IPv4 address written as IPv6
        "::ffff:0:0:0/96",  # the same, translated (SIIT)
        "64:ff9b::/96",  # NAT64
        "64:ff9b:1::/48",
        "2001::/32",  # Teredo
        "2002::/16",  # 6to4
        "fec0::/10",  # site-local
        "5f00::/16",  # segment routing
        "3fff::/20",  # documentation
        "192.0.0.0/24",  # protocol assignments
        "192.88.99.0/24",  # 6to4's relays
        "168.63.129.16/32",  # Azure's metadata
    )
)


class ForbiddenAddressError(OSError):
    """The address is private, is this machine, or is no address to fetch from."""


def is_public(address: str | IPAddress) -> bool:
    """Whether a numeric address is one of the public internet; False for what is no address."""
    try:
        found = ipaddress.ip_address(address.split("%")[0] if isinstance(address, str) else address)
    except ValueError:
        return False
    found = getattr(found, "ipv4_mapped", None) or found
    is_special = found.is_multicast or found.is_reserved or found.is_unspecified
    return found.is_global and not is_special and not any(found in network for network in _NOT_PUBLIC)


def only_public(address: IPAddress, port: int) -> bool:
    return is_public(address)


def public_or_this_machine(address: IPAddress, port: int) -> bool:
    return is_public(address) or address.is_loopback


def guarded_connector(may_connect: MayConnect, **options: Any) -> aiohttp.TCPConnector:
    """A connector that opens no socket to an address that ``may_connect`` refuses.

    It is asked about the address that is connected to, so that no name, redirect or second answer of a name server
    goes around it. Raises ForbiddenAddressError, inside aiohttp's ClientConnectorError.
    """

    def open_socket(info: Any) -> socket.socket:
        family, kind, protocol, _, where = info
        address = ipaddress.ip_address(str(where[0]).split("%")[0])
        if not may_connect(getattr(address, "ipv4_mapped", None) or address, int(where[1])):
            raise ForbiddenAddressError(f"{address} is not a public address")
        return socket.socket(family, kind, protocol)

    return aiohttp.TCPConnector(socket_factory=open_socket, **options)


class Fetcher:
    """Gets files that an answer of the API at ``base_url`` names. Use ``async with``.

    From an API over TLS only https and public addresses, on every redirect; the API's own address is its own. From
    one on this machine also loopback. Nothing of the key, of cookies or of the environment's proxies goes along, and
    no content is unpacked.
    """

    def __init__(self, base_url: str, **options: Any) -> None:
        self._origin = _origin(base_url)
        self._is_local = is_this_machine(urlsplit(base_url).hostname or "")
        self._needs_tls = self._origin.startswith("https:")
        self._options = options | {"cookie_jar": aiohttp.DummyCookieJar(), "auto_decompress": False, "trust_env": False}

    async def __aenter__(self) -> Fetcher:
        rule = public_or_this_machine if self._is_local else only_public
        self._own = aiohttp.ClientSession(**self._options)
        self._others = aiohttp.ClientSession(connector=guarded_connector(rule), **self._options)
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.gather(self._own.close(), self._others.close())

    @asynccontextmanager
    async def get(self, address: str, headers: Mapping[str, str]) -> AsyncIterator[aiohttp.ClientResponse]:
        """The answer that is no redirect.

        Raises:
            ForbiddenAddressError: the address, or one it redirects to, is not to be fetched from.
            aiohttp.ClientError, asyncio.TimeoutError, OSError: it was not reached.
        """
        for _ in range(1 + _MOST_REDIRECTS):
            async with self._session(address).get(address, headers=headers, allow_redirects=False) as response:
                if response.status not in _REDIRECTS or "Location" not in response.headers:
                    yield response
                    return
                address = urljoin(address, response.headers["Location"])
        raise ForbiddenAddressError(f"it redirects more than {_MOST_REDIRECTS} times")

    def _session(self, address: str) -> aiohttp.ClientSession:
        try:
            parts = urlsplit(address)
            host, origin = parts.hostname, _origin(address)
        except ValueError:
            raise aiohttp.InvalidURL(address) from None
        if parts.scheme not in ("http", "https") or not host:
            raise aiohttp.InvalidURL(address)
        if self._needs_tls and parts.scheme != "https":
            raise ForbiddenAddressError("it is not https, and the API is")
        return self._own if origin == self._origin else self._others


def forbidden(error: BaseException) -> ForbiddenAddressError | None:
    """The refusal inside an exception of aiohttp, if it is one."""
    if isinstance(error, ForbiddenAddressError):
        return error
    inside = getattr(error, "os_error", None)
    if isinstance(inside, ForbiddenAddressError):
        return inside
    # Several addresses of one name: aiohttp keeps only the words.
    refused = isinstance(error, aiohttp.ClientConnectorError) and "is not a public address" in str(error)
    return ForbiddenAddressError("none of its addresses is a public one") if refused else None


def _origin(address: str) -> str:
    """Scheme, host and port. Raises ValueError."""
    parts = urlsplit(address)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    return f"{parts.scheme}://{(parts.hostname or '').lower()}:{port}"
