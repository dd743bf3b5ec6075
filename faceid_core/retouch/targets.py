"""Which face of a picture each person is painted over: the most alike, one at a place, or one that a photo shows.

Nobody is painted over a face that only might be meant: a reference that is like no face of the picture changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import NoFaceError
from ..faces import Face, FacePack, Faces, find_faces
from ..faces.choose import PICKS, choose
from ..faces.extract import PhotoFaces
from ..faces.person import one_person
from ..faces.report import describe_doubts
from ..faces.trust import is_junk
from ..faces.verdict import thresholds_of
from .errors import RetouchError

POSITIONS = tuple(pick for pick in PICKS if pick not in ("index", "best score"))


@dataclass(frozen=True, eq=False)
class Target:
    """The face that is meant.

    Attributes:
        place: one of POSITIONS, or the number of a face, counted from 0 from left to right.
        reference: whom the face shows; then ``place`` does not count.
        remarks: what a person should know of the reference, to be said once.
    """

    place: str | int = "largest"
    reference: Faces | None = None
    remarks: tuple[str, ...] = ()


def place_target(word: str) -> Target:
    """The target of a place as a person writes it, "2" or "leftmost".

    Raises:
        RetouchError: it is neither a number nor a position.
    """
    word = word.strip()
    if word.isascii() and word.isdigit():
        return Target(int(word))
    if word.lower() not in POSITIONS:
        raise RetouchError(
            f'"{word}" is no face of a picture: write its number, counted from 0 from left to right, or '
            f"{', '.join(POSITIONS)}."
        )
    return Target(word.lower())


def reference_target(photos: Sequence[np.ndarray], pack: FacePack, name: str = "reference") -> Target:
    """The target of one or more photos, [H, W, 3] uint8 RGB each, of one person.

    Args:
        pack: reads the photos; the one that finds the picture's faces.
        name: of the input, for messages.

    Raises:
        RetouchError: the photos show nobody, or several people and it is not clear who is meant.
    """
    try:
        person = one_person(find_faces(photos, pack))
    except NoFaceError as error:
        raise RetouchError(f"{name}: {error}") from error
    return Target(reference=person, remarks=tuple(f"{name}: {doubt}" for doubt in describe_doubts(person)))


def all_targets(places: str, references: Sequence[Target | None]) -> tuple[Target | None, ...]:
    """One target for each person, or None for whom nothing is said.

    Args:
        places: of the people in their order, separated by commas, as in "0, leftmost"; a person may have none.
        references: one for each person, or None.

    Raises:
        RetouchError: a place that does not exist, more places than people, or a person with place and reference.
    """
    words = places.split(",") if places.strip() else []
    if len(words) > len(references):
        raise RetouchError(f"places: {len(words)} of them for {len(references)} people; write one for each person.")
    targets = list(references)
    for person, word in enumerate(words):
        if not word.strip():
            continue
        if targets[person] is not None:
            raise RetouchError(f"places: person {person + 1} has a reference, too. Leave out the place or the photo.")
        targets[person] = place_target(word)
    return tuple(targets)


def aim(
    found: PhotoFaces, faces: Mapping[int, Face], targets: Sequence[Target | None], people: Sequence[Faces], space: str
) -> tuple[dict[int, int], list[str]]:
    """Face number -> person (an index into people), and notes on each person without a face and each doubt.

    Places are taken first, in the order of the people, then references, the most alike first, and then people
    without a target, by their own likeness to the faces that are left.

    Args:
        found: of the picture.
        faces: those of them that can be changed, by number; at least one.
        targets: one for each person, or None.
        space: the embedding space of the faces, the references, and the people without a target.
    """
    pairs: dict[int, int] = {}
    notes: list[str] = []
    for person, target in enumerate(targets):
        if target is None or target.reference is not None:
            continue
        number = _at(target.place, found, faces)
        if number is None:
            notes.append(f"there is no face number {target.place} for person {person + 1}: not changed")
        elif number in pairs:
            notes.append(f"person {person + 1} has no face: number {number} is person {pairs[number] + 1}'s already")
        else:
            pairs[number] = person
    asked = {person: target for person, target in enumerate(targets) if target and target.reference}
    free = {number: face for number, face in faces.items() if number not in pairs and not is_junk(face, space)}
    matched, said = _matched(free, asked, space)
    pairs |= matched
    others = [person for person, target in enumerate(targets) if target is None]
    left = {number: face for number, face in faces.items() if number not in pairs}
    alike, unlike = best_matches(left, {person: people[person] for person in others}, space)
    return dict(sorted({**pairs, **alike}.items())), [*notes, *said, *unlike]


def best_matches(
    faces: Mapping[int, Face], people: Mapping[int, Faces], space: str
) -> tuple[dict[int, int], list[str]]:
    """Face number -> person, each person at most one face; notes on people without one, and on guesses."""
    if not people:
        return {}, []
    numbers = list(people)
    pairs = {}
    if faces:
        pairs = {face: numbers[column] for face, column in one_each(faces, list(people.values())).items()}
    notes = [
        f"there is no face for person {person + 1} in a picture of {_count(len(faces))}"
        for person in people
        if person not in pairs.values()
    ]
    for number, person in pairs.items():
        cosine = float(faces[number].unit_embedding @ people[person].mean_embedding())
        if len(faces) > 1 and cosine < thresholds_of(space).probably:
            notes.append(
                f"no face looks like person {person + 1} (cosine {cosine:.2f}): face number {number} was taken"
            )
    return pairs, notes


def one_each(faces: Mapping[int, Face], people: Sequence[Faces]) -> dict[int, int]:
    """Each person at most one face, each face at most one person, the highest possible sum of cosines."""
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment(cosines_of(faces, people), maximize=True)
    numbers = list(faces)
    return {numbers[row]: int(column) for row, column in zip(rows, columns, strict=True)}


def cosines_of(faces: Mapping[int, Face], people: Sequence[Faces]) -> np.ndarray:
    """[faces, people]"""
    units = np.stack([face.unit_embedding for face in faces.values()])
    return units @ np.stack([person.mean_embedding() for person in people]).T


def _at(place: str | int, found: PhotoFaces, faces: Mapping[int, Face]) -> int | None:
    if isinstance(place, int):
        return place if place in faces else None
    chosen = choose(list(faces.values()), found.size, place)
    return next(number for number, face in faces.items() if face is chosen)


def _matched(faces: Mapping[int, Face], asked: Mapping[int, Target], space: str) -> tuple[dict[int, int], list[str]]:
    """Face number -> person for the references, and notes."""
    if not asked:
        return {}, []
    notes: list[str] = []
    limits = thresholds_of(space)
    numbers, people = list(faces), list(asked)
    references = [target.reference for target in asked.values() if target.reference is not None]
    cosines = cosines_of(faces, references) if faces else np.zeros((0, len(references)))
    pairs = _assigned(cosines, limits.probably)
    for column, person in enumerate(people):
        row = pairs.get(column)
        whom = f"the reference of person {person + 1}"
        if row is None:
            notes.append(f"no face is that of {whom} ({_why(cosines[:, column], limits.probably)}): not changed")
            continue
        cosine = float(cosines[row, column])
        if cosine < limits.same:
            notes.append(f"face number {numbers[row]} is probably that of {whom}, not surely (cosine {cosine:.2f})")
        if (cosines[:, column] >= limits.probably).sum() > 1:
            notes.append(f"several faces are like {whom}: number {numbers[row]} was taken (cosine {cosine:.2f})")
    return {numbers[row]: people[column] for column, row in pairs.items()}, notes


def _why(cosines: np.ndarray, least: float) -> str:
    """Why nobody is taken: of the cosines of the faces to a reference."""
    if not len(cosines):
        return "there is none to compare"
    if cosines.max() >= least:
        return "whoever is like it is more like another reference"
    return f"the most alike has a cosine of {cosines.max():.2f}, {least:.2f} is needed"


def _count(number: int) -> str:
    return "one face" if number == 1 else f"{number} faces"


def _assigned(cosines: np.ndarray, least: float) -> dict[int, int]:
    """Column -> row of the pairs that reach ``least``, the most alike first.

    Not the highest sum: it may give a face to the second most alike, so that both are somewhat like theirs.
    """
    pairs: dict[int, int] = {}
    for place in np.argsort(-cosines, axis=None, kind="stable"):
        row, column = divmod(int(place), cosines.shape[1])
        if cosines[row, column] >= least and column not in pairs and row not in pairs.values():
            pairs[column] = row
    return pairs
