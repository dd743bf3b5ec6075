"""Words that a person reads as a tag and the grammar does not.

Another bracket, a hyphen in the name, a letter of another alphabet, an escaped or full-width sign: as words they draw
somebody else without a warning, so they are refused.
"""

from __future__ import annotations

import html
import re
import unicodedata

from .errors import PromptError, error_at, quoted

# Letters of other alphabets that look like those of the two names. Accents are taken off before.
_LETTERS = str.maketrans("аɑαсϲеҽєіιıɩԁɗоοσӏʟʀꭇгƒғ", "aaacceeeiiiiddooollrrrff")
_BRACKETS = dict.fromkeys("‹«⟨〈《❮❬⟪˂ᐸ≪", "<") | dict.fromkeys("›»⟩〉》❯❭⟫˃ᐳ≫", ">") | {"【": "[", "】": "]"}
_COLONS = dict.fromkeys("∶꞉ː˸։׃፡", ":")
_HYPHENS = dict.fromkeys("‐‑‒–—―−", "-")
_SIGNS = _BRACKETS | _COLONS | _HYPHENS

_ENTITY = re.compile(r"&(?:amp;)*(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z]{2,10});")
_TAG = re.compile(
    r"(?P<open>[<(\[{\\]?)\s{0,3}(?P<name>face[\s_.\-]{0,3}id|lora)\s{0,3}:(?P<ref>[^<>()\[\]{}\r\n:]{0,120})"
    r"(?P<strength>:\s{0,3}-?[0-9]*[.,]?[0-9]+)?"
)


def refuse_lookalikes(text: str, start: int, end: int) -> None:
    """Check the words ``text[start:end]``.

    Raises:
        PromptError: they hold what reads as a tag; points at it.
    """
    plain, places = _plain(text, start, end)
    for found in _TAG.finditer(plain):
        name, ref = found["name"], found["ref"].strip()
        if found.start("name") and plain[found.start("name") - 1].isalnum():
            continue  # "explora:"
        if not found["strength"] and (found["open"] in ("", "(", "\\") or not ref):
            continue  # "faceid: a study", "(faceid:1.2)", which is a weight
        first, last = found.span("ref")
        written = text[places[first] : places[last - 1] + 1].strip() if last > first else ""
        raise _error(text, places[found.start("name") if not found["open"] else found.start()], name, found, written)


def _error(text: str, position: int, name: str, found: re.Match[str], written: str) -> PromptError:
    kind = "lora" if name == "lora" else "faceid"
    ref, strength = written or "12", (found["strength"] or ":1")[1:].strip()
    problem = f"{quoted(found.group().strip())} looks like a tag and is not one"
    remedy = f"Write <{kind}:{ref}:{strength}>, with plain signs and letters, or other words."
    return error_at(text, position, problem, remedy)


def _plain(text: str, start: int, end: int) -> tuple[str, list[int]]:
    """The words in plain signs and lower-case letters, and the place in ``text`` that each character came from."""
    words = text[start:end]
    if words.isascii() and "&" not in words:
        return words.lower(), list(range(start, end))
    plain: list[str] = []
    places: list[int] = []
    position = start
    while position < end:
        entity = _ENTITY.match(text, position, end) if text[position] == "&" else None
        written = _unescaped(entity.group()) if entity else text[position]
        for character in written:
            folded = _folded(character)
            plain.append(folded)
            places += [position] * len(folded)
        position = entity.end() if entity else position + 1
    return "".join(plain), places


def _unescaped(entity: str) -> str:
    while (once := html.unescape(entity)) != entity:
        entity = once
    return entity


def _folded(character: str) -> str:
    """A character as the plain one it looks like; nothing of one that cannot be seen."""
    if character.isascii():
        return character.lower()
    if sign := _SIGNS.get(character):
        return sign
    if unicodedata.category(character) == "Cf":
        return ""
    parts = unicodedata.normalize("NFKD", character)
    letters = "".join(part for part in parts if unicodedata.category(part) not in ("Mn", "Cf"))
    return "".join(_SIGNS.get(letter, letter) for letter in letters.casefold().translate(_LETTERS))
