"""A person on a model that ComfyUI's own nodes change as well, before or after: guidance, caches, merges, regions.

What the person must be there is the formula of the paper on each layer, changed by the same node, with nothing of ours
in the model.
"""

from __future__ import annotations

import inspect

import comfy.context_windows
import comfy.samplers
import comfy_extras.nodes_custom_sampler as custom_sampler
import comfy_extras.nodes_perpneg as perpneg
import pytest
import torch
from faceid_tunes.faceid_core.errors import AdapterError
from faceid_tunes.nodes.sampling_run import IDENTITIES
from node_helpers import conditioning_set_values
from support.comfy_formula import by_formula
from support.comfy_model import apply, comfy_model, conditioning
from support.fidelity import adapter_for, random_faces
from support.oracle import relative_l2
from support.unet import sd15_unet

import nodes

WIDTH = 64
BOUND = 1e-5
SIZE = (8, 12)
LARGER = (16, 24)  # where a tile has a least size, or a thing of one cell would make an error larger
ALICE = random_faces(seed=1)


def text(value: float, **extra) -> list:
    return conditioning(WIDTH, value, seed=int(8 + value), **extra)


def cfg(model, positive: list | None = None, negative: list | None = None, scale: float = 3.0):
    guider = comfy.samplers.CFGGuider(model)
    guider.set_conds(positive or text(1.0), negative or text(-1.0))
    guider.set_cfg(scale)
    return guider


def noise(pictures: int = 1, size: tuple[int, int] = SIZE) -> torch.Tensor:
    return torch.randn(pictures, 4, *size, generator=torch.Generator().manual_seed(5))


def draw(guider, latent: torch.Tensor, steps: int = 1, sampler=None, mask=None) -> torch.Tensor:
    sampling = guider.model_patcher.get_model_object("model_sampling")
    sigmas = comfy.samplers.calculate_sigmas(sampling, "normal", steps)
    torch.manual_seed(3)  # HyperTile and ToMe draw from torch's and from Python's own generator
    with torch.inference_mode():
        how = sampler or comfy.samplers.sampler_object("euler")
        return guider.sample(latent, torch.zeros_like(latent), how, sigmas, denoise_mask=mask, seed=1)


@pytest.fixture(scope="module")
def formula(unet, bare, adapter):
    return by_formula(bare, adapter, adapter_for(unet, "faceid", "sd15", lora_rank=4), ALICE, 1.0, 0.0)


@pytest.fixture(scope="module")
def alice(bare, adapter):
    """A model with Alice on it, by default the bare one; inputs of FaceIDApply as keywords."""
    return lambda model=bare, **inputs: apply(model, adapter, ALICE, lora_strength=0.0, **inputs)


def node(module: str, name: str, *inputs, **more):
    """What a node of ComfyUI's extras makes of a model; skips where this ComfyUI is older than the node."""

    def change(model):
        made = getattr(pytest.importorskip(f"comfy_extras.{module}"), name)
        run = made.execute if hasattr(made, "execute") else getattr(made(), made.FUNCTION)
        result = run(model, *inputs, **more)
        return getattr(result, "args", result)[0]

    return change


class Hypernetwork:
    """As ComfyUI's own: one more layer on the text of keys and values, moved to the device with the model."""

    def __init__(self) -> None:
        self.layer = torch.nn.Linear(WIDTH, WIDTH, bias=False)
        self.layer.weight.data = torch.randn(WIDTH, WIDTH, generator=torch.Generator().manual_seed(2)) * WIDTH**-0.5

    def __call__(self, query, key, value, options):
        return query, key + self.layer(key), value + self.layer(value)

    def to(self, device):
        self.layer.to(device)
        return self


def hypernetwork(model):
    changed = model.clone()
    changed.set_model_attn2_patch(Hypernetwork())
    return changed


def merged(model):
    other = comfy_model(sd15_unet((32, 64, 64, 64), context=WIDTH, seed=9))
    return node("nodes_model_merging", "ModelMergeSimple", other, 0.7)(model)


