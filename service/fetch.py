"""Requests to addresses that a client names: never to private ones, on the address really connected to."""

from __future__ import annotations

import ipaddress
import socket
from typing import Any

import aiohttp

from .settings import ServiceSettings

_FORBIDDEN = tuple(
    ipaddress.ip_network(text)
    for text in (
        "64:ff9b::/96",  # NAT64
        "64:ff9b:1::/48",
        "2002::/16",  # 6to4
        "2001::/32",  # Teredo
        "fec0::/10",
        "168.63.129.16/32",  # a cloud's metadata
    )
)


class ForbiddenAddressError(OSError):
    """The address is private, or is this machine."""


def guarded_session(settings: ServiceSettings, *, is_local: bool, seconds: float) -> aiohttp.ClientSession:
    """A session that connects to public addresses, and to those that are allowed; no proxy of the environment."""

    def factory(address: Any) -> socket.socket:
        family, kind, protocol, _, where = address
        check_address(str(where[0]), int(where[1]), settings, is_local=is_local)
        return socket.socket(family, kind, protocol)

    connector = aiohttp.TCPConnector(socket_factory=factory, force_close=True)
    return aiohttp.ClientSession(
        connector=connector, timeout=aiohttp.ClientTimeout(total=seconds), trust_env=False, auto_decompress=False
    )


def check_address(host: str, port: int, settings: ServiceSettings, *, is_local: bool) -> None:
    """Raises ForbiddenAddressError."""
    found = ipaddress.ip_address(host.split("%")[0])
    found = getattr(found, "ipv4_mapped", None) or found
    if is_local and found.is_loopback:
        return
    if any(_covers(allowed, found, port) for allowed in settings.allowed):
        return
    if not found.is_global or found.is_multicast or any(found in network for network in _FORBIDDEN):
        raise ForbiddenAddressError(f"{found} is not a public address")


def _covers(allowed: str, found: Any, port: int) -> bool:
    """An entry is host:port or a CIDR."""
    text, _, number = allowed.rpartition(":") if "/" not in allowed else (allowed, "", "")
    try:
        network = ipaddress.ip_network(text.strip("[]") or allowed, strict=False)
    except ValueError:
        return False
    return found in network and (not number or int(number) == port)
