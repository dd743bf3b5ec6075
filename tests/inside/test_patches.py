"""How an identity lives on a model beside other identities, other extensions, clones, ranges and masks."""

from __future__ import annotations

import copy

import comfy.model_patcher
import comfy.samplers
import pytest
import torch
from comfy.ldm.modules.attention import optimized_attention
from faceid_tunes.faceid_core.adapter.rows import rows_of_roles
from faceid_tunes.faceid_core.errors import AdapterError
from faceid_tunes.nodes.sampling_run import IDENTITIES
from support.comfy_model import UNetSpy, apply, comfy_model, conditioning, sample
from support.fidelity import adapter_for, random_faces, saved_adapter
from support.oracle import relative_l2
from support.unet import sd15_unet, sdxl_unet

WIDTH = 64
TINY = (32, 64, 64, 64)
ALICE, BOB = random_faces(seed=1), random_faces(seed=2)


@pytest.fixture(scope="module")
def unet():
    return sd15_unet(TINY, context=WIDTH)


@pytest.fixture(scope="module")
def model(unet):
    return comfy_model(unet)


def draw(model, steps: int = 1, size=(16, 24), batch: int = 1) -> torch.Tensor:
    guider = comfy.samplers.CFGGuider(model)
    guider.set_conds(conditioning(WIDTH, 1.0), conditioning(WIDTH, -1.0, seed=8))
    guider.set_cfg(3.0)
    return sample(guider, size=size, steps=steps, batch=batch)


def close(a: torch.Tensor, b: torch.Tensor) -> bool:
    return relative_l2(a, b) < 1e-5


def test_strength_0_and_lora_0_draw_the_bare_models_picture(model, adapter):
    assert torch.equal(draw(apply(model, adapter, ALICE, strength=0.0, lora_strength=0.0)), draw(model))


def test_another_face_draws_another_picture(model, adapter):
    alice, bob = draw(apply(model, adapter, ALICE)), draw(apply(model, adapter, BOB))
    assert not close(alice, bob)


def merges(monkeypatch, model) -> int:
    """How many weights ComfyUI merges to draw with a model."""
    merged, merge = [], comfy.model_patcher.ModelPatcher.patch_weight_to_device
    with monkeypatch.context() as patch:
        patch.setattr(
            comfy.model_patcher.ModelPatcher,
            "patch_weight_to_device",
            lambda self, key, *args, **kwargs: (
                key in self.patches and merged.append(key),
                merge(self, key, *args, **kwargs),
            )[1],
        )
        draw(model)
    return len(merged)


def test_another_face_or_strength_merges_the_lora_no_second_time(model, adapter, monkeypatch):
    draw(model)
    assert merges(monkeypatch, apply(model, adapter, ALICE)) > 0
    assert merges(monkeypatch, apply(model, adapter, BOB)) == 0
    assert merges(monkeypatch, apply(model, adapter, BOB, strength=0.5)) == 0
    picture = draw(apply(model, adapter, ALICE))
    assert merges(monkeypatch, apply(model, adapter, ALICE, lora_strength=0.5)) > 0
    draw(model)
    assert torch.equal(draw(apply(model, adapter, ALICE)), picture)


def test_applying_leaves_the_given_model_as_it_was(model, adapter):
    before = draw(model)
    alice = apply(model, adapter, ALICE)
    picture = draw(alice)
    apply(alice, adapter, BOB)
    assert torch.equal(draw(model), before)
    assert torch.equal(draw(alice), picture)


def test_two_people_add_up_in_any_order(model, adapter):
    alice_bob = draw(apply(apply(model, adapter, ALICE), adapter, BOB))
    bob_alice = draw(apply(apply(model, adapter, BOB), adapter, ALICE))
    assert close(alice_bob, bob_alice)
    assert not close(alice_bob, draw(apply(model, adapter, ALICE)))


def test_the_same_person_twice_at_half_strength_is_the_person_once(model, adapter):
    half = apply(apply(model, adapter, ALICE, strength=0.5), adapter, ALICE, strength=0.5)
    assert close(draw(half), draw(apply(model, adapter, ALICE)))


def test_one_adapters_lora_is_merged_once_at_the_highest_strength_asked_for(model, adapter):
    weak_then_strong = apply(apply(model, adapter, ALICE, lora_strength=0.4), adapter, BOB, lora_strength=1.0)
    strong_then_weak = apply(apply(model, adapter, ALICE, lora_strength=1.0), adapter, BOB, lora_strength=0.4)
    assert close(draw(weak_then_strong), draw(strong_then_weak))


