"""What happens to an identity between "sampling starts" and one attention layer.

Identities travel on the model as a plain tuple in ``transformer_options``. Nothing is registered on attention
layers until sampling starts: only then is it known which other extensions patched them, before or after us, so
that theirs can be called instead of replaced.

The identity belongs to the positive rows of a batch. ComfyUI tells each row's position in the list of conds the
guider passed, which is no polarity (DualCFG and PerpNeg use other orders, SAG passes the negative alone), so the
role is found by looking the cond up in the guider itself.

No module of ComfyUI is imported here; ``host.identity`` registers these functions with it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ..faceid_core.adapter.attention import IdentityAttention, Rows

IDENTITIES = "faceid_identities"  # tuple[Identity, ...], on the model
_RUN = "faceid_run"  # SamplingRun, while sampling
_CALL = "faceid_call"  # UNetCall, during one evaluation of conds

Options = dict[str, Any]
Attention = Callable[[Tensor, Tensor, Tensor, Options], Tensor]
PatchKey = tuple[str, int, int]


@dataclass(frozen=True, eq=False)
class Identity:
    """One person on a model.

    Attributes:
        attention: K and V at a strength.
        patch_keys: ComfyUI's address of each attention layer, in adapter-key order.
        start_at, end_at: share of the sampling (0..1) between which the identity is active.
        adapter: key of the adapter, and ``lora_strength`` at which its LoRA was asked for.
    """

    attention: IdentityAttention
    patch_keys: tuple[PatchKey, ...]
    start_at: float
    end_at: float
    adapter: tuple
    lora_strength: float

    @property
    def always_active(self) -> bool:
        return self.start_at <= 0.0 and self.end_at >= 1.0


@dataclass(frozen=True)
class UNetCall:
    """What the attention layers need to know of the evaluation they are part of.

    Attributes:
        positive: per position in the guider's list of conds, whether that cond is to show the person.
        active: per identity on the model, whether the current sigma is in its range.
    """

    positive: tuple[bool, ...]
    active: tuple[bool, ...]


class SamplingRun:
    """One sampling: whose conds are positive, and between which sigmas each identity acts."""

    def __init__(self, guider: Any, identities: Sequence[Identity], percent_to_sigma: Callable[[float], float]) -> None:
        self._guider = guider
        self._ranges = tuple(
            None if identity.always_active else (percent_to_sigma(identity.start_at), percent_to_sigma(identity.end_at))
            for identity in identities
        )

    def __deepcopy__(self, memo: dict) -> SamplingRun:
        return self  # holds the guider, which extensions that deep-copy a model's options must not copy

    def call(self, conds: Sequence[list | None], sigmas: Tensor) -> UNetCall:
        return UNetCall(tuple(self._is_positive(cond) for cond in conds), self._active(sigmas))

    def call_of_unknown_conds(self, chunks: Sequence[int], sigmas: Tensor) -> UNetCall:
        """For an extension that calls the UNet past ComfyUI's evaluation of conds: position 0 is the positive."""
        return UNetCall(tuple(position == 0 for position in range(max(chunks) + 1)), self._active(sigmas))

    def _active(self, sigmas: Tensor) -> tuple[bool, ...]:
        if not any(self._ranges):
            return (True,) * len(self._ranges)
        sigma = float(sigmas.max())  # the one point where the host waits for the device, once per UNet call
        return tuple(limits is None or limits[1] <= sigma <= limits[0] for limits in self._ranges)

    def _is_positive(self, cond: list | None) -> bool:
        """By the guider's own name of the list, or of one with the same members (context windows rebuild lists).

        A list the guider does not know was made by an extension for a further pass, like PerpNeg's empty prompt.
        """
        if not cond:
            return False
        roles: dict[str, list] = self._guider.conds
        for name, known in roles.items():
            # Not by uuid alone: a regional positive's negative twin carries the uuid of the positive.
            if cond is known or _uuids(cond) == _uuids(known):
                return _is_positive_name(name)
        return False


def _uuids(cond: list[dict]) -> list:
    return [member.get("uuid") for member in cond]


def _is_positive_name(name: str) -> bool:
    # "positive" in every guider of ComfyUI; "middle", "negative", "empty_negative_prompt" are the others.
    return name.startswith("positive")


class CrossAttentionPatch:
    """Replaces one layer's cross-attention by itself plus the identities, in ComfyUI's ``attn2`` replace contract.

    ``attention`` is what the layer would have run without us: text attention, or another extension's patch.
    """

    def __init__(self, layer: int, identities: Sequence[IdentityAttention], attention: Attention) -> None:
        self.layer = layer
        self.identities = tuple(identities)
        self.attention = attention

    def __call__(self, query: Tensor, key: Tensor, value: Tensor, options: Options) -> Tensor:
        out = self.attention(query, key, value, options)
        chunks = options["cond_or_uncond"]
        call: UNetCall = options.get(_CALL) or options[_RUN].call_of_unknown_conds(chunks, options["sigmas"])
        rows = _rows(call.positive, chunks, len(query))
        latent_size = tuple(options["original_shape"][-2:])
        for identity, active in zip(self.identities, call.active, strict=True):
            if active:
                out = out + identity.attend(self.layer, query, rows, latent_size)
        return out


def _rows(positive: Sequence[bool], chunks: Sequence[int], batch: int) -> Rows:
    """One entry per batch row: conds are batched as chunks of equal size."""
    per_chunk = batch // len(chunks)
    return tuple(positive[chunk] for chunk in chunks for _ in range(per_chunk))


def patched_layers(
    identities: Sequence[Identity], present: dict[tuple, Attention], text_attention: Attention
) -> dict[tuple, Attention]:
    """``patches_replace["attn2"]`` with the identities added to whatever is ``present``.

    Another extension may have used the short address ``(block, id)``; ours is the long one and wins, so theirs is
    looked up under both.
    """
    patches = dict(present)
    attentions = [identity.attention for identity in identities]
    for layer, address in enumerate(identities[0].patch_keys):
        inner = present.get(address, present.get(address[:2], text_attention))
        patches[address] = CrossAttentionPatch(layer, attentions, inner)
    return patches


def outer_sample(executor: Any, *args: Any, text_attention: Attention, **kwargs: Any) -> Any:
    """Around a whole sampling: bind the identities to the layers, and let go of the device afterwards."""
    guider = executor.class_obj
    options = guider.model_options["transformer_options"]
    identities = tuple(identity for identity in options[IDENTITIES] if identity.attention.strength)
    if not identities:
        return executor(*args, **kwargs)
    model_sampling = guider.model_patcher.get_model_object("model_sampling")
    options[_RUN] = SamplingRun(guider, identities, model_sampling.percent_to_sigma)
    replaced = options.setdefault("patches_replace", {})
    replaced["attn2"] = patched_layers(identities, replaced.get("attn2", {}), text_attention)
    try:
        return executor(*args, **kwargs)
    finally:
        for identity in identities:
            identity.attention.release()


def calc_cond_batch(executor: Any, model: Any, conds: list, x: Tensor, sigmas: Tensor, model_options: Options) -> Any:
    """Around one evaluation of the guider's conds: tell the layers which are positive and who is active."""
    options = model_options["transformer_options"]
    if _RUN not in options:  # nobody shows, or the sampling did not start with a guider
        return executor(model, conds, x, sigmas, model_options)
    call = options[_RUN].call(conds, sigmas)
    return executor(model, conds, x, sigmas, {**model_options, "transformer_options": {**options, _CALL: call}})
