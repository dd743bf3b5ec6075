"""What a face pack makes of a tune's photos: one face per photo, and whether it counts."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ..errors import NoFaceError, PhotoError, UnclearPersonError
from .errors import TuneError
from .face_file import face_bytes, tune_face
from .one_by_one import OneByOne, chained
from .orders import PhotoOrder, check_numbers, decided
from .tune import Tune, TuneFace, TunePhoto

if TYPE_CHECKING:
    import numpy as np

    from ..faces import FacePack, FoundFaces, PhotoVerdict

IMAGES = "tune[images][]"
OnPhoto = Callable[[int, int], None]
_SAY_WHO = (
    'Leave out the photos of the others, or say which count: "2 ignore; 3 face 1" in FaceID Create Tune, '
    "--ignore 2 --face 3=1 on the command line."
)


@dataclass(frozen=True)
class Analysis:
    """Photos and what a face pack found in them, ready to be kept; ``files`` holds every blob the photos name."""

    photos: tuple[TunePhoto, ...]
    files: Sequence[bytes]
    pack: str
    space: str

    def tune(self, title: str, name: str, **fields: Any) -> Tune:
        """The tune of these photos, not stored yet."""
        return Tune(title, name, pack=self.pack, space=self.space, photos=self.photos, **fields)


def analyse(
    photos: Sequence[bytes],
    pack: FacePack,
    on_photo: OnPhoto | None = None,
    orders: Mapping[int, PhotoOrder] | None = None,
) -> Analysis:
    """Find the person of the photos (image files as bytes). Errors as in ``analyse_drafts``."""
    return analyse_drafts(
        [draft(data, number) for number, data in enumerate(photos, 1)], photos, pack, on_photo, orders
    )


def analyse_drafts(
    drafts: Sequence[TunePhoto],
    photos: Sequence[bytes],
    pack: FacePack,
    on_photo: OnPhoto | None = None,
    orders: Mapping[int, PhotoOrder] | None = None,
) -> Analysis:
    """Find the person of photos about which something may be decided already; the rule is faces/person.py.

    Args:
        drafts: what is known of each photo; a face in it is not looked at.
        photos: the files, as bytes.
        pack: finds the faces.
        on_photo: called (done, total) after each photo.
        orders: what to do with single photos, by image number from 1.

    Raises:
        TuneError: there is no photo, none has a face that can be used, or nobody is in most of them.
    """
    from ..faces import find_faces

    if not photos:
        raise TuneError("The tune has no photo: give at least one that shows the face.", IMAGES)
    orders = orders or {}
    check_numbers(orders, len(photos))
    opened = OneByOne(len(photos), lambda index: open_photo(photos[index], index + 1))
    found = find_faces(opened, pack, on_photo)
    drafts = [_ordered(draft, orders.get(number), found, number) for number, draft in enumerate(drafts, 1)]
    try:
        verdicts = judge(found, drafts)
    except PhotoError as error:
        raise TuneError(str(error), IMAGES) from error
    faces, files = kept_parts(verdicts, found)
    kept = tuple(replace(draft, face=face) for draft, face in zip(drafts, faces, strict=True))
    given = OneByOne(len(photos), lambda index: bytes(photos[index]))
    return Analysis(kept, chained(given, files), pack.name, pack.space)


def judge(
    found: FoundFaces, photos: Sequence[TunePhoto], held: Sequence[TuneFace | None] | None = None
) -> tuple[PhotoVerdict, ...]:
    """The verdict on each photo.

    Args:
        found: every face of every photo, in any face pack.
        photos: what the user decided about each.
        held: what the tune's own pack said of each photo; where that is a verdict, it holds for this pack, too: the
            same photos count, and the face is the one at the same place.

    Raises:
        NoFaceError: no photo that counts has a face.
        UnclearPersonError: nobody is in most of the photos.
    """
    from ..faces import PhotoChoice, choose_faces, judge_photos

    held = held or [None] * len(photos)
    choices = [
        PhotoChoice(photo.use, photo.face_at, photo.weight)
        if face is None or face.counts is None
        else PhotoChoice(face.counts, photo.face_at or _centre(face, photo), photo.weight)
        for photo, face in zip(photos, held, strict=True)
    ]
    try:
        verdicts = judge_photos(found, choices)
    except UnclearPersonError as error:
        raise UnclearPersonError(f"{error} {_SAY_WHO}") from error
    if not any(verdict.counts for verdict in verdicts):
        choose_faces(found, on_missing="skip")  # says what is wrong with each photo, where none has a face
        raise NoFaceError(f"No photo that counts has a face. {_SAY_WHO}")
    return tuple(
        replace(verdict, reason=face.reason) if face and face.counts is not None and verdict.face else verdict
        for verdict, face in zip(verdicts, held, strict=True)
    )


def kept_parts(verdicts: Sequence[PhotoVerdict], found: FoundFaces) -> tuple[list[TuneFace | None], list[bytes]]:
    """What the database stores for each photo, and the blobs."""
    kept: list[TuneFace | None] = []
    files = []
    for verdict, photo in zip(verdicts, found.photos, strict=True):
        if verdict.face is None:
            kept.append(None)
            continue
        files.append(face_bytes(verdict.face))
        face = tune_face(verdict.face, sha256_of(files[-1]), photo.provider)
        kept.append(replace(face, counts=verdict.counts, reason=verdict.reason, others=verdict.others))
    return kept, files


def draft(data: bytes, number: int) -> TunePhoto:
    """A photo (an image file as bytes) of which nothing is known but its size. Raises TuneError naming it."""
    pixels = open_photo(data, number)
    return TunePhoto(sha256_of(data), _media_type(data), pixels.shape[1], pixels.shape[0])


def open_photo(data: bytes, number: int) -> np.ndarray:
    """[H, W, 3] uint8 RGB of an image file. Raises TuneError naming the image by its number."""
    from ..faces import read_photo

    try:
        return read_photo(data)
    except PhotoError as error:
        raise TuneError(f"Image {number}: {error}", IMAGES) from error


def sha256_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _ordered(photo: TunePhoto, order: PhotoOrder | None, found: FoundFaces, number: int) -> TunePhoto:
    from ..faces.choose import choose
    from ..faces.person import relative_centre

    if order is None:
        return photo
    at, here = None, found.photos[number - 1]
    if order.face is not None:
        if not here.faces:
            raise TuneError(f"There is no face in image {number} to choose from.", IMAGES)
        try:
            at = relative_centre(choose(here.faces, here.size, "index", order.face), here.size)
        except NoFaceError as error:
            raise TuneError(str(error), IMAGES) from error
    return decided(photo, order, at)


def _centre(face: TuneFace, photo: TunePhoto) -> tuple[float, float] | None:
    if not face.counts:
        return None
    x1, y1, x2, y2 = face.box
    return (x1 + x2) / 2 / photo.width, (y1 + y2) / 2 / photo.height


def _media_type(data: bytes) -> str:
    from PIL import Image

    with Image.open(io.BytesIO(data)) as picture:
        return picture.get_format_mimetype() or "application/octet-stream"
