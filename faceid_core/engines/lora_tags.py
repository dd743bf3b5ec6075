"""The LoRA files a prompt's tags name."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence

from ..prompts import Prompt, Tag
from ..prompts.errors import PromptError, error_at, suggestion
from ..weights.folders import EXTENSIONS

_MOST_NAMED = 4


def lora_file(tag: Tag, prompt: Prompt, names: Sequence[str]) -> str:
    r"""The one of ``names`` (paths relative to the LoRA folder) that a tag means.

    Folders and the ending may be left out, and ``/`` and ``\`` are the same, in the tag and in the names: those of a
    ComfyUI on Windows have ``\``. The fullest spelling wins (the whole name, without its ending, without folders), in
    the case as written; then the same without regard to case.

    Raises:
        PromptError: there is no such file, or more than one; points at the tag.
    """
    wanted = _plain(tag.ref)
    for fold in (str, str.casefold):
        for spellings in (_whole, _without_ending, _last_parts):
            found = sorted(name for name in set(names) if fold(wanted) in map(fold, spellings(_plain(name))))
            if len(found) == 1:
                return found[0]
            if found:
                raise _ambiguous(tag, prompt, found)
    full = [_without_ending(_plain(name))[0] for name in names]
    known = [*full, *(name.rpartition("/")[2] for name in full)]
    remedy = f"Put the file into models/loras.{suggestion(wanted, known)}"
    raise error_at(prompt.text, tag.start, f"there is no LoRA {tag.ref!r}", remedy)


def refuse_remote_strengths(prompt: Prompt) -> None:
    """Check the LoRA tags for the remote API: it reads one number without a sign, and any other tag as words.

    Source: docs/facts/astria.md 6.

    Raises:
        PromptError: a tag has a strength below 0, or two; points at it.
    """
    for tag in prompt.parsed.loras:
        if tag.text_strength is not None or tag.strength < 0:
            problem = "the remote API takes one strength of a LoRA, and none below 0"
            remedy = f"Write one number, as in {Tag(tag.kind, tag.ref, abs(tag.strength))}, or draw on this machine."
            raise error_at(prompt.text, tag.start, problem, remedy)


def _ambiguous(tag: Tag, prompt: Prompt, found: Sequence[str]) -> PromptError:
    named = [repr(_plain(name)) for name in found[:_MOST_NAMED]]
    more = f", and {len(found) - _MOST_NAMED} more" if len(found) > _MOST_NAMED else ""
    problem = f"{len(found)} LoRAs are called {tag.ref!r}: {', '.join(named)}{more}"
    remedy = f"Write the full name of the one you want, as in <lora:{_plain(found[0])}:1>."
    return error_at(prompt.text, tag.start, problem, remedy)


def _plain(name: str) -> str:
    """One spelling of what file systems spell in two ways: separators, and accents as macOS writes them."""
    return unicodedata.normalize("NFC", name.replace("\\", "/").strip("/"))


def _whole(name: str) -> list[str]:
    return [name]


def _without_ending(name: str) -> list[str]:
    stem, dot, ending = name.rpartition(".")
    return [stem if dot + ending.lower() in EXTENSIONS else name]


def _last_parts(name: str) -> list[str]:
    """The name without its first folder, without the first two, ..., each with and without the ending."""
    parts = name.split("/")
    tails = ["/".join(parts[number:]) for number in range(1, len(parts))] or [name]
    return [spelling for tail in tails for spelling in (tail, *_without_ending(tail))]


def lcm_lora(names: Iterable[str], *, sdxl: bool) -> str | None:
    """The one of ``names`` that is the published LCM LoRA of a base model. None says it in its tensors."""
    return next((name for name in sorted(names) if _is_lcm_lora(name, sdxl=sdxl)), None)


def _is_lcm_lora(name: str, *, sdxl: bool) -> bool:
    return "lcm" in name.lower() and ("xl" in name.lower()) == sdxl
