"""The Tune value: the fields of the API's tune object, plus what only this program knows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class TuneFace:
    """The face chosen in a photo. The embedding and the crop are in the blob ``sha256``."""

    sha256: str
    box: tuple[float, float, float, float]  # x1, y1, x2, y2 in pixels of the upright photo
    landmarks: tuple[tuple[float, float], ...]  # 5 points (x, y): eyes, nose, mouth corners
    score: float  # the detector's probability, 0 to 1
    provider: str  # what onnxruntime ran on, e.g. "CPUExecutionProvider"
    counts: bool | None = None  # whether the face is used; None: of before 0.2, not judged yet
    reason: str = ""  # why it is not used, or what a person should know of it
    others: int = 0  # how many other faces the photo has


@dataclass(frozen=True)
class TunePhoto:
    """A photo as it was uploaded; width and height are in pixels, upright (EXIF orientation applied).

    The last block is what the user decided about it.
    """

    sha256: str
    media_type: str  # image/jpeg, image/png, ...
    width: int
    height: int
    face: TuneFace | None = None  # found by the tune's own pack; None: no face in this photo

    use: bool | None = None  # None: the rule of faces/person.py decides
    face_at: tuple[float, float] | None = None  # centre of the face that is meant, 0 to 1 of width and height
    weight: float = 1.0  # in the person's mean, above 0
    is_added: bool = False  # after the tune was made


@dataclass(frozen=True)
class Tune:
    """An identity. Times are timezone-aware UTC. ``id`` is 0 until the store has stored it.

    The first block is the API's tune object (reference: the API's ``GET /tunes/:id``), name by name. ``url`` and
    ``orig_images`` are addresses: the service that serves them fills them in, the store keeps ``photos``.
    """

    title: str
    name: str
    id: int = 0
    is_api: bool = False
    token: str | None = None
    base_tune_id: int | None = None
    branch: str | None = "sd15"
    model_type: str | None = "faceid"
    args: str | None = None
    steps: int | None = None
    face_crop: bool | None = None
    training_face_correct: bool | None = None
    ckpt_url: str | None = None
    ckpt_urls: tuple[str, ...] = ()
    eta: datetime | None = None
    callback: str | None = None
    trained_at: datetime | None = None
    started_training_at: datetime | None = None
    expires_at: datetime | None = None  # None: never
    created_at: datetime | None = None
    updated_at: datetime | None = None
    cost_mc: int | None = None
    url: str | None = None
    orig_images: tuple[str, ...] = ()

    pack: str | None = None  # the face pack that found ``photos[i].face``
    space: str | None = None  # the embedding space of that pack
    remote_id: int | None = None  # the id this tune has on the remote API ...
    remote_url: str | None = None  # ... at this base URL
    photos: tuple[TunePhoto, ...] = ()

    @property
    def photos_without_face(self) -> tuple[int, ...]:
        """Image numbers, counted from 1, of the photos in which no face was found."""
        return tuple(number for number, photo in enumerate(self.photos, 1) if photo.face is None)

    @property
    def notes(self) -> tuple[str, ...]:
        """What to know before this is taken for the person: photos without a face, ``remarks``."""
        faceless = (
            [f"no face in image {', '.join(map(str, self.photos_without_face))}"] if self.photos_without_face else []
        )
        return (*faceless, *(f"image {number}: {remark}" for number, remark in self.remarks))

    @property
    def used_photos(self) -> tuple[TunePhoto, ...]:
        """The photos to hand on where faces are found anew: all but those left out."""
        return tuple(photo for photo in self.photos if photo.face is None or photo.face.counts is not False)

    @property
    def remarks(self) -> tuple[tuple[int, str], ...]:
        """(image number from 1, sentence) of each photo that does not count, or that a person should know more of."""
        faces = ((number, photo.face) for number, photo in enumerate(self.photos, 1))
        return tuple(
            (number, face.reason if face.counts else f"left out, {face.reason}")
            for number, face in faces
            if face is not None and face.reason
        )
