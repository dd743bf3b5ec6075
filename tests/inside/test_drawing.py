"""A prompt drawn in ComfyUI: seeds, samplers, sizes, LoRAs, and the errors that point into the text."""

from __future__ import annotations

import comfy.samplers
import pytest
import torch
from comfy_extras.nodes_custom_sampler import SamplerCustomAdvanced
from faceid_tunes.faceid_core.engines.lora_tags import lcm_lora
from faceid_tunes.faceid_core.prompts import Prompt, PromptError
from faceid_tunes.faceid_core.prompts.schedulers import SCHEDULERS
from faceid_tunes.nodes.drawing import _checked_masks
from faceid_tunes.nodes.host import folders, models, sampling
from support.comfy_model import comfy_model, conditioning
from support.oracle import relative_l2
from support.unet import sd15_unet

WIDTH = 64
LOCAL = [name for name, scheduler in SCHEDULERS.items() if not scheduler.why_not_local]


@pytest.fixture(scope="module")
def model():
    return comfy_model(sd15_unet((32, 64, 64, 64), context=WIDTH))


def draw(model, scheduler: str, seeds: tuple[int, ...], steps: int = 2) -> torch.Tensor:
    """What SamplerCustomAdvanced makes of FaceIDApplyPrompt's outputs."""
    chosen = SCHEDULERS[scheduler]
    guider = sampling.cfg_guider(model, conditioning(WIDTH, 1.0), conditioning(WIDTH, -1.0), 3.0)
    with torch.inference_mode():
        latent, _ = SamplerCustomAdvanced.execute(
            sampling.ImageNoise(seeds),
            guider,
            sampling.sampler(chosen.comfy_sampler, seeds),
            sampling.sigmas(model, chosen.comfy_schedule, steps),
            sampling.empty_latent(model, 128, 64, len(seeds)),
        ).args
    return latent["samples"]


@pytest.mark.parametrize("scheduler", LOCAL)
def test_each_image_of_a_batch_is_the_image_its_seed_draws_alone(model, scheduler):
    batch = draw(model, scheduler, (7, 8))
    alone = torch.cat([draw(model, scheduler, (seed,)) for seed in (7, 8)])
    assert relative_l2(batch, alone) < 1e-4


def test_the_same_seed_draws_the_same_picture(model):
    assert torch.equal(draw(model, "euler_a", (7,)), draw(model, "euler_a", (7,)))
    assert not torch.equal(draw(model, "euler_a", (7,)), draw(model, "euler_a", (8,)))


def test_a_larger_latent_than_asked_for_counts_the_seeds_on():
    noise = sampling.ImageNoise((7, 8)).generate_noise({"samples": torch.zeros(3, 4, 8, 8)})
    assert torch.equal(noise[2:], sampling.ImageNoise((9,)).generate_noise({"samples": torch.zeros(1, 4, 8, 8)}))


@pytest.mark.parametrize("scheduler", LOCAL)
def test_every_local_scheduler_name_is_one_comfyui_knows(scheduler):
    assert SCHEDULERS[scheduler].comfy_sampler in comfy.samplers.SAMPLER_NAMES
    assert SCHEDULERS[scheduler].comfy_schedule in comfy.samplers.SCHEDULER_NAMES


@pytest.mark.parametrize(
    ("pictures", "masks", "of_each"),
    [(3, 1, [[0], [0]]), (3, 2, [[0], [1]]), (3, 6, [[0, 1, 2], [3, 4, 5]]), (1, 2, [[0], [1]])],
)
def test_masks_are_one_for_all_one_a_person_or_one_a_person_and_picture(pictures, masks, of_each):
    prompt = Prompt("<faceid:a:1> <faceid:b:1>", num_images=pictures)
    numbered = torch.arange(masks).float()[:, None, None]
    assert [mask.flatten().tolist() for mask in _checked_masks(prompt, numbered)] == of_each


@pytest.mark.parametrize("masks", [3, 4, 12])
def test_other_numbers_of_masks_are_refused(masks):
    prompt = Prompt("<faceid:a:1> <faceid:b:1>", num_images=3)
    with pytest.raises(PromptError, match=f"2 people in 3 pictures but {masks} masks"):
        _checked_masks(prompt, torch.zeros(masks, 8, 8))


def test_lcm_patches_the_models_sampling(model):
    lora = lcm_lora(folders.lora_names(), sdxl=False)
    patched = models.add_lcm(model, lora)
    assert lora is None or "lcm" in lora.lower()
    assert type(patched.get_model_object("model_sampling")) is not type(model.get_model_object("model_sampling"))
