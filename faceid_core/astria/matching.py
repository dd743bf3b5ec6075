"""Whether an object on the remote side is the one that a call sent."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from datetime import datetime, timedelta

from .wire.objects import RemotePrompt, RemoteTune

_CLOCKS_DIFFER = timedelta(seconds=10)  # at most, between the server's Date header and the created_at of its database


def before(after_id: int | None, moment: datetime | None) -> Callable[[RemoteTune | RemotePrompt], bool]:
    """Whether an object is older than that id or, without one, than that time of the server.

    Without either, nothing counts as older: an equal old object costs nothing, a second one does.
    """

    def is_older(made: RemoteTune | RemotePrompt) -> bool:
        if after_id is not None:
            return made.id <= after_id
        return moment is not None and made.created_at is not None and made.created_at < moment - _CLOCKS_DIFFER

    return is_older


def titled(title: str) -> Callable[[RemoteTune], bool]:
    """Whether a tune has exactly that title."""
    return lambda made: _normal(made.title or "") == _normal(title)


def saying(text: str, seed: int | None) -> Callable[[RemotePrompt], bool]:
    """Whether a prompt has that text and seed; None: any seed."""
    return lambda made: (seed is None or made.seed == seed) and _normal(made.text or "") == _normal(text)


def _normal(text: str) -> str:
    """The API stores a text unchanged; line ends and Unicode forms may change in transit."""
    return " ".join(unicodedata.normalize("NFC", text).split())
