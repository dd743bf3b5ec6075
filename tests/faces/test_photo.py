"""What comes in as a photo, and what is refused at the door."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
import torch
from faceid_tunes.faceid_core.errors import PhotoError
from faceid_tunes.faceid_core.faces import extract_faces, photos_from_tensor, read_photo, tensor_from_photos
from PIL import Image
from support.photos import encoded, rgb


@pytest.fixture
def image(astronaut):
    """The astronaut as a ComfyUI IMAGE."""
    return torch.from_numpy(astronaut)[None].float() / 255.0


def test_a_photo_goes_through_a_tensor_and_back_unchanged(image, astronaut):
    np.testing.assert_array_equal(photos_from_tensor(image)[0], astronaut)
    assert torch.equal(tensor_from_photos([astronaut]), image)


def test_values_are_rounded_not_cut_off():
    almost = torch.full((1, 16, 16, 3), 0.999 / 255 + 99 / 255)
    assert (photos_from_tensor(almost)[0] == 100).all()


def test_slight_overshoot_is_clamped():
    bright, dark = torch.full((1, 16, 16, 3), 1.01), torch.full((1, 16, 16, 3), -0.01)
    assert (photos_from_tensor(bright)[0] == 255).all()
    assert (photos_from_tensor(dark)[0] == 0).all()


def test_half_precision_photos_are_accepted(image, astronaut):
    difference = photos_from_tensor(image.half())[0].astype(int) - astronaut
    assert abs(difference).max() <= 1


def test_the_input_tensor_is_left_alone(image):
    before = image.clone()
    photos_from_tensor(image)
    assert torch.equal(image, before)


def test_grey_photos_have_three_equal_channels(image, pack):
    photo = photos_from_tensor(image.mean(dim=3, keepdim=True))[0]
    assert photo.shape == (512, 512, 3)
    assert (photo[..., 0] == photo[..., 2]).all()
    assert len(extract_faces([photo], pack).faces) == 1


def test_transparency_becomes_white():
    rgba = torch.zeros(1, 16, 16, 4)
    rgba[:, 8:, :, 3] = 1.0
    photo = photos_from_tensor(rgba)[0]
    assert (photo[:8] == 255).all()
    assert (photo[8:] == 0).all()


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        (torch.zeros(0, 64, 64, 3), "batch of photos is empty"),
        (torch.zeros(64, 64, 3), r"shape \[batch, height, width, channels\], not \[64, 64, 3\]"),
        (torch.zeros(1, 64, 64, 2), "2 channels"),
        (torch.zeros(1, 1, 1, 3), "image 1 is 1x1 pixels, too small"),
        (torch.zeros(1, 40, 15, 3), "image 1 is 15x40 pixels, too small"),
        (torch.zeros(1, 16, 16, 3, dtype=torch.uint8), "floating point values from 0 to 1, not torch.uint8"),
        (torch.full((1, 16, 16, 3), 200.0), "image 1 holds values from 200 to 200"),
    ],
)
def test_tensors_that_are_no_photos_are_refused(tensor, message):
    with pytest.raises(PhotoError, match=message):
        photos_from_tensor(tensor)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_the_image_with_nan_or_infinity_is_named(value):
    batch = torch.zeros(3, 16, 16, 3)
    batch[2, 5, 5, 1] = value
    with pytest.raises(PhotoError, match="image 3 contains NaN or infinite values"):
        photos_from_tensor(batch)


@pytest.mark.slow
def test_8000_by_8000_pixels_are_accepted():
    assert photos_from_tensor(torch.zeros(1, 8000, 8000, 1))[0].shape == (8000, 8000, 3)


def test_more_than_120_megapixels_are_refused():
    with pytest.raises(PhotoError, match="image 1 is 12000x12000 pixels: scale it down"):
        photos_from_tensor(torch.zeros(1, 1, 1, 3).expand(1, 12000, 12000, 3))


def test_a_png_file_is_read_as_it_is(astronaut, tmp_path):
    file = tmp_path / "photo.png"
    file.write_bytes(encoded(astronaut, "PNG"))
    np.testing.assert_array_equal(read_photo(file), astronaut)
    np.testing.assert_array_equal(read_photo(str(file)), astronaut)
    np.testing.assert_array_equal(read_photo(file.read_bytes()), astronaut)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_exif_orientation_is_applied(orientation, astronaut, pack):
    turned = {
        1: astronaut,
        2: astronaut[:, ::-1],
        3: astronaut[::-1, ::-1],
        4: astronaut[::-1],
        5: astronaut.transpose(1, 0, 2),
        6: np.rot90(astronaut, 1),
        7: astronaut[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(astronaut, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    photo = read_photo(encoded(np.ascontiguousarray(turned), "PNG", exif=exif))
    np.testing.assert_array_equal(photo, astronaut)


def test_16_bit_greys_are_scaled_to_8(astronaut):
    grey = astronaut[..., 1]
    buffer = io.BytesIO()
    Image.fromarray(grey.astype(np.uint16) * 257).save(buffer, "PNG")
    np.testing.assert_array_equal(read_photo(buffer.getvalue()), rgb(grey))


@pytest.mark.parametrize(("kind", "mode"), [("PNG", "L"), ("PNG", "P"), ("JPEG", "CMYK"), ("GIF", "P"), ("PNG", "1")])
def test_other_colour_modes_become_rgb(kind, mode, astronaut):
    photo = read_photo(encoded(astronaut, kind, mode))
    assert photo.shape == astronaut.shape
    assert photo.dtype == np.uint8
    assert abs(photo.astype(int).mean() - astronaut.mean()) < 15


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparent_pictures_get_a_white_ground(mode):
    clear = Image.new(mode, (20, 20), tuple([10] * (len(mode) - 1) + [0]))
    buffer = io.BytesIO()
    clear.save(buffer, "PNG")
    assert (read_photo(buffer.getvalue()) == 255).all()


def test_a_transparent_palette_colour_becomes_white():
    picture = Image.new("P", (20, 20), 0)
    picture.putpalette([10, 10, 10, 200, 0, 0])
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", transparency=0)
    assert (read_photo(buffer.getvalue()) == 255).all()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "an empty file"),
        (b"<!DOCTYPE html><html><body>404</body></html>", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "a Git LFS pointer"),
        (b"hello, I am text", "not a picture"),
    ],
)
def test_files_that_are_no_pictures_are_named_for_what_they_are(data, message, tmp_path):
    file = tmp_path / "me.jpg"
    file.write_bytes(data)
    with pytest.raises(PhotoError, match=message) as error:
        read_photo(file)
    assert "me.jpg" in str(error.value)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_a_file_that_is_cut_short_is_refused(kind, astronaut):
    data = encoded(astronaut, kind)
    with pytest.raises(PhotoError, match="damaged or cut short"):
        read_photo(data[: len(data) // 2])


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(PhotoError, match=r"nobody\.png.*cannot be read"):
        read_photo(tmp_path / "nobody.png")


@pytest.mark.parametrize("side", [11000, 30000])
def test_a_decompression_bomb_is_refused_before_it_is_unpacked(side):
    data = bytearray(encoded(np.zeros((16, 16, 3), np.uint8), "PNG"))
    data[16:24] = struct.pack(">II", side, side)  # the header's width and height, then its checksum
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    with pytest.raises(PhotoError, match="megapixels"):
        read_photo(bytes(data))


def test_a_picture_of_one_pixel_is_refused():
    with pytest.raises(PhotoError, match="1x1 pixels, too small"):
        read_photo(encoded(np.zeros((1, 1, 3), np.uint8), "PNG"))
