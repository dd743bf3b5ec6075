"""Finding faces: one detection when the photo is easy, a ladder of retries when it is not.

A detector finds faces of a limited range of sizes only. It misses a close-up that fills its input, and finds the same
face when the photo is smaller or has a border. The ladder therefore tries smaller inputs, then padding, and only then
doubtful scores. Sizes are passed with every call: setting ``input_size`` on the detector has no effect in insightface
>= 1.0 (docs/facts/faces.md 1.1 and 6).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from .align import TEMPLATE, move_points, norm_crop, similarity

if TYPE_CHECKING:
    from insightface.model_zoo import SCRFD

SIZES = (640, 512, 384, 320, 256, 192, 128)  # detector input, pixels
# A face of 40 pixels in a photo of 4000 has 6 at 640 and is missed; at 1920 it scores 0.85, one of 80 at 1280 0.86. A
# photo is not enlarged. A face of a quarter of the photo is whom the photo is of: nobody smaller is looked for.
LARGER_SIZES = (1280, 1920)
_LARGE, _PORTRAIT = 1400, 0.25  # pixels of the longer side; part of the shorter side
_COMFORTABLE = 40  # pixels in the first input from which on a face's landmarks stay those of the first size
PADDINGS = (0.0, 0.25, 0.5)  # border added on each side, in parts of the photo's side
THRESHOLD = 0.5
LAST_THRESHOLD = 0.3

# From this score on, a face is accepted at once; below, it must be confirmed (see is_confirmed). Measured with the
# embedded pack: false alarms on cats, coffee, bricks, the moon and 100 background patches reach 0.70 and no face in an
# undamaged photo stays under 0.83.
CONFIDENT = 0.8
# In the second detection, false alarms reach 0.57; faces in damaged and cropped copies of photos start at 0.76.
CONFIRMED = 0.65
_LOOK_SIZE = 160  # pixels, a multiple of the detector's 32 pixel stride
_LOOK_SCALES = (0.6, 0.8, 0.4)  # of the 112 pixel template: eye distances of 21, 28 and 14 pixels
_LOOK_TOLERANCE = 0.5  # mean distance of the landmarks from where they were, in eye distances
_TEMPLATE_EYES = float(np.linalg.norm(TEMPLATE[1] - TEMPLATE[0]))
_MIRRORED = [1, 0, 2, 4, 3]

# Skin in a photograph is never flat; the fill of a drawing is. Share of the aligned face whose 5x5 neighbourhood spans
# under 2 % of the face's contrast: 0.51 to 0.87 in drawn faces (clean, JPEG 50, small), 0.04 in the median photo; of
# 329 altered copies only overexposed ones come near it (3 are above): their skin has no shading either.
DRAWN = 0.5
_FLAT_CONTRAST = 0.02

CUT_OFF = "cut by the border"
LOOKS_DRAWN = "drawn, or badly overexposed"


@dataclass(frozen=True, eq=False)
class Detection:
    """box: [4] float32 x1 y1 x2 y2, clipped to the photo; landmarks: [5, 2] float32; both in photo pixels.

    problem: why the face cannot be used (CUT_OFF, LOOKS_DRAWN), or "".
    """

    box: np.ndarray
    landmarks: np.ndarray
    score: float
    problem: str = ""


@dataclass(frozen=True, eq=False)
class Detections:
    """faces: those that can be used; refused: the others, each with its problem."""

    faces: tuple[Detection, ...]
    refused: tuple[Detection, ...]


def detect(photo: np.ndarray, detector: SCRFD) -> Detections:
    """The faces of a photo ([H, W, 3] uint8 RGB), from the first step of the ladder that finds one."""
    bgr = np.ascontiguousarray(photo[..., ::-1])
    doubtful: list[Detection] = []
    for step, candidates in enumerate(_ladder(bgr, detector)):
        doubtful += [candidate for candidate in candidates if candidate.score < THRESHOLD]
        confirmed = _confirmed(bgr, candidates, detector)
        if step == 0 and _may_hide_small_faces(bgr, confirmed):
            comfortable = [face for face in confirmed if _side_at_first_size(face, bgr) >= _COMFORTABLE]
            confirmed += [
                candidate
                for candidate in _larger(bgr, detector)
                if not any(is_at(candidate, face.box) for face in comfortable) and _is_sure(bgr, candidate, detector)
            ]
        if confirmed:
            return _detections(bgr, confirmed)
    for candidate in sorted(doubtful, key=lambda candidate: -candidate.score):
        if is_confirmed(bgr, candidate, detector):
            return _detections(bgr, [candidate])
    return Detections((), ())


def _confirmed(bgr: np.ndarray, candidates: list[Detection], detector: SCRFD) -> list[Detection]:
    likely = [candidate for candidate in candidates if candidate.score >= THRESHOLD]
    return [candidate for candidate in likely if is_confirmed(bgr, candidate, detector)]


def _is_sure(bgr: np.ndarray, candidate: Detection, detector: SCRFD) -> bool:
    """Whether a candidate of a larger size is a face.

    Measured: the best look of 12 sightings of faces scores 0.90 to 0.94; of 37 sightings in enlarged pictures without
    a face 0.69 or less, but for gravel of 0.57 at first (0.81), and of an astronaut's badge (0.82 at first) nothing.
    """
    return candidate.score >= CONFIRMED and _best_look(bgr, candidate, detector) >= CONFIDENT


def _side_at_first_size(face: Detection, bgr: np.ndarray) -> float:
    """Pixels of a face's longer side in the detector's first input."""
    return float(max(face.box[2:] - face.box[:2])) * SIZES[0] / max(bgr.shape[:2])


def _may_hide_small_faces(bgr: np.ndarray, found: list[Detection]) -> bool:
    """Whether to search at larger sizes: the photo is large and nobody fills it, or nothing is found."""
    if not found:
        return max(bgr.shape[:2]) > SIZES[0]
    largest = max(float(max(face.box[2:] - face.box[:2])) for face in found)
    return max(bgr.shape[:2]) > _LARGE and largest < _PORTRAIT * min(bgr.shape[:2])


def _larger(bgr: np.ndarray, detector: SCRFD) -> list[Detection]:
    if getattr(detector, "static_input_size", None):
        return []
    sizes = [size for size in LARGER_SIZES if size <= 1.25 * max(bgr.shape[:2])]
    return [found for size in sizes for found in _seen(bgr, size, np.zeros(2), 1.0, bgr.shape, detector)]


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


def is_same_face(one: Detection, other: Detection) -> bool:
    """Whether two boxes show one face by their landmarks, though the detector's own suppression kept both."""
    apart = np.linalg.norm(one.landmarks - other.landmarks, axis=1).mean()
    return apart < 0.5 * np.linalg.norm(other.landmarks[1] - other.landmarks[0])


