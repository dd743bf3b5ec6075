"""PNG files that contain the settings they were made with."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from itertools import chain
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING

from ..disk import write_new
from ..errors import FaceIDError

if TYPE_CHECKING:
    import numpy as np


def png_bytes(pixels: np.ndarray, texts: Mapping[str, str] | None = None) -> bytes:
    """``pixels`` ([H, W, 3] uint8 RGB) as a PNG file with ``texts`` as its text chunks."""
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    for key, text in (texts or {}).items():
        info.add_itxt(key, text)
    file = io.BytesIO()
    # Level 4, as ComfyUI: half the time of Pillow's 6, and no larger for a photo.
    Image.fromarray(pixels).save(file, "PNG", pnginfo=info, compress_level=4)
    return file.getvalue()


def save_png(names: Path | Iterable[Path], pixels: np.ndarray, texts: Mapping[str, str]) -> Path:
    """Write ``pixels`` ([H, W, 3] uint8 RGB) with ``texts`` as PNG text chunks; returns the name it has.

    ``names``: one, or several of which the first that is free is taken. A picture that is there is never overwritten,
    also when another process writes at the same moment. The file exists only once complete.

    Raises:
        FaceIDError: the folder cannot be written to, the disk is full, or every name is taken.
    """
    names = iter([names] if isinstance(names, Path) else names)
    first = next(names)
    data = png_bytes(pixels, texts)
    try:
        return write_new(chain([first], names), lambda file: file.write(data))
    except FileExistsError as error:
        raise FaceIDError(
            f"{error.filename}: cannot be written: there is such a file, and none is overwritten."
        ) from error
    except OSError as error:
        raise FaceIDError(
            f"{first}: cannot be written ({error.strerror or error}). Free space on the disk, or give another --output."
        ) from error


def writable_folder(folder: Path) -> Path:
    """``folder``, created if it is missing.

    Raises:
        FaceIDError: nothing can be written there. Call this before an hour of drawing, not after.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile(dir=folder):
            pass
    except OSError as error:
        reason = error.strerror or error
        raise FaceIDError(f"{folder}: pictures cannot be written there ({reason}). Give another --output.") from error
    return folder
