"""Reading photos: what is not a usable picture is refused here, with its name."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import PhotoError
from ..model_files.impostor import Impostor, impostor

if TYPE_CHECKING:
    import torch
    from PIL import Image

MIN_SIDE = 16  # pixels; a detector finds no face in less
MAX_SIDE = 32766  # pixels; OpenCV's image warping stops at the 16-bit limit
MAX_PIXELS = 120_000_000  # 8000x8000 fits twice; more is a decompression bomb or a map, not a portrait


def photos_from_tensor(images: torch.Tensor) -> list[np.ndarray]:
    """A ComfyUI IMAGE batch as uint8 RGB arrays.

    images: [B, H, W, C] floating point, 0 to 1, C of 1 (grey), 3 (RGB) or 4 (RGBA, composited over white).
    Returns B arrays [H, W, 3] uint8. Raises PhotoError naming the image ("image 3") for anything else.
    """
    shape = tuple(getattr(images, "shape", ()))
    if len(shape) != 4:
        raise PhotoError(
            f"The photos must be an IMAGE batch of shape [batch, height, width, channels], not {list(shape)}."
        )
    if shape[0] == 0:
        raise PhotoError("The batch of photos is empty: give at least one photo.")
    if shape[3] not in (1, 3, 4):
        raise PhotoError(f"The photos have {shape[3]} channels; give 1 (grey), 3 (RGB) or 4 (RGBA).")
    if not images.is_floating_point():
        raise PhotoError(f"The photos must hold floating point values from 0 to 1, not {images.dtype}.")
    return [_photo_from_image(image, f"image {number}") for number, image in enumerate(images, 1)]


def tensor_from_photos(photos: Sequence[np.ndarray]) -> torch.Tensor:
    """uint8 RGB arrays [H, W, 3] of one size as a ComfyUI IMAGE batch [B, H, W, 3] float32, 0 to 1."""
    import torch

    return torch.from_numpy(np.stack(photos)).to(torch.float32).div_(255.0)


def read_photo(source: str | PathLike[str] | bytes) -> np.ndarray:
    """A picture file, or its bytes, as a [H, W, 3] uint8 RGB array.

    The EXIF orientation is applied; 16-bit samples are scaled to 8, transparency is composited over white; of an
    animation, the first frame is read. Raises PhotoError that names the file and says what it is if not a picture.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    name, data = _bytes_of(source)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # MAX_PIXELS below is our guard
            with Image.open(io.BytesIO(data)) as picture:
                _refuse_size(picture.width, picture.height, name)
                picture.load()
                upright = ImageOps.exif_transpose(picture)
                return _rgb_array(upright, name)
    except Image.DecompressionBombError as error:
        raise PhotoError(f"{name} is larger than {MAX_PIXELS // 1_000_000} megapixels: scale it down.") from error
    except UnidentifiedImageError as error:
        raise PhotoError(f"{name} is {_what_it_is(data)}: give a JPEG, PNG or WebP photo.") from error
    except (OSError, SyntaxError, ValueError, EOFError, MemoryError) as error:
        raise PhotoError(f"{name} is damaged or cut short ({error}): download or export it again.") from error


def _photo_from_image(image: torch.Tensor, name: str) -> np.ndarray:
    import torch

    height, width, channels = image.shape
    _refuse_size(width, height, name)
    lowest, highest = (float(bound) for bound in torch.aminmax(image))  # NaN if any value is NaN
    if not (np.isfinite(lowest) and np.isfinite(highest)):
        raise PhotoError(f"{name} contains NaN or infinite values: the node before it (often a VAE) failed.")
    if highest > 2.0 or lowest < -1.5:
        raise PhotoError(f"{name} holds values from {lowest:g} to {highest:g}; a photo's values go from 0 to 1.")
    pixels = image.detach().to("cpu", torch.float32)
    if channels == 4:
        alpha = pixels[..., 3:].clamp(0.0, 1.0)
        pixels = pixels[..., :3] * alpha + (1.0 - alpha)
    pixels = torch.mul(pixels, 255.0).round_().clamp_(0.0, 255.0).to(torch.uint8)
    return np.ascontiguousarray(pixels.expand(height, width, 3).numpy())


def _refuse_size(width: int, height: int, name: str) -> None:
    if min(width, height) < MIN_SIDE:
        raise PhotoError(
            f"{name} is {width}x{height} pixels, too small to show a face: each side needs {MIN_SIDE} or more."
        )
    if max(width, height) > MAX_SIDE or width * height > MAX_PIXELS:
        raise PhotoError(
            f"{name} is {width}x{height} pixels: scale it down to at most {MAX_PIXELS // 1_000_000} megapixels "
            f"and {MAX_SIDE} pixels a side."
        )


def _bytes_of(source: str | PathLike[str] | bytes) -> tuple[str, bytes]:
    if isinstance(source, bytes | bytearray | memoryview):
        return "The photo", bytes(source)
    path = Path(source)
    try:
        return f'"{path}"', path.read_bytes()
    except OSError as error:
        raise PhotoError(f'"{path}" cannot be read: {error.strerror or error}.') from error


def _rgb_array(picture: Image.Image, name: str) -> np.ndarray:
    """Any PIL mode to [H, W, 3] uint8; PIL's own convert() would clip 16-bit greys instead of scaling them."""
    if picture.mode.startswith("I"):
        grey = np.asarray(picture, dtype=np.float64)
        return _grey_to_rgb(grey / 257.0)
    if picture.mode == "F":
        grey = np.asarray(picture, dtype=np.float64)
        if not np.isfinite(grey).all() or grey.min() < 0.0 or grey.max() > 1.0:
            raise PhotoError(f"{name} holds floating point samples outside 0 to 1: save it as an 8-bit PNG or JPEG.")
        return _grey_to_rgb(grey * 255.0)
    if picture.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in picture.info:
        from PIL import Image

        rgba = picture.convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        picture = Image.alpha_composite(white, rgba)
    return np.array(picture.convert("RGB"))


def _grey_to_rgb(grey: np.ndarray) -> np.ndarray:
    samples = np.clip(np.rint(grey), 0, 255).astype(np.uint8)
    return np.repeat(samples[..., None], 3, axis=2)


def _what_it_is(data: bytes) -> str:
    kind = impostor(data[:512])
    if kind is Impostor.EMPTY:
        return kind.value
    if kind is Impostor.MARKUP:
        return "a web page or drawing in text form (HTML, XML), not a picture"
    if kind is Impostor.LFS_POINTER:
        return f"{kind.value}, not the picture itself"
    if data[4:8] == b"ftyp":
        return "a HEIC, AVIF or video file this installation cannot read"
    return "not a picture, or one of a kind this installation cannot read"
