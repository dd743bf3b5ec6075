"""A person beside what ComfyUI itself has: ControlNet, T2I-Adapter, GLIGEN, inpainting models; every sampler; SDXL.

What the person must be there is the formula of the paper, written out on each layer with nothing precomputed, and
nothing of ours in the model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import comfy.samplers
import pytest
import torch
from support.comfy_formula import by_formula
from support.comfy_model import apply, comfy_model, conditioning
from support.core_neighbours import Company, controlnet, gligen, inpainting, t2i_adapter
from support.fidelity import adapter_for, random_faces, saved_adapter
from support.oracle import relative_l2
from support.unet import SD15_REDUCED, sd15_unet, sdxl_unet

BOUND = 1e-5
SIZE = (8, 12)
STRENGTH = 0.8
ALICE = random_faces(seed=1)


@dataclass(frozen=True)
class Setup:
    """A bare model, Alice's adapter for it, and what stands beside her."""

    bare: Any
    adapter: Any
    sections: dict
    width: int
    company: Company

    def alice(self, **inputs):
        return apply(self.bare, self.adapter, ALICE, **({"strength": STRENGTH} | inputs))

    def by_formula(self):
        return by_formula(self.bare, self.adapter, self.sections, ALICE, STRENGTH)


def text(width: int, value: float) -> list:
    return conditioning(width, value, seed=int(8 + value))


def draw(setup: Setup, model, pictures: slice | int = 1, company: Company | None = None, sampler: str = "euler"):
    company = company or setup.company
    guider = comfy.samplers.CFGGuider(model)
    guider.set_conds(*company.conds(text(setup.width, 1.0), text(setup.width, -1.0)))
    guider.set_cfg(3.0)
    rows = slice(pictures) if isinstance(pictures, int) else pictures
    noise = torch.randn(3, 4, *SIZE, generator=torch.Generator().manual_seed(5))[rows]
    latent = torch.zeros_like(noise) if company.latent is None else company.latent.expand_as(noise).clone()
    sampling = guider.model_patcher.get_model_object("model_sampling")
    sigmas = comfy.samplers.calculate_sigmas(sampling, "normal", 4)[2:]  # two steps of four: a picture made again
    how = comfy.samplers.sampler_object(sampler)
    with torch.inference_mode():
        return guider.sample(noise, latent, how, sigmas, denoise_mask=company.mask, seed=1)


def setup_of(family: str, company_of=lambda unet, size: Company(), **more):
    unet = sd15_unet(SD15_REDUCED, **more) if family == "sd15" else sdxl_unet((32, 64, 128), **more)
    sections = adapter_for(unet, "faceid", family, lora_rank=4)
    width = unet.config.cross_attention_dim
    with saved_adapter(sections, "faceid") as adapter:
        yield Setup(comfy_model(unet), adapter, sections, width, company_of(unet, SIZE))


COMPANY = {
    "ControlNet": ("sd15", controlnet, {}),
    "ControlNet SDXL": ("sdxl", controlnet, {}),
    "T2I-Adapter": ("sd15", t2i_adapter, {}),
    "T2I-Adapter SDXL": ("sdxl", t2i_adapter, {}),
    "GLIGEN": ("sd15", gligen, {}),
    "inpainting": ("sd15", inpainting, {"in_channels": 9}),
    "inpainting SDXL": ("sdxl", inpainting, {"in_channels": 9}),
}


@pytest.fixture(scope="module", params=COMPANY.values(), ids=COMPANY)
def beside(request):
    family, company, more = request.param
    yield from setup_of(family, company, **more)


def test_the_person_is_the_formula_on_every_layer(beside):
    alice = draw(beside, beside.alice())
    assert relative_l2(alice, draw(beside, beside.by_formula())) <= BOUND
    assert relative_l2(alice, draw(beside, beside.alice(strength=0.0))) > 100 * BOUND, "the person shows"
    assert relative_l2(alice, draw(beside, beside.alice(), company=Company())) > 100 * BOUND, "the company acts"


def test_without_strength_the_picture_is_the_bare_models(beside):
    assert torch.equal(draw(beside, beside.alice(strength=0.0, lora_strength=0.0)), draw(beside, beside.bare))


def halves() -> torch.Tensor:
    masks = torch.zeros(2, 8 * SIZE[0], 8 * SIZE[1])
    masks[0, :, : 4 * SIZE[1]], masks[1, :, 4 * SIZE[1] :] = 1.0, 1.0
    return masks


def test_each_picture_of_a_batch_is_the_one_drawn_alone_with_its_mask(beside):
    together = draw(beside, beside.alice(mask=halves()), 3)
    for number in range(3):
        mask = halves()[number % 2 : number % 2 + 1]
        alone = draw(beside, beside.alice(mask=mask), slice(number, number + 1))
        assert relative_l2(together[number], alone[0]) <= BOUND


def test_two_people_with_masks_that_complete_each_other_are_both_there(beside):
    left, right = halves().split(1)
    both = apply(beside.alice(mask=left), beside.adapter, ALICE, mask=right, strength=STRENGTH)
    assert relative_l2(draw(beside, both, 2), draw(beside, beside.alice(), 2)) <= BOUND
    assert relative_l2(draw(beside, both, 2), draw(beside, beside.alice(mask=left), 2)) > 100 * BOUND


@pytest.fixture(scope="module")
def alone(request):
    yield from setup_of(request.param)


SAMPLERS = ["euler", "heun", "dpm_2", "uni_pc", "uni_pc_bh2", "ddim", "dpmpp_2m", "lcm"]


@pytest.mark.parametrize(
    ("alone", "sampler"),
    [*(("sd15", sampler) for sampler in SAMPLERS), *(("sdxl", sampler) for sampler in SAMPLERS[:5])],
    indirect=["alone"],
)
def test_a_picture_made_again_by_any_sampler_shows_the_formula(alone, sampler):
    picture = Company(latent=torch.randn(1, 4, *SIZE, generator=torch.Generator().manual_seed(9)))
    alice = draw(alone, alone.alice(), 2, picture, sampler)
    assert relative_l2(alice, draw(alone, alone.by_formula(), 2, picture, sampler)) <= BOUND
    assert relative_l2(alice, draw(alone, alone.alice(strength=0.0), 2, picture, sampler)) > 100 * BOUND