NODES = {
    "FreeU": node("nodes_freelunch", "FreeU", 1.1, 1.2, 0.9, 0.2),
    "FreeU_V2": node("nodes_freelunch", "FreeU_V2", 1.3, 1.4, 0.9, 0.2),
    "HyperTile": node("nodes_hypertile", "HyperTile", 64, 1, 1, False),
    "TomePatchModel": node("nodes_tomesd", "TomePatchModel", 0.3),
    "RescaleCFG": node("nodes_model_advanced", "RescaleCFG", 0.7),
    "SelfAttentionGuidance": node("nodes_sag", "SelfAttentionGuidance", 0.5, 2.0),
    "PerturbedAttentionGuidance": node("nodes_pag", "PerturbedAttentionGuidance", 3.0),
    "NAGuidance": node("nodes_nag", "NAGuidance", 5.0, 0.5, 1.5),
    "PerpNeg": node("nodes_perpneg", "PerpNeg", text(-0.25), 1.0),
    "TCFG": node("nodes_tcfg", "TCFG"),
    "Mahiro": node("nodes_mahiro", "Mahiro"),
    "APG": node("nodes_apg", "APG", 1.0, 5.0, 0.0),
    "FreSca": node("nodes_fresca", "FreSca", 1.0, 1.25, 20),
    "EpsilonScaling": node("nodes_eps", "EpsilonScaling", 1.005),
    "CFGZeroStar": node("nodes_cfg", "CFGZeroStar"),
    "CFGNorm": node("nodes_cfg", "CFGNorm", 1.0),
    "EasyCache": node("nodes_easycache", "EasyCacheNode", 3.0, 0.0, 1.0, False),
    "LazyCache": node("nodes_easycache", "LazyCacheNode", 3.0, 0.0, 1.0, False),
    "UNetSelfAttentionMultiply": node("nodes_attention_multiply", "UNetSelfAttentionMultiply", 1.1, 0.9, 1.1, 0.9),
    "UNetCrossAttentionMultiply": node("nodes_attention_multiply", "UNetCrossAttentionMultiply", 1.1, 0.9, 1.1, 0.9),
    "ModelSamplingDiscrete": node("nodes_model_advanced", "ModelSamplingDiscrete", "v_prediction", False),
    "PatchModelAddDownscale": node(
        "nodes_model_downscale", "PatchModelAddDownscale", 3, 1.5, 0.0, 1.0, True, "bicubic", "bicubic"
    ),
    "a hypernetwork": hypernetwork,
    "ModelMergeSimple": merged,
}


@pytest.mark.parametrize("change", NODES.values(), ids=NODES)
def test_a_node_that_changes_the_model_changes_the_formula_alike(bare, alice, formula, change):
    latent = noise(2, LARGER if change in (NODES["HyperTile"], NODES["SelfAttentionGuidance"]) else SIZE)
    wanted = draw(cfg(change(formula)), latent, 4)
    for model in (change(alice()), alice(change(bare))):
        assert relative_l2(draw(cfg(model), latent, 4), wanted) <= BOUND
    assert relative_l2(wanted, draw(cfg(change(bare)), latent, 4)) > 100 * BOUND, "the person shows"
    assert relative_l2(wanted, draw(cfg(formula), latent, 4)) > 0, "the node acts"


# -- guiders -----------------------------------------------------------------------------------------------------------


def basic(model, positive=None):
    guider = custom_sampler.Guider_Basic(model)
    guider.set_conds(positive or text(1.0))
    return guider


def dual_cfg(nested: bool):
    def guider_of(model, positive=None):
        guider = custom_sampler.Guider_DualCFG(model)
        guider.set_conds(positive or text(1.0), text(-0.5), text(-1.0))
        guider.set_cfg(3.0, 2.0, nested=nested)
        return guider

    return guider_of


def perp_neg(model, positive=None):
    guider = perpneg.Guider_PerpNeg(model)
    guider.set_conds(positive or text(1.0), text(-1.0), text(-0.25))
    guider.set_cfg(3.0, 1.0)
    return guider


