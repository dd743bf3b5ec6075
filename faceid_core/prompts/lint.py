"""Advice on prompts that an engine can draw, but probably not as the user wants.

The advice is the API's own (docs/facts/astria.md 6, 7 and 17; the FaceID page), one short function for each subject.
Lint never refuses a prompt; ``Prompt`` itself refuses what cannot be drawn.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

from ..errors import readable
from .defaults import FACE_CFG_SCALE
from .errors import quoted
from .lookalikes import lookalikes
from .notations import notations
from .prompt import Prompt
from .schedulers import SCHEDULERS
from .text import Tag

# The classes the API treats as faces, and the words people use for them.
FACE_CLASSES = ("man", "woman", "boy", "girl", "child", "baby", "person")

MAX_LCM_CFG_SCALE = 2.0
MAX_LCM_STEPS = 8

ANIMATION_STYLES = ("Animated", "Comic book", "Lowpoly", "Line art")

_ANIMATION = re.compile(
    r"\b(?:animat(?:ed|ion)|anime|manga|cartoons?|comics?|pixar|disney|ghibli|chibi|illustrat(?:ed|ion)s?|"
    r"(?:pencil|ink) drawing|sketch|line ?art|low ?poly|caricature|claymation|3d render)\b",
    re.IGNORECASE,
)
_WORD = re.compile(r"[^\W_]+")
_ARTICLES = ("a", "an", "the")
_UNKNOWN_TAG = re.compile(r"<(?!(?:faceid|lora)\b)[A-Za-z_]\w{0,30}:[^<>\s][^<>\r\n]{0,120}>")
_WEIGHT = re.compile(r"(?<![0-9]):\s*[0-9.]+\s*\)")  # "(word:1.2)", not "(16:9)"


class TuneFacts(Protocol):
    """What lint reads of a tune: ``Tune`` of faceid_core.tunes and the API's tune object have these attributes."""

    @property
    def name(self) -> str | None: ...

    @property
    def steps(self) -> int | None: ...

    @property
    def training_face_correct(self) -> bool | None: ...


@dataclass(frozen=True)
class Lint:
    """One piece of advice: a stable ``code``, a ``message``, and the ``field`` it is about.

    ``start`` and ``end`` are the place in the prompt's text (0-based, end exclusive), or None when it is about a
    parameter as a whole. ``is_remote``: nothing to say where the prompt is drawn on this machine.
    """

    code: str
    message: str
    field: str = "text"
    start: int | None = None
    end: int | None = None
    is_remote: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "message", readable(self.message))


def lint(prompt: Prompt, tunes: Mapping[str, TuneFacts] = MappingProxyType({})) -> tuple[Lint, ...]:
    """Advice on ``prompt``, in the order of its rules. ``tunes``: the tunes its tags name, by the ref in the tag."""
    return tuple(found for rule in _RULES for found in rule(prompt, tunes))


_Tunes = Mapping[str, TuneFacts]


def _cfg_scale(prompt: Prompt, tunes: _Tunes) -> Iterator[Lint]:
    if prompt.cfg_scale is None:
        return
    if prompt.scheduler == "lcm":
        if prompt.cfg_scale > MAX_LCM_CFG_SCALE:
            message = f"LCM overexposes at cfg_scale {prompt.cfg_scale:g}; use 1 to {MAX_LCM_CFG_SCALE:g}."
            yield Lint("lcm-cfg-scale", message, "cfg_scale")
    elif prompt.has_face and prompt.cfg_scale != FACE_CFG_SCALE:
        message = f"FaceID keeps a face best at cfg_scale {FACE_CFG_SCALE:g}; this prompt has {prompt.cfg_scale:g}."
        yield Lint("cfg-scale", message, "cfg_scale")


def _steps(prompt: Prompt, tunes: _Tunes) -> Iterator[Lint]:
    if prompt.scheduler == "lcm" and (prompt.steps or 0) > MAX_LCM_STEPS:
        yield Lint("lcm-steps", f"LCM needs 5 or 6 steps; {prompt.steps} only take longer.", "steps")


