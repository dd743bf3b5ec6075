"""From a face embedding (and CLIP features) to identity tokens: the image projections of IP-Adapter FaceID.

Plain functions over the file's tensors, always in float32: the projections lose likeness in half precision, run
once per identity, and building modules for them would first fill every weight with random numbers.

Source: tencent-ailab/IP-Adapter, ``MLPProjModel`` and ``ProjPlusModel`` (ip_adapter_faceid.py),
``PerceiverAttention`` and ``Resampler`` (resampler.py). LayerNorm eps 1e-5, exact (erf) GELU.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

Weights = Mapping[str, Tensor]

_HEAD_WIDTH = 64


def project_mlp(weights: Weights, embeddings: Tensor, tokens: int) -> Tensor:
    """FaceID and Portrait: embeddings [n, 512] at unit length -> tokens [n, tokens, C]."""
    hidden = F.gelu(_linear(weights, "proj.0", embeddings.float()))
    projected = _linear(weights, "proj.2", hidden)
    width = weights["norm.weight"].shape[0]
    return _layer_norm(weights, "norm", projected.reshape(-1, tokens, width))


def project_plus(
    weights: Weights, embeddings: Tensor, clip_features: Tensor, tokens: int, structure: float | None
) -> Tensor:
    """Plus and PlusV2: the MLP's tokens attend to CLIP ViT-H features.

    Args:
        embeddings: [n, 512] at unit length.
        clip_features: [n, 257, 1280], penultimate hidden states of the aligned 224 crop, no final LayerNorm.
        structure: weight of the CLIP part on top of the MLP's tokens (``s_scale`` of PlusV2, 1.0 as trained);
            None for Plus v1, which returns the CLIP part alone.

    Returns:
        [n, tokens, C].
    """
    identity = project_mlp(weights, embeddings, tokens)
    resampler = {key.removeprefix("perceiver_resampler."): tensor for key, tensor in weights.items()}
    resampled = _resample(resampler, clip_features.float(), identity)
    return resampled if structure is None else identity + structure * resampled


def project_resampler(weights: Weights, embeddings: Tensor) -> Tensor:
    """Portrait-unnorm: raw (not unit length) embeddings [n, 512] -> tokens [n, 16, C]."""
    latents = weights["latents"].float().expand(embeddings.shape[0], -1, -1)
    return _resample(weights, embeddings.float().unsqueeze(1), latents)


def _resample(weights: Weights, features: Tensor, latents: Tensor) -> Tensor:
    """Perceiver resampler: latents [n, T, D] read features [n, m, F] -> [n, T, C]."""
    features = _linear(weights, "proj_in", features)
    depth = sum(key.startswith("layers.") and key.endswith(".0.to_q.weight") for key in weights)
    for layer in range(depth):
        latents = latents + _perceiver_attention(weights, f"layers.{layer}.0", features, latents)
        latents = latents + _feed_forward(weights, f"layers.{layer}.1", latents)
    return _layer_norm(weights, "norm_out", _linear(weights, "proj_out", latents))


def _perceiver_attention(weights: Weights, name: str, features: Tensor, latents: Tensor) -> Tensor:
    features = _layer_norm(weights, f"{name}.norm1", features)
    latents = _layer_norm(weights, f"{name}.norm2", latents)
    query = _heads(_linear(weights, f"{name}.to_q", latents))
    # The latents see the features and themselves.
    key, value = _linear(weights, f"{name}.to_kv", torch.cat((features, latents), dim=1)).chunk(2, dim=-1)
    key, value = _heads(key), _heads(value)
    scale = _HEAD_WIDTH**-0.25  # on both sides, as the reference does, rather than squared on one
    attention = ((query * scale) @ (key * scale).transpose(-2, -1)).softmax(dim=-1)
    attended = (attention @ value).transpose(1, 2).flatten(2)
    return _linear(weights, f"{name}.to_out", attended)


def _feed_forward(weights: Weights, name: str, x: Tensor) -> Tensor:
    hidden = F.gelu(_linear(weights, f"{name}.1", _layer_norm(weights, f"{name}.0", x)))
    return _linear(weights, f"{name}.3", hidden)


def _heads(x: Tensor) -> Tensor:
    """[n, t, heads * 64] -> [n, heads, t, 64]"""
    return x.unflatten(-1, (-1, _HEAD_WIDTH)).transpose(1, 2)


def _linear(weights: Weights, name: str, x: Tensor) -> Tensor:
    bias = weights.get(f"{name}.bias")
    return F.linear(x, weights[f"{name}.weight"].float(), None if bias is None else bias.float())


def _layer_norm(weights: Weights, name: str, x: Tensor) -> Tensor:
    weight, bias = weights[f"{name}.weight"].float(), weights[f"{name}.bias"].float()
    return F.layer_norm(x, weight.shape, weight, bias)
