"""Jobs on SQLite and on PostgreSQL, with a clock that a test moves."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from faceid_tunes.faceid_core.jobs.queue import Jobs
from faceid_tunes.faceid_core.tunes.store import TuneStore
from support.databases import database_url, migrated, store

__all__ = ["database_url", "migrated", "store"]


class Clock:
    """Says what it is told."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 25, tzinfo=timezone.utc)

    def __call__(self) -> datetime:
        return self.now

    def passes(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def jobs(store: TuneStore, clock: Clock) -> Jobs:
    return Jobs(store, clock=clock)
