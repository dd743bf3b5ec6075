"""The Prompt value: what to draw, with every parameter of the API that concerns pictures.

Names, ranges and defaults are those of ``POST /tunes/:id/prompts`` (docs/facts/astria.md 5.1), so a Prompt goes to the
remote API and comes from the service unchanged. None is the API's null: the engine chooses. defaults.py alone says what
a local engine chooses.

Where this differs from the API on purpose:

- ``num_images`` defaults to 1; the API draws 8 when it is omitted.
- ``seed`` ends at 2^32 - 1; the API writes "0 to 2^32", whose last value does not fit into 32 bits.
- ``w`` and ``h`` have bounds (64 to 4096), which the API does not state.
- video parameters, and those that only file a prompt (workspace, pack, community, theme), are left out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any

from .errors import error_in, quoted, suggestion
from .flags import CONTROLNETS
from .grammar import parse
from .schedulers import SCHEDULERS
from .text import PromptText

ASPECT_RATIOS = ("1:1", "16:9", "9:16", "21:9", "9:21", "3:2", "2:3", "5:4", "4:5", "4:3", "3:4")
LEGACY_ASPECT_RATIOS = ("1:1", "portrait", "16:9", "landscape")
RESOLUTIONS = ("1K", "2K", "4K")
STYLES = (
    "Cinematic",
    "Animated",
    "Digital Art",
    "Photographic",
    "Fantasy art",
    "Neonpunk",
    "Enhance",
    "Comic book",
    "Lowpoly",
    "Line art",
)
COLOR_GRADINGS = ("Film Velvia", "Film Portra", "Ektar")
BACKEND_VERSIONS = (0, 1)

MAX_IMAGES = 8
MAX_SEED = 2**32 - 1
MAX_STEPS = 50
MAX_CFG_SCALE = 15
MIN_SIDE, MAX_SIDE = (
    64,
    4096,
)  # pixels; below 64 the UNet cannot halve the latent any more; the API's "4K" tier ends at 4096


# Metadata of the fields that change a picture once it is sampled: what a text and a sampler know nothing of.
_RETOUCHES = {"retouches": True}


def _off(does: str, **metadata: object) -> Any:
    """A field that is a switch. What it does is told in these words, in the node and on the command line."""
    return field(default=False, metadata={"does": does, **metadata})


@dataclass(frozen=True)
class Prompt:
    """What to draw. Construction refuses what no engine can draw; ``lint`` gives advice on the rest.

    Raises:
        PromptError: naming the field as the API does (``prompt[w]``), and for ``text`` the column.
    """

    text: str
    negative_prompt: str = ""

    num_images: int = 1  # 1 to 8
    seed: int | None = None  # 0 to 2^32 - 1; image i is drawn with seed + i
    steps: int | None = None  # 0 to 50; 0 is the same as None
    cfg_scale: float | None = None  # 0 to 15
    scheduler: str | None = None  # a name of schedulers.SCHEDULERS

    w: int | None = None  # pixels, a multiple of 8
    h: int | None = None
    aspect_ratio: str | None = None  # of ASPECT_RATIOS; not used when w and h are set
    ar: str = "1:1"  # of LEGACY_ASPECT_RATIOS; not used when aspect_ratio is set
    resolution: str | None = None  # of RESOLUTIONS; remote only: a size class of models that do not run here

    super_resolution: bool = _off("Four times the size.", **_RETOUCHES)
    hires_fix: bool = _off("Add detail while enlarging. Needs super_resolution.", **_RETOUCHES)
    face_correct: bool = _off("Restore faces after drawing.", **_RETOUCHES)
    face_swap: bool = _off(
        "Swap the person's face into the finished picture, for more likeness. Not for drawings.", **_RETOUCHES
    )
    inpaint_faces: bool = _off("Draw each face again at full size. Needs super_resolution.", **_RETOUCHES)
    use_lpw: bool = _off("Read (word:1.2) as a weight.")
    style: str | None = None  # of STYLES
    color_grading: str | None = field(default=None, metadata=_RETOUCHES)  # of COLOR_GRADINGS
    film_grain: bool = _off("Add film grain.", **_RETOUCHES)
    prompt_expansion: bool = False

    input_image: str | bytes | None = None  # an http(s) or data URL, or an encoded image file's bytes
    mask_image: str | bytes | None = None  # the same; one channel
    denoising_strength: float | None = None  # 0 (take the image) to 1 (take the prompt)
    controlnet: str | None = None  # of CONTROLNETS
    controlnet_conditioning_scale: float | None = None  # 0 to 1
    controlnet_txt2img: bool = False

    backend_version: int | None = None  # 0 or 1; remote only
    callback: str | None = None  # URL

    def __post_init__(self) -> None:
        for each in fields(self):
            _CHECKS[each.name](each.name, getattr(self, each.name))
        if not self.text.strip() and not self.only_retouches:
            raise error_in("text", "is empty", "Say what to draw, as in '<faceid:12:1> woman trekking in the alps'.")
        _ = self.parsed

    @cached_property
    def parsed(self) -> PromptText:
        """The parts of ``text``: tags, flags, words."""
        return parse(self.text)

    @property
    def has_face(self) -> bool:
        """Whether the text names a person."""
        return bool(self.parsed.faces)

    @property
    def only_retouches(self) -> bool:
        """Whether nothing is drawn: the text has no words, and flags say what to do with the input image."""
        return self.input_image is not None and bool(self.retouch_flags) and not self.parsed.plain_text.strip()

    @property
    def retouch_flags(self) -> tuple[str, ...]:
        """Those of RETOUCH_FLAGS that are asked for: ``retouch.retouch_picture`` and the node FaceID Retouch."""
        return tuple(name for name in RETOUCH_FLAGS if getattr(self, name))


RETOUCH_FLAGS = tuple(each.name for each in fields(Prompt) if "retouches" in each.metadata)
SWITCHES = {each.name: str(each.metadata["does"]) for each in fields(Prompt) if "does" in each.metadata}
RETOUCH_SWITCHES = tuple(name for name in SWITCHES if name in RETOUCH_FLAGS)


_Check = Callable[[str, object], object]  # raises PromptError for what cannot stand in the field of that name


def _optional(check: _Check) -> _Check:
    def checked(name: str, value: object) -> None:
        if value is not None:
            check(name, value)

    return checked


def _string(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise error_in(name, f"is {_described(value)}", "Give a string.")
    return value


def _storable_string(name: str, given: object) -> str:
    value = _string(name, given)
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise error_in(name, f"character {error.start + 1} is half a surrogate pair", "Remove it.") from None
    if "\0" in value:
        raise error_in(name, f"character {value.index(chr(0)) + 1} is NUL", "Remove it.")
    return value


def _switch(name: str, value: object) -> None:
    if not isinstance(value, bool):
        raise error_in(name, f"is {_described(value)}", "Give True or False.")


def _whole(low: int, high: int) -> Callable[[str, object], int]:
    def check(name: str, value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise error_in(name, f"is {_described(value)}", f"Give a whole number from {low} to {high}.")
        return value

    return check


def _number(low: float, high: float) -> _Check:
    def check(name: str, value: object) -> None:
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool) and low <= value <= high
        if not is_number:  # NaN too
            raise error_in(name, f"is {_described(value)}", f"Give a number from {low:g} to {high:g}.")

    return check


def _side(name: str, given: object) -> None:
    value = _whole(MIN_SIDE, MAX_SIDE)(name, given)
    if value % 8:
        below = value - value % 8
        raise error_in(name, f"{value} is not a multiple of 8", f"Use {below} or {below + 8}.")


def _one_of(choices: tuple[str, ...] | tuple[int, ...]) -> _Check:
    def check(name: str, value: object) -> None:
        # The type is checked too: `True == 1`, and `in` has no single answer for an array.
        if type(value) is not type(choices[0]) or value not in choices:
            known = tuple(map(str, choices))
            hint = suggestion(value, known) if isinstance(value, str) else ""
            raise error_in(name, f"is {_described(value)}", f"Give one of {', '.join(known)}.{hint}")

    return check


def _url(name: str, given: object) -> None:
    value = _storable_string(name, given)
    if not value.startswith(("http://", "https://")):
        raise error_in(name, f"{quoted(value)} is not a URL", "Give one that starts with https:// or http://.")


def _image(name: str, value: object) -> None:
    is_image = isinstance(value, bytes) and value
    is_address = isinstance(value, str) and value.startswith(("http://", "https://", "data:image/"))
    if not is_image and not is_address:
        raise error_in(name, f"is {_described(value)}", "Give the bytes of an image file, or an http(s) or data URL.")


def _described(value: object) -> str:
    if isinstance(value, str):
        return f"the string {quoted(value)}"
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    if isinstance(value, int) and value.bit_length() > 128:
        return "a number of more than 128 bits"  # repr of a huge int is long, and raises beyond 4300 digits
    return repr(value) if isinstance(value, (int, float)) or value is None else f"a {type(value).__name__}"


_CHECKS: dict[str, _Check] = {
    "text": _string,
    "negative_prompt": _storable_string,
    "num_images": _whole(1, MAX_IMAGES),
    "seed": _optional(_whole(0, MAX_SEED)),
    "steps": _optional(_whole(0, MAX_STEPS)),
    "cfg_scale": _optional(_number(0, MAX_CFG_SCALE)),
    "scheduler": _optional(_one_of(tuple(SCHEDULERS))),
    "w": _optional(_side),
    "h": _optional(_side),
    "aspect_ratio": _optional(_one_of(ASPECT_RATIOS)),
    "ar": _one_of(LEGACY_ASPECT_RATIOS),
    "resolution": _optional(_one_of(RESOLUTIONS)),
    "super_resolution": _switch,
    "hires_fix": _switch,
    "face_correct": _switch,
    "face_swap": _switch,
    "inpaint_faces": _switch,
    "use_lpw": _switch,
    "style": _optional(_one_of(STYLES)),
    "color_grading": _optional(_one_of(COLOR_GRADINGS)),
    "film_grain": _switch,
    "prompt_expansion": _switch,
    "input_image": _optional(_image),
    "mask_image": _optional(_image),
    "denoising_strength": _optional(_number(0, 1)),
    "controlnet": _optional(_one_of(CONTROLNETS)),
    "controlnet_conditioning_scale": _optional(_number(0, 1)),
    "controlnet_txt2img": _switch,
    "backend_version": _optional(_one_of(BACKEND_VERSIONS)),
    "callback": _optional(_url),
}
