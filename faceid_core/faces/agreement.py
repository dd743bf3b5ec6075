"""Whether small alterations of a face leave its embedding as it is: what tells in a space whose lengths are unknown."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..cache import LRUCache
from .embed import embed
from .face import Face
from .models import load_models
from .packs import FacePack
from .trust import lengths_of

_SIDE, _SHIFT = 112, 2  # pixels of the recogniser's crop

_measured: LRUCache[float] = LRUCache(limit=1024)  # of one number


def with_agreement(face: Face, pack: FacePack) -> Face:
    """The face with ``agreement``, where its embedding's length says nothing; else the face as it is.

    Three runs of the recogniser, so it is for faces that are taken for somebody, not for every face of a photo.
    """
    if face.agreement is not None or lengths_of(pack.space) is not None:
        return face
    key = (pack.space, face.embedding.tobytes())
    return replace(face, agreement=_measured.get_or_make(key, lambda: _agreement(face, pack)))


def _agreement(face: Face, pack: FacePack) -> float:
    """The lowest cosine between the face and itself mirrored, and shifted by two pixels."""
    import cv2

    models = load_models(pack)
    crop = cv2.resize(face.crop, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    shift = np.array([[1, 0, _SHIFT], [0, 1, _SHIFT]], np.float32)
    shifted = cv2.warpAffine(crop, shift, (_SIDE, _SIDE), borderMode=cv2.BORDER_REPLICATE)
    unit, *others = (_unit(embed(each, models)) for each in (crop, np.ascontiguousarray(crop[:, ::-1]), shifted))
    return min(float(unit @ other) for other in others)


def _unit(embedding: np.ndarray) -> np.ndarray:
    return embedding / max(float(np.linalg.norm(embedding)), 1e-12)
