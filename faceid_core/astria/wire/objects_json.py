"""The API's objects, from JSON and back.

Reading is tolerant: a field of an unexpected type is None, an unknown one is kept. Writing is exact: every key that
real answers have, times in UTC with milliseconds and ``Z``, ``cfg_scale`` as a string.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import fields, replace
from datetime import datetime, timezone
from decimal import Decimal, InvalidOperation
from typing import Any, TypeVar

from ...errors import FaceIDError
from .objects import Account, RemotePrompt, RemoteTune

Object = TypeVar("Object", RemoteTune, RemotePrompt)

# Keys that are newer than the logs of 2024: written only when they have a value.
_LATER = {"cost_mc", "content_types", "training_face_correct"}


_LARGEST = 1e300


class UnexpectedObjectError(FaceIDError):
    """JSON that is not the expected object."""


def tune_from_json(value: Any) -> RemoteTune:
    """Raises UnexpectedObjectError if ``value`` is not an object with an ``id``."""
    return _read(RemoteTune, value)


def prompt_from_json(value: Any) -> RemotePrompt:
    """Raises UnexpectedObjectError if ``value`` is not an object with an ``id``."""
    return _read(RemotePrompt, value)


def account_from_json(value: Any) -> Account:
    """``GET /users``: an object, or a list that contains it. Raises UnexpectedObjectError."""
    user = value[0] if isinstance(value, list) and len(value) == 1 else value
    if not isinstance(user, Mapping):
        raise UnexpectedObjectError("The account is not a JSON object.")
    known = ("id", "name", "email", "usd_balance_mc")
    return Account(
        id=_int(user.get("id")),
        name=_str(user.get("name")),
        email=_str(user.get("email")),
        balance_mc=_int(user.get("usd_balance_mc")),
        extra=_extra(user, known),
    )


def tune_json(tune: RemoteTune) -> dict[str, Any]:
    return _write(tune)


def prompt_json(prompt: RemotePrompt) -> dict[str, Any]:
    return _write(prompt)


def prompt_text(prompt: RemotePrompt) -> str:
    """The answer as JSON text. Never fails: a field that we do not know and cannot write is left out."""
    try:
        return json.dumps(prompt_json(prompt))
    except (RecursionError, TypeError, ValueError):
        return json.dumps(prompt_json(replace(prompt, extra={})))


def read_time(text: Any) -> datetime | None:
    """ISO 8601, as the API writes it; None for anything else."""
    try:
        # Python 3.10 reads neither Z nor fractions of a length other than 3 or 6.
        time = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except (AttributeError, ValueError):
        return None
    try:
        return time.replace(tzinfo=timezone.utc) if time.tzinfo is None else time.astimezone(timezone.utc)
    except OverflowError:  # of the year 1 or 9999, in another time zone
        return None


def write_time(time: datetime | None) -> str | None:
    if time is None:
        return None
    return time.astimezone(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _read(kind: type[Object], value: Any) -> Object:
    if not isinstance(value, Mapping) or _int(value.get("id")) is None:
        what = "a list" if isinstance(value, list) else f"a {type(value).__name__}"
        raise UnexpectedObjectError(f"The API's answer is not a {kind.__name__[6:].lower()}: {what} without an id.")
    readers = _READERS[kind]
    read = {name: reader(value.get(name)) for name, reader in readers.items()}
    return kind(**read, extra=_extra(value, readers))


def _extra(value: Mapping[str, Any], known: Collection[str]) -> Mapping[str, Any]:
    return {key: item for key, item in value.items() if key not in known}


def _write(item: RemoteTune | RemotePrompt) -> dict[str, Any]:
    written = {}
    for field in fields(item):
        value = getattr(item, field.name)
        if field.name == "extra" or (field.name in _LATER and value in (None, ())):
            continue
        if isinstance(value, datetime):
            value = write_time(value)
        elif isinstance(value, Decimal):
            value = str(value)
        written[field.name] = list(value) if isinstance(value, tuple) else value
    return {**written, **item.extra}


def _int(value: Any) -> int | None:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 18:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**18 else None


def _str(value: Any) -> str | None:
    # Half a character (a lone surrogate), which JSON can say, cannot be written to any file.
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else None


def _bool(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _float(value: Any) -> float | None:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    return value if abs(value) <= _LARGEST else None  # neither infinite nor NaN


def _decimal(value: Any) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _strings(value: Any) -> tuple[str, ...]:
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()


_FROM_JSON: dict[str, Callable[[Any], Any]] = {
    "int": _int,
    "int | None": _int,
    "str | None": _str,
    "bool | None": _bool,
    "float | None": _float,
    "datetime | None": read_time,
    "Decimal | None": _decimal,
    "tuple[str, ...]": _strings,
}
_READERS: dict[type, dict[str, Callable[[Any], Any]]] = {
    kind: {field.name: _FROM_JSON[str(field.type)] for field in fields(kind) if field.name != "extra"}
    for kind in (RemoteTune, RemotePrompt)
}
