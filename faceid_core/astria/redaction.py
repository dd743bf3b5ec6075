"""Hiding a key in whatever a server or library says, in every spelling a server may repeat it in.

``errors.py: AstriaError`` passes every message through ``hide``, so that no path to a user goes around it.
"""

from __future__ import annotations

import base64
import re
from collections import OrderedDict
from functools import lru_cache

HIDDEN = "••••"

# The API's keys start with sd_; the length is not documented. A model's name (sd_xl_base_1.0) has only short words.
KEY = re.compile(r"(?<![A-Za-z0-9_])sd_[A-Za-z0-9]{16,}(?![A-Za-z0-9])")
BEARER = re.compile(r"\bBearer\s+[A-Za-z0-9._~+/-]{16,}", re.IGNORECASE)

_MOST = 32  # keys of one process
_SHORT = 8  # characters; a shorter key is hidden as it is, or half of every sentence would be
_TELLING = 12  # characters at its beginning that give a long key away: a message may be cut in the middle of it
_ANY = r"(?:[A-Za-z0-9_]|%(?:25)*[0-9a-f]{2}|\\{1,9}u[0-9a-f]{4}|\\{1,9}x[0-9a-f]{2}|&(?:amp;)*#x?[0-9a-f]+;)*"

_known: OrderedDict[str, None] = OrderedDict()


def remember(key: str) -> None:
    """From now on ``hide`` hides it."""
    _known[key] = None
    _known.move_to_end(key)
    while len(_known) > _MOST:
        _known.popitem(last=False)


def hide(text: str) -> str:
    """``text`` without any key of this process, and without what looks like another one."""
    for key in tuple(_known):
        text = hide_key(text, key)
    return BEARER.sub(f"Bearer {HIDDEN}", KEY.sub(HIDDEN, text))


def hide_key(text: str, key: str) -> str:
    """``text`` without ``key``: as it is, percent-encoded, escaped as in JSON, Python or HTML, base64, hex."""
    return _spellings(key).sub(HIDDEN, text)


@lru_cache(maxsize=_MOST)
def _spellings(key: str) -> re.Pattern[str]:
    if len(key) < _SHORT:
        return re.compile(re.escape(key))
    begins = "".join(map(_spelled, key[:_TELLING])) + _ANY if len(key) >= 2 * _TELLING else ""
    spelled = ["".join(map(_spelled, key)), begins, re.escape(key[::-1]), key.encode().hex(), *_base64(key)]
    return re.compile("|".join(filter(None, spelled)), re.IGNORECASE)


def _spelled(character: str) -> str:
    """One character in every spelling; a percent sign or ampersand may itself have been encoded again."""
    number = ord(character)
    return (
        rf"(?:{re.escape(character)}|[%=](?:25)*{number:02x}|\\{{1,9}}u(?:00|\{{0*){number:02x}\}}?|\\{{1,9}}x{number:02x}"
        rf"|&(?:amp;)*#x0*{number:x};?|&(?:amp;)*#0*{number};?)"
    )


def _base64(key: str) -> list[str]:
    """The characters that the key alone decides, wherever in a longer text it begins."""
    found = []
    for before, skipped in ((0, 0), (1, 2), (2, 3)):
        encoded = base64.b64encode(b"\0" * before + key.encode()).decode().rstrip("=")
        certain = encoded[skipped : len(encoded) - bool((before + len(key)) % 3)]
        found += [re.escape(certain), re.escape(certain.translate(str.maketrans("+/", "-_")))]
    return found
