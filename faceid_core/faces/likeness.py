"""How much a picture shows a person: the cosine between its most similar face and the person's own."""

from __future__ import annotations

import numpy as np

from .extract import find_faces
from .face import Faces
from .packs import FacePack


def likeness(picture: np.ndarray, person: Faces, pack: FacePack) -> float | None:
    """Cosine, -1 to 1, of the face in ``picture`` ([H, W, 3] uint8 RGB) that is most like ``person``; None: no face.

    ``pack`` reads the picture's faces and must be the one that read the person's: two embedding spaces cannot be
    compared. 0.4 and more is the same person for ArcFace and SFace alike (``face.SAME_PERSON``).
    """
    if pack.space != person.space:
        raise ValueError(f"the person was read in {person.space!r}, the picture would be in {pack.space!r}")
    found = find_faces([picture], pack).photos[0].faces
    mean = person.mean_embedding()
    return max((float(face.unit_embedding @ mean) for face in found), default=None)
