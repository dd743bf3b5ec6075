"""A strength for each picture of a batch, as ComfyUI's nodes hand lists of numbers over."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from ..errors import AdapterError

MAX_STRENGTH = 3.0


def strengths_of(given: object, name: str = "strengths") -> tuple[float, ...]:
    """The numbers of a list, of an array or of a single number; () where nothing is given.

    Args:
        given: a number, or any iterable of numbers from 0 to 3.
        name: of the input, for the error.

    Raises:
        AdapterError: it holds something else, or nothing.
    """
    if given is None:
        return ()
    values: list[Any] = list(given) if isinstance(given, Iterable) and not isinstance(given, str) else [given]
    try:
        numbers = tuple(float(value) for value in values)
    except (TypeError, ValueError) as error:
        raise AdapterError(f"{name}: expected a list of numbers, one for each picture, got {given!r}.") from error
    if not numbers:
        raise AdapterError(f"{name}: the list is empty. Give a number for each picture, or disconnect it.")
    for position, number in enumerate(numbers, 1):
        if not (math.isfinite(number) and 0.0 <= number <= MAX_STRENGTH):
            raise AdapterError(f"{name}: number {position} is {number:g}; each has to lie from 0 to {MAX_STRENGTH:g}.")
    return numbers


def strength_and_factors(strength: object, strengths: object) -> tuple[float, tuple[float, ...]]:
    """One strength, and a factor on it for each picture, where either may have come as a list.

    Raises:
        AdapterError: either holds something else, or both are lists.
    """
    first, factors = strengths_of(strength, "strength"), strengths_of(strengths)
    if len(first) == 1:
        return first[0], factors
    if factors:
        raise AdapterError("strength and strengths are both lists. Connect one of them.")
    return 1.0, first
