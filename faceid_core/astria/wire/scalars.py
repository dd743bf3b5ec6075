"""Values as text in forms, and back: "True", "3.0", "".

An empty string is "not set", as in the API's own samples (``prompt[callback]=``).
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from .brackets import Nested

_TRUE = ("true", "1", "t", "on", "yes")
_FALSE = ("false", "0", "f", "off", "no")


def is_unset(value: object) -> bool:
    return value is None or (isinstance(value, str) and value == "")


def whole_number(digits: str) -> int | None:
    """A whole number in JSON; None for one that no field of the API has, such as a price of 400 digits."""
    return int(digits) if len(digits) <= 18 else None


def as_text(value: str | int | float | bool) -> str:
    """A parameter's value in a form."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{Decimal(repr(value)):f}" if isinstance(value, float) else str(value)


def read_bool(value: Nested) -> bool:
    """Also ``True``, as python-requests writes it. Raises ValueError."""
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower()
    if word in _TRUE or word in _FALSE:
        return word in _TRUE
    raise ValueError("Give true or false.")


def read_int(value: Nested) -> int:
    """Raises ValueError."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and len(value) <= 20:
        return int(value)
    raise ValueError("Give a whole number.")


def read_float(value: Nested) -> float:
    """Raises ValueError."""
    if isinstance(value, int | float | str) and not isinstance(value, bool):
        return float(value)
    raise ValueError("Give a number.")


def read_text(value: Nested) -> str:
    """Raises ValueError."""
    if isinstance(value, str):
        return value
    if isinstance(value, int | float):
        return as_text(value)
    raise ValueError("Give text.")


# Readers by the annotation of the dataclass field they fill.
READERS: dict[str, tuple[Callable[[Nested], object], str]] = {
    "bool": (read_bool, "true or false"),
    "bool | None": (read_bool, "true or false"),
    "int": (read_int, "a whole number"),
    "int | None": (read_int, "a whole number"),
    "float | None": (read_float, "a number"),
    "str": (read_text, "text"),
    "str | None": (read_text, "text"),
}


def read_as(annotation: str, value: Nested, refused: Callable[[str, str], Exception]) -> Any:
    """The value for a dataclass field of this annotation.

    Raises what ``refused`` makes of a value that cannot be one (cut short) and of what the field holds.
    """
    reader, expected = READERS[annotation]
    try:
        return reader(value)
    except (ValueError, OverflowError):
        shown = repr(value[:40]) if isinstance(value, str) else f"a {type(value).__name__}"
        raise refused(shown, expected) from None
