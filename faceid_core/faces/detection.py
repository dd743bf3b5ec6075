"""What a detector found, and how it is asked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import FaceIDError

SIZE, THRESHOLD = 640, 0.5  # insightface's own (docs/facts/faces.md 2.1)
SIZE_RANGE, STRIDE = (128, 1920), 32  # pixels: the least and the largest; every size is a multiple of the last stride
THRESHOLD_RANGE = (0.1, 0.95)
LAST_THRESHOLD = 0.3

CUT_OFF = "cut by the border"
LOOKS_DRAWN = "drawn, or badly overexposed"


@dataclass(frozen=True)
class DetectorSettings:
    """size: of the detector's first input, pixels; threshold: the score from which on something may be a face.

    At the usual threshold, or a lower one, a confirmed face that scores 0.3 is taken where no other is found.
    Raises FaceIDError for values that no detector takes.
    """

    size: int = SIZE
    threshold: float = THRESHOLD

    def __post_init__(self) -> None:
        lowest, highest = SIZE_RANGE
        if not lowest <= self.size <= highest or self.size % STRIDE:
            raise FaceIDError(
                f"detector_size: {self.size} is not a multiple of {STRIDE} from {lowest} to {highest}. {SIZE} is usual."
            )
        low, high = THRESHOLD_RANGE
        if not low <= self.threshold <= high:
            raise FaceIDError(f"detector_threshold: {self.threshold:g} is not between {low} and {high}.")

    @property
    def least(self) -> float:
        """The lowest score that is looked at."""
        return min(self.threshold, LAST_THRESHOLD) if self.threshold <= THRESHOLD else self.threshold


USUAL = DetectorSettings()


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


def is_same_face(one: Detection, other: Detection) -> bool:
    """Whether two boxes show one face by their landmarks, though the detector's own suppression kept both."""
    apart = np.linalg.norm(one.landmarks - other.landmarks, axis=1).mean()
    return bool(apart < 0.5 * np.linalg.norm(other.landmarks[1] - other.landmarks[0]))


def is_at(hit: Detection, box: np.ndarray) -> bool:
    """Whether a hit's centre is within a third of a box's longer side of the box's own."""
    apart = (hit.box[:2] + hit.box[2:] - box[:2] - box[2:]) / 2
    return float(np.linalg.norm(apart)) < float(max(box[2:] - box[:2])) / 3
