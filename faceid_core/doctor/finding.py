"""One thing that was looked at."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Level(Enum):
    GOOD = "good"
    MISSING = "missing"  # something that can be done without
    PROBLEM = "problem"  # nobody can be drawn, or what is kept is in danger


@dataclass(frozen=True)
class Finding:
    """said: a sentence. remedy: what to do, a sentence; empty where there is nothing to do.

    fetch: ids of the manifest whose download mends it.
    """

    area: str
    level: Level
    said: str
    remedy: str = ""
    fetch: tuple[str, ...] = ()
