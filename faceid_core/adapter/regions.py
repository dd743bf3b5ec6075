"""Masks for several people without painting: columns, rows, or around the faces of a picture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import AdapterError

LAYOUTS = ("columns", "rows", "faces")

Centre = tuple[float, float]
"""(x, y) as shares of width and height, 0..1."""


def stripes(people: int, width: int, height: int, *, rows: bool = False) -> np.ndarray:
    """[people, height, width] float32, 0 or 1: stripes of equal size from left to right, or with ``rows`` from the top.

    Every pixel belongs to exactly one of them.
    """
    along = np.arange(height if rows else width) * people // (height if rows else width)
    owner = np.broadcast_to(along[:, None] if rows else along[None, :], (height, width))
    return _one_each(owner, people)


def around(centres: Sequence[Centre], width: int, height: int) -> np.ndarray:
    """[people, height, width] float32, 0 or 1: each pixel belongs to the person whose face is nearest.

    Args:
        centres: of the faces, in the order of the people.
        width: of the masks in pixels.
        height: of the masks in pixels.

    Raises:
        AdapterError: there are no faces.
    """
    if not centres:
        raise AdapterError("images: there are no faces to make regions around.")
    x, y = np.arange(width) + 0.5, np.arange(height)[:, None] + 0.5
    distances = [(x - at_x * width) ** 2 + (y - at_y * height) ** 2 for at_x, at_y in centres]
    return _one_each(np.argmin(distances, axis=0), len(centres))


def feathered(masks: np.ndarray, pixels: int) -> np.ndarray:
    """The masks with borders that fade over about so many pixels; their sum is still 1 everywhere."""
    if not pixels:
        return masks
    import cv2

    side = 2 * (pixels // 2) + 1
    return np.stack([cv2.blur(mask, (side, side), borderType=cv2.BORDER_REPLICATE) for mask in masks])


def _one_each(owner: np.ndarray, people: int) -> np.ndarray:
    return (owner == np.arange(people)[:, None, None]).astype(np.float32)
