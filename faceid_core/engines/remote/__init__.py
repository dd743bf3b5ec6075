"""Draws a prompt with the remote API.

engine.py        AstriaEngine: the prompt out, its pictures back
ordering.py      sent once, by whoever comes first; looked for by everybody else
remote_tunes.py  local tunes, there
journal.py       orders on their way, so that a restart does not pay again
allowance.py     how much may be ordered in a day
turns.py         one sender of an order at a time, among all processes
"""

from .allowance import Allowance, AllowanceError
from .engine import AstriaEngine, RemoteDrawn, draw_remotely, money_notes, pixels
from .journal import DamagedNoteError, Journal
from .remote_tunes import REALISTIC_VISION, ensure_remote

__all__ = [
    "REALISTIC_VISION",
    "Allowance",
    "AllowanceError",
    "AstriaEngine",
    "DamagedNoteError",
    "Journal",
    "RemoteDrawn",
    "draw_remotely",
    "ensure_remote",
    "money_notes",
    "pixels",
]
