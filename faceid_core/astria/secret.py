"""A key that never appears in a log, error, traceback, ``repr``, pickle or workflow."""

from __future__ import annotations

import hmac
from typing import NoReturn

from .errors import AstriaSettingsError
from .redaction import BEARER, HIDDEN, KEY, hide, hide_key, remember

__all__ = ["HIDDEN", "Secret", "looks_like_key"]

_MAX_LENGTH = 512


class Secret:
    """An API key. Only ``reveal`` returns its characters; everything else shows ``••••``.

    Raises AstriaSettingsError, which does not show the key either, for a key that an HTTP header cannot contain.
    """

    __slots__ = ("_characters",)

    def __init__(self, characters: str) -> None:
        problem = _problem(characters)
        if problem:
            raise AstriaSettingsError(
                f"The API key {problem}. Copy it again from your account's API page, without quotes or line breaks."
            )
        self._characters = characters
        remember(characters)

    def reveal(self) -> str:
        return self._characters

    def redact_bytes(self, content: bytes, others: bool = False) -> bytes:
        """An answer that may repeat the key, without it; ``others``: also without other text that looks like a key."""
        text = content.decode("utf-8", "surrogateescape")
        return (hide(text) if others else hide_key(text, self._characters)).encode("utf-8", "surrogateescape")

    def redact(self, text: str) -> str:
        """A header, or other words of a server, without the key in any spelling (``redaction.py``)."""
        return hide_key(text, self._characters)

    def __repr__(self) -> str:
        return HIDDEN

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return HIDDEN

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._characters.encode(), other._characters.encode())

    def __hash__(self) -> int:
        return hash(self._characters)

    def __deepcopy__(self, memo: dict[int, object]) -> Secret:
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError("A key is not pickled: it would be written as plain text.")


def looks_like_key(text: str, key: Secret | None = None) -> bool:
    """Whether ``text`` (a prompt, a whole workflow as JSON) contains ``key`` or something that looks like one."""
    return bool(KEY.search(text) or BEARER.search(text) or (key and key.reveal() in text))


def _problem(characters: object) -> str | None:
    if not isinstance(characters, str) or not characters.strip():
        return "is empty"
    if any(character.isspace() for character in characters):
        return "contains a space or line break"
    if not (characters.isascii() and characters.isprintable()):
        return "contains characters that a key cannot have"
    return f"is longer than {_MAX_LENGTH} characters" if len(characters) > _MAX_LENGTH else None
