"""Places of tiles, for a UNet wrapper that cuts the latent into tiles but cannot cut a conditioning of the same size.

ComfyUI-TiledDiffusion stops with an error at any conditioning that has the size of the latent. What it
does cut, in the right order, is the latent. So for it the markers travel as four more channels of the latent.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..faceid_core.errors import AdapterError

_CHANNELS = 4  # of a marker with places

Wrapper = Callable[[Callable[..., Tensor], dict[str, Any]], Tensor]


def cuts_only_the_latent(wrapper: object) -> bool:
    """Whether a UNet wrapper is one of those: it runs tiles in batches."""
    return hasattr(wrapper, "tile_batch_size")


def with_places_in_the_latent(wrapper: Wrapper, key: str) -> Wrapper:
    """The same wrapper, with the markers of conditioning ``key`` in the latent while it cuts.

    Raises:
        AdapterError: (of the result) a ControlNet has to be cut as well, which looks at the latent itself.
    """

    def carrying(run: Callable[..., Tensor], call: dict[str, Any]) -> Tensor:
        x, conds = call["input"], dict(call["c"])
        markers = conds.pop(key, None)
        if markers is None or markers.ndim != x.ndim:
            return wrapper(run, call)
        if "control" in conds:
            raise AdapterError(
                "mask: Tiled Diffusion with a ControlNet cannot say where in the picture its tiles lie. "
                "Remove the mask, the ControlNet or Tiled Diffusion."
            )

        def run_tiles(tiles: Tensor, t: Tensor, **more: Any) -> Tensor:
            out = run(tiles[:, :-_CHANNELS], t, **more, **{key: tiles[:, -_CHANNELS:].round().to(torch.int16)})
            return torch.cat([out, torch.zeros_like(tiles[:, -_CHANNELS:])], dim=1)

        carried = torch.cat([x, markers.to(x)], dim=1)
        return wrapper(run_tiles, {**call, "input": carried, "c": conds})[:, :-_CHANNELS]

    return carrying
