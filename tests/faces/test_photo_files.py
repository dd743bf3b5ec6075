"""Files of every kind as photos: what the host reads is read, what is damaged is refused by name."""

from __future__ import annotations

import contextlib
import io
import os
import struct
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from faceid_tunes.cli.home import photo_bytes
from faceid_tunes.faceid_core.errors import PhotoError
from faceid_tunes.faceid_core.faces import photo, read_photo
from PIL import Image
from support.photo_files import damaged, photo_file, photo_files, reads_heif
from support.photos import encoded, rgb, single_faces

FILES = photo_files(cv2.resize(single_faces()["astronaut"], (96, 80)))
NOT_PHOTOS = {"EPS RGB", "ICNS RGB", "IM RGB", "PDF RGB"}


@pytest.mark.parametrize("name", sorted(set(FILES) - NOT_PHOTOS))
def test_a_photo_of_every_common_kind_is_read(name):
    assert sorted(read_photo(FILES[name]).shape)[1] >= 50  # an ICO is scaled down to 64


@pytest.mark.parametrize("name", sorted(NOT_PHOTOS))
def test_a_file_that_starts_programs_or_is_no_photo_is_refused(name, tmp_path):
    file = tmp_path / "photo.jpg"
    file.write_bytes(FILES[name])
    with pytest.raises(PhotoError, match="give a JPEG, PNG or WebP photo"):
        read_photo(file)


@pytest.mark.parametrize("name", sorted(FILES))
def test_damaged_files_are_pictures_or_photo_errors(name):
    for seed in range(25):
        try:
            assert read_photo(damaged(FILES[name], seed)).dtype == np.uint8
        except PhotoError:
            pass


@pytest.mark.parametrize("missing", [1, 2])
def test_a_jpeg_without_its_last_two_bytes_is_read_as_the_whole_one(missing, astronaut):
    data = encoded(astronaut, "JPEG")
    np.testing.assert_array_equal(read_photo(data[:-missing]), read_photo(data))


@pytest.mark.parametrize("part", [0.5, 0.9, 0.99])
def test_a_jpeg_that_lacks_more_is_refused(part, astronaut):
    data = encoded(astronaut, "JPEG")
    with pytest.raises(PhotoError, match="damaged or cut short"):
        read_photo(data[: int(part * len(data))])


@pytest.mark.parametrize("bits", [10, 12, 14, 16])
def test_fewer_bits_in_16_are_not_darker(bits, astronaut):
    grey = astronaut[..., 1]
    buffer = io.BytesIO()
    Image.fromarray(np.rint(grey * ((2**bits - 1) / 255)).astype(np.uint16)).save(buffer, "TIFF")
    np.testing.assert_array_equal(read_photo(buffer.getvalue()), rgb(grey))


@pytest.mark.parametrize("white", [255, 4095, 65535, 2**24 - 1, 2**31 - 1])
def test_32_bit_tiffs_are_read(white, astronaut):
    grey = astronaut[..., 1]
    kind = np.int32 if white > 65535 else np.float32
    buffer = io.BytesIO()
    Image.fromarray(np.rint(grey.astype(np.float64) * (white / 255)).astype(kind)).save(buffer, "TIFF")
    read = read_photo(buffer.getvalue())
    assert np.corrcoef(read[..., 0].ravel(), grey.ravel())[0, 1] > 0.99
    assert read.max() >= 127
    np.testing.assert_array_equal(read, rgb(grey))


@pytest.mark.slow
@pytest.mark.skipif(not reads_heif(), reason="pillow-heif is not installed (the extra heif)")
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_a_heic_photo_is_read_the_right_way_up(mode, astronaut):
    data = photo_file(np.ascontiguousarray(np.rot90(astronaut)), "HEIF", mode)  # its EXIF data turns it back
    assert data[4:12] == b"ftypheic"
    read = read_photo(data)
    assert read.shape == astronaut.shape
    assert abs(read.astype(int) - astronaut).mean() < 8


@pytest.mark.skipif(not reads_heif(), reason="pillow-heif is not installed (the extra heif)")
def test_a_heic_photo_that_is_cut_short_is_refused_in_one_line():
    with pytest.raises(PhotoError, match="damaged or cut short") as error:
        read_photo(FILES["HEIF RGB"][:-2])
    assert "\n" not in str(error.value)


def test_heic_names_the_package_that_reads_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)  # an import of it fails
    monkeypatch.delitem(Image.OPEN, "HEIF", raising=False)
    heic = struct.pack(">I", 24) + b"ftypheic" + bytes(4) + b"mif1heic" + bytes(400)
    with pytest.raises(PhotoError, match=r"a HEIC photo, which needs the package pillow-heif"):
        read_photo(heic)


def test_odd_exif_data_costs_nothing_but_the_orientation(astronaut):
    exif = Image.Exif()
    exif[0x0112] = 1
    data = bytearray(encoded(astronaut, "JPEG", exif=exif))
    start = data.index(b"Exif\0\0") + 6
    data[start + 4 : start + 8] = b"\xff\xff\xff\xff"
    assert read_photo(bytes(data)).shape == astronaut.shape


