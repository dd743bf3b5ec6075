"""Which adapter key belongs to which attention layer of the UNet, by every name that layer goes by.

An adapter numbers the entries of diffusers' ``unet.attn_processors``: down blocks, up blocks, then the middle
block *last*. Even numbers are self-attention (attn1), odd numbers cross-attention (attn2); only the latter
carry ``to_k_ip``/``to_v_ip``, both carry LoRA. ComfyUI calls the same layers by their LDM module path and
looks patches up by ``(block, id, depth)``; its middle block is ``("middle", 0)`` although the module is
``middle_block.1``.

Source: tencent-ailab/IP-Adapter (ip_adapter_faceid.py, ``set_ip_adapter``), diffusers UNet2DConditionModel,
CompVis LDM ``openaimodel.py``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from functools import cache


class Base(str, Enum):
    """The UNet family an adapter was trained for."""

    SD15 = "sd15"
    SDXL = "sdxl"

    @property
    def family(self) -> str:
        """For people."""
        return {"sd15": "SD 1.5", "sdxl": "SDXL"}[self.value]


@dataclass(frozen=True)
class Layer:
    """One transformer block's pair of attention layers.

    Attributes:
        index: key number of its cross-attention in the adapter file (odd); self-attention is ``index - 1``.
        diffusers: path of the transformer block in a diffusers UNet.
        ldm: path of the transformer block in an LDM / ComfyUI UNet (without ``diffusion_model.``).
        patch_key: ``(block, id, depth)``, ComfyUI's address of the block.
    """

    index: int
    diffusers: str
    ldm: str
    patch_key: tuple[str, int, int]

    @property
    def processor(self) -> str:
        """Name of the cross-attention in ``unet.attn_processors`` of diffusers."""
        return f"{self.diffusers}.attn2.processor"


@dataclass(frozen=True)
class _Transformer:
    """A SpatialTransformer: where it sits, and how many transformer blocks it holds."""

    diffusers: str
    ldm: str
    block: tuple[str, int]
    depth: int


def _transformers(side: str, blocks: dict[int, tuple[tuple[int, ...], int]]) -> Iterator[_Transformer]:
    """``blocks`` maps a diffusers block number to (its LDM block ids, transformer depth)."""
    ldm_side = {"down": "input", "up": "output"}[side]
    for number, (ids, depth) in blocks.items():
        for position, ldm_id in enumerate(ids):
            yield _Transformer(
                f"{side}_blocks.{number}.attentions.{position}",
                f"{ldm_side}_blocks.{ldm_id}.1",
                (ldm_side, ldm_id),
                depth,
            )


def _architecture(base: Base) -> Iterator[_Transformer]:
    if base is Base.SD15:
        yield from _transformers("down", {0: ((1, 2), 1), 1: ((4, 5), 1), 2: ((7, 8), 1)})
        yield from _transformers("up", {1: ((3, 4, 5), 1), 2: ((6, 7, 8), 1), 3: ((9, 10, 11), 1)})
        middle_depth = 1
    else:
        yield from _transformers("down", {1: ((4, 5), 2), 2: ((7, 8), 10)})
        yield from _transformers("up", {0: ((0, 1, 2), 10), 1: ((3, 4, 5), 2)})
        middle_depth = 10
    yield _Transformer("mid_block.attentions.0", "middle_block.1", ("middle", 0), middle_depth)


@cache
def layers(base: Base) -> tuple[Layer, ...]:
    """All transformer blocks of ``base`` in adapter-key order: 16 for SD 1.5, 70 for SDXL."""
    found: list[Layer] = []
    for transformer in _architecture(base):
        for depth in range(transformer.depth):
            found.append(
                Layer(
                    index=2 * len(found) + 1,
                    diffusers=f"{transformer.diffusers}.transformer_blocks.{depth}",
                    ldm=f"{transformer.ldm}.transformer_blocks.{depth}",
                    patch_key=(*transformer.block, depth),
                )
            )
    return tuple(found)
