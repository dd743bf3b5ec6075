"""Confine an identity to a region of the picture."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import AdapterError
from .rows import Rows

_LEVELS = 4  # of a UNet of SD 1.5 or SDXL: each halves the grid, rounding up


class RegionMask:
    """Where an identity may appear: weights 0 to 1 over the whole picture.

    Picture i of a batch has mask i; with fewer masks than pictures they start again from the first, and masks
    beyond the last picture are not used.
    """

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

    def weights(self, rows: Rows, whole: tuple[int, int]) -> dict[tuple[int, int], Tensor]:
        """[B, h * w, 1] weights of a UNet call's rows on each grid (h, w) of the UNet, finest first.

        The mask is brought to the size of the whole picture's latent, then cut as the rows are.

        Args:
            rows: of the call.
            whole: (height, width) of the whole picture's latent.
        """
        cells = F.interpolate(self.mask.unsqueeze(1), size=whole, mode="area")[:, 0]
        numbers = torch.from_numpy(rows.pictures % len(cells))
        if rows.places is None:
            cut = cells[numbers]
        else:
            top, left = (torch.from_numpy(at) for at in rows.places)
            cut = cells[numbers[:, None, None], top, left]
        return {
            grid: F.interpolate(cut.unsqueeze(1), size=grid, mode="area").flatten(2).transpose(1, 2)
            for grid in attention_grids((cut.shape[1], cut.shape[2]))
        }


def attention_grids(latent_size: tuple[int, int]) -> tuple[tuple[int, int], ...]:
    """(height, width) of the grids a UNet works on, finest first."""
    grids = [latent_size]
    while len(grids) < _LEVELS:
        height, width = grids[-1]
        grids.append(((height + 1) // 2, (width + 1) // 2))
    return tuple(dict.fromkeys(grids))
