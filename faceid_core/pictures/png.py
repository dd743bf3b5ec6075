"""PNG files that contain the settings they were made with."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING

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


def save_png(path: Path, pixels: np.ndarray, texts: Mapping[str, str]) -> None:
    """Write ``pixels`` ([H, W, 3] uint8 RGB) with ``texts`` as PNG text chunks; ``path`` exists only once complete.

    Raises:
        FaceIDError: the folder cannot be written to, or the disk is full.
    """
    data = png_bytes(pixels, texts)
    try:
        with NamedTemporaryFile(dir=path.parent, prefix=f".{path.stem}-", suffix=".png", delete=False) as file:
            unfinished = Path(file.name)
            try:
                file.write(data)
                file.flush()
                unfinished.chmod(
                    0o666 & ~_umask()
                )  # only its owner can read a temporary file; a picture is for everybody
                os.replace(unfinished, path)
            except BaseException:  # so that Ctrl-C leaves no half-written file either
                unfinished.unlink(missing_ok=True)
                raise
    except OSError as error:
        raise FaceIDError(f"{path}: cannot be written ({error.strerror or error}).") from error


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


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
