"""A decoded picture of any mode as 8-bit RGB, and a photo made smaller.

It goes band by band: 120 megapixels need little more than the result.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from ..errors import PhotoError

if TYPE_CHECKING:
    from PIL import Image

_BAND = 4_000_000  # pixels converted at once: 32 MB in float64
# Bits of samples: what cameras put into 16, what programs put into 32; 31 are the signed samples of a 32-bit TIFF.
_DEPTHS = (8, 10, 12, 14, 16, 24, 31)
_FLOAT_WHITES = (1.0, *(float(2**bits - 1) for bits in _DEPTHS[:5]))


def rgb_array(picture: Image.Image, name: str) -> np.ndarray:
    """[H, W, 3] uint8 RGB; transparency over white. Samples of more than 8 bits are scaled: convert() would clip them.

    Greys of 16 or 32 bits whose samples need fewer are read as what holds them: 8, 10, 12, 14, 16, 24 or 31 bits.
    Raises PhotoError, with ``name``, for floating point samples that are no picture.
    """
    width, height = picture.size
    full = _full_scale(picture, name) if picture.mode == "F" or picture.mode.startswith("I") else 0.0
    rgb = np.empty((height, width, 3), np.uint8)
    for top, band in _bands(picture):
        rgb[top : top + band.size[1]] = _grey(band, full) if full else _colour(band)
    return rgb


def reduced(photo: np.ndarray, scale: float) -> np.ndarray:
    """The photo ([H, W, 3] uint8) with its sides ``scale`` (0 to 1) as long, each pixel a mean."""
    import cv2

    height, width = photo.shape[:2]
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return cv2.resize(photo, size, interpolation=cv2.INTER_AREA)


def _bands(picture: Image.Image) -> Iterator[tuple[int, Image.Image]]:
    width, height = picture.size
    rows = max(1, _BAND // width)
    for top in range(0, height, rows):
        yield top, picture.crop((0, top, width, min(top + rows, height)))


def _full_scale(picture: Image.Image, name: str) -> float:
    """The sample value of white."""
    lowest, highest = 0.0, 0.0
    for _, band in _bands(picture):
        samples = _samples(band)
        lowest, highest = min(lowest, float(samples.min())), max(highest, float(samples.max()))
        if not np.isfinite(samples).all():
            raise PhotoError(f"{name} holds NaN or infinite samples: save it as an 8-bit PNG or JPEG.")
    if picture.mode == "F":
        white = next((white for white in _FLOAT_WHITES if highest <= white), None)
        if white is None or lowest < 0.0:
            raise PhotoError(f"{name} holds floating point samples outside 0 to 1: save it as an 8-bit PNG or JPEG.")
        return white
    depth = next((bits for bits in _DEPTHS if highest < 2**bits), 32)
    return float(2**depth - 1)


def _samples(band: Image.Image) -> np.ndarray:
    samples = np.asarray(band)
    return samples.view(np.uint32) if samples.dtype == np.int32 else samples


def _grey(band: Image.Image, white: float) -> np.ndarray:
    scaled = _samples(band) * (255.0 / white)
    return np.clip(np.rint(scaled), 0, 255).astype(np.uint8)[..., None]


def _colour(band: Image.Image) -> np.ndarray:
    if band.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in band.info:
        from PIL import Image

        rgba = band.convert("RGBA")
        band = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
    return np.array(band.convert("RGB"))