def dual_model(model, positive=None):
    """The negative prompt on a model of its own: here on a clone of the same."""
    if not hasattr(custom_sampler, "Guider_DualModel"):
        pytest.skip("This ComfyUI is older than DualModelGuider.")
    guider = custom_sampler.Guider_DualModel(model, model.clone())
    guider.set_conds(positive or text(1.0), text(-1.0))
    guider.set_cfg(3.0)
    return guider


GUIDERS = {
    "BasicGuider": basic,
    "CFGGuider": cfg,
    "DualCFGGuider": dual_cfg(nested=False),
    "DualCFGGuider nested": dual_cfg(nested=True),
    "PerpNegGuider": perp_neg,
    "DualModelGuider": dual_model,
}


@pytest.mark.parametrize("guider_of", GUIDERS.values(), ids=GUIDERS)
def test_every_guider_shows_the_formula_in_its_positive_prompt(alice, formula, guider_of):
    wanted = draw(guider_of(formula), noise(2), 2)
    assert relative_l2(draw(guider_of(alice()), noise(2), 2), wanted) <= BOUND
    assert relative_l2(draw(guider_of(alice(strength=0.0)), noise(2), 2), wanted) > 100 * BOUND, "the person shows"


def test_the_negative_prompt_on_a_model_of_its_own_is_the_negative_prompt(alice):
    left = torch.zeros(1, 64, 96)
    left[..., :48] = 1.0
    for inputs in ({}, {"mask": left}):
        shown = alice(**inputs)
        assert relative_l2(draw(dual_model(shown), noise(2)), draw(cfg(shown), noise(2))) <= BOUND


class OtherNames(comfy.samplers.CFGGuider):
    """A guider that calls its prompts in a way that says nothing of the person."""

    def predict_noise(self, x, timestep, model_options=None, seed=None):
        conds = [self.conds[name] for name in self.conds]
        return sum(comfy.samplers.calc_cond_batch(self.inner_model, conds, x, timestep, model_options))


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (("cond", "uncond"), True),
        (("positive", "style"), True),
        (("positive", "negative"), False),
        (("positive", "positive_2", "middle", "empty_negative_prompt"), False),
    ],
    ids=str,
)
def test_prompts_whose_name_does_not_say_whose_they_are_are_told_of(alice, caplog, names, told):
    guider = OtherNames(alice())
    guider.inner_set_conds({name: text(1.0) for name in names})
    draw(guider, noise())
    assert (f"are called {', '.join(names)}. A person is shown only in" in caplog.text) == told


# -- noise masks, and an end before the end ----------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["SetLatentNoiseMask", "DifferentialDiffusion"])
def test_a_noise_mask_for_each_picture_leaves_the_formula_in_each(bare, alice, formula, how):
    slope = torch.linspace(0, 1, SIZE[1]).expand(SIZE)
    masks = torch.stack([slope, torch.ones(SIZE), (slope > 0.5).float()])
    change = node("nodes_differential_diffusion", how) if how == "DifferentialDiffusion" else lambda model: model

    def drawn(model, rows=slice(3)) -> torch.Tensor:
        return draw(cfg(model), noise(3)[rows], 3, mask=masks[rows, None])

    wanted = drawn(change(formula))
    for model in (change(alice()), alice(change(bare))):
        assert relative_l2(drawn(model), wanted) <= BOUND
    masked = change(alice(mask=stripes(3)))
    alone = drawn(change(alice(mask=stripes(3)[1:2])), slice(1, 2))
    assert relative_l2(drawn(masked)[1], alone[0]) <= BOUND


