"""The request ``POST /tunes`` as a value and as parameters (docs/facts/astria.md 4.1)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import partial
from typing import Any

from ...prompts import Prompt
from ...tunes.errors import TuneError
from .brackets import Nested, Pairs, as_list
from .file import File
from .prompt_request import prompt_params, read_prompt_fields
from .scalars import READERS, is_unset, read_as


@dataclass(frozen=True)
class TuneRequest:
    """A tune to create. ``title`` identifies it later: make it unique.

    ``images`` or ``image_urls``: at least one picture. ``name`` is the class word. ``prompts`` are drawn once the
    tune is ready. ``characteristics`` fill ``{{key}}`` in prompt texts.
    """

    title: str
    name: str
    images: tuple[File, ...] = ()
    image_urls: tuple[str, ...] = ()
    model_type: str | None = None
    base_tune_id: int | None = None
    branch: str | None = None
    callback: str | None = None
    token: str | None = None
    steps: int | None = None
    face_crop: bool | None = None
    training_face_correct: bool | None = None
    preset: str | None = None
    auto_extend: bool | None = None
    characteristics: tuple[tuple[str, str], ...] = ()
    prompts: tuple[Prompt, ...] = ()


_PLAIN = {field.name: field for field in fields(TuneRequest) if field.type in READERS}


def tune_params(tune: TuneRequest) -> Pairs:
    """The parameters of a tune; unset values are left out. Raises TuneError for a name that a form cannot contain."""
    if odd := next((key for key, _ in tune.characteristics if not key or "[" in key or "]" in key), None):
        raise TuneError(f"tune[characteristics] has the key {odd!r}: use letters only.", "tune[characteristics]")
    pairs: Pairs = [(f"tune[{name}]", getattr(tune, name)) for name in _PLAIN if not is_unset(getattr(tune, name))]
    pairs += [(f"tune[characteristics][{key}]", value) for key, value in tune.characteristics]
    pairs += [("tune[image_urls][]", url) for url in tune.image_urls]
    pairs += [("tune[images][]", file) for file in tune.images]
    for prompt in tune.prompts:
        pairs += prompt_params(prompt, "tune[prompts_attributes][]")
    return pairs


def read_tune(params: Mapping[str, Nested]) -> TuneRequest:
    """The tune in a request's parameters, wrapped in ``tune`` or not; unknown parameters are ignored.

    The store checks that title, name and pictures are given.

    Raises:
        TuneError: naming the field, as ``tune[images][]``.
        PromptError: for one of its prompts.
    """
    inside = params.get("tune")
    values = inside if isinstance(inside, Mapping) else params
    given: dict[str, Any] = {"title": "", "name": ""}
    for name, field in _PLAIN.items():
        if not is_unset(values.get(name)):
            given[name] = read_as(str(field.type), values[name], partial(_refused, name))
    return TuneRequest(
        **given,
        images=tuple(_file(value) for value in as_list(values.get("images")) if not is_unset(value)),
        image_urls=tuple(_url(value) for value in as_list(values.get("image_urls")) if not is_unset(value)),
        characteristics=_read_characteristics(values.get("characteristics")),
        prompts=tuple(_prompt(value) for value in _prompts(values)),
    )


def _refused(name: str, shown: str, expected: str) -> TuneError:
    return TuneError(f"tune[{name}] is {shown}: give {expected}.", f"tune[{name}]")


def _file(value: Nested) -> File:
    if not isinstance(value, File):
        raise TuneError(
            "tune[images][] is not a file: send files as multipart/form-data, addresses as tune[image_urls][].",
            "tune[images][]",
        )
    return value


def _url(value: Nested) -> str:
    if not isinstance(value, str) or not value.startswith(("http://", "https://", "data:image/")):
        raise TuneError("tune[image_urls][] is not an address that starts with http(s)://.", "tune[image_urls][]")
    return value


def _prompts(values: Mapping[str, Nested]) -> list[Nested]:
    """Those of ``prompts_attributes``, and of ``prompt_attributes`` as some clients call it: one, or several.

    Without a text ``prompt_attributes`` is what packs set for their own prompts, and no prompt.
    """
    alone = values.get("prompt_attributes")
    several = [alone] if isinstance(alone, Mapping) and "text" in alone else as_list(alone)
    return [
        *as_list(values.get("prompts_attributes")),
        *(value for value in several if not isinstance(value, Mapping) or value.get("text")),
    ]


def _prompt(value: Nested) -> Prompt:
    if not isinstance(value, Mapping):
        raise TuneError(
            "tune[prompts_attributes][] is not a prompt: give its text and parameters.", "tune[prompts_attributes]"
        )
    return read_prompt_fields(value)


def _read_characteristics(value: Nested) -> tuple[tuple[str, str], ...]:
    """A hash, or a string with its JSON."""
    if isinstance(value, str) and value:
        try:
            value = json.loads(value)
        except ValueError:
            value = None
        if not isinstance(value, dict):
            raise TuneError('tune[characteristics] is not JSON of the form {"key": "value"}.', "tune[characteristics]")
    if not isinstance(value, Mapping):
        return ()
    refused = partial(_refused, "characteristics")
    return tuple((str(key), read_as("str", text, refused)) for key, text in value.items())
