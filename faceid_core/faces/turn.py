"""Faces that do not stand upright: looked for with the photo, or the part around a face, turned in steps of 30 degrees.

A detector is trained on upright faces. It often finds a turned one all the same, with a good score, and puts the
landmarks where an upright face would have them: 1.1 to 1.4 eye distances off (docs/facts/faces.md 2.5).
Everything here is mapped back into the pixels of the photo as it came, so that crops and pasting follow by themselves.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .align import TEMPLATE, move_points, similarity
from .confirm import CONFIDENT, is_confirmed
from .detection import LAST_THRESHOLD, STRIDE, Detection, is_same_face
from .pixels import reduced

if TYPE_CHECKING:
    from insightface.model_zoo import SCRFD

ANGLES = tuple(range(0, 360, 30))
_SIDE = 640  # pixels of the photo's longer side when all of it is searched
_SIZES = (640, 320, 160)  # detector input, pixels
_AROUND = 4.0  # the part looked at around one face, in sides of its box
_NEAR_SIDE = 320  # pixels of that part: the face has 80
_NEAR_SIZES = (320, 160)
_TILE = 80  # pixels of one view of ``upright_margin``: the face has 44
_TILE_AROUND = 1.8
_TILES_ACROSS = 3
FAR_ANGLES = (60, 120, 180, 240, 300)  # of a face that the detector takes for upright all the same
NEAR_ANGLES = (30, 330)


@dataclass(frozen=True, eq=False)
class _View:
    """A part of a photo to turn: pixels, where its corner is in the photo, and how much smaller it is."""

    pixels: np.ndarray
    corner: np.ndarray
    scale: float
    centre: np.ndarray


def roll(landmarks: np.ndarray) -> float:
    """How far the landmarks ([5, 2]) are turned against an upright face: degrees, -180 to 180, clockwise."""
    matrix = similarity(landmarks, TEMPLATE)
    return float(-np.degrees(np.arctan2(matrix[1, 0], matrix[0, 0])))


def faces_at_any_angle(bgr: np.ndarray, detector: SCRFD) -> list[list[Detection]]:
    """For each face of the whole photo the detections of it, best score first; the best one is a confirmed face."""
    scale = min(1.0, _SIDE / max(bgr.shape[:2]))
    small = reduced(bgr, scale) if scale < 1.0 else bgr
    centre = np.array([small.shape[1], small.shape[0]]) / 2
    side = float(np.hypot(*small.shape[:2]))
    view = _View(small, np.zeros(2), scale, centre)
    found = [hit for angle in ANGLES for hit in _hits(view, angle, 1.0, side, _SIZES, detector, bgr.shape)]
    groups = _grouped([hit for hit in found if hit.score >= CONFIDENT])
    return [group for group in groups if _agree(group) and is_confirmed(bgr, group[0], detector)]


def same_face_at_any_angle(bgr: np.ndarray, box: np.ndarray, detector: SCRFD) -> list[Detection]:
    """The detections of the face in ``box``, the part around it turned; best score first, none when it is no face."""
    view, zoom = _around(bgr, box, _NEAR_SIDE, _AROUND)
    found = [hit for angle in ANGLES for hit in _hits(view, angle, zoom, _NEAR_SIDE, _NEAR_SIZES, detector, bgr.shape)]
    near = [hit for hit in found if hit.score >= CONFIDENT and _is_at(hit, box)]
    return max(_grouped(near), key=lambda group: group[0].score, default=[])


def upright_margin(bgr: np.ndarray, box: np.ndarray, detector: SCRFD, angles: tuple[int, ...] = FAR_ANGLES) -> float:
    """How much better the face in ``box`` scores as it is than turned by any of the angles (degrees); -1 to 1.

    All are shown side by side, so that they cost one detection of a small picture.
    """
    view, zoom = _around(bgr, box, _TILE, _TILE_AROUND)
    tiles = [_turned(view, angle, zoom, _TILE)[0] for angle in (0, *angles)]
    sheet = np.vstack([np.hstack(tiles[row : row + _TILES_ACROSS]) for row in range(0, len(tiles), _TILES_ACROSS)])
    size = (_multiple(sheet.shape[1]), _multiple(sheet.shape[0]))
    size = getattr(detector, "static_input_size", None) or size
    boxes, _ = detector.detect(sheet, input_size=size, det_thresh=LAST_THRESHOLD)
    scores = np.zeros(len(tiles))
    for left, top, right, bottom, score in boxes:
        centre = np.array([left + right, top + bottom]) / 2
        column, row = (int(place) for place in centre // _TILE)
        if np.linalg.norm(centre - (column + 0.5, row + 0.5) * np.array(_TILE)) < 0.5 * _TILE / _TILE_AROUND:
            scores[row * _TILES_ACROSS + column] = max(scores[row * _TILES_ACROSS + column], score)
    return float(scores[0] - scores[1:].max())


def _multiple(side: int) -> int:
    """The next size that the detector takes."""
    return -(-side // STRIDE) * STRIDE


def _around(bgr: np.ndarray, box: np.ndarray, side: int, sides: float) -> tuple[_View, float]:
    """The part of the photo that is ``sides`` of a box's sides wide, and the zoom at which it has ``side`` pixels."""
    centre = (box[:2] + box[2:]) / 2
    reach = sides * float(max(box[2:] - box[:2])) / 2
    zoom = side / (2 * reach)
    left, top = (int(edge) for edge in np.maximum(centre - 1.5 * reach, 0))  # 1.5: corners come in when it is turned
    right, bottom = (int(edge) + 1 for edge in centre + 1.5 * reach)
    part, scale = bgr[top:bottom, left:right], min(1.0, zoom)
    pixels = reduced(part, scale) if scale < 1.0 else part
    corner = np.array([left, top], np.float64)
    return _View(pixels, corner, scale, (centre - corner) * scale), zoom / scale


