"""The diffusers test UNets as ComfyUI models with the same weights, and one real sampling step on them.

Only imported inside ComfyUI's interpreter.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from types import SimpleNamespace

import comfy.model_patcher
import comfy.samplers
import comfy.supported_models
import comfy.utils
import torch
from diffusers import UNet2DConditionModel
from faceid_tunes.faceid_core.adapter.model import Adapter
from faceid_tunes.faceid_core.adapter.tokens import ClipFeatures
from faceid_tunes.faceid_core.faces.face import Faces
from faceid_tunes.nodes.adapter import FaceIDApply
from torch import Tensor

from .unet import family_of


def comfy_model(
    unet: UNet2DConditionModel, dtype: torch.dtype = torch.float32, computed: torch.dtype | None = None
) -> comfy.model_patcher.ModelPatcher:
    """A ModelPatcher whose UNet shares the weights of ``unet``; copies where ``dtype`` or ``computed`` differs."""
    config = unet_config(unet)
    sdxl = config["adm_in_channels"] is not None
    family = comfy.supported_models.SDXL if sdxl else comfy.supported_models.SD15
    model_config = family(dict(config))
    model_config.unet_config |= (
        family.unet_extra_config | {"num_head_channels": 64} if sdxl else family.unet_extra_config
    )
    model_config.set_inference_dtype(dtype, computed)
    names = comfy.utils.unet_to_diffusers(config)
    weights = {names[key]: tensor.to(dtype) for key, tensor in unet.state_dict().items()}
    model = model_config.get_model({}, "", device="cpu")
    missing, unexpected = model.diffusion_model.load_state_dict(weights, strict=True, assign=True)
    assert not missing and not unexpected
    cpu = torch.device("cpu")
    return comfy.model_patcher.ModelPatcher(model.eval(), load_device=cpu, offload_device=cpu)


def unet_config(unet: UNet2DConditionModel) -> dict:
    """ComfyUI's description of the UNet."""
    channels = unet.config.block_out_channels
    sdxl = family_of(unet) == "sdxl"
    return {
        "image_size": 32,
        "in_channels": unet.config.in_channels,
        "out_channels": 4,
        "model_channels": channels[0],
        "num_res_blocks": [2] * len(channels),
        "channel_mult": [width // channels[0] for width in channels],
        "transformer_depth": [0, 0, 2, 2, 10, 10] if sdxl else [1, 1, 1, 1, 1, 1, 0, 0],
        "transformer_depth_output": [0, 0, 0, 2, 2, 2, 10, 10, 10] if sdxl else [1] * 9 + [0] * 3,
        "transformer_depth_middle": 10 if sdxl else 1,
        "context_dim": unet.config.cross_attention_dim,
        "use_linear_in_transformer": sdxl,
        "adm_in_channels": 2816 if sdxl else None,
        "num_classes": "sequential" if sdxl else None,
        "use_spatial_transformer": True,
        "legacy": False,
        "use_temporal_attention": False,
        "use_temporal_resblock": False,
    }


@dataclass(frozen=True)
class UNetCall:
    """What ComfyUI's sampler handed to the UNet, and what came back."""

    x: Tensor
    timesteps: Tensor
    context: Tensor
    out: Tensor
    cond_or_uncond: list[int]


def conditioning(width: int, value: float, tokens: int = 77, seed: int = 7, **extra) -> list:
    """A conditioning whose text embedding is recognisable: random, with ``value`` in its first number."""
    text = torch.randn(1, tokens, width, generator=torch.Generator().manual_seed(seed))
    text[..., 0] = value
    return [[text, {"pooled_output": torch.zeros(1, 1280), **extra}]]


class UNetSpy:
    """Records every call of a model's UNet while it is open."""

    def __init__(self, model: comfy.model_patcher.ModelPatcher) -> None:
        self.calls: list[UNetCall] = []
        self._unet = model.model.diffusion_model

    def __enter__(self) -> UNetSpy:
        self._hook = self._unet.register_forward_hook(self._record, with_kwargs=True)
        return self

    def __exit__(self, *_: object) -> None:
        self._hook.remove()

    def _record(self, module, args, kwargs, out) -> None:
        options = kwargs["transformer_options"]
        self.calls.append(UNetCall(args[0], args[1], kwargs["context"], out, list(options["cond_or_uncond"])))


def sample(
    guider: comfy.samplers.CFGGuider, size: tuple[int, int] = (16, 24), batch: int = 1, steps: int = 1
) -> Tensor:
    """Euler steps from seeded noise."""
    noise = torch.randn(batch, 4, *size, generator=torch.Generator().manual_seed(5))
    sampling = guider.model_patcher.get_model_object("model_sampling")
    sigmas = comfy.samplers.calculate_sigmas(sampling, "normal", steps)
    with torch.inference_mode():
        return guider.sample(noise, torch.zeros_like(noise), comfy.samplers.sampler_object("euler"), sigmas)


def size_conditioning(latent: Tensor) -> dict[str, Tensor]:
    """diffusers' form of what ComfyUI tells SDXL of a batch of latents: their own size, no crop, an empty text."""
    height, width = (8 * side for side in latent.shape[-2:])
    sizes = torch.tensor([[height, width, 0, 0, height, width]], dtype=torch.float32)
    return {"text_embeds": torch.zeros(len(latent), 1280), "time_ids": sizes.expand(len(latent), -1)}


class StandInViTH:
    """What FaceIDApply asks of a CLIP vision model, with given features; the real one has 630 M parameters."""

    config = {"hidden_size": 1280, "num_hidden_layers": 32}
    image_size = 224
    load_device = torch.device("cpu")

    def __init__(self, features: ClipFeatures) -> None:
        self._features = features
        self.patcher = SimpleNamespace(patches_uuid=uuid.uuid4())

    def encode_image(self, images: Tensor, crop: bool) -> SimpleNamespace:
        return SimpleNamespace(penultimate_hidden_states=self._features.crops[: len(images)])

    def model(self, pixel_values: Tensor, intermediate_output: int) -> tuple:
        assert not pixel_values.any() and intermediate_output == -2
        return None, self._features.blank, None


def apply(model, adapter: Adapter, faces: Faces, clip: ClipFeatures | None = None, **inputs):
    """Run FaceIDApply the way ComfyUI's executor does, with its defaults."""
    defaults = {
        "strength": 1.0,
        "lora_strength": 1.0,
        "structure": 1.0,
        "start_at": 0.0,
        "end_at": 1.0,
        "preview": False,
        "clip_vision": None if clip is None else StandInViTH(clip),
    }
    node = FaceIDApply.PREPARE_CLASS_CLONE(None)
    with torch.inference_mode():
        return node.execute(model, adapter, faces, **(defaults | inputs)).args[0]
