"""A Prompt as the parameters of ``POST /tunes/:id/prompts``, and back (docs/facts/astria.md 5.1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from functools import partial
from typing import Any

from ...prompts import Prompt
from ...prompts.errors import PromptError, error_in
from .brackets import Nested, Pairs
from .file import File, data_url_bytes, picture_file
from .scalars import is_unset, read_as

NUM_IMAGES_WHEN_OMITTED = 8

_FIELDS = {field.name: field for field in fields(Prompt)}
_IMAGES = ("input_image", "mask_image")


def prompt_params(prompt: Prompt, within: str = "prompt") -> Pairs:
    """The parameters of a prompt, ``text`` first; values equal to the API's default are left out.

    ``num_images`` is always sent, because the API draws 8 without it. ``within`` is the beginning of the names:
    ``tune[prompts_attributes][]`` for prompts that come with a tune.
    """
    pairs: Pairs = []
    for name, field in _FIELDS.items():
        value = getattr(prompt, name)
        if name in _IMAGES:
            pairs += _image_param(within, name, value)
        elif name == "num_images" or value != field.default:
            pairs.append((f"{within}[{name}]", value))
    return pairs


def read_prompt(params: Mapping[str, Nested], first: Prompt | None = None) -> Prompt:
    """The prompt in a request's parameters, wrapped in ``prompt`` or not; unknown parameters are ignored.

    ``first`` has what the parameters leave open.

    Raises:
        PromptError: naming the field, as ``prompt[w]``.
    """
    return read_prompt_fields(_wrapped(params), first)


def read_prompt_fields(values: Mapping[str, Nested], first: Prompt | None = None) -> Prompt:
    """As ``read_prompt``, of the parameters inside ``prompt``."""
    given: dict[str, Any] = {"text": "", "num_images": NUM_IMAGES_WHEN_OMITTED}
    if first is not None:
        given = {name: getattr(first, name) for name in _FIELDS}
    for name, field in _FIELDS.items():
        if name in _IMAGES:
            given[name] = _read_image(name, values) or given.get(name)
        elif not is_unset(values.get(name)):
            given[name] = read_as(str(field.type), values[name], partial(_refused, name))
    return Prompt(**given)


def _wrapped(params: Mapping[str, Nested]) -> Mapping[str, Nested]:
    inside = params.get("prompt")
    return inside if isinstance(inside, Mapping) else params


def _refused(name: str, shown: str, expected: str) -> PromptError:
    return error_in(name, f"is {shown}", f"Give {expected}.")


def _image_param(within: str, name: str, value: str | bytes | None) -> Pairs:
    if value is None:
        return []
    if isinstance(value, bytes):
        return [(f"{within}[{name}]", picture_file(value, name))]
    if not value.startswith("data:"):
        return [(f"{within}[{name}_url]", value)]
    if name == "input_image":
        return [(f"{within}[{name}_base64]", value)]
    return [(f"{within}[{name}]", picture_file(_data_url_bytes(name, value), name))]  # a mask has no _base64 parameter


def _data_url_bytes(name: str, url: str) -> bytes:
    try:
        return data_url_bytes(url)
    except ValueError:
        raise error_in(
            name, "is a data URL that is not base64", "Give data:image/png;base64,... or the bytes."
        ) from None


def _read_image(name: str, values: Mapping[str, Nested]) -> str | bytes | None:
    for key in (name, f"{name}_url", f"{name}_base64"):
        value = values.get(key)
        if is_unset(value):
            continue
        if isinstance(value, File):
            return value.data or None
        if not isinstance(value, str):
            raise error_in(key, f"is a {type(value).__name__}", "Give a file, a URL or a data URL.")
        return value
    return None
