"""A parsed prompt text: words, tags and flags, and how a tag or a flag is written.

grammar.py reads it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from typing import Literal

from .errors import PromptError, quoted
from .flags import FlagScalar, FlagValue

TagKind = Literal["faceid", "lora"]
TAG_KINDS: tuple[TagKind, ...] = ("faceid", "lora")

# The API documents no range. Strengths in use are 0.2 to 1.5, LoRA sliders go to about 8 in both directions; more than
# 10 is a typing mistake. A person cannot be taken away from a picture, so a face's strength ends at 0.
MAX_STRENGTH = 10.0
MIN_STRENGTH: dict[TagKind, float] = {"faceid": 0.0, "lora": -MAX_STRENGTH}

BARE_WORD = re.compile(r'[^\s<>"\\]+')
FLAG_AHEAD = re.compile(r"(?:--|[\u2013\u2014])[A-Za-z]")

_LONGEST_ID = 18  # digits; a 64-bit id always fits
_NOT_IN_REF = re.compile(r"[\x00-\x1f\x7f<>:]")


@dataclass(frozen=True)
class Tag:
    """``<kind:ref:strength>``; ``start`` and ``end`` are its place in the text it was read from (not compared).

    A LoRA's strength may be negative. ``text_strength`` is a LoRA's strength on the text encoder,
    ``<lora:ref:strength:text_strength>``; None is the same strength as on the model.

    Raises PromptError when the tag could not be written: an unknown kind, a ref holding ``< > :`` or a control
    character or a space at an end, a strength outside 0 to 10 (of a LoRA: -10 to 10), a second strength of a face.
    """

    kind: TagKind
    ref: str
    strength: float = 1.0
    start: int = field(default=0, compare=False)
    end: int = field(default=0, compare=False)
    text_strength: float | None = None

    def __post_init__(self) -> None:
        if self.kind not in TAG_KINDS:
            raise PromptError(f"A tag is of kind 'faceid' or 'lora', not {self.kind!r}.", field="text")
        fault = ref_fault(self.ref) or strength_fault(self.strength, self.kind)
        if not fault and self.text_strength is not None:
            fault = strength_fault(self.text_strength, self.kind) if self.kind == "lora" else _ONE_STRENGTH
        if fault:
            problem, remedy, _ = fault
            raise PromptError(f"The tag for {quoted(self.ref)}: {problem}. {remedy}", field="text")

    @property
    def tune_id(self) -> int | None:
        """The ref as a tune id, or None when it is a title or a file name."""
        is_id = self.ref.isascii() and self.ref.isdigit() and len(self.ref) <= _LONGEST_ID
        return int(self.ref) if is_id else None

    def __str__(self) -> str:
        strengths = [self.strength] if self.text_strength is None else [self.strength, self.text_strength]
        return f"<{':'.join([self.kind, self.ref, *map(_decimal, strengths)])}>"


@dataclass(frozen=True)
class Flag:
    """``--name value``; the value is True, a number, a string, or a tuple of them, as flags.py says for the name."""

    name: str
    value: FlagValue = True
    start: int = field(default=0, compare=False)
    end: int = field(default=0, compare=False)

    def __str__(self) -> str:
        values = self.value if isinstance(self.value, tuple) else () if self.value is True else (self.value,)
        return " ".join(["--" + self.name, *map(_word, values)])


@dataclass(frozen=True)
class PromptText:
    """The parts of a prompt text, in order: strings of words, tags, and flags."""

    pieces: tuple[str | Tag | Flag, ...]

    @cached_property
    def tags(self) -> tuple[Tag, ...]:
        return tuple(piece for piece in self.pieces if isinstance(piece, Tag))

    @cached_property
    def flags(self) -> tuple[Flag, ...]:
        return tuple(piece for piece in self.pieces if isinstance(piece, Flag))

    @property
    def faces(self) -> tuple[Tag, ...]:
        """The ``faceid`` tags."""
        return tuple(tag for tag in self.tags if tag.kind == "faceid")

    @property
    def loras(self) -> tuple[Tag, ...]:
        """The ``lora`` tags."""
        return tuple(tag for tag in self.tags if tag.kind == "lora")

    def flag(self, name: str, default: FlagValue | None = None) -> FlagValue | None:
        """The value of ``--name``, or ``default`` when the text does not contain it."""
        return next((flag.value for flag in self.flags if flag.name == name), default)

    @cached_property
    def word_spans(self) -> tuple[tuple[int, int], ...]:
        """Start and end of each string of words, in the text they were read from."""
        spans, position = [], 0
        for piece in self.pieces:
            if isinstance(piece, str):
                spans.append((position, position + len(piece)))
                position += len(piece)
            else:
                position = piece.end
        return tuple(spans)

    @cached_property
    def plain_text(self) -> str:
        """The words for the text encoder: no tags, no flags, every run of white space as one space, trimmed.

        The class word and ``(weights:1.2)`` stay. A space stands between words that only a tag separated.
        """
        return " ".join(_join_words(self.pieces).split())


def ref_fault(ref: str) -> tuple[str, str, int] | None:
    """What is wrong with a reference: problem, remedy, offset of its place in the reference; None if it is valid."""
    if not ref:
        return "the tag has no reference", "Name a tune's id, its title, or a LoRA file, as in <faceid:12:1>.", 0
    if ref != ref.strip():
        if ref[0].isspace():
            return "a reference starts with a space", "Remove it.", 0
        return "a reference ends with a space", "Remove it.", len(ref.rstrip())
    if bad := _NOT_IN_REF.search(ref):
        return (
            f"a reference cannot contain {bad.group()!r}",
            "Write the tune's id instead of its title, or rename the file.",
            bad.start(),
        )
    return None


_ONE_STRENGTH = ("a person has one strength", "Only a LoRA has a second one, for the text encoder.", 0)


def strength_fault(strength: float, kind: TagKind) -> tuple[str, str, int] | None:
    if MIN_STRENGTH[kind] <= strength <= MAX_STRENGTH:
        return None
    return f"the strength {strength:.15g} is outside {strength_range(kind)}", "1 is full strength.", 0


def strength_range(kind: TagKind) -> str:
    """The strengths a tag may have, for a message."""
    return f"{MIN_STRENGTH[kind]:g} to {MAX_STRENGTH:g}"


def _decimal(number: float) -> str:
    """The shortest decimal, without exponent, that is read as ``number``."""
    digits = f"{Decimal(repr(float(number) + 0.0)):f}"
    return digits.rstrip("0").rstrip(".") if "." in digits else digits


def _word(value: FlagScalar) -> str:
    if not isinstance(value, str):
        return _decimal(value)
    is_bare = BARE_WORD.fullmatch(value) and not value.startswith("'") and not FLAG_AHEAD.match(value)
    return value if is_bare else '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _join_words(pieces: tuple[str | Tag | Flag, ...]) -> str:
    joined: list[str] = []
    was_cut = False
    for piece in pieces:
        if not isinstance(piece, str):
            was_cut = True
            continue
        if was_cut and joined and joined[-1][-1:].isalnum() and piece[:1].isalnum():
            joined.append(" ")
        joined.append(piece)
        was_cut = False
    return "".join(joined)