@pytest.mark.parametrize(
    "exif",
    [
        "4d4d002a00000008 0002 0100 0002 00000002 78000000 0112 0003 00000001 0006 0000 00000000",  # struct.error
        "4d4d002a00000008 0002 011e 0002 00000002 78000000 0112 0003 00000001 0006 0000 0000ff00",  # TypeError
    ],
)
def test_exif_data_that_pillow_stumbles_over_costs_nothing_but_the_orientation(exif, astronaut):
    data = encoded(astronaut, "JPEG", exif=b"Exif\0\0" + bytes.fromhex(exif), quality=95)
    np.testing.assert_array_equal(read_photo(data), read_photo(encoded(astronaut, "JPEG", quality=95)))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no FIFOs here")
def test_a_fifo_and_a_device_are_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "photo.jpg")
    for path in (tmp_path / "photo.jpg", "/dev/zero"):
        with pytest.raises(PhotoError, match="is not a file"):
            read_photo(path)


def test_the_command_line_reads_a_photo_by_the_same_rules(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    with (tmp_path / "large.jpg").open("wb") as file:
        file.truncate(20 * 10**9)
    for name, said in (("pipe.jpg", "is not a file"), ("large.jpg", "has 20.0 GB")):
        for read in (read_photo, photo_bytes):
            with pytest.raises(PhotoError, match=said):
                read(tmp_path / name)
    with pytest.raises(PhotoError, match="null byte"):
        read_photo(tmp_path / "a\0b")


def test_a_file_of_20_gb_is_refused_before_it_is_read(tmp_path):
    file = tmp_path / "photo.jpg"
    with file.open("wb") as stream:
        stream.truncate(20_000_000_000)
    with pytest.raises(PhotoError, match=r"has 20\.0 GB"):
        read_photo(file)


def test_no_format_that_runs_a_program_is_opened():
    assert not {"EPS", "PDF", "WMF"} & set(photo.FORMATS)


@pytest.mark.slow
@pytest.mark.parametrize(("mode", "kind"), [("uint16", "PNG"), ("float32", "TIFF")])
def test_a_photo_of_100_megapixels_and_more_than_8_bits_takes_under_1500_mb(mode, kind, tmp_path):
    if not Path("/proc/self/status").exists():
        pytest.skip("The peak of a process is read from /proc, which this system does not have.")
    options = {"compression": "tiff_adobe_deflate"} if kind == "TIFF" else {}
    Image.fromarray(np.zeros((10_000, 10_000), mode)).save(tmp_path / "photo", kind, **options)
    code = (
        "import sys; from faceid_tunes.faceid_core.faces import read_photo; read_photo(sys.argv[1]);"
        # Not ru_maxrss: a process starts with that of the one that forked it.
        "print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))"
    )
    peak = subprocess.run([sys.executable, "-c", code, str(tmp_path / "photo")], capture_output=True, text=True)
    assert int(peak.stdout) < 1_500_000, peak.stderr


@pytest.mark.skipif(os.name != "posix", reason="a program in a script")
@pytest.mark.parametrize("name", ["photo.jpg", "photo.eps"])
def test_an_eps_of_any_name_starts_no_ghostscript(name, tmp_path, monkeypatch):
    started, programs = tmp_path / "started", tmp_path / "bin"
    programs.mkdir()
    (programs / "gs").write_text(f"#!/bin/sh\ntouch '{started}'\n")
    (programs / "gs").chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=os.pathsep)
    monkeypatch.setattr("PIL.EpsImagePlugin.gs_binary", None)  # Pillow looks for it once
    (tmp_path / name).write_bytes(FILES["EPS RGB"])
    with pytest.raises(PhotoError, match="give a JPEG, PNG or WebP photo"):
        read_photo(tmp_path / name)
    assert not started.exists()
    with contextlib.suppress(Exception):  # the script draws nothing
        Image.open(tmp_path / name).load()
    assert started.exists()  # so a Pillow that is asked without our list does start it


def test_a_photo_is_read_whatever_any_byte_of_its_exif_says(astronaut):
    exif = Image.Exif()
    exif[0x0112], exif[0x010F], exif[0x8769] = 6, "A camera", {0x9000: b"0230"}
    data = encoded(cv2.resize(astronaut, (64, 64)), "JPEG", exif=exif)
    start = data.index(b"Exif\0\0") + 6
    length = int.from_bytes(data[start - 8 : start - 6], "big") - 8
    for place in range(start, start + length - 3):
        for value in (b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x80"):
            spoiled = bytearray(data)
            spoiled[place : place + len(value)] = value
            assert read_photo(bytes(spoiled)).shape == (64, 64, 3)


@pytest.mark.parametrize("error", [struct.error("unpack"), IndexError(), OverflowError(), RecursionError()], ids=repr)
def test_a_photo_is_read_whatever_a_pillow_raises_about_its_exif(astronaut, monkeypatch, error):
    def raises(_picture: Image.Image) -> Image.Image:
        raise error

    monkeypatch.setattr("PIL.ImageOps.exif_transpose", raises)
    np.testing.assert_array_equal(read_photo(encoded(astronaut, "PNG")), astronaut)
