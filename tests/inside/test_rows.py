"""Every row of every UNet call shows the right person at the right place, however others cut, repeat and reorder rows.

The stand-ins here do what real extensions do: tiles put together in one call, rows run one by one, regions that repeat
the positive rows inside a layer, windows over frames, grids that shrink inside the UNet. What each must equal is a
sampling in which nothing of that kind happens. tests/inside/test_neighbours.py does the same with the real ones.
"""

from __future__ import annotations

import inspect
import math

import comfy.context_windows
import comfy.hooks
import comfy.model_patcher
import comfy.samplers
import comfy_extras.nodes_custom_sampler as custom_sampler
import comfy_extras.nodes_model_downscale as deep_shrink
import comfy_extras.nodes_perpneg as perpneg
import pytest
import torch
from comfy.ldm.modules.attention import optimized_attention
from faceid_tunes.faceid_core.errors import AdapterError
from faceid_tunes.nodes.following import follow_rows, order_of
from node_helpers import conditioning_set_values
from support.comfy_model import apply, conditioning
from support.fidelity import random_faces
from support.oracle import relative_l2
from support.unet import family_of, narrow_unet

WIDTH = 64
BOUND = 1e-5
SIZE = (16, 24)
ALICE, BOB = random_faces(seed=1), random_faces(seed=2)
POSITIVE, NEGATIVE, THIRD = 1.0, -1.0, 0.5


@pytest.fixture(scope="module", params=["sd15", "sdxl"])
def unet(request):
    """Narrow, with the layers of the family."""
    return narrow_unet(request.param, WIDTH)


@pytest.fixture
def alice(bare, adapter):
    """The model with Alice on it; inputs of FaceIDApply as keywords."""
    return lambda **inputs: apply(bare, adapter, ALICE, lora_strength=0.0, **inputs)


def noise(pictures: int, size: tuple[int, int] = SIZE) -> torch.Tensor:
    return torch.randn(pictures, 4, *size, generator=torch.Generator().manual_seed(5))


def text(value: float, **extra) -> list:
    return conditioning(WIDTH, value, seed=int(8 + value), **extra)


def cfg(model, positive: list | None = None, negative: list | None = None):
    guider = comfy.samplers.CFGGuider(model)
    guider.set_conds(positive or text(POSITIVE), negative or text(NEGATIVE))
    guider.set_cfg(3.0)
    return guider


def cfg_1(model):
    guider = cfg(model)
    guider.set_cfg(1.0)
    return guider


def dual_cfg(model):
    guider = custom_sampler.Guider_DualCFG(model)
    guider.set_conds(text(POSITIVE), text(THIRD), text(NEGATIVE))
    guider.set_cfg(3.0, 2.0)
    return guider


class ThreeConds(comfy.samplers.CFGGuider):
    """PerpNeg's conds in PerpNeg's order. PerpNeg itself projects over the whole batch: its pictures depend on it."""

    def predict_noise(self, x, timestep, model_options=None, seed=None):
        conds = [self.conds[name] for name in ("positive", "negative", "empty_negative_prompt")]
        positive, negative, empty = comfy.samplers.calc_cond_batch(self.inner_model, conds, x, timestep, model_options)
        return empty + 3.0 * (positive - empty) - (negative - empty)


def three_conds(model):
    guider = ThreeConds(model)
    guider.inner_set_conds(
        {"positive": text(POSITIVE), "empty_negative_prompt": text(THIRD), "negative": text(NEGATIVE)}
    )
    return guider


def real_perp_neg(model):
    guider = perpneg.Guider_PerpNeg(model)
    guider.set_conds(text(POSITIVE), text(NEGATIVE), text(THIRD))
    guider.set_cfg(3.0, 1.0)
    return guider


GUIDERS = {"cfg 1": cfg_1, "cfg": cfg, "DualCFG": dual_cfg, "PerpNeg": three_conds}


def draw(guider, latent: torch.Tensor, steps: int = 1) -> torch.Tensor:
    sampling = guider.model_patcher.get_model_object("model_sampling")
    sigmas = comfy.samplers.calculate_sigmas(sampling, "normal", steps)
    with torch.inference_mode():
        return guider.sample(latent, torch.zeros_like(latent), comfy.samplers.sampler_object("euler"), sigmas)


