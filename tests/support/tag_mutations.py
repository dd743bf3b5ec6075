"""Tags as people and programs garble them: random mutations of one, that a person still reads as a tag."""

from __future__ import annotations

import random
import urllib.parse
from collections.abc import Callable

HOMOGLYPHS = {
    "a": "аɑα𝐚ａᴀⓐáᗅ🅰🇦",
    "c": "сϲⅽ𝒄ｃᴄⓒçꓚ🇨",
    "d": "ԁⅾ𝖽ｄᴅⓓďᗞ🅳🇩",
    "e": "еҽ𝕖ｅᴇⓔéε🅴🇪",
    "f": "ғ𝐟ｆꜰⓕḟƒꓝ🅵🇫",
    "i": "іıɩ𝗂ｉɪⓘíⅰ🅸🇮1l!",
    "l": "ӏⅼ𝓁ｌʟⓛł1I|",
    "o": "оο𝚘ｏᴏⓞöօσ0",
    "r": "г𝗋ｒʀⓡřᴦ",
}
BRACKETS = (
    "[]",
    "{}",
    "()",
    "‹›",
    "«»",
    "⟨⟩",
    "〈〉",
    "《》",
    "＜＞",
    "﹤﹥",
    "［］",
    "｛｝",
    "（）",
    "【】",
    "❮❯",
    "≪≫",
    "⟦⟧",
    "〔〕",
    "˂˃",
    "❰❱",
)
COLONS = "：∶ː˸։׃﹕︓꞉"
UNSEEN = (
    "\u200b\u200c\u200d\u2060\ufeff\u00ad\u200e\u200f\u061c"
    "\u115f\u1160\u3164\uffa0\u034f\u17b4\u180e\ufe0f\U000e0041\U000e0100\u0301\u0336\u20dd\x01\x7f\ue000"
)
SPACES = (" ", "\u00a0", "\u2003", "\u3000", "\u202f", "-", "_", ".", "\u2011", "\u00b7", "  ")


class Garbled:
    """A tag's parts, changed in place."""

    def __init__(self, kind: str, ref: str, strength: str) -> None:
        self.name, self.ref, self.strength = list(kind), ref, strength
        self.left, self.right, self.colon = "<", ">", ":"
        self.before_colon, self.after_colon = "", ""
        self.escape: Callable[[str], str] = str

    def __str__(self) -> str:
        colon = f"{self.before_colon}{self.colon}{self.after_colon}"
        left, right, colon = self.escape(self.left), self.escape(self.right), colon.replace(":", self.escape(":"))
        return f"{left}{''.join(self.name)}{colon}{self.ref}{colon}{self.strength}{right}"


def _entity(sign: str, chance: random.Random) -> str:
    code = ord(sign)
    named = {"<": "&lt;", ">": "&gt;", ":": "&colon;"}
    bare = f"&#{code}" + ";" * (sign == ":")  # "&#5812" is another character
    written = named.get(sign, sign)
    numbers = (f"&#{code};", bare, f"&#x{code:x};", f"&#X{code:02X};", f"&#0{code};", f"&amp;#{code};")
    forms = (*numbers, written, written.replace("&", "&amp;"), written.replace("&", "&amp;amp;"))
    return chance.choice(forms)


def _escaped(chance: random.Random) -> Callable[[str], str]:
    forms: tuple[Callable[[str], str], ...] = (
        lambda sign: "".join(_entity(c, chance) for c in sign),
        lambda sign: urllib.parse.quote(sign),
        lambda sign: urllib.parse.quote(urllib.parse.quote(sign)),
        lambda sign: "".join(f"\\u{ord(c):04x}" for c in sign),
        lambda sign: "".join(f"\\u{{{ord(c):x}}}" for c in sign),
        lambda sign: "".join(f"\\x{ord(c):02X}" for c in sign if ord(c) < 256) or sign,
        lambda sign: "".join("\\" + c if c in "<>[](){}" else c for c in sign),
        lambda sign: "".join(f"={ord(c):02X}" if c in "<>:" else c for c in sign),
    )
    return chance.choice(forms)


def garbled(chance: random.Random) -> str:
    """A tag after one to four mutations of different kinds."""
    tag = Garbled(
        chance.choice(("faceid", "faceid", "lora")),
        chance.choice(("12", "Anna", "Anna 2026", "Анна", "detail", "styles/film.safetensors")),
        chance.choice(("1", "0.8", ".5", "1.25", "2", "0,8")),
    )
    for mutation in chance.sample(MUTATIONS, chance.randint(1, 4)):
        mutation(tag, chance)
    return str(tag)


def _case(tag: Garbled, chance: random.Random) -> None:
    tag.name = [chance.choice((letter.upper(), letter)) for letter in tag.name]


def _homoglyphs(tag: Garbled, chance: random.Random) -> None:
    for number, letter in enumerate(tag.name):
        if letter in HOMOGLYPHS and chance.random() < 0.5:
            tag.name[number] = chance.choice(HOMOGLYPHS[letter])


def _unseen(tag: Garbled, chance: random.Random) -> None:
    for _ in range(chance.randint(1, 4)):
        tag.name.insert(chance.randint(0, len(tag.name)), chance.choice(UNSEEN))


def _spaced(tag: Garbled, chance: random.Random) -> None:
    between = chance.choice(SPACES)
    places = range(1, len(tag.name)) if chance.random() < 0.3 else [chance.randint(1, len(tag.name) - 1)]
    for place in reversed(places):
        tag.name.insert(place, between)


def _slip(tag: Garbled, chance: random.Random) -> None:
    place = chance.randrange(1, len(tag.name) - 1)
    kind = chance.randrange(4)
    if kind == 0:
        del tag.name[place]
    elif kind == 1:
        tag.name[place] = chance.choice("abcdefghijklmnopqrstuvwxyz0123456789")
    elif kind == 2:
        tag.name.insert(place, chance.choice("abcdefghijklmnopqrstuvwxyz"))
    else:
        tag.name[place : place + 2] = reversed(tag.name[place : place + 2])


def _brackets(tag: Garbled, chance: random.Random) -> None:
    tag.left, tag.right = chance.choice(BRACKETS)


def _one_bracket(tag: Garbled, chance: random.Random) -> None:
    if chance.random() < 0.5:
        tag.left = chance.choice(("", chance.choice(BRACKETS)[0]))
    else:
        tag.right = chance.choice(("", chance.choice(BRACKETS)[1]))


def _doubled(tag: Garbled, chance: random.Random) -> None:
    tag.left, tag.right = tag.left * 2, tag.right * chance.choice((1, 2))


def _colon(tag: Garbled, chance: random.Random) -> None:
    tag.colon = chance.choice(COLONS)


def _loose(tag: Garbled, chance: random.Random) -> None:
    tag.before_colon, tag.after_colon = chance.choice(("", " ", "\u00a0")), chance.choice(("", " ", "\u00a0"))
    tag.left += chance.choice(("", " ", "\u200b"))


def _escape(tag: Garbled, chance: random.Random) -> None:
    tag.escape = _escaped(chance)


def _suffix(tag: Garbled, chance: random.Random) -> None:
    tag.name += list(chance.choice(("-v2", "2", "_v2", " 2")))


MUTATIONS = (
    _case,
    _homoglyphs,
    _unseen,
    _spaced,
    _slip,
    _brackets,
    _one_bracket,
    _doubled,
    _colon,
    _loose,
    _escape,
    _suffix,
)
