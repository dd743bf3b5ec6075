"""Which pixels of a picture are a person's own face: hair, glasses and whatever else is in front of it stay.

A parser labels the pixels of each aligned face; skin and features are laid over, all else is not. The edge is soft
towards the inside only, so a pixel that is not the face's keeps its value to the bit.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum

import numpy as np

from ..faces import Face
from .crop import crop_face
from .face_parser import SIDE, TEMPLATE, Parse
from .paste import FaceMask, smooth


class Part(IntEnum):
    """The labels of CelebAMask-HQ in the order of the published parser (docs/facts/faces.md 3.6).

    Left and right are the person's own.
    """

    BACKGROUND = 0
    SKIN = 1
    LEFT_BROW = 2
    RIGHT_BROW = 3
    LEFT_EYE = 4
    RIGHT_EYE = 5
    GLASSES = 6
    LEFT_EAR = 7
    RIGHT_EAR = 8
    EARRING = 9
    NOSE = 10
    MOUTH = 11
    UPPER_LIP = 12
    LOWER_LIP = 13
    NECK = 14
    NECKLACE = 15
    CLOTHES = 16
    HAIR = 17
    HAT = 18


OWN = (
    *(Part.SKIN, Part.LEFT_BROW, Part.RIGHT_BROW, Part.LEFT_EYE, Part.RIGHT_EYE),
    *(Part.NOSE, Part.MOUTH, Part.UPPER_LIP, Part.LOWER_LIP),
)
# In pixels of the parsed crop. A picture's pixel that is nearest to a foreign pixel reads its neighbours, too, the
# farthest of which is 1.41 away: they must be 0, so that it keeps its value.
_FEATHER_FROM, _FEATHER_TO = 1.5, 9.0
_LEAST = 0.05  # of the crop; a face fills 0.3 to 0.5 of it, and below this the parser has not seen one
_GLASSES = 0.01  # of the crop; from here on glasses are mentioned


def face_masks(
    picture: np.ndarray, faces: Mapping[int, Face], parse: Parse | None
) -> tuple[dict[int, FaceMask], list[str]]:
    """What of each face is its own, by the face's number, and notes; without a parser neither.

    A face in which the parser sees none has no mask, and a note: then the plain shape is used.

    Args:
        picture: [H, W, 3] uint8 RGB.
        faces: of this picture, by number.
        parse: of ``load_tools``; called once, with all faces.
    """
    if parse is None or not faces:
        return {}, []
    cut = {number: crop_face(picture, face.landmarks, TEMPLATE, SIDE) for number, face in faces.items()}
    parsed = parse(np.stack([crop for crop, _ in cut.values()]))
    masks, notes = {}, []
    for (number, (_, matrix)), labels in zip(cut.items(), parsed, strict=True):
        if np.isin(labels, OWN).mean() < _LEAST:
            notes.append(f"face number {number}: the face parser sees none; what is in front of it may be lost")
            continue
        if (labels == Part.GLASSES).mean() >= _GLASSES:
            notes.append(f"face number {number} wears glasses: they stay as they are, and so do the eyes behind them")
        masks[number] = FaceMask(own_share(labels), matrix)
    return masks, notes


def own_share(labels: np.ndarray) -> np.ndarray:
    """[S, S] float32 of [S, S] labels: 0 outside the face and on its rim, smoothly 1 towards the inside."""
    import cv2

    own = np.isin(labels, OWN).astype(np.uint8)
    if own.all():  # no foreign pixel to be away from
        return np.ones(labels.shape, np.float32)
    away = cv2.distanceTransform(own, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return smooth((away - np.float32(_FEATHER_FROM)) / np.float32(_FEATHER_TO - _FEATHER_FROM))
