"""The local checkpoints for each base model of the remote gallery: a table that the user may edit."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from ..disk import read_small
from ..errors import FaceIDError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SHIPPED = Path(__file__).with_name("base_models.toml")
_MAX_BYTES = 1 << 20
_MOST_DOTS = 1000  # in a line; a key of 100,000 parts takes the parser half a minute
_MAX_ID = 2**31 - 1  # of FaceID Remote Prompt
_MAX_TITLE = 255  # characters, as of a tune


@dataclass(frozen=True)
class BaseModel:
    """A base model: its id in the remote gallery, and the local files of the same model, the best first."""

    id: int
    title: str
    checkpoints: tuple[str, ...]

    def installed(self, names: Iterable[str]) -> str | None:
        """The one of ``names`` (paths below the checkpoints folder) that is this model, if any."""
        by_file = {PurePath(name.replace("\\", "/")).name.lower(): name for name in names}
        return next((by_file[file.lower()] for file in self.checkpoints if file.lower() in by_file), None)


def base_models(table: Path) -> tuple[BaseModel, ...]:
    """The base models of the user's table; without such a file, those of the shipped table.

    Raises:
        FaceIDError: the table cannot be read; the message says where.
    """
    file = table if os.path.exists(table) else SHIPPED  # Path.exists raises where a folder may not be entered
    try:
        text = read_small(file, _MAX_BYTES).decode("utf-8-sig")
        if any(line.count(".") > _MOST_DOTS for line in text.splitlines()):
            raise ValueError(f"a line has more than {_MOST_DOTS} dots")
        entries = tomllib.loads(text).get("base_models", [])
    except (OSError, ValueError, RecursionError) as error:  # ValueError: no TOML, no UTF-8, a number of 5,000 digits
        raise FaceIDError(
            f"{file} cannot be read: {error}. Correct it, or delete it to use the shipped table."
        ) from error
    if not isinstance(entries, list):
        raise FaceIDError(f"{file}: each base model must start with a line [[base_models]], in double brackets.")
    return tuple(_base_model(entry, number, file) for number, entry in enumerate(entries, 1))


def _base_model(entry: Any, number: int, file: Path) -> BaseModel:
    match entry:
        case {"id": int(id), "title": str(title), "checkpoints": [str(first), *rest]} if (
            not isinstance(id, bool)
            and 0 < id <= _MAX_ID
            and 0 < len(title) <= _MAX_TITLE
            and title.isprintable()
            and all(isinstance(name, str) for name in rest)
        ):
            return BaseModel(id, title, (first, *rest))
    raise FaceIDError(
        f"{file}: base model {number} needs an id (a whole number, 1 to {_MAX_ID}), a title and checkpoints (a list of "
        "file names)."
    )
