"""The cache that keeps results between calls."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Value = TypeVar("Value")


class LRUCache(Generic[Value]):
    """A bounded, thread-safe cache that drops the least recently used values first.

    limit: the total cost kept; cost: of one value (1 if not given). The newest value is kept whatever it costs.
    """

    def __init__(self, limit: int, cost: Callable[[Value], int] = lambda value: 1) -> None:
        self._limit = limit
        self._cost = cost
        self._values: OrderedDict[Hashable, Value] = OrderedDict()
        self._total = 0
        self._lock = threading.RLock()  # a value that is dropped under it may run code of its own
        self._turns: dict[Hashable, _Turn] = {}
        self._cleared = 0

    def get_or_make(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """The value under ``key``; if there is none, it is made and kept.

        Of several threads that ask for one value, one makes it and the others wait; nobody waits for another value.
        What is made while somebody clears the cache is not kept.
        """
        with self._lock:
            if key in self._values:
                return self._used(key)
            turn = self._turns.setdefault(key, _Turn())
            turn.waiting += 1
        try:
            with turn.alone:
                with self._lock:
                    if key in self._values:
                        return self._used(key)
                    cleared = self._cleared
                value = make()
                with self._lock:
                    if cleared == self._cleared:
                        self._keep(key, value)
                return value
        finally:
            with self._lock:
                turn.waiting -= 1
                if not turn.waiting:
                    del self._turns[key]

    def clear(self) -> None:
        with self._lock:
            self._values.clear()
            self._total = 0
            self._cleared += 1

    def __len__(self) -> int:
        return len(self._values)

    def _used(self, key: Hashable) -> Value:
        self._values.move_to_end(key)
        return self._values[key]

    def _keep(self, key: Hashable, value: Value) -> None:
        self._values[key] = value
        self._total += self._cost(value)
        while self._total > self._limit and len(self._values) > 1:
            _, forgotten = self._values.popitem(last=False)
            self._total -= self._cost(forgotten)


class _Turn:
    """Of the threads that want one value that is not there."""

    def __init__(self) -> None:
        self.alone = threading.Lock()
        self.waiting = 0
