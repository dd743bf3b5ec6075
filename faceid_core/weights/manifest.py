"""The list of model files: the source of each, its hash, its licence, and what needs it.

The list itself is ``manifest.toml``; no model file is opened, searched or downloaded here.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import WeightsError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

MANIFEST = Path(__file__).parents[2] / "weights" / "manifest.toml"


@dataclass(frozen=True)
class Licence:
    """The conditions under which files may be used.

    Attributes:
        id: the value for ``--accept-license``.
        sentence: what it allows, in plain words.
        commercial: whether commercial use is allowed.
        url: its full text.
    """

    id: str
    sentence: str
    commercial: bool
    url: str | None = None


@dataclass(frozen=True)
class Download:
    """The file at a URL. size in bytes, sha256 in lower-case hex; None if no source gives them."""

    url: str
    size: int | None = None
    sha256: str | None = None


@dataclass(frozen=True)
class PublishedFile:
    """One model file.

    folder: ComfyUI's key (checkpoints, ipadapter, ...); the file is ``subfolder``/``name`` in that folder.
    ``also_named``: other common names of the same file; a file of such a name is accepted only if it has this size.
    url, revision: the published address, and the commit or release in it. ``member``: its path inside the zip at that
    URL, whose own size and hash are then in ``archive``. size, sha256: of the file itself.
    needed_for: the groups it belongs to. base: the model family it fits; None: any.
    """

    id: str
    name: str
    folder: str
    url: str
    revision: str
    licence: Licence
    needed_for: tuple[str, ...]
    subfolder: str = ""
    size: int | None = None
    sha256: str | None = None
    base: str | None = None
    member: str | None = None
    archive: Download | None = None
    also_named: tuple[str, ...] = ()

    @property
    def download(self) -> Download:
        """What to transfer to get the file: the file itself, or the zip that contains it."""
        return self.archive or Download(self.url, self.size, self.sha256)


def manifest() -> tuple[PublishedFile, ...]:
    """Every file of the manifest, in its order."""
    return _read(MANIFEST).files


def groups() -> Mapping[str, str]:
    """Group (as in ``needed_for``) -> its purpose, in words."""
    return _read(MANIFEST).groups


def model_file(id: str) -> PublishedFile:
    """Raises WeightsError, naming similar ids, when there is no such file."""
    return _named(id, {entry.id: entry for entry in manifest()}, "model file")


def files_for(group: str) -> tuple[PublishedFile, ...]:
    """The files of a group. Raises WeightsError, naming similar groups, when there is no such group."""
    _named(group, groups(), "group of model files")
    return tuple(entry for entry in manifest() if group in entry.needed_for)


def licence(id: str) -> Licence:
    """Raises WeightsError, naming similar ids, when there is no such licence."""
    return _named(id, _read(MANIFEST).licences, "licence")


@dataclass(frozen=True)
class _Manifest:
    files: tuple[PublishedFile, ...]
    licences: Mapping[str, Licence]
    groups: Mapping[str, str]


@functools.cache
def _read(path: Path) -> _Manifest:
    tables = tomllib.loads(path.read_text(encoding="utf-8"))
    _only(tables, {"licences", "groups", "archives", "files"}, path.name)
    licences = {id: _made(Licence, {"id": id, **table}, f"licence {id}") for id, table in tables["licences"].items()}
    archives = {id: _made(Download, table, f"archive {id}") for id, table in tables.get("archives", {}).items()}
    files = tuple(_model_file(table, licences, archives) for table in tables["files"])
    return _Manifest(files, licences, tables.get("groups", {}))


def _model_file(table: dict[str, Any], licences: dict[str, Licence], archives: dict[str, Download]) -> PublishedFile:
    where = f"model file {table.get('id')}"
    values = dict(table, licence=_named(table.get("licence", ""), licences, f"licence ({where})"))
    for field in ("needed_for", "also_named"):
        values[field] = tuple(table.get(field, ()))
    if "archive" in table:
        values["archive"] = _named(table["archive"], archives, f"archive ({where})")
        values["url"] = values["archive"].url
    return _made(PublishedFile, values, where)


def _made(kind: type, values: dict[str, Any], where: str) -> Any:
    _only(values, {field.name for field in dataclasses.fields(kind)}, where)
    try:
        return kind(**values)
    except TypeError as error:  # a required field is missing
        raise WeightsError(f"{MANIFEST.name}, {where}: {error}.") from error


def _only(values: dict[str, Any], known: set[str], where: str) -> None:
    if unknown := sorted(set(values) - known):
        raise WeightsError(f"{MANIFEST.name}, {where}: unknown key {', '.join(unknown)}.")


def _named(name: str, things: Mapping[str, Any], what: str) -> Any:
    if name in things:
        return things[name]
    similar = difflib.get_close_matches(name, things, n=3, cutoff=0.5) or sorted(things)
    raise WeightsError(f'There is no {what} "{name}". Did you mean {" or ".join(similar)}?')
