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
from support.unet import narrow_unet

WIDTH = 64
BOUND = 1e-5
SIZE, TILED = (16, 24), (32, 48)  # cells of a latent; tiles of TiledDiffusion have a least size


@pytest.fixture(scope="module", params=["sd15", "sdxl"])
def models(request):
    """The bare model, and Alice on it: everywhere, and behind another mask in each picture."""
    family = request.param
    unet = narrow_unet(family, WIDTH)
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
    model,
    pictures: int = 1,
    scale: float = 3.0,
    positive: list | None = None,
    negative: list | None = None,
    size: tuple[int, int] = SIZE,
) -> torch.Tensor:
    guider = comfy.samplers.CFGGuider(model)
    guider.set_conds(positive or text(1.0), negative or text(-1.0))
    guider.set_cfg(scale)
    latent = torch.randn(pictures, 4, *size, generator=torch.Generator().manual_seed(5))
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

    together, one_by_one = (draw(model(tiled(count)), pictures, size=TILED) for count in (4, 1))
    assert relative_l2(together, one_by_one) <= BOUND


def stripes(count: int) -> list[torch.Tensor]:
    masks = torch.zeros(count, 8 * SIZE[0], 8 * SIZE[1])
    for number in range(count):
        masks[number, :, 8 * SIZE[1] * number // count : 8 * SIZE[1] * (number + 1) // count] = 1.0
    return list(masks)


def couples_rightly(model, coupled, pictures: int) -> None:
    """``coupled(text)`` changes a model: regions that all say what the prompt says are no regions, others are."""
    prompt = draw(model(plain), pictures)
    assert relative_l2(draw(model(coupled(text(1.0))), pictures), prompt) <= BOUND
    assert relative_l2(draw(model(coupled(text(0.5))), pictures), prompt) > 100 * BOUND, "theirs acts"


@pytest.mark.parametrize("pictures", [1, 2])
@pytest.mark.parametrize("regions", [2, 3])
def test_attention_couple_of_ppm(model, regions, pictures):
    node = neighbour("ComfyUI-ppm", "src.nodes_ppm.attention_couple_ppm").AttentionCouplePPM
    first, *others = (mask[None] for mask in stripes(regions))

    def coupled(words):
        more = {f"cond_{n}": words for n in range(1, regions)} | {f"mask_{n}": mask for n, mask in enumerate(others, 1)}
        return lambda m: node.execute(model=m, base_cond=text(1.0), base_mask=first, **more).args[0]

    couples_rightly(model, coupled, pictures)


@pytest.mark.parametrize("pictures", [1, 2])
@pytest.mark.parametrize("regions", [2, 3])
def test_attention_couple_of_cgem156(model, regions, pictures):
    node = neighbour("cgem156-ComfyUI", "scripts.attention_couple.node").AttentionCouple
    first, *others = (mask[None] for mask in stripes(regions))

    def coupled(words):
        more = {f"cond_{n}": words for n in range(1, regions)} | {f"mask_{n}": mask for n, mask in enumerate(others, 1)}
        return lambda m: node().attention_couple_simple(m, first, **more)[0]

    couples_rightly(model, coupled, pictures)


@pytest.mark.parametrize("pictures", [1, 2])
@pytest.mark.parametrize("regions", [1, 2])
def test_attention_couple_of_a8r8(model, regions, pictures):
    node = neighbour("A8R8_ComfyUI_nodes", "attention_couple").AttentionCouple

    def coupled(words):
        parts = [{"cond": words, "mask": mask[None], "weight": 1.0} for mask in stripes(regions)]
        return lambda m: node().attention_couple(m, 0.3, text(1.0), 8 * SIZE[0], 8 * SIZE[1], parts, False)[0]

    couples_rightly(model, coupled, pictures)


@pytest.mark.parametrize("pictures", [1, 2])
@pytest.mark.parametrize("regions", [2, 3])
def test_attention_couple_of_prompt_control_which_is_a_hook_of_the_prompt(model, regions, pictures):
    couple = neighbour("comfyui-prompt-control", "prompt_control.attention_couple_ppm")

    def drawn(value: float) -> torch.Tensor:
        first, *others = (
            conditioning_set_values(text(value if number else 1.0), {"mask": mask[None], "mask_strength": 1.0})[0]
            for number, mask in enumerate(stripes(regions))
        )
        return draw(model(plain), pictures, positive=couple.set_cond_attnmask([first], others))

    prompt = draw(model(plain), pictures)
    assert relative_l2(drawn(1.0), prompt) <= BOUND
    assert relative_l2(drawn(0.5), prompt) > 100 * BOUND, "theirs acts"


@pytest.fixture(scope="module", params=["sd15", "sdxl"])
def beside_a_picture(request):
    """A bare model with the text width by which IPAdapter_plus knows SDXL, Alice on it, and a random IP-Adapter."""
    family = request.param
    width = WIDTH if family == "sd15" else 2048
    unet = narrow_unet(family, width)
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


ANIMATEDIFF = {
    "standard": ("ADE_StandardStaticContextOptions", 3, 1),
    "uniform, in strides": ("ADE_StandardUniformContextOptions", 3, 2, 1),
    "looped": ("ADE_LoopedUniformContextOptions", 3, 1, 1, True),
    "looped, in strides": ("ADE_LoopedUniformContextOptions", 3, 2, 1, True),
    "batched": ("ADE_BatchedContextOptions", 4),
}


@pytest.mark.parametrize("windows", ANIMATEDIFF.values(), ids=ANIMATEDIFF)
def test_context_windows_of_animatediff_evolved(model, windows):
    nodes = neighbour("ComfyUI-AnimateDiff-Evolved").NODE_CLASS_MAPPINGS
    (options,) = nodes[windows[0]]().create_options(*windows[1:])

    def windowed(m):
        return nodes["ADE_UseEvolvedSampling"]().use_evolved_sampling(m, "use existing", context_options=options)[0]

    whole, in_windows = draw(model(plain), 6), draw(model(windowed), 6)
    assert max(relative_l2(a, b) for a, b in zip(in_windows, whole, strict=True)) <= BOUND