def test_a_sampling_that_is_broken_off_leaves_nothing_on_the_device(alice):
    shown = alice(mask=stripes(2))

    def breaking(model, x, sigmas, extra_args=None, callback=None, disable=None):
        model(x, sigmas[:1], **extra_args)
        raise KeyboardInterrupt

    whole = draw(cfg(shown), noise(1), 2)
    with pytest.raises(KeyboardInterrupt):
        draw(cfg(shown), noise(1), 2, comfy.samplers.KSAMPLER(breaking))
    (identity,) = shown.model_options["transformer_options"][IDENTITIES]
    assert identity.attention.is_released
    assert torch.equal(draw(cfg(shown), noise(1), 2), whole)


# -- samplers that change the size -------------------------------------------------------------------------------------


def stripes(count: int, size: tuple[int, int] = SIZE) -> torch.Tensor:
    """[count, H, W] masks, each of another stripe of the picture."""
    masks = torch.zeros(count, 8 * size[0], 8 * size[1])
    for number in range(count):
        masks[number, :, 8 * size[1] * number // count : 8 * size[1] * (number + 1) // count] = 1.0
    return masks


def enlarging(model, x, sigmas, extra_args=None, callback=None, disable=None, sizes=()):
    """A sampler that evaluates what it samples at each of the sizes, one after the other."""
    for height, width in sizes:
        larger = torch.nn.functional.interpolate(x, size=(height, width), mode="nearest")
        seen = model(larger, sigmas[:1].expand(len(x)), **extra_args)
        x = torch.nn.functional.interpolate(seen, size=x.shape[-2:], mode="nearest")
    return x


SIZES = {
    "larger": [(12, 18)],
    "larger and back": [(12, 18), (8, 12), (12, 18)],
    "wider only": [(8, 16)],
    "taller, narrower": [(12, 8)],
}


@pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES)
def test_a_mask_follows_a_sampler_that_enlarges_what_it_samples(alice, sizes):
    sampler = comfy.samplers.KSAMPLER(enlarging, extra_options={"sizes": sizes})
    left, right = stripes(2).split(1)

    def drawn(model):
        return draw(cfg(model), noise(2), sampler=sampler)

    both = apply_again(alice, left, right)
    assert relative_l2(drawn(both), drawn(alice())) <= BOUND, "two halves of a person are the person"
    last, before = sizes[-1], noise(1, SIZE)
    if len(sizes) == 1:  # as one that samples at that size from the start
        size = comfy.samplers.KSAMPLER(enlarging, extra_options={"sizes": [last]})
        at_once = draw(cfg(alice(mask=left)), torch.nn.functional.interpolate(before, size=last), sampler=size)
        at_once = torch.nn.functional.interpolate(at_once, size=SIZE)
        assert relative_l2(draw(cfg(alice(mask=left)), before, sampler=size), at_once) <= BOUND
    assert relative_l2(drawn(alice(mask=left)), drawn(alice())) > 100 * BOUND


def apply_again(alice, *masks: torch.Tensor, **more):
    """Alice once for each mask, on one model."""
    model = None
    for mask in masks:
        model = alice(mask=mask, **more) if model is None else alice(model, mask=mask, **more)
    return model


def test_lcm_upscale_with_halves_of_a_person_is_the_person(alice):
    (sampler,) = (
        pytest.importorskip("comfy_extras.nodes_advanced_samplers").SamplerLCMUpscale.execute(2.0, -1, "bislerp").args
    )
    halves = apply_again(alice, *stripes(2).split(1))
    assert relative_l2(draw(cfg(halves), noise(), 4, sampler), draw(cfg(alice()), noise(), 4, sampler)) <= BOUND
    left = alice(mask=stripes(2)[:1])
    assert relative_l2(draw(cfg(left), noise(), 4, sampler), draw(cfg(alice()), noise(), 4, sampler)) > 100 * BOUND


def test_windows_over_frames_that_a_sampler_enlarges(alice):
    masked = alice(mask=stripes(6))
    sampler = comfy.samplers.KSAMPLER(enlarging, extra_options={"sizes": [(12, 18)]})
    whole = draw(cfg(masked), noise(6), sampler=sampler)
    in_windows = draw(cfg(windowed(masked, windows(3, 1))), noise(6), sampler=sampler)
    assert max(relative_l2(a, b) for a, b in zip(in_windows, whole, strict=True)) <= BOUND


