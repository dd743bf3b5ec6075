"""The messages in the body of an error, word for word (docs/facts/astria.md 10)."""

from __future__ import annotations

import json

from ...model_files.impostor import Impostor, impostor

_LONGEST = 2000  # characters of one message; a stack trace is not a message


def read_messages(body: bytes) -> tuple[str, ...]:
    """``{"error": ...}``, ``{"message": ...}``, ``{"errors": ...}``, a field map, or plain text; () for anything else.

    A field map gives one message per error, with the field in front: ``cfg_scale must be less than 5``.
    """
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return _plain(body)
    if isinstance(value, dict):
        for key in ("error", "message", "errors"):
            if messages := _messages(value.get(key)):
                return messages
        value = {field: fault for field, fault in value.items() if isinstance(fault, list | str)}
    return _messages(value)


def problems_json(messages: list[tuple[str, str]] | str) -> dict[str, object]:
    """The body for messages: a sentence as ``{"error": ...}``, (field, fault) pairs as a field map."""
    if isinstance(messages, str):
        return {"error": messages}
    fields: dict[str, list[str]] = {}
    for field, fault in messages:
        fields.setdefault(field, []).append(fault)
    return dict(fields)


def _messages(value: object, field: str = "") -> tuple[str, ...]:
    if isinstance(value, str):
        message = value.strip()[:_LONGEST]
        about = "" if field == "base" else field  # Rails' name for an error of the whole record
        return (f"{about} {message}".strip(),) if message else ()
    if isinstance(value, list):
        return tuple(message for item in value for message in _messages(item, field))
    if isinstance(value, dict):
        return tuple(message for name, item in value.items() for message in _messages(item, str(name)))
    return ()


def _plain(body: bytes) -> tuple[str, ...]:
    if impostor(body) in (Impostor.MARKUP, Impostor.EMPTY):
        return ()
    text = body.decode("utf-8", "replace").strip()[:_LONGEST]
    return (text,) if text.replace("\n", " ").isprintable() else ()
