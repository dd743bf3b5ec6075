"""Image files to IMAGE."""

from __future__ import annotations

from collections.abc import Sequence

import comfy.utils
import torch


def images_from_files(files: Sequence[bytes]) -> torch.Tensor:
    """[B, H, W, 3] of image files; others are brought to the size of the first."""
    from ...faceid_core.engines.remote import pixels

    images = [torch.from_numpy(pixels(file)).float()[None] / 255 for file in files]
    height, width = images[0].shape[1:3]
    return torch.cat(
        [image if image.shape[1:3] == (height, width) else _resized(image, width, height) for image in images]
    )


def _resized(images: torch.Tensor, width: int, height: int) -> torch.Tensor:
    return comfy.utils.common_upscale(images.movedim(-1, 1), width, height, "lanczos", "disabled").movedim(1, -1)
