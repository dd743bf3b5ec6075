"""The photos of a tune as ComfyUI can take them: PNG files of one size.

ComfyUI's IMAGE is a batch, so all photos of one node have one size; its own nodes make them so by stretching and
cutting. And its LoadImage reads a JPEG a little differently from Pillow (up to 0.33: 1 of 255 on average, mirrored
EXIF orientations not at all, transparency not over white). So the photos are decoded here, as everywhere in this
package, and sent as the pixels themselves.

Photos that have one size already, above all a single one, are sent whole: ComfyUI sees exactly what we see. Of others
the surroundings of the face are sent, scaled (never stretched) to a common size. The face found there has a cosine of
0.94 to 0.99 with the one found in the whole photo (embedded pack, eight people; their mirror images have 0.90 to 0.97).
Borders that make all photos as large as the largest would be worse: in 1600x1200 0.04 to 0.95, another person's face in
a group, in 4000x3000 no face at all. In both cases no EXIF data (place, camera) leaves with the photos.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ...faces import read_photo
from ...tunes.tune import Tune, TunePhoto

if TYPE_CHECKING:
    from PIL import Image

    from ...tunes.store import TuneStore

LARGEST_WHOLE = 4096  # pixels a side; a larger photo is sent as its face alone, which keeps uploads under 20 MB
FACE_SIDE = 640  # pixels of a face's surroundings: the detectors' input, and a face of the 224 pixels CLIP looks at
_MARGIN = 0.75  # of the face's larger side, on each side


def sendable_photos(tune: Tune, store: TuneStore) -> Iterator[tuple[str, bytes]]:
    """(file name, PNG) of each photo that is used, in order; all PNGs have the same size.

    A photo of several people is sent as the tune's face alone, unless it is the only photo and the largest face.

    Raises:
        TuneError: a kept photo is missing; names tune and image.
    """
    from PIL import Image

    photos = tune.used_photos
    whole = len({(photo.width, photo.height) for photo in photos}) == 1 and _fits(photos[0])
    whole = whole and not any(_needs_cutting(photo, alone=len(photos) == 1) for photo in photos)
    for photo in photos:
        picture = Image.fromarray(read_photo(store.photo_bytes(tune, photo)))
        if whole:
            yield f"{photo.sha256}.png", _png(picture)
        else:
            yield f"{photo.sha256}-face.png", _png(_face(picture, photo))


def _needs_cutting(photo: TunePhoto, *, alone: bool) -> bool:
    """Whether another face of the photo could be taken for the person there."""
    return photo.face_at is not None or bool(photo.face and photo.face.others and not alone)


def _fits(photo: TunePhoto) -> bool:
    return max(photo.width, photo.height) <= LARGEST_WHOLE


def _face(picture: Image.Image, photo: TunePhoto) -> Image.Image:
    """A square around the face, or around the whole photo where our own pack found none; black beyond its edge."""
    from PIL import Image

    left, top, right, bottom = photo.face.box if photo.face else (0, 0, photo.width, photo.height)
    reach = max(right - left, bottom - top) * (0.5 + (_MARGIN if photo.face else 0.0))
    x, y = (left + right) / 2, (top + bottom) / 2
    square = (round(x - reach), round(y - reach), round(x + reach), round(y + reach))
    return picture.crop(square).resize((FACE_SIDE, FACE_SIDE), Image.Resampling.LANCZOS)


def _png(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG", compress_level=1)
    return file.getvalue()
