"""The shipped workflows, and the parts of an API-form prompt that tests look at."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .comfyui import REPOSITORY

WORKFLOWS = REPOSITORY / "workflows"
# What the template browser calls each: there the name of the file is its title, and what is searched.
TITLES = {
    "photo_to_picture": "1 Photo to picture, same person",
    "photo_to_picture_plusv2": "2 Photo to portrait or headshot, PlusV2",
    "create_a_tune": "3 Keep a person, consistent character",
    "prompt_a_tune": "4 Draw a kept person",
    "two_people": "5 Two people in one picture",
    "retouch": "6 Swap, correct and enlarge faces",
    "fast_lcm": "7 Fast drafts with LCM",
    "switch": "8 This computer or the API, one switch",
    "remote": "9 Draw through the API",
}

Prompt = dict[str, Any]


def names(pattern: str = "*") -> list[str]:
    return sorted(path.stem for path in (WORKFLOWS / "api").glob(f"{pattern}.json"))


def api_form(name: str) -> Prompt:
    return _read(WORKFLOWS / "api" / f"{name}.json")


def graph_form(name: str) -> dict[str, Any]:
    return _read(WORKFLOWS / f"{TITLES[name]}.json")


def node_id(prompt: Prompt, kind: str) -> str:
    """The id of the only node of its kind."""
    (found,) = (number for number, node in prompt.items() if node["class_type"] == kind)
    return found


def inputs(prompt: Prompt, kind: str) -> dict[str, Any]:
    return prompt[node_id(prompt, kind)]["inputs"]


def _read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text())
