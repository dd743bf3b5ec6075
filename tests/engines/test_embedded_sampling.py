"""Denoising: seeds, schedulers, guidance. On the topology of SD 1.5 at a tenth of its width."""

from __future__ import annotations

import copy
from types import SimpleNamespace

import pytest
import torch
from faceid_tunes.faceid_core.engines.embedded.sampling import (
    Conditioning,
    Start,
    decode,
    draw_latent,
    latent_mask,
)
from faceid_tunes.faceid_core.engines.embedded.unet import UNetBatch
from faceid_tunes.faceid_core.errors import FaceIDError
from faceid_tunes.faceid_core.prompts import SCHEDULERS, Prompt, resolve
from support.embedded import small_pipeline, watched
from support.oracle import relative_l2

pytestmark = pytest.mark.slow  # diffusers is loaded, a UNet made and called for each

LOCAL = [name for name, scheduler in SCHEDULERS.items() if not scheduler.why_not_local]


@pytest.fixture(scope="module")
def pipeline():
    return small_pipeline()


def conditioning(scale: float = 1.0, seed: int = 5) -> Conditioning:
    texts = torch.randn(2, 1, 77, 768, generator=torch.Generator().manual_seed(seed)) * scale
    return Conditioning(texts[0], texts[1])


def draw(
    pipeline,
    *,
    seed: int = 7,
    texts: Conditioning | None = None,
    on_step=lambda done, total: None,
    start: Start | None = None,
    **parameters,
):
    settings = resolve(Prompt("a cat", **({"w": 128, "h": 64, "steps": 2, "cfg_scale": 3.0} | parameters)), 512)
    config, batch = pipeline.scheduler.config, UNetBatch()
    with torch.no_grad():
        return draw_latent(pipeline.unet, batch, texts or conditioning(), settings, seed, config, on_step, start)


@pytest.mark.parametrize("scheduler", LOCAL)
@pytest.mark.parametrize("steps", [1, 3])
def test_every_scheduler_draws_a_latent_of_the_size_asked_for(pipeline, scheduler, steps):
    latent = draw(pipeline, scheduler=scheduler, steps=steps)
    assert latent.shape == (1, 4, 8, 16) and latent.isfinite().all()


@pytest.mark.parametrize("scheduler", LOCAL)
def test_a_seed_is_one_picture_and_another_seed_another(pipeline, scheduler):
    first = draw(pipeline, scheduler=scheduler, seed=7)
    torch.manual_seed(1234)  # nothing is drawn from torch's own generator
    assert torch.equal(first, draw(pipeline, scheduler=scheduler, seed=7))
    assert not torch.equal(first, draw(pipeline, scheduler=scheduler, seed=8))


@pytest.mark.parametrize("scheduler", LOCAL)
@pytest.mark.parametrize("denoise", [0.4, 1.0])
def test_around_a_mask_the_latent_stays_and_within_it_is_drawn(pipeline, scheduler, denoise):
    latent = torch.randn(1, 4, 8, 16, generator=torch.Generator().manual_seed(3))
    mask = torch.zeros(64, 128, dtype=torch.uint8)
    mask[:, 64:] = 255
    start = Start(latent, denoise, latent_mask(mask))
    drawn = draw(pipeline, scheduler=scheduler, steps=3, start=start)
    assert torch.equal(drawn[..., :7], latent[..., :7])
    assert relative_l2(drawn[..., 9:], latent[..., 9:]) > 1e-2
    other = draw(pipeline, scheduler=scheduler, steps=3, start=start, seed=8)
    assert not torch.equal(drawn[..., 9:], other[..., 9:])


def test_progress_counts_the_calls_of_the_unet(pipeline):
    steps = []
    with watched(pipeline) as seen:
        draw(pipeline, scheduler="dpm++sde", steps=3, on_step=lambda *step: steps.append(step))
    assert steps == [(number, 5) for number in range(1, 6)]  # two calls a step, one for the last
    assert len(seen.unet_calls) == 5


def test_guidance_of_one_calls_the_unet_with_the_positive_row_only(pipeline):
    with watched(pipeline) as seen:
        alone = draw(pipeline, cfg_scale=1.0)
    assert {len(call["sample"]) for call, _ in seen.unet_calls} == {1}
    texts = conditioning()
    same = Conditioning(texts.positive, texts.positive)
    assert relative_l2(draw(pipeline, cfg_scale=3.0, texts=same), alone) < 1e-5


def test_guidance_below_one_weighs_the_negative_prompt_as_in_comfyui(pipeline):
    """diffusers' pipelines would draw the positive prompt at full strength."""
    texts = conditioning()
    only_negative = Conditioning(texts.negative, texts.positive)
    assert relative_l2(draw(pipeline, cfg_scale=0.0), draw(pipeline, cfg_scale=1.0, texts=only_negative)) < 1e-5
    assert relative_l2(draw(pipeline, cfg_scale=0.5), draw(pipeline, cfg_scale=1.0)) > 1e-3


def test_rows_of_the_batch_follow_the_guidance(pipeline):
    batch, rows = UNetBatch(), []
    hook = pipeline.unet.register_forward_pre_hook(lambda *_: rows.append(batch.rows))
    for cfg_scale in (3.0, 1.0):
        settings = resolve(Prompt("a cat", w=64, h=64, steps=1, cfg_scale=cfg_scale), 512)
        with torch.no_grad():
            config = pipeline.scheduler.config
            draw_latent(pipeline.unet, batch, conditioning(), settings, 7, config, lambda *_: None)
    hook.remove()
    assert rows == [(False, True), (True,)]


def test_a_picture_that_is_not_made_of_numbers_is_an_error_not_a_black_picture(pipeline):
    with pytest.raises(FaceIDError, match="NaN"):
        draw(pipeline, texts=conditioning(scale=float("inf")))


def test_a_unet_in_half_precision_is_fed_and_read_in_float32(pipeline):
    """As on a GPU: only the UNet is of half precision, the latent between its calls is not."""
    whole = draw(pipeline, scheduler="euler_a")
    unet = copy.deepcopy(pipeline.unet)
    half = draw(SimpleNamespace(unet=torch.nn.Module.to(unet, torch.bfloat16), scheduler=pipeline.scheduler),
                scheduler="euler_a")  # fmt: skip
    assert half.dtype == torch.float32
    assert relative_l2(half, whole) < 0.05


def test_a_latent_becomes_rgb_pixels(pipeline):
    """Minus one is black and plus one white; what is beyond is no other colour."""
    vae, latent = pipeline.vae, torch.randn(1, 4, 8, 16, generator=torch.Generator().manual_seed(1)) * 3
    with torch.no_grad():
        drawn = vae.decode(latent / 0.18215).sample[0].permute(1, 2, 0)
        gain = 3 / drawn.std()
        last = vae.decoder.conv_out
        last.weight *= gain
        last.bias *= gain
        pixels = decode(vae, latent)
        last.weight /= gain
        last.bias /= gain
    assert pixels.shape == (64, 128, 3) and pixels.dtype == torch.uint8
    expected = ((drawn * gain / 2 + 0.5) * 255).clip(0, 255)
    assert (expected == 0).any() and (expected == 255).any() and expected.std() > 20
    assert (pixels - expected).abs().max() < 0.6
