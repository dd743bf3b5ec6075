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

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..cache import LRUCache
from ..errors import AdapterError
from .mask import RegionMask, attention_grids
from .model import Adapter
from .rows import Rows
from .tokens import IdentityTokens

Shape = tuple[int, int, int]

_NEGATIVE, _POSITIVE = 0, 1  # rows of IdentityKV


@dataclass(frozen=True, eq=False)
class IdentityKV:
    """Keys and values of one identity for every cross-attention layer.

    Attributes:
        keys, values: [N] float32 on the CPU: all layers, those of one shape behind one another. A layer holds the
            tokens of all rows side by side: row 0 is for negative rows, the others are faces for positive ones. Under
            1 MB together for SD 1.5 and 4 tokens.
        groups: per shape, as (heads, rows * T, head width), the positions of its layers in adapter-key order.
        rows: 2, or 1 + F with a face for each of F pictures.
    """

    keys: Tensor
    values: Tensor
    groups: tuple[tuple[Shape, tuple[int, ...]], ...]
    rows: int = 2

    @property
    def faces(self) -> int:
        """How many faces take turns from picture to picture; 1 where one person's photos are one face."""
        return self.rows - _POSITIVE

    @property
    def tokens(self) -> int:
        """T, the tokens of one row."""
        return self.groups[0][0][1] // self.rows

    @property
    def nbytes(self) -> int:
        return self.keys.nbytes + self.values.nbytes

    def by_layer(self, flat: Tensor, row: int | None = None) -> list[Tensor]:
        """Views [B, heads, S, head width] of ``keys`` or ``values`` given as [B, N], in adapter-key order.

        Args:
            flat: may repeat one [N] for B rows without a copy.
            row: this one's T tokens only; S is rows * T otherwise.
        """
        views: dict[int, Tensor] = {}
        parts = flat.split([len(layers) * prod(shape) for shape, layers in self.groups], dim=1)
        for (shape, layers), part in zip(self.groups, parts, strict=True):
            stacked = part.unflatten(1, (len(layers), *shape))
            if row is not None:
                stacked = stacked.narrow(3, row * self.tokens, self.tokens)
            views |= zip(layers, stacked.unbind(1), strict=True)
        return [views[layer] for layer in range(len(views))]


def identity_kv(adapter: Adapter, tokens: IdentityTokens, heads: Sequence[int]) -> IdentityKV:
    """Project identity tokens through every layer's K and V.

    Args:
        adapter: holds ``{i}.to_k_ip.weight`` [h, C] and ``{i}.to_v_ip.weight`` [h, C] per layer.
        tokens: negative [T, C], positive [T, C] or a face for each of F pictures, [F, T, C].
        heads: number of attention heads of each layer, in adapter-key order.
    """
    rows = torch.cat((tokens.negative[None], tokens.positive.reshape(-1, *tokens.negative.shape)))

    def project(kind: str) -> list[Tensor]:
        weights = (adapter.ip_adapter[f"{layer.index}.to_{kind}_ip.weight"].float() for layer in adapter.layers)
        projected = (F.linear(rows, weight).flatten(0, 1) for weight in weights)
        return [x.unflatten(-1, (n, -1)).transpose(0, 1) for x, n in zip(projected, heads, strict=True)]

    keys, values = project("k"), project("v")
    layers_of: dict[Shape, list[int]] = {}
    for layer, key in enumerate(keys):
        heads_of, count, width = key.shape
        layers_of.setdefault((heads_of, count, width), []).append(layer)
    order = [layer for layers in layers_of.values() for layer in layers]
    return IdentityKV(
        torch.cat([keys[layer].flatten() for layer in order]),
        torch.cat([values[layer].flatten() for layer in order]),
        tuple((shape, tuple(layers)) for shape, layers in layers_of.items()),
        len(rows),
    )


