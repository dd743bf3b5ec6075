"""Identities on MODEL."""

from __future__ import annotations

from functools import partial
from typing import Any

import comfy.conds
import comfy.lora
import torch
from comfy.controlnet import ControlBase
from comfy.ldm.modules.attention import optimized_attention
from comfy.patcher_extension import WrappersMP
from comfy_execution.utils import get_executing_context

from ...faceid_core.adapter.fit import check_fit, cross_attention
from ...faceid_core.adapter.lora import lora_pairs
from ...faceid_core.adapter.model import Adapter
from ...faceid_core.adapter.rows import joined
from ...faceid_core.errors import AdapterError
from .. import patches
from ..following import Options
from ..sampling_run import IDENTITIES, Identity
from .merged import name_merge
from .progress import warn_sampling_node

_WRAPPER_KEY = "faceid"


def attention_heads(model: Any, adapter: Adapter) -> list[int]:
    """Attention heads of each cross-attention layer, in adapter-key order.

    Raises:
        AdapterError: the model's UNet is not the one the adapter is for.
    """
    unet = model.model.diffusion_model
    return check_fit(adapter, unet, [cross_attention(unet, layer.ldm) for layer in adapter.layers])


def identities_on(model: Any) -> tuple[Identity, ...]:
    """The identities that a model shows, in the order in which they were applied."""
    return model.model_options["transformer_options"].get(IDENTITIES, ())


def with_identity(model: Any, adapter: Adapter, identity: Identity, lora_strength: float) -> Any:
    """A clone of ``model`` that shows the identity, on top of those it already shows.

    Args:
        lora_strength: at which the adapter's LoRA is merged, on top of what is merged already; at 0 nothing is.

    Raises:
        AdapterError: the LoRA fits some of the model's layers only.
    """
    patched = model.clone()
    if lora_strength:
        _merge_lora(patched, adapter, lora_strength)
        name_merge(patched, model, adapter.key, lora_strength)
    patched.model_options["transformer_options"][IDENTITIES] = (*identities_on(model), identity)
    for kind, wrapper in (
        (
            WrappersMP.OUTER_SAMPLE,
            partial(patches.outer_sample, text_attention=_text_attention, as_cond=_as_cond, tell=_tell_sampling_node),
        ),
        (WrappersMP.PREPARE_SAMPLING, partial(patches.prepare_sampling, reserve=_Memory)),
        (WrappersMP.SAMPLER_SAMPLE, patches.sampler_sample),
        (WrappersMP.CALC_COND_BATCH, patches.calc_cond_batch),
        (WrappersMP.APPLY_MODEL, patches.apply_model),
    ):
        patched.remove_wrappers_with_key(kind, _WRAPPER_KEY)
        patched.add_wrapper_with_key(kind, _WRAPPER_KEY, wrapper)
    return patched


def _merge_lora(model: Any, adapter: Adapter, strength: float) -> None:
    tensors, targets = {}, {}
    for pair in lora_pairs(adapter):
        tensors[f"{pair.ldm_weight}.lora_up.weight"] = pair.up
        tensors[f"{pair.ldm_weight}.lora_down.weight"] = pair.down
        targets[pair.ldm_weight] = f"diffusion_model.{pair.ldm_weight}.weight"
    merged = model.add_patches(comfy.lora.load_lora(tensors, targets), strength)
    if len(merged) != len(targets):
        raise AdapterError(
            f"{adapter.name}: its LoRA fits only {len(merged)} of {len(targets)} layers of this model. "
            "Set lora_strength to 0, or use a model with the plain architecture."
        )


class _Markers(comfy.conds.CONDRegular):
    """One marker for each picture, put together without an operation of torch."""

    def concat(self, others: list[Any]) -> torch.Tensor:
        return joined([self.cond, *(other.cond for other in others)])


class _MarkersOfPlaces(comfy.conds.CONDNoiseShape):
    """Markers that ComfyUI cuts as it cuts the latent."""

    def concat(self, others: list[Any]) -> torch.Tensor:
        return joined([self.cond, *(other.cond for other in others)])


def _as_cond(markers: torch.Tensor) -> comfy.conds.CONDRegular:
    return _Markers(markers) if markers.ndim == 2 else _MarkersOfPlaces(markers)


class _Memory(ControlBase):
    """Asks for memory while sampling, as a ControlNet does, without being one."""

    def __init__(self, needed: int) -> None:
        super().__init__()
        self._needed = needed

    def inference_memory_requirements(self, dtype: torch.dtype) -> int:
        return self._needed

    def get_models(self) -> list[Any]:
        return []

    def deepclone_multigpu(self, load_device: torch.device, autoregister: bool = False) -> _Memory:
        return self


def _tell_sampling_node(sentence: str) -> None:
    running = get_executing_context()
    if running is not None:
        warn_sampling_node(running.node_id, sentence)


def _text_attention(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, options: Options) -> torch.Tensor:
    return optimized_attention(
        query, key, value, options["n_heads"], attn_precision=options["attn_precision"], transformer_options=options
    )