def is_at(hit: Detection, box: np.ndarray) -> bool:
    """Whether a hit's centre is within a third of a box's longer side of the box's own."""
    apart = (hit.box[:2] + hit.box[2:] - box[:2] - box[2:]) / 2
    return float(np.linalg.norm(apart)) < float(max(box[2:] - box[:2])) / 3


def _ladder(bgr: np.ndarray, detector: SCRFD) -> Iterator[list[Detection]]:
    """Candidates with a score of LAST_THRESHOLD or more, step by step."""
    fixed = getattr(detector, "static_input_size", None)
    sizes = (max(fixed),) if fixed else SIZES
    small, scale = _shrunk(bgr, max(sizes))
    for padding in PADDINGS:
        picture, factor = (_padded(small, padding), scale) if padding else (bgr, 1.0)
        offset = np.rint(np.array([small.shape[1], small.shape[0]]) * padding)
        for size in sizes:
            if min(picture.shape[:2]) * size < 8 * max(picture.shape[:2]):
                continue  # a strip so narrow that nothing remains of it at this size
            yield _seen(picture, size, offset, factor, bgr.shape, detector)


def _seen(
    picture: np.ndarray, size: int, offset: np.ndarray, factor: float, shape: tuple[int, ...], detector: SCRFD
) -> list[Detection]:
    boxes, landmarks = detector.detect(picture, input_size=(size, size), det_thresh=LAST_THRESHOLD)
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