def _hits(
    view: _View, angle: int, zoom: float, side: float, sizes: tuple[int, ...], detector: SCRFD, shape: tuple[int, ...]
) -> Iterator[Detection]:
    """What the detector sees in the view turned by ``angle`` and zoomed, in a square of ``side`` pixels."""
    turned, back = _turned(view, angle, zoom, side)
    for size in _sizes_of(detector, sizes):
        boxes, landmarks = detector.detect(turned, input_size=(size, size), det_thresh=LAST_THRESHOLD)
        for box, points in zip(boxes, landmarks, strict=True):
            yield _detection(box, points, back, view, shape)


def _turned(view: _View, angle: int, zoom: float, side: float) -> tuple[np.ndarray, np.ndarray]:
    """A square of ``side`` pixels with the view turned in it, black outside; and the [2, 3] matrix back to the view."""
    import cv2

    centre = (float(view.centre[0]), float(view.centre[1]))
    matrix = np.asarray(cv2.getRotationMatrix2D(centre, angle, zoom), dtype=np.float64)
    matrix[:, 2] += side / 2 - view.centre
    canvas = (round(side), round(side))
    return cv2.warpAffine(view.pixels, matrix, canvas), cv2.invertAffineTransform(matrix)


def _sizes_of(detector: SCRFD, sizes: tuple[int, ...]) -> tuple[int, ...]:
    fixed = getattr(detector, "static_input_size", None)
    return (max(fixed),) if fixed else sizes


def _detection(box: np.ndarray, points: np.ndarray, back: np.ndarray, view: _View, shape: tuple[int, ...]) -> Detection:
    """A hit in the pixels of the photo. Its box holds the ellipse that the turned box held: heads have no corners."""
    corners = box[:4].reshape(2, 2)
    centre = move_points(corners.mean(axis=0)[None], back)[0] / view.scale + view.corner
    half = (corners[1] - corners[0]) / 2
    reach = np.linalg.norm(back[:, :2] * half, axis=1) / view.scale
    edge = np.array([shape[1], shape[0]])
    clipped = np.clip(np.stack([centre - reach, centre + reach]), 0, edge).astype(np.float32).ravel()
    landmarks = move_points(points.astype(np.float64), back) / view.scale + view.corner
    return Detection(clipped, landmarks.astype(np.float32), float(box[4]))


def _is_at(hit: Detection, box: np.ndarray) -> bool:
    """Whether a hit's centre is within half a side of the box's own."""
    apart = (hit.box[:2] + hit.box[2:] - box[:2] - box[2:]) / 2
    return float(np.linalg.norm(apart)) < 0.5 * float(max(box[2:] - box[:2]))


def _grouped(hits: list[Detection]) -> list[list[Detection]]:
    """Hits of one face together, best score first; turned the wrong way it is still in the same place."""
    groups: list[list[Detection]] = []
    for hit in sorted(hits, key=lambda hit: -hit.score):
        home = next((group for group in groups if _is_at(hit, group[0].box)), None)
        if home is None:
            groups.append([hit])
        else:
            home.append(hit)
    return groups


def _agree(group: list[Detection]) -> bool:
    """Whether another detection puts the landmarks where the best one does, as 30 degrees more or less do on a face."""
    return any(is_same_face(other, group[0]) for other in group[1:])
