"""Confine an identity to a region of the picture."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..cache import LRUCache
from ..errors import AdapterError


class RegionMask:
    """Where an identity may appear: weights 0 to 1 over the picture, resampled to each attention layer's grid.

    One mask serves all pictures of a batch, or each picture has its own.
    """

    _SIZES = 8  # a UNet has at most four grid sizes; a second picture size may alternate (tiles, areas)

    def __init__(self, mask: Tensor) -> None:
        """``mask``: [M, H, W] or [H, W], 0..1.

        Raises:
            AdapterError: wrong rank, an empty mask, or NaN.
        """
        if mask.ndim == 2:
            mask = mask.unsqueeze(0)
        if mask.ndim != 3 or mask.numel() == 0:
            raise AdapterError(f"mask: expected [pictures, height, width], got shape {list(mask.shape)}.")
        if not mask.isfinite().all():
            raise AdapterError("mask: holds NaN or infinity.")
        self.mask = mask.float().clamp(0, 1).cpu()
        self._weights: LRUCache[Tensor] = LRUCache(limit=self._SIZES)

    def weights(self, latent_size: tuple[int, int], like: Tensor) -> Tensor:
        """[B or 1, N, 1] weights for queries shaped [B, N, h] of a UNet working on a latent of ``latent_size``."""
        rows, tokens, _ = like.shape

        def resample() -> Tensor:
            grid = attention_grid(latent_size, tokens)
            resampled = F.interpolate(self.mask.unsqueeze(1), size=grid, mode="area").flatten(2).transpose(1, 2)
            return _per_row(resampled, rows).to(dtype=like.dtype, device=like.device)

        return self._weights.get_or_make((latent_size, rows, tokens, like.dtype, like.device), resample)

    def release(self) -> None:
        self._weights.clear()


def attention_grid(latent_size: tuple[int, int], tokens: int) -> tuple[int, int]:
    """(height, width) of the attention grid with ``tokens`` cells; each UNet level halves, rounding up."""
    height, width = latent_size
    while height * width > tokens:
        height, width = (height + 1) // 2, (width + 1) // 2
    if height * width != tokens:
        raise AdapterError(
            f"mask: a latent of {latent_size[1]}x{latent_size[0]} has no attention grid of {tokens} cells; "
            "another extension changes the size inside the UNet. Remove it or the mask."
        )
    return height, width


def _per_row(masks: Tensor, rows: int) -> Tensor:
    """[M, N, 1] -> [1, N, 1] or [rows, N, 1]. A batch holds each picture once per role, pictures varying fastest."""
    if len(masks) == 1:
        return masks
    return masks[torch.arange(rows) % len(masks)]