def _scheduler(prompt: Prompt, tunes: _Tunes) -> Iterator[Lint]:
    reason = SCHEDULERS[prompt.scheduler].why_not_local if prompt.scheduler else ""
    if reason:
        message = f"{prompt.scheduler!r} is available on the remote API only ({reason}); 'lcm' is as fast here."
        yield Lint("remote-scheduler", message, "scheduler")


def _face_swap(prompt: Prompt, tunes: _Tunes) -> Iterator[Lint]:
    if not prompt.face_swap:
        return
    if not prompt.has_face:
        yield Lint("face-swap-without-tag", "face_swap has no face to put in: add a <faceid:...> tag.", "face_swap")
    word = _ANIMATION.search(prompt.parsed.plain_text)
    cause = f"style {prompt.style!r}" if prompt.style in ANIMATION_STYLES else word and f"{word.group()!r}"
    if cause:
        message = f"face_swap pastes a photographic face; turn it off for animation ({cause})."
        yield Lint("face-swap-animation", message, "face_swap")


def _super_resolution(prompt: Prompt, tunes: _Tunes) -> Iterator[Lint]:
    for field in ("hires_fix", "inpaint_faces"):
        if getattr(prompt, field) and not prompt.super_resolution:
            message = f"{field} has no effect without super_resolution: turn that on too."
            yield Lint("needs-super-resolution", message, field)


def _weights(prompt: Prompt, tunes: _Tunes) -> Iterator[Lint]:
    if not prompt.use_lpw and _WEIGHT.search(prompt.parsed.plain_text):
        message = "Weights such as (word:1.2) need use_lpw; without it the API reads them as words."
        yield Lint("weights-without-lpw", message, "use_lpw")


def _image_input(prompt: Prompt, tunes: _Tunes) -> Iterator[Lint]:
    if prompt.controlnet and prompt.input_image is None:
        yield Lint("controlnet-without-image", f"controlnet {prompt.controlnet!r} needs an input_image.", "controlnet")
    if prompt.mask_image is not None and prompt.input_image is None:
        yield Lint(
            "mask-without-image", "mask_image is the mask of an input_image, and input_image is not set.", "mask_image"
        )


def _size(prompt: Prompt, tunes: _Tunes) -> Iterator[Lint]:
    if prompt.w and prompt.h and prompt.aspect_ratio:
        message = f"w and h ({prompt.w}x{prompt.h}) are used instead of aspect_ratio {prompt.aspect_ratio}."
        yield Lint("size-given-twice", message, "aspect_ratio")
    if prompt.resolution:
        message = f"resolution {prompt.resolution} is read by the remote API only; set w, h or aspect_ratio."
        yield Lint("remote-field", message, "resolution")


def _negative_tags(prompt: Prompt, tunes: _Tunes) -> Iterator[Lint]:
    negative = prompt.negative_prompt
    if re.search(r"<(?:faceid|lora):", negative) or any(lookalikes(negative, 0, len(negative))):
        message = "Tags work in the text only; the negative prompt reads them as words."
        yield Lint("tag-in-negative-prompt", message, "negative_prompt")


def _backend_flags(prompt: Prompt, tunes: _Tunes) -> Iterator[Lint]:
    if prompt.backend_version != 1:
        return
    for flag in prompt.parsed.flags:
        if flag.name in ("faceid_portrait", "fix_bindi"):
            message = f"--{flag.name} does nothing with backend_version 1."
            yield Lint("flag-needs-backend-0", message, start=flag.start, end=flag.end)


def _people(prompt: Prompt, tunes: _Tunes) -> Iterator[Lint]:
    faces = prompt.parsed.faces
    for tag in faces[1:]:
        message = "The remote API applies the first face tag only; several people are drawn locally."
        yield Lint("several-people", message, start=tag.start, end=tag.end, is_remote=True)
    for tag in prompt.parsed.tags:
        if tag.strength == 0 and not tag.text_strength:
            yield Lint("zero-strength", f"{tag} has no effect at strength 0.", start=tag.start, end=tag.end)


