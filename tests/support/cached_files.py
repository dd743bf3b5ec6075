"""Files that are slow to make, kept in a cache folder."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock


def cache_dir() -> Path:
    """``$XDG_CACHE_HOME/faceid-tunes-tests``, else ``~/.cache/faceid-tunes-tests``. Created."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(root) / "faceid-tunes-tests"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def cached(name: str, write: Callable[[Path], object]) -> Path:
    """The cached file ``name``, made once by ``write(path)``, whoever else asks meanwhile.

    Never seen half-written: it is renamed into place.
    """
    target = cache_dir() / name
    if target.exists():
        return target
    with FileLock(target.with_name(f".{name}.lock")):
        if not target.exists():
            handle, temporary = tempfile.mkstemp(prefix=f".{name}.", dir=target.parent)
            os.close(handle)
            try:
                write(Path(temporary))
                os.replace(temporary, target)
            finally:
                Path(temporary).unlink(missing_ok=True)
    return target
