"""Opens the store in each folder named on standard input, one a line; answers "opened" or what went wrong."""

from __future__ import annotations

import sys

import alembic.command  # noqa: F401  (before the start, so that all migrate at once)
from faceid_tunes.faceid_core.tunes.store import open_store


def answer(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    answer("ready")
    for line in sys.stdin:
        try:
            open_store(line.strip()).close()
            answer("opened")
        except Exception as error:
            answer(repr(error))
