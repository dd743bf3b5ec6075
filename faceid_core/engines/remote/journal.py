"""Orders sent to the remote API and not finished: what a restart goes on with instead of paying again."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ...astria.wire.objects_json import read_time
from ...disk import sync_folder
from ...errors import FaceIDError
from ...prompts import Prompt
from .allowance import Allowance
from .turns import turn

_log = logging.getLogger(__name__)

_NOTHING = "Nothing was sent."
_NOTE_SIZE = 8192  # bytes; a longer text than most
_STALE = 3600.0  # seconds; a half-written file of a process that was killed


class DamagedNoteError(FaceIDError):
    """A note is there and cannot be read: what it is about may have been sent."""


@dataclass(frozen=True)
class Pending:
    """An order on its way; without ``prompt_id`` it is unknown whether it arrived.

    Attributes:
        seed: it was sent with.
        began: when it was first noted, by this machine's clock: for people. Nothing is decided by it.
        prompt_id: the id it was given.
        after_id: the newest id on the remote side before it was sent; its own is larger.
        text: as it was sent, with the remote ids in its tags.
        server_began: when it was first sent, by the server's clock. None: the server had not told its time.
        server_sent: when a request for it was last under way, by the server's clock.
        is_answered: the server said yes, and its answer could not be read.
    """

    seed: int
    began: datetime
    prompt_id: int | None = None
    after_id: int | None = None
    text: str | None = None
    server_began: datetime | None = None
    server_sent: datetime | None = None
    is_answered: bool = False


class Journal:
    """A folder with one small file per unfinished order, written before it is sent and removed when all is here.

    Beside it lie a folder with the locks that hold back a second sender of the same order, and one with the counts of
    each day.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def turn(self, key: str) -> AbstractAsyncContextManager[None]:
        """Alone with this order, among all tasks, threads and processes that use this folder."""
        return turn(self._folder.with_name(f"{self._folder.name}.locks"), key)

    def allowance(self, per_day: int | None) -> Allowance:
        """What may be ordered in a day with this journal."""
        return Allowance(self._folder.with_name(f"{self._folder.name}.days"), per_day)

    def check(self) -> None:
        """Raises FaceIDError when nothing could be noted: before anything is sent, so that "nothing" is true."""
        trial = self._folder / f"check-{os.getpid()}-{threading.get_ident()}.trial"
        self._put(trial, "0" * _NOTE_SIZE, _NOTHING)
        self._remove(trial)
        for left in (*self._folder.glob("*.part"), *self._folder.glob("*.trial")):
            with suppress(OSError):
                if time.time() - left.stat().st_mtime > _STALE:
                    left.unlink()

    def find(self, key: str) -> Pending | None:
        """What is known of an order that was begun and not finished, maybe before a restart.

        Raises:
            DamagedNoteError: there is a note, and it cannot be read.
        """
        file = self._file(key)
        try:
            return _read(json.loads(file.read_bytes().decode("utf-8")))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else "its content is damaged"
            raise DamagedNoteError(
                f"{file}: this note of an earlier order of the same prompt cannot be read ({reason}), so it may have "
                "been sent and paid."
            ) from None

    def begin(self, key: str, seed: int, unsent: str = _NOTHING, **known: Any) -> Pending:
        """Note an order before it is sent; ``known`` are the other fields of Pending.

        Raises:
            FaceIDError: it cannot be noted: then it must not be sent. ``unsent`` is the sentence that says so.
        """
        pending = Pending(seed, known.pop("began", datetime.now(timezone.utc)), **known)
        self._write(key, pending, unsent)
        return pending

    def sent(self, key: str, pending: Pending, prompt_id: int) -> Pending:
        """Note the id it was given. It is sent and paid: a full disk is told in the log, and is no error."""
        return self._renote(key, replace(pending, prompt_id=prompt_id))

    def answered(self, key: str, pending: Pending) -> Pending:
        """Note that the server said yes in an answer that cannot be read."""
        return self._renote(key, replace(pending, is_answered=True))

    def finish(self, key: str, prompt_id: int | None = None) -> None:
        """Forget it; with ``prompt_id`` only if the note is about that one, and not about a later order."""
        with suppress(DamagedNoteError):
            noted = self.find(key)
            if prompt_id is not None and noted is not None and noted.prompt_id not in (None, prompt_id):
                return
        self._remove(self._file(key))

    def others(self, key: str) -> Iterator[int]:
        """The ids that the notes of other orders are about."""
        for file in self._folder.glob("*.json"):
            with suppress(DamagedNoteError):
                noted = self.find(file.stem) if file.stem != key else None
                if noted is not None and noted.prompt_id is not None:
                    yield noted.prompt_id

    def where(self, key: str) -> Path:
        """The file of a note, for people."""
        return self._file(key)

    def _file(self, key: str) -> Path:
        return self._folder / f"{key}.json"

    def _renote(self, key: str, pending: Pending) -> Pending:
        try:
            self._write(key, pending, "It was sent all the same")
        except FaceIDError as error:
            _log.warning("%s: if this process ends now, the next run of the prompt looks for it.", error)
        return pending

    def _write(self, key: str, pending: Pending, unsent: str) -> None:
        self._put(self._file(key), json.dumps(asdict(pending), default=datetime.isoformat), unsent)

    def _put(self, file: Path, content: str, unsent: str) -> None:
        part = file.with_suffix(f".{os.getpid()}.part")
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with part.open("w", encoding="utf-8") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(part, file)
            sync_folder(self._folder)
        except OSError as error:
            with suppress(OSError):
                part.unlink()
            raise FaceIDError(
                f"{self._folder}: cannot be written ({error.strerror or error}), so what is sent now could be paid "
                f"twice after a restart. {unsent}"
            ) from error

    def _remove(self, file: Path) -> None:
        try:
            file.unlink(missing_ok=True)
            sync_folder(self._folder)
        except OSError as error:
            # The pictures are here. A note too many costs nothing: the same prompt fetches the same pictures again.
            _log.warning("%s: cannot be removed (%s).", file, error.strerror or error)


def journal_key(base_url: str, base_tune_id: int, prompt: Prompt) -> str:
    """sha256 (hex) of all that makes a prompt what it is; bytes of pictures count by their content."""
    digest = hashlib.sha256(repr((base_url, base_tune_id)).encode())
    for field in fields(prompt):
        digest.update(repr((field.name, getattr(prompt, field.name))).encode())
    return digest.hexdigest()


def upload_key(base_url: str, title: str) -> str:
    """The key of a tune that is uploaded: its title there says whose photos it is made of."""
    return hashlib.sha256(repr(("tune", base_url, title)).encode()).hexdigest()


def _read(told: Any) -> Pending:
    """Raises ValueError, KeyError or TypeError for anything that is no note."""
    began = read_time(told["began"])
    if began is None:
        raise ValueError("no time")
    text = told.get("text")
    if not isinstance(text, str | None):
        raise TypeError("there is no text")
    return Pending(
        seed=_number(told["seed"]),
        began=began,
        prompt_id=_number_or_none(told["prompt_id"]),
        after_id=_number_or_none(told.get("after_id")),
        text=text,
        server_began=read_time(told.get("server_began")),
        server_sent=read_time(told.get("server_sent")),
        is_answered=told.get("is_answered") is True,
    )


def _number(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**63:
        raise TypeError("not a number")
    return value


def _number_or_none(value: object) -> int | None:
    return None if value is None else _number(value)
