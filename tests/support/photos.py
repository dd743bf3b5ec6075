"""Real photos that insightface and scikit-image ship, and altered copies of them."""

from __future__ import annotations

import io
from importlib.util import find_spec
from itertools import combinations
from pathlib import Path

import cv2
import numpy as np
import skimage.data
from faceid_tunes.faceid_core.faces import FacePack, extract_faces, find_faces, read_photo
from PIL import Image


def _data_of(package: str) -> Path:
    """Its folder of data; the package itself stays unloaded, for that takes long."""
    return Path(find_spec(package).origin).parent / "data"


INSIGHTFACE = _data_of("insightface") / "images"
SKIMAGE = _data_of("skimage")


def t1() -> np.ndarray:
    """Six people at a table, 1280x886."""
    return read_photo(INSIGHTFACE / "t1.jpg")


def single_faces() -> dict[str, np.ndarray]:
    """Photos of one person each: close, half-length, in profile, and 100 faces of 25 pixels (LFW)."""
    photos = {
        "Tom_Hanks": read_photo(INSIGHTFACE / "Tom_Hanks_54745.png"),
        "astronaut": skimage.data.astronaut(),
        "camera": rgb(skimage.data.camera()),
    }
    return photos | {f"lfw {number}": rgb(lfw) for number, lfw in enumerate(_lfw()[:100])}


def no_faces() -> dict[str, np.ndarray]:
    """A cat, things and textures: nothing in them is a face."""
    names = ("brick", "cell", "chelsea", "clock_motion", "coffee", "coins", "color", "grass", "gravel", "horse")
    names += ("hubble_deep_field", "ihc", "logo", "moon", "page", "phantom", "retina", "rocket", "text")
    return _shipped(names)


def look_alikes() -> dict[str, np.ndarray]:
    """A motorcycle whose headlamp YuNet takes for a face from every distance: a known limit, not a target."""
    return _shipped(("motorcycle_left", "motorcycle_right"))


def backgrounds() -> list[np.ndarray]:
    """100 patches of 25 pixels from the backgrounds of LFW photos (number 25 shows half a face, cut by its border)."""
    return [rgb(patch) for patch in _lfw()[100:]]


def people(pack: FacePack) -> dict[str, np.ndarray]:
    """Eight people, one photo each: the six of t1, cut out with room around the face, Tom Hanks, the astronaut."""
    photo = t1()
    found = find_faces([photo], pack).photos[0].faces
    cut = {f"t1 {number}": around(photo, face.box, 1.0) for number, face in enumerate(found)}
    singles = single_faces()
    return cut | {name: singles[name] for name in ("Tom_Hanks", "astronaut")}


def around(photo: np.ndarray, box: np.ndarray, margin: float) -> np.ndarray:
    """The box and ``margin`` of its width around it, as far as the photo goes."""
    room = margin * (box[2] - box[0])
    left, top = (max(0, int(side - room)) for side in box[:2])
    right, bottom = (int(side + room) for side in box[2:])
    return np.ascontiguousarray(photo[top:bottom, left:right])


def altered_copies(photo: np.ndarray) -> dict[str, np.ndarray]:
    """The ten alterations of docs/facts/faces.md 2.4."""
    height, width = photo.shape[:2]
    noise = np.random.default_rng(0).normal(0, 12, photo.shape)
    return {
        "flip": np.ascontiguousarray(photo[:, ::-1]),
        "dark": as_uint8(photo * 0.5),
        "bright": as_uint8(photo * 1.3),
        "jpeg 30": jpeg(photo, 30),
        "blur": cv2.GaussianBlur(photo, (0, 0), 1.5),
        "half size": cv2.resize(photo, (width // 2, height // 2), interpolation=cv2.INTER_AREA),
        "rotated -20": rotated(photo, -20),
        "rotated 15": rotated(photo, 15),
        "grey": rgb(cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)),
        "noise": as_uint8(photo + noise),
    }


def same_and_different_cosines(pack: FacePack) -> tuple[np.ndarray, np.ndarray]:
    """Cosines between each person and the altered copies of them, and between any two of the people."""
    photos = people(pack)
    units = {name: _unit(photo, pack) for name, photo in photos.items()}
    same = [
        units[name] @ _unit(copy, pack) for name, photo in photos.items() for copy in altered_copies(photo).values()
    ]
    different = [units[one] @ units[other] for one, other in combinations(units, 2)]
    return np.array(same), np.array(different)


def _unit(photo: np.ndarray, pack: FacePack) -> np.ndarray:
    return extract_faces([photo], pack).faces[0].unit_embedding


def rotated(photo: np.ndarray, degrees: float) -> np.ndarray:
    height, width = photo.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1.0)
    return cv2.warpAffine(photo, matrix, (width, height))


def turned(photo: np.ndarray, degrees: float) -> np.ndarray:
    """The whole photo turned counter-clockwise, on a canvas that holds all of it; black outside."""
    height, width = photo.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1.0)
    cos, sin = np.abs(matrix[0, :2])
    size = round(height * sin + width * cos), round(height * cos + width * sin)
    matrix[:, 2] += (np.array(size) - (width, height)) / 2
    return cv2.warpAffine(photo, matrix, size)


def jpeg(photo: np.ndarray, quality: int) -> np.ndarray:
    return read_photo(encoded(photo, "JPEG", quality=quality))


def encoded(photo: np.ndarray, kind: str, mode: str | None = None, **options) -> bytes:
    """The photo as the bytes of a picture file."""
    picture = Image.fromarray(photo)
    buffer = io.BytesIO()
    (picture.convert(mode) if mode else picture).save(buffer, kind, **options)
    return buffer.getvalue()


def rgb(grey: np.ndarray) -> np.ndarray:
    return np.repeat(grey[..., None], 3, axis=2)


def as_uint8(values: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def drawn_face() -> np.ndarray:
    """A face drawn with flat colours, detailed enough for a detector to believe it."""
    from PIL import ImageDraw

    picture = Image.new("RGB", (512, 512), (120, 160, 200))
    draw = ImageDraw.Draw(picture)
    draw.ellipse((96, 76, 416, 436), fill=(235, 190, 160), outline=(60, 30, 20), width=6)
    for x in (200, 312):
        draw.ellipse((x - 34, 190, x + 34, 230), fill="white", outline=(60, 30, 20), width=3)
        draw.ellipse((x - 16, 194, x + 16, 226), fill=(60, 30, 20))
        draw.arc((x - 40, 150, x + 40, 200), 200, 340, fill=(60, 30, 20), width=8)
    draw.line((256, 230, 246, 300, 268, 304), fill=(60, 30, 20), width=5)
    draw.chord((200, 320, 312, 376), 0, 180, fill=(200, 60, 60), outline=(60, 30, 20))
    return np.array(picture)


def _shipped(names: tuple[str, ...]) -> dict[str, np.ndarray]:
    found = {path.stem: path for path in SKIMAGE.iterdir()}
    return {name: read_photo(found[name]) for name in names}


def _lfw() -> np.ndarray:
    patches = skimage.data.lfw_subset()
    return patches if patches.dtype == np.uint8 else as_uint8(patches * 255.0)
