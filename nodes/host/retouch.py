"""What retouching needs of ComfyUI: its samplers and VAE, its upscaling, its memory management."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import comfy.model_management as model_management
import comfy.sample
import comfy.utils
import latent_preview
import numpy as np
from comfy.model_base import SDXL
from comfy.model_patcher import ModelPatcher
from comfy_extras.nodes_upscale_model import ImageUpscaleWithModel
from torch import Tensor, nn

from ...faceid_core.adapter.layers import Base
from ...faceid_core.cache import LRUCache
from ...faceid_core.faces import photos_from_tensor, tensor_from_photos
from ...faceid_core.prompts import Settings
from ...faceid_core.retouch import FaceParser, Resample, Restorer
from ...faceid_core.retouch.resample import partial_steps
from ...faceid_core.retouch.restorer import Forward, RunModule
from ..cutout import WHOLE
from ..sampling_run import IDENTITIES
from . import sampling
from .identity import identities_on

_RESTORE_BYTES = 2 << 30  # activations of a restorer at 512 pixels, an upper bound
_PARSE_BYTES = 1 << 30  # those of a face parser, of four faces

_patchers: LRUCache[ModelPatcher] = LRUCache(limit=3)  # as many as restorers and face parsers are kept


def run_restorer(restorer: Restorer) -> RunModule | None:
    """Runs a restorer where ComfyUI's memory management puts it; None for ONNX, which onnxruntime places itself."""
    return None if restorer.module is None else _placed(restorer.module, _RESTORE_BYTES)


def run_parser(parser: FaceParser) -> RunModule:
    """Runs a face parser where ComfyUI's memory management puts it."""
    return _placed(parser.module, _PARSE_BYTES)


def _placed(module: nn.Module, needed: int) -> RunModule:
    patcher = _patchers.get_or_make(module, lambda: _patcher(module))

    def run(forward: Forward, face: Tensor) -> Tensor:
        model_management.throw_exception_if_processing_interrupted()
        model_management.load_models_gpu([patcher], memory_required=needed, force_full_load=True)
        return forward(face.to(patcher.load_device)).cpu()

    return run


def upscaler(upscale_model: Any) -> Callable[[np.ndarray], np.ndarray]:
    """ComfyUI's own tiled upscaling by a model, [H, W, 3] uint8 to uint8."""

    def upscale(picture: np.ndarray) -> np.ndarray:
        (larger,) = ImageUpscaleWithModel.execute(upscale_model, tensor_from_photos([picture])).args
        return photos_from_tensor(larger)[0]

    return upscale


def base_of(guider: Any) -> Base:
    """The base model of the guider's model, by the size of the pictures it was trained on."""
    return Base.SDXL if isinstance(guider.model_patcher.model, SDXL) else Base.SD15


def resampler(guider: Any, vae: Any, settings: Settings, people: int, number: int = 0) -> Resample:
    """A sampler pass with the prompt's sampler and schedule, of which the last ``denoise`` is run.

    Args:
        people: how many the prompt names. A guider with as many identities can show them one by one.
        number: of the picture in its batch; it gets the mask, face and strength of that picture.
    """
    scheduler = settings.scheduler

    def resample(picture: np.ndarray, denoise: float, seed: int, shown: tuple[int, ...] | None) -> np.ndarray:
        latent = vae.encode(tensor_from_photos([picture]))
        of_all, steps = partial_steps(settings.steps, denoise)
        sigmas = sampling.sigmas(guider.model_patcher, scheduler.comfy_schedule, of_all)[-steps - 1 :]
        only = _drawing_one(guider, number)
        if shown is not None:
            only = _showing(only, shown, people)
        drawn = only.sample(
            comfy.sample.prepare_noise(latent, seed),
            latent,
            sampling.sampler(scheduler.comfy_sampler, (seed,)),
            sigmas,
            callback=latent_preview.prepare_callback(only.model_patcher, steps),
            disable_pbar=not comfy.utils.PROGRESS_BAR_ENABLED,
            seed=seed,
        )
        return photos_from_tensor(vae.decode(drawn.to(model_management.intermediate_device())))[0]

    return resample


def _drawing_one(guider: Any, number: int) -> Any:
    """A guider that knows which picture of a batch it draws."""
    other = copy.copy(guider)
    other.model_patcher = guider.model_patcher.clone()
    other.model_options = other.model_patcher.model_options
    other.model_options["transformer_options"][WHOLE] = {"pictures": [number]}
    return other


def _showing(guider: Any, shown: tuple[int, ...], people: int) -> Any:
    """The guider, a copy, with some of its people only, wherever in the picture: a mask was made for another."""
    identities = identities_on(guider.model_patcher)
    if len(identities) != people:  # applied by other nodes: it is unknown who is who
        return guider
    if identities:
        guider.model_options["transformer_options"][IDENTITIES] = tuple(
            replace(identity, attention=identity.attention.everywhere())
            for number, identity in enumerate(identities)
            if number in shown
        )
    return guider


def _patcher(module: nn.Module) -> ModelPatcher:
    return ModelPatcher(module, model_management.get_torch_device(), model_management.unet_offload_device())
