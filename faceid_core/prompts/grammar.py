r"""The prompt text: words, ``<faceid:REF:STRENGTH>`` and ``<lora:REF:STRENGTH>`` tags, and ``--flags``.

    text      = { words | tag | flag }
    tag       = "<faceid:" ref ":" strength ">"
              | "<lora:" ref ":" ["-"] strength [ ":" ["-"] strength ] ">"     on the model, on the text encoder
    ref       = a tune's id, a tune's title, or a LoRA file name: one or more characters other than < > : and control
                characters, with no space at either end
    strength  = digits [ "." digits ] | "." digits        from 0 to 10
    flag      = "--" name [ values ]                      preceded and followed by a space, a tag, or an end
    value     = word | '"' anything, \" and \\ escaped '"'

A tag may stand anywhere and there may be several. Everything else is words and stays as written: the class word after
a tag, ``(weights:1.2)``, ``{{templates}}``, ``<3`` and ``<1>``. What looks like a tag or a flag but is not one is an
error, never words: otherwise a mistyped tag would draw another person without a warning. So ``<faceid`` and ``<lora``
cannot be written as words; there is no escape. Words that a person reads as a tag are refused too (lookalikes.py).

Apostrophes are letters and only double quotes group words, as where the API reads flags ("a man's hat").

``format`` writes tags and flags in one canonical spelling (``1.0`` becomes ``1``, ``--a=b`` becomes ``--a b``) and
words as they are: ``parse(format(p)) == p`` for every value, ``format(parse(s)) == s`` for every text in that spelling.
To change references in a user's text and nothing else, use ``rewrite_refs``.

Reading takes time proportional to the text's length: one pass, no backtracking over more than the current word.

Source: docs/facts/astria.md 6.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from .errors import PromptError, error_at, quoted, suggestion
from .flags import FLAGS, FlagScalar, FlagSpec, is_decimal, unknown_flag
from .lookalikes import kind_of, refuse_lookalikes
from .text import (
    BARE_WORD,
    FLAG_AHEAD,
    TAG_KINDS,
    Flag,
    PromptText,
    Tag,
    TagKind,
    ref_fault,
    strength_fault,
    strength_range,
)

# Where a tag or a flag may start: "<" before a name, two or more hyphens or a long dash before a name. The lookbehind
# makes a run of dashes match once, not again from each of its dashes.
_DASH = r"[-\u2013\u2014]"
# The first character is a set, so that words in between are skipped at the speed of a search for one character.
_MARK = re.compile(
    rf"[<\-\u2013\u2014](?:(?<=<)(?=\s*[A-Za-z_])"
    rf"|(?<!<)(?<!{_DASH}{_DASH})(?:{_DASH}+|(?<=[\u2013\u2014]))(?=[A-Za-z]))"
)
_TAG_NAME = re.compile(r"(\s*)([A-Za-z_][A-Za-z0-9_]*)")
_TAG_BODY = re.compile(r"[^<>\r\n]*")
_OTHER_TAG = re.compile(r":[^<>:\r\n]{1,120}:[-+]?[0-9.,]+[^<>\r\n]{0,40}>")  # after a name that is not known
_UNSTORABLE = re.compile(r"[\x00\ud800-\udfff]")
_FLAG_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")  # without hyphens, because runs of a-a-a would be read many times
_UNKNOWN_FLAG_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_SPACES = re.compile(r"\s*")
_QUOTED_WORD = re.compile(r'"([^"\\]*(?:\\.[^"\\]*)*)"', re.DOTALL)
_ESCAPE = re.compile(r'\\(["\\])')
_PARTS = {"faceid": 2, "lora": 3}  # of a tag after its name
_TOO_MANY_PARTS = {
    "faceid": ("the tag has more than three parts", "<faceid:REF:STRENGTH>"),
    "lora": ("the tag has more than four parts", "<lora:REF:STRENGTH> or <lora:REF:MODEL:TEXT>"),
}


def parse(text: str) -> PromptText:
    """The parts of a prompt text.

    Raises:
        PromptError: with ``position`` and ``column``, for text that starts like a tag or a flag and is not one, a
            value out of its range, a flag given twice, and characters that cannot be stored (NUL, half surrogates).
    """
    if unstorable := _UNSTORABLE.search(text):
        raise error_at(
            text,
            unstorable.start(),
            f"the character U+{ord(unstorable.group()):04X} cannot be stored as text",
            "Remove it.",
        )
    pieces = _scan(text)
    _refuse_repeated_flags(text, pieces)
    return PromptText(pieces)


def format(prompt_text: PromptText) -> str:
    """Write a prompt text in its canonical spelling; the inverse of ``parse``.

    Raises:
        PromptError: the pieces would be parsed as other pieces: words that contain a tag or a flag, a flag joined to a
            word, empty or neighbouring strings.
    """
    text = "".join(map(str, prompt_text.pieces))
    if parse(text) != prompt_text:
        raise PromptError(
            f"These pieces are parsed as other pieces: {quoted(text)}. "
            "Put spaces around flags, and remove tags and flags from the strings.",
            field="text",
        )
    return text


def rewrite_refs(text: str, new_ref: Callable[[Tag], str]) -> str:
    """``text`` with the ref of each tag replaced by ``new_ref(tag)``; a tag whose ref does not change stays as written.

    For the remote API: a local tune's id is replaced by the tune's id there.

    Raises:
        PromptError: when ``text`` does not parse, or a new ref cannot be written in a tag.
    """
    written: list[str] = []
    end = 0
    for tag in parse(text).tags:
        ref = new_ref(tag)
        if ref != tag.ref:
            written += [text[end : tag.start], str(replace(tag, ref=ref))]
            end = tag.end
    return "".join([*written, text[end:]])


def with_tag(text: str, tag: Tag) -> str:
    """``text`` with ``tag`` in front, or unchanged if it already names that ref (at any strength)."""
    if any((other.kind, other.ref) == (tag.kind, tag.ref) for other in parse(text).tags):
        return text
    return f"{tag} {text}".rstrip()


def _scan(text: str) -> tuple[str | Tag | Flag, ...]:
    piece: Tag | Flag | None
    pieces: list[str | Tag | Flag] = []
    words_start = position = 0
    while mark := _MARK.search(text, position):
        piece = _read_tag(text, mark.start()) if mark.group() == "<" else _read_flag(text, mark)
        if piece is None:
            position = mark.end()
            continue
        if piece.start > words_start:
            refuse_lookalikes(text, words_start, piece.start)
            pieces.append(text[words_start : piece.start])
        pieces.append(piece)
        words_start = position = piece.end
    if words_start < len(text):
        refuse_lookalikes(text, words_start, len(text))
        pieces.append(text[words_start:])
    return tuple(pieces)


def _matched(pattern: re.Pattern[str], text: str, position: int) -> re.Match[str]:
    """Of a pattern that matches at ``position`` for certain: it takes nothing too, or ``_MARK`` has looked ahead."""
    match = pattern.match(text, position)
    assert match is not None
    return match


# Tags


def _read_tag(text: str, start: int) -> Tag | None:
    """The tag at ``text[start] == "<"``, or None when these are words."""
    name = _matched(_TAG_NAME, text, start + 1)
    spaces, written = name.groups()
    kind = next((known for known in TAG_KINDS if known == written.lower()), None)
    has_colon = text.startswith(":", name.end())
    if kind is None:
        is_tag = has_colon and (_OTHER_TAG.match(text, name.end()) or kind_of(written))
        if spaces or not is_tag:
            return None
        remedy = suggestion(written, TAG_KINDS).lstrip() or "The tags are <faceid:...> and <lora:...>."
        raise error_at(
            text, start + 1, f"unknown tag {quoted(written)}", f"{remedy} To use it as words, put a space after '<'."
        )
    if spaces and not has_colon:
        return None  # "a < faceid": advice, in lookalikes.py
    if spaces or written != kind:
        problem = "a space inside the tag" if spaces else f"tag names are lower case, not {quoted(written)}"
        raise error_at(text, start + 1, problem, f"Write <{kind}:...>.")
    if not has_colon:
        problem = f"a ':' and a reference must follow '{kind}'"
        raise error_at(text, name.end(), problem, f"Write <{kind}:12:1>, where 12 is an id, a title or a file name.")
    return _read_tag_body(text, start, name.end() + 1, kind)


def _read_tag_body(text: str, start: int, body_start: int, kind: TagKind) -> Tag:
    body = _matched(_TAG_BODY, text, body_start)
    end = body.end()
    if not text.startswith(">", end):
        raise error_at(text, start, "the tag has no closing '>'", f"Close it, as in <{kind}:12:1>.")
    ref, *written = body.group().split(":", _PARTS[kind] - 1)
    if fault := ref_fault(ref):
        problem, remedy, offset = fault
        raise error_at(text, body_start + offset, problem, remedy)
    if not written or not written[0]:
        raise error_at(text, end, "the tag has no strength", f"Write it last: <{kind}:{_short(ref)}:1>.")
    position = body_start + len(ref) + 1
    strengths = []
    for number in written:
        strengths.append(_read_strength(text, position, number, kind))
        position += len(number) + 1
    return Tag(kind, ref, strengths[0], start, end + 1, strengths[1] if len(strengths) > 1 else None)


def _read_strength(text: str, position: int, written: str, kind: TagKind) -> float:
    number, too_much, _ = written.partition(":")
    if too_much:
        problem, form = _TOO_MANY_PARTS[kind]
        remedy = f"Write {form}; for a title that contains ':', write the tune's id."
        raise error_at(text, position + len(number), problem, remedy)
    if not is_decimal(number) or (number.startswith("-") and kind == "faceid"):
        sign = "without sign, exponent" if kind == "faceid" else "without exponent"
        problem = f"the strength {quoted(number)} is not a plain decimal number"
        remedy = f"Write a number from {strength_range(kind)} {sign} or spaces, such as 1 or 0.8."
        raise error_at(text, position, problem, remedy)
    strength = float(number)
    if fault := strength_fault(strength, kind):
        raise error_at(text, position, fault[0], fault[1])
    return strength


def _short(ref: str) -> str:
    return ref if len(ref) <= 24 else ref[:23] + "…"


# Flags


def _read_flag(text: str, dashes: re.Match[str]) -> Flag | None:
    """The flag at a run of dashes, or None when these are words."""
    start = dashes.start()
    name = _matched(_FLAG_NAME, text, dashes.end())
    spec = FLAGS.get(name.group())
    is_apart = start == 0 or text[start - 1] == ">" or text[start - 1].isspace()
    if dashes.group() != "--" or not is_apart:
        if spec and _looks_like_flag(dashes.group(), is_apart):
            problem = f"{quoted(dashes.group() + spec.name)} looks like the flag --{spec.name}"
            remedy = f"Write ' --{spec.name}' with two hyphens and a space before them, or one hyphen for words."
            raise error_at(text, start, problem, remedy)
        return None
    if spec is None:
        full_name = _matched(_UNKNOWN_FLAG_NAME, text, dashes.end()).group()
        raise error_at(text, start, *unknown_flag(full_name))
    return _read_flag_value(text, start, name.end(), spec)


def _looks_like_flag(dashes: str, is_apart: bool) -> bool:
    """Two or more hyphens anywhere, or a separate long dash, which word processors insert for two hyphens."""
    return is_apart or set(dashes) == {"-"}


def _read_flag_value(text: str, start: int, name_end: int, spec: FlagSpec) -> Flag:
    equals = text.startswith("=", name_end)
    if not equals and name_end < len(text) and not text[name_end].isspace():
        raise error_at(text, name_end, f"--{spec.name} is joined to {text[name_end]!r}", "Put a space after the flag.")
    if equals and spec.takes == "nothing":
        raise error_at(text, name_end, f"--{spec.name} takes no value", f"Write --{spec.name}.")
    if spec.takes == "nothing":
        return Flag(spec.name, True, start, name_end)
    if spec.takes == "perhaps one" and not equals and not _number_follows(text, name_end):
        return Flag(spec.name, spec.absent, start, name_end)
    values, end = _read_words(text, name_end + equals, spec, glued=equals)
    return Flag(spec.name, tuple(values) if spec.takes == "many" else values[0], start, end)


def _read_words(text: str, end: int, spec: FlagSpec, glued: bool) -> tuple[list[FlagScalar], int]:
    """The values of a flag from ``text[end]`` on, and where the last one ends. Without a value: PromptError."""
    values: list[FlagScalar] = []
    while not values or spec.takes == "many":
        start = end if glued and not values else _matched(_SPACES, text, end).end()
        word = _read_word(text, start, spec)
        if word is None:
            break
        raw, end = word
        try:
            values.append(spec.read(raw))
        except ValueError:
            problem = f"--{spec.name} cannot be {quoted(raw)}"
            raise error_at(text, start, problem, f"It takes {spec.expects}.") from None
    if not values:
        remedy = f"It takes {spec.expects}."
        raise error_at(text, min(end, len(text)), f"--{spec.name} has no value", remedy)
    return values, end


def _read_word(text: str, start: int, spec: FlagSpec) -> tuple[str, int] | None:
    """One shell word at ``start`` and its end; None if there is no word (a tag, a flag, the end)."""
    if FLAG_AHEAD.match(text, start):
        return None
    if text.startswith("'", start):
        raise error_at(text, start, f"the value of --{spec.name} starts with an apostrophe", "Use double quotes.")
    if text.startswith('"', start):
        match = _QUOTED_WORD.match(text, start)
        if match is None:
            raise error_at(text, start, "the quote is not closed", "Close it with '\"'.")
        word = _ESCAPE.sub(r"\1", match.group(1))
    else:
        match = BARE_WORD.match(text, start)
        if match is None:
            return None
        word = match.group()
    end = match.end()
    if end < len(text) and not text[end].isspace():
        problem = f"the value of --{spec.name} is joined to {text[end]!r}"
        raise error_at(text, end, problem, "Put a space after the value, or the whole value in double quotes.")
    return word, end


def _number_follows(text: str, position: int) -> bool:
    word = BARE_WORD.match(text, _matched(_SPACES, text, position).end())
    return word is not None and is_decimal(word.group())


def _refuse_repeated_flags(text: str, pieces: tuple[str | Tag | Flag, ...]) -> None:
    seen: set[str] = set()
    for piece in pieces:
        if isinstance(piece, Flag):
            if piece.name in seen:
                raise error_at(text, piece.start, f"--{piece.name} is given twice", "Keep one of them.")
            seen.add(piece.name)
