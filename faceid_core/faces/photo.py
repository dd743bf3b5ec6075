"""Reading photos: what is not a usable picture is refused here, with its name."""

from __future__ import annotations

import io
import logging
import stat
import warnings
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import PhotoError
from ..model_files.impostor import Impostor, impostor
from .pixels import rgb_array

if TYPE_CHECKING:
    import torch
    from PIL import Image

_log = logging.getLogger(__name__)

# What cameras, phones and people save photos in. Others that Pillow knows are not opened: EPS starts Ghostscript.
FORMATS = (
    *("JPEG", "MPO", "PNG", "WEBP", "AVIF", "HEIF", "TIFF", "GIF", "BMP", "DIB", "JPEG2000", "PPM", "QOI", "TGA"),
    *("DDS", "ICO", "PCX", "SGI"),
)
_JPEG, _JPEG_END = b"\xff\xd8\xff", b"\xff\xd9"
_HEIF_BRANDS = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"hevm", b"mif1", b"msf1")

MIN_SIDE = 16  # pixels; a detector finds no face in less
MAX_SIDE = 32766  # pixels; OpenCV's image warping stops at the 16-bit limit
MAX_BYTES = 2_000_000_000  # of a file; 120 megapixels of four uncompressed 32-bit samples
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
    name, data = _bytes_of(source)
    try:
        try:
            return _decoded(data, name)
        except OSError:
            if not data.startswith(_JPEG):
                raise
            return _without_its_end(data, name)
    except PhotoError:
        raise
    except MemoryError as error:
        raise PhotoError(f"{name} needs more memory than there is: scale it down.") from error
    # A decoder that is fed damaged bytes raises whatever Python does: RuntimeError (AVIF), NotImplementedError (DDS),
    # struct.error (EXIF), IndexError and more. benchmarks/photo_files.py feeds them all.
    except Exception as error:
        if _is_unknown(error) and not (_is_heic(data) and _reads_heic()):
            raise PhotoError(f"{name} is {_what_it_is(data)}: give a JPEG, PNG or WebP photo.") from error
        if _is_bomb(error):
            raise PhotoError(f"{name} is larger than {MAX_PIXELS // 1_000_000} megapixels: scale it down.") from error
        # libheif ends its sentences with a line break; Pillow's about an unknown file names an object in memory.
        reason = "" if _is_unknown(error) else f" ({' '.join(str(error).split())})"
        raise PhotoError(f"{name} is damaged or cut short{reason}: download or export it again.") from error


def _decoded(data: bytes, name: str) -> np.ndarray:
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a bomb: MAX_PIXELS is our guard; of odd EXIF: the picture is what counts
        with Image.open(io.BytesIO(data), formats=_readable()) as picture:
            _refuse_size(picture.width, picture.height, name)
            picture.load()
            return rgb_array(_upright(picture), name)


def _upright(picture: Image.Image) -> Image.Image:
    from PIL import ImageOps

    try:
        return ImageOps.exif_transpose(picture)
    except Exception as error:  # whatever a damaged EXIF block makes struct and Pillow raise
        _log.info("The EXIF data cannot be read, the photo is taken as it is: %r", error)
        return picture


def _without_its_end(data: bytes, name: str) -> np.ndarray:
    """A JPEG that lacks its end marker, as some phones write it, when nothing else is missing.

    Where samples are missing, too, libjpeg repeats the last one to the bottom right corner.
    """
    photo = _decoded(data.removesuffix(b"\xff") + _JPEG_END, name)
    if np.ptp(photo[-8:, -8:], axis=(0, 1)).max() == 0:
        raise PhotoError(f"{name} is damaged or cut short: download or export it again.")
    return photo


def _readable() -> list[str]:
    """What Pillow calls the formats of FORMATS that it can read here."""
    from PIL import Image

    Image.init()
    try:
        import pillow_heif

        pillow_heif.register_heif_opener()
    except ImportError:
        pass  # the message of a refused HEIC photo names the package
    return [name for name in FORMATS if name in Image.OPEN]


def _is_heic(data: bytes) -> bool:
    return data[4:8] == b"ftyp" and data[8:12] in _HEIF_BRANDS


def _reads_heic() -> bool:
    return "HEIF" in _readable()


def _is_unknown(error: Exception) -> bool:
    from PIL import UnidentifiedImageError

    return isinstance(error, UnidentifiedImageError)


def _is_bomb(error: Exception) -> bool:
    from PIL import Image

    return isinstance(error, Image.DecompressionBombError)


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
    return f'"{path}"', photo_file(path)


def photo_file(path: Path) -> bytes:
    """The bytes of a file that may be a photo. Raises PhotoError: it is no file, too large, or cannot be read."""
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise PhotoError(f'"{path}" is not a file (a folder, a device or a pipe): give a picture file.')
        if found.st_size > MAX_BYTES:
            raise PhotoError(
                f'"{path}" has {found.st_size / 1e9:.1f} GB; a photo has at most {MAX_BYTES / 1e9:.0f} GB.'
            )
        return path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise PhotoError(f'"{path}" cannot be read: {getattr(error, "strerror", None) or error}.') from error


def _what_it_is(data: bytes) -> str:
    kind = impostor(data[:512])
    if kind is Impostor.EMPTY:
        return kind.value
    if kind is Impostor.MARKUP:
        return "a web page or drawing in text form (HTML, XML), not a picture"
    if kind is Impostor.LFS_POINTER:
        return f"{kind.value}, not the picture itself"
    if _is_heic(data):
        return 'a HEIC photo, which needs the package pillow-heif ("pip install pillow-heif")'
    if data[4:8] == b"ftyp":
        return "an AVIF or video file this installation cannot read"
    return "not a picture, or one of a kind this installation cannot read"