class Doubled:
    """A stand-in for another extension: text attention, twice."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, q, k, v, options):
        self.calls += 1
        return 2 * optimized_attention(q, k, v, options["n_heads"])


@pytest.mark.parametrize("address", [("middle", 0), ("middle", 0, 0)], ids=["short address", "long address"])
@pytest.mark.parametrize("ours_first", [True, False], ids=["applied before it", "applied after it"])
def test_another_extensions_patch_on_the_same_layer_keeps_working(model, adapter, address, ours_first):
    def patched_by_other(target):
        clone = target.clone()
        clone.set_model_attn2_replace(other, *address)
        return clone

    other = Doubled()
    both = (
        patched_by_other(apply(model, adapter, ALICE)) if ours_first else apply(patched_by_other(model), adapter, ALICE)
    )
    picture = draw(both)
    assert other.calls == 1
    assert not close(picture, draw(apply(model, adapter, ALICE))), "the other patch acts"
    assert not close(picture, draw(patched_by_other(model))), "the identity acts"


def test_output_patches_and_unet_wrappers_of_others_keep_working(model, adapter):
    seen = []
    patched = apply(model, adapter, ALICE)
    patched.set_model_attn2_output_patch(lambda n, options: (seen.append(options["block"]), n)[1])
    patched.set_model_unet_function_wrapper(lambda run, call: run(call["input"], call["timestep"], **call["c"]))
    assert torch.equal(draw(patched), draw(apply(model, adapter, ALICE)))
    assert len(seen) == 16


def test_every_layer_fires_exactly_once_per_unet_call_on_sd15(model, adapter):
    assert layers_fired(apply(model, adapter, ALICE), WIDTH) == list(range(16))


def test_every_layer_fires_exactly_once_per_unet_call_on_sdxl():
    unet = sdxl_unet((32, 64, 64), context=WIDTH)
    with saved_adapter(adapter_for(unet, "faceid", "sdxl", lora_rank=4), "faceid") as adapter:
        assert layers_fired(apply(comfy_model(unet), adapter, ALICE), WIDTH) == list(range(70))


def layers_fired(model, width: int) -> list[int]:
    (identity,) = model.model_options["transformer_options"][IDENTITIES]
    fired, attend = [], identity.attention.attend
    identity.attention.attend = lambda layer, *args: (fired.append(layer), attend(layer, *args))[1]
    guider = comfy.samplers.CFGGuider(model)
    guider.set_conds(conditioning(width, 1.0), conditioning(width, -1.0))
    guider.set_cfg(3.0)
    with UNetSpy(model) as spy:
        sample(guider)
    assert len(spy.calls) == 1
    return sorted(fired)


def test_ten_clones_share_one_set_of_keys_and_values(model, adapter):
    clone = apply(model, adapter, ALICE)
    clones = [clone := clone.clone() for _ in range(10)]
    stores = {c.model_options["transformer_options"][IDENTITIES][0].attention.kv.keys.data_ptr() for c in clones}
    assert len(stores) == 1


def test_deep_copying_a_models_options_copies_no_identity(model, adapter):
    shown = apply(model, adapter, ALICE)
    copied = copy.deepcopy(shown.model_options["transformer_options"][IDENTITIES])
    assert copied[0].attention is shown.model_options["transformer_options"][IDENTITIES][0].attention


def test_nothing_stays_on_the_device_after_sampling(model, adapter):
    shown = apply(model, adapter, ALICE, mask=torch.ones(1, 128, 192))
    draw(shown)
    attention = shown.model_options["transformer_options"][IDENTITIES][0].attention
    assert attention.is_released


def test_a_range_acts_on_the_steps_inside_it_only(model, adapter):
    whole = draw(apply(model, adapter, ALICE, lora_strength=0.0), steps=4)
    early = draw(apply(model, adapter, ALICE, lora_strength=0.0, end_at=0.5), steps=4)
    late = draw(apply(model, adapter, ALICE, lora_strength=0.0, start_at=0.5), steps=4)
    never = draw(apply(model, adapter, ALICE, lora_strength=0.0, start_at=0.998, end_at=0.999), steps=4)
    assert not close(whole, early) and not close(whole, late) and not close(early, late)
    assert torch.equal(never, draw(model, steps=4))


def test_a_range_follows_a_model_sampling_patched_in_afterwards(model, adapter):
    class Shifted(type(model.get_model_object("model_sampling"))):
        """Percentages mean other sigmas: the whole range lies above the first step."""

        def percent_to_sigma(self, percent):
            return 1e9 if percent < 1.0 else 1e8

    shown = apply(model, adapter, ALICE, lora_strength=0.0, start_at=0.1)
    shown.add_object_patch("model_sampling", Shifted(model.model.model_config))
    assert torch.equal(draw(shown), draw(model))


def test_a_mask_of_ones_changes_nothing_and_a_mask_of_zeros_shows_nobody(model, adapter):
    plain = draw(apply(model, adapter, ALICE))
    assert torch.equal(draw(apply(model, adapter, ALICE, mask=torch.ones(1, 128, 192))), plain)
    nobody = apply(model, adapter, ALICE, mask=torch.zeros(1, 128, 192))
    assert close(draw(nobody), draw(apply(model, adapter, ALICE, strength=0.0)))


@pytest.mark.parametrize("size", [(16, 16), (16, 24), (24, 16), (17, 29)], ids=str)
def test_two_complementary_masks_add_up_on_any_latent_size(model, adapter, size):
    left = torch.zeros(1, 8 * size[0], 8 * size[1])
    left[..., : 4 * size[1]] = 1.0
    halves = apply(apply(model, adapter, ALICE, mask=left), adapter, ALICE, mask=1 - left)
    assert close(draw(halves, size=size), draw(apply(model, adapter, ALICE), size=size))


def test_each_picture_of_a_batch_can_have_its_own_mask(model, adapter):
    masks = torch.stack([torch.ones(128, 192), torch.zeros(128, 192)])
    first, second = draw(apply(model, adapter, ALICE, mask=masks), batch=2)
    everywhere = draw(apply(model, adapter, ALICE), batch=2)
    nowhere = draw(apply(model, adapter, ALICE, strength=0.0), batch=2)
    assert close(first, everywhere[0]) and close(second, nowhere[1])


def test_half_precision_models_get_half_precision_keys(model, adapter):
    shown = apply(model, adapter, ALICE)
    attention = shown.model_options["transformer_options"][IDENTITIES][0].attention
    query = torch.randn(2, 16, 32, dtype=torch.bfloat16)
    ready = attention.ready(rows_of_roles((False, True)), query.dtype, query.device)
    assert attention.attend(0, query, ready).dtype is torch.bfloat16


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"start_at": 0.6, "end_at": 0.4}, "start_at (0.6) must be below end_at (0.4)"),
        ({"mask": torch.full((1, 8, 8), float("nan"))}, "mask: holds NaN"),
        ({"mask": torch.zeros(0, 8, 8)}, "mask: expected"),
    ],
)
def test_bad_inputs_are_refused_at_the_door(model, adapter, inputs, message):
    with pytest.raises(AdapterError, match="^" + message.replace("(", r"\(").replace(")", r"\)")):
        apply(model, adapter, ALICE, **inputs)


def test_an_sdxl_adapter_on_an_sd15_model_names_both(model):
    unet = sdxl_unet((32, 64, 64), context=WIDTH)
    with (
        saved_adapter(adapter_for(unet, "faceid", "sdxl", lora_rank=4), "faceid") as sdxl_adapter,
        pytest.raises(AdapterError, match=r"FaceID for SDXL, but the model is SD 1.5 \(16 cross-attention layers"),
    ):
        apply(model, sdxl_adapter, ALICE)


def test_an_sd15_adapter_on_an_sdxl_model_names_both(adapter):
    sdxl = comfy_model(sdxl_unet((32, 64, 64), context=WIDTH))
    with pytest.raises(AdapterError, match=r"FaceID for SD 1.5, but the model is SDXL \(70 cross-attention layers"):
        apply(sdxl, adapter, ALICE)


def test_faces_of_another_face_pack_are_refused_unless_as_a_preview(model, adapter):
    wrong = random_faces(space="sface")
    with pytest.raises(AdapterError, match=r"trained on buffalo_l.*switch on 'preview'"):
        apply(model, adapter, wrong)
    assert draw(apply(model, adapter, wrong, preview=True)).isfinite().all()
