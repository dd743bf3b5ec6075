"""What can be said of a face: whether its embedding tells who it is (docs/facts/faces.md 2.5).

The raw embedding gets shorter when the recogniser does not see what it was trained on: a turned, blurred, dark,
inverted or dithered face. Which length is short depends on the recogniser, so the limits belong to an embedding space.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .align import TEMPLATE, similarity
from .face import Face, Faces


@dataclass(frozen=True)
class Lengths:
    """Raw embeddings: as long as ``clear``, the face is upright and well visible; under ``junk``, it tells nothing."""

    clear: float
    junk: float


# Measured with the embedded pack on 14 people (insightface's and scikit-image's photos, obama and biden of
# face_recognition, matplotlib's grace_hopper) and 100 faces of 25 pixels.
# clear: as they are, lengths of 11.0 to 13.9. 318 dark, inverted, dithered, posterised, blurred, noisy,
# over-exposed, shrunk or JPEG 5 copies: 57 show no face; of the 74 whose cosine to the original is under 0.4 the
# longest has 8.7; of the 173 under 0.8 all but 14 are under 10.5 (those: 0.61 to 0.78, 5 of them tiny).
# junk: 14 of the copies, cosine 0.47 or less, median 0.04. Upright 25-pixel faces: 5.7 to 12.2.
_LENGTHS = {"sface": Lengths(clear=10.5, junk=6.0)}

# Pixels between the eyes. Faces shrunk to 12 keep a cosine of 0.74 to 0.93, to 9 of 0.46 to 0.91, to 6 of 0.14 to 0.97.
SMALL_EYES = 12.0
# Where lengths are not measured, the lowest cosine between a face and itself mirrored, and shifted by two of 112 pixels
# (agreement.py). With SFace on 16 people: 0.94 or more as they are, under 0.92 in 3 of 134 copies whose cosine to the
# original is 0.8 or more, in 59 of 68 under 0.4 and 82 of 101 under 0.6 (not: most blurred ones and some negatives,
# which are steady). Not measured for other recognisers, so such a face is told of, never refused.
_AGREES = 0.92
_DARK = 24.0  # mean of the crop's middle, 0 to 255: dark copies whose cosine falls under 0.8 have 5 to 20


def lengths_of(space: str) -> Lengths | None:
    """The lengths of an embedding space (``FacePack.space``); None: nobody measured them."""
    return _LENGTHS.get(space)


def embedding_length(face: Face) -> float:
    return float(np.linalg.norm(face.embedding))


def eye_distance(face: Face) -> float:
    """Pixels of the photo between the eyes, of a face in profile between the eyes it would have from the front."""
    scale = np.linalg.norm(similarity(face.landmarks, TEMPLATE)[:, 0])
    return float(np.linalg.norm(TEMPLATE[1] - TEMPLATE[0]) / scale)


def is_junk(face: Face, space: str) -> bool:
    """Whether nothing can be read out of the face: it must not be used as anybody's identity."""
    lengths = lengths_of(space)
    return lengths is not None and embedding_length(face) < lengths.junk


def doubt(face: Face, space: str) -> str:
    """Why one cannot vouch for whose face it is, as in "very dark", or ""."""
    if eye_distance(face) < SMALL_EYES:
        return f"{eye_distance(face):.0f} pixels between the eyes"
    if not _is_unclear(face, space):
        return ""
    if _is_dark(face):
        return "very dark"
    return "blurred, noisy, turned away or altered"


def _is_unclear(face: Face, space: str) -> bool:
    lengths = lengths_of(space)
    if lengths is not None:
        return embedding_length(face) < lengths.clear
    return _is_dark(face) or (face.agreement is not None and face.agreement < _AGREES)


def _is_dark(face: Face) -> bool:
    return bool(face.crop[40:200, 50:174].mean() < _DARK)


def doubts(faces: Faces) -> dict[int, str]:
    """Photo (0-based index) -> why one cannot vouch for whose face was taken from it; empty when all are clear."""
    found = {face.photo: doubt(face, faces.space) for face in faces.faces}
    return {photo: reason for photo, reason in found.items() if reason}