def halves(count: int, size: tuple[int, int] = SIZE) -> torch.Tensor:
    """[count, H, W] masks, each of another stripe."""
    masks = torch.zeros(count, 8 * size[0], 8 * size[1])
    for number in range(count):
        start = 8 * size[1] * number // count
        masks[number, :, start : start + 8 * size[1] // count] = 1.0
    return masks


# -- whole pictures ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("split", [False, True], ids=["joined", "split"])
@pytest.mark.parametrize("guider_of", GUIDERS.values(), ids=GUIDERS)
def test_every_picture_of_a_batch_is_the_one_drawn_alone_with_its_mask(alice, unet, monkeypatch, guider_of, split):
    if split:  # as ComfyUI does where memory is short
        monkeypatch.setattr(comfy.model_patcher.ModelPatcher, "get_free_memory", lambda *_: 0)
    counts = (2, 3) if family_of(unet) == "sdxl" else range(1, 6)  # 70 layers take their time
    for masks in counts:
        mask = halves(masks, (16, 16))
        alone = {}
        for number in range(max(counts)):
            shown = alice(mask=mask[number % masks : number % masks + 1])
            alone[number] = draw(guider_of(shown), noise(5, (16, 16))[number : number + 1])
        shown = alice(mask=mask)
        for pictures in counts:
            together = draw(guider_of(shown), noise(5, (16, 16))[:pictures])
            for number in range(pictures):
                error = relative_l2(together[number], alone[number][0])
                assert error <= BOUND, f"{pictures} pictures, {masks} masks, picture {number}"


@pytest.mark.parametrize("split", [False, True], ids=["joined", "split"])
def test_the_real_perp_neg_where_its_projection_is_made_picture_by_picture(alice, monkeypatch, split):
    if split:
        monkeypatch.setattr(comfy.model_patcher.ModelPatcher, "get_free_memory", lambda *_: 0)
    over_the_batch = perpneg.perp_neg

    def by_picture(x, positive, negative, empty, *scales):
        rows = zip(*(each.split(1) for each in (x, positive, negative, empty)), strict=True)
        return torch.cat([over_the_batch(*row, *scales) for row in rows])

    monkeypatch.setattr(perpneg, "perp_neg", by_picture)
    mask = halves(3, (16, 16))
    together = draw(real_perp_neg(alice(mask=mask)), noise(5, (16, 16)))
    for number in range(5):
        shown = alice(mask=mask[number % 3 : number % 3 + 1])
        alone = draw(real_perp_neg(shown), noise(5, (16, 16))[number : number + 1])
        assert relative_l2(together[number], alone[0]) <= BOUND


def test_one_picture_with_more_masks_than_pictures_takes_the_first(alice):
    white, black = torch.ones(1, 128, 128), torch.zeros(1, 128, 128)
    many = draw(cfg(alice(mask=torch.cat([white, black, black]))), noise(1, (16, 16)))
    assert relative_l2(many, draw(cfg(alice(mask=white)), noise(1, (16, 16)))) <= BOUND


# -- UNet wrappers -----------------------------------------------------------------------------------------------------


def tiled(tiles_per_call: int, width: int = 8):
    """A UNet wrapper that runs tiles of the latent, several in one call, as MultiDiffusion does."""

    def wrapper(run, call):
        x, t, conds = call["input"], call["timestep"], call["c"]
        out = torch.zeros_like(x)
        starts = range(0, x.shape[-1], width)
        for first in range(0, len(starts), tiles_per_call):
            some = list(starts)[first : first + tiles_per_call]

            def cut(value, some=some):
                if not isinstance(value, torch.Tensor):
                    return value
                if value.ndim == x.ndim:
                    return torch.cat([value[..., start : start + width] for start in some])
                return value.repeat(len(some), *(1,) * (value.ndim - 1))

            done = run(cut(x), t.repeat(len(some)), **{key: cut(value) for key, value in conds.items()})
            for start, tile in zip(some, done.chunk(len(some)), strict=True):
                out[..., start : start + width] = tile
        return out

    return wrapper


def wrapped(model, wrapper):
    patched = model.clone()
    patched.set_model_unet_function_wrapper(wrapper)
    return patched


@pytest.mark.parametrize("guider_of", GUIDERS.values(), ids=GUIDERS)
@pytest.mark.parametrize("masked", [False, True], ids=["everywhere", "masked"])
def test_tiles_in_one_call_are_the_tiles_run_one_by_one(alice, guider_of, masked):
    shown = alice(**({"mask": halves(2)} if masked else {}))
    together, alone = (draw(guider_of(wrapped(shown, tiled(count))), noise(2)) for count in (3, 1))
    assert relative_l2(together, alone) <= BOUND


def test_a_mask_is_cut_with_the_tiles_not_stretched_over_each(alice, bare):
    left = halves(2)[:1]
    (picture,) = draw(cfg(wrapped(alice(mask=left), tiled(1))), noise(1))
    (nobody,) = draw(cfg(wrapped(alice(mask=torch.zeros_like(left)), tiled(1))), noise(1))
    (everywhere,) = draw(cfg(wrapped(alice(), tiled(1))), noise(1))
    assert relative_l2(picture[..., :8], everywhere[..., :8]) <= BOUND  # the left tile is inside the mask
    assert relative_l2(picture[..., 16:], nobody[..., 16:]) <= BOUND  # the right one is outside


@pytest.mark.parametrize("guider_of", GUIDERS.values(), ids=GUIDERS)
def test_rows_run_one_at_a_time_and_backwards(alice, guider_of):
    def one_by_one(run, call):
        x, t, conds = call["input"], call["timestep"], call["c"]

        def row(value, number):
            is_rows = isinstance(value, torch.Tensor) and len(value) == len(x)
            return value[number : number + 1] if is_rows else value

        done = {
            n: run(row(x, n), row(t, n), **{k: row(v, n) for k, v in conds.items()}) for n in reversed(range(len(x)))
        }
        return torch.cat([done[number] for number in range(len(x))])

    shown = alice(mask=halves(2))
    assert relative_l2(draw(guider_of(wrapped(shown, one_by_one)), noise(2)), draw(guider_of(shown), noise(2))) <= BOUND


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_markers_that_a_wrapper_brings_to_its_own_precision_are_read_where_it_holds_them(alice, dtype):
    def cast(run, call):
        conds = {key: value.to(dtype) if key == "faceid_rows" else value for key, value in call["c"].items()}
        return run(call["input"], call["timestep"], **conds)

    shown = alice(mask=halves(2))
    assert relative_l2(draw(cfg(wrapped(shown, cast)), noise(2)), draw(cfg(shown), noise(2))) <= BOUND
    if dtype is torch.bfloat16:  # exact to 256
        with pytest.raises(AdapterError, match="too coarse for a picture or a batch of this size"):
            draw(cfg(wrapped(shown, cast)), noise(1, (8, 264)))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda conds: conds.pop("faceid_rows"), "leaves out 'faceid_rows'"),
        (lambda conds: conds.update(faceid_rows=conds["faceid_rows"][:1]), "calls the model with 2 rows"),
    ],
    ids=["left out", "cut wrongly"],
)
def test_rows_that_cannot_be_known_stop_with_a_sentence(alice, spoil, message):
    def spoiling(run, call):
        conds = dict(call["c"])
        spoil(conds)
        return run(call["input"], call["timestep"], **conds)

    with pytest.raises(AdapterError, match=message):
        draw(cfg(wrapped(alice(), spoiling)), noise(1))


