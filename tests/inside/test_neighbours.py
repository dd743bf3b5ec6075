"""The real extensions that people use beside this one: with FaceID, each draws what its plain counterpart draws.

Tiles put together in one call equal tiles one by one; regions that all say the same equal the plain picture; windows
equal the whole batch. The bare model without FaceID is held to the same bound, so a neighbour that is inexact by itself
shows as such.
"""

from __future__ import annotations

import comfy.samplers
import pytest
import torch
from faceid_tunes.faceid_core.adapter.layers import Base, layers
from node_helpers import conditioning_set_values
from support.comfy_model import apply, comfy_model, conditioning
from support.fidelity import adapter_for, random_faces, saved_adapter
from support.neighbours import neighbour
from support.oracle import relative_l2
from support.unet import sd15_unet, sdxl_unet

WIDTH = 64
BOUND = 1e-5
SIZE = (32, 48)


@pytest.fixture(scope="module", params=["sd15", "sdxl"])
def models(request):
    """The bare model, and Alice on it: everywhere, and behind another mask in each picture."""
    family = request.param
    unet = sd15_unet((32, 64, 64, 64), context=WIDTH) if family == "sd15" else sdxl_unet((32, 64, 64), context=WIDTH)
    bare = comfy_model(unet)
    with saved_adapter(adapter_for(unet, "faceid", family, lora_rank=4), "faceid") as adapter:
        left = torch.zeros(1, 8 * SIZE[0], 8 * SIZE[1])
        left[..., : 4 * SIZE[1]] = 1.0

        def on(model, **inputs):
            return apply(model, adapter, random_faces(), lora_strength=0.0, **inputs)

        yield {
            "bare": lambda change: change(bare),
            "person": lambda change: change(on(bare)),
            "masked person": lambda change: change(on(bare, mask=torch.cat([left, 1 - left, 0 * left + 0.5]))),
            "person applied after": lambda change: on(change(bare)),
        }


@pytest.fixture(params=["bare", "person", "masked person", "person applied after"])
def model(request, models):
    return models[request.param]


def text(value: float, width: int = WIDTH) -> list:
    return conditioning(width, value, seed=int(8 + value))


def draw(
    model, pictures: int = 1, scale: float = 3.0, positive: list | None = None, negative: list | None = None
) -> torch.Tensor:
    guider = comfy.samplers.CFGGuider(model)
    guider.set_conds(positive or text(1.0), negative or text(-1.0))
    guider.set_cfg(scale)
    latent = torch.randn(pictures, 4, *SIZE, generator=torch.Generator().manual_seed(5))
    sampling = guider.model_patcher.get_model_object("model_sampling")
    sigmas = comfy.samplers.calculate_sigmas(sampling, "normal", 1)
    with torch.inference_mode():
        return guider.sample(latent, torch.zeros_like(latent), comfy.samplers.sampler_object("euler"), sigmas, seed=1)


def plain(model):
    return model


@pytest.mark.parametrize("pictures", [1, 2])
@pytest.mark.parametrize("method", ["MultiDiffusion", "Mixture of Diffusers"])
def test_tiled_diffusion(model, method, pictures):
    nodes = neighbour("ComfyUI-TiledDiffusion").NODE_CLASS_MAPPINGS

    def tiled(tiles: int):
        return lambda m: nodes["TiledDiffusion"]().apply(m, method, 192, 192, 64, tiles)[0]

    assert relative_l2(draw(model(tiled(4)), pictures), draw(model(tiled(1)), pictures)) <= BOUND


