"""CLIP vision, LoRAs and text on MODEL and CLIP."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import comfy.sd
import torch

from ...faceid_core.adapter.tokens import ClipFeatures
from ...faceid_core.errors import AdapterError
from ...faceid_core.faces.face import Faces
from ...faceid_core.model_files.model_file import open_model_file
from ...faceid_core.model_files.reasons import Reader
from ...faceid_core.weights.check import warn_if_changed
from .folders import lora_path
from .merged import name_merge

_LORA = Reader(AdapterError)


def clip_key(clip_vision: Any) -> object:
    """Equal while a CLIP vision model stays loaded with the same weights."""
    return clip_vision.patcher.patches_uuid if clip_vision is not None else None


def clip_features(clip_vision: Any, faces: Faces) -> ClipFeatures:
    """Penultimate CLIP ViT-H states of the faces' crops, and of the blank picture.

    Raises:
        AdapterError: the model is not ViT-H/14.
    """
    config = clip_vision.config
    width, depth = config.get("hidden_size"), config.get("num_hidden_layers")
    if (width, depth) != (1280, 32):
        raise AdapterError(
            f"clip_vision: FaceID Plus models look through CLIP ViT-H/14 (width 1280, 32 layers); the connected "
            f"model has width {width} and {depth} layers. Load CLIP-ViT-H-14-laion2B-s32B-b79K.safetensors."
        )
    crops = torch.stack([torch.from_numpy(face.crop) for face in faces.faces]).float() / 255.0
    seen = clip_vision.encode_image(crops, crop=False).penultimate_hidden_states
    size = clip_vision.image_size
    # Zero *normalised* pixels: encode_image would normalise, and round, a grey picture.
    blank = torch.zeros(1, 3, size, size, device=clip_vision.load_device)
    unseen = clip_vision.model(pixel_values=blank, intermediate_output=-2)[1]
    return ClipFeatures(seen.float().cpu(), unseen.float().cpu())


def add_lora(model: Any, clip: Any, name: str, strength: float, text_strength: float) -> tuple[Any, Any]:
    """Model and CLIP with a LoRA of ``models/loras``, each at its own strength."""
    file = open_model_file(Path(lora_path(name)), _LORA)
    warn_if_changed(file.path)
    lora = dict(file.read())  # not ComfyUI's own reader: it takes NaN, and a pickle may hang it
    with_lora, text_with_lora = comfy.sd.load_lora_for_models(model, clip, lora, strength, text_strength)
    name_merge(with_lora, model, str(file.path), file.version, strength)
    if clip is not None:
        name_merge(text_with_lora.patcher, clip.patcher, str(file.path), file.version, text_strength)
    return with_lora, text_with_lora


def add_lcm(model: Any, lora: str | None) -> Any:
    """The model in LCM's parametrisation, with its base's LCM LoRA of ``models/loras`` where there is one."""
    from comfy_extras.nodes_model_advanced import ModelSamplingDiscrete

    if lora is not None:
        model, _ = add_lora(model, None, lora, 1.0, 0.0)
    (patched,) = ModelSamplingDiscrete().patch(model, "lcm", False)
    return patched


def encode_text(clip: Any, text: str) -> list[Any]:
    """CONDITIONING of a text."""
    return clip.encode_from_tokens_scheduled(clip.tokenize(text))