# -- regions inside a layer --------------------------------------------------------------------------------------------


def couple(regions: int, after: bool = False):
    """Attention couple: each positive row once per region, the results averaged; negative rows as they are."""

    def repeated(x, options, times):
        parts = x.chunk(len(options["cond_or_uncond"]))
        return torch.cat(
            [
                p if role == 1 else p.repeat(times, 1, 1)
                for p, role in zip(parts, options["cond_or_uncond"], strict=True)
            ]
        )

    def inputs(x, context, value, options):
        return tuple(repeated(each, options, regions) for each in (x, context, value))

    def outputs(out, options):
        roles = options["cond_or_uncond"]
        per_chunk = len(out) // sum(1 if role == 1 else regions for role in roles)
        kept, at = [], 0
        for role in roles:
            times = 1 if role == 1 else regions
            part = out[at : at + times * per_chunk]
            kept.append(part.unflatten(0, (times, per_chunk)).mean(0))
            at += times * per_chunk
        return torch.cat(kept)

    def patched(model):
        clone = model.clone()
        clone.set_model_attn2_patch(inputs)
        clone.set_model_attn2_output_patch(outputs)
        return clone

    return patched


@pytest.mark.parametrize("regions", [2, 3])
@pytest.mark.parametrize("pictures", [1, 2])
@pytest.mark.parametrize("ours_first", [True, False], ids=["applied before it", "applied after it"])
def test_regions_that_all_say_the_same_are_the_plain_picture(bare, adapter, regions, pictures, ours_first):
    def alice(model):
        return apply(model, adapter, ALICE, lora_strength=0.0, mask=halves(2))

    coupled = couple(regions)
    both = coupled(alice(bare)) if ours_first else alice(coupled(bare))
    assert relative_l2(draw(cfg(both), noise(pictures)), draw(cfg(alice(bare)), noise(pictures))) <= BOUND