@dataclass(frozen=True, eq=False)
class ReadyIdentity:
    """One identity made ready for UNet calls with the same rows of the same pictures: all that a layer reads.

    Attributes:
        layers: K and V of each layer, [B, heads, S, head width], in adapter-key order: views of one copy, not repeated
            for the B rows.
        bias: [B, 1, 1, S], 0 at the tokens a row looks at and -inf at the others; None where all rows look at all.
        weights: [B, N, 1] of each grid of the UNet, finest first: how much of the identity is
            shown at each place; () for all of it everywhere.
        grids: (height, width) of each of ``weights``.
    """

    layers: tuple[tuple[Tensor, Tensor], ...]
    bias: Tensor | None = None
    weights: tuple[Tensor, ...] = ()
    grids: tuple[tuple[int, int], ...] = ()

    @property
    def nbytes(self) -> int:
        return sum(weight.nbytes for weight in self.weights)

    def __deepcopy__(self, memo: dict[int, object]) -> ReadyIdentity:
        return self

    def weight(self, tokens: int, grid: tuple[int, int] | None) -> Tensor:
        """[B, tokens, 1] weights of a layer whose grid has that many cells; ``grid`` where the layer knows its own."""
        for weight, known in zip(self.weights, self.grids, strict=True):
            if weight.shape[1] == 1 or (weight.shape[1] == tokens and grid in (None, known)):
                return weight
        if grid is None or grid[0] * grid[1] != tokens:
            raise AdapterError(
                f"mask: no attention grid of a latent of {self.grids[0][1]}x{self.grids[0][0]} has {tokens} cells; "
                "another extension changes the size inside the UNet. Remove it or the mask."
            )
        (height, width), finest = self.grids[0], self.weights[0]
        picture = finest.transpose(1, 2).unflatten(2, (height, width))
        return F.interpolate(picture, size=grid, mode="area").flatten(2).transpose(1, 2)


