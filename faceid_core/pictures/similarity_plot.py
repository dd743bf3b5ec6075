"""Photos compared with results: a matrix of cosines that a person can read at a glance."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..faces.likeness import LikenessMatrix
from ..faces.verdict import Verdict, thresholds_of
from .contact_sheet import GREY, INK, PAPER, Frame, paste_whole
from .lettering import fitted, width_of, write

if TYPE_CHECKING:
    from PIL import Image, ImageDraw

_CELL, _GAP, _CAPTION, _SECTION = 152, 8, 26, 28  # pixels; _SECTION: between photos, results and the mean
_CELL_HEIGHT = _CELL + _CAPTION  # as high as a photo with its caption
_MARGIN = 24
_COLUMNS = 8  # results per band at most; more results form further bands below
_TITLE, _TEXT, _SMALL, _NUMBER, _VERDICT = 26, 16, 15, 40, 64  # font sizes
_VERDICT_LINE = 84
_SWATCH, _LINE = 20, 30
_MIN_WIDTH = 800  # the least width of title and legend

_Colour = tuple[int, int, int]

# Fill and ink. Light to dark and blue-green to orange, so that it works for colour-blind readers and in grey too; every
# cell also states the verdict.
_COLOURS = {
    Verdict.SAME: ((0, 118, 101), (255, 255, 255)),
    Verdict.PROBABLY: ((150, 214, 190), INK),
    Verdict.UNSURE: ((250, 214, 120), INK),
    Verdict.OTHER: ((205, 84, 32), (255, 255, 255)),
    Verdict.NO_FACE: ((226, 226, 222), GREY),
}


def similarity_plot(
    photos: Sequence[Frame],
    results: Sequence[Frame],
    matrix: LikenessMatrix,
    title: str = "Likeness",
    verdict: str = "",
) -> np.ndarray:
    """[H, W, 3] uint8 RGB: a row for each photo, a column for each result, the row's mean at its end.

    Every cell has the cosine, the verdict in words and the verdict's colour; the legend gives the least cosine of each
    verdict in the matrix's embedding space, and its source. More than 8 results continue in a band below. ``verdict``
    on all of it stands above, large enough to be read where the plot is small.
    """
    from PIL import Image, ImageDraw

    if matrix.cosines.shape != (len(photos), len(results)):
        raise ValueError(f"{len(photos)} photos and {len(results)} results for a matrix of {matrix.cosines.shape}")
    bands = list(_bands(len(results)))
    layout = _Layout(columns=len(bands[0]), rows=len(photos))
    legend = list(_legend(layout.width, matrix.space))
    heading = _MARGIN + (_VERDICT_LINE if verdict else 0)
    top = heading + _TITLE + 2 * _LINE + (1 + legend[-1].line) * _LINE
    sheet = Image.new("RGB", (layout.width, top + len(bands) * layout.band_height + _MARGIN - _GAP), PAPER)
    draw = ImageDraw.Draw(sheet)
    if verdict:
        room = layout.width - 2 * _MARGIN
        write(draw, (_MARGIN, _MARGIN), fitted(verdict, _VERDICT, room), _VERDICT, INK)
    _draw_heading(draw, heading, title, matrix, legend, layout.width)
    for number, columns in enumerate(bands):
        offset = top + number * layout.band_height
        _draw_photos(sheet, draw, photos, layout, offset)
        _draw_results(sheet, draw, results, columns, matrix, layout, offset)
    _draw_means(draw, matrix, layout, top + (len(bands) - 1) * layout.band_height, len(bands[-1]))
    return np.array(sheet)


def _bands(results: int) -> Iterator[range]:
    """The results of each band, in bands of nearly equal length."""
    columns = math.ceil(results / math.ceil(results / _COLUMNS))
    for start in range(0, results, columns):
        yield range(start, min(start + columns, results))


@dataclass(frozen=True)
class _Layout:
    """Where things are in a band, in pixels from its top left corner."""

    columns: int
    rows: int

    @property
    def width(self) -> int:
        return max(_MIN_WIDTH, self.mean_x(self.columns) + _CELL + _MARGIN)

    @property
    def band_height(self) -> int:
        return self.y(self.rows) + _SECTION

    def x(self, column: int) -> int:
        return _MARGIN + _CELL + _SECTION + column * (_CELL + _GAP)

    def y(self, row: int) -> int:
        return _CELL + _CAPTION + _GAP + row * (_CELL + _CAPTION + _GAP)

    def mean_x(self, columns: int) -> int:
        return self.x(columns) - _GAP + _SECTION


@dataclass(frozen=True)
class _Entry:
    """One verdict of the legend: its text and its place."""

    verdict: Verdict
    text: str
    left: int
    line: int


def _legend(width: int, space: str) -> Iterator[_Entry]:
    limits = thresholds_of(space)
    texts = {
        Verdict.SAME: f"{Verdict.SAME.value}, from {limits.same:.2f}",
        Verdict.PROBABLY: f"{Verdict.PROBABLY.value}, from {limits.probably:.2f}",
        Verdict.UNSURE: f"{Verdict.UNSURE.value}, from {limits.unsure:.2f}",
        Verdict.OTHER: f"{Verdict.OTHER.value}, below",
        Verdict.NO_FACE: Verdict.NO_FACE.value,
    }
    left, line = _MARGIN, 0
    for found, text in texts.items():
        taken = _SWATCH + 8 + round(width_of(text, _TEXT))
        if left + taken > width - _MARGIN:
            left, line = _MARGIN, line + 1
        yield _Entry(found, text, left, line)
        left += taken + 24


def _draw_heading(
    draw: ImageDraw.ImageDraw, top: int, title: str, matrix: LikenessMatrix, legend: Sequence[_Entry], width: int
) -> None:
    room = width - 2 * _MARGIN
    write(draw, (_MARGIN, top), fitted(title, _TITLE, room), _TITLE, INK)
    y = top + _TITLE + 12
    source = thresholds_of(matrix.space).source
    about = f"Cosine by {matrix.pack} ({matrix.space}). Verdicts: {source}."
    write(draw, (_MARGIN, y), fitted(about, _TEXT, room), _TEXT, GREY)
    for entry in legend:
        line = y + (1 + entry.line) * _LINE
        draw.rectangle((entry.left, line, entry.left + _SWATCH, line + _SWATCH), fill=_COLOURS[entry.verdict][0])
        write(draw, (entry.left + _SWATCH + 8, line + _SWATCH / 2), entry.text, _TEXT, INK, "lm")


def _draw_photos(
    sheet: Image.Image, draw: ImageDraw.ImageDraw, photos: Sequence[Frame], layout: _Layout, offset: int
) -> None:
    for row, photo in enumerate(photos):
        top = offset + layout.y(row)
        paste_whole(sheet, photo.pixels, _MARGIN, top, _CELL)
        _draw_caption(draw, photo.caption, _MARGIN, top + _CELL)


def _draw_results(
    sheet: Image.Image,
    draw: ImageDraw.ImageDraw,
    results: Sequence[Frame],
    columns: range,
    matrix: LikenessMatrix,
    layout: _Layout,
    offset: int,
) -> None:
    for column, number in enumerate(columns):
        left = layout.x(column)
        paste_whole(sheet, results[number].pixels, left, offset, _CELL)
        _draw_caption(draw, results[number].caption, left, offset + _CELL)
        for row in range(layout.rows):
            found = matrix.verdict(row, number)
            corner = (left, offset + layout.y(row))
            _draw_cell(draw, float(matrix.cosines[row, number]), [found.value], corner, _COLOURS[found])


def _draw_means(draw: ImageDraw.ImageDraw, matrix: LikenessMatrix, layout: _Layout, offset: int, columns: int) -> None:
    """The mean cosine of each row and in how many results the person was found. A mean has no verdict."""
    left = layout.mean_x(columns)
    _draw_caption(draw, "mean", left, offset + _CELL)
    for row, mean in enumerate(matrix.row_means().tolist()):
        _draw_cell(draw, mean, _summary(matrix, row), (left, offset + layout.y(row)), (PAPER, INK), outline=GREY)


def _summary(matrix: LikenessMatrix, photo: int) -> list[str]:
    verdicts = [matrix.verdict(photo, result) for result in range(matrix.cosines.shape[1])]
    missing = verdicts.count(Verdict.NO_FACE)
    if missing == len(verdicts):
        return ["nothing to compare"]
    alike = sum(found in (Verdict.SAME, Verdict.PROBABLY) for found in verdicts)
    return [f"found in {alike} of {len(verdicts)}", *([f"no face in {missing}"] if missing else [])]


def _draw_cell(
    draw: ImageDraw.ImageDraw,
    cosine: float,
    lines: Sequence[str],
    corner: tuple[int, int],
    colours: tuple[_Colour, _Colour],
    outline: _Colour | None = None,
) -> None:
    """The cosine, unless it is NaN, and lines of text below it."""
    left, top = corner
    fill, ink = colours
    draw.rounded_rectangle((left, top, left + _CELL - 1, top + _CELL_HEIGHT - 1), 10, fill=fill, outline=outline)
    x, y = left + _CELL / 2, top + _CELL_HEIGHT / 2
    if not math.isnan(cosine):
        write(draw, (x, y - 14), _two_digits(cosine), _NUMBER, ink, "mm")
        y += 30
    for number, line in enumerate(lines):
        write(draw, (x, y + 20 * number), line, _SMALL, ink, "mm")


def _two_digits(cosine: float) -> str:
    return f"{round(cosine, 2) + 0.0:.2f}"  # + 0.0: no "-0.00"


def _draw_caption(draw: ImageDraw.ImageDraw, text: str, left: int, top: int) -> None:
    write(draw, (left + _CELL / 2, top + 5), fitted(text, _SMALL, _CELL), _SMALL, INK, "ma")
