"""A LoRA tag drawn in ComfyUI: what it does to the model's weights and to the text, each at its own strength."""

from __future__ import annotations

from types import SimpleNamespace

import comfy.sd
import folder_paths
import pytest
import torch
from comfy import sd1_clip
from faceid_tunes.faceid_core.adapter.layers import Base
from faceid_tunes.faceid_core.errors import AdapterError
from faceid_tunes.faceid_core.prompts import Prompt
from faceid_tunes.nodes.drawing import draw_settings
from faceid_tunes.nodes.host import models
from safetensors.torch import save_file
from support.comfy_model import comfy_model
from support.hostile_models import nested_key
from support.oracle import relative_l2
from support.unet import sd15_unet

WEIGHT = "diffusion_model.middle_block.1.proj_in.weight"
LAYERS = {
    "lora_unet_mid_block_attentions_0_proj_in": (64, 64),
    "lora_te_text_model_encoder_layers_0_mlp_fc1": (3072, 768),
}
ADAPTER = SimpleNamespace(spec=SimpleNamespace(base=Base.SD15))


@pytest.fixture(scope="module")
def model():
    return comfy_model(sd15_unet((32, 64, 64, 64), context=64))


@pytest.fixture(scope="module")
def clip():
    """ComfyUI's own SD 1.5 text encoder with random weights and two of its twelve layers."""
    target = SimpleNamespace(clip=sd1_clip.SD1ClipModel, tokenizer=sd1_clip.SD1Tokenizer, params={})
    options = {"clip_l_model_config": {"num_hidden_layers": 2}, "load_device": "cpu", "offload_device": "cpu"}
    made = comfy.sd.CLIP(
        target, model_options={key: torch.device(v) if v == "cpu" else v for key, v in options.items()}
    )
    draw = torch.Generator().manual_seed(0)
    for tensor in made.cond_stage_model.parameters():
        tensor.data = torch.randn(tensor.shape, generator=draw).to(tensor.dtype) * 0.05
    return made


@pytest.fixture(scope="module")
def halves(tmp_path_factory) -> dict[str, torch.Tensor]:
    """A LoRA of one layer of each, in a folder and installed."""
    draw, tensors = torch.Generator().manual_seed(1), {}
    for name, (rows, columns) in LAYERS.items():
        ones = (1, 1) if "proj_in" in name else ()
        tensors[f"{name}.lora_down.weight"] = torch.randn(4, columns, *ones, generator=draw)
        tensors[f"{name}.lora_up.weight"] = torch.randn(rows, 4, *ones, generator=draw)
    folder = tmp_path_factory.mktemp("loras")
    (folder / "sliders").mkdir()
    save_file(tensors, folder / "sliders" / "age.safetensors")
    folder_paths.add_model_folder_path("loras", str(folder))
    return tensors


def drawn(model, clip, text: str) -> tuple[torch.Tensor, torch.Tensor]:
    """A weight of the model that would be sampled, and the text it would be shown."""
    prompt = Prompt(text, w=64, h=64, steps=1)
    settings = draw_settings(
        model, clip, prompt, ADAPTER,
        lora_strength=1.0, structure=1.0, preview=False, clip_vision=None, masks=None,
    )  # fmt: skip
    patched = settings.guider.model_patcher
    patched.patch_model(torch.device("cpu"))
    weight = patched.model.state_dict()[WEIGHT].clone()
    patched.unpatch_model(torch.device("cpu"))
    (positive,) = settings.guider.original_conds["positive"]
    return weight, positive["cross_attn"]


@pytest.mark.parametrize(
    ("written", "strength", "text_strength"),
    [("0.5:-0.7", 0.5, -0.7), ("-1.2:0.4", -1.2, 0.4), ("-0.6", -0.6, -0.6), ("0:0.9", 0, 0.9), ("0.9:0", 0.9, 0)],
)
def test_each_strength_of_a_tag_reaches_its_own_model(model, clip, halves, written, strength, text_strength):
    plain_weight, plain_text = drawn(model, clip, "a cat")
    weight, text = drawn(model, clip, f"a cat <lora:sliders\\age:{written}>")
    name = next(iter(LAYERS))
    up, down = (halves[f"{name}.lora_{half}.weight"].flatten(1) for half in ("up", "down"))
    delta = strength * (up @ down).view_as(plain_weight)
    assert torch.allclose(weight - plain_weight, delta, atol=1e-5)
    _, expected = drawn(model, clip, f"a cat <lora:age:0:{text_strength}>")
    assert torch.equal(text, expected)
    assert (relative_l2(text, plain_text) > 1e-3) == bool(text_strength)


@pytest.mark.parametrize("spoiled", ["NaN", "a key that is hashed for ever"])
def test_a_lora_that_spoils_or_hangs_is_refused(model, clip, halves, tmp_path, spoiled):
    if spoiled == "NaN":
        spoiled_halves = {key: tensor * float("nan") for key, tensor in halves.items()}
        save_file(spoiled_halves, tmp_path / "spoiled.safetensors")
        message = "holds NaN or infinite numbers"
    else:
        (tmp_path / "spoiled.pt").write_bytes(nested_key())
        message = "Python objects other than tensors"
    (file,) = tmp_path.iterdir()
    folder_paths.add_model_folder_path("loras", str(tmp_path), is_default=True)
    with pytest.raises(AdapterError, match=message):
        models.add_lora(model, clip, file.name, 1.0, 1.0)


def test_the_same_loras_are_the_same_weights_for_comfyui(model, clip, halves):
    def ids(*strengths: float):
        with_loras, text = model, clip
        for strength in strengths:
            with_loras, text = models.add_lora(with_loras, text, "sliders/age.safetensors", strength, 0.5)
        return with_loras.patches_uuid, text.patcher.patches_uuid

    assert ids(0.8, 1.0) == ids(0.8, 1.0)
    assert ids(0.8, 1.0)[0] not in (ids(1.0, 0.8)[0], ids(0.8)[0], model.patches_uuid)
    assert ids(0.8, 1.0)[1] == ids(0.3, 1.0)[1], "the text's strength is the same"