class IdentityAttention:
    """One identity at one strength, attended to by all layers of a UNet.

    Holds the shared ``IdentityKV`` and, while sampling, one copy of it on each compute device, all layers in one
    tensor, dropped by ``release``. However many rows a call has, they share that copy.
    """

    # Calls with different rows alternate within one step: [-, +], [-] and [+], tiles, windows. Each holds views and
    # its masks' weights, 0.2 MB for a picture of 1024x1024; limited by those bytes.
    _READY_BYTES = 64 << 20
    _DEVICES = 16  # ComfyUI may share a call's rows out to several at once

    def __init__(
        self, kv: IdentityKV, strength: float, mask: RegionMask | None = None, strengths: tuple[float, ...] = ()
    ) -> None:
        """``strengths``: a factor on the strength for each picture of the batch; the first follows the last."""
        self.kv = kv
        self.strength = strength
        self.mask = mask
        self.strengths = strengths
        self._on_device: LRUCache[tuple[Tensor, Tensor]] = LRUCache(limit=self._DEVICES)
        self._ready: LRUCache[ReadyIdentity] = LRUCache(limit=self._READY_BYTES, cost=lambda one: 4096 + one.nbytes)

    @property
    def needs_places(self) -> bool:
        """Whether it matters where in the picture a row's cells lie."""
        return self.mask is not None

    @property
    def needs_pictures(self) -> bool:
        """Whether it matters which picture of the batch a row shows, or which part of it."""
        return self.mask is not None or len(self.strengths) > 1 or self.kv.faces > 1

    @property
    def per_picture(self) -> dict[str, int]:
        """Of each input that has a value for each picture of the batch, how many there are."""
        counts = {
            "mask": 1 if self.mask is None else len(self.mask.mask),
            "faces": self.kv.faces,
            "strengths": len(self.strengths),
        }
        return {name: count for name, count in counts.items() if count > 1}

    def nbytes(self, pictures: int, size: tuple[int, int], dtype: torch.dtype) -> int:
        """What sampling holds on the compute device: K and V once, and a mask's weights.

        Those are for two rows per picture twice: ComfyUI may join [-, +] in one call and split them in the next.

        Args:
            pictures: rows of each prompt.
            size: (height, width) of the latent.
            dtype: in which the UNet computes.
        """
        cells = 0 if self.mask is None else sum(height * width for height, width in attention_grids(size))
        joined = 2 * pictures * cells * dtype.itemsize
        return 2 * self.kv.keys.numel() * dtype.itemsize + min(2 * joined, max(joined, self._READY_BYTES))

    def everywhere(self) -> IdentityAttention:
        """The same without its mask."""
        return IdentityAttention(self.kv, self.strength, None, self.strengths)

    def ready(
        self, rows: Rows, dtype: torch.dtype, device: torch.device, whole: tuple[int, int] | None = None
    ) -> ReadyIdentity:
        """What the layers of a UNet call with these rows read; made once for calls with the same rows.

        Args:
            whole: (height, width) of the whole picture's latent; needed by a mask.
        """
        key = (rows.key, whole, dtype, device)
        return self._ready.get_or_make(key, lambda: self._make_ready(rows, dtype, device, whole))

    def attend(
        self,
        layer: int,
        query: Tensor,
        ready: ReadyIdentity,
        grid: tuple[int, int] | None = None,
        order: Tensor | None = None,
    ) -> Tensor:
        """What this identity adds to the text attention of one layer, before the layer's output projection.

        Args:
            layer: position of the layer in adapter-key order (0-based).
            query: [B, N, h] as projected by the layer.
            ready: see ``ready``.
            grid: (height, width) with height * width == N, where the layer knows it; only a mask looks at it.
            order: [B] row of the call that each row of ``query`` came from, where another extension repeats rows.

        Returns:
            [B, N, h] in the query's dtype.
        """
        key, value = ready.layers[layer]
        bias = ready.bias
        if order is not None:
            key, value = (x[:1].expand(len(order), -1, -1, -1) for x in (key, value))
            bias = None if bias is None else bias[order]
        by_head = query.unflatten(-1, (key.shape[1], -1)).transpose(1, 2)
        added = F.scaled_dot_product_attention(by_head, key, value, bias).transpose(1, 2).flatten(2)
        if ready.weights:
            weight = ready.weight(added.shape[1], grid)
            added = added * (weight if order is None else weight[order])
        return added

    def release(self) -> None:
        """Drop everything on the compute device; the next call makes it again."""
        self._on_device.clear()
        self._ready.clear()

    @property
    def is_released(self) -> bool:
        return not self._on_device and not self._ready

    def __deepcopy__(self, memo: dict[int, object]) -> IdentityAttention:
        # Clones of a model share their patches; some extensions deep-copy a model's options.
        return self

    def _make_ready(
        self, rows: Rows, dtype: torch.dtype, device: torch.device, whole: tuple[int, int] | None
    ) -> ReadyIdentity:
        shown = self._shown(rows)
        flat = self._on_device.get_or_make((dtype, device), lambda: self._copy(dtype, device))
        bias, row = None, None
        if (shown == shown[0]).all():  # then no other row's tokens are in sight at all
            row = int(shown[0])
        else:
            looks = np.repeat(shown[:, None] == np.arange(self.kv.rows), self.kv.tokens, axis=1)
            biases = np.where(looks, 0.0, -np.inf).astype(np.float32)[:, None, None]
            bias = torch.from_numpy(biases).to(device, dtype)
        keys, values = (self.kv.by_layer(each.expand(len(rows), -1), row) for each in flat)
        layers = tuple(zip(keys, values, strict=True))
        weights, grids = self._weights(rows, whole)
        return ReadyIdentity(layers, bias, tuple(weight.to(device, dtype) for weight in weights), grids)

    def _shown(self, rows: Rows) -> np.ndarray:
        """[B] row of ``kv`` that each row of the call looks at."""
        return np.where(rows.positive, _POSITIVE + rows.pictures % self.kv.faces, _NEGATIVE)

    def _weights(self, rows: Rows, whole: tuple[int, int] | None) -> tuple[list[Tensor], tuple[tuple[int, int], ...]]:
        """Per grid: [B, N, 1] weights on the CPU, and the grids."""
        factor = None
        if self.strengths:
            of_rows = np.asarray(self.strengths, dtype=np.float32)[rows.pictures % len(self.strengths)]
            factor = torch.from_numpy(of_rows)[:, None, None]
        if self.mask is None:
            return ([factor], ((1, 1),)) if factor is not None else ([], ())
        if whole is None:
            raise AdapterError("A masked identity needs the size of the latent it is drawn on.")
        weights = self.mask.weights(rows, whole)
        if factor is not None:
            weights = {grid: weight * factor for grid, weight in weights.items()}
        return list(weights.values()), tuple(weights)

    def _copy(self, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
        """K and V of every layer, [N] each; the strength is folded into V."""
        return self.kv.keys.to(device, dtype), (self.kv.values * self.strength).to(device, dtype)