def reduced(bgr: np.ndarray, scale: float) -> np.ndarray:
    import cv2

    height, width = bgr.shape[:2]
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return cv2.resize(bgr, size, interpolation=cv2.INTER_AREA)


def _padded(bgr: np.ndarray, part: float) -> np.ndarray:
    import cv2

    height, width = bgr.shape[:2]
    rows, columns = int(np.rint(height * part)), int(np.rint(width * part))
    return cv2.copyMakeBorder(bgr, rows, rows, columns, columns, cv2.BORDER_CONSTANT)


def is_confirmed(bgr: np.ndarray, candidate: Detection, detector: SCRFD) -> bool:
    """Whether the detector still finds a face when the candidate is upright, at a suitable size, and mirrored.

    Texture that the detector takes for a face at one scale and offset fails this test: aligned by its landmarks, it
    does not look like a face. A real face passes, whatever made its first score low. The mean score of the aligned
    candidate and its mirror image counts, because faces are symmetric and chance patterns are not. What strongly
    resembles a face (for YuNet, the headlamp of a motorcycle) passes.
    """
    if candidate.score >= CONFIDENT:
        return True
    return any(_look(bgr, candidate, detector, scale) >= CONFIRMED for scale in _LOOK_SCALES)


def _best_look(bgr: np.ndarray, candidate: Detection, detector: SCRFD) -> float:
    return max(_look(bgr, candidate, detector, scale) for scale in _LOOK_SCALES)


def _look(bgr: np.ndarray, candidate: Detection, detector: SCRFD, scale: float) -> float:
    """Mean score of the aligned candidate and its mirror image; its eye distance is 35 * scale pixels."""
    import cv2

    frame = (TEMPLATE - TEMPLATE.mean(axis=0)) * scale + _LOOK_SIZE / 2
    around, landmarks = _surroundings(bgr, candidate.landmarks, _TEMPLATE_EYES * scale)
    matrix = similarity(landmarks, frame)
    picture = cv2.warpAffine(around, matrix, (_LOOK_SIZE, _LOOK_SIZE), borderValue=0.0)
    points = move_points(landmarks, matrix)
    mirrored = np.column_stack([_LOOK_SIZE - 1 - points[_MIRRORED, 0], points[_MIRRORED, 1]])
    near = _LOOK_TOLERANCE * _TEMPLATE_EYES * scale
    looks = ((picture, points), (np.ascontiguousarray(picture[:, ::-1]), mirrored))
    return float(np.mean([_score_at(detector, view, expected, near) for view, expected in looks]))


def _surroundings(bgr: np.ndarray, landmarks: np.ndarray, eyes: float) -> tuple[np.ndarray, np.ndarray]:
    """The part of a photo around a face, shrunk until its eyes are ``eyes`` pixels apart; and its landmarks there.

    Warping alone would sample single pixels of a large photo, which the detector sees as noise.
    """
    scale = eyes / max(float(np.linalg.norm(landmarks[1] - landmarks[0])), 1e-3)
    if scale >= 1.0:
        return bgr, landmarks
    centre, reach = landmarks.mean(axis=0), _LOOK_SIZE / scale
    left, top = (int(edge) for edge in np.maximum(centre - reach, 0))
    right, bottom = (int(edge) for edge in np.maximum(centre + reach, 0))
    part = bgr[top:bottom, left:right]
    return (reduced(part, scale), (landmarks - (left, top)) * scale) if part.size else (bgr, landmarks)


def _score_at(detector: SCRFD, picture: np.ndarray, expected: np.ndarray, near: float) -> float:
    """The best score of a face whose landmarks lie within ``near`` pixels (mean) of the expected ones, or 0."""
    boxes, landmarks = detector.detect(picture, input_size=(_LOOK_SIZE, _LOOK_SIZE), det_thresh=LAST_THRESHOLD)
    distances = [np.linalg.norm(points - expected, axis=1).mean() for points in landmarks]
    return max((float(box[4]) for box, distance in zip(boxes, distances, strict=True) if distance < near), default=0.0)
