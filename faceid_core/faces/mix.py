"""Two people as one: somebody between them, as a child is between its parents."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..errors import FaceIDError
from .face import Face, Faces


def mix_people(first: Faces, second: Faces, share: float = 0.5) -> Faces:
    """Faces whose mean embedding is between two people's, whatever the number of their photos.

    The mean is ``(1 - share)`` of the first person's unit mean and ``share`` of the second's, normalised again.
    Portrait models, which look at each photo by itself, get the photos of both.

    Args:
        first: one person's faces.
        second: the other's, in the same embedding space.
        share: of the second person, 0 to 1; at either end only that person is left.

    Raises:
        FaceIDError: the faces are of two embedding spaces, or ``share`` is not from 0 to 1.
    """
    if first.space != second.space:
        raise FaceIDError(
            f"One person's faces were read with {first.pack} ({first.space}), the other's with {second.pack} "
            f"({second.space}): they cannot be mixed. Choose the same face_pack for both."
        )
    if not 0 <= share <= 1:
        raise FaceIDError(f"share is {share}: it must be from 0 (the first person) to 1 (the second).")
    if share in (0, 1):
        return second if share else first
    after = 1 + max(face.photo for face in first.faces)
    moved = [replace(face, photo=face.photo + after) for face in _weighed(second, share)]
    return replace(first, faces=(*_weighed(first, 1 - share), *moved), skipped=(), left_out=(), remarks=())


def _weighed(person: Faces, share: float) -> list[Face]:
    """The faces with weights that make their sum as long as ``share``."""
    units = [face.weight * face.unit_embedding for face in person.faces]
    length = max(float(np.linalg.norm(np.sum(units, axis=0))), 1e-6)
    return [replace(face, weight=face.weight * share / length) for face in person.faces]
