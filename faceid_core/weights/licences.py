"""Licences that must be accepted before a download, and the record of accepted ones.

The record is one licence id per line in ``accepted-licences.txt`` in the user's configuration folder. The caller asks:
by a question on a terminal, a flag of a script, or a dialogue.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from pathlib import Path

from .errors import LicenceError
from .manifest import Licence, PublishedFile

log = logging.getLogger(__name__)

Accept = Callable[[Licence], bool]


def never(licence: Licence) -> bool:
    """Accepts nothing that was not accepted before."""
    return False


def agree(entries: Iterable[PublishedFile], accept: Accept) -> None:
    """Ask ``accept`` for every non-commercial licence of the files, once each, unless it was accepted before.

    Raises LicenceError if one is refused, before anything else is done.
    """
    needing: dict[Licence, list[str]] = {}
    for entry in entries:
        if not entry.licence.commercial:
            needing.setdefault(entry.licence, []).append(entry.name)
    before = accepted()
    for licence, names in needing.items():
        if licence.id in before:
            continue
        if not accept(licence):
            raise LicenceError(_refused(licence, names))
        remember(licence)


def accepted() -> frozenset[str]:
    """Ids of the licences accepted on this machine by this user."""
    try:
        return frozenset(_record().read_text(encoding="utf-8").split())
    except OSError:
        return frozenset()


def remember(licence: Licence) -> None:
    """Store the answer, so that it is not asked again. A failure is logged, not raised: the answer still counts now."""
    record = _record()
    try:
        record.parent.mkdir(parents=True, exist_ok=True)
        with record.open("a", encoding="utf-8") as file:
            file.write(f"{licence.id}\n")
    except OSError as error:
        log.warning("%s cannot be written (%s): the licence will be asked for again.", record, error.strerror)


def _record() -> Path:
    from platformdirs import user_config_path

    return user_config_path("faceid-tunes", appauthor=False) / "accepted-licences.txt"


def _refused(licence: Licence, names: list[str]) -> str:
    return (
        f'{", ".join(names)}: the licence "{licence.id}" must be accepted first. {licence.sentence} '
        f"Read it at {licence.url}. Nothing was downloaded. "
        f"Answer y when asked, or give --accept-license {licence.id} to `faceid weights fetch`."
    )
