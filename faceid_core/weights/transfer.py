"""One URL downloaded into one ``.part`` file: resumed, retried and checked.

With requests and tqdm. The two libraries for this task were tried first. pooch cannot resume. huggingface_hub resumes
in a function that is not public, stops when a connection is reset in mid-file, fixes its timeout and waits at import,
and checks the size but not the hash.
"""

from __future__ import annotations

import errno
import logging
import os
import re
import shutil
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from ..model_files.impostor import impostor
from .check import Bar, file_sha256
from .errors import DownloadError, StorageError
from .manifest import Download
from .server import AgainError, cause, host, hub, mirrored, no_connection, number, refuse_status, stalled

if TYPE_CHECKING:
    import requests
    from tqdm import tqdm

log = logging.getLogger(__name__)

_CHUNK = 1 << 16  # the most that an interrupted read loses
_LONGEST_WAIT = 60.0  # seconds, even if a server asks for more
_CONTENT_RANGE = re.compile(r"bytes (?:(\d{1,18})-\d{1,18}|\*)/(\d{1,18}|\*)", re.ASCII)
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Patience:
    """How long to try a download.

    Attributes:
        timeout: seconds without a byte.
        attempts: in a row without new data.
        pause: seconds before the second attempt, doubled each time.
    """

    timeout: float = 30.0
    attempts: int = 5
    pause: float = 1.0


def download(wanted: Download, part: Path, bar: Bar, tell: Tell, patience: Patience) -> str:
    """Complete ``part`` to the published file, from where an earlier download stopped. Returns its sha256.

    A part without the published hash is deleted. If an earlier download began it, the download starts again from the
    beginning; otherwise it fails. A part of a file without a known hash is never resumed, because nothing would show
    that the file has changed.

    Raises:
        DownloadError: it could not be transferred, or is not the published file.
        StorageError: the disk is full, or the part cannot be written.
    """
    refuse_other_than_files(part)
    resumed = _begun(wanted, part)
    if resumed:
        tell(f"{part.name}: continuing after {_size(part):,} bytes")
    while True:
        _check_room(wanted, part)
        if not wanted.size or _size(part) != wanted.size:
            try:
                _Transfer(wanted, part, bar, tell, patience).run()
            finally:
                if not _size(part):
                    part.unlink(missing_ok=True)
        sha256 = file_sha256(part, bar)
        if wanted.sha256 in (None, sha256):
            return sha256
        part.unlink()
        if not resumed:
            raise DownloadError(
                f"{wanted.url} does not send the published file: its sha256 is {sha256}, it should be "
                f"{wanted.sha256}. It was deleted. Try again later; if it fails again, the published file has changed."
            )
        tell(f"{part.name}: the part from an earlier download was damaged; starting from the beginning")
        resumed = False


