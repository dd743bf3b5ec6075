"""JSON answers, and errors as the API's clients read them (docs/facts/astria.md 10, 18)."""

from __future__ import annotations

import json
from typing import Any

from aiohttp import web

from ..faceid_core.prompts import PromptError
from ..faceid_core.tunes.errors import TuneError

RETRY_AFTER = 30  # seconds


def json_answer(value: Any, status: int = 200, **headers: str) -> web.Response:
    body = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace")
    return web.Response(body=body, status=status, content_type="application/json", charset="utf-8", headers=headers)


def refusal(status: int, message: str) -> web.Response:
    """A sentence, under both keys that clients read."""
    return json_answer({"error": message, "message": message}, status)


def later(status: int, seconds: int = RETRY_AFTER) -> web.Response:
    """429 and 5xx have no body: the official client's retries print every body, and its JSON must stay readable."""
    return web.Response(status=status, headers={"Retry-After": str(seconds)})


def field_refusal(error: PromptError | TuneError) -> web.Response:
    """422 as a field map where the field is known, by its name without brackets; else a sentence."""
    field = getattr(error, "field", None)
    if not field:
        return refusal(422, str(error))
    name = field.partition("[")[2].partition("]")[0] or field
    return json_answer({name: [str(error)]}, 422)
