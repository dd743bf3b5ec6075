"""Photos."""

from __future__ import annotations

import io
import os
import random
import struct
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from .trick import Area, Place, Tricks, written

_PROGRAMS = {
    "EPS": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(x) run\n",
    "PDF": b"%PDF-1.4\n1 0 obj<</OpenAction 2 0 R>>endobj\n",
    "SVG": b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>',
    "XML with entities": b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;">]><x>&b;</x>',
    "HTML": b"<html><script>alert(1)</script>",
    "an ELF program": b"\x7fELF\x02\x01\x01" + bytes(57),
    "a shell script": b"#!/bin/sh\ntouch code-ran\n",
    "an archive": b"PK\x03\x04" + bytes(100),
    "a pickle": b"\x80\x02cos\nsystem\n(S'touch x'\ntR.",
    "MIFF": b"id=ImageMagick\nclass=DirectClass\n",
    "an MVG script": b"push graphic-context\nimage over 0,0 0,0 'https://127.0.0.1/x'\npop graphic-context",
    "WMF": b"\xd7\xcd\xc6\x9a" + bytes(40),
    "MPEG": b"\x00\x00\x01\xb3" + bytes(40),
    "FITS": b"SIMPLE  =                    T" + b" " * 2850,
    "nothing": b"",
    "one byte": b"\x89",
    "zeros": bytes(10_000),
}


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _png(width: int, height: int, depth: int, colour: int, rows: bytes, *extra: bytes) -> bytes:
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(extra) + _chunk(b"IDAT", zlib.compress(rows)) + _chunk(b"IEND", b"")


def _pictures() -> dict[str, Callable[[], bytes]]:
    """Name -> the file, made when it is its turn: some are large."""
    from PIL import Image

    def saved(kind: str, mode: str = "RGB", size: tuple[int, int] = (64, 64), **options: object) -> bytes:
        file = io.BytesIO()
        Image.new(mode, size).save(file, kind, **options)
        return file.getvalue()

    def exif(tag: int, kind: int, value: int, count: int = 1) -> bytes:
        """A JPEG with an EXIF block written byte by byte: one field."""
        field = struct.pack("<HHIi", tag, kind, count, value)
        block = b"Exif\0\0II*\0\x08\0\0\0\x01\0" + field + bytes(4)
        return b"\xff\xd8\xff\xe1" + struct.pack(">H", len(block) + 2) + block + saved("JPEG")[2:]

    found: dict[str, Callable[[], bytes]] = {
        "a PNG of 16 bits, 100 MP": lambda: _png(10_000, 10_000, 16, 2, bytes(60_001 * 10_000)),
        "a PNG of 30,000 x 30,000": lambda: _png(30_000, 30_000, 1, 0, b""),
        "a PNG of 2^31 - 1 pixels": lambda: _png(2**31 - 1, 1, 8, 2, b""),
        "a PNG of no size": lambda: _png(0, 0, 8, 2, b""),
        "a PNG with a bomb of text": lambda: _png(
            8, 8, 8, 2, bytes(25 * 8), _chunk(b"zTXt", b"x\0\0" + zlib.compress(bytes(200 * 2**20)))
        ),
        "a PNG with a bomb of a profile": lambda: _png(
            8, 8, 8, 2, bytes(25 * 8), _chunk(b"iCCP", b"x\0\0" + zlib.compress(bytes(100 * 2**20)))
        ),
        "a PNG of 200,000 chunks": lambda: _png(8, 8, 8, 2, bytes(200), *[_chunk(b"tEXt", b"a\0b")] * 200_000),
        "a TIFF of floats, 110 MP": lambda: saved("TIFF", "F", (11_000, 10_000), compression="tiff_deflate"),
        "a TIFF of integers, 100 MP": lambda: saved("TIFF", "I", (10_000, 10_000), compression="tiff_deflate"),
        "a TIFF that is its own next page": lambda: b"II*\0\x08\0\0\0\0\0\x08\0\0\0",
        "a TIFF whose directory is beyond": lambda: b"II*\0\xff\xff\xff\x7f",
        "a GIF of 3,000 frames": lambda: saved(
            "GIF", "P", save_all=True, append_images=[Image.new("P", (64, 64), n % 255) for n in range(3000)]
        ),
        "a GIF of 65,535 x 65,535": lambda: b"GIF89a\xff\xff\xff\xff\0\0\0;",
        "a JPEG of 65,500 x 65,500": lambda: saved("JPEG").replace(b"\0@\0@", b"\xff\xdc\xff\xdc", 1),
        "a JPEG of 5,000 comments": lambda: saved("JPEG")[:2] + b"\xff\xfe\x00\x04ab" * 5000 + saved("JPEG")[2:],
        "a JPEG cut in its head": lambda: saved("JPEG")[:20],
        "an icon of 16,384 pixels": lambda: saved("ICO").replace(b"@@", b"\0\0", 1),
        "a BMP of minus a height": lambda: saved("BMP").replace(struct.pack("<i", 64), struct.pack("<i", -(2**31)), 1),
        "a picture of one pixel": lambda: saved("PNG", size=(1, 1)),
        "a picture of 1 x 60,000": lambda: saved("PNG", size=(1, 60_000)),
        "a picture of alpha only": lambda: saved("PNG", "LA"),
        "two megabytes after the end": lambda: saved("PNG") + bytes(2 * 2**20),
        "a program after the end": lambda: saved("JPEG") + b"\x7fELF" + bytes(100),
    }
    for kind in range(14):
        for value in (0, 6, -1):
            found[f"an EXIF orientation of type {kind}, {value}"] = partial(exif, 0x0112, kind, value)
    for tag in (0x8769, 0x8825, 0xA005, 0x9286, 0x927C, 0x010F):
        for count in (0, 1, 2**31):
            found[f"EXIF {tag:#x}, {count} times"] = partial(exif, tag, 4, 2**31 - 1, count)
    return found


