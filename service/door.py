"""Who may come in, and what every answer carries.

With tokens: whoever sends one. Without any: only a peer on this machine, calling it by a name of this machine, from no
other site's page, and not through a proxy, behind which everybody is a peer on this machine.
"""

from __future__ import annotations

import asyncio
import logging
import re
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web

from ..faceid_core.astria.settings import is_this_machine
from ..faceid_core.astria.wire.bodies import BodyTooLargeError
from ..faceid_core.astria.wire.brackets import MalformedRequestError
from ..faceid_core.errors import FaceIDError
from ..faceid_core.jobs.rules import LOCAL, Poster
from ..faceid_core.prompts import PromptError
from ..faceid_core.tunes.errors import QuotaError, TuneError, TuneNotFoundError, TuneStorageError
from .answers import field_refusal, later, refusal
from .requests import BadRequestError, base_url, peer_of
from .routes import Handler
from .state import KEY, OPEN, service_of

_OWNER: Any = web.RequestKey("owner", int) if hasattr(web, "RequestKey") else "owner"  # aiohttp 3.13 has keys
IGNORED_HERE: Any = web.RequestKey("ignored", list) if hasattr(web, "RequestKey") else "ignored"
_METHODS = "GET, HEAD, POST, PATCH, DELETE, OPTIONS"
_FORWARDED = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-IP", "Via")
_HEADER_NAMES = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~, -]{1,2000}")
_NAMES = {"localhost", "127.0.0.1", "::1"}

log = logging.getLogger("faceid.service")


@web.middleware
async def answered(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every error is JSON with a sentence, and every answer has the headers that browsers ask for."""
    try:
        answer = await handler(request)
    except web.HTTPException as error:
        answer = _http_error(request, error)
    except BodyTooLargeError as error:
        answer = refusal(413, str(error))
    except (BadRequestError, MalformedRequestError) as error:
        answer = refusal(400, str(error))
    except TuneNotFoundError as error:
        answer = refusal(404, str(error))
    except TuneStorageError as error:
        log.error("%s", error)
        answer = later(503)
    except QuotaError:
        answer = later(429)
    except (PromptError, TuneError) as error:
        answer = field_refusal(error)
    except FaceIDError as error:  # a photo that cannot be used
        answer = refusal(422, str(error))
    except asyncio.CancelledError:
        raise
    except Exception:
        log.exception("%s %s failed", request.method, request.path)
        answer = later(500)
    answer.headers.setdefault("Access-Control-Allow-Origin", "*")
    if names := request.get(IGNORED_HERE, []):
        answer.headers["X-FaceID-Ignored"] = ", ".join(names).encode("unicode_escape").decode("ascii")[:1000]
    answer.headers.setdefault("X-Content-Type-Options", "nosniff")
    return answer


async def expected(request: web.Request) -> web.StreamResponse | None:
    """``Expect: 100-continue`` is answered once it is known who asks, so that nobody else's body travels."""
    if request.headers.get("Expect", "").lower() != "100-continue":
        return refusal(417, "The Expect header is not understood: leave it out.")
    if request.match_info.handler not in request.app[OPEN]:
        await request.app[KEY].ready()
        found = await asyncio.to_thread(_owner, request)
        if isinstance(found, str):
            return refusal(401, found)
    assert request.transport is not None
    request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    return None


@web.middleware
async def admitted(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Nobody's body is read before it is known who they are."""
    if request.method == "OPTIONS":
        return _preflight(request)
    await request.app[KEY].ready()
    if request.match_info.handler in request.app[OPEN]:
        return await handler(request)
    owner = await asyncio.to_thread(_owner, request)
    if isinstance(owner, str):
        return refusal(401, owner)
    request[_OWNER] = owner
    return await handler(request)


def owner(request: web.Request) -> int:
    """Whose tunes and prompts this request is about."""
    found: int = request[_OWNER]
    return found


def is_local(request: web.Request) -> bool:
    """Whether the request comes from this machine itself."""
    return is_this_machine(peer_of(request)) and not any(name in request.headers for name in _FORWARDED)


def poster(request: web.Request) -> Poster:
    return Poster(owner(request), base_url(request, service_of(request).settings), is_local(request))


def _owner(request: web.Request) -> int | str:
    """The owner, or why not."""
    from ..faceid_core.jobs.tokens import has_tokens, owner_of

    database = service_of(request).store.database
    scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer" and (found := owner_of(database, secret.strip())) is not None:
        return found
    if has_tokens(database):
        return "The token is missing or unknown: send Authorization: Bearer <token>."
    if _is_from_here(request):
        return LOCAL
    return (
        "Without tokens only this machine itself may ask. Make one with `faceid serve token NAME` and send it as "
        "Authorization: Bearer <token>."
    )


def _is_from_here(request: web.Request) -> bool:
    if not is_local(request):
        return False
    if _host_name(f"//{request.headers.get('Host', '')}") not in _NAMES:
        return False
    origin = request.headers.get("Origin")
    return origin is None or _host_name(origin) in _NAMES


def _host_name(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _preflight(request: web.Request) -> web.Response:
    wanted = request.headers.get("Access-Control-Request-Headers", "")
    if not _HEADER_NAMES.fullmatch(wanted):  # an answer's header takes no control characters
        wanted = "authorization, content-type, x-workspace-id"
    headers = {
        "Access-Control-Allow-Methods": _METHODS,
        "Access-Control-Allow-Headers": wanted,
        "Access-Control-Max-Age": "86400",
        "Allow": _METHODS,
    }
    return web.Response(status=204, headers=headers)


def _http_error(request: web.Request, error: web.HTTPException) -> web.Response:
    status = error.status
    if isinstance(error, web.HTTPMethodNotAllowed) and error.allowed_methods == {"OPTIONS"}:
        status = 404  # every address takes OPTIONS
    if status == 404:
        return refusal(404, f"There is no {request.path[:200]} here. GET openapi.json lists the routes.")
    if status == 405:
        answer = refusal(405, f"{request.method} is not possible for {request.path[:200]}.")
        answer.headers["Allow"] = error.headers.get("Allow", _METHODS)
        return answer
    if status == 413:
        return refusal(413, "The body is too large. Send fewer or smaller photos.")
    if status >= 500 or status == 429:
        return later(status)
    return refusal(status, error.text or error.reason)
