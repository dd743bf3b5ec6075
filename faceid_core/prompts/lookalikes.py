"""Words that a person reads as a tag and the grammar does not.

Another bracket, a hyphen in the name, a letter of another alphabet, an escaped or full-width sign, a letter too many:
as words they draw somebody else without a warning. What can hardly be anything else is refused; what may be words, such
as ``faceid: a study`` or ``[lora:a parrot:0.5]``, gets advice.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .errors import PromptError, error_at, quoted
from .seen import in_plain_signs
from .text import MAX_STRENGTH, TagKind

_LONGEST_NAME = 48  # characters back from a colon, or on from a bracket, in which a name is looked for
_OVERRIDES = re.compile("[\u202d\u202e]")  # "show from right to left": what is written backwards is read forwards

_COLON = re.compile(r"[a-z0-9][^a-z0-9<>()\[\]{}:\n]{0,6}:")
_OPENING = re.compile(r"[<\[({](?=[^a-z0-9<>()\[\]{}:\n]{0,6}[a-z0-9])")
_BARE_NAME = re.compile(r"(?:face[^a-z0-9<>()\[\]{}:\n]{0,3}id|lora)(?=[^a-z0-9:])")
# Two letters that stand together in each name, whichever slip is in it. Most sites are passed over by this alone.
_SOME_LETTERS = re.compile(
    r"f{0}a|a{0}f|c{0}e|e{0}c|[i1l!|]{0}d|d{0}[i1l!|]|[l1i!|]{0}[o0]|[o0]{0}[l1i!|a]|r{0}[a4@]|[l1i!|]{0}r".replace(
        "{0}", r"[^a-z0-9<>()\[\]{}:\n]{0,6}"
    )
)
_STOP = re.compile(r"[<>()\[\]{}:\n]")
_TOKEN = re.compile(r"[a-z0-9]+")
_REST = re.compile(
    r"(?P<suffix>[^<>()\[\]{}\r\n:]{0,24}):(?P<ref>[^<>()\[\]{}\r\n:]{0,120})"
    r"(?P<strength>:\s{0,3}[-+]?(?:[0-9]+[.,]?[0-9]*|[.,][0-9]+))?\s{0,3}(?P<close>[>\])}|]?)"
)
_NUMBERS = re.compile(r"[\s=;,|/~_.\-]{1,3}[0-9]+[\s=;,|/~_]{1,3}[0-9.]+")  # "faceid 12 1"
_NUMBER_INSIDE = re.compile(r"[^<>()\[\]{}\r\n:]{1,60}?(?<=[^a-z0-9])[0-9][0-9.]*")
_CLOSED = re.compile(r"[^<>()\[\]{}\r\n:]{1,40}>")
_WORDS = re.compile(r"\s*[^\W\d_]+(?:[\s,'-]+[^\W\d_]+)*\s*")
_CLOCK_OR_RATIO = re.compile(
    r"\s*[0-9]{1,2}:[0-5][0-9]\b|\s*(?:1:1|16:9|9:16|21:9|9:21|3:2|2:3|5:4|4:5|4:3|3:4)(?![0-9.])"
)

_WORD = re.compile(r"[a-z]{3}")
_VERSION = re.compile(r"v?[0-9]{1,2}$")  # "faceidv2"
_STROKES = re.compile(r"[!|](?=[^a-z0-9<>()\[\]{}:\n]{0,6}[a-z0-9])")
# A tag of any name. That it has a number and is closed tells it from "a < b: c > d".
_ANY_TAG = re.compile(
    r"<[^<>:\r\n]{1,40}:(?P<ref>[^<>:\r\n]{1,120}):\s{0,3}[-+]?(?:[0-9]+[.,]?[0-9]*|[.,][0-9]+)\s{0,3}(?P<close>>)"
)

_FOLD = str.maketrans("1l!|0@34", "iiiioaea")  # l, 1 and I are one stroke in many typefaces
_NAMES: dict[str, TagKind] = {"faceid": "faceid", "lora".translate(_FOLD): "lora"}


def _one_slip(name: str) -> Iterator[str]:
    """``name`` with one letter left out, wrong or too many, or two letters swapped."""
    for i in range(len(name) + 1):
        yield from (name[:i] + letter + name[i:] for letter in string.ascii_lowercase + string.digits)
        if i < len(name):
            yield name[:i] + name[i + 1 :]
            yield from (name[:i] + letter + name[i + 1 :] for letter in string.ascii_lowercase + string.digits)
            yield name[:i] + name[i + 1 : i + 2] + name[i] + name[i + 2 :]


_SLIPS: dict[str, TagKind] = {
    slip.translate(_FOLD): kind for name, kind in _NAMES.items() for slip in _one_slip(name)
} | _NAMES


_EITHER = "<faceid:12:1> or <lora:FILE:1>"


@dataclass(frozen=True)
class Lookalike:
    """Words at ``text[start:end]`` that read as a tag. ``is_plain``: they can hardly be anything else."""

    start: int
    end: int
    written: str
    tag: str
    is_plain: bool

    @property
    def message(self) -> str:
        """A sentence of advice."""
        return f"{quoted(self.written)} is drawn as these words: for a tag, write {self.tag}."


def refuse_lookalikes(text: str, start: int, end: int) -> None:
    """Check the words ``text[start:end]``.

    Raises:
        PromptError: they hold what reads as a tag and hardly as anything else; points at it.
    """
    for found in lookalikes(text, start, end, only_plain=True):
        raise _error(text, found)


def lookalikes(text: str, start: int, end: int, *, only_plain: bool = False) -> Iterator[Lookalike]:
    """All that reads as a tag in the words ``text[start:end]``, each once; or those that are hardly anything else."""
    plain, places = in_plain_signs(text, start, end)
    if "<" not in plain and not _SOME_LETTERS.search(plain):
        return
    told: set[tuple[int, bool]] = set()
    for seen, origins in _readings(text, start, plain, places):
        for found in _found(text, seen, origins, only_plain):
            if (found.start, found.is_plain) not in told:
                told.add((found.start, found.is_plain))
                yield found


def _readings(text: str, start: int, plain: str, places: Sequence[int]) -> Iterator[tuple[str, Sequence[int]]]:
    """The words in plain signs, and in what other ways a person may read them."""
    yield plain, places
    if _STROKES.search(plain):  # "face!d", "|ora", and not "{a|lora:x:1}"
        yield _STROKES.sub("i", plain), places
    if _OVERRIDES.search(text, start, places[-1]):
        mirrored = plain[::-1].translate(str.maketrans("<>()[]{}", "><)(][}{"))
        yield mirrored, [start] * (len(plain) + 1)


def kind_of(name: str) -> TagKind | None:
    """The kind of tag that ``name`` reads as, with up to one slip, or None."""
    plain, _ = in_plain_signs(name, 0, len(name))
    found = _read("".join(_TOKEN.findall(plain)))
    return found and found[0]


def _error(text: str, found: Lookalike) -> PromptError:
    problem = f"{quoted(found.written)} looks like a tag and is not one"
    return error_at(text, found.start, problem, f"Write {found.tag}, with plain signs and letters, or other words.")


def _found(text: str, plain: str, places: Sequence[int], only_plain: bool) -> Iterator[Lookalike]:
    seen: set[int] = set()
    for other in () if only_plain else _ANY_TAG.finditer(plain):
        if not _read("".join(_TOKEN.findall(plain, other.start(), other.start("ref")))):
            written = text[places[other.start()] : places[other.end()]]
            yield Lookalike(places[other.start()], places[other.end()], written, _EITHER, False)
    for first, last, kind, is_exact in _names(plain):
        if first in seen:
            continue
        opening = _opening(plain, first)
        judged = _judged(plain, first, last, opening, kind, is_exact)
        if judged is None:
            continue
        seen.add(first)
        is_plain, stop, ref = judged
        if only_plain and not is_plain:
            continue
        begin = first if opening is None else opening
        strength = _REST.match(plain, last)
        number = ((strength and strength["strength"]) or ":1")[1:].strip().replace(",", ".").lstrip("+")
        shown = text[places[ref.start] : places[ref.stop]].strip() if ref.stop > ref.start else ""
        tag = f"<{kind}:{shown or '12'}:{number}>"
        while stop > last and plain[stop - 1] in " ,.|\n":
            stop -= 1
        start, end = places[begin], places[stop]
        yield Lookalike(start, end, text[start:end].strip(), tag, is_plain)


def _names(plain: str) -> Iterator[tuple[int, int, TagKind, bool]]:
    """Where a name ends before a colon, begins after a bracket, or stands alone: start, end, kind, without a slip."""
    if not _SOME_LETTERS.search(plain):
        return
    before = 0
    for colon in _COLON.finditer(plain):
        end = colon.start() + 1
        start, before = max(before, end - _LONGEST_NAME), colon.end()
        if _SOME_LETTERS.search(plain, start, end):
            yield from _name_before(plain, start, end)
    for opening in _OPENING.finditer(plain):
        if _SOME_LETTERS.search(plain, opening.end(), opening.end() + _LONGEST_NAME):
            yield from _name_after(plain, opening.end())
    for name in _BARE_NAME.finditer(plain):
        if not plain[name.start() - 1 : name.start()].isalnum():
            yield name.start(), name.end(), "lora" if name.group() == "lora" else "faceid", True


def _name_before(plain: str, start: int, end: int) -> Iterator[tuple[int, int, TagKind, bool]]:
    tokens = list(_TOKEN.finditer(plain, start, end))
    if start and plain[start - 1].isalnum() and tokens and tokens[0].start() == start:
        del tokens[0]
    name, best = "", None
    for number, token in enumerate(reversed(tokens)):
        between = plain[token.end() : tokens[-number].start()] if number else ""
        if _STOP.search(between) or len(name) > 10:
            break
        name = token.group() + name
        if found := _read(name):
            best = (token.start(), end, *found)
            if found[1]:
                break
    if best:
        yield best


def _name_after(plain: str, start: int) -> Iterator[tuple[int, int, TagKind, bool]]:
    stop = _STOP.search(plain, start, start + _LONGEST_NAME)
    end = stop.start() if stop else min(len(plain), start + _LONGEST_NAME)
    name, first, best = "", None, None
    for token in _TOKEN.finditer(plain, start, end):
        first = token.start() if first is None else first
        name += token.group()
        if len(name) > 12:
            break
        if found := _read(name):
            best = (first, token.end(), *found)
            if found[1]:
                break
    if best:
        yield best


def _read(name: str) -> tuple[TagKind, bool] | None:
    """The kind that letters read as, and whether without a slip."""
    plain = name.translate(_FOLD)
    if kind := _NAMES.get(plain):
        return kind, True
    if kind := _SLIPS.get(plain) or _SLIPS.get(_VERSION.sub("", name).translate(_FOLD)):
        return kind, False
    return ("faceid", False) if plain.startswith("faceid") and len(plain) <= len("faceid") + 4 else None


def _opening(plain: str, first: int) -> int | None:
    """The place of the bracket that opens what begins at ``first``."""
    for place in range(first - 1, max(-1, first - 8), -1):
        if plain[place] in "<[({":
            return place
        if plain[place].isalnum() or plain[place] in ">])}:\n":
            return None
    return None


def _judged(
    plain: str, first: int, last: int, opening: int | None, kind: TagKind, is_exact: bool
) -> tuple[bool, int, slice] | None:
    """Whether it can hardly be anything else, where it ends, where its ref is; None if it does not read as a tag."""
    bracket = "" if opening is None else plain[opening]
    rest = _REST.match(plain, last)
    if rest is None:
        return _without_colon(plain, last, bracket, kind, is_exact)
    ref, number, close = rest["ref"], rest["strength"], rest["close"]
    place = slice(*rest.span("ref"))
    if is_exact and bracket != "<" and _WORD.search(rest["suffix"]):
        return _without_colon(plain, last, bracket, kind, is_exact)  # "[faceid of a man: a study]"
    if bracket == "<":
        is_plain = is_exact or bool(number) or kind == "faceid"
        return is_plain, rest.end(), place
    if not is_exact:
        is_told = bool(number) or kind == "faceid" or (close == ">" and bool(ref.strip()))
        is_innocent = (_is_phrase(ref) and not bracket and not close) or _is_weight(bracket, ref, number)
        return None if is_innocent or not is_told else (False, rest.end(), place)
    if number:
        is_plain = not _is_phrase(ref) and _is_strength(number)
        if not bracket and _CLOCK_OR_RATIO.match(plain, place.start):
            is_plain = False
        return is_plain, rest.end(), place
    if _is_weight(bracket, ref, number) or (not bracket and ref[:1] == " " and len(ref.split()) > 2 and close != ">"):
        return None
    is_plain = bracket in ("[", "{") and bool(ref.strip()) and " " not in ref.strip() and not _is_fraction(ref)
    return is_plain and close != "|" and not (_is_phrase(ref) and ref[0] == " "), rest.end(), place


def _without_colon(
    plain: str, last: int, bracket: str, kind: TagKind, is_exact: bool
) -> tuple[bool, int, slice] | None:
    nothing = slice(last, last)
    numbers = _NUMBERS.match(plain, last)
    if bracket == "<" and is_exact:
        return False, last, nothing
    inside = _NUMBER_INSIDE.match(plain, last) if bracket and (is_exact or bracket == "<") else None
    closed = _CLOSED.match(plain, last) if is_exact or (bracket == "<" and kind == "faceid") else None
    found = (numbers if is_exact or bracket else None) or inside or closed
    return (False, found.end(), nothing) if found else None


def _is_phrase(ref: str) -> bool:
    """Words of a sentence rather than a title or a file: all small letters, or after a space; or with a comma."""
    words = ref.split()
    is_small = _WORDS.fullmatch(ref) is not None and ref == ref.lower()
    return (len(words) > 1 and (ref[0] == " " or is_small or ", " in ref)) or (is_small and ref[:1] == " ")


def _is_strength(number: str) -> bool:
    return abs(float(number[1:].strip().replace(",", "."))) <= MAX_STRENGTH


def _is_weight(bracket: str, ref: str, number: str | None) -> bool:
    """``(word:1.2)``"""
    return bracket == "(" and not number and re.fullmatch(r"\s*[0-2]?(?:\.[0-9]*)?\s*", ref) is not None


def _is_fraction(ref: str) -> bool:
    """When in the sampling: ``[word:0.5]``"""
    return re.fullmatch(r"\s*[01]?\.[0-9]+\s*", ref) is not None
