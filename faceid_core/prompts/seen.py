"""Text as a person sees it: in plain signs and lower-case letters, with the place each came from.

Escapes are read, letters and signs of other alphabets become those they look like, and what cannot be seen is left out.

Source of the table: the confusables of Unicode Technical Standard 39, less what Unicode's own compatibility forms and
names say, plus currency signs and brackets.
"""

from __future__ import annotations

import functools
import html
import re
import unicodedata
from collections.abc import Sequence

_LOOKING_LIKE = {
    "a": "ɑαаᎪᗅ⍺ꓮ\U000102a0\U00016f40",
    "c": "¢©ϲсᏟⲥꓚ\U000102a2\U00010302\U0001043d\U0001051c\U0001f74c",
    "d": "ԁժᎠᏧᑯᗞᗪ∂ꓒꓓ",
    "e": "ɘəɛεеэєҽᎬ€℮⋿ⴹꓰꬲ\U00010286\U000118a6\U000118ae",
    "f": "ſϜғքᖴẝ₣ꓝꬵ\U00010287\U000102a5\U00010525\U000118c2\U0001d213\U0001d7ca",
    "i": "ıɩ˛ͺιіӏᎥ⍳ꙇ\U000118c3",
    "l": "ƖǀІӏᏞᒪᛁ∣⏽ⲒⳐⵏꓡꓲ￨\U0001028a\U00010309\U0001041b\U00010526\U000118a3\U000118b2\U00016f16\U00016f28\U0001d22a",
    "o": "°οσоөօଠంಂംഠංဝჿዐᴑⲟⵔ〇ꓳꬽ\U00010292\U000102ab\U0001042c\U000104ea\U00010516\U000118b5\U000118c8\U000118d7",
    "r": "®ƦгᎡᏒᖇᴦⲅꓣꭇꭈꮁ\U000104b4\U00016f35\U0001d216",
    "(": "❨❲⸨〔﴾",
    ")": "❩❳⸩〕﴿",
    "-": "˗‐‒–—―⁃−➖Ⲻ",
    ":": "ː˸։\u05c3ःઃ፡᛬᠃᠉⁚∶ꓽ꞉︰",
    "<": "«˂ᐸᚲ‹≪❬❮❰⟨⟪⧼〈《\U0001d236",
    ">": "»˃ᐳ›≫❭❯❱⟩⟫⧽〉》\U00016f3f\U0001d237",
    "[": "⟦「『【〔〖",
    "]": "⟧」』】〕〗",
    "{": "❴\U0001d114",
    "}": "❵",
}
_SEEN_AS = {character: plain for plain, characters in _LOOKING_LIKE.items() for character in characters}

# A letter by name: LATIN LETTER SMALL CAPITAL F, LATIN SMALL LETTER D WITH HOOK, REGIONAL INDICATOR SYMBOL LETTER F.
_NAMED_LETTER = re.compile(
    r"(?:.* )?(?:LATIN|SYMBOL) (?:.* )?(?:LETTER|CAPITAL) (?:SMALL CAPITAL )?([A-Z])(?: WITH .*)?"
)

# What Unicode calls default ignorable or draws as nothing, beside format characters (Cf) and marks on letters (Mn, Me).
_UNSEEN = frozenset("\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
_UNSEEN_CATEGORIES = ("Cf", "Mn", "Me", "Cc", "Co", "Cn")

_ESCAPE = re.compile(
    r"&#[xX](?P<hex>[0-9a-fA-F]{1,6});|&#[xX]0*(?P<hex2>[2-7][0-9a-fA-F])|&#(?P<decimal>[0-9]{1,7});|&#0*(?P<decimal2>58|6[02]|4[01]|9[13]|[0-9]{1,7})"
    r"|&(?P<named>[A-Za-z]{2,10});|&(?P<bare>lt|gt|amp|LT|GT|AMP)|(?P<percent>(?:%[0-9a-fA-F]{2})+)"
    r"|\\x(?P<hex3>[0-9a-fA-F]{2})|\\u(?P<hex4>[0-9a-fA-F]{4})"
    r"|\\u\{0*(?P<hex5>[0-9a-fA-F]{1,6})\}|\\0?(?P<octal>7[246])|=(?P<hex6>3[ACEace])|\\(?P<sign>[<>:\[\](){}])"
)
_MOST_LAYERS = 4  # of escapes inside escapes


def in_plain_signs(text: str, start: int, end: int) -> tuple[str, Sequence[int]]:
    """``text[start:end]`` as it is seen, and the place in ``text`` of each of its characters, then ``end``."""
    seen: tuple[str, Sequence[int]] = (text[start:end], range(start, end + 1))
    for _ in range(_MOST_LAYERS):
        if not seen[0].isascii():
            seen = _put_together([_seen(character) for character in seen[0]], seen[1])
        if not _ESCAPE.search(seen[0]):
            break
        seen = _unescaped(*seen)
    return seen[0].lower(), seen[1]


def _put_together(parts: Sequence[str], places: Sequence[int]) -> tuple[str, Sequence[int]]:
    together = "".join(parts)
    if len(together) == len(parts) and all(parts):
        return together, places
    spread = [place for part, place in zip(parts, places, strict=False) for _ in part]
    return together, [*spread, places[-1]]


def _unescaped(plain: str, places: Sequence[int]) -> tuple[str, Sequence[int]]:
    parts: list[str] = []
    spread: list[int] = []
    position = 0
    for escape in _ESCAPE.finditer(plain):
        meant = _meant(escape)
        parts += [plain[position : escape.start()], meant]
        spread += [*places[position : escape.start()], *[places[escape.start()]] * len(meant)]
        position = escape.end()
    return "".join([*parts, plain[position:]]), [*spread, *places[position:]]


def _meant(escape: re.Match[str]) -> str:
    kind = escape.lastgroup or ""
    written = escape[kind]
    if kind == "sign":
        return written
    if kind in ("named", "bare"):
        return html.unescape(f"&{written};").replace("\xad", "")
    if kind == "percent":
        return bytes.fromhex(written.replace("%", "")).decode("utf-8", "replace")
    number = int(written, {"decimal": 10, "decimal2": 10, "octal": 8}.get(kind, 16))
    return chr(number) if 0 < number < 0x110000 and not 0xD800 <= number < 0xE000 else ""


@functools.lru_cache(maxsize=4096)  # a character's seven look-ups take microseconds, an entry about 200 bytes
def _seen(character: str) -> str:
    """A character as the plain one it looks like; nothing of one that cannot be seen."""
    if character.isascii():
        return character if character.isprintable() or character.isspace() else ""
    if plain := _SEEN_AS.get(character) or _SEEN_AS.get(character.casefold()):
        return plain
    if character.isspace():
        return " "
    if character in _UNSEEN or unicodedata.category(character) in _UNSEEN_CATEGORIES:
        return ""
    if named := _NAMED_LETTER.fullmatch(unicodedata.name(character, "")):
        return named[1].lower()
    if (digit := unicodedata.digit(character, None)) is not None:
        return str(digit)
    parts = unicodedata.normalize("NFKD", character)
    letters = "".join(part for part in parts if unicodedata.category(part) not in _UNSEEN_CATEGORIES)
    return "".join(_SEEN_AS.get(letter, letter) for letter in letters.casefold())
