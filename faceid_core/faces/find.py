"""The faces of one photo: found as it is, and turned where that is needed (turn.py).

A photo is searched turned when nothing in it can be used, and a face when something says that it does not stand
upright: a short embedding, or landmarks that are tilted while the score is low. Upright photos cost nothing more.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .detect import detect_bgr, problem_of
from .detection import SIZE, THRESHOLD, USUAL, Detection, Detections, DetectorSettings
from .embed import face_of
from .face import Face
from .models import FaceModels
from .trust import SMALL_EYES, embedding_length, eye_distance, is_junk, lengths_of
from .turn import NEAR_ANGLES, faces_at_any_angle, roll, same_face_at_any_angle, upright_margin

# Landmarks tilted by this much with a score under that: the face is tilted by more, because YuNet's landmarks lean to
# the upright. In upright photos tilts of 10 degrees or more come with 0.91 or more, or with a profile.
_TILTED, _SURE = 14.0, 0.9  # degrees, score
# How much better an upright face scores as it is than turned by 60 degrees or more: 0.20 to 0.91 in upright photos,
# -0.90 to 0.02 where the cosine to the upright face is under 0.74 (see ``turn.upright_margin``).
_UPRIGHT_MARGIN = 0.05
# And than turned by 30: -0.02 where the cosine is 0.76 and 0.79. Asked only of an unclear face that is alone in its
# photo. In a group the detector's own landmarks stay: the two unclear faces of t1.jpg, tilted by 20 and 24 degrees, are
# told of. Faces of 25 pixels are not asked either: 4 of 100 upright ones have 0 or less.
_NEAR_MARGIN = 0.0
_TRIED = 4  # of the detections of one turned face, best score first: the one with the longest embedding is taken


@dataclass(frozen=True, eq=False)
class Search:
    """One photo being searched: RGB and BGR pixels, the models, the space of its embeddings, and how to detect."""

    photo: np.ndarray
    bgr: np.ndarray
    models: FaceModels
    space: str
    settings: DetectorSettings = USUAL


def find_in_photo(
    photo: np.ndarray, models: FaceModels, space: str, settings: DetectorSettings = USUAL
) -> tuple[list[Face], tuple[Detection, ...]]:
    """The faces of a photo ([H, W, 3] uint8 RGB) that can be used, and the detections that cannot."""
    search = Search(photo, np.ascontiguousarray(photo[..., ::-1]), models, space, settings)
    upright = detect_bgr(search.bgr, models.detector, settings)
    faces = [face_of(photo, detection, models) for detection in upright.faces]
    faces = [face for face in faces if not _is_texture(face, search)]
    is_alone = len(faces) == 1
    straightened = [_straightened(face, search, is_alone) for face in faces]
    if faces and all(new is old for new, old in zip(straightened, faces, strict=True)):
        return faces, upright.refused
    return _with_turned(straightened, upright, search)


def _is_texture(face: Face, search: Search) -> bool:
    """Whether two weak signs agree: a doubtful score, and nothing that tells who it is.

    So does a clock enlarged to 1200 pixels. A small picture may be the close-up of a blurred face.
    """
    is_large = max(search.photo.shape[:2]) > SIZE
    return is_large and face.score < THRESHOLD and is_junk(face, search.space)


def _straightened(face: Face, search: Search, is_alone: bool) -> Face:
    """The face itself, or where it is in truth when it turns out not to stand upright."""
    if not _may_be_turned(face, search, is_alone):
        return face
    hits = same_face_at_any_angle(search.bgr, face.box, search.models.detector)
    return _best_of([face, *_usable(hits, search)], search)


def _may_be_turned(face: Face, search: Search, is_alone: bool) -> bool:
    is_tilted = abs(roll(face.landmarks)) >= _TILTED
    if is_tilted and face.score < _SURE:
        return True
    lengths = lengths_of(search.space)
    if lengths is not None:
        length = embedding_length(face)
        if length >= lengths.clear:
            return False
        if length < lengths.junk or is_tilted:
            return True
    if upright_margin(search.bgr, face.box, search.models.detector) < _UPRIGHT_MARGIN:
        return True
    if lengths is None or not is_alone or eye_distance(face) < SMALL_EYES:
        return False
    return upright_margin(search.bgr, face.box, search.models.detector, NEAR_ANGLES) < _NEAR_MARGIN


def _with_turned(faces: list[Face], upright: Detections, search: Search) -> tuple[list[Face], tuple[Detection, ...]]:
    """The faces, and those that only the whole photo turned shows; refused are those that are not among them."""
    kept = _distinct(faces)
    for hits in faces_at_any_angle(search.bgr, search.models.detector):
        usable = _usable(hits, search)
        if (
            usable
            and hits[0].score >= search.settings.threshold
            and not any(_overlap(face.box, hits[0].box) for face in kept)
        ):
            kept.append(_best_of(usable, search))
    refused = (
        detection for detection in upright.refused if not any(_overlap(face.box, detection.box) for face in kept)
    )
    return kept, tuple(refused)


def _usable(hits: list[Detection], search: Search) -> list[Face]:
    usable = [hit for hit in hits[:_TRIED] if not problem_of(search.bgr, hit)]
    return [face_of(search.photo, hit, search.models) for hit in usable]


def _best_of(faces: list[Face], search: Search) -> Face:
    """The upright face, the first, unless another has a longer embedding (a better score where lengths are unknown)."""
    if lengths_of(search.space) is None:
        return max(faces, key=lambda face: face.score)
    return max(faces, key=embedding_length)


def _distinct(faces: list[Face]) -> list[Face]:
    kept: list[Face] = []
    for face in sorted(faces, key=lambda face: -face.score):
        if not any(_overlap(face.box, other.box) for other in kept):
            kept.append(face)
    return kept


def _overlap(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether the centre of one box lies well inside the other: one face, seen at two angles."""
    centres = np.linalg.norm((one[:2] + one[2:] - other[:2] - other[2:]) / 2)
    return bool(centres < 0.5 * min(max(one[2:] - one[:2]), max(other[2:] - other[:2])))
