"""What ComfyUI writes into the pictures it saves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from comfy_api.latest import io

NOTES_KEY = "faceid_notes"


def keep_notes(node: type[io.ComfyNode], notes: Sequence[str]) -> None:
    """Write what a node could not vouch for into every picture that Save Image saves in this run.

    A list with an entry for each node that has something to say. Nothing is written for a script that posted the
    prompt without ``extra_pnginfo``. A node that ComfyUI does not run again, because nothing before it changed, does
    not write again.
    """
    hidden: Any = node.hidden
    extra_pnginfo = getattr(hidden, "extra_pnginfo", None)
    if notes and extra_pnginfo is not None:
        extra_pnginfo.setdefault(NOTES_KEY, []).append({"node": hidden.unique_id, "notes": list(notes)})
