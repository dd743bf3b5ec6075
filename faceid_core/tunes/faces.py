"""From a tune to the faces that an adapter takes."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ..errors import NoFaceError, UnclearPersonError
from .analysis import OnPhoto, judge, kept_parts, open_photo
from .errors import TuneError
from .face_file import restore_face
from .one_by_one import OneByOne
from .store import TuneStore
from .tune import Tune, TuneFace

if TYPE_CHECKING:
    from ..faces import FacePack, Faces
    from ..faces.face import Face

_log = logging.getLogger(__name__)


def faces_of(tune: Tune, store: TuneStore, pack: FacePack, on_photo: OnPhoto | None = None) -> Faces:
    """The tune's faces for a face pack: the stored ones, or found in the stored photos and then stored as well.

    A store that cannot be written to stays as it is. The photos that count, and the places of the faces in them, are
    those of ``tune``, whatever the pack.

    Raises:
        NoFaceError: this pack finds no face in them.
        UnclearPersonError: the tune is of before photos were judged, and nobody is in most of its photos.
        TuneError: a stored photo is missing or damaged.
    """
    from ..faces import find_faces, person_faces

    kept = store.found_faces(tune.id, pack.name)
    if kept is not None and kept[0] == pack.space and _is_judged(kept[1], len(tune.photos)):
        try:
            return _restored(tune, store, pack, kept[1])
        except TuneError as error:
            _log.warning("%s The face is found again in the photo.", error)
    opened = OneByOne(
        len(tune.photos), lambda index: open_photo(store.photo_bytes(tune, tune.photos[index]), index + 1)
    )
    found = find_faces(opened, pack, on_photo)
    held = [photo.face for photo in tune.photos]
    try:
        verdicts = judge(found, tune.photos, held)
        faces = person_faces(found, verdicts)
    except (NoFaceError, UnclearPersonError) as error:
        raise type(error)(f"Tune {tune.id} ({tune.title!r}): {error}") from error
    if not store.database.is_read_only:
        store.add_faces(tune, faces.pack, faces.space, *kept_parts(verdicts, found))
    return faces


def kept_face(tune: Tune, store: TuneStore) -> Face | None:
    """The face of the first photo that counts, as it was found when the tune was made; None where it is not there."""
    for number, photo in enumerate(tune.photos):
        if photo.face is not None and photo.face.counts is not False:
            try:
                return restore_face(number, photo.face, store.blobs.get(photo.face.sha256))
            except TuneError as error:
                _log.warning("%s", error)
    return None


def _is_judged(found: Sequence[TuneFace | None], photos: int) -> bool:
    """Whether there is a verdict on each of so many photos."""
    return len(found) == photos and all(face is None or face.counts is not None for face in found)


def _restored(tune: Tune, store: TuneStore, pack: FacePack, found: Sequence[TuneFace | None]) -> Faces:
    from ..faces import Faces
    from ..faces.face import LeftOut

    present = [(photo, face) for photo, face in enumerate(found) if face is not None]
    counting = [(photo, face) for photo, face in present if face.counts]
    return Faces(
        faces=tuple(
            replace(restore_face(photo, face, store.blobs.get(face.sha256)), weight=tune.photos[photo].weight)
            for photo, face in counting
        ),
        space=pack.space,
        pack=pack.name,
        provider=present[0][1].provider if present else "",
        skipped=tuple(photo for photo, face in enumerate(found) if face is None),
        left_out=tuple(LeftOut(photo, face.reason) for photo, face in present if not face.counts),
        remarks=tuple(f"image {photo + 1}: {face.reason}" for photo, face in counting if face.reason),
    )
