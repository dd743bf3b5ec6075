"""Denoising on a diffusers UNet with a diffusers scheduler, one picture at a time.

Not diffusers' own pipeline call, which differs in what makes a prompt the same picture here and in ComfyUI. Here all
noise is drawn on the CPU from the picture's own seed (the same on every device and in every batch), everything but the
UNet is computed in float32, and guidance below 1 still weighs the negative prompt.
"""

from __future__ import annotations

import inspect
import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ...errors import FaceIDError
from ...prompts import Settings
from ...prompts.schedulers import Scheduler
from ...prompts.seeds import step_noise_seed
from ...retouch.resample import partial_steps
from .unet import UNetBatch

if TYPE_CHECKING:
    from diffusers import AutoencoderKL, UNet2DConditionModel


@dataclass(frozen=True, eq=False)
class Conditioning:
    """Text embeddings [1, N, 768] of one length, float32."""

    positive: Tensor
    negative: Tensor


@dataclass(frozen=True, eq=False)
class Start:
    """Something to begin with instead of noise alone.

    Attributes:
        latent: [1, 4, h, w] float32, as the VAE scales it.
        denoise: the part of the schedule that is run, its end; above 0, to 1.
        mask: [1, 1, h, w] float32, 1 where it is drawn again; None: everywhere.
    """

    latent: Tensor
    denoise: float
    mask: Tensor | None = None


def draw_latent(
    unet: UNet2DConditionModel,
    batch: UNetBatch,
    conditioning: Conditioning,
    settings: Settings,
    seed: int,
    scheduler_config: dict[str, Any],
    on_step: Callable[[int, int], None],
    start: Start | None = None,
) -> Tensor:
    """One picture's latent, [1, 4, height / 8, width / 8] float32, as the VAE scales it; of ``start``'s size with one.

    Args:
        batch: told which rows of the UNet's batch are to show the people.
        scheduler_config: of the model: its noise levels and what it predicts.
        on_step: called (done, total) after each call of the UNet.
        start: draw this again instead of something new.
    """
    noise = _first_noise(seed, settings, start, unet.device)
    scheduler, timesteps = _schedule(settings, seed, scheduler_config, noise, 1.0 if start is None else start.denoise)
    step_options = _step_options(scheduler, seed)
    guided = not math.isclose(settings.cfg_scale, 1.0)
    batch.rows = (False, True) if guided else (True,)
    texts = (conditioning.negative, conditioning.positive) if guided else (conditioning.positive,)
    context = torch.cat(texts).to(device=unet.device, dtype=unet.dtype)
    if start is None:
        latent = noise * _first_scale(scheduler)
    else:
        latent = scheduler.add_noise(start.latent.to(noise), noise, timesteps[:1])
    total = len(timesteps)
    for done, timestep in enumerate(timesteps, 1):
        rows = torch.cat([scheduler.scale_model_input(latent, timestep)] * len(texts)).to(unet.dtype)
        predicted = unet(rows, timestep, encoder_hidden_states=context).sample.float()
        if guided:
            negative, positive = predicted.chunk(2)
            predicted = negative + settings.cfg_scale * (positive - negative)
        latent = scheduler.step(predicted, timestep, latent, **step_options).prev_sample
        if start is not None and start.mask is not None:
            latent = _kept(start, latent, noise, scheduler, timesteps[done : done + 1])
        on_step(done, total)
    if not latent.isfinite().all():
        raise FaceIDError(
            "The picture came out as NaN instead of numbers: a weight in the text or a strength is far too high, "
            "or the checkpoint is damaged."
        )
    return latent


def _kept(start: Start, latent: Tensor, noise: Tensor, scheduler: Any, timestep: Tensor) -> Tensor:
    """The latent with the picture that stays around the mask, as noisy as the next step expects it."""
    assert start.mask is not None
    stays = start.latent.to(latent)
    if len(timestep):
        stays = scheduler.add_noise(stays, noise, timestep)
    mask = start.mask.to(latent)
    return latent * mask + stays * (1 - mask)


