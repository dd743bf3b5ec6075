"""The identities on the cross-attention layers of one call of the model, around whatever others put there.

Others patch layers on the model, before or after us, or with hooks of a prompt, which ComfyUI adds for the calls that
run this prompt only. So the layers are bound anew for each call, to what is there then.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor

from ..faceid_core.cache import LRUCache
from ..faceid_core.errors import AdapterError
from .following import Options, follow_rows, order_of
from .sampling_run import PatchKey

READY = "faceid_ready"  # (IdentityAttention, ReadyIdentity) of each that acts, during one UNet call

Attention = Callable[[Tensor, Tensor, Tensor, Options], Tensor]


class CrossAttentionPatch:
    """Replaces one layer's cross-attention by itself plus the identities, in ComfyUI's ``attn2`` replace contract.

    ``attention`` is what the layer would have run without us: text attention, or another extension's patch.
    """

    def __init__(self, layer: int, attention: Attention) -> None:
        self.layer = layer
        self.attention = attention

    def __call__(self, query: Tensor, key: Tensor, value: Tensor, options: Options) -> Tensor:
        out = self.attention(query, key, value, options)
        shape = options.get("activations_shape")
        grid = None if shape is None else (shape[-2], shape[-1])
        order = order_of(options)
        for attention, ready in options[READY]:
            out = out + attention.attend(self.layer, query, ready, grid, order)
        return out


def never_past_the_model(*_: object) -> Any:
    """An ``attn2_patch`` that is on the layers while they are not bound, so that nobody is left out without a word."""
    raise AdapterError(
        "FaceID cannot tell which rows belong to the positive prompt: an extension calls the UNet itself, "
        "past ComfyUI's model. Remove it, or FaceID."
    )


class LayerPatches:
    """The patches of a sampling, made once for each set of other extensions' patches: so a graph stays the same."""

    # Patches of others that alternate within one step: with the hooks of this prompt and of that. Small objects.
    _SETS = 16

    def __init__(self, patch_keys: Sequence[PatchKey], text_attention: Attention) -> None:
        """``patch_keys``: ComfyUI's address of each layer, in adapter-key order."""
        self._patch_keys = tuple(patch_keys)
        self._text_attention = text_attention
        self._replaced: LRUCache[dict[Any, Attention]] = LRUCache(self._SETS)
        self._followed: LRUCache[list[Any]] = LRUCache(self._SETS)

    def __deepcopy__(self, memo: dict[int, object]) -> LayerPatches:
        return self

    def bound(self, options: Options) -> Options:
        """The options of one call with the identities on its layers."""
        replaced = options.get("patches_replace", {})
        patches = dict(options.get("patches", {}))
        others = [patch for patch in patches.pop("attn2_patch", []) if patch is not never_past_the_model]
        if others:
            patches["attn2_patch"] = self._followed.get_or_make(
                tuple(map(id, others)), lambda: [follow_rows(patch) for patch in others]
            )
        present = replaced.get("attn2", {})
        key = tuple((address, id(patch)) for address, patch in present.items())
        attn2 = self._replaced.get_or_make(key, lambda: self._around(present))
        return {**options, "patches": patches, "patches_replace": {**replaced, "attn2": attn2}}

    def _around(self, present: Mapping[Any, Attention]) -> dict[Any, Attention]:
        """``patches_replace["attn2"]`` with the identities added to whatever is there.

        Another extension may have used the short address ``(block, id)``; ours is the long one and wins, so theirs is
        looked up under both.
        """
        patches = dict(present)
        for layer, address in enumerate(self._patch_keys):
            inner = present.get(address, present.get(address[:2], self._text_attention))
            patches[address] = CrossAttentionPatch(layer, inner)
        return patches