def test_two_extensions_that_repeat_rows_are_followed_through_both(alice):
    both = couple(2)(alice(mask=halves(2)))

    def reverse(x, context, value, options):
        return x.flip(0), context.flip(0), value.flip(0)

    both.set_model_attn2_patch(reverse)
    both.model_options["transformer_options"]["patches"]["attn2_output_patch"].insert(0, lambda n, options: n.flip(0))
    assert relative_l2(draw(cfg(both), noise(2)), draw(cfg(alice(mask=halves(2))), noise(2))) <= BOUND


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("rows", [1, 128, 129, 700])
def test_rows_are_followed_however_many_there_are(rows, dtype):
    x = torch.zeros(rows, 4, 8, dtype=dtype)
    wanted = torch.randperm(3 * rows, generator=torch.Generator().manual_seed(1)) % rows
    options = {}
    follow_rows(lambda *given: (*(each[wanted] for each in given[:3]),))(x, x, x, options)
    assert torch.equal(order_of(options), wanted)


def hooked(positive: list, transformer_options: dict) -> list:
    """The prompt with a hook that patches the UNet for the calls that run this prompt only."""
    hook = comfy.hooks.TransformerOptionsHook(transformer_options, comfy.hooks.EnumHookScope.HookedOnly)
    group = comfy.hooks.HookGroup()
    group.add(hook)
    return comfy.hooks.set_hooks_for_conditioning(positive, group)


@pytest.mark.parametrize("pictures", [1, 2])
def test_regions_by_a_hook_of_the_prompt_are_followed_too(bare, alice, pictures):
    couples = couple(3)(bare).model_options["transformer_options"]["patches"]
    shown = alice(mask=halves(2))
    by_hook = draw(cfg(shown, positive=hooked(text(POSITIVE), {"patches": couples})), noise(pictures))
    assert relative_l2(by_hook, draw(cfg(shown), noise(pictures))) <= BOUND


@pytest.mark.parametrize("address", [("middle", 0), ("middle", 0, 0)], ids=["short address", "long address"])
def test_a_layer_that_a_hook_of_the_prompt_replaces_is_called(alice, bare, address):
    calls = []

    def doubled(q, k, v, options):
        calls.append(options["cond_or_uncond"])
        return 2 * optimized_attention(q, k, v, options["n_heads"])

    def positive(model):
        replaced = {"patches_replace": {"attn2": {address: doubled}}}
        return draw(cfg(model, positive=hooked(text(POSITIVE), replaced)), noise(1))

    both = positive(alice())
    assert calls and all(roles == [0] for roles in calls)
    assert relative_l2(both, draw(cfg(alice()), noise(1))) > 100 * BOUND, "the hook acts"
    assert relative_l2(both, positive(bare)) > 100 * BOUND, "the person shows"


def test_a_unet_that_is_called_past_the_model_stops_with_a_sentence(alice):
    def past_the_model(run, call):
        unet = shown.model.diffusion_model
        context = torch.zeros(len(call["input"]), 77, WIDTH)
        options, y = call["c"]["transformer_options"], call["c"].get("y")
        return unet(call["input"], call["timestep"], context, y=y, transformer_options=options)

    shown = wrapped(alice(), past_the_model)
    with pytest.raises(AdapterError, match="calls the UNet itself"):
        draw(cfg(shown), noise(1))


# -- windows over frames -----------------------------------------------------------------------------------------------


def windows(length: int, overlap: int, **more):
    if "causal_window_fix" not in inspect.signature(comfy.context_windows.IndexListContextHandler).parameters:
        more.pop("causal_window_fix", None)  # ComfyUI before 0.21 never has it
    return comfy.context_windows.IndexListContextHandler(
        context_schedule=comfy.context_windows.get_matching_context_schedule(more.pop("schedule", "standard_static")),
        fuse_method=comfy.context_windows.get_matching_fuse_method("pyramid"),
        context_length=length,
        context_overlap=overlap,
        dim=0,
        **more,
    )


def windowed(model, handler):
    patched = model.clone()
    patched.model_options["context_handler"] = handler
    return patched


WINDOWS = {
    "static": lambda: windows(3, 1),
    "closed loop": lambda: windows(3, 1, schedule="looped_uniform", closed_loop=True),
    "without causal fix": lambda: windows(3, 1, causal_window_fix=False),
    "retained frames": lambda: windows(3, 1, cond_retain_index_list="0"),
    "more retained frames": lambda: windows(3, 1, cond_retain_index_list="0, 1"),
}


