"""A request's parameters: read within limits of size and time, and what of them is not known here."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace

from aiohttp import web

from ..faceid_core.astria.wire.bodies import BodyLimits, read_params
from ..faceid_core.astria.wire.brackets import Nested
from ..faceid_core.astria.wire.prompt_request import read_prompt_fields
from ..faceid_core.astria.wire.tune_request import TuneRequest
from ..faceid_core.engines.notes import undrawn
from ..faceid_core.engines.start import check_pictures
from ..faceid_core.prompts import Prompt
from .door import IGNORED_HERE, is_local
from .fetch import fetch_pictures
from .routes import FILE, PROMPT, TUNE
from .settings import ServiceSettings
from .state import IGNORED, service_of

_SECONDS = 120  # for a whole body; a client that is slower is not waited for
_PICTURES = ("input_image", "mask_image")
PROMPT_FIELDS = {
    *(field.name for field in fields(Prompt)),
    *(f"{name}_{form}" for name in _PICTURES for form in ("url", "base64")),
}
_KNOWN = {
    TUNE: {*(field.name for field in fields(TuneRequest)), "prompts_attributes", "prompt_attributes"} - {"prompts"},
    PROMPT: PROMPT_FIELDS,
    FILE: {"file", "name", "file_url"},
}
_PACK_TEXT = "portrait photo"


async def body_of(request: web.Request, kind: str) -> dict[str, Nested]:
    """The parameters of a tune or prompt. Raises MalformedRequestError, and HTTPRequestTimeout for a slow body."""
    try:
        limits = BodyLimits(body=min(BodyLimits.body, request.client_max_size))  # a host may allow less
        params = await asyncio.wait_for(read_params(request, limits), _SECONDS)
    except asyncio.TimeoutError:
        raise web.HTTPRequestTimeout(text=f"The body did not arrive within {_SECONDS} seconds.") from None
    inside = params.get(kind)
    given = inside if isinstance(inside, Mapping) else params
    ignored = sorted(str(name)[:80] for name in given if name not in _KNOWN[kind])
    ignore(request, kind, ignored)
    return params


def pack_prompt(params: Mapping[str, Nested], wanted: TuneRequest) -> Prompt:
    """What a pack would draw, with the settings of ``tune[prompt_attributes]``."""
    inside = params.get(TUNE)
    given = inside.get("prompt_attributes") if isinstance(inside, Mapping) else None
    values = dict(given) if isinstance(given, Mapping) else {}
    return read_prompt_fields({"text": f"{wanted.token or 'ohwx'} {wanted.name}, {_PACK_TEXT}", **values})


async def with_pictures(request: web.Request, prompt: Prompt) -> Prompt:
    """The prompt with its pictures: those that it names by address are fetched, and all are looked at.

    What no engine here draws is named as ignored.

    Raises:
        PromptError, TuneError: a picture cannot be had, or is none.
    """
    service = service_of(request)
    prompt = await _fetched(service.settings, prompt, is_local=is_local(request))
    if any(getattr(prompt, name) is not None for name in _PICTURES):
        await service.in_photo_room(check_pictures, prompt)
    ignore(request, PROMPT, undrawn(prompt))
    return prompt


async def _fetched(settings: ServiceSettings, prompt: Prompt, *, is_local: bool) -> Prompt:
    fetched: dict[str, bytes] = {}
    for name in _PICTURES:
        value = getattr(prompt, name)
        if isinstance(value, str):
            (picture,) = await fetch_pictures(settings, [value], f"prompt[{name}_url]", is_local=is_local)
            fetched[name] = picture.data
    return replace(prompt, **fetched) if fetched else prompt  # type: ignore[arg-type]  # bytes fit both fields


def ignore(request: web.Request, kind: str, names: Sequence[str]) -> None:
    """Tell the client, and the status page, of parameters that mean nothing here."""
    request[IGNORED_HERE] = [*request.get(IGNORED_HERE, ()), *names]
    request.app[IGNORED].extend(f"{kind}[{name}]" for name in names)
