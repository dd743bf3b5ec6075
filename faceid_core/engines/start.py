"""What comes with a prompt to draw on: its input image, and a mask of what is drawn again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..astria.wire.file import data_url_bytes
from ..errors import PhotoError
from ..faces import read_photo
from ..prompts import Prompt, resolve_size
from ..prompts.errors import error_in
from ..prompts.prompt import MAX_SIDE, MIN_SIDE
from .notes import is_address, undrawn

if TYPE_CHECKING:
    import numpy as np

DENOISE = 0.8  # the API's, where the prompt does not say (docs/facts/astria.md 5.1)
LEAST_DENOISE = 0.02  # one of the 50 steps that a schedule may have


@dataclass(frozen=True, eq=False)
class StartPicture:
    """A picture to draw on.

    Attributes:
        pixels: [H, W, 3] uint8 RGB, of the size that is drawn.
        denoise: how much of it is drawn again, above 0, to 1.
        mask: [H, W] uint8, 255 where it is drawn again; None: everywhere.
    """

    pixels: np.ndarray
    denoise: float
    mask: np.ndarray | None = None

    def kept_around(self, drawn: np.ndarray) -> np.ndarray:
        """``drawn``, [H, W, 3] uint8, with this picture where the mask says that it stays."""
        import numpy as np

        if self.mask is None:
            return drawn
        share = self.mask[..., None].astype(np.float32) / 255
        return np.rint(drawn * share + self.pixels * (1 - share)).astype(np.uint8)


def with_start(prompt: Prompt, side: int) -> tuple[Prompt, StartPicture | None]:
    """The prompt as it is drawn, and what it is drawn on; None where it starts from nothing.

    A prompt that says no size takes its picture's proportions; a picture of other proportions is cut at its edges. A
    prompt that only retouches its picture takes it as it is, once.

    Args:
        prompt: what was asked for.
        side: pixels a side of what the base model learned.

    Raises:
        PromptError: a file is no picture, or an address, which only the remote API fetches.
    """
    if prompt.only_retouches:
        pixels = _pixels(prompt, "input_image")
        if pixels is None:
            raise error_in("input_image", "is an address", "Give the picture itself.")
        return replace(prompt, num_images=1), StartPicture(pixels, 0.0)
    pixels = None if prompt.controlnet_txt2img else _pixels(prompt, "input_image")
    if pixels is None:
        return prompt, None
    width, height = _size(prompt, pixels.shape[1], pixels.shape[0], side)
    mask = _pixels(prompt, "mask_image")
    denoise = DENOISE if prompt.denoising_strength is None else prompt.denoising_strength
    start = StartPicture(
        _fitted(pixels, width, height),
        max(float(denoise), LEAST_DENOISE),
        None if mask is None else _fitted(mask, width, height, is_mask=True)[..., 0],
    )
    return replace(prompt, w=width, h=height), start


def check_pictures(prompt: Prompt) -> None:
    """Refuse a prompt at the door whose pictures are none, or that says nothing of what is to be done with them.

    Raises:
        PromptError: names the field.
    """
    for name in ("input_image", "mask_image"):
        _pixels(prompt, name)
    says_nothing = not prompt.parsed.plain_text.strip() and not prompt.has_face and not prompt.only_retouches
    if says_nothing and prompt.input_image is not None:
        flags = ", ".join(undrawn(prompt)) or "nothing"
        remedy = "Write what to draw, or set super_resolution, face_swap or face_correct."
        raise error_in("text", f"says {flags}, which is not drawn here", remedy)


def _pixels(prompt: Prompt, name: str) -> np.ndarray | None:
    """[H, W, 3] uint8 RGB of a field's picture; None without one, and for an address."""
    value = getattr(prompt, name)
    if value is None or is_address(value):
        return None
    try:
        return read_photo(data_url_bytes(value) if isinstance(value, str) else value)
    except (PhotoError, ValueError) as error:
        raise error_in(name, f"cannot be used: {error}".rstrip("."), "Give a JPEG, PNG or WebP picture.") from error


def _size(prompt: Prompt, width: int, height: int, side: int) -> tuple[int, int]:
    """What is drawn: the size that the prompt says, else the picture's proportions at the base model's area."""
    if prompt.w or prompt.h or prompt.aspect_ratio or prompt.ar != "1:1":
        return resolve_size(prompt, side)
    scale = side / (width * height) ** 0.5
    sides = (min(max(round(each * scale / 8) * 8, MIN_SIDE), MAX_SIDE) for each in (width, height))
    return next(sides), next(sides)


def _fitted(pixels: np.ndarray, width: int, height: int, *, is_mask: bool = False) -> np.ndarray:
    import numpy as np
    from PIL import Image, ImageOps

    # Lanczos rings: a mask would be 1 of 255 where nothing is to be drawn.
    method = Image.Resampling.BILINEAR if is_mask else Image.Resampling.LANCZOS
    return np.array(ImageOps.fit(Image.fromarray(pixels), (width, height), method))
