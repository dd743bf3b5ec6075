"""Bracketed parameter names, as Rails reads them (Rack::QueryParser).

tune[title]=x                              {"tune": {"title": "x"}}
tune[image_urls][]=a  tune[image_urls][]=b {"tune": {"image_urls": ["a", "b"]}}
tune[image_urls][0]=a                      {"tune": {"image_urls": {"0": "a"}}}, see as_list
tune[p][][text]=a  tune[p][][w]=8  tune[p][][text]=b
                                           {"tune": {"p": [{"text": "a", "w": "8"}, {"text": "b"}]}}:
                                           a key that the last element has starts the next element
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TypeVar

from ...errors import FaceIDError
from .file import File

Plain = str | int | float | bool | None
Scalar = Plain | File
Nested = Scalar | list["Nested"] | dict[str, "Nested"]
Pairs = list[tuple[str, Scalar]]
Container = TypeVar("Container", list[Nested], dict[str, Nested])

_NAME = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")
_KEY = re.compile(r"\[([^\[\]]*)\]")
_DEEPEST = 8  # levels; the API's own names have four


class MalformedRequestError(FaceIDError):
    """A request's body or names cannot be read; the HTTP status is 400."""


def nest(pairs: Iterable[tuple[str, Nested]]) -> dict[str, Nested]:
    """Nested values from pairs in the order they were sent. Raises MalformedRequestError."""
    nested: dict[str, Nested] = {}
    for name, value in pairs:
        _put(nested, _keys(name), value, name)
    return nested


def as_list(value: Nested) -> list[Nested]:
    """The list from any of its forms: a list, a hash with the keys 0, 1, ..., one value, or nothing."""
    if value is None or value == "":
        return []
    if isinstance(value, Mapping) and value and all(key.isascii() and key.isdigit() for key in value):
        return [value[key] for key in sorted(value, key=int)]
    return list(value) if isinstance(value, list | tuple) else [value]


def _keys(name: str) -> list[str]:
    """``a[b][]`` as a, b and "" (the next element of a list); a name without brackets is one key."""
    match = _NAME.fullmatch(name)
    if not match:
        return [name]
    keys = [match[1], *_KEY.findall(match[2])]
    if len(keys) > _DEEPEST:
        raise MalformedRequestError(f"The parameter {name[:80]!r} is nested more than {_DEEPEST} levels deep.")
    return keys


def _put(place: dict[str, Nested], keys: list[str], value: Nested, name: str) -> None:
    key, rest = keys[0], keys[1:]
    if not rest:
        place[key] = value
    elif rest[0] == "":
        _append(_container(place, key, list, name), rest[1:], value, name)
    else:
        _put(_container(place, key, dict, name), rest, value, name)


def _append(elements: list[Nested], keys: list[str], value: Nested, name: str) -> None:
    if not keys:
        elements.append(value)
        return
    last = elements[-1] if elements else None
    if not isinstance(last, dict) or _has(last, keys):
        last = {}
        elements.append(last)
    _put(last, keys, value, name)


def _has(element: Nested, keys: list[str]) -> bool:
    for key in keys:
        if key == "":
            return False  # a list inside the element continues
        if not isinstance(element, dict) or key not in element:
            return False
        element = element[key]
    return True


def _container(place: dict[str, Nested], key: str, kind: type[Container], name: str) -> Container:
    container = place.setdefault(key, kind())
    if not isinstance(container, kind):
        raise MalformedRequestError(f"The parameter {name[:80]!r} is sent in two forms at once (list, hash, value).")
    return container
