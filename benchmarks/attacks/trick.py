"""A trick, and whether it was held: a sentence or no harm; never a traceback, a hang, or something outside."""

from __future__ import annotations

import os
import random
import resource
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from faceid_tunes.faceid_core.errors import FaceIDError, printable

SECONDS = 30.0  # of the processor, for one trick
WAITS = 120.0  # by the clock: the first trick of an area imports its libraries, and others use the machine, too
MEMORY = 2_000_000  # KiB that one trick may add at its height
LONGEST = 4000  # characters of a sentence

Try = Callable[[], object]
Tricks = Iterator[tuple[str, Try]]


@dataclass(frozen=True)
class Place:
    """Where an area works. Nothing may change in ``outside``; ``mark`` is made by code that should not run."""

    folder: Path

    @property
    def outside(self) -> Path:
        return self.folder / "outside"

    @property
    def mark(self) -> Path:
        return self.outside / "code-ran"

    @property
    def inside(self) -> Path:
        return self.folder / "inside"


@dataclass(frozen=True)
class Area:
    """What is tried on one kind of input.

    Attributes:
        tricks: (name, what to do) of each.
        mutated: the same for damaged files, without end; ``share`` is their part of all.
        in_comfyui: it runs in ComfyUI's own Python.
    """

    name: str
    tricks: Callable[[Place], Tricks]
    mutated: Callable[[Place, random.Random], Tricks] | None = None
    share: float = 0.0
    in_comfyui: bool = False


@dataclass(frozen=True)
class Outcome:
    is_held: bool
    said: str


class TookTooLongError(BaseException):
    """Not an Exception, so that nobody on the way catches it."""


def _over(*_: object) -> None:
    raise TookTooLongError


def outcome(place: Place, attempt: Try) -> Outcome:
    """Runs one trick. What is returned as text is what a user reads."""
    signal.signal(signal.SIGALRM, _over)
    before = _height()
    signal.setitimer(signal.ITIMER_REAL, WAITS)
    started = time.process_time()
    try:
        found = _told(attempt)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    seconds, grown = time.process_time() - started, _height() - before
    left = sorted(path.name for path in place.outside.iterdir())
    if left != ["secret"]:
        for name in set(left) - {"secret"}:
            (place.outside / name).unlink()
        return Outcome(False, f"something outside: {left}; {found.said}")
    if (place.outside / "secret").read_bytes() != SECRET.encode():
        (place.outside / "secret").write_text(SECRET)
        return Outcome(False, f"written outside; {found.said}")
    if grown > MEMORY:
        return Outcome(False, f"{grown // 1024} MB; {found.said}")
    return Outcome(found.is_held and seconds < SECONDS, found.said)


def _told(attempt: Try) -> Outcome:
    try:
        found = attempt()
    except TookTooLongError:
        return Outcome(False, f"took longer than {WAITS:.0f} s")
    except FaceIDError as error:
        return _sentence(str(error))
    except SystemExit as end:
        return Outcome(end.code in (0, 2), f"exit status {end.code}")
    except BaseException as error:
        return Outcome(False, f"{type(error).__name__}: {error}"[:400])
    return _sentence(found) if isinstance(found, str) else Outcome(True, "no harm")


def _sentence(said: str) -> Outcome:
    faults = [
        *(["empty"] if len(said) < 10 else []),
        *([f"{len(said)} characters"] if len(said) > LONGEST else []),
        *(["steers the terminal"] if printable(said) != said else []),
        *(["a traceback"] if "Traceback" in said or 'File "' in said else []),
        *(["tells a secret"] if SECRET in said else []),
    ]
    return Outcome(not faults, f"{', '.join(faults)}: {said[:400]}" if faults else said)


SECRET = "sd_attackers3want2this1key0"


def _height() -> int:
    """The most memory that this process has had, in KiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def damaged(content: bytes, draw: random.Random) -> bytes:
    """Some bytes changed, put in, cut out, repeated or zeroed, at the beginning or anywhere; or the end is missing."""
    data = bytearray(content)
    reach = min(len(data), 512) if draw.random() < 0.5 else len(data)
    for _ in range(draw.randrange(1, 9)):
        start, length = draw.randrange(max(1, reach)), draw.randrange(1, 33)
        kind = draw.randrange(6)
        if kind == 0:
            data[start : start + 1] = draw.randbytes(1)
        elif kind == 1:
            data[start:start] = draw.randbytes(length)
        elif kind == 2:
            del data[start : start + length]
        elif kind == 3:
            data[start:start] = data[start : start + length]
        elif kind == 4:
            data[start : start + length] = bytes(len(data[start : start + length]))
        elif draw.random() < 0.3:
            del data[start:]
    return bytes(data)


def written(path: Path, content: bytes) -> Path:
    with suppress(FileNotFoundError):
        os.unlink(path)
    path.write_bytes(content)
    return path
