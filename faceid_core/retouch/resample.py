"""Sampler passes over a finished picture: ``hires_fix`` over all of it, ``inpaint_faces`` over each face."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from ..faces import Face, FacePack, Faces, find_faces
from .crop import crop_matrix, warp
from .paste import make_patch
from .picture import Retouched, check_picture, large_enough
from .targets import one_each

# (picture, denoise, seed, people) -> the picture drawn again at its size, sides multiples of 8. denoise: 0 (keep) to 1
# (draw new); people: the active identities, by their number among the prompt's people, anywhere in the picture;
# None: all, each where the prompt shows them.
Resample = Callable[[np.ndarray, float, int, "tuple[int, ...] | None"], np.ndarray]

HIRES_FACTOR = 1.5
HIRES_DENOISE = 0.35  # a higher value changes the content; a lower one adds less detail than enlarging blurs
FACE_DENOISE = 0.35
_TEMPLATE = "ffhq_512"  # hair, neck and some surroundings: the context that a picture generator needs
_STEP = 64  # pixels; the sides a UNet was trained on are multiples of it
_MOST = 2  # times the trained side; a larger face is drawn at this size and enlarged


def hires_fix(picture: np.ndarray, resample: Resample, seed: int) -> Retouched:
    """The picture 1.5 times as large, with newly drawn detail.

    Args:
        picture: [H, W, 3] uint8 RGB.
        resample: a sampler pass.
        seed: of its noise.

    Returns:
        [1.5 H, 1.5 W, 3], rounded to multiples of 8.
    """
    check_picture(picture)
    width, height = hires_size(picture.shape[1], picture.shape[0])
    return Retouched(resample(resized(picture, width, height), HIRES_DENOISE, seed, None), ())


def hires_size(width: int, height: int) -> tuple[int, int]:
    """Width and height after ``hires_fix``, in pixels."""
    return _multiple_of_8(width * HIRES_FACTOR), _multiple_of_8(height * HIRES_FACTOR)


def inpaint_faces(
    picture: np.ndarray, people: Sequence[Faces], resample: Resample, pack: FacePack, *, side: int, seed: int
) -> Retouched:
    """Each face drawn again from its own crop, upright and as large as the generator draws best.

    Each person gets the face most like them, as in ``swap_faces``, and only that person is shown in it; a face without
    a person is drawn again without an identity.

    Args:
        picture: [H, W, 3] uint8 RGB.
        people: the prompt's people, in its order.
        resample: a sampler pass.
        pack: finds the faces; if it did not read the people, each face is drawn with all identities.
        side: pixels a side that the generator was trained on.
        seed: of the noise; every face gets the same.

    Returns:
        The picture, bit-exact outside the faces' rectangles, and notes on skipped faces.
    """
    check_picture(picture)
    faces, notes = large_enough(find_faces([picture], pack).photos[0].faces)
    if not faces:
        return Retouched(picture, (*notes, "no face to draw again: the picture is not changed"))
    canvas = picture.copy()
    shown = _shown(faces, people, pack)
    for number, face in faces.items():
        if not _draw_again(canvas, face, shown.get(number), resample, side, seed):
            notes.append(f"face number {number} lies outside the picture: not changed")
    return Retouched(canvas, tuple(notes))


def partial_steps(steps: int, denoise: float) -> tuple[int, int]:
    """(steps of a whole schedule, number of its last steps to run) that draw a picture again up to ``denoise``.

    Args:
        steps: of a new picture. They are increased if a single one would change more than ``denoise``.
        denoise: above 0, to 1.
    """
    steps = max(steps, math.ceil(1 / denoise))
    return steps, max(round(steps * denoise), 1)


def resized(picture: np.ndarray, width: int, height: int) -> np.ndarray:
    """[height, width, 3] uint8, by Lanczos; the picture itself when it has that size."""
    from PIL import Image

    if picture.shape[:2] == (height, width):
        return picture
    return np.array(Image.fromarray(picture).resize((width, height), Image.Resampling.LANCZOS))


def _shown(faces: Mapping[int, Face], people: Sequence[Faces], pack: FacePack) -> dict[int, tuple[int, ...] | None]:
    """The identities that are active while a face is drawn again, by the face's number."""
    if any(person.space != pack.space for person in people):
        return {}
    pairs = one_each(faces, people) if people else {}
    return {number: (pairs[number],) if number in pairs else () for number in faces}


def _draw_again(
    canvas: np.ndarray, face: Face, people: tuple[int, ...] | None, resample: Resample, side: int, seed: int
) -> bool:
    """Draw one face again in place; False: it lies outside the picture."""
    matrix = crop_matrix(face.landmarks, _TEMPLATE, side)
    in_picture = side / float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    side = int(np.clip(np.ceil(in_picture / _STEP) * _STEP, side, _MOST * side))
    matrix = crop_matrix(face.landmarks, _TEMPLATE, side)
    before = warp(canvas, matrix, side)
    after = resample(before, FACE_DENOISE, seed, people).astype(np.float32)
    patch = make_patch(canvas, before, after, matrix, match_colour=True)
    if patch is None:
        return False
    patch.paste(canvas)
    return True


def _multiple_of_8(side: float) -> int:
    return max(round(side / 8), 1) * 8
