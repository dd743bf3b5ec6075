"""Download model files to the folders where ComfyUI looks for them.

A file gets its final name last, by one rename, when it is complete, on the disk, and has the published hash. Until then
it is ``<name>.part`` in the same folder: a crash, a full disk, Ctrl-C or a power cut leave that part, and the next
fetch continues from it. One process at a time downloads a file; others wait for it and use its result.
"""

from __future__ import annotations

import contextlib
import logging
import os
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from ..damaged_zip import DAMAGED_ZIP
from ..disk import sync_folder
from .check import Bar, Check, State, file_sha256, look
from .errors import DownloadError, StorageError
from .folders import ModelFolders
from .licences import Accept, agree, never
from .manifest import PublishedFile
from .transfer import Patience, Tell, download, open_part, refuse_other_than_files

log = logging.getLogger(__name__)

_BLOCK = 1 << 20


@dataclass(frozen=True)
class Fetched:
    """A file that is in its place now.

    Attributes:
        downloaded: False if it was there before; then ``check`` gives its state.
        sha256: of a downloaded file; ``verified``: whether that is the published one (else no published one is known).
    """

    entry: PublishedFile
    path: Path
    downloaded: bool
    sha256: str | None = None
    check: Check | None = None

    @property
    def verified(self) -> bool:
        return self.sha256 is not None and self.sha256 == self.entry.sha256


def fetch_each(
    entries: Iterable[PublishedFile],
    folders: ModelFolders,
    accept: Accept = never,
    *,
    bar: Bar | None = None,
    tell: Tell = log.info,
    patience: Patience | None = None,
) -> Iterator[Fetched]:
    """Download what is missing; yields each file when it is in its place.

    An existing file stays unchanged, even if it is not the published one; only a file that is certainly not a model (a
    web page saved under its name) is replaced. ``accept`` is asked for each licence before the first byte. ``bar``
    makes progress bars (tqdm by default, on a terminal only), ``tell`` gets messages, one sentence at a time.

    Raises:
        LicenceError: a licence was not accepted.
        DownloadError: with the URL and the path for a download by hand.
        StorageError: the disk is full, or the folder cannot be written to.
    """
    if bar is None:
        from tqdm import tqdm

        bar = partial(tqdm, disable=None)
    entries = list(dict.fromkeys(entries))
    agree((entry for entry in entries if _wanting(look(entry, folders))), accept)
    done: set[PublishedFile] = set()
    for entry in entries:
        if entry in done:
            continue
        together = [other for other in entries if other.url == entry.url]  # members of one zip
        done.update(together)
        yield from _fetch_together(together, folders, bar, tell, patience or Patience())


def by_hand(entry: PublishedFile, target: Path) -> str:
    """What to do without a network: the URL, and the path to save it as."""
    if entry.member is None:
        return f"Download {entry.url} in another way and save it as {target}."
    return f"Download {entry.url} in another way, and save {entry.member} from it as {target}."


def _fetch_together(
    entries: list[PublishedFile], folders: ModelFolders, bar: Bar, tell: Tell, patience: Patience
) -> Iterator[Fetched]:
    """One file, or files of one zip."""
    targets = _targets(entries, folders)
    if targets:
        part = _part(*next(iter(targets.items())))
        with _alone(part, tell):
            targets = _targets(entries, folders)  # another process may have downloaded it meanwhile
            if targets:
                sha256 = _download(part, targets, bar, tell, patience)
            for entry, target in targets.items():
                if entry.member is None:
                    _put_in_place(part, target)
                else:
                    sha256 = _extract(entry, part, target)
                yield Fetched(entry, target, True, sha256)
            part.unlink(missing_ok=True)  # the zip
    for check in (look(entry, folders) for entry in entries if entry not in targets):
        yield Fetched(check.entry, check.path or folders.target(check.entry), False, check=check)


