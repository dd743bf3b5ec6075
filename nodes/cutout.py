"""Which pictures of which whole a sampling draws, where an extension samples cut-outs or single pictures by themselves.

An upscaler that samples each tile by itself, or a node that samples one frame after the other, looks like a sampling of
whole pictures. Only it knows better, and may say so in the model's ``transformer_options["faceid_whole"]``: see
``docs/neighbours.md``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from ..faceid_core.errors import AdapterError

WHOLE = "faceid_whole"

_LIMIT = 1 << 15  # markers are int16
_PLACE = ("height", "width", "top", "left")


@dataclass(frozen=True)
class Cutout:
    """What is sampled, in the whole it belongs to. Lengths are in cells of the latent.

    Attributes:
        size: (height, width) of what is sampled.
        whole: (height, width) of the picture it is cut from.
        corner: (top, left) in that picture.
        pictures: number in the whole batch of each picture that is sampled.
        is_declared: whether an extension said so; otherwise what is sampled counts as whole.
    """

    size: tuple[int, int]
    whole: tuple[int, int]
    corner: tuple[int, int]
    pictures: tuple[int, ...]
    is_declared: bool


def cutout(latent: Tensor, declared: object) -> Cutout:
    """What ``latent`` [B, C, H, W] is of, by what an extension left under ``faceid_whole``, if anything.

    Raises:
        AdapterError: what it left there is not possible.
    """
    size = (latent.shape[-2], latent.shape[-1])
    if declared is None:
        return Cutout(size, size, (0, 0), tuple(range(len(latent))), is_declared=False)
    found = _read(declared, len(latent), size) if isinstance(declared, Mapping) else None
    if found is None:
        raise AdapterError(
            f"An extension says under {WHOLE!r} of {len(latent)} x {size[1]}x{size[0]}: {declared!r}, which is not "
            f"possible. {', '.join(_PLACE)} belong together, in cells of the latent, and pictures has a number for "
            "each latent. Remove that extension, or FaceID."
        )
    return found


def enlarged(sampled: Cutout, size: tuple[int, int]) -> Cutout:
    """The same pictures where a sampler evaluates them at ``size``, larger than they were; else ``sampled`` itself.

    Where only a cut-out is sampled, nobody knows how the whole would grow with it: then it stays as it is, too.
    """
    if sampled.is_declared or not (size[0] > sampled.size[0] or size[1] > sampled.size[1]):
        return sampled
    return replace(sampled, size=size, whole=size)


def _read(given: Mapping[str, Any], count: int, size: tuple[int, int]) -> Cutout | None:
    """What an extension says of ``count`` latents of that size; None where that is not possible."""
    place: list[Any] = [given.get(name) for name in _PLACE] if set(given) & set(_PLACE) else [*size, 0, 0]
    pictures = given.get("pictures", range(count))
    if not given or set(given) - {*_PLACE, "pictures"} or not isinstance(pictures, Sequence) or len(pictures) != count:
        return None
    if not all(isinstance(number, int) and 0 <= number < _LIMIT for number in (*place, *pictures)):
        return None
    height, width, top, left = place
    if top + size[0] > height or left + size[1] > width:
        return None
    return Cutout(size, (height, width), (top, left), tuple(pictures), is_declared=True)
