"""What is there and what is missing on this machine, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ..weights.folders import ModelFolders
from .finding import Finding, Level
from .machine import machine
from .models import models
from .people import people

__all__ = ["Finding", "Level", "examine"]


def examine(folders: ModelFolders, comfyui: Path | None, home: Path) -> Iterator[Finding]:
    """Everything that is looked at, one after another; nothing is changed, downloaded or sent.

    Args:
        folders: where models are.
        comfyui: the ComfyUI this package is installed in, if any.
        home: the folder of the tunes and the key.
    """
    yield from machine(comfyui)
    yield from models(folders)
    yield from people(home)
