"""The photos with the found faces drawn on them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .extract import FoundFaces, PhotoFaces
from .face import Face, Faces

if TYPE_CHECKING:
    from PIL import ImageDraw

_CHOSEN, _OTHER, _REFUSED = (64, 220, 96), (235, 235, 235), (255, 140, 64)
_MIN_SIDE, _MAX_SIDE = 768, 1536  # pixels of the longer side; text is legible and the picture stays small


def annotated_photos(photos: list[np.ndarray], found: FoundFaces, faces: Faces) -> list[np.ndarray]:
    """uint8 RGB arrays, one per photo: every face with its number (the one ``index`` counts in) and score.

    The chosen face is green and has its landmarks; faces that cannot be used are orange and say why. Photos are scaled
    so that their longer side has 768 to 1536 pixels; photos of one size give pictures of one size.
    """
    chosen = {face.photo: face for face in faces.faces}
    return [
        _draw_photo(photo, found_in, chosen.get(found_in.photo))
        for photo, found_in in zip(photos, found.photos, strict=True)
    ]


def _draw_photo(photo: np.ndarray, found: PhotoFaces, chosen: Face | None) -> np.ndarray:
    from PIL import Image, ImageDraw, ImageFont

    scale = _scale(found.size)
    width, height = (max(1, round(side * scale)) for side in found.size)
    picture = Image.fromarray(photo).resize((width, height), Image.Resampling.LANCZOS)
    draw = ImageDraw.Draw(picture)
    draw.font = ImageFont.load_default(size=max(width, height) / 36)
    for refused in found.refused:
        _draw_box(draw, refused.box * scale, refused.problem, _REFUSED)
    for number, face in sorted(enumerate(found.faces), key=lambda item: _same(item[1], chosen)):
        colour = _CHOSEN if _same(face, chosen) else _OTHER
        _draw_box(draw, face.box * scale, f"{number}  {face.score:.2f}", colour)
    if chosen is not None:
        _draw_landmarks(draw, chosen.landmarks * scale, _CHOSEN)
    if not found.faces:
        _draw_label(draw, (0, 0), "no face", _REFUSED)
    return np.array(picture)


def _same(face: Face, chosen: Face | None) -> bool:
    return chosen is not None and np.array_equal(face.box, chosen.box)


def _scale(size: tuple[int, int]) -> float:
    longer = max(size)
    return min(max(longer, _MIN_SIDE), _MAX_SIDE) / longer


def _line_width(draw: ImageDraw.ImageDraw) -> int:
    return max(2, round(max(draw.im.size) / 200))


def _draw_box(draw: ImageDraw.ImageDraw, box: np.ndarray, label: str, colour: tuple[int, int, int]) -> None:
    draw.rectangle(tuple(map(float, box)), outline=colour, width=_line_width(draw))
    _draw_label(draw, (float(box[0]), float(box[1])), label, colour)


def _draw_label(
    draw: ImageDraw.ImageDraw, corner: tuple[float, float], label: str, colour: tuple[int, int, int]
) -> None:
    """Dark text on a filled tag above the corner, moved so that it stays inside the picture."""
    left, top, right, bottom = draw.textbbox((0, 0), label)
    margin = _line_width(draw)
    width, height = right - left + 2 * margin, bottom - top + 2 * margin
    x = min(max(corner[0], 0), max(draw.im.size[0] - width, 0))
    y = max(corner[1] - height, 0)
    draw.rectangle((x, y, x + width, y + height), fill=colour)
    draw.text((x + margin - left, y + margin - top), label, fill=(0, 0, 0))


def _draw_landmarks(draw: ImageDraw.ImageDraw, points: np.ndarray, colour: tuple[int, int, int]) -> None:
    radius = 1.5 * _line_width(draw)
    for x, y in points.astype(float):
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour, outline=(0, 0, 0))
