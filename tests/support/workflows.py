"""The shipped workflows, and the parts of an API-form prompt that tests look at."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .comfyui import REPOSITORY

WORKFLOWS = REPOSITORY / "workflows"

Prompt = dict[str, Any]


def names(pattern: str = "*") -> list[str]:
    return sorted(path.stem for path in (WORKFLOWS / "api").glob(f"{pattern}.json"))


def api_form(name: str) -> Prompt:
    return _read(WORKFLOWS / "api" / f"{name}.json")


def graph_form(name: str) -> dict[str, Any]:
    return _read(WORKFLOWS / f"{name}.json")


def node_id(prompt: Prompt, kind: str) -> str:
    """The id of the only node of its kind."""
    (found,) = (number for number, node in prompt.items() if node["class_type"] == kind)
    return found


def inputs(prompt: Prompt, kind: str) -> dict[str, Any]:
    return prompt[node_id(prompt, kind)]["inputs"]


def _read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text())
