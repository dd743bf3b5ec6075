"""From photos to ``Faces``: detect, align, embed, choose; each photo is analysed once."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..cache import LRUCache
from ..errors import FaceIDError, NoFaceError, PhotoError
from .agreement import with_agreement
from .choose import choose, left_to_right
from .detection import USUAL, Detection, DetectorSettings
from .face import Face, Faces
from .find import find_in_photo
from .models import load_models
from .packs import FacePack, file_identity
from .trust import is_junk

log = logging.getLogger(__name__)

ON_MISSING: tuple[str, ...] = ("error", "skip")
OnPhoto = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class PhotoFaces:
    """Everything found in one photo.

    photo: 0-based index in the batch; size: (width, height); faces: from left to right; refused: faces that cannot be
    used, each with its problem; provider: what onnxruntime ran on.
    """

    photo: int
    size: tuple[int, int]
    faces: tuple[Face, ...]
    refused: tuple[Detection, ...]
    provider: str


@dataclass(frozen=True, eq=False)
class FoundFaces:
    """Everything found in a batch of photos with one pack."""

    photos: tuple[PhotoFaces, ...]
    pack: FacePack


def _bytes_kept(found: PhotoFaces) -> int:
    return 1024 + sum(face.crop.nbytes + face.embedding.nbytes for face in found.faces)


# All faces of a photo are kept, so that another `pick` needs no new detection: about 850 faces, 0.15 MB each, which is
# what a ComfyUI grows by where every photo is another (benchmarks/memory.py).
_found: LRUCache[PhotoFaces] = LRUCache(limit=128 * 2**20, cost=_bytes_kept)


def extract_faces(
    photos: Sequence[np.ndarray],
    pack: FacePack,
    pick: str = "largest",
    index: int = 0,
    on_missing: str = "error",
    on_photo: OnPhoto | None = None,
) -> Faces:
    """One face of each photo.

    Args:
        photos: [H, W, 3] uint8 RGB arrays.
        pack: finds the faces.
        pick, index: see ``choose.choose``.
        on_missing: "error" raises when a photo has no face, "skip" leaves such photos out and lists them in
            ``Faces.skipped``.
        on_photo: called (done, total) after each photo; an exception from it (an interrupt) ends the work, and finished
            photos stay cached.

    Raises:
        NoFaceError: names the images (counted from 1).
        PhotoError: a photo is not such an array.
        FacePackError: a file of the pack cannot be used.
        MissingDependencyError: onnxruntime is not installed.
    """
    return choose_faces(find_faces(photos, pack, on_photo), pick, index, on_missing)


def find_faces(
    photos: Sequence[np.ndarray],
    pack: FacePack,
    on_photo: OnPhoto | None = None,
    settings: DetectorSettings = USUAL,
) -> FoundFaces:
    """All faces of each photo. Cached by the photo's content, the pack's files and the detector's settings."""
    if not photos:
        raise PhotoError("There is no photo: give at least one.")
    found = []
    for number, photo in enumerate(photos):
        found.append(_renumbered(_find_in_photo(photo, pack, settings), number))
        if on_photo is not None:
            on_photo(number + 1, len(photos))
    return FoundFaces(tuple(found), pack)


def choose_faces(found: FoundFaces, pick: str = "largest", index: int = 0, on_missing: str = "error") -> Faces:
    """One face of each photo, from what ``find_faces`` returned; arguments and errors as in ``extract_faces``."""
    if on_missing not in ON_MISSING:
        raise FaceIDError(f'on_missing: "{on_missing}" is not one of {", ".join(ON_MISSING)}.')
    chosen = {photo.photo: choose(photo.faces, photo.size, pick, index) for photo in found.photos if photo.faces}
    present = {photo: face for photo, face in chosen.items() if not is_junk(face, found.pack.space)}
    missing = [photo for photo in found.photos if photo.photo not in present]
    if missing and (on_missing == "error" or not present):
        raise NoFaceError(_no_face(missing, len(found.photos), on_missing))
    return Faces(
        faces=tuple(with_agreement(face, found.pack) for face in present.values()),
        space=found.pack.space,
        pack=found.pack.name,
        provider=next(photo.provider for photo in found.photos if photo.photo in present),
        skipped=tuple(photo.photo for photo in missing),
    )


def _find_in_photo(photo: np.ndarray, pack: FacePack, settings: DetectorSettings) -> PhotoFaces:
    key = (_content_hash(photo), file_identity(pack.detector), file_identity(pack.recogniser), settings)
    return _found.get_or_make(key, lambda: _look_for_faces(photo, pack, settings))


def _look_for_faces(photo: np.ndarray, pack: FacePack, settings: DetectorSettings) -> PhotoFaces:
    models = load_models(pack)
    faces, refused = find_in_photo(photo, models, pack.space, settings)
    size = (photo.shape[1], photo.shape[0])
    return PhotoFaces(0, size, left_to_right(faces), refused, models.provider)


def _renumbered(found: PhotoFaces, photo: int) -> PhotoFaces:
    if photo == found.photo:
        return found
    return replace(found, photo=photo, faces=tuple(replace(face, photo=photo) for face in found.faces))


def _content_hash(photo: np.ndarray) -> str:
    digest = hashlib.sha256(repr((photo.shape, photo.dtype)).encode())
    digest.update(np.ascontiguousarray(photo).data)
    return digest.hexdigest()


def _no_face(missing: Sequence[PhotoFaces], total: int, on_missing: str) -> str:
    reasons = "; ".join(f"image {found.photo + 1} ({_why(found)})" for found in missing)
    advice = (
        "Use an upright photo in which one whole face, eyes to chin, is clearly visible; a recogniser does not "
        "know drawn faces or animals."
    )
    if on_missing == "error" and len(missing) < total:
        advice += ' Or set on_missing to "skip" to continue with the other photos.'
    return f"No face to use in {reasons}. {advice}"


def _why(found: PhotoFaces) -> str:
    width, height = found.size
    if found.faces:
        return f"{width}x{height}, the face in it is too unclear to tell whose it is: dark, blurred, noisy or altered"
    if found.refused:
        return f"{width}x{height}, the face in it is {found.refused[0].problem}"
    return f"{width}x{height}, nothing in it looks like a face"
