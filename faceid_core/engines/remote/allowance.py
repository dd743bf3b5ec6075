"""How much may be ordered from the remote API in a day, and how much has been: counted by all processes of one home."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from pathlib import Path

from ...astria.settings import PER_DAY_VARIABLE
from ...disk import sync_folder
from ...errors import FaceIDError

_WAIT = 10.0  # seconds for another process, which holds the lock for as long as it writes a line
_KEPT = 7  # days, for people who look
_UNSENT = "Nothing was sent."
_LINE = re.compile(r"(\S+) ([0-9]{1,9}) (ordered|allowed)")  # its last word says that it is whole


class AllowanceError(FaceIDError):
    """The owner of the key allows no more orders today, or they cannot be counted."""


class Allowance:
    """A folder with one file for each day (UTC): a line for each order, and for each time its owner allowed more.

    A picture counts 1, a person who is uploaded counts 1. Without ``per_day`` nothing is counted or refused.
    """

    def __init__(self, folder: Path, per_day: int | None) -> None:
        self._folder, self._per_day = folder, per_day

    def check(self, count: int) -> None:
        """Raises AllowanceError when ``count`` more are not allowed now."""
        if self._per_day is not None:
            with self._alone(_UNSENT) as day:
                self._refuse_beyond(count, day, _UNSENT)

    def book(self, order: str, count: int, unsent: str) -> None:
        """Count an order before it is sent. One that is counted already may be sent again.

        Raises:
            AllowanceError: it is not allowed, or cannot be counted. ``unsent`` is the sentence on what was not sent.
        """
        if self._per_day is None:
            return
        with self._alone(unsent) as day:
            if self._orders(day).get(order):
                return
            self._refuse_beyond(count, day, unsent)
            self._write(day, order, count, "ordered")

    def release(self, order: str) -> None:
        """Take back an order of today for which nothing is charged. What cannot be written stays counted."""
        if self._per_day is None:
            return
        with suppress(AllowanceError), self._alone("") as day:
            if order in self._orders(day):
                self._write(day, order, 0, "ordered")

    def allow(self, count: int) -> None:
        """``count`` more today. Raises AllowanceError when it cannot be written down."""
        with self._alone("Nothing is allowed.") as day:
            self._write(day, datetime.now(timezone.utc).isoformat(), count, "allowed")

    def today(self) -> tuple[int, int | None]:
        """(counted today, the most that is allowed today); None: there is no limit."""
        with self._alone("") as day:
            return self._used(day), None if self._per_day is None else self._most(day)

    def _refuse_beyond(self, count: int, day: str, unsent: str) -> None:
        used, most = self._used(day), self._most(day)
        if used + count > most:
            raise AllowanceError(
                f"{PER_DAY_VARIABLE} allows {most} remote pictures and uploads today (UTC), {used} are counted, and "
                f"this would be {count} more. {unsent} To allow it today, run on this machine: faceid remote allow "
                f"{used + count - most}"
            )

    def _used(self, day: str) -> int:
        return sum(self._orders(day).values())

    def _most(self, day: str) -> int:
        return (self._per_day or 0) + sum(count for _, count, what in self._lines(day) if what == "allowed")

    def _orders(self, day: str) -> dict[str, int]:
        return {order: count for order, count, what in self._lines(day) if what == "ordered"}  # the last line counts

    def _lines(self, day: str) -> Iterator[tuple[str, int, str]]:
        """A line that cannot be read counts as an order of one picture."""
        with suppress(FileNotFoundError):
            for number, line in enumerate(self._file(day).read_bytes().decode("utf-8", "replace").splitlines()):
                if found := _LINE.fullmatch(line):
                    yield found[1], int(found[2]), found[3]
                elif line:
                    yield f"line {number}", 1, "ordered"

    def _write(self, day: str, order: str, count: int, what: str) -> None:
        with self._file(day).open("a", encoding="utf-8") as file:
            file.write(f"\n{order} {count} {what}\n")  # a line of its own, also after half a line of a killed process
            file.flush()
            os.fsync(file.fileno())
        sync_folder(self._folder)
        for old in sorted(self._folder.glob("*.txt"))[:-_KEPT]:
            old.unlink(missing_ok=True)

    def _file(self, day: str) -> Path:
        return self._folder / f"{day}.txt"

    @contextmanager
    def _alone(self, unsent: str) -> Iterator[str]:
        """Alone among all processes; the day."""
        from filelock import FileLock

        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with FileLock(self._folder / "lock", timeout=_WAIT, thread_local=False):
                yield datetime.now(timezone.utc).date().isoformat()
        except OSError as error:  # filelock.Timeout is one
            reason = error.strerror or "another process holds the lock"
            problem = f"{self._folder}: what is ordered today cannot be counted ({reason})."
            remedy = f"Make the folder writable, or remove the limit {PER_DAY_VARIABLE}."
            raise AllowanceError(" ".join(filter(None, (problem, unsent, remedy)))) from error
