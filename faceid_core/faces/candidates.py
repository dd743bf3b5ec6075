"""Whom several photos show when it is not clear who is meant: in words, and as faces to show."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import UnclearPersonError
from .clusters import clusters
from .extract import PhotoFaces
from .face import Face

_LETTERS = "ABCDEFGH"


@dataclass(frozen=True, eq=False)
class Candidate:
    """One face of a person who may be meant.

    Attributes:
        person: "A", "B" ..; faces of one letter are one person's.
        place: the image, from 1, and the number of the face in it, as in "image 2, face 1".
        crop: [224, 224, 3] uint8 RGB.
    """

    person: str
    place: str
    crop: np.ndarray


def unclear_person(photos: Sequence[PhotoFaces], faces: Iterable[Face], limit: float) -> UnclearPersonError:
    """The error that names the people the photos show, each with the images and places they are seen at."""
    by_number = {photo.photo: photo for photo in photos}
    groups = clusters(list(faces), limit)
    groups.sort(key=lambda group: (-len({face.photo for face in group}), group[0].photo))
    lettered = list(zip(_LETTERS, groups, strict=False))
    named = "; ".join(
        f"person {letter}: {', '.join(_exact_place(face, by_number[face.photo]) for face in group)}"
        for letter, group in lettered
    )
    more = f"; and {len(groups) - len(_LETTERS)} more" if len(groups) > len(_LETTERS) else ""
    return UnclearPersonError(
        f"The photos show several people, and it is not clear whose they are. {named}{more}.",
        [
            Candidate(letter, _place(face, by_number[face.photo]), face.crop)
            for letter, group in lettered
            for face in group
        ],
    )


def candidates_of(error: BaseException | None) -> tuple[Candidate, ...]:
    """The candidates of an error, or of the one it was raised from; none when it is about something else."""
    while error is not None:
        if isinstance(error, UnclearPersonError) and error.candidates:
            return error.candidates
        error = error.__cause__
    return ()


def number_in(photo: PhotoFaces, face: Face) -> int:
    """The number of a face in its photo as the preview shows it: from 0, left to right."""
    return next(number for number, each in enumerate(photo.faces) if np.array_equal(each.box, face.box))


def _place(face: Face, photo: PhotoFaces) -> str:
    alone = len(photo.faces) == 1
    return f"image {photo.photo + 1}" + ("" if alone else f", face {number_in(photo, face)}")


def _exact_place(face: Face, photo: PhotoFaces) -> str:
    if len(photo.faces) == 1:
        return _place(face, photo)
    x, y = (round(float(side)) for side in (face.box[:2] + face.box[2:]) / 2)
    return f"{_place(face, photo)} (at {x}, {y})"