def stripes(count: int) -> list[torch.Tensor]:
    masks = torch.zeros(count, 8 * SIZE[0], 8 * SIZE[1])
    for number in range(count):
        masks[number, :, 8 * SIZE[1] * number // count : 8 * SIZE[1] * (number + 1) // count] = 1.0
    return list(masks)


@pytest.mark.parametrize("pictures", [1, 2])
@pytest.mark.parametrize("regions", [2, 3])
def test_attention_couple_of_ppm(model, regions, pictures):
    node = neighbour("ComfyUI-ppm", "src.nodes_ppm.attention_couple_ppm").AttentionCouplePPM
    more = {f"cond_{n}": text(1.0) for n in range(1, regions)}
    more |= {f"mask_{n}": mask[None] for n, mask in enumerate(stripes(regions)) if n}

    def coupled(m):
        return node.execute(model=m, base_cond=text(1.0), base_mask=stripes(regions)[0][None], **more).args[0]

    assert relative_l2(draw(model(coupled), pictures), draw(model(plain), pictures)) <= BOUND


@pytest.mark.parametrize("pictures", [1, 2])
@pytest.mark.parametrize("regions", [2, 3])
def test_attention_couple_of_cgem156(model, regions, pictures):
    node = neighbour("cgem156-ComfyUI", "scripts.attention_couple.node").AttentionCouple
    more = {f"cond_{n}": text(1.0) for n in range(1, regions)}
    more |= {f"mask_{n}": mask[None] for n, mask in enumerate(stripes(regions)) if n}

    def coupled(m):
        return node().attention_couple_simple(m, stripes(regions)[0][None], **more)[0]

    assert relative_l2(draw(model(coupled), pictures), draw(model(plain), pictures)) <= BOUND


@pytest.mark.parametrize("pictures", [1, 2])
@pytest.mark.parametrize("regions", [1, 2])
def test_attention_couple_of_a8r8(model, regions, pictures):
    node = neighbour("A8R8_ComfyUI_nodes", "attention_couple").AttentionCouple
    parts = [{"cond": text(1.0), "mask": mask[None], "weight": 1.0} for mask in stripes(regions)]

    def coupled(m):
        return node().attention_couple(m, 0.3, text(1.0), 8 * SIZE[0], 8 * SIZE[1], parts, False)[0]

    assert relative_l2(draw(model(coupled), pictures), draw(model(plain), pictures)) <= BOUND


@pytest.mark.parametrize("pictures", [1, 2])
@pytest.mark.parametrize("regions", [2, 3])
def test_attention_couple_of_prompt_control_which_is_a_hook_of_the_prompt(model, regions, pictures):
    couple = neighbour("comfyui-prompt-control", "prompt_control.attention_couple_ppm")
    parts = [
        conditioning_set_values(text(1.0), {"mask": mask[None], "mask_strength": 1.0})[0] for mask in stripes(regions)
    ]
    positive = couple.set_cond_attnmask(parts[:1], parts[1:])
    drawn = draw(model(plain), pictures, positive=positive)
    assert relative_l2(drawn, draw(model(plain), pictures)) <= BOUND


@pytest.fixture(scope="module", params=["sd15", "sdxl"])
def beside_a_picture(request):
    """A bare model with the text width by which IPAdapter_plus knows SDXL, Alice on it, and a random IP-Adapter."""
    family = request.param
    width = WIDTH if family == "sd15" else 2048
    unet = sd15_unet((32, 64, 64, 64), context=width) if family == "sd15" else sdxl_unet((32, 64, 64), context=width)
    draws = torch.Generator().manual_seed(3)

    def random(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=draws) * shape[-1] ** -0.5

    blocks = {layer.index: unet.get_submodule(f"{layer.diffusers}.attn2") for layer in layers(Base(family))}
    picture = {
        "image_proj": {
            "proj.weight": random(4 * width, 1024),
            "proj.bias": random(4 * width),
            "norm.weight": torch.ones(width),
            "norm.bias": torch.zeros(width),
        },
        "ip_adapter": {
            f"{index}.to_{kind}_ip.weight": random(block.to_q.out_features, width)
            for index, block in blocks.items()
            for kind in "kv"
        },
    }
    with saved_adapter(adapter_for(unet, "faceid", family, lora_rank=4), "faceid") as adapter:
        yield comfy_model(unet), lambda model: apply(model, adapter, random_faces(), lora_strength=0.0), picture, width


@pytest.mark.parametrize("pictures", [1, 2])
@pytest.mark.parametrize("masked", [False, True], ids=["everywhere", "masked"])
def test_ipadapter_plus_adds_its_picture_and_we_add_ours_in_any_order(beside_a_picture, pictures, masked):
    bare, alice, picture, width = beside_a_picture
    node = neighbour("ComfyUI_IPAdapter_plus").NODE_CLASS_MAPPINGS["IPAdapterEmbeds"]()
    seen, nothing = 32 * torch.randn(1, 1024, generator=torch.Generator().manual_seed(4)), torch.zeros(1, 1024)
    mask = stripes(2)[0][None] if masked else None

    def theirs(model, weight=1.0):
        return node.apply_ipadapter(
            model, picture, seen, weight, "linear", 0.0, 1.0, neg_embed=nothing, attn_mask=mask
        )[0]

    def drawn(model) -> torch.Tensor:
        return draw(model, pictures, positive=text(1.0, width), negative=text(-1.0, width))

    both, ours = drawn(theirs(alice(bare))), drawn(alice(bare))
    assert relative_l2(drawn(alice(theirs(bare))), both) <= BOUND
    assert relative_l2(drawn(theirs(alice(bare), 0.0)), ours) <= BOUND
    assert relative_l2(both, ours) > 100 * BOUND, "theirs acts"
    assert relative_l2(both, drawn(theirs(bare))) > 100 * BOUND, "ours acts"


@pytest.mark.parametrize("closed", [False, True], ids=["standard", "looped"])
def test_context_windows_of_animatediff_evolved(model, closed):
    nodes = neighbour("ComfyUI-AnimateDiff-Evolved").NODE_CLASS_MAPPINGS
    if closed:
        (options,) = nodes["ADE_LoopedUniformContextOptions"]().create_options(3, 1, 1, True)
    else:
        (options,) = nodes["ADE_StandardStaticContextOptions"]().create_options(3, 1)

    def windowed(m):
        return nodes["ADE_UseEvolvedSampling"]().use_evolved_sampling(m, "use existing", context_options=options)[0]

    whole, in_windows = draw(model(plain), 6), draw(model(windowed), 6)
    assert max(relative_l2(a, b) for a, b in zip(in_windows, whole, strict=True)) <= BOUND