def _lora_strengths(prompt: Prompt, tunes: _Tunes) -> Iterator[Lint]:
    for tag in prompt.parsed.loras:
        if tag.text_strength is not None:
            message = (
                f"{tag} is {tag.strength:g} on the model and {tag.text_strength:g} on the text encoder; A1111 reads "
                "the two in the other order, and the remote API takes one."
            )
            yield Lint("two-strengths", message, start=tag.start, end=tag.end)
        elif tag.strength < 0:
            message = f"{tag} works on this machine and in ComfyUI; the remote API takes no strength below 0."
            yield Lint("negative-strength", message, start=tag.start, end=tag.end, is_remote=True)


def _words_like_tags(prompt: Prompt, tunes: _Tunes) -> Iterator[Lint]:
    for start, end in prompt.parsed.word_spans:
        for found in lookalikes(prompt.text, start, end):
            yield Lint("looks-like-a-tag", found.message, start=found.start, end=found.end)
        for other in _UNKNOWN_TAG.finditer(prompt.text, start, end):
            message = f"{quoted(other.group())} is drawn as these words: the tags are <faceid:...> and <lora:...>."
            yield Lint("unknown-tag", message, start=other.start(), end=other.end())
    for tag in prompt.parsed.tags:
        if prompt.text[tag.start - 1 : tag.start] == "<" or prompt.text[tag.end : tag.end + 1] == ">":
            message = f"{tag} stands in another pair of brackets, which are drawn as words: remove them."
            yield Lint("doubled-bracket", message, start=tag.start, end=tag.end)


def _notations(prompt: Prompt, tunes: _Tunes) -> Iterator[Lint]:
    for start, end in prompt.parsed.word_spans:
        for code, advice, first, last in notations(prompt.text[start:end]):
            yield Lint(code, advice, start=start + first, end=start + last)


def _class_words(prompt: Prompt, tunes: _Tunes) -> Iterator[Lint]:
    written = frozenset(_words(prompt.parsed.plain_text))
    for tag, following in _faces_with_words(prompt):
        tune = tunes.get(tag.ref)
        expected = _words(tune.name) if tune and tune.name else ()
        # A tag that ends the text may have its class anywhere before it.
        is_there = _starts_with_class(following, expected) if following else written & set(expected or FACE_CLASSES)
        if not is_there:
            wanted = " ".join(expected) or "woman (or man, boy, girl, ...)"
            message = f"Put the class word right after the tag: {tag} {wanted}."
            yield Lint("class-word", message, start=tag.start, end=tag.end)


def _faces_with_words(prompt: Prompt) -> Iterator[tuple[Tag, tuple[str, ...]]]:
    """Each face tag with the words from it to the next face tag."""
    tag: Tag | None = None
    words: list[str] = []
    for piece in prompt.parsed.pieces:
        if isinstance(piece, str):
            words += _words(piece)
        elif isinstance(piece, Tag) and piece.kind == "faceid":
            if tag:
                yield tag, tuple(words)
            tag, words = piece, []
    if tag:
        yield tag, tuple(words)


def _starts_with_class(words: tuple[str, ...], expected: tuple[str, ...]) -> bool:
    start = 1 if words[0] in _ARTICLES else 0
    if expected:
        return words[start : start + len(expected)] == expected
    return words[start : start + 1] != () and words[start] in FACE_CLASSES


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.lower() for word in _WORD.findall(text))


def _tune_fields(prompt: Prompt, tunes: _Tunes) -> Iterator[Lint]:
    for tag in prompt.parsed.faces:
        tune = tunes.get(tag.ref)
        if tune is None:
            continue
        for name in ("steps", "training_face_correct"):
            if getattr(tune, name):
                message = f"tune[{name}] of {tag.ref!r} has no effect, because a FaceID tune is not trained."
                yield Lint("tune-not-trained", message, start=tag.start, end=tag.end)


_RULES: tuple[Callable[[Prompt, _Tunes], Iterator[Lint]], ...] = (
    _class_words,
    _people,
    _lora_strengths,
    _cfg_scale,
    _steps,
    _scheduler,
    _face_swap,
    _super_resolution,
    _weights,
    _words_like_tags,
    _notations,
    _image_input,
    _size,
    _negative_tags,
    _backend_flags,
    _tune_fields,
)
