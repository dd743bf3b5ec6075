"""The OpenAPI document, made of the table of routes and of the values that they read and write."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from aiohttp import web

from .answers import json_answer
from .routes import FILE, PROMPT, ROUTES, TUNE, Route

_FORMS = ("multipart/form-data", "application/x-www-form-urlencoded", "application/json")
_PLACE = re.compile(r"\{(\w+):((?:[^{}]|\{[^{}]*\})*)\}")
_WHOLE = {"limit", "before_id", "offset", "tune_id", "orig_prompt_id"}
_YES_OR_NO = {"liked", "today", "is_video", "is_api"}
_ERROR = {
    "description": "A sentence under both keys, or for 422 a list of sentences for each field.",
    "type": "object",
    "additionalProperties": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]},
}


async def get_document(request: web.Request) -> web.Response:
    """This document."""
    return json_answer(document())


@cache
def document() -> dict[str, Any]:
    """OpenAPI 3.1; the routes with ``.json`` and a slash at the end are not listed."""
    from .. import __version__

    paths: dict[str, dict[str, Any]] = {}
    for route in ROUTES:
        paths.setdefault(_PLACE.sub(r"{\1}", route.path), {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {"title": "FaceID Tunes", "version": __version__},
        "paths": paths,
        "components": {
            "schemas": _schemas(),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(route: Route) -> dict[str, Any]:
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": _place_schema(pattern)}
        for name, pattern in _PLACE.findall(route.path)
    ]
    parameters += [{"name": name, "in": "query", "schema": _filter_schema(name)} for name in route.finds]
    operation: dict[str, Any] = {
        "summary": (route.handler.__doc__ or "").partition("\n")[0].replace("``", "`"),
        "parameters": parameters,
        "responses": {str(route.status): _answer(route.answers)},
        "security": [{"token": []}, {}] if not route.is_open else [{}],
    }
    for status in route.refuses:
        operation["responses"][str(status)] = _refusal(status)
    if route.takes:
        forms = _FORMS[:2] if route.takes == FILE else _FORMS
        operation["requestBody"] = {"content": {form: {"schema": _body(route.takes)} for form in forms}}
    return operation


def _filter_schema(name: str) -> dict[str, Any]:
    if name in _WHOLE:
        return {"type": "integer", "minimum": 0, "maximum": 10**18 - 1}
    if name in _YES_OR_NO:
        return {"type": "boolean"}
    return {"type": "array", "items": {"type": "string"}} if name.endswith("[]") else {"type": "string"}


def _place_schema(pattern: str) -> dict[str, Any]:
    if pattern.startswith(r"\d"):
        return {"type": "integer", "minimum": 0, "maximum": 10**18 - 1}
    return {"type": "string", "pattern": f"^{pattern}$"}


def _answer(kind: str) -> dict[str, Any]:
    if not kind:
        return {"description": "Done."}
    name = kind.strip("[]")
    one = {"$ref": f"#/components/schemas/{name}"}
    schema = {"type": "array", "items": one} if kind.startswith("[") else one
    return {"description": "Done.", "content": {"application/json": {"schema": schema}}}


def _refusal(status: int) -> dict[str, Any]:
    if status in (304, 416, 429) or status >= 500:
        return {"description": "Without a body."}
    return {
        "description": "Refused, with the reason.",
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
    }


def _body(takes: str) -> dict[str, Any]:
    if takes == FILE:
        return {"type": "object", "properties": {"file": {"type": "string", "format": "binary"}}}
    name = {TUNE: "NewTune", PROMPT: "NewPrompt"}[takes]
    return {"type": "object", "properties": {takes: {"$ref": f"#/components/schemas/{name}"}}}


def _schemas() -> dict[str, Any]:
    from pydantic import TypeAdapter

    from ..faceid_core.astria.wire.objects import RemotePrompt, RemoteTune
    from ..faceid_core.astria.wire.tune_request import TuneRequest
    from ..faceid_core.prompts import Prompt

    found: dict[str, Any] = {"Error": _ERROR, "Object": {"type": "object"}, "Message": {"type": "object"}}
    kinds = (("Tune", RemoteTune), ("Prompt", RemotePrompt), ("NewTune", TuneRequest), ("NewPrompt", Prompt))
    for name, kind in kinds:
        schema = TypeAdapter(kind).json_schema(mode="serialization", ref_template="#/components/schemas/{model}")
        found |= schema.pop("$defs", {})
        for of_ours in ("extra",):
            schema.get("properties", {}).pop(of_ours, None)
        schema.pop("required", None)
        found[name] = schema | {"additionalProperties": True}
    return found
