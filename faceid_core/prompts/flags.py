"""The ``--flags`` that a prompt text may contain, and how each value is read.

Source: Astria's feature pages (prompt masking, outpainting, tiled upscale, FaceID) and its Flux worker's option list
(docs/facts/astria.md 6). Ranges are the documented ones; where the source gives none, the bound only catches typing
mistakes and a comment says so.

Flags that make videos are refused by name, as is every flag not listed here.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from .errors import quoted, suggestion

FlagScalar = bool | int | float | str
FlagValue = FlagScalar | tuple[FlagScalar, ...]

CONTROLNETS = (
    "composition",
    "reference",
    "segroom",
    "ipadapter",
    "lineart",
    "canny",
    "depth",
    "mlsd",
    "hed",
    "pose",
    "tile",
    "qr",
)

ANCHORS = (
    "top-left",
    "top-center",
    "top-right",
    "left-center",
    "center",
    "right-center",
    "bottom-left",
    "bottom-center",
    "bottom-right",
)

_DECIMAL = re.compile(r"-?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)")
_INTEGER = re.compile(r"-?[0-9]{1,9}")
_DILATION = re.compile(r"-?[0-9]{1,4}%?")
_COLOUR = re.compile(r"#(?:[0-9a-fA-F]{3}|[0-9a-fA-F]{6})")


@dataclass(frozen=True)
class FlagSpec:
    """One known flag.

    ``takes``: how many shell words follow. ``read`` turns one word into its value or raises ValueError; ``expects``
    says in words what it accepts. ``absent`` is the value when an optional word does not follow.
    """

    name: str
    takes: Literal["nothing", "one", "perhaps one", "many"]
    read: Callable[[str], FlagScalar]
    expects: str
    absent: FlagScalar = True


def is_decimal(word: str) -> bool:
    """Whether ``word`` is a plain decimal number: no exponent, no ``nan``, no spaces."""
    return _DECIMAL.fullmatch(word) is not None


def unknown_flag(name: str) -> tuple[str, str]:
    """The problem and the remedy to report for a flag that is not in FLAGS."""
    if name in _VIDEO_FLAGS:
        return f"--{name} makes a video", "This package draws pictures only: remove the flag."
    if name in _FIELDS_TAKEN_FOR_FLAGS:
        field = _FIELDS_TAKEN_FOR_FLAGS[name]
        return f"--{name} is not a flag", f"Set the prompt's field prompt[{field}] instead."
    remedy = suggestion(name, FLAGS) or f" Known flags: {', '.join('--' + known for known in sorted(FLAGS))}."
    return (
        f"unknown flag {quoted('--' + name)}",
        remedy.lstrip() + " To use it as words, put a space after the dashes.",
    )


def _text(word: str) -> str:
    if not word.strip():
        raise ValueError
    return word


def _number(low: float, high: float) -> Callable[[str], float]:
    def read(word: str) -> float:
        if not is_decimal(word) or not low <= float(word) <= high:
            raise ValueError
        return float(word)

    return read


def _integer(low: int, high: int) -> Callable[[str], int]:
    def read(word: str) -> int:
        if not _INTEGER.fullmatch(word) or not low <= int(word) <= high:
            raise ValueError
        return int(word)

    return read


def _one_of(choices: tuple[str, ...]) -> Callable[[str], str]:
    def read(word: str) -> str:
        if word not in choices:
            raise ValueError
        return word

    return read


def _matching(pattern: re.Pattern[str]) -> Callable[[str], str]:
    def read(word: str) -> str:
        if not pattern.fullmatch(word):
            raise ValueError
        return word

    return read


def _switch(name: str) -> FlagSpec:
    return FlagSpec(name, "nothing", _text, "no value")


def _decimal(name: str, low: float, high: float) -> FlagSpec:
    return FlagSpec(name, "one", _number(low, high), f"a number from {low:g} to {high:g}")


def _whole(name: str, low: int, high: int) -> FlagSpec:
    return FlagSpec(name, "one", _integer(low, high), f"a whole number from {low} to {high}")


_FLAGS = (
    # Prompt masking. The page shows `--mask_prompt windows door`: words up to the next flag, tag, or the end.
    FlagSpec("mask_prompt", "many", _text, "the words to look for, as in --mask_prompt foreground"),
    FlagSpec("mask_negative", "many", _text, "the words to leave out, as in --mask_negative clothes hat"),
    _switch("mask_invert"),
    FlagSpec("mask_dilate", "one", _matching(_DILATION), "pixels or a percentage, as in -20 or 5%"),
    _whole("mask_blur", 0, 1024),  # no documented bound
    # Retouch.
    _decimal("hires_denoising_strength", 0, 1),  # the worker raises anything below 0.1 to 0.1
    _decimal("hires_cfg_scale", 0, 15),  # no documented bound; that of cfg_scale
    _decimal("face_inpaint_denoising", 0, 1),
    FlagSpec("face_swap_indexes", "many", _integer(0, 99), "whole numbers from 0 to 99, as in 0 2"),
    _decimal("improve_similarity", 0, 10),  # no documented bound
    _switch("fix_bindi"),
    _switch("tiled_upscale"),
    _switch("tiled_upscale_v2"),
    _switch("upscale_v4"),
    _switch("only_upscale"),
    _decimal("resemblance", 0, 10),  # no documented bound
    _switch("remove_background"),
    FlagSpec("background_color", "one", _matching(_COLOUR), "a colour such as #fff or #00ff00"),
    # FaceID.
    _switch("faceid_portrait"),
    FlagSpec("input_faceid", "perhaps one", _number(0, 10), "a scale from 0 to 10, or no value", absent=1.0),
    # ControlNet.
    FlagSpec("controlnets", "many", _one_of(CONTROLNETS), f"some of {', '.join(CONTROLNETS)}"),
    FlagSpec("controlnet_weights", "many", _number(0, 10), "one number for each of --controlnets, as in 0.5 1"),
    _decimal("control_guidance_start", 0, 1),
    _decimal("control_guidance_end", 0, 1),
    # Outpainting.
    FlagSpec("outpaint", "one", _one_of(ANCHORS), f"one of {', '.join(ANCHORS)}"),
    _whole("outpaint_width", 8, 16384),
    _whole("outpaint_height", 8, 16384),
    FlagSpec("outpaint_prompt", "many", _text, 'what to draw there, as in --outpaint_prompt "fields of gold"'),
    _switch("fill"),
    # Virtual try-on and several people.
    _switch("vton_hires"),
    _decimal("vton_cfg_scale", 0, 15),
    _switch("multi"),
)

FLAGS: dict[str, FlagSpec] = {spec.name: spec for spec in _FLAGS}

_VIDEO_FLAGS = frozenset({"video", "video_model", "video_prompt", "video_duration", "duration"})

# Flags that people type because of other programs or by mistake, and the field that has the same effect here.
_FIELDS_TAKEN_FOR_FLAGS = {
    field: field
    for field in (
        "negative_prompt callback num_images seed steps cfg_scale w h aspect_ratio ar resolution scheduler "
        "backend_version super_resolution hires_fix face_correct face_swap inpaint_faces use_lpw style color_grading "
        "film_grain prompt_expansion controlnet denoising_strength controlnet_conditioning_scale controlnet_txt2img "
        "input_image mask_image"
    ).split()
} | {
    "no": "negative_prompt",
    "width": "w",
    "height": "h",
    "sampler": "scheduler",
    "cfg": "cfg_scale",
    "n": "num_images",
}
