"""Photos one after another: together, 64 of them would fill any memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

T = TypeVar("T")


class OneByOne(Sequence[T]):
    """``count`` values, each made when it is asked for, and kept by nobody."""

    def __init__(self, count: int, make: Callable[[int], T]) -> None:
        self._count, self._make = count, make

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self._make(number) for number in range(*index.indices(self._count))]
        if not -self._count <= index < self._count:
            raise IndexError(index)
        return self._make(index % self._count)

    def __reduce__(self) -> tuple[type, tuple[list[T]]]:  # another process gets the values
        return tuple, (list(self),)


def chained(first: Sequence[T], second: Sequence[T]) -> Sequence[T]:
    """The values of both, none of them asked for."""
    return OneByOne(
        len(first) + len(second),
        lambda index: first[index] if index < len(first) else second[index - len(first)],
    )


class Named(Mapping[str, T]):
    """Values by name, each asked for when its name is looked up."""

    def __init__(self, names: Sequence[str], values: Sequence[T]) -> None:
        self._numbers = {name: number for number, name in enumerate(names)}
        self._values = values

    def __getitem__(self, name: str) -> T:
        return self._values[self._numbers[name]]

    def __iter__(self) -> Iterator[str]:
        return iter(self._numbers)

    def __len__(self) -> int:
        return len(self._numbers)