class _Transfer:
    """Attempts at one file. The part grows with each attempt; the hash is not checked here."""

    def __init__(self, wanted: Download, part: Path, bar: Bar, tell: Tell, patience: Patience) -> None:
        self._wanted = wanted
        self._url = mirrored(wanted.url)
        self._part = part
        self._bar = bar
        self._tell = tell
        self._patience = patience
        self._etag: str | None = None  # of the content that the part begins
        self._reached = False

    def run(self) -> None:
        """Attempt until the part is complete, or enough attempts in a row gave no new data."""
        import requests

        most, failures = _size(self._part), 0
        with requests.Session() as session, self._progress() as progress:
            while True:
                try:
                    self._attempt(session, progress)
                    return
                except AgainError as trouble:
                    have = _size(self._part)
                    failures = 0 if have > most else failures + 1
                    most = max(most, have)
                    if failures >= self._patience.attempts:
                        raise DownloadError(f"{trouble}, {failures} times in a row ({self._url})") from trouble
                    self._tell(f"{self._part.name}: {trouble} after {have:,} bytes; trying again")
                    pause = self._patience.pause * 2 ** max(failures - 1, 0)
                    time.sleep(min(max(pause, trouble.wait), _LONGEST_WAIT))

    def _attempt(self, session: requests.Session, progress: tqdm[Any]) -> None:
        import requests

        have = _size(self._part)
        try:
            with self._get(session, have) as response:
                self._reached = True
                total = self._receive(response, have, progress)
        except requests.RequestException as error:  # before OSError, because it is one
            self._connection_failed(error)
        except OSError as error:
            raise _storage_error(error, self._part) from error
        have, expected = _size(self._part), self._wanted.size or total
        if expected is not None and have < expected:
            raise AgainError("the server ended the transfer too early")
        if expected is not None and have > expected:
            self._refuse_size(have)

    def _get(self, session: requests.Session, have: int) -> requests.Response:
        headers = {"Accept-Encoding": "identity", "User-Agent": "faceid-tunes"}
        if have:
            headers["Range"] = f"bytes={have}-"
            if self._etag:
                headers["If-Range"] = self._etag
        if (token := os.environ.get("HF_TOKEN")) and self._url.startswith(hub() + "/"):
            headers["Authorization"] = f"Bearer {token}"
        timeout = self._patience.timeout
        return session.get(self._url, headers=headers, stream=True, timeout=(min(timeout, 10.0), timeout))

    def _receive(self, response: requests.Response, have: int, progress: tqdm[Any]) -> int | None:
        """Write the body after the bytes of the part, or instead of them. Returns the whole file's size if known."""
        start, total = self._start_and_total(response, have)
        if total is not None and self._wanted.size is not None and total > self._wanted.size:
            self._refuse_size(total)
        if response.headers.get("ETag", "").startswith('"'):  # a weak one (W/"...") does not identify the bytes
            self._etag = response.headers["ETag"]
        with open_part(self._part, keep=bool(have)) as file:
            file.seek(start)
            file.truncate()
            progress.total = self._wanted.size or total
            progress.n = start
            progress.refresh()
            for number, chunk in enumerate(response.iter_content(_CHUNK)):
                if start == number == 0:
                    self._refuse_impostor(chunk)
                file.write(chunk)
                progress.update(len(chunk))
                if self._wanted.size is not None and file.tell() > self._wanted.size:
                    break
            file.flush()
            os.fsync(file.fileno())
        return total

    def _start_and_total(self, response: requests.Response, have: int) -> tuple[int, int | None]:
        said = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
        first, total = said.groups() if said else (None, None)
        total = int(total) if total and total.isdigit() else None
        if response.status_code == 416:  # the server has nothing after the part's bytes
            if have == total and self._wanted.size not in (None, total):
                self._refuse_size(total)
            if have == total:
                return have, total
            self._part.unlink(missing_ok=True)
            raise AgainError("the part does not match the file on the server")
        refuse_status(response, self._url)
        if response.status_code == 206:
            if first is not None and int(first) == have:
                return have, total
            self._part.unlink(missing_ok=True)
            raise AgainError("the server sent a part that was not asked for")
        length = number(response.headers.get("Content-Length", ""))
        return 0, length if "Content-Encoding" not in response.headers else None

    def _refuse_size(self, found: int) -> None:
        self._part.unlink(missing_ok=True)
        raise DownloadError(
            f"{self._url} does not send the published file: {found:,} bytes or more, not {self._wanted.size:,}"
        )

    def _refuse_impostor(self, start: bytes) -> None:
        if kind := impostor(start):
            raise DownloadError(f"{self._url} sends {kind.value} instead of a model")

    def _connection_failed(self, error: requests.RequestException) -> None:
        import requests

        if isinstance(error, requests.exceptions.SSLError):
            raise DownloadError(f"the connection to {host(self._url)} is not secure ({cause(error)})") from error
        if isinstance(error, ValueError | requests.TooManyRedirects):  # not a URL, or endless redirects
            raise DownloadError(f"{self._url} cannot be followed ({error})") from error
        if not self._reached and no_connection(error):
            raise DownloadError(f"{host(self._url)} cannot be reached ({cause(error)})") from error
        if stalled(error):
            raise AgainError(f"no data for {self._patience.timeout:g} seconds") from error
        raise AgainError("the connection was lost") from error

    def _progress(self) -> tqdm[Any]:
        name = self._part.name.removesuffix(".part")
        return self._bar(total=self._wanted.size, desc=name, unit="B", unit_scale=True, disable=None)


def _begun(wanted: Download, part: Path) -> bool:
    """Whether the part can be resumed; it is deleted if not."""
    have = _size(part)
    if not have:
        return False
    if wanted.sha256 is None or (wanted.size is not None and have > wanted.size):
        part.unlink()
        return False
    return True


def open_part(part: Path, *, keep: bool) -> BinaryIO:
    """A part, open for writing; its content is kept or not. What it links to is never written to.

    Raises:
        OSError: it cannot be opened, or is a link.
    """
    flags = os.O_RDWR | os.O_CREAT | (0 if keep else os.O_TRUNC)
    more = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)
    return os.fdopen(os.open(part, flags | more, 0o666), "r+b")


def refuse_other_than_files(part: Path) -> None:
    """A part is ours: what somebody else put in its place is not written through, and not waited for.

    Raises:
        StorageError: there is something in its place that is no regular file, or that has another name as well.
    """
    try:
        found = part.lstat()
    except FileNotFoundError:
        return
    except OSError as error:
        raise _storage_error(error, part) from error
    is_shared = stat.S_ISREG(found.st_mode) and found.st_nlink > 1  # what is written into it changes elsewhere, too
    if is_shared or not stat.S_ISREG(found.st_mode):
        is_link = is_shared or stat.S_ISLNK(found.st_mode)
        what = "a link" if is_link else "a folder, a device or a pipe"
        raise StorageError(f"{part} is {what}, not the part of a download. Remove it and fetch again.")


def _check_room(wanted: Download, part: Path) -> None:
    if wanted.size is None:
        return
    missing, free = wanted.size - _size(part), shutil.disk_usage(part.parent).free
    if missing > free:
        raise StorageError(
            f"{part.parent}: the disk is full: {part.name.removesuffix('.part')} needs {missing:,} more bytes, "
            f"{free:,} are free. Make room, or choose another folder (--models, or FACEID_MODELS)."
        )


def _storage_error(error: OSError, part: Path) -> StorageError:
    if error.errno in _FULL:
        return StorageError(
            f"{part.parent}: the disk is full ({error.strerror}). Make room and fetch again: the {_size(part):,} bytes "
            f"in {part.name} are kept and the download continues from there."
        )
    return StorageError(f"{part} cannot be written: {error.strerror or error}.")


def _size(part: Path) -> int:
    try:
        return part.stat().st_size
    except OSError:
        return 0
