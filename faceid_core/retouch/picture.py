"""The inputs and results of every retouching step: a picture, a mask, faces that are large enough."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from ..faces import Face
from .errors import RetouchError

# Pixels of the shorter side of a face's box. Below, most detail of a crop of 128 or 512 pixels would be invented.
MIN_SIDE = 24
_MAX_SIDE = 32766  # OpenCV's image warping stops at the 16-bit limit


class Retouched(NamedTuple):
    """picture: [H, W, 3] uint8 RGB, the same array object if nothing was done; notes: for the user."""

    picture: np.ndarray
    notes: tuple[str, ...]


def check_picture(picture: np.ndarray) -> None:
    """Refuse anything but [H, W, 3] uint8 RGB of at most 32766 pixels a side.

    Raises:
        RetouchError: says what was given.
    """
    shape, dtype = getattr(picture, "shape", None), getattr(picture, "dtype", None)
    if shape is None or len(shape) != 3 or shape[2] != 3 or dtype != np.uint8 or 0 in shape:
        raise RetouchError(f"picture: [height, width, 3] uint8 RGB is expected, not {shape} {dtype}.")
    if max(shape) > _MAX_SIDE:
        raise RetouchError(f"picture: {shape[1]}x{shape[0]} pixels; at most {_MAX_SIDE} a side can be retouched.")


def check_mask(mask: np.ndarray | None, picture: np.ndarray) -> None:
    """Refuse a mask that is not [H, W] of the picture's size with finite values from 0 to 1.

    Raises:
        RetouchError: says what was given and what is expected.
    """
    if mask is None:
        return
    size = f"{picture.shape[1]}x{picture.shape[0]}"
    if mask.ndim != 2:
        raise RetouchError(f"mask: one number per pixel ([height, width]) is expected, not shape {mask.shape}.")
    if mask.shape != picture.shape[:2]:
        raise RetouchError(
            f"mask: {mask.shape[1]}x{mask.shape[0]} pixels, but the picture has {size}. Make the mask from this "
            "picture, or scale it to the picture's size."
        )
    if not (np.isfinite(mask).all() and mask.min() >= 0 and mask.max() <= 1):
        raise RetouchError("mask: its values must go from 0 (keep the picture) to 1 (change it).")


def check_share(name: str, value: float) -> None:
    """Refuse what is not a number from 0 to 1.

    Raises:
        RetouchError: names the input.
    """
    if not 0.0 <= value <= 1.0:
        raise RetouchError(f"{name}: {value} is not between 0 and 1.")


def large_enough(faces: Iterable[Face], min_side: int = MIN_SIDE) -> tuple[dict[int, Face], list[str]]:
    """The faces to process by number (0 is the first given, as in the preview), and a note on each other face."""
    kept: dict[int, Face] = {}
    notes: list[str] = []
    for number, face in enumerate(faces):
        side = float(min(face.box[2] - face.box[0], face.box[3] - face.box[1]))
        # Landmarks of a narrow face at the border may coincide: no crop can be aligned to them.
        spread = float(np.ptp(face.landmarks, axis=0).min())
        if side >= min_side and spread >= 1.0:
            kept[number] = face
        else:
            notes.append(f"face number {number} is {side:.0f} pixels small ({min_side} are needed): not changed")
    return kept, notes
