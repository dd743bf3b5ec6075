"""A photo as a file of every kind that Pillow writes, and damaged copies of such files."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

# Kind -> modes it is written in, with the options of each variant: 44 files.
_WRITTEN: tuple[tuple[str, str, dict[str, object]], ...] = (
    *(
        (kind, "RGB", {})
        for kind in ("AVIF", "BMP", "DDS", "DIB", "EPS", "GIF", "ICNS", "ICO", "IM", "JPEG", "JPEG2000")
    ),
    *((kind, "RGB", {}) for kind in ("PCX", "PDF", "PNG", "PPM", "QOI", "SGI", "TGA", "TIFF", "WEBP")),
    *((kind, "RGBA", {}) for kind in ("AVIF", "DDS", "ICO", "JPEG2000", "PNG", "QOI", "TGA", "TIFF", "WEBP")),
    *((kind, "L", {}) for kind in ("JPEG", "PNG", "TIFF", "GIF")),
    *((kind, "P", {}) for kind in ("PNG", "GIF", "TIFF")),
    ("JPEG", "CMYK", {}),
    ("JPEG", "RGB", {"progressive": True}),
    ("PNG", "I;16", {}),
    ("TIFF", "I;16", {}),
    ("TIFF", "F", {}),
    ("TIFF", "RGB", {"compression": "tiff_lzw"}),
    ("TIFF", "RGB", {"compression": "jpeg"}),
    ("WEBP", "RGB", {"lossless": True}),
)


def photo_files(photo: np.ndarray) -> dict[str, bytes]:
    """The photo ([H, W, 3] uint8 RGB) as files, by kind, mode and options; JPEG, PNG, WebP and TIFF carry EXIF data."""
    files = {}
    for kind, mode, options in _WRITTEN:
        exif = Image.Exif()
        exif[0x0112], exif[0x010F] = 6, "A camera"
        extra = {"exif": exif} if kind in ("JPEG", "PNG", "WEBP", "TIFF") else {}
        buffer = io.BytesIO()
        _in_mode(photo, mode).save(buffer, kind, **options, **extra)
        files[" ".join([kind, mode, *map(str, options.values())])] = buffer.getvalue()
    return files


def damaged(data: bytes, seed: int) -> bytes:
    """Some bytes changed, a part cut out, doubled, zeroed or the end missing: the same for the same seed."""
    random = np.random.default_rng(seed)
    spoiled = bytearray(data)
    reach = min(len(spoiled), 512) if random.random() < 0.5 else len(spoiled)  # headers, or anywhere
    for _ in range(int(random.integers(1, 9))):
        place, length = int(random.integers(reach)), int(random.integers(1, 33))
        part = spoiled[place : place + length]
        match int(random.integers(6)):
            case 0 | 1:
                spoiled[place : place + 1] = bytes([int(random.integers(256))])
            case 2:
                spoiled[place : place + length] = random.bytes(len(part))
            case 3:
                spoiled[place : place + length] = b""
            case 4:
                spoiled[place:place] = part
            case 5:
                spoiled[place : place + length] = (b"\0" if random.random() < 0.5 else b"\xff") * len(part)
    return bytes(spoiled[: int(random.integers(len(spoiled) + 1))] if random.random() < 0.2 else spoiled)


def _in_mode(photo: np.ndarray, mode: str) -> Image.Image:
    if mode == "I;16":
        return Image.fromarray(photo[..., 1].astype(np.uint16) * 257)
    if mode == "F":
        return Image.fromarray(photo[..., 1].astype(np.float32) / 255.0)
    return Image.fromarray(photo).convert(mode)
