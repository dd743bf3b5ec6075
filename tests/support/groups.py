"""Sets of photos as people give them: alone, in groups, with strangers, with the truth of who should come out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations

import cv2
import numpy as np
from faceid_tunes.faceid_core.errors import UnclearPersonError
from faceid_tunes.faceid_core.faces import FacePack, find_faces, one_person
from support.photos import altered_copies, around, people

_ALTERED = ("flip", "dark", "bright", "jpeg 30", "blur", "grey", "noise")


@dataclass(frozen=True, eq=False)
class GivenPhotos:
    """A set of photos and the truth about it.

    kind: what it is like; person: whose it is meant to be; boxes: of that person in each photo, None where it does not
    show them.
    """

    kind: str
    person: str
    photos: tuple[np.ndarray, ...]
    boxes: tuple[tuple[float, float, float, float] | None, ...]


def given_photos(pack: FacePack) -> Iterator[GivenPhotos]:
    """Sets of every kind, for each two of eight people: 56 pairs, eight kinds, more than 200 composed pictures."""
    faces = _cut_out(pack)
    names = tuple(faces)
    for number, (me, other) in enumerate(permutations(names, 2)):
        third = next(name for name in (*names[number % len(names) :], *names) if name not in (me, other))
        mine, again = _copy(faces[me], number), _copy(faces[me], number + 3)
        theirs, again_theirs = _copy(faces[other], number + 1), _copy(faces[other], number + 4)
        yield _given("alone", me, [(mine, True)], [(again, True)])
        yield _given("one and a group", me, [(mine, True)], [(theirs, False, 1.0), (again, True, 0.45)])
        yield _given(
            "one and two groups",
            me,
            [(mine, True)],
            [(theirs, False, 1.0), (again, True, 0.45)],
            [(again, True, 0.5), (again_theirs, False, 1.0), (faces[third], False, 0.8)],
        )
        yield _given("stranger first", me, [(theirs, False)], [(mine, True)], [(again, True)])
        yield _given("stranger in most", me, [(theirs, False)], [(again_theirs, False)], [(mine, True)])
        yield _given("one of each", me, [(mine, True)], [(theirs, False)])
        yield _given(
            "groups only",
            me,
            [(theirs, False, 1.0), (mine, True, 0.5)],
            [(faces[third], False, 1.0), (again, True, 0.6)],
        )
        yield _given("one group", me, [(theirs, False, 1.0), (mine, True, 0.5)])


def outcome(given: GivenPhotos, pack: FacePack) -> str:
    """``right``, ``right, told``, ``refused``, ``another person, told`` or ``ANOTHER PERSON, SILENT``."""
    try:
        found = one_person(find_faces(given.photos, pack))
    except UnclearPersonError:
        return "refused"
    told = bool(found.left_out or found.remarks)
    is_right = all(_is_in(given.boxes[face.photo], face.box) for face in found.faces)
    if is_right:
        return "right, told" if told else "right"
    return "another person, told" if told else "ANOTHER PERSON, SILENT"


def table(sets: Iterator[GivenPhotos], pack: FacePack) -> dict[str, Counter[str]]:
    """How often each outcome, for each kind of set."""
    counted: dict[str, Counter[str]] = {}
    for given in sets:
        counted.setdefault(given.kind, Counter())[outcome(given, pack)] += 1
    return counted


def _cut_out(pack: FacePack) -> dict[str, np.ndarray]:
    """Eight people with as much room around the face as shows nobody else."""
    cut = {}
    for name, photo in people(pack).items():
        found = find_faces([photo], pack).photos[0].faces
        face = max(found, key=lambda face: float(np.prod(face.box[2:] - face.box[:2])))
        cut[name] = around(photo, face.box, 0.6)
    return cut


def _copy(photo: np.ndarray, number: int) -> np.ndarray:
    return altered_copies(photo)[_ALTERED[number % len(_ALTERED)]]


def _given(kind: str, person: str, *photos: list) -> GivenPhotos:
    pictures, boxes = zip(*map(_composed, photos), strict=True)
    return GivenPhotos(kind, person, pictures, boxes)


def _composed(parts: list) -> tuple[np.ndarray, tuple[float, float, float, float] | None]:
    """The parts (photo, whether it is the person, relative height) side by side, and where the person is."""
    height = 480
    canvas = np.full((height + 80, 60, 3), 150, np.uint8)
    box = None
    for photo, is_person, *size in parts:
        tall = round(height * (size[0] if size else 1.0))
        wide = round(photo.shape[1] * tall / photo.shape[0])
        part = np.full((height + 80, wide + 60, 3), 150, np.uint8)
        part[40 : 40 + tall, :wide] = cv2.resize(photo, (wide, tall), interpolation=cv2.INTER_AREA)
        if is_person:
            box = (canvas.shape[1], 40, canvas.shape[1] + wide, 40 + tall)
        canvas = np.concatenate([canvas, part], axis=1)
    return canvas, box


def _is_in(place: tuple[float, float, float, float] | None, box: np.ndarray) -> bool:
    if place is None:
        return False
    x, y = (box[:2] + box[2:]) / 2
    return place[0] <= x <= place[2] and place[1] <= y <= place[3]