@pytest.mark.parametrize("masks", [1, 2, 6, 9])
@pytest.mark.parametrize("window", WINDOWS.values(), ids=WINDOWS)
def test_windows_draw_the_frames_of_the_whole_batch(alice, window, masks):
    shown = alice(mask=halves(masks, (16, 16)))
    whole, in_windows = (draw(cfg(model), noise(6, (16, 16))) for model in (shown, windowed(shown, window())))
    assert max(relative_l2(a, b) for a, b in zip(in_windows, whole, strict=True)) <= BOUND


def test_two_positives_split_over_windows_both_show_the_person(alice):
    handler = windows(3, 0, split_conds_to_windows=True)
    same = text(POSITIVE) + text(POSITIVE)
    shown = alice()
    in_windows = draw(cfg(windowed(shown, handler), positive=same), noise(6, (16, 16)))
    assert relative_l2(in_windows, draw(cfg(shown), noise(6, (16, 16)))) <= BOUND


# -- areas and grids ---------------------------------------------------------------------------------------------------


def sides(by: str) -> list[list]:
    """Two prompts, one for each half of the picture."""
    prompts = [text(POSITIVE), text(THIRD)]
    if by == "area":
        return [
            conditioning_set_values(prompt, {"area": (16, 12, 0, at), "strength": 1.0, "set_area_to_bounds": False})
            for prompt, at in zip(prompts, (0, 12), strict=True)
        ]
    return [
        conditioning_set_values(prompt, {"mask": mask[None], "mask_strength": 1.0, "set_area_to_bounds": True})
        for prompt, mask in zip(prompts, halves(2), strict=True)
    ]


@pytest.mark.parametrize("by", ["area", "mask bounds"])
@pytest.mark.parametrize("scale", [1.0, 3.0])
@pytest.mark.parametrize("pictures", [1, 2])
def test_each_half_of_a_picture_shows_its_own_person(bare, adapter, by, scale, pictures):
    left, right = halves(2)[:1], halves(2)[1:]
    everywhere = torch.ones_like(left)
    positive = sides(by)

    def drawn(alices, bobs):
        model = bare
        for faces, mask in ((ALICE, alices), (BOB, bobs)):
            model = apply(model, adapter, faces, lora_strength=0.0, mask=mask)
        guider = cfg(model, positive=positive[0] + positive[1])
        guider.set_cfg(scale)
        return draw(guider, noise(pictures))

    both, alice_alone, bob_alone = drawn(left, right), drawn(everywhere, 0 * left), drawn(0 * left, everywhere)
    assert relative_l2(both[..., :12], alice_alone[..., :12]) <= BOUND
    assert relative_l2(both[..., 12:], bob_alone[..., 12:]) <= BOUND
    assert relative_l2(both[..., 12:], alice_alone[..., 12:]) > 100 * BOUND


@pytest.mark.parametrize("factor", [1.5, 2.0, 1.7, 3.0])
def test_a_mask_follows_a_grid_that_shrinks_inside_the_unet(bare, adapter, factor):
    def shrunk(model):
        return deep_shrink.PatchModelAddDownscale.execute(model, 3, factor, 0.0, 1.0, True, "bicubic", "bicubic").args[
            0
        ]

    def alice(**inputs):
        return shrunk(apply(bare, adapter, ALICE, lora_strength=0.0, **inputs))

    everywhere = draw(cfg(alice(mask=torch.ones(1, 128, 192))), noise(1))
    assert relative_l2(everywhere, draw(cfg(alice()), noise(1))) <= BOUND
    left = draw(cfg(alice(mask=halves(2)[:1])), noise(1))
    assert relative_l2(left, everywhere) > 100 * BOUND and math.isfinite(left.sum())


# -- conds of others ---------------------------------------------------------------------------------------------------


def test_a_list_with_some_members_of_the_positive_is_positive(alice):
    def some_members(args):
        (again,) = comfy.samplers.calc_cond_batch(
            args["model"], [args["cond"][:1]], args["input"], args["sigma"], args["model_options"]
        )
        return again

    shown = alice().clone()
    shown.set_model_sampler_post_cfg_function(some_members)
    picture = draw(cfg(shown, positive=text(POSITIVE) + text(POSITIVE)), noise(1))
    assert relative_l2(picture, draw(cfg_1(alice()), noise(1))) <= BOUND


def test_an_unknown_prompt_is_told_of(alice, caplog):
    (shown,) = perpneg.PerpNeg.execute(alice(), text(THIRD), 1.0).args
    draw(cfg(shown), noise(1))
    assert "neither the positive nor the negative" in caplog.text
