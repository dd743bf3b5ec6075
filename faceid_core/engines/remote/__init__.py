"""Draws a prompt with the remote API.

engine.py        AstriaEngine: the prompt out, its pictures back
remote_tunes.py  local tunes, there
journal.py       prompts on their way, so that a restart does not pay again
"""

from .engine import REALISTIC_VISION, AstriaEngine, draw_remotely, money_notes, pixels
from .journal import Journal
from .remote_tunes import ensure_remote

__all__ = [
    "REALISTIC_VISION",
    "AstriaEngine",
    "Journal",
    "draw_remotely",
    "ensure_remote",
    "money_notes",
    "pixels",
]
