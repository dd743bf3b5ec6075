"""Text of any script on a picture: Pillow's own font, and GNU Unifont for what it lacks.

A character that neither has is written as its number, ``[U+20BB7]``; no box stands for it.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import ImageDraw, ImageFont

    Colour = str | tuple[int, int, int]

_FONTS = Path(__file__).parent / "fonts"
_LATIN, _WIDE, _UPPER = "", "unifont.otf", "unifont_upper.otf"
_GRID = 16  # Unifont's glyphs are drawn on 16 pixels: other sizes than its multiples blur
_JOINERS = "\u200c\u200d"  # they shape Arabic and Indic letters
_NOWHERE = "\U0010fffd"  # a character that no font has


def write(
    draw: ImageDraw.ImageDraw,
    place: tuple[float, float],
    text: str,
    size: int,
    fill: Colour,
    anchor: str = "la",
) -> None:
    """Write one line; ``anchor`` as in Pillow: l or m, and a (ascender) or m (middle)."""
    runs = _runs(text)
    main = font(size)
    if [name for name, _ in runs] in ([], [_LATIN]):
        draw.text(place, "".join(run for _, run in runs), fill=fill, font=main, anchor=anchor)
        return
    x, y = place
    ascent, descent = main.getmetrics()
    x -= width_of(text, size) / 2 if anchor[0] == "m" else 0
    y += ascent if anchor[1] == "a" else (ascent - descent) / 2
    for name, run in runs:
        draw.text((round(x), round(y)), run, fill=fill, font=font(size, name), anchor="ls", direction=_direction())
        x += _length(name, run, size)


def width_of(text: str, size: int) -> float:
    """The pixels that one line takes."""
    return sum(_length(name, run, size) for name, run in _runs(text))


def _length(name: str, run: str, size: int) -> float:
    return font(size, name).getlength(run, direction=_direction() if name else None)  # Pillow's own font is not shaped


def fitted(text: str, size: int, width: float) -> str:
    """``text``, cut at its end when it is wider than ``width`` pixels."""
    if width_of(text, size) <= width:
        return text
    while text and width_of(text + "…", size) > width:
        text = text[:-1]
    return text + "…"


@lru_cache(16)  # a font costs what its file has, 5 MB at most
def font(size: int, name: str = _LATIN) -> ImageFont.FreeTypeFont:
    """Pillow's font, or a file of the folder ``fonts``, in about this size."""
    from PIL import ImageFont

    if name == _LATIN:
        found = ImageFont.load_default(size=size)
        assert isinstance(found, ImageFont.FreeTypeFont)
        return found
    engine = ImageFont.Layout.RAQM if _direction() else ImageFont.Layout.BASIC
    return ImageFont.truetype(str(_FONTS / name), max(1, round(size / _GRID)) * _GRID, layout_engine=engine)


def _runs(text: str) -> list[tuple[str, str]]:
    """The font's name and the characters of each piece. Letters of several scripts stay together, for their order."""
    shown = _shown(text)
    if all(_has(_LATIN, character) for character in shown):
        return [(_LATIN, shown)] if shown else []
    pieces = groupby(shown, lambda character: _UPPER if _is_upper(character) else _WIDE)
    return [(name, _in_visual_order("".join(characters))) for name, characters in pieces]


def _shown(text: str) -> str:
    """Composed, without invisible characters; what no font has as a number."""
    kept = [each for each in unicodedata.normalize("NFC", text) if not _is_invisible(each)]
    return "".join(each if _is_known(each) else f"[U+{ord(each):04X}]" for each in kept)


def _is_invisible(character: str) -> bool:
    if character in _JOINERS:
        return _direction() is None
    variation = "\ufe00" <= character <= "\ufe0f" or "\U000e0000" <= character <= "\U000e01ef"
    return variation or unicodedata.category(character) == "Cf"


def _is_known(character: str) -> bool:
    if unicodedata.category(character) in ("Cc", "Cs", "Cn", "Co"):
        return False
    return any(_has(name, character) for name in (_LATIN, _WIDE, _UPPER))


def _is_upper(character: str) -> bool:
    return not _has(_WIDE, character) and _has(_UPPER, character)


@lru_cache(4096)  # a few bytes each
def _has(name: str, character: str) -> bool:
    return _drawn(name, character) != _drawn(name, _NOWHERE)


def _drawn(name: str, character: str) -> tuple[tuple[int, int], bytes]:
    mask = font(_GRID, name).getmask(character, mode="1")
    return mask.size, bytes(mask)


@lru_cache(1)
def _direction() -> str | None:
    """The direction of a line where Pillow can shape scripts (libraqm); None where it cannot."""
    from PIL import features

    return "ltr" if features.check("raqm") else None


def _in_visual_order(text: str) -> str:
    """Hebrew and Arabic from right to left, where Pillow does not turn them itself: letters unjoined, but in order."""
    if _direction():
        return text
    clusters: list[str] = []
    for character in text:
        if clusters and unicodedata.combining(character):
            clusters[-1] += character
        else:
            clusters.append(character)
    turned: list[str] = []
    pending: list[str] = []  # of a right-to-left run; neutral characters at its end belong to what follows
    for cluster in [*clusters, ""]:
        kind = unicodedata.bidirectional(cluster[0]) if cluster else "L"
        if kind in ("R", "AL") or (pending and kind in ("WS", "ON", "CS", "ES")):
            pending.append(cluster)
            continue
        tail: list[str] = []
        while pending and unicodedata.bidirectional(pending[-1][0]) not in ("R", "AL"):
            tail.insert(0, pending.pop())
        turned += [*reversed(pending), *tail, cluster]
        pending = []
    return "".join(turned)
