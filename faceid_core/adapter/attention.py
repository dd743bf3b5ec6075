"""Decoupled cross-attention with keys and values computed once.

Per layer, IP-Adapter adds to the text attention a second attention of the same queries over the identity tokens::

    out = softmax(q k_text) v_text + strength * softmax(q (W_k e)) (W_v e)

``W_k e`` and ``W_v e`` do not depend on the picture or the step, so they are computed once per identity and the
strength is folded into V. What is left while sampling is one attention and one addition per layer.
Source: Ye et al., "IP-Adapter", 2023, eq. 5; tencent-ailab/IP-Adapter ``IPAttnProcessor2_0``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import torch
import torch.nn.functional as F
from torch import Tensor

from ..cache import LRUCache
from ..errors import AdapterError
from .mask import RegionMask
from .model import Adapter
from .tokens import IdentityTokens

Rows = tuple[bool, ...]
"""One entry per batch row: True where the row is to show the person (positive), False where it is not."""

Shape = tuple[int, int, int]

_NEGATIVE, _POSITIVE = 0, 1


@dataclass(frozen=True, eq=False)
class IdentityKV:
    """Keys and values of one identity for every cross-attention layer.

    Attributes:
        keys, values: [2, N] float32 on the CPU; row 0 for negative, row 1 for positive rows. Each row holds all
            layers, those of one shape side by side. Under 1 MB together for SD 1.5 and 4 tokens.
        groups: per shape, as (heads, T, head width), the positions of its layers in adapter-key order.
    """

    keys: Tensor
    values: Tensor
    groups: tuple[tuple[Shape, tuple[int, ...]], ...]

    @property
    def nbytes(self) -> int:
        return self.keys.nbytes + self.values.nbytes

    def by_layer(self, rows: Tensor) -> list[Tensor]:
        """Split [B, N] rows of ``keys`` or ``values`` into views [B, heads, T, head width], in adapter-key order."""
        views: dict[int, Tensor] = {}
        sizes = [len(layers) * prod(shape) for shape, layers in self.groups]
        for (shape, layers), part in zip(self.groups, rows.split(sizes, dim=1), strict=True):
            views |= zip(layers, part.unflatten(1, (len(layers), *shape)).unbind(1), strict=True)
        return [views[layer] for layer in range(len(views))]


def identity_kv(adapter: Adapter, tokens: IdentityTokens, heads: Sequence[int]) -> IdentityKV:
    """Project identity tokens through every layer's K and V.

    Args:
        adapter: holds ``{i}.to_k_ip.weight`` [h, C] and ``{i}.to_v_ip.weight`` [h, C] per layer.
        tokens: [T, C] each.
        heads: number of attention heads of each layer, in adapter-key order.
    """
    both = torch.stack((tokens.negative, tokens.positive))

    def project(kind: str) -> list[Tensor]:
        weights = (adapter.ip_adapter[f"{layer.index}.to_{kind}_ip.weight"].float() for layer in adapter.layers)
        projected = (F.linear(both, weight) for weight in weights)
        return [x.unflatten(-1, (n, -1)).transpose(1, 2) for x, n in zip(projected, heads, strict=True)]

    keys, values = project("k"), project("v")
    layers_of: dict[Shape, list[int]] = {}
    for layer, key in enumerate(keys):
        _, heads_of, count, width = key.shape
        layers_of.setdefault((heads_of, count, width), []).append(layer)
    order = [layer for layers in layers_of.values() for layer in layers]
    return IdentityKV(
        torch.cat([keys[layer].flatten(1) for layer in order], dim=1),
        torch.cat([values[layer].flatten(1) for layer in order], dim=1),
        tuple((shape, tuple(layers)) for shape, layers in layers_of.items()),
    )


class IdentityAttention:
    """One identity at one strength, attended to by all layers of a UNet.

    Holds the shared ``IdentityKV`` and, while sampling, its copies on the compute device: one per make-up of
    the batch, all layers in one tensor, dropped by ``release``.
    """

    # Make-ups of a batch that alternate within one step: [-, +], or [-] and [+] apart, plus a guider's extra pass.
    _MAKE_UPS = 4

    def __init__(self, kv: IdentityKV, strength: float, mask: RegionMask | None = None) -> None:
        self.kv = kv
        self.strength = strength
        self.mask = mask
        self._prepared: LRUCache[list[tuple[Tensor, Tensor]]] = LRUCache(limit=self._MAKE_UPS)

    def attend(self, layer: int, query: Tensor, rows: Rows, latent_size: tuple[int, int] | None = None) -> Tensor:
        """What this identity adds to the text attention of one layer, before the layer's output projection.

        Args:
            layer: position of the layer in adapter-key order (0-based).
            query: [B, N, h] as projected by the layer.
            rows: B entries, which rows are to show the person.
            latent_size: (height, width) of the latent the UNet was called with; needed by a mask.

        Returns:
            [B, N, h] in the query's dtype.
        """
        key, value = self._on_device(query, rows)[layer]
        by_head = query.unflatten(-1, (key.shape[1], -1)).transpose(1, 2)
        added = F.scaled_dot_product_attention(by_head, key, value).transpose(1, 2).flatten(2)
        if self.mask is not None:
            if latent_size is None:
                raise AdapterError("A masked identity needs the size of the latent it is drawn on.")
            added = added * self.mask.weights(latent_size, added)
        return added

    def release(self) -> None:
        """Drop the copies on the compute device; the next call makes them again."""
        self._prepared.clear()
        if self.mask is not None:
            self.mask.release()

    def __deepcopy__(self, memo: dict[int, object]) -> IdentityAttention:
        # Clones of a model share their patches; some extensions deep-copy a model's options.
        return self

    def _on_device(self, like: Tensor, rows: Rows) -> list[tuple[Tensor, Tensor]]:
        """K and V of every layer as [B, heads, T, d] views into one tensor each, in ``like``'s dtype and place."""

        def prepare() -> list[tuple[Tensor, Tensor]]:
            keys = self._per_row(self.kv.keys, rows, like)
            values = self._per_row(self.kv.values * self.strength, rows, like)
            return list(zip(keys, values, strict=True))

        return self._prepared.get_or_make((rows, like.dtype, like.device), prepare)

    def _per_row(self, roles: Tensor, rows: Rows, like: Tensor) -> list[Tensor]:
        roles = roles.to(dtype=like.dtype, device=like.device)
        return self.kv.by_layer(torch.stack([roles[_POSITIVE if positive else _NEGATIVE] for positive in rows]))
