"""A photo as a file of every kind that Pillow writes, and damaged copies of such files."""

from __future__ import annotations

import io
from importlib.util import find_spec

import numpy as np
from PIL import Image

# Kind -> modes it is written in, with the options of each variant: 47 files, and two of HEIC where pillow-heif is.
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
    ("TIFF", "I", {}),
    ("TIFF", "F", {}),
    ("TIFF", "RGB", {"compression": "tiff_lzw"}),
    ("TIFF", "RGB", {"compression": "jpeg"}),
    ("WEBP", "RGB", {"lossless": True}),
    ("MPO", "RGB", {"save_all": True}),
    ("GIF", "RGB", {"save_all": True}),
)


def reads_heif() -> bool:
    """Whether HEIC photos can be read and written: the extra ``heif``."""
    return find_spec("pillow_heif") is not None


def photo_files(photo: np.ndarray) -> dict[str, bytes]:
    """The photo ([H, W, 3] uint8 RGB) as files, by kind, mode and options: those kinds that this Pillow can write."""
    Image.init()
    return {
        " ".join([kind, mode, *map(str, options.values())]): photo_file(photo, kind, mode, **options)
        for kind, mode, options in (*_WRITTEN, *_heif())
        if kind in Image.SAVE
    }


def photo_file(photo: np.ndarray, kind: str, mode: str, **options: object) -> bytes:
    """One of them. JPEG, PNG, WebP, TIFF and HEIC carry EXIF data: turn it by 90 degrees clockwise."""
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "A camera"
    if kind in ("JPEG", "PNG", "WEBP", "TIFF", "HEIF"):
        options["exif"] = exif.tobytes()
    if "save_all" in options:
        options["append_images"] = [_in_mode(255 - photo, mode)]
    buffer = io.BytesIO()
    _in_mode(photo, mode).save(buffer, kind, **options)
    return buffer.getvalue()


def _heif() -> tuple[tuple[str, str, dict[str, object]], ...]:
    if not reads_heif():
        return ()
    import pillow_heif

    pillow_heif.register_heif_opener()
    return ("HEIF", "RGB", {}), ("HEIF", "RGBA", {})


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
    if mode == "I":
        return Image.fromarray(photo[..., 1].astype(np.int32) * 2**23)
    if mode == "F":
        return Image.fromarray(photo[..., 1].astype(np.float32) / 255.0)
    return Image.fromarray(photo).convert(mode)
