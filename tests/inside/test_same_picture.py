"""A seed is the same picture in ComfyUI and in the embedded engine, with every scheduler: one UNet, both samplers."""

from __future__ import annotations

import pytest
import torch
from comfy_extras.nodes_custom_sampler import SamplerCustomAdvanced
from diffusers import PNDMScheduler
from faceid_tunes.faceid_core.engines.embedded.pipeline import SD15
from faceid_tunes.faceid_core.engines.embedded.sampling import Conditioning, Start, draw_latent
from faceid_tunes.faceid_core.engines.embedded.unet import UNetBatch
from faceid_tunes.faceid_core.engines.lora_tags import lcm_lora
from faceid_tunes.faceid_core.prompts import SCHEDULERS, Prompt, resolve
from faceid_tunes.nodes.host import folders, models, sampling
from faceid_tunes.nodes.host import retouch as host_retouch
from support.comfy_model import comfy_model
from support.oracle import relative_l2

WIDTH = 64
LOCAL = [name for name, scheduler in SCHEDULERS.items() if not scheduler.why_not_local]
# The noise levels between the ends are rounded to whole timesteps in one and not in the other.
TOLERANCE = 2e-3


@pytest.fixture(scope="module")
def model(unet):
    return comfy_model(unet)


def texts() -> list[torch.Tensor]:
    return [torch.randn(1, 77, WIDTH, generator=torch.Generator().manual_seed(seed)) for seed in (1, 2)]


def a_latent(width: int, height: int) -> torch.Tensor:
    """As VAEs scale them."""
    return torch.randn(1, 4, height // 8, width // 8, generator=torch.Generator().manual_seed(3))


class LatentsAsPictures:
    """A VAE that does nothing: the node's sampler pass is then one over latents."""

    def encode(self, latent: torch.Tensor) -> torch.Tensor:
        return latent / 0.18215

    def decode(self, latent: torch.Tensor) -> torch.Tensor:
        return latent * 0.18215


def by_comfyui(model, settings) -> torch.Tensor:
    if settings.scheduler.needs_lcm:
        model = models.add_lcm(model, lcm_lora(folders.lora_names(), sdxl=False))
    positive, negative = ([[text, {"pooled_output": torch.zeros(1, 1280)}]] for text in texts())
    with torch.inference_mode():
        latent, _ = SamplerCustomAdvanced.execute(
            sampling.ImageNoise(settings.seeds),
            sampling.cfg_guider(model, positive, negative, settings.cfg_scale),
            sampling.sampler(settings.scheduler.comfy_sampler, settings.seeds),
            sampling.sigmas(model, settings.scheduler.comfy_schedule, settings.steps),
            sampling.empty_latent(model, settings.width, settings.height, 1),
        ).args
    return latent["samples"] * 0.18215  # ComfyUI hands latents on unscaled


def again_by_comfyui(model, settings, latent: torch.Tensor, denoise: float, monkeypatch) -> torch.Tensor:
    """The sampler pass of FaceID Retouch."""
    monkeypatch.setattr(host_retouch, "tensor_from_photos", lambda pictures: pictures[0])
    monkeypatch.setattr(host_retouch, "photos_from_tensor", lambda picture: [picture])
    if settings.scheduler.needs_lcm:
        model = models.add_lcm(model, lcm_lora(folders.lora_names(), sdxl=False))
    positive, negative = ([[text, {"pooled_output": torch.zeros(1, 1280)}]] for text in texts())
    guider = sampling.cfg_guider(model, positive, negative, settings.cfg_scale)
    with torch.inference_mode():
        return host_retouch.resampler(guider, LatentsAsPictures(), settings, 0)(
            latent, denoise, settings.seeds[0], None
        )


def by_the_engine(unet, settings, start: Start | None = None) -> torch.Tensor:
    config = PNDMScheduler.from_pretrained(SD15 / "scheduler").config
    conditioning, seed = Conditioning(*texts()), settings.seeds[0]
    with torch.no_grad():
        return draw_latent(unet, UNetBatch(), conditioning, settings, seed, config, lambda *_: None, start)


@pytest.mark.parametrize("scheduler", LOCAL)
@pytest.mark.parametrize("cfg_scale", [3.0, 1.0, 0.5])
def test_a_seed_is_the_same_picture(unet, model, scheduler, cfg_scale):
    settings = resolve(Prompt("x", w=128, h=64, steps=6, seed=7, cfg_scale=cfg_scale, scheduler=scheduler), 512)
    found, reference = by_the_engine(unet, settings), by_comfyui(model, settings)
    assert relative_l2(found, reference) < TOLERANCE


def test_another_seed_is_another_picture(unet, model):
    settings = [resolve(Prompt("x", w=128, h=64, steps=6, seed=seed), 512) for seed in (7, 8)]
    assert relative_l2(by_the_engine(unet, settings[0]), by_comfyui(model, settings[1])) > 100 * TOLERANCE


@pytest.mark.parametrize("scheduler", LOCAL)
@pytest.mark.parametrize("steps", [6, 2])
def test_a_picture_drawn_again_is_the_same_picture(unet, model, scheduler, steps, monkeypatch):
    settings = resolve(Prompt("x", steps=steps, seed=7, cfg_scale=3.0, scheduler=scheduler), 512)
    latent = a_latent(128, 64)
    reference = again_by_comfyui(model, settings, latent, 0.35, monkeypatch)
    found = by_the_engine(unet, settings, Start(latent, 0.35))
    assert relative_l2(found, reference) < TOLERANCE
    assert relative_l2(found, latent) > 10 * TOLERANCE
