"""One picture that shows at a glance whether the results look like the person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..faces.likeness import Likeness
from ..faces.verdict import Verdict
from .lettering import fitted, write

if TYPE_CHECKING:
    from PIL import Image, ImageDraw

_CELL, _GAP, _LINE, _BANNER = 320, 12, 22, 40  # pixels
_COLUMNS = 5
_TEXT = 18  # font size
PAPER, INK, GREY = (250, 250, 248), (32, 32, 32), (120, 120, 120)
_GOOD, _WARNING = (20, 130, 60), (190, 50, 20)


@dataclass(frozen=True, eq=False)
class Frame:
    """One picture of the sheet.

    Attributes:
        pixels: [H, W, 3] uint8 RGB.
        caption: one short line.
        likeness: the likeness to each person, with their name ("Anna"); empty for a photo, or without a person to
        compare.
        is_photo: a photo of the person rather than a result.
    """

    pixels: np.ndarray
    caption: str
    likeness: tuple[tuple[str, Likeness], ...] = ()
    is_photo: bool = False


def contact_sheet(frames: Sequence[Frame], warning: str = "", lines: Sequence[str] = ()) -> np.ndarray:
    """[H, W, 3] uint8 RGB: photos first, then results with their likeness.

    ``warning`` stands across the top in red, ``lines`` below the pictures.
    """
    from PIL import Image, ImageDraw

    columns = min(_COLUMNS, len(frames))
    rows = -(-len(frames) // columns)
    top = _BANNER if warning else 0
    height = _CELL + _GAP + _LINE * (1 + max(1, *(len(frame.likeness) for frame in frames))) + _LINE // 2
    width = columns * _CELL + (columns + 1) * _GAP
    bottom = top + rows * height + _GAP
    sheet = Image.new("RGB", (width, bottom + len(lines) * _LINE + (_GAP if lines else 0)), PAPER)
    draw = ImageDraw.Draw(sheet)
    if warning:
        draw.rectangle((0, 0, width, _BANNER), fill=_WARNING)
        write(draw, (_GAP, _BANNER // 2), fitted(warning, _TEXT, width - 2 * _GAP), _TEXT, "white", "lm")
    for number, frame in enumerate(frames):
        row, column = divmod(number, columns)
        _place(sheet, draw, frame, _GAP + column * (_CELL + _GAP), top + _GAP + row * height)
    for number, line in enumerate(lines):
        write(draw, (_GAP, bottom + number * _LINE), fitted(line, _TEXT, width - 2 * _GAP), _TEXT, INK)
    return np.array(sheet)


def _place(sheet: Image.Image, draw: ImageDraw.ImageDraw, frame: Frame, left: int, top: int) -> None:
    paste_whole(sheet, frame.pixels, left, top, _CELL)
    if frame.is_photo:
        draw.rectangle((left - 3, top - 3, left + _CELL + 2, top + _CELL + 2), outline=GREY, width=2)
    write(draw, (left, top + _CELL + 6), fitted(frame.caption, _TEXT, _CELL), _TEXT, INK)
    for line, (person, found) in enumerate(frame.likeness, 1):
        text = fitted(describe_likeness(person, found), _TEXT, _CELL)
        good = found.verdict in (Verdict.SAME, Verdict.PROBABLY)
        write(draw, (left, top + _CELL + 6 + line * _LINE), text, _TEXT, _GOOD if good else GREY)


def paste_whole(sheet: Image.Image, pixels: np.ndarray, left: int, top: int, side: int) -> None:
    """The whole picture, in its aspect ratio, in the middle of a square."""
    from PIL import Image, ImageOps

    picture = ImageOps.contain(Image.fromarray(pixels), (side, side), Image.Resampling.LANCZOS)
    sheet.paste(picture, (left + (side - picture.width) // 2, top + (side - picture.height) // 2))


def describe_likeness(person: str, found: Likeness) -> str:
    """For example "Anna 0.63, same person"; "Anna: no face" when the picture shows no face."""
    if found.cosine is None:
        return f"{person}: {found.verdict.value}"
    return f"{person} {found.cosine:.2f}, {found.verdict.value}"
