"""The LoRA files a prompt's tags name."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import PurePath

from ..prompts import Prompt, Tag
from ..prompts.errors import error_at, suggestion


def lora_file(tag: Tag, prompt: Prompt, names: Sequence[str]) -> str:
    """The one of ``names`` (paths relative to the LoRA folder) that a tag means: with or without folder and ending.

    Raises:
        PromptError: there is no such file; points at the tag.
    """
    wanted = tag.ref.lower()
    for spelled in (str.lower, lambda name: PurePath(name).name.lower(), lambda name: PurePath(name).stem.lower()):
        found = sorted(name for name in names if spelled(name) == wanted)
        if found:
            return found[0]
    stems = [PurePath(name).stem for name in names]
    remedy = f"Put the file into models/loras.{suggestion(tag.ref, stems)}"
    raise error_at(prompt.text, tag.start, f"there is no LoRA {tag.ref!r}", remedy)


def lcm_lora(names: Iterable[str], *, sdxl: bool) -> str | None:
    """The one of ``names`` that is the published LCM LoRA of a base model. None says it in its tensors."""
    return next((name for name in sorted(names) if _is_lcm_lora(name, sdxl=sdxl)), None)


def _is_lcm_lora(name: str, *, sdxl: bool) -> bool:
    return "lcm" in name.lower() and ("xl" in name.lower()) == sdxl
