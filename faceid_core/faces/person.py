"""Which face of each photo is the person: photos of one face decide, and whoever does not fit is left out by name.

The threshold is the embedding space's own (verdict.py). With the embedded pack two photos of one person have a cosine
of 0.677 and more, two people 0.376 and less (benchmarks/likeness.py). benchmarks/groups.py measures this rule.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..errors import UnclearPersonError
from .agreement import with_agreement
from .candidates import number_in, unclear_person
from .choose import choose
from .clusters import clusters
from .extract import FoundFaces, PhotoFaces, choose_faces
from .face import Face, Faces, LeftOut
from .packs import FacePack
from .trust import doubt, is_junk
from .verdict import thresholds_of

_DOUBT = "cannot vouch for who it is"


@dataclass(frozen=True)
class PhotoChoice:
    """What a user decided about one photo.

    counts: whether it counts; None leaves that to the rule.
    at: the centre of the face that is meant, x and y from 0 to 1 of the photo's width and height; it decides who the
        person is, whatever the other photos show.
    weight: of this photo in the person's mean, above 0.
    """

    counts: bool | None = None
    at: tuple[float, float] | None = None
    weight: float = 1.0


@dataclass(frozen=True, eq=False)
class PhotoVerdict:
    """What the rule made of one photo.

    face: the face that is most likely the person's; None: the photo has none.
    counts: whether the face is used.
    reason: why it is not, or what else a person should know; else empty.
    others: how many other faces the photo has.
    """

    face: Face | None
    counts: bool
    reason: str = ""
    others: int = 0


def judge_photos(found: FoundFaces, choices: Sequence[PhotoChoice] = ()) -> tuple[PhotoVerdict, ...]:
    """One verdict per photo.

    Photos in which one person is seen decide who it is: the one that more than half of them show, and that more than
    half of all photos show. Of several people in a photo the one most like them is taken. A face that is not like
    them is left out. A single photo of several people stands for the largest, and says so.

    Args:
        found: every face of every photo.
        choices: one per photo, or none at all.

    Raises:
        UnclearPersonError: no person is in most of the photos; names the candidates, image by image.
    """
    choices = tuple(choices) or (PhotoChoice(),) * len(found.photos)
    space = found.pack.space
    limit = thresholds_of(space).probably
    person = _person(found.photos, choices, limit, space)
    return tuple(
        _verdict(photo, choice, person, limit, found.pack) for photo, choice in zip(found.photos, choices, strict=True)
    )


def one_person(found: FoundFaces, pick: str = "largest", index: int = 0, on_missing: str = "error") -> Faces:
    """The faces of one person: by ``judge_photos`` where several photos are given and the largest is picked.

    Any other ``pick`` is the user's word on each photo, and holds. Arguments and errors are those of ``choose_faces``.

    Raises:
        UnclearPersonError: no person is in most of the photos.
    """
    chosen = choose_faces(found, pick, index, on_missing)
    if pick != "largest":
        return chosen
    try:
        return person_faces(found, judge_photos(found))
    except UnclearPersonError as error:
        raise UnclearPersonError(f"{error} Leave out the photos of the others, or choose with `pick`.") from error


def person_faces(found: FoundFaces, verdicts: Sequence[PhotoVerdict]) -> Faces:
    """The faces that count.

    Raises:
        NoFaceError: none does.
    """
    counting = [verdict.face for verdict in verdicts if verdict.face is not None and verdict.counts]
    return Faces(
        faces=tuple(counting),
        space=found.pack.space,
        pack=found.pack.name,
        provider=found.photos[0].provider,
        skipped=tuple(photo.photo for photo in found.photos if not _readable(photo, found.pack.space)),
        left_out=tuple(
            LeftOut(photo.photo, verdict.reason)
            for photo, verdict in zip(found.photos, verdicts, strict=True)
            if _readable(photo, found.pack.space) and not verdict.counts
        ),
        remarks=tuple(
            f"image {photo.photo + 1}: {verdict.reason}"
            for photo, verdict in zip(found.photos, verdicts, strict=True)
            if verdict.counts and verdict.reason and not verdict.reason.startswith(_DOUBT)  # report.py says those
        ),
    )


def relative_centre(face: Face, size: tuple[int, int]) -> tuple[float, float]:
    """The centre of a face's box, x and y from 0 to 1 of the photo's (width, height): another detector finds it."""
    x, y = ((face.box[:2] + face.box[2:]) / 2 / size).tolist()
    return x, y


@dataclass(frozen=True, eq=False)
class _Person:
    """Whom the photos show: a [512] embedding of length 1; is_guessed: of several people in a single photo."""

    embedding: np.ndarray
    is_guessed: bool = False


def _person(photos: Sequence[PhotoFaces], choices: Sequence[PhotoChoice], limit: float, space: str) -> _Person | None:
    """Whom the photos show. None: no photo that counts has a face."""
    chosen = [_face_at(photo, choice) for photo, choice in zip(photos, choices, strict=True)]
    if decided := [face for face in chosen if face is not None]:
        return _Person(_mean(decided))
    readable = [_readable(photo, space) for photo in photos]
    asked = [photo for photo in photos if choices[photo.photo].counts is not False and readable[photo.photo]]
    if not asked:
        return None
    people = [_people(readable[photo.photo], photo.size, limit) for photo in asked]
    if len(asked) == 1:
        return _Person(choose(people[0], asked[0].size, "largest").unit_embedding, is_guessed=len(people[0]) > 1)
    deciding = [faces[0] for faces in people if len(faces) == 1]
    groups = clusters(deciding or [face for faces in people for face in faces], limit)
    shown = [sum(_best(faces, _mean(group))[1] >= limit for faces in people) for group in groups]
    most = [
        group
        for group, count in zip(groups, shown, strict=True)
        if 2 * count > len(asked) and (not deciding or 2 * len(group) > len(deciding))
    ]
    if len(most) == 1:
        return _Person(_mean(most[0]))
    if used := [faces[0] for photo, faces in zip(asked, people, strict=True) if choices[photo.photo].counts]:
        return _Person(_mean(used))
    raise unclear_person(asked, [face for faces in people for face in faces], limit)


def _verdict(
    photo: PhotoFaces, choice: PhotoChoice, person: _Person | None, limit: float, pack: FacePack
) -> PhotoVerdict:
    readable = _readable(photo, pack.space)
    if not readable:
        return PhotoVerdict(None, False, "no face")
    others = len(photo.faces) - 1
    if choice.at is not None and choice.counts is not False:
        chosen = _face_at(photo, choice)
        if chosen is None:
            return PhotoVerdict(None, False, "there is no face where one was chosen", others + 1)
        return PhotoVerdict(_weighed(chosen, choice), True, "", others)
    if choice.counts is False or person is None:
        face = _best(readable, person.embedding)[0] if person else choose(readable, photo.size, "largest")
        return PhotoVerdict(_weighed(face, choice), False, "not to be used, as chosen", others)
    people = _people(readable, photo.size, limit)
    face, cosine = _best(people, person.embedding)
    if not choice.counts and cosine < limit:
        if len(people) == 1:
            reason = f"seems to be someone else (cosine {cosine:.2f})"
        else:
            reason = f"none of the {len(people)} people in it seems to be the person (cosine {cosine:.2f})"
        return PhotoVerdict(_weighed(face, choice), False, reason, others)
    face = with_agreement(face, pack)
    unclear = doubt(face, pack.space)
    remark = _remark(photo, people, face, person, limit) or (unclear and f"{_DOUBT} ({unclear})")
    return PhotoVerdict(_weighed(face, choice), True, remark, others)


def _remark(photo: PhotoFaces, people: Sequence[Face], face: Face, person: _Person, limit: float) -> str:
    """What a person should know of a face that counts."""
    cosines = [float(each.unit_embedding @ person.embedding) for each in people]
    if person.is_guessed:
        return f"of the {len(people)} people in it the largest was taken, face {number_in(photo, face)} from the left"
    if max(cosines) < limit:
        return f"used as chosen, though it seems to be someone else (cosine {max(cosines):.2f})"
    if sum(cosine >= limit for cosine in cosines) > 1:
        return f"two people in it look alike; face {number_in(photo, face)} from the left was taken"
    return ""


def _readable(photo: PhotoFaces, space: str) -> list[Face]:
    """The faces of a photo that tell who somebody is."""
    return [face for face in photo.faces if not is_junk(face, space)]


def _people(faces: Sequence[Face], size: tuple[int, int], limit: float) -> list[Face]:
    """One face, the largest, of each person in a photo: a mirror or a collage shows one person more than once."""
    return [choose(group, size, "largest") for group in clusters(faces, limit)]


def _face_at(photo: PhotoFaces, choice: PhotoChoice) -> Face | None:
    """The face at the chosen place: one whose box holds it, of several the one whose centre is nearest."""
    if choice.at is None or choice.counts is False:
        return None
    point = np.multiply(choice.at, photo.size)
    there = [face for face in photo.faces if (face.box[:2] <= point).all() and (point <= face.box[2:]).all()]
    return min(there, key=lambda face: float(np.linalg.norm((face.box[:2] + face.box[2:]) / 2 - point)), default=None)


def _weighed(face: Face, choice: PhotoChoice) -> Face:
    return face if face.weight == choice.weight else replace(face, weight=choice.weight)


def _mean(faces: Sequence[Face]) -> np.ndarray:
    mean = np.mean([face.unit_embedding for face in faces], axis=0)
    return mean / max(float(np.linalg.norm(mean)), 1e-12)


def _best(faces: Sequence[Face], person: np.ndarray) -> tuple[Face, float]:
    cosines = [float(face.unit_embedding @ person) for face in faces]
    best = int(np.argmax(cosines))
    return faces[best], cosines[best]
