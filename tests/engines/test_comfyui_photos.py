"""Photos on their way to ComfyUI: of one size, and still the person they show. Real photos, no ComfyUI."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from faceid_tunes.faceid_core.engines.comfyui.photos import FACE_SIDE, sendable_photos
from faceid_tunes.faceid_core.faces import extract_faces, read_photo
from faceid_tunes.faceid_core.faces.packs import embedded_pack
from faceid_tunes.faceid_core.tunes.create import create_tune
from faceid_tunes.faceid_core.tunes.orders import parse_orders
from faceid_tunes.faceid_core.tunes.store import TuneStore, open_store
from PIL import Image
from support import photos

ASTRONAUT = skimage.data.astronaut()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[TuneStore]:
    with open_store(tmp_path) as opened:
        yield opened


def sent(store: TuneStore, *files: bytes, choices: str = "") -> tuple[list[str], list[np.ndarray]]:
    """Names and pixels of what leaves for ComfyUI."""
    tune = create_tune(store, files, "Anna", "woman", embedded_pack(), orders=parse_orders(choices))
    names, pngs = zip(*sendable_photos(tune, store), strict=True)
    assert {Image.open(io.BytesIO(png)).format for png in pngs} == {"PNG"}
    return list(names), [read_photo(png) for png in pngs]


def cosine(one: np.ndarray, other: np.ndarray) -> float:
    faces = (extract_faces([photo], embedded_pack()).faces[0] for photo in (one, other))
    first, second = (face.unit_embedding for face in faces)
    return float(first @ second)


@pytest.mark.slow
def test_a_single_photo_leaves_upright_and_pixel_by_pixel(store: TuneStore):
    turned = Image.Exif()
    turned[0x0112] = 6
    turned[0x010F] = "A camera"
    sideways = photos.encoded(np.rot90(ASTRONAUT), "JPEG", quality=95, exif=turned)
    (name,), (pixels,) = sent(store, sideways)
    np.testing.assert_array_equal(pixels, read_photo(sideways))
    assert name == f"{store.get_by_title('Anna').photos[0].sha256}.png"


@pytest.mark.slow
def test_nothing_but_pixels_leaves(store: TuneStore):
    camera = Image.Exif()
    camera[0x010F] = "A camera"
    photo = photos.encoded(ASTRONAUT, "JPEG", exif=camera)
    tune = create_tune(store, [photo], "Anna", "woman", embedded_pack())
    ((_, png),) = sendable_photos(tune, store)
    assert b"A camera" in photo
    assert b"A camera" not in png
    assert not Image.open(io.BytesIO(png)).info


@pytest.mark.slow
def test_photos_of_one_size_leave_whole(store: TuneStore):
    files = [photos.encoded(ASTRONAUT, "PNG"), photos.encoded(ASTRONAUT[:, ::-1], "PNG")]
    _, pixels = sent(store, *files)
    for photo, file in zip(pixels, files, strict=True):
        np.testing.assert_array_equal(photo, read_photo(file))


@pytest.mark.slow
def test_of_photos_of_different_sizes_the_faces_leave_in_one_size(store: TuneStore):
    group = (photos.INSIGHTFACE / "t1.jpg").read_bytes()
    small = photos.encoded(ASTRONAUT[:200, 120:330], "PNG")
    files = [photos.encoded(ASTRONAUT, "PNG"), small, group]
    names, pixels = sent(store, *files, choices="1 use; 2 use; 3 face 2")  # the largest of six people
    assert all(name.endswith("-face.png") for name in names)
    for photo, file in zip(pixels, files, strict=True):
        assert photo.shape == (FACE_SIDE, FACE_SIDE, 3)
        assert cosine(photo, read_photo(file)) > 0.9


@pytest.mark.slow
def test_a_photo_of_somebody_else_does_not_leave(store: TuneStore):
    hers = [photos.encoded(ASTRONAUT, "PNG"), photos.encoded(ASTRONAUT[:, ::-1], "PNG")]
    stranger = photos.encoded(photos.single_faces()["Tom_Hanks"], "PNG")
    names, _ = sent(store, hers[0], stranger, hers[1])
    kept = store.get_by_title("Anna").photos
    assert [name[:64] for name in names] == [kept[0].sha256, kept[2].sha256]


@pytest.mark.slow
def test_a_photo_without_a_face_comes_along_unstretched(store: TuneStore):
    coffee = skimage.data.coffee()  # 600x400
    _, (_, pixels) = sent(store, photos.encoded(ASTRONAUT, "PNG"), photos.encoded(coffee, "PNG"))
    top = round((FACE_SIDE - FACE_SIDE * 400 / 600) / 2)
    assert not pixels[: top - 6].any()
    assert not pixels[FACE_SIDE - top + 6 :].any()
    middle = np.asarray(Image.fromarray(coffee).resize((FACE_SIDE, FACE_SIDE - 2 * top)), int)
    assert np.abs(pixels[top : FACE_SIDE - top] - middle).mean() < 3


@pytest.mark.slow
def test_of_a_huge_photo_only_the_face_leaves(store: TuneStore):
    huge = np.asarray(Image.fromarray(ASTRONAUT).resize((4104, 4104), Image.Resampling.NEAREST))
    _, (pixels,) = sent(store, photos.encoded(huge, "JPEG"))
    assert pixels.shape == (FACE_SIDE, FACE_SIDE, 3)
    assert cosine(pixels, ASTRONAUT) > 0.9
