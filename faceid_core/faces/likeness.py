"""How much a picture shows a person: the cosine between its most similar face and the person's own.

Measure with a recogniser other than the one the picture was made with (``measuring_pack``): the recogniser whose
embedding conditioned the model overestimates the likeness (docs/facts/faces.md 7.2). verdict.py says what a cosine
means.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import PhotoError
from .choose import choose
from .extract import OnPhoto, PhotoFaces, find_faces
from .face import Face, Faces
from .packs import FacePack
from .verdict import Verdict, verdict

# Independently trained recognisers, most accurate first (docs/facts/faces.md 7.1). w600k_mbf comes after SFace, because
# it was trained on the same photos as w600k_r50. Any other space is uncalibrated and comes last.
_MEASURE_WITH = ("glintr100", "w600k_r50", "sface", "w600k_mbf")


@dataclass(frozen=True, eq=False)
class Likeness:
    """How much one picture shows one person.

    cosine: -1 to 1, None when the picture has no face; face: the face it was measured on, of several the most similar;
    space, pack: the embedding space it was measured in, and the name of the pack.
    """

    cosine: float | None
    face: Face | None
    space: str
    pack: str

    @property
    def verdict(self) -> Verdict:
        return verdict(self.cosine, self.space)


@dataclass(frozen=True, eq=False)
class LikenessMatrix:
    """Photos compared with results.

    cosines: [photos, results] float32, -1 to 1; NaN where the photo or the result has no face.
    space, pack: the embedding space it was measured in, and the name of the pack.
    """

    cosines: np.ndarray
    space: str
    pack: str

    def verdict(self, photo: int, result: int) -> Verdict:
        return verdict(float(self.cosines[photo, result]), self.space)

    def row_means(self) -> np.ndarray:
        """[photos] float32: the mean over the results that have a face; NaN for a photo that could not be compared."""
        compared = ~np.isnan(self.cosines)
        sums = np.where(compared, self.cosines, 0).sum(axis=1)
        counts = compared.sum(axis=1)
        return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan).astype(np.float32)


def likeness(picture: np.ndarray, person: Faces, pack: FacePack) -> float | None:
    """The cosine of ``measure_likeness``; None: no face in the picture."""
    return measure_likeness(picture, person, pack).cosine


def measure_likeness(picture: np.ndarray, person: Faces, pack: FacePack) -> Likeness:
    """The likeness of the face in ``picture`` ([H, W, 3] uint8 RGB) that is most like the mean of ``person``.

    ``pack`` reads the picture's faces and must be the one that read the person's: two embedding spaces cannot be
    compared (ValueError).
    """
    if pack.space != person.space:
        raise ValueError(f"the person was read in {person.space!r}, the picture would be in {pack.space!r}")
    face, cosine = _best_match(find_faces([picture], pack).photos[0], person.mean_embedding())
    return Likeness(cosine, face, pack.space, pack.name)


def measuring_pack(conditioned_space: str, packs: Sequence[FacePack]) -> FacePack:
    """The best of ``packs`` (not empty) to measure pictures with that were conditioned in ``conditioned_space``.

    Another recogniser if there is one, the most accurate first; else one of the space itself, which overestimates the
    likeness.
    """

    def rank(pack: FacePack) -> tuple[bool, int]:
        known = pack.space in _MEASURE_WITH
        return pack.space == conditioned_space, _MEASURE_WITH.index(pack.space) if known else len(_MEASURE_WITH)

    return min(packs, key=rank)


_IN_WORDS = {Verdict.PROBABLY: "probably the same person", Verdict.UNSURE: "not sure it is the same person"}


def describe_likeness(found: Sequence[Likeness]) -> str:
    """How much the pictures show the person, in a few words: "same person 0.62", "same person in 2 of 3 pictures"."""
    if len(found) == 1:
        (one,) = found
        words = _IN_WORDS.get(one.verdict, one.verdict.value)
        return words if one.cosine is None else f"{words} {one.cosine:.2f}"
    alike = sum(one.verdict is Verdict.SAME for one in found)
    probably = sum(one.verdict is Verdict.PROBABLY for one in found)
    return f"same person in {alike} of {len(found)} pictures" + (f", probably in {probably} more" if probably else "")


def likeness_matrix(
    photos: Sequence[np.ndarray], results: Sequence[np.ndarray], pack: FacePack, on_photo: OnPhoto | None = None
) -> LikenessMatrix:
    """Every photo compared with every result, all [H, W, 3] uint8 RGB; the photos may show several people.

    Of a photo the largest face counts, as in a tune; of a result, the face most similar to it. on_photo(done, total) is
    called after each picture. Raises PhotoError when there are no photos or no results.
    """
    for name, pictures in (("photo", photos), ("result", results)):
        if not pictures:
            raise PhotoError(f"There is no {name} to compare: give at least one.")
    found = find_faces([*photos, *results], pack, on_photo).photos
    cosines = np.full((len(photos), len(results)), np.nan, np.float32)
    for row, photo in enumerate(found[: len(photos)]):
        if photo.faces:
            person = choose(photo.faces, photo.size, "largest").unit_embedding
            matches = (_best_match(result, person)[1] for result in found[len(photos) :])
            cosines[row] = [np.nan if cosine is None else cosine for cosine in matches]
    return LikenessMatrix(cosines, pack.space, pack.name)


def _best_match(found: PhotoFaces, person: np.ndarray) -> tuple[Face | None, float | None]:
    """The face most similar to a unit embedding, and its cosine; (None, None) when there is no face."""
    cosines = [float(face.unit_embedding @ person) for face in found.faces]
    if not cosines:
        return None, None
    best = int(np.argmax(cosines))
    return found.faces[best], cosines[best]
