"""A tune as one file that another machine takes: a zip of photos, embeddings and ``manifest.json``.

Nothing in such a file is trusted. Files in it are found by the sha256 of their content, never by a path; sizes are
bounded before anything is read; a photo is opened as any other, and the faces are found again in it here.
"""

from __future__ import annotations

import json
import zipfile
from dataclasses import asdict, replace
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from ..damaged_zip import DAMAGED_ZIP
from .analysis import Analysis, OnPhoto, analyse_drafts, draft, sha256_of
from .errors import TuneError
from .face_file import restore_face
from .fields import check_name, check_title
from .orders import PhotoOrder, decided
from .same_photos import refuse_other_photos
from .store import TuneStore
from .tune import Tune, TunePhoto

if TYPE_CHECKING:
    from ..faces import FacePack

FORMAT, VERSION = "faceid-tune", 1
MAX_PHOTOS = 1000
MAX_MANIFEST = 4 * 2**20  # bytes; 1000 photos take 1 MB
MAX_FILE = 200 * 2**20  # bytes of one photo
MAX_TOTAL = 2 * 2**30  # bytes of all
_MANIFEST = "manifest.json"
_SAME_FACE = 0.98  # cosine: another onnxruntime gives 0.9999, another photo of the same person less than this


def export_tune(store: TuneStore, tune: Tune, file: IO[bytes]) -> None:
    """Write the tune into ``file``, open for binary writing; without its number, its remote id and its callback.

    Raises:
        TuneError: a stored file is missing or damaged; names tune and image.
    """
    manifest = {
        "format": FORMAT,
        "version": VERSION,
        "title": tune.title,
        "name": tune.name,
        "pack": tune.pack,
        "space": tune.space,
        "photos": [asdict(photo) for photo in tune.photos],
    }
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(_MANIFEST, json.dumps(manifest, ensure_ascii=False, indent=1))
        written: set[str] = set()
        for photo in tune.photos:
            parts = {photo.sha256: store.photo_bytes(tune, photo)}
            if photo.face is not None:
                parts[photo.face.sha256] = store.blobs.get(photo.face.sha256)
            for name in parts.keys() - written:
                archive.writestr(f"files/{name}", parts[name])
            written |= parts.keys()


