"""A person on models whose weights are small, stay outside the graphics card, or are saved again."""

from __future__ import annotations

import comfy.model_management as management
import comfy.samplers
import comfy.sd
import comfy.supported_models
import pytest
import safetensors.torch
import torch
from faceid_tunes.nodes.sampling_run import IDENTITIES
from support.comfy_formula import by_formula
from support.comfy_model import apply, comfy_model, conditioning, sample
from support.fidelity import adapter_for, random_faces
from support.oracle import relative_l2
from support.unet import family_of, narrow_unet

WIDTH = 64
BOUND = 1e-5
ALICE = random_faces(seed=1)


@pytest.fixture(scope="module", params=["sd15", "sdxl"])
def unet(request):
    return narrow_unet(request.param, WIDTH)


def draw(model) -> torch.Tensor:
    guider = comfy.samplers.CFGGuider(model)
    guider.set_conds(conditioning(WIDTH, 1.0), conditioning(WIDTH, -1.0, seed=8))
    guider.set_cfg(3.0)
    return sample(guider, batch=2)


@pytest.mark.parametrize(
    ("weights", "computed"),
    [
        (torch.float16, None),
        (torch.bfloat16, None),
        (torch.float16, torch.float32),
        (torch.float8_e4m3fn, torch.float32),
        (torch.float8_e5m2, torch.bfloat16),
    ],
    ids=str,
)
@pytest.mark.parametrize("lora_strength", [0.0, 1.0])
def test_on_small_weights_the_person_is_as_near_as_the_formula(unet, bare, adapter, weights, computed, lora_strength):
    sections = adapter_for(unet, "faceid", family_of(unet), lora_rank=4)  # the fixture's own
    small = comfy_model(unet, weights, computed)
    exact, rounded = (draw(by_formula(model, adapter, sections, ALICE, 1.0, lora_strength)) for model in (bare, small))
    alice = draw(apply(small, adapter, ALICE, lora_strength=lora_strength))
    assert relative_l2(draw(apply(bare, adapter, ALICE, lora_strength=lora_strength)), exact) <= BOUND
    assert relative_l2(alice, exact) <= 1.1 * relative_l2(rounded, exact)
    if computed is torch.float32:
        assert relative_l2(alice, rounded) <= BOUND
    assert torch.equal(draw(apply(small, adapter, ALICE, strength=0.0, lora_strength=0.0)), draw(small))


# Bytes of weights that may be on the graphics card: what these options make ComfyUI load a model with. On the CPU,
# which has no other memory to leave them in, the options themselves do nothing.
ROOM = {"--novram": 0.1, "--lowvram": 300_000}


@pytest.mark.parametrize("room", ROOM.values(), ids=ROOM)
@pytest.mark.parametrize("people", [1, 2])
def test_weights_that_stay_outside_the_card_draw_the_same_person(unet, adapter, monkeypatch, room, people):
    masks = [None] if people == 1 else [torch.ones(1, 128, 192).tril(), 1 - torch.ones(1, 128, 192).tril()]

    def shown():
        model = comfy_model(unet)
        for number, mask in enumerate(masks):
            model = apply(model, adapter, random_faces(seed=number), mask=mask)
        return model

    inside = draw(shown())
    management.unload_all_models()
    load = management.LoadedModel.model_load
    monkeypatch.setattr(management.LoadedModel, "model_load", lambda self, *_, **more: load(self, room, **more))
    model = shown()
    outside = draw(model)
    assert model.model.model_lowvram and model.model.lowvram_patch_counter, "weights and the LoRA stayed outside"
    assert relative_l2(outside, inside) <= BOUND


def test_a_checkpoint_saved_after_apply_has_the_lora_and_nobody_in_it(unet, bare, adapter, tmp_path):
    def saved(model, name: str) -> dict[str, torch.Tensor]:
        comfy.sd.save_checkpoint(str(tmp_path / name), model)
        return safetensors.torch.load_file(tmp_path / name)

    alice = saved(apply(bare, adapter, ALICE), "alice.safetensors")
    nobody = saved(apply(bare, adapter, ALICE, strength=0.0), "nobody.safetensors")
    plain = saved(bare, "plain.safetensors")
    assert {name: weight.shape for name, weight in alice.items()} == {n: w.shape for n, w in plain.items()}
    assert all(torch.equal(alice[name], nobody[name]) for name in alice)
    assert any(not torch.equal(alice[name], plain[name]) for name in alice), "the LoRA is in it"

    again = comfy_model(unet)
    prefix = "model.diffusion_model."
    own = {name.removeprefix(prefix): w for name, w in alice.items() if name.startswith(prefix)}
    again.model.diffusion_model.load_state_dict(own, strict=True, assign=True)
    assert IDENTITIES not in again.model_options["transformer_options"]
    assert relative_l2(draw(again), draw(apply(bare, adapter, ALICE, strength=0.0))) <= BOUND
    once_more = apply(again, adapter, ALICE, lora_strength=0.0)  # the LoRA is in the weights already
    assert relative_l2(draw(once_more), draw(apply(bare, adapter, ALICE))) <= BOUND
