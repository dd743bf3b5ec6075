"""What a request says: its page, its base address, and the peer that sent it."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from ..faceid_core.errors import FaceIDError
from .settings import ServiceSettings
from .state import PREFIX

MAX_LIMIT, DEFAULT_LIMIT = 120, 20
DEEPEST = {"tunes": 200, "prompts": 10_000}  # offsets; deeper pages are read with before_id


class BadRequestError(FaceIDError):
    """A parameter of the address cannot be used; the status is 400."""


@dataclass(frozen=True)
class Page:
    limit: int
    before_id: int | None
    offset: int


def page_of(request: web.Request, kind: str) -> Page:
    """limit, before_id and offset; a limit out of range is clamped. Raises BadRequestError."""
    limit = number_of(request, "limit")
    offset = number_of(request, "offset") or 0
    if offset > DEEPEST[kind]:
        raise BadRequestError(
            f"offset is {offset}: at most {DEEPEST[kind]} for {kind}. Read on with before_id=<the last id you have>."
        )
    limit = DEFAULT_LIMIT if limit is None else max(1, min(limit, MAX_LIMIT))
    return Page(limit, number_of(request, "before_id"), offset)


def is_true(request: web.Request, name: str) -> bool | None:
    """A yes or no of the address; None where it says neither."""
    return {"true": True, "1": True, "false": False, "0": False}.get(request.query.get(name, "").lower())


def number_of(request: web.Request, name: str) -> int | None:
    """A whole number of the address, or None. Raises BadRequestError."""
    text = request.query.get(name, "")
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise BadRequestError(f"{name} is {text[:40]!r}: give a whole number, 0 or more.")
    return int(text)


def base_url(request: web.Request, settings: ServiceSettings) -> str:
    """The service's address as this client calls it, without a slash at its end."""
    if settings.public_url:
        return settings.public_url.rstrip("/")
    scheme, host, prefix = request.scheme, request.host, request.app[PREFIX]
    if peer_of(request) in settings.trusted_proxies:
        scheme = _first(request, "X-Forwarded-Proto") or scheme
        host = _first(request, "X-Forwarded-Host") or host
        prefix = (_first(request, "X-Forwarded-Prefix") or "").rstrip("/") + prefix
    return f"{scheme}://{host}{prefix}"


def _first(request: web.Request, header: str) -> str:
    return request.headers.get(header, "").split(",")[0].strip()


def peer_of(request: web.Request) -> str:
    """The address at the other end of the connection; empty for a Unix socket."""
    name = request.transport.get_extra_info("peername") if request.transport else None
    return str(name[0]) if isinstance(name, tuple) else ""
