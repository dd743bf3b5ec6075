"""Aligned square crops, each in the framing its model was trained on."""

from __future__ import annotations

from types import MappingProxyType

import numpy as np

from ..faces.align import TEMPLATE, similarity
from .errors import RetouchError

# name -> (side of the crop, its five landmarks in pixels of that crop). ArcFace: insightface utils/face_align.py, where
# a side that is a multiple of 128 puts the 112 pixel face into the middle of 128. FFHQ: facexlib
# utils/face_restoration_helper.py.
TEMPLATES = MappingProxyType(
    {
        "arcface_112": (112, TEMPLATE),
        "arcface_128": (128, TEMPLATE + np.array([8, 0], np.float32)),
        "ffhq_512": (
            512,
            np.array(
                [
                    [192.98138, 239.94708],
                    [318.90277, 240.1936],
                    [256.63416, 314.01935],
                    [201.26117, 371.41043],
                    [313.08905, 371.15118],
                ],
                np.float32,
            ),
        ),
    }
)


def crop_matrix(landmarks: np.ndarray, template: str, size: int, shift: float = 0.0) -> np.ndarray:
    """The [2, 3] matrix from picture pixels to the pixels of the aligned crop of ``size`` x ``size``.

    Args:
        landmarks: [5, 2] in picture pixels.
        template: one of TEMPLATES.
        shift: added to x and y of the template, in pixels of the crop.

    Raises:
        RetouchError: the template is unknown.
    """
    if template not in TEMPLATES:
        raise RetouchError(f'template: "{template}" is not one of {", ".join(TEMPLATES)}.')
    side, points = TEMPLATES[template]
    return similarity(landmarks, points * np.float32(size / side) + np.float32(shift))


def crop_face(
    picture: np.ndarray, landmarks: np.ndarray, template: str, size: int, shift: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """The aligned face and its matrix: [size, size, 3] uint8 and [2, 3] float64.

    Where the crop reaches beyond the picture, the picture's border is repeated: black, as in insightface, would
    influence what a model paints next to it. Inside the picture the crop equals insightface's ``norm_crop2``.

    Args:
        picture: [H, W, 3] uint8.
        landmarks: [5, 2] in its pixels; float32, see ``align.similarity``.

    Raises:
        RetouchError: the template is unknown.
    """
    matrix = crop_matrix(landmarks, template, size, shift)
    return warp(picture, matrix, size), matrix


def enlarge(matrix: np.ndarray, factor: int) -> np.ndarray:
    """The matrix of the same crop with ``factor`` times the pixels a side, scaled about pixel centres."""
    larger = matrix * factor
    larger[:, 2] += (factor - 1) / 2
    return larger


def warp(picture: np.ndarray, matrix: np.ndarray, size: int) -> np.ndarray:
    """The crop of ``size`` x ``size`` that ``matrix`` (picture to crop) cuts out."""
    import cv2

    return cv2.warpAffine(picture, matrix, (size, size), borderMode=cv2.BORDER_REPLICATE)