def _photos(place: Place) -> Tricks:
    from faceid_tunes.cli.home import photo_bytes
    from faceid_tunes.faceid_core.faces import photos_from_tensor, read_photo

    def read(path: Path) -> None:
        assert read_photo(path).dtype == np.uint8

    for name, content in _PROGRAMS.items():
        for ending in (".jpg", ".png", ".eps"):
            yield (
                f"{name} named photo{ending}",
                lambda content=content, ending=ending: read(written(place.inside / f"photo{ending}", content)),
            )
    for name, make in _pictures().items():
        yield name, lambda make=make: read(written(place.inside / "photo.png", make()))
    pipe, loop = place.inside / "pipe.jpg", place.inside / "loop.jpg"
    os.mkfifo(pipe)
    loop.symlink_to(loop)
    (place.inside / "folder.jpg").mkdir()
    sparse = place.inside / "20gb.jpg"
    with sparse.open("wb") as file:
        file.truncate(20 * 10**9)
    devices = [Path("/dev") / name for name in ("zero", "random", "full", "stdin", "tty")]
    odd = [place.inside / "a\0b.jpg", place.inside / ("n" * 300), place.inside / "none.jpg"]
    for path in (pipe, loop, place.inside / "folder.jpg", sparse, *devices, Path("/proc/self/mem"), *odd):
        yield f"read {path.name[:30]!r}", partial(read, path)
        if path is not pipe and path not in devices:
            yield f"command line: {path.name[:30]!r}", lambda path=path: len(photo_bytes(path)) and None
    import torch

    for name, make in {
        "NaN": lambda: torch.full((1, 8, 8, 3), float("nan")),
        "Inf": lambda: torch.full((1, 8, 8, 3), float("inf")),
        "no picture": lambda: torch.zeros(0, 8, 8, 3),
        "no height": lambda: torch.zeros(1, 0, 8, 3),
        "5 channels": lambda: torch.zeros(1, 8, 8, 5),
        "3 sides": lambda: torch.zeros(8, 8, 3),
        "integers": lambda: torch.zeros(1, 8, 8, 3, dtype=torch.int64),
        "complex": lambda: torch.zeros(1, 8, 8, 3, dtype=torch.complex64),
        "a list": lambda: [1, 2, 3],
        "None": lambda: None,
        "meta": lambda: torch.zeros(1, 8, 8, 3, device="meta"),
        "1e30": lambda: torch.full((1, 8, 8, 3), 1e30),
        "-5": lambda: torch.full((1, 8, 8, 3), -5.0),
    }.items():
        yield f"a tensor of {name}", lambda make=make: len(photos_from_tensor(make())) and None


def _damaged_photos(place: Place, draw: random.Random) -> Tricks:
    from faceid_tunes.faceid_core.faces import read_photo
    from support.photo_files import damaged, photo_files
    from support.photos import single_faces

    files = photo_files(single_faces()["astronaut"][::6, ::6].copy())
    while True:
        name = draw.choice(list(files))
        seed = draw.randrange(2**32)
        yield (
            f"{name} {seed}",
            lambda name=name, seed=seed: f"a picture of {read_photo(damaged(files[name], seed)).shape}",
        )


AREAS = (Area("photos", _photos, _damaged_photos, 0.38),)
