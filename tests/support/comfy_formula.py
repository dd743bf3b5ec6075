"""A person in ComfyUI by the formula of the paper alone (Ye et al. 2023, eq. 5): nothing of ours is in the model."""

from __future__ import annotations

from typing import Any

import torch
from comfy.ldm.modules.attention import optimized_attention
from comfy.patcher_extension import WrappersMP
from faceid_tunes.faceid_core.adapter.layers import Base, layers
from faceid_tunes.faceid_core.adapter.model import Adapter
from faceid_tunes.faceid_core.adapter.tokens import identity_tokens
from faceid_tunes.faceid_core.faces.face import Faces
from faceid_tunes.nodes.sampling_run import IDENTITIES
from torch.nn.functional import linear

from .adapters import AdapterTensors
from .comfy_model import apply

_POSITIVE = "formula_positive"


def by_formula(
    model: Any, adapter: Adapter, sections: AdapterTensors, faces: Faces, strength: float, lora_strength: float = 1.0
) -> Any:
    """``softmax(q k') v'`` beside the text on each layer, nothing precomputed; the LoRA is merged by ComfyUI.

    ``sections``: the tensors that ``adapter`` was loaded from. A row whose text begins with a number above 0 shows the
    person, every other row the empty face.
    """
    tokens = identity_tokens(adapter, faces, None)
    clone = apply(model, adapter, faces, strength=0.0, lora_strength=lora_strength)
    (identity,) = clone.model_options["transformer_options"].pop(IDENTITIES)
    for kind in clone.wrappers.values():
        kind.pop("faceid", None)
    for address, layer in zip(identity.patch_keys, layers(Base(adapter.spec.base)), strict=True):
        weights = [sections["ip_adapter"][f"{layer.index}.to_{kind}_ip.weight"] for kind in "kv"]

        def both(query, key, value, options, weights=weights):
            shown = torch.stack([tokens.positive if row else tokens.negative for row in options[_POSITIVE]]).to(query)
            own_key, own_value = (linear(shown, weight.to(query)) for weight in weights)
            text = optimized_attention(query, key, value, options["n_heads"])
            return text + strength * optimized_attention(query, own_key, own_value, options["n_heads"])

        clone.set_model_attn2_replace(both, *address)
    clone.add_wrapper_with_key(WrappersMP.DIFFUSION_MODEL, "formula", _tell_by_the_text)
    return clone


def _tell_by_the_text(executor, x, timesteps, context, y, control, options, **more):
    return executor(x, timesteps, context, y, control, {**options, _POSITIVE: context[:, 0, 0] > 0}, **more)
