"""Finding faces: one detection when the photo is easy, a ladder of retries when it is not.

A detector finds faces of a limited range of sizes only. It misses a close-up that fills its input, and finds the same
face when the photo is smaller or has a border. The ladder therefore tries smaller inputs, then padding, and only then
doubtful scores. A large photo whose faces are small is searched larger and in tiles, too. Sizes are passed with every
call: setting ``input_size`` on the detector has no effect in insightface >= 1.0 (docs/facts/faces.md 1.1 and 6).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from .align import norm_crop
from .confirm import is_confirmed, settled
from .detection import (
    CUT_OFF,
    LOOKS_DRAWN,
    SIZE,
    USUAL,
    Detection,
    Detections,
    DetectorSettings,
    is_at,
    is_same_face,
)
from .pixels import reduced

if TYPE_CHECKING:
    from insightface.model_zoo import SCRFD

SIZES = (SIZE, 512, 384, 320, 256, 192, 128)  # detector input, pixels
# A face of 40 pixels in a photo of 4000 has 6 at 640 and is missed; at 1920 three of eight people are found, in tiles
# all. A photo is not enlarged. A face of a quarter of the photo is whom the photo is of: nobody smaller is looked for.
LARGER_SIZES = (1280, 1920)
_LARGE, _PORTRAIT = 1400, 0.25  # pixels of the longer side; part of the shorter side
_COMFORTABLE = 40  # pixels in the first input from which on a face's landmarks stay those of the first size
# Tiles of a photo of at most 4096 pixels: at most 16 detections. They overlap by more than the small faces' size.
_TILED, _TILE, _OVERLAP = 4096, 1280, 192
PADDINGS = (0.0, 0.25, 0.5)  # border added on each side, in parts of the photo's side

# Skin in a photograph is never flat; the fill of a drawing is. Share of the aligned face whose 5x5 neighbourhood spans
# under 2 % of the face's contrast: 0.51 to 0.87 in drawn faces (clean, JPEG 50, small), 0.04 in the median photo; of
# 329 altered copies only overexposed ones come near it (3 are above): their skin has no shading either.
DRAWN = 0.5
_FLAT_CONTRAST = 0.02


def detect(photo: np.ndarray, detector: SCRFD, settings: DetectorSettings = USUAL) -> Detections:
    """The faces of a photo ([H, W, 3] uint8 RGB), from the first step of the ladder that finds one."""
    return detect_bgr(np.ascontiguousarray(photo[..., ::-1]), detector, settings)


def detect_bgr(bgr: np.ndarray, detector: SCRFD, settings: DetectorSettings = USUAL) -> Detections:
    """``detect`` for a photo in BGR order, which is what the models take."""
    doubtful: list[Detection] = []
    for step, candidates in enumerate(_ladder(bgr, detector, settings)):
        doubtful += [candidate for candidate in candidates if candidate.score < settings.threshold]
        likely = [candidate for candidate in candidates if candidate.score >= settings.threshold]
        confirmed = [candidate for candidate in likely if is_confirmed(bgr, candidate, detector)]
        if step == 0 and _may_hide_small_faces(bgr, confirmed):
            comfortable = [face for face in confirmed if _side_at(settings.size, face, bgr) >= _COMFORTABLE]
            confirmed += _small_faces(bgr, detector, settings, comfortable)
        if confirmed:
            return _detections(bgr, confirmed)
    for candidate in sorted(doubtful, key=lambda candidate: -candidate.score):
        if is_confirmed(bgr, candidate, detector):
            return _detections(bgr, [candidate])
    return Detections((), ())


def _side_at(size: int, face: Detection, bgr: np.ndarray) -> float:
    """Pixels of a face's longer side in a detector input of that size."""
    return float(max(face.box[2:] - face.box[:2])) * size / max(bgr.shape[:2])


def _may_hide_small_faces(bgr: np.ndarray, found: list[Detection]) -> bool:
    """Whether to search at larger sizes: the photo is large and nobody fills it, or nothing is found."""
    if not found:
        return max(bgr.shape[:2]) > SIZES[0]
    largest = max(float(max(face.box[2:] - face.box[:2])) for face in found)
    return max(bgr.shape[:2]) > _LARGE and largest < _PORTRAIT * min(bgr.shape[:2])


def _small_faces(
    bgr: np.ndarray, detector: SCRFD, settings: DetectorSettings, known: list[Detection]
) -> list[Detection]:
    """Faces that only a larger input shows, each once, without those that are known."""
    found: list[Detection] = []
    if getattr(detector, "static_input_size", None):
        return found
    for candidate in sorted(_larger(bgr, detector, settings), key=lambda candidate: -candidate.score):
        if candidate.score < settings.threshold or any(is_at(candidate, face.box) for face in (*known, *found)):
            continue
        face = settled(bgr, candidate, detector)
        if face is not None:
            found.append(face)
    return found


