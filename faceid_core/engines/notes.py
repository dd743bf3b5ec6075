"""What a person is told of a prompt that a local engine cannot do all of."""

from __future__ import annotations

from collections.abc import Iterable

from ..prompts import Prompt

_STARTED_FROM = ("input_image", "mask_image", "controlnet")


def retouch_note(prompt: Prompt) -> str:
    """What the node that draws says of the flags that change a finished picture; "" without one."""
    return f"left to FaceID Retouch: {', '.join(prompt.retouch_flags)}" if prompt.retouch_flags else ""


def flags_note(prompt: Prompt) -> str:
    """What is said of the text's ``--flags``, which the remote API alone takes; "" without one."""
    return _not_drawn(f"--{flag.name}" for flag in prompt.parsed.flags)


def not_local_note(prompt: Prompt) -> str:
    """What is said of pictures to start from and of the text's ``--flags``; "" without any."""
    started_from = [name for name in _STARTED_FROM if getattr(prompt, name) is not None]
    return _not_drawn([*started_from, *(f"--{flag.name}" for flag in prompt.parsed.flags)])


def _not_drawn(left_out: Iterable[str]) -> str:
    names = ", ".join(left_out)
    return f"not drawn locally yet: {names}" if names else ""
