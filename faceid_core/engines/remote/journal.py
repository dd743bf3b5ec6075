"""Prompts sent to the remote API and not finished: what a restart goes on with instead of paying again."""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

from ...errors import FaceIDError
from ...prompts import Prompt

_LIFETIME = timedelta(days=29)  # the API keeps images for 30 days


@dataclass(frozen=True)
class Pending:
    """A prompt on its way. ``began`` is before it was sent; without ``prompt_id`` it is unknown whether it arrived."""

    seed: int
    began: datetime
    prompt_id: int | None = None


class Journal:
    """A folder with one small file per unfinished prompt, written before it is sent and removed when all is here."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find(self, key: str) -> Pending | None:
        """What is known of a prompt that was begun and not finished, maybe before a restart."""
        try:
            told = json.loads(self._file(key).read_text(encoding="utf-8"))
            pending = Pending(int(told["seed"]), datetime.fromisoformat(told["began"]), told["prompt_id"])
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return pending if datetime.now(timezone.utc) - pending.began < _LIFETIME else None

    def begin(self, key: str, seed: int) -> Pending:
        """Note a prompt before it is sent. Raises FaceIDError when it cannot be noted: then it must not be sent."""
        pending = Pending(seed, datetime.now(timezone.utc))
        self._write(key, pending)
        return pending

    def sent(self, key: str, pending: Pending, prompt_id: int) -> Pending:
        """Note the id it was given."""
        pending = replace(pending, prompt_id=prompt_id)
        self._write(key, pending)
        return pending

    def finish(self, key: str) -> None:
        self._file(key).unlink(missing_ok=True)

    def _file(self, key: str) -> Path:
        return self._folder / f"{key}.json"

    def _write(self, key: str, pending: Pending) -> None:
        file = self._file(key)
        part = file.with_suffix(f".{os.getpid()}.part")
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with part.open("w", encoding="utf-8") as stream:
                json.dump(asdict(pending) | {"began": pending.began.isoformat()}, stream)
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(part, file)
        except OSError as error:
            with suppress(OSError):
                part.unlink()
            raise FaceIDError(
                f"{self._folder}: cannot be written ({error.strerror or error}), so a prompt sent now could be paid "
                "twice after a restart. Nothing was sent."
            ) from error


def journal_key(base_url: str, base_tune_id: int, prompt: Prompt) -> str:
    """sha256 (hex) of all that makes a prompt what it is; bytes of pictures count by their content."""
    digest = hashlib.sha256(repr((base_url, base_tune_id)).encode())
    for field in fields(prompt):
        digest.update(repr((field.name, getattr(prompt, field.name))).encode())
    return digest.hexdigest()