def import_tune(
    store: TuneStore, file: IO[bytes], pack: FacePack, *, title: str | None = None, on_photo: OnPhoto | None = None
) -> Tune:
    """The tune in ``file``, as ``export_tune`` wrote it, stored here under a number of its own.

    Args:
        store: where it is stored.
        file: open for binary reading, seekable.
        pack: finds the faces in the photos; what the user decided about each photo holds.
        title: other than the one in the file.
        on_photo: called (done, total) after each photo.

    Raises:
        TuneError: it is no such file, is damaged, too large or of a newer version, its embeddings are not those of its
            photos, or a tune of other photos has the title.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            entries = _entries(archive)
            manifest = _manifest(archive, entries)
            decisions, photos, embeddings = _photos(archive, entries, manifest)
    except (*DAMAGED_ZIP, OSError) as error:
        raise _refused(str(error)) from error
    title, name = check_title(manifest.get("title") if title is None else title), check_name(manifest.get("name"))
    existing = store.find(title)
    if existing is not None:
        refuse_other_photos(store, existing, photos)
        return existing
    store.refuse_number_of_another(title)
    analysis = analyse_drafts(decisions, photos, pack, on_photo)
    if manifest.get("pack") == pack.name and manifest.get("space") == pack.space:
        _compare(analysis, embeddings)
    return store.create(analysis.tune(title, name), analysis.files)


def _entries(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    found = archive.infolist()
    if len(found) > 2 * MAX_PHOTOS + 1 or sum(entry.file_size for entry in found) > MAX_TOTAL:
        raise _refused("it is larger than a person's photos are")
    if any(entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1 for entry in found):
        raise _refused("parts of it are compressed or encrypted")
    return {entry.filename: entry for entry in found}


def _manifest(archive: zipfile.ZipFile, entries: dict[str, zipfile.ZipInfo]) -> dict[str, Any]:
    try:
        manifest = json.loads(_read(archive, entries, _MANIFEST, MAX_MANIFEST))
    except (ValueError, RecursionError) as error:
        raise _refused("its manifest cannot be read") from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise _refused("its manifest is that of something else")
    if manifest.get("version") != VERSION:
        raise TuneError(f"The file is of version {manifest.get('version')!r}, and this one reads {VERSION}. Update it.")
    return manifest


def _photos(
    archive: zipfile.ZipFile, entries: dict[str, zipfile.ZipInfo], manifest: dict[str, Any]
) -> tuple[list[TunePhoto], list[bytes], list[np.ndarray | None]]:
    """What was decided about each photo, the photos, and the embedding that came with each."""
    listed = manifest.get("photos")
    if not isinstance(listed, list) or not 1 <= len(listed) <= MAX_PHOTOS:
        raise _refused("it lists no photos, or too many")
    decisions, photos, embeddings = [], [], []
    for number, said in enumerate(listed, 1):
        if not isinstance(said, dict):
            raise _refused(f"what it says of photo {number} cannot be read")
        data = _blob(archive, entries, said.get("sha256"))
        decisions.append(_decision(draft(data, number), said, number))
        photos.append(data)
        face = said.get("face")
        embeddings.append(_embedding(archive, entries, face, number) if isinstance(face, dict) else None)
    return decisions, photos, embeddings


def _decision(photo: TunePhoto, said: dict[str, Any], number: int) -> TunePhoto:
    """The photo with what the file says was decided about it, within the limits of orders.py."""
    use, at, weight = said.get("use"), said.get("face_at"), said.get("weight", 1.0)
    try:
        place = None if at is None else (float(at[0]), float(at[1]))
        valid = (place is None or all(0 <= side <= 1 for side in place)) and 0.01 <= float(weight) <= 100
    except (TypeError, ValueError, IndexError, KeyError, OverflowError):
        valid = False
    if not valid or use not in (None, True, False):
        raise _refused(f"what it says of photo {number} cannot be read")
    order = PhotoOrder(use=use, at=place, weight=float(weight))
    return replace(decided(photo, order, None), is_added=said.get("is_added") is True)


def _embedding(
    archive: zipfile.ZipFile, entries: dict[str, zipfile.ZipInfo], face: dict[str, Any], number: int
) -> np.ndarray:
    from .tune import TuneFace

    data = _blob(archive, entries, face.get("sha256"))
    kept = restore_face(number - 1, TuneFace(sha256_of(data), (0, 0, 1, 1), (), 0.0, ""), data)
    if kept.embedding.shape != (512,) or not np.isfinite(kept.embedding).all():
        raise _refused(f"the embedding of photo {number} is none")
    return kept.unit_embedding


def _compare(analysis: Analysis, embeddings: list[np.ndarray | None]) -> None:
    """Raise TuneError when the embeddings that came along are of other faces than those in the photos."""
    files = {sha256_of(data): data for data in analysis.files}
    for number, (photo, given) in enumerate(zip(analysis.photos, embeddings, strict=True), 1):
        if photo.face is None or given is None:
            continue
        here = restore_face(number - 1, photo.face, files[photo.face.sha256]).unit_embedding
        if float(here @ given) < _SAME_FACE:
            raise _refused(f"the embedding of photo {number} is not of a face in it")


def _blob(archive: zipfile.ZipFile, entries: dict[str, zipfile.ZipInfo], name: object) -> bytes:
    data = _read(archive, entries, f"files/{name}", MAX_FILE)
    if sha256_of(data) != name:
        raise _refused(f"files/{name} is damaged")
    return data


def _read(archive: zipfile.ZipFile, entries: dict[str, zipfile.ZipInfo], name: str, limit: int) -> bytes:
    entry = entries.get(name)
    if entry is None or entry.file_size > limit:
        raise _refused(f"{name[:80]} is missing or too large")
    with archive.open(entry) as part:
        return part.read(limit + 1)


def _refused(reason: str) -> TuneError:
    return TuneError(f"This is not a whole tune as `faceid tunes export` writes it: {reason}. Export it again.")
