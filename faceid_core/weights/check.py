"""Whether a model file exists, and whether it is the published one."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..cache import LRUCache
from ..disk import open_regular
from ..model_files.impostor import impostor
from .errors import WeightsError
from .folders import ModelFolders
from .manifest import PublishedFile, manifest

if TYPE_CHECKING:
    from tqdm import tqdm

_BLOCK = 1 << 20
_AT_ONCE = 256 << 20  # bytes; 0.2 s per 100 MB. A larger file is hashed while it is used already

_differences: LRUCache[str] = LRUCache(limit=64)
_in_background = threading.Semaphore()  # one file at a time, so that the disk is left to whoever loads models
log = logging.getLogger(__name__)

Bar = Callable[..., "tqdm[Any]"]  # tqdm, or anything that takes the same arguments


class State(Enum):
    MISSING = "missing"
    FOUND = "found"  # as far as checked: it has the published size, or the published hash
    DIFFERS = "differs"  # not the published file, but perhaps as good: another revision, a conversion
    DAMAGED = "damaged"  # certainly not a model


@dataclass(frozen=True)
class Check:
    """path: None when missing. detail: what is wrong or unknown, in words. sha256: None when not computed."""

    entry: PublishedFile
    state: State
    path: Path | None = None
    detail: str = ""
    sha256: str | None = None


def look(entry: PublishedFile, folders: ModelFolders) -> Check:
    """Check name, size and first bytes: quick, because the file is not read."""
    path = folders.find(entry)
    if path is None:
        return Check(entry, State.MISSING)
    size, start = _size_and_start(path)
    if kind := impostor(start):
        return Check(entry, State.DAMAGED, path, f"it is {kind.value} saved under the model's name")
    if entry.size is not None and size != entry.size:
        shorter = ": cut short, or another revision" if size < entry.size else ": another revision"
        return Check(
            entry, State.DIFFERS, path, f"it has {size:,} bytes, the published file has {entry.size:,}{shorter}"
        )
    return Check(entry, State.FOUND, path)


def verify(entry: PublishedFile, folders: ModelFolders, bar: Bar | None = None) -> Check:
    """``look``, and compare the whole file's sha256 with the published one."""
    looked = look(entry, folders)
    if looked.path is None or looked.state is State.DAMAGED:
        return looked
    sha256 = file_sha256(looked.path, bar)
    if entry.sha256 is None:
        return Check(entry, looked.state, looked.path, looked.detail or "no published sha256 is known", sha256)
    if sha256 == entry.sha256:
        return Check(entry, State.FOUND, looked.path, sha256=sha256)
    detail = looked.detail or "it differs from the published file"
    return Check(entry, State.DIFFERS, looked.path, f"{detail} (sha256 {sha256}, published {entry.sha256})", sha256)


def warn_if_changed(path: Path) -> None:
    """Log a warning for a file of a published name that is not the published file: it draws something else, maybe.

    The sizes are compared at once. A file of the right size is hashed once per process, and again when its size, time
    or inode changes: at once up to 256 MB (0.2 s for an adapter of 100 MB), a larger one in a thread that nobody waits
    for.
    """
    try:
        stat = path.stat()
    except OSError:
        return  # whoever reads it says so
    entry = next((one for one in manifest() if _is_called(one, path.name, stat.st_size)), None)
    if entry is None or entry.size is None:
        return
    key = (path, stat.st_size, stat.st_mtime_ns, stat.st_ino)
    if stat.st_size == entry.size > _AT_ONCE:
        _differences.get_or_make(key, lambda: _later(entry, path))
    elif text := _differences.get_or_make(key, lambda: _difference(entry, path)):
        _warn(path, text)


def _is_called(entry: PublishedFile, name: str, size: int) -> bool:
    # Another common name says little: model.safetensors of another size is another model.
    return name == entry.name or (name in entry.also_named and size == entry.size)


def _later(entry: PublishedFile, path: Path) -> str:
    def look() -> None:
        with _in_background, contextlib.suppress(WeightsError):  # gone by now
            if text := _difference(entry, path):
                _warn(path, text)

    threading.Thread(target=look, name=f"faceid-hash-{path.name}", daemon=True).start()
    return ""


def _warn(path: Path, text: str) -> None:
    log.warning("%s is not the file published under this name: %s.", path, text)


def _difference(entry: PublishedFile, path: Path) -> str:
    """What differs from the published file; "" when nothing does, or it is not known."""
    size = path.stat().st_size
    if size != entry.size:
        return f"it has {size:,} bytes, the published file {entry.size:,}"
    if entry.sha256 is None or file_sha256(path) == entry.sha256:
        return ""
    return f"its sha256 is another than the published {entry.sha256}"


def file_sha256(path: Path, bar: Bar | None = None) -> str:
    """Lower-case hex. Raises WeightsError when the file cannot be read."""
    digest = hashlib.sha256()
    try:
        with open_regular(path) as file, _progress(bar, path) as progress:
            while block := file.read(_BLOCK):
                digest.update(block)
                if progress is not None:
                    progress.update(len(block))
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror}.") from error
    return digest.hexdigest()


def _progress(bar: Bar | None, path: Path) -> contextlib.AbstractContextManager[tqdm[Any] | None]:
    if bar is None:
        return contextlib.nullcontext()
    return bar(total=path.stat().st_size, desc=f"checking {path.name}", unit="B", unit_scale=True, disable=None)


def _size_and_start(path: Path) -> tuple[int, bytes]:
    try:
        with open_regular(path) as file:
            return path.stat().st_size, file.read(512)
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror}.") from error
