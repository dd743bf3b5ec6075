"""What a node says when it is done: for the node in the editor, for the log, and for who reads ComfyUI's history."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .errors import printable

# In a node's output, and so in ComfyUI's history; web/js/said.js draws them. Lists of texts: ComfyUI puts the lists of
# a node that runs once for each item of a list one behind the other.
WARNINGS, LINES = "faceid_warnings", "faceid_lines"


@dataclass(frozen=True)
class Said:
    """Short sentences for people, ``printable``; what a person must not miss is a warning, and is read first."""

    warnings: tuple[str, ...] = ()
    lines: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "warnings", tuple(map(printable, self.warnings)))
        object.__setattr__(self, "lines", tuple(map(printable, self.lines)))

    def __str__(self) -> str:
        return " · ".join([*self.warnings, *self.lines])

    @property
    def as_output(self) -> dict[str, list[str]]:
        """As it stands in a node's output."""
        return {WARNINGS: list(self.warnings), LINES: list(self.lines)}


def said_in(output: Mapping[str, Any] | None) -> Said | None:
    """What a node's output in ComfyUI's history says; None where it says nothing."""
    if output is None or not {WARNINGS, LINES} & output.keys():
        return None
    return Said(tuple(map(str, output.get(WARNINGS, ()))), tuple(map(str, output.get(LINES, ()))))
