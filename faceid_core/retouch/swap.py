"""Face swap: paints people's faces over the faces of a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ..faces import Face, FacePack, Faces, find_faces
from ..faces.extract import PhotoFaces
from ..faces.packs import PACK_OF_SPACE
from .crop import crop_matrix, enlarge, warp
from .errors import RetouchError
from .face_mask import face_masks
from .face_parser import Parse
from .paste import FaceMask, make_patch
from .picture import MIN_SIDE, Retouched, check_mask, check_picture, large_enough
from .swapper import TEMPLATE, Swapper, source_latent, swap_crop
from .targets import Target, aim, best_matches, cosines_of

CHOICES: tuple[str, ...] = ("best match", "all", "index")
BOOSTS: tuple[int, ...] = (128, 256, 512, 1024)
_AUTO_BOOST_LIMIT = 512  # 16 runs of a 128 pixel model per face; 1024 would be 64


def swap_faces(
    picture: np.ndarray,
    people: Sequence[Faces],
    swapper: Swapper,
    pack: FacePack,
    *,
    choice: str = "best match",
    index: int = 0,
    targets: Sequence[Target | None] = (),
    boost: int | None = None,
    min_side: int = MIN_SIDE,
    mask: np.ndarray | None = None,
    match_colour: bool = True,
    preview: bool = False,
    parse: Parse | None = None,
) -> Retouched:
    """Paint people over the faces of a picture.

    Args:
        picture: [H, W, 3] uint8 RGB.
        people: the people to paint; each is the mean embedding of their faces.
        swapper: of ``load_swapper``.
        pack: finds the picture's faces; for a choice by likeness it must be the one that read the people's.
        choice: "best match" gives each person one face, so that the sum of likenesses is highest; "all" gives every
            face the person it is most like; "index" gives the first person face number ``index``, counted from 0 left
            to right as in the preview, the next person the next face, and so on.
        targets: which face each person is painted over; None, for a person: by ``choice``, which "all" cannot be then.
            Default: everybody by ``choice``.
        boost: pixels a side of the crops, a multiple of the swapper's own; None: as large as the face is in the
            picture, at most 512.
        min_side: faces whose box is smaller stay as they are.
        mask: [H, W], 0 to 1: where the picture may change.
        match_colour: keep the mean and spread of the face's colours.
        preview: take people of another embedding space than the swapper's. The likeness is meaningless then.
        parse: tells what is in front of a face, and stays (``face_masks``); default: the whole shape is painted.

    Returns:
        The picture, bit-exact outside the rectangles of the swapped faces, and notes on skipped faces and people.

    Raises:
        RetouchError: says which argument cannot be used, and why.
    """
    check_picture(picture)
    check_mask(mask, picture)
    _check_arguments(people, swapper, choice, index, boost, preview)
    targets = _targets(targets, people, choice, index)
    if targets:
        _check_comparable([person for person, target in zip(people, targets, strict=True) if target is None], pack)
    elif _compares(choice, people):
        _check_comparable(people, pack)
    found = find_faces([picture], pack).photos[0]
    faces, notes = large_enough(found.faces, min_side)
    notes += _refused(found)
    if targets and faces:
        pairs, left_out = aim(found, faces, targets, people, pack.space)
    else:
        pairs, left_out = _pairs(faces, people, choice, index)
    notes += left_out
    if not pairs:
        return Retouched(picture, tuple(notes))
    own, said = face_masks(picture, {number: faces[number] for number in pairs}, parse)
    notes += said
    canvas = picture.copy()
    for number, person in pairs.items():
        latent = source_latent(people[person].mean_embedding(), swapper)
        if not _swap_face(canvas, faces[number], latent, swapper, boost, mask, match_colour, own.get(number)):
            notes.append(f"face number {number} lies outside the picture: not changed")
    return Retouched(canvas, tuple(notes))


def check_swap_space(swapper: Swapper, person: Faces, *, preview: bool) -> None:
    """Refuse embeddings of a recogniser the swapper was not trained on, unless asked for a preview.

    Raises:
        RetouchError: names the face pack to use.
    """
    if person.space == swapper.space or preview:
        return
    pack = PACK_OF_SPACE[swapper.space]
    raise RetouchError(
        f"The faces were read with the face pack {person.pack!r} (embedding space {person.space!r}), but "
        f"{swapper.name} was trained on {pack} ({swapper.space!r}): the picture would show somebody else. Install "
        f"{pack} into models/insightface/models/{pack} and choose it in FaceID Extract Face. To try the workflow "
        "without it, switch on 'preview'; the likeness will be meaningless."
    )


def _check_arguments(
    people: Sequence[Faces], swapper: Swapper, choice: str, index: int, boost: int | None, preview: bool
) -> None:
    if not people:
        raise RetouchError("people: give at least one person to swap in.")
    if choice not in CHOICES:
        raise RetouchError(f'choice: "{choice}" is not one of {", ".join(CHOICES)}.')
    if index < 0:
        raise RetouchError(f"index: {index} is negative; faces are counted from 0, left to right.")
    size = swapper.contract.size
    sizes = [side for side in BOOSTS if side % size == 0]
    if boost is not None and boost not in sizes:
        allowed = ", ".join(map(str, sizes))
        raise RetouchError(f"boost: {boost} pixels; {swapper.name} works on {size} and can be boosted to {allowed}.")
    for person in people:
        check_swap_space(swapper, person, preview=preview)


def _targets(targets: Sequence[Target | None], people: Sequence[Faces], choice: str, index: int) -> list[Target | None]:
    """One for each person where somebody has one; else none."""
    if targets and len(targets) != len(people):
        raise RetouchError(f"targets: {len(targets)} for {len(people)} people; give one each, or none at all.")
    if not any(targets):
        return []
    if choice == "all":
        raise RetouchError('choice: "all" paints every face; with a reference or a place take "best match" or "index".')
    given = [Target(index + number) if choice == "index" else None for number in range(len(people))]
    return [target or own for target, own in zip(targets, given, strict=True)]


def _compares(choice: str, people: Sequence[Faces]) -> bool:
    return choice == "best match" or (choice == "all" and len(people) > 1)


def _check_comparable(people: Sequence[Faces], pack: FacePack) -> None:
    for person in people:
        if person.space != pack.space:
            raise RetouchError(
                f"The person was read with the face pack {person.pack!r}, the picture would be with {pack.name!r}: "
                'their embeddings cannot be compared. Use one pack for both, or choose faces by "index".'
            )


def _pairs(
    faces: Mapping[int, Face], people: Sequence[Faces], choice: str, index: int
) -> tuple[dict[int, int], list[str]]:
    """Face number -> person, from left to right; and notes on the people without a face."""
    if not faces:
        return {}, ["no face to swap: the picture is not changed"]
    if choice == "index":
        pairs = {index + number: number for number in range(len(people)) if index + number in faces}
        missing = [number for number in range(len(people)) if number not in pairs.values()]
        return pairs, [f"there is no face number {index + number} for person {number + 1}" for number in missing]
    if choice == "all":
        return _most_alike(faces, people), []
    return best_matches(faces, dict(enumerate(people)), people[0].space)


def _most_alike(faces: Mapping[int, Face], people: Sequence[Faces]) -> dict[int, int]:
    if len(people) == 1:
        return dict.fromkeys(faces, 0)
    return dict(zip(faces, cosines_of(faces, people).argmax(axis=1).tolist(), strict=True))


def _swap_face(
    canvas: np.ndarray,
    face: Face,
    latent: np.ndarray,
    swapper: Swapper,
    boost: int | None,
    mask: np.ndarray | None,
    match_colour: bool,
    face_mask: FaceMask | None = None,
) -> bool:
    """Swap one face in place; False: it lies outside the picture.

    Its crop is cut from the canvas, so that neighbouring faces keep their swap.
    """
    size = swapper.contract.size
    own = crop_matrix(face.landmarks, TEMPLATE, size, swapper.contract.shift)
    factor = (boost or _auto_boost(own, size)) // size
    matrix = enlarge(own, factor)
    before = warp(canvas, matrix, size * factor)
    after = swap_crop(before, latent, swapper)
    patch = make_patch(canvas, before, after, matrix, mask=mask, face_mask=face_mask, match_colour=match_colour)
    if patch is None:
        return False
    patch.paste(canvas)
    return True


def _auto_boost(matrix: np.ndarray, size: int) -> int:
    """The smallest boost with as many pixels as the picture has at the crop's place, at most 512."""
    side = size / float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    boosts = [boost for boost in BOOSTS if size <= boost <= _AUTO_BOOST_LIMIT]
    return next((boost for boost in boosts if boost >= side), boosts[-1])


def _refused(found: PhotoFaces) -> list[str]:
    return [f"a face is {refused.problem}: not changed" for refused in found.refused]
