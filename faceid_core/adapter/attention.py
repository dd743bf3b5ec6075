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
from .mask import RegionMask
from .model import Adapter
from .rows import Rows
from .tokens import IdentityTokens

Shape = tuple[int, int, int]

_NEGATIVE, _POSITIVE = 0, 1  # rows of IdentityKV


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

    def side_by_side(self) -> IdentityKV:
        """The same with the rows' tokens behind one another: one row, and tokens of all rows in each layer."""

        def moved(flat: Tensor) -> Tensor:
            parts = [
                part.unflatten(1, (len(layers), *shape)).permute(1, 2, 0, 3, 4).reshape(1, -1)
                for (shape, layers), part in zip(self.groups, self._split(flat), strict=True)
            ]
            return torch.cat(parts, dim=1)

        rows = len(self.keys)
        groups = tuple(((heads, rows * tokens, width), layers) for (heads, tokens, width), layers in self.groups)
        return IdentityKV(moved(self.keys), moved(self.values), groups)

    def by_layer(self, flat: Tensor) -> list[Tensor]:
        """Split [B, N] rows of ``keys`` or ``values`` into views [B, heads, T, head width], in adapter-key order."""
        views: dict[int, Tensor] = {}
        for (shape, layers), part in zip(self.groups, self._split(flat), strict=True):
            views |= zip(layers, part.unflatten(1, (len(layers), *shape)).unbind(1), strict=True)
        return [views[layer] for layer in range(len(views))]

    def _split(self, flat: Tensor) -> tuple[Tensor, ...]:
        return flat.split([len(layers) * prod(shape) for shape, layers in self.groups], dim=1)


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


@dataclass(frozen=True, eq=False)
class ReadyIdentity:
    """One identity made ready for one make-up of a UNet call: all that a layer reads, and nothing it has to look up.

    Attributes:
        layers: K and V of each layer, [B, heads, S, head width], in adapter-key order: views of one copy, not repeated
            for the B rows.
        bias: [B, 1, 1, S], 0 at the tokens a row looks at and -inf at the others; None where all rows look at all.
        weights: [B, N, 1] of each grid of the UNet, finest first: what of the identity is shown where; () everywhere.
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

    Holds the shared ``IdentityKV`` and, while sampling, one copy of it on the compute device, all layers in one tensor,
    dropped by ``release``. However many rows a call has, they share that copy.
    """

    # Make-ups of a call that alternate within one step: [-, +], [-] and [+] apart, tiles, windows. Each holds views and
    # its masks' weights, 0.2 MB for a picture of 1024x1024; limited by those bytes.
    _READY_BYTES = 64 << 20

    def __init__(
        self, kv: IdentityKV, strength: float, mask: RegionMask | None = None, frames: tuple[float, ...] = ()
    ) -> None:
        """``frames``: a factor on the strength for each picture of the batch, counted anew where there are more."""
        self.kv = kv
        self.strength = strength
        self.mask = mask
        self.frames = frames
        self._on_device: LRUCache[tuple[list[Tensor], list[Tensor]]] = LRUCache(limit=1)
        self._ready: LRUCache[ReadyIdentity] = LRUCache(limit=self._READY_BYTES, cost=lambda one: 4096 + one.nbytes)

    @property
    def needs_places(self) -> bool:
        """Whether it matters where in the picture a row's cells lie."""
        return self.mask is not None

    @property
    def needs_pictures(self) -> bool:
        """Whether it matters which picture of the batch a row shows, or which part of it."""
        return self.mask is not None or len(self.frames) > 1 or len(self.kv.keys) > _POSITIVE + 1

    def ready(
        self, rows: Rows, dtype: torch.dtype, device: torch.device, whole: tuple[int, int] | None = None
    ) -> ReadyIdentity:
        """What the layers of a UNet call with these rows read; made once for each make-up.

        Args:
            whole: (height, width) of the whole picture's latent; needed by a mask.
        """
        return self._ready.get_or_make((rows.key, dtype, device), lambda: self._make_ready(rows, dtype, device, whole))

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
        choices = len(self.kv.keys)
        keys, values = self._on_device.get_or_make((dtype, device), lambda: self._copy(dtype, device))
        count, bias = len(rows), None
        tokens = keys[0].shape[2] // choices
        if (shown == shown[0]).all():  # then no other row's tokens are in sight at all
            first = int(shown[0]) * tokens
            keys, values = ([x[:, :, first : first + tokens] for x in each] for each in (keys, values))
        else:
            looks = torch.from_numpy(shown[:, None] == np.arange(choices)).repeat_interleave(tokens, dim=1)
            bias = torch.zeros(looks.shape).masked_fill(~looks, -torch.inf)[:, None, None].to(device, dtype)
        layers = tuple(
            (key.expand(count, -1, -1, -1), value.expand(count, -1, -1, -1))
            for key, value in zip(keys, values, strict=True)
        )
        weights, grids = self._weights(rows, whole)
        return ReadyIdentity(layers, bias, tuple(weight.to(device, dtype) for weight in weights), grids)

    def _shown(self, rows: Rows) -> np.ndarray:
        """[B] row of ``kv`` that each row of the call looks at."""
        people = len(self.kv.keys) - _POSITIVE
        return np.where(rows.positive, _POSITIVE + rows.pictures % people, _NEGATIVE)

    def _weights(self, rows: Rows, whole: tuple[int, int] | None) -> tuple[list[Tensor], tuple[tuple[int, int], ...]]:
        """Per grid: [B, N, 1] weights on the CPU, and the grids."""
        factor = None
        if self.frames:
            factor = torch.tensor(self.frames)[torch.from_numpy(rows.pictures % len(self.frames))][:, None, None]
        if self.mask is None:
            return ([factor], ((1, 1),)) if factor is not None else ([], ())
        if whole is None:
            raise AdapterError("A masked identity needs the size of the latent it is drawn on.")
        weights = self.mask.weights(rows, whole)
        if factor is not None:
            weights = {grid: weight * factor for grid, weight in weights.items()}
        return list(weights.values()), tuple(weights)

    def _copy(self, dtype: torch.dtype, device: torch.device) -> tuple[list[Tensor], list[Tensor]]:
        """K and V of every layer as [1, heads, rows * T, d] views into one tensor each."""
        flat = self.kv.side_by_side()
        keys, values = flat.keys.to(device, dtype), (flat.values * self.strength).to(device, dtype)
        return flat.by_layer(keys), flat.by_layer(values)