def _larger(bgr: np.ndarray, detector: SCRFD, settings: DetectorSettings) -> Iterator[Detection]:
    """Candidates at larger sizes, then in tiles."""
    side = max(bgr.shape[:2])
    for size in LARGER_SIZES:
        if settings.size < size <= 1.25 * side:
            yield from _seen(bgr, size, np.zeros(2), 1.0, bgr.shape, detector, settings)
    if side > LARGER_SIZES[-1]:
        small, scale = _shrunk(bgr, _TILED)
        for top, left in product(*(_starts(length) for length in small.shape[:2])):
            tile = small[top : top + _TILE, left : left + _TILE]
            yield from _seen(tile, _TILE, np.array([-left, -top]), scale, bgr.shape, detector, settings)


def _starts(length: int) -> list[int]:
    """Where tiles start, so that they cover ``length`` pixels evenly."""
    count = 1 if length <= _TILE else -(-(length - _OVERLAP) // (_TILE - _OVERLAP))
    return [round(start) for start in np.linspace(0, max(0, length - _TILE), count)]


def _detections(bgr: np.ndarray, confirmed: list[Detection]) -> Detections:
    distinct: list[Detection] = []
    for candidate in sorted(confirmed, key=lambda candidate: -candidate.score):
        if not any(is_same_face(candidate, other) or is_at(candidate, other.box) for other in distinct):
            distinct.append(replace(candidate, problem=problem_of(bgr, candidate)))
    usable = tuple(detection for detection in distinct if not detection.problem)
    return Detections(usable, tuple(detection for detection in distinct if detection.problem))


def problem_of(bgr: np.ndarray, candidate: Detection) -> str:
    """Why a detection in a photo cannot be used: CUT_OFF, LOOKS_DRAWN, or ""."""
    edge = np.array([bgr.shape[1], bgr.shape[0]])
    if ((candidate.landmarks < 0) | (candidate.landmarks > edge)).any():
        return CUT_OFF  # landmarks outside are guesses: they distort the crop and the embedding
    return LOOKS_DRAWN if _flatness(norm_crop(bgr, candidate.landmarks, 112)) > DRAWN else ""


def _flatness(crop: np.ndarray) -> float:
    """The share of an aligned 112 pixel face, brow to chin, that has no shading at all; 0 to 1."""
    import cv2

    grey = cv2.cvtColor(crop[20:104, 24:88], cv2.COLOR_BGR2GRAY)
    around = np.ones((5, 5), np.uint8)
    spans = cv2.dilate(grey, around).astype(np.float32) - cv2.erode(grey, around)
    darkest, brightest = np.percentile(grey, (1, 99))
    return float((spans <= _FLAT_CONTRAST * (brightest - darkest)).mean())


def _ladder(bgr: np.ndarray, detector: SCRFD, settings: DetectorSettings = USUAL) -> Iterator[list[Detection]]:
    """Candidates with the least score or more, step by step."""
    fixed = getattr(detector, "static_input_size", None)
    sizes = (max(fixed),) if fixed else (settings.size, *(size for size in SIZES if size < settings.size))
    small, scale = _shrunk(bgr, max(sizes))
    for padding in PADDINGS:
        picture, factor = (_padded(small, padding), scale) if padding else (bgr, 1.0)
        offset = np.rint(np.array([small.shape[1], small.shape[0]]) * padding)
        for size in sizes:
            if min(picture.shape[:2]) * size < 8 * max(picture.shape[:2]):
                continue  # a strip so narrow that nothing remains of it at this size
            yield _seen(picture, size, offset, factor, bgr.shape, detector, settings)


def _seen(
    picture: np.ndarray,
    size: int,
    offset: np.ndarray,
    factor: float,
    shape: tuple[int, ...],
    detector: SCRFD,
    settings: DetectorSettings,
) -> list[Detection]:
    boxes, landmarks = detector.detect(picture, input_size=(size, size), det_thresh=settings.least)
    return [_candidate(box, points, offset, factor, shape) for box, points in zip(boxes, landmarks, strict=True)]


def _candidate(
    box: np.ndarray, points: np.ndarray, offset: np.ndarray, factor: float, shape: tuple[int, ...]
) -> Detection:
    edge = np.array([shape[1], shape[0]], np.float32)
    corners = (box[:4].reshape(2, 2) - offset) / factor
    landmarks = ((points - offset) / factor).astype(np.float32)
    clipped = np.clip(corners, 0, edge).astype(np.float32).ravel()
    return Detection(clipped, landmarks, float(box[4]))


def _shrunk(bgr: np.ndarray, side: int) -> tuple[np.ndarray, float]:
    """The photo with its longer side at most ``side`` pixels, so that padding costs no memory; and the scale."""
    scale = min(1.0, side / max(bgr.shape[:2]))
    return (bgr if scale == 1.0 else reduced(bgr, scale)), scale


def _padded(bgr: np.ndarray, part: float) -> np.ndarray:
    import cv2

    height, width = bgr.shape[:2]
    rows, columns = int(np.rint(height * part)), int(np.rint(width * part))
    return cv2.copyMakeBorder(bgr, rows, rows, columns, columns, cv2.BORDER_CONSTANT)