def test_a_sampler_that_shrinks_what_it_samples_stops_a_mask_with_a_sentence(alice):
    sampler = comfy.samplers.KSAMPLER(enlarging, extra_options={"sizes": [(4, 6)]})
    assert draw(cfg(alice()), noise(), sampler=sampler).isfinite().all()
    with pytest.raises(AdapterError, match="2 rows of 6x4 but says what 2 rows of 12x8"):
        draw(cfg(alice(mask=stripes(2)[:1])), noise(), sampler=sampler)


# -- windows -----------------------------------------------------------------------------------------------------------


def windows(length: int, overlap: int, schedule: str = "standard_static", **more):
    handler = comfy.context_windows.IndexListContextHandler
    if more.get("causal_window_fix") is False and "causal_window_fix" not in inspect.signature(handler).parameters:
        del more["causal_window_fix"]  # ComfyUI before 0.21 never has it
    if lacking := set(more) - set(inspect.signature(handler).parameters):
        pytest.skip(f"The context windows of this ComfyUI have no {', '.join(lacking)}.")
    return handler(
        context_schedule=comfy.context_windows.get_matching_context_schedule(schedule),
        fuse_method=comfy.context_windows.get_matching_fuse_method("pyramid"),
        context_length=length,
        context_overlap=overlap,
        **{"dim": 0} | more,
    )


def windowed(model, handler):
    patched = model.clone()
    patched.model_options["context_handler"] = handler
    return patched


RETAINED = {
    "latents": {"latent_retain_index_list": "0"},
    "latents and conds": {"latent_retain_index_list": "0", "cond_retain_index_list": "0"},
    "others than the conds": {"latent_retain_index_list": "0", "cond_retain_index_list": "1"},
    "two": {"latent_retain_index_list": "0, 2", "cond_retain_index_list": "0"},
}


@pytest.mark.parametrize("retained", RETAINED.values(), ids=RETAINED)
@pytest.mark.parametrize("causal", [False, True], ids=["plain", "causal"])
def test_frames_whose_latents_a_window_retains_are_shown_as_they_are(alice, retained, causal):
    shown = alice(mask=stripes(6), strengths=[0.2, 0.4, 0.6, 0.8, 1.0, 1.2])
    whole = draw(cfg(shown), noise(6))
    handler = windows(3, 0, causal_window_fix=causal, **retained)
    in_windows = draw(cfg(windowed(shown, handler)), noise(6))
    seen = list(range(6))  # frame 3 begins the second window: there the window shows a retained frame instead
    anchor = 1 if causal else 0  # or, with the frame before it as an anchor, the frame one place earlier
    for place in map(int, retained["latent_retain_index_list"].split(",")):
        if place >= anchor:
            seen[3 + place - anchor] = place
    for number, frame in enumerate(seen):
        assert relative_l2(in_windows[number], whole[frame]) <= BOUND


def test_windows_over_the_width_cut_a_mask_as_they_cut_the_latent(alice):
    def drawn(**inputs):
        handler = windows(8, 0, dim=3, causal_window_fix=False)  # whose anchor shows a window the column before it
        return draw(cfg(windowed(alice(**inputs), handler)), noise(1, LARGER))  # ComfyUI itself cannot do it with two

    left, everywhere, nobody = drawn(mask=stripes(3, LARGER)[:1]), drawn(), drawn(mask=0 * stripes(1, LARGER))
    assert relative_l2(left[..., :8], everywhere[..., :8]) <= BOUND
    assert relative_l2(left[..., 8:], nobody[..., 8:]) <= BOUND
    assert relative_l2(left[..., :8], nobody[..., :8]) > 100 * BOUND


# -- prompts -----------------------------------------------------------------------------------------------------------


def combined(*prompts: list) -> list:
    return [member for prompt in prompts for member in prompt]


def in_area(prompt: list, x: float) -> list:
    return nodes.ConditioningSetAreaPercentage().append(prompt, 0.5, 1.0, x, 0.0, 1.0)[0]


