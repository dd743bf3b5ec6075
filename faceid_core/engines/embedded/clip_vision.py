"""What CLIP ViT-H/14 sees of a face, for the adapters that look through it (FaceID Plus and PlusV2)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ...adapter.tokens import ClipFeatures
from ...faces import Faces
from ...model_files.kinds import Kind
from ...model_files.model_file import ModelFile, open_model_file
from ...weights.check import warn_if_changed
from .errors import READER, CheckpointError

if TYPE_CHECKING:
    from transformers import CLIPVisionModelWithProjection

VIT_H = "CLIP-ViT-H-14-laion2B-s32B-b79K.safetensors"

_VIT_H_SIZES: dict[str, Any] = {
    "hidden_size": 1280,
    "intermediate_size": 5120,
    "num_attention_heads": 16,
    "num_hidden_layers": 32,
    "patch_size": 14,
    "image_size": 224,
    "projection_dim": 1024,
    "hidden_act": "gelu",
}
_CLIP_MEAN, _CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


def image_encoder_file(path: Path | None, reader: str) -> ModelFile:
    """Open CLIP ViT-H/14 and see from its header that it is one; ``reader`` says who needs it.

    Raises:
        CheckpointError: the encoder is missing, or the file is something else; says which file to put where.
    """
    wanted = f"Put {VIT_H} (h94/IP-Adapter, models/image_encoder/model.safetensors) into models/clip_vision."
    if path is None:
        raise CheckpointError(f"{reader}, which also looks at the face through CLIP ViT-H/14. {wanted}")
    file = open_model_file(path, READER)
    if file.kind is Kind.OPEN_CLIP:
        raise CheckpointError(f"{file.name}: an open_clip encoder; transformers' layout is needed. {wanted}")
    if file.kind is not Kind.CLIP_VISION:
        raise CheckpointError(file.refusal("a CLIP vision encoder", wanted))
    width = (*file.shapes.get("vision_model.embeddings.class_embedding", ()), 0)[0]
    depth = sum(key.endswith(".layer_norm1.weight") and key.startswith("vision_model.") for key in file.shapes)
    if (width, depth) != (1280, 32):
        raise CheckpointError(
            f"{file.name}: FaceID Plus models look through CLIP ViT-H/14 (width 1280, 32 layers); this encoder has "
            f"width {width} and {depth} layers. {wanted}"
        )
    warn_if_changed(path)
    return file


def clip_features(file: ModelFile, faces: Faces, device: torch.device) -> ClipFeatures:
    """Penultimate CLIP ViT-H states of the faces' crops, and of the blank picture, on the CPU.

    The encoder is as large as the rest of the model and is needed once per person, so it is not kept.
    """
    encoder = _vision_encoder(file).to(device)
    crops = torch.stack([torch.from_numpy(face.crop) for face in faces.faces]).permute(0, 3, 1, 2) / 255.0
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (_CLIP_MEAN, _CLIP_STD))
    pixels = torch.cat([(crops - mean) / std, torch.zeros_like(crops[:1])])
    states = [encoder(one.to(device), output_hidden_states=True).hidden_states[-2].cpu() for one in pixels.split(1)]
    return ClipFeatures(torch.cat(states[:-1]), states[-1])


def _vision_encoder(file: ModelFile) -> CLIPVisionModelWithProjection:
    from accelerate import init_empty_weights
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    from .pipeline import assign_weights

    with init_empty_weights(include_buffers=False):
        model = CLIPVisionModelWithProjection(CLIPVisionConfig(**_VIT_H_SIZES))
    assign_weights(model, dict(file.read(dtype=torch.float32)), "")
    return model.requires_grad_(False).eval()
