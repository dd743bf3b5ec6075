"""What a user says of a tune's photos, as text: ``2 ignore; 3 face 1; 4 use; 1 weight 2``."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from .errors import TuneError
from .tune import TunePhoto

GRAMMAR = (
    "Write the image number and what to do with it: `2 ignore`, `3 use`, `3 face 1` (faces are counted from 0, left to "
    "right), `3 at 0.4 0.3` (the face at this part of the width and height), `1 weight 2`, `2 auto`; several with ; "
    "between them."
)
MAX_WEIGHT = 100.0
_Number = TypeVar("_Number", int, float)
_ENTRY = re.compile(r"(?P<number>\d{1,6})\s*[:=]?\s+(?P<word>[a-z]+)(?P<rest>[^;]*)")


@dataclass(frozen=True)
class PhotoOrder:
    """What to do with one photo; whatever is None stays as it is.

    use: True: it counts, whatever the rule says; False: it does not.
    face: the number of the face that is meant, from 0, left to right.
    at: the place of the face that is meant, x and y from 0 to 1 of the photo's width and height.
    weight: in the person's mean, above 0, at most 100.
    is_auto: forget what was decided before; the rule decides.
    """

    use: bool | None = None
    face: int | None = None
    at: tuple[float, float] | None = None
    weight: float | None = None
    is_auto: bool = False


def parse_orders(text: str) -> dict[int, PhotoOrder]:
    """Image number, from 1, to what to do with it.

    Raises:
        TuneError: an entry cannot be understood; quotes it.
    """
    orders: dict[int, PhotoOrder] = {}
    for entry in filter(None, (part.strip() for part in re.split(r"[;\n]", text.lower()))):
        found = _ENTRY.fullmatch(entry)
        if found is None:
            raise TuneError(f"{entry!r} says nothing about a photo. {GRAMMAR}")
        number, values = int(found["number"]), found["rest"].replace(",", " ").split()
        try:
            orders[number] = _order(orders.get(number, PhotoOrder()), found["word"], values)
        except ValueError:
            raise TuneError(f"{entry!r} says nothing about a photo. {GRAMMAR}") from None
    return orders


def decided(photo: TunePhoto, order: PhotoOrder, at: tuple[float, float] | None) -> TunePhoto:
    """The photo with what was decided about it; ``at`` is where the face of ``order.face`` is."""
    if order.is_auto:
        photo = replace(photo, use=None, face_at=None, weight=1.0)
    if order.use is not None:
        photo = replace(photo, use=order.use, face_at=photo.face_at if order.use else None)
    if (at := at or order.at) is not None:
        photo = replace(photo, use=True, face_at=at)
    return photo if order.weight is None else replace(photo, weight=order.weight)


def check_numbers(orders: Mapping[int, PhotoOrder], count: int) -> None:
    """Raise TuneError for an order about a photo that is not among ``count``."""
    for number in orders:
        if not 1 <= number <= count:
            raise TuneError(f"There is no photo {number}: the tune has {count}, counted from 1.")


def _order(order: PhotoOrder, word: str, values: list[str]) -> PhotoOrder:
    """The order with one more word. ValueError: it is none."""
    if word in ("use", "ignore", "auto") and not values:
        return replace(order, is_auto=True) if word == "auto" else replace(order, use=word == "use")
    if word == "face":
        (face,) = values
        return replace(order, face=_checked(int(face), 0, 9999))
    if word == "at":
        x, y = (_checked(float(value), 0.0, 1.0) for value in values)
        return replace(order, at=(x, y))
    if word == "weight":
        (weight,) = values
        return replace(order, weight=_checked(float(weight), 0.01, MAX_WEIGHT))
    raise ValueError(word)


def _checked(value: _Number, least: _Number, most: _Number) -> _Number:
    if not (math.isfinite(value) and least <= value <= most):
        raise ValueError(value)
    return value
