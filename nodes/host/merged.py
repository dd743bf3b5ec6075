"""Weights merged into a model: ComfyUI merges anew what has another id, so the same weights get the same."""

from __future__ import annotations

import uuid
from typing import Any


def name_merge(changed: Any, original: Any, *what: object) -> None:
    """Give ``changed`` the id of what was merged into ``original``: the next sampling finds the weights merged.

    Args:
        changed: a ModelPatcher with patches on top of those of ``original``.
        what: equal where the same was merged before: file with its version, strength.
    """
    changed.patches_uuid = uuid.uuid5(original.patches_uuid, repr(what))
