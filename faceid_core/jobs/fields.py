"""A Prompt to and from the JSON of its row: what differs from the default, pictures as files of the store."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

from ..prompts import Prompt
from ..prompts.errors import PromptError

_FILE = "file"  # {"file": sha256}: an input picture that was uploaded


def prompt_to_json(prompt: Prompt, put: Callable[[bytes], str]) -> dict[str, Any]:
    """``put`` keeps an uploaded picture's bytes and returns their sha256."""
    written: dict[str, Any] = {"text": prompt.text}
    for field in fields(Prompt):
        value = getattr(prompt, field.name)
        if value != field.default:
            written[field.name] = {_FILE: put(value)} if isinstance(value, bytes) else value
    return written


def prompt_from_json(written: Mapping[str, Any], get: Callable[[str], bytes]) -> Prompt:
    """The prompt of a row; ``get`` reads a file by its sha256.

    Raises:
        PromptError: the row is damaged, or a version of this program wrote it that knows other fields.
    """
    known = {field.name for field in fields(Prompt)}
    try:
        values: dict[str, Any] = {
            name: get(str(value[_FILE])) if isinstance(value, Mapping) else value
            for name, value in written.items()
            if name in known
        }
        return Prompt(**values)
    except (TypeError, ValueError, LookupError, AttributeError, ArithmeticError) as error:
        raise PromptError(f"The row of this prompt is damaged, its fields cannot be read ({error}).") from error
