"""A job: a prompt that somebody has posted to the service, and how far it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

QUEUED, RUNNING, DONE, FAILED = STATES = ("queued", "running", "done", "failed")


@dataclass(frozen=True)
class StoredPicture:
    """A finished picture in the store's files. ``name`` is its address, which nobody guesses."""

    name: str
    sha256: str
    media_type: str


@dataclass(frozen=True)
class Job:
    """One row of the table of prompts. Times are timezone-aware UTC.

    Attributes:
        owner: the id of the token that posted it; 0 for whoever is on this machine.
        tune_id: the base model it was posted to.
        fields: what ``fields.prompt_from_json`` makes the prompt of.
        base_url: the service's address as the client calls it; callbacks name pictures below it.
        state: of ``STATES``.
        attempt: how many workers have begun it.
        user_error: why it failed, for the client.
        notes: what a person should know of how it was drawn.
    """

    id: int
    owner: int
    tune_id: int
    text: str
    fields: Mapping[str, Any] = field(repr=False)
    base_url: str
    priority: int
    state: str
    attempt: int
    created_at: datetime
    updated_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    expires_at: datetime | None = None
    user_error: str | None = None
    notes: tuple[str, ...] = ()
    orig_prompt_id: int | None = None
    is_liked: bool = False
    pictures: tuple[StoredPicture, ...] = ()


@dataclass(frozen=True)
class Claim:
    """A worker's right to draw a job until its lease ends; ``fence`` is void once another worker has claimed it."""

    job: Job
    fence: int
    worker: str


@dataclass(frozen=True)
class FinishedPicture:
    """An encoded picture that a worker hands in."""

    data: bytes = field(repr=False)
    media_type: str
