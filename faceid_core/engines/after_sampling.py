"""What a prompt asks for once its picture is sampled."""

from __future__ import annotations

from ..prompts import Prompt

_FLAGS = (
    "super_resolution",
    "hires_fix",
    "face_correct",
    "face_swap",
    "inpaint_faces",
    "color_grading",
    "film_grain",
)


def left_to_retouch(prompt: Prompt) -> list[str]:
    """The flags that change a finished picture: ``retouch.finish`` and the node FaceID Retouch."""
    return [name for name in _FLAGS if getattr(prompt, name)]


def retouch_note(prompt: Prompt) -> str:
    """What the node that draws says of those flags; "" without one."""
    flags = left_to_retouch(prompt)
    return f"left to FaceID Retouch: {', '.join(flags)}" if flags else ""


def remote_only(prompt: Prompt) -> list[str]:
    """The text's ``--flags``, which only the remote API understands."""
    return [f"--{flag.name}" for flag in prompt.parsed.flags]
