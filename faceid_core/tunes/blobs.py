"""Photos and embeddings as files named by the sha256 of their content, in a folder or a bucket."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import tempfile
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from ..disk import sync_folder
from .columns import is_sha256
from .errors import TuneError, TuneStorageError

_INCOMING = "incoming"  # half-written files; a file elsewhere is always complete
_MARK = "database-"  # and its id: one small file for each database that wrote here
_REMOVING = "removing-"  # and the id, and a number: there while a database removes files
_ABANDONED = timedelta(minutes=10)  # no removal takes so long: who announced it was killed
_LOOK = 0.1  # seconds
_UID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class Owner:
    """A database that has files in a place: its id (32 hexadecimal digits), and where it is, without a password."""

    uid: str
    where: str

    def __str__(self) -> str:
        return f"{self.where or 'an unknown place'} (database {self.uid[:8]})"

    @staticmethod
    def is_uid(text: str) -> bool:
        return _UID.fullmatch(text) is not None


class Blobs:
    """Content-addressed files under an fsspec URL: a local folder, ``s3://bucket/tunes``, ``gs://...``.

    ``put`` returns when the content is safe from a power cut; a file under its final name is complete. Before the first
    one the place gets the mark of ``owner``, whose files these are; without one there are no marks.

    Databases have no lock in common, and a bucket has none. So who comes first says so and then looks whether another
    removes files, and who removes says so and then looks whether another has come: one of them sees the other
    (Dekker's algorithm; E. W. Dijkstra, EWD 123).
    """

    patience = 30.0  # seconds that a database which comes first waits for the end of another's removal

    def __init__(self, url: str, owner: Owner | None = None) -> None:
        import fsspec
        from fsspec.implementations.local import LocalFileSystem

        try:
            self._fs, self._root = fsspec.core.url_to_fs(url, use_listings_cache=False)
        except (ImportError, ValueError) as error:
            raise TuneError(f"Tune files cannot be kept under {url!r}: {error}.") from error
        self._local = isinstance(self._fs, LocalFileSystem)
        self.owner = owner
        self._has_mark = False  # of this owner, as far as this process knows

    def _shown(self, text: str) -> str:
        """Some fsspec protocols keep the login of ``s3://KEY:SECRET@bucket`` in front of the bucket's name."""
        login, is_there, _ = self._root.rpartition("@")
        return text.replace(f"{login}@", "") if is_there and not self._local else text

    @property
    def root(self) -> str:
        """The folder or the bucket, for people: without the login that an address may hold."""
        return self._shown(self._root)

    @staticmethod
    def name_of(data: bytes) -> str:
        """The sha256 that these bytes are kept under."""
        return hashlib.sha256(data).hexdigest()

    def put(self, data: bytes) -> str:
        """Keep the bytes; returns their sha256. A file that is there and damaged is written again."""
        sha256 = self.name_of(data)
        try:
            self.mark()
            if self.size(sha256) != len(data) or self.problem(sha256) is not None:
                self._write(self._path(sha256), data)
        except OSError as error:
            raise TuneStorageError(
                f"A file of {len(data)} bytes could not be stored under {self.root}: {error.strerror or error}. "
                "Free space there, or make it writable, and try again."
            ) from error
        return sha256

    def get(self, sha256: str) -> bytes:
        """The bytes, checked against their name. Raises TuneError when missing or damaged."""
        try:
            data = self._fs.cat_file(self._path(sha256))
        except OSError as error:
            raise TuneError(f"{self._shown(self._path(sha256))} cannot be read: {self._shown(str(error))}.") from error
        if hashlib.sha256(data).hexdigest() != sha256:
            raise TuneError(f"{self._shown(self._path(sha256))} is damaged: its content does not match its name.")
        return data

    def problem(self, sha256: str) -> str | None:
        """What is wrong with a file, in a sentence, or None."""
        try:
            self.get(sha256)
        except TuneError as error:
            return str(error)
        return None

    def size(self, sha256: str) -> int | None:
        """Bytes, or None when there is no such file."""
        try:
            return self._fs.info(self._path(sha256))["size"]
        except FileNotFoundError:
            return None

    def remove(self, sha256: str) -> int:
        """Delete the file if it is there; returns the bytes freed."""
        freed = self.size(sha256) or 0
        with contextlib.suppress(FileNotFoundError):
            self._fs.rm_file(self._path(sha256))
        return freed

    def older_than(self, age: timedelta) -> Iterator[str]:
        """The sha256 of every blob last written at least ``age`` ago."""
        for path in self._files_older_than(age):
            name = path.rsplit("/", 1)[-1]
            if is_sha256(name):
                yield name

    def remove_unfinished(self, age: timedelta) -> int:
        """Delete unfinished files of killed processes, last written at least ``age`` ago; returns the bytes freed."""
        freed = 0
        announced = [path for path in self._listed("") if path.rsplit("/", 1)[-1].startswith(_REMOVING)]
        for path in [path for path in announced if not self._is_younger(path, max(age, _ABANDONED), if_gone=True)]:
            with contextlib.suppress(FileNotFoundError):
                self._fs.rm_file(path)
        for path in self._files_older_than(age, _INCOMING):
            with contextlib.suppress(FileNotFoundError):
                freed += self._fs.info(path)["size"]
                self._fs.rm_file(path)
        return freed

    def has_files(self) -> bool:
        """Whether there is any blob, of whomever. Raises OSError."""
        folders = (path for path in self._listed("") if len(path.rsplit("/", 1)[-1]) == 2)
        return any(self._listed(folder.rsplit("/", 1)[-1]) for folder in folders)

    def mark(self) -> None:
        """Say that the owner has files here, and wait until no other database removes any.

        Raises:
            TuneStorageError: another one still does.
            OSError: it cannot be written.
        """
        if self.owner is not None and not self._has_mark:
            if not self.is_marked():
                self._write(self._mark_of(self.owner.uid), self.owner.where.encode())
            self._wait_for_removals(self.owner)
            self._has_mark = True

    @contextlib.contextmanager
    def removing(self) -> Iterator[bool]:
        """While files are removed: whether they may be. No other database has any here; one that comes now waits."""
        if self.owner is None or self.other_owners():  # another is there already: it need not wait for us
            yield self.owner is None
            return
        said = f"{self._root}/{_REMOVING}{self.owner.uid}-{uuid.uuid4().hex}"
        with contextlib.suppress(OSError):  # on a full disk nobody else can begin to keep files
            self._write(said, b"")
        try:
            yield not self.other_owners()
        finally:
            with contextlib.suppress(OSError):
                self._fs.rm_file(said)

    def _wait_for_removals(self, owner: Owner) -> None:
        ends = time.monotonic() + self.patience
        while self._is_another_removing(owner):
            if time.monotonic() > ends:
                raise TuneStorageError(
                    f"Another database removes files in {self.root} at this moment. Nothing was stored: try again in "
                    "some minutes."
                )
            time.sleep(_LOOK)

    def _is_another_removing(self, owner: Owner) -> bool:
        names = [path for path in self._listed("") if path.rsplit("/", 1)[-1].startswith(_REMOVING)]
        others = [path for path in names if not path.rsplit("/", 1)[-1].startswith(f"{_REMOVING}{owner.uid}")]
        return any(self._is_younger(path, _ABANDONED) for path in others)

    def is_marked(self) -> bool:
        """Whether the owner has said that it has files here. Raises OSError."""
        return self.owner is None or bool(self._fs.exists(self._mark_of(self.owner.uid)))

    def other_owners(self) -> tuple[Owner, ...]:
        """The other databases that have files here. Raises OSError."""
        names = {path.rsplit("/", 1)[-1] for path in self._listed("")}
        uids = sorted(name.removeprefix(_MARK) for name in names if name.startswith(_MARK))
        own = self.owner.uid if self.owner else ""
        return tuple(self._owner(uid) for uid in uids if Owner.is_uid(uid) and uid != own)

    def forget_others(self) -> None:
        """All files here are the owner's from now on. Raises OSError."""
        for other in self.other_owners():
            with contextlib.suppress(FileNotFoundError):
                self._fs.rm_file(self._mark_of(other.uid))

    def _owner(self, uid: str) -> Owner:
        try:
            return Owner(uid, self._fs.cat_file(self._mark_of(uid)).decode("utf-8", "replace")[:1000])
        except FileNotFoundError:
            return Owner(uid, "")

    def _mark_of(self, uid: str) -> str:
        return f"{self._root}/{_MARK}{uid}"

    def _listed(self, folder: str) -> list[str]:
        try:
            return [path.rstrip("/") for path in self._fs.ls(f"{self._root}/{folder}".rstrip("/"), detail=False)]
        except (FileNotFoundError, NotADirectoryError):
            return []

    def _write(self, path: str, data: bytes) -> None:
        if self._local:
            self._write_local(path, data)
        else:
            self._fs.pipe_file(path, data)  # one PUT: complete, or not stored

    def _files_older_than(self, age: timedelta, folder: str = "") -> Iterator[str]:
        for path in self._fs.find(f"{self._root}/{folder}".rstrip("/")):
            if not self._is_younger(path, age, if_gone=True):
                yield path

    def _is_younger(self, path: str, age: timedelta, *, if_gone: bool = False) -> bool:
        """Whether a file was last written less than ``age`` ago."""
        try:
            modified = self._fs.modified(path)
        except FileNotFoundError:
            return if_gone
        if modified.tzinfo is None:
            modified = modified.replace(tzinfo=timezone.utc)
        return bool(modified > datetime.now(timezone.utc) - age)

    def _path(self, sha256: str) -> str:
        if not is_sha256(sha256):  # a damaged row must not name a file outside the store
            raise TuneError(f"{sha256!r} is not the name of a tune's file: the row that names it is damaged.")
        return f"{self._root}/{sha256[:2]}/{sha256}"

    def _write_local(self, path: str, data: bytes) -> None:
        folder, incoming = os.path.dirname(path), os.path.join(self._root, _INCOMING)
        os.makedirs(folder, exist_ok=True)
        os.makedirs(incoming, exist_ok=True)
        handle, unfinished = tempfile.mkstemp(dir=incoming)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(unfinished, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(unfinished)
            raise
        for directory in (folder, self._root, os.path.dirname(self._root)):
            sync_folder(directory)
