"""The only module that touches ComfyUI's own modules (``comfy.*``, ``folder_paths``, ``server``)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import comfy.lora
import comfy.model_management as model_management
import comfy.utils
import folder_paths
import torch
from comfy.ldm.modules.attention import optimized_attention
from comfy.patcher_extension import WrappersMP

from ..faceid_core.adapter.fit import UNetLayer, check_fit
from ..faceid_core.adapter.lora import lora_pairs
from ..faceid_core.adapter.model import Adapter
from ..faceid_core.adapter.tokens import ClipFeatures
from ..faceid_core.errors import AdapterError
from ..faceid_core.faces.face import Faces
from . import sampling
from .sampling import IDENTITIES, Identity

log = logging.getLogger(__name__)

_WRAPPER_KEY = "faceid"
_ADAPTER_EXTENSIONS = frozenset({".bin", ".safetensors"})


def register_model_folders() -> None:
    """Make ``models/ipadapter`` and ``models/insightface`` known, keeping whatever the user's paths already say."""
    for name, extensions in (("ipadapter", _ADAPTER_EXTENSIONS), ("insightface", {".onnx"})):
        folder_paths.add_model_folder_path(name, str(Path(folder_paths.models_dir) / name))
        paths, known = folder_paths.folder_names_and_paths[name]
        folder_paths.folder_names_and_paths[name] = (paths, set(known) | set(extensions))


def adapter_names() -> list[str]:
    """Adapter files below every ``ipadapter`` folder."""
    return [name for name in folder_paths.get_filename_list("ipadapter") if Path(name).suffix in _ADAPTER_EXTENSIONS]


def adapter_path(name: str) -> Path:
    path = folder_paths.get_full_path("ipadapter", name)
    if path is None:
        folders = " or ".join(folder_paths.get_folder_paths("ipadapter"))
        raise AdapterError(f"adapter_name: there is no {name!r} in {folders}. Choose another, or put the file there.")
    return Path(path)


def insightface_roots() -> list[Path]:
    """Folders in which face packs are looked for, the user's own first."""
    return [Path(folder) for folder in folder_paths.get_folder_paths("insightface")]


def progress(total: int) -> Callable[[int, int], None]:
    """A callback ``(done, total)`` that moves the node's progress bar and raises when the user interrupts."""
    bar = comfy.utils.ProgressBar(total)

    def update(done: int, total: int) -> None:
        model_management.throw_exception_if_processing_interrupted()
        bar.update_absolute(done, total)

    return update


def status(node_id: str | None, text: str) -> None:
    """Show ``text`` under a node and in the log."""
    log.info("%s", text)
    from server import PromptServer

    server = getattr(PromptServer, "instance", None)  # absent when nodes run without a server
    if server is not None and node_id is not None:
        server.send_progress_text(text, node_id)


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


def attention_heads(model: Any, adapter: Adapter) -> list[int]:
    """Attention heads of each cross-attention layer, in adapter-key order.

    Raises:
        AdapterError: the model's UNet is not the one the adapter is for.
    """
    unet = model.model.diffusion_model
    found = {
        name.removesuffix(".attn2"): UNetLayer(module.to_q.out_features, module.to_k.in_features, module.heads)
        for name, module in unet.named_modules()
        if name.endswith(".attn2") and ".transformer_blocks." in name
    }
    return check_fit(adapter, {layer.ldm: found.get(layer.ldm) for layer in adapter.layers}, len(found))


def apply_identity(model: Any, adapter: Adapter, identity: Identity) -> Any:
    """A clone of ``model`` that shows the identity, on top of those it already shows.

    The adapter's LoRA belongs to the adapter, not to the person: however many people come from one adapter, it is
    merged once, at the highest strength asked for.
    """
    patched = model.clone()
    options = patched.model_options["transformer_options"]
    earlier: tuple[Identity, ...] = options.get(IDENTITIES, ())
    merged = max((other.lora_strength for other in earlier if other.adapter == identity.adapter), default=0.0)
    if identity.lora_strength > merged:
        _merge_lora(patched, adapter, identity.lora_strength - merged)
    options[IDENTITIES] = (*earlier, identity)
    for kind, wrapper in (
        (WrappersMP.OUTER_SAMPLE, partial(sampling.outer_sample, text_attention=_text_attention)),
        (WrappersMP.CALC_COND_BATCH, sampling.calc_cond_batch),
    ):
        patched.remove_wrappers_with_key(kind, _WRAPPER_KEY)
        patched.add_wrapper_with_key(kind, _WRAPPER_KEY, wrapper)
    return patched


def _text_attention(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, options: dict) -> torch.Tensor:
    return optimized_attention(
        query, key, value, options["n_heads"], attn_precision=options["attn_precision"], transformer_options=options
    )


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
