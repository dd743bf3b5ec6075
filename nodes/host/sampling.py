"""NOISE, GUIDER, SAMPLER, SIGMAS and LATENT."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import comfy.model_management as model_management
import comfy.sample
import comfy.samplers
import torch
from comfy.k_diffusion.sampling import BrownianTreeNoiseSampler

from ...faceid_core.prompts.seeds import seed_per_image, step_noise_seed


def cfg_guider(model: Any, positive: list[Any], negative: list[Any], cfg_scale: float) -> Any:
    """ComfyUI's GUIDER for one text and one negative text."""
    guider = comfy.samplers.CFGGuider(model)
    guider.set_conds(positive, negative)
    guider.set_cfg(cfg_scale)
    return guider


def sigmas(model: Any, schedule: str, steps: int) -> torch.Tensor:
    """[steps + 1] noise levels, descending to 0."""
    return comfy.samplers.calculate_sigmas(model.get_model_object("model_sampling"), schedule, steps).cpu()


def empty_latent(model: Any, width: int, height: int, count: int) -> dict[str, torch.Tensor]:
    """LATENT of ``count`` pictures of that many pixels."""
    channels = model.get_model_object("latent_format").latent_channels
    device = model_management.intermediate_device()
    return {"samples": torch.zeros(count, channels, height // 8, width // 8, device=device)}


class ImageNoise:
    """ComfyUI's NOISE: image i is drawn from ``seeds[i]``, whatever else is in its batch."""

    def __init__(self, seeds: tuple[int, ...]) -> None:
        self.seeds = seeds
        self.seed = seeds[0]

    def generate_noise(self, latent: dict[str, torch.Tensor]) -> torch.Tensor:
        images = latent["samples"].split(1)
        seeds = seed_per_image(self.seeds, len(images))
        return torch.cat([comfy.sample.prepare_noise(image, seed) for image, seed in zip(images, seeds, strict=True)])


def sampler(name: str, seeds: tuple[int, ...]) -> Any:
    """A sampler whose own noise, where it draws any while sampling, also comes from each image's seed."""
    plain = comfy.samplers.ksampler(name)
    if "noise_sampler" not in inspect.signature(plain.sampler_function).parameters:
        return plain

    def sample(model: Any, noise: torch.Tensor, sigmas: torch.Tensor, **options: Any) -> torch.Tensor:
        noise_sampler = _step_noise(name, noise, sigmas, seed_per_image(seeds, len(noise)))
        return plain.sampler_function(model, noise, sigmas, noise_sampler=noise_sampler, **options)

    return comfy.samplers.KSAMPLER(sample)


def _step_noise(
    name: str, like: torch.Tensor, sigmas: torch.Tensor, seeds: tuple[int, ...]
) -> Callable[..., torch.Tensor]:
    if "sde" in name:  # these need increments of one Brownian path, not independent draws
        low, high = sigmas[sigmas > 0].min(), sigmas.max()
        return BrownianTreeNoiseSampler(like, low, high, seed=list(seeds), cpu=True)
    generators = [torch.Generator().manual_seed(step_noise_seed(seed)) for seed in seeds]
    return lambda *_: torch.stack([torch.randn(like.shape[1:], generator=draw) for draw in generators]).to(like)
