"""An SD 1.5 checkpoint from its single file into a diffusers pipeline. Nothing here uses a network.

What a single file leaves out (the parts' sizes, the tokenizer) is in the folder sd15.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from accelerate import init_empty_weights
from diffusers import AutoencoderKL, PNDMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from ...model_files.model_file import ModelFile
from .checkpoint import TEXT_ENCODER, UNET, VAE, part_keys, text_model_prefix

SD15 = Path(__file__).parent / "sd15"

OnTensor = Callable[[int, int], None]  # (tensors read, all tensors)


def load_pipeline(
    file: ModelFile, device: torch.device, dtype: torch.dtype, on_tensor: OnTensor
) -> StableDiffusionPipeline:
    """A checkpoint that ``open_checkpoint`` accepted, as a diffusers pipeline without safety checker.

    Only the UNet is of ``dtype``. The text encoder and the VAE are float32 everywhere, as ComfyUI computes them: they
    take a small part of the time, and some VAEs of SD 1.5 overflow in half precision.
    """
    parts = _Parts(file, on_tensor)
    local = {"config": str(SD15), "local_files_only": True}
    unet = UNet2DConditionModel.from_single_file(parts.read(UNET, dtype), subfolder="unet", **local)
    # As a plain module: diffusers' own `to` warns of layers to be kept in float32, of which there are none.
    nn.Module.to(unet, device=device, dtype=dtype)
    vae = AutoencoderKL.from_single_file(parts.read(VAE), subfolder="vae", **local)
    vae.encoder = nn.Identity()  # 0.14 GB that no picture drawn from text needs; see load_vae_encoder
    vae.to(device)
    text_encoder = _text_encoder(parts.read(TEXT_ENCODER), text_model_prefix(file.shapes)).to(device)
    pipeline = StableDiffusionPipeline(
        vae=vae,
        text_encoder=text_encoder,
        tokenizer=CLIPTokenizer.from_pretrained(SD15 / "tokenizer", local_files_only=True),
        unet=unet,
        scheduler=PNDMScheduler.from_pretrained(SD15 / "scheduler", local_files_only=True),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    for part in (unet, vae, text_encoder):
        part.requires_grad_(False).eval()
    return pipeline


def load_vae_encoder(file: ModelFile, device: torch.device) -> nn.Module:
    """The encoder that ``load_pipeline`` left out: diffusers' own, float32.

    Raises:
        ReplacedError: the checkpoint is another file by now.
    """
    tensors = _Parts(file, lambda done, total: None).read(VAE)
    vae = AutoencoderKL.from_single_file(tensors, subfolder="vae", config=str(SD15), local_files_only=True)
    return vae.encoder.requires_grad_(False).eval().to(device)


def assign_weights(module: nn.Module, tensors: dict[str, Tensor], prefix: str) -> None:
    """Make the tensors whose keys start with ``prefix`` the weights of an empty module."""
    wanted = module.state_dict().keys()
    named = {key.removeprefix(prefix): tensor for key, tensor in tensors.items()}
    module.load_state_dict({key: named[key] for key in wanted}, assign=True)


class _Parts:
    """The parts of a checkpoint, read with the tensors of all of them counted."""

    def __init__(self, file: ModelFile, on_tensor: OnTensor) -> None:
        self._file, self._on_tensor = file, on_tensor
        self._total = sum(len(part_keys(file, prefix)) for prefix in (UNET, VAE, TEXT_ENCODER))
        self._done = 0

    def read(self, prefix: str, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
        tensors = {}
        for key, tensor in self._file.read(part_keys(self._file, prefix), dtype):
            tensors[key] = tensor
            self._done += 1
            self._on_tensor(self._done, self._total)
        return tensors


def _text_encoder(tensors: dict[str, Tensor], prefix: str) -> CLIPTextModel:
    config = CLIPTextConfig.from_pretrained(SD15 / "text_encoder", local_files_only=True)
    with init_empty_weights(include_buffers=False):
        model = CLIPTextModel(config)
    assign_weights(getattr(model, "text_model", model), tensors, prefix)  # transformers before 5.6 wraps it
    return model
