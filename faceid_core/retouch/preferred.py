"""The installed swapper, restorer and face parser that are used by default, chosen by file name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TypeVar

FACE_PACKS = "insightface"  # ReActor's folder; some users keep swappers there
SWAPPER_FOLDERS = (FACE_PACKS, "hyperswap", "reswapper")
RESTORER_FOLDER = "facerestore_models"
PARSER_FOLDERS = ("facexlib", "facedetection")  # ours, and those of other extensions with facexlib

# The first installed file is preferred.
_SWAPPERS = ("inswapper", "hyperswap", "reswapper")
# facexlib has its other parser, ParseNet, in the same folder; 79999_iter.pth is the name the file was trained under.
_PARSERS = ("parsing_bisenet", "bisenet", "79999_iter")
_RESTORERS = ("gfpgan", "restoreformer", "codeformer", "gpen")

Name = TypeVar("Name", str, Path)


def preferred(files: Callable[[str], Iterable[Name]]) -> tuple[list[Name], list[Name], list[Name]]:
    """Swappers, restorers and face parsers, each the preferred one first; ``files``: those of a folder."""
    return (
        preferred_swappers({folder: files(folder) for folder in SWAPPER_FOLDERS}),
        preferred_restorers(files(RESTORER_FOLDER)),
        preferred_parsers(name for folder in PARSER_FOLDERS for name in files(folder)),
    )


def preferred_swappers(files: Mapping[str, Iterable[Name]]) -> list[Name]:
    """The swappers among the files of each folder of SWAPPER_FOLDERS, the preferred one first."""
    named = {name for name in files[FACE_PACKS] if _rank(name, _SWAPPERS) < len(_SWAPPERS)}
    others = (names for folder, names in files.items() if folder != FACE_PACKS)
    readable = (
        name for name in named.union(*others) if Path(name).suffix.lower() == ".onnx"
    )  # some swappers are .pth files
    return sorted(readable, key=lambda name: (_rank(name, _SWAPPERS), name))


def preferred_restorers(names: Iterable[Name]) -> list[Name]:
    """The files of RESTORER_FOLDER, the preferred one first."""
    return sorted(names, key=lambda name: (_rank(name, _RESTORERS), name))


def preferred_parsers(names: Iterable[Name]) -> list[Name]:
    """The face parsers among the files of PARSER_FOLDERS, the preferred one first."""
    named = {name for name in names if _rank(name, _PARSERS) < len(_PARSERS)}
    readable = [name for name in named if Path(name).suffix.lower() in (".pth", ".safetensors")]
    return sorted(readable, key=lambda name: (_rank(name, _PARSERS), name))


def _rank(name: str | Path, families: tuple[str, ...]) -> int:
    low = Path(name).name.lower()
    return next((number for number, family in enumerate(families) if family in low), len(families))
