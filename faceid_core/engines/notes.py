"""What a person is told of a prompt that a local engine cannot do all of."""

from __future__ import annotations

from collections.abc import Iterable

from ..prompts import Prompt

_OF_A_CONTROL = ("controlnet", "controlnet_conditioning_scale", "controlnet_txt2img")


def retouch_note(prompt: Prompt) -> str:
    """What the node that draws says of the flags that change a finished picture; "" without one."""
    return f"left to FaceID Retouch: {', '.join(prompt.retouch_flags)}" if prompt.retouch_flags else ""


def flags_note(prompt: Prompt) -> str:
    """What is said of the text's ``--flags``, which the remote API alone takes; "" without one."""
    return _not_drawn(_flags(prompt))


def not_local_note(prompt: Prompt) -> str:
    """What is said of what no local engine draws; "" without any."""
    return _not_drawn(undrawn(prompt))


def undrawn(prompt: Prompt) -> list[str]:
    """The names of what the prompt sets and no local engine draws: ``controlnet``, ``--vton_hires``."""
    return [*undrawn_fields(prompt), *_flags(prompt)]


def undrawn_fields(prompt: Prompt) -> list[str]:
    """Those of the prompt's fields that are set and not drawn here; a picture at an address is not fetched."""
    has_start = prompt.input_image is not None and not is_address(prompt.input_image) and not prompt.controlnet_txt2img
    has_mask = has_start and prompt.mask_image is not None and not is_address(prompt.mask_image)
    drawn = {"input_image": has_start, "mask_image": has_mask, "denoising_strength": has_start}
    names = ("resolution", "prompt_expansion", *drawn, *_OF_A_CONTROL)
    return [name for name in names if _is_set(getattr(prompt, name)) and not drawn.get(name)]


def is_address(picture: object) -> bool:
    """Whether a picture of a prompt is an http address, which only the remote API and the service fetch."""
    return isinstance(picture, str) and picture.startswith(("http://", "https://"))


def _is_set(value: object) -> bool:
    return value is not None and value is not False


def _flags(prompt: Prompt) -> list[str]:
    return [f"--{flag.name}" for flag in prompt.parsed.flags]


def _not_drawn(left_out: Iterable[str]) -> str:
    names = ", ".join(left_out)
    return f"not drawn locally yet: {names}" if names else ""
