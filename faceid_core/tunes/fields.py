"""What a tune's fields may hold; every error names the field as the API does."""

from __future__ import annotations

import unicodedata
from typing import Any

from .errors import TuneError

_INTEGERS = ("base_tune_id", "steps", "cost_mc")
_LONG = ("callback", "args", "ckpt_url")
_SHORT = ("token", "branch")
MAX_TEXT = 255  # characters, of a title, name, token or branch
MAX_LONG_TEXT = 2048


def check_title(title: object) -> str:
    """The title as it is stored: trimmed, composed (NFC), printable, 1..255 characters. Raises TuneError."""
    return _check_required(title, "title", "Give the tune a title; the same title always means the same tune.")


def check_name(name: object) -> str:
    """The class name as it is stored: trimmed, printable, 1..255 characters. Raises TuneError."""
    return _check_required(name, "name", "Say what is in the photos: man, woman, boy, girl, person.")


def checked(fields: dict[str, Any]) -> dict[str, Any]:
    """The other fields of a new tune, each of a type and size that every database stores. Raises TuneError."""
    for name, value in fields.items():
        if value is None or isinstance(value, bool):
            continue
        if name in _INTEGERS and not (isinstance(value, int) and 0 <= value < 2**63):
            raise TuneError(f"tune[{name}] is {value!r}: it must be a whole number, 0 or more.", f"tune[{name}]")
        if name in _SHORT + _LONG:
            _check_text(value, name, MAX_TEXT if name in _SHORT else MAX_LONG_TEXT)
    return fields


def normal(text: str) -> str:
    """How titles and names are stored, and searched for: composed (NFC), without what nobody sees.

    Every kind of space is one space, none at the ends; zero-width and direction marks are dropped, but for the joiners
    inside an emoji.
    """
    kept = "".join(
        " " if unicodedata.category(character) == "Zs" else character
        for number, character in enumerate(text)
        if unicodedata.category(character) != "Cf" or _joins_emoji(text, number)
    )
    return " ".join(part for part in unicodedata.normalize("NFC", kept.strip()).split(" ") if part)


def _joins_emoji(text: str, number: int) -> bool:
    around = text[number - 1 : number] + text[number + 1 : number + 2]
    return (
        text[number] == "\u200d"
        and len(around) == 2
        and all(unicodedata.category(character) in ("So", "Sk", "Mn") for character in around)
    )


def is_printable(text: str) -> bool:
    """Without control characters and single halves of surrogate pairs."""
    return not any(unicodedata.category(character) in ("Cc", "Cs") for character in text)


def _check_required(value: object, name: str, advice: str) -> str:
    text = normal(value) if isinstance(value, str) else value
    if text is None or text == "":
        raise TuneError(f"tune[{name}] is empty. {advice}", f"tune[{name}]")
    return _check_text(text, name, MAX_TEXT)


def _check_text(value: object, name: str, limit: int) -> str:
    field = f"tune[{name}]"
    if not isinstance(value, str):
        raise TuneError(f"{field} is a {type(value).__name__}: it must be text.", field)
    if len(value) > limit:
        raise TuneError(f"{field} has {len(value)} characters: at most {limit} are allowed. Shorten it.", field)
    for column, character in enumerate(value, 1):
        if not is_printable(character):
            raise TuneError(f"{field} has the unprintable character {character!r} at column {column}.", field)
    return value
