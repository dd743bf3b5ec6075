"""From photos to a tune, and from a tune to the faces that an adapter takes."""

from __future__ import annotations

import hashlib
import io
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import NoFaceError, PhotoError
from .errors import TuneError
from .face_file import face_bytes, restore_face, tune_face
from .fields import check_name, check_title, checked
from .same_photos import refuse_other_photos
from .store import TuneStore
from .tune import Tune, TuneFace, TunePhoto

if TYPE_CHECKING:
    import numpy as np

    from ..faces import FacePack, Faces

_log = logging.getLogger(__name__)
_IMAGES = "tune[images][]"


@dataclass(frozen=True)
class Analysis:
    """Photos and what a face pack found in them, ready to be kept; ``files`` holds every blob the photos name."""

    photos: tuple[TunePhoto, ...]
    files: tuple[bytes, ...]
    pack: str
    space: str

    def tune(self, title: str, name: str, **fields: Any) -> Tune:
        """The tune of these photos, not stored yet."""
        return Tune(title, name, pack=self.pack, space=self.space, photos=self.photos, **fields)


def create_tune(
    store: TuneStore,
    photos: Sequence[bytes],
    title: str,
    name: str,
    pack: FacePack,
    *,
    is_api: bool = False,
    token: str | None = None,
    base_tune_id: int | None = None,
    branch: str | None = "sd15",
    steps: int | None = None,
    face_crop: bool | None = None,
    training_face_correct: bool | None = None,
    callback: str | None = None,
    on_photo: Callable[[int, int], None] | None = None,
) -> Tune:
    """Find the faces in the photos (image files as bytes) and store both under a title; ready at once.

    The same title and the same photos return the tune there is, and repair its files. A photo without a face is
    stored and listed by ``photos_without_face``; at least one needs a face. ``steps`` and ``training_face_correct`` are
    stored and have no effect, as in the API. Raises TuneError, which names the field or the image, also when a tune
    made from other photos has the title.
    """
    title, name = check_title(title), check_name(name)
    fields = checked(
        {
            "is_api": is_api,
            "token": token,
            "base_tune_id": base_tune_id,
            "branch": branch,
            "steps": steps,
            "face_crop": face_crop,
            "training_face_correct": training_face_correct,
            "callback": callback,
        }
    )
    tune = store.find(title)
    if tune is None:
        analysis = analyse(photos, pack, on_photo)
        tune = store.create(analysis.tune(title, name, **fields), analysis.files)
    if photos:
        refuse_other_photos(store, tune, photos)
    return tune


def analyse(photos: Sequence[bytes], pack: FacePack, on_photo: Callable[[int, int], None] | None = None) -> Analysis:
    """Find the largest face of each photo (image files as bytes). Raises TuneError when none has one."""
    from ..faces import extract_faces

    if not photos:
        raise TuneError("The tune has no photo: give at least one that shows the face.", _IMAGES)
    opened = [_open(data, number) for number, data in enumerate(photos, 1)]
    try:
        faces = extract_faces(opened, pack, on_missing="skip", on_photo=on_photo)
    except NoFaceError as error:
        raise TuneError(str(error), _IMAGES) from error
    found, files = _kept_parts(faces, len(photos))
    kept = tuple(
        TunePhoto(_sha256(data), _media_type(data), pixels.shape[1], pixels.shape[0], face)
        for data, pixels, face in zip(photos, opened, found, strict=True)
    )
    return Analysis(kept, (*map(bytes, photos), *files), faces.pack, faces.space)


def faces_of(tune: Tune, store: TuneStore, pack: FacePack, on_photo: Callable[[int, int], None] | None = None) -> Faces:
    """The tune's faces for a face pack: the stored ones, or found in the stored photos and then stored as well.

    Raises NoFaceError when this pack finds no face in them, TuneError when a stored photo is missing or damaged.
    """
    from ..faces import extract_faces

    kept = store.found_faces(tune.id, pack.name)
    if kept is not None and kept[0] == pack.space:
        try:
            return _restored(store, pack, kept[1])
        except TuneError as error:
            _log.warning("%s The face is found again in the photo.", error)
    opened = [_open(store.photo_bytes(tune, photo), number) for number, photo in enumerate(tune.photos, 1)]
    try:
        faces = extract_faces(opened, pack, on_missing="skip", on_photo=on_photo)
    except NoFaceError as error:
        raise NoFaceError(f"Tune {tune.id} ({tune.title!r}): {error}") from error
    store.add_faces(tune, faces.pack, faces.space, *_kept_parts(faces, len(opened)))
    return faces


def _restored(store: TuneStore, pack: FacePack, found: Sequence[TuneFace | None]) -> Faces:
    from ..faces import Faces

    return Faces(
        faces=tuple(
            restore_face(photo, face, store.blobs.get(face.sha256)) for photo, face in enumerate(found) if face
        ),
        space=pack.space,
        pack=pack.name,
        provider=next(face.provider for face in found if face),
        skipped=tuple(photo for photo, face in enumerate(found) if face is None),
    )


def _open(data: bytes, number: int) -> np.ndarray:
    from ..faces import read_photo

    try:
        return read_photo(data)
    except PhotoError as error:
        raise TuneError(f"Image {number}: {error}", _IMAGES) from error


def _kept_parts(faces: Faces, count: int) -> tuple[list[TuneFace | None], list[bytes]]:
    """What the database stores for each of ``count`` photos, and the blobs."""
    found: list[TuneFace | None] = [None] * count
    files = []
    for face in faces.faces:
        files.append(face_bytes(face))
        found[face.photo] = tune_face(face, _sha256(files[-1]), faces.provider)
    return found, files


def _media_type(data: bytes) -> str:
    from PIL import Image

    with Image.open(io.BytesIO(data)) as picture:
        return picture.get_format_mimetype() or "application/octet-stream"


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