def in_mask(prompt: list, mask: torch.Tensor, how: str = "default") -> list:
    return nodes.ConditioningSetMask().append(prompt, mask, how, 1.0)[0]


def in_range(prompt: list, start: float, end: float) -> list:
    return nodes.ConditioningSetTimestepRange().set_range(prompt, start, end)[0]


def prompts() -> dict[str, list]:
    a, b = text(1.0), text(0.5)
    left, right = (mask[None] for mask in stripes(2))
    return {
        "Combine": nodes.ConditioningCombine().combine(a, b)[0],
        "Concat": nodes.ConditioningConcat().concat(a, b)[0],
        "Average": nodes.ConditioningAverage().addWeighted(a, b, 0.3)[0],
        "SetAreaPercentage": combined(in_area(a, 0.0), in_area(b, 0.5)),
        "SetAreaPercentage and the whole": combined(in_area(a, 0.0), b),
        "SetMask": combined(in_mask(a, left), in_mask(b, right)),
        "SetMask, mask bounds": combined(in_mask(a, left, "mask bounds"), in_mask(b, right, "mask bounds")),
        "areas and masks": combined(in_area(a, 0.0), in_mask(b, right, "mask bounds"), in_mask(a, right)),
        "SetTimestepRange": combined(in_range(a, 0.0, 0.5), in_range(b, 0.5, 1.0)),
        "areas and ranges": combined(in_range(in_area(a, 0.0), 0.0, 0.6), in_range(b, 0.2, 1.0)),
        "a default beside an area": combined(in_area(a, 0.0), conditioning_set_values(b, {"default": True})),
        "prompts of different length": combined(a, conditioning(WIDTH, 0.5, tokens=154, seed=3)),
    }


@pytest.mark.parametrize("name", prompts())
@pytest.mark.parametrize("pictures", [1, 3])
def test_every_way_to_put_prompts_together_shows_the_formula_in_all_of_them(alice, formula, name, pictures):
    positive, latent = prompts()[name], noise(pictures, LARGER if "area" in name else SIZE)
    wanted = draw(cfg(formula, positive), latent, 2)
    assert relative_l2(draw(cfg(alice(), positive), latent, 2), wanted) <= BOUND
    halves = apply_again(alice, *stripes(2).split(1))
    assert relative_l2(draw(cfg(halves, positive), latent, 2), wanted) <= BOUND
    if pictures == 3:  # and each picture, with its own mask, in windows too
        masked = alice(mask=stripes(3))
        whole = draw(cfg(masked, positive), latent, 2)
        in_windows = draw(cfg(windowed(masked, windows(2, 1)), positive), latent, 2)
        assert max(relative_l2(a, b) for a, b in zip(in_windows, whole, strict=True)) <= BOUND
        alone = draw(cfg(alice(mask=stripes(3)[1:2]), positive), latent[1:2], 2)
        assert relative_l2(whole[1], alone[0]) <= BOUND


# -- devices -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("guider_of", [cfg, dual_cfg(nested=False)], ids=["CFG", "DualCFG"])
def test_prompts_shared_out_to_several_devices_draw_the_picture_of_one(unet, alice, guider_of):
    multigpu = pytest.importorskip("comfy.multigpu")
    assert multigpu.MultiGPUThreadPool

    def on_two(model):
        other = comfy_model(unet)
        clone = model.clone(model_override=(other.model, ({}, {}, {}, set())))
        clone.load_device, clone.is_multigpu_base_clone = torch.device("cpu", 0), True
        shared = model.clone()
        shared.set_additional_models("multigpu", [clone])
        return shared

    halves = apply_again(alice, *stripes(2).split(1), strengths=[0.5, 1.0])
    for shown in (alice(), alice(mask=stripes(3)), halves):
        assert relative_l2(draw(guider_of(on_two(shown)), noise(3), 2), draw(guider_of(shown), noise(3), 2)) <= BOUND
