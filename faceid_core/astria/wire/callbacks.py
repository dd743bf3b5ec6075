"""Callbacks: ``{"prompt": {...}}``, ``{"tune": {...}}``, the object alone, or a list of prompts.

The wrapped prompt is shorter than the object that GET returns (docs/facts/astria.md 8): no ``callback``,
``seed`` or ``url``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .objects import RemotePrompt, RemoteTune
from .objects_json import UnexpectedObjectError, prompt_from_json, prompt_json, tune_from_json, tune_json

_PROMPT_KEYS = (
    "id",
    "text",
    "negative_prompt",
    "steps",
    "tune_id",
    "created_at",
    "started_training_at",
    "trained_at",
    "updated_at",
    "images",
)
_TUNE_KEYS = (
    "id",
    "title",
    "name",
    "steps",
    "trained_at",
    "started_training_at",
    "created_at",
    "updated_at",
    "expires_at",
)


def read_callback(value: Any) -> tuple[RemotePrompt | RemoteTune, ...]:
    """The objects in a callback's JSON. Raises UnexpectedObjectError."""
    if isinstance(value, list):
        return tuple(item for element in value for item in read_callback(element))
    if not isinstance(value, Mapping):
        raise UnexpectedObjectError("The callback's body is not a JSON object.")
    if isinstance(value.get("prompt"), Mapping):
        return (prompt_from_json(value["prompt"]),)
    if isinstance(value.get("tune"), Mapping):
        return (tune_from_json(value["tune"]),)
    if isinstance(value.get("prompts"), list) and "id" not in value:
        return read_callback(value["prompts"])
    return (prompt_from_json(value) if "text" in value or "images" in value else tune_from_json(value),)


def whole_callback_json(item: RemotePrompt | RemoteTune) -> dict[str, Any]:
    """The body that our own service posts: the API's, with every key of a GET."""
    return {"prompt": prompt_json(item)} if isinstance(item, RemotePrompt) else {"tune": tune_json(item)}


def callback_json(item: RemotePrompt | RemoteTune) -> dict[str, Any]:
    """The body that the API posts to a callback."""
    if isinstance(item, RemotePrompt):
        written = prompt_json(item)
        return {"prompt": {key: written[key] for key in _PROMPT_KEYS}}
    written = tune_json(item)
    return {"tune": {key: written[key] for key in _TUNE_KEYS}}
