"""A cache that several threads use."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from faceid_tunes.faceid_core.cache import LRUCache

SECONDS = 30  # what never comes is an error by then


def test_a_value_that_is_there_is_had_and_another_made_while_one_is_made():
    cache: LRUCache[str] = LRUCache(limit=9)
    cache.get_or_make("there", lambda: "kept")
    begun, end = threading.Event(), threading.Event()

    def slow() -> str:
        begun.set()
        assert end.wait(SECONDS)
        return "slow"

    with ThreadPoolExecutor() as threads:
        made = threads.submit(cache.get_or_make, "slow", slow)
        try:
            assert begun.wait(SECONDS)
            others = [threads.submit(cache.get_or_make, key, lambda: "new") for key in ("there", "other")]
            assert [other.result(SECONDS) for other in others] == ["kept", "new"]
        finally:
            end.set()
        assert made.result(SECONDS) == "slow"


def test_one_value_is_made_once_however_many_ask_for_it():
    cache: LRUCache[int] = LRUCache(limit=9)
    made, together = [], threading.Barrier(8)

    def ask() -> int:
        together.wait(SECONDS)
        return cache.get_or_make("key", lambda: made.append(1) or 7)

    with ThreadPoolExecutor(8) as threads:
        assert [one.result(SECONDS) for one in [threads.submit(ask) for _ in range(8)]] == [7] * 8
    assert made == [1]


def test_a_value_that_cannot_be_made_can_be_made_later():
    cache: LRUCache[int] = LRUCache(limit=9)
    with pytest.raises(ZeroDivisionError):
        cache.get_or_make("key", lambda: 1 // 0)
    assert cache.get_or_make("key", lambda: 5) == 5


def test_what_is_made_while_the_cache_is_cleared_is_not_kept():
    cache: LRUCache[int] = LRUCache(limit=9)
    assert cache.get_or_make("key", lambda: cache.clear() or 5) == 5
    assert len(cache) == 0 and cache.get_or_make("key", lambda: 6) == 6


def test_the_least_recently_used_value_goes_first():
    cache: LRUCache[str] = LRUCache(limit=3, cost=len)
    for key in ("a", "b", "c", "a", "d"):
        cache.get_or_make(key, lambda key=key: key)
    made: list[str] = []
    for key in ("a", "c", "d", "b"):
        cache.get_or_make(key, lambda key=key: made.append(key) or key)
    assert made == ["b"]