def _targets(entries: list[PublishedFile], folders: ModelFolders) -> dict[PublishedFile, Path]:
    """The target of each missing file; an existing file that is not a model is replaced."""
    checks = (look(entry, folders) for entry in entries)
    return {check.entry: check.path or folders.target(check.entry) for check in checks if _wanting(check)}


def _part(entry: PublishedFile, target: Path) -> Path:
    name = target.name if entry.member is None else PurePosixPath(urlsplit(entry.url).path).name
    return target.with_name(name + ".part")


def _wanting(check: Check) -> bool:
    return check.state in (State.MISSING, State.DAMAGED)


def _download(part: Path, targets: dict[PublishedFile, Path], bar: Bar, tell: Tell, patience: Patience) -> str:
    try:
        if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
            raise DownloadError("HF_HUB_OFFLINE forbids it")
        return download(next(iter(targets)).download, part, bar, tell, patience)
    except DownloadError as error:
        names = ", ".join(entry.name for entry in targets)
        reason = str(error).rstrip(".")
        hands = " ".join(by_hand(entry, target) for entry, target in targets.items())
        check = "faceid weights verify " + " ".join(entry.id for entry in targets)
        raise DownloadError(
            f"{names} could not be downloaded: {reason}. {hands} `{check}` then says whether it is the right file."
        ) from error


@contextlib.contextmanager
def _alone(part: Path, tell: Tell) -> Iterator[None]:
    """Hold the lock of a download; its folder is created first, and the lock file removed at the end."""
    from filelock import FileLock, Timeout

    path = part.with_name(f".{part.name}.lock")
    lock = FileLock(path)
    try:
        part.parent.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            tell(f"{part.name}: another process is downloading it; waiting")
            lock.acquire(poll_interval=0.2)
    except OSError as error:
        raise StorageError(
            f"{part.parent} cannot be written to: {error.strerror or error}. Make it writable, or choose another "
            f"folder (--models, or FACEID_MODELS)."
        ) from error
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # Windows does not remove open files
            path.unlink()
        lock.release()


def _extract(entry: PublishedFile, archive: Path, target: Path) -> str:
    """Extract one member of a zip, check it and put it into its place. A known hash of the zip is checked before."""
    part = target.with_name(target.name + ".part")
    refuse_other_than_files(part)
    try:
        with zipfile.ZipFile(archive) as zipped:
            info = next((info for info in zipped.infolist() if _is_member(info, entry)), None)
            if info is None or entry.size not in (None, info.file_size):
                raise DownloadError(f"{entry.url} contains no {entry.member} of {entry.size} bytes.")
            with zipped.open(info) as source, open_part(part, keep=False) as copy:
                while block := source.read(_BLOCK):
                    copy.write(block)
                copy.flush()
                os.fsync(copy.fileno())
        sha256 = file_sha256(part)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise StorageError(
            f"{part} cannot be written: {error.strerror or error}. Free space on the disk and fetch again."
        ) from error
    except DAMAGED_ZIP as error:
        archive.unlink()
        part.unlink(missing_ok=True)
        raise DownloadError(f"{entry.url} is not a zip file that can be read ({error}). It was deleted.") from error
    if entry.sha256 not in (None, sha256):
        part.unlink()
        raise DownloadError(
            f"{entry.member} of {entry.url} is not the published file: its sha256 is {sha256}, it should be "
            f"{entry.sha256}. It was deleted."
        )
    _put_in_place(part, target)
    return sha256


def _is_member(info: zipfile.ZipInfo, entry: PublishedFile) -> bool:
    # Some packs are zipped with their folder, some are not.
    return not info.is_dir() and PurePosixPath(info.filename).name == PurePosixPath(entry.member or "").name


def _put_in_place(part: Path, target: Path) -> None:
    """Rename, safe from a power cut; the content is on the disk already."""
    try:
        os.replace(part, target)
        sync_folder(target.parent)
    except OSError as error:
        raise StorageError(f"{part} is complete but cannot be renamed to {target}: {error.strerror}.") from error