def latent_mask(mask: Tensor) -> Tensor:
    """[H, W] uint8, H and W multiples of 8 -> [1, 1, H / 8, W / 8] float32, 0 to 1."""
    return torch.nn.functional.interpolate(mask[None, None].float() / 255, scale_factor=1 / 8, mode="bilinear")


def decode(vae: AutoencoderKL, latent: Tensor) -> Tensor:
    """[1, 4, h, w] latent -> [8 h, 8 w, 3] uint8 RGB on the CPU."""
    pixels = vae.decode(latent / vae.config.scaling_factor).sample[0]
    return ((pixels / 2 + 0.5).clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).cpu()


def encode(vae: AutoencoderKL, pixels: Tensor) -> Tensor:
    """[H, W, 3] uint8 RGB, H and W multiples of 8 -> [1, 4, H / 8, W / 8], the most likely latent, as in ComfyUI."""
    scaled = pixels.permute(2, 0, 1)[None].to(vae.device, vae.dtype) / 127.5 - 1
    return vae.encode(scaled).latent_dist.mode() * vae.config.scaling_factor


def _schedule(
    settings: Settings, seed: int, config: dict[str, Any], noise: Tensor, denoise: float
) -> tuple[Any, Tensor]:
    """The scheduler, and those of its timesteps that are run."""
    import diffusers

    chosen: Scheduler = settings.scheduler
    scheduler = getattr(diffusers, chosen.diffusers_class).from_config(config, **chosen.diffusers_kwargs)
    steps, run = partial_steps(settings.steps, denoise)
    scheduler.set_timesteps(steps, device=noise.device)
    begin = (steps - run) * scheduler.order  # a solver of second order has two timesteps a step
    if begin:
        scheduler.set_begin_index(begin)
    if hasattr(scheduler, "noise_sampler"):
        scheduler.noise_sampler = _brownian_noise(seed, scheduler.sigmas[begin:], noise)
    return scheduler, scheduler.timesteps[begin:]


def _step_options(scheduler: Any, seed: int) -> dict[str, torch.Generator]:
    """The arguments of the scheduler's ``step``."""
    takes_generator = "generator" in inspect.signature(scheduler.step).parameters
    return {"generator": torch.Generator().manual_seed(step_noise_seed(seed))} if takes_generator else {}


def _first_noise(seed: int, settings: Settings, start: Start | None, device: torch.device) -> Tensor:
    shape = (1, 4, settings.height // 8, settings.width // 8) if start is None else start.latent.shape
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(device)


def _first_scale(scheduler: Any) -> float:
    """Solvers that work on x0 + sigma * noise begin at sqrt(1 + sigma^2), for all of the picture is noise then.

    With timesteps spaced as ComfyUI's, diffusers would begin at sigma, 0.2 % less; in ComfyUI it is this.
    """
    scale = float(scheduler.init_noise_sigma)
    return math.hypot(1.0, scale) if scale > 1.0 else scale


def _brownian_noise(seed: int, sigmas: Tensor, noise: Tensor) -> Callable[[Tensor, Tensor], Tensor]:
    """Increments of one Brownian path over the noise levels, which solvers of an SDE take, drawn on the CPU."""
    from diffusers.schedulers.scheduling_dpmsolver_sde import BrownianTreeNoiseSampler

    low, high = sigmas[sigmas > 0].min().item(), sigmas.max().item()
    like = torch.zeros(noise.shape)
    if low == high:  # one step: it ends without noise
        return lambda *_: like.to(noise.device)
    path = BrownianTreeNoiseSampler(like, low, high, seed)

    def increment(sigma: Tensor, sigma_next: Tensor) -> Tensor:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # torchsde rounds the path's ends, and warns that ours differ
            return path(sigma.cpu(), sigma_next.cpu()).to(noise.device)

    return increment
